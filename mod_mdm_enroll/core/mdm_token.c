/* SPDX-License-Identifier: Apache-2.0
 * Private keys that stay in a token. Depends on mdm_asker, mdm_x509, and on what OpenSSL has for
 * tokens on this machine.
 */
#include "mdm_token.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>
#include <unistd.h>

#include "mdm_x509.h"

#define SCHEME "pkcs11:"
#define SCHEME_LEN (sizeof(SCHEME) - 1)

/* --- the URI (RFC 7512 section 2.3) --- */

typedef enum {
    TOKEN,
    SERIAL,
    MANUFACTURER,
    MODEL,
    OBJECT,
    ID,
    TYPE,
    PIN_VALUE, /* from here on behind the "?" */
    PIN_SOURCE,
    COUNT
} attribute_t;

static const char *const names[COUNT] = {"token", "serial", "manufacturer", "model",     "object",
                                         "id",    "type",   "pin-value",    "pin-source"};

/* Its attributes, percent-encoded as they came; NULL where it has none. */
typedef struct {
    const char *values[COUNT];
} token_uri_t;

int mdm_token_is_uri(const char *source)
{
    return !apr_cstr_casecmpn(source, SCHEME, SCHEME_LEN);
}

static int percent_encoding_ok(const char *value)
{
    for (; *value; value++) {
        if (!apr_isgraph(*value))
            return 0;
        if (*value == '%' && (!apr_isxdigit(value[1]) || !apr_isxdigit(value[2]) ||
                              (value[1] == '0' && value[2] == '0')))
            return 0;
    }
    return 1;
}

static const char *served(void)
{
    return "wanted: pkcs11: with token, serial, manufacturer, model, object, id, type=private, and "
           "behind a \"?\" pin-source=file:/path or pin-value";
}

/* Only the name of a known attribute is ever repeated: anything else may be a PIN, mistyped. */
static const char *parse_attribute(apr_pool_t *p, char *attribute, int query, token_uri_t *uri)
{
    char *value = strchr(attribute, '=');
    int i = 0;

    if (value)
        *value++ = '\0';
    while (i < COUNT && strcmp(attribute, names[i]) != 0)
        i++;
    if (!value || i == COUNT)
        return apr_pstrcat(p, "it has an attribute that is not served; ", served(), NULL);
    if (query != (i >= PIN_VALUE))
        return apr_psprintf(p, "\"%s\" belongs %s the \"?\"", names[i],
                            query ? "before" : "behind");
    if (uri->values[i])
        return apr_psprintf(p, "it has \"%s\" twice", names[i]);
    if (!*value || !percent_encoding_ok(value))
        return apr_psprintf(p, "\"%s\" has no value, or one that is not percent-encoded", names[i]);
    uri->values[i] = value;
    return NULL;
}

static char *decode(apr_pool_t *p, const char *value)
{
    char *decoded = apr_palloc(p, strlen(value) + 1), *to = decoded;

    for (; *value; value++, to++) {
        *to = *value;
        if (*value == '%') {
            const char digits[] = {value[1], value[2], '\0'};

            *to = (char)strtol(digits, NULL, 16);
            value += 2;
        }
    }
    *to = '\0';
    return decoded;
}

/* "file:/path", "file:///path" or "/path"; NULL otherwise: commands ("|…") are not served. */
static const char *pin_path(apr_pool_t *p, const char *pin_source)
{
    const char *path = decode(p, pin_source);

    if (!strncmp(path, "file:", 5))
        path += 5;
    if (!strncmp(path, "///", 3))
        path += 2;
    return path[0] == '/' && path[1] != '/' && path[1] ? path : NULL;
}

