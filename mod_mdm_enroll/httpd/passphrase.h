/* SPDX-License-Identifier: Apache-2.0
 * The dialogue for a pass phrase or PIN: at the terminal, or with a program. Depends on core,
 * OpenSSL's user interface and POSIX, on nothing of httpd.
 */
#ifndef MDM_PASSPHRASE_H
#define MDM_PASSPHRASE_H

#include <apr_pools.h>

#include "../core/mdm_asker.h"

/* How often a person may try. */
#define MDM_PASSPHRASE_ATTEMPTS 3

/* How long a program may take, in seconds. */
#define MDM_PASSPHRASE_SECONDS 10

/* Ask a person, without showing what is typed. who says whose key it is, name which one (a file, or
 * a URI). phrase has MDM_PASSPHRASE_BYTES. Waits as long as it takes. Returns NULL, or why there is
 * none, in words as mdm_asker_t wants them; in p. */
const char *mdm_passphrase_terminal(apr_pool_t *p, const char *who, const char *name, int attempt,
                                    char *phrase);

/* Run a program (its path, then its arguments, then NULL; no shell) with name as its last argument,
 * and take the one line that it prints. It has httpd's environment and standard error, and an
 * empty standard input; it is killed, with what it started, after MDM_PASSPHRASE_SECONDS. Returns
 * NULL, or why there is none, in words as mdm_asker_t wants them, which never hold what it printed;
 * in p. */
const char *mdm_passphrase_program(apr_pool_t *p, const char *const *program, const char *name,
                                   char *phrase);

#endif
