/* SPDX-License-Identifier: Apache-2.0
 * The benchmark's third question: can a client tell by the time why an envelope was refused? Each
 * kind of damage has several messages, so that what differs between two of one kind counts as
 * noise.
 */
#include <stdio.h>

#include <apr_strings.h>
#include <math.h>
#include <openssl/rand.h>

#include "bench.h"
#include "forge.h"
#include "measure.h"

#define KINDS 11
#define VARIANTS 16
#define NOTHING ((scep_bytes_t){NULL, 0})

/* One kind of damage, whose messages take turns. */
typedef struct kind_t {
    const bench_site_t *site;
    scep_bytes_t messages[VARIANTS];
    int turn;
    mdm_result_t result;
} kind_t;

/* Who asks: a stranger with a PKCSReq, or a member with a RenewalReq. */
typedef struct asker_t {
    const bench_site_t *site;
    const char *type;
    EVP_PKEY *request_key;
    X509 *cert;
    scep_bytes_t request, foreign; /* of a key that is and one that is not the signer's */
} asker_t;

static void serve(void *context)
{
    kind_t *kind = context;
    bench_message_t message = {.site = kind->site, .message = kind->messages[kind->turn]};

    bench_message_serve(&message);
    kind->turn = (kind->turn + 1) % VARIANTS;
    kind->result = message.result;
}

/* A block of RSA that is no PKCS#1 padding, whatever the key. */
static scep_bytes_t random_block(void)
{
    unsigned char *block = apr_palloc(pki_pool, 256);

    RAND_bytes(block, 256);
    block[0] &= 0x3f; /* below every modulus */
    return (scep_bytes_t){block, 256};
}

static scep_bytes_t junk(apr_size_t len)
{
    unsigned char *bytes = apr_palloc(pki_pool, len);

    RAND_bytes(bytes, (int)len);
    return (scep_bytes_t){bytes, len};
}

static scep_bytes_t broken(scep_bytes_t request)
{
    scep_bytes_t copy = der_bytes(request.data, request.len);

    ((unsigned char *)copy.data)[copy.len - 1] ^= 1;
    return copy;
}

static const char *const names[KINDS] = {
    "RSA padding",
    "RSA padding, once more",
    "another recipient's key",
    "not the content's key",
    "key of 24 bytes",
    "padding of the content",
    "content is junk",
    "content is empty",
    "request of another, broken",
    "request of the signer, broken",
    "block above the modulus",
};

/* The envelope of that kind. */
static forge_envelope_t damage(const asker_t *asker, int kind)
{
    forge_envelope_t opts = {.recipient = asker->site->ra.cert, .content = asker->request};

    switch (kind) {
    case 0:
    case 1:
        opts.encrypted = random_block();
        break;
    case 2:
        opts.key = bench_other;
        break;
    case 3:
        opts.other_key = 1;
        break;
    case 4:
        opts.key_bytes = 24;
        break;
    case 5:
        opts.break_padding = 1;
        break;
    case 6:
        opts.content = junk(asker->request.len);
        break;
    case 7:
        opts.content = NOTHING;
        break;
    case 8:
        opts.content = broken(asker->foreign);
        break;
    case 9:
        opts.content = broken(asker->request);
        break;
    default: /* which the client knows without asking */
        opts.encrypted = der_times(der_hex("ff"), 256);
    }
    return opts;
}

static scep_bytes_t message(const asker_t *asker, forge_envelope_t envelope)
{
    scep_bytes_t content = forge_envelope(&envelope);
    scep_opts_t opts = {.key = bench_device,
                        .recipient = asker->site->ra.cert,
                        .type = asker->type,
                        .signer_cert = asker->cert,
                        .plain = (const char *)content.data,
                        .plain_len = content.len,
                        .not_enveloped = 1};

    return scep_message(&opts);
}

static void tell(const char *table, const char *title, const bench_case_t *cases)
{
    bench_stat_t first = bench_stat(cases[0].cpu, cases[0].samples);

    bench_table(
        table, title,
        "                                  CPU us   its quartiles       more by      t  wall "
        "us      t");
    for (int i = 0; i < KINDS; i++) {
        const bench_case_t *one = &cases[i];
        bench_stat_t cpu = bench_stat(one->cpu, one->samples);
        bench_stat_t wall = bench_stat(one->wall, one->samples);
        double t = i > 0 ? bench_welch(one->cpu, cases[0].cpu, one->samples) : 0;
        double wall_t = i > 0 ? bench_welch(one->wall, cases[0].wall, one->samples) : 0;
        int id = (int)((const kind_t *)one->context)->result.message;

        bench_row(json_pack("{s:s, s:o, s:o, s:f, s:f, s:i}", "name", one->name, "cpu_ns",
                            bench_json(cpu), "wall_ns", bench_json(wall), "t", t, "wall_t", wall_t,
                            "message", id),
                  "%-30s %9.1f  %8.1f - %7.1f  %+6.2f %% %6.1f %8.1f %6.1f  MDM%04d%s", one->name,
                  cpu.median / 1e3, cpu.q1 / 1e3, cpu.q3 / 1e3,
                  100 * (cpu.median / first.median - 1), t, wall.median / 1e3, wall_t, id,
                  fabs(t) > 4.5 ? "  DIFFERS" : "");
    }
}

static void ask(const bench_t *bench, const asker_t *asker, const char *table, const char *title)
{
    bench_case_t cases[KINDS];

    for (int i = 0; i < KINDS; i++) {
        kind_t *kind = apr_pcalloc(bench->p, sizeof(*kind));

        kind->site = asker->site;
        for (int k = 0; k < VARIANTS; k++)
            kind->messages[k] = message(asker, damage(asker, i));
        cases[i] = (bench_case_t){.name = names[i], .run = serve, .context = kind};
    }
    measure(bench->p, cases, KINDS, bench->quick ? 300 : 5000);
    tell(table, title, cases);
}

void bench_timing(const bench_t *bench)
{
    const bench_site_t *site = bench->ec;
    scep_bytes_t name = der_hex("310a300806035504030c0141");
    scep_bytes_t own = forge_request(bench_device, name, NOTHING);
    scep_bytes_t other = forge_request(bench_other, name, NOTHING);
    asker_t asker = {.site = site, .type = "19", .request = own, .foreign = other};
    const char *id;

    fake_store_reset(site->fake->store);
    id = bench_enroll(bench->p, site, MDM_STATE_DELIVERED);
    asker.cert = pki_cert("/CN=temporary", bench_device, NULL, NULL, NULL);
    ask(bench, &asker, "timing_stranger",
        "3. Refusals of a stranger's PKCSReq, in relation to the first; |t| > 4.5 differs");
    asker.type = "17";
    asker.cert = bench_member(site, id);
    ask(bench, &asker, "timing_member",
        "   Refusals of a member's RenewalReq, in relation to the first; |t| > 4.5 differs");
}
