/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin revoke: the end of certificates and enrollments. Depends on admin_rows.
 */
#ifndef ADMIN_REVOKE_H
#define ADMIN_REVOKE_H

#include "admin_output.h"
#include "store_admin.h"

/* What is wanted: exactly one of user, device, enrollment, serial and fingerprint of the filter,
 * and issuer with serial. */
typedef struct admin_revoke_options_t {
    mdm_admin_filter_t what;
    int reason; /* CRLReason */
    int dry_run;
    int json;
} admin_revoke_options_t;

/* By serial number or fingerprint: that one certificate. By user, device or enrollment: the
 * enrollments, so that none goes on and no challenge of theirs is worth anything, then all of their
 * certificates; read again until nothing is left, so that a certificate which was being issued
 * meanwhile does not escape. ADMIN_OK also where all of it was revoked before. */
admin_result_t admin_revoke(apr_pool_t *p, mdm_dbd_handle_t *handle,
                            const admin_revoke_options_t *options);

#endif
