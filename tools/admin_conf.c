/* SPDX-License-Identifier: Apache-2.0
 * Which database httpd's configuration names. Depends on admin_output and core's mdm_result.
 */
#include "admin_conf.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "mdm_result.h"

#define MAX_DEPTH 16
#define MAX_FILES 2000

/* Debian and Ubuntu, Fedora and RHEL, and where docs/install.md puts the module's own file. */
static const char *const usual_places[] = {
    "/etc/mdm-enroll/*.conf",           "/etc/apache2/apache2.conf",
    "/etc/apache2/conf-enabled/*.conf", "/etc/apache2/mods-enabled/mdm_enroll.conf",
    "/etc/apache2/sites-enabled/*",     "/etc/httpd/conf/httpd.conf",
    "/etc/httpd/conf.d/*.conf",         "/usr/local/apache2/conf/httpd.conf",
};

typedef struct found_t {
    const char *store;
    const char *where;
} found_t;

typedef struct reader_t {
    apr_pool_t *p;
    apr_hash_t *defines;
    apr_hash_t *seen;           /* files: each is read once */
    const char *root;           /* that names of files are relative to */
    apr_array_header_t *stores; /* found_t, all different */
    const char *undefined;      /* a MDMEnrollStore that cannot be told: where, and why */
    int files;
} reader_t;

/* The next word of a line: httpd's quoting (ap_getword_conf). NULL at its end. */
static const char *next_word(apr_pool_t *p, const char **line)
{
    const char *c = *line;
    char *word, *out, quote = '\0';

    while (isspace((unsigned char)*c))
        c++;
    if (*c == '\0')
        return NULL;
    word = out = apr_palloc(p, strlen(c) + 1);
    if (*c == '"' || *c == '\'')
        quote = *c++;
    for (; *c != '\0' && (quote != '\0' ? *c != quote : !isspace((unsigned char)*c)); c++) {
        if (quote != '\0' && *c == '\\' && (c[1] == quote || c[1] == '\\'))
            c++;
        *out++ = *c;
    }
    *out = '\0';
    *line = *c != '\0' ? c + 1 : c;
    return word;
}

/* ${NAME} replaced where it is defined; *left is the first name that is not. */
static const char *expand(reader_t *reader, const char *text, const char **left)
{
    const char *out = "", *open, *close;

    while ((open = strstr(text, "${")) != NULL && (close = strchr(open, '}')) != NULL) {
        const char *name = apr_pstrmemdup(reader->p, open + 2, (apr_size_t)(close - open - 2));
        const char *value = apr_hash_get(reader->defines, name, APR_HASH_KEY_STRING);
        if (value == NULL && *left == NULL)
            *left = name;
        out =
            apr_pstrcat(reader->p, out, apr_pstrmemdup(reader->p, text, (apr_size_t)(open - text)),
                        value != NULL ? value : "", NULL);
        text = close + 1;
    }
    return apr_pstrcat(reader->p, out, text, NULL);
}

static void take_store(reader_t *reader, const char *store, const char *left, const char *where)
{
    if (left != NULL) {
        reader->undefined = apr_psprintf(
            reader->p, "%s: MDMEnrollStore with ${%s}, which is not defined there", where, left);
        return;
    }
    for (int i = 0; i < reader->stores->nelts; i++)
        if (strcmp(APR_ARRAY_IDX(reader->stores, i, found_t).store, store) == 0)
            return;
    APR_ARRAY_PUSH(reader->stores, found_t) = (found_t){store, where};
}

static void read_matching(reader_t *reader, const char *pattern, int depth);

static void take_line(reader_t *reader, const char *line, const char *where, int depth)
{
    const char *left = NULL, *text = expand(reader, line, &left);
    const char *name = next_word(reader->p, &text), *first, *second;

    if (name == NULL || *name == '#' || *name == '<')
        return;
    first = next_word(reader->p, &text);
    second = next_word(reader->p, &text);
    if (first == NULL && left != NULL)
        first = "";
    if (first == NULL)
        return;
    if (strcasecmp(name, "MDMEnrollStore") == 0)
        take_store(reader, first, left, where);
    else if (strcasecmp(name, "Define") == 0)
        apr_hash_set(reader->defines, first, APR_HASH_KEY_STRING, second != NULL ? second : "");
    else if (strcasecmp(name, "UnDefine") == 0)
        apr_hash_set(reader->defines, first, APR_HASH_KEY_STRING, NULL);
    else if (strcasecmp(name, "ServerRoot") == 0)
        reader->root = first;
    else if ((strcasecmp(name, "Include") == 0 || strcasecmp(name, "IncludeOptional") == 0) &&
             left == NULL)
        read_matching(reader, first, depth + 1);
}

