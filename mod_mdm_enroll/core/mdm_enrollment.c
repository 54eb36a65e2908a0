/* SPDX-License-Identifier: Apache-2.0
 * The row, its transitions and its one-time secrets, over the interfaces of mdm_world_t. Depends on
 * mdm_plist (what a text may hold) and mdm_x509 (SHA-256).
 */
#include "mdm_enrollment.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/evp.h>

#include "mdm_plist.h"
#include "mdm_x509.h"

/* Longest user name, in bytes. */
#define MAX_USER 256

/* One offer in so many sweeps: often enough to keep the tables small, too rarely to be noticed. */
#define OFFERS_A_SWEEP 64

static const char *const state_names[] = {"offered", "identifying", "identified", "delivered"};
static const char *const purpose_names[] = {"device", "identity", "mdm", "binding", "acme"};

/* The index of name in count names, or -1. */
static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

const char *mdm_state_name(mdm_state_t state)
{
    return state_names[state];
}

int mdm_state_parse(const char *name, mdm_state_t *state)
{
    int i = index_of(state_names, (int)(sizeof(state_names) / sizeof(state_names[0])), name);

    if (i < 0)
        return 0;
    *state = (mdm_state_t)i;
    return 1;
}

const char *mdm_purpose_name(mdm_purpose_t purpose)
{
    return purpose_names[purpose];
}

int mdm_purpose_parse(const char *name, mdm_purpose_t *purpose)
{
    int i = index_of(purpose_names, (int)(sizeof(purpose_names) / sizeof(purpose_names[0])), name);

    if (i < 0)
        return 0;
    *purpose = (mdm_purpose_t)i;
    return 1;
}

static const char *random_hex(apr_pool_t *p, const mdm_world_t *world, apr_size_t len)
{
    unsigned char *bytes = apr_palloc(p, len);
    char *hex;

    if (!world->random(world->context, bytes, len))
        return NULL;
    hex = apr_palloc(p, 2 * len + 1);
    for (apr_size_t i = 0; i < len; i++)
        apr_snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return hex;
}

const char *mdm_random_uuid(apr_pool_t *p, const mdm_world_t *world)
{
    unsigned char b[16];

    if (!world->random(world->context, b, sizeof(b)))
        return NULL;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* version 4 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
    return apr_psprintf(p, "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
                        b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                        b[12], b[13], b[14], b[15]);
}

mdm_result_t mdm_random_failed(apr_pool_t *p)
{
    return mdm_result_make(p, MDM_MSG_RANDOM, "the source of randomness failed");
}

