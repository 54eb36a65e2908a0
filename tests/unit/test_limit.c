/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_limit: places of users over a store in memory, with rivals between any two of
 * its calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "fake_claim.h"
#include "mdm_limit.h"

#define LIFETIME 900

static apr_pool_t *p;
static fake_world_t *fake;
static mdm_limits_t limits;
static mdm_limit_taken_t taken; /* by the last attempt */

static int set_up(void **state)
{
    (void)state;
    apr_initialize();
    apr_pool_create(&p, NULL);
    fake = fake_world_create(p);
    limits = (mdm_limits_t){.devices = {2, NULL}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}

/* An offered enrollment of a user. */
static mdm_enrollment_t *offer(const char *user)
{
    static int number;
    mdm_enrollment_t row = {.id = apr_psprintf(p, "e%d", ++number),
                            .flow = "ota",
                            .site = FAKE_SITE,
                            .rules = FAKE_RULES,
                            .user = user,
                            .udid = "",
                            .serial = "",
                            .product = "",
                            .os_version = "",
                            .device_fingerprint = "",
                            .identity_fingerprint = "",
                            .terms = "",
                            .created_at = fake->clock,
                            .updated_at = fake->clock,
                            .expires_at = fake->clock + LIFETIME};

    fake_store_put_enrollment(fake->store, &row);
    return fake_store_enrollment(fake->store, row.id);
}

/* Phase 2 of a row for a device, as far as it is the limit's: the message, or MDM_MSG_NONE. */
static mdm_message_t begin_row(mdm_enrollment_t *row, const char *udid)
{
    mdm_result_t r = mdm_limit_begin(p, &fake->world, &limits, row, udid, &taken);

    if (r.kind == MDM_OK) {
        row->udid = udid;
        row->state = MDM_STATE_IDENTIFYING;
    }
    return r.message;
}

static mdm_message_t begin(const char *user, const char *udid)
{
    return begin_row(offer(user), udid);
}

static mdm_message_t deliver_row(mdm_enrollment_t *row)
{
    mdm_result_t r = mdm_limit_deliver(p, &fake->world, &limits, row, &taken);

    if (r.kind == MDM_OK) {
        row->state = MDM_STATE_DELIVERED;
        mdm_limit_delivered(p, &fake->world, &limits, row);
    }
    return r.message;
}

/* All of it. The row of the device. */
static mdm_enrollment_t *enroll(const char *user, const char *udid)
{
    mdm_enrollment_t *row = offer(user);

    assert_int_equal(begin_row(row, udid), MDM_MSG_NONE);
    assert_int_equal(deliver_row(row), MDM_MSG_NONE);
    return row;
}

/* As mdm-enroll-admin revoke. */
static void end(mdm_enrollment_t *row)
{
    row->expires_at = fake->clock - 3600;
    row->updated_at = fake->clock;
}

/* --- devices --- */

static void as_many_devices_as_there_are_places(void **state)
{
    (void)state;
    enroll("anna", "A");
    assert_int_equal(taken.devices.place, 0); /* it was there since phase 2 */
    enroll("anna", "B");
    assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES);
    assert_int_equal(taken.devices.place, 0);
    assert_int_equal(fake->store->claims->nelts, 2);
    /* others are others */
    enroll("bert", "C");
}

static void refusal_has_text_and_is_noted(void **state)
{
    mdm_enrollment_t *row;
    mdm_result_t r;

    (void)state;
    limits.devices.most = 1;
    enroll("anna", "A");
    row = offer("anna");
    r = mdm_limit_begin(p, &fake->world, &limits, row, "B", &taken);
    assert_int_equal(r.kind, MDM_REFUSED);
    assert_string_equal(r.user, "You have enrolled as many devices as you may.");
    assert_non_null(strstr(r.log, "user \"anna\" has 1 devices"));
    assert_non_null(strstr(r.log, "fewer than 1"));
    assert_string_equal(fake_store_refusal(fake->store, row->id), "MDM0404");
    limits.devices.text = "One device each.";
    r = mdm_limit_begin(p, &fake->world, &limits, row, "B", &taken);
    assert_string_equal(r.user, "One device each.");
}

