/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin revoke. Depends on admin_list, admin_rows and mod_mdm_enroll's store_admin.
 */
#include "admin_revoke.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <string.h>

#include "admin_list.h"
#include "admin_rows.h"

/* How long a certificate is waited for whose request was under way: longer than httpd waits for a
 * handle and for two statements. */
#define PATIENCE apr_time_from_sec(15)
#define PAUSE apr_time_from_msec(200)

/* So many enrollments are told one by one. */
#define SAY_ENROLLMENTS 20

typedef struct job_t {
    apr_pool_t *p;
    mdm_dbd_handle_t *handle;
    const admin_revoke_options_t *options;
    apr_int64_t now;
    apr_array_header_t *matched; /* ids of this pass: const char * */
    apr_array_header_t *found;   /* certificates of this pass: mdm_admin_certificate_t * */
    /* what was done, or would be */
    apr_array_header_t *enrollments;  /* mdm_admin_enrollment_t *, as they were before */
    apr_array_header_t *certificates; /* mdm_admin_certificate_t * */
    int matches;                      /* anything, in any pass */
    int pending;
} job_t;

/* --- one pass over enrollments --- */

/* One whose time is over for every clock needs no end. */
static int to_be_ended(const job_t *job, const mdm_admin_enrollment_t *row)
{
    return !mdm_admin_ended(row) && (strcmp(row->state, "delivered") == 0 ||
                                     row->expires_at > job->now - MDM_ADMIN_CLOCKS_DIFFER);
}

static int note_enrollment(void *baton, apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    job_t *job = baton;

    (void)p;
    job->matches = 1;
    /* One that is ended, too: whoever did it may have got no further than its row. */
    if (mdm_admin_ended(row) || to_be_ended(job, row))
        APR_ARRAY_PUSH(job->matched, const char *) = apr_pstrdup(job->p, row->id);
    if (!to_be_ended(job, row))
        return 1;
    for (int i = 0; i < job->enrollments->nelts; i++)
        if (strcmp(APR_ARRAY_IDX(job->enrollments, i, mdm_admin_enrollment_t *)->id, row->id) == 0)
            return 1;
    APR_ARRAY_PUSH(job->enrollments, mdm_admin_enrollment_t *) = admin_enrollment_copy(job->p, row);
    return 1;
}

static int note_certificate(void *baton, apr_pool_t *p, const mdm_admin_certificate_t *row)
{
    job_t *job = baton;

    (void)p;
    job->matches = 1;
    APR_ARRAY_PUSH(job->found, mdm_admin_certificate_t *) = admin_certificate_copy(job->p, row);
    return 1;
}

static int note_challenge(void *baton, apr_pool_t *p, const mdm_admin_challenge_t *row)
{
    job_t *job = baton;

    (void)p;
    if (row->pending && row->used_at > job->now - MDM_ADMIN_CLOCKS_DIFFER)
        job->pending = 1;
    return 1;
}

static mdm_result_t end_matched(job_t *job, int *changed)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; i < job->matched->nelts && r.kind == MDM_OK; i++) {
        int one = 0;
        r = mdm_admin_end(job->handle, job->p, APR_ARRAY_IDX(job->matched, i, const char *),
                          job->now, &one);
        *changed = *changed || one;
    }
    return r;
}

/* Who may still get a certificate recorded: asked before the certificates are read, so that one
 * which is recorded in between is seen. */
static mdm_result_t look_for_pending(job_t *job)
{
    mdm_result_t r = mdm_result_ok();

    job->pending = 0;
    for (int i = 0; i < job->matched->nelts && r.kind == MDM_OK; i++)
        r = mdm_admin_challenges(job->handle, job->p, APR_ARRAY_IDX(job->matched, i, const char *),
                                 note_challenge, job);
    return r;
}

static mdm_result_t revoke_found(job_t *job, int *changed)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; i < job->found->nelts && r.kind == MDM_OK; i++) {
        mdm_admin_certificate_t *one = APR_ARRAY_IDX(job->found, i, mdm_admin_certificate_t *);
        int won = job->options->dry_run;
        if (!job->options->dry_run)
            r = mdm_admin_revoke(job->handle, job->p, one->fingerprint, job->options->reason,
                                 job->now, &won);
        if (r.kind == MDM_OK && won) {
            if (!job->options->dry_run) {
                one->revoked_at = job->now;
                one->reason = job->options->reason;
            }
            APR_ARRAY_PUSH(job->certificates, mdm_admin_certificate_t *) = one;
            *changed = 1;
        }
    }
    return r;
}

