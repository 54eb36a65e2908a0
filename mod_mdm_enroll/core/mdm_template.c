/* SPDX-License-Identifier: Apache-2.0
 * An administrator's own enrollment profile, read and checked. Depends on mdm_schema, mdm_tree,
 * mdm_x509.
 */
#include "mdm_template.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "mdm_tree.h"
#include "mdm_uuid.h"
#include "mdm_x509.h"

/* Longest PayloadUUID, in bytes; Apple asks only that it is unique. */
#define MAX_UUID 128

typedef struct payload_t {
    mdm_template_payload_t told;
    apr_array_header_t *settings; /* mdm_setting_t *: of a type that mdm_schema knows; or NULL */
    mdm_tree_t *tree;             /* of another */
} payload_t;

struct mdm_template_t {
    apr_array_header_t *configuration; /* mdm_setting_t * */
    const char *uuid;                  /* PayloadUUID, or NULL */
    apr_array_header_t *payloads;      /* payload_t */
    apr_array_header_t *told;          /* mdm_template_payload_t */
    apr_array_header_t *owned;         /* mdm_template_owned_t */
};

/* What is being read: one dictionary of keys of one payload type, or the top level. */
typedef struct reader_t {
    apr_pool_t *p;
    const mdm_text_compiler_t *compiler;
    mdm_template_t *template;
    const char *path; /* of the dictionary; "" is the top level */
    const char *type;
    payload_t *payload; /* NULL: the top level */
    apr_array_header_t *settings;
    int inner; /* within a payload's PayloadContent */
    const char *error;
} reader_t;

static const char *path_of(const reader_t *reader, const char *key)
{
    return apr_pstrcat(reader->p, reader->path, reader->path[0] != '\0' ? " " : "", key, NULL);
}

/* End the reading, at a key. */
static int fail(reader_t *reader, const char *key, const char *why)
{
    reader->error = apr_pstrcat(reader->p, path_of(reader, key), ": ", why, NULL);
    return 1;
}

/* --- keys that are no settings --- */

static const char *hexadecimal(apr_pool_t *p, const char *data, apr_size_t len)
{
    char *hex = apr_palloc(p, 2 * len + 1);

    for (apr_size_t i = 0; i < len; i++)
        apr_snprintf(hex + 2 * i, 3, "%02x", (unsigned char)data[i]);
    hex[2 * len] = '\0';
    return hex;
}

/* What is the module's, whoever writes it. */
static int is_owned(const char *type, const char *key)
{
    static const char *const keys[][2] = {
        {"Configuration", "PayloadIdentifier"},
        {"com.apple.mdm", "IdentityCertificateUUID"},
        {"com.apple.mdm", "Topic"},
        {"com.apple.mdm", "ServerURL"},
        {"com.apple.mdm", "CheckInURL"},
        {"com.apple.security.scep", "URL"},
        {"com.apple.security.scep", "Challenge"},
        {"com.apple.security.scep", "CAFingerprint"},
        {"com.apple.security.acme", "DirectoryURL"},
        {"com.apple.security.acme", "ClientIdentifier"},
    };

    for (apr_size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i][0], type) == 0 && strcmp(keys[i][1], key) == 0)
            return 1;
    return 0;
}

static int take_owned(reader_t *reader, const char *key, const mdm_plist_t *node)
{
    mdm_template_owned_t owned = {path_of(reader, key), reader->type, apr_pstrdup(reader->p, key),
                                  mdm_plist_string(node)};
    apr_size_t len;
    const char *data = mdm_plist_data(node, &len);

    if (data != NULL)
        owned.value = hexadecimal(reader->p, data, len);
    if (owned.value == NULL)
        return fail(reader, key, "wanted is a <string>, or no such key: the module fills it in");
    APR_ARRAY_PUSH(reader->template->owned, mdm_template_owned_t) = owned;
    return 0;
}

static int take_version(reader_t *reader, const mdm_plist_t *node)
{
    apr_uint64_t version;

    if (mdm_plist_integer(node, &version) && version == 1)
        return 0;
    return fail(reader, "PayloadVersion", "wanted is <integer>1</integer>");
}

static int take_type(reader_t *reader, const mdm_plist_t *node)
{
    const char *type = mdm_plist_string(node);

    if (reader->payload != NULL || (type != NULL && strcmp(type, "Configuration") == 0))
        return 0;
    return fail(reader, "PayloadType", "wanted is \"Configuration\", or no such key");
}

