/* SPDX-License-Identifier: Apache-2.0
 * Rules that concern several keys of one payload. Depends on mdm_text.
 */
#include "mdm_schema.h"

#include <string.h>

#include <apr_strings.h>

/* One payload's settings under examination. */
typedef struct check_t {
    apr_pool_t *p;
    const apr_array_header_t *settings;
    apr_int64_t now;
    const mdm_setting_t *culprit;
} check_t;

static const mdm_setting_t *find(const check_t *check, const char *key)
{
    return mdm_schema_find(check->settings, key);
}

/* The value of a STRING that is set and constant; NULL otherwise. */
static const char *text_of(const mdm_setting_t *s)
{
    return s != NULL && s->text != NULL ? mdm_text_fixed(s->text) : NULL;
}

static const char *together(check_t *check, const char *one, const char *other, const char *why)
{
    const mdm_setting_t *s = find(check, one);

    if (s == NULL || find(check, other) == NULL)
        return NULL;
    check->culprit = s;
    return apr_psprintf(check->p, "%s together with %s: wanted is one of the two, %s", one, other,
                        why);
}

static const char *needs(check_t *check, const char *one, const char *other, const char *why)
{
    const mdm_setting_t *s = find(check, one);

    if (s == NULL || find(check, other) != NULL)
        return NULL;
    check->culprit = s;
    return apr_psprintf(check->p, "%s without %s: wanted are both or none, %s", one, other, why);
}

/* A device refuses the first, and asks for updates without end because of the second. */
static const char *check_dates(check_t *check)
{
    static const char *const keys[] = {"RemovalDate", "PayloadExpirationDate"};

    for (apr_size_t i = 0; check->now != 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const mdm_setting_t *s = find(check, keys[i]);

        if (s != NULL && !s->from_now && s->number <= check->now) {
            check->culprit = s;
            return apr_psprintf(check->p, "%s is over: wanted is a date in the future", keys[i]);
        }
    }
    return NULL;
}

static const char *check_mdm(check_t *check)
{
    static const char account[] = "which only account-driven enrollment looks at";
    static const char user[] = "since one is profile-driven and the other account-driven";
    const char *mode = text_of(find(check, "EnrollmentMode")), *error = NULL;

    if (mode != NULL && strcmp(mode, "BYOD") == 0)
        error = together(check, "AccessRights", "EnrollmentMode",
                         "since a device cancels an enrollment in mode BYOD that names rights");
    if (error == NULL)
        error = together(check, "ManagedAppleID", "EnrollmentMode", user);
    if (error == NULL)
        error = together(check, "ManagedAppleID", "AssignedManagedAppleID", user);
    if (error == NULL)
        error = needs(check, "AssignedManagedAppleID", "EnrollmentMode", account);
    if (error == NULL)
        error = needs(check, "RequiredAppIDForMDM", "EnrollmentMode", account);
    return error;
}

static int is_true(const mdm_setting_t *s)
{
    return s != NULL && s->number != 0;
}

static const char *blame(check_t *check, const mdm_setting_t *s, const char *why)
{
    check->culprit = s;
    return why;
}

static const char *check_acme(check_t *check)
{
    const mdm_setting_t *attest = find(check, "Attest"), *bound = find(check, "HardwareBound");
    const mdm_setting_t *size = find(check, "KeySize"), *type = find(check, "KeyType");
    const char *word = text_of(type);

    if (is_true(attest) && bound != NULL && !is_true(bound))
        return blame(check, attest,
                     "Attest true with HardwareBound false: wanted is HardwareBound true, since "
                     "only a key of the hardware can be attested");
    if (is_true(bound) && word != NULL && strcmp(word, "ECSECPrimeRandom") != 0)
        return blame(check, type,
                     "KeyType with HardwareBound true: wanted is ECSECPrimeRandom, which is all "
                     "that the hardware has");
    if (is_true(bound) && size != NULL && size->number != 256 && size->number != 384)
        return blame(check, size,
                     "KeySize with HardwareBound true: wanted is 256 or 384, which is all that "
                     "the hardware has");
    if (word != NULL && size != NULL && (strcmp(word, "RSA") == 0) != (size->number >= 2048))
        return blame(check, size,
                     strcmp(word, "RSA") == 0
                         ? "KeySize with KeyType RSA: wanted is a number from 2048 to 4096"
                         : "KeySize with KeyType ECSECPrimeRandom: wanted is 256, 384 or 521");
    return NULL;
}

const char *mdm_schema_check_together(apr_pool_t *p, const apr_array_header_t *settings,
                                      apr_int64_t now, const mdm_setting_t **culprit)
{
    check_t check = {p, settings, now, NULL};
    const char *payload, *error = NULL;

    if (settings == NULL || settings->nelts == 0)
        return NULL;
    payload = APR_ARRAY_IDX(settings, 0, const mdm_setting_t *)->payload;
    if (strcmp(payload, "Configuration") == 0)
        error = check_dates(&check);
    else if (strcmp(payload, "com.apple.mdm") == 0)
        error = check_mdm(&check);
    else if (strcmp(payload, "com.apple.security.acme") == 0)
        error = check_acme(&check);
    if (error != NULL)
        *culprit = check.culprit;
    return error;
}
