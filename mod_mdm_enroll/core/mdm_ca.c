/* SPDX-License-Identifier: Apache-2.0
 * The issuing CA: checked once at start, then certificates from an enrollment's row and a public
 * key. Depends on mdm_x509, mdm_enrollment.
 */
#include "mdm_ca.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <apr_cstr.h>
#include <apr_lib.h>
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
enum {
    EXT_BASIC_CONSTRAINTS,
    EXT_KEY_USAGE,
    EXT_KEY_USAGE_EC, /* instead, of such keys (RFC 5480 section 3) */
    EXT_EXT_KEY_USAGE,
    EXT_AUTHORITY_KEY,
    EXT_CRL, /* NULL without a URL */
    EXT_COUNT
};

static const struct {
    int nid;
    const char *value;
} fixed_extensions[EXT_CRL] = {
    [EXT_BASIC_CONSTRAINTS] = {NID_basic_constraints, "critical,CA:FALSE"},
    [EXT_KEY_USAGE] = {NID_key_usage, "critical,digitalSignature,keyEncipherment"},
    [EXT_KEY_USAGE_EC] = {NID_key_usage, "critical,digitalSignature"},
    [EXT_EXT_KEY_USAGE] = {NID_ext_key_usage, "clientAuth"},
    /* without a subjectKeyIdentifier in the CA's certificate: issuer and serial number */
    [EXT_AUTHORITY_KEY] = {NID_authority_key_identifier, "keyid,issuer"},
};

