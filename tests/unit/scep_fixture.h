/* SPDX-License-Identifier: Apache-2.0
 * For unit tests of mdm_scep: one enrollment, one challenge, one exchange at a time. Depends on
 * mdm_scep, fake_store, scep_forge. Include it behind cmocka.h.
 */
#ifndef SCEP_FIXTURE_H
#define SCEP_FIXTURE_H

#include "fake_store.h"
#include "mdm_scep.h"
#include "pki.h"
#include "scep_forge.h"

#define ID "00112233445566778899aabbccddeeff"
#define SECRET "Zm9vYmFyYmF6cXV4-one-time_secret"
#define SCEP_LIFETIME 900
#define DAY (24 * 60 * 60)

#define BAD_ALG "0"
#define BAD_MESSAGE_CHECK "1"
#define BAD_REQUEST "2"

extern EVP_PKEY *ca_key, *key, *other_key; /* RSA-2048 */
extern mdm_signer_t signer;                /* the CA's */
extern mdm_trust_t *trust;                 /* knows the CA's certificates as identities */
extern mdm_scep_settings_t settings;
extern fake_world_t *fake;

/* Of the last exchange. */
extern mdm_result_t result;
extern mdm_scep_reply_t reply;
extern mdm_scep_facts_t facts;
extern scep_answer_t answer;

/* cmocka group fixture; pki_teardown() undoes it. */
int setup(void **state);

/* One enrollment in a state, with SECRET as its challenge for a purpose. */
void arrange(mdm_state_t state, mdm_purpose_t purpose);
mdm_enrollment_t *the_row(void);

/* A PKCSReq that is in order. */
scep_opts_t sound(void);

/* Send a message, read the answer with the client's key: it is of the form promised, and OpenSSL's
 * error queue is clean. */
void exchange(scep_bytes_t message, EVP_PKEY *client);
void ask(const scep_opts_t *opts);

/* The last exchange gave SUCCESS and the one certificate recorded; FAILURE; no CertRep at all. */
void granted(void);
void refused(mdm_message_t message, const char *fail_info);
void malformed(mdm_message_t message);

/* The last exchange gave SUCCESS and a certificate that is the last of so many more than one. */
void granted_anew(int index);

/* How many certificates are recorded, one of them, and the only one. */
int issued(void);
mdm_certificate_t *recorded(int index);
const mdm_certificate_t *record(void);

/* Nothing was written since arrange(). */
void untouched(void);

#endif
