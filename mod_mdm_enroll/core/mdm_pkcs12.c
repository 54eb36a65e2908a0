/* SPDX-License-Identifier: Apache-2.0
 * Keys made for devices, in PKCS #12. Depends on mdm_ca, mdm_enrollment, mdm_x509.
 */
#include "mdm_pkcs12.h"

#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>

/* What a device shows of it. */
#define FRIENDLY_NAME "MDM identity"

int mdm_key_kind_parse(const char *name, mdm_key_kind_t *kind)
{
    static const struct {
        const char *name;
        mdm_key_kind_t kind;
    } kinds[] = {{"P-256", {0, 256}},
                 {"P-384", {0, 384}},
                 {"RSA-2048", {1, 2048}},
                 {"RSA-3072", {1, 3072}},
                 {"RSA-4096", {1, 4096}}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (apr_cstr_casecmp(name, kinds[i].name) == 0) {
            *kind = kinds[i].kind;
            return 1;
        }
    }
    return 0;
}

typedef struct region_t {
    void *memory;
    apr_size_t len;
} region_t;

static apr_status_t wipe(void *data)
{
    const region_t *region = data;

    OPENSSL_cleanse(region->memory, region->len);
    return APR_SUCCESS;
}

/* Overwrite len bytes at memory when p is cleared. */
static void wipe_with(apr_pool_t *p, void *memory, apr_size_t len)
{
    region_t *region = apr_palloc(p, sizeof(*region));

    *region = (region_t){memory, len};
    apr_pool_cleanup_register(p, region, wipe, apr_pool_cleanup_null);
}

static EVP_PKEY *make_key(mdm_key_kind_t kind)
{
    return kind.rsa ? EVP_RSA_gen((unsigned int)kind.size)
                    : EVP_EC_gen(kind.size == 384 ? "P-384" : "P-256");
}

static mdm_result_t failed(apr_pool_t *p, const mdm_enrollment_t *row, const char *what)
{
    return mdm_result_make(p, MDM_MSG_CRYPTO, "enrollment %s: %s: %s", row->id, what,
                           mdm_openssl_reason(p));
}

/* made->cert, with its key decoded: PKCS12_create() compares it. */
static mdm_result_t certify(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                            const mdm_enrollment_t *row, EVP_PKEY *key, mdm_pkcs12_t *made)
{
    X509_PUBKEY *public_key = NULL;
    X509 *issued = NULL;
    mdm_result_t r;

    if (!X509_PUBKEY_set(&public_key, key))
        return failed(p, row, "the public key");
    r = mdm_ca_issue(p, ca, world, row, MDM_PURPOSE_MDM, public_key, &issued);
    X509_PUBKEY_free(public_key);
    if (r.kind != MDM_OK)
        return r;
    made->cert_der = mdm_x509_encode(p, issued, &made->cert_len);
    if (made->cert_der == NULL)
        return failed(p, row, "the certificate");
    return mdm_x509_decode(p, made->cert_der, made->cert_len, &made->cert);
}

/* The MAC is added apart: PKCS12_create() leaves its digest to the version of OpenSSL. */
static PKCS12 *seal(const char *password, EVP_PKEY *key, X509 *cert, int modern)
{
    int algorithm = modern ? NID_aes_256_cbc : NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
    PKCS12 *p12 = PKCS12_create(password, FRIENDLY_NAME, key, cert, NULL, algorithm, algorithm,
                                MDM_PKCS12_ITERATIONS, -1, 0);

    if (p12 != NULL && PKCS12_set_mac(p12, password, -1, NULL, 0, MDM_PKCS12_ITERATIONS,
                                      modern ? EVP_sha256() : EVP_sha1()))
        return p12;
    PKCS12_free(p12);
    return NULL;
}

static mdm_result_t enclose(apr_pool_t *p, const mdm_enrollment_t *row, EVP_PKEY *key, int modern,
                            mdm_pkcs12_t *made)
{
    PKCS12 *p12 = seal(made->password, key, made->cert, modern);
    unsigned char *der = NULL;
    int len = p12 != NULL ? i2d_PKCS12(p12, &der) : -1;

    PKCS12_free(p12);
    if (len < 0)
        return failed(p, row, "the PKCS #12 container");
    made->der = apr_pmemdup(p, der, (apr_size_t)len);
    made->len = (apr_size_t)len;
    OPENSSL_clear_free(der, (size_t)len);
    wipe_with(p, (void *)made->der, made->len);
    return mdm_result_ok();
}

mdm_result_t mdm_pkcs12_make(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                             const mdm_enrollment_t *row, mdm_key_kind_t kind, int modern,
                             mdm_pkcs12_t *made)
{
    mdm_pkcs12_t one = {.password = mdm_challenge_make(p, world)};
    EVP_PKEY *key;
    mdm_result_t r;

    if (one.password == NULL)
        return mdm_random_failed(p);
    wipe_with(p, (void *)one.password, strlen(one.password));
    key = make_key(kind);
    r = key != NULL ? certify(p, ca, world, row, key, &one) : failed(p, row, "a key");
    if (r.kind == MDM_OK)
        r = enclose(p, row, key, modern, &one);
    EVP_PKEY_free(key);
    ERR_clear_error(); /* PKCS12_create() looks for what is not there */
    if (r.kind == MDM_OK)
        *made = one;
    return r;
}
