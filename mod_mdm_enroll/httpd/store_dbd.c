/* SPDX-License-Identifier: Apache-2.0
 * The store of core on dbd_pool: the SQL of enrollments, challenges and certificates. Depends on
 * store_sql and core's mdm_enrollment.
 */
#include "store_dbd.h"

#include <string.h>

#include <apr_strings.h>

#include "store_claim.h"
#include "store_device.h"
#include "store_notification.h"
#include "store_sql.h"
#include "store_update.h"

/* Of each table in one sweep: milliseconds, and many more than come in between two of them. */
#define SWEEP_ROWS "1000"

/* An INSERT that meets its own key again is told by the number of rows: what an error is called
 * differs between the databases. */
static const char insert_enrollment[] =
    "INSERT INTO enrollment (id, flow, state, user_name, udid, serial, product, os_version, "
    "device_fingerprint, identity_fingerprint, created_at, updated_at, expires_at, site, rules, "
    "terms, signed_at) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %lld, %lld, %lld, %s, %s, %s, %lld) "
    "ON CONFLICT DO NOTHING";
static const char select_enrollment[] =
    "SELECT id, flow, state, user_name, udid, serial, product, os_version, device_fingerprint, "
    "identity_fingerprint, created_at, updated_at, expires_at, site, rules, terms, signed_at "
    "FROM enrollment "
    "WHERE id = %s";
static const char count_offered[] =
    "SELECT COUNT(*) FROM (SELECT 1 FROM enrollment WHERE user_name = %s AND state = %s "
    "AND expires_at > %lld LIMIT %lld) AS open";
static const char advance_enrollment[] =
    "UPDATE enrollment SET state = %s, udid = %s, serial = %s, product = %s, os_version = %s, "
    "device_fingerprint = %s, identity_fingerprint = %s, updated_at = %lld, expires_at = %lld, "
    "terms = %s, signed_at = %lld WHERE id = %s AND state = %s AND identity_fingerprint = %s AND "
    "expires_at > %lld";
static const char refuse_enrollment[] =
    "UPDATE enrollment SET last_refusal = %s, refused_at = %lld WHERE id = %s";
/* The state is written as in the index enrollment_open, or that is not used. */
static const char sweep_enrollments[] =
    "DELETE FROM enrollment WHERE id IN (SELECT id FROM enrollment "
    "WHERE expires_at < %lld AND state <> 'delivered' AND NOT EXISTS (SELECT 1 FROM certificate "
    "WHERE certificate.enrollment = enrollment.id AND certificate.not_after > %lld) "
    "LIMIT " SWEEP_ROWS ")";

static const char insert_challenge[] =
    "INSERT INTO challenge (hash, enrollment, purpose, expires_at, used_at, used_for, uses) "
    "VALUES (%s, %s, %s, %lld, %lld, %s, %lld) ON CONFLICT DO NOTHING";
static const char select_challenge[] =
    "SELECT hash, enrollment, purpose, expires_at, used_at, used_for, uses FROM challenge "
    "WHERE hash = %s";
static const char spend_challenge[] =
    "UPDATE challenge SET used_at = CASE WHEN uses = 0 THEN %lld ELSE used_at END, "
    "used_for = %s, uses = uses + 1 "
    "WHERE hash = %s AND used_for = %s AND uses < %lld AND expires_at > %lld";
static const char delete_challenge[] = "DELETE FROM challenge WHERE hash = %s";
static const char sweep_challenges[] =
    "DELETE FROM challenge WHERE hash IN (SELECT hash FROM challenge WHERE expires_at < %lld "
    "LIMIT " SWEEP_ROWS ")";

static const char insert_certificate[] =
    "INSERT INTO certificate (serial, issuer, enrollment, purpose, request, poll, authority, "
    "fingerprint, der, not_before, not_after, issued_at, revoked_at, revocation_reason, used_for) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %lld, %lld, %lld, %lld, %lld, %s) "
    "ON CONFLICT DO NOTHING";
#define SELECT_CERTIFICATE_WITH(der)                                                               \
    "SELECT serial, issuer, enrollment, purpose, request, poll, authority, fingerprint, " der      \
    ", not_before, not_after, issued_at, revoked_at, revocation_reason, used_for "                 \
    "FROM certificate WHERE "
