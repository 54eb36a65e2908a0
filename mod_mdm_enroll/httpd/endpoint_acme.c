/* SPDX-License-Identifier: Apache-2.0
 * Endpoint "acme": what an ACME server asks before it certifies a device's key, in JSON: in the
 * form of the webhooks of smallstep's step-ca, or in a plain one of our own.
 */
#include "endpoint.h"

#include <apr_strings.h>
#include <http_log.h>
#include <jansson.h>

#include "../core/mdm_acme.h"
#include "../core/mdm_base64.h"
#include "http.h"
#include "log.h"

APLOG_USE_MODULE(mdm_enroll);

#define JSON_TYPE "application/json"

/* Longest question, and longest text in it that is compared with something, in bytes. */
#define MAX_BYTES (64 * 1024)
#define MAX_TEXT 256

static mdm_result_t unreadable(apr_pool_t *p, const char *name, const char *wanted)
{
    return mdm_result_make(p, MDM_MSG_ACME_REQUEST, "\"%s\" in the question; wanted: %s", name,
                           wanted);
}

/* A text of an object, in p; NULL if it is not there. */
static mdm_result_t take_text(apr_pool_t *p, const json_t *object, const char *name,
                              const char **text)
{
    const json_t *value = json_object_get(object, name);

    *text = NULL;
    if (!value || json_is_null(value))
        return mdm_result_ok();
    if (!json_is_string(value) || json_string_length(value) < 1 ||
        json_string_length(value) > MAX_TEXT)
        return unreadable(p, name, "text of 1 to " APR_STRINGIFY(MAX_TEXT) " bytes");
    *text = apr_pstrdup(p, json_string_value(value));
    return mdm_result_ok();
}

/* The same for bytes in base64. */
static mdm_result_t take_bytes(apr_pool_t *p, const json_t *object, const char *name,
                               const unsigned char **bytes, apr_size_t *len)
{
    const json_t *value = json_object_get(object, name);

    if (!value || json_is_null(value))
        return mdm_result_ok();
    *bytes = json_is_string(value) ? mdm_base64_decode(p, json_string_value(value), len) : NULL;
    return *bytes ? mdm_result_ok() : unreadable(p, name, "base64");
}

/* As step-ca has it (webhook/types.go): enriching webhooks carry the request, authorizing ones the
 * certificate that is about to be signed. */
static mdm_result_t read_webhook(apr_pool_t *p, const json_t *root, mdm_acme_question_t *question)
{
    const json_t *attested = json_object_get(root, "attestationData");
    const json_t *request = json_object_get(root, "x509CertificateRequest");
    const json_t *certificate = json_object_get(root, "x509Certificate");
    mdm_result_t r = take_text(p, attested, "permanentIdentifier", &question->client_identifier);

    if (r.kind == MDM_OK)
        r = take_bytes(p, request, "raw", &question->request, &question->request_len);
    if (r.kind == MDM_OK)
        r = take_bytes(p, request ? request : certificate, "publicKey", &question->key,
                       &question->key_len);
    return r;
}

static mdm_result_t read_plain(apr_pool_t *p, const json_t *root, mdm_acme_question_t *question)
{
    mdm_result_t r = take_text(p, root, "clientIdentifier", &question->client_identifier);

    if (r.kind == MDM_OK)
        r = take_text(p, root, "serial", &question->serial);
    if (r.kind == MDM_OK)
        r = take_text(p, root, "udid", &question->udid);
    if (r.kind == MDM_OK)
        r = take_text(p, root, "order", &question->order);
    if (r.kind == MDM_OK)
        r = take_bytes(p, root, "csr", &question->request, &question->request_len);
    return r;
}

static mdm_result_t read_question(apr_pool_t *p, const char *body, apr_size_t len,
                                  mdm_acme_question_t *question)
{
    json_error_t error;
    json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
    mdm_result_t r;

    memset(question, 0, sizeof(*question));
    if (!json_is_object(root))
        r = mdm_result_make(p, MDM_MSG_ACME_REQUEST, "the question is no JSON object: %s",
                            root ? "it is another value" : error.text);
    else
        r = json_object_get(root, "clientIdentifier") ? read_plain(p, root, question)
                                                      : read_webhook(p, root, question);
    json_decref(root);
    return r;
}

static int send_answer(request_rec *r, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    const char *body = text ? apr_pstrdup(r->pool, text) : NULL;

    json_decref(answer);
    free(text);
    return body ? mdm_http_send(r, JSON_TYPE, body, strlen(body)) : HTTP_INTERNAL_SERVER_ERROR;
}

/* A status of its own would be a failure of this server to step-ca, not a "no". */
static int deny(request_rec *r, const mdm_result_t *result)
{
    const char *code = mdm_result_code(r->pool, result->message);

    mdm_http_variable(r, "MDM_RESULT", code);
    mdm_log_result(r, result);
    return send_answer(r, json_pack("{s:b, s:{s:s, s:s}}", "allow", 0, "error", "code", code,
                                    "message", result->user));
}

static int allow(request_rec *r, const mdm_enrollment_t *row)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "acme: enrollment %s, user %s, UDID %s, serial %s may have a certificate",
                  row->id, row->user, row->udid, row->serial);
    return send_answer(r, json_pack("{s:b, s:{s:s, s:s, s:s, s:s}}", "allow", 1, "data", "serial",
                                    row->serial, "udid", row->udid, "user", row->user, "enrollment",
                                    row->id));
}

int mdm_endpoint_acme(mdm_call_t *call)
{
    request_rec *r = call->r;
    const mdm_enrollment_t *row = NULL;
    mdm_acme_question_t question;
    mdm_result_t result;
    const char *body;
    apr_size_t len;
    int status;

    mdm_http_variable(r, "MDM_PHASE", "acme");
    if (r->method_number != M_POST)
        return mdm_http_not_allowed(r, M_POST, -1);
    status = mdm_http_read(r, MAX_BYTES, &body, &len);
    if (status != OK)
        return status;
    result = read_question(r->pool, body, len, &question);
    if (result.kind == MDM_OK)
        result = mdm_acme_answer(r->pool, &call->world, &question, &row);
    mdm_http_variable(r, "MDM_ENROLLMENT", row ? row->id : NULL);
    mdm_http_variable(r, "MDM_USER", row ? row->user : NULL);
    mdm_http_variable(r, "MDM_UDID", row ? row->udid : NULL);
    mdm_http_variable(r, "MDM_SERIAL", row ? row->serial : NULL);
    if (result.kind == MDM_REFUSED)
        return deny(r, &result);
    return result.kind == MDM_OK ? allow(r, row) : mdm_http_refuse(r, result);
}
