/* SPDX-License-Identifier: Apache-2.0
 * The three phases. Depends on mdm_cms, mdm_device, mdm_enrollment, mdm_profile, mdm_trust and
 * mdm_x509.
 */
#include "mdm_ota.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_cms.h"
#include "mdm_device.h"
#include "mdm_notice.h"
#include "mdm_pin.h"

/* One device message on its way through phase 2 or 3. */
typedef struct turn_t {
    apr_pool_t *p;
    const mdm_ota_settings_t *settings;
    const mdm_world_t *world;
    const mdm_ota_request_t *request;
    apr_int64_t now;
    X509 *signer;
    mdm_issuer_t issuer; /* of the signer */
    const char *signer_fingerprint;
    const mdm_device_t *device;
    mdm_ota_facts_t *facts;
} turn_t;

static void start_facts(mdm_ota_facts_t *facts)
{
    *facts = (mdm_ota_facts_t){.phase = 0, .enrollment = "", .user = "", .device = NULL};
}

/* reply is written last: it stays as it was if signing fails. */
static mdm_result_t sign(apr_pool_t *p, const mdm_ota_request_t *request, const char *xml,
                         apr_size_t len, mdm_ota_reply_t *reply)
{
    const unsigned char *der;
    apr_size_t der_len;
    mdm_result_t r = mdm_cms_sign(p, request->signer, xml, len, &der, &der_len);

    if (r.kind != MDM_OK)
        return r;
    reply->body = (const char *)der;
    reply->len = der_len;
    return r;
}

mdm_result_t mdm_ota_offer(apr_pool_t *p, const mdm_ota_settings_t *settings,
                           const mdm_world_t *world, const mdm_ota_request_t *request,
                           const char *user, mdm_ota_reply_t *reply, mdm_ota_facts_t *facts)
{
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    const char *challenge, *xml;
    apr_size_t len;
    mdm_result_t r;

    start_facts(facts);
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
        r = sign(p, request, xml, len, &made);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_offer(p, world, row, challenge, MDM_PURPOSE_DEVICE, settings->lifetime);
    if (r.kind == MDM_OK)
        *reply = made;
    return r;
}

static void found(const turn_t *turn, const mdm_enrollment_t *row)
{
    turn->facts->enrollment = row->id;
    turn->facts->user = row->user;
}

static mdm_result_t wrong_state(const turn_t *turn, const mdm_enrollment_t *row, mdm_state_t wanted)
{
    return mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_STATE,
                           "enrollment %s is in state \"%s\", wanted is \"%s\"", row->id,
                           mdm_state_name(row->state), mdm_state_name(wanted));
}

/* The certificate of the TLS handshake, if one is wanted or presented, is the signer's or another
 * of the same enrollment. It is judged like a signer first: the handshake itself checks no issuer
 * (SSLVerifyClient optional_no_ca). */
static mdm_result_t check_tls(const turn_t *turn, const mdm_enrollment_t *row)
{
    X509 *cert = turn->request->tls_certificate;
    const mdm_store_t *store = turn->world->store;
    mdm_certificate_t *recorded;
    const char *fingerprint;
    mdm_issuer_t issuer;
    mdm_result_t r;

    if (turn->settings->tls_certificate == MDM_TLS_CERTIFICATE_OFF)
        return mdm_result_ok();
    if (cert == NULL && turn->settings->tls_certificate == MDM_TLS_CERTIFICATE_REQUIRE)
        return mdm_result_make(turn->p, MDM_MSG_TLS_CERTIFICATE_MISSING,
                               "no client certificate in the TLS handshake, wanted is one of "
                               "enrollment %s",
                               row->id);
    if (cert == NULL)
        return mdm_result_ok();
    fingerprint = mdm_x509_fingerprint(turn->p, cert);
    if (fingerprint[0] == '\0')
        return mdm_sha256_failed(turn->p);
    if (strcmp(fingerprint, turn->signer_fingerprint) == 0)
        return mdm_result_ok();
    r = mdm_trust_judge(turn->settings->trust, turn->p, cert, turn->now, &issuer);
    if (r.kind == MDM_FAULT)
        return r;
    if (r.kind != MDM_OK)
        return mdm_result_make(turn->p, MDM_MSG_TLS_CERTIFICATE_FOREIGN,
                               "TLS client certificate: %s", r.log);
    if (strcmp(fingerprint, row->device_fingerprint) == 0)
        return mdm_result_ok();
    r = store->certificate_by_fingerprint(store->context, turn->p, fingerprint, &recorded);
    if (r.kind != MDM_OK)
        return r;
    if (recorded != NULL && recorded->revoked_at == 0 && strcmp(recorded->enrollment, row->id) == 0)
        return mdm_result_ok();
    return mdm_result_make(turn->p, MDM_MSG_TLS_CERTIFICATE_FOREIGN,
                           "TLS client certificate with fingerprint %s, wanted is the signer's %s "
                           "or another of enrollment %s",
                           fingerprint, turn->signer_fingerprint, row->id);
}

