/* SPDX-License-Identifier: Apache-2.0
 * store_claim on real databases: rows, and mdm_limit on them with many threads and processes at
 * once. Depends on db_fixture.
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
#include <sys/wait.h>
#include <unistd.h>

#include "mdm_limit.h"

#define SITE "s1"

static mdm_claim_t claim(apr_int64_t place, const char *holder)
{
    return (mdm_claim_t){.site = SITE,
                         .kind = MDM_CLAIM_DEVICES,
                         .user = "j\xc3\xbcrgen",
                         .place = place,
                         .holder = holder,
                         .enrollment = "e1",
                         .taken_at = NOW};
}

static int insert(const mdm_claim_t *one)
{
    int won = 7;

    db_assert_ok(db_store->claim_insert(db_store->context, db_p, one, &won));
    return won;
}

static apr_array_header_t *list(void)
{
    apr_array_header_t *claims;

    db_assert_ok(db_store->claim_list(db_store->context, db_p, SITE, MDM_CLAIM_DEVICES,
                                      "j\xc3\xbcrgen", &claims));
    return claims;
}

static void claims_are_read_as_written(void **state)
{
    mdm_claim_t one = claim(2, "a'b\"c\\d%s;--"), two = claim(1, "B");
    const mdm_claim_t *seen;

    (void)state;
    two.enrollment = "gone";
    db_insert_enrollment("e1");
    assert_int_equal(insert(&one), 1);
    assert_int_equal(insert(&two), 1);
    assert_int_equal(list()->nelts, 2);
    seen = &APR_ARRAY_IDX(list(), 0, mdm_claim_t);
    assert_int_equal(seen->place, 1);
    assert_string_equal(seen->enrollment, "gone");
    assert_int_equal(seen->known, 0);
    seen = &APR_ARRAY_IDX(list(), 1, mdm_claim_t);
    assert_string_equal(seen->site, SITE);
    assert_string_equal(seen->kind, MDM_CLAIM_DEVICES);
    assert_string_equal(seen->user, one.user);
    assert_int_equal(seen->place, 2);
    assert_string_equal(seen->holder, one.holder);
    assert_string_equal(seen->enrollment, "e1");
    assert_int_equal(seen->taken_at, NOW);
    assert_int_equal(seen->known, 1);
    assert_int_equal(seen->state, MDM_STATE_OFFERED);
    assert_int_equal(seen->updated_at, NOW);
    assert_int_equal(seen->expires_at, NOW + 900);
}

static void no_place_and_no_holder_twice(void **state)
{
    mdm_claim_t one = claim(1, "A"), other;

    (void)state;
    assert_int_equal(insert(&one), 1);
    assert_int_equal(insert(&one), 0);
    other = claim(1, "B");
    assert_int_equal(insert(&other), 0);
    other = claim(2, "A");
    assert_int_equal(insert(&other), 0);
    other = claim(1, "A");
    other.site = "s2";
    assert_int_equal(insert(&other), 1);
    other.kind = MDM_CLAIM_HOURLY;
    assert_int_equal(insert(&other), 1);
    other.user = "bert";
    assert_int_equal(insert(&other), 1);
    assert_int_equal(list()->nelts, 1);
}

static int renew(const mdm_claim_t *one, apr_int64_t before)
{
    int won = 7;

    db_assert_ok(db_store->claim_renew(db_store->context, db_p, one, before, &won));
    return won;
}

static int drop(const mdm_claim_t *one)
{
    int won = 7;

    db_assert_ok(db_store->claim_delete(db_store->context, db_p, one, &won));
    return won;
}

static void claims_change_as_they_were_seen(void **state)
{
    mdm_claim_t one = claim(1, "A"), other = claim(1, "B");

    (void)state;
    insert(&one);
    one.enrollment = "e2";
    one.taken_at = NOW + 5;
    assert_int_equal(renew(&one, NOW - 1), 0);
    assert_int_equal(renew(&other, NOW), 0);
    assert_int_equal(renew(&one, NOW), 1);
    assert_string_equal(APR_ARRAY_IDX(list(), 0, mdm_claim_t).enrollment, "e2");
    assert_int_equal(APR_ARRAY_IDX(list(), 0, mdm_claim_t).taken_at, NOW + 5);
    assert_int_equal(drop(&other), 0);
    one.taken_at = NOW;
    assert_int_equal(drop(&one), 0);
    one.taken_at = NOW + 5;
    one.place = 2;
    assert_int_equal(drop(&one), 0);
    one.place = 1;
    assert_int_equal(drop(&one), 1);
    assert_int_equal(list()->nelts, 0);
}

static void settled_and_freed(void **state)
{
    mdm_claim_t one = claim(1, "A"), of_bert = claim(3, "A"), hourly = claim(1, "A");
    mdm_claim_t of_other = claim(1, "A");

    (void)state;
    of_bert.user = "bert";
    hourly.user = "bert";
    hourly.kind = MDM_CLAIM_HOURLY;
    of_other.user = "bert";
    of_other.site = "s2";
    insert(&one);
    insert(&of_bert);
    insert(&hourly);
    insert(&of_other);
    one.enrollment = "e7";
    db_assert_ok(db_store->claim_settle(db_store->context, db_p, &one));
    assert_string_equal(APR_ARRAY_IDX(list(), 0, mdm_claim_t).enrollment, "e7");
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM claim WHERE enrollment = 'e7'"), "1");
    db_assert_ok(db_store->claim_free_others(db_store->context, db_p, &one));
    assert_int_equal(list()->nelts, 1);
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM claim"), "3");
    assert_string_equal(
        db_value_of("SELECT COUNT(*) FROM claim WHERE user_name = 'bert' AND kind = 'devices' "
                    "AND site = 's1'"),
        "0");
}

static void sweep_takes_what_is_over(void **state)
{
    mdm_claim_t one = claim(1, "unfinished"), two = claim(2, "delivered"), old, young, foreign;

    (void)state;
    db_insert_enrollment("e1");
    db_insert_enrollment("e2");
    db_do_sql("UPDATE enrollment SET state = 'delivered' WHERE id = 'e2'");
    two.enrollment = "e2";
    insert(&one);
    insert(&two);
    old = young = claim(1, "x");
    old.kind = young.kind = MDM_CLAIM_HOURLY;
    old.enrollment = young.enrollment = "e2";
    old.taken_at = NOW + 900;
    young.place = 2;
    young.holder = "y";
    young.taken_at = NOW + 901;
    foreign = old;
    foreign.site = "s2";
    insert(&old);
    insert(&young);
    insert(&foreign);
    db_assert_ok(db_store->claim_sweep(db_store->context, db_p, SITE, MDM_CLAIM_HOURLY, NOW + 900));
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM claim"), "5");
    db_assert_ok(db_store->claim_sweep(db_store->context, db_p, SITE, MDM_CLAIM_HOURLY, NOW + 901));
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM claim"), "3");
    assert_int_equal(list()->nelts, 1);
    assert_string_equal(APR_ARRAY_IDX(list(), 0, mdm_claim_t).holder, "delivered");
    assert_string_equal(db_value_of("SELECT holder FROM claim WHERE kind = 'hourly' "
                                    "AND site = 's1'"),
                        "y");
}

/* An enrollment of a device, delivered. */
static void deliver(const char *id, const char *user, const char *udid, apr_int64_t created_at)
{
    mdm_enrollment_t row = db_enrollment(id);

    row.site = SITE;
    row.user = user;
    row.udid = udid;
    row.state = MDM_STATE_DELIVERED;
    row.created_at = created_at;
    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &row));
}

