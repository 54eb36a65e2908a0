/* SPDX-License-Identifier: Apache-2.0
 * dbd_pool, dbd_handle and dbd_target on real databases: schema, handles, faults, the argument of
 * MDMEnrollStore. Depends on db_fixture.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the schema --- */

static void other_version_is_told_with_both_numbers(void **state)
{
    mdm_result_t r;

    (void)state;
    db_assert_ok(db_try_write());
    db_do_sql("UPDATE mdm_schema SET version = 99");
    db_open_pool();
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_SCHEMA);
    assert_int_equal(r.kind, MDM_UNAVAILABLE);
    assert_non_null(strstr(r.log, "version 99"));
    assert_non_null(strstr(r.log, "needs 3"));
    db_do_sql("UPDATE mdm_schema SET version = 3");
    apr_sleep(apr_time_from_msec(1100));
    db_assert_ok(db_try_write());
}

/* What version 1 of the module made. */
static const char *const version_1[] = {
    "CREATE TABLE IF NOT EXISTS enrollment ("
    "id VARCHAR(32) NOT NULL PRIMARY KEY, "
    "flow VARCHAR(16) NOT NULL, "
    "site VARCHAR(64) NOT NULL, "
    "rules VARCHAR(64) NOT NULL, "
    "state VARCHAR(16) NOT NULL, "
    "user_name TEXT NOT NULL, "
    "udid TEXT NOT NULL, "
    "serial TEXT NOT NULL, "
    "product TEXT NOT NULL, "
    "os_version TEXT NOT NULL, "
    "device_fingerprint VARCHAR(64) NOT NULL, "
    "identity_fingerprint VARCHAR(64) NOT NULL, "
    "created_at BIGINT NOT NULL, "
    "updated_at BIGINT NOT NULL, "
    "expires_at BIGINT NOT NULL, "
    "last_refusal VARCHAR(16) NOT NULL DEFAULT '', "
    "refused_at BIGINT NOT NULL DEFAULT 0)",
    "CREATE INDEX IF NOT EXISTS enrollment_expires ON enrollment (expires_at, state)",
    "CREATE INDEX IF NOT EXISTS enrollment_user ON enrollment (user_name, state, expires_at)",

    "CREATE TABLE IF NOT EXISTS challenge ("
    "hash VARCHAR(64) NOT NULL PRIMARY KEY, "
    "enrollment VARCHAR(32) NOT NULL, "
    "purpose VARCHAR(16) NOT NULL, "
    "expires_at BIGINT NOT NULL, "
    "used_at BIGINT NOT NULL, "
    "used_for VARCHAR(64) NOT NULL)",
    "CREATE INDEX IF NOT EXISTS challenge_enrollment ON challenge (enrollment)",
    "CREATE INDEX IF NOT EXISTS challenge_expires ON challenge (expires_at)",

    "CREATE TABLE IF NOT EXISTS certificate ("
    "serial VARCHAR(64) NOT NULL PRIMARY KEY, "
    "enrollment VARCHAR(32) NOT NULL, "
    "purpose VARCHAR(16) NOT NULL, "
    "request VARCHAR(64) NOT NULL UNIQUE, "
    "fingerprint VARCHAR(64) NOT NULL UNIQUE, "
    "der TEXT NOT NULL, "
    "not_before BIGINT NOT NULL, "
    "not_after BIGINT NOT NULL, "
    "issued_at BIGINT NOT NULL, "
    "revoked_at BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS certificate_enrollment ON certificate (enrollment)",

    "CREATE TABLE IF NOT EXISTS mdm_schema (version BIGINT NOT NULL PRIMARY KEY)",
    "INSERT INTO mdm_schema (version) VALUES (1) ON CONFLICT DO NOTHING",
};

static void make_version_1(void)
{
    for (size_t i = 0; i < sizeof(version_1) / sizeof(version_1[0]); i++)
        db_do_sql(version_1[i]);
    db_do_sql("INSERT INTO challenge VALUES ('h1', 'e1', 'mdm', 1900000000, 0, '')");
    db_do_sql("INSERT INTO challenge VALUES ('h2', 'e1', 'mdm', 1900000000, 1700000000, 'r1')");
    db_do_sql("INSERT INTO certificate VALUES ('s1', 'e1', 'mdm', 'r1', 'f1', 'MIIB', 1, 2, 3, 0)");
    db_do_sql("INSERT INTO certificate VALUES ('s2', 'e1', 'mdm', 'r2', 'f2', 'MIIC', 1, 2, 3, 4)");
}

