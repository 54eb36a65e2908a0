/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_ota: the walk through the three phases with messages that OpenSSL made, races,
 * and a store, a source of randomness and a signer that fail. Refusals: test_ota_refusals.c.
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

/* --- the walk --- */

static void phase1(void **state)
{
    ota_site_t *site = ota_site_offered();
    mdm_plist_t *profile = ota_opened(&site->reply);

    (void)state;
    assert_int_equal(site->facts.phase, 1);
    assert_string_equal(site->facts.user, "anna");
    assert_null(site->facts.device);
    assert_string_equal(ota_text(profile, "PayloadType"), "Profile Service");
    assert_string_equal(ota_text(mdm_plist_get(profile, "PayloadContent"), "URL"), OTA_DEVICE_URL);
    assert_int_equal(ota_stored(site)->state, MDM_STATE_OFFERED);
    assert_int_equal(ota_stored_challenge(site, site->challenge)->purpose, MDM_PURPOSE_DEVICE);
}

static void assert_identifying(ota_site_t *site)
{
    mdm_enrollment_t *row = ota_stored(site);
    mdm_plist_t *profile = ota_opened(&site->reply);
    const mdm_plist_t *payloads = mdm_plist_get(profile, "PayloadContent"), *content;
    mdm_challenge_t *challenge;

    assert_int_equal(site->facts.phase, 2);
    assert_string_equal(site->facts.enrollment, site->id);
    assert_string_equal(site->facts.user, "anna");
    assert_string_equal(site->facts.device->serial, OTA_SERIAL);
    assert_int_equal(row->state, MDM_STATE_IDENTIFYING);
    assert_string_equal(row->udid, OTA_UDID);
    assert_string_equal(row->serial, OTA_SERIAL);
    assert_int_equal(row->expires_at, site->fake->clock + OTA_LIFETIME);
    assert_int_equal(mdm_plist_size(payloads), 1);
    content = mdm_plist_get(mdm_plist_item(payloads, 0), "PayloadContent");
    assert_string_equal(ota_text(content, "URL"), OTA_SCEP_URL);
    challenge = ota_stored_challenge(site, ota_text(content, "Challenge"));
    assert_non_null(challenge);
    assert_int_equal(challenge->purpose, MDM_PURPOSE_IDENTITY);
    assert_string_equal(challenge->enrollment, site->id);
    assert_int_equal(site->fake->store->challenges->nelts, 2);
}

static void phase2(void **state)
{
    ota_site_t *site = ota_site_offered();
    mdm_result_t r;

    (void)state;
    site->fake->clock += 60;
    r = ota_post(site, ota_phase2_message(site));
    assert_int_equal(r.message, MDM_MSG_NONE);
    assert_identifying(site);
    assert_string_equal(ota_stored(site)->product, "iPhone17,2");
    assert_string_equal(ota_stored(site)->os_version, "22B83");
    assert_string_equal(ota_stored(site)->device_fingerprint,
                        mdm_x509_fingerprint(pki_pool, ota_device));
    assert_int_equal(site->fake->policy_calls, 1);
    assert_int_equal(site->fake->directory_calls, 1);
    assert_string_equal(site->fake->asked_user, "anna");
}

/* As a genuine Mac sends it: booleans, empty strings, unasked keys, no signedAttrs, SHA-1, four
 * certificates in the bag or the leaf alone; the challenge may come back as data. */
static void phase2_as_macs_do(void **state)
{
    STACK_OF(X509) *bag = sk_X509_new_null();

    (void)state;
    sk_X509_push(bag, ota_device_ca);
    sk_X509_push(bag, ota_ca);
    sk_X509_push(bag, ota_vhost);
    for (int alone = 0; alone <= 1; alone++) {
        ota_site_t *site = ota_site_offered();
        char *base64 = apr_pcalloc(pki_pool, 128);
        const char *keys;

        EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)site->challenge,
                        (int)strlen(site->challenge));
        keys = apr_pstrcat(
            pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", OTA_SERIAL), ota_key("IMEI", ""),
            ota_key("MEID", ""), "<key>NotOnConsole</key><false/>",
            ota_key("UserID", "C27F0A3E-0001-4000-8000-000000000000"),
            ota_key("UserLongName", "Anna &amp; Zo\xc3\xab"), ota_key("OS_VERSION", "13.6"),
            ota_key("VERSION", "22G120"), "<key>CHALLENGE</key><data>", base64, "</data>", NULL);
        assert_int_equal(ota_post(site, ota_message(&(ota_message_t){.digest = EVP_sha1(),
                                                                     .flags = CMS_NOATTR,
                                                                     .bag = alone ? NULL : bag,
                                                                     .content = ota_plist(keys)}))
                             .message,
                         MDM_MSG_NONE);
        assert_identifying(site);
        assert_string_equal(ota_stored(site)->product, "");
        assert_string_equal(ota_stored(site)->os_version, "13.6");
    }
    sk_X509_free(bag);
}

