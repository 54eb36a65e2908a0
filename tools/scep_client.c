/* SPDX-License-Identifier: Apache-2.0
 * SCEP exchanges as a client does them. Depends on scep_ca, scep_csr, scep_message.
 */
#include "scep_client.h"

#include <apr_strings.h>
#include <openssl/err.h>
#include <string.h>

#include "scep_csr.h"
#include "scep_message.h"

#define TYPE_PKI_MESSAGE "application/x-pki-message"

/* One exchange. */
typedef struct exchange_t {
    const scep_server_t *server;
    apr_pool_t *p;
    scep_authority_t ca;
    scep_capabilities_t caps;
    scep_transaction_t transaction;
    scep_opened_t opened;
} exchange_t;

static device_result_t check_fingerprint(apr_pool_t *p, const device_scep_payload_t *payload,
                                         X509 *top)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    const EVP_MD *digest = payload->fingerprint_len == 16   ? EVP_md5()
                           : payload->fingerprint_len == 20 ? EVP_sha1()
                           : payload->fingerprint_len == 32 ? EVP_sha256()
                                                            : NULL;

    if (payload->fingerprint == NULL)
        return device_ok();
    if (digest == NULL || X509_digest(top, digest, hash, &len) != 1 ||
        memcmp(hash, payload->fingerprint, len) != 0) {
        ERR_clear_error();
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "CAFingerprint is not the MD5, SHA-1 or SHA-256 of %s",
                           mdm_x509_subject(p, top));
    }
    return device_ok();
}

static const char *type_name(scep_type_t type)
{
    return type == SCEP_PKCS_REQ ? "PKCSReq" : type == SCEP_RENEWAL_REQ ? "RenewalReq" : "GetCRL";
}

static device_result_t post_message(const exchange_t *exchange, scep_type_t type,
                                    const char *message, apr_size_t len, device_reply_t *reply)
{
    const scep_server_t *server = exchange->server;
    apr_pool_t *p = exchange->p;
    const char *url;
    device_result_t r;

    if (exchange->caps.post) {
        r = device_http_set_query(p, server->url, "operation=PKIOperation", NULL, &url);
        if (r.exit == DEVICE_OK) {
            device_report_line(server->report, REPORT_SENT,
                               "POST %s: %s, %" APR_SIZE_T_FMT " bytes", url, type_name(type), len);
            r = device_http_post(server->http, p, url, TYPE_PKI_MESSAGE, message, len, reply);
        }
        return r;
    }
    char *base64 = apr_palloc(p, 4 * (len / 3 + 1) + 1);
    EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)message, (int)len);
    r = device_http_set_query(p, server->url, "operation=PKIOperation&message=", base64, &url);
    if (r.exit == DEVICE_OK) {
        device_report_line(server->report, REPORT_SENT,
                           "GET %s?operation=PKIOperation: %s, %" APR_SIZE_T_FMT " bytes",
                           server->url, type_name(type), len);
        r = device_http_get(server->http, p, url, reply);
    }
    return r;
}

static device_result_t receive(exchange_t *exchange, const device_reply_t *reply)
{
    const scep_server_t *server = exchange->server;
    apr_pool_t *p = exchange->p;

    device_report_line(server->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                       reply->status, reply->content_type, reply->len);
    device_result_t r = scep_server_keep(server, p, "reply.der", reply->body, reply->len);
    if (r.exit == DEVICE_OK && (reply->status == 401 || reply->status == 403))
        r = device_http_expect_ok(p, reply);
    if (r.exit == DEVICE_OK)
        r = device_http_expect_type(p, reply, TYPE_PKI_MESSAGE);
    if (r.exit == DEVICE_OK)
        r = scep_message_open(p, &exchange->transaction, exchange->ca.signer, reply->body,
                              reply->len, &exchange->opened);
    if (r.exit != DEVICE_OK)
        return r;
    device_report_line(server->report, REPORT_CHECKED,
                       "SUCCESS, signed by the %s; transactionID equal; envelope %s",
                       scep_authority_role(exchange->ca.signer), exchange->opened.cipher);
    if (exchange->opened.recipient_nonce_bad) {
        device_report_line(server->report, REPORT_WARNING,
                           "recipientNonce is not the request's senderNonce (a device does not "
                           "look; RFC 8894 wants it)");
    }
    return r;
}

/* PKIOperation with content in its envelope, to the checked reply. */
static device_result_t operate(exchange_t *exchange, scep_type_t type, const char *content,
                               apr_size_t content_len)
{
    const scep_peer_t peer = {exchange->ca.recipient, exchange->caps.digest, exchange->caps.cipher};
    apr_pool_t *p = exchange->p;
    device_reply_t reply;
    const char *message;
    apr_size_t len;
    device_result_t r = scep_message_request(p, &exchange->transaction, type, content, content_len,
                                             &peer, &message, &len);

    if (r.exit == DEVICE_OK)
        r = scep_server_keep(exchange->server, p, "request.der", message, len);
    if (r.exit == DEVICE_OK)
        r = post_message(exchange, type, message, len, &reply);
    return r.exit == DEVICE_OK ? receive(exchange, &reply) : r;
}

/* The certificate in the reply chains now to the anchors; the CA's certificates become its chain.
 */
