/* SPDX-License-Identifier: Apache-2.0
 * mdm_result: kinds and texts from the registry, quoting of foreign values. Depends on core and
 * pki.
 */
#include "mdm_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pki.h"

static void ok_has_no_message(void **state)
{
    (void)state;
    mdm_result_t r = mdm_result_ok();
    assert_int_equal(r.kind, MDM_OK);
    assert_int_equal(r.message, MDM_MSG_NONE);
    assert_string_equal(r.log, "");
    assert_string_equal(r.user, "");
}

static void kind_and_user_text_come_from_the_registry(void **state)
{
    (void)state;
    mdm_result_t r = mdm_result_make(pki_pool, MDM_MSG_CHALLENGE_EXPIRED, "%s: %d", "seconds", 7);
    assert_int_equal(r.kind, MDM_REFUSED);
    assert_int_equal(r.message, MDM_MSG_CHALLENGE_EXPIRED);
    assert_string_equal(r.log, "seconds: 7");
    assert_string_equal(r.user, "This enrollment took too long. Please start it again.");
    assert_int_equal(mdm_result_make(pki_pool, MDM_MSG_STORE_BUSY, "x").kind, MDM_UNAVAILABLE);
    assert_int_equal(mdm_result_make(pki_pool, MDM_MSG_CMS_DECODE, "x").kind, MDM_MALFORMED);
}

/* Whoever reads r.kind takes the result for a failure, whatever the message. */
static void no_message_makes_a_success(void **state)
{
    (void)state;
    static const mdm_message_t all[] = {
#define MDM_MESSAGE(number, name, kind, user_text) MDM_MSG_##name,
#include "mdm_messages.def"
#undef MDM_MESSAGE
        MDM_MSG_NONE};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        mdm_result_t r = mdm_result_make(pki_pool, all[i], "x");
        assert_int_not_equal(r.kind, MDM_OK);
        assert_non_null(r.user);
    }
}

static void code_has_four_digits(void **state)
{
    (void)state;
    assert_string_equal(mdm_result_code(pki_pool, MDM_MSG_CONFIGURATION), "MDM0001");
    assert_string_equal(mdm_result_code(pki_pool, MDM_MSG_ENROLLMENT_STATE), "MDM0303");
}

static void quote_escapes_and_cuts(void **state)
{
    (void)state;
    char many[65];
    memset(many, 'a', sizeof(many));

    assert_string_equal(mdm_result_quote(pki_pool, NULL, 9), "(none)");
    assert_string_equal(mdm_result_quote(pki_pool, "", 0), "");
    assert_string_equal(mdm_result_quote(pki_pool, "ab ~", 4), "ab ~");
    assert_string_equal(mdm_result_quote(pki_pool, "a\n\0\x7f\xff", 5), "a\\x0A\\x00\\x7F\\xFF");
    assert_int_equal(strlen(mdm_result_quote(pki_pool, many, 64)), 64);
    const char *cut = mdm_result_quote(pki_pool, many, 65);
    assert_int_equal(strlen(cut), 67);
    assert_string_equal(cut + 64, "...");
    memset(many, '\n', sizeof(many));
    assert_int_equal(strlen(mdm_result_quote(pki_pool, many, 65)), 4 * 64 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_has_no_message),
        cmocka_unit_test(kind_and_user_text_come_from_the_registry),
        cmocka_unit_test(no_message_makes_a_success),
        cmocka_unit_test(code_has_four_digits),
        cmocka_unit_test(quote_escapes_and_cuts),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
