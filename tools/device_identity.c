/* SPDX-License-Identifier: Apache-2.0
 * The keys and certificates of a simulated device, and the test CA for them. Depends on
 * device_report and core's mdm_x509.
 */
#include "device_identity.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "device_cms.h"

#define PRIVATE_FILE (APR_FPROT_UREAD | APR_FPROT_UWRITE)
#define PRIVATE_DIR (PRIVATE_FILE | APR_FPROT_UEXECUTE)

static const char *error_text(apr_pool_t *p, apr_status_t status)
{
    char *text = apr_palloc(p, 128);

    return apr_strerror(status, text, 128);
}

device_result_t device_file_write(apr_pool_t *p, const char *path, int exclusive, const char *bytes,
                                  apr_size_t len)
{
    apr_int32_t flags = APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_BINARY |
                        (exclusive ? APR_FOPEN_EXCL : APR_FOPEN_TRUNCATE);
    apr_file_t *file = NULL;
    apr_status_t status = apr_file_open(&file, path, flags, PRIVATE_FILE, p);

    if (status == APR_SUCCESS) {
        status = apr_file_write_full(file, bytes, len, NULL);
        apr_status_t closed = apr_file_close(file);
        status = status != APR_SUCCESS ? status : closed;
    }
    if (status != APR_SUCCESS)
        return device_fail(p, DEVICE_LOCAL, "%s: %s", path, error_text(p, status));
    return device_ok();
}

device_result_t device_file_keep(apr_pool_t *p, const char *dir, const char *name,
                                 const char *bytes, apr_size_t len)
{
    if (dir == NULL)
        return device_ok();
    return device_file_write(p, apr_pstrcat(p, dir, "/", name, NULL), 0, bytes, len);
}

device_result_t device_dir_make(apr_pool_t *p, const char *dir)
{
    apr_status_t status = apr_dir_make(dir, PRIVATE_DIR, p);

    if (status != APR_SUCCESS && !APR_STATUS_IS_EEXIST(status))
        return device_fail(p, DEVICE_LOCAL, "%s: %s", dir, error_text(p, status));
    return device_ok();
}

device_result_t device_file_read(apr_pool_t *p, const char *path, apr_size_t max,
                                 const char **bytes, apr_size_t *len)
{
    apr_file_t *file = NULL;
    apr_size_t got = 0;
    char *buffer = apr_palloc(p, max + 2);
    apr_status_t status = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, p);

    if (status == APR_SUCCESS) {
        status = apr_file_read_full(file, buffer, max + 1, &got);
        apr_file_close(file);
    }
    if (status != APR_SUCCESS && !APR_STATUS_IS_EOF(status))
        return device_fail(p, DEVICE_LOCAL, "%s: %s", path, error_text(p, status));
    if (got > max) {
        return device_fail(p, DEVICE_LOCAL, "%s is longer than %" APR_SIZE_T_FMT " bytes", path,
                           max);
    }
    buffer[got] = '\0';
    *bytes = buffer;
    *len = got;
    return device_ok();
}

const char *device_uuid(apr_pool_t *p)
{
    unsigned char b[16] = {0};

    /* names a test device or a temporary certificate: nothing depends on its being secret */
    RAND_bytes(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    return apr_psprintf(p, "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
                        b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                        b[12], b[13], b[14], b[15]);
}

device_result_t device_identity_make_key(apr_pool_t *p, int bits, EVP_PKEY **key)
{
    EVP_PKEY *made = EVP_RSA_gen((unsigned int)bits);

    if (made == NULL)
        return device_fail_openssl(p, DEVICE_LOCAL, "an RSA key cannot be made");
    *key = mdm_x509_own_key(p, made);
    return device_ok();
}

static device_result_t write_pem(apr_pool_t *p, const char *path, int exclusive, X509 *cert,
                                 EVP_PKEY *key)
{
    BIO *out = BIO_new(BIO_s_mem());
    int good = out != NULL &&
               (cert != NULL ? PEM_write_bio_X509(out, cert) == 1
                             : PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);

    if (!good) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_LOCAL, path);
    }
    apr_size_t len;
    const char *pem = device_cms_drain(p, out, &len);
    return device_file_write(p, path, exclusive, pem, len);
}

static device_result_t write_pair(apr_pool_t *p, const char *dir, const char *name, int exclusive,
                                  X509 *cert, EVP_PKEY *key)
{
    /* the key first: a certificate without a key is worse than a key without a certificate */
    device_result_t r = write_pem(p, apr_psprintf(p, "%s/%s.key", dir, name), exclusive, NULL, key);

    if (r.exit != DEVICE_OK)
        return r;
    return write_pem(p, apr_psprintf(p, "%s/%s.pem", dir, name), exclusive, cert, NULL);
}

device_result_t device_identity_save(apr_pool_t *p, const char *dir, const char *name,
                                     const mdm_signer_t *signer)
{
    return write_pair(p, dir, name, 0, signer->cert, signer->key);
}

