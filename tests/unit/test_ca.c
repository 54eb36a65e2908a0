/* SPDX-License-Identifier: Apache-2.0
 * mdm_ca: what a CA certificate must be, and what is in the certificates it issues.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "fake_store.h"
#include "mdm_ca.h"
#include "pki.h"

#define ID "00112233445566778899aabbccddeeff"
#define YEAR (365 * 24 * 60 * 60)
#define CA_USAGE "critical,keyCertSign,cRLSign,digitalSignature,keyEncipherment"

static EVP_PKEY *ca_key, *device_key;
static mdm_signer_t signer;
static mdm_ca_settings_t settings; /* of ca */
static mdm_ca_t *ca;
static fake_world_t *fake;
static const mdm_enrollment_t row = {
    .id = ID,
    .flow = "ota",
    .site = "s",
    .state = MDM_STATE_IDENTIFYING,
    .user = "anna",
    .udid = "00008030-001A2B3C4D5E6F70",
    .serial = "F2LX1234ABCD",
};

static X509 *make_ca(const char *usage)
{
    const pki_opts_t opts = {.constraints = PKI_CA, .key_usage = usage};

    return pki_cert("/O=Example/CN=Device CA", ca_key, NULL, NULL, &opts);
}

static int setup(void **state)
{
    int failed = pki_setup(state);

    ca_key = pki_key_rsa(2048);
    device_key = pki_key_rsa(2048);
    signer = (mdm_signer_t){.cert = make_ca(CA_USAGE), .key = ca_key};
    fake = fake_world_create(pki_pool);
    fake->clock = apr_time_sec(apr_time_now());
    settings = (mdm_ca_settings_t){.signer = &signer, .responder = 1};
    return failed || mdm_ca_create(pki_pool, &settings, &ca).kind != MDM_OK;
}

/* Issue, encode and decode, as whoever receives it does. */
static X509 *issue_for(const mdm_enrollment_t *to, mdm_purpose_t purpose, const char *organization,
                       EVP_PKEY *key, apr_int64_t validity)
{
    X509_PUBKEY *spki = NULL;
    const unsigned char *der;
    apr_size_t len;
    X509 *made, *cert;
    mdm_result_t r;

    assert_true(X509_PUBKEY_set(&spki, key));
    settings.organization = organization;
    settings.validity = validity;
    r = mdm_ca_issue(pki_pool, ca, &fake->world, to, purpose, spki, &made);
    X509_PUBKEY_free(spki);
    assert_int_equal(ERR_peek_error(), 0);
    if (r.kind != MDM_OK) {
        assert_int_equal(r.message, MDM_MSG_CA_ISSUE);
        return NULL;
    }
    der = mdm_x509_encode(pki_pool, made, &len);
    assert_non_null(der);
    assert_int_equal(mdm_x509_decode(pki_pool, der, len, &cert).kind, MDM_OK);
    return cert;
}

static X509 *issue(mdm_purpose_t purpose)
{
    return issue_for(&row, purpose, "Example Corp", device_key, YEAR / 2);
}

static void test_subject(void **state)
{
    (void)state;
    assert_string_equal(
        mdm_x509_subject(pki_pool, issue(MDM_PURPOSE_IDENTITY)),
        "serialNumber=F2LX1234ABCD,CN=00008030-001A2B3C4D5E6F70,OU=Enrollment,O=Example Corp");
    assert_string_equal(
        mdm_x509_subject(pki_pool, issue(MDM_PURPOSE_MDM)),
        "serialNumber=F2LX1234ABCD,CN=00008030-001A2B3C4D5E6F70,OU=MDM,O=Example Corp");
    assert_string_equal(mdm_x509_issuer(pki_pool, issue(MDM_PURPOSE_MDM)),
                        "CN=Device CA,O=Example");
}

static int entry_type(X509 *cert, int nid)
{
    const X509_NAME *name = X509_get_subject_name(cert);

    return ASN1_STRING_type(X509_NAME_ENTRY_get_data(
        X509_NAME_get_entry(name, X509_NAME_get_index_by_NID(name, nid, -1))));
}

