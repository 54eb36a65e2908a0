/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: the store in memory and the world around core. Depends on core's mdm_enrollment.
 */
#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <openssl/rand.h>

#include "fake_claim.h"
#include "fake_store.h"

#define ROW(array, i, type) APR_ARRAY_IDX(array, i, type *)

static void call_rival(fake_store_t *fake)
{
    void (*rival)(fake_store_t *, void *) = fake->rival;

    fake->rival = NULL;
    fake->rival_at = 0;
    rival(fake, fake->rival_context);
}

/* Counts a call, after what another request does right before it. True when it has to fail on this
 * side of its effect. */
static int fails_before(fake_store_t *fake)
{
    if (fake->rival != NULL && fake->rival_at == fake->calls + 1)
        call_rival(fake);
    fake->calls++;
    return fake->fail_at != 0 && !fake->fail_after && fake->calls == fake->fail_at;
}

static mdm_result_t unavailable(apr_pool_t *p)
{
    return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "the fake store was told to fail");
}

static mdm_result_t done(fake_store_t *fake, apr_pool_t *p)
{
    if (fake->fail_at != 0 && fake->fail_after && fake->calls == fake->fail_at)
        return unavailable(p);
    return mdm_result_ok();
}

int fake_store_fails(fake_store_t *fake)
{
    return fails_before(fake);
}

mdm_result_t fake_store_unavailable(apr_pool_t *p)
{
    return unavailable(p);
}

mdm_result_t fake_store_done(fake_store_t *fake, apr_pool_t *p)
{
    return done(fake, p);
}

static mdm_enrollment_t *copy_enrollment(apr_pool_t *p, const mdm_enrollment_t *row)
{
    mdm_enrollment_t *copy = apr_pmemdup(p, row, sizeof(*row));

    copy->id = apr_pstrdup(p, row->id);
    copy->flow = apr_pstrdup(p, row->flow);
    copy->site = apr_pstrdup(p, row->site);
    copy->rules = apr_pstrdup(p, row->rules);
    copy->user = apr_pstrdup(p, row->user);
    copy->udid = apr_pstrdup(p, row->udid);
    copy->serial = apr_pstrdup(p, row->serial);
    copy->product = apr_pstrdup(p, row->product);
    copy->os_version = apr_pstrdup(p, row->os_version);
    copy->device_fingerprint = apr_pstrdup(p, row->device_fingerprint);
    copy->identity_fingerprint = apr_pstrdup(p, row->identity_fingerprint);
    copy->terms = apr_pstrdup(p, row->terms);
    return copy;
}

static mdm_challenge_t *copy_challenge(apr_pool_t *p, const mdm_challenge_t *row)
{
    mdm_challenge_t *copy = apr_pmemdup(p, row, sizeof(*row));

    copy->hash = apr_pstrdup(p, row->hash);
    copy->enrollment = apr_pstrdup(p, row->enrollment);
    copy->used_for = apr_pstrdup(p, row->used_for);
    return copy;
}

static mdm_certificate_t *copy_certificate(apr_pool_t *p, const mdm_certificate_t *row)
{
    mdm_certificate_t *copy = apr_pmemdup(p, row, sizeof(*row));

    copy->serial = apr_pstrdup(p, row->serial);
    copy->issuer = apr_pstrdup(p, row->issuer);
    copy->enrollment = apr_pstrdup(p, row->enrollment);
    copy->request = apr_pstrdup(p, row->request);
    copy->poll = apr_pstrdup(p, row->poll);
    copy->authority = apr_pstrdup(p, row->authority);
    copy->fingerprint = apr_pstrdup(p, row->fingerprint);
    copy->used_for = apr_pstrdup(p, row->used_for);
    copy->der = apr_pstrdup(p, row->der);
    return copy;
}

