/* SPDX-License-Identifier: Apache-2.0
 * directory_ldap, directory_attributes and directory_url: URLs, what a user's name may do to a
 * filter, answers that let nobody in, and the deadline against peers that are silent, stop half-way
 * or never end. slapd itself is started by the integration tests. Depends on directory_ldap, core
 * and cmocka.
 */
#include "../../mod_mdm_enroll/httpd/directory_url.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <ldap.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static apr_pool_t *pool;

/* --- a peer that says what it is told to --- */

typedef struct peer_t {
    int listening;
    int port;
    const struct reply_t {
        const char *bytes;
        size_t len;
    } * replies; /* one for each request, NULL-terminated; behind the last one it is silent */
    int drip;    /* send the last reply's last byte again and again, every 20 ms */
    char seen[4096];
    size_t seen_len;
    atomic_int stop;
    pthread_t thread;
} peer_t;

#define REPLY(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define NO_MORE                                                                                    \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* LDAPMessage { messageID, CHOICE { result code, matchedDN "", diagnosticMessage "" } } */
#define BIND_OK "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
#define DONE(code) "\x30\x0c\x02\x01\x02\x65\x07\x0a\x01" code "\x04\x00\x04\x00"
#define GROUP_DONE(code) "\x30\x0c\x02\x01\x03\x65\x07\x0a\x01" code "\x04\x00\x04\x00"
#define GOOD_ENTRY "\x30\x0e\x02\x01\x02\x64\x09\x04\x05uid=a\x30\x00"
#define REFERENCE "\x30\x11\x02\x01\x02\x73\x0c\x04\x0aldap://b/c"

static int wait_readable(peer_t *peer, int fd)
{
    struct pollfd f = {.fd = fd, .events = POLLIN};

    while (!atomic_load(&peer->stop))
        if (poll(&f, 1, 20) > 0)
            return 1;
    return 0;
}

static void serve(peer_t *peer, int fd)
{
    char buffer[4096];

    for (const struct reply_t *reply = peer->replies; reply->bytes != NULL; reply++) {
        ssize_t n = wait_readable(peer, fd) ? recv(fd, buffer, sizeof(buffer), 0) : 0;

        if (n <= 0)
            return;
        if (peer->seen_len + (size_t)n < sizeof(peer->seen)) {
            memcpy(peer->seen + peer->seen_len, buffer, (size_t)n);
            peer->seen_len += (size_t)n;
        }
        send(fd, reply->bytes, reply->len, MSG_NOSIGNAL);
        while (peer->drip && reply[1].bytes == NULL && !atomic_load(&peer->stop)) {
            usleep(20000);
            if (send(fd, reply->bytes + reply->len - 1, 1, MSG_NOSIGNAL) < 0)
                return;
        }
    }
    while (wait_readable(peer, fd) && recv(fd, buffer, sizeof(buffer), 0) > 0)
        ;
}

static void *accept_all(void *arg)
{
    peer_t *peer = arg;

    while (wait_readable(peer, peer->listening)) {
        int fd = accept(peer->listening, NULL, NULL);
        if (fd >= 0) {
            serve(peer, fd);
            close(fd);
        }
    }
    return NULL;
}

static void listen_on(peer_t *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(peer->listening, 8), 0);
    assert_int_equal(getsockname(peer->listening, (struct sockaddr *)&address, &len), 0);
    peer->port = ntohs(address.sin_port);
}

static void start_peer(peer_t *peer)
{
    listen_on(peer);
    assert_int_equal(pthread_create(&peer->thread, NULL, accept_all, peer), 0);
}

static void stop_peer(peer_t *peer)
{
    atomic_store(&peer->stop, 1);
    pthread_join(peer->thread, NULL);
    close(peer->listening);
}

/* --- asking --- */

/* Of what is answered: so long that a busy machine does not count. */
#define PATIENCE_MS 20000

/* Of what is not answered: so short that it can be waited for. */
#define TIMEOUT_MS 600

/* So often is a deadline measured, before the machine cannot be the reason any more. */
#define ATTEMPTS 3

static mdm_ldap_settings_t settings_for(const char *scheme, int port)
{
    mdm_ldap_settings_t settings = {0};
    const char *url = apr_psprintf(pool, "%s://127.0.0.1:%d/dc=test?uid", scheme, port);

    assert_null(mdm_ldap_parse_url(pool, url, &settings));
    settings.bind_dn = "cn=reader,dc=test";
    settings.bind_password = "s3cret-of-the-reader";
    settings.timeout = apr_time_from_msec(PATIENCE_MS);
    return settings;
}