static void assert_missing(const char *device, int expected_others, int expected_own)
{
    int others = 7, own = 7;

    db_assert_ok(
        db_store->claim_missing(db_store->context, db_p, SITE, "anna", device, &others, &own));
    assert_int_equal(others, expected_others);
    assert_int_equal(own != 0, expected_own);
}

static void devices_without_a_claim(void **state)
{
    mdm_claim_t one = claim(1, "A");

    (void)state;
    assert_missing("A", 0, 0);
    deliver("e1", "anna", "A", NOW);
    deliver("e2", "anna", "A", NOW + 1);
    deliver("e3", "anna", "B", NOW);
    deliver("e4", "anna", "", NOW); /* each of these is a device */
    deliver("e5", "anna", "", NOW);
    deliver("e6", "bert", "", NOW + 1);
    deliver("e7", "anna", "ended", NOW);
    db_do_sql("UPDATE enrollment SET expires_at = updated_at - 1 WHERE id = 'e7'");
    deliver("e8", "anna", "unfinished", NOW);
    db_do_sql("UPDATE enrollment SET state = 'identified' WHERE id = 'e8'");
    deliver("e9", "anna", "elsewhere", NOW);
    db_do_sql("UPDATE enrollment SET site = 's2' WHERE id = 'e9'");
    deliver("f1", "anna", "taken over", NOW);
    deliver("f2", "bert", "taken over", NOW + 1);
    deliver("f3", "anna", "taken", NOW + 1);
    deliver("f4", "bert", "taken", NOW);
    assert_missing("A", 4, 1); /* B, two without a UDID, taken */
    assert_missing("C", 5, 0);
    insert(&one); /* whoever's */
    one = claim(2, "e4");
    insert(&one);
    assert_missing("C", 3, 0);
    assert_missing("A", 3, 0);
}

