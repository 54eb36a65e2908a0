/* SPDX-License-Identifier: Apache-2.0
 * Memory: whole enrollments, phases and SCEP, each in a pool of its own, over and over. Clock and
 * randomness stand still, so that what the device sends in the first round is what it sends in
 * every round. Rounds from the first argument or MDM_LEAK_ROUNDS, else 25; for valgrind
 * --leak-check=full (OPENSSL_ia32cap=:0 halves its time), and with many rounds a check of its own
 * that memory does not grow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <apr_strings.h>
#include <openssl/cms.h>

#include "fake_store.h"
#include "mdm_cms.h"
#include "mdm_ota.h"
#include "mdm_plist.h"
#include "mdm_scep.h"
#include "pki.h"
#include "scep_forge.h"

/* Memory is steady after so many rounds, and may grow by so many KiB in all that follow. Under
 * valgrind the process is valgrind, which grows by itself: MDM_LEAK_GROWTH_KIB says by how much. */
#define WARM_UP 100
#define MAX_GROWTH_KIB 1024

#define UDID "00008101-000000000000001E"

typedef struct bytes_t {
    const void *data;
    apr_size_t len;
} bytes_t;

/* Everything that outlives a round; messages are made in the first. */
typedef struct site_t {
    fake_world_t *fake;
    mdm_ota_settings_t ota;
    mdm_ota_request_t request;
    mdm_scep_settings_t scep;
    mdm_signer_t vhost, device, identity;
    X509 *ca;
    bytes_t phase2, identity_request, phase3, mdm_request;
} site_t;

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "test_leak: %s\n", what);
        exit(1);
    }
}

static void check_result(mdm_result_t r, const char *what)
{
    if (r.kind != MDM_OK) {
        fprintf(stderr, "test_leak: %s: MDM%04d %s\n", what, (int)r.message, r.log);
        exit(1);
    }
}

static bytes_t keep(const void *data, apr_size_t len)
{
    return (bytes_t){apr_pmemdup(pki_pool, data, len), len};
}

/* A message of the device with its attributes. */
static bytes_t device_message(const mdm_signer_t *signer, const char *challenge)
{
    mdm_plist_t *dict = mdm_plist_dict(pki_pool);
    const unsigned char *der;
    const char *xml;
    apr_size_t len;

    mdm_plist_set_string(dict, "UDID", UDID);
    mdm_plist_set_string(dict, "SERIAL", "C02XXXXX");
    if (challenge != NULL)
        mdm_plist_set_string(dict, "CHALLENGE", challenge);
    xml = mdm_plist_to_xml(pki_pool, dict, &len);
    check_result(mdm_cms_sign(pki_pool, signer, xml, len, &der, &len), "device message");
    return keep(der, len);
}

static bytes_t scep_request(const site_t *site, EVP_PKEY *key, const char *challenge)
{
    scep_bytes_t made =
        scep_message(&(scep_opts_t){.key = key, .recipient = site->ca, .challenge = challenge});

    return (bytes_t){made.data, made.len};
}

static mdm_plist_t *open_profile(apr_pool_t *p, const mdm_ota_reply_t *reply)
{
    mdm_cms_t *cms;
    const char *content;
    apr_size_t len;
    mdm_plist_t *root;

    check_result(mdm_cms_open(p, reply->body, reply->len, MDM_CMS_MAX_CERTIFICATES, &cms), "open");
    check_result(mdm_cms_verify(p, cms, 0, &content, &len), "verify");
    check_result(mdm_plist_parse(p, content, len, &root), "parse");
    return root;
}

/* The challenge of the SCEP payload in an array of payloads. */
static const char *scep_challenge(const mdm_plist_t *payloads)
{
    return mdm_plist_string(
        mdm_plist_get(mdm_plist_get(mdm_plist_item(payloads, 0), "PayloadContent"), "Challenge"));
}

