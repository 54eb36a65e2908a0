/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "update": the enrollment profile of a device as it is now, for its MDM server to push.
 */
#include "endpoint.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_ssl.h>

#include "../core/mdm_update.h"
#include "http.h"

/* Whether mod_ssl verified a client certificate that is not a device's. Where SSLVerifyClient knows
 * the CA of the devices, each of them has one that is verified, and none is its MDM server. */
static int shows_certificate(const mdm_call_t *call)
{
    request_rec *r = call->r;
    const char *verified, *pem;
    mdm_issuer_t issuer;
    X509 *cert;

    verified = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");
    if (!verified || strcmp(verified, "SUCCESS"))
        return 0;
    pem = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT");
    if (!pem || mdm_x509_decode_pem(r->pool, pem, &cert).kind != MDM_OK)
        return 0;
    return mdm_trust_judge(call->site->ota.trust, r->pool, cert, call->world.now(NULL), &issuer)
               .message == MDM_MSG_SIGNER_UNKNOWN_ISSUER;
}

/* The one value that is asked for. */
typedef struct query_t {
    const char *udid;
    const char *serial;
} query_t;

static mdm_result_t bad_query(request_rec *r, const char *why)
{
    return mdm_result_make(r->pool, MDM_MSG_HTTP_QUERY,
                           "query \"%s\": %s; wanted is exactly one of udid=... and serial=..., "
                           "percent-encoded",
                           mdm_result_quote_text(r->pool, r->args ? r->args : ""), why);
}

static mdm_result_t read_query(request_rec *r, query_t *query)
{
    const char *args = r->args ? r->args : "";

    memset(query, 0, sizeof(*query));
    while (*args) {
        char *value = ap_getword(r->pool, &args, '&');
        const char *name = ap_getword(r->pool, (const char **)&value, '=');
        const char **wanted = !strcmp(name, "udid")     ? &query->udid
                              : !strcmp(name, "serial") ? &query->serial
                                                        : NULL;

        if (!wanted)
            continue;
        if (query->udid || query->serial)
            return bad_query(r, "more than one value");
        if (ap_unescape_urlencoded(value) != OK || !*value)
            return bad_query(r, "the value is empty, or not encoded so");
        *wanted = value;
    }
    return query->udid || query->serial ? mdm_result_ok() : bad_query(r, "no value");
}

int mdm_endpoint_update(mdm_call_t *call)
{
    request_rec *r = call->r;
    mdm_ota_request_t request = mdm_endpoint_request(call);
    mdm_ota_reply_t reply = {0};
    mdm_ota_facts_t facts = {0, "", "", NULL, ""};
    query_t query;
    mdm_result_t result;

    mdm_http_variable(r, "MDM_PHASE", "update");
    if (r->method_number != M_GET)
        return mdm_http_not_allowed(r, M_GET, -1);
    mdm_http_drain(r);
    if (!*mdm_endpoint_user(r) && !shows_certificate(call))
        return mdm_endpoint_refuse(
            r, mdm_result_make(r->pool, MDM_MSG_HTTP_NO_USER,
                               "httpd authenticated nobody for %s; add AuthType, a provider and "
                               "Require to this <Location>, or SSLVerifyClient require with "
                               "\"Require ssl-verify-client\" or stricter and a CA that is not the "
                               "devices'",
                               r->uri));
    result = read_query(r, &query);
    if (result.kind != MDM_OK)
        return mdm_endpoint_refuse(r, result);
    /* A look must not cost a challenge. */
    if (r->header_only) {
        ap_set_content_type(r, MDM_PROFILE_TYPE);
        return OK;
    }
    result = mdm_update_push(r->pool, &call->site->ota, &call->world, &request, query.udid,
                             query.serial, &reply, &facts);
    return mdm_endpoint_reply(call, result, &reply, &facts);
}
