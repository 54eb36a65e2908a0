/* SPDX-License-Identifier: Apache-2.0
 * The command table, the setters, and merging. What is wrong with one value is said here, where
 * httpd adds file and line; what is wrong between directives is conf_check.c's.
 */
#include "conf.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>
#include <http_log.h>

#include "../core/mdm_plist.h"
#include "../core/mdm_schema.h"
#include "directory_url.h"
#include "policy_expr.h"
#include "serial_list.h"
#include "text_expr.h"

APLOG_USE_MODULE(mdm_enroll);

mdm_server_conf_t *mdm_conf_server(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &mdm_enroll_module);
}

/* --- creating and merging --- */

void *mdm_conf_create_server(apr_pool_t *p, server_rec *s)
{
    mdm_server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)s;
    conf->device_attributes = apr_array_make(p, 0, sizeof(const char *));
    conf->device_cas = apr_array_make(p, 0, sizeof(const char *));
    conf->denied = apr_array_make(p, 0, sizeof(const char *));
    conf->certificates = apr_array_make(p, 0, sizeof(const char *));
    conf->alt_names = apr_array_make(p, 0, sizeof(mdm_alt_name_t));
    conf->identity_cas = apr_array_make(p, 0, sizeof(const char *));
    conf->payloads = apr_array_make(p, 0, sizeof(mdm_payload_conf_t *));
    conf->requirements = apr_array_make(p, 0, sizeof(mdm_requirement_t *));
    conf->templates = apr_array_make(p, 0, sizeof(mdm_conf_template_t *));
    conf->serial_rules = apr_array_make(p, 0, sizeof(mdm_serial_rule_t *));
    conf->tls_signers = apr_array_make(p, 0, sizeof(mdm_signer_t *));
    return conf;
}

#define INHERIT(set, field)                                                                        \
    do {                                                                                           \
        if (!conf->where[set])                                                                     \
            conf->field = base->field;                                                             \
    } while (0)

static void inherit_values(mdm_server_conf_t *conf, const mdm_server_conf_t *base)
{
    INHERIT(MDM_SET_STORE, store_kind);
    INHERIT(MDM_SET_STORE, store_target);
    INHERIT(MDM_SET_ORGANIZATION, organization);
    INHERIT(MDM_SET_IDENTIFIER, identifier);
    INHERIT(MDM_SET_SERVER, server_url);
    INHERIT(MDM_SET_SERVER, checkin_url);
    INHERIT(MDM_SET_SERVER, server_text);
    INHERIT(MDM_SET_SERVER, checkin_text);
    INHERIT(MDM_SET_TOPIC, topic);
    INHERIT(MDM_SET_CA, ca_certificate);
    INHERIT(MDM_SET_CA, ca_key);
    INHERIT(MDM_SET_RA, ra_certificate);
    INHERIT(MDM_SET_RA, ra_key);
    INHERIT(MDM_SET_NEXT_CA, next_ca);
    INHERIT(MDM_SET_RENEWAL, renewal);
    INHERIT(MDM_SET_RENEWAL_GRACE, renewal_grace);
    INHERIT(MDM_SET_ALLOW_CHANGE, allowed_changes);
    INHERIT(MDM_SET_SCEP_ALLOW, scep_allow);
    INHERIT(MDM_SET_CRL_URL, crl_url);
    INHERIT(MDM_SET_ALT_NAME, alt_names);
    INHERIT(MDM_SET_SIGNER, signer_certificate);
    INHERIT(MDM_SET_SIGNER, signer_key);
    INHERIT(MDM_SET_SIGNER, signer_chain);
    INHERIT(MDM_SET_PASS_PHRASE, pass_phrase_program);
    INHERIT(MDM_SET_BASE_URL, base_url);
    INHERIT(MDM_SET_DEVICE_ATTRIBUTES, device_attributes);
    INHERIT(MDM_SET_DEVICE_CA, device_cas);
    INHERIT(MDM_SET_CERTIFICATE, certificates);
    INHERIT(MDM_SET_CIPHER, cipher);
    INHERIT(MDM_SET_CLIENT_CERTIFICATE, client_certificate);
    INHERIT(MDM_SET_DIRECTORY, directory_url);
    INHERIT(MDM_SET_DIRECTORY, directory_starttls);
    INHERIT(MDM_SET_DIRECTORY_BIND, bind_dn);
    INHERIT(MDM_SET_DIRECTORY_BIND, bind_password);
    INHERIT(MDM_SET_DIRECTORY_BIND, bind_file);
    INHERIT(MDM_SET_DIRECTORY_GROUP, directory_group);
    INHERIT(MDM_SET_DIRECTORY_CA, directory_ca);
    INHERIT(MDM_SET_DIRECTORY_TIMEOUT, directory_timeout);
    INHERIT(MDM_SET_LIMIT_DEVICES, limits.devices);
    INHERIT(MDM_SET_LIMIT_HOURLY, limits.hourly);
    INHERIT(MDM_SET_LIFETIME, lifetime);
    INHERIT(MDM_SET_VALIDITY, validity);
    INHERIT(MDM_SET_IDENTITY, identities[MDM_CONF_IDENTITY]);
    INHERIT(MDM_SET_MDM_IDENTITY, identities[MDM_CONF_MDM_IDENTITY]);
    INHERIT(MDM_SET_IDENTITY_CA, identity_cas);
    INHERIT(MDM_SET_NOTIFY, notify);
    INHERIT(MDM_SET_TEMPLATE, templates);
}

