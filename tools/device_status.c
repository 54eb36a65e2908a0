/* SPDX-License-Identifier: Apache-2.0
 * Live, revoked or expired. Depends on device_visit, scep_client.
 */
#include "device_status.h"

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <strings.h>

#include "scep_client.h"

static apr_status_t crl_cleanup(void *crl)
{
    X509_CRL_free(crl);
    return APR_SUCCESS;
}

/* The first http or https URL in cRLDistributionPoints; NULL if there is none. */
static const char *named_url(apr_pool_t *p, X509 *cert)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
    const char *url = NULL;

    for (int i = 0; url == NULL && i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT_NAME *point = sk_DIST_POINT_value(points, i)->distpoint;
        const GENERAL_NAMES *names =
            point != NULL && point->type == 0 ? point->name.fullname : NULL;
        for (int k = 0; url == NULL && k < sk_GENERAL_NAME_num(names); k++) {
            int type;
            const ASN1_STRING *text =
                GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, k), &type);
            const char *one = type == GEN_URI
                                  ? apr_pstrmemdup(p, (const char *)ASN1_STRING_get0_data(text),
                                                   (apr_size_t)ASN1_STRING_length(text))
                                  : "";
            if (strncasecmp(one, "http://", 7) == 0 || strncasecmp(one, "https://", 8) == 0)
                url = one;
        }
    }
    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
    return url;
}

static device_result_t fetch(device_visit_t *visit, apr_pool_t *p, const char *url, X509_CRL **crl)
{
    const scep_server_t kept = device_visit_server(visit, "status");
    device_reply_t reply;

    device_report_line(&visit->report, REPORT_SENT, "GET %s", url);
    device_result_t r = device_http_get(visit->http, p, url, &reply);
    if (r.exit != DEVICE_OK)
        return r;
    device_report_line(&visit->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                       reply.status, reply.content_type, reply.len);
    r = scep_server_keep(&kept, p, "crl", reply.body, reply.len);
    if (r.exit == DEVICE_OK)
        r = device_http_expect_ok(p, &reply);
    if (r.exit != DEVICE_OK)
        return r;
    const unsigned char *at = (const unsigned char *)reply.body;
    *crl = d2i_X509_CRL(NULL, &at, (long)reply.len);
    if (*crl != NULL)
        apr_pool_cleanup_register(p, *crl, crl_cleanup, apr_pool_cleanup_null);
    if (*crl == NULL || at != (const unsigned char *)reply.body + reply.len) {
        ERR_clear_error();
        return device_fail(p, DEVICE_UNACCEPTABLE, "%s is not a CRL in DER", url);
    }
    return r;
}

/* OpenSSL's judgement of the identity by this list and its CA, now. */
static int judge(X509 *cert, X509 *issuer, X509_CRL *crl)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int error = X509_V_ERR_OUT_OF_MEM;

    if (store != NULL && ctx != NULL && X509_STORE_add_cert(store, issuer) == 1 &&
        X509_STORE_add_crl(store, crl) == 1 &&
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_CRL_CHECK) == 1 &&
        X509_STORE_CTX_init(ctx, store, cert, NULL) == 1)
        error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return error;
}

static void tell(device_visit_t *visit, const char *state, const char *more)
{
    device_report_line(&visit->report, REPORT_CHECKED, "%s%s", state, more);
    device_report_fact(&visit->report, "state", state);
}

/* RFC 5280 section 5.3.1. */
static const char *reason_name(const X509_REVOKED *entry)
{
    static const char *const names[] = {
        "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
        "superseded",    "cessationOfOperation", "certificateHold", NULL,
        "removeFromCRL", "privilegeWithdrawn",   "aACompromise"};
    ASN1_ENUMERATED *value = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    long code = value != NULL ? ASN1_ENUMERATED_get(value) : 0;

    ASN1_ENUMERATED_free(value);
    ERR_clear_error();
    return code >= 0 && code < (long)(sizeof(names) / sizeof(names[0])) && names[code] != NULL
               ? names[code]
               : "unknown";
}

