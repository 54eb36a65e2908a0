/* SPDX-License-Identifier: Apache-2.0
 * The cross-checks between directives, for httpd -t and each start: every problem of a pass is
 * told, with vhost, file, line, value and remedy, and any one of them stops the start.
 *
 * Endpoints that a vhost merely inherits from the main server are served where the vhost can (TLS,
 * or a proxy's URL and a signer) and nowhere else: a site that writes its <Location>s globally
 * beside a plain port-80 vhost is not at fault. An endpoint written in a vhost is meant for it.
 */
#include "conf.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ap_listen.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <unixd.h>
#include <util_cfgtree.h>

#include "key_ring.h"

APLOG_USE_MODULE(mdm_enroll);

struct mdm_check_t {
    apr_pool_t *ptemp;
    const server_rec *server; /* being looked at */
    apr_hash_t *told;         /* one value inherited by ten vhosts is one problem */
    int problems;
    mdm_key_ring_t *keys;
    apr_hash_t *notified; /* whom sites tell */
};

const char *mdm_conf_vhost_name(apr_pool_t *p, const server_rec *s)
{
    if (!s->is_virtual)
        return "main server";
    return apr_psprintf(p, "vhost %s (%s:%u)", s->server_hostname ? s->server_hostname : "unnamed",
                        s->defn_name, s->defn_line_number);
}

void mdm_conf_problem(mdm_check_t *check, const ap_directive_t *where, const char *fmt, ...)
{
    apr_pool_t *p = check->ptemp;
    const char *text, *place;
    va_list args;

    va_start(args, fmt);
    text = apr_pvsprintf(p, fmt, args);
    va_end(args);
    check->problems++;
    if (where) {
        place = apr_psprintf(p, "%s (%s:%d): ", where->directive, where->filename, where->line_num);
        text = apr_pstrcat(p, place, text, NULL);
        if (apr_hash_get(check->told, text, APR_HASH_KEY_STRING))
            return;
        apr_hash_set(check->told, text, APR_HASH_KEY_STRING, text);
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, NULL, "%s: %s: %s",
                 mdm_result_code(p, MDM_MSG_CONFIGURATION), mdm_conf_vhost_name(p, check->server),
                 text);
}

int mdm_conf_told(mdm_check_t *check, const ap_directive_t *where, mdm_result_t result)
{
    if (result.kind == MDM_OK)
        return 1;
    mdm_conf_problem(check, where, "%s", result.log);
    return 0;
}

/* --- TLS --- */

/* SSLEngine among the directives of one level: 1 on, 0 off, -1 not said. Sections that httpd reads
 * at once (IfModule, IfDefine, Include …) leave their content in place, so one level is all. */
static int ssl_engine(apr_pool_t *p, const ap_directive_t *level)
{
    int on = -1;

    for (; level; level = level->next) {
        if (!ap_cstr_casecmp(level->directive, "SSLEngine")) {
            const char *args = level->args;

            on = ap_cstr_casecmp(ap_getword_conf(p, &args), "off") != 0;
        }
    }
    return on;
}

/* Does one of its sockets speak https by default ("Listen 443", "Listen … https")? mod_ssl then
 * needs no SSLEngine. httpd gives a vhost the protocol of its socket after the check, by these same
 * rules. */
static int listens_https(const server_rec *s)
{
    const server_addr_rec *addr;
    const ap_listen_rec *socket;

    for (addr = s->addrs; addr; addr = addr->next)
        for (socket = ap_listeners; socket; socket = socket->next)
            if (apr_sockaddr_equal(socket->bind_addr, addr->host_addr) &&
                socket->bind_addr->port == addr->host_port)
                return socket->protocol && !strcmp(socket->protocol, "https");
    return 0;
}

/* mod_ssl keeps its configuration to itself, and loads keys only after the check: the directive
 * tree is what can be asked. */
