/* SPDX-License-Identifier: Apache-2.0
 * From words to settings checked by the tables. Depends on mdm_plist, mdm_result, mdm_text.
 */
#include "mdm_schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <apr_uri.h>

#include "mdm_schema_tables.h"

#define INTEGER_MAX APR_INT64_C(0x7fffffff)

static const char *add_settable(apr_pool_t *p, const char *list, const mdm_schema_rule_t *rules)
{
    for (; rules->key != NULL; rules++)
        if (rules->instead == NULL)
            list = apr_pstrcat(p, list, list[0] != '\0' ? ", " : "", "\"", rules->key, "\"", NULL);
    return list;
}

const char *mdm_schema_wanted(apr_pool_t *p, const char *key, const char *value, const char *what)
{
    return apr_psprintf(p, "%s \"%s\": wanted is %s", key, mdm_result_quote_text(p, value), what);
}

static const char *wanted_word(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value)
{
    const char *list = rule->words[0];

    for (int i = 1; rule->words[i] != NULL; i++)
        list =
            apr_pstrcat(p, list, rule->words[i + 1] != NULL ? ", " : " or ", rule->words[i], NULL);
    return mdm_schema_wanted(p, rule->key, value, list);
}

static const char *check_word(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value)
{
    for (int i = 0; rule->words[i] != NULL; i++)
        if (strcmp(rule->words[i], value) == 0)
            return NULL;
    return wanted_word(p, rule, value);
}

const char *mdm_schema_check_text(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value)
{
    const char *want;

    if (!mdm_plist_text_ok(value))
        return mdm_schema_wanted(p, rule->key, rule->secret ? MDM_SCHEMA_HIDDEN : value,
                                 "UTF-8 text that XML can carry");
    if (rule->words != NULL)
        return check_word(p, rule, value);
    want = rule->want_text != NULL ? rule->want_text(value) : NULL;
    return want != NULL ? mdm_schema_wanted(p, rule->key, value, want) : NULL;
}

static const char *read_integer(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value,
                                apr_int64_t *number)
{
    /* 18 digits are below 2^63: no overflow to be told from a value. */
    apr_size_t digits = strspn(value, "0123456789");
    const char *error = rule->words != NULL ? check_word(p, rule, value) : NULL;

    if (error != NULL)
        return error;
    *number = digits > 0 && digits <= 18 && value[digits] == '\0' ? apr_atoi64(value) : -1;
    if (*number >= rule->min && *number <= rule->max) {
        error = rule->want_number != NULL ? rule->want_number(*number) : NULL;
        return error != NULL ? mdm_schema_wanted(p, rule->key, value, error) : NULL;
    }
    return mdm_schema_wanted(
        p, rule->key, value,
        rule->max >= INTEGER_MAX
            ? apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT, rule->min)
            : apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                           rule->min, rule->max));
}

static const char *read_real(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value,
                             double *real)
{
    char *end;

    /* strtod() takes hexadecimal, "inf" and blanks too. */
    if (value[0] != '\0' && strspn(value, "0123456789.") == strlen(value)) {
        *real = strtod(value, &end);
        if (*end == '\0' && isfinite(*real) && *real > 0)
            return NULL;
    }
    return mdm_schema_wanted(p, rule->key, value, "a number of seconds above 0");
}

static const char *read_boolean(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value,
                                apr_int64_t *number)
{
    *number = strcmp(value, "true") == 0;
    if (*number || strcmp(value, "false") == 0)
        return NULL;
    return mdm_schema_wanted(p, rule->key, value, "true or false");
}

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + (text[1] - '0');
}

#define WANTED_DATE                                                                                \
    "a date such as 2027-12-31T23:59:59Z, or a time from when the profile is made, from +1s to "   \
    "+3650d, such as +300d"

/* +300d: the seconds of it, 0 if it is none. */
static apr_int64_t seconds_from_now(const char *value)
{
    static const struct {
        const char *name;
        apr_int64_t seconds;
    } units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
    const char *digits = value + 1;
    apr_size_t len = strspn(digits, "0123456789");

    for (apr_size_t i = 0; len > 0 && len <= 9 && i < sizeof(units) / sizeof(units[0]); i++) {
        apr_int64_t seconds = apr_atoi64(digits) * units[i].seconds;
        if (strcmp(digits + len, units[i].name) == 0 && seconds <= APR_INT64_C(3650) * 86400)
            return seconds;
    }
    return 0;
}

/* The one form that property lists have: 2027-12-31T23:59:59Z. */
static const char *read_date(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value,
                             mdm_setting_t *setting)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    apr_size_t i;
    apr_time_exp_t exp = {0}, back;
    apr_time_t time;

    if (value[0] == '+') {
        setting->from_now = 1;
        setting->number = seconds_from_now(value);
        return setting->number > 0 ? NULL : mdm_schema_wanted(p, rule->key, value, WANTED_DATE);
    }
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
    setting->number = apr_time_sec(time);
    return NULL;
