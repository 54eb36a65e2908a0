/* SPDX-License-Identifier: Apache-2.0
 * The configuration of a vhost: what directives set, how it merges, and what is made of it at
 * start. conf_directives.c, conf_ca.c, conf_endpoint.c, conf_identity.c, conf_key.c,
 * conf_notify.c, conf_payload.c, conf_policy.c, conf_template.c and conf_update.c set; conf_check.c
 * and conf_guard.c cross-check; conf_make.c, conf_issuer.c, conf_identity.c, conf_notify.c and
 * conf_template.c make; conf_start.c completes it in post_config and in each child.
 */
#ifndef MDM_CONF_H
#define MDM_CONF_H

#include <ap_expr.h>
#include <apr_hash.h>
#include <apr_tables.h>
#include <http_config.h>
#include <httpd.h>

#include "../core/mdm_ca.h"
#include "../core/mdm_crl.h"
#include "../core/mdm_identity.h"
#include "../core/mdm_key.h"
#include "../core/mdm_ota.h"
#include "../core/mdm_scep.h"
#include "../core/mdm_trust.h"
#include "../core/mdm_x509.h"
#include "dbd_pool.h"
#include "device_guard.h"
#include "directory_ldap.h"

typedef enum {
    MDM_ENDPOINT_NONE = 0,
    MDM_ENDPOINT_PROFILE,
    MDM_ENDPOINT_DEVICE,
    MDM_ENDPOINT_SCEP,
    MDM_ENDPOINT_CA,
    MDM_ENDPOINT_CRL,
    MDM_ENDPOINT_DIRECT,
    MDM_ENDPOINT_UPDATE,
    MDM_ENDPOINT_ACME,
    MDM_ENDPOINT_COUNT
} mdm_endpoint_t;

/* The server-level directives. */
typedef enum {
    MDM_SET_STORE,
    MDM_SET_ORGANIZATION,
    MDM_SET_IDENTIFIER,
    MDM_SET_SERVER,
    MDM_SET_TOPIC,
    MDM_SET_CA,
    MDM_SET_RA,
    MDM_SET_NEXT_CA,
    MDM_SET_RENEWAL,
    MDM_SET_SCEP_ALLOW,
    MDM_SET_CRL_URL,
    MDM_SET_ALT_NAME,
    MDM_SET_SIGNER,
    MDM_SET_PASS_PHRASE,
    MDM_SET_BASE_URL,
    MDM_SET_DEVICE_ATTRIBUTES,
    MDM_SET_DEVICE_CA,
    MDM_SET_DENY_CERTIFICATE,
    MDM_SET_CERTIFICATE,
    MDM_SET_CIPHER,
    MDM_SET_PAYLOAD,
    MDM_SET_CLIENT_CERTIFICATE,
    MDM_SET_DIRECTORY,
    MDM_SET_DIRECTORY_BIND,
    MDM_SET_DIRECTORY_GROUP,
    MDM_SET_DIRECTORY_CA,
    MDM_SET_DIRECTORY_TIMEOUT,
    MDM_SET_REQUIRE,
    MDM_SET_SERIALS,
    MDM_SET_LIMIT_DEVICES,
    MDM_SET_LIMIT_HOURLY,
    MDM_SET_LIFETIME,
    MDM_SET_VALIDITY,
    MDM_SET_IDENTITY,
    MDM_SET_MDM_IDENTITY,
    MDM_SET_IDENTITY_CA,
    MDM_SET_NOTIFY,
    MDM_SET_RENEWAL_GRACE,
    MDM_SET_ALLOW_CHANGE,
    MDM_SET_TEMPLATE,
    MDM_SET_COUNT
} mdm_set_t;

/* Where an endpoint is. */
typedef struct mdm_place_t {
    const char *path; /* as httpd compares it: not escaped. NULL: there is no such endpoint */
    const server_rec *server; /* in which it was written: this vhost or the main server */
    const ap_directive_t *where;
    int order; /* among those of the same server */
} mdm_place_t;

/* One MDMEnrollPayload. */
typedef struct mdm_payload_conf_t {
    const char *payload;
    const char *key;
    const char *const *values;
    int count;
    mdm_setting_t *setting; /* NULL where it depends on certificates: conf_make.c makes it */
    const ap_directive_t *where;
} mdm_payload_conf_t;