mdm_enrollment_t *fake_store_enrollment(fake_store_t *fake, const char *id)
{
    for (int i = 0; i < fake->enrollments->nelts; i++)
        if (strcmp(ROW(fake->enrollments, i, mdm_enrollment_t)->id, id) == 0)
            return ROW(fake->enrollments, i, mdm_enrollment_t);
    return NULL;
}

mdm_challenge_t *fake_store_challenge(fake_store_t *fake, const char *hash)
{
    for (int i = 0; i < fake->challenges->nelts; i++)
        if (strcmp(ROW(fake->challenges, i, mdm_challenge_t)->hash, hash) == 0)
            return ROW(fake->challenges, i, mdm_challenge_t);
    return NULL;
}

mdm_certificate_t *fake_store_certificate(fake_store_t *fake, const char *fingerprint)
{
    for (int i = 0; i < fake->certificates->nelts; i++)
        if (strcmp(ROW(fake->certificates, i, mdm_certificate_t)->fingerprint, fingerprint) == 0)
            return ROW(fake->certificates, i, mdm_certificate_t);
    return NULL;
}

const char *fake_store_refusal(fake_store_t *fake, const char *id)
{
    return apr_hash_get(fake->refusals, id, APR_HASH_KEY_STRING);
}

void fake_store_put_enrollment(fake_store_t *fake, const mdm_enrollment_t *row)
{
    APR_ARRAY_PUSH(fake->enrollments, mdm_enrollment_t *) = copy_enrollment(fake->pool, row);
}

void fake_store_put_certificate(fake_store_t *fake, const mdm_certificate_t *row)
{
    APR_ARRAY_PUSH(fake->certificates, mdm_certificate_t *) = copy_certificate(fake->pool, row);
}

static mdm_result_t enrollment_insert(void *context, apr_pool_t *p, const mdm_enrollment_t *row)
{
    fake_store_t *fake = context;

    if (fails_before(fake) || fake_store_enrollment(fake, row->id) != NULL)
        return unavailable(p);
    fake_store_put_enrollment(fake, row);
    fake->writes++;
    return done(fake, p);
}

static mdm_result_t enrollment_get(void *context, apr_pool_t *p, const char *id,
                                   mdm_enrollment_t **row)
{
    fake_store_t *fake = context;
    const mdm_enrollment_t *found;

    if (fails_before(fake))
        return unavailable(p);
    found = fake_store_enrollment(fake, id);
    *row = found != NULL ? copy_enrollment(p, found) : NULL;
    return done(fake, p);
}

static mdm_result_t enrollment_count_offered(void *context, apr_pool_t *p, const char *user,
                                             apr_int64_t now, int limit, int *count)
{
    fake_store_t *fake = context;

    if (fails_before(fake))
        return unavailable(p);
    *count = 0;
    for (int i = 0; i < fake->enrollments->nelts; i++) {
        const mdm_enrollment_t *row = ROW(fake->enrollments, i, mdm_enrollment_t);
        if (row->state == MDM_STATE_OFFERED && row->expires_at > now && *count < limit &&
            strcmp(row->user, user) == 0)
            ++*count;
    }
    return done(fake, p);
}

static mdm_result_t enrollment_advance(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                       mdm_state_t from, const char *identity, apr_int64_t now,
                                       int *won)
{
    fake_store_t *fake = context;
    mdm_enrollment_t *found;

    if (fake->rival != NULL && fake->rival_at == 0)
        call_rival(fake);
    if (fails_before(fake))
        return unavailable(p);
    *won = 0;
    found = fake_store_enrollment(fake, row->id);
    if (found != NULL && found->state == from && found->expires_at > now &&
        strcmp(found->identity_fingerprint, identity) == 0) {
        mdm_enrollment_t *next = copy_enrollment(fake->pool, row);
        next->flow = found->flow;
        next->site = found->site;
        next->rules = found->rules;
        next->user = found->user;
        next->created_at = found->created_at;
        *found = *next;
        fake->writes++;
        *won = 1;
    }
    return done(fake, p);
}

