/* SPDX-License-Identifier: Apache-2.0
 * The store of core, continued: what updates need (core's mdm_update). Depends on store_sql and
 * core's mdm_enrollment.
 */
#ifndef MDM_STORE_UPDATE_H
#define MDM_STORE_UPDATE_H

#include "../core/mdm_enrollment.h"

/* Fill in enrollment_by_device, enrollment_update and challenge_count; the rest is there. */
void mdm_store_fill_update(mdm_store_t *store);

#endif
