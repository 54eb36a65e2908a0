/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollEndpoint: makes the path of a <Location> an endpoint of the vhost.
 */
#include "conf.h"

#include <apr_fnmatch.h>
#include <apr_strings.h>

static const struct {
    const char *name;
    /* SCEP protects its own messages, certificates and CRLs are public; what an ACME server asks
     * may be asked on loopback (conf_acme.c) */
    int plain;
} kinds[MDM_ENDPOINT_COUNT] = {
    [MDM_ENDPOINT_NONE] = {"", 0},         [MDM_ENDPOINT_PROFILE] = {"profile", 0},
    [MDM_ENDPOINT_DEVICE] = {"device", 0}, [MDM_ENDPOINT_SCEP] = {"scep", 1},
    [MDM_ENDPOINT_CA] = {"ca", 1},         [MDM_ENDPOINT_CRL] = {"crl", 1},
    [MDM_ENDPOINT_DIRECT] = {"direct", 0}, [MDM_ENDPOINT_UPDATE] = {"update", 0},
    [MDM_ENDPOINT_ACME] = {"acme", 1},
};

const char *mdm_endpoint_name(mdm_endpoint_t endpoint)
{
    return kinds[endpoint].name;
}

int mdm_endpoint_is_plain(mdm_endpoint_t endpoint)
{
    return kinds[endpoint].plain;
}

/* "profile, device, scep, ca or crl" */
static const char *list_names(apr_pool_t *p)
{
    const char *list = kinds[MDM_ENDPOINT_PROFILE].name;
    int i;

    for (i = MDM_ENDPOINT_PROFILE + 1; i < MDM_ENDPOINT_COUNT; i++)
        list =
            apr_pstrcat(p, list, i + 1 < MDM_ENDPOINT_COUNT ? ", " : " or ", kinds[i].name, NULL);
    return list;
}

/* The directive must stand directly in a <Location> with a plain path: only then do httpd's
 * matching and the URL that devices are given agree. httpd itself cannot say so, its contexts do
 * not tell <Location> from <Directory>. */
static const char *misplaced(cmd_parms *cmd)
{
    const ap_directive_t *section = cmd->directive->parent;
    const char *args, *path = cmd->path;
    char *normal;

    if (!section)
        return "stands outside of a section; wanted: in <Location \"/path\">";
    if (ap_cstr_casecmp(section->directive, "<Location"))
        return apr_psprintf(cmd->pool, "stands in %s>; wanted: directly in <Location \"/path\">",
                            section->directive);
    args = section->args;
    if (!strcmp(ap_getword_conf(cmd->temp_pool, &args), "~"))
        return "stands in a <Location> with a regular expression; wanted: a plain path, such as "
               "<Location \"/enroll/profile\">";
    if (!path || path[0] != '/' || path[1] == '\0')
        return apr_psprintf(cmd->pool,
                            "stands in <Location \"%s\">; wanted: a path of its own, such as "
                            "\"/enroll/profile\"",
                            path ? path : "");
    if (apr_fnmatch_test(path))
        return apr_psprintf(cmd->pool,
                            "stands in <Location \"%s\">; wanted: a path without the wildcards "
                            "* ? [ ]",
                            path);
    normal = apr_pstrdup(cmd->temp_pool, path);
    if (!ap_normalize_path(normal, AP_NORMALIZE_MERGE_SLASHES) || strcmp(normal, path))
        return apr_psprintf(cmd->pool,
                            "stands in <Location \"%s\">, which no request matches; wanted: a path "
                            "without \"//\", \"/./\" and \"/../\"",
                            path);
    return NULL;
}

static mdm_endpoint_t parse(const char *name)
{
    int i;

    for (i = MDM_ENDPOINT_PROFILE; i < MDM_ENDPOINT_COUNT; i++)
        if (!ap_cstr_casecmp(name, kinds[i].name))
            return (mdm_endpoint_t)i;
    return MDM_ENDPOINT_NONE;
}

const char *mdm_conf_set_endpoint(cmd_parms *cmd, void *dir, const char *kind)
{
    mdm_server_conf_t *server = mdm_conf_server(cmd->server);
    mdm_endpoint_t endpoint = parse(kind);
    const char *why = misplaced(cmd);
    mdm_place_t *place = &server->endpoints[endpoint];
    int i;

    (void)dir;
    if (why)
        return apr_pstrcat(cmd->pool, cmd->cmd->name, " ", why, NULL);
    if (endpoint == MDM_ENDPOINT_NONE)
        return apr_psprintf(cmd->pool, "%s: \"%s\" is not an endpoint; wanted: %s", cmd->cmd->name,
                            kind, list_names(cmd->temp_pool));
    if (place->path)
        return apr_psprintf(cmd->pool,
                            "%s %s: there is one already, in <Location \"%s\"> (%s:%d); wanted: "
                            "one of each in a vhost",
                            cmd->cmd->name, kinds[endpoint].name, place->path,
                            place->where->filename, place->where->line_num);
    place->order = 0;
    for (i = MDM_ENDPOINT_PROFILE; i < MDM_ENDPOINT_COUNT; i++) {
        place->order += server->endpoints[i].path != NULL;
        if (server->endpoints[i].path && !strcmp(server->endpoints[i].path, cmd->path))
            return apr_psprintf(cmd->pool,
                                "%s %s: <Location \"%s\"> is the endpoint %s already (%s:%d); "
                                "wanted: a path of its own for each",
                                cmd->cmd->name, kinds[endpoint].name, cmd->path, kinds[i].name,
                                server->endpoints[i].where->filename,
                                server->endpoints[i].where->line_num);
    }
    place->path = apr_pstrdup(cmd->pool, cmd->path);
    place->server = cmd->server;
    place->where = cmd->directive;
    return NULL;
}
