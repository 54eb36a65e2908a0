/* SPDX-License-Identifier: Apache-2.0
 * mdm_scep: what is granted, to a client made of plain OpenSSL calls; every repetition and every
 * failure of the store in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "scep_fixture.h"

/* --- what the CA says of itself --- */

static void test_get_ca_caps(void **state)
{
    mdm_scep_settings_t weak = settings, plain = settings;

    (void)state;
    assert_string_equal(settings.ca_caps.content_type, "text/plain");
    assert_int_equal(settings.ca_caps.len, strlen(settings.ca_caps.body));
    assert_string_equal(
        settings.ca_caps.body,
        "AES\nPOSTPKIOperation\nRenewal\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n");
    plain.rules.renewal = 0;
    assert_int_equal(mdm_scep_prepare(pki_pool, &plain).kind, MDM_OK);
    assert_string_equal(plain.ca_caps.body,
                        "AES\nPOSTPKIOperation\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n");
    weak.allow = MDM_SCEP_ALLOW_SHA1 | MDM_SCEP_ALLOW_DES3;
    assert_int_equal(mdm_scep_prepare(pki_pool, &weak).kind, MDM_OK);
    assert_string_equal(weak.ca_caps.body, "AES\nDES3\nPOSTPKIOperation\nRenewal\nSCEPStandard\n"
                                           "SHA-1\nSHA-256\nSHA-384\nSHA-512\n");
}

static void test_get_ca_cert(void **state)
{
    mdm_scep_settings_t prepared = settings;
    mdm_scep_reply_t got;
    X509 *cert;

    (void)state;
    signer.chain = sk_X509_new_null(); /* as a file without a chain is read */
    assert_int_equal(mdm_scep_prepare(pki_pool, &prepared).kind, MDM_OK);
    got = prepared.ca_cert;
    assert_string_equal(got.content_type, "application/x-x509-ca-cert");
    assert_int_equal(mdm_x509_decode(pki_pool, got.body, got.len, &cert).kind, MDM_OK);
    assert_int_equal(X509_cmp(cert, signer.cert), 0);

    /* shorter certificates behind the CA's, which a DER SET would sort to the front */
    sk_X509_push(signer.chain, pki_cert("/CN=b", key, NULL, NULL, NULL));
    sk_X509_push(signer.chain, pki_cert("/CN=a", pki_key_ec("P-256"), NULL, NULL, NULL));
    assert_int_equal(mdm_scep_prepare(pki_pool, &prepared).kind, MDM_OK);
    got = prepared.ca_cert;
    assert_string_equal(got.content_type, "application/x-x509-ca-ra-cert");
    {
        const unsigned char *at = (const unsigned char *)got.body;
        PKCS7 *bag = d2i_PKCS7(NULL, &at, (long)got.len);
        assert_non_null(bag);
        assert_ptr_equal(at, got.body + got.len);
        assert_null(bag->d.sign->contents->d.ptr);
        assert_int_equal(sk_X509_num(bag->d.sign->cert), 3);
        assert_int_equal(X509_cmp(sk_X509_value(bag->d.sign->cert, 0), signer.cert), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(
                X509_cmp(sk_X509_value(bag->d.sign->cert, i + 1), sk_X509_value(signer.chain, i)),
                0);
        PKCS7_free(bag);
    }
    sk_X509_free(signer.chain);
    signer.chain = NULL;
}

/* --- success --- */

static void test_identity(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    ask(&opts);
    granted();
    assert_string_equal(answer.transaction, "transaction-1");
    assert_string_equal(facts.transaction, "transaction-1");
    assert_string_equal(facts.enrollment, ID);
    assert_string_equal(facts.user, "anna");
    assert_string_equal(facts.udid, the_row()->udid);
    assert_string_equal(facts.serial, the_row()->serial);
    assert_string_equal(facts.certificate, record()->serial);
    assert_int_equal(the_row()->state, MDM_STATE_IDENTIFIED);
    assert_string_equal(the_row()->identity_fingerprint, record()->fingerprint);
    assert_int_equal(record()->purpose, MDM_PURPOSE_IDENTITY);
    assert_string_equal(record()->enrollment, ID);
    assert_string_equal(mdm_x509_serial(pki_pool, answer.cert), record()->serial);
    assert_int_equal(record()->not_before, mdm_x509_not_before(answer.cert));
    assert_int_equal(record()->not_after, mdm_x509_not_after(answer.cert));
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(answer.cert), key), 1);
    assert_int_equal(X509_verify(answer.cert, ca_key), 1);
}

