/* SPDX-License-Identifier: Apache-2.0
 * mdm_key: keys from files, encrypted or not, and signers. Depends on core and pki.
 */
#include "mdm_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_strings.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "pki.h"

static EVP_PKEY *ca_key;
static EVP_PKEY *leaf_key;
static X509 *ca;
static X509 *leaf;

static void no_errors_left(void)
{
    assert_int_equal(ERR_peek_error(), 0);
}

static void refuse(mdm_result_t r, mdm_message_t message, const char *log)
{
    assert_non_null(r.log);
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

/* --- somebody to ask --- */

typedef struct {
    const char *const *answers; /* one for each question; NULL is none at all */
    int questions;
    char name[256];
    int attempt;
} person_t;

static const char *answer(void *context, apr_pool_t *p, const char *name, int attempt, char *phrase)
{
    person_t *person = context;
    const char *text = person->answers[person->questions++];

    (void)p;
    apr_cpystrn(person->name, name, sizeof(person->name));
    person->attempt = attempt;
    if (!text)
        return "nobody is in";
    apr_cpystrn(phrase, text, MDM_PASSPHRASE_BYTES);
    return NULL;
}

#define PERSON(...)                                                                                \
    {                                                                                              \
        .answers = (const char *const[])                                                           \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* --- files --- */

static const char *traditional_pem(EVP_PKEY *key, const char *password)
{
    char *data = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey_traditional(
        bio, key, password ? EVP_aes_128_cbc() : NULL, (const unsigned char *)password,
        password ? (int)strlen(password) : 0, NULL, NULL));
    long len = BIO_get_mem_data(bio, &data);
    const char *pem = apr_pstrmemdup(pki_pool, data, (apr_size_t)len);
    BIO_free(bio);
    return pem;
}

static void keys_are_read(void **state)
{
    (void)state;
    EVP_PKEY *key = NULL;
    assert_int_equal(
        mdm_key_read(pki_pool, text_file("p8", pki_key_pem(ca_key, NULL)), NULL, &key).kind,
        MDM_OK);
    assert_int_equal(EVP_PKEY_eq(key, ca_key), 1);
    assert_int_equal(
        mdm_key_read(pki_pool, text_file("ec", traditional_pem(leaf_key, NULL)), NULL, &key).kind,
        MDM_OK);
    assert_int_equal(EVP_PKEY_eq(key, leaf_key), 1);
    no_errors_left();
}

/* With the default callback this would wait for somebody at the terminal. */
static void encrypted_keys_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *key = NULL;
    refuse(mdm_key_read(pki_pool, text_file("enc8", pki_key_pem(ca_key, "secret")), NULL, &key),
           MDM_MSG_FILE, "enc8: it is encrypted");
    refuse(mdm_key_read(pki_pool, text_file("enc1", traditional_pem(ca_key, "secret")), NULL, &key),
           MDM_MSG_FILE, "enc1: it is encrypted");
    refuse(mdm_key_read(pki_pool, text_file("none", pki_cert_pem(ca)), NULL, &key), MDM_MSG_FILE,
           "cannot read a PEM private key from");
    refuse(mdm_key_read(pki_pool, "/nonexistent/k", NULL, &key), MDM_MSG_FILE, "No such file");
    assert_null(key);
}

static void a_pass_phrase_opens_a_file(void **state)
{
    (void)state;
    const char *files[] = {text_file("pass8", pki_key_pem(ca_key, "secret")),
                           text_file("pass1", traditional_pem(ca_key, "secret"))};

    for (int i = 0; i < 2; i++) {
        person_t person = PERSON("secret", NULL);
        mdm_asker_t asker = {&person, 3, answer};
        EVP_PKEY *key = NULL;
        assert_int_equal(mdm_key_read(pki_pool, files[i], &asker, &key).kind, MDM_OK);
        assert_int_equal(EVP_PKEY_eq(key, ca_key), 1);
        assert_int_equal(person.questions, 1);
        assert_string_equal(person.name, files[i]);
        no_errors_left();
    }
}

static void nobody_is_asked_for_a_plain_key(void **state)
{
    (void)state;
    person_t person = PERSON(NULL);
    mdm_asker_t asker = {&person, 3, answer};
    EVP_PKEY *key = NULL;
    assert_int_equal(
        mdm_key_read(pki_pool, text_file("plain", pki_key_pem(ca_key, NULL)), &asker, &key).kind,
        MDM_OK);
    assert_int_equal(person.questions, 0);
}

