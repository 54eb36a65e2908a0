/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_update: devices that come back, copies of their messages, and MDM servers that
 * fetch the profile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "mdm_cms.h"
#include "mdm_terms.h"
#include "mdm_update.h"
#include "ota_site.h"
#include "pki.h"

#define HOUR (60 * 60)
#define DAY (24 * HOUR)

/* A message signed now is answered with a whole profile. */
static void assert_updated(ota_site_t *site)
{
    int before = site->fake->store->challenges->nelts;
    mdm_result_t r = ota_post(site, ota_update_message(site->fake->clock));
    mdm_plist_t *profile;
    const mdm_plist_t *scep;
    mdm_challenge_t *challenge;

    if (r.message != MDM_MSG_NONE)
        fail_msg("MDM%04d: %s", (int)r.message, r.log);
    assert_int_equal(site->facts.phase, 3);
    assert_string_equal(site->facts.event, "updated");
    profile = ota_opened(&site->reply);
    assert_string_equal(ota_text(profile, "PayloadIdentifier"), "com.example.mdm.enroll");
    scep = mdm_plist_item(ota_decrypted(profile), 0);
    challenge =
        ota_stored_challenge(site, ota_text(mdm_plist_get(scep, "PayloadContent"), "Challenge"));
    assert_non_null(challenge);
    assert_int_equal(challenge->purpose, MDM_PURPOSE_MDM);
    assert_string_equal(challenge->enrollment, site->id);
    assert_int_equal(challenge->uses, 0);
    assert_int_equal(site->fake->store->challenges->nelts, before + 1);
    assert_int_equal(ota_stored(site)->state, MDM_STATE_DELIVERED);
    assert_int_equal(ota_stored(site)->signed_at, site->fake->clock);
    assert_int_equal(ota_stored(site)->updated_at, site->fake->clock);
    assert_false(mdm_enrollment_is_ended(ota_stored(site)));
}

static void a_device_that_comes_back(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    int asked = site->fake->policy_calls;

    (void)state;
    assert_updated(site);
    assert_int_equal(site->fake->policy_calls, asked + 1);
    assert_int_equal(site->fake->directory_calls, asked + 1);
    site->fake->clock += 1;
    assert_updated(site);
    /* for an enrollment of before signing times were kept, any counts */
    site = ota_site_delivered(0);
    assert_updated(site);
}

static void copies(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    ota_bytes_t first = ota_update_message(site->fake->clock - OTA_MONTH),
                second = ota_update_message(site->fake->clock);

    (void)state;
    ota_assert_refused(site, first, MDM_MSG_ENROLLMENT_STATE);
    ota_assert_refused(site, ota_update_message(0), MDM_MSG_ENROLLMENT_STATE);
    assert_int_equal(ota_post(site, second).message, MDM_MSG_NONE);
    for (int i = 0; i < 3; i++) {
        ota_assert_refused(site, second, MDM_MSG_ENROLLMENT_STATE);
        ota_assert_refused(site, first, MDM_MSG_ENROLLMENT_STATE);
        ota_assert_refused(site, ota_update_message(0), MDM_MSG_ENROLLMENT_STATE);
        site->fake->clock += DAY;
    }
}

static void messages_without_a_time(void **state)
{
    ota_site_t *site = ota_site_delivered(0);
    ota_bytes_t body = ota_update_message(0);

    (void)state;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
    site->fake->clock += OTA_LIFETIME - 1;
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
    site->fake->clock += 1;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
    assert_int_equal(ota_stored(site)->signed_at, 0);
    assert_updated(site);
    site->fake->clock += OTA_MONTH;
    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
}

