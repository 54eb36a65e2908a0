/* SPDX-License-Identifier: Apache-2.0
 * The outer layer of a SCEP client's message: form, attributes, signature. Depends on mdm_cms,
 * mdm_x509.
 */
#include "mdm_scep_message.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>

#define MIN_RSA_BITS 2048
#define MAX_MESSAGE_TYPE 16

#define OID_CONTENT_TYPE "1.2.840.113549.1.9.3"
#define OID_MESSAGE_DIGEST "1.2.840.113549.1.9.4"

/* OpenSSL knows more than the log line says; what it left in its queue is not for others. */
static mdm_result_t refuse(apr_pool_t *p, mdm_message_t message, const char *why)
{
    ERR_clear_error();
    return mdm_result_make(p, message, "%s", why);
}

/* The only value of the only attribute of that type; NULL where there is none, there are more, or
 * its ASN.1 type is another. */
static void *attribute(const CMS_SignerInfo *signer_info, const char *oid, int type)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    void *value = NULL;

    if (object != NULL)
        value = CMS_signed_get0_data_by_OBJ(signer_info, object, -3, type);
    ASN1_OBJECT_free(object);
    return value;
}

/* OpenSSL's decoder does not look at the characters of a string. */
static const char *printable(apr_pool_t *p, const ASN1_STRING *string, int max)
{
    const unsigned char *text;
    int len;

    if (string == NULL)
        return NULL;
    text = ASN1_STRING_get0_data(string);
    len = ASN1_STRING_length(string);
    if (len < 1 || len > max)
        return NULL;
    for (int i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return NULL;
    return apr_pstrmemdup(p, (const char *)text, (apr_size_t)len);
}

/* One place decides what a messageType is worth: an unknown one that slips through to the CA is a
 * certificate for nothing. */
static mdm_scep_type_t parse_type(const char *text)
{
    static const struct {
        const char *text;
        mdm_scep_type_t type;
    } types[] = {{"17", MDM_SCEP_RENEWAL_REQ},
                 {"19", MDM_SCEP_PKCS_REQ},
                 {"20", MDM_SCEP_CERT_POLL},
                 {"21", MDM_SCEP_GET_CERT},
                 {"22", MDM_SCEP_GET_CRL}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(text, types[i].text) == 0)
            return types[i].type;
    return MDM_SCEP_OTHER;
}

static mdm_result_t read_attributes(apr_pool_t *p, mdm_scep_message_t *message)
{
    const CMS_SignerInfo *si = mdm_cms_signer_info(message->cms);
    const ASN1_OBJECT *content_type = attribute(si, OID_CONTENT_TYPE, V_ASN1_OBJECT);
    const ASN1_STRING *nonce = attribute(si, MDM_SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING);

    message->transaction =
        printable(p, attribute(si, MDM_SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING),
                  MDM_SCEP_MAX_TRANSACTION_ID);
    message->type_text = printable(
        p, attribute(si, MDM_SCEP_OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING), MAX_MESSAGE_TYPE);
    if (message->transaction == NULL)
        return refuse(p, MDM_MSG_SCEP_ATTRIBUTES,
                      "wanted is one signed attribute transactionID, a PrintableString");
    if (message->type_text == NULL)
        return refuse(p, MDM_MSG_SCEP_ATTRIBUTES,
                      "wanted is one signed attribute messageType, a PrintableString");
    if (nonce == NULL || ASN1_STRING_length(nonce) != MDM_SCEP_NONCE_BYTES)
        return refuse(p, MDM_MSG_SCEP_ATTRIBUTES,
                      "wanted is one signed attribute senderNonce, 16 octets");
    if (content_type == NULL || OBJ_obj2nid(content_type) != NID_pkcs7_data)
        return refuse(p, MDM_MSG_SCEP_ATTRIBUTES,
                      "wanted is one signed attribute contentType, id-data");
    if (attribute(si, OID_MESSAGE_DIGEST, V_ASN1_OCTET_STRING) == NULL)
        return refuse(p, MDM_MSG_SCEP_ATTRIBUTES, "wanted is one signed attribute messageDigest");
    message->type = parse_type(message->type_text);
    message->sender_nonce = ASN1_STRING_get0_data(nonce);
    return mdm_result_ok();
}

/* The form is mdm_cms's to judge; here it is a message of SCEP. */
static mdm_result_t as_scep(mdm_result_t r, apr_pool_t *p, mdm_message_t message)
{
    return r.kind == MDM_MALFORMED ? mdm_result_make(p, message, "%s", r.log) : r;
}

mdm_result_t mdm_scep_message_open(apr_pool_t *p, const void *bytes, apr_size_t len,
                                   mdm_scep_message_t **message)
{
    mdm_scep_message_t *made = apr_pcalloc(p, sizeof(*made));
    mdm_result_t r = mdm_cms_open(p, bytes, len, MDM_SCEP_MAX_CERTIFICATES, &made->cms);

    if (r.kind != MDM_OK)
        return as_scep(r, p, MDM_MSG_SCEP_MESSAGE);
    made->signer = mdm_cms_signer(made->cms);
    made->digest = EVP_sha256();
    r = read_attributes(p, made);
    if (r.kind == MDM_OK)
        *message = made;
    return r;
}

/* What a public-key operation may cost is bounded before the first one. */
mdm_result_t mdm_scep_check_key(apr_pool_t *p, const char *whose, EVP_PKEY *key)
{
    if (key != NULL && EVP_PKEY_is_a(key, "RSA") && mdm_x509_key_ok(key, MIN_RSA_BITS) &&
        EVP_PKEY_get_bits(key) <= MDM_SCEP_MAX_RSA_BITS)
        return mdm_result_ok();
    ERR_clear_error();
    return mdm_result_make(p, MDM_MSG_SCEP_KEY,
                           "the %s key is %s of %d bits, wanted is RSA of %d to %d bits with an "
                           "odd public exponent above 1 of at most 32 bits",
                           whose, key != NULL ? EVP_PKEY_get0_type_name(key) : "unknown,",
                           key != NULL ? EVP_PKEY_get_bits(key) : 0, MIN_RSA_BITS,
                           MDM_SCEP_MAX_RSA_BITS);
}

/* What a reply is signed with: as the request is, where that is accepted. */
static const EVP_MD *reply_digest(const mdm_scep_message_t *message, unsigned int allow)
{
    X509_ALGOR *algorithm;

    CMS_SignerInfo_get0_algs((CMS_SignerInfo *)mdm_cms_signer_info(message->cms), NULL, NULL,
                             &algorithm, NULL);
    switch (OBJ_obj2nid(algorithm->algorithm)) {
    case NID_sha384:
        return EVP_sha384();
    case NID_sha512:
        return EVP_sha512();
    case NID_sha1:
        return allow & MDM_SCEP_ALLOW_SHA1 ? EVP_sha1() : EVP_sha256();
    default:
        return EVP_sha256();
    }
}

mdm_result_t mdm_scep_message_verify(apr_pool_t *p, mdm_scep_message_t *message, unsigned int allow)
{
    const unsigned int flags = allow & MDM_SCEP_ALLOW_SHA1 ? MDM_CMS_ALLOW_SHA1 : 0;
    const char *content;
    apr_size_t len;
    mdm_result_t r = mdm_scep_check_key(p, "signer's", X509_get0_pubkey(message->signer));

    message->digest = reply_digest(message, allow);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_cms_verify(p, message->cms, flags, &content, &len);
    return as_scep(
        r, p, r.message == MDM_MSG_CMS_ALGORITHM ? MDM_MSG_SCEP_ALGORITHM : MDM_MSG_SCEP_SIGNATURE);
}
