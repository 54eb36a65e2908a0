/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin list. Depends on admin_rows and mod_mdm_enroll's store_admin.
 */
#include "admin_list.h"

#include <apr_strings.h>

#include "admin_advice.h"
#include "admin_rows.h"

/* A listing on its way; table is NULL for JSON. */
typedef struct listing_t {
    admin_table_t *table;
    admin_json_array_t array;
    apr_int64_t now;
    apr_int64_t limit;
    apr_int64_t rows;
    apr_array_header_t *refusals; /* admin_advice_t *: those that the table names */
} listing_t;

static void explain(listing_t *listing, const admin_advice_t *advice)
{
    for (int i = 0; i < listing->refusals->nelts; i++)
        if (APR_ARRAY_IDX(listing->refusals, i, const admin_advice_t *) == advice)
            return;
    APR_ARRAY_PUSH(listing->refusals, const admin_advice_t *) = advice;
}

static void print_explanations(const listing_t *listing)
{
    for (int i = 0; i < listing->refusals->nelts; i++) {
        const admin_advice_t *advice = APR_ARRAY_IDX(listing->refusals, i, const admin_advice_t *);
        if (i == 0)
            admin_say("%s", "");
        admin_say("%s: %s%s%s", advice->id, advice->meaning,
                  *advice->remedy ? "; what to do: " : "", advice->remedy);
    }
}

static int more_wanted(listing_t *listing)
{
    listing->rows++;
    return listing->limit == 0 || listing->rows < listing->limit;
}

static int list_enrollment(void *baton, apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    listing_t *listing = baton;
    const admin_advice_t *advice = admin_advice_find(row->last_refusal);

    if (listing->table == NULL) {
        admin_json_element(&listing->array, admin_enrollment_json(row, listing->now));
    } else {
        const char *refusal = "";
        if (row->last_refusal[0] != '\0')
            refusal = apr_pstrcat(p, row->last_refusal, " ", admin_time(p, row->refused_at), NULL);
        if (advice != NULL)
            explain(listing, advice);
        const char *values[] = {admin_state_text(p, row, listing->now),
                                row->user,
                                row->serial,
                                admin_time(p, row->updated_at),
                                apr_psprintf(p, "%" APR_INT64_T_FMT, row->live),
                                refusal,
                                row->product,
                                row->udid,
                                row->id,
                                admin_time(p, row->created_at)};
        admin_table_row(listing->table, p, values);
    }
    return more_wanted(listing);
}

static int list_certificate(void *baton, apr_pool_t *p, const mdm_admin_certificate_t *row)
{
    listing_t *listing = baton;

    if (listing->table == NULL) {
        admin_json_element(&listing->array, admin_certificate_json(p, row, listing->now));
    } else {
        const char *revoked = "";
        if (row->revoked_at != 0)
            revoked = apr_pstrcat(p, admin_time(p, row->revoked_at), " ",
                                  admin_reason_name(p, row->reason), NULL);
        const char *values[] = {admin_validity_text(row, listing->now),
                                row->purpose,
                                row->user,
                                row->device_serial,
                                row->serial,
                                admin_time(p, row->not_after),
                                revoked,
                                admin_time(p, row->not_before),
                                row->udid,
                                row->enrollment};
        admin_table_row(listing->table, p, values);
    }
    return more_wanted(listing);
}

/* --- what matches only nearly --- */

typedef struct names_t {
    apr_pool_t *p;
    const char *list;
} names_t;

static int collect_name(void *baton, apr_pool_t *p, const char *user)
{
    names_t *names = baton;

    (void)p;
    names->list = apr_pstrcat(names->p, names->list, *names->list ? ", " : "", user, NULL);
    return 1;
}

const char *admin_users_alike(apr_pool_t *p, mdm_dbd_handle_t *handle, const char *user)
{
    names_t names = {p, ""};

    /* A hint: nothing depends on it. */
    mdm_admin_users_alike(handle, p, user, collect_name, &names);
    return names.list;
}

const char *admin_nothing(apr_pool_t *p, mdm_dbd_handle_t *handle, const mdm_admin_filter_t *filter)
{
    const char *alike = filter->user ? admin_users_alike(p, handle, filter->user) : "";

    if (*alike == '\0')
        return "nothing matches";
    return apr_psprintf(p, "nothing matches; user names count exactly, and there is: %s", alike);
}

static admin_result_t end(apr_pool_t *p, mdm_dbd_handle_t *handle, const mdm_admin_filter_t *filter,
                          listing_t *listing, mdm_result_t r)
{
    if (listing->table != NULL) {
        admin_table_end(listing->table);
        print_explanations(listing);
    } else {
        admin_json_end(&listing->array);
    }
    if (r.kind != MDM_OK)
        return admin_of(p, ADMIN_DATABASE, r);
    if (listing->rows == 0)
        return admin_fail(p, ADMIN_NOTHING, "%s", admin_nothing(p, handle, filter));
    return admin_ok();
}

admin_result_t admin_list_enrollments(apr_pool_t *p, mdm_dbd_handle_t *handle,
                                      const mdm_admin_filter_t *filter, int json)
{
    static const char *const headings[] = {
        "STATE", "USER", "SERIAL NUMBER", "CHANGED", "LIVE", "REFUSED", "PRODUCT",
        "UDID",  "ID",   "CREATED",       NULL};
    listing_t listing = {.table = json ? NULL : admin_table_create(p, headings, 6),
                         .now = admin_now(),
                         .limit = filter->limit,
                         .refusals = apr_array_make(p, 4, sizeof(const admin_advice_t *))};
    mdm_result_t r =
        mdm_admin_enrollments(handle, p, filter, listing.now, list_enrollment, &listing);

    return end(p, handle, filter, &listing, r);
}

admin_result_t admin_list_certificates(apr_pool_t *p, mdm_dbd_handle_t *handle,
                                       const mdm_admin_filter_t *filter, int json)
{
    static const char *const headings[] = {"STATUS", "PURPOSE",    "USER",    "SERIAL NUMBER",
                                           "SERIAL", "NOT AFTER",  "REVOKED", "NOT BEFORE",
                                           "UDID",   "ENROLLMENT", NULL};
    listing_t listing = {.table = json ? NULL : admin_table_create(p, headings, 5),
                         .now = admin_now(),
                         .limit = filter->limit,
                         .refusals = apr_array_make(p, 4, sizeof(const admin_advice_t *))};
    mdm_result_t r =
        mdm_admin_certificates(handle, p, filter, listing.now, list_certificate, &listing);

    return end(p, handle, filter, &listing, r);
}
