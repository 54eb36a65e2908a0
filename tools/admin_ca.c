/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin make-ca and make-ra. Depends on admin_key, admin_rows (the clock) and core's
 * mdm_x509.
 */
#include "admin_ca.h"

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "admin_key.h"
#include "admin_rows.h"
#include "mdm_x509.h"

#define DAY (24 * 60 * 60)
#define CLOCK_SKEW (5 * 60)
#define SERIAL_BYTES 20
#define DEFAULT_KIND "rsa3072"
#define RA_KIND "rsa2048"

static const char *const ca_rsa_extensions[][2] = {
    {"basicConstraints", "critical,CA:TRUE,pathlen:0"},
    {"keyUsage", "critical,digitalSignature,keyEncipherment,keyCertSign,cRLSign"},
    {"subjectKeyIdentifier", "hash"},
    {NULL, NULL}};
static const char *const ca_ec_extensions[][2] = {
    {"basicConstraints", "critical,CA:TRUE,pathlen:0"},
    {"keyUsage", "critical,digitalSignature,keyCertSign,cRLSign"},
    {"subjectKeyIdentifier", "hash"},
    {NULL, NULL}};
static const char *const ra_extensions[][2] = {
    {"basicConstraints", "critical,CA:FALSE"},
    {"keyUsage", "critical,digitalSignature,keyEncipherment"},
    {"subjectKeyIdentifier", "hash"},
    {"authorityKeyIdentifier", "keyid,issuer"},
    {NULL, NULL}};

/* --- subjects --- */

static admin_result_t add_entry(apr_pool_t *p, X509_NAME *name, const char *type, const char *value)
{
    /* -1, 0: behind the last, as a set of its own. OpenSSL knows each type's length. */
    if (*value != '\0' && X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8,
                                                     (const unsigned char *)value, -1, -1, 0) == 1)
        return admin_ok();
    return admin_fail(
        p, ADMIN_USAGE,
        "--name: \"%s=%s\" cannot be part of a subject: %s; wanted is as in \"O=Example "
        "Corp, CN=Example Corp device identities\"",
        type, value, *value != '\0' ? mdm_openssl_reason(p) : "the value is empty");
}

/* The text up to a separator that no backslash escapes; *rest is behind it, NULL at the end. */
static char *next_part(apr_pool_t *p, const char *text, char separator, const char **rest)
{
    char *part = apr_palloc(p, strlen(text) + 1), *out = part;

    for (; *text != '\0' && *text != separator; text++) {
        if (*text == '\\' && text[1] != '\0')
            text++;
        *out++ = *text;
    }
    while (out > part && out[-1] == ' ')
        out--;
    *out = '\0';
    *rest = *text != '\0' ? text + 1 : NULL;
    return part;
}

static admin_result_t add_subject(apr_pool_t *p, X509_NAME *name, const char *text)
{
    char separator = *text == '/' ? '/' : ',';
    const char *rest = *text == '/' ? text + 1 : text;
    admin_result_t r = admin_ok();

    while (rest != NULL && r.exit == ADMIN_OK) {
        char *part = next_part(p, rest + strspn(rest, " "), separator, &rest), *equal;
        equal = strchr(part, '=');
        if (equal == NULL)
            return admin_fail(p, ADMIN_USAGE,
                              "--name: \"%s\" lacks its \"=\"; a comma or slash in a value wants a "
                              "backslash before it",
                              part);
        *equal = '\0';
        r = add_entry(p, name, part, equal + 1);
    }
    return r;
}

/* same: a certificate whose subject is taken where nothing is said; what: the end of a CN that is
 * made up. */
static admin_result_t make_subject(apr_pool_t *p, const admin_ca_options_t *options, X509 *same,
                                   const char *what, X509_NAME **name)
{
    int whole = options->name != NULL && (strchr(options->name, '=') || *options->name == '/');
    X509_NAME *made = same != NULL && options->name == NULL && options->organization == NULL
                          ? X509_NAME_dup(X509_get_subject_name(same))
                          : X509_NAME_new();
    admin_result_t r = admin_ok();

    *name = made;
    if (made == NULL)
        return admin_fail_openssl(p, "the subject");
    if (X509_NAME_entry_count(made) > 0)
        return r;
    if (whole && options->organization != NULL)
        return admin_fail(p, ADMIN_USAGE,
                          "--organization and a --name that is a whole subject do "
                          "not go together");
    if (whole)
        return add_subject(p, made, options->name);
    if (options->name == NULL && options->organization == NULL)
        return admin_fail(p, ADMIN_USAGE,
                          "--organization or --name is missing: what people will see of it, as in "
                          "--organization \"Example Corp\"");
    if (options->organization != NULL)
        r = add_entry(p, made, "O", options->organization);
    if (r.exit == ADMIN_OK)
        r = add_entry(p, made, "CN",
                      options->name != NULL
                          ? options->name
                          : apr_pstrcat(p, options->organization, " ", what, NULL));
    return r;
}

/* --- certificates --- */