/* The two certificates of a device. */
typedef enum {
    MDM_CONF_IDENTITY,     /* that signs phase 3 */
    MDM_CONF_MDM_IDENTITY, /* that the MDM server sees */
    MDM_CONF_IDENTITY_COUNT
} mdm_conf_identity_index_t;

/* One MDMEnrollIdentity. */
typedef struct mdm_conf_identity_t {
    mdm_identity_kind_t kind;
    const char *url;
    const char *name; /* or NULL */
    const unsigned char *fingerprint;
    apr_size_t fingerprint_len;
    enum {
        MDM_CONF_CHALLENGE_NONE = 0,
        MDM_CONF_CHALLENGE_TEXT,
        MDM_CONF_CHALLENGE_FILE,
        MDM_CONF_CHALLENGE_EXEC,
        MDM_CONF_CHALLENGE_HOOK
    } challenge_kind;
    const char *challenge;    /* the text itself, a path, a URL */
    const char *challenge_ca; /* or NULL, as the next */
    const char *token_file;
    apr_interval_time_t challenge_timeout;
    mdm_identity_acme_t acme; /* .fallback counts only if fallback_said */
    int fallback_said;
    mdm_identity_pkcs12_t pkcs12;
} mdm_conf_identity_t;

/* MDMEnrollNotify. */
typedef struct mdm_conf_notify_t {
    const char *url;     /* or NULL: the program */
    const char *program; /* or NULL, as the next */
    const char *secret_file;
    const char *token_file;
    const char *ca_file;
    apr_interval_time_t timeout;
} mdm_conf_notify_t;

/* What a vhost runs on: made of its configuration at start, read-only while requests are served. */
typedef struct mdm_site_t {
    const char *base_url; /* without a slash at its end, or NULL: from the request */
    const char *paths[MDM_ENDPOINT_COUNT]; /* escaped, as in a URL; NULL: no such endpoint */
    mdm_ota_settings_t ota;
    mdm_scep_settings_t scep;               /* scep.rules.ca is NULL where there is no CA */
    const char *identity;                   /* mdm_world_t.site */
    const char *rules;                      /* mdm_world_t.rules */
    const apr_array_header_t *others;       /* mdm_world_t.others; set once all vhosts are made */
    const mdm_signer_t *signer;             /* of profiles; set in post_config */
    const apr_array_header_t *requirements; /* mdm_requirement_t * */
    const apr_array_header_t *serial_rules; /* mdm_serial_rule_t * */
    mdm_dbd_kind_t store_kind;
    const char *store_target;
    mdm_ldap_settings_t *ldap;         /* NULL: users are not looked up again */
    const struct mdm_notify_t *notify; /* notifier.h; NULL: nobody is told */
    struct mdm_notifier_t *notifier;   /* set in post_config; NULL: another vhost's does it */
    int guarded;    /* "Require mdm-device" stands in this vhost, or is inherited by it */
    int guard_only; /* no endpoints: nothing is issued or signed here, ota has its trust only */
    /* Set once in each child, before it has threads: */
    const mdm_store_t *store;
    const mdm_directory_t *directory;
    mdm_device_guard_t *guard;    /* NULL: not guarded */
    const mdm_serials_t *serials; /* NULL: there are no lists */
} mdm_site_t;

/* Per vhost and for the main server. A field has a meaning only where the directive that sets it
 * was given: where[] is both that flag and the place for messages. */
