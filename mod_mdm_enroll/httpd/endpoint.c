/* SPDX-License-Identifier: Apache-2.0
 * From httpd's hooks to the endpoints.
 */
#include "endpoint.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>
#include <http_vhost.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "http.h"
#include "log.h"

APLOG_USE_MODULE(mdm_enroll);

#define HANDLER "mdm-enroll"

int mdm_endpoint_guard(request_rec *r)
{
    const mdm_dir_conf_t *dir = mdm_conf_dir(r);
    const mdm_site_t *site = mdm_conf_server(r->server)->site;
    int status;

    if (dir->endpoint == MDM_ENDPOINT_NONE || !ap_is_initial_req(r))
        return DECLINED;
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    if (site &&
        (dir->endpoint == MDM_ENDPOINT_SCEP || site->base_url || ap_ssl_conn_is_ssl(r->connection)))
        return DECLINED;
    status = mdm_http_refuse(
        r, mdm_result_make(r->pool, MDM_MSG_HTTP_NOT_SECURE, "%s",
                           site ? "the request came by plain http; wanted: https, or "
                                  "MDMEnrollBaseURL if a proxy ends TLS"
                                : "the endpoint was inherited by a vhost that has neither TLS nor "
                                  "MDMEnrollBaseURL with MDMEnrollSigner"));
    /* DONE is httpd's word for: the reply is out, neither authenticate nor handle. */
    return status == OK ? DONE : status;
}

/* ap_auth_type tells a user whom a module authenticated from a mere name. Recent mod_ssl sets it
 * for SSLUserName too, whether the certificate was verified or not. */
static int authenticated(request_rec *r)
{
    const char *verified;

    if (!r->user || !r->ap_auth_type)
        return 0;
    if (strcmp(r->ap_auth_type, "ClientCert"))
        return 1;
    verified = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");
    return verified && !strcmp(verified, "SUCCESS");
}

int mdm_endpoint_remember(request_rec *r)
{
    if (mdm_conf_dir(r)->endpoint == MDM_ENDPOINT_PROFILE && authenticated(r))
        ap_set_module_config(r->request_config, &mdm_enroll_module, apr_pstrdup(r->pool, r->user));
    return DECLINED;
}

const char *mdm_endpoint_user(const request_rec *r)
{
    const char *user = ap_get_module_config(r->request_config, &mdm_enroll_module);

    return user ? user : "";
}

int mdm_endpoint_claim(request_rec *r)
{
    if (mdm_conf_dir(r)->endpoint == MDM_ENDPOINT_NONE || !ap_is_initial_req(r))
        return DECLINED;
    r->handler = HANDLER;
    return OK;
}

static apr_int64_t clock_now(void *context)
{
    (void)context;
    return apr_time_sec(apr_time_now());
}

static int random_bytes(void *context, unsigned char *bytes, apr_size_t len)
{
    (void)context;
    if (RAND_bytes(bytes, (int)len) == 1)
        return 1;
    ERR_clear_error();
    return 0;
}

static void make_call(mdm_call_t *call, request_rec *r, const mdm_site_t *site)
{
    memset(call, 0, sizeof(*call));
    call->r = r;
    call->site = site;
    call->expressions.r = r;
    call->expressions.requirements = site->requirements;
    call->policy.context = &call->expressions;
    call->policy.check = mdm_policy_expr_check;
    call->world.store = site->store;
    call->world.site = site->identity;
    call->world.directory = site->directory;
    call->world.policy = site->requirements->nelts ? &call->policy : NULL;
    call->world.now = clock_now;
    call->world.random = random_bytes;
}

static int dispatch(mdm_call_t *call, mdm_endpoint_t endpoint)
{
    switch (endpoint) {
    case MDM_ENDPOINT_PROFILE:
        return mdm_endpoint_profile(call);
    case MDM_ENDPOINT_DEVICE:
        return mdm_endpoint_device(call);
    case MDM_ENDPOINT_SCEP:
        return mdm_endpoint_scep(call);
    default:
        return DECLINED;
    }
}

