/* SPDX-License-Identifier: Apache-2.0
 * What directives have in common that name a program or an HTTP service of the site: their options
 * and what is checked of them at start.
 */
#ifndef MDM_CONF_OUTSIDE_H
#define MDM_CONF_OUTSIDE_H

#include "conf.h"
#include "http_client.h"

/* The options of such a directive, by name: the last is NULL. */
typedef struct mdm_conf_options_t {
    const char *const *names;
    const char *wanted; /* how they are listed in a refusal */
    /* One of them: NULL, or why its value is not accepted. */
    const char *(*set)(cmd_parms *cmd, void *baton, int option, const char *value);
} mdm_conf_options_t;

/* Parse one option=value. *seen has a bit for each that was given, the first one being 1. NULL, or
 * the whole refusal. */
const char *mdm_conf_parse_option(cmd_parms *cmd, const mdm_conf_options_t *options, void *baton,
                                  const char *arg, int *seen);

/* 1 for an absolute https URL; or, if http, one of http. */
int mdm_conf_is_url(apr_pool_t *p, const char *url, int http);

/* 1 for the URL of a service: https, or http on loopback. */
int mdm_conf_is_service(apr_pool_t *p, const char *url);

/* A path behind a prefix, such as "file:"; NULL if there is none. */
const char *mdm_conf_path_behind(apr_pool_t *p, const char *value, const char *prefix);

/* How long a program or service may take: 100ms to 60s. NULL, or why not. */
const char *mdm_conf_parse_timeout(const char *value, apr_interval_time_t *timeout);

/* Tell if there is no program at a path; what is named with it: "challenge=exec:". */
void mdm_conf_check_program(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                            const char *what, const char *path);

/* Read what is in files for a service: the first line of token_file, unless that is NULL, into its
 * token; and whether there are certificates in its ca_file, unless that is NULL. ca_option is what
 * that is called. Problems are told. */
void mdm_conf_read_service(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                           const char *token_file, const char *ca_option,
                           mdm_http_service_t *service);

#endif
