/* SPDX-License-Identifier: Apache-2.0
 * Challenges from an HTTP service of the site, by libcurl and jansson.
 */
#include "challenge_source.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <jansson.h>
#include <openssl/err.h>

#define JSON_TYPE "application/json"

typedef struct hook_t {
    mdm_challenge_source_t source;
    mdm_challenge_hook_t settings;
} hook_t;

typedef struct answer_t {
    long status;
    const char *type; /* never NULL */
    char bytes[MDM_CHALLENGE_MAX_BYTES];
    apr_size_t len;
    int too_long;
} answer_t;

int mdm_challenge_start_process(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static mdm_result_t failed(apr_pool_t *p, const hook_t *hook, const char *why)
{
    return mdm_result_make(p, MDM_MSG_CHALLENGE_SOURCE, "%s: %s", hook->settings.url, why);
}

/* NULL if it cannot be said in JSON. */
static const char *question(apr_pool_t *p, const mdm_enrollment_t *row, mdm_purpose_t purpose)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "enrollment", row->id, "user",
                               row->user, "udid", row->udid, "serial", row->serial, "product",
                               row->product, "purpose", mdm_purpose_name(purpose));
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    const char *copy = text != NULL ? apr_pstrdup(p, text) : NULL;

    free(text);
    json_decref(object);
    return copy;
}

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    answer_t *answer = context;
    apr_size_t len = size * count;

    if (len > sizeof(answer->bytes) - answer->len) {
        answer->too_long = 1;
        return 0; /* libcurl takes that for an error */
    }
    memcpy(answer->bytes + answer->len, bytes, len);
    answer->len += len;
    return len;
}

static void set_options(CURL *curl, const hook_t *hook, const char *body, answer_t *answer,
                        char *detail)
{
    const mdm_challenge_hook_t *settings = &hook->settings;

    curl_easy_setopt(curl, CURLOPT_URL, settings->url);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mod_mdm_enroll");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* there are other threads */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(settings->timeout));
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (settings->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
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

static mdm_result_t post(apr_pool_t *p, const hook_t *hook, CURL *curl, const char *body,
                         answer_t *answer)
{
    const char *token = hook->settings.token, *type = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (add_header(&headers, "Content-Type: " JSON_TYPE) && add_header(&headers, "Expect:") &&
        add_header(&headers, "Accept: " JSON_TYPE ", text/plain") &&
        (token == NULL ||
         add_header(&headers, apr_pstrcat(p, "Authorization: Bearer ", token, NULL)))) {
        set_options(curl, hook, body, answer, detail);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        code = curl_easy_perform(curl);
    }
    curl_slist_free_all(headers);
    if (answer->too_long)
        return failed(
            p, hook,
            apr_psprintf(p, "the answer is longer than %d bytes", MDM_CHALLENGE_MAX_BYTES));
    if (code != CURLE_OK)
        return failed(p, hook,
                      apr_pstrdup(p, detail[0] != '\0' ? detail : curl_easy_strerror(code)));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    answer->type = type != NULL ? apr_pstrdup(p, type) : "";
    return mdm_result_ok();
}

/* 1 for "application/json", whatever parameters it has. */
static int is_json(const char *type)
{
    apr_size_t len = strlen(JSON_TYPE);

    return strncasecmp(type, JSON_TYPE, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || apr_isspace(type[len]));
}

/* NULL if there is none in it. */
static const char *read_json(apr_pool_t *p, const answer_t *answer)
{
    json_t *root = json_loadb(answer->bytes, answer->len, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(root, "challenge"));
    const char *challenge =
        text != NULL && mdm_identity_challenge_ok(text) ? apr_pstrdup(p, text) : NULL;

    json_decref(root);
    return challenge;
}

static mdm_result_t read_answer(apr_pool_t *p, const hook_t *hook, const answer_t *answer,
                                const char **challenge)
{
    int json = is_json(answer->type);

    if (answer->status != 200)
        return failed(
            p, hook,
            apr_psprintf(p, "answered with status %ld, wanted is 200%s", answer->status,
                         answer->status / 100 == 3 ? " (redirects are not followed)" : ""));
    *challenge =
        json ? read_json(p, answer) : mdm_challenge_first_line(p, answer->bytes, answer->len);
    if (*challenge != NULL)
        return mdm_result_ok();
    return failed(p, hook,
                  apr_psprintf(p,
                               "the answer has no challenge; wanted is %s, 1 to %d bytes of text",
                               json ? "{\"challenge\": \"...\"}" : "one in its first line",
                               MDM_IDENTITY_MAX_CHALLENGE));
}

static mdm_result_t ask(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge)
{
    const hook_t *hook = context;
    const char *body = question(p, row, purpose);
    answer_t *answer = apr_pcalloc(p, sizeof(*answer));
    CURL *curl;
    mdm_result_t r;

    if (body == NULL)
        return failed(p, hook, "user and device cannot be told in JSON");
    r = mdm_challenge_begin(p);
    if (r.kind != MDM_OK)
        return r;
    curl = curl_easy_init();
    r = curl != NULL ? post(p, hook, curl, body, answer)
                     : failed(p, hook, "libcurl cannot be started");
    curl_easy_cleanup(curl);
    ERR_clear_error(); /* libcurl's TLS, where it is OpenSSL */
    mdm_challenge_end();
    return r.kind == MDM_OK ? read_answer(p, hook, answer, challenge) : r;
}

const mdm_challenge_source_t *mdm_challenge_hook(apr_pool_t *p,
                                                 const mdm_challenge_hook_t *settings)
{
    hook_t *hook = apr_palloc(p, sizeof(*hook));

    *hook = (hook_t){.source = {.context = hook, .ask = ask}, .settings = *settings};
    return &hook->source;
}
