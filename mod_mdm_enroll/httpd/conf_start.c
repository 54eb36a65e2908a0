/* SPDX-License-Identifier: Apache-2.0
 * What can be done only after the check: signers, once mod_ssl has loaded its keys, with what an
 * administrator should know; databases and directories, once a child has started.
 */
#include "conf.h"

#include <apr_file_info.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>

#include "../core/mdm_token.h"
#include "challenge_source.h"
#include "crl_cache.h"
#include "key_ring.h"
#include "notifier.h"
#include "serial_list.h"
#include "signer_ssl.h"
#include "store_dbd.h"
#include "store_schema.h"

APLOG_USE_MODULE(mdm_enroll);

static const char *code(apr_pool_t *p, mdm_message_t message)
{
    return mdm_result_code(p, message);
}

/* --- post_config --- */

static int first_time(apr_pool_t *p, apr_hash_t *told, const char *what)
{
    if (apr_hash_get(told, what, APR_HASH_KEY_STRING))
        return 0;
    apr_hash_set(told, apr_pstrdup(p, what), APR_HASH_KEY_STRING, "");
    return 1;
}

static void warn_file_mode(apr_pool_t *p, server_rec *s, apr_hash_t *told, const char *file)
{
    const apr_fileperms_t open = APR_FPROT_GREAD | APR_FPROT_WREAD;
    apr_finfo_t info;

    if (!file || !first_time(p, told, file))
        return;
    if (apr_stat(&info, file, APR_FINFO_PROT, p) == APR_SUCCESS && info.protection & open)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "%s: %s, which holds a secret, can be read by %s; wanted: by its owner only "
                     "(chmod 600)",
                     code(p, MDM_MSG_KEY_FILE_MODE), file,
                     info.protection & APR_FPROT_WREAD ? "everybody" : "its group");
}

/* Of a key in a token, the file with its PIN is the secret. */
static void warn_key_mode(apr_pool_t *p, server_rec *s, apr_hash_t *told, const char *source)
{
    warn_file_mode(p, s, told,
                   source && mdm_token_is_uri(source) ? mdm_token_pin_file(p, source) : source);
}

/* What is sent to services and programs of the site. */
static void warn_outside_files(apr_pool_t *p, server_rec *s, apr_hash_t *told,
                               const mdm_server_conf_t *conf)
{
    int i;

    for (i = 0; i < MDM_CONF_IDENTITY_COUNT; i++) {
        const mdm_conf_identity_t *identity = conf->identities[i];

        if (!identity)
            continue;
        if (identity->challenge_kind == MDM_CONF_CHALLENGE_FILE)
            warn_file_mode(p, s, told, identity->challenge);
        warn_file_mode(p, s, told, identity->token_file);
    }
    if (conf->notify) {
        warn_file_mode(p, s, told, conf->notify->secret_file);
        warn_file_mode(p, s, told, conf->notify->token_file);
    }
}

static void warn_self_signed(apr_pool_t *p, server_rec *s, apr_hash_t *told, X509 *cert)
{
    if (mdm_x509_self_signed(cert) && first_time(p, told, mdm_x509_fingerprint(p, cert)))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "%s: %s signs profiles with a self-signed certificate (%s); devices will call "
                     "them unverified",
                     code(p, MDM_MSG_SIGNER_SELF_SIGNED), mdm_conf_vhost_name(p, s),
                     mdm_x509_subject(p, cert));
}

/* A date that has come must not keep httpd, with all its other sites, from starting. */
static void warn_expired(apr_pool_t *p, server_rec *s, apr_hash_t *told, const char *role,
                         X509 *cert, const char *file, apr_int64_t now)
{
    if ((mdm_x509_not_after(cert) <= now || mdm_x509_not_before(cert) > now) &&
        first_time(p, told, apr_pstrcat(p, "expired ", file, NULL)))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "%s: the %s certificate in %s is not valid now: %s; no device can be enrolled "
                     "until there is another, or the clock is right",
                     code(p, MDM_MSG_CA_NOT_VALID), role, file,
                     mdm_x509_not_after(cert) <= now ? "expired" : "not yet");
}

