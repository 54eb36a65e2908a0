/* SPDX-License-Identifier: Apache-2.0
 * What the site is told. Depends on mdm_enrollment and mdm_x509, and on jansson.
 */
#include "mdm_notice.h"

#include <stdlib.h>
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "mdm_x509.h"

const char *mdm_event_name(mdm_event_t event)
{
    return event == MDM_EVENT_UPDATED ? "updated" : "enrolled";
}

/* What is no UTF-8, which JSON cannot say, as a log line would show it: told in another way rather
 * than not at all. */
static json_t *text(apr_pool_t *p, const char *value)
{
    json_t *string = json_string(value);

    return string != NULL ? string : json_string(mdm_result_quote_text(p, value));
}

/* NULL if there is no memory. */
static const char *make_body(apr_pool_t *p, const mdm_notification_t *notice,
                             const mdm_enrollment_t *row)
{
    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o}", "id", notice->id,
                               "event", notice->event, "time", (json_int_t)notice->created_at,
                               "enrollment", row->id, "user", text(p, row->user), "udid",
                               text(p, row->udid), "serial", text(p, row->serial), "product",
                               text(p, row->product), "os_version", text(p, row->os_version));
    char *dumped = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    const char *body = dumped != NULL ? apr_pstrdup(p, dumped) : NULL;

    free(dumped);
    json_decref(object);
    return body;
}

mdm_result_t mdm_notice_store(apr_pool_t *p, const mdm_world_t *world, const mdm_enrollment_t *row,
                              mdm_event_t event, const char *occasion)
{
    const char *what = apr_pstrcat(p, mdm_event_name(event), " ", row->id, " ", occasion, NULL);
    const char *hash = mdm_sha256_hex(p, what, strlen(what));
    mdm_notification_t notice = {.site = row->site,
                                 .event = mdm_event_name(event),
                                 .enrollment = row->id,
                                 .created_at = world->now(world->context)};

    if (!world->notify)
        return mdm_result_ok();
    if (hash[0] == '\0')
        return mdm_sha256_failed(p);
    notice.id = apr_pstrmemdup(p, hash, 2 * MDM_ID_BYTES);
    notice.due_at = notice.created_at;
    notice.body = make_body(p, &notice, row);
    if (notice.body == NULL)
        return mdm_result_make(p, MDM_MSG_CRYPTO, "no memory for what the site is told");
    return world->store->notification_insert(world->store->context, p, &notice);
}

const char *mdm_notice_sign(apr_pool_t *p, const char *key, apr_size_t len, apr_int64_t now,
                            const char *body)
{
    const char *what = apr_psprintf(p, "%" APR_INT64_T_FMT ".%s", now, body);
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t mac_len = 0;

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, len, (const unsigned char *)what,
                  strlen(what), mac, sizeof(mac), &mac_len) == NULL) {
        ERR_clear_error();
        return NULL;
    }
    return apr_psprintf(p, "t=%" APR_INT64_T_FMT ",v1=%s", now,
                        apr_pescape_hex(p, mac, mac_len, 0));
}
