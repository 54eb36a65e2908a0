/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_profile: what stands in each profile and payload, read back from its XML.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "fake_store.h"
#include "mdm_profile.h"
#include "pki.h"

#define ORGANIZATION "Example & Söhne <Corp>"
#define IDENTIFIER "com.example.mdm.enroll"
#define SCEP_URL "https://www.example.com/enroll/scep?a=1&b=2"
#define SECRET "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE"

static const mdm_credential_t scep = {.kind = MDM_CREDENTIAL_SCEP,
                                      .scep = {.url = SCEP_URL, .challenge = SECRET}};

static const mdm_enrollment_t row = {
    .id = "0123456789abcdef0123456789abcdef",
    .flow = "ota",
    .site = "s",
    .state = MDM_STATE_IDENTIFYING,
    .user = "anna",
    .udid = "00008101-000000000000001E",
    .serial = "C02XXXXX",
    .product = "",
    .os_version = "",
    .device_fingerprint = "",
    .identity_fingerprint = "",
    .terms = "",
};

static mdm_profile_settings_t settings(void)
{
    apr_array_header_t *attributes = apr_array_make(pki_pool, 3, sizeof(const char *));

    APR_ARRAY_PUSH(attributes, const char *) = "UDID";
    APR_ARRAY_PUSH(attributes, const char *) = "SERIAL";
    APR_ARRAY_PUSH(attributes, const char *) = "OS_VERSION";
    return (mdm_profile_settings_t){
        .organization = ORGANIZATION,
        .identifier = IDENTIFIER,
        .server_url = mdm_text_constant(pki_pool, "https://mdm.example.com/mdm"),
        .topic = "com.apple.mgmt.External.x",
        .device_attributes = attributes,
    };
}

static apr_array_header_t *set(apr_array_header_t *list, const char *payload, const char *key,
                               const char *value)
{
    mdm_setting_t *setting;

    if (list == NULL)
        list = apr_array_make(pki_pool, 4, sizeof(mdm_setting_t *));
    assert_null(mdm_schema_setting(pki_pool, payload, key, &value, 1, NULL, &setting));
    APR_ARRAY_PUSH(list, mdm_setting_t *) = setting;
    return list;
}

static mdm_plist_t *parse(mdm_result_t r, const char *xml, apr_size_t len)
{
    mdm_plist_t *root = NULL;

    assert_int_equal(r.message, MDM_MSG_NONE);
    assert_int_equal(strlen(xml), len);
    assert_int_equal(mdm_plist_parse(pki_pool, xml, len, &root).message, MDM_MSG_NONE);
    return root;
}

static void assert_text(const mdm_plist_t *dict, const char *key, const char *value)
{
    const char *text = mdm_plist_string(mdm_plist_get(dict, key));

    if (text == NULL)
        fail_msg("no string %s", key);
    assert_string_equal(text, value);
}

static void assert_number(const mdm_plist_t *dict, const char *key, apr_uint64_t value)
{
    apr_uint64_t number;

    assert_true(mdm_plist_integer(mdm_plist_get(dict, key), &number));
    assert_int_equal(number, value);
}

static void assert_flag(const mdm_plist_t *dict, const char *key, int value)
{
    int flag;

    assert_true(mdm_plist_boolean(mdm_plist_get(dict, key), &flag));
    assert_int_equal(flag, value);
}

/* The keys that each profile and payload must have; returns its UUID. */
static const char *assert_common(const mdm_plist_t *dict, const char *type, const char *identifier)
{
    const char *uuid = mdm_plist_string(mdm_plist_get(dict, "PayloadUUID"));

    assert_text(dict, "PayloadType", type);
    assert_number(dict, "PayloadVersion", 1);
    assert_text(dict, "PayloadIdentifier", identifier);
    assert_text(dict, "PayloadOrganization", ORGANIZATION);
    assert_non_null(mdm_plist_string(mdm_plist_get(dict, "PayloadDisplayName")));
    assert_non_null(mdm_plist_string(mdm_plist_get(dict, "PayloadDescription")));
    assert_non_null(uuid);
    assert_int_equal(strlen(uuid), 36);
    assert_null(mdm_plist_get(dict, "PayloadScope"));
    return uuid;
}

static void assert_rdn(const mdm_plist_t *subject, apr_size_t i, const char *type,
                       const char *value)
{
    const mdm_plist_t *rdn = mdm_plist_item(subject, i), *pair = mdm_plist_item(rdn, 0);

    assert_int_equal(mdm_plist_size(rdn), 1);
    assert_int_equal(mdm_plist_size(pair), 2);
    assert_string_equal(mdm_plist_string(mdm_plist_item(pair, 0)), type);
    assert_string_equal(mdm_plist_string(mdm_plist_item(pair, 1)), value);
}