static void warn_ends_soon(apr_pool_t *p, server_rec *s, apr_hash_t *told, const char *what,
                           apr_int64_t left, apr_int64_t wanted, const char *remedy)
{
    if (left > 0 && left < wanted && first_time(p, told, apr_pstrcat(p, "ends ", what, NULL)))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "%s: %s ends in %" APR_INT64_T_FMT " days; %s", code(p, MDM_MSG_CA_ENDS_SOON),
                     what, left / (24 * 60 * 60), remedy);
}

/* An RA has to be replaced in time, too, but no certificate ends with it. */
#define RA_WARNING (30 * 24 * 60 * 60)

static void warn_dates(apr_pool_t *p, server_rec *s, apr_hash_t *told, const mdm_site_t *site,
                       apr_int64_t now)
{
    const mdm_setting_t *culprit = NULL;
    const char *why = mdm_schema_check_together(p, site->ota.profile.configuration, now, &culprit);

    if (why && first_time(p, told, apr_psprintf(p, "date %pp", culprit)))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "%s: %s: MDMEnrollPayload Configuration %s; devices refuse the profile",
                     code(p, MDM_MSG_PROFILE_OVER), mdm_conf_vhost_name(p, s), why);
}

static void warn_issuer(apr_pool_t *p, server_rec *s, apr_hash_t *told, const mdm_site_t *site,
                        apr_int64_t now)
{
    const mdm_server_conf_t *conf = mdm_conf_server(s);
    const mdm_scep_settings_t *scep = &site->scep;
    X509 *ca, *ra;

    if (!scep->rules.ca)
        return;
    ca = mdm_ca_signer(scep->rules.ca)->cert;
    ra = scep->responder->cert;
    warn_expired(p, s, told, "CA", ca, conf->ca_certificate, now);
    warn_ends_soon(p, s, told, apr_psprintf(p, "the CA certificate in %s", conf->ca_certificate),
                   mdm_x509_not_after(ca) - now, mdm_ca_validity(scep->rules.ca),
                   "certificates issued now end with it, before MDMEnrollValidity; let another one "
                   "follow (MDMEnrollNextCA)");
    if (ra == ca)
        return;
    warn_expired(p, s, told, "RA", ra, conf->ra_certificate, now);
    warn_ends_soon(p, s, told, apr_psprintf(p, "the RA certificate in %s", conf->ra_certificate),
                   mdm_x509_not_after(ra) - now, RA_WARNING,
                   "make another one (mdm-enroll-admin make-ra)");
}

static void note_shared_key(apr_pool_t *p, server_rec *s, apr_hash_t *told, const mdm_site_t *site)
{
    const mdm_ca_t *ca = site->scep.rules.ca;
    const char *file = mdm_conf_server(s)->ca_certificate;

    if (ca && site->scep.responder == mdm_ca_signer(ca) && first_time(p, told, file))
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "%s: the key of %s both signs certificates and opens SCEP messages, which "
                     "anybody may send: who finds a way to have it decrypt or sign at will has a "
                     "CA; an RA with a key of its own parts the two (MDMEnrollRA)",
                     code(p, MDM_MSG_CA_SHARED_KEY), file);
}

/* OK, DONE where the site is not served for want of one, or the reason not to start. */
static int choose_signer(apr_pool_t *p, server_rec *s, int rehearsal)
{
    mdm_server_conf_t *conf = mdm_conf_server(s);
    mdm_site_t *site = conf->site;
    int own = conf->endpoints[MDM_ENDPOINT_DEVICE].server == s;

    if (site->guard_only)
        return OK;
    if (!site->signer)
        site->signer = mdm_signer_ssl_choose(conf);
    if (site->signer || !site->paths[MDM_ENDPOINT_DEVICE])
        return OK;
    if (own || !rehearsal)
        ap_log_error(APLOG_MARK, APLOG_STARTUP | (own ? APLOG_ERR : APLOG_WARNING), 0, NULL,
                     "%s: %s has no RSA or ECDSA certificate in mod_ssl to sign profiles with%s; "
                     "add SSLCertificateFile, or MDMEnrollSigner certificate key",
                     code(p, MDM_MSG_SIGNER_MISSING), mdm_conf_vhost_name(p, s),
                     own ? "" : ", so the endpoints that it inherits are not served there");
    if (own)
        return HTTP_INTERNAL_SERVER_ERROR;
    conf->site = NULL;
    return DONE;
}

