/* SPDX-License-Identifier: Apache-2.0
 * The benchmark's second question: what a message costs that was made to be dear. Each is nearly as
 * long as is taken; each that is signed is signed well, unless that is the point.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "bench.h"
#include "forge.h"
#include "mdm_base64.h"
#include "measure.h"

#define MOST 60
#define ROOM (MDM_SCEP_MAX_BYTES - 2600) /* what the rest of a message leaves */
#define NOTHING ((scep_bytes_t){NULL, 0})

/* A message that comes as text. */
typedef struct query_t {
    bench_message_t message;
    const char *text;
} query_t;

/* What all messages are made of. */
typedef struct kit_t {
    const bench_t *bench;
    const bench_site_t *site;
    scep_bytes_t name;   /* the content of a Name */
    scep_bytes_t key;    /* the device's, SubjectPublicKeyInfo */
    scep_bytes_t signer; /* a certificate of it */
    scep_bytes_t envelope;
    bench_case_t cases[MOST];
    int count;
} kit_t;

static void add(kit_t *kit, const char *name, scep_bytes_t message)
{
    bench_message_t *made = apr_pcalloc(kit->bench->p, sizeof(*made));

    if (message.len > MDM_SCEP_MAX_BYTES) {
        fprintf(stderr, "bench: %s: %d bytes\n", name, (int)message.len);
        exit(1);
    }
    bench_need(kit->count < MOST, "room for one more message");
    made->site = kit->site;
    made->message = message;
    kit->cases[kit->count++] =
        (bench_case_t){.name = name, .run = bench_message_serve, .context = made};
}

static void add_signed(kit_t *kit, const char *name, forge_message_t opts)
{
    opts.key = opts.key != NULL ? opts.key : bench_device;
    opts.cert = opts.cert.len > 0 ? opts.cert : kit->signer;
    opts.content = opts.content.len > 0 ? opts.content : kit->envelope;
    add(kit, name, forge_message(&opts));
}

static void add_enveloped(kit_t *kit, const char *name, forge_envelope_t opts)
{
    opts.recipient = opts.recipient != NULL ? opts.recipient : kit->site->ra.cert;
    add_signed(kit, name, (forge_message_t){.content = forge_envelope(&opts)});
}

/* So many of them as have room. */
static scep_bytes_t fill(scep_bytes_t one, apr_size_t room)
{
    return der_times(one, room / one.len);
}

static scep_bytes_t junk(apr_size_t len)
{
    unsigned char *bytes = apr_palloc(pki_pool, len);

    RAND_bytes(bytes, (int)len);
    return (scep_bytes_t){bytes, len};
}

/* --- form --- */

static scep_bytes_t nested(scep_bytes_t (*wrap)(int tag, scep_bytes_t content), int tag,
                           apr_size_t size)
{
    scep_bytes_t all = NOTHING;

    while (all.len + 4 < size)
        all = wrap(tag, all);
    return all;
}

static void add_forms(kit_t *kit)
{
    const apr_size_t most = MDM_SCEP_MAX_BYTES - 8;
    scep_bytes_t head = der_hex("06092a864886f70d010702");
    scep_bytes_t octets = NOTHING;

    add(kit, "junk", junk(most));
    add(kit, "a SEQUENCE of junk", der_tlv(0x30, junk(most)));
    add(kit, "a SEQUENCE of empty ones", der_tlv(0x30, fill(der_hex("3000"), most)));
    add(kit, "nested, definite lengths", nested(der_tlv, 0x30, most));
    add(kit, "nested, indefinite lengths", nested(der_indefinite, 0x30, most));
    add(kit, "SignedData, nested indefinite lengths",
        der_indefinite(0x30, der_pair(head, nested(der_indefinite, 0xa0, most - 32))));
    add(kit, "SignedData, nested in the bag",
        der_tlv(0x30,
                der_pair(head, der_tlv(0xa0, der_tlv(0x30, der_pair(der_hex("0201013100"
                                                                            "300b06092a864886"
                                                                            "f70d010701"),
                                                                    nested(der_indefinite, 0xa0,
                                                                           most - 96)))))));
    for (apr_size_t i = 0; i < kit->envelope.len; i++)
        octets = der_pair(octets, der_tlv(0x04, der_bytes(kit->envelope.data + i, 1)));
    add_signed(kit, "content in pieces of one byte",
               (forge_message_t){.octets = der_indefinite(0x24, octets)});
    add_signed(kit, "content in empty pieces",
               (forge_message_t){.octets = der_indefinite(
                                     0x24, der_pair(fill(der_hex("0400"), ROOM - kit->envelope.len),
                                                    der_tlv(0x04, kit->envelope)))});
    add_signed(kit, "content in nested pieces",
               (forge_message_t){.octets = nested(der_indefinite, 0x24, ROOM)});
}

/* --- certificates --- */

/* One byte each: a Name, and Extensions, of as many as have room. */
static scep_bytes_t many_names(apr_size_t room)
{
    return fill(der_hex("310a300806035504030c0141"), room);
}

