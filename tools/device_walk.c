/* SPDX-License-Identifier: Apache-2.0
 * The walk of one device through an enrollment. Depends on everything else in tools.
 */
#include "device_walk.h"

#include <apr_strings.h>
#include <openssl/pem.h>
#include <string.h>
#include <strings.h>

#include "device_enrollment.h"
#include "device_identity.h"
#include "device_pkcs12.h"
#include "device_profile.h"
#include "device_store.h"
#include "scep_client.h"

#define TYPE_PROFILE "application/x-apple-aspen-config"
#define TYPE_SIGNATURE "application/pkcs7-signature"

#define LANGUAGE "en-US"
#define IMEI "490154203237518" /* the GSMA's own example */

static device_result_t keep(const device_walk_t *walk, apr_pool_t *p, const char *name,
                            const char *bytes, apr_size_t len)
{
    return device_file_keep(p, walk->save_dir, name, bytes, len);
}

/* Is this a profile, and would the device show it as verified? name is its phase. */
static device_result_t take_profile(device_walk_t *walk, apr_pool_t *p, const char *name,
                                    const device_reply_t *reply, mdm_plist_t **root)
{
    device_signed_t opened;

    device_report_line(&walk->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                       reply->status, reply->content_type, reply->len);
    if (reply->redirects > 0)
        device_report_line(&walk->report, REPORT_WARNING, "redirected to %s", reply->url);
    device_result_t r =
        keep(walk, p, apr_pstrcat(p, name, ".mobileconfig", NULL), reply->body, reply->len);
    if (r.exit == DEVICE_OK) {
        r = strcmp(name, "phase1") == 0 ? device_http_expect_page(p, reply)
                                        : device_http_expect_ok(p, reply);
    }
    if (r.exit == DEVICE_OK && strncasecmp(reply->url, "https://", 8) != 0)
        r = device_fail(p, DEVICE_UNACCEPTABLE, "redirected away from https, to %s", reply->url);
    if (r.exit == DEVICE_OK)
        r = device_http_expect_type(p, reply, TYPE_PROFILE);
    if (r.exit == DEVICE_OK)
        r = device_cms_open(p, walk->anchors, reply->body, reply->len, &opened);
    if (r.exit == DEVICE_OK)
        r = keep(walk, p, apr_pstrcat(p, name, ".plist", NULL), opened.content, opened.len);
    if (r.exit != DEVICE_OK)
        return r;
    const char *signer = opened.signer != NULL ? mdm_x509_subject(p, opened.signer) : "nobody";
    if (opened.doubt != NULL && !walk->allow_unverified) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the device would show \"Not Verified\": %s (signed by %s); "
                           "--allow-unverified goes on",
                           opened.doubt, signer);
    }
    device_report_line(&walk->report, opened.doubt != NULL ? REPORT_WARNING : REPORT_CHECKED,
                       "signature holds; %s%s: signed by %s",
                       opened.doubt != NULL ? "Not Verified, " : "Verified",
                       opened.doubt != NULL ? opened.doubt : "", signer);
    mdm_result_t parsed = mdm_plist_parse(p, opened.content, opened.len, root);
    if (parsed.kind != MDM_OK)
        return device_fail_core(p, DEVICE_UNACCEPTABLE, "the profile", parsed);
    return device_ok();
}

static device_result_t phase1(device_walk_t *walk, apr_pool_t *p, device_service_t *service)
{
    device_reply_t reply;
    mdm_plist_t *root = NULL;

    device_report_step(&walk->report, "Phase 1: %s signs in and gets the Profile Service profile",
                       walk->user);
    device_report_line(&walk->report, REPORT_SENT, "%s %s with %s", walk->form ? "POST" : "GET",
                       walk->url, walk->form ? "httpd_username and httpd_password" : "HTTP Basic");
    device_result_t r =
        device_http_login(walk->http, p, walk->url, walk->user, walk->password, walk->form, &reply);
    if (r.exit == DEVICE_OK)
        r = take_profile(walk, p, "phase1", &reply, &root);
    if (r.exit == DEVICE_OK)
        r = device_profile_service(p, root, service);
    if (r.exit != DEVICE_OK)
        return r;
    const char *challenge = mdm_plist_text(p, service->challenge);
    device_report_line(
        &walk->report, REPORT_CHECKED,
        "PayloadType \"Profile Service\"; %" APR_SIZE_T_FMT " attributes wanted; %s; URL %s",
        mdm_plist_size(service->attributes),
        challenge != NULL
            ? apr_psprintf(p, "challenge of %" APR_SIZE_T_FMT " bytes", strlen(challenge))
            : "no challenge",
        service->url);
    return r;
}

