/* SPDX-License-Identifier: Apache-2.0
 * store_dbd on real databases: rows, and many threads and processes at once. Depends on db_fixture.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static mdm_challenge_t challenge(const char *hash)
{
    return (mdm_challenge_t){.hash = hash,
                             .enrollment = "e1",
                             .purpose = MDM_PURPOSE_IDENTITY,
                             .expires_at = NOW + 900,
                             .used_at = 0,
                             .used_for = ""};
}

static mdm_certificate_t certificate(const char *serial, const char *request,
                                     const char *fingerprint)
{
    return (mdm_certificate_t){.serial = serial,
                               .issuer = "i1",
                               .poll = "p1",
                               .authority = "a1",
                               .used_for = "",
                               .enrollment = "e1",
                               .purpose = MDM_PURPOSE_MDM,
                               .request = request,
                               .fingerprint = fingerprint,
                               .der = "MIIB+/==",
                               .not_before = NOW - 60,
                               .not_after = NOW + 86400LL * 365 * 100,
                               .issued_at = NOW,
                               .revoked_at = 0};
}

/* --- rows --- */

static void enrollment_is_read_as_written(void **state)
{
    static const char odd[] = "a'b\"c\\d%s%lld$1?;--\n\xe2\x82\xac";
    mdm_enrollment_t row = db_enrollment(&DIGEST[32]), *seen;

    (void)state;
    row.user = row.udid = row.serial = row.product = row.os_version = row.terms = odd;
    row.device_fingerprint = row.identity_fingerprint = row.site = DIGEST;
    row.rules = &DIGEST[1];
    row.state = MDM_STATE_IDENTIFIED;
    row.expires_at = row.signed_at = 253402300799;
    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &row));
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, row.id, &seen));
    assert_non_null(seen);
    assert_string_equal(seen->id, row.id);
    assert_string_equal(seen->flow, "ota");
    assert_string_equal(seen->site, DIGEST);
    assert_string_equal(seen->rules, &DIGEST[1]);
    assert_int_equal(seen->state, MDM_STATE_IDENTIFIED);
    assert_string_equal(seen->user, odd);
    assert_string_equal(seen->udid, odd);
    assert_string_equal(seen->serial, odd);
    assert_string_equal(seen->product, odd);
    assert_string_equal(seen->os_version, odd);
    assert_string_equal(seen->terms, odd);
    assert_string_equal(seen->device_fingerprint, DIGEST);
    assert_string_equal(seen->identity_fingerprint, DIGEST);
    assert_int_equal(seen->created_at, NOW);
    assert_int_equal(seen->updated_at, NOW);
    assert_int_equal(seen->expires_at, 253402300799);
    assert_int_equal(seen->signed_at, 253402300799);
    assert_int_equal(db_store->enrollment_insert(db_store->context, db_p, &row).message,
                     MDM_MSG_STORE_ROW);
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "x' OR '1'='1", &seen));
    assert_null(seen);
}

