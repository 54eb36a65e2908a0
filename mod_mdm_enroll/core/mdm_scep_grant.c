/* SPDX-License-Identifier: Apache-2.0
 * Issuing one certificate for one authority, under concurrency and with replies that get lost.
 * Depends on mdm_base64, mdm_ca, mdm_device, mdm_enrollment, mdm_notice, mdm_trust, mdm_x509.
 */
#include "mdm_scep_grant.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_base64.h"
#include "mdm_device.h"
#include "mdm_notice.h"
#include "mdm_x509.h"

#define DAY (24 * 60 * 60)

/* One transaction. */
typedef struct turn_t {
    apr_pool_t *p;
    const mdm_scep_rules_t *rules;
    const mdm_world_t *world;
    const mdm_store_t *store;
    const mdm_scep_request_t *request;
    apr_int64_t now;
} turn_t;

static turn_t begin(apr_pool_t *p, const mdm_scep_rules_t *rules, const mdm_world_t *world,
                    const mdm_scep_request_t *request)
{
    return (turn_t){p, rules, world, world->store, request, world->now(world->context)};
}

/* --- what is recorded --- */

/* The certificate that this request got before, by the same authority; NULL if none. */
static mdm_result_t find_issued(const turn_t *turn, const char *authority, X509 **cert)
{
    mdm_certificate_t *seen = NULL;
    mdm_result_t r = turn->store->certificate_by_request(turn->store->context, turn->p,
                                                         turn->request->id, &seen);

    *cert = NULL;
    if (r.kind != MDM_OK || seen == NULL)
        return r;
    if (strcmp(seen->authority, authority) != 0)
        return mdm_result_make(turn->p, MDM_MSG_SCEP_CHALLENGE,
                               "the same request was answered before, by another authority, with "
                               "certificate %s",
                               seen->serial);
    return mdm_scep_recorded(turn->p, seen, cert);
}

/* --- issuing --- */

/* More than a device needs and fewer than somebody who holds its key could fill a database with.
 * Requests at the very same moment may exceed it a little. */
static mdm_result_t check_count(const turn_t *turn, const mdm_enrollment_t *row)
{
    int count = 0;
    mdm_result_t r = turn->store->certificate_count(turn->store->context, turn->p, row->id,
                                                    turn->now - DAY, MDM_SCEP_MAX_A_DAY, &count);

    if (r.kind != MDM_OK || count < MDM_SCEP_MAX_A_DAY)
        return r;
    return mdm_result_make(
        turn->p, MDM_MSG_SCEP_TOO_MANY,
        "enrollment %s was issued %d certificates within a day, wanted are fewer "
        "than %d",
        row->id, count, MDM_SCEP_MAX_A_DAY);
}

static mdm_result_t make_record(const turn_t *turn, X509 *cert, mdm_certificate_t *record)
{
    apr_size_t len;
    const unsigned char *der = mdm_x509_encode(turn->p, cert, &len);

    if (der == NULL)
        return mdm_result_make(turn->p, MDM_MSG_CA_ISSUE, "%s", mdm_openssl_reason(turn->p));
    record->serial = mdm_x509_serial(turn->p, cert);
    record->issuer = mdm_ca_key_id(turn->rules->ca);
    record->request = turn->request->id;
    record->poll = turn->request->poll;
    record->fingerprint = mdm_x509_fingerprint(turn->p, cert);
    record->der = mdm_base64_encode(turn->p, der, len);
    record->not_before = mdm_x509_not_before(cert);
    record->not_after = mdm_x509_not_after(cert);
    record->issued_at = turn->now;
    return record->fingerprint[0] != '\0' ? mdm_result_ok() : mdm_sha256_failed(turn->p);
}

/* Issue and record a certificate; *cert is the one recorded, which a copy of the request may have
 * got in between. */
