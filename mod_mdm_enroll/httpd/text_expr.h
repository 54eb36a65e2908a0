/* SPDX-License-Identifier: Apache-2.0
 * The expressions of core's texts, as httpd's own: what "%{…}" is in a profile. Depends on ap_expr
 * and policy_expr.h, which makes the variables known.
 */
#ifndef MDM_TEXT_EXPR_H
#define MDM_TEXT_EXPR_H

#include <httpd.h>

#include <http_config.h>

#include "../core/mdm_enrollment.h"
#include "../core/mdm_text.h"

/* What compiles while a directive is read. Expressions live as long as cmd->pool, which is the pool
 * to give with it; errors name what ap_expr found. */
mdm_text_compiler_t mdm_text_expr_compiler(cmd_parms *cmd);

/* What evaluates during a request: %{MDM_USER}, %{MDM_UDID}, %{MDM_SERIAL}, %{MDM_PRODUCT},
 * %{MDM_OS_VERSION}, %{MDM_ENROLLMENT} and %{MDM_FLOW} are those of the row, %{REMOTE_USER} is its
 * user; everything else is as in any expression of this request, which is left as it was. */
mdm_text_evaluator_t mdm_text_expr_evaluator(request_rec *r);

/* The same for conditions, which are ap_expr_info_t of ap_expr_parse_cmd(). */
mdm_condition_t mdm_text_expr_condition(request_rec *r);

#endif
