/* SPDX-License-Identifier: Apache-2.0
 * Taking a SCEP client's message apart: form, signature, envelope, certificate request. Depends on
 * mdm_cms, mdm_der, mdm_x509.
 */
#include "mdm_scep_message.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>

#define MIN_RSA_BITS 2048
#define MAX_MESSAGE_TYPE 16

#define OID_CONTENT_TYPE "1.2.840.113549.1.9.3"
#define OID_MESSAGE_DIGEST "1.2.840.113549.1.9.4"

static apr_status_t free_request(void *data)
{
    X509_REQ_free(data);
    return APR_SUCCESS;
}

static apr_status_t cleanse_text(void *data)
{
    OPENSSL_cleanse(data, strlen(data));
    return APR_SUCCESS;
}

/* OpenSSL knows more than the log line says; what it left in its queue is not for others. */
static mdm_result_t refuse(apr_pool_t *p, mdm_message_t message, const char *why)
{
    ERR_clear_error();
    return mdm_result_make(p, message, "%s", why);
}

static mdm_result_t refuse_algorithm(apr_pool_t *p, const char *what, const ASN1_OBJECT *seen,
                                     const char *wanted)
{
    return mdm_result_make(p, MDM_MSG_SCEP_ALGORITHM, "%s \"%s\", wanted is %s", what,
                           mdm_object_text(p, seen), wanted);
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

static mdm_result_t read_attributes(apr_pool_t *p, mdm_scep_message_t *message)
{
    const CMS_SignerInfo *si = mdm_cms_signer_info(message->cms);
    const ASN1_OBJECT *content_type = attribute(si, OID_CONTENT_TYPE, V_ASN1_OBJECT);
    const ASN1_STRING *nonce = attribute(si, MDM_SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING);

    message->transaction =
        printable(p, attribute(si, MDM_SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING),
                  MDM_SCEP_MAX_TRANSACTION_ID);
    message->type = printable(p, attribute(si, MDM_SCEP_OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING),
                              MAX_MESSAGE_TYPE);
    if (message->transaction == NULL)
        return refuse(p, MDM_MSG_SCEP_ATTRIBUTES,
                      "wanted is one signed attribute transactionID, a PrintableString");
    if (message->type == NULL)
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
static mdm_result_t check_key(apr_pool_t *p, EVP_PKEY *key)
{
    if (key != NULL && EVP_PKEY_is_a(key, "RSA") && mdm_x509_key_ok(key, MIN_RSA_BITS))
        return mdm_result_ok();
    ERR_clear_error();
    return mdm_result_make(p, MDM_MSG_SCEP_KEY,
                           "the signer's key is %s of %d bits, wanted is RSA of %d to 8192 bits "
                           "with an odd public exponent above 1 of at most 32 bits",
                           key != NULL ? EVP_PKEY_get0_type_name(key) : "unknown,",
                           key != NULL ? EVP_PKEY_get_bits(key) : 0, MIN_RSA_BITS);
}

/* What a reply is signed with: as the request is, where that is accepted. */
static const EVP_MD *reply_digest(const mdm_scep_message_t *message)
{
    X509_ALGOR *algorithm;

    CMS_SignerInfo_get0_algs((CMS_SignerInfo *)mdm_cms_signer_info(message->cms), NULL, NULL,
                             &algorithm, NULL);
    switch (OBJ_obj2nid(algorithm->algorithm)) {
    case NID_sha384:
        return EVP_sha384();
    case NID_sha512:
        return EVP_sha512();
    default:
        return EVP_sha256();
    }
}

mdm_result_t mdm_scep_message_verify(apr_pool_t *p, mdm_scep_message_t *message)
{
    const char *content;
    apr_size_t len;
    mdm_result_t r = check_key(p, X509_get0_pubkey(message->signer));

    message->digest = reply_digest(message);
    if (r.kind != MDM_OK)
        return r;
    r = mdm_cms_verify(p, message->cms, 0, &content, &len);
    return as_scep(
        r, p, r.message == MDM_MSG_CMS_ALGORITHM ? MDM_MSG_SCEP_ALGORITHM : MDM_MSG_SCEP_SIGNATURE);
}

/* The cipher by its NID, NULL if it is not accepted. */
static const EVP_CIPHER *accepted_cipher(int nid)
{
    switch (nid) {
    case NID_aes_128_cbc:
        return EVP_aes_128_cbc();
    case NID_aes_192_cbc:
        return EVP_aes_192_cbc();
    case NID_aes_256_cbc:
        return EVP_aes_256_cbc();
    default:
        return NULL;
    }
}

static mdm_result_t check_recipients(apr_pool_t *p, STACK_OF(PKCS7_RECIP_INFO) *recipients)
{
    int count = sk_PKCS7_RECIP_INFO_num(recipients);

    if (count < 1 || count > MDM_SCEP_MAX_RECIPIENTS)
        return mdm_result_make(p, MDM_MSG_SCEP_DECRYPT, "%d recipients, wanted are 1 to %d",
                               recipients != NULL ? count : 0, MDM_SCEP_MAX_RECIPIENTS);
    for (int i = 0; i < count; i++) {
        const X509_ALGOR *algorithm = sk_PKCS7_RECIP_INFO_value(recipients, i)->key_enc_algor;
        if (OBJ_obj2nid(algorithm->algorithm) != NID_rsaEncryption)
            return refuse_algorithm(p, "key transport", algorithm->algorithm, "rsaEncryption");
    }
    return mdm_result_ok();
}

/* The CMS_* functions do not tell an envelope's cipher; PKCS7's decoder does. It also knows one
 * kind of recipient only, key transport by issuer and serial number, which is the one that is
 * wanted. */
static mdm_result_t check_envelope(apr_pool_t *p, const ASN1_STRING *content,
                                   const EVP_CIPHER **cipher)
{
    const EVP_CIPHER *known;
    const unsigned char *der = ASN1_STRING_get0_data(content), *end = der;
    PKCS7 *envelope;
    const PKCS7_ENC_CONTENT *encrypted;
    mdm_result_t r;

    envelope = mdm_cms_is_enveloped(der, (apr_size_t)ASN1_STRING_length(content))
                   ? d2i_PKCS7(NULL, &end, ASN1_STRING_length(content))
                   : NULL;
    if (envelope == NULL || end != der + ASN1_STRING_length(content) ||
        !PKCS7_type_is_enveloped(envelope) || envelope->d.enveloped == NULL) {
        r = refuse(p, MDM_MSG_SCEP_DECRYPT,
                   "the content is not exactly one EnvelopedData for key transport recipients");
        goto done;
    }
    encrypted = envelope->d.enveloped->enc_data;
    if (OBJ_obj2nid(encrypted->content_type) != NID_pkcs7_data || encrypted->enc_data == NULL) {
        r = refuse(p, MDM_MSG_SCEP_DECRYPT, "the envelope does not hold id-data");
        goto done;
    }
    known = accepted_cipher(OBJ_obj2nid(encrypted->algorithm->algorithm));
    if (known == NULL)
        r = refuse_algorithm(p, "cipher", encrypted->algorithm->algorithm, "AES-CBC");
    else
        r = check_recipients(p, envelope->d.enveloped->recipientinfo);
    if (r.kind == MDM_OK)
        *cipher = known;
done:
    PKCS7_free(envelope);
    return r;
}

/* One text whatever went wrong. With the certificate given and without CMS_DEBUG_DECRYPT, OpenSSL
 * goes on with a random key where the RSA padding is wrong, which no client can tell from any other
 * damage (Bleichenbacher). */
static mdm_result_t open_envelope(apr_pool_t *p, const ASN1_STRING *content,
                                  const mdm_signer_t *recipient, BIO *plain)
{
    const unsigned char *der = ASN1_STRING_get0_data(content);
    CMS_ContentInfo *envelope = d2i_CMS_ContentInfo(NULL, &der, ASN1_STRING_length(content));
    int ok = envelope != NULL &&
             CMS_decrypt(envelope, recipient->key, recipient->cert, NULL, plain, CMS_BINARY) == 1;

    CMS_ContentInfo_free(envelope);
    if (ok)
        return mdm_result_ok();
    return refuse(p, MDM_MSG_SCEP_DECRYPT, "the envelope cannot be decrypted");
}

/* RFC 2985 section 5.4.1: one value, a DirectoryString; IA5String is what PKCS#9 version 1 had. */
static const char *read_challenge(apr_pool_t *p, X509_REQ *csr)
{
    int at = X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1);
    X509_ATTRIBUTE *attribute = at >= 0 ? X509_REQ_get_attr(csr, at) : NULL;
    const ASN1_TYPE *value;
    const ASN1_STRING *string;
    char *secret;
    int type, len;

    if (attribute == NULL || X509_ATTRIBUTE_count(attribute) != 1 ||
        X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, at) >= 0)
        return NULL;
    value = X509_ATTRIBUTE_get0_type(attribute, 0);
    type = ASN1_TYPE_get(value);
    if (type != V_ASN1_PRINTABLESTRING && type != V_ASN1_UTF8STRING && type != V_ASN1_IA5STRING &&
        type != V_ASN1_T61STRING)
        return NULL;
    string = value->value.asn1_string;
    len = ASN1_STRING_length(string);
    if (len < 1 || len > MDM_SCEP_MAX_CHALLENGE ||
        memchr(ASN1_STRING_get0_data(string), '\0', (size_t)len) != NULL)
        return NULL;
    secret = apr_pstrmemdup(p, (const char *)ASN1_STRING_get0_data(string), (apr_size_t)len);
    apr_pool_cleanup_register(p, secret, cleanse_text, apr_pool_cleanup_null);
    return secret;
}

