/* SPDX-License-Identifier: Apache-2.0
 * mdm_template and mdm_profile_template: what a template becomes, what is refused of it, which one
 * is chosen. Expressions are %{user}, %{serial} and %{broken}, which compiles only; conditions are
 * names of users. Depends on core, fake_store and pki.
 */
#include "mdm_profile_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <pthread.h>

#include "fake_store.h"
#include "pki.h"
#include "text_fixture.h"

#define IDENTIFIER "com.example.mdm.enroll"
#define UUID(digit) "7D8E2F60-1B1B-4B6D-9F3C-0A1B2C3D4E0" digit

static mdm_result_t holds(void *context, apr_pool_t *p, const void *condition,
                          const mdm_enrollment_t *row, int *yes)
{
    (void)context;
    if (strcmp(condition, "broken") == 0)
        return mdm_result_make(p, MDM_MSG_TEXT, "no reason");
    *yes = strcmp(condition, row->user) == 0;
    return mdm_result_ok();
}

static const mdm_condition_t conditions = {NULL, holds};
static const mdm_enrollment_t anna = {.id = "1",
                                      .flow = "ota",
                                      .user = "anna \xc3\xbc <&>",
                                      .udid = "UDID",
                                      .serial = "C02",
                                      .product = "",
                                      .os_version = ""};

/* --- reading --- */

#define PLIST(content) "<plist version=\"1.0\"><dict>" content "</dict></plist>"
#define PAYLOADS(content) "<key>PayloadContent</key><array>" content "</array>"
#define PAYLOAD(type, keys) "<dict><key>PayloadType</key><string>" type "</string>" keys "</dict>"
#define TEXT(key, value) "<key>" key "</key><string>" value "</string>"

static const char *read_template(const char *xml, mdm_template_t **template)
{
    return mdm_template_read(pki_pool, xml, strlen(xml), &text_compiler, template);
}

static mdm_template_t *good(const char *xml)
{
    mdm_template_t *template = NULL;
    const char *error = read_template(xml, &template);

    if (error != NULL)
        fail_msg("%s", error);
    return template;
}

static mdm_profile_settings_t base(void)
{
    return (mdm_profile_settings_t){
        .organization = "Example",
        .identifier = IDENTIFIER,
        .server_url = mdm_text_constant(pki_pool, "https://mdm.example.com/mdm"),
        .topic = "com.apple.mgmt.External.x",
    };
}

static const char *over(const mdm_profile_settings_t *settings, const mdm_template_t *template,
                        const mdm_profile_settings_t **made)
{
    static const char *const types[] = {"com.apple.security.scep", NULL};
    static const unsigned char fingerprint[] = {0xab, 0x01};
    static const mdm_profile_identity_t identity = {types, "https://x.example/scep", NULL,
                                                    fingerprint, 2};

    return mdm_profile_with_template(pki_pool, settings, &identity, template, 0, made);
}

/* --- what it becomes --- */

static mdm_result_t append(apr_pool_t *p, const mdm_template_t *template, const char *identifier,
                           mdm_plist_t **payloads)
{
    const mdm_schema_target_t target = {
        .system = mdm_system_of("iPhone17,2", "18.1"), .texts = &text_evaluator, .row = &anna};

    *payloads = mdm_plist_array(p);
    return mdm_template_append(p, template, identifier, &target, *payloads);
}

static mdm_plist_t *made_of(const char *xml)
{
    mdm_plist_t *payloads;
    mdm_result_t r = append(pki_pool, good(xml), IDENTIFIER, &payloads);

    if (r.kind != MDM_OK)
        fail_msg("%s", r.log);
    return payloads;
}

static const char *xml_of(apr_pool_t *p, const mdm_plist_t *node)
{
    apr_size_t len;

    return mdm_plist_to_xml(p, node, &len);
}

#define DEEP(user, quoted)                                                                         \
    PAYLOAD("com.example.x",                                                                       \
            "<key>PayloadVersion</key><integer>1</integer>" TEXT("PayloadIdentifier", "a.b")       \
                TEXT("PayloadUUID", UUID("1"))                                                     \
                    TEXT("plain", "&lt;&amp;&gt; \xf0\x9d\x84\x9e  two\nlines ")                   \
                        TEXT("user", "[" user "]") TEXT("quoted", quoted)                          \
                            TEXT("empty", "") "<key>d</key><dict><key>list</key><array>"           \
                                              "<string>" user "</string><data>AAEC/w==</data>"     \
                                              "<array><string>x</string><real>0.5</real></array>"  \
                                              "<dict/><array/><true/><false/>"                     \
                                              "<integer>-7</integer>"                              \
                                              "<date>2031-02-03T04:05:06Z</date></array></dict>")

