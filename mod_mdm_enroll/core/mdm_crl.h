/* SPDX-License-Identifier: Apache-2.0
 * The list of what the CA revoked (RFC 5280 section 5). Depends on mdm_ca, mdm_enrollment.
 */
#ifndef MDM_CRL_H
#define MDM_CRL_H

#include <apr_pools.h>

#include "mdm_ca.h"
#include "mdm_enrollment.h"
#include "mdm_result.h"

/* How long a list is good for (nextUpdate), and how long after its end a revoked certificate is
 * still in it, in seconds. */
#define MDM_CRL_LIFETIME (24 * 60 * 60)
#define MDM_CRL_KEEP (24 * 60 * 60)

/* A list, DER; and the same in a SignedData that has nothing else, as SCEP sends it (RFC 8894
 * section 3.4: degenerate). */
typedef struct mdm_crl_t {
    const unsigned char *der;
    apr_size_t len;
    const unsigned char *bag;
    apr_size_t bag_len;
} mdm_crl_t;

/* Where a SCEP responder gets the current list from: made anew, or kept for a while. What is in
 * crl is allocated in p. */
typedef struct mdm_crl_source_t {
    void *context;
    mdm_result_t (*get)(void *context, apr_pool_t *p, mdm_crl_t *crl);
} mdm_crl_source_t;

/* Make the list of all that was revoked before this second, in p: version 2, with
 * authorityKeyIdentifier and cRLNumber (the time of making it, so that numbers grow without
 * anything being kept), each entry with its reason unless that is unspecified. What is revoked in
 * this second is left for the next list, so that two processes that make one now make the same, as
 * far as their clocks agree. MDM_MSG_CRYPTO or the store's. */
mdm_result_t mdm_crl_make(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                          mdm_crl_t *crl);

#endif
