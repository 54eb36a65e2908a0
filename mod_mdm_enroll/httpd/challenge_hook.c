/* SPDX-License-Identifier: Apache-2.0
 * Challenges from an HTTP service of the site, in JSON by jansson.
 */
#include "challenge_source.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <jansson.h>

#define JSON_TYPE "application/json"

typedef struct hook_t {
    mdm_challenge_source_t source;
    mdm_http_service_t service;
} hook_t;

static mdm_result_t failed(apr_pool_t *p, const hook_t *hook, const char *why)
{
    return mdm_result_make(p, MDM_MSG_CHALLENGE_SOURCE, "%s: %s", hook->service.url, why);
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

/* 1 for "application/json", whatever parameters it has. */
static int is_json(const char *type)
{
    apr_size_t len = strlen(JSON_TYPE);

    return strncasecmp(type, JSON_TYPE, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || apr_isspace(type[len]));
}

/* NULL if there is none in it. */
static const char *read_json(apr_pool_t *p, const mdm_http_answer_t *answer)
{
    json_t *root = json_loadb(answer->bytes, answer->len, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(root, "challenge"));
    const char *challenge =
        text != NULL && mdm_identity_challenge_ok(text) ? apr_pstrdup(p, text) : NULL;

    json_decref(root);
    return challenge;
}

static mdm_result_t read_answer(apr_pool_t *p, const hook_t *hook, const mdm_http_answer_t *answer,
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
    static const char *const headers[] = {"Accept: " JSON_TYPE ", text/plain", NULL};
    const hook_t *hook = context;
    const mdm_http_post_t post = {
        .headers = headers, .body = question(p, row, purpose), .most = MDM_CHALLENGE_MAX_BYTES};
    mdm_http_answer_t answer;
    const char *why;
    mdm_result_t r;

    if (post.body == NULL)
        return failed(p, hook, "user and device cannot be told in JSON");
    r = mdm_challenge_begin(p);
    if (r.kind != MDM_OK)
        return r;
    why = mdm_http_client_post(p, &hook->service, &post, &answer);
    mdm_challenge_end();
    return why != NULL ? failed(p, hook, why) : read_answer(p, hook, &answer, challenge);
}

const mdm_challenge_source_t *mdm_challenge_hook(apr_pool_t *p, const mdm_http_service_t *service)
{
    hook_t *hook = apr_palloc(p, sizeof(*hook));

    *hook = (hook_t){.source = {.context = hook, .ask = ask}, .service = *service};
    return &hook->source;
}
