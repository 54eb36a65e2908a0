/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: the client's side of SCEP. Depends on pki and OpenSSL, on nothing of the project.
 */
#include "scep_forge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "pki.h"

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "scep_forge: %s failed\n", what);
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static scep_bytes_t encode(const void *value, const ASN1_ITEM *item)
{
    unsigned char *der = NULL;
    int len = ASN1_item_i2d(value, &der, item);
    scep_bytes_t bytes;

    check(len > 0, "encoding");
    bytes.data = apr_pmemdup(pki_pool, der, (apr_size_t)len);
    bytes.len = (apr_size_t)len;
    OPENSSL_free(der);
    return bytes;
}

static BIO *reader(scep_bytes_t bytes)
{
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);

    check(bio != NULL, "BIO_new_mem_buf");
    return bio;
}

scep_bytes_t scep_patch(scep_bytes_t message, const void *find, const void *replace, apr_size_t len)
{
    unsigned char *copy = apr_pmemdup(pki_pool, message.data, message.len);

    for (apr_size_t i = 0; i + len <= message.len; i++)
        if (memcmp(copy + i, find, len) == 0) {
            memcpy(copy + i, replace, len);
            return (scep_bytes_t){copy, message.len};
        }
    check(0, "finding what to patch");
    return message;
}

/* --- the request --- */

static void add_challenge(X509_REQ *csr, const scep_opts_t *opts, int nid)
{
    int type = opts->challenge_type != 0 ? opts->challenge_type : V_ASN1_PRINTABLESTRING;
    int len = (int)strlen(opts->challenge);
    X509_ATTRIBUTE *attribute = X509_ATTRIBUTE_create_by_NID(NULL, nid, type, opts->challenge, len);

    for (int i = 1; i < opts->challenge_values; i++)
        check(X509_ATTRIBUTE_set1_data(attribute, type, opts->challenge, len), "second value");
    check(X509_REQ_add1_attr(csr, attribute), "challengePassword");
    X509_ATTRIBUTE_free(attribute);
}

static void add_extensions(X509_REQ *csr, const scep_opts_t *opts)
{
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

    if (opts->subject_alt_name != NULL)
        sk_X509_EXTENSION_push(
            list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, opts->subject_alt_name));
    if (opts->basic_constraints != NULL)
        sk_X509_EXTENSION_push(
            list, X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, opts->basic_constraints));
    if (sk_X509_EXTENSION_num(list) > 0)
        check(X509_REQ_add_extensions(csr, list), "requested extensions");
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

/* OpenSSL adds no second attribute of a type: a neighbour with an OID of the same length is renamed
 * and the request signed again. */
static X509_REQ *rename_name_to_challenge(X509_REQ *csr)
{
    static const unsigned char name[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 2};
    static const unsigned char challenge[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7};
    scep_bytes_t der = encode(csr, ASN1_ITEM_rptr(X509_REQ));
    const unsigned char *at;

    der = scep_patch(der, name, challenge, sizeof(name));
    at = der.data;
    X509_REQ_free(csr);
    csr = d2i_X509_REQ(NULL, &at, (long)der.len);
    check(csr != NULL, "d2i_X509_REQ");
    return csr;
}

static scep_bytes_t make_request(const scep_opts_t *opts)
{
    X509_REQ *csr = X509_REQ_new();
    const EVP_MD *digest = opts->request_digest != NULL ? opts->request_digest : EVP_sha256();
    const char *cn = opts->subject != NULL ? opts->subject : "client";
    scep_bytes_t der;

    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_UTF8,
                               (const unsigned char *)cn, -1, -1, 0);
    check(X509_REQ_set_version(csr, opts->request_version), "X509_REQ_set_version");
    check(X509_REQ_set_pubkey(csr, opts->key), "X509_REQ_set_pubkey");
    if (opts->challenge != NULL)
        add_challenge(csr, opts, NID_pkcs9_challengePassword);
    if (opts->challenge_twice)
        add_challenge(csr, opts, NID_pkcs9_unstructuredName);
    add_extensions(csr, opts);
    check(X509_REQ_sign(csr, opts->key, digest) > 0, "X509_REQ_sign");
    if (opts->challenge_twice) {
        csr = rename_name_to_challenge(csr);
        check(X509_REQ_sign(csr, opts->key, digest) > 0, "X509_REQ_sign");
    }
    der = encode(csr, ASN1_ITEM_rptr(X509_REQ));
    X509_REQ_free(csr);
    if (opts->request_broken)
        ((unsigned char *)der.data)[der.len - 1] ^= 1;
    if (opts->request_trailing) {
        char *longer = apr_pcalloc(pki_pool, der.len + 1);
        memcpy(longer, der.data, der.len);
        der = (scep_bytes_t){(unsigned char *)longer, der.len + 1};
    }
    return der;
}