/* The value that this device has for an attribute, or NULL. */
static const char *attribute_value(const device_walk_t *walk, const device_facts_t *facts,
                                   const char *name)
{
    const struct {
        const char *name;
        const char *value;
    } values[] = {
        {"UDID", facts->udid},
        {"SERIAL", facts->serial},
        {"PRODUCT", facts->product},
        {"VERSION", facts->version},
        {"OS_VERSION", facts->os_version},
        {"IMEI", walk->shape == DEVICE_SHAPE_IPHONE ? IMEI : NULL},
        {"LANGUAGE", walk->shape == DEVICE_SHAPE_IPHONE ? LANGUAGE : NULL},
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (strcmp(values[i].name, name) == 0)
            return values[i].value;
    return NULL;
}

/* What was asked for and is there; an attribute that the device does not have is silently left out.
 * A Mac adds some that nobody asked for, two of them empty. */
static const char *device_message(const device_walk_t *walk, apr_pool_t *p,
                                  const device_facts_t *facts, const device_service_t *service,
                                  int with_challenge, apr_size_t *len)
{
    mdm_plist_t *dict = mdm_plist_dict(p);
    apr_size_t challenge_len = 0;

    for (apr_size_t i = 0; i < mdm_plist_size(service->attributes); i++) {
        const char *name = mdm_plist_string(mdm_plist_item(service->attributes, i));
        const char *value = attribute_value(walk, facts, name);
        if (value != NULL)
            mdm_plist_set_string(dict, name, value);
    }
    if (walk->shape == DEVICE_SHAPE_MAC) {
        mdm_plist_set_string(dict, "IMEI", "");
        mdm_plist_set_string(dict, "MEID", "");
        mdm_plist_set_boolean(dict, "NotOnConsole", 0);
        mdm_plist_set_string(dict, "UserID", "7F0E8B52-4B7D-4D3C-9C55-0A1D2B3C4D5E");
        mdm_plist_set_string(dict, "UserLongName", walk->user);
        mdm_plist_set_string(dict, "UserShortName", walk->user);
    }
    if (with_challenge && service->challenge != NULL) {
        const char *data = mdm_plist_data(service->challenge, &challenge_len);
        if (data != NULL)
            mdm_plist_set_data(dict, "CHALLENGE", data, challenge_len);
        else
            mdm_plist_set_string(dict, "CHALLENGE", mdm_plist_string(service->challenge));
    }
    return mdm_plist_to_xml(p, dict, len);
}

/* Phases 2 and 3 differ in who signs, with what, and in the challenge. name is "phase2" or
 * "phase3".
 */
static device_result_t post_attributes(device_walk_t *walk, apr_pool_t *p,
                                       const device_facts_t *facts, const device_service_t *service,
                                       const char *name, const mdm_signer_t *signer,
                                       const EVP_MD *digest, mdm_plist_t **root)
{
    int second = signer == walk->builtin;
    device_reply_t reply;
    const char *message;
    apr_size_t xml_len = 0, len;
    const char *xml = device_message(walk, p, facts, service, second, &xml_len);

    if (xml == NULL)
        return device_fail(p, DEVICE_LOCAL, "out of memory");
    device_result_t r =
        device_cms_sign(p, signer, walk->shape, digest, xml, xml_len, &message, &len);
    if (r.exit == DEVICE_OK)
        r = keep(walk, p, apr_pstrcat(p, name, ".request.plist", NULL), xml, xml_len);
    if (r.exit == DEVICE_OK)
        r = keep(walk, p, apr_pstrcat(p, name, ".request.der", NULL), message, len);
    if (r.exit == DEVICE_OK) {
        device_report_line(
            &walk->report, REPORT_SENT,
            "POST %s: UDID %s, SERIAL %s%s, %s by %s, %" APR_SIZE_T_FMT " bytes", service->url,
            facts->udid, facts->serial, second && service->challenge != NULL ? ", CHALLENGE" : "",
            OBJ_nid2sn(EVP_MD_get_type(digest)), mdm_x509_subject(p, signer->cert), len);
        r = device_http_post(walk->http, p, service->url, TYPE_SIGNATURE, message, len, &reply);
    }
    return r.exit == DEVICE_OK ? take_profile(walk, p, name, &reply, root) : r;
}

static device_result_t phase2(device_walk_t *walk, apr_pool_t *p, const device_facts_t *facts,
                              const device_service_t *service, device_scep_payload_t *scep)
{
    mdm_plist_t *root = NULL;

    device_report_step(&walk->report,
                       "Phase 2: the device proves itself with its built-in identity");
    device_result_t r =
        post_attributes(walk, p, facts, service, "phase2", walk->builtin,
                        walk->shape == DEVICE_SHAPE_MAC ? EVP_sha256() : EVP_sha1(), &root);
    if (r.exit == DEVICE_OK)
        r = device_profile_identity(p, root, scep);
    if (r.exit == DEVICE_OK) {
        device_report_line(
            &walk->report, REPORT_CHECKED,
            "exactly one payload, com.apple.security.scep: RSA-%d, %s; URL %s", scep->key_size,
            scep->challenge != NULL ? "with a challenge" : "no challenge", scep->url);
    }
    return r;
}

/* Which of the two certificates a SCEP round is for. */
typedef struct round_t {
    const char *title;
    const char *label;
    size_t key;
} round_t;

static device_result_t make_key(device_walk_t *walk, apr_pool_t *p, const round_t *round, int bits,
                                EVP_PKEY **key)
{
    EVP_PKEY **kept = &walk->keys[round->key];

    if (!walk->keep_keys)
        return device_identity_make_key(p, bits, key);
    device_result_t r = device_ok();
    if (*kept == NULL || EVP_PKEY_get_bits(*kept) != bits)
        r = device_identity_make_key(walk->pool, bits, kept);
    *key = *kept;
    return r;
}

static device_result_t scep(device_walk_t *walk, apr_pool_t *p, const round_t *round,
                            const device_scep_payload_t *payload, mdm_signer_t *identity)
{
    const scep_server_t server = {walk->http,   &walk->report, walk->save_dir,
                                  round->label, payload->url,  payload->name};
    EVP_PKEY *key = NULL;

    device_report_step(&walk->report, "%s", round->title);
    device_result_t r = make_key(walk, p, round, payload->key_size, &key);
    if (r.exit == DEVICE_OK)
        r = scep_client_enroll(&server, p, payload, key, identity);
    if (r.exit == DEVICE_OK && walk->save_dir != NULL) {
        r = device_identity_save(p, walk->save_dir, apr_pstrcat(p, round->label, ".identity", NULL),
                                 identity);
    }
    return r;
}

/* The payloads out of the enrollment profile, decrypted if need be. */
static device_result_t open_payloads(device_walk_t *walk, apr_pool_t *p, const char *name,
                                     const mdm_plist_t *root, const mdm_signer_t *identity,
                                     mdm_plist_t **payloads)
{
    const char *encrypted = NULL, *xml, *cipher;
    apr_size_t encrypted_len = 0, len;
    device_result_t r = device_profile_enrollment(p, root, &encrypted, &encrypted_len, payloads);

    if (r.exit != DEVICE_OK)
        return r;
    device_report_line(&walk->report, REPORT_CHECKED,
                       "PayloadType \"Configuration\", PayloadIdentifier %s",
                       mdm_plist_string(mdm_plist_get(root, "PayloadIdentifier")));
    if (encrypted == NULL) {
        device_report_line(&walk->report, REPORT_WARNING,
                           "the payloads are not encrypted to this device");
        return r;
    }
    r = device_cms_decrypt(p, identity->cert, identity->key, encrypted, encrypted_len, &xml, &len,
                           &cipher);
    if (r.exit == DEVICE_OK)
        r = keep(walk, p, apr_pstrcat(p, name, ".payloads.plist", NULL), xml, len);
    if (r.exit != DEVICE_OK)
        return r;
    device_report_line(&walk->report, REPORT_CHECKED, "encrypted to this device's identity, %s",
                       cipher);
    mdm_result_t parsed = mdm_plist_parse(p, xml, len, payloads);
    if (parsed.kind != MDM_OK)
        return device_fail_core(p, DEVICE_UNACCEPTABLE, "the decrypted payloads", parsed);
    return r;
}

static const char *way_of(apr_pool_t *p, const device_mdm_t *mdm)
{
    switch (mdm->way) {
    case DEVICE_IDENTITY_PKCS12:
        return "as PKCS #12";
    case DEVICE_IDENTITY_ACME:
        return apr_psprintf(p, "by ACME (%s)", mdm->directory_url);
    default:
        return apr_psprintf(p, "by SCEP (RSA-%d)", mdm->identity.key_size);
    }
}

/* An enrollment profile, as a device reads it. */
typedef struct delivery_t {
    const char *identifier; /* PayloadIdentifier */
    mdm_plist_t *payloads;
    device_mdm_t mdm;
} delivery_t;

/* name: "phase3" or "update". */
static device_result_t phase3(device_walk_t *walk, apr_pool_t *p, const char *name,
                              const device_facts_t *facts, const device_service_t *service,
                              const mdm_signer_t *identity, delivery_t *delivery)
{
    mdm_plist_t *root = NULL;
    const device_mdm_t *mdm = &delivery->mdm;
    mdm_plist_t **payloads = &delivery->payloads;

    device_result_t r =
        post_attributes(walk, p, facts, service, name, identity, EVP_sha256(), &root);
    if (r.exit == DEVICE_OK)
        r = open_payloads(walk, p, name, root, identity, payloads);
    if (r.exit == DEVICE_OK)
        r = device_profile_payloads(p, *payloads, &delivery->mdm);
    if (r.exit == DEVICE_OK)
        delivery->identifier = mdm_plist_string(mdm_plist_get(root, "PayloadIdentifier"));
    if (r.exit == DEVICE_OK) {
        device_report_line(&walk->report, REPORT_CHECKED,
                           "%" APR_SIZE_T_FMT " payloads: %" APR_SIZE_T_FMT
                           " with certificates, one com.apple.mdm, its identity %s",
                           mdm_plist_size(*payloads), mdm->certificates, way_of(p, mdm));
        device_report_line(&walk->report, REPORT_CHECKED,
                           "ServerURL %s, CheckInURL %s, Topic %s, AccessRights %" APR_UINT64_T_FMT,
                           mdm->server_url, mdm->checkin_url, mdm->topic, mdm->access_rights);
    }
    return r;
}

static void show(device_walk_t *walk, apr_pool_t *p, mdm_plist_t *payloads)
{
    apr_size_t len;
    const char *xml;

    if (walk->report.out == NULL)
        return;
    device_profile_hide_secrets(payloads);
    xml = mdm_plist_to_xml(p, payloads, &len);
    device_report_step(&walk->report, "The payloads of the enrollment profile");
    device_report_text(&walk->report, xml != NULL ? xml : "(out of memory)\n");
}

/* What renew and update need later. */
static device_result_t store(device_walk_t *walk, apr_pool_t *p,
                             const device_scep_payload_t *payload, const mdm_signer_t *identity,
                             const device_enrollment_t *enrollment)
{
    if (walk->keep_keys)
        return device_ok();
    device_result_t r =
        device_store_create(p, walk->identity_dir, payload->url, payload->name, identity);
    if (r.exit == DEVICE_OK)
        r = device_enrollment_write(p, walk->identity_dir, enrollment);
    if (r.exit == DEVICE_OK) {
        device_report_line(&walk->report, REPORT_STORED, "%s/mdm-identity.pem and .key",
                           walk->identity_dir);
    }
    return r;
}

static device_result_t import(device_walk_t *walk, apr_pool_t *p,
                              const device_pkcs12_payload_t *payload, mdm_signer_t *identity)
{
    device_report_step(&walk->report, "PKCS #12: the device imports the identity");
    device_result_t r = device_pkcs12_open(p, payload, identity);
    if (r.exit == DEVICE_OK)
        r = keep(walk, p, "mdm-identity.p12", payload->der, payload->len);
    if (r.exit == DEVICE_OK) {
        device_report_line(&walk->report, REPORT_CHECKED, "a key and its certificate, %s",
                           mdm_x509_subject(p, identity->cert));
    }
    return r;
}

/* The reason with the step in which it came about: all that is printed with --quiet. */
static device_result_t in_step(apr_pool_t *p, const char *step, device_result_t r)
{
    return r.exit == DEVICE_OK ? r : device_fail(p, r.exit, "%s: %s", step, r.reason);
}

/* The identity for the MDM server, in whichever way it comes. */
static device_result_t take_mdm_identity(device_walk_t *walk, apr_pool_t *p,
                                         const device_mdm_t *mdm, const round_t *round,
                                         mdm_signer_t *identity)
{
    switch (mdm->way) {
    case DEVICE_IDENTITY_ACME:
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "after phase 3: the MDM identity comes by ACME, which a device speaks "
                           "and mdm-device does not; --stop-after phase3 ends before it");
    case DEVICE_IDENTITY_PKCS12:
        return in_step(p, "after phase 3", import(walk, p, &mdm->pkcs12, identity));
    default:
        return in_step(p, "SCEP after phase 3", scep(walk, p, round, &mdm->identity, identity));
    }
}

