/* SPDX-License-Identifier: Apache-2.0
 * Making the list of revoked certificates from the store's rows. Depends on mdm_ca, mdm_enrollment.
 */
#include "mdm_crl.h"

#include <time.h>

#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "mdm_x509.h"

/* A list that is being made. */
typedef struct making_t {
    apr_pool_t *p;
    X509_CRL *crl;
} making_t;

static mdm_result_t failed(apr_pool_t *p)
{
    return mdm_result_make(p, MDM_MSG_CRYPTO, "CRL: %s", mdm_openssl_reason(p));
}

static ASN1_TIME *make_time(apr_int64_t seconds)
{
    time_t t = (time_t)seconds;

    return (apr_int64_t)t == seconds ? ASN1_TIME_set(NULL, t) : NULL;
}

static ASN1_INTEGER *make_serial(const char *hex)
{
    BIGNUM *number = NULL;
    ASN1_INTEGER *serial = NULL;

    if (BN_hex2bn(&number, hex) > 0)
        serial = BN_to_ASN1_INTEGER(number, NULL);
    BN_free(number);
    return serial;
}

/* RFC 5280 section 5.3.1: unspecified is said by silence. */
static int add_reason(X509_REVOKED *entry, int code)
{
    ASN1_ENUMERATED *reason;
    int ok;

    if (code == MDM_REVOCATION_UNSPECIFIED)
        return 1;
    reason = ASN1_ENUMERATED_new();
    ok = reason != NULL && ASN1_ENUMERATED_set(reason, code) &&
         X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_ENUMERATED_free(reason);
    return ok;
}

static mdm_result_t add_entry(void *baton, const mdm_certificate_t *row)
{
    making_t *making = baton;
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *serial = make_serial(row->serial);
    ASN1_TIME *date = make_time(row->revoked_at);
    int ok = entry != NULL && serial != NULL && date != NULL &&
             X509_REVOKED_set_serialNumber(entry, serial) &&
             X509_REVOKED_set_revocationDate(entry, date) &&
             add_reason(entry, row->revocation_reason) && X509_CRL_add0_revoked(making->crl, entry);

    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(date);
    if (ok)
        return mdm_result_ok();
    X509_REVOKED_free(entry);
    return failed(making->p);
}

static int set_head(X509_CRL *crl, const mdm_ca_t *ca, apr_int64_t now)
{
    ASN1_TIME *from = make_time(now), *until = make_time(now + MDM_CRL_LIFETIME);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    int ok = from != NULL && until != NULL && number != NULL &&
             ASN1_INTEGER_set_int64(number, now) && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
             X509_CRL_set_issuer_name(crl, X509_get_subject_name(mdm_ca_signer(ca)->cert)) &&
             X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, until) &&
             X509_CRL_add_ext(crl, mdm_ca_authority_key(ca), -1) &&
             X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, X509V3_ADD_DEFAULT) == 1;

    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    ASN1_INTEGER_free(number);
    return ok;
}

/* Made once with the list, since to decode a long one is dear. */
static int add_bag(apr_pool_t *p, X509_CRL *crl, mdm_crl_t *made)
{
    PKCS7 *bag = PKCS7_new();
    int ok = bag != NULL && PKCS7_set_type(bag, NID_pkcs7_signed) && PKCS7_add_crl(bag, crl);

    if (ok) {
        /* unlike PKCS7_content_new() this leaves the content itself out */
        bag->d.sign->contents->type = OBJ_nid2obj(NID_pkcs7_data);
        made->bag = mdm_der_encode(p, bag, ASN1_ITEM_rptr(PKCS7), &made->bag_len);
    }
    PKCS7_free(bag);
    return made->bag != NULL;
}

mdm_result_t mdm_crl_make(apr_pool_t *p, const mdm_ca_t *ca, const mdm_world_t *world,
                          mdm_crl_t *crl)
{
    apr_int64_t now = world->now(world->context);
    making_t making = {p, X509_CRL_new()};
    mdm_crl_t made = {NULL, 0, NULL, 0};
    mdm_result_t r;

    if (making.crl == NULL || !set_head(making.crl, ca, now)) {
        r = failed(p);
        goto done;
    }
    r = world->store->certificate_each_revoked(world->store->context, p, mdm_ca_key_id(ca), now,
                                               now - MDM_CRL_KEEP, add_entry, &making);
    if (r.kind != MDM_OK)
        goto done;
    if (X509_CRL_sort(making.crl) &&
        X509_CRL_sign(making.crl, mdm_ca_signer(ca)->key, EVP_sha256()))
        made.der = mdm_der_encode(p, making.crl, ASN1_ITEM_rptr(X509_CRL), &made.len);
    if (made.der == NULL || !add_bag(p, making.crl, &made))
        r = failed(p);
    else
        *crl = made;
done:
    X509_CRL_free(making.crl);
    return r;
}