static device_result_t revoked(device_visit_t *visit, apr_pool_t *p, X509_CRL *crl)
{
    X509_REVOKED *entry = NULL;

    if (X509_CRL_get0_by_cert(crl, &entry, visit->store.identity.cert) == 0 || entry == NULL)
        return device_fail_openssl(p, DEVICE_LOCAL, "the entry in the CRL");
    const char *when = device_visit_time(p, X509_REVOKED_get0_revocationDate(entry));
    const char *reason = reason_name(entry);
    tell(visit, "revoked", apr_psprintf(p, " at %s, reason %s", when, reason));
    device_report_fact(&visit->report, "revoked_at", when);
    device_report_fact(&visit->report, "revocation_reason", reason);
    device_result_t r =
        device_fail(p, DEVICE_REFUSED, "the identity was revoked at %s, reason %s", when, reason);
    r.hint = "mdm-device enroll gets another";
    return r;
}

static device_result_t decide(device_visit_t *visit, apr_pool_t *p, X509 *issuer, X509_CRL *crl)
{
    int error = judge(visit->store.identity.cert, issuer, crl);
    device_result_t r;

    device_report_line(&visit->report, REPORT_RECEIVED, "CRL of %s, from %s, next at %s",
                       mdm_x509_name(p, X509_CRL_get_issuer(crl)),
                       device_visit_time(p, X509_CRL_get0_lastUpdate(crl)),
                       device_visit_time(p, X509_CRL_get0_nextUpdate(crl)));
    if (error == X509_V_OK) {
        tell(visit, "live", ": the list of its CA does not have it");
        return device_ok();
    }
    if (error == X509_V_ERR_CERT_REVOKED)
        return revoked(visit, p, crl);
    r = device_fail(p, DEVICE_UNACCEPTABLE, "the CRL says nothing of the identity: %s",
                    X509_verify_cert_error_string(error));
    if (error == X509_V_ERR_UNABLE_TO_GET_CRL)
        r.hint =
            "it is the list of another CA; a CA that was replaced has none: renew the identity";
    return r;
}

/* What needs no list. */
static device_result_t check_dates(device_visit_t *visit, apr_pool_t *p)
{
    const X509 *cert = visit->store.identity.cert;
    const char *end = device_visit_time(p, X509_get0_notAfter(cert));
    device_result_t r = device_ok();

    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        tell(visit, "expired", apr_psprintf(p, " at %s", end));
        r = device_fail(p, DEVICE_REFUSED, "the identity expired at %s", end);
        r.hint = "mdm-device enroll gets another";
    } else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        tell(visit, "not yet valid", "");
        r = device_fail(p, DEVICE_REFUSED, "the identity is valid from %s on",
                        device_visit_time(p, X509_get0_notBefore(cert)));
    }
    return r;
}

device_result_t device_status(device_visit_t *visit, apr_pool_t *p, int by_scep)
{
    X509_CRL *crl = NULL;
    device_result_t r = device_visit_begin(visit, p);

    if (r.exit == DEVICE_OK)
        r = check_dates(visit, p);
    if (r.exit != DEVICE_OK)
        return r;
    const mdm_signer_t *identity = &visit->store.identity;
    const char *url = by_scep ? NULL : named_url(p, identity->cert);
    X509 *issuer = device_store_issuer(&visit->store);
    if (issuer == NULL) {
        return device_fail(p, DEVICE_LOCAL,
                           "%s/mdm-identity.ca.pem does not have the CA that issued the identity",
                           visit->dir);
    }
    device_report_step(&visit->report, "The revocation list, %s",
                       url != NULL ? "where the certificate says" : "by GetCRL");
    if (url != NULL) {
        r = fetch(visit, p, url, &crl);
    } else {
        const scep_server_t server = device_visit_server(visit, "status");
        r = scep_client_crl(&server, p, visit->store.trusted, identity, &crl);
    }
    return r.exit == DEVICE_OK ? decide(visit, p, issuer, crl) : r;
}
