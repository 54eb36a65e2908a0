/* SPDX-License-Identifier: Apache-2.0
 * Base64 (RFC 4648 section 4): as the store keeps it, and as SCEP clients put it into a query.
 * Depends on APR and OpenSSL.
 */
#ifndef MDM_BASE64_H
#define MDM_BASE64_H

#include <apr_pools.h>

/* One line, padded; in p. */
const char *mdm_base64_encode(apr_pool_t *p, const void *bytes, apr_size_t len);

/* The bytes of one line, whose padding may be missing; in p. NULL if it is not base64. */
const unsigned char *mdm_base64_decode(apr_pool_t *p, const char *text, apr_size_t *len);

/* The same for a parameter as it stands in the raw query: percent-escapes, a raw "+" and a blank
 * for
 * "+", line breaks, "-" and "_", missing "=" are all taken. NULL, or what is wrong with it. */
const char *mdm_base64_decode_query(apr_pool_t *p, const char *parameter,
                                    const unsigned char **bytes, apr_size_t *len);

#endif
