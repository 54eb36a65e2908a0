/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollIdentity and MDMEnrollIdentityCA: where a device gets its two certificates, if not from
 * MDMEnrollCA; who else may have issued those of phase 3; and what is made of that at start.
 */
#include "conf.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "challenge_source.h"
#include "conf_outside.h"

#define DEFAULT_CHALLENGE_TIMEOUT apr_time_from_sec(10)

/* Longest Name, in bytes; devices put it into a URL. */
#define MAX_NAME 256

typedef struct {
    mdm_conf_identity_t *made;
    int purposes; /* bits of mdm_conf_identity_index_t */
} parsed_t;

static const char *const option_names[] = {
    "for",  "challenge", "challenge-ca", "challenge-timeout", "challenge-token", "ca-fingerprint",
    "name", NULL};
enum {
    OPTION_FOR,
    OPTION_CHALLENGE,
    OPTION_CHALLENGE_CA,
    OPTION_CHALLENGE_TIMEOUT,
    OPTION_CHALLENGE_TOKEN,
    OPTION_CA_FINGERPRINT,
    OPTION_NAME
};

static mdm_identity_kind_t kind_of(const mdm_server_conf_t *conf, mdm_conf_identity_index_t index)
{
    return conf->identities[index] ? conf->identities[index]->kind : MDM_IDENTITY_BUILTIN;
}

int mdm_conf_needs_scep(const mdm_server_conf_t *conf)
{
    const mdm_conf_identity_t *mdm = conf->identities[MDM_CONF_MDM_IDENTITY];

    return kind_of(conf, MDM_CONF_IDENTITY) == MDM_IDENTITY_BUILTIN ||
           kind_of(conf, MDM_CONF_MDM_IDENTITY) == MDM_IDENTITY_BUILTIN ||
           (mdm->kind == MDM_IDENTITY_ACME && mdm->fallback_said && mdm->acme.fallback);
}

int mdm_conf_needs_ca(const mdm_server_conf_t *conf)
{
    return mdm_conf_needs_scep(conf) || kind_of(conf, MDM_CONF_MDM_IDENTITY) == MDM_IDENTITY_PKCS12;
}

/* --- MDMEnrollIdentity --- */

static const char *set_for(parsed_t *parsed, const char *value)
{
    static const struct {
        const char *name;
        int purposes;
    } words[] = {{"identity", 1 << MDM_CONF_IDENTITY},
                 {"mdm", 1 << MDM_CONF_MDM_IDENTITY},
                 {"all", 1 << MDM_CONF_IDENTITY | 1 << MDM_CONF_MDM_IDENTITY}};
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!ap_cstr_casecmp(value, words[i].name)) {
            parsed->purposes = words[i].purposes;
            return NULL;
        }
    }
    return "wanted: for=identity (the certificate of phase 3), for=mdm (that of the MDM server) or "
           "for=all";
}

/* The value is, or may be meant as, a secret: no message repeats it. */
static const char *set_challenge(apr_pool_t *p, mdm_conf_identity_t *made, const char *value)
{
    static const char text[] = "text:";

    if (!strncmp(value, text, sizeof(text) - 1)) {
        made->challenge_kind = MDM_CONF_CHALLENGE_TEXT;
        made->challenge = value + sizeof(text) - 1;
        return mdm_identity_challenge_ok(made->challenge)
                   ? NULL
                   : apr_psprintf(p,
                                  "the challenge behind \"text:\" is not accepted; wanted: 1 to "
                                  "%d bytes of text",
                                  MDM_IDENTITY_MAX_CHALLENGE);
    }
    if ((made->challenge = mdm_conf_path_behind(p, value, "file:")) != NULL) {
        made->challenge_kind = MDM_CONF_CHALLENGE_FILE;
        return NULL;
    }
    if ((made->challenge = mdm_conf_path_behind(p, value, "exec:")) != NULL) {
        made->challenge_kind = MDM_CONF_CHALLENGE_EXEC;
        return NULL;
    }
    if (mdm_conf_is_service(p, value)) {
        made->challenge_kind = MDM_CONF_CHALLENGE_HOOK;
        made->challenge = value;
        return NULL;
    }
    return "challenge= is not accepted; wanted: text:SECRET, file:/path, exec:/path, or an https "
           "URL (http on loopback only)";
}