static void test_mdm(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    the_row()->expires_at = the_row()->updated_at = 1; /* without meaning once delivered */
    ask(&opts);
    granted();
    assert_int_equal(record()->purpose, MDM_PURPOSE_MDM);
    assert_int_equal(the_row()->state, MDM_STATE_DELIVERED);
    assert_string_equal(the_row()->identity_fingerprint, "");
    assert_non_null(strstr(mdm_x509_subject(pki_pool, answer.cert), "OU=MDM"));
}

static void one_variant(scep_opts_t opts, const char *digest, const char *cipher)
{
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    granted();
    assert_string_equal(answer.digest, digest);
    assert_string_equal(answer.cipher, cipher);
}

static void test_variants(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    one_variant(opts, "SHA256", "AES-128-CBC");
    opts.digest = opts.request_digest = EVP_sha384();
    opts.cipher = EVP_aes_192_cbc();
    one_variant(opts, "SHA384", "AES-192-CBC");
    opts.digest = opts.request_digest = EVP_sha512();
    opts.cipher = EVP_aes_256_cbc();
    one_variant(opts, "SHA512", "AES-256-CBC");
    opts.request_digest = EVP_sha1(); /* older iOS */
    opts.recipients = 7;
    opts.certificates = 3;
    one_variant(opts, "SHA512", "AES-256-CBC");
    for (int i = 0; i < 3; i++) {
        static const int types[] = {V_ASN1_UTF8STRING, V_ASN1_IA5STRING, V_ASN1_T61STRING};
        opts = sound();
        opts.challenge_type = types[i];
        one_variant(opts, "SHA256", "AES-128-CBC");
    }
}

/* BER: the outermost SEQUENCE with an indefinite length. */
static void test_ber(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t der = scep_message(&opts);
    unsigned char *ber = apr_palloc(pki_pool, der.len + 2);

    (void)state;
    assert_int_equal(der.data[1], 0x82); /* two octets of length follow */
    ber[0] = der.data[0];
    ber[1] = 0x80;
    memcpy(ber + 2, der.data + 4, der.len - 4);
    memset(ber + der.len - 2, 0, 2);
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    exchange((scep_bytes_t){ber, der.len}, key);
    granted();
}

/* Nothing of the request but its key gets into the certificate. */
static void test_smuggling(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    opts.subject = "Some Other CA";
    opts.subject_alt_name = "DNS:www.example.com,URI:urn:mdm-enroll:0";
    opts.basic_constraints = "critical,CA:TRUE";
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    granted();
    assert_string_equal(mdm_x509_subject(pki_pool, answer.cert),
                        "serialNumber=F2LX1234ABCD,CN=00008030-001A2B3C4D5E6F70,OU=MDM,O=Example");
    assert_int_equal(X509_check_ca(answer.cert), 0);
    assert_int_equal(X509_check_host(answer.cert, "www.example.com", 0, 0, NULL), 0);
    assert_int_equal(X509_get_ext_count(answer.cert), 6);
    ERR_clear_error();
}

static void test_distinct_serials(void **state)
{
    const char *seen[16];
    scep_opts_t opts = sound();

    (void)state;
    for (int i = 0; i < 16; i++) {
        arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
        ask(&opts);
        granted();
        seen[i] = facts.certificate;
        assert_int_equal(strlen(seen[i]), 40);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

/* --- repetitions --- */

static void test_repeated(void **state)
{
    const mdm_purpose_t purposes[] = {MDM_PURPOSE_IDENTITY, MDM_PURPOSE_MDM};
    const mdm_state_t states[] = {MDM_STATE_IDENTIFYING, MDM_STATE_DELIVERED};
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);
    scep_bytes_t nonce;
    const char *body;

    (void)state;
    for (int i = 0; i < 2; i++) {
        arrange(states[i], purposes[i]);
        exchange(message, key);
        granted();
        nonce = answer.sender_nonce;
        body = reply.body;
        fake->store->writes = 0;
        exchange(message, key);
        granted();
        assert_int_equal(fake->store->writes, 0);
        assert_memory_not_equal(answer.sender_nonce.data, nonce.data, 16);
        assert_ptr_not_equal(reply.body, body);
        /* the same request in another message: other temporary certificate, other envelope */
        ask(&opts);
        granted();
    }
}

/* Once the enrollment is further, an identity is not handed out again. */
static void test_repeated_too_late(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);

    (void)state;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    exchange(message, key);
    granted();
    the_row()->state = MDM_STATE_DELIVERED;
    exchange(message, key);
    refused(MDM_MSG_ENROLLMENT_STATE, BAD_REQUEST);
    the_row()->state = MDM_STATE_IDENTIFIED;
    APR_ARRAY_IDX(fake->store->certificates, 0, mdm_certificate_t *)->revoked_at = 1;
    exchange(message, key);
    refused(MDM_MSG_CERTIFICATE_REVOKED, BAD_REQUEST);
}

