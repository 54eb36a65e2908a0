/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollIdentity and MDMEnrollIdentityCA: where a device gets its two certificates, if not from
 * MDMEnrollCA; who else may have issued those of phase 3; and what is made of that at start.
 */
#include "conf.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>

#include "../core/mdm_schema.h"
#include "challenge_source.h"

#define DEFAULT_CHALLENGE_TIMEOUT apr_time_from_sec(10)

/* Longest Name, in bytes; devices put it into a URL. */
#define MAX_NAME 256

typedef struct {
    mdm_conf_identity_t *made;
    int purposes; /* bits of mdm_conf_identity_index_t */
} parsed_t;

static const char *const option_names[] = {
    "for", "challenge", "challenge-ca", "challenge-timeout", "challenge-token", "ca-fingerprint",
    "name"};
enum {
    OPTION_FOR,
    OPTION_CHALLENGE,
    OPTION_CHALLENGE_CA,
    OPTION_CHALLENGE_TIMEOUT,
    OPTION_CHALLENGE_TOKEN,
    OPTION_CA_FINGERPRINT,
    OPTION_NAME,
    OPTION_COUNT
};

int mdm_conf_identity_is_foreign(const mdm_server_conf_t *conf, mdm_conf_identity_index_t index)
{
    return conf->identities[index] && conf->identities[index]->kind != MDM_IDENTITY_BUILTIN;
}

int mdm_conf_needs_ca(const mdm_server_conf_t *conf)
{
    return !mdm_conf_identity_is_foreign(conf, MDM_CONF_IDENTITY) ||
           !mdm_conf_identity_is_foreign(conf, MDM_CONF_MDM_IDENTITY);
}

/* --- MDMEnrollIdentity --- */

/* What SCEP is plain http for: its messages protect themselves. */
static int is_url(apr_pool_t *p, const char *url, int http)
{
    static const char plain[] = "http://";
    const char *secure = url;

    if (http && !strncmp(url, plain, sizeof(plain) - 1))
        secure = apr_pstrcat(p, "https://", url + sizeof(plain) - 1, NULL);
    return !mdm_schema_check_url(p, secure);
}

static int is_loopback(apr_pool_t *p, const char *url)
{
    apr_uri_t uri;

    return apr_uri_parse(p, url, &uri) == APR_SUCCESS && uri.hostname &&
           (!strcmp(uri.hostname, "127.0.0.1") || !strcmp(uri.hostname, "localhost") ||
            !strcmp(uri.hostname, "::1") || !strcmp(uri.hostname, "[::1]"));
}

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

/* A path behind a prefix; NULL if there is none. */
static const char *path_behind(apr_pool_t *p, const char *value, const char *prefix)
{
    apr_size_t len = strlen(prefix);

    return !strncmp(value, prefix, len) && value[len] ? ap_server_root_relative(p, value + len)
                                                      : NULL;
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
    if ((made->challenge = path_behind(p, value, "file:")) != NULL) {
        made->challenge_kind = MDM_CONF_CHALLENGE_FILE;
        return NULL;
    }
    if ((made->challenge = path_behind(p, value, "exec:")) != NULL) {
        made->challenge_kind = MDM_CONF_CHALLENGE_EXEC;
        return NULL;
    }
    if (is_url(p, value, 0) || (is_url(p, value, 1) && is_loopback(p, value))) {
        made->challenge_kind = MDM_CONF_CHALLENGE_HOOK;
        made->challenge = value;
        return NULL;
    }
    return "challenge= is not accepted; wanted: text:SECRET, file:/path, exec:/path, or an https "
           "URL (http on loopback only)";
}

