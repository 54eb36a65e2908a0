/* SPDX-License-Identifier: Apache-2.0
 * mdm-device, a simulated Apple device for administrators to test their own server: which command
 * it is, and the exit status. Depends on command.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const char usage_text[] =
    "Usage: mdm-device enroll URL --user NAME --identity DIR [option ...]\n"
    "       mdm-device update|renew|status|next-ca DIR [option ...]\n"
    "       mdm-device post URL FILE [option ...]\n"
    "       mdm-device make-ca DIR\n"
    "       mdm-device COMMAND --help | --help | --version\n"
    "\n"
    "A simulated Apple device, for administrators to test their own enrollment server.\n"
    "\n"
    "  enroll    sign in and walk through the enrollment as a device does\n"
    "  update    come back for the enrollment profile as it is now\n"
    "  renew     renew the identity that enroll stored, by SCEP\n"
    "  status    say whether that identity is live, revoked or expired\n"
    "  next-ca   ask which CA will follow, and trust it\n"
    "  post      send a message that enroll --save kept once more\n"
    "  make-ca   make a test device CA and a device identity\n";

typedef struct command_t {
    const char *name;
    device_result_t (*run)(apr_pool_t *p, int argc, char **argv);
} command_t;

static int run(apr_pool_t *p, int argc, char **argv)
{
    static const command_t commands[] = {{"enroll", command_enroll}, {"renew", command_renew},
                                         {"status", command_status}, {"next-ca", command_next_ca},
                                         {"post", command_post},     {"make-ca", command_make_ca},
                                         {"update", command_update}};
    const command_t *command = NULL;

    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            command = &commands[i];
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage_text, stdout);
        return DEVICE_OK;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("mdm-device " MDM_VERSION);
        return DEVICE_OK;
    }
    if (command == NULL) {
        const char *wrong = argc <= 1 ? "a command is missing"
                            : argv[1][0] == '-'
                                ? apr_psprintf(p, "unrecognized option '%s'", argv[1])
                                : apr_psprintf(p, "no such command: '%s'", argv[1]);
        device_report_print(stderr, apr_psprintf(p, "mdm-device: %s\n", wrong));
        fputs("Try \"mdm-device --help\".\n", stderr);
        return DEVICE_USAGE;
    }
    /* getopt_long() begins its messages with argv[0] */
    argv[1] = apr_pstrcat(p, "mdm-device ", command->name, NULL);
    device_result_t r = command->run(p, argc - 1, argv + 1);
    fflush(stdout);
    if (r.exit != DEVICE_OK && r.reason[0] != '\0') {
        device_report_print(stderr,
                            apr_psprintf(p, "mdm-device %s: %s\n", command->name, r.reason));
    }
    if (r.exit != DEVICE_OK && r.hint != NULL)
        device_report_print(stderr, apr_psprintf(p, "hint: %s\n", r.hint));
    if (r.exit == DEVICE_USAGE)
        fprintf(stderr, "Try \"mdm-device %s --help\".\n", command->name);
    return (int)r.exit;
}

int main(int argc, char **argv)
{
    apr_pool_t *pool;

    if (apr_app_initialize(&argc, (const char *const **)&argv, NULL) != APR_SUCCESS)
        return DEVICE_LOCAL;
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    int status = run(pool, argc, argv);
    apr_pool_destroy(pool);
    return status;
}
