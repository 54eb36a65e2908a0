/* SPDX-License-Identifier: Apache-2.0
 * The private keys of one reading of the configuration, and what is kept of them for the next.
 */
#include "key_ring.h"

#include <stdlib.h>
#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_config.h>
#include <openssl/err.h>

#include "../core/mdm_token.h"
#include "passphrase.h"

/* Another layout wants another name: a module that was replaced on disk gets the data of its
 * predecessor at the next graceful restart. */
#define RETAINED "mod_mdm_enroll_keys_1"

/* A key that was encrypted or is in a token. OpenSSL's object itself: libcrypto stays in the
 * process while modules come and go, and a token need not be logged in to again. */
typedef struct kept_t {
    struct kept_t *next;
    char *name;                                 /* a file, or a URI without its PIN */
    unsigned char digest[MDM_KEY_DIGEST_BYTES]; /* of what it was read from */
    EVP_PKEY *key;
    int used; /* by the last ring */
} kept_t;

/* Of malloc(), since httpd's pool for this lives as long as the process. */
typedef struct {
    kept_t *first;
} retained_t;

struct mdm_key_ring_t {
    mdm_keys_time_t time;
    retained_t *retained;
    apr_hash_t *failures; /* of reader->program and source, to mdm_result_t * */
    apr_pool_t *p;
    int deferred;
};

typedef struct {
    mdm_key_ring_t *ring;
    const char *who;
    const char *const *program;
    int asked;
    int deferred; /* the answer would come later */
} holder_t;

/* --- what is kept --- */

static void forget(kept_t **place)
{
    kept_t *kept = *place;

    *place = kept->next;
    EVP_PKEY_free(kept->key); /* wipes it, if it was the last reference */
    free(kept->name);
    free(kept);
}

void mdm_key_ring_sweep(void)
{
    retained_t *retained = ap_retained_data_get(RETAINED);
    kept_t **place = retained ? &retained->first : NULL;

    while (place && *place)
        if ((*place)->used)
            place = &(*place)->next;
        else
            forget(place);
}

static kept_t **find(retained_t *retained, const char *name)
{
    kept_t **place = &retained->first;

    while (*place && strcmp((*place)->name, name) != 0)
        place = &(*place)->next;
    return place;
}

/* What cannot be kept is asked for again. */
static void keep(retained_t *retained, const char *name, const unsigned char *digest, EVP_PKEY *key)
{
    kept_t **place = find(retained, name);
    kept_t *kept = calloc(1, sizeof(*kept));

    if (*place)
        forget(place);
    if (kept)
        kept->name = strdup(name);
    if (!kept || !kept->name || !EVP_PKEY_up_ref(key)) {
        if (kept)
            free(kept->name);
        free(kept);
        return;
    }
    memcpy(kept->digest, digest, sizeof(kept->digest));
    kept->key = key;
    kept->used = 1;
    kept->next = retained->first;
    retained->first = kept;
}

/* The key of an unchanged file, or of an unchanged URI if it belongs to the certificate: it may
 * have been replaced in the token, and its certificate with it. NULL if there is none. */
static EVP_PKEY *recall(retained_t *retained, apr_pool_t *p, const char *source,
                        const unsigned char *digest, X509 *cert)
{
    kept_t *kept = *find(retained, mdm_key_name(p, source));
    int fits = kept && !memcmp(kept->digest, digest, sizeof(kept->digest)) &&
               (!mdm_token_is_uri(source) || X509_check_private_key(cert, kept->key) == 1);

    ERR_clear_error();
    if (!fits || !EVP_PKEY_up_ref(kept->key))
        return NULL;
    kept->used = 1;
    return mdm_x509_own_key(p, kept->key);
}

/* --- asking --- */

static const char *ask(void *context, apr_pool_t *p, const char *name, int attempt, char *phrase)
{
    holder_t *holder = context;
    mdm_keys_time_t time = holder->ring->time;

    holder->asked = 1;
    if (time == MDM_KEYS_LOOK || (time == MDM_KEYS_TEST && !holder->program)) {
        holder->deferred = 1;
        return "it is asked for later";
    }
    if (holder->program)
        return mdm_passphrase_program(p, holder->program, name, phrase);
    if (time == MDM_KEYS_LATER)
        return "the terminal can be asked only when httpd starts, not when it restarts (the key is "
               "another one than then); wanted: a stop and a start, or MDMEnrollPassPhraseDialog "
               "exec:/path of a program that prints it";
    return mdm_passphrase_terminal(p, holder->who, name, attempt, phrase);
}