static const mdm_plist_t *assert_scep(const mdm_plist_t *payload)
{
    const mdm_plist_t *content = mdm_plist_get(payload, "PayloadContent"), *subject;

    assert_common(payload, "com.apple.security.scep", IDENTIFIER ".scep");
    assert_text(content, "URL", SCEP_URL);
    assert_text(content, "Challenge", SECRET);
    assert_text(content, "Key Type", "RSA");
    assert_number(content, "Key Usage", 5);
    subject = mdm_plist_get(content, "Subject");
    assert_int_equal(mdm_plist_size(subject), 2);
    assert_rdn(subject, 0, "O", ORGANIZATION);
    assert_rdn(subject, 1, "CN", row.udid);
    return content;
}

static mdm_plist_t *service(const mdm_profile_settings_t *s)
{
    fake_world_t *fake = fake_world_create(pki_pool);
    const char *xml;
    apr_size_t len;
    mdm_result_t r =
        mdm_profile_service(pki_pool, s, &fake->world, &row,
                            "https://www.example.com/enroll/device", SECRET, &xml, &len);

    return parse(r, xml, len);
}

static void profile_service(void **state)
{
    mdm_profile_settings_t s = settings();
    mdm_plist_t *profile = service(&s), *content, *attributes;

    (void)state;
    assert_common(profile, "Profile Service", IDENTIFIER ".profile-service");
    assert_int_equal(mdm_plist_size(profile), 8);
    content = mdm_plist_get(profile, "PayloadContent");
    assert_int_equal(mdm_plist_type(content), MDM_PLIST_DICT);
    assert_int_equal(mdm_plist_size(content), 3);
    assert_text(content, "URL", "https://www.example.com/enroll/device");
    assert_text(content, "Challenge", SECRET);
    attributes = mdm_plist_get(content, "DeviceAttributes");
    assert_int_equal(mdm_plist_size(attributes), 3);
    assert_string_equal(mdm_plist_string(mdm_plist_item(attributes, 0)), "UDID");
    assert_string_equal(mdm_plist_string(mdm_plist_item(attributes, 2)), "OS_VERSION");

    s.profile_service = set(NULL, "Profile Service", "PayloadDisplayName", "Company phone");
    assert_text(service(&s), "PayloadDisplayName", "Company phone");
}

static mdm_plist_t *identity(const mdm_profile_settings_t *s)
{
    fake_world_t *fake = fake_world_create(pki_pool);
    const char *xml;
    apr_size_t len;
    mdm_result_t r = mdm_profile_identity(pki_pool, s, &fake->world, &row, &scep, &xml, &len);

    return parse(r, xml, len);
}

static void profile_identity(void **state)
{
    mdm_profile_settings_t s = settings();
    mdm_plist_t *profile;
    const mdm_plist_t *payloads, *content;

    (void)state;
    /* settings of the enrollment profile are not this one's */
    s.configuration = set(NULL, "Configuration", "PayloadRemovalDisallowed", "true");
    profile = identity(&s);
    assert_common(profile, "Configuration", IDENTIFIER ".identity");
    assert_null(mdm_plist_get(profile, "PayloadRemovalDisallowed"));
    payloads = mdm_plist_get(profile, "PayloadContent");
    assert_int_equal(mdm_plist_type(payloads), MDM_PLIST_ARRAY);
    assert_int_equal(mdm_plist_size(payloads), 1);
    content = assert_scep(mdm_plist_item(payloads, 0));
    assert_number(content, "Keysize", 2048);
    assert_flag(content, "KeyIsExtractable", 0);
    assert_int_equal(mdm_plist_size(content), 7);
}

static void scep_settings(void **state)
{
    mdm_profile_settings_t s = settings();
    const mdm_plist_t *payload, *content;

    (void)state;
    s.scep = set(NULL, "com.apple.security.scep", "Keysize", "4096");
    set((apr_array_header_t *)s.scep, "com.apple.security.scep", "Name", "example.org");
    set((apr_array_header_t *)s.scep, "com.apple.security.scep", "KeyIsExtractable", "true");
    set((apr_array_header_t *)s.scep, "com.apple.security.scep", "PayloadDisplayName", "Key");
    payload = mdm_plist_item(mdm_plist_get(identity(&s), "PayloadContent"), 0);
    content = assert_scep(payload);
    assert_text(payload, "PayloadDisplayName", "Key");
    assert_null(mdm_plist_get(content, "PayloadDisplayName"));
    assert_null(mdm_plist_get(payload, "Name"));
    assert_number(content, "Keysize", 4096);
    assert_text(content, "Name", "example.org");
    assert_flag(content, "KeyIsExtractable", 1);
}