/* What is said about one directory is not for another: least of all the password. */
static void forget_directory(mdm_server_conf_t *conf)
{
    conf->where[MDM_SET_DIRECTORY_BIND] = NULL;
    conf->where[MDM_SET_DIRECTORY_GROUP] = NULL;
    conf->where[MDM_SET_DIRECTORY_CA] = NULL;
    conf->bind_dn = conf->bind_password = conf->bind_file = NULL;
    conf->directory_group = conf->directory_ca = NULL;
}

/* Nor is another CA's RA, successor or CRL this one's. */
static void forget_ca(mdm_server_conf_t *conf)
{
    conf->where[MDM_SET_RA] = NULL;
    conf->where[MDM_SET_NEXT_CA] = NULL;
    conf->where[MDM_SET_CRL_URL] = NULL;
    conf->ra_certificate = conf->ra_key = conf->next_ca = conf->crl_url = NULL;
}

void *mdm_conf_merge_server(apr_pool_t *p, void *base_conf, void *add_conf)
{
    mdm_server_conf_t *base = apr_pmemdup(p, base_conf, sizeof(*base));
    const mdm_server_conf_t *add = add_conf;
    mdm_server_conf_t *conf = apr_pmemdup(p, add, sizeof(*add));
    int i;

    if (add->where[MDM_SET_DIRECTORY])
        forget_directory(base);
    if (add->where[MDM_SET_CA])
        forget_ca(base);
    inherit_values(conf, base);
    /* Restrictions of the main server cannot be lost in a vhost. */
    conf->denied = apr_array_append(p, base->denied, add->denied);
    conf->requirements = apr_array_append(p, base->requirements, add->requirements);
    conf->serial_rules = apr_array_append(p, base->serial_rules, add->serial_rules);
    /* Of two settings for one key the later holds: the vhost's. */
    conf->payloads = apr_array_append(p, base->payloads, add->payloads);
    for (i = 0; i < MDM_ENDPOINT_COUNT; i++)
        if (!conf->endpoints[i].path)
            conf->endpoints[i] = base->endpoints[i];
    if (!conf->guard) {
        conf->guard = base->guard;
        conf->guard_server = base->guard_server;
    }
    for (i = 0; i < MDM_SET_COUNT; i++)
        if (!conf->where[i])
            conf->where[i] = base->where[i];
    /* A vhost must never sign with another one's key. */
    conf->tls_signers = apr_array_make(p, 0, sizeof(mdm_signer_t *));
    conf->site = NULL;
    return conf;
}

/* --- setters --- */

mdm_server_conf_t *mdm_conf_mark(cmd_parms *cmd, mdm_set_t set)
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);

    conf->where[set] = cmd->directive;
    return conf;
}

const char *mdm_conf_refuse(cmd_parms *cmd, const char *why)
{
    return apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL);
}

