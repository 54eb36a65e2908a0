#include "bench.h"
void bench_database(const bench_t *bench)
{
    (void)bench;
}