static mdm_result_t ask_for(const mdm_ldap_settings_t *settings, const char *user,
                            apr_table_t *attributes)
{
    const mdm_directory_t *directory = mdm_directory_ldap(pool, settings);
    mdm_result_t r = directory->check(directory->context, pool, user, attributes);

    assert_null(strstr(r.log, "s3cret"));
    if (r.kind != MDM_OK)
        assert_non_null(strstr(r.log, settings->url));
    return r;
}

static mdm_result_t ask(const mdm_ldap_settings_t *settings, const char *user)
{
    return ask_for(settings, user, NULL);
}

static int now_ms(void)
{
    return (int)(apr_time_now() / 1000 % 1000000000);
}

static int cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int)((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                 (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
}

/* Refused as unavailable when the deadline comes, never before, and without burning the time.
 * Hardly later: 10 % for libldap, 150 ms for a machine that does other things; of several attempts
 * the best counts, since only the machine makes a difference between them. */
static void assert_deadline(mdm_ldap_settings_t *settings)
{
    const int late = TIMEOUT_MS * 11 / 10 + 150;
    int best = late + 1;

    settings->timeout = apr_time_from_msec(TIMEOUT_MS);
    for (int i = 0; i < ATTEMPTS && best > late; i++) {
        int began = now_ms(), cpu = cpu_ms(), took;
        mdm_result_t r = ask(settings, "alice");

        took = now_ms() - began;
        assert_int_equal(r.message, MDM_MSG_DIRECTORY_UNAVAILABLE);
        assert_non_null(strstr(r.log, "no answer within 600 ms"));
        assert_in_range(cpu_ms() - cpu, 0, TIMEOUT_MS / 2);
        assert_true(took >= TIMEOUT_MS - 2);
        best = took < best ? took : best;
    }
    assert_in_range(best, TIMEOUT_MS - 2, late);
}

static void deadline_holds(const char *scheme, int starttls, const struct reply_t *replies,
                           int drip)
{
    peer_t peer = {.replies = replies, .drip = drip};
    mdm_ldap_settings_t settings;

    start_peer(&peer);
    settings = settings_for(scheme, peer.port);
    settings.starttls = starttls;
    assert_deadline(&settings);
    stop_peer(&peer);
}

/* --- deadline --- */

static void silent_peer_is_left_at_the_deadline(void **state)
{
    peer_t peer = {0};
    mdm_ldap_settings_t settings;

    (void)state;
    listen_on(&peer); /* the kernel answers, nobody accepts: as a stopped server */
    settings = settings_for("ldap", peer.port);
    assert_deadline(&settings);
    settings.starttls = 1;
    assert_deadline(&settings);
    settings = settings_for("ldaps", peer.port);
    assert_deadline(&settings);
    close(peer.listening);
}

/* A host that drops packets: the queue of a socket that never accepts is full. */
static void unreachable_host_is_left_at_the_deadline(void **state)
{
    peer_t peer = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    mdm_ldap_settings_t settings;
    int waiting[8];

    (void)state;
    listen_on(&peer);
    assert_int_equal(listen(peer.listening, 0), 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)peer.port);
    for (size_t i = 0; i < 8; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
    }
    settings = settings_for("ldap", peer.port);
    assert_deadline(&settings);
    settings = settings_for("ldaps", peer.port);
    assert_deadline(&settings);
    for (size_t i = 0; i < 8; i++)
        close(waiting[i]);
    close(peer.listening);
}

static void peer_that_stops_within_a_message_is_left(void **state)
{
    static const struct reply_t half_bind[] = {REPLY("\x30\x0c\x02\x01"), NO_MORE};
    static const struct reply_t half_record[] = {REPLY("\x16\x03\x03"), NO_MORE};
    static const struct reply_t no_search[] = {REPLY(BIND_OK), NO_MORE};
    static const struct reply_t half_search[] = {REPLY(BIND_OK), REPLY(GOOD_ENTRY "\x30\x0c"),
                                                 NO_MORE};
    (void)state;
    deadline_holds("ldap", 0, half_bind, 0);
    deadline_holds("ldaps", 0, half_record, 0);
    deadline_holds("ldap", 0, no_search, 0);
    deadline_holds("ldap", 0, half_search, 0);
}

static void peer_that_stops_after_starttls_is_left(void **state)
{
    /* ExtendedResponse, success */
    static const struct reply_t agreed[] = {
        REPLY("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"), NO_MORE};
    static const struct reply_t half_record[] = {
        REPLY("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"), REPLY("\x16\x03"),
        NO_MORE};
    (void)state;
    deadline_holds("ldap", 1, agreed, 0);
    deadline_holds("ldap", 1, half_record, 0);
}

static void peer_that_never_ends_is_left(void **state)
{
    /* 16000 bytes are announced in a TLS record, 2 MB in an LDAP message. */
    static const struct reply_t record[] = {REPLY("\x16\x03\x03\x3e\x80\x02"), NO_MORE};
    static const struct reply_t message[] = {
        REPLY("\x30\x83\x20\x00\x00\x02\x01\x01\x61\x83\x1f\xff\xf8\x00"), NO_MORE};
    (void)state;
    deadline_holds("ldaps", 0, record, 1);
    deadline_holds("ldap", 0, message, 1);
}

static void refused_port_is_told_at_once(void **state)
{
    static const char *const schemes[] = {"ldap", "ldaps"};
    peer_t peer = {0};

    (void)state;
    listen_on(&peer);
    close(peer.listening); /* a port that nobody has */
    for (size_t i = 0; i < 2; i++) {
        mdm_ldap_settings_t settings = settings_for(schemes[i], peer.port);
        int began = now_ms();
        mdm_result_t r = ask(&settings, "alice");
        assert_int_equal(r.message, MDM_MSG_DIRECTORY_UNAVAILABLE);
        assert_int_equal(r.kind, MDM_UNAVAILABLE);
        assert_non_null(strstr(r.log, "binding as \"cn=reader,dc=test\""));
        assert_in_range(now_ms() - began, 0, PATIENCE_MS / 2);
    }
}

/* --- answers --- */

static mdm_result_t answer_to(const char *user, const char *group, const struct reply_t *replies,
                              peer_t *peer)
{
    mdm_ldap_settings_t settings;
    mdm_result_t r;

    *peer = (peer_t){.replies = replies};
    start_peer(peer);
    settings = settings_for("ldap", peer->port);
    settings.group = group;
    r = ask(&settings, user);
    stop_peer(peer);
    return r;
}

/* What only real servers can be asked to do is in the integration tests; these answers they give
 * rarely, and none may let anybody in. */
static void only_exactly_one_entry_lets_in(void **state)
{
    static const struct {
        struct reply_t search[3];
        mdm_message_t message;
    } cases[] = {
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x00")), NO_MORE}, MDM_MSG_NONE},
        /* Active Directory adds references to every search from the top. */
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY REFERENCE DONE("\x00")), NO_MORE}, MDM_MSG_NONE},
        {{REPLY(BIND_OK), REPLY(DONE("\x00")), NO_MORE}, MDM_MSG_DIRECTORY_NO_USER},
        {{REPLY(BIND_OK), REPLY(REFERENCE DONE("\x00")), NO_MORE}, MDM_MSG_DIRECTORY_NO_USER},
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY GOOD_ENTRY DONE("\x00")), NO_MORE},
         MDM_MSG_DIRECTORY_AMBIGUOUS},
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x04")), NO_MORE}, MDM_MSG_DIRECTORY_AMBIGUOUS},
        /* time limit, partial results, referral, busy, base is missing */
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x03")), NO_MORE}, MDM_MSG_DIRECTORY_UNAVAILABLE},
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x09")), NO_MORE}, MDM_MSG_DIRECTORY_UNAVAILABLE},
        {{REPLY(BIND_OK), REPLY(DONE("\x0a")), NO_MORE}, MDM_MSG_DIRECTORY_UNAVAILABLE},
        {{REPLY(BIND_OK), REPLY(DONE("\x33")), NO_MORE}, MDM_MSG_DIRECTORY_UNAVAILABLE},
        {{REPLY(BIND_OK), REPLY(DONE("\x20")), NO_MORE}, MDM_MSG_DIRECTORY_UNAVAILABLE},
        /* a wrong password of the reader; something else than LDAP; an entry that is cut short */
        {{REPLY("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00"), NO_MORE, NO_MORE},
         MDM_MSG_DIRECTORY_UNAVAILABLE},
        {{REPLY("HTTP/1.1 400 Bad Request\r\n\r\n"), NO_MORE, NO_MORE},
         MDM_MSG_DIRECTORY_UNAVAILABLE},
        {{REPLY(BIND_OK), REPLY("\x30\x0a\x02\x01\x02\x64\x05\x04\x09uid" DONE("\x00")), NO_MORE},
         MDM_MSG_DIRECTORY_UNAVAILABLE},
    };
    peer_t peer;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_result_t r = answer_to("alice", NULL, cases[i].search, &peer);
        if (r.message != cases[i].message)
            fail_msg("case %d: %d, %s", (int)i, (int)r.message, r.log);
    }
}

