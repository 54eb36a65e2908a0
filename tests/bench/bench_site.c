/* SPDX-License-Identifier: Apache-2.0
 * For the benchmark: a site, and devices that ask it for certificates.
 */
#include "bench_site.h"

#include <stdio.h>
#include <stdlib.h>

#include <apr_strings.h>
#include <openssl/err.h>

#include "../../mod_mdm_enroll/httpd/store_dbd.h"
#include "../../mod_mdm_enroll/httpd/store_schema.h"
#include "mdm_base64.h"

#define LIFETIME 900

EVP_PKEY *bench_device, *bench_other;
static X509 *temporary; /* what a device signs with before it has a certificate */

void bench_need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

void bench_need_ok(mdm_result_t r, const char *what)
{
    if (r.kind == MDM_OK)
        return;
    fprintf(stderr, "bench: %s: MDM%04d %s\n", what, (int)r.message, r.log);
    exit(1);
}

void bench_keys(void)
{
    bench_device = pki_key_rsa(2048);
    bench_other = pki_key_rsa(2048);
    temporary = pki_cert("/CN=temporary", bench_device, NULL, NULL, NULL);
}

bench_site_t *bench_site_create(apr_pool_t *p, int ec)
{
    const pki_opts_t ca_opts = {.constraints = PKI_CA};
    const pki_opts_t ra_opts = {.key_usage = "critical,digitalSignature,keyEncipherment"};
    bench_site_t *site = apr_pcalloc(p, sizeof(*site));
    mdm_ca_settings_t *settings = apr_pcalloc(p, sizeof(*settings));
    mdm_trust_t *trust = mdm_trust_create(p);
    mdm_ca_t *ca;

    site->ca.key = ec ? pki_key_ec("P-256") : pki_key_rsa(2048);
    site->ca.cert = pki_cert("/O=Example/CN=CA", site->ca.key, NULL, NULL, &ca_opts);
    site->ra = site->ca;
    if (ec) {
        site->ra.key = pki_key_rsa(2048);
        site->ra.cert =
            pki_cert("/O=Example/CN=RA", site->ra.key, site->ca.cert, site->ca.key, &ra_opts);
    }
    *settings = (mdm_ca_settings_t){.signer = &site->ca,
                                    .responder = !ec,
                                    .organization = "Example",
                                    .validity = 365 * BENCH_DAY};
    bench_need_ok(mdm_ca_create(p, settings, &ca), "CA");
    bench_need_ok(mdm_trust_add_identity_ca(trust, site->ca.cert), "trust");
    site->scep = (mdm_scep_settings_t){
        .rules = {.ca = ca, .trust = trust, .lifetime = LIFETIME, .renewal = 30 * BENCH_DAY},
        .responder = ec ? &site->ra : mdm_ca_signer(ca)};
    bench_need_ok(mdm_scep_prepare(p, &site->scep), "SCEP");
    site->fake = fake_world_create(p);
    site->fake->real_random = 1;
    site->world = site->fake->world;
    return site;
}

bench_site_t *bench_site_on(apr_pool_t *p, const bench_site_t *site, int pgsql, const char *target)
{
    bench_site_t *copy = apr_pmemdup(p, site, sizeof(*site));
    mdm_dbd_pool_t *pool;

    bench_need(mdm_dbd_pool_create(p, pgsql ? MDM_DBD_PGSQL : MDM_DBD_SQLITE, target,
                                   &mdm_store_schema, &pool) == APR_SUCCESS,
               "a pool of database handles");
    copy->world.store = mdm_store_dbd(p, pool);
    return copy;
}

apr_pool_t *bench_lend_pool(apr_pool_t *p)
{
    apr_pool_t *before = pki_pool;

    pki_pool = p;
    return before;
}

const char *bench_enroll(apr_pool_t *p, const bench_site_t *site, mdm_state_t state)
{
    const mdm_store_t *store = site->world.store;
    mdm_enrollment_t *row;

    bench_need_ok(mdm_enrollment_make(p, &site->world, "anna", LIFETIME, &row), "enrollment");
    row->state = state;
    row->udid = "00008030-001A2B3C4D5E6F70";
    row->serial = "F2LX1234ABCD";
    row->product = "iPhone17,2";
    row->os_version = "18.1";
    row->device_fingerprint = mdm_sha256_hex(p, row->id, 32);
    bench_need_ok(store->enrollment_insert(store->context, p, row), "enrollment");
    return row->id;
}

