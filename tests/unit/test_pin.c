/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_pin and mdm_identity by way of mdm_ota: identities of a foreign CA, from the
 * payload that asks for them to the row that is theirs; who else may want it; races; a store and a
 * source of challenges that fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "mdm_pin.h"
#include "ota_site.h"
#include "pki.h"

#define URL "http://ndes.example.com/certsrv/mscep/mscep.dll"
#define CHALLENGE "A9C1E5"

static EVP_PKEY *foreign_key, *other_key;
static X509 *foreign_ca;

static int setup(void **state)
{
    static const pki_opts_t sound_ca = {.constraints = PKI_CA};

    if (ota_setup(state) != 0)
        return -1;
    foreign_key = pki_key_rsa(2048);
    other_key = pki_key_rsa(2048);
    foreign_ca = pki_cert("/O=Elsewhere/CN=Foreign CA", foreign_key, NULL, NULL, &sound_ca);
    return 0;
}

/* --- a source of challenges --- */

typedef struct source_t {
    mdm_challenge_source_t source;
    const char *answer;
    mdm_message_t failure;
    int calls;
    mdm_purpose_t asked_for;
    const char *asked_serial;
} source_t;

static mdm_result_t ask(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge)
{
    source_t *source = context;

    source->calls++;
    source->asked_for = purpose;
    source->asked_serial = row->serial;
    if (source->failure != MDM_MSG_NONE)
        return mdm_result_make(p, source->failure, "the source was told to fail");
    *challenge = source->answer;
    return mdm_result_ok();
}

/* --- sites --- */

typedef struct foreign_t {
    ota_site_t *site;
    mdm_identity_t identity, mdm;
    source_t source;
    const char *unit; /* of the payload's subject */
} foreign_t;

/* Both certificates come from elsewhere; phase 1 is over. */
static foreign_t *offered(void)
{
    foreign_t *foreign = apr_pcalloc(pki_pool, sizeof(*foreign));

    foreign->site = ota_site_offered();
    foreign->source = (source_t){.source = {&foreign->source, ask}, .answer = CHALLENGE};
    foreign->identity =
        (mdm_identity_t){.kind = MDM_IDENTITY_SCEP,
                         .url = URL,
                         .name = "NDES",
                         .fingerprint = (const unsigned char *)"01234567890123456789",
                         .fingerprint_len = 20,
                         .challenge = &foreign->source.source};
    foreign->mdm = foreign->identity;
    foreign->site->settings.identity = &foreign->identity;
    foreign->site->settings.mdm_identity = &foreign->mdm;
    assert_int_equal(mdm_trust_add_foreign_ca(foreign->site->trust, foreign_ca).kind, MDM_OK);
    return foreign;
}

/* The value of a type in a payload's Subject; NULL if it is not there. */
static const char *subject(const mdm_plist_t *content, const char *type)
{
    const mdm_plist_t *rdns = mdm_plist_get(content, "Subject");

    for (apr_size_t i = 0; i < mdm_plist_size(rdns); i++) {
        const mdm_plist_t *pair = mdm_plist_item(mdm_plist_item(rdns, i), 0);
        if (strcmp(mdm_plist_string(mdm_plist_item(pair, 0)), type) == 0)
            return mdm_plist_string(mdm_plist_item(pair, 1));
    }
    return NULL;
}

static const mdm_plist_t *identity_content(const foreign_t *foreign)
{
    return mdm_plist_get(
        mdm_plist_item(mdm_plist_get(ota_opened(&foreign->site->reply), "PayloadContent"), 0),
        "PayloadContent");
}

/* Phase 2 is over, and the device has its payload. */
static foreign_t *identifying(void)
{
    foreign_t *foreign = offered();

    assert_int_equal(ota_post(foreign->site, ota_phase2_message(foreign->site)).message,
                     MDM_MSG_NONE);
    foreign->unit = subject(identity_content(foreign), "OU");
    assert_non_null(foreign->unit);
    return foreign;
}

static X509 *issued(const char *name, EVP_PKEY *key, const pki_opts_t *opts)
{
    return pki_cert(name, key, foreign_ca, foreign_key, opts);
}

/* What the foreign CA makes of the payload. */
static X509 *certificate(const foreign_t *foreign, EVP_PKEY *key)
{
    return issued(
        apr_pstrcat(pki_pool, "/O=Example Corp/OU=", foreign->unit, "/CN=" OTA_UDID, NULL), key,
        NULL);
}

