/* SPDX-License-Identifier: Apache-2.0
 * Payloads and profiles, from settings. Keys and types are those of Apple's schemas. Depends on
 * mdm_credential, mdm_plist, mdm_schema, mdm_system, mdm_template, mdm_uuid, mdm_x509 and the
 * random source of
 * mdm_enrollment.
 */
#include "mdm_profile.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "mdm_system.h"
#include "mdm_uuid.h"

/* All rights of com.apple.mdm. */
#define ACCESS_RIGHTS_ALL 8191

/* Hexadecimal digits of a certificate's fingerprint that its PayloadIdentifier ends with. */
#define IDENTIFIER_DIGITS 16

static mdm_result_t no_profile(apr_pool_t *p, const char *why)
{
    return mdm_result_make(p, MDM_MSG_PROFILE, "the profile cannot be made: %s", why);
}

mdm_plist_t *mdm_profile_common(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                const char *type, const char *suffix, const char *uuid,
                                const char *display_name, const char *description)
{
    mdm_plist_t *dict = mdm_plist_dict(p);

    mdm_plist_set_string(dict, "PayloadType", type);
    mdm_plist_set_integer(dict, "PayloadVersion", 1);
    mdm_plist_set_string(
        dict, "PayloadIdentifier",
        mdm_template_identifier(settings->template, type,
                                apr_pstrcat(p, settings->identifier, suffix, NULL)));
    mdm_plist_set_string(dict, "PayloadUUID", mdm_template_uuid(settings->template, type, uuid));
    mdm_plist_set_string(dict, "PayloadDisplayName", display_name);
    mdm_plist_set_string(dict, "PayloadDescription", description);
    mdm_plist_set_string(dict, "PayloadOrganization", settings->organization);
    return dict;
}

static mdm_schema_target_t target_of(const mdm_world_t *world, const mdm_enrollment_t *row)
{
    return (mdm_schema_target_t){.system = mdm_system_of(row->product, row->os_version),
                                 .texts = world->texts,
                                 .row = row,
                                 .now = world->now(world->context)};
}

static mdm_result_t to_xml(apr_pool_t *p, const mdm_plist_t *node, const char **xml,
                           apr_size_t *len)
{
    apr_size_t size;
    const char *text = mdm_plist_to_xml(p, node, &size);

    if (text == NULL)
        return no_profile(p, "out of memory");
    *xml = text;
    *len = size;
    return mdm_result_ok();
}

/* The settings whose key begins with prefix, or those whose key does not. */
static const apr_array_header_t *pick(apr_pool_t *p, const apr_array_header_t *settings,
                                      const char *prefix, int with)
{
    apr_array_header_t *picked = apr_array_make(p, 8, sizeof(mdm_setting_t *));

    for (int i = 0; settings != NULL && i < settings->nelts; i++) {
        mdm_setting_t *s = APR_ARRAY_IDX(settings, i, mdm_setting_t *);
        if ((strncmp(s->key, prefix, strlen(prefix)) == 0) == with)
            APR_ARRAY_PUSH(picked, mdm_setting_t *) = s;
    }
    return picked;
}

mdm_result_t mdm_profile_service(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                 const mdm_world_t *world, const mdm_enrollment_t *row,
                                 const char *device_url, const char *challenge, const char **xml,
                                 apr_size_t *len)
{
    const mdm_schema_target_t target = target_of(world, row);
    const char *uuid = mdm_random_uuid(p, world);
    mdm_plist_t *profile, *content, *attributes;
    mdm_result_t r;

    if (uuid == NULL)
        return mdm_random_failed(p);
    profile = mdm_profile_common(
        p, settings, "Profile Service", ".profile-service", uuid,
        apr_pstrcat(p, settings->organization, " device enrollment", NULL),
        apr_pstrcat(p, "Enrolls this device with ", settings->organization, ".", NULL));
    r = mdm_schema_apply(p, profile, settings->profile_service, &target);
    if (r.kind != MDM_OK)
        return r;
    content = mdm_plist_dict(p);
    mdm_plist_set_string(content, "URL", device_url);
    attributes = mdm_plist_array(p);
    for (int i = 0; i < settings->device_attributes->nelts; i++)
        mdm_plist_append_string(attributes,
                                APR_ARRAY_IDX(settings->device_attributes, i, const char *));
    mdm_plist_set(content, "DeviceAttributes", attributes);
    mdm_plist_set_string(content, "Challenge", challenge);
    mdm_plist_set(profile, "PayloadContent", content);
    return to_xml(p, profile, xml, len);
}

