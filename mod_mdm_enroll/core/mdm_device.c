/* SPDX-License-Identifier: Apache-2.0
 * What a device says of itself in phases 2 and 3. Depends on mdm_plist.
 */
#include "mdm_device.h"

#include <stddef.h>
#include <string.h>

#include "mdm_plist.h"

static const struct {
    const char *key;
    size_t member;
} attributes[] = {
    {"UDID", offsetof(mdm_device_t, udid)},
    {"SERIAL", offsetof(mdm_device_t, serial)},
    {"PRODUCT", offsetof(mdm_device_t, product)},
    {"VERSION", offsetof(mdm_device_t, version)},
    {"OS_VERSION", offsetof(mdm_device_t, os_version)},
    {"CHALLENGE", offsetof(mdm_device_t, challenge)},
};
#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static const char **member(mdm_device_t *device, size_t i)
{
    return (const char **)((char *)device + attributes[i].member);
}

static int is_container(void *ctx, const char *key, mdm_plist_t *value)
{
    (void)ctx;
    (void)key;
    mdm_plist_type_t type = mdm_plist_type(value);
    return type == MDM_PLIST_DICT || type == MDM_PLIST_ARRAY || type == MDM_PLIST_OTHER;
}

/* Values reach the log, the policy and the store: no control characters in them. */
static int value_ok(const char *value)
{
    if (!value || strlen(value) > MDM_DEVICE_MAX_VALUE || !mdm_plist_text_ok(value))
        return 0;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return 0;
    return 1;
}

mdm_result_t mdm_device_parse(apr_pool_t *p, const char *content, apr_size_t len,
                              mdm_device_t **device)
{
    mdm_device_t *parsed = apr_pcalloc(p, sizeof(*parsed));
    mdm_plist_t *root = NULL;

    mdm_result_t r = mdm_plist_parse(p, content, len, &root);
    if (r.kind != MDM_OK)
        return r;
    if (mdm_plist_type(root) != MDM_PLIST_DICT || mdm_plist_each(root, is_container, NULL)) {
        return mdm_result_make(p, MDM_MSG_PLIST_STRUCTURE,
                               "the device's attributes are not one flat dictionary");
    }
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const mdm_plist_t *node = mdm_plist_get(root, attributes[i].key);
        const char *value = node ? mdm_plist_text(p, node) : "";
        if (!value_ok(value)) {
            /* not the value: CHALLENGE is a secret */
            return mdm_result_make(p, MDM_MSG_PLIST_VALUE,
                                   "the value of %s is not text of at most %d bytes",
                                   attributes[i].key, MDM_DEVICE_MAX_VALUE);
        }
        *member(parsed, i) = value;
    }
    *device = parsed;
    return mdm_result_ok();
}

static int identifier_ok(const char *value)
{
    size_t len = strlen(value);
    for (const char *c = value; *c; c++)
        if (*c <= ' ' || *c > '~')
            return 0;
    return len > 0 && len <= MDM_DEVICE_MAX_IDENTIFIER;
}

mdm_result_t mdm_device_check(apr_pool_t *p, const mdm_device_t *device)
{
    if (identifier_ok(device->udid) && identifier_ok(device->serial))
        return mdm_result_ok();
    return mdm_result_make(p, MDM_MSG_DEVICE_IDENTITY_MISSING,
                           "UDID \"%s\", SERIAL \"%s\"; wanted 1 to %d printable characters each",
                           mdm_result_quote_text(p, device->udid),
                           mdm_result_quote_text(p, device->serial), MDM_DEVICE_MAX_IDENTIFIER);
}

const mdm_device_t *mdm_device_known(apr_pool_t *p, const char *udid, const char *serial,
                                     const char *product, const char *os_version)
{
    mdm_device_t *device = apr_palloc(p, sizeof(*device));

    *device = (mdm_device_t){.udid = udid,
                             .serial = serial,
                             .product = product,
                             .version = "",
                             .os_version = os_version,
                             .challenge = ""};
    return device;
}