static void enrollment_advances_from_its_state_and_in_time(void **state)
{
    mdm_enrollment_t next = db_enrollment("e1"), *seen;
    int won = 7;

    (void)state;
    db_insert_enrollment("e1");
    db_insert_enrollment("e2");
    next.state = MDM_STATE_IDENTIFYING;
    next.user = "mallory"; /* not a column that moves */
    next.udid = "UDID";
    next.serial = "SERIAL";
    next.product = "iPhone1,1";
    next.os_version = "17.0";
    next.device_fingerprint = DIGEST;
    next.terms = "Topic com.apple.mgmt.x";
    next.signed_at = NOW - 2;
    next.created_at = 1;
    next.updated_at = NOW + 5;
    next.expires_at = NOW + 1000;
    db_assert_ok(db_store->enrollment_advance(db_store->context, db_p, &next, MDM_STATE_IDENTIFIED,
                                              "", NOW, &won));
    assert_int_equal(won, 0);
    won = 7;
    db_assert_ok(db_store->enrollment_advance(db_store->context, db_p, &next, MDM_STATE_OFFERED, "",
                                              NOW + 900, &won));
    assert_int_equal(won, 0);
    db_assert_ok(db_store->enrollment_advance(db_store->context, db_p, &next, MDM_STATE_OFFERED, "",
                                              NOW + 899, &won));
    assert_int_equal(won, 1);
    db_assert_ok(db_store->enrollment_advance(db_store->context, db_p, &next, MDM_STATE_OFFERED, "",
                                              NOW + 899, &won));
    assert_int_equal(won, 0);
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "e1", &seen));
    assert_int_equal(seen->state, MDM_STATE_IDENTIFYING);
    assert_string_equal(seen->user, "j\xc3\xbcrgen");
    assert_string_equal(seen->udid, "UDID");
    assert_string_equal(seen->serial, "SERIAL");
    assert_string_equal(seen->product, "iPhone1,1");
    assert_string_equal(seen->os_version, "17.0");
    assert_string_equal(seen->device_fingerprint, DIGEST);
    assert_string_equal(seen->identity_fingerprint, "");
    assert_int_equal(seen->created_at, NOW);
    assert_int_equal(seen->updated_at, NOW + 5);
    assert_int_equal(seen->expires_at, NOW + 1000);
    assert_string_equal(seen->terms, "Topic com.apple.mgmt.x");
    assert_int_equal(seen->signed_at, NOW - 2);
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "e2", &seen));
    assert_int_equal(seen->state, MDM_STATE_OFFERED);
}

static void refusal_changes_nothing_else(void **state)
{
    mdm_enrollment_t *seen;

    (void)state;
    db_insert_enrollment("e1");
    assert_string_equal(db_value_of("SELECT last_refusal FROM enrollment"), "");
    db_assert_ok(
        db_store->enrollment_note_refusal(db_store->context, db_p, "e1", "MDM0410", NOW + 7));
    assert_string_equal(db_value_of("SELECT last_refusal FROM enrollment"), "MDM0410");
    assert_string_equal(db_value_of("SELECT refused_at FROM enrollment"), "1700000007");
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "e1", &seen));
    assert_int_equal(seen->state, MDM_STATE_OFFERED);
    assert_int_equal(seen->updated_at, NOW);
    db_assert_ok(
        db_store->enrollment_note_refusal(db_store->context, db_p, "nobody", "MDM0410", NOW));
}

static void challenge_is_spent_once_and_in_time(void **state)
{
    mdm_challenge_t row = challenge("h1"), *seen;
    int won = 7;

    (void)state;
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "h1", &seen));
    assert_null(seen);
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &row));
    assert_int_equal(db_store->challenge_insert(db_store->context, db_p, &row).message,
                     MDM_MSG_STORE_ROW);
    db_assert_ok(
        db_store->challenge_spend(db_store->context, db_p, "h1", "", 1, DIGEST, NOW + 900, &won));
    assert_int_equal(won, 0);
    db_assert_ok(
        db_store->challenge_spend(db_store->context, db_p, "h1", "", 1, DIGEST, NOW + 1, &won));
    assert_int_equal(won, 1);
    db_assert_ok(
        db_store->challenge_spend(db_store->context, db_p, "h1", "", 1, "another", NOW + 2, &won));
    assert_int_equal(won, 0);
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "h1", &seen));
    assert_string_equal(seen->hash, "h1");
    assert_string_equal(seen->enrollment, "e1");
    assert_int_equal(seen->purpose, MDM_PURPOSE_IDENTITY);
    assert_int_equal(seen->expires_at, NOW + 900);
    assert_int_equal(seen->used_at, NOW + 1);
    assert_string_equal(seen->used_for, DIGEST);
    assert_int_equal(seen->uses, 1);
    db_assert_ok(db_store->challenge_delete(db_store->context, db_p, "h1"));
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "h1", &seen));
    assert_null(seen);
}

