/* SPDX-License-Identifier: Apache-2.0
 * mdm-device make-ca: a test device CA and a device. Depends on command, device_identity.
 */
#include <getopt.h>

#include "command.h"
#include "device_identity.h"

static const char make_ca_text[] =
    "Usage: mdm-device make-ca DIR\n"
    "\n"
    "Makes DIR with a test device CA and a device identity such as Apple's: RSA-1024, SHA-1,\n"
    "expired. DIR is for --identity, DIR/device-ca.pem for the directive MDMEnrollDeviceCA.\n"
    "Nothing is overwritten.\n"
    "\n"
    "Exit status: 0 made, 1 usage, 5 local files.\n";

enum { OPT_HELP = 256 };

static const struct option make_ca_table[] = {{"help", no_argument, NULL, OPT_HELP},
                                              {NULL, 0, NULL, 0}};

device_result_t command_make_ca(apr_pool_t *p, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", make_ca_table, NULL)) != -1) {
        if (option != OPT_HELP)
            return command_usage(p, "");
        fputs(make_ca_text, stdout);
        return device_ok();
    }
    if (argc - optind != 1)
        return command_usage(p, "DIR is missing, or there is more than one");
    device_result_t r = device_identity_make_ca(p, argv[optind]);
    if (r.exit == DEVICE_OK) {
        printf("%s/device-ca.pem  for MDMEnrollDeviceCA\n%s  for mdm-device enroll --identity\n",
               argv[optind], argv[optind]);
    }
    return r;
}
