/* SPDX-License-Identifier: Apache-2.0
 * Texts with expressions of httpd.
 */
#include "text_expr.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_log.h>

APLOG_USE_MODULE(mdm_enroll);

/* The variables that a row gives. */
#define VARIABLES 7

static const char *compile(void *context, apr_pool_t *p, const char *source,
                           const void **expression)
{
    const cmd_parms *cmd = context;
    const char *error = NULL;
    const ap_expr_info_t *made;

    (void)p;
    made = ap_expr_parse_cmd(cmd, source, AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY,
                             &error, NULL);
    if (error)
        return error;
    *expression = made;
    return NULL;
}

mdm_text_compiler_t mdm_text_expr_compiler(cmd_parms *cmd)
{
    mdm_text_compiler_t compiler = {cmd, compile};

    return compiler;
}

static void set(request_rec *r, const char *name, const char *value)
{
    if (value && *value)
        apr_table_setn(r->subprocess_env, name, value);
    else
        apr_table_unset(r->subprocess_env, name);
}

static mdm_result_t evaluate(void *context, apr_pool_t *p, const void *expression,
                             const mdm_enrollment_t *row, const char **value)
{
    const struct {
        const char *name, *value;
    } variables[VARIABLES] = {{"MDM_USER", row->user},
                              {"MDM_UDID", row->udid},
                              {"MDM_SERIAL", row->serial},
                              {"MDM_PRODUCT", row->product},
                              {"MDM_OS_VERSION", row->os_version},
                              {"MDM_ENROLLMENT", row->id},
                              {"MDM_FLOW", row->flow}};
    const char *before[VARIABLES], *error = NULL, *made;
    request_rec *r = context;
    char *user = r->user;
    int i;

    for (i = 0; i < VARIABLES; i++) {
        before[i] = apr_table_get(r->subprocess_env, variables[i].name);
        set(r, variables[i].name, variables[i].value);
    }
    r->user = *row->user ? apr_pstrdup(r->pool, row->user) : NULL;
    made = ap_expr_str_exec(r, expression, &error);
    r->user = user;
    for (i = 0; i < VARIABLES; i++)
        set(r, variables[i].name, before[i]);
    if (error || !made)
        return mdm_result_make(p, MDM_MSG_TEXT, "%s", error ? error : "no value");
    *value = apr_pstrdup(p, made);
    return mdm_result_ok();
}

mdm_text_evaluator_t mdm_text_expr_evaluator(request_rec *r)
{
    mdm_text_evaluator_t evaluator = {r, evaluate};

    return evaluator;
}
