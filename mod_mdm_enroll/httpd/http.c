/* SPDX-License-Identifier: Apache-2.0
 * Request bodies, replies, refusals.
 */
/* Before APR's headers: their rings use offsetof only if it is known by then. */
#include <stddef.h>

#include "http.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <jansson.h>
#include <util_filter.h>

#include "log.h"

APLOG_USE_MODULE(mdm_enroll);

void mdm_http_variable(request_rec *r, const char *name, const char *value)
{
    if (value && *value) {
        apr_table_setn(r->subprocess_env, name, value);
        apr_table_setn(r->notes, name, value);
    } else {
        apr_table_unset(r->subprocess_env, name);
        apr_table_unset(r->notes, name);
    }
}

void mdm_http_device(request_rec *r, const mdm_device_t *device)
{
    mdm_http_variable(r, "MDM_UDID", device ? device->udid : NULL);
    mdm_http_variable(r, "MDM_SERIAL", device ? device->serial : NULL);
    mdm_http_variable(r, "MDM_PRODUCT", device ? device->product : NULL);
    mdm_http_variable(r, "MDM_OS_VERSION", device ? device->os_version : NULL);
}

/* Take up to limit bytes of the body, keeping the first max of them in buffer; *total counts all.
 * Stops at the end of the body or at the bucket that passes the limit. */
static apr_status_t take(request_rec *r, char *buffer, apr_size_t max, apr_size_t limit,
                         apr_size_t *total)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;
    int ended = 0;

    *total = 0;
    while (!ended && *total <= limit) {
        apr_bucket *b;

        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                            HUGE_STRING_LEN);
        if (rv != APR_SUCCESS)
            break;
        for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
            const char *data;
            apr_size_t n;

            if (APR_BUCKET_IS_EOS(b)) {
                ended = 1;
                break;
            }
            if (APR_BUCKET_IS_METADATA(b))
                continue;
            rv = apr_bucket_read(b, &data, &n, APR_BLOCK_READ);
            if (rv != APR_SUCCESS)
                goto out;
            if (*total < max)
                memcpy(buffer + *total, data, n < max - *total ? n : max - *total);
            *total += n;
        }
        apr_brigade_cleanup(bb);
    }
out:
    apr_brigade_destroy(bb);
    return rv;
}

void mdm_http_drain(request_rec *r)
{
    apr_size_t total;

    /* Who waits for "100 Continue" has sent nothing, and reading would invite it. */
    if (!r->expecting_100)
        take(r, NULL, 0, MDM_HTTP_DRAIN_BYTES, &total);
}

/* The log line, and the variable; returns the message id. */
static const char *tell(request_rec *r, const mdm_result_t *result)
{
    const char *code = mdm_result_code(r->pool, result->message);

    mdm_http_variable(r, "MDM_RESULT", code);
    mdm_log_result(r, result);
    return code;
}

static int refuse_long(request_rec *r, apr_size_t max)
{
    return mdm_http_refuse(r, mdm_result_make(r->pool, MDM_MSG_HTTP_BODY_TOO_LARGE,
                                              "the request body is longer than %" APR_SIZE_T_FMT
                                              " bytes, the most that %s takes",
                                              max, r->uri));
}

/* The status is httpd's own choice: a time-out is 408, LimitRequestBody is 413, and AP_FILTER_ERROR
 * means that the answer has been sent. */
static int refuse_unread(request_rec *r, apr_status_t rv)
{
    int status = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
    mdm_message_t message = status == HTTP_REQUEST_ENTITY_TOO_LARGE ? MDM_MSG_HTTP_BODY_TOO_LARGE
                                                                    : MDM_MSG_HTTP_BODY_READ;
    char reason[128];
    mdm_result_t result =
        mdm_result_make(r->pool, message, "the request body did not arrive whole: %s",
                        rv == AP_FILTER_ERROR ? "a filter has answered already"
                                              : apr_strerror(rv, reason, sizeof(reason)));

    tell(r, &result);
    return status;
}

