/* SPDX-License-Identifier: Apache-2.0
 * Database handles, lent: bounded, timed, dropped when in doubt. One pool per process and store.
 * Depends on dbd_handle, APR and apr-util only, so that unit tests can link it.
 */
#ifndef MDM_DBD_POOL_H
#define MDM_DBD_POOL_H

#include <apr_pools.h>

#include "../core/mdm_result.h"
#include "dbd_handle.h"

typedef struct mdm_dbd_pool_t mdm_dbd_pool_t;

/* Make a pool in a child process, before it has threads. No connection is opened. Everything but
 * handles still lent ends with p. The schema must outlive it. */
apr_status_t mdm_dbd_pool_create(apr_pool_t *p, mdm_dbd_kind_t kind, const char *target,
                                 const mdm_dbd_schema_t *schema, mdm_dbd_pool_t **pool);

/* A handle, for one thread until it is released: connected, set up (schema made or checked) and, if
 * it has rested, tried. Whoever gets an open one waits at most 2 s for it; whoever has to open one
 * waits longer by the time that takes: connecting to PostgreSQL is given up after 3 s for each
 * address, each statement of the set-up after 3 s (unless the target says otherwise), and no set-up
 * is tried again after 3 s. MDM_MSG_STORE_BUSY, _UNAVAILABLE or _SCHEMA otherwise; texts in p.
 * After a failure to connect, every call of the next second that would connect fails with the same
 * text. An SQLite file that is gone under the running server is told (_UNAVAILABLE): at each call
 * while its -wal or -shm file is there, since it may be put back; else once, then a new one is
 * made. Another file in its place is simply used. Never hold a handle across LDAP, signing or the
 * network. */
mdm_result_t mdm_dbd_acquire(mdm_dbd_pool_t *pool, apr_pool_t *p, mdm_dbd_handle_t **handle);

/* Give it back. doubtful: something failed on it, so it is closed instead of used again, as is
 * every other handle that was open by now, and the next set-up makes missing tables. */
void mdm_dbd_release(mdm_dbd_handle_t *handle, int doubtful);

#endif
