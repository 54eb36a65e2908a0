/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin make-ca and make-ra: the issuing CA, and the registration authority that serves
 * SCEP in its place. Depends on admin_key.
 */
#ifndef ADMIN_CA_H
#define ADMIN_CA_H

#include "admin_output.h"

#define ADMIN_CA_DAYS 3650

typedef struct admin_ca_options_t {
    const char *cert; /* files to be made */
    const char *key;
    const char *name; /* CN, or a whole subject: "O=Example Corp, CN=...", "/O=.../CN=..." */
    const char *organization; /* O of the subject */
    const char *kind;         /* of the key; NULL: rsa3072, or as renewed */
    apr_int64_t days;         /* 0: ADMIN_CA_DAYS (make-ra: as long as the CA) */
    int force;
    int encrypt;
    const char *passphrase_file;
    const char *renew;              /* certificate file of the CA before; or NULL */
    const char *ca_cert;            /* of make-ra: who issues */
    const char *ca_key;             /* of make-ra */
    const char *ca_passphrase_file; /* of make-ra */
} admin_ca_options_t;

/* A self-signed CA for the identities of devices: pathlen 0; keyUsage keyCertSign, cRLSign,
 * digitalSignature and, with an RSA key, keyEncipherment, so that it can answer SCEP itself. */
admin_result_t admin_make_ca(apr_pool_t *p, const admin_ca_options_t *options);

/* An RSA-2048 key and its certificate by the CA: CA:FALSE, keyUsage digitalSignature and
 * keyEncipherment, which is what SCEP clients know it by. Never longer than the CA. */
admin_result_t admin_make_ra(apr_pool_t *p, const admin_ca_options_t *options);

#endif
