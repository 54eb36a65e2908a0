/* SPDX-License-Identifier: Apache-2.0
 * pkiMessages as Apple's SCEP client makes and takes them, on OpenSSL alone. Depends on
 * device_cms and device_identity.
 */
#include "scep_message.h"

#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/rand.h>
#include <string.h>

#include "device_cms.h"
#include "device_identity.h"

/* id-Verisign-pkiattrs (RFC 8894 section 3.2.1) and failInfoText (section 3.2.1.5). */
#define OID_MESSAGE_TYPE "2.16.840.1.113733.1.9.2"
#define OID_PKI_STATUS "2.16.840.1.113733.1.9.3"
#define OID_FAIL_INFO "2.16.840.1.113733.1.9.4"
#define OID_SENDER_NONCE "2.16.840.1.113733.1.9.5"
#define OID_RECIPIENT_NONCE "2.16.840.1.113733.1.9.6"
#define OID_TRANSACTION_ID "2.16.840.1.113733.1.9.7"
#define OID_FAIL_INFO_TEXT "1.3.6.1.5.5.7.24.1"

#define TYPE_CERTREP "3"

static X509 *temporary_certificate(apr_pool_t *p, EVP_PKEY *key)
{
    X509 *cert = mdm_x509_own(p, X509_new());
    BIGNUM *serial = BN_new();
    X509_NAME *name = cert != NULL ? X509_get_subject_name(cert) : NULL;
    int good = name != NULL && serial != NULL &&
               BN_rand(serial, 63, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL &&
               X509_set_version(cert, X509_VERSION_3) == 1 &&
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                          (const unsigned char *)device_uuid(p), -1, -1, 0) == 1 &&
               X509_set_issuer_name(cert, name) == 1 &&
               X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL &&
               X509_gmtime_adj(X509_getm_notAfter(cert), 24L * 60 * 60) != NULL &&
               X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0;

    BN_free(serial);
    return good ? cert : NULL;
}

/* SHA-1 of the public key, as certificates count it for a subjectKeyIdentifier. */
static const char *key_hash(apr_pool_t *p, EVP_PKEY *key)
{
    X509_PUBKEY *encoded = NULL;
    const unsigned char *bits;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    int size;
    char *id = NULL;

    if (X509_PUBKEY_set(&encoded, key) == 1 &&
        X509_PUBKEY_get0_param(NULL, &bits, &size, NULL, encoded) == 1 &&
        EVP_Digest(bits, (size_t)size, hash, &len, EVP_sha1(), NULL) == 1) {
        id = apr_pcalloc(p, 2 * (apr_size_t)len + 1);
        for (unsigned int i = 0; i < len; i++)
            apr_snprintf(id + 2 * (apr_size_t)i, 3, "%02X", hash[i]);
    }
    X509_PUBKEY_free(encoded);
    return id;
}

device_result_t scep_message_begin(apr_pool_t *p, EVP_PKEY *key, const mdm_signer_t *member,
                                   scep_transaction_t *transaction)
{
    transaction->key = key;
    transaction->signer_key = member != NULL ? member->key : key;
    transaction->certificate = member != NULL ? member->cert : temporary_certificate(p, key);
    transaction->id = key_hash(p, key);
    if (transaction->certificate == NULL || transaction->id == NULL ||
        RAND_bytes(transaction->nonce, sizeof(transaction->nonce)) != 1)
        return device_fail_openssl(p, DEVICE_LOCAL, "a SCEP request cannot be begun");
    return device_ok();
}

/* An EnvelopedData, DER. */
static device_result_t envelope(apr_pool_t *p, const char *content, apr_size_t content_len,
                                X509 *recipient, const EVP_CIPHER *cipher, const char **der,
                                apr_size_t *len)
{
    BIO *in = BIO_new_mem_buf(content, (int)content_len), *out = BIO_new(BIO_s_mem());
    STACK_OF(X509) *recipients = sk_X509_new_null();
    CMS_ContentInfo *cms = NULL;
    int good =
        in != NULL && out != NULL && recipients != NULL && sk_X509_push(recipients, recipient) > 0;

    if (good) {
        cms = CMS_encrypt(recipients, in, cipher, CMS_BINARY);
        good = cms != NULL && i2d_CMS_bio(out, cms) == 1;
    }
    CMS_ContentInfo_free(cms);
    sk_X509_free(recipients);
    BIO_free(in);
    if (!good) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_UNACCEPTABLE,
                                   "the request cannot be encrypted to the CA's certificate");
    }
    *der = device_cms_drain(p, out, len);
    return device_ok();
}