X509 *bench_member(const bench_site_t *site, const char *enrollment)
{
    const pki_opts_t opts = {.not_before = -340L * BENCH_DAY, .not_after = 20L * BENCH_DAY};
    const mdm_store_t *store = site->world.store;
    apr_pool_t *p = pki_pool;
    apr_int64_t now = site->world.now(site->world.context);
    X509 *cert = pki_cert("/CN=device", bench_device, site->ca.cert, site->ca.key, &opts);
    apr_size_t len;
    const unsigned char *der = mdm_x509_encode(p, cert, &len);
    const char *fingerprint = mdm_x509_fingerprint(p, cert);
    mdm_certificate_t row = {.serial = fingerprint, /* pki's begin anew in each process */
                             .issuer = mdm_ca_key_id(site->scep.rules.ca),
                             .enrollment = enrollment,
                             .purpose = MDM_PURPOSE_MDM,
                             .request = fingerprint,
                             .poll = fingerprint,
                             .authority = "",
                             .used_for = "",
                             .fingerprint = fingerprint,
                             .der = mdm_base64_encode(p, der, len),
                             .not_before = mdm_x509_not_before(cert),
                             .not_after = mdm_x509_not_after(cert),
                             .issued_at = now - 340 * (apr_int64_t)BENCH_DAY};
    int won = 0;

    bench_need_ok(store->certificate_insert(store->context, p, &row, &won), "certificate");
    bench_need(won, "a certificate that is there already");
    return cert;
}

bench_request_t *bench_request(apr_pool_t *p, const bench_site_t *site, int renewal)
{
    bench_request_t *request = apr_pcalloc(p, sizeof(*request));

    request->site = site;
    request->renewal = renewal;
    apr_pool_create(&request->p, p);
    return request;
}

void bench_request_prepare(void *context)
{
    bench_request_t *request = context;
    const bench_site_t *site = request->site;
    scep_opts_t opts = {.key = bench_device,
                        .recipient = site->ra.cert,
                        .transaction = NULL,
                        .signer_cert = temporary};
    apr_pool_t *before;

    apr_pool_clear(request->p);
    before = bench_lend_pool(request->p);
    if (site->world.store == site->fake->world.store)
        fake_store_reset(site->fake->store);
    request->enrollment = bench_enroll(
        pki_pool, site, request->renewal ? MDM_STATE_DELIVERED : MDM_STATE_IDENTIFYING);
    opts.transaction = request->enrollment;
    if (request->renewal) {
        opts.type = "17";
        opts.signer_cert = bench_member(site, request->enrollment);
        opts.signer_key = bench_device;
        opts.key = bench_other;
    } else {
        opts.challenge = mdm_challenge_make(pki_pool, &site->world);
        bench_need_ok(mdm_challenge_store(pki_pool, &site->world, opts.challenge,
                                          request->enrollment, MDM_PURPOSE_IDENTITY, LIFETIME),
                      "challenge");
    }
    request->message = scep_message(&opts);
    bench_lend_pool(before);
}

/* As httpd does: in a pool that begins and ends with the request. */
static mdm_result_t serve(const bench_site_t *site, scep_bytes_t message, apr_size_t *reply_len)
{
    mdm_scep_reply_t reply;
    mdm_scep_facts_t facts;
    mdm_result_t r;
    apr_pool_t *p;

    apr_pool_create(&p, pki_pool);
    r = mdm_scep_pki_operation(p, &site->scep, &site->world, message.data, message.len, &reply,
                               &facts);
    *reply_len = reply.body != NULL ? reply.len : 0;
    if (r.kind == MDM_FAULT || r.kind == MDM_UNAVAILABLE)
        bench_need_ok(r, "serving");
    apr_pool_destroy(p);
    r.log = r.user = NULL;
    return r;
}

void bench_request_serve(void *context)
{
    bench_request_t *request = context;

    request->result = serve(request->site, request->message, &request->reply);
}

void bench_request_granted(void *context)
{
    bench_request_t *request = context;

    bench_need(request->result.kind == MDM_OK && request->reply > 0, "a request was not granted");
}

void bench_message_serve(void *context)
{
    bench_message_t *message = context;
    apr_size_t reply;

    message->result = serve(message->site, message->message, &reply);
}