const char *mdm_conf_refuse_value(cmd_parms *cmd, const char *value, const char *wanted)
{
    return apr_psprintf(cmd->pool, "%s: \"%s\" is not accepted; wanted: %s", cmd->cmd->name, value,
                        wanted);
}

const char *mdm_conf_refuse_expression(cmd_parms *cmd, const char *name, const char *source,
                                       const char *error, const char *wanted)
{
    return apr_psprintf(cmd->pool,
                        "%s: cannot parse \"%s\": %s; wanted: %s, such as "
                        "\"%%{MDM_PRODUCT} =~ /^iPhone/\"",
                        name, source, error, wanted);
}

const char *mdm_conf_file(cmd_parms *cmd, const char *name)
{
    return *name ? ap_server_root_relative(cmd->pool, name) : NULL;
}

const char *mdm_conf_parse_time(cmd_parms *cmd, const char *value, apr_interval_time_t least,
                                apr_interval_time_t most, const char *wanted,
                                apr_interval_time_t *time)
{
    char *end;
    apr_int64_t days = apr_strtoi64(value, &end, 10);

    if (end != value && !strcmp(end, "d") && days >= 0 && days <= 100000)
        *time = days * 24 * 60 * 60 * APR_USEC_PER_SEC;
    else if (!apr_isdigit(*value) || ap_timeout_parameter_parse(value, time, "s") != APR_SUCCESS)
        return mdm_conf_refuse_value(cmd, value, wanted);
    return *time < least || *time > most ? mdm_conf_refuse_value(cmd, value, wanted) : NULL;
}

static const char *set_store(cmd_parms *cmd, void *dir, const char *store)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_STORE);
    const char *why = mdm_dbd_parse(cmd->pool, store, &conf->store_kind, &conf->store_target);

    (void)dir;
    return why ? mdm_conf_refuse(cmd, why) : NULL;
}

static const char *set_organization(cmd_parms *cmd, void *dir, const char *name)
{
    apr_size_t characters = 0;
    const char *c;

    (void)dir;
    if (!*name || !mdm_plist_text_ok(name))
        return mdm_conf_refuse_value(cmd, name, "a name in UTF-8");
    for (c = name; *c; c++)
        characters += ((unsigned char)*c & 0xC0) != 0x80;
    if (characters > MDM_CA_MAX_ORGANIZATION)
        return mdm_conf_refuse_value(cmd, name,
                                     apr_psprintf(cmd->pool,
                                                  "at most %d characters, as X.509 allows for an O",
                                                  MDM_CA_MAX_ORGANIZATION));
    mdm_conf_mark(cmd, MDM_SET_ORGANIZATION)->organization = name;
    return NULL;
}

static const char *set_identifier(cmd_parms *cmd, void *dir, const char *identifier)
{
    const char *why = mdm_schema_check_identifier(cmd->pool, identifier);

    (void)dir;
    if (why)
        return mdm_conf_refuse(cmd, why);
    mdm_conf_mark(cmd, MDM_SET_IDENTIFIER)->identifier = identifier;
    return NULL;
}

static const char *set_server(cmd_parms *cmd, void *dir, const char *server, const char *checkin)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_SERVER);
    const mdm_text_compiler_t compiler = mdm_text_expr_compiler(cmd);
    const char *why = mdm_schema_url_text(cmd->pool, server, &compiler, &conf->server_text);

    (void)dir;
    conf->server_url = server;
    conf->checkin_url = checkin;
    conf->checkin_text = NULL;
    if (!why && checkin)
        why = mdm_schema_url_text(cmd->pool, checkin, &compiler, &conf->checkin_text);
    return why ? mdm_conf_refuse(cmd, why) : NULL;
}

static const char *set_topic(cmd_parms *cmd, void *dir, const char *topic)
{
    const char *why = mdm_schema_check_topic(cmd->pool, topic);

    (void)dir;
    if (why)
        return mdm_conf_refuse(cmd, why);
    mdm_conf_mark(cmd, MDM_SET_TOPIC)->topic = topic;
    return NULL;
}

