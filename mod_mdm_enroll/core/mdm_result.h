/* SPDX-License-Identifier: Apache-2.0
 * The outcome of anything that can be refused. Depends on APR only; everything else in core depends
 * on this.
 */
#ifndef MDM_RESULT_H
#define MDM_RESULT_H

#include <apr_pools.h>

/* Whose fault it is. An HTTP endpoint answers it with the status named behind it. */
typedef enum {
    MDM_OK = 0,      /* 200 */
    MDM_MALFORMED,   /* 400: not a message of this protocol, or its signature does not hold */
    MDM_TOO_LARGE,   /* 413: longer than the documented limit */
    MDM_REFUSED,     /* 403 with JSON: understood, proved, and not allowed */
    MDM_UNAVAILABLE, /* 503: store or directory out of reach; nothing was changed, try again */
    MDM_FAULT        /* 500: our fault */
} mdm_kind_t;

/* Every message that the module can log, one enumerator a line of mdm_messages.def: MDM_MSG_<NAME>.
 */
typedef enum {
#define MDM_MESSAGE(number, name, kind, user_text) MDM_MSG_##name = number,
#include "mdm_messages.def"
#undef MDM_MESSAGE
    MDM_MSG_NONE = 0
} mdm_message_t;

/* A value, cheap to return and to copy. The texts live in the pool it was made with, or for ever.
 */
typedef struct mdm_result_t {
    mdm_kind_t kind;
    mdm_message_t message; /* MDM_MSG_NONE when kind is MDM_OK */
    const char *log;  /* for the operator: the value seen and the value wanted; never a secret */
    const char *user; /* for the person at the device: one sentence, no internals */
} mdm_result_t;

/* Success. */
mdm_result_t mdm_result_ok(void);

/* A refusal or failure: kind and text for the user come from mdm_messages.def, the text for the log
 * from fmt (as printf, allocated in p). Foreign values go into it through mdm_result_quote() only.
 */
mdm_result_t mdm_result_make(apr_pool_t *p, mdm_message_t message, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The message id as it is logged, documented and sent: "MDM0123". Allocated in p. */
const char *mdm_result_code(apr_pool_t *p, mdm_message_t message);

/* A value that came from outside, made fit for a log line: printable ASCII as it is, everything
 * else as \xHH, at most 64 bytes of it and then "...". len is in bytes; a NULL value gives
 * "(none)". Allocated in p. */
const char *mdm_result_quote(apr_pool_t *p, const char *value, apr_size_t len);

/* The same for a NUL-terminated text. */
const char *mdm_result_quote_text(apr_pool_t *p, const char *text);

#endif
