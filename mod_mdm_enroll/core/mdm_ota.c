/* SPDX-License-Identifier: Apache-2.0
 * The three phases. Depends on mdm_cms, mdm_device, mdm_enrollment, mdm_profile, mdm_trust,
 * mdm_turn, mdm_update and mdm_x509.
 */
#include "mdm_ota.h"

#include <string.h>

#include "mdm_cms.h"
#include "mdm_device.h"
#include "mdm_limit.h"
#include "mdm_notice.h"
#include "mdm_pin.h"
#include "mdm_turn.h"
#include "mdm_update.h"

mdm_result_t mdm_ota_offer(apr_pool_t *p, const mdm_ota_settings_t *settings,
                           const mdm_world_t *world, const mdm_ota_request_t *request,
                           const char *user, mdm_ota_reply_t *reply, mdm_ota_facts_t *facts)
{
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    const char *challenge, *xml;
    apr_size_t len;
    mdm_result_t r;

    mdm_turn_start_facts(facts);
    facts->phase = 1;
    if (user != NULL)
        facts->user = user;
    r = mdm_enrollment_make(p, world, user, settings->lifetime, &row);
    if (r.kind != MDM_OK)
        return r;
    facts->enrollment = row->id;
    challenge = mdm_challenge_make(p, world);
    if (challenge == NULL)
        return mdm_random_failed(p);
    r = mdm_profile_service(p, &settings->profile, world, row, request->device_url, challenge, &xml,
                            &len);
    if (r.kind == MDM_OK)
        r = mdm_turn_sign(p, request, xml, len, &made);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_offer(p, world, row, challenge, MDM_PURPOSE_DEVICE, settings->lifetime);
    if (r.kind == MDM_OK)
        *reply = made;
    return r;
}

/* The two writes of a phase, after all is proved and the reply is made: what the identity in the
 * reply needs, then the move that decides who may send it. */
static mdm_result_t commit(const mdm_turn_t *turn, mdm_enrollment_t *row, mdm_state_t from,
                           const mdm_identity_made_t *made)
{
    mdm_result_t r = mdm_identity_store(turn->p, turn->world, row, made, turn->settings->lifetime);

    if (r.kind == MDM_OK)
        r = mdm_enrollment_advance(turn->p, turn->world, row, from, row->identity_fingerprint,
                                   turn->settings->lifetime);
    if (r.kind != MDM_OK) /* a store that failed may have stored it all the same */
        mdm_identity_discard(turn->p, turn->world, made);
    return r;
}

/* The profile with the payload of the identity, signed. */
static mdm_result_t identity_reply(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                   mdm_identity_made_t *made, mdm_ota_reply_t *reply)
{
    const mdm_identity_context_t context = mdm_turn_identity_context(turn);
    const char *xml;
    apr_size_t len;
    mdm_result_t r = mdm_identity_make(turn->p, turn->settings->identity, &context, row,
                                       MDM_PURPOSE_IDENTITY, made);

    if (r.kind == MDM_OK)
        r = mdm_profile_identity(turn->p, &turn->settings->profile, turn->world, row,
                                 &made->credential, &xml, &len);
    return r.kind != MDM_OK ? r : mdm_turn_sign(turn->p, turn->request, xml, len, reply);
}

/* Phase 2: the signer is a built-in identity, the challenge names the row. */
static mdm_result_t identify(const mdm_turn_t *turn, mdm_ota_reply_t *reply)
{
    const mdm_device_t *device = turn->device;
    mdm_challenge_t *challenge;
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    mdm_limit_taken_t taken;
    mdm_identity_made_t identity;
    mdm_result_t r;

    if (device->challenge[0] == '\0')
        return mdm_result_make(turn->p, MDM_MSG_CHALLENGE_MISSING,
                               "no CHALLENGE from device UDID \"%s\" SERIAL \"%s\"",
                               mdm_result_quote_text(turn->p, device->udid),
                               mdm_result_quote_text(turn->p, device->serial));
    r = mdm_challenge_find(turn->p, turn->world, device->challenge, MDM_PURPOSE_DEVICE, &challenge,
                           &row);
    if (r.kind != MDM_OK)
        return r;
    mdm_turn_found(turn, row);
    if (row->state != MDM_STATE_OFFERED)
        return mdm_turn_wrong_state(turn, row, MDM_STATE_OFFERED);
    r = mdm_device_check(turn->p, device);
    if (r.kind == MDM_OK)
        r = mdm_turn_check_tls(turn, row);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_allowed(turn->p, turn->world, row, device);
    if (r.kind == MDM_OK)
        r = mdm_limit_begin(turn->p, turn->world, &turn->settings->limits, row, device->udid,
                            &taken);
    if (r.kind != MDM_OK)
        return r;

    row->state = MDM_STATE_IDENTIFYING;
    row->udid = device->udid;
    row->serial = device->serial;
    row->product = device->product;
    row->os_version = device->os_version[0] != '\0' ? device->os_version : device->version;
    row->device_fingerprint = turn->signer_fingerprint;
    r = mdm_identity_suits(turn->p, turn->world, turn->settings->mdm_identity, row);
    if (r.kind == MDM_OK)
        r = identity_reply(turn, row, &identity, &made);
    if (r.kind == MDM_OK)
        r = commit(turn, row, MDM_STATE_OFFERED, &identity);
    if (r.kind == MDM_OK)
        *reply = made;
    else
        mdm_limit_give_back(turn->p, turn->world, &taken);
    return r;
}

