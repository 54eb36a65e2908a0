/* SPDX-License-Identifier: Apache-2.0
 * mdm_token: URIs, and keys in a token of SoftHSM. Depends on core, pki, and for the keys on
 * SoftHSM and libp11's engine, where they are installed.
 */
#include "mdm_token.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>
#include <cmocka.h>
#include <openssl/cms.h>
#include <openssl/err.h>

#include "mdm_key.h"
#include "pki.h"

#define PIN "1234-secret"
#define THREADS 4
#define SIGNATURES 10

static EVP_PKEY *ca_key;
static EVP_PKEY *leaf_key;
static X509 *ca;
static X509 *leaf;
static char token_folder[64]; /* empty: there is no token */

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
    assert_null(strstr(r.log, PIN));
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

/* --- URIs --- */

static void uris_are_told_from_files(void **state)
{
    (void)state;
    assert_true(mdm_token_is_uri("pkcs11:token=a;object=b"));
    assert_true(mdm_token_is_uri("PKCS11:"));
    assert_false(mdm_token_is_uri("/etc/pkcs11:x"));
    assert_false(mdm_token_is_uri("pkcs11"));
    assert_false(mdm_token_is_uri(""));
}

static void uris_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        const char *why; /* NULL: it is right */
    } cases[] = {
        {"pkcs11:token=a;object=b", NULL},
        {"pkcs11:serial=0123;id=%01%ff;type=private?pin-source=file:/etc/pin", NULL},
        {"pkcs11:model=x;manufacturer=y;token=My%20Token;object=b?pin-value=" PIN, NULL},
        {"pkcs11:token=a;object=b?pin-source=/etc/pin", NULL},
        {"pkcs11:token=a;object=b?pin-source=file:///etc/pin", NULL},
        {"pkcs11:", "names no token"},
        {"pkcs11:?", "names no token"},
        {"pkcs11:object=b", "names no token"},
        {"pkcs11:token=a", "names no key"},
        {"pkcs11:token=a;object=b;type=cert", "wanted: type=private"},
        {"pkcs11:token=a;token=c;object=b", "\"token\" twice"},
        {"pkcs11:token=;object=b", "\"token\" has no value"},
        {"pkcs11:token=My Token;object=b", "not percent-encoded"},
        {"pkcs11:token=a%2;object=b", "not percent-encoded"},
        {"pkcs11:token=a%00;object=b", "not percent-encoded"},
        {"pkcs11:token=\xC3\xA4;object=b", "not percent-encoded"},
        {"pkcs11:token=a;object=b;pin-value=" PIN, "\"pin-value\" belongs behind the \"?\""},
        {"pkcs11:token=a?object=b", "\"object\" belongs before the \"?\""},
        {"pkcs11:token=a;object=b?" PIN, "not served"},
        {"pkcs11:token=a;object=b?pin=" PIN, "not served"},
        {"pkcs11:token=a;object=b;" PIN "=x", "not served"},
        {"pkcs11:token=a;object=b?module-path=/lib/x.so", "not served"},
        {"pkcs11:token=a;object=b?pin-value=" PIN "&pin-source=file:/x", "both"},
        {"pkcs11:token=a;object=b?pin-source=|/bin/cat", "wanted: pin-source=file:/path"},
        {"pkcs11:token=a;object=b?pin-source=https://x/" PIN, "wanted: pin-source=file:/path"},
        {"pkcs11:token=a;object=b?pin-source=file://host/x", "wanted: pin-source=file:/path"},
        {"pkcs11:token=a;object=b?pin-source=file:", "wanted: pin-source=file:/path"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = mdm_token_check(pki_pool, cases[i].uri);
        const char *name = mdm_key_name(pki_pool, cases[i].uri);
        EVP_PKEY *key;

        if (!why != !cases[i].why || (why && !strstr(why, cases[i].why)))
            print_message("%s: %s\n", cases[i].uri, why ? why : "taken");
        assert_int_equal(!why, !cases[i].why);
        assert_null(strstr(name, PIN));
        if (why) {
            assert_non_null(strstr(why, cases[i].why));
            assert_null(strstr(why, PIN));
            assert_string_equal(name, "pkcs11:...");
            refuse(mdm_key_read(pki_pool, cases[i].uri, NULL, &key), MDM_MSG_FILE, cases[i].why);
        }
    }
}

static void a_name_is_the_uri_without_its_pin(void **state)
{
    (void)state;
    const char *uri = "PKCS11:object=my%20key;token=a?pin-source=file:/etc/a%20pin";
    assert_string_equal(mdm_token_name(pki_pool, uri),
                        "pkcs11:token=a;object=my%20key;type=private");
    assert_string_equal(mdm_token_pin_file(pki_pool, uri), "/etc/a pin");
    assert_null(mdm_token_pin_file(pki_pool, "pkcs11:token=a;object=b?pin-value=1"));
    assert_null(mdm_token_pin_file(pki_pool, "pkcs11:nothing"));
    assert_string_equal(mdm_key_name(pki_pool, "/etc/ca.key"), "/etc/ca.key");
}

