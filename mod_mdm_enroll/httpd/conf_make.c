/* SPDX-License-Identifier: Apache-2.0
 * From directives to what requests run on: files read, keys checked, trust built, defaults filled
 * in. Runs as root before any request, so that requests read nothing.
 */
#include "conf.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <http_core.h>

#include "../core/mdm_plist.h"
#include "../core/mdm_schema.h"
#include "directory_url.h"
#include "policy_expr.h"

#define DEFAULT_LIFETIME (15 * 60)
#define DEFAULT_RENEWAL_GRACE (30 * 24 * 60 * 60)
#define DEFAULT_DIRECTORY_TIMEOUT apr_time_from_sec(3)

/* Longest first line of a file with a secret, in bytes. */
#define SECRET_BYTES 1024

/* One file of MDMEnrollCertificate. */
typedef struct {
    const char *file;
    apr_array_header_t *uuids; /* const char *: of its certificates */
} bundle_t;

static void trust_devices(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                          mdm_trust_t *trust)
{
    const ap_directive_t *where = conf->where[MDM_SET_DEVICE_CA];
    int i, k;

    if (!where)
        mdm_conf_told(check, NULL, mdm_trust_add_apple_device_ca(trust));
    for (i = 0; where && i < conf->device_cas->nelts; i++) {
        const char *file = APR_ARRAY_IDX(conf->device_cas, i, const char *);
        STACK_OF(X509) *certs;

        if (!strcmp(file, "apple")) {
            mdm_conf_told(check, where, mdm_trust_add_apple_device_ca(trust));
            continue;
        }
        if (!mdm_conf_told(check, where, mdm_x509_read_certificates(p, file, &certs)))
            continue;
        for (k = 0; k < sk_X509_num(certs); k++) {
            mdm_result_t result = mdm_trust_add_device_ca(trust, sk_X509_value(certs, k));

            if (result.kind != MDM_OK)
                mdm_conf_problem(check, where, "%s: %s", file, result.log);
        }
    }
}

static mdm_trust_t *make_trust(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf)
{
    mdm_trust_t *trust = mdm_trust_create(p);
    int i;

    trust_devices(check, p, conf, trust);
    for (i = 0; i < conf->denied->nelts; i++)
        mdm_trust_deny(trust, APR_ARRAY_IDX(conf->denied, i, const char *));
    return trust;
}

/* Every file of MDMEnrollCertificate; the certificates of all of them in all, each once. */
static apr_array_header_t *read_bundles(mdm_check_t *check, apr_pool_t *p,
                                        const mdm_server_conf_t *conf, apr_array_header_t *all)
{
    const ap_directive_t *where = conf->where[MDM_SET_CERTIFICATE];
    apr_array_header_t *bundles = apr_array_make(p, 4, sizeof(bundle_t));
    int i, k;

    for (i = 0; i < conf->certificates->nelts; i++) {
        bundle_t bundle = {APR_ARRAY_IDX(conf->certificates, i, const char *),
                           apr_array_make(p, 4, sizeof(const char *))};
        STACK_OF(X509) *certs;

        if (!mdm_conf_told(check, where, mdm_x509_read_certificates(p, bundle.file, &certs)))
            continue;
        for (k = 0; k < sk_X509_num(certs); k++) {
            const char *uuid;

            if (mdm_conf_told(check, where,
                              mdm_profile_add_certificate(p, all, sk_X509_value(certs, k), &uuid)))
                APR_ARRAY_PUSH(bundle.uuids, const char *) = uuid;
        }
        APR_ARRAY_PUSH(bundles, bundle_t) = bundle;
    }
    return bundles;
}

/* The UUIDs that one value of a pinning key stands for: those of a file's certificates, or itself.
 * Both must be of MDMEnrollCertificate: a device cannot pin what its profile does not hold. */
static int resolve_pin(apr_pool_t *p, const apr_array_header_t *bundles, const char *value,
                       apr_array_header_t *uuids)
{
    const char *file = ap_server_root_relative(p, value);
    int i, k;

    for (i = 0; i < bundles->nelts; i++) {
        const bundle_t *bundle = &APR_ARRAY_IDX(bundles, i, bundle_t);

        if (file && !strcmp(file, bundle->file)) {
            apr_array_cat(uuids, bundle->uuids);
            return 1;
        }
        for (k = 0; k < bundle->uuids->nelts; k++) {
            const char *uuid = APR_ARRAY_IDX(bundle->uuids, k, const char *);

            if (!ap_cstr_casecmp(uuid, value)) {
                APR_ARRAY_PUSH(uuids, const char *) = uuid;
                return 1;
            }
        }
    }
    return 0;
}

