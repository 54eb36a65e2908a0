/* SPDX-License-Identifier: Apache-2.0
 * Certificates of a foreign CA, bound to one enrollment each and pinned at first use. Depends on
 * mdm_base64, mdm_enrollment, mdm_x509.
 */
#include "mdm_pin.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "mdm_base64.h"
#include "mdm_x509.h"

/* The longest serial number, in hexadecimal digits (20 octets, RFC 5280 section 4.1.2.2): it fits
 * the store's column. */
#define SERIAL_DIGITS 40

const char *mdm_pin_unit(apr_pool_t *p, const char *secret)
{
    return apr_pstrcat(p, MDM_PIN_PREFIX, secret, NULL);
}

/* The text of a name's entry in UTF-8, in p; NULL if it is none. CAs write printableString,
 * utf8String or bmpString as they like. */
static const char *entry_text(apr_pool_t *p, const X509_NAME_ENTRY *entry)
{
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    const char *text = NULL;

    if (len >= 0 && memchr(utf8, '\0', (size_t)len) == NULL)
        text = apr_pstrmemdup(p, (const char *)utf8, (apr_size_t)len);
    OPENSSL_free(utf8);
    ERR_clear_error();
    return text;
}

const char *mdm_pin_secret(apr_pool_t *p, const X509_NAME *subject, int *count)
{
    const apr_size_t prefix = strlen(MDM_PIN_PREFIX);
    const char *secret = NULL;

    *count = 0;
    for (int at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, -1); at >= 0;
         at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) {
        const char *unit = entry_text(p, X509_NAME_get_entry(subject, at));
        if (unit != NULL && strncmp(unit, MDM_PIN_PREFIX, prefix) == 0) {
            secret = unit + prefix;
            ++*count;
        }
    }
    return *count == 1 ? secret : NULL;
}

static mdm_result_t spent(apr_pool_t *p, const mdm_challenge_t *challenge, const char *fingerprint)
{
    return mdm_result_make(p, MDM_MSG_BINDING_SPENT,
                           "certificate %s claims enrollment %s, which another certificate was "
                           "pinned to: somebody has two with one subject",
                           fingerprint, challenge->enrollment);
}

mdm_result_t mdm_pin_find(apr_pool_t *p, const mdm_world_t *world, X509 *cert,
                          const char *fingerprint, mdm_challenge_t **challenge,
                          mdm_enrollment_t **row)
{
    mdm_challenge_t *found = NULL;
    mdm_enrollment_t *owner = NULL;
    int count;
    const char *secret = mdm_pin_secret(p, X509_get_subject_name(cert), &count);
    mdm_result_t r;

    if (!EVP_PKEY_is_a(X509_get0_pubkey(cert), "RSA"))
        return mdm_result_make(p, MDM_MSG_SIGNER_KEY,
                               "certificate %s has no RSA key: nothing can be encrypted to it",
                               fingerprint);
    if (secret == NULL)
        return mdm_result_make(p, MDM_MSG_BINDING_MISSING,
                               "certificate %s has %d OU that begin with \"" MDM_PIN_PREFIX
                               "\", wanted is one",
                               fingerprint, count);
    r = mdm_challenge_find(p, world, secret, MDM_PURPOSE_BINDING, &found, &owner);
    if (r.kind != MDM_OK)
        return r;
    if (found->used_at != 0 && strcmp(found->used_for, fingerprint) != 0)
        return spent(p, found, fingerprint);
    if (owner->state != MDM_STATE_IDENTIFYING)
        return mdm_result_make(p, MDM_MSG_ENROLLMENT_STATE,
                               "enrollment %s is in state \"%s\", wanted is \"%s\"", owner->id,
                               mdm_state_name(owner->state), mdm_state_name(MDM_STATE_IDENTIFYING));
    *challenge = found;
    *row = owner;
    return r;
}

/* From here on the secret is this certificate's alone, also where what follows fails. */
static mdm_result_t spend(apr_pool_t *p, const mdm_world_t *world, const mdm_challenge_t *challenge,
                          const char *fingerprint)
{
    const mdm_store_t *store = world->store;
    mdm_challenge_t *seen = NULL;
    int won = 0;
    mdm_result_t r;

    if (challenge->used_at != 0) /* mdm_pin_find: for this very certificate */
        return mdm_result_ok();
    r = store->challenge_spend(store->context, p, challenge->hash, "", 1, fingerprint,
                               world->now(world->context), &won);
    if (r.kind != MDM_OK || won)
        return r;
    r = store->challenge_get(store->context, p, challenge->hash, &seen);
    if (r.kind != MDM_OK || (seen != NULL && strcmp(seen->used_for, fingerprint) == 0))
        return r;
    if (seen != NULL && seen->used_at != 0)
        return spent(p, challenge, fingerprint);
    return mdm_result_make(p, MDM_MSG_CHALLENGE_EXPIRED,
                           "the time of the secret of enrollment %s ended just now",
                           challenge->enrollment);
}

