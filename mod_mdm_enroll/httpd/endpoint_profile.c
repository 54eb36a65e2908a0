/* SPDX-License-Identifier: Apache-2.0
 * Endpoints "profile" and "direct": phase 1, or the enrollment profile at once, for a user whom
 * httpd has authenticated.
 */
#include "endpoint.h"

#include <http_protocol.h>

#include "../core/mdm_direct.h"
#include "http.h"

/* mdm_ota_offer() and its like. */
typedef mdm_result_t offer_t(apr_pool_t *p, const mdm_ota_settings_t *settings,
                             const mdm_world_t *world, const mdm_ota_request_t *request,
                             const char *user, mdm_ota_reply_t *reply, mdm_ota_facts_t *facts);

static int serve(mdm_call_t *call, const char *flow, offer_t *offer)
{
    request_rec *r = call->r;
    mdm_ota_request_t request = mdm_endpoint_request(call);
    mdm_ota_reply_t reply = {0};
    mdm_ota_facts_t facts = {0, "", "", NULL, ""};
    const char *user = mdm_endpoint_user(r);
    mdm_result_t result;

    mdm_http_variable(r, "MDM_FLOW", flow);
    /* mod_auth_form's login arrives as POST at the very URL that it protects. */
    if (r->method_number != M_GET && r->method_number != M_POST)
        return mdm_http_not_allowed(r, M_GET, M_POST);
    mdm_http_drain(r);
    if (!*user)
        return mdm_endpoint_refuse(
            r, mdm_result_make(r->pool, MDM_MSG_HTTP_NO_USER,
                               "httpd authenticated nobody for %s; add AuthType, a provider and "
                               "\"Require valid-user\" or stricter to this <Location>; a name by "
                               "SSLUserName counts only if mod_ssl verified the certificate",
                               r->uri));
    apr_table_setn(r->headers_out, "Content-Disposition",
                   "attachment; filename=\"enroll.mobileconfig\"");
    /* A look must not cost a row. */
    if (r->header_only) {
        ap_set_content_type(r, MDM_PROFILE_TYPE);
        return OK;
    }
    result = offer(r->pool, &call->site->ota, &call->world, &request, user, &reply, &facts);
    if (result.kind != MDM_OK)
        apr_table_unset(r->headers_out, "Content-Disposition");
    return mdm_endpoint_reply(call, result, &reply, &facts);
}

int mdm_endpoint_profile(mdm_call_t *call)
{
    return serve(call, MDM_FLOW_OTA, mdm_ota_offer);
}

int mdm_endpoint_direct(mdm_call_t *call)
{
    return serve(call, MDM_FLOW_DIRECT, mdm_direct_offer);
}
