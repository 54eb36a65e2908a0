/* SPDX-License-Identifier: Apache-2.0
 * Apple's payload schemas as tables (github.com/apple/device-management, release of iOS 18.1, and
 * what came later). That they agree with Apple's files is what an integration test proves. Depends
 * on mdm_pin for the one text that no subject may hold.
 */
#include "mdm_schema_tables.h"
#include "mdm_schema.h"

#include <string.h>

#include <apr_lib.h>

#include "mdm_pin.h"

#define MODULE "it is filled in by the module"
#define USE_CERTIFICATE "use MDMEnrollCertificate"
#define USE_IDENTIFIER "use MDMEnrollIdentifier"
#define USE_IDENTITY "use MDMEnrollIdentity"
#define USE_ORGANIZATION "use MDMEnrollOrganization"
#define USE_SERVER "use MDMEnrollServer"
#define INTEGER_MAX APR_INT64_C(0x7fffffff)

/* Lines of os. What is not named is as the payload says. */
#define IOS(since) [MDM_PLATFORM_IOS] = {since, 0}
#define MACOS(since) [MDM_PLATFORM_MACOS] = {since, 0}
#define TVOS(since) [MDM_PLATFORM_TVOS] = {since, 0}
#define VISIONOS(since) [MDM_PLATFORM_VISIONOS] = {since, 0}
#define WATCHOS(since) [MDM_PLATFORM_WATCHOS] = {since, 0}
#define NEVER MDM_SCHEMA_NEVER
#define V(major, minor) MDM_OS(major, minor, 0)
#define ONLY_MACOS(since) IOS(NEVER), MACOS(since), TVOS(NEVER), VISIONOS(NEVER), WATCHOS(NEVER)

static const char *want_access_rights(apr_int64_t rights)
{
    if ((rights & 2) != 0 && (rights & 1) == 0)
        return "1 (inspect profiles) with 2 (install and remove profiles)";
    if ((rights & 128) != 0 && (rights & 64) == 0)
        return "64 (inspect provisioning profiles) with 128 (install and remove them)";
    return NULL;
}

static const char *want_key_size(apr_int64_t bits)
{
    if (bits == 256 || bits == 384 || bits == 521 ||
        (bits >= 2048 && bits <= 4096 && bits % 8 == 0))
        return NULL;
    return "256, 384 or 521 (ECSECPrimeRandom), or from 2048 to 4096 in steps of 8 (RSA)";
}

/* As MDM's IdentityCertificateUUID is defined, in hexadecimal. */
static const char *want_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    static const char want[] =
        "a file of MDMEnrollCertificate, or the PayloadUUID of a certificate payload";
    apr_size_t i;

    for (i = 0; form[i] != '\0'; i++)
        if (form[i] == 'x' ? !apr_isxdigit(text[i]) : text[i] != '-')
            return want;
    return text[i] == '\0' ? NULL : want;
}

static const char *want_some_text(const char *text)
{
    return text[0] != '\0' ? NULL : "a text that is not empty";
}

/* Languages as in BCP 47, or "default". */
static const char *want_language(const char *name)
{
    static const char want[] = "a language such as en or pt-BR, or default, before each text";

    if (!apr_isalpha(*name))
        return want;
    for (; *name != '\0'; name++)
        if (!apr_isalnum(*name) && *name != '-')
            return want;
    return NULL;
}

static const char *want_oid(const char *text)
{
    static const char want[] = "an OID such as 1.3.6.1.5.5.7.3.2";
    int arcs = 0;

    for (const char *c = text; strchr("012", text[0]) != NULL; c++) {
        apr_size_t digits = strspn(c, "0123456789");
        if (digits == 0 || (digits > 1 && c[0] == '0'))
            return want;
        arcs++;
        c += digits;
        if (*c == '\0')
            return arcs >= 2 ? NULL : want;
        if (*c != '.')
            return want;
    }
    return want;
}

static const char *want_rdn_type(const char *name)
{
    static const char *const types[] = {"C", "L", "ST", "O", "OU", "CN"};

    if (*name == '+') /* of the same RDN as the one before */
        name++;
    for (apr_size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i], name) == 0)
            return NULL;
    return want_oid(name) == NULL
               ? NULL
               : "C, L, ST, O, OU, CN or an OID such as 2.5.4.5 before each text";
}

/* Two of those in a certificate of a foreign CA, and no enrollment is it bound to. */
static const char *want_rdn_text(const char *text)
{
    if (strncmp(text, MDM_PIN_PREFIX, strlen(MDM_PIN_PREFIX)) == 0)
        return "a text that does not begin with \"" MDM_PIN_PREFIX "\", as the module's own does";
    return want_some_text(text);
}