static int take_uuid(reader_t *reader, const mdm_plist_t *node)
{
    const char *uuid = mdm_plist_string(node), *c = uuid;

    for (; c != NULL && apr_isgraph(*c); c++)
        ;
    if (uuid == NULL || c == uuid || *c != '\0' || c - uuid > MAX_UUID || strstr(uuid, "%{"))
        return fail(reader, "PayloadUUID",
                    "wanted is a UUID such as 7D8E2F60-1B1B-4B6D-9F3C-0A1B2C3D4E5F, without "
                    "expressions, or no such key");
    if (reader->payload != NULL)
        reader->payload->told.uuid = uuid;
    else
        reader->template->uuid = uuid;
    return 0;
}

static int take_identifier(reader_t *reader, const mdm_plist_t *node)
{
    const char *identifier = mdm_plist_string(node);
    const char *error = identifier == NULL ? "wanted is a <string>"
                                           : mdm_schema_check_identifier(reader->p, identifier);

    if (error != NULL)
        return fail(reader, "PayloadIdentifier", error);
    reader->payload->told.identifier = identifier;
    return 0;
}

/* --- keys of one dictionary --- */

static int take_setting(reader_t *reader, const char *key, const mdm_plist_t *node)
{
    mdm_setting_t *setting;
    const char *error;

    if (strstr(key, "%{") != NULL)
        return fail(reader, key, "wanted is a key without expressions");
    error = mdm_schema_setting_from(reader->p, reader->type, key, node, reader->compiler, &setting);
    /* which begins with the key */
    if (error != NULL)
        reader->error =
            apr_pstrcat(reader->p, reader->path, reader->path[0] != '\0' ? ": " : "", error, NULL);
    else
        APR_ARRAY_PUSH(reader->settings, mdm_setting_t *) = setting;
    return error != NULL;
}

static int read_payloads(reader_t *reader, mdm_plist_t *array);
static int read_inner(reader_t *reader, mdm_plist_t *dict);

static int is_scep(const reader_t *reader)
{
    return strcmp(reader->type, "com.apple.security.scep") == 0;
}

static int read_key(void *ctx, const char *key, mdm_plist_t *node)
{
    reader_t *reader = ctx;
    int top = reader->payload == NULL;

    if (reader->inner ? strncmp(key, "Payload", 7) == 0
                      : is_scep(reader) && strncmp(key, "Payload", 7) != 0)
        return fail(reader, key,
                    reader->inner ? "wanted beside PayloadContent, not in it"
                                  : "wanted is PayloadContent, a <dict> with this key in it");
    if (strcmp(key, "PayloadType") == 0)
        return take_type(reader, node);
    if (strcmp(key, "PayloadVersion") == 0)
        return take_version(reader, node);
    if (strcmp(key, "PayloadUUID") == 0)
        return take_uuid(reader, node);
    if (strcmp(key, "PayloadIdentifier") == 0 && !top)
        return take_identifier(reader, node);
    if (strcmp(key, "PayloadContent") == 0 && top)
        return read_payloads(reader, node);
    if (strcmp(key, "PayloadContent") == 0 && is_scep(reader))
        return read_inner(reader, node);
    return is_owned(reader->type, key) ? take_owned(reader, key, node)
                                       : take_setting(reader, key, node);
}

/* SCEP keeps its keys in a dictionary within the payload. */
static int read_inner(reader_t *reader, mdm_plist_t *dict)
{
    reader_t inner = *reader;

    if (mdm_plist_type(dict) != MDM_PLIST_DICT)
        return fail(reader, "PayloadContent", "wanted is a <dict>");
    inner.path = path_of(reader, "PayloadContent");
    inner.inner = 1;
    mdm_plist_each(dict, read_key, &inner);
    reader->error = inner.error;
    return reader->error != NULL;
}

/* --- payloads --- */

