/* SPDX-License-Identifier: Apache-2.0
 * What the manual says of a message id: its table of messages, compiled in. Depends on
 * admin_advice.inc, which make takes out of docs/mod_mdm_enroll.md.
 */
#include "admin_advice.h"

#include <stddef.h>
#include <string.h>

static const admin_advice_t advice[] = {
#include "admin_advice.inc"
};

const admin_advice_t *admin_advice_find(const char *id)
{
    for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
        if (strcmp(advice[i].id, id) == 0)
            return &advice[i];
    return NULL;
}