/* The order leaves no hole: once an enrollment and its challenges are ended, only requests that
 * were past them before can have a certificate recorded, and those are seen as pending until they
 * have. */
static mdm_result_t pass(job_t *job, int *changed)
{
    mdm_admin_filter_t live = job->options->what;
    mdm_result_t r;

    *changed = 0;
    apr_array_clear(job->matched);
    apr_array_clear(job->found);
    r = mdm_admin_enrollments(job->handle, job->p, &job->options->what, job->now, note_enrollment,
                              job);
    if (r.kind == MDM_OK && !job->options->dry_run)
        r = end_matched(job, changed);
    if (r.kind == MDM_OK)
        r = look_for_pending(job);
    live.live = 1;
    if (r.kind == MDM_OK)
        r = mdm_admin_certificates(job->handle, job->p, &live, job->now - MDM_ADMIN_CLOCKS_DIFFER,
                                   note_certificate, job);
    if (r.kind == MDM_OK)
        r = revoke_found(job, changed);
    return r;
}

static mdm_result_t revoke_all(job_t *job)
{
    apr_time_t deadline = apr_time_now() + PATIENCE;
    mdm_result_t r;
    int changed;

    do {
        job->now = admin_now();
        r = pass(job, &changed);
        if (r.kind != MDM_OK || job->options->dry_run)
            return r;
        if (job->pending && !changed)
            apr_sleep(PAUSE);
    } while (changed || (job->pending && apr_time_now() < deadline));
    return r;
}

/* --- what is said --- */

static void say_enrollments(const job_t *job)
{
    int count = job->enrollments->nelts;

    for (int i = 0; i < count && i < SAY_ENROLLMENTS; i++) {
        const mdm_admin_enrollment_t *row =
            APR_ARRAY_IDX(job->enrollments, i, mdm_admin_enrollment_t *);
        admin_say("enrollment %s of %s%s%s, %s: %s", row->id, row->user,
                  *row->serial ? ", device " : "", row->serial, row->state,
                  job->options->dry_run ? "would be ended" : "ended");
    }
    if (count > SAY_ENROLLMENTS)
        admin_say("and %d more enrollments", count - SAY_ENROLLMENTS);
}

static void say_certificates(const job_t *job)
{
    static const char *const headings[] = {"CERTIFICATE", "PURPOSE",   "USER",
                                           "DEVICE",      "NOT AFTER", NULL};
    admin_table_t *table = admin_table_create(job->p, headings, 4);

    for (int i = 0; i < job->certificates->nelts; i++) {
        const mdm_admin_certificate_t *row =
            APR_ARRAY_IDX(job->certificates, i, mdm_admin_certificate_t *);
        const char *values[] = {row->serial, row->purpose, row->user, row->device_serial,
                                admin_time(job->p, row->not_after)};
        admin_table_row(table, job->p, values);
    }
    admin_table_end(table);
}

static void say_job(const job_t *job)
{
    say_enrollments(job);
    say_certificates(job);
    if (job->enrollments->nelts == 0 && job->certificates->nelts == 0)
        admin_say("nothing is left to revoke: all of it is revoked or over");
    else
        admin_say("%s %d certificate%s, reason %s",
                  job->options->dry_run ? "would revoke" : "revoked", job->certificates->nelts,
                  job->certificates->nelts == 1 ? "" : "s",
                  admin_reason_name(job->p, job->options->reason));
}

static void dump_job(const job_t *job)
{
    json_t *made = json_object(), *array = json_array();

    json_object_set_new(made, "dry_run", json_boolean(job->options->dry_run));
    json_object_set_new(made, "reason",
                        admin_json_text(admin_reason_name(job->p, job->options->reason)));
    for (int i = 0; i < job->enrollments->nelts; i++)
        json_array_append_new(
            array, admin_enrollment_json(
                       APR_ARRAY_IDX(job->enrollments, i, mdm_admin_enrollment_t *), job->now));
    json_object_set_new(made, "enrollments", array);
    array = json_array();
    for (int i = 0; i < job->certificates->nelts; i++)
        json_array_append_new(
            array,
            admin_certificate_json(
                job->p, APR_ARRAY_IDX(job->certificates, i, mdm_admin_certificate_t *), job->now));
    json_object_set_new(made, "certificates", array);
    admin_json_object(made);
}