static const mdm_plist_t *wanted(const char *payload)
{
    const char *xml = apr_pstrcat(pki_pool, "<plist version=\"1.0\">", payload, "</plist>", NULL);
    mdm_plist_t *root = NULL;

    assert_int_equal(mdm_plist_parse(pki_pool, xml, strlen(xml), &root).message, MDM_MSG_NONE);
    return root;
}

static void everything_stays_what_it_is(void **state)
{
    mdm_plist_t *payloads = made_of(PLIST(PAYLOADS(DEEP("%{user}", "%%{user}"))));
    const mdm_plist_t *want = wanted(DEEP("anna \xc3\xbc &lt;&amp;&gt;", "%{user}"));

    (void)state;
    assert_int_equal(mdm_plist_size(payloads), 1);
    assert_string_equal(xml_of(pki_pool, mdm_plist_item(payloads, 0)), xml_of(pki_pool, want));
}

static const char *text_of(const mdm_plist_t *payloads, apr_size_t i, const char *key)
{
    const char *text = mdm_plist_string(mdm_plist_get(mdm_plist_item(payloads, i), key));

    if (text == NULL)
        fail_msg("payload %d has no string %s", (int)i, key);
    return text;
}

static void identifiers_and_uuids_are_filled_in(void **state)
{
    static const char xml[] = PLIST(PAYLOADS(PAYLOAD("com.apple.wifi.managed", "") PAYLOAD(
        "com.apple.wifi.managed", "") PAYLOAD("loginwindow", "") PAYLOAD("com.example.x", "")));
    static const char *const identifiers[] = {".wifi.managed", ".wifi.managed.2", ".loginwindow",
                                              ".com.example.x"};
    mdm_plist_t *payloads = made_of(xml), *again = made_of(xml), *elsewhere;
    apr_uint64_t version;

    (void)state;
    assert_int_equal(append(pki_pool, good(xml), "com.example.other", &elsewhere).kind, MDM_OK);
    for (apr_size_t i = 0; i < 4; i++) {
        const char *uuid = text_of(payloads, i, "PayloadUUID");

        assert_string_equal(text_of(payloads, i, "PayloadIdentifier"),
                            apr_pstrcat(pki_pool, IDENTIFIER, identifiers[i], NULL));
        assert_true(mdm_plist_integer(mdm_plist_get(mdm_plist_item(payloads, i), "PayloadVersion"),
                                      &version));
        assert_int_equal(version, 1);
        assert_int_equal(strlen(uuid), 36);
        assert_int_equal(uuid[14], '8');
        assert_string_equal(uuid, text_of(again, i, "PayloadUUID"));
        assert_string_not_equal(uuid, text_of(elsewhere, i, "PayloadUUID"));
        for (apr_size_t j = 0; j < i; j++)
            assert_string_not_equal(uuid, text_of(payloads, j, "PayloadUUID"));
    }
}

static void failing_text_is_told_with_its_path(void **state)
{
    static const struct {
        const char *xml, *told;
    } cases[] = {
        {PLIST(PAYLOADS(PAYLOAD("com.example.x", "<key>d</key><array><dict>" TEXT(
                                                     "t", "a%{broken}") "</dict></array>"))),
         "PayloadContent[0] (com.example.x) d[0].t: \"a%{broken}\": no reason"},
    };
    mdm_plist_t *payloads;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_result_t r = append(pki_pool, good(cases[i].xml), IDENTIFIER, &payloads);

        assert_int_equal(r.message, MDM_MSG_TEXT);
        assert_string_equal(r.log, cases[i].told);
        assert_int_equal(mdm_plist_size(payloads), 0);
    }
}

/* What a device says of itself may be anything; so may what a file holds, and that may be secret.
 */