/* NULL, or what is wrong. */
static const char *parse_uri(apr_pool_t *p, const char *text, token_uri_t *uri)
{
    char *path = apr_pstrdup(p, text + SCHEME_LEN), *query = strchr(path, '?'), *last, *one;
    const char *why = NULL;

    memset(uri, 0, sizeof(*uri));
    if (query)
        *query++ = '\0';
    for (one = apr_strtok(path, ";", &last); one && !why; one = apr_strtok(NULL, ";", &last))
        why = parse_attribute(p, one, 0, uri);
    for (one = query ? apr_strtok(query, "&", &last) : NULL; one && !why;
         one = apr_strtok(NULL, "&", &last))
        why = parse_attribute(p, one, 1, uri);
    if (why)
        return why;
    if (!uri->values[TOKEN] && !uri->values[SERIAL])
        return "it names no token; wanted: token= or serial=";
    if (!uri->values[OBJECT] && !uri->values[ID])
        return "it names no key; wanted: object= or id=";
    if (uri->values[TYPE] && strcmp(uri->values[TYPE], "private") != 0)
        return "its type is not that of a private key; wanted: type=private";
    if (uri->values[PIN_VALUE] && uri->values[PIN_SOURCE])
        return "it has both pin-value and pin-source; wanted: one of them";
    if (uri->values[PIN_VALUE] && strlen(decode(p, uri->values[PIN_VALUE])) >= MDM_PASSPHRASE_BYTES)
        return "its pin-value is too long";
    if (uri->values[PIN_SOURCE] && !pin_path(p, uri->values[PIN_SOURCE]))
        return "its pin-source is no file; wanted: pin-source=file:/path";
    return NULL;
}

const char *mdm_token_check(apr_pool_t *p, const char *uri)
{
    token_uri_t parsed;

    return parse_uri(p, uri, &parsed);
}

const char *mdm_token_name(apr_pool_t *p, const char *uri)
{
    const char *name = SCHEME;
    token_uri_t parsed;
    int i;

    if (parse_uri(p, uri, &parsed))
        return SCHEME "...";
    for (i = 0; i < TYPE; i++)
        if (parsed.values[i])
            name = apr_pstrcat(p, name, names[i], "=", parsed.values[i], ";", NULL);
    return apr_pstrcat(p, name, "type=private", NULL);
}

const char *mdm_token_pin_file(apr_pool_t *p, const char *uri)
{
    token_uri_t parsed;

    if (parse_uri(p, uri, &parsed) || !parsed.values[PIN_SOURCE])
        return NULL;
    return pin_path(p, parsed.values[PIN_SOURCE]);
}

/* --- the PIN --- */

/* The first line of a file into pin. Returns NULL, or why there is none. */
static const char *read_pin(apr_pool_t *p, const char *file, char *pin)
{
    char reason[128];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, pin, MDM_PASSPHRASE_BYTES - 1);
    int failed = errno;

    if (fd >= 0)
        close(fd);
    if (got < 0)
        return apr_psprintf(p, "its PIN cannot be read from %s: %s", file,
                            apr_strerror(APR_FROM_OS_ERROR(failed), reason, sizeof(reason)));
    pin[got] = '\0';
    if (got == MDM_PASSPHRASE_BYTES - 1 && !strchr(pin, '\n'))
        return apr_psprintf(p, "the first line of %s is too long; it must be the PIN", file);
    pin[strcspn(pin, "\r\n")] = '\0';
    if (!*pin)
        return apr_psprintf(p, "the first line of %s is empty; it must be the PIN", file);
    return NULL;
}

static mdm_result_t find_pin(apr_pool_t *p, const char *name, const token_uri_t *uri,
                             const mdm_asker_t *asker, char *pin)
{
    const char *why = NULL;

    if (uri->values[PIN_VALUE])
        apr_cpystrn(pin, decode(p, uri->values[PIN_VALUE]), MDM_PASSPHRASE_BYTES);
    else if (uri->values[PIN_SOURCE])
        why = read_pin(p, pin_path(p, uri->values[PIN_SOURCE]), pin);
    else if (asker)
        why = asker->ask(asker->context, p, name, 1, pin);
    else
        why = "there is nobody to ask for it; wanted: pin-source=file:/path behind a \"?\"";
    if (!why)
        return mdm_result_ok();
    if (uri->values[PIN_SOURCE])
        return mdm_result_make(p, MDM_MSG_FILE, "the private key %s: %s", name, why);
    return mdm_result_make(p, MDM_MSG_FILE, "the private key %s needs a PIN, and %s", name, why);
}

