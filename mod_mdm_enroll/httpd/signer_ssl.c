/* SPDX-License-Identifier: Apache-2.0
 * The vhost's own certificate as signer.
 */
#include "signer_ssl.h"

static void keep(mdm_server_conf_t *conf, apr_pool_t *p, SSL_CTX *ctx)
{
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    EVP_PKEY *key = SSL_CTX_get0_privatekey(ctx);
    STACK_OF(X509) *chain = NULL;
    mdm_signer_t *signer;

    if (!cert || !key)
        return;
    /* The chain stands in the certificate's own file, or in SSLCertificateChainFile's. */
    SSL_CTX_get0_chain_certs(ctx, &chain);
    if (!chain || sk_X509_num(chain) == 0)
        SSL_CTX_get_extra_chain_certs_only(ctx, &chain);

    signer = apr_pcalloc(p, sizeof(*signer));
    if (X509_up_ref(cert))
        signer->cert = mdm_x509_own(p, cert);
    if (EVP_PKEY_up_ref(key))
        signer->key = mdm_x509_own_key(p, key);
    if (chain)
        signer->chain = mdm_x509_own_stack(p, X509_chain_up_ref(chain));
    if (signer->cert && signer->key)
        APR_ARRAY_PUSH(conf->tls_signers, mdm_signer_t *) = signer;
}

int mdm_signer_ssl_init_server(server_rec *s, apr_pool_t *p, int is_proxy, SSL_CTX *ctx)
{
    mdm_server_conf_t *conf = mdm_conf_server(s);
    X509 *current;
    long more;

    if (is_proxy)
        return DECLINED;
    current = SSL_CTX_get0_certificate(ctx);
    for (more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST); more > 0;
         more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT))
        keep(conf, p, ctx);
    if (current)
        SSL_CTX_select_current_cert(ctx, current);
    return OK;
}

const mdm_signer_t *mdm_signer_ssl_choose(const mdm_server_conf_t *conf)
{
    static const int preferred[] = {EVP_PKEY_RSA, EVP_PKEY_EC};
    apr_size_t type;
    int i;

    for (type = 0; type < sizeof(preferred) / sizeof(preferred[0]); type++) {
        for (i = 0; i < conf->tls_signers->nelts; i++) {
            const mdm_signer_t *signer = APR_ARRAY_IDX(conf->tls_signers, i, mdm_signer_t *);

            if (EVP_PKEY_base_id(signer->key) == preferred[type])
                return signer;
        }
    }
    return NULL;
}