static mdm_result_t stand_in(holder_t *holder, apr_pool_t *p, X509 *cert, EVP_PKEY **key)
{
    EVP_PKEY *public_key = mdm_x509_own_key(p, X509_get_pubkey(cert));

    if (!public_key)
        return mdm_result_make(p, MDM_MSG_FILE, "the key of a certificate cannot be read: %s",
                               mdm_openssl_reason(p));
    holder->ring->deferred++;
    *key = public_key;
    return mdm_result_ok();
}

static mdm_result_t read_anew(holder_t *holder, apr_pool_t *p, const char *source,
                              const unsigned char *digest, X509 *cert, EVP_PKEY **key)
{
    mdm_asker_t asker = {holder, holder->program ? 1 : MDM_PASSPHRASE_ATTEMPTS, ask};
    mdm_key_ring_t *ring = holder->ring;
    mdm_result_t r;

    holder->asked = holder->deferred = 0;
    if (mdm_token_is_uri(source) && ring->time == MDM_KEYS_LOOK)
        return stand_in(holder, p, cert, key);
    r = mdm_key_read(p, source, &asker, key);
    if (holder->deferred)
        return stand_in(holder, p, cert, key);
    if (r.kind == MDM_OK && (holder->asked || mdm_token_is_uri(source)))
        keep(ring->retained, mdm_key_name(p, source), digest, *key);
    return r;
}

static mdm_result_t read_key(void *context, apr_pool_t *p, const char *source, X509 *cert,
                             EVP_PKEY **key)
{
    holder_t *holder = context;
    mdm_key_ring_t *ring = holder->ring;
    const char *which = apr_psprintf(ring->p, "%pp %s", (const void *)holder->program, source);
    const mdm_result_t *failure = apr_hash_get(ring->failures, which, APR_HASH_KEY_STRING);
    unsigned char digest[MDM_KEY_DIGEST_BYTES];
    EVP_PKEY *kept;
    mdm_result_t r;

    if (failure)
        return *failure;
    r = mdm_key_digest(p, source, digest);
    if (r.kind != MDM_OK)
        return r;
    kept = recall(ring->retained, p, source, digest, cert);
    if (kept) {
        *key = kept;
        return mdm_result_ok();
    }
    r = read_anew(holder, p, source, digest, cert, key);
    if (r.kind != MDM_OK)
        apr_hash_set(ring->failures, which, APR_HASH_KEY_STRING,
                     apr_pmemdup(ring->p, &r, sizeof(r)));
    return r;
}

/* --- rings --- */

mdm_key_ring_t *mdm_key_ring_create(apr_pool_t *p, mdm_keys_time_t time)
{
    mdm_key_ring_t *ring = apr_pcalloc(p, sizeof(*ring));
    kept_t *kept;

    ring->time = time;
    ring->p = p;
    ring->failures = apr_hash_make(p);
    ring->retained = ap_retained_data_get(RETAINED);
    if (!ring->retained)
        ring->retained = ap_retained_data_create(RETAINED, sizeof(*ring->retained));
    for (kept = ring->retained->first; kept; kept = kept->next)
        kept->used = 0;
    return ring;
}

const mdm_key_reader_t *mdm_key_ring_reader(mdm_key_ring_t *ring, apr_pool_t *p, const char *who,
                                            const char *const *program)
{
    mdm_key_reader_t *reader = apr_pcalloc(p, sizeof(*reader));
    holder_t *holder = apr_pcalloc(p, sizeof(*holder));

    holder->ring = ring;
    holder->who = who;
    holder->program = program;
    reader->context = holder;
    reader->read = read_key;
    return reader;
}

int mdm_key_ring_deferred(const mdm_key_ring_t *ring)
{
    return ring->deferred;
}
