/* SPDX-License-Identifier: Apache-2.0
 * A CRL that is made anew only every few seconds, however often it is asked for. Depends on core's
 * mdm_crl and APR.
 */
#ifndef MDM_CRL_CACHE_H
#define MDM_CRL_CACHE_H

#include "../core/mdm_crl.h"

/* How old a CRL may be when it is sent, in seconds: so long a revocation may take to be in it. */
#define MDM_CRL_CACHE_SECONDS 5

/* Make a source in a child process, before it has threads; owned by p, usable by all threads. ca
 * and store must outlive it. NULL if there is no mutex to be had. */
const mdm_crl_source_t *mdm_crl_cache_create(apr_pool_t *p, const mdm_ca_t *ca,
                                             const mdm_store_t *store);

#endif