static mdm_result_t enrollment_note_refusal(void *context, apr_pool_t *p, const char *id,
                                            const char *code, apr_int64_t now)
{
    fake_store_t *fake = context;

    (void)now;
    if (fails_before(fake))
        return unavailable(p);
    if (fake_store_enrollment(fake, id) != NULL) {
        apr_hash_set(fake->refusals, apr_pstrdup(fake->pool, id), APR_HASH_KEY_STRING,
                     apr_pstrdup(fake->pool, code));
        fake->writes++;
    }
    return done(fake, p);
}

static mdm_result_t challenge_insert(void *context, apr_pool_t *p, const mdm_challenge_t *row)
{
    fake_store_t *fake = context;

    if (fails_before(fake) || fake_store_challenge(fake, row->hash) != NULL)
        return unavailable(p);
    APR_ARRAY_PUSH(fake->challenges, mdm_challenge_t *) = copy_challenge(fake->pool, row);
    fake->writes++;
    return done(fake, p);
}

static mdm_result_t challenge_get(void *context, apr_pool_t *p, const char *hash,
                                  mdm_challenge_t **row)
{
    fake_store_t *fake = context;
    const mdm_challenge_t *found;

    if (fails_before(fake))
        return unavailable(p);
    found = fake_store_challenge(fake, hash);
    *row = found != NULL ? copy_challenge(p, found) : NULL;
    return done(fake, p);
}

static mdm_result_t challenge_spend(void *context, apr_pool_t *p, const char *hash,
                                    const char *before, int most, const char *used_for,
                                    apr_int64_t now, int *won)
{
    fake_store_t *fake = context;
    mdm_challenge_t *found;

    if (fails_before(fake))
        return unavailable(p);
    *won = 0;
    found = fake_store_challenge(fake, hash);
    if (found != NULL && strcmp(found->used_for, before) == 0 && found->uses < most &&
        found->expires_at > now) {
        found->used_at = found->uses++ == 0 ? now : found->used_at;
        found->used_for = apr_pstrdup(fake->pool, used_for);
        fake->writes++;
        *won = 1;
    }
    return done(fake, p);
}

/* Keeps the rows that keep(row) holds for. True if one went. */
static int filter(apr_array_header_t *rows, int (*keep)(const void *row, const void *context),
                  const void *context)
{
    int kept = 0, before = rows->nelts;

    for (int i = 0; i < before; i++)
        if (keep(ROW(rows, i, void), context))
            ROW(rows, kept++, void) = ROW(rows, i, void);
    rows->nelts = kept;
    return kept < before;
}

static int another_hash(const void *row, const void *context)
{
    return strcmp(((const mdm_challenge_t *)row)->hash, context) != 0;
}

static mdm_result_t challenge_delete(void *context, apr_pool_t *p, const char *hash)
{
    fake_store_t *fake = context;

    if (fails_before(fake))
        return unavailable(p);
    fake->writes += filter(fake->challenges, another_hash, hash);
    return done(fake, p);
}

static mdm_result_t certificate_insert(void *context, apr_pool_t *p, const mdm_certificate_t *row,
                                       int *won)
{
    fake_store_t *fake = context;

    if (fails_before(fake))
        return unavailable(p);
    *won = 1;
    for (int i = 0; i < fake->certificates->nelts; i++) {
        const mdm_certificate_t *other = ROW(fake->certificates, i, mdm_certificate_t);
        if ((strcmp(other->serial, row->serial) == 0 && strcmp(other->issuer, row->issuer) == 0) ||
            strcmp(other->request, row->request) == 0 ||
            strcmp(other->fingerprint, row->fingerprint) == 0)
            *won = 0;
    }
    if (*won) {
        fake_store_put_certificate(fake, row);
        fake->writes++;
    }
    return done(fake, p);
}

/* The last certificate that has a key of the sort that is asked for. */
typedef int is_it_t(const mdm_certificate_t *row, const char *key, const char *issuer);

