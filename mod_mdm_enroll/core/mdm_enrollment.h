/* SPDX-License-Identifier: Apache-2.0
 * The row: states, transitions, one-time secrets, and what core needs of a store, a directory, a
 * policy, a clock and a source of randomness. Depends on mdm_device, mdm_result.
 */
#ifndef MDM_ENROLLMENT_H
#define MDM_ENROLLMENT_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_device.h"
#include "mdm_result.h"
#include "mdm_text.h"

/* offered → identifying → identified → delivered; nothing goes back. */
typedef enum {
    MDM_STATE_OFFERED,     /* phase 1 done: the device has its challenge */
    MDM_STATE_IDENTIFYING, /* phase 2 done: the device has a SCEP challenge for its identity */
    MDM_STATE_IDENTIFIED,  /* the identity certificate was issued */
    MDM_STATE_DELIVERED    /* phase 3 done: the device has its enrollment profile */
} mdm_state_t;

/* What a one-time secret, or the certificate got by it, is for. */
typedef enum {
    MDM_PURPOSE_DEVICE,   /* CHALLENGE of phase 2; never that of a certificate */
    MDM_PURPOSE_IDENTITY, /* the identity that signs phase 3 */
    MDM_PURPOSE_MDM,      /* the identity that the MDM server sees */
    MDM_PURPOSE_BINDING, /* in the subject of an identity of a foreign CA (mdm_pin.h); never that of
                            a certificate */
    MDM_PURPOSE_ACME     /* for the MDM identity of an ACME server (mdm_acme.h); likewise */
} mdm_purpose_t;

/* The words the store keeps: "offered", …; "device", "identity", "mdm", "binding", "acme". _parse
 * gives 0 for any other word. */
const char *mdm_state_name(mdm_state_t state);
int mdm_state_parse(const char *name, mdm_state_t *state);
const char *mdm_purpose_name(mdm_purpose_t purpose);
int mdm_purpose_parse(const char *name, mdm_purpose_t *purpose);

/* How an enrollment comes to its profile: by the three phases of the Profile Service; or by its
 * user, to whom it is given at once (mdm_direct.h). */
#define MDM_FLOW_OTA "ota"
#define MDM_FLOW_DIRECT "direct"

/* Rows. Strings are never NULL, "" where not known yet. Times are seconds since 1970, UTC; 0 is
 * "never". */
typedef struct mdm_enrollment_t {
    const char *id;   /* 32 lower-case hexadecimal digits, random */
    const char *flow; /* MDM_FLOW_OTA or MDM_FLOW_DIRECT */
    const char *site; /* mdm_world_t.site and .rules of where it was offered */
    const char *rules;
    mdm_state_t state;
    const char *user; /* as httpd authenticated */
    const char *udid; /* from phase 2 on */
    const char *serial;
    const char *product;
    const char *os_version;           /* OS_VERSION, else the build (VERSION) */
    const char *device_fingerprint;   /* SHA-256 of the certificate that signed phase 2 */
    const char *identity_fingerprint; /* SHA-256 of the identity certificate issued */
    const char *terms; /* what a delivered profile said that no update may change; "" before */
    apr_int64_t created_at;
    apr_int64_t updated_at;
    /* the next phase must come before; once delivered only whether it was ended counts
     * (mdm_enrollment_is_ended) */
    apr_int64_t expires_at;
    apr_int64_t signed_at; /* signingTime of the last message answered; 0: it had none */
} mdm_enrollment_t;

typedef struct mdm_challenge_t {
    const char *hash;       /* SHA-256 of the secret, 64 lower-case hexadecimal digits */
    const char *enrollment; /* its id */
    mdm_purpose_t purpose;
    apr_int64_t expires_at;
    apr_int64_t used_at;  /* first */
    const char *used_for; /* what spent it last (mdm_certificate_t.request), "" while unused */
    int uses;             /* by how many requests it was spent */
} mdm_challenge_t;

