/* SPDX-License-Identifier: Apache-2.0
 * "Require mdm-device [expression]": httpd's authorization by enrollment. Depends on conf,
 * device_guard, http.
 */
#ifndef MDM_REQUIRE_DEVICE_H
#define MDM_REQUIRE_DEVICE_H

#include <httpd.h>

/* Register the provider with mod_authz_core, and the hooks below. */
void mdm_require_register(apr_pool_t *p);

#endif
