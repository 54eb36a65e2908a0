/* SPDX-License-Identifier: Apache-2.0
 * Apple's payload schemas as far as an administrator may set their keys: name, type, range, rule.
 * Checked when the configuration is read. Depends on mdm_plist.
 */
#ifndef MDM_SCHEMA_H
#define MDM_SCHEMA_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_plist.h"

/* One key with its checked value. */
typedef struct mdm_setting_t {
    const char *key;
    mdm_plist_type_t type; /* STRING, INTEGER, REAL, BOOLEAN, DATE, ARRAY or DICT (of strings) */
    const char *string;    /* STRING */
    apr_int64_t number;    /* INTEGER; BOOLEAN as 0 or 1; DATE as seconds since 1970 */
    double real;           /* REAL */
    const apr_array_header_t *strings; /* const char *: ARRAY its items; DICT key, value, key … */
} mdm_setting_t;

/* The payload types that settings can be made for, NULL-terminated: "Configuration" (the top level
 * of the enrollment profile), "Profile Service", "com.apple.mdm", "com.apple.security.scep". */
extern const char *const mdm_schema_payloads[];

/* Check values for a key of a payload type against Apple's schema; values are count strings. Arrays
 * take one or more, dictionaries (ConsentText) one text for the key "default" or pairs of key and
 * text, everything else one. Booleans are true or false, dates as 2027-12-31T23:59:59Z. *setting is
 * allocated in p. Returns NULL, or a sentence for the administrator: the value seen and what is
 * wanted, or for a key that has a directive of its own or that the module fills in, which that is.
 */
const char *mdm_schema_setting(apr_pool_t *p, const char *payload, const char *key,
                               const char *const *values, int count, mdm_setting_t **setting);

/* Put settings (array of mdm_setting_t *, may be NULL) into a payload; later ones replace earlier
 * ones. p serves while it runs. */
void mdm_schema_apply(apr_pool_t *p, mdm_plist_t *dict, const apr_array_header_t *settings);

/* Check a Topic, a ServerURL or CheckInURL, a PayloadIdentifier: NULL, or a sentence as above. */
const char *mdm_schema_check_topic(apr_pool_t *p, const char *topic);
const char *mdm_schema_check_url(apr_pool_t *p,
                                 const char *url); /* https, a host, no fragment, no credentials */
const char *mdm_schema_check_identifier(apr_pool_t *p, const char *identifier);

#endif
