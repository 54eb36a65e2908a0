/* SPDX-License-Identifier: Apache-2.0
 * Cryptographic Message Syntax as a device uses it, on OpenSSL alone. Depends on device_report and
 * core's mdm_x509.
 */
#include "device_cms.h"

#include <apr_strings.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <string.h>

static apr_status_t store_cleanup(void *store)
{
    X509_STORE_free(store);
    return APR_SUCCESS;
}

static apr_status_t cms_cleanup(void *cms)
{
    CMS_ContentInfo_free(cms);
    return APR_SUCCESS;
}

const char *device_cms_drain(apr_pool_t *p, BIO *bio, apr_size_t *len)
{
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    char *copy = apr_palloc(p, (apr_size_t)size + 1);

    if (size > 0)
        memcpy(copy, bytes, (apr_size_t)size);
    copy[size] = '\0';
    *len = (apr_size_t)size;
    BIO_free(bio);
    return copy;
}

device_result_t device_cms_anchors(apr_pool_t *p, const char *ca_file, X509_STORE **anchors)
{
    STACK_OF(X509) *certs = NULL;
    X509_STORE *store = X509_STORE_new();

    if (store == NULL)
        return device_fail_openssl(p, DEVICE_LOCAL, "trusted certificates");
    apr_pool_cleanup_register(p, store, store_cleanup, apr_pool_cleanup_null);
    /* a profile may be signed with any certificate, a server's among them: no purpose is asked */
    X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (ca_file == NULL) {
        if (X509_STORE_set_default_paths(store) != 1)
            return device_fail_openssl(p, DEVICE_LOCAL, "the system's trusted certificates");
        *anchors = store;
        return device_ok();
    }
    mdm_result_t r = mdm_x509_read_certificates(p, ca_file, &certs);
    if (r.kind != MDM_OK)
        return device_fail_core(p, DEVICE_LOCAL, "--ca", r);
    for (int i = 0; i < sk_X509_num(certs); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(certs, i)) != 1)
            return device_fail_openssl(p, DEVICE_LOCAL, ca_file);
    *anchors = store;
    return device_ok();
}

int device_cms_chain(apr_pool_t *p, X509_STORE *anchors, X509 *certificate,
                     const STACK_OF(X509) *others, const char **why)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int good = 0;

    *why = "out of memory";
    if (ctx != NULL &&
        X509_STORE_CTX_init(ctx, anchors, certificate, (STACK_OF(X509) *)others) == 1) {
        good = X509_verify_cert(ctx) == 1;
        *why = apr_pstrdup(p, X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

CMS_ContentInfo *device_cms_decode(apr_pool_t *p, const char *der, apr_size_t len, int type)
{
    const unsigned char *at = (const unsigned char *)der;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)len);

    if (cms == NULL || at != (const unsigned char *)der + len ||
        OBJ_obj2nid(CMS_get0_type(cms)) != type) {
        CMS_ContentInfo_free(cms);
        ERR_clear_error();
        return NULL;
    }
    apr_pool_cleanup_register(p, cms, cms_cleanup, apr_pool_cleanup_null);
    return cms;
}

device_result_t device_cms_verify(apr_pool_t *p, const char *what, const char *der, apr_size_t len,
                                  const char **content, apr_size_t *content_len, X509 **signer,
                                  CMS_SignerInfo **info)
{
    CMS_ContentInfo *cms = device_cms_decode(p, der, len, NID_pkcs7_signed);
    STACK_OF(CMS_SignerInfo) *infos = cms != NULL ? CMS_get0_SignerInfos(cms) : NULL;

    if (sk_CMS_SignerInfo_num(infos) != 1 ||
        OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "%s is not one SignedData over id-data with one signature", what);
    }
    BIO *out = BIO_new(BIO_s_mem());
    if (out == NULL ||
        CMS_verify(cms, NULL, NULL, NULL, out, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_UNACCEPTABLE,
                                   apr_pstrcat(p, what, ": its signature does not hold", NULL));
    }
    *content = device_cms_drain(p, out, content_len);
    CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(infos, 0), NULL, signer, NULL, NULL);
    if (info != NULL)
        *info = sk_CMS_SignerInfo_value(infos, 0);
    return device_ok();
}

static int looks_like_xml(const char *text, apr_size_t len)
{
    apr_size_t i = 0;

    while (i < len && strchr(" \t\r\n", text[i]) != NULL && text[i] != '\0')
        i++;
    return i < len && text[i] == '<';
}

device_result_t device_cms_open(apr_pool_t *p, X509_STORE *anchors, const char *message,
                                apr_size_t len, device_signed_t *opened)
{
    STACK_OF(CMS_SignerInfo) *signers;
    STACK_OF(X509) *bag;
    X509 *signer = NULL;
    const char *why;

    memset(opened, 0, sizeof(*opened));
    if (looks_like_xml(message, len)) {
        opened->content = message;
        opened->len = len;
        opened->doubt = "not signed";
        return device_ok();
    }
    CMS_ContentInfo *cms = device_cms_decode(p, message, len, NID_pkcs7_signed);
    if (cms == NULL || OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the answer of %" APR_SIZE_T_FMT
                           " bytes is neither one CMS SignedData over id-data nor an XML profile",
                           len);
    }
    signers = CMS_get0_SignerInfos(cms);
    if (sk_CMS_SignerInfo_num(signers) != 1) {
        return device_fail(p, DEVICE_UNACCEPTABLE, "the profile has %d signatures, wanted one",
                           sk_CMS_SignerInfo_num(signers));
    }
    BIO *out = BIO_new(BIO_s_mem());
    if (out == NULL ||
        CMS_verify(cms, NULL, NULL, NULL, out, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_UNACCEPTABLE, "the profile's signature does not hold");
    }
    opened->content = device_cms_drain(p, out, &opened->len);
    CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(signers, 0), NULL, &signer, NULL, NULL);
    bag = mdm_x509_own_stack(p, CMS_get1_certs(cms));
    X509_up_ref(signer);
    opened->signer = mdm_x509_own(p, signer);
    if (!device_cms_chain(p, anchors, signer, bag, &why))
        opened->doubt = why;
    return device_ok();
}