/* Reason codes of a revocation (RFC 5280 section 5.3.1) that the module itself gives. */
#define MDM_REVOCATION_UNSPECIFIED 0
#define MDM_REVOCATION_SUPERSEDED 4

typedef struct mdm_certificate_t {
    const char *serial; /* lower-case hexadecimal; unique among those of one issuer */
    const char *issuer; /* mdm_x509_key_id() of the CA that issued it; "" in old rows: not known */
    const char *enrollment;
    mdm_purpose_t purpose; /* MDM_PURPOSE_IDENTITY or MDM_PURPOSE_MDM */
    /* SHA-256 over (transactionID, NUL, CSR) in hexadecimal; unique: a repeated request gets the
     * certificate that it got before (RFC 8894, retransmission) */
    const char *request;
    /* SHA-256 over (transactionID, NUL, the public key that signed the request) in hexadecimal: who
     * may ask for the outcome of the transaction (RFC 8894, CertPoll) */
    const char *poll;
    /* What it was issued for: the hash of the challenge, or the fingerprint of the certificate that
     * it renews, which ends when this one is seen in use. Of two with the same authority only the
     * later lives. */
    const char *authority;
    const char *fingerprint; /* SHA-256 of the DER, hexadecimal; unique */
    const char *der;         /* base64 */
    apr_int64_t not_before;
    apr_int64_t not_after;
    apr_int64_t issued_at;
    apr_int64_t revoked_at;
    int revocation_reason; /* CRLReason of RFC 5280 section 5.3.1; 0 while it lives */
    const char *used_for;  /* the request that renewed it last, "" if none did */
} mdm_certificate_t;

/* What the site is still to be told (mdm_notice.h). */
typedef struct mdm_notification_t {
    const char *id;   /* 32 lower-case hexadecimal digits; the same for the same occasion */
    const char *site; /* as of the enrollment */
    const char *event;
    const char *enrollment; /* its id */
    const char *body;       /* JSON, as it is sent */
    apr_int64_t created_at;
    apr_int64_t due_at; /* not before */
    int tries;
} mdm_notification_t;
/* A certificate and the enrollment that it is of, as one look-up gives them: what is asked of a
 * device that comes with it. The rest of both is "" or 0. */
typedef struct mdm_sighting_t {
    mdm_certificate_t certificate; /* serial, issuer, enrollment, purpose, authority, fingerprint,
                                      not_after, issued_at, revoked_at, revocation_reason */
    mdm_enrollment_t row; /* id, flow, site, state, user, udid, serial, product, os_version,
                             updated_at, expires_at */
    int has_older;        /* mdm_store_t.certificate_end_older would find some */
} mdm_sighting_t;

/* One place that a user has taken of something of which there is only so much (mdm_limit.h). Two
 * cannot take one place, and no holder has two. */
#define MDM_CLAIM_DEVICES "devices"
#define MDM_CLAIM_HOURLY "hourly"
typedef struct mdm_claim_t {
    const char *site;       /* mdm_world_t.site */
    const char *kind;       /* MDM_CLAIM_* */
    const char *user;       /* as mdm_limit writes names */
    apr_int64_t place;      /* from 1 on */
    const char *holder;     /* what has it: a device, an enrollment */
    const char *enrollment; /* for which it was taken */
    apr_int64_t taken_at;   /* later at each renewal */
    /* Of that enrollment, where claims are read: */
    int known; /* 0: it is gone, and the rest has no meaning */
    mdm_state_t state;
    apr_int64_t updated_at;
    apr_int64_t expires_at;
} mdm_claim_t;

/* Takes one certificate at a time. row and what it holds live for the call only. Anything but
 * MDM_OK ends the reading and is its result. */
typedef mdm_result_t mdm_certificate_visit_t(void *baton, const mdm_certificate_t *row);

