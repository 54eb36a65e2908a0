/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: a site on core and the device's side of the three phases. Depends on pki,
 * fake_store and core.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <openssl/cms.h>

#include "mdm_base64.h"
#include "ota_site.h"
#include "pki.h"

EVP_PKEY *ota_device_ca_key, *ota_device_key, *ota_ca_key, *ota_identity_key, *ota_vhost_key,
    *ota_ec_key;
X509 *ota_device_ca, *ota_device, *ota_ca, *ota_identity, *ota_vhost;

int ota_setup(void **state)
{
    static const pki_opts_t old_ca = {.constraints = PKI_CA,
                                      .digest = NULL,
                                      .not_before = -20 * 365L * 86400,
                                      .not_after = -10 * 365L * 86400};
    static const pki_opts_t sound_ca = {.constraints = PKI_CA};
    pki_opts_t old = {
        .digest = EVP_sha1(), .not_before = -5 * 365L * 86400, .not_after = -3 * 365L * 86400};

    if (pki_setup(state) != 0)
        return -1;
    ota_device_ca_key = pki_key_rsa(1024);
    ota_device_key = pki_key_rsa(1024);
    ota_ca_key = pki_key_rsa(2048);
    ota_identity_key = pki_key_rsa(2048);
    ota_vhost_key = pki_key_ec("P-256");
    ota_ec_key = pki_key_ec("P-256");
    ota_device_ca = pki_cert("/O=Test/CN=Device CA", ota_device_ca_key, NULL, NULL, &old_ca);
    ota_device = pki_cert("/CN=device", ota_device_key, ota_device_ca, ota_device_ca_key, &old);
    ota_ca = pki_cert("/O=Example/CN=Enrollment CA", ota_ca_key, NULL, NULL, &sound_ca);
    ota_identity = pki_cert("/O=Example/CN=" OTA_UDID, ota_identity_key, ota_ca, ota_ca_key, NULL);
    ota_vhost = pki_cert("/CN=www.example.com", ota_vhost_key, NULL, NULL, NULL);
    return 0;
}

mdm_result_t ota_offer(ota_site_t *site, const char *user)
{
    return mdm_ota_offer(pki_pool, &site->settings, &site->fake->world, &site->request, user,
                         &site->reply, &site->facts);
}

ota_site_t *ota_site(void)
{
    ota_site_t *site = apr_pcalloc(pki_pool, sizeof(*site));
    apr_array_header_t *attributes = apr_array_make(pki_pool, 2, sizeof(const char *));

    APR_ARRAY_PUSH(attributes, const char *) = "UDID";
    APR_ARRAY_PUSH(attributes, const char *) = "SERIAL";
    site->fake = fake_world_create(pki_pool);
    site->trust = mdm_trust_create(pki_pool);
    assert_int_equal(mdm_trust_add_device_ca(site->trust, ota_device_ca).kind, MDM_OK);
    assert_int_equal(mdm_trust_add_identity_ca(site->trust, ota_ca).kind, MDM_OK);
    site->signer = (mdm_signer_t){.cert = ota_vhost, .key = ota_vhost_key};
    site->settings = (mdm_ota_settings_t){
        .profile = {.organization = "Example Corp",
                    .identifier = "com.example.mdm.enroll",
                    .server_url = mdm_text_constant(pki_pool, "https://mdm.example.com/mdm"),
                    .topic = "com.apple.mgmt.External.x",
                    .device_attributes = attributes},
        .trust = site->trust,
        .cipher = EVP_aes_256_cbc(),
        .lifetime = OTA_LIFETIME,
        .tls_certificate = MDM_TLS_CERTIFICATE_OPTIONAL,
    };
    site->request = (mdm_ota_request_t){
        .signer = &site->signer, .device_url = OTA_DEVICE_URL, .scep_url = OTA_SCEP_URL};
    return site;
}

/* --- what the device does, by OpenSSL alone --- */

static ota_bytes_t taken(BIO *bio)
{
    ota_bytes_t bytes;
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    bytes.data = apr_pmemdup(pki_pool, data, (apr_size_t)len);
    bytes.len = (apr_size_t)len;
    BIO_free(bio);
    return bytes;
}

