/* SPDX-License-Identifier: Apache-2.0
 * mdm_text: constants, expressions, escapes. An expression is here "%{name}", and its value what
 * the table says. Depends on core and pki.
 */
#include "mdm_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_strings.h>
#include <cmocka.h>

#include "mdm_enrollment.h"
#include "pki.h"

static const mdm_enrollment_t row = {.user = "j\xc3\xbcrgen & co/%{x}"};

static const char *compile(void *context, apr_pool_t *p, const char *source,
                           const void **expression)
{
    (void)context;
    if (strstr(source, "bad") != NULL)
        return "it is bad";
    *expression = apr_pstrdup(p, source);
    return NULL;
}

static mdm_result_t evaluate(void *context, apr_pool_t *p, const void *expression,
                             const mdm_enrollment_t *of, const char **value)
{
    (void)context;
    if (strcmp(expression, "%{fails}") == 0)
        return mdm_result_make(p, MDM_MSG_TEXT, "it failed");
    if (strcmp(expression, "%{long}") == 0) {
        char *made = apr_palloc(p, MDM_TEXT_MAX_BYTES + 1);
        memset(made, 'x', MDM_TEXT_MAX_BYTES);
        made[MDM_TEXT_MAX_BYTES] = '\0';
        *value = made;
    } else {
        *value = strcmp(expression, "%{user}") == 0 ? of->user : "";
    }
    return mdm_result_ok();
}

static const mdm_text_compiler_t compiler = {NULL, compile};
static const mdm_text_evaluator_t evaluator = {NULL, evaluate};

static const mdm_text_t *parsed(const char *source, mdm_text_escape_t escape)
{
    const mdm_text_t *text = NULL;
    const char *error = mdm_text_parse(pki_pool, source, &compiler, escape, &text);

    if (error != NULL)
        print_error("%s\n", error);
    assert_null(error);
    assert_string_equal(mdm_text_source(text), source);
    return text;
}

static void fixed_texts(void **state)
{
    static const struct {
        const char *source;
        const char *value;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"100 %", "100 %"},
        {"%", "%"},
        {"{}", "{}"},
        {"%%{user}", "%{user}"},
        {"a %%{ b %%{ c", "a %{ b %{ c"},
        {"%%", "%%"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *value = NULL;

        assert_string_equal(mdm_text_fixed(parsed(cases[i].source, MDM_TEXT_URL)), cases[i].value);
        assert_int_equal(
            mdm_text_value(pki_pool, parsed(cases[i].source, MDM_TEXT_URL), NULL, NULL, &value)
                .kind,
            MDM_OK);
        assert_string_equal(value, cases[i].value);
    }
    assert_string_equal(mdm_text_fixed(mdm_text_constant(pki_pool, "%{user}")), "%{user}");
}

static void values(void **state)
{
    static const struct {
        const char *source;
        mdm_text_escape_t escape;
        const char *value;
    } cases[] = {
        {"%{user}", MDM_TEXT_PLAIN, "j\xc3\xbcrgen & co/%{x}"},
        {"%{user}", MDM_TEXT_URL, "j%C3%BCrgen%20%26%20co%2F%25%7Bx%7D"},
        {"https://x/?u=%{user}&v=1", MDM_TEXT_URL,
         "https://x/?u=j%C3%BCrgen%20%26%20co%2F%25%7Bx%7D&v=1"},
        {"<%{none}>%%{%{none}", MDM_TEXT_PLAIN, "<>%{"},
        {"%{a:%{b}}", MDM_TEXT_PLAIN, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const mdm_text_t *text = parsed(cases[i].source, cases[i].escape);
        const char *value = NULL;

        assert_null(mdm_text_fixed(text));
        assert_int_equal(mdm_text_value(pki_pool, text, &evaluator, &row, &value).kind, MDM_OK);
        assert_string_equal(value, cases[i].value);
    }
}

static void what_cannot_be_parsed(void **state)
{
    static const char *const cases[] = {"%{", "a %{b", "%{a:%{b}", "%{bad}", "%{user} %{bad}"};
    const mdm_text_t *text = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_non_null(mdm_text_parse(pki_pool, cases[i], &compiler, MDM_TEXT_PLAIN, &text));
    assert_non_null(
        strstr(mdm_text_parse(pki_pool, "%{bad}", &compiler, MDM_TEXT_PLAIN, &text), "it is bad"));
    assert_non_null(mdm_text_parse(pki_pool, "%{user}", NULL, MDM_TEXT_PLAIN, &text));
    assert_null(text);
}

static void what_cannot_be_evaluated(void **state)
{
    static const char *const cases[] = {"%{fails}", "%{long}x", "%{long}%{long}"};
    const char *value = NULL;
    mdm_result_t r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = mdm_text_value(pki_pool, parsed(cases[i], MDM_TEXT_PLAIN), &evaluator, &row, &value);
        assert_int_equal(r.message, MDM_MSG_TEXT);
        assert_int_equal(r.kind, MDM_FAULT);
        assert_non_null(strstr(r.log, cases[i]));
    }
    r = mdm_text_value(pki_pool, parsed("%{user}", MDM_TEXT_PLAIN), NULL, &row, &value);
    assert_int_equal(r.message, MDM_MSG_TEXT);
    assert_null(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_texts),
        cmocka_unit_test(values),
        cmocka_unit_test(what_cannot_be_parsed),
        cmocka_unit_test(what_cannot_be_evaluated),
    };

    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