struct mdm_ca_t {
    const mdm_ca_settings_t *settings;
    const mdm_signer_t *signer;
    const char *key_id;
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

static mdm_result_t unfit(apr_pool_t *p, const char *role, const mdm_signer_t *signer,
                          const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static mdm_result_t unfit(apr_pool_t *p, const char *role, const mdm_signer_t *signer,
                          const char *fmt, ...)
{
    va_list args;
    const char *why;

    va_start(args, fmt);
    why = apr_pvsprintf(p, fmt, args);
    va_end(args);
    ERR_clear_error();
    return mdm_result_make(p, MDM_MSG_CONFIGURATION, "%s certificate \"%s\": %s", role,
                           mdm_x509_subject(p, signer->cert), why);
}

static int key_belongs(const mdm_signer_t *signer)
{
    return signer->key != NULL && X509_check_private_key(signer->cert, signer->key) == 1;
}

/* Devices encrypt to RSA keys only. */
static int key_answers(EVP_PKEY *key)
{
    return key != NULL && EVP_PKEY_is_a(key, "RSA") && mdm_x509_key_ok(key, MIN_RSA_BITS);
}

static mdm_result_t check_ca(apr_pool_t *p, const mdm_ca_settings_t *settings)
{
    const mdm_signer_t *signer = settings->signer;
    X509 *cert = signer->cert;
    EVP_PKEY *key = X509_get0_pubkey(cert);
    const apr_uint32_t answers = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT;
    apr_uint32_t usage = X509_get_key_usage(cert); /* all ones where it is absent */

    if ((X509_get_extension_flags(cert) & (EXFLAG_INVALID | EXFLAG_CA)) != EXFLAG_CA)
        return unfit(p, "CA", signer, "wanted is basicConstraints with CA:TRUE");
    if ((usage & KU_KEY_CERT_SIGN) == 0)
        return unfit(p, "CA", signer, "wanted is keyUsage with keyCertSign, or no keyUsage");
    if (settings->responder && (usage & answers) != answers)
        return unfit(p, "CA", signer,
                     "wanted is keyUsage with keyCertSign, digitalSignature and keyEncipherment "
                     "(it signs and decrypts SCEP messages too), or no keyUsage; or an RA that "
                     "does that (MDMEnrollRA)");
    if (settings->responder && !key_answers(key))
        return unfit(p, "CA", signer,
                     "wanted is an RSA key of %d to 8192 bits (devices encrypt to it), or an RA "
                     "with such a key (MDMEnrollRA)",
                     MIN_RSA_BITS);
    if (key == NULL || !mdm_x509_key_ok(key, MIN_RSA_BITS))
        return unfit(p, "CA", signer,
                     "wanted is a key of RSA, %d to 8192 bits, or on P-256, P-384 or P-521",
                     MIN_RSA_BITS);
    if (!key_belongs(signer))
        return unfit(p, "CA", signer, "the private key does not belong to it");
    return mdm_result_ok();
}

mdm_result_t mdm_ca_check_ra(apr_pool_t *p, const mdm_ca_t *ca, const mdm_signer_t *ra)
{
    X509 *cert = ra->cert, *issuer = ca->signer->cert;
    const apr_uint32_t answers = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT;
    EVP_PKEY *key = X509_get0_pubkey(cert);

    if (X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) != 0 ||
        X509_verify(cert, X509_get0_pubkey(issuer)) != 1)
        return unfit(p, "RA", ra, "it was issued by \"%s\", wanted is one issued by the CA \"%s\"",
                     mdm_x509_issuer(p, cert), mdm_x509_subject(p, issuer));
    if (X509_check_ca(cert) != 0 || X509_get_extension_flags(cert) & EXFLAG_INVALID)
        return unfit(p, "RA", ra, "wanted is basicConstraints with CA:FALSE");
    if (!(X509_get_extension_flags(cert) & EXFLAG_KUSAGE) ||
        (X509_get_key_usage(cert) & answers) != answers)
        return unfit(p, "RA", ra,
                     "wanted is keyUsage with digitalSignature and keyEncipherment (devices choose "
                     "the RA by it)");
    if (!key_answers(key))
        return unfit(p, "RA", ra, "wanted is an RSA key of %d to 8192 bits (devices encrypt to it)",
                     MIN_RSA_BITS);
    if (!key_belongs(ra))
        return unfit(p, "RA", ra, "the private key does not belong to it");
    if (EVP_PKEY_eq(key, X509_get0_pubkey(issuer)) == 1)
        return unfit(p, "RA", ra, "its key is the CA's, wanted is one of its own");
    ERR_clear_error();
    return mdm_result_ok();
}

/* By its structures: a URL may hold what the text form of extensions takes for its own. */
static X509_EXTENSION *make_crl_extension(const char *url)
{
    CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
    DIST_POINT *point = DIST_POINT_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    X509_EXTENSION *made = NULL;

    if (points == NULL || point == NULL || name == NULL || text == NULL ||
        !ASN1_STRING_set(text, url, -1) || (point->distpoint = DIST_POINT_NAME_new()) == NULL)
        goto done;
    point->distpoint->type = 0; /* fullName */
    point->distpoint->name.fullname = sk_GENERAL_NAME_new_null();
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    text = NULL;
    if (point->distpoint->name.fullname == NULL ||
        !sk_GENERAL_NAME_push(point->distpoint->name.fullname, name))
        goto done;
    name = NULL;
    if (!sk_DIST_POINT_push(points, point))
        goto done;
    point = NULL;
    made = X509V3_EXT_i2d(NID_crl_distribution_points, 0, points);
done:
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    DIST_POINT_free(point);
    sk_DIST_POINT_pop_free(points, DIST_POINT_free);
    return made;
}

mdm_result_t mdm_ca_create(apr_pool_t *p, const mdm_ca_settings_t *settings, mdm_ca_t **ca)
{
    const mdm_signer_t *signer = settings->signer;
    mdm_result_t r = check_ca(p, settings);
    mdm_ca_t *made;
    X509V3_CTX context;

    if (r.kind != MDM_OK)
        return r;
    made = apr_pcalloc(p, sizeof(*made));
    made->settings = settings;
    made->signer = signer;
    made->not_after = mdm_x509_not_after(signer->cert);
    made->key_id = mdm_x509_key_id(p, signer->cert);
    if (made->key_id[0] == '\0')
        return mdm_sha256_failed(p);
    apr_pool_cleanup_register(p, made, free_extensions, apr_pool_cleanup_null);
    X509V3_set_ctx(&context, signer->cert, NULL, NULL, NULL, 0);
    for (int i = 0; i < EXT_CRL; i++) {
        made->extensions[i] =
            X509V3_EXT_conf_nid(NULL, &context, fixed_extensions[i].nid, fixed_extensions[i].value);
        if (made->extensions[i] == NULL)
            return mdm_result_make(p, MDM_MSG_CRYPTO, "extension %s: %s",
                                   OBJ_nid2sn(fixed_extensions[i].nid), mdm_openssl_reason(p));
    }
    if (settings->crl_url != NULL &&
        (made->extensions[EXT_CRL] = make_crl_extension(settings->crl_url)) == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "extension crlDistributionPoints: %s",
                               mdm_openssl_reason(p));
    *ca = made;
    return mdm_result_ok();
}

const mdm_signer_t *mdm_ca_signer(const mdm_ca_t *ca)
{
    return ca->signer;
}

const char *mdm_ca_key_id(const mdm_ca_t *ca)
{
    return ca->key_id;
}

apr_int64_t mdm_ca_validity(const mdm_ca_t *ca)
{
    return ca->settings->validity;
}

int mdm_ca_signs_crls(const mdm_ca_t *ca)
{
    return (X509_get_key_usage(ca->signer->cert) & KU_CRL_SIGN) != 0;
}

X509_EXTENSION *mdm_ca_authority_key(const mdm_ca_t *ca)
{
    return ca->extensions[EXT_AUTHORITY_KEY];
}

/* --- subjectAltName --- */

/* A variable and the value that it has in a row; NULL if it is not one. */
static const char *row_value(const mdm_enrollment_t *row, const char *name, apr_size_t len)
{
    const struct {
        const char *name, *value;
    } values[] = {{"MDM_UDID", row->udid},
                  {"MDM_SERIAL", row->serial},
                  {"MDM_USER", row->user},
                  {"MDM_PRODUCT", row->product}};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (strlen(values[i].name) == len && strncmp(values[i].name, name, len) == 0)
            return values[i].value;
    return NULL;
}

/* The text with the row's values in it. NULL if it names a variable that there is not. */
static const char *expand(apr_pool_t *p, const char *text, const mdm_enrollment_t *row)
{
    const char *done = "", *begin, *end, *value;

    while ((begin = strstr(text, "%{")) != NULL) {
        end = strchr(begin, '}');
        value = end != NULL ? row_value(row, begin + 2, (apr_size_t)(end - begin - 2)) : NULL;
        if (value == NULL)
            return NULL;
        done =
            apr_pstrcat(p, done, apr_pstrmemdup(p, text, (apr_size_t)(begin - text)), value, NULL);
        text = end + 1;
    }
    return apr_pstrcat(p, done, text, NULL);
}

/* May it be a name of that type? RFC 5280 section 4.2.1.6: an IA5String always; a DNS name is of
 * letters, digits, hyphens and dots; a mailbox has one "@"; a URI has a scheme and no blanks. */
static int alt_name_ok(int type, const char *name)
{
    apr_size_t len = strlen(name);
    int at = 0;

    if (len < 1 || len > MDM_CA_MAX_ALT_NAME)
        return 0;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c <= 0x20 || *c > 0x7e || strchr("\"<>\\^`{|}", *c) != NULL)
            return 0;
        if (type == GEN_DNS && !apr_isalnum(*c) && *c != '-' && *c != '.')
            return 0;
        at += *c == '@';
    }
    if (type == GEN_DNS)
        return name[0] != '.' && name[len - 1] != '.' && strstr(name, "..") == NULL;
    if (type == GEN_EMAIL)
        return at == 1 && name[0] != '@' && name[len - 1] != '@';
    return apr_isalpha(name[0]) && strchr(name, ':') != NULL;
}

