/* SPDX-License-Identifier: Apache-2.0
 * Cryptographic Message Syntax (RFC 5652): verify one signer strictly, sign, encrypt.
 * Depends on mdm_x509.
 */
#include "mdm_cms.h"

#include <apr_strings.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>
#include <time.h>

/* Smallest RSA key that is verified with; who is trusted may want more. */
#define MIN_RSA_BITS 1024

/* Elements of ASN.1 in a message: real ones have some 100, and up to 120 more in each certificate.
 * OpenSSL takes a fraction of a microsecond for each, and 32 KiB have room for ten thousand. */
#define MAX_ELEMENTS(certificates) (100 + 150 * (certificates))

struct mdm_cms_t {
    CMS_ContentInfo *info;
    CMS_SignerInfo *signer_info; /* owned by info */
    STACK_OF(X509) *certs;
    X509 *signer; /* owned by certs */
};

static apr_status_t free_info(void *info)
{
    CMS_ContentInfo_free(info);
    return APR_SUCCESS;
}

static CMS_ContentInfo *own_info(apr_pool_t *p, CMS_ContentInfo *info)
{
    if (info)
        apr_pool_cleanup_register(p, info, free_info, apr_pool_cleanup_null);
    return info;
}

/* To read from; BIO_new_mem_buf() wants a pointer for no bytes, too. */
static BIO *source_bio(const void *bytes, apr_size_t len)
{
    return len > INT_MAX ? NULL : BIO_new_mem_buf(len ? bytes : "", (int)len);
}

/* --- verifying --- */

/* The content of a ContentInfo of that type (RFC 5652 section 3). 0 if it is none, or of another.
 */
static int content_of_type(const void *message, apr_size_t len, const unsigned char *type,
                           apr_size_t type_len, int *other, mdm_der_t *content)
{
    mdm_der_t left = mdm_der_content(message, len);
    mdm_der_t info, part;

    *other = 0;
    if (!mdm_der_expect(&left, MDM_DER_SEQUENCE, &info) ||
        !mdm_der_expect(&info, MDM_DER_OID, &part))
        return 0;
    *other = !mdm_der_equal(&part, MDM_DER_OID, type, type_len);
    return !*other && mdm_der_expect(&info, MDM_DER_CONTEXT_0, &part) &&
           mdm_der_expect(&part, MDM_DER_SEQUENCE, content);
}

/* What OpenSSL would decode of a SignedData (RFC 5652 section 5.1) at once, before anybody could
 * stop it. Returns why it may not, or NULL. */
static const char *why_not_decode(mdm_der_t signed_data, int max_certificates)
{
    mdm_der_t part, certificate;
    int count = 0;

    /* version, digestAlgorithms, encapContentInfo */
    for (int i = 0; i < 3; i++)
        if (!mdm_der_next(&signed_data, &part))
            return "it is cut off";
    if (!mdm_der_expect(&signed_data, MDM_DER_CONTEXT_0, &part))
        part.len = 0;
    for (; part.len > 0; count++) {
        if (count == max_certificates)
            return "there are more of them than are taken";
        if (!mdm_der_next(&part, &certificate) || !mdm_x509_key_decodable(&certificate))
            return "one has no key of RSA, P-256, P-384 or P-521";
    }
    return mdm_der_expect(&signed_data, MDM_DER_CONTEXT_1, &part) ? "there are CRLs beside them"
                                                                  : NULL;
}