static void a_wrong_pass_phrase_may_be_typed_again(void **state)
{
    (void)state;
    const char *files[] = {text_file("again8", pki_key_pem(ca_key, "secret")),
                           text_file("again1", traditional_pem(ca_key, "secret"))};

    for (int i = 0; i < 2; i++) {
        person_t person = PERSON("wrong", "Secret", "secret");
        mdm_asker_t asker = {&person, 3, answer};
        EVP_PKEY *key = NULL;
        assert_int_equal(mdm_key_read(pki_pool, files[i], &asker, &key).kind, MDM_OK);
        assert_int_equal(person.questions, 3);
        assert_int_equal(person.attempt, 3);
        no_errors_left();

        person_t careless = PERSON("wrong", "secret");
        asker = (mdm_asker_t){&careless, 1, answer};
        key = NULL;
        refuse(mdm_key_read(pki_pool, files[i], &asker, &key), MDM_MSG_FILE,
               "is encrypted, and the pass phrase is wrong");
        assert_int_equal(careless.questions, 1);
        assert_null(key);

        person_t absent = PERSON("wrong", NULL, "secret");
        asker = (mdm_asker_t){&absent, 3, answer};
        refuse(mdm_key_read(pki_pool, files[i], &asker, &key), MDM_MSG_FILE,
               "is encrypted, and nobody is in");
        assert_int_equal(absent.questions, 2);
        assert_null(key);
    }
}

/* Cut off, it might be another key's. */
static void a_pass_phrase_is_taken_whole(void **state)
{
    (void)state;
    char longest[MDM_PASSPHRASE_BYTES + 1], shorter[MDM_PASSPHRASE_BYTES];
    EVP_PKEY *key = NULL;

    memset(longest, 'x', sizeof(longest));
    longest[MDM_PASSPHRASE_BYTES - 1] = '\0';
    memcpy(shorter, longest, sizeof(shorter));
    shorter[MDM_PASSPHRASE_BYTES - 2] = '\0';
    const char *file = text_file("longest", pki_key_pem(ca_key, longest));
    person_t person = PERSON(longest, shorter);
    mdm_asker_t asker = {&person, 1, answer};
    assert_int_equal(mdm_key_read(pki_pool, file, &asker, &key).kind, MDM_OK);
    refuse(mdm_key_read(pki_pool, file, &asker, &key), MDM_MSG_FILE, "wrong");

    longest[MDM_PASSPHRASE_BYTES - 1] = 'x';
    longest[MDM_PASSPHRASE_BYTES] = '\0';
    file = text_file("longer", pki_key_pem(ca_key, longest));
    person = (person_t)PERSON(longest);
    refuse(mdm_key_read(pki_pool, file, &asker, &key), MDM_MSG_FILE, "wrong");
}

static void what_is_no_key_is_not_asked_about(void **state)
{
    (void)state;
    person_t person = PERSON("secret", "secret", "secret", "secret", "secret", "secret");
    mdm_asker_t asker = {&person, 3, answer};
    char *damaged = apr_pstrdup(pki_pool, pki_key_pem(ca_key, "secret"));
    char *huge = apr_pcalloc(pki_pool, MDM_KEY_FILE_BYTES + 1);
    EVP_PKEY *key = NULL;

    refuse(mdm_key_read(pki_pool, text_file("cert", pki_cert_pem(ca)), &asker, &key), MDM_MSG_FILE,
           "cannot read a PEM private key from");
    refuse(mdm_key_read(pki_pool, "/", &asker, &key), MDM_MSG_FILE, "Is a directory");
    memset(huge, 'x', MDM_KEY_FILE_BYTES);
    refuse(mdm_key_read(pki_pool, text_file("huge", huge), &asker, &key), MDM_MSG_FILE,
           "it is too long for a key");
    assert_int_equal(person.questions, 0);
    strstr(damaged, "KEY-----")[60] = '*';
    refuse(mdm_key_read(pki_pool, text_file("damaged", damaged), &asker, &key), MDM_MSG_FILE,
           "damaged");
    assert_null(key);
}

static void a_digest_is_of_the_content(void **state)
{
    (void)state;
    unsigned char one[MDM_KEY_DIGEST_BYTES], two[MDM_KEY_DIGEST_BYTES];
    const char *file = text_file("digest", "one");

    assert_int_equal(mdm_key_digest(pki_pool, file, one).kind, MDM_OK);
    assert_int_equal(mdm_key_digest(pki_pool, text_file("digest2", "one"), two).kind, MDM_OK);
    assert_memory_equal(one, two, sizeof(one));
    assert_int_equal(mdm_key_digest(pki_pool, text_file("digest", "two"), two).kind, MDM_OK);
    assert_memory_not_equal(one, two, sizeof(one));
    refuse(mdm_key_digest(pki_pool, "/nonexistent/k", one), MDM_MSG_FILE, "No such file");
    assert_int_equal(mdm_key_digest(pki_pool, "pkcs11:token=a;object=b?pin-value=1", one).kind,
                     MDM_OK);
    assert_int_equal(mdm_key_digest(pki_pool, "pkcs11:token=a;object=b?pin-value=2", two).kind,
                     MDM_OK);
    assert_memory_not_equal(one, two, sizeof(one));
}

