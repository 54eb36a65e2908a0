/* SPDX-License-Identifier: Apache-2.0
 * The SCEP responder: what is answered to whom, and the transaction that issues one certificate for
 * one challenge. Depends on mdm_ca, mdm_enrollment, mdm_scep_message, mdm_scep_reply, mdm_x509.
 */
#include "mdm_scep.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/evp.h>

#include "mdm_scep_message.h"
#include "mdm_scep_reply.h"
#include "mdm_x509.h"

#define MESSAGE_TYPE_PKCS_REQ "19"

/* Each line is exact (RFC 8894 section 3.5.2). SCEPStandard stands for three of the others, which
 * some clients look for nevertheless. */
static const char capabilities[] = "AES\n"
                                   "POSTPKIOperation\n"
                                   "SCEPStandard\n"
                                   "SHA-256\n"
                                   "SHA-384\n"
                                   "SHA-512\n";

void mdm_scep_get_ca_caps(mdm_scep_reply_t *reply)
{
    reply->content_type = "text/plain";
    reply->body = capabilities;
    reply->len = sizeof(capabilities) - 1;
}

mdm_result_t mdm_scep_get_ca_cert(apr_pool_t *p, const mdm_ca_t *ca, mdm_scep_reply_t *reply)
{
    const mdm_signer_t *signer = mdm_ca_signer(ca);
    const unsigned char *der;
    apr_size_t len;

    if (sk_X509_num(signer->chain) > 0) {
        mdm_result_t r = mdm_scep_certs_only(p, signer->cert, signer->chain, &der, &len);
        if (r.kind != MDM_OK)
            return r;
        reply->content_type = "application/x-x509-ca-ra-cert";
    } else {
        der = mdm_x509_encode(p, signer->cert, &len);
        if (der == NULL)
            return mdm_result_make(p, MDM_MSG_CRYPTO, "CA certificate: %s", mdm_openssl_reason(p));
        reply->content_type = "application/x-x509-ca-cert";
    }
    reply->body = (const char *)der;
    reply->len = len;
    return mdm_result_ok();
}

