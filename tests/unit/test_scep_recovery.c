/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_scep: devices whose reply was lost, and two that have one challenge. Depends on
 * scep_fixture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>

#include "scep_fixture.h"

/* A device whose reply was lost makes a new key and asks again: bounded, and one certificate lives.
 */
static void recovered(mdm_state_t at, mdm_purpose_t purpose)
{
    scep_opts_t first = sound(), second = sound(), third = sound(), fourth = sound();

    arrange(at, purpose);
    ask(&first);
    granted();
    second.key = other_key;
    ask(&second);
    granted_anew(1);
    assert_string_equal(facts.enrollment, ID);
    assert_int_equal(recorded(0)->revoked_at, fake->clock);
    assert_int_equal(recorded(0)->revocation_reason, MDM_REVOCATION_SUPERSEDED);
    assert_int_equal(recorded(1)->revoked_at, 0);
    fake->store->writes = 0;
    ask(&first);
    refused(MDM_MSG_SCEP_CHALLENGE, BAD_REQUEST);
    assert_int_equal(fake->store->writes, 0);
    ask(&second);
    granted_anew(1);
    third.transaction = "transaction-3";
    ask(&third);
    granted_anew(2);
    assert_int_equal(recorded(1)->revocation_reason, MDM_REVOCATION_SUPERSEDED);
    assert_int_equal(recorded(2)->revoked_at, 0);
    if (purpose == MDM_PURPOSE_IDENTITY)
        assert_string_equal(the_row()->identity_fingerprint, recorded(2)->fingerprint);
    fake->store->writes = 0;
    fourth.subject = "another";
    ask(&fourth);
    refused(MDM_MSG_SCEP_CHALLENGE, BAD_REQUEST);
    assert_int_equal(fake->store->writes, 0);
    assert_int_equal(issued(), 3);
}

static void test_lost_reply_is_recovered(void **state)
{
    (void)state;
    recovered(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    recovered(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
}

static void test_recovery_ends(void **state)
{
    scep_opts_t opts = sound(), another = sound();
    apr_int64_t begin = fake->clock;

    (void)state;
    another.key = other_key;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    ask(&opts);
    granted();
    fake->clock = begin + MDM_SCEP_RECOVERY + 1;
    ask(&another);
    refused(MDM_MSG_SCEP_CHALLENGE, BAD_REQUEST);
    fake->clock = begin + MDM_SCEP_RECOVERY;
    ask(&another);
    granted_anew(1);
    fake->clock = begin;

    /* the identity is in use once phase 3 is done */
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    ask(&opts);
    granted();
    the_row()->state = MDM_STATE_DELIVERED;
    ask(&another);
    refused(MDM_MSG_ENROLLMENT_STATE, BAD_REQUEST);
    assert_int_equal(recorded(0)->revoked_at, 0);
}

/* Each step of a recovery fails once, before or after it took effect: the same request, sent again,
 * ends where it would have. */
static void test_recovery_survives_failures(void **state)
{
    scep_opts_t opts = sound(), another = sound();
    scep_bytes_t message;
    int failures = 0;

    (void)state;
    another.key = other_key;
    message = scep_message(&another);
    for (int after = 0; after < 2; after++) {
        for (int nth = 1;; nth++) {
            arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
            ask(&opts);
            granted();
            fake_store_fail(fake->store, nth, after);
            exchange(message, other_key);
            if (result.kind == MDM_OK && fake->store->calls < fake->store->fail_at)
                break;
            if (result.kind != MDM_OK) {
                assert_int_equal(result.kind, MDM_UNAVAILABLE);
                failures++;
            }
            fake_store_fail(fake->store, 0, 0);
            exchange(message, other_key);
            granted_anew(1);
            assert_int_equal(recorded(0)->revocation_reason, MDM_REVOCATION_SUPERSEDED);
            assert_int_equal(recorded(1)->revoked_at, 0);
            assert_string_equal(the_row()->identity_fingerprint, recorded(1)->fingerprint);
        }
    }
    assert_true(failures > 10);
}

static void test_a_day_has_its_bound(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    for (int i = 0; i < MDM_SCEP_MAX_A_DAY; i++) {
        const char *unique = apr_psprintf(pki_pool, "old-%d", i);
        fake_store_put_certificate(
            fake->store, &(mdm_certificate_t){.serial = unique,
                                              .issuer = "",
                                              .enrollment = ID,
                                              .request = unique,
                                              .poll = "",
                                              .authority = "",
                                              .fingerprint = unique,
                                              .der = "",
                                              .used_for = "",
                                              .issued_at = fake->clock - (i < 3 ? DAY : 5)});
    }
    ask(&opts);
    granted_anew(MDM_SCEP_MAX_A_DAY);
    for (int i = 0; i < 3; i++)
        recorded(i)->issued_at = fake->clock;
    opts.key = other_key;
    ask(&opts);
    refused(MDM_MSG_SCEP_TOO_MANY, BAD_REQUEST);
}

static scep_bytes_t rival_message;

static void rival_call(fake_store_t *store, void *context)
{
    mdm_scep_reply_t its_reply;
    mdm_scep_facts_t its_facts;

    (void)store;
    *(mdm_result_t *)context =
        mdm_scep_pki_operation(pki_pool, &settings, &fake->world, rival_message.data,
                               rival_message.len, &its_reply, &its_facts);
}

/* How many certificates live; *index is that of the last. */
static int live(int *index)
{
    int count = 0;

    for (int i = 0; i < issued(); i++)
        if (recorded(i)->revoked_at == 0) {
            *index = i;
            count++;
        }
    return count;
}

/* Another request with the same challenge comes in between any two steps of a request: one
 * certificate lives in the end, and it is the enrollment's identity. */
static void test_two_requests_at_any_moment(void **state)
{
    scep_opts_t opts = sound(), another = sound();
    scep_bytes_t message = scep_message(&opts);
    int index = -1, nth, moments = 0;

    (void)state;
    another.key = other_key;
    rival_message = scep_message(&another);
    for (int used = 0; used < 2; used++) { /* the challenge was spent once before */
        for (nth = 1;; nth++) {
            mdm_result_t rival = {.kind = MDM_FAULT};

            arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
            if (used) {
                scep_opts_t lost = sound();
                lost.transaction = "lost";
                ask(&lost);
                granted();
            }
            fake_store_rival(fake->store, nth, rival_call, &rival);
            exchange(message, key);
            if (rival.kind == MDM_FAULT)
                break; /* the request has fewer steps */
            moments++;
            assert_true(result.kind == MDM_OK || rival.kind == MDM_OK);
            assert_true(result.kind == MDM_OK || result.kind == MDM_REFUSED);
            assert_true(rival.kind == MDM_OK || rival.kind == MDM_REFUSED);
            assert_int_equal(live(&index), 1);
            assert_string_equal(the_row()->identity_fingerprint, recorded(index)->fingerprint);
        }
    }
    assert_true(moments > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_reply_is_recovered),
        cmocka_unit_test(test_recovery_ends),
        cmocka_unit_test(test_recovery_survives_failures),
        cmocka_unit_test(test_a_day_has_its_bound),
        cmocka_unit_test(test_two_requests_at_any_moment),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
