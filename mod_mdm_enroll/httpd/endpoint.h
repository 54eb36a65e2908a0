/* SPDX-License-Identifier: Apache-2.0
 * How a request reaches its endpoint, and what every endpoint has at hand. The endpoints are thin:
 * they take HTTP apart, call core, and put HTTP together again.
 */
#ifndef MDM_ENDPOINT_H
#define MDM_ENDPOINT_H

#include <httpd.h>

#include "conf.h"
#include "directory_request.h"
#include "policy_expr.h"
#include "text_expr.h"

/* Of every profile; what makes a device take it for one. */
#define MDM_PROFILE_TYPE "application/x-apple-aspen-config"

/* One request at an endpoint, and the world that core sees during it. */
typedef struct mdm_call_t {
    request_rec *r;
    const mdm_site_t *site;
    mdm_directory_request_t users;
    mdm_directory_t directory;
    mdm_policy_expr_t expressions;
    mdm_policy_t policy;
    mdm_text_evaluator_t texts;
    mdm_condition_t conditions;
    mdm_world_t world;
} mdm_call_t;

/* Hook map_to_storage: an endpoint is no file and nobody's back end, whatever else maps its path
 * (ProxyPass, RewriteRule, a folder of that name). Nothing that it answers may be kept. */
int mdm_endpoint_store(request_rec *r);

/* Hook access_checker_ex: what the handler will refuse for want of https is not asked a password
 * for. A redirect to https, wherever it is configured, still comes before the handler. */
int mdm_endpoint_access(request_rec *r);

/* Hook auth_checker, which httpd calls once somebody is authenticated: remember whom. */
int mdm_endpoint_remember(request_rec *r);

/* Hook fixups, before mod_ssl's: the same for a name by SSLUserName, which counts only if mod_ssl
 * verified the certificate. */
int mdm_endpoint_remember_certificate(request_rec *r);

/* The user remembered; "" if there is none. */
const char *mdm_endpoint_user(const request_rec *r);

/* Hook fixups: the request is the module's, whatever else would handle it (FallbackResource,
 * SetHandler). */
int mdm_endpoint_claim(request_rec *r);

/* Hook handler. */
int mdm_endpoint_handle(request_rec *r);

/* The endpoints; each returns what the handler is to return. */
int mdm_endpoint_profile(mdm_call_t *call);
int mdm_endpoint_device(mdm_call_t *call);
int mdm_endpoint_scep(mdm_call_t *call);
int mdm_endpoint_ca(mdm_call_t *call);
int mdm_endpoint_crl(mdm_call_t *call);
int mdm_endpoint_direct(mdm_call_t *call);
int mdm_endpoint_update(mdm_call_t *call);
int mdm_endpoint_acme(mdm_call_t *call);

/* What core needs to know of the request: the signer and the URLs of this vhost. */
mdm_ota_request_t mdm_endpoint_request(const mdm_call_t *call);

/* The value of a parameter of the query as it stands there, not decoded; NULL if it is absent. */
const char *mdm_endpoint_parameter(request_rec *r, const char *name);

/* Refuse as the endpoint's client understands it. Returns what the handler is to return. */
int mdm_endpoint_refuse(request_rec *r, mdm_result_t result);

/* Answer with a profile, or refuse; tell LogFormat and, in one line, the log what it was about. */
int mdm_endpoint_reply(mdm_call_t *call, mdm_result_t result, const mdm_ota_reply_t *reply,
                       const mdm_ota_facts_t *facts);

#endif
