/* SPDX-License-Identifier: Apache-2.0
 * What the manual says of a message id. Depends on nothing.
 */
#ifndef ADMIN_ADVICE_H
#define ADMIN_ADVICE_H

typedef struct admin_advice_t {
    const char *id;      /* "MDM0410" */
    const char *name;    /* as in mdm_messages.def */
    const char *meaning; /* plain text */
    const char *remedy;  /* "" if there is none */
} admin_advice_t;

/* NULL for an id that this version does not know. */
const admin_advice_t *admin_advice_find(const char *id);

#endif
