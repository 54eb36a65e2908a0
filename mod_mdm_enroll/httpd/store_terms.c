/* SPDX-License-Identifier: Apache-2.0
 * Terms of all devices together. Depends on dbd_target, store_schema, APR and apr-util only.
 */
#include "store_terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_dbd.h>
#include <apr_strings.h>

#include "store_schema.h"

/* What is delivered is most of the table, so all of it is read. What a device has told of itself
 * decides which keys it gets. */
static const char select_terms[] =
    "SELECT terms, product, os_version, COUNT(*) FROM enrollment WHERE state = 'delivered' AND "
    "expires_at >= updated_at AND terms <> '' GROUP BY terms, product, os_version "
    "LIMIT " APR_STRINGIFY(MDM_STORE_TERMS_MAX);

typedef struct connection_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *dbd;
} connection_t;

static const char *reason(apr_pool_t *p, const connection_t *c, int rc)
{
    const char *text = apr_dbd_error(c->driver, c->dbd, rc);

    return apr_pstrmemdup(p, text, strcspn(text, "\r\n"));
}

/* Rows are read with the same row each time: with another, PostgreSQL's driver begins anew. */

/* Without tables it fails; with those of another version there is nothing to be read here. */
static int has_terms(apr_pool_t *p, const connection_t *c)
{
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    const char *version = NULL;

    if (apr_dbd_select(c->driver, p, c->dbd, &results,
                       "SELECT version FROM mdm_schema ORDER BY version DESC LIMIT 1", 0) != 0)
        return 0;
    while (apr_dbd_get_row(c->driver, p, results, &row, -1) == 0)
        version = apr_pstrdup(p, apr_dbd_get_entry(c->driver, row, 0));
    return version != NULL && strcmp(version, APR_STRINGIFY(MDM_STORE_SCHEMA_VERSION)) == 0;
}

static const char *read_terms(apr_pool_t *p, const connection_t *c, mdm_store_terms_visit_t *visit,
                              void *baton)
{
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    int rc = apr_dbd_select(c->driver, p, c->dbd, &results, select_terms, 0);

    if (rc != 0)
        return reason(p, c, rc);
    while (apr_dbd_get_row(c->driver, p, results, &row, -1) == 0) {
        const char *values[4];

        for (int i = 0; i < 4; i++)
            values[i] = apr_pstrdup(p, apr_dbd_get_entry(c->driver, row, i));
        if (values[0] && values[1] && values[2] && values[3])
            visit(baton, values[0], values[1], values[2], atoi(values[3]));
    }
    return NULL;
}

const char *mdm_store_terms(apr_pool_t *p, mdm_dbd_kind_t kind, const char *target,
                            mdm_store_terms_visit_t *visit, void *baton)
{
    connection_t c = {NULL, NULL};
    const char *error = NULL, *why = NULL;

    /* SQLite would make the file, and side files of one that it can only read. */
    if (kind == MDM_DBD_SQLITE && access(target, F_OK) != 0 && errno == ENOENT)
        return NULL;
    if (kind == MDM_DBD_SQLITE && access(target, R_OK | W_OK) != 0)
        return apr_pstrdup(p, strerror(errno));
    apr_dbd_init(p);
    if (apr_dbd_get_driver(p, mdm_dbd_driver_name(kind), &c.driver) != APR_SUCCESS)
        return "apr_dbd has no driver for it";
    if (kind == MDM_DBD_PGSQL)
        target = mdm_dbd_complete(p, target);
    if (apr_dbd_open_ex(c.driver, p, target, &c.dbd, &error) != APR_SUCCESS) {
        error = error ? apr_pstrmemdup(p, error, strcspn(error, "\r\n")) : "it cannot be opened";
        return kind == MDM_DBD_PGSQL ? mdm_dbd_withhold(p, target, error) : error;
    }
    if (has_terms(p, &c))
        why = read_terms(p, &c, visit, baton);
    apr_dbd_close(c.driver, c.dbd);
    return why;
}
