/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollNotify: who is told of enrollments, and what is made of that at start.
 */
#include "conf.h"

#include <apr_hash.h>
#include <apr_strings.h>

#include "conf_outside.h"
#include "notifier.h"

#define DEFAULT_NOTIFY_TIMEOUT apr_time_from_sec(10)

/* Least length of the key of signatures, in bytes: what nobody guesses. */
#define MIN_SECRET 16

enum { OPTION_SECRET, OPTION_TIMEOUT, OPTION_CA, OPTION_TOKEN };

static const char *set_option(cmd_parms *cmd, void *baton, int option, const char *value)
{
    mdm_conf_notify_t *made = baton;

    switch (option) {
    case OPTION_SECRET:
        made->secret_file = mdm_conf_path_behind(cmd->pool, value, "file:");
        return made->secret_file ? NULL
                                 : "wanted: file:/path of a file with the key in its first line";
    case OPTION_TIMEOUT:
        return mdm_conf_parse_timeout(value, &made->timeout);
    case OPTION_CA:
        made->ca_file = mdm_conf_file(cmd, value);
        return made->ca_file ? NULL : "wanted: the path of a file";
    default:
        made->token_file = mdm_conf_path_behind(cmd->pool, value, "file:");
        return made->token_file ? NULL
                                : "wanted: file:/path of a file with the token in its first line";
    }
}

/* The value may be meant as a secret, or have one in it: no message repeats it. */
const char *mdm_conf_set_notify(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    static const char *const names[] = {"secret", "timeout", "ca", "token", NULL};
    static const mdm_conf_options_t options = {names,
                                               "secret=, timeout=, ca= or token=", set_option};
    const ap_directive_t *before = mdm_conf_server(cmd->server)->where[MDM_SET_NOTIFY];
    mdm_conf_notify_t *made = apr_pcalloc(cmd->pool, sizeof(*made));
    const char *why;
    int seen = 0, i;

    (void)dir;
    if (before)
        return mdm_conf_refuse(cmd, apr_psprintf(cmd->pool, "is said already (%s:%d); wanted: once",
                                                 before->filename, before->line_num));
    made->timeout = DEFAULT_NOTIFY_TIMEOUT;
    made->program = argc >= 1 ? mdm_conf_path_behind(cmd->pool, argv[0], "exec:") : NULL;
    if (argc >= 1 && mdm_conf_is_service(cmd->pool, argv[0]))
        made->url = argv[0];
    if (!made->program && !made->url)
        return mdm_conf_refuse(cmd, "wanted: an https URL (http on loopback only), or exec:/path "
                                    "of a program");
    for (i = 1; i < argc; i++) {
        why = mdm_conf_parse_option(cmd, &options, made, argv[i], &seen);
        if (why)
            return why;
    }
    if (made->program && seen & ~(1 << OPTION_TIMEOUT))
        return mdm_conf_refuse(cmd, "secret=, ca= and token= are for a service; wanted: "
                                    "exec:/path with no option but timeout=");
    if (made->url && !made->secret_file)
        return mdm_conf_refuse(cmd, "a service must be able to tell who calls; wanted: "
                                    "secret=file:/path of a file with the key of the signature");
    mdm_conf_mark(cmd, MDM_SET_NOTIFY)->notify = made;
    return NULL;
}

/* --- at start --- */

static void make_service(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                         const mdm_conf_notify_t *conf, mdm_notify_t *made)
{
    made->service =
        (mdm_http_service_t){.url = conf->url, .ca_file = conf->ca_file, .timeout = conf->timeout};
    mdm_conf_read_service(check, p, where, conf->token_file, "ca=", &made->service);
    made->secret = mdm_conf_read_secret(check, p, where, conf->secret_file, "secret");
    if (made->secret && strlen(made->secret) < MIN_SECRET)
        mdm_conf_problem(check, where,
                         "the first line of %s has %" APR_SIZE_T_FMT " bytes; wanted: at least %d "
                         "(openssl rand -hex 32)",
                         conf->secret_file, strlen(made->secret), MIN_SECRET);
}

const mdm_notify_t *mdm_conf_make_notify(mdm_check_t *check, apr_pool_t *p,
                                         const mdm_server_conf_t *conf)
{
    const ap_directive_t *where = conf->where[MDM_SET_NOTIFY];
    mdm_notify_t *made;

    if (!where)
        return NULL;
    if (!mdm_notifier_possible())
        mdm_conf_problem(check, where,
                         "needs mod_watchdog, which this httpd has not loaded; add LoadModule "
                         "watchdog_module modules/mod_watchdog.so");
    made = apr_pcalloc(p, sizeof(*made));
    made->timeout = conf->notify->timeout;
    made->program = conf->notify->program;
    if (made->program)
        mdm_conf_check_program(check, p, where, "exec:", made->program);
    else
        make_service(check, p, where, conf->notify, made);
    return made;
}

/* Whose notifications are the same in the store. */
static const char *recipient_key(apr_pool_t *p, const mdm_site_t *site)
{
    return apr_psprintf(p, "%d %s %s", (int)site->store_kind, site->identity, site->store_target);
}

void mdm_conf_compare_notify(mdm_check_t *check, apr_pool_t *p, apr_hash_t *seen,
                             const mdm_server_conf_t *conf, const mdm_site_t *site)
{
    const ap_directive_t *where = conf->where[MDM_SET_NOTIFY], *other;
    const char *key;

    if (!where || !site->identity)
        return;
    key = recipient_key(p, site);
    other = apr_hash_get(seen, key, APR_HASH_KEY_STRING);
    if (!other)
        apr_hash_set(seen, key, APR_HASH_KEY_STRING, where);
    else if (strcmp(other->args, where->args))
        mdm_conf_problem(check, where,
                         "another vhost with the same MDMEnrollIdentifier, MDMEnrollServer, "
                         "MDMEnrollTopic and MDMEnrollStore is the same site, and tells somebody "
                         "else (%s:%d); wanted: the same in both",
                         other->filename, other->line_num);
}

int mdm_conf_start_notifiers(apr_pool_t *p, apr_pool_t *ptemp, server_rec *main_server)
{
    apr_hash_t *seen = apr_hash_make(ptemp);
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        mdm_site_t *site = mdm_conf_server(s)->site;
        const char *key;

        if (!site || !site->notify)
            continue;
        key = recipient_key(ptemp, site);
        if (apr_hash_get(seen, key, APR_HASH_KEY_STRING))
            continue;
        apr_hash_set(seen, key, APR_HASH_KEY_STRING, site);
        if (!mdm_notifier_register(p, s, site))
            return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}
