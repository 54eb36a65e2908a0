/* SPDX-License-Identifier: Apache-2.0
 * pkiMessages as Apple's SCEP client makes and takes them, on OpenSSL alone. Depends on device_cms
 * and device_profile.
 */
#include "scep_message.h"

#include <apr_strings.h>
#include <ctype.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
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
#define TYPE_PKCSREQ "19"

/* Apple's Key Usage bits. */
#define USAGE_SIGN 1
#define USAGE_ENCRYPT 4

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

device_result_t scep_message_begin(apr_pool_t *p, EVP_PKEY *key, scep_transaction_t *transaction)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    char *id;

    transaction->key = key;
    transaction->certificate = temporary_certificate(p, key);
    if (transaction->certificate == NULL ||
        X509_pubkey_digest(transaction->certificate, EVP_sha1(), hash, &len) != 1 ||
        RAND_bytes(transaction->nonce, sizeof(transaction->nonce)) != 1)
        return device_fail_openssl(p, DEVICE_LOCAL, "a SCEP request cannot be begun");
    id = apr_pcalloc(p, 2 * (apr_size_t)len + 1);
    for (unsigned int i = 0; i < len; i++)
        apr_snprintf(id + 2 * (apr_size_t)i, 3, "%02X", hash[i]);
    transaction->id = id;
    return device_ok();
}

/* A device knows these short names; everything else must be a dotted OID. */
static int add_rdn(X509_NAME *name, const mdm_plist_t *rdn)
{
    static const char *const known[] = {"C", "L", "ST", "O", "OU", "CN"};

    for (apr_size_t i = 0; i < mdm_plist_size(rdn); i++) {
        const mdm_plist_t *pair = mdm_plist_item(rdn, i);
        const char *type = mdm_plist_string(mdm_plist_item(pair, 0));
        const char *value = mdm_plist_string(mdm_plist_item(pair, 1));
        int good = isdigit((unsigned char)type[0]);

        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            good |= strcmp(type, known[k]) == 0;
        /* the last argument: 0 begins an RDN, -1 goes on with the one before */
        if (!good ||
            X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                       -1, i == 0 ? 0 : -1) != 1)
            return 0;
    }
    return 1;
}

