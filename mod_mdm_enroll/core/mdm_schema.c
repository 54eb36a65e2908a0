/* SPDX-License-Identifier: Apache-2.0
 * Apple's payload schemas as tables, and what checks values against them. Depends on mdm_plist and
 * mdm_result.
 */
#include "mdm_schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <apr_uri.h>

#include "mdm_result.h"

/* One key of a schema. Exactly one of "settable" and "instead". */
typedef struct rule_t {
    const char *key;
    const char *instead; /* not for MDMEnrollPayload: what sets it, or why nothing does */
    mdm_plist_type_t type;
    apr_int64_t min, max;     /* of an INTEGER */
    const char *const *words; /* the value, or each item of an ARRAY, must be one of them */
    const char *(*want)(const mdm_setting_t *setting); /* further rule: NULL, or what is wanted */
} rule_t;

#define MODULE "it is filled in by the module"
#define USE_IDENTIFIER "use MDMEnrollIdentifier"
#define USE_ORGANIZATION "use MDMEnrollOrganization"
#define USE_SERVER "use MDMEnrollServer"
#define INTEGER_MAX APR_INT64_C(0x7fffffff)

static const char *want_access_rights(const mdm_setting_t *s)
{
    if ((s->number & 2) != 0 && (s->number & 1) == 0)
        return "1 (inspect profiles) with 2 (install and remove profiles)";
    if ((s->number & 128) != 0 && (s->number & 64) == 0)
        return "64 (inspect provisioning profiles) with 128 (install and remove them)";
    return NULL;
}

/* As MDM's IdentityCertificateUUID is defined, in hexadecimal. */
static int is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    apr_size_t i;

    for (i = 0; form[i] != '\0'; i++)
        if (form[i] == 'x' ? !apr_isxdigit(text[i]) : text[i] != '-')
            return 0;
    return text[i] == '\0';
}

static const char *want_uuids(const mdm_setting_t *s)
{
    for (int i = 0; i < s->strings->nelts; i++)
        if (!is_uuid(APR_ARRAY_IDX(s->strings, i, const char *)))
            return "a file of MDMEnrollCertificate, or the PayloadUUID of a certificate payload";
    return NULL;
}

static const char *want_some_text(const mdm_setting_t *s)
{
    return s->string[0] != '\0' ? NULL : "a text that is not empty";
}

/* Languages as in BCP 47, or "default". */
static const char *want_languages(const mdm_setting_t *s)
{
    for (int i = 0; i < s->strings->nelts; i += 2) {
        const char *c = APR_ARRAY_IDX(s->strings, i, const char *);
        if (!apr_isalpha(*c))
            return "a language such as en or pt-BR, or default, before each text";
        for (; *c != '\0'; c++)
            if (!apr_isalnum(*c) && *c != '-')
                return "a language such as en or pt-BR, or default, before each text";
    }
    return NULL;
}

static const char *const scopes[] = {"System", "User", NULL};
static const char *const key_sizes[] = {"2048", "4096", NULL};
/* The identity signs (1), and the enrollment profile is encrypted to it (4). */
static const char *const key_usages[] = {"5", NULL};
static const char *const enrollment_modes[] = {"BYOD", "ADDE", NULL};
static const char *const server_capabilities[] = {"com.apple.mdm.per-user-connections",
                                                  "com.apple.mdm.bootstraptoken",
                                                  "com.apple.mdm.token", NULL};

/* CommonPayloadKeys: of every payload and of both kinds of profile. */
static const rule_t common_rules[] = {
    {.key = "PayloadDisplayName", .want = want_some_text},
    {.key = "PayloadDescription"},
    {.key = "PayloadOrganization", .instead = USE_ORGANIZATION},
    {.key = "PayloadIdentifier", .instead = USE_IDENTIFIER},
    {.key = "PayloadUUID", .instead = MODULE},
    {.key = "PayloadType", .instead = MODULE},
    {.key = "PayloadVersion", .instead = MODULE},
    {.key = NULL},
};

