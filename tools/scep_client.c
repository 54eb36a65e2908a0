/* SPDX-License-Identifier: Apache-2.0
 * One SCEP enrollment as Apple's devices do it. Depends on device_http, device_identity,
 * device_report, scep_message.
 */
#include "scep_client.h"

#include <apr_strings.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "device_cms.h"
#include "device_identity.h"
#include "scep_message.h"

#define TYPE_CA_CERT "application/x-x509-ca-cert"
#define TYPE_CA_RA_CERT "application/x-x509-ca-ra-cert"
#define TYPE_PKI_MESSAGE "application/x-pki-message"

/* Who answers. */
typedef struct authority_t {
    STACK_OF(X509) *certificates;
    X509 *top;       /* the root of them */
    X509 *signer;    /* must sign replies */
    X509 *recipient; /* requests are encrypted to it */
} authority_t;

typedef struct capabilities_t {
    int post;
    const EVP_MD *digest;
    const EVP_CIPHER *cipher;
} capabilities_t;

static device_result_t keep(const scep_client_t *client, apr_pool_t *p, const char *what,
                            const char *bytes, apr_size_t len)
{
    return device_file_keep(p, client->save_dir, apr_pstrcat(p, client->label, ".", what, NULL),
                            bytes, len);
}

/* The query items are set on the payload's URL: a query that was there is lost. */
static device_result_t operation_url(apr_pool_t *p, const device_scep_payload_t *payload,
                                     const char *operation, const char **url)
{
    if (payload->name == NULL) {
        return device_http_set_query(p, payload->url, apr_pstrcat(p, "operation=", operation, NULL),
                                     NULL, url);
    }
    return device_http_set_query(p, payload->url,
                                 apr_pstrcat(p, "operation=", operation, "&message=", NULL),
                                 payload->name, url);
}

static X509 *issuer_of(STACK_OF(X509) *certs, X509 *cert)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *candidate = sk_X509_value(certs, i);
        if (candidate != cert && X509_check_issued(candidate, cert) == X509_V_OK &&
            X509_verify(cert, X509_get0_pubkey(candidate)) == 1)
            return candidate;
    }
    ERR_clear_error();
    return NULL;
}

/* An RA is known by an explicit keyUsage, and by its issuer being there too; all chains end in one
 * root. */
static device_result_t choose_ra(apr_pool_t *p, authority_t *ca)
{
    for (int i = 0; i < sk_X509_num(ca->certificates); i++) {
        X509 *cert = sk_X509_value(ca->certificates, i), *top = cert, *next;
        /* at most as many steps as there are certificates: two could certify each other */
        for (int n = 0;
             n < sk_X509_num(ca->certificates) && (next = issuer_of(ca->certificates, top)) != NULL;
             n++)
            top = next;
        if (ca->top != NULL && X509_cmp(ca->top, top) != 0) {
            return device_fail(p, DEVICE_UNACCEPTABLE,
                               "the certificates of GetCACert end in two roots, %s and %s",
                               mdm_x509_subject(p, ca->top), mdm_x509_subject(p, top));
        }
        ca->top = top;
        if (top == cert || !(X509_get_extension_flags(cert) & EXFLAG_KUSAGE))
            continue;
        if (ca->signer == NULL && X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE)
            ca->signer = cert;
        if (ca->recipient == NULL && X509_get_key_usage(cert) & KU_KEY_ENCIPHERMENT)
            ca->recipient = cert;
    }
    if (ca->signer == NULL || ca->recipient == NULL) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "no certificate of GetCACert is issued by another of them and has an "
                           "explicit keyUsage with digitalSignature and keyEncipherment");
    }
    return device_ok();
}

static device_result_t decode_authority(apr_pool_t *p, const device_reply_t *reply, authority_t *ca)
{
    memset(ca, 0, sizeof(*ca));
    if (strcmp(reply->content_type, TYPE_CA_CERT) == 0) {
        mdm_result_t r = mdm_x509_decode(p, reply->body, reply->len, &ca->top);
        ca->certificates = mdm_x509_own_stack(p, sk_X509_new_null());
        if (r.kind != MDM_OK)
            return device_fail_core(p, DEVICE_UNACCEPTABLE, "GetCACert", r);
        if (ca->certificates == NULL || X509_up_ref(ca->top) != 1 ||
            sk_X509_push(ca->certificates, ca->top) <= 0)
            return device_fail(p, DEVICE_LOCAL, "out of memory");
        ca->signer = ca->recipient = ca->top;
        return device_ok();
    }
    if (strcmp(reply->content_type, TYPE_CA_RA_CERT) != 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "GetCACert: Content-Type is \"%s\" (status %ld), wanted \"" TYPE_CA_CERT
                           "\" or \"" TYPE_CA_RA_CERT "\"",
                           reply->content_type, reply->status);
    }
    CMS_ContentInfo *list = device_cms_decode(p, reply->body, reply->len, NID_pkcs7_signed);
    ca->certificates = list != NULL ? mdm_x509_own_stack(p, CMS_get1_certs(list)) : NULL;
    if (sk_X509_num(ca->certificates) < 1) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "GetCACert: the answer is not a certs-only SignedData");
    }
    return choose_ra(p, ca);
}

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

