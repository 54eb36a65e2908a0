/* SPDX-License-Identifier: Apache-2.0
 * Database handles, lent: bounded, timed, dropped when in doubt. Depends on dbd_handle, APR and
 * apr-util only.
 */
#include "dbd_pool.h"

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/* More handles do not make SQLite faster: all its steps run under one mutex of apr_dbd. */
#define MAX_SQLITE 4
#define MAX_PGSQL 10

/* So many connect at once: a server that is just starting, or slow, is not helped by all workers of
 * all processes knocking together, and the first handles that are free serve the others. */
#define MAX_CONNECTING 2

#define ACQUIRE_TIMEOUT apr_time_from_sec(2)
#define BREAKER apr_time_from_sec(1)

/* Longest text of a failure to connect, in bytes. */
#define TEXT_MAX 600

struct mdm_dbd_pool_t {
    mdm_dbd_source_t source;
    int max;

    /* Guards what follows, and is never held during I/O. */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *changed;
    mdm_dbd_handle_t *idle;
    int open; /* idle, lent and just connecting */
    int connecting;
    /* A handle of an older generation is closed instead of used again: doubt about one connection
     * is doubt about all that were open at the time. */
    unsigned generation;
    int remake; /* the next set-up runs the DDL even if the version is right */
    int closed;
    apr_time_t broken_until;
    mdm_message_t broken;
    char broken_text[TEXT_MAX];
};

static void outdate(mdm_dbd_pool_t *pool)
{
    apr_thread_mutex_lock(pool->mutex);
    pool->generation++;
    apr_thread_mutex_unlock(pool->mutex);
}

/* An idle handle, or the right to open one (*handle is NULL then), or why there is neither. */
static mdm_result_t take(mdm_dbd_pool_t *pool, apr_pool_t *p, apr_time_t deadline,
                         mdm_dbd_handle_t **handle, unsigned *generation, int *remake)
{
    mdm_result_t r = mdm_result_ok();

    *handle = NULL;
    apr_thread_mutex_lock(pool->mutex);
    for (;;) {
        apr_time_t now = apr_time_now();

        /* A clock that is set back must not make a second, or two, last until it has caught up. */
        if (pool->broken_until > now + BREAKER)
            pool->broken_until = now;
        if (deadline > now + ACQUIRE_TIMEOUT)
            deadline = now + ACQUIRE_TIMEOUT;
        if (pool->idle) {
            *handle = pool->idle;
            pool->idle = pool->idle->next;
            break;
        }
        if (now < pool->broken_until) {
            r = mdm_result_make(p, pool->broken, "%s", pool->broken_text);
            break;
        }
        if (pool->open < pool->max && pool->connecting < MAX_CONNECTING) {
            pool->open++;
            pool->connecting++;
            *remake = pool->remake;
            break;
        }
        if (now >= deadline) {
            r = mdm_result_make(p, MDM_MSG_STORE_BUSY,
                                "%s: no connection was free for %d s (%d of at most %d are open, "
                                "%d of them just connecting)",
                                pool->source.name, (int)apr_time_sec(ACQUIRE_TIMEOUT), pool->open,
                                pool->max, pool->connecting);
            break;
        }
        apr_thread_cond_timedwait(pool->changed, pool->mutex, deadline - now);
    }
    *generation = pool->generation;
    apr_thread_mutex_unlock(pool->mutex);
    return r;
}

/* A connection was closed, or is not wanted any more. */
static void leave(mdm_dbd_pool_t *pool)
{
    apr_thread_mutex_lock(pool->mutex);
    pool->open--;
    apr_thread_cond_signal(pool->changed);
    apr_thread_mutex_unlock(pool->mutex);
}

/* Connecting has ended; if it failed, whoever would connect in the next second is told the same. */
static void connected(mdm_dbd_pool_t *pool, const mdm_result_t *r)
{
    apr_thread_mutex_lock(pool->mutex);
    pool->connecting--;
    if (r->kind != MDM_OK) {
        pool->open--;
        pool->broken_until = apr_time_now() + BREAKER;
        pool->broken = r->message;
        apr_cpystrn(pool->broken_text, r->log, sizeof(pool->broken_text));
    }
    apr_thread_cond_broadcast(pool->changed);
    apr_thread_mutex_unlock(pool->mutex);
}