static mdm_result_t issue(const turn_t *turn, const mdm_enrollment_t *row, mdm_purpose_t purpose,
                          const char *authority, X509 **cert)
{
    mdm_certificate_t record = {
        .enrollment = row->id, .purpose = purpose, .authority = authority, .used_for = ""};
    X509 *made;
    int won = 0;
    mdm_result_t r = check_count(turn, row);

    if (r.kind == MDM_OK)
        r = mdm_ca_issue(turn->p, turn->rules->ca, turn->world, row, purpose, turn->request->key,
                         &made);
    if (r.kind == MDM_OK)
        r = make_record(turn, made, &record);
    if (r.kind == MDM_OK)
        r = turn->store->certificate_insert(turn->store->context, turn->p, &record, &won);
    if (r.kind != MDM_OK)
        return r;
    if (won) {
        *cert = made;
        return r;
    }
    r = find_issued(turn, authority, cert);
    if (r.kind == MDM_OK && *cert == NULL)
        r = mdm_result_make(turn->p, MDM_MSG_CA_ISSUE,
                            "serial number %s is taken by another certificate", record.serial);
    return r;
}

/* What a certificate was issued by has ended meanwhile: it must not outlive that. */
static mdm_result_t withdraw(const turn_t *turn, X509 *cert, int reason, mdm_result_t why)
{
    int won;
    mdm_result_t r = turn->store->certificate_revoke(turn->store->context, turn->p,
                                                     mdm_x509_fingerprint(turn->p, cert), reason,
                                                     turn->now, &won);

    return r.kind == MDM_OK ? why : r;
}

static mdm_result_t ended(const turn_t *turn, const char *enrollment)
{
    return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_REVOKED,
                           "enrollment %s was ended by an administrator", enrollment);
}

/* Whether an administrator ended the enrollment, now that the certificate is recorded. He ends the
 * row first and revokes then what is recorded: what he cannot see ends here. */
static mdm_result_t still_open(const turn_t *turn, const mdm_enrollment_t *row, X509 *cert)
{
    mdm_enrollment_t *seen = NULL;
    mdm_result_t r = turn->store->enrollment_get(turn->store->context, turn->p, row->id, &seen);

    if (r.kind != MDM_OK || (seen != NULL && !mdm_enrollment_is_ended(seen)))
        return r;
    return withdraw(turn, cert, MDM_REVOCATION_UNSPECIFIED, ended(turn, row->id));
}

/* --- by a challenge --- */

/* The device comes for the identity of the profile that its user was given: with that it is
 * delivered. */
static int is_direct_offer(const mdm_enrollment_t *row)
{
    return row->state == MDM_STATE_OFFERED && strcmp(row->flow, MDM_FLOW_DIRECT) == 0;
}

/* May this request have a certificate at this point of the enrollment? */
static mdm_result_t check_turn(const turn_t *turn, const mdm_challenge_t *challenge,
                               const mdm_enrollment_t *row)
{
    if (mdm_enrollment_is_ended(row))
        return ended(turn, row->id);
    switch (challenge->purpose) {
    case MDM_PURPOSE_IDENTITY:
        if (row->state == MDM_STATE_IDENTIFYING ||
            (challenge->uses > 0 && row->state == MDM_STATE_IDENTIFIED))
            return mdm_result_ok();
        break;
    case MDM_PURPOSE_MDM:
        if (row->state == MDM_STATE_DELIVERED || is_direct_offer(row))
            return mdm_result_ok();
        break;
    default:
        return mdm_result_make(turn->p, MDM_MSG_SCEP_CHALLENGE,
                               "a challenge for \"%s\" of enrollment %s, wanted one for a "
                               "certificate",
                               mdm_purpose_name(challenge->purpose), row->id);
    }
    return mdm_result_make(turn->p, MDM_MSG_ENROLLMENT_STATE,
                           "enrollment %s is \"%s\", a challenge for \"%s\" does not count there",
                           row->id, mdm_state_name(row->state),
                           mdm_purpose_name(challenge->purpose));
}

static mdm_result_t spent(const turn_t *turn, const mdm_challenge_t *challenge, const char *why)
{
    return mdm_result_make(turn->p, MDM_MSG_SCEP_CHALLENGE,
                           "the challenge of enrollment %s was spent by another request%s",
                           challenge->enrollment, why);
}

/* A spent challenge, and another request: the device never got its reply, or somebody else has the
 * challenge. Bounded in number and time, it is taken for the former, but never for a request that
 * was answered already, whose certificate a later one ended. */
