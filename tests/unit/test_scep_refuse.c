/* SPDX-License-Identifier: Apache-2.0
 * mdm_scep: what is refused, how the client is told, and that nothing was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "scep_fixture.h"

/* --- challenges that do not count --- */

static void test_state_and_purpose(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    for (int s = MDM_STATE_OFFERED; s <= MDM_STATE_DELIVERED; s++)
        for (int purpose = MDM_PURPOSE_DEVICE; purpose <= MDM_PURPOSE_BINDING; purpose++) {
            int right = (purpose == MDM_PURPOSE_IDENTITY && s == MDM_STATE_IDENTIFYING) ||
                        (purpose == MDM_PURPOSE_MDM && s == MDM_STATE_DELIVERED);
            arrange((mdm_state_t)s, (mdm_purpose_t)purpose);
            ask(&opts);
            if (right) {
                granted();
                continue;
            }
            /* What binds a foreign certificate is read by others: it must get none of ours. */
            refused(purpose == MDM_PURPOSE_DEVICE || purpose == MDM_PURPOSE_BINDING
                        ? MDM_MSG_SCEP_CHALLENGE
                        : MDM_MSG_ENROLLMENT_STATE,
                    BAD_REQUEST);
            untouched();
            assert_int_equal(the_row()->state, s);
        }
}

static void test_expired(void **state)
{
    scep_opts_t opts = sound();
    apr_int64_t now = fake->clock;

    (void)state;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    fake->clock += SCEP_LIFETIME;
    ask(&opts);
    refused(MDM_MSG_CHALLENGE_EXPIRED, BAD_REQUEST);
    untouched();
    fake->clock = now;
    the_row()->expires_at = now;
    ask(&opts);
    refused(MDM_MSG_ENROLLMENT_EXPIRED, BAD_REQUEST);
    untouched();
    opts.challenge = "another secret";
    ask(&opts);
    refused(MDM_MSG_CHALLENGE_UNKNOWN, BAD_REQUEST);
    untouched();
}

static void test_challenge_attribute(void **state)
{
    scep_opts_t opts = sound();
    char *lengthy = apr_palloc(pki_pool, 258);

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    opts.challenge = NULL;
    ask(&opts);
    refused(MDM_MSG_SCEP_REQUEST, BAD_REQUEST);
    opts = sound();
    opts.challenge_values = 2;
    ask(&opts);
    refused(MDM_MSG_SCEP_REQUEST, BAD_REQUEST);
    opts = sound();
    opts.challenge_twice = 1;
    ask(&opts);
    refused(MDM_MSG_SCEP_REQUEST, BAD_REQUEST);
    opts = sound();
    opts.challenge_type = V_ASN1_OCTET_STRING;
    ask(&opts);
    refused(MDM_MSG_SCEP_REQUEST, BAD_REQUEST);
    opts = sound();
    opts.challenge = "";
    ask(&opts);
    refused(MDM_MSG_SCEP_REQUEST, BAD_REQUEST);
    memset(lengthy, 'x', 257);
    lengthy[257] = '\0';
    opts.challenge = lengthy;
    ask(&opts);
    refused(MDM_MSG_SCEP_REQUEST, BAD_REQUEST);
    opts.challenge = lengthy + 1; /* taken, and not known */
    ask(&opts);
    refused(MDM_MSG_CHALLENGE_UNKNOWN, BAD_REQUEST);
    untouched();
}

/* --- algorithms and keys --- */

static void bad_alg(scep_opts_t opts, mdm_message_t message)
{
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    refused(message, BAD_ALG);
    untouched();
}

static void test_algorithms(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    opts.single_des = 1;
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts.digest = EVP_sha1(); /* as scepclient sends both */
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    assert_string_equal(answer.digest, "SHA256");
    opts = sound();
    opts.cipher = EVP_des_ede3_cbc();
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts.cipher = EVP_camellia_128_cbc();
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts.cipher = EVP_aes_128_ofb();
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts = sound();
    opts.digest = EVP_md5();
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    assert_string_equal(answer.digest, "SHA256");
    opts = sound();
    opts.request_digest = EVP_md5();
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts = sound();
    opts.oaep = EVP_sha256();
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts = sound();
    opts.pss = 1;
    bad_alg(opts, MDM_MSG_SCEP_ALGORITHM);
    opts = sound();
    opts.signer_key = pki_key_ec("P-256");
    bad_alg(opts, MDM_MSG_SCEP_KEY);
}

static EVP_PKEY *key_with_exponent(BN_ULONG word, int shift)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *made = NULL;

    assert_true(BN_set_word(e, 1) && BN_lshift(e, e, shift) && BN_add_word(e, word));
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e), 1);
    assert_int_equal(EVP_PKEY_keygen(context, &made), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(context);
    return made;
}