/* A Mac installs what nobody else scoped for the user who is logged in, where MDM finds neither
 * identity nor payload. */
static void set_scope(mdm_plist_t *profile, const mdm_schema_target_t *target)
{
    if (target->system.platform == MDM_PLATFORM_MACOS &&
        mdm_schema_knows_key("Configuration", "PayloadScope", target->system))
        mdm_plist_set_string(profile, "PayloadScope", "System");
}

mdm_result_t mdm_profile_identity(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                  const mdm_world_t *world, const mdm_enrollment_t *row,
                                  const mdm_credential_t *identity, const char **xml,
                                  apr_size_t *len)
{
    const mdm_schema_target_t target = target_of(world, row);
    const char *uuid = mdm_random_uuid(p, world), *identity_uuid = mdm_random_uuid(p, world);
    mdm_plist_t *profile, *content;
    mdm_result_t r;

    if (uuid == NULL || identity_uuid == NULL)
        return mdm_random_failed(p);
    profile = mdm_profile_common(p, settings, "Configuration", ".identity", uuid,
                                 apr_pstrcat(p, settings->organization, " device identity", NULL),
                                 apr_pstrcat(p, "Identifies this device to ",
                                             settings->organization, " for its enrollment.", NULL));
    set_scope(profile, &target);
    r = mdm_schema_apply(p, profile, pick(p, settings->configuration, "PayloadScope", 1), &target);
    /* Exactly one payload, and one that yields an identity, or the device refuses the profile. */
    content = mdm_plist_array(p);
    if (r.kind == MDM_OK)
        r = mdm_credential_append(p, settings, &target, identity_uuid, identity, content);
    if (r.kind != MDM_OK)
        return r;
    mdm_plist_set(profile, "PayloadContent", content);
    return to_xml(p, profile, xml, len);
}

mdm_result_t mdm_profile_add_certificate(apr_pool_t *p, apr_array_header_t *certificates,
                                         X509 *cert, const char **uuid)
{
    const char *fingerprint = mdm_x509_fingerprint(p, cert);
    mdm_profile_certificate_t made;

    if (fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    *uuid = mdm_uuid_of(p, fingerprint);
    for (int i = 0; i < certificates->nelts; i++)
        if (strcmp(APR_ARRAY_IDX(certificates, i, mdm_profile_certificate_t).uuid, *uuid) == 0)
            return mdm_result_ok();
    made.root = mdm_x509_self_signed(cert);
    made.suffix = apr_psprintf(p, ".certificate.%.*s", IDENTIFIER_DIGITS, fingerprint);
    made.uuid = *uuid;
    made.name = mdm_x509_subject(p, cert);
    made.der = mdm_x509_encode(p, cert, &made.der_len);
    if (made.der == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "%s cannot be encoded: %s", made.name,
                               mdm_openssl_reason(p));
    APR_ARRAY_PUSH(certificates, mdm_profile_certificate_t) = made;
    return mdm_result_ok();
}

static mdm_result_t append_certificates(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                        const mdm_schema_target_t *target, mdm_plist_t *payloads)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; settings->certificates != NULL && i < settings->certificates->nelts; i++) {
        const mdm_profile_certificate_t *cert =
            &APR_ARRAY_IDX(settings->certificates, i, mdm_profile_certificate_t);
        mdm_plist_t *payload = mdm_profile_common(
            p, settings, cert->root ? "com.apple.security.root" : "com.apple.security.pkcs1",
            cert->suffix, cert->uuid, cert->name,
            cert->root ? "A root certificate." : "An intermediate certificate.");

        r = mdm_schema_apply(p, payload, cert->root ? settings->root : settings->pkcs1, target);
        if (r.kind != MDM_OK)
            return r;
        mdm_plist_set_data(payload, "PayloadContent", cert->der, cert->der_len);
        mdm_plist_append(payloads, payload);
    }
    return r;
}

