/* SPDX-License-Identifier: Apache-2.0
 * The store of core on dbd_pool, filled in by this and the other store_*.c. Depends on dbd_pool and
 * core's mdm_enrollment.
 */
#ifndef MDM_STORE_DBD_H
#define MDM_STORE_DBD_H

#include "../core/mdm_enrollment.h"
#include "dbd_pool.h"

/* A store over a pool, which is its context; owned by p, usable by all threads of the process. */
const mdm_store_t *mdm_store_dbd(apr_pool_t *p, mdm_dbd_pool_t *pool);

#endif