typedef struct mdm_server_conf_t {
    const ap_directive_t *where[MDM_SET_COUNT];
    mdm_place_t endpoints[MDM_ENDPOINT_COUNT];
    const ap_directive_t *guard;    /* the first "Require mdm-device"; NULL: there is none */
    const server_rec *guard_server; /* in which it was written: this vhost or the main server */
    mdm_dbd_kind_t store_kind;
    const char *store_target;
    const char *organization;
    const char *identifier;
    const char *server_url; /* as written; server_text is what it says to a device */
    const char *checkin_url;
    const mdm_text_t *server_text;
    const mdm_text_t *checkin_text; /* or NULL */
    const char *topic;
    const char *ca_certificate;
    const char *ca_key; /* a file or a pkcs11: URI, as ra_key and signer_key */
    const char *ra_certificate;
    const char *ra_key;
    const char *next_ca;
    apr_int64_t renewal;                 /* seconds; 0: off */
    apr_int64_t renewal_grace;           /* the same */
    apr_array_header_t *allowed_changes; /* const char *: of mdm_terms_keys, or "all"; or NULL */
    unsigned int scep_allow;
    const char *crl_url;           /* "": none */
    apr_array_header_t *alt_names; /* mdm_alt_name_t */
    const char *signer_certificate;
    const char *signer_key;
    const char *signer_chain;
    const char *const *pass_phrase_program; /* with its arguments; NULL: at the terminal */
    const char *base_url;
    apr_array_header_t *device_attributes; /* const char * */
    apr_array_header_t *device_cas;        /* const char *: "apple" or a file */
    apr_array_header_t *denied;            /* const char *: fingerprints */
    apr_array_header_t *certificates;      /* const char *: files */
    const EVP_CIPHER *cipher;
    apr_array_header_t *payloads; /* mdm_payload_conf_t * */
    mdm_tls_certificate_t client_certificate;
    const char *directory_url;
    int directory_starttls;
    const char *bind_dn;
    const char *bind_password; /* NULL: in bind_file */
    const char *bind_file;
    const char *directory_group;
    const char *directory_ca;
    apr_interval_time_t directory_timeout;
    apr_array_header_t *requirements; /* mdm_requirement_t * */
    apr_array_header_t *serial_rules; /* mdm_serial_rule_t * */
    mdm_limits_t limits;
    apr_int64_t lifetime;                                           /* seconds */
    apr_int64_t validity;                                           /* seconds */
    const mdm_conf_identity_t *identities[MDM_CONF_IDENTITY_COUNT]; /* NULL: builtin */
    apr_array_header_t *identity_cas;                               /* const char *: files */
    const mdm_conf_notify_t *notify;
    apr_array_header_t *templates; /* mdm_conf_template_t * */

    apr_array_header_t *tls_signers; /* mdm_signer_t *: what mod_ssl has for this very vhost */
    mdm_site_t *site;                /* NULL: enrollment is not served here */
    int broken;                      /* main server: something was found that cannot work */
    int keys_wait;                   /* main server: keys that have yet to be asked for */
} mdm_server_conf_t;

extern const command_rec mdm_conf_directives[];

void *mdm_conf_create_server(apr_pool_t *p, server_rec *s);
void *mdm_conf_merge_server(apr_pool_t *p, void *base, void *add);

mdm_server_conf_t *mdm_conf_server(const server_rec *s);

/* "profile", "device" … */
const char *mdm_endpoint_name(mdm_endpoint_t endpoint);

/* 1 for those that may be reached by plain http. */
int mdm_endpoint_is_plain(mdm_endpoint_t endpoint);

/* A vhost as messages name it: with file and line. */
const char *mdm_conf_vhost_name(apr_pool_t *p, const server_rec *s);

/* What setters have in common: note that a directive was given, and where; refuse it, or a value
 * and say what is wanted, or an expression (error is ap_expr's); a file relative to ServerRoot, as
 * everywhere in httpd, NULL if there can be no such path; a time in httpd's way ("90", "90s",
 * "15min", "2h") or in days ("365d"). */
mdm_server_conf_t *mdm_conf_mark(cmd_parms *cmd, mdm_set_t set);
const char *mdm_conf_refuse(cmd_parms *cmd, const char *why);
const char *mdm_conf_refuse_value(cmd_parms *cmd, const char *value, const char *wanted);
const char *mdm_conf_refuse_expression(cmd_parms *cmd, const char *name, const char *source,
                                       const char *error, const char *wanted);
const char *mdm_conf_file(cmd_parms *cmd, const char *name);
const char *mdm_conf_parse_time(cmd_parms *cmd, const char *value, apr_interval_time_t least,
                                apr_interval_time_t most, const char *wanted,
                                apr_interval_time_t *time);

