/* SPDX-License-Identifier: Apache-2.0
 * mdm_trust: who is taken for a device and who for an identity, and a genuine device's message from
 * end to end. Depends on core and pki.
 */
#include "mdm_trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <apr_strings.h>
#include <cmocka.h>
#include <openssl/asn1.h>
#include <openssl/err.h>

#include "mdm_cms.h"
#include "mdm_device.h"
#include "mdm_x509.h"
#include "pki.h"

#define DAY 86400L
#define FIXTURE "ios15-account-driven-machineinfo.der"
#define APPLE_KEY "13686ec675f9fd26a123adb17b5533f593cf451edd6105ae39b748277a3922e5"
#define PUBLISHED "38f516fb9dfdb4719d4a8597b6c63be07a0746c657dea78e467a5fefb8ccfa0a"

static EVP_PKEY *device_ca_key; /* RSA-1024, as Apple's */
static EVP_PKEY *identity_ca_key;
static EVP_PKEY *rsa_1024;
static EVP_PKEY *rsa_2048;
static EVP_PKEY *p256;
static X509 *device_ca; /* expired, as Apple's */
static X509 *identity_ca;
static mdm_trust_t *trust;
static apr_int64_t now;

static int setup(void **state)
{
    pki_setup(state);
    now = (apr_int64_t)time(NULL);
    device_ca_key = pki_key_rsa(1024);
    identity_ca_key = pki_key_rsa(2048);
    rsa_1024 = pki_key_rsa(1024);
    rsa_2048 = pki_key_rsa(2048);
    p256 = pki_key_ec("P-256");
    device_ca = pki_cert("/O=Example/CN=Device CA", device_ca_key, NULL, identity_ca_key,
                         &(pki_opts_t){.constraints = PKI_CA,
                                       .digest = EVP_sha1(),
                                       .key_usage = "critical,keyCertSign",
                                       .not_before = -900 * DAY,
                                       .not_after = -300 * DAY});
    identity_ca = pki_cert("/O=Example/CN=Identity CA", identity_ca_key, NULL, NULL,
                           &(pki_opts_t){.constraints = PKI_CA});
    trust = mdm_trust_create(pki_pool);
    if (mdm_trust_add_apple_device_ca(trust).kind != MDM_OK ||
        mdm_trust_add_device_ca(trust, device_ca).kind != MDM_OK ||
        mdm_trust_add_identity_ca(trust, identity_ca).kind != MDM_OK)
        return -1;
    return 0;
}

static X509 *device_leaf(EVP_PKEY *key, const pki_opts_t *opts)
{
    return pki_cert("/CN=device", key, device_ca, device_ca_key, opts);
}

static X509 *identity_leaf(EVP_PKEY *key, const pki_opts_t *opts)
{
    return pki_cert("/CN=identity", key, identity_ca, identity_ca_key, opts);
}

static void taken(const mdm_trust_t *t, X509 *cert, mdm_issuer_t wanted)
{
    mdm_issuer_t issuer = MDM_ISSUER_UNKNOWN;
    mdm_result_t r = mdm_trust_judge(t, pki_pool, cert, now, &issuer);
    if (r.kind != MDM_OK)
        print_message("%s\n", r.log);
    assert_int_equal(r.kind, MDM_OK);
    assert_int_equal(issuer, wanted);
    assert_int_equal(ERR_peek_error(), 0);
}

static void refused(const mdm_trust_t *t, X509 *cert, apr_int64_t when, mdm_message_t wanted)
{
    mdm_issuer_t issuer = MDM_ISSUER_UNKNOWN;
    mdm_result_t r = mdm_trust_judge(t, pki_pool, cert, when, &issuer);
    if (r.message != wanted)
        print_message("%s\n", r.log);
    assert_int_equal(r.message, wanted);
    assert_int_equal(issuer, MDM_ISSUER_UNKNOWN);
    assert_non_null(strstr(r.log, mdm_x509_fingerprint(pki_pool, cert)));
    assert_int_equal(ERR_peek_error(), 0);
}