bad:
    return mdm_schema_wanted(p, rule->key, value, WANTED_DATE);
}

/* A text, with expressions or not; what is constant is checked now. */
static const char *read_text(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *value,
                             const mdm_text_compiler_t *compiler, const mdm_text_t **text)
{
    const mdm_text_t *read;
    const char *error = mdm_text_parse(p, value, compiler, MDM_TEXT_PLAIN, &read);

    if (error != NULL && rule->secret)
        return mdm_schema_wanted(p, rule->key, MDM_SCHEMA_HIDDEN,
                                 "a text whose expressions, if any, are httpd's");
    if (error != NULL)
        return apr_psprintf(p, "%s: %s", rule->key, error);
    if (mdm_text_fixed(read) != NULL)
        error = mdm_schema_check_text(p, rule, mdm_text_fixed(read));
    else if (!mdm_plist_text_ok(value))
        error = mdm_schema_wanted(p, rule->key, rule->secret ? MDM_SCHEMA_HIDDEN : value,
                                  "UTF-8 text that XML can carry");
    if (error == NULL)
        *text = read;
    return error;
}

/* The items of an ARRAY, each once. */
static const char *read_list(apr_pool_t *p, const mdm_schema_rule_t *rule,
                             const char *const *values, int count,
                             const mdm_text_compiler_t *compiler, apr_array_header_t *texts)
{
    const char *error;

    if (count == 1 && strcmp(values[0], MDM_SCHEMA_NOTHING) == 0 && rule->may_be_empty)
        return NULL;
    for (int i = 0; i < count; i++) {
        const mdm_text_t *text;

        for (int j = 0; j < i; j++)
            if (strcmp(values[i], values[j]) == 0)
                return mdm_schema_wanted(p, rule->key, values[i], "each value once");
        error = read_text(p, rule, values[i], compiler, &text);
        if (error != NULL)
            return error;
        APR_ARRAY_PUSH(texts, const mdm_text_t *) = text;
    }
    return NULL;
}

static const char *check_name(apr_pool_t *p, const mdm_schema_rule_t *rule, const char *name,
                              const apr_array_header_t *before)
{
    const char *want = rule->want_name(name);

    for (int i = 0; want == NULL && rule->form == MDM_SCHEMA_PAIRS && i < before->nelts; i += 2)
        if (strcmp(mdm_text_fixed(APR_ARRAY_IDX(before, i, const mdm_text_t *)), name) == 0)
            want = "each language once";
    if (want == NULL && rule->form == MDM_SCHEMA_RDNS && name[0] == '+' && before->nelts == 0)
        want = "a type without a + in front, of the first RDN";
    return want != NULL ? mdm_schema_wanted(p, rule->key, name, want) : NULL;
}

/* Name, text, name … */
static const char *read_pairs(apr_pool_t *p, const mdm_schema_rule_t *rule,
                              const char *const *values, int count,
                              const mdm_text_compiler_t *compiler, apr_array_header_t *texts)
{
    const char *error;

    if (count == 1 && rule->one_text != NULL) {
        const char *pair[] = {rule->one_text, values[0]};
        return read_pairs(p, rule, pair, 2, compiler, texts);
    }
    if (count % 2 != 0)
        return mdm_schema_wanted(
            p, rule->key, values[count - 1],
            rule->one_text != NULL
                ? "one text, or pairs of a language and its text"
                : apr_pstrcat(p, "a text behind each name: ", rule->want_name(""), NULL));
    for (int i = 0; i < count; i += 2) {
        const mdm_text_t *text;

        error = check_name(p, rule, values[i], texts);
        if (error == NULL)
            error = read_text(p, rule, values[i + 1], compiler, &text);
        if (error != NULL)
            return error;
        APR_ARRAY_PUSH(texts, const mdm_text_t *) = mdm_text_constant(p, values[i]);
        APR_ARRAY_PUSH(texts, const mdm_text_t *) = text;
    }
    return NULL;
}

static const char *read_texts(apr_pool_t *p, const mdm_schema_rule_t *rule,
                              const char *const *values, int count,
                              const mdm_text_compiler_t *compiler, mdm_setting_t *setting)
{
    apr_array_header_t *texts = apr_array_make(p, count + 1, sizeof(const mdm_text_t *));
    const char *error = rule->form == MDM_SCHEMA_LIST
                            ? read_list(p, rule, values, count, compiler, texts)
                            : read_pairs(p, rule, values, count, compiler, texts);

    setting->texts = texts;
    return error;
}