static void same_device_again(void **state)
{
    (void)state;
    enroll("anna", "A");
    enroll("anna", "B");
    enroll("anna", "A");
    assert_int_equal(begin("anna", "A"), MDM_MSG_NONE);
    assert_int_equal(fake->store->claims->nelts, 2);
}

/* The spelling of a name that a directory takes for the same. */
static void one_user_by_any_spelling(void **state)
{
    (void)state;
    enroll("anna x", "A");
    enroll(" ANNA  X ", "B");
    assert_int_equal(begin("Anna X", "C"), MDM_MSG_LIMIT_DEVICES);
    enroll("annax", "C");
    enroll("J\xc3\xbcrgen", "D");
    assert_non_null(fake_claim_of(fake->store, "devices", "j\xc3\xbcrgen", "D"));
}

static void without_a_limit_nothing_is_asked(void **state)
{
    int calls;

    (void)state;
    limits.devices.most = 0;
    calls = fake->store->calls;
    enroll("anna", "A");
    assert_int_equal(fake->store->calls, calls);
}

static void unfinished_ones_count_until_they_are_over(void **state)
{
    mdm_enrollment_t *row = offer("anna");

    (void)state;
    assert_int_equal(begin_row(row, "A"), MDM_MSG_NONE);
    enroll("anna", "B");
    fake->clock += LIFETIME + 59; /* a late httpd may move it still */
    assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES);
    fake->clock++;
    assert_int_equal(begin("anna", "C"), MDM_MSG_NONE);
    /* what it was taken from comes too late */
    assert_int_equal(deliver_row(row), MDM_MSG_LIMIT_DEVICES);
    assert_int_equal(fake->store->claims->nelts, 2);
}

static void ended_and_lost_ones_do_not_count(void **state)
{
    mdm_enrollment_t *a = enroll("anna", "A");

    (void)state;
    enroll("anna", "B");
    end(a);
    enroll("anna", "C");
    assert_int_equal(begin("anna", "A"), MDM_MSG_LIMIT_DEVICES);
    a = fake_store_enrollment(fake->store,
                              fake_claim_of(fake->store, "devices", "anna", "B")->enrollment);
    a->id = "gone";
    enroll("anna", "A");
    assert_int_equal(fake->store->claims->nelts, 2);
}

/* Enrolling again, and giving up: the device is enrolled still, and counts. */
static void a_second_attempt_that_comes_to_nothing(void **state)
{
    mdm_enrollment_t *first = enroll("anna", "A");

    (void)state;
    enroll("anna", "B");
    assert_int_equal(begin("anna", "A"), MDM_MSG_NONE);
    fake->clock += LIFETIME + 60;
    assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES);
    /* If it comes to something, the place is the later one's. */
    enroll("anna", "A");
    end(first);
    assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES);
}

/* The first attempt came to nothing, the second is under way: the place is that one's. */
static void a_second_attempt_after_an_unfinished_one(void **state)
{
    mdm_enrollment_t *second;

    (void)state;
    limits.devices.most = 1;
    assert_int_equal(begin("anna", "A"), MDM_MSG_NONE);
    fake->clock += LIFETIME / 2;
    second = offer("anna");
    assert_int_equal(begin_row(second, "A"), MDM_MSG_NONE);
    fake->clock += LIFETIME / 2 + 60;
    assert_int_equal(begin("anna", "B"), MDM_MSG_LIMIT_DEVICES);
    assert_int_equal(deliver_row(second), MDM_MSG_NONE);
    assert_int_equal(fake->store->claims->nelts, 1);
}

/* Its own place is over, and another one lower down is free. */
static void own_place_that_is_over(void **state)
{
    mdm_enrollment_t *a = enroll("anna", "A"), *b = enroll("anna", "B");

    (void)state;
    end(a);
    end(b);
    enroll("anna", "B");
    assert_int_equal(fake_claim_of(fake->store, "devices", "anna", "B")->place, 1);
    assert_null(fake_claim_of(fake->store, "devices", "anna", "A"));
}

