/* SPDX-License-Identifier: Apache-2.0
 * What the module asks or tells an HTTP service of the site: one POST, by libcurl. Depends on APR
 * and libcurl; no httpd header, so that unit tests can link it.
 */
#ifndef MDM_HTTP_CLIENT_H
#define MDM_HTTP_CLIENT_H

#include <apr_pools.h>
#include <apr_time.h>

/* A service. Texts must live as long as it is used. */
typedef struct mdm_http_service_t {
    const char *url;             /* https, or http on loopback */
    const char *token;           /* sent as "Authorization: Bearer …"; or NULL */
    const char *ca_file;         /* whose CAs alone its certificate may be of; NULL: the system's */
    apr_interval_time_t timeout; /* for everything together */
} mdm_http_service_t;

/* One POST. headers are further ones, "Name: value", up to a NULL. body is text. */
typedef struct mdm_http_post_t {
    const char *const *headers;
    const char *body;
    apr_size_t most; /* the longest answer that is taken, in bytes; 0: no matter what it is */
    /* Asked about once a second; anything but 0 ends it. Or NULL. */
    int (*stop)(void *context);
    void *context;
} mdm_http_post_t;

/* bytes are not terminated, and none where any answer was taken. type is never NULL. */
typedef struct mdm_http_answer_t {
    long status;
    const char *type;
    const char *bytes;
    apr_size_t len;
} mdm_http_answer_t;

/* Once in each process that posts, before it has threads. 0 if libcurl cannot be started. */
int mdm_http_client_start_process(void);

/* NULL, and *answer in p, whatever its status is; or why there is none, for a log line: the service
 * and the token are not in it. A certificate is verified, redirects are not followed, and proxies
 * of the environment are not used. */
const char *mdm_http_client_post(apr_pool_t *p, const mdm_http_service_t *service,
                                 const mdm_http_post_t *post, mdm_http_answer_t *answer);

#endif
