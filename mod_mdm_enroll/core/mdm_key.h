/* SPDX-License-Identifier: Apache-2.0
 * Private keys from a PEM file, encrypted or not, or from a token, and with their certificates:
 * signers. Depends on mdm_asker, mdm_token, mdm_x509.
 */
#ifndef MDM_KEY_H
#define MDM_KEY_H

#include <apr_pools.h>
#include <openssl/evp.h>

#include "mdm_asker.h"
#include "mdm_result.h"
#include "mdm_x509.h"

/* Longest key file, in bytes. */
#define MDM_KEY_FILE_BYTES (256 * 1024)

/* The private key that source names: the path of a PEM file (PKCS#8 or traditional), or a pkcs11:
 * URI (mdm_token.h). asker may be NULL: there is nobody to ask, and a key that needs a pass phrase
 * or PIN is refused with the words that it is encrypted. Owned by p. MDM_MSG_FILE with the reason;
 * no message ever holds a pass phrase or a PIN. */
mdm_result_t mdm_key_read(apr_pool_t *p, const char *source, const mdm_asker_t *asker,
                          EVP_PKEY **key);

/* Source as messages name it: a URI without its PIN. */
const char *mdm_key_name(apr_pool_t *p, const char *source);

/* SHA-256, 32 bytes, of what a key is read from: the content of a file, the text of a URI. Another
 * digest means that it must be read again. MDM_MSG_FILE, or MDM_MSG_CRYPTO if OpenSSL fails. */
#define MDM_KEY_DIGEST_BYTES 32
mdm_result_t mdm_key_digest(apr_pool_t *p, const char *source, unsigned char *digest);

/* How a signer comes to its key, where that is not simply read: somebody keeps it from one reading
 * to the next. cert is the certificate that it should belong to. */
typedef struct mdm_key_reader_t {
    void *context;
    mdm_result_t (*read)(void *context, apr_pool_t *p, const char *source, X509 *cert,
                         EVP_PKEY **key);
} mdm_key_reader_t;

/* Certificate, key and chain. The chain is what follows the first certificate of cert_file, then
 * chain_file (may be NULL). reader may be NULL: mdm_key_read() with nobody to ask. MDM_MSG_FILE if
 * one cannot be read or the key does not belong to the certificate. */
mdm_result_t mdm_signer_read(apr_pool_t *p, const char *cert_file, const char *key_source,
                             const char *chain_file, const mdm_key_reader_t *reader,
                             mdm_signer_t **signer);

#endif
