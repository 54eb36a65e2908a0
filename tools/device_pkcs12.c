/* SPDX-License-Identifier: Apache-2.0
 * PKCS #12 containers, by OpenSSL. Depends on device_profile, device_report, core's mdm_x509.
 */
#include "device_pkcs12.h"

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>

static device_result_t unacceptable(apr_pool_t *p, const char *why)
{
    return device_fail(p, DEVICE_UNACCEPTABLE, "com.apple.security.pkcs12: %s", why);
}

device_result_t device_pkcs12_open(apr_pool_t *p, const device_pkcs12_payload_t *payload,
                                   mdm_signer_t *identity)
{
    const unsigned char *at = (const unsigned char *)payload->der;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)payload->len);
    mdm_signer_t made = {NULL, NULL, NULL};
    const char *why = NULL;

    if (p12 == NULL || at != (const unsigned char *)payload->der + payload->len)
        why = "PayloadContent is no PKCS #12 container";
    else if (!PKCS12_parse(p12, payload->password, &made.key, &made.cert, &made.chain))
        why = apr_psprintf(p,
                           "Password does not open PayloadContent, or its algorithms are not "
                           "known: %s",
                           mdm_openssl_reason(p));
    PKCS12_free(p12);
    ERR_clear_error();
    mdm_x509_own_key(p, made.key);
    mdm_x509_own(p, made.cert);
    mdm_x509_own_stack(p, made.chain);
    if (why == NULL && (made.key == NULL || made.cert == NULL))
        why = "no key with its certificate in it";
    if (why == NULL && sk_X509_num(made.chain) > 0)
        why = "more than one certificate in it, wanted is one";
    if (why != NULL)
        return unacceptable(p, why);
    *identity = (mdm_signer_t){made.cert, made.key, NULL};
    return device_ok();
}
