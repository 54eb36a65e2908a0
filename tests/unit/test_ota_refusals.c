/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_ota: every refusal with its message id, without an answer and without a write
 * (but for the note of a refusal by policy or directory).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <openssl/cms.h>

#include "ota_site.h"
#include "pki.h"

/* --- refusals: form --- */

static void form(void **state)
{
    ota_site_t *site = ota_site_offered();
    const char *good = ota_attributes(site->challenge);
    ota_bytes_t body = ota_phase2_message(site), other;
    unsigned char *copy = apr_palloc(pki_pool, body.len + 1);

    (void)state;
    ota_assert_refused(site, (ota_bytes_t){(const unsigned char *)"hello", 5}, MDM_MSG_CMS_DECODE);
    ota_assert_refused(site, (ota_bytes_t){copy, 0}, MDM_MSG_CMS_DECODE);
    ota_assert_refused(site, (ota_bytes_t){body.data, body.len - 1}, MDM_MSG_CMS_DECODE);
    memcpy(copy, body.data, body.len);
    copy[body.len] = 0;
    ota_assert_refused(site, (ota_bytes_t){copy, body.len + 1}, MDM_MSG_CMS_TRAILING);
    other = ota_message(&(ota_message_t){.flags = CMS_DETACHED, .content = good});
    ota_assert_refused(site, other, MDM_MSG_CMS_DETACHED);
    other = ota_message(&(ota_message_t){.content_type = NID_pkcs7_signed, .content = good});
    ota_assert_refused(site, other, MDM_MSG_CMS_CONTENT_TYPE);
    other = ota_message(&(ota_message_t){.two_signers = 1, .content = good});
    ota_assert_refused(site, other, MDM_MSG_CMS_SIGNERS);
    other = ota_message(&(ota_message_t){.flags = CMS_NOCERTS, .content = good});
    ota_assert_refused(site, other, MDM_MSG_CMS_SIGNER_CERTIFICATE);
    other = ota_message(&(ota_message_t){.digest = EVP_md5(), .content = good});
    ota_assert_refused(site, other, MDM_MSG_CMS_ALGORITHM);
    copy = apr_palloc(pki_pool, MDM_OTA_MAX_BYTES + 1);
    ota_assert_refused(site, (ota_bytes_t){copy, MDM_OTA_MAX_BYTES + 1},
                       MDM_MSG_HTTP_BODY_TOO_LARGE);

    /* after all of that the offer still stands */
    assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
}

static void altered_content(void **state)
{
    (void)state;
    for (int noattr = 0; noattr <= 1; noattr++) {
        ota_site_t *site = ota_site_offered();
        ota_bytes_t body = ota_message(&(ota_message_t){
            .flags = noattr ? CMS_NOATTR : 0, .content = ota_attributes(site->challenge)});
        unsigned char *copy = apr_pmemdup(pki_pool, body.data, body.len);
        int changed = 0;

        for (apr_size_t i = 0; i + strlen(OTA_SERIAL) <= body.len; i++)
            if (memcmp(copy + i, OTA_SERIAL, strlen(OTA_SERIAL)) == 0) {
                copy[i] = 'D';
                changed++;
            }
        assert_int_equal(changed, 1);
        ota_assert_refused(site, (ota_bytes_t){copy, body.len}, MDM_MSG_CMS_SIGNATURE);
        assert_int_equal(site->facts.phase, 0);
        assert_null(site->facts.device);
    }
}

