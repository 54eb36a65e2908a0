/* SPDX-License-Identifier: Apache-2.0
 * The benchmark's questions. Each prints a table.
 */
#ifndef BENCH_H
#define BENCH_H

#include <apr_pools.h>

#include "bench_site.h"

typedef struct bench_t {
    apr_pool_t *p;
    int quick;
    bench_site_t *rsa;  /* CA and RA in one, RSA-2048 */
    bench_site_t *ec;   /* CA on P-256, RA of RSA-2048 */
    const char *folder; /* for databases */
    const char *pgsql;  /* conninfo of an empty database, or NULL */
} bench_t;

/* What a certificate costs, in relation to the cryptography alone that it needs. */
void bench_serve(const bench_t *bench);

/* What messages cost that were made to be dear, in relation to one that is granted. */
void bench_hostile(const bench_t *bench);

/* Whether refusals can be told apart by the time that they take. */
void bench_timing(const bench_t *bench);

/* What a certificate costs with few and with many in the database, and the list of revoked ones. */
void bench_database(const bench_t *bench);

#endif
