/* SPDX-License-Identifier: Apache-2.0
 * A device that comes with its MDM identity: whether that lives, whose it is, and what ends now
 * that it is seen in use. Depends on mdm_enrollment, mdm_trust.
 */
#ifndef MDM_SIGHTING_H
#define MDM_SIGHTING_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_trust.h"

/* Find out: issued by an identity CA of trust or a foreign one (by its key), valid now, recorded as
 * one for the MDM server, not revoked, of a delivered enrollment of world->site that nobody ended.
 * One look-up in the store. MDM_MSG_DEVICE_REFUSED with the reason, or the store's, or
 * MDM_MSG_CRYPTO otherwise. Neither policy nor directory is asked. *sighting, in p, is set only on
 * success. */
mdm_result_t mdm_sighting_find(apr_pool_t *p, const mdm_trust_t *trust, const mdm_world_t *world,
                               X509 *cert, mdm_sighting_t **sighting);

/* What was found is in use: a device that has it has no more need of those that it had before, and
 * nobody else shall have any use of them. They are revoked as superseded; *ended is how many.
 * Without any (has_older) the store is not asked. Of what was superseded itself meanwhile nothing
 * follows. The store's messages. */
mdm_result_t mdm_sighting_settle(apr_pool_t *p, const mdm_world_t *world,
                                 const mdm_sighting_t *sighting, int *ended);

#endif