static int has_fingerprint(const mdm_certificate_t *row, const char *key, const char *issuer)
{
    (void)issuer;
    return strcmp(row->fingerprint, key) == 0;
}

static int has_request(const mdm_certificate_t *row, const char *key, const char *issuer)
{
    (void)issuer;
    return strcmp(row->request, key) == 0;
}

static int has_poll(const mdm_certificate_t *row, const char *key, const char *issuer)
{
    (void)issuer;
    return strcmp(row->poll, key) == 0;
}

static int of_issuer(const mdm_certificate_t *row, const char *issuer)
{
    return row->issuer[0] == '\0' || strcmp(row->issuer, issuer) == 0;
}

static int has_serial(const mdm_certificate_t *row, const char *key, const char *issuer)
{
    return strcmp(row->serial, key) == 0 && of_issuer(row, issuer);
}

static mdm_result_t get_certificate(fake_store_t *fake, apr_pool_t *p, is_it_t *is_it,
                                    const char *key, const char *issuer, mdm_certificate_t **row)
{
    if (fails_before(fake))
        return unavailable(p);
    *row = NULL;
    for (int i = 0; i < fake->certificates->nelts; i++)
        if (is_it(ROW(fake->certificates, i, mdm_certificate_t), key, issuer))
            *row = copy_certificate(p, ROW(fake->certificates, i, mdm_certificate_t));
    return done(fake, p);
}

static mdm_result_t certificate_by_fingerprint(void *context, apr_pool_t *p,
                                               const char *fingerprint, mdm_certificate_t **row)
{
    return get_certificate(context, p, has_fingerprint, fingerprint, NULL, row);
}

static mdm_result_t certificate_by_request(void *context, apr_pool_t *p, const char *request,
                                           mdm_certificate_t **row)
{
    return get_certificate(context, p, has_request, request, NULL, row);
}

static mdm_result_t certificate_by_serial(void *context, apr_pool_t *p, const char *issuer,
                                          const char *serial, mdm_certificate_t **row)
{
    return get_certificate(context, p, has_serial, serial, issuer, row);
}

static mdm_result_t certificate_by_poll(void *context, apr_pool_t *p, const char *poll,
                                        mdm_certificate_t **row)
{
    return get_certificate(context, p, has_poll, poll, NULL, row);
}

static mdm_result_t certificate_count(void *context, apr_pool_t *p, const char *enrollment,
                                      apr_int64_t since, int limit, int *count)
{
    fake_store_t *fake = context;

    if (fails_before(fake))
        return unavailable(p);
    *count = 0;
    for (int i = 0; i < fake->certificates->nelts; i++) {
        const mdm_certificate_t *row = ROW(fake->certificates, i, mdm_certificate_t);
        if (strcmp(row->enrollment, enrollment) == 0 && row->issued_at > since && *count < limit)
            ++*count;
    }
    return done(fake, p);
}

static int revoke_row(mdm_certificate_t *row, int reason, apr_int64_t now)
{
    if (row->revoked_at != 0)
        return 0;
    row->revoked_at = now;
    row->revocation_reason = reason;
    return 1;
}

static mdm_result_t certificate_revoke(void *context, apr_pool_t *p, const char *fingerprint,
                                       int reason, apr_int64_t now, int *won)
{
    fake_store_t *fake = context;
    mdm_certificate_t *found;

    if (fails_before(fake))
        return unavailable(p);
    found = fake_store_certificate(fake, fingerprint);
    *won = found != NULL && revoke_row(found, reason, now);
    fake->writes += *won;
    return done(fake, p);
}

static mdm_result_t certificate_spend(void *context, apr_pool_t *p, const char *fingerprint,
                                      const char *before, const char *used_for, int *won)
{
    fake_store_t *fake = context;
    mdm_certificate_t *found;

    if (fails_before(fake))
        return unavailable(p);
    found = fake_store_certificate(fake, fingerprint);
    *won = found != NULL && strcmp(found->used_for, before) == 0 && found->revoked_at == 0;
    if (*won)
        found->used_for = apr_pstrdup(fake->pool, used_for);
    fake->writes += *won;
    return done(fake, p);
}