static void group_must_be_there_and_match(void **state)
{
    static const struct {
        struct reply_t replies[4];
        mdm_message_t message;
    } cases[] = {
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x00")),
          REPLY("\x30\x0d\x02\x01\x03\x64\x08\x04\x04"
                "cn=g\x30\x00" GROUP_DONE("\x00")),
          NO_MORE},
         MDM_MSG_NONE},
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x00")), REPLY(GROUP_DONE("\x00")), NO_MORE},
         MDM_MSG_DIRECTORY_NOT_MEMBER},
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x00")), REPLY(GROUP_DONE("\x20")), NO_MORE},
         MDM_MSG_DIRECTORY_NOT_MEMBER},
        {{REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x00")), REPLY(GROUP_DONE("\x35")), NO_MORE},
         MDM_MSG_DIRECTORY_UNAVAILABLE},
    };
    peer_t peer;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_result_t r = answer_to("alice", "cn=g", cases[i].replies, &peer);
        if (r.message != cases[i].message)
            fail_msg("case %d: %d, %s", (int)i, (int)r.message, r.log);
    }
}

/* The name must arrive as one value of one comparison: 4 (OCTET STRING), its length, its bytes. */
static void name_stays_a_value(void **state)
{
    static const struct reply_t replies[] = {REPLY(BIND_OK), REPLY(DONE("\x00")), NO_MORE};
    static const char *const names[] = {
        "alice",         "*",       "*)(uid=*",     "a)(|(b=c", "a\\2ab",
        "j\xc3\xbcrgen", "(x)*\\y", "x\ty\x01\x7f", "\xff"};
    peer_t peer;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);
        char *wanted =
            apr_psprintf(pool, "\xa3%c\x04\x03uid\x04%c%s", (int)(len + 7), (int)len, names[i]);
        mdm_result_t r = answer_to(names[i], NULL, replies, &peer);
        assert_int_equal(r.message, MDM_MSG_DIRECTORY_NO_USER);
        if (memmem(peer.seen, peer.seen_len, wanted, strlen(wanted)) == NULL)
            fail_msg("name %d is not a value in the request", (int)i);
    }
}