/* Directive functions that have a file of their own. */
const char *mdm_conf_set_endpoint(cmd_parms *cmd, void *dir, const char *kind);
const char *mdm_conf_set_payload(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *mdm_conf_set_identity(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *mdm_conf_set_identity_ca(cmd_parms *cmd, void *dir, const char *name);
const char *mdm_conf_set_notify(cmd_parms *cmd, void *dir, int argc, char *const argv[]);

const char *mdm_conf_set_ca(cmd_parms *cmd, void *dir, const char *certificate, const char *key);
const char *mdm_conf_set_ra(cmd_parms *cmd, void *dir, const char *certificate, const char *key);
const char *mdm_conf_set_next_ca(cmd_parms *cmd, void *dir, const char *name);
const char *mdm_conf_set_renewal(cmd_parms *cmd, void *dir, const char *value);
const char *mdm_conf_set_allow_change(cmd_parms *cmd, void *dir, const char *name);
const char *mdm_conf_set_renewal_grace(cmd_parms *cmd, void *dir, const char *value);
const char *mdm_conf_set_scep_allow(cmd_parms *cmd, void *dir, const char *name);
const char *mdm_conf_set_crl_url(cmd_parms *cmd, void *dir, const char *url);
const char *mdm_conf_set_alt_name(cmd_parms *cmd, void *dir, const char *type, const char *text);
const char *mdm_conf_set_validity(cmd_parms *cmd, void *dir, const char *value);
const char *mdm_conf_set_serials(cmd_parms *cmd, void *dir, const char *which, const char *list,
                                 const char *text);
const char *mdm_conf_set_limit(cmd_parms *cmd, void *dir, const char *kind, const char *most,
                               const char *text);
const char *mdm_conf_set_pass_phrase(cmd_parms *cmd, void *dir, int argc, char *const argv[]);

/* Where a directive's private key is: a file relative to ServerRoot, or a pkcs11: URI as it is.
 * Returns NULL, or the whole refusal, without a PIN. */
const char *mdm_conf_key_source(cmd_parms *cmd, const char *name, const char **source);

/* One MDMEnrollTemplate, of conf_template.c. */
typedef struct mdm_conf_template_t mdm_conf_template_t;
const char *mdm_conf_set_template(cmd_parms *cmd, void *dir, const char *file,
                                  const char *expression);

/* 1 for the payload keys whose values name certificates: they are checked when those are read. */
int mdm_conf_payload_pins(const char *payload, const char *key);

/* Hook check_config: find all that cannot work, say it, and make the sites. */
int mdm_conf_check(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server);

/* Tell the administrator about a problem; where may be NULL. */
typedef struct mdm_check_t mdm_check_t;
void mdm_conf_problem(mdm_check_t *check, const ap_directive_t *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What conf_identity.c has for the others. Does any certificate come from MDMEnrollCA; does any
 * come from there by SCEP? */
int mdm_conf_needs_ca(const mdm_server_conf_t *conf);
int mdm_conf_needs_scep(const mdm_server_conf_t *conf);

/* Where the certificates come from, made; the CAs of MDMEnrollIdentityCA, trusted. Problems are
 * told. */
void mdm_conf_make_identities(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                              mdm_ota_settings_t *settings);
void mdm_conf_trust_identities(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                               mdm_trust_t *trust);

/* The choices that the templates are, over the profile of a site whose settings are complete.
 * scep_url is the URL of the endpoint scep as far as it is known. Problems are told.
 */
void mdm_conf_make_templates(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                             const char *scep_url, mdm_site_t *site);

/* Append what of it belongs to the rules (mdm_world_t.rules). Nothing for builtin ones. */
void mdm_conf_identity_rules(apr_array_header_t *texts, const mdm_ota_settings_t *settings);

/* What conf_notify.c has for them. Whom a site tells, made (NULL: nobody); tell if vhosts that are
 * one site, of which seen has the first, tell different ones; and have it done, in post_config: OK,
 * or the reason not to start. */
const struct mdm_notify_t *mdm_conf_make_notify(mdm_check_t *check, apr_pool_t *p,
                                                const mdm_server_conf_t *conf);
void mdm_conf_compare_notify(mdm_check_t *check, apr_pool_t *p, apr_hash_t *seen,
                             const mdm_server_conf_t *conf, const mdm_site_t *site);
int mdm_conf_start_notifiers(apr_pool_t *p, apr_pool_t *ptemp, server_rec *main_server);

/* What conf_policy.c has for the others: httpd -t looks at the lists of serial numbers; what of
 * lists and limits belongs to the rules, nothing where there are none. */
void mdm_conf_check_serials(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf);
void mdm_conf_policy_rules(apr_array_header_t *texts, const mdm_server_conf_t *conf);

/* Is this httpd -t? Can the user that httpd's children run as read a file? What it is: "list" …
 * is told where not. */
int mdm_conf_testing(void);
void mdm_conf_check_readable(mdm_check_t *check, const ap_directive_t *where, const char *file,
                             const char *what);
/* What conf_issue.c has: MDMEnrollIdentity acme and pkcs12, whose argv[0] it is. NULL, or the
 * refusal. made->kind is set. */
const char *mdm_conf_parse_issue(cmd_parms *cmd, int argc, char *const argv[],
                                 mdm_conf_identity_t *made);

/* Tell what else they want: attributes by which devices are told apart. */
void mdm_conf_check_issue(mdm_check_t *check, const mdm_server_conf_t *conf);

/* Whether what cannot do ACME gets its identity from the own CA. */
int mdm_conf_falls_back(const mdm_server_conf_t *conf, const mdm_conf_identity_t *identity);

/* Tell what is wrong with the endpoint acme of a vhost: it must be protected. tls: the vhost has
 * it. */
void mdm_conf_check_acme(mdm_check_t *check, const server_rec *s, const mdm_server_conf_t *conf,
                         int tls);

/* 1 for an address of the loopback network. */
int mdm_conf_is_loopback(const char *ip);

/* 1 if challenges come from an HTTP service. */
int mdm_conf_asks_services(const mdm_server_conf_t *conf);

/* The first line of a file, in p; NULL if it has none, which is told. what it is: "password" …,
 * for messages. */
const char *mdm_conf_read_secret(mdm_check_t *check, apr_pool_t *p, const ap_directive_t *where,
                                 const char *name, const char *what);

/* The same for a result; 1 if there is no problem. */
int mdm_conf_told(mdm_check_t *check, const ap_directive_t *where, mdm_result_t result);

/* How mdm_signer_read() comes to the key of a directive. */
const mdm_key_reader_t *mdm_conf_keys(mdm_check_t *check, const mdm_server_conf_t *conf,
                                      const ap_directive_t *where);

/* The site of a vhost with all defaults in it, in p; vhost_url is what URLs of it begin with.
 * Problems are told; the site is good only if there was none. Whatever the endpoints do not need
 * may be missing. */
mdm_site_t *mdm_conf_make(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                          const char *vhost_url);

/* The site of a vhost without endpoints that only asks which device a client certificate is of:
 * store, directory, and whose certificates count. No private key is read. */
mdm_site_t *mdm_conf_make_guard(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf);

/* Once all vhosts are made: tell each the rules of the others that let devices in at the same site
 * on the same store. conf_others.c. */
void mdm_conf_make_others(apr_pool_t *p, const server_rec *main_server);

/* What keeps "Require mdm-device" from ever admitting anybody: told where it is written in a vhost,
 * or where it is for all and no vhost can have a use for it. 1 if this vhost can. conf_guard.c. */
int mdm_conf_check_guard(mdm_check_t *check, apr_pool_t *ptemp, const server_rec *s, int tls);
void mdm_conf_tell_guard(mdm_check_t *check, const server_rec *s, int tls);

/* Tell what settings it lacks. */
void mdm_conf_guard_settings(mdm_check_t *check, const mdm_server_conf_t *conf);

/* The issuing side of it: CA, RA, what SCEP goes by. site has its paths; trust gets the CA. */
void mdm_conf_make_issuer(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                          const char *vhost_url, mdm_trust_t *trust, mdm_site_t *site);

/* The check once more, in post_config of a start: keys that are encrypted or in a token are asked
 * for now, and only now is it sure that httpd is meant to start. */
int mdm_conf_check_keys(apr_pool_t *p, apr_pool_t *ptemp, server_rec *main_server);

/* How many values, in so many databases, the configuration changes for devices that are enrolled
 * already though no update can (mdm_terms.h); each is told, as what stops a start (fatal) or as an
 * error. Whatever MDMEnrollAllowChange names is none. */
int mdm_conf_check_terms(apr_pool_t *ptemp, server_rec *main_server, int fatal);

/* In a process that was made for a question to kernel or database: become the user that httpd's
 * children run as. 1 if it is that user now. */
int mdm_conf_become_user(void);

/* Hook post_config, after mod_ssl's: signers; and what an administrator should know. */
int mdm_conf_start(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server);

/* Hook child_init: databases and directories. */
void mdm_conf_start_child(apr_pool_t *p, server_rec *main_server);

#endif