/* The lengths of MD5, SHA-1 and SHA-256, which devices tell apart by. */
static const char *set_fingerprint(apr_pool_t *p, mdm_conf_identity_t *made, const char *value)
{
    unsigned char *bytes = apr_palloc(p, 32);
    apr_size_t digits = 0;
    const char *c;

    for (c = value; *c; c++) {
        int digit = apr_isdigit(*c) ? *c - '0' : apr_tolower(*c) - 'a' + 10;

        if (*c == ':')
            continue;
        if (!apr_isxdigit(*c) || digits == 64)
            break;
        bytes[digits / 2] = (unsigned char)(digits % 2 ? bytes[digits / 2] << 4 | digit : digit);
        digits++;
    }
    if (*c || (digits != 32 && digits != 40 && digits != 64))
        return "wanted: the MD5, SHA-1 or SHA-256 fingerprint of the CA's certificate, 32, 40 or "
               "64 hexadecimal digits";
    made->fingerprint = bytes;
    made->fingerprint_len = digits / 2;
    return NULL;
}

static const char *set_option(cmd_parms *cmd, void *baton, int option, const char *value)
{
    parsed_t *parsed = baton;
    mdm_conf_identity_t *made = parsed->made;
    apr_pool_t *p = cmd->pool;

    switch (option) {
    case OPTION_FOR:
        return set_for(parsed, value);
    case OPTION_CHALLENGE:
        return set_challenge(p, made, value);
    case OPTION_CHALLENGE_CA:
        made->challenge_ca = *value ? ap_server_root_relative(p, value) : NULL;
        return made->challenge_ca ? NULL : "wanted: the path of a file";
    case OPTION_CHALLENGE_TIMEOUT:
        return mdm_conf_parse_timeout(value, &made->challenge_timeout);
    case OPTION_CHALLENGE_TOKEN:
        made->token_file = mdm_conf_path_behind(p, value, "file:");
        return made->token_file ? NULL
                                : "wanted: file:/path of a file with the token in its first line";
    case OPTION_CA_FINGERPRINT:
        return set_fingerprint(p, made, value);
    default:
        made->name = value;
        return *value && strlen(value) <= MAX_NAME && mdm_identity_challenge_ok(value)
                   ? NULL
                   : "wanted: the name that the SCEP server knows its CA by";
    }
}

static const mdm_conf_options_t options = {
    option_names,
    "for=, name=, challenge=, challenge-ca=, challenge-timeout=, challenge-token= or "
    "ca-fingerprint=",
    set_option};

/* What is said of a source that is not there. */
static const char *check_options(const mdm_conf_identity_t *made, int seen)
{
    const int source = 1 << OPTION_CHALLENGE_TIMEOUT;
    const int hook = 1 << OPTION_CHALLENGE_CA | 1 << OPTION_CHALLENGE_TOKEN;

    if (made->kind == MDM_IDENTITY_BUILTIN && seen & ~(1 << OPTION_FOR))
        return "builtin takes no option but for=; wanted: the others with scep URL only";
    if (seen & hook && made->challenge_kind != MDM_CONF_CHALLENGE_HOOK)
        return "challenge-ca= and challenge-token= are for a challenge from a URL; wanted: "
               "challenge=https://host/path with them";
    if (seen & source && made->challenge_kind != MDM_CONF_CHALLENGE_HOOK &&
        made->challenge_kind != MDM_CONF_CHALLENGE_EXEC)
        return "challenge-timeout= is for a challenge that is asked for; wanted: "
               "challenge=exec:/path or challenge=https://host/path with it";
    return NULL;
}

/* The certificates that the directive is for; each has one place that it comes from. */
static const char *enter(cmd_parms *cmd, const parsed_t *parsed)
{
    static const mdm_set_t sets[] = {MDM_SET_IDENTITY, MDM_SET_MDM_IDENTITY};
    static const char *const words[] = {"identity", "mdm"};
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    int i;

    for (i = 0; i < MDM_CONF_IDENTITY_COUNT; i++) {
        const ap_directive_t *before = conf->where[sets[i]];

        if (!(parsed->purposes & 1 << i))
            continue;
        if (before)
            return apr_psprintf(cmd->pool,
                                "%s: for=%s is said already (%s:%d); wanted: once for each of "
                                "identity and mdm",
                                cmd->cmd->name, words[i], before->filename, before->line_num);
        conf->identities[i] = parsed->made;
        conf->where[sets[i]] = cmd->directive;
    }
    return NULL;
}

