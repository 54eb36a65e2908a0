/* SPDX-License-Identifier: Apache-2.0
 * Updates. Depends on mdm_limit, mdm_turn, mdm_terms, mdm_notice, mdm_scep_member.
 */
#include "mdm_update.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_limit.h"
#include "mdm_notice.h"
#include "mdm_scep_member.h"
#include "mdm_terms.h"
#include "mdm_turn.h"

#define DAY (24 * 60 * 60)

apr_int64_t mdm_update_signed_at(apr_int64_t signing_time, apr_int64_t now)
{
    return signing_time > now + MDM_UPDATE_CLOCK_AHEAD ? 0 : signing_time;
}

static mdm_result_t check_identity(const mdm_turn_t *turn, const mdm_enrollment_t *row)
{
    if (strcmp(row->identity_fingerprint, turn->signer_fingerprint) != 0)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "signer with fingerprint %s, wanted is the identity of enrollment "
                               "%s: %s",
                               turn->signer_fingerprint, row->id, row->identity_fingerprint);
    if (mdm_enrollment_is_ended(row))
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_REVOKED,
                               "enrollment %s was ended by an administrator", row->id);
    return mdm_result_ok();
}

/* Whether the message is a new one. *updated_before is what the store has to demand besides. */
static mdm_result_t check_new(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                              apr_int64_t *updated_before)
{
    *updated_before = turn->now;
    if (turn->signed_at > row->signed_at)
        return mdm_result_ok();
    if (turn->signed_at == 0 && row->signed_at == 0) {
        *updated_before -= turn->settings->lifetime;
        if (row->updated_at <= *updated_before)
            return mdm_result_ok();
        return mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_STATE,
                               "enrollment %s is delivered, and a message without a signing time "
                               "that counts is answered %" APR_INT64_T_FMT
                               " s after the one before (MDMEnrollLifetime), not %" APR_INT64_T_FMT
                               " s",
                               row->id, turn->settings->lifetime, turn->now - row->updated_at);
    }
    return mdm_result_make(
        turn->p, MDM_MSG_ENROLLMENT_STATE,
        "enrollment %s is delivered, and the message was signed at %" APR_INT64_T_FMT
        " (0: no time that counts), wanted is later than %" APR_INT64_T_FMT
        ": it was sent before, or the device's clock is wrong",
        row->id, turn->signed_at, row->signed_at);
}

/* Each profile has a challenge, which ends a lifetime after it was made. Requests at the very same
 * moment may exceed it a little. */
static mdm_result_t check_count(const mdm_turn_t *turn, const mdm_enrollment_t *row)
{
    const mdm_store_t *store = turn->world->store;
    int count = 0;
    mdm_result_t r = store->challenge_count(store->context, turn->p, row->id, MDM_PURPOSE_MDM,
                                            turn->now + turn->settings->lifetime - DAY,
                                            MDM_UPDATE_MAX_A_DAY, &count);

    if (r.kind != MDM_OK || count < MDM_UPDATE_MAX_A_DAY)
        return r;
    return mdm_result_make(
        turn->p, MDM_MSG_UPDATE_TOO_MANY,
        "enrollment %s got %d enrollment profiles within a day, wanted are fewer "
        "than %d",
        row->id, count, MDM_UPDATE_MAX_A_DAY);
}

/* A device refuses a profile that changes these, and keeps what it has. */
static mdm_result_t check_terms(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                const char *terms)
{
    const apr_array_header_t *changes = mdm_terms_compare(turn->p, row->terms, terms);

    if (changes->nelts == 0)
        return mdm_result_ok();
    return mdm_result_make(turn->p, MDM_MSG_UPDATE_TERMS,
                           "enrollment %s would have to change what no device lets an update "
                           "change: %s; wanted are the values of before, or a new enrollment",
                           row->id, mdm_terms_words(turn->p, changes));
}

/* What the identity needs, then the move. Updates are counted by the secrets for SCEP: where there
 * is none of those in the profile, one goes nowhere, and only counts. */