/* Of more primes than two, since such keys are made in no time. */
static EVP_PKEY *long_key(int bits)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *made = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(context, 4), 1);
    assert_int_equal(EVP_PKEY_keygen(context, &made), 1);
    EVP_PKEY_CTX_free(context);
    return made;
}

static void test_keys(void **state)
{
    scep_opts_t opts = sound();
    EVP_PKEY *wide = key_with_exponent(15, 32), *odd = key_with_exponent(15, 31);
    EVP_PKEY *too_long = long_key(4104);

    (void)state;
    opts.key = pki_key_rsa(1024);
    bad_alg(opts, MDM_MSG_SCEP_KEY);
    opts.key = wide; /* 2^32 + 15 */
    bad_alg(opts, MDM_MSG_SCEP_KEY);
    opts.key = too_long;
    bad_alg(opts, MDM_MSG_SCEP_KEY);
    opts.key = odd; /* 2^31 + 15 */
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    granted();
    EVP_PKEY_free(wide);
    EVP_PKEY_free(odd);
    EVP_PKEY_free(too_long);
}

/* --- message types, signatures, envelopes --- */

static void test_message_types(void **state)
{
    static const char *const types[] = {"18", "3", "0", "x", "16", "23", "019", "19 ", "1", "-1"};
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        opts.type = types[i];
        ask(&opts);
        refused(MDM_MSG_SCEP_MESSAGE_TYPE, BAD_REQUEST);
    }
    untouched();
}

static void bad_message_check(scep_opts_t opts, mdm_message_t message)
{
    static const char *text;

    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    /* a random key makes a padding that holds once in 256 times */
    if (message == MDM_MSG_SCEP_DECRYPT && result.message == MDM_MSG_SCEP_PROOF)
        message = MDM_MSG_SCEP_PROOF;
    refused(message, BAD_MESSAGE_CHECK);
    untouched();
    /* one text for all that may depend on what was decrypted */
    if (text == NULL)
        text = answer.fail_text;
    assert_string_equal(answer.fail_text, text);
}

static void test_envelopes(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    opts.envelope_broken = 1; /* PKCS#1 padding, hidden by a random key */
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts.envelope_broken = 2; /* CBC padding */
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts = sound();
    opts.recipient = pki_cert("/O=Example/CN=CA", other_key, NULL, NULL, NULL);
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts.recipient = pki_cert("/CN=another name", ca_key, NULL, NULL, NULL);
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts = sound();
    opts.recipients = 8; /* and the right one */
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts.recipients = -1; /* none at all */
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts = sound();
    opts.not_enveloped = 1;
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts.plain = "no envelope";
    bad_message_check(opts, MDM_MSG_SCEP_DECRYPT);
    opts = sound();
    opts.plain = "not a request";
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    opts = sound();
    opts.request_trailing = 1;
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    assert_non_null(strstr(result.log, "not exactly one"));
    opts = sound();
    opts.plain = "\x30\x80\x02\x01\x01"; /* of indefinite length */
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    assert_non_null(strstr(result.log, "not exactly one"));
    opts.plain = "\x31\x03\x02\x01\x01";
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    opts = sound();
    opts.signer_key = opts.key;
    opts.key = pki_key_ec_explicit();
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    assert_non_null(strstr(result.log, "not exactly one")); /* so it was not decoded */
    opts = sound();
    opts.request_broken = 1;
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    opts = sound();
    opts.signer_key = other_key; /* a captured envelope, signed anew: not decoded either */
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    assert_non_null(strstr(result.log, "not exactly one"));
    opts.request_trailing = 1;
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
    assert_non_null(strstr(result.log, "not exactly one"));
    opts = sound();
    opts.signer_key = other_key;
    opts.key = pki_key_rsa(1024);
    bad_message_check(opts, MDM_MSG_SCEP_PROOF);
}

static void test_signatures(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    /* an attribute */
    exchange(scep_patch(message, "transaction-1", "transaction-2", 13), key);
    refused(MDM_MSG_SCEP_SIGNATURE, BAD_MESSAGE_CHECK);
    assert_string_equal(answer.transaction, "transaction-2");
    /* the signature itself */
    ((unsigned char *)message.data)[message.len - 1] ^= 1;
    exchange(message, key);
    refused(MDM_MSG_SCEP_SIGNATURE, BAD_MESSAGE_CHECK);
    ((unsigned char *)message.data)[message.len - 1] ^= 1;
    /* the content: its OID for AES-128-CBC becomes AES-256-CBC */
    exchange(scep_patch(message, "\x60\x86\x48\x01\x65\x03\x04\x01\x02",
                        "\x60\x86\x48\x01\x65\x03\x04\x01\x2a", 9),
             key);
    refused(MDM_MSG_SCEP_SIGNATURE, BAD_MESSAGE_CHECK);
    untouched();
    exchange(message, key);
    granted();
}

