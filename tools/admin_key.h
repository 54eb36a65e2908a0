/* SPDX-License-Identifier: Apache-2.0
 * Keys for make-ca and make-ra: their kinds, pass phrases, and files that appear whole or not at
 * all. Depends on admin_output and core's mdm_x509.
 */
#ifndef ADMIN_KEY_H
#define ADMIN_KEY_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "admin_output.h"

#define ADMIN_KEY_KINDS "rsa2048, rsa3072, rsa4096, p256 or p384"

/* 1 if kind is one of those. */
int admin_key_known(const char *kind);

/* The kind that a key is of, or the nearest stronger one. */
const char *admin_key_kind(EVP_PKEY *key);

/* A fresh key, owned by p. */
admin_result_t admin_key_make(apr_pool_t *p, const char *kind, EVP_PKEY **key);

/* The first line of file ("-": standard input), or what is typed at the terminal, twice if it is
 * new: then it must have 8 characters. what: of what, for prompt and reason. */
admin_result_t admin_passphrase(apr_pool_t *p, const char *file, const char *what, int is_new,
                                const char **passphrase);

/* Read a PEM private key. Only if it is encrypted a pass phrase is asked for, as above. */
admin_result_t admin_key_read(apr_pool_t *p, const char *path, const char *passphrase_file,
                              EVP_PKEY **key);

/* Refuse before anything costly is done: a path that is there (unless force), the same twice, a
 * folder that is not there. */
admin_result_t admin_pair_check(apr_pool_t *p, const char *cert_path, const char *key_path,
                                int force);

/* Store both as PEM, the key with mode 0600 (PKCS #8; encrypted by AES-256 if passphrase is not
 * NULL), the certificate with 0644. Each is written beside its place and then put there as a whole;
 * what is there is only replaced with force, and then both are. */
admin_result_t admin_pair_write(apr_pool_t *p, const char *cert_path, X509 *cert,
                                const char *key_path, EVP_PKEY *key, const char *passphrase,
                                int force);

#endif
