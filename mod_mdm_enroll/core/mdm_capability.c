/* SPDX-License-Identifier: Apache-2.0
 * Model identifiers and versions, and what they can. Depends on mdm_system.
 */
#include "mdm_capability.h"

#include <string.h>

#include "mdm_system.h"

/* From which version on: ACME by "introduced" in Apple's com.apple.security.acme.yaml; a key in the
 * Secure Enclave and its attestation by what its keys HardwareBound and Attest say of versions. */
static const struct {
    mdm_platform_t platform;
    int acme, hardware, attest, modern;
} versions[] = {
    {MDM_PLATFORM_IOS, MDM_OS(16, 0, 0), MDM_OS(16, 0, 0), MDM_OS(16, 0, 0), MDM_OS(18, 0, 0)},
    {MDM_PLATFORM_MACOS, MDM_OS(13, 1, 0), MDM_OS(14, 0, 0), MDM_OS(14, 0, 0), MDM_OS(15, 0, 0)},
    {MDM_PLATFORM_TVOS, MDM_OS(16, 0, 0), MDM_OS(16, 0, 0), MDM_OS(16, 0, 0), MDM_OS(18, 0, 0)},
    {MDM_PLATFORM_VISIONOS, MDM_OS(1, 0, 0), MDM_OS(1, 0, 0), MDM_OS(1, 0, 0), MDM_OS(2, 0, 0)},
    {MDM_PLATFORM_WATCHOS, MDM_OS(9, 0, 0), MDM_OS(9, 0, 0), MDM_OS(10, 0, 0), MDM_OS(11, 0, 0)},
};

/* From which generation of a family on. Which chips attest is the note "ACME attestation hardware
 * support" of com.apple.security.acme.yaml; which model has which chip is behind each line:
 *   [wiki]  theapplewiki.com/wiki/Models, by identifier
 *   [T2]    support.apple.com/HT208862, "Mac models with the Apple T2 Security Chip"
 *   [AS]    support.apple.com/HT211814, "Mac computers with Apple silicon"
 * with the identifiers of Macs from Apple's pages "Identify your … model": HT201300 MacBook Pro,
 * HT201862 MacBook Air, HT201634 iMac, HT201894 Mac mini, HT202888 Mac Pro, HT213073 Mac Studio. */
static const struct {
    const char *family;
    int hardware; /* first generation with a Secure Enclave; on a Mac with T2 or Apple silicon */
    int attest;   /* first generation that attests */
} models[] = {
    {"iPhone", 6, 10},       /* [wiki] 6,1 iPhone 5s: A7; 10,1 iPhone 8: A11 */
    {"iPad", 4, 8},          /* [wiki] 4,1 iPad Air: A7; 7,x are A10 and A10X; 8,1 iPad Pro: A12X */
    {"iPod", 7, 10},         /* [wiki] 7,1: A8; 9,1, the last: A10 */
    {"AppleTV", 5, 11},      /* [wiki] 5,3 HD: A8; 6,2 4K: A10X; 11,1 4K (2nd): A12 */
    {"RealityDevice", 1, 1}, /* the schema: every Vision Pro */
    {"Watch", 1, 4},         /* [wiki] 4,1 Series 4: S4 */
    {"MacBookPro", 15, 17},  /* [T2] 15,1 (2018) to 16,4; [AS] 17,1 (M1, 2020) */
    {"MacBookAir", 8, 10},   /* [T2] 8,1 (2018) to 9,1; [AS] 10,1 (M1, 2020) */
    {"Macmini", 8, 9},       /* [T2] 8,1 (2018); [AS] 9,1 (M1, 2020) */
    {"iMac", 20, 21},        /* [T2] 20,1 and 20,2 (27 inch, 2020); [AS] 21,1 (24 inch, M1) */
    {"iMacPro", 1, 2},       /* [T2] 1,1 (2017), the only one */
    {"MacPro", 7, 8},        /* [T2] 7,1 (2019), the last of that name */
    {"MacBook", 11, 11},     /* 10,1 (2017), the last, has neither */
    {"Mac", 13, 13},         /* [AS] 13,1 Mac Studio (2022) and all since: Mac14,2 … */
};

static void look_up_model(const char *product, mdm_capability_t *capability)
{
    int family, generation, variant;

    capability->hardware = capability->attest = 0;
    if (!mdm_system_model(product, &family, &generation, &variant))
        return;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (strlen(models[i].family) != (size_t)family ||
            strncmp(models[i].family, product, (size_t)family) != 0)
            continue;
        capability->hardware = generation >= models[i].hardware;
        capability->attest = generation >= models[i].attest;
    }
}

mdm_capability_t mdm_capability_of(const char *product, const char *os_version)
{
    mdm_system_t system = mdm_system_of(product, os_version);
    mdm_capability_t capability = {0, 0, 0, 0}, model;

    look_up_model(product, &model);
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i].platform != system.platform)
            continue;
        capability.acme = system.version >= versions[i].acme;
        capability.hardware = model.hardware && system.version >= versions[i].hardware;
        capability.attest = model.attest && system.version >= versions[i].attest;
        capability.modern = system.version >= versions[i].modern;
    }
    return capability;
}
