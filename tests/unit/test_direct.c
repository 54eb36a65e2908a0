/* SPDX-License-Identifier: Apache-2.0
 * mdm_direct: the enrollment profile at once, and how its enrollment comes to be delivered. Depends
 * on ota_site.
 */
#include "mdm_direct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ota_site.h"
#include "pki.h"

static mdm_result_t offer(ota_site_t *site, const char *user)
{
    site->reply = (mdm_ota_reply_t){NULL, 0};
    return mdm_direct_offer(pki_pool, &site->settings, &site->fake->world, &site->request, user,
                            &site->reply, &site->facts);
}

static const mdm_plist_t *payload(const mdm_plist_t *profile, const char *type)
{
    const mdm_plist_t *payloads = mdm_plist_get(profile, "PayloadContent");

    for (apr_size_t i = 0; i < mdm_plist_size(payloads); i++)
        if (strcmp(ota_text(mdm_plist_item(payloads, i), "PayloadType"), type) == 0)
            return mdm_plist_item(payloads, i);
    fail();
    return NULL;
}

static void a_profile_at_once(void **state)
{
    ota_site_t *site = ota_site();
    const mdm_plist_t *profile, *scep, *mdm;
    const mdm_enrollment_t *row;
    const mdm_challenge_t *challenge;

    (void)state;
    assert_int_equal(offer(site, "alice").kind, MDM_OK);
    profile = ota_opened(&site->reply);
    assert_string_equal(ota_text(profile, "PayloadType"), "Configuration");
    assert_string_equal(ota_text(profile, "PayloadIdentifier"), "com.example.mdm.enroll");
    assert_null(mdm_plist_get(profile, "EncryptedPayloadContent"));
    scep = payload(profile, "com.apple.security.scep");
    mdm = payload(profile, "com.apple.mdm");
    assert_string_equal(ota_text(mdm, "IdentityCertificateUUID"), ota_text(scep, "PayloadUUID"));

    row = fake_store_enrollment(site->fake->store, site->facts.enrollment);
    assert_non_null(row);
    assert_int_equal(row->state, MDM_STATE_OFFERED);
    assert_string_equal(row->flow, MDM_FLOW_DIRECT);
    assert_string_equal(row->user, "alice");
    assert_string_equal(row->udid, "");
    challenge =
        ota_stored_challenge(site, ota_text(mdm_plist_get(scep, "PayloadContent"), "Challenge"));
    assert_int_equal(challenge->purpose, MDM_PURPOSE_MDM);
    assert_string_equal(challenge->enrollment, row->id);
    assert_int_equal(challenge->expires_at, site->fake->clock + OTA_LIFETIME);
}

/* Of the device nothing is known, and policy is told so. */
static void policy_and_directory_are_asked(void **state)
{
    static const mdm_message_t answers[] = {MDM_MSG_POLICY_REFUSED, MDM_MSG_DIRECTORY_NO_USER,
                                            MDM_MSG_DIRECTORY_UNAVAILABLE};

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        ota_site_t *site = ota_site();

        *(i == 0 ? &site->fake->policy_answer : &site->fake->directory_answer) = answers[i];
        assert_int_equal(offer(site, "alice").message, answers[i]);
        assert_null(site->reply.body);
        assert_int_equal(site->fake->store->enrollments->nelts, 0);
        assert_int_equal(site->fake->store->challenges->nelts, 0);
        site->fake->policy_answer = site->fake->directory_answer = MDM_MSG_NONE;
        assert_int_equal(offer(site, "alice").kind, MDM_OK);
        assert_string_equal(site->fake->asked_device->udid, "");
        assert_string_equal(site->fake->asked_device->serial, "");
    }
}

static void nobody_and_too_many(void **state)
{
    ota_site_t *site = ota_site();

    (void)state;
    assert_int_equal(offer(site, "").message, MDM_MSG_USER_NAME);
    assert_int_equal(offer(site, NULL).message, MDM_MSG_USER_NAME);
    for (int i = 0; i < MDM_MAX_OFFERED; i++)
        assert_int_equal(offer(site, "alice").kind, MDM_OK);
    assert_int_equal(offer(site, "alice").message, MDM_MSG_OFFERS_TOO_MANY);
    assert_int_equal(offer(site, "bob").kind, MDM_OK);
}

static void a_failing_store_answers_nothing(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) { /* counting, the row, the challenge */
        ota_site_t *site = ota_site();

        site->fake->store->fail_at = i;
        assert_int_equal(offer(site, "alice").message, MDM_MSG_STORE_UNAVAILABLE);
        assert_null(site->reply.body);
    }
}

/* With another CA's identity there is no challenge of ours. */
static void another_ca(void **state)
{
    static const mdm_identity_t foreign = {.kind = MDM_IDENTITY_SCEP,
                                           .url = "https://ca.example.com/scep"};
    ota_site_t *site = ota_site();
    const mdm_plist_t *scep;

    (void)state;
    site->settings.mdm_identity = &foreign;
    assert_int_equal(offer(site, "alice").kind, MDM_OK);
    scep = mdm_plist_get(payload(ota_opened(&site->reply), "com.apple.security.scep"),
                         "PayloadContent");
    assert_string_equal(ota_text(scep, "URL"), "https://ca.example.com/scep");
    assert_null(mdm_plist_get(scep, "Challenge"));
    assert_int_equal(site->fake->store->challenges->nelts, 0);
    assert_int_equal(site->fake->store->enrollments->nelts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_at_once),   cmocka_unit_test(policy_and_directory_are_asked),
        cmocka_unit_test(nobody_and_too_many), cmocka_unit_test(a_failing_store_answers_nothing),
        cmocka_unit_test(another_ca),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
