/* SPDX-License-Identifier: Apache-2.0
 * Certificates and users, asked about and remembered for seconds. Depends on core's mdm_sighting
 * and mdm_x509, answer_cache, surroundings.
 */
#include "device_guard.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "../core/mdm_sighting.h"
#include "../core/mdm_x509.h"
#include "answer_cache.h"
#include "surroundings.h"

/* Entries, and bytes of a value: more devices at a time than one process sees within seconds, in a
 * megabyte or so. What is refused has a table of its own: it must not push out what is not. */
#define LIVE_ENTRIES 1024
#define REFUSED_ENTRIES 256
#define VALUE_BYTES 768

/* After a failure of the directory, in seconds. */
#define PAUSE_SECONDS 1

#define KNOWN_TEXTS 8

typedef struct memory_t {
    mdm_answer_cache_t *live;    /* of certificates: the texts of a device; of users: nothing */
    mdm_answer_cache_t *refused; /* message and log text */
} memory_t;

struct mdm_device_guard_t {
    mdm_world_t world;
    const mdm_trust_t *trust;
    memory_t certificates;
    memory_t users;
};

static int make_memory(apr_pool_t *p, memory_t *memory, apr_size_t bytes)
{
    memory->live = mdm_answer_cache_create(p, LIVE_ENTRIES, bytes);
    memory->refused = mdm_answer_cache_create(p, REFUSED_ENTRIES, VALUE_BYTES);
    return memory->live != NULL && memory->refused != NULL;
}

mdm_device_guard_t *mdm_device_guard_create(apr_pool_t *p, const mdm_store_t *store,
                                            const mdm_directory_t *directory,
                                            const mdm_trust_t *trust, const char *site)
{
    mdm_device_guard_t *guard = apr_pcalloc(p, sizeof(*guard));

    guard->world = (mdm_world_t){.store = store,
                                 .directory = directory,
                                 .site = site,
                                 .rules = site,
                                 .now = mdm_clock_now,
                                 .random = mdm_random_bytes};
    guard->trust = trust;
    return make_memory(p, &guard->certificates, VALUE_BYTES) && make_memory(p, &guard->users, 1)
               ? guard
               : NULL;
}

/* --- what is remembered --- */

static void remember_refusal(memory_t *memory, const unsigned char *key, apr_time_t since,
                             int seconds, const mdm_result_t *result)
{
    char value[VALUE_BYTES];
    apr_size_t number = sizeof(result->message);

    memcpy(value, &result->message, number);
    apr_cpystrn(value + number, result->log, sizeof(value) - number);
    mdm_answer_cache_put(memory->refused, key, since, since + apr_time_from_sec(seconds), value,
                         number + strlen(value + number) + 1);
}

/* 1 if it was refused a moment ago; then *result says why. */
static int was_refused(memory_t *memory, apr_pool_t *p, const unsigned char *key, apr_time_t now,
                       mdm_result_t *result)
{
    mdm_message_t message;
    apr_size_t len;
    const char *value = mdm_answer_cache_get(memory->refused, p, key, now, &len);

    if (value == NULL)
        return 0;
    memcpy(&message, value, sizeof(message));
    *result = mdm_result_make(p, message, "%s", value + sizeof(message));
    return 1;
}

/* Its texts one behind the other. */
static void remember_device(mdm_device_guard_t *guard, apr_pool_t *p, const unsigned char *key,
                            apr_time_t since, const mdm_known_device_t *device,
                            apr_int64_t not_after)
{
    const char *texts[KNOWN_TEXTS];
    apr_time_t until = since + apr_time_from_sec(MDM_GUARD_SECONDS);
    apr_size_t len = 0;
    char *value;

    memcpy(texts, device, sizeof(*device));
    for (int i = 0; i < KNOWN_TEXTS; i++)
        len += strlen(texts[i]) + 1;
    value = apr_palloc(p, len);
    len = 0;
    for (int i = 0; i < KNOWN_TEXTS; i++) {
        apr_size_t bytes = strlen(texts[i]) + 1;
        memcpy(value + len, texts[i], bytes);
        len += bytes;
    }
    if (until > apr_time_from_sec(not_after + 1))
        until = apr_time_from_sec(not_after + 1);
    mdm_answer_cache_put(guard->certificates.live, key, since, until, value, len);
}

static int recall_device(mdm_device_guard_t *guard, apr_pool_t *p, const unsigned char *key,
                         apr_time_t now, mdm_known_device_t *device)
{
    const char *texts[KNOWN_TEXTS];
    apr_size_t len;
    const char *value = mdm_answer_cache_get(guard->certificates.live, p, key, now, &len);

    if (value == NULL)
        return 0;
    for (int i = 0; i < KNOWN_TEXTS; i++) {
        texts[i] = value;
        value += strlen(value) + 1;
    }
    memcpy(device, texts, sizeof(*device));
    return 1;
}

/* --- what is asked --- */