int mdm_http_read(request_rec *r, apr_size_t max, const char **body, apr_size_t *len)
{
    const char *announced = apr_table_get(r->headers_in, "Content-Length");
    char *buffer;
    apr_size_t total;
    apr_status_t rv;

    if (r->expecting_100 && announced && apr_atoi64(announced) > (apr_int64_t)max)
        return refuse_long(r, max);
    buffer = apr_palloc(r->pool, max + 1);
    rv = take(r, buffer, max, max, &total);
    if (total > max)
        return refuse_long(r, max);
    if (rv != APR_SUCCESS)
        return refuse_unread(r, rv);
    if (total == 0)
        return mdm_http_refuse(r, mdm_result_make(r->pool, MDM_MSG_HTTP_BODY_EMPTY,
                                                  "the request has no body, %s wants a message",
                                                  r->uri));
    buffer[total] = '\0';
    *body = buffer;
    *len = total;
    return OK;
}

int mdm_http_send(request_rec *r, const char *type, const char *body, apr_size_t len)
{
    /* Each answer is made for this request: a part of it is no good with a part of the next. */
    apr_table_unset(r->headers_in, "Range");
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)len);
    if (ap_rwrite(body, (int)len, r) < 0)
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "the client did not wait for its answer");
    return OK;
}

/* Returning OK, not HTTP_FORBIDDEN, keeps ErrorDocument from replacing what the device shows. */
static int send_json(request_rec *r, int status, const char *code, const char *message)
{
    json_t *object = json_pack("{s:s, s:s}", "code", code, "message", message);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    const char *body = text ? apr_pstrdup(r->pool, text) : NULL;

    json_decref(object);
    free(text);
    if (!body)
        return status;
    r->status = status;
    return mdm_http_send(r, "application/json", body, strlen(body));
}

/* What httpd's own page of an error says. */
static int forbid(request_rec *r, const char *message)
{
    apr_table_setn(r->notes, "verbose-error-to", "*");
    apr_table_setn(r->notes, "error-notes",
                   apr_pstrcat(r->pool, "<br />\n", ap_escape_html(r->pool, message), NULL));
    return HTTP_FORBIDDEN;
}

/* The status of a result that no person reads. */
static int status_of(request_rec *r, const mdm_result_t *result)
{
    switch (result->kind) {
    case MDM_MALFORMED:
        return HTTP_BAD_REQUEST;
    case MDM_TOO_LARGE:
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    case MDM_UNAVAILABLE:
        apr_table_setn(r->err_headers_out, "Retry-After", MDM_HTTP_RETRY_AFTER);
        return HTTP_SERVICE_UNAVAILABLE;
    default:
        return HTTP_INTERNAL_SERVER_ERROR;
    }
}

int mdm_http_refuse(request_rec *r, mdm_result_t result)
{
    const char *code = tell(r, &result);

    mdm_http_drain(r);
    if (result.kind != MDM_REFUSED)
        return status_of(r, &result);
    return send_json(r, result.message == MDM_MSG_UPDATE_UNKNOWN ? HTTP_NOT_FOUND : HTTP_FORBIDDEN,
                     code, result.user);
}

int mdm_http_refuse_page(request_rec *r, mdm_result_t result)
{
    tell(r, &result);
    mdm_http_drain(r);
    return result.kind == MDM_REFUSED ? forbid(r, result.user) : status_of(r, &result);
}

int mdm_http_not_allowed(request_rec *r, int method, int other_method)
{
    mdm_result_t result =
        mdm_result_make(r->pool, MDM_MSG_HTTP_METHOD, "%s of %s", r->method, r->uri);

    tell(r, &result);
    mdm_http_drain(r);
    ap_allow_standard_methods(r, REPLACE_ALLOW, method, other_method, -1);
    return HTTP_METHOD_NOT_ALLOWED;
}