/* An attacker who damages a captured envelope and signs it anew learns nothing of what is in it
 * only as long as every failure up to the request's own signature looks the same as one of
 * decryption (a padding oracle otherwise): keep these two message ids alike in failInfo and text.
 */
static mdm_result_t check_proof(apr_pool_t *p, const mdm_scep_message_t *message, X509_REQ *csr)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(csr);

    /* By value: equal bits were looked for where the key had to be. Its size is bounded already. */
    if (key == NULL || EVP_PKEY_eq(key, X509_get0_pubkey(message->signer)) != 1)
        return refuse(p, MDM_MSG_SCEP_PROOF,
                      "the request's key is not that of the message's signer");
    if (X509_REQ_verify(csr, key) != 1)
        return refuse(p, MDM_MSG_SCEP_PROOF, "the request's own signature does not hold");
    return mdm_result_ok();
}

/* SHA-1 is taken here, and only here: older iOS signs each request with it, whatever GetCACaps
 * says. Nothing hangs on it, as the same key has signed the whole message with SHA-2. */
static mdm_result_t check_request_algorithm(apr_pool_t *p, const X509_REQ *csr)
{
    const X509_ALGOR *algorithm;

    X509_REQ_get0_signature(csr, NULL, &algorithm);
    switch (OBJ_obj2nid(algorithm->algorithm)) {
    case NID_sha1WithRSAEncryption:
    case NID_sha256WithRSAEncryption:
    case NID_sha384WithRSAEncryption:
    case NID_sha512WithRSAEncryption:
        return mdm_result_ok();
    default:
        return refuse_algorithm(p, "request signed with", algorithm->algorithm,
                                "RSA with SHA-1 or SHA-2");
    }
}

