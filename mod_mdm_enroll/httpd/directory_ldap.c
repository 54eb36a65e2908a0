/* SPDX-License-Identifier: Apache-2.0
 * The directory of core on OpenLDAP's library: one search, uncached, within a deadline. Depends on
 * libldap, liblber, directory_attributes and core's mdm_enrollment.
 *
 * libldap has time limits for connecting and for waiting for a message, but none, or none that its
 * versions agree on, for a TLS handshake or for a message that began to arrive. So the deadline
 * sits lower: a layer of our own between the socket and TLS, which waits no longer than the time
 * that is left, whatever is above it. Only the resolver is not bounded: its limits are the
 * system's.
 */
#include "directory_ldap.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>

#include <apr_strings.h>
#include <ldap.h>

/* --- a conversation within a deadline --- */

typedef struct session_t {
    apr_pool_t *p;
    const mdm_ldap_settings_t *settings;
    LDAP *ld;
    apr_time_t deadline;
    struct ldap_conncb callback;
    const char *step; /* what is being done, for the log */
} session_t;

static apr_interval_time_t time_left(const session_t *s)
{
    apr_interval_time_t left = s->deadline - apr_time_now();

    return left > 0 ? left : 0;
}

/* At least 1 ms: for libldap, nothing means "do not wait", or "for ever". */
static struct timeval as_timeval(apr_interval_time_t t)
{
    if (t < 1000)
        t = 1000;
    return (struct timeval){.tv_sec = (time_t)apr_time_sec(t),
                            .tv_usec = (suseconds_t)apr_time_usec(t)};
}

static int wait_for(Sockbuf_IO_Desc *io, short events)
{
    const session_t *s = io->sbiod_pvt;
    struct pollfd fd = {.events = events};

    ber_sockbuf_ctrl(io->sbiod_sb, LBER_SB_OPT_GET_FD, &fd.fd);
    for (;;) {
        apr_interval_time_t left = time_left(s);
        int n = poll(&fd, 1, (int)((left + 999) / 1000));

        if (n > 0)
            return 0;
        if (n == 0)
            errno = ETIMEDOUT; /* anything but EAGAIN, which would be tried again */
        else if (errno == EINTR)
            continue;
        return -1;
    }
}

static ber_slen_t bounded_read(Sockbuf_IO_Desc *io, void *bytes, ber_len_t len)
{
    ber_slen_t n;

    do {
        if (wait_for(io, POLLIN) < 0)
            return -1;
        n = LBER_SBIOD_READ_NEXT(io, bytes, len);
    } while (n < 0 && (errno == EAGAIN || errno == EINTR));
    return n;
}

static ber_slen_t bounded_write(Sockbuf_IO_Desc *io, void *bytes, ber_len_t len)
{
    ber_slen_t n;

    do {
        if (wait_for(io, POLLOUT) < 0)
            return -1;
        n = LBER_SBIOD_WRITE_NEXT(io, bytes, len);
    } while (n < 0 && (errno == EAGAIN || errno == EINTR));
    return n;
}

static int bounded_setup(Sockbuf_IO_Desc *io, void *session)
{
    io->sbiod_pvt = session;
    return 0;
}

static int bounded_ctrl(Sockbuf_IO_Desc *io, int option, void *arg)
{
    return LBER_SBIOD_CTRL_NEXT(io, option, arg);
}

static Sockbuf_IO bounded_io = {.sbi_setup = bounded_setup,
                                .sbi_ctrl = bounded_ctrl,
                                .sbi_read = bounded_read,
                                .sbi_write = bounded_write};

/* Called by libldap when it is connected, before it adds the socket below and TLS above. */
static int on_connect(LDAP *ld, Sockbuf *sb, LDAPURLDesc *server, struct sockaddr *address,
                      struct ldap_conncb *callback)
{
    session_t *s = callback->lc_arg;
    struct timeval left = as_timeval(time_left(s));