static const char *certificate_trouble(apr_pool_t *p, const payload_t *payload)
{
    const mdm_setting_t *content = mdm_schema_find(payload->settings, "PayloadContent");
    int pem = strcmp(payload->told.type, "com.apple.security.pem") == 0;
    X509 *cert;
    mdm_result_t r;

    if (content == NULL)
        return "PayloadContent is missing: wanted is the certificate, as <data>";
    if (strcmp(payload->told.type, "com.apple.security.pkcs12") == 0)
        return NULL;
    r = pem ? mdm_x509_decode_pem(p, apr_pstrmemdup(p, content->bytes, content->len), &cert)
            : mdm_x509_decode(p, content->bytes, content->len, &cert);
    ERR_clear_error();
    if (r.kind == MDM_OK)
        return NULL;
    return apr_psprintf(p, "PayloadContent: wanted is one certificate in %s, as <data>: %s",
                        pem ? "PEM" : "DER", r.log);
}

/* Keys of types that Apple's tables have no more of here are kept, but for the common ones, which
 * are the module's to fill in. */
static const char *common_trouble(apr_pool_t *p, const mdm_plist_t *dict)
{
    static const char *const texts[] = {"PayloadDisplayName", "PayloadDescription",
                                        "PayloadOrganization"};

    for (apr_size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mdm_plist_t *node = mdm_plist_get(dict, texts[i]);
        if (node != NULL && mdm_plist_string(node) == NULL)
            return apr_pstrcat(p, texts[i], ": wanted is a <string>", NULL);
    }
    return NULL;
}

static int read_common(void *ctx, const char *key, mdm_plist_t *node)
{
    if (strcmp(key, "PayloadVersion") == 0)
        return take_version(ctx, node);
    if (strcmp(key, "PayloadUUID") == 0)
        return take_uuid(ctx, node);
    return strcmp(key, "PayloadIdentifier") == 0 ? take_identifier(ctx, node) : 0;
}

/* A type that mdm_schema does not know. */
static int read_other(reader_t *reader, mdm_plist_t *dict)
{
    payload_t *payload = reader->payload;
    const char *why = common_trouble(reader->p, dict);

    if (why != NULL)
        reader->error = apr_pstrcat(reader->p, reader->path, " ", why, NULL);
    else
        mdm_plist_each(dict, read_common, reader);
    if (reader->error == NULL)
        reader->error =
            mdm_tree_compile(reader->p, dict, apr_pstrcat(reader->p, reader->path, " ", NULL),
                             reader->compiler, &payload->tree);
    payload->told.made = 1;
    return reader->error != NULL;
}

static int read_known(reader_t *reader, mdm_plist_t *dict)
{
    payload_t *payload = reader->payload;
    const char *why;

    mdm_plist_each(dict, read_key, reader);
    if (reader->error != NULL)
        return 1;
    payload->settings = reader->settings;
    payload->told.made = strcmp(payload->told.type, "com.apple.security.pkcs12") == 0
                             ? mdm_plist_get(dict, "PayloadContent") != NULL
                             : strcmp(payload->told.type, "com.apple.security.root") == 0 ||
                                   strcmp(payload->told.type, "com.apple.security.pkcs1") == 0 ||
                                   strcmp(payload->told.type, "com.apple.security.pem") == 0;
    why = payload->told.made ? certificate_trouble(reader->p, payload) : NULL;
    if (why != NULL)
        reader->error = apr_pstrcat(reader->p, reader->path, " ", why, NULL);
    return reader->error != NULL;
}

/* ".wifi.managed", ".wifi.managed.2" … */
static const char *suffix_of(const reader_t *reader, const char *type)
{
    static const char apple[] = "com.apple.";
    const char *name = strncmp(type, apple, strlen(apple)) == 0 ? type + strlen(apple) : type;
    int count = 1;

    for (int i = 0; i < reader->template->payloads->nelts; i++)
        count +=
            strcmp(APR_ARRAY_IDX(reader->template->payloads, i, payload_t).told.type, type) == 0;
    return count > 1 ? apr_psprintf(reader->p, ".%s.%d", name, count)
                     : apr_pstrcat(reader->p, ".", name, NULL);
}

/* Of a payload, not of a whole profile. */
static int is_payload_type(const char *type)
{
    const char *c = type;

    for (; apr_isalnum(*c) || (*c != '\0' && strchr(".-_", *c) != NULL); c++)
        ;
    return c != type && *c == '\0' && strcmp(type, "Configuration") != 0;
}

