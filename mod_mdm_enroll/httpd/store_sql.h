/* SPDX-License-Identifier: Apache-2.0
 * What every statement of the store has in common: a handle lent and given back, values as text,
 * failures told. Depends on dbd_pool.
 */
#ifndef MDM_STORE_SQL_H
#define MDM_STORE_SQL_H

#include <apr_pools.h>

#include "../core/mdm_result.h"
#include "dbd_pool.h"

#define MDM_SQL_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Numbers as statements take them and rows give them; _parse_ give 0 for what is none. _int is for
 * small ones: 0 and above. */
const char *mdm_sql_decimal(apr_pool_t *p, apr_int64_t number);
int mdm_sql_parse_decimal(const char *text, apr_int64_t *number);
int mdm_sql_parse_int(const char *text, int *number);

/* MDM_MSG_STORE_UNAVAILABLE; and MDM_MSG_STORE_ROW: a row with that key that cannot be understood.
 */
mdm_result_t mdm_sql_unavailable(apr_pool_t *p, const char *what, const char *error);
mdm_result_t mdm_sql_bad_row(apr_pool_t *p, const char *table, const char *key, const char *wanted);

/* In all of these pool is a mdm_dbd_pool_t *, what says in messages what is being done, sql is a
 * static string with %s and %lld, and args are nargs texts, none NULL. MDM_OK or MDM_MSG_STORE_*.
 */

/* One statement that changes something; *rows is how many rows it did. It is not repeated on a
 * failure: it may have been executed before the connection broke. */
mdm_result_t mdm_sql_change(void *pool, apr_pool_t *p, const char *what, const char *sql,
                            const char **args, int nargs, int *rows);

/* One row of columns texts, in p; *found is 0 if there is none. Reading is harmless, so a second
 * connection is tried. */
mdm_result_t mdm_sql_read_row(void *pool, apr_pool_t *p, const char *what, const char *sql,
                              const char **args, int nargs, const char **values, int columns,
                              int *found);

/* The same for the one row that a key stands for. */
mdm_result_t mdm_sql_find(void *pool, apr_pool_t *p, const char *what, const char *sql,
                          const char *key, const char **values, int columns, int *found);

/* Every row of columns texts, in turn. restart is called before each try, to forget what was
 * visited by the one before; NULL where that cannot be taken back: then there is one try. */
mdm_result_t mdm_sql_read_rows(void *pool, apr_pool_t *p, const char *what, const char *sql,
                               const char **args, int nargs, int columns, mdm_dbd_visit_t *visit,
                               void (*restart)(void *baton), void *baton);

/* A row with one number. */
mdm_result_t mdm_sql_read_count(void *pool, apr_pool_t *p, const char *what, const char *sql,
                                const char **args, int nargs, int *count);

#endif
