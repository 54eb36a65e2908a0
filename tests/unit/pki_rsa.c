/* SPDX-License-Identifier: Apache-2.0
 * RSA keys from primes that were found once. See pki_rsa.h, and find_primes.py for how they are
 * told.
 */
#include "pki_rsa.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "rsa_primes.h"

#define MAX_PRIME_BYTES 128

typedef struct list_t {
    int bits; /* of a key */
    const unsigned short *distances;
    size_t count, used;
} list_t;

static list_t lists[] = {
    {1024, primes_512, sizeof(primes_512) / sizeof(primes_512[0]), 0},
    {2048, primes_1024, sizeof(primes_1024) / sizeof(primes_1024[0]), 0},
};

/* The next prime of the list, as start() and distance() of find_primes.py have it. */
static BIGNUM *next_prime(list_t *list)
{
    int bits = list->bits / 2;
    unsigned char digest[MAX_PRIME_BYTES];
    char seed[64];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    BIGNUM *prime = NULL;

    snprintf(seed, sizeof(seed), "prime %d %zu", bits, list->used);
    if (context != NULL && EVP_DigestInit_ex(context, EVP_shake256(), NULL) &&
        EVP_DigestUpdate(context, seed, strlen(seed)) &&
        EVP_DigestFinalXOF(context, digest, (size_t)bits / 8)) {
        digest[0] |= 0xC0;
        digest[bits / 8 - 1] |= 1;
        prime = BN_bin2bn(digest, bits / 8, NULL);
    }
    EVP_MD_CTX_free(context);
    if (prime != NULL)
        BN_add_word(prime, list->distances[list->used]);
    list->used++;
    return prime;
}

/* n, d, d mod p-1, d mod q-1, 1/q mod p */
static int derive(const BIGNUM *e, const BIGNUM *p, const BIGNUM *q, BIGNUM *const made[5])
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *p1 = BN_dup(p), *q1 = BN_dup(q), *phi = BN_new();
    int ok = context != NULL && p1 != NULL && q1 != NULL && phi != NULL && BN_sub_word(p1, 1) &&
             BN_sub_word(q1, 1) && BN_mul(phi, p1, q1, context) && BN_mul(made[0], p, q, context) &&
             BN_mod_inverse(made[1], e, phi, context) != NULL &&
             BN_mod(made[2], made[1], p1, context) && BN_mod(made[3], made[1], q1, context) &&
             BN_mod_inverse(made[4], q, p, context) != NULL;

    BN_free(phi);
    BN_free(q1);
    BN_free(p1);
    BN_CTX_free(context);
    return ok;
}

static EVP_PKEY *from_numbers(const BIGNUM *e, const BIGNUM *p, const BIGNUM *q,
                              BIGNUM *const made[5])
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    if (builder != NULL && context != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, made[0]) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D, made[1]) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR1, p) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR2, q) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT1, made[2]) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT2, made[3]) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, made[4]) &&
        (params = OSSL_PARAM_BLD_to_param(builder)) != NULL && EVP_PKEY_fromdata_init(context) > 0)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *from_list(list_t *list)
{
    BIGNUM *p = next_prime(list), *q = next_prime(list), *e = BN_new();
    BIGNUM *made[5] = {BN_new(), BN_new(), BN_new(), BN_new(), BN_new()};
    EVP_PKEY *key = NULL;

    if (p != NULL && q != NULL && e != NULL && made[0] != NULL && made[1] != NULL &&
        made[2] != NULL && made[3] != NULL && made[4] != NULL && BN_set_word(e, RSA_F4) &&
        derive(e, p, q, made))
        key = from_numbers(e, p, q, made);
    for (int i = 0; i < 5; i++)
        BN_free(made[i]);
    BN_free(e);
    BN_free(q);
    BN_free(p);
    return key;
}

EVP_PKEY *pki_rsa_next(int bits)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (lists[i].bits == bits && lists[i].used + 2 <= lists[i].count)
            return from_list(&lists[i]);
    return EVP_RSA_gen((unsigned int)bits);
}
