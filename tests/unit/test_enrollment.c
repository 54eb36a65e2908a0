/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_enrollment: offers, one-time secrets, transitions, and what is done when the
 * store, the directory or the source of randomness fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "fake_store.h"
#include "mdm_x509.h"
#include "pki.h"

#define LIFETIME 900

static fake_world_t *fresh(void)
{
    return fake_world_create(pki_pool);
}

/* As phase 1 does it. */
static mdm_result_t offer(fake_world_t *fake, const char *user, mdm_enrollment_t **row,
                          const char **challenge)
{
    mdm_result_t r = mdm_enrollment_make(pki_pool, &fake->world, user, LIFETIME, row);

    if (r.kind != MDM_OK)
        return r;
    *challenge = mdm_challenge_make(pki_pool, &fake->world);
    if (*challenge == NULL)
        return mdm_random_failed(pki_pool);
    return mdm_enrollment_offer(pki_pool, &fake->world, *row, *challenge, MDM_PURPOSE_DEVICE,
                                LIFETIME);
}

static mdm_enrollment_t *offered(fake_world_t *fake, const char **challenge)
{
    mdm_enrollment_t *row = NULL;
    mdm_result_t r = offer(fake, "anna", &row, challenge);

    assert_int_equal(r.message, MDM_MSG_NONE);
    return row;
}

static void names(void **state)
{
    static const char *const states[] = {"offered", "identifying", "identified", "delivered"};
    static const char *const purposes[] = {"device", "identity", "mdm", "binding"};
    mdm_state_t s;
    mdm_purpose_t purpose;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_string_equal(mdm_state_name((mdm_state_t)i), states[i]);
        assert_true(mdm_state_parse(states[i], &s));
        assert_int_equal(s, i);
    }
    for (int i = 0; i < 4; i++) {
        assert_string_equal(mdm_purpose_name((mdm_purpose_t)i), purposes[i]);
        assert_true(mdm_purpose_parse(purposes[i], &purpose));
        assert_int_equal(purpose, i);
    }
    assert_false(mdm_state_parse("Offered", &s));
    assert_false(mdm_state_parse("", &s));
    assert_false(mdm_purpose_parse("identity ", &purpose));
}

static void offer_stores_row_and_hash(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), *stored;
    mdm_challenge_t *challenge;

    (void)state;
    assert_int_equal(strlen(row->id), 32);
    assert_int_equal(strspn(row->id, "0123456789abcdef"), 32);
    assert_int_equal(strlen(secret), 43);
    assert_int_equal(strspn(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-_"),
                     43);
    stored = fake_store_enrollment(fake->store, row->id);
    assert_non_null(stored);
    assert_string_equal(stored->flow, "ota");
    assert_string_equal(stored->site, FAKE_SITE);
    assert_string_equal(stored->rules, FAKE_RULES);
    assert_string_equal(stored->user, "anna");
    assert_int_equal(stored->state, MDM_STATE_OFFERED);
    assert_string_equal(stored->udid, "");
    assert_string_equal(stored->identity_fingerprint, "");
    assert_int_equal(stored->created_at, fake->clock);
    assert_int_equal(stored->expires_at, fake->clock + LIFETIME);
    assert_int_equal(fake->store->challenges->nelts, 1);
    challenge = fake_store_challenge(fake->store, mdm_sha256_hex(pki_pool, secret, 43));
    assert_non_null(challenge);
    assert_string_equal(challenge->enrollment, row->id);
    assert_int_equal(challenge->purpose, MDM_PURPOSE_DEVICE);
    assert_int_equal(challenge->expires_at, fake->clock + LIFETIME);
    assert_int_equal(challenge->used_at, 0);
}

static void offers_differ(void **state)
{
    fake_world_t *fake = fresh();
    const char *first, *second;
    mdm_enrollment_t *a, *b;

    (void)state;
    fake->real_random = 1;
    a = offered(fake, &first);
    b = offered(fake, &second);
    assert_string_not_equal(a->id, b->id);
    assert_string_not_equal(first, second);
}

