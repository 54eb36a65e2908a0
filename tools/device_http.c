/* SPDX-License-Identifier: Apache-2.0
 * HTTP as a device speaks it, on one reused libcurl handle. Depends on libcurl, jansson and
 * device_report.
 */
#include "device_http.h"

#include <apr_strings.h>
#include <curl/curl.h>
#include <jansson.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define PROFILE_TYPE "application/x-apple-aspen-config"
#define FORM_TYPE "application/x-www-form-urlencoded"

struct device_http_t {
    CURL *curl;
    const char *ca_file;
    const char *cert_file; /* NULL: none is presented */
    const char *key_file;
};

/* The body as it arrives; grown by doubling, so that a long answer costs no quadratic copying. */
typedef struct buffer_t {
    apr_pool_t *pool;
    char *bytes;
    apr_size_t len;
    apr_size_t size;
} buffer_t;

typedef struct request_t {
    const char *url;
    const char *content_type; /* NULL: GET */
    const void *body;
    apr_size_t len;
    const char *user; /* NULL: none */
    const char *password;
} request_t;

static apr_status_t http_cleanup(void *data)
{
    device_http_t *http = data;

    curl_easy_cleanup(http->curl);
    curl_global_cleanup();
    return APR_SUCCESS;
}

device_result_t device_http_create(apr_pool_t *p, const char *ca_file, device_http_t **http)
{
    device_http_t *made = apr_pcalloc(p, sizeof(*made));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return device_fail(p, DEVICE_LOCAL, "libcurl cannot be started");
    made->curl = curl_easy_init();
    if (made->curl == NULL) {
        curl_global_cleanup();
        return device_fail(p, DEVICE_LOCAL, "libcurl cannot be started");
    }
    apr_pool_cleanup_register(p, made, http_cleanup, apr_pool_cleanup_null);
    made->ca_file = ca_file;
    *http = made;
    return device_ok();
}

void device_http_identity(device_http_t *http, const char *cert_file, const char *key_file)
{
    http->cert_file = cert_file;
    http->key_file = key_file;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    buffer_t *buffer = context;
    apr_size_t len = size * count;

    if (len > DEVICE_HTTP_MAX_BYTES - buffer->len)
        return 0; /* libcurl takes that for an error: CURLE_WRITE_ERROR */
    if (buffer->len + len + 1 > buffer->size) {
        apr_size_t wanted = 2 * (buffer->len + len) + 4096;
        char *grown = apr_palloc(buffer->pool, wanted);
        if (buffer->len > 0)
            memcpy(grown, buffer->bytes, buffer->len);
        buffer->bytes = grown;
        buffer->size = wanted;
    }
    memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
    buffer->bytes[buffer->len] = '\0';
    return len;
}

static device_result_t network_failure(apr_pool_t *p, const char *url, CURLcode code,
                                       const char *detail)
{
    const char *text = detail[0] != '\0' ? detail : curl_easy_strerror(code);

    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return device_fail(p, DEVICE_NETWORK,
                           "%s: the server's TLS certificate is not trusted: %s (--ca names a file "
                           "of trusted certificates)",
                           url, text);
    }
    if (code == CURLE_WRITE_ERROR) {
        return device_fail(p, DEVICE_UNACCEPTABLE, "%s: the answer is longer than %d bytes", url,
                           DEVICE_HTTP_MAX_BYTES);
    }
    if (code == CURLE_SSL_CACERT_BADFILE)
        return device_fail(p, DEVICE_LOCAL, "%s", text);
    return device_fail(p, DEVICE_NETWORK, "%s: %s", url, text);
}

static void set_options(device_http_t *http, const request_t *request, buffer_t *buffer,
                        char *detail)
{
    CURL *curl = http->curl;

    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mdm-device/" MDM_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)DEVICE_HTTP_TIMEOUT);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, buffer);
    if (http->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* else the system's stay trusted beside */
    }
    curl_easy_setopt(curl, CURLOPT_SSLCERT, http->cert_file);
    curl_easy_setopt(curl, CURLOPT_SSLKEY, http->key_file);
    /* every option is set for every request: curl_easy_reset() would leak the cookie engine's file
     * list, and nothing of the request before may stay */
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, request->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, request->password);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
    curl_easy_setopt(curl, request->content_type != NULL ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
}

