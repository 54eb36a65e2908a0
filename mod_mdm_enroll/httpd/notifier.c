/* SPDX-License-Identifier: Apache-2.0
 * The sender of notifications. Every notification is taken by compare-and-set until a time that is
 * later than any attempt can last, so that no two httpds or children send it at the same time, and
 * one whose sender died is due again by itself.
 *
 * It runs in mod_watchdog's thread, for which a child that ends does not wait in time: before it,
 * OpenSSL and everything else of the process is taken down. So the child's pool waits for it.
 */
#include "notifier.h"

#include <ap_mpm.h>
#include <apr_atomic.h>
#include <apr_optional.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <http_log.h>
#include <jansson.h>
#include <mod_watchdog.h>
#include <openssl/err.h>

#include "../core/mdm_notice.h"
#include "program.h"
#include "store_notification.h"
#include "surroundings.h"

APLOG_USE_MODULE(mdm_enroll);

/* How often the store is asked. */
#define INTERVAL apr_time_from_sec(1)

/* By how much the clocks of httpds that share a database may differ, in seconds. */
#define CLOCK_SKEW 5

/* The longest wait between two attempts, in seconds: it begins with 1 and doubles. */
#define LONGEST_WAIT (60 * 60)

/* How long an attempt goes on when httpd stops: httpd itself gets impatient after 3 s. */
#define GRACE apr_time_from_sec(1)

/* After a failure of the store; and between two warnings, whatever fails. */
#define STORE_REST apr_time_from_sec(10)
#define WARNING_REST apr_time_from_sec(60)

/* How often, and how late, what never came so far is deleted. */
#define SWEEP_REST apr_time_from_sec(60 * 60)
#define SWEEP_DELAY (60 * 60)

/* Used by the thread of one watchdog, but for the first. */
typedef struct mdm_notifier_t {
    apr_uint32_t stopping;    /* written by the thread that ends the process */
    apr_thread_mutex_t *work; /* held while there is anything under way; NULL: not started */
    server_rec *s;
    const mdm_site_t *site;
    apr_time_t end; /* of the attempt that is under way while httpd stops; 0: not yet */
    apr_time_t store_failed;
    apr_time_t warned;
    apr_time_t swept;
} mdm_notifier_t;

static const char *code(apr_pool_t *p, mdm_message_t message)
{
    return mdm_result_code(p, message);
}

static int stopping(mdm_notifier_t *n)
{
    int state;

    return apr_atomic_read32(&n->stopping) != 0 ||
           ap_mpm_query(AP_MPMQ_MPM_STATE, &state) != APR_SUCCESS || state == AP_MPMQ_STOPPING;
}

/* For what is under way. */
static int must_end(void *context)
{
    mdm_notifier_t *n = context;

    if (!stopping(n))
        return 0;
    if (n->end == 0)
        n->end = apr_time_now() + GRACE;
    return apr_time_now() >= n->end;
}

/* --- one attempt --- */

/* NULL, or why the service did not take it. */
static const char *post(mdm_notifier_t *n, apr_pool_t *p, const mdm_notification_t *row)
{
    const mdm_notify_t *notify = n->site->notify;
    const char *signature =
        mdm_notice_sign(p, notify->secret, strlen(notify->secret), mdm_clock_now(NULL), row->body);
    const char *headers[] = {NULL, NULL};
    const mdm_http_post_t what = {
        .headers = headers, .body = row->body, .stop = must_end, .context = n};
    mdm_http_answer_t answer;
    const char *why;

    if (!signature)
        return "it cannot be signed";
    headers[0] = apr_pstrcat(p, "MDM-Enroll-Signature: ", signature, NULL);
    why = mdm_http_client_post(p, &notify->service, &what, &answer);
    if (why || answer.status / 100 == 2)
        return why;
    return apr_psprintf(p, "answered with status %ld, wanted is 200 to 299%s", answer.status,
                        answer.status / 100 == 3 ? " (redirects are not followed)" : "");
}

