/* SPDX-License-Identifier: Apache-2.0
 * The benchmark's fourth question: what a certificate costs with few and with very many in the
 * database, and the list of those that are revoked.
 */
#include <stdio.h>
#include <string.h>

#include <apr_dbd.h>
#include <apr_strings.h>

#include "../../mod_mdm_enroll/httpd/dbd_target.h"
#include "bench.h"
#include "mdm_crl.h"
#include "measure.h"

#define FEW 100
#define LIFETIME 900

/* One database, and a connection to it beside the module's. */
typedef struct base_t {
    const char *target;
    int pgsql;
    const apr_dbd_driver_t *driver;
    apr_dbd_t *dbd;
    bench_site_t *site;
} base_t;

static void run_sql(const base_t *base, const char *sql)
{
    int rows, rc = apr_dbd_query(base->driver, base->dbd, &rows, sql);

    if (rc != 0)
        fprintf(stderr, "%s\n%s\n", sql, apr_dbd_error(base->driver, base->dbd, rc));
    bench_need(rc == 0, "a statement failed");
}

/* What the two databases say differently. */
static const struct {
    const char *hex16, *hex32, *der, *any, *series[2];
} words[] = {
    {"lower(hex(randomblob(16)))",
     "lower(hex(randomblob(32)))",
     "lower(hex(randomblob(700)))",
     "abs(random())",
     {"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ",
      ") SELECT i FROM n)"}},
    {"md5(random()::text)",
     "(md5(random()::text) || md5(random()::text))",
     "repeat(md5(random()::text), 44)",
     "(random() * 1000000000)::bigint",
     {"generate_series(1, ", ")"}},
};

/* So many certificates: an identity's and an MDM server's for each device, issued in any order
 * within the last year, their enrollments delivered long ago. */
static void fill(apr_pool_t *p, const base_t *base, int count)
{
    const char *hex16 = words[base->pgsql].hex16, *hex32 = words[base->pgsql].hex32;
    const char *any = words[base->pgsql].any;
    const char *const *around = words[base->pgsql].series;
    const char *series = apr_psprintf(p, "%s%d%s", around[0], count / 2, around[1]);
    apr_int64_t now = base->site->world.now(base->site->world.context);

    run_sql(base,
            apr_psprintf(p,
                         "INSERT INTO enrollment (id, flow, site, rules, state, user_name, udid, "
                         "serial, product, os_version, device_fingerprint, identity_fingerprint, "
                         "created_at, updated_at, expires_at) SELECT %s, 'ota', '" FAKE_SITE
                         "', '" FAKE_RULES "', 'delivered', 'user' || (%s %% 50000), %s, %s, "
                         "'iPhone17,2', '18.1', %s, %s, t.at, t.at, t.at + 900 FROM (SELECT "
                         "%" APR_INT64_T_FMT " - %s %% 31536000 AS at FROM %s AS s) AS t",
                         hex16, any, hex16, hex16, hex32, hex32, now, any, series));
    run_sql(base,
            apr_psprintf(p,
                         "INSERT INTO certificate (serial, issuer, enrollment, purpose, request, "
                         "poll, authority, fingerprint, der, not_before, not_after, issued_at) "
                         "SELECT %s, '%s', e.id, t.purpose, %s, %s, %s, %s, %s, e.created_at, "
                         "e.created_at + 31536000, e.created_at FROM enrollment AS e, "
                         "(SELECT 'identity' AS purpose UNION ALL SELECT 'mdm') AS t",
                         hex32, mdm_ca_key_id(base->site->scep.rules.ca), hex32, hex32, hex32,
                         hex32, words[base->pgsql].der));
    /* PostgreSQL does so by itself, sooner or later; SQLite does not, and nobody else does it. */
    if (base->pgsql)
        run_sql(base, "ANALYZE");
}

static void open_base(apr_pool_t *p, base_t *base)
{
    const char *error = "";
    const char *name = mdm_dbd_driver_name(base->pgsql ? MDM_DBD_PGSQL : MDM_DBD_SQLITE);

    bench_need(apr_dbd_init(p) == APR_SUCCESS &&
                   apr_dbd_get_driver(p, name, &base->driver) == APR_SUCCESS &&
                   apr_dbd_open_ex(base->driver, p, base->target, &base->dbd, &error) ==
                       APR_SUCCESS,
               error);
}

/* The module makes the tables, at its first connection. */
static base_t *make_base(const bench_t *bench, int pgsql, const char *target, int count)
{
    base_t *base = apr_pcalloc(bench->p, sizeof(*base));

    base->pgsql = pgsql;
    base->target = target;
    base->site = bench_site_on(bench->p, bench->ec, pgsql, target);
    bench_enroll(bench->p, base->site, MDM_STATE_OFFERED);
    open_base(bench->p, base);
    fill(bench->p, base, count);
    return base;
}

/* --- the store's part of an issue --- */