/* Nothing that such a clock says is kept, or the device would be refused until that time comes. */
static void clocks_that_are_fast(void **state)
{
    ota_site_t *site = ota_site_delivered(1);

    (void)state;
    ota_assert_refused(site, ota_update_message(site->fake->clock + HOUR + 1),
                       MDM_MSG_ENROLLMENT_STATE);
    assert_updated(site);
    site->fake->clock += 2 * HOUR;
    assert_int_equal(ota_post(site, ota_update_message(site->fake->clock + HOUR)).message,
                     MDM_MSG_NONE);
    assert_int_equal(ota_stored(site)->signed_at, site->fake->clock + HOUR);
    /* at the delivery itself */
    site = ota_site_identified();
    assert_int_equal(ota_post(site, ota_update_message(site->fake->clock + OTA_MONTH)).message,
                     MDM_MSG_NONE);
    assert_int_equal(ota_stored(site)->signed_at, 0);
    site->fake->clock += DAY;
    assert_updated(site);
    assert_int_equal(mdm_update_signed_at(0, 100), 0);
}

static apr_int64_t signing_time(apr_int64_t signed_at)
{
    ota_bytes_t body = ota_update_message(signed_at);
    mdm_cms_t *cms;

    assert_int_equal(
        mdm_cms_open(pki_pool, body.data, body.len, MDM_CMS_MAX_CERTIFICATES, &cms).kind, MDM_OK);
    return mdm_cms_signing_time(cms);
}

/* UTCTime, GeneralizedTime (from 2050 on), none; what was before 1970 is none. */
static void signing_times(void **state)
{
    (void)state;
    assert_int_equal(signing_time(1795694400), 1795694400);
    assert_int_equal(signing_time(2600000000), 2600000000);
    assert_int_equal(signing_time(0), 0);
    assert_int_equal(signing_time(-86400), 0);
}

/* The same message, or another, is answered right before this one is written. */
static void rival_update(fake_store_t *fake, void *context)
{
    mdm_enrollment_t *row = fake_store_enrollment(fake, context);

    row->signed_at += OTA_MONTH;
    row->updated_at += OTA_MONTH;
    row->expires_at = row->updated_at + OTA_LIFETIME;
}

static void rival_end(fake_store_t *fake, void *context)
{
    mdm_enrollment_t *row = fake_store_enrollment(fake, context);

    row->expires_at = row->updated_at - 1;
}

static void one_of_several_wins(void **state)
{
    static void (*const rivals[])(fake_store_t *, void *) = {rival_update, rival_end};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(rivals) / sizeof(rivals[0]); i++) {
        int with_time = i % 2 == 0;
        ota_site_t *site = ota_site_delivered(with_time);
        int challenges = site->fake->store->challenges->nelts;

        /* certificate, row, count, challenge: then comes the write */
        fake_store_rival(site->fake->store, 5, rivals[i / 2], (void *)site->id);
        assert_int_equal(
            ota_post(site, ota_update_message(with_time ? site->fake->clock : 0)).message,
            MDM_MSG_ENROLLMENT_STATE);
        assert_null(site->reply.body);
        assert_string_equal(site->facts.event, "");
        assert_int_equal(site->fake->store->challenges->nelts, challenges);
    }
}

static void a_store_that_fails(void **state)
{
    (void)state;
    for (int after = 0; after <= 1; after++) {
        for (int nth = 1; nth <= 5; nth++) {
            ota_site_t *site = ota_site_delivered(1);
            int challenges = site->fake->store->challenges->nelts;

            fake_store_fail(site->fake->store, nth, after);
            assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message,
                             MDM_MSG_STORE_UNAVAILABLE);
            assert_null(site->reply.body);
            fake_store_fail(site->fake->store, 0, 0);
            if (nth != 4 || !after)
                assert_int_equal(site->fake->store->challenges->nelts, challenges);
            site->fake->clock += 1;
            assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message,
                             MDM_MSG_NONE);
        }
    }
}

