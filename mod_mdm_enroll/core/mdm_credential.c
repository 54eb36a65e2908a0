/* SPDX-License-Identifier: Apache-2.0
 * The payloads that give a device an identity. Keys and types are those of Apple's schemas. Depends
 * on mdm_plist, mdm_profile, mdm_schema.
 */
#include "mdm_credential.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_enrollment.h"
#include "mdm_profile.h"

/* X.520 serialNumber, for which Apple's Subject has no short name. */
#define OID_SERIAL_NUMBER "2.5.4.5"

#define OID_CLIENT_AUTH "1.3.6.1.5.5.7.3.2"

/* One relative distinguished name of a Subject: [["CN", "x"]]. */
static void append_rdn(apr_pool_t *p, mdm_plist_t *subject, const char *type, const char *value)
{
    mdm_plist_t *pair = mdm_plist_array(p), *rdn = mdm_plist_array(p);

    if (value == NULL || value[0] == '\0')
        return;
    mdm_plist_append_string(pair, type);
    mdm_plist_append_string(pair, value);
    mdm_plist_append(rdn, pair);
    mdm_plist_append(subject, rdn);
}

/* The module's own, which the settings may replace. */
static mdm_plist_t *make_subject(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                 const mdm_enrollment_t *row, const mdm_credential_t *credential)
{
    mdm_plist_t *subject = mdm_plist_array(p);

    append_rdn(p, subject, "O", settings->organization);
    append_rdn(p, subject, "OU", credential->unit);
    append_rdn(p, subject, "CN",
               credential->common_name != NULL ? credential->common_name
                                               : mdm_enrollment_device(row));
    append_rdn(p, subject, OID_SERIAL_NUMBER, credential->serial);
    return subject;
}

/* What the settings' Subject may not leave out. */
static void complete_subject(apr_pool_t *p, const apr_array_header_t *settings,
                             const mdm_credential_t *credential, mdm_plist_t *content)
{
    mdm_plist_t *subject = mdm_plist_get(content, "Subject");

    if (!credential->unit_needed || mdm_schema_find(settings, "Subject") == NULL)
        return;
    append_rdn(p, subject, "OU", credential->unit);
    append_rdn(p, subject, "CN", credential->common_name);
}

/* The settings whose key begins with "Payload", or those whose key does not. */
static const apr_array_header_t *pick(apr_pool_t *p, const apr_array_header_t *settings, int with)
{
    apr_array_header_t *picked = apr_array_make(p, 8, sizeof(mdm_setting_t *));
    static const char prefix[] = "Payload";

    for (int i = 0; settings != NULL && i < settings->nelts; i++) {
        mdm_setting_t *s = APR_ARRAY_IDX(settings, i, mdm_setting_t *);
        if ((strncmp(s->key, prefix, sizeof(prefix) - 1) == 0) == with)
            APR_ARRAY_PUSH(picked, mdm_setting_t *) = s;
    }
    return picked;
}

static mdm_plist_t *common(apr_pool_t *p, const mdm_profile_settings_t *settings, const char *type,
                           const char *suffix, const char *uuid)
{
    return mdm_profile_common(
        p, settings, type, suffix, uuid,
        apr_pstrcat(p, settings->organization, " device identity", NULL),
        apr_pstrcat(p, "Gets this device its certificate of ", settings->organization, ".", NULL));
}

static mdm_result_t scep_content(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                 const mdm_schema_target_t *target,
                                 const mdm_credential_t *credential, mdm_plist_t *content)
{
    static const char type[] = "com.apple.security.scep";
    const mdm_credential_scep_t *scep = &credential->scep;
    mdm_result_t r;

    mdm_plist_set(content, "Subject", make_subject(p, settings, target->row, credential));
    mdm_plist_set_integer(content, "Keysize", 2048);
    if (mdm_schema_knows_key(type, "Key Usage", target->system))
        mdm_plist_set_integer(content, "Key Usage", 5); /* signs, and is encrypted to */
    if (mdm_schema_knows_key(type, "KeyIsExtractable", target->system))
        mdm_plist_set_boolean(content, "KeyIsExtractable", 0);
    r = mdm_schema_apply(p, content, pick(p, settings->scep, 0), target);
    if (r.kind != MDM_OK)
        return r;
    complete_subject(p, settings->scep, credential, content);
    mdm_plist_set_string(content, "URL", scep->url);
    if (scep->name != NULL)
        mdm_plist_set_string(content, "Name", scep->name);
    if (scep->fingerprint != NULL)
        mdm_plist_set_data(content, "CAFingerprint", scep->fingerprint, scep->fingerprint_len);
    if (scep->challenge != NULL)
        mdm_plist_set_string(content, "Challenge", scep->challenge);
    mdm_plist_set_string(content, "Key Type", "RSA");
    return r;
}

