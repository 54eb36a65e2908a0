/* SPDX-License-Identifier: Apache-2.0
 * Templates over the settings of a site, and which of them a device gets. Depends on mdm_profile,
 * mdm_template.
 */
#ifndef MDM_PROFILE_TEMPLATE_H
#define MDM_PROFILE_TEMPLATE_H

#include <apr_pools.h>

#include "mdm_profile.h"
#include "mdm_template.h"

/* What of a site its profile settings do not say: the identity that the MDM server sees. */
typedef struct mdm_profile_identity_t {
    const char *const *types;         /* payload types that it may have, NULL-terminated */
    const char *scep_url;             /* URL of SCEP; NULL: none, or not known before a request */
    const char *directory_url;        /* DirectoryURL of ACME; NULL: none */
    const unsigned char *fingerprint; /* CAFingerprint, or NULL */
    apr_size_t fingerprint_len;
} mdm_profile_identity_t;

/* Settings with a template over them: what the template says counts before base, what the module
 * owns before both. Keys of the module's own must have the module's value or be absent; rules
 * between keys are those of the two together; now is seconds since 1970 (0: dates are not looked
 * at). NULL and *made, in p; or a sentence for the administrator as of mdm_template_read(). All
 * arguments outlive p. */
const char *mdm_profile_with_template(apr_pool_t *p, const mdm_profile_settings_t *base,
                                      const mdm_profile_identity_t *identity,
                                      const mdm_template_t *template, apr_int64_t now,
                                      const mdm_profile_settings_t **made);

/* One of base->choices for the user and device of row, the first whose condition holds; base if
 * none does. MDM_MSG_TEXT if a condition cannot be evaluated: then there is no profile. To be asked
 * once for each profile. */
mdm_result_t mdm_profile_choose(apr_pool_t *p, const mdm_profile_settings_t *base,
                                const mdm_world_t *world, const mdm_enrollment_t *row,
                                const mdm_profile_settings_t **chosen);

#endif