typedef struct issue_t {
    const bench_site_t *site;
    apr_pool_t *p;
    const char *hash, *enrollment;
    mdm_certificate_t row;
} issue_t;

static void issue_prepare(void *context)
{
    issue_t *issue = context;
    apr_int64_t now = issue->site->world.now(issue->site->world.context);
    const char *secret;

    apr_pool_clear(issue->p);
    issue->enrollment = bench_enroll(issue->p, issue->site, MDM_STATE_IDENTIFYING);
    secret = mdm_challenge_make(issue->p, &issue->site->world);
    bench_need_ok(mdm_challenge_store(issue->p, &issue->site->world, secret, issue->enrollment,
                                      MDM_PURPOSE_IDENTITY, LIFETIME),
                  "challenge");
    issue->hash = mdm_sha256_hex(issue->p, secret, strlen(secret));
    issue->row = (mdm_certificate_t){.serial = issue->hash,
                                     .issuer = mdm_ca_key_id(issue->site->scep.rules.ca),
                                     .enrollment = issue->enrollment,
                                     .purpose = MDM_PURPOSE_IDENTITY,
                                     .request = issue->hash,
                                     .poll = issue->hash,
                                     .authority = issue->hash,
                                     .fingerprint = issue->hash,
                                     .used_for = "",
                                     .not_before = now,
                                     .not_after = now + 365 * (apr_int64_t)BENCH_DAY,
                                     .issued_at = now};
    issue->row.der = apr_pstrcat(issue->p, "", NULL);
    for (int i = 0; i < 22; i++)
        issue->row.der = apr_pstrcat(issue->p, issue->row.der, issue->hash, NULL);
}

/* As mdm_scep_grant_challenge() does. */
static void issue_run(void *context)
{
    issue_t *issue = context;
    const mdm_store_t *s = issue->site->world.store;
    apr_int64_t now = issue->row.issued_at;
    mdm_challenge_t *challenge;
    mdm_certificate_t *seen;
    mdm_enrollment_t *row = NULL;
    int n, won = 0;

    bench_need_ok(s->certificate_by_fingerprint(s->context, issue->p, issue->hash, &seen), "1");
    bench_need_ok(s->challenge_get(s->context, issue->p, issue->hash, &challenge), "2");
    bench_need_ok(s->enrollment_get(s->context, issue->p, issue->enrollment, &row), "3");
    bench_need_ok(
        s->challenge_spend(s->context, issue->p, issue->hash, "", 3, issue->hash, now, &won), "4");
    bench_need_ok(s->certificate_by_request(s->context, issue->p, issue->hash, &seen), "5");
    bench_need_ok(
        s->certificate_count(s->context, issue->p, issue->enrollment, now - BENCH_DAY, 10, &n),
        "6");
    bench_need_ok(s->certificate_insert(s->context, issue->p, &issue->row, &won), "7");
    bench_need_ok(s->challenge_get(s->context, issue->p, issue->hash, &challenge), "8");
    row->state = MDM_STATE_IDENTIFIED;
    row->identity_fingerprint = issue->hash;
    bench_need_ok(
        s->enrollment_advance(s->context, issue->p, row, MDM_STATE_IDENTIFYING, "", now, &won),
        "9");
    bench_need(won, "an enrollment that does not move");
}

static issue_t *make_issue(apr_pool_t *p, const bench_site_t *site)
{
    issue_t *issue = apr_pcalloc(p, sizeof(*issue));

    issue->site = site;
    apr_pool_create(&issue->p, p);
    return issue;
}

static void sweep_run(void *context)
{
    const bench_site_t *site = context;
    const mdm_store_t *s = site->world.store;
    apr_pool_t *p;

    apr_pool_create(&p, pki_pool);
    bench_need_ok(s->sweep(s->context, p, site->world.now(site->world.context) - BENCH_DAY),
                  "sweeping");
    apr_pool_destroy(p);
}

/* --- what is said --- */

static void tell(const bench_case_t *many, const bench_case_t *few)
{
    bench_stat_t wall = bench_stat(many->wall, many->samples);
    bench_stat_t cpu = bench_stat(many->cpu, many->samples);
    bench_stat_t cpu_ratio = bench_ratio(many->cpu, few->cpu, many->samples);
    bench_stat_t wall_ratio = bench_ratio(many->wall, few->wall, many->samples);

    bench_row(json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", many->name, "cpu_ns", bench_json(cpu),
                        "wall_ns", bench_json(wall), "cpu_ratio", bench_json(cpu_ratio),
                        "wall_ratio", bench_json(wall_ratio)),
              "%-26s %8.0f %8.0f  %6.3f  %6.3f - %6.3f  %6.3f  %6.3f - %6.3f", many->name,
              cpu.median / 1e3, wall.median / 1e3, cpu_ratio.median, cpu_ratio.q1, cpu_ratio.q3,
              wall_ratio.median, wall_ratio.q1, wall_ratio.q3);
}

