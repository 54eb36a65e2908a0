/* SPDX-License-Identifier: Apache-2.0
 * How the module logs: message ids and levels. A file that logs also needs
 * APLOG_USE_MODULE(mdm_enroll), but for mod_mdm_enroll.c, whose AP_DECLARE_MODULE contains it.
 */
#ifndef MDM_LOG_H
#define MDM_LOG_H

/* First: http_log.h does not include what it needs. */
#include <httpd.h>

#include <http_log.h>

#include "../core/mdm_result.h"

/* One line for a result that is not MDM_OK: "MDM0123: text". Client's fault: warning; ours: error.
 */
void mdm_log_result(request_rec *r, const mdm_result_t *result);

#endif
