/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_schema: which keys can be set, to what, and what the administrator is told
 * otherwise. That the tables agree with Apple's schemas is proved by the integration tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "mdm_schema.h"
#include "pki.h"
#include "text_fixture.h"

#define MDM "com.apple.mdm"
#define SCEP "com.apple.security.scep"
#define ACME "com.apple.security.acme"
#define UUID1 "0F0E0D0C-0B0A-4908-8706-050403020100"
#define UUID2 "1f0e0d0c-0b0a-4908-8706-050403020100"

/* Nobody's device, of an unknown system. */
static const mdm_schema_target_t anything;

/* values: separated by "|". */
static const char *set(const char *payload, const char *key, const char *values,
                       mdm_setting_t **setting)
{
    return text_setting(payload, key, values, NULL, setting);
}

static void every_settable_key(void **state)
{
    static const struct {
        const char *payload, *key, *values;
        mdm_plist_type_t type;
    } cases[] = {
        {"Configuration", "PayloadDisplayName", "Example", MDM_PLIST_STRING},
        {"Configuration", "PayloadDescription", "", MDM_PLIST_STRING},
        {"Configuration", "PayloadScope", "System", MDM_PLIST_STRING},
        {"Configuration", "PayloadScope", "User", MDM_PLIST_STRING},
        {"Configuration", "PayloadRemovalDisallowed", "true", MDM_PLIST_BOOLEAN},
        {"Configuration", "PayloadExpirationDate", "2027-12-31T23:59:59Z", MDM_PLIST_DATE},
        {"Configuration", "RemovalDate", "2028-02-29T00:00:00Z", MDM_PLIST_DATE},
        {"Configuration", "PayloadExpirationDate", "+300d", MDM_PLIST_DATE},
        {"Configuration", "RemovalDate", "+90min", MDM_PLIST_DATE},
        {"Configuration", "DurationUntilRemoval", "86400", MDM_PLIST_REAL},
        {"Configuration", "DurationUntilRemoval", "0.5", MDM_PLIST_REAL},
        {"Configuration", "TargetDeviceType", "0", MDM_PLIST_INTEGER},
        {"Configuration", "TargetDeviceType", "6", MDM_PLIST_INTEGER},
        {"Configuration", "ConsentText", "You agree.", MDM_PLIST_DICT},
        {"Configuration", "ConsentText", "default|You agree.|pt-BR|Concorda.", MDM_PLIST_DICT},
        {"Profile Service", "PayloadDisplayName", "Example", MDM_PLIST_STRING},
        {"Profile Service", "PayloadDescription", "Example", MDM_PLIST_STRING},
        {MDM, "PayloadDisplayName", "Example", MDM_PLIST_STRING},
        {MDM, "PayloadDescription", "Example", MDM_PLIST_STRING},
        {MDM, "SignMessage", "true", MDM_PLIST_BOOLEAN},
        {MDM, "AccessRights", "1", MDM_PLIST_INTEGER},
        {MDM, "AccessRights", "8191", MDM_PLIST_INTEGER},
        {MDM, "AccessRights", "3", MDM_PLIST_INTEGER},
        {MDM, "AccessRights", "192", MDM_PLIST_INTEGER},
        {MDM, "AccessRights", "64", MDM_PLIST_INTEGER},
        {MDM, "UseDevelopmentAPNS", "false", MDM_PLIST_BOOLEAN},
        {MDM, "ManagedAppleID", "anna@example.com", MDM_PLIST_STRING},
        {MDM, "AssignedManagedAppleID", "anna@example.com", MDM_PLIST_STRING},
        {MDM, "EnrollmentMode", "BYOD", MDM_PLIST_STRING},
        {MDM, "EnrollmentMode", "ADDE", MDM_PLIST_STRING},
        {MDM, "ServerURLPinningCertificateUUIDs", UUID1, MDM_PLIST_ARRAY},
        {MDM, "ServerURLPinningCertificateUUIDs", UUID1 "|" UUID2, MDM_PLIST_ARRAY},
        {MDM, "CheckInURLPinningCertificateUUIDs", UUID2, MDM_PLIST_ARRAY},
        {MDM, "PinningRevocationCheckRequired", "true", MDM_PLIST_BOOLEAN},
        {MDM, "ServerCapabilities",
         "com.apple.mdm.per-user-connections|com.apple.mdm.bootstraptoken|com.apple.mdm.token",
         MDM_PLIST_ARRAY},
        {MDM, "CheckOutWhenRemoved", "true", MDM_PLIST_BOOLEAN},
        {MDM, "RequiredAppIDForMDM", "1234567890", MDM_PLIST_INTEGER},
        {MDM, "PromptUserToAllowBootstrapTokenForAuthentication", "true", MDM_PLIST_BOOLEAN},
        {SCEP, "PayloadDisplayName", "Example", MDM_PLIST_STRING},
        {SCEP, "PayloadDescription", "Example", MDM_PLIST_STRING},
        {SCEP, "Name", "example.org", MDM_PLIST_STRING},
        {SCEP, "Keysize", "2048", MDM_PLIST_INTEGER},
        {SCEP, "Keysize", "4096", MDM_PLIST_INTEGER},
        {SCEP, "Key Usage", "5", MDM_PLIST_INTEGER},
        {SCEP, "Retries", "0", MDM_PLIST_INTEGER},
        {SCEP, "RetryDelay", "30", MDM_PLIST_INTEGER},
        {SCEP, "KeyIsExtractable", "true", MDM_PLIST_BOOLEAN},
        {SCEP, "AllowAllAppsAccess", "true", MDM_PLIST_BOOLEAN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_setting_t *setting = NULL;
        const char *error = set(cases[i].payload, cases[i].key, cases[i].values, &setting);
        if (error != NULL)
            fail_msg("%s %s %s: %s", cases[i].payload, cases[i].key, cases[i].values, error);
        assert_string_equal(setting->key, cases[i].key);
        assert_int_equal(setting->type, cases[i].type);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *payload, *key, *values, *seen, *wanted;
    } cases[] = {
        {"Configuration", "PayloadScope", "system", "system", "System or User"},
        {"Configuration", "PayloadDisplayName", "", "\"\"", "not empty"},
        {"Configuration", "PayloadDisplayName", "a\001b", "\\x01", "UTF-8"},
        {"Configuration", "PayloadDescription", "a\xff", "\\xFF", "UTF-8"},
        {"Configuration", "PayloadDescription", "a|b", "2 values", "exactly one"},
        {"Configuration", "PayloadRemovalDisallowed", "yes", "yes", "true or false"},
        {"Configuration", "PayloadRemovalDisallowed", "", "\"\"", "true or false"},
        {"Configuration", "RemovalDate", "2027-12-31", "2027-12-31", "T23:59:59Z"},
        {"Configuration", "RemovalDate", "2027-02-29T00:00:00Z", "02-29", "a date"},
        {"Configuration", "RemovalDate", "2027-13-01T00:00:00Z", "13", "a date"},
        {"Configuration", "RemovalDate", "2027-00-01T00:00:00Z", "00", "a date"},
        {"Configuration", "RemovalDate", "2027-12-31T24:00:00Z", "24", "a date"},
        {"Configuration", "RemovalDate", "2027-12-31T23:60:00Z", "60", "a date"},
        {"Configuration", "RemovalDate", "2027-12-31T23:59:59Zx", "Zx", "a date"},
        {"Configuration", "RemovalDate", "2027-12-31T23:59:59", "59", "a date"},
        {"Configuration", "RemovalDate", "1969-12-31T23:59:59Z", "1969", "a date"},
        {"Configuration", "RemovalDate", "+", "+", "such as +300d"},
        {"Configuration", "RemovalDate", "+0d", "+0d", "from +1s"},
        {"Configuration", "RemovalDate", "+3651d", "+3651d", "to +3650d"},
        {"Configuration", "RemovalDate", "+9999999999s", "+9999999999s", "to +3650d"},
        {"Configuration", "RemovalDate", "+300", "+300", "+300d"},
        {"Configuration", "RemovalDate", "+1y", "+1y", "+300d"},
        {"Configuration", "RemovalDate", "-1d", "-1d", "a date"},
        {"Configuration", "DurationUntilRemoval", "0", "0", "above 0"},
        {"Configuration", "DurationUntilRemoval", "-1", "-1", "above 0"},
        {"Configuration", "DurationUntilRemoval", "inf", "inf", "above 0"},
        {"Configuration", "DurationUntilRemoval", "0x10", "0x10", "above 0"},
        {"Configuration", "DurationUntilRemoval", "1.2.3", "1.2.3", "above 0"},
        {"Configuration", "DurationUntilRemoval", "", "\"\"", "above 0"},
        {"Configuration", "TargetDeviceType", "7", "7", "0 to 6"},
        {"Configuration", "TargetDeviceType", "-1", "-1", "0 to 6"},
        {"Configuration", "ConsentText", "default|a|en", "en", "pairs"},
        {"Configuration", "ConsentText", "not a language|text", "not a language", "language"},
        {MDM, "AccessRights", "0", "0", "from 1 to 8191"},
        {MDM, "AccessRights", "8192", "8192", "from 1 to 8191"},
        {MDM, "AccessRights", "2", "2", "1 (inspect"},
        {MDM, "AccessRights", "128", "128", "64 (inspect"},
        {MDM, "AccessRights", "8190", "8190", "1 (inspect"},
        {MDM, "AccessRights", "0x1fff", "0x1fff", "whole number"},
        {MDM, "AccessRights", " 1", " 1", "whole number"},
        {MDM, "AccessRights", "99999999999999999999", "9999", "whole number"},
        {MDM, "EnrollmentMode", "byod", "byod", "BYOD or ADDE"},
        {MDM, "ServerURLPinningCertificateUUIDs", "not-a-uuid", "not-a-uuid", "PayloadUUID"},
        {MDM, "ServerURLPinningCertificateUUIDs", UUID1 "0", UUID1 "0", "PayloadUUID"},
        {MDM, "ServerURLPinningCertificateUUIDs", UUID1 "|" UUID1, UUID1, "once"},
        {MDM, "ServerCapabilities", "com.apple.mdm.tokens", "tokens", "com.apple.mdm.token"},
        {MDM, "RequiredAppIDForMDM", "0", "0", "whole number"},
        {MDM, "SignMessage", "1", "1", "true or false"},
        {SCEP, "Keysize", "1024", "1024", "2048 or 4096"},
        {SCEP, "Keysize", "3072", "3072", "2048 or 4096"},
        {SCEP, "Key Usage", "1", "1", "5"},
        {SCEP, "Retries", "many", "many", "whole number"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_setting_t *setting = NULL;
        const char *error = set(cases[i].payload, cases[i].key, cases[i].values, &setting);
        if (error == NULL)
            fail_msg("%s %s %s was taken", cases[i].payload, cases[i].key, cases[i].values);
        if (strstr(error, cases[i].seen) == NULL || strstr(error, cases[i].wanted) == NULL ||
            strstr(error, cases[i].key) == NULL)
            fail_msg("%s %s %s: %s", cases[i].payload, cases[i].key, cases[i].values, error);
        assert_null(setting);
    }
    assert_non_null(mdm_schema_setting(pki_pool, MDM, "SignMessage", NULL, 0, NULL, NULL));
    assert_non_null(mdm_schema_setting(pki_pool, MDM, "ServerCapabilities", NULL, 0, NULL, NULL));
}

/* A key that is not to be set says who sets it; an unknown one says which there are. */
static void set_elsewhere(void **state)
{
    static const struct {
        const char *payload, *key, *instead;
    } cases[] = {
        {"Configuration", "PayloadIdentifier", "MDMEnrollIdentifier"},
        {"Configuration", "PayloadOrganization", "MDMEnrollOrganization"},
        {"Configuration", "PayloadUUID", "by the module"},
        {"Configuration", "PayloadType", "by the module"},
        {"Configuration", "PayloadVersion", "by the module"},
        {"Configuration", "PayloadContent", "by the module"},
        {"Configuration", "EncryptedPayloadContent", "by the module"},
        {"Configuration", "IsEncrypted", "always encrypted"},
        {"Configuration", "HasRemovalPasscode", "no removal password"},
        {"Profile Service", "URL", "MDMEnrollEndpoint device"},
        {"Profile Service", "DeviceAttributes", "MDMEnrollDeviceAttributes"},
        {"Profile Service", "Challenge", "by the module"},
        {"Profile Service", "PayloadContent", "by the module"},
        {MDM, "ServerURL", "MDMEnrollServer"},
        {MDM, "CheckInURL", "MDMEnrollServer"},
        {MDM, "Topic", "MDMEnrollTopic"},
        {MDM, "IdentityCertificateUUID", "by the module"},
        {MDM, "PayloadIdentifier", "MDMEnrollIdentifier"},
        {SCEP, "URL", "MDMEnrollEndpoint scep"},
        {SCEP, "Challenge", "by the module"},
        {SCEP, "Key Type", "by the module"},
        {SCEP, "CAFingerprint", "MDMEnrollIdentity"},
        {SCEP, "PayloadContent", "directly"},
        {MDM, "signmessage", "\"SignMessage\", \"AccessRights\""},
        {SCEP, "KeyUsage", "\"Key Usage\""},
        {"Profile Service", "ConfirmInstallation", "\"PayloadDisplayName\""},
        {"com.apple.wifi", "SSID_STR", "com.apple.mdm"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_setting_t *setting = NULL;
        const char *error = set(cases[i].payload, cases[i].key, "1", &setting);
        if (error == NULL || strstr(error, cases[i].instead) == NULL)
            fail_msg("%s %s: %s", cases[i].payload, cases[i].key, error);
        assert_null(setting);
    }
}

static void payload_types(void **state)
{
    (void)state;
    assert_string_equal(mdm_schema_payloads[0], "Configuration");
    assert_string_equal(mdm_schema_payloads[1], "Profile Service");
    assert_string_equal(mdm_schema_payloads[2], MDM);
    assert_string_equal(mdm_schema_payloads[3], SCEP);
    assert_string_equal(mdm_schema_payloads[4], ACME);
    assert_string_equal(mdm_schema_payloads[5], "com.apple.security.pkcs12");
    assert_string_equal(mdm_schema_payloads[6], "com.apple.security.root");
    assert_string_equal(mdm_schema_payloads[7], "com.apple.security.pkcs1");
    assert_string_equal(mdm_schema_payloads[8], "com.apple.security.pem");
    assert_null(mdm_schema_payloads[9]);
}

static void add(apr_array_header_t *settings, const char *payload, const char *key,
                const char *values)
{
    mdm_setting_t *setting;

    assert_null(set(payload, key, values, &setting));
    APR_ARRAY_PUSH(settings, mdm_setting_t *) = setting;
}

static void applied_values_read_back(void **state)
{
    apr_array_header_t *settings = apr_array_make(pki_pool, 8, sizeof(mdm_setting_t *));
    mdm_plist_t *dict = mdm_plist_dict(pki_pool), *read, *list;
    const char *xml;
    apr_size_t len;
    apr_uint64_t number;
    int flag;

    (void)state;
    add(settings, "Configuration", "PayloadDisplayName", "A & B <c>");
    add(settings, "Configuration", "PayloadRemovalDisallowed", "true");
    add(settings, "Configuration", "RemovalDate", "2028-02-29T12:34:56Z");
    add(settings, "Configuration", "DurationUntilRemoval", "1.5");
    add(settings, "Configuration", "TargetDeviceType", "5");
    add(settings, "Configuration", "TargetDeviceType", "1"); /* the later one counts */
    add(settings, "Configuration", "ConsentText", "default|Yes.|de|Ja.");
    add(settings, MDM, "ServerCapabilities", "com.apple.mdm.token|com.apple.mdm.bootstraptoken");
    assert_int_equal(mdm_schema_apply(pki_pool, dict, settings, &anything).kind, MDM_OK);
    assert_int_equal(mdm_schema_apply(pki_pool, dict, NULL, &anything).kind, MDM_OK);
    xml = mdm_plist_to_xml(pki_pool, dict, &len);
    assert_int_equal(mdm_plist_parse(pki_pool, xml, len, &read).kind, MDM_OK);
    assert_int_equal(mdm_plist_size(read), 7);
    assert_string_equal(mdm_plist_string(mdm_plist_get(read, "PayloadDisplayName")), "A & B <c>");
    assert_true(mdm_plist_boolean(mdm_plist_get(read, "PayloadRemovalDisallowed"), &flag));
    assert_true(flag);
    assert_int_equal(mdm_plist_type(mdm_plist_get(read, "RemovalDate")), MDM_PLIST_DATE);
    assert_non_null(strstr(xml, "<date>2028-02-29T12:34:56Z</date>"));
    assert_int_equal(mdm_plist_type(mdm_plist_get(read, "DurationUntilRemoval")), MDM_PLIST_REAL);
    assert_true(mdm_plist_integer(mdm_plist_get(read, "TargetDeviceType"), &number));
    assert_int_equal(number, 1);
    list = mdm_plist_get(read, "ConsentText");
    assert_int_equal(mdm_plist_size(list), 2);
    assert_string_equal(mdm_plist_string(mdm_plist_get(list, "default")), "Yes.");
    assert_string_equal(mdm_plist_string(mdm_plist_get(list, "de")), "Ja.");
    list = mdm_plist_get(read, "ServerCapabilities");
    assert_int_equal(mdm_plist_size(list), 2);
    assert_string_equal(mdm_plist_string(mdm_plist_item(list, 0)), "com.apple.mdm.token");
}

static void dates_from_when_the_profile_is_made(void **state)
{
    /* 2026-11-26T12:00:00Z */
    const mdm_schema_target_t target = {.now = 1795694400};
    apr_array_header_t *settings = apr_array_make(pki_pool, 2, sizeof(mdm_setting_t *));
    const mdm_setting_t *culprit;

    (void)state;
    add(settings, "Configuration", "RemovalDate", "2028-02-29T12:34:56Z");
    add(settings, "Configuration", "PayloadExpirationDate", "+300d");
    assert_null(mdm_schema_check_together(pki_pool, settings, target.now, &culprit));
    for (int i = 0; i < 2; i++) { /* what was set stays as it is */
        mdm_plist_t *dict = mdm_plist_dict(pki_pool);
        apr_size_t len;
        const char *xml;

        assert_int_equal(mdm_schema_apply(pki_pool, dict, settings, &target).kind, MDM_OK);
        xml = mdm_plist_to_xml(pki_pool, dict, &len);
        assert_non_null(strstr(xml, "<date>2028-02-29T12:34:56Z</date>"));
        assert_non_null(strstr(xml, "<date>2027-09-22T12:00:00Z</date>"));
    }
}

static void one_consent_text_is_the_default(void **state)
{
    mdm_setting_t *setting;

    (void)state;
    assert_null(set("Configuration", "ConsentText", "Yes.", &setting));
    assert_int_equal(setting->texts->nelts, 2);
    assert_string_equal(mdm_text_fixed(APR_ARRAY_IDX(setting->texts, 0, const mdm_text_t *)),
                        "default");
    assert_string_equal(mdm_text_fixed(APR_ARRAY_IDX(setting->texts, 1, const mdm_text_t *)),
                        "Yes.");
}

static void topics(void **state)
{
    static const char *const bad[] = {"",
                                      "com.apple.mgmt.",
                                      "com.example.mgmt.x",
                                      "com.apple.mgmt.x y",
                                      "com.apple.mgmt.x\n",
                                      "com.apple.mgmt.<x>",
                                      "xcom.apple.mgmt.x"};

    (void)state;
    assert_null(mdm_schema_check_topic(
        pki_pool, "com.apple.mgmt.External.0a1b2c3d-0000-4000-8000-000000000000"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(mdm_schema_check_topic(pki_pool, bad[i]));
}

static void urls(void **state)
{
    static const char *const good[] = {
        "https://mdm.example.com", "https://mdm.example.com/mdm?a=b&c=d",
        "https://mdm.example.com:8443/mdm", "https://[::1]:8443/x", "https://192.0.2.1/"};
    static const char *const bad[] = {"",
                                      "mdm.example.com",
                                      "http://mdm.example.com/",
                                      "HTTPS://mdm.example.com/",
                                      "https://",
                                      "https:///mdm",
                                      "https://:443/mdm",
                                      "https://mdm.example.com/a b",
                                      "https://mdm.example.com/\"",
                                      "https://mdm.example.com/z\xc3\xab",
                                      "https://mdm.example.com/#x",
                                      "https://anna@mdm.example.com/",
                                      "https://anna:secret@mdm.example.com/",
                                      "https://mdm.example.com:0/",
                                      "https://mdm.example.com:65536/",
                                      "https://mdm.example.com:99999999999/",
                                      "https://mdm.example.com:x/"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(mdm_schema_check_url(pki_pool, good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *error = mdm_schema_check_url(pki_pool, bad[i]);
        if (error == NULL)
            fail_msg("%s was taken", bad[i]);
        assert_null(strstr(error, "secret"));
    }
}

static void identifiers(void **state)
{
    static const char *const bad[] = {"",           "com",       ".com.example", "com.example.",
                                      "com..x",     "com.ex am", "com.exämple",  "com/example",
                                      "com.exam\n", ".",         "com.example*"};
    char *longest = apr_pcalloc(pki_pool, 202);

    (void)state;
    assert_null(mdm_schema_check_identifier(pki_pool, "com.example.mdm-enroll.x_1"));
    memset(longest, 'x', 200);
    longest[3] = '.';
    assert_null(mdm_schema_check_identifier(pki_pool, longest));
    longest[200] = 'x';
    assert_non_null(mdm_schema_check_identifier(pki_pool, longest));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mdm_schema_check_identifier(pki_pool, bad[i]) == NULL)
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_settable_key),
        cmocka_unit_test(refused),
        cmocka_unit_test(set_elsewhere),
        cmocka_unit_test(payload_types),
        cmocka_unit_test(applied_values_read_back),
        cmocka_unit_test(dates_from_when_the_profile_is_made),
        cmocka_unit_test(one_consent_text_is_the_default),
        cmocka_unit_test(topics),
        cmocka_unit_test(urls),
        cmocka_unit_test(identifiers),
    };

    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