static void foreign_values_are_not_believed(void **state)
{
    mdm_claim_t one = claim(1, "A");
    apr_array_header_t *claims;

    (void)state;
    insert(&one);
    db_do_sql("UPDATE claim SET place = 0");
    assert_int_equal(
        db_store->claim_list(db_store->context, db_p, SITE, MDM_CLAIM_DEVICES, one.user, &claims)
            .message,
        MDM_MSG_STORE_ROW);
}

/* --- limits on it --- */

#define PROCESSES 2
#define THREADS 10
#define PLACES 3

static apr_int64_t now(void *context)
{
    (void)context;
    return NOW;
}

/* One of many devices of one user; its id, and that of its enrollment, is by its number. */
static void *enroll(void *number)
{
    mdm_world_t world = {.store = db_store, .site = SITE, .now = now};
    const mdm_limits_t limits = {.devices = {PLACES, NULL}, .hourly = {2 * PLACES, NULL}};
    mdm_enrollment_t row = db_enrollment("");
    mdm_limit_taken_t taken;
    apr_pool_t *p;
    mdm_message_t message;
    mdm_result_t r;

    apr_pool_create(&p, NULL);
    row.id = apr_psprintf(p, "d%d", (int)(intptr_t)number);
    row.site = SITE;
    /* No answer is no answer: on a busy machine there are more at once than handles. An enrollment
     * that is not there would keep no place. */
    do {
        mdm_enrollment_t *seen = NULL;
        r = world.store->enrollment_get(world.store->context, p, row.id, &seen);
        if (r.kind == MDM_OK && seen == NULL)
            r = world.store->enrollment_insert(world.store->context, p, &row);
    } while (r.kind == MDM_UNAVAILABLE);
    if (r.kind == MDM_OK)
        do {
            r = mdm_limit_begin(p, &world, &limits, &row, row.id, &taken);
        } while (r.kind == MDM_UNAVAILABLE);
    message = r.message;
    apr_pool_destroy(p);
    return (void *)(intptr_t)message;
}

static int run_threads(int first)
{
    pthread_t threads[THREADS];
    int won = 0;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, enroll, (void *)(intptr_t)(first + i));
    for (int i = 0; i < THREADS; i++) {
        void *message;

        pthread_join(threads[i], &message);
        if ((intptr_t)message == MDM_MSG_NONE)
            won++;
        else if ((intptr_t)message != MDM_MSG_LIMIT_DEVICES)
            return 100;
    }
    return won;
}

static void so_many_of_twenty(void **state)
{
    pid_t children[PROCESSES];
    int won = 0;

    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            db_open_pool();
            _exit(run_threads(i * THREADS));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;

        waitpid(children[i], &status, 0);
        assert_true(WIFEXITED(status));
        won += WEXITSTATUS(status);
    }
    assert_int_equal(won, PLACES);
    assert_int_equal(list()->nelts, PLACES);
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM claim"), "6");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, db_set_up, db_tear_down)
#define TESTS_ON_BOTH                                                                              \
    TEST(claims_are_read_as_written), TEST(no_place_and_no_holder_twice),                          \
        TEST(claims_change_as_they_were_seen), TEST(settled_and_freed),                            \
        TEST(sweep_takes_what_is_over), TEST(foreign_values_are_not_believed),                     \
        TEST(devices_without_a_claim), TEST(so_many_of_twenty)

static int test_sqlite(void)
{
    const struct CMUnitTest tests[] = {TESTS_ON_BOTH};

    return cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
}

static int test_pgsql(void)
{
    const struct CMUnitTest tests[] = {TESTS_ON_BOTH};

    return cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_sqlite, test_pgsql);
}
