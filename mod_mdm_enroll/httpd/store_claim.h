/* SPDX-License-Identifier: Apache-2.0
 * The SQL of claims: what of a user's limits is taken. Depends on store_sql and core's
 * mdm_enrollment.
 */
#ifndef MDM_STORE_CLAIM_H
#define MDM_STORE_CLAIM_H

#include "../core/mdm_enrollment.h"

/* Fill in the claim_ functions of a store whose context is a mdm_dbd_pool_t *. */
void mdm_store_fill_claim(mdm_store_t *store);

#endif
