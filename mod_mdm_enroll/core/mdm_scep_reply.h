/* SPDX-License-Identifier: Apache-2.0
 * What a SCEP responder sends (RFC 8894 section 3.3): CertRep messages and bags of certificates.
 * Depends on mdm_cms, mdm_crl, mdm_enrollment (randomness), mdm_scep_message.
 */
#ifndef MDM_SCEP_REPLY_H
#define MDM_SCEP_REPLY_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_crl.h"
#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_scep_message.h"
#include "mdm_x509.h"

/* A certs-only SignedData: cert, then chain (may be NULL), in this order; DER in p.
 * MDM_MSG_CRYPTO. */
mdm_result_t mdm_scep_certs_only(apr_pool_t *p, X509 *cert, STACK_OF(X509) *chain,
                                 const unsigned char **der, apr_size_t *len);

/* CertRep with pkiStatus SUCCESS: the certificate alone, encrypted to the signer of the message,
 * with the message's cipher and digest; DER in p. The message was decrypted. MDM_MSG_CRYPTO or
 * MDM_MSG_RANDOM. */
mdm_result_t mdm_scep_reply_success(apr_pool_t *p, const mdm_world_t *world,
                                    const mdm_signer_t *signer, const mdm_scep_message_t *message,
                                    X509 *cert, const unsigned char **der, apr_size_t *len);

/* CertRep with pkiStatus SUCCESS for a GetCRL: the list in a SignedData of its own, without
 * certificates, encrypted likewise. MDM_MSG_CRYPTO or MDM_MSG_RANDOM. */
mdm_result_t mdm_scep_reply_crl(apr_pool_t *p, const mdm_world_t *world, const mdm_signer_t *signer,
                                const mdm_scep_message_t *message, const mdm_crl_t *crl,
                                const unsigned char **der, apr_size_t *len);

/* CertRep with pkiStatus FAILURE: failInfo by why->message, failInfoText is why->user; DER in p.
 * MDM_MSG_CRYPTO or MDM_MSG_RANDOM. */
mdm_result_t mdm_scep_reply_failure(apr_pool_t *p, const mdm_world_t *world,
                                    const mdm_signer_t *signer, const mdm_scep_message_t *message,
                                    const mdm_result_t *why, const unsigned char **der,
                                    apr_size_t *len);

#endif
