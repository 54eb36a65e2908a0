/* SPDX-License-Identifier: Apache-2.0
 * The one line of a result.
 */
#include "log.h"

APLOG_USE_MODULE(mdm_enroll);

void mdm_log_result(request_rec *r, const mdm_result_t *result)
{
    int level =
        result->kind == MDM_FAULT || result->kind == MDM_UNAVAILABLE ? APLOG_ERR : APLOG_WARNING;

    ap_log_rerror(APLOG_MARK, level, 0, r, "%s: %s", mdm_result_code(r->pool, result->message),
                  result->log);
}