/* --- the two ways --- */

static admin_result_t revoke_enrollments(job_t *job)
{
    const mdm_admin_filter_t *what = &job->options->what;
    const char *alike;
    mdm_result_t r = revoke_all(job);

    if (r.kind == MDM_OK && !job->matches)
        return admin_fail(job->p, ADMIN_NOTHING, "%s", admin_nothing(job->p, job->handle, what));
    /* Also after a failure: what was revoked is. */
    if (job->options->json)
        dump_job(job);
    else
        say_job(job);
    if (r.kind != MDM_OK)
        return admin_fail(job->p, ADMIN_DATABASE, "not all is revoked: %s", r.log);
    alike = what->user ? admin_users_alike(job->p, job->handle, what->user) : "";
    if (*alike != '\0')
        admin_warn("mdm-enroll-admin: user names count exactly; there is also: %s", alike);
    if (job->pending && !job->options->dry_run)
        admin_warn(
            "mdm-enroll-admin: a request for a certificate was under way and nothing came of "
            "it within %d s; run this once more to be sure",
            (int)apr_time_sec(PATIENCE));
    return admin_ok();
}

static admin_result_t ambiguous(const job_t *job)
{
    const char *list = "";

    for (int i = 0; i < job->found->nelts; i++) {
        const mdm_admin_certificate_t *one =
            APR_ARRAY_IDX(job->found, i, mdm_admin_certificate_t *);
        list = apr_psprintf(job->p, "%s%sissuer %s, fingerprint %s", list, i > 0 ? "; " : "",
                            *one->issuer ? one->issuer : "not known", one->fingerprint);
    }
    return admin_fail(job->p, ADMIN_USAGE,
                      "several issuers have a certificate with that serial number: say which by "
                      "--issuer or --fingerprint (%s)",
                      list);
}

static admin_result_t revoke_certificate(job_t *job)
{
    mdm_admin_filter_t others = {.live = 1};
    const mdm_admin_certificate_t *one;
    int changed = 0;
    mdm_result_t r = mdm_admin_certificates(job->handle, job->p, &job->options->what, job->now,
                                            note_certificate, job);

    if (r.kind == MDM_OK && job->found->nelts == 0)
        return admin_fail(job->p, ADMIN_NOTHING, "no such certificate");
    if (r.kind == MDM_OK && job->found->nelts > 1)
        return ambiguous(job);
    if (r.kind == MDM_OK &&
        APR_ARRAY_IDX(job->found, 0, mdm_admin_certificate_t *)->revoked_at == 0)
        r = revoke_found(job, &changed);
    if (r.kind != MDM_OK)
        return admin_of(job->p, ADMIN_DATABASE, r);
    one = APR_ARRAY_IDX(job->found, 0, mdm_admin_certificate_t *);
    if (job->options->json)
        dump_job(job);
    else if (!changed)
        admin_say("certificate %s was revoked %s: %s", one->serial,
                  one->revoked_at ? admin_time(job->p, one->revoked_at) : "just now by another",
                  admin_reason_name(job->p, one->reason));
    else
        say_job(job);
    others.enrollment = one->enrollment;
    apr_array_clear(job->found);
    r = mdm_admin_certificates(job->handle, job->p, &others, job->now, note_certificate, job);
    if (r.kind == MDM_OK && job->found->nelts > job->options->dry_run * changed)
        admin_warn("mdm-enroll-admin: its enrollment has %d more certificates that count, and may "
                   "go on; to end all of it: revoke --enrollment %s",
                   job->found->nelts - job->options->dry_run * changed, others.enrollment);
    return admin_of(job->p, ADMIN_DATABASE, r);
}

admin_result_t admin_revoke(apr_pool_t *p, mdm_dbd_handle_t *handle,
                            const admin_revoke_options_t *options)
{
    job_t job = {.p = p,
                 .handle = handle,
                 .options = options,
                 .now = admin_now(),
                 .matched = apr_array_make(p, 8, sizeof(const char *)),
                 .found = apr_array_make(p, 8, sizeof(mdm_admin_certificate_t *)),
                 .enrollments = apr_array_make(p, 8, sizeof(mdm_admin_enrollment_t *)),
                 .certificates = apr_array_make(p, 8, sizeof(mdm_admin_certificate_t *))};

    if (options->what.serial != NULL || options->what.fingerprint != NULL)
        return revoke_certificate(&job);
    return revoke_enrollments(&job);
}