/* The two writes of a phase, after all is proved and the reply is made: the secret that the reply
 * carries (NULL: it carries none of ours), then the move that decides who may send it. The secret
 * comes first, since a row that moved without it would be lost to the device. */
static mdm_result_t commit(const turn_t *turn, mdm_enrollment_t *row, mdm_state_t from,
                           const char *secret, mdm_purpose_t purpose)
{
    mdm_result_t r = mdm_result_ok();

    if (secret != NULL)
        r = mdm_challenge_store(turn->p, turn->world, secret, row->id, purpose,
                                turn->settings->lifetime);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_enrollment_advance(turn->p, turn->world, row, from, row->identity_fingerprint,
                               turn->settings->lifetime);
    if (r.kind != MDM_OK && secret != NULL)
        mdm_challenge_discard(turn->p, turn->world, secret);
    return r;
}

/* The profile with the SCEP payload, signed. */
static mdm_result_t identity_reply(const turn_t *turn, const mdm_enrollment_t *row,
                                   const char *secret, mdm_ota_reply_t *reply)
{
    mdm_profile_scep_t scep;
    const char *xml;
    apr_size_t len;
    mdm_result_t r =
        mdm_identity_payload(turn->p, turn->settings->identity, row, MDM_PURPOSE_IDENTITY,
                             turn->request->scep_url, secret, &scep);

    if (r.kind == MDM_OK)
        r = mdm_profile_identity(turn->p, &turn->settings->profile, turn->world, row, &scep, &xml,
                                 &len);
    return r.kind != MDM_OK ? r : sign(turn->p, turn->request, xml, len, reply);
}

/* Phase 2: the signer is a built-in identity, the challenge names the row. */
static mdm_result_t identify(const turn_t *turn, mdm_ota_reply_t *reply)
{
    const mdm_device_t *device = turn->device;
    mdm_challenge_t *challenge;
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    const char *secret;
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
    found(turn, row);
    if (row->state != MDM_STATE_OFFERED)
        return wrong_state(turn, row, MDM_STATE_OFFERED);
    r = mdm_device_check(turn->p, device);
    if (r.kind == MDM_OK)
        r = check_tls(turn, row);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_allowed(turn->p, turn->world, row, device);
    if (r.kind != MDM_OK)
        return r;

    row->state = MDM_STATE_IDENTIFYING;
    row->udid = device->udid;
    row->serial = device->serial;
    row->product = device->product;
    row->os_version = device->os_version[0] != '\0' ? device->os_version : device->version;
    row->device_fingerprint = turn->signer_fingerprint;
    secret = mdm_challenge_make(turn->p, turn->world);
    if (secret == NULL)
        return mdm_random_failed(turn->p);
    r = identity_reply(turn, row, secret, &made);
    if (r.kind == MDM_OK)
        r = commit(turn, row, MDM_STATE_OFFERED, secret,
                   mdm_identity_foreign(turn->settings->identity) ? MDM_PURPOSE_BINDING
                                                                  : MDM_PURPOSE_IDENTITY);
    if (r.kind == MDM_OK)
        *reply = made;
    return r;
}

/* Whether a certificate that no row has yet may become one's: only where identities come from a
 * foreign CA, and only one of such a CA. What the own CA issued is in the store, or not ours. */
static int may_pin(const turn_t *turn)
{
    return turn->issuer == MDM_ISSUER_FOREIGN_CA && mdm_identity_foreign(turn->settings->identity);
}

/* The row of a recorded identity certificate: not revoked, made for phase 3, of this site. */
static mdm_result_t find_owner(const turn_t *turn, const mdm_certificate_t *cert,
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
    foreign = mdm_enrollment_foreign(turn->world, owner);
    if (foreign != NULL)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "the signer with serial number %s is of enrollment %s, %s",
                               cert->serial, owner->id, foreign);
    *row = owner;
    return r;
}

/* The row that the signer's certificate belongs to, and which waits for it. *challenge is NULL,
 * unless the certificate is still to be pinned to it. */
static mdm_result_t find_by_identity(const turn_t *turn, mdm_challenge_t **challenge,
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
            found(turn, *row);
        return r;
    }
    found(turn, owner);
    if (owner->state != MDM_STATE_IDENTIFIED)
        return wrong_state(turn, owner, MDM_STATE_IDENTIFIED);
    if (owner->expires_at <= turn->now)
        return mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_EXPIRED,
                               "enrollment %s ended %" APR_INT64_T_FMT " s ago", owner->id,
                               turn->now - owner->expires_at);
    if (strcmp(owner->identity_fingerprint, fingerprint) != 0)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "signer with fingerprint %s, wanted is the identity of enrollment "
                               "%s: %s",
                               fingerprint, owner->id, owner->identity_fingerprint);
    *row = owner;
    return mdm_result_ok();
}

