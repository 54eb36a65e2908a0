/* SPDX-License-Identifier: Apache-2.0
 * Private keys that stay in a token (smart card, HSM), named by a pkcs11: URI (RFC 7512) and used
 * through what OpenSSL has for that on this machine, found when it is needed: a store of a provider
 * that openssl.cnf activates (pkcs11-provider), else the engine "pkcs11" (libp11). Which PKCS#11
 * libraries these load is p11-kit's configuration, not ours. Depends on mdm_asker, mdm_x509.
 */
#ifndef MDM_TOKEN_H
#define MDM_TOKEN_H

#include <apr_pools.h>
#include <openssl/evp.h>

#include "mdm_asker.h"
#include "mdm_result.h"

/* 1 if it begins with "pkcs11:", in whatever case. */
int mdm_token_is_uri(const char *source);

/* NULL, or what is wrong with a URI, in words that never hold a value of it. Taken are the
 * attributes token, serial, manufacturer, model, object, id, type=private, and pin-value or
 * pin-source=file:/path (or a bare absolute path); token or serial, and object or id, must be among
 * them. In p. */
const char *mdm_token_check(apr_pool_t *p, const char *uri);

/* A URI as messages name it: what is not its PIN; "pkcs11:…" if mdm_token_check() refuses it. In
 * p. */
const char *mdm_token_name(apr_pool_t *p, const char *uri);

/* The file of its pin-source; NULL if it has none. In p. */
const char *mdm_token_pin_file(apr_pool_t *p, const char *uri);

/* The key, with its PIN from the URI or the file it names, else from asker (NULL: nobody to ask).
 * It may be used by many threads at once, and by the children of a fork: those log in again by
 * themselves (see mdm_token_try_key()). Owned by p. MDM_MSG_FILE with the reason. */
mdm_result_t mdm_token_read_key(apr_pool_t *p, const char *uri, const mdm_asker_t *asker,
                                EVP_PKEY **key);

/* Make one signature with such a key. Each child does so before it has threads: what logs in to the
 * token again has come to rest then, and whether the user that the child runs as may use it is
 * known. MDM_MSG_TOKEN with the reason. */
mdm_result_t mdm_token_try_key(apr_pool_t *p, const char *uri, EVP_PKEY *key);

#endif