static mdm_plist_t *payloads_of(const mdm_profile_settings_t *s)
{
    fake_world_t *fake = fake_world_create(pki_pool);
    const char *xml;
    apr_size_t len;
    mdm_result_t r = mdm_profile_payloads(pki_pool, s, &fake->world, &row, &scep, &xml, &len);

    return parse(r, xml, len);
}

static void payloads_at_least(void **state)
{
    mdm_profile_settings_t s = settings();
    mdm_plist_t *payloads = payloads_of(&s), *mdm;
    const char *identity_uuid, *mdm_uuid;

    (void)state;
    assert_int_equal(mdm_plist_type(payloads), MDM_PLIST_ARRAY);
    assert_int_equal(mdm_plist_size(payloads), 2);
    assert_scep(mdm_plist_item(payloads, 0));
    identity_uuid = mdm_plist_string(mdm_plist_get(mdm_plist_item(payloads, 0), "PayloadUUID"));
    mdm = mdm_plist_item(payloads, 1);
    mdm_uuid = assert_common(mdm, "com.apple.mdm", IDENTIFIER ".mdm");
    assert_string_not_equal(mdm_uuid, identity_uuid);
    assert_text(mdm, "IdentityCertificateUUID", identity_uuid);
    assert_text(mdm, "Topic", s.topic);
    assert_text(mdm, "ServerURL", mdm_text_fixed(s.server_url));
    assert_number(mdm, "AccessRights", 8191);
    assert_int_equal(mdm_plist_size(mdm), 11); /* nothing unasked, no CheckInURL */
}

/* Adds a certificate; returns its UUID. */
static const char *uuid_of(apr_array_header_t *certificates, X509 *cert)
{
    const char *uuid = NULL;

    assert_int_equal(mdm_profile_add_certificate(pki_pool, certificates, cert, &uuid).kind, MDM_OK);
    return uuid;
}

static void payloads_with_everything(void **state)
{
    EVP_PKEY *root_key = pki_key_ec("P-256"), *key = pki_key_ec("P-256");
    const pki_opts_t ca = {.constraints = PKI_CA};
    X509 *root = pki_cert("/O=Example/CN=Root \xc3\xa9", root_key, NULL, NULL, &ca);
    X509 *intermediate = pki_cert("/O=Example/CN=Between", key, root, root_key, &ca);
    mdm_profile_settings_t s = settings();
    apr_array_header_t *list, *certificates;
    const mdm_plist_t *payloads, *payload, *mdm;
    const char *uuid, *data;
    const unsigned char *der;
    apr_size_t len, der_len;

    (void)state;
    certificates = apr_array_make(pki_pool, 3, sizeof(mdm_profile_certificate_t));
    uuid = uuid_of(certificates, root);
    uuid_of(certificates, intermediate);
    uuid_of(certificates, root); /* listed twice, sent once */
    s.certificates = certificates;
    s.checkin_url = mdm_text_constant(pki_pool, "https://mdm.example.com/checkin");
    list = set(NULL, "com.apple.mdm", "ServerURLPinningCertificateUUIDs", uuid);
    set(list, "com.apple.mdm", "AccessRights", "3");
    set(list, "com.apple.mdm", "SignMessage", "true");
    set(list, "com.apple.mdm", "PayloadDescription", "Ours.");
    s.mdm = list;
    payloads = payloads_of(&s);

    assert_int_equal(mdm_plist_size(payloads), 4);
    payload = mdm_plist_item(payloads, 0);
    assert_string_equal(assert_common(payload, "com.apple.security.root",
                                      apr_psprintf(pki_pool, IDENTIFIER ".certificate.%.16s",
                                                   mdm_x509_fingerprint(pki_pool, root))),
                        uuid);
    data = mdm_plist_data(mdm_plist_get(payload, "PayloadContent"), &len);
    der = mdm_x509_encode(pki_pool, root, &der_len);
    assert_int_equal(len, der_len);
    assert_memory_equal(data, der, len);
    assert_common(mdm_plist_item(payloads, 1), "com.apple.security.pkcs1",
                  apr_psprintf(pki_pool, IDENTIFIER ".certificate.%.16s",
                               mdm_x509_fingerprint(pki_pool, intermediate)));
    mdm = mdm_plist_item(payloads, 3);
    assert_text(mdm, "CheckInURL", mdm_text_fixed(s.checkin_url));
    assert_number(mdm, "AccessRights", 3);
    assert_flag(mdm, "SignMessage", 1);
    assert_text(mdm, "PayloadDescription", "Ours.");
    assert_string_equal(
        mdm_plist_string(mdm_plist_item(mdm_plist_get(mdm, "ServerURLPinningCertificateUUIDs"), 0)),
        uuid);
}

