/* SPDX-License-Identifier: Apache-2.0
 * Database handles over apr_dbd's drivers: bounded, timed, dropped when in doubt. Depends on APR
 * and apr-util only.
 */
#include "dbd_pool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/* More handles do not make SQLite faster: all its steps run under one mutex of apr_dbd. */
#define MAX_SQLITE 4
#define MAX_PGSQL 10

/* So many connect at once: a server that is just starting, or slow, is not helped by all workers of
 * all processes knocking together, and the first handles that are free serve the others. */
#define MAX_CONNECTING 2

#define ACQUIRE_TIMEOUT apr_time_from_sec(2)
#define BREAKER apr_time_from_sec(1)

/* How long a set-up tries again while other processes make the same schema, and how often. */
#define SETUP_PATIENCE apr_time_from_sec(3)
#define SETUP_PAUSE apr_time_from_msec(20)

/* A PostgreSQL connection that has lain longer is asked "SELECT 1" before it is trusted: 0.2 ms for
 * not failing the first user after a restart of the server. */
#define REST apr_time_from_msec(100)

/* Longest text of a database in a result, in bytes. */
#define TEXT_MAX 300

typedef struct statement_t {
    struct statement_t *next;
    const char *sql; /* the pointer is the key */
    apr_pool_t *p;
    apr_dbd_prepared_t *prepared;
} statement_t;

struct mdm_dbd_handle_t {
    mdm_dbd_handle_t *next; /* while idle */
    mdm_dbd_pool_t *pool;
    apr_pool_t *p; /* with an allocator of its own: used without any lock, by one thread */
    apr_dbd_t *dbd;
    statement_t *statements;
    unsigned generation;
    dev_t device; /* SQLite: of the file as it was opened */
    ino_t inode;
    apr_time_t released;
};

struct mdm_dbd_pool_t {
    mdm_dbd_kind_t kind;
    const apr_dbd_driver_t *driver;
    const char *target; /* what the driver is given */
    const char *name;   /* for texts; without password */
    const char *const *ddl;
    int version;
    int max;

    /* Guards what follows, and is never held during I/O. */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *changed;
    mdm_dbd_handle_t *idle;
    int open; /* idle, lent and just connecting */
    int connecting;
    /* A handle of an older generation is closed instead of used again: doubt about one connection
     * is doubt about all that were open at the time. */
    unsigned generation;
    int remake; /* the next set-up runs the DDL even if the version is right */
    int closed;
    apr_time_t broken_until;
    mdm_message_t broken;
    char broken_text[2 * TEXT_MAX];
};

/* --- texts --- */

/* A text of a database as one line of printable ASCII. */
static const char *one_line(apr_pool_t *p, const char *text)
{
    char *line = apr_palloc(p, TEXT_MAX + 1);
    apr_size_t len = 0;

    for (; text && *text != '\0' && len < TEXT_MAX; text++) {
        unsigned char c = (unsigned char)*text;
        if (isspace(c)) {
            if (len > 0 && line[len - 1] != ' ')
                line[len++] = ' ';
        } else {
            line[len++] = c > 0x20 && c < 0x7f ? (char)c : '?';
        }
    }
    while (len > 0 && line[len - 1] == ' ')
        len--;
    line[len] = '\0';
    return line;
}

static const char *describe(mdm_dbd_handle_t *h, apr_pool_t *p, int rc)
{
    const char *text = one_line(p, apr_dbd_error(h->pool->driver, h->dbd, rc));

    return apr_psprintf(p, "%s: %s", h->pool->name, *text ? text : "no text of the error");
}

/* --- statements --- */

static int prepare(mdm_dbd_handle_t *h, const char *sql, statement_t **out)
{
    statement_t *st;
    apr_pool_t *p;
    int rc;

    for (st = h->statements; st; st = st->next) {
        if (st->sql == sql) {
            *out = st;
            return 0;
        }
    }
    apr_pool_create(&p, h->p);
    st = apr_pcalloc(p, sizeof(*st));
    st->p = p;
    st->sql = sql;
    /* The label is NULL so that the server has nothing to forget and infers the types itself. */
    rc = apr_dbd_prepare(h->pool->driver, p, h->dbd, sql, NULL, &st->prepared);
    if (rc != 0) {
        apr_pool_destroy(p);
        return rc;
    }
    st->next = h->statements;
    h->statements = st;
    *out = st;
    return 0;
}

