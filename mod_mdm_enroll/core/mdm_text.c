/* SPDX-License-Identifier: Apache-2.0
 * Texts with expressions. Depends on mdm_result.
 */
#include "mdm_text.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>

/* Constant, or an expression. */
typedef struct part_t {
    const char *constant;
    const void *expression;
} part_t;

struct mdm_text_t {
    const char *source;
    const char *fixed; /* NULL: there are expressions */
    const apr_array_header_t *parts;
    mdm_text_escape_t escape;
};

/* The length of "%{…}" at source; 0 if it does not end. */
static apr_size_t expression_length(const char *source)
{
    int depth = 0;

    for (const char *c = source + 1; *c != '\0'; c++) {
        if (*c == '{')
            depth++;
        if (*c == '}' && --depth == 0)
            return (apr_size_t)(c - source) + 1;
    }
    return 0;
}

static void add_constant(apr_array_header_t *parts, const char *constant)
{
    part_t part = {constant, NULL};

    if (constant[0] != '\0')
        APR_ARRAY_PUSH(parts, part_t) = part;
}

static const char *add_expression(apr_pool_t *p, const mdm_text_compiler_t *compiler,
                                  const char *source, apr_array_header_t *parts)
{
    part_t part = {NULL, NULL};
    const char *error;

    if (compiler == NULL)
        return apr_psprintf(p, "\"%s\": wanted is a text without expressions", source);
    error = compiler->compile(compiler->context, p, source, &part.expression);
    if (error != NULL)
        return apr_psprintf(p, "\"%s\" cannot be compiled: %s", source, error);
    APR_ARRAY_PUSH(parts, part_t) = part;
    return NULL;
}

/* Constants that stand side by side as one; NULL if there are expressions. */
static const char *join(apr_pool_t *p, const apr_array_header_t *parts)
{
    const char *joined = "";

    for (int i = 0; i < parts->nelts; i++) {
        const part_t *part = &APR_ARRAY_IDX(parts, i, part_t);
        if (part->constant == NULL)
            return NULL;
        joined = apr_pstrcat(p, joined, part->constant, NULL);
    }
    return joined;
}

const char *mdm_text_parse(apr_pool_t *p, const char *source, const mdm_text_compiler_t *compiler,
                           mdm_text_escape_t escape, const mdm_text_t **text)
{
    apr_array_header_t *parts = apr_array_make(p, 4, sizeof(part_t));
    mdm_text_t *made = apr_pcalloc(p, sizeof(*made));
    const char *from = source, *c = source;

    while ((c = strstr(c, "%{")) != NULL) {
        apr_size_t len = expression_length(c);
        const char *error;

        if (c > from && c[-1] == '%') {
            add_constant(parts, apr_pstrmemdup(p, from, (apr_size_t)(c - from) - 1));
            add_constant(parts, "%{");
            from = c += 2;
            continue;
        }
        if (len == 0)
            return apr_psprintf(p, "\"%s\": wanted is a } at the end of each %%{", source);
        add_constant(parts, apr_pstrmemdup(p, from, (apr_size_t)(c - from)));
        error = add_expression(p, compiler, apr_pstrmemdup(p, c, len), parts);
        if (error != NULL)
            return error;
        from = c += len;
    }
    add_constant(parts, apr_pstrdup(p, from));
    made->source = apr_pstrdup(p, source);
    made->fixed = join(p, parts);
    made->parts = parts;
    made->escape = escape;
    *text = made;
    return NULL;
}

const mdm_text_t *mdm_text_constant(apr_pool_t *p, const char *source)
{
    mdm_text_t *made = apr_pcalloc(p, sizeof(*made));

    made->source = made->fixed = apr_pstrdup(p, source);
    return made;
}

const char *mdm_text_source(const mdm_text_t *text)
{
    return text->source;
}

const char *mdm_text_fixed(const mdm_text_t *text)
{
    return text->fixed;
}

static const char *escape_url(apr_pool_t *p, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    char *escaped = apr_palloc(p, 3 * strlen(value) + 1), *to = escaped;

    for (; *value != '\0'; value++) {
        if (apr_isascii(*value) && (apr_isalnum(*value) || strchr("-._~", *value) != NULL)) {
            *to++ = *value;
        } else {
            *to++ = '%';
            *to++ = hex[(unsigned char)*value >> 4];
            *to++ = hex[(unsigned char)*value & 0x0f];
        }
    }
    *to = '\0';
    return escaped;
}

mdm_result_t mdm_text_value(apr_pool_t *p, const mdm_text_t *text,
                            const mdm_text_evaluator_t *evaluator,
                            const struct mdm_enrollment_t *row, const char **value)
{
    const char *made = "";

    if (text->fixed != NULL) {
        *value = text->fixed;
        return mdm_result_ok();
    }
    if (evaluator == NULL)
        return mdm_result_make(p, MDM_MSG_TEXT, "\"%s\" cannot be evaluated here", text->source);
    for (int i = 0; i < text->parts->nelts; i++) {
        const part_t *part = &APR_ARRAY_IDX(text->parts, i, part_t);
        const char *one = part->constant;

        if (one == NULL) {
            mdm_result_t r =
                evaluator->evaluate(evaluator->context, p, part->expression, row, &one);
            if (r.kind != MDM_OK)
                return mdm_result_make(p, MDM_MSG_TEXT, "\"%s\": %s", text->source, r.log);
            if (text->escape == MDM_TEXT_URL)
                one = escape_url(p, one);
        }
        if (strlen(made) + strlen(one) > MDM_TEXT_MAX_BYTES)
            return mdm_result_make(p, MDM_MSG_TEXT, "\"%s\" has more than %d bytes for this device",
                                   text->source, MDM_TEXT_MAX_BYTES);
        made = apr_pstrcat(p, made, one, NULL);
    }
    *value = made;
    return mdm_result_ok();
}
