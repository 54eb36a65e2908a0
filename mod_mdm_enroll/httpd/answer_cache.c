/* SPDX-License-Identifier: Apache-2.0
 * A table of sets of four, as a processor's cache is.
 */
#include "answer_cache.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#define WAYS 4

typedef struct entry_t {
    unsigned char key[MDM_ANSWER_KEY_BYTES];
    apr_time_t since; /* before that the clock was set back: nothing is known any more */
    apr_time_t until; /* 0: never used */
    apr_size_t len;
} entry_t;

struct mdm_answer_cache_t {
    apr_thread_mutex_t *mutex;
    unsigned int sets;
    apr_size_t bytes; /* of a value */
    entry_t *entries;
    unsigned char *values;
};

mdm_answer_cache_t *mdm_answer_cache_create(apr_pool_t *p, unsigned int entries, apr_size_t bytes)
{
    mdm_answer_cache_t *cache = apr_pcalloc(p, sizeof(*cache));

    if (apr_thread_mutex_create(&cache->mutex, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS)
        return NULL;
    cache->sets = entries / WAYS;
    cache->bytes = bytes;
    cache->entries = apr_pcalloc(p, sizeof(*cache->entries) * cache->sets * WAYS);
    cache->values = apr_palloc(p, bytes * cache->sets * WAYS);
    return cache;
}

static entry_t *set_of(const mdm_answer_cache_t *cache, const unsigned char *key)
{
    unsigned int number = (unsigned int)key[0] << 16 | (unsigned int)key[1] << 8 | key[2];

    return cache->entries + (apr_size_t)(number % cache->sets) * WAYS;
}

static unsigned char *value_of(const mdm_answer_cache_t *cache, const entry_t *entry)
{
    return cache->values + (apr_size_t)(entry - cache->entries) * cache->bytes;
}

static int has_key(const entry_t *entry, const unsigned char *key)
{
    return entry->until != 0 && memcmp(entry->key, key, MDM_ANSWER_KEY_BYTES) == 0;
}

const void *mdm_answer_cache_get(mdm_answer_cache_t *cache, apr_pool_t *p, const unsigned char *key,
                                 apr_time_t now, apr_size_t *len)
{
    const entry_t *set = set_of(cache, key);
    const void *value = NULL;

    apr_thread_mutex_lock(cache->mutex);
    for (int i = 0; i < WAYS && value == NULL; i++) {
        if (has_key(&set[i], key) && now >= set[i].since && now < set[i].until) {
            value = apr_pmemdup(p, value_of(cache, &set[i]), set[i].len);
            *len = set[i].len;
        }
    }
    apr_thread_mutex_unlock(cache->mutex);
    return value;
}

/* The same key's, else the one that ends first: unused and stale ones do before all others. */
static entry_t *room_for(entry_t *set, const unsigned char *key)
{
    entry_t *first = set;

    for (int i = 0; i < WAYS; i++) {
        if (has_key(&set[i], key))
            return &set[i];
        if (set[i].until < first->until)
            first = &set[i];
    }
    return first;
}

void mdm_answer_cache_put(mdm_answer_cache_t *cache, const unsigned char *key, apr_time_t since,
                          apr_time_t until, const void *value, apr_size_t len)
{
    entry_t *entry;

    if (len > cache->bytes)
        return;
    apr_thread_mutex_lock(cache->mutex);
    entry = room_for(set_of(cache, key), key);
    memcpy(entry->key, key, MDM_ANSWER_KEY_BYTES);
    entry->since = since;
    entry->until = until;
    entry->len = len;
    memcpy(value_of(cache, entry), value, len);
    apr_thread_mutex_unlock(cache->mutex);
}
