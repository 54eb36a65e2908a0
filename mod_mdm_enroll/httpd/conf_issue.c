/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollIdentity acme and pkcs12: identities for the MDM server that a device need not fetch by
 * SCEP. Neither is for the identity of phase 3.
 */
#include "conf.h"

#include <apr_strings.h>

#include "../core/mdm_schema.h"

/* One option of a kind: its values, and what takes one of them. */
typedef struct {
    const char *name;
    const char *wanted;
    int (*set)(mdm_conf_identity_t *made, const char *value); /* 0: not accepted */
} option_t;

static int set_use(mdm_use_t *use, const char *value)
{
    static const char *const words[] = {"auto", "off", "require"};
    int i;

    for (i = 0; i < 3; i++) {
        if (!ap_cstr_casecmp(value, words[i])) {
            *use = (mdm_use_t)i;
            return 1;
        }
    }
    return 0;
}

static int set_for(mdm_conf_identity_t *made, const char *value)
{
    (void)made;
    return !ap_cstr_casecmp(value, "mdm");
}

static int set_acme_key(mdm_conf_identity_t *made, const char *value)
{
    return !ap_cstr_casecmp(value, "auto") || mdm_key_kind_parse(value, &made->acme.key);
}

static int set_hardware(mdm_conf_identity_t *made, const char *value)
{
    return set_use(&made->acme.hardware, value);
}

static int set_attest(mdm_conf_identity_t *made, const char *value)
{
    return set_use(&made->acme.attest, value);
}

static int set_fallback(mdm_conf_identity_t *made, const char *value)
{
    made->fallback_said = 1;
    made->acme.fallback = !ap_cstr_casecmp(value, "builtin");
    return made->acme.fallback || !ap_cstr_casecmp(value, "none");
}

static int set_client(mdm_conf_identity_t *made, const char *value)
{
    static const char *const words[] = {"secret", "serial", "udid"};
    int i;

    for (i = 0; i < 3; i++) {
        if (!ap_cstr_casecmp(value, words[i])) {
            made->acme.client_identifier = (mdm_client_identifier_t)i;
            return 1;
        }
    }
    return 0;
}

static int set_pkcs12_key(mdm_conf_identity_t *made, const char *value)
{
    return mdm_key_kind_parse(value, &made->pkcs12.key);
}

static int set_algorithms(mdm_conf_identity_t *made, const char *value)
{
    if (!ap_cstr_casecmp(value, "auto"))
        made->pkcs12.algorithms = MDM_ALGORITHMS_AUTO;
    else if (!ap_cstr_casecmp(value, "legacy"))
        made->pkcs12.algorithms = MDM_ALGORITHMS_LEGACY;
    else if (!ap_cstr_casecmp(value, "modern"))
        made->pkcs12.algorithms = MDM_ALGORITHMS_MODERN;
    else
        return 0;
    return 1;
}

static const option_t acme_options[] = {
    {"for",
     "for=mdm, or no for= (in phase 2 a device takes an identity by SCEP or PKCS #12 only, so the "
     "identity of phase 3 cannot come by ACME)",
     set_for},
    {"key", "key=auto, P-256, P-384, RSA-2048, RSA-3072 or RSA-4096", set_acme_key},
    {"hardware", "hardware=auto, off or require", set_hardware},
    {"attest", "attest=auto, off or require", set_attest},
    {"fallback", "fallback=builtin or none", set_fallback},
    {"client-identifier", "client-identifier=secret, serial or udid", set_client},
    {NULL, NULL, NULL}};

static const option_t pkcs12_options[] = {
    {"for",
     "for=mdm, or no for= (the answer to phase 2 is not encrypted, so the key in it could be read)",
     set_for},
    {"key", "key=P-256, P-384, RSA-2048, RSA-3072 or RSA-4096", set_pkcs12_key},
    {"algorithms", "algorithms=auto, legacy or modern", set_algorithms},
    {NULL, NULL, NULL}};

static const char *option_list(apr_pool_t *p, const option_t *options)
{
    const char *list = "";

    for (; options->name; options++)
        list = apr_pstrcat(p, list, *list ? ", " : "", options->name, "=", NULL);
    return list;
}

static const char *parse_option(cmd_parms *cmd, const option_t *options, const char *arg, int *seen,
                                mdm_conf_identity_t *made)
{
    const char *equals = strchr(arg, '=');
    apr_size_t len = equals ? (apr_size_t)(equals - arg) : 0;
    int i;

    for (i = 0; options[i].name; i++)
        if (len == strlen(options[i].name) && !ap_cstr_casecmpn(arg, options[i].name, len))
            break;
    if (!options[i].name)
        return apr_psprintf(cmd->pool,
                            "\"%s\" is no option of it; wanted: %s with a value right "
                            "behind it",
                            arg, option_list(cmd->pool, options));
    if (*seen & 1 << i)
        return apr_psprintf(cmd->pool, "%s= is given twice; wanted: once", options[i].name);
    *seen |= 1 << i;
    return options[i].set(made, equals + 1)
               ? NULL
               : apr_psprintf(cmd->pool, "\"%s\" is not accepted; wanted: %s", arg,
                              options[i].wanted);
}

