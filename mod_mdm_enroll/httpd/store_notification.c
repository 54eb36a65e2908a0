/* SPDX-License-Identifier: Apache-2.0
 * The SQL of notifications. Depends on store_sql.
 */
#include "store_notification.h"

#include "store_sql.h"

/* The event took place: the row moved after the notification was stored, which for its first
 * delivery the state says by itself, whatever clocks do. */
#define HAPPENED                                                                                   \
    "enrollment.state = 'delivered' AND (notification.event = 'enrolled' "                         \
    "OR enrollment.updated_at >= notification.created_at)"

static const char insert_notification[] =
    "INSERT INTO notification (id, site, event, enrollment, body, created_at, due_at, tries) "
    "VALUES (%s, %s, %s, %s, %s, %lld, %lld, %lld) ON CONFLICT DO NOTHING";
static const char select_next[] =
    "SELECT id, site, event, enrollment, body, created_at, due_at, tries FROM notification "
    "WHERE site = %s AND due_at <= %lld AND EXISTS (SELECT 1 FROM enrollment "
    "WHERE enrollment.id = notification.enrollment AND " HAPPENED ") "
    "ORDER BY due_at LIMIT 1";
static const char claim_notification[] = "UPDATE notification SET due_at = %lld, tries = tries + 1 "
                                         "WHERE id = %s AND due_at = %lld AND tries = %lld";
static const char postpone_notification[] =
    "UPDATE notification SET due_at = %lld WHERE id = %s AND due_at = %lld";
static const char delete_notification[] = "DELETE FROM notification WHERE id = %s";
static const char sweep_notifications[] =
    "DELETE FROM notification WHERE id IN (SELECT id FROM notification "
    "WHERE site = %s AND due_at < %lld AND NOT EXISTS (SELECT 1 FROM enrollment "
    "WHERE enrollment.id = notification.enrollment AND (" HAPPENED
    " OR enrollment.state <> 'delivered' AND enrollment.expires_at >= %lld)) LIMIT 1000)";

#define COLUMNS 8

static mdm_result_t notification_insert(void *context, apr_pool_t *p, const mdm_notification_t *row)
{
    const char *args[] = {row->id,
                          row->site,
                          row->event,
                          row->enrollment,
                          row->body,
                          mdm_sql_decimal(p, row->created_at),
                          mdm_sql_decimal(p, row->due_at),
                          mdm_sql_decimal(p, row->tries)};
    int rows;

    return mdm_sql_change(context, p, "storing a notification", insert_notification, args,
                          MDM_SQL_COUNT(args), &rows);
}

void mdm_store_fill_notification(mdm_store_t *store)
{
    store->notification_insert = notification_insert;
}

mdm_result_t mdm_store_notification_next(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *site,
                                         apr_int64_t now, mdm_notification_t **out)
{
    const char *args[] = {site, mdm_sql_decimal(p, now)};
    const char *values[COLUMNS];
    mdm_notification_t *row;
    int found = 0;
    mdm_result_t r = mdm_sql_read_row(pool, p, "reading a notification", select_next, args,
                                      MDM_SQL_COUNT(args), values, COLUMNS, &found);

    if (r.kind != MDM_OK)
        return r;
    if (!found) {
        *out = NULL;
        return r;
    }
    row = apr_pcalloc(p, sizeof(*row));
    row->id = values[0];
    row->site = values[1];
    row->event = values[2];
    row->enrollment = values[3];
    row->body = values[4];
    if (!mdm_sql_parse_decimal(values[5], &row->created_at) ||
        !mdm_sql_parse_decimal(values[6], &row->due_at) ||
        !mdm_sql_parse_int(values[7], &row->tries))
        return mdm_sql_bad_row(p, "notification", row->id, "times in seconds, and a count");
    *out = row;
    return r;
}

mdm_result_t mdm_store_notification_claim(mdm_dbd_pool_t *pool, apr_pool_t *p,
                                          const mdm_notification_t *row, apr_int64_t until,
                                          int *won)
{
    const char *args[] = {mdm_sql_decimal(p, until), row->id, mdm_sql_decimal(p, row->due_at),
                          mdm_sql_decimal(p, row->tries)};

    return mdm_sql_change(pool, p, "taking a notification", claim_notification, args,
                          MDM_SQL_COUNT(args), won);
}

mdm_result_t mdm_store_notification_postpone(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *id,
                                             apr_int64_t until, apr_int64_t due_at, int *won)
{
    const char *args[] = {mdm_sql_decimal(p, due_at), id, mdm_sql_decimal(p, until)};

    return mdm_sql_change(pool, p, "giving a notification back", postpone_notification, args,
                          MDM_SQL_COUNT(args), won);
}

mdm_result_t mdm_store_notification_delete(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *id)
{
    int rows;

    return mdm_sql_change(pool, p, "deleting a notification", delete_notification, &id, 1, &rows);
}

mdm_result_t mdm_store_notification_sweep(mdm_dbd_pool_t *pool, apr_pool_t *p, const char *site,
                                          apr_int64_t before)
{
    const char *text = mdm_sql_decimal(p, before);
    const char *args[] = {site, text, text};
    int rows;

    return mdm_sql_change(pool, p, "sweeping notifications", sweep_notifications, args,
                          MDM_SQL_COUNT(args), &rows);
}