/* What the device's place stood for was ended, and another device has it. */
static void phase_3_asks_again(void **state)
{
    mdm_enrollment_t *first = enroll("anna", "A"), *second = offer("anna");

    (void)state;
    enroll("anna", "B");
    assert_int_equal(begin_row(second, "A"), MDM_MSG_NONE);
    end(first);
    enroll("anna", "C");
    assert_int_equal(deliver_row(second), MDM_MSG_LIMIT_DEVICES);
    assert_string_equal(fake_store_refusal(fake->store, second->id), "MDM0404");
    end(fake_store_enrollment(fake->store,
                              fake_claim_of(fake->store, "devices", "anna", "B")->enrollment));
    assert_int_equal(deliver_row(second), MDM_MSG_NONE);
    assert_int_equal(taken.devices.place,
                     1 + (fake_claim_of(fake->store, "devices", "anna", "C")->place == 1));
}

static void another_user_takes_the_device_over(void **state)
{
    mdm_enrollment_t *row;

    (void)state;
    enroll("anna", "A");
    enroll("anna", "B");
    row = offer("bert");
    assert_int_equal(begin_row(row, "A"), MDM_MSG_NONE);
    assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES); /* it may come to nothing */
    assert_int_equal(deliver_row(row), MDM_MSG_NONE);
    enroll("anna", "C");
    assert_null(fake_claim_of(fake->store, "devices", "anna", "A"));
    assert_non_null(fake_claim_of(fake->store, "devices", "bert", "A"));
}

static void lowered_limit(void **state)
{
    mdm_enrollment_t *a, *b;

    (void)state;
    limits.devices.most = 4;
    a = enroll("anna", "A");
    b = enroll("anna", "B");
    enroll("anna", "C");
    enroll("anna", "D");
    limits.devices.most = 3;
    enroll("anna", "D"); /* its own, beyond the limit */
    end(a);
    assert_int_equal(begin("anna", "E"), MDM_MSG_LIMIT_DEVICES);
    end(b);
    enroll("anna", "E");
    assert_int_equal(fake_claim_of(fake->store, "devices", "anna", "E")->place, 1);
    assert_int_equal(begin("anna", "F"), MDM_MSG_LIMIT_DEVICES);
}

/* A place beyond the limit that is over is nobody's, least of all its former holder's. */
static void lowered_limit_and_an_ended_device(void **state)
{
    (void)state;
    limits.devices.most = 3;
    enroll("anna", "A");
    enroll("anna", "B");
    end(enroll("anna", "C"));
    limits.devices.most = 2;
    assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES);
}

/* Enrolled while there was no limit. */
static void devices_of_before(void **state)
{
    mdm_enrollment_t *row;

    (void)state;
    limits.devices.most = 0;
    enroll("anna", "A");
    row = enroll("anna", "B");
    enroll("anna", "C");
    limits.devices.most = 2;
    assert_int_equal(begin("anna", "D"), MDM_MSG_LIMIT_DEVICES);
    enroll("anna", "A"); /* its own, though there are too many */
    assert_int_equal(fake->store->claims->nelts, 1);
    enroll("anna", "A");
    end(row);
    assert_int_equal(begin("anna", "D"), MDM_MSG_LIMIT_DEVICES);
    row = enroll("anna", "C");
    assert_int_equal(fake->store->claims->nelts, 2);
    end(row);
    enroll("anna", "D");
}

/* --- others at the same time --- */

static void rival_enrolls(fake_store_t *store, void *udid)
{
    mdm_limit_taken_t theirs;

    (void)store;
    assert_int_equal(
        mdm_limit_begin(p, &fake->world, &limits, offer("anna"), udid, &theirs).message,
        MDM_MSG_NONE);
}

