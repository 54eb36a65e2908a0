/* SPDX-License-Identifier: Apache-2.0
 * Cryptographic Message Syntax as a device uses it, on OpenSSL alone: core's mdm_cms made what is
 * checked here. Depends on device_report and core's mdm_x509.
 */
#ifndef DEVICE_CMS_H
#define DEVICE_CMS_H

#include <apr_pools.h>
#include <openssl/cms.h>
#include <openssl/x509.h>

#include "device_report.h"
#include "mdm_x509.h"

/* How a message is built. */
typedef enum {
    DEVICE_SHAPE_IPHONE, /* signedAttrs with signingTime, the chain in the bag, indefinite lengths
                          */
    DEVICE_SHAPE_MAC     /* no signedAttrs, the leaf alone, DER */
} device_shape_t;

/* The certificates that a device trusts: those of a PEM file, whatever they are (a server's own
 * certificate will do), or the system's when ca_file is NULL. Owned by p. */
device_result_t device_cms_anchors(apr_pool_t *p, const char *ca_file, X509_STORE **anchors);

/* A profile out of its envelope. */
typedef struct device_signed_t {
    const char *content; /* NUL-terminated */
    apr_size_t len;
    X509 *signer;      /* owned by the pool; NULL: not signed at all */
    const char *doubt; /* NULL: the device shows "Verified"; else why it does not */
} device_signed_t;

/* Open a profile, signed or not. A signature that does not hold is DEVICE_UNACCEPTABLE; a signer
 * that is not trusted is only a doubt. */
device_result_t device_cms_open(apr_pool_t *p, X509_STORE *anchors, const char *message,
                                apr_size_t len, device_signed_t *opened);

/* SignedData with attached content; allocated in p. */
device_result_t device_cms_sign(apr_pool_t *p, const mdm_signer_t *signer, device_shape_t shape,
                                const EVP_MD *digest, const char *content, apr_size_t len,
                                const char **message, apr_size_t *message_len);

/* Open an EnvelopedData: RSA key transport (PKCS#1 v1.5) to this certificate, named by issuer and
 * serial number, and a block cipher that Apple's decoder knows. *cipher is its name. */
device_result_t device_cms_decrypt(apr_pool_t *p, X509 *recipient, EVP_PKEY *key, const char *der,
                                   apr_size_t der_len, const char **content,
                                   apr_size_t *content_len, const char **cipher);

/* 1 if certificate chains to anchors now, with the help of others (may be NULL); else *why. */
int device_cms_chain(apr_pool_t *p, X509_STORE *anchors, X509 *certificate,
                     const STACK_OF(X509) *others, const char **why);

/* Decode exactly one ContentInfo of a type (NID); NULL if it is none, or more. Owned by p. */
CMS_ContentInfo *device_cms_decode(apr_pool_t *p, const char *der, apr_size_t len, int type);

/* Open one SignedData over id-data with one signature, which holds; nobody is trusted by that.
 * what: begins the reason otherwise (DEVICE_UNACCEPTABLE). *signer and *info (may be NULL) are
 * owned by p. */
device_result_t device_cms_verify(apr_pool_t *p, const char *what, const char *der, apr_size_t len,
                                  const char **content, apr_size_t *content_len, X509 **signer,
                                  CMS_SignerInfo **info);

/* What was written to a memory BIO, in p; frees the BIO. */
const char *device_cms_drain(apr_pool_t *p, BIO *bio, apr_size_t *len);

#endif
