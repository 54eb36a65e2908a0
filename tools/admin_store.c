/* SPDX-License-Identifier: Apache-2.0
 * The database of a running site, opened for its administrator. Depends on admin_conf, admin_output
 * and mod_mdm_enroll's dbd_handle, dbd_target and store_admin.
 */
#include "admin_store.h"

#include <apr_strings.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin_conf.h"
#include "dbd_target.h"

#define STORE_VARIABLE "MDM_ENROLL_STORE"

static admin_result_t become(apr_pool_t *p, const char *whose, uid_t uid, gid_t gid)
{
    const struct passwd *user = getpwuid(uid);

    if (geteuid() != 0 || uid == 0)
        return admin_ok();
    if ((user != NULL ? initgroups(user->pw_name, gid) : setgroups(1, &gid)) != 0 ||
        setgid(gid) != 0 || setuid(uid) != 0)
        return admin_fail(p, ADMIN_LOCAL, "cannot become %s: %s", whose, strerror(errno));
    /* libpq looks for its files at home. */
    if (user != NULL)
        setenv("HOME", user->pw_dir, 1);
    return admin_ok();
}

static admin_result_t become_user(apr_pool_t *p, const char *name)
{
    const struct passwd *user = getpwnam(name);

    if (user == NULL)
        return admin_fail(p, ADMIN_USAGE, "--run-as %s: there is no such user", name);
    if (geteuid() != 0 && geteuid() != user->pw_uid)
        return admin_fail(p, ADMIN_USAGE, "--run-as %s: only root can become another user", name);
    return become(p, apr_psprintf(p, "the user %s", name), user->pw_uid, user->pw_gid);
}

/* Nothing is made by mistake, and nothing is made as root. */
static admin_result_t prepare_file(apr_pool_t *p, const char *path)
{
    struct stat info;

    /* Whoever owns the folder could put a link to another's file there. */
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && geteuid() == 0)
        return admin_fail(p, ADMIN_DATABASE,
                          "sqlite3:%s is a link; name the file itself, or run this as httpd's "
                          "run-time user",
                          path);
    if (stat(path, &info) != 0)
        return admin_fail(p, ADMIN_DATABASE, "sqlite3:%s: %s%s", path, strerror(errno),
                          errno == ENOENT   ? "; httpd makes it at the first enrollment"
                          : errno == EACCES ? "; run this as root, or as httpd's run-time user"
                                            : "");
    if (!S_ISREG(info.st_mode))
        return admin_fail(p, ADMIN_DATABASE, "sqlite3:%s is not a file", path);
    return become(p, apr_psprintf(p, "the owner of %s", path), info.st_uid, info.st_gid);
}

static admin_result_t locate(apr_pool_t *p, const admin_store_options_t *options,
                             const char **store, const char **where)
{
    const char *environment = getenv(STORE_VARIABLE);

    if (options->store != NULL) {
        *store = options->store;
        *where = "--store";
        return admin_ok();
    }
    if (options->conf == NULL && environment != NULL && *environment != '\0') {
        *store = environment;
        *where = STORE_VARIABLE;
        return admin_ok();
    }
    return admin_conf_store(p, options->conf, store, where);
}

/* What the store says where its schema is not this program's, put for who can do something. */
static admin_result_t not_opened(apr_pool_t *p, mdm_result_t r)
{
    if (r.message == MDM_MSG_STORE_SCHEMA)
        return admin_fail(p, ADMIN_DATABASE,
                          "%s (httpd upgrades older tables when it serves the first enrollment "
                          "with the new module)",
                          r.log);
    if (strncmp(r.log, "making the tables: ", 19) == 0)
        return admin_fail(p, ADMIN_DATABASE, "there are no tables of mod_mdm_enroll here: %s",
                          r.log + 19);
    return admin_of(p, ADMIN_DATABASE, r);
}

admin_result_t admin_store_open(apr_pool_t *p, const admin_store_options_t *options,
                                mdm_dbd_handle_t **handle)
{
    mdm_dbd_source_t *source = apr_pcalloc(p, sizeof(*source));
    const char *store, *where, *target, *error;
    admin_result_t r = locate(p, options, &store, &where);

    if (r.exit != ADMIN_OK)
        return r;
    error = mdm_dbd_parse(p, store, &source->kind, &target);
    if (error != NULL)
        return admin_fail(p, ADMIN_USAGE, "%s: %s", where, error);
    if (options->run_as != NULL)
        r = become_user(p, options->run_as);
    if (r.exit == ADMIN_OK && source->kind == MDM_DBD_SQLITE)
        r = prepare_file(p, target);
    if (r.exit != ADMIN_OK)
        return r;
    error = mdm_dbd_check_driver(p, source->kind);
    if (error != NULL ||
        apr_dbd_get_driver(p, mdm_dbd_driver_name(source->kind), &source->driver) != APR_SUCCESS)
        return admin_fail(p, ADMIN_DATABASE, "%s", error != NULL ? error : "no driver");
    source->schema = &mdm_store_admin_schema;
    source->target = source->kind == MDM_DBD_PGSQL ? mdm_dbd_complete(p, target) : target;
    source->name =
        source->kind == MDM_DBD_PGSQL ? "pgsql" : apr_pstrcat(p, "sqlite3:", target, NULL);
    mdm_result_t opened = mdm_dbd_open(source, p, 0, handle);
    if (opened.kind == MDM_OK)
        opened = mdm_admin_be_patient(*handle, p);
    return opened.kind == MDM_OK ? admin_ok() : not_opened(p, opened);
}
