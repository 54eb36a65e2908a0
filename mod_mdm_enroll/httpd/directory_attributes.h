/* SPDX-License-Identifier: Apache-2.0
 * What the directory says of a user beside that there is one: the attributes that
 * MDMEnrollDirectory lists, as variables. Depends on libldap and core's mdm_plist (what is text);
 * no httpd header, so that unit tests can link it.
 */
#ifndef MDM_DIRECTORY_ATTRIBUTES_H
#define MDM_DIRECTORY_ATTRIBUTES_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <ldap.h>

/* What the variables' names begin with. */
#define MDM_LDAP_PREFIX "MDM_LDAP_"

/* Most attributes that can be listed; longest value of a variable, in bytes, and what stands
 * between several values of an attribute. */
#define MDM_LDAP_MAX_ATTRIBUTES 16
#define MDM_LDAP_MAX_BYTES 8192
#define MDM_LDAP_SEPARATOR "; "

typedef struct mdm_ldap_attribute_t {
    const char *name;     /* as the URL has it */
    const char *variable; /* MDM_LDAP_<NAME>: upper case; what is neither letter nor digit is _ */
} mdm_ldap_attribute_t;

/* Read the attribute part of an LDAP URL, names with commas between them; NULL and "" stand for
 * fallback. *attributes (mdm_ldap_attribute_t) has each of them once, in order. NULL, or what is
 * wrong. */
const char *mdm_ldap_parse_attributes(apr_pool_t *p, const char *list, const char *fallback,
                                      const apr_array_header_t **attributes);

/* The names for a search, NULL-terminated, in p. */
char **mdm_ldap_attribute_names(apr_pool_t *p, const apr_array_header_t *attributes);

/* Put into values (variable → value) what an entry says. Several values are joined. Values that
 * are not text (mdm_plist_text_ok) are left out, and so is an attribute that is too long: half a
 * list would be believed. A variable without a value is not set. */
void mdm_ldap_read_attributes(apr_pool_t *p, LDAP *ld, LDAPMessage *entry,
                              const apr_array_header_t *attributes, apr_table_t *values);

#endif