static scep_bytes_t many_extensions(apr_size_t room)
{
    return fill(der_hex("300706035504610400"), room);
}

static scep_bytes_t bag_of(kit_t *kit, scep_bytes_t key, apr_size_t count, scep_bytes_t extensions)
{
    scep_bytes_t bag = NOTHING;

    for (apr_size_t i = 0; i < count; i++)
        bag = der_pair(bag, forge_cert(key, kit->name, extensions));
    return bag;
}

static void add_bags(kit_t *kit)
{
    scep_bytes_t ec = der_key(pki_key_ec("P-521"));
    scep_bytes_t small = der_key(pki_key_ec("P-256"));
    apr_size_t third = (ROOM - 900) / 3;

    add_signed(kit, "4 certificates, RSA",
               (forge_message_t){.bag = bag_of(kit, kit->key, 3, NOTHING)});
    add_signed(kit, "4 certificates, P-521", (forge_message_t){.bag = bag_of(kit, ec, 3, NOTHING)});
    add_signed(kit, "4 certificates of many extensions",
               (forge_message_t){.bag = bag_of(kit, kit->key, 3, many_extensions(third - 600))});
    add_signed(kit, "60 certificates, RSA",
               (forge_message_t){.bag = bag_of(kit, kit->key, 60, NOTHING)});
    add_signed(kit, "100 certificates, P-256",
               (forge_message_t){.bag = bag_of(kit, small, 100, NOTHING)});
    add_signed(kit, "a curve of its own (Costly)",
               (forge_message_t){.bag = bag_of(kit, der_key(pki_key_ec_explicit()), 1, NOTHING)});
    add_signed(
        kit, "signer with a very long name",
        (forge_message_t){
            .cert = forge_cert(
                kit->key,
                der_tlv(0x31, der_tlv(0x30, der_pair(der_oid("2.5.4.3"),
                                                     der_tlv(0x0c, der_times(der_hex("41"),
                                                                             ROOM / 3 - 400))))),
                NOTHING)});
    add_signed(
        kit, "signer with a name of many parts",
        (forge_message_t){.cert = forge_cert(kit->key, many_names(ROOM / 3 - 400), NOTHING)});
    add_signed(
        kit, "signer of many extensions",
        (forge_message_t){.cert = forge_cert(kit->key, kit->name, many_extensions(ROOM - 900))});
    add_signed(kit, "signer who names our CA as his",
               (forge_message_t){
                   .cert = der_cert(pki_cert("/O=Example/CN=CA", bench_device, NULL, NULL, NULL))});
}

/* --- keys --- */

static void add_key(kit_t *kit, const char *name, int bits, int exponent_bits, int request)
{
    EVP_PKEY *key = forge_key(bits, exponent_bits);
    scep_bytes_t cert = forge_cert(der_key(key), kit->name, NOTHING);
    forge_envelope_t envelope = {.recipient = kit->site->ra.cert};

    if (!request) {
        add_signed(kit, name, (forge_message_t){.cert = cert, .key = key});
        return;
    }
    envelope.content = forge_request(key, kit->name, NOTHING);
    add_signed(kit, name,
               (forge_message_t){.cert = cert, .key = key, .content = forge_envelope(&envelope)});
}

static void add_keys(kit_t *kit)
{
    add_key(kit, "RSA-16384", 16384, 17, 0);
    add_key(kit, "RSA-2048, exponent of 2000 bits", 2048, 2000, 0);
    add_key(kit, "RSA-8192, exponent of 33 bits", 8192, 33, 0);
    add_key(kit, "RSA-8192, exponent of 32 bits", 8192, 32, 0);
    add_key(kit, "RSA-8192, 32 bits, and a request of it", 8192, 32, 1);
    add_key(kit, "RSA-8192, 17 bits, and a request of it", 8192, 17, 1);
    add_key(kit, "RSA-4096, 32 bits, and a request of it", 4096, 32, 1);
    add_key(kit, "RSA-4096, 17 bits, and a request of it", 4096, 17, 1);
}

/* --- attributes, envelope, request --- */

static void add_attributes(kit_t *kit)
{
    scep_bytes_t one = der_tlv(0x30, der_pair(der_hex("060155"), der_hex("31020400")));

    add_signed(kit, "many signed attributes", (forge_message_t){.attributes = fill(one, ROOM)});
    add_signed(kit, "one signed attribute of many values",
               (forge_message_t){.attributes = der_tlv(
                                     0x30, der_pair(der_hex("060155"),
                                                    der_tlv(0x31, fill(der_hex("0400"), ROOM))))});
    add_signed(kit, "many unsigned attributes",
               (forge_message_t){.unsigned_attributes = fill(one, ROOM)});
    add_signed(kit, "many digest algorithms",
               (forge_message_t){.digests = fill(der_hex("300b0609608648016503040201"), ROOM)});
    add_signed(kit, "signature does not hold", (forge_message_t){.signature = junk(256)});
}

