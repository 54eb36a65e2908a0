/* SPDX-License-Identifier: Apache-2.0
 * What the endpoint acme must be protected by: whoever may ask it can spend the identifiers of
 * devices that he knows, and learns whose they are.
 */
#include "conf.h"

#include <ap_listen.h>
#include <apr_strings.h>

int mdm_conf_is_loopback(const char *ip)
{
    return ip && (!strncmp(ip, "127.", 4) || !strcmp(ip, "::1") || !strncmp(ip, "::ffff:127.", 11));
}

static int on_loopback(apr_pool_t *p, apr_sockaddr_t *addr)
{
    char *ip;

    return addr && apr_sockaddr_ip_get(&ip, addr) == APR_SUCCESS &&
           mdm_conf_is_loopback(apr_pstrdup(p, ip));
}

/* Whether nobody but programs of this host can reach a vhost; of the main server, all sockets. */
static int is_local(apr_pool_t *p, const server_rec *s)
{
    const server_addr_rec *addr;
    const ap_listen_rec *socket;

    for (addr = s->addrs; addr; addr = addr->next)
        if (!on_loopback(p, addr->host_addr))
            return 0;
    if (s->addrs)
        return 1;
    for (socket = ap_listeners; socket; socket = socket->next)
        if (!on_loopback(p, socket->bind_addr))
            return 0;
    return ap_listeners != NULL;
}

/* Is somebody asked who he is, as far as the section itself says? What is inherited is not looked
 * for: it may be taken away elsewhere. */
static int is_protected(apr_pool_t *p, const ap_directive_t *section)
{
    const ap_directive_t *node;
    int found = 0;

    for (node = section ? section->first_child : NULL; node; node = node->next) {
        const char *args = node->args;

        if (!ap_cstr_casecmpn(node->directive, "<Require", 8))
            found = 1;
        if (ap_cstr_casecmp(node->directive, "Require"))
            continue;
        if (!ap_cstr_casecmp(ap_getword_conf(p, &args), "all") &&
            !ap_cstr_casecmp(ap_getword_conf(p, &args), "granted"))
            return 0;
        found = 1;
    }
    return found;
}

void mdm_conf_check_acme(mdm_check_t *check, const server_rec *s, const mdm_server_conf_t *conf,
                         int tls)
{
    const mdm_place_t *place = &conf->endpoints[MDM_ENDPOINT_ACME];
    apr_pool_t *p = s->process->pconf;

    if (!place->path || place->server != s)
        return;
    if (!tls && !conf->where[MDM_SET_BASE_URL] && !is_local(p, s))
        mdm_conf_problem(check, place->where,
                         "there is no TLS here, and the endpoint acme needs https, or a vhost on "
                         "loopback addresses only; add \"SSLEngine on\", or move it into "
                         "<VirtualHost 127.0.0.1:port>");
    if (!is_protected(p, place->where->parent))
        mdm_conf_problem(check, place->where,
                         "everybody may ask the endpoint acme in <Location \"%s\">; wanted: the "
                         "ACME server only, by a Require in that section that is not \"all "
                         "granted\": valid-user with AuthType Basic, ssl-verify-client, or ip",
                         place->path);
}
