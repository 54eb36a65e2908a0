/* SPDX-License-Identifier: Apache-2.0
 * A program of the site, run by its path: without a shell, within a deadline, and waited for.
 * Depends on APR only, so that unit tests can link it.
 */
#ifndef MDM_PROGRAM_H
#define MDM_PROGRAM_H

#include <apr_pools.h>
#include <apr_time.h>

/* It is run without arguments, as the user that the process runs as, with env and PATH as its
 * environment, no standard input, and the process's standard error. */
typedef struct mdm_program_t {
    const char *path;
    apr_interval_time_t timeout;
    const char *const *env; /* "NAME=value", up to a NULL */
    apr_size_t most; /* the longest output that is taken, in bytes; 0: it goes to /dev/null */
    /* Asked all the time where no output is taken; anything but 0 ends it. Or NULL. */
    int (*stop)(void *context);
    void *context;
} mdm_program_t;

/* NULL if it ended with status 0 and closed its output, which is then in p, within timeout; or why
 * not, for a log line, to be put behind its path. What does not end in time, prints too much or is
 * stopped is killed, with the process group that it leads. Every program is waited for. output and
 * len may be NULL where most is 0. */
const char *mdm_program_run(apr_pool_t *p, const mdm_program_t *program, const char **output,
                            apr_size_t *len);

#endif
