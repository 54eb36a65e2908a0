/* SPDX-License-Identifier: Apache-2.0
 * What a device reads out of a profile, and what it refuses in one. Depends on device_report and
 * core's mdm_plist and mdm_x509.
 */
#include "device_profile.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "mdm_x509.h"

#define SCEP_TYPE "com.apple.security.scep"
#define ACME_TYPE "com.apple.security.acme"
#define PKCS12_TYPE "com.apple.security.pkcs12"
#define MDM_TYPE "com.apple.mdm"

/* AccessRights, Apple's com.apple.mdm: a right to change needs the right to look. */
#define RIGHTS_ALL 8191
#define RIGHT_INSPECT_PROFILES 1
#define RIGHT_CHANGE_PROFILES 2
#define RIGHT_INSPECT_PROVISIONING 64
#define RIGHT_CHANGE_PROVISIONING 128

static device_result_t unacceptable(apr_pool_t *p, const char *key, const char *seen,
                                    const char *wanted)
{
    return device_fail(p, DEVICE_UNACCEPTABLE, "%s is %s, wanted %s", key, seen, wanted);
}

/* For a message: the value of a string, or what there is in its place. */
static const char *shown(apr_pool_t *p, const mdm_plist_t *node)
{
    const char *text = mdm_plist_string(node);

    if (text != NULL)
        return apr_psprintf(p, "\"%s\"", text);
    return node == NULL ? "missing" : "not a string";
}

static int filled(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* scheme with "://" at its end, and something behind it */
static int url_is(const char *url, const char *scheme)
{
    return strncasecmp(url, scheme, strlen(scheme)) == 0 && url[strlen(scheme)] != '\0' &&
           url[strlen(scheme)] != '/';
}

static device_result_t https_url(apr_pool_t *p, const char *key, const mdm_plist_t *node)
{
    const char *url = mdm_plist_string(node);

    if (url == NULL || !url_is(url, "https://"))
        return unacceptable(p, key, shown(p, node), "an https URL");
    return device_ok();
}

/* The keys that every profile and every payload carries. */
static device_result_t common_keys(apr_pool_t *p, const char *what, const mdm_plist_t *dict,
                                   const char *type)
{
    static const char *const texts[] = {"PayloadType", "PayloadIdentifier", "PayloadUUID"};
    apr_uint64_t version = 0;

    if (mdm_plist_type(dict) != MDM_PLIST_DICT)
        return unacceptable(p, what, "no dictionary", "one");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const mdm_plist_t *node = mdm_plist_get(dict, texts[i]);
        if (!filled(mdm_plist_string(node))) {
            return unacceptable(p, apr_psprintf(p, "%s: %s", what, texts[i]), shown(p, node),
                                "a text");
        }
    }
    if (!mdm_plist_integer(mdm_plist_get(dict, "PayloadVersion"), &version) || version != 1)
        return unacceptable(p, apr_psprintf(p, "%s: PayloadVersion", what), "something else", "1");
    const mdm_plist_t *node = mdm_plist_get(dict, "PayloadType");
    if (type != NULL && strcmp(mdm_plist_string(node), type) != 0) {
        return unacceptable(p, apr_psprintf(p, "%s: PayloadType", what), shown(p, node),
                            apr_psprintf(p, "\"%s\"", type));
    }
    return device_ok();
}

device_result_t device_profile_service(apr_pool_t *p, const mdm_plist_t *root,
                                       device_service_t *service)
{
    device_result_t r = common_keys(p, "the profile", root, "Profile Service");
    if (r.exit != DEVICE_OK)
        return r;
    const mdm_plist_t *content = mdm_plist_get(root, "PayloadContent");
    if (content == NULL || mdm_plist_type(content) != MDM_PLIST_DICT) {
        return unacceptable(p, "PayloadContent", content == NULL ? "missing" : "no dictionary",
                            "a dictionary");
    }
    r = https_url(p, "PayloadContent: URL", mdm_plist_get(content, "URL"));
    if (r.exit != DEVICE_OK)
        return r;
    const mdm_plist_t *attributes = mdm_plist_get(content, "DeviceAttributes");
    if (attributes != NULL && mdm_plist_type(attributes) != MDM_PLIST_ARRAY)
        return unacceptable(p, "DeviceAttributes", "no array", "an array of strings");
    for (apr_size_t i = 0; attributes != NULL && i < mdm_plist_size(attributes); i++) {
        if (mdm_plist_string(mdm_plist_item(attributes, i)) == NULL) {
            return unacceptable(p, "DeviceAttributes", "an array with other items",
                                "an array of strings");
        }
    }
    const mdm_plist_t *challenge = mdm_plist_get(content, "Challenge");
    if (challenge != NULL && mdm_plist_type(challenge) != MDM_PLIST_STRING &&
        mdm_plist_type(challenge) != MDM_PLIST_DATA)
        return unacceptable(p, "Challenge", "of another type", "a string or data");
    service->url = mdm_plist_string(mdm_plist_get(content, "URL"));
    service->attributes = attributes;
    service->challenge = challenge;
    return device_ok();
}