static void nothing_is_asked_without_name_or_password(void **state)
{
    static const struct reply_t replies[] = {REPLY(BIND_OK), REPLY(GOOD_ENTRY DONE("\x00")),
                                             NO_MORE};
    peer_t peer = {.replies = replies};
    mdm_ldap_settings_t settings;

    (void)state;
    start_peer(&peer);
    settings = settings_for("ldap", peer.port);
    assert_int_equal(ask(&settings, "").message, MDM_MSG_DIRECTORY_NO_USER);
    settings.bind_password = "";
    assert_int_equal(ask(&settings, "alice").message, MDM_MSG_DIRECTORY_UNAVAILABLE);
    assert_int_equal(peer.seen_len, 0);
    stop_peer(&peer);
}

static void ca_file_must_be_usable(void **state)
{
    peer_t peer = {0};
    mdm_ldap_settings_t settings;
    mdm_result_t r;

    (void)state;
    listen_on(&peer);
    settings = settings_for("ldaps", peer.port);
    settings.ca_file = "/nonexistent/ca.pem";
    r = ask(&settings, "alice");
    assert_int_equal(r.message, MDM_MSG_DIRECTORY_UNAVAILABLE);
    assert_non_null(strstr(r.log, "/nonexistent/ca.pem"));
    close(peer.listening);
}

/* --- attributes --- */

/* BER: a tag, the length of what is in it in three bytes, what is in it. */
typedef struct ber_t {
    char bytes[65536];
    size_t len;
} ber_t;

