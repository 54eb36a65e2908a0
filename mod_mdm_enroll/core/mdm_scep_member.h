/* SPDX-License-Identifier: Apache-2.0
 * Who has a certificate of this site already: what is on record of it and its enrollment. Depends
 * on mdm_enrollment, mdm_trust, mdm_x509.
 */
#ifndef MDM_SCEP_MEMBER_H
#define MDM_SCEP_MEMBER_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_trust.h"

/* Who signed a message with a certificate that this site issued, and that lives. */
typedef struct mdm_scep_member_t {
    const mdm_certificate_t *certificate;
    const mdm_enrollment_t *row;
} mdm_scep_member_t;

/* Find out: issued by an identity CA, valid now, recorded, not revoked, of a delivered enrollment
 * of this site. MDM_MSG_SCEP_SIGNER if it is not one of ours, MDM_MSG_CERTIFICATE_REVOKED,
 * MDM_MSG_ENROLLMENT_STATE or the store's otherwise. *member is set only on success. */
mdm_result_t mdm_scep_find_member(apr_pool_t *p, const mdm_trust_t *trust, const mdm_world_t *world,
                                  X509 *signer, mdm_scep_member_t *member);

/* The certificate of a row that is not revoked. MDM_MSG_CERTIFICATE_REVOKED or
 * MDM_MSG_STORE_ROW. */
mdm_result_t mdm_scep_recorded(apr_pool_t *p, const mdm_certificate_t *row, X509 **cert);

#endif