static int subject_fits(const mdm_plist_t *subject)
{
    if (mdm_plist_type(subject) != MDM_PLIST_ARRAY)
        return 0;
    for (apr_size_t i = 0; i < mdm_plist_size(subject); i++) {
        const mdm_plist_t *rdn = mdm_plist_item(subject, i);
        if (mdm_plist_type(rdn) != MDM_PLIST_ARRAY || mdm_plist_size(rdn) == 0)
            return 0;
        for (apr_size_t j = 0; j < mdm_plist_size(rdn); j++) {
            const mdm_plist_t *pair = mdm_plist_item(rdn, j);
            if (mdm_plist_type(pair) != MDM_PLIST_ARRAY || mdm_plist_size(pair) != 2 ||
                !filled(mdm_plist_string(mdm_plist_item(pair, 0))) ||
                mdm_plist_string(mdm_plist_item(pair, 1)) == NULL)
                return 0;
        }
    }
    return 1;
}

/* An integer that may be missing; 0 if it is there and is none of the allowed ones. */
static int choice(const mdm_plist_t *dict, const char *key, int fallback, const int *allowed,
                  int *value)
{
    const mdm_plist_t *node = mdm_plist_get(dict, key);
    apr_uint64_t number;

    *value = fallback;
    if (node == NULL)
        return 1;
    for (; mdm_plist_integer(node, &number) && *allowed >= 0; allowed++) {
        if ((apr_uint64_t)*allowed == number) {
            *value = *allowed;
            return 1;
        }
    }
    return 0;
}

static device_result_t read_scep(apr_pool_t *p, const mdm_plist_t *payload,
                                 device_scep_payload_t *scep)
{
    static const int sizes[] = {1024, 2048, 4096, -1}, usages[] = {0, 1, 4, 5, -1};
    const mdm_plist_t *content = mdm_plist_get(payload, "PayloadContent");
    const mdm_plist_t *node;

    memset(scep, 0, sizeof(*scep));
    if (content == NULL || mdm_plist_type(content) != MDM_PLIST_DICT)
        return unacceptable(p, SCEP_TYPE ": PayloadContent", "no dictionary", "a dictionary");
    node = mdm_plist_get(content, "URL");
    scep->url = mdm_plist_string(node);
    if (scep->url == NULL || (!url_is(scep->url, "https://") && !url_is(scep->url, "http://")))
        return unacceptable(p, SCEP_TYPE ": URL", shown(p, node), "an https or http URL");
    node = mdm_plist_get(content, "Name");
    scep->name = mdm_plist_string(node);
    if (node != NULL && scep->name == NULL)
        return unacceptable(p, SCEP_TYPE ": Name", shown(p, node), "a string");
    node = mdm_plist_get(content, "Challenge");
    scep->challenge = mdm_plist_string(node);
    if (node != NULL && scep->challenge == NULL)
        return unacceptable(p, SCEP_TYPE ": Challenge", shown(p, node), "a string");
    scep->subject = mdm_plist_get(content, "Subject");
    if (scep->subject != NULL && !subject_fits(scep->subject)) {
        return unacceptable(p, SCEP_TYPE ": Subject", "of another shape",
                            "an array of arrays of arrays [type, value]");
    }
    node = mdm_plist_get(content, "Key Type");
    if (node != NULL &&
        (mdm_plist_string(node) == NULL || strcmp(mdm_plist_string(node), "RSA") != 0))
        return unacceptable(p, SCEP_TYPE ": Key Type", shown(p, node), "\"RSA\"");
    if (!choice(content, "Keysize", 1024, sizes, &scep->key_size))
        return unacceptable(p, SCEP_TYPE ": Keysize", "something else", "1024, 2048 or 4096");
    if (!choice(content, "Key Usage", 0, usages, &scep->key_usage))
        return unacceptable(p, SCEP_TYPE ": Key Usage", "something else", "0, 1, 4 or 5");
    node = mdm_plist_get(content, "CAFingerprint");
    scep->fingerprint = mdm_plist_data(node, &scep->fingerprint_len);
    if (node != NULL && scep->fingerprint == NULL)
        return unacceptable(p, SCEP_TYPE ": CAFingerprint", "of another type", "data");
    scep->alternative_names = mdm_plist_get(content, "SubjectAltName") != NULL;
    scep->uuid = mdm_plist_string(mdm_plist_get(payload, "PayloadUUID"));
    return device_ok();
}

