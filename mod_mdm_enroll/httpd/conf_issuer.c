/* SPDX-License-Identifier: Apache-2.0
 * The issuing side of a site, from its directives: CA, RA, what follows them, what SCEP goes by.
 */
#include "conf.h"

#include <apr_strings.h>

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

static const STACK_OF(X509) *read_next(mdm_check_t *check, apr_pool_t *p,
                                       const mdm_server_conf_t *conf)
{
    const ap_directive_t *where = conf->where[MDM_SET_NEXT_CA];
    STACK_OF(X509) *certs;
    X509 *first;

    if (!where ||
        !mdm_conf_told(check, where, mdm_x509_read_certificates(p, conf->next_ca, &certs)))
        return NULL;
    first = sk_X509_value(certs, 0);
    if (X509_check_ca(first) == 1)
        return certs;
    mdm_conf_problem(check, where,
                     "the first certificate in %s, \"%s\", is none of a CA; wanted: the CA's, then "
                     "the RA's if it has one",
                     conf->next_ca, mdm_x509_subject(p, first));
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
    scep->next = read_next(check, p, conf);
}
