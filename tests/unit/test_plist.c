/* SPDX-License-Identifier: Apache-2.0
 * mdm_plist and mdm_xml: what is built, what is read, what is refused. Depends on core and pki.
 */
#include "mdm_plist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_strings.h>
#include <cmocka.h>

#include "mdm_xml.h"
#include "pki.h"

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "                                      \
    "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
#define PLIST(body) "<plist version=\"1.0\">" body "</plist>"
#define VALUE(value) PLIST("<dict><key>a</key>" value "</dict>")

static mdm_plist_t *parse(const char *text)
{
    mdm_plist_t *root = NULL;
    mdm_result_t r = mdm_plist_parse(pki_pool, text, strlen(text), &root);
    if (r.kind != MDM_OK)
        print_message("%s\n%s\n", text, r.log);
    assert_int_equal(r.kind, MDM_OK);
    return root;
}

static const char *to_xml(mdm_plist_t *node)
{
    apr_size_t len = 0;
    const char *xml = mdm_plist_to_xml(pki_pool, node, &len);
    assert_non_null(xml);
    assert_int_equal(strlen(xml), len);
    return xml;
}

static void every_type_survives_a_round_trip(void **state)
{
    (void)state;
    mdm_plist_t *dict = mdm_plist_dict(pki_pool);
    mdm_plist_set_string(dict, "k<&>", "a<b>&\"'\t\xC3\xA4\xF0\x9F\x98\x80");
    mdm_plist_set_integer(dict, "integer", 0x7FFFFFFFFFFFFFFFULL);
    mdm_plist_set_real(dict, "real", 0.5);
    mdm_plist_set_boolean(dict, "yes", 7);
    mdm_plist_set_boolean(dict, "no", 0);
    mdm_plist_set_data(dict, "data", "\0\1\2\xff", 4);
    mdm_plist_set_data(dict, "empty", NULL, 0);
    mdm_plist_t *array = mdm_plist_array(pki_pool);
    mdm_plist_append_string(array, "one");
    mdm_plist_append(array, mdm_plist_dict(pki_pool));
    mdm_plist_set(dict, "array", array);

    mdm_plist_t *read = parse(to_xml(dict));
    apr_size_t len = 0;
    apr_uint64_t integer = 0;
    int boolean = 0;
    assert_int_equal(mdm_plist_size(read), 8);
    assert_string_equal(mdm_plist_string(mdm_plist_get(read, "k<&>")),
                        "a<b>&\"'\t\xC3\xA4\xF0\x9F\x98\x80");
    assert_true(mdm_plist_integer(mdm_plist_get(read, "integer"), &integer));
    assert_true(integer == 0x7FFFFFFFFFFFFFFFULL);
    assert_string_equal(mdm_plist_text(pki_pool, mdm_plist_get(read, "real")), "0.5");
    assert_true(mdm_plist_boolean(mdm_plist_get(read, "yes"), &boolean));
    assert_int_equal(boolean, 1);
    assert_true(mdm_plist_boolean(mdm_plist_get(read, "no"), &boolean));
    assert_int_equal(boolean, 0);
    assert_memory_equal(mdm_plist_data(mdm_plist_get(read, "data"), &len), "\0\1\2\xff", 4);
    assert_int_equal(len, 4);
    assert_non_null(mdm_plist_data(mdm_plist_get(read, "empty"), &len));
    assert_int_equal(len, 0);
    mdm_plist_t *items = mdm_plist_get(read, "array");
    assert_int_equal(mdm_plist_size(items), 2);
    assert_string_equal(mdm_plist_string(mdm_plist_item(items, 0)), "one");
    assert_int_equal(mdm_plist_type(mdm_plist_item(items, 1)), MDM_PLIST_DICT);
    assert_null(mdm_plist_item(items, 2));
}

static void dates_are_written_for_every_year(void **state)
{
    (void)state;
    static const struct {
        apr_int64_t seconds;
        const char *text;
    } dates[] = {{0, "1970-01-01T00:00:00Z"},
                 {978307199, "2000-12-31T23:59:59Z"},
                 {1767225600, "2026-01-01T00:00:00Z"},
                 {4102444800, "2100-01-01T00:00:00Z"}, /* past plist_new_date()'s end */
                 {-5, "1970-01-01T00:00:00Z"},
                 {APR_INT64_MAX, "9999-12-31T23:59:59Z"}};
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        mdm_plist_t *dict = mdm_plist_dict(pki_pool);
        mdm_plist_set_date(dict, "d", dates[i].seconds);
        assert_int_equal(mdm_plist_type(mdm_plist_get(dict, "d")), MDM_PLIST_DATE);
        const char *wanted = apr_pstrcat(pki_pool, "<date>", dates[i].text, "</date>", NULL);
        assert_non_null(strstr(to_xml(dict), wanted));
    }
}

