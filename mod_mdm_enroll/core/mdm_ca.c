/* SPDX-License-Identifier: Apache-2.0
 * The issuing CA: checked once at start, then certificates from an enrollment's row and a public
 * key. Depends on mdm_x509, mdm_enrollment.
 */
#include "mdm_ca.h"

#include <string.h>
#include <time.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define SERIAL_BYTES 20
#define CLOCK_SKEW (5 * 60)
#define MIN_RSA_BITS 2048

/* RFC 7093 section 2 (1): the leftmost 160 bits of SHA-256, so that no SHA-1 is needed. */
#define KEY_ID_BYTES 20

/* The extensions that every certificate has alike. Only ever copied from, so threads may share
 * them. */
enum { EXT_BASIC_CONSTRAINTS, EXT_KEY_USAGE, EXT_EXT_KEY_USAGE, EXT_AUTHORITY_KEY, EXT_COUNT };

static const struct {
    int nid;
    const char *value;
} fixed_extensions[EXT_COUNT] = {
    [EXT_BASIC_CONSTRAINTS] = {NID_basic_constraints, "critical,CA:FALSE"},
    [EXT_KEY_USAGE] = {NID_key_usage, "critical,digitalSignature,keyEncipherment"},
    [EXT_EXT_KEY_USAGE] = {NID_ext_key_usage, "clientAuth"},
    /* without a subjectKeyIdentifier in the CA's certificate: issuer and serial number */
    [EXT_AUTHORITY_KEY] = {NID_authority_key_identifier, "keyid,issuer"},
};

struct mdm_ca_t {
    const mdm_signer_t *signer;
    apr_int64_t not_after;
    X509_EXTENSION *extensions[EXT_COUNT];
};

static apr_status_t free_extensions(void *data)
{
    mdm_ca_t *ca = data;

    for (int i = 0; i < EXT_COUNT; i++)
        X509_EXTENSION_free(ca->extensions[i]);
    return APR_SUCCESS;
}

static mdm_result_t unfit(apr_pool_t *p, const mdm_signer_t *signer, const char *why)
{
    ERR_clear_error();
    return mdm_result_make(p, MDM_MSG_CONFIGURATION, "CA certificate \"%s\": %s",
                           mdm_x509_subject(p, signer->cert), why);
}

static mdm_result_t check_ca(apr_pool_t *p, const mdm_signer_t *signer)
{
    X509 *cert = signer->cert;
    EVP_PKEY *key = X509_get0_pubkey(cert);
    const apr_uint32_t usage = KU_KEY_CERT_SIGN | KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT;

    if ((X509_get_extension_flags(cert) & (EXFLAG_INVALID | EXFLAG_CA)) != EXFLAG_CA)
        return unfit(p, signer, "wanted is basicConstraints with CA:TRUE");
    if ((X509_get_key_usage(cert) & usage) != usage) /* all ones where it is absent */
        return unfit(p, signer,
                     "wanted is keyUsage with keyCertSign, digitalSignature and keyEncipherment "
                     "(it signs and decrypts SCEP messages too), or no keyUsage");
    if (key == NULL || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < MIN_RSA_BITS)
        return unfit(p, signer,
                     apr_psprintf(p,
                                  "wanted is an RSA key of at least %d bits (devices encrypt to "
                                  "it)",
                                  MIN_RSA_BITS));
    if (signer->key == NULL || X509_check_private_key(cert, signer->key) != 1)
        return unfit(p, signer, "the private key does not belong to it");
    return mdm_result_ok();
}

mdm_result_t mdm_ca_create(apr_pool_t *p, const mdm_signer_t *signer, mdm_ca_t **ca)
{
    mdm_result_t r = check_ca(p, signer);
    mdm_ca_t *made;
    X509V3_CTX context;

    if (r.kind != MDM_OK)
        return r;
    made = apr_pcalloc(p, sizeof(*made));
    made->signer = signer;
    made->not_after = mdm_x509_not_after(signer->cert);
    apr_pool_cleanup_register(p, made, free_extensions, apr_pool_cleanup_null);
    X509V3_set_ctx(&context, signer->cert, NULL, NULL, NULL, 0);
    for (int i = 0; i < EXT_COUNT; i++) {
        made->extensions[i] =
            X509V3_EXT_conf_nid(NULL, &context, fixed_extensions[i].nid, fixed_extensions[i].value);
        if (made->extensions[i] == NULL)
            return mdm_result_make(p, MDM_MSG_CRYPTO, "extension %s: %s",
                                   OBJ_nid2sn(fixed_extensions[i].nid), mdm_openssl_reason(p));
    }
    *ca = made;
    return mdm_result_ok();
}

const mdm_signer_t *mdm_ca_signer(const mdm_ca_t *ca)
{
    return ca->signer;
}

/* The string table of OpenSSL picks type and length limits of X.520. */
static int add_name(X509_NAME *name, int nid, const char *text)
{
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1, -1,
                                      0);
}

/* X.520 wants a PrintableString, and genuine serial numbers are; those of virtual machines may hold
 * "_" or "@", which must not keep them from enrolling. */
static int add_serial_name(X509_NAME *name, const char *serial)
{
    const unsigned char *text = (const unsigned char *)serial;

    if (ASN1_PRINTABLE_type(text, -1) == V_ASN1_PRINTABLESTRING)
        return add_name(name, NID_serialNumber, serial);
    return X509_NAME_add_entry_by_NID(name, NID_serialNumber, V_ASN1_UTF8STRING, text, -1, -1, 0);
}