/* The request that an authority is used for; "" if there is none. */
static const char *used_for(fake_store_t *fake, const char *authority)
{
    const mdm_challenge_t *challenge = fake_store_challenge(fake, authority);
    const mdm_certificate_t *cert = fake_store_certificate(fake, authority);

    return challenge != NULL ? challenge->used_for : cert != NULL ? cert->used_for : "";
}

static mdm_result_t certificate_supersede(void *context, apr_pool_t *p, const char *enrollment,
                                          const char *authority, apr_int64_t now)
{
    fake_store_t *fake = context;
    const char *keep;
    int changed = 0;

    if (fails_before(fake))
        return unavailable(p);
    keep = used_for(fake, authority);
    for (int i = 0; i < fake->certificates->nelts; i++) {
        mdm_certificate_t *row = ROW(fake->certificates, i, mdm_certificate_t);
        if (strcmp(row->enrollment, enrollment) == 0 && strcmp(row->authority, authority) == 0 &&
            strcmp(row->request, keep) != 0)
            changed |= revoke_row(row, MDM_REVOCATION_SUPERSEDED, now);
    }
    fake->writes += changed;
    return done(fake, p);
}

static mdm_result_t certificate_each_revoked(void *context, apr_pool_t *p, const char *issuer,
                                             apr_int64_t revoked_before, apr_int64_t valid_after,
                                             mdm_certificate_visit_t *visit, void *baton)
{
    fake_store_t *fake = context;
    mdm_result_t r = mdm_result_ok();

    if (fails_before(fake))
        return unavailable(p);
    for (int i = 0; r.kind == MDM_OK && i < fake->certificates->nelts; i++) {
        const mdm_certificate_t *row = ROW(fake->certificates, i, mdm_certificate_t);
        if (row->revoked_at != 0 && row->revoked_at < revoked_before &&
            row->not_after > valid_after && of_issuer(row, issuer))
            r = visit(baton, row);
    }
    return r.kind != MDM_OK ? r : done(fake, p);
}

typedef struct sweep_t {
    fake_store_t *fake;
    apr_int64_t before;
} sweep_t;

static int enrollment_lives(const void *row, const void *context)
{
    const mdm_enrollment_t *enrollment = row;
    const sweep_t *sweep = context;

    if (enrollment->state == MDM_STATE_DELIVERED || enrollment->expires_at >= sweep->before)
        return 1;
    for (int i = 0; i < sweep->fake->certificates->nelts; i++) {
        const mdm_certificate_t *cert = ROW(sweep->fake->certificates, i, mdm_certificate_t);
        if (strcmp(cert->enrollment, enrollment->id) == 0 && cert->not_after > sweep->before)
            return 1;
    }
    return 0;
}

static int challenge_lives(const void *row, const void *context)
{
    return ((const mdm_challenge_t *)row)->expires_at >= ((const sweep_t *)context)->before;
}

static mdm_result_t sweep(void *context, apr_pool_t *p, apr_int64_t expired_before)
{
    fake_store_t *fake = context;
    const sweep_t swept = {fake, expired_before};
    int changed;

    fake->sweeps++;
    if (fails_before(fake))
        return unavailable(p);
    changed = filter(fake->enrollments, enrollment_lives, &swept);
    changed |= filter(fake->challenges, challenge_lives, &swept);
    fake->writes += changed;
    return done(fake, p);
}

