/* SPDX-License-Identifier: Apache-2.0
 * The store of core on dbd_pool: all SQL of the module. Depends on dbd_pool and core's
 * mdm_enrollment.
 */
#ifndef MDM_STORE_DBD_H
#define MDM_STORE_DBD_H

#include "../core/mdm_enrollment.h"
#include "dbd_pool.h"

/* Version of the schema that this code makes and understands. */
#define MDM_STORE_SCHEMA_VERSION 1

/* NULL-terminated DDL, accepted unchanged by SQLite and PostgreSQL; for mdm_dbd_pool_create(). */
extern const char *const mdm_store_ddl[];

/* A store over a pool; owned by p, usable by all threads of the process. */
const mdm_store_t *mdm_store_dbd(apr_pool_t *p, mdm_dbd_pool_t *pool);

#endif