static void version_1_is_upgraded(void **state)
{
    mdm_certificate_t *cert;
    mdm_challenge_t *challenge;

    (void)state;
    make_version_1();
    db_assert_ok(db_try_write());
    assert_string_equal(db_value_of("SELECT MAX(version) FROM mdm_schema"), "3");
    db_assert_ok(db_store->certificate_by_serial(db_store->context, db_p, "any", "s1", &cert));
    assert_string_equal(cert->fingerprint, "f1");
    assert_string_equal(cert->der, "MIIB");
    assert_int_equal(cert->issued_at, 3);
    assert_int_equal(cert->revoked_at, 0);
    db_assert_ok(db_store->certificate_by_request(db_store->context, db_p, "r2", &cert));
    assert_int_equal(cert->revoked_at, 4);
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "h1", &challenge));
    assert_int_equal(challenge->uses, 0);
    db_assert_ok(db_store->challenge_get(db_store->context, db_p, "h2", &challenge));
    assert_int_equal(challenge->uses, 1);
}

/* In the middle of it something is in the way: nothing of it is there then, and it is done once
 * that is gone. */
static void half_an_upgrade_is_none(void **state)
{
    (void)state;
    make_version_1();
    db_do_sql("CREATE TABLE certificate_1 (x BIGINT)");
    assert_int_equal(db_try_write().message, MDM_MSG_STORE_UNAVAILABLE);
    assert_string_equal(db_value_of("SELECT MAX(version) FROM mdm_schema"), "1");
    db_do_sql("INSERT INTO challenge VALUES ('h3', 'e1', 'mdm', 1900000000, 0, '')");
    db_do_sql("DROP TABLE certificate_1");
    apr_sleep(apr_time_from_msec(1100));
    db_assert_ok(db_try_write());
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM challenge WHERE uses = 1"), "1");
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM certificate"), "2");
}

static void many_processes_upgrade_at_once(void **state)
{
    pid_t children[8];

    (void)state;
    make_version_1();
    for (size_t i = 0; i < 8; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            int failed = db_try_write().kind != MDM_OK;
            apr_pool_destroy(db_p);
            _exit(failed);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM certificate"), "2");
    assert_string_equal(db_value_of("SELECT MAX(version) FROM mdm_schema"), "3");
}

static void missing_table_heals(void **state)
{
    mdm_result_t r;

    (void)state;
    db_assert_ok(db_try_write());
    db_do_sql("DROP TABLE enrollment");
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(r.log, "enrollment"));
    db_assert_ok(db_try_write());
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM enrollment"), "1");
}

static void change_of_the_schema_underneath_is_not_noticed(void **state)
{
    mdm_enrollment_t *seen;

    (void)state;
    db_insert_enrollment("e1");
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "e1", &seen));
    for (int i = 0; i < 3; i++) {
        db_do_sql(apr_psprintf(db_p, "ALTER TABLE enrollment ADD COLUMN extra%d TEXT", i));
        db_assert_ok(db_try_write());
        db_do_sql(apr_psprintf(db_p, "CREATE INDEX extra_index%d ON enrollment (extra%d)", i, i));
        db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "e1", &seen));
        assert_non_null(seen);
    }
}

/* --- the pool --- */

static void *release_later(void *handle)
{
    apr_sleep(apr_time_from_msec(300));
    mdm_dbd_release(handle, 0);
    return NULL;
}

static void handles_are_bounded_and_waiting_is_timed(void **state)
{
    mdm_dbd_handle_t *handles[10], *one;
    int count = db_kind == MDM_DBD_SQLITE ? 4 : 10, began;
    pthread_t thread;
    mdm_result_t r;

    (void)state;
    for (int i = 0; i < count; i++)
        db_assert_ok(mdm_dbd_acquire(db_pool, db_p, &handles[i]));
    began = db_now_ms();
    r = mdm_dbd_acquire(db_pool, db_p, &one);
    assert_int_equal(r.message, MDM_MSG_STORE_BUSY);
    assert_in_range(db_now_ms() - began, 1990, 3900); /* once, not twice */
    began = db_now_ms();
    pthread_create(&thread, NULL, release_later, handles[0]);
    db_assert_ok(mdm_dbd_acquire(db_pool, db_p, &one));
    assert_in_range(db_now_ms() - began, 250, 1980);
    pthread_join(thread, NULL);
    mdm_dbd_release(one, 0);
    for (int i = 1; i < count; i++)
        mdm_dbd_release(handles[i], i % 2);
    db_assert_ok(db_try_write());
}

