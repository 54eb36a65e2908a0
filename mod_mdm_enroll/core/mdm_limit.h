/* SPDX-License-Identifier: Apache-2.0
 * How many devices a user may have, and how many enrollments an hour: limits that hold under
 * concurrency. Depends on mdm_enrollment.
 *
 * A limit of N is N places, numbered from 1 on. Who takes one writes a claim, and the store lets
 * nobody write the second claim to a place, so there are never more than N, whichever threads,
 * processes and httpds ask at once. A claim that is over (its enrollment was ended by an
 * administrator, is gone, or came to nothing; for the hourly limit: it is an hour old) gives its
 * place to the next. Where the limit was lowered, what stands in the places beyond it still counts.
 */
#ifndef MDM_LIMIT_H
#define MDM_LIMIT_H

#include <apr_pools.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"

/* The largest limit. */
#define MDM_LIMIT_MOST 10000

/* A user's claims are counted under the name in ASCII's lower case, blanks at its ends left out and
 * others made one: directories find "alice" by "ALICE ", too, and that is no second user. */

typedef struct mdm_limit_t {
    int most;         /* 1 to MDM_LIMIT_MOST; 0: there is no such limit */
    const char *text; /* for the user whom it refuses, or NULL */
} mdm_limit_t;

typedef struct mdm_limits_t {
    mdm_limit_t devices; /* different devices of one user at a site, enrolled or under way */
    mdm_limit_t hourly;  /* enrollments of one user that got to phase 2, in any 60 minutes */
} mdm_limits_t;

/* What one phase took that nobody had before. place is 0 where that is nothing. */
typedef struct mdm_limit_taken_t {
    mdm_claim_t devices;
    mdm_claim_t hourly;
} mdm_limit_taken_t;

/* Phase 2, before the row moves: take, or keep, the places of a device and of this enrollment.
 * MDM_MSG_LIMIT_DEVICES, MDM_MSG_LIMIT_HOURLY (both noted in the row) or the store's; nothing is
 * taken then. */
mdm_result_t mdm_limit_begin(apr_pool_t *p, const mdm_world_t *world, const mdm_limits_t *limits,
                             const mdm_enrollment_t *row, const char *udid,
                             mdm_limit_taken_t *taken);

/* Phase 3 and updates, before the row moves: keep the place of the row's device, or take one, where
 * it was lost meanwhile (an administrator ended the enrollment that it stood for, or the device was
 * enrolled by another user). */
mdm_result_t mdm_limit_deliver(apr_pool_t *p, const mdm_world_t *world, const mdm_limits_t *limits,
                               const mdm_enrollment_t *row, mdm_limit_taken_t *taken);

/* The row did not move: give back what was taken for it. As far as the store allows: what stays
 * behind ends with the enrollment. */
void mdm_limit_give_back(apr_pool_t *p, const mdm_world_t *world, const mdm_limit_taken_t *taken);

/* The row is delivered: the device's place is this enrollment's from now on, and whoever had the
 * device before has it no more. */
void mdm_limit_delivered(apr_pool_t *p, const mdm_world_t *world, const mdm_limits_t *limits,
                         const mdm_enrollment_t *row);

#endif