static void devices_are_taken_for_devices(void **state)
{
    (void)state;
    taken(trust, device_leaf(rsa_1024, NULL), MDM_ISSUER_DEVICE_CA);
    taken(trust, device_leaf(rsa_2048, NULL), MDM_ISSUER_DEVICE_CA);
    taken(trust, device_leaf(p256, NULL), MDM_ISSUER_DEVICE_CA);
    taken(trust, device_leaf(rsa_1024, &(pki_opts_t){.digest = EVP_sha1()}), MDM_ISSUER_DEVICE_CA);
    taken(trust, device_leaf(rsa_1024, &(pki_opts_t){.constraints = PKI_NO_CONSTRAINTS}),
          MDM_ISSUER_DEVICE_CA);
    taken(trust, device_leaf(rsa_1024, &(pki_opts_t){.not_before = -900 * DAY, .not_after = -DAY}),
          MDM_ISSUER_DEVICE_CA);
    taken(trust,
          device_leaf(rsa_1024,
                      &(pki_opts_t){.key_usage = "critical,digitalSignature,keyEncipherment",
                                    .ext_key_usage = "critical,serverAuth,clientAuth"}),
          MDM_ISSUER_DEVICE_CA);
}

static void identities_are_taken_for_identities(void **state)
{
    (void)state;
    taken(trust, identity_leaf(rsa_2048, NULL), MDM_ISSUER_IDENTITY_CA);
    taken(trust, identity_leaf(p256, NULL), MDM_ISSUER_IDENTITY_CA);
    taken(trust, identity_leaf(pki_key_ec("P-384"), &(pki_opts_t){.digest = EVP_sha512()}),
          MDM_ISSUER_IDENTITY_CA);
}

/* A foreign CA is told from the own one, unless it is the own one; a device CA it cannot be. */
static void foreign_cas(void **state)
{
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    EVP_PKEY *key = pki_key_ec("P-256");
    X509 *ca = pki_cert("/CN=Foreign CA", key, NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});
    X509 *leaf = pki_cert("/CN=x", rsa_2048, ca, key, NULL);

    (void)state;
    assert_int_equal(mdm_trust_add_device_ca(t, device_ca).kind, MDM_OK);
    assert_int_equal(mdm_trust_add_identity_ca(t, identity_ca).kind, MDM_OK);
    refused(t, leaf, now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    assert_int_equal(mdm_trust_add_foreign_ca(t, ca).kind, MDM_OK);
    taken(t, leaf, MDM_ISSUER_FOREIGN_CA);
    refused(t, pki_cert("/CN=x", rsa_1024, ca, key, NULL), now, MDM_MSG_SIGNER_KEY);
    refused(t, leaf, now + 400 * DAY, MDM_MSG_SIGNER_EXPIRED);
    refused(t, ca, now, MDM_MSG_SIGNER_IS_CA);
    assert_int_equal(mdm_trust_add_foreign_ca(t, identity_ca).kind, MDM_OK);
    taken(t, identity_leaf(rsa_2048, NULL), MDM_ISSUER_IDENTITY_CA);
    assert_int_equal(mdm_trust_add_foreign_ca(t, device_ca).message, MDM_MSG_CONFIGURATION);
    assert_int_equal(mdm_trust_add_foreign_ca(t, leaf).message, MDM_MSG_CONFIGURATION);
}

