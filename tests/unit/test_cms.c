/* SPDX-License-Identifier: Apache-2.0
 * mdm_cms: messages made by OpenSSL, sound and damaged, opened and verified. Depends on core and
 * pki.
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
#include <pthread.h>

#include "cms_fixture.h"
#include "pki.h"

/* A message by OpenSSL alone; further certificates in others. */
static cms_bytes_t message(X509 *cert, EVP_PKEY *key, STACK_OF(X509) *others, const EVP_MD *digest,
                           unsigned int flags)
{
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    flags |= CMS_BINARY;
    CMS_ContentInfo *info = CMS_sign(NULL, NULL, others, NULL, flags | CMS_PARTIAL);
    assert_non_null(CMS_add1_signer(info, cert, key, digest, flags));
    assert_true(CMS_final(info, in, NULL, flags));
    BIO_free(in);
    return cms_encode(info);
}

static mdm_cms_t *open_message(cms_bytes_t m)
{
    mdm_cms_t *cms = NULL;
    mdm_result_t r = mdm_cms_open(pki_pool, m.data, m.len, MDM_CMS_MAX_CERTIFICATES, &cms);
    if (r.kind != MDM_OK)
        print_message("%s\n", r.log);
    assert_int_equal(r.kind, MDM_OK);
    return cms;
}

static void cannot_open(cms_bytes_t m, mdm_message_t wanted)
{
    mdm_cms_t *cms = NULL;
    mdm_result_t r = mdm_cms_open(pki_pool, m.data, m.len, MDM_CMS_MAX_CERTIFICATES, &cms);
    if (r.message != wanted)
        print_message("%s\n", r.log);
    assert_int_equal(r.message, wanted);
    assert_int_equal(r.kind, MDM_MALFORMED);
    assert_null(cms);
    assert_int_equal(ERR_peek_error(), 0);
}

/* MDM_MSG_NONE: the content is there. */
static void verify(cms_bytes_t m, unsigned int flags, mdm_message_t wanted)
{
    const char *content = NULL;
    apr_size_t len = 0;
    mdm_result_t r = mdm_cms_verify(pki_pool, open_message(m), flags, &content, &len);
    if (r.message != wanted)
        print_message("%s\n", r.log);
    assert_int_equal(r.message, wanted);
    if (wanted == MDM_MSG_NONE) {
        assert_string_equal(content, CMS_CONTENT);
        assert_int_equal(len, strlen(CMS_CONTENT));
    } else {
        assert_null(content);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

/* The n-th occurrence of some bytes, from the end if n is negative. */
static unsigned char *find(cms_bytes_t m, const void *what, size_t len, int n)
{
    for (size_t i = 0; i + len <= m.len; i++) {
        unsigned char *at = m.data + (n >= 0 ? i : m.len - len - i);
        if (memcmp(at, what, len) == 0 && (n == 0 || n == -1))
            return at;
        if (memcmp(at, what, len) == 0)
            n += n > 0 ? -1 : 1;
    }
    fail_msg("bytes not found");
    return NULL;
}

/* --- taking a message apart --- */

static cms_bytes_t joined(cms_bytes_t a, cms_bytes_t b)
{
    unsigned char *data = apr_palloc(pki_pool, a.len + b.len + 1);
    memcpy(data + a.len, b.data, b.len);
    if (a.len)
        memcpy(data, a.data, a.len);
    return (cms_bytes_t){data, a.len + b.len};
}

static cms_bytes_t wrap_der(unsigned char tag, cms_bytes_t body)
{
    unsigned char head[4] = {tag, 0x82, (unsigned char)(body.len >> 8), (unsigned char)body.len};
    assert_true(body.len < 65536);
    return joined((cms_bytes_t){head, sizeof(head)}, body);
}

/* The content of the element that begins here, and the n-th element behind it. */
static const unsigned char *inside(const unsigned char *at)
{
    long len = 0;
    int ignored = 0;
    ASN1_get_object(&at, &len, &ignored, &ignored, 65536);
    return at;
}

static const unsigned char *sibling(const unsigned char *at, int n)
{
    while (n-- > 0) {
        long len = 0;
        int ignored = 0;
        ASN1_get_object(&at, &len, &ignored, &ignored, 65536);
        at += len;
    }
    return at;
}

/* The version in a SignedData; digestAlgorithms, the content … follow. */
static const unsigned char *signed_data(cms_bytes_t m)
{
    return inside(inside(sibling(inside(m.data), 1)));
}

/* A message with another SignedData; the elements of one, without their header. */
static cms_bytes_t with_signed_data(cms_bytes_t m, cms_bytes_t elements)
{
    const unsigned char *type = inside(m.data);
    apr_size_t type_len = (apr_size_t)(sibling(type, 1) - type);
    return wrap_der(0x30, joined((cms_bytes_t){(unsigned char *)type, type_len},
                                 wrap_der(0xa0, wrap_der(0x30, elements))));
}

static void every_accepted_form_verifies(void **state)
{
    (void)state;
    static const unsigned int forms[] = {0, CMS_NOATTR, CMS_USE_KEYID, CMS_NOSMIMECAP};
    const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        for (size_t j = 0; j < sizeof(digests) / sizeof(digests[0]); j++) {
            verify(message(cms_rsa_cert, cms_rsa_key, NULL, digests[j], forms[i]), 0, MDM_MSG_NONE);
            verify(message(cms_ec_cert, cms_ec_key, NULL, digests[j], forms[i]), 0, MDM_MSG_NONE);
        }
    }
}

static void sha1_only_where_it_is_allowed(void **state)
{
    (void)state;
    static const unsigned int forms[] = {0, CMS_NOATTR};
    for (size_t i = 0; i < 2; i++) {
        cms_bytes_t rsa = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha1(), forms[i]);
        cms_bytes_t ec = message(cms_ec_cert, cms_ec_key, NULL, EVP_sha1(), forms[i]);
        verify(rsa, MDM_CMS_ALLOW_SHA1, MDM_MSG_NONE);
        verify(ec, MDM_CMS_ALLOW_SHA1, MDM_MSG_NONE);
        verify(rsa, 0, MDM_MSG_CMS_ALGORITHM);
        verify(ec, 0, MDM_MSG_CMS_ALGORITHM);
    }
}