/* By another request, as long as there are uses left, and only from the one that was seen. */
static void challenge_is_spent_again(void **state)
{
    static const struct {
        const char *before, *used_for;
        int won;
    } tries[] = {{"", "r1", 1},   {"", "r2", 0},   {"r2", "r3", 0}, {"r1", "r2", 1},
                 {"r1", "r3", 0}, {"r2", "r3", 1}, {"r3", "r4", 0}};
    mdm_challenge_t row = challenge("h1"), *seen;

    (void)state;
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &row));
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        int won = 7;
        db_assert_ok(db_store->challenge_spend(db_store->context, db_p, "h1", tries[i].before, 3,
                                               tries[i].used_for, NOW + 5, &won));
        assert_int_equal(won, tries[i].won);
    }
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "h1", &seen));
    assert_string_equal(seen->used_for, "r3");
    assert_int_equal(seen->uses, 3);
}

static void certificate_is_unique_in_three_ways(void **state)
{
    mdm_certificate_t rows[] = {certificate("s1", "r1", "f1"), certificate("s1", "r2", "f2"),
                                certificate("s2", "r1", "f2"), certificate("s2", "r2", "f1"),
                                certificate("s2", "r2", "f2")};
    static const int wins[] = {1, 0, 0, 0, 1};
    mdm_certificate_t *seen;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        int won = 7;
        db_assert_ok(db_store->certificate_insert(db_store->context, db_p, &rows[i], &won));
        assert_int_equal(won, wins[i]);
    }
    db_assert_ok(db_store->certificate_by_fingerprint(db_store->context, db_p, "f1", &seen));
    assert_string_equal(seen->serial, "s1");
    assert_string_equal(seen->enrollment, "e1");
    assert_int_equal(seen->purpose, MDM_PURPOSE_MDM);
    assert_string_equal(seen->request, "r1");
    assert_string_equal(seen->fingerprint, "f1");
    assert_string_equal(seen->der, "MIIB+/==");
    assert_int_equal(seen->not_before, NOW - 60);
    assert_int_equal(seen->not_after, NOW + 86400LL * 365 * 100);
    assert_int_equal(seen->issued_at, NOW);
    assert_int_equal(seen->revoked_at, 0);
    assert_int_equal(seen->revocation_reason, 0);
    assert_string_equal(seen->issuer, "i1");
    assert_string_equal(seen->poll, "p1");
    assert_string_equal(seen->authority, "a1");
    db_assert_ok(db_store->certificate_by_request(db_store->context, db_p, "r2", &seen));
    assert_string_equal(seen->serial, "s2");
    db_assert_ok(db_store->certificate_by_request(db_store->context, db_p, "r3", &seen));
    assert_null(seen);
}

static void put(mdm_certificate_t row)
{
    int won = 0;

    db_assert_ok(db_store->certificate_insert(db_store->context, db_p, &row, &won));
    assert_int_equal(won, 1);
}

static void serial_numbers_are_one_issuers(void **state)
{
    mdm_certificate_t other = certificate("s1", "r2", "f2"), old = certificate("s9", "r9", "f9");
    mdm_certificate_t *seen;

    (void)state;
    put(certificate("s1", "r1", "f1"));
    other.issuer = "i2";
    other.poll = "p2";
    other.issued_at = NOW + 1;
    put(other);
    old.issuer = "";
    put(old);
    db_assert_ok(db_store->certificate_by_serial(db_store->context, db_p, "i2", "s1", &seen));
    assert_string_equal(seen->fingerprint, "f2");
    db_assert_ok(db_store->certificate_by_serial(db_store->context, db_p, "i1", "s1", &seen));
    assert_string_equal(seen->fingerprint, "f1");
    db_assert_ok(db_store->certificate_by_serial(db_store->context, db_p, "i3", "s1", &seen));
    assert_null(seen);
    db_assert_ok(db_store->certificate_by_serial(db_store->context, db_p, "i3", "s9", &seen));
    assert_string_equal(seen->fingerprint, "f9");
    db_assert_ok(db_store->certificate_by_poll(db_store->context, db_p, "p2", &seen));
    assert_string_equal(seen->fingerprint, "f2");
    db_assert_ok(db_store->certificate_by_poll(db_store->context, db_p, "p1", &seen));
    assert_non_null(seen);
    db_assert_ok(db_store->certificate_by_poll(db_store->context, db_p, "p3", &seen));
    assert_null(seen);
}

