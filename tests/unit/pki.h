/* SPDX-License-Identifier: Apache-2.0
 * An in-memory PKI for unit tests: keys and certificates with knobs for all that can be
 * wrong with one. Depends on APR and OpenSSL, on nothing of the project. A failure ends the
 * program.
 */
#ifndef PKI_H
#define PKI_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* The pool that every key and certificate lives in; set by pki_setup(). */
extern apr_pool_t *pki_pool;

/* cmocka group fixtures: start and stop APR, make and destroy pki_pool. */
int pki_setup(void **state);
int pki_teardown(void **state);

EVP_PKEY *pki_key_rsa(int bits);
EVP_PKEY *pki_key_ec(const char *curve); /* "P-256", "P-384", "P-521", "secp256k1" … */

typedef enum { PKI_LEAF = 0, PKI_CA, PKI_NO_CONSTRAINTS } pki_constraints_t;
EVP_PKEY *pki_key_ec_explicit(void); /* P-256, told by its numbers instead of its name */

/* All zero is a sound leaf certificate: v3, CA:FALSE, SHA-256, valid from an hour ago for a year,
 * SKI, a fresh serial number. */
typedef struct pki_opts_t {
    pki_constraints_t constraints;
    const EVP_MD *digest;         /* NULL: SHA-256 */
    long not_before;              /* seconds from now; both zero: the default */
    long not_after;               /* seconds from now */
    int version1;                 /* X.509 v1: no extensions at all */
    long serial;                  /* 0: the next one */
    const char *key_usage;        /* as openssl.cnf, e.g. "critical,digitalSignature" */
    const char *ext_key_usage;    /* as openssl.cnf, e.g. "critical,clientAuth" */
    const char *subject_alt_name; /* as openssl.cnf, e.g. "URI:urn:x" */
    const char *critical_oid;     /* a critical extension of this OID that nobody knows */
} pki_opts_t;

/* A certificate; subject as "/C=US/O=Example/CN=x" (an empty "" gives an empty name). Without
 * issuer it is signed by issuer_key under its own name, or by its own key if that is NULL too. opts
 * may be NULL. */
X509 *pki_cert(const char *subject, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
               const pki_opts_t *opts);

/* Write text to a fresh file in a temporary folder that goes with pki_pool; returns its path. */
const char *pki_file(const char *name, const void *bytes, apr_size_t len);

/* PEM of a certificate and of a key (encrypted with password unless NULL), in pki_pool. */
const char *pki_cert_pem(X509 *cert);
const char *pki_key_pem(EVP_PKEY *key, const char *password);

/* The content of fixtures/<name> in the folder that the environment variable MDM_SHARED names, or
 * NULL if there is none. In pki_pool. */
const unsigned char *pki_fixture(const char *name, apr_size_t *len);

#endif