static mdm_result_t check_recovery(const turn_t *turn, const mdm_challenge_t *challenge)
{
    mdm_certificate_t *seen = NULL;
    mdm_result_t r;

    if (challenge->uses >= MDM_SCEP_MAX_USES)
        return spent(turn, challenge, apr_psprintf(turn->p, ", the last of %d", MDM_SCEP_MAX_USES));
    if (turn->now - challenge->used_at > MDM_SCEP_RECOVERY)
        return spent(turn, challenge,
                     apr_psprintf(turn->p, " %" APR_INT64_T_FMT " s ago, wanted are at most %d s",
                                  turn->now - challenge->used_at, MDM_SCEP_RECOVERY));
    r = turn->store->certificate_by_request(turn->store->context, turn->p, turn->request->id,
                                            &seen);
    if (r.kind != MDM_OK || seen == NULL)
        return r;
    return spent(turn, challenge, " that followed this one");
}

/* From here on the challenge is this request's alone, now and when it is repeated. */
static mdm_result_t spend(const turn_t *turn, const mdm_challenge_t *challenge)
{
    const mdm_store_t *store = turn->store;
    const char *id = turn->request->id;
    mdm_challenge_t *seen = NULL;
    mdm_result_t r = mdm_result_ok();
    int won = 0;

    if (strcmp(challenge->used_for, id) == 0)
        return r;
    if (challenge->uses > 0)
        r = check_recovery(turn, challenge);
    if (r.kind == MDM_OK)
        r = store->challenge_spend(store->context, turn->p, challenge->hash, challenge->used_for,
                                   MDM_SCEP_MAX_USES, id, turn->now, &won);
    if (r.kind != MDM_OK || won)
        return r;
    r = store->challenge_get(store->context, turn->p, challenge->hash, &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen != NULL && strcmp(seen->used_for, id) == 0) /* a copy of it was faster */
        return r;
    return spent(turn, challenge, ", or its time ended just now");
}

/* Whether the challenge is still this request's now that the certificate is recorded. Whoever spent
 * it since ends what is recorded by then; what was recorded later ends here. So does all that comes
 * after an administrator took the challenge away. */
static mdm_result_t still_spent(const turn_t *turn, const mdm_challenge_t *challenge, X509 *cert)
{
    mdm_challenge_t *seen = NULL;
    mdm_result_t r =
        turn->store->challenge_get(turn->store->context, turn->p, challenge->hash, &seen);

    if (r.kind != MDM_OK || (seen != NULL && strcmp(seen->used_for, turn->request->id) == 0))
        return r;
    return withdraw(turn, cert, MDM_REVOCATION_SUPERSEDED,
                    spent(turn, challenge, seen != NULL ? " meanwhile" : ", or withdrawn"));
}

/* The enrollment moves on with the identity's fingerprint, or has done so with this very one. Where
 * another request with the same challenge moved it meanwhile, it moves on from there, as long as
 * the challenge is this request's. */
static mdm_result_t identify(const turn_t *turn, const mdm_challenge_t *challenge,
                             const mdm_enrollment_t *row, X509 *cert)
{
    const char *fingerprint = mdm_x509_fingerprint(turn->p, cert);
    mdm_result_t r, again = mdm_result_ok();

    if (fingerprint[0] == '\0')
        return mdm_sha256_failed(turn->p);
    for (int tries = 0;; tries++) {
        mdm_enrollment_t *seen = NULL, next = *row;

        if (row->state == MDM_STATE_IDENTIFIED &&
            strcmp(row->identity_fingerprint, fingerprint) == 0)
            return mdm_result_ok();
        next.state = MDM_STATE_IDENTIFIED;
        next.identity_fingerprint = fingerprint;
        r = mdm_enrollment_advance(turn->p, turn->world, &next, row->state,
                                   row->identity_fingerprint, turn->rules->lifetime);
        if (r.message != MDM_MSG_ENROLLMENT_STATE || tries == MDM_SCEP_MAX_USES)
            return r;
        again = turn->store->enrollment_get(turn->store->context, turn->p, row->id, &seen);
        if (again.kind == MDM_OK)
            again = still_spent(turn, challenge, cert);
        if (again.kind != MDM_OK)
            return again;
        if (seen == NULL || seen->state != MDM_STATE_IDENTIFIED)
            return withdraw(turn, cert, MDM_REVOCATION_SUPERSEDED, r);
        row = seen;
    }
}