static void who_is_refused(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    const char *fingerprint = mdm_x509_fingerprint(pki_pool, ota_identity);
    mdm_certificate_t *cert = fake_store_certificate(site->fake->store, fingerprint);
    mdm_enrollment_t *row = ota_stored(site), before = *row;
    ota_bytes_t body = ota_update_message(site->fake->clock);
    const char *other = ota_plist(
        apr_pstrcat(pki_pool, ota_key("UDID", "another"), ota_key("SERIAL", OTA_SERIAL), NULL));

    (void)state;
    cert->revoked_at = site->fake->clock;
    ota_assert_refused(site, body, MDM_MSG_CERTIFICATE_REVOKED);
    cert->revoked_at = 0;
    cert->purpose = MDM_PURPOSE_MDM;
    ota_assert_refused(site, body, MDM_MSG_CERTIFICATE_PURPOSE);
    cert->purpose = MDM_PURPOSE_IDENTITY;
    row->site = "another site";
    ota_assert_refused(site, body, MDM_MSG_CERTIFICATE_UNKNOWN);
    row->site = before.site;
    row->expires_at = row->updated_at - 1;
    ota_assert_refused(site, body, MDM_MSG_CERTIFICATE_REVOKED);
    row->expires_at = before.expires_at;
    row->identity_fingerprint = "another";
    ota_assert_refused(site, body, MDM_MSG_CERTIFICATE_UNKNOWN);
    row->identity_fingerprint = before.identity_fingerprint;
    ota_assert_refused(site,
                       ota_message(&(ota_message_t){.cert = ota_identity,
                                                    .key = ota_identity_key,
                                                    .signed_at = site->fake->clock,
                                                    .content = other}),
                       MDM_MSG_DEVICE_MISMATCH);
    site->settings.tls_certificate = MDM_TLS_CERTIFICATE_REQUIRE;
    ota_assert_refused(site, body, MDM_MSG_TLS_CERTIFICATE_MISSING);
    site->settings.tls_certificate = MDM_TLS_CERTIFICATE_OPTIONAL;
    site->fake->directory_answer = MDM_MSG_DIRECTORY_NO_USER;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_DIRECTORY_NO_USER);
    site->fake->directory_answer = MDM_MSG_NONE;
    site->fake->policy_answer = MDM_MSG_POLICY_REFUSED;
    assert_int_equal(ota_post(site, body).message, MDM_MSG_POLICY_REFUSED);
    assert_string_equal(fake_store_refusal(site->fake->store, site->id), "MDM0400");
    site->fake->policy_answer = MDM_MSG_NONE;
    /* none of them spent the time of the message */
    assert_updated(site);
}

static void rules_of_today_count(void **state)
{
    ota_site_t *site = ota_site_delivered(1);

    (void)state;
    ota_stored(site)->rules = "rules of before";
    assert_updated(site);
    assert_string_equal(ota_stored(site)->rules, FAKE_RULES); /* SCEP goes by them */
}

static void what_the_device_says_of_its_system(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    const char *keys =
        apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", OTA_SERIAL),
                    ota_key("PRODUCT", "iPhone18,1"), ota_key("OS_VERSION", "27.0"), NULL);

    (void)state;
    assert_int_equal(ota_post(site, ota_message(&(ota_message_t){.cert = ota_identity,
                                                                 .key = ota_identity_key,
                                                                 .signed_at = site->fake->clock,
                                                                 .content = ota_plist(keys)}))
                         .message,
                     MDM_MSG_NONE);
    assert_string_equal(ota_stored(site)->os_version, "27.0");
    assert_string_equal(ota_stored(site)->product, "iPhone18,1");
}

static void past_its_end(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    apr_int64_t end = mdm_x509_not_after(ota_identity);

    (void)state;
    site->fake->clock = end + 1;
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_SIGNER_EXPIRED);
    site->settings.renewal_grace = 30 * DAY;
    assert_updated(site);
    site->fake->clock = end + 30 * DAY;
    assert_updated(site);
    site->fake->clock++;
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_SIGNER_EXPIRED);
    /* for nothing but an update */
    site = ota_site_identified();
    site->settings.renewal_grace = 30 * DAY;
    site->fake->clock = end + 1;
    ota_stored(site)->expires_at = end + OTA_LIFETIME;
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_SIGNER_EXPIRED);
    site->fake->store->certificates->nelts = 0; /* nobody's */
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_SIGNER_EXPIRED);
}

