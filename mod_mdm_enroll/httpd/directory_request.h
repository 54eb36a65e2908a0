/* SPDX-License-Identifier: Apache-2.0
 * The directory of one request: what it says of the user becomes variables of that request.
 * Depends on directory_attributes, http.h and core's mdm_enrollment.
 */
#ifndef MDM_DIRECTORY_REQUEST_H
#define MDM_DIRECTORY_REQUEST_H

#include <httpd.h>

#include "../core/mdm_enrollment.h"

typedef struct mdm_directory_request_t {
    request_rec *r;
    const mdm_directory_t *directory;     /* the site's */
    const apr_array_header_t *attributes; /* mdm_ldap_attribute_t: that it reads */
} mdm_directory_request_t;

/* mdm_directory_t.check, with a mdm_directory_request_t as its context: ask the site's directory,
 * and set (or unset) the variable of every attribute for expressions and logs. */
mdm_result_t mdm_directory_request_check(void *context, apr_pool_t *p, const char *user,
                                         apr_table_t *attributes);

#endif
