/* SPDX-License-Identifier: Apache-2.0
 * Where the challenges of a foreign SCEP server come from: core's mdm_challenge_source_t as a fixed
 * text, as a program that is run, and as an HTTP service that is asked. Depends on
 * http_client, program and jansson.
 */
#ifndef MDM_CHALLENGE_SOURCE_H
#define MDM_CHALLENGE_SOURCE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "../core/mdm_identity.h"
#include "http_client.h"

/* Longest output of a program, and longest body of an answer, in bytes. */
#define MDM_CHALLENGE_MAX_BYTES 4096

/* How many programs and services one process waits for at one time. More are refused at once: a
 * source that hangs must not hold every thread of the server. */
#define MDM_CHALLENGE_MAX_ASKED 16

/* All are made once at start, in p, and used by all threads. Texts must live as long. */

/* The same for every device. */
const mdm_challenge_source_t *mdm_challenge_text(apr_pool_t *p, const char *challenge);

/* The first line that a program prints. It is run by its path, without a shell, without arguments,
 * as the user that httpd's children run as, with the device in its environment (MDM_ENROLLMENT,
 * MDM_USER, MDM_UDID, MDM_SERIAL, MDM_PRODUCT, MDM_PURPOSE, beside PATH), no standard input, and
 * httpd's standard error. It must end with status 0 and close its output within timeout; then, or
 * when it prints too much, it and the process group it leads are killed. Every program is waited
 * for. */
const mdm_challenge_source_t *mdm_challenge_exec(apr_pool_t *p, const char *path,
                                                 apr_interval_time_t timeout);

/* What a service answers to a POST of {"enrollment", "user", "udid", "serial", "product",
 * "purpose"}: status 200 and {"challenge": "…"} as application/json, or the challenge as the first
 * line of anything else. Redirects are not followed, proxies of the environment not used. */
const mdm_challenge_source_t *mdm_challenge_hook(apr_pool_t *p, const mdm_http_service_t *service);

/* For the sources: one more is being asked, or MDM_MSG_CHALLENGE_SOURCE if there are too many; and
 * it is over. */
mdm_result_t mdm_challenge_begin(apr_pool_t *p);
void mdm_challenge_end(void);

/* For the sources: the first line of len bytes, in p; NULL if it is no challenge. */
const char *mdm_challenge_first_line(apr_pool_t *p, const char *bytes, apr_size_t len);

#endif