static void ten_a_day(void **state)
{
    ota_site_t *site = ota_site_delivered(1);

    (void)state;
    for (int i = 0; i < MDM_UPDATE_MAX_A_DAY; i++) {
        assert_updated(site);
        site->fake->clock += 60;
    }
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_UPDATE_TOO_MANY);
    site->fake->clock += DAY;
    assert_updated(site);
    /* the same where no challenge of ours is in the profile */
    site = ota_site_delivered(1);
    site->settings.mdm_identity = &(mdm_identity_t){.kind = MDM_IDENTITY_SCEP, .url = "http://x/"};
    for (int i = 0; i < MDM_UPDATE_MAX_A_DAY; i++) {
        assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message,
                         MDM_MSG_NONE);
        site->fake->clock += 60;
    }
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_UPDATE_TOO_MANY);
}

static mdm_result_t count_questions(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                    mdm_purpose_t purpose, const char **challenge)
{
    (void)p;
    (void)row;
    (void)purpose;
    ++*(int *)context;
    *challenge = "foreign";
    return mdm_result_ok();
}

static void terms(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    mdm_profile_settings_t *profile = &site->settings.profile;
    const char *kept = ota_stored(site)->terms;
    int questions = 0;
    const mdm_challenge_source_t source = {.context = &questions, .ask = count_questions};
    const mdm_identity_t foreign = {
        .kind = MDM_IDENTITY_SCEP, .url = "https://scep.example.com/", .challenge = &source};
    mdm_result_t r;

    (void)state;
    assert_string_equal(mdm_terms_value(pki_pool, kept, "ServerURL"),
                        mdm_text_fixed(profile->server_url));
    assert_string_equal(mdm_terms_value(pki_pool, kept, "AccessRights"), "8191");
    profile->server_url = mdm_text_constant(pki_pool, "https://other.example.com/mdm");
    site->settings.mdm_identity = &foreign;
    r = ota_post(site, ota_update_message(site->fake->clock));
    assert_int_equal(r.message, MDM_MSG_UPDATE_TERMS);
    assert_null(site->reply.body);
    assert_int_equal(questions, 0); /* it may come again and again */
    site->settings.mdm_identity = NULL;
    assert_non_null(strstr(r.log, "ServerURL is \"https://other.example.com/mdm\" now, was "
                                  "\"https://mdm.example.com/mdm\""));
    assert_string_equal(ota_stored(site)->terms, kept);
    ota_stored(site)->terms = ""; /* delivered before they were kept */
    assert_updated(site);
    assert_string_equal(mdm_terms_value(pki_pool, ota_stored(site)->terms, "ServerURL"),
                        "https://other.example.com/mdm");
}

static const mdm_notification_t *notification(const ota_site_t *site, int i)
{
    return APR_ARRAY_IDX(site->fake->store->notifications, i, const mdm_notification_t *);
}

/* Once for each update, which the row's time says has taken place. */
static void the_site_is_told(void **state)
{
    ota_site_t *site = ota_site_delivered(1);

    (void)state;
    site->fake->world.notify = 1;
    assert_updated(site);
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_ENROLLMENT_STATE);
    assert_int_equal(site->fake->store->notifications->nelts, 1);
    assert_string_equal(notification(site, 0)->event, "updated");
    assert_string_equal(notification(site, 0)->enrollment, site->id);
    assert_true(ota_stored(site)->updated_at >= notification(site, 0)->created_at);
    site->fake->clock++;
    assert_updated(site);
    assert_int_equal(mdm_update_push(pki_pool, &site->settings, &site->fake->world, &site->request,
                                     OTA_UDID, NULL, &site->reply, &site->facts)
                         .kind,
                     MDM_OK);
    assert_int_equal(site->fake->store->notifications->nelts, 3);
}

/* --- for the MDM server --- */

static mdm_result_t push(ota_site_t *site, const char *udid, const char *serial)
{
    site->reply = (mdm_ota_reply_t){NULL, 0};
    return mdm_update_push(pki_pool, &site->settings, &site->fake->world, &site->request, udid,
                           serial, &site->reply, &site->facts);
}