/* Whether a certificate that no row has yet may become one's: only where identities come from a
 * foreign CA, and only one of such a CA. What the own CA issued is in the store, or not ours. */
static int may_pin(const mdm_turn_t *turn)
{
    return turn->issuer == MDM_ISSUER_FOREIGN_CA && mdm_identity_foreign(turn->settings->identity);
}

/* The row of a recorded identity certificate: not revoked, made for phase 3, of this site. */
static mdm_result_t find_owner(const mdm_turn_t *turn, const mdm_certificate_t *cert,
                               mdm_enrollment_t **row)
{
    const mdm_store_t *store = turn->world->store;
    const char *foreign;
    mdm_enrollment_t *owner;
    mdm_result_t r;

    if (cert->revoked_at != 0)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_REVOKED,
                               "the signer with serial number %s was revoked %" APR_INT64_T_FMT
                               " s ago",
                               cert->serial, turn->now - cert->revoked_at);
    if (cert->purpose != MDM_PURPOSE_IDENTITY)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_PURPOSE,
                               "the signer with serial number %s is for \"%s\", wanted is one for "
                               "\"%s\"",
                               cert->serial, mdm_purpose_name(cert->purpose),
                               mdm_purpose_name(MDM_PURPOSE_IDENTITY));
    r = store->enrollment_get(store->context, turn->p, cert->enrollment, &owner);
    if (r.kind != MDM_OK)
        return r;
    if (owner == NULL)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "enrollment %s of the signer with serial number %s is gone",
                               cert->enrollment, cert->serial);
    /* Who is under way starts again where the rules changed. A device that was let in long ago
     * cannot: it would be shut out for good by the next change of MDMEnrollRequire. It is of the
     * same site, and policy and directory, as they are now, are asked of it again. */
    foreign = owner->state == MDM_STATE_DELIVERED ? mdm_enrollment_elsewhere(turn->world, owner)
                                                  : mdm_enrollment_foreign(turn->world, owner);
    if (foreign != NULL)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "the signer with serial number %s is of enrollment %s, %s",
                               cert->serial, owner->id, foreign);
    *row = owner;
    return r;
}

/* The row that the signer's certificate belongs to, and which waits for it or is delivered.
 * *challenge is NULL, unless the certificate is still to be pinned to it. */
static mdm_result_t find_by_identity(const mdm_turn_t *turn, mdm_challenge_t **challenge,
                                     mdm_enrollment_t **row)
{
    const mdm_store_t *store = turn->world->store;
    const char *fingerprint = turn->signer_fingerprint;
    mdm_certificate_t *cert;
    mdm_enrollment_t *owner = NULL;
    mdm_result_t r;

    *challenge = NULL;
    r = store->certificate_by_fingerprint(store->context, turn->p, fingerprint, &cert);
    if (r.kind == MDM_OK && cert == NULL && !may_pin(turn))
        r = mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                            "no record of the signer with fingerprint %s", fingerprint);
    if (r.kind == MDM_OK && cert != NULL)
        r = find_owner(turn, cert, &owner);
    if (r.kind != MDM_OK)
        return r;
    /* Recorded, and the row did not move: the store failed between the two. */
    if (may_pin(turn) && (owner == NULL || owner->state == MDM_STATE_IDENTIFYING)) {
        r = mdm_pin_find(turn->p, turn->world, turn->signer, fingerprint, challenge, row);
        if (r.kind == MDM_OK)
            mdm_turn_found(turn, *row);
        return r;
    }
    mdm_turn_found(turn, owner);
    *row = owner;
    if (owner->state == MDM_STATE_DELIVERED)
        return mdm_result_ok();
    if (owner->state != MDM_STATE_IDENTIFIED)
        return mdm_turn_wrong_state(turn, owner, MDM_STATE_IDENTIFIED);
    if (owner->expires_at <= turn->now)
        return mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_EXPIRED,
                               "enrollment %s ended %" APR_INT64_T_FMT " s ago", owner->id,
                               turn->now - owner->expires_at);
    if (strcmp(owner->identity_fingerprint, fingerprint) != 0)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "signer with fingerprint %s, wanted is the identity of enrollment "
                               "%s: %s",
                               fingerprint, owner->id, owner->identity_fingerprint);
    return mdm_result_ok();
}

