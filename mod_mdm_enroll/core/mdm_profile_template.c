/* SPDX-License-Identifier: Apache-2.0
 * Templates over the settings of a site. Depends on mdm_profile, mdm_template.
 */
#include "mdm_profile_template.h"

#include <string.h>

#include <apr_strings.h>

/* --- the module's own keys --- */

typedef struct merge_t {
    apr_pool_t *p;
    const mdm_profile_settings_t *base;
    const mdm_profile_identity_t *identity;
    const mdm_template_t *template;
    apr_int64_t now;
} merge_t;

static int is_identity(const char *type)
{
    return strcmp(type, "com.apple.security.scep") == 0 ||
           strcmp(type, "com.apple.security.acme") == 0 ||
           strcmp(type, "com.apple.security.pkcs12") == 0;
}

static int may_be_identity(const merge_t *merge, const char *type)
{
    for (const char *const *one = merge->identity->types; *one != NULL; one++)
        if (strcmp(*one, type) == 0)
            return 1;
    return 0;
}

/* The PayloadUUID that the template gives the identity; NULL if none. */
static const char *identity_uuid(const merge_t *merge)
{
    const char *uuid = NULL;

    for (const char *const *one = merge->identity->types; *one != NULL && uuid == NULL; one++)
        uuid = mdm_template_uuid(merge->template, *one, NULL);
    return uuid;
}

static const char *fingerprint(const merge_t *merge)
{
    char *hex;

    if (merge->identity->fingerprint == NULL)
        return NULL;
    hex = apr_palloc(merge->p, 2 * merge->identity->fingerprint_len + 1);
    for (apr_size_t i = 0; i < merge->identity->fingerprint_len; i++)
        apr_snprintf(hex + 2 * i, 3, "%02x", merge->identity->fingerprint[i]);
    return hex;
}

/* What the module puts for a key, or NULL if it puts nothing that is known now; and where that is
 * said. */
static const char *own_value(const merge_t *merge, const char *key, const char **remedy)
{
    const mdm_profile_settings_t *base = merge->base;

    if (strcmp(key, "PayloadIdentifier") == 0) {
        *remedy = "use MDMEnrollIdentifier";
        return base->identifier;
    }
    if (strcmp(key, "Topic") == 0) {
        *remedy = "use MDMEnrollTopic";
        return base->topic;
    }
    if (strcmp(key, "ServerURL") == 0) {
        *remedy = "use MDMEnrollServer";
        return mdm_text_source(base->server_url);
    }
    if (strcmp(key, "CheckInURL") == 0) {
        *remedy = "use MDMEnrollServer";
        return base->checkin_url != NULL ? mdm_text_source(base->checkin_url) : NULL;
    }
    if (strcmp(key, "IdentityCertificateUUID") == 0) {
        *remedy = "the module points it to the identity";
        return identity_uuid(merge);
    }
    if (strcmp(key, "URL") == 0) {
        *remedy = "it is where MDMEnrollEndpoint scep is; or use MDMEnrollIdentity";
        return merge->identity->scep_url;
    }
    if (strcmp(key, "DirectoryURL") == 0) {
        *remedy = "use MDMEnrollIdentity";
        return merge->identity->directory_url;
    }
    if (strcmp(key, "CAFingerprint") == 0) {
        *remedy = "use ca-fingerprint= of MDMEnrollIdentity";
        return fingerprint(merge);
    }
    *remedy = "it is made for each device";
    return NULL;
}

/* A secret that somebody wrote into a template is not repeated. */
static int is_secret(const char *key)
{
    return strcmp(key, "Challenge") == 0 || strcmp(key, "ClientIdentifier") == 0;
}

