/* SPDX-License-Identifier: Apache-2.0
 * An enrolled device that comes back to its SCEP server, with nothing but the folder that its
 * enrollment left. Depends on device_http, device_report, device_store, scep_ca.
 */
#ifndef DEVICE_VISIT_H
#define DEVICE_VISIT_H

#include <apr_pools.h>
#include <openssl/asn1.h>

#include "device_http.h"
#include "device_report.h"
#include "device_store.h"
#include "scep_ca.h"

typedef struct device_visit_t {
    const char *dir;
    const char *save_dir; /* NULL: messages are not kept */
    device_http_t *http;
    device_report_t report;
    device_store_t store; /* from device_visit_begin() on */
} device_visit_t;

/* The first step: read the folder and say who the device is. */
device_result_t device_visit_begin(device_visit_t *visit, apr_pool_t *p);

/* The SCEP server of the identity; label: as in scep_server_t. */
scep_server_t device_visit_server(device_visit_t *visit, const char *label);

/* A time as 2026-11-26T12:00:00Z, allocated in p; "" if it is none. */
const char *device_visit_time(apr_pool_t *p, const ASN1_TIME *time);

#endif
