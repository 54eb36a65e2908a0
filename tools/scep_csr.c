/* SPDX-License-Identifier: Apache-2.0
 * The certificate requests (PKCS #10) of a device. Depends on device_cms and device_profile.
 */
#include "scep_csr.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "device_cms.h"

/* Apple's Key Usage bits. */
#define USAGE_SIGN 1
#define USAGE_ENCRYPT 4

/* A device knows these short names; everything else must be a dotted OID. */
static int add_rdn(X509_NAME *name, const mdm_plist_t *rdn)
{
    static const char *const known[] = {"C", "L", "ST", "O", "OU", "CN"};

    for (apr_size_t i = 0; i < mdm_plist_size(rdn); i++) {
        const mdm_plist_t *pair = mdm_plist_item(rdn, i);
        const char *type = mdm_plist_string(mdm_plist_item(pair, 0));
        const char *value = mdm_plist_string(mdm_plist_item(pair, 1));
        int good = isdigit((unsigned char)type[0]);

        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            good |= strcmp(type, known[k]) == 0;
        /* the last argument: 0 begins an RDN, -1 goes on with the one before */
        if (!good ||
            X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                       -1, i == 0 ? 0 : -1) != 1)
            return 0;
    }
    return 1;
}

static int add_key_usage(X509_REQ *csr, int usage)
{
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    int good = bits != NULL &&
               (!(usage & USAGE_SIGN) || ASN1_BIT_STRING_set_bit(bits, 0, 1) == 1) &&
               (!(usage & USAGE_ENCRYPT) || ASN1_BIT_STRING_set_bit(bits, 2, 1) == 1) &&
               X509V3_add1_i2d(&extensions, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1 &&
               X509_REQ_add_extensions(csr, extensions) == 1;

    ASN1_BIT_STRING_free(bits);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return good;
}

/* Sign what is there, encode and free it. PKCS#1 v1.5 with one key gives the same bytes each time,
 * so that a repeated request is known to be the same. */
static device_result_t finish(apr_pool_t *p, X509_REQ *csr, int good, EVP_PKEY *key,
                              const char **der, apr_size_t *len)
{
    BIO *out = BIO_new(BIO_s_mem());

    good = good && out != NULL && X509_REQ_set_version(csr, X509_REQ_VERSION_1) == 1 &&
           X509_REQ_set_pubkey(csr, key) == 1 && X509_REQ_sign(csr, key, EVP_sha256()) > 0 &&
           i2d_X509_REQ_bio(out, csr) == 1;
    X509_REQ_free(csr);
    if (!good) {
        BIO_free(out);
        return device_fail_openssl(p, DEVICE_LOCAL, "the certificate request cannot be made");
    }
    *der = device_cms_drain(p, out, len);
    return device_ok();
}

device_result_t scep_csr_enroll(apr_pool_t *p, EVP_PKEY *key, const device_scep_payload_t *payload,
                                const char **der, apr_size_t *len)
{
    X509_REQ *csr = X509_REQ_new();
    const char *challenge = payload->challenge;
    int good = csr != NULL;

    for (apr_size_t i = 0; good && payload->subject != NULL && i < mdm_plist_size(payload->subject);
         i++) {
        if (!add_rdn(X509_REQ_get_subject_name(csr), mdm_plist_item(payload->subject, i))) {
            ERR_clear_error();
            X509_REQ_free(csr);
            return device_fail(p, DEVICE_UNACCEPTABLE,
                               "Subject has an entry that a device does not know: wanted C, L, "
                               "ST, O, OU, CN or an OID, and a value that fits it");
        }
    }
    if (good && challenge != NULL) {
        good = X509_REQ_add1_attr_by_NID(csr, NID_pkcs9_challengePassword, MBSTRING_UTF8,
                                         (const unsigned char *)challenge,
                                         (int)strlen(challenge)) == 1;
    }
    if (good && payload->key_usage != 0)
        good = add_key_usage(csr, payload->key_usage);
    return finish(p, csr, good, key, der, len);
}

device_result_t scep_csr_renew(apr_pool_t *p, EVP_PKEY *key, const X509 *old, const char **der,
                               apr_size_t *len)
{
    X509_REQ *csr = X509_REQ_new();
    int good = csr != NULL && X509_REQ_set_subject_name(csr, X509_get_subject_name(old)) == 1;

    return finish(p, csr, good, key, der, len);
}
