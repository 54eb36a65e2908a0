/* SPDX-License-Identifier: Apache-2.0
 * The folder of a device's identity for the MDM server, kept whole through renewals. Depends on
 * device_cms, device_identity, device_report, core's mdm_key.
 */
#include "device_store.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "device_cms.h"
#include "device_identity.h"
#include "mdm_key.h"

#define KEY "mdm-identity.key"
#define CERT "mdm-identity.pem"
#define CA "mdm-identity.ca.pem"
#define ORIGIN "mdm-identity.json"
#define NEW_KEY "mdm-identity.new.key"
#define NEW_CERT "mdm-identity.new.pem"
#define PREVIOUS_KEY "mdm-identity.previous.key"
#define PREVIOUS_CERT "mdm-identity.previous.pem"
#define NEXT_CA "mdm-next-ca.pem"

#define MAX_FILE (64 * 1024)

static const char *path_of(apr_pool_t *p, const char *dir, const char *name)
{
    return apr_pstrcat(p, dir, "/", name, NULL);
}

static int is_there(apr_pool_t *p, const char *dir, const char *name)
{
    apr_finfo_t info;

    return apr_stat(&info, path_of(p, dir, name), APR_FINFO_TYPE, p) == APR_SUCCESS;
}

static void forget(apr_pool_t *p, const char *dir, const char *name)
{
    apr_file_remove(path_of(p, dir, name), p);
}

static device_result_t rename_file(apr_pool_t *p, const char *dir, const char *from, const char *to)
{
    char text[128];
    apr_status_t status = apr_file_rename(path_of(p, dir, from), path_of(p, dir, to), p);

    if (status != APR_SUCCESS) {
        return device_fail(p, DEVICE_LOCAL, "%s/%s cannot become %s: %s", dir, from, to,
                           apr_strerror(status, text, sizeof(text)));
    }
    return device_ok();
}

/* Whoever reads the file sees what it was or what it is. */
static device_result_t replace(apr_pool_t *p, const char *dir, const char *name, const char *bytes,
                               apr_size_t len)
{
    const char *temporary = apr_pstrcat(p, name, ".tmp", NULL);
    device_result_t r = device_file_write(p, path_of(p, dir, temporary), 0, bytes, len);

    return r.exit == DEVICE_OK ? rename_file(p, dir, temporary, name) : r;
}

static device_result_t replace_by_bio(apr_pool_t *p, const char *dir, const char *name, BIO *bio,
                                      int good)
{
    apr_size_t len;

    if (!good) {
        BIO_free(bio);
        return device_fail_openssl(p, DEVICE_LOCAL, name);
    }
    const char *pem = device_cms_drain(p, bio, &len);
    return replace(p, dir, name, pem, len);
}

static device_result_t replace_key(apr_pool_t *p, const char *dir, const char *name, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return replace_by_bio(p, dir, name, bio,
                          bio != NULL &&
                              PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
}

/* cert may be NULL, and certs. */
static device_result_t replace_certs(apr_pool_t *p, const char *dir, const char *name, X509 *cert,
                                     const STACK_OF(X509) *certs)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int good = bio != NULL && (cert == NULL || PEM_write_bio_X509(bio, cert) == 1);

    for (int i = 0; good && i < sk_X509_num(certs); i++)
        good = PEM_write_bio_X509(bio, sk_X509_value(certs, i)) == 1;
    return replace_by_bio(p, dir, name, bio, good);
}

static device_result_t write_origin(apr_pool_t *p, const char *dir, const char *url,
                                    const char *name)
{
    json_t *origin = json_pack("{s:s*, s:s*}", "url", url, "name", name);
    char *text = origin != NULL ? json_dumps(origin, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;

    json_decref(origin);
    if (text == NULL)
        return device_fail(p, DEVICE_LOCAL, "the URL or name of the SCEP server is not text");
    device_result_t r = replace(p, dir, ORIGIN, apr_pstrcat(p, text, "\n", NULL), strlen(text) + 1);
    free(text);
    return r;
}

device_result_t device_store_create(apr_pool_t *p, const char *dir, const char *url,
                                    const char *name, const mdm_signer_t *identity)
{
    static const char *const old[] = {NEW_KEY, NEW_CERT, PREVIOUS_KEY, PREVIOUS_CERT, NEXT_CA};

    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        forget(p, dir, old[i]);
    /* the key first: a certificate without a key is worse than a key without a certificate */
    device_result_t r = replace_key(p, dir, KEY, identity->key);
    if (r.exit == DEVICE_OK)
        r = replace_certs(p, dir, CERT, identity->cert, NULL);
    if (identity->chain == NULL)
        forget(p, dir, CA);
    else if (r.exit == DEVICE_OK)
        r = replace_certs(p, dir, CA, NULL, identity->chain);
    if (r.exit == DEVICE_OK)
        r = write_origin(p, dir, url, name);
    return r;
}

static device_result_t read_key(apr_pool_t *p, const char *dir, const char *name, EVP_PKEY **key)
{
    const char *pem;
    apr_size_t len;
    device_result_t r = device_file_read(p, path_of(p, dir, name), MAX_FILE, &pem, &len);

    if (r.exit != DEVICE_OK)
        return r;
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    *key = bio != NULL ? mdm_x509_own_key(p, PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)) : NULL;
    BIO_free(bio);
    return *key != NULL ? r : device_fail_openssl(p, DEVICE_LOCAL, path_of(p, dir, name));
}