/* The enrollment profile: payloads, encrypted to the signer, signed. */
static mdm_result_t enrollment_reply(const turn_t *turn, const mdm_enrollment_t *row,
                                     const char *secret, mdm_ota_reply_t *reply)
{
    const mdm_profile_settings_t *profile = &turn->settings->profile;
    const unsigned char *encrypted;
    mdm_profile_scep_t scep;
    const char *xml;
    apr_size_t len;
    mdm_result_t r = mdm_identity_payload(turn->p, turn->settings->mdm_identity, row,
                                          MDM_PURPOSE_MDM, turn->request->scep_url, secret, &scep);

    if (r.kind == MDM_OK)
        r = mdm_profile_payloads(turn->p, profile, turn->world, row, &scep, &xml, &len);
    /* To the verified signer only, never to whatever certificates the message carries. */
    if (r.kind == MDM_OK)
        r = mdm_cms_encrypt(turn->p, turn->signer, turn->settings->cipher, xml, len, &encrypted,
                            &len);
    if (r.kind == MDM_OK)
        r = mdm_profile_enrollment(turn->p, profile, turn->world, row, encrypted, len, &xml, &len);
    return r.kind != MDM_OK ? r : sign(turn->p, turn->request, xml, len, reply);
}

static mdm_result_t same_device(const turn_t *turn, const mdm_enrollment_t *row)
{
    const mdm_device_t *device = turn->device;

    if (strcmp(device->udid, row->udid) != 0 || strcmp(device->serial, row->serial) != 0)
        return mdm_result_make(turn->p, MDM_MSG_DEVICE_MISMATCH,
                               "UDID \"%s\" SERIAL \"%s\", wanted for enrollment %s are \"%s\" and "
                               "\"%s\"",
                               mdm_result_quote_text(turn->p, device->udid),
                               mdm_result_quote_text(turn->p, device->serial), row->id,
                               mdm_result_quote_text(turn->p, row->udid),
                               mdm_result_quote_text(turn->p, row->serial));
    return mdm_result_ok();
}

/* Phase 3: the signer is the identity that the device got, and names the row. */
static mdm_result_t deliver(const turn_t *turn, mdm_ota_reply_t *reply)
{
    mdm_challenge_t *binding = NULL;
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    const char *secret = NULL;
    mdm_result_t r;

    r = find_by_identity(turn, &binding, &row);
    if (r.kind == MDM_OK)
        r = same_device(turn, row);
    if (r.kind == MDM_OK)
        r = check_tls(turn, row);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_allowed(turn->p, turn->world, row, turn->device);
    if (r.kind != MDM_OK)
        return r;

    if (!mdm_identity_foreign(turn->settings->mdm_identity)) {
        secret = mdm_challenge_make(turn->p, turn->world);
        if (secret == NULL)
            return mdm_random_failed(turn->p);
    }
    r = enrollment_reply(turn, row, secret, &made);
    if (r.kind == MDM_OK && binding != NULL)
        r = mdm_pin_take(turn->p, turn->world, turn->signer, turn->signer_fingerprint, binding, row,
                         turn->settings->lifetime);
    if (r.kind == MDM_OK)
        r = mdm_notice_store(turn->p, turn->world, row, MDM_EVENT_ENROLLED, "");
    row->state = MDM_STATE_DELIVERED;
    if (r.kind == MDM_OK)
        r = commit(turn, row, MDM_STATE_IDENTIFIED, secret, MDM_PURPOSE_MDM);
    if (r.kind == MDM_OK)
        *reply = made;
    return r;
}

mdm_result_t mdm_ota_device(apr_pool_t *p, const mdm_ota_settings_t *settings,
                            const mdm_world_t *world, const mdm_ota_request_t *request,
                            const void *message, apr_size_t len, mdm_ota_reply_t *reply,
                            mdm_ota_facts_t *facts)
{
    turn_t turn = {.p = p,
                   .settings = settings,
                   .world = world,
                   .request = request,
                   .now = world->now(world->context),
                   .facts = facts};
    mdm_cms_t *cms;
    mdm_device_t *device;
    const char *content;
    apr_size_t content_len;
    mdm_result_t r;

    start_facts(facts);
    if (len > MDM_OTA_MAX_BYTES)
        return mdm_result_make(p, MDM_MSG_HTTP_BODY_TOO_LARGE,
                               "a message of %" APR_SIZE_T_FMT " bytes, wanted are at most %d", len,
                               MDM_OTA_MAX_BYTES);
    r = mdm_cms_open(p, message, len, MDM_CMS_MAX_CERTIFICATES, &cms);
    if (r.kind != MDM_OK)
        return r;
    turn.signer = mdm_cms_signer(cms);
    r = mdm_trust_judge(settings->trust, p, turn.signer, turn.now, &turn.issuer);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_cms_verify(p, cms, turn.issuer == MDM_ISSUER_DEVICE_CA ? MDM_CMS_ALLOW_SHA1 : 0,
                       &content, &content_len);
    if (r.kind != MDM_OK)
        return r;
    facts->phase = turn.issuer == MDM_ISSUER_DEVICE_CA ? 2 : 3;
    r = mdm_device_parse(p, content, content_len, &device);
    if (r.kind != MDM_OK)
        return r;
    turn.device = facts->device = device;
    turn.signer_fingerprint = mdm_x509_fingerprint(p, turn.signer);
    if (turn.signer_fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    return facts->phase == 2 ? identify(&turn, reply) : deliver(&turn, reply);
}