static const char *set_signer(cmd_parms *cmd, void *dir, const char *certificate, const char *key,
                              const char *chain)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_SIGNER);
    const char *why = mdm_conf_key_source(cmd, key, &conf->signer_key);

    (void)dir;
    conf->signer_certificate = mdm_conf_file(cmd, certificate);
    conf->signer_chain = chain ? mdm_conf_file(cmd, chain) : NULL;
    if (!conf->signer_certificate)
        return mdm_conf_refuse_value(cmd, certificate, "the path of a file");
    if (why)
        return why;
    return chain && !conf->signer_chain ? mdm_conf_refuse_value(cmd, chain, "the path of a file")
                                        : NULL;
}

static const char *set_base_url(cmd_parms *cmd, void *dir, const char *url)
{
    static const char wanted[] = "https://host or https://host:port, with nothing behind it";
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_BASE_URL);
    apr_uri_t uri;

    (void)dir;
    if (apr_uri_parse(cmd->pool, url, &uri) != APR_SUCCESS || !uri.scheme ||
        ap_cstr_casecmp(uri.scheme, "https") || !uri.hostname || !*uri.hostname || uri.user ||
        uri.password || uri.query || uri.fragment || (uri.path && strcmp(uri.path, "/")))
        return mdm_conf_refuse_value(cmd, url, wanted);
    conf->base_url = apr_pstrcat(cmd->pool, "https://", uri.hostinfo, NULL);
    return mdm_schema_check_url(cmd->pool, conf->base_url) ? mdm_conf_refuse_value(cmd, url, wanted)
                                                           : NULL;
}

static const char *set_device_attribute(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_DEVICE_ATTRIBUTES);
    const char *c;

    (void)dir;
    for (c = name; apr_isupper(*c) || apr_isdigit(*c) || *c == '_'; c++)
        ;
    if (*c || !*name)
        return mdm_conf_refuse_value(cmd, name,
                                     "names of device attributes, such as UDID SERIAL PRODUCT");
    APR_ARRAY_PUSH(conf->device_attributes, const char *) = name;
    return NULL;
}

static const char *set_device_ca(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_DEVICE_CA);
    const char *what = ap_cstr_casecmp(name, "apple") ? mdm_conf_file(cmd, name) : "apple";

    (void)dir;
    if (!what)
        return mdm_conf_refuse_value(cmd, name, "apple or the path of a file");
    APR_ARRAY_PUSH(conf->device_cas, const char *) = what;
    return NULL;
}

static const char *set_deny(cmd_parms *cmd, void *dir, const char *fingerprint)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_DENY_CERTIFICATE);

    (void)dir;
    if (!mdm_trust_deny(mdm_trust_create(cmd->temp_pool), fingerprint))
        return mdm_conf_refuse_value(
            cmd, fingerprint, "the SHA-256 fingerprint of a certificate, 64 hexadecimal digits");
    APR_ARRAY_PUSH(conf->denied, const char *) = fingerprint;
    return NULL;
}

static const char *set_certificate(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_CERTIFICATE);
    const char *file = mdm_conf_file(cmd, name);

    (void)dir;
    if (!file)
        return mdm_conf_refuse_value(cmd, name, "the path of a file");
    APR_ARRAY_PUSH(conf->certificates, const char *) = file;
    return NULL;
}

static const char *set_cipher(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_CIPHER);

    (void)dir;
    if (!ap_cstr_casecmp(name, "AES-256"))
        conf->cipher = EVP_aes_256_cbc();
    else if (!ap_cstr_casecmp(name, "AES-128"))
        conf->cipher = EVP_aes_128_cbc();
    else if (!ap_cstr_casecmp(name, "DES3"))
        conf->cipher = EVP_des_ede3_cbc();
    else
        return mdm_conf_refuse_value(cmd, name, "AES-256, AES-128 or DES3");
    return NULL;
}

static const char *set_client_certificate(cmd_parms *cmd, void *dir, const char *how)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_CLIENT_CERTIFICATE);

    (void)dir;
    if (!ap_cstr_casecmp(how, "off"))
        conf->client_certificate = MDM_TLS_CERTIFICATE_OFF;
    else if (!ap_cstr_casecmp(how, "optional"))
        conf->client_certificate = MDM_TLS_CERTIFICATE_OPTIONAL;
    else if (!ap_cstr_casecmp(how, "require"))
        conf->client_certificate = MDM_TLS_CERTIFICATE_REQUIRE;
    else
        return mdm_conf_refuse_value(cmd, how, "off, optional or require");
    return NULL;
}

