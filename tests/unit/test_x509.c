/* SPDX-License-Identifier: Apache-2.0
 * mdm_x509: files, encodings, names, dates, keys. Depends on core and pki.
 */
#include "mdm_x509.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "pki.h"

static EVP_PKEY *ca_key;
static EVP_PKEY *leaf_key;
static X509 *ca;
static X509 *leaf;

static int setup(void **state)
{
    pki_setup(state);
    ca_key = pki_key_rsa(2048);
    leaf_key = pki_key_ec("P-256");
    ca =
        pki_cert("/C=US/O=Example/CN=CA", ca_key, NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});
    leaf = pki_cert("/O=Ex, Inc./CN=\xC3\xA4", leaf_key, ca, ca_key,
                    &(pki_opts_t){.serial = 0x0abcde, .not_before = -60, .not_after = 3600});
    return 0;
}

static void no_errors_left(void)
{
    assert_int_equal(ERR_peek_error(), 0);
}

static void refuse(mdm_result_t r, mdm_message_t message, const char *log)
{
    if (!strstr(r.log, log))
        print_message("%s\n", r.log);
    assert_int_equal(r.message, message);
    assert_non_null(strstr(r.log, log));
    no_errors_left();
}

static const char *text_file(const char *name, const char *text)
{
    return pki_file(name, text, strlen(text));
}

static void certificates_are_read_in_order(void **state)
{
    (void)state;
    STACK_OF(X509) *certs = NULL;
    const char *pem = apr_pstrcat(pki_pool, "some words\n", pki_cert_pem(leaf), "\n",
                                  pki_key_pem(leaf_key, NULL), pki_cert_pem(ca), NULL);
    mdm_result_t r = mdm_x509_read_certificates(pki_pool, text_file("two.pem", pem), &certs);
    assert_int_equal(r.kind, MDM_OK);
    no_errors_left();
    assert_int_equal(sk_X509_num(certs), 2);
    assert_int_equal(X509_cmp(sk_X509_value(certs, 0), leaf), 0);
    assert_int_equal(X509_cmp(sk_X509_value(certs, 1), ca), 0);
}

static void one_certificate_of_der_is_read(void **state)
{
    (void)state;
    STACK_OF(X509) *certs = NULL;
    apr_size_t len = 0;
    const unsigned char *der = mdm_x509_encode(pki_pool, leaf, &len);
    mdm_result_t r = mdm_x509_read_certificates(pki_pool, pki_file("one.der", der, len), &certs);
    assert_int_equal(r.kind, MDM_OK);
    no_errors_left();
    assert_int_equal(sk_X509_num(certs), 1);
    assert_int_equal(X509_cmp(sk_X509_value(certs, 0), leaf), 0);

    unsigned char *longer = apr_pcalloc(pki_pool, len + 1);
    memcpy(longer, der, len);
    refuse(mdm_x509_read_certificates(pki_pool, pki_file("long.der", longer, len + 1), &certs),
           MDM_MSG_FILE, "long.der: it holds neither");
}

static void files_without_certificates_are_refused(void **state)
{
    (void)state;
    STACK_OF(X509) *certs = NULL;
    char *damaged = apr_pstrcat(pki_pool, pki_cert_pem(ca), pki_cert_pem(leaf), NULL);
    strstr(strstr(damaged, "END CERT"), "BEGIN CERT")[40] = '*';

    refuse(mdm_x509_read_certificates(pki_pool, "/nonexistent/x.pem", &certs), MDM_MSG_FILE,
           "cannot open /nonexistent/x.pem: No such file");
    refuse(mdm_x509_read_certificates(pki_pool, "/", &certs), MDM_MSG_FILE, "/");
    refuse(mdm_x509_read_certificates(pki_pool, text_file("empty", ""), &certs), MDM_MSG_FILE,
           "it holds neither");
    refuse(
        mdm_x509_read_certificates(pki_pool, text_file("key", pki_key_pem(ca_key, NULL)), &certs),
        MDM_MSG_FILE, "it holds neither");
    /* one good certificate does not make up for a bad one behind it */
    refuse(mdm_x509_read_certificates(pki_pool, text_file("damaged", damaged), &certs),
           MDM_MSG_FILE, "damaged: bad");
    assert_null(certs);
}

