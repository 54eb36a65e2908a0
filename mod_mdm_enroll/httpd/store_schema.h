/* SPDX-License-Identifier: Apache-2.0
 * The tables of the store: how they are made, and brought up to date. Depends on dbd_handle.
 */
#ifndef MDM_STORE_SCHEMA_H
#define MDM_STORE_SCHEMA_H

#include "dbd_handle.h"

/* Version of the schema that this code makes and understands. */
#define MDM_STORE_SCHEMA_VERSION 3

/* For mdm_dbd_pool_create(). */
extern const mdm_dbd_schema_t mdm_store_schema;

#endif
