/* SPDX-License-Identifier: Apache-2.0
 * The outcome of anything that can be refused. Depends on APR only.
 */
#include "mdm_result.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <string.h>

#define QUOTE_MAX_BYTES 64

/* A number used twice in mdm_messages.def does not compile here. */
static mdm_kind_t kind_of(mdm_message_t message)
{
    switch (message) {
#define MDM_MESSAGE(number, name, kind, user_text)                                                 \
    case MDM_MSG_##name:                                                                           \
        return kind;
#include "mdm_messages.def"
#undef MDM_MESSAGE
    case MDM_MSG_NONE:
        break;
    }
    return MDM_FAULT;
}

static const char *user_text_of(mdm_message_t message)
{
    switch (message) {
#define MDM_MESSAGE(number, name, kind, user_text)                                                 \
    case MDM_MSG_##name:                                                                           \
        return user_text;
#include "mdm_messages.def"
#undef MDM_MESSAGE
    case MDM_MSG_NONE:
        break;
    }
    return "";
}

mdm_result_t mdm_result_ok(void)
{
    return (mdm_result_t){MDM_OK, MDM_MSG_NONE, "", ""};
}

mdm_result_t mdm_result_make(apr_pool_t *p, mdm_message_t message, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *log = apr_pvsprintf(p, fmt, args);
    va_end(args);
    return (mdm_result_t){kind_of(message), message, log, user_text_of(message)};
}

const char *mdm_result_code(apr_pool_t *p, mdm_message_t message)
{
    return apr_psprintf(p, "MDM%04d", (int)message);
}

const char *mdm_result_quote(apr_pool_t *p, const char *value, apr_size_t len)
{
    static const char hex[] = "0123456789ABCDEF";

    if (!value)
        return "(none)";
    apr_size_t shown = len < QUOTE_MAX_BYTES ? len : QUOTE_MAX_BYTES;
    char *quoted = apr_palloc(p, 4 * shown + sizeof("..."));
    char *out = quoted;
    for (apr_size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c >= 0x20 && c < 0x7f) {
            *out++ = (char)c;
        } else {
            *out++ = '\\';
            *out++ = 'x';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
    }
    apr_cpystrn(out, shown < len ? "..." : "", sizeof("..."));
    return quoted;
}

const char *mdm_result_quote_text(apr_pool_t *p, const char *text)
{
    return mdm_result_quote(p, text, text ? strlen(text) : 0);
}
