/* SPDX-License-Identifier: Apache-2.0
 * How a request reaches its endpoint, and what every endpoint has at hand. The endpoints are thin:
 * they take HTTP apart, call core, and put HTTP together again.
 */
#ifndef MDM_ENDPOINT_H
#define MDM_ENDPOINT_H

#include <httpd.h>

#include "conf.h"
#include "policy_expr.h"

/* Of every profile; what makes a device take it for one. */
#define MDM_PROFILE_TYPE "application/x-apple-aspen-config"

/* One request at an endpoint, and the world that core sees during it. */
typedef struct mdm_call_t {
    request_rec *r;
    const mdm_site_t *site;
    mdm_policy_expr_t expressions;
    mdm_policy_t policy;
    mdm_world_t world;
} mdm_call_t;

/* Hook header_parser, before httpd asks for a password: nothing that an endpoint answers may be
 * kept, and what needs https is not served, nor asked a password for, without it. */
int mdm_endpoint_guard(request_rec *r);

/* Hook fixups, before mod_ssl's, where SSLUserName puts the name of a certificate in r->user that
 * perhaps nobody verified: remember whom httpd authenticated. */
int mdm_endpoint_remember(request_rec *r);

/* That user; "" if there is none. */
const char *mdm_endpoint_user(const request_rec *r);

/* Hook fixups: every request in the <Location> of an endpoint belongs to the module, whatever else
 * might map it (FallbackResource, RewriteRule in .htaccess); the handler serves the very path only,
 * the others are 404. */
int mdm_endpoint_claim(request_rec *r);

/* Hook handler. */
int mdm_endpoint_handle(request_rec *r);

/* The endpoints; each returns what the handler is to return. */
int mdm_endpoint_profile(mdm_call_t *call);
int mdm_endpoint_device(mdm_call_t *call);
int mdm_endpoint_scep(mdm_call_t *call);

/* What core needs to know of the request: the signer and the URLs of this vhost. */
mdm_ota_request_t mdm_endpoint_request(const mdm_call_t *call);

/* Answer with a profile, or refuse; tell LogFormat and, in one line, the log what it was about. */
int mdm_endpoint_reply(mdm_call_t *call, mdm_result_t result, const mdm_ota_reply_t *reply,
                       const mdm_ota_facts_t *facts);

#endif
