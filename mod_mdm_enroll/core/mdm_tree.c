/* SPDX-License-Identifier: Apache-2.0
 * Property lists whose strings hold expressions. Depends on mdm_plist, mdm_text.
 */
#include "mdm_tree.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

/* A node: a text to evaluate, a container, or (both NULL) something to be copied as it is. Reading
 * a container of mdm_plist allocates in its pool, which must not happen once there are threads: so
 * all of it is taken apart here. */
struct mdm_tree_t {
    mdm_plist_t *node;
    const char *path;
    const mdm_text_t *text;
    apr_array_header_t *children; /* child_t */
    int lively;                   /* there is something to evaluate in it */
};

typedef struct child_t {
    const char *key; /* NULL: in an array */
    mdm_tree_t *tree;
} child_t;

/* What is being compiled. */
typedef struct visit_t {
    apr_pool_t *p;
    const mdm_text_compiler_t *compiler;
    mdm_tree_t *tree;
    const char *error;
} visit_t;

static void add(visit_t *visit, const char *key, mdm_plist_t *node, const char *path)
{
    child_t child = {key, NULL};

    visit->error = mdm_tree_compile(visit->p, node, path, visit->compiler, &child.tree);
    if (visit->error != NULL)
        return;
    if (child.tree->lively)
        visit->tree->lively = 1;
    else
        child.tree->children = NULL;
    APR_ARRAY_PUSH(visit->tree->children, child_t) = child;
}

static int add_entry(void *ctx, const char *key, mdm_plist_t *value)
{
    visit_t *visit = ctx;
    const char *above = visit->tree->path;
    int open = above[0] == '\0' || above[strlen(above) - 1] == ' ';
    const char *path = apr_pstrcat(visit->p, above, open ? "" : ".", key, NULL);

    if (strstr(key, "%{") != NULL)
        visit->error = apr_pstrcat(visit->p, path, ": wanted is a key without expressions", NULL);
    else
        add(visit, apr_pstrdup(visit->p, key), value, path);
    return visit->error != NULL;
}

static const char *compile_text(apr_pool_t *p, const mdm_text_compiler_t *compiler,
                                mdm_tree_t *tree)
{
    const char *source = mdm_plist_string(tree->node), *error;
    const mdm_text_t *text;

    error = mdm_text_parse(p, source, compiler, MDM_TEXT_PLAIN, &text);
    if (error != NULL)
        return apr_pstrcat(p, tree->path, ": ", error, NULL);
    if (mdm_text_fixed(text) == NULL || strcmp(mdm_text_fixed(text), source) != 0) {
        tree->text = text;
        tree->lively = 1;
    }
    return NULL;
}

const char *mdm_tree_compile(apr_pool_t *p, mdm_plist_t *node, const char *path,
                             const mdm_text_compiler_t *compiler, mdm_tree_t **tree)
{
    mdm_tree_t *made = apr_pcalloc(p, sizeof(*made));
    visit_t visit = {p, compiler, made, NULL};

    made->node = node;
    made->path = path;
    switch (mdm_plist_type(node)) {
    case MDM_PLIST_STRING:
        visit.error = compile_text(p, compiler, made);
        break;
    case MDM_PLIST_ARRAY:
        made->children = apr_array_make(p, 4, sizeof(child_t));
        for (apr_size_t i = 0; i < mdm_plist_size(node) && visit.error == NULL; i++)
            add(&visit, NULL, mdm_plist_item(node, i), apr_psprintf(p, "%s[%d]", path, (int)i));
        break;
    case MDM_PLIST_DICT:
        made->children = apr_array_make(p, 8, sizeof(child_t));
        mdm_plist_each(node, add_entry, &visit);
        break;
    default:
        break;
    }
    if (visit.error != NULL)
        return visit.error;
    *tree = made;
    return NULL;
}

static mdm_result_t value_of(apr_pool_t *p, const mdm_tree_t *tree,
                             const mdm_text_evaluator_t *evaluator,
                             const struct mdm_enrollment_t *row, const char **value)
{
    mdm_result_t r = mdm_text_value(p, tree->text, evaluator, row, value);

    if (r.kind != MDM_OK)
        return mdm_result_make(p, MDM_MSG_TEXT, "%s: %s", tree->path, r.log);
    /* Not the value: what a file or an attribute gives may be a password. */
    if (!mdm_plist_text_ok(*value))
        return mdm_result_make(
            p, MDM_MSG_TEXT, "%s, from \"%s\": wanted is UTF-8 text that XML can carry, not %s",
            tree->path, mdm_text_source(tree->text),
            strchr(*value, '\r') != NULL ? "with a carriage return" : "other bytes");
    return r;
}

/* Put what a child stands for into its container. */
static mdm_result_t put(apr_pool_t *p, const child_t *child, const mdm_text_evaluator_t *evaluator,
                        const struct mdm_enrollment_t *row, mdm_plist_t *container)
{
    const mdm_tree_t *tree = child->tree;
    mdm_plist_t *made = tree->node; /* which is copied, being no root */
    mdm_result_t r = mdm_result_ok();
    const char *value;

    if (tree->text != NULL) {
        r = value_of(p, tree, evaluator, row, &value);
        if (r.kind == MDM_OK && child->key != NULL)
            mdm_plist_set_string(container, child->key, value);
        else if (r.kind == MDM_OK)
            mdm_plist_append_string(container, value);
        return r;
    }
    if (tree->children != NULL) {
        made =
            mdm_plist_type(tree->node) == MDM_PLIST_ARRAY ? mdm_plist_array(p) : mdm_plist_dict(p);
        for (int i = 0; i < tree->children->nelts && r.kind == MDM_OK; i++)
            r = put(p, &APR_ARRAY_IDX(tree->children, i, child_t), evaluator, row, made);
    }
    if (r.kind == MDM_OK && child->key != NULL)
        mdm_plist_set(container, child->key, made);
    else if (r.kind == MDM_OK)
        mdm_plist_append(container, made);
    return r;
}

mdm_result_t mdm_tree_make(apr_pool_t *p, const mdm_tree_t *tree,
                           const mdm_text_evaluator_t *evaluator,
                           const struct mdm_enrollment_t *row, mdm_plist_t *dict)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; i < tree->children->nelts && r.kind == MDM_OK; i++)
        r = put(p, &APR_ARRAY_IDX(tree->children, i, child_t), evaluator, row, dict);
    return r;
}
