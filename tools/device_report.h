/* SPDX-License-Identifier: Apache-2.0
 * What mdm-device says: numbered steps on standard output, one reason when it stops, and the exit
 * status that goes with it. Depends on core's mdm_result and mdm_x509.
 */
#ifndef DEVICE_REPORT_H
#define DEVICE_REPORT_H

#include <apr_pools.h>
#include <jansson.h>
#include <stdio.h>

#include "mdm_result.h"

/* Exit statuses, as in mdm-device(1). */
typedef enum {
    DEVICE_OK = 0,
    DEVICE_USAGE = 1,        /* the command line */
    DEVICE_NETWORK = 2,      /* no answer: name, connection, TLS, timeout */
    DEVICE_REFUSED = 3,      /* the server said no: 401, 403, SCEP FAILURE */
    DEVICE_UNACCEPTABLE = 4, /* the server's answer is not what a device accepts */
    DEVICE_LOCAL = 5         /* files, keys, memory on this side */
} device_exit_t;

/* An outcome by value; reason lives in the pool it was made with. */
typedef struct device_result_t {
    device_exit_t exit;
    const char *reason; /* one sentence without a full stop; NULL when exit is DEVICE_OK */
    const char *hint;   /* what to do about it, likewise; NULL: nothing that reason does not say */
} device_result_t;

device_result_t device_ok(void);

/* Reason as printf, allocated in p. Foreign values need no quoting: device_report_print() makes
 * every line safe for a terminal. */
device_result_t device_fail(apr_pool_t *p, device_exit_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A refusal of core's as ours: what was being done, then core's text for the log. */
device_result_t device_fail_core(apr_pool_t *p, device_exit_t status, const char *doing,
                                 mdm_result_t r);

/* The last OpenSSL call failed: what was being done, then OpenSSL's reason, whose queue is emptied.
 */
device_result_t device_fail_openssl(apr_pool_t *p, device_exit_t status, const char *doing);

/* Where steps go. */
typedef struct device_report_t {
    FILE *out;    /* NULL: quiet, or JSON */
    int colour;   /* escape sequences may be written */
    int step;     /* number of the last step */
    json_t *json; /* NULL: text; else what is printed at the end */
} device_report_t;

/* Standard output, in colour if that is a terminal and NO_COLOR is not set. */
void device_report_init(device_report_t *report, int quiet);

/* From here on, what is reported becomes one JSON object, which is printed at the end. */
void device_report_json(device_report_t *report);

/* The end: print that object, if it is one, with "exit", "reason" and "hint", and free it. */
void device_report_end(device_report_t *report, device_result_t result);

/* What a program wants to know: a member of the object, nothing in text. */
void device_report_fact(device_report_t *report, const char *name, const char *value);

/* The heading of the next step, numbered. */
void device_report_step(device_report_t *report, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* One line under it. */
typedef enum {
    REPORT_SENT,
    REPORT_RECEIVED,
    REPORT_CHECKED,
    REPORT_STORED,
    REPORT_WARNING
} device_report_kind_t;

void device_report_line(device_report_t *report, device_report_kind_t kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Text as it is, line feeds and tabs included. */
void device_report_text(device_report_t *report, const char *text);

/* Write text to a stream with everything that could drive a terminal (C0 but tab and line feed,
 * DEL, C1) replaced by "?". For NULL out, nothing. */
void device_report_print(FILE *out, const char *text);

#endif