/* TopLevel, besides the common ones. */
static const rule_t configuration_rules[] = {
    {.key = "PayloadScope", .words = scopes},
    {.key = "PayloadRemovalDisallowed", .type = MDM_PLIST_BOOLEAN},
    {.key = "PayloadExpirationDate", .type = MDM_PLIST_DATE},
    {.key = "RemovalDate", .type = MDM_PLIST_DATE},
    {.key = "DurationUntilRemoval", .type = MDM_PLIST_REAL},
    {.key = "TargetDeviceType", .type = MDM_PLIST_INTEGER, .min = 0, .max = 6},
    {.key = "ConsentText", .type = MDM_PLIST_DICT, .want = want_languages},
    {.key = "PayloadContent", .instead = MODULE},
    {.key = "EncryptedPayloadContent", .instead = MODULE},
    {.key = "IsEncrypted", .instead = "the content is always encrypted, which devices see"},
    {.key = "HasRemovalPasscode", .instead = "an enrollment profile carries no removal password"},
    {.key = NULL},
};

/* "Over-the-Air Profile Delivery and Configuration"; Apple publishes no schema of it. */
static const rule_t profile_service_rules[] = {
    {.key = "PayloadContent", .instead = MODULE},
    {.key = "URL", .instead = "it is where MDMEnrollEndpoint device is"},
    {.key = "DeviceAttributes", .instead = "use MDMEnrollDeviceAttributes"},
    {.key = "Challenge", .instead = MODULE},
    {.key = NULL},
};

static const rule_t mdm_rules[] = {
    {.key = "IdentityCertificateUUID", .instead = MODULE},
    {.key = "Topic", .instead = "use MDMEnrollTopic"},
    {.key = "ServerURL", .instead = USE_SERVER},
    {.key = "CheckInURL", .instead = USE_SERVER},
    {.key = "SignMessage", .type = MDM_PLIST_BOOLEAN},
    {.key = "AccessRights",
     .type = MDM_PLIST_INTEGER,
     .min = 1,
     .max = 8191,
     .want = want_access_rights},
    {.key = "UseDevelopmentAPNS", .type = MDM_PLIST_BOOLEAN},
    {.key = "ManagedAppleID", .want = want_some_text},
    {.key = "AssignedManagedAppleID", .want = want_some_text},
    {.key = "EnrollmentMode", .words = enrollment_modes},
    {.key = "ServerURLPinningCertificateUUIDs", .type = MDM_PLIST_ARRAY, .want = want_uuids},
    {.key = "CheckInURLPinningCertificateUUIDs", .type = MDM_PLIST_ARRAY, .want = want_uuids},
    {.key = "PinningRevocationCheckRequired", .type = MDM_PLIST_BOOLEAN},
    {.key = "ServerCapabilities", .type = MDM_PLIST_ARRAY, .words = server_capabilities},
    {.key = "CheckOutWhenRemoved", .type = MDM_PLIST_BOOLEAN},
    {.key = "RequiredAppIDForMDM", .type = MDM_PLIST_INTEGER, .min = 1, .max = APR_INT64_MAX},
    {.key = "PromptUserToAllowBootstrapTokenForAuthentication", .type = MDM_PLIST_BOOLEAN},
    {.key = NULL},
};

/* The keys of its inner PayloadContent dictionary. */
static const rule_t scep_rules[] = {
    {.key = "PayloadContent", .instead = "the keys inside it are set directly"},
    {.key = "URL", .instead = "it is where MDMEnrollEndpoint scep is; or use MDMEnrollIdentity"},
    {.key = "Name", .want = want_some_text},
    {.key = "Subject", .instead = MODULE},
    {.key = "Challenge", .instead = MODULE},
    {.key = "Keysize", .type = MDM_PLIST_INTEGER, .max = INTEGER_MAX, .words = key_sizes},
    {.key = "Key Type", .instead = MODULE},
    {.key = "Key Usage", .type = MDM_PLIST_INTEGER, .max = INTEGER_MAX, .words = key_usages},
    {.key = "CAFingerprint", .instead = "use ca-fingerprint= of MDMEnrollIdentity"},
    {.key = "Retries", .type = MDM_PLIST_INTEGER, .min = 0, .max = INTEGER_MAX},
    {.key = "RetryDelay", .type = MDM_PLIST_INTEGER, .min = 0, .max = INTEGER_MAX},
    {.key = "SubjectAltName", .instead = "the CA decides on it, whatever the device asks for"},
    {.key = "KeyIsExtractable", .type = MDM_PLIST_BOOLEAN},
    {.key = "AllowAllAppsAccess", .type = MDM_PLIST_BOOLEAN},
    {.key = NULL},
};

