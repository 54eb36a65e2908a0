/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of identities by ACME: what phase 3 says to which device, and mdm_acme: who may have a
 * certificate, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <openssl/x509.h>

#include "mdm_acme.h"
#include "mdm_pin.h"
#include "ota_site.h"
#include "pki.h"

#define DIRECTORY "https://ca.example.com/acme/mdm/directory"

/* --- phase 3 --- */

static const mdm_plist_t *find_payload(const mdm_plist_t *payloads, const char *type)
{
    for (apr_size_t i = 0; i < mdm_plist_size(payloads); i++)
        if (strcmp(ota_text(mdm_plist_item(payloads, i), "PayloadType"), type) == 0)
            return mdm_plist_item(payloads, i);
    return NULL;
}

static mdm_result_t deliver(ota_site_t *site, const mdm_identity_t *identity, const char *product,
                            const char *version)
{
    mdm_enrollment_t *row = ota_stored(site);

    site->settings.mdm_identity = identity;
    row->product = product;
    row->os_version = version;
    return ota_post(site, ota_phase3_message());
}

static const mdm_plist_t *payload_for(ota_site_t *site, const mdm_identity_t *identity,
                                      const char *product, const char *version)
{
    mdm_result_t r = deliver(site, identity, product, version);

    if (r.kind != MDM_OK)
        fail_msg("%s %s: %s", product, version, r.log);
    return find_payload(ota_decrypted(ota_opened(&site->reply)), "com.apple.security.acme");
}

static int flag(const mdm_plist_t *dict, const char *key)
{
    int value = -1;

    mdm_plist_boolean(mdm_plist_get(dict, key), &value);
    return value;
}

static const char *rdn(const mdm_plist_t *payload, const char *type)
{
    const mdm_plist_t *subject = mdm_plist_get(payload, "Subject");

    for (apr_size_t i = 0; i < mdm_plist_size(subject); i++) {
        const mdm_plist_t *pair = mdm_plist_item(mdm_plist_item(subject, i), 0);
        if (strcmp(mdm_plist_string(mdm_plist_item(pair, 0)), type) == 0)
            return mdm_plist_string(mdm_plist_item(pair, 1));
    }
    return NULL;
}

