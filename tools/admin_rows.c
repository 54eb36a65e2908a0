/* SPDX-License-Identifier: Apache-2.0
 * Rows of the store as people and machines read them. Depends on admin_advice, admin_output and
 * mod_mdm_enroll's store_admin.
 */
#include "admin_rows.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <string.h>
#include <strings.h>

#include "admin_advice.h"

static const char *const reasons[] = {
    [0] = "unspecified",        [1] = "keyCompromise", [2] = "cACompromise",
    [3] = "affiliationChanged", [4] = "superseded",    [5] = "cessationOfOperation",
    [6] = "certificateHold",    [8] = "removeFromCRL", [9] = "privilegeWithdrawn",
    [10] = "aACompromise",
};
#define REASON_COUNT ((int)(sizeof(reasons) / sizeof(reasons[0])))

apr_int64_t admin_now(void)
{
    return apr_time_sec(apr_time_now());
}

const char *admin_state_text(apr_pool_t *p, const mdm_admin_enrollment_t *row, apr_int64_t now)
{
    if (mdm_admin_ended(row))
        return "revoked";
    if (strcmp(row->state, "delivered") == 0 || mdm_admin_waiting(row, now))
        return row->state;
    return apr_pstrcat(p, row->state, " (over)", NULL);
}

const char *admin_validity_text(const mdm_admin_certificate_t *row, apr_int64_t now)
{
    if (row->revoked_at != 0)
        return "revoked";
    if (row->not_after <= now)
        return "expired";
    return row->not_before > now ? "not yet" : "valid";
}

const char *admin_reason_name(apr_pool_t *p, apr_int64_t reason)
{
    if (reason >= 0 && reason < REASON_COUNT && reasons[reason] != NULL)
        return reasons[reason];
    return apr_psprintf(p, "%" APR_INT64_T_FMT, reason);
}

int admin_reason_parse(const char *name, int *reason)
{
    static const int served[] = {0, 1, 3, 4, 5, 9};

    for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
        if (strcasecmp(reasons[served[i]], name) == 0) {
            *reason = served[i];
            return 1;
        }
    }
    return 0;
}

static json_t *text_or_null(const char *text)
{
    return admin_json_text(*text != '\0' ? text : NULL);
}

static json_t *refusal_json(const mdm_admin_enrollment_t *row)
{
    const admin_advice_t *advice = admin_advice_find(row->last_refusal);
    json_t *refusal;

    if (row->last_refusal[0] == '\0')
        return json_null();
    refusal = json_object();
    json_object_set_new(refusal, "id", admin_json_text(row->last_refusal));
    json_object_set_new(refusal, "at", admin_json_time(row->refused_at));
    json_object_set_new(refusal, "meaning", admin_json_text(advice ? advice->meaning : NULL));
    json_object_set_new(refusal, "remedy", admin_json_text(advice ? advice->remedy : NULL));
    return refusal;
}

json_t *admin_enrollment_json(const mdm_admin_enrollment_t *row, apr_int64_t now)
{
    json_t *made = json_object();
    int waiting = mdm_admin_waiting(row, now), ended = mdm_admin_ended(row);

    json_object_set_new(made, "id", admin_json_text(row->id));
    json_object_set_new(made, "state", admin_json_text(row->state));
    json_object_set_new(made, "user", admin_json_text(row->user));
    json_object_set_new(made, "udid", text_or_null(row->udid));
    json_object_set_new(made, "serial_number", text_or_null(row->serial));
    json_object_set_new(made, "product", text_or_null(row->product));
    json_object_set_new(made, "os_version", text_or_null(row->os_version));
    json_object_set_new(made, "created_at", admin_json_time(row->created_at));
    json_object_set_new(made, "updated_at", admin_json_time(row->updated_at));
    json_object_set_new(made, "waits_until", admin_json_time(waiting ? row->expires_at : 0));
    json_object_set_new(made, "revoked_at", admin_json_time(ended ? row->updated_at : 0));
    json_object_set_new(made, "live_certificates", json_integer(row->live));
    json_object_set_new(made, "last_refusal", refusal_json(row));
    return made;
}

json_t *admin_certificate_json(apr_pool_t *p, const mdm_admin_certificate_t *row, apr_int64_t now)
{
    json_t *made = json_object();
    int revoked = row->revoked_at != 0;

    json_object_set_new(made, "serial", admin_json_text(row->serial));
    json_object_set_new(made, "issuer_key_id", text_or_null(row->issuer));
    json_object_set_new(made, "fingerprint", admin_json_text(row->fingerprint));
    json_object_set_new(made, "purpose", admin_json_text(row->purpose));
    json_object_set_new(made, "enrollment", admin_json_text(row->enrollment));
    json_object_set_new(made, "user", text_or_null(row->user));
    json_object_set_new(made, "udid", text_or_null(row->udid));
    json_object_set_new(made, "serial_number", text_or_null(row->device_serial));
    json_object_set_new(made, "status", admin_json_text(admin_validity_text(row, now)));
    json_object_set_new(made, "not_before", admin_json_time(row->not_before));
    json_object_set_new(made, "not_after", admin_json_time(row->not_after));
    json_object_set_new(made, "issued_at", admin_json_time(row->issued_at));
    json_object_set_new(made, "revoked_at", admin_json_time(row->revoked_at));
    json_object_set_new(made, "revocation_reason",
                        admin_json_text(revoked ? admin_reason_name(p, row->reason) : NULL));
    return made;
}

mdm_admin_enrollment_t *admin_enrollment_copy(apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    mdm_admin_enrollment_t *copy = apr_pmemdup(p, row, sizeof(*row));

    copy->id = apr_pstrdup(p, row->id);
    copy->flow = apr_pstrdup(p, row->flow);
    copy->state = apr_pstrdup(p, row->state);
    copy->user = apr_pstrdup(p, row->user);
    copy->udid = apr_pstrdup(p, row->udid);
    copy->serial = apr_pstrdup(p, row->serial);
    copy->product = apr_pstrdup(p, row->product);
    copy->os_version = apr_pstrdup(p, row->os_version);
    copy->device_fingerprint = apr_pstrdup(p, row->device_fingerprint);
    copy->identity_fingerprint = apr_pstrdup(p, row->identity_fingerprint);
    copy->last_refusal = apr_pstrdup(p, row->last_refusal);
    return copy;
}

mdm_admin_certificate_t *admin_certificate_copy(apr_pool_t *p, const mdm_admin_certificate_t *row)
{
    mdm_admin_certificate_t *copy = apr_pmemdup(p, row, sizeof(*row));

    copy->serial = apr_pstrdup(p, row->serial);
    copy->issuer = apr_pstrdup(p, row->issuer);
    copy->enrollment = apr_pstrdup(p, row->enrollment);
    copy->purpose = apr_pstrdup(p, row->purpose);
    copy->fingerprint = apr_pstrdup(p, row->fingerprint);
    copy->user = apr_pstrdup(p, row->user);
    copy->udid = apr_pstrdup(p, row->udid);
    copy->device_serial = apr_pstrdup(p, row->device_serial);
    copy->der = "";
    return copy;
}
