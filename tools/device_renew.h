/* SPDX-License-Identifier: Apache-2.0
 * How a device's identity for the MDM server stays good without a new profile: renewal by SCEP, and
 * the roll-over of the CA (RFC 8894 sections 2.3, 2.9 and 4.7). Depends on device_visit,
 * scep_client.
 */
#ifndef DEVICE_RENEW_H
#define DEVICE_RENEW_H

#include <apr_pools.h>

#include "device_visit.h"

/* Get a new certificate for a new key with the one that is there, and store it in its place. force:
 * ask a server that does not say it renews. DEVICE_REFUSED has a hint for what mod_mdm_enroll
 * answers. */
device_result_t device_renew(device_visit_t *visit, apr_pool_t *p, int force);

/* Get the certificates of the CA that will follow, and store them: from then on a renewal accepts
 * that CA, too. DEVICE_REFUSED if the server has none. */
device_result_t device_renew_next_ca(device_visit_t *visit, apr_pool_t *p);

#endif