static void content_form(void **state)
{
    ota_site_t *site = ota_site_offered();
    const char *nested =
        apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", OTA_SERIAL),
                    ota_key("CHALLENGE", site->challenge), "<key>X</key><array></array>", NULL);
    char *too_long = apr_palloc(pki_pool, 1025);

    (void)state;
    memset(too_long, 'x', 1024);
    too_long[1024] = '\0';
    ota_assert_refused(site, ota_message(&(ota_message_t){.content = "bplist00"}),
                       MDM_MSG_PLIST_FORMAT);
    ota_assert_refused(site, ota_message(&(ota_message_t){.content = "{\"UDID\":\"x\"}"}),
                       MDM_MSG_PLIST_FORMAT);
    ota_assert_refused(
        site,
        ota_message(&(ota_message_t){.content = "<?xml version=\"1.0\"?><!DOCTYPE plist "
                                                "[<!ENTITY a \"b\">]>"
                                                "<plist version=\"1.0\"><dict/></plist>"}),
        MDM_MSG_PLIST_FORMAT);
    ota_assert_refused(site, ota_message(&(ota_message_t){.content = ota_plist(nested)}),
                       MDM_MSG_PLIST_STRUCTURE);
    ota_assert_refused(
        site,
        ota_message(&(ota_message_t){
            .content = ota_plist(apr_pstrcat(pki_pool, ota_key("UDID", too_long),
                                             ota_key("CHALLENGE", site->challenge), NULL))}),
        MDM_MSG_PLIST_VALUE);
}

/* --- refusals: who signed it --- */

static void signers(void **state)
{
    ota_site_t *site = ota_site_offered();
    const char *good = ota_attributes(site->challenge);
    const pki_opts_t expired = {.not_before = -7200, .not_after = -3600};
    const pki_opts_t critical = {.critical_oid = "1.2.3.4.5"};
    EVP_PKEY *weak = pki_key_rsa(1024), *rogue = pki_key_rsa(1024);
    const struct {
        X509 *cert;
        EVP_PKEY *key;
        mdm_message_t expected;
    } cases[] = {
        {ota_vhost, ota_vhost_key, MDM_MSG_SIGNER_UNKNOWN_ISSUER},
        /* the anchor itself */
        {ota_device_ca, ota_device_ca_key, MDM_MSG_SIGNER_IS_CA},
        {ota_ca, ota_ca_key, MDM_MSG_SIGNER_IS_CA},
        /* issued by a leaf */
        {pki_cert("/CN=sub", ota_ec_key, ota_device, ota_device_key, NULL), ota_ec_key,
         MDM_MSG_SIGNER_UNKNOWN_ISSUER},
        /* a rogue CA with the right name */
        {pki_cert("/CN=device", ota_ec_key, ota_device_ca, rogue, NULL), ota_ec_key,
         MDM_MSG_SIGNER_UNKNOWN_ISSUER},
        {pki_cert("/CN=x", ota_ec_key, ota_device_ca, ota_device_ca_key, &critical), ota_ec_key,
         MDM_MSG_SIGNER_CERTIFICATE},
        {pki_cert("/CN=x", ota_identity_key, ota_ca, ota_ca_key, &expired), ota_identity_key,
         MDM_MSG_SIGNER_EXPIRED},
        {pki_cert("/CN=x", weak, ota_ca, ota_ca_key, NULL), weak, MDM_MSG_SIGNER_KEY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ota_assert_refused(site,
                           ota_message(&(ota_message_t){
                               .cert = cases[i].cert, .key = cases[i].key, .content = good}),
                           cases[i].expected);
        assert_int_equal(site->facts.phase, 0);
        /* of a stranger's content, not a byte is looked at */
        ota_assert_refused(site,
                           ota_message(&(ota_message_t){
                               .cert = cases[i].cert, .key = cases[i].key, .content = "no plist"}),
                           cases[i].expected);
    }
    assert_true(mdm_trust_deny(site->trust, mdm_x509_fingerprint(pki_pool, ota_device)));
    ota_assert_refused(site, ota_phase2_message(site), MDM_MSG_SIGNER_DENIED);
    ota_assert_refused(site,
                       ota_message(&(ota_message_t){
                           .cert = ota_device, .key = ota_device_key, .content = "no plist"}),
                       MDM_MSG_SIGNER_DENIED);
}

/* SHA-1 is for built-in identities only. */
static void sha1_in_phase3(void **state)
{
    ota_site_t *site = ota_site_identified();

    (void)state;
    ota_assert_refused(site,
                       ota_message(&(ota_message_t){.cert = ota_identity,
                                                    .key = ota_identity_key,
                                                    .digest = EVP_sha1(),
                                                    .content = ota_attributes(NULL)}),
                       MDM_MSG_CMS_ALGORITHM);
}

/* --- refusals: phase 2 --- */

static ota_bytes_t with_keys(const char *keys)
{
    return ota_message(&(ota_message_t){.content = ota_plist(keys)});
}

static void phase2_challenge(void **state)
{
    ota_site_t *site = ota_site_offered();
    const char *identity_challenge = mdm_challenge_make(pki_pool, &site->fake->world);

    (void)state;
    ota_assert_refused(site, ota_message(&(ota_message_t){.content = ota_attributes(NULL)}),
                       MDM_MSG_CHALLENGE_MISSING);
    ota_assert_refused(site, ota_message(&(ota_message_t){.content = ota_attributes("")}),
                       MDM_MSG_CHALLENGE_MISSING);
    ota_assert_refused(site, ota_message(&(ota_message_t){.content = ota_attributes("wrong")}),
                       MDM_MSG_CHALLENGE_UNKNOWN);
    mdm_challenge_store(pki_pool, &site->fake->world, identity_challenge, site->id,
                        MDM_PURPOSE_IDENTITY, OTA_LIFETIME);
    ota_assert_refused(site,
                       ota_message(&(ota_message_t){.content = ota_attributes(identity_challenge)}),
                       MDM_MSG_CHALLENGE_UNKNOWN);
    assert_string_equal(site->facts.enrollment, "");
    assert_int_equal(site->facts.phase, 2);
    assert_int_equal(site->fake->policy_calls + site->fake->directory_calls, 0);
    site->fake->clock += OTA_LIFETIME;
    ota_assert_refused(site, ota_phase2_message(site), MDM_MSG_CHALLENGE_EXPIRED);
}

static void phase2_twice(void **state)
{
    ota_site_t *site = ota_site_offered();
    ota_bytes_t body = ota_phase2_message(site);

    (void)state;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
    assert_string_equal(site->facts.enrollment, site->id);
    ota_stored(site)->state = MDM_STATE_DELIVERED;
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
    ota_stored(site)->state = MDM_STATE_OFFERED;
    ota_stored(site)->expires_at = site->fake->clock;
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_EXPIRED);
}

