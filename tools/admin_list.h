/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin list: enrollments or certificates, newest first. Depends on admin_rows.
 */
#ifndef ADMIN_LIST_H
#define ADMIN_LIST_H

#include "admin_output.h"
#include "store_admin.h"

/* ADMIN_NOTHING without a line on standard output (JSON: an empty array) if no row is as wanted. */
admin_result_t admin_list_enrollments(apr_pool_t *p, mdm_dbd_handle_t *handle,
                                      const mdm_admin_filter_t *filter, int json);
admin_result_t admin_list_certificates(apr_pool_t *p, mdm_dbd_handle_t *handle,
                                       const mdm_admin_filter_t *filter, int json);

/* What to say where nothing matched: with the users whose name differs in case only. Allocated in
 * p. */
const char *admin_nothing(apr_pool_t *p, mdm_dbd_handle_t *handle,
                          const mdm_admin_filter_t *filter);

/* Such users as "ALICE, Alice"; "" for none. */
const char *admin_users_alike(apr_pool_t *p, mdm_dbd_handle_t *handle, const char *user);

#endif