const char *const mdm_schema_payloads[] = {"Configuration", "Profile Service", "com.apple.mdm",
                                           "com.apple.security.scep", NULL};

/* In the order of mdm_schema_payloads. */
static const rule_t *const payload_rules[] = {configuration_rules, profile_service_rules, mdm_rules,
                                              scep_rules};

static const rule_t *find_rule(const rule_t *rules, const char *key)
{
    for (; rules->key != NULL; rules++)
        if (strcmp(rules->key, key) == 0)
            return rules;
    return NULL;
}

static const char *add_settable(apr_pool_t *p, const char *list, const rule_t *rules)
{
    for (; rules->key != NULL; rules++)
        if (rules->instead == NULL)
            list = apr_pstrcat(p, list, list[0] != '\0' ? ", " : "", "\"", rules->key, "\"", NULL);
    return list;
}

static const char *wanted(apr_pool_t *p, const char *key, const char *value, const char *what)
{
    return apr_psprintf(p, "%s \"%s\": wanted is %s", key, mdm_result_quote_text(p, value), what);
}

static const char *wanted_word(apr_pool_t *p, const rule_t *rule, const char *value)
{
    const char *list = rule->words[0];

    for (int i = 1; rule->words[i] != NULL; i++)
        list =
            apr_pstrcat(p, list, rule->words[i + 1] != NULL ? ", " : " or ", rule->words[i], NULL);
    return wanted(p, rule->key, value, list);
}

static const char *check_text(apr_pool_t *p, const rule_t *rule, const char *value)
{
    if (!mdm_plist_text_ok(value))
        return wanted(p, rule->key, value, "UTF-8 text that XML can carry");
    if (rule->words == NULL)
        return NULL;
    for (int i = 0; rule->words[i] != NULL; i++)
        if (strcmp(rule->words[i], value) == 0)
            return NULL;
    return wanted_word(p, rule, value);
}

static const char *read_integer(apr_pool_t *p, const rule_t *rule, const char *value,
                                apr_int64_t *number)
{
    /* 18 digits are below 2^63: no overflow to be told from a value. */
    apr_size_t digits = strspn(value, "0123456789");
    const char *error = rule->words != NULL ? check_text(p, rule, value) : NULL;

    if (error != NULL)
        return error;
    *number = digits > 0 && digits <= 18 && value[digits] == '\0' ? apr_atoi64(value) : -1;
    if (*number >= rule->min && *number <= rule->max)
        return NULL;
    return wanted(
        p, rule->key, value,
        rule->max >= INTEGER_MAX
            ? apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT, rule->min)
            : apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                           rule->min, rule->max));
}

static const char *read_real(apr_pool_t *p, const rule_t *rule, const char *value, double *real)
{
    char *end;

    /* strtod() takes hexadecimal, "inf" and blanks too. */
    if (value[0] != '\0' && strspn(value, "0123456789.") == strlen(value)) {
        *real = strtod(value, &end);
        if (*end == '\0' && isfinite(*real) && *real > 0)
            return NULL;
    }
    return wanted(p, rule->key, value, "a number of seconds above 0");
}

static const char *read_boolean(apr_pool_t *p, const rule_t *rule, const char *value,
                                apr_int64_t *number)
{
    *number = strcmp(value, "true") == 0;
    if (*number || strcmp(value, "false") == 0)
        return NULL;
    return wanted(p, rule->key, value, "true or false");
}

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + (text[1] - '0');
}

/* The one form that property lists have: 2027-12-31T23:59:59Z. */
static const char *read_date(apr_pool_t *p, const rule_t *rule, const char *value,
                             apr_int64_t *number)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    apr_size_t i;
    apr_time_exp_t exp = {0}, back;
    apr_time_t time;

    for (i = 0; form[i] != '\0'; i++)
        if (form[i] == 'd' ? !apr_isdigit(value[i]) : value[i] != form[i])
            break;
    if (form[i] != '\0' || value[i] != '\0')
        goto bad;
    exp.tm_year = two_digits(value) * 100 + two_digits(value + 2) - 1900;
    exp.tm_mon = two_digits(value + 5) - 1;
    exp.tm_mday = two_digits(value + 8);
    exp.tm_hour = two_digits(value + 11);
    exp.tm_min = two_digits(value + 14);
    exp.tm_sec = two_digits(value + 17);
    /* There and back: APR turns 30 February into 2 March. Dates before 1970 are of no use here. */
    if (exp.tm_year < 70 || exp.tm_mon < 0 || exp.tm_mon > 11 ||
        apr_time_exp_gmt_get(&time, &exp) != APR_SUCCESS ||
        apr_time_exp_gmt(&back, time) != APR_SUCCESS || back.tm_mday != exp.tm_mday ||
        back.tm_mon != exp.tm_mon || back.tm_hour != exp.tm_hour || back.tm_min != exp.tm_min ||
        back.tm_sec != exp.tm_sec)
        goto bad;
    *number = apr_time_sec(time);
    return NULL;