#define SELECT_CERTIFICATE SELECT_CERTIFICATE_WITH("der")
static const char select_certificate_by_fingerprint[] = SELECT_CERTIFICATE "fingerprint = %s";
static const char select_certificate_by_request[] = SELECT_CERTIFICATE "request = %s";
static const char select_certificate_by_serial[] =
    SELECT_CERTIFICATE "serial = %s AND issuer IN (%s, '') ORDER BY issuer DESC LIMIT 1";
static const char select_certificate_by_poll[] =
    SELECT_CERTIFICATE "poll = %s ORDER BY issued_at DESC LIMIT 1";
static const char count_certificates[] =
    "SELECT COUNT(*) FROM (SELECT 1 FROM certificate WHERE enrollment = %s AND issued_at > %lld "
    "LIMIT %lld) AS issued";
static const char revoke_certificate[] =
    "UPDATE certificate SET revoked_at = %lld, revocation_reason = %lld "
    "WHERE fingerprint = %s AND revoked_at = 0";
static const char supersede_certificates[] =
    "UPDATE certificate SET revoked_at = %lld, revocation_reason = %lld "
    "WHERE enrollment = %s AND authority = %s AND revoked_at = 0 AND request NOT IN "
    "(SELECT used_for FROM challenge WHERE hash = %s "
    "UNION SELECT used_for FROM certificate WHERE fingerprint = %s)";
static const char spend_certificate[] =
    "UPDATE certificate SET used_for = %s WHERE fingerprint = %s AND used_for = %s "
    "AND revoked_at = 0";
static const char select_revoked[] =
    SELECT_CERTIFICATE_WITH("''") "revoked_at > 0 AND revoked_at < %lld AND not_after > %lld "
                                  "AND issuer IN (%s, '') ORDER BY serial";

#define ENROLLMENT_COLUMNS 17
#define CHALLENGE_COLUMNS 7
#define CERTIFICATE_COLUMNS 15

/* --- enrollment --- */

static mdm_result_t enrollment_insert(void *context, apr_pool_t *p, const mdm_enrollment_t *row)
{
    const char *args[] = {row->id,
                          row->flow,
                          mdm_state_name(row->state),
                          row->user,
                          row->udid,
                          row->serial,
                          row->product,
                          row->os_version,
                          row->device_fingerprint,
                          row->identity_fingerprint,
                          mdm_sql_decimal(p, row->created_at),
                          mdm_sql_decimal(p, row->updated_at),
                          mdm_sql_decimal(p, row->expires_at),
                          row->site,
                          row->rules,
                          row->terms,
                          mdm_sql_decimal(p, row->signed_at)};
    int rows = 0;
    mdm_result_t r = mdm_sql_change(context, p, "storing an enrollment", insert_enrollment, args,
                                    MDM_SQL_COUNT(args), &rows);

    if (r.kind == MDM_OK && rows != 1)
        return mdm_result_make(p, MDM_MSG_STORE_ROW, "there is an enrollment %s already", row->id);
    return r;
}

static mdm_result_t enrollment_get(void *context, apr_pool_t *p, const char *id,
                                   mdm_enrollment_t **out)
{
    const char *values[ENROLLMENT_COLUMNS];
    mdm_enrollment_t *row;
    int found = 0;
    mdm_result_t r = mdm_sql_find(context, p, "reading an enrollment", select_enrollment, id,
                                  values, ENROLLMENT_COLUMNS, &found);

    if (r.kind != MDM_OK)
        return r;
    if (!found) {
        *out = NULL;
        return r;
    }
    row = apr_pcalloc(p, sizeof(*row));
    row->id = values[0];
    row->flow = values[1];
    row->user = values[3];
    row->udid = values[4];
    row->serial = values[5];
    row->product = values[6];
    row->os_version = values[7];
    row->device_fingerprint = values[8];
    row->identity_fingerprint = values[9];
    row->site = values[13];
    row->rules = values[14];
    row->terms = values[15];
    if (!mdm_state_parse(values[2], &row->state) ||
        !mdm_sql_parse_decimal(values[10], &row->created_at) ||
        !mdm_sql_parse_decimal(values[11], &row->updated_at) ||
        !mdm_sql_parse_decimal(values[12], &row->expires_at) ||
        !mdm_sql_parse_decimal(values[16], &row->signed_at))
        return mdm_sql_bad_row(p, "enrollment", id, "a known state, and times in seconds");
    *out = row;
    return r;
}