static void test_payload(void **state)
{
    static const mdm_identity_t plain = {.kind = MDM_IDENTITY_ACME, .url = DIRECTORY};
    static const struct {
        const char *product, *version;
        int hardware, attest, extractable;
    } cases[] = {{"iPhone17,2", "18.1", 1, 1, -1},
                 {"iPad7,11", "18.1", 1, 0, -1},
                 {"Mac14,2", "15.0", 1, 1, 0},
                 {"MacBookPro16,1", "14.2", 1, 0, 0},
                 {"Mac14,2", "13.5", 0, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ota_site_t *site = ota_site_identified();
        const mdm_plist_t *acme = payload_for(site, &plain, cases[i].product, cases[i].version);
        apr_uint64_t size;
        const char *secret;

        assert_non_null(acme);
        assert_string_equal(ota_text(acme, "DirectoryURL"), DIRECTORY);
        assert_string_equal(ota_text(acme, "KeyType"), "ECSECPrimeRandom");
        assert_true(mdm_plist_integer(mdm_plist_get(acme, "KeySize"), &size));
        assert_int_equal(size, 256);
        assert_int_equal(flag(acme, "HardwareBound"), cases[i].hardware);
        assert_int_equal(flag(acme, "Attest"), cases[i].attest);
        assert_int_equal(flag(acme, "KeyIsExtractable"), cases[i].extractable);
        assert_string_equal(rdn(acme, "CN"), OTA_UDID);
        assert_string_equal(rdn(acme, "OU"), "MDM");
        secret = ota_text(acme, "ClientIdentifier");
        assert_int_equal(strlen(secret), 43);
        assert_int_equal(ota_stored_challenge(site, secret)->purpose, MDM_PURPOSE_ACME);
        assert_string_equal(ota_stored_challenge(site, secret)->enrollment, site->id);
    }
}

static void test_options(void **state)
{
    const mdm_identity_t rsa = {
        .kind = MDM_IDENTITY_ACME, .url = DIRECTORY, .acme = {.key = {1, 3072}}};
    const mdm_identity_t software = {.kind = MDM_IDENTITY_ACME,
                                     .url = DIRECTORY,
                                     .acme = {.key = {0, 384}, .hardware = MDM_USE_OFF}};
    const mdm_identity_t unattested = {
        .kind = MDM_IDENTITY_ACME, .url = DIRECTORY, .acme = {.attest = MDM_USE_OFF}};
    const mdm_plist_t *acme;
    apr_uint64_t size;

    (void)state;
    acme = payload_for(ota_site_identified(), &rsa, "iPhone17,2", "18.1");
    assert_string_equal(ota_text(acme, "KeyType"), "RSA");
    assert_true(mdm_plist_integer(mdm_plist_get(acme, "KeySize"), &size));
    assert_int_equal(size, 3072);
    assert_int_equal(flag(acme, "HardwareBound"), 0);
    assert_int_equal(flag(acme, "Attest"), 0);
    acme = payload_for(ota_site_identified(), &software, "iPhone17,2", "18.1");
    assert_true(mdm_plist_integer(mdm_plist_get(acme, "KeySize"), &size));
    assert_int_equal(size, 384);
    assert_int_equal(flag(acme, "HardwareBound"), 0);
    assert_int_equal(flag(acme, "Attest"), 0);
    acme = payload_for(ota_site_identified(), &unattested, "iPhone17,2", "18.1");
    assert_int_equal(flag(acme, "HardwareBound"), 1);
    assert_int_equal(flag(acme, "Attest"), 0);
}

/* The identifier is the device's, and the secret is in the subject. */
static void test_client_identifier(void **state)
{
    for (int i = MDM_CLIENT_SERIAL; i <= MDM_CLIENT_UDID; i++) {
        const mdm_identity_t identity = {.kind = MDM_IDENTITY_ACME,
                                         .url = DIRECTORY,
                                         .acme = {.client_identifier = (mdm_client_identifier_t)i}};
        ota_site_t *site = ota_site_identified();
        const mdm_plist_t *acme = payload_for(site, &identity, "iPhone17,2", "18.1");
        const char *wanted = i == MDM_CLIENT_SERIAL ? OTA_SERIAL : OTA_UDID, *unit;

        assert_string_equal(ota_text(acme, "ClientIdentifier"), wanted);
        assert_string_equal(rdn(acme, "CN"), wanted);
        unit = rdn(acme, "OU");
        assert_int_equal(strncmp(unit, MDM_PIN_PREFIX, strlen(MDM_PIN_PREFIX)), 0);
        assert_non_null(ota_stored_challenge(site, unit + strlen(MDM_PIN_PREFIX)));
    }
    (void)state;
}

static void test_fallback(void **state)
{
    const mdm_identity_t identity = {.kind = MDM_IDENTITY_ACME,
                                     .url = DIRECTORY,
                                     .acme = {.attest = MDM_USE_REQUIRE, .fallback = 1}};
    static const char *const old[][2] = {{"iPhone9,1", "15.8"}, {"iPad7,11", "17.0"}, {"", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
        ota_site_t *site = ota_site_identified();
        const mdm_plist_t *scep, *content;

        assert_null(payload_for(site, &identity, old[i][0], old[i][1]));
        scep = find_payload(ota_decrypted(ota_opened(&site->reply)), "com.apple.security.scep");
        content = mdm_plist_get(scep, "PayloadContent");
        assert_string_equal(ota_text(content, "URL"), OTA_SCEP_URL);
        assert_int_equal(ota_stored_challenge(site, ota_text(content, "Challenge"))->purpose,
                         MDM_PURPOSE_MDM);
    }
}

static void test_unable(void **state)
{
    const mdm_identity_t plain = {.kind = MDM_IDENTITY_ACME, .url = DIRECTORY};
    const mdm_identity_t attest = {
        .kind = MDM_IDENTITY_ACME, .url = DIRECTORY, .acme = {.attest = MDM_USE_REQUIRE}};
    const mdm_identity_t hardware = {
        .kind = MDM_IDENTITY_ACME, .url = DIRECTORY, .acme = {.hardware = MDM_USE_REQUIRE}};
    const struct {
        const mdm_identity_t *identity;
        const char *product, *version;
        mdm_message_t message;
    } cases[] = {{&plain, "iPhone9,1", "15.8", MDM_MSG_ACME_SYSTEM},
                 {&plain, "", "", MDM_MSG_ACME_SYSTEM},
                 {&attest, "iPad7,11", "18.1", MDM_MSG_ACME_ATTESTATION},
                 {&attest, "MacBookPro16,1", "15.0", MDM_MSG_ACME_ATTESTATION},
                 {&hardware, "MacBookPro14,1", "14.0", MDM_MSG_ACME_HARDWARE},
                 {&hardware, "Mac14,2", "13.6", MDM_MSG_ACME_HARDWARE}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ota_site_t *site = ota_site_identified();
        mdm_result_t r = deliver(site, cases[i].identity, cases[i].product, cases[i].version);

        assert_int_equal(r.message, cases[i].message);
        assert_null(site->reply.body);
        assert_int_equal(ota_stored(site)->state, MDM_STATE_IDENTIFIED);
    }
}

/* In phase 2 already: an iPhone 16 with iOS 18.1 sends it. */
static void test_unable_in_phase_2(void **state)
{
    const mdm_identity_t attest = {
        .kind = MDM_IDENTITY_ACME, .url = DIRECTORY, .acme = {.attest = MDM_USE_REQUIRE}};
    ota_site_t *site = ota_site_offered();
    const char *old =
        ota_plist(apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", OTA_SERIAL),
                              ota_key("PRODUCT", "iPad7,11"), ota_key("VERSION", "22B83"),
                              ota_key("CHALLENGE", site->challenge), NULL));

    (void)state;
    site->settings.mdm_identity = &attest;
    assert_int_equal(ota_post(site, ota_message(&(ota_message_t){.content = old})).message,
                     MDM_MSG_ACME_ATTESTATION);
    assert_string_equal(fake_store_refusal(site->fake->store, site->id), "MDM0445");
    assert_int_equal(ota_stored(site)->state, MDM_STATE_OFFERED);
    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_NONE);
}

