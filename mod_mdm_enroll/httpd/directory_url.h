/* SPDX-License-Identifier: Apache-2.0
 * The argument of MDMEnrollDirectory taken apart and checked. Depends on libldap (DNs) and APR; no
 * httpd header, so that unit tests can link it.
 */
#ifndef MDM_DIRECTORY_URL_H
#define MDM_DIRECTORY_URL_H

#include "directory_ldap.h"

/* Take an LDAP URL apart (RFC 4516: ldap[s]://host[:port]/base?attribute?scope?filter), with the
 * defaults of AuthLDAPURL, so that the same URL serves: uid, sub, (objectClass=*). The first of
 * several attributes names the user. NULL, or a sentence for the administrator: value seen, value
 * wanted. */
const char *mdm_ldap_parse_url(apr_pool_t *p, const char *url, mdm_ldap_settings_t *settings);

#endif