static int read_payload(reader_t *top, int number, mdm_plist_t *dict)
{
    const char *type = mdm_plist_string(mdm_plist_get(dict, "PayloadType"));
    payload_t payload = {.told = {.type = type}};
    reader_t reader = *top;

    reader.path = apr_psprintf(top->p, "PayloadContent[%d]%s%s%s", number, type ? " (" : "",
                               type ? type : "", type ? ")" : "");
    payload.told.path = reader.path;
    reader.payload = &payload;
    reader.settings = apr_array_make(top->p, 8, sizeof(mdm_setting_t *));
    reader.type = type;
    if (mdm_plist_type(dict) != MDM_PLIST_DICT)
        top->error = apr_pstrcat(top->p, reader.path, ": wanted is a payload, a <dict>", NULL);
    else if (type == NULL || !is_payload_type(type))
        top->error = apr_pstrcat(top->p, reader.path,
                                 " PayloadType: wanted is the type of a payload, such as "
                                 "com.apple.wifi.managed",
                                 NULL);
    if (top->error != NULL)
        return 1;
    payload.told.suffix = suffix_of(top, type);
    if (mdm_schema_key(type, "PayloadType", NULL) < 0)
        read_other(&reader, dict);
    else
        read_known(&reader, dict);
    top->error = reader.error;
    APR_ARRAY_PUSH(top->template->payloads, payload_t) = payload;
    return top->error != NULL;
}

static int read_payloads(reader_t *reader, mdm_plist_t *array)
{
    if (mdm_plist_type(array) != MDM_PLIST_ARRAY)
        return fail(reader, "PayloadContent", "wanted is an <array> of payloads");
    for (apr_size_t i = 0; i < mdm_plist_size(array) && reader->error == NULL; i++)
        read_payload(reader, (int)i, mdm_plist_item(array, i));
    return reader->error != NULL;
}

/* --- what must not come twice --- */

static const char *alike(apr_pool_t *p, const char *path, const char *key, const char *value)
{
    return apr_psprintf(p,
                        "%s %s \"%s\": another payload has the same; wanted is one that is "
                        "unique, or no such key",
                        path, key, value);
}

static const char *check_pair(apr_pool_t *p, const mdm_template_payload_t *one,
                              const mdm_template_payload_t *other)
{
    if (!one->made && !other->made && strcmp(one->type, other->type) == 0)
        return apr_psprintf(p, "%s: wanted is at most one of this type, and %s is one", other->path,
                            one->path);
    if (one->uuid != NULL && other->uuid != NULL && strcasecmp(one->uuid, other->uuid) == 0)
        return alike(p, other->path, "PayloadUUID", other->uuid);
    if (one->identifier != NULL && other->identifier != NULL &&
        strcmp(one->identifier, other->identifier) == 0)
        return alike(p, other->path, "PayloadIdentifier", other->identifier);
    return NULL;
}

/* All payloads as others see them; NULL or what is wrong with two of them. */
static const char *list_payloads(apr_pool_t *p, mdm_template_t *template)
{
    apr_array_header_t *told = apr_array_make(p, 8, sizeof(mdm_template_payload_t));
    const char *error = NULL;

    for (int i = 0; i < template->payloads->nelts && error == NULL; i++) {
        mdm_template_payload_t one = APR_ARRAY_IDX(template->payloads, i, payload_t).told;

        for (int j = 0; j < i && error == NULL; j++)
            error = check_pair(p, &APR_ARRAY_IDX(told, j, mdm_template_payload_t), &one);
        if (error == NULL && template->uuid != NULL && one.uuid != NULL &&
            strcasecmp(template->uuid, one.uuid) == 0)
            error = alike(p, one.path, "PayloadUUID", one.uuid);
        APR_ARRAY_PUSH(told, mdm_template_payload_t) = one;
    }
    template->told = told;
    return error;
}

const char *mdm_template_read(apr_pool_t *p, const char *xml, apr_size_t len,
                              const mdm_text_compiler_t *compiler, mdm_template_t **template)
{
    mdm_template_t *made = apr_pcalloc(p, sizeof(*made));
    reader_t reader = {.p = p, .compiler = compiler, .template = made, .path = ""};
    mdm_plist_t *root;
    const char *error;
    mdm_result_t r;

    if (len >= 6 && memcmp(xml, "bplist", 6) == 0)
        return "a binary property list: wanted is one in XML, which \"plutil -convert xml1\" makes";
    r = mdm_plist_parse_up_to(p, xml, len, MDM_TEMPLATE_MAX_BYTES, &root);
    if (r.kind != MDM_OK)
        return r.log;
    if (mdm_plist_type(root) != MDM_PLIST_DICT)
        return "wanted is one <dict>, an enrollment profile";
    made->configuration = apr_array_make(p, 8, sizeof(mdm_setting_t *));
    made->payloads = apr_array_make(p, 8, sizeof(payload_t));
    made->owned = apr_array_make(p, 8, sizeof(mdm_template_owned_t));
    reader.type = "Configuration";
    reader.settings = made->configuration;
    mdm_plist_each(root, read_key, &reader);
    if (reader.error != NULL)
        return reader.error;
    error = list_payloads(p, made);
    if (error == NULL)
        *template = made;
    return error;
}

