/* SPDX-License-Identifier: Apache-2.0
 * One connection over apr_dbd's drivers. Depends on dbd_target, APR and apr-util only.
 */
#include "dbd_handle.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

/* How long a set-up tries again while other processes make the same schema, and how often. */
#define SETUP_PATIENCE apr_time_from_sec(3)
#define SETUP_PAUSE apr_time_from_msec(20)

/* A PostgreSQL connection that has lain longer is asked "SELECT 1" before it is trusted: 0.2 ms for
 * not failing the first user after a restart of the server. */
#define REST apr_time_from_msec(100)

/* Longest text of a database in a result, in bytes. */
#define TEXT_MAX 300

struct mdm_dbd_statement_t {
    mdm_dbd_statement_t *next;
    const char *sql; /* the pointer is the key */
    apr_pool_t *p;
    apr_dbd_prepared_t *prepared;
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
    const char *text = one_line(p, apr_dbd_error(h->source->driver, h->dbd, rc));

    return apr_psprintf(p, "%s: %s", h->source->name, *text ? text : "no text of the error");
}

/* --- statements --- */

static int prepare(mdm_dbd_handle_t *h, const char *sql, mdm_dbd_statement_t **out)
{
    mdm_dbd_statement_t *st;
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
    rc = apr_dbd_prepare(h->source->driver, p, h->dbd, sql, NULL, &st->prepared);
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
    for (mdm_dbd_statement_t **at = &h->statements; *at; at = &(*at)->next) {
        if ((*at)->sql == sql) {
            mdm_dbd_statement_t *st = *at;
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
    const apr_dbd_driver_t *driver = h->source->driver;

    for (int attempt = 0;; attempt++) {
        mdm_dbd_statement_t *st;
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

/* Visit each row, and read those that are not wanted any more: only the end of a result frees it.
 */
static void each_row(mdm_dbd_handle_t *h, apr_pool_t *scratch, apr_dbd_results_t *results,
                     int columns, mdm_dbd_visit_t *visit, void *baton)
{
    const apr_dbd_driver_t *driver = h->source->driver;
    const char **values = apr_palloc(scratch, (apr_size_t)columns * sizeof(*values));
    apr_dbd_row_t *row = NULL;
    apr_pool_t *one;
    int wanted = 1;

    apr_pool_create(&one, scratch);
    while (apr_dbd_get_row(driver, scratch, results, &row, -1) == 0) {
        for (int i = 0; wanted && i < columns; i++) {
            const char *value = apr_dbd_get_entry(driver, row, i);
            values[i] = value ? value : "";
        }
        wanted = wanted && visit(baton, one, values);
        apr_pool_clear(one);
    }
}

int mdm_dbd_select(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                   const char **args, int columns, mdm_dbd_visit_t *visit, void *baton,
                   const char **error)
{
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc;

    apr_pool_create(&scratch, p);
    rc = run(handle, scratch, sql, nargs, args, NULL, &results, error);
    if (rc == 0)
        each_row(handle, scratch, results, columns, visit, baton);
    else
        *error = apr_pstrdup(p, *error);
    apr_pool_destroy(scratch);
    return rc;
}

/* Where the first row goes. */
typedef struct first_t {
    apr_pool_t *p;
    const char **values;
    int columns;
    int found;
} first_t;

static int take_first(void *baton, apr_pool_t *p, const char *const *values)
{
    first_t *first = baton;

    (void)p;
    for (int i = 0; i < first->columns; i++)
        first->values[i] = apr_pstrdup(first->p, values[i]);
    first->found = 1;
    return 0;
}

int mdm_dbd_select_row(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *sql, int nargs,
                       const char **args, int columns, const char **values, int *found,
                       const char **error)
{
    first_t first = {p, values, columns, 0};
    int rc = mdm_dbd_select(handle, p, sql, nargs, args, columns, take_first, &first, error);

    *found = first.found;
    return rc;
}

/* The first value that a statement without arguments answers, NULL if it answers none. Also the
 * only way for a PRAGMA: apr_dbd_query takes a row for an error. */
static int select_value(mdm_dbd_handle_t *h, apr_pool_t *p, const char *sql, const char **value,
                        const char **error)
{
    first_t first = {p, value, 1, 0};
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc;

    *value = NULL;
    apr_pool_create(&scratch, p);
    rc = apr_dbd_select(h->source->driver, scratch, h->dbd, &results, sql, 1);
    if (rc == 0)
        each_row(h, scratch, results, 1, take_first, &first);
    else
        *error = describe(h, p, rc);
    apr_pool_destroy(scratch);
    return rc;
}

/* --- opening --- */

static int run_plain(mdm_dbd_handle_t *h, apr_pool_t *p, const char *sql, const char **error)
{
    int rows, rc = apr_dbd_query(h->source->driver, h->dbd, &rows, sql);

    if (rc != 0)
        *error = describe(h, p, rc);
    return rc;
}

static int run_ddl(mdm_dbd_handle_t *h, apr_pool_t *p, const char *const *sql, const char **error)
{
    int rc = 0;

    for (; rc == 0 && *sql; sql++)
        rc = run_plain(h, p, *sql, error);
    return rc;
}

/* All or nothing: a database between two versions is of use to nobody. Where another process
 * upgrades it at the same time, this fails, and the next look finds it done. */
static int upgrade(mdm_dbd_handle_t *h, apr_pool_t *p, const char *const *sql, const char **error)
{
    const char *ignored;
    int rc = run_plain(h, p, "BEGIN", error);

    if (rc != 0)
        return rc;
    rc = run_ddl(h, p, sql, error);
    if (rc == 0)
        rc = run_plain(h, p, "COMMIT", error);
    if (rc != 0)
        run_plain(h, p, "ROLLBACK", &ignored);
    return rc;
}

/* How to get from the version found to the next; NULL if there is no way. */
static const char *const *upgrade_from(apr_pool_t *p, const mdm_dbd_schema_t *schema,
                                       const char *version)
{
    for (int i = 1; i < schema->version; i++)
        if (strcmp(version, apr_itoa(p, i)) == 0)
            return schema->upgrades[i];
    return NULL;
}

static mdm_result_t other_version(mdm_dbd_handle_t *h, apr_pool_t *p, const char *version)
{
    return mdm_result_make(p, MDM_MSG_STORE_SCHEMA,
                           "%s: its tables have version %s, this module needs %d; run the module "
                           "that made them, or give this one a database of its own",
                           h->source->name, one_line(p, version), h->source->schema->version);
}

/* Check the schema, make it, or bring it up to date. Several processes may do so at once, and then
 * even CREATE TABLE IF NOT EXISTS fails on either database: hence the patience. The row with the
 * version comes last, so who sees it sees everything. */
static mdm_result_t set_up_schema(mdm_dbd_handle_t *h, apr_pool_t *p, int remake,
                                  apr_time_t deadline)
{
    const mdm_dbd_schema_t *schema = h->source->schema;
    const char *wanted = apr_itoa(p, schema->version);
    int tries = 0;

    for (;;) {
        const char *error = "the table mdm_schema is empty", *version;

        select_value(h, p, "SELECT version FROM mdm_schema ORDER BY version DESC LIMIT 1", &version,
                     &error);
        if (version && strcmp(version, wanted) == 0) {
            /* A table is missing, perhaps. If the user may not make tables, statements will tell.
             */
            if (remake)
                run_ddl(h, p, schema->ddl, &error);
            return mdm_result_ok();
        }
        if (version && !upgrade_from(p, schema, version))
            return other_version(h, p, version);
        if ((version ? upgrade(h, p, upgrade_from(p, schema, version), &error)
                     : run_ddl(h, p, schema->ddl, &error)) == 0 &&
            tries++ < schema->version)
            continue; /* look again at once */
        if (apr_time_now() >= deadline)
            return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "making the tables: %s", error);
        apr_sleep(SETUP_PAUSE);
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
                                                          h->source->name, mode ? mode : ""));
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
    const mdm_dbd_source_t *source = h->source;
    /* Looked for first: a process that makes the database just now makes these last. */
    int side_files = exists(apr_pstrcat(p, source->target, "-wal", NULL)) ||
                     exists(apr_pstrcat(p, source->target, "-shm", NULL));
    struct stat info;
    char text[120];
    int fd;

    if (side_files && !exists(source->target))
        return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE,
                               "%s: the file is gone, but what belongs to it (-wal, -shm) is "
                               "there: put it back, or remove that too to begin with an empty one",
                               source->name);
    fd = open(source->target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    if ((fd < 0 && errno != EEXIST) || stat(source->target, &info) != 0 ||
        faccessat(AT_FDCWD, source->target, R_OK | W_OK, AT_EACCESS) != 0)
        return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE,
                               "%s: the file cannot be made, or read and written: %s", source->name,
                               apr_strerror(errno, text, sizeof(text)));
    h->device = info.st_dev;
    h->inode = info.st_ino;
    return mdm_result_ok();
}

void mdm_dbd_close(mdm_dbd_handle_t *handle)
{
    if (handle->dbd)
        apr_dbd_close(handle->source->driver, handle->dbd);
    apr_pool_destroy(handle->p);
}

mdm_result_t mdm_dbd_open(const mdm_dbd_source_t *source, apr_pool_t *p, int remake,
                          mdm_dbd_handle_t **handle)
{
    apr_time_t deadline = apr_time_now() + SETUP_PATIENCE;
    const char *error = NULL;
    mdm_result_t r = mdm_result_ok();
    mdm_dbd_handle_t *h;
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, apr_pool_abort_get(p), NULL);
    h = apr_pcalloc(own, sizeof(*h));
    h->p = own;
    h->source = source;
    if (source->kind == MDM_DBD_SQLITE)
        r = find_file(h, p);
    if (r.kind == MDM_OK &&
        apr_dbd_open_ex(source->driver, own, source->target, &h->dbd, &error) != APR_SUCCESS) {
        h->dbd = NULL;
        r = mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s: %s", source->name,
                            error ? mdm_dbd_withhold(p, source->target, one_line(p, error))
                                  : "cannot be opened");
    }
    if (r.kind == MDM_OK && source->kind == MDM_DBD_SQLITE)
        r = set_up_sqlite(h, p, deadline);
    if (r.kind == MDM_OK)
        r = set_up_schema(h, p, remake, deadline);
    if (r.kind != MDM_OK)
        mdm_dbd_close(h);
    else
        *handle = h;
    return r;
}

/* --- in use --- */

mdm_result_t mdm_dbd_try(mdm_dbd_handle_t *handle, apr_pool_t *p, apr_interval_time_t rested,
                         int *usable)
{
    const mdm_dbd_source_t *source = handle->source;
    struct stat info;

    if (source->kind == MDM_DBD_PGSQL) {
        const char *value, *error;
        *usable = rested < REST || select_value(handle, p, "SELECT 1", &value, &error) == 0;
        return mdm_result_ok();
    }
    /* SQLite goes on writing to a file that has no name any more. */
    if (stat(source->target, &info) == 0) {
        *usable = info.st_dev == handle->device && info.st_ino == handle->inode;
        return mdm_result_ok();
    }
    *usable = errno != ENOENT && errno != ENOTDIR; /* what cannot be seen is not judged */
    if (*usable)
        return mdm_result_ok();
    /* Never begin again with an empty database and no word about it. */
    return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE,
                           "%s: the file is gone, and with it every enrollment, unless it is put "
                           "back",
                           source->name);
}
