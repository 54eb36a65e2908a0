/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "device": phases 2 and 3, a message signed by the device.
 */
#include "endpoint.h"

#include <http_ssl.h>

#include "http.h"

/* The certificate of the TLS handshake, if mod_ssl asked for one and the device had one. */
static mdm_result_t tls_certificate(const mdm_call_t *call, X509 **cert)
{
    request_rec *r = call->r;
    const char *pem;
    mdm_result_t result;

    if (call->site->ota.tls_certificate == MDM_TLS_CERTIFICATE_OFF)
        return mdm_result_ok();
    pem = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT");
    if (!pem || !*pem)
        return mdm_result_ok();
    result = mdm_x509_decode_pem(r->pool, pem, cert);
    if (result.kind != MDM_OK)
        return mdm_result_make(r->pool, MDM_MSG_TLS_CERTIFICATE_FOREIGN,
                               "TLS client certificate: %s", result.log);
    return result;
}

int mdm_endpoint_device(mdm_call_t *call)
{
    request_rec *r = call->r;
    mdm_ota_request_t request = mdm_endpoint_request(call);
    mdm_ota_reply_t reply = {0};
    mdm_ota_facts_t facts = {0, "", "", NULL, ""};
    const char *message;
    apr_size_t len;
    mdm_result_t result;
    int status;

    mdm_http_variable(r, "MDM_FLOW", MDM_FLOW_OTA);
    if (r->method_number != M_POST)
        return mdm_http_not_allowed(r, M_POST, -1);
    status = mdm_http_read(r, MDM_OTA_MAX_BYTES, &message, &len);
    if (status != OK)
        return status;
    result = tls_certificate(call, &request.tls_certificate);
    if (result.kind == MDM_OK)
        result = mdm_ota_device(r->pool, &call->site->ota, &call->world, &request, message, len,
                                &reply, &facts);
    return mdm_endpoint_reply(call, result, &reply, &facts);
}