/* --- the server's question --- */

typedef struct order_t {
    ota_site_t *site;
    const char *secret; /* the client identifier */
} order_t;

static order_t ordered(void)
{
    static const mdm_identity_t plain = {.kind = MDM_IDENTITY_ACME, .url = DIRECTORY};
    order_t order = {.site = ota_site_identified()};

    order.secret =
        ota_text(payload_for(order.site, &plain, "iPhone17,2", "18.1"), "ClientIdentifier");
    return order;
}

static mdm_message_t ask(const order_t *order, mdm_acme_question_t question)
{
    const mdm_enrollment_t *row = (const mdm_enrollment_t *)&question;
    mdm_result_t r = mdm_acme_answer(pki_pool, &order->site->fake->world, &question, &row);

    if (r.kind == MDM_OK)
        assert_string_equal(row->id, order->site->id);
    assert_true(r.kind == MDM_OK || strstr(r.log, order->secret) == NULL);
    return r.message;
}

static mdm_acme_question_t with_key(const order_t *order, const char *key)
{
    return (mdm_acme_question_t){.client_identifier = order->secret,
                                 .key = (const unsigned char *)key,
                                 .key_len = strlen(key)};
}

static void test_once(void **state)
{
    order_t order = ordered();

    (void)state;
    assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_NONE);
    /* the same order, for as long as its answer may have been lost */
    assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_NONE);
    assert_int_equal(ask(&order, with_key(&order, "another")), MDM_MSG_ACME_SPENT);
    assert_int_equal(
        ask(&order, (mdm_acme_question_t){.client_identifier = order.secret, .order = "a key"}),
        MDM_MSG_ACME_SPENT);
    order.site->fake->clock += MDM_ACME_AGAIN;
    assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_NONE);
    order.site->fake->clock++;
    assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_ACME_SPENT);
    order.site->fake->clock += OTA_LIFETIME;
    assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_CHALLENGE_EXPIRED);
}