/* The driver keeps what it needs to finalize a statement in the handle's pool, until it closes. */
static void forget(mdm_dbd_handle_t *h, const char *sql)
{
    for (statement_t **at = &h->statements; *at; at = &(*at)->next) {
        if ((*at)->sql == sql) {
            statement_t *st = *at;
            *at = st->next;
            apr_pool_destroy(st->p);
            return;
        }
    }
}

/* Execute, or select if results is not NULL. */
static int run(mdm_dbd_handle_t *h, apr_pool_t *p, const char *sql, int nargs, const char **args,
               int *rows, apr_dbd_results_t **results, const char **error)
{
    const apr_dbd_driver_t *driver = h->pool->driver;

    for (int attempt = 0;; attempt++) {
        statement_t *st;
        int rc = prepare(h, sql, &st);

        if (rc == 0 && results) /* random access: without it, an empty result costs 100 ms */
            rc = apr_dbd_pselect(driver, p, h->dbd, results, st->prepared, 1, nargs, args);
        else if (rc == 0)
            rc = apr_dbd_pquery(driver, p, h->dbd, rows, st->prepared, nargs, args);
        if (rc == 0)
            return 0;
        *error = describe(h, p, rc);
        /* The driver prepares with SQLite's old interface, which does not do it again by itself
         * when another connection changed the schema. Nothing was executed then. */
        if (attempt > 0 || !strstr(*error, "schema has changed"))
            return rc;
        forget(h, sql);
    }
}

int mdm_dbd_execute(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                    const char **args, int *rows, const char **error)
{
    int changed = 0;
    int rc = run(handle, p, sql, nargs, args, &changed, NULL, error);

    /* On a failure the driver tells the number of an earlier statement. */
    *rows = rc == 0 ? changed : 0;
    return rc;
}

/* Copy the first row, read the others: only the end of a result frees it. */
static int first_row(mdm_dbd_handle_t *h, apr_pool_t *p, apr_pool_t *scratch,
                     apr_dbd_results_t *results, int columns, const char **values)
{
    const apr_dbd_driver_t *driver = h->pool->driver;
    apr_dbd_row_t *row = NULL;
    int found = 0;

    while (apr_dbd_get_row(driver, scratch, results, &row, -1) == 0) {
        for (int i = 0; !found && i < columns; i++) {
            const char *value = apr_dbd_get_entry(driver, row, i);
            values[i] = apr_pstrdup(p, value ? value : "");
        }
        found = 1;
    }
    return found;
}

int mdm_dbd_select_row(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                       const char **args, int columns, const char **values, int *found,
                       const char **error)
{
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc;

    apr_pool_create(&scratch, p);
    rc = run(handle, scratch, sql, nargs, args, NULL, &results, error);
    *found = rc == 0 && first_row(handle, p, scratch, results, columns, values);
    if (rc != 0)
        *error = apr_pstrdup(p, *error);
    apr_pool_destroy(scratch);
    return rc;
}

/* The first value that a statement without arguments answers, NULL if it answers none. Also the
 * only way for a PRAGMA: apr_dbd_query takes a row for an error. */
static int select_value(mdm_dbd_handle_t *h, apr_pool_t *p, const char *sql, const char **value,
                        const char **error)
{
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc;

    *value = NULL;
    apr_pool_create(&scratch, p);
    rc = apr_dbd_select(h->pool->driver, scratch, h->dbd, &results, sql, 1);
    if (rc == 0)
        first_row(h, p, scratch, results, 1, value);
    else
        *error = describe(h, p, rc);
    apr_pool_destroy(scratch);
    return rc;
}

/* --- opening --- */

static int run_ddl(mdm_dbd_handle_t *h, apr_pool_t *p, const char **error)
{
    for (const char *const *sql = h->pool->ddl; *sql; sql++) {
        int rows, rc = apr_dbd_query(h->pool->driver, h->dbd, &rows, *sql);
        if (rc != 0) {
            *error = describe(h, p, rc);
            return rc;
        }
    }
    return 0;
}

/* Check the schema, or make it. Several processes may do so at once, and then even CREATE TABLE IF
 * NOT EXISTS fails on either database: hence the patience. The row with the version comes last, so
 * who sees it sees everything. */