/* What core needs of a database. Each function is one autocommitted statement, or a read; texts of
 * results and rows are allocated in p. All return MDM_OK or MDM_MSG_STORE_*. A missing row is
 * MDM_OK with NULL. *won is 1 if this very call made the change, 0 if the row was not in the state
 * asked for. */
typedef struct mdm_store_t {
    void *context;
    mdm_result_t (*enrollment_insert)(void *context, apr_pool_t *p, const mdm_enrollment_t *row);
    mdm_result_t (*enrollment_get)(void *context, apr_pool_t *p, const char *id,
                                   mdm_enrollment_t **row);
    /* How many enrollments a user has in state offered that are not over yet; counting may stop at
     * limit. */
    mdm_result_t (*enrollment_count_offered)(void *context, apr_pool_t *p, const char *user,
                                             apr_int64_t now, int limit, int *count);
    /* Write every column but id, flow, site, rules, user and created_at of *row where id matches,
     * the state is from, the identity's fingerprint is identity, and the stored expires_at is later
     * than now. */
    mdm_result_t (*enrollment_advance)(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                       mdm_state_t from, const char *identity, apr_int64_t now,
                                       int *won);
    /* Remember why policy, a limit or the directory refused the last attempt on this row; nothing
     * else of the row changes. */
    mdm_result_t (*enrollment_note_refusal)(void *context, apr_pool_t *p, const char *id,
                                            const char *code, apr_int64_t now);
    mdm_result_t (*challenge_insert)(void *context, apr_pool_t *p, const mdm_challenge_t *row);
    mdm_result_t (*challenge_get)(void *context, apr_pool_t *p, const char *hash,
                                  mdm_challenge_t **row);
    /* Set used_for, and used_at = now the first time, and count one use, where hash matches,
     * used_for is before
     * ("": unused), fewer than most uses are counted and expires_at is later than now. */
    mdm_result_t (*challenge_spend)(void *context, apr_pool_t *p, const char *hash,
                                    const char *before, int most, const char *used_for,
                                    apr_int64_t now, int *won);
    mdm_result_t (*challenge_delete)(void *context, apr_pool_t *p, const char *hash);
    /* won = 0 if issuer with serial, request or fingerprint is there already. */
    mdm_result_t (*certificate_insert)(void *context, apr_pool_t *p, const mdm_certificate_t *row,
                                       int *won);
    mdm_result_t (*certificate_by_fingerprint)(void *context, apr_pool_t *p,
                                               const char *fingerprint, mdm_certificate_t **row);
    mdm_result_t (*certificate_by_request)(void *context, apr_pool_t *p, const char *request,
                                           mdm_certificate_t **row);
    mdm_result_t (*certificate_by_serial)(void *context, apr_pool_t *p, const char *issuer,
                                          const char *serial, mdm_certificate_t **row);
    /* The latest with that poll. */
    mdm_result_t (*certificate_by_poll)(void *context, apr_pool_t *p, const char *poll,
                                        mdm_certificate_t **row);
    /* How many certificates an enrollment was issued since a time; counting may stop at limit. */
    mdm_result_t (*certificate_count)(void *context, apr_pool_t *p, const char *enrollment,
                                      apr_int64_t since, int limit, int *count);
    /* Revoke the certificate with that fingerprint, unless it is revoked. */
    mdm_result_t (*certificate_revoke)(void *context, apr_pool_t *p, const char *fingerprint,
                                       int reason, apr_int64_t now, int *won);
    /* Set used_for of the certificate with that fingerprint where it is before and the certificate
     * is not revoked. */
    mdm_result_t (*certificate_spend)(void *context, apr_pool_t *p, const char *fingerprint,
                                      const char *before, const char *used_for, int *won);
    /* Revoke, as superseded, whatever is not revoked yet of an enrollment's certificates with that
     * authority, but for that of the request for which the authority, a challenge or a certificate,
     * is used at this moment. */
    mdm_result_t (*certificate_supersede)(void *context, apr_pool_t *p, const char *enrollment,
                                          const char *authority, apr_int64_t now);
    /* Visit the certificates of an issuer (and those of none) that were revoked before a time and
     * are valid after another, by serial. der is "". */
    mdm_result_t (*certificate_each_revoked)(void *context, apr_pool_t *p, const char *issuer,
                                             apr_int64_t revoked_before, apr_int64_t valid_after,
                                             mdm_certificate_visit_t *visit, void *baton);
    /* Delete enrollments that are not delivered, but for those with certificates that are valid
     * after it, and challenges, both expired before the time given: some of each, so that nobody
     * waits for it long. */
    mdm_result_t (*sweep)(void *context, apr_pool_t *p, apr_int64_t expired_before);
    /* Nothing is changed, and that is no failure, if its id is there already. */
    mdm_result_t (*notification_insert)(void *context, apr_pool_t *p,
                                        const mdm_notification_t *row);
    /* The certificate with that fingerprint and its enrollment; NULL if either is missing. */
    mdm_result_t (*sighting_get)(void *context, apr_pool_t *p, const char *fingerprint,
                                 mdm_sighting_t **sighting);
    /* Revoke, as superseded, what seen takes the place of, if that is itself not revoked: those of
     * its enrollment that are for the MDM server, not revoked, and issued before it or renewed by
     * it; never what renews it. *ended is how many. */
    mdm_result_t (*certificate_end_older)(void *context, apr_pool_t *p,
                                          const mdm_certificate_t *seen, apr_int64_t now,
                                          int *ended);
    /* The id of the latest delivered enrollment of a site that was not ended and has that UDID, or,
     * where udid is NULL, that serial number; NULL if there is none. */
    mdm_result_t (*enrollment_by_device)(void *context, apr_pool_t *p, const char *site,
                                         const char *udid, const char *serial, const char **id);
    /* Write rules, product, os_version, terms, signed_at, updated_at and expires_at of *row where
     * id matches, the state is delivered, the enrollment was not ended, signed_at is the one given,
     * and updated_at is no later than updated_before. */
    mdm_result_t (*enrollment_update)(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                                      apr_int64_t signed_at, apr_int64_t updated_before, int *won);
    /* How many challenges for a purpose an enrollment has that end after a time; counting may stop
     * at limit. */
    mdm_result_t (*challenge_count)(void *context, apr_pool_t *p, const char *enrollment,
                                    mdm_purpose_t purpose, apr_int64_t after, int limit,
                                    int *count);
    /* The claims (mdm_claim_t) of a user, by place. */
    mdm_result_t (*claim_list)(void *context, apr_pool_t *p, const char *site, const char *kind,
                               const char *user, apr_array_header_t **claims);
    /* The devices that were delivered to a user at a site and have no claim, whoever's: how many
     * but *device there are, and whether that is one of them. A device that another user's
     * enrollment, created later, was delivered to is none. */
    mdm_result_t (*claim_missing)(void *context, apr_pool_t *p, const char *site, const char *user,
                                  const char *device, int *others, int *own);
    /* won = 0 if the place is taken, or the holder has another. */
    mdm_result_t (*claim_insert)(void *context, apr_pool_t *p, const mdm_claim_t *claim, int *won);
    /* Write enrollment and taken_at of *claim where it is the holder's, taken at before. */
    mdm_result_t (*claim_renew)(void *context, apr_pool_t *p, const mdm_claim_t *claim,
                                apr_int64_t before, int *won);
    /* Delete it where it is the holder's still, taken at that time. */
    mdm_result_t (*claim_delete)(void *context, apr_pool_t *p, const mdm_claim_t *claim, int *won);
    /* Write the enrollment of whatever place the holder of *claim has. */
    mdm_result_t (*claim_settle)(void *context, apr_pool_t *p, const mdm_claim_t *claim);
    /* Delete what other users than that of *claim have for its holder. */
    mdm_result_t (*claim_free_others)(void *context, apr_pool_t *p, const mdm_claim_t *claim);
    /* Delete the claims of enrollments that sweep() may take, some at a time, and those of a site
     * and kind that were taken before the same time. */
    mdm_result_t (*claim_sweep)(void *context, apr_pool_t *p, const char *site, const char *kind,
                                apr_int64_t before);
} mdm_store_t;