ota_bytes_t ota_message(const ota_message_t *m)
{
    X509 *cert = m->cert != NULL ? m->cert : ota_device;
    EVP_PKEY *key = m->cert != NULL ? m->key : ota_device_key;
    const EVP_MD *digest = m->digest != NULL ? m->digest : EVP_sha256();
    unsigned int flags = m->flags | CMS_BINARY;
    BIO *in = BIO_new_mem_buf(m->content, -1), *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, m->bag, in, flags | CMS_PARTIAL);
    CMS_SignerInfo *signer;

    assert_non_null(cms);
    signer = CMS_add1_signer(cms, cert, key, digest, flags);
    assert_non_null(signer);
    if (m->signed_at != 0) {
        ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)m->signed_at);
        assert_int_equal(
            CMS_signed_add1_attr_by_NID(signer, NID_pkcs9_signingTime, time->type, time, -1), 1);
        ASN1_TIME_free(time);
    }
    if (m->two_signers)
        assert_non_null(CMS_add1_signer(cms, ota_identity, ota_identity_key, digest, flags));
    if (m->content_type != 0)
        assert_int_equal(CMS_set1_eContentType(cms, OBJ_nid2obj(m->content_type)), 1);
    assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
    assert_int_equal(i2d_CMS_bio(out, cms), 1);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return taken(out);
}

const char *ota_plist(const char *keys)
{
    return apr_pstrcat(pki_pool,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
                       "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
                       "<plist version=\"1.0\"><dict>\n",
                       keys, "</dict></plist>\n", NULL);
}

const char *ota_key(const char *name, const char *value)
{
    return apr_pstrcat(pki_pool, "<key>", name, "</key><string>", value, "</string>\n", NULL);
}

const char *ota_attributes(const char *challenge)
{
    return ota_plist(apr_pstrcat(pki_pool, ota_key("UDID", OTA_UDID), ota_key("SERIAL", OTA_SERIAL),
                                 ota_key("PRODUCT", "iPhone17,2"), ota_key("VERSION", "22B83"),
                                 challenge != NULL ? ota_key("CHALLENGE", challenge) : "", NULL));
}

ota_bytes_t ota_phase2_message(const ota_site_t *site)
{
    return ota_message(&(ota_message_t){.content = ota_attributes(site->challenge)});
}

ota_bytes_t ota_phase3_message(void)
{
    return ota_message(&(ota_message_t){
        .cert = ota_identity, .key = ota_identity_key, .content = ota_attributes(NULL)});
}

ota_bytes_t ota_update_message(apr_int64_t signed_at)
{
    return ota_message(&(ota_message_t){.cert = ota_identity,
                                        .key = ota_identity_key,
                                        .flags = signed_at == 0 ? CMS_NOATTR : 0,
                                        .signed_at = signed_at,
                                        .content = ota_attributes(NULL)});
}

mdm_result_t ota_post(ota_site_t *site, ota_bytes_t body)
{
    site->reply = (mdm_ota_reply_t){NULL, 0};
    return mdm_ota_device(pki_pool, &site->settings, &site->fake->world, &site->request, body.data,
                          body.len, &site->reply, &site->facts);
}

mdm_plist_t *ota_opened(const mdm_ota_reply_t *reply)
{
    const unsigned char *at = (const unsigned char *)reply->body;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)reply->len);
    BIO *out = BIO_new(BIO_s_mem());
    STACK_OF(X509) *signers;
    mdm_plist_t *root = NULL;
    ota_bytes_t content;

    assert_non_null(cms);
    assert_ptr_equal(at, reply->body + reply->len);
    assert_int_equal(CMS_verify(cms, NULL, NULL, NULL, out, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY),
                     1);
    signers = CMS_get0_signers(cms);
    assert_int_equal(sk_X509_num(signers), 1);
    assert_int_equal(X509_cmp(sk_X509_value(signers, 0), ota_vhost), 0);
    sk_X509_free(signers);
    content = taken(out);
    CMS_ContentInfo_free(cms);
    assert_int_equal(mdm_plist_parse(pki_pool, (const char *)content.data, content.len, &root).kind,
                     MDM_OK);
    return root;
}

