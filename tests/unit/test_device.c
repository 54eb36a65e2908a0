/* SPDX-License-Identifier: Apache-2.0
 * mdm_device: attributes as genuine devices send them, and what is no device. Depends on core and
 * pki.
 */
#include "mdm_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_strings.h>
#include <cmocka.h>

#include "pki.h"

#define DICT(body) "<plist version=\"1.0\"><dict>" body "</dict></plist>"
#define ENTRY(key, value) "<key>" key "</key>" value
#define STRING(key, value) ENTRY(key, "<string>" value "</string>")

static mdm_device_t *parse(const char *xml)
{
    mdm_device_t *device = NULL;
    mdm_result_t r = mdm_device_parse(pki_pool, xml, strlen(xml), &device);
    if (r.kind != MDM_OK)
        print_message("%s\n", r.log);
    assert_int_equal(r.kind, MDM_OK);
    return device;
}

static mdm_result_t refuse(const char *xml, mdm_message_t message)
{
    mdm_device_t *device = NULL;
    mdm_result_t r = mdm_device_parse(pki_pool, xml, strlen(xml), &device);
    assert_int_equal(r.message, message);
    assert_null(device);
    return r;
}

static void an_iphone(void **state)
{
    (void)state;
    mdm_device_t *d =
        parse(DICT(STRING("UDID", "00008120-000A1B2C3D4E5F6A") STRING("SERIAL", "F2LX1234ABCD")
                       STRING("PRODUCT", "iPhone17,2") STRING("VERSION", "22B83")
                           STRING("OS_VERSION", "18.1") STRING("IMEI", "35 0000 00 000000 0")
                               STRING("MEID", "35000000000000") STRING("LANGUAGE", "en-US")
                                   STRING("CHALLENGE", "secret") STRING("UNKNOWN", "ignored")));
    assert_string_equal(d->udid, "00008120-000A1B2C3D4E5F6A");
    assert_string_equal(d->serial, "F2LX1234ABCD");
    assert_string_equal(d->product, "iPhone17,2");
    assert_string_equal(d->version, "22B83");
    assert_string_equal(d->os_version, "18.1");
    assert_string_equal(d->challenge, "secret");
    assert_int_equal(mdm_device_check(pki_pool, d).kind, MDM_OK);
}

/* Empty strings, booleans and numbers beside strings, asked for or not. */
static void a_mac(void **state)
{
    (void)state;
    mdm_device_t *d = parse(DICT(
        ENTRY("IMEI", "<string/>") STRING("MEID", "") ENTRY("NotOnConsole", "<false/>")
            ENTRY("UserID", "<integer>501</integer>") STRING("UserLongName", "J\xC3\xB6rg")
                STRING("UserShortName", "joerg") STRING("PRODUCT", "MacBookPro18,2") STRING(
                    "SERIAL", "C02ABCDEFGHJ") STRING("UDID", "5A2B0C6E-0000-5000-8000-0123456789AB")
                    STRING("VERSION", "22G120") ENTRY("CHALLENGE", "<data>c2VjcmV0</data>")));
    assert_string_equal(d->os_version, "");
    assert_string_equal(d->challenge, "secret");
    assert_int_equal(mdm_device_check(pki_pool, d).kind, MDM_OK);
}

static void scalars_become_text(void **state)
{
    (void)state;
    mdm_device_t *d = parse(DICT(ENTRY("SERIAL", "<integer>350000000000000</integer>") ENTRY(
        "OS_VERSION", "<real>18.5</real>") ENTRY("PRODUCT", "<true/>")));
    assert_string_equal(d->serial, "350000000000000");
    assert_string_equal(d->os_version, "18.5");
    assert_string_equal(d->product, "true");
    assert_string_equal(d->udid, "");
    assert_string_equal(d->challenge, "");
}

static void only_a_flat_dictionary(void **state)
{
    (void)state;
    refuse("<plist><array/></plist>", MDM_MSG_PLIST_STRUCTURE);
    refuse("<plist><string>x</string></plist>", MDM_MSG_PLIST_STRUCTURE);
    refuse(DICT(ENTRY("UNKNOWN", "<array/>")), MDM_MSG_PLIST_STRUCTURE);
    refuse(DICT(ENTRY("UDID", "<dict/>")), MDM_MSG_PLIST_STRUCTURE);
    refuse(DICT(STRING("UDID", "a") STRING("UDID", "b")), MDM_MSG_PLIST_STRUCTURE);
    refuse("bplist00", MDM_MSG_PLIST_FORMAT);
}

static const char *with_value(const char *key, size_t len)
{
    char *value = apr_palloc(pki_pool, len + 1);
    memset(value, 'x', len);
    value[len] = '\0';
    return apr_psprintf(pki_pool, DICT(STRING("%s", "%s")), key, value);
}

static void values_are_bounded_text(void **state)
{
    (void)state;
    parse(with_value("CHALLENGE", MDM_DEVICE_MAX_VALUE));
    mdm_result_t r = refuse(with_value("CHALLENGE", MDM_DEVICE_MAX_VALUE + 1), MDM_MSG_PLIST_VALUE);
    assert_null(strstr(r.log, "xxx"));
    refuse(with_value("PRODUCT", MDM_DEVICE_MAX_VALUE + 1), MDM_MSG_PLIST_VALUE);
    parse(with_value("UNKNOWN", MDM_DEVICE_MAX_VALUE + 1));
    refuse(DICT(STRING("PRODUCT", "a\nb")), MDM_MSG_PLIST_VALUE);
    refuse(DICT(STRING("PRODUCT", "a\x7f")), MDM_MSG_PLIST_VALUE);
    refuse(DICT(ENTRY("UDID", "<date>2026-01-01T00:00:00Z</date>")), MDM_MSG_PLIST_VALUE);
    refuse(DICT(ENTRY("CHALLENGE", "<data>AGE=</data>")), MDM_MSG_PLIST_VALUE); /* a NUL */
    refuse(DICT(ENTRY("CHALLENGE", "<data>/w==</data>")), MDM_MSG_PLIST_VALUE); /* no UTF-8 */
}

static void identifiers_are_demanded(void **state)
{
    (void)state;
    static const struct {
        const char *udid;
        const char *serial;
        int ok;
    } cases[] = {
        {"a", "b", 1},
        {"", "b", 0},
        {"a", "", 0},
        {"a b", "c", 0},
        {"a", "\xC3\xA4", 0},
        {"1234567890123456789012345678901234567890123456789012345678901234", "b", 1},
        {"12345678901234567890123456789012345678901234567890123456789012345", "b", 0},
        {"a", "12345678901234567890123456789012345678901234567890123456789012345", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_device_t *d = parse(DICT(""));
        d->udid = cases[i].udid;
        d->serial = cases[i].serial;
        mdm_result_t r = mdm_device_check(pki_pool, d);
        assert_int_equal(r.message, cases[i].ok ? MDM_MSG_NONE : MDM_MSG_DEVICE_IDENTITY_MISSING);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_iphone),
        cmocka_unit_test(a_mac),
        cmocka_unit_test(scalars_become_text),
        cmocka_unit_test(only_a_flat_dictionary),
        cmocka_unit_test(values_are_bounded_text),
        cmocka_unit_test(identifiers_are_demanded),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
