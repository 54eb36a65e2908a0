/* SPDX-License-Identifier: Apache-2.0
 * For the benchmark: interleaved samples, and statistics that survive a busy machine.
 */
#include "measure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCKS 10
#define MICRO 1000.0

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void take_sample(bench_case_t *one)
{
    int repeat = one->repeat > 0 ? one->repeat : 1;
    double cpu, wall;

    if (one->prepare)
        one->prepare(one->context);
    wall = now(CLOCK_MONOTONIC);
    cpu = now(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < repeat; i++)
        one->run(one->context);
    cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    wall = now(CLOCK_MONOTONIC) - wall;
    if (one->check)
        one->check(one->context);
    one->cpu[one->samples] = cpu / repeat;
    one->wall[one->samples] = wall / repeat;
    one->samples++;
}

static void shuffle(int *order, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int other = rand() % (i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

void measure(apr_pool_t *p, bench_case_t *cases, int count, int samples)
{
    int *order = apr_palloc(p, sizeof(*order) * (size_t)count);

    for (int i = 0; i < count; i++) {
        order[i] = i;
        cases[i].cpu = apr_palloc(p, sizeof(double) * (size_t)samples);
        cases[i].wall = apr_palloc(p, sizeof(double) * (size_t)samples);
        /* what the first run of each does that no other does is not counted */
        for (int warm = 0; warm < 2; warm++) {
            cases[i].samples = 0;
            take_sample(&cases[i]);
        }
        cases[i].samples = 0;
    }
    for (int round = 0; round < samples; round++) {
        shuffle(order, count);
        for (int i = 0; i < count; i++)
            take_sample(&cases[order[i]]);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double *sorted(const double *samples, int count)
{
    double *copy = malloc(sizeof(*copy) * (size_t)count);

    if (copy == NULL)
        abort();
    memcpy(copy, samples, sizeof(*copy) * (size_t)count);
    qsort(copy, (size_t)count, sizeof(*copy), compare);
    return copy;
}

bench_stat_t bench_stat(const double *samples, int count)
{
    double *copy = sorted(samples, count);
    bench_stat_t stat = {copy[count / 2], copy[count / 4], copy[count * 3 / 4]};

    free(copy);
    return stat;
}

bench_stat_t bench_ratio(const double *samples, const double *floor, int count)
{
    double ratios[BLOCKS];
    int size = count / BLOCKS, blocks = size > 0 ? BLOCKS : count;

    size = size > 0 ? size : 1;
    for (int i = 0; i < blocks; i++)
        ratios[i] =
            bench_stat(samples + i * size, size).median / bench_stat(floor + i * size, size).median;
    return bench_stat(ratios, blocks);
}

/* Mean and variance of the mean. */
static double mean(const double *samples, int count, double *variance)
{
    double *copy = sorted(samples, count);
    double sum = 0, squares = 0;
    int kept = count * 9 / 10;

    for (int i = 0; i < kept; i++)
        sum += copy[i];
    for (int i = 0; i < kept; i++)
        squares += (copy[i] - sum / kept) * (copy[i] - sum / kept);
    free(copy);
    *variance = squares / (kept - 1) / kept;
    return sum / kept;
}

double bench_welch(const double *a, const double *b, int count)
{
    double variance_a, variance_b;
    double difference = mean(a, count, &variance_a) - mean(b, count, &variance_b);

    return difference / sqrt(variance_a + variance_b);
}

/* --- what is said --- */

static json_t *report, *table;
static int only_json;

void bench_begin(int as_json)
{
    only_json = as_json;
    report = json_object();
}

void bench_table(const char *name, const char *title, const char *columns)
{
    table = json_array();
    json_object_set_new(report, name, table);
    if (!only_json)
        printf("\n%s\n  %s\n", title, columns);
}

void bench_note(const char *format, ...)
{
    va_list args;

    if (only_json)
        return;
    va_start(args, format);
    printf("  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    fflush(stdout);
}

void bench_row(json_t *figures, const char *format, ...)
{
    va_list args;

    json_array_append_new(table, figures);
    if (only_json)
        return;
    va_start(args, format);
    printf("  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    fflush(stdout);
}

json_t *bench_json(bench_stat_t stat)
{
    return json_pack("{s:f, s:f, s:f}", "median", stat.median, "q1", stat.q1, "q3", stat.q3);
}

void bench_end(void)
{
    if (only_json) {
        json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6) | JSON_PRESERVE_ORDER);
        printf("\n");
    }
    json_decref(report);
}

void bench_row_ratio(const bench_case_t *one, const bench_case_t *floor)
{
    bench_stat_t cpu = bench_stat(one->cpu, one->samples);
    bench_stat_t ratio = bench_ratio(one->cpu, floor->cpu, one->samples);

    bench_row(json_pack("{s:s, s:o, s:o}", "name", one->name, "cpu_ns", bench_json(cpu), "ratio",
                        bench_json(ratio)),
              "%-46s %9.1f  %7.3f  %7.3f - %.3f", one->name, cpu.median / MICRO, ratio.median,
              ratio.q1, ratio.q3);
}
