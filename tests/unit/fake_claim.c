/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: the claims of the store in memory. Depends on fake_store.
 */
#include "fake_claim.h"

#include <string.h>

#include <apr_strings.h>

#define CLAIM(fake, i) APR_ARRAY_IDX((fake)->claims, i, mdm_claim_t *)

static int same_user(const mdm_claim_t *a, const mdm_claim_t *b)
{
    return strcmp(a->site, b->site) == 0 && strcmp(a->kind, b->kind) == 0 &&
           strcmp(a->user, b->user) == 0;
}

static void remove_at(fake_store_t *fake, int i)
{
    for (; i + 1 < fake->claims->nelts; i++)
        CLAIM(fake, i) = CLAIM(fake, i + 1);
    apr_array_pop(fake->claims);
}

int fake_claim_put(fake_store_t *fake, const mdm_claim_t *claim)
{
    mdm_claim_t *copy;

    for (int i = 0; i < fake->claims->nelts; i++)
        if (same_user(CLAIM(fake, i), claim) &&
            (CLAIM(fake, i)->place == claim->place ||
             strcmp(CLAIM(fake, i)->holder, claim->holder) == 0))
            return 0;
    copy = apr_pmemdup(fake->pool, claim, sizeof(*claim));
    copy->site = apr_pstrdup(fake->pool, claim->site);
    copy->kind = apr_pstrdup(fake->pool, claim->kind);
    copy->user = apr_pstrdup(fake->pool, claim->user);
    copy->holder = apr_pstrdup(fake->pool, claim->holder);
    copy->enrollment = apr_pstrdup(fake->pool, claim->enrollment);
    APR_ARRAY_PUSH(fake->claims, mdm_claim_t *) = copy;
    return 1;
}

mdm_claim_t *fake_claim_of(fake_store_t *fake, const char *kind, const char *user,
                           const char *holder)
{
    for (int i = 0; i < fake->claims->nelts; i++)
        if (strcmp(CLAIM(fake, i)->kind, kind) == 0 && strcmp(CLAIM(fake, i)->user, user) == 0 &&
            strcmp(CLAIM(fake, i)->holder, holder) == 0)
            return CLAIM(fake, i);
    return NULL;
}

static void insert_by_place(apr_array_header_t *claims, const mdm_claim_t *claim)
{
    int i = claims->nelts;

    apr_array_push(claims);
    for (; i > 0 && APR_ARRAY_IDX(claims, i - 1, mdm_claim_t).place > claim->place; i--)
        APR_ARRAY_IDX(claims, i, mdm_claim_t) = APR_ARRAY_IDX(claims, i - 1, mdm_claim_t);
    APR_ARRAY_IDX(claims, i, mdm_claim_t) = *claim;
}

static mdm_result_t claim_list(void *context, apr_pool_t *p, const char *site, const char *kind,
                               const char *user, apr_array_header_t **claims)
{
    fake_store_t *fake = context;
    const mdm_claim_t key = {.site = site, .kind = kind, .user = user};

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    *claims = apr_array_make(p, 8, sizeof(mdm_claim_t));
    for (int i = 0; i < fake->claims->nelts; i++) {
        mdm_claim_t claim = *CLAIM(fake, i);
        const mdm_enrollment_t *row = fake_store_enrollment(fake, claim.enrollment);

        claim.known = row != NULL;
        if (row != NULL) {
            claim.state = row->state;
            claim.updated_at = row->updated_at;
            claim.expires_at = row->expires_at;
        }
        if (same_user(&claim, &key))
            insert_by_place(*claims, &claim);
    }
    return fake_store_done(fake, p);
}

static int has_claim(const fake_store_t *fake, const mdm_enrollment_t *row, const char *device)
{
    for (int i = 0; i < fake->claims->nelts; i++)
        if (strcmp(CLAIM(fake, i)->site, row->site) == 0 &&
            strcmp(CLAIM(fake, i)->kind, MDM_CLAIM_DEVICES) == 0 &&
            strcmp(CLAIM(fake, i)->holder, device) == 0)
            return 1;
    return 0;
}

/* The tests have no device twice without a claim. */
static mdm_result_t claim_missing(void *context, apr_pool_t *p, const char *site, const char *user,
                                  const char *device, int *others, int *own)
{
    fake_store_t *fake = context;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    *others = *own = 0;
    for (int i = 0; i < fake->enrollments->nelts; i++) {
        const mdm_enrollment_t *row = APR_ARRAY_IDX(fake->enrollments, i, mdm_enrollment_t *);

        if (row->state != MDM_STATE_DELIVERED || mdm_enrollment_is_ended(row) ||
            strcmp(row->site, site) != 0 || strcmp(row->user, user) != 0 ||
            has_claim(fake, row, mdm_enrollment_device(row)))
            continue;
        if (strcmp(mdm_enrollment_device(row), device) == 0)
            *own = 1;
        else
            ++*others;
    }
    return fake_store_done(fake, p);
}

