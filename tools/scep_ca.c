/* SPDX-License-Identifier: Apache-2.0
 * Whom a SCEP client speaks to: certificates and capabilities of the server. Depends on device_cms,
 * device_http, device_identity, device_report.
 */
#include "scep_ca.h"

#include <apr_strings.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "device_cms.h"
#include "device_identity.h"

#define TYPE_CA_CERT "application/x-x509-ca-cert"
#define TYPE_CA_RA_CERT "application/x-x509-ca-ra-cert"
#define TYPE_NEXT_CA_CERT "application/x-x509-next-ca-cert"

device_result_t scep_server_keep(const scep_server_t *server, apr_pool_t *p, const char *what,
                                 const char *bytes, apr_size_t len)
{
    return device_file_keep(p, server->save_dir, apr_pstrcat(p, server->label, ".", what, NULL),
                            bytes, len);
}

/* The query items are set on the payload's URL: a query that was there is lost. */
static device_result_t operation_url(apr_pool_t *p, const scep_server_t *server,
                                     const char *operation, const char **url)
{
    if (server->name == NULL) {
        return device_http_set_query(p, server->url, apr_pstrcat(p, "operation=", operation, NULL),
                                     NULL, url);
    }
    return device_http_set_query(p, server->url,
                                 apr_pstrcat(p, "operation=", operation, "&message=", NULL),
                                 server->name, url);
}

/* GET of an operation, told and kept under a name. */
static device_result_t fetch(const scep_server_t *server, apr_pool_t *p, const char *operation,
                             const char *name, device_reply_t *reply)
{
    const char *url;
    device_result_t r = operation_url(p, server, operation, &url);

    if (r.exit == DEVICE_OK) {
        device_report_line(server->report, REPORT_SENT, "GET %s", url);
        r = device_http_get(server->http, p, url, reply);
    }
    if (r.exit == DEVICE_OK) {
        device_report_line(server->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                           reply->status, reply->content_type, reply->len);
        r = scep_server_keep(server, p, name, reply->body, reply->len);
    }
    if (r.exit == DEVICE_OK && (reply->status == 401 || reply->status == 403))
        r = device_http_expect_ok(p, reply);
    return r;
}

/* --- GetCACert --- */

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

static X509 *top_of(STACK_OF(X509) *certs, X509 *cert)
{
    X509 *top = cert, *next;

    /* at most as many steps as there are certificates: two could certify each other */
    for (int n = 0; n < sk_X509_num(certs) && (next = issuer_of(certs, top)) != NULL; n++)
        top = next;
    return top;
}

/* Those with an explicit keyUsage whose issuer is there, too, and which are CAs, or are none. */
static void choose_signer(scep_authority_t *ca, int of_cas)
{
    for (int i = 0; i < sk_X509_num(ca->certificates); i++) {
        X509 *cert = sk_X509_value(ca->certificates, i);
        if (cert == ca->top || !(X509_get_extension_flags(cert) & EXFLAG_KUSAGE) ||
            (X509_check_ca(cert) > 0) != of_cas)
            continue;
        if (ca->signer == NULL && X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE)
            ca->signer = cert;
        if (ca->recipient == NULL && X509_get_key_usage(cert) & KU_KEY_ENCIPHERMENT)
            ca->recipient = cert;
    }
}

/* An RA is a leaf, known by an explicit keyUsage, and by its issuer being there too; all chains end
 * in one root. An issuing CA below a root answers for itself where there is no such leaf. */
static device_result_t choose_ra(apr_pool_t *p, scep_authority_t *ca)
{
    for (int i = 0; i < sk_X509_num(ca->certificates); i++) {
        X509 *top = top_of(ca->certificates, sk_X509_value(ca->certificates, i));
        if (ca->top != NULL && X509_cmp(ca->top, top) != 0) {
            return device_fail(p, DEVICE_UNACCEPTABLE,
                               "the certificates of GetCACert end in two roots, %s and %s",
                               mdm_x509_subject(p, ca->top), mdm_x509_subject(p, top));
        }
        ca->top = top;
    }
    choose_signer(ca, 0);
    if (ca->signer == NULL && ca->recipient == NULL)
        choose_signer(ca, 1);
    if (ca->signer == NULL || ca->recipient == NULL) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "no certificate of GetCACert is issued by another of them and has an "
                           "explicit keyUsage with digitalSignature and keyEncipherment");
    }
    return device_ok();
}

static device_result_t decode_authority(apr_pool_t *p, const device_reply_t *reply,
                                        scep_authority_t *ca)
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

/* An issuing CA below a root answers in the place of an RA. */
const char *scep_authority_role(X509 *signer)
{
    return X509_check_ca(signer) > 0 ? "CA" : "RA";
}

device_result_t scep_server_authority(const scep_server_t *server, apr_pool_t *p,
                                      scep_authority_t *ca)
{
    device_reply_t reply;
    device_result_t r = fetch(server, p, "GetCACert", "ca", &reply);

    if (r.exit == DEVICE_OK)
        r = decode_authority(p, &reply, ca);
    if (r.exit == DEVICE_OK && EVP_PKEY_is_a(X509_get0_pubkey(ca->recipient), "RSA") != 1) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "GetCACert: %s has no RSA key; nothing can be encrypted to it",
                           mdm_x509_subject(p, ca->recipient));
    }
    if (r.exit == DEVICE_OK) {
        device_report_line(server->report, REPORT_CHECKED, "%s %s, RSA-%d",
                           scep_authority_role(ca->signer), mdm_x509_subject(p, ca->signer),
                           EVP_PKEY_get_bits(X509_get0_pubkey(ca->recipient)));
    }
    return r;
}