static mdm_plist_t *decrypt(apr_pool_t *p, const site_t *site, const mdm_plist_t *profile)
{
    apr_size_t len;
    const char *der = mdm_plist_data(mdm_plist_get(profile, "EncryptedPayloadContent"), &len);
    const unsigned char *at = (const unsigned char *)der;
    CMS_ContentInfo *envelope = d2i_CMS_ContentInfo(NULL, &at, (long)len);
    BIO *plain = BIO_new(BIO_s_mem());
    char *content;
    mdm_plist_t *root;

    check(CMS_decrypt(envelope, site->identity.key, site->identity.cert, NULL, plain, CMS_BINARY) ==
              1,
          "decrypt");
    len = (apr_size_t)BIO_get_mem_data(plain, &content);
    check_result(mdm_plist_parse(p, content, len, &root), "parse payloads");
    BIO_free(plain);
    CMS_ContentInfo_free(envelope);
    return root;
}

static mdm_plist_t *device_turn(apr_pool_t *p, const site_t *site, bytes_t message,
                                const char *what)
{
    mdm_ota_reply_t reply;
    mdm_ota_facts_t facts;

    check_result(mdm_ota_device(p, &site->ota, &site->fake->world, &site->request, message.data,
                                message.len, &reply, &facts),
                 what);
    return open_profile(p, &reply);
}

/* Returns the certificate in the first round only; the reply is checked by other tests. */
static X509 *scep_turn(apr_pool_t *p, const site_t *site, bytes_t message, EVP_PKEY *key, int first)
{
    mdm_scep_reply_t reply = {NULL, NULL, 0};
    mdm_scep_facts_t facts;

    check_result(mdm_scep_pki_operation(p, &site->scep, &site->fake->world, message.data,
                                        message.len, &reply, &facts),
                 "PKIOperation");
    if (!first)
        return NULL;
    return scep_read((scep_bytes_t){keep(reply.body, reply.len).data, reply.len}, site->ca, key)
        .cert;
}

static void enroll(apr_pool_t *p, site_t *site, int first)
{
    mdm_ota_reply_t reply;
    mdm_ota_facts_t facts;
    mdm_plist_t *root;

    fake_store_reset(site->fake->store);
    site->fake->seed = 42;
    check_result(
        mdm_ota_offer(p, &site->ota, &site->fake->world, &site->request, "anna", &reply, &facts),
        "phase 1");
    root = open_profile(p, &reply);
    if (first)
        site->phase2 = device_message(
            &site->device,
            mdm_plist_string(mdm_plist_get(mdm_plist_get(root, "PayloadContent"), "Challenge")));
    root = device_turn(p, site, site->phase2, "phase 2");
    if (first)
        site->identity_request = scep_request(
            site, site->identity.key, scep_challenge(mdm_plist_get(root, "PayloadContent")));
    if (first)
        site->identity.cert = scep_turn(p, site, site->identity_request, site->identity.key, first);
    else
        scep_turn(p, site, site->identity_request, NULL, first);
    if (first)
        site->phase3 = device_message(&site->identity, NULL);
    root = decrypt(p, site, device_turn(p, site, site->phase3, "phase 3"));
    if (first)
        site->mdm_request = scep_request(site, site->identity.key, scep_challenge(root));
    scep_turn(p, site, site->mdm_request, site->identity.key, first);
    check(fake_store_enrollment(site->fake->store, facts.enrollment)->state == MDM_STATE_DELIVERED,
          "the enrollment is not delivered");
    check(site->fake->store->certificates->nelts == 2, "there are not two certificates");
}

/* What a device repeats or gets wrong: refusals free what they took, too. */
static void refuse(apr_pool_t *p, const site_t *site)
{
    mdm_ota_reply_t reply;
    mdm_ota_facts_t facts;
    mdm_result_t r;

    r = mdm_ota_device(p, &site->ota, &site->fake->world, &site->request, site->phase2.data,
                       site->phase2.len, &reply, &facts);
    check(r.message == MDM_MSG_ENROLLMENT_STATE, "phase 2 passed twice");
    r = mdm_ota_device(p, &site->ota, &site->fake->world, &site->request, site->phase3.data,
                       site->phase3.len, &reply, &facts);
    check(r.message == MDM_MSG_ENROLLMENT_STATE, "phase 3 passed twice");
    r = mdm_ota_device(p, &site->ota, &site->fake->world, &site->request, site->phase2.data,
                       site->phase2.len / 2, &reply, &facts);
    check(r.kind == MDM_MALFORMED, "half a message passed");
}

