/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_scep: what those may ask who have a certificate already. Depends on
 * scep_fixture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <apr_strings.h>
#include <openssl/x509v3.h>

#include "mdm_base64.h"
#include "scep_fixture.h"

#define BAD_CERT_ID "4"

static X509 *old_cert; /* of key; that of the_row() */

/* A certificate of the enrollment, recorded as if it had been issued so long before its end. */
static mdm_certificate_t *put(X509 *cert, const char *serial, const char *request)
{
    apr_size_t len;
    const unsigned char *der = mdm_x509_encode(pki_pool, cert, &len);

    fake_store_put_certificate(
        fake->store, &(mdm_certificate_t){.serial = serial,
                                          .issuer = mdm_ca_key_id(settings.rules.ca),
                                          .enrollment = ID,
                                          .purpose = MDM_PURPOSE_MDM,
                                          .request = request,
                                          .poll = "",
                                          .authority = "",
                                          .used_for = "",
                                          .fingerprint = mdm_x509_fingerprint(pki_pool, cert),
                                          .der = mdm_base64_encode(pki_pool, der, len),
                                          .not_before = fake->clock - 300 * DAY,
                                          .not_after = fake->clock + 20 * DAY,
                                          .issued_at = fake->clock - 300 * DAY});
    return recorded(issued() - 1);
}

static mdm_certificate_t *arrange_member(void)
{
    arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
    return put(old_cert, "01ab", "old");
}

static int setup_members(void **state)
{
    int failed = setup(state);

    if (!failed)
        old_cert = pki_cert("/CN=device", key, signer.cert, ca_key, NULL);
    return failed;
}

static scep_opts_t renewal(void)
{
    return (scep_opts_t){.key = other_key,
                         .recipient = signer.cert,
                         .type = "17",
                         .signer_key = key,
                         .signer_cert = old_cert};
}

/* --- renewal --- */

static void test_renewal(void **state)
{
    scep_opts_t opts = renewal(), next = renewal();
    const mdm_certificate_t *old = arrange_member();
    int checks = fake->policy_calls;
    X509 *renewed;

    (void)state;
    ask(&opts);
    granted_anew(1);
    assert_string_equal(facts.operation, "RenewalReq");
    assert_string_equal(facts.enrollment, ID);
    assert_string_equal(facts.udid, the_row()->udid);
    assert_string_equal(recorded(1)->authority, old->fingerprint);
    assert_int_equal(recorded(1)->purpose, MDM_PURPOSE_MDM);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(answer.cert), other_key), 1);
    assert_non_null(strstr(mdm_x509_subject(pki_pool, answer.cert), the_row()->udid));
    assert_int_equal(fake->policy_calls, checks + 1);
    assert_string_equal(fake->asked_device->serial, the_row()->serial);
    /* the old one lives until the new one is seen */
    assert_int_equal(old->revoked_at, 0);

    /* which it is when it renews itself */
    renewed = answer.cert;
    recorded(1)->not_after = fake->clock + DAY;
    next.signer_cert = renewed;
    next.signer_key = other_key;
    next.key = key;
    ask(&next);
    granted_anew(2);
    assert_int_equal(old->revocation_reason, MDM_REVOCATION_SUPERSEDED);
    assert_int_equal(recorded(1)->revoked_at, 0);
}

static void test_renewal_repeated(void **state)
{
    scep_opts_t opts = renewal(), again = renewal();
    scep_bytes_t message;

    (void)state;
    arrange_member();
    message = scep_message(&opts);
    exchange(message, key);
    granted_anew(1);
    exchange(message, key);
    granted_anew(1);
    /* another request: the reply was lost. What it brought ends */
    again.transaction = "again";
    ask(&again);
    granted_anew(2);
    assert_int_equal(recorded(0)->revoked_at, 0);
    assert_int_equal(recorded(1)->revocation_reason, MDM_REVOCATION_SUPERSEDED);
    assert_int_equal(recorded(2)->revoked_at, 0);
    exchange(message, key);
    refused(MDM_MSG_CERTIFICATE_REVOKED, BAD_REQUEST);
}

