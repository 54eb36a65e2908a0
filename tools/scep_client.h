/* SPDX-License-Identifier: Apache-2.0
 * SCEP exchanges as a client does them, from GetCACert to the checked reply: enrollment as Apple's
 * devices do it, renewal and GetCRL as RFC 8894 has them. Depends on scep_ca, scep_csr,
 * scep_message.
 */
#ifndef SCEP_CLIENT_H
#define SCEP_CLIENT_H

#include <apr_pools.h>

#include "device_profile.h"
#include "device_report.h"
#include "mdm_x509.h"
#include "scep_ca.h"

/* Get a certificate for key by a payload, whose URL and name are server's. *identity has the
 * certificate, key, and all certificates of GetCACert as its chain; owned by p, which must not
 * outlive key. */
device_result_t scep_client_enroll(const scep_server_t *server, apr_pool_t *p,
                                   const device_scep_payload_t *payload, EVP_PKEY *key,
                                   mdm_signer_t *identity);

/* Get a certificate for key in the place of old's. trusted: the CAs that this device knows; who
 * answers must chain to one of them, and so must what is issued. force: do not ask whether the
 * server can renew. *identity as above. */
device_result_t scep_client_renew(const scep_server_t *server, apr_pool_t *p,
                                  const STACK_OF(X509) *trusted, const mdm_signer_t *old,
                                  EVP_PKEY *key, int force, mdm_signer_t *identity);

/* GetCRL, signed by member and about it. Who answers must chain to one of trusted; the list itself
 * is not checked. */
device_result_t scep_client_crl(const scep_server_t *server, apr_pool_t *p,
                                const STACK_OF(X509) *trusted, const mdm_signer_t *member,
                                X509_CRL **crl);

#endif