static const char *payload_type(const mdm_plist_t *payload)
{
    return mdm_plist_string(mdm_plist_get(payload, "PayloadType"));
}

device_result_t device_profile_identity(apr_pool_t *p, const mdm_plist_t *root,
                                        device_scep_payload_t *scep)
{
    device_result_t r = common_keys(p, "the profile", root, "Configuration");
    if (r.exit != DEVICE_OK)
        return r;
    const mdm_plist_t *payloads = mdm_plist_get(root, "PayloadContent");
    if (payloads == NULL || mdm_plist_type(payloads) != MDM_PLIST_ARRAY) {
        return unacceptable(p, "PayloadContent", payloads == NULL ? "missing" : "no array",
                            "an array");
    }
    if (mdm_plist_size(payloads) != 1) {
        return unacceptable(
            p, "PayloadContent",
            apr_psprintf(p, "an array of %" APR_SIZE_T_FMT, mdm_plist_size(payloads)),
            "exactly one payload");
    }
    const mdm_plist_t *payload = mdm_plist_item(payloads, 0);
    r = common_keys(p, "the payload", payload, NULL);
    if (r.exit != DEVICE_OK)
        return r;
    if (strcmp(payload_type(payload), PKCS12_TYPE) == 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "the payload is com.apple.security.pkcs12: a device takes it, "
                           "mdm-device does not support it");
    }
    if (strcmp(payload_type(payload), SCEP_TYPE) != 0) {
        return unacceptable(p, "the payload: PayloadType",
                            shown(p, mdm_plist_get(payload, "PayloadType")), "\"" SCEP_TYPE "\"");
    }
    return read_scep(p, payload, scep);
}

device_result_t device_profile_enrollment(apr_pool_t *p, const mdm_plist_t *root,
                                          const char **encrypted, apr_size_t *encrypted_len,
                                          mdm_plist_t **payloads)
{
    device_result_t r = common_keys(p, "the profile", root, "Configuration");

    if (r.exit != DEVICE_OK)
        return r;
    *encrypted = mdm_plist_data(mdm_plist_get(root, "EncryptedPayloadContent"), encrypted_len);
    *payloads = mdm_plist_get(root, "PayloadContent");
    if (*encrypted != NULL && *payloads != NULL)
        return unacceptable(p, "PayloadContent", "beside EncryptedPayloadContent", "one of them");
    if (*encrypted == NULL && *payloads == NULL)
        return unacceptable(p, "EncryptedPayloadContent", "missing or no data", "data");
    return device_ok();
}

/* The payload with a PayloadUUID, or NULL. */
static const mdm_plist_t *find_payload(const mdm_plist_t *payloads, const char *uuid)
{
    for (apr_size_t i = 0; uuid != NULL && i < mdm_plist_size(payloads); i++) {
        const mdm_plist_t *payload = mdm_plist_item(payloads, i);
        const char *its = mdm_plist_string(mdm_plist_get(payload, "PayloadUUID"));
        if (its != NULL && strcmp(its, uuid) == 0)
            return payload;
    }
    return NULL;
}

static int is_certificate(const mdm_plist_t *payload)
{
    const char *type = payload_type(payload);

    return strcmp(type, "com.apple.security.root") == 0 ||
           strcmp(type, "com.apple.security.pkcs1") == 0 ||
           strcmp(type, "com.apple.security.pem") == 0;
}

static device_result_t check_certificate(apr_pool_t *p, const mdm_plist_t *payload)
{
    const char *type = payload_type(payload);
    apr_size_t len = 0;
    const char *bytes = mdm_plist_data(mdm_plist_get(payload, "PayloadContent"), &len);
    X509 *cert = NULL;

    if (bytes == NULL)
        return unacceptable(p, apr_psprintf(p, "%s: PayloadContent", type), "no data", "data");
    mdm_result_t r = strcmp(type, "com.apple.security.pem") == 0
                         ? mdm_x509_decode_pem(p, apr_pstrmemdup(p, bytes, len), &cert)
                         : mdm_x509_decode(p, bytes, len, &cert);
    if (r.kind != MDM_OK)
        return device_fail_core(p, DEVICE_UNACCEPTABLE, type, r);
    return device_ok();
}

