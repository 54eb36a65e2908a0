/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of serial_file and serial_list: what is a list, many threads on one that changes, and
 * queries of real databases. Depends on db_fixture.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../mod_mdm_enroll/httpd/serial_file.h"
#include "../../mod_mdm_enroll/httpd/serial_list.h"

/* --- files --- */

static const char *path_of(const char *name)
{
    return apr_pstrcat(db_p, db_folder, "/", name, NULL);
}

static const char *write_bytes(const char *name, const char *bytes, size_t len)
{
    const char *path = path_of(name), *next = path_of("next");
    FILE *file = fopen(next, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(next, path), 0);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    return write_bytes(name, text, strlen(text));
}

/* In a file that nobody has looked at yet. */
static mdm_result_t find(const char *path, const char *serial, int *found, apr_size_t *count)
{
    mdm_serial_file_t *file = mdm_serial_file_create(db_p, path);

    assert_non_null(file);
    return mdm_serial_file_find(file, db_p, serial, found, count);
}

static int has(const char *path, const char *serial)
{
    apr_size_t count;
    int found = 7;

    db_assert_ok(find(path, serial, &found, &count));
    return found;
}

static void what_is_on_a_list(void **state)
{
    const char *path = write_text("list", "\xef\xbb\xbf#A\n\n \t f1x \t\r\nF2#comment\nF3 # F4\n"
                                          "F2\nVM_a+/-.=\n#\n  # x\nLAST");
    static const char *const on[] = {"F1X", "f1x", "F2", "f3", "VM_A+/-.=", "LAST"};
    static const char *const off[] = {"",  "A",   "F1",      "F1XX", "F4",
                                      "#", "F2#", "COMMENT", "LAS",  "X"};
    apr_size_t count = 0;
    int found;

    (void)state;
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++)
        assert_int_equal(has(path, on[i]), 1);
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
        assert_int_equal(has(path, off[i]), 0);
    db_assert_ok(find(path, "F2", &found, &count));
    assert_int_equal(count, 5);
}

