/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "crl": what the issuing CA revoked (RFC 5280 section 5), DER.
 */
#include "endpoint.h"

#include "http.h"

int mdm_endpoint_crl(mdm_call_t *call)
{
    request_rec *r = call->r;
    const mdm_crl_source_t *source = call->site->scep.crl;
    mdm_crl_t crl;
    mdm_result_t result;

    mdm_http_variable(r, "MDM_PHASE", "crl");
    if (r->method_number != M_GET)
        return mdm_http_not_allowed(r, M_GET, -1);
    result = source ? source->get(source->context, r->pool, &crl)
                    : mdm_result_make(r->pool, MDM_MSG_CRYPTO, "this child can make no CRL");
    if (result.kind != MDM_OK)
        return mdm_http_refuse(r, result);
    return mdm_http_send(r, "application/pkix-crl", (const char *)crl.der, crl.len);
}
