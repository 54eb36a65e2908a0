/* SPDX-License-Identifier: Apache-2.0
 * A configuration that changes what no update can change (core's mdm_terms) would leave the devices
 * behind that were enrolled before: httpd -t and a start say so before it is too late.
 *
 * The database is read by a process of its own, as the user that httpd's children run as: as root,
 * SQLite would leave side files that they cannot use. It compares, too, since it has the whole
 * configuration, and tells what it found through a pipe. A database that is away keeps no httpd
 * from starting.
 */
#include "conf.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_log.h>

#include "../core/mdm_schema.h"
#include "../core/mdm_terms.h"
#include "store_terms.h"

APLOG_USE_MODULE(mdm_enroll);

#define PATIENCE apr_time_from_sec(6)
#define MAX_BYTES (256 * 1024) /* of what is told */

#define MDM_PAYLOAD "com.apple.mdm"
#define PER_USER "per-user-connections"

const char *mdm_conf_set_allow_change(cmd_parms *cmd, void *dir, const char *name)
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    const char *key = ap_cstr_casecmp(name, "all") ? NULL : "all";
    int i;

    (void)dir;
    /* Given again, it begins anew; further names of one line add to it. */
    if (conf->where[MDM_SET_ALLOW_CHANGE] != cmd->directive)
        conf->allowed_changes = apr_array_make(cmd->pool, 4, sizeof(const char *));
    mdm_conf_mark(cmd, MDM_SET_ALLOW_CHANGE);
    for (i = 1; mdm_terms_keys[i]; i++) /* 0 is the PayloadIdentifier, by which they are found */
        if (!ap_cstr_casecmp(name, mdm_terms_keys[i]))
            key = mdm_terms_keys[i];
    if (!key)
        return mdm_conf_refuse_value(
            cmd, name,
            "all, or one or more of ServerURL, CheckInURL, Topic, EnrollmentMode, "
            "AssignedManagedAppleID, RequiredAppIDForMDM, per-user-connections, AccessRights");
    APR_ARRAY_PUSH(conf->allowed_changes, const char *) = key;
    return NULL;
}

/* --- what the configuration says --- */

/* A key for devices of a system. *known is 0 where that is an expression. */
static const char *setting_value(apr_pool_t *p, const mdm_profile_settings_t *profile,
                                 const char *key, mdm_system_t system, int *known)
{
    const mdm_setting_t *setting = mdm_schema_find(profile->mdm, key);
    const char *text;

    if (!setting || !mdm_schema_knows_key(MDM_PAYLOAD, key, system))
        return NULL;
    if (setting->type == MDM_PLIST_INTEGER)
        return apr_psprintf(p, "%" APR_INT64_T_FMT, setting->number);
    text = mdm_text_fixed(setting->text);
    *known = text != NULL;
    return text;
}

static const char *capability(const mdm_profile_settings_t *profile, mdm_system_t system,
                              int *known)
{
    const mdm_setting_t *setting = mdm_schema_find(profile->mdm, "ServerCapabilities");
    int i;

    if (!setting) /* as mdm_profile has it */
        return system.platform == MDM_PLATFORM_MACOS ? "yes" : NULL;
    if (!mdm_schema_knows_key(MDM_PAYLOAD, "ServerCapabilities", system))
        return NULL;
    for (i = 0; i < setting->texts->nelts; i++) {
        const char *text = mdm_text_fixed(APR_ARRAY_IDX(setting->texts, i, const mdm_text_t *));

        if (text && !strcmp(text, MDM_PAYLOAD "." PER_USER))
            return "yes";
        *known &= text != NULL;
    }
    return NULL;
}

static const char *rights(apr_pool_t *p, const mdm_profile_settings_t *profile, mdm_system_t system,
                          int *known)
{
    const char *mode = setting_value(p, profile, "EnrollmentMode", system, known);

    if (!*known || (mode && !strcmp(mode, "BYOD")))
        return NULL;
    return mdm_schema_find(profile->mdm, "AccessRights")
               ? setting_value(p, profile, "AccessRights", system, known)
               : "8191";
}

static const char *value_of(apr_pool_t *p, const mdm_profile_settings_t *profile, const char *key,
                            mdm_system_t system, int *known)
{
    const mdm_text_t *url = profile->server_url;

    *known = 1;
    if (!strcmp(key, "CheckInURL") && profile->checkin_url)
        url = profile->checkin_url;
    if (!strcmp(key, "ServerURL") || !strcmp(key, "CheckInURL")) {
        *known = mdm_text_fixed(url) != NULL;
        return mdm_text_fixed(url);
    }
    if (!strcmp(key, "Topic"))
        return profile->topic;
    if (!strcmp(key, PER_USER))
        return capability(profile, system, known);
    if (!strcmp(key, "AccessRights"))
        return rights(p, profile, system, known);
    return setting_value(p, profile, key, system, known);
}

/* --- comparing, in the process that reads --- */

/* One value that would change, in so many enrollments. */
typedef struct finding_t {
    const server_rec *s;
    const char *key;
    const char *before; /* NULL: none */
    const char *now;
    int count;
} finding_t;

