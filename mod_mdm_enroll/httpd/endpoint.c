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

#include "http.h"
#include "log.h"
#include "surroundings.h"

APLOG_USE_MODULE(mdm_enroll);

#define HANDLER "mdm-enroll"

/* The endpoint that a request is for: its very path is one of this vhost's. Where a vhost has one
 * of its own, the inherited one of that kind is none of its. */
static mdm_endpoint_t endpoint_of(request_rec *r)
{
    const mdm_server_conf_t *conf = mdm_conf_server(r->server);
    int i;

    for (i = MDM_ENDPOINT_PROFILE; i < MDM_ENDPOINT_COUNT; i++)
        if (conf->endpoints[i].path && !strcmp(conf->endpoints[i].path, r->uri))
            return ap_is_initial_req(r) ? (mdm_endpoint_t)i : MDM_ENDPOINT_NONE;
    return MDM_ENDPOINT_NONE;
}

static int secure(request_rec *r, mdm_endpoint_t endpoint)
{
    const mdm_site_t *site = mdm_conf_server(r->server)->site;

    int https = site && (site->base_url || ap_ssl_conn_is_ssl(r->connection));

    if (endpoint == MDM_ENDPOINT_ACME)
        return https || (site && mdm_conf_is_loopback(r->connection->local_ip));
    return site && (mdm_endpoint_is_plain(endpoint) || (site->paths[endpoint] && https));
}

int mdm_endpoint_store(request_rec *r)
{
    if (endpoint_of(r) == MDM_ENDPOINT_NONE)
        return DECLINED;
    r->proxyreq = PROXYREQ_NONE;
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return OK;
}

int mdm_endpoint_access(request_rec *r)
{
    mdm_endpoint_t endpoint = endpoint_of(r);

    return endpoint != MDM_ENDPOINT_NONE && !secure(r, endpoint) ? OK : DECLINED;
}

/* Where somebody signs in. */
static int is_for_people(mdm_endpoint_t endpoint)
{
    return endpoint == MDM_ENDPOINT_PROFILE || endpoint == MDM_ENDPOINT_DIRECT;
}

/* What mod_ssl says of a user whose name it took from a certificate (SSLUserName). */
static int named_by_certificate(const request_rec *r)
{
    return r->ap_auth_type && !strcmp(r->ap_auth_type, "ClientCert");
}

static void remember(request_rec *r)
{
    ap_set_module_config(r->request_config, &mdm_enroll_module, apr_pstrdup(r->pool, r->user));
}

/* Who comes there is somebody whom httpd authenticated. */
static int asks_for_user(request_rec *r)
{
    mdm_endpoint_t endpoint = endpoint_of(r);

    return is_for_people(endpoint) || endpoint == MDM_ENDPOINT_UPDATE;
}

int mdm_endpoint_remember(request_rec *r)
{
    if (asks_for_user(r) && r->user && !named_by_certificate(r))
        remember(r);
    return DECLINED;
}

int mdm_endpoint_remember_certificate(request_rec *r)
{
    const char *verified;

    if (!asks_for_user(r) || !r->user || !named_by_certificate(r))
        return DECLINED;
    verified = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");
    if (verified && !strcmp(verified, "SUCCESS"))
        remember(r);
    return DECLINED;
}

const char *mdm_endpoint_user(const request_rec *r)
{
    const char *user = ap_get_module_config(r->request_config, &mdm_enroll_module);

    return user ? user : "";
}

int mdm_endpoint_claim(request_rec *r)
{
    if (endpoint_of(r) == MDM_ENDPOINT_NONE)
        return DECLINED;
    r->handler = HANDLER;
    return OK;
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
    call->texts = mdm_text_expr_evaluator(r);
    call->world.texts = &call->texts;
    call->conditions = mdm_text_expr_condition(r);
    call->world.conditions = &call->conditions;
    call->world.store = site->store;
    call->world.site = site->identity;
    call->world.rules = site->rules;
    call->world.others = site->others;
    call->world.notify = site->notify != NULL;
    if (site->directory) {
        call->users.r = r;
        call->users.directory = site->directory;
        call->users.attributes = site->ldap->attributes;
        call->directory.context = &call->users;
        call->directory.check = mdm_directory_request_check;
        call->world.directory = &call->directory;
    }
    call->world.serials = site->serials;
    call->world.policy = site->requirements->nelts ? &call->policy : NULL;
    call->world.now = mdm_clock_now;
    call->world.random = mdm_random_bytes;
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
    case MDM_ENDPOINT_CA:
        return mdm_endpoint_ca(call);
    case MDM_ENDPOINT_CRL:
        return mdm_endpoint_crl(call);
    case MDM_ENDPOINT_DIRECT:
        return mdm_endpoint_direct(call);
    case MDM_ENDPOINT_UPDATE:
        return mdm_endpoint_update(call);
    case MDM_ENDPOINT_ACME:
        return mdm_endpoint_acme(call);
    default:
        return DECLINED;
    }
}

