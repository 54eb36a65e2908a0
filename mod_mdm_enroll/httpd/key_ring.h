/* SPDX-License-Identifier: Apache-2.0
 * The private keys of one reading of the configuration: who may be asked for what at this time, and
 * what was unlocked at an earlier one. httpd reads its configuration twice at a start and once more
 * at each restart, when nobody is at the terminal: keys that are encrypted or in a token are kept
 * over that, the pass phrases and PINs are not. Depends on mdm_key, passphrase and httpd's retained
 * data.
 */
#ifndef MDM_KEY_RING_H
#define MDM_KEY_RING_H

#include <httpd.h>

#include "../core/mdm_key.h"

typedef enum {
    /* The first reading, which "httpd -k stop" makes as well: nobody is asked, no token touched. */
    MDM_KEYS_LOOK,
    /* httpd -t: programs are asked, and persons are not. */
    MDM_KEYS_TEST,
    /* Once it is sure that httpd starts: everybody is asked. */
    MDM_KEYS_START,
    /* Later: the terminal is not ours any more. */
    MDM_KEYS_LATER
} mdm_keys_time_t;

typedef struct mdm_key_ring_t mdm_key_ring_t;

mdm_key_ring_t *mdm_key_ring_create(apr_pool_t *p, mdm_keys_time_t time);

/* For mdm_signer_read(). who says whose key it is, for a person. program is that of
 * MDMEnrollPassPhraseDialog, or NULL for the terminal. Whoever cannot be asked at this time gets
 * the certificate's public key in place of the private one, which mdm_key_ring_deferred() counts:
 * the rest can be checked with it. What failed once is not tried again by this ring: nobody wants
 * to be asked for every vhost, and a token counts wrong PINs. In p. */
const mdm_key_reader_t *mdm_key_ring_reader(mdm_key_ring_t *ring, apr_pool_t *p, const char *who,
                                            const char *const *program);

/* How many keys were stood in for. */
int mdm_key_ring_deferred(const mdm_key_ring_t *ring);

/* Forget what is kept and was not asked for since the last ring was made. */
void mdm_key_ring_sweep(void);

#endif
