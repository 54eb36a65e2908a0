/* SPDX-License-Identifier: Apache-2.0
 * Who may sign: the pinned Apple device CA key, a site's own device CAs, the identity CA, foreign
 * CAs of identities, the deny list. Depends on mdm_x509.
 */
#include "mdm_trust.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "mdm_x509.h"

#define DEVICE_RSA_BITS 1024
#define IDENTITY_RSA_BITS 2048
#define FINGERPRINT_DIGITS 64

/* A leaf certificate of Apple's device CA whose private key is public knowledge. */
#define PUBLISHED_KEY_FINGERPRINT "38f516fb9dfdb4719d4a8597b6c63be07a0746c657dea78e467a5fefb8ccfa0a"

/* SubjectPublicKeyInfo of "Apple iPhone Device CA": RSA-1024, e = 65537. Its SHA-256 is
 * 13686ec675f9fd26a123adb17b5533f593cf451edd6105ae39b748277a3922e5. */
static const unsigned char apple_device_ca_key[] = {
    /* SEQUENCE, SEQUENCE { rsaEncryption, NULL }, BIT STRING, SEQUENCE */
    0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x81, 0x8d, 0x00, 0x30, 0x81, 0x89,
    /* modulus */
    0x02, 0x81, 0x81, 0x00, 0xf1, 0x94, 0x4a, 0xc9, 0xea, 0xba, 0x5a, 0x18, 0x60, 0xad, 0xcb, 0xa2,
    0x4d, 0x4d, 0x4e, 0x54, 0x19, 0x69, 0x17, 0x59, 0x07, 0x66, 0xcb, 0x97, 0xe8, 0x66, 0x9a, 0x47,
    0x5f, 0x46, 0xae, 0x67, 0x7a, 0xb5, 0x4a, 0x73, 0x54, 0xb1, 0xcb, 0x04, 0xf6, 0xbd, 0x36, 0xb8,
    0x0c, 0x55, 0x38, 0x8a, 0x84, 0x83, 0x31, 0x52, 0x65, 0xf9, 0x33, 0xe1, 0x97, 0x77, 0x9c, 0x2b,
    0x4c, 0x26, 0xb0, 0x25, 0x3f, 0xe9, 0x32, 0xaa, 0x7b, 0x08, 0x74, 0x94, 0xec, 0xc1, 0x4b, 0x38,
    0x1d, 0x67, 0x4e, 0x08, 0x52, 0x94, 0x5a, 0x8b, 0x59, 0xa3, 0x5c, 0xd7, 0x93, 0xf4, 0xa0, 0xfe,
    0x55, 0x85, 0xbb, 0x4c, 0x46, 0x97, 0x5e, 0x6e, 0xb2, 0x77, 0x45, 0x2f, 0x67, 0x5c, 0xbc, 0x0b,
    0x18, 0xbf, 0x59, 0xb9, 0x6c, 0x86, 0xf7, 0x2a, 0x75, 0x76, 0xd2, 0x19, 0x71, 0xf4, 0x29, 0x63,
    0xb9, 0x25, 0x0b, 0xaf,
    /* public exponent */
    0x02, 0x03, 0x01, 0x00, 0x01};

typedef struct anchor_t {
    X509_NAME *subject;
    EVP_PKEY *key;
    mdm_issuer_t issuer;
    apr_int64_t not_before; /* dates of a CA of identities; a device CA has none */
    apr_int64_t not_after;
} anchor_t;

struct mdm_trust_t {
    apr_pool_t *pool;
    apr_array_header_t *anchors; /* of anchor_t */
    apr_array_header_t *denied;  /* of const char *: lower-case fingerprints */
};

static apr_status_t free_name(void *name)
{
    X509_NAME_free(name);
    return APR_SUCCESS;
}

static X509_NAME *own_name(apr_pool_t *p, X509_NAME *name)
{
    if (name)
        apr_pool_cleanup_register(p, name, free_name, apr_pool_cleanup_null);
    return name;
}

mdm_trust_t *mdm_trust_create(apr_pool_t *p)
{
    mdm_trust_t *trust = apr_palloc(p, sizeof(*trust));
    trust->pool = p;
    trust->anchors = apr_array_make(p, 4, sizeof(anchor_t));
    trust->denied = apr_array_make(p, 4, sizeof(const char *));
    mdm_trust_deny(trust, PUBLISHED_KEY_FINGERPRINT);
    return trust;
}

