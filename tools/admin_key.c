/* SPDX-License-Identifier: Apache-2.0
 * Keys for make-ca and make-ra. Depends on admin_output and core's mdm_x509.
 */
#include "admin_key.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mdm_x509.h"

#define MAX_PASSPHRASE 1000
#define MIN_PASSPHRASE 8

static const struct {
    const char *name;
    int bits;          /* RSA */
    const char *curve; /* or EC */
} kinds[] = {
    {"rsa2048", 2048, NULL}, {"rsa3072", 3072, NULL}, {"rsa4096", 4096, NULL},
    {"p256", 0, "P-256"},    {"p384", 0, "P-384"},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

int admin_key_known(const char *kind)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].name, kind) == 0)
            return 1;
    return 0;
}

const char *admin_key_kind(EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    if (EVP_PKEY_is_a(key, "EC"))
        return bits <= 256 ? "p256" : "p384";
    return bits <= 2048 ? "rsa2048" : bits <= 3072 ? "rsa3072" : "rsa4096";
}

admin_result_t admin_key_make(apr_pool_t *p, const char *kind, EVP_PKEY **key)
{
    EVP_PKEY *made = NULL;

    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].name, kind) == 0)
            made = kinds[i].curve != NULL ? EVP_EC_gen(kinds[i].curve)
                                          : EVP_RSA_gen((unsigned int)kinds[i].bits);
    if (made == NULL)
        return admin_fail_openssl(p, "the key cannot be made");
    *key = mdm_x509_own_key(p, made);
    return admin_ok();
}

/* --- pass phrases: never on the command line, where every user of the machine can read it --- */

static admin_result_t first_line(apr_pool_t *p, const char *file, const char *what,
                                 const char **line)
{
    int standard = strcmp(file, "-") == 0;
    FILE *f = standard ? stdin : fopen(file, "re");
    char *buffer = apr_palloc(p, MAX_PASSPHRASE + 2);
    char *got;

    if (f == NULL)
        return admin_fail(p, ADMIN_LOCAL, "the pass phrase of %s: %s: %s", what, file,
                          strerror(errno));
    got = fgets(buffer, MAX_PASSPHRASE + 2, f);
    if (!standard)
        fclose(f);
    if (got != NULL)
        got[strcspn(got, "\r\n")] = '\0';
    if (got == NULL || *got == '\0' || strlen(got) > MAX_PASSPHRASE)
        return admin_fail(p, ADMIN_LOCAL,
                          "the pass phrase of %s: the first line of %s is empty or longer than %d "
                          "bytes",
                          what, standard ? "standard input" : file, MAX_PASSPHRASE);
    *line = got;
    return admin_ok();
}

static admin_result_t ask(apr_pool_t *p, const char *prompt, const char **typed)
{
    char *buffer = apr_pcalloc(p, MAX_PASSPHRASE + 1);
    apr_size_t len = MAX_PASSPHRASE;

    if (apr_password_get(prompt, buffer, &len) != APR_SUCCESS)
        return admin_fail(p, ADMIN_LOCAL, "the pass phrase cannot be read");
    *typed = buffer;
    return admin_ok();
}

admin_result_t admin_passphrase(apr_pool_t *p, const char *file, const char *what, int is_new,
                                const char **passphrase)
{
    const char *again = NULL;
    admin_result_t r;

    if (file == NULL && !isatty(STDIN_FILENO))
        return admin_fail(p, ADMIN_USAGE,
                          "the pass phrase of %s: give its option a file (or - for standard "
                          "input), or run it on a terminal",
                          what);
    r = file != NULL ? first_line(p, file, what, passphrase)
                     : ask(p, apr_pstrcat(p, "Pass phrase of ", what, ": ", NULL), passphrase);
    if (r.exit != ADMIN_OK || !is_new)
        return r;
    if (strlen(*passphrase) < MIN_PASSPHRASE)
        return admin_fail(p, ADMIN_USAGE,
                          "the pass phrase of %s: %d characters are wanted at least", what,
                          MIN_PASSPHRASE);
    if (file == NULL)
        r = ask(p, "The same once more: ", &again);
    if (r.exit == ADMIN_OK && again != NULL && strcmp(again, *passphrase) != 0)
        return admin_fail(p, ADMIN_USAGE, "the two pass phrases differ");
    return r;
}

typedef struct asking_t {
    apr_pool_t *p;
    const char *path;
    const char *file;
    admin_result_t result;
    int asked;
} asking_t;

static int give_passphrase(char *buffer, int size, int writing, void *baton)
{
    asking_t *asking = baton;
    const char *passphrase;

    (void)writing;
    asking->asked = 1;
    asking->result = admin_passphrase(asking->p, asking->file, asking->path, 0, &passphrase);
    if (asking->result.exit != ADMIN_OK || strlen(passphrase) > (size_t)size)
        return -1;
    memcpy(buffer, passphrase, strlen(passphrase));
    return (int)strlen(passphrase);
}

