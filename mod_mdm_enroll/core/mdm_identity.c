/* SPDX-License-Identifier: Apache-2.0
 * Where a device gets its two certificates. Depends on mdm_base64, mdm_ca,
 * mdm_capability, mdm_pin, mdm_pkcs12, mdm_plist (what a text may hold).
 */
#include "mdm_identity.h"

#include <string.h>

#include <apr_strings.h>

#include "mdm_base64.h"
#include "mdm_capability.h"
#include "mdm_pin.h"
#include "mdm_plist.h"

/* Of a key for ACME where none is asked for: the curve of every Secure Enclave. */
#define ACME_CURVE 256

int mdm_identity_challenge_ok(const char *text)
{
    apr_size_t len = strlen(text);

    if (len == 0 || len > MDM_IDENTITY_MAX_CHALLENGE || !mdm_plist_text_ok(text))
        return 0;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return 0;
    return 1;
}

int mdm_identity_foreign(const mdm_identity_t *identity)
{
    return identity != NULL &&
           (identity->kind == MDM_IDENTITY_SCEP || identity->kind == MDM_IDENTITY_ACME);
}

/* A source is not trusted to keep to what it promises: an empty challenge would be a profile that
 * asks the user for one. */
static mdm_result_t ask(apr_pool_t *p, const mdm_identity_t *identity, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge)
{
    const mdm_challenge_source_t *source = identity->challenge;
    const char *answer = NULL;
    mdm_result_t r;

    *challenge = NULL;
    if (source == NULL)
        return mdm_result_ok();
    r = source->ask(source->context, p, row, purpose, &answer);
    if (r.kind != MDM_OK)
        return r;
    if (answer == NULL || !mdm_identity_challenge_ok(answer))
        return mdm_result_make(
            p, MDM_MSG_CHALLENGE_SOURCE,
            "the answer for enrollment %s is no challenge: wanted is one line of "
            "1 to %d bytes of text",
            row->id, MDM_IDENTITY_MAX_CHALLENGE);
    *challenge = answer;
    return r;
}

/* A fresh secret, to be stored for a purpose. */
static mdm_result_t make_secret(apr_pool_t *p, const mdm_identity_context_t *context,
                                mdm_purpose_t purpose, mdm_identity_made_t *made)
{
    made->secret = mdm_challenge_make(p, context->world);
    made->secret_purpose = purpose;
    return made->secret != NULL ? mdm_result_ok() : mdm_random_failed(p);
}

static mdm_result_t make_builtin(apr_pool_t *p, const mdm_identity_context_t *context,
                                 mdm_purpose_t purpose, mdm_identity_made_t *made)
{
    mdm_result_t r = make_secret(p, context, purpose, made);

    made->credential.kind = MDM_CREDENTIAL_SCEP;
    made->credential.scep =
        (mdm_credential_scep_t){.url = context->scep_url, .challenge = made->secret};
    return r;
}

static mdm_result_t make_scep(apr_pool_t *p, const mdm_identity_t *identity,
                              const mdm_identity_context_t *context, const mdm_enrollment_t *row,
                              mdm_purpose_t purpose, mdm_identity_made_t *made)
{
    mdm_credential_t *credential = &made->credential;
    mdm_result_t r = mdm_result_ok();

    credential->kind = MDM_CREDENTIAL_SCEP;
    credential->scep = (mdm_credential_scep_t){.url = identity->url,
                                               .name = identity->name,
                                               .fingerprint = identity->fingerprint,
                                               .fingerprint_len = identity->fingerprint_len};
    if (purpose == MDM_PURPOSE_IDENTITY) {
        r = make_secret(p, context, MDM_PURPOSE_BINDING, made);
        if (r.kind == MDM_OK)
            credential->unit = mdm_pin_unit(p, made->secret);
        credential->unit_needed = 1;
    } else {
        credential->unit = "MDM";
        credential->serial = row->serial;
    }
    return r.kind == MDM_OK ? ask(p, identity, row, purpose, &credential->scep.challenge) : r;
}

/* --- ACME --- */