static mdm_result_t set_up_schema(mdm_dbd_handle_t *h, apr_pool_t *p, int remake,
                                  apr_time_t deadline)
{
    const mdm_dbd_pool_t *pool = h->pool;
    int made = 0;

    for (;;) {
        const char *error = "the table mdm_schema is empty", *version;

        select_value(h, p, "SELECT version FROM mdm_schema ORDER BY version DESC LIMIT 1", &version,
                     &error);
        if (version) {
            if (strcmp(version, apr_itoa(p, pool->version)) != 0)
                return mdm_result_make(p, MDM_MSG_STORE_SCHEMA,
                                       "%s: its tables have version %s, this module needs %d; run "
                                       "the module that made them, or give this one a database of "
                                       "its own",
                                       pool->name, one_line(p, version), pool->version);
            /* A table is missing, perhaps. If the user may not make tables, statements will tell.
             */
            if (remake)
                run_ddl(h, p, &error);
            return mdm_result_ok();
        }
        if (run_ddl(h, p, &error) == 0 && !made)
            made = 1; /* look again at once */
        else if (apr_time_now() < deadline)
            apr_sleep(SETUP_PAUSE);
        else
            return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "making the tables: %s", error);
    }
}

/* WAL is a property of the file: read first, since setting it needs a lock on the whole file. */
static mdm_result_t set_up_sqlite(mdm_dbd_handle_t *h, apr_pool_t *p, apr_time_t deadline)
{
    const char *mode, *value, *error = NULL;

    /* Short: the driver sleeps in it with the one mutex of all SQLite handles held, and repeats a
     * busy statement 16 times by itself without. */
    if (select_value(h, p, "PRAGMA busy_timeout=50", &value, &error) != 0)
        return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s", error);
    for (;;) {
        int rc = select_value(h, p, "PRAGMA journal_mode", &mode, &error);

        if (rc == 0 && mode && strcmp(mode, "wal") != 0)
            rc = select_value(h, p, "PRAGMA journal_mode=WAL", &mode, &error);
        if (rc == 0 && mode && strcmp(mode, "wal") == 0)
            break;
        if (apr_time_now() >= deadline)
            return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s",
                                   rc != 0 ? error
                                           : apr_psprintf(p,
                                                          "%s: journal mode is \"%s\", wanted is "
                                                          "WAL (not possible on network drives)",
                                                          h->pool->name, mode ? mode : ""));
        apr_sleep(SETUP_PAUSE);
    }
    /* A spent challenge must stay spent over a power cut. */
    if (select_value(h, p, "PRAGMA synchronous=FULL", &value, &error) != 0)
        return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s", error);
    return mdm_result_ok();
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Make the file if there is none, since SQLite would make it readable to all, and remember which
 * one it is. An existing file is never opened here: closing it again would drop every lock that
 * this process holds on it (POSIX), under SQLite's feet. One that cannot be written is refused,
 * since SQLite would open it all the same, and leave side files that cannot be written either. */
static mdm_result_t find_file(mdm_dbd_handle_t *h, apr_pool_t *p)
{
    const mdm_dbd_pool_t *pool = h->pool;
    /* Looked for first: a process that makes the database just now makes these last. */
    int side_files = exists(apr_pstrcat(p, pool->target, "-wal", NULL)) ||
                     exists(apr_pstrcat(p, pool->target, "-shm", NULL));
    struct stat info;
    char text[120];
    int fd;

    if (side_files && !exists(pool->target))
        return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE,
                               "%s: the file is gone, but what belongs to it (-wal, -shm) is "
                               "there: put it back, or remove that too to begin with an empty one",
                               pool->name);
    fd = open(pool->target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    if ((fd < 0 && errno != EEXIST) || stat(pool->target, &info) != 0 ||
        faccessat(AT_FDCWD, pool->target, R_OK | W_OK, AT_EACCESS) != 0)
        return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE,
                               "%s: the file cannot be made, or read and written: %s", pool->name,
                               apr_strerror(errno, text, sizeof(text)));
    h->device = info.st_dev;
    h->inode = info.st_ino;
    return mdm_result_ok();
}

static void close_handle(mdm_dbd_handle_t *h)
{
    if (h->dbd)
        apr_dbd_close(h->pool->driver, h->dbd);
    apr_pool_destroy(h->p);
}