/* Is the user still there and allowed? MDM_OK, MDM_MSG_DIRECTORY_* of kind MDM_REFUSED, or
 * _UNAVAILABLE. attributes gets what else the directory says of the user, name → value, also if it
 * refuses; NULL: not wanted. */
typedef struct mdm_directory_t {
    void *context;
    mdm_result_t (*check)(void *context, apr_pool_t *p, const char *user, apr_table_t *attributes);
} mdm_directory_t;

/* May this user enroll this device in this way? Of the row user and flow count. MDM_OK or
 * MDM_MSG_POLICY_*. */
typedef struct mdm_policy_t {
    void *context;
    mdm_result_t (*check)(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                          const mdm_device_t *device);
} mdm_policy_t;

/* Is a device of this serial number one of the site's? MDM_OK or MDM_MSG_SERIAL_*. */
typedef struct mdm_serials_t {
    void *context;
    mdm_result_t (*check)(void *context, apr_pool_t *p, const char *serial);
} mdm_serials_t;

/* The world around core. directory, policy and serials may be NULL: not asked for. */
typedef struct mdm_world_t {
    const mdm_store_t *store;
    const mdm_directory_t *directory;
    const mdm_policy_t *policy; /* is asked behind the directory, whose attributes it may go by */
    const mdm_serials_t *serials;
    const mdm_text_evaluator_t *texts; /* of expressions in profiles; NULL: there are none */
    const mdm_condition_t *conditions; /* of templates; NULL: there are none */
    /* What sets this site apart from others on the same store, and by which rules (policy,
     * directory, device CAs) it lets devices in: an enrollment is no good elsewhere. Never empty.
     */
    const char *site;
    const char *rules;
    /* Rules (const char *) by which other virtual hosts let devices in at the same site; NULL: none
     */
    const apr_array_header_t *others;
    int notify; /* 1: the site is told of each enrollment (mdm_notice.h) */
    void *context;
    apr_int64_t (*now)(void *context); /* seconds since 1970, UTC */
    /* 1, or 0: mdm_random_failed() */
    int (*random)(void *context, unsigned char *bytes, apr_size_t len);
} mdm_world_t;