static void test_odd_subjects(void **state)
{
    mdm_enrollment_t odd = row;
    char sixty_five[66];
    X509 *cert;

    (void)state;
    /* every metacharacter of a name, a value and a configuration section stays text */
    odd.udid = "a,b+c=d/CN=x;\"<>#\\";
    odd.serial = "VM_0@1*,URI:urn:x";
    cert = issue_for(&odd, MDM_PURPOSE_MDM,
                     "\xc3\x9c"
                     "ber & S\xc3\xb6hne/OU=x",
                     device_key, YEAR);
    assert_non_null(cert);
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(cert)), 4);
    assert_int_equal(entry_type(cert, NID_serialNumber), V_ASN1_UTF8STRING);
    assert_int_equal(entry_type(cert, NID_organizationName), V_ASN1_UTF8STRING);
    assert_non_null(strstr(mdm_x509_subject(pki_pool, cert), "CN=a\\,b\\+c=d/CN=x\\;"));
    assert_int_equal(entry_type(issue(MDM_PURPOSE_MDM), NID_serialNumber), V_ASN1_PRINTABLESTRING);

    memset(sixty_five, 'x', 65);
    sixty_five[65] = '\0';
    assert_null(issue_for(&row, MDM_PURPOSE_MDM, sixty_five, device_key, YEAR));
    assert_non_null(issue_for(&row, MDM_PURPOSE_MDM, sixty_five + 1, device_key, YEAR));
    assert_null(issue_for(&row, MDM_PURPOSE_MDM, "", device_key, YEAR));
    assert_null(issue_for(&row, MDM_PURPOSE_MDM, "\xff\xfe", device_key, YEAR));
}

static const char *extension(X509 *cert, int nid)
{
    int at = X509_get_ext_by_NID(cert, nid, -1);
    BIO *out = BIO_new(BIO_s_mem());
    const char *text;
    char *data;
    long len;

    assert_true(at >= 0);
    assert_true(X509_get_ext_by_NID(cert, nid, at) < 0);
    if (X509_EXTENSION_get_critical(X509_get_ext(cert, at)))
        BIO_puts(out, "critical,");
    assert_true(X509V3_EXT_print(out, X509_get_ext(cert, at), 0, 0));
    len = BIO_get_mem_data(out, &data);
    text = apr_pstrmemdup(pki_pool, data, (apr_size_t)len);
    BIO_free(out);
    return text;
}

static void test_extensions(void **state)
{
    X509 *cert = issue(MDM_PURPOSE_MDM);

    (void)state;
    assert_int_equal(X509_get_version(cert), X509_VERSION_3);
    assert_int_equal(X509_get_signature_nid(cert), NID_sha256WithRSAEncryption);
    assert_int_equal(X509_get_ext_count(cert), 6);
    assert_string_equal(extension(cert, NID_basic_constraints), "critical,CA:FALSE");
    assert_string_equal(extension(cert, NID_key_usage),
                        "critical,Digital Signature, Key Encipherment");
    assert_string_equal(extension(cert, NID_ext_key_usage), "TLS Web Client Authentication");
    assert_string_equal(extension(cert, NID_subject_alt_name), "URI:urn:mdm-enroll:" ID);
    assert_int_equal(ASN1_STRING_length(X509_get0_subject_key_id(cert)), 20);
    assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(cert),
                                           X509_get0_subject_key_id(signer.cert)),
                     0);
    /* another key, another id; the same key, the same id */
    assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(cert),
                                           X509_get0_subject_key_id(issue(MDM_PURPOSE_IDENTITY))),
                     0);
    assert_int_not_equal(ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(cert),
                                               X509_get0_subject_key_id(issue_for(
                                                   &row, MDM_PURPOSE_MDM, "x", ca_key, YEAR))),
                         0);
}

