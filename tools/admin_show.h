/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin show: everything about an enrollment. Depends on admin_rows.
 */
#ifndef ADMIN_SHOW_H
#define ADMIN_SHOW_H

#include "admin_output.h"
#include "store_admin.h"

/* The enrollments that key stands for, newest first, at most limit of them: an enrollment's id, a
 * device's UDID or serial number, a user, or a certificate's serial number or fingerprint; tried in
 * this order. */
admin_result_t admin_show(apr_pool_t *p, mdm_dbd_handle_t *handle, const char *key,
                          apr_int64_t limit, int json);

/* A serial number or fingerprint as people write it ("0A:1B", in any case, blanks between) as the
 * store has it: lower-case hexadecimal, two digits a byte. NULL if it is none. */
const char *admin_hex(apr_pool_t *p, const char *text);

#endif
