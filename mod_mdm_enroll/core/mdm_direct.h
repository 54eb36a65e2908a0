/* SPDX-License-Identifier: Apache-2.0
 * The enrollment profile straight after the login, without the phases in which a device proves what
 * it is: for Apple Configurator, and for installers that take a file. Whoever has the profile can
 * enroll one device with it, whichever. Depends on mdm_cms, mdm_enrollment, mdm_identity,
 * mdm_profile and mdm_ota (its settings and replies).
 */
#ifndef MDM_DIRECT_H
#define MDM_DIRECT_H

#include <apr_pools.h>

#include "mdm_ota.h"

/* A profile for a user whom httpd has authenticated and whom directory and policy allow, for a
 * device of which nothing is known: to policy all that it says is "". The row is MDM_STATE_OFFERED,
 * of MDM_FLOW_DIRECT, until the device comes with the challenge for its identity; with a CA of
 * somebody else's it stays so and is swept, since nothing of it comes back here. Nothing is written
 * before the reply is made; a row that a limit refuses stays, without its challenge, and is swept.
 * request->device_url is not used. Otherwise as mdm_ota_offer(). */
mdm_result_t mdm_direct_offer(apr_pool_t *p, const mdm_ota_settings_t *settings,
                              const mdm_world_t *world, const mdm_ota_request_t *request,
                              const char *user, mdm_ota_reply_t *reply, mdm_ota_facts_t *facts);

#endif