static void put(ber_t *to, int tag, const void *content, size_t len)
{
    unsigned char head[] = {(unsigned char)tag, 0x83, (unsigned char)(len >> 16),
                            (unsigned char)(len >> 8), (unsigned char)len};

    assert_true(to->len + sizeof(head) + len <= sizeof(to->bytes));
    memcpy(to->bytes + to->len, head, sizeof(head));
    memcpy(to->bytes + to->len + sizeof(head), content, len);
    to->len += sizeof(head) + len;
}

typedef struct value_t {
    const char *attribute; /* NULL: another value of the one before */
    const char *bytes;
    size_t len;
} value_t;

/* SearchResultEntry of "uid=a" with these attributes. */
static void put_entry(ber_t *to, const value_t *values, size_t count)
{
    static ber_t attributes, attribute, set, entry, message;
    static const char id[] = "\x02\x01\x02";

    attributes.len = entry.len = 0;
    for (size_t i = 0; i < count;) {
        attribute.len = set.len = 0;
        put(&attribute, 0x04, values[i].attribute, strlen(values[i].attribute));
        do
            put(&set, 0x04, values[i].bytes, values[i].len);
        while (++i < count && values[i].attribute == NULL);
        put(&attribute, 0x31, set.bytes, set.len);
        put(&attributes, 0x30, attribute.bytes, attribute.len);
    }
    put(&entry, 0x04, "uid=a", 5);
    put(&entry, 0x30, attributes.bytes, attributes.len);
    memcpy(message.bytes, id, message.len = sizeof(id) - 1);
    put(&message, 0x64, entry.bytes, entry.len);
    put(to, 0x30, message.bytes, message.len);
}

/* What a user with these values has, asked for by an attribute list. */
static apr_table_t *read_values(const char *list, const value_t *values, size_t count, peer_t *peer)
{
    static ber_t search;
    struct reply_t replies[] = {REPLY(BIND_OK), NO_MORE, NO_MORE};
    static const char done[] = DONE("\x00");
    apr_table_t *read = apr_table_make(pool, 4);
    mdm_ldap_settings_t settings;

    search.len = 0;
    put_entry(&search, values, count);
    memcpy(search.bytes + search.len, done, sizeof(done) - 1);
    search.len += sizeof(done) - 1;
    replies[1] = (struct reply_t){search.bytes, search.len};
    *peer = (peer_t){.replies = replies};
    start_peer(peer);
    settings = settings_for("ldap", peer->port);
    assert_null(mdm_ldap_parse_attributes(pool, list, "uid", &settings.attributes));
    assert_int_equal(ask_for(&settings, "alice", read).message, MDM_MSG_NONE);
    stop_peer(peer);
    return read;
}

#define TEXT(attribute, text)                                                                      \
    {                                                                                              \
        attribute, text, sizeof(text) - 1                                                          \
    }

static void attributes_become_variables(void **state)
{
    static const value_t values[] = {TEXT("uid", "alice"),
                                     TEXT("MAIL", "a@x"),
                                     TEXT(NULL, "b@x"),
                                     TEXT(NULL, "\xc3\xbc; \"c\""),
                                     TEXT("displayName;lang-de", "<&>"),
                                     TEXT("unasked", "x")};
    peer_t peer;
    apr_table_t *read = read_values("uid,mail,displayName;lang-de,title", values,
                                    sizeof(values) / sizeof(values[0]), &peer);

    (void)state;
    assert_int_equal(apr_table_elts(read)->nelts, 3);
    assert_string_equal(apr_table_get(read, "MDM_LDAP_UID"), "alice");
    assert_string_equal(apr_table_get(read, "MDM_LDAP_MAIL"), "a@x; b@x; \xc3\xbc; \"c\"");
    assert_string_equal(apr_table_get(read, "MDM_LDAP_DISPLAYNAME_LANG_DE"), "<&>");
    /* the request names them, and nothing else */
    assert_non_null(memmem(peer.seen, peer.seen_len,
                           "\x04\x03uid\x04\x04mail\x04\x13"
                           "displayName;lang-de\x04\x05title",
                           5 + 6 + 21 + 7));
}

