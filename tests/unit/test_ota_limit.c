/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_ota: where the phases take places of a limited user, and give them back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_claim.h"
#include "ota_site.h"
#include "pki.h"

static ota_site_t *limited(ota_site_t *site)
{
    site->settings.limits = (mdm_limits_t){.devices = {1, NULL}, .hourly = {1, NULL}};
    return site;
}

static int claims(const ota_site_t *site)
{
    return site->fake->store->claims->nelts;
}

/* The place that the user "anna" has for the device of all these tests. */
static mdm_claim_t *device_claim(const ota_site_t *site)
{
    return fake_claim_of(site->fake->store, MDM_CLAIM_DEVICES, "anna", OTA_UDID);
}

static mdm_claim_t claim_of_another(const ota_site_t *site, const char *kind)
{
    return (mdm_claim_t){.site = FAKE_SITE,
                         .kind = kind,
                         .user = "anna",
                         .place = 1,
                         .holder = "another",
                         .enrollment = site->id,
                         .taken_at = site->fake->clock};
}

static void phase2_takes_places(void **state)
{
    ota_site_t *site = limited(ota_site_offered());

    (void)state;
    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_NONE);
    assert_int_equal(claims(site), 2);
    assert_string_equal(device_claim(site)->enrollment, site->id);
    assert_non_null(fake_claim_of(site->fake->store, MDM_CLAIM_HOURLY, "anna", site->id));
}

static void phase2_is_refused_at_the_limit(void **state)
{
    static const struct {
        const char *kind;
        mdm_message_t message;
        const char *code;
    } kinds[] = {{MDM_CLAIM_DEVICES, MDM_MSG_LIMIT_DEVICES, "MDM0404"},
                 {MDM_CLAIM_HOURLY, MDM_MSG_LIMIT_HOURLY, "MDM0405"}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        ota_site_t *site = limited(ota_site_offered());
        mdm_claim_t claim = claim_of_another(site, kinds[i].kind);
        int challenges = site->fake->store->challenges->nelts;

        fake_claim_put(site->fake->store, &claim);
        assert_int_equal(ota_post(site, ota_phase2_message(site)).message, kinds[i].message);
        assert_null(site->reply.body);
        assert_int_equal(ota_stored(site)->state, MDM_STATE_OFFERED);
        assert_string_equal(fake_store_refusal(site->fake->store, site->id), kinds[i].code);
        assert_int_equal(claims(site), 1);
        assert_int_equal(site->fake->store->challenges->nelts, challenges);
    }
}

/* Policy and directory first: whom they refuse has no place. */
static void others_refuse_first(void **state)
{
    ota_site_t *site = limited(ota_site_offered());

    (void)state;
    site->fake->directory_answer = MDM_MSG_DIRECTORY_NO_USER;
    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_DIRECTORY_NO_USER);
    assert_int_equal(claims(site), 0);
}

static void phase3_settles_the_place(void **state)
{
    ota_site_t *site = limited(ota_site_identified());
    mdm_claim_t old = claim_of_another(site, MDM_CLAIM_DEVICES);

    (void)state;
    old.user = "bert";
    old.holder = OTA_UDID;
    fake_claim_put(site->fake->store, &old);
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
    assert_string_equal(device_claim(site)->enrollment, site->id);
    assert_int_equal(claims(site), 1); /* bert has it no more; no hourly one in phase 3 */
}

static void phase3_without_a_place(void **state)
{
    ota_site_t *site = limited(ota_site_identified());
    mdm_claim_t claim = claim_of_another(site, MDM_CLAIM_DEVICES);

    (void)state;
    fake_claim_put(site->fake->store, &claim);
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_LIMIT_DEVICES);
    assert_null(site->reply.body);
    assert_int_equal(ota_stored(site)->state, MDM_STATE_IDENTIFIED);
    assert_string_equal(fake_store_refusal(site->fake->store, site->id), "MDM0404");
}

/* Another device came with the same challenge, or an administrator ended the row. */
static void rival(fake_store_t *fake, void *id)
{
    mdm_enrollment_t *row = fake_store_enrollment(fake, id);

    row->expires_at = 1;
}

static void lost_move_gives_back(void **state)
{
    (void)state;
    for (int in_phase3 = 0; in_phase3 <= 1; in_phase3++) {
        ota_site_t *site = limited(in_phase3 ? ota_site_identified() : ota_site_offered());

        site->fake->store->rival = rival;
        site->fake->store->rival_context = (void *)site->id;
        assert_int_equal(
            ota_post(site, in_phase3 ? ota_phase3_message() : ota_phase2_message(site)).message,
            MDM_MSG_ENROLLMENT_STATE);
        assert_int_equal(claims(site), 0);
    }
}

