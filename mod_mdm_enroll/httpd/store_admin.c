/* SPDX-License-Identifier: Apache-2.0
 * The administrator's view of the store. Depends on dbd_handle and store_schema.
 */
#include "store_admin.h"

#include <errno.h>
#include <string.h>

#include <apr_strings.h>

#include "store_schema.h"

/* Rows of a result, which is in memory as a whole: some 2 KB each. Neither created_at nor issued_at
 * has an index, so each page costs a look at the whole table. */
#define PAGE 20000

/* A write is repeated: who revokes must not have to. Each is worth the same twice. */
#define WRITE_TRIES 4
#define WRITE_PAUSE apr_time_from_msec(500)

#define MAX_ARGS 24
#define AFTER_ALL "9223372036854775807"

#define ENROLLMENT_COLUMNS 16
#define CERTIFICATE_COLUMNS 14
#define CHALLENGE_COLUMNS 5

static const char *const no_ddl[] = {NULL};
static const char *const *const no_upgrades[MDM_STORE_SCHEMA_VERSION] = {NULL};

const mdm_dbd_schema_t mdm_store_admin_schema = {no_ddl, no_upgrades, MDM_STORE_SCHEMA_VERSION};

/* --- a query that is put together: of our own words, with values as arguments --- */

typedef struct query_t {
    apr_pool_t *p;
    const char *sql;
    const char *args[MAX_ARGS];
    int nargs;
    int page;         /* rows of a page */
    apr_int64_t most; /* of all */
} query_t;

static void add(query_t *query, const char *sql)
{
    query->sql = apr_pstrcat(query->p, query->sql, sql, NULL);
}

static void argue(query_t *query, const char *value)
{
    query->args[query->nargs++] = value;
}

static void add_if(query_t *query, const char *value, const char *sql)
{
    if (value == NULL)
        return;
    add(query, sql);
    argue(query, value);
}

static const char *decimal(apr_pool_t *p, apr_int64_t number)
{
    return apr_psprintf(p, "%" APR_INT64_T_FMT, number);
}

