/* SPDX-License-Identifier: Apache-2.0
 * Limits of users, as places that are claimed. Depends on mdm_enrollment.
 */
#include "mdm_limit.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#define HOUR (60 * 60)

/* An enrollment whose time is over may still be moved by a request that looked at the clock a
 * moment before, or by an httpd whose clock is late. Seconds. */
#define GRACE 60

/* Each try that fails is another request's success, or a failure of the store. */
#define TRIES 100

/* What is being asked for: all of a claim but its place. */
typedef struct want_t {
    apr_pool_t *p;
    const mdm_world_t *world;
    apr_int64_t now;
    mdm_claim_t claim;
    const char *user; /* as enrollments have it */
    const mdm_limit_t *limit;
} want_t;

static const char *fold(apr_pool_t *p, const char *user)
{
    char *name = apr_palloc(p, strlen(user) + 1), *end = name;

    for (; *user != '\0'; user++)
        if (*user != ' ')
            *end++ = (char)((unsigned char)*user < 0x80 ? apr_tolower(*user) : *user);
        else if (end != name && end[-1] != ' ')
            *end++ = ' ';
    if (end != name && end[-1] == ' ')
        end--;
    *end = '\0';
    return name;
}

static mdm_claim_t claim_of(apr_pool_t *p, const mdm_world_t *world, const mdm_enrollment_t *row,
                            const char *kind, const char *holder)
{
    return (mdm_claim_t){.site = world->site,
                         .kind = kind,
                         .user = fold(p, row->user),
                         .holder = holder,
                         .enrollment = row->id,
                         .taken_at = world->now(world->context)};
}

static int is_live(const want_t *want, const mdm_claim_t *claim)
{
    const mdm_enrollment_t row = {.updated_at = claim->updated_at, .expires_at = claim->expires_at};
    apr_int64_t age = want->now - claim->taken_at;

    /* A clock that was wrong by years must not keep a place for years. */
    if (strcmp(claim->kind, MDM_CLAIM_HOURLY) == 0)
        return age < HOUR && age > -HOUR;
    if (!claim->known || mdm_enrollment_is_ended(&row))
        return 0;
    return claim->state == MDM_STATE_DELIVERED || claim->expires_at + GRACE > want->now;
}

/* --- one try --- */

/* Whether it was there still is nobody's concern: it is not afterwards. */
static mdm_result_t delete_claim(apr_pool_t *p, const mdm_world_t *world, const mdm_claim_t *claim)
{
    int won;

    return world->store->claim_delete(world->store->context, p, claim, &won);
}

/* The holder's own place. It goes on standing for an enrollment that is delivered: the new one may
 * come to nothing, and the device is enrolled all the same. taken_at changes in any case, so that
 * nobody gives back what another request relies on. */
static mdm_result_t renew(const want_t *want, const mdm_claim_t *own, int *won)
{
    const mdm_store_t *store = want->world->store;
    mdm_claim_t next = *own;

    if (!own->known || own->state != MDM_STATE_DELIVERED)
        next.enrollment = want->claim.enrollment;
    next.taken_at = own->taken_at >= want->now ? own->taken_at + 1 : want->now;
    return store->claim_renew(store->context, want->p, &next, own->taken_at, won);
}

/* The lowest place that no live claim has, which everybody chooses who sees the same: so two who do
 * cannot both get one. *live is how many there are. */
static apr_int64_t lowest_place(const want_t *want, const apr_array_header_t *claims, int *live)
{
    apr_int64_t place = 1;

    *live = 0;
    for (int i = 0; i < claims->nelts; i++) {
        const mdm_claim_t *claim = &APR_ARRAY_IDX(claims, i, mdm_claim_t);

        if (!is_live(want, claim))
            continue;
        ++*live;
        if (claim->place == place)
            place++;
    }
    return place;
}

/* Whatever is over and in the way: at that place, or the holder's own. */
static mdm_result_t clear(const want_t *want, const apr_array_header_t *claims, apr_int64_t place)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; r.kind == MDM_OK && i < claims->nelts; i++) {
        const mdm_claim_t *claim = &APR_ARRAY_IDX(claims, i, mdm_claim_t);

        if (claim->place == place || strcmp(claim->holder, want->claim.holder) == 0)
            r = delete_claim(want->p, want->world, claim);
    }
    return r;
}

static mdm_result_t refuse(const want_t *want, int live)
{
    int hourly = strcmp(want->claim.kind, MDM_CLAIM_HOURLY) == 0;
    mdm_result_t r = mdm_result_make(
        want->p, hourly ? MDM_MSG_LIMIT_HOURLY : MDM_MSG_LIMIT_DEVICES,
        "user \"%s\" has %d %s, wanted are fewer than %d (MDMEnrollLimit %s); enrollment %s",
        mdm_result_quote_text(want->p, want->claim.user), live,
        hourly ? "enrollments begun within an hour" : "devices, enrolled or under way",
        want->limit->most, want->claim.kind, want->claim.enrollment);

    if (want->limit->text != NULL)
        r.user = want->limit->text;
    return r;
}

