/* SPDX-License-Identifier: Apache-2.0
 * The tables of mdm_schema: one line for each key of Apple's schemas. For mdm_schema's own files
 * and for the test that compares them with Apple's files. Depends on mdm_schema.
 */
#ifndef MDM_SCHEMA_TABLES_H
#define MDM_SCHEMA_TABLES_H

#include <limits.h>

#include <apr_pools.h>

#include "mdm_plist.h"
#include "mdm_schema.h"
#include "mdm_system.h"

#define MDM_SCHEMA_PLATFORMS (MDM_PLATFORM_WATCHOS + 1)

/* On one platform, as MDM_OS(). In a line of a key, introduced 0 is: as its payload. */
typedef struct mdm_schema_os_t {
    int introduced; /* MDM_SCHEMA_NEVER: this platform does not have it */
    int removed;    /* 0: it was not */
} mdm_schema_os_t;
#define MDM_SCHEMA_NEVER INT_MAX

/* How texts make up a container. */
typedef enum {
    MDM_SCHEMA_LIST,  /* ARRAY of strings, each once */
    MDM_SCHEMA_PAIRS, /* DICT of strings */
    MDM_SCHEMA_NAMES, /* DICT of strings, or, where a name comes more than once, arrays of them */
    MDM_SCHEMA_RDNS   /* ARRAY of RDNs, which are ARRAYs of [type, value] */
} mdm_schema_form_t;

typedef struct mdm_schema_rule_t {
    const char *key;
    const char *instead; /* not by MDMEnrollPayload: what sets it, or why nothing does */
    int from_node;       /* with instead: but a template may hold it */
    mdm_plist_type_t type;
    mdm_schema_form_t form;   /* of ARRAY and DICT */
    int may_be_empty;         /* an ARRAY of nothing, which keeps the key out */
    int secret;               /* values are not told */
    apr_int64_t min, max;     /* of an INTEGER */
    const char *const *words; /* the value, or each item, must be one of them */
    const char *one_text;     /* the name for a text that comes without one, or NULL */
    /* Further rules: NULL, or what is wanted. */
    const char *(*want_text)(const char *text); /* a STRING, each text of a container */
    const char *(*want_name)(const char *name); /* each name, or type, of a container */
    const char *(*want_number)(apr_int64_t number);
    mdm_schema_os_t os[MDM_SCHEMA_PLATFORMS];
} mdm_schema_rule_t;

typedef struct mdm_schema_payload_t {
    const char *type;
    const char *inside; /* where the keys are that do not begin with "Payload"; NULL: beside them */
    mdm_schema_os_t os[MDM_SCHEMA_PLATFORMS];
    const mdm_schema_rule_t *rules; /* to one whose key is NULL */
} mdm_schema_payload_t;

/* In the order of mdm_schema_payloads, to one whose type is NULL. */
extern const mdm_schema_payload_t mdm_schema_tables[];

/* CommonPayloadKeys, which every payload and profile has. */
extern const mdm_schema_rule_t mdm_schema_common[];

/* NULL if there is none. _rule looks among the common ones, too. */
const mdm_schema_payload_t *mdm_schema_find_payload(const char *type);
const mdm_schema_rule_t *mdm_schema_find_rule(const mdm_schema_payload_t *payload, const char *key);

/* The word for an array of nothing, where that may be; and what stands for a secret value. */
#define MDM_SCHEMA_NOTHING "none"
#define MDM_SCHEMA_HIDDEN "(not shown)"

/* The two halves of mdm_schema_setting(): a setting without a value, for a key that may be set by
 * words or (node) from a property list; and its value. Texts as there. */
const char *mdm_schema_start(apr_pool_t *p, const char *payload, const char *key, int node,
                             mdm_setting_t **setting);
const char *mdm_schema_read(apr_pool_t *p, const char *const *values, int count,
                            const mdm_text_compiler_t *compiler, mdm_setting_t *setting);

/* What is said of a wrong value. */
const char *mdm_schema_wanted(apr_pool_t *p, const char *key, const char *value, const char *what);

/* One text of a value, as it will be in the payload: NULL, or what is wrong. */
const char *mdm_schema_check_text(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value);

#endif
