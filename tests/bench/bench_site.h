/* SPDX-License-Identifier: Apache-2.0
 * For the benchmark: a site with a CA and a store, and devices that ask it for certificates.
 * Depends on core, on store_dbd, and on what unit tests forge messages with. A failure ends the
 * program.
 */
#ifndef BENCH_SITE_H
#define BENCH_SITE_H

#include "fake_store.h"
#include "mdm_scep.h"
#include "pki.h"
#include "scep_forge.h"

#define BENCH_DAY (24 * 60 * 60)

void bench_need(int ok, const char *what);
void bench_need_ok(mdm_result_t r, const char *what);

/* Whose key is whose: made once, RSA-2048. */
extern EVP_PKEY *bench_device, *bench_other;

typedef struct bench_site_t {
    mdm_signer_t ca, ra; /* ra is ca where the CA answers itself */
    mdm_scep_settings_t scep;
    fake_world_t *fake;
    mdm_world_t world; /* with the store in memory, or another */
} bench_site_t;

void bench_keys(void);

/* CA and RA in one with RSA-2048, or a CA on P-256 with an RA of RSA-2048; the store in memory. */
bench_site_t *bench_site_create(apr_pool_t *p, int ec);

/* The same with a store of SQLite or PostgreSQL at target. */
bench_site_t *bench_site_on(apr_pool_t *p, const bench_site_t *site, int pgsql, const char *target);

/* A request that will be granted, and the row that it needs; the next one takes its place. */
typedef struct bench_request_t {
    const bench_site_t *site;
    int renewal;   /* RenewalReq instead of PKCSReq */
    apr_pool_t *p; /* of message */
    scep_bytes_t message;
    const char *enrollment;
    mdm_result_t result;
    apr_size_t reply;
} bench_request_t;

bench_request_t *bench_request(apr_pool_t *p, const bench_site_t *site, int renewal);

/* For bench_case_t: a fresh one, serve it, and that it was granted. */
void bench_request_prepare(void *request);
void bench_request_serve(void *request);
void bench_request_granted(void *request);

/* A message as it is. */
typedef struct bench_message_t {
    const bench_site_t *site;
    scep_bytes_t message;
    mdm_result_t result;
} bench_message_t;

void bench_message_serve(void *message);

/* A fresh enrollment in that state, stored; its id in p. */
const char *bench_enroll(apr_pool_t *p, const bench_site_t *site, mdm_state_t state);

/* A certificate for the MDM server of an enrollment, that it may renew, stored; in pki_pool. */
X509 *bench_member(const bench_site_t *site, const char *enrollment);

/* Let all that the functions of tests/unit make live in p, until it is given back. */
apr_pool_t *bench_lend_pool(apr_pool_t *p);

#endif
