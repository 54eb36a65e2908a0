/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_schema: values with expressions, values from property lists, settings that
 * stand together, and what of them a device gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "mdm_enrollment.h"
#include "mdm_schema.h"
#include "pki.h"
#include "text_fixture.h"

#define CONFIGURATION "Configuration"
#define MDM "com.apple.mdm"
#define SCEP "com.apple.security.scep"
#define ACME "com.apple.security.acme"

static mdm_enrollment_t row = {.user = "anna", .serial = "C02<&>"};

static const char *read_words(const char *payload, const char *key, const char *values,
                              mdm_setting_t **setting)
{
    return text_setting(payload, key, values, &text_compiler, setting);
}

static apr_array_header_t *add(apr_array_header_t *list, const char *payload, const char *key,
                               const char *values)
{
    mdm_setting_t *setting = NULL;
    const char *error = read_words(payload, key, values, &setting);

    if (error != NULL)
        fail_msg("%s", error);
    if (list == NULL)
        list = apr_array_make(pki_pool, 4, sizeof(mdm_setting_t *));
    APR_ARRAY_PUSH(list, mdm_setting_t *) = setting;
    return list;
}

/* What settings make for the row, on an iPhone of today. */
static mdm_result_t make(const apr_array_header_t *settings, mdm_plist_t **dict)
{
    const mdm_schema_target_t target = {
        {MDM_PLATFORM_IOS, MDM_OS(18, 1, 0)}, &text_evaluator, &row, 0};

    *dict = mdm_plist_dict(pki_pool);
    return mdm_schema_apply(pki_pool, *dict, settings, &target);
}

static const char *made(const char *payload, const char *key, const char *values)
{
    mdm_plist_t *dict;
    mdm_result_t r = make(add(NULL, payload, key, values), &dict);

    if (r.kind != MDM_OK)
        fail_msg("%s", r.log);
    return mdm_plist_string(mdm_plist_get(dict, key));
}

static void expressions(void **state)
{
    (void)state;
    assert_string_equal(made(MDM, "PayloadDisplayName", "Of %{user}: %{serial}!"),
                        "Of anna: C02<&>!");
    assert_string_equal(made(MDM, "PayloadDescription", "%%{user}"), "%{user}");
    row.user = "BYOD";
    assert_string_equal(made(MDM, "EnrollmentMode", "%{user}"), "BYOD");
    row.user = "anna";
}

