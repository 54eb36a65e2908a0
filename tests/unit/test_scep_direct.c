/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_scep: the identity of a direct profile, by which its enrollment is delivered.
 * Depends on scep_fixture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mdm_x509.h"
#include "scep_fixture.h"

/* What mdm_direct_offer() leaves: nothing is known of the device. */
static void arrange_direct(void)
{
    arrange(MDM_STATE_OFFERED, MDM_PURPOSE_MDM);
    the_row()->flow = MDM_FLOW_DIRECT;
    the_row()->udid = the_row()->serial = the_row()->product = the_row()->os_version = "";
    the_row()->device_fingerprint = "";
}

static void delivered_by_its_identity(void **state)
{
    scep_opts_t opts = sound(), other = sound();

    (void)state;
    arrange_direct();
    ask(&opts);
    granted();
    assert_int_equal(the_row()->state, MDM_STATE_DELIVERED);
    assert_int_equal(the_row()->expires_at, fake->clock + SCEP_LIFETIME);
    assert_int_equal(record()->purpose, MDM_PURPOSE_MDM);
    assert_string_equal(mdm_x509_subject(pki_pool, answer.cert), "CN=" ID ",OU=MDM,O=Example");
    assert_int_equal(fake->store->notifications->nelts, 0); /* nobody wants to be told */
    ask(&opts);                                             /* the same once more */
    granted();
    other.key = other_key; /* its reply was lost */
    ask(&other);
    granted_anew(1);
    assert_int_equal(recorded(0)->revocation_reason, MDM_REVOCATION_SUPERSEDED);
}

static void only_of_the_direct_flow_and_in_time(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange_direct();
    the_row()->flow = MDM_FLOW_OTA;
    ask(&opts);
    refused(MDM_MSG_ENROLLMENT_STATE, BAD_REQUEST);
    untouched();
    arrange_direct();
    the_row()->expires_at = fake->clock;
    ask(&opts);
    refused(MDM_MSG_ENROLLMENT_EXPIRED, BAD_REQUEST);
    untouched();
    arrange_direct();
    the_row()->state = MDM_STATE_IDENTIFIED;
    ask(&opts);
    refused(MDM_MSG_ENROLLMENT_STATE, BAD_REQUEST);
    untouched();
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

/* A copy, or a request with another key, comes in between any two steps: one certificate lives. */
static void two_requests_at_any_moment(void **state)
{
    int moments = 0;

    (void)state;
    for (int copy = 0; copy < 2; copy++) {
        scep_opts_t opts = sound(), another = sound();
        scep_bytes_t message = scep_message(&opts);

        another.key = other_key;
        rival_message = copy ? message : scep_message(&another);
        for (int nth = 1;; nth++) {
            mdm_result_t rival = {.kind = MDM_FAULT};
            int live = 0;

            arrange_direct();
            fake_store_rival(fake->store, nth, rival_call, &rival);
            exchange(message, key);
            if (rival.kind == MDM_FAULT)
                break; /* the request has fewer steps */
            moments++;
            if (copy)
                assert_int_equal(result.kind, MDM_OK);
            assert_true(result.kind == MDM_OK || rival.kind == MDM_OK);
            for (int i = 0; i < issued(); i++)
                live += recorded(i)->revoked_at == 0;
            assert_int_equal(live, 1);
            assert_int_equal(the_row()->state, MDM_STATE_DELIVERED);
        }
    }
    assert_true(moments > 12);
}

/* The store fails at any step, before or after the effect: a repetition brings it to its end, and
 * the site is told once. */
static void failures_heal(void **state)
{
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);
    int failures = 0;

    (void)state;
    fake->world.notify = 1;
    for (int after = 0; after < 2; after++) {
        for (int nth = 1;; nth++) {
            arrange_direct();
            fake_store_fail(fake->store, nth, after);
            exchange(message, key);
            if (result.kind == MDM_OK && fake->store->calls < fake->store->fail_at)
                break;
            failures += result.kind != MDM_OK;
            fake_store_fail(fake->store, 0, 0);
            exchange(message, key);
            granted();
            assert_int_equal(the_row()->state, MDM_STATE_DELIVERED);
            assert_int_equal(fake->store->notifications->nelts, 1);
        }
    }
    fake->world.notify = 0;
    assert_true(failures > 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_by_its_identity),
        cmocka_unit_test(only_of_the_direct_flow_and_in_time),
        cmocka_unit_test(two_requests_at_any_moment),
        cmocka_unit_test(failures_heal),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
