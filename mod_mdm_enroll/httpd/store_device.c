/* SPDX-License-Identifier: Apache-2.0
 * Devices that come with their MDM identity: one look-up, and the end of what came before. Depends
 * on store_sql.
 */
#include "store_device.h"

#include <apr_strings.h>

#include "store_sql.h"

/* What takes the place of what: issued later, or issued for it. Times are whole seconds, so what is
 * renewed in the second in which it was issued is told by authority alone; what renews the one that
 * is seen never falls under it. */
#define OLDER(seen_fingerprint, seen_authority, seen_issued_at)                                    \
    "old.purpose = 'mdm' AND old.revoked_at = 0 AND old.fingerprint <> " seen_fingerprint          \
    " AND old.authority <> " seen_fingerprint " AND (old.issued_at < " seen_issued_at              \
    " OR old.fingerprint = " seen_authority ")"

static const char select_sighting[] =
    "SELECT c.serial, c.issuer, c.purpose, c.authority, c.fingerprint, c.not_after, c.issued_at, "
    "c.revoked_at, c.revocation_reason, e.id, e.site, e.state, e.user_name, e.udid, e.serial, "
    "e.product, e.os_version, e.updated_at, e.expires_at, e.flow, "
    "CASE WHEN EXISTS (SELECT 1 FROM certificate AS old WHERE old.enrollment = c.enrollment "
    "AND " OLDER("c.fingerprint", "c.authority",
                 "c.issued_at") ") THEN 1 ELSE 0 END "
                                "FROM certificate AS c JOIN enrollment AS e ON e.id = c.enrollment "
                                "WHERE c.fingerprint = %s";
/* SQLite takes no alias behind UPDATE everywhere that PostgreSQL does; hence by fingerprints. */
static const char end_older[] =
    "UPDATE certificate SET revoked_at = %lld, revocation_reason = %lld WHERE fingerprint IN "
    "(SELECT old.fingerprint FROM certificate AS seen JOIN certificate AS old "
    "ON old.enrollment = seen.enrollment WHERE seen.fingerprint = %s AND seen.revoked_at = 0 "
    "AND " OLDER("seen.fingerprint", "seen.authority", "seen.issued_at") ") AND revoked_at = 0";

#define SIGHTING_COLUMNS 21

static int parse_numbers(const char *const *values, mdm_certificate_t *c, mdm_enrollment_t *row,
                         int *has_older)
{
    return mdm_purpose_parse(values[2], &c->purpose) &&
           mdm_sql_parse_decimal(values[5], &c->not_after) &&
           mdm_sql_parse_decimal(values[6], &c->issued_at) &&
           mdm_sql_parse_decimal(values[7], &c->revoked_at) &&
           mdm_sql_parse_int(values[8], &c->revocation_reason) &&
           mdm_state_parse(values[11], &row->state) &&
           mdm_sql_parse_decimal(values[17], &row->updated_at) &&
           mdm_sql_parse_decimal(values[18], &row->expires_at) &&
           mdm_sql_parse_int(values[20], has_older);
}

static mdm_result_t sighting_get(void *context, apr_pool_t *p, const char *fingerprint,
                                 mdm_sighting_t **sighting)
{
    const char *values[SIGHTING_COLUMNS];
    mdm_sighting_t seen;
    int found = 0;
    mdm_result_t r = mdm_sql_find(context, p, "looking a device up", select_sighting, fingerprint,
                                  values, SIGHTING_COLUMNS, &found);

    if (r.kind != MDM_OK)
        return r;
    if (!found) {
        *sighting = NULL;
        return r;
    }
    seen.certificate = (mdm_certificate_t){.serial = values[0],
                                           .issuer = values[1],
                                           .enrollment = values[9],
                                           .request = "",
                                           .poll = "",
                                           .authority = values[3],
                                           .fingerprint = values[4],
                                           .der = "",
                                           .used_for = ""};
    seen.row = (mdm_enrollment_t){.id = values[9],
                                  .flow = values[19],
                                  .site = values[10],
                                  .rules = "",
                                  .user = values[12],
                                  .udid = values[13],
                                  .serial = values[14],
                                  .product = values[15],
                                  .os_version = values[16],
                                  .device_fingerprint = "",
                                  .identity_fingerprint = "",
                                  .terms = ""};
    if (!parse_numbers(values, &seen.certificate, &seen.row, &seen.has_older))
        return mdm_sql_bad_row(p, "certificate", fingerprint,
                               "a known purpose and state, and times in seconds");
    *sighting = apr_pmemdup(p, &seen, sizeof(seen));
    return r;
}

static mdm_result_t certificate_end_older(void *context, apr_pool_t *p,
                                          const mdm_certificate_t *seen, apr_int64_t now,
                                          int *ended)
{
    const char *args[] = {mdm_sql_decimal(p, now), mdm_sql_decimal(p, MDM_REVOCATION_SUPERSEDED),
                          seen->fingerprint};

    return mdm_sql_change(context, p, "revoking older certificates of a device", end_older, args,
                          MDM_SQL_COUNT(args), ended);
}

void mdm_store_fill_device(mdm_store_t *store)
{
    store->sighting_get = sighting_get;
    store->certificate_end_older = certificate_end_older;
}
