/* SPDX-License-Identifier: Apache-2.0
 * Whether a device's identity for the MDM server is still good: dates, and the CA's revocation list
 * (RFC 5280 section 6.3). Depends on device_visit, scep_client.
 */
#ifndef DEVICE_STATUS_H
#define DEVICE_STATUS_H

#include <apr_pools.h>

#include "device_visit.h"

/* Find out: DEVICE_OK if it is live, DEVICE_REFUSED if it was revoked, has ended or has not begun.
 * The list is the one that the certificate names, or with by_scep, or if it names none, the answer
 * to GetCRL; its signature must be that of the CA that issued the certificate, and its time not
 * over. Where there is no such list, nothing is known, and that is an error of its own. */
device_result_t device_status(device_visit_t *visit, apr_pool_t *p, int by_scep);

#endif