static int set_name(X509_NAME *name, const char *unit, const char *common_name)
{
    static const char *const organization = "Example Test Fleet";
    const char *const parts[][2] = {
        {"C", "US"}, {"O", organization}, {"OU", unit}, {"CN", common_name}};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!X509_NAME_add_entry_by_txt(name, parts[i][0], MBSTRING_UTF8,
                                        (const unsigned char *)parts[i][1], -1, -1, 0))
            return 0;
    return 1;
}

static int set_extensions(X509 *cert, X509 *issuer, const char *const (*extensions)[2])
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (; (*extensions)[0] != NULL; extensions++) {
        X509_EXTENSION *extension =
            X509V3_EXT_nconf(NULL, &ctx, (*extensions)[0], (*extensions)[1]);
        int good = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        if (!good)
            return 0;
    }
    return 1;
}

/* What tells the two certificates of make-ca apart. */
typedef struct template_t {
    const char *unit;
    const char *common_name;
    const char *not_before;
    const char *not_after;
    const char *const (*extensions)[2];
} template_t;

/* issuer NULL: self-signed */
static X509 *make_certificate(apr_pool_t *p, const template_t *template, EVP_PKEY *key,
                              X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *cert = mdm_x509_own(p, X509_new());
    BIGNUM *serial = BN_new();
    int good =
        cert != NULL && serial != NULL &&
        BN_rand(serial, 63, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
        BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL &&
        X509_set_version(cert, X509_VERSION_3) == 1 &&
        set_name(X509_get_subject_name(cert), template->unit, template->common_name) &&
        X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert)) == 1 &&
        ASN1_TIME_set_string(X509_getm_notBefore(cert), template->not_before) == 1 &&
        ASN1_TIME_set_string(X509_getm_notAfter(cert), template->not_after) == 1 &&
        X509_set_pubkey(cert, key) == 1 &&
        set_extensions(cert, issuer != NULL ? issuer : cert, template->extensions) &&
        X509_sign(cert, issuer_key, EVP_sha1()) > 0;

    BN_free(serial);
    return good ? cert : NULL;
}

/* As Apple's device CA and its leaves are: weak and expired on purpose, so that a server which
 * takes these takes genuine devices. The names are not Apple's. */
device_result_t device_identity_make_ca(apr_pool_t *p, const char *dir)
{
    static const char *const ca_extensions[][2] = {
        {"basicConstraints", "critical,CA:TRUE"},
        {"keyUsage", "critical,digitalSignature,keyCertSign,cRLSign"},
        {"subjectKeyIdentifier", "hash"},
        {NULL, NULL}};
    static const char *const leaf_extensions[][2] = {
        {"authorityKeyIdentifier", "keyid"},
        {"subjectKeyIdentifier", "hash"},
        {"basicConstraints", "critical,CA:FALSE"},
        {"keyUsage", "critical,digitalSignature,keyEncipherment"},
        {"extendedKeyUsage", "critical,serverAuth,clientAuth"},
        {NULL, NULL}};
    const template_t ca_template = {"Test Devices", "Test iPhone Device CA", "070416225411Z",
                                    "140416225411Z", ca_extensions};
    const template_t leaf_template = {"Test Devices", device_uuid(p), "120101000000Z",
                                      "150101000000Z", leaf_extensions};
    static const char *const files[] = {"device-ca.pem", "device-ca.key", "device.pem",
                                        "device.key"};
    EVP_PKEY *ca_key = NULL, *leaf_key = NULL;
    apr_finfo_t info;
    device_result_t r = device_dir_make(p, dir);

    if (r.exit != DEVICE_OK)
        return r;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *path = apr_psprintf(p, "%s/%s", dir, files[i]);
        if (apr_stat(&info, path, APR_FINFO_TYPE | APR_FINFO_LINK, p) == APR_SUCCESS)
            return device_fail(p, DEVICE_LOCAL, "%s is there already; nothing was written", path);
    }
    r = device_identity_make_key(p, 1024, &ca_key);
    if (r.exit == DEVICE_OK)
        r = device_identity_make_key(p, 1024, &leaf_key);
    if (r.exit != DEVICE_OK)
        return r;
    X509 *ca = make_certificate(p, &ca_template, ca_key, NULL, ca_key);
    X509 *leaf = ca != NULL ? make_certificate(p, &leaf_template, leaf_key, ca, ca_key) : NULL;
    if (leaf == NULL)
        return device_fail_openssl(p, DEVICE_LOCAL, "the test device CA cannot be made");
    r = write_pair(p, dir, "device-ca", 1, ca, ca_key);
    return r.exit == DEVICE_OK ? write_pair(p, dir, "device", 1, leaf, leaf_key) : r;
}

device_result_t device_identity_read(apr_pool_t *p, const char *dir, mdm_signer_t **signer)
{
    mdm_result_t r = mdm_signer_read(p, apr_psprintf(p, "%s/device.pem", dir),
                                     apr_psprintf(p, "%s/device.key", dir),
                                     apr_psprintf(p, "%s/device-ca.pem", dir), NULL, signer);

    if (r.kind != MDM_OK)
        return device_fail_core(p, DEVICE_LOCAL, "--identity", r);
    return device_ok();
}