/* Apple: "must be present when managing … macOS devices"; the capability cannot come later. */
static void set_capabilities(apr_pool_t *p, mdm_plist_t *payload, const mdm_profile_settings_t *s,
                             const mdm_schema_target_t *target)
{
    mdm_plist_t *capabilities;

    if (target->system.platform != MDM_PLATFORM_MACOS ||
        mdm_schema_find(s->mdm, "ServerCapabilities") != NULL)
        return;
    capabilities = mdm_plist_array(p);
    mdm_plist_append_string(capabilities, "com.apple.mdm.per-user-connections");
    mdm_plist_set(payload, "ServerCapabilities", capabilities);
}

/* A device cancels an enrollment in mode BYOD that names rights. */
static mdm_result_t set_rights(apr_pool_t *p, mdm_plist_t *payload, const mdm_profile_settings_t *s,
                               const mdm_schema_target_t *target)
{
    const char *mode = mdm_plist_string(mdm_plist_get(payload, "EnrollmentMode"));

    if (mode != NULL && strcmp(mode, "BYOD") == 0)
        return mdm_result_ok();
    mdm_plist_set_integer(payload, "AccessRights", ACCESS_RIGHTS_ALL);
    return mdm_schema_apply(p, payload, pick(p, s->mdm, "AccessRights", 1), target);
}

static mdm_result_t append_mdm(apr_pool_t *p, const mdm_profile_settings_t *settings,
                               const mdm_schema_target_t *target, const char *uuid,
                               const char *identity_uuid, mdm_plist_t *payloads)
{
    mdm_plist_t *payload = mdm_profile_common(
        p, settings, "com.apple.mdm", ".mdm", uuid,
        apr_pstrcat(p, settings->organization, " device management", NULL),
        apr_pstrcat(p, "Lets ", settings->organization, " manage this device.", NULL));
    const char *server = NULL, *checkin = NULL;
    mdm_result_t r;

    r = mdm_schema_apply(p, payload, pick(p, settings->mdm, "AccessRights", 0), target);
    if (r.kind == MDM_OK)
        r = set_rights(p, payload, settings, target);
    if (r.kind == MDM_OK)
        r = mdm_schema_url(p, settings->server_url, target, &server);
    if (r.kind == MDM_OK && settings->checkin_url != NULL)
        r = mdm_schema_url(p, settings->checkin_url, target, &checkin);
    if (r.kind != MDM_OK)
        return r;
    set_capabilities(p, payload, settings, target);
    mdm_plist_set_string(payload, "IdentityCertificateUUID", identity_uuid);
    mdm_plist_set_string(payload, "Topic", settings->topic);
    mdm_plist_set_string(payload, "ServerURL", server);
    if (checkin != NULL)
        mdm_plist_set_string(payload, "CheckInURL", checkin);
    mdm_plist_append(payloads, payload);
    return r;
}

/* The UUID of what was appended last, which a template may have given it. */
static const char *last_uuid(const mdm_plist_t *payloads)
{
    return mdm_plist_string(
        mdm_plist_get(mdm_plist_item(payloads, mdm_plist_size(payloads) - 1), "PayloadUUID"));
}

/* The payloads of the final profile. */
static mdm_result_t make_payloads(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                  const mdm_world_t *world, const mdm_schema_target_t *target,
                                  const mdm_credential_t *identity, mdm_plist_t **payloads)
{
    const char *uuid = mdm_random_uuid(p, world), *identity_uuid = mdm_random_uuid(p, world);
    mdm_plist_t *made;
    mdm_result_t r;

    if (uuid == NULL || identity_uuid == NULL)
        return mdm_random_failed(p);
    made = mdm_plist_array(p);
    r = append_certificates(p, settings, target, made);
    if (r.kind == MDM_OK)
        r = mdm_credential_append(p, settings, target, identity_uuid, identity, made);
    if (r.kind == MDM_OK)
        r = append_mdm(p, settings, target, uuid, last_uuid(made), made);
    if (r.kind == MDM_OK)
        r = mdm_template_append(p, settings->template, settings->identifier, target, made);
    if (r.kind == MDM_OK)
        *payloads = made;
    return r;
}

