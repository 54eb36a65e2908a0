/* SPDX-License-Identifier: Apache-2.0
 * For unit tests of CMS: a CA, an RSA and an EC certificate, and messages as bytes. Depends on pki
 * and cmocka.
 */
#include "cms_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_strings.h>
#include <cmocka.h>

#include "pki.h"

EVP_PKEY *cms_rsa_key;
EVP_PKEY *cms_ec_key;
X509 *cms_ca;
X509 *cms_rsa_cert;
X509 *cms_ec_cert;

int cms_setup(void **state)
{
    pki_setup(state);
    EVP_PKEY *ca_key = pki_key_rsa(2048);
    cms_rsa_key = pki_key_rsa(2048);
    cms_ec_key = pki_key_ec("P-256");
    cms_ca = pki_cert("/CN=CA", ca_key, NULL, NULL, &(pki_opts_t){.constraints = PKI_CA});
    cms_rsa_cert = pki_cert("/CN=rsa", cms_rsa_key, cms_ca, ca_key, NULL);
    cms_ec_cert = pki_cert("/CN=ec", cms_ec_key, cms_ca, ca_key, NULL);
    return 0;
}

cms_bytes_t cms_take(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    cms_bytes_t bytes = {apr_pmemdup(pki_pool, data, (apr_size_t)len), (apr_size_t)len};
    BIO_free(bio);
    return bytes;
}

cms_bytes_t cms_encode(CMS_ContentInfo *info)
{
    BIO *out = BIO_new(BIO_s_mem());
    assert_non_null(info);
    assert_true(i2d_CMS_bio(out, info));
    CMS_ContentInfo_free(info);
    return cms_take(out);
}