static void compare(const bench_t *bench, const base_t *few, const base_t *many, int count)
{
    const char *name = many->pgsql ? "PostgreSQL" : "SQLite";
    bench_case_t cases[8];
    const base_t *bases[] = {few, many};

    for (int i = 0; i < 2; i++) {
        const bench_site_t *site = bases[i]->site;
        for (int renewal = 0; renewal < 2; renewal++)
            cases[i + 2 * renewal] = (bench_case_t){
                renewal ? "RenewalReq" : "PKCSReq", bench_request_prepare, bench_request_serve,
                bench_request_granted, .context = bench_request(bench->p, site, renewal)};
        cases[i + 4] = (bench_case_t){"statements of an issue", issue_prepare, issue_run, NULL,
                                      .context = make_issue(bench->p, site)};
        cases[i + 6] = (bench_case_t){.name = "sweep", .run = sweep_run, .context = bases[i]->site};
    }
    measure(bench->p, cases, 8, bench->quick ? 50 : 500);
    bench_table(
        apr_psprintf(bench->p, "database_%s", many->pgsql ? "pgsql" : "sqlite"),
        apr_psprintf(bench->p, "4. %s: %d certificates, in relation to %d", name, count, FEW),
        "                             CPU us  wall us     CPU  its quartiles      wall  its "
        "quartiles");
    for (int i = 0; i < 8; i += 2)
        tell(&cases[i + 1], &cases[i]);
}

/* --- the list --- */

typedef struct list_t {
    const bench_site_t *site;
    apr_size_t len;
} list_t;

static void list_run(void *context)
{
    list_t *list = context;
    mdm_crl_t crl;
    apr_pool_t *p;

    apr_pool_create(&p, pki_pool);
    bench_need_ok(mdm_crl_make(p, list->site->scep.rules.ca, &list->site->world, &crl), "CRL");
    list->len = crl.len;
    apr_pool_destroy(p);
}

static void lists(const bench_t *bench, const base_t *many, int count)
{
    const int revoked[] = {0, count / 200, count / 10};
    apr_int64_t now = many->site->world.now(many->site->world.context);

    bench_table("crl",
                apr_psprintf(bench->p,
                             "   The list of the revoked of %d (SQLite), in relation to a "
                             "PKCSReq",
                             count),
                "revoked       CPU us    ratio  its quartiles      bytes");
    for (int i = 0; i < 3; i++) {
        list_t list = {.site = many->site};
        bench_case_t cases[] = {{"PKCSReq", bench_request_prepare, bench_request_serve,
                                 bench_request_granted,
                                 .context = bench_request(bench->p, bench->ec, 0)},
                                {.name = "CRL", .run = list_run, .context = &list}};
        bench_stat_t cpu, ratio;

        run_sql(many, apr_psprintf(bench->p,
                                   "UPDATE certificate SET revoked_at = %" APR_INT64_T_FMT
                                   ", revocation_reason = 4 WHERE serial IN (SELECT serial FROM "
                                   "certificate WHERE not_after > %" APR_INT64_T_FMT " LIMIT %d)",
                                   now - 3600, now, revoked[i]));
        measure(bench->p, cases, 2, bench->quick ? 10 : 40);
        cpu = bench_stat(cases[1].cpu, cases[1].samples);
        ratio = bench_ratio(cases[1].cpu, cases[0].cpu, cases[1].samples);
        bench_row(json_pack("{s:i, s:o, s:o, s:i}", "revoked", revoked[i], "cpu_ns",
                            bench_json(cpu), "ratio", bench_json(ratio), "bytes", (int)list.len),
                  "%7d %12.0f  %7.2f  %6.2f - %6.2f  %9d", revoked[i], cpu.median / 1e3,
                  ratio.median, ratio.q1, ratio.q3, (int)list.len);
    }
}

void bench_database(const bench_t *bench)
{
    int count = bench->quick ? 20000 : 200000;
    base_t *few = make_base(bench, 0, apr_psprintf(bench->p, "%s/few.db", bench->folder), FEW);
    base_t *many = make_base(bench, 0, apr_psprintf(bench->p, "%s/many.db", bench->folder), count);

    compare(bench, few, many, count);
    lists(bench, many, count);
    if (bench->pgsql == NULL || bench->pgsql[0] == '\0')
        return;
    few = apr_pcalloc(bench->p, sizeof(*few));
    few->pgsql = 1;
    few->target = bench->pgsql;
    open_base(bench->p, few);
    run_sql(few, "CREATE DATABASE few");
    run_sql(few, "CREATE DATABASE many");
    few = make_base(bench, 1, apr_psprintf(bench->p, "%s dbname=few", bench->pgsql), FEW);
    many = make_base(bench, 1, apr_psprintf(bench->p, "%s dbname=many", bench->pgsql), count);
    compare(bench, few, many, count);
}
