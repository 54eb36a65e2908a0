/* SPDX-License-Identifier: Apache-2.0
 * The SCEP responder: what is answered to whom. Depends on mdm_base64, mdm_cms, mdm_scep_envelope,
 * mdm_scep_grant, mdm_scep_message, mdm_scep_reply.
 */
#include "mdm_scep.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_base64.h"
#include "mdm_cms.h"
#include "mdm_scep_envelope.h"
#include "mdm_scep_message.h"
#include "mdm_scep_reply.h"

/* --- what is the same for all --- */

/* Each line is exact (RFC 8894 section 3.5.2). SCEPStandard stands for three of the others, which
 * some clients look for nevertheless. */
static void make_ca_caps(apr_pool_t *p, mdm_scep_settings_t *settings)
{
    const char *text =
        apr_pstrcat(p, "AES\n", settings->allow & MDM_SCEP_ALLOW_DES3 ? "DES3\n" : "",
                    settings->next != NULL ? "GetNextCACert\n" : "", "POSTPKIOperation\n",
                    settings->rules.renewal > 0 ? "Renewal\n" : "", "SCEPStandard\n",
                    settings->allow & MDM_SCEP_ALLOW_SHA1 ? "SHA-1\n" : "",
                    "SHA-256\nSHA-384\nSHA-512\n", NULL);

    settings->ca_caps = (mdm_scep_reply_t){"text/plain", text, strlen(text)};
}

static mdm_result_t make_ca_cert(apr_pool_t *p, mdm_scep_settings_t *settings)
{
    const mdm_signer_t *ca = mdm_ca_signer(settings->rules.ca);
    STACK_OF(X509) *rest = NULL;
    const unsigned char *der;
    apr_size_t len;
    mdm_result_t r = mdm_result_ok();

    if (settings->responder == ca && sk_X509_num(ca->chain) <= 0) {
        der = mdm_x509_encode(p, ca->cert, &len);
        if (der == NULL)
            return mdm_result_make(p, MDM_MSG_CRYPTO, "CA certificate: %s", mdm_openssl_reason(p));
        settings->ca_cert =
            (mdm_scep_reply_t){"application/x-x509-ca-cert", (const char *)der, len};
        return r;
    }
    rest = ca->chain != NULL ? sk_X509_dup(ca->chain) : sk_X509_new_null();
    if (rest == NULL || (settings->responder != ca && !sk_X509_unshift(rest, ca->cert)))
        r = mdm_result_make(p, MDM_MSG_CRYPTO, "CA certificates: %s", mdm_openssl_reason(p));
    if (r.kind == MDM_OK)
        r = mdm_scep_certs_only(p, settings->responder->cert, rest, &der, &len);
    if (r.kind == MDM_OK)
        settings->ca_cert =
            (mdm_scep_reply_t){"application/x-x509-ca-ra-cert", (const char *)der, len};
    sk_X509_free(rest);
    return r;
}

static mdm_result_t make_next_ca_cert(apr_pool_t *p, mdm_scep_settings_t *settings)
{
    const mdm_signer_t *ca = mdm_ca_signer(settings->rules.ca);
    const mdm_signer_t signer = {ca->cert, ca->key, NULL};
    STACK_OF(X509) *rest;
    const unsigned char *bag, *der;
    apr_size_t bag_len, len;
    mdm_result_t r;

    if (settings->next == NULL)
        return mdm_result_ok();
    rest = sk_X509_dup(settings->next);
    if (rest == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "next CA: %s", mdm_openssl_reason(p));
    r = mdm_scep_certs_only(p, sk_X509_shift(rest), rest, &bag, &bag_len);
    sk_X509_free(rest);
    if (r.kind == MDM_OK)
        r = mdm_cms_sign(p, &signer, bag, bag_len, &der, &len);
    if (r.kind == MDM_OK)
        settings->next_ca_cert =
            (mdm_scep_reply_t){"application/x-x509-next-ca-cert", (const char *)der, len};
    return r;
}

mdm_result_t mdm_scep_prepare(apr_pool_t *p, mdm_scep_settings_t *settings)
{
    mdm_result_t r = make_ca_cert(p, settings);

    make_ca_caps(p, settings);
    if (r.kind == MDM_OK)
        r = make_next_ca_cert(p, settings);
    if (r.kind == MDM_OK)
        r = mdm_scep_decoy_make(p, settings->responder->key, &settings->decoy);
    return r;
}

mdm_result_t mdm_scep_decode_get(apr_pool_t *p, const char *parameter, const char **message,
                                 apr_size_t *len)
{
    const unsigned char *bytes;
    const char *why = mdm_base64_decode_query(p, parameter, &bytes, len);

    if (why != NULL)
        return mdm_result_make(p, MDM_MSG_SCEP_MESSAGE, "message= has %s", why);
    *message = (const char *)bytes;
    return mdm_result_ok();
}

/* --- PKIOperation --- */

