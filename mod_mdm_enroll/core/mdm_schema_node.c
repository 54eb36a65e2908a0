/* SPDX-License-Identifier: Apache-2.0
 * From nodes of a property list to settings: they are taken apart into the words that
 * MDMEnrollPayload would have, so that both are held to the same rules. Depends on mdm_plist,
 * mdm_text.
 */
#include "mdm_schema.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_schema_tables.h"

/* What collects the words of a dictionary. */
typedef struct words_t {
    apr_pool_t *p;
    apr_array_header_t *list; /* const char * */
    int ok;
} words_t;

static void add_word(words_t *words, const char *word)
{
    if (word != NULL)
        APR_ARRAY_PUSH(words->list, const char *) = word;
    else
        words->ok = 0;
}

static int add_entry(void *ctx, const char *key, mdm_plist_t *value)
{
    words_t *words = ctx;

    key = apr_pstrdup(words->p, key); /* it lives for this call only */
    if (mdm_plist_type(value) != MDM_PLIST_ARRAY) {
        add_word(words, key);
        add_word(words, mdm_plist_string(value));
    }
    for (apr_size_t i = 0; i < mdm_plist_size(value); i++) {
        add_word(words, key);
        add_word(words, mdm_plist_string(mdm_plist_item(value, i)));
    }
    return 0;
}

static void add_rdn(words_t *words, const mdm_plist_t *rdn)
{
    for (apr_size_t i = 0; i < mdm_plist_size(rdn); i++) {
        const mdm_plist_t *pair = mdm_plist_item(rdn, i);
        const char *type =
            mdm_plist_size(pair) == 2 ? mdm_plist_string(mdm_plist_item(pair, 0)) : NULL;

        add_word(words, type != NULL && i > 0 ? apr_pstrcat(words->p, "+", type, NULL) : type);
        add_word(words, type != NULL ? mdm_plist_string(mdm_plist_item(pair, 1)) : NULL);
    }
    words->ok &= mdm_plist_size(rdn) > 0;
}

/* A date in the words of XML, which is the only thing that libplist has always told of it. */
static const char *date_word(apr_pool_t *p, const mdm_plist_t *node)
{
    apr_size_t len;
    const char *xml = mdm_plist_to_xml(p, node, &len);
    const char *from = xml != NULL ? strstr(xml, "<date>") : NULL;
    const char *to = from != NULL ? strstr(from, "</date>") : NULL;

    return to != NULL ? apr_pstrmemdup(p, from + 6, (apr_size_t)(to - from) - 6) : NULL;
}

static void add_node(words_t *words, const mdm_schema_rule_t *rule, const mdm_plist_t *node)
{
    for (apr_size_t i = 0; rule->type == MDM_PLIST_ARRAY && i < mdm_plist_size(node); i++)
        if (rule->form == MDM_SCHEMA_RDNS)
            add_rdn(words, mdm_plist_item(node, i));
        else
            add_word(words, mdm_plist_string(mdm_plist_item(node, i)));
    if (rule->type == MDM_PLIST_ARRAY && mdm_plist_size(node) == 0 && rule->may_be_empty)
        add_word(words, MDM_SCHEMA_NOTHING);
    if (rule->type == MDM_PLIST_DICT)
        mdm_plist_each(node, add_entry, words);
    else if (mdm_plist_type(node) == MDM_PLIST_DATE)
        add_word(words, date_word(words->p, node));
    else if (rule->type != MDM_PLIST_ARRAY)
        add_word(words, mdm_plist_text(words->p, node));
}

/* What of other types may stand for a key's: a whole number for a real one; a text for a date,
 * since a date alone cannot say all that a date may be. */
static int fits(mdm_plist_type_t wanted, mdm_plist_type_t type)
{
    return type == wanted || (wanted == MDM_PLIST_REAL && type == MDM_PLIST_INTEGER) ||
           (wanted == MDM_PLIST_DATE && type == MDM_PLIST_STRING);
}

static const char *type_name(mdm_plist_type_t type)
{
    static const char *const names[] = {"<string>", "<integer>", "<real>",  "<true/> or <false/>",
                                        "<date>",   "<data>",    "<array>", "<dict>"};

    return (apr_size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "another type";
}

const char *mdm_schema_setting_from(apr_pool_t *p, const char *payload, const char *key,
                                    const mdm_plist_t *node, const mdm_text_compiler_t *compiler,
                                    mdm_setting_t **setting)
{
    words_t words = {p, apr_array_make(p, 4, sizeof(const char *)), 1};
    mdm_setting_t *read = NULL;
    const char *error = mdm_schema_start(p, payload, key, 1, &read);

    if (error != NULL)
        return error;
    if (!fits(read->type, mdm_plist_type(node)))
        return apr_psprintf(p, "%s: %s, wanted is %s", key, type_name(mdm_plist_type(node)),
                            type_name(read->type));
    if (read->type == MDM_PLIST_DATA) {
        const char *data = mdm_plist_data(node, &read->len);
        read->bytes = apr_pmemdup(p, data, read->len);
    } else {
        add_node(&words, read->rule, node);
        if (!words.ok)
            return apr_psprintf(p, "%s: wanted are only strings in it%s", key,
                                read->rule->form == MDM_SCHEMA_RDNS
                                    ? ", as in [[[\"O\", \"Example\"]], [[\"CN\", \"x\"]]]"
                                    : "");
        error = mdm_schema_read(p, (const char *const *)words.list->elts, words.list->nelts,
                                compiler, read);
    }
    if (error == NULL)
        *setting = read;
    return error;
}
