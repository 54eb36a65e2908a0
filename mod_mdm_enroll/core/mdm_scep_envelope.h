/* SPDX-License-Identifier: Apache-2.0
 * What a SCEP client sends, its inner layer (RFC 8894 section 3.2): the envelope and what is asked
 * for in it, after the outer signature held. Depends on mdm_scep_message, mdm_x509.
 */
#ifndef MDM_SCEP_ENVELOPE_H
#define MDM_SCEP_ENVELOPE_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "mdm_result.h"
#include "mdm_scep_message.h"
#include "mdm_x509.h"

#define MDM_SCEP_MAX_RECIPIENTS 8
#define MDM_SCEP_MAX_CHALLENGE 256

/* Elements of ASN.1 in an envelope, and in what it holds: real ones have some 40 for each
 * recipient, and 50 to 150. Each costs a decoding. */
#define MDM_SCEP_MAX_ELEMENTS 512

/* A certificate request and what it was sent for. Owned by the pool. */
typedef struct mdm_scep_request_t {
    X509_PUBKEY *key;   /* RSA, 2048 to 4096 bits; its possession is proved */
    int own_key;        /* it is the signer's */
    const char *secret; /* challengePassword, or NULL; overwritten when the pool is cleared */
    const char *id;     /* SHA-256 over (transactionID, NUL, request) in hexadecimal */
    const char *poll;   /* mdm_scep_poll_id() */
} mdm_scep_request_t;

/* A certificate request that nobody sent, DER: what is decoded instead of one that cannot be, so
 * that every refusal takes the same time. */
typedef struct mdm_scep_decoy_t {
    const unsigned char *der;
    apr_size_t len;
} mdm_scep_decoy_t;

/* Make one with an RSA key, in p. MDM_MSG_CRYPTO. */
mdm_result_t mdm_scep_decoy_make(apr_pool_t *p, EVP_PKEY *key, mdm_scep_decoy_t *decoy);

/* Decrypt the envelope (RSA key transport; AES-CBC, or DES-EDE3-CBC where allow has it) with a
 * recipient's key, and check the PKCS#10 request in it: exactly one, its RSA key signed it, and it
 * has at most one challengePassword. Without decoy nothing is known of the signer: the request's
 * key must be its own, and there must be a challengePassword. With decoy the signer is somebody of
 * ours who may have another key certified. MDM_MSG_SCEP_ALGORITHM; MDM_MSG_SCEP_DECRYPT and
 * MDM_MSG_SCEP_PROOF, which the client must not be able to tell apart, nor by the time they take;
 * MDM_MSG_SCEP_KEY; MDM_MSG_SCEP_REQUEST. Sets cipher. */
mdm_result_t mdm_scep_envelope_request(apr_pool_t *p, mdm_scep_message_t *message,
                                       const mdm_signer_t *recipient, unsigned int allow,
                                       const mdm_scep_decoy_t *decoy, mdm_scep_request_t *request);

/* The same for what names a certificate (RFC 8894 section 3.3): IssuerAndSubject in a CertPoll,
 * whose subject is the client's own wish and says nothing here, IssuerAndSerialNumber in a GetCert
 * or GetCRL. The issuer must be exactly issuer. *serial is in lower-case hexadecimal, "" in a
 * CertPoll. MDM_MSG_SCEP_ALGORITHM, MDM_MSG_SCEP_DECRYPT or, alike to the client,
 * MDM_MSG_SCEP_PROOF. */
mdm_result_t mdm_scep_envelope_subject(apr_pool_t *p, mdm_scep_message_t *message,
                                       const mdm_signer_t *recipient, unsigned int allow,
                                       const X509_NAME *issuer, const char **serial);

/* Who sent it in which transaction: SHA-256 over (transactionID, NUL, the signer's public key) in
 * hexadecimal; "" if OpenSSL fails (mdm_sha256_failed). */
const char *mdm_scep_poll_id(apr_pool_t *p, const mdm_scep_message_t *message);

#endif