/* Judged by OpenSSL's path validation, as a TLS server does. */
static void test_chain(void **state)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *cert = issue(MDM_PURPOSE_IDENTITY);

    (void)state;
    X509_STORE_add_cert(store, signer.cert);
    X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT);
    assert_true(X509_STORE_CTX_init(context, store, cert, NULL));
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT);
    assert_int_equal(X509_verify_cert(context), 1);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), device_key), 1);
    assert_int_equal(X509_check_ca(cert), 0);
}

static void test_validity(void **state)
{
    apr_int64_t now = fake->clock, end = mdm_x509_not_after(signer.cert);
    X509 *cert = issue(MDM_PURPOSE_MDM);

    (void)state;
    assert_int_equal(mdm_x509_not_before(cert), now - 300);
    assert_int_equal(mdm_x509_not_after(cert), now + YEAR / 2);
    cert = issue_for(&row, MDM_PURPOSE_MDM, "x", device_key, INT64_MAX);
    assert_int_equal(mdm_x509_not_after(cert), end);
    fake->clock = end - 1;
    cert = issue_for(&row, MDM_PURPOSE_MDM, "x", device_key, YEAR);
    assert_int_equal(mdm_x509_not_after(cert), end);
    fake->clock = end;
    assert_null(issue_for(&row, MDM_PURPOSE_MDM, "x", device_key, YEAR));
    fake->clock = now;
}

/* RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
static void test_time_encoding(void **state)
{
    const pki_opts_t opts = {.constraints = PKI_CA, .not_before = -60, .not_after = 60L * YEAR};
    mdm_signer_t lasting = {.cert = pki_cert("/CN=Lasting", ca_key, NULL, NULL, &opts),
                            .key = ca_key};
    mdm_ca_t *kept = ca;
    X509 *cert;

    (void)state;
    settings.signer = &lasting;
    assert_int_equal(mdm_ca_create(pki_pool, &settings, &ca).kind, MDM_OK);
    cert = issue_for(&row, MDM_PURPOSE_MDM, "x", device_key, 50LL * YEAR);
    assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(cert)), V_ASN1_UTCTIME);
    assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(cert)), V_ASN1_GENERALIZEDTIME);
    ca = kept;
    settings.signer = &signer;
}

static void test_serials(void **state)
{
    const char *seen[16];

    (void)state;
    for (int i = 0; i < 16; i++) {
        X509 *cert = issue(MDM_PURPOSE_MDM);
        const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
        assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
        assert_int_equal(ASN1_STRING_length(serial), 20);
        assert_int_equal(ASN1_STRING_get0_data(serial)[0] & 0xc0, 0x40);
        seen[i] = mdm_x509_serial(pki_pool, cert);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

/* But for the two highest bits, which make it positive and 20 bytes long, it is what was drawn. */
static void test_serial_is_random(void **state)
{
    apr_uint64_t seed = fake->seed;
    unsigned char drawn[20];
    X509 *cert;

    (void)state;
    assert_true(fake->world.random(fake->world.context, drawn, sizeof(drawn)));
    drawn[0] = (unsigned char)((drawn[0] & 0x3f) | 0x40);
    fake->seed = seed;
    cert = issue(MDM_PURPOSE_MDM);
    assert_memory_equal(ASN1_STRING_get0_data(X509_get0_serialNumber(cert)), drawn, sizeof(drawn));
}

static void test_random_fails(void **state)
{
    X509_PUBKEY *spki = NULL;
    X509 *cert;

    (void)state;
    assert_true(X509_PUBKEY_set(&spki, device_key));
    fake->random_fail_at = fake->random_calls + 1;
    assert_int_equal(
        mdm_ca_issue(pki_pool, ca, &fake->world, &row, MDM_PURPOSE_MDM, spki, &cert).message,
        MDM_MSG_RANDOM);
    X509_PUBKEY_free(spki);
}

/* As they are made for PKCS #12; SCEP asks for none but RSA. */
static void test_ec_keys(void **state)
{
    static const char *const names[] = {"P-256", "P-384"};
    EVP_PKEY *ed25519 = mdm_x509_own_key(pki_pool, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        EVP_PKEY *key = pki_key_ec(names[i]);
        X509 *cert = issue_for(&row, MDM_PURPOSE_MDM, "x", key, YEAR);

        assert_non_null(cert);
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), key), 1);
        assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
        assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
        assert_int_equal(X509_verify(cert, ca_key), 1);
    }
    assert_non_null(ed25519);
    assert_null(issue_for(&row, MDM_PURPOSE_MDM, "x", ed25519, YEAR));
}

