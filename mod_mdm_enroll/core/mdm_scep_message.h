/* SPDX-License-Identifier: Apache-2.0
 * What a SCEP client sends (RFC 8894 section 3), its outer layer: the pkiMessage. What is in it is
 * mdm_scep_envelope's. Depends on mdm_cms, mdm_x509.
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
/* The longest key that Apple devices make. To refuse a request with one of 8192 bits would cost
 * more than to grant another. */
#define MDM_SCEP_MAX_RSA_BITS 4096
#define MDM_SCEP_MAX_CERTIFICATES 4

/* messageType (RFC 8894 section 3.2.1.2), as far as a client may send it. */
typedef enum {
    MDM_SCEP_OTHER = 0, /* is not served: another number, or no number */
    MDM_SCEP_RENEWAL_REQ = 17,
    MDM_SCEP_PKCS_REQ = 19,
    MDM_SCEP_CERT_POLL = 20,
    MDM_SCEP_GET_CERT = 21,
    MDM_SCEP_GET_CRL = 22
} mdm_scep_type_t;

/* Weak algorithms that a site may take for old clients; never more than these. */
#define MDM_SCEP_ALLOW_SHA1 1 /* signed messages */
#define MDM_SCEP_ALLOW_DES3 2 /* DES-EDE3-CBC in envelopes */

/* A pkiMessage. Everything is owned by the pool it was opened with. */
typedef struct mdm_scep_message_t {
    mdm_cms_t *cms;
    X509 *signer;                      /* the certificate that the reply is encrypted to */
    const char *transaction;           /* transactionID, printable ASCII */
    mdm_scep_type_t type;              /* messageType */
    const char *type_text;             /* as it was sent, printable ASCII */
    const unsigned char *sender_nonce; /* MDM_SCEP_NONCE_BYTES */
    /* what the reply is signed with: the request's where that is accepted */
    const EVP_MD *digest;
    /* what the reply is encrypted with: the request's; NULL until known */
    const EVP_CIPHER *cipher;
} mdm_scep_message_t;

/* Decode a message and check its form: exactly one ContentInfo (BER passes), SignedData over
 * id-data, one SignerInfo, whose certificate is one of at most MDM_SCEP_MAX_CERTIFICATES in the
 * message, and the signed attributes transactionID, messageType, senderNonce, contentType and
 * messageDigest, each with exactly one value of its type. From here on the message can be answered
 * with a CertRep. MDM_MSG_SCEP_MESSAGE or MDM_MSG_SCEP_ATTRIBUTES otherwise. */
mdm_result_t mdm_scep_message_open(apr_pool_t *p, const void *bytes, apr_size_t len,
                                   mdm_scep_message_t **message);

/* The signature is over these attributes and this content and by the signer's key: RSA of 2048 to
 * 4096 bits with a public exponent of at most 32 bits (MDM_MSG_SCEP_KEY), PKCS#1 v1.5 with SHA-256,
 * SHA-384 or SHA-512, or SHA-1 where allow has it (MDM_MSG_SCEP_ALGORITHM), and it holds
 * (MDM_MSG_SCEP_SIGNATURE). Nobody is trusted by that: anybody can make such a certificate. Sets
 * digest. */
mdm_result_t mdm_scep_message_verify(apr_pool_t *p, mdm_scep_message_t *message,
                                     unsigned int allow);

/* RSA of 2048 to MDM_SCEP_MAX_RSA_BITS bits with a public exponent of at most 32 bits, so that what
 * a public-key operation costs is bounded; MDM_MSG_SCEP_KEY otherwise. whose: "signer's", for the
 * text. */
mdm_result_t mdm_scep_check_key(apr_pool_t *p, const char *whose, EVP_PKEY *key);

#endif