static mdm_result_t claim_insert(void *context, apr_pool_t *p, const mdm_claim_t *claim, int *won)
{
    fake_store_t *fake = context;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    *won = fake_claim_put(fake, claim);
    fake->writes += *won;
    return fake_store_done(fake, p);
}

/* The index of a claim that is still as it was at a time, or -1. */
static int find(const fake_store_t *fake, const mdm_claim_t *claim, apr_int64_t taken_at)
{
    for (int i = 0; i < fake->claims->nelts; i++)
        if (same_user(CLAIM(fake, i), claim) && CLAIM(fake, i)->place == claim->place &&
            strcmp(CLAIM(fake, i)->holder, claim->holder) == 0 &&
            CLAIM(fake, i)->taken_at == taken_at)
            return i;
    return -1;
}

static mdm_result_t claim_renew(void *context, apr_pool_t *p, const mdm_claim_t *claim,
                                apr_int64_t before, int *won)
{
    fake_store_t *fake = context;
    int i;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    i = find(fake, claim, before);
    *won = i >= 0;
    if (i >= 0) {
        CLAIM(fake, i)->enrollment = apr_pstrdup(fake->pool, claim->enrollment);
        CLAIM(fake, i)->taken_at = claim->taken_at;
        fake->writes++;
    }
    return fake_store_done(fake, p);
}

static mdm_result_t claim_delete(void *context, apr_pool_t *p, const mdm_claim_t *claim, int *won)
{
    fake_store_t *fake = context;
    int i;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    i = find(fake, claim, claim->taken_at);
    *won = i >= 0;
    if (i >= 0) {
        remove_at(fake, i);
        fake->writes++;
    }
    return fake_store_done(fake, p);
}

static mdm_result_t claim_settle(void *context, apr_pool_t *p, const mdm_claim_t *claim)
{
    fake_store_t *fake = context;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    for (int i = 0; i < fake->claims->nelts; i++)
        if (same_user(CLAIM(fake, i), claim) &&
            strcmp(CLAIM(fake, i)->holder, claim->holder) == 0) {
            CLAIM(fake, i)->enrollment = apr_pstrdup(fake->pool, claim->enrollment);
            fake->writes++;
        }
    return fake_store_done(fake, p);
}

static mdm_result_t claim_free_others(void *context, apr_pool_t *p, const mdm_claim_t *claim)
{
    fake_store_t *fake = context;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    for (int i = fake->claims->nelts - 1; i >= 0; i--)
        if (strcmp(CLAIM(fake, i)->site, claim->site) == 0 &&
            strcmp(CLAIM(fake, i)->kind, claim->kind) == 0 &&
            strcmp(CLAIM(fake, i)->holder, claim->holder) == 0 &&
            strcmp(CLAIM(fake, i)->user, claim->user) != 0) {
            remove_at(fake, i);
            fake->writes++;
        }
    return fake_store_done(fake, p);
}

static mdm_result_t claim_sweep(void *context, apr_pool_t *p, const char *site, const char *kind,
                                apr_int64_t before)
{
    fake_store_t *fake = context;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    for (int i = fake->claims->nelts - 1; i >= 0; i--) {
        const mdm_claim_t *claim = CLAIM(fake, i);
        const mdm_enrollment_t *row = fake_store_enrollment(fake, claim->enrollment);

        if ((strcmp(claim->site, site) == 0 && strcmp(claim->kind, kind) == 0 &&
             claim->taken_at < before) ||
            (row != NULL && row->state != MDM_STATE_DELIVERED && row->expires_at < before)) {
            remove_at(fake, i);
            fake->writes++;
        }
    }
    return fake_store_done(fake, p);
}

void fake_claim(fake_store_t *fake)
{
    fake->store.claim_list = claim_list;
    fake->store.claim_missing = claim_missing;
    fake->store.claim_insert = claim_insert;
    fake->store.claim_renew = claim_renew;
    fake->store.claim_delete = claim_delete;
    fake->store.claim_settle = claim_settle;
    fake->store.claim_free_others = claim_free_others;
    fake->store.claim_sweep = claim_sweep;
}
