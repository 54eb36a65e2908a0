/* SPDX-License-Identifier: Apache-2.0
 * Statements on a lent handle. Depends on dbd_pool.
 */
#include "store_sql.h"

#include <errno.h>
#include <limits.h>

#include <apr_strings.h>

const char *mdm_sql_decimal(apr_pool_t *p, apr_int64_t number)
{
    return apr_psprintf(p, "%" APR_INT64_T_FMT, number);
}

int mdm_sql_parse_decimal(const char *text, apr_int64_t *number)
{
    char *end;

    errno = 0;
    *number = apr_strtoi64(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* A small number: a count, a code. */
int mdm_sql_parse_int(const char *text, int *number)
{
    apr_int64_t wide;

    if (!mdm_sql_parse_decimal(text, &wide) || wide < 0 || wide > INT_MAX)
        return 0;
    *number = (int)wide;
    return 1;
}

mdm_result_t mdm_sql_unavailable(apr_pool_t *p, const char *what, const char *error)
{
    return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s: %s", what, error);
}

mdm_result_t mdm_sql_bad_row(apr_pool_t *p, const char *table, const char *key, const char *wanted)
{
    return mdm_result_make(p, MDM_MSG_STORE_ROW,
                           "the row \"%s\" of the table %s was not written "
                           "by this module: wanted are %s",
                           mdm_result_quote_text(p, key), table, wanted);
}

/* One statement that changes something. It is not repeated on a failure: it may have been executed
 * before the connection broke. */
mdm_result_t mdm_sql_change(void *context, apr_pool_t *p, const char *what, const char *sql,
                            const char **args, int nargs, int *rows)
{
    const char *error = NULL;
    mdm_dbd_handle_t *handle;
    int rc;
    mdm_result_t r = mdm_dbd_acquire(context, p, &handle);

    if (r.kind != MDM_OK)
        return r;
    rc = mdm_dbd_execute(handle, p, sql, nargs, args, rows, &error);
    mdm_dbd_release(handle, rc != 0);
    return rc == 0 ? mdm_result_ok() : mdm_sql_unavailable(p, what, error);
}

mdm_result_t mdm_sql_read_rows(void *context, apr_pool_t *p, const char *what, const char *sql,
                               const char **args, int nargs, int columns, mdm_dbd_visit_t *visit,
                               void (*restart)(void *baton), void *baton)
{
    for (int attempt = 0;; attempt++) {
        const char *error = NULL;
        mdm_dbd_handle_t *handle;
        int rc;
        mdm_result_t r = mdm_dbd_acquire(context, p, &handle);

        if (r.kind != MDM_OK)
            return r;
        if (restart)
            restart(baton);
        rc = mdm_dbd_select(handle, p, sql, nargs, args, columns, visit, baton, &error);
        mdm_dbd_release(handle, rc != 0);
        if (rc == 0)
            return mdm_result_ok();
        if (attempt > 0 || !restart)
            return mdm_sql_unavailable(p, what, error);
    }
}

/* One row. Reading is harmless, so a second connection is tried. */
mdm_result_t mdm_sql_read_row(void *context, apr_pool_t *p, const char *what, const char *sql,
                              const char **args, int nargs, const char **values, int columns,
                              int *found)
{
    for (int attempt = 0;; attempt++) {
        const char *error = NULL;
        mdm_dbd_handle_t *handle;
        int rc;
        mdm_result_t r = mdm_dbd_acquire(context, p, &handle);

        if (r.kind != MDM_OK)
            return r;
        rc = mdm_dbd_select_row(handle, p, sql, nargs, args, columns, values, found, &error);
        mdm_dbd_release(handle, rc != 0);
        if (rc == 0)
            return mdm_result_ok();
        if (attempt > 0)
            return mdm_sql_unavailable(p, what, error);
    }
}

/* The row that a key stands for. */
mdm_result_t mdm_sql_find(void *context, apr_pool_t *p, const char *what, const char *sql,
                          const char *key, const char **values, int columns, int *found)
{
    return mdm_sql_read_row(context, p, what, sql, &key, 1, values, columns, found);
}

mdm_result_t mdm_sql_read_count(void *context, apr_pool_t *p, const char *what, const char *sql,
                                const char **args, int nargs, int *count)
{
    const char *value = "";
    int found = 0;
    mdm_result_t r = mdm_sql_read_row(context, p, what, sql, args, nargs, &value, 1, &found);

    if (r.kind == MDM_OK && (!found || !mdm_sql_parse_int(value, count)))
        return mdm_result_make(p, MDM_MSG_STORE_ROW, "%s: \"%s\", wanted is a number", what,
                               mdm_result_quote_text(p, value));
    return r;
}
