/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_sighting and of httpd's device_guard on it: who comes with a certificate, what
 * ends by that, and what is remembered. Depends on fake_store and pki.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>

#include "../../mod_mdm_enroll/httpd/answer_cache.h"
#include "../../mod_mdm_enroll/httpd/device_guard.h"
#include "fake_store.h"
#include "mdm_sighting.h"
#include "mdm_x509.h"
#include "pki.h"

#define DAY 86400L

static EVP_PKEY *ca_key, *other_key, *key;
static X509 *ca, *device_ca, *cert, *older;
static mdm_trust_t *trust;
static fake_world_t *fake;

static int setup(void **state)
{
    const pki_opts_t is_ca = {.constraints = PKI_CA};

    pki_setup(state);
    ca_key = pki_key_ec("P-256");
    other_key = pki_key_ec("P-256");
    key = pki_key_ec("P-256");
    ca = pki_cert("/CN=CA", ca_key, NULL, NULL, &is_ca);
    device_ca = pki_cert("/CN=Device CA", other_key, NULL, NULL, &is_ca);
    cert = pki_cert("/CN=device", key, ca, ca_key, NULL);
    older = pki_cert("/CN=device", key, ca, ca_key, NULL);
    trust = mdm_trust_create(pki_pool);
    fake = fake_world_create(pki_pool);
    return mdm_trust_add_identity_ca(trust, ca).kind != MDM_OK ||
           mdm_trust_add_device_ca(trust, device_ca).kind != MDM_OK;
}

static mdm_certificate_t *put(X509 *x, const char *serial, apr_int64_t issued_at,
                              const char *authority)
{
    const char *fingerprint = mdm_x509_fingerprint(pki_pool, x);

    fake_store_put_certificate(fake->store, &(mdm_certificate_t){.serial = serial,
                                                                 .issuer = "",
                                                                 .enrollment = "e1",
                                                                 .purpose = MDM_PURPOSE_MDM,
                                                                 .request = serial,
                                                                 .poll = "",
                                                                 .authority = authority,
                                                                 .used_for = "",
                                                                 .fingerprint = fingerprint,
                                                                 .der = "",
                                                                 .not_after = fake->clock + DAY,
                                                                 .issued_at = issued_at});
    return fake_store_certificate(fake->store, fingerprint);
}

static mdm_certificate_t *arrange(void)
{
    fake_store_reset(fake->store);
    fake->directory_answer = MDM_MSG_NONE;
    fake->directory_calls = 0;
    fake_store_put_enrollment(fake->store, &(mdm_enrollment_t){.id = "e1",
                                                               .flow = "ota",
                                                               .site = FAKE_SITE,
                                                               .rules = FAKE_RULES,
                                                               .state = MDM_STATE_DELIVERED,
                                                               .user = "alice",
                                                               .udid = "U1",
                                                               .serial = "S1",
                                                               .product = "Mac1,1",
                                                               .os_version = "15.1",
                                                               .device_fingerprint = "",
                                                               .identity_fingerprint = "",
                                                               .terms = "",
                                                               .updated_at = 1,
                                                               .expires_at = 2});
    return put(cert, "02", fake->clock - 10, "c2");
}

static mdm_result_t find(X509 *x, mdm_sighting_t **seen)
{
    mdm_result_t r = mdm_sighting_find(pki_pool, trust, &fake->world, x, seen);

    assert_int_equal(ERR_peek_error(), 0);
    return r;
}

static void refused(X509 *x, const char *wanted)
{
    mdm_sighting_t *seen = NULL;
    mdm_result_t r = find(x, &seen);

    assert_int_equal(r.message, MDM_MSG_DEVICE_REFUSED);
    assert_non_null(strstr(r.log, wanted));
    assert_null(seen);
}

/* --- mdm_sighting --- */

static void test_found(void **state)
{
    mdm_sighting_t *seen = NULL;
    int ended = 7;

    (void)state;
    arrange();
    assert_int_equal(find(cert, &seen).kind, MDM_OK);
    assert_string_equal(seen->row.udid, "U1");
    assert_string_equal(seen->certificate.serial, "02");
    assert_int_equal(fake->store->calls, 1);
    assert_int_equal(mdm_sighting_settle(pki_pool, &fake->world, seen, &ended).kind, MDM_OK);
    assert_int_equal(ended, 0);
    assert_int_equal(fake->store->calls, 1);
}

static void test_refused_without_the_store(void **state)
{
    EVP_PKEY *impostor = pki_key_ec("P-256");
    X509 *namesake = pki_cert("/CN=CA", impostor, NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});

    (void)state;
    arrange();
    refused(pki_cert("/CN=device", key, namesake, impostor, NULL), "not issued by a CA");
    refused(pki_cert("/CN=device", key, device_ca, other_key, NULL), "built-in");
    refused(pki_cert("/CN=device", key, ca, ca_key,
                     &(pki_opts_t){.not_before = -2 * DAY, .not_after = -DAY}),
            "expired");
    refused(ca, "CA");
    assert_int_equal(fake->store->calls, 0);
}

