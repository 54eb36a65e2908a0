/* SPDX-License-Identifier: Apache-2.0
 * One device message on its way through phase 2 or 3, or one profile on its way to an MDM server:
 * what the phases (mdm_ota) and the updates (mdm_update) have in common. Nobody else includes it.
 * Depends on mdm_cms, mdm_identity, mdm_profile, mdm_terms and mdm_trust.
 */
#ifndef MDM_TURN_H
#define MDM_TURN_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_ota.h"

typedef struct mdm_turn_t {
    apr_pool_t *p;
    const mdm_ota_settings_t *settings;
    const mdm_world_t *world;
    const mdm_ota_request_t *request;
    apr_int64_t now;
    X509 *signer;        /* who signed, and to whom the enrollment profile is encrypted */
    mdm_issuer_t issuer; /* of the signer */
    const char *signer_fingerprint;
    apr_int64_t signed_at; /* mdm_update_signed_at() of the message */
    /* MDM_OK, or the refusal of a signer past its end, for whom an update is the only way on */
    mdm_result_t late;
    const mdm_device_t *device;
    mdm_ota_facts_t *facts;
} mdm_turn_t;

/* The facts with nothing in them, and what is known once there is a row. */
void mdm_turn_start_facts(mdm_ota_facts_t *facts);
void mdm_turn_found(const mdm_turn_t *turn, const mdm_enrollment_t *row);

/* MDM_MSG_ENROLLMENT_STATE. */
mdm_result_t mdm_turn_wrong_state(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                  mdm_state_t wanted);

/* UDID and SERIAL of the message are the row's; MDM_MSG_DEVICE_MISMATCH. */
mdm_result_t mdm_turn_same_device(const mdm_turn_t *turn, const mdm_enrollment_t *row);

/* The certificate of the TLS handshake, if one is wanted or presented, is the signer's or another
 * of the same enrollment. It is judged like a signer first: the handshake itself checks no issuer
 * (SSLVerifyClient optional_no_ca). MDM_MSG_TLS_CERTIFICATE_*. */
mdm_result_t mdm_turn_check_tls(const mdm_turn_t *turn, const mdm_enrollment_t *row);

/* Sign a profile; reply is written last: it stays as it was if signing fails. */
mdm_result_t mdm_turn_sign(apr_pool_t *p, const mdm_ota_request_t *request, const char *xml,
                           apr_size_t len, mdm_ota_reply_t *reply);

/* What identities are made from. */
mdm_identity_context_t mdm_turn_identity_context(const mdm_turn_t *turn);

/* What the enrollment profile would say that no update may change (mdm_terms): no key is made and
 * no service asked for it. */
mdm_result_t mdm_turn_terms(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                            const char **terms);

/* The enrollment profile: payloads with a fresh identity for the MDM server, which is still to be
 * stored (mdm_identity_store), encrypted to turn->signer, signed; and what it says that no update
 * may change (mdm_terms). */
mdm_result_t mdm_turn_enrollment_reply(const mdm_turn_t *turn, const mdm_enrollment_t *row,
                                       mdm_identity_made_t *made, mdm_ota_reply_t *reply,
                                       const char **terms);

#endif