const char *mdm_ca_alt_name(apr_pool_t *p, const char *type, const char *text, mdm_alt_name_t *name)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {{"URI", GEN_URI}, {"DNS", GEN_DNS}, {"email", GEN_EMAIL}};
    /* what a row may hold at best */
    const mdm_enrollment_t sample = {.udid = "0", .serial = "0", .user = "u", .product = "p"};
    const char *expanded = expand(p, text, &sample);

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (apr_cstr_casecmp(type, types[i].name) != 0)
            continue;
        if (expanded == NULL)
            return "a text with no variables but %{MDM_UDID}, %{MDM_SERIAL}, %{MDM_USER} and "
                   "%{MDM_PRODUCT}";
        if (!alt_name_ok(types[i].type, expanded))
            return types[i].type == GEN_URI   ? "a URI, such as urn:example:%{MDM_SERIAL}"
                   : types[i].type == GEN_DNS ? "a DNS name, such as %{MDM_SERIAL}.dev.example.com"
                                              : "a mailbox, such as %{MDM_USER}@example.com";
        *name = (mdm_alt_name_t){types[i].type, text};
        return NULL;
    }
    return "URI, DNS or email, and the text of the name";
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
           add_name(subject, NID_commonName, mdm_enrollment_device(row)) &&
           (row->serial[0] == '\0' || add_serial_name(subject, row->serial)) &&
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
    X509_ALGOR *algor;
    const void *curve;
    const unsigned char *bits;
    unsigned char *copy;
    int len, nid, type;

    if (!X509_PUBKEY_get0_param(&algorithm, &bits, &len, &algor, key))
        return 0;
    nid = OBJ_obj2nid(algorithm);
    X509_ALGOR_get0(NULL, &type, &curve, algor);
    if (nid != NID_rsaEncryption && (nid != NID_X9_62_id_ecPublicKey || type != V_ASN1_OBJECT))
        return 0;
    copy = OPENSSL_memdup(bits, (size_t)len);
    if (copy != NULL &&
        X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(nid),
                               nid == NID_rsaEncryption ? V_ASN1_NULL : V_ASN1_OBJECT,
                               nid == NID_rsaEncryption ? NULL : OBJ_nid2obj(OBJ_obj2nid(curve)),
                               copy, len))
        return 1;
    OPENSSL_free(copy);
    return 0;
}

