/* SPDX-License-Identifier: Apache-2.0
 * What a device can do for its identity: ACME, keys in its Secure Enclave, attestation, PKCS #12 by
 * today's algorithms. From what it says of itself, so hints: good for choosing what it understands,
 * and no proof. Depends on mdm_system.
 */
#ifndef MDM_CAPABILITY_H
#define MDM_CAPABILITY_H

typedef struct mdm_capability_t {
    int acme;     /* com.apple.security.acme: iOS 16, macOS 13.1, tvOS 16, visionOS 1, watchOS 9 */
    int hardware; /* HardwareBound may be true: a Secure Enclave; on a Mac from macOS 14 on */
    int attest;   /* Attest may be true: A11, A12 in an Apple TV, S4, Apple silicon with macOS 14 */
    int modern;   /* PKCS #12 with PBES2 and a MAC over SHA-256 */
} mdm_capability_t;

/* product is PRODUCT, os_version OS_VERSION or a build, as in mdm_system_of(). A model that is
 * newer than those known here can what the last of its family could; what is of no known form, or
 * tells no version, can nothing. The first three are those of Apple's schema of
 * com.apple.security.acme. When Apple's importers learnt the algorithms of the fourth is in no
 * document: it is a judgement, iOS 18, macOS 15, tvOS 18, visionOS 2 and later, since the older
 * ones are taken by all. */
mdm_capability_t mdm_capability_of(const char *product, const char *os_version);

#endif