/* The serials that were visited, and how many may be. */
typedef struct {
    const char *serials;
    int left;
} visited_t;

static mdm_result_t visit(void *baton, const mdm_certificate_t *row)
{
    visited_t *visited = baton;

    visited->serials = apr_pstrcat(db_p, visited->serials, row->serial, " ", NULL);
    assert_string_equal(row->der, "");
    assert_true(row->revoked_at > 0);
    return --visited->left > 0
               ? mdm_result_ok()
               : mdm_result_make(db_p, MDM_MSG_CRYPTO, "the visitor has seen enough");
}

static visited_t revoked(const char *issuer, apr_int64_t before, apr_int64_t valid_after, int most)
{
    visited_t visited = {"", most};
    mdm_result_t r = db_store->certificate_each_revoked(db_store->context, db_p, issuer, before,
                                                        valid_after, visit, &visited);

    assert_int_equal(r.message, visited.left > 0 ? MDM_MSG_NONE : MDM_MSG_CRYPTO);
    return visited;
}

static void certificates_are_revoked_once(void **state)
{
    mdm_certificate_t *seen;
    int won = 7;

    (void)state;
    put(certificate("s1", "r1", "f1"));
    db_assert_ok(db_store->certificate_revoke(db_store->context, db_p, "f1", 1, NOW + 5, &won));
    assert_int_equal(won, 1);
    db_assert_ok(db_store->certificate_revoke(db_store->context, db_p, "f1", 4, NOW + 6, &won));
    assert_int_equal(won, 0);
    db_assert_ok(db_store->certificate_revoke(db_store->context, db_p, "f2", 4, NOW + 6, &won));
    assert_int_equal(won, 0);
    db_assert_ok(db_store->certificate_by_fingerprint(db_store->context, db_p, "f1", &seen));
    assert_int_equal(seen->revoked_at, NOW + 5);
    assert_int_equal(seen->revocation_reason, 1);
}

static void certificate_is_renewed_by_one_request(void **state)
{
    static const struct {
        const char *before, *used_for;
        int won;
    } tries[] = {{"", "r1", 1}, {"", "r2", 0}, {"r1", "r2", 1}, {"r1", "r3", 0}};
    mdm_certificate_t *seen;
    int won = 7;

    (void)state;
    put(certificate("s1", "r0", "f1"));
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        db_assert_ok(db_store->certificate_spend(db_store->context, db_p, "f1", tries[i].before,
                                                 tries[i].used_for, &won));
        assert_int_equal(won, tries[i].won);
    }
    db_assert_ok(db_store->certificate_by_fingerprint(db_store->context, db_p, "f1", &seen));
    assert_string_equal(seen->used_for, "r2");
    db_assert_ok(db_store->certificate_revoke(db_store->context, db_p, "f1", 1, NOW, &won));
    db_assert_ok(db_store->certificate_spend(db_store->context, db_p, "f1", "r2", "r3", &won));
    assert_int_equal(won, 0);
}