/* SHA-256 of the issuer's name: another CA's key is not always at hand. "" if OpenSSL fails. */
static const char *issuer_id(apr_pool_t *p, const X509 *cert)
{
    apr_size_t len;
    const unsigned char *name =
        mdm_der_encode(p, X509_get_issuer_name(cert), ASN1_ITEM_rptr(X509_NAME), &len);

    if (name == NULL) {
        ERR_clear_error();
        return "";
    }
    return mdm_sha256_hex(p, name, len);
}

/* What the store will know it by. */
static mdm_result_t describe(apr_pool_t *p, const mdm_world_t *world, X509 *cert,
                             const char *fingerprint, const mdm_challenge_t *challenge,
                             const mdm_enrollment_t *row, mdm_certificate_t *record)
{
    const char *serial = mdm_x509_serial(p, cert), *issuer = issuer_id(p, cert);
    apr_size_t len;
    const unsigned char *der;

    if (strlen(serial) > SERIAL_DIGITS)
        return mdm_result_make(p, MDM_MSG_SIGNER_CERTIFICATE,
                               "certificate %s has a serial number of more than %d octets",
                               fingerprint, SERIAL_DIGITS / 2);
    if (issuer[0] == '\0')
        return mdm_sha256_failed(p);
    der = mdm_x509_encode(p, cert, &len);
    if (der == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "certificate %s: %s", fingerprint,
                               mdm_openssl_reason(p));
    *record = (mdm_certificate_t){
        .serial = serial,
        .issuer = issuer,
        .enrollment = row->id,
        .purpose = MDM_PURPOSE_IDENTITY,
        .request = fingerprint, /* no request of it was seen here */
        .poll = "",
        .authority = challenge->hash,
        .fingerprint = fingerprint,
        .der = mdm_base64_encode(p, der, len),
        .used_for = "",
        .not_before = mdm_x509_not_before(cert),
        .not_after = mdm_x509_not_after(cert),
        .issued_at = world->now(world->context),
    };
    return mdm_result_ok();
}

/* Recorded, by this request or by one before. */
static mdm_result_t record(apr_pool_t *p, const mdm_world_t *world, const mdm_certificate_t *wanted)
{
    const mdm_store_t *store = world->store;
    mdm_certificate_t *seen = NULL;
    int won = 0;
    mdm_result_t r = store->certificate_insert(store->context, p, wanted, &won);

    if (r.kind != MDM_OK || won)
        return r;
    r = store->certificate_by_fingerprint(store->context, p, wanted->fingerprint, &seen);
    if (r.kind != MDM_OK)
        return r;
    if (seen == NULL)
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_SERIAL,
                               "certificate %s of enrollment %s has the serial number of another "
                               "one that was recorded, %s",
                               wanted->fingerprint, wanted->enrollment, wanted->serial);
    if (seen->revoked_at != 0)
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_REVOKED,
                               "certificate %s was revoked just now", wanted->serial);
    if (strcmp(seen->enrollment, wanted->enrollment) != 0)
        return mdm_result_make(p, MDM_MSG_CERTIFICATE_UNKNOWN,
                               "certificate %s is of enrollment %s, wanted is %s",
                               wanted->fingerprint, seen->enrollment, wanted->enrollment);
    return mdm_result_ok();
}

mdm_result_t mdm_pin_take(apr_pool_t *p, const mdm_world_t *world, X509 *cert,
                          const char *fingerprint, const mdm_challenge_t *challenge,
                          mdm_enrollment_t *row, apr_int64_t lifetime)
{
    mdm_enrollment_t next = *row;
    mdm_certificate_t wanted;
    mdm_result_t r = describe(p, world, cert, fingerprint, challenge, row, &wanted);

    if (r.kind == MDM_OK)
        r = spend(p, world, challenge, fingerprint);
    if (r.kind == MDM_OK)
        r = record(p, world, &wanted);
    if (r.kind != MDM_OK)
        return r;
    next.state = MDM_STATE_IDENTIFIED;
    next.identity_fingerprint = fingerprint;
    r = mdm_enrollment_advance(p, world, &next, MDM_STATE_IDENTIFYING, row->identity_fingerprint,
                               lifetime);
    if (r.kind == MDM_OK)
        *row = next;
    return r;
}