static void offer_wants_a_user_name(void **state)
{
    char *longest = apr_pcalloc(pki_pool, 258), *too_long = apr_pcalloc(pki_pool, 258);
    const char *const bad[] = {NULL,   "",      "a\xff", "a\001b", "a\nX-Role: admin",
                               "a\tb", "a\x7f", too_long};
    fake_world_t *fake = fresh();
    mdm_enrollment_t *row;
    const char *secret;

    (void)state;
    memset(longest, 'x', 256);
    memset(too_long, 'x', 257);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mdm_result_t r = offer(fake, bad[i], &row, &secret);
        assert_int_equal(r.message, MDM_MSG_USER_NAME);
        assert_int_equal(r.kind, MDM_REFUSED);
    }
    assert_int_equal(fake->store->calls, 0);
    assert_int_equal(offer(fake, longest, &row, &secret).kind, MDM_OK);
    assert_int_equal(offer(fake, "*)(uid=*", &row, &secret).kind, MDM_OK);
    assert_int_equal(offer(fake, "zo\xc3\xab", &row, &secret).kind, MDM_OK);
}

static void offer_needs_randomness(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        fake_world_t *fake = fresh();
        mdm_enrollment_t *row;
        const char *secret;
        mdm_result_t r;

        fake->random_fail_at = nth;
        r = offer(fake, "anna", &row, &secret);
        assert_int_equal(r.message, MDM_MSG_RANDOM);
        assert_int_equal(fake->store->writes, 0);
    }
}

/* Whichever write fails, the offer fails, and no challenge stands without its row. */
static void offer_needs_the_store(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 3; nth++)
        for (int after = 0; after <= 1; after++) {
            fake_world_t *fake = fresh();
            mdm_enrollment_t *row;
            const char *secret;
            mdm_result_t r;

            fake_store_fail(fake->store, nth, after);
            r = offer(fake, "anna", &row, &secret);
            assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
            assert_true(fake->store->challenges->nelts <= fake->store->enrollments->nelts);
            offered(fake, &secret);
        }
}

/* Of one user, at one time; others, and whoever goes on with one, have theirs. */
static void offers_are_bounded(void **state)
{
    fake_world_t *fake = fresh();
    mdm_enrollment_t *row = NULL;
    const char *secret;
    mdm_result_t r;

    (void)state;
    for (int i = 0; i < MDM_MAX_OFFERED; i++)
        row = offered(fake, &secret);
    r = offer(fake, "anna", &row, &secret);
    assert_int_equal(r.message, MDM_MSG_OFFERS_TOO_MANY);
    assert_int_equal(r.kind, MDM_REFUSED);
    assert_int_equal(fake->store->enrollments->nelts, MDM_MAX_OFFERED);
    assert_int_equal(offer(fake, "otto", &row, &secret).kind, MDM_OK);
    APR_ARRAY_IDX(fake->store->enrollments, 0, mdm_enrollment_t *)->state = MDM_STATE_IDENTIFYING;
    offered(fake, &secret);
    assert_int_equal(offer(fake, "anna", &row, &secret).message, MDM_MSG_OFFERS_TOO_MANY);
    fake->clock += LIFETIME;
    offered(fake, &secret);
}

static void offers_sweep_now_and_then(void **state)
{
    fake_world_t *fake = fresh();
    mdm_enrollment_t *old, *late;
    const char *secret;
    const int many = 2000;

    (void)state;
    old = offered(fake, &secret);
    fake->clock += MDM_SWEEP_DELAY + LIFETIME + 1;
    late = offered(fake, &secret);
    fake->clock += LIFETIME + MDM_SWEEP_DELAY / 2; /* over, and still told "too late" */
    for (int i = 2; i < many; i++) {
        mdm_enrollment_t *row = NULL;
        const char *user = apr_psprintf(pki_pool, "user %d", i);
        assert_int_equal(offer(fake, user, &row, &secret).kind, MDM_OK);
    }
    assert_in_range(fake->store->sweeps, many / 64 / 2, many / 64 * 2);
    assert_null(fake_store_enrollment(fake->store, old->id));
    assert_non_null(fake_store_enrollment(fake->store, late->id));
    assert_int_equal(fake->store->challenges->nelts, many - 1);
}