static int set_extensions(X509 *cert, X509 *issuer, const char *const (*extensions)[2])
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (; (*extensions)[0] != NULL; extensions++) {
        X509_EXTENSION *extension =
            X509V3_EXT_nconf(NULL, &ctx, (*extensions)[0], (*extensions)[1]);
        int good = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        if (!good)
            return 0;
    }
    return 1;
}

static int set_serial(X509 *cert)
{
    unsigned char serial[SERIAL_BYTES];

    if (RAND_bytes(serial, sizeof(serial)) != 1)
        return 0;
    /* positive, and of one length always, as core's mdm_ca */
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    return ASN1_STRING_set(X509_get_serialNumber(cert), serial, sizeof(serial));
}

/* A certificate to be made; issuer is NULL for one that signs itself. */
typedef struct draft_t {
    X509_NAME *subject;
    EVP_PKEY *key;
    X509 *issuer;
    EVP_PKEY *issuer_key;
    const char *const (*extensions)[2];
    apr_int64_t not_after;
} draft_t;

static admin_result_t certify(apr_pool_t *p, const draft_t *draft, X509 **out)
{
    X509 *cert = mdm_x509_own(p, X509_new());
    X509 *issuer = draft->issuer != NULL ? draft->issuer : cert;
    const EVP_MD *md = EVP_PKEY_get_bits(draft->issuer_key) == 384 ? EVP_sha384() : EVP_sha256();

    if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
        X509_set_subject_name(cert, draft->subject) != 1 ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(admin_now() - CLOCK_SKEW)) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)draft->not_after) == NULL ||
        X509_set_pubkey(cert, draft->key) != 1 ||
        !set_extensions(cert, issuer, draft->extensions) ||
        X509_sign(cert, draft->issuer_key, md) == 0)
        return admin_fail_openssl(p, "the certificate cannot be made");
    *out = cert;
    return admin_ok();
}

static admin_result_t read_certificate(apr_pool_t *p, const char *path, X509 **cert)
{
    STACK_OF(X509) *certs = NULL;
    mdm_result_t r = mdm_x509_read_certificates(p, path, &certs);

    if (r.kind == MDM_OK)
        *cert = sk_X509_value(certs, 0);
    return admin_of(p, ADMIN_LOCAL, r);
}

static void say_made(apr_pool_t *p, const admin_ca_options_t *options, const char *what, X509 *cert,
                     const char *kind)
{
    admin_say("%s", what);
    admin_say("  subject      %s", mdm_x509_subject(p, cert));
    admin_say("  validity     %s to %s", admin_time(p, mdm_x509_not_before(cert)),
              admin_time(p, mdm_x509_not_after(cert)));
    admin_say("  key          %s%s", kind, options->encrypt ? ", encrypted by a pass phrase" : "");
    admin_say("  fingerprint  %s (SHA-256)", mdm_x509_fingerprint(p, cert));
    admin_say("  certificate  %s", options->cert);
    admin_say("  private key  %s (mode 0600; back it up where your other keys are)", options->key);
}

/* As httpd wants them: its files are relative to its ServerRoot, ours to the working directory. */
static void say_directive(const char *name, const admin_ca_options_t *options)
{
    char *cert = realpath(options->cert, NULL), *key = realpath(options->key, NULL);

    admin_say("In httpd's configuration: %s %s %s", name, cert ? cert : options->cert,
              key ? key : options->key);
    free(cert);
    free(key);
}

/* Make the key, the certificate and the files. */
static admin_result_t make_pair(apr_pool_t *p, const admin_ca_options_t *options, const char *kind,
                                draft_t *draft, X509 **cert)
{
    const char *passphrase = NULL;
    admin_result_t r = admin_ok();

    if (options->encrypt)
        r = admin_passphrase(p, options->passphrase_file, options->key, 1, &passphrase);
    if (r.exit == ADMIN_OK)
        r = admin_key_make(p, kind, &draft->key);
    if (r.exit == ADMIN_OK && draft->issuer_key == NULL)
        draft->issuer_key = draft->key;
    if (r.exit == ADMIN_OK)
        r = certify(p, draft, cert);
    if (r.exit == ADMIN_OK)
        r = admin_pair_write(p, options->cert, *cert, options->key, draft->key, passphrase,
                             options->force);
    return r;
}