/* A copy of the request may have been faster, or a request with the same challenge, which is judged
 * by still_spent(). */
static mdm_result_t deliver(const turn_t *turn, const mdm_enrollment_t *row)
{
    mdm_enrollment_t *seen = NULL, next = *row;
    mdm_result_t r, again;

    r = mdm_notice_store(turn->p, turn->world, row, MDM_EVENT_ENROLLED, "");
    if (r.kind != MDM_OK)
        return r;
    next.state = MDM_STATE_DELIVERED;
    r = mdm_enrollment_advance(turn->p, turn->world, &next, row->state, row->identity_fingerprint,
                               turn->rules->lifetime);
    if (r.message != MDM_MSG_ENROLLMENT_STATE)
        return r;
    again = turn->store->enrollment_get(turn->store->context, turn->p, row->id, &seen);
    if (again.kind != MDM_OK)
        return again;
    return seen != NULL && seen->state == MDM_STATE_DELIVERED ? mdm_result_ok() : r;
}

/* The challenge and its row, if the request may go on with them. */
static mdm_result_t admit(const turn_t *turn, mdm_challenge_t **challenge, mdm_enrollment_t **row)
{
    mdm_result_t r =
        mdm_challenge_lookup(turn->p, turn->world, turn->request->secret, challenge, row);

    return r.kind == MDM_OK ? check_turn(turn, *challenge, *row) : r;
}

/* One certificate of an authority lives: that of the request that it is used for. */
static mdm_result_t supersede(const turn_t *turn, const mdm_enrollment_t *row,
                              const char *authority)
{
    return turn->store->certificate_supersede(turn->store->context, turn->p, row->id, authority,
                                              turn->now);
}

/* Whether other requests spent the challenge before this one. */
static int had_others(const turn_t *turn, const mdm_challenge_t *challenge)
{
    int own = strcmp(challenge->used_for, turn->request->id) == 0;

    return challenge->uses > own;
}

/* What is left to do once the certificate is recorded, whoever comes so far. */
static mdm_result_t settle(const turn_t *turn, const mdm_challenge_t *challenge,
                           const mdm_enrollment_t *row, X509 *cert)
{
    mdm_result_t r = still_open(turn, row, cert);

    if (r.kind == MDM_OK)
        r = still_spent(turn, challenge, cert);
    if (r.kind == MDM_OK && challenge->purpose == MDM_PURPOSE_IDENTITY)
        r = identify(turn, challenge, row, cert);
    if (r.kind == MDM_OK && is_direct_offer(row))
        r = deliver(turn, row);
    if (r.kind == MDM_OK && had_others(turn, challenge))
        r = supersede(turn, row, challenge->hash);
    return r;
}

mdm_result_t mdm_scep_grant_challenge(apr_pool_t *p, const mdm_scep_rules_t *rules,
                                      const mdm_world_t *world, const mdm_scep_request_t *request,
                                      mdm_scep_grant_t *grant)
{
    const turn_t turn = begin(p, rules, world, request);
    mdm_challenge_t *challenge = NULL;
    mdm_enrollment_t *row = NULL;
    X509 *cert = NULL;
    mdm_result_t r = admit(&turn, &challenge, &row);

    /* The challenge is read before its row: a copy of this request may have been answered in
     * between, and what the challenge says is older than the row's state. */
    if (r.message == MDM_MSG_ENROLLMENT_STATE && challenge->uses == 0)
        r = admit(&turn, &challenge, &row);
    grant->row = row;
    if (r.kind == MDM_OK)
        r = spend(&turn, challenge);
    if (r.kind == MDM_OK)
        r = find_issued(&turn, challenge->hash, &cert);
    if (r.kind == MDM_OK && cert == NULL)
        r = issue(&turn, row, challenge->purpose, challenge->hash, &cert);
    if (r.kind == MDM_OK)
        r = settle(&turn, challenge, row, cert);
    if (r.kind == MDM_OK)
        grant->cert = cert;
    return r;
}