typedef struct look_t {
    apr_pool_t *p;
    apr_pool_t *each; /* for one visit */
    server_rec *main_server;
    mdm_dbd_kind_t kind;
    const char *target;
    apr_array_header_t *findings; /* finding_t */
} look_t;

static int allowed(const mdm_server_conf_t *conf, const char *key)
{
    const apr_array_header_t *keys = conf->allowed_changes;

    return keys && (ap_array_str_contains(keys, "all") || ap_array_str_contains(keys, key));
}

/* The terms that a profile of a vhost would give to such a device; what is not known, or may
 * change, is as it was. */
static const char *terms_now(apr_pool_t *p, const mdm_server_conf_t *conf,
                             const mdm_profile_settings_t *profile, const char *terms,
                             mdm_system_t system)
{
    const char *now = apr_pstrcat(p, mdm_terms_keys[0], ": ", profile->identifier, "\n", NULL);
    int i;

    for (i = 1; mdm_terms_keys[i]; i++) {
        const char *key = mdm_terms_keys[i];
        int known;
        const char *value = value_of(p, profile, key, system, &known);

        if (!known || allowed(conf, key)) {
            value = mdm_terms_value(p, terms, key);
            now = value ? apr_pstrcat(p, now, key, ": ", value, "\n", NULL) : now;
        } else if (value) {
            now = apr_pstrcat(p, now, mdm_terms_line(p, key, value), NULL);
        }
    }
    return now;
}

static void add(look_t *look, const server_rec *s, const mdm_terms_change_t *change, int count)
{
    finding_t *found;
    int i;

    for (i = 0; i < look->findings->nelts; i++) {
        found = &APR_ARRAY_IDX(look->findings, i, finding_t);
        if (found->s == s && !strcmp(found->key, change->key) &&
            !strcmp(found->before ? found->before : "", change->before ? change->before : "") &&
            !strcmp(found->now ? found->now : "", change->now ? change->now : "")) {
            found->count += count;
            return;
        }
    }
    found = apr_array_push(look->findings);
    *found =
        (finding_t){s, change->key, change->before ? apr_pstrdup(look->p, change->before) : NULL,
                    change->now ? apr_pstrdup(look->p, change->now) : NULL, count};
}

static int is_of(const look_t *look, const server_rec *s, const char *identifier)
{
    const mdm_site_t *site = mdm_conf_server(s)->site;

    return site && !site->guard_only && site->identity && site->store_kind == look->kind &&
           !strcmp(site->store_target, look->target) &&
           !strcmp(site->ota.profile.identifier, identifier);
}

/* What a vhost would change for such a device. Which of its templates such a device gets is asked
 * when it comes: here the one that changes least counts. */
static const apr_array_header_t *changes_of(apr_pool_t *p, const server_rec *s, const char *terms,
                                            mdm_system_t system)
{
    const mdm_server_conf_t *conf = mdm_conf_server(s);
    const mdm_profile_settings_t *profile = &conf->site->ota.profile;
    const apr_array_header_t *choices = profile->choices, *least = NULL;
    int i, count = choices ? choices->nelts : 0;

    for (i = 0; i <= count; i++) {
        const mdm_profile_choice_t *choice =
            i < count ? &APR_ARRAY_IDX(choices, i, mdm_profile_choice_t) : NULL;
        const apr_array_header_t *changes = mdm_terms_compare(
            p, terms, terms_now(p, conf, choice ? choice->settings : profile, terms, system));

        if (!least || changes->nelts < least->nelts)
            least = changes;
        if (choice && !choice->condition) /* what is behind it is never taken */
            break;
    }
    return least;
}

/* Where one vhost goes on with what these devices have, another one with the same identifier does
 * not matter: it is where others are enrolled. */
static void compare(void *baton, const char *terms, const char *product, const char *os_version,
                    int count)
{
    look_t *look = baton;
    const char *identifier;
    mdm_system_t system = mdm_system_of(product, os_version);
    const apr_array_header_t *changes = NULL;
    const server_rec *s, *first = NULL;
    int i;

    apr_pool_clear(look->each);
    identifier = mdm_terms_value(look->each, terms, mdm_terms_keys[0]);
    for (s = look->main_server; s && identifier; s = s->next) {
        const apr_array_header_t *here;

        if (!is_of(look, s, identifier))
            continue;
        here = changes_of(look->each, s, terms, system);
        if (!here->nelts)
            return;
        if (!first) {
            first = s;
            changes = here;
        }
    }
    for (i = 0; first && i < changes->nelts; i++)
        add(look, first, &APR_ARRAY_IDX(changes, i, mdm_terms_change_t), count);
}

/* --- through the pipe: texts, each with a NUL --- */

static void put(int fd, const char *text)
{
    apr_size_t len = strlen(text) + 1;

    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n <= 0)
            _exit(1);
        text += n;
        len -= (apr_size_t)n;
    }
}

static void put_value(int fd, const char *value)
{
    put(fd, value ? "=" : "-");
    put(fd, value ? value : "");
}

static int number_of(const server_rec *main_server, const server_rec *s)
{
    int number = 0;

    for (; main_server && main_server != s; main_server = main_server->next)
        number++;
    return number;
}