/* Runs in a process of its own, which has a terminal where nobody types: 0 if nothing asked there.
 */
static int read_at_a_terminal(const char *file, const char *pem)
{
    STACK_OF(X509) *certs;
    X509 *cert;
    int controller = posix_openpt(O_RDWR | O_NOCTTY);

    if (controller < 0 || grantpt(controller) || unlockpt(controller) || setsid() < 0 ||
        open(ptsname(controller), O_RDWR) < 0) /* the terminal of the new session */
        return 2;
    return mdm_x509_read_certificates(pki_pool, file, &certs).message != MDM_MSG_FILE ||
           mdm_x509_decode_pem(pki_pool, pem, &cert).message != MDM_MSG_CMS_CERTIFICATES;
}

/* A PEM block can say of itself that it is encrypted, a certificate's as well. */
static void nobody_is_asked_for_a_certificate(void **state)
{
    (void)state;
    const char *begin = "-----BEGIN CERTIFICATE-----\n", *pem = pki_cert_pem(ca);
    const char *encrypted =
        apr_pstrcat(pki_pool, begin, "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,",
                    "00112233445566778899AABBCCDDEEFF\n\n", pem + strlen(begin), NULL);
    const char *file = text_file("encrypted.pem", encrypted);
    int status = -1;

    pid_t child = fork();
    if (child == 0)
        _exit(read_at_a_terminal(file, encrypted));
    /* who asks holds all signals that can be held */
    for (int i = 0; i < 1000 && waitpid(child, &status, WNOHANG) == 0; i++)
        usleep(20000);
    if (status == -1)
        kill(child, SIGKILL);
    assert_int_equal(status, 0);
}

static void der_and_pem_are_decoded_exactly(void **state)
{
    (void)state;
    X509 *cert = NULL;
    apr_size_t len = 0;
    const unsigned char *der = mdm_x509_encode(pki_pool, leaf, &len);
    assert_int_equal(mdm_x509_decode(pki_pool, der, len, &cert).kind, MDM_OK);
    assert_int_equal(X509_cmp(cert, leaf), 0);
    assert_int_equal(mdm_x509_decode_pem(pki_pool, pki_cert_pem(ca), &cert).kind, MDM_OK);
    assert_int_equal(X509_cmp(cert, ca), 0);

    cert = NULL;
    unsigned char *longer = apr_pcalloc(pki_pool, len + 1);
    memcpy(longer, der, len);
    refuse(mdm_x509_decode(pki_pool, longer, len + 1, &cert), MDM_MSG_CMS_CERTIFICATES, "behind");
    refuse(mdm_x509_decode(pki_pool, der, len - 1, &cert), MDM_MSG_CMS_CERTIFICATES, "decoded");
    refuse(mdm_x509_decode(pki_pool, der, 0, &cert), MDM_MSG_CMS_CERTIFICATES, "decoded");
    refuse(mdm_x509_decode_pem(pki_pool, "x", &cert), MDM_MSG_CMS_CERTIFICATES, "decoded");
    assert_null(cert);
}