/* RFC 8894 section 2.3: PKCSReq, signed with the old certificate. */
static void test_renewal_of_old_clients(void **state)
{
    scep_opts_t opts = renewal();
    apr_int64_t now = fake->clock;

    (void)state;
    arrange_member();
    opts.type = "19";
    ask(&opts);
    granted_anew(1);
    assert_string_equal(recorded(1)->authority, recorded(0)->fingerprint);
    opts.key = key; /* the same key, and no challenge */
    ask(&opts);
    granted_anew(2);
    /* with a challenge, the challenge is what counts */
    opts.challenge = SECRET;
    opts.transaction = "by challenge";
    ask(&opts);
    granted_anew(3);
    assert_string_not_equal(recorded(3)->authority, recorded(0)->fingerprint);
    /* unless it is over: some repeat the one that they were enrolled with */
    fake->clock += MDM_SCEP_RECOVERY + 1;
    opts.transaction = "long after";
    ask(&opts);
    granted_anew(4);
    assert_string_equal(recorded(4)->authority, recorded(0)->fingerprint);
    opts.challenge = "swept";
    ask(&opts);
    granted_anew(5);
    assert_string_equal(recorded(5)->authority, recorded(0)->fingerprint);
    fake->clock = now;
}

static void renewal_refused(const scep_opts_t *opts, mdm_message_t message)
{
    int before = issued();

    ask(opts);
    refused(message, BAD_REQUEST);
    assert_int_equal(issued(), before);
}

