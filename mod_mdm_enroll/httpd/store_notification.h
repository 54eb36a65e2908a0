/* SPDX-License-Identifier: Apache-2.0
 * The store of what the site is still to be told: the one function of it that core needs, and those
 * of the sender. Depends on dbd_pool and core's mdm_enrollment.
 */
#ifndef MDM_STORE_NOTIFICATION_H
#define MDM_STORE_NOTIFICATION_H

#include "../core/mdm_enrollment.h"
#include "dbd_pool.h"

/* Fill them into a store. */
void mdm_store_fill_notification(mdm_store_t *store);

/* In all of these p is for results; MDM_OK or MDM_MSG_STORE_*. */

/* The one that is due first of a site's, of those that are due at now and whose event took place:
 * the row that it tells of is delivered, and has moved since it was stored. NULL if there is none.
 */
mdm_result_t mdm_store_notification_next(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *site,
                                         apr_int64_t now, mdm_notification_t **row);

/* Take one as it was read, until a time: until then nobody else is given it. *won is 0 if somebody
 * else was faster. */
mdm_result_t mdm_store_notification_claim(mdm_dbd_pool_t *pool, apr_pool_t *p,
                                          const mdm_notification_t *row, apr_int64_t until,
                                          int *won);

/* Give one back that was taken until a time: it is due at another. *won is 0 if it was taken by
 * somebody else since. */
mdm_result_t mdm_store_notification_postpone(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *id,
                                             apr_int64_t until, apr_int64_t due_at, int *won);

/* It was told, or never will be. */
mdm_result_t mdm_store_notification_delete(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *id);

/* Delete those of a site that were due before a time and whose event did not take place by then,
 * and cannot any more: the enrollment is gone, or over since that time, or did not move. Some at
 * once.
 */
mdm_result_t mdm_store_notification_sweep(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *site,
                                          apr_int64_t before);

#endif
