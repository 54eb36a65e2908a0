/* SPDX-License-Identifier: Apache-2.0
 * A property list whose strings may hold expressions: compiled once, made for each device. All else
 * in it, data, dates, numbers, stays exactly what it is. Depends on mdm_plist, mdm_text.
 */
#ifndef MDM_TREE_H
#define MDM_TREE_H

#include <apr_pools.h>

#include "mdm_plist.h"
#include "mdm_text.h"

typedef struct mdm_tree_t mdm_tree_t;

/* Compile a node, which must outlive the tree: NULL and *tree, in p; or a sentence for the
 * administrator, which begins with the path of the key that it is about, path being what the
 * node's own begins with.
 * Expressions in keys are refused. compiler as in mdm_text_parse(). */
const char *mdm_tree_compile(apr_pool_t *p, mdm_plist_t *node, const char *path,
                             const mdm_text_compiler_t *compiler, mdm_tree_t **tree);

/* Put the values for row into a dictionary, which is made of tree, a dictionary itself; what is
 * there already is replaced. MDM_MSG_TEXT, which begins with the path: an expression cannot be
 * evaluated, or gives what XML cannot carry. evaluator may be NULL if there are no expressions. */
mdm_result_t mdm_tree_make(apr_pool_t *p, const mdm_tree_t *tree,
                           const mdm_text_evaluator_t *evaluator,
                           const struct mdm_enrollment_t *row, mdm_plist_t *dict);

#endif