static site_t *site_create(void)
{
    static const pki_opts_t ca_opts = {.constraints = PKI_CA};
    site_t *site = apr_pcalloc(pki_pool, sizeof(*site));
    /* RSA keys take valgrind half a minute each: no more and no longer ones than needed. */
    EVP_PKEY *device_ca_key = pki_key_rsa(1024), *ca_key = pki_key_rsa(2048);
    X509 *device_ca = pki_cert("/CN=Device CA", device_ca_key, NULL, NULL, &ca_opts);
    apr_array_header_t *attributes = apr_array_make(pki_pool, 1, sizeof(const char *));
    mdm_trust_t *trust = mdm_trust_create(pki_pool);
    mdm_signer_t *ca_signer = apr_pcalloc(pki_pool, sizeof(*ca_signer));
    mdm_ca_settings_t *ca_settings = apr_pcalloc(pki_pool, sizeof(*ca_settings));
    mdm_ca_t *ca;

    APR_ARRAY_PUSH(attributes, const char *) = "UDID";
    site->fake = fake_world_create(pki_pool);
    site->vhost.key = pki_key_ec("P-256");
    site->vhost.cert = pki_cert("/CN=www.example.com", site->vhost.key, NULL, NULL, NULL);
    site->device.key = pki_key_rsa(1024);
    site->device.cert = pki_cert("/CN=device", site->device.key, device_ca, device_ca_key, NULL);
    site->identity.key = pki_key_rsa(2048);
    site->ca = pki_cert("/O=Example/CN=Enrollment CA", ca_key, NULL, NULL, &ca_opts);
    *ca_signer = (mdm_signer_t){.cert = site->ca, .key = ca_key};
    *ca_settings = (mdm_ca_settings_t){.signer = ca_signer,
                                       .responder = 1,
                                       .organization = "Example Corp",
                                       .validity = 365 * 86400};
    check_result(mdm_ca_create(pki_pool, ca_settings, &ca), "CA");
    check_result(mdm_trust_add_device_ca(trust, device_ca), "device CA");
    check_result(mdm_trust_add_identity_ca(trust, site->ca), "identity CA");
    site->ota = (mdm_ota_settings_t){
        .profile = {.organization = "Example Corp",
                    .identifier = "com.example.mdm.enroll",
                    .server_url = mdm_text_constant(pki_pool, "https://mdm.example.com/mdm"),
                    .topic = "com.apple.mgmt.External.x",
                    .device_attributes = attributes},
        .trust = trust,
        .cipher = EVP_aes_256_cbc(),
        .lifetime = 900,
        .tls_certificate = MDM_TLS_CERTIFICATE_OPTIONAL,
    };
    site->request = (mdm_ota_request_t){.signer = &site->vhost,
                                        .device_url = "https://www.example.com/device",
                                        .scep_url = "https://www.example.com/scep"};
    site->scep = (mdm_scep_settings_t){.rules = {.ca = ca, .trust = trust, .lifetime = 900},
                                       .responder = ca_signer};
    check_result(mdm_scep_prepare(pki_pool, &site->scep), "SCEP");
    return site;
}

/* The most that this process ever had in memory, KiB on Linux. */
static long peak(void)
{
    struct rusage usage;

    check(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    return usage.ru_maxrss;
}

int main(int argc, char **argv)
{
    const char *given = argc > 1 ? argv[1] : getenv("MDM_LEAK_ROUNDS");
    const char *allowance = getenv("MDM_LEAK_GROWTH_KIB");
    int rounds = given != NULL ? atoi(given) : 25;
    long bound = allowance != NULL ? atol(allowance) : MAX_GROWTH_KIB;
    long before = 0, grown = 0;
    site_t *site;

    check(rounds > 0, "the number of rounds is not one");
    pki_setup(NULL);
    site = site_create();
    for (int i = 0; i < rounds; i++) {
        apr_pool_t *p;

        apr_pool_create(&p, pki_pool);
        enroll(p, site, i == 0);
        refuse(p, site);
        apr_pool_destroy(p);
        if (i + 1 == WARM_UP)
            before = peak();
    }
    if (rounds > WARM_UP)
        grown = peak() - before;
    printf("%d enrollments, memory grew by %ld KiB\n", rounds, grown);
    check(grown <= bound, "memory grows");
    pki_teardown(NULL);
    return 0;
}