/* libcurl's own account of where it went has the name and the password in it. */
static const char *without_credentials(apr_pool_t *p, const char *url)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    const char *copy = "(a URL that cannot be shown)";

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = apr_pstrdup(p, text);
    curl_free(text);
    curl_url_cleanup(parts);
    return copy;
}

static device_result_t perform(device_http_t *http, apr_pool_t *p, const request_t *request,
                               device_reply_t *reply)
{
    char detail[CURL_ERROR_SIZE] = "";
    buffer_t buffer = {p, apr_pstrdup(p, ""), 0, 1};
    struct curl_slist *headers = NULL;
    const char *type = NULL, *url = NULL;
    long schemes = 0;

    set_options(http, request, &buffer, detail);
    if (request->content_type != NULL) {
        headers =
            curl_slist_append(NULL, apr_pstrcat(p, "Content-Type: ", request->content_type, NULL));
    }
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(http->curl);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return network_failure(p, request->url, code, detail);
    memset(reply, 0, sizeof(*reply));
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_easy_getinfo(http->curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(http->curl, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_COUNT, &reply->redirects);
    reply->content_type = type != NULL ? apr_pstrdup(p, type) : "";
    reply->url = without_credentials(p, url != NULL ? url : request->url);
    curl_easy_getinfo(http->curl, CURLINFO_HTTPAUTH_AVAIL, &schemes);
    reply->wants_basic = (schemes & (long)CURLAUTH_BASIC) != 0;
    reply->body = buffer.bytes;
    reply->len = buffer.len;
    return device_ok();
}

device_result_t device_http_get(device_http_t *http, apr_pool_t *p, const char *url,
                                device_reply_t *reply)
{
    request_t request = {.url = url};

    return perform(http, p, &request, reply);
}

device_result_t device_http_post(device_http_t *http, apr_pool_t *p, const char *url,
                                 const char *content_type, const void *body, apr_size_t len,
                                 device_reply_t *reply)
{
    request_t request = {.url = url, .content_type = content_type, .body = body, .len = len};

    return perform(http, p, &request, reply);
}

static const char *escaped(apr_pool_t *p, const char *text)
{
    char *bytes = curl_easy_escape(NULL, text, 0);
    const char *copy = bytes != NULL ? apr_pstrdup(p, bytes) : NULL;

    curl_free(bytes);
    return copy;
}

/* As a browser would: it looks first; cookies are kept within it. */
static device_result_t login_form(device_http_t *browser, apr_pool_t *p, const char *url,
                                  const char *user, const char *password, device_reply_t *reply)
{
    const char *name = escaped(p, user), *secret = escaped(p, password);

    if (name == NULL || secret == NULL)
        return device_fail(p, DEVICE_LOCAL, "out of memory");
    const char *body =
        apr_pstrcat(p, "httpd_username=", name, "&httpd_password=", secret, (char *)NULL);
    device_result_t r = device_http_get(browser, p, url, reply);
    if (r.exit != DEVICE_OK || (reply->status == 401 && reply->wants_basic))
        return r;
    r = device_http_post(browser, p, url, FORM_TYPE, body, strlen(body), reply);
    if (r.exit != DEVICE_OK || reply->status == 401 || reply->status == 403 ||
        strcmp(reply->content_type, PROFILE_TYPE) == 0)
        return r;

    /* mod_auth_form may answer with a page of its own: the session cookie opens the door now */
    r = device_http_get(browser, p, url, reply);
    if (r.exit == DEVICE_OK && reply->redirects > 0 && strcmp(reply->url, url) != 0 &&
        strcmp(reply->content_type, PROFILE_TYPE) != 0) {
        return device_fail(p, DEVICE_REFUSED,
                           "the server sends the user back to its login page, %s: user name or "
                           "password are not accepted",
                           reply->url);
    }
    return r;
}

device_result_t device_http_login(device_http_t *http, apr_pool_t *p, const char *url,
                                  const char *user, const char *password, int form,
                                  device_reply_t *reply)
{
    request_t request = {.url = url, .user = user, .password = password};
    device_result_t r;

    if (form) {
        /* a handle of its own: a device's requests never see a browser's cookies */
        device_http_t browser = {.curl = curl_easy_init(), .ca_file = http->ca_file};
        if (browser.curl == NULL)
            return device_fail(p, DEVICE_LOCAL, "libcurl cannot be started");
        curl_easy_setopt(browser.curl, CURLOPT_COOKIEFILE, "");
        r = login_form(&browser, p, url, user, password, reply);
        curl_easy_cleanup(browser.curl);
    } else {
        r = perform(http, p, &request, reply);
    }
    if (r.exit != DEVICE_OK)
        return r;
    if (reply->status == 401 && form && reply->wants_basic)
        return device_fail(p, DEVICE_REFUSED,
                           "401: this server asks by HTTP Basic and has no form to sign in with; "
                           "leave out --form");
    if (reply->status == 401)
        return device_fail(p, DEVICE_REFUSED, "401: user name or password are not accepted");
    if (!form && reply->status == 200 && reply->redirects > 0 &&
        strcmp(reply->content_type, PROFILE_TYPE) != 0)
        return device_fail(p, DEVICE_REFUSED,
                           "the server answers with another page, %s; if that is its page to sign "
                           "in, add --form",
                           reply->url);
    return r;
}

device_result_t device_http_set_query(apr_pool_t *p, const char *url, const char *query,
                                      const char *value, const char **with_query)
{
    const char *tail = value != NULL ? escaped(p, value) : "";

    if (tail == NULL)
        return device_fail(p, DEVICE_LOCAL, "out of memory");
    *with_query =
        apr_pstrcat(p, apr_pstrmemdup(p, url, strcspn(url, "?#")), "?", query, tail, (char *)NULL);
    return device_ok();
}

/* 403 with {"code": …, "message": …}: the only refusal that a device puts into words. */
static device_result_t refusal(apr_pool_t *p, const device_reply_t *reply)
{
    json_error_t error;
    const char *code = NULL, *message = NULL;

    if (strcmp(reply->content_type, JSON_TYPE) != 0) {
        return device_fail(p, DEVICE_REFUSED,
                           "403 with Content-Type \"%s\": the device would show a general error "
                           "(only \"" JSON_TYPE "\" is read)",
                           reply->content_type);
    }
    json_t *json = json_loadb(reply->body, reply->len, 0, &error);
    if (json == NULL || json_unpack(json, "{s?s, s:s}", "code", &code, "message", &message) != 0) {
        json_decref(json);
        return device_fail(p, DEVICE_REFUSED,
                           "403 without a message that can be read: the device would show a "
                           "general error");
    }
    device_result_t r = device_fail(p, DEVICE_REFUSED, "403 %s. The device would show: \"%s\"",
                                    code != NULL ? code : "without a code", message);
    json_decref(json);
    return r;
}

device_result_t device_http_expect_ok(apr_pool_t *p, const device_reply_t *reply)
{
    if (reply->status == 200)
        return device_ok();
    if (reply->status == 403)
        return refusal(p, reply);
    if (reply->status == 401) {
        return device_fail(p, DEVICE_REFUSED,
                           "401: a device has no password to offer here; it would show a general "
                           "error");
    }
    return device_fail(p, DEVICE_UNACCEPTABLE,
                       "the answer has status %ld, wanted 200; the device would show a general "
                       "error",
                       reply->status);
}

device_result_t device_http_expect_page(apr_pool_t *p, const device_reply_t *reply)
{
    if (reply->status == 200)
        return device_ok();
    if (reply->status == 403 && strcmp(reply->content_type, JSON_TYPE) == 0)
        return refusal(p, reply);
    return device_fail(
        p, reply->status == 401 || reply->status == 403 ? DEVICE_REFUSED : DEVICE_UNACCEPTABLE,
        "the answer has status %ld, wanted 200; the browser would show the page "
        "that came with it",
        reply->status);
}

device_result_t device_http_expect_type(apr_pool_t *p, const device_reply_t *reply,
                                        const char *content_type)
{
    if (strcmp(reply->content_type, content_type) == 0)
        return device_ok();
    return device_fail(p, DEVICE_UNACCEPTABLE, "Content-Type is \"%s\" (status %ld), wanted \"%s\"",
                       reply->content_type, reply->status, content_type);
}