static const char *request_id(apr_pool_t *p, const char *transaction, const void *der,
                              apr_size_t len)
{
    apr_size_t head = strlen(transaction) + 1;
    char *bytes = apr_palloc(p, head + len);
    const char *id;

    memcpy(bytes, transaction, head);
    memcpy(bytes + head, der, len);
    id = mdm_sha256_hex(p, bytes, head + len);
    OPENSSL_cleanse(bytes, head + len);
    return id;
}

/* One CertificationRequest of DER (RFC 2986 section 4) that fills the bytes and holds the signer's
 * very key. Told by tags and lengths, before anything is decoded: somebody who damages a captured
 * envelope and signs it anew holds another key, so whatever came out of it, padding right or wrong,
 * is refused here, in the same time. */
static int is_request_of(const X509 *signer, const unsigned char *der, apr_size_t len)
{
    mdm_der_t left = mdm_der_content(der, len);
    mdm_der_t request, info, part;
    const unsigned char *bits, *own;
    apr_size_t bits_len;
    int own_len;

    if (!mdm_der_expect(&left, MDM_DER_SEQUENCE, &request) || left.len > 0 ||
        !mdm_der_expect(&request, MDM_DER_SEQUENCE, &info) ||
        !mdm_der_expect(&info, MDM_DER_INTEGER, &part) ||  /* version */
        !mdm_der_expect(&info, MDM_DER_SEQUENCE, &part) || /* subject */
        !mdm_der_next(&info, &part))
        return 0;
    bits = mdm_x509_key_bits(&part, &bits_len);
    return bits != NULL &&
           X509_PUBKEY_get0_param(NULL, &own, &own_len, NULL, X509_get_X509_PUBKEY(signer)) &&
           bits_len == (apr_size_t)own_len && memcmp(bits, own, bits_len) == 0;
}