const char *mdm_conf_set_identity(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    mdm_conf_identity_t *made = apr_pcalloc(cmd->pool, sizeof(*made));
    parsed_t parsed = {made, 1 << MDM_CONF_IDENTITY | 1 << MDM_CONF_MDM_IDENTITY};
    int seen = 0, i = 1;
    const char *why;

    (void)dir;
    made->challenge_timeout = DEFAULT_CHALLENGE_TIMEOUT;
    if (argc >= 1 && (!ap_cstr_casecmp(argv[0], "acme") || !ap_cstr_casecmp(argv[0], "pkcs12"))) {
        parsed.purposes = 1 << MDM_CONF_MDM_IDENTITY;
        why = mdm_conf_parse_issue(cmd, argc, argv, made);
        return why ? why : enter(cmd, &parsed);
    }
    if (argc >= 1 && !ap_cstr_casecmp(argv[0], "scep")) {
        made->kind = MDM_IDENTITY_SCEP;
        made->url = argc >= 2 ? argv[1] : "";
        if (!mdm_conf_is_url(cmd->pool, made->url, 1) || strchr(made->url, '?'))
            return apr_psprintf(cmd->pool,
                                "%s: \"%s\" is no URL of a SCEP server; wanted: "
                                "https://host[:port]/path or http://host[:port]/path without \"?\" "
                                "(devices put their own query there)",
                                cmd->cmd->name, made->url);
        i = 2;
    } else if (argc < 1 || ap_cstr_casecmp(argv[0], "builtin")) {
        return apr_psprintf(cmd->pool,
                            "%s: \"%s\" is not accepted; wanted: builtin, scep URL, acme URL or "
                            "pkcs12",
                            cmd->cmd->name, argc >= 1 ? argv[0] : "");
    }
    for (; i < argc; i++) {
        why = mdm_conf_parse_option(cmd, &options, &parsed, argv[i], &seen);
        if (why)
            return why;
    }
    why = check_options(made, seen);
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : enter(cmd, &parsed);
}

const char *mdm_conf_set_identity_ca(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    const char *file = *name ? ap_server_root_relative(cmd->pool, name) : NULL;

    (void)dir;
    if (!file)
        return apr_psprintf(cmd->pool, "%s: \"%s\" is not accepted; wanted: the path of a file",
                            cmd->cmd->name, name);
    APR_ARRAY_PUSH(conf->identity_cas, const char *) = file;
    conf->where[MDM_SET_IDENTITY_CA] = cmd->directive;
    return NULL;
}

/* --- at start --- */

static const mdm_challenge_source_t *make_hook(mdm_check_t *check, apr_pool_t *p,
                                               const ap_directive_t *where,
                                               const mdm_conf_identity_t *conf)
{
    mdm_http_service_t service = {
        .url = conf->challenge, .ca_file = conf->challenge_ca, .timeout = conf->challenge_timeout};

    mdm_conf_read_service(check, p, where, conf->token_file, "challenge-ca=", &service);
    return mdm_challenge_hook(p, &service);
}

static const mdm_challenge_source_t *make_source(mdm_check_t *check, apr_pool_t *p,
                                                 const ap_directive_t *where,
                                                 const mdm_conf_identity_t *conf)
{
    const char *text;

    switch (conf->challenge_kind) {
    case MDM_CONF_CHALLENGE_TEXT:
        return mdm_challenge_text(p, conf->challenge);
    case MDM_CONF_CHALLENGE_FILE:
        text = mdm_conf_read_secret(check, p, where, conf->challenge, "challenge");
        if (text && !mdm_identity_challenge_ok(text))
            mdm_conf_problem(check, where,
                             "the first line of %s is no challenge; wanted: 1 to %d bytes of text",
                             conf->challenge, MDM_IDENTITY_MAX_CHALLENGE);
        return text ? mdm_challenge_text(p, text) : NULL;
    case MDM_CONF_CHALLENGE_EXEC:
        mdm_conf_check_program(check, p, where, "challenge=exec:", conf->challenge);
        return mdm_challenge_exec(p, conf->challenge, conf->challenge_timeout);
    case MDM_CONF_CHALLENGE_HOOK:
        return make_hook(check, p, where, conf);
    default:
        return NULL;
    }
}

