/* SPDX-License-Identifier: Apache-2.0
 * mdm_der: elements of definite and indefinite length, and what is none. Depends on core.
 */
#include "mdm_der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* On the heap, and exactly as long, so that a byte read behind it is seen by a sanitizer. */
static mdm_der_t exactly(const char *bytes, size_t len)
{
    static char *copy;

    free(copy);
    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return mdm_der_content(copy, len);
}

#define BYTES(text) text, sizeof(text) - 1

static void elements(void **state)
{
    static const char junk[300];
    char long_one[304] = "\x04\x82\x01\x2c";
    const struct {
        const char *bytes;
        size_t len;
        unsigned char tag;
        size_t content, left;
    } cases[] = {
        {BYTES("\x05\x00"), 0x05, 0, 0},
        {BYTES("\x02\x01\x07\x05\x00"), 0x02, 1, 2},
        {BYTES("\x04\x81\x02\xaa\xbb"), 0x04, 2, 0},
        {BYTES("\x04\x84\x00\x00\x00\x01\xaa"), 0x04, 1, 0}, /* BER: longer than it need be */
        {long_one, sizeof(long_one), 0x04, sizeof(junk), 0},
        {BYTES("\x30\x80\x00\x00"), 0x30, 0, 0},
        {BYTES("\x30\x80\x02\x01\x07\x00\x00\x05\x00"), 0x30, 3, 2},
        {BYTES("\x30\x80\x30\x80\x00\x00\x02\x01\x00\x00\x00"), 0x30, 7, 0},
        {BYTES("\x30\x80\x04\x02\x00\x00\x00\x00"), 0x30, 4, 0}, /* zeros that are content */
        {BYTES("\xa0\x02\x05\x00"), 0xa0, 2, 0},
    };

    (void)state;
    memcpy(long_one + 4, junk, sizeof(junk));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_der_t left = exactly(cases[i].bytes, cases[i].len);
        mdm_der_t element;

        assert_int_equal(mdm_der_next(&left, &element), 1);
        assert_int_equal(element.tag, cases[i].tag);
        assert_int_equal(element.len, cases[i].content);
        assert_int_equal(left.len, cases[i].left);
    }
}

static void what_is_no_element(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {BYTES("")},
        {BYTES("\x30")},
        {BYTES("\x02\x02\x01")},
        {BYTES("\x04\x81")},
        {BYTES("\x04\x82\x00")},
        {BYTES("\x04\x84\xff\xff\xff\xff")},
        {BYTES("\x04\x85\x00\x00\x00\x00\x00")},
        {BYTES("\x04\xff")},
        {BYTES("\x30\x80")},
        {BYTES("\x30\x80\x00")},
        {BYTES("\x30\x80\x30\x80\x00\x00")},
        {BYTES("\x04\x80\x00\x00")}, /* primitive, of indefinite length */
        {BYTES("\xbf\x00\x00")},     /* [0] in the long form of a tag */
        {BYTES("\x30\x80\x1f\x01\x00\x00\x00")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_der_t left = exactly(cases[i].bytes, cases[i].len), before = left;
        mdm_der_t element;

        assert_int_equal(mdm_der_next(&left, &element), 0);
        assert_memory_equal(&left, &before, sizeof(left));
    }
}

/* As deep as a message is long: no recursion, and a time that only grows with the length. */
static void deep_nesting(void **state)
{
    const size_t depth = 500000;
    char *bytes = malloc(4 * depth);
    mdm_der_t left, element;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < depth; i++)
        memcpy(bytes + 2 * i, "\x24\x80", 2);
    memset(bytes + 2 * depth, 0, 2 * depth);
    left = mdm_der_content(bytes, 4 * depth);
    assert_int_equal(mdm_der_next(&left, &element), 1);
    assert_int_equal(element.len, 4 * depth - 4);
    left = mdm_der_content(bytes, 4 * depth - 1);
    assert_int_equal(mdm_der_next(&left, &element), 0);
    free(bytes);
}

static void expected_and_equal(void **state)
{
    mdm_der_t left = exactly(BYTES("\x02\x01\x07\x06\x02\x2a\x03"));
    mdm_der_t element;

    (void)state;
    assert_int_equal(mdm_der_expect(&left, MDM_DER_OID, &element), 0);
    assert_int_equal(left.len, 7);
    assert_int_equal(mdm_der_expect(&left, MDM_DER_INTEGER, &element), 1);
    assert_int_equal(mdm_der_expect(&left, MDM_DER_OID, &element), 1);
    assert_int_equal(left.len, 0);
    assert_int_equal(mdm_der_equal(&element, MDM_DER_OID, "\x2a\x03", 2), 1);
    assert_int_equal(mdm_der_equal(&element, MDM_DER_OID, "\x2a\x04", 2), 0);
    assert_int_equal(mdm_der_equal(&element, MDM_DER_OID, "\x2a", 1), 0);
    assert_int_equal(mdm_der_equal(&element, MDM_DER_INTEGER, "\x2a\x03", 2), 0);
}

static void few_elements(void **state)
{
    const struct {
        const char *bytes;
        size_t len;
        int count; /* -1: cannot be read */
    } cases[] = {
        {BYTES(""), 0},
        {BYTES("\x05\x00"), 1},
        {BYTES("\x30\x06\x04\x00\x30\x02\x05\x00"), 4},
        {BYTES("\x30\x80\x05\x00\x00\x00"), 3},
        {BYTES("\x04\x04\x30\x02\x05\x00"), 1}, /* what looks like one in a string is none */
        {BYTES("\x30\x80\x30\x80\x30\x80"), 3},
        {BYTES("\x30\x02\x05"), -1},
        {BYTES("\x30\x02\x1f\x00"), -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_der_t all = exactly(cases[i].bytes, cases[i].len);

        assert_int_equal(mdm_der_few(all.bytes, all.len, 100), cases[i].count >= 0);
        if (cases[i].count > 0) {
            assert_int_equal(mdm_der_few(all.bytes, all.len, cases[i].count), 1);
            assert_int_equal(mdm_der_few(all.bytes, all.len, cases[i].count - 1), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),     cmocka_unit_test(what_is_no_element),
        cmocka_unit_test(deep_nesting), cmocka_unit_test(expected_and_equal),
        cmocka_unit_test(few_elements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