/* What is signed in advance: not in the check, which may have to do without the private keys. */
static int prepare_scep(apr_pool_t *p, server_rec *s, mdm_site_t *site)
{
    mdm_result_t result;

    if (!site->scep.rules.ca)
        return OK;
    result = mdm_scep_prepare(p, &site->scep);
    if (result.kind == MDM_OK)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, NULL, "%s: %s: %s",
                 code(p, result.message), mdm_conf_vhost_name(p, s), result.log);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static void tell(apr_pool_t *p, server_rec *s, apr_hash_t *told)
{
    const mdm_server_conf_t *conf = mdm_conf_server(s);

    if (conf->site->guard_only) {
        warn_file_mode(p, s, told, conf->bind_file);
        return;
    }
    if (conf->site->signer)
        warn_self_signed(p, s, told, conf->site->signer->cert);
    warn_issuer(p, s, told, conf->site, apr_time_sec(apr_time_now()));
    warn_dates(p, s, told, conf->site, apr_time_sec(apr_time_now()));
    warn_key_mode(p, s, told, conf->ca_key);
    warn_key_mode(p, s, told, conf->ra_key);
    warn_key_mode(p, s, told, conf->signer_key);
    warn_file_mode(p, s, told, conf->bind_file);
    warn_outside_files(p, s, told, conf);
    note_shared_key(p, s, told, conf->site);
}

int mdm_conf_start(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    int rehearsal = ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG;
    apr_hash_t *told = apr_hash_make(ptemp);
    server_rec *s;

    (void)plog;
    if (mdm_conf_server(main_server)->broken) /* told by the check */
        return HTTP_INTERNAL_SERVER_ERROR;
    if (rehearsal && mdm_conf_server(main_server)->keys_wait &&
        mdm_conf_check_keys(p, ptemp, main_server) != OK)
        return HTTP_INTERNAL_SERVER_ERROR;
    /* A start is refused in its rehearsal. A restart goes on: the other sites are not to end for
     * want of updates. */
    if (rehearsal && mdm_conf_check_terms(ptemp, main_server, 1) > 0)
        return HTTP_INTERNAL_SERVER_ERROR;
    if (!rehearsal && ap_state_query(AP_SQ_CONFIG_GEN) > 1)
        mdm_conf_check_terms(ptemp, main_server, 0);
    if (!rehearsal)
        mdm_key_ring_sweep();
    for (s = main_server; s; s = s->next) {
        mdm_site_t *site = mdm_conf_server(s)->site;
        int status = site ? choose_signer(ptemp, s, rehearsal) : DONE;

        if (status == OK && !rehearsal)
            status = prepare_scep(p, s, site);
        if (status != OK && status != DONE)
            return status;
        if (status == OK && !rehearsal)
            tell(ptemp, s, told);
    }
    return rehearsal ? OK : mdm_conf_start_notifiers(p, ptemp, main_server);
}

/* --- child_init --- */

/* One pool of handles for each database, whichever vhosts name it. */
static const mdm_store_t *find_store(apr_pool_t *p, server_rec *s, apr_hash_t *stores,
                                     const mdm_site_t *site)
{
    const char *key = apr_psprintf(p, "%d:%s", (int)site->store_kind, site->store_target);
    const mdm_store_t *store = apr_hash_get(stores, key, APR_HASH_KEY_STRING);
    mdm_dbd_pool_t *pool;
    apr_status_t rv;

    if (store)
        return store;
    rv = mdm_dbd_pool_create(p, site->store_kind, site->store_target, &mdm_store_schema, &pool);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, "%s: no database handles can be made",
                     code(p, MDM_MSG_STORE_UNAVAILABLE));
        return NULL;
    }
    store = mdm_store_dbd(p, pool);
    apr_hash_set(stores, key, APR_HASH_KEY_STRING, store);
    return store;
}

