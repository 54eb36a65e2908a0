/* SPDX-License-Identifier: Apache-2.0
 * What a delivered enrollment profile said that no update may change (Apple's com.apple.mdm): a
 * device refuses a profile that does, and keeps the one that it has. Depends on mdm_plist,
 * mdm_result.
 *
 * As a text it is one line for each key, "key: value", in the order below; keys that the payload
 * does not have are not in it. In values "\" and line feeds are written "\\" and "\n".
 *
 *   PayloadIdentifier         of the profile: another one would be another profile
 *   ServerURL, CheckInURL     a payload without CheckInURL has the ServerURL in its place
 *   Topic, EnrollmentMode, AssignedManagedAppleID, RequiredAppIDForMDM
 *   per-user-connections      "yes", if it is among the ServerCapabilities
 *   AccessRights              may become fewer
 */
#ifndef MDM_TERMS_H
#define MDM_TERMS_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_plist.h"
#include "mdm_result.h"

/* The keys, NULL-terminated. */
extern const char *const mdm_terms_keys[];

/* The text for a profile with that PayloadIdentifier and that MDM payload (NULL: it has none). */
const char *mdm_terms_of_payload(apr_pool_t *p, const char *identifier, const mdm_plist_t *payload);

/* The same for payloads as they are sent, by mdm_plist_to_xml(): an array, or a profile with one in
 * it. MDM_MSG_PROFILE if there is none. */
mdm_result_t mdm_terms_of_payloads(apr_pool_t *p, const char *identifier, const char *xml,
                                   apr_size_t len, const char **terms);

/* The line of one key. */
const char *mdm_terms_line(apr_pool_t *p, const char *key, const char *value);

/* The value of a key as it stands in the text; NULL if it is not in it. */
const char *mdm_terms_value(apr_pool_t *p, const char *terms, const char *key);

typedef struct mdm_terms_change_t {
    const char *key;
    const char *before; /* NULL: it had none */
    const char *now;    /* NULL: it has none */
} mdm_terms_change_t;

/* What a device would refuse: array of mdm_terms_change_t, empty if nothing. A text "" is not known
 * (an enrollment of before these were kept): nothing is refused. */
const apr_array_header_t *mdm_terms_compare(apr_pool_t *p, const char *before, const char *now);

/* Changes in words, for a log line. */
const char *mdm_terms_words(apr_pool_t *p, const apr_array_header_t *changes);

#endif