/* Nothing tells one order from another. */
static void test_nameless_order(void **state)
{
    order_t order = ordered();
    mdm_acme_question_t question = {.client_identifier = order.secret};

    (void)state;
    assert_int_equal(ask(&order, question), MDM_MSG_NONE);
    assert_int_equal(ask(&order, question), MDM_MSG_ACME_SPENT);
    order = ordered();
    question = (mdm_acme_question_t){.client_identifier = order.secret, .order = "order 7"};
    assert_int_equal(ask(&order, question), MDM_MSG_NONE);
    assert_int_equal(ask(&order, question), MDM_MSG_NONE);
    question.order = "order 8";
    assert_int_equal(ask(&order, question), MDM_MSG_ACME_SPENT);
}

static void test_wrong(void **state)
{
    order_t order = ordered();
    const mdm_acme_question_t unknown = {.client_identifier = "nothing of ours"};
    mdm_acme_question_t question = {.order = "x"};

    (void)state;
    assert_int_equal(ask(&order, question), MDM_MSG_ACME_REQUEST);
    assert_int_equal(ask(&order, unknown), MDM_MSG_CHALLENGE_UNKNOWN);
    /* a secret for another purpose */
    question.client_identifier = order.site->challenge;
    assert_int_equal(ask(&order, question), MDM_MSG_CHALLENGE_UNKNOWN);
    question = (mdm_acme_question_t){.client_identifier = order.secret, .serial = "C02YYYYY"};
    assert_int_equal(ask(&order, question), MDM_MSG_ACME_DEVICE);
    question = (mdm_acme_question_t){.client_identifier = order.secret, .udid = "0"};
    assert_int_equal(ask(&order, question), MDM_MSG_ACME_DEVICE);
    question = (mdm_acme_question_t){
        .client_identifier = order.secret, .serial = OTA_SERIAL, .udid = OTA_UDID};
    assert_int_equal(ask(&order, question), MDM_MSG_NONE);
}

static void end(fake_store_t *fake, void *context)
{
    mdm_enrollment_t *row = fake_store_enrollment(fake, context);

    row->updated_at++;
    row->expires_at = row->updated_at - 1;
}

static void test_ended(void **state)
{
    order_t order = ordered();

    (void)state;
    ota_stored(order.site)->state = MDM_STATE_IDENTIFIED;
    assert_int_equal(ask(&order, with_key(&order, "k")), MDM_MSG_ACME_ENDED);
    ota_stored(order.site)->state = MDM_STATE_DELIVERED;
    end(order.site->fake->store, (void *)order.site->id);
    assert_int_equal(ask(&order, with_key(&order, "k")), MDM_MSG_ACME_ENDED);
    assert_int_equal(ota_stored_challenge(order.site, order.secret)->uses, 0);
    /* right before it is spent, and right after */
    for (int nth = 3; nth <= 4; nth++) {
        order = ordered();
        fake_store_rival(order.site->fake->store, nth, end, (void *)order.site->id);
        assert_int_equal(ask(&order, with_key(&order, "k")), MDM_MSG_ACME_ENDED);
    }
}

static const order_t *racing;
static mdm_message_t rivals;

static void rival(fake_store_t *fake, void *context)
{
    (void)fake;
    rivals = ask(racing, with_key(racing, context));
}

/* Before each of its calls another order comes: one of them wins, and the same order twice is one.
 */
static void test_rivals(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        order_t order = ordered();

        racing = &order;
        fake_store_rival(order.site->fake->store, nth, rival, "another");
        assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_ACME_SPENT);
        assert_int_equal(rivals, MDM_MSG_NONE);
        order = ordered();
        fake_store_rival(order.site->fake->store, nth, rival, "a key");
        assert_int_equal(ask(&order, with_key(&order, "a key")), MDM_MSG_NONE);
        assert_int_equal(rivals, MDM_MSG_NONE);
    }
}