static ota_bytes_t phase3(X509 *cert, EVP_PKEY *key)
{
    return ota_message(&(ota_message_t){.cert = cert, .key = key, .content = ota_attributes(NULL)});
}

static const char *fingerprint(X509 *cert)
{
    return mdm_x509_fingerprint(pki_pool, cert);
}

static mdm_challenge_t *binding(const foreign_t *foreign)
{
    return ota_stored_challenge(foreign->site, foreign->unit + strlen(MDM_PIN_PREFIX));
}

/* The row is this certificate's, and delivered. */
static void assert_pinned(const foreign_t *foreign, X509 *cert)
{
    const mdm_enrollment_t *row = ota_stored(foreign->site);
    const mdm_certificate_t *recorded =
        fake_store_certificate(foreign->site->fake->store, fingerprint(cert));

    assert_int_equal(row->state, MDM_STATE_DELIVERED);
    assert_string_equal(row->identity_fingerprint, fingerprint(cert));
    assert_string_equal(binding(foreign)->used_for, fingerprint(cert));
    assert_non_null(recorded);
    assert_string_equal(recorded->enrollment, row->id);
    assert_int_equal(recorded->purpose, MDM_PURPOSE_IDENTITY);
    assert_int_equal(recorded->not_after, mdm_x509_not_after(cert));
}

/* --- the walk --- */

static void phase2(void **state)
{
    foreign_t *foreign = identifying();
    const mdm_plist_t *content = identity_content(foreign);

    (void)state;
    assert_string_equal(ota_text(content, "URL"), URL);
    assert_string_equal(ota_text(content, "Name"), "NDES");
    assert_string_equal(ota_text(content, "Challenge"), CHALLENGE);
    assert_int_equal(mdm_plist_type(mdm_plist_get(content, "CAFingerprint")), MDM_PLIST_DATA);
    assert_string_equal(subject(content, "CN"), OTA_UDID);
    /* Whoever sees the certificate shall not see all that phase 3 wants. */
    assert_null(subject(content, "2.5.4.5"));
    assert_true(strlen(foreign->unit) <= 64);
    assert_int_equal(strncmp(foreign->unit, MDM_PIN_PREFIX, strlen(MDM_PIN_PREFIX)), 0);
    assert_int_equal(binding(foreign)->purpose, MDM_PURPOSE_BINDING);
    assert_int_equal(ota_stored(foreign->site)->state, MDM_STATE_IDENTIFYING);
    assert_int_equal(foreign->source.asked_for, MDM_PURPOSE_IDENTITY);
    assert_string_equal(foreign->source.asked_serial, OTA_SERIAL);
}

static const mdm_plist_t *mdm_content(const foreign_t *foreign)
{
    /* ota_decrypted() has the key of ota_identity; the recipient is found by its certificate. */
    mdm_plist_t *payloads = ota_decrypted(ota_opened(&foreign->site->reply));

    return mdm_plist_get(mdm_plist_item(payloads, 0), "PayloadContent");
}

static void walk(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);
    int challenges = foreign->site->fake->store->challenges->nelts;

    (void)state;
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
    assert_int_equal(foreign->site->facts.phase, 3);
    assert_string_equal(foreign->site->facts.enrollment, foreign->site->id);
    assert_string_equal(foreign->site->facts.user, "anna");
    assert_pinned(foreign, cert);
    /* The MDM identity is none of our CA: no secret of ours was made for it. */
    assert_int_equal(foreign->site->fake->store->challenges->nelts, challenges);
    assert_int_equal(foreign->source.asked_for, MDM_PURPOSE_MDM);
    assert_int_equal(foreign->site->fake->policy_calls, 2);
    assert_int_equal(foreign->site->fake->directory_calls, 2);
    ota_assert_refused(foreign->site, phase3(cert, other_key), MDM_MSG_ENROLLMENT_STATE);
}

