/* SPDX-License-Identifier: Apache-2.0
 * A CRL, kept for some seconds. Depends on core's mdm_crl and APR.
 */
#include "crl_cache.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "surroundings.h"

typedef struct crl_cache_t {
    mdm_crl_source_t source;
    apr_thread_mutex_t *mutex; /* of all below */
    const mdm_ca_t *ca;
    mdm_world_t world;
    apr_pool_t *p; /* of the list; cleared for the next */
    mdm_crl_t crl; /* der is NULL while there is none */
    apr_int64_t made_at;
} crl_cache_t;

/* The clock may have been set back: then it is old, too. */
static int is_fresh(const crl_cache_t *cache)
{
    apr_int64_t age = mdm_clock_now(NULL) - cache->made_at;

    return cache->crl.der && age >= 0 && age < MDM_CRL_CACHE_SECONDS;
}

static mdm_result_t make(crl_cache_t *cache, apr_pool_t *p)
{
    apr_pool_t *work;
    mdm_crl_t made;
    mdm_result_t r;

    cache->made_at = mdm_clock_now(NULL);
    /* What reading the rows takes must not stay for as long as the list. */
    apr_pool_create(&work, p);
    r = mdm_crl_make(work, cache->ca, &cache->world, &made);
    if (r.kind == MDM_OK) {
        apr_pool_clear(cache->p);
        cache->crl.der = apr_pmemdup(cache->p, made.der, made.len);
        cache->crl.len = made.len;
    } else {
        r.log = apr_pstrdup(p, r.log);
    }
    apr_pool_destroy(work);
    return r;
}

/* One thread makes it, the others wait for that one. A list that could not be made anew is not
 * replaced by the old one: nobody could tell what is missing in it. */
static mdm_result_t get(void *context, apr_pool_t *p, mdm_crl_t *crl)
{
    crl_cache_t *cache = context;
    mdm_result_t r = mdm_result_ok();

    apr_thread_mutex_lock(cache->mutex);
    if (!is_fresh(cache))
        r = make(cache, p);
    if (r.kind == MDM_OK) {
        crl->der = apr_pmemdup(p, cache->crl.der, cache->crl.len);
        crl->len = cache->crl.len;
    }
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
