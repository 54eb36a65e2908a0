/* SPDX-License-Identifier: Apache-2.0
 * Certificates of a foreign CA, bound to one enrollment each: the device asks for a certificate
 * whose subject holds a one-time secret of ours, and the first certificate that comes with it is
 * the enrollment's from then on. Depends on mdm_enrollment, mdm_x509.
 *
 * The secret proves what the SCEP challenge proves at the own CA: that the certificate was asked
 * for by whoever got phase 2's answer. It is not a password, though: the foreign CA, and whoever
 * sees its certificates, can read it. So it has a purpose of its own (MDM_PURPOSE_BINDING), which
 * is good for nothing but this, counts for one certificate, and the caller demands besides what a
 * certificate does not tell: UDID and serial number of the device.
 */
#ifndef MDM_PIN_H
#define MDM_PIN_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"

/* What an OU with a secret behind it begins with. Together they are 54 characters of the 64 that an
 * OU may have (ub-organizational-unit-name of RFC 5280 appendix A). */
#define MDM_PIN_PREFIX "mdm-enroll:"

/* The OU for the subject of a certificate. */
const char *mdm_pin_unit(apr_pool_t *p, const char *secret);

/* The secret in the only OU of a subject that has one, in p; NULL if it has none or several, *count
 * in number: two would leave it to the order in which they stand which enrollment is meant. */
const char *mdm_pin_secret(apr_pool_t *p, const X509_NAME *subject, int *count);

/* The enrollment that a certificate is bound to, still to be pinned to it. The caller has judged
 * the certificate (mdm_trust_judge); fingerprint is its SHA-256. It must have an RSA key, to which
 * the enrollment profile can be encrypted (MDM_MSG_SIGNER_KEY). Its subject must have exactly one
 * OU of the form above (MDM_MSG_BINDING_MISSING), the secret be live, of this site and under these
 * rules (MDM_MSG_CHALLENGE_*, MDM_MSG_ENROLLMENT_EXPIRED), not be spent for another certificate
 * (MDM_MSG_BINDING_SPENT), and the enrollment wait for its identity (MDM_MSG_ENROLLMENT_STATE).
 * Nothing is written. */
mdm_result_t mdm_pin_find(apr_pool_t *p, const mdm_world_t *world, X509 *cert,
                          const char *fingerprint, mdm_challenge_t **challenge,
                          mdm_enrollment_t **row);

/* Pin the certificate: the secret is spent for it, it is recorded, and *row, found as above, moves
 * from identifying to identified with its fingerprint, its next phase due within lifetime seconds.
 * Of several requests at once, with one certificate or with different ones, one moves the row; the
 * others get MDM_MSG_BINDING_SPENT or MDM_MSG_ENROLLMENT_STATE. MDM_MSG_CERTIFICATE_SERIAL if the
 * CA used its serial number before. Where the store fails half-way, the same certificate may come
 * again and goes on from there, and no other can. */
mdm_result_t mdm_pin_take(apr_pool_t *p, const mdm_world_t *world, X509 *cert,
                          const char *fingerprint, const mdm_challenge_t *challenge,
                          mdm_enrollment_t *row, apr_int64_t lifetime);

#endif