/* MDM_OK if the device can do what is wanted of it. */
static mdm_result_t judge_acme(apr_pool_t *p, const mdm_identity_acme_t *acme,
                               const mdm_enrollment_t *row, mdm_capability_t can)
{
    const char *device = apr_psprintf(p, "enrollment %s: \"%s\" with \"%s\"", row->id,
                                      mdm_result_quote_text(p, row->product),
                                      mdm_result_quote_text(p, row->os_version));

    if (!can.acme)
        return mdm_result_make(p, MDM_MSG_ACME_SYSTEM,
                               "%s knows no ACME; wanted are iOS 16, macOS 13.1, tvOS 16, "
                               "visionOS 1 or later",
                               device);
    if (acme->hardware == MDM_USE_REQUIRE && !can.hardware)
        return mdm_result_make(p, MDM_MSG_ACME_HARDWARE,
                               "%s has no Secure Enclave that can be used; wanted by hardware= is "
                               "one",
                               device);
    if (acme->attest == MDM_USE_REQUIRE && !can.attest)
        return mdm_result_make(p, MDM_MSG_ACME_ATTESTATION,
                               "%s attests nothing; wanted by attest= is one that does", device);
    return mdm_result_ok();
}

mdm_result_t mdm_identity_suits(apr_pool_t *p, const mdm_world_t *world,
                                const mdm_identity_t *identity, const mdm_enrollment_t *row)
{
    mdm_result_t r = mdm_result_ok();

    if (identity != NULL && identity->kind == MDM_IDENTITY_ACME && !identity->acme.fallback)
        r = judge_acme(p, &identity->acme, row, mdm_capability_of(row->product, row->os_version));
    if (r.kind == MDM_REFUSED)
        world->store->enrollment_note_refusal(world->store->context, p, row->id,
                                              mdm_result_code(p, r.message),
                                              world->now(world->context));
    return r;
}

static void set_client(apr_pool_t *p, mdm_client_identifier_t kind, const mdm_enrollment_t *row,
                       mdm_identity_made_t *made)
{
    mdm_credential_t *credential = &made->credential;

    if (kind == MDM_CLIENT_SECRET) {
        credential->acme.client_identifier = made->secret;
        credential->unit = "MDM";
        credential->serial = row->serial;
        return;
    }
    credential->acme.client_identifier = kind == MDM_CLIENT_SERIAL ? row->serial : row->udid;
    /* Such servers certify no other name than the one attested. */
    credential->common_name = credential->acme.client_identifier;
    credential->unit = mdm_pin_unit(p, made->secret);
    credential->unit_needed = 1;
}

static mdm_result_t make_acme(apr_pool_t *p, const mdm_identity_t *identity,
                              const mdm_identity_context_t *context, const mdm_enrollment_t *row,
                              mdm_identity_made_t *made)
{
    const mdm_identity_acme_t *acme = &identity->acme;
    mdm_capability_t can = mdm_capability_of(row->product, row->os_version);
    mdm_result_t r = judge_acme(p, acme, row, can);

    if (r.kind != MDM_OK)
        return acme->fallback ? make_builtin(p, context, MDM_PURPOSE_MDM, made) : r;
    r = make_secret(p, context, MDM_PURPOSE_ACME, made);
    if (r.kind != MDM_OK)
        return r;
    made->credential.kind = MDM_CREDENTIAL_ACME;
    made->credential.acme = (mdm_credential_acme_t){
        .directory_url = identity->url,
        .rsa = acme->key.rsa,
        .size = acme->key.size != 0 ? acme->key.size : ACME_CURVE,
        /* a Secure Enclave has no RSA keys, and attests none but its own */
        .hardware_bound = acme->hardware != MDM_USE_OFF && !acme->key.rsa && can.hardware,
    };
    made->credential.acme.attest =
        acme->attest != MDM_USE_OFF && made->credential.acme.hardware_bound && can.attest;
    set_client(p, acme->client_identifier, row, made);
    return r;
}

/* --- PKCS #12 --- */

/* No request was sent for it, and nobody polls: its own fingerprint stands there, which no hash of
 * a SCEP request equals. */
static mdm_result_t describe(apr_pool_t *p, const mdm_identity_context_t *context,
                             const mdm_enrollment_t *row, const mdm_pkcs12_t *pkcs12,
                             mdm_certificate_t *record)
{
    const char *fingerprint = mdm_x509_fingerprint(p, pkcs12->cert);

    if (fingerprint[0] == '\0')
        return mdm_sha256_failed(p);
    *record = (mdm_certificate_t){
        .serial = mdm_x509_serial(p, pkcs12->cert),
        .issuer = mdm_ca_key_id(context->ca),
        .enrollment = row->id,
        .purpose = MDM_PURPOSE_MDM,
        .request = fingerprint,
        .poll = "",
        .authority = "",
        .fingerprint = fingerprint,
        .der = mdm_base64_encode(p, pkcs12->cert_der, pkcs12->cert_len),
        .used_for = "",
        .not_before = mdm_x509_not_before(pkcs12->cert),
        .not_after = mdm_x509_not_after(pkcs12->cert),
        .issued_at = context->world->now(context->world->context),
    };
    return mdm_result_ok();
}

