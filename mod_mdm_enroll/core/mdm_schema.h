/* SPDX-License-Identifier: Apache-2.0
 * Apple's payload schemas as far as an administrator may set their keys: name, type, range, rule,
 * and which system knows them since when. Values are checked when the configuration is read; those
 * with expressions by the same rules once more, when a profile is made. Depends on mdm_plist,
 * mdm_text, mdm_system.
 */
#ifndef MDM_SCHEMA_H
#define MDM_SCHEMA_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_plist.h"
#include "mdm_result.h"
#include "mdm_system.h"
#include "mdm_text.h"

struct mdm_enrollment_t;
struct mdm_schema_rule_t; /* a line of the tables (mdm_schema_tables.h) */

/* One key with its value, which is checked as far as it is constant. */
typedef struct mdm_setting_t {
    const char *payload; /* its type */
    const char *key;
    mdm_plist_type_t type;  /* STRING, INTEGER, REAL, BOOLEAN, DATE, DATA, ARRAY or DICT */
    const mdm_text_t *text; /* STRING */
    apr_int64_t number;     /* INTEGER; BOOLEAN as 0 or 1; DATE as seconds since 1970 */
    int from_now;           /* DATE: number is counted from when the profile is made */
    double real;            /* REAL */
    const void *bytes;      /* DATA */
    apr_size_t len;
    /* const mdm_text_t *: ARRAY its items; DICT name, text, name …; Subject type, text, type … The
     * names and types are constants. */
    const apr_array_header_t *texts;
    const struct mdm_schema_rule_t *rule;
} mdm_setting_t;

/* Whom a payload is made for. */
typedef struct mdm_schema_target_t {
    mdm_system_t system;
    const mdm_text_evaluator_t *texts; /* may be NULL: then expressions are refused */
    const struct mdm_enrollment_t *row;
    apr_int64_t now; /* when it is made, in seconds since 1970 */
} mdm_schema_target_t;

/* The payload types that settings can be made for, NULL-terminated: "Configuration" (the top level
 * of the enrollment profile), "Profile Service", "com.apple.mdm", "com.apple.security.…" with
 * scep, acme, pkcs12, root, pkcs1 and pem. */
extern const char *const mdm_schema_payloads[];

/* Check values for a key of a payload type against Apple's schema; values are count strings. Arrays
 * take one or more (ServerCapabilities also the word none, which keeps the key out); ConsentText
 * one text for the key "default" or pairs of key and text; SubjectAltName pairs of name and text;
 * Subject pairs of type (an OID, or C, L, ST, O, OU, CN) and text, one RDN each, but of the RDN
 * before if there is a + before the type; everything else one. Booleans are true or false, dates as
 * 2027-12-31T23:59:59Z, or as +300d (s, min, h, d) from when the profile is made. Strings, the
 * items of arrays and the texts of pairs may hold expressions, for compiler, which may be NULL:
 * then there are none. *setting is allocated in p. Returns NULL, or a sentence for the
 * administrator: the value seen and what is wanted, or for a key that has a directive of its own or
 * that the module fills in, which that is. */
const char *mdm_schema_setting(apr_pool_t *p, const char *payload, const char *key,
                               const char *const *values, int count,
                               const mdm_text_compiler_t *compiler, mdm_setting_t **setting);

/* The same from a node of a property list, which must have the type of Apple's schema. Besides what
 * can be set by words, this takes the data of certificate payloads, Password of PKCS #12, and
 * HasRemovalPasscode, which a whole profile may have. */
const char *mdm_schema_setting_from(apr_pool_t *p, const char *payload, const char *key,
                                    const mdm_plist_t *node, const mdm_text_compiler_t *compiler,
                                    mdm_setting_t **setting);

/* Which part a key has: 1 it can be set (by words or from a node), 0 it is the module's or has a
 * directive, of which *instead tells; -1 Apple's schema has no such key, or there is no such
 * payload here. instead may be NULL. */
int mdm_schema_key(const char *payload, const char *key, const char **instead);

/* Check the settings (array of mdm_setting_t *) of one payload together: keys that may not be there
 * together, keys that need others, dates that are over at now (seconds since 1970; 0: not looked
 * at). Of two for one key the later counts; values with expressions are not looked at. Keys that
 * Apple's schema requires may be missing: the module fills them in. Returns NULL, or a sentence as
 * above; *culprit is then the setting that it is about. */
const char *mdm_schema_check_together(apr_pool_t *p, const apr_array_header_t *settings,
                                      apr_int64_t now, const mdm_setting_t **culprit);

/* The later of the settings for a key; NULL if there is none. settings may be NULL. */
const mdm_setting_t *mdm_schema_find(const apr_array_header_t *settings, const char *key);

/* Put settings (array of mdm_setting_t *, may be NULL) into a payload; later ones replace earlier
 * ones. Expressions are evaluated and their values checked: MDM_MSG_TEXT names key and source and
 * says what is wanted; what was put in before stays. Keys that the target's system does not know
 * are left out; of an unknown platform none are, of an unknown version those of the newest. p
 * serves while it runs, and has the texts of the result. */
mdm_result_t mdm_schema_apply(apr_pool_t *p, mdm_plist_t *dict, const apr_array_header_t *settings,
                              const mdm_schema_target_t *target);

/* 1 if a system knows a payload type, or a key of one; as above for what is unknown. */
int mdm_schema_knows(const char *payload, mdm_system_t system);
int mdm_schema_knows_key(const char *payload, const char *key, mdm_system_t system);

/* Check a Topic, a ServerURL or CheckInURL, a PayloadIdentifier: NULL, or a sentence as above. */
const char *mdm_schema_check_topic(apr_pool_t *p, const char *topic);
const char *mdm_schema_check_url(apr_pool_t *p,
                                 const char *url); /* https, a host, no fragment, no credentials */
const char *mdm_schema_check_identifier(apr_pool_t *p, const char *identifier);

/* Compile such a URL, in which expressions give percent-encoded parts of path or query: "https://"
 * and the host are constant. NULL and *text, which lives as long as p, or a sentence as above. */
const char *mdm_schema_url_text(apr_pool_t *p, const char *source,
                                const mdm_text_compiler_t *compiler, const mdm_text_t **text);

/* Its value for a device, checked: MDM_MSG_TEXT. */
mdm_result_t mdm_schema_url(apr_pool_t *p, const mdm_text_t *text,
                            const mdm_schema_target_t *target, const char **url);

#endif
