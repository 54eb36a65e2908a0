/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_terms: what a device refuses to have changed, and how that is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "mdm_terms.h"
#include "pki.h"

#define IDENTIFIER "com.example.mdm.enroll"

static mdm_plist_t *payload(void)
{
    mdm_plist_t *mdm = mdm_plist_dict(pki_pool);

    mdm_plist_set_string(mdm, "PayloadType", "com.apple.mdm");
    mdm_plist_set_string(mdm, "ServerURL", "https://mdm.example.com/mdm");
    mdm_plist_set_string(mdm, "Topic", "com.apple.mgmt.External.x");
    mdm_plist_set_integer(mdm, "AccessRights", 3);
    return mdm;
}

static const char *terms_of(const mdm_plist_t *mdm)
{
    return mdm_terms_of_payload(pki_pool, IDENTIFIER, mdm);
}

static void text(void **state)
{
    mdm_plist_t *mdm = payload(), *list = mdm_plist_array(pki_pool);

    (void)state;
    assert_string_equal(terms_of(NULL), "PayloadIdentifier: " IDENTIFIER "\n");
    assert_string_equal(terms_of(mdm), "PayloadIdentifier: " IDENTIFIER "\n"
                                       "ServerURL: https://mdm.example.com/mdm\n"
                                       "CheckInURL: https://mdm.example.com/mdm\n"
                                       "Topic: com.apple.mgmt.External.x\n"
                                       "AccessRights: 3\n");
    mdm_plist_set_string(mdm, "CheckInURL", "https://mdm.example.com/checkin");
    mdm_plist_set_string(mdm, "EnrollmentMode", "ADDE");
    mdm_plist_set_string(mdm, "AssignedManagedAppleID", "a\\b\nTopic: c");
    mdm_plist_set_integer(mdm, "RequiredAppIDForMDM", 1234567890);
    mdm_plist_append_string(list, "com.apple.mdm.token");
    mdm_plist_append_string(list, "com.apple.mdm.per-user-connections");
    mdm_plist_set(mdm, "ServerCapabilities", list);
    assert_string_equal(terms_of(mdm), "PayloadIdentifier: " IDENTIFIER "\n"
                                       "ServerURL: https://mdm.example.com/mdm\n"
                                       "CheckInURL: https://mdm.example.com/checkin\n"
                                       "Topic: com.apple.mgmt.External.x\n"
                                       "EnrollmentMode: ADDE\n"
                                       "AssignedManagedAppleID: a\\\\b\\nTopic: c\n"
                                       "RequiredAppIDForMDM: 1234567890\n"
                                       "per-user-connections: yes\n"
                                       "AccessRights: 3\n");
    assert_string_equal(mdm_terms_value(pki_pool, terms_of(mdm), "Topic"),
                        "com.apple.mgmt.External.x");
    assert_null(mdm_terms_value(pki_pool, terms_of(payload()), "EnrollmentMode"));
    assert_null(mdm_terms_value(pki_pool, "", "Topic"));
}

static void of_payloads(void **state)
{
    mdm_plist_t *payloads = mdm_plist_array(pki_pool), *other = mdm_plist_dict(pki_pool);
    const char *xml, *terms = NULL;
    apr_size_t len;
    char *big = apr_palloc(pki_pool, 200000);

    (void)state;
    /* longer than what is taken of a stranger */
    memset(big, 'x', 199999);
    big[199999] = '\0';
    mdm_plist_set_string(other, "PayloadType", big);
    mdm_plist_append(payloads, other);
    mdm_plist_append(payloads, payload());
    xml = mdm_plist_to_xml(pki_pool, payloads, &len);
    assert_int_equal(mdm_terms_of_payloads(pki_pool, IDENTIFIER, xml, len, &terms).kind, MDM_OK);
    assert_string_equal(terms, terms_of(payload()));
    assert_int_equal(
        mdm_terms_of_payloads(pki_pool, IDENTIFIER, "<plist><dict/></plist>", 22, &terms).message,
        MDM_MSG_PROFILE);
    assert_int_equal(mdm_terms_of_payloads(pki_pool, IDENTIFIER, "", 0, &terms).message,
                     MDM_MSG_PROFILE);
}

/* The words for what becomes of a payload; "" if a device takes it. */
static const char *changed(const char *key, const char *value)
{
    mdm_plist_t *mdm = payload();
    mdm_plist_t *list = mdm_plist_array(pki_pool);

    if (strcmp(key, "ServerCapabilities") == 0) {
        mdm_plist_append_string(list, value);
        mdm_plist_set(mdm, key, list);
    } else if (strcmp(key, "AccessRights") == 0 || strcmp(key, "RequiredAppIDForMDM") == 0) {
        mdm_plist_set_integer(mdm, key, (apr_uint64_t)apr_atoi64(value));
    } else {
        mdm_plist_set_string(mdm, key, value);
    }
    return mdm_terms_words(pki_pool,
                           mdm_terms_compare(pki_pool, terms_of(payload()), terms_of(mdm)));
}

static void what_no_device_takes(void **state)
{
    static const struct {
        const char *key, *value, *words;
    } cases[] = {
        {"ServerURL", "https://mdm.example.com/mdm", ""},
        {"CheckInURL", "https://mdm.example.com/mdm", ""}, /* the same, said twice */
        {"SignMessage", "true", ""},
        {"ServerCapabilities", "com.apple.mdm.token", ""},
        {"AccessRights", "3", ""},
        {"AccessRights", "1", ""}, /* fewer */
        {"ServerURL", "https://other.example.com/",
         "ServerURL is \"https://other.example.com/\" now, was \"https://mdm.example.com/mdm\"; "
         "CheckInURL is \"https://other.example.com/\" now, was \"https://mdm.example.com/mdm\""},
        {"CheckInURL", "https://mdm.example.com/checkin",
         "CheckInURL is \"https://mdm.example.com/checkin\" now, was "
         "\"https://mdm.example.com/mdm\""},
        {"Topic", "com.apple.mgmt.External.y",
         "Topic is \"com.apple.mgmt.External.y\" now, was \"com.apple.mgmt.External.x\""},
        {"EnrollmentMode", "ADDE", "EnrollmentMode is \"ADDE\" now, was none"},
        {"AssignedManagedAppleID", "anna@example.com",
         "AssignedManagedAppleID is \"anna@example.com\" now, was none"},
        {"RequiredAppIDForMDM", "7", "RequiredAppIDForMDM is \"7\" now, was none"},
        {"ServerCapabilities", "com.apple.mdm.per-user-connections",
         "per-user-connections is \"yes\" now, was none"},
        {"AccessRights", "7", "AccessRights is \"7\" now, was \"3\""},
        {"AccessRights", "5", "AccessRights is \"5\" now, was \"3\""}, /* another one */
        {"AssignedManagedAppleID", "\x1b[0m",
         "AssignedManagedAppleID is \"\\x1B[0m\" now, was none"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(changed(cases[i].key, cases[i].value), cases[i].words);
}

static void what_is_not_known_is_not_refused(void **state)
{
    (void)state;
    assert_int_equal(mdm_terms_compare(pki_pool, "", terms_of(payload()))->nelts, 0);
    assert_int_equal(mdm_terms_compare(pki_pool, terms_of(payload()), terms_of(NULL))->nelts, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(of_payloads),
        cmocka_unit_test(what_no_device_takes),
        cmocka_unit_test(what_is_not_known_is_not_refused),
    };

    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
