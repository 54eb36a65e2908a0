/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollRequire as core's policy: expressions of httpd over user and device. Depends on http.h.
 */
#ifndef MDM_POLICY_EXPR_H
#define MDM_POLICY_EXPR_H

#include <ap_expr.h>
#include <apr_tables.h>
#include <http_config.h>
#include <httpd.h>

#include "../core/mdm_enrollment.h"

/* One MDMEnrollRequire. */
typedef struct mdm_requirement_t {
    const ap_expr_info_t *expression;
    const char *source; /* as the administrator wrote it */
    const char *text;   /* for the user whom it refuses, or NULL */
    const ap_directive_t *where;
} mdm_requirement_t;

/* The context of the policy of one request. */
typedef struct mdm_policy_expr_t {
    request_rec *r;
    const apr_array_header_t *requirements; /* mdm_requirement_t * */
} mdm_policy_expr_t;

/* mdm_policy_t.check: all requirements hold. MDM_MSG_POLICY_REFUSED otherwise, with the text of the
 * first that does not; MDM_MSG_POLICY_EXPRESSION if one cannot be evaluated. Sets the variables
 * that expressions read; REMOTE_USER is the row's user meanwhile. */
mdm_result_t mdm_policy_expr_check(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                   const mdm_device_t *device);

/* Hook expr_lookup: makes %{MDM_UDID}, %{MDM_SERIAL}, %{MDM_PRODUCT}, %{MDM_OS_VERSION},
 * %{MDM_USER}, %{MDM_ENROLLMENT}, %{MDM_CERTIFICATE}, %{MDM_FLOW}, and all that begin with
 * MDM_LDAP_, known to every expression of httpd; they are empty until known. */
int mdm_policy_expr_lookup(ap_expr_lookup_parms *parms);

/* A variable MDM_LDAP_… in the source of an expression that none of the attributes
 * (mdm_ldap_attribute_t; NULL: there is no directory) fills: its name, in p. NULL if there is none:
 * expressions are compiled before all directives are read, so that this is asked afterwards. */
const char *mdm_policy_expr_unfilled(apr_pool_t *p, const char *source,
                                     const apr_array_header_t *attributes);

#endif