device_result_t device_cms_sign(apr_pool_t *p, const mdm_signer_t *signer, device_shape_t shape,
                                const EVP_MD *digest, const char *content, apr_size_t len,
                                const char **message, apr_size_t *message_len)
{
    const char *doing = "the device's message cannot be signed";
    unsigned int flags = CMS_BINARY | CMS_PARTIAL;
    unsigned int how = CMS_NOSMIMECAP | (shape == DEVICE_SHAPE_MAC ? CMS_NOATTR : 0);
    BIO *in = BIO_new_mem_buf(content, (int)len), *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    int good = in != NULL && out != NULL && cms != NULL &&
               CMS_add1_signer(cms, signer->cert, signer->key, digest, how) != NULL;

    if (shape == DEVICE_SHAPE_IPHONE) {
        for (int i = 0; good && i < sk_X509_num(signer->chain); i++)
            good = CMS_add1_cert(cms, sk_X509_value(signer->chain, i));
        /* streamed, so the content becomes a constructed string within indefinite lengths */
        good = good && i2d_CMS_bio_stream(out, cms, in, CMS_BINARY | CMS_STREAM) == 1;
    } else {
        good = good && CMS_final(cms, in, NULL, CMS_BINARY) == 1 && i2d_CMS_bio(out, cms) == 1;
    }
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    if (!good) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_LOCAL, doing);
    }
    *message = device_cms_drain(p, out, message_len);
    return device_ok();
}

/* OpenSSL 3.0 has no getter for an envelope's cipher in its CMS interface, but in the PKCS#7 one.
 */
static const char *cipher_allowed(apr_pool_t *p, const char *der, apr_size_t len)
{
    static const int allowed[] = {NID_aes_256_cbc, NID_aes_192_cbc, NID_aes_128_cbc,
                                  NID_des_ede3_cbc};
    const unsigned char *at = (const unsigned char *)der;
    PKCS7 *envelope = d2i_PKCS7(NULL, &at, (long)len);
    const char *name = NULL;

    if (envelope != NULL && PKCS7_type_is_enveloped(envelope)) {
        int nid = OBJ_obj2nid(envelope->d.enveloped->enc_data->algorithm->algorithm);
        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
            if (nid == allowed[i])
                name = apr_pstrdup(p, OBJ_nid2sn(nid));
    }
    PKCS7_free(envelope);
    ERR_clear_error();
    return name;
}

/* A device finds its key by issuer and serial number, and unwraps with PKCS#1 v1.5 only. */
static int recipient_fits(CMS_RecipientInfo *info, X509 *recipient)
{
    ASN1_OCTET_STRING *key_id = NULL;
    X509_NAME *issuer = NULL;
    ASN1_INTEGER *serial = NULL;
    X509_ALGOR *algorithm = NULL;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;

    return CMS_RecipientInfo_type(info) == CMS_RECIPINFO_TRANS &&
           CMS_RecipientInfo_ktri_get0_signer_id(info, &key_id, &issuer, &serial) == 1 &&
           issuer != NULL && serial != NULL &&
           CMS_RecipientInfo_ktri_cert_cmp(info, recipient) == 0 &&
           CMS_RecipientInfo_ktri_get0_algs(info, &key, &cert, &algorithm) == 1 &&
           OBJ_obj2nid(algorithm->algorithm) == NID_rsaEncryption;
}

device_result_t device_cms_decrypt(apr_pool_t *p, X509 *recipient, EVP_PKEY *key, const char *der,
                                   apr_size_t der_len, const char **content,
                                   apr_size_t *content_len, const char **cipher)
{
    CMS_ContentInfo *cms = device_cms_decode(p, der, der_len, NID_pkcs7_enveloped);
    STACK_OF(CMS_RecipientInfo) *recipients = NULL;
    int found = 0;

    if (cms == NULL) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the encrypted part is not one CMS EnvelopedData");
    }
    recipients = CMS_get0_RecipientInfos(cms);
    for (int i = 0; i < sk_CMS_RecipientInfo_num(recipients); i++)
        found |= recipient_fits(sk_CMS_RecipientInfo_value(recipients, i), recipient);
    if (!found) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the envelope has no recipient with this device's issuer and serial "
                           "number by RSA key transport (%s)",
                           mdm_x509_serial(p, recipient));
    }
    *cipher = cipher_allowed(p, der, der_len);
    if (*cipher == NULL) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the envelope's cipher is none of AES-CBC and DES-EDE3-CBC");
    }
    BIO *out = BIO_new(BIO_s_mem());
    if (out == NULL || CMS_decrypt(cms, key, recipient, NULL, out, CMS_BINARY) != 1) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_UNACCEPTABLE, "the envelope cannot be opened");
    }
    *content = device_cms_drain(p, out, content_len);
    return device_ok();
}
