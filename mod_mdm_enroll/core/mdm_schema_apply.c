/* SPDX-License-Identifier: Apache-2.0
 * Settings on their way into a payload: what the device's system knows, with the values of this
 * device. Depends on mdm_plist, mdm_text, mdm_system.
 */
#include "mdm_schema.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_schema_tables.h"

/* --- what a system knows --- */

/* Of an unknown version the newest is assumed. */
static int is_known(const mdm_schema_os_t *os, int version)
{
    if (os->introduced == MDM_SCHEMA_NEVER || (version != 0 && version < os->introduced))
        return 0;
    return os->removed == 0 || (version != 0 && version < os->removed);
}

int mdm_schema_knows(const char *payload, mdm_system_t system)
{
    const mdm_schema_payload_t *of = mdm_schema_find_payload(payload);

    return of == NULL || system.platform == MDM_PLATFORM_UNKNOWN ||
           is_known(&of->os[system.platform], system.version);
}

int mdm_schema_knows_key(const char *payload, const char *key, mdm_system_t system)
{
    const mdm_schema_payload_t *of = mdm_schema_find_payload(payload);
    const mdm_schema_rule_t *rule = of != NULL ? mdm_schema_find_rule(of, key) : NULL;

    return rule == NULL || system.platform == MDM_PLATFORM_UNKNOWN ||
           is_known(&rule->os[system.platform], system.version);
}

const mdm_setting_t *mdm_schema_find(const apr_array_header_t *settings, const char *key)
{
    for (int i = settings != NULL ? settings->nelts - 1 : -1; i >= 0; i--) {
        const mdm_setting_t *s = APR_ARRAY_IDX(settings, i, const mdm_setting_t *);
        if (strcmp(s->key, key) == 0)
            return s;
    }
    return NULL;
}

/* --- the values of one device --- */

static mdm_result_t refuse(apr_pool_t *p, const mdm_setting_t *s, const mdm_text_t *text,
                           const char *why)
{
    return mdm_result_make(p, MDM_MSG_TEXT, "%s %s, from \"%s\": %s", s->payload, s->key,
                           s->rule->secret ? MDM_SCHEMA_HIDDEN : mdm_text_source(text), why);
}

static mdm_result_t value_of(apr_pool_t *p, const mdm_setting_t *s, const mdm_text_t *text,
                             const mdm_schema_target_t *target, const char **value)
{
    const char *made, *error;
    mdm_result_t r = mdm_text_value(p, text, target->texts, target->row, &made);

    if (r.kind != MDM_OK)
        return mdm_result_make(p, MDM_MSG_TEXT, "%s %s: %s", s->payload, s->key,
                               s->rule->secret ? "it has no value for this device" : r.log);
    if (mdm_text_fixed(text) == NULL) {
        error = mdm_schema_check_text(p, s->rule, made);
        if (error != NULL)
            return refuse(p, s, text, error);
    }
    *value = made;
    return r;
}

static const mdm_text_t *text_at(const mdm_setting_t *s, int i)
{
    return APR_ARRAY_IDX(s->texts, i, const mdm_text_t *);
}

static mdm_result_t put_list(apr_pool_t *p, mdm_plist_t *dict, const mdm_setting_t *s,
                             const mdm_schema_target_t *target)
{
    mdm_plist_t *list = mdm_plist_array(p);

    for (int i = 0; i < s->texts->nelts; i++) {
        const char *value = NULL;
        mdm_result_t r = value_of(p, s, text_at(s, i), target, &value);

        if (r.kind != MDM_OK)
            return r;
        for (apr_size_t j = 0; j < mdm_plist_size(list); j++)
            if (strcmp(mdm_plist_string(mdm_plist_item(list, j)), value) == 0)
                return refuse(p, s, text_at(s, i),
                              mdm_schema_wanted(p, s->key, value, "each value once"));
        mdm_plist_append_string(list, value);
    }
    mdm_plist_set(dict, s->key, list);
    return mdm_result_ok();
}

/* Names that come once have a string, as Apple's schema says, those that come more often an array,
 * as its text allows. */
static void put_name(apr_pool_t *p, mdm_plist_t *made, const char *name, const char *value)
{
    mdm_plist_t *there = mdm_plist_get(made, name), *list;

    if (there == NULL) {
        mdm_plist_set_string(made, name, value);
    } else if (mdm_plist_type(there) == MDM_PLIST_ARRAY) {
        mdm_plist_append_string(there, value);
    } else {
        list = mdm_plist_array(p);
        mdm_plist_append_string(list, apr_pstrdup(p, mdm_plist_string(there)));
        mdm_plist_append_string(list, value);
        mdm_plist_set(made, name, list);
    }
}

/* [[["O", "x"]], [["CN", "y"], ["OU", "z"]]]; a + before the type: of the RDN before. */
static void put_rdn(apr_pool_t *p, mdm_plist_t *made, const char *type, const char *value)
{
    mdm_plist_t *pair = mdm_plist_array(p), *rdn;

    mdm_plist_append_string(pair, type[0] == '+' ? type + 1 : type);
    mdm_plist_append_string(pair, value);
    if (type[0] == '+') {
        mdm_plist_append(mdm_plist_item(made, mdm_plist_size(made) - 1), pair);
    } else {
        rdn = mdm_plist_array(p);
        mdm_plist_append(rdn, pair);
        mdm_plist_append(made, rdn);
    }
}

