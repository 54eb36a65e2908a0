/* SPDX-License-Identifier: Apache-2.0
 * What an ACME server (RFC 8555) asks of this site before it certifies a device's key: whose a
 * ClientIdentifier is, or the one-time secret that the request carries instead. The server has
 * verified what can be verified of the device (device-attest-01); that the device may have the
 * certificate, only this site knows. Depends on mdm_enrollment, mdm_pin, mdm_x509.
 */
#ifndef MDM_ACME_H
#define MDM_ACME_H

#include <apr_pools.h>

#include "mdm_enrollment.h"
#include "mdm_result.h"

/* How long after an identifier was spent the same order may ask again, in seconds: its answer may
 * have been lost, and a server may ask at more than one point of an order. */
#define MDM_ACME_AGAIN (10 * 60)

/* Longest certificate request, in bytes, and its most elements of ASN.1. */
#define MDM_ACME_MAX_REQUEST (16 * 1024)
#define MDM_ACME_MAX_ELEMENTS 512

/* What the server tells. Each text is NULL if it is not there. */
typedef struct mdm_acme_question_t {
    const char *client_identifier; /* of the order: a secret, or a serial number or UDID */
    const char *serial;            /* of the device that attested */
    const char *udid;
    const unsigned char *request; /* PKCS#10, DER */
    apr_size_t request_len;
    /* What tells one order from another, the first that is there: the key that is to be certified
     * (SubjectPublicKeyInfo, DER), that of the request, any text. Without any, no two questions are
     * of one order. */
    const unsigned char *key;
    apr_size_t key_len;
    const char *order;
} mdm_acme_question_t;

/* Answer it: MDM_OK, and the enrollment whose device may have the certificate. The secret is the
 * client identifier, or, where the subject of the request has an OU as mdm_pin_unit() makes it,
 * that one's; then the client identifier must be the serial number or the UDID of the device. It is
 * spent for this order, by one statement: of orders at the same moment one wins. *row is set as far
 * as it is known, also on refusal, else NULL.
 *
 * MDM_MSG_ACME_REQUEST: there is no identifier, or the request cannot be read. MDM_MSG_CHALLENGE_*
 * and MDM_MSG_ENROLLMENT_EXPIRED: the secret is none of ours for this purpose, or its time is over.
 * MDM_MSG_ACME_DEVICE: what attested is another device. MDM_MSG_ACME_ENDED: the enrollment is not
 * delivered, or was ended. MDM_MSG_ACME_SPENT: another order had it. Or the store's. */
mdm_result_t mdm_acme_answer(apr_pool_t *p, const mdm_world_t *world,
                             const mdm_acme_question_t *question, const mdm_enrollment_t **row);

#endif
