/* SPDX-License-Identifier: Apache-2.0
 * One SCEP enrollment as Apple's devices do it: GetCACert, GetCACaps, PKIOperation. Depends on
 * device_http, device_report, scep_message.
 */
#ifndef SCEP_CLIENT_H
#define SCEP_CLIENT_H

#include <apr_pools.h>

#include "device_http.h"
#include "device_profile.h"
#include "device_report.h"
#include "mdm_x509.h"

/* What a round needs beside its payload. */
typedef struct scep_client_t {
    device_http_t *http;
    device_report_t *report;
    const char *save_dir; /* NULL: messages are not kept */
    const char *label;    /* first part of the names of kept messages */
} scep_client_t;

/* Get a certificate for key by a payload. *identity has the certificate, key, and the CA
 * certificates between it and the top; owned by p, which must not outlive key. */
device_result_t scep_client_enroll(const scep_client_t *client, apr_pool_t *p,
                                   const device_scep_payload_t *payload, EVP_PKEY *key,
                                   mdm_signer_t *identity);

#endif