static int tls_is_on(apr_pool_t *p, const server_rec *s)
{
    const char *protocol = ap_get_server_protocol((server_rec *)s);
    const ap_directive_t *node;
    int on = -1;

    if (protocol && !strcmp(protocol, "https"))
        return 1;
    for (node = ap_conftree; s->is_virtual && node && on < 0; node = node->next)
        if (!ap_cstr_casecmp(node->directive, "<VirtualHost") &&
            (unsigned)node->line_num == s->defn_line_number &&
            !strcmp(node->filename, s->defn_name))
            on = ssl_engine(p, node->first_child);
    if (on < 0)
        on = ssl_engine(p, ap_conftree);
    return on < 0 ? !protocol && listens_https(s) : on;
}

/* --- one vhost --- */

static int has_endpoint(const mdm_server_conf_t *conf)
{
    int i;

    for (i = MDM_ENDPOINT_PROFILE; i < MDM_ENDPOINT_COUNT; i++)
        if (conf->endpoints[i].path)
            return 1;
    return 0;
}

/* The first endpoint that needs https, or (plain) that does not, of those that were written in s;
 * in any vhost if that is NULL. NULL if there is none. */
static const mdm_place_t *first_endpoint(const server_rec *s, const mdm_server_conf_t *conf,
                                         int plain)
{
    int i;

    for (i = MDM_ENDPOINT_PROFILE; i < MDM_ENDPOINT_COUNT; i++)
        if (conf->endpoints[i].path && (!s || conf->endpoints[i].server == s) &&
            mdm_endpoint_is_plain((mdm_endpoint_t)i) == plain)
            return &conf->endpoints[i];
    return NULL;
}

/* MDMEnrollBaseURL says that a proxy ends TLS, of the vhost in which it stands: a plain vhost that
 * inherits it, beside one with TLS, is not behind that proxy. */
static int has_https(apr_pool_t *p, const server_rec *s, const mdm_server_conf_t *conf,
                     const mdm_server_conf_t *main_conf)
{
    const ap_directive_t *base_url = conf->where[MDM_SET_BASE_URL];
    int own = first_endpoint(s, conf, 0) || base_url != main_conf->where[MDM_SET_BASE_URL];

    return (base_url && conf->where[MDM_SET_SIGNER] && own) || tls_is_on(p, s);
}

static void tell_no_https(mdm_check_t *check, const mdm_server_conf_t *conf,
                          const mdm_place_t *place)
{
    if (conf->where[MDM_SET_BASE_URL])
        mdm_conf_problem(check, conf->where[MDM_SET_BASE_URL],
                         "this vhost has no TLS, so no certificate to sign profiles with; add "
                         "MDMEnrollSigner certificate key");
    else
        mdm_conf_problem(check, place->where,
                         "there is no TLS here, and enrollment needs https; add \"SSLEngine on\", "
                         "or, where a proxy ends TLS, MDMEnrollBaseURL https://host and "
                         "MDMEnrollSigner certificate key");
}

static void check_endpoints(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    static const struct {
        mdm_endpoint_t one, needs;
    } rules[] = {{MDM_ENDPOINT_PROFILE, MDM_ENDPOINT_DEVICE},
                 {MDM_ENDPOINT_DEVICE, MDM_ENDPOINT_SCEP},
                 {MDM_ENDPOINT_DIRECT, MDM_ENDPOINT_SCEP},
                 {MDM_ENDPOINT_UPDATE, MDM_ENDPOINT_DEVICE}};
    apr_size_t i;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const mdm_place_t *place = &conf->endpoints[rules[i].one];
        const char *needed = mdm_endpoint_name(rules[i].needs);

        if (rules[i].needs == MDM_ENDPOINT_SCEP && !mdm_conf_needs_scep(conf))
            continue;
        if (place->path && !conf->endpoints[rules[i].needs].path)
            mdm_conf_problem(check, place->where,
                             "the endpoint %s needs the endpoint %s in the same vhost, and there "
                             "is none; add <Location \"/enroll/%s\"> MDMEnrollEndpoint %s",
                             mdm_endpoint_name(rules[i].one), needed, needed, needed);
    }
}

/* Is path below (a <Location> matches it and everything behind a slash)? */
static int lies_below(const char *path, const char *section)
{
    apr_size_t len = strlen(section);

    return !strncmp(path, section, len) && path[len] == '/';
}

/* A later <Location> overrides an earlier one, so one that stands behind an endpoint below it would
 * put its own authentication there. */
