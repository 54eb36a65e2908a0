/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "profile": phase 1, for a user whom httpd has authenticated.
 */
#include "endpoint.h"

#include <http_protocol.h>

#include "http.h"

int mdm_endpoint_profile(mdm_call_t *call)
{
    request_rec *r = call->r;
    mdm_ota_request_t request = mdm_endpoint_request(call);
    mdm_ota_reply_t reply = {0};
    mdm_ota_facts_t facts = {1, "", "", NULL};
    const char *user = mdm_endpoint_user(r);
    mdm_result_t result;

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
    result = mdm_ota_offer(r->pool, &call->site->ota, &call->world, &request, user, &reply, &facts);
    if (result.kind != MDM_OK)
        apr_table_unset(r->headers_out, "Content-Disposition");
    return mdm_endpoint_reply(call, result, &reply, &facts);
}
