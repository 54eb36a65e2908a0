/* SPDX-License-Identifier: Apache-2.0
 * mdm_cms: what is signed and encrypted, read back by OpenSSL. Depends on core and pki.
 */
#include "mdm_cms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_strings.h>
#include <cmocka.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "cms_fixture.h"
#include "pki.h"

/* Reads back CMS_CONTENT. */
static void verify(const unsigned char *der, apr_size_t len)
{
    mdm_cms_t *cms = NULL;
    const char *content = NULL;
    apr_size_t content_len = 0;
    assert_int_equal(mdm_cms_open(pki_pool, der, len, MDM_CMS_MAX_CERTIFICATES, &cms).kind, MDM_OK);
    assert_int_equal(mdm_cms_verify(pki_pool, cms, 0, &content, &content_len).kind, MDM_OK);
    assert_int_equal(content_len, strlen(CMS_CONTENT));
    assert_string_equal(content, CMS_CONTENT);
}

/* --- signing --- */

static CMS_ContentInfo *decode(const unsigned char *der, apr_size_t len)
{
    const unsigned char *at = der;
    CMS_ContentInfo *info = d2i_CMS_ContentInfo(NULL, &at, (long)len);
    assert_non_null(info);
    assert_ptr_equal(at, der + len);
    return info;
}

static void signs(X509 *cert, EVP_PKEY *key, STACK_OF(X509) *chain, int certificates)
{
    const unsigned char *der = NULL;
    apr_size_t len = 0;
    mdm_signer_t signer = {cert, key, chain};
    mdm_result_t r = mdm_cms_sign(pki_pool, &signer, CMS_CONTENT, strlen(CMS_CONTENT), &der, &len);
    assert_int_equal(r.kind, MDM_OK);
    verify(der, len);

    BIO *out = BIO_new(BIO_s_mem());
    X509_STORE *store = X509_STORE_new();
    X509_STORE_add_cert(store, cms_ca);
    X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
    CMS_ContentInfo *info = decode(der, len);
    assert_int_equal(CMS_verify(info, NULL, store, NULL, out, CMS_BINARY), 1);
    CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(info), 0);
    assert_true(CMS_signed_get_attr_by_NID(si, NID_pkcs9_messageDigest, -1) >= 0);
    assert_true(CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1) >= 0);
    X509_ALGOR *digest = NULL;
    CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, NULL);
    assert_int_equal(OBJ_obj2nid(digest->algorithm), NID_sha256);
    STACK_OF(X509) *certs = CMS_get1_certs(info);
    assert_int_equal(sk_X509_num(certs), certificates);
    sk_X509_pop_free(certs, X509_free);
    /* DER: encoding it again gives the same bytes */
    cms_bytes_t again = cms_encode(info);
    assert_int_equal(again.len, len);
    assert_memory_equal(again.data, der, len);
    X509_STORE_free(store);
    BIO_free(out);
}

static void openssl_verifies_what_is_signed(void **state)
{
    (void)state;
    signs(cms_rsa_cert, cms_rsa_key, NULL, 1);
    signs(cms_ec_cert, cms_ec_key, NULL, 1);
    STACK_OF(X509) *chain = sk_X509_new_null();
    sk_X509_push(chain, cms_ca);
    signs(cms_rsa_cert, cms_rsa_key, chain, 2);
    sk_X509_push(chain, cms_rsa_cert); /* as chain files have it */
    sk_X509_push(chain, cms_ca);
    signs(cms_rsa_cert, cms_rsa_key, chain, 2);
    sk_X509_free(chain);
}

static void signing_with_a_foreign_key_fails(void **state)
{
    (void)state;
    const unsigned char *der = NULL;
    apr_size_t len = 0;
    mdm_signer_t signer = {cms_rsa_cert, cms_ec_key, NULL};
    mdm_result_t r = mdm_cms_sign(pki_pool, &signer, CMS_CONTENT, strlen(CMS_CONTENT), &der, &len);
    assert_int_equal(r.message, MDM_MSG_CRYPTO);
    assert_null(der);
    assert_int_equal(ERR_peek_error(), 0);
}