static void check_nesting(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    int i, k;

    for (i = MDM_ENDPOINT_PROFILE; i < MDM_ENDPOINT_COUNT; i++) {
        const mdm_place_t *outer = &conf->endpoints[i];

        for (k = MDM_ENDPOINT_PROFILE; outer->path && k < MDM_ENDPOINT_COUNT; k++) {
            const mdm_place_t *inner = &conf->endpoints[k];

            if (inner->path && lies_below(inner->path, outer->path) &&
                inner->server == outer->server && inner->order < outer->order) {
                mdm_conf_problem(check, outer->where,
                                 "<Location \"%s\"> stands behind <Location \"%s\"> (%s:%d), which "
                                 "lies below it, and would override what is said there; move it "
                                 "before that, or give the endpoints paths beside each other",
                                 outer->path, inner->path, inner->where->filename,
                                 inner->where->line_num);
                break;
            }
        }
    }
}

static void check_required(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    static const struct {
        mdm_set_t set;
        const char *wanted;
    } required[] = {
        {MDM_SET_STORE, "MDMEnrollStore sqlite3:/var/lib/mdm-enroll/enroll.db"},
        {MDM_SET_ORGANIZATION, "MDMEnrollOrganization \"Example Corp\""},
        {MDM_SET_CA, "MDMEnrollCA certificate-file key-file"},
        {MDM_SET_IDENTIFIER, "MDMEnrollIdentifier com.example.mdm.enroll"},
        {MDM_SET_SERVER, "MDMEnrollServer https://mdm.example.com/mdm"},
        {MDM_SET_TOPIC, "MDMEnrollTopic com.apple.mgmt.External.<UUID>"},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        const char *wanted = required[i].wanted;

        /* Where both certificates come from elsewhere, only what shows a CA asks for one. */
        if (required[i].set == MDM_SET_CA && !mdm_conf_needs_ca(conf) &&
            !conf->endpoints[MDM_ENDPOINT_SCEP].path && !conf->endpoints[MDM_ENDPOINT_CRL].path &&
            (!conf->endpoints[MDM_ENDPOINT_CA].path || conf->where[MDM_SET_CERTIFICATE]))
            continue;
        if (!conf->where[required[i].set])
            mdm_conf_problem(check, NULL, "%s is missing; add it here or for all vhosts: %s",
                             ap_getword_white(check->ptemp, &wanted), required[i].wanted);
    }
}

const mdm_key_reader_t *mdm_conf_keys(mdm_check_t *check, const mdm_server_conf_t *conf,
                                      const ap_directive_t *where)
{
    const char *who = apr_psprintf(
        check->ptemp, "%s (%s:%d) of %s", where->directive, where->filename, where->line_num,
        check->server->is_virtual
            ? apr_pstrcat(check->ptemp, "vhost ", check->server->server_hostname, NULL)
            : "the main server");

    return mdm_key_ring_reader(check->keys, check->ptemp, who, conf->pass_phrase_program);
}

int mdm_conf_testing(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST;
}

int mdm_conf_become_user(void)
{
    if (geteuid() != 0 || !ap_unixd_config.user_name)
        return 1;
    return initgroups(ap_unixd_config.user_name, ap_unixd_config.group_id) == 0 &&
           setgid(ap_unixd_config.group_id) == 0 && setuid(ap_unixd_config.user_id) == 0;
}

/* Whether the user that httpd's children run as may use a path so. It is asked of the kernel by a
 * process that is that user: groups and access lists count, too. What cannot be asked is not
 * judged. */
static int may_use(const char *path, int mode)
{
    pid_t child;
    int status;

    if (geteuid() == 0 && !ap_unixd_config.user_name)
        return 1;
    if (geteuid() != 0)
        return access(path, mode) == 0;
    child = fork();
    if (child == 0) {
        if (!mdm_conf_become_user())
            _exit(0);
        _exit(access(path, mode) == 0 ? 0 : 1);
    }
    return child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
           WEXITSTATUS(status) == 0;
}

static const char *run_user(void)
{
    return geteuid() == 0 && ap_unixd_config.user_name ? ap_unixd_config.user_name
                                                       : "that runs httpd";
}