static void value_that_xml_cannot_carry_is_refused(void **state)
{
    static const char *const serials[] = {"hidden\rb", "hidden\x01", "hidden\xff",
                                          "hidden\xed\xa0\x80"};
    const mdm_template_t *template =
        good(PLIST(PAYLOADS(PAYLOAD("com.example.x", TEXT("t", "%{serial}")))));

    (void)state;
    for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
        mdm_enrollment_t row = anna;
        const mdm_schema_target_t target = {.texts = &text_evaluator, .row = &row};
        mdm_result_t r;

        row.serial = serials[i];
        r = mdm_template_append(pki_pool, template, IDENTIFIER, &target, mdm_plist_array(pki_pool));
        assert_int_equal(r.message, MDM_MSG_TEXT);
        assert_non_null(strstr(r.log, "wanted is UTF-8 text that XML can carry"));
        assert_null(strstr(r.log, "hidden"));
    }
}

/* --- many threads, one template --- */

#define THREADS 4
#define ROUNDS 100

typedef struct worker_t {
    pthread_t thread;
    const mdm_template_t *template;
    const char *want;
    int wrong;
} worker_t;

static void *work(void *arg)
{
    worker_t *worker = arg;
    apr_pool_t *p;

    for (int i = 0; i < ROUNDS; i++) {
        mdm_plist_t *payloads;

        apr_pool_create(&p, NULL);
        if (append(p, worker->template, IDENTIFIER, &payloads).kind != MDM_OK ||
            strcmp(xml_of(p, payloads), worker->want) != 0)
            worker->wrong++;
        apr_pool_destroy(p);
    }
    return NULL;
}

static void threads_share_a_template(void **state)
{
    const mdm_template_t *template = good(PLIST(
        PAYLOADS(DEEP("%{user}", "%%{user}") PAYLOAD("com.apple.wifi.managed", TEXT("a", "b")))));
    worker_t workers[THREADS];
    mdm_plist_t *payloads;

    (void)state;
    assert_int_equal(append(pki_pool, template, IDENTIFIER, &payloads).kind, MDM_OK);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker_t){.template = template, .want = xml_of(pki_pool, payloads)};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
}

/* --- over the settings of a site --- */

static mdm_setting_t *setting(const char *payload, const char *key, const char *value)
{
    mdm_setting_t *made = NULL;

    assert_null(mdm_schema_setting(pki_pool, payload, key, &value, 1, NULL, &made));
    return made;
}

static void template_counts_before_settings(void **state)
{
    apr_array_header_t *mdm = apr_array_make(pki_pool, 2, sizeof(mdm_setting_t *));
    const mdm_profile_settings_t *made = NULL;
    mdm_profile_settings_t settings = base();
    const mdm_template_t *template;

    (void)state;
    APR_ARRAY_PUSH(mdm, mdm_setting_t *) = setting("com.apple.mdm", "AccessRights", "1");
    APR_ARRAY_PUSH(mdm, mdm_setting_t *) = setting("com.apple.mdm", "SignMessage", "true");
    settings.mdm = mdm;
    template =
        good(PLIST(TEXT("PayloadDisplayName", "%{user}") TEXT("PayloadUUID", UUID("2")) PAYLOADS(
            PAYLOAD("com.apple.mdm", "<key>AccessRights</key><integer>3</integer>"))));
    assert_null(over(&settings, template, &made));
    assert_int_equal(mdm_schema_find(made->mdm, "AccessRights")->number, 3);
    assert_int_equal(mdm_schema_find(made->mdm, "SignMessage")->number, 1);
    assert_non_null(mdm_schema_find(made->configuration, "PayloadDisplayName"));
    assert_ptr_equal(made->template, template);
    assert_string_equal(made->identifier, IDENTIFIER);
    assert_string_equal(mdm_template_uuid(template, "Configuration", "x"), UUID("2"));
    assert_string_equal(mdm_template_uuid(template, "com.apple.mdm", "x"), "x");
    /* of the site nothing changed */
    assert_int_equal(mdm->nelts, 2);
    assert_null(settings.template);
    assert_string_equal(mdm_template_uuid(NULL, "com.apple.mdm", "x"), "x");
    assert_string_equal(mdm_template_identifier(NULL, "com.apple.mdm", "x"), "x");
}