/* How long a swept row outlives its end, so that a late device is told "too late" and not
 * "unknown". Seconds. */
#define MDM_SWEEP_DELAY (24 * 60 * 60)

/* Offers of one user that are open at one time: enough for somebody who stages devices by the
 * dozen, too few to fill a database with. */
#define MDM_MAX_OFFERED 100

/* Bytes of randomness in a one-time secret and in an enrollment id. */
#define MDM_SECRET_BYTES 32
#define MDM_ID_BYTES 16

/* Making and storing are two steps everywhere, so that a reply is built and signed around what is
 * new before anything is written. */

/* A fresh enrollment in state offered, for lifetime seconds; not stored yet. MDM_MSG_USER_NAME,
 * MDM_MSG_OFFERS_TOO_MANY, MDM_MSG_RANDOM or the store's. */
mdm_result_t mdm_enrollment_make(apr_pool_t *p, const mdm_world_t *world, const char *user,
                                 apr_int64_t lifetime, mdm_enrollment_t **row);

/* Store it with the hash of the challenge that goes out with it, which lives as long; NULL: none
 * does. */
mdm_result_t mdm_enrollment_offer(apr_pool_t *p, const mdm_world_t *world,
                                  const mdm_enrollment_t *row, const char *challenge,
                                  mdm_purpose_t purpose, apr_int64_t lifetime);

/* A fresh one-time secret: 256 random bits, 43 characters of base64url. NULL if the source failed.
 */
const char *mdm_challenge_make(apr_pool_t *p, const mdm_world_t *world);

