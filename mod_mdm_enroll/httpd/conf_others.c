/* SPDX-License-Identifier: Apache-2.0
 * Virtual hosts of one site with rules of their own: a device that one of them let in is none of
 * the others' business, or the laxest would decide for all.
 */
#include "conf.h"

/* Whether enrollments begin there, under rules that a row remembers. */
static int lets_in(const mdm_site_t *site)
{
    return site && !site->guard_only && site->identity &&
           (site->paths[MDM_ENDPOINT_PROFILE] || site->paths[MDM_ENDPOINT_DIRECT]);
}

static int same_site(const mdm_site_t *one, const mdm_site_t *other)
{
    return !strcmp(one->identity, other->identity) && one->store_kind == other->store_kind &&
           one->store_target && other->store_target &&
           !strcmp(one->store_target, other->store_target);
}

void mdm_conf_make_others(apr_pool_t *p, const server_rec *main_server)
{
    const server_rec *s, *t;

    for (s = main_server; s; s = s->next) {
        mdm_site_t *site = mdm_conf_server(s)->site;
        apr_array_header_t *others;

        if (!site || site->guard_only || !site->identity)
            continue;
        others = apr_array_make(p, 2, sizeof(const char *));
        for (t = main_server; t; t = t->next) {
            const mdm_site_t *other = mdm_conf_server(t)->site;

            if (lets_in(other) && same_site(site, other) && strcmp(site->rules, other->rules))
                APR_ARRAY_PUSH(others, const char *) = other->rules;
        }
        site->others = others->nelts ? others : NULL;
    }
}