/* --- SQLite --- */

static void file_is_private_and_safe(void **state)
{
    struct stat info;
    mode_t mask = umask(0);

    (void)state;
    db_assert_ok(db_try_write());
    umask(mask);
    assert_int_equal(stat(db_target, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(apr_pstrcat(db_p, db_target, "-wal", NULL), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_string_equal(db_value_of("PRAGMA journal_mode"), "wal");
}

static void missing_folder_fails_at_once_until_it_is_there(void **state)
{
    const char *missing = apr_psprintf(db_p, "%s/later", db_folder);
    mdm_result_t first, second;

    (void)state;
    db_target = apr_pstrcat(db_p, missing, "/enroll.db", NULL);
    db_open_pool();
    first = db_try_write();
    assert_int_equal(first.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(first.log, db_target));
    assert_non_null(strstr(first.log, "No such file"));
    /* There is a folder now, but nobody looks for a second. */
    mkdir(missing, 0700);
    second = db_try_write();
    assert_non_null(strstr(second.log, "No such file"));
    apr_sleep(apr_time_from_msec(1100));
    db_assert_ok(db_try_write());
}

static void file_moved_away_and_back_loses_nothing(void **state)
{
    const char *aside = apr_pstrcat(db_p, db_target, ".aside", NULL);
    mdm_result_t r;

    (void)state;
    db_assert_ok(db_try_write());
    assert_int_equal(rename(db_target, aside), 0);
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(r.log, "is gone"));
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(r.log, "put it back"));
    assert_int_equal(rename(aside, db_target), 0);
    apr_sleep(apr_time_from_msec(1100));
    db_assert_ok(db_try_write());
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM enrollment"), "2");
}

static void deleted_database_is_told_and_begun_again(void **state)
{
    mdm_result_t r;

    (void)state;
    db_assert_ok(db_try_write());
    assert_int_equal(unlink(db_target), 0);
    assert_int_equal(unlink(apr_pstrcat(db_p, db_target, "-wal", NULL)), 0);
    assert_int_equal(unlink(apr_pstrcat(db_p, db_target, "-shm", NULL)), 0);
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(r.log, "is gone"));
    db_assert_ok(db_try_write());
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM enrollment"), "1");
}

static void file_put_in_its_place_is_used(void **state)
{
    const char *mine = db_target, *copy = apr_pstrcat(db_p, db_target, ".copy", NULL);
    mdm_enrollment_t *seen;

    (void)state;
    db_target = copy;
    db_open_pool();
    db_insert_enrollment("restored");
    db_value_of("PRAGMA wal_checkpoint(TRUNCATE)");
    db_target = mine;
    db_open_pool();
    db_assert_ok(db_try_write());
    unlink(apr_pstrcat(db_p, mine, "-wal", NULL));
    unlink(apr_pstrcat(db_p, mine, "-shm", NULL));
    assert_int_equal(rename(copy, mine), 0);
    db_assert_ok(db_store->enrollment_get(db_store->context, db_p, "restored", &seen));
    assert_non_null(seen);
}

static void locked_database_is_given_up_and_comes_back(void **state)
{
    db_other_t other;
    mdm_enrollment_t *seen;
    mdm_result_t r;
    int began;

    (void)state;
    db_insert_enrollment("e1");
    other = db_other_open();
    db_other_do(other, "BEGIN IMMEDIATE");
    began = db_now_ms();
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(r.log, "locked"));
    assert_in_range(db_now_ms() - began, 1000, 6000);
    db_assert_ok(
        db_store->enrollment_get(db_store->context, db_p, "e1", &seen)); /* WAL: readers go on */
    db_other_do(other, "ROLLBACK");
    db_assert_ok(db_try_write());
    db_other_close(other);
}

