/* SPDX-License-Identifier: Apache-2.0
 * Property lists: bounded parsing of what came from outside, typed getters, builders, pool
 * ownership. The only file that knows libplist. Depends on mdm_xml, mdm_result.
 */
#ifndef MDM_PLIST_H
#define MDM_PLIST_H

#include <apr_pools.h>

#include "mdm_result.h"

/* One node. A root is owned by the pool it was made in; a node put into another belongs to that
 * one. */
typedef struct mdm_plist_t mdm_plist_t;

typedef enum {
    MDM_PLIST_STRING,
    MDM_PLIST_INTEGER,
    MDM_PLIST_REAL,
    MDM_PLIST_BOOLEAN,
    MDM_PLIST_DATE,
    MDM_PLIST_DATA,
    MDM_PLIST_ARRAY,
    MDM_PLIST_DICT,
    MDM_PLIST_OTHER
} mdm_plist_type_t;

/* Longest input and deepest nesting of elements (<plist> is 1) that mdm_plist_parse() takes. */
#define MDM_PLIST_MAX_BYTES (64 * 1024)
#define MDM_PLIST_MAX_DEPTH 16

/* --- building --- */
mdm_plist_t *mdm_plist_dict(apr_pool_t *p);
mdm_plist_t *mdm_plist_array(apr_pool_t *p);

/* Each replaces the key if it is there. Strings are UTF-8 for which mdm_plist_text_ok() holds; the
 * value is copied. Integers up to 2^63 - 1; dates from 1970 to 9999, others become the nearest. */
void mdm_plist_set_string(mdm_plist_t *dict, const char *key, const char *value);
void mdm_plist_set_integer(mdm_plist_t *dict, const char *key, apr_uint64_t value);
void mdm_plist_set_real(mdm_plist_t *dict, const char *key, double value);
void mdm_plist_set_boolean(mdm_plist_t *dict, const char *key, int value);
void mdm_plist_set_date(mdm_plist_t *dict, const char *key, apr_int64_t seconds_since_1970_utc);
void mdm_plist_set_data(mdm_plist_t *dict, const char *key, const void *bytes, apr_size_t len);

/* Put a root into another node, which owns it from then on; of a node that is no root, a copy. */
void mdm_plist_set(mdm_plist_t *dict, const char *key, mdm_plist_t *child);
void mdm_plist_append(mdm_plist_t *array, mdm_plist_t *child);
void mdm_plist_append_string(mdm_plist_t *array, const char *value);

/* Overwrite a string of a dictionary where it is, once it is needed no more. */
void mdm_plist_wipe_string(mdm_plist_t *dict, const char *key);

/* The node as an XML property list, NUL-terminated, allocated in p; *len without the NUL. NULL when
 * out of memory. */
const char *mdm_plist_to_xml(apr_pool_t *p, const mdm_plist_t *node, apr_size_t *len);

/* 1 if text is valid UTF-8 of characters that XML 1.0 can carry (XML 1.0 section 2.2; no carriage
 * return, section 2.11) and so survives mdm_plist_to_xml(). */
int mdm_plist_text_ok(const char *text);

/* --- reading --- */

/* Parse an XML property list; *root is owned by p. Binary and JSON lists, document types with
 * declarations of their own (entities), input past the two limits above and anything malformed are
 * MDM_MSG_PLIST_FORMAT or _STRUCTURE. Call it only on bytes whose signature was verified. */
mdm_result_t mdm_plist_parse(apr_pool_t *p, const char *data, apr_size_t len, mdm_plist_t **root);

/* The same for what an administrator wrote, with a limit of its own. */
mdm_result_t mdm_plist_parse_up_to(apr_pool_t *p, const char *data, apr_size_t len,
                                   apr_size_t max_bytes, mdm_plist_t **root);

/* Read again what mdm_plist_to_xml() wrote: no limits, no checks, so for nothing else. NULL if it
 * is none after all. */
mdm_plist_t *mdm_plist_reread(apr_pool_t *p, const char *xml, apr_size_t len);

mdm_plist_type_t mdm_plist_type(const mdm_plist_t *node);

/* The value of a key, or NULL if node is no dictionary or has no such key. Lives as long as its
 * root. */
mdm_plist_t *mdm_plist_get(const mdm_plist_t *node, const char *key);

/* Number of items of an array or of keys of a dictionary; 0 for anything else. */
apr_size_t mdm_plist_size(const mdm_plist_t *node);
mdm_plist_t *mdm_plist_item(const mdm_plist_t *array, apr_size_t i);

/* Call visit for each key of a dictionary, in order, until it returns non-zero; returns what the
 * last call returned. */
int mdm_plist_each(const mdm_plist_t *dict,
                   int (*visit)(void *ctx, const char *key, mdm_plist_t *value), void *ctx);

/* Typed values; NULL, or 0 in the return value, if the node is NULL or of another type. Strings
 * live in the root's pool. */
const char *mdm_plist_string(const mdm_plist_t *node);
const char *mdm_plist_data(const mdm_plist_t *node, apr_size_t *len);
int mdm_plist_integer(const mdm_plist_t *node, apr_uint64_t *value);
int mdm_plist_boolean(const mdm_plist_t *node, int *value);

/* A scalar as text: a string as it is, data as its bytes, numbers in decimal, "true"/"false"; NULL
 * for containers, dates, and data with a NUL in it. */
const char *mdm_plist_text(apr_pool_t *p, const mdm_plist_t *node);

#endif
