/* SPDX-License-Identifier: Apache-2.0
 * The issuing CA: certificates whose every field is ours; only the public key comes from the
 * request. Depends on mdm_x509, mdm_enrollment.
 */
#ifndef MDM_CA_H
#define MDM_CA_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_x509.h"

/* Built once at start, read-only afterwards, shared by all threads. */
typedef struct mdm_ca_t mdm_ca_t;

/* Check a CA certificate and key for what they must do here: basicConstraints CA:TRUE; keyUsage,
 * where present, with keyCertSign, digitalSignature and keyEncipherment (it answers SCEP too); RSA
 * of at least 2048 bits; the key belongs to the certificate. Its dates count when it issues.
 * MDM_MSG_CONFIGURATION with what is wanted otherwise, MDM_MSG_CRYPTO if OpenSSL fails. The signer
 * must outlive the CA. */
mdm_result_t mdm_ca_create(apr_pool_t *p, const mdm_signer_t *signer, mdm_ca_t **ca);

/* Longest organization, in characters of UTF-8 (ub-organization-name of RFC 5280 appendix A). The
 * configuration checks it, so that no device is the first to find out. */
#define MDM_CA_MAX_ORGANIZATION 64

/* The CA's own certificate, key and chain. */
const mdm_signer_t *mdm_ca_signer(const mdm_ca_t *ca);

/* Issue a certificate for an enrollment's device, over an RSA key. Subject: O=organization,
 * OU="Enrollment" (MDM_PURPOSE_IDENTITY) or "MDM", CN=UDID, serialNumber=SERIAL. Extensions:
 * basicConstraints CA:FALSE critical; keyUsage digitalSignature, keyEncipherment critical;
 * extKeyUsage clientAuth; SKI; AKI; subjectAltName URI:urn:mdm-enroll:<enrollment id>. Serial
 * number: 20 octets, positive, 158 random bits (the second highest is always set, so that none is
 * shorter). Valid from 5 minutes ago (clocks differ) for validity seconds, never past the CA's own
 * end. SHA-256. organization has 1 to MDM_CA_MAX_ORGANIZATION characters of UTF-8. *cert is owned
 * by p; its key is only there in its encoding (X509_get0_pubkey() gives NULL until it is decoded
 * anew). MDM_MSG_CA_ISSUE or MDM_MSG_RANDOM. */
mdm_result_t mdm_ca_issue(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                          const mdm_enrollment_t *row, mdm_purpose_t purpose,
                          const char *organization, X509_PUBKEY *key, apr_int64_t validity,
                          X509 **cert);

#endif