static mdm_result_t read_request(apr_pool_t *p, const mdm_scep_message_t *message,
                                 const unsigned char *der, long len, mdm_scep_request_t *request)
{
    const unsigned char *end = der;
    X509_REQ *csr =
        is_request_of(message->signer, der, (apr_size_t)len) ? d2i_X509_REQ(NULL, &end, len) : NULL;
    const char *secret;
    mdm_result_t r;

    if (csr == NULL)
        return refuse(p, MDM_MSG_SCEP_PROOF,
                      "what was decrypted is not exactly one PKCS#10 request with the key of the "
                      "message's signer");
    apr_pool_cleanup_register(p, csr, free_request, apr_pool_cleanup_null);
    r = check_proof(p, message, csr);
    if (r.kind == MDM_OK)
        r = check_request_algorithm(p, csr);
    if (r.kind != MDM_OK)
        return r;
    secret = read_challenge(p, csr);
    if (secret == NULL)
        return mdm_result_make(p, MDM_MSG_SCEP_REQUEST,
                               "wanted is one challengePassword, a string of 1 to %d bytes",
                               MDM_SCEP_MAX_CHALLENGE);
    request->key = X509_REQ_get_X509_PUBKEY(csr);
    request->secret = secret;
    request->id = request_id(p, message->transaction, der, (apr_size_t)len);
    return request->id[0] != '\0' ? mdm_result_ok() : mdm_sha256_failed(p);
}

mdm_result_t mdm_scep_message_decrypt(apr_pool_t *p, mdm_scep_message_t *message,
                                      const mdm_signer_t *recipient, mdm_scep_request_t *request)
{
    const ASN1_STRING *content = mdm_cms_content(message->cms);
    mdm_result_t r = check_envelope(p, content, &message->cipher);
    unsigned char *der;
    BIO *plain;

    if (r.kind != MDM_OK)
        return r;
    /* A memory BIO overwrites its buffer when it grows and when it is freed. */
    plain = BIO_new(BIO_s_mem());
    if (plain == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "memory for a SCEP message: %s",
                               mdm_openssl_reason(p));
    r = open_envelope(p, content, recipient, plain);
    if (r.kind == MDM_OK) {
        long len = BIO_get_mem_data(plain, &der);
        r = read_request(p, message, der, len, request);
    }
    BIO_free(plain);
    return r;
}
