/* SPDX-License-Identifier: Apache-2.0
 * Payloads and profiles, from settings. Pure: no store, no signature. Depends on
 * mdm_credential, mdm_schema, mdm_template, mdm_x509, mdm_enrollment.
 */
#ifndef MDM_PROFILE_H
#define MDM_PROFILE_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_credential.h"
#include "mdm_enrollment.h"
#include "mdm_plist.h"
#include "mdm_schema.h"
#include "mdm_template.h"
#include "mdm_x509.h"

/* A payload of the final profile that is the same for all devices. */
typedef struct mdm_profile_certificate_t {
    int root;           /* self-signed */
    const char *suffix; /* of PayloadIdentifier */
    const char *uuid;
    const char *name;
    const unsigned char *der;
    apr_size_t der_len;
} mdm_profile_certificate_t;

/* What a site says about its profiles. Filled once at start, read-only afterwards. */
typedef struct mdm_profile_settings_t {
    const char *organization; /* PayloadOrganization, and O of identities; required */
    const char *identifier;   /* top-level PayloadIdentifier of the enrollment profile; required */
    /* ServerURL, required, and CheckInURL, or NULL: of mdm_schema_url_text() */
    const mdm_text_t *server_url;
    const mdm_text_t *checkin_url;
    const char *topic; /* Topic; required */
    /* const char *: DeviceAttributes; UDID and SERIAL are among them */
    const apr_array_header_t *device_attributes;
    /* mdm_profile_certificate_t: roots and intermediates for the final profile, or NULL */
    const apr_array_header_t *certificates;
    /* Arrays of mdm_setting_t *, or NULL: */
    const apr_array_header_t *configuration; /* top level */
    const apr_array_header_t *profile_service;
    const apr_array_header_t *mdm;
    const apr_array_header_t *scep;
    const apr_array_header_t *acme;
    const apr_array_header_t *pkcs12;
    const apr_array_header_t *root;  /* of every root certificate */
    const apr_array_header_t *pkcs1; /* of every other certificate */
    /* Made by mdm_profile_with_template(), which has put its settings into the above; or NULL */
    const mdm_template_t *template;
    /* mdm_profile_choice_t: which settings are taken instead (mdm_profile_choose), or NULL */
    const apr_array_header_t *choices;
} mdm_profile_settings_t;

/* Settings for some users and devices. */
typedef struct mdm_profile_choice_t {
    const char *name;      /* for messages */
    const void *condition; /* of mdm_world_t.conditions; NULL: for everybody */
    const mdm_profile_settings_t *settings;
} mdm_profile_choice_t;

/* The keys that every profile and every payload has (CommonPayloadKeys); suffix is what its
 * PayloadIdentifier has behind the settings'. A root in p. */
mdm_plist_t *mdm_profile_common(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                const char *type, const char *suffix, const char *uuid,
                                const char *display_name, const char *description);

/* All of these return XML (mdm_plist_to_xml) in p, or MDM_MSG_PROFILE / MDM_MSG_RANDOM /
 * MDM_MSG_TEXT. Values are those of row; keys that its device's system does not know are left out
 * (mdm_schema_apply). */

/* Phase 1: the Profile Service profile: URL, DeviceAttributes, Challenge. Of row there is only the
 * user yet. Its PayloadIdentifier is the settings' with ".profile-service" behind it. */
mdm_result_t mdm_profile_service(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                 const mdm_world_t *world, const mdm_enrollment_t *row,
                                 const char *device_url, const char *challenge, const char **xml,
                                 apr_size_t *len);

/* Phase 2: a Configuration with exactly one payload, that of the identity that signs phase 3. Its
 * PayloadIdentifier is the settings' with ".identity" behind it; its PayloadScope that of the
 * enrollment profile. */
mdm_result_t mdm_profile_identity(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                  const mdm_world_t *world, const mdm_enrollment_t *row,
                                  const mdm_credential_t *identity, const char **xml,
                                  apr_size_t *len);

/* Phase 3, to be encrypted: the array of payloads: root and intermediate certificates
 * (com.apple.security.root for self-signed ones, com.apple.security.pkcs1 for the others),
 * that of the MDM identity, com.apple.mdm with IdentityCertificateUUID pointing at it. AccessRights
 * is 8191 unless set, or absent with EnrollmentMode BYOD; for a Mac, ServerCapabilities has
 * com.apple.mdm.per-user-connections unless it is set. */
mdm_result_t mdm_profile_payloads(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                  const mdm_world_t *world, const mdm_enrollment_t *row,
                                  const mdm_credential_t *identity, const char **xml,
                                  apr_size_t *len);

/* The payload com.apple.mdm of it alone, without UUIDs, before there is an identity. MDM_MSG_TEXT.
 */
mdm_result_t mdm_profile_mdm(apr_pool_t *p, const mdm_profile_settings_t *settings,
                             const struct mdm_world_t *world, const struct mdm_enrollment_t *row,
                             const mdm_plist_t **payload);

/* Phase 3, the outside: Configuration with EncryptedPayloadContent. For a Mac, PayloadScope is
 * System unless it is set. */
mdm_result_t mdm_profile_enrollment(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                    const mdm_world_t *world, const mdm_enrollment_t *row,
                                    const unsigned char *encrypted, apr_size_t encrypted_len,
                                    const char **xml, apr_size_t *len);

/* The same profile for a device that nobody has seen yet: not encrypted, there is no key to encrypt
 * it to. */
mdm_result_t mdm_profile_direct(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                const mdm_world_t *world, const mdm_enrollment_t *row,
                                const mdm_credential_t *identity, const char **xml,
                                apr_size_t *len);

/* For devices that do not trust the site's TLS certificate yet: a Configuration with nothing but
 * the certificates, of which there must be some. Nobody is known yet: expressions are evaluated
 * for a row of empty strings. Its PayloadIdentifier is the settings' with ".trust" behind it. */
mdm_result_t mdm_profile_trust(apr_pool_t *p, const mdm_profile_settings_t *settings,
                               const mdm_world_t *world, const char **xml, apr_size_t *len);

/* Append a certificate to an array of mdm_profile_certificate_t, unless it is there already: two
 * payloads of one UUID spoil a profile. *uuid is its PayloadUUID, made from the certificate, so
 * that it is the same in every profile and ServerURLPinningCertificateUUIDs can name it. Upper
 * case; all allocated in p. MDM_MSG_CRYPTO. */
mdm_result_t mdm_profile_add_certificate(apr_pool_t *p, apr_array_header_t *certificates,
                                         X509 *cert, const char **uuid);

#endif