/* The final profile, still without its payloads. */
static mdm_result_t make_outside(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                 const mdm_world_t *world, const mdm_schema_target_t *target,
                                 mdm_plist_t **profile)
{
    const char *uuid = mdm_random_uuid(p, world);
    mdm_plist_t *made;
    mdm_result_t r;

    if (uuid == NULL)
        return mdm_random_failed(p);
    made = mdm_profile_common(
        p, settings, "Configuration", "", uuid,
        apr_pstrcat(p, settings->organization, " device management", NULL),
        apr_pstrcat(p, "Enrolls this device with ", settings->organization, ".", NULL));
    set_scope(made, target);
    r = mdm_schema_apply(p, made, settings->configuration, target);
    if (r.kind == MDM_OK)
        *profile = made;
    return r;
}

mdm_result_t mdm_profile_payloads(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                  const mdm_world_t *world, const mdm_enrollment_t *row,
                                  const mdm_credential_t *identity, const char **xml,
                                  apr_size_t *len)
{
    const mdm_schema_target_t target = target_of(world, row);
    mdm_plist_t *payloads;
    mdm_result_t r = make_payloads(p, settings, world, &target, identity, &payloads);

    if (r.kind != MDM_OK)
        return r;
    r = to_xml(p, payloads, xml, len);
    mdm_credential_wipe(payloads);
    return r;
}

mdm_result_t mdm_profile_mdm(apr_pool_t *p, const mdm_profile_settings_t *settings,
                             const mdm_world_t *world, const mdm_enrollment_t *row,
                             const mdm_plist_t **payload)
{
    const mdm_schema_target_t target = target_of(world, row);
    mdm_plist_t *payloads = mdm_plist_array(p);
    mdm_result_t r = append_mdm(p, settings, &target, "", "", payloads);

    if (r.kind == MDM_OK)
        *payload = mdm_plist_item(payloads, 0);
    return r;
}

mdm_result_t mdm_profile_enrollment(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                    const mdm_world_t *world, const mdm_enrollment_t *row,
                                    const unsigned char *encrypted, apr_size_t encrypted_len,
                                    const char **xml, apr_size_t *len)
{
    const mdm_schema_target_t target = target_of(world, row);
    mdm_plist_t *profile;
    mdm_result_t r = make_outside(p, settings, world, &target, &profile);

    if (r.kind != MDM_OK)
        return r;
    mdm_plist_set_data(profile, "EncryptedPayloadContent", encrypted, encrypted_len);
    return to_xml(p, profile, xml, len);
}

mdm_result_t mdm_profile_direct(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                const mdm_world_t *world, const mdm_enrollment_t *row,
                                const mdm_credential_t *identity, const char **xml, apr_size_t *len)
{
    const mdm_schema_target_t target = target_of(world, row);
    mdm_plist_t *profile, *payloads;
    mdm_result_t r = make_outside(p, settings, world, &target, &profile);

    if (r.kind == MDM_OK)
        r = make_payloads(p, settings, world, &target, identity, &payloads);
    if (r.kind != MDM_OK)
        return r;
    mdm_plist_set(profile, "PayloadContent", payloads);
    return to_xml(p, profile, xml, len);
}

mdm_result_t mdm_profile_trust(apr_pool_t *p, const mdm_profile_settings_t *settings,
                               const mdm_world_t *world, const char **xml, apr_size_t *len)
{
    static const mdm_enrollment_t nobody = {.id = "",
                                            .flow = "",
                                            .user = "",
                                            .udid = "",
                                            .serial = "",
                                            .product = "",
                                            .os_version = ""};
    const mdm_schema_target_t target = target_of(world, &nobody);
    const char *uuid = mdm_random_uuid(p, world);
    mdm_plist_t *profile, *payloads;
    mdm_result_t r;

    if (uuid == NULL)
        return mdm_random_failed(p);
    profile = mdm_profile_common(p, settings, "Configuration", ".trust", uuid,
                                 apr_pstrcat(p, settings->organization, " certificates", NULL),
                                 apr_pstrcat(p, "Lets this device trust the servers of ",
                                             settings->organization, ".", NULL));
    payloads = mdm_plist_array(p);
    r = append_certificates(p, settings, &target, payloads);
    if (r.kind != MDM_OK)
        return r;
    mdm_plist_set(profile, "PayloadContent", payloads);
    return to_xml(p, profile, xml, len);
}
