/* SPDX-License-Identifier: Apache-2.0
 * For the benchmark: work that is measured, interleaved with what it is compared to, and what is
 * said of it. Depends on APR and jansson, on nothing of the project.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <apr_pools.h>
#include <jansson.h>

/* Something to measure. prepare (may be NULL) and check (may be NULL) are not timed. */
typedef struct bench_case_t {
    const char *name;
    void (*prepare)(void *context);
    void (*run)(void *context);
    void (*check)(void *context);
    void *context;
    int repeat; /* run() so often in one sample; 0: once */
    /* What measure() found out: nanoseconds of one run, one a sample, of the thread's CPU time and
     * of the wall's. */
    double *cpu, *wall;
    int samples;
} bench_case_t;

/* Take so many samples of each case, in rounds: one of each, in an order that changes each round,
 * so that whatever else the machine does meets all of them alike. */
void measure(apr_pool_t *p, bench_case_t *cases, int count, int samples);

/* Of a set of samples. */
typedef struct bench_stat_t {
    double median, q1, q3;
} bench_stat_t;

bench_stat_t bench_stat(const double *samples, int count);

/* How often the median of floor is in that of samples: the median over ten blocks of the run, each
 * compared with itself only, and its quartiles, which are the noise. */
bench_stat_t bench_ratio(const double *samples, const double *floor, int count);

/* Welch's t of two sets of samples, of each the lower nine tenths: what the machine did to the rest
 * is not theirs. Beyond 4.5 they differ. */
double bench_welch(const double *a, const double *b, int count);

/* --- what is said --- */

/* A table begins; its rows go to stdout, and all into the JSON that bench_end() prints instead if
 * asked to. */
void bench_begin(int as_json);
void bench_table(const char *name, const char *title, const char *columns);
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One row: its text, and its figures for the JSON, which are taken over. */
void bench_row(json_t *figures, const char *format, ...) __attribute__((format(printf, 2, 3)));
json_t *bench_json(bench_stat_t stat);
void bench_end(void);

/* One of the samples: what costs how much, and in relation to floor. */
void bench_row_ratio(const bench_case_t *one, const bench_case_t *floor);

#endif
