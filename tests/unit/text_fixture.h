/* SPDX-License-Identifier: Apache-2.0
 * For unit tests: expressions as httpd would make and evaluate them. Depends on core.
 */
#ifndef TEXT_FIXTURE_H
#define TEXT_FIXTURE_H

#include "mdm_enrollment.h"
#include "mdm_schema.h"
#include "mdm_text.h"

/* %{user}, %{serial}, and %{broken}, which compiles and then fails; nothing else compiles. */
extern const mdm_text_compiler_t text_compiler;
extern const mdm_text_evaluator_t text_evaluator;

/* mdm_schema_setting() of values that "|" parts. */
const char *text_setting(const char *payload, const char *key, const char *values,
                         const mdm_text_compiler_t *compiler, mdm_setting_t **setting);

#endif
