/* SPDX-License-Identifier: Apache-2.0
 * Who may sign: the pinned Apple device CA key, a site's own device CAs, the identity CA, foreign
 * CAs of identities, the deny list. Depends on mdm_x509.
 */
#ifndef MDM_TRUST_H
#define MDM_TRUST_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_result.h"

/* Built once at start, read-only afterwards, shared by all threads. */
typedef struct mdm_trust_t mdm_trust_t;

/* What tells phase 2 from phase 3. */
typedef enum {
    MDM_ISSUER_UNKNOWN = 0,
    MDM_ISSUER_DEVICE_CA, /* a built-in identity: phase 2; dates are ignored, SHA-1 and RSA-1024 are
                             taken */
    MDM_ISSUER_IDENTITY_CA, /* issued by this site: phase 3; dates hold, RSA >= 2048 or P-256 and
                               up, no SHA-1 */
    MDM_ISSUER_FOREIGN_CA   /* issued by another CA that the site takes identities of: phase 3, as
                               above; it may be one that the store does not know yet (mdm_pin.h) */
} mdm_issuer_t;

/* No anchor yet; the deny list holds the one device certificate whose private key is public
 * knowledge. */
mdm_trust_t *mdm_trust_create(apr_pool_t *p);

/* Add "Apple iPhone Device CA" by its compiled-in subject and public key (no certificate needed).
 */
mdm_result_t mdm_trust_add_apple_device_ca(mdm_trust_t *trust);

/* Add a certificate as direct issuer of device certificates, or of identities. Pinned by subject
 * and public key: its own issuer does not matter, nor do a device CA's dates; outside the identity
 * CA's dates no identity is accepted. The certificate must be a CA, else MDM_MSG_CONFIGURATION. */
mdm_result_t mdm_trust_add_device_ca(mdm_trust_t *trust, X509 *ca);
mdm_result_t mdm_trust_add_identity_ca(mdm_trust_t *trust, X509 *ca);

/* The same for a foreign CA of identities; after the own one. With the own one's key it is no
 * foreign one: what it issued is MDM_ISSUER_IDENTITY_CA. */
mdm_result_t mdm_trust_add_foreign_ca(mdm_trust_t *trust, X509 *ca);

/* Add a SHA-256 certificate fingerprint, 64 hexadecimal digits in any case, colons or blanks
 * between them allowed. 0 if it is not one. */
int mdm_trust_deny(mdm_trust_t *trust, const char *fingerprint);

/* 1 if a certificate of this fingerprint, 64 lower-case hexadecimal digits, is on the deny list. */
int mdm_trust_is_denied(const mdm_trust_t *trust, const char *fingerprint);

/* Judge a certificate, now being seconds since 1970. It must be issued directly by an anchor (name
 * and signature), be no CA and no anchor itself, have no unknown critical extension, be signed and
 * keyed with accepted algorithms, and not be on the deny list. *issuer is set on success. Otherwise
 * MDM_MSG_SIGNER_*, naming issuer and fingerprint. Texts in p. */
mdm_result_t mdm_trust_judge(const mdm_trust_t *trust, apr_pool_t *p, X509 *cert, apr_int64_t now,
                             mdm_issuer_t *issuer);

/* The same, where an identity and its CA may have ended up to grace seconds ago. */
mdm_result_t mdm_trust_judge_late(const mdm_trust_t *trust, apr_pool_t *p, X509 *cert,
                                  apr_int64_t now, apr_int64_t grace, mdm_issuer_t *issuer);

#endif
