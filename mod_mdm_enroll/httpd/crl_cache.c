/* SPDX-License-Identifier: Apache-2.0
 * A CRL, kept for some seconds. Depends on core's mdm_crl and APR.
 */
#include "crl_cache.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "surroundings.h"

/* After a failure nobody tries again for so long: each would wait for the database in turn. */
#define PAUSE_SECONDS 1

typedef struct crl_cache_t {
    mdm_crl_source_t source;
    apr_thread_mutex_t *mutex; /* of all below */
    const mdm_ca_t *ca;
    mdm_world_t world;
    apr_pool_t *p; /* of the list, or of why there is none; cleared for the next */
    mdm_crl_t crl;
    mdm_result_t result; /* of the last making */
    apr_int64_t made_at; /* 0: never */
} crl_cache_t;

/* The clock may have been set back: then it is old, too. */
static int is_fresh(const crl_cache_t *cache)
{
    apr_int64_t age = mdm_clock_now(NULL) - cache->made_at;

    return age >= 0 && age < (cache->result.kind == MDM_OK ? MDM_CRL_CACHE_SECONDS : PAUSE_SECONDS);
}

static mdm_crl_t copy(apr_pool_t *p, const mdm_crl_t *crl)
{
    return (mdm_crl_t){apr_pmemdup(p, crl->der, crl->len), crl->len,
                       apr_pmemdup(p, crl->bag, crl->bag_len), crl->bag_len};
}

static mdm_result_t copy_result(apr_pool_t *p, const mdm_result_t *result)
{
    mdm_result_t copied = *result;

    copied.log = result->log != NULL ? apr_pstrdup(p, result->log) : NULL;
    return copied;
}

/* A list that could not be made anew is not replaced by the old one: nobody could tell what is
 * missing in it. */
static void make(crl_cache_t *cache, apr_pool_t *p)
{
    mdm_crl_t made = {NULL, 0, NULL, 0};
    apr_pool_t *work;
    mdm_result_t r;

    cache->made_at = mdm_clock_now(NULL);
    /* What reading the rows takes must not stay for as long as the list. */
    apr_pool_create(&work, p);
    r = mdm_crl_make(work, cache->ca, &cache->world, &made);
    apr_pool_clear(cache->p);
    cache->result = copy_result(cache->p, &r);
    if (r.kind == MDM_OK)
        cache->crl = copy(cache->p, &made);
    apr_pool_destroy(work);
}

/* One thread makes it, the others wait for that one. */
static mdm_result_t get(void *context, apr_pool_t *p, mdm_crl_t *crl)
{
    crl_cache_t *cache = context;
    mdm_result_t r;

    apr_thread_mutex_lock(cache->mutex);
    if (!is_fresh(cache))
        make(cache, p);
    r = copy_result(p, &cache->result);
    if (r.kind == MDM_OK)
        *crl = copy(p, &cache->crl);
    apr_thread_mutex_unlock(cache->mutex);
    return r;
}

const mdm_crl_source_t *mdm_crl_cache_create(apr_pool_t *p, const mdm_ca_t *ca,
                                             const mdm_store_t *store)
{
    crl_cache_t *cache = apr_pcalloc(p, sizeof(*cache));

    if (apr_thread_mutex_create(&cache->mutex, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS)
        return NULL;
    apr_pool_create(&cache->p, p);
    cache->ca = ca;
    cache->world.store = store;
    cache->world.now = mdm_clock_now;
    cache->world.random = mdm_random_bytes;
    cache->source.context = cache;
    cache->source.get = get;
    return &cache->source;
}
