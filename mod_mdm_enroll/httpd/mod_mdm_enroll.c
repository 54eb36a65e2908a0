/* SPDX-License-Identifier: Apache-2.0
 * The module record and its hooks; everything else is behind the headers named here.
 */
#include <httpd.h>

#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>

#include "conf.h"
#include "endpoint.h"
#include "policy_expr.h"
#include "require_device.h"
#include "signer_ssl.h"

static void register_hooks(apr_pool_t *p)
{
    static const char *const ssl[] = {"mod_ssl.c", NULL};
    static const char *const dir[] = {"mod_dir.c", NULL};
    static const char *const watchdog[] = {"mod_watchdog.c", NULL};

    mdm_require_register(p);
    ap_hook_expr_lookup(mdm_policy_expr_lookup, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(mdm_conf_check, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, init_server, mdm_signer_ssl_init_server, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(mdm_conf_start, ssl, NULL, APR_HOOK_MIDDLE);
    /* Before mod_watchdog has threads, which use what is made here. */
    ap_hook_child_init(mdm_conf_start_child, NULL, watchdog, APR_HOOK_MIDDLE);
    ap_hook_map_to_storage(mdm_endpoint_store, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access_ex(mdm_endpoint_access, NULL, NULL, APR_HOOK_REALLY_FIRST,
                            AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(mdm_endpoint_remember, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(mdm_endpoint_remember_certificate, NULL, ssl, APR_HOOK_REALLY_FIRST);
    /* Late, after what might claim the request too, but before mod_dir's FallbackResource, which
     * redirects whatever has no handler yet. */
    ap_hook_fixups(mdm_endpoint_claim, NULL, dir, APR_HOOK_LAST);
    ap_hook_handler(mdm_endpoint_handle, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

AP_DECLARE_MODULE(mdm_enroll) = {
    STANDARD20_MODULE_STUFF,
    NULL,
    NULL,
    mdm_conf_create_server,
    mdm_conf_merge_server,
    mdm_conf_directives,
    register_hooks,
    AP_MODULE_FLAG_ALWAYS_MERGE,
};
