/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: expressions of two variables. Depends on core and pki.
 */
#include "text_fixture.h"

#include <string.h>

#include <apr_strings.h>

#include "pki.h"

static const char *compile(void *context, apr_pool_t *p, const char *source,
                           const void **expression)
{
    (void)context;
    if (strcmp(source, "%{user}") != 0 && strcmp(source, "%{serial}") != 0 &&
        strcmp(source, "%{broken}") != 0)
        return "there is no such variable";
    *expression = apr_pstrdup(p, source);
    return NULL;
}

static mdm_result_t evaluate(void *context, apr_pool_t *p, const void *expression,
                             const mdm_enrollment_t *row, const char **value)
{
    (void)context;
    if (strcmp(expression, "%{broken}") == 0)
        return mdm_result_make(p, MDM_MSG_TEXT, "no reason");
    *value = strcmp(expression, "%{user}") == 0 ? row->user : row->serial;
    return mdm_result_ok();
}

const mdm_text_compiler_t text_compiler = {NULL, compile};
const mdm_text_evaluator_t text_evaluator = {NULL, evaluate};

const char *text_setting(const char *payload, const char *key, const char *values,
                         const mdm_text_compiler_t *compiler, mdm_setting_t **setting)
{
    char *copy = apr_pstrdup(pki_pool, values), *last;
    const char *list[8];
    int count = 0;

    if (values[0] == '\0')
        list[count++] = "";
    for (char *v = apr_strtok(copy, "|", &last); v != NULL; v = apr_strtok(NULL, "|", &last))
        list[count++] = v;
    return mdm_schema_setting(pki_pool, payload, key, list, count, compiler, setting);
}