mdm_plist_t *ota_decrypted(const mdm_plist_t *profile)
{
    apr_size_t len;
    const char *data = mdm_plist_data(mdm_plist_get(profile, "EncryptedPayloadContent"), &len);
    const unsigned char *at = (const unsigned char *)data;
    CMS_ContentInfo *cms;
    BIO *out = BIO_new(BIO_s_mem());
    mdm_plist_t *root = NULL;
    ota_bytes_t content;

    assert_non_null(data);
    cms = d2i_CMS_ContentInfo(NULL, &at, (long)len);
    assert_non_null(cms);
    assert_int_equal(CMS_decrypt(cms, ota_identity_key, ota_identity, NULL, out, 0), 1);
    CMS_ContentInfo_free(cms);
    content = taken(out);
    assert_int_equal(mdm_plist_parse(pki_pool, (const char *)content.data, content.len, &root).kind,
                     MDM_OK);
    return root;
}

const char *ota_text(const mdm_plist_t *dict, const char *name)
{
    return mdm_plist_string(mdm_plist_get(dict, name));
}

mdm_challenge_t *ota_stored_challenge(const ota_site_t *site, const char *secret)
{
    return fake_store_challenge(site->fake->store,
                                mdm_sha256_hex(pki_pool, secret, strlen(secret)));
}

mdm_enrollment_t *ota_stored(const ota_site_t *site)
{
    return fake_store_enrollment(site->fake->store, site->id);
}

/* --- sites on their way --- */

ota_site_t *ota_site_offered(void)
{
    ota_site_t *site = ota_site();

    assert_int_equal(ota_offer(site, "anna").kind, MDM_OK);
    site->id = site->facts.enrollment;
    site->challenge =
        ota_text(mdm_plist_get(ota_opened(&site->reply), "PayloadContent"), "Challenge");
    assert_non_null(site->challenge);
    return site;
}

static const char *identity_der(void)
{
    apr_size_t len;
    const unsigned char *der = mdm_x509_encode(pki_pool, ota_identity, &len);

    return mdm_base64_encode(pki_pool, der, len);
}

mdm_certificate_t ota_certificate(const ota_site_t *site, X509 *cert, mdm_purpose_t purpose)
{
    return (mdm_certificate_t){
        .serial = mdm_x509_serial(pki_pool, cert),
        .issuer = "",
        .poll = "",
        .authority = "",
        .enrollment = site->id,
        .purpose = purpose,
        .request = mdm_x509_serial(pki_pool, cert),
        .fingerprint = mdm_x509_fingerprint(pki_pool, cert),
        .der = "",
        .used_for = "",
        .not_before = mdm_x509_not_before(cert),
        .not_after = mdm_x509_not_after(cert),
        .issued_at = site->fake->clock,
    };
}

ota_site_t *ota_site_identified(void)
{
    ota_site_t *site = ota_site_offered();
    mdm_certificate_t cert = ota_certificate(site, ota_identity, MDM_PURPOSE_IDENTITY);
    mdm_enrollment_t *row;

    assert_int_equal(ota_post(site, ota_phase2_message(site)).message, MDM_MSG_NONE);
    fake_store_put_certificate(site->fake->store, &cert);
    row = ota_stored(site);
    row->identity_fingerprint = mdm_x509_fingerprint(pki_pool, ota_identity);
    row->state = MDM_STATE_IDENTIFIED;
    site->reply = (mdm_ota_reply_t){NULL, 0};
    return site;
}

ota_site_t *ota_site_delivered(int with_time)
{
    ota_site_t *site = ota_site_identified();

    assert_int_equal(ota_post(site, ota_update_message(with_time ? site->fake->clock : 0)).message,
                     MDM_MSG_NONE);
    assert_string_equal(site->facts.event, "enrolled");
    fake_store_certificate(site->fake->store, mdm_x509_fingerprint(pki_pool, ota_identity))->der =
        identity_der();
    site->fake->clock += OTA_MONTH;
    site->reply = (mdm_ota_reply_t){NULL, 0};
    return site;
}

void ota_assert_refused(ota_site_t *site, ota_bytes_t body, mdm_message_t expected)
{
    int writes = site->fake->store->writes;
    mdm_result_t r = ota_post(site, body);

    if (r.message != expected)
        fail_msg("MDM%04d wanted, MDM%04d seen: %s", (int)expected, (int)r.message, r.log);
    assert_null(site->reply.body);
    assert_int_equal(site->fake->store->writes, writes);
    assert_true(site->challenge == NULL || strstr(r.log, site->challenge) == NULL);
}
