/* SPDX-License-Identifier: Apache-2.0
 * What a device says of itself in phases 2 and 3. Depends on mdm_plist.
 */
#ifndef MDM_DEVICE_H
#define MDM_DEVICE_H

#include <apr_pools.h>

#include "mdm_result.h"

/* Device attributes as text, "" where the device did not say or said an empty string; never NULL.
 * Names as in Apple's "Over-the-Air Profile Delivery and Configuration". All but udid, serial and
 * challenge are hints for policy and logs: a signature shows that some Apple device said so, no
 * more. */
typedef struct mdm_device_t {
    const char *udid;       /* UDID */
    const char *serial;     /* SERIAL */
    const char *product;    /* PRODUCT, e.g. "iPhone17,2" */
    const char *version;    /* VERSION: the build, e.g. "22B83" */
    const char *os_version; /* OS_VERSION, e.g. "18.1" */
    const char *challenge;  /* CHALLENGE: a secret; never logged, never stored */
} mdm_device_t;

/* Longest value of an attribute, in bytes, the challenge included. */
#define MDM_DEVICE_MAX_VALUE 512

/* Longest UDID and SERIAL, in bytes. */
#define MDM_DEVICE_MAX_IDENTIFIER 64

/* Read the verified content of a message: an XML property list, one flat dictionary of scalars
 * (genuine Macs send booleans and empty strings beside strings); unknown keys are ignored.
 * CHALLENGE may be a string or data. MDM_MSG_PLIST_* otherwise. Everything is allocated in p. */
mdm_result_t mdm_device_parse(apr_pool_t *p, const char *content, apr_size_t len,
                              mdm_device_t **device);

/* UDID and SERIAL are there, of printable ASCII without blanks, and not too long; else
 * MDM_MSG_DEVICE_IDENTITY_MISSING. */
mdm_result_t mdm_device_check(apr_pool_t *p, const mdm_device_t *device);

/* A device as an enrollment remembers it, in p. The strings are kept as they are. */
const mdm_device_t *mdm_device_known(apr_pool_t *p, const char *udid, const char *serial,
                                     const char *product, const char *os_version);

#endif