static mdm_setting_t *make_pins(mdm_check_t *check, apr_pool_t *p, const mdm_payload_conf_t *line,
                                const apr_array_header_t *bundles)
{
    apr_array_header_t *uuids = apr_array_make(p, line->count, sizeof(const char *));
    mdm_setting_t *setting = NULL;
    const char *why;
    int i;

    for (i = 0; i < line->count; i++) {
        if (!resolve_pin(p, bundles, line->values[i], uuids)) {
            mdm_conf_problem(check, line->where,
                             "%s: \"%s\" is neither a file of MDMEnrollCertificate nor the UUID of "
                             "a certificate in one; name the file in both directives",
                             line->key, line->values[i]);
            return NULL;
        }
    }
    why = mdm_schema_setting(p, line->payload, line->key, (const char *const *)uuids->elts,
                             uuids->nelts, NULL, &setting);
    if (why)
        mdm_conf_problem(check, line->where, "%s: %s", line->key, why);
    return setting;
}

/* What is wrong with the settings of one payload together, at the line of one that it is about.
 * made is in the order of the lines. A date that is over keeps only httpd -t from being content: a
 * restart for another site's sake must not end them all, and devices refuse it. */
static void check_together(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                           const apr_array_header_t *settings, mdm_setting_t *const *made)
{
    int testing = ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST;
    const mdm_setting_t *culprit = NULL;
    const char *why = mdm_schema_check_together(
        p, settings, testing ? apr_time_sec(apr_time_now()) : 0, &culprit);
    int i;

    for (i = 0; why && i < conf->payloads->nelts; i++) {
        const mdm_payload_conf_t *line = APR_ARRAY_IDX(conf->payloads, i, mdm_payload_conf_t *);

        if (made[i] == culprit)
            mdm_conf_problem(check, line->where, "%s: %s", line->payload, why);
    }
}

static void make_payloads(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                          const apr_array_header_t *bundles, mdm_profile_settings_t *profile)
{
    const struct {
        const char *payload;
        const apr_array_header_t **settings;
    } payloads[] = {{"Configuration", &profile->configuration},
                    {"Profile Service", &profile->profile_service},
                    {"com.apple.mdm", &profile->mdm},
                    {"com.apple.security.scep", &profile->scep},
                    {"com.apple.security.acme", &profile->acme},
                    {"com.apple.security.pkcs12", &profile->pkcs12},
                    {"com.apple.security.root", &profile->root},
                    {"com.apple.security.pkcs1", &profile->pkcs1}};
    mdm_setting_t **made = apr_pcalloc(p, sizeof(*made) * (apr_size_t)(conf->payloads->nelts + 1));
    apr_size_t k;
    int i;

    for (i = 0; i < conf->payloads->nelts; i++) {
        const mdm_payload_conf_t *line = APR_ARRAY_IDX(conf->payloads, i, mdm_payload_conf_t *);

        made[i] = line->setting ? line->setting : make_pins(check, p, line, bundles);
    }
    for (k = 0; k < sizeof(payloads) / sizeof(payloads[0]); k++) {
        apr_array_header_t *settings = apr_array_make(p, 4, sizeof(mdm_setting_t *));

        for (i = 0; i < conf->payloads->nelts; i++)
            if (made[i] && !strcmp(made[i]->payload, payloads[k].payload))
                APR_ARRAY_PUSH(settings, mdm_setting_t *) = made[i];
        check_together(check, p, conf, settings, made);
        *payloads[k].settings = settings;
    }
}