static const char *set_timeout(mdm_conf_identity_t *made, const char *value)
{
    if (!apr_isdigit(*value) ||
        ap_timeout_parameter_parse(value, &made->challenge_timeout, "s") != APR_SUCCESS ||
        made->challenge_timeout < apr_time_from_msec(100) ||
        made->challenge_timeout > apr_time_from_sec(60))
        return "wanted: a time from 100ms to 60s, such as challenge-timeout=10s";
    return NULL;
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

static const char *set_option(cmd_parms *cmd, parsed_t *parsed, int option, const char *value)
{
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
        return set_timeout(made, value);
    case OPTION_CHALLENGE_TOKEN:
        made->token_file = path_behind(p, value, "file:");
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

/* One option=value; *seen has a bit for each that was given. */
static const char *parse_option(cmd_parms *cmd, parsed_t *parsed, const char *arg, int *seen)
{
    const char *equals = strchr(arg, '=');
    apr_size_t len = equals ? (apr_size_t)(equals - arg) : 0;
    const char *why;
    int i;

    for (i = 0; i < OPTION_COUNT; i++)
        if (len == strlen(option_names[i]) && !ap_cstr_casecmpn(arg, option_names[i], len))
            break;
    if (i == OPTION_COUNT)
        return apr_psprintf(cmd->pool,
                            "%s: \"%s\" is no option; wanted: for=, name=, challenge=, "
                            "challenge-ca=, challenge-timeout=, challenge-token= or "
                            "ca-fingerprint=, with a value right behind it",
                            cmd->cmd->name, equals ? apr_pstrmemdup(cmd->pool, arg, len + 1) : arg);
    if (*seen & 1 << i)
        return apr_psprintf(cmd->pool, "%s: %s= is given twice; wanted: once", cmd->cmd->name,
                            option_names[i]);
    *seen |= 1 << i;
    why = set_option(cmd, parsed, i, equals + 1);
    return why ? apr_psprintf(cmd->pool, "%s: %s=: %s", cmd->cmd->name, option_names[i], why)
               : NULL;
}

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
    if (argc >= 1 && !ap_cstr_casecmp(argv[0], "scep")) {
        made->kind = MDM_IDENTITY_SCEP;
        made->url = argc >= 2 ? argv[1] : "";
        if (!is_url(cmd->pool, made->url, 1) || strchr(made->url, '?'))
            return apr_psprintf(cmd->pool,
                                "%s: \"%s\" is no URL of a SCEP server; wanted: "
                                "https://host[:port]/path or http://host[:port]/path without \"?\" "
                                "(devices put their own query there)",
                                cmd->cmd->name, made->url);
        i = 2;
    } else if (argc < 1 || ap_cstr_casecmp(argv[0], "builtin")) {
        return apr_psprintf(cmd->pool, "%s: \"%s\" is not accepted; wanted: builtin, or scep URL",
                            cmd->cmd->name, argc >= 1 ? argv[0] : "");
    }
    for (; i < argc; i++) {
        why = parse_option(cmd, &parsed, argv[i], &seen);
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

static void check_program(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                          const char *path)
{
    const apr_fileperms_t any = APR_FPROT_UEXECUTE | APR_FPROT_GEXECUTE | APR_FPROT_WEXECUTE;
    apr_finfo_t info;
    apr_status_t rv = apr_stat(&info, path, APR_FINFO_TYPE | APR_FINFO_PROT, p);
    char reason[128];

    if (rv != APR_SUCCESS)
        mdm_conf_problem(check, where, "challenge=exec: %s: %s; wanted: a program", path,
                         apr_strerror(rv, reason, sizeof(reason)));
    else if (info.filetype != APR_REG || !(info.protection & any))
        mdm_conf_problem(check, where,
                         "challenge=exec: %s is no file that can be executed; wanted: a program "
                         "(chmod 755)",
                         path);
}

static const mdm_challenge_source_t *make_hook(mdm_check_t *check, apr_pool_t *p,
                                               const ap_directive_t *where,
                                               const mdm_conf_identity_t *conf)
{
    mdm_challenge_hook_t hook = {
        .url = conf->challenge, .ca_file = conf->challenge_ca, .timeout = conf->challenge_timeout};
    STACK_OF(X509) *certs;

    if (conf->token_file)
        hook.token = mdm_conf_read_secret(check, p, where, conf->token_file, "token");
    if (conf->challenge_ca) {
        mdm_result_t result = mdm_x509_read_certificates(p, conf->challenge_ca, &certs);

        if (result.kind != MDM_OK)
            mdm_conf_problem(check, where, "challenge-ca=: %s", result.log);
    }
    return mdm_challenge_hook(p, &hook);
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
        check_program(check, p, where, conf->challenge);
        return mdm_challenge_exec(p, conf->challenge, conf->challenge_timeout);
    case MDM_CONF_CHALLENGE_HOOK:
        return make_hook(check, p, where, conf);
    default:
        return NULL;
    }
}

static const mdm_identity_t *make_identity(mdm_check_t *check, apr_pool_t *p,
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
                             .challenge = make_source(check, p, where, conf)};
    return made;
}

void mdm_conf_make_identities(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                              mdm_ota_settings_t *settings)
{
    const ap_directive_t *where = conf->where[MDM_SET_IDENTITY];

    settings->identity = make_identity(check, p, where, conf->identities[MDM_CONF_IDENTITY]);
    settings->mdm_identity = make_identity(check, p, conf->where[MDM_SET_MDM_IDENTITY],
                                           conf->identities[MDM_CONF_MDM_IDENTITY]);
    if (settings->identity && !conf->where[MDM_SET_IDENTITY_CA])
        mdm_conf_problem(check, where,
                         "the certificates of phase 3 come from %s, and no CA is named whose "
                         "certificates are taken there; add MDMEnrollIdentityCA with the "
                         "certificate of the CA that issues them",
                         settings->identity->url);
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

void mdm_conf_identity_rules(apr_array_header_t *texts, const mdm_ota_settings_t *settings)
{
    const mdm_identity_t *const identities[] = {settings->identity, settings->mdm_identity};
    apr_size_t i;

    for (i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
        if (!identities[i])
            continue;
        APR_ARRAY_PUSH(texts, const char *) = i == 0 ? "identity" : "MDM identity";
        APR_ARRAY_PUSH(texts, const char *) = identities[i]->url;
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
