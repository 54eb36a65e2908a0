/* SPDX-License-Identifier: Apache-2.0
 * pkiMessages as Apple's SCEP client makes and takes them (RFC 8894 sections 3 and 4), on OpenSSL
 * alone: core's mdm_scep made what is checked here. Depends on device_cms, device_report, core's
 * mdm_x509.
 */
#ifndef SCEP_MESSAGE_H
#define SCEP_MESSAGE_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "device_report.h"
#include "mdm_x509.h"

#define SCEP_NONCE_BYTES 16

/* messageType (RFC 8894 section 3.2.1.2), as far as they are sent. */
typedef enum { SCEP_RENEWAL_REQ = 17, SCEP_PKCS_REQ = 19, SCEP_GET_CRL = 22 } scep_type_t;

/* One request and what its reply must match. Everything is owned by the pool it was begun in, or by
 * whoever gave it. */
typedef struct scep_transaction_t {
    EVP_PKEY *key;        /* to be certified */
    X509 *certificate;    /* who signs, and to whom the reply is encrypted */
    EVP_PKEY *signer_key; /* of that */
    const char *id;       /* transactionID: SHA-1 of the public key, upper-case hexadecimal */
    unsigned char nonce[SCEP_NONCE_BYTES];
} scep_transaction_t;

/* member: a certificate of the server's that signs. NULL: a temporary one, self-signed by key and
 * named by a random UUID. */
device_result_t scep_message_begin(apr_pool_t *p, EVP_PKEY *key, const mdm_signer_t *member,
                                   scep_transaction_t *transaction);

/* For whom a request is, and what its server understands. */
typedef struct scep_peer_t {
    X509 *recipient;
    const EVP_MD *digest;
    const EVP_CIPHER *cipher;
} scep_peer_t;

/* A pkiMessage with content in its envelope; DER in p. */
device_result_t scep_message_request(apr_pool_t *p, const scep_transaction_t *transaction,
                                     scep_type_t type, const char *content, apr_size_t content_len,
                                     const scep_peer_t *peer, const char **der, apr_size_t *len);

/* What names a certificate in a GetCRL (IssuerAndSerialNumber); DER in p. */
device_result_t scep_message_name(apr_pool_t *p, const X509 *cert, const char **der,
                                  apr_size_t *len);

/* A CertRep with SUCCESS. */
typedef struct scep_opened_t {
    const char *content; /* of the envelope */
    apr_size_t len;
    const char *cipher;      /* of the envelope */
    int recipient_nonce_bad; /* recipientNonce is missing or another: RFC 8894 wants it, a device
                                does not look */
} scep_opened_t;

/* Open a CertRep: signed by exactly this certificate, of this transaction, its attributes
 * PrintableStrings. FAILURE is DEVICE_REFUSED with failInfo; PENDING and everything else is
 * DEVICE_UNACCEPTABLE. */
device_result_t scep_message_open(apr_pool_t *p, const scep_transaction_t *transaction,
                                  X509 *signer, const char *der, apr_size_t len,
                                  scep_opened_t *opened);

/* What a PKCSReq or RenewalReq brought. */
typedef struct scep_issued_t {
    X509 *certificate; /* index 0 of the list */
    int certificates;  /* how many there were */
} scep_issued_t;

/* DEVICE_UNACCEPTABLE if that does not begin with a certificate for our key. */
device_result_t scep_message_issued(apr_pool_t *p, const scep_transaction_t *transaction,
                                    const scep_opened_t *opened, scep_issued_t *issued);

/* What a GetCRL brought; owned by p. DEVICE_UNACCEPTABLE if it is not exactly one list. */
device_result_t scep_message_crl(apr_pool_t *p, const scep_opened_t *opened, X509_CRL **crl);

#endif
