/* SPDX-License-Identifier: Apache-2.0
 * Putting a SCEP responder's messages together. Depends on mdm_cms, mdm_scep_message and OpenSSL.
 */
#include "mdm_scep_reply.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/cms.h>
#include <openssl/pkcs7.h>

#include "mdm_cms.h"

#define MESSAGE_TYPE_CERT_REP "3"
#define PKI_STATUS_SUCCESS "0"
#define PKI_STATUS_FAILURE "2"
#define FAIL_INFO_BAD_ALG "0"
#define FAIL_INFO_BAD_MESSAGE_CHECK "1"
#define FAIL_INFO_BAD_REQUEST "2"
#define FAIL_INFO_BAD_CERT_ID "4"

/* What a CertRep says beside what it answers. */
typedef struct answer_t {
    const char *status;
    const char *fail_info; /* NULL with SUCCESS */
    const char *fail_text;
    const void *content; /* the envelope; nothing with FAILURE */
    apr_size_t len;
} answer_t;

static mdm_result_t failed(apr_pool_t *p, const char *what)
{
    return mdm_result_make(p, MDM_MSG_CRYPTO, "%s: %s", what, mdm_openssl_reason(p));
}

/* Unlike PKCS7_content_new() this leaves the content itself out. */
static int set_data_type(PKCS7 *bag)
{
    bag->d.sign->contents->type = OBJ_nid2obj(NID_pkcs7_data);
    return 1;
}

/* PKCS7_*, because CMS_* sorts the certificates, and clients take the first for the one meant. */
static int add_certificates(PKCS7 *bag, X509 *cert, STACK_OF(X509) *chain)
{
    if (!PKCS7_add_certificate(bag, cert))
        return 0;
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (!PKCS7_add_certificate(bag, sk_X509_value(chain, i)))
            return 0;
    return 1;
}

static int encode(apr_pool_t *p, const void *value, const ASN1_ITEM *item,
                  const unsigned char **der, apr_size_t *len)
{
    *der = mdm_der_encode(p, value, item, len);
    return *der != NULL;
}

mdm_result_t mdm_scep_certs_only(apr_pool_t *p, X509 *cert, STACK_OF(X509) *chain,
                                 const unsigned char **der, apr_size_t *len)
{
    PKCS7 *bag = PKCS7_new();
    int ok = bag != NULL && PKCS7_set_type(bag, NID_pkcs7_signed) && set_data_type(bag) &&
             add_certificates(bag, cert, chain) && encode(p, bag, ASN1_ITEM_rptr(PKCS7), der, len);

    PKCS7_free(bag);
    return ok ? mdm_result_ok() : failed(p, "certs-only message");
}

static int add_attribute(CMS_SignerInfo *signer_info, const char *oid, int type, const void *value,
                         apr_size_t len)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    /* len is given always: -1 would mean that value is an ASN1_STRING */
    int ok =
        object != NULL && CMS_signed_add1_attr_by_OBJ(signer_info, object, type, value, (int)len);

    ASN1_OBJECT_free(object);
    return ok;
}

static int add_text(CMS_SignerInfo *signer_info, const char *oid, int type, const char *text)
{
    return add_attribute(signer_info, oid, type, text, strlen(text));
}

static int add_attributes(CMS_SignerInfo *signer_info, const mdm_scep_message_t *message,
                          const answer_t *answer, const unsigned char *nonce)
{
    if (!add_text(signer_info, MDM_SCEP_OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING,
                  MESSAGE_TYPE_CERT_REP) ||
        !add_text(signer_info, MDM_SCEP_OID_PKI_STATUS, V_ASN1_PRINTABLESTRING, answer->status) ||
        !add_text(signer_info, MDM_SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING,
                  message->transaction) ||
        !add_attribute(signer_info, MDM_SCEP_OID_RECIPIENT_NONCE, V_ASN1_OCTET_STRING,
                       message->sender_nonce, MDM_SCEP_NONCE_BYTES) ||
        !add_attribute(signer_info, MDM_SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING, nonce,
                       MDM_SCEP_NONCE_BYTES))
        return 0;
    return answer->fail_info == NULL || (add_text(signer_info, MDM_SCEP_OID_FAIL_INFO,
                                                  V_ASN1_PRINTABLESTRING, answer->fail_info) &&
                                         add_text(signer_info, MDM_SCEP_OID_FAIL_INFO_TEXT,
                                                  V_ASN1_UTF8STRING, answer->fail_text));
}

