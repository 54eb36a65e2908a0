/* SPDX-License-Identifier: Apache-2.0
 * The issuing CA: certificates whose every field is ours; only the public key comes from the
 * request. Depends on mdm_x509, mdm_enrollment.
 */
#ifndef MDM_CA_H
#define MDM_CA_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <openssl/x509.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_x509.h"

/* Built once at start, read-only afterwards, shared by all threads. */
typedef struct mdm_ca_t mdm_ca_t;

/* Longest organization, in characters of UTF-8 (ub-organization-name of RFC 5280 appendix A). The
 * configuration checks it, so that no device is the first to find out. */
#define MDM_CA_MAX_ORGANIZATION 64

/* Longest name in a subjectAltName, in bytes. */
#define MDM_CA_MAX_ALT_NAME 255

/* A name for subjectAltName beside the enrollment's own: its type (GEN_URI, GEN_DNS or GEN_EMAIL)
 * and its text, in which %{MDM_UDID}, %{MDM_SERIAL}, %{MDM_USER} and %{MDM_PRODUCT} stand for the
 * row's. */
typedef struct mdm_alt_name_t {
    int type;
    const char *text;
} mdm_alt_name_t;

/* Check type ("URI", "DNS", "email") and text of such a name. NULL, or what is wrong with it. */
const char *mdm_ca_alt_name(apr_pool_t *p, const char *type, const char *text,
                            mdm_alt_name_t *name);

/* What is the same in all certificates. Must outlive the CA. */
typedef struct mdm_ca_settings_t {
    const mdm_signer_t *signer;          /* the CA's certificate, key and chain */
    int responder;                       /* it answers SCEP messages itself */
    const char *organization;            /* 1 to MDM_CA_MAX_ORGANIZATION characters of UTF-8 */
    apr_int64_t validity;                /* seconds */
    const char *crl_url;                 /* NULL: certificates name no CRL */
    const apr_array_header_t *alt_names; /* mdm_alt_name_t; may be NULL */
} mdm_ca_settings_t;

/* Check a CA certificate and key for what they must do here: basicConstraints CA:TRUE; keyUsage,
 * where present, with keyCertSign, and for a responder digitalSignature and keyEncipherment; a key
 * of RSA, 2048 to 8192 bits, or (no responder, since devices encrypt to RSA keys only) on P-256,
 * P-384 or P-521; the key belongs to the certificate. Its dates count when it issues.
 * MDM_MSG_CONFIGURATION with what is wanted otherwise, MDM_MSG_CRYPTO if OpenSSL fails. */
mdm_result_t mdm_ca_create(apr_pool_t *p, const mdm_ca_settings_t *settings, mdm_ca_t **ca);

/* Check what shall answer SCEP messages in the CA's stead: issued by it, CA:FALSE, keyUsage with
 * digitalSignature and keyEncipherment, RSA of 2048 to 8192 bits, its key belongs to it, and is not
 * the CA's. MDM_MSG_CONFIGURATION otherwise. */
mdm_result_t mdm_ca_check_ra(apr_pool_t *p, const mdm_ca_t *ca, const mdm_signer_t *ra);

/* The CA's own certificate, key and chain, and mdm_x509_key_id() of it. */
const mdm_signer_t *mdm_ca_signer(const mdm_ca_t *ca);
const char *mdm_ca_key_id(const mdm_ca_t *ca);

/* How long its certificates are valid, in seconds, unless it ends before. */
apr_int64_t mdm_ca_validity(const mdm_ca_t *ca);

/* 1 if its keyUsage, where present, lets it sign CRLs. */
int mdm_ca_signs_crls(const mdm_ca_t *ca);

/* What a CA's CRL needs in each: its authorityKeyIdentifier. Only to be copied from. */
X509_EXTENSION *mdm_ca_authority_key(const mdm_ca_t *ca);

/* Issue a certificate for an enrollment's device, over an RSA key or one on a named curve. Subject:
 * O=organization, OU="Enrollment" (MDM_PURPOSE_IDENTITY) or "MDM", CN=UDID, serialNumber=SERIAL.
 * Extensions: basicConstraints CA:FALSE critical; keyUsage digitalSignature, with RSA
 * keyEncipherment, critical; extKeyUsage clientAuth; SKI; AKI; subjectAltName
 * URI:urn:mdm-enroll:<enrollment id> and the alt_names; cRLDistributionPoints if there is a
 * crl_url. Serial number: 20 octets, positive, 158 random bits (the second highest is always set,
 * so that none is shorter). Valid from 5 minutes ago (clocks differ) for validity seconds, never
 * past the CA's own end. SHA-256. *cert is owned by p; its key is only there in its encoding
 * (X509_get0_pubkey() gives NULL until it is decoded anew). MDM_MSG_CA_ISSUE, MDM_MSG_CA_ALT_NAME
 * or MDM_MSG_RANDOM. */
mdm_result_t mdm_ca_issue(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                          const mdm_enrollment_t *row, mdm_purpose_t purpose, X509_PUBKEY *key,
                          X509 **cert);

#endif