static int is_ec(X509_PUBKEY *key)
{
    ASN1_OBJECT *algorithm;

    return X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, key) &&
           OBJ_obj2nid(algorithm) == NID_X9_62_id_ecPublicKey;
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

static int push_alt_name(GENERAL_NAMES *names, int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *string = ASN1_IA5STRING_new();

    if (name != NULL && string != NULL && ASN1_STRING_set(string, text, -1)) {
        GENERAL_NAME_set0_value(name, type, string);
        if (sk_GENERAL_NAME_push(names, name))
            return 1;
        string = NULL; /* the name's */
    }
    ASN1_IA5STRING_free(string);
    GENERAL_NAME_free(name);
    return 0;
}

static mdm_result_t add_alt_names(apr_pool_t *p, X509 *cert, const mdm_ca_t *ca,
                                  const mdm_enrollment_t *row)
{
    const apr_array_header_t *more = ca->settings->alt_names;
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    mdm_result_t r = mdm_result_ok();
    int ok = names != NULL &&
             push_alt_name(names, GEN_URI, apr_pstrcat(p, "urn:mdm-enroll:", row->id, NULL));

    for (int i = 0; ok && r.kind == MDM_OK && more != NULL && i < more->nelts; i++) {
        const mdm_alt_name_t *one = &APR_ARRAY_IDX(more, i, mdm_alt_name_t);
        const char *text = expand(p, one->text, row);

        if (text == NULL || !alt_name_ok(one->type, text))
            r = mdm_result_make(p, MDM_MSG_CA_ALT_NAME,
                                "enrollment %s: \"%s\" becomes \"%s\", which such a name cannot be",
                                row->id, one->text, mdm_result_quote_text(p, text));
        else
            ok = push_alt_name(names, one->type, text);
    }
    if (ok && r.kind == MDM_OK)
        ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    if (r.kind == MDM_OK && !ok)
        r = mdm_result_make(p, MDM_MSG_CA_ISSUE, "enrollment %s, subjectAltName: %s", row->id,
                            mdm_openssl_reason(p));
    return r;
}

static int add_extensions(X509 *cert, const mdm_ca_t *ca, X509_PUBKEY *key)
{
    const int other_usage = is_ec(key) ? EXT_KEY_USAGE : EXT_KEY_USAGE_EC;

    for (int i = 0; i < EXT_COUNT; i++)
        if (i != other_usage && ca->extensions[i] != NULL &&
            !X509_add_ext(cert, ca->extensions[i], -1))
            return 0;
    return add_key_id(cert, key);
}

mdm_result_t mdm_ca_issue(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                          const mdm_enrollment_t *row, mdm_purpose_t purpose, X509_PUBKEY *key,
                          X509 **cert)
{
    apr_int64_t now = world->now(world->context);
    const char *organization = ca->settings->organization;
    unsigned char serial[SERIAL_BYTES];
    X509 *made;
    mdm_result_t r;

    if (ca->not_after <= now)
        return mdm_result_make(p, MDM_MSG_CA_ISSUE,
                               "the CA certificate expired %" APR_INT64_T_FMT " s ago",
                               now - ca->not_after);
    if (!world->random(world->context, serial, sizeof(serial)))
        return mdm_random_failed(p);
    /* positive, and of one length always (RFC 5280 section 4.1.2.2: at most 20 octets) */
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    made = mdm_x509_own(p, X509_new());
    if (made != NULL && (r = add_alt_names(p, made, ca, row)).kind != MDM_OK)
        return r;
    if (made == NULL || !X509_set_version(made, X509_VERSION_3) ||
        !ASN1_STRING_set(X509_get_serialNumber(made), serial, sizeof(serial)) ||
        !set_names(made, ca, row, purpose, organization) ||
        !set_validity(made, ca, now, ca->settings->validity) || !copy_key(made, key) ||
        !add_extensions(made, ca, key) || X509_sign(made, ca->signer->key, EVP_sha256()) == 0)
        return mdm_result_make(p, MDM_MSG_CA_ISSUE,
                               "certificate for enrollment %s (O \"%s\", CN \"%s\", serialNumber "
                               "\"%s\"): %s",
                               row->id, mdm_result_quote_text(p, organization),
                               mdm_result_quote_text(p, row->udid),
                               mdm_result_quote_text(p, row->serial), mdm_openssl_reason(p));
    *cert = made;
    return mdm_result_ok();
}
