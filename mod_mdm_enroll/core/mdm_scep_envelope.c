/* SPDX-License-Identifier: Apache-2.0
 * Opening a pkiMessage's envelope without telling anybody why it could not be, and reading what is
 * in it. Depends on mdm_der, mdm_scep_message, mdm_x509.
 */
#include "mdm_scep_envelope.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>

/* The shortest RSA key that is verified with at all, before it is judged. */
#define BOUNDED_RSA_BITS 512

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

/* The cipher by its NID, NULL if it is not accepted. */
static const EVP_CIPHER *accepted_cipher(int nid, unsigned int allow)
{
    switch (nid) {
    case NID_aes_128_cbc:
        return EVP_aes_128_cbc();
    case NID_aes_192_cbc:
        return EVP_aes_192_cbc();
    case NID_aes_256_cbc:
        return EVP_aes_256_cbc();
    case NID_des_ede3_cbc:
        return allow & MDM_SCEP_ALLOW_DES3 ? EVP_des_ede3_cbc() : NULL;
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
static mdm_result_t check_envelope(apr_pool_t *p, const ASN1_STRING *content, unsigned int allow,
                                   const EVP_CIPHER **cipher)
{
    const EVP_CIPHER *known;
    const unsigned char *der = ASN1_STRING_get0_data(content), *end = der;
    PKCS7 *envelope;
    const PKCS7_ENC_CONTENT *encrypted;
    mdm_result_t r;

    envelope =
        mdm_cms_is_enveloped(der, (apr_size_t)ASN1_STRING_length(content)) &&
                mdm_der_few(der, (apr_size_t)ASN1_STRING_length(content), MDM_SCEP_MAX_ELEMENTS)
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
    known = accepted_cipher(OBJ_obj2nid(encrypted->algorithm->algorithm), allow);
    if (known == NULL)
        r = refuse_algorithm(p, "cipher", encrypted->algorithm->algorithm,
                             allow & MDM_SCEP_ALLOW_DES3 ? "AES-CBC or DES-EDE3-CBC" : "AES-CBC");
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

/* RFC 2985 section 5.4.1: one value, a DirectoryString; IA5String is what PKCS#9 version 1 had. 0
 * if there is something else; without the attribute *secret is NULL. */
static int read_challenge(apr_pool_t *p, X509_REQ *csr, const char **secret)
{
    int at = X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1);
    X509_ATTRIBUTE *attribute = at >= 0 ? X509_REQ_get_attr(csr, at) : NULL;
    const ASN1_TYPE *value;
    const ASN1_STRING *string;
    char *text;
    int type, len;

    *secret = NULL;
    if (attribute == NULL)
        return 1;
    if (X509_ATTRIBUTE_count(attribute) != 1 ||
        X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, at) >= 0)
        return 0;
    value = X509_ATTRIBUTE_get0_type(attribute, 0);
    type = ASN1_TYPE_get(value);
    if (type != V_ASN1_PRINTABLESTRING && type != V_ASN1_UTF8STRING && type != V_ASN1_IA5STRING &&
        type != V_ASN1_T61STRING)
        return 0;
    string = value->value.asn1_string;
    len = ASN1_STRING_length(string);
    if (len < 1 || len > MDM_SCEP_MAX_CHALLENGE ||
        memchr(ASN1_STRING_get0_data(string), '\0', (size_t)len) != NULL)
        return 0;
    text = apr_pstrmemdup(p, (const char *)ASN1_STRING_get0_data(string), (apr_size_t)len);
    apr_pool_cleanup_register(p, text, cleanse_text, apr_pool_cleanup_null);
    *secret = text;
    return 1;
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

/* SHA-256 over (transactionID, NUL, bytes). */
static const char *in_transaction(apr_pool_t *p, const char *transaction, const void *der,
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

const char *mdm_scep_poll_id(apr_pool_t *p, const mdm_scep_message_t *message)
{
    const unsigned char *bits;
    int len;

    if (!X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, X509_get_X509_PUBKEY(message->signer)))
        return "";
    return in_transaction(p, message->transaction, bits, (apr_size_t)len);
}

/* One CertificationRequest of DER (RFC 2986 section 4) that fills the bytes; the bits of its key.
 * NULL if it is not that. Told by tags and lengths, before anything is decoded. */
static const unsigned char *find_request_key(const unsigned char *der, apr_size_t len,
                                             apr_size_t *bits_len)
{
    mdm_der_t left = mdm_der_content(der, len);
    mdm_der_t request, info, part;

    if (!mdm_der_expect(&left, MDM_DER_SEQUENCE, &request) || left.len > 0 ||
        !mdm_der_expect(&request, MDM_DER_SEQUENCE, &info) ||
        !mdm_der_expect(&info, MDM_DER_INTEGER, &part) ||  /* version */
        !mdm_der_expect(&info, MDM_DER_SEQUENCE, &part) || /* subject */
        !mdm_der_next(&info, &part))
        return NULL;
    return mdm_x509_key_bits(&part, bits_len);
}

static int is_own_key(const X509 *signer, const unsigned char *bits, apr_size_t len)
{
    const unsigned char *own;
    int own_len;

    return X509_PUBKEY_get0_param(NULL, &own, &own_len, NULL, X509_get_X509_PUBKEY(signer)) &&
           len == (apr_size_t)own_len && memcmp(bits, own, len) == 0;
}

/* An attacker who damages a captured envelope and signs it anew learns nothing of what is in it
 * only as long as every failure up to the request's own signature looks the same as one of
 * decryption (a padding oracle otherwise), and takes as long: keep these two message ids alike in
 * failInfo and text. A stranger is refused here before anything is decoded, since he has another
 * key; somebody of ours may have a request for another key, so there a decoy is decoded where it
 * was not.
 *
 * The request, its key and its proof of possession; NULL and *r otherwise. *tried: it was decoded
 * and its signature was looked at. */
static X509_REQ *prove_request(apr_pool_t *p, const mdm_scep_message_t *message, int stranger,
                               const unsigned char *der, apr_size_t len, int *tried,
                               mdm_result_t *r)
{
    apr_size_t bits_len;
    const unsigned char *end = der, *bits = find_request_key(der, len, &bits_len);
    X509_REQ *csr;
    EVP_PKEY *key;

    *r = mdm_result_make(p, MDM_MSG_SCEP_PROOF,
                         "what was decrypted is not exactly one PKCS#10 request%s",
                         stranger ? " with the key of the message's signer" : "");
    if (bits == NULL || !mdm_der_few(der, len, MDM_SCEP_MAX_ELEMENTS) ||
        (stranger && !is_own_key(message->signer, bits, bits_len)))
        return NULL;
    csr = d2i_X509_REQ(NULL, &end, (long)len);
    if (csr == NULL)
        return NULL;
    apr_pool_cleanup_register(p, csr, free_request, apr_pool_cleanup_null);
    key = X509_REQ_get0_pubkey(csr);
    /* Nobody has proved yet that these bytes are a key, so only what verifying it would cost is
     * looked at, and what is too dear is refused as what cannot be proved. */
    if (!mdm_x509_key_ok(key, BOUNDED_RSA_BITS) || EVP_PKEY_get_bits(key) > MDM_SCEP_MAX_RSA_BITS)
        return NULL;
    *r = mdm_result_make(p, MDM_MSG_SCEP_PROOF, "the request's own signature does not hold");
    *tried = 1;
    if (X509_REQ_verify(csr, key) != 1)
        return NULL;
    *r = mdm_scep_check_key(p, "request's", key);
    if (r->kind != MDM_OK)
        return NULL;
    *r = check_request_algorithm(p, csr);
    return r->kind == MDM_OK ? csr : NULL;
}

/* As long as a request takes whose proof does not hold: decoding one, and looking at its. */
static void take_time(const mdm_scep_decoy_t *decoy)
{
    const unsigned char *at = decoy->der;
    X509_REQ *csr = d2i_X509_REQ(NULL, &at, (long)decoy->len);

    if (csr != NULL)
        X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr));
    X509_REQ_free(csr);
}