static void look_and_tell(look_t *look, int fd)
{
    const char *why;
    int i;

    if (!mdm_conf_become_user())
        _exit(1);
    why = mdm_store_terms(look->p, look->kind, look->target, compare, look);
    for (i = 0; !why && i < look->findings->nelts; i++) {
        const finding_t *found = &APR_ARRAY_IDX(look->findings, i, finding_t);

        put(fd, apr_itoa(look->p, number_of(look->main_server, found->s)));
        put(fd, found->key);
        put_value(fd, found->before);
        put_value(fd, found->now);
        put(fd, apr_itoa(look->p, found->count));
    }
    put(fd, why ? "away" : "done");
    put(fd, why ? why : "");
    _exit(0);
}

/* All that the process says, until it ends or the time is over. */
static apr_size_t listen_to(int fd, char *buffer, apr_size_t size)
{
    apr_time_t deadline = apr_time_now() + PATIENCE;
    apr_size_t len = 0;

    while (len < size) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        apr_time_t left = deadline - apr_time_now();
        ssize_t n;

        if (left <= 0 || poll(&wait, 1, (int)(left / 1000) + 1) <= 0)
            break;
        n = read(fd, buffer + len, size - len);
        if (n <= 0)
            break;
        len += (apr_size_t)n;
    }
    return len;
}

/* What was told, text by text; "" when there is no more. */
typedef struct told_t {
    const char *at;
    const char *end;
} told_t;

static const char *next(told_t *told)
{
    const char *text = told->at;
    const char *end = text < told->end ? memchr(text, '\0', (apr_size_t)(told->end - text)) : NULL;

    if (!end)
        return "";
    told->at = end + 1;
    return text;
}

static const char *next_value(apr_pool_t *p, told_t *told)
{
    const char *there = next(told), *value = next(told);

    return *there == '=' ? apr_psprintf(p, "\"%s\"", value) : "none";
}

static void tell(apr_pool_t *p, const server_rec *s, told_t *told, int fatal)
{
    const char *key = next(told), *before = next_value(p, told), *now = next_value(p, told);
    const char *count = next(told);

    ap_log_error(APLOG_MARK, (fatal ? APLOG_STARTUP : 0) | APLOG_ERR, 0, NULL,
                 "%s: %s: %s is %s now, and was %s for %s enrolled devices, which no update can "
                 "change%s; wanted: the value of before, or \"MDMEnrollAllowChange %s\" and those "
                 "devices enrolled again",
                 mdm_result_code(p, MDM_MSG_TERMS_CHANGED), mdm_conf_vhost_name(p, s), key, now,
                 before, count, fatal ? "" : " (they get no updates)", key);
}

/* The process for one database; how many findings it had. */
static int look_into(apr_pool_t *p, server_rec *main_server, const mdm_site_t *site, int fatal)
{
    look_t look = {.p = p,
                   .main_server = main_server,
                   .kind = site->store_kind,
                   .target = site->store_target,
                   .findings = apr_array_make(p, 4, sizeof(finding_t))};
    char *buffer = apr_palloc(p, MAX_BYTES);
    const char *word, *why = "it did not answer in time";
    told_t told = {buffer, buffer};
    int fds[2], findings = 0;
    pid_t child;

    apr_pool_create(&look.each, p);
    if (pipe(fds) != 0)
        return 0;
    child = fork();
    if (child == 0) {
        close(fds[0]);
        look_and_tell(&look, fds[1]);
    }
    close(fds[1]);
    if (child > 0)
        told.end += listen_to(fds[0], buffer, MAX_BYTES);
    close(fds[0]);
    if (child > 0) {
        kill(child, SIGKILL); /* it has ended, or is late */
        waitpid(child, NULL, 0);
    }
    for (word = next(&told); apr_isdigit(*word); word = next(&told), findings++) {
        const server_rec *s = main_server;
        int number;

        for (number = atoi(word); number > 0 && s->next; number--)
            s = s->next;
        tell(p, s, &told, fatal);
    }
    if (!strcmp(word, "done"))
        return findings;
    if (!strcmp(word, "away"))
        why = next(&told);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main_server,
                 "%s: whether this configuration changes what was delivered to devices is not "
                 "known, the database cannot be read: %s",
                 mdm_result_code(p, MDM_MSG_TERMS_UNREAD), why);
    return findings;
}

int mdm_conf_check_terms(apr_pool_t *ptemp, server_rec *main_server, int fatal)
{
    apr_hash_t *seen = apr_hash_make(ptemp);
    server_rec *s;
    int findings = 0;

    for (s = main_server; s; s = s->next) {
        const mdm_site_t *site = mdm_conf_server(s)->site;
        const char *key;

        if (!site || site->guard_only || !site->identity || !site->store_target)
            continue;
        key = apr_psprintf(ptemp, "%d:%s", (int)site->store_kind, site->store_target);
        if (apr_hash_get(seen, key, APR_HASH_KEY_STRING))
            continue;
        apr_hash_set(seen, key, APR_HASH_KEY_STRING, "");
        findings += look_into(ptemp, main_server, site, fatal);
    }
    return findings;
}
