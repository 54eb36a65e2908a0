/* SPDX-License-Identifier: Apache-2.0
 * pkiMessages as Apple's SCEP client makes and takes them (RFC 8894 sections 3 and 4), on OpenSSL
 * alone: core's mdm_scep made what is checked here. Depends on device_cms and device_profile.
 */
#ifndef SCEP_MESSAGE_H
#define SCEP_MESSAGE_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "device_profile.h"
#include "device_report.h"

#define SCEP_NONCE_BYTES 16

/* One request and what its reply must match. Everything is owned by the pool it was begun in. */
typedef struct scep_transaction_t {
    EVP_PKEY *key;     /* the device's new key */
    X509 *certificate; /* temporary, self-signed, named by a random UUID */
    const char *id;    /* transactionID: SHA-1 of the public key, upper-case hexadecimal */
    unsigned char nonce[SCEP_NONCE_BYTES];
} scep_transaction_t;

device_result_t scep_message_begin(apr_pool_t *p, EVP_PKEY *key, scep_transaction_t *transaction);

/* A PKCSReq for a payload, enveloped to recipient; DER in p. */
device_result_t scep_message_request(apr_pool_t *p, const scep_transaction_t *transaction,
                                     const device_scep_payload_t *payload, X509 *recipient,
                                     const EVP_MD *digest, const EVP_CIPHER *cipher,
                                     const char **der, apr_size_t *len);

/* What a CertRep with SUCCESS brought. */
typedef struct scep_issued_t {
    X509 *certificate;       /* index 0 of the list */
    int certificates;        /* how many there were */
    const char *cipher;      /* of the envelope */
    int recipient_nonce_bad; /* recipientNonce is missing or another: RFC 8894 wants it, a device
                                does not look */
} scep_issued_t;

/* Open a CertRep: signed by exactly this certificate, of this transaction, its attributes
 * PrintableStrings. FAILURE is DEVICE_REFUSED with failInfo; PENDING and everything else that does
 * not end in a certificate for our key is DEVICE_UNACCEPTABLE. */
device_result_t scep_message_open(apr_pool_t *p, const scep_transaction_t *transaction,
                                  X509 *signer, const char *der, apr_size_t len,
                                  scep_issued_t *issued);

#endif