/* The PIN where OpenSSL's user interface would ask for it. */
static int give_pin(char *buffer, int size, int writing, void *pin)
{
    apr_size_t len = strlen(pin);

    (void)writing;
    if (size < 0 || len > (apr_size_t)size)
        return -1;
    memcpy(buffer, pin, len);
    return (int)len;
}

/* --- a store of a provider --- */

static int have_store(void)
{
    OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_fetch(NULL, "pkcs11", NULL);

    OSSL_STORE_LOADER_free(loader);
    ERR_clear_error();
    return loader != NULL;
}

/* The provider takes the PIN in the URI: that is what it logs in again with in the children of a
 * fork. Without it there it would ask, and they have nobody. */
static OSSL_STORE_CTX *open_store(const char *name, UI_METHOD *ui, char *pin)
{
    static const char query[] = "?pin-value=";
    apr_size_t size = strlen(name) + sizeof(query) + 3 * strlen(pin);
    char *uri = OPENSSL_malloc(size), *to;
    OSSL_STORE_CTX *store;

    if (!uri)
        return NULL;
    to = apr_cpystrn(apr_cpystrn(uri, name, size), query, sizeof(query));
    for (const char *from = pin; *from; from++, to += 3)
        apr_snprintf(to, 4, "%%%02x", (unsigned)(unsigned char)*from);
    store = OSSL_STORE_open(uri, ui, pin, NULL, NULL);
    OPENSSL_clear_free(uri, size);
    return store;
}

static EVP_PKEY *load_from_store(const char *name, UI_METHOD *ui, char *pin)
{
    OSSL_STORE_CTX *store = open_store(name, ui, pin);
    EVP_PKEY *key = NULL;

    if (!store)
        return NULL;
    if (OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY)) {
        while (!key && !OSSL_STORE_eof(store)) {
            OSSL_STORE_INFO *info = OSSL_STORE_load(store);

            if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
                key = OSSL_STORE_INFO_get1_PKEY(info);
            else if (!info && OSSL_STORE_error(store))
                break;
            OSSL_STORE_INFO_free(info);
        }
    }
    OSSL_STORE_close(store);
    return key;
}

/* --- an engine --- */

/* Of openssl/engine.h, which newer platforms have no more: found at run time, or not. */
typedef struct {
    void (*load_builtin_engines)(void);
    void *(*by_id)(const char *id);
    int (*init)(void *engine);
    int (*ctrl)(void *engine, const char *command, const char *argument, int optional);
    EVP_PKEY *(*load_private_key)(void *engine, const char *id, UI_METHOD *ui, void *context);
    int (*finish)(void *engine);
    int (*release)(void *engine);
} engine_api_t;

/* Not by a cast: ISO C knows none from an object to a function. */
#define FIND(function, symbol)                                                                     \
    do {                                                                                           \
        void *found = dlsym(RTLD_DEFAULT, symbol);                                                 \
        memcpy(&(function), &found, sizeof(found));                                                \
        complete = complete && found;                                                              \
    } while (0)

static int find_engine_api(engine_api_t *api)
{
    int complete = 1;

    FIND(api->load_builtin_engines, "ENGINE_load_builtin_engines");
    FIND(api->by_id, "ENGINE_by_id");
    FIND(api->init, "ENGINE_init");
    FIND(api->ctrl, "ENGINE_ctrl_cmd_string");
    FIND(api->load_private_key, "ENGINE_load_private_key");
    FIND(api->finish, "ENGINE_finish");
    FIND(api->release, "ENGINE_free");
    return complete;
}

/* The engine, or NULL. It stays in OpenSSL's list once it was found there. */
static void *find_engine(const engine_api_t *api)
{
    void *engine = api->by_id("pkcs11");

    if (!engine) {
        api->load_builtin_engines(); /* brings the one that loads others */
        engine = api->by_id("pkcs11");
    }
    ERR_clear_error();
    return engine;
}