/* The identity from the own CA, that of the MDM server from elsewhere. */
static void mdm_alone(void **state)
{
    foreign_t *foreign = apr_pcalloc(pki_pool, sizeof(*foreign));
    const mdm_plist_t *content;
    int challenges;

    (void)state;
    foreign->site = ota_site_identified();
    foreign->mdm = (mdm_identity_t){.kind = MDM_IDENTITY_SCEP, .url = URL};
    foreign->site->settings.mdm_identity = &foreign->mdm;
    challenges = foreign->site->fake->store->challenges->nelts;
    assert_int_equal(ota_post(foreign->site, ota_phase3_message()).message, MDM_MSG_NONE);
    content = mdm_content(foreign);
    assert_string_equal(ota_text(content, "URL"), URL);
    assert_null(mdm_plist_get(content, "Challenge"));
    assert_string_equal(subject(content, "OU"), "MDM");
    assert_string_equal(subject(content, "CN"), OTA_UDID);
    assert_string_equal(subject(content, "2.5.4.5"), OTA_SERIAL);
    assert_int_equal(foreign->site->fake->store->challenges->nelts, challenges);
}

/* --- who else may want it --- */

/* Somebody with a second certificate of this subject: before and after the first one was used. */
static void second_certificate(void **state)
{
    foreign_t *foreign = identifying();
    X509 *first = certificate(foreign, other_key);
    X509 *second = certificate(foreign, ota_identity_key);

    (void)state;
    assert_int_equal(ota_post(foreign->site, phase3(first, other_key)).message, MDM_MSG_NONE);
    ota_assert_refused(foreign->site, phase3(second, ota_identity_key), MDM_MSG_BINDING_SPENT);
    assert_pinned(foreign, first);
}

static void other_device(void **state)
{
    static const char *const keys[] = {"UDID", "SERIAL"};
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *content =
            ota_plist(apr_pstrcat(pki_pool, ota_key(keys[i], "ANOTHER"),
                                  ota_key(keys[1 - i], i == 0 ? OTA_SERIAL : OTA_UDID), NULL));
        ota_assert_refused(
            foreign->site,
            ota_message(&(ota_message_t){.cert = cert, .key = other_key, .content = content}),
            MDM_MSG_DEVICE_MISMATCH);
    }
    assert_int_equal(binding(foreign)->used_at, 0);
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
}

/* Certificates that the foreign CA issued for other purposes, and to those who know its challenge.
 */
static void not_bound(void **state)
{
    foreign_t *foreign = identifying();
    const char *unit = foreign->unit;
    const char *const names[] = {
        "/O=Example Corp/CN=" OTA_UDID,
        apr_pstrcat(pki_pool, "/O=x/OU=", unit, "/OU=" MDM_PIN_PREFIX "another/CN=y", NULL),
        apr_pstrcat(pki_pool, "/O=x/OU=", unit, "/OU=", unit, "/CN=y", NULL),
        apr_pstrcat(pki_pool, "/O=", unit, "/CN=y", NULL),
        apr_pstrcat(pki_pool, "/OU= ", unit, NULL),
        apr_pstrcat(pki_pool, "/OU=", unit + strlen(MDM_PIN_PREFIX), NULL),
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ota_assert_refused(foreign->site, phase3(issued(names[i], other_key, NULL), other_key),
                           MDM_MSG_BINDING_MISSING);
    ota_assert_refused(
        foreign->site,
        phase3(issued("/OU=" MDM_PIN_PREFIX "guessed/CN=y", other_key, NULL), other_key),
        MDM_MSG_CHALLENGE_UNKNOWN);
    ota_assert_refused(foreign->site,
                       phase3(issued("/OU=" MDM_PIN_PREFIX "/CN=y", other_key, NULL), other_key),
                       MDM_MSG_CHALLENGE_UNKNOWN);
    foreign->unit = apr_pstrcat(pki_pool, MDM_PIN_PREFIX, foreign->site->challenge, NULL);
    ota_assert_refused(foreign->site, phase3(certificate(foreign, other_key), other_key),
                       MDM_MSG_CHALLENGE_UNKNOWN);
}

/* An OU beside, a multi-valued name, another encoding of the text: what CAs make of a subject. */
static void as_cas_write_it(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = issued("/O=x/OU=Devices", other_key, NULL);
    X509_NAME *name = X509_get_subject_name(cert);
    apr_size_t len = strlen(foreign->unit);
    unsigned char *wide = apr_pcalloc(pki_pool, 2 * len);

    (void)state;
    for (apr_size_t i = 0; i < len; i++)
        wide[2 * i + 1] = (unsigned char)foreign->unit[i];
    assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_organizationalUnitName, V_ASN1_BMPSTRING,
                                                wide, (int)(2 * len), -1, 1),
                     1);
    assert_true(X509_sign(cert, foreign_key, EVP_sha256()) > 0);
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
    assert_pinned(foreign, cert);
}

