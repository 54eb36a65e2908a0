/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_schema's tables: that they are whole in themselves. With --dump it prints them,
 * for the integration test that compares them with Apple's files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mdm_schema.h"
#include "mdm_schema_tables.h"

static const char *type_name(mdm_plist_type_t type)
{
    static const char *const names[] = {"string", "integer", "real",  "boolean",
                                        "date",   "data",    "array", "dictionary"};

    return names[type];
}

static void dump_rule(const char *payload, const mdm_schema_payload_t *of,
                      const mdm_schema_rule_t *rule)
{
    printf("%s\t%s\t%s\t%s\t%lld\t%lld\t", payload, rule->key,
           rule->instead == NULL ? "set"
           : rule->from_node     ? "node"
                                 : "ours",
           type_name(rule->type), (long long)rule->min, (long long)rule->max);
    for (int i = 0; rule->words != NULL && rule->words[i] != NULL; i++)
        printf("%s%s", i > 0 ? "|" : "", rule->words[i]);
    for (int i = MDM_PLATFORM_IOS; i < MDM_SCHEMA_PLATFORMS; i++) {
        int since = rule->os[i].introduced != 0 || of == NULL ? rule->os[i].introduced
                                                              : of->os[i].introduced;
        printf("\t%d-%d", since == MDM_SCHEMA_NEVER ? -1 : since, rule->os[i].removed);
    }
    printf("\n");
}

static void dump(void)
{
    for (const mdm_schema_payload_t *of = mdm_schema_tables; of->type != NULL; of++)
        for (const mdm_schema_rule_t *rule = of->rules; rule->key != NULL; rule++)
            dump_rule(of->type, of, rule);
    for (const mdm_schema_rule_t *rule = mdm_schema_common; rule->key != NULL; rule++)
        dump_rule("CommonPayloadKeys", NULL, rule);
}

static void check_rule(const mdm_schema_payload_t *of, const mdm_schema_rule_t *rule)
{
    int container = rule->type == MDM_PLIST_ARRAY || rule->type == MDM_PLIST_DICT;
    int pairs = container && rule->form != MDM_SCHEMA_LIST;

    assert_ptr_equal(mdm_schema_find_rule(of, rule->key), rule); /* each key once */
    if (rule->instead != NULL) {
        assert_true(rule->instead[0] != '\0');
        return;
    }
    if (rule->type == MDM_PLIST_DATA || (pairs != 0) != (rule->want_name != NULL) ||
        (rule->type == MDM_PLIST_DICT && !pairs) || (rule->from_node && rule->instead == NULL) ||
        (rule->type == MDM_PLIST_INTEGER && rule->max < 1) ||
        (rule->words != NULL && rule->want_text != NULL) ||
        (rule->want_number != NULL && rule->type != MDM_PLIST_INTEGER) ||
        (rule->want_text != NULL && rule->type != MDM_PLIST_STRING && !container))
        fail_msg("%s %s", of->type, rule->key);
}

static void tables_are_whole(void **state)
{
    int i = 0;

    (void)state;
    for (const mdm_schema_payload_t *of = mdm_schema_tables; of->type != NULL; of++, i++) {
        assert_string_equal(mdm_schema_payloads[i], of->type);
        assert_ptr_equal(mdm_schema_find_payload(of->type), of);
        for (const mdm_schema_rule_t *rule = of->rules; rule->key != NULL; rule++)
            check_rule(of, rule);
        for (const mdm_schema_rule_t *rule = mdm_schema_common; rule->key != NULL; rule++)
            check_rule(of, rule);
    }
    assert_null(mdm_schema_payloads[i]);
}

static void what_is_not_there(void **state)
{
    const char *instead = "x";

    (void)state;
    assert_null(mdm_schema_find_payload("com.apple.wifi.managed"));
    assert_null(mdm_schema_find_rule(mdm_schema_tables, "Colour"));
    assert_int_equal(mdm_schema_key("com.apple.mdm", "Colour", &instead), -1);
    assert_null(instead);
    assert_int_equal(mdm_schema_key("com.apple.wifi.managed", "Topic", NULL), -1);
    assert_int_equal(mdm_schema_key("com.apple.mdm", "Topic", &instead), 0);
    assert_string_equal(instead, "use MDMEnrollTopic");
    assert_int_equal(mdm_schema_key("com.apple.mdm", "AccessRights", &instead), 1);
    assert_null(instead);
    assert_int_equal(mdm_schema_key("com.apple.security.pkcs12", "Password", NULL), 1);
}

static void what_systems_know(void **state)
{
    static const struct {
        const char *payload, *key;
        mdm_system_t system;
        int known;
    } cases[] = {
        {"com.apple.mdm", "AccessRights", {MDM_PLATFORM_IOS, MDM_OS(9, 0, 0)}, 1},
        {"com.apple.mdm", "EnrollmentMode", {MDM_PLATFORM_IOS, MDM_OS(14, 8, 1)}, 0},
        {"com.apple.mdm", "EnrollmentMode", {MDM_PLATFORM_IOS, MDM_OS(15, 0, 0)}, 1},
        {"com.apple.mdm", "EnrollmentMode", {MDM_PLATFORM_IOS, 0}, 1},
        {"com.apple.mdm", "EnrollmentMode", {MDM_PLATFORM_TVOS, 0}, 0},
        {"com.apple.mdm", "EnrollmentMode", {MDM_PLATFORM_UNKNOWN, 0}, 1},
        {"com.apple.mdm", "ManagedAppleID", {MDM_PLATFORM_IOS, MDM_OS(13, 0, 0)}, 0},
        {"com.apple.mdm", "ManagedAppleID", {MDM_PLATFORM_IOS, MDM_OS(17, 7, 2)}, 1},
        {"com.apple.mdm", "ManagedAppleID", {MDM_PLATFORM_IOS, MDM_OS(18, 0, 0)}, 0},
        {"com.apple.mdm", "ManagedAppleID", {MDM_PLATFORM_IOS, 0}, 0},
        {"com.apple.mdm", "ManagedAppleID", {MDM_PLATFORM_UNKNOWN, 0}, 1},
        {"com.apple.security.scep", "KeyIsExtractable", {MDM_PLATFORM_MACOS, MDM_OS(10, 13, 3)}, 0},
        {"com.apple.security.scep", "KeyIsExtractable", {MDM_PLATFORM_MACOS, MDM_OS(10, 13, 4)}, 1},
        {"Profile Service", "PayloadDisplayName", {MDM_PLATFORM_WATCHOS, MDM_OS(1, 0, 0)}, 1},
    };
    static const struct {
        mdm_system_t system;
        int known;
    } acme[] = {{{MDM_PLATFORM_IOS, MDM_OS(15, 8, 0)}, 0},
                {{MDM_PLATFORM_IOS, MDM_OS(16, 0, 0)}, 1},
                {{MDM_PLATFORM_IOS, 0}, 1},
                {{MDM_PLATFORM_MACOS, MDM_OS(13, 0, 1)}, 0},
                {{MDM_PLATFORM_UNKNOWN, 0}, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (mdm_schema_knows_key(cases[i].payload, cases[i].key, cases[i].system) != cases[i].known)
            fail_msg("%zu: %s %s", i, cases[i].payload, cases[i].key);
    for (size_t i = 0; i < sizeof(acme) / sizeof(acme[0]); i++)
        assert_int_equal(mdm_schema_knows("com.apple.security.acme", acme[i].system),
                         acme[i].known);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_whole),
        cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(what_systems_know),
    };

    if (argc == 2 && strcmp(argv[1], "--dump") == 0) {
        dump();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
