/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollPassPhraseDialog, and what the directives that name a private key have in common.
 */
#include "conf.h"

#include <apr_strings.h>

#include "../core/mdm_token.h"

const char *mdm_conf_key_source(cmd_parms *cmd, const char *name, const char **source)
{
    const char *why;

    if (!mdm_token_is_uri(name)) {
        *source = *name ? ap_server_root_relative(cmd->pool, name) : NULL;
        return *source ? NULL
                       : apr_psprintf(cmd->pool,
                                      "%s: \"%s\" is not accepted; wanted: the path of a file",
                                      cmd->cmd->name, name);
    }
    *source = name;
    why = mdm_token_check(cmd->pool, name);
    /* The URI is not repeated: it may hold a PIN. */
    return why ? apr_psprintf(cmd->pool, "%s: the pkcs11: URI of the key: %s", cmd->cmd->name, why)
               : NULL;
}

const char *mdm_conf_set_pass_phrase(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    static const char prefix[] = "exec:";
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    const char **program, *path;
    int i;

    (void)dir;
    conf->where[MDM_SET_PASS_PHRASE] = cmd->directive;
    conf->pass_phrase_program = NULL;
    if (argc == 1 && !ap_cstr_casecmp(argv[0], "builtin"))
        return NULL;
    if (argc < 1 || strncmp(argv[0], prefix, sizeof(prefix) - 1) != 0)
        return apr_psprintf(cmd->pool,
                            "%s: \"%s\" is not accepted; wanted: builtin, or exec:/path of a "
                            "program and its arguments",
                            cmd->cmd->name,
                            argc < 1   ? ""
                            : argc > 1 ? argv[1]
                                       : argv[0]);
    path = argv[0] + sizeof(prefix) - 1;
    path = *path ? ap_server_root_relative(cmd->pool, path) : NULL;
    if (!path)
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           ": no path behind \"exec:\"; wanted: exec:/path of a program", NULL);
    program = apr_pcalloc(cmd->pool, sizeof(*program) * (apr_size_t)(argc + 1));
    program[0] = path;
    for (i = 1; i < argc; i++)
        program[i] = argv[i];
    conf->pass_phrase_program = program;
    return NULL;
}