static void test_renewal_is_for_members(void **state)
{
    scep_opts_t opts = renewal();
    mdm_certificate_t *old = arrange_member();
    static const pki_opts_t over = {.not_before = -20, .not_after = -10};

    (void)state;
    old->revoked_at = 1;
    renewal_refused(&opts, MDM_MSG_CERTIFICATE_REVOKED);
    old->revoked_at = 0;
    old->purpose = MDM_PURPOSE_IDENTITY;
    renewal_refused(&opts, MDM_MSG_CERTIFICATE_PURPOSE);
    old->purpose = MDM_PURPOSE_MDM;
    the_row()->state = MDM_STATE_IDENTIFIED;
    renewal_refused(&opts, MDM_MSG_ENROLLMENT_STATE);
    the_row()->state = MDM_STATE_DELIVERED;
    the_row()->site = "another";
    renewal_refused(&opts, MDM_MSG_SCEP_SIGNER);
    the_row()->site = FAKE_SITE;
    fake->world.others = apr_array_make(pki_pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH((apr_array_header_t *)fake->world.others, const char *) = "another vhost's";
    the_row()->rules = "another vhost's";
    renewal_refused(&opts, MDM_MSG_SCEP_SIGNER);
    the_row()->rules = FAKE_RULES;
    opts.signer_cert = pki_cert("/CN=device", key, NULL, NULL, NULL);
    renewal_refused(&opts, MDM_MSG_SCEP_SIGNER);
    opts.signer_cert = pki_cert("/CN=not recorded", key, signer.cert, ca_key, NULL);
    renewal_refused(&opts, MDM_MSG_SCEP_SIGNER);
    opts.signer_cert = pki_cert("/CN=over", key, signer.cert, ca_key, &over);
    put(opts.signer_cert, "02", "over");
    renewal_refused(&opts, MDM_MSG_SCEP_SIGNER);
    opts = renewal();
    the_row()->expires_at = the_row()->updated_at - 1;
    renewal_refused(&opts, MDM_MSG_CERTIFICATE_REVOKED);
    the_row()->expires_at = the_row()->updated_at;
    /* the other CA has the same name */
    opts.signer_cert = pki_cert("/CN=device", key, signer.cert, other_key, NULL);
    renewal_refused(&opts, MDM_MSG_SCEP_SIGNER);
}

static void test_renewal_asks_again(void **state)
{
    scep_opts_t opts = renewal();
    mdm_certificate_t *old = arrange_member();
    mdm_scep_settings_t kept = settings;

    (void)state;
    fake->policy_answer = MDM_MSG_POLICY_REFUSED;
    renewal_refused(&opts, MDM_MSG_POLICY_REFUSED);
    assert_string_equal(fake_store_refusal(fake->store, ID), "MDM0400");
    fake->policy_answer = MDM_MSG_NONE;
    fake->directory_answer = MDM_MSG_DIRECTORY_NO_USER;
    renewal_refused(&opts, MDM_MSG_DIRECTORY_NO_USER);
    fake->directory_answer = MDM_MSG_DIRECTORY_UNAVAILABLE;
    ask(&opts);
    assert_int_equal(result.kind, MDM_UNAVAILABLE);
    fake->directory_answer = MDM_MSG_NONE;

    old->not_after = fake->clock + 30 * DAY + 1;
    renewal_refused(&opts, MDM_MSG_SCEP_RENEWAL);
    assert_non_null(strstr(result.log, "MDMEnrollRenewal"));
    settings.rules.renewal = 0;
    old->not_after = fake->clock + 1;
    renewal_refused(&opts, MDM_MSG_SCEP_RENEWAL);
    settings = kept;
    ask(&opts);
    granted_anew(1);
}

static void test_renewal_proves_possession(void **state)
{
    scep_opts_t opts = renewal();

    (void)state;
    arrange_member();
    opts.request_broken = 1;
    ask(&opts);
    refused(MDM_MSG_SCEP_PROOF, BAD_MESSAGE_CHECK);
    opts = renewal();
    opts.envelope_broken = 2;
    ask(&opts);
    refused(MDM_MSG_SCEP_DECRYPT, BAD_MESSAGE_CHECK);
    opts = renewal();
    opts.plain = "no request";
    ask(&opts);
    refused(MDM_MSG_SCEP_PROOF, BAD_MESSAGE_CHECK);
    opts = renewal();
    opts.key = pki_key_rsa(1024);
    ask(&opts);
    refused(MDM_MSG_SCEP_KEY, BAD_ALG);
    /* what is no proved key yet tells nothing of itself */
    opts.request_broken = 1;
    ask(&opts);
    refused(MDM_MSG_SCEP_PROOF, BAD_MESSAGE_CHECK);
    opts.request_broken = 0;
    opts.key = pki_key_ec("P-256");
    ask(&opts);
    refused(MDM_MSG_SCEP_KEY, BAD_ALG);
    assert_int_equal(issued(), 1);
}

/* As mdm-enroll-admin does it: the certificate alone, or the enrollment and all there are. */
static void revoke_old(fake_store_t *store, void *context)
{
    (void)store;
    if (*(const int *)context)
        the_row()->expires_at = the_row()->updated_at - 1;
    for (int i = 0; i < issued(); i++)
        recorded(i)->revoked_at = fake->clock;
}

/* An administrator revokes between any two steps: nothing that is issued lives. */
static void test_revoked_at_any_moment(void **state)
{
    scep_opts_t opts = renewal();
    scep_bytes_t message = scep_message(&opts);
    int moments = 0;

    (void)state;
    for (int whole = 0; whole < 2; whole++)
        for (int nth = 1;; nth++) {
            arrange_member();
            fake_store_rival(fake->store, nth, revoke_old, &whole);
            exchange(message, key);
            if (recorded(0)->revoked_at == 0)
                break;
            moments++;
            for (int i = 0; i < issued(); i++)
                assert_true(recorded(i)->revoked_at != 0);
        }
    assert_true(moments > 14);
}

/* The same for what a challenge brings. */
static void test_ended_at_any_moment(void **state)
{
    const int whole = 1;
    scep_opts_t opts = sound();
    scep_bytes_t message = scep_message(&opts);
    int moments = 0;

    (void)state;
    for (int nth = 1;; nth++) {
        arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
        fake_store_rival(fake->store, nth, revoke_old, (void *)&whole);
        exchange(message, key);
        if (!mdm_enrollment_is_ended(the_row()))
            break;
        moments++;
        for (int i = 0; i < issued(); i++)
            assert_true(recorded(i)->revoked_at != 0);
    }
    assert_true(moments > 5);
}

/* --- what is asked for by name --- */

/* IssuerAndSubject or IssuerAndSerialNumber. */
static void name_in(scep_opts_t *opts, const X509_NAME *issuer, const X509_NAME *subject,
                    const char *serial)
{
    unsigned char *at, *first = NULL, *second = NULL, *der = apr_palloc(pki_pool, 4096);
    int first_len = i2d_X509_NAME(issuer, &first), second_len;

    if (subject != NULL) {
        second_len = i2d_X509_NAME(subject, &second);
    } else {
        ASN1_INTEGER *number = s2i_ASN1_INTEGER(NULL, apr_pstrcat(pki_pool, "0x", serial, NULL));
        second_len = i2d_ASN1_INTEGER(number, &second);
        ASN1_INTEGER_free(number);
    }
    at = der;
    ASN1_put_object(&at, 1, first_len + second_len, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memcpy(at, first, (size_t)first_len);
    memcpy(at + first_len, second, (size_t)second_len);
    opts->plain = (char *)der;
    opts->plain_len = (apr_size_t)(at - der + first_len + second_len);
    OPENSSL_free(first);
    OPENSSL_free(second);
}

static const X509_NAME *issuer_name(void)
{
    return X509_get_subject_name(signer.cert);
}

static void test_cert_poll(void **state)
{
    scep_opts_t asked = sound(), opts = sound();

    (void)state;
    arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
    opts.type = "20";
    name_in(&opts, issuer_name(), issuer_name(), NULL);
    ask(&opts);
    refused(MDM_MSG_SCEP_CERT_ID, BAD_CERT_ID);
    untouched();
    ask(&asked);
    granted();
    ask(&opts); /* after the issue: again */
    granted();
    assert_string_equal(facts.operation, "CertPoll");
    assert_string_equal(answer.transaction, "transaction-1");
    opts.transaction = "transaction-2";
    ask(&opts);
    refused(MDM_MSG_SCEP_CERT_ID, BAD_CERT_ID);
    opts.transaction = NULL;
    opts.key = other_key;
    ask(&opts);
    refused(MDM_MSG_SCEP_CERT_ID, BAD_CERT_ID);
    opts.key = key;
    recorded(0)->revoked_at = fake->clock;
    ask(&opts);
    refused(MDM_MSG_CERTIFICATE_REVOKED, BAD_REQUEST);
    /* another CA's, or none: as if it could not be decrypted */
    name_in(&opts, X509_get_subject_name(old_cert), issuer_name(), NULL);
    ask(&opts);
    refused(MDM_MSG_SCEP_PROOF, BAD_MESSAGE_CHECK);
    name_in(&opts, issuer_name(), NULL, "01");
    ask(&opts);
    refused(MDM_MSG_SCEP_PROOF, BAD_MESSAGE_CHECK);
}

static scep_bytes_t poll_message(const scep_opts_t *of)
{
    scep_opts_t opts = *of;

    opts.challenge = NULL;
    opts.type = "20";
    name_in(&opts, issuer_name(), issuer_name(), NULL);
    return scep_message(&opts);
}

static int live(void)
{
    int count = 0;

    for (int i = 0; i < issued(); i++)
        count += recorded(i)->revoked_at == 0;
    return count;
}

/* Phase 3 with the certificate that the device has. */
static void deliver(fake_store_t *store, void *context)
{
    (void)store;
    (void)context;
    if (the_row()->state == MDM_STATE_IDENTIFIED)
        the_row()->state = MDM_STATE_DELIVERED;
}

/* What a request was refused, polling does not bring: phase 3 comes in between any two steps of a
 * second request. */
static void test_poll_for_what_was_refused(void **state)
{
    scep_opts_t first = sound(), second = sound();
    scep_bytes_t message, poll;
    int refusals = 0;

    (void)state;
    second.key = other_key;
    second.transaction = "second";
    message = scep_message(&second);
    poll = poll_message(&second);
    for (int nth = 1;; nth++) {
        arrange(MDM_STATE_IDENTIFYING, MDM_PURPOSE_IDENTITY);
        ask(&first);
        granted();
        fake_store_rival(fake->store, nth, deliver, NULL);
        exchange(message, other_key);
        if (the_row()->state != MDM_STATE_DELIVERED)
            break;
        if (result.kind == MDM_OK) /* it had taken the identity's place before */
            continue;
        refusals++;
        assert_true(live() <= 1);
        assert_string_equal(the_row()->identity_fingerprint, recorded(0)->fingerprint);
        exchange(poll, other_key);
        assert_int_equal(result.kind, MDM_REFUSED);
    }
    assert_true(refusals > 4);
}

/* The store fails at some step of a second request: whoever polls then gets what the request would
 * get if it were sent again, and one certificate lives. */
static void test_poll_after_a_failure(void **state)
{
    scep_opts_t first = sound(), second = sound();
    scep_bytes_t message, poll;

    (void)state;
    second.key = other_key;
    second.transaction = "second";
    message = scep_message(&second);
    poll = poll_message(&second);
    for (int ended = 0; ended < 2; ended++)
        for (int nth = 1;; nth++) {
            arrange(MDM_STATE_DELIVERED, MDM_PURPOSE_MDM);
            ask(&first);
            granted();
            fake_store_fail(fake->store, nth, 0);
            exchange(message, other_key);
            if (fake->store->calls < fake->store->fail_at)
                break;
            fake_store_fail(fake->store, 0, 0);
            if (ended)
                the_row()->expires_at = the_row()->updated_at - 1;
            exchange(poll, other_key);
            if (result.kind == MDM_OK) {
                assert_false(ended);
                granted_anew(1);
                assert_int_equal(live(), 1);
            } else {
                assert_int_equal(result.kind, MDM_REFUSED);
            }
        }
}

static scep_opts_t get_cert(const char *serial)
{
    scep_opts_t opts = renewal();

    opts.type = "21";
    name_in(&opts, issuer_name(), NULL, serial);
    return opts;
}

static void test_get_cert(void **state)
{
    scep_opts_t opts;
    X509 *second = pki_cert("/CN=second", other_key, signer.cert, ca_key, NULL);
    X509 *foreign = pki_cert("/CN=foreign", other_key, signer.cert, ca_key, NULL);

    (void)state;
    arrange_member();
    put(second, "02", "second");
    put(foreign, "80ff", "foreign")->enrollment = "another";
    opts = get_cert("01ab");
    ask(&opts);
    assert_int_equal(result.kind, MDM_OK);
    assert_int_equal(X509_cmp(answer.cert, old_cert), 0);
    assert_string_equal(facts.operation, "GetCert");
    opts = get_cert("02");
    ask(&opts);
    assert_int_equal(X509_cmp(answer.cert, second), 0);
    opts = get_cert("80ff"); /* somebody else's */
    ask(&opts);
    refused(MDM_MSG_SCEP_CERT_ID, BAD_CERT_ID);
    opts = get_cert("03");
    ask(&opts);
    refused(MDM_MSG_SCEP_CERT_ID, BAD_CERT_ID);
    opts = get_cert("01ab");
    opts.signer_cert = NULL; /* a stranger with the same key */
    ask(&opts);
    refused(MDM_MSG_SCEP_SIGNER, BAD_REQUEST);
    opts = get_cert("01ab");
    name_in(&opts, X509_get_subject_name(old_cert), NULL, "01ab");
    ask(&opts);
    refused(MDM_MSG_SCEP_PROOF, BAD_MESSAGE_CHECK);
    recorded(1)->revoked_at = 1;
    opts = get_cert("02");
    ask(&opts);
    refused(MDM_MSG_CERTIFICATE_REVOKED, BAD_REQUEST);
}

static mdm_result_t make_crl(void *context, apr_pool_t *p, mdm_crl_t *crl)
{
    (void)context;
    return mdm_crl_make(p, settings.rules.ca, &fake->world, crl);
}

static void test_get_crl(void **state)
{
    const mdm_crl_source_t source = {NULL, make_crl};
    scep_opts_t opts = sound(); /* anybody */

    (void)state;
    arrange_member();
    put(pki_cert("/CN=second", other_key, signer.cert, ca_key, NULL), "02", "second");
    recorded(0)->revoked_at = fake->clock - 10;
    recorded(0)->revocation_reason = 1;
    opts.type = "22";
    name_in(&opts, issuer_name(), NULL, "01ab");
    ask(&opts);
    refused(MDM_MSG_SCEP_NO_CRL, BAD_REQUEST);
    settings.crl = &source;
    ask(&opts);
    assert_int_equal(result.kind, MDM_OK);
    assert_string_equal(facts.operation, "GetCRL");
    assert_int_equal(answer.certificates, -1);
    assert_non_null(answer.crl);
    assert_int_equal(X509_CRL_verify(answer.crl, ca_key), 1);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(answer.crl)), 1);
    fake_store_fail(fake->store, 1, 0);
    ask(&opts);
    assert_int_equal(result.kind, MDM_UNAVAILABLE);
    settings.crl = NULL;
}

