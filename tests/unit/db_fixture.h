/* SPDX-License-Identifier: Apache-2.0
 * For unit tests of store_dbd and dbd_pool: a fresh database for each test. SQLite in a temporary
 * folder; PostgreSQL instead if MDM_TEST_PGSQL holds the conninfo of a database whose tables may be
 * dropped, as the integration tests see to. Depends on them, core and cmocka.
 */
#ifndef DB_FIXTURE_H
#define DB_FIXTURE_H

#include "../../mod_mdm_enroll/httpd/store_dbd.h"
#include "../../mod_mdm_enroll/httpd/store_schema.h"

#define NOW 1700000000

/* What a test works with: a fresh database of the kind that db_main() chose. */
extern mdm_dbd_kind_t db_kind;
extern char db_folder[]; /* for databases, and what else a test needs */
extern apr_pool_t *db_p;
extern const char *db_target;
extern mdm_dbd_pool_t *db_pool;
extern const mdm_store_t *db_store;

/* main() of a program: the tests for one kind of database, which db_kind tells; its exit status. */
int db_main(int (*test_sqlite)(void), int (*test_pgsql)(void));

/* For cmocka_unit_test_setup_teardown(). */
int db_set_up(void **state);
int db_tear_down(void **state);

/* One more pool of handles, and a store on it, in db_pool and db_store: as another process. */
void db_open_pool(void);

/* A connection beside the module's own. */
typedef struct db_other_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *dbd;
} db_other_t;

db_other_t db_other_open(void);
void db_other_do(db_other_t other, const char *sql);
void db_other_close(db_other_t other);

/* A statement, and the last row's first column of a query, by such a connection. */
void db_do_sql(const char *sql);
const char *db_value_of(const char *sql);

/* A row, and one that is stored. */
mdm_enrollment_t db_enrollment(const char *id);
void db_insert_enrollment(const char *id);

/* A write that should succeed, with an id of its own. */
mdm_result_t db_try_write(void);

/* Fail with the text of a result. */
void db_assert_ok(mdm_result_t r);

/* Run in a child process: 0, or a status for waitpid(). */
int db_in_child(int (*run)(void));

/* A clock for durations. */
int db_now_ms(void);

#endif
