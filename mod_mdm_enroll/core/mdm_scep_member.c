/* SPDX-License-Identifier: Apache-2.0
 * What is on record of a certificate. Depends on mdm_base64, mdm_enrollment, mdm_trust, mdm_x509.
 */
#include "mdm_scep_member.h"

#include "mdm_base64.h"
#include "mdm_x509.h"

mdm_result_t mdm_scep_recorded(apr_pool_t *p, const mdm_certificate_t *row, X509 **cert)
{
    const unsigned char *der;
    apr_size_t len;

    if (row->revoked_at != 0)
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_REVOKED, "certificate %s was revoked",
                               row->serial);
    der = mdm_base64_decode(p, row->der, &len);
    if (der == NULL || mdm_x509_decode(p, der, len, cert).kind != MDM_OK)
        return mdm_result_make(p, MDM_MSG_STORE_ROW, "certificate %s cannot be read", row->serial);
    return mdm_result_ok();
}

mdm_result_t mdm_scep_find_member(apr_pool_t *p, const mdm_trust_t *trust, const mdm_world_t *world,
                                  X509 *signer, mdm_scep_member_t *member)
{
    const mdm_store_t *store = world->store;
    const char *fingerprint = mdm_x509_fingerprint(p, signer);
    mdm_certificate_t *recorded = NULL;
    mdm_enrollment_t *row = NULL;
    const char *elsewhere;
    mdm_issuer_t issuer;
    mdm_result_t r = mdm_trust_judge(trust, p, signer, world->now(world->context), &issuer);

    if (r.kind == MDM_FAULT)
        return r;
    if (r.kind != MDM_OK || issuer == MDM_ISSUER_DEVICE_CA)
        return mdm_result_make(p, MDM_MSG_SCEP_SIGNER, "%s",
                               r.kind != MDM_OK ? r.log : "signed with a built-in identity");
    r = store->certificate_by_fingerprint(store->context, p, fingerprint, &recorded);
    if (r.kind != MDM_OK)
        return r;
    if (recorded == NULL)
        return mdm_result_make(p, MDM_MSG_SCEP_SIGNER,
                               "no record of the signer with fingerprint %s", fingerprint);
    if (recorded->revoked_at != 0)
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_REVOKED,
                               "the signer with serial number %s was revoked", recorded->serial);
    r = store->enrollment_get(store->context, p, recorded->enrollment, &row);
    if (r.kind != MDM_OK)
        return r;
    elsewhere = row == NULL ? "which is gone" : mdm_enrollment_elsewhere(world, row);
    if (elsewhere != NULL)
        return mdm_result_make(p, MDM_MSG_SCEP_SIGNER,
                               "the signer with serial number %s is of enrollment %s, %s",
                               recorded->serial, recorded->enrollment, elsewhere);
    if (mdm_enrollment_is_ended(row))
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_REVOKED,
                               "enrollment %s of the signer with serial number %s was ended by an "
                               "administrator",
                               row->id, recorded->serial);
    if (row->state != MDM_STATE_DELIVERED)
        return mdm_result_make(
            p, MDM_MSG_ENROLLMENT_STATE,
            "enrollment %s of the signer with serial number %s is \"%s\", wanted "
            "is \"%s\"",
            row->id, recorded->serial, mdm_state_name(row->state),
            mdm_state_name(MDM_STATE_DELIVERED));
    *member = (mdm_scep_member_t){recorded, row};
    return mdm_result_ok();
}