static void refused_as(int responder, X509 *cert, EVP_PKEY *key, const char *why)
{
    mdm_signer_t bad = {.cert = cert, .key = key};
    mdm_ca_settings_t of_bad = {.signer = &bad, .responder = responder};
    mdm_ca_t *made = NULL;
    mdm_result_t r = mdm_ca_create(pki_pool, &of_bad, &made);

    assert_int_equal(r.message, MDM_MSG_CONFIGURATION);
    assert_null(made);
    if (strstr(r.log, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", r.log, why);
    assert_int_equal(ERR_peek_error(), 0);
}

static void refused(X509 *cert, EVP_PKEY *key, const char *why)
{
    refused_as(1, cert, key, why);
}

static void test_create_refuses(void **state)
{
    const pki_opts_t is_ca = {.constraints = PKI_CA}, none = {.constraints = PKI_NO_CONSTRAINTS},
                     version1 = {.version1 = 1};
    EVP_PKEY *weak = pki_key_rsa(1024), *ec = pki_key_ec("P-256");

    (void)state;
    refused(pki_cert("/CN=leaf", ca_key, NULL, NULL, NULL), ca_key, "CA:TRUE");
    refused(pki_cert("/CN=none", ca_key, NULL, NULL, &none), ca_key, "CA:TRUE");
    refused(pki_cert("/CN=v1", ca_key, NULL, NULL, &version1), ca_key, "CA:TRUE");
    refused(make_ca("critical,keyCertSign,cRLSign"), ca_key, "digitalSignature");
    refused(make_ca("critical,keyCertSign,digitalSignature"), ca_key, "keyEncipherment");
    refused(make_ca("critical,digitalSignature,keyEncipherment"), ca_key, "keyCertSign");
    refused(pki_cert("/CN=weak", weak, NULL, NULL, &is_ca), weak, "2048");
    refused(pki_cert("/CN=ec", ec, NULL, NULL, &is_ca), ec, "RSA");
    refused(signer.cert, device_key, "private key");
    refused(signer.cert, NULL, "private key");
    refused_as(0, make_ca("critical,digitalSignature,cRLSign"), ca_key, "keyCertSign");
    refused_as(0, pki_cert("/CN=weak", weak, NULL, NULL, &is_ca), weak, "2048");
    refused_as(0, signer.cert, device_key, "private key");
}

static void test_create_accepts(void **state)
{
    mdm_signer_t plain = {.cert = make_ca(NULL), .key = ca_key};
    mdm_signer_t narrow = {.cert = make_ca("critical,keyCertSign"), .key = ca_key};
    mdm_ca_settings_t of_plain = {.signer = &plain, .responder = 1};
    mdm_ca_settings_t of_narrow = {.signer = &narrow};
    mdm_ca_t *made;

    (void)state;
    assert_int_equal(mdm_ca_create(pki_pool, &of_plain, &made).kind, MDM_OK);
    assert_ptr_equal(mdm_ca_signer(made), &plain);
    assert_true(mdm_ca_signs_crls(made));
    assert_int_equal(mdm_ca_create(pki_pool, &of_narrow, &made).kind, MDM_OK);
    assert_false(mdm_ca_signs_crls(made));
}

/* --- other keys, and the RA --- */

static const char *const curves[] = {"P-256", "P-384"};

static void test_ec_ca(void **state)
{
    const pki_opts_t opts = {.constraints = PKI_CA, .key_usage = CA_USAGE};

    (void)state;
    for (int i = 0; i < 2; i++) {
        EVP_PKEY *key = pki_key_ec(curves[i]);
        mdm_signer_t of_key = {.cert = pki_cert("/CN=EC", key, NULL, NULL, &opts), .key = key};
        mdm_ca_settings_t of_ec = {
            .signer = &of_key, .organization = "Example", .validity = YEAR / 2};
        X509_PUBKEY *spki = NULL;
        mdm_ca_t *made;
        X509 *cert;

        refused_as(1, of_key.cert, key, "MDMEnrollRA");
        assert_int_equal(mdm_ca_create(pki_pool, &of_ec, &made).kind, MDM_OK);
        assert_true(X509_PUBKEY_set(&spki, device_key));
        assert_int_equal(
            mdm_ca_issue(pki_pool, made, &fake->world, &row, MDM_PURPOSE_MDM, spki, &cert).kind,
            MDM_OK);
        X509_PUBKEY_free(spki);
        assert_int_equal(X509_verify(cert, key), 1);
        assert_int_equal(X509_get_signature_nid(cert), NID_ecdsa_with_SHA256);
    }
}

static void ra_refused(X509 *cert, EVP_PKEY *key, const char *why)
{
    mdm_signer_t ra = {.cert = cert, .key = key};
    mdm_result_t r = mdm_ca_check_ra(pki_pool, ca, &ra);

    assert_int_equal(r.message, MDM_MSG_CONFIGURATION);
    if (strstr(r.log, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", r.log, why);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_ra(void **state)
{
    const pki_opts_t good = {.key_usage = "critical,digitalSignature,keyEncipherment"},
                     narrow = {.key_usage = "critical,keyEncipherment"},
                     silent = {.key_usage = NULL},
                     is_ca = {.constraints = PKI_CA, .key_usage = CA_USAGE};
    EVP_PKEY *ra_key = pki_key_rsa(2048), *ec = pki_key_ec("P-256");
    mdm_signer_t ra = {.cert = pki_cert("/CN=RA", ra_key, signer.cert, ca_key, &good),
                       .key = ra_key};

    (void)state;
    assert_int_equal(mdm_ca_check_ra(pki_pool, ca, &ra).kind, MDM_OK);
    ra_refused(pki_cert("/CN=RA", ra_key, NULL, NULL, &good), ra_key, "issued by the CA");
    ra_refused(pki_cert("/CN=RA", ra_key, signer.cert, device_key, &good), ra_key,
               "issued by the CA");
    ra_refused(pki_cert("/CN=RA", ra_key, signer.cert, ca_key, &is_ca), ra_key, "CA:FALSE");
    ra_refused(pki_cert("/CN=RA", ra_key, signer.cert, ca_key, &narrow), ra_key,
               "digitalSignature");
    ra_refused(pki_cert("/CN=RA", ra_key, signer.cert, ca_key, &silent), ra_key,
               "digitalSignature");
    ra_refused(pki_cert("/CN=RA", ec, signer.cert, ca_key, &good), ec, "RSA");
    ra_refused(ra.cert, device_key, "private key");
    ra_refused(pki_cert("/CN=RA", ca_key, signer.cert, ca_key, &good), ca_key, "one of its own");
}

/* --- what is configured --- */

static const char *bad_name(const char *type, const char *text)
{
    mdm_alt_name_t name;

    return mdm_ca_alt_name(pki_pool, type, text, &name);
}

static void test_alt_name_is_checked(void **state)
{
    (void)state;
    assert_null(bad_name("URI", "urn:example:%{MDM_SERIAL}"));
    assert_null(bad_name("uri", "tag:example.com,2026:%{MDM_UDID}/%{MDM_PRODUCT}"));
    assert_null(bad_name("DNS", "%{MDM_SERIAL}.dev.example.com"));
    assert_null(bad_name("email", "%{MDM_USER}@example.com"));
    assert_non_null(strstr(bad_name("URI", "%{MDM_SERIAL}"), "a URI"));
    assert_non_null(strstr(bad_name("URI", "urn:a b"), "a URI"));
    assert_non_null(strstr(bad_name("URI", "urn:\xc3\xa4"), "a URI"));
    assert_non_null(strstr(bad_name("DNS", "a_b.example.com"), "a DNS name"));
    assert_non_null(strstr(bad_name("DNS", "a..b"), "a DNS name"));
    assert_non_null(strstr(bad_name("DNS", ""), "a DNS name"));
    assert_non_null(strstr(bad_name("email", "nobody"), "a mailbox"));
    assert_non_null(strstr(bad_name("URI", "urn:%{MDM_SERAIL}"), "no variables but"));
    assert_non_null(strstr(bad_name("URI", "urn:%{MDM_SERIAL"), "no variables but"));
    assert_non_null(strstr(bad_name("IP", "127.0.0.1"), "URI, DNS or email"));
}

static void test_alt_names_and_crl(void **state)
{
    static const mdm_alt_name_t names[] = {{GEN_URI, "urn:x:%{MDM_SERIAL}:%{MDM_UDID}"},
                                           {GEN_DNS, "%{MDM_SERIAL}.dev.example.com"},
                                           {GEN_EMAIL, "%{MDM_USER}@example.com"}};
    apr_array_header_t *list = apr_array_make(pki_pool, 3, sizeof(mdm_alt_name_t));
    mdm_ca_settings_t rich = {.signer = &signer,
                              .organization = "Example",
                              .validity = YEAR / 2,
                              .crl_url = "http://pki.example.com/a,b;c.crl",
                              .alt_names = list};
    mdm_enrollment_t odd = row;
    X509_PUBKEY *spki = NULL;
    CRL_DIST_POINTS *points;
    GENERAL_NAMES *got;
    mdm_ca_t *made;
    X509 *cert;
    mdm_result_t r;

    (void)state;
    for (int i = 0; i < 3; i++)
        APR_ARRAY_PUSH(list, mdm_alt_name_t) = names[i];
    assert_int_equal(mdm_ca_create(pki_pool, &rich, &made).kind, MDM_OK);
    assert_true(X509_PUBKEY_set(&spki, device_key));
    assert_int_equal(
        mdm_ca_issue(pki_pool, made, &fake->world, &row, MDM_PURPOSE_MDM, spki, &cert).kind,
        MDM_OK);
    got = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(got), 4);
    assert_string_equal((const char *)ASN1_STRING_get0_data(sk_GENERAL_NAME_value(got, 1)->d.ia5),
                        "urn:x:F2LX1234ABCD:00008030-001A2B3C4D5E6F70");
    assert_int_equal(sk_GENERAL_NAME_value(got, 2)->type, GEN_DNS);
    assert_string_equal((const char *)ASN1_STRING_get0_data(sk_GENERAL_NAME_value(got, 3)->d.ia5),
                        "anna@example.com");
    GENERAL_NAMES_free(got);
    points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
    assert_int_equal(sk_DIST_POINT_num(points), 1);
    assert_string_equal(
        (const char *)ASN1_STRING_get0_data(
            sk_GENERAL_NAME_value(sk_DIST_POINT_value(points, 0)->distpoint->name.fullname, 0)
                ->d.ia5),
        rich.crl_url);
    sk_DIST_POINT_pop_free(points, DIST_POINT_free);

    /* a virtual machine's serial number is no DNS name, and no certificate leaves a name out */
    odd.serial = "VM_1@x";
    r = mdm_ca_issue(pki_pool, made, &fake->world, &odd, MDM_PURPOSE_MDM, spki, &cert);
    assert_int_equal(r.message, MDM_MSG_CA_ALT_NAME);
    assert_non_null(strstr(r.log, "VM_1@x.dev.example.com"));
    X509_PUBKEY_free(spki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subject),
        cmocka_unit_test(test_odd_subjects),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_time_encoding),
        cmocka_unit_test(test_serials),
        cmocka_unit_test(test_serial_is_random),
        cmocka_unit_test(test_random_fails),
        cmocka_unit_test(test_create_refuses),
        cmocka_unit_test(test_create_accepts),
        cmocka_unit_test(test_ec_ca),
        cmocka_unit_test(test_ec_keys),
        cmocka_unit_test(test_ra),
        cmocka_unit_test(test_alt_name_is_checked),
        cmocka_unit_test(test_alt_names_and_crl),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
