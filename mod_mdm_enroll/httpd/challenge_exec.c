/* SPDX-License-Identifier: Apache-2.0
 * Challenges from a program. posix_spawn() and not apr_proc_create(): the child of a process with
 * threads must run nothing of ours between fork and exec, it must not inherit the signals that
 * httpd's threads block and ignore, and it leads a process group, so that what it started is ended
 * with it.
 */
#include "challenge_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

/* How long to sleep between two looks at a program that has closed its output. */
#define REAP_INTERVAL (2 * 1000)

typedef struct exec_t {
    mdm_challenge_source_t source;
    const char *path;
    apr_interval_time_t timeout;
} exec_t;

/* One program that runs. */
typedef struct run_t {
    const exec_t *exec;
    apr_pool_t *p;
    apr_time_t end;
    pid_t pid;
    int output;
    char bytes[MDM_CHALLENGE_MAX_BYTES];
    apr_size_t len;
} run_t;

static mdm_result_t failed(const run_t *run, const char *why)
{
    return mdm_result_make(run->p, MDM_MSG_CHALLENGE_SOURCE, "%s %s", run->exec->path, why);
}

static char *variable(apr_pool_t *p, const char *name, const char *value)
{
    return apr_pstrcat(p, name, value, NULL);
}

static char **environment(apr_pool_t *p, const mdm_enrollment_t *row, mdm_purpose_t purpose)
{
    const char *path = getenv("PATH");
    char **env = apr_pcalloc(p, 8 * sizeof(*env));

    env[0] = variable(p, "PATH=", path != NULL ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    env[1] = variable(p, "MDM_ENROLLMENT=", row->id);
    env[2] = variable(p, "MDM_USER=", row->user);
    env[3] = variable(p, "MDM_UDID=", row->udid);
    env[4] = variable(p, "MDM_SERIAL=", row->serial);
    env[5] = variable(p, "MDM_PRODUCT=", row->product);
    env[6] = variable(p, "MDM_PURPOSE=", mdm_purpose_name(purpose));
    return env;
}

/* 0, or an errno. */
static int spawn(run_t *run, int output, char **env)
{
    char *const argv[] = {(char *)run->exec->path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error = posix_spawn_file_actions_init(&files);

    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&files);
        return error;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn(&run->pid, run->exec->path, &files, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static mdm_result_t start(run_t *run, char **env)
{
    char reason[128];
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return failed(run, apr_psprintf(run->p, "cannot be run: %s",
                                        apr_strerror(errno, reason, sizeof(reason))));
    error = spawn(run, ends[1], env);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        return failed(run, apr_psprintf(run->p, "cannot be run: %s",
                                        apr_strerror(error, reason, sizeof(reason))));
    }
    run->output = ends[0];
    return mdm_result_ok();
}

static mdm_result_t late(const run_t *run)
{
    return failed(run, apr_psprintf(run->p, "did not end within %" APR_INT64_T_FMT " ms; killed",
                                    (apr_int64_t)apr_time_as_msec(run->exec->timeout)));
}

/* Everything up to the end of its output. */
static mdm_result_t read_output(run_t *run)
{
    for (;;) {
        apr_interval_time_t left = run->end - apr_time_now();
        struct pollfd at = {.fd = run->output, .events = POLLIN};
        int ready = left > 0 ? poll(&at, 1, (int)(left / 1000) + 1) : 0;
        ssize_t got;

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return late(run);
        if (run->len == sizeof(run->bytes))
            return failed(run, apr_psprintf(run->p, "printed more than %d bytes; killed",
                                            MDM_CHALLENGE_MAX_BYTES - 1));
        got = read(run->output, run->bytes + run->len, sizeof(run->bytes) - run->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(run, "cannot be read from");
        if (got == 0)
            return mdm_result_ok();
        run->len += (apr_size_t)got;
    }
}

static mdm_result_t judge_status(const run_t *run, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return mdm_result_ok();
    if (WIFEXITED(status))
        return failed(run, apr_psprintf(run->p, "ended with status %d", WEXITSTATUS(status)));
    return failed(run, apr_psprintf(run->p, "was ended by signal %d", WTERMSIG(status)));
}

/* Wait for its end; r is what is known so far. Where that is a failure, or it does not end, it is
 * killed: no program outlives its deadline, and none is left as a zombie. */
static mdm_result_t reap(const run_t *run, mdm_result_t r)
{
    int status = 0;
    pid_t done;

    while (r.kind == MDM_OK) {
        done = waitpid(run->pid, &status, WNOHANG);
        if (done == run->pid)
            return judge_status(run, status);
        if (done < 0 && errno != EINTR)
            return failed(run, "cannot be waited for");
        if (apr_time_now() >= run->end)
            r = late(run);
        else
            apr_sleep(REAP_INTERVAL);
    }
    kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return r;
}

static mdm_result_t run_program(run_t *run, char **env, const char **challenge)
{
    mdm_result_t r = start(run, env);

    if (r.kind != MDM_OK)
        return r;
    r = reap(run, read_output(run));
    close(run->output);
    if (r.kind != MDM_OK)
        return r;
    *challenge = mdm_challenge_first_line(run->p, run->bytes, run->len);
    if (*challenge == NULL)
        r = failed(run, apr_psprintf(run->p,
                                     "printed %s; wanted is the challenge as the first line, 1 to "
                                     "%d bytes of text",
                                     run->len == 0 ? "nothing" : "no challenge",
                                     MDM_IDENTITY_MAX_CHALLENGE));
    return r;
}

static mdm_result_t ask(void *context, apr_pool_t *p, const mdm_enrollment_t *row,
                        mdm_purpose_t purpose, const char **challenge)
{
    const exec_t *exec = context;
    mdm_result_t r = mdm_challenge_begin(p);
    run_t *run;

    if (r.kind != MDM_OK)
        return r;
    run = apr_pcalloc(p, sizeof(*run));
    run->exec = exec;
    run->p = p;
    run->end = apr_time_now() + exec->timeout;
    r = run_program(run, environment(p, row, purpose), challenge);
    mdm_challenge_end();
    return r;
}

const mdm_challenge_source_t *mdm_challenge_exec(apr_pool_t *p, const char *path,
                                                 apr_interval_time_t timeout)
{
    exec_t *exec = apr_palloc(p, sizeof(*exec));

    *exec = (exec_t){.source = {.context = exec, .ask = ask}, .path = path, .timeout = timeout};
    return &exec->source;
}