static void test_refused_by_the_store(void **state)
{
    mdm_certificate_t *row = arrange();
    mdm_enrollment_t *enrollment = fake_store_enrollment(fake->store, "e1");

    (void)state;
    refused(older, "no record");
    row->purpose = MDM_PURPOSE_IDENTITY;
    refused(cert, "is for \"identity\"");
    row->purpose = MDM_PURPOSE_MDM;
    row->revoked_at = 1;
    refused(cert, "revoked");
    row->revocation_reason = MDM_REVOCATION_SUPERSEDED;
    refused(cert, "took its place");
    row->revoked_at = 0;
    enrollment->site = "another";
    refused(cert, "another site");
    enrollment->site = FAKE_SITE;
    enrollment->state = MDM_STATE_IDENTIFIED;
    refused(cert, "is \"identified\"");
    enrollment->state = MDM_STATE_DELIVERED;
    enrollment->expires_at = 0;
    refused(cert, "ended by an administrator");
    fake_store_reset(fake->store);
    put(cert, "02", 1, ""); /* of no enrollment */
    refused(cert, "no record");
}

static void test_older_ends(void **state)
{
    mdm_certificate_t *row = arrange(), *first = put(older, "01", fake->clock - 20, "c1");
    mdm_sighting_t *seen;
    int ended;

    (void)state;
    assert_int_equal(find(older, &seen).kind, MDM_OK);
    assert_int_equal(mdm_sighting_settle(pki_pool, &fake->world, seen, &ended).kind, MDM_OK);
    assert_int_equal(ended, 0);
    assert_int_equal(fake->store->writes, 0);
    assert_int_equal(find(cert, &seen).kind, MDM_OK);
    assert_true(seen->has_older);
    assert_int_equal(mdm_sighting_settle(pki_pool, &fake->world, seen, &ended).kind, MDM_OK);
    assert_int_equal(ended, 1);
    assert_int_equal(row->revoked_at, 0);
    assert_int_equal(first->revoked_at, fake->clock);
    assert_int_equal(first->revocation_reason, MDM_REVOCATION_SUPERSEDED);
    refused(older, "took its place");
}

/* Times are whole seconds: what renews is told by its authority. */
static void test_renewed_in_the_same_second(void **state)
{
    mdm_certificate_t *row = arrange(), *first = put(older, "01", row->issued_at, "c1");
    mdm_sighting_t *seen;
    int ended;

    (void)state;
    row->authority = first->fingerprint;
    assert_int_equal(find(older, &seen).kind, MDM_OK);
    assert_false(seen->has_older);
    first->issued_at += 60; /* by an httpd whose clock is ahead */
    assert_int_equal(find(older, &seen).kind, MDM_OK);
    assert_false(seen->has_older);
    assert_int_equal(find(cert, &seen).kind, MDM_OK);
    assert_int_equal(mdm_sighting_settle(pki_pool, &fake->world, seen, &ended).kind, MDM_OK);
    assert_int_equal(ended, 1);
    assert_int_not_equal(first->revoked_at, 0);
}

static void test_superseded_meanwhile(void **state)
{
    mdm_certificate_t *row = arrange(), *first = put(older, "01", fake->clock - 20, "c1");
    mdm_sighting_t *seen;
    int ended;

    (void)state;
    assert_int_equal(find(cert, &seen).kind, MDM_OK);
    row->revoked_at = 1;
    assert_int_equal(mdm_sighting_settle(pki_pool, &fake->world, seen, &ended).kind, MDM_OK);
    assert_int_equal(ended, 0);
    assert_int_equal(first->revoked_at, 0);
}

/* --- device_guard --- */

static mdm_device_guard_t *guard(void)
{
    return mdm_device_guard_create(pki_pool, &fake->store->store, &fake->directory, trust,
                                   FAKE_SITE);
}

static mdm_message_t ask(mdm_device_guard_t *g, X509 *x, mdm_known_device_t *device)
{
    mdm_known_device_t ignored;
    int ended;
    mdm_result_t r = mdm_device_guard_ask(g, pki_pool, pki_cert_pem(x),
                                          device != NULL ? device : &ignored, &ended);

    assert_int_equal(ERR_peek_error(), 0);
    return r.message;
}