static mdm_result_t make_pkcs12(apr_pool_t *p, const mdm_identity_t *identity,
                                const mdm_identity_context_t *context, const mdm_enrollment_t *row,
                                mdm_identity_made_t *made)
{
    const mdm_identity_pkcs12_t *how = &identity->pkcs12;
    mdm_certificate_t *record = apr_palloc(p, sizeof(*record));
    int modern = how->algorithms == MDM_ALGORITHMS_AUTO
                     ? mdm_capability_of(row->product, row->os_version).modern
                     : how->algorithms == MDM_ALGORITHMS_MODERN;
    mdm_pkcs12_t pkcs12;
    mdm_result_t r =
        mdm_pkcs12_make(p, context->ca, context->world, row, how->key, modern, &pkcs12);

    if (r.kind == MDM_OK)
        r = describe(p, context, row, &pkcs12, record);
    if (r.kind != MDM_OK)
        return r;
    made->certificate = record;
    made->credential.kind = MDM_CREDENTIAL_PKCS12;
    made->credential.pkcs12 = (mdm_credential_pkcs12_t){.der = pkcs12.der,
                                                        .der_len = pkcs12.len,
                                                        .password = pkcs12.password,
                                                        .file_name = "mdm-identity.p12"};
    return r;
}

/* --- all of them --- */

static mdm_result_t make(apr_pool_t *p, const mdm_identity_t *identity,
                         const mdm_identity_context_t *context, const mdm_enrollment_t *row,
                         mdm_purpose_t purpose, mdm_identity_made_t *made)
{
    /* The configuration lets it not come so far: neither is the profile of that flow encrypted, nor
     * is the device known. */
    if (strcmp(row->flow, MDM_FLOW_DIRECT) == 0 && identity != NULL &&
        (identity->kind == MDM_IDENTITY_PKCS12 ||
         (identity->kind == MDM_IDENTITY_ACME && !identity->acme.fallback)))
        return mdm_result_make(p, MDM_MSG_PROFILE,
                               "enrollment %s: an identity of a kind that the flow \"%s\" cannot "
                               "have",
                               row->id, row->flow);
    switch (identity != NULL ? identity->kind : MDM_IDENTITY_BUILTIN) {
    case MDM_IDENTITY_SCEP:
        return make_scep(p, identity, context, row, purpose, made);
    case MDM_IDENTITY_ACME:
        return make_acme(p, identity, context, row, made);
    case MDM_IDENTITY_PKCS12:
        return make_pkcs12(p, identity, context, row, made);
    default:
        return make_builtin(p, context, purpose, made);
    }
}

mdm_result_t mdm_identity_make(apr_pool_t *p, const mdm_identity_t *identity,
                               const mdm_identity_context_t *context, const mdm_enrollment_t *row,
                               mdm_purpose_t purpose, mdm_identity_made_t *made)
{
    mdm_identity_made_t one = {.secret = NULL};
    mdm_result_t r = make(p, identity, context, row, purpose, &one);

    if (r.kind == MDM_OK)
        *made = one;
    return r;
}

static mdm_result_t record(apr_pool_t *p, const mdm_world_t *world,
                           const mdm_certificate_t *certificate)
{
    int won = 0;
    mdm_result_t r = world->store->certificate_insert(world->store->context, p, certificate, &won);

    if (r.kind == MDM_OK && !won)
        r = mdm_result_make(p, MDM_MSG_CA_ISSUE, "serial number %s is taken by another certificate",
                            certificate->serial);
    return r;
}

mdm_result_t mdm_identity_store(apr_pool_t *p, const mdm_world_t *world,
                                const mdm_enrollment_t *row, const mdm_identity_made_t *made,
                                apr_int64_t lifetime)
{
    mdm_result_t r = mdm_result_ok();

    if (made->secret != NULL)
        r = mdm_challenge_store(p, world, made->secret, row->id, made->secret_purpose, lifetime);
    if (r.kind == MDM_OK && made->certificate != NULL)
        r = record(p, world, made->certificate);
    return r;
}

void mdm_identity_discard(apr_pool_t *p, const mdm_world_t *world, const mdm_identity_made_t *made)
{
    int won;

    if (made->secret != NULL)
        mdm_challenge_discard(p, world, made->secret);
    if (made->certificate != NULL)
        world->store->certificate_revoke(world->store->context, p, made->certificate->fingerprint,
                                         MDM_REVOCATION_UNSPECIFIED, world->now(world->context),
                                         &won);
}