static int add_attribute(CMS_SignerInfo *info, const char *oid, int type, const void *bytes,
                         int len)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int good = object != NULL && CMS_signed_add1_attr_by_OBJ(info, object, type, bytes, len) == 1;

    ASN1_OBJECT_free(object);
    return good;
}

device_result_t scep_message_request(apr_pool_t *p, const scep_transaction_t *transaction,
                                     scep_type_t type, const char *content, apr_size_t content_len,
                                     const scep_peer_t *peer, const char **der, apr_size_t *len)
{
    const char *type_text = apr_itoa(p, (int)type);
    const char *enveloped = NULL;
    apr_size_t enveloped_len = 0;
    device_result_t r = envelope(p, content, content_len, peer->recipient, peer->cipher, &enveloped,
                                 &enveloped_len);

    if (r.exit != DEVICE_OK)
        return r;
    BIO *in = BIO_new_mem_buf(enveloped, (int)enveloped_len), *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY);
    CMS_SignerInfo *info =
        cms != NULL ? CMS_add1_signer(cms, transaction->certificate, transaction->signer_key,
                                      peer->digest, CMS_PARTIAL | CMS_NOSMIMECAP | CMS_BINARY)
                    : NULL;
    int good = in != NULL && out != NULL && info != NULL &&
               add_attribute(info, OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING, transaction->id,
                             (int)strlen(transaction->id)) &&
               add_attribute(info, OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING, type_text,
                             (int)strlen(type_text)) &&
               add_attribute(info, OID_SENDER_NONCE, V_ASN1_OCTET_STRING, transaction->nonce,
                             SCEP_NONCE_BYTES) &&
               CMS_final(cms, in, NULL, CMS_BINARY) == 1 && i2d_CMS_bio(out, cms) == 1;

    CMS_ContentInfo_free(cms);
    BIO_free(in);
    if (!good) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_LOCAL, "the SCEP request cannot be signed");
    }
    *der = device_cms_drain(p, out, len);
    return device_ok();
}

/* Exactly one attribute with exactly one value of a type; NULL otherwise. */
static ASN1_STRING *attribute(CMS_SignerInfo *info, const char *oid, int type)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_STRING *value =
        object != NULL ? CMS_signed_get0_data_by_OBJ(info, object, -3, type) : NULL;

    ASN1_OBJECT_free(object);
    return value;
}

static const char *attribute_text(apr_pool_t *p, CMS_SignerInfo *info, const char *oid, int type)
{
    ASN1_STRING *value = attribute(info, oid, type);

    return value != NULL ? apr_pstrmemdup(p, (const char *)ASN1_STRING_get0_data(value),
                                          (apr_size_t)ASN1_STRING_length(value))
                         : NULL;
}

static device_result_t wrong_attribute(apr_pool_t *p, const char *name, const char *seen,
                                       const char *wanted)
{
    return device_fail(
        p, DEVICE_UNACCEPTABLE, "the CertRep's %s is %s, wanted the PrintableString \"%s\"", name,
        seen != NULL ? apr_psprintf(p, "\"%s\"", seen) : "missing or not one", wanted);
}

static device_result_t failure(apr_pool_t *p, CMS_SignerInfo *info)
{
    static const char *const names[] = {"badAlg", "badMessageCheck", "badRequest", "badTime",
                                        "badCertId"};
    const char *code = attribute_text(p, info, OID_FAIL_INFO, V_ASN1_PRINTABLESTRING);
    const char *text = attribute_text(p, info, OID_FAIL_INFO_TEXT, V_ASN1_UTF8STRING);
    int known = code != NULL && code[0] >= '0' && code[0] <= '4' && code[1] == '\0';

    return device_fail(p, DEVICE_REFUSED, "SCEP FAILURE, failInfo %s%s%s%s%s",
                       code != NULL ? code : "missing", known ? " (" : "",
                       known ? names[code[0] - '0'] : "", known ? ")" : "",
                       text != NULL ? apr_pstrcat(p, ": ", text, NULL) : "");
}

static device_result_t check_status(apr_pool_t *p, CMS_SignerInfo *info,
                                    const scep_transaction_t *transaction)
{
    const char *type = attribute_text(p, info, OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING);
    const char *id = attribute_text(p, info, OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING);
    const char *status = attribute_text(p, info, OID_PKI_STATUS, V_ASN1_PRINTABLESTRING);

    if (type == NULL || strcmp(type, TYPE_CERTREP) != 0)
        return wrong_attribute(p, "messageType", type, TYPE_CERTREP);
    if (id == NULL || strcmp(id, transaction->id) != 0)
        return wrong_attribute(p, "transactionID", id, transaction->id);
    if (status != NULL && strcmp(status, "2") == 0)
        return failure(p, info);
    if (status != NULL && strcmp(status, "3") == 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "SCEP PENDING: the CA wants to be asked again later; a device does so, "
                           "mdm-device does not");
    }
    if (status == NULL || strcmp(status, "0") != 0)
        return wrong_attribute(p, "pkiStatus", status, "0");
    return device_ok();
}

