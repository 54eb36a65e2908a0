/* SPDX-License-Identifier: Apache-2.0
 * Over-the-air enrollment: the three phases as functions ("Over-the-Air Profile Delivery and
 * Configuration", Apple). Depends on mdm_cms, mdm_device, mdm_enrollment, mdm_profile, mdm_trust
 * and mdm_x509.
 */
#ifndef MDM_OTA_H
#define MDM_OTA_H

#include <apr_pools.h>
#include <openssl/evp.h>

#include "mdm_enrollment.h"
#include "mdm_identity.h"
#include "mdm_limit.h"
#include "mdm_profile.h"
#include "mdm_result.h"
#include "mdm_trust.h"
#include "mdm_x509.h"

/* Longest device message, in bytes. */
#define MDM_OTA_MAX_BYTES (64 * 1024)

/* How much is wanted of a certificate that the device presents in the TLS handshake. */
typedef enum {
    MDM_TLS_CERTIFICATE_OFF,      /* not looked at */
    MDM_TLS_CERTIFICATE_OPTIONAL, /* if there is one, it must be of the same enrollment */
    MDM_TLS_CERTIFICATE_REQUIRE   /* there must be one, of the same enrollment */
} mdm_tls_certificate_t;

/* What a site says about enrollment. Filled once at start, read-only afterwards. */
typedef struct mdm_ota_settings_t {
    mdm_profile_settings_t profile;
    const mdm_trust_t *trust;
    const EVP_CIPHER *cipher;  /* of the enrollment profile */
    apr_int64_t lifetime;      /* seconds that the device has for the next phase */
    apr_int64_t renewal_grace; /* seconds past its end that an identity is good for an update */
    mdm_tls_certificate_t tls_certificate;
    mdm_limits_t limits; /* of each user */
    /* Where the identity of phase 3 and that of the MDM server come from; NULL: from the own CA */
    const mdm_identity_t *identity;
    const mdm_identity_t *mdm_identity;
    const mdm_ca_t *ca; /* the own CA, for what is issued in a profile; may be NULL */
} mdm_ota_settings_t;

/* What one request brings: where it came in and with which key the answer is signed. */
typedef struct mdm_ota_request_t {
    const mdm_signer_t *signer;
    const char *device_url; /* absolute URL of the device endpoint */
    const char *scep_url;   /* absolute URL of the scep endpoint, or NULL if nothing needs it */
    X509 *tls_certificate;  /* the client certificate of the TLS handshake, or NULL */
} mdm_ota_request_t;

/* What a request turned out to be about, for the log and for LogFormat; set as far as it was
 * proved, also on refusal. Strings are "" until known, never NULL. */
typedef struct mdm_ota_facts_t {
    int phase;              /* 1, 2, 3; 0 until known */
    const char *enrollment; /* id */
    const char *user;
    const mdm_device_t *device; /* NULL until the signature was verified */
    const char *event;          /* mdm_event_name(), if it got a device its profile; else "" */
} mdm_ota_facts_t;

/* A signed profile: CMS SignedData, DER; application/x-apple-aspen-config. Allocated in p. */
typedef struct mdm_ota_reply_t {
    const char *body;
    apr_size_t len;
} mdm_ota_reply_t;

/* Phase 1: a fresh enrollment for an authenticated user. */
mdm_result_t mdm_ota_offer(apr_pool_t *p, const mdm_ota_settings_t *settings,
                           const mdm_world_t *world, const mdm_ota_request_t *request,
                           const char *user, mdm_ota_reply_t *reply, mdm_ota_facts_t *facts);

/* Phases 2 and 3, told apart by who issued the signer's certificate. Proves what the design's table
 * demands, in that order; nothing is written before all of it holds. Phase 3 of an enrollment that
 * is delivered is an update (mdm_update.h). */
mdm_result_t mdm_ota_device(apr_pool_t *p, const mdm_ota_settings_t *settings,
                            const mdm_world_t *world, const mdm_ota_request_t *request,
                            const void *message, apr_size_t len, mdm_ota_reply_t *reply,
                            mdm_ota_facts_t *facts);

#endif
