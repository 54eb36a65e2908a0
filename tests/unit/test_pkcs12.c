/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_pkcs12, and of what phase 3 does with it: what is in a container, that nothing
 * of it stays in memory, and that no certificate lives that no device got.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "mdm_pkcs12.h"
#include "ota_site.h"
#include "pki.h"

#define YEAR (365 * 24 * 60 * 60)

static mdm_signer_t ca_signer;
static mdm_ca_settings_t ca_settings = {
    .signer = &ca_signer, .organization = "Example Corp", .validity = YEAR};
static mdm_ca_t *ca;

static int setup(void **state)
{
    if (ota_setup(state) != 0)
        return -1;
    ca_signer = (mdm_signer_t){.cert = ota_ca, .key = ota_ca_key};
    return mdm_ca_create(pki_pool, &ca_settings, &ca).kind == MDM_OK ? 0 : -1;
}

static const mdm_enrollment_t row = {.id = "0123456789abcdef0123456789abcdef",
                                     .user = "anna",
                                     .udid = OTA_UDID,
                                     .serial = OTA_SERIAL,
                                     .product = "iPhone17,2"};

/* --- the container --- */

typedef struct opened_t {
    EVP_PKEY *key;
    X509 *cert;
    int key_algorithm, mac; /* NIDs */
} opened_t;

/* As a device does: by the password, which must be right. */
static opened_t opened(const unsigned char *der, apr_size_t len, const char *password)
{
    const unsigned char *at = der;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)len);
    STACK_OF(X509) *more = NULL;
    const X509_ALGOR *mac;
    const ASN1_OBJECT *digest;
    opened_t o = {NULL, NULL, 0, 0};

    assert_non_null(p12);
    assert_ptr_equal(at, der + len);
    assert_false(PKCS12_parse(p12, "another", NULL, NULL, NULL));
    ERR_clear_error();
    assert_true(PKCS12_parse(p12, password, &o.key, &o.cert, &more));
    mdm_x509_own_key(pki_pool, o.key);
    mdm_x509_own(pki_pool, o.cert);
    assert_true(more == NULL || sk_X509_num(more) == 0);
    PKCS12_get0_mac(NULL, &mac, NULL, NULL, p12);
    X509_ALGOR_get0(&digest, NULL, NULL, mac);
    o.mac = OBJ_obj2nid(digest);
    sk_X509_pop_free(more, X509_free);
    PKCS12_free(p12);
    return o;
}

static void test_containers(void **state)
{
    static const struct {
        const char *key;
        int modern, bits, mac;
    } cases[] = {{"RSA-2048", 0, 2048, NID_sha1},
                 {"rsa-2048", 1, 2048, NID_sha256},
                 {"P-256", 0, 256, NID_sha1},
                 {"p-384", 1, 384, NID_sha256}};
    fake_world_t *fake = fake_world_create(pki_pool);
    const char *before = "";

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mdm_key_kind_t kind;
        mdm_pkcs12_t made;
        opened_t o;
        mdm_result_t r;

        assert_true(mdm_key_kind_parse(cases[i].key, &kind));
        r = mdm_pkcs12_make(pki_pool, ca, &fake->world, &row, kind, cases[i].modern, &made);
        assert_int_equal(r.message, MDM_MSG_NONE);
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(strlen(made.password), 43);
        assert_string_not_equal(made.password, before);
        before = made.password;
        o = opened(made.der, made.len, made.password);
        assert_int_equal(o.mac, cases[i].mac);
        assert_int_equal(EVP_PKEY_get_bits(o.key), cases[i].bits);
        assert_int_equal(EVP_PKEY_is_a(o.key, "RSA"), cases[i].bits == 2048);
        assert_int_equal(X509_check_private_key(o.cert, o.key), 1);
        assert_int_equal(X509_verify(o.cert, ota_ca_key), 1);
        assert_int_equal(X509_cmp(o.cert, made.cert), 0);
        assert_int_equal(X509_get_extended_key_usage(o.cert), XKU_SSL_CLIENT);
        assert_non_null(strstr(mdm_x509_subject(pki_pool, o.cert), "OU=MDM"));
        assert_non_null(strstr(mdm_x509_subject(pki_pool, o.cert), OTA_UDID));
    }
}

