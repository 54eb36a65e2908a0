/* SPDX-License-Identifier: Apache-2.0
 * For the benchmark: DER by hand, and what hostile clients make of it.
 */
#include "forge.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "bench_site.h"

#define SHA256_RSA "300d06092a864886f70d01010b0500"
#define SHA256 "300d06096086480165030402010500"
#define RSA "300d06092a864886f70d0101010500"
#define DATA "06092a864886f70d010701"
#define PRIME_BITS 256

scep_bytes_t der_bytes(const void *bytes, apr_size_t len)
{
    return (scep_bytes_t){apr_pmemdup(pki_pool, bytes, len), len};
}

scep_bytes_t der_hex(const char *hex)
{
    long len;
    unsigned char *bytes = OPENSSL_hexstr2buf(hex, &len);
    scep_bytes_t made;

    bench_need(bytes != NULL, hex);
    made = der_bytes(bytes, (apr_size_t)len);
    OPENSSL_free(bytes);
    return made;
}

scep_bytes_t der_pair(scep_bytes_t a, scep_bytes_t b)
{
    unsigned char *bytes = apr_palloc(pki_pool, a.len + b.len + 1);

    if (a.len > 0)
        memcpy(bytes, a.data, a.len);
    if (b.len > 0)
        memcpy(bytes + a.len, b.data, b.len);
    return (scep_bytes_t){bytes, a.len + b.len};
}

scep_bytes_t der_times(scep_bytes_t one, apr_size_t count)
{
    unsigned char *bytes = apr_palloc(pki_pool, one.len * count + 1);

    for (apr_size_t i = 0; i < count; i++)
        memcpy(bytes + i * one.len, one.data, one.len);
    return (scep_bytes_t){bytes, one.len * count};
}

scep_bytes_t der_tlv(int tag, scep_bytes_t content)
{
    unsigned char head[6] = {(unsigned char)tag};
    apr_size_t n = 1;

    if (content.len < 0x80) {
        head[n++] = (unsigned char)content.len;
    } else {
        int size = content.len < 0x100 ? 1 : content.len < 0x10000 ? 2 : 3;
        head[n++] = (unsigned char)(0x80 + size);
        while (size-- > 0)
            head[n++] = (unsigned char)(content.len >> 8 * size);
    }
    return der_pair((scep_bytes_t){head, n}, content);
}

scep_bytes_t der_indefinite(int tag, scep_bytes_t content)
{
    const unsigned char head[] = {(unsigned char)tag, 0x80}, end[] = {0, 0};

    return der_pair(der_pair((scep_bytes_t){head, 2}, content), (scep_bytes_t){end, 2});
}

static scep_bytes_t take(unsigned char *der, int len)
{
    scep_bytes_t made;

    bench_need(len > 0, "encoding");
    made = der_bytes(der, (apr_size_t)len);
    OPENSSL_free(der);
    return made;
}

scep_bytes_t der_oid(const char *dotted)
{
    ASN1_OBJECT *object = OBJ_txt2obj(dotted, 1);
    unsigned char *der = NULL;
    int len = i2d_ASN1_OBJECT(object, &der);

    ASN1_OBJECT_free(object);
    return take(der, len);
}

scep_bytes_t der_key(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    return take(der, len);
}

scep_bytes_t der_cert(X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);

    return take(der, len);
}

/* --- keys --- */

static apr_status_t free_key(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

/* One more prime of n and phi(n), whose predecessor has nothing in common with e. */
static void add_prime(int bits, const BIGNUM *e, BIGNUM *n, BIGNUM *phi, BN_CTX *c)
{
    BIGNUM *prime = BN_new(), *before = BN_new(), *common = BN_new();

    do
        bench_need(BN_generate_prime_ex2(prime, bits, 0, NULL, NULL, NULL, c) &&
                       BN_copy(before, prime) && BN_sub_word(before, 1) &&
                       BN_gcd(common, before, e, c),
                   "a prime");
    while (!BN_is_one(common));
    bench_need(BN_mul(n, n, prime, c) && BN_mul(phi, phi, before, c), "a modulus");
    BN_free(prime);
    BN_free(before);
    BN_free(common);
}

EVP_PKEY *forge_key(int bits, int exponent_bits)
{
    BIGNUM *n = BN_new(), *e = BN_new(), *phi = BN_new(), *d = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BN_CTX *numbers = BN_CTX_new();
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params;

    bench_need(BN_one(e) && BN_lshift(e, e, exponent_bits) && BN_sub_word(e, 1), "an exponent");
    bench_need(BN_one(n) && BN_one(phi), "a modulus");
    while (BN_num_bits(n) < bits - 2 * PRIME_BITS)
        add_prime(PRIME_BITS, e, n, phi, numbers);
    add_prime(bits - BN_num_bits(n), e, n, phi, numbers);
    d = BN_mod_inverse(NULL, e, phi, numbers);
    bench_need(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
                   OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) &&
                   OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d),
               "the parts of a key");
    params = OSSL_PARAM_BLD_to_param(build);
    bench_need(EVP_PKEY_fromdata_init(c) > 0 &&
                   EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) > 0,
               "a key of many primes");
    apr_pool_cleanup_register(pki_pool, key, free_key, apr_pool_cleanup_null);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(c);
    BN_CTX_free(numbers);
    BN_free(n);
    BN_free(e);
    BN_free(phi);
    BN_free(d);
    return key;
}