/* What the store keeps of a certificate, in base64, and back. */
static const char *encode_base64(apr_pool_t *p, const unsigned char *bytes, apr_size_t len)
{
    char *text = apr_palloc(p, (len + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
    return text;
}

/* len characters without padding. EVP_DecodeBlock() itself takes "=" anywhere. */
static const unsigned char *decode_base64(apr_pool_t *p, const char *text, apr_size_t len,
                                          apr_size_t *decoded)
{
    apr_size_t padded = (len + 3) / 4 * 4;
    unsigned char *padded_text, *bytes;

    if (len % 4 == 1)
        return NULL;
    for (apr_size_t i = 0; i < len; i++)
        if (!apr_isalnum(text[i]) && text[i] != '+' && text[i] != '/')
            return NULL;
    padded_text = apr_palloc(p, padded + 1);
    memset(padded_text, '=', padded);
    memcpy(padded_text, text, len);
    bytes = apr_palloc(p, padded / 4 * 3 + 1);
    if (EVP_DecodeBlock(bytes, padded_text, (int)padded) < 0)
        return NULL;
    *decoded = len * 3 / 4;
    return bytes;
}

static apr_size_t without_padding(const char *text, apr_size_t len)
{
    for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
        len--;
    return len;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)apr_tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

mdm_result_t mdm_scep_decode_get(apr_pool_t *p, const char *parameter, const char **message,
                                 apr_size_t *len)
{
    char *text = apr_palloc(p, strlen(parameter) + 1);
    apr_size_t n = 0, decoded;
    const unsigned char *bytes;

    for (const char *c = parameter; *c != '\0'; c++) {
        int one = (unsigned char)*c;
        if (one == '%') {
            int high = hex_value(c[1]);
            int low = high < 0 ? -1 : hex_value(c[2]);
            if (low < 0)
                return mdm_result_make(p, MDM_MSG_SCEP_MESSAGE, "message= has a broken %% escape");
            one = high << 4 | low;
            c += 2;
        }
        if (one == '\r' || one == '\n' || one == '\t')
            continue;
        /* a blank is what a form decoder on the way makes of "+" */
        text[n++] = (char)(one == ' ' || one == '-' ? '+' : one == '_' ? '/' : one);
    }
    n = without_padding(text, n);
    bytes = n > 0 ? decode_base64(p, text, n, &decoded) : NULL;
    if (bytes == NULL)
        return mdm_result_make(p, MDM_MSG_SCEP_MESSAGE, "message= is not base64");
    *message = (const char *)bytes;
    *len = decoded;
    return mdm_result_ok();
}

/* May this request have a certificate at this point of the enrollment? */
static mdm_result_t check_turn(apr_pool_t *p, const mdm_challenge_t *challenge,
                               const mdm_enrollment_t *row, const mdm_scep_request_t *request)
{
    int repeated = challenge->used_at != 0;

    if (repeated && strcmp(challenge->used_for, request->id) != 0)
        return mdm_result_make(p, MDM_MSG_SCEP_CHALLENGE,
                               "the challenge of enrollment %s was spent by another request",
                               row->id);
    switch (challenge->purpose) {
    case MDM_PURPOSE_IDENTITY:
        if (row->state == MDM_STATE_IDENTIFYING || (repeated && row->state == MDM_STATE_IDENTIFIED))
            return mdm_result_ok();
        break;
    case MDM_PURPOSE_MDM:
        if (row->state == MDM_STATE_DELIVERED)
            return mdm_result_ok();
        break;
    default:
        return mdm_result_make(p, MDM_MSG_SCEP_CHALLENGE,
                               "a challenge for \"%s\" of enrollment %s, wanted one for a "
                               "certificate",
                               mdm_purpose_name(challenge->purpose), row->id);
    }
    return mdm_result_make(p, MDM_MSG_ENROLLMENT_STATE,
                           "enrollment %s is \"%s\", a challenge for \"%s\" does not count there",
                           row->id, mdm_state_name(row->state),
                           mdm_purpose_name(challenge->purpose));
}

/* From here on the challenge is this request's alone, now and when it is repeated. */
static mdm_result_t spend(apr_pool_t *p, const mdm_world_t *world, const mdm_challenge_t *challenge,
                          const mdm_scep_request_t *request)
{
    const mdm_store_t *store = world->store;
    mdm_challenge_t *seen = NULL;
    mdm_result_t r;
    int won = 0;

    if (challenge->used_at != 0) /* check_turn: by this very request */
        return mdm_result_ok();
    r = store->challenge_spend(store->context, p, challenge->hash, "", 1, request->id,
                               world->now(world->context), &won);
    if (r.kind != MDM_OK || won)
        return r;
    r = store->challenge_get(store->context, p, challenge->hash, &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen != NULL && strcmp(seen->used_for, request->id) == 0) /* a copy of it was faster */
        return r;
    return mdm_result_make(p, MDM_MSG_SCEP_CHALLENGE,
                           "the challenge of enrollment %s was spent by another request, or its "
                           "time ended just now",
                           challenge->enrollment);
}

/* The certificate that this request got before; NULL if none. */
static mdm_result_t find_certificate(apr_pool_t *p, const mdm_world_t *world,
                                     const mdm_scep_request_t *request, X509 **cert)
{
    const mdm_store_t *store = world->store;
    mdm_certificate_t *seen = NULL;
    const unsigned char *der;
    apr_size_t len;
    mdm_result_t r = store->certificate_by_request(store->context, p, request->id, &seen);

    *cert = NULL;
    if (r.kind != MDM_OK || seen == NULL)
        return r;
    if (seen->revoked_at != 0)
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_REVOKED,
                               "certificate %s, issued for this request before, was revoked",
                               seen->serial);
    der = decode_base64(p, seen->der, without_padding(seen->der, strlen(seen->der)), &len);
    if (der == NULL || mdm_x509_decode(p, der, len, cert).kind != MDM_OK)
        return mdm_result_make(p, MDM_MSG_STORE_ROW, "certificate %s cannot be read", seen->serial);
    return mdm_result_ok();
}

/* Issue and record a certificate; *cert is the one recorded, which a copy of the request may have
 * got in between. */
static mdm_result_t issue(apr_pool_t *p, const mdm_scep_settings_t *settings,
                          const mdm_world_t *world, const mdm_challenge_t *challenge,
                          const mdm_enrollment_t *row, const mdm_scep_request_t *request,
                          X509 **cert)
{
    const unsigned char *der;
    mdm_certificate_t record;
    apr_size_t len;
    X509 *made;
    int won = 0;
    mdm_result_t r = mdm_ca_issue(p, settings->ca, world, row, challenge->purpose,
                                  settings->organization, request->key, settings->validity, &made);

    if (r.kind != MDM_OK)
        return r;
    der = mdm_x509_encode(p, made, &len);
    if (der == NULL)
        return mdm_result_make(p, MDM_MSG_CA_ISSUE, "%s", mdm_openssl_reason(p));
    record = (mdm_certificate_t){
        .serial = mdm_x509_serial(p, made),
        .issuer = mdm_x509_key_id(p, mdm_ca_signer(settings->ca)->cert),
        .enrollment = row->id,
        .purpose = challenge->purpose,
        .request = request->id,
        .poll = "",
        .authority = challenge->hash,
        .fingerprint = mdm_x509_fingerprint(p, made),
        .der = encode_base64(p, der, len),
        .not_before = mdm_x509_not_before(made),
        .not_after = mdm_x509_not_after(made),
        .issued_at = world->now(world->context),
    };
    if (record.fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    r = world->store->certificate_insert(world->store->context, p, &record, &won);
    if (r.kind != MDM_OK)
        return r;
    if (won) {
        *cert = made;
        return r;
    }
    r = find_certificate(p, world, request, cert);
    if (r.kind == MDM_OK && *cert == NULL)
        r = mdm_result_make(p, MDM_MSG_CA_ISSUE, "serial number %s is taken by another certificate",
                            record.serial);
    return r;
}

/* The enrollment moves on with the identity's fingerprint, or has done so with this very one. */
static mdm_result_t identify(apr_pool_t *p, const mdm_scep_settings_t *settings,
                             const mdm_world_t *world, const mdm_enrollment_t *row, X509 *cert)
{
    const char *fingerprint = mdm_x509_fingerprint(p, cert);
    mdm_enrollment_t *seen = NULL, next = *row;
    mdm_result_t r, again;

    if (fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    next.state = MDM_STATE_IDENTIFIED;
    next.identity_fingerprint = fingerprint;
    r = mdm_enrollment_advance(p, world, &next, MDM_STATE_IDENTIFYING, row->identity_fingerprint,
                               settings->lifetime);
    if (r.message != MDM_MSG_ENROLLMENT_STATE)
        return r;
    again = world->store->enrollment_get(world->store->context, p, row->id, &seen);
    if (again.kind != MDM_OK)
        return again;
    if (seen != NULL && seen->state == MDM_STATE_IDENTIFIED &&
        strcmp(seen->identity_fingerprint, fingerprint) == 0)
        return mdm_result_ok();
    return r;
}

/* The challenge and its row, if the request may go on with them. */
static mdm_result_t admit(apr_pool_t *p, const mdm_world_t *world,
                          const mdm_scep_request_t *request, mdm_challenge_t **challenge,
                          mdm_enrollment_t **row)
{
    mdm_result_t r = mdm_challenge_lookup(p, world, request->secret, challenge, row);

    return r.kind == MDM_OK ? check_turn(p, *challenge, *row, request) : r;
}

/* The transaction. Each step leaves what a repetition of the same request needs to go on from
 * there: spent for this request, recorded, identified. */
static mdm_result_t grant(apr_pool_t *p, const mdm_scep_settings_t *settings,
                          const mdm_world_t *world, const mdm_scep_request_t *request,
                          mdm_scep_facts_t *facts, X509 **cert)
{
    mdm_challenge_t *challenge = NULL;
    mdm_enrollment_t *row = NULL;
    mdm_result_t r = admit(p, world, request, &challenge, &row);

    /* The challenge is read before its row: a copy of this request may have been answered in
     * between, and what the challenge says is older than the row's state. */
    if (r.message == MDM_MSG_ENROLLMENT_STATE && challenge->used_at == 0)
        r = admit(p, world, request, &challenge, &row);
    if (row != NULL) {
        facts->enrollment = row->id;
        facts->user = row->user;
        facts->udid = row->udid;
        facts->serial = row->serial;
    }
    if (r.kind == MDM_OK)
        r = spend(p, world, challenge, request);
    if (r.kind == MDM_OK)
        r = find_certificate(p, world, request, cert);
    if (r.kind == MDM_OK && *cert == NULL)
        r = issue(p, settings, world, challenge, row, request, cert);
    if (r.kind == MDM_OK && challenge->purpose == MDM_PURPOSE_IDENTITY)
        r = identify(p, settings, world, row, *cert);
    return r;
}

static mdm_result_t serve(apr_pool_t *p, const mdm_scep_settings_t *settings,
                          const mdm_world_t *world, mdm_scep_message_t *message,
                          mdm_scep_facts_t *facts, X509 **cert)
{
    mdm_scep_request_t request;
    mdm_result_t r = mdm_scep_message_verify(p, message);

    if (r.kind != MDM_OK)
        return r;
    /* One place decides what a messageType is worth: an unknown one that slips through to the CA is
     * a certificate for nothing. */
    if (strcmp(message->type, MESSAGE_TYPE_PKCS_REQ) != 0)
        return mdm_result_make(p, MDM_MSG_SCEP_MESSAGE_TYPE,
                               "messageType \"%s\", wanted is " MESSAGE_TYPE_PKCS_REQ " (PKCSReq)",
                               mdm_result_quote_text(p, message->type));
    r = mdm_scep_message_decrypt(p, message, mdm_ca_signer(settings->ca), &request);
    if (r.kind == MDM_OK)
        r = grant(p, settings, world, &request, facts, cert);
    return r;
}

mdm_result_t mdm_scep_pki_operation(apr_pool_t *p, const mdm_scep_settings_t *settings,
                                    const mdm_world_t *world, const void *message, apr_size_t len,
                                    mdm_scep_reply_t *reply, mdm_scep_facts_t *facts)
{
    const mdm_signer_t *signer = mdm_ca_signer(settings->ca);
    mdm_scep_message_t *opened;
    const unsigned char *der;
    apr_size_t der_len;
    X509 *cert = NULL;
    mdm_result_t r, built;

    *reply = (mdm_scep_reply_t){.content_type = NULL};
    *facts = (mdm_scep_facts_t){"", "", "", "", "", ""};
    if (len > MDM_SCEP_MAX_BYTES)
        return mdm_result_make(p, MDM_MSG_SCEP_MESSAGE,
                               "%" APR_SIZE_T_FMT " bytes, at most %d are taken", len,
                               MDM_SCEP_MAX_BYTES);
    r = mdm_scep_message_open(p, message, len, &opened);
    if (r.kind != MDM_OK)
        return r;
    facts->transaction = mdm_result_quote_text(p, opened->transaction);
    r = serve(p, settings, world, opened, facts, &cert);
    if (r.kind == MDM_OK) {
        facts->certificate = mdm_x509_serial(p, cert);
        built = mdm_scep_reply_success(p, world, signer, opened, cert, &der, &der_len);
    } else if (r.kind == MDM_REFUSED) {
        built = mdm_scep_reply_failure(p, world, signer, opened, &r, &der, &der_len);
    } else {
        return r;
    }
    if (built.kind != MDM_OK)
        return built;
    reply->content_type = "application/x-pki-message";
    reply->body = (const char *)der;
    reply->len = der_len;
    return r;
}