/* --- the list --- */

static X509_CRL *list(void)
{
    mdm_crl_t crl;
    const unsigned char *at;
    X509_CRL *made;

    assert_int_equal(make_crl(NULL, pki_pool, &crl).kind, MDM_OK);
    at = crl.der;
    made = d2i_X509_CRL(NULL, &at, (long)crl.len);
    assert_non_null(made);
    return made;
}

static void test_crl(void **state)
{
    static const int reasons[] = {0, 4, 1, 0};
    ASN1_INTEGER *number;
    AUTHORITY_KEYID *authority;
    STACK_OF(X509_REVOKED) *entries;
    X509_CRL *crl;

    (void)state;
    arrange_member();
    crl = list();
    assert_int_equal(X509_CRL_get_version(crl), X509_CRL_VERSION_2);
    assert_int_equal(X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer_name()), 0);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), -1);
    number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    assert_int_equal(ASN1_INTEGER_get(number), fake->clock);
    ASN1_INTEGER_free(number);
    authority = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
    assert_non_null(authority);
    AUTHORITY_KEYID_free(authority);
    X509_CRL_free(crl);

    for (int i = 1; i < 4; i++)
        put(pki_cert(apr_psprintf(pki_pool, "/CN=%d", i), other_key, signer.cert, ca_key, NULL),
            apr_psprintf(pki_pool, "%02x", 0x50 - i), apr_psprintf(pki_pool, "request-%d", i));
    for (int i = 0; i < 4; i++) {
        recorded(i)->revoked_at = fake->clock - 1;
        recorded(i)->revocation_reason = reasons[i];
    }
    recorded(3)->revoked_at = fake->clock; /* this very second: in the next list */
    crl = list();
    entries = X509_CRL_get_REVOKED(crl);
    assert_int_equal(sk_X509_REVOKED_num(entries), 3);
    for (int i = 0; i < 3; i++) {
        ASN1_ENUMERATED *reason =
            X509_REVOKED_get_ext_d2i(sk_X509_REVOKED_value(entries, i), NID_crl_reason, NULL, NULL);
        long serial =
            ASN1_INTEGER_get(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i)));
        assert_int_equal(reason != NULL ? ASN1_ENUMERATED_get(reason) : 0, serial == 0x4f   ? 4
                                                                           : serial == 0x4e ? 1
                                                                                            : 0);
        ASN1_ENUMERATED_free(reason);
    }
    X509_CRL_free(crl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_renewal_repeated),
        cmocka_unit_test(test_renewal_of_old_clients),
        cmocka_unit_test(test_renewal_is_for_members),
        cmocka_unit_test(test_renewal_asks_again),
        cmocka_unit_test(test_renewal_proves_possession),
        cmocka_unit_test(test_revoked_at_any_moment),
        cmocka_unit_test(test_ended_at_any_moment),
        cmocka_unit_test(test_cert_poll),
        cmocka_unit_test(test_poll_for_what_was_refused),
        cmocka_unit_test(test_poll_after_a_failure),
        cmocka_unit_test(test_get_cert),
        cmocka_unit_test(test_get_crl),
        cmocka_unit_test(test_crl),
    };

    return cmocka_run_group_tests(tests, setup_members, pki_teardown);
}