static mdm_result_t enrollment_count_offered(void *context, apr_pool_t *p, const char *user,
                                             apr_int64_t now, int limit, int *count)
{
    const char *args[] = {user, mdm_state_name(MDM_STATE_OFFERED), mdm_sql_decimal(p, now),
                          mdm_sql_decimal(p, limit)};

    return mdm_sql_read_count(context, p, "counting a user's enrollments", count_offered, args,
                              MDM_SQL_COUNT(args), count);
}

static mdm_result_t enrollment_advance(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                       mdm_state_t from, const char *identity, apr_int64_t now,
                                       int *won)
{
    const char *args[] = {mdm_state_name(row->state),
                          row->udid,
                          row->serial,
                          row->product,
                          row->os_version,
                          row->device_fingerprint,
                          row->identity_fingerprint,
                          mdm_sql_decimal(p, row->updated_at),
                          mdm_sql_decimal(p, row->expires_at),
                          row->terms,
                          mdm_sql_decimal(p, row->signed_at),
                          row->id,
                          mdm_state_name(from),
                          identity,
                          mdm_sql_decimal(p, now)};

    return mdm_sql_change(context, p, "moving an enrollment on", advance_enrollment, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t enrollment_note_refusal(void *context, apr_pool_t *p, const char *id,
                                            const char *code, apr_int64_t now)
{
    const char *args[] = {code, mdm_sql_decimal(p, now), id};
    int rows;

    return mdm_sql_change(context, p, "noting a refusal", refuse_enrollment, args,
                          MDM_SQL_COUNT(args), &rows);
}

/* --- challenge --- */

static mdm_result_t challenge_insert(void *context, apr_pool_t *p, const mdm_challenge_t *row)
{
    const char *args[] = {row->hash,
                          row->enrollment,
                          mdm_purpose_name(row->purpose),
                          mdm_sql_decimal(p, row->expires_at),
                          mdm_sql_decimal(p, row->used_at),
                          row->used_for,
                          mdm_sql_decimal(p, row->uses)};
    int rows = 0;
    mdm_result_t r = mdm_sql_change(context, p, "storing a challenge", insert_challenge, args,
                                    MDM_SQL_COUNT(args), &rows);

    if (r.kind == MDM_OK && rows != 1)
        return mdm_result_make(p, MDM_MSG_STORE_ROW, "there is a challenge %s already", row->hash);
    return r;
}

static mdm_result_t challenge_get(void *context, apr_pool_t *p, const char *hash,
                                  mdm_challenge_t **out)
{
    const char *values[CHALLENGE_COLUMNS];
    mdm_challenge_t *row;
    int found = 0;
    mdm_result_t r = mdm_sql_find(context, p, "reading a challenge", select_challenge, hash, values,
                                  CHALLENGE_COLUMNS, &found);

    if (r.kind != MDM_OK)
        return r;
    if (!found) {
        *out = NULL;
        return r;
    }
    row = apr_pcalloc(p, sizeof(*row));
    row->hash = values[0];
    row->enrollment = values[1];
    row->used_for = values[5];
    if (!mdm_purpose_parse(values[2], &row->purpose) ||
        !mdm_sql_parse_decimal(values[3], &row->expires_at) ||
        !mdm_sql_parse_decimal(values[4], &row->used_at) ||
        !mdm_sql_parse_int(values[6], &row->uses))
        return mdm_sql_bad_row(p, "challenge", hash, "a known purpose, and times in seconds");
    *out = row;
    return r;
}

static mdm_result_t challenge_spend(void *context, apr_pool_t *p, const char *hash,
                                    const char *before, int most, const char *used_for,
                                    apr_int64_t now, int *won)
{
    const char *args[] = {mdm_sql_decimal(p, now), used_for, hash, before, mdm_sql_decimal(p, most),
                          mdm_sql_decimal(p, now)};

    return mdm_sql_change(context, p, "spending a challenge", spend_challenge, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t challenge_delete(void *context, apr_pool_t *p, const char *hash)
{
    int rows;

    return mdm_sql_change(context, p, "deleting a challenge", delete_challenge, &hash, 1, &rows);
}

/* --- certificate --- */

static mdm_result_t certificate_insert(void *context, apr_pool_t *p, const mdm_certificate_t *row,
                                       int *won)
{
    const char *args[] = {row->serial,
                          row->issuer,
                          row->enrollment,
                          mdm_purpose_name(row->purpose),
                          row->request,
                          row->poll,
                          row->authority,
                          row->fingerprint,
                          row->der,
                          mdm_sql_decimal(p, row->not_before),
                          mdm_sql_decimal(p, row->not_after),
                          mdm_sql_decimal(p, row->issued_at),
                          mdm_sql_decimal(p, row->revoked_at),
                          mdm_sql_decimal(p, row->revocation_reason),
                          row->used_for};

    return mdm_sql_change(context, p, "storing a certificate", insert_certificate, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t parse_certificate(apr_pool_t *p, const char *const *values,
                                      mdm_certificate_t *row)
{
    *row = (mdm_certificate_t){
        .serial = values[0],
        .issuer = values[1],
        .enrollment = values[2],
        .request = values[4],
        .poll = values[5],
        .authority = values[6],
        .fingerprint = values[7],
        .der = values[8],
        .used_for = values[14],
    };
    if (!mdm_purpose_parse(values[3], &row->purpose) ||
        !mdm_sql_parse_decimal(values[9], &row->not_before) ||
        !mdm_sql_parse_decimal(values[10], &row->not_after) ||
        !mdm_sql_parse_decimal(values[11], &row->issued_at) ||
        !mdm_sql_parse_decimal(values[12], &row->revoked_at) ||
        !mdm_sql_parse_int(values[13], &row->revocation_reason))
        return mdm_sql_bad_row(p, "certificate", row->serial,
                               "a known purpose, and times in seconds");
    return mdm_result_ok();
}

static mdm_result_t certificate_get(void *context, apr_pool_t *p, const char *sql,
                                    const char **args, int nargs, mdm_certificate_t **out)
{
    const char *values[CERTIFICATE_COLUMNS];
    mdm_certificate_t row;
    int found = 0;
    mdm_result_t r = mdm_sql_read_row(context, p, "reading a certificate", sql, args, nargs, values,
                                      CERTIFICATE_COLUMNS, &found);

    if (r.kind == MDM_OK && found)
        r = parse_certificate(p, values, &row);
    if (r.kind == MDM_OK)
        *out = found ? apr_pmemdup(p, &row, sizeof(row)) : NULL;
    return r;
}

static mdm_result_t certificate_by_fingerprint(void *context, apr_pool_t *p,
                                               const char *fingerprint, mdm_certificate_t **row)
{
    return certificate_get(context, p, select_certificate_by_fingerprint, &fingerprint, 1, row);
}

static mdm_result_t certificate_by_request(void *context, apr_pool_t *p, const char *request,
                                           mdm_certificate_t **row)
{
    return certificate_get(context, p, select_certificate_by_request, &request, 1, row);
}

static mdm_result_t certificate_by_serial(void *context, apr_pool_t *p, const char *issuer,
                                          const char *serial, mdm_certificate_t **row)
{
    const char *args[] = {serial, issuer};

    return certificate_get(context, p, select_certificate_by_serial, args, MDM_SQL_COUNT(args),
                           row);
}

static mdm_result_t certificate_by_poll(void *context, apr_pool_t *p, const char *poll,
                                        mdm_certificate_t **row)
{
    return certificate_get(context, p, select_certificate_by_poll, &poll, 1, row);
}

static mdm_result_t certificate_count(void *context, apr_pool_t *p, const char *enrollment,
                                      apr_int64_t since, int limit, int *count)
{
    const char *args[] = {enrollment, mdm_sql_decimal(p, since), mdm_sql_decimal(p, limit)};

    return mdm_sql_read_count(context, p, "counting an enrollment's certificates",
                              count_certificates, args, MDM_SQL_COUNT(args), count);
}

static mdm_result_t certificate_revoke(void *context, apr_pool_t *p, const char *fingerprint,
                                       int reason, apr_int64_t now, int *won)
{
    const char *args[] = {mdm_sql_decimal(p, now), mdm_sql_decimal(p, reason), fingerprint};

    return mdm_sql_change(context, p, "revoking a certificate", revoke_certificate, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t certificate_spend(void *context, apr_pool_t *p, const char *fingerprint,
                                      const char *before, const char *used_for, int *won)
{
    const char *args[] = {used_for, fingerprint, before};

    return mdm_sql_change(context, p, "renewing a certificate", spend_certificate, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t certificate_supersede(void *context, apr_pool_t *p, const char *enrollment,
                                          const char *authority, apr_int64_t now)
{
    const char *args[] = {mdm_sql_decimal(p, now),
                          mdm_sql_decimal(p, MDM_REVOCATION_SUPERSEDED),
                          enrollment,
                          authority,
                          authority,
                          authority};
    int rows;

    return mdm_sql_change(context, p, "revoking superseded certificates", supersede_certificates,
                          args, MDM_SQL_COUNT(args), &rows);
}

/* A visitor of certificates as one of rows. */
typedef struct visit_t {
    mdm_certificate_visit_t *visit;
    void *baton;
    mdm_result_t result;
} visit_t;

static int visit_row(void *baton, apr_pool_t *p, const char *const *values)
{
    visit_t *visit = baton;
    mdm_certificate_t row;

    visit->result = parse_certificate(p, values, &row);
    if (visit->result.kind == MDM_OK)
        visit->result = visit->visit(visit->baton, &row);
    return visit->result.kind == MDM_OK;
}

/* Not tried again: what was visited cannot be taken back. */
static mdm_result_t certificate_each_revoked(void *context, apr_pool_t *p, const char *issuer,
                                             apr_int64_t revoked_before, apr_int64_t valid_after,
                                             mdm_certificate_visit_t *visit, void *baton)
{
    const char *args[] = {mdm_sql_decimal(p, revoked_before), mdm_sql_decimal(p, valid_after),
                          issuer};
    visit_t each = {visit, baton, mdm_result_ok()};
    mdm_result_t r =
        mdm_sql_read_rows(context, p, "reading revoked certificates", select_revoked, args,
                          MDM_SQL_COUNT(args), CERTIFICATE_COLUMNS, visit_row, NULL, &each);

    return r.kind == MDM_OK ? each.result : r;
}

/* --- all --- */

/* Two statements, each useful without the other. */
static mdm_result_t sweep(void *context, apr_pool_t *p, apr_int64_t expired_before)
{
    const char *before = mdm_sql_decimal(p, expired_before);
    const char *args[] = {before, before};
    int rows;
    mdm_result_t r =
        mdm_sql_change(context, p, "sweeping challenges", sweep_challenges, &before, 1, &rows);

    if (r.kind != MDM_OK)
        return r;
    return mdm_sql_change(context, p, "sweeping enrollments", sweep_enrollments, args,
                          MDM_SQL_COUNT(args), &rows);
}

const mdm_store_t *mdm_store_dbd(apr_pool_t *p, mdm_dbd_pool_t *pool)
{
    mdm_store_t *store = apr_palloc(p, sizeof(*store));

    *store = (mdm_store_t){
        .context = pool,
        .enrollment_insert = enrollment_insert,
        .enrollment_get = enrollment_get,
        .enrollment_count_offered = enrollment_count_offered,
        .enrollment_advance = enrollment_advance,
        .enrollment_note_refusal = enrollment_note_refusal,
        .challenge_insert = challenge_insert,
        .challenge_get = challenge_get,
        .challenge_spend = challenge_spend,
        .challenge_delete = challenge_delete,
        .certificate_insert = certificate_insert,
        .certificate_by_fingerprint = certificate_by_fingerprint,
        .certificate_by_request = certificate_by_request,
        .certificate_by_serial = certificate_by_serial,
        .certificate_by_poll = certificate_by_poll,
        .certificate_count = certificate_count,
        .certificate_revoke = certificate_revoke,
        .certificate_spend = certificate_spend,
        .certificate_supersede = certificate_supersede,
        .certificate_each_revoked = certificate_each_revoked,
        .sweep = sweep,
    };
    mdm_store_fill_claim(store);
    mdm_store_fill_device(store);
    mdm_store_fill_notification(store);
    mdm_store_fill_update(store);
    return store;
}