const char *mdm_challenge_make(apr_pool_t *p, const mdm_world_t *world)
{
    unsigned char bytes[MDM_SECRET_BYTES];
    char *secret = apr_palloc(p, (MDM_SECRET_BYTES + 2) / 3 * 4 + 1);
    int len;

    if (!world->random(world->context, bytes, sizeof(bytes)))
        return NULL;
    len = EVP_EncodeBlock((unsigned char *)secret, bytes, sizeof(bytes));
    while (len > 0 && secret[len - 1] == '=')
        secret[--len] = '\0';
    for (char *c = secret; *c != '\0'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return secret;
}

static const char *hash_of(apr_pool_t *p, const char *secret)
{
    return mdm_sha256_hex(p, secret, strlen(secret));
}

mdm_result_t mdm_challenge_store(apr_pool_t *p, const mdm_world_t *world, const char *secret,
                                 const char *enrollment, mdm_purpose_t purpose,
                                 apr_int64_t lifetime)
{
    mdm_challenge_t row = {
        .hash = hash_of(p, secret),
        .enrollment = enrollment,
        .purpose = purpose,
        .expires_at = world->now(world->context) + lifetime,
        .used_for = "",
    };

    if (row.hash[0] == '\0')
        return mdm_sha256_failed(p);
    return world->store->challenge_insert(world->store->context, p, &row);
}

void mdm_challenge_discard(apr_pool_t *p, const mdm_world_t *world, const char *secret)
{
    const char *hash = hash_of(p, secret);

    if (hash[0] != '\0')
        world->store->challenge_delete(world->store->context, p, hash);
}

static const char another_site[] = "which belongs to another site";

const char *mdm_enrollment_elsewhere(const mdm_world_t *world, const mdm_enrollment_t *row)
{
    if (strcmp(row->site, world->site) != 0)
        return another_site;
    if (world->others == NULL || strcmp(row->rules, world->rules) == 0)
        return NULL;
    for (int i = 0; i < world->others->nelts; i++)
        if (strcmp(row->rules, APR_ARRAY_IDX(world->others, i, const char *)) == 0)
            return "which another virtual host let in, by other rules (MDMEnrollRequire, "
                   "MDMEnrollDirectory, MDMEnrollIdentity and the like)";
    return NULL;
}

const char *mdm_enrollment_foreign(const mdm_world_t *world, const mdm_enrollment_t *row)
{
    if (strcmp(row->site, world->site) != 0)
        return another_site;
    if (strcmp(row->rules, world->rules) != 0)
        return "which was offered under other rules (MDMEnrollRequire, MDMEnrollDirectory, "
               "MDMEnrollDeviceCA and the like)";
    return NULL;
}

mdm_result_t mdm_challenge_lookup(apr_pool_t *p, const mdm_world_t *world, const char *secret,
                                  mdm_challenge_t **challenge, mdm_enrollment_t **row)
{
    const mdm_store_t *store = world->store;
    apr_int64_t now = world->now(world->context);
    /* Looked up by hash: the time the store takes says something of the hash, nothing of a secret.
     */
    const char *hash = hash_of(p, secret), *foreign;
    mdm_challenge_t *found = NULL;
    mdm_enrollment_t *owner = NULL;
    mdm_result_t r;

    if (hash[0] == '\0')
        return mdm_sha256_failed(p);
    r = store->challenge_get(store->context, p, hash, &found);
    if (r.kind != MDM_OK)
        return r;
    if (found == NULL)
        return mdm_result_make(p, MDM_MSG_CHALLENGE_UNKNOWN, "no challenge with SHA-256 %s", hash);
    if (found->expires_at <= now)
        return mdm_result_make(p, MDM_MSG_CHALLENGE_EXPIRED,
                               "the challenge of enrollment %s ended %" APR_INT64_T_FMT " s ago",
                               found->enrollment, now - found->expires_at);
    r = store->enrollment_get(store->context, p, found->enrollment, &owner);
    if (r.kind != MDM_OK)
        return r;
    if (owner == NULL)
        return mdm_result_make(p, MDM_MSG_CHALLENGE_UNKNOWN,
                               "a challenge of enrollment %s, which is gone", found->enrollment);
    foreign = mdm_enrollment_foreign(world, owner);
    if (foreign != NULL)
        return mdm_result_make(p, MDM_MSG_CHALLENGE_UNKNOWN, "a challenge of enrollment %s, %s",
                               owner->id, foreign);
    if (owner->state != MDM_STATE_DELIVERED && owner->expires_at <= now)
        return mdm_result_make(p, MDM_MSG_ENROLLMENT_EXPIRED,
                               "enrollment %s (%s) ended %" APR_INT64_T_FMT " s ago", owner->id,
                               mdm_state_name(owner->state), now - owner->expires_at);
    *challenge = found;
    *row = owner;
    return mdm_result_ok();
}

mdm_result_t mdm_challenge_find(apr_pool_t *p, const mdm_world_t *world, const char *secret,
                                mdm_purpose_t purpose, mdm_challenge_t **challenge,
                                mdm_enrollment_t **row)
{
    mdm_challenge_t *found;
    mdm_enrollment_t *owner;
    mdm_result_t r = mdm_challenge_lookup(p, world, secret, &found, &owner);

    if (r.kind != MDM_OK)
        return r;
    if (found->purpose != purpose)
        return mdm_result_make(p, MDM_MSG_CHALLENGE_UNKNOWN,
                               "a challenge for \"%s\" of enrollment %s, wanted one for \"%s\"",
                               mdm_purpose_name(found->purpose), found->enrollment,
                               mdm_purpose_name(purpose));
    *challenge = found;
    *row = owner;
    return mdm_result_ok();
}

/* It goes on into headers for what is behind httpd, environments of programs, and logs. */
static int is_one_line(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return 0;
    return 1;
}

static mdm_result_t check_user(apr_pool_t *p, const char *user)
{
    apr_size_t len = user != NULL ? strlen(user) : 0;

    if (len > 0 && len <= MAX_USER && mdm_plist_text_ok(user) && is_one_line(user))
        return mdm_result_ok();
    return mdm_result_make(p, MDM_MSG_USER_NAME,
                           "user name \"%s\" of %" APR_SIZE_T_FMT
                           " bytes: wanted is one line of UTF-8 text, 1 to %d bytes",
                           mdm_result_quote(p, user, len), len, MAX_USER);
}

/* Housekeeping on the side: its failure is nothing to the user who is being served. */
static void sweep_sometimes(apr_pool_t *p, const mdm_world_t *world, apr_int64_t now)
{
    unsigned char die;

    if (!world->random(world->context, &die, 1) || die % OFFERS_A_SWEEP != 0)
        return;
    /* Claims first: they are found by their enrollments. */
    world->store->claim_sweep(world->store->context, p, world->site, MDM_CLAIM_HOURLY,
                              now - MDM_SWEEP_DELAY);
    world->store->sweep(world->store->context, p, now - MDM_SWEEP_DELAY);
}

/* Before anything is made or signed. Offers at the very same moment may exceed the bound a little:
 * it is against filling the store, and no promise to anybody. */
static mdm_result_t check_offered(apr_pool_t *p, const mdm_world_t *world, const char *user,
                                  apr_int64_t now)
{
    const mdm_store_t *store = world->store;
    int count = 0;
    mdm_result_t r =
        store->enrollment_count_offered(store->context, p, user, now, MDM_MAX_OFFERED, &count);

    if (r.kind != MDM_OK || count < MDM_MAX_OFFERED)
        return r;
    return mdm_result_make(p, MDM_MSG_OFFERS_TOO_MANY,
                           "user \"%s\" has %d enrollments that no device went on with, wanted are "
                           "fewer than %d",
                           mdm_result_quote_text(p, user), count, MDM_MAX_OFFERED);
}

mdm_result_t mdm_enrollment_make(apr_pool_t *p, const mdm_world_t *world, const char *user,
                                 apr_int64_t lifetime, mdm_enrollment_t **row)
{
    apr_int64_t now = world->now(world->context);
    const char *id;
    mdm_result_t r = check_user(p, user);

    if (r.kind == MDM_OK)
        r = check_offered(p, world, user, now);
    if (r.kind != MDM_OK)
        return r;
    id = random_hex(p, world, MDM_ID_BYTES);
    if (id == NULL)
        return mdm_random_failed(p);
    *row = apr_palloc(p, sizeof(**row));
    **row = (mdm_enrollment_t){
        .id = id,
        .flow = MDM_FLOW_OTA,
        .site = world->site,
        .rules = world->rules,
        .state = MDM_STATE_OFFERED,
        .user = apr_pstrdup(p, user),
        .udid = "",
        .serial = "",
        .product = "",
        .os_version = "",
        .device_fingerprint = "",
        .identity_fingerprint = "",
        .terms = "",
        .created_at = now,
        .updated_at = now,
        .expires_at = now + lifetime,
    };
    return r;
}

mdm_result_t mdm_enrollment_offer(apr_pool_t *p, const mdm_world_t *world,
                                  const mdm_enrollment_t *row, const char *challenge,
                                  mdm_purpose_t purpose, apr_int64_t lifetime)
{
    /* The row first: without its challenge it is dead and swept, never the other way round. */
    mdm_result_t r = world->store->enrollment_insert(world->store->context, p, row);

    if (r.kind == MDM_OK && challenge != NULL)
        r = mdm_challenge_store(p, world, challenge, row->id, purpose, lifetime);
    if (r.kind == MDM_OK)
        sweep_sometimes(p, world, row->created_at);
    return r;
}

static mdm_result_t lost(apr_pool_t *p, const mdm_enrollment_t *row, mdm_state_t from)
{
    return mdm_result_make(p, MDM_MSG_ENROLLMENT_STATE,
                           "enrollment %s was moved from \"%s\" by another request, or its time "
                           "ended just now",
                           row->id, mdm_state_name(from));
}

/* The store failed while row was being moved, and may have moved it all the same.
 *
 * What stands there now proves a win only if nobody else could have written it. That holds for
 * "identified" alone: its identity fingerprint is that of the one certificate of this request,
 * whose serial number is random, and a repetition of the request is entitled to the same
 * certificate. The other states hold the device's own values, which a copy of the same message,
 * handled in the same second, would have written too: claiming the win there could answer both. So
 * the failure is reported; if the write was ours after all, a repetition is told that the
 * enrollment was used and the user starts again. What proves a defeat, values that are not ours, is
 * told as such. */
static mdm_result_t judge_failure(apr_pool_t *p, const mdm_world_t *world,
                                  const mdm_enrollment_t *row, mdm_state_t from,
                                  const char *identity, mdm_result_t failure)
{
    mdm_enrollment_t *seen = NULL;
    mdm_result_t r = world->store->enrollment_get(world->store->context, p, row->id, &seen);

    if (r.kind != MDM_OK || seen == NULL ||
        (seen->state == from && strcmp(seen->identity_fingerprint, identity) == 0))
        return failure;
    if (seen->state != row->state ||
        strcmp(seen->device_fingerprint, row->device_fingerprint) != 0 ||
        strcmp(seen->identity_fingerprint, row->identity_fingerprint) != 0)
        return lost(p, row, from);
    return row->state == MDM_STATE_IDENTIFIED ? mdm_result_ok() : failure;
}

mdm_result_t mdm_enrollment_advance(apr_pool_t *p, const mdm_world_t *world, mdm_enrollment_t *row,
                                    mdm_state_t from, const char *identity, apr_int64_t lifetime)
{
    apr_int64_t now = world->now(world->context);
    mdm_enrollment_t next = *row;
    int won = 0;
    mdm_result_t r;

    next.updated_at = now;
    next.expires_at = now + lifetime;
    r = world->store->enrollment_advance(world->store->context, p, &next, from, identity, now,
                                         &won);
    if (r.kind != MDM_OK)
        r = judge_failure(p, world, &next, from, identity, r);
    else if (!won)
        r = lost(p, row, from);
    if (r.kind == MDM_OK)
        *row = next;
    return r;
}

const char *mdm_enrollment_device(const mdm_enrollment_t *row)
{
    return row->udid[0] != '\0' ? row->udid : row->id;
}

int mdm_enrollment_is_ended(const mdm_enrollment_t *row)
{
    return row->expires_at < row->updated_at;
}

void mdm_enrollment_note(apr_pool_t *p, const mdm_world_t *world, const mdm_enrollment_t *row,
                         const mdm_result_t *result)
{
    if (result->kind == MDM_REFUSED)
        world->store->enrollment_note_refusal(world->store->context, p, row->id,
                                              mdm_result_code(p, result->message),
                                              world->now(world->context));
}

mdm_result_t mdm_enrollment_allowed(apr_pool_t *p, const mdm_world_t *world,
                                    const mdm_enrollment_t *row, const mdm_device_t *device)
{
    mdm_result_t r = mdm_result_ok();

    if (world->directory != NULL)
        r = world->directory->check(world->directory->context, p, row->user, NULL);
    if (r.kind == MDM_OK && world->policy != NULL)
        r = world->policy->check(world->policy->context, p, row, device);
    if (r.kind == MDM_OK && world->serials != NULL)
        r = world->serials->check(world->serials->context, p, device->serial);
    /* The refusal stands whether or not it can be noted. */
    mdm_enrollment_note(p, world, row, &r);
    return r;
}