/* The members of a body as a program's environment; NULL if it is none of ours. */
static const char *const *environment(apr_pool_t *p, const char *body)
{
    static const char *const names[][2] = {{"id", "MDM_NOTIFICATION="},
                                           {"event", "MDM_EVENT="},
                                           {"time", "MDM_TIME="},
                                           {"enrollment", "MDM_ENROLLMENT="},
                                           {"user", "MDM_USER="},
                                           {"udid", "MDM_UDID="},
                                           {"serial", "MDM_SERIAL="},
                                           {"product", "MDM_PRODUCT="},
                                           {"os_version", "MDM_OS_VERSION="}};
    const size_t count = sizeof(names) / sizeof(names[0]);
    const char **env = apr_pcalloc(p, (count + 1) * sizeof(*env));
    json_t *object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    size_t i;

    for (i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, names[i][0]);

        if (json_is_integer(value))
            env[i] =
                apr_psprintf(p, "%s%" JSON_INTEGER_FORMAT, names[i][1], json_integer_value(value));
        else if (json_is_string(value))
            env[i] = apr_pstrcat(p, names[i][1], json_string_value(value), NULL);
        else
            break;
    }
    json_decref(object);
    return i == count ? env : NULL;
}

static const char *run(mdm_notifier_t *n, apr_pool_t *p, const mdm_notification_t *row)
{
    const mdm_program_t program = {.path = n->site->notify->program,
                                   .timeout = n->site->notify->timeout,
                                   .env = environment(p, row->body),
                                   .stop = must_end,
                                   .context = n};

    return program.env ? mdm_program_run(p, &program, NULL, NULL)
                       : "cannot be told: the row was not written by this module";
}

/* Whom it is told, for log lines: what may be secret in a URL is behind its "?". */
static const char *target(const mdm_notifier_t *n, apr_pool_t *p)
{
    const char *url = n->site->notify->service.url;

    return url ? apr_pstrmemdup(p, url, strcspn(url, "?")) : n->site->notify->program;
}

/* --- what becomes of it --- */

/* A store that fails is told once until it is well again. */
static int store_is_well(mdm_notifier_t *n, apr_pool_t *p, mdm_result_t r)
{
    if (r.kind == MDM_OK) {
        n->store_failed = 0;
        return 1;
    }
    ap_log_error(APLOG_MARK, n->store_failed ? APLOG_DEBUG : APLOG_ERR, 0, n->s,
                 "%s: what the site is to be told waits: %s", code(p, r.message), r.log);
    n->store_failed = apr_time_now();
    return 0;
}

/* The first failure of each, and of each process, but not one after the other: where one who is
 * told cannot be reached, thousands may wait. */
static int worth_a_warning(mdm_notifier_t *n, const mdm_notification_t *row)
{
    apr_time_t now = apr_time_now();

    if ((row->tries > 0 && n->warned != 0) || (n->warned != 0 && now - n->warned < WARNING_REST))
        return 0;
    n->warned = now;
    return 1;
}

static mdm_result_t give_up(mdm_notifier_t *n, apr_pool_t *p, const mdm_notification_t *row,
                            const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, n->s,
                 "%s: %s was never told of enrollment %s (%s), and will not be: %d attempts in "
                 "%" APR_INT64_T_FMT " days, the last one: %s",
                 code(p, MDM_MSG_NOTIFY_GIVEN_UP), target(n, p), row->enrollment, row->event,
                 row->tries + 1, (mdm_clock_now(NULL) - row->created_at) / (24 * 60 * 60), why);
    return mdm_store_notification_delete(n->site->store->context, p, row->id);
}

static mdm_result_t try_later(mdm_notifier_t *n, apr_pool_t *p, const mdm_notification_t *row,
                              apr_int64_t until, const char *why)
{
    apr_int64_t wait = row->tries < 12 ? (apr_int64_t)1 << row->tries : LONGEST_WAIT;
    int level = worth_a_warning(n, row) ? APLOG_WARNING : APLOG_INFO;
    int won;

    wait = wait > LONGEST_WAIT ? LONGEST_WAIT : wait;
    ap_log_error(
        APLOG_MARK, level, 0, n->s,
        "%s: %s could not be told of enrollment %s (%s): %s; tried again in %" APR_INT64_T_FMT " s",
        code(p, MDM_MSG_NOTIFY_FAILED), target(n, p), row->enrollment, row->event, why, wait);
    return mdm_store_notification_postpone(n->site->store->context, p, row->id, until,
                                           mdm_clock_now(NULL) + wait, &won);
}

