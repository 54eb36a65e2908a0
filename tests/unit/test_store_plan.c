/* SPDX-License-Identifier: Apache-2.0
 * Unit test of store_dbd and store_schema: every statement finds its rows by an index, as SQLite
 * itself says, whatever number of rows there is. Takes the place of dbd_pool and dbd_handle, and so
 * sees every statement.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <apr_dbd.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "../../mod_mdm_enroll/httpd/store_dbd.h"
#include "../../mod_mdm_enroll/httpd/store_notification.h"
#include "../../mod_mdm_enroll/httpd/store_schema.h"

static apr_pool_t *p;
static const apr_dbd_driver_t *driver;
static apr_dbd_t *dbd;
static int statements;
static int open_only; /* what is delivered is not looked at */

static void run(const char *sql)
{
    int rows, rc = apr_dbd_query(driver, dbd, &rows, sql);

    if (rc != 0)
        fail_msg("%s: %s", sql, apr_dbd_error(driver, dbd, rc));
}

/* With values that no row has in place of the placeholders. */
static const char *filled(const char *sql)
{
    char *text = apr_pstrdup(p, sql);

    for (char *at = text; (at = strchr(at, '%')) != NULL;) {
        apr_size_t len = strncmp(at, "%lld", 4) == 0 ? 4 : 2;
        assert_true(len == 4 || strncmp(at, "%s", 2) == 0);
        text =
            apr_psprintf(p, "%.*s%s%s", (int)(at - text), text, len == 4 ? "7" : "'x'", at + len);
        at = text;
    }
    return text;
}

/* A step that goes through a table, or through an index from end to end, is a SCAN; what a subquery
 * found is scanned, too, and is no table. */
static void explain(const char *sql)
{
    const char *text = apr_pstrcat(p, "EXPLAIN QUERY PLAN ", filled(sql), NULL);
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;

    statements++;
    assert_int_equal(apr_dbd_select(driver, p, dbd, &results, text, 0), 0);
    while (apr_dbd_get_row(driver, p, results, &row, -1) == 0) {
        const char *step = apr_dbd_get_entry(driver, row, 3);
        assert_non_null(step);
        if (strncmp(step, "SCAN", 4) == 0 && strstr(step, "CONSTANT ROW") == NULL &&
            strcmp(step, "SCAN open") != 0 && strcmp(step, "SCAN issued") != 0 &&
            strstr(step, "SUBQUERY") == NULL)
            fail_msg("%s\n%s", step, sql);
        open_only |= strstr(step, "INDEX enrollment_open") != NULL;
        row = NULL;
    }
}

/* --- in place of dbd_pool and dbd_handle --- */

mdm_result_t mdm_dbd_acquire(mdm_dbd_pool_t *pool, apr_pool_t *ptemp, mdm_dbd_handle_t **handle)
{
    (void)pool;
    (void)ptemp;
    *handle = NULL;
    return mdm_result_ok();
}

void mdm_dbd_release(mdm_dbd_handle_t *handle, int doubtful)
{
    (void)handle;
    (void)doubtful;
}

int mdm_dbd_execute(mdm_dbd_handle_t *handle, apr_pool_t *ptemp, const char *sql, int nargs,
                    const char **args, int *rows, const char **error)
{
    (void)handle;
    (void)ptemp;
    (void)nargs;
    (void)args;
    (void)error;
    explain(sql);
    *rows = 1;
    return 0;
}

int mdm_dbd_select(mdm_dbd_handle_t *handle, apr_pool_t *ptemp, const char *sql, int nargs,
                   const char **args, int columns, mdm_dbd_visit_t *visit, void *baton,
                   const char **error)
{
    (void)handle;
    (void)ptemp;
    (void)nargs;
    (void)args;
    (void)columns;
    (void)visit;
    (void)baton;
    (void)error;
    explain(sql);
    return 0;
}

int mdm_dbd_select_row(mdm_dbd_handle_t *handle, apr_pool_t *ptemp, const char *sql, int nargs,
                       const char **args, int columns, const char **values, int *found,
                       const char **error)
{
    (void)handle;
    (void)ptemp;
    (void)nargs;
    (void)args;
    (void)error;
    explain(sql);
    *found = columns == 1; /* a count */
    for (int i = 0; i < columns; i++)
        values[i] = "0";
    return 0;
}

/* --- the test --- */