static void failing_sweep_is_not_the_users_business(void **state)
{
    int swept[2] = {0, 0};

    (void)state;
    for (unsigned int seed = 0; seed < 2000; seed++) {
        fake_world_t *fake = fresh();
        const char *secret;

        fake->seed = seed;
        /* after the count and the two inserts: the claims, or the rest */
        fake_store_fail(fake->store, 4 + (int)(seed % 2), 0);
        offered(fake, &secret);
        if (fake->store->sweeps == 0)
            continue;
        assert_int_equal(fake->store->calls, 5);
        swept[seed % 2] = 1;
        if (swept[0] && swept[1])
            return;
    }
    fail_msg("no offer swept");
}

static void find_live_challenge(void **state)
{
    fake_world_t *fake = fresh();
    mdm_enrollment_t *row, *found = NULL;
    mdm_challenge_t *challenge = NULL;
    const char *secret;
    mdm_result_t r;

    (void)state;
    row = offered(fake, &secret);
    fake->clock += LIFETIME - 1;
    r = mdm_challenge_find(pki_pool, &fake->world, secret, MDM_PURPOSE_DEVICE, &challenge, &found);
    assert_int_equal(r.kind, MDM_OK);
    assert_string_equal(found->id, row->id);
    assert_string_equal(challenge->enrollment, row->id);

    /* a spent one is found too */
    fake_store_challenge(fake->store, challenge->hash)->used_at = fake->clock;
    r = mdm_challenge_find(pki_pool, &fake->world, secret, MDM_PURPOSE_DEVICE, &challenge, &found);
    assert_int_equal(r.kind, MDM_OK);
    assert_int_equal(challenge->used_at, fake->clock);
}

static void assert_not_found(fake_world_t *fake, const char *secret, mdm_purpose_t purpose,
                             mdm_message_t message)
{
    mdm_challenge_t *challenge = NULL;
    mdm_enrollment_t *row = NULL;
    int writes = fake->store->writes;
    mdm_result_t r = mdm_challenge_find(pki_pool, &fake->world, secret, purpose, &challenge, &row);

    assert_int_equal(r.message, message);
    assert_null(challenge);
    assert_null(row);
    assert_int_equal(fake->store->writes, writes);
    assert_null(strstr(r.log, secret[0] != '\0' ? secret : "\n"));
}

static void find_refuses(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret);

    (void)state;
    assert_not_found(fake, "", MDM_PURPOSE_DEVICE, MDM_MSG_CHALLENGE_UNKNOWN);
    assert_not_found(fake, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", MDM_PURPOSE_DEVICE,
                     MDM_MSG_CHALLENGE_UNKNOWN);
    /* the hash is no secret */
    assert_not_found(fake, mdm_sha256_hex(pki_pool, secret, strlen(secret)), MDM_PURPOSE_DEVICE,
                     MDM_MSG_CHALLENGE_UNKNOWN);
    assert_not_found(fake, secret, MDM_PURPOSE_IDENTITY, MDM_MSG_CHALLENGE_UNKNOWN);
    assert_not_found(fake, secret, MDM_PURPOSE_MDM, MDM_MSG_CHALLENGE_UNKNOWN);

    fake->world.site = "another site on the same store";
    assert_not_found(fake, secret, MDM_PURPOSE_DEVICE, MDM_MSG_CHALLENGE_UNKNOWN);
    fake->world.site = FAKE_SITE;
    fake->world.rules = "laxer rules of the same site";
    assert_not_found(fake, secret, MDM_PURPOSE_DEVICE, MDM_MSG_CHALLENGE_UNKNOWN);
    fake->world.rules = FAKE_RULES;

    fake_store_enrollment(fake->store, row->id)->expires_at = fake->clock;
    assert_not_found(fake, secret, MDM_PURPOSE_DEVICE, MDM_MSG_ENROLLMENT_EXPIRED);
    fake_store_enrollment(fake->store, row->id)->id = "gone";
    assert_not_found(fake, secret, MDM_PURPOSE_DEVICE, MDM_MSG_CHALLENGE_UNKNOWN);
    fake->clock += LIFETIME;
    assert_not_found(fake, secret, MDM_PURPOSE_DEVICE, MDM_MSG_CHALLENGE_EXPIRED);
}