static int add_key_usage(X509_REQ *csr, int usage)
{
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    int good = bits != NULL &&
               (!(usage & USAGE_SIGN) || ASN1_BIT_STRING_set_bit(bits, 0, 1) == 1) &&
               (!(usage & USAGE_ENCRYPT) || ASN1_BIT_STRING_set_bit(bits, 2, 1) == 1) &&
               X509V3_add1_i2d(&extensions, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1 &&
               X509_REQ_add_extensions(csr, extensions) == 1;

    ASN1_BIT_STRING_free(bits);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return good;
}

static device_result_t make_csr(apr_pool_t *p, EVP_PKEY *key, const device_scep_payload_t *payload,
                                X509_REQ **csr)
{
    X509_REQ *made = X509_REQ_new();
    const char *challenge = payload->challenge;
    int good = made != NULL && X509_REQ_set_version(made, X509_REQ_VERSION_1) == 1 &&
               X509_REQ_set_pubkey(made, key) == 1;

    for (apr_size_t i = 0; good && payload->subject != NULL && i < mdm_plist_size(payload->subject);
         i++) {
        if (!add_rdn(X509_REQ_get_subject_name(made), mdm_plist_item(payload->subject, i))) {
            ERR_clear_error();
            X509_REQ_free(made);
            return device_fail(p, DEVICE_UNACCEPTABLE,
                               "Subject has an entry that a device does not know: wanted C, L, "
                               "ST, O, OU, CN or an OID, and a value that fits it");
        }
    }
    if (good && challenge != NULL) {
        good = X509_REQ_add1_attr_by_NID(made, NID_pkcs9_challengePassword, MBSTRING_UTF8,
                                         (const unsigned char *)challenge,
                                         (int)strlen(challenge)) == 1;
    }
    if (good && payload->key_usage != 0)
        good = add_key_usage(made, payload->key_usage);
    if (!good || X509_REQ_sign(made, key, EVP_sha256()) <= 0) {
        X509_REQ_free(made);
        return device_fail_openssl(p, DEVICE_LOCAL, "the certificate request cannot be made");
    }
    *csr = made;
    return device_ok();
}

/* The CSR in an EnvelopedData, DER. */
static device_result_t envelope(apr_pool_t *p, X509_REQ *csr, X509 *recipient,
                                const EVP_CIPHER *cipher, const char **der, apr_size_t *len)
{
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    STACK_OF(X509) *recipients = sk_X509_new_null();
    CMS_ContentInfo *cms = NULL;
    int good = in != NULL && out != NULL && recipients != NULL && i2d_X509_REQ_bio(in, csr) == 1 &&
               sk_X509_push(recipients, recipient) > 0;

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
                                     const device_scep_payload_t *payload, X509 *recipient,
                                     const EVP_MD *digest, const EVP_CIPHER *cipher,
                                     const char **der, apr_size_t *len)
{
    const char *enveloped = NULL;
    apr_size_t enveloped_len = 0;
    X509_REQ *csr = NULL;
    device_result_t r = make_csr(p, transaction->key, payload, &csr);

    if (r.exit != DEVICE_OK)
        return r;
    r = envelope(p, csr, recipient, cipher, &enveloped, &enveloped_len);
    X509_REQ_free(csr);
    if (r.exit != DEVICE_OK)
        return r;
    BIO *in = BIO_new_mem_buf(enveloped, (int)enveloped_len), *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY);
    CMS_SignerInfo *info = cms != NULL
                               ? CMS_add1_signer(cms, transaction->certificate, transaction->key,
                                                 digest, CMS_PARTIAL | CMS_NOSMIMECAP | CMS_BINARY)
                               : NULL;
    int good = in != NULL && out != NULL && info != NULL &&
               add_attribute(info, OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING, transaction->id,
                             (int)strlen(transaction->id)) &&
               add_attribute(info, OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING, TYPE_PKCSREQ,
                             (int)strlen(TYPE_PKCSREQ)) &&
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

/* The certificates of a degenerate SignedData, in the order of the message. */
static device_result_t take_certificate(apr_pool_t *p, const scep_transaction_t *transaction,
                                        const char *der, apr_size_t len, scep_issued_t *issued)
{
    CMS_ContentInfo *list = device_cms_decode(p, der, len, NID_pkcs7_signed);
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

device_result_t scep_message_open(apr_pool_t *p, const scep_transaction_t *transaction,
                                  X509 *signer, const char *der, apr_size_t len,
                                  scep_issued_t *issued)
{
    CMS_ContentInfo *cms = device_cms_decode(p, der, len, NID_pkcs7_signed);
    STACK_OF(CMS_SignerInfo) *infos = cms != NULL ? CMS_get0_SignerInfos(cms) : NULL;
    X509 *used = NULL;
    const char *content, *list;
    apr_size_t content_len, list_len;

    memset(issued, 0, sizeof(*issued));
    if (sk_CMS_SignerInfo_num(infos) != 1 ||
        OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the CertRep is not one SignedData over id-data with one signature");
    }
    CMS_SignerInfo *info = sk_CMS_SignerInfo_value(infos, 0);
    BIO *out = BIO_new(BIO_s_mem());
    if (out == NULL ||
        CMS_verify(cms, NULL, NULL, NULL, out, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_UNACCEPTABLE, "the CertRep's signature does not hold");
    }
    content = device_cms_drain(p, out, &content_len);
    CMS_SignerInfo_get0_algs(info, NULL, &used, NULL, NULL);
    if (X509_cmp(used, signer) != 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the CertRep is signed by %s, wanted the very certificate that "
                           "GetCACert gave: %s",
                           mdm_x509_subject(p, used), mdm_x509_subject(p, signer));
    }
    device_result_t r = check_status(p, info, transaction);
    if (r.exit != DEVICE_OK)
        return r;
    ASN1_STRING *nonce = attribute(info, OID_RECIPIENT_NONCE, V_ASN1_OCTET_STRING);
    issued->recipient_nonce_bad =
        nonce == NULL || ASN1_STRING_length(nonce) != SCEP_NONCE_BYTES ||
        memcmp(ASN1_STRING_get0_data(nonce), transaction->nonce, SCEP_NONCE_BYTES) != 0;
    r = device_cms_decrypt(p, transaction->certificate, transaction->key, content, content_len,
                           &list, &list_len, &issued->cipher);
    if (r.exit != DEVICE_OK)
        return r;
    return take_certificate(p, transaction, list, list_len, issued);
}
