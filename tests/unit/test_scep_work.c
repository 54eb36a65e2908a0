/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_scep: what a refusal costs, counted by the calls that are dear, since a test
 * that is timed fails on somebody's machine (script/bench measures). Depends on scep_fixture, and
 * on the linker, which leads core's calls through here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/cms.h>
#include <openssl/pkcs7.h>

#include "mdm_base64.h"
#include "scep_fixture.h"

/* Calls since the last message was sent. */
static int verified, requests, messages, envelopes;

int __real_X509_REQ_verify(X509_REQ *csr, EVP_PKEY *pkey);
X509_REQ *__real_d2i_X509_REQ(X509_REQ **csr, const unsigned char **der, long len);
CMS_ContentInfo *__real_d2i_CMS_ContentInfo(CMS_ContentInfo **cms, const unsigned char **der,
                                            long len);
PKCS7 *__real_d2i_PKCS7(PKCS7 **p7, const unsigned char **der, long len);
int __wrap_X509_REQ_verify(X509_REQ *csr, EVP_PKEY *pkey);
X509_REQ *__wrap_d2i_X509_REQ(X509_REQ **csr, const unsigned char **der, long len);
CMS_ContentInfo *__wrap_d2i_CMS_ContentInfo(CMS_ContentInfo **cms, const unsigned char **der,
                                            long len);
PKCS7 *__wrap_d2i_PKCS7(PKCS7 **p7, const unsigned char **der, long len);

int __wrap_X509_REQ_verify(X509_REQ *csr, EVP_PKEY *pkey)
{
    verified++;
    return __real_X509_REQ_verify(csr, pkey);
}

X509_REQ *__wrap_d2i_X509_REQ(X509_REQ **csr, const unsigned char **der, long len)
{
    requests++;
    return __real_d2i_X509_REQ(csr, der, len);
}

CMS_ContentInfo *__wrap_d2i_CMS_ContentInfo(CMS_ContentInfo **cms, const unsigned char **der,
                                            long len)
{
    messages++;
    return __real_d2i_CMS_ContentInfo(cms, der, len);
}

PKCS7 *__wrap_d2i_PKCS7(PKCS7 **p7, const unsigned char **der, long len)
{
    envelopes++;
    return __real_d2i_PKCS7(p7, der, len);
}

/* Without reading the answer, which calls the same functions. */
static void serve(scep_bytes_t message)
{
    verified = requests = messages = envelopes = 0;
    result = mdm_scep_pki_operation(pki_pool, &settings, &fake->world, message.data, message.len,
                                    &reply, &facts);
}

/* A member, whose certificate is that. */
static X509 *arrange_member(void)
{
    X509 *cert = pki_cert("/CN=device", key, signer.cert, ca_key, NULL);
    apr_size_t len;
    const unsigned char *der = mdm_x509_encode(pki_pool, cert, &len);

    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    fake_store_put_certificate(
        fake->store, &(mdm_certificate_t){.serial = "01ab",
                                          .issuer = mdm_ca_key_id(settings.rules.ca),
                                          .enrollment = ID,
                                          .purpose = MDM_PURPOSE_MDM,
                                          .request = "old",
                                          .poll = "",
                                          .authority = "",
                                          .used_for = "",
                                          .fingerprint = mdm_x509_fingerprint(pki_pool, cert),
                                          .der = mdm_base64_encode(pki_pool, der, len),
                                          .not_before = fake->clock - 300 * DAY,
                                          .not_after = fake->clock + 20 * DAY,
                                          .issued_at = fake->clock - 300 * DAY});
    return cert;
}

/* A message that cannot be opened, or whose request is not proved, in the ways that nobody may be
 * able to tell apart. */
static scep_bytes_t damaged(scep_opts_t opts, int how)
{
    opts.envelope_broken = how < 3 ? how : 0;
    if (how == 3)
        opts.plain = "no request";
    if (how == 4)
        opts.request_broken = 1;
    return scep_message(&opts);
}

/* Decryption that fails ends so nearly always: a random key makes a padding that holds once in 256
 * times. */
static void refused_alike(int decryption)
{
    if (decryption && result.message == MDM_MSG_SCEP_DECRYPT)
        return;
    assert_int_equal(result.message, MDM_MSG_SCEP_PROOF);
}

/* Whatever is wrong, a member's refusal decodes one request and verifies one, its own or the decoy.
 */
static void test_member_refusals(void **state)
{
    scep_opts_t opts = {.key = other_key,
                        .recipient = signer.cert,
                        .type = "17",
                        .signer_key = key,
                        .signer_cert = arrange_member()};

    (void)state;
    for (int how = 1; how <= 4; how++) {
        serve(damaged(opts, how));
        refused_alike(how == 1 || how == 2);
        assert_int_equal(requests, 1);
        assert_int_equal(verified, 1);
    }
}

/* And a stranger's none, unless it is a request of his own, whose content he knows. */
static void test_stranger_refusals(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    opts.key = other_key;
    opts.signer_key = key;
    for (int how = 0; how <= 4; how++) {
        serve(damaged(opts, how));
        refused_alike(how == 1 || how == 2);
        assert_int_equal(requests, 0);
        assert_int_equal(verified, 0);
    }
}

/* What there is too much of is told before OpenSSL decodes any of it. */
static void test_counted_first(void **state)
{
    scep_opts_t opts = sound();

    (void)state;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    opts.certificates = MDM_SCEP_MAX_CERTIFICATES;
    serve(scep_message(&opts));
    malformed(MDM_MSG_SCEP_MESSAGE);
    assert_int_equal(messages, 0);

    opts = sound();
    opts.recipients = 60;
    serve(scep_message(&opts));
    assert_int_equal(result.message, MDM_MSG_SCEP_DECRYPT);
    assert_int_equal(messages, 1); /* the outer one */
    assert_int_equal(envelopes, 0);

    opts = sound();
    opts.challenge_values = MDM_SCEP_MAX_ELEMENTS;
    serve(scep_message(&opts));
    assert_int_equal(result.message, MDM_MSG_SCEP_PROOF);
    assert_int_equal(requests, 0);

    opts = sound();
    serve(scep_message(&opts));
    assert_int_equal(result.message, MDM_MSG_NONE);
    assert_int_equal(requests, 1);
    assert_int_equal(verified, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_member_refusals),
        cmocka_unit_test(test_stranger_refusals),
        cmocka_unit_test(test_counted_first),
    };
    return cmocka_run_group_tests(tests, setup, pki_teardown);
}