static void phase2_device(void **state)
{
    ota_site_t *site = ota_site_offered();
    const char *challenge = ota_key("CHALLENGE", site->challenge);
    const char *const bad[] = {
        apr_pstrcat(pki_pool, ota_key("SERIAL", OTA_SERIAL), challenge, NULL),
        apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), challenge, NULL),
        apr_pstrcat(pki_pool, ota_key("UDID", ""), ota_key("SERIAL", OTA_SERIAL), challenge, NULL),
        apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", ""), challenge, NULL),
        apr_pstrcat(pki_pool, ota_key("UDID", "a b"), ota_key("SERIAL", OTA_SERIAL), challenge,
                    NULL),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ota_assert_refused(site, with_keys(bad[i]), MDM_MSG_DEVICE_IDENTITY_MISSING);
    assert_int_equal(site->fake->policy_calls + site->fake->directory_calls, 0);
}

/* --- refusals: phase 3 --- */

static void phase3_certificate(void **state)
{
    ota_site_t *site = ota_site_identified();
    const char *fingerprint = mdm_x509_fingerprint(pki_pool, ota_identity);
    X509 *unknown = pki_cert("/O=Example/CN=" OTA_UDID, ota_identity_key, ota_ca, ota_ca_key, NULL);
    mdm_certificate_t *record = fake_store_certificate(site->fake->store, fingerprint);

    (void)state;
    ota_assert_refused(site,
                       ota_message(&(ota_message_t){.cert = unknown,
                                                    .key = ota_identity_key,
                                                    .content = ota_attributes(NULL)}),
                       MDM_MSG_CERTIFICATE_UNKNOWN);
    record->revoked_at = site->fake->clock - 1;
    ota_assert_refused(site, ota_phase3_message(), MDM_MSG_CERTIFICATE_REVOKED);
    record->revoked_at = 0;
    record->purpose = MDM_PURPOSE_MDM;
    ota_assert_refused(site, ota_phase3_message(), MDM_MSG_CERTIFICATE_PURPOSE);
    record->purpose = MDM_PURPOSE_IDENTITY;
    record->enrollment = "gone";
    ota_assert_refused(site, ota_phase3_message(), MDM_MSG_CERTIFICATE_UNKNOWN);
    record->enrollment = site->id;
    ota_stored(site)->site = "another site";
    ota_assert_refused(site, ota_phase3_message(), MDM_MSG_CERTIFICATE_UNKNOWN);
    assert_string_equal(site->facts.enrollment, "");
    ota_stored(site)->site = FAKE_SITE;
    ota_stored(site)->identity_fingerprint = "another";
    ota_assert_refused(site, ota_phase3_message(), MDM_MSG_CERTIFICATE_UNKNOWN);
    ota_stored(site)->identity_fingerprint = fingerprint;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
}