/* Another virtual host of the same site let it in, and still does so by its own rules. */
static void rules_of_another_vhost(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    apr_array_header_t *others = apr_array_make(pki_pool, 1, sizeof(const char *));

    (void)state;
    APR_ARRAY_PUSH(others, const char *) = "rules of another";
    site->fake->world.others = others;
    ota_stored(site)->rules = "rules of another";
    ota_assert_refused(site, ota_update_message(site->fake->clock), MDM_MSG_CERTIFICATE_UNKNOWN);
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    assert_null(site->reply.body);
    assert_string_equal(ota_stored(site)->rules, "rules of another");
    ota_stored(site)->rules = "rules of before";
    assert_updated(site);
}

static void an_mdm_server_fetches(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    apr_int64_t signed_at = ota_stored(site)->signed_at;
    const mdm_plist_t *scep;
    mdm_enrollment_t newer = *ota_stored(site);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(push(site, i == 0 ? OTA_UDID : NULL, i == 0 ? NULL : OTA_SERIAL).message,
                         MDM_MSG_NONE);
        scep = mdm_plist_item(ota_decrypted(ota_opened(&site->reply)), 0);
        assert_non_null(ota_stored_challenge(
            site, ota_text(mdm_plist_get(scep, "PayloadContent"), "Challenge")));
        assert_string_equal(site->facts.event, "updated");
        assert_string_equal(site->facts.user, "anna");
        assert_string_equal(site->facts.device->serial, OTA_SERIAL);
        assert_string_equal(site->fake->asked_device->product, "iPhone17,2");
    }
    assert_int_equal(ota_stored(site)->signed_at, signed_at);
    assert_updated(site); /* the device itself as before */
    assert_int_equal(push(site, "another", NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    assert_int_equal(push(site, NULL, OTA_UDID).message, MDM_MSG_UPDATE_UNKNOWN);
    assert_null(site->reply.body);
    /* the latest enrollment is the one that counts */
    newer.id = "newer";
    newer.created_at += 1;
    newer.identity_fingerprint = "of another key";
    fake_store_put_enrollment(site->fake->store, &newer);
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    assert_string_equal(site->facts.enrollment, "newer");
}

static void what_an_mdm_server_does_not_get(void **state)
{
    ota_site_t *site = ota_site_delivered(1);
    const char *fingerprint = mdm_x509_fingerprint(pki_pool, ota_identity);
    mdm_certificate_t *cert = fake_store_certificate(site->fake->store, fingerprint);
    mdm_enrollment_t *row = ota_stored(site), before = *row;

    (void)state;
    cert->revoked_at = 1;
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    cert->revoked_at = 0;
    cert->not_after = site->fake->clock - 1;
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    site->settings.renewal_grace = 1;
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_NONE);
    row->expires_at = row->updated_at - 1;
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    row->expires_at = row->updated_at;
    row->state = MDM_STATE_IDENTIFIED;
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    row->state = MDM_STATE_DELIVERED;
    row->site = "another site";
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
    row->site = before.site;
    site->fake->directory_answer = MDM_MSG_DIRECTORY_NO_USER;
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_DIRECTORY_NO_USER);
    site->fake->directory_answer = MDM_MSG_NONE;
    site->settings.profile.topic = "com.apple.mgmt.External.y";
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_TERMS);
    site->settings.profile.topic = "com.apple.mgmt.External.x";
    assert_true(mdm_trust_deny(site->trust, fingerprint));
    assert_int_equal(push(site, OTA_UDID, NULL).message, MDM_MSG_UPDATE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_comes_back),
        cmocka_unit_test(copies),
        cmocka_unit_test(messages_without_a_time),
        cmocka_unit_test(clocks_that_are_fast),
        cmocka_unit_test(signing_times),
        cmocka_unit_test(one_of_several_wins),
        cmocka_unit_test(a_store_that_fails),
        cmocka_unit_test(who_is_refused),
        cmocka_unit_test(rules_of_today_count),
        cmocka_unit_test(rules_of_another_vhost),
        cmocka_unit_test(what_the_device_says_of_its_system),
        cmocka_unit_test(past_its_end),
        cmocka_unit_test(ten_a_day),
        cmocka_unit_test(terms),
        cmocka_unit_test(the_site_is_told),
        cmocka_unit_test(an_mdm_server_fetches),
        cmocka_unit_test(what_an_mdm_server_does_not_get),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
