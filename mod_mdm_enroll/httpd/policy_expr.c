/* SPDX-License-Identifier: Apache-2.0
 * Policy by expressions of httpd.
 */
#include "policy_expr.h"

#include <string.h>

#include <apr_strings.h>

#include "directory_attributes.h"
#include "http.h"

static const char *const variables[] = {"MDM_UDID",        "MDM_SERIAL", "MDM_PRODUCT",
                                        "MDM_OS_VERSION",  "MDM_USER",   "MDM_ENROLLMENT",
                                        "MDM_CERTIFICATE", "MDM_FLOW",   NULL};

static const char *variable_value(ap_expr_eval_ctx_t *ctx, const void *name)
{
    return apr_table_get(ctx->r->subprocess_env, name);
}

static char *upper(apr_pool_t *p, const char *name, apr_size_t len)
{
    char *copy = apr_pstrmemdup(p, name, len);

    ap_str_toupper(copy);
    return copy;
}

int mdm_policy_expr_lookup(ap_expr_lookup_parms *parms)
{
    int i;

    if (parms->type != AP_EXPR_FUNC_VAR)
        return DECLINED;
    for (i = 0; variables[i]; i++) {
        if (!ap_cstr_casecmp(parms->name, variables[i])) {
            *parms->func = variable_value;
            *parms->data = variables[i];
            return OK;
        }
    }
    if (ap_cstr_casecmpn(parms->name, MDM_LDAP_PREFIX, strlen(MDM_LDAP_PREFIX)))
        return DECLINED;
    *parms->func = variable_value;
    *parms->data = upper(parms->pool, parms->name, strlen(parms->name));
    return OK;
}

const char *mdm_policy_expr_unfilled(apr_pool_t *p, const char *source,
                                     const apr_array_header_t *attributes)
{
    const char *all = upper(p, source, strlen(source)), *at = all;

    while ((at = strstr(at, "%{" MDM_LDAP_PREFIX)) != NULL) {
        apr_size_t len = strcspn(at, "}") - 2;
        const char *name = apr_pstrmemdup(p, at + 2, len);
        int i, filled = 0;

        for (i = 0; attributes && i < attributes->nelts && !filled; i++)
            filled = !strcmp(APR_ARRAY_IDX(attributes, i, mdm_ldap_attribute_t).variable, name);
        if (!filled)
            return name;
        at += 2;
    }
    return NULL;
}

static mdm_result_t ask_all(const mdm_policy_expr_t *policy, apr_pool_t *p,
                            const mdm_enrollment_t *row, const mdm_device_t *device)
{
    mdm_result_t result;
    int i;

    for (i = 0; i < policy->requirements->nelts; i++) {
        const mdm_requirement_t *one = APR_ARRAY_IDX(policy->requirements, i, mdm_requirement_t *);
        const char *error = NULL;
        int holds = ap_expr_exec(policy->r, one->expression, &error);

        if (holds < 0 || error)
            return mdm_result_make(p, MDM_MSG_POLICY_EXPRESSION,
                                   "MDMEnrollRequire \"%s\" (%s:%u) cannot be evaluated: %s",
                                   one->source, one->expression->filename,
                                   one->expression->line_number, error ? error : "no reason given");
        if (!holds) {
            result = mdm_result_make(
                p, MDM_MSG_POLICY_REFUSED,
                "MDMEnrollRequire \"%s\" (%s:%u) does not hold for user %s, UDID %s, serial %s, "
                "product %s, OS %s",
                one->source, one->expression->filename, one->expression->line_number,
                mdm_result_quote_text(p, row->user), mdm_result_quote_text(p, device->udid),
                mdm_result_quote_text(p, device->serial), mdm_result_quote_text(p, device->product),
                mdm_result_quote_text(p, device->os_version));
            if (one->text)
                result.user = one->text;
            return result;
        }
    }
    return mdm_result_ok();
}

/* Whoever the request is of (a device has no user at all, an MDM server is one of its own),
 * REMOTE_USER is whom the enrollment is for: else a rule against somebody would hold for him. */
mdm_result_t mdm_policy_expr_check(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                   const mdm_device_t *device)
{
    const mdm_policy_expr_t *policy = context;
    request_rec *r = policy->r;
    char *user = r->user;
    mdm_result_t result;

    mdm_http_variable(r, "MDM_USER", row->user);
    mdm_http_variable(r, "MDM_FLOW", row->flow);
    mdm_http_device(r, device);
    r->user = apr_pstrdup(r->pool, row->user);
    result = ask_all(policy, p, row, device);
    r->user = user;
    return result;
}