static scep_bytes_t sign(EVP_PKEY *key, scep_bytes_t bytes)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t len = (size_t)EVP_PKEY_get_size(key);
    unsigned char *signature = apr_palloc(pki_pool, len);

    bench_need(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) > 0 &&
                   EVP_DigestSign(c, signature, &len, bytes.data, bytes.len) > 0,
               "signing");
    EVP_MD_CTX_free(c);
    return (scep_bytes_t){signature, len};
}

/* --- certificates and requests --- */

scep_bytes_t forge_cert(scep_bytes_t key, scep_bytes_t name, scep_bytes_t extensions)
{
    static unsigned char number;
    unsigned char serial[] = {0x02, 0x01, (unsigned char)(1 + number++ % 120)};
    scep_bytes_t body = der_pair(der_hex("a003020102"), der_bytes(serial, sizeof(serial)));

    body = der_pair(body, der_pair(der_hex(SHA256_RSA), der_tlv(0x30, name)));
    body =
        der_pair(body, der_hex("301e170d3235303130313030303030305a170d3335303130313030303030305a"));
    body = der_pair(body, der_pair(der_tlv(0x30, name), key));
    if (extensions.len > 0)
        body = der_pair(body, der_tlv(0xa3, der_tlv(0x30, extensions)));
    body = der_pair(der_tlv(0x30, body), der_hex(SHA256_RSA "03020001"));
    return der_tlv(0x30, body);
}

scep_bytes_t forge_request(EVP_PKEY *key, scep_bytes_t name, scep_bytes_t attributes)
{
    scep_bytes_t body = der_pair(der_hex("020100"), der_tlv(0x30, name));
    scep_bytes_t info =
        der_tlv(0x30, der_pair(body, der_pair(der_key(key), der_tlv(0xa0, attributes))));
    scep_bytes_t bits = der_pair(der_hex("00"), sign(key, info));

    return der_tlv(0x30, der_pair(info, der_pair(der_hex(SHA256_RSA), der_tlv(0x03, bits))));
}

/* --- envelopes --- */

/* IssuerAndSerialNumber; by OpenSSL, which has it in every RecipientInfo. */
static scep_bytes_t issuer_and_serial(X509 *cert)
{
    unsigned char *name = NULL, *serial = NULL;
    int name_len = i2d_X509_NAME(X509_get_issuer_name(cert), &name);
    int serial_len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &serial);

    return der_tlv(0x30, der_pair(take(name, name_len), take(serial, serial_len)));
}

scep_bytes_t forge_recipient(X509 *cert, scep_bytes_t encrypted_key)
{
    scep_bytes_t body = der_pair(der_hex("020100"), issuer_and_serial(cert));

    return der_tlv(0x30, der_pair(body, der_pair(der_hex(RSA), der_tlv(0x04, encrypted_key))));
}

static scep_bytes_t encrypt_key(EVP_PKEY *key, const unsigned char *secret, size_t secret_len)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    size_t len = (size_t)EVP_PKEY_get_size(key);
    unsigned char *out = apr_palloc(pki_pool, len);

    do /* below the modulus of any other key of this size */
        bench_need(EVP_PKEY_encrypt_init(c) > 0 &&
                       EVP_PKEY_encrypt(c, out, &len, secret, secret_len) > 0,
                   "encrypting a key");
    while (out[0] & 0x80);
    EVP_PKEY_CTX_free(c);
    return (scep_bytes_t){out, len};
}

static scep_bytes_t encrypt(const unsigned char *key, const unsigned char *iv, scep_bytes_t content)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    unsigned char *out = apr_palloc(pki_pool, content.len + 32);
    int len = 0, last = 0;

    bench_need(EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, key, iv) &&
                   EVP_EncryptUpdate(c, out, &len, content.data, (int)content.len) &&
                   EVP_EncryptFinal_ex(c, out + len, &last),
               "encrypting");
    EVP_CIPHER_CTX_free(c);
    return (scep_bytes_t){out, (apr_size_t)(len + last)};
}

