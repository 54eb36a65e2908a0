/* SPDX-License-Identifier: Apache-2.0
 * Which of Apple's systems a device runs, and how new it is, from what it says of itself. Hints, as
 * all that a device says: good for choosing what it understands, not for proving anything. Depends
 * on APR only.
 */
#ifndef MDM_SYSTEM_H
#define MDM_SYSTEM_H

/* In the words of Apple's schemas ("supportedOS"). iPadOS is iOS there. */
typedef enum {
    MDM_PLATFORM_UNKNOWN,
    MDM_PLATFORM_IOS,
    MDM_PLATFORM_MACOS,
    MDM_PLATFORM_TVOS,
    MDM_PLATFORM_VISIONOS,
    MDM_PLATFORM_WATCHOS
} mdm_platform_t;

/* "iOS", "macOS", "tvOS", "visionOS", "watchOS"; "" for an unknown one. */
const char *mdm_platform_name(mdm_platform_t platform);

/* A version as one number: 17.4.1 is MDM_OS(17, 4, 1). Greater is newer. */
#define MDM_OS(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))

typedef struct mdm_system_t {
    mdm_platform_t platform;
    int version; /* as MDM_OS(); 0: unknown */
} mdm_system_t;

/* product is PRODUCT ("iPhone17,2"); os_version is OS_VERSION ("18.1") or, of older systems that
 * tell nothing else, the build of VERSION ("22B83"): of it the major version is exact, the minor
 * one never too high. Both may be "". */
mdm_system_t mdm_system_of(const char *product, const char *os_version);

/* The two numbers of a PRODUCT behind its letters, 17 and 2 of "iPhone17,2"; family is the length
 * of the letters. 0 if it is not of that form. */
int mdm_system_model(const char *product, int *family, int *generation, int *variant);

#endif