static void a_key_set_twice_has_the_second_value(void **state)
{
    (void)state;
    mdm_plist_t *dict = mdm_plist_dict(pki_pool);
    mdm_plist_set_string(dict, "k", "first");
    mdm_plist_set(dict, "k", mdm_plist_array(pki_pool));
    mdm_plist_set_string(dict, "k", "second");
    assert_int_equal(mdm_plist_size(dict), 1);
    assert_string_equal(mdm_plist_string(mdm_plist_get(dict, "k")), "second");
}

/* Run under valgrind or AddressSanitizer this shows that nothing is freed twice or not at all. */
static void a_member_belongs_to_its_parent(void **state)
{
    (void)state;
    apr_pool_t *shorter = NULL;
    assert_int_equal(apr_pool_create(&shorter, pki_pool), APR_SUCCESS);
    mdm_plist_t *dict = mdm_plist_dict(pki_pool);
    mdm_plist_t *child = mdm_plist_dict(shorter);
    mdm_plist_set(dict, "child", child);
    mdm_plist_set_string(child, "late", "x");
    mdm_plist_t *other = mdm_plist_dict(shorter);
    mdm_plist_set(other, "copy", mdm_plist_get(dict, "child"));
    apr_pool_destroy(shorter);
    assert_string_equal(mdm_plist_string(mdm_plist_get(mdm_plist_get(dict, "child"), "late")), "x");
}

static int collect(void *ctx, const char *key, mdm_plist_t *value)
{
    char *keys = ctx;
    strcat(strcat(keys, key), mdm_plist_string(value));
    return strcmp(key, "c") == 0 ? 42 : 0;
}

static void each_visits_in_order_until_stopped(void **state)
{
    (void)state;
    char keys[32] = "";
    mdm_plist_t *dict = mdm_plist_dict(pki_pool);
    mdm_plist_set_string(dict, "b", "1");
    mdm_plist_set_string(dict, "a", "2");
    assert_int_equal(mdm_plist_each(dict, collect, keys), 0);
    assert_string_equal(keys, "b1a2");
    mdm_plist_set_string(dict, "c", "3");
    mdm_plist_set_string(dict, "d", "4");
    keys[0] = '\0';
    assert_int_equal(mdm_plist_each(dict, collect, keys), 42);
    assert_string_equal(keys, "b1a2c3");
    assert_int_equal(mdm_plist_each(mdm_plist_array(pki_pool), collect, keys), 0);
}

static void getters_refuse_other_types(void **state)
{
    (void)state;
    apr_size_t len = 0;
    apr_uint64_t integer = 0;
    int boolean = 0;
    mdm_plist_t *root = parse(PLIST("<dict><key>s</key><string>x</string><key>i</key>"
                                    "<integer>-1</integer><key>d</key>"
                                    "<date>2026-01-01T00:00:00Z</date></dict>"));
    mdm_plist_t *string = mdm_plist_get(root, "s");
    mdm_plist_t *negative = mdm_plist_get(root, "i");
    assert_null(mdm_plist_get(root, "none"));
    assert_null(mdm_plist_get(string, "s"));
    assert_null(mdm_plist_get(NULL, "s"));
    assert_null(mdm_plist_string(negative));
    assert_null(mdm_plist_string(NULL));
    assert_null(mdm_plist_data(string, &len));
    assert_false(mdm_plist_integer(string, &integer));
    assert_false(mdm_plist_integer(negative, &integer));
    assert_false(mdm_plist_integer(NULL, &integer));
    assert_false(mdm_plist_boolean(string, &boolean));
    assert_null(mdm_plist_item(root, 0));
    assert_int_equal(mdm_plist_size(NULL), 0);
    assert_int_equal(mdm_plist_size(string), 0);
    assert_int_equal(mdm_plist_type(mdm_plist_get(root, "d")), MDM_PLIST_DATE);
}