static mdm_result_t append_scep(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                const mdm_schema_target_t *target, const char *uuid,
                                const mdm_credential_t *credential, mdm_plist_t *payloads)
{
    mdm_plist_t *payload = common(p, settings, "com.apple.security.scep", ".scep", uuid);
    mdm_plist_t *content = mdm_plist_dict(p);
    mdm_result_t r;

    /* Keys that begin with "Payload" are the payload's, all others are of its content. */
    r = mdm_schema_apply(p, payload, pick(p, settings->scep, 1), target);
    if (r.kind == MDM_OK)
        r = scep_content(p, settings, target, credential, content);
    if (r.kind != MDM_OK)
        return r;
    mdm_plist_set(payload, "PayloadContent", content);
    mdm_plist_append(payloads, payload);
    return r;
}

static mdm_result_t append_acme(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                const mdm_schema_target_t *target, const char *uuid,
                                const mdm_credential_t *credential, mdm_plist_t *payloads)
{
    static const char type[] = "com.apple.security.acme";
    const mdm_credential_acme_t *acme = &credential->acme;
    mdm_plist_t *payload = common(p, settings, type, ".acme", uuid);
    mdm_plist_t *usages = mdm_plist_array(p);
    mdm_result_t r;

    mdm_plist_set(payload, "Subject", make_subject(p, settings, target->row, credential));
    mdm_plist_set_integer(payload, "UsageFlags", acme->rsa ? 5 : 1); /* EC keys only sign */
    mdm_plist_append_string(usages, OID_CLIENT_AUTH);
    mdm_plist_set(payload, "ExtendedKeyUsage", usages);
    if (mdm_schema_knows_key(type, "KeyIsExtractable", target->system))
        mdm_plist_set_boolean(payload, "KeyIsExtractable", 0);
    r = mdm_schema_apply(p, payload, settings->acme, target);
    if (r.kind != MDM_OK)
        return r;
    complete_subject(p, settings->acme, credential, payload);
    mdm_plist_set_string(payload, "DirectoryURL", acme->directory_url);
    mdm_plist_set_string(payload, "ClientIdentifier", acme->client_identifier);
    mdm_plist_set_string(payload, "KeyType", acme->rsa ? "RSA" : "ECSECPrimeRandom");
    mdm_plist_set_integer(payload, "KeySize", (apr_uint64_t)acme->size);
    mdm_plist_set_boolean(payload, "HardwareBound", acme->hardware_bound);
    if (mdm_schema_knows_key(type, "Attest", target->system))
        mdm_plist_set_boolean(payload, "Attest", acme->attest);
    mdm_plist_append(payloads, payload);
    return r;
}

static mdm_result_t append_pkcs12(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                  const mdm_schema_target_t *target, const char *uuid,
                                  const mdm_credential_t *credential, mdm_plist_t *payloads)
{
    static const char type[] = "com.apple.security.pkcs12";
    const mdm_credential_pkcs12_t *pkcs12 = &credential->pkcs12;
    mdm_plist_t *payload = common(p, settings, type, ".pkcs12", uuid);
    mdm_result_t r;

    if (mdm_schema_knows_key(type, "KeyIsExtractable", target->system))
        mdm_plist_set_boolean(payload, "KeyIsExtractable", 0);
    mdm_plist_set_string(payload, "PayloadCertificateFileName", pkcs12->file_name);
    r = mdm_schema_apply(p, payload, settings->pkcs12, target);
    if (r.kind != MDM_OK)
        return r;
    mdm_plist_set_data(payload, "PayloadContent", pkcs12->der, pkcs12->der_len);
    mdm_plist_set_string(payload, "Password", pkcs12->password);
    mdm_plist_append(payloads, payload);
    return r;
}

mdm_result_t mdm_credential_append(apr_pool_t *p, const mdm_profile_settings_t *settings,
                                   const mdm_schema_target_t *target, const char *uuid,
                                   const mdm_credential_t *credential, mdm_plist_t *payloads)
{
    switch (credential->kind) {
    case MDM_CREDENTIAL_ACME:
        return append_acme(p, settings, target, uuid, credential, payloads);
    case MDM_CREDENTIAL_PKCS12:
        return append_pkcs12(p, settings, target, uuid, credential, payloads);
    default:
        return append_scep(p, settings, target, uuid, credential, payloads);
    }
}

void mdm_credential_wipe(const mdm_plist_t *payloads)
{
    for (apr_size_t i = 0; i < mdm_plist_size(payloads); i++)
        mdm_plist_wipe_string(mdm_plist_item(payloads, i), "Password");
}