static mdm_result_t make_reply(apr_pool_t *p, const mdm_world_t *world, const mdm_signer_t *signer,
                               const mdm_scep_message_t *message, const answer_t *answer,
                               const unsigned char **der, apr_size_t *len)
{
    const unsigned int flags = CMS_BINARY | CMS_PARTIAL;
    unsigned char nonce[MDM_SCEP_NONCE_BYTES];
    CMS_ContentInfo *cms = NULL;
    CMS_SignerInfo *signer_info;
    BIO *content;
    int ok;

    if (!world->random(world->context, nonce, sizeof(nonce)))
        return mdm_random_failed(p);
    /* Never detached: without an envelope the content is an empty OCTET STRING, which every client
     * reads; left out altogether, some do not. */
    content = BIO_new_mem_buf(answer->content, (int)answer->len);
    ok = content != NULL && (cms = CMS_sign(NULL, NULL, NULL, NULL, flags)) != NULL &&
         (signer_info = CMS_add1_signer(cms, signer->cert, signer->key, message->digest,
                                        flags | CMS_NOSMIMECAP)) != NULL &&
         add_attributes(signer_info, message, answer, nonce) &&
         CMS_final(cms, content, NULL, CMS_BINARY) &&
         encode(p, cms, ASN1_ITEM_rptr(CMS_ContentInfo), der, len);
    CMS_ContentInfo_free(cms);
    BIO_free(content);
    return ok ? mdm_result_ok() : failed(p, "CertRep");
}

/* SUCCESS with what is in bag, for the eyes of the message's signer. */
static mdm_result_t reply_bag(apr_pool_t *p, const mdm_world_t *world, const mdm_signer_t *signer,
                              const mdm_scep_message_t *message, const unsigned char *bag,
                              apr_size_t bag_len, const unsigned char **der, apr_size_t *len)
{
    answer_t answer = {.status = PKI_STATUS_SUCCESS};
    const unsigned char *envelope;
    apr_size_t envelope_len;
    mdm_result_t r = mdm_cms_encrypt(p, message->signer, message->cipher, bag, bag_len, &envelope,
                                     &envelope_len);

    if (r.kind != MDM_OK)
        return r;
    answer.content = envelope;
    answer.len = envelope_len;
    return make_reply(p, world, signer, message, &answer, der, len);
}

mdm_result_t mdm_scep_reply_success(apr_pool_t *p, const mdm_world_t *world,
                                    const mdm_signer_t *signer, const mdm_scep_message_t *message,
                                    X509 *cert, const unsigned char **der, apr_size_t *len)
{
    const unsigned char *bag;
    apr_size_t bag_len;
    mdm_result_t r = mdm_scep_certs_only(p, cert, NULL, &bag, &bag_len);

    return r.kind != MDM_OK ? r : reply_bag(p, world, signer, message, bag, bag_len, der, len);
}

mdm_result_t mdm_scep_reply_crl(apr_pool_t *p, const mdm_world_t *world, const mdm_signer_t *signer,
                                const mdm_scep_message_t *message, const mdm_crl_t *crl,
                                const unsigned char **der, apr_size_t *len)
{
    return reply_bag(p, world, signer, message, crl->bag, crl->bag_len, der, len);
}

static const char *fail_info(mdm_message_t message)
{
    switch (message) {
    case MDM_MSG_SCEP_ALGORITHM:
    case MDM_MSG_SCEP_KEY:
        return FAIL_INFO_BAD_ALG;
    case MDM_MSG_SCEP_SIGNATURE:
    case MDM_MSG_SCEP_DECRYPT:
    case MDM_MSG_SCEP_PROOF:
        return FAIL_INFO_BAD_MESSAGE_CHECK;
    case MDM_MSG_SCEP_CERT_ID:
        return FAIL_INFO_BAD_CERT_ID;
    default:
        return FAIL_INFO_BAD_REQUEST;
    }
}

mdm_result_t mdm_scep_reply_failure(apr_pool_t *p, const mdm_world_t *world,
                                    const mdm_signer_t *signer, const mdm_scep_message_t *message,
                                    const mdm_result_t *why, const unsigned char **der,
                                    apr_size_t *len)
{
    const answer_t answer = {
        .status = PKI_STATUS_FAILURE,
        .fail_info = fail_info(why->message),
        .fail_text = why->user,
        .content = "",
    };

    return make_reply(p, world, signer, message, &answer, der, len);
}