/* A delivered row has no end of its own. */
static void find_for_delivered_row(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), *found;
    mdm_challenge_t *challenge;

    (void)state;
    fake_store_enrollment(fake->store, row->id)->state = MDM_STATE_DELIVERED;
    fake_store_enrollment(fake->store, row->id)->expires_at = 1;
    assert_int_equal(
        mdm_challenge_find(pki_pool, &fake->world, secret, MDM_PURPOSE_DEVICE, &challenge, &found)
            .kind,
        MDM_OK);
}

static void find_needs_the_store(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;

    (void)state;
    offered(fake, &secret);
    for (int nth = 1; nth <= 2; nth++) {
        fake_store_fail(fake->store, nth, 0);
        assert_not_found(fake, secret, MDM_PURPOSE_DEVICE, MDM_MSG_STORE_UNAVAILABLE);
    }
}

static void challenge_made_stored_discarded(void **state)
{
    fake_world_t *fake = fresh();
    const char *first, *secret;
    mdm_enrollment_t *row = offered(fake, &first), *found;
    mdm_challenge_t *challenge;

    (void)state;
    secret = mdm_challenge_make(pki_pool, &fake->world);
    assert_int_equal(strlen(secret), 43);
    assert_int_equal(fake->store->challenges->nelts, 1); /* not stored yet */
    assert_int_equal(
        mdm_challenge_store(pki_pool, &fake->world, secret, row->id, MDM_PURPOSE_IDENTITY, 60).kind,
        MDM_OK);
    assert_int_equal(
        mdm_challenge_find(pki_pool, &fake->world, secret, MDM_PURPOSE_IDENTITY, &challenge, &found)
            .kind,
        MDM_OK);
    assert_int_equal(challenge->expires_at, fake->clock + 60);
    assert_string_equal(challenge->used_for, "");
    mdm_challenge_discard(pki_pool, &fake->world, secret);
    assert_not_found(fake, secret, MDM_PURPOSE_IDENTITY, MDM_MSG_CHALLENGE_UNKNOWN);
    fake->random_fail_at = fake->random_calls + 1;
    assert_null(mdm_challenge_make(pki_pool, &fake->world));
}

/* As phase 2 fills a row in. */
static mdm_enrollment_t identifying(const mdm_enrollment_t *row)
{
    mdm_enrollment_t next = *row;

    next.state = MDM_STATE_IDENTIFYING;
    next.udid = "00008101-000000000000001E";
    next.serial = "C02XXXXX";
    next.product = "iPhone17,2";
    next.os_version = "18.1";
    next.device_fingerprint = "aa";
    return next;
}

static void advance_moves(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row), *stored;

    (void)state;
    fake->clock += 10;
    next.user = "mallory"; /* not a column that moves */
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME).kind,
        MDM_OK);
    stored = fake_store_enrollment(fake->store, row->id);
    assert_int_equal(stored->state, MDM_STATE_IDENTIFYING);
    assert_string_equal(stored->udid, next.udid);
    assert_string_equal(stored->user, "anna");
    assert_int_equal(stored->updated_at, fake->clock);
    assert_int_equal(stored->expires_at, fake->clock + LIFETIME);
    assert_int_equal(next.expires_at, stored->expires_at);
}

static void advance_wins_once(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row);
    int writes;

    (void)state;
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME).kind,
        MDM_OK);
    writes = fake->store->writes;
    next = identifying(row);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME)
            .message,
        MDM_MSG_ENROLLMENT_STATE);
    assert_int_equal(next.expires_at, row->expires_at);
    assert_int_equal(fake->store->writes, writes);
}

