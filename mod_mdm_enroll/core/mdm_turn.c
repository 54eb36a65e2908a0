/* SPDX-License-Identifier: Apache-2.0
 * What the phases and the updates have in common. Depends on mdm_cms, mdm_identity,
 * mdm_profile_template, mdm_terms and mdm_trust.
 */
#include "mdm_turn.h"

#include <string.h>

#include <openssl/crypto.h>

#include "mdm_cms.h"
#include "mdm_profile_template.h"
#include "mdm_terms.h"

void mdm_turn_start_facts(mdm_ota_facts_t *facts)
{
    *facts =
        (mdm_ota_facts_t){.phase = 0, .enrollment = "", .user = "", .device = NULL, .event = ""};
}

mdm_result_t mdm_turn_sign(apr_pool_t *p, const mdm_ota_request_t *request, const char *xml,
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

void mdm_turn_found(const mdm_turn_t *turn, const mdm_enrollment_t *row)
{
    turn->facts->enrollment = row->id;
    turn->facts->user = row->user;
}

mdm_result_t mdm_turn_wrong_state(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                  mdm_state_t wanted)
{
    return mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_STATE,
                           "enrollment %s is in state \"%s\", wanted is \"%s\"", row->id,
                           mdm_state_name(row->state), mdm_state_name(wanted));
}

mdm_result_t mdm_turn_same_device(const mdm_turn_t *turn, const mdm_enrollment_t *row)
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

mdm_result_t mdm_turn_check_tls(const mdm_turn_t *turn, const mdm_enrollment_t *row)
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

mdm_identity_context_t mdm_turn_identity_context(const mdm_turn_t *turn)
{
    return (mdm_identity_context_t){
        .world = turn->world, .scep_url = turn->request->scep_url, .ca = turn->settings->ca};
}

mdm_result_t mdm_turn_terms(const mdm_turn_t *turn, const mdm_enrollment_t *row, const char **terms)
{
    const mdm_profile_settings_t *profile = NULL;
    const mdm_plist_t *payload = NULL;
    mdm_result_t r =
        mdm_profile_choose(turn->p, &turn->settings->profile, turn->world, row, &profile);

    if (r.kind == MDM_OK)
        r = mdm_profile_mdm(turn->p, profile, turn->world, row, &payload);
    if (r.kind == MDM_OK)
        *terms = mdm_terms_of_payload(turn->p, profile->identifier, payload);
    return r;
}

mdm_result_t mdm_turn_enrollment_reply(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                       mdm_identity_made_t *made, mdm_ota_reply_t *reply,
                                       const char **terms)
{
    const mdm_identity_context_t context = mdm_turn_identity_context(turn);
    const mdm_profile_settings_t *profile = NULL;
    const unsigned char *encrypted;
    const char *payloads, *xml;
    apr_size_t payloads_len, len;
    mdm_result_t r =
        mdm_profile_choose(turn->p, &turn->settings->profile, turn->world, row, &profile);

    if (r.kind == MDM_OK)
        r = mdm_identity_make(turn->p, turn->settings->mdm_identity, &context, row, MDM_PURPOSE_MDM,
                              made);
    if (r.kind == MDM_OK)
        r = mdm_profile_payloads(turn->p, profile, turn->world, row, &made->credential, &payloads,
                                 &payloads_len);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_terms_of_payloads(turn->p, profile->identifier, payloads, payloads_len, terms);
    /* To the verified signer only, never to whatever certificates the message carries. */
    if (r.kind == MDM_OK)
        r = mdm_cms_encrypt(turn->p, turn->signer, turn->settings->cipher, payloads, payloads_len,
                            &encrypted, &len);
    OPENSSL_cleanse((char *)payloads, payloads_len); /* secrets, and may be a key */
    if (r.kind == MDM_OK)
        r = mdm_profile_enrollment(turn->p, profile, turn->world, row, encrypted, len, &xml, &len);
    return r.kind != MDM_OK ? r : mdm_turn_sign(turn->p, turn->request, xml, len, reply);
}
