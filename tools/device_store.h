/* SPDX-License-Identifier: Apache-2.0
 * What the folder of --identity keeps of the identity for the MDM server: all that its renewal
 * needs. Depends on device_identity, device_report, core's mdm_key.
 */
#ifndef DEVICE_STORE_H
#define DEVICE_STORE_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "device_report.h"
#include "mdm_x509.h"

/* The folder, read. Owned by the pool. */
typedef struct device_store_t {
    const char *dir;
    mdm_signer_t identity;   /* with the CA certificates that it came with */
    const char *url;         /* of the SCEP server; NULL: it came as PKCS #12 */
    const char *name;        /* of its CA, for GetCACert; NULL: none */
    STACK_OF(X509) *trusted; /* those CA certificates, and what a roll-over brought */
} device_store_t;

/* Begin anew with what an enrollment brought (url is NULL if it was not by SCEP, and nothing can
 * renew it then): mdm-identity.key, .pem, .ca.pem and .json. What there
 * was of an identity before is gone. */
device_result_t device_store_create(apr_pool_t *p, const char *dir, const char *url,
                                    const char *name, const mdm_signer_t *identity);

/* Read it; what a renewal that broke off left is brought to its end first. DEVICE_LOCAL if there is
 * no identity, or no word of where it came from. */
device_result_t device_store_read(apr_pool_t *p, const char *dir, device_store_t *store);

/* The key for a renewal, which is kept in mdm-identity.new.key before anything is sent: if the
 * reply is lost, the next renewal sends the same request, and gets the same certificate. bits: 0
 * for as many as the identity has. *again: it was there. */
device_result_t device_store_new_key(apr_pool_t *p, const device_store_t *store, int bits,
                                     EVP_PKEY **key, int *again);

/* The renewal succeeded, with that key. The identity of before becomes mdm-identity.previous.pem
 * and .key; what follows is one rename each, and read() ends what broke off in between. */
device_result_t device_store_renewed(apr_pool_t *p, const device_store_t *store,
                                     const mdm_signer_t *identity);

/* The same after an update, whose profile may name another SCEP server. */
device_result_t device_store_updated(apr_pool_t *p, const device_store_t *store, const char *url,
                                     const char *name, const mdm_signer_t *identity);

/* Trust these CA certificates, too: mdm-next-ca.pem. */
device_result_t device_store_next_ca(apr_pool_t *p, const device_store_t *store,
                                     const STACK_OF(X509) *certs);

/* The CA that issued the identity; NULL if it is not among those trusted. */
X509 *device_store_issuer(const device_store_t *store);

#endif
