/* SPDX-License-Identifier: Apache-2.0
 * The issuing side of a site, from its directives: CA, RA, what follows them, what SCEP goes by.
 */
#include "conf.h"

#include <apr_strings.h>
#include <openssl/x509v3.h>

#define DEFAULT_VALIDITY (365 * 24 * 60 * 60)
#define DEFAULT_RENEWAL (30 * 24 * 60 * 60)

/* What the certificates say of the CRL: what MDMEnrollCRLURL says, else where this vhost has it. */
static const char *crl_url(apr_pool_t *p, const mdm_server_conf_t *conf, const mdm_site_t *site,
                           const char *vhost_url)
{
    const char *path = site->paths[MDM_ENDPOINT_CRL];

    if (conf->where[MDM_SET_CRL_URL])
        return *conf->crl_url ? conf->crl_url : NULL;
    return path ? apr_pstrcat(p, vhost_url, path, NULL) : NULL;
}

static mdm_ca_t *make_ca(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                         const char *vhost_url, const mdm_site_t *site)
{
    const ap_directive_t *where = conf->where[MDM_SET_CA];
    mdm_ca_settings_t *settings = apr_pcalloc(p, sizeof(*settings));
    mdm_signer_t *signer;
    mdm_ca_t *ca;

    if (!mdm_conf_told(check, where,
                       mdm_signer_read(p, conf->ca_certificate, conf->ca_key, NULL,
                                       mdm_conf_keys(check, conf, where), &signer)))
        return NULL;
    settings->signer = signer;
    settings->responder = !conf->where[MDM_SET_RA];
    settings->organization = conf->organization;
    settings->validity = conf->where[MDM_SET_VALIDITY] ? conf->validity : DEFAULT_VALIDITY;
    settings->crl_url = crl_url(p, conf, site, vhost_url);
    settings->alt_names = conf->alt_names;
    if (!mdm_conf_told(check, where, mdm_ca_create(p, settings, &ca)))
        return NULL;
    if (conf->endpoints[MDM_ENDPOINT_CRL].path && !mdm_ca_signs_crls(ca))
        mdm_conf_problem(check, conf->endpoints[MDM_ENDPOINT_CRL].where,
                         "the certificate in %s may not sign CRLs; wanted: keyUsage with cRLSign, "
                         "or no keyUsage",
                         conf->ca_certificate);
    return ca;
}

static const mdm_signer_t *make_responder(mdm_check_t *check, apr_pool_t *p,
                                          const mdm_server_conf_t *conf, const mdm_ca_t *ca)
{
    const ap_directive_t *where = conf->where[MDM_SET_RA];
    mdm_signer_t *ra;

    if (!where)
        return mdm_ca_signer(ca);
    if (!mdm_conf_told(check, where,
                       mdm_signer_read(p, conf->ra_certificate, conf->ra_key, NULL,
                                       mdm_conf_keys(check, conf, where), &ra)) ||
        !mdm_conf_told(check, where, mdm_ca_check_ra(p, ca, ra)))
        return NULL;
    return ra;
}

/* What is wrong with the certificates that shall follow the CA's; NULL if nothing is. */
static const char *unfit_next(apr_pool_t *p, const mdm_ca_t *ca, const STACK_OF(X509) *certs)
{
    X509 *first = sk_X509_value(certs, 0), *second = sk_X509_value(certs, 1);

    if (X509_check_ca(first) != 1)
        return apr_psprintf(p,
                            "\"%s\" is none of a CA; wanted: the CA's certificate, then its RA's",
                            mdm_x509_subject(p, first));
    if (!strcmp(mdm_x509_key_id(p, first), mdm_ca_key_id(ca)))
        return "it has the key of the present CA; wanted: that of another one";
    if (mdm_x509_not_after(first) <= apr_time_sec(apr_time_now()))
        return "it has expired";
    if (second && X509_check_issued(first, second) != X509_V_OK &&
        X509_check_issued(second, first) != X509_V_OK)
        return apr_psprintf(p, "\"%s\" is not of that CA; wanted: the certificate of its RA",
                            mdm_x509_subject(p, second));
    return NULL;
}

static const STACK_OF(X509) *read_next(mdm_check_t *check, apr_pool_t *p,
                                       const mdm_server_conf_t *conf, const mdm_ca_t *ca)
{
    const ap_directive_t *where = conf->where[MDM_SET_NEXT_CA];
    STACK_OF(X509) *certs;
    const char *why;

    if (!where ||
        !mdm_conf_told(check, where, mdm_x509_read_certificates(p, conf->next_ca, &certs)))
        return NULL;
    why = unfit_next(p, ca, certs);
    if (!why)
        return certs;
    mdm_conf_problem(check, where, "%s: %s", conf->next_ca, why);
    return NULL;
}

void mdm_conf_make_issuer(mdm_check_t *check, apr_pool_t *p, const mdm_server_conf_t *conf,
                          const char *vhost_url, mdm_trust_t *trust, mdm_site_t *site)
{
    mdm_ca_t *ca = make_ca(check, p, conf, vhost_url, site);
    mdm_scep_settings_t *scep = &site->scep;

    if (!ca)
        return;
    mdm_conf_told(check, conf->where[MDM_SET_CA],
                  mdm_trust_add_identity_ca(trust, mdm_ca_signer(ca)->cert));
    scep->rules.ca = ca;
    scep->rules.trust = trust;
    scep->rules.lifetime = site->ota.lifetime;
    scep->rules.renewal = conf->where[MDM_SET_RENEWAL] ? conf->renewal : DEFAULT_RENEWAL;
    scep->allow = conf->scep_allow;
    scep->responder = make_responder(check, p, conf, ca);
    scep->next = read_next(check, p, conf, ca);
}