/* What cannot be had together. */
static const char *check_acme_options(const mdm_identity_acme_t *acme)
{
    if (acme->key.rsa && acme->hardware == MDM_USE_REQUIRE)
        return "hardware=require, and an RSA key, of which a Secure Enclave has none; wanted: "
               "key=P-256, P-384 or auto";
    if (acme->attest == MDM_USE_REQUIRE && (acme->key.rsa || acme->hardware == MDM_USE_OFF))
        return "attest=require, and a key outside of the Secure Enclave, which only attests its "
               "own; wanted: key=P-256, P-384 or auto, and not hardware=off";
    return NULL;
}

static const char *parse(cmd_parms *cmd, int argc, char *const argv[], mdm_conf_identity_t *made)
{
    int acme = !ap_cstr_casecmp(argv[0], "acme"), seen = 0, i = 1;
    const char *why;

    made->kind = acme ? MDM_IDENTITY_ACME : MDM_IDENTITY_PKCS12;
    made->pkcs12.key = (mdm_key_kind_t){1, 2048};
    if (acme) {
        made->url = argc >= 2 ? argv[1] : "";
        if (mdm_schema_check_url(cmd->pool, made->url))
            return apr_psprintf(cmd->pool,
                                "\"%s\" is no URL of an ACME directory; wanted: acme "
                                "https://host[:port]/path",
                                made->url);
        i = 2;
    }
    for (; i < argc; i++) {
        why = parse_option(cmd, acme ? acme_options : pkcs12_options, argv[i], &seen, made);
        if (why)
            return why;
    }
    return check_acme_options(&made->acme);
}

const char *mdm_conf_parse_issue(cmd_parms *cmd, int argc, char *const argv[],
                                 mdm_conf_identity_t *made)
{
    const char *why = parse(cmd, argc, argv, made);

    return why ? apr_psprintf(cmd->pool, "%s %s: %s", cmd->cmd->name, argv[0], why) : NULL;
}

/* --- at start --- */

/* Who must have something has to ask for the other way expressly. */
int mdm_conf_falls_back(const mdm_server_conf_t *conf, const mdm_conf_identity_t *identity)
{
    const mdm_identity_acme_t *acme = &identity->acme;

    if (identity->fallback_said)
        return acme->fallback;
    return acme->hardware != MDM_USE_REQUIRE && acme->attest != MDM_USE_REQUIRE &&
           conf->where[MDM_SET_CA] && conf->endpoints[MDM_ENDPOINT_SCEP].path;
}

/* What the endpoint direct gives is not encrypted, and made before the device is known. */
static void check_direct(mdm_check_t *check, const mdm_server_conf_t *conf,
                         const mdm_conf_identity_t *identity)
{
    const ap_directive_t *where = conf->where[MDM_SET_MDM_IDENTITY];

    if (!conf->endpoints[MDM_ENDPOINT_DIRECT].path)
        return;
    if (identity->kind == MDM_IDENTITY_PKCS12)
        mdm_conf_problem(check, where,
                         "the profile of the endpoint direct is not encrypted, so the key in it "
                         "could be read; remove that endpoint, or take identities by SCEP");
    if (identity->kind == MDM_IDENTITY_ACME && !mdm_conf_falls_back(conf, identity))
        mdm_conf_problem(check, where,
                         "the endpoint direct does not know the device, nor whether it can do "
                         "this; add fallback=builtin, or remove that endpoint");
}

/* What goes by the device cannot be one value for all. */
static void check_settings(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    static const struct {
        const char *key, *option;
    } ours[] = {{"KeyType", "key="},
                {"KeySize", "key="},
                {"HardwareBound", "hardware="},
                {"Attest", "attest="}};
    apr_size_t k;
    int i;

    for (i = 0; i < conf->payloads->nelts; i++) {
        const mdm_payload_conf_t *line = APR_ARRAY_IDX(conf->payloads, i, mdm_payload_conf_t *);

        for (k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
            if (!strcmp(line->payload, "com.apple.security.acme") &&
                !strcmp(line->key, ours[k].key))
                mdm_conf_problem(check, line->where,
                                 "%s goes by the device; wanted: %s of MDMEnrollIdentity acme",
                                 line->key, ours[k].option);
    }
}

void mdm_conf_check_issue(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    const mdm_conf_identity_t *identity = conf->identities[MDM_CONF_MDM_IDENTITY];
    const apr_array_header_t *names = conf->device_attributes;

    if (!identity)
        return;
    check_direct(check, conf, identity);
    if (identity->kind == MDM_IDENTITY_ACME)
        check_settings(check, conf);
    if (!conf->where[MDM_SET_DEVICE_ATTRIBUTES])
        return;
    if (identity->kind != MDM_IDENTITY_ACME && (identity->kind != MDM_IDENTITY_PKCS12 ||
                                                identity->pkcs12.algorithms != MDM_ALGORITHMS_AUTO))
        return;
    if (!ap_array_str_contains(names, "PRODUCT") ||
        (!ap_array_str_contains(names, "OS_VERSION") && !ap_array_str_contains(names, "VERSION")))
        mdm_conf_problem(check, conf->where[MDM_SET_DEVICE_ATTRIBUTES],
                         "PRODUCT is not in it, or neither OS_VERSION nor VERSION; "
                         "MDMEnrollIdentity (%s:%d) goes by them; add them",
                         conf->where[MDM_SET_MDM_IDENTITY]->filename,
                         conf->where[MDM_SET_MDM_IDENTITY]->line_num);
}