/* Rules between two keys hold wherever each is written. */
static void rules_hold_between_both(void **state)
{
    apr_array_header_t *mdm = apr_array_make(pki_pool, 2, sizeof(mdm_setting_t *));
    const mdm_profile_settings_t *made = NULL;
    mdm_profile_settings_t settings = base();
    const char *error;

    (void)state;
    APR_ARRAY_PUSH(mdm, mdm_setting_t *) = setting("com.apple.mdm", "EnrollmentMode", "BYOD");
    settings.mdm = mdm;
    error = over(&settings,
                 good(PLIST(PAYLOADS(
                     PAYLOAD("com.apple.mdm", "<key>AccessRights</key><integer>3</integer>")))),
                 &made);
    assert_non_null(error);
    assert_non_null(strstr(error, "PayloadContent[0] (com.apple.mdm) "));
    assert_null(made);
}

static void own_keys_must_be_just_the_own_values(void **state)
{
    static const struct {
        const char *xml, *told; /* NULL: it is fine */
    } cases[] = {
        {PLIST(TEXT("PayloadIdentifier", IDENTIFIER)), NULL},
        {PLIST(TEXT("PayloadIdentifier", IDENTIFIER "x")), "use MDMEnrollIdentifier"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.mdm", TEXT("Topic", "com.apple.mgmt.External.x") TEXT(
                                                     "ServerURL", "https://mdm.example.com/mdm")))),
         NULL},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.mdm", TEXT("CheckInURL", "https://x")))),
         "wanted is no such key: use MDMEnrollServer"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.scep",
                                "<key>PayloadContent</key><dict>" TEXT(
                                    "URL", "https://x.example/scep") "<key>CAFingerprint</key>"
                                                                     "<data>qwE=</data></dict>"))),
         NULL},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.scep",
                                "<key>PayloadContent</key><dict><key>CAFingerprint</key>"
                                "<data>qwI=</data></dict>"))),
         "\"ab02\": wanted is no such key, or \"ab01\": use ca-fingerprint="},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.scep", "<key>PayloadContent</key><dict>" TEXT(
                                                               "Challenge", "hunter2") "</dict>"))),
         "Challenge: wanted is no such key: it is made for each device"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.mdm", TEXT("IdentityCertificateUUID", UUID("3")))
                            PAYLOAD("com.apple.security.scep", TEXT("PayloadUUID", UUID("3"))))),
         NULL},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.mdm", TEXT("IdentityCertificateUUID", UUID("3")))
                            PAYLOAD("com.apple.security.scep", TEXT("PayloadUUID", UUID("4"))))),
         "or \"" UUID("4") "\": the module points it to the identity"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.mdm", "<key>Topic</key><integer>1</integer>"))),
         "Topic: wanted is a <string>"},
        /* a key and its certificate for something else */
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.pkcs12",
                                TEXT("Password", "secret") "<key>PayloadContent</key>"
                                                           "<data>AAEC</data>"))),
         NULL},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.pkcs12", ""))),
         "wanted is that type, or no such payload"},
        {PLIST(PAYLOADS(
             PAYLOAD("com.example.x", TEXT("PayloadIdentifier", IDENTIFIER ".com.example.x.2"))
                 PAYLOAD("com.example.x", ""))),
         "another payload or the profile has the same"},
    };
    mdm_profile_settings_t settings = base();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const mdm_profile_settings_t *made = NULL;
        mdm_template_t *template = NULL;
        const char *error = read_template(cases[i].xml, &template);

        if (error == NULL)
            error = over(&settings, template, &made);
        if (cases[i].told == NULL ? error != NULL
                                  : error == NULL || strstr(error, cases[i].told) == NULL)
            fail_msg("case %d: %s", (int)i, error ? error : "taken");
        assert_true((made != NULL) == (cases[i].told == NULL));
        if (error != NULL)
            assert_null(strstr(error, "hunter2"));
    }
}

/* --- what cannot be read; the integration tests have more --- */