static void other_digests_never(void **state)
{
    (void)state;
    const EVP_MD *const digests[] = {EVP_md5(), EVP_sha224(), EVP_sha3_256(), EVP_sha512_256()};
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        verify(message(cms_rsa_cert, cms_rsa_key, NULL, digests[i], 0), MDM_CMS_ALLOW_SHA1,
               MDM_MSG_CMS_ALGORITHM);
    }
}

static cms_bytes_t pss_message(void)
{
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    CMS_ContentInfo *info = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_PARTIAL);
    CMS_SignerInfo *si =
        CMS_add1_signer(info, cms_rsa_cert, cms_rsa_key, EVP_sha256(), CMS_BINARY | CMS_KEY_PARAM);
    assert_non_null(si);
    assert_true(
        EVP_PKEY_CTX_set_rsa_padding(CMS_SignerInfo_get0_pkey_ctx(si), RSA_PKCS1_PSS_PADDING) > 0);
    assert_true(CMS_final(info, in, NULL, CMS_BINARY));
    BIO_free(in);
    return cms_encode(info);
}

static void the_signature_must_be_of_key_and_digest(void **state)
{
    (void)state;
    static const char ecdsa_sha256[] = "\x2a\x86\x48\xce\x3d\x04\x03\x02";
    static const char rsa_encryption[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    cms_bytes_t m = message(cms_ec_cert, cms_ec_key, NULL, EVP_sha256(), 0);
    find(m, ecdsa_sha256, 8, -1)[7] = 3; /* ecdsa-with-SHA384 beside SHA-256 */
    verify(m, 0, MDM_MSG_CMS_ALGORITHM);

    m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), 0);
    unsigned char *algorithm = find(m, rsa_encryption, 9, -1);
    algorithm[8] = 11; /* sha256WithRSAEncryption: as good */
    verify(m, 0, MDM_MSG_NONE);
    algorithm[8] = 5; /* sha1WithRSAEncryption beside SHA-256 */
    verify(m, MDM_CMS_ALLOW_SHA1, MDM_MSG_CMS_ALGORITHM);
    algorithm[8] = 4; /* md5WithRSAEncryption */
    verify(m, MDM_CMS_ALLOW_SHA1, MDM_MSG_CMS_ALGORITHM);
    algorithm[8] = 7; /* RSAES-OAEP */
    verify(m, 0, MDM_MSG_CMS_ALGORITHM);
    verify(pss_message(), 0, MDM_MSG_CMS_ALGORITHM);
}