static mdm_result_t read_request(apr_pool_t *p, const mdm_scep_message_t *message, int stranger,
                                 const unsigned char *der, apr_size_t len, int *tried,
                                 mdm_scep_request_t *request)
{
    mdm_scep_request_t made = {.key = NULL};
    const unsigned char *bits;
    apr_size_t bits_len;
    mdm_result_t r;
    X509_REQ *csr = prove_request(p, message, stranger, der, len, tried, &r);

    ERR_clear_error();
    if (csr == NULL)
        return r;
    if (!read_challenge(p, csr, &made.secret) || (stranger && made.secret == NULL))
        return mdm_result_make(p, MDM_MSG_SCEP_REQUEST,
                               "wanted is one challengePassword, a string of 1 to %d bytes",
                               MDM_SCEP_MAX_CHALLENGE);
    bits = find_request_key(der, len, &bits_len);
    made.own_key = is_own_key(message->signer, bits, bits_len);
    made.key = X509_REQ_get_X509_PUBKEY(csr);
    made.id = in_transaction(p, message->transaction, der, len);
    made.poll = mdm_scep_poll_id(p, message);
    if (made.id[0] == '\0' || made.poll[0] == '\0')
        return mdm_sha256_failed(p);
    *request = made;
    return mdm_result_ok();
}

/* Check and open the envelope. *plain is to be freed by the caller: a memory BIO overwrites its
 * buffer when it grows and when it is freed. */