int mdm_endpoint_handle(request_rec *r)
{
    const mdm_dir_conf_t *dir = mdm_conf_dir(r);
    const mdm_server_conf_t *conf = mdm_conf_server(r->server);
    const mdm_site_t *site = conf->site;
    mdm_call_t call;
    int status;

    if (!r->handler || strcmp(r->handler, HANDLER) || dir->endpoint == MDM_ENDPOINT_NONE ||
        !ap_is_initial_req(r) || !site)
        return DECLINED;
    /* A vhost with an endpoint of its own must not serve the inherited one beside it, which may let
     * others in. */
    if (strcmp(r->uri, dir->path) || strcmp(dir->path, conf->endpoints[dir->endpoint].path))
        return mdm_http_status(r, HTTP_NOT_FOUND);
    if (!site->store)
        return mdm_http_refuse(r, mdm_result_make(r->pool, MDM_MSG_STORE_UNAVAILABLE,
                                                  "this process could not set its store up"));
    make_call(&call, r, site);
    status = dispatch(&call, dir->endpoint);
    /* libldap and libpq, where they are built on OpenSSL, leave errors to the thread's next user.
     */
    ERR_clear_error();
    return status;
}

/* URL of a path by a name of this vhost. Not simply ap_construct_url(): a client may send any Host
 * header to the default vhost, and what it names would be in a profile that we sign. */
static const char *own_url(request_rec *r, const char *path)
{
    const server_rec *s = r->server;
    apr_port_t port = s->port ? s->port : r->connection->local_addr->port;

    /* The port given matches always: it is the names that are asked for. */
    if (r->hostname && ap_matches_request_vhost(r, r->hostname, s->port))
        return ap_construct_url(r->pool, path, r);
    if (ap_is_default_port(port, r))
        return apr_pstrcat(r->pool, ap_http_scheme(r), "://", s->server_hostname, path, NULL);
    return apr_psprintf(r->pool, "%s://%s:%d%s", ap_http_scheme(r), s->server_hostname, (int)port,
                        path);
}

static const char *endpoint_url(const mdm_call_t *call, mdm_endpoint_t endpoint)
{
    request_rec *r = call->r;
    const char *path = call->site->paths[endpoint];

    if (!path)
        return NULL;
    return call->site->base_url ? apr_pstrcat(r->pool, call->site->base_url, path, NULL)
                                : own_url(r, path);
}

mdm_ota_request_t mdm_endpoint_request(const mdm_call_t *call)
{
    mdm_ota_request_t request = {call->site->signer, endpoint_url(call, MDM_ENDPOINT_DEVICE),
                                 endpoint_url(call, MDM_ENDPOINT_SCEP), NULL};

    return request;
}

int mdm_endpoint_reply(mdm_call_t *call, mdm_result_t result, const mdm_ota_reply_t *reply,
                       const mdm_ota_facts_t *facts)
{
    request_rec *r = call->r;
    const mdm_device_t *device = facts->device;
    const char *about;

    mdm_http_variable(r, "MDM_PHASE", facts->phase ? apr_itoa(r->pool, facts->phase) : NULL);
    mdm_http_variable(r, "MDM_ENROLLMENT", facts->enrollment);
    mdm_http_variable(r, "MDM_USER", facts->user);
    mdm_http_device(r, device);
    if (result.kind != MDM_OK)
        return mdm_http_refuse(r, result);
    about = device ? apr_psprintf(r->pool, ", UDID %s, serial %s, product %s", device->udid,
                                  device->serial, mdm_result_quote_text(r->pool, device->product))
                   : "";
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "phase %d: enrollment %s, user %s%s", facts->phase,
                  facts->enrollment, facts->user, about);
    return mdm_http_send(r, MDM_PROFILE_TYPE, reply->body, reply->len);
}