static mdm_result_t notification_insert(void *context, apr_pool_t *p, const mdm_notification_t *row)
{
    fake_store_t *fake = context;
    mdm_notification_t *copy;

    if (fails_before(fake))
        return unavailable(p);
    for (int i = 0; i < fake->notifications->nelts; i++)
        if (strcmp(ROW(fake->notifications, i, mdm_notification_t)->id, row->id) == 0)
            return done(fake, p);
    copy = apr_pmemdup(fake->pool, row, sizeof(*row));
    copy->id = apr_pstrdup(fake->pool, row->id);
    copy->site = apr_pstrdup(fake->pool, row->site);
    copy->event = apr_pstrdup(fake->pool, row->event);
    copy->enrollment = apr_pstrdup(fake->pool, row->enrollment);
    copy->body = apr_pstrdup(fake->pool, row->body);
    APR_ARRAY_PUSH(fake->notifications, mdm_notification_t *) = copy;
    fake->writes++;
    return done(fake, p);
}

/* What seen takes the place of. */
static int is_older(const mdm_certificate_t *row, const mdm_certificate_t *seen)
{
    return row->purpose == MDM_PURPOSE_MDM && row->revoked_at == 0 &&
           strcmp(row->enrollment, seen->enrollment) == 0 &&
           strcmp(row->fingerprint, seen->fingerprint) != 0 &&
           strcmp(row->authority, seen->fingerprint) != 0 &&
           (row->issued_at < seen->issued_at || strcmp(row->fingerprint, seen->authority) == 0);
}

static mdm_result_t sighting_get(void *context, apr_pool_t *p, const char *fingerprint,
                                 mdm_sighting_t **sighting)
{
    fake_store_t *fake = context;
    const mdm_certificate_t *found;
    const mdm_enrollment_t *row;

    if (fails_before(fake))
        return unavailable(p);
    found = fake_store_certificate(fake, fingerprint);
    row = found != NULL ? fake_store_enrollment(fake, found->enrollment) : NULL;
    *sighting = NULL;
    if (row != NULL) {
        *sighting = apr_pcalloc(p, sizeof(**sighting));
        (*sighting)->certificate = *copy_certificate(p, found);
        (*sighting)->row = *copy_enrollment(p, row);
        for (int i = 0; i < fake->certificates->nelts; i++)
            (*sighting)->has_older |=
                is_older(ROW(fake->certificates, i, mdm_certificate_t), found);
    }
    return done(fake, p);
}

static mdm_result_t certificate_end_older(void *context, apr_pool_t *p,
                                          const mdm_certificate_t *seen, apr_int64_t now,
                                          int *ended)
{
    fake_store_t *fake = context;
    const mdm_certificate_t *found;

    if (fails_before(fake))
        return unavailable(p);
    *ended = 0;
    found = fake_store_certificate(fake, seen->fingerprint);
    for (int i = 0; found != NULL && found->revoked_at == 0 && i < fake->certificates->nelts; i++) {
        mdm_certificate_t *row = ROW(fake->certificates, i, mdm_certificate_t);
        if (is_older(row, found))
            *ended += revoke_row(row, MDM_REVOCATION_SUPERSEDED, now);
    }
    fake->writes += *ended > 0;
    return done(fake, p);
}

void fake_store_fail(fake_store_t *fake, int nth, int after_effect)
{
    fake->fail_at = nth > 0 ? fake->calls + nth : 0;
    fake->fail_after = after_effect;
}

void fake_store_rival(fake_store_t *fake, int nth, void (*rival)(fake_store_t *fake, void *context),
                      void *context)
{
    fake->rival = rival;
    fake->rival_context = context;
    fake->rival_at = fake->calls + nth;
}

void fake_store_reset(fake_store_t *fake)
{
    apr_pool_clear(fake->pool);
    fake->enrollments = apr_array_make(fake->pool, 8, sizeof(mdm_enrollment_t *));
    fake->challenges = apr_array_make(fake->pool, 8, sizeof(mdm_challenge_t *));
    fake->certificates = apr_array_make(fake->pool, 8, sizeof(mdm_certificate_t *));
    fake->notifications = apr_array_make(fake->pool, 8, sizeof(mdm_notification_t *));
    fake->claims = apr_array_make(fake->pool, 8, sizeof(mdm_claim_t *));
    fake->refusals = apr_hash_make(fake->pool);
    fake->calls = fake->writes = fake->sweeps = 0;
    fake->rival = NULL;
    fake->rival_at = 0;
    fake_store_fail(fake, 0, 0);
}

