/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollSerials as core's lists of serial numbers: in files, and by queries of the store's
 * database. Depends on serial_file and store_sql.
 */
#ifndef MDM_SERIAL_LIST_H
#define MDM_SERIAL_LIST_H

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_tables.h>

#include "../core/mdm_enrollment.h"

/* One MDMEnrollSerials. */
typedef struct mdm_serial_rule_t {
    int allow;        /* else deny */
    const char *file; /* the path, or NULL */
    const char *sql;  /* the query, or NULL: a number is on the list if it answers a row */
    int args;         /* of the query: so many %s */
    const char *text; /* for the user whom it refuses, or NULL */
    const char *name; /* for the log: "MDMEnrollSerials deny file:/path (file:line)" */
    const struct ap_directive_t *where; /* the configuration's own */
} mdm_serial_rule_t;

/* Most %s in a query. */
#define MDM_SERIAL_MAX_ARGS 8

/* Is sql a query for such a list: SELECT, with %s outside of quotes and no other %? NULL, and
 * *args; or what is wrong with it. In p. */
const char *mdm_serial_check_sql(apr_pool_t *p, const char *sql, int *args);

/* The lists of rules (mdm_serial_rule_t *), in a child process, before it has threads; owned by p,
 * usable by all threads. files has the files that other sites read by now, by their paths. pool is
 * the mdm_dbd_pool_t * of the store. What check() says: MDM_MSG_SERIAL_REFUSED where there is
 * no number (""), it is on a deny list, or there are allow lists and it is on none;
 * MDM_MSG_SERIAL_LIST where that could not be found out. NULL if there is no mutex to be had. */
const mdm_serials_t *mdm_serial_lists(apr_pool_t *p, const apr_array_header_t *rules,
                                      apr_hash_t *files, void *pool);

#endif