static void scalars_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        const char *text;
    } cases[] = {
        {VALUE("<string>x &amp; y</string>"), "x & y"},
        {VALUE("<string/>"), ""},
        {VALUE("<string></string>"), ""},
        {VALUE("<string>&#65;&#x1F600;&lt;&gt;&quot;&apos;</string>"), "A\xF0\x9F\x98\x80<>\"'"},
        {VALUE("<data>YWI=</data>"), "ab"},
        {VALUE("<data>\n\tYWJj\n\tZA==\n</data>"), "abcd"},
        {VALUE("<data>YQBi</data>"), NULL}, /* a NUL */
        {VALUE("<data/>"), ""},
        {VALUE("<integer>0</integer>"), "0"},
        {VALUE("<integer> 501 </integer>"), "501"},
        {VALUE("<integer>-2</integer>"), "-2"},
        {VALUE("<integer>9223372036854775807</integer>"), "9223372036854775807"},
        {VALUE("<integer>-9223372036854775808</integer>"), "-9223372036854775808"},
        {VALUE("<real>1.25</real>"), "1.25"},
        {VALUE("<true/>"), "true"},
        {VALUE("<false></false>"), "false"},
        {VALUE("<date>2026-01-01T00:00:00Z</date>"), NULL},
        {VALUE("<array/>"), NULL},
        {VALUE("<dict/>"), NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = mdm_plist_text(pki_pool, mdm_plist_get(parse(cases[i].xml), "a"));
        if (cases[i].text) {
            assert_non_null(text);
            assert_string_equal(text, cases[i].text);
        } else {
            assert_null(text);
        }
    }
    assert_null(mdm_plist_text(pki_pool, NULL));
}

static void text_that_xml_can_carry(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain",
                                       "tab\tand\nline",
                                       "\x7f",
                                       "\xC2\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBD",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x01",
                                      "\x1f",
                                      "\r",
                                      "\x80",
                                      "\xC2",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80" /* surrogate */,
                                      "\xEF\xBF\xBE",
                                      "\xEF\xBF\xBF",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF8\x88\x80\x80\x80",
                                      "\xFF",
                                      "a\xE2\x82",
                                      "\xE2\x28\xA1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(mdm_plist_text_ok(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(mdm_plist_text_ok(bad[i]));
}

