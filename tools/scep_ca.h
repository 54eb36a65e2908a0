/* SPDX-License-Identifier: Apache-2.0
 * Whom a SCEP client speaks to: GetCACert, GetCACaps, GetNextCACert, and what follows from the
 * answers (RFC 8894 sections 3.5, 4.2 and 4.7). Depends on device_http, device_report, core's
 * mdm_x509.
 */
#ifndef SCEP_CA_H
#define SCEP_CA_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "device_http.h"
#include "device_report.h"
#include "mdm_x509.h"

/* A SCEP server and how to speak to it. */
typedef struct scep_server_t {
    device_http_t *http;
    device_report_t *report;
    const char *save_dir; /* NULL: messages are not kept */
    const char *label;    /* first part of the names of kept messages */
    const char *url;      /* http or https */
    const char *name;     /* of the CA, message= of the GETs; NULL: none */
} scep_server_t;

/* Keep a message as LABEL.what, if messages are kept. */
device_result_t scep_server_keep(const scep_server_t *server, apr_pool_t *p, const char *what,
                                 const char *bytes, apr_size_t len);

/* Who answers; owned by the pool. */
typedef struct scep_authority_t {
    STACK_OF(X509) *certificates; /* all that GetCACert gave */
    X509 *top;                    /* the root of them */
    X509 *signer;                 /* must sign replies: the RA if there is one, else the CA */
    X509 *recipient;              /* requests are encrypted to it: RSA */
} scep_authority_t;

/* GetCACert. The certificates are not trusted by that. */
device_result_t scep_server_authority(const scep_server_t *server, apr_pool_t *p,
                                      scep_authority_t *ca);

/* "CA" or "RA"; an issuing CA below a root answers in the place of an RA. */
const char *scep_authority_role(X509 *signer);

/* 1 if cert chains now to one of the CAs among anchors, or is one of them, with the help of others
 * (may be NULL); else *why. */
int scep_authority_chains(apr_pool_t *p, const STACK_OF(X509) *anchors,
                          const STACK_OF(X509) *others, X509 *cert, const char **why);

/* What the server can do, and what is chosen of it. */
typedef struct scep_capabilities_t {
    int post;
    int renewal;
    int next_ca;
    const EVP_MD *digest;
    const EVP_CIPHER *cipher;
} scep_capabilities_t;

device_result_t scep_server_capabilities(const scep_server_t *server, apr_pool_t *p,
                                         scep_capabilities_t *caps);

/* GetNextCACert, which one of the CAs among known must have signed. *next: at least one CA
 * certificate, and what came with it; owned by p. DEVICE_REFUSED if there is none. */
device_result_t scep_server_next(const scep_server_t *server, apr_pool_t *p,
                                 const STACK_OF(X509) *known, STACK_OF(X509) **next);

#endif