static mdm_result_t open_handle(mdm_dbd_pool_t *pool, apr_pool_t *p, unsigned generation,
                                int remake, mdm_dbd_handle_t **handle)
{
    apr_time_t deadline = apr_time_now() + SETUP_PATIENCE;
    const char *error = NULL;
    mdm_result_t r = mdm_result_ok();
    mdm_dbd_handle_t *h;
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, apr_pool_abort_get(p), NULL);
    h = apr_pcalloc(own, sizeof(*h));
    h->p = own;
    h->pool = pool;
    h->generation = generation;
    if (pool->kind == MDM_DBD_SQLITE)
        r = find_file(h, p);
    if (r.kind == MDM_OK &&
        apr_dbd_open_ex(pool->driver, own, pool->target, &h->dbd, &error) != APR_SUCCESS) {
        h->dbd = NULL;
        r = mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s: %s", pool->name,
                            error ? mdm_dbd_withhold(p, pool->target, one_line(p, error))
                                  : "cannot be opened");
    }
    if (r.kind == MDM_OK && pool->kind == MDM_DBD_SQLITE)
        r = set_up_sqlite(h, p, deadline);
    if (r.kind == MDM_OK)
        r = set_up_schema(h, p, remake, deadline);
    if (r.kind != MDM_OK)
        close_handle(h);
    else
        *handle = h;
    return r;
}

/* --- the pool --- */

static void outdate(mdm_dbd_pool_t *pool)
{
    apr_thread_mutex_lock(pool->mutex);
    pool->generation++;
    apr_thread_mutex_unlock(pool->mutex);
}

/* May an idle handle be used? MDM_OK and *usable; anything else is for the caller's caller. */
static mdm_result_t try_handle(mdm_dbd_handle_t *h, apr_pool_t *p, int *usable)
{
    mdm_dbd_pool_t *pool = h->pool;
    struct stat info;
    int gone = 0;

    *usable = 0;
    if (pool->kind == MDM_DBD_PGSQL) {
        const char *value, *error;
        *usable = apr_time_now() - h->released < REST ||
                  select_value(h, p, "SELECT 1", &value, &error) == 0;
        if (!*usable)
            outdate(pool);
        return mdm_result_ok();
    }
    /* SQLite goes on writing to a file that has no name any more. */
    if (stat(pool->target, &info) == 0)
        *usable = info.st_dev == h->device && info.st_ino == h->inode;
    else if (errno == ENOENT || errno == ENOTDIR)
        gone = 1;
    else
        *usable = 1; /* what cannot be seen is not judged */
    if (*usable)
        return mdm_result_ok();
    outdate(pool);
    if (!gone)
        return mdm_result_ok();
    /* Never begin again with an empty database and no word about it. */
    return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE,
                           "%s: the file is gone, and with it every enrollment, unless it is put "
                           "back",
                           pool->name);
}

/* An idle handle, or the right to open one (*handle is NULL then), or why there is neither. */
static mdm_result_t take(mdm_dbd_pool_t *pool, apr_pool_t *p, apr_time_t deadline,
                         mdm_dbd_handle_t **handle, unsigned *generation, int *remake)
{
    mdm_result_t r = mdm_result_ok();

    *handle = NULL;
    apr_thread_mutex_lock(pool->mutex);
    for (;;) {
        apr_time_t now = apr_time_now();

        /* A clock that is set back must not make a second, or two, last until it has caught up. */
        if (pool->broken_until > now + BREAKER)
            pool->broken_until = now;
        if (deadline > now + ACQUIRE_TIMEOUT)
            deadline = now + ACQUIRE_TIMEOUT;
        if (pool->idle) {
            *handle = pool->idle;
            pool->idle = pool->idle->next;
            break;
        }
        if (now < pool->broken_until) {
            r = mdm_result_make(p, pool->broken, "%s", pool->broken_text);
            break;
        }
        if (pool->open < pool->max && pool->connecting < MAX_CONNECTING) {
            pool->open++;
            pool->connecting++;
            *remake = pool->remake;
            break;
        }
        if (now >= deadline) {
            r = mdm_result_make(p, MDM_MSG_STORE_BUSY,
                                "%s: no connection was free for %d s (%d of at most %d are open, "
                                "%d of them just connecting)",
                                pool->name, (int)apr_time_sec(ACQUIRE_TIMEOUT), pool->open,
                                pool->max, pool->connecting);
            break;
        }
        apr_thread_cond_timedwait(pool->changed, pool->mutex, deadline - now);
    }
    *generation = pool->generation;
    apr_thread_mutex_unlock(pool->mutex);
    return r;
}

/* A connection was closed, or is not wanted any more. */
static void leave(mdm_dbd_pool_t *pool)
{
    apr_thread_mutex_lock(pool->mutex);
    pool->open--;
    apr_thread_cond_signal(pool->changed);
    apr_thread_mutex_unlock(pool->mutex);
}