static void superseded_are_those_of_one_authority(void **state)
{
    mdm_challenge_t row = challenge("a1");
    mdm_certificate_t by_cert = certificate("s5", "r5", "f5");
    int won;
    mdm_certificate_t other = certificate("s3", "r3", "f3"),
                      foreign = certificate("s4", "r4", "f4");

    (void)state;
    put(certificate("s1", "r1", "f1"));
    put(certificate("s2", "r2", "f2"));
    other.authority = "a2";
    put(other);
    foreign.enrollment = "e2";
    put(foreign);
    row.used_for = "r2";
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &row));
    db_assert_ok(db_store->certificate_supersede(db_store->context, db_p, "e1", "a1", NOW + 9));
    assert_string_equal(revoked("i1", NOW + 10, NOW, 9).serials, "s1 ");
    assert_string_equal(
        db_value_of("SELECT revocation_reason FROM certificate WHERE serial = 's1'"), "4");
    /* a certificate as the authority */
    db_assert_ok(db_store->certificate_spend(db_store->context, db_p, "f2", "", "r6", &won));
    by_cert.authority = "f2";
    put(by_cert);
    by_cert.serial = "s6", by_cert.request = "r6", by_cert.fingerprint = "f6";
    put(by_cert);
    db_assert_ok(db_store->certificate_supersede(db_store->context, db_p, "e1", "f2", NOW + 9));
    assert_string_equal(revoked("i1", NOW + 10, NOW, 9).serials, "s1 s5 ");
}

static void revoked_are_visited(void **state)
{
    mdm_certificate_t other = certificate("s5", "r5", "f5"), old = certificate("s6", "r6", "f6");
    int won;

    (void)state;
    put(certificate("s1", "r1", "f1"));
    put(certificate("s3", "r3", "f3"));
    put(certificate("s2", "r2", "f2"));
    put(certificate("s4", "r4", "f4"));
    other.issuer = "i2";
    put(other);
    old.issuer = "";
    old.not_after = NOW + 100;
    put(old);
    for (int i = 1; i <= 6; i++)
        if (i != 4)
            db_assert_ok(db_store->certificate_revoke(
                db_store->context, db_p, apr_psprintf(db_p, "f%d", i), 1, NOW + i, &won));
    assert_string_equal(revoked("i1", NOW + 9, NOW, 9).serials, "s1 s2 s3 s6 ");
    assert_string_equal(revoked("i1", NOW + 3, NOW, 9).serials, "s1 s2 ");
    assert_string_equal(revoked("i1", NOW + 9, NOW + 100, 9).serials, "s1 s2 s3 ");
    assert_string_equal(revoked("i2", NOW + 9, NOW, 9).serials, "s5 s6 ");
    assert_string_equal(revoked("i1", NOW + 9, NOW, 2).serials, "s1 s2 ");
    assert_string_equal(revoked("i1", NOW + 1, NOW, 9).serials, "");
}

static void certificates_are_counted(void **state)
{
    int count = 7;

    (void)state;
    put(certificate("s1", "r1", "f1"));
    put(certificate("s2", "r2", "f2"));
    db_assert_ok(db_store->certificate_count(db_store->context, db_p, "e1", NOW - 1, 9, &count));
    assert_int_equal(count, 2);
    db_assert_ok(db_store->certificate_count(db_store->context, db_p, "e1", NOW - 1, 1, &count));
    assert_int_equal(count, 1);
    db_assert_ok(db_store->certificate_count(db_store->context, db_p, "e1", NOW, 9, &count));
    assert_int_equal(count, 0);
    db_assert_ok(db_store->certificate_count(db_store->context, db_p, "e2", 0, 9, &count));
    assert_int_equal(count, 0);
}

static void sweep_takes_what_is_over(void **state)
{
    mdm_enrollment_t over = db_enrollment("over"), delivered = db_enrollment("delivered"),
                     certified = db_enrollment("e1"), *seen;
    mdm_challenge_t old = challenge("old"), live = challenge("live"), *left;

    (void)state;
    over.expires_at = delivered.expires_at = certified.expires_at = old.expires_at = NOW - 1;
    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &certified));
    put(certificate("s1", "r1", "f1"));
    delivered.state = MDM_STATE_DELIVERED;
    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &over));
    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &delivered));
    db_insert_enrollment("live");
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &old));
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &live));
    db_assert_ok(db_store->sweep(db_store->context, db_p, NOW));
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "over", &seen));
    assert_null(seen);
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "delivered", &seen));
    assert_non_null(seen);
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "e1", &seen));
    assert_non_null(seen); /* who revokes by user or device must find it */
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "live", &seen));
    assert_non_null(seen);
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "old", &left));
    assert_null(left);
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "live", &left));
    assert_non_null(left);
}