/* Devices that were enrolled while there was no limit have no place, and count: *others of them.
 * *own: the holder is one of them, and counts already. */
static mdm_result_t count_missing(const want_t *want, int *others, int *own)
{
    const mdm_store_t *store = want->world->store;

    *others = *own = 0;
    if (strcmp(want->claim.kind, MDM_CLAIM_DEVICES) != 0)
        return mdm_result_ok();
    return store->claim_missing(store->context, want->p, want->claim.site, want->user,
                                want->claim.holder, others, own);
}

/* *done is 0 where another request was faster. */
static mdm_result_t try_once(const want_t *want, mdm_claim_t *taken, int *done)
{
    const mdm_store_t *store = want->world->store;
    mdm_claim_t claim = want->claim;
    apr_array_header_t *claims;
    int live, others, is_missing;
    /* Before the claims are read: one that gets its place meanwhile counts twice, never not. */
    mdm_result_t r = count_missing(want, &others, &is_missing);

    if (r.kind == MDM_OK)
        r = store->claim_list(store->context, want->p, claim.site, claim.kind, claim.user, &claims);
    if (r.kind != MDM_OK)
        return r;
    for (int i = 0; i < claims->nelts; i++) {
        const mdm_claim_t *own = &APR_ARRAY_IDX(claims, i, mdm_claim_t);

        if (strcmp(own->holder, claim.holder) == 0 && is_live(want, own))
            return renew(want, own, done);
    }
    claim.place = lowest_place(want, claims, &live);
    if (live + others >= want->limit->most && !is_missing)
        return refuse(want, live + others);
    r = clear(want, claims, claim.place);
    if (r.kind == MDM_OK)
        r = store->claim_insert(store->context, want->p, &claim, done);
    if (r.kind == MDM_OK && *done)
        *taken = claim;
    return r;
}

/* --- */

static mdm_result_t take(apr_pool_t *p, const mdm_world_t *world, const mdm_limit_t *limit,
                         const mdm_enrollment_t *row, mdm_claim_t claim, mdm_claim_t *taken)
{
    want_t want = {p, world, claim.taken_at, claim, row->user, limit};

    if (limit->most == 0)
        return mdm_result_ok();
    for (int i = 0; i < TRIES; i++) {
        int done = 0;
        mdm_result_t r = try_once(&want, taken, &done);

        if (r.kind != MDM_OK || done)
            return r;
    }
    return mdm_result_make(p, MDM_MSG_STORE_BUSY,
                           "user \"%s\": other requests were faster %d times (MDMEnrollLimit %s)",
                           mdm_result_quote_text(p, claim.user), TRIES, claim.kind);
}

mdm_result_t mdm_limit_begin(apr_pool_t *p, const mdm_world_t *world, const mdm_limits_t *limits,
                             const mdm_enrollment_t *row, const char *udid,
                             mdm_limit_taken_t *taken)
{
    mdm_result_t r;

    *taken = (mdm_limit_taken_t){.devices = {.place = 0}, .hourly = {.place = 0}};
    r = take(p, world, &limits->devices, row, claim_of(p, world, row, MDM_CLAIM_DEVICES, udid),
             &taken->devices);
    if (r.kind == MDM_OK)
        r = take(p, world, &limits->hourly, row, claim_of(p, world, row, MDM_CLAIM_HOURLY, row->id),
                 &taken->hourly);
    if (r.kind == MDM_OK)
        return r;
    mdm_limit_give_back(p, world, taken);
    mdm_enrollment_note(p, world, row, &r);
    return r;
}

mdm_result_t mdm_limit_deliver(apr_pool_t *p, const mdm_world_t *world, const mdm_limits_t *limits,
                               const mdm_enrollment_t *row, mdm_limit_taken_t *taken)
{
    mdm_result_t r;

    *taken = (mdm_limit_taken_t){.devices = {.place = 0}, .hourly = {.place = 0}};
    r = take(p, world, &limits->devices, row, claim_of(p, world, row, MDM_CLAIM_DEVICES, row->udid),
             &taken->devices);
    mdm_enrollment_note(p, world, row, &r);
    return r;
}

void mdm_limit_give_back(apr_pool_t *p, const mdm_world_t *world, const mdm_limit_taken_t *taken)
{
    if (taken->devices.place != 0)
        delete_claim(p, world, &taken->devices);
    if (taken->hourly.place != 0)
        delete_claim(p, world, &taken->hourly);
}

void mdm_limit_delivered(apr_pool_t *p, const mdm_world_t *world, const mdm_limits_t *limits,
                         const mdm_enrollment_t *row)
{
    const mdm_store_t *store = world->store;
    mdm_claim_t claim;

    if (limits->devices.most == 0)
        return;
    claim = claim_of(p, world, row, MDM_CLAIM_DEVICES, row->udid);
    store->claim_settle(store->context, p, &claim);
    store->claim_free_others(store->context, p, &claim);
}