static void a_name_is_not_an_issuer(void **state)
{
    (void)state;
    X509 *rogue = pki_cert("/O=Example/CN=Device CA", rsa_2048, NULL, NULL,
                           &(pki_opts_t){.constraints = PKI_CA});
    refused(trust, pki_cert("/CN=x", p256, rogue, rsa_2048, NULL), now,
            MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    refused(trust, pki_cert("/CN=x", p256, NULL, NULL, NULL), now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    refused(trust, rogue, now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    /* the right key under another name */
    X509 *renamed = pki_cert("/O=Example/CN=Other CA", device_ca_key, NULL, NULL, NULL);
    refused(trust, pki_cert("/CN=x", p256, renamed, device_ca_key, NULL), now,
            MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    /* Apple's name, of course, too */
    X509 *apple = pki_cert("/C=US/O=Apple Inc./OU=Apple iPhone/CN=Apple iPhone Device CA", rsa_2048,
                           NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});
    refused(trust, pki_cert("/CN=x", p256, apple, rsa_2048, NULL), now,
            MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    mdm_trust_t *nobody = mdm_trust_create(pki_pool);
    refused(nobody, device_leaf(p256, NULL), now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
}

static void only_direct_issue_counts(void **state)
{
    (void)state;
    EVP_PKEY *key = pki_key_rsa(2048);
    X509 *sub_ca =
        pki_cert("/CN=Sub CA", key, device_ca, device_ca_key, &(pki_opts_t){.constraints = PKI_CA});
    refused(trust, pki_cert("/CN=x", p256, sub_ca, key, NULL), now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    X509 *leaf = device_leaf(key, NULL);
    refused(trust, pki_cert("/CN=x", p256, leaf, key, NULL), now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
}

static void a_ca_is_no_signer(void **state)
{
    (void)state;
    static const pki_opts_t cas[] = {
        {.constraints = PKI_CA},
        {.constraints = PKI_NO_CONSTRAINTS, .key_usage = "critical,keyCertSign"},
        {.constraints = PKI_LEAF, .key_usage = "critical,digitalSignature,keyCertSign"},
    };
    for (size_t i = 0; i < sizeof(cas) / sizeof(cas[0]); i++) {
        refused(trust, device_leaf(p256, &cas[i]), now, MDM_MSG_SIGNER_IS_CA);
        refused(trust, identity_leaf(p256, &cas[i]), now, MDM_MSG_SIGNER_IS_CA);
    }
    refused(trust, device_ca, now, MDM_MSG_SIGNER_IS_CA);
    refused(trust, identity_ca, now, MDM_MSG_SIGNER_IS_CA);
    /* an anchor's key in a leaf, or in a v1 certificate under the anchor's own name */
    refused(trust, device_leaf(device_ca_key, NULL), now, MDM_MSG_SIGNER_IS_CA);
    refused(trust, identity_leaf(device_ca_key, NULL), now, MDM_MSG_SIGNER_IS_CA);
    refused(trust,
            pki_cert("/O=Example/CN=Identity CA", identity_ca_key, NULL, NULL,
                     &(pki_opts_t){.version1 = 1}),
            now, MDM_MSG_SIGNER_IS_CA);
}

static void unknown_critical_extensions_are_refused(void **state)
{
    (void)state;
    static const pki_opts_t unknown = {.critical_oid = "1.2.3.4.5"};
    refused(trust, device_leaf(p256, &unknown), now, MDM_MSG_SIGNER_CERTIFICATE);
    refused(trust, identity_leaf(p256, &unknown), now, MDM_MSG_SIGNER_CERTIFICATE);
}

static void weak_signatures_are_refused(void **state)
{
    (void)state;
    const pki_opts_t sha1 = {.digest = EVP_sha1()};
    const pki_opts_t md5 = {.digest = EVP_md5()};
    const pki_opts_t sha224 = {.digest = EVP_sha224()};
    refused(trust, identity_leaf(rsa_2048, &sha1), now, MDM_MSG_SIGNER_CERTIFICATE);
    refused(trust, identity_leaf(rsa_2048, &md5), now, MDM_MSG_SIGNER_CERTIFICATE);
    refused(trust, device_leaf(rsa_2048, &md5), now, MDM_MSG_SIGNER_CERTIFICATE);
    refused(trust, device_leaf(rsa_2048, &sha224), now, MDM_MSG_SIGNER_CERTIFICATE);
}

static void weak_keys_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *rsa_768 = pki_key_rsa(768);
    EVP_PKEY *k1 = pki_key_ec("secp256k1");
    refused(trust, identity_leaf(rsa_1024, NULL), now, MDM_MSG_SIGNER_KEY);
    refused(trust, identity_leaf(k1, NULL), now, MDM_MSG_SIGNER_KEY);
    refused(trust, device_leaf(rsa_768, NULL), now, MDM_MSG_SIGNER_KEY);
    refused(trust, device_leaf(k1, NULL), now, MDM_MSG_SIGNER_KEY);
}

static void dates_hold_for_identities(void **state)
{
    (void)state;
    X509 *leaf = identity_leaf(p256, &(pki_opts_t){.not_before = -10 * DAY, .not_after = 10 * DAY});
    apr_int64_t begin = mdm_x509_not_before(leaf);
    apr_int64_t end = mdm_x509_not_after(leaf);
    mdm_issuer_t issuer;
    taken(trust, leaf, MDM_ISSUER_IDENTITY_CA);
    refused(trust, leaf, end + 1, MDM_MSG_SIGNER_EXPIRED);
    refused(trust, leaf, begin - 1, MDM_MSG_SIGNER_EXPIRED);
    assert_int_equal(mdm_trust_judge(trust, pki_pool, leaf, end, &issuer).kind, MDM_OK);
    /* that of its CA, an hour old */
    refused(trust, leaf, mdm_x509_not_before(identity_ca) - 1, MDM_MSG_SIGNER_EXPIRED);
    X509 *longer = identity_leaf(p256, &(pki_opts_t){.not_before = -DAY, .not_after = 900 * DAY});
    taken(trust, longer, MDM_ISSUER_IDENTITY_CA);
    refused(trust, longer, mdm_x509_not_after(identity_ca) + 1, MDM_MSG_SIGNER_EXPIRED);
}

static void an_altered_certificate_is_refused(void **state)
{
    (void)state;
    apr_size_t len = 0;
    X509 *altered = NULL;
    X509 *leaf = pki_cert("/CN=altered", p256, device_ca, device_ca_key, NULL);
    unsigned char *der = (unsigned char *)mdm_x509_encode(pki_pool, leaf, &len);
    for (apr_size_t i = 0; i + 7 < len; i++)
        if (memcmp(der + i, "altered", 7) == 0)
            der[i] = 'A';
    assert_int_equal(mdm_x509_decode(pki_pool, der, len, &altered).kind, MDM_OK);
    assert_int_not_equal(X509_cmp(altered, leaf), 0);
    refused(trust, altered, now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
}

static void the_deny_list_goes_first(void **state)
{
    (void)state;
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    X509 *leaf = device_leaf(p256, NULL);
    assert_int_equal(mdm_trust_add_device_ca(t, device_ca).kind, MDM_OK);
    taken(t, leaf, MDM_ISSUER_DEVICE_CA);

    /* upper case, colons and blanks, as openssl and people write it */
    const char *fingerprint = mdm_x509_fingerprint(pki_pool, leaf);
    char spelled[3 * 32 + 2] = " ";
    for (int i = 0; i < 32; i++) {
        apr_snprintf(spelled + 3 * i, 5, "%c%c%c", fingerprint[2 * i], fingerprint[2 * i + 1],
                     i % 2 ? ':' : ' ');
    }
    for (char *c = spelled; *c; c++)
        *c = *c >= 'a' && *c <= 'f' ? (char)(*c - 'a' + 'A') : *c;
    assert_true(mdm_trust_deny(t, spelled));
    refused(t, leaf, now, MDM_MSG_SIGNER_DENIED);
    taken(t, device_leaf(p256, NULL), MDM_ISSUER_DEVICE_CA);

    assert_true(mdm_trust_deny(t, mdm_x509_fingerprint(pki_pool, device_ca)));
    refused(t, device_ca, now, MDM_MSG_SIGNER_DENIED); /* and not "is a CA" */
}

static void only_fingerprints_can_be_denied(void **state)
{
    (void)state;
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    assert_true(mdm_trust_is_denied(t, PUBLISHED)); /* from the beginning */
    assert_false(mdm_trust_is_denied(t, APPLE_KEY));
    assert_false(mdm_trust_deny(t, ""));
    assert_false(mdm_trust_deny(t, "00"));
    assert_false(mdm_trust_deny(t, APPLE_KEY "0"));
    assert_false(mdm_trust_deny(t, "x" APPLE_KEY));
    assert_false(mdm_trust_deny(t, "SHA256:" APPLE_KEY));
}

static void anchors_must_be_cas(void **state)
{
    (void)state;
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    EVP_PKEY *small = pki_key_rsa(768);
    const pki_opts_t ca = {.constraints = PKI_CA};
    const pki_opts_t useless = {.constraints = PKI_CA, .key_usage = "digitalSignature"};
    X509 *const bad[] = {
        pki_cert("/CN=leaf", rsa_2048, NULL, NULL, NULL),
        pki_cert("/CN=none", rsa_2048, NULL, NULL,
                 &(pki_opts_t){.constraints = PKI_NO_CONSTRAINTS}),
        pki_cert("/CN=v1", rsa_2048, NULL, NULL, &(pki_opts_t){.version1 = 1}),
        pki_cert("/CN=useless", rsa_2048, NULL, NULL, &useless),
        pki_cert("/CN=small", small, NULL, NULL, &ca),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(mdm_trust_add_device_ca(t, bad[i]).message, MDM_MSG_CONFIGURATION);
        assert_int_equal(mdm_trust_add_identity_ca(t, bad[i]).message, MDM_MSG_CONFIGURATION);
    }
    X509 *medium = pki_cert("/CN=1024", rsa_1024, NULL, NULL, &ca);
    assert_int_equal(mdm_trust_add_device_ca(t, medium).kind, MDM_OK);
    assert_int_equal(mdm_trust_add_identity_ca(t, medium).message, MDM_MSG_CONFIGURATION);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Were it both, a device's message could be taken for either phase. */
static void one_key_cannot_be_both(void **state)
{
    (void)state;
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    X509 *other_name = pki_cert("/CN=other name", identity_ca_key, NULL, NULL,
                                &(pki_opts_t){.constraints = PKI_CA});
    assert_int_equal(mdm_trust_add_identity_ca(t, identity_ca).kind, MDM_OK);
    assert_int_equal(mdm_trust_add_device_ca(t, identity_ca).message, MDM_MSG_CONFIGURATION);
    assert_int_equal(mdm_trust_add_device_ca(t, other_name).message, MDM_MSG_CONFIGURATION);
    assert_int_equal(mdm_trust_add_device_ca(t, device_ca).kind, MDM_OK);
}

static void anchors_may_share_a_name(void **state)
{
    (void)state;
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    const pki_opts_t opts = {.constraints = PKI_CA};
    X509 *first = pki_cert("/CN=Same", rsa_2048, NULL, NULL, &opts);
    EVP_PKEY *second_key = pki_key_ec("P-256");
    X509 *second = pki_cert("/CN=Same", second_key, NULL, NULL, &opts);
    EVP_PKEY *third_key = pki_key_rsa(2048);
    X509 *third = pki_cert("/CN=Same", third_key, NULL, NULL, &opts);
    assert_int_equal(mdm_trust_add_device_ca(t, first).kind, MDM_OK);
    assert_int_equal(mdm_trust_add_device_ca(t, second).kind, MDM_OK);
    assert_int_equal(mdm_trust_add_identity_ca(t, third).kind, MDM_OK);
    taken(t, pki_cert("/CN=x", p256, first, rsa_2048, NULL), MDM_ISSUER_DEVICE_CA);
    taken(t, pki_cert("/CN=x", p256, second, second_key, NULL), MDM_ISSUER_DEVICE_CA);
    taken(t, pki_cert("/CN=x", p256, third, third_key, NULL), MDM_ISSUER_IDENTITY_CA);
    refused(t, pki_cert("/CN=x", p256, third, identity_ca_key, NULL), now,
            MDM_MSG_SIGNER_UNKNOWN_ISSUER);
}

/* --- Apple --- */

/* The compiled-in key has no getter; what it is shows by what it takes: a leaf that it signed. */
static void a_genuine_message_from_end_to_end(void **state)
{
    (void)state;
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    mdm_cms_t *cms = NULL;
    mdm_device_t *device = NULL;
    const char *content = NULL;
    apr_size_t content_len = 0;
    apr_size_t len = 0;
    const unsigned char *message = pki_fixture(FIXTURE, &len);
    if (!message)
        skip();
    assert_int_equal(mdm_trust_add_apple_device_ca(t).kind, MDM_OK);
    assert_int_equal(mdm_cms_open(pki_pool, message, len, MDM_CMS_MAX_CERTIFICATES, &cms).kind,
                     MDM_OK);
    taken(t, mdm_cms_signer(cms), MDM_ISSUER_DEVICE_CA);
    taken(trust, mdm_cms_signer(cms), MDM_ISSUER_DEVICE_CA);
    refused(mdm_trust_create(pki_pool), mdm_cms_signer(cms), now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    assert_int_equal(mdm_cms_verify(pki_pool, cms, 0, &content, &content_len).message,
                     MDM_MSG_CMS_ALGORITHM);
    assert_int_equal(mdm_cms_verify(pki_pool, cms, MDM_CMS_ALLOW_SHA1, &content, &content_len).kind,
                     MDM_OK);
    assert_int_equal(mdm_device_parse(pki_pool, content, content_len, &device).kind, MDM_OK);
    assert_string_equal(device->product, "iPhone12,1");
    assert_string_equal(device->version, "19H12");
    assert_string_equal(device->udid, "");
    assert_int_equal(mdm_device_check(pki_pool, device).message, MDM_MSG_DEVICE_IDENTITY_MISSING);
}

static void a_genuine_message_altered(void **state)
{
    (void)state;
    mdm_cms_t *cms = NULL;
    const char *content = NULL;
    apr_size_t content_len = 0;
    apr_size_t len = 0;
    unsigned char *message = (unsigned char *)pki_fixture(FIXTURE, &len);
    if (!message)
        skip();
    apr_size_t at = 0;
    while (memcmp(message + at, "iPhone12,1", 10) != 0) {
        at++;
        assert_true(at + 10 < len);
    }
    message[at + 9] = '3';
    assert_int_equal(mdm_cms_open(pki_pool, message, len, MDM_CMS_MAX_CERTIFICATES, &cms).kind,
                     MDM_OK);
    assert_int_equal(
        mdm_cms_verify(pki_pool, cms, MDM_CMS_ALLOW_SHA1, &content, &content_len).message,
        MDM_MSG_CMS_SIGNATURE);
    assert_null(content);
}

static void the_device_ca_itself_is_no_device(void **state)
{
    (void)state;
    apr_size_t len = 0;
    X509 *ca = NULL;
    const char *pem = (const char *)pki_fixture("apple-ca/Apple_iPhone_Device_CA.pem", &len);
    if (!pem)
        skip();
    assert_int_equal(mdm_x509_decode_pem(pki_pool, apr_pstrmemdup(pki_pool, pem, len), &ca).kind,
                     MDM_OK);
    unsigned char *der = NULL;
    int der_len = i2d_PUBKEY(X509_get0_pubkey(ca), &der);
    assert_string_equal(mdm_sha256_hex(pki_pool, der, (apr_size_t)der_len), APPLE_KEY);
    OPENSSL_free(der);
    /* "has the key of a trusted CA": the compiled-in key is that of Apple's certificate */
    refused(trust, ca, now, MDM_MSG_SIGNER_IS_CA);
    refused(mdm_trust_create(pki_pool), ca, now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
}

/* Needs no fixture: a certificate of the published modulus is told for the trusted CA's. */
static void the_compiled_in_key_is_the_published_one(void **state)
{
    (void)state;
    static const char modulus[] =
        "F1944AC9EABA5A1860ADCBA24D4D4E54196917590766CB97E8669A475F46AE677AB54A7354B1CB04F6BD36B80C"
        "55388A8483315265F933E197779C2B4C26B0253FE932AA7B087494ECC14B381D674E0852945A8B59A35CD793F4"
        "A0FE5585BB4C46975E6EB277452F675CBC0B18BF59B96C86F72A7576D21971F42963B9250BAF";
    unsigned char n[128];
    EVP_PKEY *key = NULL;
    BIGNUM *number = NULL;
    unsigned char *der = NULL;
    assert_true(BN_hex2bn(&number, modulus));
    assert_int_equal(BN_bn2nativepad(number, n, sizeof(n)), sizeof(n));
    unsigned int e = 65537;
    OSSL_PARAM params[] = {OSSL_PARAM_BN("n", n, sizeof(n)), OSSL_PARAM_uint("e", &e),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(EVP_PKEY_fromdata_init(ctx) > 0 &&
                EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) > 0);
    EVP_PKEY_CTX_free(ctx);
    BN_free(number);
    mdm_x509_own_key(pki_pool, key);
    int der_len = i2d_PUBKEY(key, &der);
    assert_string_equal(mdm_sha256_hex(pki_pool, der, (apr_size_t)der_len), APPLE_KEY);
    OPENSSL_free(der);

    X509 *cert = pki_cert("/CN=x", key, NULL, rsa_2048, NULL);
    mdm_trust_t *t = mdm_trust_create(pki_pool);
    refused(t, cert, now, MDM_MSG_SIGNER_UNKNOWN_ISSUER);
    assert_int_equal(mdm_trust_add_apple_device_ca(t).kind, MDM_OK);
    refused(t, cert, now, MDM_MSG_SIGNER_IS_CA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_taken_for_devices),
        cmocka_unit_test(identities_are_taken_for_identities),
        cmocka_unit_test(foreign_cas),
        cmocka_unit_test(a_name_is_not_an_issuer),
        cmocka_unit_test(only_direct_issue_counts),
        cmocka_unit_test(a_ca_is_no_signer),
        cmocka_unit_test(unknown_critical_extensions_are_refused),
        cmocka_unit_test(weak_signatures_are_refused),
        cmocka_unit_test(weak_keys_are_refused),
        cmocka_unit_test(dates_hold_for_identities),
        cmocka_unit_test(an_altered_certificate_is_refused),
        cmocka_unit_test(the_deny_list_goes_first),
        cmocka_unit_test(only_fingerprints_can_be_denied),
        cmocka_unit_test(anchors_must_be_cas),
        cmocka_unit_test(one_key_cannot_be_both),
        cmocka_unit_test(anchors_may_share_a_name),
        cmocka_unit_test(the_compiled_in_key_is_the_published_one),
        cmocka_unit_test(a_genuine_message_from_end_to_end),
        cmocka_unit_test(a_genuine_message_altered),
        cmocka_unit_test(the_device_ca_itself_is_no_device),
    };
    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