static void keys_that_cost_or_lack_too_much_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *curve = pki_key_ec("secp256k1");
    EVP_PKEY *small = pki_key_rsa(768);
    EVP_PKEY *least = pki_key_rsa(1024);
    cannot_open(message(pki_cert("/CN=k1", curve, NULL, NULL, NULL), curve, NULL, EVP_sha256(), 0),
                MDM_MSG_CMS_CERTIFICATES);
    verify(message(pki_cert("/CN=768", small, NULL, NULL, NULL), small, NULL, EVP_sha256(), 0), 0,
           MDM_MSG_CMS_ALGORITHM);
    verify(message(pki_cert("/CN=1024", least, NULL, NULL, NULL), least, NULL, EVP_sha256(), 0), 0,
           MDM_MSG_NONE);
}

static void altered_content_is_refused(void **state)
{
    (void)state;
    static const unsigned int forms[] = {0, CMS_NOATTR};
    for (size_t i = 0; i < 2; i++) {
        cms_bytes_t m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), forms[i]);
        *find(m, "content", 7, 0) ^= 1;
        verify(m, 0, MDM_MSG_CMS_SIGNATURE);
        m = message(cms_ec_cert, cms_ec_key, NULL, EVP_sha256(), forms[i]);
        *find(m, "content", 7, 0) ^= 1;
        verify(m, 0, MDM_MSG_CMS_SIGNATURE);
    }
}

static void altered_attributes_are_refused(void **state)
{
    (void)state;
    unsigned char digest[32];
    cms_bytes_t m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), 0);
    assert_true(EVP_Digest(CMS_CONTENT, strlen(CMS_CONTENT), digest, NULL, EVP_sha256(), NULL));
    *find(m, digest, sizeof(digest), 0) ^= 1; /* messageDigest */
    verify(m, 0, MDM_MSG_CMS_SIGNATURE);

    m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), 0);
    m.data[m.len - 1] ^= 1; /* the signature itself */
    verify(m, 0, MDM_MSG_CMS_SIGNATURE);
}

/* OpenSSL's own CMS_verify() takes this one. */
static void the_signed_content_type_must_be_that_of_the_content(void **state)
{
    (void)state;
    static const char digested[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05";
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    CMS_ContentInfo *info = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_PARTIAL);
    assert_true(CMS_set1_eContentType(info, OBJ_nid2obj(NID_pkcs7_digest)));
    assert_non_null(CMS_add1_signer(info, cms_rsa_cert, cms_rsa_key, EVP_sha256(), CMS_BINARY));
    assert_true(CMS_final(info, in, NULL, CMS_BINARY));
    BIO_free(in);
    cms_bytes_t m = cms_encode(info);
    cannot_open(m, MDM_MSG_CMS_CONTENT_TYPE);
    find(m, digested, 9, 0)[8] = 1; /* eContentType becomes id-data, the attribute stays */
    verify(m, 0, MDM_MSG_CMS_SIGNATURE);
}

/* Sign the attributes anew, as they stand in the message: with the tag of a SET, RFC 5652 section
 * 5.4. An RSA signature ends the message. */
static void sign_again(cms_bytes_t m)
{
    static const char content_type[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
    unsigned char *attributes = find(m, content_type, 9, 0) - 6;
    size_t len = 256;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(attributes[0], 0xA0);
    assert_true(attributes[1] < 128);
    attributes[0] = 0x31;
    assert_true(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, cms_rsa_key) > 0);
    assert_true(EVP_DigestSign(ctx, m.data + m.len - 256, &len, attributes, attributes[1] + 2) > 0);
    attributes[0] = 0xA0;
    EVP_MD_CTX_free(ctx);
}

