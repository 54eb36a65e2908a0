/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "scep": RFC 8894 section 4 over HTTP.
 */
#include "endpoint.h"

#include <apr_strings.h>
#include <http_log.h>

#include "http.h"
#include "log.h"

APLOG_USE_MODULE(mdm_enroll);

static void tell(request_rec *r, const mdm_scep_facts_t *facts)
{
    mdm_http_variable(r, "MDM_TRANSACTION", facts->transaction);
    mdm_http_variable(r, "MDM_ENROLLMENT", facts->enrollment);
    mdm_http_variable(r, "MDM_USER", facts->user);
    mdm_http_variable(r, "MDM_UDID", facts->udid);
    mdm_http_variable(r, "MDM_SERIAL", facts->serial);
    mdm_http_variable(r, "MDM_CERTIFICATE", facts->certificate);
}

static int pki_operation(mdm_call_t *call, const char *message, apr_size_t len)
{
    request_rec *r = call->r;
    mdm_scep_reply_t reply = {0};
    mdm_scep_facts_t facts = {"", "", "", "", "", "", ""};
    mdm_result_t result = mdm_scep_pki_operation(r->pool, &call->site->scep, &call->world, message,
                                                 len, &reply, &facts);

    tell(r, &facts);
    if (!reply.body)
        return mdm_http_refuse(r, result);
    if (result.kind == MDM_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "scep: %s: enrollment %s, user %s, UDID %s, serial %s, certificate %s",
                      facts.operation, facts.enrollment, facts.user, facts.udid, facts.serial,
                      facts.certificate);
    } else {
        mdm_http_variable(r, "MDM_RESULT", mdm_result_code(r->pool, result.message));
        mdm_log_result(r, &result);
    }
    return mdm_http_send(r, reply.content_type, reply.body, reply.len);
}

static int post(mdm_call_t *call)
{
    const char *message;
    apr_size_t len;
    int status = mdm_http_read(call->r, MDM_SCEP_MAX_BYTES, &message, &len);

    return status == OK ? pki_operation(call, message, len) : status;
}

static int get(mdm_call_t *call)
{
    request_rec *r = call->r;
    const char *encoded = mdm_endpoint_parameter(r, "message");
    const char *message;
    apr_size_t len;
    mdm_result_t result = mdm_scep_decode_get(r->pool, encoded ? encoded : "", &message, &len);

    if (result.kind != MDM_OK)
        return mdm_http_refuse(r, result);
    return pki_operation(call, message, len);
}

static int answer(request_rec *r, const mdm_scep_reply_t *reply)
{
    return mdm_http_send(r, reply->content_type, reply->body, reply->len);
}

int mdm_endpoint_scep(mdm_call_t *call)
{
    request_rec *r = call->r;
    const char *operation = mdm_endpoint_parameter(r, "operation");
    const mdm_scep_settings_t *scep = &call->site->scep;

    mdm_http_variable(r, "MDM_PHASE", "scep");
    if (r->method_number != M_GET && r->method_number != M_POST)
        return mdm_http_not_allowed(r, M_GET, M_POST);
    if (r->method_number == M_POST && (!operation || !strcmp(operation, "PKIOperation")))
        return post(call);
    if (r->method_number == M_GET && operation) {
        if (!strcmp(operation, "PKIOperation"))
            return get(call);
        if (!strcmp(operation, "GetCACaps"))
            return answer(r, &scep->ca_caps);
        if (!strcmp(operation, "GetCACert"))
            return answer(r, &scep->ca_cert);
        if (!strcmp(operation, "GetNextCACert") && scep->next_ca_cert.body)
            return answer(r, &scep->next_ca_cert);
    }
    return mdm_http_refuse(
        r, mdm_result_make(r->pool, MDM_MSG_SCEP_OPERATION,
                           "%s with operation=%s; wanted: GET of GetCACaps, GetCACert, %sor "
                           "PKIOperation, or POST of PKIOperation",
                           r->method, mdm_result_quote_text(r->pool, operation),
                           scep->next_ca_cert.body ? "GetNextCACert " : ""));
}