/* The engine takes the PIN by command and not in the URI: it prints that when it fails, to standard
 * error, which is httpd's log. It also keeps the PIN, for the children of a fork; one that is kept
 * of another token would be tried on this one. The key holds the engine from here on. */
static EVP_PKEY *load_from_engine(const engine_api_t *api, void *engine, const char *name,
                                  UI_METHOD *ui, char *pin)
{
    EVP_PKEY *key = NULL;

    if (!api->init(engine))
        return NULL;
    if (api->ctrl(engine, "PIN", pin, 0)) {
        (void)api->ctrl(engine, "QUIET", NULL, 1); /* the reason comes by the error queue, too */
        key = api->load_private_key(engine, name, ui, pin);
        (void)api->ctrl(engine, "VERBOSE", NULL, 1); /* back to where it began */
    }
    api->finish(engine);
    return key;
}

/* --- the key --- */

static mdm_result_t no_way(apr_pool_t *p, const char *name)
{
    return mdm_result_make(
        p, MDM_MSG_FILE,
        "the private key %s cannot be used: OpenSSL has nothing for tokens here; "
        "install libengine-pkcs11-openssl (Debian 12, Ubuntu), or "
        "pkcs11-provider (Fedora, Debian 13) and activate it in openssl.cnf",
        name);
}

/* The first error is the token's; what follows says only that there was one. */
static const char *first_reason(apr_pool_t *p)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    reason = reason ? apr_pstrdup(p, reason) : "no reason given";
    ERR_clear_error();
    return reason;
}

static mdm_result_t failed(apr_pool_t *p, const char *name)
{
    return mdm_result_make(p, MDM_MSG_FILE,
                           "the private key %s cannot be used: %s; wanted: the token there, in it "
                           "this key, and the right PIN (p11tool --login --list-all shows what is "
                           "there)",
                           name, first_reason(p));
}

static mdm_result_t load(apr_pool_t *p, const char *name, char *pin, EVP_PKEY **key)
{
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_pin, 0);
    engine_api_t api;
    void *engine = NULL;

    if (!ui)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "out of memory");
    if (have_store())
        *key = load_from_store(name, ui, pin);
    else if (find_engine_api(&api) && (engine = find_engine(&api)))
        *key = load_from_engine(&api, engine, name, ui, pin);
    else {
        UI_destroy_method(ui);
        return no_way(p, name);
    }
    if (engine)
        api.release(engine);
    UI_destroy_method(ui);
    if (!mdm_x509_own_key(p, *key))
        return failed(p, name);
    ERR_clear_error();
    return mdm_result_ok();
}

mdm_result_t mdm_token_read_key(apr_pool_t *p, const char *uri, const mdm_asker_t *asker,
                                EVP_PKEY **key)
{
    char pin[MDM_PASSPHRASE_BYTES] = "";
    EVP_PKEY *found = NULL;
    token_uri_t parsed;
    const char *why = parse_uri(p, uri, &parsed);

    if (why)
        return mdm_result_make(p, MDM_MSG_FILE, "a pkcs11: URI cannot be used: %s", why);
    const char *name = mdm_token_name(p, uri);
    mdm_result_t r = find_pin(p, name, &parsed, asker, pin);
    if (r.kind == MDM_OK)
        r = load(p, name, pin, &found);
    OPENSSL_cleanse(pin, sizeof(pin));
    if (r.kind == MDM_OK)
        *key = found;
    return r;
}

mdm_result_t mdm_token_try_key(apr_pool_t *p, const char *uri, EVP_PKEY *key)
{
    static const unsigned char text[] = "mod_mdm_enroll";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = 0;
    int ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestSign(ctx, NULL, &len, text, sizeof(text)) == 1 &&
             EVP_DigestSign(ctx, apr_palloc(p, len), &len, text, sizeof(text)) == 1;

    EVP_MD_CTX_free(ctx);
    if (!ok)
        return mdm_result_make(p, MDM_MSG_TOKEN, "the private key %s cannot sign: %s",
                               mdm_token_name(p, uri), first_reason(p));
    ERR_clear_error(); /* some leave errors although they have signed */
    return mdm_result_ok();
}
