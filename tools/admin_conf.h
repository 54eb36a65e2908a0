/* SPDX-License-Identifier: Apache-2.0
 * Which database httpd's configuration names: the MDMEnrollStore lines of its files. Depends on
 * admin_output.
 */
#ifndef ADMIN_CONF_H
#define ADMIN_CONF_H

#include <apr_pools.h>

#include "admin_output.h"

/* The argument of MDMEnrollStore in file, or in the files of the usual places if file is NULL, and
 * in those that they include. Read as httpd does as far as it concerns this directive: comments,
 * continued lines, quotes, Define and ${NAME}; not conditions: what stands in an <IfDefine> counts.
 * ADMIN_DATABASE if there is none, several different ones, or one with a variable that is not
 * defined there; what --store would be is said. *where: "FILE line N". */
admin_result_t admin_conf_store(apr_pool_t *p, const char *file, const char **store,
                                const char **where);

#endif
