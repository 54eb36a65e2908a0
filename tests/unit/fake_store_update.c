/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: what updates need of the store in memory. Depends on fake_store.
 */
#include <string.h>

#include <apr_strings.h>

#include "fake_store.h"

#define ROW(array, i, type) APR_ARRAY_IDX(array, i, type *)

static mdm_result_t enrollment_by_device(void *context, apr_pool_t *p, const char *site,
                                         const char *udid, const char *serial, const char **id)
{
    fake_store_t *fake = context;
    const mdm_enrollment_t *found = NULL;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    for (int i = 0; i < fake->enrollments->nelts; i++) {
        const mdm_enrollment_t *row = ROW(fake->enrollments, i, mdm_enrollment_t);
        if (row->state == MDM_STATE_DELIVERED && strcmp(row->site, site) == 0 &&
            !mdm_enrollment_is_ended(row) &&
            strcmp(udid != NULL ? row->udid : row->serial, udid != NULL ? udid : serial) == 0 &&
            (found == NULL || row->created_at >= found->created_at))
            found = row;
    }
    *id = found != NULL ? apr_pstrdup(p, found->id) : NULL;
    return fake_store_done(fake, p);
}

static mdm_result_t enrollment_update(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                      apr_int64_t signed_at, apr_int64_t updated_before, int *won)
{
    fake_store_t *fake = context;
    mdm_enrollment_t *found;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    *won = 0;
    found = fake_store_enrollment(fake, row->id);
    if (found != NULL && found->state == MDM_STATE_DELIVERED && !mdm_enrollment_is_ended(found) &&
        found->signed_at == signed_at && found->updated_at <= updated_before) {
        found->rules = apr_pstrdup(fake->pool, row->rules);
        found->product = apr_pstrdup(fake->pool, row->product);
        found->os_version = apr_pstrdup(fake->pool, row->os_version);
        found->terms = apr_pstrdup(fake->pool, row->terms);
        found->signed_at = row->signed_at;
        found->updated_at = row->updated_at;
        found->expires_at = row->expires_at;
        fake->writes++;
        *won = 1;
    }
    return fake_store_done(fake, p);
}

static mdm_result_t challenge_count(void *context, apr_pool_t *p, const char *enrollment,
                                    mdm_purpose_t purpose, apr_int64_t after, int limit, int *count)
{
    fake_store_t *fake = context;

    if (fake_store_fails(fake))
        return fake_store_unavailable(p);
    *count = 0;
    for (int i = 0; i < fake->challenges->nelts; i++) {
        const mdm_challenge_t *row = ROW(fake->challenges, i, mdm_challenge_t);
        if (row->purpose == purpose && row->expires_at > after && *count < limit &&
            strcmp(row->enrollment, enrollment) == 0)
            ++*count;
    }
    return fake_store_done(fake, p);
}

void fake_store_update(mdm_store_t *store)
{
    store->enrollment_by_device = enrollment_by_device;
    store->enrollment_update = enrollment_update;
    store->challenge_count = challenge_count;
}
