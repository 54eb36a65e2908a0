/* SPDX-License-Identifier: Apache-2.0
 * For unit tests of CMS: a CA, an RSA and an EC certificate, and messages as bytes. Depends on pki
 * and cmocka.
 */
#ifndef CMS_FIXTURE_H
#define CMS_FIXTURE_H

#include <apr_pools.h>
#include <openssl/cms.h>

#define CMS_CONTENT "<plist>the content</plist>"

/* In pki_pool. */
typedef struct cms_bytes_t {
    unsigned char *data;
    apr_size_t len;
} cms_bytes_t;

extern EVP_PKEY *cms_rsa_key;
extern EVP_PKEY *cms_ec_key;
extern X509 *cms_ca;
extern X509 *cms_rsa_cert;
extern X509 *cms_ec_cert;

/* Group fixture, pki_setup() included; pki_teardown() ends it. */
int cms_setup(void **state);

/* The content of a memory BIO, and the DER of a message; both free their argument. */
cms_bytes_t cms_take(BIO *bio);
cms_bytes_t cms_encode(CMS_ContentInfo *info);

#endif
