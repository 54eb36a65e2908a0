/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: the client's side of SCEP in plain OpenSSL calls, with knobs for all that can be
 * wrong with a message. Depends on pki and OpenSSL, on nothing of the project. A failure ends the
 * program.
 */
#ifndef SCEP_FORGE_H
#define SCEP_FORGE_H

#include <apr_pools.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* Everything lives in pki_pool. */
typedef struct scep_bytes_t {
    const unsigned char *data;
    apr_size_t len;
} scep_bytes_t;

#define SCEP_OID_TYPE "2.16.840.1.113733.1.9.2"
#define SCEP_OID_NONCE "2.16.840.1.113733.1.9.5"
#define SCEP_OID_TRANSACTION "2.16.840.1.113733.1.9.7"

/* key and recipient must be there; the rest may be zero, for a sound PKCSReq. */
typedef struct scep_opts_t {
    EVP_PKEY *key; /* of the request, and of the signer unless signer_key is there */
    X509 *recipient;
    /* the certificate request */
    const char *challenge; /* NULL: no attribute */
    int challenge_type;    /* 0: V_ASN1_PRINTABLESTRING */
    int challenge_values;  /* 0: one */
    int challenge_twice;   /* two attributes */
    const char *subject;   /* "/CN=…" */
    const char *subject_alt_name;
    const char *basic_constraints;
    const EVP_MD *request_digest; /* NULL: SHA-256 */
    int request_broken;           /* its signature does not hold */
    int request_trailing;         /* bytes behind it */
    const char *plain;            /* what is encrypted instead of a request */
    apr_size_t plain_len;         /* 0: it is a text */
    int request_version;          /* 0: 0, as it must be */
    /* the envelope */
    const EVP_CIPHER *cipher; /* NULL: AES-128-CBC */
    int single_des;           /* by the legacy provider, in a library context of its own */
    int recipients;           /* so many others before the right one */
    const EVP_MD *oaep;       /* RSAES-OAEP with it instead of PKCS#1 v1.5 */
    int envelope_broken;      /* 1: in the encrypted key, 2: in the encrypted content */
    int not_enveloped;        /* the request is signed as it is */
    /* the signature */
    EVP_PKEY *signer_key;
    X509 *signer_cert;       /* NULL: a temporary self-signed one */
    int clear_challenge;     /* the challenge is repeated as a signed attribute */
    const char *type;        /* NULL: "19" */
    const char *transaction; /* NULL: "transaction-1" */
    int transaction_type;    /* 0: V_ASN1_PRINTABLESTRING */
    int nonce_len;           /* 0: 16 */
    const char *omit;        /* attribute with this OID left out */
    const char *twice;       /* attribute with this OID has two values */
    const EVP_MD *digest;    /* NULL: SHA-256 */
    int pss;                 /* RSASSA-PSS */
    int no_attributes;
    int no_certificate;
    int certificates;       /* so many others in the message */
    int two_signers;        /* 2: the second one's certificate is left out */
    int other_content_type; /* eContentType id-smime-ct-TSTInfo */
    int detached;
} scep_opts_t;

scep_bytes_t scep_message(const scep_opts_t *opts);

/* The first len bytes found are replaced, in a copy. */
scep_bytes_t scep_patch(scep_bytes_t message, const void *find, const void *replace,
                        apr_size_t len);

/* The nonce of every message. */
#define SCEP_NONCE "0123456789abcdef"

typedef struct scep_answer_t {
    const char *type, *status, *transaction; /* NULL where absent, as all below */
    const char *fail_info, *fail_text;
    const char *recipient_nonce;
    scep_bytes_t sender_nonce;
    const char *digest, *signature; /* short names of the algorithms */
    const char *cipher;             /* of the envelope */
    int content_len;                /* of the eContent; -1 if absent */
    int certificates;               /* in the envelope */
    X509 *cert;                     /* the first of them */
    X509_CRL *crl;                  /* what is there instead */
} scep_answer_t;

/* Takes a CertRep apart as a strict client does: signed by the CA, whose certificate is in it, by
 * one signature that holds; all attributes of the right type; the envelope is for key's certificate
 * alone. */
scep_answer_t scep_read(scep_bytes_t reply, X509 *ca, EVP_PKEY *key);

#endif