static void too_late(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);

    (void)state;
    foreign->site->fake->clock += OTA_LIFETIME;
    ota_assert_refused(foreign->site, phase3(cert, other_key), MDM_MSG_CHALLENGE_EXPIRED);
    binding(foreign)->expires_at += 60;
    ota_assert_refused(foreign->site, phase3(cert, other_key), MDM_MSG_ENROLLMENT_EXPIRED);
    foreign->site->fake->clock -= 1;
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
}

static void another_site(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);

    (void)state;
    foreign->site->fake->world.rules = "laxer ones";
    ota_assert_refused(foreign->site, phase3(cert, other_key), MDM_MSG_CHALLENGE_UNKNOWN);
}

/* A foreign CA that is only known for what it issued before: nothing new of it is taken. */
static void known_ones_alone(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);
    ota_site_t *before;
    mdm_certificate_t recorded;

    (void)state;
    foreign->site->settings.identity = NULL;
    ota_assert_refused(foreign->site, phase3(cert, other_key), MDM_MSG_CERTIFICATE_UNKNOWN);

    before = ota_site_identified();
    assert_int_equal(mdm_trust_add_foreign_ca(before->trust, foreign_ca).kind, MDM_OK);
    cert = issued("/O=Example Corp/OU=Enrollment/CN=" OTA_UDID, other_key, NULL);
    recorded = ota_certificate(before, cert, MDM_PURPOSE_IDENTITY);
    fake_store_put_certificate(before->fake->store, &recorded);
    ota_stored(before)->identity_fingerprint = fingerprint(cert);
    assert_int_equal(ota_post(before, phase3(cert, other_key)).message, MDM_MSG_NONE);
}

/* An unknown certificate of the own CA is nobody's, whatever its subject says. */
static void own_ca(void **state)
{
    foreign_t *foreign = identifying();
    const char *name = apr_pstrcat(pki_pool, "/OU=", foreign->unit, "/CN=" OTA_UDID, NULL);

    (void)state;
    ota_assert_refused(foreign->site,
                       phase3(pki_cert(name, other_key, ota_ca, ota_ca_key, NULL), other_key),
                       MDM_MSG_CERTIFICATE_UNKNOWN);
    /* Named among the foreign ones, too. */
    assert_int_equal(mdm_trust_add_foreign_ca(foreign->site->trust, ota_ca).kind, MDM_OK);
    ota_assert_refused(foreign->site,
                       phase3(pki_cert(name, other_key, ota_ca, ota_ca_key, NULL), other_key),
                       MDM_MSG_CERTIFICATE_UNKNOWN);
}

static void unfit_certificates(void **state)
{
    static const pki_opts_t expired = {.not_before = -7200, .not_after = -60};
    foreign_t *foreign = identifying();
    const char *name = apr_pstrcat(pki_pool, "/OU=", foreign->unit, "/CN=" OTA_UDID, NULL);
    X509 *revoked = certificate(foreign, other_key);
    mdm_certificate_t recorded = ota_certificate(foreign->site, revoked, MDM_PURPOSE_IDENTITY);
    X509 *long_serial = certificate(foreign, other_key);
    unsigned char digits[21];

    (void)state;
    ota_assert_refused(foreign->site, phase3(issued(name, other_key, &expired), other_key),
                       MDM_MSG_SIGNER_EXPIRED);
    ota_assert_refused(foreign->site, phase3(issued(name, ota_ec_key, NULL), ota_ec_key),
                       MDM_MSG_SIGNER_KEY);
    memset(digits, 0x11, sizeof(digits));
    assert_int_equal(ASN1_STRING_set(X509_get_serialNumber(long_serial), digits, sizeof(digits)),
                     1);
    assert_true(X509_sign(long_serial, foreign_key, EVP_sha256()) > 0);
    ota_assert_refused(foreign->site, phase3(long_serial, other_key), MDM_MSG_SIGNER_CERTIFICATE);
    recorded.revoked_at = foreign->site->fake->clock;
    fake_store_put_certificate(foreign->site->fake->store, &recorded);
    ota_assert_refused(foreign->site, phase3(revoked, other_key), MDM_MSG_CERTIFICATE_REVOKED);
}

