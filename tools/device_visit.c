/* SPDX-License-Identifier: Apache-2.0
 * An enrolled device that comes back to its SCEP server. Depends on device_http, device_report,
 * device_store, scep_ca.
 */
#include "device_visit.h"

#include <time.h>

#include <apr_strings.h>
#include <openssl/err.h>

const char *device_visit_time(apr_pool_t *p, const ASN1_TIME *time)
{
    char text[32];
    struct tm tm;

    if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1 ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        ERR_clear_error();
        return "";
    }
    return apr_pstrdup(p, text);
}

device_result_t device_visit_begin(device_visit_t *visit, apr_pool_t *p)
{
    device_report_t *report = &visit->report;

    device_report_step(report, "The device's identity in %s", visit->dir);
    device_result_t r = device_store_read(p, visit->dir, &visit->store);
    if (r.exit != DEVICE_OK)
        return r;
    if (visit->store.url == NULL)
        return device_fail(p, DEVICE_LOCAL,
                           "the identity in %s came as PKCS #12: there is no SCEP server to ask; "
                           "mdm-device update brings another one",
                           visit->dir);
    X509 *cert = visit->store.identity.cert;
    const char *serial = mdm_x509_serial(p, cert);
    const char *end = device_visit_time(p, X509_get0_notAfter(cert));
    device_report_line(report, REPORT_CHECKED, "%s, serial %s, until %s; SCEP server %s",
                       mdm_x509_subject(p, cert), serial, end, visit->store.url);
    device_report_fact(report, "subject", mdm_x509_subject(p, cert));
    device_report_fact(report, "serial", serial);
    device_report_fact(report, "not_after", end);
    return r;
}

scep_server_t device_visit_server(device_visit_t *visit, const char *label)
{
    return (scep_server_t){visit->http, &visit->report,   visit->save_dir,
                           label,       visit->store.url, visit->store.name};
}