/* More than one sweep takes, so that none takes long. */
static void sweep_takes_some_at_a_time(void **state)
{
    (void)state;
    db_insert_enrollment("one");
    db_do_sql("UPDATE enrollment SET expires_at = 1");
    for (int i = 0; i < 11; i++)
        db_do_sql(
            apr_psprintf(db_p,
                         "INSERT INTO enrollment SELECT id || '-%d', flow, site, rules, state, "
                         "user_name, udid, serial, product, os_version, device_fingerprint, "
                         "identity_fingerprint, created_at, updated_at, expires_at, "
                         "last_refusal, refused_at, signed_at, terms FROM enrollment",
                         i));
    db_do_sql("INSERT INTO challenge SELECT id, id, 'device', 1, 0, '', 0 FROM enrollment");
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM enrollment"), "2048");
    for (int i = 0; i < 3; i++) {
        const char *left = i == 0 ? "1048" : i == 1 ? "48" : "0";
        db_assert_ok(db_store->sweep(db_store->context, db_p, NOW));
        assert_string_equal(db_value_of("SELECT COUNT(*) FROM enrollment"), left);
        assert_string_equal(db_value_of("SELECT COUNT(*) FROM challenge"), left);
    }
}

static void offered_ones_are_counted(void **state)
{
    const char *const states[] = {"offered", "offered", "offered", "identifying", "delivered"};
    int count = -1;

    (void)state;
    for (int i = 0; i < 5; i++) {
        mdm_enrollment_t row = db_enrollment(apr_psprintf(db_p, "e%d", i));
        assert_true(mdm_state_parse(states[i], &row.state));
        row.expires_at = i == 0 ? NOW : NOW + 1;
        db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &row));
    }
    for (int limit = 1; limit <= 5; limit++) {
        db_assert_ok(db_store->enrollment_count_offered(
            db_store->context, db_p, db_enrollment("").user, NOW, limit, &count));
        assert_int_equal(count, limit < 2 ? limit : 2);
    }
    db_assert_ok(
        db_store->enrollment_count_offered(db_store->context, db_p, "nobody", NOW, 5, &count));
    assert_int_equal(count, 0);
}

static void foreign_values_are_not_believed(void **state)
{
    mdm_challenge_t row = challenge("h1"), *c;
    mdm_certificate_t issued = certificate("s1", "r1", "f1"), *got;
    mdm_enrollment_t *e;
    int won;

    (void)state;
    db_insert_enrollment("e1");
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &row));
    db_assert_ok(db_store->certificate_insert(db_store->context, db_p, &issued, &won));
    db_do_sql("UPDATE enrollment SET state = 'Delivered'");
    db_do_sql("UPDATE challenge SET purpose = ''");
    db_do_sql("UPDATE certificate SET purpose = 'everything'");
    assert_int_equal(db_store->enrollment_get(db_store->context, db_p, "e1", &e).message,
                     MDM_MSG_STORE_ROW);
    assert_int_equal(db_store->challenge_get(db_store->context, db_p, "h1", &c).message,
                     MDM_MSG_STORE_ROW);
    assert_int_equal(db_store->certificate_by_request(db_store->context, db_p, "r1", &got).message,
                     MDM_MSG_STORE_ROW);
}

/* --- many at once --- */

#define THREADS 64
#define ROUNDS 10

typedef struct race_t {
    const mdm_store_t *stores[2];
    pthread_barrier_t start;
    int round;
    atomic_int winners, failures;
} race_t;

static race_t race;

