/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "ca": the issuing CA's certificate for servers that check devices' certificates, and the
 * site's roots as a profile for devices that do not trust its servers yet.
 */
#include "endpoint.h"

#include <apr_strings.h>
#include <openssl/pem.h>

#include "http.h"

static mdm_result_t nothing(request_rec *r, const char *why)
{
    return mdm_result_make(r->pool, MDM_MSG_HTTP_FORMAT, "%s", why);
}

static int send_der(mdm_call_t *call, X509 *cert)
{
    apr_size_t len;
    const unsigned char *der = mdm_x509_encode(call->r->pool, cert, &len);

    if (!der)
        return mdm_http_refuse(call->r,
                               mdm_result_make(call->r->pool, MDM_MSG_CRYPTO, "CA certificate: %s",
                                               mdm_openssl_reason(call->r->pool)));
    return mdm_http_send(call->r, "application/pkix-cert", (const char *)der, len);
}

/* With the chain, as far as the file of MDMEnrollCA has it. */
static int send_pem(mdm_call_t *call, const mdm_signer_t *ca)
{
    request_rec *r = call->r;
    BIO *bio = BIO_new(BIO_s_mem());
    int ok = bio && PEM_write_bio_X509(bio, ca->cert);
    char *text;
    long len;
    int i;

    for (i = 0; ok && i < sk_X509_num(ca->chain); i++)
        ok = PEM_write_bio_X509(bio, sk_X509_value(ca->chain, i));
    len = ok ? BIO_get_mem_data(bio, &text) : 0;
    text = ok ? apr_pstrmemdup(r->pool, text, (apr_size_t)len) : NULL;
    BIO_free(bio);
    if (!text)
        return mdm_http_refuse(r, mdm_result_make(r->pool, MDM_MSG_CRYPTO, "CA certificate: %s",
                                                  mdm_openssl_reason(r->pool)));
    return mdm_http_send(r, "application/x-pem-file", text, (apr_size_t)len);
}

static int send_profile(mdm_call_t *call)
{
    request_rec *r = call->r;
    const mdm_profile_settings_t *settings = &call->site->ota.profile;
    const unsigned char *der;
    const char *xml;
    apr_size_t len, der_len;
    mdm_result_t result;

    if (!call->site->signer)
        result = nothing(r, "this vhost has no certificate to sign a profile with; wanted: TLS, or "
                            "MDMEnrollSigner");
    else if (!settings->certificates->nelts)
        result = nothing(r, "there is nothing to put into a profile; wanted: MDMEnrollCertificate");
    else
        result = mdm_profile_trust(r->pool, settings, &call->world, &xml, &len);
    if (result.kind == MDM_OK)
        result = mdm_cms_sign(r->pool, call->site->signer, xml, len, &der, &der_len);
    if (result.kind != MDM_OK)
        return mdm_http_refuse_page(r, result);
    apr_table_setn(r->headers_out, "Content-Disposition",
                   "attachment; filename=\"trust.mobileconfig\"");
    return mdm_http_send(r, MDM_PROFILE_TYPE, (const char *)der, der_len);
}

int mdm_endpoint_ca(mdm_call_t *call)
{
    request_rec *r = call->r;
    const mdm_ca_t *ca = call->site->scep.rules.ca;
    const char *format = mdm_endpoint_parameter(r, "format");

    mdm_http_variable(r, "MDM_PHASE", "ca");
    if (r->method_number != M_GET)
        return mdm_http_not_allowed(r, M_GET, -1);
    if (format && !strcmp(format, "profile"))
        return send_profile(call);
    if (ca && (!format || !strcmp(format, "der")))
        return send_der(call, mdm_ca_signer(ca)->cert);
    if (ca && !strcmp(format, "pem"))
        return send_pem(call, mdm_ca_signer(ca));
    return mdm_http_refuse(r, mdm_result_make(r->pool, MDM_MSG_HTTP_FORMAT,
                                              "format=%s; wanted: der, pem or profile",
                                              mdm_result_quote_text(r->pool, format)));
}