/* In a process of its own, as the user nobody where the tests run as root, whom no mode stops. */
static int write_while_read_only(void)
{
    apr_pool_t *all = db_p;
    mdm_result_t r;

    if (geteuid() == 0 && setuid(65534) != 0)
        return 1;
    /* SQLite goes on using a descriptor that it has: make the file and close it. */
    apr_pool_create(&db_p, all);
    db_open_pool();
    if (db_try_write().kind != MDM_OK)
        return 2;
    apr_pool_destroy(db_p);
    db_p = all;
    chmod(db_target, 0444);
    db_open_pool();
    r = db_try_write();
    if (r.message != MDM_MSG_STORE_UNAVAILABLE || !strstr(r.log, "Permission denied")) {
        print_error("while read-only: %s\n", r.log);
        return 3;
    }
    chmod(db_target, 0600);
    apr_sleep(apr_time_from_msec(1100));
    r = db_try_write();
    if (r.kind != MDM_OK)
        print_error("after the repair: %s\n", r.log);
    return r.kind != MDM_OK ? 4 : 0;
}

static void read_only_file_is_not_remembered(void **state)
{
    const char *sub = apr_psprintf(db_p, "%s/read-only", db_folder);

    (void)state;
    mkdir(sub, 0700);
    chmod(db_folder, 0711);
    chmod(sub, 0777);
    db_target = apr_pstrcat(db_p, sub, "/enroll.db", NULL);
    assert_int_equal(db_in_child(write_while_read_only), 0);
}

static void full_disk_is_told_and_forgotten(void **state)
{
    struct rlimit limit, tight;
    mdm_result_t r = mdm_result_ok();

    (void)state;
    db_assert_ok(db_try_write());
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    tight = limit;
    tight.rlim_cur = 65536;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (int i = 0; i < 200 && r.kind == MDM_OK; i++)
        r = db_try_write();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    db_assert_ok(db_try_write());
    assert_string_equal(db_value_of("PRAGMA integrity_check"), "ok");
}

static void file_of_another_kind_is_refused(void **state)
{
    FILE *file = fopen(db_target, "w");
    mdm_result_t r;

    (void)state;
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        fputs("This is not a database, and nobody should say it is.\n", file);
    fclose(file);
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_non_null(strstr(r.log, "not a database"));
}

/* --- PostgreSQL --- */

static void stale_connections_cost_nobody_a_failure(void **state)
{
    mdm_dbd_handle_t *handles[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        db_assert_ok(mdm_dbd_acquire(db_pool, db_p, &handles[i]));
    for (int i = 0; i < 3; i++)
        mdm_dbd_release(handles[i], 0);
    db_do_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
              "WHERE pid <> pg_backend_pid() AND application_name = 'mdm_enroll'");
    for (int i = 0; i < 100 && strcmp(db_value_of("SELECT count(*) FROM pg_stat_activity WHERE "
                                                  "pid <> pg_backend_pid() AND "
                                                  "application_name = 'mdm_enroll'"),
                                      "0") != 0;
         i++)
        apr_sleep(apr_time_from_msec(50));
    apr_sleep(apr_time_from_msec(150)); /* longer than a connection is trusted without a word */
    for (int i = 0; i < 3; i++)
        db_assert_ok(db_try_write());
}

static void statement_and_lock_have_a_limit(void **state)
{
    db_other_t other = db_other_open();
    mdm_result_t r;
    int began;

    (void)state;
    db_assert_ok(db_try_write());
    db_other_do(other, "BEGIN");
    db_other_do(other, "LOCK TABLE enrollment IN EXCLUSIVE MODE");
    began = db_now_ms();
    r = db_try_write();
    assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
    assert_in_range(db_now_ms() - began, 1900, 4000);
    db_other_do(other, "ROLLBACK");
    db_other_close(other);
    db_assert_ok(db_try_write());
}

static void password_is_never_told(void **state)
{
    static const char *const cases[] = {
        "host=127.0.0.1 port=1 dbname=x user=x password=s3cret",
        "host=127.0.0.1 port=1 user=x password=a s3cret=b",
        "host=/nonexistent-s0cket user=x password='s3cret'",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int began = db_now_ms();
        mdm_result_t r;

        db_target = cases[i];
        db_open_pool();
        r = db_try_write();
        assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
        assert_null(strstr(r.log, "s3cret"));
        assert_in_range(db_now_ms() - began, 0, 1000);
    }
}

/* --- the argument of MDMEnrollStore --- */

