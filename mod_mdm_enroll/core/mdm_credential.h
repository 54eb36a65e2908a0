/* SPDX-License-Identifier: Apache-2.0
 * What a profile says of the identity that a device is to get: by SCEP, by ACME, or as a PKCS #12
 * container; and the payload of each. Pure, as mdm_profile. mdm_identity makes them. Depends on
 * mdm_plist, mdm_schema.
 */
#ifndef MDM_CREDENTIAL_H
#define MDM_CREDENTIAL_H

#include <apr_pools.h>

#include "mdm_plist.h"
#include "mdm_schema.h"

struct mdm_profile_settings_t;

/* What a SCEP payload says of its server and asks it for. */
typedef struct mdm_credential_scep_t {
    const char *url;
    const char *challenge;            /* NULL: none */
    const char *name;                 /* Name, before what the settings say; or NULL */
    const unsigned char *fingerprint; /* CAFingerprint, or NULL */
    apr_size_t fingerprint_len;
} mdm_credential_scep_t;

/* What an ACME payload says. */
typedef struct mdm_credential_acme_t {
    const char *directory_url;
    const char *client_identifier;
    int rsa;  /* KeyType RSA, else ECSECPrimeRandom */
    int size; /* KeySize */
    int hardware_bound;
    int attest;
} mdm_credential_acme_t;

/* A key and its certificate, made here. */
typedef struct mdm_credential_pkcs12_t {
    const unsigned char *der; /* PKCS #12 */
    apr_size_t der_len;
    const char *password;
    const char *file_name; /* PayloadCertificateFileName */
} mdm_credential_pkcs12_t;

typedef enum {
    MDM_CREDENTIAL_SCEP,
    MDM_CREDENTIAL_ACME,
    MDM_CREDENTIAL_PKCS12
} mdm_credential_kind_t;

typedef struct mdm_credential_t {
    mdm_credential_kind_t kind;
    union {
        mdm_credential_scep_t scep;
        mdm_credential_acme_t acme;
        mdm_credential_pkcs12_t pkcs12;
    };
    /* In the subject that the device asks for, beside O; each may be NULL. Not for PKCS #12. */
    const char *unit;        /* OU */
    const char *common_name; /* CN; NULL: the UDID */
    const char *serial;      /* serialNumber */
    /* unit is in the subject, and common_name where it is not NULL, also where the settings have a
     * Subject */
    int unit_needed;
} mdm_credential_t;

/* Append its payload to an array. uuid is its PayloadUUID. MDM_MSG_TEXT. */
mdm_result_t mdm_credential_append(apr_pool_t *p, const struct mdm_profile_settings_t *settings,
                                   const mdm_schema_target_t *target, const char *uuid,
                                   const mdm_credential_t *credential, mdm_plist_t *payloads);

/* Overwrite what opens a key in such an array, once it was written out. */
void mdm_credential_wipe(const mdm_plist_t *payloads);

#endif