/* One message, and what is to be sent for it if it is served. */
typedef struct turn_t {
    apr_pool_t *p;
    const mdm_scep_settings_t *settings;
    const mdm_world_t *world;
    mdm_scep_message_t *message;
    mdm_scep_facts_t *facts;
    X509 *cert;
    mdm_crl_t crl;
} turn_t;

static void tell(const turn_t *turn, const mdm_enrollment_t *row)
{
    turn->facts->enrollment = row->id;
    turn->facts->user = row->user;
    turn->facts->udid = row->udid;
    turn->facts->serial = row->serial;
}

static mdm_result_t find_member(const turn_t *turn, mdm_scep_member_t *member)
{
    mdm_result_t r = mdm_scep_find_member(turn->p, turn->settings->rules.trust, turn->world,
                                          turn->message->signer, member);

    if (r.kind == MDM_OK)
        tell(turn, member->row);
    return r;
}

static mdm_result_t open_request(const turn_t *turn, int member, mdm_scep_request_t *request)
{
    return mdm_scep_envelope_request(turn->p, turn->message, turn->settings->responder,
                                     turn->settings->allow, member ? &turn->settings->decoy : NULL,
                                     request);
}

static mdm_result_t renew(turn_t *turn, const mdm_scep_request_t *request,
                          const mdm_scep_member_t *member)
{
    mdm_scep_grant_t grant = {NULL, NULL};
    mdm_result_t r = mdm_scep_grant_renewal(turn->p, &turn->settings->rules, turn->world, request,
                                            member, &grant);

    turn->cert = grant.cert;
    return r;
}

static mdm_result_t renewal_req(turn_t *turn)
{
    mdm_scep_member_t member;
    mdm_scep_request_t request;
    mdm_result_t r = find_member(turn, &member);

    if (r.kind == MDM_OK)
        r = open_request(turn, 1, &request);
    return r.kind == MDM_OK ? renew(turn, &request, &member) : r;
}

/* Some clients that renew repeat the challenge that they were enrolled with. */
static int is_over(mdm_message_t challenge)
{
    return challenge == MDM_MSG_CHALLENGE_UNKNOWN || challenge == MDM_MSG_CHALLENGE_EXPIRED ||
           challenge == MDM_MSG_SCEP_CHALLENGE;
}

/* The challenge is what counts, whoever signed; but somebody of ours with another key, without a
 * challenge, or with one that is over, is an old client that renews (RFC 8894 section 2.3). */
static mdm_result_t pkcs_req(turn_t *turn)
{
    mdm_scep_member_t member;
    mdm_scep_grant_t grant = {NULL, NULL};
    mdm_scep_request_t request;
    mdm_result_t known = find_member(turn, &member), r;

    if (known.kind != MDM_OK && known.kind != MDM_REFUSED)
        return known;
    r = open_request(turn, known.kind == MDM_OK, &request);
    /* An identity of ours that ended is told so, whatever is in the envelope. */
    if ((r.message == MDM_MSG_SCEP_DECRYPT || r.message == MDM_MSG_SCEP_PROOF) &&
        known.kind == MDM_REFUSED && known.message != MDM_MSG_SCEP_SIGNER)
        return known;
    if (r.kind != MDM_OK)
        return r;
    if (known.kind == MDM_OK && (!request.own_key || request.secret == NULL))
        return renew(turn, &request, &member);
    r = mdm_scep_grant_challenge(turn->p, &turn->settings->rules, turn->world, &request, &grant);
    if (known.kind == MDM_OK && is_over(r.message))
        return renew(turn, &request, &member);
    if (grant.row != NULL)
        tell(turn, grant.row);
    turn->cert = grant.cert;
    return r;
}

static mdm_result_t open_subject(const turn_t *turn, const char **serial)
{
    const X509 *ca = mdm_ca_signer(turn->settings->rules.ca)->cert;

    return mdm_scep_envelope_subject(turn->p, turn->message, turn->settings->responder,
                                     turn->settings->allow, X509_get_subject_name(ca), serial);
}

static mdm_result_t no_certificate(const turn_t *turn, const char *what)
{
    return mdm_result_make(turn->p, MDM_MSG_SCEP_CERT_ID, "%s", what);
}

/* Nothing is ever left pending here, but a client whose reply was lost may poll, too. Who polls
 * must have the key of who asked. */
static mdm_result_t cert_poll(turn_t *turn)
{
    mdm_scep_grant_t grant = {NULL, NULL};
    const char *poll, *serial;
    mdm_result_t r = open_subject(turn, &serial);

    if (r.kind != MDM_OK)
        return r;
    poll = mdm_scep_poll_id(turn->p, turn->message);
    if (poll[0] == '\0')
        return mdm_sha256_failed(turn->p);
    r = mdm_scep_grant_again(turn->p, &turn->settings->rules, turn->world, poll, &grant);
    if (grant.row != NULL)
        tell(turn, grant.row);
    turn->cert = grant.cert;
    return r;
}

/* A certificate of this CA or of the one that issued the signer's own; only of the same enrollment.
 */