static device_result_t take_issued(const exchange_t *exchange, const STACK_OF(X509) *anchors,
                                   mdm_signer_t *identity)
{
    apr_pool_t *p = exchange->p;
    scep_issued_t issued;
    const char *why;
    device_result_t r = scep_message_issued(p, &exchange->transaction, &exchange->opened, &issued);

    if (r.exit != DEVICE_OK)
        return r;
    if (!scep_authority_chains(p, anchors, exchange->ca.certificates, issued.certificate, &why)) {
        return device_fail(
            p, DEVICE_UNACCEPTABLE, "the issued certificate %s does not chain to %s: %s",
            mdm_x509_subject(p, issued.certificate), mdm_x509_subject(p, exchange->ca.top), why);
    }
    device_report_line(exchange->server->report, REPORT_CHECKED,
                       "certificate 0 of %d is for this device's key and chains to the CA: %s, "
                       "serial %s",
                       issued.certificates, mdm_x509_subject(p, issued.certificate),
                       mdm_x509_serial(p, issued.certificate));
    *identity =
        (mdm_signer_t){issued.certificate, exchange->transaction.key, exchange->ca.certificates};
    return r;
}

device_result_t scep_client_enroll(const scep_server_t *server, apr_pool_t *p,
                                   const device_scep_payload_t *payload, EVP_PKEY *key,
                                   mdm_signer_t *identity)
{
    exchange_t exchange = {.server = server, .p = p};
    const char *csr;
    apr_size_t len;

    if (payload->alternative_names) {
        device_report_line(server->report, REPORT_WARNING,
                           "SubjectAltName: a device asks for it, mdm-device does not");
    }
    device_result_t r = scep_server_authority(server, p, &exchange.ca);
    if (r.exit == DEVICE_OK)
        r = check_fingerprint(p, payload, exchange.ca.top);
    if (r.exit == DEVICE_OK)
        r = scep_server_capabilities(server, p, &exchange.caps);
    if (r.exit == DEVICE_OK)
        r = scep_message_begin(p, key, NULL, &exchange.transaction);
    if (r.exit == DEVICE_OK)
        r = scep_csr_enroll(p, key, payload, &csr, &len);
    if (r.exit == DEVICE_OK)
        r = operate(&exchange, SCEP_PKCS_REQ, csr, len);
    if (r.exit != DEVICE_OK)
        return r;
    STACK_OF(X509) *top = sk_X509_new_null();
    if (sk_X509_push(top, exchange.ca.top) > 0)
        r = take_issued(&exchange, top, identity);
    else
        r = device_fail(p, DEVICE_LOCAL, "out of memory");
    sk_X509_free(top);
    return r;
}

/* GetCACert and GetCACaps, of somebody whom this device knows. */
static device_result_t meet(exchange_t *exchange, const STACK_OF(X509) *trusted)
{
    apr_pool_t *p = exchange->p;
    scep_authority_t *ca = &exchange->ca;
    const char *why;
    device_result_t r = scep_server_authority(exchange->server, p, ca);

    if (r.exit == DEVICE_OK &&
        (!scep_authority_chains(p, trusted, ca->certificates, ca->signer, &why) ||
         !scep_authority_chains(p, trusted, ca->certificates, ca->recipient, &why))) {
        r = device_fail(p, DEVICE_UNACCEPTABLE,
                        "GetCACert: %s does not chain to a CA that this device knows: %s",
                        mdm_x509_subject(p, ca->signer), why);
        r.hint = "a CA that follows another is known by mdm-device next-ca, before it does; "
                 "otherwise enroll again";
        return r;
    }
    if (r.exit == DEVICE_OK) {
        device_report_line(exchange->server->report, REPORT_CHECKED,
                           "chains to a CA that this device knows");
        r = scep_server_capabilities(exchange->server, p, &exchange->caps);
    }
    return r;
}

device_result_t scep_client_renew(const scep_server_t *server, apr_pool_t *p,
                                  const STACK_OF(X509) *trusted, const mdm_signer_t *old,
                                  EVP_PKEY *key, int force, mdm_signer_t *identity)
{
    exchange_t exchange = {.server = server, .p = p};
    const char *csr;
    apr_size_t len;
    device_result_t r = meet(&exchange, trusted);

    if (r.exit == DEVICE_OK && !exchange.caps.renewal && !force) {
        return device_fail(p, DEVICE_REFUSED,
                           "GetCACaps has no line \"Renewal\": the server does not renew "
                           "(MDMEnrollRenewal off?); --force asks it nevertheless");
    }
    if (r.exit == DEVICE_OK)
        r = scep_message_begin(p, key, old, &exchange.transaction);
    if (r.exit == DEVICE_OK)
        r = scep_csr_renew(p, key, old->cert, &csr, &len);
    if (r.exit == DEVICE_OK)
        r = operate(&exchange, SCEP_RENEWAL_REQ, csr, len);
    return r.exit == DEVICE_OK ? take_issued(&exchange, trusted, identity) : r;
}

device_result_t scep_client_crl(const scep_server_t *server, apr_pool_t *p,
                                const STACK_OF(X509) *trusted, const mdm_signer_t *member,
                                X509_CRL **crl)
{
    exchange_t exchange = {.server = server, .p = p};
    const char *name;
    apr_size_t len;
    device_result_t r = meet(&exchange, trusted);

    if (r.exit == DEVICE_OK)
        r = scep_message_begin(p, member->key, member, &exchange.transaction);
    if (r.exit == DEVICE_OK)
        r = scep_message_name(p, member->cert, &name, &len);
    if (r.exit == DEVICE_OK)
        r = operate(&exchange, SCEP_GET_CRL, name, len);
    return r.exit == DEVICE_OK ? scep_message_crl(p, &exchange.opened, crl) : r;
}
