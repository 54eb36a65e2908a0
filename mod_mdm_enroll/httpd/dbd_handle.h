/* SPDX-License-Identifier: Apache-2.0
 * One connection over apr_dbd's drivers: opened, set up, tried, and the statements on it. Depends
 * on dbd_target, APR and apr-util only.
 */
#ifndef MDM_DBD_HANDLE_H
#define MDM_DBD_HANDLE_H

#include <sys/types.h>

#include <apr_dbd.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "../core/mdm_result.h"
#include "dbd_target.h"

/* A schema and its version. upgrades[v] are the statements that make version v + 1 of version v and
 * end with its row in mdm_schema; NULL where there is no way from v (always for 0). Each list ends
 * with NULL. */
typedef struct mdm_dbd_schema_t {
    const char *const *ddl;
    const char *const *const *upgrades;
    int version;
} mdm_dbd_schema_t;

/* What the handles of a store connect to. */
typedef struct mdm_dbd_source_t {
    mdm_dbd_kind_t kind;
    const apr_dbd_driver_t *driver;
    const char *target; /* what the driver is given */
    const char *name;   /* for texts; without password */
    const mdm_dbd_schema_t *schema;
} mdm_dbd_source_t;

typedef struct mdm_dbd_statement_t mdm_dbd_statement_t;
typedef struct mdm_dbd_handle_t mdm_dbd_handle_t;

struct mdm_dbd_handle_t {
    apr_pool_t *p; /* with an allocator of its own: used without any lock, by one thread */
    const mdm_dbd_source_t *source;
    apr_dbd_t *dbd;
    mdm_dbd_statement_t *statements;
    dev_t device; /* SQLite: of the file as it was opened */
    ino_t inode;
    /* What dbd_pool writes on it. */
    struct mdm_dbd_pool_t *pool;
    mdm_dbd_handle_t *next; /* while idle */
    unsigned generation;
    apr_time_t released;
};

/* Connect to source, which must outlive the handle, and check the schema, or make it where there is
 * none, or bring an older one up to date; remake: make what is missing of it even if the version is
 * there. *handle is closed by mdm_dbd_close(). MDM_MSG_STORE_UNAVAILABLE or _SCHEMA, with a text in
 * p. */
mdm_result_t mdm_dbd_open(const mdm_dbd_source_t *source, apr_pool_t *p, int remake,
                          mdm_dbd_handle_t **handle);

void mdm_dbd_close(mdm_dbd_handle_t *handle);

/* May it be used after it has rested so long (microseconds)? *usable says;
 * MDM_MSG_STORE_UNAVAILABLE in addition if the SQLite file is gone. */
mdm_result_t mdm_dbd_try(mdm_dbd_handle_t *handle, apr_pool_t *p, apr_interval_time_t rested,
                         int *usable);

/* Run a statement of the module's own with %s and %lld placeholders and nargs values as
 * strings, none of them NULL. Prepared lazily per handle and SQL text (the
 * pointer is the key: use static strings), once more if the schema changed underneath. *rows is the
 * number changed. 0, or an apr_dbd driver error with *error set to its text in p. */
int mdm_dbd_execute(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                    const char **args, int *rows, const char **error);

/* Takes one row of a result; values and p live for the call only. 0: no more are wanted. */
typedef int mdm_dbd_visit_t(void *baton, apr_pool_t *p, const char *const *values);

/* Run a query and visit its rows, each of columns strings. The result is read to its end, also
 * where no more are wanted. */
int mdm_dbd_select(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                   const char **args, int columns, mdm_dbd_visit_t *visit, void *baton,
                   const char **error);

/* Run a query; at most one row of columns strings is copied into values (array of columns const
 * char *, allocated in p), *found says whether there was one. The result is read to its end. */
int mdm_dbd_select_row(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                       const char **args, int columns, const char **values, int *found,
                       const char **error);

#endif