/* One line with what it continues on, without its end; NULL at the end of the file. */
static const char *next_line(reader_t *reader, FILE *f, int *number)
{
    const char *whole = NULL;
    char *buffer = NULL;
    size_t size = 0;
    ssize_t len;

    while ((len = getline(&buffer, &size, f)) >= 0) {
        int more;
        ++*number;
        while (len > 0 && (buffer[len - 1] == '\n' || buffer[len - 1] == '\r'))
            len--;
        more = len > 0 && buffer[len - 1] == '\\';
        whole = apr_pstrcat(reader->p, whole != NULL ? whole : "",
                            apr_pstrmemdup(reader->p, buffer, (apr_size_t)(len - more)), NULL);
        if (!more)
            break;
    }
    free(buffer);
    return whole;
}

static int read_file(reader_t *reader, const char *file, int depth)
{
    FILE *f;
    const char *line;
    int number = 0;

    if (apr_hash_get(reader->seen, file, APR_HASH_KEY_STRING) || ++reader->files > MAX_FILES)
        return 1;
    f = fopen(file, "re");
    if (f == NULL)
        return 0;
    apr_hash_set(reader->seen, apr_pstrdup(reader->p, file), APR_HASH_KEY_STRING, file);
    while ((line = next_line(reader, f, &number)) != NULL)
        take_line(reader, line, apr_psprintf(reader->p, "%s line %d", file, number), depth);
    fclose(f);
    return 1;
}

/* A file, the files of a folder, or those of a pattern. */
static void read_matching(reader_t *reader, const char *pattern, int depth)
{
    glob_t found = {0};

    if (depth > MAX_DEPTH)
        return;
    if (*pattern != '/' && reader->root != NULL)
        pattern = apr_pstrcat(reader->p, reader->root, "/", pattern, NULL);
    if (glob(pattern, GLOB_MARK, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const char *path = apr_pstrdup(reader->p, found.gl_pathv[i]);
            if (path[strlen(path) - 1] == '/')
                read_matching(reader, apr_pstrcat(reader->p, path, "*", NULL), depth + 1);
            else
                read_file(reader, path, depth);
        }
    }
    globfree(&found);
}

/* A conninfo may hold a password. */
static const char *shown(const char *store)
{
    return strncmp(store, "sqlite3:", 8) == 0 ? store : "pgsql:... (not shown)";
}

static admin_result_t judge(const reader_t *reader, const char *places, const char **store,
                            const char **where)
{
    const char *list = "";

    if (reader->undefined != NULL)
        return admin_fail(reader->p, ADMIN_DATABASE, "%s: say --store", reader->undefined);
    if (reader->stores->nelts == 0)
        return admin_fail(reader->p, ADMIN_DATABASE,
                          "no MDMEnrollStore in %s: say --store sqlite3:/path or --store "
                          "pgsql:conninfo as that directive does, set MDM_ENROLL_STORE, or name "
                          "httpd's file by --conf",
                          places);
    for (int i = 0; i < reader->stores->nelts; i++) {
        const found_t *found = &APR_ARRAY_IDX(reader->stores, i, found_t);
        list = apr_psprintf(reader->p, "%s%s%s (%s)", list, i > 0 ? ", " : "", shown(found->store),
                            found->where);
    }
    if (reader->stores->nelts > 1)
        return admin_fail(reader->p, ADMIN_USAGE,
                          "httpd's configuration names several databases: %s; say which by --store",
                          list);
    *store = APR_ARRAY_IDX(reader->stores, 0, found_t).store;
    *where = APR_ARRAY_IDX(reader->stores, 0, found_t).where;
    return admin_ok();
}

admin_result_t admin_conf_store(apr_pool_t *p, const char *file, const char **store,
                                const char **where)
{
    reader_t reader = {.p = p,
                       .defines = apr_hash_make(p),
                       .seen = apr_hash_make(p),
                       .stores = apr_array_make(p, 2, sizeof(found_t))};

    if (file != NULL) {
        const char *slash = strrchr(file, '/');
        reader.root = slash ? apr_pstrmemdup(p, file, (apr_size_t)(slash - file)) : ".";
        if (!read_file(&reader, file, 0))
            return admin_fail(p, ADMIN_LOCAL, "--conf %s: %s", file, strerror(errno));
        return judge(&reader, apr_pstrcat(p, file, " and what it includes", NULL), store, where);
    }
    for (size_t i = 0; i < sizeof(usual_places) / sizeof(usual_places[0]); i++) {
        const char *slash = strrchr(usual_places[i], '/');
        reader.root = apr_pstrmemdup(p, usual_places[i], (apr_size_t)(slash - usual_places[i]));
        read_matching(&reader, usual_places[i], 0);
    }
    return judge(&reader, "the usual places of httpd's configuration", store, where);
}
