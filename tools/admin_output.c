/* SPDX-License-Identifier: Apache-2.0
 * What mdm-enroll-admin says. Depends on jansson, core's mdm_result and mdm_x509.
 */
#define _XOPEN_SOURCE 700
#include "admin_output.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "mdm_x509.h"

/* So many rows decide how wide the columns are. */
#define ROWS_TO_MEASURE 200
#define MAX_COLUMNS 12
#define GAP 2
#define NARROWEST 6

/* --- results --- */

admin_result_t admin_ok(void)
{
    return (admin_result_t){ADMIN_OK, NULL};
}

admin_result_t admin_fail(apr_pool_t *p, admin_exit_t status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    admin_result_t r = {status, apr_pvsprintf(p, fmt, args)};
    va_end(args);
    return r;
}

admin_result_t admin_of(apr_pool_t *p, admin_exit_t status, mdm_result_t r)
{
    if (r.kind == MDM_OK)
        return admin_ok();
    return admin_fail(p, status, "%s", r.log);
}

admin_result_t admin_fail_openssl(apr_pool_t *p, const char *doing)
{
    return admin_fail(p, ADMIN_LOCAL, "%s: %s", doing, mdm_openssl_reason(p));
}

/* --- text --- */

/* The character at c and its length in bytes; 0 if there is no UTF-8. */
static size_t decode(const char *text, unsigned *out)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *c = (const unsigned char *)text;
    size_t len = *c < 0x80 ? 1 : *c >> 5 == 6 ? 2 : *c >> 4 == 14 ? 3 : *c >> 3 == 30 ? 4 : 0;
    unsigned value = len == 1 ? *c : *c & (0xffU >> (len + 1));

    for (size_t i = 1; i < len; i++) {
        if (c[i] >> 6 != 2)
            return 0;
        value = value << 6 | (c[i] & 0x3f);
    }
    if (len == 0 || value < least[len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *out = value;
    return len;
}

/* What drives a terminal, or makes a line read otherwise than it is. */
static int unsafe(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

const char *admin_safe(apr_pool_t *p, const char *text)
{
    char *safe = apr_palloc(p, 4 * strlen(text) + 1), *out = safe;
    unsigned c;

    while (*text != '\0') {
        size_t len = decode(text, &c);
        if (len > 0 && !unsafe(c)) {
            memcpy(out, text, len);
            out += len;
        }
        for (size_t i = 0; (len == 0 || unsafe(c)) && i < (len > 0 ? len : 1); i++)
            out += apr_snprintf(out, 5, "\\x%02X", (unsigned)(unsigned char)text[i]);
        text += len > 0 ? len : 1;
    }
    *out = '\0';
    return safe;
}

static void print_line(FILE *stream, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void print_line(FILE *stream, const char *fmt, va_list args)
{
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    fprintf(stream, "%s\n", admin_safe(p, apr_pvsprintf(p, fmt, args)));
    apr_pool_destroy(p);
}

void admin_say(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_line(stdout, fmt, args);
    va_end(args);
}

void admin_warn(const char *fmt, ...)
{
    va_list args;

    fflush(stdout);
    va_start(args, fmt);
    print_line(stderr, fmt, args);
    va_end(args);
}

static int width_of(unsigned c)
{
    int width = wcwidth((wchar_t)c);

    return width < 0 ? 1 : width; /* a locale that does not know it */
}

int admin_width(const char *text)
{
    int width = 0;
    unsigned c;

    for (size_t len; *text != '\0' && (len = decode(text, &c)) > 0; text += len)
        width += width_of(c);
    return width;
}

const char *admin_time(apr_pool_t *p, apr_int64_t seconds)
{
    time_t t = (time_t)seconds;
    char text[40];
    struct tm tm;

    if (seconds == 0)
        return "";
    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return apr_psprintf(p, "%" APR_INT64_T_FMT, seconds);
    return apr_pstrdup(p, text);
}

/* --- tables --- */

struct admin_table_t {
    apr_pool_t *p;
    int columns;
    int shown;
    int needed;
    const char *headings[MAX_COLUMNS];
    int widths[MAX_COLUMNS];
    int measured; /* the headings are printed */
    int cut;
    apr_array_header_t *rows; /* const char **: until then */
};

/* Columns of the terminal; 0 if it is none. COLUMNS decides where it is set. */
static int terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;

    if (columns != NULL && atoi(columns) > 0)
        return atoi(columns);
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        return size.ws_col;
    return 0;
}

admin_table_t *admin_table_create(apr_pool_t *p, const char *const *headings, int needed)
{
    admin_table_t *table = apr_pcalloc(p, sizeof(*table));

    table->p = p;
    table->needed = needed;
    table->rows = apr_array_make(p, ROWS_TO_MEASURE, sizeof(const char **));
    for (; *headings != NULL; headings++) {
        table->widths[table->columns] = admin_width(*headings);
        table->headings[table->columns++] = *headings;
    }
    return table;
}

static void print_value(const char *text, int width, int cut, int last)
{
    int full = admin_width(text), used = 0;
    unsigned c;

    if (!cut || full <= width) {
        fputs(text, stdout);
        used = full;
    } else {
        for (size_t len; (len = decode(text, &c)) > 0 && used + width_of(c) < width; text += len) {
            fwrite(text, 1, len, stdout);
            used += width_of(c);
        }
        fputs("\xe2\x80\xa6", stdout);
        used++;
    }
    if (!last)
        printf("%*s", (used < width ? width - used : 0) + GAP, "");
}

static void print_row(const admin_table_t *table, const char *const *values)
{
    int last = table->shown - 1;

    while (last > 0 && values[last][0] == '\0') /* no blanks at the end */
        last--;
    for (int i = 0; i <= last; i++)
        print_value(values[i], table->widths[i], table->cut, i == last);
    putchar('\n');
}

static void fit(admin_table_t *table, int terminal)
{
    int sum = GAP * (table->columns - 1);

    table->shown = table->columns;
    for (int i = 0; i < table->columns; i++)
        sum += table->widths[i];
    while (terminal > 0 && sum > terminal && table->shown > table->needed)
        sum -= table->widths[--table->shown] + GAP;
    while (terminal > 0 && sum > terminal) {
        int widest = 0;
        for (int i = 1; i < table->shown; i++)
            if (table->widths[i] > table->widths[widest])
                widest = i;
        if (table->widths[widest] <= NARROWEST)
            break;
        table->widths[widest]--;
        sum--;
    }
    table->cut = terminal > 0;
}

static void print_measured(admin_table_t *table)
{
    for (int r = 0; r < table->rows->nelts; r++) {
        const char **values = APR_ARRAY_IDX(table->rows, r, const char **);
        for (int i = 0; i < table->columns; i++) {
            int width = admin_width(values[i]);
            if (width > table->widths[i])
                table->widths[i] = width;
        }
    }
    fit(table, terminal_width());
    print_row(table, table->headings);
    for (int r = 0; r < table->rows->nelts; r++)
        print_row(table, APR_ARRAY_IDX(table->rows, r, const char **));
    apr_array_clear(table->rows);
    table->measured = 1;
}

void admin_table_row(admin_table_t *table, apr_pool_t *p, const char *const *values)
{
    const char **row;

    if (!table->measured)
        p = table->p;
    row = apr_palloc(p, (apr_size_t)table->columns * sizeof(*row));
    for (int i = 0; i < table->columns; i++)
        row[i] = admin_safe(p, values[i]);
    if (table->measured) {
        print_row(table, row);
        return;
    }
    APR_ARRAY_PUSH(table->rows, const char **) = row;
    if (table->rows->nelts == ROWS_TO_MEASURE)
        print_measured(table);
}

void admin_table_end(admin_table_t *table)
{
    if (!table->measured && table->rows->nelts > 0)
        print_measured(table);
}

/* --- JSON --- */

json_t *admin_json_text(const char *text)
{
    json_t *made;
    apr_pool_t *p;

    if (text == NULL)
        return json_null();
    made = json_string(text);
    if (made != NULL)
        return made;
    apr_pool_create(&p, NULL);
    made = json_string(admin_safe(p, text));
    apr_pool_destroy(p);
    return made;
}

json_t *admin_json_time(apr_int64_t seconds)
{
    json_t *made;
    apr_pool_t *p;

    if (seconds == 0)
        return json_null();
    apr_pool_create(&p, NULL);
    made = json_string(admin_time(p, seconds));
    apr_pool_destroy(p);
    return made;
}

static void dump(json_t *value, size_t flags)
{
    /* A C1 control or a change of direction drives a terminal as raw UTF-8, too. */
    if (value == NULL || json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII) != 0)
        fputs("null", stdout);
    json_decref(value);
}

void admin_json_element(admin_json_array_t *array, json_t *element)
{
    fputs(array->count++ == 0 ? "[\n" : ",\n", stdout);
    dump(element, JSON_COMPACT);
}

void admin_json_end(const admin_json_array_t *array)
{
    puts(array->count == 0 ? "[]" : "\n]");
}

void admin_json_object(json_t *object)
{
    dump(object, JSON_INDENT(2));
    putchar('\n');
}

int admin_output_good(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}
