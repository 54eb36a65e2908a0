/* SPDX-License-Identifier: Apache-2.0
 * The benchmark, see --help. Speed is measured as ratios of what ran side by side in the same
 * minute; no figure of it can fail a test.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const struct {
    const char *name;
    void (*run)(const bench_t *bench);
} questions[] = {{"serve", bench_serve},
                 {"hostile", bench_hostile},
                 {"timing", bench_timing},
                 {"database", bench_database}};

#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static int is_question(const char *word)
{
    for (size_t i = 0; i < QUESTIONS; i++)
        if (strcmp(questions[i].name, word) == 0)
            return 1;
    return 0;
}

static int usage(FILE *out)
{
    fprintf(out, "Usage: bench [--quick] [--json] --folder FOLDER [QUESTION...]\n\n"
                 "  --quick   fewer rounds, a smaller database: under a minute\n"
                 "  --json    the figures as JSON instead of tables\n"
                 "  --folder  for databases, on the disk that they are measured on\n"
                 "  QUESTION  serve, hostile, timing, database; all without\n\n"
                 "MDM_BENCH_PGSQL: conninfo of an empty database of PostgreSQL to measure, too.\n");
    return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    bench_t bench = {.pgsql = getenv("MDM_BENCH_PGSQL")};
    int wanted[QUESTIONS] = {0}, some = 0, json = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            bench.quick = 1;
        else if (strcmp(argv[i], "--json") == 0)
            json = 1;
        else if (strcmp(argv[i], "--help") == 0)
            return usage(stdout);
        else if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc)
            bench.folder = argv[++i];
        else if (!is_question(argv[i]))
            return usage(stderr);
        for (size_t k = 0; k < QUESTIONS; k++)
            some |= wanted[k] |= strcmp(questions[k].name, argv[i]) == 0;
    }
    if (bench.folder == NULL)
        return usage(stderr);
    pki_setup(NULL);
    bench.p = pki_pool;
    bench_keys();
    bench.rsa = bench_site_create(bench.p, 0);
    bench.ec = bench_site_create(bench.p, 1);
    bench_begin(json);
    for (size_t k = 0; k < QUESTIONS; k++)
        if (wanted[k] || !some)
            questions[k].run(&bench);
    bench_end();
    pki_teardown(NULL);
    return 0;
}
