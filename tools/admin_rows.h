/* SPDX-License-Identifier: Apache-2.0
 * Rows of the store as people and machines read them: words, columns and JSON objects that all
 * subcommands share. Depends on admin_output and mod_mdm_enroll's store_admin.
 */
#ifndef ADMIN_ROWS_H
#define ADMIN_ROWS_H

#include <apr_pools.h>
#include <jansson.h>

#include "admin_output.h"
#include "store_admin.h"

/* For people: the state; "revoked" where an administrator ended the enrollment; "offered (over)"
 * where no device came in time. */
const char *admin_state_text(apr_pool_t *p, const mdm_admin_enrollment_t *row, apr_int64_t now);

/* For people: "valid", "expired", "not yet", or "revoked". */
const char *admin_validity_text(const mdm_admin_certificate_t *row, apr_int64_t now);

/* Reasons by the names of RFC 5280 section 5.3.1. _name gives a number's text for one that has
 * none; _parse takes those that a device's certificate can be revoked for, in any case, and
 * gives 0 for any other. */
const char *admin_reason_name(apr_pool_t *p, apr_int64_t reason);
int admin_reason_parse(const char *name, int *reason);
#define ADMIN_REASONS                                                                              \
    "unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or "         \
    "privilegeWithdrawn"

/* New objects with the keys that mdm-enroll-admin(8) documents. */
json_t *admin_enrollment_json(const mdm_admin_enrollment_t *row, apr_int64_t now);
json_t *admin_certificate_json(apr_pool_t *p, const mdm_admin_certificate_t *row, apr_int64_t now);

/* Copies that live as long as p; der is left out. */
mdm_admin_enrollment_t *admin_enrollment_copy(apr_pool_t *p, const mdm_admin_enrollment_t *row);
mdm_admin_certificate_t *admin_certificate_copy(apr_pool_t *p, const mdm_admin_certificate_t *row);

/* Seconds since 1970. */
apr_int64_t admin_now(void);

#endif