static void attributes_without_a_digest_are_refused(void **state)
{
    (void)state;
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    CMS_ContentInfo *info = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_PARTIAL);
    CMS_SignerInfo *si =
        CMS_add1_signer(info, cms_rsa_cert, cms_rsa_key, EVP_sha256(), CMS_BINARY | CMS_NOSMIMECAP);
    assert_true(CMS_final(info, in, NULL, CMS_BINARY));
    BIO_free(in);
    int at = CMS_signed_get_attr_by_NID(si, NID_pkcs9_messageDigest, -1);
    X509_ATTRIBUTE_free(CMS_signed_delete_attr(si, at));
    cms_bytes_t m = cms_encode(info);
    sign_again(m);
    verify(m, 0, MDM_MSG_CMS_SIGNATURE);

    /* it is not sign_again() that is wrong */
    m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), CMS_NOSMIMECAP);
    m.data[m.len - 1] ^= 1;
    sign_again(m);
    verify(m, 0, MDM_MSG_NONE);
}

static cms_bytes_t with_tail(cms_bytes_t m, const char *tail, apr_size_t len)
{
    unsigned char *data = apr_palloc(pki_pool, m.len + len);
    memcpy(data, m.data, m.len);
    memcpy(data + m.len, tail, len);
    return (cms_bytes_t){data, m.len + len};
}

static void indefinite_lengths_are_taken(void **state)
{
    (void)state;
    unsigned int flags = CMS_BINARY | CMS_STREAM;
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    BIO *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *info = CMS_sign(cms_rsa_cert, cms_rsa_key, NULL, in, flags);
    assert_true(i2d_CMS_bio_stream(out, info, in, (int)flags));
    CMS_ContentInfo_free(info);
    BIO_free(in);
    cms_bytes_t m = cms_take(out);
    assert_int_equal(m.data[1], 0x80);
    verify(m, 0, MDM_MSG_NONE);
    cannot_open(with_tail(m, "\0\0", 2), MDM_MSG_CMS_TRAILING);
    m.len -= 2;
    cannot_open(m, MDM_MSG_CMS_DECODE);
}

static void one_message_and_nothing_else(void **state)
{
    (void)state;
    cms_bytes_t m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), 0);
    cannot_open(with_tail(m, "", 1), MDM_MSG_CMS_TRAILING);
    cannot_open(with_tail(m, (char *)m.data, m.len), MDM_MSG_CMS_TRAILING);
    cannot_open((cms_bytes_t){m.data, m.len - 1}, MDM_MSG_CMS_DECODE);
    cannot_open((cms_bytes_t){m.data, 0}, MDM_MSG_CMS_DECODE);
    cannot_open((cms_bytes_t){(unsigned char *)"<plist/>", 8}, MDM_MSG_CMS_DECODE);
    cannot_open((cms_bytes_t){(unsigned char *)"0\0", 2}, MDM_MSG_CMS_DECODE);
}

static void other_contents_are_refused(void **state)
{
    (void)state;
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    STACK_OF(X509) *certs = sk_X509_new_null();
    sk_X509_push(certs, cms_rsa_cert);
    cannot_open(cms_encode(CMS_data_create(in, CMS_BINARY)), MDM_MSG_CMS_CONTENT_TYPE);
    cannot_open(cms_encode(CMS_encrypt(certs, in, EVP_aes_128_cbc(), CMS_BINARY)),
                MDM_MSG_CMS_CONTENT_TYPE);
    cannot_open(message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), CMS_DETACHED),
                MDM_MSG_CMS_DETACHED);
    sk_X509_free(certs);
    BIO_free(in);
}

static void no_signer_is_refused(void **state)
{
    (void)state;
    cms_bytes_t m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), CMS_NOCERTS);
    const unsigned char *version = signed_data(m);
    apr_size_t kept = (apr_size_t)(sibling(version, 3) - version);
    cms_bytes_t nobody = {(unsigned char *)"\x31\0", 2};
    cannot_open(with_signed_data(m, joined((cms_bytes_t){(unsigned char *)version, kept}, nobody)),
                MDM_MSG_CMS_SIGNERS);
}

