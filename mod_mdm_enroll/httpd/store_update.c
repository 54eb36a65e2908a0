/* SPDX-License-Identifier: Apache-2.0
 * The SQL of updates. Depends on store_sql and core's mdm_enrollment.
 */
#include "store_update.h"

#include "store_sql.h"

/* The state is written as in the indexes enrollment_udid and enrollment_serial, or they are not
 * used. An administrator's end is an expires_at before updated_at (store_admin.h). */
#define SELECT_DEVICE                                                                              \
    "SELECT id FROM enrollment WHERE state = 'delivered' AND site = %s AND expires_at >= "         \
    "updated_at AND "
#define LATEST " ORDER BY created_at DESC, id DESC LIMIT 1"
static const char select_by_udid[] = SELECT_DEVICE "udid = %s" LATEST;
static const char select_by_serial[] = SELECT_DEVICE "serial = %s" LATEST;
static const char update_enrollment[] =
    "UPDATE enrollment SET rules = %s, product = %s, os_version = %s, terms = %s, "
    "signed_at = %lld, updated_at = %lld, expires_at = %lld "
    "WHERE id = %s AND state = 'delivered' AND expires_at >= updated_at "
    "AND signed_at = %lld AND updated_at <= %lld";
static const char count_challenges[] =
    "SELECT COUNT(*) FROM (SELECT 1 FROM challenge WHERE enrollment = %s AND purpose = %s "
    "AND expires_at > %lld LIMIT %lld) AS issued";

static mdm_result_t enrollment_by_device(void *context, apr_pool_t *p, const char *site,
                                         const char *udid, const char *serial, const char **id)
{
    const char *args[] = {site, udid ? udid : serial};
    const char *value = NULL;
    int found = 0;
    mdm_result_t r = mdm_sql_read_row(context, p, "finding a device's enrollment",
                                      udid ? select_by_udid : select_by_serial, args,
                                      MDM_SQL_COUNT(args), &value, 1, &found);

    if (r.kind == MDM_OK)
        *id = found ? value : NULL;
    return r;
}

static mdm_result_t enrollment_update(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                      apr_int64_t signed_at, apr_int64_t updated_before, int *won)
{
    const char *args[] = {row->rules,
                          row->product,
                          row->os_version,
                          row->terms,
                          mdm_sql_decimal(p, row->signed_at),
                          mdm_sql_decimal(p, row->updated_at),
                          mdm_sql_decimal(p, row->expires_at),
                          row->id,
                          mdm_sql_decimal(p, signed_at),
                          mdm_sql_decimal(p, updated_before)};

    return mdm_sql_change(context, p, "updating an enrollment", update_enrollment, args,
                          MDM_SQL_COUNT(args), won);
}

static mdm_result_t challenge_count(void *context, apr_pool_t *p, const char *enrollment,
                                    mdm_purpose_t purpose, apr_int64_t after, int limit, int *count)
{
    const char *args[] = {enrollment, mdm_purpose_name(purpose), mdm_sql_decimal(p, after),
                          mdm_sql_decimal(p, limit)};

    return mdm_sql_read_count(context, p, "counting an enrollment's challenges", count_challenges,
                              args, MDM_SQL_COUNT(args), count);
}

void mdm_store_fill_update(mdm_store_t *store)
{
    store->enrollment_by_device = enrollment_by_device;
    store->enrollment_update = enrollment_update;
    store->challenge_count = challenge_count;
}
