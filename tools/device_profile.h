/* SPDX-License-Identifier: Apache-2.0
 * What a device reads out of a profile, and what it refuses in one ("Over-the-Air Profile Delivery
 * and Configuration"; Apple's device-management schemas). Depends on device_report and core's
 * mdm_plist.
 */
#ifndef DEVICE_PROFILE_H
#define DEVICE_PROFILE_H

#include <apr_pools.h>

#include "device_report.h"
#include "mdm_plist.h"

/* Nodes and texts live as long as the root they were read from. Every function answers
 * DEVICE_UNACCEPTABLE with the key, the value seen and the value wanted. */

/* Phase 1: the Profile Service profile. */
typedef struct device_service_t {
    const char *url;               /* https */
    const mdm_plist_t *attributes; /* array of strings, or NULL */
    const mdm_plist_t *challenge;  /* string or data, or NULL */
} device_service_t;

device_result_t device_profile_service(apr_pool_t *p, const mdm_plist_t *root,
                                       device_service_t *service);

/* A com.apple.security.scep payload. */
typedef struct device_scep_payload_t {
    const char *uuid;           /* PayloadUUID */
    const char *url;            /* http or https */
    const char *name;           /* NULL if there is none */
    const mdm_plist_t *subject; /* array of arrays of arrays [type, value], or NULL */
    const char *challenge;      /* NULL if there is none */
    int key_size;               /* bits */
    int key_usage;              /* 1 sign, 4 encrypt, 5 both, 0 unsaid */
    const char *fingerprint;    /* CAFingerprint, or NULL */
    apr_size_t fingerprint_len;
    int alternative_names; /* SubjectAltName is there */
} device_scep_payload_t;

/* Phase 2: a Configuration with exactly one payload, which gives an identity by SCEP. */
device_result_t device_profile_identity(apr_pool_t *p, const mdm_plist_t *root,
                                        device_scep_payload_t *scep);

/* Phase 3, the outside: a Configuration with either EncryptedPayloadContent (then *encrypted is
 * set) or, unencrypted, PayloadContent (then *payloads). */
device_result_t device_profile_enrollment(apr_pool_t *p, const mdm_plist_t *root,
                                          const char **encrypted, apr_size_t *encrypted_len,
                                          mdm_plist_t **payloads);

/* A com.apple.security.pkcs12 payload. */
typedef struct device_pkcs12_payload_t {
    const char *der;
    apr_size_t len;
    const char *password;
} device_pkcs12_payload_t;

/* How the identity for the MDM server comes. */
typedef enum { DEVICE_IDENTITY_SCEP, DEVICE_IDENTITY_PKCS12, DEVICE_IDENTITY_ACME } device_way_t;

/* Phase 3, the inside. */
typedef struct device_mdm_t {
    const char *server_url;
    const char *checkin_url; /* server_url if there is no CheckInURL */
    const char *topic;
    apr_uint64_t access_rights; /* 0 with EnrollmentMode BYOD */
    apr_size_t certificates;    /* how many roots and intermediates */
    device_way_t way;
    device_scep_payload_t identity; /* by SCEP */
    device_pkcs12_payload_t pkcs12; /* as PKCS #12 */
    const char *directory_url;      /* by ACME, which mdm-device does not speak */
} device_mdm_t;

device_result_t device_profile_payloads(apr_pool_t *p, const mdm_plist_t *payloads,
                                        device_mdm_t *mdm);

/* Put a note in the place of every secret: SCEP's challenges, ACME's client identifiers, passwords
 * and containers of PKCS #12, before a profile is shown. */
void device_profile_hide_secrets(mdm_plist_t *payloads);

#endif
