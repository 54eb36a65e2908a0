/* SPDX-License-Identifier: Apache-2.0
 * Who is asked for the pass phrase of a private key, or the PIN of a token. Implemented in
 * httpd/key_ring.c, and by tests. Depends on APR only.
 */
#ifndef MDM_ASKER_H
#define MDM_ASKER_H

#include <apr_pools.h>

/* Room for a pass phrase with its NUL: the longest has one byte less. OpenSSL's own is as large
 * (PEM_BUFSIZE). */
#define MDM_PASSPHRASE_BYTES 1024

typedef struct mdm_asker_t {
    void *context;
    /* How often a pass phrase that turns out to be wrong may be asked for: 1 where no person
     * answers. A PIN is asked for once only, since a token counts wrong ones. */
    int attempts;
    /* Put the pass phrase of a key into phrase (MDM_PASSPHRASE_BYTES, NUL-terminated). name is a
     * file, or a URI without its PIN. attempt counts from 1. Returns NULL, or why there is none, in
     * words that follow "… is encrypted, and ". Whoever asked wipes phrase, also after a failure.
     */
    const char *(*ask)(void *context, apr_pool_t *p, const char *name, int attempt, char *phrase);
} mdm_asker_t;

#endif
