/* SPDX-License-Identifier: Apache-2.0
 * Renewal and roll-over. Depends on device_visit, scep_client.
 */
#include "device_renew.h"

#include <apr_strings.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "scep_client.h"

/* What to do about an answer of mod_mdm_enroll's, known by its text for the user. */
static const char *hint_for(apr_pool_t *p, const device_visit_t *visit, const char *reason)
{
    static const char *const again =
        "nothing can renew it any more: mdm-device enroll gets another";
    static const char *const user =
        "MDMEnrollRequire and the directory are asked again at a renewal";
    const struct {
        mdm_message_t message;
        const char *hint;
    } hints[] = {
        {MDM_MSG_SCEP_RENEWAL,
         apr_psprintf(p,
                      "the certificate ends at %s; MDMEnrollRenewal says how long before that "
                      "it can be renewed",
                      device_visit_time(p, X509_get0_notAfter(visit->store.identity.cert)))},
        {MDM_MSG_CERTIFICATE_REVOKED, again},
        {MDM_MSG_ENROLLMENT_STATE, again},
        {MDM_MSG_SCEP_SIGNER,
         "the certificate has ended, or its CA was replaced and is not in MDMEnrollIdentityCA"},
        {MDM_MSG_SCEP_TOO_MANY, "an enrollment gets ten certificates a day"},
        {MDM_MSG_POLICY_REFUSED, user},
        {MDM_MSG_DIRECTORY_NO_USER, user},
    };

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strstr(reason, mdm_result_make(p, hints[i].message, "%s", "").user) != NULL)
            return hints[i].hint;
    return NULL;
}

static device_result_t store(device_visit_t *visit, apr_pool_t *p, const mdm_signer_t *identity)
{
    device_report_t *report = &visit->report;
    const X509_NAME *before = X509_get_subject_name(visit->store.identity.cert);

    device_report_step(report, "The new identity takes the place of the old one");
    if (X509_NAME_cmp(before, X509_get_subject_name(identity->cert)) != 0) {
        device_report_line(report, REPORT_WARNING, "its subject is another one: %s, not %s",
                           mdm_x509_subject(p, identity->cert), mdm_x509_name(p, before));
    }
    device_result_t r = device_store_renewed(p, &visit->store, identity);
    if (r.exit != DEVICE_OK)
        return r;
    const char *serial = mdm_x509_serial(p, identity->cert);
    const char *end = device_visit_time(p, X509_get0_notAfter(identity->cert));
    device_report_line(report, REPORT_STORED,
                       "%s/mdm-identity.pem and .key: serial %s, until %s; the old ones are "
                       "mdm-identity.previous.pem and .key",
                       visit->dir, serial, end);
    device_report_fact(report, "new_serial", serial);
    device_report_fact(report, "new_issuer", mdm_x509_issuer(p, identity->cert));
    device_report_fact(report, "new_not_after", end);
    return r;
}

device_result_t device_renew(device_visit_t *visit, apr_pool_t *p, int force)
{
    scep_server_t server;
    mdm_signer_t identity;
    EVP_PKEY *key = NULL;
    int again = 0;
    device_result_t r = device_visit_begin(visit, p);

    if (r.exit != DEVICE_OK)
        return r;
    device_report_step(&visit->report, "SCEP: the device asks for another certificate with it");
    r = device_store_new_key(p, &visit->store, 0, &key, &again);
    if (r.exit == DEVICE_OK && again) {
        device_report_line(&visit->report, REPORT_CHECKED,
                           "mdm-identity.new.key is there: an earlier renewal that brought nothing "
                           "is repeated");
    }
    if (r.exit == DEVICE_OK) {
        server = device_visit_server(visit, "renew");
        r = scep_client_renew(&server, p, visit->store.trusted, &visit->store.identity, key, force,
                              &identity);
    }
    if (r.exit == DEVICE_REFUSED && r.hint == NULL)
        r.hint = hint_for(p, visit, r.reason);
    return r.exit == DEVICE_OK ? store(visit, p, &identity) : r;
}

/* --- roll-over --- */

static void show(device_visit_t *visit, apr_pool_t *p, X509 *cert)
{
    int is_ca = X509_check_ca(cert) > 0;
    const char *fingerprint = mdm_x509_fingerprint(p, cert);

    device_report_line(&visit->report, REPORT_CHECKED, "%s %s, from %s until %s, SHA-256 %s",
                       is_ca ? "CA" : "RA", mdm_x509_subject(p, cert),
                       device_visit_time(p, X509_get0_notBefore(cert)),
                       device_visit_time(p, X509_get0_notAfter(cert)), fingerprint);
    if (is_ca) {
        device_report_fact(&visit->report, "next_ca", mdm_x509_subject(p, cert));
        device_report_fact(&visit->report, "next_ca_sha256", fingerprint);
    }
}

device_result_t device_renew_next_ca(device_visit_t *visit, apr_pool_t *p)
{
    STACK_OF(X509) *next = NULL;
    scep_capabilities_t caps;
    device_result_t r = device_visit_begin(visit, p);

    if (r.exit != DEVICE_OK)
        return r;
    device_report_step(&visit->report, "SCEP: the CA that will follow");
    scep_server_t server = device_visit_server(visit, "next-ca");
    r = scep_server_capabilities(&server, p, &caps);
    if (r.exit == DEVICE_OK && !caps.next_ca) {
        r = device_fail(p, DEVICE_REFUSED,
                        "GetCACaps has no line \"GetNextCACert\": the server has no next CA");
        r.hint = "MDMEnrollNextCA names it";
    }
    if (r.exit == DEVICE_OK)
        r = scep_server_next(&server, p, visit->store.identity.chain, &next);
    if (r.exit == DEVICE_OK)
        r = device_store_next_ca(p, &visit->store, next);
    if (r.exit != DEVICE_OK)
        return r;
    for (int i = 0; i < sk_X509_num(next); i++)
        show(visit, p, sk_X509_value(next, i));
    device_report_line(&visit->report, REPORT_STORED, "%s/mdm-next-ca.pem: renew accepts it",
                       visit->dir);
    return r;
}