/* Refused when evaluated, as constants are when read: which key, from what, what is wanted. */
static void refused_values(void **state)
{
    static const struct {
        const char *payload, *key, *values, *user, *wanted;
    } cases[] = {
        {MDM, "EnrollmentMode", "%{user}", "byod", "BYOD or ADDE"},
        {MDM, "PayloadDisplayName", "%{user}", "", "not empty"},
        {MDM, "PayloadDisplayName", "x%{user}", "\001", "UTF-8"},
        {MDM, "PayloadDisplayName", "x%{user}", "\xff", "UTF-8"},
        {MDM, "PayloadDisplayName", "%{broken}", "", "no reason"},
        {MDM, "ServerCapabilities", "com.apple.mdm.token|com.apple.mdm.%{user}", "token", "once"},
        {MDM, "ServerCapabilities", "com.apple.mdm.%{user}", "x", "com.apple.mdm.token"},
        {SCEP, "Subject", "O|x|CN|%{user}", "", "not empty"},
        {SCEP, "Subject", "OU|%{user}", "mdm-enroll:x", "mdm-enroll:"},
        {SCEP, "SubjectAltName", "dNSName|%{user}", "", "not empty"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_plist_t *dict;
        mdm_result_t r;

        row.user = cases[i].user;
        r = make(add(NULL, cases[i].payload, cases[i].key, cases[i].values), &dict);
        assert_int_equal(r.message, MDM_MSG_TEXT);
        assert_int_equal(mdm_plist_size(dict), 0);
        if (strstr(r.log, cases[i].key) == NULL || strstr(r.log, cases[i].wanted) == NULL ||
            strstr(r.log, "%{") == NULL)
            fail_msg("%zu: %s", i, r.log);
    }
    row.user = "anna";
}

/* Told when read. */
static void refused_sources(void **state)
{
    static const struct {
        const char *payload, *key, *values, *wanted;
    } cases[] = {
        {MDM, "PayloadDisplayName", "%{nobody}", "no such variable"},
        {MDM, "PayloadDisplayName", "%{user", "a } at the end"},
        {MDM, "PayloadDisplayName", "%{user}\001", "UTF-8"},
        {MDM, "AccessRights", "%{user}", "a whole number"},
        {MDM, "SignMessage", "%{user}", "true or false"},
        {MDM, "ServerCapabilities", "com.apple.mdm.token|x%{nobody}", "no such variable"},
        {MDM, "ServerURLPinningCertificateUUIDs", "", "PayloadUUID"},
        {CONFIGURATION, "ConsentText", "%{user}|text", "a language"},
        {CONFIGURATION, "ConsentText", "en|a|en|b", "each language once"},
        {SCEP, "Subject", "CN", "a text behind each name: C, L, ST"},
        {SCEP, "Subject", "X|y", "C, L, ST, O, OU, CN or an OID"},
        {SCEP, "Subject", "1.02.3|y", "an OID"},
        {SCEP, "Subject", "3.1|y", "an OID"},
        {SCEP, "Subject", "+CN|y", "without a +"},
        {SCEP, "Subject", "OU|mdm-enroll:y", "does not begin with"},
        {SCEP, "SubjectAltName", "dnsName|x", "dNSName, ntPrincipalName"},
        {SCEP, "SubjectAltName", "dNSName", "a text behind each name"},
        {ACME, "KeySize", "512", "256, 384 or 521"},
        {ACME, "KeySize", "2049", "steps of 8"},
        {ACME, "KeyType", "EC", "RSA or ECSECPrimeRandom"},
        {ACME, "ExtendedKeyUsage", "clientAuth", "an OID"},
        {ACME, "UsageFlags", "2", "1, 4 or 5"},
        {ACME, "DirectoryURL", "https://x/", "MDMEnrollIdentity"},
        {"com.apple.security.root", "PayloadContent", "x", "MDMEnrollCertificate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_setting_t *setting = NULL;
        const char *error = read_words(cases[i].payload, cases[i].key, cases[i].values, &setting);

        if (error == NULL || strstr(error, cases[i].wanted) == NULL ||
            strstr(error, cases[i].key) == NULL)
            fail_msg("%zu: %s", i, error);
        assert_null(setting);
    }
}

static void assert_xml(const mdm_plist_t *node, const char *wanted)
{
    apr_size_t len;
    const char *xml = mdm_plist_to_xml(pki_pool, node, &len);
    char *flat = apr_palloc(pki_pool, len + 1), *to = flat;

    for (const char *c = xml; *c != '\0'; c++)
        if (*c != '\n' && *c != '\t')
            *to++ = *c;
    *to = '\0';
    if (strstr(flat, wanted) == NULL)
        fail_msg("%s\nlacks %s", flat, wanted);
}

static void names_and_subjects(void **state)
{
    mdm_plist_t *dict;
    apr_array_header_t *list =
        add(NULL, SCEP, "Subject", "O|Example|CN|%{user}|+2.5.4.5|%{serial}|OU|x");

    (void)state;
    add(list, SCEP, "SubjectAltName",
        "dNSName|a.example|rfc822Name|%{user}@example.com|dNSName|b.example|dNSName|c.example");
    assert_int_equal(make(list, &dict).kind, MDM_OK);
    assert_xml(mdm_plist_get(dict, "Subject"),
               "<array><array><array><string>O</string><string>Example</string></array></array>"
               "<array><array><string>CN</string><string>anna</string></array>"
               "<array><string>2.5.4.5</string><string>C02&lt;&amp;&gt;</string></array></array>"
               "<array><array><string>OU</string><string>x</string></array></array></array>");
    dict = mdm_plist_get(dict, "SubjectAltName");
    assert_int_equal(mdm_plist_size(dict), 2);
    assert_string_equal(mdm_plist_string(mdm_plist_get(dict, "rfc822Name")), "anna@example.com");
    assert_int_equal(mdm_plist_size(mdm_plist_get(dict, "dNSName")), 3);
}

/* Only the last one counts, also where it is nothing. */
static void the_last_counts(void **state)
{
    mdm_plist_t *dict;
    apr_array_header_t *list = add(NULL, MDM, "ServerCapabilities", "com.apple.mdm.token");

    (void)state;
    add(list, MDM, "PayloadDescription", "%{broken}");
    add(list, MDM, "PayloadDescription", "good");
    add(list, MDM, "ServerCapabilities", "none");
    assert_int_equal(make(list, &dict).kind, MDM_OK);
    assert_int_equal(mdm_plist_size(dict), 1);
    assert_int_equal(mdm_schema_find(list, "ServerCapabilities")->texts->nelts, 0);
    assert_null(mdm_schema_find(list, "SignMessage"));
    assert_null(mdm_schema_find(NULL, "SignMessage"));
}

static void systems(void **state)
{
    const mdm_schema_target_t old = {
        {MDM_PLATFORM_IOS, MDM_OS(12, 1, 0)}, &text_evaluator, &row, 0};
    const mdm_schema_target_t tv = {{MDM_PLATFORM_TVOS, 0}, &text_evaluator, &row, 0};
    const mdm_schema_target_t any = {{MDM_PLATFORM_UNKNOWN, 0}, &text_evaluator, &row, 0};
    apr_array_header_t *list = add(NULL, CONFIGURATION, "TargetDeviceType", "1");
    mdm_plist_t *dict = mdm_plist_dict(pki_pool);

    (void)state;
    add(list, CONFIGURATION, "PayloadScope", "User");
    assert_int_equal(mdm_schema_apply(pki_pool, dict, list, &old).kind, MDM_OK);
    assert_int_equal(mdm_plist_size(dict), 1); /* TargetDeviceType is of iOS 12.2 */
    /* Whatever it is: a device that does not know the key is not asked for its value. */
    list = add(NULL, MDM, "EnrollmentMode", "%{broken}");
    dict = mdm_plist_dict(pki_pool);
    assert_int_equal(mdm_schema_apply(pki_pool, dict, list, &tv).kind, MDM_OK);
    assert_int_equal(mdm_plist_size(dict), 0);
    assert_int_equal(mdm_schema_apply(pki_pool, dict, list, &any).message, MDM_MSG_TEXT);
}

static mdm_plist_t *parsed(const char *xml)
{
    mdm_plist_t *root = NULL;
    const char *whole = apr_pstrcat(pki_pool, "<plist>", xml, "</plist>", NULL);

    assert_int_equal(mdm_plist_parse(pki_pool, whole, strlen(whole), &root).kind, MDM_OK);
    return root;
}

static void from_nodes(void **state)
{
    static const struct {
        const char *payload, *key, *xml;
    } cases[] = {
        {CONFIGURATION, "PayloadDisplayName", "<string>A &amp; %{user}</string>"},
        {CONFIGURATION, "PayloadDescription", "<string/>"},
        {CONFIGURATION, "HasRemovalPasscode", "<true/>"},
        {CONFIGURATION, "TargetDeviceType", "<integer>5</integer>"},
        {CONFIGURATION, "DurationUntilRemoval", "<real>86400.5</real>"},
        {CONFIGURATION, "RemovalDate", "<date>2031-01-02T03:04:05Z</date>"},
        {CONFIGURATION, "ConsentText",
         "<dict><key>default</key><string>Yes.</string><key>de</key><string>Ja.</string></dict>"},
        {MDM, "ServerCapabilities", "<array><string>com.apple.mdm.token</string></array>"},
        {SCEP, "Challenge", "<string>%{user}</string>"},
        {SCEP, "CAFingerprint", "<data>AAEC</data>"},
        {SCEP, "Subject",
         "<array><array><array><string>CN</string><string>a</string></array>"
         "<array><string>OU</string><string>b</string></array></array></array>"},
        {SCEP, "SubjectAltName",
         "<dict><key>dNSName</key><array><string>a</string><string>b</string></array>"
         "<key>rfc822Name</key><string>c</string></dict>"},
        {"com.apple.security.pkcs12", "Password", "<string>x</string>"},
        {"com.apple.security.root", "PayloadContent", "<data>AAEC</data>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_setting_t *setting = NULL;
        apr_array_header_t *list = apr_array_make(pki_pool, 1, sizeof(mdm_setting_t *));
        mdm_plist_t *node = parsed(cases[i].xml), *dict;
        const char *error = mdm_schema_setting_from(pki_pool, cases[i].payload, cases[i].key, node,
                                                    &text_compiler, &setting),
                   *xml;
        apr_size_t len;

        if (error != NULL)
            fail_msg("%zu: %s", i, error);
        APR_ARRAY_PUSH(list, mdm_setting_t *) = setting;
        assert_int_equal(make(list, &dict).kind, MDM_OK);
        xml = mdm_plist_to_xml(pki_pool, mdm_plist_get(dict, cases[i].key), &len);
        if (strstr(cases[i].xml, "%{") == NULL)
            assert_string_equal(xml, mdm_plist_to_xml(pki_pool, node, &len));
        else
            assert_non_null(strstr(xml, "anna"));
    }
}

static void refused_nodes(void **state)
{
    static const struct {
        const char *payload, *key, *xml, *wanted;
    } cases[] = {
        {MDM, "AccessRights", "<string>8191</string>", "<string>, wanted is <integer>"},
        {MDM, "AccessRights", "<integer>0</integer>", "from 1 to 8191"},
        {MDM, "AccessRights", "<integer>-1</integer>", "from 1 to 8191"},
        {MDM, "SignMessage", "<integer>1</integer>", "<true/> or <false/>"},
        {MDM, "ServerURL", "<string>https://x/</string>", "MDMEnrollServer"},
        {MDM, "ServerCapabilities", "<array><integer>1</integer></array>", "only strings"},
        {MDM, "ServerURLPinningCertificateUUIDs", "<array/>", "at least one"},
        {SCEP, "Subject", "<array><string>CN</string></array>", "[[["},
        {SCEP, "Subject", "<array><array><array><string>CN</string></array></array></array>",
         "[[["},
        {SCEP, "SubjectAltName", "<dict><key>x</key><string>y</string></dict>", "dNSName"},
        {SCEP, "Keysize", "<integer>1024</integer>", "2048"},
        {CONFIGURATION, "RemovalDate", "<string>tomorrow</string>", "a date such as"},
        {CONFIGURATION, "ConsentText", "<dict/>", "at least one"},
        {CONFIGURATION, "Colour", "<string>red</string>", "\"PayloadScope\""},
        {"com.apple.security.root", "PayloadContent", "<string>x</string>", "<data>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_setting_t *setting = NULL;
        const char *error = mdm_schema_setting_from(pki_pool, cases[i].payload, cases[i].key,
                                                    parsed(cases[i].xml), &text_compiler, &setting);

        if (error == NULL || strstr(error, cases[i].wanted) == NULL)
            fail_msg("%zu: %s", i, error);
        assert_null(setting);
    }
}

/* Neither a value nor its source: the password may be in either. */
static void secrets_are_not_told(void **state)
{
    static const char *const bad[] = {"<string>hush%{nobody}</string>", "<string>hush%{</string>"};
    apr_array_header_t *list = apr_array_make(pki_pool, 1, sizeof(mdm_setting_t *));
    mdm_setting_t *setting = NULL;
    mdm_plist_t *dict;
    mdm_result_t r;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *error =
            mdm_schema_setting_from(pki_pool, "com.apple.security.pkcs12", "Password",
                                    parsed(bad[i]), &text_compiler, &setting);
        assert_non_null(strstr(error, "Password"));
        assert_null(strstr(error, "hush"));
    }
    for (int broken = 0; broken < 2; broken++) {
        row.user = "secret\001";
        assert_null(mdm_schema_setting_from(
            pki_pool, SCEP, "Challenge",
            parsed(broken ? "<string>hush%{broken}</string>" : "<string>hush%{user}</string>"),
            &text_compiler, &setting));
        apr_array_clear(list);
        APR_ARRAY_PUSH(list, mdm_setting_t *) = setting;
        r = make(list, &dict);
        assert_int_equal(r.message, MDM_MSG_TEXT);
        assert_non_null(strstr(r.log, "Challenge"));
        assert_null(strstr(r.log, "hush"));
        assert_null(strstr(r.log, "secret"));
    }
    row.user = "anna";
}

#define FUTURE "2031-01-02T03:04:05Z"
#define IN_2027 APR_INT64_C(1800000000)

static void together(void **state)
{
    static const struct {
        const char *payload, *settings[6], *culprit, *wanted; /* key, values, key, values … */
    } cases[] = {
        {MDM, {"AccessRights", "1", "EnrollmentMode", "BYOD"}, "AccessRights", "one of the two"},
        {MDM, {"AccessRights", "1", "EnrollmentMode", "ADDE"}, NULL, NULL},
        {MDM, {"AccessRights", "1", "EnrollmentMode", "%{user}"}, NULL, NULL},
        {MDM, {"ManagedAppleID", "a", "EnrollmentMode", "ADDE"}, "ManagedAppleID", "one of"},
        {MDM, {"AssignedManagedAppleID", "a"}, "AssignedManagedAppleID", "EnrollmentMode"},
        {MDM, {"AssignedManagedAppleID", "a", "EnrollmentMode", "BYOD"}, NULL, NULL},
        {MDM, {"RequiredAppIDForMDM", "1"}, "RequiredAppIDForMDM", "EnrollmentMode"},
        {CONFIGURATION, {"RemovalDate", "2026-01-02T03:04:05Z"}, "RemovalDate", "in the future"},
        {CONFIGURATION, {"RemovalDate", FUTURE, "DurationUntilRemoval", "9"}, NULL, NULL},
        {CONFIGURATION, {"RemovalDate", "2026-01-02T03:04:05Z", "RemovalDate", FUTURE}, NULL, NULL},
        {CONFIGURATION,
         {"PayloadExpirationDate", "2026-01-02T03:04:05Z"},
         "PayloadExpirationDate",
         "in the future"},
        {ACME, {"Attest", "true", "HardwareBound", "false"}, "Attest", "HardwareBound true"},
        {ACME, {"Attest", "true", "HardwareBound", "true"}, NULL, NULL},
        {ACME, {"HardwareBound", "true", "KeyType", "RSA"}, "KeyType", "ECSECPrimeRandom"},
        {ACME, {"HardwareBound", "true", "KeySize", "521"}, "KeySize", "256 or 384"},
        {ACME, {"KeyType", "RSA", "KeySize", "384"}, "KeySize", "2048 to 4096"},
        {ACME, {"KeyType", "ECSECPrimeRandom", "KeySize", "2048"}, "KeySize", "256, 384"},
        {ACME, {"KeyType", "ECSECPrimeRandom", "KeySize", "521"}, NULL, NULL},
        {SCEP, {"Retries", "1"}, NULL, NULL},
    };
    const mdm_setting_t *culprit = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_array_header_t *list = NULL;
        const char *error;

        for (int k = 0; k < 6 && cases[i].settings[k] != NULL; k += 2)
            list = add(list, cases[i].payload, cases[i].settings[k], cases[i].settings[k + 1]);
        culprit = NULL;
        error = mdm_schema_check_together(pki_pool, list, IN_2027, &culprit);
        if (cases[i].culprit == NULL) {
            assert_null(error);
            assert_null(culprit);
            continue;
        }
        if (error == NULL || strstr(error, cases[i].wanted) == NULL)
            fail_msg("%zu: %s", i, error);
        assert_string_equal(culprit->key, cases[i].culprit);
    }
    assert_null(mdm_schema_check_together(pki_pool, NULL, 0, &culprit));
    assert_null(mdm_schema_check_together(
        pki_pool, add(NULL, CONFIGURATION, "RemovalDate", "2026-01-02T03:04:05Z"), 0, &culprit));
}

static void urls(void **state)
{
    static const char *const bad[] = {
        "https://%{user}.example.com/",      "https://mdm.example.com%{user}/",
        "https://mdm.example.com:%{user}/",  "%{user}",
        "http://mdm.example.com/%{user}",    "https://mdm.example.com/%{user} x",
        "https://mdm.example.com/#%{user}",  "https://mdm.example.com/%%{user}",
        "https://mdm.example.com/%{nobody}", "https://%{user}@mdm.example.com/"};
    const mdm_schema_target_t target = {{MDM_PLATFORM_UNKNOWN, 0}, &text_evaluator, &row, 0};
    const mdm_text_t *text = NULL;
    const char *url = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(mdm_schema_url_text(pki_pool, bad[i], &text_compiler, &text));
        assert_null(text);
    }
    assert_null(mdm_schema_url_text(pki_pool, "https://mdm.example.com/%{user}?s=%{serial}",
                                    &text_compiler, &text));
    row.user = "a/b \xc3\xab#?";
    assert_int_equal(mdm_schema_url(pki_pool, text, &target, &url).kind, MDM_OK);
    assert_string_equal(url, "https://mdm.example.com/a%2Fb%20%C3%AB%23%3F?s=C02%3C%26%3E");
    row.user = "anna";
    assert_null(mdm_schema_url_text(pki_pool, "https://mdm.example.com/x?%{broken}", &text_compiler,
                                    &text));
    assert_int_equal(mdm_schema_url(pki_pool, text, &target, &url).message, MDM_MSG_TEXT);
    assert_null(mdm_schema_url_text(pki_pool, "https://mdm.example.com?a=b", NULL, &text));
    assert_int_equal(mdm_schema_url(pki_pool, text, &target, &url).kind, MDM_OK);
    assert_string_equal(url, "https://mdm.example.com?a=b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions),
        cmocka_unit_test(refused_values),
        cmocka_unit_test(refused_sources),
        cmocka_unit_test(names_and_subjects),
        cmocka_unit_test(the_last_counts),
        cmocka_unit_test(systems),
        cmocka_unit_test(from_nodes),
        cmocka_unit_test(refused_nodes),
        cmocka_unit_test(together),
        cmocka_unit_test(urls),
        cmocka_unit_test(secrets_are_not_told),
    };

    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
