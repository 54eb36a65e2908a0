/* SPDX-License-Identifier: Apache-2.0
 * The certificate requests (PKCS #10) of a device. Depends on device_profile and device_report.
 */
#ifndef SCEP_CSR_H
#define SCEP_CSR_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "device_profile.h"
#include "device_report.h"

/* As a payload says it: subject, challenge, key usage; DER in p. */
device_result_t scep_csr_enroll(apr_pool_t *p, EVP_PKEY *key, const device_scep_payload_t *payload,
                                const char **der, apr_size_t *len);

/* For the subject of an old certificate, without a challenge; DER in p. The same key and subject
 * give the same bytes. */
device_result_t scep_csr_renew(apr_pool_t *p, EVP_PKEY *key, const X509 *old, const char **der,
                               apr_size_t *len);

#endif