static void two_signers_are_refused(void **state)
{
    (void)state;
    BIO *in = BIO_new_mem_buf(CMS_CONTENT, -1);
    CMS_ContentInfo *info = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_PARTIAL);
    assert_non_null(CMS_add1_signer(info, cms_rsa_cert, cms_rsa_key, EVP_sha256(), CMS_BINARY));
    assert_non_null(CMS_add1_signer(info, cms_ec_cert, cms_ec_key, EVP_sha256(), CMS_BINARY));
    assert_true(CMS_final(info, in, NULL, CMS_BINARY));
    BIO_free(in);
    cannot_open(cms_encode(info), MDM_MSG_CMS_SIGNERS);
}

static void the_signer_is_in_the_bag(void **state)
{
    (void)state;
    STACK_OF(X509) *others = sk_X509_new_null();
    sk_X509_push(others, cms_ca);
    sk_X509_push(others, cms_ec_cert);
    mdm_cms_t *cms = open_message(message(cms_rsa_cert, cms_rsa_key, others, EVP_sha256(), 0));
    assert_int_equal(X509_cmp(mdm_cms_signer(cms), cms_rsa_cert), 0);

    cannot_open(message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), CMS_NOCERTS),
                MDM_MSG_CMS_SIGNER_CERTIFICATE);
    cannot_open(message(cms_rsa_cert, cms_rsa_key, others, EVP_sha256(), CMS_NOCERTS),
                MDM_MSG_CMS_SIGNER_CERTIFICATE);
    sk_X509_free(others);
}

static void too_many_certificates_are_refused(void **state)
{
    (void)state;
    STACK_OF(X509) *others = sk_X509_new_null();
    for (int i = 1; i < MDM_CMS_MAX_CERTIFICATES; i++)
        sk_X509_push(others, pki_cert("/CN=one of many", cms_ec_key, NULL, NULL, NULL));
    open_message(message(cms_rsa_cert, cms_rsa_key, others, EVP_sha256(), 0));
    sk_X509_push(others, cms_ca);
    cannot_open(message(cms_rsa_cert, cms_rsa_key, others, EVP_sha256(), 0),
                MDM_MSG_CMS_CERTIFICATES);
    sk_X509_free(others);
}

/* One such key over a large field takes OpenSSL half a second, and all are decoded. */
static void explicit_curves_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *odd = pki_key_ec_explicit();
    STACK_OF(X509) *others = sk_X509_new_null();
    sk_X509_push(others, pki_cert("/CN=odd", odd, NULL, NULL, NULL));
    cannot_open(message(cms_rsa_cert, cms_rsa_key, others, EVP_sha256(), 0),
                MDM_MSG_CMS_CERTIFICATES);
    cannot_open(message(sk_X509_value(others, 0), odd, NULL, EVP_sha256(), 0),
                MDM_MSG_CMS_CERTIFICATES);
    sk_X509_free(others);
}

/* What is judged must be what verifies, so there may be no second reading. */
static void ambiguous_signers_are_refused(void **state)
{
    (void)state;
    STACK_OF(X509) *others = sk_X509_new_null();
    EVP_PKEY *other_key = pki_key_ec("P-256");
    const pki_opts_t same = {.serial = 77};
    X509 *mine = pki_cert("/CN=same", cms_ec_key, NULL, NULL, &same);
    sk_X509_push(others, pki_cert("/CN=same", other_key, NULL, NULL, &same));
    cannot_open(message(mine, cms_ec_key, others, EVP_sha256(), 0), MDM_MSG_CMS_SIGNER_CERTIFICATE);
    /* the namesake alone: opened as the signer it claims to be, refused by its key */
    verify(message(mine, cms_ec_key, others, EVP_sha256(), CMS_NOCERTS), 0, MDM_MSG_CMS_SIGNATURE);

    /* the same key, and so the same subjectKeyIdentifier, in two certificates */
    sk_X509_set(others, 0, pki_cert("/CN=another", cms_ec_key, NULL, NULL, NULL));
    cannot_open(message(mine, cms_ec_key, others, EVP_sha256(), CMS_USE_KEYID),
                MDM_MSG_CMS_SIGNER_CERTIFICATE);
    sk_X509_free(others);
}

/* --- many digestAlgorithms --- */