static void test_kinds_of_keys(void **state)
{
    static const char *const others[] = {"", "auto", "RSA-1024", "RSA", "P-521", "P-192", "2048"};
    mdm_key_kind_t kind = {7, 7};

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(mdm_key_kind_parse(others[i], &kind));
    assert_int_equal(kind.size, 7);
    assert_true(mdm_key_kind_parse("RSA-4096", &kind));
    assert_int_equal(kind.rsa, 1);
    assert_int_equal(kind.size, 4096);
}

static void test_failures(void **state)
{
    fake_world_t *fake = fake_world_create(pki_pool);
    mdm_pkcs12_t made = {.der = NULL};

    (void)state;
    for (int nth = 1; nth <= 2; nth++) { /* of the password, of the serial number */
        fake->random_fail_at = fake->random_calls + nth;
        assert_int_equal(
            mdm_pkcs12_make(pki_pool, ca, &fake->world, &row, (mdm_key_kind_t){0, 256}, 1, &made)
                .message,
            MDM_MSG_RANDOM);
    }
    fake->random_fail_at = 0;
    fake->clock += 20L * YEAR;
    assert_int_equal(
        mdm_pkcs12_make(pki_pool, ca, &fake->world, &row, (mdm_key_kind_t){0, 256}, 1, &made)
            .message,
        MDM_MSG_CA_ISSUE);
    assert_null(made.der);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Cleanups run last in, first out: this one sees what the container's leave. */
static apr_status_t look(void *data)
{
    const mdm_pkcs12_t *made = data;

    for (apr_size_t i = 0; i < made->len; i++)
        assert_int_equal(made->der[i], 0);
    for (apr_size_t i = 0; i < 43; i++)
        assert_int_equal(made->password[i], 0);
    return APR_SUCCESS;
}

static void test_wiped(void **state)
{
    fake_world_t *fake = fake_world_create(pki_pool);
    mdm_pkcs12_t *made = apr_pcalloc(pki_pool, sizeof(*made));
    apr_pool_t *p;

    (void)state;
    assert_int_equal(apr_pool_create(&p, pki_pool), APR_SUCCESS);
    apr_pool_cleanup_register(p, made, look, apr_pool_cleanup_null);
    assert_int_equal(
        mdm_pkcs12_make(p, ca, &fake->world, &row, (mdm_key_kind_t){0, 256}, 1, made).kind, MDM_OK);
    assert_int_not_equal(made->der[0], 0);
    apr_pool_destroy(p);
}

/* --- phase 3 --- */

static const mdm_identity_t by_pkcs12 = {.kind = MDM_IDENTITY_PKCS12, .pkcs12 = {.key = {0, 256}}};

static ota_site_t *site_identified(void)
{
    ota_site_t *site = ota_site_identified();

    site->settings.mdm_identity = &by_pkcs12;
    site->settings.ca = ca;
    return site;
}

static const mdm_plist_t *find_payload(const mdm_plist_t *payloads, const char *type)
{
    for (apr_size_t i = 0; i < mdm_plist_size(payloads); i++)
        if (strcmp(ota_text(mdm_plist_item(payloads, i), "PayloadType"), type) == 0)
            return mdm_plist_item(payloads, i);
    return NULL;
}

/* How many certificates for the MDM server are recorded, and how many of them live. */
static int count_recorded(const ota_site_t *site, int *live)
{
    const apr_array_header_t *all = site->fake->store->certificates;
    int count = 0;

    *live = 0;
    for (int i = 0; i < all->nelts; i++) {
        const mdm_certificate_t *one = APR_ARRAY_IDX(all, i, const mdm_certificate_t *);

        count += one->purpose == MDM_PURPOSE_MDM;
        *live += one->purpose == MDM_PURPOSE_MDM && one->revoked_at == 0;
    }
    return count;
}

static opened_t delivered(const mdm_ota_reply_t *reply)
{
    const mdm_plist_t *payloads = ota_decrypted(ota_opened(reply));
    const mdm_plist_t *payload = find_payload(payloads, "com.apple.security.pkcs12");
    const mdm_plist_t *mdm = find_payload(payloads, "com.apple.mdm");
    const char *der;
    apr_size_t len;

    assert_non_null(payload);
    assert_null(find_payload(payloads, "com.apple.security.scep"));
    assert_string_equal(ota_text(mdm, "IdentityCertificateUUID"), ota_text(payload, "PayloadUUID"));
    assert_string_equal(ota_text(payload, "PayloadCertificateFileName"), "mdm-identity.p12");
    assert_null(mdm_plist_get(payload, "KeyIsExtractable")); /* an iPhone does not know it */
    der = mdm_plist_data(mdm_plist_get(payload, "PayloadContent"), &len);
    assert_non_null(der);
    return opened((const unsigned char *)der, len, ota_text(payload, "Password"));
}

static void test_delivered(void **state)
{
    ota_site_t *site = site_identified();
    const mdm_certificate_t *record;
    int live;
    opened_t o;

    (void)state;
    assert_int_equal(ota_post(site, ota_phase3_message()).message, MDM_MSG_NONE);
    o = delivered(&site->reply);
    assert_int_equal(o.mac, NID_sha256); /* iOS 18 */
    record = fake_store_certificate(site->fake->store, mdm_x509_fingerprint(pki_pool, o.cert));
    assert_non_null(record);
    assert_int_equal(record->purpose, MDM_PURPOSE_MDM);
    assert_string_equal(record->enrollment, site->id);
    assert_string_equal(record->issuer, mdm_ca_key_id(ca));
    assert_string_equal(record->serial, mdm_x509_serial(pki_pool, o.cert));
    assert_int_equal(count_recorded(site, &live), 1);
    assert_int_equal(live, 1);
    assert_int_equal(ota_stored(site)->state, MDM_STATE_DELIVERED);
}

/* What another request wins while this one works: the same message, answered in between. */
static ota_site_t *racing;
static mdm_ota_reply_t rivals_reply;

static void rival(fake_store_t *fake, void *context)
{
    mdm_ota_reply_t own = racing->reply;

    (void)fake;
    (void)context;
    assert_int_equal(ota_post(racing, ota_phase3_message()).message, MDM_MSG_NONE);
    rivals_reply = racing->reply;
    racing->reply = own;
}

/* Right before each of the calls that the loser makes, from its reading of the row on: exactly one
 * certificate lives, and it is the one that was sent. */
static void test_rival(void **state)
{
    int lost = 0;

    (void)state;
    for (int nth = 1; nth <= 12; nth++) {
        ota_site_t *site = racing = site_identified();
        mdm_result_t r;
        int live;

        rivals_reply = (mdm_ota_reply_t){NULL, 0};
        fake_store_rival(site->fake->store, nth, rival, NULL);
        r = ota_post(site, ota_phase3_message());
        if (rivals_reply.body == NULL) { /* it makes fewer calls */
            assert_int_equal(r.message, MDM_MSG_NONE);
            break;
        }
        if (r.kind != MDM_OK) {
            lost++;
            assert_int_equal(r.message, MDM_MSG_ENROLLMENT_STATE);
            assert_null(site->reply.body);
        }
        count_recorded(site, &live);
        assert_int_equal(live, 1);
        assert_int_equal(
            fake_store_certificate(site->fake->store,
                                   mdm_x509_fingerprint(pki_pool, delivered(&rivals_reply).cert))
                ->revoked_at,
            0);
    }
    assert_true(lost >= 3);
}

/* Each call fails, before or after it took effect: no reply without a record that lives, and no
 * record that lives without a reply. */
static void test_store_fails(void **state)
{
    int failed = 0;

    (void)state;
    for (int after = 0; after <= 1; after++) {
        for (int nth = 1; nth <= 12; nth++) {
            ota_site_t *site = site_identified();
            mdm_result_t r;
            int live;

            fake_store_fail(site->fake->store, nth, after);
            r = ota_post(site, ota_phase3_message());
            count_recorded(site, &live);
            assert_int_equal(live, r.kind == MDM_OK);
            assert_int_equal(site->reply.body != NULL, r.kind == MDM_OK);
            failed += r.kind != MDM_OK;
        }
    }
    assert_true(failed >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_containers),  cmocka_unit_test(test_kinds_of_keys),
        cmocka_unit_test(test_failures),    cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_delivered),   cmocka_unit_test(test_rival),
        cmocka_unit_test(test_store_fails),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