/* --- signers --- */

static void a_signer_is_certificate_key_and_chain(void **state)
{
    (void)state;
    mdm_signer_t *signer = NULL;
    const char *cert_file =
        text_file("signer.pem", apr_pstrcat(pki_pool, pki_cert_pem(leaf), pki_cert_pem(ca), NULL));
    const char *key_file = text_file("signer.key", pki_key_pem(leaf_key, NULL));
    const char *chain_file = text_file("chain.pem", pki_cert_pem(ca));

    assert_int_equal(mdm_signer_read(pki_pool, cert_file, key_file, NULL, NULL, &signer).kind,
                     MDM_OK);
    assert_int_equal(X509_cmp(signer->cert, leaf), 0);
    assert_int_equal(EVP_PKEY_eq(signer->key, leaf_key), 1);
    assert_int_equal(sk_X509_num(signer->chain), 1);
    assert_int_equal(mdm_signer_read(pki_pool, cert_file, key_file, chain_file, NULL, &signer).kind,
                     MDM_OK);
    assert_int_equal(sk_X509_num(signer->chain), 2);

    signer = NULL;
    refuse(mdm_signer_read(pki_pool, chain_file, key_file, NULL, NULL, &signer), MDM_MSG_FILE,
           "does not belong to");
    refuse(mdm_signer_read(pki_pool, "/nonexistent/c", key_file, NULL, NULL, &signer), MDM_MSG_FILE,
           "/nonexistent/c");
    refuse(mdm_signer_read(pki_pool, cert_file, "/nonexistent/k", NULL, NULL, &signer),
           MDM_MSG_FILE, "/nonexistent/k");
    refuse(mdm_signer_read(pki_pool, cert_file, key_file, "/nonexistent/x", NULL, &signer),
           MDM_MSG_FILE, "/nonexistent/x");
    assert_null(signer);
}

static mdm_result_t give_ca_key(void *context, apr_pool_t *p, const char *source, X509 *cert,
                                EVP_PKEY **key)
{
    assert_int_equal(X509_cmp(cert, ca), 0);
    if (strcmp(source, "somewhere") != 0)
        return mdm_result_make(p, MDM_MSG_FILE, "not here");
    *key = context;
    return mdm_result_ok();
}

static void a_reader_brings_the_key(void **state)
{
    (void)state;
    const mdm_key_reader_t reader = {ca_key, give_ca_key}, other = {leaf_key, give_ca_key};
    const char *cert_file = text_file("reader.pem", pki_cert_pem(ca));
    mdm_signer_t *signer = NULL;

    refuse(mdm_signer_read(pki_pool, cert_file, "elsewhere", NULL, &reader, &signer), MDM_MSG_FILE,
           "not here");
    refuse(mdm_signer_read(pki_pool, cert_file, "somewhere", NULL, &other, &signer), MDM_MSG_FILE,
           "the key in somewhere does not belong to");
    assert_null(signer);
    assert_int_equal(mdm_signer_read(pki_pool, cert_file, "somewhere", NULL, &reader, &signer).kind,
                     MDM_OK);
    assert_ptr_equal(signer->key, ca_key);
}

static int setup(void **state)
{
    pki_setup(state);
    ca_key = pki_key_rsa(2048);
    leaf_key = pki_key_ec("P-256");
    ca =
        pki_cert("/C=US/O=Example/CN=CA", ca_key, NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});
    leaf = pki_cert("/CN=leaf", leaf_key, ca, ca_key, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read),
        cmocka_unit_test(encrypted_keys_are_refused),
        cmocka_unit_test(a_pass_phrase_opens_a_file),
        cmocka_unit_test(nobody_is_asked_for_a_plain_key),
        cmocka_unit_test(a_wrong_pass_phrase_may_be_typed_again),
        cmocka_unit_test(a_pass_phrase_is_taken_whole),
        cmocka_unit_test(what_is_no_key_is_not_asked_about),
        cmocka_unit_test(a_digest_is_of_the_content),
        cmocka_unit_test(a_signer_is_certificate_key_and_chain),
        cmocka_unit_test(a_reader_brings_the_key),
    };
    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