static void advance_comes_late(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row);

    (void)state;
    fake->clock += LIFETIME;
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME)
            .message,
        MDM_MSG_ENROLLMENT_STATE);
    assert_int_equal(fake_store_enrollment(fake->store, row->id)->state, MDM_STATE_OFFERED);
}

/* The write itself fails; the row was read again. */
static void advance_fails_without_effect(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row);
    int calls = fake->store->calls;

    (void)state;
    fake_store_fail(fake->store, 1, 0);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME)
            .message,
        MDM_MSG_STORE_UNAVAILABLE);
    assert_int_equal(fake->store->calls, calls + 2);
    assert_int_equal(fake_store_enrollment(fake->store, row->id)->state, MDM_STATE_OFFERED);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME).kind,
        MDM_OK);
}

/* What stands there could be a rival copy's: no win is claimed. */
static void advance_fails_after_effect(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row);

    (void)state;
    fake_store_fail(fake->store, 1, 1);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME)
            .message,
        MDM_MSG_STORE_UNAVAILABLE);
    assert_int_equal(fake_store_enrollment(fake->store, row->id)->state, MDM_STATE_IDENTIFYING);
    next = identifying(row);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME)
            .message,
        MDM_MSG_ENROLLMENT_STATE);
}

/* An identity's fingerprint is nobody else's: the win is known although the answer was lost. */
static void advance_to_identified_survives(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row);

    (void)state;
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME).kind,
        MDM_OK);
    next.state = MDM_STATE_IDENTIFIED;
    next.identity_fingerprint = "bb";
    fake_store_fail(fake->store, 1, 1);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_IDENTIFYING, "", LIFETIME)
            .kind,
        MDM_OK);
}

static void rival_identifies(fake_store_t *fake, void *context)
{
    mdm_enrollment_t *row = fake_store_enrollment(fake, context);

    row->state = MDM_STATE_IDENTIFYING;
    row->device_fingerprint = "another";
}

/* The store fails without effect and another device has moved the row meanwhile. */
static void advance_fails_and_rival_won(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret), next = identifying(row);

    (void)state;
    fake->store->rival = rival_identifies;
    fake->store->rival_context = (void *)row->id;
    fake_store_fail(fake->store, 1, 0);
    assert_int_equal(
        mdm_enrollment_advance(pki_pool, &fake->world, &next, MDM_STATE_OFFERED, "", LIFETIME)
            .message,
        MDM_MSG_ENROLLMENT_STATE);
}

static const mdm_device_t device = {"UDID", "SERIAL", "", "", "", ""};

static void allowed_asks_directory_and_policy(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret);
    int writes = fake->store->writes;

    (void)state;
    assert_int_equal(mdm_enrollment_allowed(pki_pool, &fake->world, row, &device).kind, MDM_OK);
    assert_int_equal(fake->policy_calls, 1);
    assert_int_equal(fake->directory_calls, 1);
    assert_string_equal(fake->asked_user, "anna");
    assert_ptr_equal(fake->asked_device, &device);
    assert_int_equal(fake->store->writes, writes);

    fake->world.policy = NULL;
    fake->world.directory = NULL;
    assert_int_equal(mdm_enrollment_allowed(pki_pool, &fake->world, row, &device).kind, MDM_OK);
}

