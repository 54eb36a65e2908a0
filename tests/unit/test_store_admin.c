/* SPDX-License-Identifier: Apache-2.0
 * store_admin on real databases: pages, and that what was ended stays ended for the module. Depends
 * on db_fixture.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "../../mod_mdm_enroll/httpd/store_admin.h"

#define ROWS 41000 /* more than two pages */

static mdm_dbd_handle_t *handle;

static int set_up(void **state)
{
    mdm_dbd_source_t *source;

    db_set_up(state);
    db_assert_ok(db_try_write()); /* makes the tables */
    db_do_sql("DELETE FROM enrollment");
    source = apr_pcalloc(db_p, sizeof(*source));
    source->kind = db_kind;
    source->target = db_target;
    source->name = "the database";
    source->schema = &mdm_store_admin_schema;
    if (apr_dbd_get_driver(db_p, mdm_dbd_driver_name(db_kind), &source->driver) != APR_SUCCESS)
        return 1;
    db_assert_ok(mdm_dbd_open(source, db_p, 0, &handle));
    return 0;
}

static int tear_down(void **state)
{
    mdm_dbd_close(handle);
    return db_tear_down(state);
}

/* --- pages --- */

typedef struct seen_t {
    apr_int64_t rows;
    apr_int64_t last_time;
    char last_key[65];
    int disorder;
} seen_t;

static void see(seen_t *seen, apr_int64_t time, const char *key)
{
    if (seen->rows > 0 &&
        (time > seen->last_time || (time == seen->last_time && strcmp(key, seen->last_key) >= 0)))
        seen->disorder = 1;
    seen->rows++;
    seen->last_time = time;
    apr_cpystrn(seen->last_key, key, sizeof(seen->last_key));
}

static int see_enrollment(void *baton, apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    (void)p;
    see(baton, row->created_at, row->id);
    return 1;
}

static int see_certificate(void *baton, apr_pool_t *p, const mdm_admin_certificate_t *row)
{
    (void)p;
    see(baton, row->issued_at, row->fingerprint);
    return 1;
}

/* Seven of each second, so that pages end within one. */
#define NUMBERS                                                                                    \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " APR_STRINGIFY(     \
        ROWS) ") "

static void every_row_is_visited_once_and_in_order(void **state)
{
    mdm_admin_filter_t all = {0}, few = {.limit = 3}, none = {.user = "nobody"};
    seen_t seen = {0};

    (void)state;
    db_do_sql("INSERT INTO enrollment (id, flow, site, rules, state, user_name, udid, serial, "
              "product, os_version, device_fingerprint, identity_fingerprint, created_at, "
              "updated_at, expires_at) " NUMBERS
              "SELECT 'e' || CAST(i AS VARCHAR(9)), 'ota', 's', 'r', 'delivered', 'u', 'd', 'n', "
              "'p', 'o', '', '', i / 7, i / 7, i / 7 + 900 FROM n");
    db_do_sql("INSERT INTO certificate (serial, issuer, enrollment, purpose, request, poll, "
              "authority, fingerprint, der, not_before, not_after, issued_at) " NUMBERS
              "SELECT CAST(i AS VARCHAR(9)), 'i', 'e' || CAST(i AS VARCHAR(9)), 'mdm', "
              "CAST(i AS VARCHAR(9)), '', '', 'f' || CAST(i AS VARCHAR(9)), '', 0, 10000000, i / 7 "
              "FROM n");
    db_assert_ok(mdm_admin_enrollments(handle, db_p, &all, NOW, see_enrollment, &seen));
    assert_int_equal(seen.rows, ROWS);
    assert_int_equal(seen.disorder, 0);
    seen = (seen_t){0};
    db_assert_ok(mdm_admin_certificates(handle, db_p, &all, NOW, see_certificate, &seen));
    assert_int_equal(seen.rows, ROWS);
    assert_int_equal(seen.disorder, 0);
    seen = (seen_t){0};
    db_assert_ok(mdm_admin_enrollments(handle, db_p, &none, NOW, see_enrollment, &seen));
    assert_int_equal(seen.rows, 0);
    db_assert_ok(mdm_admin_enrollments(handle, db_p, &few, NOW, see_enrollment, &seen));
    assert_int_equal(seen.rows, 3);
}

/* --- the end --- */

static int copy_enrollment(void *baton, apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    (void)p;
    *(mdm_admin_enrollment_t *)baton = *row; /* the numbers are looked at only */
    return 1;
}

static int see_pending(void *baton, apr_pool_t *p, const mdm_admin_challenge_t *row)
{
    (void)p;
    *(int *)baton += row->pending;
    return 1;
}

static void what_is_ended_goes_no_further(void **state)
{
    mdm_admin_filter_t all = {0};
    mdm_admin_enrollment_t seen;
    mdm_enrollment_t row = db_enrollment("e1");
    mdm_challenge_t challenge = {
        .hash = "h1", .enrollment = "e1", .expires_at = NOW + 900, .used_for = ""};
    int changed = 0, won = 1, pending = 0;

    (void)state;
    db_insert_enrollment("e1");
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &challenge));
    challenge.hash = "h2";
    db_assert_ok(db_store->challenge_insert(db_store->context, db_p, &challenge));
    db_assert_ok(
        db_store->challenge_spend(db_store->context, db_p, "h2", "", 1, "request", NOW, &won));
    assert_int_equal(won, 1);
    db_assert_ok(mdm_admin_end(handle, db_p, "e1", NOW, &changed));
    assert_int_equal(changed, 1);

    row.state = MDM_STATE_IDENTIFYING;
    db_assert_ok(db_store->enrollment_advance(db_store->context, db_p, &row, MDM_STATE_OFFERED, "",
                                              NOW - 1800, &won)); /* a clock that is late */
    assert_int_equal(won, 0);
    db_assert_ok(
        db_store->challenge_spend(db_store->context, db_p, "h1", "", 1, "x", NOW - 1800, &won));
    assert_int_equal(won, 0);
    db_assert_ok(mdm_admin_enrollments(handle, db_p, &all, NOW, copy_enrollment, &seen));
    assert_true(mdm_admin_ended(&seen));
    assert_false(mdm_admin_waiting(&seen, NOW));
    assert_int_equal(seen.updated_at, NOW);
    db_assert_ok(mdm_admin_challenges(handle, db_p, "e1", see_pending, &pending));
    assert_int_equal(pending, 1);

    db_assert_ok(mdm_admin_end(handle, db_p, "e1", NOW + 5, &changed));
    assert_int_equal(changed, 0);
    /* It is not swept at once: who it was can be read for the best part of a day. */
    db_assert_ok(db_store->sweep(db_store->context, db_p, NOW - MDM_SWEEP_DELAY));
    seen.updated_at = 0;
    db_assert_ok(mdm_admin_enrollments(handle, db_p, &all, NOW, copy_enrollment, &seen));
    assert_int_equal(seen.updated_at, NOW);
}

/* Both kinds of database alike. */
static int test_it(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_row_is_visited_once_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_ended_goes_no_further, set_up, tear_down),
    };

    return cmocka_run_group_tests_name(mdm_dbd_driver_name(db_kind), tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_it, test_it);
}