static void every_statement_uses_an_index(void **state)
{
    const mdm_store_t *s = mdm_store_dbd(p, NULL);
    const mdm_enrollment_t enrollment = {.id = "x"};
    const mdm_challenge_t challenge = {.hash = "x"};
    const mdm_certificate_t certificate = {
        .serial = "x", .purpose = MDM_PURPOSE_MDM, .fingerprint = "x"};
    const mdm_claim_t claim = {.site = "x", .kind = "x", .user = "x", .place = 7, .holder = "x"};
    apr_array_header_t *claims;
    mdm_enrollment_t *e;
    mdm_challenge_t *c;
    const mdm_notification_t notification = {.id = "x"};
    mdm_certificate_t *x;
    mdm_notification_t *m;
    mdm_sighting_t *sighting;
    const char *id;
    int n;

    (void)state;
    s->enrollment_insert(NULL, p, &enrollment);
    s->enrollment_get(NULL, p, "x", &e);
    s->enrollment_count_offered(NULL, p, "x", 7, 1, &n);
    s->enrollment_advance(NULL, p, &enrollment, MDM_STATE_OFFERED, "", 7, &n);
    s->enrollment_note_refusal(NULL, p, "x", "x", 7);
    s->challenge_insert(NULL, p, &challenge);
    s->challenge_get(NULL, p, "x", &c);
    s->challenge_spend(NULL, p, "x", "", 1, "x", 7, &n);
    s->challenge_delete(NULL, p, "x");
    s->certificate_insert(NULL, p, &certificate, &n);
    s->certificate_by_fingerprint(NULL, p, "x", &x);
    s->certificate_by_request(NULL, p, "x", &x);
    s->certificate_by_serial(NULL, p, "x", "x", &x);
    s->certificate_by_poll(NULL, p, "x", &x);
    s->certificate_count(NULL, p, "x", 7, 1, &n);
    s->certificate_revoke(NULL, p, "x", 0, 7, &n);
    s->certificate_spend(NULL, p, "x", "", "x", &n);
    s->certificate_supersede(NULL, p, "x", "x", 7);
    s->certificate_each_revoked(NULL, p, "x", 7, 7, NULL, NULL);
    s->sweep(NULL, p, 7);
    s->notification_insert(NULL, p, &notification);
    s->sighting_get(NULL, p, "x", &sighting);
    s->certificate_end_older(NULL, p, &certificate, 7, &n);
    s->enrollment_by_device(NULL, p, "x", "x", NULL, &id);
    s->enrollment_by_device(NULL, p, "x", NULL, "x", &id);
    s->enrollment_update(NULL, p, &enrollment, 7, 7, &n);
    s->challenge_count(NULL, p, "x", MDM_PURPOSE_MDM, 7, 1, &n);
    s->claim_list(NULL, p, "x", "x", "x", &claims);
    s->claim_missing(NULL, p, "x", "x", "x", &n, &n);
    s->claim_insert(NULL, p, &claim, &n);
    s->claim_renew(NULL, p, &claim, 7, &n);
    s->claim_delete(NULL, p, &claim, &n);
    s->claim_settle(NULL, p, &claim);
    s->claim_free_others(NULL, p, &claim);
    s->claim_sweep(NULL, p, "x", "x", 7);
    mdm_store_notification_next(NULL, p, "x", 7, &m);
    mdm_store_notification_claim(NULL, p, &notification, 7, &n);
    mdm_store_notification_postpone(NULL, p, "x", 7, 7, &n);
    mdm_store_notification_delete(NULL, p, "x");
    mdm_store_notification_sweep(NULL, p, "x", 7);
    /* each function of the store has one; the sweeps and enrollment_by_device have two, and the
     * sender of notifications has five: who adds a function adds it here */
    assert_int_equal(sizeof(*s), 35 * sizeof(void *));
    assert_int_equal(statements, 42);
    assert_true(open_only);
}

static int set_up(void **state)
{
    const char *error = NULL;

    (void)state;
    apr_initialize();
    apr_pool_create(&p, NULL);
    apr_dbd_init(p);
    if (apr_dbd_get_driver(p, "sqlite3", &driver) != APR_SUCCESS ||
        apr_dbd_open_ex(driver, p, ":memory:", &dbd, &error) != APR_SUCCESS)
        return 1;
    for (const char *const *sql = mdm_store_schema.ddl; *sql != NULL; sql++)
        run(*sql);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    apr_dbd_close(driver, dbd);
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_statement_uses_an_index)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