    (void)server;
    (void)address;
    /* What was meant for one of several addresses now holds for the TLS handshake. */
    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
    return ber_sockbuf_add_io(sb, &bounded_io, LBER_SBIOD_LEVEL_PROVIDER + 1, s);
}

static void on_disconnect(LDAP *ld, Sockbuf *sb, struct ldap_conncb *callback)
{
    (void)ld;
    (void)sb;
    (void)callback;
}

/* The directory could not be asked: the step, why, and what else is known of it. */
static mdm_result_t trouble(const session_t *s, int rc, const char *detail)
{
    /* libldap counts in whole milliseconds, and may give up a little early. */
    if (rc == LDAP_TIMEOUT || time_left(s) < apr_time_from_msec(5))
        return mdm_result_make(s->p, MDM_MSG_DIRECTORY_UNAVAILABLE,
                               "%s: %s: no answer within %d ms", s->settings->url, s->step,
                               (int)(s->settings->timeout / 1000));
    return mdm_result_make(s->p, MDM_MSG_DIRECTORY_UNAVAILABLE, "%s: %s: %s (%d)%s%s",
                           s->settings->url, s->step, ldap_err2string(rc), rc, *detail ? "; " : "",
                           detail);
}

/* What the server said to its result code. */
static mdm_result_t refusal(const session_t *s, int code, const char *text)
{
    return trouble(s, code,
                   *text ? apr_pstrcat(s->p, "\"", mdm_result_quote_text(s->p, text), "\"", NULL)
                         : "");
}

static int uses_tls(const session_t *s)
{
    return s->settings->starttls || strncmp(s->settings->url, "ldaps:", 6) == 0;
}

/* A failure on our side of the connection. libldap seldom has words for one of TLS. */
static mdm_result_t local_trouble(const session_t *s, int rc)
{
    const char *ca = s->settings->ca_file ? s->settings->ca_file : "the system";

    if (!uses_tls(s) || (rc != LDAP_SERVER_DOWN && rc != LDAP_CONNECT_ERROR))
        return trouble(s, rc, "");
    return trouble(s, rc,
                   apr_pstrcat(s->p,
                               "if it does answer: its certificate must be valid, be for this "
                               "host name, and come from a CA of ",
                               ca, NULL));
}

/* Wait for the whole answer to a request. MDM_OK: *answer is the caller's to free, *code is the
 * server's. */
static mdm_result_t await(const session_t *s, int id, LDAPMessage **answer, int *code,
                          const char **diagnostic)
{
    struct timeval left = as_timeval(time_left(s));
    char *text = NULL;
    int rc = LDAP_TIMEOUT;
    int type = ldap_result(s->ld, id, LDAP_MSG_ALL, &left, answer);

    if (type > 0) {
        rc = ldap_parse_result(s->ld, *answer, code, NULL, &text, NULL, NULL, 0);
        *diagnostic = text ? apr_pstrdup(s->p, text) : "";
        ldap_memfree(text);
        if (rc == LDAP_SUCCESS)
            return mdm_result_ok();
        ldap_msgfree(*answer);
    } else if (type < 0) {
        ldap_get_option(s->ld, LDAP_OPT_RESULT_CODE, &rc);
    }
    *answer = NULL;
    return local_trouble(s, rc);
}

/* A request of which only success is of interest. */
static mdm_result_t await_success(const session_t *s, int id)
{
    LDAPMessage *answer;
    const char *diagnostic;
    int code;
    mdm_result_t r = await(s, id, &answer, &code, &diagnostic);

    if (r.kind != MDM_OK)
        return r;
    ldap_msgfree(answer);
    return code == LDAP_SUCCESS ? r : refusal(s, code, diagnostic);
}