/* --- what cannot be answered --- */

static void unanswerable(scep_opts_t opts, mdm_message_t message)
{
    ask(&opts);
    malformed(message);
}

static void test_form(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    opts.two_signers = 1;
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    opts.two_signers = 2;
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    assert_non_null(strstr(result.log, "2 signers"));
    opts = sound();
    opts.no_certificate = 1;
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    opts.certificates = 2;
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    opts = sound();
    opts.certificates = 4; /* and the signer's */
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    opts = sound();
    opts.other_content_type = 1;
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    opts = sound();
    opts.detached = 1;
    unanswerable(opts, MDM_MSG_SCEP_MESSAGE);
    opts = sound();
    opts.no_attributes = 1;
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    untouched();
}

static void test_attributes(void **state)
{
    static const char *const oids[] = {SCEP_OID_TRANSACTION, SCEP_OID_TYPE, SCEP_OID_NONCE};
    static const char content_type[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
    static const char type_is_data[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09"
                                       "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    static const char type_is_enveloped[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09"
                                            "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
    static const char digest[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
    static const char unknown[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x3f";
    char *lengthy = apr_palloc(pki_pool, 258);
    scep_opts_t opts = sound();
    scep_bytes_t message;

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    for (int i = 0; i < 3; i++) {
        opts = sound();
        opts.omit = oids[i];
        unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
        opts = sound();
        opts.twice = oids[i];
        unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    }
    opts = sound();
    message = scep_message(&opts);
    exchange(scep_patch(message, content_type, unknown, 9), key);
    malformed(MDM_MSG_SCEP_ATTRIBUTES);
    exchange(scep_patch(message, type_is_data, type_is_enveloped, 22), key);
    malformed(MDM_MSG_SCEP_ATTRIBUTES);
    exchange(scep_patch(message, digest, unknown, 9), key);
    malformed(MDM_MSG_SCEP_ATTRIBUTES);
    exchange(scep_patch(message, digest, content_type, 9), key); /* now twice */
    malformed(MDM_MSG_SCEP_ATTRIBUTES);

    opts.nonce_len = 15;
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    opts.nonce_len = 17;
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    opts = sound();
    opts.transaction_type = V_ASN1_UTF8STRING;
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    opts = sound();
    opts.transaction = "";
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    opts.transaction = "line\nbreak";
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    memset(lengthy, 'x', 257);
    lengthy[257] = '\0';
    opts.transaction = lengthy;
    unanswerable(opts, MDM_MSG_SCEP_ATTRIBUTES);
    opts.transaction = lengthy + 1;
    untouched();
    ask(&opts);
    granted();
    assert_int_equal(strlen(answer.transaction), 256);
}

static void test_junk(void **state)
{
    static const char xml[] = "<?xml version=\"1.0\"?><plist/>";
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);
    unsigned char *big = apr_pcalloc(pki_pool, MDM_SCEP_MAX_BYTES + 1);

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    exchange((scep_bytes_t){big, 0}, key);
    malformed(MDM_MSG_SCEP_MESSAGE);
    exchange((scep_bytes_t){(const unsigned char *)xml, sizeof(xml) - 1}, key);
    malformed(MDM_MSG_SCEP_MESSAGE);
    memcpy(big, message.data, message.len);
    exchange((scep_bytes_t){big, message.len + 1}, key); /* something behind */
    malformed(MDM_MSG_SCEP_MESSAGE);
    exchange((scep_bytes_t){big, MDM_SCEP_MAX_BYTES + 1}, key);
    malformed(MDM_MSG_SCEP_MESSAGE);
    assert_non_null(strstr(result.log, "32769"));
    memset(big, 0x30, MDM_SCEP_MAX_BYTES);
    for (int i = 0; i < MDM_SCEP_MAX_BYTES; i += 2)
        big[i + 1] = 0x80; /* the deepest nesting that there is room for */
    exchange((scep_bytes_t){big, MDM_SCEP_MAX_BYTES}, key);
    malformed(MDM_MSG_SCEP_MESSAGE);
    for (apr_size_t len = 0; len < message.len; len += 7) {
        exchange((scep_bytes_t){apr_pmemdup(pki_pool, message.data, len), len}, key);
        malformed(MDM_MSG_SCEP_MESSAGE);
    }
    untouched();
    /* what a changed octet makes of it differs, but nothing crashes and no row is half done */
    for (apr_size_t at = 0; at < message.len; at += 7) {
        unsigned char *copy = apr_pmemdup(pki_pool, message.data, message.len);
        copy[at] ^= 0x55;
        arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
        result = mdm_scep_pki_operation(pki_pool, &settings, &fake->world, copy, message.len,
                                        &reply, &facts);
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(issued(), result.kind == MDM_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_and_purpose),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_challenge_attribute),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_message_types),
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_junk),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
