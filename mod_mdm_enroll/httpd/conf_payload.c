/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollPayload: any key of Apple's schema for one of the payloads that the module makes.
 */
#include "conf.h"

#include <apr_strings.h>

#include "text_expr.h"

/* httpd gives at most 64 (AP_MAX_ARGC), and does not say what it left out. */
#define MAX_WORDS 63

int mdm_conf_payload_pins(const char *payload, const char *key)
{
    return !strcmp(payload, "com.apple.mdm") && (!strcmp(key, "ServerURLPinningCertificateUUIDs") ||
                                                 !strcmp(key, "CheckInURLPinningCertificateUUIDs"));
}

const char *mdm_conf_set_payload(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    const mdm_text_compiler_t compiler = mdm_text_expr_compiler(cmd);
    mdm_payload_conf_t *line;
    const char **values;
    const char *why;
    int i;

    (void)dir;
    if (argc < 3)
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           " wants a payload type, a key and its value, such as: com.apple.mdm "
                           "AccessRights 8191",
                           NULL);
    if (argc > MAX_WORDS)
        return apr_psprintf(cmd->pool, "%s %s %s: wanted are at most %d words behind the key",
                            cmd->cmd->name, argv[0], argv[1], MAX_WORDS - 2);
    if (!strcmp(argv[0], "com.apple.security.pem"))
        return apr_psprintf(cmd->pool,
                            "%s %s: no payload of this type is made; wanted: "
                            "com.apple.security.root for root certificates, "
                            "com.apple.security.pkcs1 for others",
                            cmd->cmd->name, argv[0]);
    line = apr_pcalloc(cmd->pool, sizeof(*line));
    line->payload = argv[0];
    line->key = argv[1];
    line->count = argc - 2;
    line->where = cmd->directive;
    values = apr_palloc(cmd->pool, sizeof(*values) * (apr_size_t)line->count);
    for (i = 0; i < line->count; i++)
        values[i] = argv[i + 2];
    line->values = values;
    if (!mdm_conf_payload_pins(line->payload, line->key)) {
        why = mdm_schema_setting(cmd->pool, line->payload, line->key, values, line->count,
                                 &compiler, &line->setting);
        if (why)
            return apr_psprintf(cmd->pool, "%s %s %s: %s", cmd->cmd->name, line->payload, line->key,
                                why);
    }
    APR_ARRAY_PUSH(conf->payloads, mdm_payload_conf_t *) = line;
    conf->where[MDM_SET_PAYLOAD] = cmd->directive;
    return NULL;
}
