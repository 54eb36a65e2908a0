/* SPDX-License-Identifier: Apache-2.0
 * The real clock and the real source of randomness, as core's mdm_world_t wants them.
 */
#ifndef MDM_SURROUNDINGS_H
#define MDM_SURROUNDINGS_H

#include <apr.h>

/* mdm_world_t.now and .random; context is not used. */
apr_int64_t mdm_clock_now(void *context);
int mdm_random_bytes(void *context, unsigned char *bytes, apr_size_t len);

#endif