static void add_envelopes(kit_t *kit)
{
    X509 *other = pki_cert("/CN=other", bench_other, NULL, NULL, NULL);
    scep_bytes_t own = forge_recipient(kit->site->ra.cert, junk(255));
    scep_bytes_t tiny = der_hex("3019020100300530000201013"
                                "00b06092a864886f70d0101010400");
    scep_bytes_t request = forge_request(bench_device, kit->name, NOTHING);

    add_enveloped(kit, "wrong recipient",
                  (forge_envelope_t){.recipient = other, .content = request});
    add_enveloped(kit, "8 recipients, all we",
                  (forge_envelope_t){.content = request, .before = der_times(own, 7)});
    add_enveloped(kit, "as many recipients as have room",
                  (forge_envelope_t){.content = request, .before = fill(tiny, ROOM - 1000)});
    add_enveloped(kit, "a large envelope", (forge_envelope_t){.content = junk(ROOM - 700)});
    add_enveloped(kit, "a request with a broken signature",
                  (forge_envelope_t){.content = der_pair(der_bytes(request.data, request.len - 1),
                                                         der_hex("00"))});
    add_enveloped(kit, "a request of many attributes",
                  (forge_envelope_t){.content = forge_request(bench_device, kit->name,
                                                              fill(der_hex("3007060155310204"
                                                                           "00"),
                                                                   ROOM - 1400))});
    add_enveloped(kit, "a request with a name of many parts",
                  (forge_envelope_t){
                      .content = forge_request(bench_device, many_names(ROOM - 1400), NOTHING)});
}

/* --- by GET --- */

static void serve_query(void *context)
{
    query_t *query = context;
    const unsigned char *bytes;
    apr_size_t len;
    apr_pool_t *p;

    apr_pool_create(&p, pki_pool);
    if (mdm_base64_decode_query(p, query->text, &bytes, &len) == NULL) {
        query->message.message = (scep_bytes_t){bytes, len};
        bench_message_serve(query);
    }
    apr_pool_destroy(p);
}

static void add_query(kit_t *kit, const char *name, const char *text)
{
    query_t *query = apr_pcalloc(kit->bench->p, sizeof(*query));

    query->message.site = kit->site;
    query->text = text;
    kit->cases[kit->count++] = (bench_case_t){.name = name, .run = serve_query, .context = query};
}

static void add_queries(kit_t *kit)
{
    scep_bytes_t bytes = junk(MDM_SCEP_MAX_BYTES);
    scep_bytes_t blanks = der_times(der_bytes("%0A", 3), MDM_SCEP_MAX_BYTES);

    add_query(kit, "GET, base64 of junk", mdm_base64_encode(pki_pool, bytes.data, bytes.len));
    add_query(kit, "GET, escaped line breaks",
              apr_pstrmemdup(pki_pool, (const char *)blanks.data, blanks.len));
}

/* --- all --- */

static void tell(const kit_t *kit)
{
    const bench_case_t *floor = &kit->cases[0];

    bench_table("hostile", "2. Messages made to be dear, and a PKCSReq that is granted (P-256 CA)",
                "                                               CPU us    ratio  its quartiles");
    for (int i = 0; i < kit->count; i++) {
        const bench_case_t *one = &kit->cases[i];
        bench_stat_t cpu = bench_stat(one->cpu, one->samples);
        bench_stat_t ratio = bench_ratio(one->cpu, floor->cpu, one->samples);
        int id = i > 0 ? (int)((const bench_message_t *)one->context)->result.message : 0;

        bench_row(json_pack("{s:s, s:o, s:o, s:i}", "name", one->name, "cpu_ns", bench_json(cpu),
                            "ratio", bench_json(ratio), "message", id),
                  "%-42s %9.1f  %7.3f  %7.3f - %.3f  MDM%04d%s", one->name, cpu.median / 1e3,
                  ratio.median, ratio.q1, ratio.q3, id, ratio.median > 1 ? "  DEARER" : "");
    }
}

void bench_hostile(const bench_t *bench)
{
    kit_t *kit = apr_pcalloc(bench->p, sizeof(*kit));

    kit->bench = bench;
    kit->site = bench->ec;
    kit->name = der_hex("310a300806035504030c0141");
    kit->key = der_key(bench_device);
    kit->signer = forge_cert(kit->key, kit->name, NOTHING);
    kit->envelope = forge_envelope(
        &(forge_envelope_t){.recipient = bench->ec->ra.cert,
                            .content = forge_request(bench_device, kit->name, NOTHING)});
    kit->cases[kit->count++] =
        (bench_case_t){"PKCSReq, granted", bench_request_prepare, bench_request_serve,
                       bench_request_granted, .context = bench_request(bench->p, bench->ec, 0)};
    add_forms(kit);
    add_bags(kit);
    add_keys(kit);
    add_attributes(kit);
    add_envelopes(kit);
    add_queries(kit);
    measure(bench->p, kit->cases, kit->count, bench->quick ? 30 : 400);
    tell(kit);
}
