/* SPDX-License-Identifier: Apache-2.0
 * The SQL of devices that come with their MDM identity. Depends on core's mdm_enrollment.
 */
#ifndef MDM_STORE_DEVICE_H
#define MDM_STORE_DEVICE_H

#include "../core/mdm_enrollment.h"

/* Fill in sighting_get and certificate_end_older; the context is that of mdm_store_dbd(). */
void mdm_store_fill_device(mdm_store_t *store);

#endif
