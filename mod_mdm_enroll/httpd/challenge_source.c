/* SPDX-License-Identifier: Apache-2.0
 * What the sources of challenges have in common, and the fixed text.
 */
#include "challenge_source.h"

#include <string.h>

#include <apr_atomic.h>
#include <apr_strings.h>

static apr_uint32_t asked;

mdm_result_t mdm_challenge_begin(apr_pool_t *p)
{
    if (apr_atomic_inc32(&asked) < MDM_CHALLENGE_MAX_ASKED)
        return mdm_result_ok();
    apr_atomic_dec32(&asked);
    return mdm_result_make(p, MDM_MSG_CHALLENGE_SOURCE,
                           "%d requests of this process wait for a challenge already",
                           MDM_CHALLENGE_MAX_ASKED);
}

void mdm_challenge_end(void)
{
    apr_atomic_dec32(&asked);
}

const char *mdm_challenge_first_line(apr_pool_t *p, const char *bytes, apr_size_t len)
{
    apr_size_t end = 0;
    const char *line;

    while (end < len && bytes[end] != '\r' && bytes[end] != '\n' && bytes[end] != '\0')
        end++;
    if (end < len && bytes[end] == '\0')
        return NULL;
    line = apr_pstrmemdup(p, bytes, end);
    return mdm_identity_challenge_ok(line) ? line : NULL;
}

static mdm_result_t give(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                         mdm_purpose_t purpose, const char **challenge)
{
    (void)p;
    (void)row;
    (void)purpose;
    *challenge = context;
    return mdm_result_ok();
}

const mdm_challenge_source_t *mdm_challenge_text(apr_pool_t *p, const char *challenge)
{
    mdm_challenge_source_t *source = apr_palloc(p, sizeof(*source));

    *source = (mdm_challenge_source_t){.context = (void *)challenge, .ask = give};
    return source;
}