/* An issuing CA below a root answers in the place of an RA. */
static const char *role(X509 *signer)
{
    return X509_check_ca(signer) > 0 ? "CA" : "RA";
}

/* GET of an operation, told and kept under a name. */
static device_result_t fetch(const scep_client_t *client, apr_pool_t *p,
                             const device_scep_payload_t *payload, const char *operation,
                             const char *name, device_reply_t *reply)
{
    const char *url;
    device_result_t r = operation_url(p, payload, operation, &url);

    if (r.exit == DEVICE_OK) {
        device_report_line(client->report, REPORT_SENT, "GET %s", url);
        r = device_http_get(client->http, p, url, reply);
    }
    if (r.exit == DEVICE_OK) {
        device_report_line(client->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                           reply->status, reply->content_type, reply->len);
        r = keep(client, p, name, reply->body, reply->len);
    }
    return r;
}

static device_result_t get_authority(const scep_client_t *client, apr_pool_t *p,
                                     const device_scep_payload_t *payload, authority_t *ca)
{
    device_reply_t reply;
    device_result_t r = fetch(client, p, payload, "GetCACert", "ca", &reply);

    if (r.exit == DEVICE_OK && (reply.status == 401 || reply.status == 403))
        r = device_http_expect_ok(p, &reply);
    if (r.exit == DEVICE_OK)
        r = decode_authority(p, &reply, ca);
    if (r.exit == DEVICE_OK)
        r = check_fingerprint(p, payload, ca->top);
    if (r.exit == DEVICE_OK && EVP_PKEY_is_a(X509_get0_pubkey(ca->recipient), "RSA") != 1) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "GetCACert: %s has no RSA key; nothing can be encrypted to it",
                           mdm_x509_subject(p, ca->recipient));
    }
    if (r.exit == DEVICE_OK) {
        device_report_line(client->report, REPORT_CHECKED, "%s %s, RSA-%d", role(ca->signer),
                           mdm_x509_subject(p, ca->signer),
                           EVP_PKEY_get_bits(X509_get0_pubkey(ca->recipient)));
    }
    return r;
}

static int has_token(apr_pool_t *p, const char *body, const char *token)
{
    char *state = NULL;

    for (char *line = apr_strtok(apr_pstrdup(p, body), "\r\n", &state); line != NULL;
         line = apr_strtok(NULL, "\r\n", &state))
        if (strcmp(line, token) == 0)
            return 1;
    return 0;
}

/* Strongest first; an empty list means SHA-1, 3DES and GET, one without any SHA is an error. */
static device_result_t choose_capabilities(apr_pool_t *p, const char *body, capabilities_t *caps)
{
    caps->post = has_token(p, body, "POSTPKIOperation");
    caps->cipher = has_token(p, body, "AES") ? EVP_aes_128_cbc() : EVP_des_ede3_cbc();
    caps->digest = has_token(p, body, "SHA-512")                    ? EVP_sha512()
                   : has_token(p, body, "SHA-256")                  ? EVP_sha256()
                   : has_token(p, body, "SHA-1") || body[0] == '\0' ? EVP_sha1()
                                                                    : NULL;
    if (caps->digest == NULL) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "GetCACaps has none of the lines SHA-512, SHA-256, SHA-1");
    }
    return device_ok();
}

static device_result_t get_capabilities(const scep_client_t *client, apr_pool_t *p,
                                        const device_scep_payload_t *payload, capabilities_t *caps)
{
    device_reply_t reply;
    device_result_t r = fetch(client, p, payload, "GetCACaps", "caps", &reply);

    if (r.exit == DEVICE_OK)
        r = choose_capabilities(p, reply.body, caps);
    if (r.exit == DEVICE_OK) {
        device_report_line(client->report, REPORT_CHECKED, "chosen: %s, %s, %s",
                           OBJ_nid2sn(EVP_MD_get_type(caps->digest)),
                           OBJ_nid2sn(EVP_CIPHER_get_nid(caps->cipher)),
                           caps->post ? "POST" : "GET");
    }
    return r;
}