bad:
    return wanted(p, rule->key, value, "a date such as 2027-12-31T23:59:59Z");
}

/* The values of an ARRAY, each once; or of a DICT as key, value, key … */
static const char *read_strings(apr_pool_t *p, const rule_t *rule, const char *const *values,
                                int count, const apr_array_header_t **strings)
{
    apr_array_header_t *list = apr_array_make(p, count + 1, sizeof(const char *));
    const char *error;

    if (rule->type == MDM_PLIST_DICT && count == 1)
        APR_ARRAY_PUSH(list, const char *) = "default";
    for (int i = 0; i < count; i++) {
        error = check_text(p, rule, values[i]);
        if (error != NULL)
            return error;
        for (int j = 0; rule->type == MDM_PLIST_ARRAY && j < i; j++)
            if (strcmp(values[i], values[j]) == 0)
                return wanted(p, rule->key, values[i], "each value once");
        APR_ARRAY_PUSH(list, const char *) = apr_pstrdup(p, values[i]);
    }
    if (rule->type == MDM_PLIST_DICT && list->nelts % 2 != 0)
        return wanted(p, rule->key, values[count - 1],
                      "one text, or pairs of a language and its text");
    *strings = list;
    return NULL;
}

static const char *read_values(apr_pool_t *p, const rule_t *rule, const char *const *values,
                               int count, mdm_setting_t *setting)
{
    int many = rule->type == MDM_PLIST_ARRAY || rule->type == MDM_PLIST_DICT;

    if (count < 1 || (count > 1 && !many))
        return apr_psprintf(p, "%s with %d values: wanted is %s", rule->key, count,
                            many ? "at least one" : "exactly one");
    switch (rule->type) {
    case MDM_PLIST_INTEGER:
        return read_integer(p, rule, values[0], &setting->number);
    case MDM_PLIST_REAL:
        return read_real(p, rule, values[0], &setting->real);
    case MDM_PLIST_BOOLEAN:
        return read_boolean(p, rule, values[0], &setting->number);
    case MDM_PLIST_DATE:
        return read_date(p, rule, values[0], &setting->number);
    case MDM_PLIST_ARRAY:
    case MDM_PLIST_DICT:
        return read_strings(p, rule, values, count, &setting->strings);
    default:
        setting->string = apr_pstrdup(p, values[0]);
        return check_text(p, rule, values[0]);
    }
}

const char *mdm_schema_setting(apr_pool_t *p, const char *payload, const char *key,
                               const char *const *values, int count, mdm_setting_t **setting)
{
    const rule_t *rules = NULL, *rule;
    mdm_setting_t *read;
    const char *error;

    for (int i = 0; mdm_schema_payloads[i] != NULL; i++)
        if (strcmp(mdm_schema_payloads[i], payload) == 0)
            rules = payload_rules[i];
    if (rules == NULL)
        return wanted(p, "payload type", payload,
                      "Configuration, \"Profile Service\", com.apple.mdm or "
                      "com.apple.security.scep");
    rule = find_rule(rules, key);
    if (rule == NULL)
        rule = find_rule(common_rules, key);
    if (rule == NULL)
        return wanted(p, apr_pstrcat(p, "key of ", payload, NULL), key,
                      apr_pstrcat(p, "one of ",
                                  add_settable(p, add_settable(p, "", rules), common_rules), NULL));
    if (rule->instead != NULL)
        return apr_psprintf(p, "%s cannot be set here: %s", rule->key, rule->instead);
    read = apr_pcalloc(p, sizeof(*read));
    read->key = rule->key;
    read->type = rule->type;
    error = read_values(p, rule, values, count, read);
    if (error != NULL)
        return error;
    if (rule->want != NULL && (error = rule->want(read)) != NULL)
        return wanted(p, rule->key, values[0], error);
    *setting = read;
    return NULL;
}