/* The same message, its digestAlgorithms listing the digest n times over. */
static cms_bytes_t with_digest_algorithms(cms_bytes_t m, int n)
{
    const unsigned char *version = signed_data(m);
    const unsigned char *algorithm = inside(sibling(version, 1));
    const unsigned char *content = sibling(version, 2);
    apr_size_t len = (apr_size_t)(content - algorithm);
    cms_bytes_t all = {apr_palloc(pki_pool, len * (apr_size_t)n), len * (apr_size_t)n};
    for (int i = 0; i < n; i++)
        memcpy(all.data + len * (apr_size_t)i, algorithm, len);
    cms_bytes_t head = {(unsigned char *)version, 3};
    cms_bytes_t tail = {(unsigned char *)content, (apr_size_t)(m.data + m.len - content)};
    return with_signed_data(m, joined(joined(head, wrap_der(0x31, all)), tail));
}

static void *verify_on_small_stack(void *ctx)
{
    const char *content = NULL;
    apr_size_t len = 0;
    mdm_result_t r = mdm_cms_verify(pki_pool, ctx, 0, &content, &len);
    return r.kind == MDM_OK && len == strlen(CMS_CONTENT) ? ctx : NULL;
}

/* CMS_verify() nests one filter a listed digest, and overruns this stack. */
static void many_digest_algorithms_cost_nothing(void **state)
{
    (void)state;
    pthread_attr_t attributes;
    pthread_t thread;
    void *done = NULL;
    cms_bytes_t m = message(cms_rsa_cert, cms_rsa_key, NULL, EVP_sha256(), 0);
    verify(with_digest_algorithms(m, 1), 0, MDM_MSG_NONE);
    cannot_open(with_digest_algorithms(m, 4000), MDM_MSG_CMS_DECODE);
    mdm_cms_t *cms = open_message(with_digest_algorithms(m, 400));
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 64 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attributes, verify_on_small_stack, cms), 0);
    assert_int_equal(pthread_join(thread, &done), 0);
    pthread_attr_destroy(&attributes);
    assert_ptr_equal(done, cms);
}

/* Every byte of a message changed: opened or not, but never verified with other content. */
static void no_damage_verifies_as_other_content(void **state)
{
    (void)state;
    cms_bytes_t m = message(cms_ec_cert, cms_ec_key, NULL, EVP_sha256(), 0);
    for (apr_size_t i = 0; i < m.len; i++) {
        apr_pool_t *p = NULL;
        mdm_cms_t *cms = NULL;
        const char *content = NULL;
        apr_size_t len = 0;
        assert_int_equal(apr_pool_create(&p, pki_pool), APR_SUCCESS);
        unsigned char *copy = apr_pmemdup(p, m.data, m.len);
        copy[i] ^= 0x15;
        if (mdm_cms_open(p, copy, m.len, MDM_CMS_MAX_CERTIFICATES, &cms).kind == MDM_OK &&
            mdm_cms_verify(p, cms, 0, &content, &len).kind == MDM_OK)
            assert_string_equal(content, CMS_CONTENT);
        apr_pool_destroy(p);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_accepted_form_verifies),
        cmocka_unit_test(sha1_only_where_it_is_allowed),
        cmocka_unit_test(other_digests_never),
        cmocka_unit_test(the_signature_must_be_of_key_and_digest),
        cmocka_unit_test(keys_that_cost_or_lack_too_much_are_refused),
        cmocka_unit_test(altered_content_is_refused),
        cmocka_unit_test(altered_attributes_are_refused),
        cmocka_unit_test(the_signed_content_type_must_be_that_of_the_content),
        cmocka_unit_test(attributes_without_a_digest_are_refused),
        cmocka_unit_test(indefinite_lengths_are_taken),
        cmocka_unit_test(one_message_and_nothing_else),
        cmocka_unit_test(other_contents_are_refused),
        cmocka_unit_test(no_signer_is_refused),
        cmocka_unit_test(two_signers_are_refused),
        cmocka_unit_test(the_signer_is_in_the_bag),
        cmocka_unit_test(too_many_certificates_are_refused),
        cmocka_unit_test(explicit_curves_are_refused),
        cmocka_unit_test(ambiguous_signers_are_refused),
        cmocka_unit_test(many_digest_algorithms_cost_nothing),
        cmocka_unit_test(no_damage_verifies_as_other_content),
    };
    return cmocka_run_group_tests(tests, cms_setup, pki_teardown);
}