static mdm_result_t (*real_insert)(void *, apr_pool_t *, const mdm_certificate_t *, int *);
static mdm_result_t (*real_spend)(void *, apr_pool_t *, const char *, const char *, int,
                                  const char *, apr_int64_t, int *);
static mdm_result_t (*real_get)(void *, apr_pool_t *, const char *, mdm_enrollment_t **);
static scep_bytes_t rival_message;

static void rival_exchange(void)
{
    mdm_scep_reply_t its_reply;
    mdm_scep_facts_t its_facts;
    mdm_result_t r;

    fake->store->store.certificate_insert = real_insert;
    fake->store->store.challenge_spend = real_spend;
    fake->store->store.enrollment_get = real_get;
    r = mdm_scep_pki_operation(pki_pool, &settings, &fake->world, rival_message.data,
                               rival_message.len, &its_reply, &its_facts);
    assert_int_equal(r.kind, MDM_OK);
}

static mdm_result_t insert_late(void *context, apr_pool_t *p, const mdm_certificate_t *row,
                                int *won)
{
    rival_exchange();
    return real_insert(context, p, row, won);
}

static mdm_result_t spend_late(void *context, apr_pool_t *p, const char *hash, const char *before,
                               int most, const char *used_for, apr_int64_t now, int *won)
{
    rival_exchange();
    return real_spend(context, p, hash, before, most, used_for, now, won);
}

/* The challenge has been read, its row not yet. */
static mdm_result_t get_late(void *context, apr_pool_t *p, const char *id, mdm_enrollment_t **row)
{
    rival_exchange();
    return real_get(context, p, id, row);
}

static void rival_before_advance(fake_store_t *store, void *context)
{
    (void)store;
    (void)context;
    rival_exchange();
}

/* A copy of the request, or another one with the same challenge, is faster at each step. */
static void test_parallel(void **state)
{
    scep_opts_t opts = sound(), another = sound();
    scep_bytes_t message = scep_message(&opts);

    (void)state;
    another.key = other_key;
    real_insert = fake->store->store.certificate_insert;
    real_spend = fake->store->store.challenge_spend;
    real_get = fake->store->store.enrollment_get;

    rival_message = message;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    fake->store->store.enrollment_get = get_late;
    exchange(message, key);
    granted();
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    fake->store->store.challenge_spend = spend_late;
    exchange(message, key);
    granted();
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    fake->store->store.certificate_insert = insert_late;
    exchange(message, key);
    granted();
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    fake->store->rival = rival_before_advance;
    exchange(message, key);
    granted();

    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    rival_message = scep_message(&another);
    fake->store->store.challenge_spend = spend_late;
    exchange(message, key);
    refused(MDM_MSG_SCEP_CHALLENGE, BAD_REQUEST);
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    fake->store->store.enrollment_get = get_late; /* the other one is done: a lost reply */
    exchange(message, key);
    granted_anew(1);
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    fake->store->store.challenge_spend = spend_late;
    exchange(message, key);
    refused(MDM_MSG_SCEP_CHALLENGE, BAD_REQUEST);
    assert_int_equal(issued(), 1);
}

/* Whatever call of the store fails, before or after it took effect: 503, and the repeated request
 * gets a certificate, the only one. */
static void test_store_fails(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);
    int failures = 0;

    (void)state;
    for (int after = 0; after < 2; after++)
        for (int nth = 1;; nth++) {
            arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
            fake_store_fail(fake->store, nth, after);
            exchange(message, key);
            if (result.kind == MDM_OK && fake->store->calls < fake->store->fail_at)
                break;
            /* a lost answer to the last step is found out by reading again */
            if (result.kind == MDM_OK) {
                granted();
                continue;
            }
            failures++;
            assert_int_equal(result.kind, MDM_UNAVAILABLE);
            assert_null(reply.body);
            exchange(message, key);
            granted();
            assert_int_equal(the_row()->state, MDM_STATE_IDENTIFIED);
        }
    /* nine calls; of those that took effect the last is found out by reading again */
    assert_int_equal(failures, 9 + 8);
}