/* --- the envelope --- */

static CMS_ContentInfo *encrypt_single_des(STACK_OF(X509) *certs, BIO *in)
{
    static OSSL_LIB_CTX *context;
    static EVP_CIPHER *des;
    CMS_ContentInfo *cms;

    if (context == NULL) {
        context = OSSL_LIB_CTX_new();
        check(OSSL_PROVIDER_load(context, "default") != NULL &&
                  OSSL_PROVIDER_load(context, "legacy") != NULL,
              "loading the legacy provider");
        des = EVP_CIPHER_fetch(context, "DES-CBC", NULL);
        check(des != NULL, "fetching DES-CBC");
    }
    cms = CMS_encrypt_ex(certs, in, des, CMS_BINARY, context, NULL);
    return cms;
}

static CMS_ContentInfo *encrypt_oaep(const scep_opts_t *opts, BIO *in)
{
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_128_cbc(), CMS_BINARY | CMS_PARTIAL);
    CMS_RecipientInfo *ri =
        CMS_add1_recipient_cert(cms, opts->recipient, CMS_BINARY | CMS_KEY_PARAM);
    EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(ri);

    check(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(context, opts->oaep) > 0 &&
              CMS_final(cms, in, NULL, CMS_BINARY),
          "RSAES-OAEP");
    return cms;
}

static void break_envelope(scep_bytes_t der, int where)
{
    const unsigned char *at = der.data;
    PKCS7 *p7 = d2i_PKCS7(NULL, &at, (long)der.len);
    const PKCS7_RECIP_INFO *ri = sk_PKCS7_RECIP_INFO_value(p7->d.enveloped->recipientinfo, 0);
    const ASN1_STRING *target = where == 1 ? ri->enc_key : p7->d.enveloped->enc_data->enc_data;
    int len = ASN1_STRING_length(target);

    /* the last but one block, whose change turns up in the padding; or the end of the key */
    for (apr_size_t i = 0; i + (apr_size_t)len <= der.len; i++)
        if (memcmp(der.data + i, ASN1_STRING_get0_data(target), (size_t)len) == 0) {
            ((unsigned char *)der.data)[i + (apr_size_t)len - (where == 1 ? 1 : 17)] ^= 0x80;
            break;
        }
    PKCS7_free(p7);
}

static scep_bytes_t make_envelope(const scep_opts_t *opts, scep_bytes_t plain)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *in = reader(plain);
    CMS_ContentInfo *cms;
    scep_bytes_t der;

    for (int i = 0; i < opts->recipients; i++)
        sk_X509_push(certs, pki_cert(apr_psprintf(pki_pool, "/CN=other %d", i), opts->key, NULL,
                                     NULL, NULL));
    if (opts->recipients >= 0)
        sk_X509_push(certs, opts->recipient);
    if (opts->single_des)
        cms = encrypt_single_des(certs, in);
    else if (opts->oaep != NULL)
        cms = encrypt_oaep(opts, in);
    else
        cms = CMS_encrypt(certs, in, opts->cipher != NULL ? opts->cipher : EVP_aes_128_cbc(),
                          CMS_BINARY);
    check(cms != NULL, "CMS_encrypt");
    der = encode(cms, ASN1_ITEM_rptr(CMS_ContentInfo));
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    sk_X509_free(certs);
    if (opts->envelope_broken)
        break_envelope(der, opts->envelope_broken);
    return der;
}

/* --- the signature --- */

static void add_attribute(CMS_SignerInfo *si, const scep_opts_t *opts, const char *oid, int type,
                          const char *value, int len)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    X509_ATTRIBUTE *attribute = X509_ATTRIBUTE_create_by_OBJ(NULL, object, type, value, len);

    if (opts->twice != NULL && strcmp(opts->twice, oid) == 0)
        check(X509_ATTRIBUTE_set1_data(attribute, type, value, len), "second value");
    if (opts->omit == NULL || strcmp(opts->omit, oid) != 0)
        check(CMS_signed_add1_attr(si, attribute), oid);
    X509_ATTRIBUTE_free(attribute);
    ASN1_OBJECT_free(object);
}