static mdm_result_t store_identity(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                   const mdm_identity_made_t *made, const char *counter)
{
    mdm_result_t r = mdm_identity_store(turn->p, turn->world, row, made, turn->settings->lifetime);

    if (r.kind == MDM_OK && counter != NULL)
        r = mdm_challenge_store(turn->p, turn->world, counter, row->id, MDM_PURPOSE_MDM,
                                turn->settings->lifetime);
    return r;
}

static mdm_result_t commit(const mdm_turn_t *turn, mdm_enrollment_t *row,
                           const mdm_identity_made_t *made, const char *occasion,
                           apr_int64_t signed_at, apr_int64_t updated_before)
{
    const mdm_store_t *store = turn->world->store;
    int counts = made->secret != NULL && made->secret_purpose == MDM_PURPOSE_MDM, won = 0;
    const char *counter = counts ? NULL : mdm_challenge_make(turn->p, turn->world);
    apr_int64_t before = row->signed_at;
    mdm_result_t r;

    if (!counts && counter == NULL)
        return mdm_random_failed(turn->p);
    if (occasion == NULL) {
        const char *secret = counts ? made->secret : counter;
        occasion = mdm_sha256_hex(turn->p, secret, strlen(secret));
    }
    r = store_identity(turn, row, made, counter);
    if (r.kind == MDM_OK)
        r = mdm_notice_store(turn->p, turn->world, row, MDM_EVENT_UPDATED, occasion);
    row->signed_at = signed_at;
    /* Not turn->now: the notification counts once the row has moved after it was made. */
    row->updated_at = turn->world->now(turn->world->context);
    row->expires_at = row->updated_at + turn->settings->lifetime;
    if (r.kind == MDM_OK)
        r = store->enrollment_update(store->context, turn->p, row, before, updated_before, &won);
    if (r.kind == MDM_OK && !won)
        r = mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_STATE,
                            "enrollment %s was updated by another request, or ended, just now",
                            row->id);
    if (r.kind == MDM_OK)
        return r;
    mdm_identity_discard(turn->p, turn->world, made);
    if (counter != NULL)
        mdm_challenge_discard(turn->p, turn->world, counter);
    return r;
}

/* What both ways have in common, once it is proved who asks. occasion: as in mdm_notice_store();
 * NULL for one that never comes again. */
static mdm_result_t update(const mdm_turn_t *turn, mdm_enrollment_t *row, const char *occasion,
                           apr_int64_t signed_at, apr_int64_t updated_before,
                           mdm_ota_reply_t *reply)
{
    mdm_ota_reply_t made = {NULL, 0};
    mdm_identity_made_t identity;
    mdm_limit_taken_t taken;
    const char *terms = "";
    mdm_result_t r = check_count(turn, row);

    if (r.kind == MDM_OK)
        r = mdm_enrollment_allowed(turn->p, turn->world, row, turn->device);
    /* Who is refused is not counted, so it is before a key is made or a foreign CA's challenge
     * asked for. */
    if (r.kind == MDM_OK)
        r = mdm_turn_terms(turn, row, &terms);
    if (r.kind == MDM_OK)
        r = check_terms(turn, row, terms);
    /* The device may have lost its place to another user's enrollment meanwhile. */
    if (r.kind == MDM_OK)
        r = mdm_limit_deliver(turn->p, turn->world, &turn->settings->limits, row, &taken);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_turn_enrollment_reply(turn, row, &identity, &made, &row->terms);
    row->rules = turn->world->rules; /* it was let in by these */
    if (r.kind == MDM_OK)
        r = commit(turn, row, &identity, occasion, signed_at, updated_before);
    if (r.kind != MDM_OK) {
        mdm_limit_give_back(turn->p, turn->world, &taken);
        return r;
    }
    turn->facts->event = mdm_event_name(MDM_EVENT_UPDATED);
    *reply = made;
    return r;
}

