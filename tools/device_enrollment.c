/* SPDX-License-Identifier: Apache-2.0
 * What a device keeps of its enrollment. Depends on device_identity, device_report, core's mdm_key
 * and mdm_plist.
 */
#include "device_enrollment.h"

#include <apr_strings.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "device_identity.h"

#define NAME "enrollment"

static json_t *attributes_json(const mdm_plist_t *attributes)
{
    json_t *list = json_array();

    for (apr_size_t i = 0; attributes != NULL && i < mdm_plist_size(attributes); i++) {
        const char *name = mdm_plist_string(mdm_plist_item(attributes, i));
        json_array_append_new(list, json_string(name != NULL ? name : ""));
    }
    return list;
}

device_result_t device_enrollment_write(apr_pool_t *p, const char *dir,
                                        const device_enrollment_t *enrollment)
{
    const device_facts_t *facts = &enrollment->facts;
    json_t *json = json_pack(
        "{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "url", enrollment->url,
        "attributes", attributes_json(enrollment->attributes), "identifier", enrollment->identifier,
        "user", enrollment->user, "shape", enrollment->shape == DEVICE_SHAPE_MAC ? "mac" : "iphone",
        "udid", facts->udid, "serial", facts->serial, "product", facts->product, "version",
        facts->version, "os_version", facts->os_version);
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;

    json_decref(json);
    if (text == NULL)
        return device_fail(p, DEVICE_LOCAL, "what the device said of itself is not text");
    device_result_t r = device_identity_save(p, dir, NAME, &enrollment->identity);
    if (r.exit == DEVICE_OK)
        r = device_file_write(p, apr_pstrcat(p, dir, "/" NAME ".json", NULL), 0, text,
                              strlen(text));
    free(text);
    return r;
}

static const char *member(apr_pool_t *p, const json_t *json, const char *name)
{
    return apr_pstrdup(p, json_string_value(json_object_get(json, name)));
}

static void read_members(apr_pool_t *p, const json_t *json, device_enrollment_t *enrollment)
{
    const json_t *names = json_object_get(json, "attributes");
    const char *shape = json_string_value(json_object_get(json, "shape"));
    mdm_plist_t *attributes = mdm_plist_array(p);

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name != NULL && mdm_plist_text_ok(name))
            mdm_plist_append_string(attributes, name);
    }
    enrollment->attributes = attributes;
    enrollment->url = member(p, json, "url");
    enrollment->identifier = member(p, json, "identifier");
    enrollment->user = member(p, json, "user");
    enrollment->shape =
        shape != NULL && strcmp(shape, "mac") == 0 ? DEVICE_SHAPE_MAC : DEVICE_SHAPE_IPHONE;
    enrollment->facts = (device_facts_t){
        .udid = member(p, json, "udid"),
        .serial = member(p, json, "serial"),
        .product = member(p, json, "product"),
        .version = member(p, json, "version"),
        .os_version = member(p, json, "os_version"),
    };
}

device_result_t device_enrollment_read(apr_pool_t *p, const char *dir,
                                       device_enrollment_t *enrollment)
{
    const char *path = apr_pstrcat(p, dir, "/" NAME ".json", NULL);
    mdm_signer_t *identity = NULL;
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);

    if (json == NULL)
        return device_fail(p, DEVICE_LOCAL,
                           "%s: %s; mdm-device enroll puts it there, with " NAME ".pem and .key",
                           path, error.text);
    memset(enrollment, 0, sizeof(*enrollment));
    read_members(p, json, enrollment);
    json_decref(json);
    if (enrollment->url == NULL || enrollment->identifier == NULL || enrollment->user == NULL ||
        enrollment->facts.udid == NULL || enrollment->facts.serial == NULL)
        return device_fail(p, DEVICE_LOCAL,
                           "%s lacks one of the texts \"url\", \"identifier\", \"user\", \"udid\" "
                           "and \"serial\"",
                           path);
    mdm_result_t read =
        mdm_signer_read(p, apr_pstrcat(p, dir, "/" NAME ".pem", NULL),
                        apr_pstrcat(p, dir, "/" NAME ".key", NULL), NULL, NULL, &identity);
    if (read.kind != MDM_OK)
        return device_fail_core(p, DEVICE_LOCAL, "the identity of the enrollment", read);
    enrollment->identity = *identity;
    return device_ok();
}
