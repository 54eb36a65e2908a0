/* SPDX-License-Identifier: Apache-2.0
 * store_device on real databases: the look-up of a device that comes with its identity, and the end
 * of what came before. Depends on db_fixture.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <apr_strings.h>

/* Of enrollment e1, as are all; name is serial number, request and fingerprint. */
static void put(const char *name, mdm_purpose_t purpose, apr_int64_t issued_at,
                const char *authority)
{
    const mdm_certificate_t row = {.serial = name,
                                   .issuer = "i1",
                                   .enrollment = "e1",
                                   .purpose = purpose,
                                   .request = name,
                                   .poll = "",
                                   .authority = authority,
                                   .fingerprint = name,
                                   .der = "",
                                   .not_before = NOW,
                                   .not_after = NOW + 99,
                                   .issued_at = issued_at,
                                   .used_for = ""};
    int won;

    db_assert_ok(db_store->certificate_insert(db_store->context, db_p, &row, &won));
    assert_int_equal(won, 1);
}

static mdm_sighting_t *look_up(const char *fingerprint)
{
    mdm_sighting_t *seen;

    db_assert_ok(db_store->sighting_get(db_store->context, db_p, fingerprint, &seen));
    return seen;
}

static int end_older(const char *fingerprint)
{
    int ended = 7;

    db_assert_ok(db_store->certificate_end_older(
        db_store->context, db_p, &look_up(fingerprint)->certificate, NOW + 50, &ended));
    return ended;
}

static const char *revoked(void)
{
    const char *names = "";
    static const char *const all[] = {"f0", "f1", "f2", "f3", "f4"};

    for (int i = 0; i < 5; i++) {
        const mdm_sighting_t *seen = look_up(all[i]);
        if (seen != NULL && seen->certificate.revoked_at != 0) {
            assert_int_equal(seen->certificate.revoked_at, NOW + 50);
            assert_int_equal(seen->certificate.revocation_reason, MDM_REVOCATION_SUPERSEDED);
            names = apr_pstrcat(db_p, names, all[i], " ", NULL);
        }
    }
    return names;
}

static void device_is_found(void **state)
{
    mdm_enrollment_t row = db_enrollment("e1");
    const mdm_sighting_t *seen;

    (void)state;
    row.user = "j\xc3\xbcrgen", row.udid = "U1", row.serial = "S1", row.product = "Mac1,1",
    row.os_version = "15.1", row.state = MDM_STATE_DELIVERED, row.expires_at = NOW + 7;
    db_assert_ok(db_store->enrollment_insert(db_store->context, db_p, &row));
    put("f1", MDM_PURPOSE_MDM, NOW + 3, "a1");
    assert_null(look_up("f2"));
    seen = look_up("f1");
    assert_string_equal(seen->certificate.serial, "f1");
    assert_string_equal(seen->certificate.issuer, "i1");
    assert_string_equal(seen->certificate.enrollment, "e1");
    assert_string_equal(seen->certificate.authority, "a1");
    assert_string_equal(seen->certificate.fingerprint, "f1");
    assert_int_equal(seen->certificate.purpose, MDM_PURPOSE_MDM);
    assert_int_equal(seen->certificate.not_after, NOW + 99);
    assert_int_equal(seen->certificate.issued_at, NOW + 3);
    assert_int_equal(seen->certificate.revoked_at, 0);
    assert_string_equal(seen->row.id, "e1");
    assert_string_equal(seen->row.site, row.site);
    assert_string_equal(seen->row.flow, row.flow);
    assert_string_equal(seen->row.user, row.user);
    assert_string_equal(seen->row.udid, "U1");
    assert_string_equal(seen->row.serial, "S1");
    assert_string_equal(seen->row.product, "Mac1,1");
    assert_string_equal(seen->row.os_version, "15.1");
    assert_int_equal(seen->row.state, MDM_STATE_DELIVERED);
    assert_int_equal(seen->row.updated_at, row.updated_at);
    assert_int_equal(seen->row.expires_at, NOW + 7);
    assert_int_equal(seen->has_older, 0);
    db_do_sql("DELETE FROM enrollment");
    assert_null(look_up("f1"));
}

static void older_ones_end(void **state)
{
    (void)state;
    db_insert_enrollment("e1");
    put("f0", MDM_PURPOSE_IDENTITY, NOW, "a0");
    put("f1", MDM_PURPOSE_MDM, NOW + 1, "a1");
    put("f2", MDM_PURPOSE_MDM, NOW + 2, "f1");
    put("f3", MDM_PURPOSE_MDM, NOW + 2, "f2"); /* renewed in the same second */
    put("f4", MDM_PURPOSE_MDM, NOW + 1, "f3"); /* by a clock that is behind */
    assert_int_equal(look_up("f1")->has_older, 0);
    assert_int_equal(end_older("f1"), 0);
    assert_int_equal(look_up("f0")->has_older, 0);
    assert_int_equal(look_up("f2")->has_older, 1);
    assert_int_equal(end_older("f2"), 2); /* f4, as its time says */
    assert_string_equal(revoked(), "f1 f4 ");
    assert_int_equal(look_up("f2")->has_older, 0);
    assert_int_equal(look_up("f3")->has_older, 1);
    assert_int_equal(end_older("f3"), 1);
    assert_string_equal(revoked(), "f1 f2 f4 ");
}

static void superseded_one_ends_nothing(void **state)
{
    mdm_certificate_t seen;
    int ended = 7;

    (void)state;
    db_insert_enrollment("e1");
    put("f1", MDM_PURPOSE_MDM, NOW + 1, "a1");
    put("f2", MDM_PURPOSE_MDM, NOW + 2, "a2");
    put("f3", MDM_PURPOSE_MDM, NOW + 3, "a3");
    seen = look_up("f2")->certificate;
    db_do_sql("UPDATE certificate SET revoked_at = 1 WHERE fingerprint = 'f2'");
    db_assert_ok(db_store->certificate_end_older(db_store->context, db_p, &seen, NOW + 50, &ended));
    assert_int_equal(ended, 0);
    assert_string_equal(db_value_of("SELECT COUNT(*) FROM certificate WHERE revoked_at = 0"), "2");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, db_set_up, db_tear_down)
#define TESTS TEST(device_is_found), TEST(older_ones_end), TEST(superseded_one_ends_nothing)

static int test_sqlite(void)
{
    const struct CMUnitTest tests[] = {TESTS};

    return cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
}

static int test_pgsql(void)
{
    const struct CMUnitTest tests[] = {TESTS};

    return cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_sqlite, test_pgsql);
}
