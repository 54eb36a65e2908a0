/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: a site on core, on its way through the three phases, and what the device does, by
 * OpenSSL alone. What the identity CA issues is made here; SCEP has tests of its own. Depends on
 * pki, fake_store and core. Everything lives in pki_pool; a failure fails the cmocka test.
 */
#ifndef OTA_SITE_H
#define OTA_SITE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "fake_store.h"
#include "mdm_ota.h"
#include "mdm_plist.h"

#define OTA_LIFETIME 900
#define OTA_DEVICE_URL "https://www.example.com/enroll/device"
#define OTA_SCEP_URL "https://www.example.com/enroll/scep"
#define OTA_UDID "00008101-000000000000001E"
#define OTA_SERIAL "C02XXXXX"

/* Made once by ota_setup(). The device CA and its leaf are such as Apple's: RSA-1024, SHA-1,
 * expired. */
extern EVP_PKEY *ota_device_ca_key, *ota_device_key, *ota_ca_key, *ota_identity_key, *ota_vhost_key,
    *ota_ec_key;
extern X509 *ota_device_ca, *ota_device, *ota_ca, *ota_identity, *ota_vhost;

/* cmocka group fixture; pki_teardown() ends it. */
int ota_setup(void **state);

typedef struct ota_site_t {
    fake_world_t *fake;
    mdm_trust_t *trust;
    mdm_signer_t signer;
    mdm_ota_settings_t settings;
    mdm_ota_request_t request;
    mdm_ota_reply_t reply;
    mdm_ota_facts_t facts;
    const char *id;        /* of the enrollment */
    const char *challenge; /* of phase 2 */
} ota_site_t;

/* Where nothing happened yet; where phase 1 is over; where phase 2 is over and the identity was
 * issued. */
ota_site_t *ota_site(void);
ota_site_t *ota_site_offered(void);
ota_site_t *ota_site_identified(void);

/* Where phase 3 is over; its message was signed when the clock of this site stood (or not, 0). The
 * clock is a month later. */
#define OTA_MONTH (30 * 24 * 60 * 60)
ota_site_t *ota_site_delivered(int with_time);

typedef struct ota_bytes_t {
    const unsigned char *data;
    apr_size_t len;
} ota_bytes_t;

typedef struct ota_message_t {
    X509 *cert; /* NULL: the device's */
    EVP_PKEY *key;
    const EVP_MD *digest; /* NULL: SHA-256 */
    unsigned int flags;   /* besides CMS_BINARY */
    STACK_OF(X509) *bag;  /* further certificates */
    int two_signers;
    int content_type;      /* NID, 0: id-data */
    apr_int64_t signed_at; /* signingTime, 0: this second; none with CMS_NOATTR */
    const char *content;
} ota_message_t;

/* --- the device --- */

ota_bytes_t ota_message(const ota_message_t *m);

/* An XML property list of keys given as XML; one such key; the attributes, with a CHALLENGE unless
 * NULL. */
const char *ota_plist(const char *keys);
const char *ota_key(const char *name, const char *value);
const char *ota_attributes(const char *challenge);

/* Sound messages. */
ota_bytes_t ota_phase2_message(const ota_site_t *site);
ota_bytes_t ota_phase3_message(void);

/* That of phase 3 signed at a time; with signed_at 0, one without a signing time. */
ota_bytes_t ota_update_message(apr_int64_t signed_at);

/* Phase 1; phases 2 and 3. The answer and the facts are left in the site. */
mdm_result_t ota_offer(ota_site_t *site, const char *user);
mdm_result_t ota_post(ota_site_t *site, ota_bytes_t body);

/* The message is refused so, nothing is written and nothing is answered. */
void ota_assert_refused(ota_site_t *site, ota_bytes_t body, mdm_message_t expected);

/* The content of a reply that the vhost signed; the payloads of an enrollment profile, decrypted
 * with the identity; the string of a key. */
mdm_plist_t *ota_opened(const mdm_ota_reply_t *reply);
mdm_plist_t *ota_decrypted(const mdm_plist_t *profile);
const char *ota_text(const mdm_plist_t *dict, const char *name);

/* --- the store --- */

mdm_enrollment_t *ota_stored(const ota_site_t *site);
mdm_challenge_t *ota_stored_challenge(const ota_site_t *site, const char *secret);

/* The record of a certificate of the site's enrollment. */
mdm_certificate_t ota_certificate(const ota_site_t *site, X509 *cert, mdm_purpose_t purpose);

#endif
