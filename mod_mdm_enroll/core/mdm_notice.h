/* SPDX-License-Identifier: Apache-2.0
 * What the site is told of an enrollment: the body, its row in the store, and the signature by
 * which a receiver knows it. Depends on mdm_enrollment and mdm_x509, and on jansson.
 */
#ifndef MDM_NOTICE_H
#define MDM_NOTICE_H

#include <apr_pools.h>

#include "mdm_enrollment.h"

/* What happened. */
typedef enum {
    MDM_EVENT_ENROLLED, /* phase 3: the device got its enrollment profile */
    MDM_EVENT_UPDATED   /* a device that has one got another */
} mdm_event_t;

/* "enrolled", "updated": as the store, the body and the manual have it. */
const char *mdm_event_name(mdm_event_t event);

/* Store what the site shall be told of a row, if it wants to be, before the row moves: whoever
 * sends it does so only when the row has moved (store_notification.h), so that neither a crash nor
 * a lost race in between loses it or tells what did not happen. occasion sets this event apart from
 * others of its kind in the same enrollment, and is the same if a request comes again: the id of
 * the notification is made of it, so that the same is stored once; "" where an enrollment has only
 * one. MDM_OK, MDM_MSG_CRYPTO or the store's. */
mdm_result_t mdm_notice_store(apr_pool_t *p, const mdm_world_t *world, const mdm_enrollment_t *row,
                              mdm_event_t event, const char *occasion);

/* "t=<now>,v1=<HMAC-SHA-256 of "<now>.<body>" with a key of len bytes, in hexadecimal>", in p; NULL
 * if OpenSSL fails. */
const char *mdm_notice_sign(apr_pool_t *p, const char *key, apr_size_t len, apr_int64_t now,
                            const char *body);

#endif
