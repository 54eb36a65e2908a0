/* SPDX-License-Identifier: Apache-2.0
 * MDMEnrollTemplate: the administrator's own enrollment profiles. A file is read with the
 * configuration, since expressions are compiled then; what is wrong with it is told by the check,
 * which a stop of httpd does not make.
 */
#include "conf.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>

#include "../core/mdm_profile_template.h"
#include "policy_expr.h"
#include "text_expr.h"

APLOG_USE_MODULE(mdm_enroll);

struct mdm_conf_template_t {
    const char *file;
    const char *source;              /* of the condition; NULL: there is none */
    const ap_expr_info_t *condition; /* or NULL */
    mdm_template_t *template;        /* NULL: why says why */
    const char *why;
    apr_array_header_t *expressions; /* const char *: their sources */
    const ap_directive_t *where;
};

/* A compiler that remembers what it compiled. */
typedef struct listing_t {
    mdm_text_compiler_t compiler;
    apr_array_header_t *expressions;
} listing_t;

static const char *compile(void *context, apr_pool_t *p, const char *source,
                           const void **expression)
{
    const listing_t *listing = context;

    APR_ARRAY_PUSH(listing->expressions, const char *) = source;
    return listing->compiler.compile(listing->compiler.context, p, source, expression);
}

/* The whole file, NUL-terminated; NULL or what is wrong. */
static const char *read_file(apr_pool_t *p, const char *name, const char **text, apr_size_t *len)
{
    const char *why = NULL;
    apr_file_t *file;
    apr_finfo_t info;
    char *bytes = NULL;
    apr_status_t rv = apr_file_open(&file, name, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, p);

    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&info, APR_FINFO_TYPE | APR_FINFO_SIZE, file);
        if (rv == APR_SUCCESS && info.filetype != APR_REG) {
            why = "wanted is a file";
        } else if (rv == APR_SUCCESS && info.size > MDM_TEMPLATE_MAX_BYTES) {
            why = apr_psprintf(p, "%" APR_OFF_T_FMT " bytes, wanted are at most %d", info.size,
                               MDM_TEMPLATE_MAX_BYTES);
        } else if (rv == APR_SUCCESS) {
            bytes = apr_pcalloc(p, (apr_size_t)info.size + 1);
            rv = info.size ? apr_file_read_full(file, bytes, (apr_size_t)info.size, len)
                           : APR_SUCCESS;
        }
        apr_file_close(file);
    }
    if (rv != APR_SUCCESS) {
        char reason[128];

        why = apr_psprintf(p, "it cannot be read: %s", apr_strerror(rv, reason, sizeof(reason)));
    }
    *text = bytes;
    return why;
}

const char *mdm_conf_set_template(cmd_parms *cmd, void *dir, const char *name,
                                  const char *expression)
{
    mdm_server_conf_t *conf = mdm_conf_server(cmd->server);
    mdm_conf_template_t *made = apr_pcalloc(cmd->pool, sizeof(*made));
    listing_t listing = {mdm_text_expr_compiler(cmd),
                         apr_array_make(cmd->pool, 4, sizeof(const char *))};
    const mdm_text_compiler_t compiler = {&listing, compile};
    const char *error = NULL, *text = NULL;
    apr_size_t len = 0;

    (void)dir;
    made->file = mdm_conf_file(cmd, name);
    if (!made->file)
        return mdm_conf_refuse_value(cmd, name, "a file");
    if (expression) {
        made->source = expression;
        made->condition = ap_expr_parse_cmd(cmd, expression, AP_EXPR_FLAG_DONT_VARY, &error, NULL);
        if (error)
            return mdm_conf_refuse_expression(cmd, cmd->cmd->name, expression, error,
                                              "the file, then an expression of httpd");
        APR_ARRAY_PUSH(listing.expressions, const char *) = expression;
    }
    made->why = read_file(cmd->pool, made->file, &text, &len);
    if (!made->why)
        made->why = mdm_template_read(cmd->pool, text, len, &compiler, &made->template);
    made->expressions = listing.expressions;
    made->where = cmd->directive;
    mdm_conf_mark(cmd, MDM_SET_TEMPLATE);
    APR_ARRAY_PUSH(conf->templates, mdm_conf_template_t *) = made;
    return NULL;
}

