/* SPDX-License-Identifier: Apache-2.0
 * The benchmark's first question: what a certificate costs, in relation to the cryptography alone.
 */
#include <stdio.h>

#include <apr_strings.h>
#include <openssl/rsa.h>

#include "bench.h"
#include "measure.h"

#define DIGEST_BYTES 32
#define RSA_BYTES 256

/* The public-key operations of one request, by keys as they are in its site. */
typedef struct floor_t {
    EVP_PKEY *ca, *ra;
    int verify_ca; /* a member's certificate is verified */
    unsigned char digest[DIGEST_BYTES], block[RSA_BYTES];
    unsigned char signature[RSA_BYTES], ca_signature[RSA_BYTES];
    size_t ca_len;
} floor_t;

static EVP_PKEY_CTX *context(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
    EVP_PKEY_CTX *made = EVP_PKEY_CTX_new(key, NULL);

    bench_need(made != NULL && init(made) > 0, "a context for a key");
    return made;
}

static void sign(EVP_PKEY *key, const unsigned char *digest, unsigned char *out, size_t *len)
{
    EVP_PKEY_CTX *c = context(key, EVP_PKEY_sign_init);

    *len = RSA_BYTES;
    bench_need(EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) > 0 &&
                   EVP_PKEY_sign(c, out, len, digest, DIGEST_BYTES) > 0,
               "signing");
    EVP_PKEY_CTX_free(c);
}

static void verify(EVP_PKEY *key, const unsigned char *digest, const unsigned char *signature,
                   size_t len)
{
    EVP_PKEY_CTX *c = context(key, EVP_PKEY_verify_init);

    bench_need(EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) > 0 &&
                   EVP_PKEY_verify(c, signature, len, digest, DIGEST_BYTES) > 0,
               "verifying");
    EVP_PKEY_CTX_free(c);
}

static void transform(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *),
                      int (*op)(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *,
                                size_t),
                      const unsigned char *in, size_t in_len, unsigned char *out)
{
    EVP_PKEY_CTX *c = context(key, init);
    size_t len = RSA_BYTES;

    bench_need(op(c, out, &len, in, in_len) > 0, "RSA encryption");
    EVP_PKEY_CTX_free(c);
}

/* Verify the message and the request, decrypt, sign the certificate, encrypt and sign the reply. */
static void run_floor(void *data)
{
    floor_t *floor = data;
    unsigned char out[RSA_BYTES];
    size_t len;

    verify(bench_device, floor->digest, floor->signature, RSA_BYTES);
    transform(floor->ra, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, floor->block, RSA_BYTES, out);
    verify(bench_device, floor->digest, floor->signature, RSA_BYTES);
    if (floor->verify_ca)
        verify(floor->ca, floor->digest, floor->ca_signature, floor->ca_len);
    sign(floor->ca, floor->digest, out, &len);
    transform(bench_device, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, floor->digest, 16, out);
    sign(floor->ra, floor->digest, out, &len);
}

static floor_t *make_floor(apr_pool_t *p, const bench_site_t *site, int renewal)
{
    floor_t *floor = apr_pcalloc(p, sizeof(*floor));
    size_t len;

    floor->ca = site->ca.key;
    floor->ra = site->ra.key;
    floor->verify_ca = renewal;
    sign(bench_device, floor->digest, floor->signature, &len);
    sign(floor->ca, floor->digest, floor->ca_signature, &floor->ca_len);
    transform(floor->ra, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, floor->digest, 16, floor->block);
    return floor;
}

static bench_case_t case_of(apr_pool_t *p, const char *name, const bench_site_t *site, int renewal)
{
    return (bench_case_t){name, bench_request_prepare, bench_request_serve, bench_request_granted,
                          .context = bench_request(p, site, renewal)};
}

static bench_case_t floor_of(apr_pool_t *p, const bench_site_t *site, int renewal)
{
    return (bench_case_t){"", NULL, run_floor, NULL, .context = make_floor(p, site, renewal)};
}

static void tell(const bench_case_t *one, const bench_case_t *floor)
{
    bench_stat_t cpu = bench_stat(one->cpu, one->samples),
                 wall = bench_stat(one->wall, one->samples);
    bench_stat_t least = bench_stat(floor->cpu, floor->samples);
    bench_stat_t ratio = bench_ratio(one->cpu, floor->cpu, one->samples);

    bench_row(json_pack("{s:s, s:f, s:o, s:o, s:o, s:o}", "name", one->name, "per_second",
                        1e9 / cpu.median, "cpu_ns", bench_json(cpu), "floor_ns", bench_json(least),
                        "ratio", bench_json(ratio), "wall_ns", bench_json(wall)),
              "%-34s %7.0f/s %8.0f %8.0f  %6.3f  %6.3f - %.3f %8.0f", one->name, 1e9 / cpu.median,
              cpu.median / 1e3, least.median / 1e3, ratio.median, ratio.q1, ratio.q3,
              wall.median / 1e3);
}

/* Of three cases, the first is the floor of the others. */
void bench_serve(const bench_t *bench)
{
    const char *rsa_file = apr_psprintf(bench->p, "%s/serve-rsa.db", bench->folder);
    const char *ec_file = apr_psprintf(bench->p, "%s/serve-ec.db", bench->folder);
    const bench_site_t *rsa_sql = bench_site_on(bench->p, bench->rsa, 0, rsa_file);
    const bench_site_t *ec_sql = bench_site_on(bench->p, bench->ec, 0, ec_file);
    bench_case_t cases[12];
    int n = 0;

    for (int renewal = 0; renewal < 2; renewal++) {
        cases[n++] = floor_of(bench->p, bench->rsa, renewal);
        cases[n++] =
            case_of(bench->p, renewal ? "RenewalReq, RSA CA, memory" : "PKCSReq, RSA CA, memory",
                    bench->rsa, renewal);
        cases[n++] =
            case_of(bench->p, renewal ? "RenewalReq, RSA CA, SQLite" : "PKCSReq, RSA CA, SQLite",
                    rsa_sql, renewal);
        cases[n++] = floor_of(bench->p, bench->ec, renewal);
        cases[n++] = case_of(bench->p,
                             renewal ? "RenewalReq, P-256 CA, memory" : "PKCSReq, P-256 CA, memory",
                             bench->ec, renewal);
        cases[n++] = case_of(bench->p,
                             renewal ? "RenewalReq, P-256 CA, SQLite" : "PKCSReq, P-256 CA, SQLite",
                             ec_sql, renewal);
    }
    measure(bench->p, cases, n, bench->quick ? 100 : 1000);
    bench_table("serve", "1. A certificate, and the public-key operations that it takes (floor)",
                "                                    one core   CPU us floor us   ratio  its "
                "quartiles    wall us");
    for (int i = 0; i < n; i += 3) {
        tell(&cases[i + 1], &cases[i]);
        tell(&cases[i + 2], &cases[i]);
    }
}