static const char *want_alt_name(const char *name)
{
    static const char *const names[] = {"dNSName", "ntPrincipalName", "rfc822Name",
                                        "uniformResourceIdentifier"};

    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return NULL;
    return "dNSName, ntPrincipalName, rfc822Name or uniformResourceIdentifier before each text";
}

static const char *const scopes[] = {"System", "User", NULL};
static const char *const scep_key_sizes[] = {"2048", "4096", NULL};
/* The identity signs (1), and the enrollment profile is encrypted to it (4). */
static const char *const scep_key_usages[] = {"5", NULL};
static const char *const scep_key_types[] = {"RSA", NULL};
static const char *const acme_key_types[] = {"RSA", "ECSECPrimeRandom", NULL};
static const char *const acme_usages[] = {"1", "4", "5", NULL};
static const char *const enrollment_modes[] = {"BYOD", "ADDE", NULL};
static const char *const server_capabilities[] = {"com.apple.mdm.per-user-connections",
                                                  "com.apple.mdm.bootstraptoken",
                                                  "com.apple.mdm.token", NULL};

/* CommonPayloadKeys: of every payload and of both kinds of profile. */
const mdm_schema_rule_t mdm_schema_common[] = {
    {.key = "PayloadDisplayName", .want_text = want_some_text},
    {.key = "PayloadDescription"},
    {.key = "PayloadOrganization", .instead = USE_ORGANIZATION, .from_node = 1},
    {.key = "PayloadIdentifier", .instead = USE_IDENTIFIER},
    {.key = "PayloadUUID", .instead = MODULE},
    {.key = "PayloadType", .instead = MODULE},
    {.key = "PayloadVersion", .instead = MODULE, .type = MDM_PLIST_INTEGER},
    {.key = NULL},
};

/* TopLevel, besides the common ones. */
static const mdm_schema_rule_t configuration_rules[] = {
    {.key = "PayloadScope", .words = scopes, .os = {MACOS(V(10, 8))}},
    {.key = "PayloadRemovalDisallowed",
     .type = MDM_PLIST_BOOLEAN,
     .os = {VISIONOS(NEVER), WATCHOS(NEVER)}},
    {.key = "PayloadExpirationDate", .type = MDM_PLIST_DATE, .os = {WATCHOS(NEVER)}},
    {.key = "RemovalDate", .type = MDM_PLIST_DATE},
    {.key = "DurationUntilRemoval", .type = MDM_PLIST_REAL},
    {.key = "TargetDeviceType",
     .type = MDM_PLIST_INTEGER,
     .min = 0,
     .max = 6,
     .os = {IOS(V(12, 2)), MACOS(V(10, 15)), TVOS(V(12, 2)), VISIONOS(V(1, 1)), WATCHOS(V(5, 2))}},
    {.key = "ConsentText",
     .type = MDM_PLIST_DICT,
     .form = MDM_SCHEMA_PAIRS,
     .one_text = "default",
     .want_name = want_language},
    {.key = "PayloadContent", .instead = MODULE, .type = MDM_PLIST_ARRAY},
    {.key = "EncryptedPayloadContent", .instead = MODULE, .type = MDM_PLIST_DATA},
    {.key = "IsEncrypted",
     .instead = "the content is always encrypted, which devices see",
     .type = MDM_PLIST_BOOLEAN},
    {.key = "HasRemovalPasscode",
     .instead = "without a template, an enrollment profile carries no removal password",
     .from_node = 1,
     .type = MDM_PLIST_BOOLEAN},
    {.key = NULL},
};

/* "Over-the-Air Profile Delivery and Configuration"; Apple publishes no schema of it. */
static const mdm_schema_rule_t profile_service_rules[] = {
    {.key = "PayloadContent", .instead = MODULE, .type = MDM_PLIST_DICT},
    {.key = "URL", .instead = "it is where MDMEnrollEndpoint device is"},
    {.key = "DeviceAttributes",
     .instead = "use MDMEnrollDeviceAttributes",
     .type = MDM_PLIST_ARRAY},
    {.key = "Challenge", .instead = MODULE},
    {.key = NULL},
};

#define ACCOUNT_DRIVEN IOS(V(15, 0)), MACOS(V(14, 0)), TVOS(NEVER), WATCHOS(NEVER)
#define PINNING IOS(V(13, 4)), MACOS(V(10, 13)), TVOS(V(13, 4))

