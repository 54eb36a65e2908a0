/* SPDX-License-Identifier: Apache-2.0
 * For the benchmark: DER put together by hand, and pkiMessages around whatever a hostile client may
 * put into them, with a signature that holds. Depends on pki and OpenSSL; all lives in pki_pool.
 */
#ifndef FORGE_H
#define FORGE_H

#include "pki.h"
#include "scep_forge.h"

scep_bytes_t der_bytes(const void *bytes, apr_size_t len);
scep_bytes_t der_hex(const char *hex);

/* One after the other. */
scep_bytes_t der_pair(scep_bytes_t a, scep_bytes_t b);
scep_bytes_t der_times(scep_bytes_t one, apr_size_t count);

/* With tag and length before it; of definite length, or of indefinite. */
scep_bytes_t der_tlv(int tag, scep_bytes_t content);
scep_bytes_t der_indefinite(int tag, scep_bytes_t content);

scep_bytes_t der_oid(const char *dotted);
scep_bytes_t der_key(EVP_PKEY *key); /* SubjectPublicKeyInfo */
scep_bytes_t der_cert(X509 *cert);

/* RSA with that modulus size and a public exponent of so many bits, all set: not for decrypting,
 * but it signs. Quickly made, of many primes. */
EVP_PKEY *forge_key(int bits, int exponent_bits);

/* A certificate that nobody signed, with that SubjectPublicKeyInfo; name is the content of a Name,
 * for both; extensions is the content of Extensions. */
scep_bytes_t forge_cert(scep_bytes_t key, scep_bytes_t name, scep_bytes_t extensions);

/* CertificationRequest with a name and attributes (contents), signed with key. */
scep_bytes_t forge_request(EVP_PKEY *key, scep_bytes_t name, scep_bytes_t attributes);

/* EnvelopedData for a recipient with AES-128-CBC, of a content whose padding is made, with
 * recipientInfos (contents) before the one; wrapped secret replaces the encrypted key. */
typedef struct forge_envelope_t {
    X509 *recipient;
    scep_bytes_t content;
    scep_bytes_t before;    /* other RecipientInfos */
    scep_bytes_t encrypted; /* instead of the encrypted key; a block of RSA */
    EVP_PKEY *key;          /* that the content's key is encrypted to; NULL: the recipient's */
    int key_bytes;          /* 0: 16 */
    int other_key;          /* what is encrypted is not the content's key */
    int break_padding;      /* of the content */
} forge_envelope_t;

scep_bytes_t forge_envelope(const forge_envelope_t *opts);

/* One RecipientInfo for a certificate. */
scep_bytes_t forge_recipient(X509 *cert, scep_bytes_t encrypted_key);

typedef struct forge_message_t {
    scep_bytes_t cert; /* the signer's */
    EVP_PKEY *key;
    scep_bytes_t content;
    scep_bytes_t octets;     /* the eContent as it is encoded, where not simply; its TLV */
    scep_bytes_t bag;        /* more certificates */
    scep_bytes_t attributes; /* more signed attributes */
    scep_bytes_t unsigned_attributes;
    scep_bytes_t digests;   /* more digestAlgorithms */
    scep_bytes_t signature; /* instead of one that holds */
} forge_message_t;

scep_bytes_t forge_message(const forge_message_t *opts);

#endif
