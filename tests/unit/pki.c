/* SPDX-License-Identifier: Apache-2.0
 * An in-memory PKI for unit tests. Depends on APR and OpenSSL, on nothing of the project.
 */
#include "pki.h"

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki_rsa.h"

apr_pool_t *pki_pool;

static char *folder;
static long next_serial = 1000;

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "pki: %s failed\n", what);
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static apr_status_t free_key(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

static apr_status_t free_cert(void *cert)
{
    X509_free(cert);
    return APR_SUCCESS;
}

static apr_status_t remove_file(void *path)
{
    return apr_file_remove(path, pki_pool);
}

static apr_status_t remove_folder(void *path)
{
    return apr_dir_remove(path, pki_pool);
}

int pki_setup(void **state)
{
    (void)state;
    check(apr_initialize() == APR_SUCCESS, "apr_initialize");
    check(apr_pool_create(&pki_pool, NULL) == APR_SUCCESS, "apr_pool_create");
    return 0;
}

int pki_teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pki_pool);
    pki_pool = NULL;
    folder = NULL;
    apr_terminate();
    return 0;
}

static EVP_PKEY *own_key(EVP_PKEY *key)
{
    check(key != NULL, "key generation");
    apr_pool_cleanup_register(pki_pool, key, free_key, apr_pool_cleanup_null);
    return key;
}

EVP_PKEY *pki_key_rsa(int bits)
{
    return own_key(pki_rsa_next(bits));
}

EVP_PKEY *pki_key_ec(const char *curve)
{
    return own_key(EVP_EC_gen(curve));
}

EVP_PKEY *pki_key_ec_explicit(void)
{
    EVP_PKEY *key = pki_key_ec("P-256");
    check(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
                                         OSSL_PKEY_EC_ENCODING_EXPLICIT),
          "explicit curve parameters");
    return key;
}

static void add_name(X509_NAME *name, const char *subject)
{
    char *copy = apr_pstrdup(pki_pool, subject);
    char *last = NULL;
    for (char *part = apr_strtok(copy, "/", &last); part; part = apr_strtok(NULL, "/", &last)) {
        char *value = strchr(part, '=');
        check(value != NULL, subject);
        *value++ = '\0';
        check(X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)value,
                                         -1, -1, 0),
              subject);
    }
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    if (value) {
        X509V3_CTX ctx;
        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, NULL, cert, NULL, NULL, 0);
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        check(extension && X509_add_ext(cert, extension, -1), value);
        X509_EXTENSION_free(extension);
    }
}

static void add_unknown(X509 *cert, const char *oid)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    check(object && value && ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2),
          oid);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
    check(extension && X509_add_ext(cert, extension, -1), oid);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static void add_extensions(X509 *cert, const pki_opts_t *opts)
{
    if (opts->constraints != PKI_NO_CONSTRAINTS) {
        add_extension(cert, NID_basic_constraints,
                      opts->constraints == PKI_CA ? "critical,CA:TRUE" : "critical,CA:FALSE");
    }
    add_extension(cert, NID_subject_key_identifier, "hash");
    add_extension(cert, NID_key_usage, opts->key_usage);
    add_extension(cert, NID_ext_key_usage, opts->ext_key_usage);
    add_extension(cert, NID_subject_alt_name, opts->subject_alt_name);
    if (opts->critical_oid)
        add_unknown(cert, opts->critical_oid);
}

X509 *pki_cert(const char *subject, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
               const pki_opts_t *opts)
{
    static const pki_opts_t sound;
    X509 *cert = X509_new();

    check(cert != NULL, "X509_new");
    apr_pool_cleanup_register(pki_pool, cert, free_cert, apr_pool_cleanup_null);
    opts = opts ? opts : &sound;
    int dates = opts->not_before || opts->not_after;
    X509_set_version(cert, opts->version1 ? X509_VERSION_1 : X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), opts->serial ? opts->serial : next_serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), dates ? opts->not_before : -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), dates ? opts->not_after : 365L * 86400);
    add_name(X509_get_subject_name(cert), subject);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    X509_set_pubkey(cert, key);
    if (!opts->version1)
        add_extensions(cert, opts);
    check(X509_sign(cert, issuer_key ? issuer_key : key,
                    opts->digest ? opts->digest : EVP_sha256()) > 0,
          "X509_sign");
    return cert;
}

const char *pki_file(const char *name, const void *bytes, apr_size_t len)
{
    if (!folder) {
        folder = apr_pstrdup(pki_pool, "/tmp/mdm-unit-XXXXXX");
        check(mkdtemp(folder) != NULL, "mkdtemp");
        apr_pool_cleanup_register(pki_pool, folder, remove_folder, apr_pool_cleanup_null);
    }
    const char *path = apr_pstrcat(pki_pool, folder, "/", name, NULL);
    FILE *file = fopen(path, "wb");
    check(file && fwrite(bytes, 1, len, file) == len, path);
    check(fclose(file) == 0, path);
    apr_pool_cleanup_register(pki_pool, path, remove_file, apr_pool_cleanup_null);
    return path;
}

static const char *take_bio(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    const char *text = apr_pstrmemdup(pki_pool, data, (apr_size_t)len);
    BIO_free(bio);
    return text;
}

const char *pki_cert_pem(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio && PEM_write_bio_X509(bio, cert), "PEM_write_bio_X509");
    return take_bio(bio);
}

const char *pki_key_pem(EVP_PKEY *key, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio &&
              PEM_write_bio_PKCS8PrivateKey(bio, key, password ? EVP_aes_128_cbc() : NULL, password,
                                            password ? (int)strlen(password) : 0, NULL, NULL),
          "PEM_write_bio_PKCS8PrivateKey");
    return take_bio(bio);
}

const unsigned char *pki_fixture(const char *name, apr_size_t *len)
{
    const char *shared = getenv("MDM_SHARED");
    if (!shared)
        return NULL;
    FILE *file = fopen(apr_pstrcat(pki_pool, shared, "/fixtures/", name, NULL), "rb");
    if (!file)
        return NULL;
    unsigned char *bytes = apr_palloc(pki_pool, 1024 * 1024);
    *len = fread(bytes, 1, 1024 * 1024, file);
    fclose(file);
    return bytes;
}