static const char *check_owned(const merge_t *merge)
{
    const apr_array_header_t *owned = mdm_template_owned(merge->template);

    for (int i = 0; i < owned->nelts; i++) {
        const mdm_template_owned_t *one = &APR_ARRAY_IDX(owned, i, mdm_template_owned_t);
        const char *remedy, *own = own_value(merge, one->key, &remedy);

        if (own != NULL && strcmp(own, one->value) == 0)
            continue;
        return apr_psprintf(merge->p, "%s%s%s%s: wanted is no such key%s%s%s: %s", one->path,
                            is_secret(one->key) ? "" : " \"",
                            is_secret(one->key) ? "" : mdm_result_quote_text(merge->p, one->value),
                            is_secret(one->key) ? "" : "\"", own ? ", or \"" : "", own ? own : "",
                            own ? "\"" : "", remedy);
    }
    return NULL;
}

/* --- payloads beside the module's own --- */

/* Take a PayloadIdentifier; NULL or what is wrong. */
static const char *claim(const merge_t *merge, apr_array_header_t *taken, const char *identifier,
                         const mdm_template_payload_t *payload)
{
    for (int i = 0; i < taken->nelts; i++)
        if (strcmp(APR_ARRAY_IDX(taken, i, const char *), identifier) == 0)
            return apr_psprintf(merge->p,
                                "%s PayloadIdentifier \"%s\": another payload or the profile has "
                                "the same; wanted is one that is unique",
                                payload->path, identifier);
    APR_ARRAY_PUSH(taken, const char *) = identifier;
    return NULL;
}

/* Those that the module has given away. */
static apr_array_header_t *own_identifiers(const merge_t *merge)
{
    const mdm_profile_settings_t *base = merge->base;
    apr_array_header_t *taken = apr_array_make(merge->p, 16, sizeof(const char *));
    int i;

    APR_ARRAY_PUSH(taken, const char *) = base->identifier;
    for (i = 0; base->certificates != NULL && i < base->certificates->nelts; i++)
        APR_ARRAY_PUSH(taken, const char *) = apr_pstrcat(
            merge->p, base->identifier,
            APR_ARRAY_IDX(base->certificates, i, mdm_profile_certificate_t).suffix, NULL);
    return taken;
}