static device_result_t copy(apr_pool_t *p, const char *dir, const char *from, const char *to)
{
    const char *bytes;
    apr_size_t len;
    device_result_t r = device_file_read(p, path_of(p, dir, from), MAX_FILE, &bytes, &len);

    return r.exit == DEVICE_OK ? replace(p, dir, to, bytes, len) : r;
}

/* The new pair takes the place of the old one. */
static device_result_t swap(apr_pool_t *p, const char *dir)
{
    device_result_t r = copy(p, dir, KEY, PREVIOUS_KEY);

    if (r.exit == DEVICE_OK)
        r = copy(p, dir, CERT, PREVIOUS_CERT);
    if (r.exit == DEVICE_OK)
        r = rename_file(p, dir, NEW_KEY, KEY);
    return r.exit == DEVICE_OK ? rename_file(p, dir, NEW_CERT, CERT) : r;
}

static int fits(apr_pool_t *p, const char *dir, const char *key_name, X509 *cert)
{
    EVP_PKEY *key = NULL;
    int good = is_there(p, dir, key_name) && read_key(p, dir, key_name, &key).exit == DEVICE_OK &&
               X509_check_private_key(cert, key) == 1;

    ERR_clear_error();
    return good;
}

/* A new certificate that is still there is one whose renewal broke off behind the reply. */
static device_result_t recover(apr_pool_t *p, const char *dir)
{
    STACK_OF(X509) *certs = NULL;

    if (!is_there(p, dir, NEW_CERT))
        return device_ok();
    mdm_result_t r = mdm_x509_read_certificates(p, path_of(p, dir, NEW_CERT), &certs);
    if (r.kind == MDM_OK && fits(p, dir, NEW_KEY, sk_X509_value(certs, 0)))
        return swap(p, dir);
    if (r.kind == MDM_OK && fits(p, dir, KEY, sk_X509_value(certs, 0)))
        return rename_file(p, dir, NEW_CERT, CERT);
    forget(p, dir, NEW_CERT);
    return device_ok();
}

static device_result_t read_origin(apr_pool_t *p, device_store_t *store)
{
    const char *path = path_of(p, store->dir, ORIGIN);
    const char *url = NULL, *name = NULL;
    json_error_t error;
    json_t *origin = json_load_file(path, 0, &error);

    if (origin == NULL || json_unpack(origin, "{s?s, s?s}", "url", &url, "name", &name) != 0) {
        json_decref(origin);
        return device_fail(p, DEVICE_LOCAL, "%s does not say where the identity came from (%s)",
                           path,
                           origin == NULL ? error.text : "wanted are texts \"url\" and \"name\"");
    }
    store->url = apr_pstrdup(p, url);
    store->name = apr_pstrdup(p, name);
    json_decref(origin);
    return device_ok();
}

/* *trusted: chain, and what is in mdm-next-ca.pem. */
static device_result_t read_trusted(apr_pool_t *p, device_store_t *store)
{
    const char *path = path_of(p, store->dir, NEXT_CA);
    STACK_OF(X509) *next = NULL;

    if (is_there(p, store->dir, NEXT_CA)) {
        mdm_result_t r = mdm_x509_read_certificates(p, path, &next);
        if (r.kind != MDM_OK)
            return device_fail_core(p, DEVICE_LOCAL, path, r);
    }
    store->trusted = mdm_x509_own_stack(p, X509_chain_up_ref(store->identity.chain));
    for (int i = 0; i < sk_X509_num(next); i++)
        if (X509_add_cert(store->trusted, sk_X509_value(next, i), X509_ADD_FLAG_UP_REF) != 1)
            return device_fail_openssl(p, DEVICE_LOCAL, path);
    return store->trusted != NULL ? device_ok() : device_fail(p, DEVICE_LOCAL, "out of memory");
}