static void store_is_parsed(void **state)
{
    static const struct {
        const char *store, *target;
        mdm_dbd_kind_t kind;
    } cases[] = {
        {"sqlite3:/var/lib/mdm-enroll/enroll.db", "/var/lib/mdm-enroll/enroll.db", MDM_DBD_SQLITE},
        {"pgsql:host=db dbname=mdm", "host=db dbname=mdm", MDM_DBD_PGSQL},
        {"pgsql:password='a b\\'c' user = x", "password='a b\\'c' user = x", MDM_DBD_PGSQL},
        {"pgsql:password=a\\ b", "password=a\\ b", MDM_DBD_PGSQL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_dbd_kind_t found;
        const char *rest = NULL;
        assert_null(mdm_dbd_parse(db_p, cases[i].store, &found, &rest));
        assert_int_equal(found, cases[i].kind);
        assert_string_equal(rest, cases[i].target);
    }
}

static void bad_store_is_told_without_its_password(void **state)
{
    static const char *const cases[][2] = {
        {"", "kind of database is missing"},
        {"/var/lib/x.db", "kind of database is missing"},
        {"host=db password=s3cret", "kind of database is missing"},
        {"s3cret", "kind of database is missing"},
        {"mysql:host=db,pass=s3cret", "\"mysql:\""},
        {"sqlite3:enroll.db", "\"enroll.db\" is not the absolute path"},
        {"sqlite3:", "absolute path"},
        {"sqlite3:/var/lib/", "absolute path"},
        {"pgsql:", "empty"},
        {"pgsql:  ", "empty"},
        {"pgsql:postgresql://u:s3cret@h/db", "URI"},
        {"pgsql:dbname=x password=a s3cret", "quotes"},
        {"pgsql:password='s3cret", "not closed"},
        {"pgsql:password='s3cret\\", "backslash"},
        {"pgsql:password=s3cret\\", "backslash"},
        {"pgsql:=s3cret", "\"=\" is missing"},
        {"pgsql:S3cret=1", "\"=\" is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_dbd_kind_t found;
        const char *rest = NULL;
        const char *error = mdm_dbd_parse(db_p, cases[i][0], &found, &rest);
        if (!error || !strstr(error, cases[i][1]) || !strstr(error, "wanted is"))
            fail_msg("%s: %s", cases[i][0], error ? error : "accepted");
        assert_null(strstr(error, "3cret"));
        assert_null(rest);
    }
}

static void limits_are_added_where_there_are_none(void **state)
{
    const char *given = "host=x connect_timeout=9 application_name='a b' options='-c x=y'";
    const char *bare = mdm_dbd_complete(db_p, "dbname=x");

    (void)state;
    assert_non_null(strstr(bare, "dbname=x "));
    assert_non_null(strstr(bare, " connect_timeout=3"));
    assert_non_null(strstr(bare, " options='-c statement_timeout=3000 -c lock_timeout=2000'"));
    assert_non_null(strstr(bare, " tcp_user_timeout=3000"));
    assert_non_null(strstr(bare, " application_name=mdm_enroll"));
    assert_string_equal(mdm_dbd_complete(db_p, given),
                        apr_pstrcat(db_p, given, " tcp_user_timeout=3000", NULL));
}

static void drivers_are_found(void **state)
{
    (void)state;
    assert_null(mdm_dbd_check_driver(db_p, db_kind));
}

/* --- */

#define TEST(f) cmocka_unit_test_setup_teardown(f, db_set_up, db_tear_down)
#define TESTS_ON_BOTH                                                                              \
    TEST(drivers_are_found), TEST(other_version_is_told_with_both_numbers),                        \
        TEST(version_1_is_upgraded), TEST(half_an_upgrade_is_none),                                \
        TEST(many_processes_upgrade_at_once), TEST(missing_table_heals),                           \
        TEST(change_of_the_schema_underneath_is_not_noticed),                                      \
        TEST(handles_are_bounded_and_waiting_is_timed)

static int test_sqlite(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_ON_BOTH,
        TEST(store_is_parsed),
        TEST(bad_store_is_told_without_its_password),
        TEST(limits_are_added_where_there_are_none),
        TEST(file_is_private_and_safe),
        TEST(missing_folder_fails_at_once_until_it_is_there),
        TEST(file_moved_away_and_back_loses_nothing),
        TEST(deleted_database_is_told_and_begun_again),
        TEST(file_put_in_its_place_is_used),
        TEST(locked_database_is_given_up_and_comes_back),
        TEST(read_only_file_is_not_remembered),
        TEST(full_disk_is_told_and_forgotten),
        TEST(file_of_another_kind_is_refused),
    };

    return cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
}

static int test_pgsql(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_ON_BOTH,
        TEST(stale_connections_cost_nobody_a_failure),
        TEST(statement_and_lock_have_a_limit),
        TEST(password_is_never_told),
    };

    return cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_sqlite, test_pgsql);
}
