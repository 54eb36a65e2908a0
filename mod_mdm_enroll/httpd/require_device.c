/* SPDX-License-Identifier: Apache-2.0
 * The provider "mdm-device" of mod_authz_core.
 *
 * mod_authz_core knows granted, denied and 500. Where store or directory are out of reach, 503 is
 * the truth, and what a device tries again after: the request is marked, goes on as if it had been
 * granted, and is ended with 503 by the next hook, of those that come between authorization and
 * content. Every request passes fixups before its handler, and the handler hook looks once more;
 * nothing is served, whatever else the configuration grants.
 */
#include "require_device.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>
#include <mod_auth.h>

#include <ap_provider.h>
#include <openssl/err.h>

#include "conf.h"
#include "device_guard.h"
#include "http.h"
#include "log.h"

APLOG_USE_MODULE(mdm_enroll);

static const char provider_name[] = "mdm-device";

/* One "Require mdm-device". */
typedef struct require_t {
    const ap_expr_info_t *expression; /* NULL: any device */
    const char *source;
    int wants_user; /* it needs REMOTE_USER, and holds for nobody who has not signed in */
    int negated;    /* granted here is denied there */
    int decides;    /* who is refused here is refused altogether */
} require_t;

/* What is known of one request: it may be asked for several times, before and after authentication
 * and by several lines. */
typedef struct state_t {
    const request_rec *r; /* an internal redirect has the pool of the request that it follows */
    int asked;
    mdm_result_t result; /* of asking for the device */
    mdm_known_device_t device;
    int admitted;    /* a line was fulfilled: the variables stand */
    int told;        /* that there is no device; not a second time */
    int unavailable; /* to be ended with 503 */
} state_t;

static const char state_key[] = "mdm_enroll_require_device";

static state_t *known_state(const request_rec *r)
{
    void *state = NULL;

    apr_pool_userdata_get(&state, state_key, r->pool);
    return state && ((state_t *)state)->r == r ? state : NULL;
}

static state_t *state_of(request_rec *r)
{
    state_t *state = known_state(r);

    if (!state) {
        state = apr_pcalloc(r->pool, sizeof(*state));
        state->r = r;
        apr_pool_userdata_setn(state, state_key, NULL, r->pool);
    }
    return state;
}

/* --- configuration --- */

static int is_section(const ap_directive_t *node, const char *name)
{
    return node && !ap_cstr_casecmp(node->directive, name);
}

/* Whether nothing else in the same <RequireAny>, written or not, can admit whom this one does not.
 */
static int is_alone(const ap_directive_t *node)
{
    const ap_directive_t *other = node->parent ? node->parent->first_child : ap_conftree;
    int count = 0;

    for (; other; other = other->next)
        count += !ap_cstr_casecmp(other->directive, "Require") ||
                 !ap_cstr_casecmpn(other->directive, "<Require", 8);
    return count == 1;
}

/* What the sections around a line make of its outcome. */
static void look_around(const ap_directive_t *node, require_t *require)
{
    const char *args = node->args;

    require->negated = !ap_cstr_casecmpn(args, "not", 3) && apr_isspace(args[3]);
    require->decides = !require->negated;
    for (; node->parent; node = node->parent) {
        if (is_section(node->parent, "<RequireNone"))
            require->negated = !require->negated;
        if (is_section(node->parent, "<RequireNone"))
            require->decides = 0;
        else if (!is_section(node->parent, "<RequireAll"))
            require->decides &= is_alone(node);
        if (ap_cstr_casecmpn(node->parent->directive, "<Require", 8))
            break;
    }
}

/* The expression, in quotes or not. */
static const char *unquote(apr_pool_t *p, const char *line)
{
    const char *rest = line, *word;

    if (*line != '"' && *line != '\'')
        return line;
    word = ap_getword_conf(p, &rest);
    return *rest ? line : word;
}

/* In .htaccess, while requests are served, nothing of the server's configuration can change. */
static void note_guard(cmd_parms *cmd)
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_RUN_MPM)
        return;
    /* httpd makes one at the first directive of the module's own. */
    if (!conf) {
        conf = mdm_conf_create_server(cmd->pool, cmd->server);
        ap_set_module_config(cmd->server->module_config, &mdm_enroll_module, conf);
    }
    if (conf->guard)
        return;
    conf->guard = cmd->directive;
    conf->guard_server = cmd->server;
}

static const char *parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    require_t *require = apr_pcalloc(cmd->pool, sizeof(*require));
    const char *error = NULL;

    while (apr_isspace(*line))
        line++;
    require->source = unquote(cmd->pool, line);
    if (*line) {
        require->expression =
            ap_expr_parse_cmd(cmd, require->source, AP_EXPR_FLAG_DONT_VARY, &error, NULL);
        if (error)
            return mdm_conf_refuse_expression(cmd, provider_name, require->source, error,
                                              "an expression of httpd");
        if (ap_strcasestr(require->source, "%{MDM_LDAP_"))
            return apr_psprintf(cmd->pool,
                                "%s: \"%s\" has an attribute of the directory (MDM_LDAP_*), and "
                                "those are not known here; wanted: MDM_USER, MDM_UDID and the like",
                                provider_name, require->source);
        require->wants_user = ap_strcasestr(require->source, "REMOTE_USER") != NULL;
    }
    look_around(cmd->directive, require);
    note_guard(cmd);
    *parsed = require;
    return NULL;
}

/* --- requests --- */

