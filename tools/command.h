/* SPDX-License-Identifier: Apache-2.0
 * The commands of mdm-device, one file each, and what they have in common. Depends on
 * device_report.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <apr_pools.h>

#include "device_report.h"

/* Each parses its own command line; argv[0] is what getopt_long() begins its messages with. A
 * reason is printed by the caller; "" was printed already. */
device_result_t command_enroll(apr_pool_t *p, int argc, char **argv);
device_result_t command_make_ca(apr_pool_t *p, int argc, char **argv);
device_result_t command_next_ca(apr_pool_t *p, int argc, char **argv);
device_result_t command_post(apr_pool_t *p, int argc, char **argv);
device_result_t command_renew(apr_pool_t *p, int argc, char **argv);
device_result_t command_status(apr_pool_t *p, int argc, char **argv);
device_result_t command_update(apr_pool_t *p, int argc, char **argv);

/* DEVICE_USAGE with this text. */
device_result_t command_usage(apr_pool_t *p, const char *text);

/* NULL, or what is wrong with a URL of the command line, which is shown as it goes. */
const char *command_url_problem(const char *url, int plain_http);

#endif
