/* SPDX-License-Identifier: Apache-2.0
 * What a SCEP client sends (RFC 8894 section 3): the pkiMessage, its envelope, the certificate
 * request in it; each step proves one layer. Depends on mdm_cms, mdm_x509.
 */
#ifndef MDM_SCEP_MESSAGE_H
#define MDM_SCEP_MESSAGE_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "mdm_cms.h"
#include "mdm_result.h"
#include "mdm_x509.h"

/* Signed attributes (RFC 8894 section 3.2.1); numeric, since OBJ_create() would write to a table
 * that the whole process shares. */
#define MDM_SCEP_OID_MESSAGE_TYPE "2.16.840.1.113733.1.9.2"
#define MDM_SCEP_OID_PKI_STATUS "2.16.840.1.113733.1.9.3"
#define MDM_SCEP_OID_FAIL_INFO "2.16.840.1.113733.1.9.4"
#define MDM_SCEP_OID_SENDER_NONCE "2.16.840.1.113733.1.9.5"
#define MDM_SCEP_OID_RECIPIENT_NONCE "2.16.840.1.113733.1.9.6"
#define MDM_SCEP_OID_TRANSACTION_ID "2.16.840.1.113733.1.9.7"
#define MDM_SCEP_OID_FAIL_INFO_TEXT "1.3.6.1.5.5.7.24.1"

#define MDM_SCEP_NONCE_BYTES 16
#define MDM_SCEP_MAX_TRANSACTION_ID 256
#define MDM_SCEP_MAX_CERTIFICATES 4
#define MDM_SCEP_MAX_RECIPIENTS 8
#define MDM_SCEP_MAX_CHALLENGE 256

/* A pkiMessage. Everything is owned by the pool it was opened with. */
typedef struct mdm_scep_message_t {
    mdm_cms_t *cms;
    X509 *signer;                      /* the certificate that the reply is encrypted to */
    const char *transaction;           /* transactionID, printable ASCII */
    const char *type;                  /* messageType, printable ASCII */
    const unsigned char *sender_nonce; /* MDM_SCEP_NONCE_BYTES */
    /* what the reply is signed with: the request's where that is accepted */
    const EVP_MD *digest;
    /* what the reply is encrypted with: the request's; NULL until known */
    const EVP_CIPHER *cipher;
} mdm_scep_message_t;

/* A certificate request and what it was sent for. Owned by the pool. */
typedef struct mdm_scep_request_t {
    X509_PUBKEY *key;   /* RSA, 2048 to 8192 bits; its possession is proved */
    const char *secret; /* challengePassword; overwritten when the pool is cleared */
    const char *id;     /* SHA-256 over (transactionID, NUL, request) in hexadecimal */
} mdm_scep_request_t;

/* Decode a message and check its form: exactly one ContentInfo (BER passes), SignedData over
 * id-data, one SignerInfo, whose certificate is one of at most MDM_SCEP_MAX_CERTIFICATES in the
 * message, and the signed attributes transactionID, messageType, senderNonce, contentType and
 * messageDigest, each with exactly one value of its type. From here on the message can be answered
 * with a CertRep. MDM_MSG_SCEP_MESSAGE or MDM_MSG_SCEP_ATTRIBUTES otherwise. */
mdm_result_t mdm_scep_message_open(apr_pool_t *p, const void *bytes, apr_size_t len,
                                   mdm_scep_message_t **message);

/* The signature is over these attributes and this content and by the signer's key: RSA of 2048 to
 * 8192 bits with a public exponent of at most 32 bits (MDM_MSG_SCEP_KEY), PKCS#1 v1.5 with SHA-256,
 * SHA-384 or SHA-512 (MDM_MSG_SCEP_ALGORITHM), and it holds (MDM_MSG_SCEP_SIGNATURE). Nobody is
 * trusted by that: anybody can make such a certificate. Sets digest. */
mdm_result_t mdm_scep_message_verify(apr_pool_t *p, mdm_scep_message_t *message);

/* Decrypt the envelope (AES-CBC, RSA key transport) with a recipient's key, and check the PKCS#10
 * request in it: exactly one, its key is the signer's and signed it, and it has exactly one
 * challengePassword. MDM_MSG_SCEP_ALGORITHM; MDM_MSG_SCEP_DECRYPT and MDM_MSG_SCEP_PROOF, which the
 * client must not be able to tell apart; MDM_MSG_SCEP_REQUEST. Sets cipher. */
mdm_result_t mdm_scep_message_decrypt(apr_pool_t *p, mdm_scep_message_t *message,
                                      const mdm_signer_t *recipient, mdm_scep_request_t *request);

#endif