static mdm_result_t check_https(request_rec *r, mdm_endpoint_t endpoint)
{
    if (secure(r, endpoint))
        return mdm_result_ok();
    return mdm_result_make(r->pool, MDM_MSG_HTTP_NOT_SECURE, "%s",
                           mdm_conf_server(r->server)->site
                               ? "the request came by plain http; wanted: https, or "
                                 "MDMEnrollBaseURL if a proxy ends TLS"
                               : "the endpoint was inherited by a vhost that has neither TLS nor "
                                 "MDMEnrollBaseURL with MDMEnrollSigner");
}

int mdm_endpoint_refuse(request_rec *r, mdm_result_t result)
{
    /* Where a browser comes to, a person reads the answer as it is. */
    return is_for_people(endpoint_of(r)) ? mdm_http_refuse_page(r, result)
                                         : mdm_http_refuse(r, result);
}

int mdm_endpoint_handle(request_rec *r)
{
    mdm_endpoint_t endpoint = endpoint_of(r);
    const mdm_site_t *site = mdm_conf_server(r->server)->site;
    mdm_result_t result;
    mdm_call_t call;
    int status;

    if (endpoint == MDM_ENDPOINT_NONE)
        return DECLINED;
    result = check_https(r, endpoint);
    if (result.kind == MDM_OK && !site->store)
        result = mdm_result_make(r->pool, MDM_MSG_STORE_UNAVAILABLE,
                                 "this process could not set its store up");
    if (result.kind != MDM_OK)
        return mdm_endpoint_refuse(r, result);
    make_call(&call, r, site);
    status = dispatch(&call, endpoint);
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

const char *mdm_endpoint_parameter(request_rec *r, const char *name)
{
    const char *args = r->args ? r->args : "";
    apr_size_t len = strlen(name);

    while (*args) {
        const char *one = ap_getword(r->pool, &args, '&');

        if (!strncmp(one, name, len) && one[len] == '=')
            return one + len + 1;
    }
    return NULL;
}

int mdm_endpoint_reply(mdm_call_t *call, mdm_result_t result, const mdm_ota_reply_t *reply,
                       const mdm_ota_facts_t *facts)
{
    request_rec *r = call->r;
    const mdm_device_t *device = facts->device;
    const char *about, *phase = facts->phase ? apr_itoa(r->pool, facts->phase) : NULL;

    if (!phase && endpoint_of(r) != MDM_ENDPOINT_PROFILE && endpoint_of(r) != MDM_ENDPOINT_DEVICE)
        phase = mdm_endpoint_name(endpoint_of(r));
    mdm_http_variable(r, "MDM_PHASE", phase);
    mdm_http_variable(r, "MDM_ENROLLMENT", facts->enrollment);
    mdm_http_variable(r, "MDM_USER", facts->user);
    mdm_http_device(r, device);
    if (result.kind != MDM_OK)
        return mdm_endpoint_refuse(r, result);
    mdm_http_variable(r, "MDM_EVENT", facts->event);
    about = device ? apr_psprintf(r->pool, ", UDID %s, serial %s, product %s", device->udid,
                                  device->serial, mdm_result_quote_text(r->pool, device->product))
                   : "";
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "%s%s: %s%senrollment %s, user %s%s",
                  facts->phase ? "phase " : "", phase, facts->event, *facts->event ? ": " : "",
                  facts->enrollment, facts->user, about);
    return mdm_http_send(r, MDM_PROFILE_TYPE, reply->body, reply->len);
}