/* A device cancels an enrollment with EnrollmentMode BYOD that names rights. */
static void no_rights_with_byod(void **state)
{
    mdm_profile_settings_t s = settings();
    apr_array_header_t *list = set(NULL, "com.apple.mdm", "EnrollmentMode", "BYOD");
    const mdm_plist_t *mdm;

    (void)state;
    s.mdm = list;
    assert_null(mdm_plist_get(mdm_plist_item(payloads_of(&s), 1), "AccessRights"));
    set(list, "com.apple.mdm", "AccessRights", "3");
    mdm = mdm_plist_item(payloads_of(&s), 1);
    assert_null(mdm_plist_get(mdm, "AccessRights"));
    assert_text(mdm, "EnrollmentMode", "BYOD");
    set(list, "com.apple.mdm", "EnrollmentMode", "ADDE"); /* the later one counts */
    assert_number(mdm_plist_item(payloads_of(&s), 1), "AccessRights", 3);
}

static void profile_enrollment(void **state)
{
    static const unsigned char encrypted[] = {0x30, 0x03, 0x02, 0x01, 0x00};
    fake_world_t *fake = fake_world_create(pki_pool);
    mdm_profile_settings_t s = settings();
    mdm_plist_t *profile;
    const char *xml, *data;
    apr_size_t len;
    mdm_result_t r;

    (void)state;
    s.configuration = set(NULL, "Configuration", "TargetDeviceType", "1");
    r = mdm_profile_enrollment(pki_pool, &s, &fake->world, &row, encrypted, sizeof(encrypted), &xml,
                               &len);
    profile = parse(r, xml, len);
    assert_common(profile, "Configuration", IDENTIFIER);
    assert_number(profile, "TargetDeviceType", 1);
    assert_null(mdm_plist_get(profile, "PayloadContent"));
    data = mdm_plist_data(mdm_plist_get(profile, "EncryptedPayloadContent"), &len);
    assert_int_equal(len, sizeof(encrypted));
    assert_memory_equal(data, encrypted, len);
    assert_int_equal(mdm_plist_size(profile), 9);
}

static void certificate_uuid(void **state)
{
    EVP_PKEY *key = pki_key_ec("P-256");
    X509 *one = pki_cert("/CN=one", key, NULL, NULL, NULL);
    X509 *two = pki_cert("/CN=two", key, NULL, NULL, NULL);
    apr_array_header_t *certificates =
        apr_array_make(pki_pool, 2, sizeof(mdm_profile_certificate_t));
    const char *uuid = uuid_of(certificates, one);
    mdm_setting_t *setting;

    (void)state;
    assert_int_equal(strlen(uuid), 36);
    assert_int_equal(strspn(uuid, "0123456789ABCDEF-"), 36);
    assert_int_equal(uuid[14], '8');
    assert_non_null(strchr("89AB", uuid[19]));
    assert_string_equal(uuid, uuid_of(certificates, one));
    assert_string_not_equal(uuid, uuid_of(certificates, two));
    assert_null(mdm_schema_setting(pki_pool, "com.apple.mdm", "CheckInURLPinningCertificateUUIDs",
                                   &uuid, 1, NULL, &setting));
}

static void needs_randomness(void **state)
{
    mdm_profile_settings_t s = settings();
    const char *xml = NULL;
    apr_size_t len;

    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        fake_world_t *fake = fake_world_create(pki_pool);

        fake->random_fail_at = nth;
        assert_int_equal(
            mdm_profile_identity(pki_pool, &s, &fake->world, &row, &scep, &xml, &len).message,
            MDM_MSG_RANDOM);
        fake->random_calls = 0;
        assert_int_equal(
            mdm_profile_payloads(pki_pool, &s, &fake->world, &row, &scep, &xml, &len).message,
            MDM_MSG_RANDOM);
        fake->random_calls = nth - 1;
        assert_int_equal(
            mdm_profile_service(pki_pool, &s, &fake->world, &row, SCEP_URL, SECRET, &xml, &len)
                .message,
            MDM_MSG_RANDOM);
        fake->random_calls = nth - 1;
        assert_int_equal(mdm_profile_enrollment(pki_pool, &s, &fake->world, &row,
                                                (const unsigned char *)"x", 1, &xml, &len)
                             .message,
                         MDM_MSG_RANDOM);
    }
    assert_null(xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_service),
        cmocka_unit_test(profile_identity),
        cmocka_unit_test(scep_settings),
        cmocka_unit_test(payloads_at_least),
        cmocka_unit_test(payloads_with_everything),
        cmocka_unit_test(no_rights_with_byod),
        cmocka_unit_test(profile_enrollment),
        cmocka_unit_test(certificate_uuid),
        cmocka_unit_test(needs_randomness),
    };

    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