static void what_is_no_text_is_left_out(void **state)
{
    static const value_t values[] = {
        TEXT("a", "\xff\xd8"), TEXT(NULL, "good"), TEXT(NULL, "x\0y"),       TEXT("b", "\xff\xd8"),
        TEXT("c", ""),         TEXT("d", "x\ry"),  TEXT("e", "\xed\xa0\x80")};
    peer_t peer;
    apr_table_t *read =
        read_values("uid,a,b,c,d,e", values, sizeof(values) / sizeof(values[0]), &peer);

    (void)state;
    assert_int_equal(apr_table_elts(read)->nelts, 1);
    assert_string_equal(apr_table_get(read, "MDM_LDAP_A"), "good");
}

/* All or nothing: half a list of groups would be taken for the whole. */
static void long_attributes_are_left_out(void **state)
{
    static char longest[MDM_LDAP_MAX_BYTES + 1];
    const value_t values[] = {{"fits", longest, MDM_LDAP_MAX_BYTES},
                              {"long", longest, MDM_LDAP_MAX_BYTES + 1},
                              {"short", "x", 1},
                              {"many", longest, MDM_LDAP_MAX_BYTES - 2},
                              {NULL, "x", 1}};
    peer_t peer;
    apr_table_t *read;

    (void)state;
    memset(longest, 'x', sizeof(longest));
    read =
        read_values("uid,fits,long,short,many", values, sizeof(values) / sizeof(values[0]), &peer);
    assert_int_equal(apr_table_elts(read)->nelts, 2);
    assert_int_equal(strlen(apr_table_get(read, "MDM_LDAP_FITS")), MDM_LDAP_MAX_BYTES);
    assert_string_equal(apr_table_get(read, "MDM_LDAP_SHORT"), "x");
}

static void attributes_are_asked_for_only_if_wanted(void **state)
{
    static const struct reply_t replies[] = {REPLY(BIND_OK), REPLY(DONE("\x00")), NO_MORE};
    peer_t peer;

    (void)state;
    answer_to("alice", NULL, replies, &peer);
    assert_non_null(memmem(peer.seen, peer.seen_len,
                           "\x30\x05\x04\x03"
                           "1.1",
                           7));
}

static void attribute_lists(void **state)
{
    static const char *const bad[][2] = {
        {"uid,", "a name"},
        {",uid", "a name"},
        {"uid,*", "a name"},
        {"uid,+", "a name"},
        {"uid,m ail", "a name"},
        {"uid,m\xc3\xbc", "a name"},
        {"uid,;x", "a name"},
        {"uid,a-b,a;b", "MDM_LDAP_A_B"},
        {"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "at most 16"},
    };
    const apr_array_header_t *read = NULL;

    (void)state;
    assert_null(mdm_ldap_parse_attributes(pool, "uid,mail,UID,Mail", "x", &read));
    assert_int_equal(read->nelts, 2);
    assert_null(mdm_ldap_parse_attributes(pool, "", "uid", &read));
    assert_int_equal(read->nelts, 1);
    assert_string_equal(APR_ARRAY_IDX(read, 0, mdm_ldap_attribute_t).variable, "MDM_LDAP_UID");
    assert_null(mdm_ldap_parse_attributes(pool, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "x", &read));
    assert_int_equal(read->nelts, MDM_LDAP_MAX_ATTRIBUTES);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *error = mdm_ldap_parse_attributes(pool, bad[i][0], "uid", &read);

        if (error == NULL || strstr(error, bad[i][1]) == NULL)
            fail_msg("\"%s\": %s", bad[i][0], error ? error : "taken");
    }
    assert_int_equal(read->nelts, MDM_LDAP_MAX_ATTRIBUTES);
}

/* --- URLs --- */