static const char *set_directory(cmd_parms *cmd, void *dir, const char *url, const char *starttls)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_DIRECTORY);
    mdm_ldap_settings_t settings = {0};
    const char *why = mdm_ldap_parse_url(cmd->pool, url, &settings);

    (void)dir;
    if (why)
        return mdm_conf_refuse(cmd, why);
    if (starttls && ap_cstr_casecmp(starttls, "STARTTLS"))
        return mdm_conf_refuse_value(cmd, starttls, "STARTTLS, or nothing behind the URL");
    if (starttls && !ap_cstr_casecmpn(settings.url, "ldaps:", 6))
        return mdm_conf_refuse_value(cmd, starttls,
                                     "no STARTTLS with an ldaps URL, which is TLS already");
    conf->directory_url = url;
    conf->directory_starttls = starttls != NULL;
    return NULL;
}

/* No message of this one repeats what was given: it is, or may be meant as, the password. */
static const char *set_directory_bind(cmd_parms *cmd, void *dir, const char *dn,
                                      const char *password)
{
    static const char prefix[] = "file:";
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_DIRECTORY_BIND);

    (void)dir;
    conf->bind_dn = dn;
    conf->bind_password = NULL;
    conf->bind_file = NULL;
    if (strncmp(password, prefix, sizeof(prefix) - 1)) {
        /* What other directives, or other programs, would read a password from. */
        if (!strncmp(password, "exec:", 5) || password[0] == '/')
            return mdm_conf_refuse(
                cmd, "the password is given as a command or a path, and would be taken as "
                     "it is written; wanted: file:/path of a file with the password in "
                     "its first line");
        conf->bind_password = password;
        return NULL;
    }
    conf->bind_file = mdm_conf_file(cmd, password + sizeof(prefix) - 1);
    return conf->bind_file ? NULL
                           : mdm_conf_refuse(cmd, "no path behind \"file:\"; wanted: file:/path");
}

static const char *set_directory_group(cmd_parms *cmd, void *dir, const char *dn)
{
    (void)dir;
    if (!strchr(dn, '='))
        return mdm_conf_refuse_value(cmd, dn,
                                     "the DN of a group, such as cn=mobile,ou=groups,dc=example");
    mdm_conf_mark(cmd, MDM_SET_DIRECTORY_GROUP)->directory_group = dn;
    return NULL;
}

static const char *set_directory_ca(cmd_parms *cmd, void *dir, const char *name)
{
    const char *file = mdm_conf_file(cmd, name);

    (void)dir;
    if (!file)
        return mdm_conf_refuse_value(cmd, name, "the path of a file");
    mdm_conf_mark(cmd, MDM_SET_DIRECTORY_CA)->directory_ca = file;
    return NULL;
}

static const char *set_directory_timeout(cmd_parms *cmd, void *dir, const char *value)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_DIRECTORY_TIMEOUT);

    (void)dir;
    return mdm_conf_parse_time(cmd, value, apr_time_from_msec(100), apr_time_from_sec(60),
                               "a time from 100ms to 60s, such as 3s", &conf->directory_timeout);
}

static const char *set_require(cmd_parms *cmd, void *dir, const char *expression, const char *text)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_REQUIRE);
    mdm_requirement_t *requirement = apr_pcalloc(cmd->pool, sizeof(*requirement));
    const char *error = NULL;

    (void)dir;
    requirement->source = expression;
    requirement->text = text;
    requirement->where = cmd->directive;
    requirement->expression =
        ap_expr_parse_cmd(cmd, expression, AP_EXPR_FLAG_DONT_VARY, &error, NULL);
    if (error)
        return mdm_conf_refuse_expression(cmd, cmd->cmd->name, expression, error,
                                          "an expression of httpd");
    if (text && (!*text || !mdm_plist_text_ok(text)))
        return mdm_conf_refuse_value(cmd, text, "a sentence for the user, in UTF-8");
    APR_ARRAY_PUSH(conf->requirements, mdm_requirement_t *) = requirement;
    return NULL;
}