/* Phase 3: the signer is the identity that the device got, and names the row. */
static mdm_result_t deliver(const mdm_turn_t *turn, mdm_ota_reply_t *reply)
{
    mdm_challenge_t *binding = NULL;
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    mdm_limit_taken_t taken;
    mdm_identity_made_t identity;
    mdm_result_t r;

    r = find_by_identity(turn, &binding, &row);
    if (turn->late.kind != MDM_OK &&
        (r.kind == MDM_REFUSED || (r.kind == MDM_OK && row->state != MDM_STATE_DELIVERED)))
        return turn->late;
    if (r.kind == MDM_OK && row->state == MDM_STATE_DELIVERED)
        return mdm_update_device(turn, row, reply);
    if (r.kind == MDM_OK)
        r = mdm_turn_same_device(turn, row);
    if (r.kind == MDM_OK)
        r = mdm_turn_check_tls(turn, row);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_allowed(turn->p, turn->world, row, turn->device);
    if (r.kind != MDM_OK)
        return r;

    r = mdm_turn_enrollment_reply(turn, row, &identity, &made, &row->terms);
    if (r.kind == MDM_OK)
        r = mdm_limit_deliver(turn->p, turn->world, &turn->settings->limits, row, &taken);
    if (r.kind != MDM_OK)
        return r;
    if (binding != NULL)
        r = mdm_pin_take(turn->p, turn->world, turn->signer, turn->signer_fingerprint, binding, row,
                         turn->settings->lifetime);
    if (r.kind == MDM_OK)
        r = mdm_notice_store(turn->p, turn->world, row, MDM_EVENT_ENROLLED, "");
    row->state = MDM_STATE_DELIVERED;
    row->signed_at = turn->signed_at;
    if (r.kind == MDM_OK)
        r = commit(turn, row, MDM_STATE_IDENTIFIED, &identity);
    if (r.kind != MDM_OK) {
        mdm_limit_give_back(turn->p, turn->world, &taken);
        return r;
    }
    mdm_limit_delivered(turn->p, turn->world, &turn->settings->limits, row);
    turn->facts->event = mdm_event_name(MDM_EVENT_ENROLLED);
    *reply = made;
    return r;
}

/* Who signed. Whose certificate ended within the grace is let through as "late": for an update, and
 * for nothing else. */
static mdm_result_t judge(mdm_turn_t *turn)
{
    const mdm_trust_t *trust = turn->settings->trust;
    apr_int64_t grace = turn->settings->renewal_grace;
    mdm_result_t r = mdm_trust_judge(trust, turn->p, turn->signer, turn->now, &turn->issuer);

    if (r.message != MDM_MSG_SIGNER_EXPIRED || grace == 0)
        return r;
    turn->late = r;
    return mdm_trust_judge_late(trust, turn->p, turn->signer, turn->now, grace, &turn->issuer);
}

mdm_result_t mdm_ota_device(apr_pool_t *p, const mdm_ota_settings_t *settings,
                            const mdm_world_t *world, const mdm_ota_request_t *request,
                            const void *message, apr_size_t len, mdm_ota_reply_t *reply,
                            mdm_ota_facts_t *facts)
{
    mdm_turn_t turn = {.p = p,
                       .settings = settings,
                       .world = world,
                       .request = request,
                       .now = world->now(world->context),
                       .late = mdm_result_ok(),
                       .facts = facts};
    mdm_cms_t *cms;
    mdm_device_t *device;
    const char *content;
    apr_size_t content_len;
    mdm_result_t r;

    mdm_turn_start_facts(facts);
    if (len > MDM_OTA_MAX_BYTES)
        return mdm_result_make(p, MDM_MSG_HTTP_BODY_TOO_LARGE,
                               "a message of %" APR_SIZE_T_FMT " bytes, wanted are at most %d", len,
                               MDM_OTA_MAX_BYTES);
    r = mdm_cms_open(p, message, len, MDM_CMS_MAX_CERTIFICATES, &cms);
    if (r.kind != MDM_OK)
        return r;
    turn.signer = mdm_cms_signer(cms);
    r = judge(&turn);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_cms_verify(p, cms, turn.issuer == MDM_ISSUER_DEVICE_CA ? MDM_CMS_ALLOW_SHA1 : 0,
                       &content, &content_len);
    if (r.kind != MDM_OK)
        return r;
    facts->phase = turn.issuer == MDM_ISSUER_DEVICE_CA ? 2 : 3;
    turn.signed_at = mdm_update_signed_at(mdm_cms_signing_time(cms), turn.now);
    r = mdm_device_parse(p, content, content_len, &device);
    if (r.kind != MDM_OK)
        return r;
    turn.device = facts->device = device;
    turn.signer_fingerprint = mdm_x509_fingerprint(p, turn.signer);
    if (turn.signer_fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    return facts->phase == 2 ? identify(&turn, reply) : deliver(&turn, reply);
}
