/* SPDX-License-Identifier: Apache-2.0
 * Unit test of mdm_notice, and of when mdm_ota stores one: the body, its id, the signature, and
 * that no failure of the store loses what a delivered device's site is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "mdm_notice.h"
#include "ota_site.h"
#include "pki.h"

static int count(const ota_site_t *site)
{
    return site->fake->store->notifications->nelts;
}

static const mdm_notification_t *only(const ota_site_t *site)
{
    assert_int_equal(count(site), 1);
    return APR_ARRAY_IDX(site->fake->store->notifications, 0, mdm_notification_t *);
}

static void assert_member(const char *body, const char *name, const char *value)
{
    json_t *object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(object);
    assert_int_equal(json_object_size(object), 9);
    assert_string_equal(json_string_value(json_object_get(object, name)), value);
    json_decref(object);
}

static ota_site_t *identified(void)
{
    ota_site_t *site = ota_site_identified();

    site->fake->world.notify = 1;
    return site;
}

static void phase3_tells(void **state)
{
    ota_site_t *site = identified();
    const mdm_notification_t *row;
    json_t *object;

    (void)state;
    assert_int_equal(count(site), 0);
    site->fake->clock += 60;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
    row = only(site);
    assert_int_equal(strlen(row->id), 32);
    assert_int_equal(strspn(row->id, "0123456789abcdef"), 32);
    assert_string_not_equal(row->id, site->id);
    assert_string_equal(row->site, FAKE_SITE);
    assert_string_equal(row->event, "enrolled");
    assert_string_equal(row->enrollment, site->id);
    assert_int_equal(row->created_at, site->fake->clock);
    assert_int_equal(row->due_at, site->fake->clock);
    assert_int_equal(row->tries, 0);
    assert_member(row->body, "id", row->id);
    assert_member(row->body, "event", "enrolled");
    assert_member(row->body, "enrollment", site->id);
    assert_member(row->body, "user", "anna");
    assert_member(row->body, "udid", OTA_UDID);
    assert_member(row->body, "serial", OTA_SERIAL);
    assert_member(row->body, "product", ota_stored(site)->product);
    assert_member(row->body, "os_version", ota_stored(site)->os_version);
    object = json_loads(row->body, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(object, "time")), site->fake->clock);
    json_decref(object);
}

static void nobody_is_told_unless_asked(void **state)
{
    ota_site_t *site = ota_site_identified();

    (void)state;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
    assert_int_equal(count(site), 0);
}

static void refused_device_is_not_told_of(void **state)
{
    ota_site_t *site = identified();

    (void)state;
    site->fake->policy_answer = MDM_MSG_POLICY_REFUSED;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_POLICY_REFUSED);
    assert_int_equal(count(site), 0);
}

/* Whichever call fails, before or after it took effect, and however often the device comes again:
 * where the row has moved there is one notification, and never two. */
static void no_failure_loses_it(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        int nth = 1 + i / 2, after = i % 2;
        ota_site_t *site = identified();
        mdm_result_t r;

        fake_store_fail(site->fake->store, nth, after);
        assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_STORE_UNAVAILABLE);
        if (ota_stored(site)->state == MDM_STATE_DELIVERED)
            assert_int_equal(count(site), 1);
        fake_store_fail(site->fake->store, 0, 0);
        site->fake->clock += 5;
        r = ota_post(site, ota_phase3_message());
        assert_int_equal(r.message, nth == 5 && after ? MDM_MSG_ENROLLMENT_STATE : MDM_MSG_NONE);
        assert_int_equal(ota_stored(site)->state, MDM_STATE_DELIVERED);
        only(site);
    }
}

static void another_was_faster(fake_store_t *store, void *context)
{
    (void)context;
    APR_ARRAY_IDX(store->enrollments, 0, mdm_enrollment_t *)->state = MDM_STATE_DELIVERED;
}

/* The loser of a race leaves the winner's alone. */
static void lost_race_leaves_one(void **state)
{
    ota_site_t *site = identified();

    (void)state;
    site->fake->store->rival = another_was_faster;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_ENROLLMENT_STATE);
    only(site);
}

static void occasions_are_told_apart(void **state)
{
    ota_site_t *site = identified();
    const mdm_enrollment_t *row = ota_stored(site);
    const mdm_world_t *world = &site->fake->world;

    (void)state;
    for (int i = 0; i < 2; i++) {
        mdm_notice_store(pki_pool, world, row, MDM_EVENT_ENROLLED, "");
        mdm_notice_store(pki_pool, world, row, MDM_EVENT_UPDATED, "1700000000");
        mdm_notice_store(pki_pool, world, row, MDM_EVENT_UPDATED, "1700000001");
    }
    assert_int_equal(count(site), 3);
    assert_string_equal(
        APR_ARRAY_IDX(site->fake->store->notifications, 2, mdm_notification_t *)->event, "updated");
}

/* JSON is UTF-8; what is none is told all the same. */
static void values_are_told_as_they_are(void **state)
{
    ota_site_t *site = identified();
    mdm_enrollment_t row = *ota_stored(site);

    (void)state;
    row.user = "zo\xc3\xab \"\\\n";
    row.product = "bad\xff";
    row.serial = "";
    assert_int_equal(
        mdm_notice_store(pki_pool, &site->fake->world, &row, MDM_EVENT_ENROLLED, "").kind, MDM_OK);
    assert_member(only(site)->body, "user", "zo\xc3\xab \"\\\n");
    assert_member(only(site)->body, "product", "bad\\xFF");
    assert_member(only(site)->body, "serial", "");
}

/* printf %s '1700000000.{"id":"x"}' | openssl dgst -sha256 -hmac 0123456789abcdef */
static void signature_is_openssls(void **state)
{
    static const char expected[] =
        "t=1700000000,v1=f1cf8ba6a2fa64bd8193b9db564f42cd35d0fc2a46f6a2c2903f897838a7f23a";

    (void)state;
    assert_string_equal(
        mdm_notice_sign(pki_pool, "0123456789abcdef", 16, 1700000000, "{\"id\":\"x\"}"), expected);
    assert_string_not_equal(
        mdm_notice_sign(pki_pool, "0123456789abcdeg", 16, 1700000000, "{\"id\":\"x\"}"), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phase3_tells),
        cmocka_unit_test(nobody_is_told_unless_asked),
        cmocka_unit_test(refused_device_is_not_told_of),
        cmocka_unit_test(no_failure_loses_it),
        cmocka_unit_test(lost_race_leaves_one),
        cmocka_unit_test(occasions_are_told_apart),
        cmocka_unit_test(values_are_told_as_they_are),
        cmocka_unit_test(signature_is_openssls),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
