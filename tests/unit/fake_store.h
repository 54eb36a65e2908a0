/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: a store in memory with real compare-and-set semantics, and a world around core
 * whose clock, randomness, directory, policy and failures the test decides. Depends on core's
 * mdm_enrollment.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_enrollment.h"

/* mdm_world_t.site of every fake world. */
#define FAKE_SITE "a site"
#define FAKE_RULES "its rules"

typedef struct fake_store_t {
    mdm_store_t store;                 /* what core gets */
    apr_pool_t *pool;                  /* of the rows */
    apr_array_header_t *enrollments;   /* mdm_enrollment_t * */
    apr_array_header_t *challenges;    /* mdm_challenge_t * */
    apr_array_header_t *certificates;  /* mdm_certificate_t * */
    apr_array_header_t *notifications; /* mdm_notification_t * */
    apr_array_header_t *claims;        /* mdm_claim_t *: fake_claim.c */
    apr_hash_t *refusals;              /* enrollment id -> code noted last */
    int calls;                         /* of any function, failed ones too */
    int writes;                        /* statements that changed at least one row */
    int sweeps;
    int fail_at;    /* the call counted so fails; 0: none */
    int fail_after; /* it takes effect first */
    /* Called once, right before the next enrollment_advance: what another request does meanwhile.
     */
    void (*rival)(struct fake_store_t *fake, void *context);
    int rival_at; /* not 0: right before the call counted so instead */
    void *rival_context;
} fake_store_t;

fake_store_t *fake_store_create(apr_pool_t *p);

/* Forget all rows, counters and arranged failures, and free their memory. */
void fake_store_reset(fake_store_t *fake);

/* Let the nth call from now (1 is the next) fail with MDM_MSG_STORE_UNAVAILABLE, without effect or
 * after it took effect. 0: none. */
void fake_store_fail(fake_store_t *fake, int nth, int after_effect);

/* Let rival come right before the nth call from now, once. */
void fake_store_rival(fake_store_t *fake, int nth,
                      void (*rival)(struct fake_store_t *fake, void *context), void *context);

/* The live row, to be looked at or changed by the test; NULL if there is none. */
mdm_enrollment_t *fake_store_enrollment(fake_store_t *fake, const char *id);
mdm_challenge_t *fake_store_challenge(fake_store_t *fake, const char *hash);
mdm_certificate_t *fake_store_certificate(fake_store_t *fake, const char *fingerprint);

/* The code noted last for an enrollment, or NULL. */
const char *fake_store_refusal(fake_store_t *fake, const char *id);

/* Put rows in without counting. */
void fake_store_put_enrollment(fake_store_t *fake, const mdm_enrollment_t *row);
void fake_store_put_certificate(fake_store_t *fake, const mdm_certificate_t *row);

/* For functions of the store in other files: counts the call, 1 if it has to fail now; that
 * failure; what to return once the call took effect. */
int fake_store_fails(fake_store_t *fake);
mdm_result_t fake_store_unavailable(apr_pool_t *p);
mdm_result_t fake_store_done(fake_store_t *fake, apr_pool_t *p);

/* Those of fake_store_update.c. */
void fake_store_update(mdm_store_t *store);

typedef struct fake_world_t {
    mdm_world_t world; /* what core gets */
    fake_store_t *store;
    apr_int64_t clock;              /* seconds since 1970 */
    int real_random;                /* else a sequence that seed decides */
    apr_uint64_t seed;              /* moves on with every byte drawn */
    int random_calls;               /* of the source */
    int random_fail_at;             /* the call counted so fails; 0: none */
    mdm_directory_t directory;      /* world.directory points here; set that to NULL for none */
    mdm_message_t directory_answer; /* MDM_MSG_NONE: the user is there and allowed */
    int directory_calls;
    mdm_policy_t policy;
    mdm_message_t policy_answer;
    int policy_calls;
    const char *asked_user;           /* by the last call of either */
    const mdm_device_t *asked_device; /* by the last call of policy */
} fake_world_t;

/* The real time stands still on the clock (certificates of tests/unit/pki.h are made by it); a
 * deterministic source; everybody allowed. */
fake_world_t *fake_world_create(apr_pool_t *p);

#endif
