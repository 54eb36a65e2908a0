/* SPDX-License-Identifier: Apache-2.0
 * The transactions that issue one certificate: for a one-time challenge, or as the renewal of one
 * that lives. Each step leaves what a repetition of the same request needs to go on from there.
 * Depends on mdm_ca, mdm_enrollment, mdm_scep_envelope, mdm_scep_member, mdm_trust.
 */
#ifndef MDM_SCEP_GRANT_H
#define MDM_SCEP_GRANT_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "mdm_ca.h"
#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_scep_envelope.h"
#include "mdm_scep_member.h"
#include "mdm_trust.h"

/* By how many requests one challenge may be spent: a device whose reply was lost makes a new key
 * and sends the challenge again. Each certificate so issued ends the one before. */
#define MDM_SCEP_MAX_USES 3

/* How long after the challenge was spent first that is possible, in seconds. */
#define MDM_SCEP_RECOVERY (10 * 60)

/* Certificates that one enrollment may be issued in a day, renewals included. */
#define MDM_SCEP_MAX_A_DAY 10

/* What the transactions go by. Must outlive them. */
typedef struct mdm_scep_rules_t {
    const mdm_ca_t *ca;
    const mdm_trust_t *trust; /* whose certificates can be renewed: its identity CAs' */
    apr_int64_t lifetime; /* seconds that the phase after an identity was issued may take to come */
    apr_int64_t renewal;  /* seconds before its end that a certificate can be renewed; 0: never */
} mdm_scep_rules_t;

/* What came of a transaction: the enrollment, NULL while it is not known, and the certificate. */
typedef struct mdm_scep_grant_t {
    const mdm_enrollment_t *row;
    X509 *cert;
} mdm_scep_grant_t;

/* By the challenge in the request, which is spent; an identical request gets the same certificate
 * again; up to MDM_SCEP_MAX_USES different ones get one each, which ends the one before, as long as
 * that is not in use yet. */
mdm_result_t mdm_scep_grant_challenge(apr_pool_t *p, const mdm_scep_rules_t *rules,
                                      const mdm_world_t *world, const mdm_scep_request_t *request,
                                      mdm_scep_grant_t *grant);

/* As the renewal of the member's certificate (RFC 8894 section 2.3, RenewalReq), which must be one
 * for the MDM server and near its end; directory and policy are asked again. The certificate
 * renewed lives on until the new one is seen in use here; what that took the place of itself ends
 * now. */
mdm_result_t mdm_scep_grant_renewal(apr_pool_t *p, const mdm_scep_rules_t *rules,
                                    const mdm_world_t *world, const mdm_scep_request_t *request,
                                    const mdm_scep_member_t *member, mdm_scep_grant_t *grant);

/* What a transaction brought, once more (RFC 8894 section 3.3.3, CertPoll), to who sent its
 * request: poll is mdm_scep_poll_id(). What was left to do is done first. MDM_MSG_SCEP_CERT_ID if
 * there is none, and as the request itself would be refused. */
mdm_result_t mdm_scep_grant_again(apr_pool_t *p, const mdm_scep_rules_t *rules,
                                  const mdm_world_t *world, const char *poll,
                                  mdm_scep_grant_t *grant);

#endif