/* Every payload is one, and no PayloadUUID or PayloadIdentifier comes twice. */
static device_result_t check_all(apr_pool_t *p, const mdm_plist_t *payloads, device_mdm_t *mdm,
                                 const mdm_plist_t **found)
{
    static const char *const unique[] = {"PayloadUUID", "PayloadIdentifier"};
    apr_size_t count = mdm_plist_size(payloads), mdm_payloads = 0;

    for (apr_size_t i = 0; i < count; i++) {
        const mdm_plist_t *payload = mdm_plist_item(payloads, i);
        device_result_t r =
            common_keys(p, apr_psprintf(p, "payload %" APR_SIZE_T_FMT, i + 1), payload, NULL);
        if (r.exit == DEVICE_OK && is_certificate(payload)) {
            mdm->certificates++;
            r = check_certificate(p, payload);
        }
        if (r.exit != DEVICE_OK)
            return r;
        if (strcmp(payload_type(payload), MDM_TYPE) == 0) {
            *found = payload;
            mdm_payloads++;
        }
        for (size_t k = 0; k < sizeof(unique) / sizeof(unique[0]); k++) {
            const char *mine = mdm_plist_string(mdm_plist_get(payload, unique[k]));
            for (apr_size_t j = 0; j < i; j++) {
                const mdm_plist_t *other = mdm_plist_item(payloads, j);
                if (strcmp(mine, mdm_plist_string(mdm_plist_get(other, unique[k]))) == 0) {
                    return unacceptable(p, unique[k], apr_psprintf(p, "\"%s\" twice", mine),
                                        "each payload its own");
                }
            }
        }
    }
    if (mdm_payloads != 1) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "%" APR_SIZE_T_FMT " payloads of type " MDM_TYPE ", wanted one",
                           mdm_payloads);
    }
    return device_ok();
}

static device_result_t check_rights(apr_pool_t *p, const mdm_plist_t *payload, device_mdm_t *mdm)
{
    const mdm_plist_t *node = mdm_plist_get(payload, "AccessRights");
    const char *mode = mdm_plist_string(mdm_plist_get(payload, "EnrollmentMode"));
    apr_uint64_t rights = 0;

    if (mode != NULL && strcmp(mode, "BYOD") == 0) {
        return node == NULL ? device_ok()
                            : unacceptable(p, "AccessRights", "there with EnrollmentMode BYOD",
                                           "no such key then");
    }
    if (!mdm_plist_integer(node, &rights) || rights == 0 || rights > RIGHTS_ALL) {
        return unacceptable(
            p, "AccessRights",
            node == NULL ? "missing" : apr_psprintf(p, "%" APR_UINT64_T_FMT, rights), "1 to 8191");
    }
    if ((rights & RIGHT_CHANGE_PROFILES && !(rights & RIGHT_INSPECT_PROFILES)) ||
        (rights & RIGHT_CHANGE_PROVISIONING && !(rights & RIGHT_INSPECT_PROVISIONING))) {
        return unacceptable(p, "AccessRights", apr_psprintf(p, "%" APR_UINT64_T_FMT, rights),
                            "1 with 2, and 64 with 128");
    }
    mdm->access_rights = rights;
    return device_ok();
}

static device_result_t check_pinning(apr_pool_t *p, const mdm_plist_t *payloads,
                                     const mdm_plist_t *payload, const char *key)
{
    const mdm_plist_t *uuids = mdm_plist_get(payload, key);

    if (uuids != NULL && mdm_plist_type(uuids) != MDM_PLIST_ARRAY)
        return unacceptable(p, key, "no array", "an array of PayloadUUIDs");
    for (apr_size_t i = 0; uuids != NULL && i < mdm_plist_size(uuids); i++) {
        const mdm_plist_t *node = mdm_plist_item(uuids, i);
        const mdm_plist_t *named = find_payload(payloads, mdm_plist_string(node));
        if (named == NULL || !is_certificate(named))
            return unacceptable(p, key, shown(p, node), "PayloadUUIDs of certificate payloads");
    }
    return device_ok();
}