/* Serial numbers are the CA's: two CAs may use one, and one CA may not use it twice. */
static void serial_numbers(void **state)
{
    static const pki_opts_t seventh = {.serial = 7};
    foreign_t *foreign = identifying();
    const char *name = apr_pstrcat(pki_pool, "/OU=", foreign->unit, "/CN=" OTA_UDID, NULL);
    X509 *cert = issued(name, other_key, &seventh);
    X509 *own = pki_cert("/CN=other", other_key, ota_ca, ota_ca_key, &seventh);
    mdm_certificate_t recorded = ota_certificate(foreign->site, own, MDM_PURPOSE_IDENTITY);
    foreign_t *next;

    (void)state;
    fake_store_put_certificate(foreign->site->fake->store, &recorded);
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
    assert_pinned(foreign, cert);

    recorded = *fake_store_certificate(foreign->site->fake->store, fingerprint(cert));
    next = identifying();
    fake_store_put_certificate(next->site->fake->store, &recorded);
    name = apr_pstrcat(pki_pool, "/OU=", next->unit, "/CN=another", NULL);
    cert = issued(name, other_key, &seventh);
    assert_int_equal(ota_post(next->site, phase3(cert, other_key)).message,
                     MDM_MSG_CERTIFICATE_SERIAL);
    assert_null(next->site->reply.body);
    assert_int_equal(ota_stored(next->site)->state, MDM_STATE_IDENTIFYING);
}

static void refused_users(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);
    int calls = foreign->source.calls;

    (void)state;
    foreign->site->fake->directory_answer = MDM_MSG_DIRECTORY_NO_USER;
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message,
                     MDM_MSG_DIRECTORY_NO_USER);
    assert_int_equal(binding(foreign)->used_at, 0);
    assert_int_equal(ota_stored(foreign->site)->state, MDM_STATE_IDENTIFYING);
    assert_int_equal(foreign->source.calls, calls);
    foreign->site->fake->directory_answer = MDM_MSG_NONE;
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
}

/* --- races and failures --- */

typedef struct rival_t {
    foreign_t *foreign;
    X509 *cert;
    EVP_PKEY *key;
    mdm_message_t message;
} rival_t;

/* Another request comes in between, whole. */
static void rival(fake_store_t *store, void *context)
{
    rival_t *other = context;
    ota_site_t *site = other->foreign->site;

    (void)store;
    other->message = ota_post(site, phase3(other->cert, other->key)).message;
    site->reply = (mdm_ota_reply_t){NULL, 0};
}

/* A copy of the same message while the first one is about to pin: one is answered. */
static void same_message_twice(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);
    rival_t other = {foreign, cert, other_key, MDM_MSG_CRYPTO};

    (void)state;
    foreign->site->fake->store->rival = rival;
    foreign->site->fake->store->rival_context = &other;
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message,
                     MDM_MSG_ENROLLMENT_STATE);
    assert_null(foreign->site->reply.body);
    assert_int_equal(other.message, MDM_MSG_NONE);
    assert_pinned(foreign, cert);
}

/* Another certificate with the same subject, while the first one has spent the secret and is about
 * to move the row. */
static void two_certificates_at_once(void **state)
{
    foreign_t *foreign = identifying();
    X509 *cert = certificate(foreign, other_key);
    rival_t other = {foreign, certificate(foreign, ota_identity_key), ota_identity_key,
                     MDM_MSG_NONE};

    (void)state;
    foreign->site->fake->store->rival = rival;
    foreign->site->fake->store->rival_context = &other;
    assert_int_equal(ota_post(foreign->site, phase3(cert, other_key)).message, MDM_MSG_NONE);
    assert_int_equal(other.message, MDM_MSG_BINDING_SPENT);
    assert_pinned(foreign, cert);
}

/* The same, but it comes between our look at the secret and our spending it. */
static void spent_in_between(void **state)
{
    foreign_t *foreign = identifying();
    ota_site_t *site = foreign->site;
    X509 *cert = certificate(foreign, other_key);
    X509 *faster = certificate(foreign, ota_identity_key);
    mdm_challenge_t *challenge = NULL;
    mdm_enrollment_t *row = NULL;

    (void)state;
    assert_int_equal(
        mdm_pin_find(pki_pool, &site->fake->world, cert, fingerprint(cert), &challenge, &row)
            .message,
        MDM_MSG_NONE);
    assert_int_equal(ota_post(site, phase3(faster, ota_identity_key)).message, MDM_MSG_NONE);
    assert_int_equal(mdm_pin_take(pki_pool, &site->fake->world, cert, fingerprint(cert), challenge,
                                  row, OTA_LIFETIME)
                         .message,
                     MDM_MSG_BINDING_SPENT);
    assert_null(fake_store_certificate(site->fake->store, fingerprint(cert)));
    assert_pinned(foreign, faster);
}