static void rival_before_any_call(void **state)
{
    (void)state;
    /* three calls: the count, the list, and the insert, which is lost to the rival the last time */
    for (int at = 1; at <= 3; at++) {
        fake_store_reset(fake->store);
        enroll("anna", "A");
        fake_store_rival(fake->store, at, rival_enrolls, "R");
        assert_int_equal(begin("anna", "B"), MDM_MSG_LIMIT_DEVICES);
        assert_int_equal(fake->store->claims->nelts, 2);
        assert_null(fake->store->rival);
        assert_int_equal(taken.devices.place, 0);
        assert_null(fake_claim_of(fake->store, "devices", "anna", "B"));
    }
    /* with a place for both */
    limits.devices.most = 3;
    for (int at = 1; at <= 3; at++) {
        fake_store_reset(fake->store);
        enroll("anna", "A");
        fake_store_rival(fake->store, at, rival_enrolls, "R");
        assert_int_equal(begin("anna", "B"), MDM_MSG_NONE);
        assert_int_equal(fake->store->claims->nelts, 3);
    }
}

/* Two who find the same dead claim in the way. */
static void rival_takes_what_is_over(void **state)
{
    (void)state;
    for (int at = 1; at <= 4; at++) {
        mdm_enrollment_t *over;

        fake_store_reset(fake->store);
        over = enroll("anna", "A");
        enroll("anna", "B");
        end(over);
        fake_store_rival(fake->store, at, rival_enrolls, "R");
        assert_int_equal(begin("anna", "C"), MDM_MSG_LIMIT_DEVICES);
        assert_int_equal(fake->store->claims->nelts, 2);
        assert_non_null(fake_claim_of(fake->store, "devices", "anna", "B"));
        assert_non_null(fake_claim_of(fake->store, "devices", "anna", "R"));
    }
}

/* A copy of the same message: the first to claim loses the move, or the store fails it. What it
 * gives back must not be what the other relies on. */
static void a_copy_keeps_the_place(void **state)
{
    mdm_enrollment_t *row = offer("anna");
    mdm_limit_taken_t first, second;

    (void)state;
    assert_int_equal(mdm_limit_begin(p, &fake->world, &limits, row, "A", &first).kind, MDM_OK);
    assert_int_equal(first.devices.place, 1);
    assert_int_equal(mdm_limit_begin(p, &fake->world, &limits, row, "A", &second).kind, MDM_OK);
    assert_int_equal(second.devices.place, 0);
    mdm_limit_give_back(p, &fake->world, &first);
    assert_non_null(fake_claim_of(fake->store, "devices", "anna", "A"));
    mdm_limit_give_back(p, &fake->world, &second);
    assert_non_null(fake_claim_of(fake->store, "devices", "anna", "A"));
}

static void what_was_new_is_given_back(void **state)
{
    mdm_enrollment_t *row = offer("anna");

    (void)state;
    limits.hourly.most = 1;
    assert_int_equal(mdm_limit_begin(p, &fake->world, &limits, row, "A", &taken).kind, MDM_OK);
    assert_int_equal(fake->store->claims->nelts, 2);
    mdm_limit_give_back(p, &fake->world, &taken);
    assert_int_equal(fake->store->claims->nelts, 0);
    enroll("anna", "A");
    limits.hourly.most = 0;
    assert_int_equal(mdm_limit_begin(p, &fake->world, &limits, offer("anna"), "A", &taken).kind,
                     MDM_OK);
    mdm_limit_give_back(p, &fake->world, &taken);
    assert_non_null(fake_claim_of(fake->store, "devices", "anna", "A"));
}

static void store_fails(void **state)
{
    (void)state;
    limits.hourly.most = 5;
    for (int after = 0; after <= 1; after++)
        for (int at = 1; at <= 5; at++) {
            mdm_enrollment_t *row;

            fake_store_reset(fake->store);
            row = offer("anna");
            fake_store_fail(fake->store, at, after);
            assert_int_equal(begin_row(row, "A"), MDM_MSG_STORE_UNAVAILABLE);
            assert_null(fake_store_refusal(fake->store, row->id));
            /* the same message again, and no more than two places are taken */
            assert_int_equal(begin_row(row, "A"), MDM_MSG_NONE);
            assert_int_equal(fake->store->claims->nelts, 2);
        }
}

