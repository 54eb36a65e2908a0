/* SPDX-License-Identifier: Apache-2.0
 * The SQL of claims. Depends on store_sql and core's mdm_enrollment.
 */
#include "store_claim.h"

#include <apr_strings.h>

#include "store_sql.h"

/* Of enrollments whose claims go in one sweep, as store_dbd.c. */
#define SWEEP_ROWS "1000"

static const char select_claims[] =
    "SELECT c.place, c.holder, c.enrollment, c.taken_at, COALESCE(e.state, ''), "
    "COALESCE(e.updated_at, 0), COALESCE(e.expires_at, 0) "
    "FROM claim c LEFT JOIN enrollment e ON e.id = c.enrollment "
    "WHERE c.site = %s AND c.kind = %s AND c.user_name = %s ORDER BY c.place";
/* What stands for a device of which nothing is known is its enrollment. */
#define DEVICE "CASE WHEN e.udid = '' THEN e.id ELSE e.udid END"
static const char count_missing[] =
    "SELECT COUNT(DISTINCT CASE WHEN e.udid <> %s THEN " DEVICE " END), "
    "COUNT(CASE WHEN e.udid = %s THEN 1 END) FROM enrollment e WHERE e.user_name = %s "
    "AND e.state = 'delivered' AND e.site = %s AND e.expires_at >= e.updated_at "
    "AND NOT EXISTS (SELECT 1 FROM claim c WHERE c.site = e.site AND c.kind = 'devices' "
    "AND c.holder = " DEVICE ") AND NOT EXISTS (SELECT 1 FROM enrollment l "
    "WHERE l.udid = e.udid AND l.state = 'delivered' AND l.site = e.site "
    "AND l.user_name <> e.user_name AND l.created_at > e.created_at AND e.udid <> '')";
static const char insert_claim[] =
    "INSERT INTO claim (site, kind, user_name, place, holder, enrollment, taken_at) "
    "VALUES (%s, %s, %s, %lld, %s, %s, %lld) ON CONFLICT DO NOTHING";
static const char renew_claim[] =
    "UPDATE claim SET enrollment = %s, taken_at = %lld WHERE site = %s AND kind = %s "
    "AND user_name = %s AND place = %lld AND holder = %s AND taken_at = %lld";
static const char delete_claim[] =
    "DELETE FROM claim WHERE site = %s AND kind = %s AND user_name = %s AND place = %lld "
    "AND holder = %s AND taken_at = %lld";
static const char settle_claim[] =
    "UPDATE claim SET enrollment = %s WHERE site = %s AND kind = %s AND user_name = %s "
    "AND holder = %s";
static const char free_others[] =
    "DELETE FROM claim WHERE site = %s AND kind = %s AND holder = %s AND user_name <> %s";
static const char sweep_old[] = "DELETE FROM claim WHERE site = %s AND kind = %s "
                                "AND taken_at < %lld";
/* The state is written as in the index enrollment_open, or that is not used. */
static const char sweep_unfinished[] =
    "DELETE FROM claim WHERE enrollment IN (SELECT e.id FROM enrollment e "
    "WHERE e.expires_at < %lld AND e.state <> 'delivered' "
    "AND EXISTS (SELECT 1 FROM claim c WHERE c.enrollment = e.id) LIMIT " SWEEP_ROWS ")";

#define COLUMNS 7

/* The claims of one user, as they are read. */
typedef struct list_t {
    apr_pool_t *p;
    const mdm_claim_t *key;
    apr_array_header_t *claims;
    const char *bad; /* the place of a row that cannot be understood */
} list_t;

static int take_row(void *baton, apr_pool_t *p, const char *const *values)
{
    list_t *list = baton;
    mdm_claim_t claim = *list->key;

    (void)p;
    claim.holder = apr_pstrdup(list->p, values[1]);
    claim.enrollment = apr_pstrdup(list->p, values[2]);
    claim.known = values[4][0] != '\0';
    if (!mdm_sql_parse_decimal(values[0], &claim.place) || claim.place < 1 ||
        !mdm_sql_parse_decimal(values[3], &claim.taken_at) ||
        (claim.known && !mdm_state_parse(values[4], &claim.state)) ||
        !mdm_sql_parse_decimal(values[5], &claim.updated_at) ||
        !mdm_sql_parse_decimal(values[6], &claim.expires_at)) {
        list->bad = apr_pstrdup(list->p, values[0]);
        return 0;
    }
    APR_ARRAY_PUSH(list->claims, mdm_claim_t) = claim;
    return 1;
}

static void forget_rows(void *baton)
{
    list_t *list = baton;

    list->bad = NULL;
    apr_array_clear(list->claims);
}