/* --- as a renewal --- */

static mdm_result_t check_renewal(const turn_t *turn, const mdm_certificate_t *old)
{
    apr_int64_t left = old->not_after - turn->now;

    if (old->purpose != MDM_PURPOSE_MDM)
        return mdm_result_make(turn->p, MDM_MSG_CERTIFICATE_PURPOSE,
                               "certificate %s is for \"%s\", wanted for a renewal is one for "
                               "\"%s\"",
                               old->serial, mdm_purpose_name(old->purpose),
                               mdm_purpose_name(MDM_PURPOSE_MDM));
    if (turn->rules->renewal == 0)
        return mdm_result_make(turn->p, MDM_MSG_SCEP_RENEWAL,
                               "certificate %s: MDMEnrollRenewal is off", old->serial);
    if (left <= turn->rules->renewal)
        return mdm_result_ok();
    return mdm_result_make(turn->p, MDM_MSG_SCEP_RENEWAL,
                           "certificate %s is valid for another %" APR_INT64_T_FMT
                           " s, wanted are at most %" APR_INT64_T_FMT " s (MDMEnrollRenewal)",
                           old->serial, left, turn->rules->renewal);
}

/* The device as the row knows it, for policy. */
static mdm_result_t check_allowed(const turn_t *turn, const mdm_enrollment_t *row)
{
    return mdm_enrollment_allowed(
        turn->p, turn->world, row,
        mdm_device_known(turn->p, row->udid, row->serial, row->product, row->os_version));
}

static mdm_result_t renewed(const turn_t *turn, const mdm_certificate_t *old, const char *how)
{
    return mdm_result_make(turn->p, MDM_MSG_SCEP_RENEWAL, "certificate %s was %s at the same time",
                           old->serial, how);
}

/* From here on the renewal is this request's, until another one comes. */
static mdm_result_t spend_certificate(const turn_t *turn, const mdm_certificate_t *old)
{
    const char *id = turn->request->id;
    mdm_certificate_t *seen = NULL;
    mdm_result_t r = mdm_result_ok();
    int won = 0;

    if (strcmp(old->used_for, id) != 0)
        r = turn->store->certificate_spend(turn->store->context, turn->p, old->fingerprint,
                                           old->used_for, id, &won);
    if (r.kind != MDM_OK || won || strcmp(old->used_for, id) == 0)
        return r;
    r = turn->store->certificate_by_fingerprint(turn->store->context, turn->p, old->fingerprint,
                                                &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen != NULL && seen->revoked_at == 0 && strcmp(seen->used_for, id) == 0)
        return r;
    return renewed(turn, old, "renewed by another request, or revoked,");
}

/* Whether the certificate that was renewed still lives, and the renewal is this request's, now that
 * the new one is recorded: otherwise that must not live either. */
static mdm_result_t still_lives(const turn_t *turn, const mdm_certificate_t *old, X509 *cert)
{
    mdm_certificate_t *seen = NULL;
    mdm_result_t r = turn->store->certificate_by_fingerprint(turn->store->context, turn->p,
                                                             old->fingerprint, &seen);

    if (r.kind != MDM_OK)
        return r;
    if (seen == NULL || seen->revoked_at != 0)
        return withdraw(turn, cert,
                        seen != NULL ? seen->revocation_reason : MDM_REVOCATION_UNSPECIFIED,
                        renewed(turn, old, "revoked"));
    if (strcmp(seen->used_for, turn->request->id) != 0)
        return withdraw(turn, cert, MDM_REVOCATION_SUPERSEDED,
                        renewed(turn, old, "renewed by another request"));
    return r;
}

/* The certificate is in use: what it took the place of has done its duty. */
static mdm_result_t end_older(const turn_t *turn, const mdm_certificate_t *old)
{
    int ended;

    return turn->store->certificate_end_older(turn->store->context, turn->p, old, turn->now,
                                              &ended);
}

