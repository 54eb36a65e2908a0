/* SPDX-License-Identifier: Apache-2.0
 * Cryptographic Message Syntax (RFC 5652): verify one signer strictly, sign, encrypt.
 * Knows nothing of who is trusted. Depends on mdm_x509.
 */
#ifndef MDM_CMS_H
#define MDM_CMS_H

#include <apr_pools.h>
#include <openssl/cms.h>
#include <openssl/x509.h>

#include "mdm_result.h"
#include "mdm_x509.h"

/* A SignedData message whose form holds and whose signature has not been looked at yet. */
typedef struct mdm_cms_t mdm_cms_t;

/* Certificates in the bag of a device's message: a Mac sends 4; each costs a decoding. */
#define MDM_CMS_MAX_CERTIFICATES 8

/* Decode a message and check its form, without any public-key operation: exactly one ContentInfo
 * and nothing behind it, SignedData over id-data with the content attached, at most
 * max_certificates in the bag, whose keys are RSA or EC on P-256, P-384 or P-521, no CRL, one
 * SignerInfo, whose certificate is in the bag and cannot be confused with another there. BER with
 * indefinite lengths passes. The bag, and the elements of all, at most 100 and 150 more for each of
 * max_certificates, are counted before OpenSSL decodes anything. Everything is owned by p.
 * MDM_MSG_CMS_* otherwise. */
mdm_result_t mdm_cms_open(apr_pool_t *p, const void *message, apr_size_t len, int max_certificates,
                          mdm_cms_t **cms);

/* The certificate of the one signer, its SignerInfo, and the content, not verified yet; owned by
 * the message. */
X509 *mdm_cms_signer(const mdm_cms_t *cms);
const CMS_SignerInfo *mdm_cms_signer_info(const mdm_cms_t *cms);
const ASN1_OCTET_STRING *mdm_cms_content(const mdm_cms_t *cms);

/* 1 if this looks like a ContentInfo of EnvelopedData, by its outermost tags: so that a decoder can
 * be trusted to meet no certificate in it. */
int mdm_cms_is_enveloped(const void *message, apr_size_t len);

#define MDM_CMS_ALLOW_SHA1 1 /* for the device leg only: genuine devices sign with SHA-1 */

/* Verify the signature with the signer's key, after the caller has judged the signer's certificate
 * (mdm_trust). Digests: SHA-256, SHA-384, SHA-512, and SHA-1 where flags has MDM_CMS_ALLOW_SHA1;
 * signatures: RSA PKCS#1 v1.5 and ECDSA over the same digest. signedAttrs may be absent; where they
 * are present, messageDigest and contentType hold too. *content is allocated in p, NUL-terminated
 * behind its *content_len bytes. MDM_MSG_CMS_ALGORITHM or MDM_MSG_CMS_SIGNATURE otherwise;
 * MDM_MSG_CRYPTO if OpenSSL has no such digest. */
mdm_result_t mdm_cms_verify(apr_pool_t *p, const mdm_cms_t *cms, unsigned int flags,
                            const char **content, apr_size_t *content_len);

/* The signing time among the signed attributes (RFC 5652 section 11.3) of a message that
 * mdm_cms_verify() took: seconds since 1970. 0: there is none, more than one, or none that can be
 * read. It is the signer's own word. */
apr_int64_t mdm_cms_signing_time(const mdm_cms_t *cms);

/* SignedData with attached content, SHA-256, signedAttrs, and the certificates of the signer; DER
 * in p. */
mdm_result_t mdm_cms_sign(apr_pool_t *p, const mdm_signer_t *signer, const void *content,
                          apr_size_t len, const unsigned char **der, apr_size_t *der_len);

/* EnvelopedData over id-data to one RSA certificate (RFC 5652 section 6, key transport,
 * issuerAndSerialNumber); DER in p. cipher is an AES-CBC or DES-EDE3-CBC. */
mdm_result_t mdm_cms_encrypt(apr_pool_t *p, X509 *recipient, const EVP_CIPHER *cipher,
                             const void *content, apr_size_t len, const unsigned char **der,
                             apr_size_t *der_len);

#endif