/* --- asking --- */

static const payload_t *find(const mdm_template_t *template, const char *type)
{
    for (int i = 0; template != NULL && i < template->payloads->nelts; i++) {
        const payload_t *one = &APR_ARRAY_IDX(template->payloads, i, payload_t);
        if (!one->told.made && strcmp(one->told.type, type) == 0)
            return one;
    }
    return NULL;
}

const apr_array_header_t *mdm_template_settings(const mdm_template_t *template, const char *type)
{
    const payload_t *payload = find(template, type);

    if (strcmp(type, "Configuration") == 0)
        return template->configuration;
    return payload != NULL ? payload->settings : NULL;
}

const apr_array_header_t *mdm_template_owned(const mdm_template_t *template)
{
    return template->owned;
}

const apr_array_header_t *mdm_template_payloads(const mdm_template_t *template)
{
    return template->told;
}

const char *mdm_template_path(apr_pool_t *p, const mdm_template_t *template, const char *type,
                              const char *key)
{
    const payload_t *payload = find(template, type);

    return payload != NULL ? apr_pstrcat(p, payload->told.path, " ", key, NULL) : key;
}

const char *mdm_template_uuid(const mdm_template_t *template, const char *type, const char *other)
{
    const payload_t *payload = find(template, type);

    if (template != NULL && template->uuid != NULL && strcmp(type, "Configuration") == 0)
        return template->uuid;
    return payload != NULL && payload->told.uuid != NULL ? payload->told.uuid : other;
}

const char *mdm_template_identifier(const mdm_template_t *template, const char *type,
                                    const char *other)
{
    const payload_t *payload = find(template, type);

    return payload != NULL && payload->told.identifier != NULL ? payload->told.identifier : other;
}

/* --- making --- */

/* The common keys that the module fills in. */
static mdm_result_t complete(apr_pool_t *p, const payload_t *payload, const char *profile,
                             mdm_plist_t *dict)
{
    const char *identifier = payload->told.identifier, *uuid = payload->told.uuid, *digest;

    if (identifier == NULL)
        identifier = apr_pstrcat(p, profile, payload->told.suffix, NULL);
    if (uuid == NULL) {
        digest = mdm_sha256_hex(p, identifier, strlen(identifier));
        if (digest[0] == '\0')
            return mdm_sha256_failed(p);
        uuid = mdm_uuid_of(p, digest);
    }
    mdm_plist_set_string(dict, "PayloadType", payload->told.type);
    mdm_plist_set_integer(dict, "PayloadVersion", 1);
    mdm_plist_set_string(dict, "PayloadIdentifier", identifier);
    mdm_plist_set_string(dict, "PayloadUUID", uuid);
    return mdm_result_ok();
}

mdm_result_t mdm_template_append(apr_pool_t *p, const mdm_template_t *template,
                                 const char *identifier, const mdm_schema_target_t *target,
                                 mdm_plist_t *payloads)
{
    mdm_result_t r = mdm_result_ok();

    for (int i = 0; template != NULL && i < template->payloads->nelts && r.kind == MDM_OK; i++) {
        const payload_t *payload = &APR_ARRAY_IDX(template->payloads, i, payload_t);
        mdm_plist_t *dict;

        if (!payload->told.made || !mdm_schema_knows(payload->told.type, target->system))
            continue;
        dict = mdm_plist_dict(p);
        r = payload->tree != NULL
                ? mdm_tree_make(p, payload->tree, target->texts, target->row, dict)
                : mdm_schema_apply(p, dict, payload->settings, target);
        if (r.kind == MDM_OK)
            r = complete(p, payload, identifier, dict);
        if (r.kind == MDM_OK)
            mdm_plist_append(payloads, dict);
    }
    return r;
}
