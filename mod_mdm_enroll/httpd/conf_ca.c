/* SPDX-License-Identifier: Apache-2.0
 * Directives of the issuing side: CA, RA, successor, what certificates look like, what SCEP serves.
 */
#include "conf.h"

#include <apr_strings.h>
#include <apr_uri.h>

const char *mdm_conf_set_ca(cmd_parms *cmd, void *dir, const char *certificate, const char *key)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_CA);

    (void)dir;
    conf->ca_certificate = mdm_conf_file(cmd, certificate);
    if (!conf->ca_certificate)
        return mdm_conf_refuse_value(cmd, certificate, "the path of a file");
    return mdm_conf_key_source(cmd, key, &conf->ca_key);
}

const char *mdm_conf_set_ra(cmd_parms *cmd, void *dir, const char *certificate, const char *key)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_RA);

    (void)dir;
    conf->ra_certificate = mdm_conf_file(cmd, certificate);
    if (!conf->ra_certificate)
        return mdm_conf_refuse_value(cmd, certificate, "the path of a file");
    return mdm_conf_key_source(cmd, key, &conf->ra_key);
}

const char *mdm_conf_set_next_ca(cmd_parms *cmd, void *dir, const char *name)
{
    const char *file = mdm_conf_file(cmd, name);

    (void)dir;
    if (!file)
        return mdm_conf_refuse_value(cmd, name, "the path of a file");
    mdm_conf_mark(cmd, MDM_SET_NEXT_CA)->next_ca = file;
    return NULL;
}

const char *mdm_conf_set_scep_allow(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);

    (void)dir;
    /* Given again, it begins anew; further names of one line add to it. */
    if (conf->where[MDM_SET_SCEP_ALLOW] != cmd->directive)
        conf->scep_allow = 0;
    mdm_conf_mark(cmd, MDM_SET_SCEP_ALLOW);
    if (!ap_cstr_casecmp(name, "SHA-1"))
        conf->scep_allow |= MDM_SCEP_ALLOW_SHA1;
    else if (!ap_cstr_casecmp(name, "DES3"))
        conf->scep_allow |= MDM_SCEP_ALLOW_DES3;
    else if (ap_cstr_casecmp(name, "none"))
        return mdm_conf_refuse_value(cmd, name, "SHA-1, DES3, both, or none");
    return NULL;
}

const char *mdm_conf_set_crl_url(cmd_parms *cmd, void *dir, const char *url)
{
    static const char wanted[] = "none, or a URL of http or https, such as "
                                 "http://pki.example.com/enroll.crl";
    apr_uri_t uri;
    const char *c;

    (void)dir;
    if (!ap_cstr_casecmp(url, "none")) {
        mdm_conf_mark(cmd, MDM_SET_CRL_URL)->crl_url = "";
        return NULL;
    }
    for (c = url; *c > 0x20 && *c < 0x7f; c++)
        ;
    if (*c || apr_uri_parse(cmd->pool, url, &uri) != APR_SUCCESS || !uri.scheme ||
        (ap_cstr_casecmp(uri.scheme, "http") && ap_cstr_casecmp(uri.scheme, "https")) ||
        !uri.hostname || !*uri.hostname || uri.user || uri.password || uri.fragment)
        return mdm_conf_refuse_value(cmd, url, wanted);
    mdm_conf_mark(cmd, MDM_SET_CRL_URL)->crl_url = url;
    return NULL;
}

const char *mdm_conf_set_alt_name(cmd_parms *cmd, void *dir, const char *type, const char *text)
{
    mdm_server_conf_t *conf = mdm_conf_mark(cmd, MDM_SET_ALT_NAME);
    mdm_alt_name_t name;
    const char *wanted = mdm_ca_alt_name(cmd->pool, type, text, &name);

    (void)dir;
    if (wanted)
        return mdm_conf_refuse_value(cmd, apr_pstrcat(cmd->pool, type, " ", text, NULL), wanted);
    APR_ARRAY_PUSH(conf->alt_names, mdm_alt_name_t) = name;
    return NULL;
}

const char *mdm_conf_set_validity(cmd_parms *cmd, void *dir, const char *value)
{
    apr_interval_time_t time;
    const char *why = mdm_conf_parse_time(cmd, value, apr_time_from_sec(3600),
                                          apr_time_from_sec(3650 * (apr_int64_t)86400),
                                          "a time from 1h to 3650d, such as 365d", &time);

    (void)dir;
    if (why)
        return why;
    mdm_conf_mark(cmd, MDM_SET_VALIDITY)->validity = apr_time_sec(time);
    return NULL;
}
