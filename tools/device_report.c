/* SPDX-License-Identifier: Apache-2.0
 * Steps, lines and reasons on a terminal or in a pipe. Depends on core's mdm_x509.
 */
#include "device_report.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "mdm_x509.h"

device_result_t device_ok(void)
{
    return (device_result_t){DEVICE_OK, NULL};
}

device_result_t device_fail(apr_pool_t *p, device_exit_t status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    device_result_t r = {status, apr_pvsprintf(p, fmt, args)};
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
