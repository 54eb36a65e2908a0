/* SPDX-License-Identifier: Apache-2.0
 * Who may have a certificate of an ACME server. Depends on mdm_der, mdm_enrollment, mdm_pin,
 * mdm_x509.
 */
#include "mdm_acme.h"

#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "mdm_der.h"
#include "mdm_pin.h"
#include "mdm_x509.h"

/* A question on its way. */
typedef struct turn_t {
    apr_pool_t *p;
    const mdm_world_t *world;
    const mdm_acme_question_t *question;
    const char *secret;
    int in_subject;    /* the secret stands in the request's subject */
    const char *order; /* what it is spent for */
} turn_t;

static mdm_result_t unreadable(const turn_t *turn, const char *why)
{
    ERR_clear_error();
    return mdm_result_make(turn->p, MDM_MSG_ACME_REQUEST, "%s", why);
}

/* --- the certificate request --- */

/* An element with its tag and length. */
typedef struct element_t {
    const unsigned char *bytes;
    apr_size_t len;
} element_t;

static int take(mdm_der_t *left, element_t *element)
{
    mdm_der_t content;

    element->bytes = left->bytes;
    if (!mdm_der_expect(left, MDM_DER_SEQUENCE, &content))
        return 0;
    element->len = (apr_size_t)(left->bytes - element->bytes);
    return 1;
}

/* Subject and key of a PKCS#10 request (RFC 2986 section 4.1). The server has verified it; here
 * nothing of it is decoded that need not be. */
static int read_request(const mdm_acme_question_t *question, element_t *subject, element_t *key)
{
    mdm_der_t left = mdm_der_content(question->request, question->request_len), request, info,
              version;

    return question->request_len <= MDM_ACME_MAX_REQUEST &&
           mdm_der_few(question->request, question->request_len, MDM_ACME_MAX_ELEMENTS) &&
           mdm_der_expect(&left, MDM_DER_SEQUENCE, &request) && left.len == 0 &&
           mdm_der_expect(&request, MDM_DER_SEQUENCE, &info) &&
           mdm_der_expect(&info, MDM_DER_INTEGER, &version) && take(&info, subject) &&
           take(&info, key);
}

static mdm_result_t find_in_subject(turn_t *turn, const element_t *subject)
{
    const unsigned char *at = subject->bytes;
    X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)subject->len);
    int count = 0;

    if (name == NULL)
        return unreadable(turn, "the subject of the certificate request cannot be read");
    turn->secret = mdm_pin_secret(turn->p, name, &count);
    turn->in_subject = count == 1;
    X509_NAME_free(name);
    if (count > 1)
        return unreadable(turn, "the subject of the certificate request has more than one OU that "
                                "begins with \"" MDM_PIN_PREFIX "\"");
    return mdm_result_ok();
}

/* --- the order --- */

static const char *order_id(apr_pool_t *p, const char *kind, const void *bytes, apr_size_t len)
{
    apr_size_t kind_len = strlen(kind) + 1; /* with its NUL */
    char *text = apr_palloc(p, kind_len + len);

    memcpy(text, kind, kind_len);
    memcpy(text + kind_len, bytes, len);
    return mdm_sha256_hex(p, text, kind_len + len);
}

static mdm_result_t identify_order(turn_t *turn, const element_t *key)
{
    const mdm_acme_question_t *question = turn->question;

    if (question->key != NULL)
        turn->order = order_id(turn->p, "key", question->key, question->key_len);
    else if (key->bytes != NULL)
        turn->order = order_id(turn->p, "key", key->bytes, key->len);
    else if (question->order != NULL)
        turn->order = order_id(turn->p, "order", question->order, strlen(question->order));
    else
        turn->order = mdm_challenge_make(turn->p, turn->world); /* like no other */
    if (turn->order == NULL)
        return mdm_random_failed(turn->p);
    return turn->order[0] != '\0' ? mdm_result_ok() : mdm_sha256_failed(turn->p);
}

static mdm_result_t read_question(turn_t *turn)
{
    const mdm_acme_question_t *question = turn->question;
    element_t subject = {NULL, 0}, key = {NULL, 0};
    mdm_result_t r = mdm_result_ok();

    if (question->request != NULL) {
        if (!read_request(question, &subject, &key))
            return unreadable(turn, "the certificate request is no PKCS#10 request");
        r = find_in_subject(turn, &subject);
    }
    if (r.kind == MDM_OK && turn->secret == NULL)
        turn->secret = question->client_identifier;
    if (r.kind == MDM_OK && turn->secret == NULL)
        r = unreadable(turn, "no client identifier in it");
    return r.kind == MDM_OK ? identify_order(turn, &key) : r;
}

