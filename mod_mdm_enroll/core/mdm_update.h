/* SPDX-License-Identifier: Apache-2.0
 * Updates: a device that is enrolled gets the enrollment profile again, as it is now, with a new
 * identity for the MDM server. It comes for it itself, or its MDM server does, to push it. Depends
 * on mdm_turn, mdm_terms, mdm_scep_member.
 *
 * A message of phase 3 holds nothing that the server gave: a copy of it is told from a new one by
 * its signing time alone. So an enrollment remembers that of the last message it answered, and
 * answers only one of later. A message that has none (or one that lies ahead by more than
 * MDM_UPDATE_CLOCK_AHEAD, which is that of a wrong clock, and counts as none, lest it lock the
 * device out once the clock is right) is answered only if the last one had none either, and at most
 * once in mdm_ota_settings_t.lifetime. What a copy could win is a profile encrypted to the device.
 */
#ifndef MDM_UPDATE_H
#define MDM_UPDATE_H

#include <apr_pools.h>

#include "mdm_ota.h"

struct mdm_turn_t; /* mdm_turn.h */

/* Enrollment profiles that one enrollment may get in a day. */
#define MDM_UPDATE_MAX_A_DAY 10

/* By how much a device's clock may be fast, in seconds. */
#define MDM_UPDATE_CLOCK_AHEAD (60 * 60)

/* The signing time of a message as it counts: 0 for none, or for one too far ahead of now. */
apr_int64_t mdm_update_signed_at(apr_int64_t signing_time, apr_int64_t now);

/* Phase 3 of row, which is delivered and has the signer's certificate on record as an identity that
 * is not revoked. Proved here: it is the row's identity, and the row was not ended
 * (MDM_MSG_CERTIFICATE_*); the message is new (MDM_MSG_ENROLLMENT_STATE); device, TLS certificate,
 * policy and directory as in phase 3; not too many (MDM_MSG_UPDATE_TOO_MANY); nothing that devices
 * refuse to change (MDM_MSG_UPDATE_TERMS); a place among the user's devices, kept, or taken again
 * where another user's enrollment freed it (MDM_MSG_LIMIT_DEVICES). Of several copies at once one
 * wins. The rules, the terms and what the device says of its system are the row's from then on. */
mdm_result_t mdm_update_device(const struct mdm_turn_t *turn, mdm_enrollment_t *row,
                               mdm_ota_reply_t *reply);

/* The same for whoever pushes profiles to the device: it is named by its UDID or, where that is
 * NULL, by its serial number. The profile is encrypted to the identity on record, so the one who
 * pushes it does not see into it. Policy is asked with what the row knows of the device.
 * MDM_MSG_UPDATE_UNKNOWN if no enrollment of this site is delivered and lives for it: not ended,
 * its identity not revoked and not past its end by more than the grace. */
mdm_result_t mdm_update_push(apr_pool_t *p, const mdm_ota_settings_t *settings,
                             const mdm_world_t *world, const mdm_ota_request_t *request,
                             const char *udid, const char *serial, mdm_ota_reply_t *reply,
                             mdm_ota_facts_t *facts);

#endif