static int parse_decimal(const char *text, apr_int64_t *number)
{
    char *end;

    errno = 0;
    *number = apr_strtoi64(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* Order and size of a page: no more than is wanted. */
static void end(query_t *query, const mdm_admin_filter_t *filter, const char *page,
                const char *order)
{
    query->most = filter->limit != 0 ? filter->limit : APR_INT64_MAX;
    query->page = filter->limit != 0 && filter->limit < PAGE ? (int)filter->limit : PAGE;
    add(query, apr_pstrcat(query->p, page, decimal(query->p, query->page), order, NULL));
}

static mdm_result_t unavailable(apr_pool_t *p, const char *what, const char *error)
{
    return mdm_result_make(p, MDM_MSG_STORE_UNAVAILABLE, "%s: %s", what, error);
}

static mdm_result_t bad_row(apr_pool_t *p, const char *table, const char *key)
{
    return mdm_result_make(p, MDM_MSG_STORE_ROW,
                           "the row \"%s\" of the table %s was not written by mod_mdm_enroll: "
                           "wanted are times in seconds",
                           mdm_result_quote_text(p, key), table);
}

/* --- pages --- */

/* One page of either table: takes a row apart and gives it to its visitor. */
typedef struct page_t {
    apr_pool_t *p; /* of the page's keys */
    void *visit;   /* of its kind */
    void *baton;
    const char *last[2]; /* the key of the last row */
    int rows;
    int more;         /* wanted */
    apr_int64_t left; /* so many */
    mdm_result_t result;
} page_t;

static void remember(page_t *page, const char *time, const char *id)
{
    page->last[0] = apr_pstrdup(page->p, time);
    page->last[1] = apr_pstrdup(page->p, id);
    page->rows++;
    page->left--;
}

/* The first arguments of the query are the key that the page lies behind. Two pools take turns, so
 * that the key of the page before is there while the next one is read. */
static mdm_result_t each_page(mdm_dbd_handle_t *handle, apr_pool_t *p, query_t *query, int columns,
                              mdm_dbd_visit_t *take, void *visit, void *baton, const char *what)
{
    page_t page = {
        .visit = visit, .baton = baton, .result = mdm_result_ok(), .more = 1, .left = query->most};
    apr_pool_t *turns[2];
    const char *error = NULL;
    int rc = 0;

    apr_pool_create(&turns[0], p);
    apr_pool_create(&turns[1], p);
    query->args[0] = query->args[1] = AFTER_ALL;
    query->args[2] = "";
    for (int turn = 0;; turn = !turn) {
        apr_pool_clear(turns[turn]);
        page.p = turns[turn];
        page.rows = 0;
        rc = mdm_dbd_select(handle, page.p, query->sql, query->nargs, query->args, columns, take,
                            &page, &error);
        if (rc != 0) {
            page.result = unavailable(p, what, error);
            break;
        }
        if (page.result.kind != MDM_OK || !page.more || page.rows < query->page)
            break;
        query->args[0] = query->args[1] = page.last[0];
        query->args[2] = page.last[1];
    }
    if (page.result.kind != MDM_OK)
        page.result.log = apr_pstrdup(p, page.result.log);
    apr_pool_destroy(turns[0]);
    apr_pool_destroy(turns[1]);
    return page.result;
}

/* --- enrollments --- */

static const char enrollment_columns[] =
    "SELECT e.id, e.flow, e.state, e.user_name, e.udid, e.serial, e.product, e.os_version, "
    "e.device_fingerprint, e.identity_fingerprint, e.last_refusal, e.created_at, e.updated_at, "
    "e.expires_at, e.refused_at, (SELECT COUNT(*) FROM certificate c WHERE c.enrollment = e.id "
    "AND c.revoked_at = 0 AND c.not_after > ";
/* The keys of the page first, and all else of those rows only. */
static const char enrollment_after[] =
    ") FROM (SELECT e.id AS page_key FROM enrollment e "
    "WHERE (e.created_at < %lld OR (e.created_at = %lld AND e.id < %s))";
static const char enrollment_page[] = " ORDER BY e.created_at DESC, e.id DESC LIMIT ";
static const char enrollment_order[] = ") AS page JOIN enrollment e ON e.id = page.page_key "
                                       "ORDER BY e.created_at DESC, e.id DESC";
#define OF_ENROLLMENT " AND e.id = %s"
#define OF_USER " AND e.user_name = %s"
#define OF_DEVICE " AND (UPPER(e.udid) = UPPER(%s) OR UPPER(e.serial) = UPPER(%s))"

int mdm_admin_ended(const mdm_admin_enrollment_t *row)
{
    return row->expires_at < row->updated_at;
}

int mdm_admin_waiting(const mdm_admin_enrollment_t *row, apr_int64_t now)
{
    return strcmp(row->state, "delivered") != 0 && !mdm_admin_ended(row) && row->expires_at > now;
}

static int take_enrollment(void *baton, apr_pool_t *p, const char *const *v)
{
    page_t *page = baton;
    mdm_admin_enrollment_visit_t *visit = page->visit;
    mdm_admin_enrollment_t row = {.id = v[0],
                                  .flow = v[1],
                                  .state = v[2],
                                  .user = v[3],
                                  .udid = v[4],
                                  .serial = v[5],
                                  .product = v[6],
                                  .os_version = v[7],
                                  .device_fingerprint = v[8],
                                  .identity_fingerprint = v[9],
                                  .last_refusal = v[10]};

    if (!parse_decimal(v[11], &row.created_at) || !parse_decimal(v[12], &row.updated_at) ||
        !parse_decimal(v[13], &row.expires_at) || !parse_decimal(v[14], &row.refused_at) ||
        !parse_decimal(v[15], &row.live)) {
        page->result = bad_row(page->p, "enrollment", row.id);
        return 0;
    }
    remember(page, v[11], row.id);
    page->more = visit(page->baton, p, &row) && page->left > 0;
    return page->more;
}

mdm_result_t mdm_admin_enrollments(mdm_dbd_handle_t *handle, apr_pool_t *p,
                                   const mdm_admin_filter_t *filter, apr_int64_t now,
                                   mdm_admin_enrollment_visit_t *visit, void *baton)
{
    int revoked = filter->state != NULL && strcmp(filter->state, "revoked") == 0;
    query_t query = {.p = p, .sql = "", .nargs = 3};

    /* A number of our own: the key must be the first arguments. */
    add(&query, apr_pstrcat(p, enrollment_columns, decimal(p, now), enrollment_after, NULL));
    add_if(&query, filter->enrollment, OF_ENROLLMENT);
    add_if(&query, filter->user, OF_USER);
    add_if(&query, filter->device, OF_DEVICE);
    if (filter->device != NULL)
        argue(&query, filter->device);
    if (revoked)
        add(&query, " AND e.expires_at < e.updated_at");
    else
        add_if(&query, filter->state, " AND e.expires_at >= e.updated_at AND e.state = %s");
    if (filter->since != 0)
        add_if(&query, decimal(p, filter->since), " AND e.updated_at >= %lld");
    if (filter->refused)
        add(&query, " AND e.last_refusal <> ''");
    end(&query, filter, enrollment_page, enrollment_order);
    return each_page(handle, p, &query, ENROLLMENT_COLUMNS, take_enrollment, (void *)visit, baton,
                     "reading enrollments");
}

/* --- certificates --- */

static const char certificate_columns[] =
    "SELECT c.serial, c.issuer, c.enrollment, c.purpose, c.fingerprint, e.user_name, e.udid, "
    "e.serial, c.not_before, c.not_after, c.issued_at, c.revoked_at, c.revocation_reason, ";
static const char certificate_after[] =
    " FROM (SELECT c.fingerprint AS page_key FROM certificate c "
    "LEFT JOIN enrollment e ON e.id = c.enrollment "
    "WHERE (c.issued_at < %lld OR (c.issued_at = %lld AND c.fingerprint < %s))";
static const char certificate_page[] = " ORDER BY c.issued_at DESC, c.fingerprint DESC LIMIT ";
static const char certificate_order[] =
    ") AS page JOIN certificate c ON c.fingerprint = page.page_key "
    "LEFT JOIN enrollment e ON e.id = c.enrollment "
    "ORDER BY c.issued_at DESC, c.fingerprint DESC";

static int take_certificate(void *baton, apr_pool_t *p, const char *const *v)
{
    page_t *page = baton;
    mdm_admin_certificate_visit_t *visit = page->visit;
    mdm_admin_certificate_t row = {.serial = v[0],
                                   .issuer = v[1],
                                   .enrollment = v[2],
                                   .purpose = v[3],
                                   .fingerprint = v[4],
                                   .user = v[5],
                                   .udid = v[6],
                                   .device_serial = v[7],
                                   .der = v[13]};

    if (!parse_decimal(v[8], &row.not_before) || !parse_decimal(v[9], &row.not_after) ||
        !parse_decimal(v[10], &row.issued_at) || !parse_decimal(v[11], &row.revoked_at) ||
        !parse_decimal(v[12], &row.reason)) {
        page->result = bad_row(page->p, "certificate", row.serial);
        return 0;
    }
    remember(page, v[10], row.fingerprint);
    page->more = visit(page->baton, p, &row) && page->left > 0;
    return page->more;
}

mdm_result_t mdm_admin_certificates(mdm_dbd_handle_t *handle, apr_pool_t *p,
                                    const mdm_admin_filter_t *filter, apr_int64_t now,
                                    mdm_admin_certificate_visit_t *visit, void *baton)
{
    query_t query = {.p = p, .sql = certificate_columns, .nargs = 3};

    add(&query, filter->with_der ? "c.der" : "''");
    add(&query, certificate_after);
    add_if(&query, filter->enrollment, " AND c.enrollment = %s");
    add_if(&query, filter->user, OF_USER);
    add_if(&query, filter->device, OF_DEVICE);
    if (filter->device != NULL)
        argue(&query, filter->device);
    if (filter->since != 0)
        add_if(&query, decimal(p, filter->since), " AND c.issued_at >= %lld");
    add_if(&query, filter->serial, " AND c.serial = %s");
    add_if(&query, filter->fingerprint, " AND c.fingerprint = %s");
    add_if(&query, filter->issuer ? apr_pstrcat(p, filter->issuer, "%", NULL) : NULL,
           " AND c.issuer LIKE %s");
    if (filter->live)
        add_if(&query, decimal(p, now), " AND c.revoked_at = 0 AND c.not_after > %lld");
    end(&query, filter, certificate_page, certificate_order);
    return each_page(handle, p, &query, CERTIFICATE_COLUMNS, take_certificate, (void *)visit, baton,
                     "reading certificates");
}

/* --- challenges and users --- */

static const char select_challenges[] =
    "SELECT h.purpose, h.expires_at, h.used_at, h.uses, "
    "CASE WHEN h.used_for <> '' AND NOT EXISTS (SELECT 1 FROM certificate c "
    "WHERE c.request = h.used_for) THEN 1 ELSE 0 END "
    "FROM challenge h WHERE h.enrollment = %s ORDER BY h.expires_at, "
    "CASE h.purpose WHEN 'device' THEN 1 WHEN 'identity' THEN 2 ELSE 3 END, h.hash";
static const char select_users[] =
    "SELECT DISTINCT user_name FROM enrollment WHERE LOWER(user_name) = LOWER(%s) "
    "AND user_name <> %s ORDER BY user_name LIMIT 20";

static int take_challenge(void *baton, apr_pool_t *p, const char *const *v)
{
    page_t *page = baton;
    mdm_admin_challenge_visit_t *visit = page->visit;
    mdm_admin_challenge_t row = {.purpose = v[0], .pending = v[4][0] == '1'};

    if (!parse_decimal(v[1], &row.expires_at) || !parse_decimal(v[2], &row.used_at) ||
        !parse_decimal(v[3], &row.uses)) {
        page->result = bad_row(page->p, "challenge", row.purpose);
        return 0;
    }
    return visit(page->baton, p, &row);
}

mdm_result_t mdm_admin_challenges(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *enrollment,
                                  mdm_admin_challenge_visit_t *visit, void *baton)
{
    page_t page = {.p = p, .visit = (void *)visit, .baton = baton, .result = mdm_result_ok()};
    const char *error = NULL;

    if (mdm_dbd_select(handle, p, select_challenges, 1, &enrollment, CHALLENGE_COLUMNS,
                       take_challenge, &page, &error) != 0)
        return unavailable(p, "reading challenges", error);
    return page.result;
}

static int take_user(void *baton, apr_pool_t *p, const char *const *v)
{
    page_t *page = baton;
    mdm_admin_user_visit_t *visit = page->visit;

    return visit(page->baton, p, v[0]);
}

mdm_result_t mdm_admin_users_alike(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *user,
                                   mdm_admin_user_visit_t *visit, void *baton)
{
    page_t page = {.p = p, .visit = (void *)visit, .baton = baton};
    const char *args[] = {user, user}, *error = NULL;

    if (mdm_dbd_select(handle, p, select_users, 2, args, 1, take_user, &page, &error) != 0)
        return unavailable(p, "reading users", error);
    return mdm_result_ok();
}

/* --- what changes something --- */

static const char end_enrollment[] = "UPDATE enrollment SET expires_at = %lld, updated_at = %lld "
                                     "WHERE id = %s AND expires_at >= updated_at";
/* A spent one, too: the same request would get its certificate once more. */
static const char end_challenges[] =
    "UPDATE challenge SET expires_at = %lld WHERE enrollment = %s AND expires_at > %lld";
static const char revoke_certificate[] =
    "UPDATE certificate SET revoked_at = %lld, revocation_reason = %lld "
    "WHERE fingerprint = %s AND revoked_at = 0";
static const char patience[] = "SET statement_timeout = 60000";

static mdm_result_t change(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *what,
                           const char *sql, const char **args, int nargs, int *rows)
{
    for (int tries = 1;; tries++) {
        const char *error = NULL;
        if (mdm_dbd_execute(handle, p, sql, nargs, args, rows, &error) == 0)
            return mdm_result_ok();
        if (tries == WRITE_TRIES)
            return unavailable(p, what, error);
        apr_sleep(WRITE_PAUSE);
    }
}

mdm_result_t mdm_admin_end(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *enrollment,
                           apr_int64_t now, int *changed)
{
    const char *end = decimal(p, now - MDM_ADMIN_CLOCKS_DIFFER);
    const char *of_row[] = {end, decimal(p, now), enrollment};
    const char *of_challenges[] = {end, enrollment, end};
    int rows = 0, challenges = 0;
    mdm_result_t r = change(handle, p, "ending an enrollment", end_enrollment, of_row, 3, &rows);

    if (r.kind == MDM_OK)
        r = change(handle, p, "ending challenges", end_challenges, of_challenges, 3, &challenges);
    if (r.kind == MDM_OK)
        *changed = rows > 0 || challenges > 0;
    return r;
}

mdm_result_t mdm_admin_revoke(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *fingerprint,
                              int reason, apr_int64_t now, int *won)
{
    const char *args[] = {decimal(p, now), decimal(p, reason), fingerprint};

    return change(handle, p, "revoking a certificate", revoke_certificate, args, 3, won);
}

mdm_result_t mdm_admin_be_patient(mdm_dbd_handle_t *handle, apr_pool_t *p)
{
    int rows;

    if (handle->source->kind != MDM_DBD_PGSQL)
        return mdm_result_ok();
    return change(handle, p, "setting a time limit", patience, NULL, 0, &rows);
}