/* Each call fails once, before or after its effect: the device may come again with its certificate
 * and nobody else with another one, and none is answered twice. The calls: by fingerprint,
 * challenge, row; spend, insert, move; move. */
static void store_fails(void **state)
{
    (void)state;
    for (int i = 0; i < 14; i++) {
        int nth = 1 + i / 2, after = i % 2;
        foreign_t *foreign = identifying();
        ota_site_t *site = foreign->site;
        X509 *cert = certificate(foreign, other_key);
        X509 *second = certificate(foreign, ota_identity_key);
        int answered;
        mdm_result_t r;

        site->fake->store->calls = 0;
        fake_store_fail(site->fake->store, nth, after);
        r = ota_post(site, phase3(cert, other_key));
        if (nth == 6 && after) { /* seen to be done, on being read again */
            assert_int_equal(r.message, MDM_MSG_NONE);
            continue;
        }
        assert_int_equal(r.message, MDM_MSG_STORE_UNAVAILABLE);
        assert_null(site->reply.body);
        fake_store_fail(site->fake->store, 0, 0);
        if (nth > 4 || (nth == 4 && after)) {
            mdm_message_t other = ota_post(site, phase3(second, ota_identity_key)).message;
            assert_int_equal(other, MDM_MSG_BINDING_SPENT);
        }
        answered = ota_post(site, phase3(cert, other_key)).kind == MDM_OK;
        assert_int_equal(answered, !(nth == 7 && after));
        assert_pinned(foreign, cert);
    }
}

/* No challenge, no profile, and nothing changed; in either phase. */
static void source_fails(void **state)
{
    const char *longest = apr_psprintf(pki_pool, "%0*d", MDM_IDENTITY_MAX_CHALLENGE, 7);
    const char *const bad[] = {NULL,   "",         "two\nlines",
                               "\x7f", "\xff\xfe", apr_pstrcat(pki_pool, longest, "7", NULL)};
    foreign_t *foreign = offered();
    ota_site_t *site = foreign->site;
    ota_bytes_t body = ota_phase2_message(site);
    X509 *cert;

    (void)state;
    for (int phase = 2; phase <= 3; phase++) {
        foreign->source.failure = MDM_MSG_CHALLENGE_SOURCE;
        ota_assert_refused(site, body, MDM_MSG_CHALLENGE_SOURCE);
        foreign->source.failure = MDM_MSG_NONE;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            foreign->source.answer = bad[i];
            ota_assert_refused(site, body, MDM_MSG_CHALLENGE_SOURCE);
        }
        foreign->source.answer = longest;
        assert_int_equal(ota_post(site, body).message, MDM_MSG_NONE);
        if (phase == 2) {
            foreign->unit = subject(identity_content(foreign), "OU");
            cert = certificate(foreign, other_key);
            body = phase3(cert, other_key);
        }
    }
}

/* Who is refused anyway costs the source nothing. */
static void source_is_asked_last(void **state)
{
    foreign_t *foreign = offered();

    (void)state;
    foreign->site->fake->policy_answer = MDM_MSG_POLICY_REFUSED;
    assert_int_equal(ota_post(foreign->site, ota_phase2_message(foreign->site)).message,
                     MDM_MSG_POLICY_REFUSED);
    assert_int_equal(foreign->source.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phase2),
        cmocka_unit_test(walk),
        cmocka_unit_test(mdm_alone),
        cmocka_unit_test(second_certificate),
        cmocka_unit_test(other_device),
        cmocka_unit_test(not_bound),
        cmocka_unit_test(as_cas_write_it),
        cmocka_unit_test(too_late),
        cmocka_unit_test(another_site),
        cmocka_unit_test(known_ones_alone),
        cmocka_unit_test(own_ca),
        cmocka_unit_test(unfit_certificates),
        cmocka_unit_test(serial_numbers),
        cmocka_unit_test(refused_users),
        cmocka_unit_test(same_message_twice),
        cmocka_unit_test(two_certificates_at_once),
        cmocka_unit_test(spent_in_between),
        cmocka_unit_test(store_fails),
        cmocka_unit_test(source_fails),
        cmocka_unit_test(source_is_asked_last),
    };

    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