static void empty_content_is_content(void **state)
{
    (void)state;
    const unsigned char *der = NULL;
    const char *content = NULL;
    apr_size_t len = 1;
    apr_size_t content_len = 1;
    mdm_signer_t signer = {cms_rsa_cert, cms_rsa_key, NULL};
    assert_int_equal(mdm_cms_sign(pki_pool, &signer, NULL, 0, &der, &len).kind, MDM_OK);
    mdm_cms_t *cms = NULL;
    assert_int_equal(mdm_cms_open(pki_pool, der, len, MDM_CMS_MAX_CERTIFICATES, &cms).kind, MDM_OK);
    assert_int_equal(mdm_cms_verify(pki_pool, cms, 0, &content, &content_len).kind, MDM_OK);
    assert_string_equal(content, "");
    assert_int_equal(content_len, 0);
}

/* --- encrypting and decrypting --- */

static cms_bytes_t encrypt(X509 *recipient, const EVP_CIPHER *cipher)
{
    const unsigned char *der = NULL;
    apr_size_t len = 0;
    mdm_result_t r =
        mdm_cms_encrypt(pki_pool, recipient, cipher, CMS_CONTENT, strlen(CMS_CONTENT), &der, &len);
    assert_int_equal(r.kind, MDM_OK);
    return (cms_bytes_t){apr_pmemdup(pki_pool, der, len), len};
}

static void openssl_decrypts_what_is_encrypted(void **state)
{
    (void)state;
    const EVP_CIPHER *const ciphers[] = {EVP_aes_256_cbc(), EVP_aes_128_cbc(), EVP_des_ede3_cbc()};
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        cms_bytes_t m = encrypt(cms_rsa_cert, ciphers[i]);
        BIO *out = BIO_new(BIO_s_mem());
        CMS_ContentInfo *info = decode(m.data, m.len);
        X509_NAME *issuer = NULL;
        ASN1_INTEGER *serial = NULL;
        ASN1_OCTET_STRING *key_id = NULL;
        assert_int_equal(OBJ_obj2nid(CMS_get0_type(info)), NID_pkcs7_enveloped);
        assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(info)), NID_pkcs7_data);
        STACK_OF(CMS_RecipientInfo) *ris = CMS_get0_RecipientInfos(info);
        assert_int_equal(sk_CMS_RecipientInfo_num(ris), 1);
        assert_true(CMS_RecipientInfo_ktri_get0_signer_id(sk_CMS_RecipientInfo_value(ris, 0),
                                                          &key_id, &issuer, &serial));
        assert_null(key_id);
        assert_int_equal(X509_NAME_cmp(issuer, X509_get_issuer_name(cms_rsa_cert)), 0);
        assert_int_equal(ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cms_rsa_cert)), 0);
        assert_int_equal(CMS_decrypt(info, cms_rsa_key, cms_rsa_cert, NULL, out, CMS_BINARY), 1);
        cms_bytes_t plain = cms_take(out);
        assert_int_equal(plain.len, strlen(CMS_CONTENT));
        assert_memory_equal(plain.data, CMS_CONTENT, plain.len);
        cms_bytes_t again = cms_encode(info);
        assert_memory_equal(again.data, m.data, m.len); /* definite lengths */
    }
}

static void only_rsa_is_encrypted_to(void **state)
{
    (void)state;
    const unsigned char *der = NULL;
    apr_size_t len = 0;
    mdm_result_t r = mdm_cms_encrypt(pki_pool, cms_ec_cert, EVP_aes_256_cbc(), CMS_CONTENT,
                                     strlen(CMS_CONTENT), &der, &len);
    assert_int_equal(r.message, MDM_MSG_CRYPTO);
    assert_null(der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_verifies_what_is_signed),
        cmocka_unit_test(signing_with_a_foreign_key_fails),
        cmocka_unit_test(empty_content_is_content),
        cmocka_unit_test(openssl_decrypts_what_is_encrypted),
        cmocka_unit_test(only_rsa_is_encrypted_to),
    };
    return cmocka_run_group_tests(tests, cms_setup, pki_teardown);
}
