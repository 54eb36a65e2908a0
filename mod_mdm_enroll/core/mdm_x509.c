/* SPDX-License-Identifier: Apache-2.0
 * Certificates, keys and chains with pool ownership. Depends on OpenSSL and mdm_result.
 */
#include "mdm_x509.h"

#include <apr_strings.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_RSA_BITS 8192
#define MAX_RSA_EXPONENT_BITS 32

/* Longest name that is written out, as DER. */
#define MAX_NAME_BYTES 1024

static apr_status_t free_cert(void *cert)
{
    X509_free(cert);
    return APR_SUCCESS;
}

static apr_status_t free_key(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

static apr_status_t free_stack(void *certs)
{
    sk_X509_pop_free(certs, X509_free);
    return APR_SUCCESS;
}

X509 *mdm_x509_own(apr_pool_t *p, X509 *cert)
{
    if (cert)
        apr_pool_cleanup_register(p, cert, free_cert, apr_pool_cleanup_null);
    return cert;
}

EVP_PKEY *mdm_x509_own_key(apr_pool_t *p, EVP_PKEY *key)
{
    if (key)
        apr_pool_cleanup_register(p, key, free_key, apr_pool_cleanup_null);
    return key;
}

STACK_OF(X509) *mdm_x509_own_stack(apr_pool_t *p, STACK_OF(X509) *certs)
{
    if (certs)
        apr_pool_cleanup_register(p, certs, free_stack, apr_pool_cleanup_null);
    return certs;
}

const char *mdm_openssl_reason(apr_pool_t *p)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = NULL;
    char buffer[128];

    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(error))
        reason = apr_strerror((apr_status_t)ERR_GET_REASON(error), buffer, sizeof(buffer));
    else if (error)
        reason = ERR_reason_error_string(error);
    return reason ? apr_pstrdup(p, reason) : "no reason given";
}

/* --- files --- */

/* OpenSSL's default would ask at the terminal and hang a server that has one: every PEM block can
 * say that it is encrypted, a certificate's, too. */
static int refuse_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* Not by BIO_new_file(): for a file that may not be read its error says "system lib". */
static mdm_result_t open_file(apr_pool_t *p, const char *file, BIO **bio)
{
    char reason[128];

    FILE *f = fopen(file, "rb");
    if (!f) {
        return mdm_result_make(p, MDM_MSG_FILE, "cannot open %s: %s", file,
                               apr_strerror(APR_FROM_OS_ERROR(errno), reason, sizeof(reason)));
    }
    *bio = BIO_new_fp(f, BIO_CLOSE);
    if (!*bio) {
        fclose(f);
        return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot read %s: %s", file,
                               mdm_openssl_reason(p));
    }
    return mdm_result_ok();
}

