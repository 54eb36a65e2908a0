/* SPDX-License-Identifier: Apache-2.0
 * The database of a running site, opened for its administrator. Depends on admin_output and
 * mod_mdm_enroll's dbd_handle and store_admin.
 */
#ifndef ADMIN_STORE_H
#define ADMIN_STORE_H

#include <apr_pools.h>

#include "admin_output.h"
#include "store_admin.h"

/* Where the command line says it is; NULL: not said. */
typedef struct admin_store_options_t {
    const char *store;  /* as MDMEnrollStore has it */
    const char *conf;   /* a file of httpd's */
    const char *run_as; /* a user to become first */
} admin_store_options_t;

/* Open the database that --store names, else the environment's MDM_ENROLL_STORE, else httpd's
 * configuration. It must be there: neither a file nor a table is made. Who is root becomes the
 * owner of an SQLite file first (or run_as), for good: files that SQLite makes beside it as root
 * would lock httpd out. The handle is closed by mdm_dbd_close(). */
admin_result_t admin_store_open(apr_pool_t *p, const admin_store_options_t *options,
                                mdm_dbd_handle_t **handle);

#endif