/* As settle(). */
static mdm_result_t settle_renewal(const turn_t *turn, const mdm_certificate_t *old,
                                   const mdm_enrollment_t *row, X509 *cert)
{
    mdm_result_t r = still_open(turn, row, cert);

    if (r.kind == MDM_OK)
        r = still_lives(turn, old, cert);
    return r.kind == MDM_OK ? supersede(turn, row, old->fingerprint) : r;
}

mdm_result_t mdm_scep_grant_renewal(apr_pool_t *p, const mdm_scep_rules_t *rules,
                                    const mdm_world_t *world, const mdm_scep_request_t *request,
                                    const mdm_scep_member_t *member, mdm_scep_grant_t *grant)
{
    const turn_t turn = begin(p, rules, world, request);
    const mdm_certificate_t *old = member->certificate;
    X509 *cert = NULL;
    mdm_result_t r;

    grant->row = member->row;
    r = find_issued(&turn, old->fingerprint, &cert);
    if (r.kind == MDM_OK && cert == NULL) {
        r = check_renewal(&turn, old);
        if (r.kind == MDM_OK)
            r = check_allowed(&turn, member->row);
        if (r.kind == MDM_OK)
            r = end_older(&turn, old);
        if (r.kind == MDM_OK)
            r = spend_certificate(&turn, old);
        if (r.kind == MDM_OK)
            r = issue(&turn, member->row, old->purpose, old->fingerprint, &cert);
    }
    if (r.kind == MDM_OK)
        r = settle_renewal(&turn, old, member->row, cert);
    if (r.kind == MDM_OK)
        grant->cert = cert;
    return r;
}

/* --- once more --- */

static mdm_result_t no_transaction(apr_pool_t *p, const char *why)
{
    return mdm_result_make(p, MDM_MSG_SCEP_CERT_ID, "%s", why);
}

/* The certificate of a transaction, settled as its own request would have settled it: what was
 * recorded and then refused, or not finished, must not be had by asking in another way. */
static mdm_result_t settle_again(const turn_t *turn, const mdm_certificate_t *seen,
                                 const mdm_enrollment_t *row, X509 *cert)
{
    const mdm_store_t *store = turn->store;
    mdm_challenge_t *challenge = NULL;
    mdm_certificate_t *old = NULL;
    mdm_result_t r = store->challenge_get(store->context, turn->p, seen->authority, &challenge);

    if (r.kind == MDM_OK && challenge != NULL) {
        r = check_turn(turn, challenge, row);
        return r.kind == MDM_OK ? settle(turn, challenge, row, cert) : r;
    }
    if (r.kind == MDM_OK)
        r = store->certificate_by_fingerprint(store->context, turn->p, seen->authority, &old);
    if (r.kind == MDM_OK && old == NULL)
        r = no_transaction(turn->p, "the transaction is over");
    return r.kind == MDM_OK ? settle_renewal(turn, old, row, cert) : r;
}

mdm_result_t mdm_scep_grant_again(apr_pool_t *p, const mdm_scep_rules_t *rules,
                                  const mdm_world_t *world, const char *poll,
                                  mdm_scep_grant_t *grant)
{
    const mdm_store_t *store = world->store;
    mdm_scep_request_t request = {.poll = poll};
    mdm_certificate_t *seen = NULL;
    mdm_enrollment_t *row = NULL;
    X509 *cert = NULL;
    turn_t turn;
    mdm_result_t r = store->certificate_by_poll(store->context, p, poll, &seen);

    if (r.kind != MDM_OK)
        return r;
    if (seen == NULL)
        return no_transaction(p, "no certificate was issued in this transaction to this key");
    r = store->enrollment_get(store->context, p, seen->enrollment, &row);
    if (r.kind != MDM_OK)
        return r;
    if (row == NULL || strcmp(row->site, world->site) != 0)
        return no_transaction(p, "the enrollment is gone, or belongs to another site");
    grant->row = row;
    request.id = seen->request;
    turn = begin(p, rules, world, &request);
    r = mdm_scep_recorded(p, seen, &cert);
    if (r.kind == MDM_OK)
        r = settle_again(&turn, seen, row, cert);
    if (r.kind == MDM_OK)
        grant->cert = cert;
    return r;
}