void mdm_conf_check_readable(mdm_check_t *check, const ap_directive_t *where, const char *file,
                             const char *what)
{
    if (!may_use(file, R_OK))
        mdm_conf_problem(check, where,
                         "the user %s cannot read the %s %s; let that user read it, and enter each "
                         "folder above it",
                         run_user(), what, file);
}

/* What may come of itself while httpd runs, and may go again, keeps only httpd -t from being
 * content: a restart for another site's sake must not end them all. */
static void check_access(mdm_check_t *check, const ap_directive_t *where, const char *folder,
                         const char *file)
{
    if (!may_use(folder, W_OK | X_OK))
        mdm_conf_problem(check, where,
                         "the user %s cannot write to the folder %s of the database; make it owned "
                         "by that user, mode 700",
                         run_user(), folder);
    else if (access(file, F_OK) == 0 && !may_use(file, R_OK | W_OK))
        mdm_conf_problem(check, where,
                         "the user %s cannot read and write the database %s; make it owned by that "
                         "user",
                         run_user(), file);
}

static void check_sqlite(mdm_check_t *check, const ap_directive_t *where, const char *file)
{
    apr_pool_t *p = check->ptemp;
    const char *folder = ap_make_dirstr_parent(p, file);
    apr_finfo_t info;
    apr_status_t rv = apr_stat(&info, folder, APR_FINFO_TYPE, p);
    char reason[128];

    if (rv != APR_SUCCESS || info.filetype != APR_DIR)
        mdm_conf_problem(check, where,
                         "the folder %s of the database: %s; make it, owned by the user %s", folder,
                         rv == APR_SUCCESS ? "it is not a folder"
                                           : apr_strerror(rv, reason, sizeof(reason)),
                         run_user());
    else if (apr_stat(&info, file, APR_FINFO_TYPE, p) == APR_SUCCESS && info.filetype == APR_DIR)
        mdm_conf_problem(check, where, "%s is a folder; wanted: a file in it, such as %s/enroll.db",
                         file, file);
    else if (mdm_conf_testing())
        check_access(check, where, folder, file);
}

static void check_store(mdm_check_t *check, const mdm_server_conf_t *conf)
{
    const ap_directive_t *where = conf->where[MDM_SET_STORE];
    const char *why = where ? mdm_dbd_check_driver(check->ptemp, conf->store_kind) : NULL;

    if (why)
        mdm_conf_problem(check, where, "%s", why);
    if (where && conf->store_kind == MDM_DBD_SQLITE)
        check_sqlite(check, where, conf->store_target);
}

/* What a URL of this vhost begins with, wherever no request says it. */
static const char *vhost_url(apr_pool_t *p, const server_rec *s, const mdm_server_conf_t *conf)
{
    int tls = tls_is_on(p, s);
    apr_port_t port = s->port;

    if (conf->where[MDM_SET_BASE_URL])
        return conf->base_url;
    if (port == 0 && s->is_virtual && s->addrs)
        port = s->addrs->host_port;
    if (port == 0 && ap_listeners)
        port = ap_listeners->bind_addr->port;
    return port == 0 || port == (tls ? DEFAULT_HTTPS_PORT : DEFAULT_HTTP_PORT)
               ? apr_pstrcat(p, tls ? "https://" : "http://", s->server_hostname, NULL)
               : apr_psprintf(p, "%s://%s:%d", tls ? "https" : "http", s->server_hostname,
                              (int)port);
}

static void check_server(mdm_check_t *check, apr_pool_t *p, mdm_server_conf_t *conf)
{
    int before = check->problems;
    mdm_site_t *site;

    check_endpoints(check, conf);
    check_nesting(check, conf);
    mdm_conf_check_acme(check, check->server, conf, tls_is_on(check->ptemp, check->server));
    check_required(check, conf);
    check_store(check, conf);
    mdm_conf_check_serials(check, check->ptemp, conf);
    site = mdm_conf_make(check, p, conf, vhost_url(p, check->server, conf));
    mdm_conf_compare_notify(check, check->ptemp, check->notified, conf, site);
    if (check->problems == before)
        conf->site = site;
}

