/* SPDX-License-Identifier: Apache-2.0
 * Challenges from a program of the site.
 */
#include "challenge_source.h"

#include <apr_strings.h>

#include "program.h"

typedef struct exec_t {
    mdm_challenge_source_t source;
    const char *path;
    apr_interval_time_t timeout;
} exec_t;

static mdm_result_t failed(apr_pool_t *p, const exec_t *exec, const char *why)
{
    return mdm_result_make(p, MDM_MSG_CHALLENGE_SOURCE, "%s %s", exec->path, why);
}

static const char *variable(apr_pool_t *p, const char *name, const char *value)
{
    return apr_pstrcat(p, name, value, NULL);
}

static mdm_result_t run_program(apr_pool_t *p, const exec_t *exec, const mdm_enrollment_t *row,
                                mdm_purpose_t purpose, const char **challenge)
{
    const char *const env[] = {variable(p, "MDM_ENROLLMENT=", row->id),
                               variable(p, "MDM_USER=", row->user),
                               variable(p, "MDM_UDID=", row->udid),
                               variable(p, "MDM_SERIAL=", row->serial),
                               variable(p, "MDM_PRODUCT=", row->product),
                               variable(p, "MDM_PURPOSE=", mdm_purpose_name(purpose)),
                               NULL};
    const mdm_program_t program = {
        .path = exec->path, .timeout = exec->timeout, .env = env, .most = MDM_CHALLENGE_MAX_BYTES};
    const char *output = "", *why;
    apr_size_t len = 0;

    why = mdm_program_run(p, &program, &output, &len);
    if (why != NULL)
        return failed(p, exec, why);
    *challenge = mdm_challenge_first_line(p, output, len);
    if (*challenge != NULL)
        return mdm_result_ok();
    return failed(p, exec,
                  apr_psprintf(p,
                               "printed %s; wanted is the challenge as the first line, 1 to %d "
                               "bytes of text",
                               len == 0 ? "nothing" : "no challenge", MDM_IDENTITY_MAX_CHALLENGE));
}

static mdm_result_t ask(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge)
{
    const exec_t *exec = context;
    mdm_result_t r = mdm_challenge_begin(p);

    if (r.kind != MDM_OK)
        return r;
    r = run_program(p, exec, row, purpose, challenge);
    mdm_challenge_end();
    return r;
}

const mdm_challenge_source_t *mdm_challenge_exec(apr_pool_t *p, const char *path,
                                                 apr_interval_time_t timeout)
{
    exec_t *exec = apr_palloc(p, sizeof(*exec));

    *exec = (exec_t){.source = {.context = exec, .ask = ask}, .path = path, .timeout = timeout};
    return &exec->source;
}