device_result_t device_store_read(apr_pool_t *p, const char *dir, device_store_t *store)
{
    mdm_signer_t *identity = NULL;

    *store = (device_store_t){.dir = dir};
    if (!is_there(p, dir, KEY) || !is_there(p, dir, CERT) || !is_there(p, dir, ORIGIN)) {
        return device_fail(
            p, DEVICE_LOCAL,
            "%s has no " CERT ", " KEY " and " ORIGIN ": mdm-device enroll puts them there", dir);
    }
    device_result_t r = recover(p, dir);
    if (r.exit == DEVICE_OK)
        r = read_origin(p, store);
    if (r.exit != DEVICE_OK)
        return r;
    mdm_result_t read =
        mdm_signer_read(p, path_of(p, dir, CERT), path_of(p, dir, KEY),
                        is_there(p, dir, CA) ? path_of(p, dir, CA) : NULL, NULL, &identity);
    if (read.kind != MDM_OK)
        return device_fail_core(p, DEVICE_LOCAL, "the identity", read);
    store->identity = *identity;
    return read_trusted(p, store);
}

device_result_t device_store_new_key(apr_pool_t *p, const device_store_t *store, int bits,
                                     EVP_PKEY **key, int *again)
{
    device_result_t r = device_ok();

    if (bits == 0)
        bits = EVP_PKEY_get_bits(store->identity.key);
    *again = is_there(p, store->dir, NEW_KEY);
    if (*again) {
        r = read_key(p, store->dir, NEW_KEY, key);
        if (r.exit != DEVICE_OK || EVP_PKEY_get_bits(*key) == bits)
            return r;
        *again = 0;
    }
    r = device_identity_make_key(p, bits, key);
    return r.exit == DEVICE_OK ? replace_key(p, store->dir, NEW_KEY, *key) : r;
}

static X509 *issuer_in(const STACK_OF(X509) *certs, X509 *cert)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *candidate = sk_X509_value(certs, i);
        if (X509_check_issued(candidate, cert) == X509_V_OK &&
            X509_verify(cert, X509_get0_pubkey(candidate)) == 1)
            return candidate;
    }
    ERR_clear_error();
    return NULL;
}

X509 *device_store_issuer(const device_store_t *store)
{
    return issuer_in(store->trusted, store->identity.cert);
}

static int contains(const STACK_OF(X509) *certs, const X509 *cert)
{
    for (int i = 0; i < sk_X509_num(certs); i++)
        if (X509_cmp(sk_X509_value(certs, i), cert) == 0)
            return 1;
    return 0;
}

/* 1 if every CA that a roll-over brought answers now. */
static int rolled_over(const device_store_t *store, const STACK_OF(X509) *now)
{
    for (int i = sk_X509_num(store->identity.chain); i < sk_X509_num(store->trusted); i++) {
        X509 *cert = sk_X509_value(store->trusted, i);
        if (X509_check_ca(cert) > 0 && !contains(now, cert))
            return 0;
    }
    return 1;
}

device_result_t device_store_renewed(apr_pool_t *p, const device_store_t *store,
                                     const mdm_signer_t *identity)
{
    X509 *issuer = NULL;
    device_result_t r = replace_certs(p, store->dir, NEW_CERT, identity->cert, NULL);

    if (r.exit == DEVICE_OK)
        r = swap(p, store->dir);
    /* what was issued before a roll-over may be answered by the CA of after it */
    if (issuer_in(identity->chain, identity->cert) == NULL)
        issuer = issuer_in(store->trusted, identity->cert);
    if (r.exit == DEVICE_OK)
        r = replace_certs(p, store->dir, CA, issuer, identity->chain);
    if (r.exit == DEVICE_OK && rolled_over(store, identity->chain))
        forget(p, store->dir, NEXT_CA);
    return r;
}

device_result_t device_store_updated(apr_pool_t *p, const device_store_t *store, const char *url,
                                     const char *name, const mdm_signer_t *identity)
{
    device_result_t r = write_origin(p, store->dir, url, name);

    return r.exit == DEVICE_OK ? device_store_renewed(p, store, identity) : r;
}

device_result_t device_store_next_ca(apr_pool_t *p, const device_store_t *store,
                                     const STACK_OF(X509) *certs)
{
    return replace_certs(p, store->dir, NEXT_CA, NULL, certs);
}