admin_result_t admin_make_ca(apr_pool_t *p, const admin_ca_options_t *options)
{
    X509 *before = NULL, *cert = NULL;
    const char *kind = options->kind;
    draft_t draft = {.not_after =
                         admin_now() + (options->days ? options->days : ADMIN_CA_DAYS) * DAY};
    admin_result_t r = admin_pair_check(p, options->cert, options->key, options->force);

    if (r.exit == ADMIN_OK && options->renew != NULL)
        r = read_certificate(p, options->renew, &before);
    if (r.exit == ADMIN_OK && before != NULL && X509_check_ca(before) != 1)
        r = admin_fail(p, ADMIN_LOCAL, "--renew %s: it is not the certificate of a CA",
                       options->renew);
    if (r.exit != ADMIN_OK)
        return r;
    if (kind == NULL)
        kind = before != NULL ? admin_key_kind(X509_get0_pubkey(before)) : DEFAULT_KIND;
    draft.extensions = strncmp(kind, "rsa", 3) == 0 ? ca_rsa_extensions : ca_ec_extensions;
    r = make_subject(p, options, before, "device identities", &draft.subject);
    if (r.exit == ADMIN_OK)
        r = make_pair(p, options, kind, &draft, &cert);
    X509_NAME_free(draft.subject);
    if (r.exit != ADMIN_OK)
        return r;
    say_made(p, options, "A CA for the identities of devices:", cert, kind);
    if (draft.extensions == ca_ec_extensions)
        admin_say("Devices cannot encrypt SCEP messages to this key: it needs an RA (make-ra).");
    if (before != NULL)
        admin_say("It is a new CA with a key of its own: until %s the MDM server must trust both.",
                  admin_time(p, mdm_x509_not_after(before)));
    say_directive("MDMEnrollCA", options);
    return r;
}

/* --- the RA --- */

static admin_result_t read_ca(apr_pool_t *p, const admin_ca_options_t *options, draft_t *draft)
{
    admin_result_t r = read_certificate(p, options->ca_cert, &draft->issuer);

    if (r.exit == ADMIN_OK && (X509_check_ca(draft->issuer) != 1 ||
                               (X509_get_key_usage(draft->issuer) & KU_KEY_CERT_SIGN) == 0))
        return admin_fail(p, ADMIN_LOCAL, "%s: it is not the certificate of a CA that may issue",
                          options->ca_cert);
    if (r.exit == ADMIN_OK)
        r = admin_key_read(p, options->ca_key, options->ca_passphrase_file, &draft->issuer_key);
    if (r.exit == ADMIN_OK && X509_check_private_key(draft->issuer, draft->issuer_key) != 1) {
        ERR_clear_error();
        return admin_fail(p, ADMIN_LOCAL, "the key in %s does not belong to the certificate in %s",
                          options->ca_key, options->ca_cert);
    }
    return r;
}

static admin_result_t set_end(apr_pool_t *p, const admin_ca_options_t *options, draft_t *draft)
{
    apr_int64_t now = admin_now(), end = mdm_x509_not_after(draft->issuer);

    draft->not_after = options->days ? now + options->days * DAY : end;
    if (end <= now)
        return admin_fail(p, ADMIN_LOCAL, "%s: the CA ended %s", options->ca_cert,
                          admin_time(p, end));
    if (draft->not_after > end)
        return admin_fail(p, ADMIN_USAGE,
                          "--days %" APR_INT64_T_FMT
                          ": the RA would outlive its CA, which ends %s; "
                          "at most %" APR_INT64_T_FMT " days, or leave --days out",
                          options->days, admin_time(p, end), (end - now) / DAY);
    return admin_ok();
}

/* The CA's subject, with " RA" behind its CN. */
static admin_result_t ra_subject(apr_pool_t *p, X509 *ca, X509_NAME **subject)
{
    X509_NAME *made = X509_NAME_dup(X509_get_subject_name(ca));
    int index = made ? X509_NAME_get_index_by_NID(made, NID_commonName, -1) : -1;
    X509_NAME_ENTRY *entry = index >= 0 ? X509_NAME_delete_entry(made, index) : NULL;
    unsigned char *text = NULL;
    const char *name = "RA";

    if (entry != NULL && ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) > 0)
        name = apr_pstrcat(p, (const char *)text, " RA", NULL);
    OPENSSL_free(text);
    X509_NAME_ENTRY_free(entry);
    ERR_clear_error();
    *subject = made;
    return made != NULL ? add_entry(p, made, "CN", name) : admin_fail_openssl(p, "the subject");
}

admin_result_t admin_make_ra(apr_pool_t *p, const admin_ca_options_t *options)
{
    draft_t draft = {.extensions = ra_extensions};
    X509 *cert = NULL;
    admin_result_t r = admin_pair_check(p, options->cert, options->key, options->force);

    if (r.exit == ADMIN_OK)
        r = read_ca(p, options, &draft);
    if (r.exit == ADMIN_OK)
        r = set_end(p, options, &draft);
    if (r.exit != ADMIN_OK)
        return r;
    if (options->name == NULL && options->organization == NULL)
        r = ra_subject(p, draft.issuer, &draft.subject);
    else
        r = make_subject(p, options, NULL, "RA", &draft.subject);
    if (r.exit == ADMIN_OK &&
        X509_NAME_cmp(draft.subject, X509_get_subject_name(draft.issuer)) == 0)
        r = admin_fail(p, ADMIN_USAGE, "--name: the RA must not have the subject of its CA");
    if (r.exit == ADMIN_OK)
        r = make_pair(p, options, RA_KIND, &draft, &cert);
    X509_NAME_free(draft.subject);
    if (r.exit != ADMIN_OK)
        return r;
    say_made(p, options, "An RA, which answers SCEP in the CA's place:", cert, RA_KIND);
    say_directive("MDMEnrollRA", options);
    return r;
}