static void phase3(void **state)
{
    ota_site_t *site = ota_site_identified();
    mdm_plist_t *profile, *payloads;
    const mdm_plist_t *scep, *mdm;
    mdm_challenge_t *challenge;

    (void)state;
    site->fake->clock += 60;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
    assert_int_equal(site->facts.phase, 3);
    assert_string_equal(site->facts.enrollment, site->id);
    assert_int_equal(ota_stored(site)->state, MDM_STATE_DELIVERED);
    assert_string_equal(ota_stored(site)->user, "anna");
    profile = ota_opened(&site->reply);
    assert_string_equal(ota_text(profile, "PayloadType"), "Configuration");
    assert_string_equal(ota_text(profile, "PayloadIdentifier"), "com.example.mdm.enroll");
    payloads = ota_decrypted(profile);
    assert_int_equal(mdm_plist_size(payloads), 2);
    scep = mdm_plist_item(payloads, 0);
    mdm = mdm_plist_item(payloads, 1);
    assert_string_equal(ota_text(mdm, "IdentityCertificateUUID"), ota_text(scep, "PayloadUUID"));
    challenge =
        ota_stored_challenge(site, ota_text(mdm_plist_get(scep, "PayloadContent"), "Challenge"));
    assert_non_null(challenge);
    assert_int_equal(challenge->purpose, MDM_PURPOSE_MDM);
    assert_int_equal(challenge->expires_at, site->fake->clock + OTA_LIFETIME);
    assert_int_equal(site->fake->policy_calls, 2);
    assert_int_equal(site->fake->directory_calls, 2);
}

/* CHALLENGE does not tell the phases apart: the issuer does. */
static void challenge_in_phase3_does_not_matter(void **state)
{
    ota_site_t *site = ota_site_identified();

    (void)state;
    assert_int_equal(
        ota_post(site, ota_message(&(ota_message_t){.cert = ota_identity,
                                                    .key = ota_identity_key,
                                                    .content = ota_attributes(site->challenge)}))
            .message,
        MDM_MSG_NONE);
    assert_int_equal(site->facts.phase, 3);
}

/* A genuine iPhone's message passes verification as it is, and has no challenge of ours. */
static void genuine_iphone(void **state)
{
    ota_site_t *site = ota_site_offered();
    apr_size_t len;
    const unsigned char *fixture = pki_fixture("ios15-account-driven-machineinfo.der", &len);
    unsigned char *altered;
    int changed = 0;

    (void)state;
    if (fixture == NULL)
        skip();
    assert_int_equal(mdm_trust_add_apple_device_ca(site->trust).kind, MDM_OK);
    ota_assert_refused(site, (ota_bytes_t){fixture, len}, MDM_MSG_CHALLENGE_MISSING);
    assert_int_equal(site->facts.phase, 2);
    assert_non_null(site->facts.device);
    altered = apr_pmemdup(pki_pool, fixture, len);
    for (apr_size_t i = 0; i + 7 <= len && changed == 0; i++)
        if (memcmp(altered + i, "PRODUCT", 7) == 0) {
            altered[i] ^= 1;
            changed = 1;
        }
    assert_int_equal(changed, 1);
    ota_assert_refused(site, (ota_bytes_t){altered, len}, MDM_MSG_CMS_SIGNATURE);
}

/* --- races and failures --- */

static void rival(fake_store_t *store, void *context)
{
    mdm_enrollment_t *row = fake_store_enrollment(store, context);

    row->state = (mdm_state_t)(row->state == MDM_STATE_OFFERED ? MDM_STATE_IDENTIFYING
                                                               : MDM_STATE_DELIVERED);
}

/* Another copy of the message wins between our look and our write. */
static void lost_race(void **state)
{
    (void)state;
    for (int in_phase3 = 0; in_phase3 <= 1; in_phase3++) {
        ota_site_t *site = in_phase3 ? ota_site_identified() : ota_site_offered();
        ota_bytes_t body = in_phase3 ? ota_phase3_message() : ota_phase2_message(site);
        int challenges = site->fake->store->challenges->nelts;

        site->fake->store->rival = rival;
        site->fake->store->rival_context = (void *)site->id;
        assert_int_equal(ota_post(site, body).message, MDM_MSG_ENROLLMENT_STATE);
        assert_null(site->reply.body);
        assert_int_equal(site->fake->store->challenges->nelts, challenges);
    }
}

static void store_fails_in_phase1(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 3; nth++)
        for (int after = 0; after <= 1; after++) {
            ota_site_t *site = ota_site();
            mdm_result_t r;

            fake_store_fail(site->fake->store, nth, after);
            r = ota_offer(site, "anna");
            assert_int_equal(r.kind, MDM_UNAVAILABLE);
            assert_null(site->reply.body);
            assert_int_equal(ota_offer(site, "anna").kind, MDM_OK);
        }
}

