/* SPDX-License-Identifier: Apache-2.0
 * An identity out of a PKCS #12 container, as a device imports it (RFC 7292). Depends on
 * device_profile, device_report, core's mdm_x509.
 */
#ifndef DEVICE_PKCS12_H
#define DEVICE_PKCS12_H

#include <apr_pools.h>

#include "device_profile.h"
#include "device_report.h"
#include "mdm_x509.h"

/* The key and the one certificate in it, which belong together; no chain. Owned by p.
 * DEVICE_UNACCEPTABLE if the password does not open it or there is anything else in it. */
device_result_t device_pkcs12_open(apr_pool_t *p, const device_pkcs12_payload_t *payload,
                                   mdm_signer_t *identity);

#endif