/* Store the hash of a secret for an enrollment, living for lifetime seconds from now. */
mdm_result_t mdm_challenge_store(apr_pool_t *p, const mdm_world_t *world, const char *secret,
                                 const char *enrollment, mdm_purpose_t purpose,
                                 apr_int64_t lifetime);

/* Forget a stored secret that was never sent. As far as the store allows: what stays behind is
 * known to nobody and swept. */
void mdm_challenge_discard(apr_pool_t *p, const mdm_world_t *world, const char *secret);

/* The live challenge that a secret stands for, whatever its purpose, and its enrollment.
 * MDM_MSG_CHALLENGE_* or MDM_MSG_ENROLLMENT_* if there is none or its time is over. A spent one is
 * returned: the caller knows who may spend again. */
mdm_result_t mdm_challenge_lookup(apr_pool_t *p, const mdm_world_t *world, const char *secret,
                                  mdm_challenge_t **challenge, mdm_enrollment_t **row);

/* The same for one purpose; MDM_MSG_CHALLENGE_UNKNOWN if it is for another. */
mdm_result_t mdm_challenge_find(apr_pool_t *p, const mdm_world_t *world, const char *secret,
                                mdm_purpose_t purpose, mdm_challenge_t **challenge,
                                mdm_enrollment_t **row);

/* Move row, filled in by the caller, from a state and an identity's fingerprint (as they were read)
 * to row->state, its next phase due within lifetime seconds; *row gets its new times only then.
 * MDM_MSG_ENROLLMENT_STATE if another request was faster, and the stored row is unchanged. If the
 * store failed after it may have committed, the row is read again: a move to identified, whose
 * fingerprint nobody else can have written, counts as won if it is there; every other move is
 * reported as the failure, and if it had taken effect, a repetition gets MDM_MSG_ENROLLMENT_STATE.
 */
mdm_result_t mdm_enrollment_advance(apr_pool_t *p, const mdm_world_t *world, mdm_enrollment_t *row,
                                    mdm_state_t from, const char *identity, apr_int64_t lifetime);

/* Why a row is no good here, for a log line: it was offered at another site or under other rules.
 * NULL if it was offered here. */
const char *mdm_enrollment_foreign(const mdm_world_t *world, const mdm_enrollment_t *row);

/* The same for a row that is delivered. Its rules may have been changed since, but those of another
 * virtual host, as it is now, are not got round by coming here. */
const char *mdm_enrollment_elsewhere(const mdm_world_t *world, const mdm_enrollment_t *row);

/* What certificates call its device: the UDID; the enrollment's id where none is known. */
const char *mdm_enrollment_device(const mdm_enrollment_t *row);

/* 1 if an administrator ended it: nothing is issued for it any more. What ends a row so leaves
 * expires_at before updated_at, which nothing else does. */
int mdm_enrollment_is_ended(const mdm_enrollment_t *row);

/* Directory, policy, then lists of serial numbers, for the user and the device of a row: the last
 * questions of phases 2 and 3. A refusal (not a failure) is remembered in the row, and stands also
 * if that fails. Core has no use for attributes: a directory of the request keeps them for its
 * policy and texts. */
mdm_result_t mdm_enrollment_allowed(apr_pool_t *p, const mdm_world_t *world,
                                    const mdm_enrollment_t *row, const mdm_device_t *device);

/* Remember in the row why it was refused; anything but a refusal is passed over. */
void mdm_enrollment_note(apr_pool_t *p, const mdm_world_t *world, const mdm_enrollment_t *row,
                         const mdm_result_t *result);

/* A random UUID in upper case (RFC 9562 version 4), as Apple's PayloadUUID. NULL if the source
 * failed. */
const char *mdm_random_uuid(apr_pool_t *p, const mdm_world_t *world);

/* MDM_MSG_RANDOM: what to return where the source of randomness failed. */
mdm_result_t mdm_random_failed(apr_pool_t *p);

#endif
