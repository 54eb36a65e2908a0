/* SPDX-License-Identifier: Apache-2.0
 * Which database: the argument of MDMEnrollStore taken apart, checked, and completed for the
 * driver. Depends on APR and apr-util only.
 */
#include "dbd_target.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_dbd.h>
#include <apr_strings.h>
#include <apr_tables.h>

#define WANTED "wanted is sqlite3:/absolute/path or pgsql:conninfo"

static const char *skip_blanks(const char *c)
{
    while (isspace((unsigned char)*c))
        c++;
    return c;
}

/* Behind a value as libpq reads it, or NULL if it does not end. */
static const char *skip_value(const char *c)
{
    int quoted = *c == '\'';

    for (c += quoted; *c != '\0' && (quoted ? *c != '\'' : !isspace((unsigned char)*c)); c++)
        if (*c == '\\' && *++c == '\0')
            return NULL; /* would swallow the blank before what is appended */
    if (!quoted)
        return c;
    return *c == '\'' ? c + 1 : NULL;
}

/* The keys of a conninfo in their order, or NULL and what is wrong with it. */
static apr_array_header_t *keys_of(apr_pool_t *p, const char *conninfo, const char **error)
{
    apr_array_header_t *keys = apr_array_make(p, 8, sizeof(const char *));
    const char *c = skip_blanks(conninfo);

    while (*c != '\0') {
        const char *key = c;

        while (islower((unsigned char)*c) || *c == '_')
            c++;
        APR_ARRAY_PUSH(keys, const char *) = apr_pstrmemdup(p, key, (apr_size_t)(c - key));
        if (c == key || *(c = skip_blanks(c)) != '=') {
            *error = "a \"=\" is missing, or a value with blanks lacks its single quotes";
            return NULL;
        }
        c = skip_value(skip_blanks(c + 1));
        if (!c) {
            *error = "a single quote is not closed, or nothing follows a backslash";
            return NULL;
        }
        c = skip_blanks(c);
    }
    return keys;
}

static const char *check_conninfo(apr_pool_t *p, const char *conninfo)
{
    const char *error = NULL;
    apr_array_header_t *keys;

    if (strncmp(conninfo, "postgres", 8) == 0 && strstr(conninfo, "://"))
        error = "it is a URI, but key=value is what time limits can be added to";
    else if ((keys = keys_of(p, conninfo, &error)) != NULL && keys->nelts == 0)
        error = "it is empty";
    if (!error)
        return NULL;
    return apr_psprintf(p,
                        "the conninfo for PostgreSQL (not shown here) cannot be used: %s; wanted "
                        "is pgsql:key=value ..., as in \"pgsql:host=db.example.com dbname=mdm "
                        "user=mdm password='...'\"",
                        error);
}

const char *mdm_dbd_parse(apr_pool_t *p, const char *store, mdm_dbd_kind_t *kind,
                          const char **target)
{
    apr_size_t scheme = strspn(store, "abcdefghijklmnopqrstuvwxyz0123456789");
    const char *rest = store + scheme + 1;
    const char *error = NULL;

    /* A conninfo without its prefix holds a password: only what looks like a prefix is shown. */
    if (store[scheme] != ':')
        return "the kind of database is missing; " WANTED;
    if (strncmp(store, "sqlite3:", 8) == 0) {
        *kind = MDM_DBD_SQLITE;
        if (rest[0] != '/' || rest[strlen(rest) - 1] == '/')
            error = apr_psprintf(p,
                                 "\"%s\" is not the absolute path of a file; wanted is "
                                 "sqlite3:/absolute/path, as in "
                                 "sqlite3:/var/lib/mdm-enroll/enroll.db",
                                 rest);
    } else if (strncmp(store, "pgsql:", 6) == 0) {
        *kind = MDM_DBD_PGSQL;
        error = check_conninfo(p, rest);
    } else {
        error = apr_psprintf(p, "\"%.*s:\" is not a kind of database that is served; " WANTED,
                             (int)scheme, store);
    }
    if (!error)
        *target = apr_pstrdup(p, rest);
    return error;
}

const char *mdm_dbd_driver_name(mdm_dbd_kind_t kind)
{
    return kind == MDM_DBD_SQLITE ? "sqlite3" : "pgsql";
}

const char *mdm_dbd_check_driver(apr_pool_t *p, mdm_dbd_kind_t kind)
{
    const char *debian =
        kind == MDM_DBD_SQLITE ? "libaprutil1-dbd-sqlite3" : "libaprutil1-dbd-pgsql";
    const char *fedora = kind == MDM_DBD_SQLITE ? "apr-util-sqlite" : "apr-util-pgsql";
    const apr_dbd_driver_t *driver;
    char text[120];
    apr_status_t rv = apr_dbd_init(p);

    if (rv == APR_SUCCESS)
        rv = apr_dbd_get_driver(p, mdm_dbd_driver_name(kind), &driver);
    if (rv == APR_SUCCESS)
        return NULL;
    return apr_psprintf(p,
                        "apr_dbd's driver \"%s\" cannot be loaded (%s); wanted is the package %s "
                        "(Debian) or %s (Fedora)",
                        mdm_dbd_driver_name(kind), apr_strerror(rv, text, sizeof(text)), debian,
                        fedora);
}

static int has_key(const apr_array_header_t *keys, const char *key)
{
    for (int i = 0; i < keys->nelts; i++)
        if (strcmp(APR_ARRAY_IDX(keys, i, const char *), key) == 0)
            return 1;
    return 0;
}

const char *mdm_dbd_complete(apr_pool_t *p, const char *conninfo)
{
    static const char *const limits[][2] = {
        {"connect_timeout", "3"}, /* libpq counts whole seconds: it may be 2 */
        {"options", "'-c statement_timeout=3000 -c lock_timeout=2000'"},
        {"tcp_user_timeout", "3000"},
        {"application_name", "mdm_enroll"},
    };
    const char *home = getenv("HOME"), *error;
    const apr_array_header_t *keys = keys_of(p, conninfo, &error);

    if (!keys)
        return conninfo; /* and libpq will say so */
    for (apr_size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (!has_key(keys, limits[i][0]))
            conninfo = apr_pstrcat(p, conninfo, " ", limits[i][0], "=", limits[i][1], NULL);
    /* httpd's children inherit root's HOME, and libpq gives up over a client certificate that it
     * may not look for there. One that does not exist is fine. */
    if (home && !has_key(keys, "sslcert") &&
        access(apr_pstrcat(p, home, "/.postgresql/postgresql.crt", NULL), R_OK) != 0 &&
        errno == EACCES)
        conninfo = apr_pstrcat(p, conninfo, " sslcert=/nonexistent", NULL);
    return conninfo;
}

/* libpq repeats an option that it does not know. Behind the password that may be a piece of one
 * whose blanks are not quoted. */
const char *mdm_dbd_withhold(apr_pool_t *p, const char *conninfo, const char *text)
{
    const char *error;
    const apr_array_header_t *keys = keys_of(p, conninfo, &error);
    int behind = 0;

    for (int i = 0; keys && i < keys->nelts; i++) {
        const char *key = APR_ARRAY_IDX(keys, i, const char *);
        if (behind && strstr(text, apr_pstrcat(p, "\"", key, "\"", NULL)))
            return "the text of the error is not shown, since it repeats what stands behind the "
                   "password in the conninfo; a password with blanks needs single quotes";
        behind = behind || strcmp(key, "password") == 0;
    }
    return keys ? text : "the conninfo is malformed";
}
