/* SPDX-License-Identifier: Apache-2.0
 * HTTP for the endpoints: request bodies, replies, refusals, variables for LogFormat. Safe with
 * keep-alive and with HTTP/2.
 */
#ifndef MDM_HTTP_H
#define MDM_HTTP_H

#include <httpd.h>

#include "../core/mdm_device.h"
#include "../core/mdm_result.h"

/* How much of a body that nobody wants is read all the same, in bytes: a reply sent before the end
 * of the body is lost on HTTP/2, and costs the connection on HTTP/1.1. */
#define MDM_HTTP_DRAIN_BYTES (8 * 1024 * 1024)

/* Seconds after which a client may ask again when store or directory are out of reach. */
#define MDM_HTTP_RETRY_AFTER "5"

/* Read the whole request body, 1 to max bytes; it is allocated in r->pool and NUL-terminated behind
 * its *len bytes. Returns OK, or what the handler is to return: the refusal is logged already. */
int mdm_http_read(request_rec *r, apr_size_t max, const char **body, apr_size_t *len);

/* Read and drop what remains of the request body, up to MDM_HTTP_DRAIN_BYTES. */
void mdm_http_drain(request_rec *r);

/* Answer with r->status, 200 unless it was set. type must outlive the request. Returns what the
 * handler is to return. */
int mdm_http_send(request_rec *r, const char *type, const char *body, apr_size_t len);

/* Log a refusal, drain the body and answer: 403 with JSON, the only form that Apple devices show to
 * their user, or 404 with JSON for a device that is not known; every other status by way of
 * ErrorDocument. Returns what the handler is to return. */
int mdm_http_refuse(request_rec *r, mdm_result_t result);

/* The same for a browser: 403 is httpd's own page with the text in it, or ErrorDocument. */
int mdm_http_refuse_page(request_rec *r, mdm_result_t result);

/* Log and answer 405, with the methods (M_GET, M_POST) that would have been right; -1 for no second
 * one. */
int mdm_http_not_allowed(request_rec *r, int method, int other_method);

/* Set a variable for expressions, LogFormat's %{…}e and %{…}n and CGI-like consumers; NULL and ""
 * unset it, so that none is ever left from the configuration or from another step. name is not
 * copied. */
void mdm_http_variable(request_rec *r, const char *name, const char *value);

/* MDM_UDID, MDM_SERIAL, MDM_PRODUCT and MDM_OS_VERSION of a device; unset if it is NULL. */
void mdm_http_device(request_rec *r, const mdm_device_t *device);

#endif
