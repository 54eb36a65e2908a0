/* SPDX-License-Identifier: Apache-2.0
 * One POST by libcurl. Each has a handle of its own, made and ended in one call: nothing of libcurl
 * or its TLS library is alive between two calls, least of all when the process ends.
 */
#include "http_client.h"

#include <string.h>

#include <apr_strings.h>
#include <curl/curl.h>
#include <openssl/err.h>

#define JSON_TYPE "application/json"

typedef struct reader_t {
    char *bytes;
    apr_size_t len;
    apr_size_t most;
    int too_long;
} reader_t;

int mdm_http_client_start_process(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    reader_t *reader = context;
    apr_size_t len = size * count;

    if (reader->most == 0)
        return len;
    if (len > reader->most - reader->len) {
        reader->too_long = 1;
        return 0; /* libcurl takes that for an error */
    }
    memcpy(reader->bytes + reader->len, bytes, len);
    reader->len += len;
    return len;
}

static int progress(void *context, curl_off_t to_come, curl_off_t come, curl_off_t to_go,
                    curl_off_t gone)
{
    const mdm_http_post_t *post = context;

    (void)to_come;
    (void)come;
    (void)to_go;
    (void)gone;
    return post->stop(post->context);
}

static void set_options(CURL *curl, const mdm_http_service_t *service, const mdm_http_post_t *post,
                        reader_t *reader, char *detail)
{
    curl_easy_setopt(curl, CURLOPT_URL, service->url);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mod_mdm_enroll");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* there are other threads */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(service->timeout));
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reader);
    if (post->stop != NULL) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)post);
    }
    if (service->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, service->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* else the system's stay trusted beside */
    }
}

/* 0 if there is no memory. */
static int add_header(struct curl_slist **headers, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*headers, header);

    if (longer == NULL)
        return 0;
    *headers = longer;
    return 1;
}

static int add_headers(apr_pool_t *p, struct curl_slist **headers,
                       const mdm_http_service_t *service, const mdm_http_post_t *post)
{
    int added = add_header(headers, "Content-Type: " JSON_TYPE) && add_header(headers, "Expect:");

    for (int i = 0; added && post->headers != NULL && post->headers[i] != NULL; i++)
        added = add_header(headers, post->headers[i]);
    if (added && service->token != NULL)
        added = add_header(headers, apr_pstrcat(p, "Authorization: Bearer ", service->token, NULL));
    return added;
}

static const char *perform(apr_pool_t *p, CURL *curl, const mdm_http_service_t *service,
                           const mdm_http_post_t *post, reader_t *reader, mdm_http_answer_t *answer)
{
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    const char *type = NULL;
    long status = 0;

    if (add_headers(p, &headers, service, post)) {
        set_options(curl, service, post, reader, detail);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        code = curl_easy_perform(curl);
    }
    curl_slist_free_all(headers);
    if (reader->too_long)
        return apr_psprintf(p, "the answer is longer than %" APR_SIZE_T_FMT " bytes", post->most);
    if (code != CURLE_OK)
        return apr_pstrdup(p, detail[0] != '\0' ? detail : curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    *answer = (mdm_http_answer_t){.status = status,
                                  .type = type != NULL ? apr_pstrdup(p, type) : "",
                                  .bytes = reader->bytes,
                                  .len = reader->len};
    return NULL;
}

const char *mdm_http_client_post(apr_pool_t *p, const mdm_http_service_t *service,
                                 const mdm_http_post_t *post, mdm_http_answer_t *answer)
{
    reader_t reader = {.bytes = apr_palloc(p, post->most + 1), .most = post->most};
    CURL *curl = curl_easy_init();
    const char *why = curl != NULL ? perform(p, curl, service, post, &reader, answer)
                                   : "libcurl cannot be started";

    curl_easy_cleanup(curl);
    ERR_clear_error(); /* libcurl's TLS, where it is OpenSSL */
    return why;
}
