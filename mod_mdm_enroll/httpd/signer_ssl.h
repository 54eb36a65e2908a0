/* SPDX-License-Identifier: Apache-2.0
 * The certificates and keys of a vhost, through mod_ssl's hook: the only public way to a private
 * key that may be encrypted, unreadable by now, or mod_md's. Depends on mod_ssl's headers, not on
 * mod_ssl being loaded.
 */
#ifndef MDM_SIGNER_SSL_H
#define MDM_SIGNER_SSL_H

#include <httpd.h>
#include <mod_ssl_openssl.h>

#include "conf.h"

/* mod_ssl's hook init_server: keep every certificate, key and chain of a TLS vhost. References are
 * taken and given back with p; the context itself belongs to mod_ssl. */
int mdm_signer_ssl_init_server(server_rec *s, apr_pool_t *p, int is_proxy, SSL_CTX *ctx);

/* The one to sign profiles with: RSA, which every device verifies, else ECDSA, else NULL. */
const mdm_signer_t *mdm_signer_ssl_choose(const mdm_server_conf_t *conf);

#endif