/* Refused before OpenSSL works on the key. */
static void only_known_keys_are_decoded(void **state)
{
    (void)state;
    EVP_PKEY *good[] = {ca_key, leaf_key, pki_key_ec("P-384"), pki_key_ec("P-521")};
    EVP_PKEY *odd[] = {pki_key_ec_explicit(), pki_key_ec("P-224"), pki_key_ec("secp256k1"),
                       mdm_x509_own_key(pki_pool, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"))};
    X509 *cert = NULL;
    apr_size_t len = 0;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        X509 *made = pki_cert("/CN=good", good[i], ca, ca_key, NULL);
        const unsigned char *der = mdm_x509_encode(pki_pool, made, &len);
        assert_int_equal(mdm_x509_decode(pki_pool, der, len, &cert).kind, MDM_OK);
    }
    cert = NULL;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        X509 *made = pki_cert("/CN=odd", odd[i], ca, ca_key, NULL);
        const unsigned char *der = mdm_x509_encode(pki_pool, made, &len);
        refuse(mdm_x509_decode(pki_pool, der, len, &cert), MDM_MSG_CMS_CERTIFICATES,
               "a key of RSA, P-256");
        refuse(mdm_x509_decode_pem(pki_pool, pki_cert_pem(made), &cert), MDM_MSG_CMS_CERTIFICATES,
               "a key of RSA, P-256");
    }
    assert_null(cert);
}

/* Wherever a certificate is cut off or bent, its key is not found, or it is the same. */
static void key_is_found_in_its_place_only(void **state)
{
    (void)state;
    apr_size_t len = 0;
    const unsigned char *der = mdm_x509_encode(pki_pool, leaf, &len);
    mdm_der_t left = mdm_der_content(der, len);
    mdm_der_t whole, inside, tbs;

    assert_true(mdm_der_next(&left, &whole));
    inside = mdm_der_content(whole.bytes, whole.len);
    assert_true(mdm_der_next(&inside, &tbs));
    assert_int_equal(mdm_x509_key_decodable(&whole), 1);
    for (apr_size_t cut = 0; cut < (apr_size_t)(tbs.bytes + tbs.len - whole.bytes); cut++) {
        mdm_der_t part = whole;
        part.bytes = apr_pmemdup(pki_pool, whole.bytes, cut ? cut : 1);
        part.len = cut;
        assert_int_equal(mdm_x509_key_decodable(&part), 0);
    }
    whole.tag = 0x31;
    assert_int_equal(mdm_x509_key_decodable(&whole), 0);
}

static void what_a_certificate_says(void **state)
{
    (void)state;
    apr_size_t len = 0;
    const unsigned char *der = mdm_x509_encode(pki_pool, leaf, &len);
    const char *fingerprint = mdm_x509_fingerprint(pki_pool, leaf);
    apr_int64_t now = (apr_int64_t)time(NULL);

    assert_string_equal(fingerprint, mdm_sha256_hex(pki_pool, der, len));
    assert_int_equal(strlen(fingerprint), 64);
    assert_string_equal(mdm_sha256_hex(pki_pool, "abc", 3),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(mdm_sha256_hex(pki_pool, "", 0),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(mdm_x509_subject(pki_pool, leaf), "CN=\\C3\\A4,O=Ex\\, Inc.");
    assert_string_equal(mdm_x509_issuer(pki_pool, leaf), "CN=CA,O=Example,C=US");
    assert_string_equal(mdm_x509_serial(pki_pool, leaf), "0abcde");
    assert_in_range(mdm_x509_not_before(leaf), now - 120, now - 60);
    assert_in_range(mdm_x509_not_after(leaf), now + 3000, now + 3600);
    assert_string_equal(mdm_x509_subject(pki_pool, pki_cert("", leaf_key, NULL, NULL, NULL)), "");
}

static void self_signed_means_by_its_own_key(void **state)
{
    (void)state;
    assert_true(mdm_x509_self_signed(ca));
    assert_false(mdm_x509_self_signed(leaf));
    /* the name alone is not enough */
    assert_false(mdm_x509_self_signed(pki_cert("/CN=x", leaf_key, NULL, ca_key, NULL)));
    no_errors_left();
}

static EVP_PKEY *rsa_with_exponent(const char *hex)
{
    EVP_PKEY *key = NULL;
    BIGNUM *e = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(BN_hex2bn(&e, hex));
    assert_true(EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024) > 0 &&
                EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) > 0 && EVP_PKEY_keygen(ctx, &key) > 0);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return mdm_x509_own_key(pki_pool, key);
}