static void real_documents_are_taken(void **state)
{
    (void)state;
    static const char *const good[] = {
        HEAD VALUE("<string>x</string>"),
        "\xEF\xBB\xBF" HEAD VALUE("<true/>") "\n",
        " \n" VALUE("<true/>"),
        "<?xml version='1.0' encoding='utf-8'?>" VALUE("<true/>"),
        "<?xml version=\"1.0\"?>\n<!-- by hand --><plist><dict/></plist><!-- end -->\n",
        PLIST("<dict ><key>a</key ><!-- note --><true /></dict>"),
        PLIST("<array><string>a</string><integer>1</integer></array>"),
        PLIST("<string>alone</string>"),
        PLIST("<dict></dict>"),
        VALUE("<string>]]&gt; 'quoted\" &#xA;</string>"),
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        parse(good[i]);
}

static void refuse(const char *text, apr_size_t len, mdm_message_t message)
{
    mdm_plist_t *root = NULL;
    mdm_result_t r = mdm_plist_parse(pki_pool, text, len, &root);
    if (r.message != message)
        print_message("%.200s\n%s\n", text, r.log);
    assert_int_equal(r.message, message);
    assert_int_equal(r.kind, MDM_MALFORMED);
    assert_null(root);
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "\xEF\xBB\xBF",
        "bplist00\xd0",
        "{\"a\":\"b\"}",
        "{ a = b; }",
        "<dict/>",
        "<?xml version=\"1.0\"?>",
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" VALUE("<true/>"),
        "<?xml version=\"1.0\" encoding = 'UTF-16'?>" VALUE("<true/>"),
        "<?xml version=\"1.0?>" VALUE("<true/>"),
        "<?xml-stylesheet href=\"x\"?>" VALUE("<true/>"),
        HEAD "<?php x ?>" VALUE("<true/>"),
        PLIST("<?x?><dict/>"),
        "<!DOCTYPE plist [<!ENTITY e \"x\">]>" VALUE("<string>&e;</string>"),
        "<!DOCTYPE plist []>" VALUE("<true/>"),
        "<!DOCTYPE plist SYSTEM \"a>b\">" VALUE("<true/>"),
        "<!DOCTYPE html>" VALUE("<true/>"),
        "<!DOCTYPEplist>" VALUE("<true/>"),
        "<!DOCTYPE plist><!DOCTYPE plist>" VALUE("<true/>"),
        "<!DOCTYPE plist",
        "<!ENTITY e \"x\">" VALUE("<true/>"),
        "<!-- open " VALUE("<true/>"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(bad[i], strlen(bad[i]), MDM_MSG_PLIST_FORMAT);
    refuse(VALUE("<string>a\0b</string>"), sizeof(VALUE("<string>a\0b</string>")) - 1,
           MDM_MSG_PLIST_FORMAT);
}

static void malformed_xml_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        VALUE("<string>x</string>") "x",
        VALUE("<string>x</string>") "<plist/>",
        VALUE("<string>x</string>") VALUE("<string>x</string>"),
        "<plist><dict><key>a</key><string>x</string></dict>",
        "<plist><dict><key>a</key><string>x",
        "<plist/>",
        "<plist><plist><dict/></plist></plist>",
        "<plist><dict></array></plist>",
        PLIST("<dict><key>a</key>text<true/></dict>"),
        VALUE("<string>x</data>"),
        VALUE("<string><![CDATA[x]]></string>"),
        VALUE("<string>a<!-- c -->b</string>"),
        VALUE("<string>a<true/>b</string>"),
        VALUE("<string a=\"b\">x</string>"),
        VALUE("<true>x</true>"),
        VALUE("<true><string/></true>"),
        VALUE("<null/>"),
        VALUE("<String>x</String>"),
        VALUE("<string"),
        VALUE("< string>x</string>"),
        VALUE("<string/ >"),
        VALUE("<string>a & b</string>"),
        VALUE("<string>a&</string>"),
        VALUE("<string>&;</string>"),
        VALUE("<string>&ampersand;</string>"),
        VALUE("<string>&nbsp;</string>"),
        VALUE("<string>&#0;</string>"),
        VALUE("<string>&#1;</string>"),
        VALUE("<string>&#xD800;</string>"),
        VALUE("<string>&#x110000;</string>"),
        VALUE("<string>&#;</string>"),
        VALUE("<string>&#x;</string>"),
        VALUE("<string>&#00000000065;</string>"),
        VALUE("<string>\x01</string>"),
        VALUE("<string>\xC0\x80</string>"),
        VALUE("<string>\xFF</string>"),
        VALUE("<data>YW*=</data>"),
        VALUE("<integer/>"),
        VALUE("<integer></integer>"),
        VALUE("<integer>x</integer>"),
        VALUE("<integer>010</integer>"), /* libplist: 8 */
        VALUE("<integer>0x10</integer>"),
        VALUE("<integer>1 2</integer>"),
        VALUE("<integer>- 1</integer>"),
        VALUE("<integer>9223372036854775808</integer>"),
        VALUE("<integer>99999999999999999999999</integer>"),
        PLIST("<dict><key/><true/></dict>"),
        "<plist version=\"1.0><dict/></plist>",
        "<plist version='1.0'><dict/></plist>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(bad[i], strlen(bad[i]), MDM_MSG_PLIST_FORMAT);
}

static void wrong_structure_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<plist></plist>",
        PLIST("<string>a</string><string>b</string>"),
        PLIST("<key>a</key>"),
        PLIST("<dict><key>a</key></dict>"),
        PLIST("<dict><string>a</string></dict>"),
        PLIST("<dict><key>a</key><key>b</key></dict>"),
        PLIST("<array><key>a</key></array>"),
        PLIST("<dict><key>a</key><true/><key>a</key><false/></dict>"),
        PLIST("<dict><key>a</key><true/><key>&#97;</key><false/></dict>"),
        PLIST("<array><dict><key>a</key><true/><key>a</key><true/></dict></array>"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(bad[i], strlen(bad[i]), MDM_MSG_PLIST_STRUCTURE);
}

/* libplist and the comparison with what it read would refuse these as well; they never get there.
 */
static void structure_is_judged_before_libplist(void **state)
{
    (void)state;
    static const char *const bad[] = {
        PLIST("<string>a</string><string>b</string>"),
        PLIST("<dict><string>a</string><string>b</string></dict>"),
        PLIST("<dict><key>a</key><key>b</key></dict>"),
        PLIST("<array><key>a</key></array>"),
        VALUE("<true><string/></true>"),
    };
    mdm_xml_counts_t counts = {0, 0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(mdm_xml_check(pki_pool, bad[i], strlen(bad[i]), 16, &counts).kind,
                         MDM_MALFORMED);
    }
    const char *good = PLIST("<dict><key>a</key><array><true/><dict/></array></dict>");
    assert_int_equal(mdm_xml_check(pki_pool, good, strlen(good), 16, &counts).kind, MDM_OK);
    assert_int_equal(counts.keys, 1);
    assert_int_equal(counts.values, 4);
}

static char *repeat(const char *text, int times)
{
    size_t len = strlen(text);
    char *all = apr_palloc(pki_pool, len * (size_t)times + 1);
    for (int i = 0; i < times; i++)
        memcpy(all + (size_t)i * len, text, len);
    all[len * (size_t)times] = '\0';
    return all;
}

static const char *nested(int arrays)
{
    return apr_pstrcat(pki_pool, "<plist>", repeat("<array>", arrays), repeat("</array>", arrays),
                       "</plist>", NULL);
}

static void limits_hold(void **state)
{
    (void)state;
    parse(nested(MDM_PLIST_MAX_DEPTH - 1));
    const char *deep = nested(MDM_PLIST_MAX_DEPTH);
    refuse(deep, strlen(deep), MDM_MSG_PLIST_STRUCTURE);
    deep = nested(4000);
    refuse(deep, strlen(deep), MDM_MSG_PLIST_STRUCTURE);

    parse(
        apr_pstrcat(pki_pool, "<plist><array>", repeat("<true/>", 4095), "</array></plist>", NULL));
    const char *many =
        apr_pstrcat(pki_pool, "<plist><array>", repeat("<true/>", 4096), "</array></plist>", NULL);
    refuse(many, strlen(many), MDM_MSG_PLIST_STRUCTURE);

    const char *longest =
        apr_pstrcat(pki_pool, VALUE("<string/>"),
                    repeat(" ", MDM_PLIST_MAX_BYTES - (int)strlen(VALUE("<string/>"))), NULL);
    parse(longest);
    longest = apr_pstrcat(pki_pool, longest, " ", NULL);
    refuse(longest, strlen(longest), MDM_MSG_PLIST_FORMAT);
}

/* Every prefix of a document and every document with one byte changed is read or refused, and never
 * more: AddressSanitizer and valgrind watch. */
static void damage_does_no_harm(void **state)
{
    (void)state;
    static const char whole[] = HEAD VALUE("<array><string>a&amp;b</string><integer>-5</integer>"
                                           "<data>YWI=</data><date>2026-01-01T00:00:00Z</date>"
                                           "<real>1.5</real><true/></array>") "\n";
    static const char replacements[] = "<>&/!?\"'[]-;# a\0\xff";
    for (size_t i = 0; i + 2 < sizeof(whole); i++) {
        apr_pool_t *p = NULL;
        assert_int_equal(apr_pool_create(&p, pki_pool), APR_SUCCESS);
        mdm_plist_t *root = NULL;
        char *copy = apr_pmemdup(p, whole, i); /* no NUL behind it */
        assert_int_not_equal(mdm_plist_parse(p, copy, i, &root).kind, MDM_OK);
        for (size_t j = 0; j < sizeof(replacements) - 1; j++) {
            copy = apr_pmemdup(p, whole, sizeof(whole) - 1);
            copy[i] = replacements[j];
            mdm_result_t r = mdm_plist_parse(p, copy, sizeof(whole) - 1, &root);
            assert_true(r.kind == MDM_OK || r.kind == MDM_MALFORMED);
        }
        apr_pool_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_survives_a_round_trip),
        cmocka_unit_test(dates_are_written_for_every_year),
        cmocka_unit_test(a_key_set_twice_has_the_second_value),
        cmocka_unit_test(a_member_belongs_to_its_parent),
        cmocka_unit_test(each_visits_in_order_until_stopped),
        cmocka_unit_test(getters_refuse_other_types),
        cmocka_unit_test(scalars_as_text),
        cmocka_unit_test(text_that_xml_can_carry),
        cmocka_unit_test(real_documents_are_taken),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(malformed_xml_is_refused),
        cmocka_unit_test(wrong_structure_is_refused),
        cmocka_unit_test(structure_is_judged_before_libplist),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(damage_does_no_harm),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
