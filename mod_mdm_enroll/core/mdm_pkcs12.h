/* SPDX-License-Identifier: Apache-2.0
 * A key and its certificate, made here for a device, in a PKCS #12 container (RFC 7292). The key is
 * in no other place: not in the store, and in memory only until the container is made. Depends on
 * mdm_ca, mdm_enrollment, mdm_x509.
 */
#ifndef MDM_PKCS12_H
#define MDM_PKCS12_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_ca.h"
#include "mdm_enrollment.h"
#include "mdm_result.h"

/* A kind of key: RSA of so many bits, or EC on P-256 (size 256) or P-384. */
typedef struct mdm_key_kind_t {
    int rsa;
    int size;
} mdm_key_kind_t;

/* "P-256", "P-384", "RSA-2048", "RSA-3072", "RSA-4096", in any case. 0 for anything else. */
int mdm_key_kind_parse(const char *name, mdm_key_kind_t *kind);

/* Iterations of the key derivations, as OpenSSL has them by default. The password has 256 random
 * bits: nobody guesses it, whatever an iteration costs. */
#define MDM_PKCS12_ITERATIONS 2048

typedef struct mdm_pkcs12_t {
    const unsigned char *der;
    apr_size_t len;
    const char *password; /* 43 characters of base64url */
    X509 *cert;
    const unsigned char *cert_der;
    apr_size_t cert_len;
} mdm_pkcs12_t;

/* Make a key, have it certified for row and MDM_PURPOSE_MDM (mdm_ca_issue), and put both into a
 * container with a random password. One certificate, no chain: more are not allowed ("Only one
 * certificate may be included", Apple's com.apple.security.pkcs12.yaml). With modern the algorithms
 * are PBES2 with AES-256-CBC and a MAC over SHA-256, otherwise PBE with SHA-1 and 3-key 3DES and a
 * MAC over SHA-1, which every importer knows; never RC2, which OpenSSL's default provider has not.
 * Nothing is stored. *made is in p, in which der and password are overwritten when it is cleared;
 * the key is freed. The cost is that of the key: RSA of 2048 bits takes tens of milliseconds of one
 * core, P-256 none to speak of. As mdm_ca_issue(), MDM_MSG_RANDOM, or MDM_MSG_CRYPTO. */
mdm_result_t mdm_pkcs12_make(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                             const mdm_enrollment_t *row, mdm_key_kind_t kind, int modern,
                             mdm_pkcs12_t *made);

#endif
