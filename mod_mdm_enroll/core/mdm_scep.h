/* SPDX-License-Identifier: Apache-2.0
 * Simple Certificate Enrolment Protocol (RFC 8894), the responder: GetCACaps, GetCACert,
 * PKIOperation with PKCSReq. Depends on mdm_ca, mdm_enrollment, mdm_x509.
 */
#ifndef MDM_SCEP_H
#define MDM_SCEP_H

#include <apr_pools.h>

#include "mdm_ca.h"
#include "mdm_enrollment.h"
#include "mdm_result.h"

/* Longest pkiMessage taken, in bytes of DER (real ones have 2.4 to 2.7 KB). */
#define MDM_SCEP_MAX_BYTES (32 * 1024)

/* An answer. content_type is exact: Apple compares it byte for byte. */
typedef struct mdm_scep_reply_t {
    const char *content_type;
    const char *body;
    apr_size_t len;
} mdm_scep_reply_t;

typedef struct mdm_scep_settings_t {
    const mdm_ca_t *ca;
    const char *organization; /* O of issued certificates */
    apr_int64_t lifetime; /* seconds that the phase after an identity was issued may take to come */
    apr_int64_t validity; /* seconds that an issued certificate is valid */
    mdm_scep_reply_t ca_cert; /* GetCACert's, made once at start */
} mdm_scep_settings_t;

/* What a request turned out to be about, for the log and for LogFormat; each "" until known, never
 * NULL. */
typedef struct mdm_scep_facts_t {
    const char *transaction; /* transactionID, quoted */
    const char *enrollment;  /* id */
    const char *user;
    const char *udid;
    const char *serial;      /* of the device */
    const char *certificate; /* serial number of the certificate issued */
} mdm_scep_facts_t;

/* The answer to GetCACaps (RFC 8894 section 3.5.2). */
void mdm_scep_get_ca_caps(mdm_scep_reply_t *reply);

/* The answer to GetCACert (RFC 8894 section 4.2): the same at all times, allocated in p.
 * MDM_MSG_CRYPTO. */
mdm_result_t mdm_scep_get_ca_cert(apr_pool_t *p, const mdm_ca_t *ca, mdm_scep_reply_t *reply);

/* PKIOperation, its answer allocated in p. A pkiMessage that can be answered is answered by a
 * CertRep: then reply->body is set, to be sent with 200, and the result says whether it was SUCCESS
 * (MDM_OK) or FAILURE (why, for the log). With reply->body NULL the result is to be answered by an
 * HTTP status: not a pkiMessage (MDM_MALFORMED), store out of reach (MDM_UNAVAILABLE), our own
 * failure (MDM_FAULT). An identical request gets the certificate that it got before. */
mdm_result_t mdm_scep_pki_operation(apr_pool_t *p, const mdm_scep_settings_t *settings,
                                    const mdm_world_t *world, const void *message, apr_size_t len,
                                    mdm_scep_reply_t *reply, mdm_scep_facts_t *facts);

/* Decode the message= parameter of a PKIOperation by GET, as it stands in the raw query:
 * percent-escapes, a raw "+" and a blank for "+", line breaks, "-" and "_", missing "=" are all
 * taken. MDM_MSG_SCEP_MESSAGE otherwise. */
mdm_result_t mdm_scep_decode_get(apr_pool_t *p, const char *parameter, const char **message,
                                 apr_size_t *len);

#endif
