/* SPDX-License-Identifier: Apache-2.0
 * What mdm-enroll-admin says: results with their exit status, text that is safe on a terminal,
 * tables, times and JSON. Depends on jansson and core's mdm_result.
 */
#ifndef ADMIN_OUTPUT_H
#define ADMIN_OUTPUT_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

#include "mdm_result.h"

/* Exit statuses, as in mdm-enroll-admin(8). */
typedef enum {
    ADMIN_OK = 0,
    ADMIN_NOTHING = 1,  /* nothing matched */
    ADMIN_USAGE = 2,    /* the command line, or what it leaves open */
    ADMIN_DATABASE = 3, /* not found, not reachable, not ours */
    ADMIN_LOCAL = 4     /* files, keys, memory on this side */
} admin_exit_t;

/* An outcome by value; reason lives in the pool it was made with. */
typedef struct admin_result_t {
    admin_exit_t exit;
    const char *reason; /* one sentence without a full stop; NULL when exit is ADMIN_OK */
} admin_result_t;

admin_result_t admin_ok(void);

/* Reason as printf, allocated in p. It is made safe when it is printed. */
admin_result_t admin_fail(apr_pool_t *p, admin_exit_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A refusal of core's or the store's as ours: MDM_OK is ADMIN_OK. */
admin_result_t admin_of(apr_pool_t *p, admin_exit_t status, mdm_result_t r);

/* The last OpenSSL call failed: what was being done, then OpenSSL's reason. */
admin_result_t admin_fail_openssl(apr_pool_t *p, const char *doing);

/* One line on standard output, or standard error, made safe: UTF-8 as it is; control characters,
 * what changes the direction of writing, and bytes that are no UTF-8 as \xHH. */
void admin_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void admin_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for one value. Allocated in p. */
const char *admin_safe(apr_pool_t *p, const char *text);

/* Columns that a safe text takes on a terminal. */
int admin_width(const char *text);

/* Seconds since 1970 as "2026-11-26T06:13:06Z"; "" for 0. Allocated in p. */
const char *admin_time(apr_pool_t *p, apr_int64_t seconds);

/* --- tables --- */

typedef struct admin_table_t admin_table_t;

/* A table on standard output with columns headings, ended by NULL. Its widths are those of the
 * first rows, which are kept in p until there are enough of them. On a terminal it is made to fit:
 * columns behind the first needed ones are left out from the end, then values are cut, the widest
 * first. */
admin_table_t *admin_table_create(apr_pool_t *p, const char *const *headings, int needed);

/* One row: as many values as there are headings; copied, made safe. */
void admin_table_row(admin_table_t *table, apr_pool_t *p, const char *const *values);

/* Print what is left. Without rows nothing is printed. */
void admin_table_end(admin_table_t *table);

/* --- JSON: an array on standard output, one element a line, or one object --- */

/* A text as a JSON string; what is no UTF-8 as by admin_safe(). "" is "", NULL is null. */
json_t *admin_json_text(const char *text);

/* null for 0. */
json_t *admin_json_time(apr_int64_t seconds);

typedef struct admin_json_array_t {
    int count;
} admin_json_array_t;

void admin_json_element(admin_json_array_t *array, json_t *element); /* takes element over */
void admin_json_end(const admin_json_array_t *array);
void admin_json_object(json_t *object); /* takes object over */

/* Standard output could be written: 1. To be asked at the end. */
int admin_output_good(void);

#endif