static mdm_known_device_t known(const mdm_sighting_t *seen)
{
    return (mdm_known_device_t){.certificate = seen->certificate.serial,
                                .enrollment = seen->row.id,
                                .user = seen->row.user,
                                .udid = seen->row.udid,
                                .serial = seen->row.serial,
                                .product = seen->row.product,
                                .os_version = seen->row.os_version,
                                .flow = seen->row.flow};
}

/* The DER of a certificate, not yet decoded, and its SHA-256. */
static mdm_result_t take_pem(apr_pool_t *p, const char *pem, const unsigned char **der, long *len,
                             unsigned char *key)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    mdm_result_t r = mdm_result_ok();

    if (bio == NULL || PEM_read_bio(bio, &name, &header, &data, len) != 1 ||
        EVP_Digest(data, (size_t)*len, key, NULL, EVP_sha256(), NULL) != 1)
        r = mdm_result_make(p, MDM_MSG_CRYPTO, "the client certificate cannot be taken: %s",
                            mdm_openssl_reason(p));
    else
        *der = apr_pmemdup(p, data, (apr_size_t)*len);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    BIO_free(bio);
    return r;
}

static mdm_result_t ask_store(mdm_device_guard_t *guard, apr_pool_t *p, const unsigned char *der,
                              long len, mdm_sighting_t **seen, int *ended)
{
    X509 *cert;
    mdm_result_t r = mdm_x509_decode(p, der, (apr_size_t)len, &cert);

    if (r.kind != MDM_OK)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED, "the client certificate: %s", r.log);
    r = mdm_sighting_find(p, guard->trust, &guard->world, cert, seen);
    return r.kind == MDM_OK ? mdm_sighting_settle(p, &guard->world, *seen, ended) : r;
}

static mdm_result_t ask_certificate(mdm_device_guard_t *guard, apr_pool_t *p, const char *pem,
                                    mdm_known_device_t *device, int *ended)
{
    unsigned char key[EVP_MAX_MD_SIZE];
    const unsigned char *der = NULL;
    apr_time_t now = apr_time_now(); /* before the store is asked: what it says is as old as this */
    mdm_sighting_t *seen = NULL;
    long len;
    mdm_result_t r = take_pem(p, pem, &der, &len, key);

    if (r.kind != MDM_OK || recall_device(guard, p, key, now, device) ||
        was_refused(&guard->certificates, p, key, now, &r))
        return r;
    r = ask_store(guard, p, der, len, &seen, ended);
    if (r.kind == MDM_REFUSED)
        remember_refusal(&guard->certificates, key, now, MDM_GUARD_SECONDS, &r);
    if (r.kind != MDM_OK)
        return r;
    *device = known(seen);
    remember_device(guard, p, key, now, device, seen->certificate.not_after);
    return r;
}

/* Where the directory's own failure is remembered: no user has this name. */
static const char nobody[] = "";

static mdm_result_t ask_user(mdm_device_guard_t *guard, apr_pool_t *p, const char *user)
{
    const mdm_directory_t *directory = guard->world.directory;
    unsigned char key[EVP_MAX_MD_SIZE], pause[EVP_MAX_MD_SIZE];
    apr_time_t now = apr_time_now();
    apr_size_t len;
    mdm_result_t r = mdm_result_ok();

    if (EVP_Digest(user, strlen(user), key, NULL, EVP_sha256(), NULL) != 1 ||
        EVP_Digest(nobody, 0, pause, NULL, EVP_sha256(), NULL) != 1) {
        mdm_openssl_reason(p);
        return mdm_sha256_failed(p);
    }
    if (mdm_answer_cache_get(guard->users.live, p, key, now, &len) != NULL ||
        was_refused(&guard->users, p, key, now, &r) ||
        was_refused(&guard->users, p, pause, now, &r))
        return r;
    r = directory->check(directory->context, p, user, NULL);
    if (r.kind == MDM_OK)
        mdm_answer_cache_put(guard->users.live, key, now,
                             now + apr_time_from_sec(MDM_GUARD_USER_SECONDS), "", 1);
    else if (r.kind == MDM_REFUSED)
        remember_refusal(&guard->users, key, now, MDM_GUARD_SECONDS, &r);
    else if (r.kind == MDM_UNAVAILABLE)
        remember_refusal(&guard->users, pause, apr_time_now(), PAUSE_SECONDS, &r);
    return r;
}

mdm_result_t mdm_device_guard_ask(mdm_device_guard_t *guard, apr_pool_t *p, const char *pem,
                                  mdm_known_device_t *device, int *ended)
{
    mdm_known_device_t found;
    mdm_result_t r;

    *ended = 0;
    r = ask_certificate(guard, p, pem, &found, ended);
    if (r.kind == MDM_OK && guard->world.directory != NULL)
        r = ask_user(guard, p, found.user);
    if (r.kind == MDM_OK)
        *device = found;
    return r;
}