static void test_store_fails(void **state)
{
    (void)state;
    for (int after = 0; after <= 1; after++) {
        for (int nth = 1; nth <= 4; nth++) {
            order_t order = ordered();

            fake_store_fail(order.site->fake->store, nth, after);
            assert_int_equal(ask(&order, with_key(&order, "k")), MDM_MSG_STORE_UNAVAILABLE);
            /* the server asks again */
            assert_int_equal(ask(&order, with_key(&order, "k")), MDM_MSG_NONE);
        }
    }
}

/* --- the secret in the request's subject --- */

static void add_entry(X509_NAME *name, const char *type, const char *value)
{
    assert_true(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value,
                                           -1, -1, 0));
}

static ota_bytes_t request_of(EVP_PKEY *key, const char *unit, const char *second_unit)
{
    X509_REQ *request = X509_REQ_new();
    X509_NAME *name = X509_NAME_new();
    unsigned char *der = NULL;
    ota_bytes_t bytes;
    int len;

    add_entry(name, "CN", OTA_SERIAL);
    if (unit != NULL)
        add_entry(name, "OU", unit);
    if (second_unit != NULL)
        add_entry(name, "OU", second_unit);
    assert_true(X509_REQ_set_subject_name(request, name));
    assert_true(X509_REQ_set_pubkey(request, key));
    assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    len = i2d_X509_REQ(request, &der);
    assert_true(len > 0);
    bytes = (ota_bytes_t){apr_pmemdup(pki_pool, der, (apr_size_t)len), (apr_size_t)len};
    OPENSSL_free(der);
    X509_NAME_free(name);
    X509_REQ_free(request);
    return bytes;
}

static mdm_acme_question_t with_request(ota_bytes_t request, const char *identifier)
{
    return (mdm_acme_question_t){
        .client_identifier = identifier, .request = request.data, .request_len = request.len};
}

static void test_in_subject(void **state)
{
    order_t order = ordered();
    const char *unit = mdm_pin_unit(pki_pool, order.secret);
    ota_bytes_t good = request_of(ota_ec_key, unit, NULL), longer;
    ota_bytes_t other = request_of(ota_identity_key, unit, NULL);
    unsigned char *bytes;

    (void)state;
    assert_int_equal(ask(&order, with_request(request_of(ota_ec_key, unit, unit), OTA_SERIAL)),
                     MDM_MSG_ACME_REQUEST);
    assert_int_equal(ask(&order, with_request(request_of(ota_ec_key, "x", NULL), OTA_SERIAL)),
                     MDM_MSG_CHALLENGE_UNKNOWN);
    assert_int_equal(ask(&order, with_request(good, "C02YYYYY")), MDM_MSG_ACME_DEVICE);
    assert_int_equal(ask(&order, with_request(good, NULL)), MDM_MSG_ACME_DEVICE);
    assert_int_equal(ask(&order, with_request(good, order.secret)), MDM_MSG_ACME_DEVICE);
    for (apr_size_t len = 0; len < good.len; len += 7) /* cut off */
        assert_int_equal(ask(&order, with_request((ota_bytes_t){good.data, len}, OTA_SERIAL)),
                         MDM_MSG_ACME_REQUEST);
    bytes = apr_pcalloc(pki_pool, good.len + 1);
    memcpy(bytes, good.data, good.len);
    longer = (ota_bytes_t){bytes, good.len + 1};
    assert_int_equal(ask(&order, with_request(longer, OTA_SERIAL)), MDM_MSG_ACME_REQUEST);
    assert_int_equal(ota_stored_challenge(order.site, order.secret)->uses, 0);
    assert_int_equal(ask(&order, with_request(good, OTA_SERIAL)), MDM_MSG_NONE);
    assert_int_equal(ask(&order, with_request(good, OTA_UDID)), MDM_MSG_NONE);
    assert_int_equal(ask(&order, with_request(other, OTA_SERIAL)), MDM_MSG_ACME_SPENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_client_identifier),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_unable),
        cmocka_unit_test(test_unable_in_phase_2),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_nameless_order),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_rivals),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_in_subject),
    };

    return cmocka_run_group_tests(tests, ota_setup, pki_teardown);
}
