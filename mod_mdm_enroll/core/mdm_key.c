/* SPDX-License-Identifier: Apache-2.0
 * Private keys from a PEM file, encrypted or not, or from a token, and with their certificates:
 * signers. Depends on mdm_asker, mdm_token, mdm_x509.
 */
#include "mdm_key.h"

#include <apr_strings.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "mdm_token.h"

const char *mdm_key_name(apr_pool_t *p, const char *source)
{
    return mdm_token_is_uri(source) ? mdm_token_name(p, source) : source;
}

/* --- a file --- */

/* The content of a file. It may be a key in clear: to be given back with OPENSSL_clear_free(). */
static mdm_result_t load_file(apr_pool_t *p, const char *file, char **content, apr_size_t *len)
{
    char reason[128];

    FILE *f = fopen(file, "rb");
    if (!f) {
        return mdm_result_make(p, MDM_MSG_FILE, "cannot open %s: %s", file,
                               apr_strerror(APR_FROM_OS_ERROR(errno), reason, sizeof(reason)));
    }
    setvbuf(f, NULL, _IONBF, 0); /* the buffer of a FILE is not wiped */
    char *bytes = OPENSSL_malloc(MDM_KEY_FILE_BYTES);
    apr_size_t got = bytes ? fread(bytes, 1, MDM_KEY_FILE_BYTES, f) : 0;
    int failed = ferror(f) ? errno : 0;
    fclose(f);
    if (bytes && !failed && got < MDM_KEY_FILE_BYTES) {
        *content = bytes;
        *len = got;
        return mdm_result_ok();
    }
    OPENSSL_clear_free(bytes, MDM_KEY_FILE_BYTES);
    if (!bytes)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "out of memory");
    return mdm_result_make(p, MDM_MSG_FILE, "cannot read a PEM private key from %s: %s", file,
                           failed ? apr_strerror(APR_FROM_OS_ERROR(failed), reason, sizeof(reason))
                                  : "it is too long for a key");
}

/* One try to decrypt a file. */
typedef struct {
    apr_pool_t *p;
    const char *file;
    const mdm_asker_t *asker;
    int attempt;
    int asked;
    const char *why; /* NULL: phrase is there */
    char phrase[MDM_PASSPHRASE_BYTES];
} question_t;

/* OpenSSL may come more than once for one key, since it tries it as this and as that: the question
 * is put once. Its own way would be to ask at the terminal, and to hang a server that has one. */
static int give_phrase(char *buffer, int size, int writing, void *context)
{
    question_t *q = context;

    (void)writing;
    if (!q->asked) {
        q->asked = 1;
        q->why =
            q->asker ? q->asker->ask(q->asker->context, q->p, q->file, q->attempt, q->phrase) : "";
    }
    apr_size_t len = q->why ? 0 : strlen(q->phrase);
    if (q->why || size < 0 || len > (apr_size_t)size)
        return -1;
    memcpy(buffer, q->phrase, len);
    return (int)len;
}

static mdm_result_t cannot_read(apr_pool_t *p, const question_t *q, const char *reason)
{
    if (!q->asked)
        return mdm_result_make(p, MDM_MSG_FILE, "cannot read a PEM private key from %s: %s",
                               q->file, reason);
    if (!q->asker)
        return mdm_result_make(p, MDM_MSG_FILE,
                               "cannot read a PEM private key from %s: it is encrypted; wanted one "
                               "without a password",
                               q->file);
    if (q->why)
        return mdm_result_make(p, MDM_MSG_FILE, "the private key in %s is encrypted, and %s",
                               q->file, q->why);
    return mdm_result_make(p, MDM_MSG_FILE,
                           "the private key in %s is encrypted, and the pass phrase is wrong (%s)",
                           q->file, reason);
}

static mdm_result_t read_file(apr_pool_t *p, const char *file, const mdm_asker_t *asker,
                              EVP_PKEY **key)
{
    question_t q = {.p = p, .file = file, .asker = asker};
    EVP_PKEY *found = NULL;
    const char *reason = NULL;
    char *content;
    apr_size_t len;

    mdm_result_t r = load_file(p, file, &content, &len);
    if (r.kind != MDM_OK)
        return r;
    do {
        q.asked = 0;
        q.attempt++;
        BIO *bio = BIO_new_mem_buf(content, (int)len);
        if (bio)
            found = mdm_x509_own_key(p, PEM_read_bio_PrivateKey(bio, NULL, give_phrase, &q));
        BIO_free(bio);
        reason = mdm_openssl_reason(p);
    } while (!found && q.asked && !q.why && q.attempt < asker->attempts);
    OPENSSL_cleanse(q.phrase, sizeof(q.phrase));
    OPENSSL_clear_free(content, MDM_KEY_FILE_BYTES);
    if (!found)
        return cannot_read(p, &q, reason);
    *key = found;
    return mdm_result_ok();
}

/* --- either --- */

mdm_result_t mdm_key_read(apr_pool_t *p, const char *source, const mdm_asker_t *asker,
                          EVP_PKEY **key)
{
    return mdm_token_is_uri(source) ? mdm_token_read_key(p, source, asker, key)
                                    : read_file(p, source, asker, key);
}

mdm_result_t mdm_key_digest(apr_pool_t *p, const char *source, unsigned char *digest)
{
    char *content = NULL;
    apr_size_t len = 0;

    if (!mdm_token_is_uri(source)) {
        mdm_result_t r = load_file(p, source, &content, &len);
        if (r.kind != MDM_OK)
            return r;
    }
    int ok = content ? EVP_Digest(content, len, digest, NULL, EVP_sha256(), NULL)
                     : EVP_Digest(source, strlen(source), digest, NULL, EVP_sha256(), NULL);
    if (content)
        OPENSSL_clear_free(content, MDM_KEY_FILE_BYTES);
    if (!ok)
        return mdm_sha256_failed(p);
    return mdm_result_ok();
}

/* --- signers --- */

static mdm_result_t read_key(apr_pool_t *p, const char *source, const mdm_key_reader_t *reader,
                             X509 *cert, EVP_PKEY **key)
{
    return reader ? reader->read(reader->context, p, source, cert, key)
                  : mdm_key_read(p, source, NULL, key);
}

mdm_result_t mdm_signer_read(apr_pool_t *p, const char *cert_file, const char *key_source,
                             const char *chain_file, const mdm_key_reader_t *reader,
                             mdm_signer_t **signer)
{
    mdm_signer_t *made = apr_pcalloc(p, sizeof(*made));
    STACK_OF(X509) *more = NULL;

    mdm_result_t r = mdm_x509_read_certificates(p, cert_file, &made->chain);
    if (r.kind != MDM_OK)
        return r;
    made->cert = mdm_x509_own(p, sk_X509_shift(made->chain));
    r = read_key(p, key_source, reader, made->cert, &made->key);
    if (r.kind != MDM_OK)
        return r;
    if (X509_check_private_key(made->cert, made->key) != 1) {
        return mdm_result_make(p, MDM_MSG_FILE,
                               "the key in %s does not belong to the first certificate in %s: %s",
                               mdm_key_name(p, key_source), cert_file, mdm_openssl_reason(p));
    }
    if (chain_file) {
        r = mdm_x509_read_certificates(p, chain_file, &more);
        if (r.kind != MDM_OK)
            return r;
        if (!X509_add_certs(made->chain, more, X509_ADD_FLAG_UP_REF)) {
            return mdm_result_make(p, MDM_MSG_CRYPTO, "cannot append the chain of %s: %s",
                                   chain_file, mdm_openssl_reason(p));
        }
    }
    *signer = made;
    return mdm_result_ok();
}
