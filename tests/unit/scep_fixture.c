/* SPDX-License-Identifier: Apache-2.0
 * For unit tests of mdm_scep: one enrollment, one challenge, one exchange at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_time.h>
#include <openssl/err.h>

#include "scep_fixture.h"

EVP_PKEY *ca_key, *key, *other_key;
mdm_signer_t signer;
mdm_trust_t *trust;
mdm_scep_settings_t settings;
fake_world_t *fake;
mdm_result_t result;
mdm_scep_reply_t reply;
mdm_scep_facts_t facts;
scep_answer_t answer;

int setup(void **state)
{
    const pki_opts_t opts = {.constraints = PKI_CA};
    int failed = pki_setup(state);
    static mdm_ca_settings_t ca_settings;
    mdm_ca_t *ca;

    ca_key = pki_key_rsa(2048);
    key = pki_key_rsa(2048);
    other_key = pki_key_rsa(2048);
    signer = (mdm_signer_t){.cert = pki_cert("/O=Example/CN=CA", ca_key, NULL, NULL, &opts),
                            .key = ca_key};
    fake = fake_world_create(pki_pool);
    fake->clock = apr_time_sec(apr_time_now());
    ca_settings = (mdm_ca_settings_t){
        .signer = &signer, .responder = 1, .organization = "Example", .validity = 365 * DAY};
    trust = mdm_trust_create(pki_pool);
    if (mdm_ca_create(pki_pool, &ca_settings, &ca).kind != MDM_OK ||
        mdm_trust_add_identity_ca(trust, signer.cert).kind != MDM_OK)
        return 1;
    settings = (mdm_scep_settings_t){
        .rules = {.ca = ca, .trust = trust, .lifetime = SCEP_LIFETIME, .renewal = 30 * DAY},
        .responder = &signer,
    };
    return failed || mdm_scep_prepare(pki_pool, &settings).kind != MDM_OK;
}

mdm_enrollment_t *the_row(void)
{
    return fake_store_enrollment(fake->store, ID);
}

/* One enrollment in a state, with SECRET as its challenge for a purpose. */
void arrange(mdm_state_t state, mdm_purpose_t purpose)
{
    const mdm_enrollment_t row = {
        .id = ID,
        .flow = "ota",
        .site = FAKE_SITE,
        .rules = FAKE_RULES,
        .state = state,
        .user = "anna",
        .udid = "00008030-001A2B3C4D5E6F70",
        .serial = "F2LX1234ABCD",
        .product = "iPhone17,2",
        .os_version = "18.1",
        .device_fingerprint = "d0",
        .identity_fingerprint = "",
        .terms = "",
        .created_at = fake->clock,
        .updated_at = fake->clock,
        .expires_at = fake->clock + SCEP_LIFETIME,
    };

    fake_store_reset(fake->store);
    fake_store_put_enrollment(fake->store, &row);
    assert_int_equal(
        mdm_challenge_store(pki_pool, &fake->world, SECRET, ID, purpose, SCEP_LIFETIME).kind,
        MDM_OK);
    fake->store->writes = 0;
}

int issued(void)
{
    return fake->store->certificates->nelts;
}

mdm_certificate_t *recorded(int index)
{
    assert_true(index < issued());
    return APR_ARRAY_IDX(fake->store->certificates, index, mdm_certificate_t *);
}

const mdm_certificate_t *record(void)
{
    assert_int_equal(issued(), 1);
    return recorded(0);
}

/* Every exchange: the answer is of the form promised, and OpenSSL's error queue is clean. */
void exchange(scep_bytes_t message, EVP_PKEY *client)
{
    ERR_clear_error();
    result = mdm_scep_pki_operation(pki_pool, &settings, &fake->world, message.data, message.len,
                                    &reply, &facts);
    assert_int_equal(ERR_peek_error(), 0);
    assert_true(facts.transaction && facts.enrollment && facts.user && facts.udid && facts.serial &&
                facts.certificate);
    memset(&answer, 0, sizeof(answer));
    if (reply.body == NULL) {
        assert_true(result.kind != MDM_OK && result.kind != MDM_REFUSED);
        return;
    }
    assert_true(result.kind == MDM_OK || result.kind == MDM_REFUSED);
    assert_string_equal(reply.content_type, "application/x-pki-message");
    answer = scep_read((scep_bytes_t){(const unsigned char *)reply.body, reply.len}, signer.cert,
                       client);
    assert_string_equal(answer.type, "3");
    assert_string_equal(answer.recipient_nonce, SCEP_NONCE);
    assert_int_equal(answer.sender_nonce.len, 16);
    assert_string_equal(answer.signature, "rsaEncryption");
}

void ask(const scep_opts_t *opts)
{
    exchange(scep_message(opts), opts->signer_key != NULL ? opts->signer_key : opts->key);
}

scep_opts_t sound(void)
{
    return (scep_opts_t){.key = key, .recipient = signer.cert, .challenge = SECRET};
}

void granted_anew(int index)
{
    if (result.kind != MDM_OK)
        fail_msg("refused: %s", result.log);
    assert_string_equal(answer.status, "0");
    assert_int_equal(answer.certificates, 1);
    assert_int_equal(issued(), index + 1);
    assert_string_equal(mdm_x509_fingerprint(pki_pool, answer.cert), recorded(index)->fingerprint);
}

void granted(void)
{
    if (result.kind != MDM_OK)
        fail_msg("refused: %s", result.log);
    assert_string_equal(answer.status, "0");
    assert_null(answer.fail_info);
    assert_null(answer.fail_text);
    assert_int_equal(answer.certificates, 1);
    assert_string_equal(mdm_x509_fingerprint(pki_pool, answer.cert), record()->fingerprint);
}

/* A CertRep FAILURE. */
void refused(mdm_message_t message, const char *fail_info)
{
    if (result.message != message)
        fail_msg("message %d instead of %d: %s", result.message, message, result.log);
    assert_non_null(reply.body);
    assert_string_equal(answer.status, "2");
    assert_string_equal(answer.fail_info, fail_info);
    assert_string_equal(answer.fail_text, result.user);
    assert_int_equal(answer.content_len, 0);
    assert_string_equal(facts.certificate, "");
    assert_null(strstr(result.log, SECRET));
}

/* No CertRep is possible. */
void malformed(mdm_message_t message)
{
    if (result.message != message)
        fail_msg("message %d instead of %d: %s", result.message, message, result.log);
    assert_int_equal(result.kind, MDM_MALFORMED);
    assert_null(reply.body);
    assert_null(reply.content_type);
}

/* What is refused before its challenge is looked at changes nothing. */
void untouched(void)
{
    assert_int_equal(fake->store->writes, 0);
    assert_int_equal(issued(), 0);
}
