/* SPDX-License-Identifier: Apache-2.0
 * The dialogue for a pass phrase or PIN: at the terminal, or with a program. Depends on core,
 * OpenSSL's user interface and POSIX, on nothing of httpd.
 */
#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_time.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ui.h>

#include "../core/mdm_token.h"

extern char **environ;

/* --- at the terminal --- */

/* NULL if somebody can be asked there. OpenSSL would take standard input instead of a terminal that
 * is missing; and a process in the background that reads from its terminal is stopped, for good. */
static const char *check_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    int foreground = fd >= 0 && tcgetpgrp(fd) == getpgrp();

    if (fd < 0)
        return "there is no terminal to ask at; wanted: httpd started at a terminal, or "
               "MDMEnrollPassPhraseDialog exec:/path of a program that prints it";
    close(fd);
    if (!foreground)
        return "httpd was started in the background of its terminal and cannot ask there; wanted: "
               "a start in the foreground, or MDMEnrollPassPhraseDialog exec:/path of a program "
               "that prints it";
    return NULL;
}

const char *mdm_passphrase_terminal(apr_pool_t *p, const char *who, const char *name, int attempt,
                                    char *phrase)
{
    const char *why = check_terminal();
    int pin = mdm_token_is_uri(name);
    const char *intro =
        attempt > 1
            ? "That is not its pass phrase.\n"
            : apr_psprintf(p, "\nmod_mdm_enroll needs %s.\n%s\n",
                           pin ? "the PIN of a token" : "a private key that is encrypted", who);
    const char *question = apr_psprintf(p, "%s of %s: ", pin ? "PIN" : "Pass phrase", name);
    UI *ui;
    int ok;

    if (why)
        return why;
    ui = UI_new_method(UI_OpenSSL());
    ok = ui && UI_add_info_string(ui, intro) >= 0 &&
         UI_add_input_string(ui, question, 0, phrase, 0, MDM_PASSPHRASE_BYTES - 1) >= 0 &&
         UI_process(ui) == 0;
    UI_free(ui);
    ERR_clear_error();
    if (!ok)
        return "the question for it was broken off, or answered by too long a line";
    return *phrase ? NULL : "nothing was typed";
}

/* --- by a program --- */

/* In a process group of its own, so that what it starts ends with it. Returns 0 or an errno. */
static int start(const char *const *argv, int output, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failed;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&files) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }
    /* httpd ignores and holds signals that a program expects to be as usual. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn(pid, argv[0], &files, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

static int milliseconds_left(apr_time_t deadline)
{
    apr_time_t left = deadline - apr_time_now();

    return left > 0 ? (int)apr_time_as_msec(left) + 1 : 0;
}

/* What it prints until it closes its output: at most size bytes are kept, the rest is only counted
 * as too much. Returns their number, -1 at the deadline or -2 where it prints more. */
static int collect(int fd, apr_time_t deadline, char *output, int size)
{
    int len = 0;

    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (milliseconds_left(deadline) == 0)
            return -1;
        if (poll(&wait, 1, milliseconds_left(deadline)) <= 0)
            continue;
        got = read(fd, output + len, (size_t)(size - len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return len;
        len += (int)got;
        if (len == size)
            return -2;
    }
}

/* 1 once it has ended, 0 at the deadline. It stays a zombie, so that its process group is nobody
 * else's yet. By looking again and again: its SIGCHLD is httpd's. */
static int ended(pid_t pid, apr_time_t deadline)
{
    siginfo_t info = {.si_pid = 0};

    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
        if (milliseconds_left(deadline) == 0)
            return 0;
        apr_sleep(apr_time_from_msec(5));
    }
    return 1;
}

/* NULL, or what is wrong with what was printed, which becomes the pass phrase. */
static const char *take_line(char *output, int len)
{
    int end = 0;

    while (end < len && output[end] != '\n' && output[end] != '\0')
        end++;
    if (end < len - 1 || (end < len && output[end] == '\0'))
        return "printed more than one line; wanted: the pass phrase alone";
    if (end > 0 && output[end - 1] == '\r')
        end--;
    output[end] = '\0';
    return end > 0 ? NULL : "printed nothing; wanted: the pass phrase on its standard output";
}

static const char *talk(apr_pool_t *p, const char *const *argv, char *phrase)
{
    apr_time_t deadline = apr_time_now() + apr_time_from_sec(MDM_PASSPHRASE_SECONDS);
    char reason[128];
    int ends[2], failed, len, status = 0, over;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return apr_strerror(APR_FROM_OS_ERROR(errno), apr_palloc(p, 128), 128);
    failed = start(argv, ends[1], &pid);
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        return apr_psprintf(p, "cannot be run: %s",
                            apr_strerror(APR_FROM_OS_ERROR(failed), reason, sizeof(reason)));
    }
    len = collect(ends[0], deadline, phrase, MDM_PASSPHRASE_BYTES);
    close(ends[0]);
    over = len >= 0 && ended(pid, deadline);
    kill(-pid, SIGKILL); /* and what it has left behind */
    waitpid(pid, &status, 0);
    if (len == -2)
        return apr_psprintf(p, "printed more than the %d bytes that a pass phrase may have",
                            MDM_PASSPHRASE_BYTES - 1);
    if (!over)
        return apr_psprintf(p, "had not ended after %d s", MDM_PASSPHRASE_SECONDS);
    if (WIFSIGNALED(status))
        return apr_psprintf(p, "was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return apr_psprintf(p, "ended with status %d", WEXITSTATUS(status));
    return take_line(phrase, len);
}

const char *mdm_passphrase_program(apr_pool_t *p, const char *const *program, const char *name,
                                   char *phrase)
{
    const char **argv, *why;
    int count = 0;

    while (program[count])
        count++;
    argv = apr_pcalloc(p, sizeof(*argv) * (apr_size_t)(count + 2));
    memcpy(argv, program, sizeof(*argv) * (apr_size_t)count);
    argv[count] = name;
    why = talk(p, argv, phrase);
    if (!why)
        return NULL;
    OPENSSL_cleanse(phrase, MDM_PASSPHRASE_BYTES);
    return apr_psprintf(p, "the program %s of MDMEnrollPassPhraseDialog %s", program[0], why);
}
