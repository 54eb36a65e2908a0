/* SPDX-License-Identifier: Apache-2.0
 * Devices that come with their MDM identity. Depends on mdm_x509 (fingerprints).
 */
#include "mdm_sighting.h"

#include <string.h>

#include "mdm_x509.h"

static mdm_result_t check_issuer(apr_pool_t *p, const mdm_trust_t *trust, const mdm_world_t *world,
                                 X509 *cert)
{
    mdm_issuer_t issuer;
    mdm_result_t r = mdm_trust_judge(trust, p, cert, world->now(world->context), &issuer);

    if (r.kind == MDM_FAULT)
        return r;
    if (r.kind != MDM_OK)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED, "%s", r.log);
    if (issuer == MDM_ISSUER_DEVICE_CA)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "certificate %s is a device's built-in identity, wanted is its MDM "
                               "identity",
                               mdm_x509_fingerprint(p, cert));
    return r;
}

static mdm_result_t check_certificate(apr_pool_t *p, const mdm_certificate_t *certificate)
{
    if (certificate->purpose != MDM_PURPOSE_MDM)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "certificate %s of enrollment %s is for \"%s\", wanted is one for "
                               "\"%s\"",
                               certificate->serial, certificate->enrollment,
                               mdm_purpose_name(certificate->purpose),
                               mdm_purpose_name(MDM_PURPOSE_MDM));
    if (certificate->revoked_at != 0)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "certificate %s of enrollment %s was revoked%s", certificate->serial,
                               certificate->enrollment,
                               certificate->revocation_reason == MDM_REVOCATION_SUPERSEDED
                                   ? ": another one took its place"
                                   : "");
    return mdm_result_ok();
}

static mdm_result_t check_row(apr_pool_t *p, const mdm_world_t *world, const mdm_sighting_t *seen)
{
    const mdm_enrollment_t *row = &seen->row;

    if (strcmp(row->site, world->site) != 0)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "certificate %s is of enrollment %s, which belongs to another site",
                               seen->certificate.serial, row->id);
    if (mdm_enrollment_is_ended(row))
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "enrollment %s of certificate %s was ended by an administrator",
                               row->id, seen->certificate.serial);
    if (row->state != MDM_STATE_DELIVERED)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "enrollment %s of certificate %s is \"%s\", wanted is \"%s\"",
                               row->id, seen->certificate.serial, mdm_state_name(row->state),
                               mdm_state_name(MDM_STATE_DELIVERED));
    return mdm_result_ok();
}

mdm_result_t mdm_sighting_find(apr_pool_t *p, const mdm_trust_t *trust, const mdm_world_t *world,
                               X509 *cert, mdm_sighting_t **sighting)
{
    const mdm_store_t *store = world->store;
    mdm_sighting_t *seen = NULL;
    const char *fingerprint;
    /* First what costs the store nothing: anybody can have a certificate of some other CA. */
    mdm_result_t r = check_issuer(p, trust, world, cert);

    if (r.kind != MDM_OK)
        return r;
    fingerprint = mdm_x509_fingerprint(p, cert);
    if (fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    r = store->sighting_get(store->context, p, fingerprint, &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen == NULL)
        return mdm_result_make(p, MDM_MSG_DEVICE_REFUSED,
                               "no record of the certificate with fingerprint %s", fingerprint);
    r = check_certificate(p, &seen->certificate);
    if (r.kind == MDM_OK)
        r = check_row(p, world, seen);
    if (r.kind == MDM_OK)
        *sighting = seen;
    return r;
}

mdm_result_t mdm_sighting_settle(apr_pool_t *p, const mdm_world_t *world,
                                 const mdm_sighting_t *sighting, int *ended)
{
    const mdm_store_t *store = world->store;

    if (!sighting->has_older) {
        *ended = 0;
        return mdm_result_ok();
    }
    return store->certificate_end_older(store->context, p, &sighting->certificate,
                                        world->now(world->context), ended);
}