static void test_answers_are_kept(void **state)
{
    mdm_device_guard_t *g = guard();
    mdm_known_device_t device = {0};

    (void)state;
    arrange();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(g, cert, &device), MDM_MSG_NONE);
        assert_string_equal(device.certificate, "02");
        assert_string_equal(device.enrollment, "e1");
        assert_string_equal(device.user, "alice");
        assert_string_equal(device.udid, "U1");
        assert_string_equal(device.serial, "S1");
        assert_string_equal(device.product, "Mac1,1");
        assert_string_equal(device.os_version, "15.1");
        assert_string_equal(device.flow, "ota");
        assert_int_equal(ask(g, older, NULL), MDM_MSG_DEVICE_REFUSED);
    }
    assert_int_equal(fake->store->calls, 2);
    assert_int_equal(fake->directory_calls, 1);
    assert_string_equal(fake->asked_user, "alice");
}

static void test_failures_are_not_kept(void **state)
{
    mdm_device_guard_t *g = guard();

    (void)state;
    put(older, "01", arrange()->issued_at - 10, "c1");
    fake_store_fail(fake->store, 1, 0);
    assert_int_equal(ask(g, cert, NULL), MDM_MSG_STORE_UNAVAILABLE);
    /* Of the end of older ones, too: it is tried again. */
    fake_store_fail(fake->store, 2, 0);
    assert_int_equal(ask(g, cert, NULL), MDM_MSG_STORE_UNAVAILABLE);
    assert_int_equal(ask(g, cert, NULL), MDM_MSG_NONE);
    assert_int_equal(fake->store->writes, 1);
}

static void test_users(void **state)
{
    mdm_device_guard_t *g = guard();

    (void)state;
    arrange();
    fake->directory_answer = MDM_MSG_DIRECTORY_NO_USER;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(g, cert, NULL), MDM_MSG_DIRECTORY_NO_USER);
    assert_int_equal(fake->directory_calls, 1);
    /* One failure is one for all, for a moment. */
    g = guard();
    fake->directory_answer = MDM_MSG_DIRECTORY_UNAVAILABLE;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(g, cert, NULL), MDM_MSG_DIRECTORY_UNAVAILABLE);
    assert_int_equal(fake->directory_calls, 2);
}

static void test_texts_too_long_to_keep(void **state)
{
    mdm_device_guard_t *g = guard();
    mdm_known_device_t device = {0};
    char *user = memset(apr_pcalloc(pki_pool, 1001), 'x', 1000);

    (void)state;
    arrange();
    fake_store_enrollment(fake->store, "e1")->user = user;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(g, cert, &device), MDM_MSG_NONE);
        assert_string_equal(device.user, user);
    }
    assert_int_equal(fake->store->calls, 2);
}

/* --- answer_cache --- */

static const unsigned char *key_of(unsigned int number)
{
    static unsigned char bytes[MDM_ANSWER_KEY_BYTES];

    bytes[1] = (unsigned char)(number >> 8);
    bytes[2] = bytes[31] = (unsigned char)number;
    return bytes;
}

static const char *got(mdm_answer_cache_t *cache, unsigned int number, apr_time_t now)
{
    apr_size_t len;

    return mdm_answer_cache_get(cache, pki_pool, key_of(number), now, &len);
}

static void test_cache(void **state)
{
    mdm_answer_cache_t *cache = mdm_answer_cache_create(pki_pool, 16, 8);

    (void)state;
    assert_null(got(cache, 1, 100));
    mdm_answer_cache_put(cache, key_of(1), 100, 200, "one", 4);
    assert_string_equal(got(cache, 1, 100), "one");
    assert_string_equal(got(cache, 1, 199), "one");
    assert_null(got(cache, 1, 200));
    assert_null(got(cache, 1, 99)); /* the clock was set back */
    assert_null(got(cache, 2, 100));
    mdm_answer_cache_put(cache, key_of(1), 150, 250, "two", 4);
    assert_string_equal(got(cache, 1, 200), "two");
    mdm_answer_cache_put(cache, key_of(1), 150, 250, "too long", 9);
    assert_string_equal(got(cache, 1, 200), "two");
}

static void test_cache_is_bounded(void **state)
{
    mdm_answer_cache_t *cache = mdm_answer_cache_create(pki_pool, 16, 8);
    int kept = 0;

    (void)state;
    for (unsigned int i = 0; i < 1000; i++)
        mdm_answer_cache_put(cache, key_of(i), 100, 200 + i, "x", 2);
    for (unsigned int i = 0; i < 1000; i++)
        kept += got(cache, i, 150) != NULL;
    assert_int_equal(kept, 16);
    for (unsigned int i = 984; i < 1000; i++)
        assert_non_null(got(cache, i, 150)); /* what ends first gave way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_refused_without_the_store),
        cmocka_unit_test(test_refused_by_the_store),
        cmocka_unit_test(test_older_ends),
        cmocka_unit_test(test_renewed_in_the_same_second),
        cmocka_unit_test(test_superseded_meanwhile),
        cmocka_unit_test(test_answers_are_kept),
        cmocka_unit_test(test_failures_are_not_kept),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_texts_too_long_to_keep),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_is_bounded),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