static const apr_array_header_t *make_attributes(mdm_check_t *check, apr_pool_t *p,
                                                 const mdm_server_conf_t *conf)
{
    static const char *const defaults[] = {"UDID",       "SERIAL", "PRODUCT", "VERSION",
                                           "OS_VERSION", "IMEI",   "MEID",    "LANGUAGE"};
    apr_array_header_t *names;
    apr_size_t i;

    if (conf->where[MDM_SET_DEVICE_ATTRIBUTES]) {
        if (!ap_array_str_contains(conf->device_attributes, "UDID") ||
            !ap_array_str_contains(conf->device_attributes, "SERIAL"))
            mdm_conf_problem(check, conf->where[MDM_SET_DEVICE_ATTRIBUTES],
                             "\"%s\" lacks UDID or SERIAL; both must be in it: they are what tells "
                             "one device from another",
                             apr_array_pstrcat(p, conf->device_attributes, ' '));
        return conf->device_attributes;
    }
    names = apr_array_make(p, 8, sizeof(const char *));
    for (i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        APR_ARRAY_PUSH(names, const char *) = defaults[i];
    return names;
}

static void make_profile(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                         mdm_profile_settings_t *profile)
{
    apr_array_header_t *certificates = apr_array_make(p, 4, sizeof(mdm_profile_certificate_t));
    apr_array_header_t *bundles = read_bundles(check, p, conf, certificates);

    profile->certificates = certificates;
    profile->organization = conf->organization;
    profile->identifier = conf->identifier;
    profile->server_url = conf->server_text;
    profile->checkin_url = conf->checkin_text;
    profile->topic = conf->topic;
    profile->device_attributes = make_attributes(check, p, conf);
    make_payloads(check, p, conf, bundles, profile);
}

const char *mdm_conf_read_secret(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                                 const char *name, const char *what)
{
    char line[SECRET_BYTES];
    apr_file_t *file;
    apr_status_t rv =
        apr_file_open(&file, name, APR_FOPEN_READ | APR_FOPEN_BUFFERED, APR_FPROT_OS_DEFAULT, p);
    apr_size_t len;

    if (rv == APR_SUCCESS) {
        rv = apr_file_gets(line, sizeof(line), file);
        apr_file_close(file);
    }
    if (rv != APR_SUCCESS) {
        char reason[128];

        mdm_conf_problem(check, where, "no %s can be read from %s: %s", what, name,
                         apr_strerror(rv, reason, sizeof(reason)));
        return NULL;
    }
    len = strcspn(line, "\r\n");
    if (len == 0 || len == sizeof(line) - 1) {
        mdm_conf_problem(check, where, "the first line of %s is %s; it must be the %s", name,
                         len ? "too long" : "empty", what);
        return NULL;
    }
    return apr_pstrmemdup(p, line, len);
}

static mdm_ldap_settings_t *make_ldap(mdm_check_t *check, apr_pool_t *p,
                                      const mdm_server_conf_t *conf)
{
    static const mdm_set_t details[] = {MDM_SET_DIRECTORY_BIND, MDM_SET_DIRECTORY_GROUP,
                                        MDM_SET_DIRECTORY_CA, MDM_SET_DIRECTORY_TIMEOUT};
    mdm_ldap_settings_t *ldap = apr_pcalloc(p, sizeof(*ldap));
    STACK_OF(X509) *cas;
    const char *why;
    apr_size_t i;

    if (!conf->where[MDM_SET_DIRECTORY]) {
        for (i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
            if (conf->where[details[i]])
                mdm_conf_problem(check, conf->where[details[i]],
                                 "says how to use a directory, and there is no "
                                 "MDMEnrollDirectory; add one, or remove this");
        }
        return NULL;
    }
    why = mdm_ldap_parse_url(p, conf->directory_url, ldap);
    if (why)
        mdm_conf_problem(check, conf->where[MDM_SET_DIRECTORY], "%s", why);
    ldap->starttls = conf->directory_starttls;
    ldap->group = conf->directory_group;
    ldap->ca_file = conf->directory_ca;
    if (ldap->ca_file)
        mdm_conf_told(check, conf->where[MDM_SET_DIRECTORY_CA],
                      mdm_x509_read_certificates(p, ldap->ca_file, &cas));
    ldap->bind_dn = conf->bind_dn;
    ldap->bind_password = conf->bind_file
                              ? mdm_conf_read_secret(check, p, conf->where[MDM_SET_DIRECTORY_BIND],
                                                     conf->bind_file, "password")
                              : conf->bind_password;
    ldap->timeout = conf->where[MDM_SET_DIRECTORY_TIMEOUT] ? conf->directory_timeout
                                                           : DEFAULT_DIRECTORY_TIMEOUT;
    return ldap;
}

/* Every MDM_LDAP_… of an expression is read from the directory: one that never is would be empty
 * for everybody. source may be NULL. */
static void check_source(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                         const char *source, const mdm_ldap_settings_t *ldap)
{
    const char *name =
        source ? mdm_policy_expr_unfilled(p, source, ldap ? ldap->attributes : NULL) : NULL;

    if (name)
        mdm_conf_problem(check, where,
                         "\"%s\": nothing fills %%{%s}; name the attribute in "
                         "MDMEnrollDirectory: ldap://host/base?uid,attribute?...",
                         source, name);
}

static void check_attributes(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                             const mdm_ldap_settings_t *ldap)
{
    int i, k;

    for (i = 0; i < conf->requirements->nelts; i++) {
        const mdm_requirement_t *one = APR_ARRAY_IDX(conf->requirements, i, mdm_requirement_t *);

        check_source(check, p, one->where, one->source, ldap);
    }
    for (i = 0; i < conf->payloads->nelts; i++) {
        const mdm_payload_conf_t *one = APR_ARRAY_IDX(conf->payloads, i, mdm_payload_conf_t *);

        for (k = 0; k < one->count; k++)
            check_source(check, p, one->where, one->values[k], ldap);
    }
    check_source(check, p, conf->where[MDM_SET_SERVER], conf->server_url, ldap);
    check_source(check, p, conf->where[MDM_SET_SERVER], conf->checkin_url, ldap);
}

/* SHA-256 over texts (NULL is ""), each with its length, so that no two lists give the same; "" if
 * OpenSSL fails. */
static const char *hash_texts(apr_pool_t *p, const apr_array_header_t *texts)
{
    const char *text = "";
    int i;

    for (i = 0; i < texts->nelts; i++) {
        const char *one = APR_ARRAY_IDX(texts, i, const char *);

        text = apr_psprintf(p, "%s%" APR_SIZE_T_FMT ":%s", text, one ? strlen(one) : 0,
                            one ? one : "");
    }
    return mdm_sha256_hex(p, text, strlen(text));
}

#define ADD_TEXT(texts, text) (APR_ARRAY_PUSH(texts, const char *) = (text))

/* What an enrollment is for. Equal in every Apache with this configuration, different where a
 * device would be enrolled in something else. Not the CA: another one may follow it. */
static const char *identify_site(apr_pool_t *p, const mdm_server_conf_t *conf)
{
    apr_array_header_t *texts = apr_array_make(p, 3, sizeof(const char *));

    ADD_TEXT(texts, conf->identifier);
    ADD_TEXT(texts, conf->server_url);
    ADD_TEXT(texts, conf->topic);
    return hash_texts(p, texts);
}

/* By which rules phases 2 and 3 let a device on: no other vhost with laxer ones may go on with what
 * this one offered. Where they were changed meanwhile, whoever is under way starts again. */
static const char *identify_rules(apr_pool_t *p, const mdm_server_conf_t *conf,
                                  const mdm_site_t *site)
{
    apr_array_header_t *texts = apr_array_make(p, 16, sizeof(const char *));
    int i;

    for (i = 0; i < conf->requirements->nelts; i++)
        ADD_TEXT(texts, APR_ARRAY_IDX(conf->requirements, i, mdm_requirement_t *)->source);
    ADD_TEXT(texts, "directory");
    if (site->ldap) {
        ADD_TEXT(texts, conf->directory_url);
        ADD_TEXT(texts, conf->directory_starttls ? "STARTTLS" : "");
        ADD_TEXT(texts, conf->bind_dn);
        ADD_TEXT(texts, conf->directory_group);
        ADD_TEXT(texts, conf->directory_ca);
    }
    ADD_TEXT(texts, "device CAs");
    apr_array_cat(texts, conf->device_cas);
    ADD_TEXT(texts, "denied");
    apr_array_cat(texts, conf->denied);
    ADD_TEXT(texts, apr_itoa(p, (int)site->ota.tls_certificate));
    mdm_conf_policy_rules(texts, conf);
    mdm_conf_identity_rules(texts, &site->ota);
    return hash_texts(p, texts);
}

mdm_site_t *mdm_conf_make_guard(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf)
{
    const ap_directive_t *where = conf->where[MDM_SET_CA];
    mdm_site_t *site = apr_pcalloc(p, sizeof(*site));
    mdm_trust_t *trust = mdm_trust_create(p);
    STACK_OF(X509) *certs;
    int i;

    site->guarded = site->guard_only = 1;
    site->requirements = conf->requirements;
    site->store_kind = conf->store_kind;
    site->store_target = conf->store_target;
    site->ldap = make_ldap(check, p, conf);
    for (i = 0; i < conf->denied->nelts; i++)
        mdm_trust_deny(trust, APR_ARRAY_IDX(conf->denied, i, const char *));
    if (where &&
        mdm_conf_told(check, where, mdm_x509_read_certificates(p, conf->ca_certificate, &certs)))
        mdm_conf_told(check, where, mdm_trust_add_identity_ca(trust, sk_X509_value(certs, 0)));
    mdm_conf_trust_identities(check, p, conf, trust);
    site->ota.trust = trust;
    if (conf->identifier && conf->server_url && conf->topic) {
        site->identity = site->rules = identify_site(p, conf);
        if (!*site->identity)
            mdm_conf_told(check, NULL, mdm_sha256_failed(p));
    }
    return site;
}

mdm_site_t *mdm_conf_make(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                          const char *vhost_url)
{
    mdm_site_t *site = apr_pcalloc(p, sizeof(*site));
    mdm_trust_t *trust = make_trust(check, p, conf);
    mdm_signer_t *signer = NULL;
    int i;

    site->base_url = conf->base_url;
    site->guarded = conf->guard != NULL;
    for (i = 0; i < MDM_ENDPOINT_COUNT; i++)
        if (conf->endpoints[i].path)
            site->paths[i] = ap_os_escape_path(p, conf->endpoints[i].path, 1);
    site->requirements = conf->requirements;
    site->serial_rules = conf->serial_rules;
    site->ota.limits = conf->limits;
    site->store_kind = conf->store_kind;
    site->store_target = conf->store_target;
    site->ldap = make_ldap(check, p, conf);
    check_attributes(check, p, conf, site->ldap);
    if (conf->where[MDM_SET_SIGNER] &&
        mdm_conf_told(
            check, conf->where[MDM_SET_SIGNER],
            mdm_signer_read(p, conf->signer_certificate, conf->signer_key, conf->signer_chain,
                            mdm_conf_keys(check, conf, conf->where[MDM_SET_SIGNER]), &signer)))
        site->signer = signer;

    make_profile(check, p, conf, &site->ota.profile);
    site->ota.trust = trust;
    mdm_conf_make_identities(check, p, conf, &site->ota);
    site->notify = mdm_conf_make_notify(check, p, conf);
    site->ota.cipher = conf->where[MDM_SET_CIPHER] ? conf->cipher : EVP_aes_256_cbc();
    site->ota.lifetime = conf->where[MDM_SET_LIFETIME] ? conf->lifetime : DEFAULT_LIFETIME;
    site->ota.renewal_grace =
        conf->where[MDM_SET_RENEWAL_GRACE] ? conf->renewal_grace : DEFAULT_RENEWAL_GRACE;
    site->ota.tls_certificate = conf->where[MDM_SET_CLIENT_CERTIFICATE]
                                    ? conf->client_certificate
                                    : MDM_TLS_CERTIFICATE_OPTIONAL;
    site->rules = identify_rules(p, conf, site);
    if (conf->identifier && conf->server_url && conf->topic)
        site->identity = identify_site(p, conf);
    if (!*site->rules || (site->identity && !*site->identity))
        mdm_conf_told(check, NULL, mdm_sha256_failed(p));
    if (conf->where[MDM_SET_CA])
        mdm_conf_make_issuer(check, p, conf, vhost_url, trust, site);
    site->ota.ca = site->scep.rules.ca;
    mdm_conf_make_templates(check, p, conf,
                            site->paths[MDM_ENDPOINT_SCEP]
                                ? apr_pstrcat(p, vhost_url, site->paths[MDM_ENDPOINT_SCEP], NULL)
                                : NULL,
                            site);
    mdm_conf_trust_identities(check, p, conf, trust); /* behind the own CA, which counts first */
    return site;
}
