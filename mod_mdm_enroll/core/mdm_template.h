/* SPDX-License-Identifier: Apache-2.0
 * An administrator's own enrollment profile: an XML property list with expressions in its strings,
 * read and checked at start. What it says of payloads that the module makes becomes settings; all
 * other payloads are made from it for each device. Depends on mdm_schema, mdm_tree, mdm_x509.
 */
#ifndef MDM_TEMPLATE_H
#define MDM_TEMPLATE_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "mdm_plist.h"
#include "mdm_schema.h"
#include "mdm_text.h"

/* Longest template, in bytes. */
#define MDM_TEMPLATE_MAX_BYTES (1024 * 1024)

typedef struct mdm_template_t mdm_template_t;

/* A key that is the module's own, and the value it has here: it may stay if that is just the
 * module's. */
typedef struct mdm_template_owned_t {
    const char *path;
    const char *payload; /* type */
    const char *key;
    const char *value; /* data in hexadecimal */
} mdm_template_owned_t;

/* A payload that is made from the template alone, or (made 0) made by the module. */
typedef struct mdm_template_payload_t {
    const char *path; /* "PayloadContent[2] (com.apple.wifi.managed)" */
    const char *type;
    int made;
    const char *identifier; /* PayloadIdentifier, or NULL */
    const char *suffix;     /* what it has behind the profile's otherwise */
    const char *uuid;       /* PayloadUUID, or NULL */
} mdm_template_payload_t;

/* Read one: NULL and *template, in p; or a sentence for the administrator: the path of the key, the
 * value seen, what is wanted. compiler as in mdm_text_parse().
 *
 * The top level is a Configuration; PayloadContent an array of payloads, each with PayloadType.
 * Keys of payload types that mdm_schema knows are checked against Apple's tables; of others the
 * common ones. com.apple.mdm and each of com.apple.security.scep, .acme and .pkcs12 (without
 * PayloadContent) are the module's own payloads, and there at most once. Identifiers and UUIDs are
 * constants, and none comes twice. */
const char *mdm_template_read(apr_pool_t *p, const char *xml, apr_size_t len,
                              const mdm_text_compiler_t *compiler, mdm_template_t **template);

/* What it sets in a payload that the module makes ("Configuration", "com.apple.mdm", …): array of
 * mdm_setting_t *, or NULL. */
const apr_array_header_t *mdm_template_settings(const mdm_template_t *template, const char *type);

/* What of it is to be compared with the module's own: arrays of mdm_template_owned_t and of
 * mdm_template_payload_t. */
const apr_array_header_t *mdm_template_owned(const mdm_template_t *template);
const apr_array_header_t *mdm_template_payloads(const mdm_template_t *template);

/* The path of a key of a payload that the module makes, for messages: "PayloadContent[0]
 * (com.apple.mdm) AccessRights". */
const char *mdm_template_path(apr_pool_t *p, const mdm_template_t *template, const char *type,
                              const char *key);

/* The PayloadUUID or PayloadIdentifier that it gives a payload that the module makes, or (UUID) the
 * profile; other if it gives none, or there is no template (NULL). */
const char *mdm_template_uuid(const mdm_template_t *template, const char *type, const char *other);
const char *mdm_template_identifier(const mdm_template_t *template, const char *type,
                                    const char *other);

/* Make the payloads that are not the module's for a device, and append them. Those of types that
 * its system does not know are left out. identifier is the profile's. PayloadVersion, and where it
 * gives none PayloadIdentifier and PayloadUUID, are filled in, always the same, so that a device
 * which gets the profile again changes payloads in place. template may be NULL: there are none.
 * MDM_MSG_TEXT, or MDM_MSG_CRYPTO. */
mdm_result_t mdm_template_append(apr_pool_t *p, const mdm_template_t *template,
                                 const char *identifier, const mdm_schema_target_t *target,
                                 mdm_plist_t *payloads);

#endif
