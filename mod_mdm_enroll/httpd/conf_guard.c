/* SPDX-License-Identifier: Apache-2.0
 * What "Require mdm-device" needs of a vhost: TLS, a client certificate asked for, and the settings
 * by which a device is known.
 */
#include "conf.h"

#include <apr_strings.h>
#include <http_core.h>
#include <util_cfgtree.h>

static int is_vhost(const ap_directive_t *node)
{
    return !ap_cstr_casecmp(node->directive, "<VirtualHost");
}

/* Does a level of the configuration, or a section in it but for vhosts, ask for a client
 * certificate? mod_ssl keeps its configuration to itself: the directive tree is what can be asked.
 */
static int asks_certificate(apr_pool_t *p, const ap_directive_t *level)
{
    for (; level; level = level->next) {
        const char *args = level->args;

        if (!ap_cstr_casecmp(level->directive, "SSLVerifyClient") &&
            ap_cstr_casecmp(ap_getword_conf(p, &args), "none"))
            return 1;
        if (level->first_child && !is_vhost(level) && asks_certificate(p, level->first_child))
            return 1;
    }
    return 0;
}

/* Of a vhost: its own level and what the main server says for all. */
static int vhost_asks(apr_pool_t *p, const server_rec *s)
{
    const ap_directive_t *node;

    for (node = ap_conftree; s->is_virtual && node; node = node->next)
        if (is_vhost(node) && (unsigned)node->line_num == s->defn_line_number &&
            !strcmp(node->filename, s->defn_name) && asks_certificate(p, node->first_child))
            return 1;
    return asks_certificate(p, ap_conftree);
}

void mdm_conf_tell_guard(mdm_check_t *check, const server_rec *s, int tls)
{
    mdm_conf_problem(
        check, mdm_conf_server(s)->guard, "%s",
        tls ? "no client certificate is asked for here, so no device is known; add "
              "\"SSLVerifyClient optional\" (or require) and SSLCACertificateFile with "
              "the CA that issues the devices' MDM identities"
            : "there is no TLS here, so there are no client certificates to know "
              "devices by; add \"SSLEngine on\" and \"SSLVerifyClient optional\"");
}

int mdm_conf_check_guard(mdm_check_t *check, apr_pool_t *ptemp, const server_rec *s, int tls)
{
    if (tls && vhost_asks(ptemp, s))
        return 1;
    if (s->is_virtual && mdm_conf_server(s)->guard_server == s)
        mdm_conf_tell_guard(check, s, tls);
    return 0;
}

void mdm_conf_guard_settings(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    static const struct {
        mdm_set_t set;
        const char *wanted;
    } required[] = {
        {MDM_SET_STORE, "MDMEnrollStore sqlite3:/var/lib/mdm-enroll/enroll.db"},
        {MDM_SET_IDENTIFIER, "MDMEnrollIdentifier com.example.mdm.enroll"},
        {MDM_SET_SERVER, "MDMEnrollServer https://mdm.example.com/mdm"},
        {MDM_SET_TOPIC, "MDMEnrollTopic com.apple.mgmt.External.<UUID>"},
        {MDM_SET_CA, "MDMEnrollCA certificate-file key-file, or MDMEnrollIdentityCA "
                     "certificate-file"},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (conf->where[required[i].set] ||
            (required[i].set == MDM_SET_CA && conf->where[MDM_SET_IDENTITY_CA]))
            continue;
        mdm_conf_problem(check, conf->guard,
                         "a device is known by the settings that it was enrolled with, and one is "
                         "missing; add it here or for all vhosts, the same as where the endpoints "
                         "are: %s",
                         required[i].wanted);
    }
}
