/* SPDX-License-Identifier: Apache-2.0
 * Where a device gets its two certificates: from this site's own CA, or from a server that the site
 * has besides. Depends on mdm_ca, mdm_capability, mdm_credential, mdm_enrollment, mdm_pin,
 * mdm_pkcs12.
 */
#ifndef MDM_IDENTITY_H
#define MDM_IDENTITY_H

#include <apr_pools.h>

#include "mdm_ca.h"
#include "mdm_credential.h"
#include "mdm_enrollment.h"
#include "mdm_pkcs12.h"
#include "mdm_result.h"

typedef enum {
    MDM_IDENTITY_BUILTIN, /* this site's own CA, at the endpoint scep */
    MDM_IDENTITY_SCEP,    /* a SCEP server (RFC 8894) of somebody else */
    MDM_IDENTITY_ACME,    /* an ACME server (RFC 8555), which asks mdm_acme.h */
    MDM_IDENTITY_PKCS12   /* this site's own CA, over a key that is made here */
} mdm_identity_kind_t;

/* What of a device's abilities is used. */
typedef enum {
    MDM_USE_AUTO,   /* if it has it */
    MDM_USE_OFF,    /* never */
    MDM_USE_REQUIRE /* a device that has it not gets its identity in another way, or is refused */
} mdm_use_t;

/* What the ClientIdentifier of an ACME order is. */
typedef enum {
    MDM_CLIENT_SECRET, /* a one-time secret */
    /* the device's, as servers want it that compare it with the attestation; the secret stands in
     * the subject that the device asks for, as in mdm_pin.h */
    MDM_CLIENT_SERIAL,
    MDM_CLIENT_UDID
} mdm_client_identifier_t;

/* How an ACME server is used. */
typedef struct mdm_identity_acme_t {
    mdm_key_kind_t key; /* size 0: what suits the device */
    mdm_use_t hardware;
    mdm_use_t attest;
    mdm_client_identifier_t client_identifier;
    int fallback; /* what cannot do it gets its identity from the own CA by SCEP */
} mdm_identity_acme_t;

/* How a PKCS #12 container is made. */
typedef struct mdm_identity_pkcs12_t {
    mdm_key_kind_t key;
    enum {
        MDM_ALGORITHMS_AUTO, /* by the device's system (mdm_capability.h) */
        MDM_ALGORITHMS_LEGACY,
        MDM_ALGORITHMS_MODERN
    } algorithms;
} mdm_identity_pkcs12_t;

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
    const char *url;                  /* of the SCEP server; the directory of the ACME server */
    const char *name;                 /* the payload's Name, or NULL */
    const unsigned char *fingerprint; /* the payload's CAFingerprint, or NULL */
    apr_size_t fingerprint_len;
    const mdm_challenge_source_t *challenge; /* NULL: the server wants none */
    mdm_identity_acme_t acme;
    mdm_identity_pkcs12_t pkcs12;
} mdm_identity_t;

/* 1 if it does not come from this site's own CA. */
int mdm_identity_foreign(const mdm_identity_t *identity);

/* May the device of a row have an identity of that kind, or its fallback? MDM_MSG_ACME_SYSTEM,
 * _HARDWARE or _ATTESTATION, which is also noted in the row. Known as soon as phase 2 has told
 * what it is. */
mdm_result_t mdm_identity_suits(apr_pool_t *p, const mdm_world_t *world,
                                const mdm_identity_t *identity, const mdm_enrollment_t *row);

/* What a profile is to say of an identity, and what has to be stored for it to count. */
typedef struct mdm_identity_made_t {
    mdm_credential_t credential;
    const char *secret; /* one of ours in it; NULL: there is none */
    mdm_purpose_t secret_purpose;
    const mdm_certificate_t *certificate; /* issued here, and in it; NULL: there is none */
} mdm_identity_made_t;

/* What an identity of a device can be made from. */
typedef struct mdm_identity_context_t {
    const mdm_world_t *world;
    const char *scep_url; /* absolute URL of the endpoint scep, or NULL if nothing needs it */
    const mdm_ca_t *ca;   /* the own CA, or NULL if nothing needs it */
} mdm_identity_context_t;

/* Make what the profile for a row says of the certificate of purpose. Nothing is stored yet. With
 * the own CA that is its URL with a secret as challenge. A foreign SCEP server is asked its
 * challenge from its source; the subject holds a secret (mdm_pin.h) in MDM_PURPOSE_IDENTITY, which
 * binds the certificate to the enrollment, and names the device in MDM_PURPOSE_MDM. ACME and
 * PKCS #12 are for MDM_PURPOSE_MDM only. For ACME a secret is bound to the enrollment, and so to
 * device and user; for PKCS #12 key and certificate are made (mdm_pkcs12.h). Texts in p or
 * longer-lived. How often a key is made is the caller's to bound: phase 3 moves its row once, and
 * updates are counted. MDM_MSG_RANDOM, MDM_MSG_CHALLENGE_SOURCE, as mdm_identity_suits(), or as
 * mdm_pkcs12_make(). */
mdm_result_t mdm_identity_make(apr_pool_t *p, const mdm_identity_t *identity,
                               const mdm_identity_context_t *context, const mdm_enrollment_t *row,
                               mdm_purpose_t purpose, mdm_identity_made_t *made);

/* Store what it needs, after all is proved and before the row is moved: a row that moved without it
 * would be lost to the device, and a certificate that is sent without being recorded could not be
 * revoked. A secret lives for lifetime seconds. */
mdm_result_t mdm_identity_store(apr_pool_t *p, const mdm_world_t *world,
                                const mdm_enrollment_t *row, const mdm_identity_made_t *made,
                                apr_int64_t lifetime);

/* Take back what was stored, since the row did not move and nothing is sent: a secret is forgotten,
 * a certificate revoked. As far as the store allows: what stays behind is good for nobody, since
 * nobody has the secret, or the key, which was made here and freed. */
void mdm_identity_discard(apr_pool_t *p, const mdm_world_t *world, const mdm_identity_made_t *made);

#endif
