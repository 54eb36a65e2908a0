/* SPDX-License-Identifier: Apache-2.0
 * Simple Certificate Enrolment Protocol (RFC 8894), the responder: GetCACaps, GetCACert,
 * GetNextCACert, and PKIOperation with PKCSReq, RenewalReq, CertPoll, GetCert and GetCRL. Depends
 * on mdm_ca, mdm_crl, mdm_enrollment, mdm_scep_grant, mdm_x509.
 */
#ifndef MDM_SCEP_H
#define MDM_SCEP_H

#include <apr_pools.h>

#include "mdm_ca.h"
#include "mdm_crl.h"
#include "mdm_enrollment.h"
#include "mdm_result.h"
#include "mdm_scep_grant.h"

/* Longest pkiMessage taken, in bytes of DER (real ones have 2.4 to 2.7 KB). */
#define MDM_SCEP_MAX_BYTES (32 * 1024)

/* An answer. content_type is exact: Apple compares it byte for byte. */
typedef struct mdm_scep_reply_t {
    const char *content_type;
    const char *body; /* NULL: there is none */
    apr_size_t len;
} mdm_scep_reply_t;

typedef struct mdm_scep_settings_t {
    mdm_scep_rules_t rules;
    /* who opens and signs messages: an RA (mdm_ca_check_ra), or the CA's own signer */
    const mdm_signer_t *responder;
    unsigned int allow;          /* MDM_SCEP_ALLOW_* */
    const STACK_OF(X509) *next;  /* CA and RA certificates that follow these; NULL: not known yet */
    const mdm_crl_source_t *crl; /* NULL: GetCRL is refused */
    /* Made of the above by mdm_scep_prepare(): */
    mdm_scep_reply_t ca_caps;
    mdm_scep_reply_t ca_cert;
    mdm_scep_reply_t next_ca_cert;
    mdm_scep_decoy_t decoy;
} mdm_scep_settings_t;

/* What a request turned out to be about, for the log and for LogFormat; each "" until known, never
 * NULL. */
typedef struct mdm_scep_facts_t {
    const char *operation;   /* "PKCSReq", "RenewalReq" … */
    const char *transaction; /* transactionID, quoted */
    const char *enrollment;  /* id */
    const char *user;
    const char *udid;
    const char *serial;      /* of the device */
    const char *certificate; /* serial number of the certificate issued or found */
} mdm_scep_facts_t;

/* Make, in p, what is the same for all requests: the answers to GetCACaps (RFC 8894 section 3.5.2),
 * GetCACert (section 4.2: the CA's certificate alone where it has no chain and no RA, else
 * certs-only with the RA's first) and GetNextCACert (section 4.7: certs-only, signed by the CA),
 * and a decoy. Once at start. MDM_MSG_CRYPTO. */
mdm_result_t mdm_scep_prepare(apr_pool_t *p, mdm_scep_settings_t *settings);

/* PKIOperation, its answer allocated in p. A pkiMessage that can be answered is answered by a
 * CertRep: then reply->body is set, to be sent with 200, and the result says whether it was SUCCESS
 * (MDM_OK) or FAILURE (why, for the log). With reply->body NULL the result is to be answered by an
 * HTTP status: not a pkiMessage (MDM_MALFORMED), store out of reach (MDM_UNAVAILABLE), our own
 * failure (MDM_FAULT). An identical request gets the certificate that it got before. */
mdm_result_t mdm_scep_pki_operation(apr_pool_t *p, const mdm_scep_settings_t *settings,
                                    const mdm_world_t *world, const void *message, apr_size_t len,
                                    mdm_scep_reply_t *reply, mdm_scep_facts_t *facts);

/* Decode the message= parameter of a PKIOperation by GET, as it stands in the raw query
 * (mdm_base64_decode_query). MDM_MSG_SCEP_MESSAGE otherwise. */
mdm_result_t mdm_scep_decode_get(apr_pool_t *p, const char *parameter, const char **message,
                                 apr_size_t *len);

#endif
