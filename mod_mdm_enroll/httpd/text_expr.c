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

/* A request as it was before it spoke for a row. */
typedef struct before_t {
    const char *values[VARIABLES];
    char *user;
} before_t;

static const char *const names[VARIABLES] = {"MDM_USER",    "MDM_UDID",       "MDM_SERIAL",
                                             "MDM_PRODUCT", "MDM_OS_VERSION", "MDM_ENROLLMENT",
                                             "MDM_FLOW"};

static void speak_for(request_rec *r, const mdm_enrollment_t *row, before_t *before)
{
    const char *const values[VARIABLES] = {row->user,       row->udid, row->serial, row->product,
                                           row->os_version, row->id,   row->flow};
    int i;

    for (i = 0; i < VARIABLES; i++) {
        before->values[i] = apr_table_get(r->subprocess_env, names[i]);
        set(r, names[i], values[i]);
    }
    before->user = r->user;
    r->user = *row->user ? apr_pstrdup(r->pool, row->user) : NULL;
}

static void restore(request_rec *r, const before_t *before)
{
    int i;

    r->user = before->user;
    for (i = 0; i < VARIABLES; i++)
        set(r, names[i], before->values[i]);
}

static mdm_result_t evaluate(void *context, apr_pool_t *p, const void *expression,
                             const mdm_enrollment_t *row, const char **value)
{
    request_rec *r = context;
    const char *error = NULL, *made;
    before_t before;

    speak_for(r, row, &before);
    made = ap_expr_str_exec(r, expression, &error);
    restore(r, &before);
    if (error || !made)
        return mdm_result_make(p, MDM_MSG_TEXT, "%s", error ? error : "no value");
    *value = apr_pstrdup(p, made);
    return mdm_result_ok();
}

static mdm_result_t holds(void *context, apr_pool_t *p, const void *condition,
                          const mdm_enrollment_t *row, int *yes)
{
    request_rec *r = context;
    const char *error = NULL;
    before_t before;
    int answer;

    speak_for(r, row, &before);
    answer = ap_expr_exec(r, condition, &error);
    restore(r, &before);
    if (error || answer < 0)
        return mdm_result_make(p, MDM_MSG_TEXT, "%s", error ? error : "no answer");
    *yes = answer > 0;
    return mdm_result_ok();
}

mdm_text_evaluator_t mdm_text_expr_evaluator(request_rec *r)
{
    mdm_text_evaluator_t evaluator = {r, evaluate};

    return evaluator;
}

mdm_condition_t mdm_text_expr_condition(request_rec *r)
{
    mdm_condition_t condition = {r, holds};

    return condition;
}
