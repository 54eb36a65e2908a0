/* SPDX-License-Identifier: Apache-2.0
 * RSA keys for unit tests, without the third of a second that it takes to find the primes of one:
 * those of rsa_primes.h are used, in turn. Depends on OpenSSL, on nothing of the project.
 */
#ifndef PKI_RSA_H
#define PKI_RSA_H

#include <openssl/evp.h>

/* A key that the process did not have before, of 1024 or 2048 bits from the list, until the list is
 * at its end. All others are generated. The caller's; NULL on failure. */
EVP_PKEY *pki_rsa_next(int bits);

#endif
