/* SPDX-License-Identifier: Apache-2.0
 * UUIDs that are always the same for the same thing. (Random ones are mdm_enrollment's.) Depends on
 * APR only.
 */
#ifndef MDM_UUID_H
#define MDM_UUID_H

#include <apr_pools.h>

/* A UUID (RFC 9562 version 8) in upper case, as Apple's PayloadUUID, of a digest in at least 32
 * lower-case hexadecimal digits. Allocated in p. */
const char *mdm_uuid_of(apr_pool_t *p, const char *digest);

#endif