static device_result_t exchange(const scep_client_t *client, apr_pool_t *p,
                                const device_scep_payload_t *payload, const capabilities_t *caps,
                                const char *message, apr_size_t len, device_reply_t *reply)
{
    const char *url;
    device_result_t r;

    if (caps->post) {
        r = device_http_set_query(p, payload->url, "operation=PKIOperation", NULL, &url);
        if (r.exit == DEVICE_OK) {
            device_report_line(client->report, REPORT_SENT,
                               "POST %s: PKCSReq, %" APR_SIZE_T_FMT " bytes", url, len);
            r = device_http_post(client->http, p, url, TYPE_PKI_MESSAGE, message, len, reply);
        }
        return r;
    }
    char *base64 = apr_palloc(p, 4 * (len / 3 + 1) + 1);
    EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)message, (int)len);
    r = device_http_set_query(p, payload->url, "operation=PKIOperation&message=", base64, &url);
    if (r.exit == DEVICE_OK) {
        device_report_line(client->report, REPORT_SENT,
                           "GET %s?operation=PKIOperation: PKCSReq, %" APR_SIZE_T_FMT " bytes",
                           payload->url, len);
        r = device_http_get(client->http, p, url, reply);
    }
    return r;
}

/* The issued certificate chains to the CA now; the CA's other certificates become its chain. */
static device_result_t check_issued(apr_pool_t *p, const authority_t *ca,
                                    const scep_issued_t *issued)
{
    X509_STORE *anchors = X509_STORE_new();
    const char *why = "out of memory";
    int good = anchors != NULL && X509_STORE_add_cert(anchors, ca->top) == 1 &&
               X509_STORE_set_purpose(anchors, X509_PURPOSE_ANY) == 1 &&
               X509_STORE_set_flags(anchors, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
               device_cms_chain(p, anchors, issued->certificate, ca->certificates, &why);

    X509_STORE_free(anchors);
    if (!good) {
        return device_fail(
            p, DEVICE_UNACCEPTABLE, "the issued certificate %s does not chain to %s: %s",
            mdm_x509_subject(p, issued->certificate), mdm_x509_subject(p, ca->top), why);
    }
    return device_ok();
}

static device_result_t read_reply(const scep_client_t *client, apr_pool_t *p, const authority_t *ca,
                                  const scep_transaction_t *transaction,
                                  const device_reply_t *reply, scep_issued_t *issued)
{
    device_report_line(client->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                       reply->status, reply->content_type, reply->len);
    device_result_t r = keep(client, p, "reply.der", reply->body, reply->len);
    if (r.exit == DEVICE_OK && (reply->status == 401 || reply->status == 403))
        r = device_http_expect_ok(p, reply);
    if (r.exit == DEVICE_OK)
        r = device_http_expect_type(p, reply, TYPE_PKI_MESSAGE);
    if (r.exit == DEVICE_OK)
        r = scep_message_open(p, transaction, ca->signer, reply->body, reply->len, issued);
    if (r.exit == DEVICE_OK)
        r = check_issued(p, ca, issued);
    if (r.exit != DEVICE_OK)
        return r;
    device_report_line(client->report, REPORT_CHECKED,
                       "SUCCESS, signed by the %s; transactionID equal; envelope %s",
                       role(ca->signer), issued->cipher);
    if (issued->recipient_nonce_bad) {
        device_report_line(client->report, REPORT_WARNING,
                           "recipientNonce is not the request's senderNonce (a device does not "
                           "look; RFC 8894 wants it)");
    }
    device_report_line(client->report, REPORT_CHECKED,
                       "certificate 0 of %d is for this device's key and chains to the CA: %s, "
                       "serial %s",
                       issued->certificates, mdm_x509_subject(p, issued->certificate),
                       mdm_x509_serial(p, issued->certificate));
    return r;
}

device_result_t scep_client_enroll(const scep_client_t *client, apr_pool_t *p,
                                   const device_scep_payload_t *payload, EVP_PKEY *key,
                                   mdm_signer_t *identity)
{
    authority_t ca;
    capabilities_t caps;
    scep_transaction_t transaction;
    scep_issued_t issued;
    device_reply_t reply;
    const char *message;
    apr_size_t len;

    if (payload->alternative_names) {
        device_report_line(client->report, REPORT_WARNING,
                           "SubjectAltName: a device asks for it, mdm-device does not");
    }
    device_result_t r = get_authority(client, p, payload, &ca);
    if (r.exit == DEVICE_OK)
        r = get_capabilities(client, p, payload, &caps);
    if (r.exit == DEVICE_OK)
        r = scep_message_begin(p, key, &transaction);
    if (r.exit == DEVICE_OK) {
        r = scep_message_request(p, &transaction, payload, ca.recipient, caps.digest, caps.cipher,
                                 &message, &len);
    }
    if (r.exit == DEVICE_OK)
        r = keep(client, p, "request.der", message, len);
    if (r.exit == DEVICE_OK)
        r = exchange(client, p, payload, &caps, message, len, &reply);
    if (r.exit == DEVICE_OK)
        r = read_reply(client, p, &ca, &transaction, &reply, &issued);
    if (r.exit != DEVICE_OK)
        return r;
    identity->cert = issued.certificate;
    identity->key = key;
    identity->chain = ca.certificates;
    return device_ok();
}