/* --- a token --- */

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *command = apr_pvsprintf(pki_pool, fmt, args);
    va_end(args);
    return system(command);
}

static void import(EVP_PKEY *key, const char *label, const char *id)
{
    const char *file = text_file(label, pki_key_pem(key, NULL));
    assert_int_equal(run("softhsm2-util --import %s --token unit --pin %s --label %s --id %s "
                         ">/dev/null",
                         file, PIN, label, id),
                     0);
}

/* SoftHSM and libp11's engine, or the folder stays empty. p11-kit's proxy, the engine's own choice,
 * would look at the whole machine. */
static void make_token(void)
{
    const char *module = NULL;
    char line[256];
    FILE *found = popen("ls /usr/lib*/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so "
                        "/usr/lib*/pkcs11/libsofthsm2.so 2>/dev/null",
                        "r");

    if (found && fgets(line, sizeof(line), found)) {
        line[strcspn(line, "\n")] = '\0';
        module = line;
    }
    if (found)
        pclose(found);
    if (!module || run("command -v softhsm2-util >/dev/null") != 0 ||
        run("openssl engine pkcs11 >/dev/null 2>&1") != 0)
        return;
    strcpy(token_folder, "/tmp/mdm-unit-token-XXXXXX");
    assert_non_null(mkdtemp(token_folder));
    const char *conf = apr_psprintf(pki_pool, "directories.tokendir = %s\n", token_folder);
    assert_int_equal(setenv("SOFTHSM2_CONF", text_file("softhsm2.conf", conf), 1), 0);
    assert_int_equal(setenv("PKCS11_MODULE_PATH", module, 1), 0);
    assert_int_equal(run("softhsm2-util --init-token --free --label unit --pin %s --so-pin 5678 "
                         ">/dev/null",
                         PIN),
                     0);
    import(ca_key, "ca", "01");
    import(leaf_key, "leaf", "02");
}

static void need_token(void)
{
    if (!*token_folder) {
        print_message("no SoftHSM, or no engine for it\n");
        skip();
    }
}

static int signs(EVP_PKEY *key, EVP_PKEY *public_key)
{
    unsigned char signature[512];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"text", 4) == 1;
    EVP_MD_CTX_free(ctx);
    ctx = EVP_MD_CTX_new();
    ok = ok && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, public_key) == 1 &&
         EVP_DigestVerify(ctx, signature, len, (const unsigned char *)"text", 4) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static void *sign_often(void *pair)
{
    EVP_PKEY *const *keys = pair;
    intptr_t good = 0;
    for (int i = 0; i < SIGNATURES; i++)
        good += signs(keys[0], keys[1]);
    return (void *)good;
}