static void refusals_are_noted(void **state)
{
    static const struct {
        mdm_message_t policy, directory, message;
        const char *noted;
        int policy_calls;
    } cases[] = {
        {MDM_MSG_POLICY_REFUSED, MDM_MSG_NONE, MDM_MSG_POLICY_REFUSED, "MDM0400", 1},
        {MDM_MSG_POLICY_EXPRESSION, MDM_MSG_NONE, MDM_MSG_POLICY_EXPRESSION, NULL, 1},
        {MDM_MSG_NONE, MDM_MSG_DIRECTORY_NO_USER, MDM_MSG_DIRECTORY_NO_USER, "MDM0410", 0},
        {MDM_MSG_NONE, MDM_MSG_DIRECTORY_NOT_MEMBER, MDM_MSG_DIRECTORY_NOT_MEMBER, "MDM0411", 0},
        {MDM_MSG_NONE, MDM_MSG_DIRECTORY_UNAVAILABLE, MDM_MSG_DIRECTORY_UNAVAILABLE, NULL, 0},
        /* policy may go by what the directory says, so it is not asked without */
        {MDM_MSG_POLICY_REFUSED, MDM_MSG_DIRECTORY_NO_USER, MDM_MSG_DIRECTORY_NO_USER, "MDM0410",
         0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_world_t *fake = fresh();
        const char *secret, *noted;
        mdm_enrollment_t *row = offered(fake, &secret);

        fake->policy_answer = cases[i].policy;
        fake->directory_answer = cases[i].directory;
        assert_int_equal(mdm_enrollment_allowed(pki_pool, &fake->world, row, &device).message,
                         cases[i].message);
        assert_int_equal(fake->directory_calls, 1);
        assert_int_equal(fake->policy_calls, cases[i].policy_calls);
        noted = fake_store_refusal(fake->store, row->id);
        if (cases[i].noted == NULL)
            assert_null(noted);
        else
            assert_string_equal(noted, cases[i].noted);
        assert_int_equal(fake_store_enrollment(fake->store, row->id)->state, MDM_STATE_OFFERED);
    }
}

static void refusal_stands_unnoted(void **state)
{
    fake_world_t *fake = fresh();
    const char *secret;
    mdm_enrollment_t *row = offered(fake, &secret);

    (void)state;
    fake->policy_answer = MDM_MSG_POLICY_REFUSED;
    fake_store_fail(fake->store, 1, 0);
    assert_int_equal(mdm_enrollment_allowed(pki_pool, &fake->world, row, &device).message,
                     MDM_MSG_POLICY_REFUSED);
}

static void random_uuids(void **state)
{
    fake_world_t *fake = fresh();

    (void)state;
    fake->real_random = 1;
    for (int i = 0; i < 100; i++) {
        const char *uuid = mdm_random_uuid(pki_pool, &fake->world);
        assert_int_equal(strlen(uuid), 36);
        assert_int_equal(strspn(uuid, "0123456789ABCDEF-"), 36);
        assert_true(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        assert_int_equal(uuid[14], '4');
        assert_non_null(strchr("89AB", uuid[19]));
        assert_string_not_equal(uuid, mdm_random_uuid(pki_pool, &fake->world));
    }
    fake->random_fail_at = fake->random_calls + 1;
    assert_null(mdm_random_uuid(pki_pool, &fake->world));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(offer_stores_row_and_hash),
        cmocka_unit_test(offers_differ),
        cmocka_unit_test(offer_wants_a_user_name),
        cmocka_unit_test(offer_needs_randomness),
        cmocka_unit_test(offer_needs_the_store),
        cmocka_unit_test(offers_are_bounded),
        cmocka_unit_test(offers_sweep_now_and_then),
        cmocka_unit_test(failing_sweep_is_not_the_users_business),
        cmocka_unit_test(find_live_challenge),
        cmocka_unit_test(find_refuses),
        cmocka_unit_test(find_for_delivered_row),
        cmocka_unit_test(find_needs_the_store),
        cmocka_unit_test(challenge_made_stored_discarded),
        cmocka_unit_test(advance_moves),
        cmocka_unit_test(advance_wins_once),
        cmocka_unit_test(advance_comes_late),
        cmocka_unit_test(advance_fails_without_effect),
        cmocka_unit_test(advance_fails_after_effect),
        cmocka_unit_test(advance_to_identified_survives),
        cmocka_unit_test(advance_fails_and_rival_won),
        cmocka_unit_test(allowed_asks_directory_and_policy),
        cmocka_unit_test(refusals_are_noted),
        cmocka_unit_test(refusal_stands_unnoted),
        cmocka_unit_test(random_uuids),
    };

    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
