/* SPDX-License-Identifier: Apache-2.0
 * Attributes of the directory as variables. Depends on libldap and core's mdm_plist.
 */
#include "directory_attributes.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "../core/mdm_plist.h"

static const char *variable_of(apr_pool_t *p, const char *name)
{
    char *variable = apr_pstrcat(p, MDM_LDAP_PREFIX, name, NULL);

    for (char *c = variable; *c != '\0'; c++)
        *c = (char)(apr_isascii(*c) && apr_isalnum(*c) ? apr_toupper(*c) : '_');
    return variable;
}

/* Add a name; NULL or what is wrong. */
static const char *add(apr_pool_t *p, const char *name, apr_array_header_t *attributes)
{
    mdm_ldap_attribute_t one = {name, variable_of(p, name)};

    /* "*" and "+" would be all attributes, which nobody could name. */
    if (!apr_isalnum(*name))
        return "each attribute must be a name such as uid or sAMAccountName";
    for (const char *c = name; *c != '\0'; c++)
        if (!apr_isascii(*c) || (!apr_isalnum(*c) && !strchr("-.;", *c)))
            return "each attribute must be a name such as uid or sAMAccountName";
    for (int i = 0; i < attributes->nelts; i++) {
        const mdm_ldap_attribute_t *other = &APR_ARRAY_IDX(attributes, i, mdm_ldap_attribute_t);

        if (strcasecmp(other->name, name) == 0)
            return NULL;
        if (strcmp(other->variable, one.variable) == 0)
            return apr_psprintf(p, "the attributes %s and %s would both be the variable %s",
                                other->name, name, one.variable);
    }
    if (attributes->nelts == MDM_LDAP_MAX_ATTRIBUTES)
        return apr_psprintf(p, "at most %d attributes can be read", MDM_LDAP_MAX_ATTRIBUTES);
    APR_ARRAY_PUSH(attributes, mdm_ldap_attribute_t) = one;
    return NULL;
}

const char *mdm_ldap_parse_attributes(apr_pool_t *p, const char *list, const char *fallback,
                                      const apr_array_header_t **attributes)
{
    apr_array_header_t *read = apr_array_make(p, 4, sizeof(mdm_ldap_attribute_t));
    const char *from = list != NULL && *list != '\0' ? list : fallback, *error = NULL;

    while (error == NULL) {
        apr_size_t len = strcspn(from, ",");

        error = add(p, apr_pstrmemdup(p, from, len), read);
        if (from[len] == '\0')
            break;
        from += len + 1;
    }
    if (error == NULL)
        *attributes = read;
    return error;
}

char **mdm_ldap_attribute_names(apr_pool_t *p, const apr_array_header_t *attributes)
{
    char **names = apr_pcalloc(p, sizeof(*names) * ((apr_size_t)attributes->nelts + 1));

    for (int i = 0; i < attributes->nelts; i++)
        names[i] = apr_pstrdup(p, APR_ARRAY_IDX(attributes, i, mdm_ldap_attribute_t).name);
    return names;
}

/* The values that are text, joined; NULL if there is none or they are too long. */
static const char *join(apr_pool_t *p, struct berval *const *values)
{
    apr_array_header_t *texts = apr_array_make(p, 4, sizeof(const char *));
    apr_size_t total = 0;

    for (; *values != NULL; values++) {
        apr_size_t len = (*values)->bv_len;
        const char *text;

        if (len == 0 || memchr((*values)->bv_val, '\0', len) != NULL)
            continue;
        if (len > MDM_LDAP_MAX_BYTES) { /* before it is copied */
            total = len;
            break;
        }
        text = apr_pstrmemdup(p, (*values)->bv_val, len);
        if (!mdm_plist_text_ok(text))
            continue;
        total += len + (texts->nelts > 0 ? strlen(MDM_LDAP_SEPARATOR) : 0);
        if (total > MDM_LDAP_MAX_BYTES)
            break;
        APR_ARRAY_PUSH(texts, const char *) = text;
    }
    if (texts->nelts == 0 || total > MDM_LDAP_MAX_BYTES)
        return NULL;
    for (int i = 1; i < texts->nelts; i++)
        APR_ARRAY_IDX(texts, i, const char *) =
            apr_pstrcat(p, MDM_LDAP_SEPARATOR, APR_ARRAY_IDX(texts, i, const char *), NULL);
    return apr_array_pstrcat(p, texts, 0);
}

void mdm_ldap_read_attributes(apr_pool_t *p, LDAP *ld, LDAPMessage *entry,
                              const apr_array_header_t *attributes, apr_table_t *values)
{
    for (int i = 0; i < attributes->nelts; i++) {
        const mdm_ldap_attribute_t *one = &APR_ARRAY_IDX(attributes, i, mdm_ldap_attribute_t);
        struct berval **found = ldap_get_values_len(ld, entry, one->name);
        const char *value = found != NULL ? join(p, found) : NULL;

        ldap_value_free_len(found);
        if (value != NULL)
            apr_table_setn(values, one->variable, value);
    }
}