/* What needs https was inherited, and is refused here. */
static void serve_plain_only(mdm_server_conf_t *conf)
{
    int i;

    for (i = MDM_ENDPOINT_PROFILE; conf->site && i < MDM_ENDPOINT_COUNT; i++)
        if (!mdm_endpoint_is_plain((mdm_endpoint_t)i))
            conf->site->paths[i] = NULL;
}

/* Vhosts that only ask which device a client certificate is of; what endpoints need was checked
 * before. */
static void check_guards(mdm_check_t *check, apr_pool_t *p, server_rec *main_server)
{
    const server_rec *passed_over = NULL;
    server_rec *s;
    int served = 0;

    for (s = main_server; s; s = s->next) {
        mdm_server_conf_t *conf = mdm_conf_server(s);
        int before = check->problems;
        mdm_site_t *site;

        if (!conf->guard)
            continue;
        check->server = s;
        if (!mdm_conf_check_guard(check, check->ptemp, s, tls_is_on(check->ptemp, s))) {
            passed_over = passed_over ? passed_over : s;
            continue;
        }
        served++;
        if (has_endpoint(conf))
            continue;
        mdm_conf_guard_settings(check, conf);
        check_store(check, conf);
        site = mdm_conf_make_guard(check, p, conf);
        if (check->problems == before)
            conf->site = site;
    }
    if (passed_over && !served) {
        check->server = passed_over;
        mdm_conf_tell_guard(check, passed_over, tls_is_on(check->ptemp, passed_over));
    }
}

/* 1 if nothing was found. */
static int check_all(apr_pool_t *p, apr_pool_t *ptemp, server_rec *main_server,
                     mdm_keys_time_t time)
{
    mdm_check_t check = {ptemp,
                         NULL,
                         apr_hash_make(ptemp),
                         0,
                         mdm_key_ring_create(ptemp, time),
                         apr_hash_make(ptemp)};
    const server_rec *passed_over = NULL;
    const mdm_place_t *place;
    server_rec *s;
    int served = 0;

    for (s = main_server; s; s = s->next) {
        mdm_server_conf_t *conf = mdm_conf_server(s);

        if (!has_endpoint(conf))
            continue;
        check.server = s;
        place = first_endpoint(s, conf, 0);
        if (first_endpoint(NULL, conf, 0) &&
            !has_https(ptemp, s, conf, mdm_conf_server(main_server))) {
            if (place && s->is_virtual) {
                tell_no_https(&check, conf, place);
            } else if (s->is_virtual && first_endpoint(s, conf, 1)) {
                check_server(&check, p, conf);
                serve_plain_only(conf);
                continue;
            } else {
                passed_over = passed_over ? passed_over : s;
                continue;
            }
        }
        check_server(&check, p, conf);
        served++;
    }
    if (passed_over && !served) {
        const mdm_server_conf_t *conf = mdm_conf_server(passed_over);

        check.server = passed_over;
        tell_no_https(&check, conf, first_endpoint(NULL, conf, 0));
    }
    check_guards(&check, p, main_server);
    mdm_conf_make_others(p, main_server);
    mdm_conf_server(main_server)->keys_wait = mdm_key_ring_deferred(check.keys);
    return !check.problems;
}

int mdm_conf_check(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    mdm_keys_time_t time = MDM_KEYS_LATER;

    (void)plog;
    if (mdm_conf_testing())
        time = MDM_KEYS_TEST;
    else if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        time = MDM_KEYS_LOOK;
    if (check_all(p, ptemp, main_server, time))
        return mdm_conf_testing() && mdm_conf_check_terms(ptemp, main_server, 1)
                   ? HTTP_INTERNAL_SERVER_ERROR
                   : OK;
    /* "httpd -k stop" must stop a server whatever has become of its files, so only the test ends
     * here: a start does in post_config. */
    mdm_conf_server(main_server)->broken = 1;
    return mdm_conf_testing() ? HTTP_INTERNAL_SERVER_ERROR : OK;
}

int mdm_conf_check_keys(apr_pool_t *p, apr_pool_t *ptemp, server_rec *main_server)
{
    return check_all(p, ptemp, main_server, MDM_KEYS_START) ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