static void nothing_is_read_of_what_is_broken(void **state)
{
    static const struct {
        const char *xml, *told;
    } cases[] = {
        {"", "0 bytes"},
        {"bplist00", "plutil -convert xml1"},
        {"<plist version=\"1.0\"><string>x</string></plist>", "wanted is one <dict>"},
        {PLIST("<key>PayloadContent</key><array><array/></array>"),
         "PayloadContent[0]: wanted is a payload"},
        {PLIST(PAYLOADS(PAYLOAD("com.example.%{user}", ""))), "PayloadType: wanted is the type"},
        {PLIST(PAYLOADS(PAYLOAD("com.example.x", TEXT("t", "%{nobody}")))),
         "PayloadContent[0] (com.example.x) t: \"%{nobody}\" cannot be compiled: there is no such"},
        {PLIST(PAYLOADS(PAYLOAD("com.example.x", "<key>a%{user}</key><true/>"))),
         "PayloadContent[0] (com.example.x) a%{user}: wanted is a key without expressions"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.mdm", "<key>a%{user}</key><true/>"))),
         "wanted is a key without expressions"},
        {PLIST(PAYLOADS(PAYLOAD("com.example.x", "<key>PayloadUUID</key><integer>1</integer>"))),
         "PayloadUUID: wanted is a UUID"},
        {PLIST(PAYLOADS(PAYLOAD("com.example.x", TEXT("PayloadIdentifier", "%{user}")))),
         "PayloadIdentifier: "},
        {PLIST(PAYLOADS(PAYLOAD("com.example.x", TEXT("PayloadVersion", "1")))),
         "PayloadVersion: wanted is <integer>1</integer>"},
        {PLIST(TEXT("PayloadUUID", UUID("5"))
                   PAYLOADS(PAYLOAD("com.example.x", TEXT("PayloadUUID", UUID("5"))))),
         "another payload has the same"},
        {PLIST(PAYLOADS(
             PAYLOAD("com.apple.security.scep",
                     "<key>PayloadContent</key><dict>" TEXT("PayloadDisplayName", "x") "</dict>"))),
         "wanted beside PayloadContent, not in it"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.scep", TEXT("PayloadContent", "x")))),
         "PayloadContent: wanted is a <dict>"},
        {PLIST(PAYLOADS(PAYLOAD("com.apple.security.pem", "<key>PayloadContent</key>"
                                                          "<data>AAEC</data>"))),
         "wanted is one certificate in PEM"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_template_t *template = NULL;
        const char *error = read_template(cases[i].xml, &template);

        if (error == NULL || strstr(error, cases[i].told) == NULL)
            fail_msg("case %d: %s", (int)i, error ? error : "taken");
        assert_null(template);
    }
}

/* --- choosing --- */

static void first_that_holds_is_chosen(void **state)
{
    static const struct {
        const char *conditions[4];
        int chosen; /* -1: base, -2: none, since one is broken */
    } cases[] = {
        {{NULL}, -1},
        {{"x", "y", NULL}, -1},
        {{"x", "anna", "anna", NULL}, 1},
        {{"x", "", "anna", NULL}, 1}, /* "": no condition */
        {{"broken", "anna", NULL}, -2},
        {{"anna", "broken", NULL}, 0},
    };
    fake_world_t *fake = fake_world_create(pki_pool);
    mdm_profile_settings_t settings[4] = {base(), base(), base(), base()};
    mdm_enrollment_t row = anna;

    (void)state;
    row.user = "anna";
    fake->world.conditions = &conditions;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_profile_settings_t site = base();
        const mdm_profile_settings_t *chosen = NULL;
        apr_array_header_t *choices = apr_array_make(pki_pool, 4, sizeof(mdm_profile_choice_t));
        mdm_result_t r;

        for (int k = 0; cases[i].conditions[k] != NULL; k++) {
            const char *condition = cases[i].conditions[k];
            APR_ARRAY_PUSH(choices, mdm_profile_choice_t) = (mdm_profile_choice_t){
                "a template", condition[0] != '\0' ? condition : NULL, &settings[k]};
        }
        site.choices = choices;
        r = mdm_profile_choose(pki_pool, &site, &fake->world, &row, &chosen);
        if (cases[i].chosen == -2) {
            assert_int_equal(r.message, MDM_MSG_TEXT);
            assert_string_equal(r.log, "a template: no reason");
            assert_null(chosen);
        } else {
            assert_int_equal(r.kind, MDM_OK);
            assert_ptr_equal(chosen, cases[i].chosen < 0 ? &site : &settings[cases[i].chosen]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_stays_what_it_is),
        cmocka_unit_test(identifiers_and_uuids_are_filled_in),
        cmocka_unit_test(failing_text_is_told_with_its_path),
        cmocka_unit_test(value_that_xml_cannot_carry_is_refused),
        cmocka_unit_test(threads_share_a_template),
        cmocka_unit_test(template_counts_before_settings),
        cmocka_unit_test(rules_hold_between_both),
        cmocka_unit_test(own_keys_must_be_just_the_own_values),
        cmocka_unit_test(nothing_is_read_of_what_is_broken),
        cmocka_unit_test(first_that_holds_is_chosen),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
