/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: the claims of the store in memory. Depends on fake_store.
 */
#ifndef FAKE_CLAIM_H
#define FAKE_CLAIM_H

#include "fake_store.h"

/* Fill in the claim_ functions. */
void fake_claim(fake_store_t *fake);

/* Put a claim in without counting; 0 where place or holder are taken. */
int fake_claim_put(fake_store_t *fake, const mdm_claim_t *claim);

/* The live row of a holder, to be looked at or changed by the test; NULL if there is none. */
mdm_claim_t *fake_claim_of(fake_store_t *fake, const char *kind, const char *user,
                           const char *holder);

#endif
