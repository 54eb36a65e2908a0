/* SPDX-License-Identifier: Apache-2.0
 * Products and versions. Depends on APR only.
 */
#include "mdm_system.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>

/* Longer ones are no numbers of a version or model. */
#define MAX_DIGITS 4

static const struct {
    const char *family;
    mdm_platform_t platform;
} families[] = {
    {"iPhone", MDM_PLATFORM_IOS},
    {"iPad", MDM_PLATFORM_IOS},
    {"iPod", MDM_PLATFORM_IOS},
    {"AppleTV", MDM_PLATFORM_TVOS},
    {"RealityDevice", MDM_PLATFORM_VISIONOS},
    {"Watch", MDM_PLATFORM_WATCHOS},
    {"Mac", MDM_PLATFORM_MACOS},
    {"MacBook", MDM_PLATFORM_MACOS},
    {"MacBookAir", MDM_PLATFORM_MACOS},
    {"MacBookPro", MDM_PLATFORM_MACOS},
    {"MacPro", MDM_PLATFORM_MACOS},
    {"Macmini", MDM_PLATFORM_MACOS},
    {"iMac", MDM_PLATFORM_MACOS},
    {"iMacPro", MDM_PLATFORM_MACOS},
    {"VirtualMac", MDM_PLATFORM_MACOS},
};

/* The major version that a build's number stands for, up to the one after which Apple numbered all
 * systems by the year. */
static const struct {
    mdm_platform_t platform;
    int build_minus_major;
} builds[] = {
    {MDM_PLATFORM_IOS, 4},       {MDM_PLATFORM_TVOS, 4},     {MDM_PLATFORM_MACOS, 9},
    {MDM_PLATFORM_VISIONOS, 20}, {MDM_PLATFORM_WATCHOS, 11},
};

/* The first of those years, and its builds. */
#define YEAR_MAJOR 26
#define YEAR_BUILD 23
#define YEAR_BUILD_MACOS 25

const char *mdm_platform_name(mdm_platform_t platform)
{
    static const char *const names[] = {"", "iOS", "macOS", "tvOS", "visionOS", "watchOS"};

    return names[platform];
}

/* Digits at *text, which is moved behind them. -1: none, or too many. */
static int read_number(const char **text)
{
    int number = 0, digits = 0;

    for (; apr_isdigit(**text); ++*text, digits++) {
        if (digits == MAX_DIGITS)
            return -1;
        number = number * 10 + (**text - '0');
    }
    return digits > 0 ? number : -1;
}

int mdm_system_model(const char *product, int *family, int *generation, int *variant)
{
    const char *c = product;

    while (apr_isalpha(*c))
        c++;
    *family = (int)(c - product);
    *generation = read_number(&c);
    if (*family == 0 || *generation < 0 || *c++ != ',')
        return 0;
    *variant = read_number(&c);
    return *variant >= 0 && *c == '\0';
}

static mdm_platform_t platform_of(const char *product)
{
    int family, generation, variant;

    if (!mdm_system_model(product, &family, &generation, &variant))
        return MDM_PLATFORM_UNKNOWN;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strlen(families[i].family) == (size_t)family &&
            strncmp(families[i].family, product, (size_t)family) == 0)
            return families[i].platform;
    return MDM_PLATFORM_UNKNOWN;
}

/* "18", "18.1", "18.1.1", with anything but digits and dots behind it; 0 if it is no such. */
static int version_of(const char *text)
{
    int parts[3] = {0, 0, 0};

    for (int i = 0; i < 3; i++) {
        parts[i] = read_number(&text);
        if (parts[i] < 0 || parts[i] > 99)
            return 0;
        if (*text != '.')
            break;
        text++;
    }
    return apr_isalpha(*text) ? 0 : MDM_OS(parts[0], parts[1], parts[2]);
}

/* The letter counts the minor versions of iOS, and those of macOS often with one left out; other
 * systems begin anywhere in the alphabet. */
static int minor_of(mdm_platform_t platform, char letter)
{
    int index = letter - 'A';

    if (platform == MDM_PLATFORM_MACOS)
        index--;
    return index > 0 && (platform == MDM_PLATFORM_IOS || platform == MDM_PLATFORM_MACOS) ? index
                                                                                         : 0;
}

/* "22B83": number, letter, number. */
static int build_of(mdm_platform_t platform, const char *text)
{
    int number = read_number(&text), first, major;
    char letter = *text;

    if (number < 0 || letter < 'A' || letter > 'Z' || !apr_isdigit(text[1]))
        return 0;
    first = platform == MDM_PLATFORM_MACOS ? YEAR_BUILD_MACOS : YEAR_BUILD;
    if (number >= first)
        return MDM_OS(YEAR_MAJOR + number - first, minor_of(platform, letter), 0);
    for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
        major = number - builds[i].build_minus_major;
        if (builds[i].platform != platform || major < 1)
            continue;
        /* Before macOS 11 it was the second number that counted. */
        return platform == MDM_PLATFORM_MACOS && major < 11
                   ? MDM_OS(10, number - 4, 0)
                   : MDM_OS(major, minor_of(platform, letter), 0);
    }
    return 0;
}

mdm_system_t mdm_system_of(const char *product, const char *os_version)
{
    mdm_system_t system = {platform_of(product), version_of(os_version)};

    if (system.version == 0)
        system.version = build_of(system.platform, os_version);
    return system;
}
