/* SPDX-License-Identifier: Apache-2.0
 * For unit tests of store_dbd and dbd_pool: a fresh database for each test.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <ftw.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

mdm_dbd_kind_t db_kind;
char db_folder[] = "/tmp/mdm-test-store-XXXXXX";
apr_pool_t *db_p;
const char *db_target;
mdm_dbd_pool_t *db_pool;
const mdm_store_t *db_store;

db_other_t db_other_open(void)
{
    db_other_t other;
    const char *error = NULL;

    assert_int_equal(apr_dbd_init(db_p), APR_SUCCESS);
    assert_int_equal(apr_dbd_get_driver(db_p, mdm_dbd_driver_name(db_kind), &other.driver),
                     APR_SUCCESS);
    if (apr_dbd_open_ex(other.driver, db_p, db_target, &other.dbd, &error) != APR_SUCCESS)
        fail_msg("%s", error);
    return other;
}

void db_other_do(db_other_t other, const char *sql)
{
    int rows, rc = apr_dbd_query(other.driver, other.dbd, &rows, sql);

    if (rc != 0)
        fail_msg("%s: %s", sql, apr_dbd_error(other.driver, other.dbd, rc));
}

void db_other_close(db_other_t other)
{
    apr_dbd_close(other.driver, other.dbd);
}

void db_do_sql(const char *sql)
{
    db_other_t other = db_other_open();

    db_other_do(other, sql);
    db_other_close(other);
}

const char *db_value_of(const char *sql)
{
    db_other_t other = db_other_open();
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    const char *value = NULL;

    assert_int_equal(apr_dbd_select(other.driver, db_p, other.dbd, &results, sql, 1), 0);
    while (apr_dbd_get_row(other.driver, db_p, results, &row, -1) == 0)
        value = apr_pstrdup(db_p, apr_dbd_get_entry(other.driver, row, 0));
    db_other_close(other);
    return value;
}

void db_open_pool(void)
{
    assert_int_equal(mdm_dbd_pool_create(db_p, db_kind, db_target, &mdm_store_schema, &db_pool),
                     APR_SUCCESS);
    db_store = mdm_store_dbd(db_p, db_pool);
}

int db_set_up(void **state)
{
    static int number;

    (void)state;
    apr_pool_create(&db_p, NULL);
    if (db_kind == MDM_DBD_SQLITE) {
        db_target = apr_psprintf(db_p, "%s/%d.db", db_folder, ++number);
    } else {
        db_target = getenv("MDM_TEST_PGSQL");
        db_do_sql("DROP TABLE IF EXISTS enrollment, challenge, certificate, claim, "
                  "notification, mdm_schema");
    }
    db_open_pool();
    return 0;
}

int db_tear_down(void **state)
{
    (void)state;
    apr_pool_destroy(db_p);
    return 0;
}

mdm_enrollment_t db_enrollment(const char *id)
{
    return (mdm_enrollment_t){.id = id,
                              .flow = "ota",
                              .site = "a site",
                              .rules = "rules",
                              .state = MDM_STATE_OFFERED,
                              .user = "j\xc3\xbcrgen",
                              .udid = "",
                              .serial = "",
                              .product = "",
                              .os_version = "",
                              .device_fingerprint = "",
                              .identity_fingerprint = "",
                              .terms = "",
                              .created_at = NOW,
                              .updated_at = NOW,
                              .expires_at = NOW + 900};
}

void db_assert_ok(mdm_result_t r)
{
    if (r.kind != MDM_OK)
        fail_msg("MDM%04d: %s", (int)r.message, r.log);
}

void db_insert_enrollment(const char *id)
{
    mdm_enrollment_t row = db_enrollment(id);

    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &row));
}

/* A write that must succeed, with an id of its own. */
mdm_result_t db_try_write(void)
{
    static atomic_int number;
    mdm_enrollment_t row = db_enrollment(
        apr_psprintf(db_p, "write-%d-%d", (int)getpid(), atomic_fetch_add(&number, 1)));

    return db_store->enrollment_insert(db_store->context, db_p, &row);
}

int db_now_ms(void)
{
    return (int)(apr_time_now() / 1000 % 1000000000);
}

/* Run in a child process: 0, or a status for waitpid(). */
int db_in_child(int (*run)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        int failed = run();
        apr_pool_destroy(db_p);
        _exit(failed);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

int db_main(int (*test_sqlite)(void), int (*test_pgsql)(void))
{
    int failed;

    apr_initialize();
    if (!mkdtemp(db_folder))
        return 99;
    db_kind = getenv("MDM_TEST_PGSQL") ? MDM_DBD_PGSQL : MDM_DBD_SQLITE;
    failed = db_kind == MDM_DBD_PGSQL ? test_pgsql() : test_sqlite();
    nftw(db_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    apr_terminate();
    return failed;
}