device_result_t device_walk(device_walk_t *walk, apr_pool_t *p, const device_facts_t *facts)
{
    static const round_t first = {"SCEP: the device gets an identity to come back with", "scep1",
                                  0};
    static const round_t second = {"SCEP: the device gets the identity that the MDM server sees",
                                   "scep2", 1};
    device_service_t service;
    device_scep_payload_t payload;
    mdm_signer_t identity, mdm_identity;
    delivery_t delivery = {NULL, NULL, {0}};

    walk->report.step = 0;
    device_result_t r = in_step(p, "phase 1", phase1(walk, p, &service));
    if (r.exit != DEVICE_OK || walk->stop == DEVICE_STOP_PHASE1)
        return r;
    r = in_step(p, "phase 2", phase2(walk, p, facts, &service, &payload));
    if (r.exit != DEVICE_OK || walk->stop == DEVICE_STOP_PHASE2)
        return r;
    r = in_step(p, "SCEP after phase 2", scep(walk, p, &first, &payload, &identity));
    if (r.exit != DEVICE_OK || walk->stop == DEVICE_STOP_SCEP)
        return r;
    device_report_step(&walk->report, "Phase 3: the device comes back with its new identity");
    r = in_step(p, "phase 3", phase3(walk, p, "phase3", facts, &service, &identity, &delivery));
    if (r.exit == DEVICE_OK && walk->stop != DEVICE_STOP_PHASE3) {
        r = take_mdm_identity(walk, p, &delivery.mdm, &second, &mdm_identity);
        if (r.exit == DEVICE_OK)
            r = store(walk, p, &delivery.mdm.identity, &mdm_identity,
                      &(device_enrollment_t){identity, service.url, service.attributes,
                                             delivery.identifier, walk->user, walk->shape, *facts});
    }
    if (r.exit == DEVICE_OK)
        show(walk, p, delivery.payloads);
    return r;
}

