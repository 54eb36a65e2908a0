/* SPDX-License-Identifier: Apache-2.0
 * Certificates, public keys and chains with pool ownership. Depends on OpenSSL and mdm_result.
 */
#ifndef MDM_X509_H
#define MDM_X509_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "mdm_der.h"
#include "mdm_result.h"

/* What signs: a certificate, its private key, and the certificates between it and its root (may be
 * NULL). Members are owned by the pool the signer was made in, or by whoever filled it in. */
typedef struct mdm_signer_t {
    X509 *cert;
    EVP_PKEY *key;
    STACK_OF(X509) *chain;
} mdm_signer_t;

/* Take over one reference: freed with p. Return their argument, for use in an expression; NULL
 * stays NULL. */
X509 *mdm_x509_own(apr_pool_t *p, X509 *cert);
EVP_PKEY *mdm_x509_own_key(apr_pool_t *p, EVP_PKEY *key);
STACK_OF(X509) *mdm_x509_own_stack(apr_pool_t *p, STACK_OF(X509) *certs); /* with its members */

/* Read the PEM certificates of a file, in order, or the single DER certificate it holds. At least
 * one, or MDM_MSG_FILE. */
mdm_result_t mdm_x509_read_certificates(apr_pool_t *p, const char *file, STACK_OF(X509) **certs);

/* 1 if OpenSSL may decode this certificate (the element, not its content) of a stranger: its key is
 * RSA, or EC on P-256, P-384 or P-521 by name. OpenSSL decodes the key while it decodes the
 * certificate, before anybody can look at it, and one over a field of the sender's choice takes
 * half a second. To be asked before any d2i function. */
int mdm_x509_key_decodable(const mdm_der_t *certificate);

/* The bits of the key in a SubjectPublicKeyInfo (the element), as they stand in its BIT STRING, if
 * it is such a key as above; NULL otherwise. */
const unsigned char *mdm_x509_key_bits(const mdm_der_t *key_info, apr_size_t *len);

/* One certificate from exactly len bytes of DER, or from PEM text; its key is one of those.
 * MDM_MSG_CMS_CERTIFICATES otherwise. */
mdm_result_t mdm_x509_decode(apr_pool_t *p, const void *der, apr_size_t len, X509 **cert);
mdm_result_t mdm_x509_decode_pem(apr_pool_t *p, const char *pem, X509 **cert);

/* DER of anything that OpenSSL has an ASN1_ITEM for, and of a certificate; allocated in p. NULL on
 * failure, with the reason in OpenSSL's error queue. */
const unsigned char *mdm_der_encode(apr_pool_t *p, const void *value, const ASN1_ITEM *item,
                                    apr_size_t *len);
const unsigned char *mdm_x509_encode(apr_pool_t *p, const X509 *cert, apr_size_t *len);

/* An object identifier by its name, or its numbers, for a log line. Allocated in p. */
const char *mdm_object_text(apr_pool_t *p, const ASN1_OBJECT *object);

/* SHA-256 of the certificate's DER as 64 lower-case hexadecimal digits; "" if OpenSSL fails: who
 * compares or stores it must look (mdm_sha256_failed). */
const char *mdm_x509_fingerprint(apr_pool_t *p, const X509 *cert);

/* SHA-256 of a certificate's SubjectPublicKeyInfo in the same form: the same for every certificate
 * of one key. "" if OpenSSL fails, as above. */
const char *mdm_x509_key_id(apr_pool_t *p, const X509 *cert);

/* SHA-256 of any bytes as 64 lower-case hexadecimal digits; "" if OpenSSL fails, as above. */
const char *mdm_sha256_hex(apr_pool_t *p, const void *bytes, apr_size_t len);

/* The MDM_MSG_CRYPTO of such a failure. */
mdm_result_t mdm_sha256_failed(apr_pool_t *p);

/* RFC 2253 names, UTF-8 escaped to ASCII (of more than 1,024 bytes of DER only that it is so long);
 * serial number in lower-case hexadecimal. */
const char *mdm_x509_name(apr_pool_t *p, const X509_NAME *name);
const char *mdm_x509_subject(apr_pool_t *p, const X509 *cert);
const char *mdm_x509_issuer(apr_pool_t *p, const X509 *cert);
const char *mdm_x509_serial(apr_pool_t *p, const X509 *cert);

/* Validity in seconds since 1970, UTC. A date that cannot be read makes the certificate invalid at
 * all times. */
apr_int64_t mdm_x509_not_before(const X509 *cert);
apr_int64_t mdm_x509_not_after(const X509 *cert);

/* 1 if the public key is RSA of min_rsa_bits to 8192 bits with an odd exponent above 1 of at most
 * 32 bits, or EC on P-256, P-384 or P-521: strong enough, and cheap to verify with. */
int mdm_x509_key_ok(EVP_PKEY *key, int min_rsa_bits);

/* 1 if the certificate's subject and issuer are equal and its own key verifies it. */
int mdm_x509_self_signed(X509 *cert);

/* The reason of the last entry of OpenSSL's error queue, which is emptied; "no reason given" if it
 * was empty. Never NULL. Call it where an OpenSSL call failed, so that mod_ssl never finds our
 * errors. */
const char *mdm_openssl_reason(apr_pool_t *p);

#endif