static const mdm_schema_rule_t mdm_rules[] = {
    {.key = "IdentityCertificateUUID", .instead = MODULE},
    {.key = "Topic", .instead = "use MDMEnrollTopic"},
    {.key = "ServerURL", .instead = USE_SERVER},
    {.key = "CheckInURL", .instead = USE_SERVER},
    {.key = "SignMessage", .type = MDM_PLIST_BOOLEAN},
    {.key = "AccessRights",
     .type = MDM_PLIST_INTEGER,
     .min = 1,
     .max = 8191,
     .want_number = want_access_rights},
    {.key = "UseDevelopmentAPNS", .type = MDM_PLIST_BOOLEAN},
    {.key = "ManagedAppleID",
     .want_text = want_some_text,
     .os = {[MDM_PLATFORM_IOS] = {V(13, 1), V(18, 0)},
            [MDM_PLATFORM_MACOS] = {V(10, 15), V(15, 0)},
            TVOS(NEVER),
            VISIONOS(NEVER),
            WATCHOS(NEVER)}},
    {.key = "AssignedManagedAppleID", .want_text = want_some_text, .os = {ACCOUNT_DRIVEN}},
    {.key = "EnrollmentMode", .words = enrollment_modes, .os = {ACCOUNT_DRIVEN}},
    {.key = "ServerURLPinningCertificateUUIDs",
     .type = MDM_PLIST_ARRAY,
     .want_text = want_uuid,
     .os = {PINNING}},
    {.key = "CheckInURLPinningCertificateUUIDs",
     .type = MDM_PLIST_ARRAY,
     .want_text = want_uuid,
     .os = {PINNING}},
    {.key = "PinningRevocationCheckRequired", .type = MDM_PLIST_BOOLEAN, .os = {PINNING}},
    {.key = "ServerCapabilities",
     .type = MDM_PLIST_ARRAY,
     .words = server_capabilities,
     .may_be_empty = 1},
    {.key = "CheckOutWhenRemoved", .type = MDM_PLIST_BOOLEAN},
    {.key = "RequiredAppIDForMDM",
     .type = MDM_PLIST_INTEGER,
     .min = 1,
     .max = APR_INT64_MAX,
     .os = {IOS(V(15, 1)), MACOS(NEVER), TVOS(NEVER), WATCHOS(NEVER)}},
    {.key = "PromptUserToAllowBootstrapTokenForAuthentication",
     .type = MDM_PLIST_BOOLEAN,
     .os = {ONLY_MACOS(V(11, 0))}},
    {.key = NULL},
};

#define SUBJECT                                                                                    \
    {                                                                                              \
        .key = "Subject", .type = MDM_PLIST_ARRAY, .form = MDM_SCHEMA_RDNS,                        \
        .want_text = want_rdn_text, .want_name = want_rdn_type                                     \
    }
#define SUBJECT_ALT_NAME                                                                           \
    {                                                                                              \
        .key = "SubjectAltName", .type = MDM_PLIST_DICT, .form = MDM_SCHEMA_NAMES,                 \
        .want_text = want_some_text, .want_name = want_alt_name                                    \
    }

/* The keys of its inner PayloadContent dictionary. */
static const mdm_schema_rule_t scep_rules[] = {
    {.key = "PayloadContent",
     .instead = "the keys inside it are set directly",
     .type = MDM_PLIST_DICT},
    {.key = "URL",
     .instead = "it is where MDMEnrollEndpoint scep is; or use MDMEnrollIdentity",
     .from_node = 1},
    {.key = "Name", .want_text = want_some_text},
    SUBJECT,
    {.key = "Challenge", .instead = MODULE, .from_node = 1, .secret = 1},
    {.key = "Keysize", .type = MDM_PLIST_INTEGER, .max = INTEGER_MAX, .words = scep_key_sizes},
    {.key = "Key Type", .instead = MODULE, .from_node = 1, .words = scep_key_types},
    {.key = "Key Usage",
     .type = MDM_PLIST_INTEGER,
     .max = INTEGER_MAX,
     .words = scep_key_usages,
     .os = {MACOS(V(10, 11))}},
    {.key = "CAFingerprint",
     .instead = "use ca-fingerprint= of MDMEnrollIdentity",
     .from_node = 1,
     .type = MDM_PLIST_DATA},
    {.key = "Retries",
     .type = MDM_PLIST_INTEGER,
     .min = 0,
     .max = INTEGER_MAX,
     .os = {MACOS(V(10, 10))}},
    {.key = "RetryDelay",
     .type = MDM_PLIST_INTEGER,
     .min = 0,
     .max = INTEGER_MAX,
     .os = {MACOS(V(10, 10))}},
    SUBJECT_ALT_NAME,
    {.key = "KeyIsExtractable", .type = MDM_PLIST_BOOLEAN, .os = {MACOS(MDM_OS(10, 13, 4))}},
    {.key = "AllowAllAppsAccess", .type = MDM_PLIST_BOOLEAN, .os = {MACOS(V(10, 10))}},
    {.key = NULL},
};

