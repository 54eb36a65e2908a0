/* SPDX-License-Identifier: Apache-2.0
 * The argument of MDMEnrollDirectory taken apart and checked. Depends on libldap (DNs) and APR.
 */
#include "directory_url.h"

#include <stdlib.h>
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <ldap.h>

#define DEFAULT_ATTRIBUTE "uid"
#define DEFAULT_FILTER "(objectClass=*)"

/* Cut s at the first c and return what follows, or NULL. */
static char *cut(char *s, char c)
{
    char *at = strchr(s, c);

    if (at == NULL)
        return NULL;
    *at = '\0';
    return at + 1;
}

/* host, host:port or [IPv6]:port; NULL or what is wrong with it. */
static const char *check_host(const char *host)
{
    const char *end = host + strcspn(host, ":");

    if (host[strcspn(host, " \t")] != '\0')
        return "it names several hosts, and one is wanted (which may have several addresses)";
    if (host[0] == '[') {
        end = strchr(host, ']');
        if (end == NULL || strspn(host + 1, "0123456789abcdefABCDEF:.") != (size_t)(end - host - 1))
            return "\"[\" must be followed by an IPv6 address and \"]\"";
        end++;
    } else if (end == host) {
        return "the host is missing";
    } else if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
               (size_t)(end - host)) {
        return "the host has a character that no host name has";
    }
    if (*end == '\0')
        return NULL;
    if (*end != ':' || end[1 + strspn(end + 1, "0123456789")] != '\0' || strlen(end + 1) > 5 ||
        atoi(end + 1) < 1 || atoi(end + 1) > 65535)
        return "the port must be a number from 1 to 65535";
    return NULL;
}

/* Every parenthesis closed, and the first one by the last character. */
static int is_filter(const char *filter)
{
    int depth = 0;

    for (const char *c = filter; *c != '\0'; c++)
        if (*c == '(')
            depth++;
        else if (*c == ')' && --depth == 0)
            return c[1] == '\0';
        else if (depth < 1)
            return 0;
    return 0;
}

static const char *parse_base(apr_pool_t *p, const char *text, mdm_ldap_settings_t *settings)
{
    LDAPDN dn = NULL;

    settings->base = apr_punescape_url(p, text, NULL, NULL, 0);
    if (settings->base == NULL || ldap_str2dn(settings->base, &dn, LDAP_DN_FORMAT_LDAPV3) != 0)
        return "the base must be a DN, as ou=people,dc=example,dc=com";
    ldap_dnfree(dn);
    return NULL;
}

/* The first one names the user, as AuthLDAPURL has it, so that the same URL serves. */
static const char *parse_attributes(apr_pool_t *p, const char *text, mdm_ldap_settings_t *settings)
{
    const char *error =
        mdm_ldap_parse_attributes(p, text, DEFAULT_ATTRIBUTE, &settings->attributes);

    if (error == NULL)
        settings->attribute = APR_ARRAY_IDX(settings->attributes, 0, mdm_ldap_attribute_t).name;
    return error;
}

static const char *parse_scope(const char *text, mdm_ldap_settings_t *settings)
{
    if (text == NULL || *text == '\0' || strcasecmp(text, "sub") == 0)
        settings->scope = LDAP_SCOPE_SUBTREE;
    else if (strcasecmp(text, "one") == 0)
        settings->scope = LDAP_SCOPE_ONELEVEL;
    else if (strcasecmp(text, "base") == 0)
        settings->scope = LDAP_SCOPE_BASE;
    else
        return "the scope must be sub, one or base";
    return NULL;
}

static const char *parse_filter(apr_pool_t *p, const char *text, mdm_ldap_settings_t *settings)
{
    const char *filter = text && *text ? apr_punescape_url(p, text, NULL, NULL, 0) : DEFAULT_FILTER;

    if (filter != NULL && filter[0] != '(')
        filter = apr_pstrcat(p, "(", filter, ")", NULL);
    if (filter == NULL || !is_filter(filter))
        return "the filter must have all its parentheses, as (objectClass=person)";
    settings->filter = apr_pstrdup(p, filter);
    return NULL;
}

const char *mdm_ldap_parse_url(apr_pool_t *p, const char *url, mdm_ldap_settings_t *settings)
{
    const char *error = NULL;
    char *text = apr_pstrdup(p, url);
    char *host = strstr(text, "://");
    char *base, *attributes, *scope, *filter, *extensions;

    if (host != NULL) {
        *host = '\0';
        host += 3;
    }
    base = host ? cut(host, '/') : NULL;
    attributes = base ? cut(base, '?') : NULL;
    scope = attributes ? cut(attributes, '?') : NULL;
    filter = scope ? cut(scope, '?') : NULL;
    extensions = filter ? cut(filter, '?') : NULL;
    if (host == NULL || (strcasecmp(text, "ldap") != 0 && strcasecmp(text, "ldaps") != 0))
        error = "the scheme must be ldap or ldaps";
    else if ((error = check_host(host)) != NULL)
        ;
    else if (base == NULL)
        error = "the base is missing";
    else if (extensions != NULL)
        error = "extensions behind the filter are not served";
    else if ((error = parse_base(p, base, settings)) == NULL &&
             (error = parse_attributes(p, attributes, settings)) == NULL &&
             (error = parse_scope(scope, settings)) == NULL)
        error = parse_filter(p, filter, settings);
    if (error != NULL)
        return apr_psprintf(p,
                            "\"%s\" is not an LDAP URL that can be used: %s; wanted is "
                            "ldap[s]://host[:port]/base?attributes?scope?filter",
                            url, error);
    settings->url = apr_psprintf(p, "%s://%s", strcasecmp(text, "ldap") ? "ldaps" : "ldap", host);
    return NULL;
}