/* Both roles for one key would leave no difference between phases 2 and 3. */
static mdm_result_t add_anchor(mdm_trust_t *trust, anchor_t *anchor)
{
    for (int i = 0; i < trust->anchors->nelts; i++) {
        const anchor_t *other = &APR_ARRAY_IDX(trust->anchors, i, anchor_t);
        if (other->issuer == anchor->issuer || EVP_PKEY_eq(other->key, anchor->key) != 1)
            continue;
        if (other->issuer == MDM_ISSUER_IDENTITY_CA && anchor->issuer == MDM_ISSUER_FOREIGN_CA) {
            anchor->issuer = MDM_ISSUER_IDENTITY_CA;
            continue;
        }
        ERR_clear_error();
        return mdm_result_make(trust->pool, MDM_MSG_CONFIGURATION,
                               "the identity CA is a device CA, too: each needs its own key");
    }
    ERR_clear_error();
    APR_ARRAY_PUSH(trust->anchors, anchor_t) = *anchor;
    return mdm_result_ok();
}

static X509_NAME *apple_device_ca_name(apr_pool_t *p)
{
    static const struct {
        int nid;
        const char *value;
    } parts[] = {{NID_countryName, "US"},
                 {NID_organizationName, "Apple Inc."},
                 {NID_organizationalUnitName, "Apple iPhone"},
                 {NID_commonName, "Apple iPhone Device CA"}};

    X509_NAME *name = own_name(p, X509_NAME_new());
    for (size_t i = 0; name && i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!X509_NAME_add_entry_by_NID(name, parts[i].nid, MBSTRING_ASC,
                                        (const unsigned char *)parts[i].value, -1, -1, 0))
            return NULL;
    /* The form that X509_NAME_cmp() compares is made by encoding: now, not in a thread. */
    return name && i2d_X509_NAME(name, NULL) > 0 ? name : NULL;
}

mdm_result_t mdm_trust_add_apple_device_ca(mdm_trust_t *trust)
{
    const unsigned char *at = apple_device_ca_key;
    anchor_t anchor = {.issuer = MDM_ISSUER_DEVICE_CA};

    anchor.key = mdm_x509_own_key(trust->pool, d2i_PUBKEY(NULL, &at, sizeof(apple_device_ca_key)));
    anchor.subject = apple_device_ca_name(trust->pool);
    if (!anchor.key || !anchor.subject) {
        return mdm_result_make(trust->pool, MDM_MSG_CRYPTO, "cannot make Apple's device CA key: %s",
                               mdm_openssl_reason(trust->pool));
    }
    return add_anchor(trust, &anchor);
}

static mdm_result_t add_certificate(mdm_trust_t *trust, X509 *ca, mdm_issuer_t issuer, int rsa_bits)
{
    apr_pool_t *p = trust->pool;
    anchor_t anchor = {.issuer = issuer,
                       .not_before = mdm_x509_not_before(ca),
                       .not_after = mdm_x509_not_after(ca)};

    if (X509_check_ca(ca) != 1 || (X509_get_extension_flags(ca) & EXFLAG_INVALID)) {
        return mdm_result_make(p, MDM_MSG_CONFIGURATION,
                               "%s is no CA certificate: wanted basicConstraints with CA:TRUE, and "
                               "keyCertSign where there is a keyUsage",
                               mdm_x509_subject(p, ca));
    }
    anchor.key = mdm_x509_own_key(p, X509_get_pubkey(ca));
    if (!mdm_x509_key_ok(anchor.key, rsa_bits)) {
        return mdm_result_make(p, MDM_MSG_CONFIGURATION,
                               "the key of %s is not accepted: wanted RSA of %d to 8192 bits, "
                               "P-256, P-384 or P-521",
                               mdm_x509_subject(p, ca), rsa_bits);
    }
    anchor.subject = own_name(p, X509_NAME_dup(X509_get_subject_name(ca)));
    if (!anchor.subject)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot copy a name: %s", mdm_openssl_reason(p));
    return add_anchor(trust, &anchor);
}

mdm_result_t mdm_trust_add_device_ca(mdm_trust_t *trust, X509 *ca)
{
    return add_certificate(trust, ca, MDM_ISSUER_DEVICE_CA, DEVICE_RSA_BITS);
}