scep_bytes_t forge_envelope(const forge_envelope_t *opts)
{
    unsigned char secret[64], iv[16];
    int key_bytes = opts->key_bytes != 0 ? opts->key_bytes : 16;
    EVP_PKEY *key = opts->key != NULL ? opts->key : X509_get0_pubkey(opts->recipient);
    scep_bytes_t content, algorithm, recipients, body;

    RAND_bytes(secret, sizeof(secret));
    RAND_bytes(iv, sizeof(iv));
    content = encrypt(secret, iv, opts->content);
    if (opts->break_padding) /* in the last but one block: it turns up in the padding */
        ((unsigned char *)content.data)[content.len - 17] ^= 0x80;
    recipients = opts->encrypted.len > 0
                     ? opts->encrypted
                     : encrypt_key(key, secret + (opts->other_key ? 16 : 0), (size_t)key_bytes);
    recipients =
        der_tlv(0x31, der_pair(opts->before, forge_recipient(opts->recipient, recipients)));
    algorithm = der_tlv(0x30, der_pair(der_hex("0609608648016503040102"),
                                       der_tlv(0x04, der_bytes(iv, sizeof(iv)))));
    body = der_pair(der_hex(DATA), der_pair(algorithm, der_tlv(0x80, content)));
    body = der_pair(der_hex("020100"), der_pair(recipients, der_tlv(0x30, body)));
    return der_tlv(0x30,
                   der_pair(der_hex("06092a864886f70d010703"), der_tlv(0xa0, der_tlv(0x30, body))));
}

/* --- messages --- */

static scep_bytes_t attribute(const char *oid, scep_bytes_t value)
{
    return der_tlv(0x30, der_pair(der_oid(oid), der_tlv(0x31, value)));
}

static scep_bytes_t attributes(scep_bytes_t content)
{
    unsigned char digest[32];
    scep_bytes_t all = attribute("1.2.840.113549.1.9.3", der_hex(DATA));

    bench_need(EVP_Digest(content.data, content.len, digest, NULL, EVP_sha256(), NULL), "digest");
    all = der_pair(all, attribute("1.2.840.113549.1.9.4", der_tlv(0x04, der_bytes(digest, 32))));
    all = der_pair(all, attribute(SCEP_OID_TYPE, der_tlv(0x13, der_bytes("19", 2))));
    all = der_pair(all, attribute(SCEP_OID_NONCE, der_tlv(0x04, der_bytes(SCEP_NONCE, 16))));
    return der_pair(all, attribute(SCEP_OID_TRANSACTION, der_tlv(0x13, der_bytes("hostile", 7))));
}

scep_bytes_t forge_message(const forge_message_t *opts)
{
    const unsigned char *at = opts->cert.data;
    X509 *cert = d2i_X509(NULL, &at, (long)opts->cert.len);
    scep_bytes_t octets = opts->octets.len > 0 ? opts->octets : der_tlv(0x04, opts->content);
    scep_bytes_t signed_attributes = der_pair(attributes(opts->content), opts->attributes);
    scep_bytes_t info, body;

    bench_need(cert != NULL, "a signer's certificate");
    info = der_pair(der_hex("020101"), issuer_and_serial(cert));
    info = der_pair(info, der_pair(der_hex(SHA256), der_tlv(0xa0, signed_attributes)));
    info = der_pair(info, der_hex(RSA));
    info = der_pair(info, der_tlv(0x04, opts->signature.len > 0
                                            ? opts->signature
                                            : sign(opts->key, der_tlv(0x31, signed_attributes))));
    if (opts->unsigned_attributes.len > 0)
        info = der_pair(info, der_tlv(0xa1, opts->unsigned_attributes));
    X509_free(cert);
    body = der_pair(der_hex("020101"), der_tlv(0x31, der_pair(der_hex(SHA256), opts->digests)));
    body = der_pair(body, der_tlv(0x30, der_pair(der_hex(DATA), der_tlv(0xa0, octets))));
    body = der_pair(body, der_tlv(0xa0, der_pair(opts->cert, opts->bag)));
    body = der_pair(body, der_tlv(0x31, der_tlv(0x30, info)));
    return der_tlv(0x30,
                   der_pair(der_hex("06092a864886f70d010702"), der_tlv(0xa0, der_tlv(0x30, body))));
}