static device_result_t read_mdm(apr_pool_t *p, const mdm_plist_t *payloads,
                                const mdm_plist_t *payload, device_mdm_t *mdm)
{
    static const char topic_prefix[] = "com.apple.mgmt.";
    const mdm_plist_t *node = mdm_plist_get(payload, "Topic");
    const mdm_plist_t *checkin = mdm_plist_get(payload, "CheckInURL");

    mdm->topic = mdm_plist_string(node);
    if (mdm->topic == NULL || strncmp(mdm->topic, topic_prefix, sizeof(topic_prefix) - 1) != 0) {
        return unacceptable(p, MDM_TYPE ": Topic", shown(p, node),
                            "a text that begins with com.apple.mgmt.");
    }
    device_result_t r = https_url(p, MDM_TYPE ": ServerURL", mdm_plist_get(payload, "ServerURL"));
    if (r.exit == DEVICE_OK && checkin != NULL)
        r = https_url(p, MDM_TYPE ": CheckInURL", checkin);
    if (r.exit == DEVICE_OK)
        r = check_rights(p, payload, mdm);
    if (r.exit == DEVICE_OK)
        r = check_pinning(p, payloads, payload, "ServerURLPinningCertificateUUIDs");
    if (r.exit == DEVICE_OK)
        r = check_pinning(p, payloads, payload, "CheckInURLPinningCertificateUUIDs");
    mdm->server_url = mdm_plist_string(mdm_plist_get(payload, "ServerURL"));
    mdm->checkin_url = checkin != NULL ? mdm_plist_string(checkin) : mdm->server_url;
    return r;
}

static device_result_t read_pkcs12(apr_pool_t *p, const mdm_plist_t *payload,
                                   device_pkcs12_payload_t *pkcs12)
{
    pkcs12->der = mdm_plist_data(mdm_plist_get(payload, "PayloadContent"), &pkcs12->len);
    pkcs12->password = mdm_plist_string(mdm_plist_get(payload, "Password"));
    if (pkcs12->der == NULL)
        return unacceptable(p, PKCS12_TYPE ": PayloadContent", "no data", "data");
    /* The user would be asked for it, and was never told. */
    if (pkcs12->password == NULL)
        return unacceptable(p, PKCS12_TYPE ": Password", "missing or no string", "a string");
    return device_ok();
}

device_result_t device_profile_payloads(apr_pool_t *p, const mdm_plist_t *payloads,
                                        device_mdm_t *mdm)
{
    const mdm_plist_t *payload = NULL;

    memset(mdm, 0, sizeof(*mdm));
    if (mdm_plist_type(payloads) != MDM_PLIST_ARRAY)
        return unacceptable(p, "the list of payloads", "no array", "an array");
    device_result_t r = check_all(p, payloads, mdm, &payload);
    if (r.exit == DEVICE_OK)
        r = read_mdm(p, payloads, payload, mdm);
    if (r.exit != DEVICE_OK)
        return r;
    const mdm_plist_t *node = mdm_plist_get(payload, "IdentityCertificateUUID");
    const mdm_plist_t *identity = find_payload(payloads, mdm_plist_string(node));
    if (identity == NULL) {
        return unacceptable(p, "IdentityCertificateUUID", shown(p, node),
                            "the PayloadUUID of an identity payload in the profile");
    }
    const char *type = payload_type(identity);
    if (strcmp(type, PKCS12_TYPE) == 0) {
        mdm->way = DEVICE_IDENTITY_PKCS12;
        return read_pkcs12(p, identity, &mdm->pkcs12);
    }
    if (strcmp(type, ACME_TYPE) == 0) {
        mdm->way = DEVICE_IDENTITY_ACME;
        mdm->directory_url = mdm_plist_string(mdm_plist_get(identity, "DirectoryURL"));
        return https_url(p, ACME_TYPE ": DirectoryURL", mdm_plist_get(identity, "DirectoryURL"));
    }
    if (strcmp(type, SCEP_TYPE) != 0) {
        return device_fail(p, DEVICE_UNACCEPTABLE,
                           "IdentityCertificateUUID names a payload %s, wanted an identity", type);
    }
    return read_scep(p, identity, &mdm->identity);
}

static void hide(mdm_plist_t *dict, const char *key)
{
    if (mdm_plist_get(dict, key) != NULL)
        mdm_plist_set_string(dict, key, "(one-time secret, not shown)");
}

void device_profile_hide_secrets(mdm_plist_t *payloads)
{
    for (apr_size_t i = 0; i < mdm_plist_size(payloads); i++) {
        mdm_plist_t *payload = mdm_plist_item(payloads, i);
        const char *type = payload_type(payload);

        if (strcmp(type, SCEP_TYPE) == 0)
            hide(mdm_plist_get(payload, "PayloadContent"), "Challenge");
        if (strcmp(type, ACME_TYPE) == 0)
            hide(payload, "ClientIdentifier");
        if (strcmp(type, PKCS12_TYPE) == 0) {
            hide(payload, "Password");
            hide(payload, "PayloadContent");
        }
    }
}