static mdm_result_t settle(mdm_notifier_t *n, apr_pool_t *p, const mdm_notification_t *row,
                           apr_int64_t until, const char *why)
{
    int won;

    if (!why) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, n->s, "%s was told of enrollment %s (%s)",
                     target(n, p), row->enrollment, row->event);
        return mdm_store_notification_delete(n->site->store->context, p, row->id);
    }
    if (stopping(n)) /* the next process tries at once */
        return mdm_store_notification_postpone(n->site->store->context, p, row->id, until,
                                               mdm_clock_now(NULL), &won);
    if (mdm_clock_now(NULL) - row->created_at >= MDM_NOTIFIER_GIVE_UP)
        return give_up(n, p, row, why);
    return try_later(n, p, row, until, why);
}

/* --- the callback --- */

/* The one that is due first. 0 if there is none, or the store fails. */
static int tell_next(mdm_notifier_t *n, apr_pool_t *p)
{
    const mdm_notify_t *notify = n->site->notify;
    mdm_dbd_pool_t *pool = n->site->store->context;
    apr_int64_t now = mdm_clock_now(NULL);
    apr_int64_t until = now + apr_time_sec(notify->timeout) + 1 + CLOCK_SKEW;
    mdm_notification_t *row;
    int won = 0;

    if (!store_is_well(n, p, mdm_store_notification_next(pool, p, n->site->identity, now, &row)) ||
        !row || !store_is_well(n, p, mdm_store_notification_claim(pool, p, row, until, &won)))
        return 0;
    if (!won)
        return 1;
    return store_is_well(
        n, p, settle(n, p, row, until, notify->service.url ? post(n, p, row) : run(n, p, row)));
}

static void sweep(mdm_notifier_t *n, apr_pool_t *p)
{
    apr_time_t now = apr_time_now();

    if (n->swept != 0 && now - n->swept < SWEEP_REST)
        return;
    n->swept = now;
    store_is_well(n, p,
                  mdm_store_notification_sweep(n->site->store->context, p, n->site->identity,
                                               mdm_clock_now(NULL) - SWEEP_DELAY));
}

static apr_status_t call(int state, void *data, apr_pool_t *p)
{
    mdm_notifier_t *n = data;
    apr_pool_t *one;
    int more = 1;

    if (state != AP_WATCHDOG_STATE_RUNNING || !n->work ||
        (n->store_failed != 0 && apr_time_now() - n->store_failed < STORE_REST))
        return APR_SUCCESS;
    apr_thread_mutex_lock(n->work);
    if (!stopping(n)) {
        apr_pool_create(&one, p);
        sweep(n, one);
        while (more && !stopping(n)) {
            apr_pool_clear(one);
            more = tell_next(n, one);
        }
        apr_pool_destroy(one);
        ERR_clear_error(); /* libpq's TLS */
    }
    apr_thread_mutex_unlock(n->work);
    return APR_SUCCESS;
}

/* From here on nothing is begun, and nothing is under way. */
static apr_status_t end_child(void *data)
{
    mdm_notifier_t *n = data;

    apr_atomic_set32(&n->stopping, 1);
    apr_thread_mutex_lock(n->work);
    apr_thread_mutex_unlock(n->work);
    return APR_SUCCESS;
}

void mdm_notifier_start_child(apr_pool_t *p, mdm_notifier_t *n)
{
    /* The thread may look at it once more when p has ended. */
    if (apr_thread_mutex_create(&n->work, APR_THREAD_MUTEX_DEFAULT, n->s->process->pool) ==
        APR_SUCCESS)
        apr_pool_pre_cleanup_register(p, n, end_child);
    else
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, n->s, "%s: nobody is told: no mutex",
                     code(p, MDM_MSG_NOTIFY_FAILED));
}

int mdm_notifier_possible(void)
{
    return APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance) != NULL &&
           APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback) != NULL;
}

/* A watchdog of its own for each: where one that is told is slow, others are told for all that. */
int mdm_notifier_register(apr_pool_t *p, server_rec *s, mdm_site_t *site)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    const char *name = apr_psprintf(p, "_mdm_enroll_%pp_", site);
    mdm_notifier_t *n = apr_pcalloc(p, sizeof(*n));
    ap_watchdog_t *watchdog = NULL;
    apr_status_t rv;

    n->s = s;
    n->site = site;
    site->notifier = n;
    rv = get(&watchdog, name, 0, 1, p);
    if (rv == APR_SUCCESS)
        rv = add(watchdog, INTERVAL, n, call);
    if (rv != APR_SUCCESS)
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, rv, NULL,
                     "%s: %s: mod_watchdog does not take what MDMEnrollNotify needs",
                     code(p, MDM_MSG_CONFIGURATION), mdm_conf_vhost_name(p, s));
    return rv == APR_SUCCESS;
}
