/* SPDX-License-Identifier: Apache-2.0
 * What no update may change. Depends on mdm_plist, mdm_result.
 */
#include "mdm_terms.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "mdm_credential.h"

#define PER_USER "per-user-connections"
#define RIGHTS "AccessRights"

const char *const mdm_terms_keys[] = {
    "PayloadIdentifier",      "ServerURL",           "CheckInURL", "Topic", "EnrollmentMode",
    "AssignedManagedAppleID", "RequiredAppIDForMDM", PER_USER,     RIGHTS,  NULL};

static int has_per_user_connections(const mdm_plist_t *payload)
{
    const mdm_plist_t *list = mdm_plist_get(payload, "ServerCapabilities");

    for (apr_size_t i = 0; list != NULL && i < mdm_plist_size(list); i++) {
        const char *name = mdm_plist_string(mdm_plist_item(list, i));
        if (name != NULL && strcmp(name, "com.apple.mdm." PER_USER) == 0)
            return 1;
    }
    return 0;
}

static const char *value_of(apr_pool_t *p, const char *identifier, const mdm_plist_t *payload,
                            const char *key)
{
    const mdm_plist_t *node;

    if (strcmp(key, "PayloadIdentifier") == 0)
        return identifier;
    if (payload == NULL)
        return NULL;
    if (strcmp(key, PER_USER) == 0)
        return has_per_user_connections(payload) ? "yes" : NULL;
    node = mdm_plist_get(payload, key);
    if (node == NULL && strcmp(key, "CheckInURL") == 0)
        node = mdm_plist_get(payload, "ServerURL");
    return mdm_plist_text(p, node);
}

static const char *escaped(apr_pool_t *p, const char *value)
{
    char *text = apr_palloc(p, 2 * strlen(value) + 1), *out = text;

    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '\n')
            *out++ = '\\';
        *out++ = *value == '\n' ? 'n' : *value;
    }
    *out = '\0';
    return text;
}

const char *mdm_terms_line(apr_pool_t *p, const char *key, const char *value)
{
    return apr_pstrcat(p, key, ": ", escaped(p, value), "\n", NULL);
}

const char *mdm_terms_of_payload(apr_pool_t *p, const char *identifier, const mdm_plist_t *payload)
{
    const char *terms = "";

    for (int i = 0; mdm_terms_keys[i] != NULL; i++) {
        const char *value = value_of(p, identifier, payload, mdm_terms_keys[i]);
        if (value != NULL)
            terms = apr_pstrcat(p, terms, mdm_terms_line(p, mdm_terms_keys[i], value), NULL);
    }
    return terms;
}

mdm_result_t mdm_terms_of_payloads(apr_pool_t *p, const char *identifier, const char *xml,
                                   apr_size_t len, const char **terms)
{
    const mdm_plist_t *payloads = mdm_plist_reread(p, xml, len), *mdm = NULL;

    if (payloads != NULL && mdm_plist_type(payloads) == MDM_PLIST_DICT)
        payloads = mdm_plist_get(payloads, "PayloadContent");
    if (payloads == NULL || mdm_plist_type(payloads) != MDM_PLIST_ARRAY)
        return mdm_result_make(p, MDM_MSG_PROFILE, "the payloads cannot be read again");
    for (apr_size_t i = 0; i < mdm_plist_size(payloads); i++) {
        const mdm_plist_t *payload = mdm_plist_item(payloads, i);
        const char *type = mdm_plist_string(mdm_plist_get(payload, "PayloadType"));
        if (type != NULL && strcmp(type, "com.apple.mdm") == 0)
            mdm = payload;
    }
    *terms = mdm_terms_of_payload(p, identifier, mdm);
    mdm_credential_wipe(payloads);
    return mdm_result_ok();
}

const char *mdm_terms_value(apr_pool_t *p, const char *terms, const char *key)
{
    apr_size_t len = strlen(key);

    while (*terms != '\0') {
        apr_size_t line = strcspn(terms, "\n");
        if (line >= len + 2 && strncmp(terms, key, len) == 0 && strncmp(terms + len, ": ", 2) == 0)
            return apr_pstrmemdup(p, terms + len + 2, line - len - 2);
        terms += line + (terms[line] == '\n');
    }
    return NULL;
}

static int equal(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

/* Rights are bits; no number is no rights. */
static int rights_grew(const char *before, const char *now)
{
    apr_int64_t had = before != NULL ? apr_atoi64(before) : 0;
    apr_int64_t has = now != NULL ? apr_atoi64(now) : 0;

    return (has & ~had) != 0;
}

const apr_array_header_t *mdm_terms_compare(apr_pool_t *p, const char *before, const char *now)
{
    apr_array_header_t *changes = apr_array_make(p, 2, sizeof(mdm_terms_change_t));

    for (int i = 0; before[0] != '\0' && mdm_terms_keys[i] != NULL; i++) {
        const char *key = mdm_terms_keys[i];
        mdm_terms_change_t change = {key, mdm_terms_value(p, before, key),
                                     mdm_terms_value(p, now, key)};
        if (strcmp(key, RIGHTS) == 0 ? rights_grew(change.before, change.now)
                                     : !equal(change.before, change.now))
            APR_ARRAY_PUSH(changes, mdm_terms_change_t) = change;
    }
    return changes;
}

/* Whole, where it is fit for a log line: of two URLs the ends may differ. */
static const char *shown(apr_pool_t *p, const char *value)
{
    const char *c = value;

    if (value == NULL)
        return "none";
    while (apr_isprint(*c))
        c++;
    return apr_psprintf(p, "\"%s\"", *c == '\0' ? value : mdm_result_quote_text(p, value));
}

const char *mdm_terms_words(apr_pool_t *p, const apr_array_header_t *changes)
{
    const char *words = "";

    for (int i = 0; i < changes->nelts; i++) {
        const mdm_terms_change_t *change = &APR_ARRAY_IDX(changes, i, mdm_terms_change_t);
        words = apr_psprintf(p, "%s%s%s is %s now, was %s", words, i > 0 ? "; " : "", change->key,
                             shown(p, change->now), shown(p, change->before));
    }
    return words;
}
