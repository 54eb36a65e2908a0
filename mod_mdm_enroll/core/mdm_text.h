/* SPDX-License-Identifier: Apache-2.0
 * A text of a profile that may hold expressions: "%{…}" between what stands there as it is. They
 * are compiled when the configuration is read, and evaluated for each device. What an expression
 * is, core does not know. Depends on mdm_result.
 */
#ifndef MDM_TEXT_H
#define MDM_TEXT_H

#include <apr_pools.h>

#include "mdm_result.h"

struct mdm_enrollment_t;

/* What becomes of a value when it is put between the constant parts. XML needs none: mdm_plist
 * escapes whatever it writes. */
typedef enum {
    MDM_TEXT_PLAIN, /* as it is */
    MDM_TEXT_URL    /* percent-encoded, but for unreserved characters (RFC 3986 section 2.3) */
} mdm_text_escape_t;

typedef struct mdm_text_t mdm_text_t;

/* Makes an expression of source, which is "%{…}" with its braces. NULL and *expression, which lives
 * as long as p; or what is wrong with it, for the administrator. */
typedef struct mdm_text_compiler_t {
    void *context;
    const char *(*compile)(void *context, apr_pool_t *p, const char *source,
                           const void **expression);
} mdm_text_compiler_t;

/* Evaluates one for the user and device of row. An unknown value is "". *value is in p. Otherwise
 * MDM_MSG_TEXT. */
typedef struct mdm_text_evaluator_t {
    void *context;
    mdm_result_t (*evaluate)(void *context, apr_pool_t *p, const void *expression,
                             const struct mdm_enrollment_t *row, const char **value);
} mdm_text_evaluator_t;

/* Whether a condition, an expression that is true or false, holds for the user and device of row.
 * Otherwise MDM_MSG_TEXT. */
typedef struct mdm_condition_t {
    void *context;
    mdm_result_t (*holds)(void *context, apr_pool_t *p, const void *condition,
                          const struct mdm_enrollment_t *row, int *holds);
} mdm_condition_t;

/* Longest value of a text, in bytes. */
#define MDM_TEXT_MAX_BYTES 8192

/* Compile source: NULL and *text, which lives as long as p; or what is wrong. Braces within an
 * expression come in pairs; "%%{" stands for "%{". compiler may be NULL: then expressions are
 * refused. */
const char *mdm_text_parse(apr_pool_t *p, const char *source, const mdm_text_compiler_t *compiler,
                           mdm_text_escape_t escape, const mdm_text_t **text);

/* A text without expressions, whatever is in it; source is copied. */
const mdm_text_t *mdm_text_constant(apr_pool_t *p, const char *source);

/* As it was written. */
const char *mdm_text_source(const mdm_text_t *text);

/* The value of a text without expressions; NULL if it has any. */
const char *mdm_text_fixed(const mdm_text_t *text);

/* The value for row, in p, at most MDM_TEXT_MAX_BYTES long, of which mdm_plist_text_ok() may still
 * not hold. evaluator may be NULL if the text is fixed. MDM_MSG_TEXT, which names the source. */
mdm_result_t mdm_text_value(apr_pool_t *p, const mdm_text_t *text,
                            const mdm_text_evaluator_t *evaluator,
                            const struct mdm_enrollment_t *row, const char **value);

#endif
