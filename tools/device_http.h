/* SPDX-License-Identifier: Apache-2.0
 * HTTP as a device speaks it: TLS always verified, no cookies and no credentials but for the login
 * of phase 1, connections kept. Depends on libcurl, jansson and device_report.
 */
#ifndef DEVICE_HTTP_H
#define DEVICE_HTTP_H

#include <apr_pools.h>

#include "device_report.h"

/* One connection cache; lives as long as the pool it was made in. */
typedef struct device_http_t device_http_t;

/* Longest answer that is read, in bytes, and how long a device waits for it, in seconds. */
#define DEVICE_HTTP_MAX_BYTES (4 * 1024 * 1024)
#define DEVICE_HTTP_TIMEOUT 45

/* An answer. Texts and body are allocated in the pool given to the request; body has a NUL behind
 * its len bytes. */
typedef struct device_reply_t {
    long status;
    const char *content_type; /* the header as it came, parameters included; "" if there was none */
    const char *body;
    apr_size_t len;
    const char *url; /* where the answer came from, after redirects; without credentials */
    long redirects;  /* how many */
    int wants_basic; /* it was refused, and HTTP Basic would be taken */
} device_reply_t;

/* ca_file: PEM certificates trusted instead of the system's, or NULL. */
device_result_t device_http_create(apr_pool_t *p, const char *ca_file, device_http_t **http);

/* From here on, present this certificate wherever a server asks for one: PEM files. */
void device_http_identity(device_http_t *http, const char *cert_file, const char *key_file);

/* Both follow redirects as URL sessions do (307 and 308 keep the method, others become GET).
 * DEVICE_NETWORK if there was no answer; any status is DEVICE_OK. */
device_result_t device_http_get(device_http_t *http, apr_pool_t *p, const char *url,
                                device_reply_t *reply);
device_result_t device_http_post(device_http_t *http, apr_pool_t *p, const char *url,
                                 const char *content_type, const void *body, apr_size_t len,
                                 device_reply_t *reply);

/* Get url as an authenticated user: by HTTP Basic, or by the form of mod_auth_form (httpd_username,
 * httpd_password, posted to url, with cookies for this call only). */
device_result_t device_http_login(device_http_t *http, apr_pool_t *p, const char *url,
                                  const char *user, const char *password, int form,
                                  device_reply_t *reply);

/* url with its query and fragment thrown away and "?" query put behind it, as Apple's SCEP client
 * does; value is escaped and put behind query, or NULL. */
device_result_t device_http_set_query(apr_pool_t *p, const char *url, const char *query,
                                      const char *value, const char **with_query);

/* DEVICE_OK for 200; otherwise what a device would make of the answer: the message of a 403 in
 * JSON, or nothing better than a general failure. */
device_result_t device_http_expect_ok(apr_pool_t *p, const device_reply_t *reply);

/* The same for phase 1, which takes place in a browser: that shows any page. */
device_result_t device_http_expect_page(apr_pool_t *p, const device_reply_t *reply);

/* DEVICE_OK if the Content-Type is exactly this one. */
device_result_t device_http_expect_type(apr_pool_t *p, const device_reply_t *reply,
                                        const char *content_type);

#endif