/* Each call of phase 2 or 3 fails once, before or after it took effect. Both phases make four: two
 * reads, the insertion of the challenge, the move. */
static void store_fails(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        int nth = 1 + i / 4, after = i / 2 % 2, in_phase3 = i % 2;
        ota_site_t *site = in_phase3 ? ota_site_identified() : ota_site_offered();
        ota_bytes_t body = in_phase3 ? ota_phase3_message() : ota_phase2_message(site);
        mdm_enrollment_t before = *ota_stored(site);
        int challenges = site->fake->store->challenges->nelts;
        mdm_result_t r;

        fake_store_fail(site->fake->store, nth, after);
        r = ota_post(site, body);
        assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
        assert_int_equal(r.kind, MDM_UNAVAILABLE);
        assert_null(site->reply.body);
        if (nth == 4 && after) { /* it moved, and nobody was answered */
            assert_int_equal(site->fake->store->challenges->nelts, challenges);
            ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
            continue;
        }
        assert_memory_equal(&before, ota_stored(site), sizeof(before));
        site->fake->store->calls = 0;
        fake_store_fail(site->fake->store, 0, 0);
        assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
        assert_int_equal(site->fake->store->calls, 4);
    }
}

/* The store stays away: re-reading and tidying up fail too. */
static void store_stays_away(void **state)
{
    (void)state;
    for (int nth = 5; nth <= 6; nth++) {
        ota_site_t *site = ota_site_offered();
        ota_bytes_t body = ota_phase2_message(site);

        site->fake->store->rival = rival; /* so that there is a fifth and a sixth call */
        site->fake->store->rival_context = (void *)site->id;
        fake_store_fail(site->fake->store, nth, 0);
        assert_int_equal(ota_post(site, body).message, MDM_MSG_ENROLLMENT_STATE);
        assert_null(site->reply.body);
    }
}

/* What fails before the first write costs nobody the enrollment. */
static void no_randomness(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        int in_phase3 = i % 2, nth = 1 + i / 2, draws = in_phase3 ? 4 : 3;
        ota_site_t *site = in_phase3 ? ota_site_identified() : ota_site_offered();
        ota_bytes_t body = in_phase3 ? ota_phase3_message() : ota_phase2_message(site);

        if (nth > draws)
            continue;
        site->fake->random_fail_at = site->fake->random_calls + nth;
        ota_assert_refused(site, body, MDM_MSG_RANDOM);
        assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    }
}

/* A vhost whose key does not sign. */
static void no_signature(void **state)
{
    (void)state;
    for (int in_phase3 = 0; in_phase3 <= 1; in_phase3++) {
        ota_site_t *site = in_phase3 ? ota_site_identified() : ota_site_offered();
        ota_bytes_t body = in_phase3 ? ota_phase3_message() : ota_phase2_message(site);

        site->signer.key = ota_ec_key; /* not the certificate's */
        ota_assert_refused(site, body, MDM_MSG_CRYPTO);
        site->signer.key = ota_vhost_key;
        assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    }
}

/* Whatever fails before the writes of phase 1 leaves nothing behind. */
static void failed_offer_writes_nothing(void **state)
{
    ota_site_t *site = ota_site();
    const int draws = 3; /* the row's id, the challenge, the profile's UUID */

    (void)state;
    for (int nth = 1; nth <= draws; nth++) {
        site->fake->random_fail_at = site->fake->random_calls + nth;
        assert_int_equal(ota_offer(site, "anna").message, MDM_MSG_RANDOM);
        assert_null(site->reply.body);
    }
    site->signer.key = ota_ec_key; /* not the certificate's */
    assert_int_equal(ota_offer(site, "anna").message, MDM_MSG_CRYPTO);
    assert_null(site->reply.body);
    assert_int_equal(site->fake->store->writes, 0);
    site->signer.key = ota_vhost_key;
    assert_int_equal(ota_offer(site, "anna").kind, MDM_OK);
}

static void offer_refuses_users(void **state)
{
    ota_site_t *site = ota_site();

    (void)state;
    assert_int_equal(ota_offer(site, "").message, MDM_MSG_USER_NAME);
    assert_int_equal(ota_offer(site, NULL).message, MDM_MSG_USER_NAME);
    assert_string_equal(site->facts.user, "");
    assert_int_equal(site->fake->store->calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phase1),
        cmocka_unit_test(phase2),
        cmocka_unit_test(phase2_as_macs_do),
        cmocka_unit_test(phase3),
        cmocka_unit_test(challenge_in_phase3_does_not_matter),
        cmocka_unit_test(genuine_iphone),
        cmocka_unit_test(lost_race),
        cmocka_unit_test(store_fails_in_phase1),
        cmocka_unit_test(store_fails),
        cmocka_unit_test(store_stays_away),
        cmocka_unit_test(no_randomness),
        cmocka_unit_test(no_signature),
        cmocka_unit_test(failed_offer_writes_nothing),
        cmocka_unit_test(offer_refuses_users),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