admin_result_t admin_key_read(apr_pool_t *p, const char *path, const char *passphrase_file,
                              EVP_PKEY **key)
{
    asking_t asking = {p, path, passphrase_file, admin_ok(), 0};
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return admin_fail(p, ADMIN_LOCAL, "%s: %s", path, strerror(errno));
    *key = mdm_x509_own_key(p, PEM_read_PrivateKey(f, NULL, give_passphrase, &asking));
    fclose(f);
    if (*key != NULL) {
        ERR_clear_error();
        return admin_ok();
    }
    if (asking.result.exit != ADMIN_OK)
        return asking.result;
    if (asking.asked)
        return admin_fail_openssl(p, apr_pstrcat(p, path, ": the pass phrase is wrong", NULL));
    return admin_fail_openssl(p, apr_pstrcat(p, path, ": no PEM private key", NULL));
}

/* --- files --- */

static int is_there(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0;
}

admin_result_t admin_pair_check(apr_pool_t *p, const char *cert_path, const char *key_path,
                                int force)
{
    const char *const paths[] = {cert_path, key_path};

    if (strcmp(cert_path, key_path) == 0)
        return admin_fail(p, ADMIN_USAGE, "certificate and key want a file each, not both %s",
                          cert_path);
    for (int i = 0; i < 2; i++) {
        const char *slash = strrchr(paths[i], '/');
        const char *folder =
            slash ? apr_pstrmemdup(p, paths[i], (apr_size_t)(slash - paths[i]) + 1) : ".";
        if (!force && is_there(paths[i]))
            return admin_fail(p, ADMIN_LOCAL,
                              "%s is there already; nothing was written (--force "
                              "replaces it, and what it was is lost)",
                              paths[i]);
        if (access(folder, W_OK | X_OK) != 0)
            return admin_fail(p, ADMIN_LOCAL, "%s: %s", folder, strerror(errno));
    }
    return admin_ok();
}

/* Into a new file beside path, whose name is returned in *temporary. */
static admin_result_t write_beside(apr_pool_t *p, const char *path, mode_t mode, const char *text,
                                   long len, const char **temporary)
{
    char *name = apr_pstrcat(p, path, ".XXXXXX", NULL);
    int fd = mkstemp(name); /* 0600 */
    int failed;

    if (fd < 0)
        return admin_fail(p, ADMIN_LOCAL, "%s: %s", path, strerror(errno));
    *temporary = name;
    failed = fchmod(fd, mode) != 0 || write(fd, text, (size_t)len) != len || fsync(fd) != 0;
    if (close(fd) != 0 || failed) {
        admin_result_t r = admin_fail(p, ADMIN_LOCAL, "%s: %s", path, strerror(errno));
        unlink(name);
        *temporary = NULL;
        return r;
    }
    return admin_ok();
}

/* link() never replaces, where rename() always would. */
static admin_result_t put_in_place(apr_pool_t *p, const char *temporary, const char *path,
                                   int force)
{
    if (force ? rename(temporary, path) != 0 : link(temporary, path) != 0)
        return admin_fail(p, ADMIN_LOCAL, "%s: %s", path, strerror(errno));
    if (!force)
        unlink(temporary);
    return admin_ok();
}

static void sync_folder(apr_pool_t *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    int fd = open(slash ? apr_pstrmemdup(p, path, (apr_size_t)(slash - path) + 1) : ".",
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    fsync(fd); /* as far as the file system can */
    close(fd);
}

static admin_result_t write_texts(apr_pool_t *p, const char *cert_path, BIO *cert,
                                  const char *key_path, BIO *key, int force)
{
    const char *cert_file = NULL, *key_file = NULL;
    char *text;
    long len = BIO_get_mem_data(key, &text);
    admin_result_t r = write_beside(p, key_path, 0600, text, len, &key_file);

    len = BIO_get_mem_data(cert, &text);
    if (r.exit == ADMIN_OK)
        r = write_beside(p, cert_path, 0644, text, len, &cert_file);
    if (r.exit == ADMIN_OK) {
        r = put_in_place(p, key_file, key_path, force);
        key_file = r.exit == ADMIN_OK ? NULL : key_file;
    }
    if (r.exit == ADMIN_OK) {
        r = put_in_place(p, cert_file, cert_path, force);
        cert_file = r.exit == ADMIN_OK ? NULL : cert_file;
        if (r.exit != ADMIN_OK && !force)
            unlink(key_path); /* ours, of this moment */
    }
    if (key_file != NULL)
        unlink(key_file);
    if (cert_file != NULL)
        unlink(cert_file);
    sync_folder(p, key_path);
    sync_folder(p, cert_path);
    return r;
}

admin_result_t admin_pair_write(apr_pool_t *p, const char *cert_path, X509 *cert,
                                const char *key_path, EVP_PKEY *key, const char *passphrase,
                                int force)
{
    BIO *cert_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_secmem());
    admin_result_t r;

    if (cert_text == NULL || key_text == NULL || PEM_write_bio_X509(cert_text, cert) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key_text, key, passphrase ? EVP_aes_256_cbc() : NULL,
                                      passphrase, passphrase ? (int)strlen(passphrase) : 0, NULL,
                                      NULL) != 1)
        r = admin_fail_openssl(p, "the files cannot be made");
    else
        r = write_texts(p, cert_path, cert_text, key_path, key_text, force);
    BIO_free(cert_text);
    BIO_free(key_text);
    return r;
}
