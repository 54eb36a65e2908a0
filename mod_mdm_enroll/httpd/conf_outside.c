/* SPDX-License-Identifier: Apache-2.0
 * Options and checks of programs and HTTP services of the site.
 */
#include "conf_outside.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>

#include "../core/mdm_schema.h"

const char *mdm_conf_parse_option(cmd_parms *cmd, const mdm_conf_options_t *options, void *baton,
                                  const char *arg, int *seen)
{
    const char *equals = strchr(arg, '=');
    apr_size_t len = equals ? (apr_size_t)(equals - arg) : 0;
    const char *why;
    int i;

    for (i = 0; options->names[i]; i++)
        if (len == strlen(options->names[i]) && !ap_cstr_casecmpn(arg, options->names[i], len))
            break;
    if (!options->names[i])
        return apr_psprintf(cmd->pool,
                            "%s: \"%s\" is no option; wanted: %s, with a value right "
                            "behind it",
                            cmd->cmd->name, equals ? apr_pstrmemdup(cmd->pool, arg, len + 1) : arg,
                            options->wanted);
    if (*seen & 1 << i)
        return apr_psprintf(cmd->pool, "%s: %s= is given twice; wanted: once", cmd->cmd->name,
                            options->names[i]);
    *seen |= 1 << i;
    why = options->set(cmd, baton, i, equals + 1);
    return why ? apr_psprintf(cmd->pool, "%s: %s=: %s", cmd->cmd->name, options->names[i], why)
               : NULL;
}

int mdm_conf_is_url(apr_pool_t *p, const char *url, int http)
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

int mdm_conf_is_service(apr_pool_t *p, const char *url)
{
    return mdm_conf_is_url(p, url, 0) || (mdm_conf_is_url(p, url, 1) && is_loopback(p, url));
}

const char *mdm_conf_path_behind(apr_pool_t *p, const char *value, const char *prefix)
{
    apr_size_t len = strlen(prefix);

    return !strncmp(value, prefix, len) && value[len] ? ap_server_root_relative(p, value + len)
                                                      : NULL;
}

const char *mdm_conf_parse_timeout(const char *value, apr_interval_time_t *timeout)
{
    if (!apr_isdigit(*value) || ap_timeout_parameter_parse(value, timeout, "s") != APR_SUCCESS ||
        *timeout < apr_time_from_msec(100) || *timeout > apr_time_from_sec(60))
        return "wanted: a time from 100ms to 60s, such as 10s";
    return NULL;
}

void mdm_conf_check_program(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                            const char *what, const char *path)
{
    const apr_fileperms_t any = APR_FPROT_UEXECUTE | APR_FPROT_GEXECUTE | APR_FPROT_WEXECUTE;
    apr_finfo_t info;
    apr_status_t rv = apr_stat(&info, path, APR_FINFO_TYPE | APR_FINFO_PROT, p);
    char reason[128];

    if (rv != APR_SUCCESS)
        mdm_conf_problem(check, where, "%s %s: %s; wanted: a program", what, path,
                         apr_strerror(rv, reason, sizeof(reason)));
    else if (info.filetype != APR_REG || !(info.protection & any))
        mdm_conf_problem(check, where,
                         "%s %s is no file that can be executed; wanted: a program (chmod 755)",
                         what, path);
}

void mdm_conf_read_service(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                           const char *token_file, const char *ca_option,
                           mdm_http_service_t *service)
{
    STACK_OF(X509) *certs;

    if (token_file)
        service->token = mdm_conf_read_secret(check, p, where, token_file, "token");
    if (service->ca_file) {
        mdm_result_t result = mdm_x509_read_certificates(p, service->ca_file, &certs);

        if (result.kind != MDM_OK)
            mdm_conf_problem(check, where, "%s: %s", ca_option, result.log);
    }
}