fake_store_t *fake_store_create(apr_pool_t *p)
{
    fake_store_t *fake = apr_pcalloc(p, sizeof(*fake));

    fake->store = (mdm_store_t){
        .context = fake,
        .enrollment_insert = enrollment_insert,
        .enrollment_get = enrollment_get,
        .enrollment_count_offered = enrollment_count_offered,
        .enrollment_advance = enrollment_advance,
        .enrollment_note_refusal = enrollment_note_refusal,
        .challenge_insert = challenge_insert,
        .challenge_get = challenge_get,
        .challenge_spend = challenge_spend,
        .challenge_delete = challenge_delete,
        .certificate_insert = certificate_insert,
        .certificate_by_fingerprint = certificate_by_fingerprint,
        .certificate_by_request = certificate_by_request,
        .certificate_by_serial = certificate_by_serial,
        .certificate_by_poll = certificate_by_poll,
        .certificate_count = certificate_count,
        .certificate_revoke = certificate_revoke,
        .certificate_spend = certificate_spend,
        .certificate_supersede = certificate_supersede,
        .certificate_each_revoked = certificate_each_revoked,
        .sweep = sweep,
        .notification_insert = notification_insert,
        .sighting_get = sighting_get,
        .certificate_end_older = certificate_end_older,
    };
    fake_store_update(&fake->store);
    fake_claim(fake);
    apr_pool_create(&fake->pool, p);
    fake_store_reset(fake);
    return fake;
}

static apr_int64_t now(void *context)
{
    return ((fake_world_t *)context)->clock;
}

static int draw(void *context, unsigned char *bytes, apr_size_t len)
{
    fake_world_t *fake = context;

    if (++fake->random_calls == fake->random_fail_at)
        return 0;
    if (fake->real_random)
        return RAND_bytes(bytes, (int)len) == 1;
    /* splitmix64, one step a byte: well spread and never the same twice in a test */
    for (apr_size_t i = 0; i < len; i++) {
        apr_uint64_t z = (fake->seed += APR_UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * APR_UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * APR_UINT64_C(0x94d049bb133111eb);
        bytes[i] = (unsigned char)(z >> 56);
    }
    return 1;
}

static mdm_result_t ask_directory(void *context, apr_pool_t *p, const char *user,
                                  apr_table_t *attributes)
{
    fake_world_t *fake = context;

    (void)attributes;
    fake->directory_calls++;
    fake->asked_user = user;
    if (fake->directory_answer == MDM_MSG_NONE)
        return mdm_result_ok();
    return mdm_result_make(p, fake->directory_answer, "the fake directory was told to refuse");
}

static mdm_result_t ask_policy(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                               const mdm_device_t *device)
{
    fake_world_t *fake = context;

    fake->policy_calls++;
    fake->asked_user = row->user;
    fake->asked_device = device;
    if (fake->policy_answer == MDM_MSG_NONE)
        return mdm_result_ok();
    return mdm_result_make(p, fake->policy_answer, "the fake policy was told to refuse");
}

fake_world_t *fake_world_create(apr_pool_t *p)
{
    fake_world_t *fake = apr_pcalloc(p, sizeof(*fake));

    fake->store = fake_store_create(p);
    fake->clock = apr_time_sec(apr_time_now());
    fake->directory = (mdm_directory_t){.context = fake, .check = ask_directory};
    fake->policy = (mdm_policy_t){.context = fake, .check = ask_policy};
    fake->world = (mdm_world_t){
        .store = &fake->store->store,
        .directory = &fake->directory,
        .policy = &fake->policy,
        .site = FAKE_SITE,
        .rules = FAKE_RULES,
        .context = fake,
        .now = now,
        .random = draw,
    };
    return fake;
}