/* How many addresses libldap will try one after the other. It has one time limit for each. */
static mdm_result_t count_addresses(session_t *s, int *count)
{
    const char *name = strstr(s->settings->url, "://") + 3;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char *host;
    int rc;

    if (*name == '[')
        host = apr_pstrmemdup(s->p, name + 1, strcspn(name + 1, "]"));
    else
        host = apr_pstrmemdup(s->p, name, strcspn(name, ":"));
    rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc != 0)
        return mdm_result_make(s->p, MDM_MSG_DIRECTORY_UNAVAILABLE,
                               "%s: looking up the host name: %s", s->settings->url,
                               gai_strerror(rc));
    *count = 0;
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
        ++*count;
    freeaddrinfo(list);
    return mdm_result_ok();
}

/* A handle with a TLS context of its own knows nothing any more of what ldap.conf or mod_ldap
 * (LDAPTrustedGlobalCert) set for all. */
static int copy_option(LDAP *ld, int option)
{
    char *value = NULL;
    int rc = LDAP_OPT_SUCCESS;

    if (ldap_get_option(NULL, option, &value) == LDAP_OPT_SUCCESS && value != NULL)
        rc = ldap_set_option(ld, option, value);
    ldap_memfree(value);
    return rc;
}

static int trust_cas(LDAP *ld, const char *ca_file)
{
    int rc;

    if (ca_file != NULL)
        return ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, ca_file);
    rc = copy_option(ld, LDAP_OPT_X_TLS_CACERTFILE);
    return rc == LDAP_OPT_SUCCESS ? copy_option(ld, LDAP_OPT_X_TLS_CACERTDIR) : rc;
}

static int set_tls_options(const session_t *s)
{
    LDAP *ld = s->ld;
    int demand = LDAP_OPT_X_TLS_DEMAND, server = 0, rc;

    rc = ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    if (rc == LDAP_OPT_SUCCESS)
        rc = trust_cas(ld, s->settings->ca_file);
    if (rc == LDAP_OPT_SUCCESS) /* last: makes a context of what was set */
        rc = ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &server);
    return rc;
}

