/* SPDX-License-Identifier: Apache-2.0
 * Where a device gets its two certificates: from this site's own CA, or from a server that the site
 * has besides. Depends on mdm_enrollment, mdm_profile, mdm_pin.
 */
#ifndef MDM_IDENTITY_H
#define MDM_IDENTITY_H

#include <apr_pools.h>

#include "mdm_enrollment.h"
#include "mdm_profile.h"
#include "mdm_result.h"

typedef enum {
    MDM_IDENTITY_BUILTIN, /* this site's own CA, at the endpoint scep */
    MDM_IDENTITY_SCEP     /* a SCEP server (RFC 8894) of somebody else */
} mdm_identity_kind_t;

/* What gives the challenge that a foreign server wants, for one device of one enrollment. row has
 * what phase 2 proved; purpose is MDM_PURPOSE_IDENTITY or MDM_PURPOSE_MDM. On success *challenge is
 * text for which mdm_identity_challenge_ok() holds, allocated in p: a secret, not to be logged.
 * Otherwise MDM_MSG_CHALLENGE_SOURCE. Called by many threads at a time; it takes no longer than its
 * own deadline. */
typedef struct mdm_challenge_source_t {
    void *context;
    mdm_result_t (*ask)(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge);
} mdm_challenge_source_t;

/* Longest challenge, in bytes (pkcs-9-ub-challengePassword of RFC 2985). */
#define MDM_IDENTITY_MAX_CHALLENGE 255

/* 1 if a text can be the challenge of a SCEP payload: 1 to MDM_IDENTITY_MAX_CHALLENGE bytes of
 * UTF-8 without control characters. */
int mdm_identity_challenge_ok(const char *text);

/* Filled once at start, read-only afterwards. Without one (NULL) it is MDM_IDENTITY_BUILTIN. */
typedef struct mdm_identity_t {
    mdm_identity_kind_t kind;
    const char *url;                  /* of the SCEP server */
    const char *name;                 /* the payload's Name, or NULL */
    const unsigned char *fingerprint; /* the payload's CAFingerprint, or NULL */
    apr_size_t fingerprint_len;
    const mdm_challenge_source_t *challenge; /* NULL: the server wants none */
} mdm_identity_t;

/* 1 if it is not this site's own CA. */
int mdm_identity_foreign(const mdm_identity_t *identity);

/* What the SCEP payload for a certificate of purpose says. With the own CA that is builtin_url with
 * secret as challenge. A foreign server is asked its challenge from its source; the subject holds
 * secret (mdm_pin.h) in MDM_PURPOSE_IDENTITY, which binds the certificate to the enrollment, and
 * names the device in MDM_PURPOSE_MDM, in which secret is not used. Texts in p or longer-lived. */
mdm_result_t mdm_identity_payload(apr_pool_t *p, const mdm_identity_t *identity,
                                  const mdm_enrollment_t *row, mdm_purpose_t purpose,
                                  const char *builtin_url, const char *secret,
                                  mdm_profile_scep_t *payload);

#endif
