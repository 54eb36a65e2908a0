/* SPDX-License-Identifier: Apache-2.0
 * store_notification on real databases: what is due to whom, that it is taken once, and what is
 * deleted. Depends on db_fixture.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "../../mod_mdm_enroll/httpd/store_notification.h"

/* An enrollment, and what its site is to be told at NOW + later. */
static void put(const char *id, const char *event, int later)
{
    mdm_notification_t row = {.id = id,
                              .site = "a site",
                              .event = event,
                              .enrollment = id,
                              .body = "{\"id\": \"x\"}",
                              .created_at = NOW,
                              .due_at = NOW + later};

    db_insert_enrollment(id);
    db_assert_ok(db_store->notification_insert(db_store->context, db_p, &row));
}

static void deliver(const char *id, apr_int64_t now)
{
    db_do_sql(
        apr_psprintf(db_p,
                     "UPDATE enrollment SET state = 'delivered', updated_at = %" APR_INT64_T_FMT
                     " WHERE id = '%s'",
                     now, id));
}

static mdm_notification_t *next(apr_int64_t now)
{
    mdm_notification_t *row = NULL;

    db_assert_ok(mdm_store_notification_next(db_pool, db_p, "a site", now, &row));
    return row;
}

static const char *rows(void)
{
    return db_value_of("SELECT COUNT(*) FROM notification");
}

static void waits_for_its_enrollment(void **state)
{
    (void)state;
    put("one", "enrolled", 0);
    assert_null(next(NOW));
    deliver("one", NOW - 3600); /* whatever clocks do */
    assert_null(next(NOW - 1));
    assert_string_equal(next(NOW)->id, "one");
    assert_string_equal(next(NOW)->body, "{\"id\": \"x\"}");
}

/* The row of an update was delivered before: it must have moved since. */
static void update_waits_for_its_move(void **state)
{
    (void)state;
    put("one", "updated", 0);
    deliver("one", NOW - 1);
    assert_null(next(NOW));
    deliver("one", NOW);
    assert_string_equal(next(NOW)->event, "updated");
}

static void first_due_comes_first_and_to_its_site(void **state)
{
    mdm_notification_t *row;

    (void)state;
    put("late", "enrolled", 7);
    put("soon", "enrolled", 5);
    deliver("late", NOW);
    deliver("soon", NOW);
    assert_string_equal(next(NOW + 9)->id, "soon");
    db_assert_ok(mdm_store_notification_next(db_pool, db_p, "another site", NOW + 9, &row));
    assert_null(row);
    db_assert_ok(mdm_store_notification_delete(db_pool, db_p, "soon"));
    assert_string_equal(next(NOW + 9)->id, "late");
}

static void stored_once(void **state)
{
    mdm_notification_t again = {.id = "one",
                                .site = "a site",
                                .event = "enrolled",
                                .enrollment = "one",
                                .body = "another",
                                .created_at = NOW + 5,
                                .due_at = NOW + 5};

    (void)state;
    put("one", "enrolled", 0);
    db_assert_ok(db_store->notification_insert(db_store->context, db_p, &again));
    deliver("one", NOW);
    assert_string_equal(next(NOW + 9)->body, "{\"id\": \"x\"}");
    assert_string_equal(rows(), "1");
}

static void taken_once(void **state)
{
    mdm_notification_t *first, *second;
    int won = 0;

    (void)state;
    put("one", "enrolled", 0);
    deliver("one", NOW);
    first = next(NOW);
    second = next(NOW);
    db_assert_ok(mdm_store_notification_claim(db_pool, db_p, first, NOW + 15, &won));
    assert_int_equal(won, 1);
    db_assert_ok(mdm_store_notification_claim(db_pool, db_p, second, NOW + 15, &won));
    assert_int_equal(won, 0);
    assert_null(next(NOW + 14));
    /* Whoever took it died: it is due again. */
    second = next(NOW + 15);
    assert_int_equal(second->tries, 1);
    db_assert_ok(mdm_store_notification_claim(db_pool, db_p, second, NOW + 30, &won));
    assert_int_equal(won, 1);
    /* … or is alive for all that: it cannot give back what is another's. */
    db_assert_ok(mdm_store_notification_postpone(db_pool, db_p, "one", NOW + 15, NOW, &won));
    assert_int_equal(won, 0);
    db_assert_ok(mdm_store_notification_postpone(db_pool, db_p, "one", NOW + 30, NOW + 17, &won));
    assert_int_equal(won, 1);
    assert_null(next(NOW + 16));
    assert_int_equal(next(NOW + 17)->tries, 2);
}

/* What is yet to be sent stays, however old, and so does what may yet happen. */
static void sweep_takes_what_cannot_come(void **state)
{
    (void)state;
    put("delivered", "enrolled", 0);
    deliver("delivered", NOW);
    put("updated", "updated", 0);
    deliver("updated", NOW + 1);
    put("open", "enrolled", 0);
    db_do_sql("UPDATE enrollment SET expires_at = 1700003600 WHERE id = 'open'");
    db_assert_ok(mdm_store_notification_sweep(db_pool, db_p, "a site", NOW + 3600));
    assert_string_equal(rows(), "3");

    put("over", "enrolled", 0);
    db_do_sql("UPDATE enrollment SET expires_at = 1700003599 WHERE id = 'over'");
    put("gone", "enrolled", 0);
    db_do_sql("DELETE FROM enrollment WHERE id = 'gone'");
    put("stayed", "updated", 0);
    deliver("stayed", NOW - 1);
    put("young", "enrolled", 3600);
    db_do_sql("DELETE FROM enrollment WHERE id = 'young'");
    db_assert_ok(mdm_store_notification_sweep(db_pool, db_p, "another site", NOW + 3600));
    assert_string_equal(rows(), "7");
    db_assert_ok(mdm_store_notification_sweep(db_pool, db_p, "a site", NOW + 3600));
    assert_string_equal(rows(), "4");
    assert_string_equal(db_value_of("SELECT id FROM notification ORDER BY id DESC"), "delivered");
}

static void foreign_values_are_not_believed(void **state)
{
    mdm_notification_t *row;
    mdm_result_t r;

    (void)state;
    put("one", "enrolled", 0);
    deliver("one", NOW);
    db_do_sql("UPDATE notification SET tries = -1");
    r = mdm_store_notification_next(db_pool, db_p, "a site", NOW, &row);
    assert_int_equal(r.message, MDM_MSG_STORE_ROW);
}

/* Both kinds of database alike. */
static int test_it(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waits_for_its_enrollment, db_set_up, db_tear_down),
        cmocka_unit_test_setup_teardown(update_waits_for_its_move, db_set_up, db_tear_down),
        cmocka_unit_test_setup_teardown(first_due_comes_first_and_to_its_site, db_set_up,
                                        db_tear_down),
        cmocka_unit_test_setup_teardown(stored_once, db_set_up, db_tear_down),
        cmocka_unit_test_setup_teardown(taken_once, db_set_up, db_tear_down),
        cmocka_unit_test_setup_teardown(sweep_takes_what_cannot_come, db_set_up, db_tear_down),
        cmocka_unit_test_setup_teardown(foreign_values_are_not_believed, db_set_up, db_tear_down),
    };

    return cmocka_run_group_tests_name(mdm_dbd_driver_name(db_kind), tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_it, test_it);
}