static void rival_for_ever(fake_store_t *store, void *udid)
{
    mdm_claim_t *claim = APR_ARRAY_IDX(store->claims, 0, mdm_claim_t *);

    claim->taken_at++;
    fake_store_rival(store, 2, rival_for_ever, udid);
}

static void tries_are_bounded(void **state)
{
    (void)state;
    enroll("anna", "A");
    fake_store_rival(fake->store, 3, rival_for_ever, NULL);
    assert_int_equal(begin("anna", "A"), MDM_MSG_STORE_BUSY);
}

/* --- hourly --- */

static void so_many_in_any_hour(void **state)
{
    mdm_enrollment_t *row;

    (void)state;
    limits.devices.most = 0;
    limits.hourly.most = 2;
    row = offer("anna");
    assert_int_equal(begin_row(row, "A"), MDM_MSG_NONE);
    fake->clock += 1800;
    assert_int_equal(begin("anna", "A"), MDM_MSG_NONE);
    row = offer("anna");
    assert_int_equal(begin_row(row, "A"), MDM_MSG_LIMIT_HOURLY);
    assert_string_equal(fake_store_refusal(fake->store, row->id), "MDM0405");
    fake->clock += 1799;
    assert_int_equal(begin("anna", "A"), MDM_MSG_LIMIT_HOURLY);
    fake->clock++;
    assert_int_equal(begin("anna", "A"), MDM_MSG_NONE);
    assert_int_equal(begin("anna", "A"), MDM_MSG_LIMIT_HOURLY);
    assert_int_equal(fake->store->claims->nelts, 2);
}

static void same_enrollment_counts_once(void **state)
{
    mdm_enrollment_t *row = offer("anna");

    (void)state;
    limits.hourly.most = 1;
    assert_int_equal(begin_row(row, "A"), MDM_MSG_NONE);
    assert_int_equal(begin_row(row, "A"), MDM_MSG_NONE);
    /* what the hourly limit refuses takes no device's place */
    assert_int_equal(begin("anna", "B"), MDM_MSG_LIMIT_HOURLY);
    assert_null(fake_claim_of(fake->store, "devices", "anna", "B"));
    assert_int_equal(fake->store->claims->nelts, 2);
}

static void revoked_ones_were_begun(void **state)
{
    (void)state;
    limits.hourly.most = 1;
    end(enroll("anna", "A"));
    assert_int_equal(begin("anna", "A"), MDM_MSG_LIMIT_HOURLY);
}

static void clock_that_was_wrong(void **state)
{
    (void)state;
    limits.hourly.most = 1;
    enroll("anna", "A");
    fake->clock -= 365 * 86400;
    assert_int_equal(begin("anna", "A"), MDM_MSG_NONE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_many_devices_as_there_are_places),
        TEST(refusal_has_text_and_is_noted),
        TEST(same_device_again),
        TEST(one_user_by_any_spelling),
        TEST(without_a_limit_nothing_is_asked),
        TEST(unfinished_ones_count_until_they_are_over),
        TEST(ended_and_lost_ones_do_not_count),
        TEST(a_second_attempt_that_comes_to_nothing),
        TEST(a_second_attempt_after_an_unfinished_one),
        TEST(own_place_that_is_over),
        TEST(phase_3_asks_again),
        TEST(another_user_takes_the_device_over),
        TEST(devices_of_before),
        TEST(lowered_limit),
        TEST(lowered_limit_and_an_ended_device),
        TEST(rival_before_any_call),
        TEST(rival_takes_what_is_over),
        TEST(a_copy_keeps_the_place),
        TEST(what_was_new_is_given_back),
        TEST(store_fails),
        TEST(tries_are_bounded),
        TEST(so_many_in_any_hour),
        TEST(same_enrollment_counts_once),
        TEST(revoked_ones_were_begun),
        TEST(clock_that_was_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