static mdm_result_t decrypt(apr_pool_t *p, mdm_scep_message_t *message,
                            const mdm_signer_t *recipient, unsigned int allow, BIO **plain)
{
    const ASN1_STRING *content = mdm_cms_content(message->cms);
    mdm_result_t r = check_envelope(p, content, allow, &message->cipher);

    if (r.kind != MDM_OK)
        return r;
    *plain = BIO_new(BIO_s_mem());
    if (*plain == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "memory for a SCEP message: %s",
                               mdm_openssl_reason(p));
    return open_envelope(p, content, recipient, *plain);
}

mdm_result_t mdm_scep_envelope_request(apr_pool_t *p, mdm_scep_message_t *message,
                                       const mdm_signer_t *recipient, unsigned int allow,
                                       const mdm_scep_decoy_t *decoy, mdm_scep_request_t *request)
{
    BIO *plain = NULL;
    char *der;
    int tried = 0;
    mdm_result_t r = decrypt(p, message, recipient, allow, &plain);

    if (r.kind == MDM_OK) {
        long len = BIO_get_mem_data(plain, &der);
        r = read_request(p, message, decoy == NULL, (const unsigned char *)der, (apr_size_t)len,
                         &tried, request);
    }
    if (decoy != NULL && !tried &&
        (r.message == MDM_MSG_SCEP_DECRYPT || r.message == MDM_MSG_SCEP_PROOF)) {
        take_time(decoy);
        ERR_clear_error();
    }
    BIO_free(plain);
    return r;
}

/* The name of the wanted issuer, and a second element, in one SEQUENCE that fills the bytes. */
static int read_subject(const unsigned char *der, apr_size_t len, const mdm_der_t *issuer,
                        unsigned char second, mdm_der_t *part)
{
    mdm_der_t left = mdm_der_content(der, len);
    mdm_der_t pair, name;

    return mdm_der_expect(&left, MDM_DER_SEQUENCE, &pair) && left.len == 0 &&
           mdm_der_next(&pair, &name) &&
           mdm_der_equal(&name, MDM_DER_SEQUENCE, issuer->bytes, issuer->len) &&
           mdm_der_expect(&pair, second, part) && pair.len == 0;
}

/* As mdm_x509_serial() writes one. */
static const char *serial_text(apr_pool_t *p, const mdm_der_t *integer)
{
    mdm_der_t number = *integer;
    char *text;

    while (number.len > 1 && number.bytes[0] == 0) {
        number.bytes++;
        number.len--;
    }
    text = apr_palloc(p, 2 * number.len + 1);
    for (apr_size_t i = 0; i < number.len; i++)
        apr_snprintf(text + 2 * i, 3, "%02x", number.bytes[i]);
    return text;
}

mdm_result_t mdm_scep_envelope_subject(apr_pool_t *p, mdm_scep_message_t *message,
                                       const mdm_signer_t *recipient, unsigned int allow,
                                       const X509_NAME *issuer, const char **serial)
{
    const unsigned char second =
        message->type == MDM_SCEP_CERT_POLL ? MDM_DER_SEQUENCE : MDM_DER_INTEGER;
    const unsigned char *name;
    size_t name_len;
    mdm_der_t own, wanted, part;
    BIO *plain = NULL;
    char *der;
    mdm_result_t r = decrypt(p, message, recipient, allow, &plain);

    if (r.kind != MDM_OK)
        goto done;
    if (!X509_NAME_get0_der(issuer, &name, &name_len)) {
        r = mdm_result_make(p, MDM_MSG_CRYPTO, "issuer's name: %s", mdm_openssl_reason(p));
        goto done;
    }
    own = mdm_der_content(name, name_len);
    if (mdm_der_next(&own, &wanted)) {
        long len = BIO_get_mem_data(plain, &der);
        if (read_subject((const unsigned char *)der, (apr_size_t)len, &wanted, second, &part)) {
            *serial = second == MDM_DER_INTEGER ? serial_text(p, &part) : "";
            goto done;
        }
    }
    r = mdm_result_make(p, MDM_MSG_SCEP_PROOF,
                        "what was decrypted does not name a certificate of \"%s\"",
                        mdm_x509_name(p, issuer));
done:
    BIO_free(plain);
    return r;
}

mdm_result_t mdm_scep_decoy_make(apr_pool_t *p, EVP_PKEY *key, mdm_scep_decoy_t *decoy)
{
    X509_REQ *csr = X509_REQ_new();
    mdm_scep_decoy_t made = {NULL, 0};

    if (csr != NULL && X509_REQ_set_pubkey(csr, key) && X509_REQ_sign(csr, key, EVP_sha256()) > 0)
        made.der = mdm_der_encode(p, csr, ASN1_ITEM_rptr(X509_REQ), &made.len);
    X509_REQ_free(csr);
    if (made.der == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "certificate request: %s", mdm_openssl_reason(p));
    *decoy = made;
    return mdm_result_ok();
}
