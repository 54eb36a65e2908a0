/* SPDX-License-Identifier: Apache-2.0
 * UUIDs that are always the same for the same thing. Depends on APR only.
 */
#include "mdm_uuid.h"

#include <apr_lib.h>
#include <apr_strings.h>

const char *mdm_uuid_of(apr_pool_t *p, const char *digest)
{
    char digits[33];

    apr_cpystrn(digits, digest, sizeof(digits));
    digits[12] = '8'; /* version 8 of RFC 9562: made in a way of one's own */
    digits[16] = "89ab"[digits[16] % 4];
    for (char *c = digits; *c != '\0'; c++)
        *c = (char)apr_toupper(*c);
    return apr_psprintf(p, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
                        digits + 16, digits + 20);
}