/* One list for each CA and store. NULL where there is no CA, or it may not sign any. */
static const mdm_crl_source_t *find_crl(apr_pool_t *p, server_rec *s, apr_hash_t *crls,
                                        const mdm_site_t *site)
{
    const mdm_ca_t *ca = site->scep.rules.ca;
    const mdm_crl_source_t *crl;
    const char *key;

    if (!ca || !site->store || !mdm_ca_signs_crls(ca))
        return NULL;
    key = apr_psprintf(p, "%p %s", (const void *)site->store,
                       mdm_x509_fingerprint(p, mdm_ca_signer(ca)->cert));
    crl = apr_hash_get(crls, key, APR_HASH_KEY_STRING);
    if (!crl) {
        crl = mdm_crl_cache_create(p, ca, site->store);
        if (!crl)
            ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "%s: no CRL can be made: no mutex",
                         code(p, MDM_MSG_CRYPTO));
        apr_hash_set(crls, key, APR_HASH_KEY_STRING, crl);
    }
    return crl;
}

/* Without its lists a site is not served: it would let every device in. */
static void make_lists(apr_pool_t *p, server_rec *s, apr_hash_t *files, mdm_site_t *site)
{
    if (!site->store || !site->serial_rules->nelts)
        return;
    /* The context of a store is its pool of handles. */
    site->serials = mdm_serial_lists(p, site->serial_rules, files, site->store->context);
    if (site->serials)
        return;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "%s: no list of serial numbers can be had: no mutex",
                 code(p, MDM_MSG_SERIAL_LIST));
    site->store = NULL;
}

static void try_token(apr_pool_t *p, server_rec *s, apr_hash_t *tried, const char *source,
                      const mdm_signer_t *signer)
{
    mdm_result_t result;

    if (!source || !signer || !mdm_token_is_uri(source) || !first_time(p, tried, source))
        return;
    result = mdm_token_try_key(p, source, signer->key);
    if (result.kind != MDM_OK)
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "%s: %s; wanted: a token that the user this process runs as may use",
                     code(p, result.message), result.log);
}

static void start_guard(apr_pool_t *p, server_rec *s, mdm_site_t *site)
{
    if (!site->guarded || !site->store)
        return;
    site->guard =
        mdm_device_guard_create(p, site->store, site->directory, site->ota.trust, site->identity);
    if (!site->guard)
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "%s: no devices can be looked up: no mutex",
                     code(p, MDM_MSG_STORE_UNAVAILABLE));
}

void mdm_conf_start_child(apr_pool_t *p, server_rec *main_server)
{
    apr_hash_t *stores = apr_hash_make(p), *crls = apr_hash_make(p);
    apr_hash_t *tried = apr_hash_make(p), *files = apr_hash_make(p);
    server_rec *s;
    int started = 0;

    for (s = main_server; s; s = s->next) {
        const mdm_server_conf_t *conf = mdm_conf_server(s);
        mdm_site_t *site = conf->site;

        if (!site)
            continue;
        if (site->scep.rules.ca) {
            try_token(p, s, tried, conf->ca_key, mdm_ca_signer(site->scep.rules.ca));
            try_token(p, s, tried, conf->ra_key, site->scep.responder);
        }
        if (conf->where[MDM_SET_SIGNER])
            try_token(p, s, tried, conf->signer_key, site->signer);
        site->store = find_store(p, s, stores, site);
        if (site->ldap)
            site->directory = mdm_directory_ldap(p, site->ldap);
        start_guard(p, s, site);
        if (site->guard_only)
            continue;
        make_lists(p, s, files, site);
        site->scep.crl = find_crl(p, s, crls, site);
        if (site->notifier && site->store)
            mdm_notifier_start_child(p, site->notifier);
        /* Each easy handle would do it otherwise, and in old versions of libcurl threads may not.
         */
        if (!started && (mdm_conf_asks_services(conf) || site->notify)) {
            started = 1;
            if (!mdm_http_client_start_process())
                ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "%s: libcurl cannot be started",
                             code(p, MDM_MSG_CHALLENGE_SOURCE));
        }
    }
}
