/* SPDX-License-Identifier: Apache-2.0
 * The enrollment profile without phases. Depends on mdm_cms, mdm_device, mdm_enrollment,
 * mdm_identity, mdm_limit, mdm_profile and mdm_terms.
 */
#include "mdm_direct.h"

#include "mdm_cms.h"
#include "mdm_device.h"
#include "mdm_limit.h"
#include "mdm_profile_template.h"
#include "mdm_terms.h"

/* The profile, signed. */
static mdm_result_t make_reply(apr_pool_t *p, const mdm_ota_settings_t *settings,
                               const mdm_world_t *world, const mdm_ota_request_t *request,
                               mdm_enrollment_t *row, mdm_identity_made_t *identity,
                               mdm_ota_reply_t *reply)
{
    const mdm_identity_context_t context = {
        .world = world, .scep_url = request->scep_url, .ca = settings->ca};
    const mdm_profile_settings_t *profile = NULL;
    const unsigned char *der;
    const char *xml;
    apr_size_t len;
    mdm_result_t r = mdm_profile_choose(p, &settings->profile, world, row, &profile);

    if (r.kind == MDM_OK)
        r = mdm_identity_make(p, settings->mdm_identity, &context, row, MDM_PURPOSE_MDM, identity);
    if (r.kind == MDM_OK)
        r = mdm_profile_direct(p, profile, world, row, &identity->credential, &xml, &len);
    if (r.kind == MDM_OK)
        r = mdm_terms_of_payloads(p, settings->profile.identifier, xml, len, &row->terms);
    if (r.kind == MDM_OK)
        r = mdm_cms_sign(p, request->signer, xml, len, &der, &len);
    if (r.kind == MDM_OK)
        *reply = (mdm_ota_reply_t){(const char *)der, len};
    return r;
}

mdm_result_t mdm_direct_offer(apr_pool_t *p, const mdm_ota_settings_t *settings,
                              const mdm_world_t *world, const mdm_ota_request_t *request,
                              const char *user, mdm_ota_reply_t *reply, mdm_ota_facts_t *facts)
{
    mdm_enrollment_t *row = NULL;
    mdm_ota_reply_t made = {NULL, 0};
    mdm_limit_taken_t taken;
    mdm_identity_made_t identity;
    mdm_result_t r;

    *facts = (mdm_ota_facts_t){.enrollment = "", .user = user != NULL ? user : "", .event = ""};
    r = mdm_enrollment_make(p, world, user, settings->lifetime, &row);
    if (r.kind != MDM_OK)
        return r;
    row->flow = MDM_FLOW_DIRECT;
    facts->enrollment = row->id;
    r = mdm_enrollment_allowed(p, world, row, mdm_device_known(p, "", "", "", ""));
    if (r.kind != MDM_OK)
        return r;
    r = make_reply(p, settings, world, request, row, &identity, &made);
    if (r.kind == MDM_OK)
        r = mdm_enrollment_offer(p, world, row, identity.secret, identity.secret_purpose,
                                 settings->lifetime);
    if (r.kind != MDM_OK)
        return r;
    /* The row first: a place whose enrollment is not there is free. */
    r = mdm_limit_begin(p, world, &settings->limits, row, mdm_enrollment_device(row), &taken);
    if (r.kind == MDM_OK)
        *reply = made;
    else if (identity.secret != NULL)
        mdm_challenge_discard(p, world, identity.secret);
    return r;
}
