/* SPDX-License-Identifier: Apache-2.0
 * Lists of serial numbers. Depends on serial_file and store_sql.
 */
#include "serial_list.h"

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "serial_file.h"
#include "store_sql.h"

typedef struct list_t {
    const mdm_serial_rule_t *rule;
    mdm_serial_file_t *file; /* NULL: it is a query */
} list_t;

typedef struct lists_t {
    mdm_serials_t serials;
    void *pool;
    list_t *lists;
    int count;
} lists_t;

/* --- queries --- */

const char *mdm_serial_check_sql(apr_pool_t *p, const char *sql, int *args)
{
    char quote = '\0';
    int found = 0;

    if (strncasecmp(sql, "SELECT", 6) != 0 || !apr_isspace(sql[6]))
        return "it does not begin with SELECT";
    for (const char *c = sql; *c != '\0'; c++) {
        if (*c == '%' && c[1] != 's')
            return apr_psprintf(p, "there is \"%s\" in it, and no %% but that of %%s can be",
                                apr_pstrndup(p, c, 2));
        if (*c == '%' && quote != '\0')
            return "%s stands in quotes, where it is no serial number; leave the quotes out";
        if (*c == '%')
            found++;
        else if (quote == '\0' && strchr("'\"`", *c) != NULL)
            quote = *c;
        else if (*c == quote)
            quote = '\0';
        /* The database would take it for one more parameter. */
        else if (quote == '\0' && (*c == '?' || *c == '$'))
            return apr_psprintf(p, "there is a \"%c\" outside of quotes in it", *c);
    }
    if (quote != '\0')
        return "a quote in it is not closed";
    if (found == 0)
        return "there is no %s in it, which stands for the serial number";
    if (found > MDM_SERIAL_MAX_ARGS)
        return apr_psprintf(p, "there are %d %%s in it, and %d are the most", found,
                            MDM_SERIAL_MAX_ARGS);
    *args = found;
    return NULL;
}

static mdm_result_t ask(const lists_t *lists, apr_pool_t *p, const mdm_serial_rule_t *rule,
                        const char *serial, int *found)
{
    const char *args[MDM_SERIAL_MAX_ARGS];
    mdm_result_t r;

    for (int i = 0; i < rule->args; i++)
        args[i] = serial;
    r = mdm_sql_read_row(lists->pool, p, "asking for a serial number", rule->sql, args, rule->args,
                         NULL, 0, found);
    return r.kind == MDM_OK ? r
                            : mdm_result_make(p, MDM_MSG_SERIAL_LIST, "%s: %s", rule->name, r.log);
}

/* --- */

static mdm_result_t find(const lists_t *lists, apr_pool_t *p, const list_t *list,
                         const char *serial, int *found)
{
    const mdm_serial_rule_t *rule = list->rule;
    apr_size_t count = 0;
    mdm_result_t r;

    *found = 0;
    if (list->file == NULL)
        return ask(lists, p, rule, serial, found);
    r = mdm_serial_file_find(list->file, p, serial, found, &count);
    if (r.kind == MDM_OK && rule->allow && count == 0)
        r = mdm_result_make(p, MDM_MSG_SERIAL_LIST, "there is no serial number in %s", rule->file);
    return r.kind == MDM_OK ? r
                            : mdm_result_make(p, MDM_MSG_SERIAL_LIST, "%s: %s", rule->name, r.log);
}

static mdm_result_t refuse(apr_pool_t *p, const char *serial, const mdm_serial_rule_t *rule,
                           const char *text)
{
    mdm_result_t r =
        rule->allow
            ? mdm_result_make(p, MDM_MSG_SERIAL_REFUSED,
                              "serial number %s is on none of the lists that allow; the first is "
                              "%s",
                              mdm_result_quote_text(p, serial), rule->name)
            : mdm_result_make(p, MDM_MSG_SERIAL_REFUSED, "serial number %s is on the list of %s",
                              mdm_result_quote_text(p, serial), rule->name);

    if (text != NULL)
        r.user = text;
    return r;
}

/* Is it on one of the lists of that kind? *any is the first of them, NULL if there are none; *hit
 * the one that it is on. A list that cannot be read only matters where no other has it. */
static mdm_result_t search(const lists_t *lists, apr_pool_t *p, int allow, const char *serial,
                           const mdm_serial_rule_t **any, const mdm_serial_rule_t **hit)
{
    mdm_result_t trouble = mdm_result_ok();

    *any = *hit = NULL;
    for (int i = 0; i < lists->count; i++) {
        const list_t *list = &lists->lists[i];
        mdm_result_t r;
        int found;

        if (list->rule->allow != allow)
            continue;
        if (*any == NULL)
            *any = list->rule;
        r = find(lists, p, list, serial, &found);
        if (r.kind == MDM_OK && found) {
            *hit = list->rule;
            return r;
        }
        if (r.kind != MDM_OK && trouble.kind == MDM_OK)
            trouble = r;
    }
    return trouble;
}

/* The first text that an allow list has. */
static const char *allow_text(const lists_t *lists)
{
    for (int i = 0; i < lists->count; i++)
        if (lists->lists[i].rule->allow && lists->lists[i].rule->text != NULL)
            return lists->lists[i].rule->text;
    return NULL;
}

static mdm_result_t check(void *context, apr_pool_t *p, const char *serial)
{
    const lists_t *lists = context;
    const mdm_serial_rule_t *any, *hit;
    mdm_result_t r;

    if (serial[0] == '\0')
        return mdm_result_make(p, MDM_MSG_SERIAL_REFUSED,
                               "a device that tells no serial number, and there are lists of them");
    r = search(lists, p, 0, serial, &any, &hit);
    if (r.kind != MDM_OK)
        return r;
    if (hit != NULL)
        return refuse(p, serial, hit, hit->text);
    r = search(lists, p, 1, serial, &any, &hit);
    if (r.kind != MDM_OK || any == NULL || hit != NULL)
        return r;
    return refuse(p, serial, any, allow_text(lists));
}

const mdm_serials_t *mdm_serial_lists(apr_pool_t *p, const apr_array_header_t *rules,
                                      apr_hash_t *files, void *pool)
{
    lists_t *lists = apr_pcalloc(p, sizeof(*lists));

    lists->pool = pool;
    lists->count = rules->nelts;
    lists->lists = apr_pcalloc(p, sizeof(*lists->lists) * (apr_size_t)(rules->nelts + 1));
    for (int i = 0; i < rules->nelts; i++) {
        const mdm_serial_rule_t *rule = APR_ARRAY_IDX(rules, i, mdm_serial_rule_t *);
        list_t *list = &lists->lists[i];

        list->rule = rule;
        if (rule->file == NULL)
            continue;
        list->file = apr_hash_get(files, rule->file, APR_HASH_KEY_STRING);
        if (list->file == NULL)
            list->file = mdm_serial_file_create(p, rule->file);
        if (list->file == NULL)
            return NULL;
        apr_hash_set(files, rule->file, APR_HASH_KEY_STRING, list->file);
    }
    lists->serials.context = lists;
    lists->serials.check = check;
    return &lists->serials;
}
