/* SPDX-License-Identifier: Apache-2.0
 * Telling a site of enrollments: what stands in the table notification is sent by a callback of
 * httpd's mod_watchdog, in one child at a time.
 */
#ifndef MDM_NOTIFIER_H
#define MDM_NOTIFIER_H

#include <httpd.h>

#include "conf.h"
#include "http_client.h"

/* What is not told by then is given up. Seconds after the event. */
#define MDM_NOTIFIER_GIVE_UP (7 * 24 * 60 * 60)

/* Whom to tell: a service, or a program. */
typedef struct mdm_notify_t {
    mdm_http_service_t service; /* url is NULL: the program */
    const char *secret;         /* key of the signature, for the service */
    const char *program;
    apr_interval_time_t timeout;
} mdm_notify_t;

/* 1 if this httpd has mod_watchdog. */
int mdm_notifier_possible(void);

/* In post_config: have what is stored for a site sent as its MDMEnrollNotify says, from when
 * site->notifier is started in a child. s is for log lines. 0 if mod_watchdog does not take it,
 * which is logged. */
int mdm_notifier_register(apr_pool_t *p, server_rec *s, mdm_site_t *site);

/* In child_init, before mod_watchdog starts its threads and when the site has its store; what is
 * under way when p ends is waited for, for at most about 2 s. */
void mdm_notifier_start_child(apr_pool_t *p, struct mdm_notifier_t *notifier);

#endif