static void test_random_fails(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);

    (void)state;
    for (int nth = 1; nth <= 2; nth++) { /* the serial number, the nonce */
        arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
        fake->random_fail_at = fake->random_calls + nth;
        exchange(message, key);
        assert_int_equal(result.message, MDM_MSG_RANDOM);
        assert_int_equal(result.kind, MDM_FAULT);
        assert_null(reply.body);
        exchange(message, key);
        granted();
    }
}

static void test_ca_expired(void **state)
{
    scep_opts_t opts = sound();
    apr_int64_t now = fake->clock;

    (void)state;
    fake->clock = mdm_x509_not_after(signer.cert) + 1;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    assert_int_equal(result.message, MDM_MSG_CA_ISSUE);
    assert_null(reply.body);
    fake->clock = now;
}

/* --- GET --- */

static void decodes(const char *parameter, const char *wanted, apr_size_t wanted_len)
{
    const char *bytes = NULL;
    apr_size_t len = 0;
    mdm_result_t r = mdm_scep_decode_get(pki_pool, parameter, &bytes, &len);

    if (r.kind != MDM_OK)
        fail_msg("\"%s\": %s", parameter, r.log);
    assert_int_equal(len, wanted_len);
    assert_memory_equal(bytes, wanted, wanted_len);
}

static void decodes_not(const char *parameter)
{
    const char *bytes;
    apr_size_t len;

    assert_int_equal(mdm_scep_decode_get(pki_pool, parameter, &bytes, &len).message,
                     MDM_MSG_SCEP_MESSAGE);
}

static void test_decode_get(void **state)
{
    (void)state;
    decodes("+/v7/w==", "\xfb\xfb\xfb\xff", 4); /* raw: jscep */
    decodes("%2B%2Fv7%2Fw%3D%3D", "\xfb\xfb\xfb\xff", 4);
    decodes("%2b%2fv7%2fw%3d%3d", "\xfb\xfb\xfb\xff", 4); /* all of it: certmonger */
    decodes("+/v7/w%3D%3D", "\xfb\xfb\xfb\xff", 4);       /* the padding alone: macOS */
    decodes("+/v7%0A/w==%0A", "\xfb\xfb\xfb\xff", 4);     /* line breaks: strongSwan */
    decodes("+/v7%0D%0A/w==", "\xfb\xfb\xfb\xff", 4);
    decodes(" /v7/w==", "\xfb\xfb\xfb\xff", 4); /* a blank for "+", raw or escaped */
    decodes("%20/v7/w==", "\xfb\xfb\xfb\xff", 4);
    decodes("-_v7_w", "\xfb\xfb\xfb\xff", 4); /* base64url without padding */
    decodes("+/v7/w", "\xfb\xfb\xfb\xff", 4);
    decodes("+/v7/w=", "\xfb\xfb\xfb\xff", 4);
    decodes("YWJj", "abc", 3);
    decodes("YWI=", "ab", 2);
    decodes("YWI", "ab", 2);
    decodes("%59%57%49%3D", "ab", 2);
    decodes_not("");
    decodes_not("=");
    decodes_not("Y");
    decodes_not("YWJjZ");
    decodes_not("YW=J");
    decodes_not("YWJj====");
    decodes_not("YW%00Jj");
    decodes_not("YWJj%");
    decodes_not("YWJj%4");
    decodes_not("YWJj%zz");
    decodes_not("YW;Jj");
    decodes_not("YW\xc3\xa4j");
}

/* A whole message by GET. */
static void test_get_whole(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);
    char *text = apr_palloc(pki_pool, message.len * 2);
    const char *bytes;
    apr_size_t len;

    (void)state;
    EVP_EncodeBlock((unsigned char *)text, message.data, (int)message.len);
    assert_int_equal(mdm_scep_decode_get(pki_pool, text, &bytes, &len).kind, MDM_OK);
    assert_int_equal(len, message.len);
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    exchange((scep_bytes_t){(const unsigned char *)bytes, len}, key);
    granted();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_ca_caps),  cmocka_unit_test(test_get_ca_cert),
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_mdm),
        cmocka_unit_test(test_variants),     cmocka_unit_test(test_ber),
        cmocka_unit_test(test_smuggling),    cmocka_unit_test(test_distinct_serials),
        cmocka_unit_test(test_repeated),     cmocka_unit_test(test_repeated_too_late),
        cmocka_unit_test(test_parallel),     cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_random_fails), cmocka_unit_test(test_ca_expired),
        cmocka_unit_test(test_decode_get),   cmocka_unit_test(test_get_whole),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