device_result_t scep_message_open(apr_pool_t *p, const scep_transaction_t *transaction,
                                  X509 *signer, const char *der, apr_size_t len,
                                  scep_opened_t *opened)
{
    CMS_SignerInfo *info = NULL;
    X509 *used = NULL;
    const char *content;
    apr_size_t content_len;
    device_result_t r =
        device_cms_verify(p, "the CertRep", der, len, &content, &content_len, &used, &info);

    memset(opened, 0, sizeof(*opened));
    if (r.exit != DEVICE_OK)
        return r;
    if (X509_cmp(used, signer) != 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the CertRep is signed by %s, wanted the very certificate that "
                           "GetCACert gave: %s",
                           mdm_x509_subject(p, used), mdm_x509_subject(p, signer));
    }
    r = check_status(p, info, transaction);
    if (r.exit != DEVICE_OK)
        return r;
    ASN1_STRING *nonce = attribute(info, OID_RECIPIENT_NONCE, V_ASN1_OCTET_STRING);
    opened->recipient_nonce_bad =
        nonce == NULL || ASN1_STRING_length(nonce) != SCEP_NONCE_BYTES ||
        memcmp(ASN1_STRING_get0_data(nonce), transaction->nonce, SCEP_NONCE_BYTES) != 0;
    return device_cms_decrypt(p, transaction->certificate, transaction->signer_key, content,
                              content_len, &opened->content, &opened->len, &opened->cipher);
}

device_result_t scep_message_issued(apr_pool_t *p, const scep_transaction_t *transaction,
                                    const scep_opened_t *opened, scep_issued_t *issued)
{
    CMS_ContentInfo *list = device_cms_decode(p, opened->content, opened->len, NID_pkcs7_signed);
    STACK_OF(X509) *certs = list != NULL ? mdm_x509_own_stack(p, CMS_get1_certs(list)) : NULL;

    issued->certificates = certs != NULL ? sk_X509_num(certs) : 0;
    if (issued->certificates == 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the envelope does not hold a certs-only SignedData with a certificate");
    }
    issued->certificate = sk_X509_value(certs, 0);
    if (X509_check_private_key(issued->certificate, transaction->key) != 1) {
        ERR_clear_error();
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the first of %d certificates, %s, is not for this device's key",
                           issued->certificates, mdm_x509_subject(p, issued->certificate));
    }
    return device_ok();
}

device_result_t scep_message_name(apr_pool_t *p, const X509 *cert, const char **der,
                                  apr_size_t *len)
{
    PKCS7_ISSUER_AND_SERIAL *name = PKCS7_ISSUER_AND_SERIAL_new();
    const unsigned char *encoded = NULL;

    if (name != NULL && X509_NAME_set(&name->issuer, X509_get_issuer_name(cert)) == 1) {
        ASN1_INTEGER_free(name->serial);
        name->serial = ASN1_INTEGER_dup(X509_get0_serialNumber(cert));
        if (name->serial != NULL)
            encoded = mdm_der_encode(p, name, ASN1_ITEM_rptr(PKCS7_ISSUER_AND_SERIAL), len);
    }
    PKCS7_ISSUER_AND_SERIAL_free(name);
    if (encoded == NULL)
        return device_fail_openssl(p, DEVICE_LOCAL, "the certificate cannot be named");
    *der = (const char *)encoded;
    return device_ok();
}

static apr_status_t crls_cleanup(void *crls)
{
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
    return APR_SUCCESS;
}

device_result_t scep_message_crl(apr_pool_t *p, const scep_opened_t *opened, X509_CRL **crl)
{
    CMS_ContentInfo *list = device_cms_decode(p, opened->content, opened->len, NID_pkcs7_signed);
    STACK_OF(X509_CRL) *crls = list != NULL ? CMS_get1_crls(list) : NULL;

    if (crls != NULL)
        apr_pool_cleanup_register(p, crls, crls_cleanup, apr_pool_cleanup_null);
    if (sk_X509_CRL_num(crls) != 1) {
        ERR_clear_error();
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the envelope does not hold a SignedData with exactly one CRL");
    }
    *crl = sk_X509_CRL_value(crls, 0);
    return device_ok();
}
