/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollSerials and MDMEnrollLimit: which devices, and how many of them.
 */
#include "conf.h"

#include <stdlib.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "../core/mdm_plist.h"
#include "serial_file.h"
#include "serial_list.h"

static const char *check_text(cmd_parms *cmd, const char *text)
{
    return text && (!*text || !mdm_plist_text_ok(text))
               ? mdm_conf_refuse_value(cmd, text, "a sentence for the user, in UTF-8")
               : NULL;
}

/* --- lists of serial numbers --- */

static const char *set_list(cmd_parms *cmd, const char *list, mdm_serial_rule_t *rule)
{
    static const char wanted[] = "file:/path, or \"sql:SELECT 1 FROM table WHERE column = %s\"";
    const char *why;

    if (!strncmp(list, "file:", 5)) {
        rule->file = mdm_conf_file(cmd, list + 5);
        return rule->file ? NULL : mdm_conf_refuse_value(cmd, list, wanted);
    }
    if (strncmp(list, "sql:", 4))
        return mdm_conf_refuse_value(cmd, list, wanted);
    rule->sql = list + 4;
    while (apr_isspace(*rule->sql))
        rule->sql++;
    why = mdm_serial_check_sql(cmd->pool, rule->sql, &rule->args);
    return why ? apr_psprintf(cmd->pool, "%s: \"%s\" cannot be asked: %s; wanted: %s",
                              cmd->cmd->name, rule->sql, why, wanted)
               : NULL;
}

const char *mdm_conf_set_serials(cmd_parms *cmd, void *dir, const char *which, const char *list,
                                 const char *text)
{
    mdm_serial_rule_t *rule = apr_pcalloc(cmd->pool, sizeof(*rule));
    const char *why;

    (void)dir;
    rule->allow = !ap_cstr_casecmp(which, "allow");
    if (!rule->allow && ap_cstr_casecmp(which, "deny"))
        return mdm_conf_refuse_value(cmd, which, "allow or deny");
    rule->text = text;
    why = set_list(cmd, list, rule);
    if (!why)
        why = check_text(cmd, text);
    if (why)
        return why;
    rule->name = apr_psprintf(cmd->pool, "%s %s %s%s (%s:%d)", cmd->cmd->name,
                              rule->allow ? "allow" : "deny", rule->file ? "file:" : "sql",
                              rule->file ? rule->file : "", cmd->directive->filename,
                              cmd->directive->line_num);
    rule->where = cmd->directive;
    APR_ARRAY_PUSH(mdm_conf_mark(cmd, MDM_SET_SERIALS)->serial_rules, mdm_serial_rule_t *) = rule;
    return NULL;
}

void mdm_conf_check_serials(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf)
{
    int i;

    if (conf->serial_rules->nelts && conf->endpoints[MDM_ENDPOINT_DIRECT].path)
        mdm_conf_problem(check, conf->endpoints[MDM_ENDPOINT_DIRECT].where,
                         "the endpoint direct knows no serial number, so none can be looked up in "
                         "the lists of MDMEnrollSerials (%s:%d); put the two into different vhosts",
                         conf->where[MDM_SET_SERIALS]->filename,
                         conf->where[MDM_SET_SERIALS]->line_num);
    /* What comes and goes while httpd runs keeps only httpd -t from being content. */
    for (i = 0; mdm_conf_testing() && i < conf->serial_rules->nelts; i++) {
        const mdm_serial_rule_t *rule = APR_ARRAY_IDX(conf->serial_rules, i, mdm_serial_rule_t *);
        mdm_serial_file_t *file = rule->file ? mdm_serial_file_create(p, rule->file) : NULL;
        apr_size_t count = 0;
        int found;

        if (!file ||
            !mdm_conf_told(check, rule->where, mdm_serial_file_find(file, p, "", &found, &count)))
            continue;
        if (rule->allow && count == 0)
            mdm_conf_problem(check, rule->where,
                             "there is no serial number in %s, so no device could be enrolled; "
                             "write one in each line of it, or leave the directive out",
                             rule->file);
        mdm_conf_check_readable(check, rule->where, rule->file, "list");
    }
}

/* --- limits --- */

const char *mdm_conf_set_limit(cmd_parms *cmd, void *dir, const char *kind, const char *most,
                               const char *text)
{
    int hourly = !ap_cstr_casecmp(kind, "hourly");
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    mdm_limit_t *limit = hourly ? &conf->limits.hourly : &conf->limits.devices;
    const char *why;
    char *end;
    apr_int64_t number = apr_strtoi64(most, &end, 10);

    (void)dir;
    if (!hourly && ap_cstr_casecmp(kind, "devices"))
        return mdm_conf_refuse_value(cmd, kind, "devices or hourly");
    if (!apr_isdigit(*most) || *end || number < 1 || number > MDM_LIMIT_MOST)
        return mdm_conf_refuse_value(
            cmd, most, apr_psprintf(cmd->pool, "a number from 1 to %d", MDM_LIMIT_MOST));
    why = check_text(cmd, text);
    if (why)
        return why;
    limit->most = (int)number;
    limit->text = text;
    mdm_conf_mark(cmd, hourly ? MDM_SET_LIMIT_HOURLY : MDM_SET_LIMIT_DEVICES);
    return NULL;
}

/* --- */

void mdm_conf_policy_rules(apr_array_header_t *texts, const mdm_server_conf_t *conf)
{
    int i;

    for (i = 0; i < conf->serial_rules->nelts; i++) {
        const mdm_serial_rule_t *rule = APR_ARRAY_IDX(conf->serial_rules, i, mdm_serial_rule_t *);

        APR_ARRAY_PUSH(texts, const char *) = rule->allow ? "serials allow" : "serials deny";
        APR_ARRAY_PUSH(texts, const char *) = rule->file;
        APR_ARRAY_PUSH(texts, const char *) = rule->sql;
    }
    if (conf->limits.devices.most)
        APR_ARRAY_PUSH(texts, const char *) =
            apr_psprintf(texts->pool, "limit devices %d", conf->limits.devices.most);
    if (conf->limits.hourly.most)
        APR_ARRAY_PUSH(texts, const char *) =
            apr_psprintf(texts->pool, "limit hourly %d", conf->limits.hourly.most);
}
