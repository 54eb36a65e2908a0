/* SPDX-License-Identifier: Apache-2.0
 * Directives of renewals and updates: how long before and after its end an identity is good for
 * one.
 */
#include "conf.h"

static const char *parse(cmd_parms *cmd, const char *value, apr_int64_t *seconds)
{
    apr_interval_time_t time = 0;
    const char *why = NULL;

    if (ap_cstr_casecmp(value, "off"))
        why = mdm_conf_parse_time(cmd, value, apr_time_from_sec(60),
                                  apr_time_from_sec(3650 * (apr_int64_t)86400),
                                  "off, or a time from 1min to 3650d, such as 30d", &time);
    *seconds = apr_time_sec(time);
    return why;
}

const char *mdm_conf_set_renewal(cmd_parms *cmd, void *dir, const char *value)
{
    (void)dir;
    return parse(cmd, value, &mdm_conf_mark(cmd, MDM_SET_RENEWAL)->renewal);
}

const char *mdm_conf_set_renewal_grace(cmd_parms *cmd, void *dir, const char *value)
{
    (void)dir;
    return parse(cmd, value, &mdm_conf_mark(cmd, MDM_SET_RENEWAL_GRACE)->renewal_grace);
}