mdm_result_t mdm_update_device(const mdm_turn_t *turn, mdm_enrollment_t *row,
                               mdm_ota_reply_t *reply)
{
    const mdm_device_t *device = turn->device;
    apr_int64_t updated_before = 0;
    mdm_result_t r = check_identity(turn, row);

    if (r.kind == MDM_OK)
        r = check_new(turn, row, &updated_before);
    if (r.kind == MDM_OK)
        r = mdm_turn_same_device(turn, row);
    if (r.kind == MDM_OK)
        r = mdm_turn_check_tls(turn, row);
    if (r.kind != MDM_OK)
        return r;
    row->product = device->product;
    row->os_version = device->os_version[0] != '\0' ? device->os_version : device->version;
    return update(turn, row,
                  apr_psprintf(turn->p, "%" APR_INT64_T_FMT " %" APR_INT64_T_FMT, turn->signed_at,
                               turn->signed_at == 0 ? row->updated_at : 0),
                  turn->signed_at, updated_before, reply);
}

/* --- for the MDM server --- */

static mdm_result_t unknown(const mdm_turn_t *turn, const char *udid, const char *serial,
                            const char *why)
{
    return mdm_result_make(turn->p, MDM_MSG_UPDATE_UNKNOWN,
                           "%s \"%s\": %s; wanted is a device with a delivered enrollment of this "
                           "site that lives",
                           udid != NULL ? "UDID" : "serial number",
                           mdm_result_quote_text(turn->p, udid != NULL ? udid : serial), why);
}

/* The identity of the row, to which the profile is encrypted. *why is NULL if it lives. */
static mdm_result_t find_recipient(mdm_turn_t *turn, const mdm_enrollment_t *row, const char **why)
{
    const mdm_store_t *store = turn->world->store;
    mdm_certificate_t *cert = NULL;
    mdm_result_t r = store->certificate_by_fingerprint(store->context, turn->p,
                                                       row->identity_fingerprint, &cert);

    if (r.kind != MDM_OK)
        return r;
    *why = NULL;
    if (cert == NULL)
        *why = "its identity is not on record";
    else if (cert->revoked_at != 0)
        *why = "its identity was revoked";
    else if (mdm_trust_is_denied(turn->settings->trust, cert->fingerprint))
        *why = "its identity is on the deny list";
    else if (cert->not_after < turn->now - turn->settings->renewal_grace)
        *why = "its identity has ended (MDMEnrollRenewalGrace)";
    return *why == NULL ? mdm_scep_recorded(turn->p, cert, &turn->signer) : r;
}

mdm_result_t mdm_update_push(apr_pool_t *p, const mdm_ota_settings_t *settings,
                             const mdm_world_t *world, const mdm_ota_request_t *request,
                             const char *udid, const char *serial, mdm_ota_reply_t *reply,
                             mdm_ota_facts_t *facts)
{
    const mdm_store_t *store = world->store;
    mdm_turn_t turn = {.p = p,
                       .settings = settings,
                       .world = world,
                       .request = request,
                       .now = world->now(world->context),
                       .late = mdm_result_ok(),
                       .facts = facts};
    mdm_enrollment_t *row = NULL;
    const char *id = NULL, *why = NULL;
    mdm_result_t r;

    mdm_turn_start_facts(facts);
    r = store->enrollment_by_device(store->context, p, world->site, udid, serial, &id);
    if (r.kind == MDM_OK && id != NULL)
        r = store->enrollment_get(store->context, p, id, &row);
    if (r.kind != MDM_OK)
        return r;
    if (row == NULL || mdm_enrollment_is_ended(row))
        return unknown(&turn, udid, serial, "there is none");
    mdm_turn_found(&turn, row);
    why = mdm_enrollment_elsewhere(world, row);
    if (why != NULL)
        return unknown(&turn, udid, serial,
                       apr_psprintf(p, "it is of enrollment %s, %s", row->id, why));
    r = find_recipient(&turn, row, &why);
    if (r.kind != MDM_OK)
        return r;
    if (why != NULL)
        return unknown(&turn, udid, serial, why);
    turn.device = facts->device =
        mdm_device_known(p, row->udid, row->serial, row->product, row->os_version);
    return update(&turn, row, NULL, row->signed_at, turn.now, reply);
}