static const char *check_payloads(const merge_t *merge)
{
    static const char *const own[][2] = {{"com.apple.mdm", ".mdm"},
                                         {"com.apple.security.scep", ".scep"},
                                         {"com.apple.security.acme", ".acme"},
                                         {"com.apple.security.pkcs12", ".pkcs12"}};
    const apr_array_header_t *payloads = mdm_template_payloads(merge->template);
    apr_array_header_t *taken = own_identifiers(merge);
    const char *error = NULL;

    for (apr_size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (mdm_template_identifier(merge->template, own[i][0], NULL) == NULL)
            APR_ARRAY_PUSH(taken, const char *) =
                apr_pstrcat(merge->p, merge->base->identifier, own[i][1], NULL);
    for (int i = 0; i < payloads->nelts && error == NULL; i++) {
        const mdm_template_payload_t *one = &APR_ARRAY_IDX(payloads, i, mdm_template_payload_t);

        if (!one->made && is_identity(one->type) && !may_be_identity(merge, one->type))
            return apr_psprintf(merge->p,
                                "%s: MDMEnrollIdentity has the identity come by %s; wanted is that "
                                "type, or no such payload",
                                one->path, merge->identity->types[0]);
        if (one->identifier != NULL)
            error = claim(merge, taken, one->identifier, one);
        else if (one->made)
            error = claim(merge, taken,
                          apr_pstrcat(merge->p, merge->base->identifier, one->suffix, NULL), one);
    }
    return error;
}

/* --- pins --- */

static int has_certificate(const merge_t *merge, const char *uuid)
{
    const apr_array_header_t *payloads = mdm_template_payloads(merge->template);
    const apr_array_header_t *own = merge->base->certificates;
    int i;

    for (i = 0; i < payloads->nelts; i++) {
        const mdm_template_payload_t *one = &APR_ARRAY_IDX(payloads, i, mdm_template_payload_t);
        if (one->made && one->uuid != NULL && strcasecmp(one->uuid, uuid) == 0)
            return 1;
    }
    for (i = 0; own != NULL && i < own->nelts; i++)
        if (strcasecmp(APR_ARRAY_IDX(own, i, mdm_profile_certificate_t).uuid, uuid) == 0)
            return 1;
    return 0;
}

/* A device cannot pin what its profile does not hold. */
static const char *check_pins(const merge_t *merge)
{
    static const char *const keys[] = {"ServerURLPinningCertificateUUIDs",
                                       "CheckInURLPinningCertificateUUIDs"};
    const apr_array_header_t *mdm = mdm_template_settings(merge->template, "com.apple.mdm");

    for (apr_size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const mdm_setting_t *pins = mdm_schema_find(mdm, keys[i]);

        for (int k = 0; pins != NULL && k < pins->texts->nelts; k++) {
            const char *uuid = mdm_text_fixed(APR_ARRAY_IDX(pins->texts, k, const mdm_text_t *));
            if (uuid == NULL || !has_certificate(merge, uuid))
                return apr_psprintf(
                    merge->p,
                    "%s \"%s\": wanted is the PayloadUUID of a certificate in this template, or of "
                    "one of MDMEnrollCertificate",
                    mdm_template_path(merge->p, merge->template, "com.apple.mdm", keys[i]),
                    uuid ? uuid : "%{...}");
        }
    }
    return NULL;
}

/* --- settings --- */

/* *settings with the template's behind them. */
static const char *add(const merge_t *merge, const char *type, const apr_array_header_t **settings)
{
    const apr_array_header_t *own = mdm_template_settings(merge->template, type);
    const mdm_setting_t *culprit = NULL;
    apr_array_header_t *all;
    const char *why;

    if (own == NULL)
        return NULL;
    all = apr_array_make(merge->p, 8, sizeof(mdm_setting_t *));
    if (*settings != NULL)
        apr_array_cat(all, *settings);
    apr_array_cat(all, own);
    why = mdm_schema_check_together(merge->p, all, merge->now, &culprit);
    if (why != NULL)
        return apr_psprintf(merge->p, "%s: %s",
                            mdm_template_path(merge->p, merge->template, type, culprit->key), why);
    *settings = all;
    return NULL;
}

const char *mdm_profile_with_template(apr_pool_t *p, const mdm_profile_settings_t *base,
                                      const mdm_profile_identity_t *identity,
                                      const mdm_template_t *template, apr_int64_t now,
                                      const mdm_profile_settings_t **made)
{
    const merge_t merge = {p, base, identity, template, now};
    mdm_profile_settings_t *over = apr_pmemdup(p, base, sizeof(*base));
    const struct {
        const char *type;
        const apr_array_header_t **settings;
    } kinds[] = {{"Configuration", &over->configuration},
                 {"com.apple.mdm", &over->mdm},
                 {"com.apple.security.scep", &over->scep},
                 {"com.apple.security.acme", &over->acme},
                 {"com.apple.security.pkcs12", &over->pkcs12}};
    const char *error = check_owned(&merge);

    if (error == NULL)
        error = check_payloads(&merge);
    if (error == NULL)
        error = check_pins(&merge);
    for (apr_size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && error == NULL; i++)
        error = add(&merge, kinds[i].type, kinds[i].settings);
    if (error != NULL)
        return error;
    over->template = template;
    over->choices = NULL;
    *made = over;
    return NULL;
}

/* --- choosing --- */

mdm_result_t mdm_profile_choose(apr_pool_t *p, const mdm_profile_settings_t *base,
                                const mdm_world_t *world, const mdm_enrollment_t *row,
                                const mdm_profile_settings_t **chosen)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; base->choices != NULL && i < base->choices->nelts; i++) {
        const mdm_profile_choice_t *choice = &APR_ARRAY_IDX(base->choices, i, mdm_profile_choice_t);
        int holds = choice->condition == NULL;

        if (!holds)
            r = world->conditions->holds(world->conditions->context, p, choice->condition, row,
                                         &holds);
        if (r.kind != MDM_OK)
            return mdm_result_make(p, MDM_MSG_TEXT, "%s: %s", choice->name, r.log);
        if (holds) {
            *chosen = choice->settings;
            return r;
        }
    }
    *chosen = base;
    return r;
}