/* --- at the check --- */

static const char *unfilled(apr_pool_t *p, const mdm_conf_template_t *one,
                            const mdm_ldap_settings_t *ldap)
{
    int i;

    for (i = 0; i < one->expressions->nelts; i++) {
        const char *source = APR_ARRAY_IDX(one->expressions, i, const char *);
        const char *name = mdm_policy_expr_unfilled(p, source, ldap ? ldap->attributes : NULL);

        if (name)
            return apr_psprintf(p,
                                "\"%s\": nothing fills %%{%s}; name the attribute in "
                                "MDMEnrollDirectory: ldap://host/base?uid,attribute?...",
                                source, name);
    }
    return NULL;
}

/* What of the identity that the MDM server sees its payload says. scep_url is the own CA's. */
static mdm_profile_identity_t identity_of(const mdm_site_t *site, const char *scep_url)
{
    static const char *const scep[] = {"com.apple.security.scep", NULL};
    static const char *const acme[] = {"com.apple.security.acme", NULL};
    static const char *const acme_or_scep[] = {"com.apple.security.acme", "com.apple.security.scep",
                                               NULL};
    static const char *const pkcs12[] = {"com.apple.security.pkcs12", NULL};
    const mdm_identity_t *other = site->ota.mdm_identity;
    mdm_profile_identity_t identity = {.types = scep, .scep_url = scep_url};

    if (!other)
        return identity;
    switch (other->kind) {
    case MDM_IDENTITY_SCEP:
        identity.scep_url = other->url;
        identity.fingerprint = other->fingerprint;
        identity.fingerprint_len = other->fingerprint_len;
        break;
    case MDM_IDENTITY_ACME:
        identity.types = other->acme.fallback ? acme_or_scep : acme;
        identity.directory_url = other->url;
        break;
    case MDM_IDENTITY_PKCS12:
        identity.types = pkcs12;
        break;
    default:
        break;
    }
    return identity;
}

void mdm_conf_make_templates(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                             const char *scep_url, mdm_site_t *site)
{
    const mdm_profile_identity_t identity = identity_of(site, scep_url);
    apr_array_header_t *choices = apr_array_make(p, 4, sizeof(mdm_profile_choice_t));
    /* A date that is over keeps only httpd -t from being content, as with MDMEnrollPayload. */
    apr_int64_t now =
        ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST ? apr_time_sec(apr_time_now()) : 0;
    const mdm_conf_template_t *last = NULL;
    int i;

    if (!conf->identifier || !conf->server_text || !conf->topic)
        return; /* which is told */
    for (i = 0; i < conf->templates->nelts; i++) {
        const mdm_conf_template_t *one = APR_ARRAY_IDX(conf->templates, i, mdm_conf_template_t *);
        mdm_profile_choice_t choice = {
            apr_psprintf(p, "MDMEnrollTemplate %s%s%s%s (%s:%d)", one->file,
                         one->source ? " \"" : "", one->source ? one->source : "",
                         one->source ? "\"" : "", one->where->filename, one->where->line_num),
            one->condition, NULL};
        const char *why = one->why;

        if (!why)
            why = unfilled(p, one, site->ldap);
        if (!why)
            why = mdm_profile_with_template(p, &site->ota.profile, &identity, one->template, now,
                                            &choice.settings);
        if (why)
            mdm_conf_problem(check, one->where, "%s: %s", one->file, why);
        else if (last && !last->source)
            mdm_conf_problem(check, one->where,
                             "no device ever gets this template: that of %s:%d, before it, holds "
                             "for all; give that one an expression, or move it to the end",
                             last->where->filename, last->where->line_num);
        APR_ARRAY_PUSH(choices, mdm_profile_choice_t) = choice;
        last = one;
    }
    site->ota.profile.choices = choices;
}
