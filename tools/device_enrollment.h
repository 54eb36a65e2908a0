/* SPDX-License-Identifier: Apache-2.0
 * What a device keeps of its enrollment, to come back for an update: the identity that signed phase
 * 3, where that was sent, and what was said in it. Depends on device_cms, device_report, core's
 * mdm_plist.
 */
#ifndef DEVICE_ENROLLMENT_H
#define DEVICE_ENROLLMENT_H

#include <apr_pools.h>

#include "device_cms.h"
#include "device_report.h"
#include "device_walk.h"
#include "mdm_plist.h"
#include "mdm_x509.h"

typedef struct device_enrollment_t {
    mdm_signer_t identity;
    const char *url;               /* of the device endpoint */
    const mdm_plist_t *attributes; /* array of strings: DeviceAttributes, or NULL */
    const char *identifier;        /* PayloadIdentifier of the enrollment profile */
    const char *user;
    device_shape_t shape;
    device_facts_t facts;
} device_enrollment_t;

/* As enrollment.key, .pem and .json in dir, replacing those of before. */
device_result_t device_enrollment_write(apr_pool_t *p, const char *dir,
                                        const device_enrollment_t *enrollment);

/* Read them; all of it is owned by p. DEVICE_LOCAL if one is not there. */
device_result_t device_enrollment_read(apr_pool_t *p, const char *dir,
                                       device_enrollment_t *enrollment);

#endif