static void apply(apr_pool_t *p, mdm_plist_t *dict, const mdm_setting_t *s)
{
    mdm_plist_t *child;

    switch (s->type) {
    case MDM_PLIST_INTEGER:
        mdm_plist_set_integer(dict, s->key, (apr_uint64_t)s->number);
        break;
    case MDM_PLIST_REAL:
        mdm_plist_set_real(dict, s->key, s->real);
        break;
    case MDM_PLIST_BOOLEAN:
        mdm_plist_set_boolean(dict, s->key, (int)s->number);
        break;
    case MDM_PLIST_DATE:
        mdm_plist_set_date(dict, s->key, s->number);
        break;
    case MDM_PLIST_ARRAY:
        child = mdm_plist_array(p);
        for (int i = 0; i < s->strings->nelts; i++)
            mdm_plist_append_string(child, APR_ARRAY_IDX(s->strings, i, const char *));
        mdm_plist_set(dict, s->key, child);
        break;
    case MDM_PLIST_DICT:
        child = mdm_plist_dict(p);
        for (int i = 0; i < s->strings->nelts; i += 2)
            mdm_plist_set_string(child, APR_ARRAY_IDX(s->strings, i, const char *),
                                 APR_ARRAY_IDX(s->strings, i + 1, const char *));
        mdm_plist_set(dict, s->key, child);
        break;
    default:
        mdm_plist_set_string(dict, s->key, s->string);
    }
}

void mdm_schema_apply(apr_pool_t *p, mdm_plist_t *dict, const apr_array_header_t *settings)
{
    for (int i = 0; settings != NULL && i < settings->nelts; i++)
        apply(p, dict, APR_ARRAY_IDX(settings, i, const mdm_setting_t *));
}

/* Characters that need no escape anywhere: in XML, in a URL, in a log. */
static int is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (!apr_isgraph(*text) || strchr("\"<>\\^`{|}", *text) != NULL)
            return 0;
    return 1;
}

const char *mdm_schema_check_topic(apr_pool_t *p, const char *topic)
{
    static const char prefix[] = "com.apple.mgmt.";

    if (strncmp(topic, prefix, sizeof(prefix) - 1) == 0 && topic[sizeof(prefix) - 1] != '\0' &&
        is_plain(topic))
        return NULL;
    return wanted(p, "Topic", topic,
                  "the UID in the subject of the APNs certificate, which begins with "
                  "com.apple.mgmt. and has no blanks");
}

const char *mdm_schema_check_url(apr_pool_t *p, const char *url)
{
    apr_uri_t uri;

    if (!is_plain(url) || strncmp(url, "https://", 8) != 0 ||
        apr_uri_parse(p, url, &uri) != APR_SUCCESS || uri.hostname == NULL ||
        uri.hostname[0] == '\0')
        return wanted(p, "URL", url, "https://host[:port]/path in ASCII, without blanks");
    if (uri.port_str != NULL && (apr_atoi64(uri.port_str) < 1 || apr_atoi64(uri.port_str) > 65535))
        return wanted(p, "URL", url, "one with a port from 1 to 65535, or without a port");
    if (uri.user != NULL || uri.password != NULL)
        return "URL with a user name or password: wanted is one without, devices would show it";
    if (uri.fragment != NULL)
        return wanted(p, "URL", url, "one without a fragment (#)");
    return NULL;
}

const char *mdm_schema_check_identifier(apr_pool_t *p, const char *identifier)
{
    const char *c = identifier;
    int labels = 0;

    do {
        apr_size_t len = 0;
        while (apr_isalnum(c[len]) || c[len] == '-' || c[len] == '_')
            len++;
        if (len == 0)
            break;
        labels++;
        c += len;
    } while (*c == '.' && *++c != '\0');
    if (labels >= 2 && *c == '\0' && c[-1] != '.' && c - identifier <= 200)
        return NULL;
    return wanted(p, "identifier", identifier,
                  "a reverse domain name such as com.example.mdm.enroll: letters, digits, hyphens "
                  "and dots, at most 200");
}