static mdm_result_t open_session(session_t *s)
{
    const mdm_ldap_settings_t *settings = s->settings;
    int version = LDAP_VERSION3, addresses = 1, rc;
    struct timeval limit;
    mdm_result_t r = count_addresses(s, &addresses);

    if (r.kind != MDM_OK)
        return r;
    s->step = "preparing";
    rc = ldap_initialize(&s->ld, settings->url);
    if (rc != LDAP_SUCCESS)
        return trouble(s, rc, "");
    s->callback = (struct ldap_conncb){.lc_add = on_connect, .lc_del = on_disconnect, .lc_arg = s};
    limit = as_timeval(time_left(s) / addresses);
    if (ldap_set_option(s->ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS ||
        ldap_set_option(s->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
        ldap_set_option(s->ld, LDAP_OPT_RESTART, LDAP_OPT_ON) != LDAP_OPT_SUCCESS ||
        ldap_set_option(s->ld, LDAP_OPT_NETWORK_TIMEOUT, &limit) != LDAP_OPT_SUCCESS ||
        ldap_set_option(s->ld, LDAP_OPT_CONNECT_CB, &s->callback) != LDAP_OPT_SUCCESS)
        return trouble(s, LDAP_LOCAL_ERROR, "an option was not accepted");
    if (uses_tls(s) && set_tls_options(s) != LDAP_OPT_SUCCESS)
        return trouble(s, LDAP_LOCAL_ERROR,
                       settings->ca_file ? apr_pstrcat(s->p, "TLS cannot use the CA file ",
                                                       settings->ca_file, NULL)
                                         : "TLS cannot use the CA certificates of the system");
    return mdm_result_ok();
}

static mdm_result_t start_tls(session_t *s)
{
    int id, rc;
    mdm_result_t r;

    s->step = "STARTTLS";
    rc = ldap_start_tls(s->ld, NULL, NULL, &id);
    if (rc != LDAP_SUCCESS)
        return local_trouble(s, rc);
    r = await_success(s, id);
    if (r.kind != MDM_OK)
        return r;
    rc = ldap_install_tls(s->ld);
    return rc == LDAP_SUCCESS ? r : local_trouble(s, rc);
}

static mdm_result_t authenticate(session_t *s)
{
    const char *dn = s->settings->bind_dn;
    const char *password = s->settings->bind_password ? s->settings->bind_password : "";
    struct berval credentials = {0, NULL};
    int id, rc;

    s->step = dn ? apr_psprintf(s->p, "binding as \"%s\"", mdm_result_quote_text(s->p, dn))
                 : "binding anonymously";
    /* A name without a password is an anonymous bind that succeeds (RFC 4513 section 5.1.2). */
    if (dn != NULL && *password == '\0')
        return trouble(s, LDAP_INAPPROPRIATE_AUTH, "the password of the bind DN is empty");
    if (dn != NULL) {
        credentials.bv_len = strlen(password);
        credentials.bv_val = apr_pstrdup(s->p, password);
    }
    rc = ldap_sasl_bind(s->ld, dn ? dn : "", LDAP_SASL_SIMPLE, &credentials, NULL, NULL, &id);
    if (rc != LDAP_SUCCESS)
        return local_trouble(s, rc);
    return await_success(s, id);
}

/* --- the questions --- */

/* A value for a filter (RFC 4515 section 3). */
static const char *escape(apr_pool_t *p, const char *value)
{
    char *escaped = apr_palloc(p, 3 * strlen(value) + 1);
    char *out = escaped;

    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if (strchr("*()\\", c) != NULL || c < 0x20)
            out += apr_snprintf(out, 4, "\\%02x", c);
        else
            *out++ = (char)c;
    }
    *out = '\0';
    return escaped;
}

typedef struct finding_t {
    int code; /* LDAP_SUCCESS, LDAP_SIZELIMIT_EXCEEDED or LDAP_NO_SUCH_OBJECT */
    int entries;
    const char *dn; /* of the first one */
} finding_t;

/* values (or NULL) gets the user's attributes, if it is one entry. */
static mdm_result_t search(session_t *s, const char *base, int scope, const char *filter,
                           finding_t *found, apr_table_t *values)
{
    const apr_array_header_t *wanted = s->settings->attributes;
    char *no_attributes[] = {LDAP_NO_ATTRS, NULL};
    char **names = values ? mdm_ldap_attribute_names(s->p, wanted) : no_attributes;
    struct timeval left = as_timeval(time_left(s));
    LDAPMessage *answer, *entry;
    const char *diagnostic;
    char *dn;
    int id, rc;
    mdm_result_t r;

    rc = ldap_search_ext(s->ld, base, scope, filter, names, 0, NULL, NULL, &left, 2, &id);
    if (rc != LDAP_SUCCESS)
        return local_trouble(s, rc);
    r = await(s, id, &answer, &found->code, &diagnostic);
    if (r.kind != MDM_OK)
        return r;
    found->entries = ldap_count_entries(s->ld, answer);
    entry = ldap_first_entry(s->ld, answer);
    dn = entry ? ldap_get_dn(s->ld, entry) : NULL;
    found->dn = dn ? apr_pstrdup(s->p, dn) : NULL;
    ldap_memfree(dn);
    if (values != NULL && found->code == LDAP_SUCCESS && found->entries == 1)
        mdm_ldap_read_attributes(s->p, s->ld, entry, wanted, values);
    ldap_msgfree(answer);
    if (found->code != LDAP_SUCCESS && found->code != LDAP_SIZELIMIT_EXCEEDED &&
        found->code != LDAP_NO_SUCH_OBJECT)
        return refusal(s, found->code, diagnostic);
    if (found->entries < 0 || (found->entries > 0 && found->dn == NULL))
        return trouble(s, LDAP_DECODING_ERROR, "");
    return r;
}

static mdm_result_t find_user(session_t *s, const char *user, apr_table_t *attributes,
                              const char **dn)
{
    const mdm_ldap_settings_t *settings = s->settings;
    const char *name = mdm_result_quote_text(s->p, user);
    finding_t found = {0, 0, NULL};
    mdm_result_t r;

    s->step = apr_psprintf(s->p, "searching for the user under \"%s\"", settings->base);
    r = search(s, settings->base, settings->scope,
               apr_psprintf(s->p, "(&%s(%s=%s))", settings->filter, settings->attribute,
                            escape(s->p, user)),
               &found, attributes);
    if (r.kind != MDM_OK)
        return r;
    if (found.code == LDAP_NO_SUCH_OBJECT) /* the base: no word about the user */
        return trouble(s, found.code, "");
    if (found.entries > 1 || found.code == LDAP_SIZELIMIT_EXCEEDED)
        return mdm_result_make(s->p, MDM_MSG_DIRECTORY_AMBIGUOUS,
                               "%s: more than one entry under \"%s\" has %s \"%s\"", settings->url,
                               settings->base, settings->attribute, name);
    if (found.entries == 0)
        return mdm_result_make(
            s->p, MDM_MSG_DIRECTORY_NO_USER, "%s: no entry under \"%s\" that fits %s has %s \"%s\"",
            settings->url, settings->base, settings->filter, settings->attribute, name);
    *dn = found.dn;
    return r;
}

static mdm_result_t find_membership(session_t *s, const char *user, const char *dn)
{
    const mdm_ldap_settings_t *settings = s->settings;
    const char *member = escape(s->p, dn);
    finding_t found = {0, 0, NULL};
    mdm_result_t r;

    s->step = apr_psprintf(s->p, "reading the group \"%s\"", settings->group);
    r = search(s, settings->group, LDAP_SCOPE_BASE,
               apr_psprintf(s->p, "(|(member=%s)(uniqueMember=%s)(memberUid=%s))", member, member,
                            escape(s->p, user)),
               &found, NULL);
    if (r.kind != MDM_OK)
        return r;
    if (found.code == LDAP_NO_SUCH_OBJECT)
        return mdm_result_make(s->p, MDM_MSG_DIRECTORY_NOT_MEMBER,
                               "%s: the group \"%s\" of MDMEnrollDirectoryGroup does not exist, "
                               "or may not be read: nobody is let in",
                               settings->url, settings->group);
    if (found.code != LDAP_SUCCESS || found.entries != 1)
        return mdm_result_make(s->p, MDM_MSG_DIRECTORY_NOT_MEMBER,
                               "%s: user \"%s\" (\"%s\") is not a member of \"%s\"", settings->url,
                               mdm_result_quote_text(s->p, user), mdm_result_quote_text(s->p, dn),
                               settings->group);
    return r;
}

static mdm_result_t check(void *context, apr_pool_t *p, const char *user, apr_table_t *attributes)
{
    const mdm_ldap_settings_t *settings = context;
    session_t s = {.p = p, .settings = settings};
    const char *dn = NULL;
    mdm_result_t r;

    if (user == NULL || *user == '\0')
        return mdm_result_make(p, MDM_MSG_DIRECTORY_NO_USER, "%s: the user has no name",
                               settings->url);
    s.deadline = apr_time_now() + settings->timeout;
    r = open_session(&s);
    if (r.kind == MDM_OK && settings->starttls)
        r = start_tls(&s);
    if (r.kind == MDM_OK)
        r = authenticate(&s);
    if (r.kind == MDM_OK)
        r = find_user(&s, user, attributes, &dn);
    if (r.kind == MDM_OK && settings->group != NULL)
        r = find_membership(&s, user, dn);
    if (s.ld != NULL)
        ldap_unbind_ext(s.ld, NULL, NULL);
    return r;
}

const mdm_directory_t *mdm_directory_ldap(apr_pool_t *p, const mdm_ldap_settings_t *settings)
{
    mdm_directory_t *directory = apr_palloc(p, sizeof(*directory));

    directory->context = (void *)settings;
    directory->check = check;
    return directory;
}