mdm_result_t mdm_trust_add_identity_ca(mdm_trust_t *trust, X509 *ca)
{
    return add_certificate(trust, ca, MDM_ISSUER_IDENTITY_CA, IDENTITY_RSA_BITS);
}

mdm_result_t mdm_trust_add_foreign_ca(mdm_trust_t *trust, X509 *ca)
{
    return add_certificate(trust, ca, MDM_ISSUER_FOREIGN_CA, IDENTITY_RSA_BITS);
}

int mdm_trust_deny(mdm_trust_t *trust, const char *fingerprint)
{
    char digits[FINGERPRINT_DIGITS + 1];
    size_t count = 0;

    for (const char *c = fingerprint; *c; c++) {
        if (*c == ':' || *c == ' ')
            continue;
        if (!apr_isxdigit(*c) || count == FINGERPRINT_DIGITS)
            return 0;
        digits[count++] = (char)apr_tolower(*c);
    }
    if (count != FINGERPRINT_DIGITS)
        return 0;
    digits[count] = '\0';
    APR_ARRAY_PUSH(trust->denied, const char *) = apr_pstrdup(trust->pool, digits);
    return 1;
}

int mdm_trust_is_denied(const mdm_trust_t *trust, const char *fingerprint)
{
    for (int i = 0; i < trust->denied->nelts; i++)
        if (strcmp(APR_ARRAY_IDX(trust->denied, i, const char *), fingerprint) == 0)
            return 1;
    return 0;
}

/* --- judging --- */

/* A certificate that is being judged, and how the log names it. */
typedef struct subject_t {
    X509 *cert;
    EVP_PKEY *key; /* owned by cert; NULL if it cannot be decoded */
    const char *who;
    apr_int64_t grace; /* seconds after its end */
} subject_t;

static int is_anchor(const mdm_trust_t *trust, const subject_t *s)
{
    for (int i = 0; i < trust->anchors->nelts; i++)
        if (s->key && EVP_PKEY_eq(APR_ARRAY_IDX(trust->anchors, i, anchor_t).key, s->key) == 1)
            return 1;
    return 0;
}

/* What the certificate is signed with. OBJ_find_sigid_algs() knows no digest for RSA-PSS and
 * Ed25519: they are not accepted. */
static int signature_accepted(const X509 *cert, const anchor_t *anchor)
{
    int digest = NID_undef;
    int key = NID_undef;

    if (!OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, &key) ||
        key != EVP_PKEY_get_base_id(anchor->key))
        return 0;
    return digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512 ||
           (digest == NID_sha1 && anchor->issuer == MDM_ISSUER_DEVICE_CA);
}

/* The anchor that issued it, by name and by signature; several may share a name. Where none did,
 * *unaccepted tells whether that is for the algorithm of the signature alone. */
static const anchor_t *find_issuer(const mdm_trust_t *trust, const subject_t *s, int *unaccepted)
{
    int named = 0;
    int tried = 0;

    for (int i = 0; i < trust->anchors->nelts; i++) {
        const anchor_t *anchor = &APR_ARRAY_IDX(trust->anchors, i, anchor_t);
        if (X509_NAME_cmp(X509_get_issuer_name(s->cert), anchor->subject) != 0)
            continue;
        named++;
        if (signature_accepted(s->cert, anchor)) {
            tried++;
            if (X509_verify(s->cert, anchor->key) == 1)
                return anchor;
        }
    }
    *unaccepted = named > 0 && tried == 0;
    return NULL;
}

/* A certificate that may sign others is nobody's identity, whichever extension says so. */
static int is_ca(X509 *cert)
{
    if (X509_check_ca(cert) != 0)
        return 1;
    return (X509_get_extension_flags(cert) & EXFLAG_KUSAGE) &&
           (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN);
}

static mdm_result_t check_dates(apr_pool_t *p, const subject_t *s, const anchor_t *issuer,
                                apr_int64_t now)
{
    apr_int64_t end = now - s->grace; /* what is still good must not have ended before */

    if (now < mdm_x509_not_before(s->cert) || end > mdm_x509_not_after(s->cert)) {
        return mdm_result_make(p, MDM_MSG_SIGNER_EXPIRED, "%s is not valid now: %s", s->who,
                               end > mdm_x509_not_after(s->cert) ? "expired" : "not yet");
    }
    if (now < issuer->not_before || end > issuer->not_after) {
        return mdm_result_make(p, MDM_MSG_SIGNER_EXPIRED,
                               "the identity CA itself is not valid now: %s; judging %s",
                               end > issuer->not_after ? "expired" : "not yet", s->who);
    }
    return mdm_result_ok();
}