static void add_signer(CMS_ContentInfo *cms, const scep_opts_t *opts, const char *name,
                       int with_certificate)
{
    static const char nonces[] = SCEP_NONCE SCEP_NONCE;
    EVP_PKEY *key = opts->signer_key != NULL ? opts->signer_key : opts->key;
    X509 *cert =
        opts->signer_cert != NULL ? opts->signer_cert : pki_cert(name, key, NULL, NULL, NULL);
    const char *type = opts->type != NULL ? opts->type : "19";
    const char *transaction = opts->transaction != NULL ? opts->transaction : "transaction-1";
    unsigned int flags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP;
    CMS_SignerInfo *si;

    flags |= opts->no_attributes ? CMS_NOATTR : 0;
    flags |= with_certificate ? 0 : CMS_NOCERTS;
    flags |= opts->pss ? CMS_KEY_PARAM : 0;
    si = CMS_add1_signer(cms, cert, key, opts->digest != NULL ? opts->digest : EVP_sha256(), flags);
    check(si != NULL, "CMS_add1_signer");
    if (opts->pss)
        check(EVP_PKEY_CTX_set_rsa_padding(CMS_SignerInfo_get0_pkey_ctx(si),
                                           RSA_PKCS1_PSS_PADDING) > 0,
              "RSASSA-PSS");
    if (opts->no_attributes)
        return;
    add_attribute(si, opts, SCEP_OID_TRANSACTION,
                  opts->transaction_type != 0 ? opts->transaction_type : V_ASN1_PRINTABLESTRING,
                  transaction, (int)strlen(transaction));
    add_attribute(si, opts, SCEP_OID_TYPE, V_ASN1_PRINTABLESTRING, type, (int)strlen(type));
    add_attribute(si, opts, SCEP_OID_NONCE, V_ASN1_OCTET_STRING, nonces,
                  opts->nonce_len != 0 ? opts->nonce_len : 16);
    if (opts->clear_challenge)
        add_attribute(si, opts, "1.2.840.113549.1.9.7", V_ASN1_PRINTABLESTRING, opts->challenge,
                      (int)strlen(opts->challenge));
}

scep_bytes_t scep_message(const scep_opts_t *opts)
{
    scep_bytes_t content;
    unsigned int flags = CMS_BINARY | CMS_PARTIAL | (opts->detached ? CMS_DETACHED : 0);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    BIO *in;
    scep_bytes_t der;

    check(cms != NULL, "CMS_sign");
    if (opts->plain != NULL)
        content = (scep_bytes_t){(const unsigned char *)opts->plain,
                                 opts->plain_len > 0 ? opts->plain_len : strlen(opts->plain)};
    else
        content = make_request(opts);
    if (!opts->not_enveloped)
        content = make_envelope(opts, content);
    if (opts->other_content_type)
        CMS_set1_eContentType(cms, OBJ_nid2obj(NID_id_smime_ct_TSTInfo));
    add_signer(cms, opts, "/CN=temporary", !opts->no_certificate);
    if (opts->two_signers)
        add_signer(cms, opts, "/CN=second", opts->two_signers == 1);
    for (int i = 0; i < opts->certificates; i++)
        check(CMS_add1_cert(cms, pki_cert(apr_psprintf(pki_pool, "/CN=bag %d", i), opts->key, NULL,
                                          NULL, NULL)),
              "CMS_add1_cert");
    in = reader(content);
    check(CMS_final(cms, in, NULL, CMS_BINARY | (opts->detached ? CMS_DETACHED : 0)), "CMS_final");
    der = encode(cms, ASN1_ITEM_rptr(CMS_ContentInfo));
    BIO_free(in);
    CMS_ContentInfo_free(cms);
    return der;
}

/* --- the answer --- */

static const ASN1_STRING *get(CMS_SignerInfo *si, const char *oid, int type)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    const ASN1_STRING *value = NULL;

    if (CMS_signed_get_attr_by_OBJ(si, object, -1) >= 0) {
        value = CMS_signed_get0_data_by_OBJ(si, object, -3, type);
        check(value != NULL, oid); /* there, but not once or of another type */
    }
    ASN1_OBJECT_free(object);
    return value;
}

static const char *text(const ASN1_STRING *value)
{
    return value == NULL ? NULL
                         : apr_pstrmemdup(pki_pool, (const char *)ASN1_STRING_get0_data(value),
                                          (apr_size_t)ASN1_STRING_length(value));
}

