/* SPDX-License-Identifier: Apache-2.0
 * Steps, lines and reasons on a terminal, in a pipe, or as JSON. Depends on jansson and core's
 * mdm_x509.
 */
#include "device_report.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mdm_x509.h"

device_result_t device_ok(void)
{
    return (device_result_t){DEVICE_OK, NULL, NULL};
}

device_result_t device_fail(apr_pool_t *p, device_exit_t status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    device_result_t r = {status, apr_pvsprintf(p, fmt, args), NULL};
    va_end(args);
    return r;
}

device_result_t device_fail_core(apr_pool_t *p, device_exit_t status, const char *doing,
                                 mdm_result_t r)
{
    return device_fail(p, status, "%s: %s", doing, r.log);
}

device_result_t device_fail_openssl(apr_pool_t *p, device_exit_t status, const char *doing)
{
    return device_fail(p, status, "%s: %s", doing, mdm_openssl_reason(p));
}

void device_report_init(device_report_t *report, int quiet)
{
    report->out = quiet ? NULL : stdout;
    report->colour = !quiet && isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    report->step = 0;
    report->json = NULL;
}

void device_report_json(device_report_t *report)
{
    report->out = NULL;
    report->json = json_pack("{s:[]}", "steps");
}

/* Foreign bytes that are no UTF-8 are shown as "?". */
static json_t *json_text(const char *text)
{
    json_t *value = json_string(text);

    if (value == NULL && text != NULL) {
        char *ascii = strdup(text);
        for (char *c = ascii; c != NULL && *c != '\0'; c++)
            *c = (unsigned char)*c < 0x80 ? *c : '?';
        value = json_string(ascii);
        free(ascii);
    }
    return value != NULL ? value : json_null();
}

void device_report_fact(device_report_t *report, const char *name, const char *value)
{
    json_object_set_new(report->json, name, json_text(value));
}

void device_report_end(device_report_t *report, device_result_t result)
{
    if (report->json == NULL)
        return;
    json_object_set_new(report->json, "exit", json_integer((json_int_t)result.exit));
    device_report_fact(report, "reason", result.reason);
    device_report_fact(report, "hint", result.hint);
    json_dumpf(report->json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    fputc('\n', stdout);
    json_decref(report->json);
    report->json = NULL;
}

static void add_step(device_report_t *report, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void add_step(device_report_t *report, const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) >= 0) {
        json_array_append_new(json_object_get(report->json, "steps"),
                              json_pack("{s:o, s:[]}", "title", json_text(text), "lines"));
        free(text);
    }
}

static void add_line(device_report_t *report, const char *kind, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void add_line(device_report_t *report, const char *kind, const char *fmt, va_list args)
{
    json_t *steps = json_object_get(report->json, "steps");
    json_t *last = json_array_get(steps, json_array_size(steps) - 1);
    char *text = NULL;

    if (vasprintf(&text, fmt, args) >= 0) {
        json_array_append_new(json_object_get(last, "lines"),
                              json_pack("{s:s, s:o}", "kind", kind, "text", json_text(text)));
        free(text);
    }
}

void device_report_print(FILE *out, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    if (out == NULL)
        return;
    for (; *c != '\0'; c++) {
        /* U+0080..U+009F as UTF-8: some terminals take them for escape sequences */
        if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) {
            c++;
            fputc('?', out);
        } else if ((*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f) {
            fputc('?', out);
        } else {
            fputc(*c, out);
        }
    }
}

static void print_formatted(FILE *out, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void print_formatted(FILE *out, const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) >= 0) {
        device_report_print(out, text);
        free(text);
    }
}

void device_report_step(device_report_t *report, const char *fmt, ...)
{
    va_list args;

    report->step++;
    if (report->json != NULL) {
        va_start(args, fmt);
        add_step(report, fmt, args);
        va_end(args);
    }
    if (report->out == NULL)
        return;
    fprintf(report->out, "%s%s%d  ", report->step > 1 ? "\n" : "", report->colour ? "\033[1m" : "",
            report->step);
    va_start(args, fmt);
    print_formatted(report->out, fmt, args);
    va_end(args);
    fprintf(report->out, "%s\n", report->colour ? "\033[0m" : "");
    fflush(report->out);
}

void device_report_line(device_report_t *report, device_report_kind_t kind, const char *fmt, ...)
{
    static const struct {
        const char *name;
        const char *colour;
    } kinds[] = {
        [REPORT_SENT] = {"sent", "\033[36m"},       [REPORT_RECEIVED] = {"received", "\033[35m"},
        [REPORT_CHECKED] = {"checked", "\033[32m"}, [REPORT_STORED] = {"stored", "\033[34m"},
        [REPORT_WARNING] = {"warning", "\033[33m"},
    };
    va_list args;

    if (report->json != NULL) {
        va_start(args, fmt);
        add_line(report, kinds[kind].name, fmt, args);
        va_end(args);
    }
    if (report->out == NULL)
        return;
    fprintf(report->out, "   %s%-9s%s ", report->colour ? kinds[kind].colour : "", kinds[kind].name,
            report->colour ? "\033[0m" : "");
    va_start(args, fmt);
    print_formatted(report->out, fmt, args);
    va_end(args);
    fputc('\n', report->out);
    fflush(report->out);
}

void device_report_text(device_report_t *report, const char *text)
{
    device_report_print(report->out, text);
}