/* What is demanded of a certificate once its issuer is known. */
static mdm_result_t check_leaf(apr_pool_t *p, const subject_t *s, const anchor_t *issuer,
                               apr_int64_t now)
{
    int identity = issuer->issuer != MDM_ISSUER_DEVICE_CA;
    int rsa_bits = identity ? IDENTITY_RSA_BITS : DEVICE_RSA_BITS;

    if (is_ca(s->cert))
        return mdm_result_make(p, MDM_MSG_SIGNER_IS_CA, "%s is a CA certificate", s->who);
    if (X509_get_extension_flags(s->cert) & (EXFLAG_INVALID | EXFLAG_CRITICAL)) {
        return mdm_result_make(p, MDM_MSG_SIGNER_CERTIFICATE,
                               "%s has an invalid extension, or an unknown critical one", s->who);
    }
    if (!mdm_x509_key_ok(s->key, rsa_bits)) {
        return mdm_result_make(p, MDM_MSG_SIGNER_KEY,
                               "%s has a key of %s, %d bits; wanted RSA of %d to 8192 bits, "
                               "P-256, P-384 or P-521",
                               s->who, s->key ? EVP_PKEY_get0_type_name(s->key) : "no known type",
                               s->key ? EVP_PKEY_get_bits(s->key) : 0, rsa_bits);
    }
    return identity ? check_dates(p, s, issuer, now) : mdm_result_ok();
}

static mdm_result_t judge(const mdm_trust_t *trust, apr_pool_t *p, const subject_t *s,
                          apr_int64_t now, mdm_issuer_t *issuer)
{
    int unaccepted = 0;

    if (is_anchor(trust, s))
        return mdm_result_make(p, MDM_MSG_SIGNER_IS_CA, "%s has the key of a trusted CA", s->who);
    const anchor_t *anchor = find_issuer(trust, s, &unaccepted);
    if (!anchor && unaccepted) {
        return mdm_result_make(p, MDM_MSG_SIGNER_CERTIFICATE,
                               "%s is signed with %s, which is not accepted of that issuer", s->who,
                               OBJ_nid2ln(X509_get_signature_nid(s->cert)));
    }
    if (!anchor) {
        return mdm_result_make(p, MDM_MSG_SIGNER_UNKNOWN_ISSUER,
                               "%s was not issued by a CA that is trusted (Apple's, or what "
                               "MDMEnrollDeviceCA and MDMEnrollIdentityCA say)",
                               s->who);
    }
    mdm_result_t r = check_leaf(p, s, anchor, now);
    if (r.kind == MDM_OK)
        *issuer = anchor->issuer;
    return r;
}

mdm_result_t mdm_trust_judge_late(const mdm_trust_t *trust, apr_pool_t *p, X509 *cert,
                                  apr_int64_t now, apr_int64_t grace, mdm_issuer_t *issuer)
{
    const char *fingerprint = mdm_x509_fingerprint(p, cert);
    const char *name = mdm_x509_issuer(p, cert);
    subject_t s = {.cert = cert,
                   .key = X509_get0_pubkey(cert),
                   .who = apr_psprintf(p, "certificate %s of issuer %s", fingerprint,
                                       mdm_result_quote_text(p, name)),
                   .grace = grace};

    if (strlen(fingerprint) != FINGERPRINT_DIGITS)
        return mdm_sha256_failed(p);
    if (mdm_trust_is_denied(trust, fingerprint))
        return mdm_result_make(p, MDM_MSG_SIGNER_DENIED, "%s is on the deny list", s.who);
    mdm_result_t r = judge(trust, p, &s, now, issuer);
    ERR_clear_error();
    return r;
}

mdm_result_t mdm_trust_judge(const mdm_trust_t *trust, apr_pool_t *p, X509 *cert, apr_int64_t now,
                             mdm_issuer_t *issuer)
{
    return mdm_trust_judge_late(trust, p, cert, now, 0, issuer);
}