static mdm_result_t put_pairs(apr_pool_t *p, mdm_plist_t *dict, const mdm_setting_t *s,
                              const mdm_schema_target_t *target)
{
    mdm_plist_t *made = s->type == MDM_PLIST_ARRAY ? mdm_plist_array(p) : mdm_plist_dict(p);

    for (int i = 0; i < s->texts->nelts; i += 2) {
        const char *name = mdm_text_fixed(text_at(s, i)), *value = NULL;
        mdm_result_t r = value_of(p, s, text_at(s, i + 1), target, &value);

        if (r.kind != MDM_OK)
            return r;
        if (s->rule->form == MDM_SCHEMA_RDNS)
            put_rdn(p, made, name, value);
        else
            put_name(p, made, name, value);
    }
    mdm_plist_set(dict, s->key, made);
    return mdm_result_ok();
}

static mdm_result_t put_text(apr_pool_t *p, mdm_plist_t *dict, const mdm_setting_t *s,
                             const mdm_schema_target_t *target)
{
    const char *value = NULL;
    mdm_result_t r = value_of(p, s, s->text, target, &value);

    if (r.kind == MDM_OK)
        mdm_plist_set_string(dict, s->key, value);
    return r;
}

static mdm_result_t put(apr_pool_t *p, mdm_plist_t *dict, const mdm_setting_t *s,
                        const mdm_schema_target_t *target)
{
    switch (s->type) {
    case MDM_PLIST_INTEGER:
        mdm_plist_set_integer(dict, s->key, (apr_uint64_t)s->number);
        break;
    case MDM_PLIST_REAL:
        mdm_plist_set_real(dict, s->key, s->real);
        break;
    case MDM_PLIST_BOOLEAN:
        mdm_plist_set_boolean(dict, s->key, (int)s->number);
        break;
    case MDM_PLIST_DATE:
        mdm_plist_set_date(dict, s->key, s->number + (s->from_now ? target->now : 0));
        break;
    case MDM_PLIST_DATA:
        mdm_plist_set_data(dict, s->key, s->bytes, s->len);
        break;
    case MDM_PLIST_ARRAY:
    case MDM_PLIST_DICT:
        return s->rule->form == MDM_SCHEMA_LIST ? put_list(p, dict, s, target)
                                                : put_pairs(p, dict, s, target);
    default:
        return put_text(p, dict, s, target);
    }
    return mdm_result_ok();
}

mdm_result_t mdm_schema_apply(apr_pool_t *p, mdm_plist_t *dict, const apr_array_header_t *settings,
                              const mdm_schema_target_t *target)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; settings != NULL && i < settings->nelts && r.kind == MDM_OK; i++) {
        const mdm_setting_t *s = APR_ARRAY_IDX(settings, i, const mdm_setting_t *);

        /* Only the last one counts, also where it is an array of nothing. */
        if (mdm_schema_find(settings, s->key) == s && !(s->texts != NULL && s->texts->nelts == 0) &&
            (target->system.platform == MDM_PLATFORM_UNKNOWN ||
             is_known(&s->rule->os[target->system.platform], target->system.version)))
            r = put(p, dict, s, target);
    }
    return r;
}

/* --- URLs --- */

static mdm_result_t sample(void *context, apr_pool_t *p, const void *expression,
                           const struct mdm_enrollment_t *row, const char **value)
{
    (void)context;
    (void)p;
    (void)expression;
    (void)row;
    *value = "x";
    return mdm_result_ok();
}

const char *mdm_schema_url_text(apr_pool_t *p, const char *source,
                                const mdm_text_compiler_t *compiler, const mdm_text_t **text)
{
    static const mdm_text_evaluator_t samples = {NULL, sample};
    static const char scheme[] = "https://";
    const char *first = strstr(source, "%{");
    const mdm_text_t *made;
    const char *url, *error = mdm_text_parse(p, source, compiler, MDM_TEXT_URL, &made);
    mdm_result_t r;

    if (error != NULL)
        return apr_pstrcat(p, "URL ", error, NULL);
    r = mdm_text_value(p, made, &samples, NULL, &url);
    if (r.kind != MDM_OK)
        return r.log;
    error = mdm_schema_check_url(p, url);
    if (error != NULL)
        return mdm_text_fixed(made) != NULL ? error
                                            : mdm_schema_wanted(p, "URL", source,
                                                                "https://host[:port]/path in "
                                                                "ASCII, without blanks, and "
                                                                "expressions in path or query");
    /* The host decides who manages the device: no user's name is part of it. */
    if (mdm_text_fixed(made) == NULL &&
        source + strlen(scheme) + strcspn(source + strlen(scheme), "/?") > first)
        return mdm_schema_wanted(p, "URL", source, "a host without expressions");
    *text = made;
    return NULL;
}

mdm_result_t mdm_schema_url(apr_pool_t *p, const mdm_text_t *text,
                            const mdm_schema_target_t *target, const char **url)
{
    const char *made, *error;
    mdm_result_t r = mdm_text_value(p, text, target->texts, target->row, &made);

    if (r.kind != MDM_OK)
        return r;
    error = mdm_text_fixed(text) == NULL ? mdm_schema_check_url(p, made) : NULL;
    if (error != NULL)
        return mdm_result_make(p, MDM_MSG_TEXT, "from \"%s\": %s", mdm_text_source(text), error);
    *url = made;
    return r;
}