/* Connecting has ended; if it failed, whoever would connect in the next second is told the same. */
static void connected(mdm_dbd_pool_t *pool, const mdm_result_t *r)
{
    apr_thread_mutex_lock(pool->mutex);
    pool->connecting--;
    if (r->kind != MDM_OK) {
        pool->open--;
        pool->broken_until = apr_time_now() + BREAKER;
        pool->broken = r->message;
        apr_cpystrn(pool->broken_text, r->log, sizeof(pool->broken_text));
    }
    apr_thread_cond_broadcast(pool->changed);
    apr_thread_mutex_unlock(pool->mutex);
}

mdm_result_t mdm_dbd_acquire(mdm_dbd_pool_t *pool, apr_pool_t *p, mdm_dbd_handle_t **handle)
{
    apr_time_t deadline = apr_time_now() + ACQUIRE_TIMEOUT;

    for (;;) {
        mdm_dbd_handle_t *h;
        unsigned generation;
        int remake = 0, usable = 0;
        mdm_result_t r = take(pool, p, deadline, &h, &generation, &remake);

        if (r.kind != MDM_OK)
            return r;
        if (!h) {
            r = open_handle(pool, p, generation, remake, handle);
            connected(pool, &r);
            return r;
        }
        if (h->generation == generation)
            r = try_handle(h, p, &usable);
        if (usable) {
            *handle = h;
            return r;
        }
        close_handle(h);
        leave(pool);
        if (r.kind != MDM_OK)
            return r;
    }
}

void mdm_dbd_release(mdm_dbd_handle_t *handle, int doubtful)
{
    mdm_dbd_pool_t *pool = handle->pool;
    int keep;

    apr_thread_mutex_lock(pool->mutex);
    if (doubtful) {
        pool->generation++;
        pool->remake = 1;
    } else {
        /* What set-up could mend is mended. */
        pool->remake = pool->remake && handle->generation != pool->generation;
    }
    keep = handle->generation == pool->generation && !pool->closed;
    if (keep) {
        handle->released = apr_time_now();
        handle->next = pool->idle;
        pool->idle = handle;
    } else {
        pool->open--;
    }
    apr_thread_cond_signal(pool->changed);
    apr_thread_mutex_unlock(pool->mutex);
    if (!keep)
        close_handle(handle);
}

/* A handle that is lent while the process ends belongs to a thread that may still be using it: the
 * kernel closes it, and both databases bear that. */
static apr_status_t close_idle(void *data)
{
    mdm_dbd_pool_t *pool = data;
    mdm_dbd_handle_t *h;

    apr_thread_mutex_lock(pool->mutex);
    h = pool->idle;
    pool->idle = NULL;
    pool->closed = 1;
    apr_thread_mutex_unlock(pool->mutex);
    while (h) {
        mdm_dbd_handle_t *next = h->next;
        close_handle(h);
        h = next;
    }
    return APR_SUCCESS;
}

apr_status_t mdm_dbd_pool_create(apr_pool_t *p, mdm_dbd_kind_t kind, const char *target,
                                 const char *const *ddl, int version, mdm_dbd_pool_t **out)
{
    mdm_dbd_pool_t *pool = apr_pcalloc(p, sizeof(*pool));
    apr_status_t rv = apr_dbd_init(p);

    if (rv == APR_SUCCESS)
        rv = apr_dbd_get_driver(p, mdm_dbd_driver_name(kind), &pool->driver);
    if (rv == APR_SUCCESS)
        rv = apr_thread_mutex_create(&pool->mutex, APR_THREAD_MUTEX_DEFAULT, p);
    if (rv == APR_SUCCESS)
        rv = apr_thread_cond_create(&pool->changed, p);
    if (rv != APR_SUCCESS)
        return rv;
    pool->kind = kind;
    pool->ddl = ddl;
    pool->version = version;
    if (kind == MDM_DBD_SQLITE) {
        pool->target = apr_pstrdup(p, target);
        pool->name = apr_pstrcat(p, "sqlite3:", target, NULL);
        pool->max = MAX_SQLITE;
    } else {
        pool->target = mdm_dbd_complete(p, target);
        pool->name = "pgsql";
        pool->max = MAX_PGSQL;
    }
    /* Registered last, so run before the mutex goes. */
    apr_pool_cleanup_register(p, pool, close_idle, apr_pool_cleanup_null);
    *out = pool;
    return APR_SUCCESS;
}