static mdm_result_t get_cert(turn_t *turn)
{
    const mdm_store_t *store = turn->world->store;
    mdm_certificate_t *seen = NULL;
    mdm_scep_member_t member;
    const char *serial;
    mdm_result_t r = find_member(turn, &member);

    if (r.kind == MDM_OK)
        r = open_subject(turn, &serial);
    if (r.kind == MDM_OK)
        r = store->certificate_by_serial(store->context, turn->p,
                                         mdm_ca_key_id(turn->settings->rules.ca), serial, &seen);
    if (r.kind == MDM_OK && seen == NULL)
        r = store->certificate_by_serial(store->context, turn->p, member.certificate->issuer,
                                         serial, &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen == NULL || strcmp(seen->enrollment, member.row->id) != 0)
        return no_certificate(turn,
                              apr_psprintf(turn->p, "enrollment %s has no certificate %s",
                                           member.row->id, mdm_result_quote_text(turn->p, serial)));
    return mdm_scep_recorded(turn->p, seen, &turn->cert);
}

/* The list is public, so anybody may ask. */
static mdm_result_t get_crl(turn_t *turn)
{
    const mdm_crl_source_t *source = turn->settings->crl;
    const char *serial;
    mdm_result_t r = open_subject(turn, &serial);

    if (r.kind != MDM_OK)
        return r;
    if (source == NULL)
        return mdm_result_make(turn->p, MDM_MSG_SCEP_NO_CRL,
                               "the CA certificate's keyUsage has no cRLSign");
    return source->get(source->context, turn->p, &turn->crl);
}

static const struct {
    mdm_scep_type_t type;
    const char *name;
    mdm_result_t (*serve)(turn_t *turn);
} services[] = {{MDM_SCEP_PKCS_REQ, "PKCSReq", pkcs_req},
                {MDM_SCEP_RENEWAL_REQ, "RenewalReq", renewal_req},
                {MDM_SCEP_CERT_POLL, "CertPoll", cert_poll},
                {MDM_SCEP_GET_CERT, "GetCert", get_cert},
                {MDM_SCEP_GET_CRL, "GetCRL", get_crl}};

static mdm_result_t serve(turn_t *turn)
{
    mdm_result_t r = mdm_scep_message_verify(turn->p, turn->message, turn->settings->allow);

    if (r.kind != MDM_OK)
        return r;
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (services[i].type == turn->message->type) {
            turn->facts->operation = services[i].name;
            return services[i].serve(turn);
        }
    }
    return mdm_result_make(turn->p, MDM_MSG_SCEP_MESSAGE_TYPE,
                           "messageType \"%s\", wanted are 19 (PKCSReq), 17 (RenewalReq), 20 "
                           "(CertPoll), 21 (GetCert) and 22 (GetCRL)",
                           mdm_result_quote_text(turn->p, turn->message->type_text));
}

/* The CertRep for what came of it. */
static mdm_result_t make_reply(const turn_t *turn, const mdm_result_t *result,
                               const unsigned char **der, apr_size_t *len)
{
    const mdm_signer_t *signer = turn->settings->responder;

    if (result->kind != MDM_OK)
        return mdm_scep_reply_failure(turn->p, turn->world, signer, turn->message, result, der,
                                      len);
    if (turn->cert == NULL)
        return mdm_scep_reply_crl(turn->p, turn->world, signer, turn->message, &turn->crl, der,
                                  len);
    turn->facts->certificate = mdm_x509_serial(turn->p, turn->cert);
    return mdm_scep_reply_success(turn->p, turn->world, signer, turn->message, turn->cert, der,
                                  len);
}

mdm_result_t mdm_scep_pki_operation(apr_pool_t *p, const mdm_scep_settings_t *settings,
                                    const mdm_world_t *world, const void *message, apr_size_t len,
                                    mdm_scep_reply_t *reply, mdm_scep_facts_t *facts)
{
    turn_t turn = {.p = p, .settings = settings, .world = world, .facts = facts};
    const unsigned char *der;
    apr_size_t der_len;
    mdm_result_t r, built;

    *reply = (mdm_scep_reply_t){.content_type = NULL};
    *facts = (mdm_scep_facts_t){"", "", "", "", "", "", ""};
    if (len > MDM_SCEP_MAX_BYTES)
        return mdm_result_make(p, MDM_MSG_SCEP_MESSAGE,
                               "%" APR_SIZE_T_FMT " bytes, at most %d are taken", len,
                               MDM_SCEP_MAX_BYTES);
    r = mdm_scep_message_open(p, message, len, &turn.message);
    if (r.kind != MDM_OK)
        return r;
    facts->transaction = mdm_result_quote_text(p, turn.message->transaction);
    r = serve(&turn);
    if (r.kind != MDM_OK && r.kind != MDM_REFUSED)
        return r;
    built = make_reply(&turn, &r, &der, &der_len);
    if (built.kind != MDM_OK)
        return built;
    *reply = (mdm_scep_reply_t){"application/x-pki-message", (const char *)der, der_len};
    return r;
}
