/* SPDX-License-Identifier: Apache-2.0
 * Answers that are good for seconds: a table of fixed size, so that nobody can fill memory with
 * what he asks. Depends on APR only.
 */
#ifndef MDM_ANSWER_CACHE_H
#define MDM_ANSWER_CACHE_H

#include <apr_pools.h>
#include <apr_time.h>

/* Bytes of a key, which must be spread like those of a hash (SHA-256). */
#define MDM_ANSWER_KEY_BYTES 32

typedef struct mdm_answer_cache_t mdm_answer_cache_t;

/* A table of so many entries (a multiple of 4) for values of at most so many bytes; for all threads
 * of a process. Memory that no entry ever used is not touched. NULL without a mutex. */
mdm_answer_cache_t *mdm_answer_cache_create(apr_pool_t *p, unsigned int entries, apr_size_t bytes);

/* What was put under a key and is good still, copied into p; NULL if there is none. */
const void *mdm_answer_cache_get(mdm_answer_cache_t *cache, apr_pool_t *p, const unsigned char *key,
                                 apr_time_t now, apr_size_t *len);

/* Keep a value from the time since, when it was asked for, until another. A value that is too long
 * is not kept. Where there is no room, what ends first gives way. */
void mdm_answer_cache_put(mdm_answer_cache_t *cache, const unsigned char *key, apr_time_t since,
                          apr_time_t until, const void *value, apr_size_t len);

#endif