/* All PEM certificates, or one of DER that fills the file. Returns NULL, or why there are none. */
static const char *collect_certificates(apr_pool_t *p, BIO *bio, STACK_OF(X509) *certs)
{
    char behind;
    X509 *cert = NULL;

    while ((cert = PEM_read_bio_X509(bio, NULL, refuse_password, NULL))) {
        if (!sk_X509_push(certs, cert)) {
            X509_free(cert);
            break;
        }
    }
    /* The loop always ends with an error; that of a sound file is that no block follows. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return mdm_openssl_reason(p);
    ERR_clear_error();
    if (sk_X509_num(certs) > 0)
        return NULL;
    (void)BIO_reset(bio);
    cert = d2i_X509_bio(bio, NULL);
    ERR_clear_error();
    if (!cert || BIO_read(bio, &behind, 1) > 0 || !sk_X509_push(certs, cert)) {
        X509_free(cert);
        return "it holds neither PEM certificates nor one of DER";
    }
    return NULL;
}

mdm_result_t mdm_x509_read_certificates(apr_pool_t *p, const char *file, STACK_OF(X509) **certs)
{
    BIO *bio = NULL;

    STACK_OF(X509) *found = mdm_x509_own_stack(p, sk_X509_new_null());
    if (!found)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "out of memory");
    mdm_result_t r = open_file(p, file, &bio);
    if (r.kind != MDM_OK)
        return r;
    const char *why = collect_certificates(p, bio, found);
    BIO_free(bio);
    if (why)
        return mdm_result_make(p, MDM_MSG_FILE, "cannot read a certificate from %s: %s", file, why);
    *certs = found;
    return mdm_result_ok();
}

/* --- encoding --- */

/* AlgorithmIdentifier of a key (RFC 3279 section 2.3.1, RFC 5480 section 2.1.1). */
static int algorithm_decodable(mdm_der_t algorithm)
{
    static const unsigned char rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    static const unsigned char ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    static const unsigned char p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static const unsigned char p384[] = {0x2b, 0x81, 0x04, 0x00, 0x22};
    static const unsigned char p521[] = {0x2b, 0x81, 0x04, 0x00, 0x23};
    mdm_der_t name, curve;

    if (!mdm_der_next(&algorithm, &name))
        return 0;
    if (mdm_der_equal(&name, MDM_DER_OID, rsa, sizeof(rsa)))
        return 1;
    return mdm_der_equal(&name, MDM_DER_OID, ec, sizeof(ec)) && mdm_der_next(&algorithm, &curve) &&
           (mdm_der_equal(&curve, MDM_DER_OID, p256, sizeof(p256)) ||
            mdm_der_equal(&curve, MDM_DER_OID, p384, sizeof(p384)) ||
            mdm_der_equal(&curve, MDM_DER_OID, p521, sizeof(p521)));
}

const unsigned char *mdm_x509_key_bits(const mdm_der_t *key_info, apr_size_t *len)
{
    mdm_der_t left = mdm_der_content(key_info->bytes, key_info->len);
    mdm_der_t algorithm, bits;

    if (key_info->tag != MDM_DER_SEQUENCE || !mdm_der_expect(&left, MDM_DER_SEQUENCE, &algorithm) ||
        !mdm_der_expect(&left, MDM_DER_BIT_STRING, &bits) || !algorithm_decodable(algorithm) ||
        bits.len < 1 || bits.bytes[0] != 0) /* unused bits */
        return NULL;
    *len = bits.len - 1;
    return bits.bytes + 1;
}

int mdm_x509_key_decodable(const mdm_der_t *certificate)
{
    mdm_der_t left = mdm_der_content(certificate->bytes, certificate->len);
    mdm_der_t tbs, part;
    apr_size_t len;

    if (certificate->tag != MDM_DER_SEQUENCE || !mdm_der_expect(&left, MDM_DER_SEQUENCE, &tbs))
        return 0;
    (void)mdm_der_expect(&tbs, MDM_DER_CONTEXT_0, &part); /* version */
    if (!mdm_der_expect(&tbs, MDM_DER_INTEGER, &part))
        return 0;
    /* signature, issuer, validity, subject, subjectPublicKeyInfo */
    for (int i = 0; i < 5; i++)
        if (!mdm_der_expect(&tbs, MDM_DER_SEQUENCE, &part))
            return 0;
    return mdm_x509_key_bits(&part, &len) != NULL;
}

mdm_result_t mdm_x509_decode(apr_pool_t *p, const void *der, apr_size_t len, X509 **cert)
{
    const unsigned char *at = der;
    mdm_der_t left = mdm_der_content(der, len);
    mdm_der_t certificate;

    if (mdm_der_next(&left, &certificate) && !mdm_x509_key_decodable(&certificate)) {
        return mdm_result_make(p, MDM_MSG_CMS_CERTIFICATES,
                               "not a certificate with a key of RSA, P-256, P-384 or P-521");
    }
    X509 *found = mdm_x509_own(p, d2i_X509(NULL, &at, (long)len));
    if (!found) {
        return mdm_result_make(p, MDM_MSG_CMS_CERTIFICATES, "a certificate cannot be decoded: %s",
                               mdm_openssl_reason(p));
    }
    if (at != (const unsigned char *)der + len)
        return mdm_result_make(p, MDM_MSG_CMS_CERTIFICATES, "bytes behind a certificate");
    *cert = found;
    return mdm_result_ok();
}

mdm_result_t mdm_x509_decode_pem(apr_pool_t *p, const char *pem, X509 **cert)
{
    unsigned char *der = NULL;
    long len = 0;

    BIO *bio = BIO_new_mem_buf(pem, -1);
    int found =
        bio && PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509, bio, refuse_password, NULL);
    BIO_free(bio);
    if (!found) {
        return mdm_result_make(p, MDM_MSG_CMS_CERTIFICATES,
                               "a PEM certificate cannot be decoded: %s", mdm_openssl_reason(p));
    }
    mdm_result_t r = mdm_x509_decode(p, der, (apr_size_t)len, cert);
    OPENSSL_free(der);
    return r;
}

const unsigned char *mdm_der_encode(apr_pool_t *p, const void *value, const ASN1_ITEM *item,
                                    apr_size_t *len)
{
    unsigned char *bytes = NULL;
    int size = ASN1_item_i2d(value, &bytes, item);
    if (size <= 0)
        return NULL;
    const unsigned char *der = apr_pmemdup(p, bytes, (apr_size_t)size);
    OPENSSL_free(bytes);
    *len = (apr_size_t)size;
    return der;
}

const unsigned char *mdm_x509_encode(apr_pool_t *p, const X509 *cert, apr_size_t *len)
{
    return mdm_der_encode(p, cert, ASN1_ITEM_rptr(X509), len);
}

