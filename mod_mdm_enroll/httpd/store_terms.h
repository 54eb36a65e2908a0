/* SPDX-License-Identifier: Apache-2.0
 * What was delivered and no update can change (core's mdm_terms), of all devices together: read
 * once, at a start. Depends on dbd_target, store_schema, APR and apr-util only.
 */
#ifndef MDM_STORE_TERMS_H
#define MDM_STORE_TERMS_H

#include <apr_pools.h>

#include "dbd_target.h"

/* Takes what so many (count) delivered enrollments that were not ended have in common; the texts
 * live for the call only. */
typedef void mdm_store_terms_visit_t(void *baton, const char *terms, const char *product,
                                     const char *os_version, int count);

/* Visit it all (of more than MDM_STORE_TERMS_MAX kinds some), on a connection of its own. Nothing
 * is made or changed: a database that is not there, or has no tables of this version, has nothing.
 * NULL, or why it cannot be read. */
#define MDM_STORE_TERMS_MAX 20000
const char *mdm_store_terms(apr_pool_t *p, mdm_dbd_kind_t kind, const char *target,
                            mdm_store_terms_visit_t *visit, void *baton);

#endif