/* --- update --- */

/* What to do about an answer of mod_mdm_enroll's, known by its text for the user. */
static const char *hint_for(apr_pool_t *p, const char *reason)
{
    static const char *const again =
        "no update is possible any more: mdm-device enroll begins anew";
    static const char *const user =
        "MDMEnrollRequire and the directory are asked again at an update";
    static const struct {
        mdm_message_t message;
        const char *hint;
    } hints[] = {
        {MDM_MSG_ENROLLMENT_STATE,
         "the clock of this machine is behind that of the message before, "
         "or both are of one second"},
        {MDM_MSG_SIGNER_EXPIRED,
         "the identity of the enrollment ended longer ago than MDMEnrollRenewalGrace"},
        {MDM_MSG_CERTIFICATE_REVOKED, again},
        {MDM_MSG_CERTIFICATE_UNKNOWN, again},
        {MDM_MSG_UPDATE_TERMS, "the server's log names what was changed (MDM0331)"},
        {MDM_MSG_UPDATE_TOO_MANY, "an enrollment gets ten profiles a day"},
        {MDM_MSG_POLICY_REFUSED, user},
        {MDM_MSG_DIRECTORY_NO_USER, user},
    };

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strstr(reason, mdm_result_make(p, hints[i].message, "%s", "").user) != NULL)
            return hints[i].hint;
    return NULL;
}

