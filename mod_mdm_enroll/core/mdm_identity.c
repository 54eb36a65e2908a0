/* SPDX-License-Identifier: Apache-2.0
 * Where a device gets its two certificates. Depends on mdm_pin, mdm_plist (what a text may hold).
 */
#include "mdm_identity.h"

#include <string.h>

#include "mdm_pin.h"
#include "mdm_plist.h"

int mdm_identity_challenge_ok(const char *text)
{
    apr_size_t len = strlen(text);

    if (len == 0 || len > MDM_IDENTITY_MAX_CHALLENGE || !mdm_plist_text_ok(text))
        return 0;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return 0;
    return 1;
}

int mdm_identity_foreign(const mdm_identity_t *identity)
{
    return identity != NULL && identity->kind != MDM_IDENTITY_BUILTIN;
}

/* A source is not trusted to keep to what it promises: an empty challenge would be a profile that
 * asks the user for one. */
static mdm_result_t ask(apr_pool_t *p, const mdm_identity_t *identity, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge)
{
    const mdm_challenge_source_t *source = identity->challenge;
    const char *answer = NULL;
    mdm_result_t r;

    *challenge = NULL;
    if (source == NULL)
        return mdm_result_ok();
    r = source->ask(source->context, p, row, purpose, &answer);
    if (r.kind != MDM_OK)
        return r;
    if (answer == NULL || !mdm_identity_challenge_ok(answer))
        return mdm_result_make(
            p, MDM_MSG_CHALLENGE_SOURCE,
            "the answer for enrollment %s is no challenge: wanted is one line of "
            "1 to %d bytes of text",
            row->id, MDM_IDENTITY_MAX_CHALLENGE);
    *challenge = answer;
    return r;
}

mdm_result_t mdm_identity_payload(apr_pool_t *p, const mdm_identity_t *identity,
                                  const mdm_enrollment_t *row, mdm_purpose_t purpose,
                                  const char *builtin_url, const char *secret,
                                  mdm_profile_scep_t *payload)
{
    mdm_profile_scep_t made = {.url = builtin_url, .challenge = secret};
    mdm_result_t r = mdm_result_ok();

    if (mdm_identity_foreign(identity)) {
        made = (mdm_profile_scep_t){.url = identity->url,
                                    .name = identity->name,
                                    .fingerprint = identity->fingerprint,
                                    .fingerprint_len = identity->fingerprint_len};
        if (purpose == MDM_PURPOSE_IDENTITY) {
            made.unit = mdm_pin_unit(p, secret);
            made.unit_needed = 1;
        } else {
            made.unit = "MDM";
            made.serial = row->serial;
        }
        r = ask(p, identity, row, purpose, &made.challenge);
    }
    if (r.kind == MDM_OK)
        *payload = made;
    return r;
}