static const char *set_lifetime(cmd_parms *cmd, void *dir, const char *value)
{
    apr_interval_time_t time;
    const char *why =
        mdm_conf_parse_time(cmd, value, apr_time_from_sec(1), apr_time_from_sec(7 * 86400),
                            "a time from 1s to 7d, such as 15min", &time);

    (void)dir;
    if (why)
        return why;
    mdm_conf_mark(cmd, MDM_SET_LIFETIME)->lifetime = apr_time_sec(time);
    return NULL;
}

const command_rec mdm_conf_directives[] = {
    AP_INIT_TAKE1(
        "MDMEnrollEndpoint", mdm_conf_set_endpoint, NULL, RSRC_CONF | ACCESS_CONF,
        "profile, device, scep, ca, crl, direct, update or acme: what this <Location> is"),
    AP_INIT_ITERATE("MDMEnrollAllowChange", mdm_conf_set_allow_change, NULL, RSRC_CONF,
                    "all, or keys of com.apple.mdm that may change though no update can change "
                    "them"),
    AP_INIT_TAKE1(
        "MDMEnrollStore", set_store, NULL, RSRC_CONF,
        "sqlite3:/absolute/path or pgsql:conninfo: the database; in quotes if it has blanks"),
    AP_INIT_TAKE1(
        "MDMEnrollOrganization", set_organization, NULL, RSRC_CONF,
        "name of the organization, in profiles and certificates; in quotes if it has blanks, "
        "and not empty"),
    AP_INIT_TAKE1("MDMEnrollIdentifier", set_identifier, NULL, RSRC_CONF,
                  "PayloadIdentifier of the enrollment profile, in reverse DNS notation"),
    AP_INIT_TAKE12("MDMEnrollServer", set_server, NULL, RSRC_CONF,
                   "ServerURL and, if it differs, CheckInURL of the MDM server"),
    AP_INIT_TAKE12("MDMEnrollTemplate", mdm_conf_set_template, NULL, RSRC_CONF,
                   "file of an enrollment profile, and for whom it is: an expression, in quotes"),
    AP_INIT_TAKE1("MDMEnrollTopic", set_topic, NULL, RSRC_CONF,
                  "topic of the MDM server's push certificate, com.apple.mgmt.*"),
    AP_INIT_TAKE2("MDMEnrollCA", mdm_conf_set_ca, NULL, RSRC_CONF,
                  "certificate file of the issuing CA, and the file or pkcs11: URI of its key"),
    AP_INIT_TAKE2(
        "MDMEnrollRA", mdm_conf_set_ra, NULL, RSRC_CONF,
        "certificate file, and file or pkcs11: URI of the key, of the RA that answers SCEP"),
    AP_INIT_TAKE1("MDMEnrollNextCA", mdm_conf_set_next_ca, NULL, RSRC_CONF,
                  "file of the CA certificate (and RA's) that will follow"),
    AP_INIT_TAKE1(
        "MDMEnrollRenewal", mdm_conf_set_renewal, NULL, RSRC_CONF,
        "off, or how long before its end a certificate can be renewed by SCEP, such as 30d"),
    AP_INIT_TAKE1("MDMEnrollRenewalGrace", mdm_conf_set_renewal_grace, NULL, RSRC_CONF,
                  "off, or how long past its end an identity is good for an update, such as 30d"),
    AP_INIT_ITERATE("MDMEnrollSCEPAllow", mdm_conf_set_scep_allow, NULL, RSRC_CONF,
                    "none, SHA-1, DES3: weak algorithms taken of old SCEP clients"),
    AP_INIT_TAKE1("MDMEnrollCRLURL", mdm_conf_set_crl_url, NULL, RSRC_CONF,
                  "none, or the URL of the CRL in issued certificates"),
    AP_INIT_TAKE2("MDMEnrollAltName", mdm_conf_set_alt_name, NULL, RSRC_CONF,
                  "URI, DNS or email, and a name for the subjectAltName of issued certificates"),
    AP_INIT_TAKE23(
        "MDMEnrollSigner", set_signer, NULL, RSRC_CONF,
        "files of certificate, key and chain that sign profiles, instead of the vhost's"),
    AP_INIT_TAKE_ARGV("MDMEnrollPassPhraseDialog", mdm_conf_set_pass_phrase, NULL, RSRC_CONF,
                      "builtin, or exec:/path of a program that prints the pass phrase of a key"),
    AP_INIT_TAKE1("MDMEnrollBaseURL", set_base_url, NULL, RSRC_CONF,
                  "https://host[:port] as devices see this vhost, behind a proxy"),
    AP_INIT_ITERATE("MDMEnrollDeviceAttributes", set_device_attribute, NULL, RSRC_CONF,
                    "names of the attributes that devices are asked for"),
    AP_INIT_ITERATE("MDMEnrollDeviceCA", set_device_ca, NULL, RSRC_CONF,
                    "apple, or files of certificates: who issues built-in device identities"),
    AP_INIT_ITERATE("MDMEnrollDenyCertificate", set_deny, NULL, RSRC_CONF,
                    "SHA-256 fingerprints of certificates that are never accepted"),
    AP_INIT_ITERATE("MDMEnrollCertificate", set_certificate, NULL, RSRC_CONF,
                    "files of root and intermediate certificates for the enrollment profile"),
    AP_INIT_TAKE1("MDMEnrollCipher", set_cipher, NULL, RSRC_CONF,
                  "AES-256, AES-128 or DES3: how the enrollment profile is encrypted"),
    AP_INIT_TAKE_ARGV("MDMEnrollPayload", mdm_conf_set_payload, NULL, RSRC_CONF,
                      "a payload type, a key of its schema, and the value"),
    AP_INIT_TAKE1("MDMEnrollClientCertificate", set_client_certificate, NULL, RSRC_CONF,
                  "off, optional or require: the certificate of the TLS handshake"),
    AP_INIT_TAKE12("MDMEnrollDirectory", set_directory, NULL, RSRC_CONF,
                   "LDAP URL where users are looked up again, and STARTTLS"),
    AP_INIT_TAKE2("MDMEnrollDirectoryBind", set_directory_bind, NULL, RSRC_CONF,
                  "DN to bind as, and its password or file:/path"),
    AP_INIT_TAKE1("MDMEnrollDirectoryGroup", set_directory_group, NULL, RSRC_CONF,
                  "DN of the group that users must be in; in quotes if it has blanks"),
    AP_INIT_TAKE1("MDMEnrollDirectoryCA", set_directory_ca, NULL, RSRC_CONF,
                  "file of the CA certificates that the directory's TLS is checked with"),
    AP_INIT_TAKE1("MDMEnrollDirectoryTimeout", set_directory_timeout, NULL, RSRC_CONF,
                  "how long a look-up may take, everything together, such as 3s"),
    AP_INIT_TAKE12(
        "MDMEnrollRequire", set_require, NULL, RSRC_CONF,
        "an expression that must hold for user and device, and a text for the user, each in "
        "quotes"),
    AP_INIT_TAKE23("MDMEnrollSerials", mdm_conf_set_serials, NULL, RSRC_CONF,
                   "allow or deny, file:/path or sql:SELECT ... of a list of serial numbers, and a "
                   "text for the user, each in quotes if it has blanks"),
    AP_INIT_TAKE23(
        "MDMEnrollLimit", mdm_conf_set_limit, NULL, RSRC_CONF,
        "devices or hourly, how many of them a user may have, and a text for the user, in quotes"),
    AP_INIT_TAKE1("MDMEnrollLifetime", set_lifetime, NULL, RSRC_CONF,
                  "how long user and device have for each next step, such as 15min"),
    AP_INIT_TAKE_ARGV("MDMEnrollIdentity", mdm_conf_set_identity, NULL, RSRC_CONF,
                      "builtin, scep URL, acme URL or pkcs12, and options: where devices get their "
                      "certificates"),
    AP_INIT_ITERATE("MDMEnrollIdentityCA", mdm_conf_set_identity_ca, NULL, RSRC_CONF,
                    "files of certificates: who else may have issued the identities of phase 3"),
    AP_INIT_TAKE_ARGV("MDMEnrollNotify", mdm_conf_set_notify, NULL, RSRC_CONF,
                      "an https URL with secret=file:/path, or exec:/path: who is told of each "
                      "enrollment"),
    AP_INIT_TAKE1("MDMEnrollValidity", mdm_conf_set_validity, NULL, RSRC_CONF,
                  "how long issued certificates are valid, such as 365d"),
    {.name = NULL}};