/* A profile of another name would be put beside the old one, which a device refuses here. */
static device_result_t same_profile(device_walk_t *walk, apr_pool_t *p, const char *before,
                                    const char *now)
{
    if (strcmp(before, now) != 0)
        return device_fail(p, DEVICE_UNACCEPTABLE, "PayloadIdentifier is \"%s\", wanted \"%s\"",
                           now, before);
    device_report_line(&walk->report, REPORT_CHECKED,
                       "the PayloadIdentifier is that of the profile installed");
    return device_ok();
}

/* What comes as PKCS #12 takes the place of what there was at once. */
static device_result_t replace_identity(device_walk_t *walk, apr_pool_t *p,
                                        const device_pkcs12_payload_t *payload)
{
    mdm_signer_t identity;
    device_result_t r = import(walk, p, payload, &identity);

    if (r.exit == DEVICE_OK)
        r = device_store_create(p, walk->identity_dir, NULL, NULL, &identity);
    if (r.exit == DEVICE_OK)
        device_report_fact(&walk->report, "new_serial", mdm_x509_serial(p, identity.cert));
    return r;
}

static device_result_t take_identity(device_walk_t *walk, apr_pool_t *p,
                                     const device_scep_payload_t *payload, device_store_t *kept)
{
    const scep_server_t server = {walk->http,    &walk->report, walk->save_dir,
                                  "update.scep", payload->url,  payload->name};
    mdm_signer_t identity;
    EVP_PKEY *key = NULL;
    int again;

    device_report_step(&walk->report,
                       "SCEP: the device gets a new identity that the MDM server sees");
    device_result_t r = device_store_new_key(p, kept, payload->key_size, &key, &again);
    if (r.exit == DEVICE_OK)
        r = scep_client_enroll(&server, p, payload, key, &identity);
    if (r.exit == DEVICE_OK)
        r = device_store_updated(p, kept, payload->url, payload->name, &identity);
    if (r.exit != DEVICE_OK)
        return r;
    const char *serial = mdm_x509_serial(p, identity.cert);
    device_report_line(&walk->report, REPORT_STORED,
                       "%s/mdm-identity.pem and .key: serial %s; the old ones are "
                       "mdm-identity.previous.pem and .key",
                       walk->identity_dir, serial);
    device_report_fact(&walk->report, "new_serial", serial);
    return r;
}