static EVP_PKEY *rsa_public(int bits, unsigned char e)
{
    unsigned char modulus[2048];
    EVP_PKEY *key = NULL;
    memset(modulus, 0xa5, sizeof(modulus));
    OSSL_PARAM params[] = {OSSL_PARAM_BN("n", modulus, (size_t)bits / 8), OSSL_PARAM_BN("e", &e, 1),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(EVP_PKEY_fromdata_init(ctx) > 0 &&
                EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) > 0);
    EVP_PKEY_CTX_free(ctx);
    return mdm_x509_own_key(pki_pool, key);
}

static void keys_are_bounded_both_ways(void **state)
{
    (void)state;
    assert_true(mdm_x509_key_ok(ca_key, 2048));
    assert_false(mdm_x509_key_ok(ca_key, 3072));
    assert_true(mdm_x509_key_ok(rsa_public(8192, 3), 2048));
    assert_false(mdm_x509_key_ok(rsa_public(8200, 3), 2048));
    assert_false(mdm_x509_key_ok(rsa_public(16384, 3), 2048));
    assert_false(mdm_x509_key_ok(rsa_public(1016, 3), 1024));
    assert_false(mdm_x509_key_ok(rsa_public(2048, 1), 2048)); /* anybody can sign */
    assert_false(mdm_x509_key_ok(rsa_public(2048, 2), 2048));
    assert_true(mdm_x509_key_ok(rsa_with_exponent("FFFFFFFB"), 1024));
    assert_false(mdm_x509_key_ok(rsa_with_exponent("100000001"), 1024));
    assert_true(mdm_x509_key_ok(leaf_key, 2048));
    assert_true(mdm_x509_key_ok(pki_key_ec("P-384"), 2048));
    assert_true(mdm_x509_key_ok(pki_key_ec("P-521"), 2048));
    assert_false(mdm_x509_key_ok(pki_key_ec("P-224"), 2048));
    assert_false(mdm_x509_key_ok(pki_key_ec("secp256k1"), 2048));
    EVP_PKEY *ed25519 = mdm_x509_own_key(pki_pool, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    assert_non_null(ed25519);
    assert_false(mdm_x509_key_ok(ed25519, 2048));
    assert_false(mdm_x509_key_ok(NULL, 2048));
    no_errors_left();
}

static void the_reason_empties_the_queue(void **state)
{
    (void)state;
    assert_string_equal(mdm_openssl_reason(pki_pool), "no reason given");
    ERR_raise(ERR_LIB_PEM, PEM_R_BAD_DECRYPT);
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    assert_string_equal(mdm_openssl_reason(pki_pool), "no start line");
    no_errors_left();
}

static void owning_nothing_is_nothing(void **state)
{
    (void)state;
    assert_null(mdm_x509_own(pki_pool, NULL));
    assert_null(mdm_x509_own_key(pki_pool, NULL));
    assert_null(mdm_x509_own_stack(pki_pool, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_read_in_order),
        cmocka_unit_test(one_certificate_of_der_is_read),
        cmocka_unit_test(files_without_certificates_are_refused),
        cmocka_unit_test(nobody_is_asked_for_a_certificate),
        cmocka_unit_test(der_and_pem_are_decoded_exactly),
        cmocka_unit_test(only_known_keys_are_decoded),
        cmocka_unit_test(key_is_found_in_its_place_only),
        cmocka_unit_test(what_a_certificate_says),
        cmocka_unit_test(self_signed_means_by_its_own_key),
        cmocka_unit_test(keys_are_bounded_both_ways),
        cmocka_unit_test(the_reason_empties_the_queue),
        cmocka_unit_test(owning_nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