static mdm_result_t claim_list(void *context, apr_pool_t *p, const char *site, const char *kind,
                               const char *user, apr_array_header_t **claims)
{
    const mdm_claim_t key = {.site = site, .kind = kind, .user = user};
    const char *args[] = {site, kind, user};
    list_t list = {p, &key, apr_array_make(p, 8, sizeof(mdm_claim_t)), NULL};
    mdm_result_t r = mdm_sql_read_rows(context, p, "reading claims", select_claims, args,
                                       MDM_SQL_COUNT(args), COLUMNS, take_row, forget_rows, &list);

    if (r.kind == MDM_OK && list.bad != NULL)
        return mdm_sql_bad_row(p, "claim", list.bad,
                               "a place from 1 on, a known state, and times in seconds");
    if (r.kind == MDM_OK)
        *claims = list.claims;
    return r;
}

static mdm_result_t claim_missing(void *context, apr_pool_t *p, const char *site, const char *user,
                                  const char *device, int *others, int *own)
{
    const char *args[] = {device, device, user, site};
    const char *values[2];
    int found = 0;
    mdm_result_t r = mdm_sql_read_row(context, p, "counting devices without a claim", count_missing,
                                      args, MDM_SQL_COUNT(args), values, 2, &found);

    if (r.kind == MDM_OK &&
        (!found || !mdm_sql_parse_int(values[0], others) || !mdm_sql_parse_int(values[1], own)))
        return mdm_result_make(p, MDM_MSG_STORE_ROW,
                               "counting devices without a claim: wanted are two numbers");
    return r;
}

static mdm_result_t claim_insert(void *context, apr_pool_t *p, const mdm_claim_t *claim, int *won)
{
    const char *args[] = {claim->site,
                          claim->kind,
                          claim->user,
                          mdm_sql_decimal(p, claim->place),
                          claim->holder,
                          claim->enrollment,
                          mdm_sql_decimal(p, claim->taken_at)};

    return mdm_sql_change(context, p, "claiming a place", insert_claim, args, MDM_SQL_COUNT(args),
                          won);
}

static mdm_result_t claim_renew(void *context, apr_pool_t *p, const mdm_claim_t *claim,
                                apr_int64_t before, int *won)
{
    const char *args[] = {claim->enrollment, mdm_sql_decimal(p, claim->taken_at),
                          claim->site,       claim->kind,
                          claim->user,       mdm_sql_decimal(p, claim->place),
                          claim->holder,     mdm_sql_decimal(p, before)};

    return mdm_sql_change(context, p, "keeping a place", renew_claim, args, MDM_SQL_COUNT(args),
                          won);
}

static mdm_result_t claim_delete(void *context, apr_pool_t *p, const mdm_claim_t *claim, int *won)
{
    const char *args[] = {claim->site,   claim->kind,
                          claim->user,   mdm_sql_decimal(p, claim->place),
                          claim->holder, mdm_sql_decimal(p, claim->taken_at)};

    return mdm_sql_change(context, p, "giving a place back", delete_claim, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t claim_settle(void *context, apr_pool_t *p, const mdm_claim_t *claim)
{
    const char *args[] = {claim->enrollment, claim->site, claim->kind, claim->user, claim->holder};
    int rows;

    return mdm_sql_change(context, p, "settling a place", settle_claim, args, MDM_SQL_COUNT(args),
                          &rows);
}

static mdm_result_t claim_free_others(void *context, apr_pool_t *p, const mdm_claim_t *claim)
{
    const char *args[] = {claim->site, claim->kind, claim->holder, claim->user};
    int rows;

    return mdm_sql_change(context, p, "freeing a place", free_others, args, MDM_SQL_COUNT(args),
                          &rows);
}

static mdm_result_t claim_sweep(void *context, apr_pool_t *p, const char *site, const char *kind,
                                apr_int64_t before)
{
    const char *time = mdm_sql_decimal(p, before);
    const char *args[] = {site, kind, time};
    int rows;
    mdm_result_t r = mdm_sql_change(context, p, "sweeping old claims", sweep_old, args,
                                    MDM_SQL_COUNT(args), &rows);

    if (r.kind != MDM_OK)
        return r;
    return mdm_sql_change(context, p, "sweeping claims", sweep_unfinished, &time, 1, &rows);
}

void mdm_store_fill_claim(mdm_store_t *store)
{
    store->claim_list = claim_list;
    store->claim_missing = claim_missing;
    store->claim_insert = claim_insert;
    store->claim_renew = claim_renew;
    store->claim_delete = claim_delete;
    store->claim_settle = claim_settle;
    store->claim_free_others = claim_free_others;
    store->claim_sweep = claim_sweep;
}