static mdm_result_t ask(request_rec *r, mdm_known_device_t *device)
{
    const mdm_site_t *site = mdm_conf_server(r->server)->site;
    const char *verified =
        ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");
    const char *pem;
    int ended = 0;
    mdm_result_t result;

    if (!verified || strcmp(verified, "SUCCESS") != 0)
        return mdm_result_make(r->pool, MDM_MSG_DEVICE_REFUSED,
                               "no client certificate that mod_ssl verified (SSL_CLIENT_VERIFY is "
                               "\"%s\")",
                               verified ? mdm_result_quote_text(r->pool, verified) : "");
    pem = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT");
    if (!pem || !*pem)
        return mdm_result_make(r->pool, MDM_MSG_DEVICE_REFUSED, "no client certificate");
    if (!site || !site->guarded)
        return mdm_result_make(r->pool, MDM_MSG_DEVICE_NOT_SERVED,
                               "this virtual host knows no devices: wanted is \"Require "
                               "mdm-device\" also outside of .htaccess, and the settings of the "
                               "enrollment");
    if (!site->guard)
        return mdm_result_make(r->pool, MDM_MSG_STORE_UNAVAILABLE,
                               "this process could not set its store up");
    result = mdm_device_guard_ask(site->guard, r->pool, pem, device, &ended);
    if (ended)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "certificate %s of enrollment %s is in use: %d before it superseded",
                      device->certificate, device->enrollment, ended);
    /* libldap and libpq, where they are built on OpenSSL, leave errors to the thread's next user.
     */
    ERR_clear_error();
    return result;
}

static void set_variables(request_rec *r, const mdm_known_device_t *device)
{
    static const mdm_known_device_t none;
    const mdm_known_device_t *d = device ? device : &none;

    mdm_http_variable(r, "MDM_ENROLLMENT", d->enrollment);
    mdm_http_variable(r, "MDM_USER", d->user);
    mdm_http_variable(r, "MDM_UDID", d->udid);
    mdm_http_variable(r, "MDM_SERIAL", d->serial);
    mdm_http_variable(r, "MDM_PRODUCT", d->product);
    mdm_http_variable(r, "MDM_OS_VERSION", d->os_version);
    mdm_http_variable(r, "MDM_CERTIFICATE", d->certificate);
    mdm_http_variable(r, "MDM_FLOW", d->flow);
}

static mdm_result_t evaluate(request_rec *r, const require_t *require,
                             const mdm_known_device_t *device)
{
    const char *error = NULL;
    int holds;

    if (!require->expression)
        return mdm_result_ok();
    holds = ap_expr_exec(r, require->expression, &error);
    if (holds < 0 || error)
        return mdm_result_make(r->pool, MDM_MSG_DEVICE_EXPRESSION_FAILED,
                               "Require mdm-device \"%s\" (%s:%u) cannot be evaluated: %s",
                               require->source, require->expression->filename,
                               require->expression->line_number, error ? error : "no reason given");
    if (holds)
        return mdm_result_ok();
    return mdm_result_make(r->pool, MDM_MSG_DEVICE_EXPRESSION,
                           "Require mdm-device \"%s\" (%s:%u) does not hold for certificate %s of "
                           "enrollment %s, user %s, UDID %s, serial %s",
                           require->source, require->expression->filename,
                           require->expression->line_number, device->certificate,
                           device->enrollment, mdm_result_quote_text(r->pool, device->user),
                           mdm_result_quote_text(r->pool, device->udid),
                           mdm_result_quote_text(r->pool, device->serial));
}

/* One line. Where something else may admit whom this line does not, that is no warning. */
static void tell(request_rec *r, const require_t *require, const mdm_result_t *result)
{
    mdm_http_variable(r, "MDM_RESULT", mdm_result_code(r->pool, result->message));
    if (result->kind == MDM_REFUSED && !require->decides)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "%s: %s",
                      mdm_result_code(r->pool, result->message), result->log);
    else
        mdm_log_result(r, result);
}

static authz_status refuse(request_rec *r, state_t *state, const require_t *require,
                           const mdm_result_t *result)
{
    /* What another line of the same request was fulfilled by stays true. */
    if (!state->admitted)
        set_variables(r, NULL);
    if (state->result.kind == MDM_OK || !state->told)
        tell(r, require, result);
    state->told = 1;
    if (result->kind == MDM_REFUSED)
        return AUTHZ_DENIED;
    if (result->kind != MDM_UNAVAILABLE)
        return AUTHZ_GENERAL_ERROR;
    state->unavailable = 1;
    return require->negated ? AUTHZ_DENIED : AUTHZ_GRANTED;
}

static authz_status check(request_rec *r, const char *line, const void *parsed)
{
    const require_t *require = parsed;
    state_t *state = state_of(r);
    mdm_result_t result;

    (void)line;
    if (!state->asked) {
        state->result = ask(r, &state->device);
        state->asked = 1;
    }
    result = state->result;
    if (result.kind == MDM_OK && require->wants_user && !r->user)
        return AUTHZ_DENIED_NO_USER;
    if (result.kind == MDM_OK) {
        set_variables(r, &state->device);
        result = evaluate(r, require, &state->device);
    }
    if (result.kind != MDM_OK)
        return refuse(r, state, require, &result);
    state->admitted = 1;
    return AUTHZ_GRANTED;
}

/* --- 503 --- */

/* Hooks check_user_id, fixups and handler. */
static int end_unavailable(request_rec *r)
{
    const state_t *state = known_state(r);

    if (!state || !state->unavailable)
        return DECLINED;
    apr_table_setn(r->err_headers_out, "Retry-After", MDM_HTTP_RETRY_AFTER);
    return HTTP_SERVICE_UNAVAILABLE;
}

void mdm_require_register(apr_pool_t *p)
{
    static const authz_provider provider = {check, parse};

    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, provider_name, AUTHZ_PROVIDER_VERSION,
                              &provider, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(end_unavailable, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(end_unavailable, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(end_unavailable, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