static const mdm_schema_rule_t acme_rules[] = {
    {.key = "DirectoryURL", .instead = USE_IDENTITY, .from_node = 1},
    {.key = "ClientIdentifier", .instead = USE_IDENTITY, .from_node = 1},
    {.key = "KeySize",
     .type = MDM_PLIST_INTEGER,
     .min = 256,
     .max = 4096,
     .want_number = want_key_size},
    {.key = "KeyType", .words = acme_key_types},
    {.key = "HardwareBound", .type = MDM_PLIST_BOOLEAN},
    SUBJECT,
    SUBJECT_ALT_NAME,
    {.key = "UsageFlags", .type = MDM_PLIST_INTEGER, .max = INTEGER_MAX, .words = acme_usages},
    {.key = "ExtendedKeyUsage", .type = MDM_PLIST_ARRAY, .want_text = want_oid},
    {.key = "Attest", .type = MDM_PLIST_BOOLEAN, .os = {WATCHOS(V(10, 0))}},
    {.key = "KeyIsExtractable", .type = MDM_PLIST_BOOLEAN, .os = {ONLY_MACOS(0)}},
    {.key = "AllowAllAppsAccess", .type = MDM_PLIST_BOOLEAN, .os = {ONLY_MACOS(0)}},
    {.key = NULL},
};

static const mdm_schema_rule_t pkcs12_rules[] = {
    {.key = "PayloadCertificateFileName", .want_text = want_some_text},
    {.key = "PayloadContent", .instead = USE_IDENTITY, .from_node = 1, .type = MDM_PLIST_DATA},
    {.key = "Password", .instead = MODULE, .from_node = 1, .secret = 1},
    {.key = "AllowAllAppsAccess", .type = MDM_PLIST_BOOLEAN, .os = {ONLY_MACOS(V(10, 10))}},
    {.key = "KeyIsExtractable", .type = MDM_PLIST_BOOLEAN, .os = {ONLY_MACOS(V(10, 15))}},
    {.key = NULL},
};

/* root, pkcs1 and pem. */
static const mdm_schema_rule_t certificate_rules[] = {
    {.key = "PayloadCertificateFileName", .want_text = want_some_text},
    {.key = "PayloadContent", .instead = USE_CERTIFICATE, .from_node = 1, .type = MDM_PLIST_DATA},
    {.key = NULL},
};

#define SINCE(ios, visionos, watchos)                                                              \
    {                                                                                              \
        IOS(ios), MACOS(V(10, 7)), TVOS(V(9, 0)), VISIONOS(visionos), WATCHOS(watchos)             \
    }
#define CERTIFICATES SINCE(V(4, 0), V(1, 0), V(3, 0))

const mdm_schema_payload_t mdm_schema_tables[] = {
    {.type = "Configuration", .os = SINCE(V(4, 0), V(1, 0), V(1, 0)), .rules = configuration_rules},
    {.type = "Profile Service", .inside = "PayloadContent", .rules = profile_service_rules},
    {.type = "com.apple.mdm", .os = SINCE(V(4, 0), V(1, 1), V(10, 0)), .rules = mdm_rules},
    {.type = "com.apple.security.scep",
     .inside = "PayloadContent",
     .os = CERTIFICATES,
     .rules = scep_rules},
    {.type = "com.apple.security.acme",
     .os = {IOS(V(16, 0)), MACOS(V(13, 1)), TVOS(V(16, 0)), VISIONOS(V(1, 0)), WATCHOS(V(9, 0))},
     .rules = acme_rules},
    {.type = "com.apple.security.pkcs12", .os = CERTIFICATES, .rules = pkcs12_rules},
    {.type = "com.apple.security.root", .os = CERTIFICATES, .rules = certificate_rules},
    {.type = "com.apple.security.pkcs1", .os = CERTIFICATES, .rules = certificate_rules},
    {.type = "com.apple.security.pem", .os = CERTIFICATES, .rules = certificate_rules},
    {.type = NULL},
};

const char *const mdm_schema_payloads[] = {"Configuration",           "Profile Service",
                                           "com.apple.mdm",           "com.apple.security.scep",
                                           "com.apple.security.acme", "com.apple.security.pkcs12",
                                           "com.apple.security.root", "com.apple.security.pkcs1",
                                           "com.apple.security.pem",  NULL};

const mdm_schema_payload_t *mdm_schema_find_payload(const char *type)
{
    for (const mdm_schema_payload_t *one = mdm_schema_tables; one->type != NULL; one++)
        if (strcmp(one->type, type) == 0)
            return one;
    return NULL;
}

static const mdm_schema_rule_t *find(const mdm_schema_rule_t *rules, const char *key)
{
    for (; rules->key != NULL; rules++)
        if (strcmp(rules->key, key) == 0)
            return rules;
    return NULL;
}

const mdm_schema_rule_t *mdm_schema_find_rule(const mdm_schema_payload_t *payload, const char *key)
{
    const mdm_schema_rule_t *rule = find(payload->rules, key);

    return rule != NULL ? rule : find(mdm_schema_common, key);
}