/* In a child of a fork, as httpd's are, by several threads at once. */
static void sign_in_a_child(const char *uri, EVP_PKEY *key, EVP_PKEY *public_key)
{
    EVP_PKEY *pair[] = {key, public_key};
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        pthread_t threads[THREADS];
        intptr_t good = 0;
        if (mdm_token_try_key(pki_pool, uri, key).kind != MDM_OK)
            _exit(2);
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, sign_often, pair);
        for (int i = 0; i < THREADS; i++) {
            void *result;
            pthread_join(threads[i], &result);
            good += (intptr_t)result;
        }
        _exit(good == THREADS * SIGNATURES ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void keys_of_a_token_sign(void **state)
{
    (void)state;
    const char *pin_file = text_file("pin", PIN "\n");
    const char *cert_files[] = {text_file("token-ca.pem", pki_cert_pem(ca)),
                                text_file("token-leaf.pem", pki_cert_pem(leaf))};
    const char *uris[] = {
        "pkcs11:token=unit;object=ca?pin-value=" PIN,
        apr_pstrcat(pki_pool, "pkcs11:token=unit;id=%02?pin-source=file:", pin_file, NULL)};
    need_token();
    for (int i = 0; i < 2; i++) {
        mdm_signer_t *signer = NULL;
        mdm_result_t r = mdm_signer_read(pki_pool, cert_files[i], uris[i], NULL, NULL, &signer);
        if (r.kind != MDM_OK)
            print_message("%s\n", r.log);
        assert_int_equal(r.kind, MDM_OK);
        no_errors_left();
        assert_true(signs(signer->key, X509_get0_pubkey(signer->cert)));
        sign_in_a_child(uris[i], signer->key, X509_get0_pubkey(signer->cert));

        signer = NULL;
        refuse(mdm_signer_read(pki_pool, cert_files[1 - i], uris[i], NULL, NULL, &signer),
               MDM_MSG_FILE, "does not belong to");
        assert_null(signer);
    }
}

static void a_key_of_a_token_decrypts(void **state)
{
    (void)state;
    EVP_PKEY *key = NULL;
    char plain[16] = "";
    need_token();
    assert_int_equal(
        mdm_key_read(pki_pool, "pkcs11:token=unit;object=ca?pin-value=" PIN, NULL, &key).kind,
        MDM_OK);
    STACK_OF(X509) *to = sk_X509_new_null();
    sk_X509_push(to, ca);
    BIO *in = BIO_new_mem_buf("in an envelope", -1), *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *envelope = CMS_encrypt(to, in, EVP_aes_128_cbc(), CMS_BINARY);
    assert_non_null(envelope);
    assert_int_equal(CMS_decrypt(envelope, key, ca, NULL, out, CMS_BINARY), 1);
    assert_int_equal(BIO_read(out, plain, sizeof(plain) - 1), 14);
    assert_string_equal(plain, "in an envelope");
    CMS_ContentInfo_free(envelope);
    BIO_free(in);
    BIO_free(out);
    sk_X509_free(to);
    no_errors_left();
}

static void a_pin_is_asked_for_once(void **state)
{
    (void)state;
    static const char uri[] = "pkcs11:token=unit;object=ca";
    person_t person = PERSON("wrong", PIN, NULL);
    mdm_asker_t asker = {&person, 3, answer};
    EVP_PKEY *key = NULL;
    need_token();
    /* a token counts the wrong ones */
    refuse(mdm_key_read(pki_pool, uri, &asker, &key), MDM_MSG_FILE, "PIN");
    assert_int_equal(person.questions, 1);
    assert_string_equal(person.name, "pkcs11:token=unit;object=ca;type=private");
    assert_int_equal(mdm_key_read(pki_pool, uri, &asker, &key).kind, MDM_OK);
    assert_int_equal(person.questions, 2);
    assert_int_equal(EVP_PKEY_eq(key, ca_key), 1);
    key = NULL;
    refuse(mdm_key_read(pki_pool, uri, &asker, &key), MDM_MSG_FILE, "nobody is in");
    refuse(mdm_key_read(pki_pool, uri, NULL, &key), MDM_MSG_FILE, "nobody to ask");
    assert_null(key);
}

static void what_is_not_in_a_token_is_said(void **state)
{
    (void)state;
    EVP_PKEY *key = NULL;
    const char *empty = text_file("no-pin", "\n" PIN);
    const char *long_pin = text_file("long-pin", apr_psprintf(pki_pool, "%2000s", ""));
    need_token();
    refuse(mdm_key_read(pki_pool, "pkcs11:token=unit;object=none?pin-value=" PIN, NULL, &key),
           MDM_MSG_FILE, "pkcs11:token=unit;object=none;type=private cannot be used: ");
    refuse(mdm_key_read(pki_pool, "pkcs11:token=none;object=ca?pin-value=" PIN, NULL, &key),
           MDM_MSG_FILE, "pkcs11:token=none;object=ca;type=private cannot be used: ");
    refuse(mdm_key_read(pki_pool, "pkcs11:token=unit;object=ca?pin-source=file:/none", NULL, &key),
           MDM_MSG_FILE, "its PIN cannot be read from /none: No such file");
    refuse(
        mdm_key_read(pki_pool,
                     apr_pstrcat(pki_pool, "pkcs11:token=unit;object=ca?pin-source=", empty, NULL),
                     NULL, &key),
        MDM_MSG_FILE, "is empty; it must be the PIN");
    refuse(mdm_key_read(
               pki_pool,
               apr_pstrcat(pki_pool, "pkcs11:token=unit;object=ca?pin-source=", long_pin, NULL),
               NULL, &key),
           MDM_MSG_FILE, "is too long; it must be the PIN");
    assert_null(key);
}

/* --- all --- */

static int setup(void **state)
{
    pki_setup(state);
    ca_key = pki_key_rsa(2048);
    leaf_key = pki_key_ec("P-256");
    ca =
        pki_cert("/C=US/O=Example/CN=CA", ca_key, NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});
    leaf = pki_cert("/CN=leaf", leaf_key, ca, ca_key, NULL);
    make_token();
    return 0;
}

static int teardown(void **state)
{
    if (*token_folder && run("rm -r %s", token_folder) != 0)
        return -1;
    return pki_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_are_told_from_files),
        cmocka_unit_test(uris_are_checked),
        cmocka_unit_test(a_name_is_the_uri_without_its_pin),
        cmocka_unit_test(a_pin_is_asked_for_once), /* first: later the token is logged in to */
        cmocka_unit_test(keys_of_a_token_sign),
        cmocka_unit_test(a_key_of_a_token_decrypts),
        cmocka_unit_test(what_is_not_in_a_token_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