const char *mdm_object_text(apr_pool_t *p, const ASN1_OBJECT *object)
{
    char text[80];
    int len = object ? OBJ_obj2txt(text, sizeof(text), object, 0) : 0;
    ERR_clear_error();
    return len > 0 ? mdm_result_quote_text(p, text) : "(none)";
}

/* --- what a certificate says --- */

static const char *hex(apr_pool_t *p, const unsigned char *bytes, apr_size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *text = apr_palloc(p, 2 * len + 1);
    for (apr_size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
    return text;
}

const char *mdm_x509_fingerprint(apr_pool_t *p, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (!X509_digest(cert, EVP_sha256(), digest, &len)) {
        ERR_clear_error();
        return "";
    }
    return hex(p, digest, len);
}

const char *mdm_x509_key_id(apr_pool_t *p, const X509 *cert)
{
    apr_size_t len;
    const unsigned char *der =
        mdm_der_encode(p, X509_get_X509_PUBKEY(cert), ASN1_ITEM_rptr(X509_PUBKEY), &len);

    if (der == NULL) {
        ERR_clear_error();
        return "";
    }
    return mdm_sha256_hex(p, der, len);
}

const char *mdm_sha256_hex(apr_pool_t *p, const void *bytes, apr_size_t len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;

    if (!EVP_Digest(bytes, len, digest, &digest_len, EVP_sha256(), NULL)) {
        ERR_clear_error();
        return "";
    }
    return hex(p, digest, digest_len);
}

mdm_result_t mdm_sha256_failed(apr_pool_t *p)
{
    return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot make a SHA-256 digest");
}

const char *mdm_x509_name(apr_pool_t *p, const X509_NAME *name)
{
    const char *text = "";
    char *data = NULL;
    size_t len = 0;

    /* OpenSSL writes character by character; what strangers send may be long. */
    if (X509_NAME_get0_der(name, NULL, &len) && len > MAX_NAME_BYTES)
        return apr_psprintf(p, "(a name of %" APR_SIZE_T_FMT " bytes)", len);
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        long text_len = BIO_get_mem_data(bio, &data);
        text = text_len > 0 ? apr_pstrmemdup(p, data, (apr_size_t)text_len) : "";
    }
    BIO_free(bio);
    ERR_clear_error();
    return text;
}

const char *mdm_x509_subject(apr_pool_t *p, const X509 *cert)
{
    return mdm_x509_name(p, X509_get_subject_name(cert));
}

const char *mdm_x509_issuer(apr_pool_t *p, const X509 *cert)
{
    return mdm_x509_name(p, X509_get_issuer_name(cert));
}

const char *mdm_x509_serial(apr_pool_t *p, const X509 *cert)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    const char *digits =
        hex(p, ASN1_STRING_get0_data(serial), (apr_size_t)ASN1_STRING_length(serial));
    return ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? apr_pstrcat(p, "-", digits, NULL)
                                                          : digits;
}

static int time_of(const ASN1_TIME *time, apr_int64_t *seconds)
{
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm)) {
        ERR_clear_error();
        return 0;
    }
    *seconds = (apr_int64_t)timegm(&tm);
    return 1;
}

apr_int64_t mdm_x509_not_before(const X509 *cert)
{
    apr_int64_t seconds = 0;
    return time_of(X509_get0_notBefore(cert), &seconds) ? seconds : APR_INT64_MAX;
}

apr_int64_t mdm_x509_not_after(const X509 *cert)
{
    apr_int64_t seconds = 0;
    return time_of(X509_get0_notAfter(cert), &seconds) ? seconds : APR_INT64_MIN;
}

/* --- keys --- */

static int rsa_ok(EVP_PKEY *key, int min_bits)
{
    BIGNUM *exponent = NULL;
    int bits = EVP_PKEY_get_bits(key);
    int ok = bits >= min_bits && bits <= MAX_RSA_BITS &&
             EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) &&
             BN_num_bits(exponent) <= MAX_RSA_EXPONENT_BITS && BN_is_odd(exponent) &&
             !BN_is_one(exponent); /* with 1 anybody can sign */
    BN_free(exponent);
    return ok;
}

static int ec_ok(EVP_PKEY *key)
{
    char curve[32];
    if (!EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL))
        return 0;
    return strcmp(curve, SN_X9_62_prime256v1) == 0 || strcmp(curve, SN_secp384r1) == 0 ||
           strcmp(curve, SN_secp521r1) == 0;
}

int mdm_x509_key_ok(EVP_PKEY *key, int min_rsa_bits)
{
    int ok = 0;
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        ok = rsa_ok(key, min_rsa_bits);
    else if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        ok = ec_ok(key);
    ERR_clear_error();
    return ok;
}

int mdm_x509_self_signed(X509 *cert)
{
    if (X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) != 0)
        return 0;
    EVP_PKEY *key = X509_get0_pubkey(cert);
    int self = key && X509_verify(cert, key) == 1;
    ERR_clear_error();
    return self;
}