mdm_result_t mdm_dbd_acquire(mdm_dbd_pool_t *pool, apr_pool_t *p, mdm_dbd_handle_t **handle)
{
    apr_time_t deadline = apr_time_now() + ACQUIRE_TIMEOUT;

    for (;;) {
        mdm_dbd_handle_t *h;
        unsigned generation;
        int remake = 0, usable = 0;
        mdm_result_t r = take(pool, p, deadline, &h, &generation, &remake);

        if (r.kind != MDM_OK)
            return r;
        if (!h) {
            r = mdm_dbd_open(&pool->source, p, remake, handle);
            if (r.kind == MDM_OK) {
                (*handle)->pool = pool;
                (*handle)->generation = generation;
            }
            connected(pool, &r);
            return r;
        }
        if (h->generation == generation) {
            r = mdm_dbd_try(h, p, apr_time_now() - h->released, &usable);
            if (!usable)
                outdate(pool);
        }
        if (usable) {
            *handle = h;
            return r;
        }
        mdm_dbd_close(h);
        leave(pool);
        if (r.kind != MDM_OK)
            return r;
    }
}

void mdm_dbd_release(mdm_dbd_handle_t *handle, int doubtful)
{
    mdm_dbd_pool_t *pool = handle->pool;
    int keep;

    apr_thread_mutex_lock(pool->mutex);
    if (doubtful) {
        pool->generation++;
        pool->remake = 1;
    } else {
        /* What set-up could mend is mended. */
        pool->remake = pool->remake && handle->generation != pool->generation;
    }
    keep = handle->generation == pool->generation && !pool->closed;
    if (keep) {
        handle->released = apr_time_now();
        handle->next = pool->idle;
        pool->idle = handle;
    } else {
        pool->open--;
    }
    apr_thread_cond_signal(pool->changed);
    apr_thread_mutex_unlock(pool->mutex);
    if (!keep)
        mdm_dbd_close(handle);
}

/* A handle that is lent while the process ends belongs to a thread that may still be using it: the
 * kernel closes it, and both databases bear that. */
static apr_status_t close_idle(void *data)
{
    mdm_dbd_pool_t *pool = data;
    mdm_dbd_handle_t *h;

    apr_thread_mutex_lock(pool->mutex);
    h = pool->idle;
    pool->idle = NULL;
    pool->closed = 1;
    apr_thread_mutex_unlock(pool->mutex);
    while (h) {
        mdm_dbd_handle_t *next = h->next;
        mdm_dbd_close(h);
        h = next;
    }
    return APR_SUCCESS;
}

apr_status_t mdm_dbd_pool_create(apr_pool_t *p, mdm_dbd_kind_t kind, const char *target,
                                 const mdm_dbd_schema_t *schema, mdm_dbd_pool_t **out)
{
    mdm_dbd_pool_t *pool = apr_pcalloc(p, sizeof(*pool));
    apr_status_t rv = apr_dbd_init(p);

    if (rv == APR_SUCCESS)
        rv = apr_dbd_get_driver(p, mdm_dbd_driver_name(kind), &pool->source.driver);
    if (rv == APR_SUCCESS)
        rv = apr_thread_mutex_create(&pool->mutex, APR_THREAD_MUTEX_DEFAULT, p);
    if (rv == APR_SUCCESS)
        rv = apr_thread_cond_create(&pool->changed, p);
    if (rv != APR_SUCCESS)
        return rv;
    pool->source.kind = kind;
    pool->source.schema = schema;
    if (kind == MDM_DBD_SQLITE) {
        pool->source.target = apr_pstrdup(p, target);
        pool->source.name = apr_pstrcat(p, "sqlite3:", target, NULL);
        pool->max = MAX_SQLITE;
    } else {
        pool->source.target = mdm_dbd_complete(p, target);
        pool->source.name = "pgsql";
        pool->max = MAX_PGSQL;
    }
    /* Registered last, so run before the mutex goes. */
    apr_pool_cleanup_register(p, pool, close_idle, apr_pool_cleanup_null);
    *out = pool;
    return APR_SUCCESS;
}