device_result_t device_walk_update(device_walk_t *walk, apr_pool_t *p, const char *os_version)
{
    device_enrollment_t enrollment;
    device_service_t service;
    device_store_t kept;
    delivery_t delivery = {NULL, NULL, {0}};
    device_result_t r = device_enrollment_read(p, walk->identity_dir, &enrollment);

    if (r.exit == DEVICE_OK)
        r = device_store_read(p, walk->identity_dir, &kept);
    if (r.exit != DEVICE_OK)
        return r;
    walk->user = enrollment.user;
    walk->shape = enrollment.shape;
    if (os_version != NULL)
        enrollment.facts.os_version = os_version;
    service = (device_service_t){enrollment.url, enrollment.attributes, NULL};
    device_report_step(&walk->report,
                       "Update: the device comes back with the identity that it enrolled with");
    device_report_fact(&walk->report, "serial", mdm_x509_serial(p, kept.identity.cert));
    r = in_step(
        p, "update",
        phase3(walk, p, "update", &enrollment.facts, &service, &enrollment.identity, &delivery));
    if (r.exit == DEVICE_REFUSED)
        r.hint = hint_for(p, r.reason);
    if (r.exit == DEVICE_OK)
        r = same_profile(walk, p, enrollment.identifier, delivery.identifier);
    if (r.exit == DEVICE_OK)
        r = delivery.mdm.way == DEVICE_IDENTITY_PKCS12
                ? in_step(p, "after the update", replace_identity(walk, p, &delivery.mdm.pkcs12))
            : delivery.mdm.way == DEVICE_IDENTITY_SCEP
                ? in_step(p, "SCEP after the update",
                          take_identity(walk, p, &delivery.mdm.identity, &kept))
                : device_fail(p, DEVICE_UNACCEPTABLE,
                              "after the update: the MDM identity comes by ACME, which a device "
                              "speaks and mdm-device does not");
    if (r.exit == DEVICE_OK)
        show(walk, p, delivery.payloads);
    return r;
}