static int set_names(X509 *cert, const mdm_ca_t *ca, const mdm_enrollment_t *row,
                     mdm_purpose_t purpose, const char *organization)
{
    X509_NAME *subject = X509_get_subject_name(cert);

    return add_name(subject, NID_organizationName, organization) &&
           add_name(subject, NID_organizationalUnitName,
                    purpose == MDM_PURPOSE_IDENTITY ? "Enrollment" : "MDM") &&
           add_name(subject, NID_commonName, row->udid) && add_serial_name(subject, row->serial) &&
           X509_set_issuer_name(cert, X509_get_subject_name(ca->signer->cert));
}

static int set_time(ASN1_TIME *field, apr_int64_t seconds)
{
    time_t t = (time_t)seconds;

    return (apr_int64_t)t == seconds && ASN1_TIME_set(field, t) != NULL;
}

static int set_validity(X509 *cert, const mdm_ca_t *ca, apr_int64_t now, apr_int64_t validity)
{
    apr_int64_t left = ca->not_after - now;

    return set_time(X509_getm_notBefore(cert), now - CLOCK_SKEW) &&
           set_time(X509_getm_notAfter(cert), now + (validity < left ? validity : left));
}

/* The bits of the key as they came: to decode and to encode it anew, as X509_set_pubkey() does, is
 * dearer than the signature. */
static int copy_key(X509 *cert, X509_PUBKEY *key)
{
    ASN1_OBJECT *algorithm;
    const unsigned char *bits;
    unsigned char *copy;
    int len;

    if (!X509_PUBKEY_get0_param(&algorithm, &bits, &len, NULL, key) ||
        OBJ_obj2nid(algorithm) != NID_rsaEncryption)
        return 0;
    copy = OPENSSL_memdup(bits, (size_t)len);
    if (copy != NULL &&
        X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(NID_rsaEncryption),
                               V_ASN1_NULL, NULL, copy, len))
        return 1;
    OPENSSL_free(copy);
    return 0;
}

static int add_key_id(X509 *cert, X509_PUBKEY *key)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    const unsigned char *bits;
    int len, ok;

    ok = id != NULL && X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, key) &&
         EVP_Digest(bits, (size_t)len, digest, NULL, EVP_sha256(), NULL) &&
         ASN1_OCTET_STRING_set(id, digest, KEY_ID_BYTES) &&
         X509_add1_ext_i2d(cert, NID_subject_key_identifier, id, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_OCTET_STRING_free(id);
    return ok;
}

static int add_alt_name(apr_pool_t *p, X509 *cert, const mdm_enrollment_t *row)
{
    const char *uri = apr_pstrcat(p, "urn:mdm-enroll:", row->id, NULL);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    int ok = 0;

    if (names == NULL || name == NULL || text == NULL || !ASN1_STRING_set(text, uri, -1))
        goto done;
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    text = NULL;
    if (!sk_GENERAL_NAME_push(names, name))
        goto done;
    name = NULL;
    ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
done:
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return ok;
}

static int add_extensions(apr_pool_t *p, X509 *cert, const mdm_ca_t *ca,
                          const mdm_enrollment_t *row, X509_PUBKEY *key)
{
    for (int i = 0; i < EXT_COUNT; i++)
        if (!X509_add_ext(cert, ca->extensions[i], -1))
            return 0;
    return add_key_id(cert, key) && add_alt_name(p, cert, row);
}

mdm_result_t mdm_ca_issue(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                          const mdm_enrollment_t *row, mdm_purpose_t purpose,
                          const char *organization, X509_PUBKEY *key, apr_int64_t validity,
                          X509 **cert)
{
    apr_int64_t now = world->now(world->context);
    unsigned char serial[SERIAL_BYTES];
    X509 *made;

    if (ca->not_after <= now)
        return mdm_result_make(p, MDM_MSG_CA_ISSUE,
                               "the CA certificate expired %" APR_INT64_T_FMT " s ago",
                               now - ca->not_after);
    if (!world->random(world->context, serial, sizeof(serial)))
        return mdm_random_failed(p);
    /* positive, and of one length always (RFC 5280 section 4.1.2.2: at most 20 octets) */
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    made = mdm_x509_own(p, X509_new());
    if (made == NULL || !X509_set_version(made, X509_VERSION_3) ||
        !ASN1_STRING_set(X509_get_serialNumber(made), serial, sizeof(serial)) ||
        !set_names(made, ca, row, purpose, organization) ||
        !set_validity(made, ca, now, validity) || !copy_key(made, key) ||
        !add_extensions(p, made, ca, row, key) ||
        X509_sign(made, ca->signer->key, EVP_sha256()) == 0)
        return mdm_result_make(p, MDM_MSG_CA_ISSUE,
                               "certificate for enrollment %s (O \"%s\", CN \"%s\", serialNumber "
                               "\"%s\"): %s",
                               row->id, mdm_result_quote_text(p, organization),
                               mdm_result_quote_text(p, row->udid),
                               mdm_result_quote_text(p, row->serial), mdm_openssl_reason(p));
    *cert = made;
    return mdm_result_ok();
}
