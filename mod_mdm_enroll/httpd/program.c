/* SPDX-License-Identifier: Apache-2.0
 * Running a program. posix_spawn() and not apr_proc_create(): the child of a process with threads
 * must run nothing of ours between fork and exec, it must not inherit the signals that httpd's
 * threads block and ignore, and it leads a process group, so that what it started is ended with it.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

/* How long to sleep between two looks at a program that has closed its output: longer each time. */
#define REAP_INTERVAL (2 * 1000)
#define REAP_LONGEST (50 * 1000)

/* One program that runs. */
typedef struct run_t {
    const mdm_program_t *program;
    apr_pool_t *p;
    apr_time_t end;
    pid_t pid;
    int output; /* -1: not taken */
    char *bytes;
    apr_size_t len;
} run_t;

static char **environment(apr_pool_t *p, const mdm_program_t *program)
{
    const char *path = getenv("PATH");
    int count = 0;
    char **env;

    while (program->env[count] != NULL)
        count++;
    env = apr_pcalloc(p, ((apr_size_t)count + 2) * sizeof(*env));
    env[0] = apr_pstrcat(p, "PATH=", path != NULL ? path : "/usr/sbin:/usr/bin:/sbin:/bin", NULL);
    for (int i = 0; i < count; i++)
        env[i + 1] = apr_pstrdup(p, program->env[i]);
    return env;
}

static int set_files(posix_spawn_file_actions_t *files, int output)
{
    int error = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (error != 0)
        return error;
    return output >= 0
               ? posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO)
               : posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
}

/* 0, or an errno. */
static int spawn(run_t *run, int output, char **env)
{
    char *const argv[] = {(char *)run->program->path, NULL};
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
    error = set_files(&files, output);
    if (error == 0)
        error = posix_spawn(&run->pid, run->program->path, &files, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* NULL, or why it does not run. */
static const char *start(run_t *run, char **env)
{
    int ends[2] = {-1, -1}, error = 0;
    char reason[128];

    if (run->program->most > 0 && pipe2(ends, O_CLOEXEC) != 0)
        error = errno;
    if (error == 0)
        error = spawn(run, ends[1], env);
    if (ends[1] >= 0)
        close(ends[1]);
    run->output = ends[0];
    if (error == 0)
        return NULL;
    if (ends[0] >= 0)
        close(ends[0]);
    return apr_psprintf(run->p, "cannot be run: %s", apr_strerror(error, reason, sizeof(reason)));
}

static const char *late(const run_t *run)
{
    return apr_psprintf(run->p, "did not end within %" APR_INT64_T_FMT " ms; killed",
                        (apr_int64_t)apr_time_as_msec(run->program->timeout));
}

/* Everything up to the end of its output. */
static const char *read_output(run_t *run)
{
    apr_size_t most = run->program->most;

    while (run->output >= 0) {
        apr_interval_time_t left = run->end - apr_time_now();
        struct pollfd at = {.fd = run->output, .events = POLLIN};
        int ready = left > 0 ? poll(&at, 1, (int)(left / 1000) + 1) : 0;
        ssize_t got;

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return late(run);
        if (run->len == most)
            return apr_psprintf(run->p, "printed more than %" APR_SIZE_T_FMT " bytes; killed",
                                most - 1);
        got = read(run->output, run->bytes + run->len, most - run->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return "cannot be read from";
        if (got == 0)
            break;
        run->len += (apr_size_t)got;
    }
    return NULL;
}

static const char *judge_status(const run_t *run, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    if (WIFEXITED(status))
        return apr_psprintf(run->p, "ended with status %d", WEXITSTATUS(status));
    return apr_psprintf(run->p, "was ended by signal %d", WTERMSIG(status));
}

/* Wait for its end; why is what is known so far. Where that is a failure, or it does not end, it is
 * killed: no program outlives its deadline, and none is left as a zombie. */
static const char *reap(const run_t *run, const char *why)
{
    const mdm_program_t *program = run->program;
    apr_interval_time_t interval = REAP_INTERVAL;
    int status = 0;
    pid_t done;

    while (why == NULL) {
        done = waitpid(run->pid, &status, WNOHANG);
        if (done == run->pid)
            return judge_status(run, status);
        if (done < 0 && errno != EINTR)
            return "cannot be waited for";
        if (apr_time_now() >= run->end)
            why = late(run);
        else if (program->stop != NULL && program->stop(program->context))
            why = "was killed, since httpd stops";
        else
            apr_sleep(interval);
        interval = interval < REAP_LONGEST ? interval * 2 : interval;
    }
    kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return why;
}

const char *mdm_program_run(apr_pool_t *p, const mdm_program_t *program, const char **output,
                            apr_size_t *len)
{
    run_t run = {.program = program,
                 .p = p,
                 .end = apr_time_now() + program->timeout,
                 .output = -1,
                 .bytes = apr_palloc(p, program->most + 1)};
    const char *why = start(&run, environment(p, program));

    if (why != NULL)
        return why;
    why = reap(&run, read_output(&run));
    if (run.output >= 0)
        close(run.output);
    if (why == NULL && program->most > 0) {
        *output = run.bytes;
        *len = run.len;
    }
    return why;
}