static void phase3_state(void **state)
{
    ota_site_t *site = ota_site_identified();
    ota_bytes_t body = ota_phase3_message();

    (void)state;
    ota_stored(site)->state = MDM_STATE_IDENTIFYING;
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
    ota_stored(site)->state = MDM_STATE_IDENTIFIED;
    site->fake->clock = ota_stored(site)->expires_at;
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_EXPIRED);
    site->fake->clock--;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE); /* twice */
    assert_string_equal(site->facts.user, "anna");
}

static void phase3_device(void **state)
{
    ota_site_t *site = ota_site_identified();
    const char *const bad[] = {
        apr_pstrcat(pki_pool, ota_key("UDID", "another"), ota_key("SERIAL", OTA_SERIAL), NULL),
        apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", "another"), NULL),
        ota_key("UDID", OTA_UDID),
        ota_key("SERIAL", OTA_SERIAL),
        apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", ""), NULL),
    };
    int asked = site->fake->policy_calls;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ota_assert_refused(site,
                           ota_message(&(ota_message_t){.cert = ota_identity,
                                                        .key = ota_identity_key,
                                                        .content = ota_plist(bad[i])}),
                           MDM_MSG_DEVICE_MISMATCH);
    assert_int_equal(site->fake->policy_calls, asked);
}

/* --- refusals: the certificate of the TLS handshake --- */

static void tls_in_phase2(void **state)
{
    ota_site_t *site = ota_site_offered();
    X509 *other_device = pki_cert("/CN=other", ota_ec_key, ota_device_ca, ota_device_ca_key, NULL);
    ota_bytes_t body = ota_phase2_message(site);

    (void)state;
    site->settings.tls_certificate = MDM_TLS_CERTIFICATE_REQUIRE;
    ota_assert_refused(site, body, MDM_MSG_TLS_CERTIFICATE_MISSING);
    site->request.tls_certificate = other_device; /* sound, but of another device */
    ota_assert_refused(site, body, MDM_MSG_TLS_CERTIFICATE_FOREIGN);
    site->settings.tls_certificate = MDM_TLS_CERTIFICATE_OPTIONAL;
    ota_assert_refused(site, body, MDM_MSG_TLS_CERTIFICATE_FOREIGN);
    site->request.tls_certificate = ota_vhost; /* issued by nobody */
    ota_assert_refused(site, body, MDM_MSG_TLS_CERTIFICATE_FOREIGN);
    site->settings.tls_certificate = MDM_TLS_CERTIFICATE_REQUIRE;
    site->request.tls_certificate = ota_device;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
}

static void tls_off(void **state)
{
    ota_site_t *site = ota_site_offered();

    (void)state;
    site->settings.tls_certificate = MDM_TLS_CERTIFICATE_OFF;
    site->request.tls_certificate = ota_vhost;
    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_NONE);
}