const char *mdm_schema_read(apr_pool_t *p, const char *const *values, int count,
                            const mdm_text_compiler_t *compiler, mdm_setting_t *setting)
{
    const mdm_schema_rule_t *rule = setting->rule;
    int many = rule->type == MDM_PLIST_ARRAY || rule->type == MDM_PLIST_DICT;

    if (count < 1 || (count > 1 && !many))
        return apr_psprintf(p, "%s with %d values: wanted is %s", rule->key, count,
                            many ? "at least one" : "exactly one, in quotes if it has blanks");
    switch (rule->type) {
    case MDM_PLIST_INTEGER:
        return read_integer(p, rule, values[0], &setting->number);
    case MDM_PLIST_REAL:
        return read_real(p, rule, values[0], &setting->real);
    case MDM_PLIST_BOOLEAN:
        return read_boolean(p, rule, values[0], &setting->number);
    case MDM_PLIST_DATE:
        return read_date(p, rule, values[0], setting);
    case MDM_PLIST_ARRAY:
    case MDM_PLIST_DICT:
        return read_texts(p, rule, values, count, compiler, setting);
    default:
        return read_text(p, rule, values[0], compiler, &setting->text);
    }
}

const char *mdm_schema_start(apr_pool_t *p, const char *payload, const char *key, int node,
                             mdm_setting_t **setting)
{
    const mdm_schema_payload_t *of = mdm_schema_find_payload(payload);
    const mdm_schema_rule_t *rule;
    const char *list = "";
    mdm_setting_t *made;

    for (int i = 0; of == NULL && mdm_schema_payloads[i] != NULL; i++)
        list = apr_pstrcat(p, list, i == 0 ? "" : ", ", "\"", mdm_schema_payloads[i], "\"", NULL);
    if (of == NULL)
        return mdm_schema_wanted(p, "payload type", payload, apr_pstrcat(p, "one of ", list, NULL));
    rule = mdm_schema_find_rule(of, key);
    if (rule == NULL)
        return mdm_schema_wanted(
            p, apr_pstrcat(p, "key of ", payload, NULL), key,
            apr_pstrcat(p, "one of ",
                        add_settable(p, add_settable(p, "", of->rules), mdm_schema_common), NULL));
    if (rule->instead != NULL && !(node && rule->from_node))
        return apr_psprintf(p, "%s cannot be set here: %s", rule->key, rule->instead);
    made = apr_pcalloc(p, sizeof(*made));
    made->payload = of->type;
    made->key = rule->key;
    made->type = rule->type;
    made->rule = rule;
    *setting = made;
    return NULL;
}

const char *mdm_schema_setting(apr_pool_t *p, const char *payload, const char *key,
                               const char *const *values, int count,
                               const mdm_text_compiler_t *compiler, mdm_setting_t **setting)
{
    mdm_setting_t *read = NULL;
    const char *error = mdm_schema_start(p, payload, key, 0, &read);

    if (error == NULL)
        error = mdm_schema_read(p, values, count, compiler, read);
    if (error == NULL)
        *setting = read;
    return error;
}

int mdm_schema_key(const char *payload, const char *key, const char **instead)
{
    const mdm_schema_payload_t *of = mdm_schema_find_payload(payload);
    const mdm_schema_rule_t *rule = of != NULL ? mdm_schema_find_rule(of, key) : NULL;

    if (instead != NULL)
        *instead = rule != NULL ? rule->instead : NULL;
    if (rule == NULL)
        return -1;
    return rule->instead == NULL || rule->from_node;
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
    return mdm_schema_wanted(p, "Topic", topic,
                             "the UID in the subject of the APNs certificate, which begins with "
                             "com.apple.mgmt. and has no blanks");
}

const char *mdm_schema_check_url(apr_pool_t *p, const char *url)
{
    apr_uri_t uri;

    if (!is_plain(url) || strncmp(url, "https://", 8) != 0 ||
        apr_uri_parse(p, url, &uri) != APR_SUCCESS || uri.hostname == NULL ||
        uri.hostname[0] == '\0')
        return mdm_schema_wanted(p, "URL", url,
                                 "https://host[:port]/path in ASCII, without blanks");
    if (uri.port_str != NULL && (apr_atoi64(uri.port_str) < 1 || apr_atoi64(uri.port_str) > 65535))
        return mdm_schema_wanted(p, "URL", url,
                                 "one with a port from 1 to 65535, or without a port");
    if (uri.user != NULL || uri.password != NULL)
        return "URL with a user name or password: wanted is one without, devices would show it";
    if (uri.fragment != NULL)
        return mdm_schema_wanted(p, "URL", url, "one without a fragment (#)");
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
    return mdm_schema_wanted(
        p, "identifier", identifier,
        "a reverse domain name such as com.example.mdm.enroll: letters, digits, hyphens "
        "and dots, at most 200");
}
