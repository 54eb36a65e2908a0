/* SPDX-License-Identifier: Apache-2.0
 * The real clock and the real source of randomness. Depends on APR and OpenSSL only.
 */
#include "surroundings.h"

#include <apr_time.h>
#include <openssl/err.h>
#include <openssl/rand.h>

apr_int64_t mdm_clock_now(void *context)
{
    (void)context;
    return apr_time_sec(apr_time_now());
}

int mdm_random_bytes(void *context, unsigned char *bytes, apr_size_t len)
{
    (void)context;
    if (RAND_bytes(bytes, (int)len) == 1)
        return 1;
    ERR_clear_error();
    return 0;
}
