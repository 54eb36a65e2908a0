/* SPDX-License-Identifier: Apache-2.0
 * Which enrolled device a client certificate stands for, for as many requests a second as a web
 * server has: core's mdm_sighting and the directory, each answer kept for seconds. Depends on core,
 * answer_cache; no httpd header.
 */
#ifndef MDM_DEVICE_GUARD_H
#define MDM_DEVICE_GUARD_H

#include <apr_pools.h>

#include "../core/mdm_enrollment.h"
#include "../core/mdm_trust.h"

/* How long an answer about a certificate is kept, and one about a user who is still in the
 * directory, in seconds: a revocation, or the end of an enrollment, takes hold within the first,
 * the end of an account within both together. Refusals of either are kept for the first. Of
 * failures only the directory's is, for a second: each who asks would wait for it in turn. */
#define MDM_GUARD_SECONDS 5
#define MDM_GUARD_USER_SECONDS 60

/* The device behind a request. Texts are never NULL. */
typedef struct mdm_known_device_t {
    const char *certificate; /* its serial number */
    const char *enrollment;
    const char *user;
    const char *udid;
    const char *serial;
    const char *product;
    const char *os_version;
    const char *flow;
} mdm_known_device_t;

typedef struct mdm_device_guard_t mdm_device_guard_t;

/* For all threads of a process; all that is given must live as long. site is mdm_world_t.site;
 * directory may be NULL. NULL without mutexes. */
mdm_device_guard_t *mdm_device_guard_create(apr_pool_t *p, const mdm_store_t *store,
                                            const mdm_directory_t *directory,
                                            const mdm_trust_t *trust, const char *site);

/* Who comes with this certificate (PEM), whose key mod_ssl has seen proved. What it takes the place
 * of is revoked when it is seen first, which *ended counts. MDM_MSG_DEVICE_REFUSED,
 * MDM_MSG_DIRECTORY_*, or the store's; *device is set only on success. Texts in p. */
mdm_result_t mdm_device_guard_ask(mdm_device_guard_t *guard, apr_pool_t *p, const char *pem,
                                  mdm_known_device_t *device, int *ended);

#endif