static void url_is_taken_apart(void **state)
{
    static const struct {
        const char *given, *url, *base, *attribute, *filter;
        int scope;
    } cases[] = {
        {"ldap://h/dc=x", "ldap://h", "dc=x", "uid", "(objectClass=*)", LDAP_SCOPE_SUBTREE},
        {"LDAPS://h.example:1636/ou=p,dc=x?mail?one?(a=b)", "ldaps://h.example:1636", "ou=p,dc=x",
         "mail", "(a=b)", LDAP_SCOPE_ONELEVEL},
        {"ldap://[::1]:389/dc=x?uid,cn?BASE", "ldap://[::1]:389", "dc=x", "uid", "(objectClass=*)",
         LDAP_SCOPE_BASE},
        {"ldap://[fe80::1]/", "ldap://[fe80::1]", "", "uid", "(objectClass=*)", LDAP_SCOPE_SUBTREE},
        {"ldap://h/ou=My%20People,o=%C3%84?sAMAccountName?sub?(%26(a=%3f)(b=c))", "ldap://h",
         "ou=My People,o=\xc3\x84", "sAMAccountName", "(&(a=?)(b=c))", LDAP_SCOPE_SUBTREE},
        {"ldap://h/ou=My People,o=x???objectClass=person", "ldap://h", "ou=My People,o=x", "uid",
         "(objectClass=person)", LDAP_SCOPE_SUBTREE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_ldap_settings_t settings = {0};
        assert_null(mdm_ldap_parse_url(pool, cases[i].given, &settings));
        assert_string_equal(settings.url, cases[i].url);
        assert_string_equal(settings.base, cases[i].base);
        assert_string_equal(settings.attribute, cases[i].attribute);
        assert_string_equal(settings.filter, cases[i].filter);
        assert_int_equal(settings.scope, cases[i].scope);
    }
}

static void bad_url_is_told_with_a_remedy(void **state)
{
    static const char *const cases[][2] = {
        {"", "scheme"},
        {"ldap", "scheme"},
        {"ldapi://%2frun%2fldapi/dc=x", "scheme"},
        {"https://h/dc=x", "scheme"},
        {"ldap://h", "base is missing"},
        {"ldap:///dc=x", "host is missing"},
        {"ldap://:389/dc=x", "host is missing"},
        {"ldap://h1 h2/dc=x", "several hosts"},
        {"ldap://u@h/dc=x", "character"},
        {"ldap://h:0/dc=x", "port"},
        {"ldap://h:65536/dc=x", "port"},
        {"ldap://h:/dc=x", "port"},
        {"ldap://h:ldap/dc=x", "port"},
        {"ldap://[::1/dc=x", "IPv6"},
        {"ldap://[::g]/dc=x", "IPv6"},
        {"ldap://[::1]389/dc=x", "port"},
        {"ldap://h/people", "DN"},
        {"ldap://h/dc=%zz", "DN"},
        {"ldap://h/dc=a%00b", "DN"},
        {"ldap://h/dc=x?u(d", "attribute"},
        {"ldap://h/dc=x?uid?subtree", "scope"},
        {"ldap://h/dc=x?uid?sub?(a=b", "parentheses"},
        {"ldap://h/dc=x?uid?sub?(a=b)(c=d)", "parentheses"},
        {"ldap://h/dc=x?uid?sub?(a=b))", "parentheses"},
        {"ldap://h/dc=x?uid?sub?(a=%)", "parentheses"},
        {"ldap://h/dc=x?uid?sub?(a=b)?!bindname=cn=x", "extensions"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_ldap_settings_t settings = {0};
        const char *error = mdm_ldap_parse_url(pool, cases[i][0], &settings);
        if (error == NULL || strstr(error, cases[i][1]) == NULL)
            fail_msg("%s: %s", cases[i][0], error ? error : "accepted");
        assert_non_null(strstr(error, "wanted is ldap"));
        assert_null(settings.url);
    }
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as httpd does */
    apr_initialize();
    return apr_pool_create(&pool, NULL) == APR_SUCCESS ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_become_variables),
        cmocka_unit_test(what_is_no_text_is_left_out),
        cmocka_unit_test(long_attributes_are_left_out),
        cmocka_unit_test(attributes_are_asked_for_only_if_wanted),
        cmocka_unit_test(attribute_lists),
        cmocka_unit_test(url_is_taken_apart),
        cmocka_unit_test(bad_url_is_told_with_a_remedy),
        cmocka_unit_test(name_stays_a_value),
        cmocka_unit_test(nothing_is_asked_without_name_or_password),
        cmocka_unit_test(only_exactly_one_entry_lets_in),
        cmocka_unit_test(group_must_be_there_and_match),
        cmocka_unit_test(ca_file_must_be_usable),
        cmocka_unit_test(refused_port_is_told_at_once),
        cmocka_unit_test(silent_peer_is_left_at_the_deadline),
        cmocka_unit_test(unreachable_host_is_left_at_the_deadline),
        cmocka_unit_test(peer_that_stops_within_a_message_is_left),
        cmocka_unit_test(peer_that_stops_after_starttls_is_left),
        cmocka_unit_test(peer_that_never_ends_is_left),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