static mdm_result_t check_before_decoding(apr_pool_t *p, const void *message, apr_size_t len,
                                          int max_certificates)
{
    static const unsigned char type[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    mdm_der_t signed_data;
    int other;

    if (!content_of_type(message, len, type, sizeof(type), &other, &signed_data)) {
        return other ? mdm_result_make(p, MDM_MSG_CMS_CONTENT_TYPE,
                                       "a CMS message of another type, wanted " LN_pkcs7_signed)
                     : mdm_result_make(p, MDM_MSG_CMS_DECODE, "not a CMS message");
    }
    const char *why = why_not_decode(signed_data, max_certificates);
    if (why) {
        return mdm_result_make(p, MDM_MSG_CMS_CERTIFICATES,
                               "the certificates are not decoded: %s; wanted at most %d, and "
                               "nothing dear",
                               why, max_certificates);
    }
    if (!mdm_der_few(signed_data.bytes, signed_data.len, MAX_ELEMENTS(max_certificates))) {
        return mdm_result_make(p, MDM_MSG_CMS_DECODE,
                               "a CMS message of more than %d elements, or of some that are none",
                               MAX_ELEMENTS(max_certificates));
    }
    return mdm_result_ok();
}

int mdm_cms_is_enveloped(const void *message, apr_size_t len)
{
    static const unsigned char type[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
    mdm_der_t enveloped_data;
    int other;

    return content_of_type(message, len, type, sizeof(type), &other, &enveloped_data);
}

/* Exactly one ContentInfo, and nothing behind it. */
static mdm_result_t decode(apr_pool_t *p, const void *message, apr_size_t len, int max_certificates,
                           CMS_ContentInfo **info)
{
    const unsigned char *at = message;

    if (len == 0 || len > INT_MAX) {
        return mdm_result_make(p, MDM_MSG_CMS_DECODE, "a CMS message of %" APR_SIZE_T_FMT " bytes",
                               len);
    }
    mdm_result_t r = check_before_decoding(p, message, len, max_certificates);
    if (r.kind != MDM_OK)
        return r;
    CMS_ContentInfo *found = own_info(p, d2i_CMS_ContentInfo(NULL, &at, (long)len));
    if (!found) {
        return mdm_result_make(p, MDM_MSG_CMS_DECODE, "not a CMS message: %s",
                               mdm_openssl_reason(p));
    }
    const unsigned char *end = (const unsigned char *)message + len;
    if (at != end) {
        return mdm_result_make(p, MDM_MSG_CMS_TRAILING, "%ld bytes behind the CMS message",
                               (long)(end - at));
    }
    *info = found;
    return mdm_result_ok();
}

/* Over id-data, with its content. */
static mdm_result_t check_content(apr_pool_t *p, CMS_ContentInfo *info)
{
    const ASN1_OBJECT *type = CMS_get0_eContentType(info);
    if (OBJ_obj2nid(type) != NID_pkcs7_data) {
        return mdm_result_make(p, MDM_MSG_CMS_CONTENT_TYPE, "signed content of type %s, wanted %s",
                               mdm_object_text(p, type), LN_pkcs7_data);
    }
    ASN1_OCTET_STRING **content = CMS_get0_content(info);
    if (!content || !*content)
        return mdm_result_make(p, MDM_MSG_CMS_DETACHED, "a signature without its content");
    return mdm_result_ok();
}

/* The certificate that the SignerInfo names. Two different ones by that name would leave it to the
 * order of the bag whose key verifies. */
static mdm_result_t find_signer(apr_pool_t *p, mdm_cms_t *cms)
{
    int count = sk_X509_num(cms->certs);
    for (int i = 0; i < count; i++) {
        X509 *cert = sk_X509_value(cms->certs, i);
        if (CMS_SignerInfo_cert_cmp(cms->signer_info, cert) != 0)
            continue;
        if (cms->signer && X509_cmp(cms->signer, cert) != 0) {
            return mdm_result_make(p, MDM_MSG_CMS_SIGNER_CERTIFICATE,
                                   "two certificates that the signer could be");
        }
        cms->signer = cert;
    }
    if (!cms->signer) {
        return mdm_result_make(p, MDM_MSG_CMS_SIGNER_CERTIFICATE,
                               "none of %d certificates is the signer's", count > 0 ? count : 0);
    }
    return mdm_result_ok();
}

mdm_result_t mdm_cms_open(apr_pool_t *p, const void *message, apr_size_t len, int max_certificates,
                          mdm_cms_t **cms)
{
    mdm_cms_t *opened = apr_pcalloc(p, sizeof(*opened));

    mdm_result_t r = decode(p, message, len, max_certificates, &opened->info);
    if (r.kind != MDM_OK)
        return r;
    r = check_content(p, opened->info);
    if (r.kind != MDM_OK)
        return r;
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(opened->info);
    if (sk_CMS_SignerInfo_num(infos) != 1) {
        int count = sk_CMS_SignerInfo_num(infos);
        return mdm_result_make(p, MDM_MSG_CMS_SIGNERS, "%d signers, wanted exactly one",
                               count > 0 ? count : 0);
    }
    opened->signer_info = sk_CMS_SignerInfo_value(infos, 0);
    opened->certs = mdm_x509_own_stack(p, CMS_get1_certs(opened->info));
    r = find_signer(p, opened);
    ERR_clear_error();
    if (r.kind == MDM_OK)
        *cms = opened;
    return r;
}

X509 *mdm_cms_signer(const mdm_cms_t *cms)
{
    return cms->signer;
}

const CMS_SignerInfo *mdm_cms_signer_info(const mdm_cms_t *cms)
{
    return cms->signer_info;
}

const ASN1_OCTET_STRING *mdm_cms_content(const mdm_cms_t *cms)
{
    return *CMS_get0_content(cms->info);
}

/* Whether a signature algorithm is one that the key can make, over that digest: rsaEncryption or
 * sha*WithRSAEncryption, ecdsa-with-SHA*. */
static int signature_fits(int signature, int digest, int key)
{
    int signed_digest = NID_undef;
    int signing_key = NID_undef;

    if (signature == NID_rsaEncryption)
        return key == EVP_PKEY_RSA;
    return OBJ_find_sigid_algs(signature, &signed_digest, &signing_key) &&
           signed_digest == digest && signing_key == key &&
           (key == EVP_PKEY_RSA || key == EVP_PKEY_EC);
}

static int digest_allowed(int digest, unsigned int flags)
{
    return digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512 ||
           (digest == NID_sha1 && (flags & MDM_CMS_ALLOW_SHA1));
}

static mdm_result_t check_algorithms(apr_pool_t *p, const mdm_cms_t *cms, unsigned int flags,
                                     const EVP_MD **md)
{
    X509_ALGOR *digest_algorithm = NULL;
    X509_ALGOR *signature_algorithm = NULL;
    const ASN1_OBJECT *digest = NULL;
    const ASN1_OBJECT *signature = NULL;
    EVP_PKEY *key = X509_get0_pubkey(cms->signer);

    CMS_SignerInfo_get0_algs(cms->signer_info, NULL, NULL, &digest_algorithm, &signature_algorithm);
    X509_ALGOR_get0(&digest, NULL, NULL, digest_algorithm);
    X509_ALGOR_get0(&signature, NULL, NULL, signature_algorithm);
    int digest_nid = OBJ_obj2nid(digest);
    if (!digest_allowed(digest_nid, flags)) {
        return mdm_result_make(p, MDM_MSG_CMS_ALGORITHM, "digest %s, wanted %sSHA-256 or longer",
                               mdm_object_text(p, digest),
                               flags & MDM_CMS_ALLOW_SHA1 ? "SHA-1, " : "");
    }
    if (!mdm_x509_key_ok(key, MIN_RSA_BITS)) {
        return mdm_result_make(
            p, MDM_MSG_CMS_ALGORITHM, "a signer's key of %s, %d bits; wanted RSA or a NIST curve",
            key ? EVP_PKEY_get0_type_name(key) : "no known type", key ? EVP_PKEY_get_bits(key) : 0);
    }
    if (!signature_fits(OBJ_obj2nid(signature), digest_nid, EVP_PKEY_get_base_id(key))) {
        return mdm_result_make(
            p, MDM_MSG_CMS_ALGORITHM,
            "signature algorithm %s, wanted RSA PKCS#1 v1.5 or ECDSA as the key is, over %s",
            mdm_object_text(p, signature), mdm_object_text(p, digest));
    }
    *md = EVP_get_digestbynid(digest_nid);
    return *md ? mdm_result_ok()
               : mdm_result_make(p, MDM_MSG_CRYPTO, "no digest %s", mdm_object_text(p, digest));
}

/* RFC 5652 section 11.1: the attribute must equal the type of the content. OpenSSL looks only
 * whether it is there. */
static int attributes_ok(CMS_ContentInfo *info, CMS_SignerInfo *signer_info)
{
    const ASN1_OBJECT *type = CMS_signed_get0_data_by_OBJ(
        signer_info, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT);
    return type && OBJ_cmp(type, CMS_get0_eContentType(info)) == 0;
}

/* Not CMS_verify(): it hashes the content once for every entry of digestAlgorithms, each by one
 * more filter that calls the next, so that one message can take the whole stack of a thread. */
static int signature_holds(const mdm_cms_t *cms, const EVP_MD *md, const ASN1_OCTET_STRING *content)
{
    char buffer[4096];
    int holds = 0;
    int has_attributes = CMS_signed_get_attr_count(cms->signer_info) >= 0;

    BIO *source =
        source_bio(ASN1_STRING_get0_data(content), (apr_size_t)ASN1_STRING_length(content));
    BIO *hash = BIO_new(BIO_f_md());
    if (!source || !hash || BIO_set_md(hash, md) <= 0)
        goto done;
    BIO_push(hash, source);
    while (BIO_read(hash, buffer, sizeof(buffer)) > 0) {
    }
    CMS_SignerInfo_set1_signer_cert(cms->signer_info, cms->signer);
    if (has_attributes && (!attributes_ok(cms->info, cms->signer_info) ||
                           CMS_SignerInfo_verify(cms->signer_info) != 1))
        goto done;
    holds = CMS_SignerInfo_verify_content(cms->signer_info, hash) == 1;
done:
    BIO_free(hash);
    BIO_free(source);
    return holds;
}

mdm_result_t mdm_cms_verify(apr_pool_t *p, const mdm_cms_t *cms, unsigned int flags,
                            const char **content, apr_size_t *content_len)
{
    const EVP_MD *md = NULL;

    mdm_result_t r = check_algorithms(p, cms, flags, &md);
    if (r.kind != MDM_OK) {
        ERR_clear_error();
        return r;
    }
    const ASN1_OCTET_STRING *octets = mdm_cms_content(cms);
    if (!signature_holds(cms, md, octets)) {
        return mdm_result_make(p, MDM_MSG_CMS_SIGNATURE, "the signature does not hold: %s",
                               mdm_openssl_reason(p));
    }
    ERR_clear_error();
    apr_size_t len = (apr_size_t)ASN1_STRING_length(octets);
    *content = len ? apr_pstrmemdup(p, (const char *)ASN1_STRING_get0_data(octets), len) : "";
    *content_len = len;
    return mdm_result_ok();
}

/* One attribute with one value (-3), either of the two types of Time. */
apr_int64_t mdm_cms_signing_time(const mdm_cms_t *cms)
{
    static const int types[] = {V_ASN1_UTCTIME, V_ASN1_GENERALIZEDTIME};
    const ASN1_OBJECT *name = OBJ_nid2obj(NID_pkcs9_signingTime);
    apr_int64_t seconds = 0;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct tm tm;
        const ASN1_TIME *time = CMS_signed_get0_data_by_OBJ(cms->signer_info, name, -3, types[i]);
        if (time && ASN1_TIME_to_tm(time, &tm) == 1)
            seconds = (apr_int64_t)timegm(&tm);
    }
    ERR_clear_error();
    return seconds > 0 ? seconds : 0;
}

/* --- making --- */

static mdm_result_t encode(apr_pool_t *p, CMS_ContentInfo *info, const unsigned char **der,
                           apr_size_t *der_len)
{
    const unsigned char *bytes = mdm_der_encode(p, info, ASN1_ITEM_rptr(CMS_ContentInfo), der_len);
    if (!bytes) {
        return mdm_result_make(p, MDM_MSG_CRYPTO, "a CMS message cannot be encoded: %s",
                               mdm_openssl_reason(p));
    }
    *der = bytes;
    return mdm_result_ok();
}

mdm_result_t mdm_cms_sign(apr_pool_t *p, const mdm_signer_t *signer, const void *content,
                          apr_size_t len, const unsigned char **der, apr_size_t *der_len)
{
    static const unsigned int flags = CMS_BINARY | CMS_NOSMIMECAP;
    CMS_ContentInfo *info = NULL;
    int done = 0;

    /* CMS_add1_cert() fails on a certificate that is there already, as a chain file may have it. */
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *bio = source_bio(content, len);
    if (bio && certs && X509_add_cert(certs, signer->cert, X509_ADD_FLAG_UP_REF) &&
        (!signer->chain ||
         X509_add_certs(certs, signer->chain, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP)))
        info = own_info(p, CMS_sign(NULL, NULL, certs, NULL, flags | CMS_PARTIAL));
    done = info &&
           CMS_add1_signer(info, signer->cert, signer->key, EVP_sha256(), flags | CMS_NOCERTS) &&
           CMS_final(info, bio, NULL, flags);
    BIO_free(bio);
    sk_X509_pop_free(certs, X509_free);
    if (!done)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot sign: %s", mdm_openssl_reason(p));
    return encode(p, info, der, der_len);
}

mdm_result_t mdm_cms_encrypt(apr_pool_t *p, X509 *recipient, const EVP_CIPHER *cipher,
                             const void *content, apr_size_t len, const unsigned char **der,
                             apr_size_t *der_len)
{
    CMS_ContentInfo *info = NULL;

    EVP_PKEY *key = X509_get0_pubkey(recipient);
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot encrypt to %s: its key is not RSA",
                               mdm_x509_fingerprint(p, recipient));
    }
    STACK_OF(X509) *recipients = sk_X509_new_null();
    BIO *bio = source_bio(content, len);
    if (bio && recipients && sk_X509_push(recipients, recipient))
        info = own_info(p, CMS_encrypt(recipients, bio, cipher, CMS_BINARY));
    BIO_free(bio);
    sk_X509_free(recipients);
    if (!info)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot encrypt: %s", mdm_openssl_reason(p));
    return encode(p, info, der, der_len);
}