static void assert_no_list(const char *path, const char *why)
{
    apr_size_t count = 7;
    int found = 7;
    mdm_result_t r = find(path, "F1", &found, &count);

    assert_int_equal(r.message, MDM_MSG_SERIAL_LIST);
    assert_int_equal(r.kind, MDM_UNAVAILABLE);
    if (strstr(r.log, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, r.log);
    assert_non_null(strstr(r.log, path));
    assert_int_equal(found, 7);
}

static void what_is_none(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {{"", "is empty"},
               {"F1 F2\n", "line 1 of "},
               {"F1\nF2,iPhone\n", "line 2 of "},
               {"F1;x\n", "is \"F1;x\""},
               {"\"F1\"\n", "line 1"},
               {"F1\n\n\xc3\x84\n", "line 3"},
               {"F1\x01", "line 1"},
               {"12345678901234567890123456789012345678901234567890123456789012345", "line 1"}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_no_list(write_text("list", bad[i].text), bad[i].why);
    assert_no_list(write_bytes("list", "F1\0\n", 4), "line 1");
    assert_no_list(write_bytes("list", "F\0001\0\n", 5), "line 1"); /* UTF-16 */
    assert_no_list(path_of("missing"), "cannot be opened: No such file");
    assert_no_list(db_folder, "is not a file");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_no_list(path_of("fifo"), "is not a file");
    unlink(path_of("fifo"));
    assert_int_equal(truncate(write_text("list", "F1"), MDM_SERIAL_FILE_BYTES + 1), 0);
    assert_no_list(path_of("list"), "has 16777217 bytes, wanted are at most 16777216");
}

static void a_long_list(void **state)
{
    const int many = 1000000;
    char *text = apr_palloc(db_p, (size_t)many * 14 + 1), *end = text;
    mdm_serial_file_t *file;
    apr_size_t count;
    int found = 7;

    (void)state;
    for (int i = 0; i < many; i++)
        end += apr_snprintf(end, 15, "F%012d\n", i);
    file = mdm_serial_file_create(db_p, write_text("list", text));
    for (int i = 0; i < many; i += 9999) {
        db_assert_ok(
            mdm_serial_file_find(file, db_p, apr_psprintf(db_p, "F%012d", i), &found, &count));
        assert_int_equal(found, 1);
        db_assert_ok(
            mdm_serial_file_find(file, db_p, apr_psprintf(db_p, "G%012d", i), &found, &count));
        assert_int_equal(found, 0);
    }
    assert_int_equal(count, many);
}

/* What "A" is found to be from now on, after the second in which nobody looks. */
static void changes_are_seen(void **state)
{
    mdm_serial_file_t *file = mdm_serial_file_create(db_p, write_text("list", "A\n"));
    apr_size_t count;
    struct stat info;
    int found = 0, fd;

    (void)state;
    db_assert_ok(mdm_serial_file_find(file, db_p, "A", &found, &count));
    assert_int_equal(found, 1);
    /* in place, with the same size and time: it was too young to be trusted for good */
    stat(path_of("list"), &info);
    fd = open(path_of("list"), O_WRONLY);
    assert_int_equal(write(fd, "B", 1), 1);
    futimens(fd, (struct timespec[]){info.st_atim, info.st_mtim});
    close(fd);
    db_assert_ok(mdm_serial_file_find(file, db_p, "A", &found, &count));
    assert_int_equal(found, 1); /* nobody looked */
    apr_sleep(apr_time_from_msec(1010));
    db_assert_ok(mdm_serial_file_find(file, db_p, "A", &found, &count));
    assert_int_equal(found, 0);
    unlink(path_of("list"));
    apr_sleep(apr_time_from_msec(1010));
    assert_int_equal(mdm_serial_file_find(file, db_p, "B", &found, &count).message,
                     MDM_MSG_SERIAL_LIST);
    write_text("list", "C\n");
    apr_sleep(apr_time_from_msec(1010));
    db_assert_ok(mdm_serial_file_find(file, db_p, "C", &found, &count));
    assert_int_equal(found, 1);
}

static mdm_serial_file_t *shared;

/* So long that reading it takes a while. */
#define FILLING 50000

static const char *long_text(const char *head)
{
    char *text = apr_palloc(db_p, FILLING * 8 + 8), *end = text;

    end += apr_snprintf(end, 8, "%s", head);
    for (int i = 0; i < FILLING; i++)
        end += apr_snprintf(end, 9, "F%06d\n", i);
    return text;
}

/* Both texts have A, whatever else. */
static void *find_for_a_while(void *unused)
{
    apr_pool_t *p;
    intptr_t bad = 0;
    apr_time_t end = apr_time_now() + apr_time_from_msec(1300);

    (void)unused;
    apr_pool_create(&p, NULL);
    while (apr_time_now() < end) {
        apr_size_t count = 0;
        int found = 0;
        mdm_result_t r = mdm_serial_file_find(shared, p, "a", &found, &count);
        bad += r.kind != MDM_OK || !found || (count != FILLING + 1 && count != FILLING + 3);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return (void *)bad;
}

static void threads_and_a_list_that_changes(void **state)
{
    const char *texts[] = {long_text("B\nA\nC\n"), long_text("A\n")};
    pthread_t threads[8];

    (void)state;
    shared = mdm_serial_file_create(db_p, write_text("list", texts[1]));
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, find_for_a_while, NULL);
    for (int i = 0; i < 12; i++) {
        write_text("list", texts[i % 2]);
        apr_sleep(apr_time_from_msec(100));
    }
    for (int i = 0; i < 8; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
}

/* --- rules --- */

static const char *checked(const char *sql)
{
    int args = 7;
    const char *why = mdm_serial_check_sql(db_p, sql, &args);

    return why ? why : apr_itoa(db_p, args);
}

static void what_is_a_query(void **state)
{
    (void)state;
    assert_string_equal(checked("SELECT 1 FROM t WHERE a = %s"), "1");
    assert_string_equal(checked("select\n1 FROM t WHERE a = %s OR b = upper(%s)"), "2");
    assert_string_equal(checked("SELECT '?$' FROM \"t\" WHERE a = %s AND b <> 'it''s'"), "1");
    assert_non_null(strstr(checked("UPDATE t SET a = %s"), "begin with SELECT"));
    assert_non_null(strstr(checked("SELECTx %s"), "begin with SELECT"));
    assert_non_null(strstr(checked(""), "begin with SELECT"));
    assert_non_null(strstr(checked("SELECT 1"), "no %s"));
    assert_non_null(strstr(checked("SELECT '%s'"), "in quotes"));
    assert_non_null(strstr(checked("SELECT \"%s\""), "in quotes"));
    assert_non_null(strstr(checked("SELECT %s, '%"), "no % but"));
    assert_non_null(strstr(checked("SELECT %s, %lld"), "\"%l\""));
    assert_non_null(strstr(checked("SELECT %s, %%s"), "\"%%\""));
    assert_non_null(strstr(checked("SELECT %s, 'x"), "not closed"));
    assert_non_null(strstr(checked("SELECT %s, ?"), "\"?\""));
    assert_non_null(strstr(checked("SELECT %s, $1"), "\"$\""));
    assert_non_null(strstr(checked("SELECT %s%s%s%s%s%s%s%s%s"), "there are 9 %s"));
}

typedef struct lists_t {
    apr_array_header_t *rules;
    const mdm_serials_t *made;
} lists_t;

static void add(lists_t *lists, int allow, const char *file, const char *sql, const char *text)
{
    mdm_serial_rule_t *rule = apr_pcalloc(db_p, sizeof(*rule));

    if (lists->rules == NULL)
        lists->rules = apr_array_make(db_p, 4, sizeof(rule));
    *rule = (mdm_serial_rule_t){.allow = allow,
                                .file = file,
                                .sql = sql,
                                .text = text,
                                .name = apr_psprintf(db_p, "rule %d", lists->rules->nelts)};
    if (sql != NULL)
        assert_null(mdm_serial_check_sql(db_p, sql, &rule->args));
    APR_ARRAY_PUSH(lists->rules, mdm_serial_rule_t *) = rule;
}

static mdm_result_t check(lists_t *lists, const char *serial)
{
    lists->made = mdm_serial_lists(db_p, lists->rules, apr_hash_make(db_p), db_pool);
    assert_non_null(lists->made);
    return lists->made->check(lists->made->context, db_p, serial);
}

static void allow_and_deny(void **state)
{
    lists_t lists = {NULL, NULL};
    mdm_result_t r;

    (void)state;
    add(&lists, 0, write_text("stolen", "S1\n"), NULL, "Stolen.");
    assert_int_equal(check(&lists, "anything").kind, MDM_OK);
    assert_int_equal(check(&lists, "").message, MDM_MSG_SERIAL_REFUSED);
    r = check(&lists, "s1");
    assert_int_equal(r.message, MDM_MSG_SERIAL_REFUSED);
    assert_int_equal(r.kind, MDM_REFUSED);
    assert_string_equal(r.user, "Stolen.");
    assert_string_equal(r.log, "serial number s1 is on the list of rule 0");
    add(&lists, 1, write_text("a", "A1\nS1\n"), NULL, NULL);
    add(&lists, 1, write_text("b", "B1\n"), NULL, "Not ours.");
    assert_int_equal(check(&lists, "A1").kind, MDM_OK);
    assert_int_equal(check(&lists, "B1").kind, MDM_OK);
    assert_string_equal(check(&lists, "S1").user, "Stolen.");
    r = check(&lists, "C1");
    assert_int_equal(r.message, MDM_MSG_SERIAL_REFUSED);
    assert_string_equal(r.user, "Not ours.");
    assert_non_null(strstr(r.log, "serial number C1 is on none"));
}

/* What cannot be read matters where it could have changed the answer. */
static void lists_that_cannot_be_read(void **state)
{
    lists_t lists = {NULL, NULL}, denied = {NULL, NULL};

    (void)state;
    add(&lists, 1, path_of("missing"), NULL, NULL);
    add(&lists, 1, write_text("a", "A1\n"), NULL, NULL);
    assert_int_equal(check(&lists, "A1").kind, MDM_OK);
    assert_int_equal(check(&lists, "B1").message, MDM_MSG_SERIAL_LIST);
    assert_non_null(strstr(check(&lists, "B1").log, "rule 0: "));
    add(&lists, 0, path_of("gone"), NULL, NULL);
    assert_int_equal(check(&lists, "A1").message, MDM_MSG_SERIAL_LIST);
    add(&lists, 0, write_text("d", "A1\n"), NULL, NULL);
    assert_int_equal(check(&lists, "A1").message, MDM_MSG_SERIAL_REFUSED);
    /* a list that allows nobody is broken, one that denies nobody is not */
    add(&denied, 0, write_text("none", "# none\n"), NULL, NULL);
    assert_int_equal(check(&denied, "A1").kind, MDM_OK);
    add(&denied, 1, path_of("none"), NULL, NULL);
    assert_int_equal(check(&denied, "A1").message, MDM_MSG_SERIAL_LIST);
}

static void queries(void **state)
{
    lists_t lists = {NULL, NULL};
    mdm_result_t r;

    (void)state;
    db_do_sql("CREATE TABLE inventory (serial TEXT, owner TEXT)");
    db_do_sql("INSERT INTO inventory VALUES ('A1', NULL), ('B1', 'x'), ('B1', 'y'), ('C1', 'x')");
    add(&lists, 1, NULL, "SELECT owner, serial FROM inventory WHERE serial = %s", NULL);
    add(&lists, 0, NULL, "SELECT 1 FROM inventory WHERE 'C1' = %s OR serial = lower(%s)", NULL);
    assert_int_equal(check(&lists, "A1").kind, MDM_OK);
    assert_int_equal(check(&lists, "B1").kind, MDM_OK);
    assert_int_equal(check(&lists, "C1").message, MDM_MSG_SERIAL_REFUSED);
    assert_int_equal(check(&lists, "D1").message, MDM_MSG_SERIAL_REFUSED);
    assert_int_equal(check(&lists, "x' OR '1'='1").message, MDM_MSG_SERIAL_REFUSED);
    db_do_sql("DROP TABLE inventory");
    r = check(&lists, "A1");
    assert_int_equal(r.message, MDM_MSG_SERIAL_LIST);
    assert_non_null(strstr(r.log, "rule 1: asking for a serial number: "));
    assert_non_null(strstr(r.log, "inventory"));
    db_do_sql("CREATE TABLE inventory (serial TEXT, owner TEXT)");
    db_do_sql("INSERT INTO inventory VALUES ('A1', NULL)");
    assert_int_equal(check(&lists, "A1").kind, MDM_OK);
    db_do_sql("DROP TABLE inventory");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, db_set_up, db_tear_down)

static int test_sqlite(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_on_a_list),
        TEST(what_is_none),
        TEST(a_long_list),
        TEST(changes_are_seen),
        TEST(threads_and_a_list_that_changes),
        TEST(what_is_a_query),
        TEST(allow_and_deny),
        TEST(lists_that_cannot_be_read),
        TEST(queries),
    };

    return cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
}

static int test_pgsql(void)
{
    const struct CMUnitTest tests[] = {TEST(queries)};

    return cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
}

int main(void)
{
    return db_main(test_sqlite, test_pgsql);
}