/* --- the enrollment --- */

static int is_udid(const mdm_enrollment_t *row, const char *text)
{
    return apr_cstr_casecmp(row->udid, text) == 0;
}

/* Where the secret is not the identifier, that is what the device attested. */
static mdm_result_t check_device(const turn_t *turn, const mdm_enrollment_t *row)
{
    const mdm_acme_question_t *question = turn->question;
    const char *named = question->client_identifier;
    int ok = 1;

    if (turn->in_subject)
        ok = named != NULL && (strcmp(row->serial, named) == 0 || is_udid(row, named));
    if (ok && question->serial != NULL)
        ok = strcmp(row->serial, named = question->serial) == 0;
    if (ok && question->udid != NULL)
        ok = is_udid(row, named = question->udid);
    if (ok)
        return mdm_result_ok();
    if (named != NULL && strcmp(named, turn->secret) == 0)
        named = "(the secret)"; /* logs have none */
    return mdm_result_make(turn->p, MDM_MSG_ACME_DEVICE,
                           "\"%s\" attested; wanted for enrollment %s is serial number \"%s\", "
                           "UDID \"%s\"",
                           mdm_result_quote_text(turn->p, named), row->id,
                           mdm_result_quote_text(turn->p, row->serial),
                           mdm_result_quote_text(turn->p, row->udid));
}

static mdm_result_t check_open(const turn_t *turn, const mdm_enrollment_t *row)
{
    if (row->state == MDM_STATE_DELIVERED && !mdm_enrollment_is_ended(row))
        return mdm_result_ok();
    return mdm_result_make(turn->p, MDM_MSG_ACME_ENDED, "enrollment %s %s", row->id,
                           row->state == MDM_STATE_DELIVERED
                               ? "was ended by an administrator"
                               : "is not delivered, so nobody has this client identifier from us");
}

/* From here on it is this order's alone. What another order spent is read again: it may have been
 * this very one, asked twice at the same moment. */
static mdm_result_t spend(const turn_t *turn, const mdm_challenge_t *challenge)
{
    const mdm_store_t *store = turn->world->store;
    apr_int64_t now = turn->world->now(turn->world->context);
    mdm_challenge_t *seen = NULL;
    int won = 0;
    mdm_result_t r = store->challenge_spend(store->context, turn->p, challenge->hash, "", 1,
                                            turn->order, now, &won);

    if (r.kind != MDM_OK || won)
        return r;
    r = store->challenge_get(store->context, turn->p, challenge->hash, &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen != NULL && strcmp(seen->used_for, turn->order) == 0 &&
        now - seen->used_at <= MDM_ACME_AGAIN)
        return r;
    return mdm_result_make(turn->p, MDM_MSG_ACME_SPENT,
                           "the client identifier of enrollment %s was spent %" APR_INT64_T_FMT
                           " s ago, wanted is once, or for the same order within %d s",
                           challenge->enrollment, seen != NULL ? now - seen->used_at : 0,
                           MDM_ACME_AGAIN);
}

/* An administrator ends the row first: what he could not see spent ends here. */
static mdm_result_t still_open(const turn_t *turn, const mdm_enrollment_t **row)
{
    const mdm_store_t *store = turn->world->store;
    mdm_enrollment_t *seen = NULL;
    mdm_result_t r = store->enrollment_get(store->context, turn->p, (*row)->id, &seen);

    if (r.kind != MDM_OK || seen == NULL)
        return r.kind != MDM_OK ? r
                                : mdm_result_make(turn->p, MDM_MSG_ACME_ENDED,
                                                  "enrollment %s is gone", (*row)->id);
    *row = seen;
    return check_open(turn, seen);
}

mdm_result_t mdm_acme_answer(apr_pool_t *p, const mdm_world_t *world,
                             const mdm_acme_question_t *question, const mdm_enrollment_t **row)
{
    turn_t turn = {.p = p, .world = world, .question = question};
    mdm_challenge_t *challenge = NULL;
    mdm_enrollment_t *owner = NULL;
    mdm_result_t r = read_question(&turn);

    *row = NULL;
    if (r.kind == MDM_OK)
        r = mdm_challenge_find(p, world, turn.secret, MDM_PURPOSE_ACME, &challenge, &owner);
    if (r.kind != MDM_OK)
        return r;
    *row = owner;
    r = check_device(&turn, owner);
    if (r.kind == MDM_OK)
        r = check_open(&turn, owner);
    if (r.kind == MDM_OK)
        r = spend(&turn, challenge);
    return r.kind == MDM_OK ? still_open(&turn, row) : r;
}