static void tls_in_phase3(void **state)
{
    const pki_opts_t expired = {.not_before = -7200, .not_after = -3600};
    X509 *sibling = pki_cert("/CN=sibling", ota_ec_key, ota_ca, ota_ca_key, NULL);
    X509 *old = pki_cert("/CN=old", ota_ec_key, ota_ca, ota_ca_key, &expired);
    const struct {
        X509 *cert;
        int revoked, of_another;
        mdm_message_t expected;
    } cases[] = {
        {ota_identity, 0, 0, MDM_MSG_NONE}, /* the signer */
        {ota_device, 0, 0, MDM_MSG_NONE},   /* the signer of phase 2 */
        {sibling, 0, 0, MDM_MSG_NONE},      /* another of the same enrollment */
        {sibling, 1, 0, MDM_MSG_TLS_CERTIFICATE_FOREIGN},
        {sibling, 0, 1, MDM_MSG_TLS_CERTIFICATE_FOREIGN},
        {old, 0, 0, MDM_MSG_TLS_CERTIFICATE_FOREIGN},
        {ota_vhost, 0, 0, MDM_MSG_TLS_CERTIFICATE_FOREIGN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ota_site_t *site = ota_site_identified();
        mdm_certificate_t record = ota_certificate(site, cases[i].cert, MDM_PURPOSE_MDM);

        if (cases[i].of_another)
            record.enrollment = "another";
        record.revoked_at = cases[i].revoked;
        if (cases[i].cert != ota_identity && cases[i].cert != ota_device)
            fake_store_put_certificate(site->fake->store, &record);
        site->settings.tls_certificate = MDM_TLS_CERTIFICATE_REQUIRE;
        ota_assert_refused(site, ota_phase3_message(), MDM_MSG_TLS_CERTIFICATE_MISSING);
        site->request.tls_certificate = cases[i].cert;
        if (cases[i].expected == MDM_MSG_NONE)
            assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
        else
            ota_assert_refused(site, ota_phase3_message(), cases[i].expected);
    }
}

/* --- policy and directory --- */

static void not_allowed(void **state)
{
    static const struct {
        mdm_message_t policy, directory, expected;
        mdm_kind_t kind;
        const char *noted;
    } cases[] = {
        {MDM_MSG_POLICY_REFUSED, MDM_MSG_NONE, MDM_MSG_POLICY_REFUSED, MDM_REFUSED, "MDM0400"},
        {MDM_MSG_POLICY_EXPRESSION, MDM_MSG_NONE, MDM_MSG_POLICY_EXPRESSION, MDM_FAULT, NULL},
        {MDM_MSG_NONE, MDM_MSG_DIRECTORY_NO_USER, MDM_MSG_DIRECTORY_NO_USER, MDM_REFUSED,
         "MDM0410"},
        {MDM_MSG_NONE, MDM_MSG_DIRECTORY_UNAVAILABLE, MDM_MSG_DIRECTORY_UNAVAILABLE,
         MDM_UNAVAILABLE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        int in_phase3 = i % 2;
        ota_site_t *site = in_phase3 ? ota_site_identified() : ota_site_offered();
        ota_bytes_t body = in_phase3 ? ota_phase3_message() : ota_phase2_message(site);
        mdm_enrollment_t before = *ota_stored(site);
        const char *noted;
        mdm_result_t r;

        site->fake->policy_answer = cases[i / 2].policy;
        site->fake->directory_answer = cases[i / 2].directory;
        r = ota_post(site, body);
        assert_int_equal(r.message, cases[i / 2].expected);
        assert_int_equal(r.kind, cases[i / 2].kind);
        assert_null(site->reply.body);
        assert_memory_equal(&before, ota_stored(site), sizeof(before));
        noted = fake_store_refusal(site->fake->store, site->id);
        if (cases[i / 2].noted == NULL)
            assert_null(noted);
        else
            assert_string_equal(noted, cases[i / 2].noted);
        /* allowed again, the same message goes through */
        site->fake->policy_answer = site->fake->directory_answer = MDM_MSG_NONE;
        assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),
        cmocka_unit_test(altered_content),
        cmocka_unit_test(content_form),
        cmocka_unit_test(signers),
        cmocka_unit_test(sha1_in_phase3),
        cmocka_unit_test(phase2_challenge),
        cmocka_unit_test(phase2_twice),
        cmocka_unit_test(phase2_device),
        cmocka_unit_test(phase3_certificate),
        cmocka_unit_test(phase3_state),
        cmocka_unit_test(phase3_device),
        cmocka_unit_test(tls_in_phase2),
        cmocka_unit_test(tls_off),
        cmocka_unit_test(tls_in_phase3),
        cmocka_unit_test(not_allowed),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