static void lost_move_keeps_what_was_there(void **state)
{
    ota_site_t *site = limited(ota_site_identified());
    mdm_claim_t own = claim_of_another(site, MDM_CLAIM_DEVICES);

    (void)state;
    own.holder = OTA_UDID;
    fake_claim_put(site->fake->store, &own);
    site->fake->store->rival = rival;
    site->fake->store->rival_context = (void *)site->id;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_ENROLLMENT_STATE);
    assert_non_null(device_claim(site));
}

/* Phase 2: two reads, a count, a list and an insertion for the devices, a list and an insertion for
 * the hour, the challenge, the move. Phase 3: two reads, the devices, the challenge, the move; then
 * what nobody waits for. */
static void store_fails(void **state)
{
    (void)state;
    for (int in_phase3 = 0; in_phase3 <= 1; in_phase3++)
        for (int after = 0; after <= 1; after++)
            for (int nth = 1; nth <= (in_phase3 ? 7 : 9); nth++) {
                ota_site_t *site = limited(in_phase3 ? ota_site_identified() : ota_site_offered());
                ota_bytes_t body = in_phase3 ? ota_phase3_message() : ota_phase2_message(site);
                int last = in_phase3 ? 7 : 9;

                fake_store_fail(site->fake->store, nth, after);
                assert_int_equal(ota_post(site, body).message, MDM_MSG_STORE_UNAVAILABLE);
                assert_null(site->reply.body);
                if (nth >= last - 1 || !after)
                    assert_int_equal(claims(site), 0);
                if (nth == last && after) { /* it moved, and nobody was answered */
                    ota_assert_refused(site, body, MDM_MSG_ENROLLMENT_STATE);
                    continue;
                }
                assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
                assert_int_equal(claims(site), in_phase3 ? 1 : 2);
            }
}

static void no_reply_no_place(void **state)
{
    ota_site_t *site = limited(ota_site_offered());

    (void)state;
    site->signer.key = ota_ec_key; /* not the certificate's */
    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_CRYPTO);
    assert_int_equal(claims(site), 0);
    site->signer.key = ota_vhost_key;
    site->fake->random_fail_at = site->fake->random_calls + 1;
    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_RANDOM);
    assert_int_equal(claims(site), 0);
}

/* Enrolled by anna; then bert enrolled it, which freed her place, and she took another device. */
static void update_without_a_place(void **state)
{
    ota_site_t *site = limited(ota_site_delivered(1));
    mdm_claim_t own = claim_of_another(site, MDM_CLAIM_DEVICES), berts = own;
    apr_int64_t signed_at = ota_stored(site)->signed_at;
    int challenges = site->fake->store->challenges->nelts;

    (void)state;
    berts.user = "bert";
    berts.holder = OTA_UDID;
    fake_claim_put(site->fake->store, &own);
    fake_claim_put(site->fake->store, &berts);
    assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message,
                     MDM_MSG_LIMIT_DEVICES);
    assert_null(site->reply.body);
    assert_int_equal(ota_stored(site)->signed_at, signed_at);
    assert_int_equal(site->fake->store->challenges->nelts, challenges);
    assert_string_equal(fake_store_refusal(site->fake->store, site->id), "MDM0404");
    site->settings.limits.devices.most = 2;
    assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message, MDM_MSG_NONE);
    assert_string_equal(device_claim(site)->enrollment, site->id);
    assert_int_equal(claims(site), 3);
}

/* Also where it was enrolled before there was a limit, and where the limit is lower now. */
static void update_keeps_the_place(void **state)
{
    ota_site_t *site = limited(ota_site_delivered(1));
    mdm_claim_t other = claim_of_another(site, MDM_CLAIM_DEVICES);

    (void)state;
    fake_claim_put(site->fake->store, &other);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message,
                         MDM_MSG_NONE);
        assert_non_null(device_claim(site));
        assert_int_equal(claims(site), 2);
        site->fake->clock++;
    }
}

static void lost_update_gives_back(void **state)
{
    ota_site_t *site = limited(ota_site_delivered(1));

    (void)state;
    /* certificate, row, count, the devices, the challenge: then comes the write */
    fake_store_rival(site->fake->store, 8, rival, (void *)site->id);
    assert_int_equal(ota_post(site, ota_update_message(site->fake->clock)).message,
                     MDM_MSG_ENROLLMENT_STATE);
    assert_null(site->reply.body);
    assert_int_equal(claims(site), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phase2_takes_places),
        cmocka_unit_test(phase2_is_refused_at_the_limit),
        cmocka_unit_test(others_refuse_first),
        cmocka_unit_test(phase3_settles_the_place),
        cmocka_unit_test(phase3_without_a_place),
        cmocka_unit_test(lost_move_gives_back),
        cmocka_unit_test(lost_move_keeps_what_was_there),
        cmocka_unit_test(store_fails),
        cmocka_unit_test(no_reply_no_place),
        cmocka_unit_test(update_without_a_place),
        cmocka_unit_test(update_keeps_the_place),
        cmocka_unit_test(lost_update_gives_back),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