static const mdm_identity_t *make_identity(mdm_check_t *check, apr_pool_t *p,
                                           const mdm_server_conf_t *server,
                                           const ap_directive_t *where,
                                           const mdm_conf_identity_t *conf)
{
    mdm_identity_t *made;

    if (!conf || conf->kind == MDM_IDENTITY_BUILTIN)
        return NULL;
    made = apr_palloc(p, sizeof(*made));
    *made = (mdm_identity_t){.kind = conf->kind,
                             .url = conf->url,
                             .name = conf->name,
                             .fingerprint = conf->fingerprint,
                             .fingerprint_len = conf->fingerprint_len,
                             .challenge = make_source(check, p, where, conf),
                             .acme = conf->acme,
                             .pkcs12 = conf->pkcs12};
    made->acme.fallback = mdm_conf_falls_back(server, conf);
    return made;
}

void mdm_conf_make_identities(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                              mdm_ota_settings_t *settings)
{
    const ap_directive_t *where = conf->where[MDM_SET_IDENTITY];

    settings->identity = make_identity(check, p, conf, where, conf->identities[MDM_CONF_IDENTITY]);
    settings->mdm_identity = make_identity(check, p, conf, conf->where[MDM_SET_MDM_IDENTITY],
                                           conf->identities[MDM_CONF_MDM_IDENTITY]);
    if (settings->identity && !conf->where[MDM_SET_IDENTITY_CA])
        mdm_conf_problem(check, where,
                         "the certificates of phase 3 come from %s, and no CA is named whose "
                         "certificates are taken there; add MDMEnrollIdentityCA with the "
                         "certificate of the CA that issues them",
                         settings->identity->url);
    mdm_conf_check_issue(check, conf);
}

void mdm_conf_trust_identities(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                               mdm_trust_t *trust)
{
    const ap_directive_t *where = conf->where[MDM_SET_IDENTITY_CA];
    int i, k;

    for (i = 0; i < conf->identity_cas->nelts; i++) {
        const char *file = APR_ARRAY_IDX(conf->identity_cas, i, const char *);
        STACK_OF(X509) *certs = NULL;
        mdm_result_t result = mdm_x509_read_certificates(p, file, &certs);

        if (result.kind != MDM_OK)
            mdm_conf_problem(check, where, "%s", result.log);
        for (k = 0; result.kind == MDM_OK && k < sk_X509_num(certs); k++) {
            mdm_result_t added = mdm_trust_add_foreign_ca(trust, sk_X509_value(certs, k));

            if (added.kind != MDM_OK)
                mdm_conf_problem(check, where, "%s: %s", file, added.log);
        }
    }
}

/* What it demands of devices is a rule, too. Whether those of which it demands nothing fall back is
 * none: a vhost that only has the endpoint acme has nothing to fall back to. */
static const char *rule_of(apr_pool_t *p, const mdm_identity_t *identity)
{
    const mdm_identity_acme_t *acme = &identity->acme;
    int demands = acme->hardware == MDM_USE_REQUIRE || acme->attest == MDM_USE_REQUIRE;

    switch (identity->kind) {
    case MDM_IDENTITY_PKCS12:
        return "pkcs12";
    case MDM_IDENTITY_ACME:
        return apr_psprintf(p, "acme %s %d %d %d", identity->url, (int)acme->hardware,
                            (int)acme->attest, demands && acme->fallback);
    default:
        return identity->url;
    }
}

void mdm_conf_identity_rules(apr_array_header_t *texts, const mdm_ota_settings_t *settings)
{
    const mdm_identity_t *const identities[] = {settings->identity, settings->mdm_identity};
    apr_size_t i;

    for (i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
        if (!identities[i])
            continue;
        APR_ARRAY_PUSH(texts, const char *) = i == 0 ? "identity" : "MDM identity";
        APR_ARRAY_PUSH(texts, const char *) = rule_of(texts->pool, identities[i]);
    }
}

int mdm_conf_asks_services(const mdm_server_conf_t *conf)
{
    int i;

    for (i = 0; i < MDM_CONF_IDENTITY_COUNT; i++)
        if (conf->identities[i] && conf->identities[i]->challenge_kind == MDM_CONF_CHALLENGE_HOOK)
            return 1;
    return 0;
}