/* A store of CA certificates, each an end of chains; freed by the caller. NULL without memory. */
static X509_STORE *anchors_of(const STACK_OF(X509) *certs)
{
    X509_STORE *anchors = X509_STORE_new();
    int good = anchors != NULL && X509_STORE_set_purpose(anchors, X509_PURPOSE_ANY) == 1 &&
               X509_STORE_set_flags(anchors, X509_V_FLAG_PARTIAL_CHAIN) == 1;

    for (int i = 0; good && i < sk_X509_num(certs); i++)
        if (X509_check_ca(sk_X509_value(certs, i)) > 0)
            good = X509_STORE_add_cert(anchors, sk_X509_value(certs, i)) == 1;
    if (!good) {
        X509_STORE_free(anchors);
        return NULL;
    }
    return anchors;
}

int scep_authority_chains(apr_pool_t *p, const STACK_OF(X509) *anchors,
                          const STACK_OF(X509) *others, X509 *cert, const char **why)
{
    X509_STORE *store = anchors_of(anchors);
    int good = 0;

    *why = "out of memory";
    if (store != NULL)
        good = device_cms_chain(p, store, cert, others, why);
    X509_STORE_free(store);
    ERR_clear_error();
    return good;
}

/* --- GetCACaps --- */

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
static device_result_t choose_capabilities(apr_pool_t *p, const char *body,
                                           scep_capabilities_t *caps)
{
    caps->renewal = has_token(p, body, "Renewal");
    caps->next_ca = has_token(p, body, "GetNextCACert");
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

device_result_t scep_server_capabilities(const scep_server_t *server, apr_pool_t *p,
                                         scep_capabilities_t *caps)
{
    device_reply_t reply;
    device_result_t r = fetch(server, p, "GetCACaps", "caps", &reply);

    if (r.exit == DEVICE_OK)
        r = choose_capabilities(p, reply.body, caps);
    if (r.exit == DEVICE_OK) {
        device_report_line(server->report, REPORT_CHECKED, "chosen: %s, %s, %s",
                           OBJ_nid2sn(EVP_MD_get_type(caps->digest)),
                           OBJ_nid2sn(EVP_CIPHER_get_nid(caps->cipher)),
                           caps->post ? "POST" : "GET");
    }
    return r;
}

/* --- GetNextCACert --- */

/* The certificates inside, after the signature held and was a known CA's. */
static device_result_t open_next(apr_pool_t *p, const STACK_OF(X509) *known,
                                 const device_reply_t *reply, X509 **signer, STACK_OF(X509) **next)
{
    const char *content;
    apr_size_t len;
    device_result_t r = device_cms_verify(p, "the answer to GetNextCACert", reply->body, reply->len,
                                          &content, &len, signer, NULL);

    if (r.exit != DEVICE_OK)
        return r;
    int found = 0;
    for (int i = 0; i < sk_X509_num(known); i++)
        found |= X509_check_ca(sk_X509_value(known, i)) > 0 &&
                 X509_cmp(sk_X509_value(known, i), *signer) == 0;
    if (!found) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the answer to GetNextCACert is signed by %s, wanted the CA that this "
                           "device knows",
                           mdm_x509_subject(p, *signer));
    }
    CMS_ContentInfo *list = device_cms_decode(p, content, len, NID_pkcs7_signed);
    *next = list != NULL ? mdm_x509_own_stack(p, CMS_get1_certs(list)) : NULL;
    for (int i = 0; i < sk_X509_num(*next); i++)
        if (X509_check_ca(sk_X509_value(*next, i)) > 0)
            return device_ok();
    return device_fail(p, DEVICE_UNACCEPTABLE,
                       "the answer to GetNextCACert does not hold a certs-only SignedData with a "
                       "CA's certificate");
}

device_result_t scep_server_next(const scep_server_t *server, apr_pool_t *p,
                                 const STACK_OF(X509) *known, STACK_OF(X509) **next)
{
    device_reply_t reply;
    X509 *signer = NULL;
    device_result_t r = fetch(server, p, "GetNextCACert", "next-ca", &reply);

    if (r.exit == DEVICE_OK && reply.status != 200) {
        return device_fail(p, DEVICE_REFUSED,
                           "GetNextCACert: status %ld: the server has no next CA to tell of",
                           reply.status);
    }
    if (r.exit == DEVICE_OK)
        r = device_http_expect_type(p, &reply, TYPE_NEXT_CA_CERT);
    if (r.exit == DEVICE_OK)
        r = open_next(p, known, &reply, &signer, next);
    if (r.exit == DEVICE_OK) {
        device_report_line(server->report, REPORT_CHECKED,
                           "signed by the CA that this device knows, %s",
                           mdm_x509_subject(p, signer));
    }
    return r;
}
