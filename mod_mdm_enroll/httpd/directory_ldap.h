/* SPDX-License-Identifier: Apache-2.0
 * The directory of core on OpenLDAP's library: one search, uncached, within a deadline that holds
 * whatever the server does. Depends on libldap and core's mdm_enrollment; no httpd header, so that
 * unit tests can link it.
 */
#ifndef MDM_DIRECTORY_LDAP_H
#define MDM_DIRECTORY_LDAP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "../core/mdm_enrollment.h"
#include "directory_attributes.h"

typedef struct mdm_ldap_settings_t {
    const char *url;                      /* scheme://host:port, as libldap takes it */
    const char *base;                     /* search base DN */
    const char *attribute;                /* that holds the user's name; default uid */
    const apr_array_header_t *attributes; /* mdm_ldap_attribute_t: that are read, attribute first */
    int scope;                            /* LDAP_SCOPE_* */
    const char *filter;                   /* with its parentheses; default (objectClass=*) */
    const char *bind_dn;                  /* NULL: anonymous */
    const char *bind_password;
    const char *group; /* DN of a group that must hold the user's DN (member, uniqueMember) or name
                          (memberUid), or NULL */
    int starttls;
    const char *ca_file;         /* trusted CAs, PEM; NULL: the system's */
    apr_interval_time_t timeout; /* for everything together */
} mdm_ldap_settings_t;

/* A directory over settings that outlive it; owned by p, usable by all threads. It gives the
 * attributes as variables (directory_attributes.h). Only looking up the name of the host can take
 * longer than the timeout: its limits are the system's resolver's. */
const mdm_directory_t *mdm_directory_ldap(apr_pool_t *p, const mdm_ldap_settings_t *settings);

#endif