static void *run_a_race(void *arg)
{
    intptr_t number = (intptr_t)arg;
    const mdm_store_t *s = race.stores[number % 2];
    mdm_enrollment_t next = db_enrollment("");
    apr_pool_t *own;

    for (int i = 0; i < ROUNDS; i++) {
        int moved = 0, spent = 0;
        mdm_result_t r;
        char id[16];

        apr_pool_create(&own, NULL);
        apr_snprintf(id, sizeof(id), "race-%d", i);
        next.id = id;
        next.state = MDM_STATE_IDENTIFYING;
        pthread_barrier_wait(&race.start);
        r = s->enrollment_advance(s->context, own, &next, MDM_STATE_OFFERED, "", NOW, &moved);
        if (r.kind == MDM_OK)
            r = s->challenge_spend(s->context, own, id, "", 1, DIGEST, NOW, &spent);
        if (r.kind != MDM_OK && atomic_fetch_add(&race.failures, 1) == 0)
            print_error("in a race: %s\n", r.log);
        atomic_fetch_add(&race.winners, moved + 1000 * spent);
        apr_pool_destroy(own);
    }
    return NULL;
}

/* Two pools, as two processes have them. */
static void one_of_sixty_four_wins(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    race.stores[0] = db_store;
    db_open_pool();
    race.stores[1] = db_store;
    atomic_store(&race.winners, 0);
    atomic_store(&race.failures, 0);
    for (int i = 0; i < ROUNDS; i++) {
        mdm_challenge_t row = challenge(apr_psprintf(db_p, "race-%d", i));
        db_insert_enrollment(row.hash);
        db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &row));
    }
    pthread_barrier_init(&race.start, NULL, THREADS);
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_a_race, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&race.start);
    assert_int_equal(atomic_load(&race.failures), 0);
    assert_int_equal(atomic_load(&race.winners), 1001 * ROUNDS);
}

static void eight_processes_make_one_schema(void **state)
{
    pid_t children[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            mdm_enrollment_t row = db_enrollment(apr_psprintf(db_p, "child-%d", i));
            mdm_result_t r = db_store->enrollment_insert(db_store->context, db_p, &row);
            if (r.kind != MDM_OK)
                print_error("child %d: %s\n", i, r.log);
            apr_pool_destroy(db_p);
            _exit(r.kind != MDM_OK);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM enrollment"), "8");
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM mdm_schema"), "1");
}

static int write_for_ever(void)
{
    db_open_pool();
    for (;;)
        db_try_write();
    return 0;
}

static void killed_process_leaves_a_sound_database(void **state)
{
    (void)state;
    db_assert_ok(db_try_write());
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(write_for_ever());
        apr_sleep(apr_time_from_msec(60));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        db_assert_ok(db_try_write());
        db_do_sql("DELETE FROM enrollment");
    }
    if (db_kind == MDM_DBD_SQLITE)
        assert_string_equal(db_value_of("PRAGMA integrity_check"), "ok");
}

/* --- */

#define TEST(f) cmocka_unit_test_setup_teardown(f, db_set_up, db_tear_down)
#define TESTS_ON_BOTH                                                                              \
    TEST(challenge_is_spent_again), TEST(serial_numbers_are_one_issuers),                          \
        TEST(certificates_are_revoked_once), TEST(certificate_is_renewed_by_one_request),          \
        TEST(superseded_are_those_of_one_authority), TEST(revoked_are_visited),                    \
        TEST(certificates_are_counted), TEST(enrollment_is_read_as_written),                       \
        TEST(enrollment_advances_from_its_state_and_in_time), TEST(refusal_changes_nothing_else),  \
        TEST(challenge_is_spent_once_and_in_time), TEST(certificate_is_unique_in_three_ways),      \
        TEST(sweep_takes_what_is_over), TEST(sweep_takes_some_at_a_time),                          \
        TEST(offered_ones_are_counted), TEST(foreign_values_are_not_believed),                     \
        TEST(one_of_sixty_four_wins), TEST(eight_processes_make_one_schema),                       \
        TEST(killed_process_leaves_a_sound_database)

static int test_sqlite(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_ON_BOTH,
    };

    return cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
}

static int test_pgsql(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_ON_BOTH,
    };

    return cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_sqlite, test_pgsql);
}