static void read_attributes(CMS_SignerInfo *si, scep_answer_t *answer)
{
    const ASN1_STRING *nonce = get(si, "2.16.840.1.113733.1.9.5", V_ASN1_OCTET_STRING);
    X509_ALGOR *digest, *signature;

    answer->type = text(get(si, "2.16.840.1.113733.1.9.2", V_ASN1_PRINTABLESTRING));
    answer->status = text(get(si, "2.16.840.1.113733.1.9.3", V_ASN1_PRINTABLESTRING));
    answer->fail_info = text(get(si, "2.16.840.1.113733.1.9.4", V_ASN1_PRINTABLESTRING));
    answer->recipient_nonce = text(get(si, "2.16.840.1.113733.1.9.6", V_ASN1_OCTET_STRING));
    answer->transaction = text(get(si, "2.16.840.1.113733.1.9.7", V_ASN1_PRINTABLESTRING));
    answer->fail_text = text(get(si, "1.3.6.1.5.5.7.24.1", V_ASN1_UTF8STRING));
    if (nonce != NULL)
        answer->sender_nonce = (scep_bytes_t){(const unsigned char *)text(nonce),
                                              (apr_size_t)ASN1_STRING_length(nonce)};
    CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, &signature);
    answer->digest = OBJ_nid2sn(OBJ_obj2nid(digest->algorithm));
    answer->signature = OBJ_nid2sn(OBJ_obj2nid(signature->algorithm));
}

static apr_status_t free_cert(void *cert)
{
    X509_free(cert);
    return APR_SUCCESS;
}

static apr_status_t free_crl(void *crl)
{
    X509_CRL_free(crl);
    return APR_SUCCESS;
}

static void read_bag(const unsigned char *der, long len, scep_answer_t *answer)
{
    const unsigned char *at = der;
    PKCS7 *bag = d2i_PKCS7(NULL, &at, len);

    check(bag != NULL && at == der + len && PKCS7_type_is_signed(bag), "certs-only message");
    check(bag->d.sign->contents->d.ptr == NULL, "no content in a certs-only message");
    check(sk_PKCS7_SIGNER_INFO_num(bag->d.sign->signer_info) <= 0, "no signature there either");
    answer->certificates = sk_X509_num(bag->d.sign->cert);
    if (answer->certificates > 0) {
        answer->cert = X509_dup(sk_X509_value(bag->d.sign->cert, 0));
        apr_pool_cleanup_register(pki_pool, answer->cert, free_cert, apr_pool_cleanup_null);
    }
    if (sk_X509_CRL_num(bag->d.sign->crl) == 1) {
        answer->crl = X509_CRL_dup(sk_X509_CRL_value(bag->d.sign->crl, 0));
        apr_pool_cleanup_register(pki_pool, answer->crl, free_crl, apr_pool_cleanup_null);
    }
    PKCS7_free(bag);
}

static void read_envelope(const ASN1_STRING *content, EVP_PKEY *key, scep_answer_t *answer)
{
    const unsigned char *at = ASN1_STRING_get0_data(content);
    PKCS7 *p7 = d2i_PKCS7(NULL, &at, ASN1_STRING_length(content));
    CMS_ContentInfo *cms;
    BIO *out = BIO_new(BIO_s_mem());
    unsigned char *der;
    long len;

    check(p7 != NULL && PKCS7_type_is_enveloped(p7), "envelope");
    check(sk_PKCS7_RECIP_INFO_num(p7->d.enveloped->recipientinfo) == 1, "one recipient");
    answer->cipher = OBJ_nid2sn(OBJ_obj2nid(p7->d.enveloped->enc_data->algorithm->algorithm));
    PKCS7_free(p7);
    at = ASN1_STRING_get0_data(content);
    cms = d2i_CMS_ContentInfo(NULL, &at, ASN1_STRING_length(content));
    check(CMS_decrypt(cms, key, NULL, NULL, out, CMS_BINARY | CMS_DEBUG_DECRYPT), "CMS_decrypt");
    len = BIO_get_mem_data(out, &der);
    read_bag(der, len, answer);
    BIO_free(out);
    CMS_ContentInfo_free(cms);
}

scep_answer_t scep_read(scep_bytes_t reply, X509 *ca, EVP_PKEY *key)
{
    const unsigned char *at = reply.data;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)reply.len);
    scep_answer_t answer = {.content_len = -1};
    STACK_OF(X509) *signers;
    const ASN1_STRING *content;

    check(cms != NULL && at == reply.data + reply.len, "CertRep");
    check(sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) == 1, "one signature");
    check(CMS_verify(cms, NULL, NULL, NULL, NULL, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY),
          "CMS_verify");
    signers = CMS_get0_signers(cms);
    check(sk_X509_num(signers) == 1 && X509_cmp(sk_X509_value(signers, 0), ca) == 0,
          "signed by the CA");
    sk_X509_free(signers);
    read_attributes(sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0), &answer);
    content = *CMS_get0_content(cms);
    if (content != NULL)
        answer.content_len = ASN1_STRING_length(content);
    if (answer.content_len > 0)
        read_envelope(content, key, &answer);
    CMS_ContentInfo_free(cms);
    return answer;
}
