/* SPDX-License-Identifier: Apache-2.0
 * Which database: the argument of MDMEnrollStore taken apart, checked, and completed for the
 * driver. Depends on APR and apr-util only.
 */
#ifndef MDM_DBD_TARGET_H
#define MDM_DBD_TARGET_H

#include <apr_pools.h>

typedef enum { MDM_DBD_SQLITE, MDM_DBD_PGSQL } mdm_dbd_kind_t;

/* Split "sqlite3:/absolute/path" or "pgsql:conninfo". NULL, or a sentence for the administrator:
 * value seen, value wanted. The password of a conninfo is never repeated. target is the path or the
 * conninfo, allocated in p. */
const char *mdm_dbd_parse(apr_pool_t *p, const char *store, mdm_dbd_kind_t *kind,
                          const char **target);

/* NULL, or what is missing: the apr_dbd driver is not installed (which package has it). Called from
 * check_config. */
const char *mdm_dbd_check_driver(apr_pool_t *p, mdm_dbd_kind_t kind);

/* The name that apr_dbd has for it. */
const char *mdm_dbd_driver_name(mdm_dbd_kind_t kind);

/* A conninfo with time limits for everything that libpq has one for, where the administrator set
 * none: connecting 3 s, a statement 3 s, a lock 2 s, unacknowledged data 3 s. To be called by the
 * process that connects, after it dropped its privileges. */
const char *mdm_dbd_complete(apr_pool_t *p, const char *conninfo);

/* What libpq says of a conninfo, or, if that might repeat a piece of the password in it, that it is
 * not shown. */
const char *mdm_dbd_withhold(apr_pool_t *p, const char *conninfo, const char *text);

#endif
