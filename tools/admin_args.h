/* SPDX-License-Identifier: Apache-2.0
 * The command line of mdm-enroll-admin: what each subcommand takes, and whether it makes sense.
 * Depends on admin_ca, admin_revoke, admin_store.
 */
#ifndef ADMIN_ARGS_H
#define ADMIN_ARGS_H

#include <apr_pools.h>

#include "admin_ca.h"
#include "admin_output.h"
#include "admin_revoke.h"
#include "admin_store.h"

typedef enum {
    ADMIN_LIST = 1,
    ADMIN_SHOW = 2,
    ADMIN_REVOKE = 4,
    ADMIN_MAKE_CA = 8,
    ADMIN_MAKE_RA = 16
} admin_command_t;

typedef struct admin_args_t {
    admin_command_t command;
    int help; /* of the subcommand; nothing else is to be looked at */
    admin_store_options_t store;
    admin_ca_options_t ca;
    admin_revoke_options_t revoke; /* .what is the filter of list, too; .json that of all */
    int certificates;              /* list */
    const char *key;               /* show */
} admin_args_t;

/* 0 if there is no subcommand of that name. */
int admin_command_parse(const char *name, admin_command_t *command);

/* argv[0] is the subcommand. ADMIN_USAGE with what is wrong; an empty reason where getopt_long()
 * said it. */
admin_result_t admin_args_parse(apr_pool_t *p, int argc, char **argv, admin_args_t *args);

#endif
