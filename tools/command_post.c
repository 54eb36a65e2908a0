/* SPDX-License-Identifier: Apache-2.0
 * mdm-device post: send a message once more. Depends on command, device_http, device_identity.
 */
#include <apr_strings.h>
#include <getopt.h>

#include "command.h"
#include "device_http.h"
#include "device_identity.h"

#define MAX_MESSAGE (1024 * 1024)

static const char post_text[] =
    "Usage: mdm-device post URL FILE [option ...]\n"
    "\n"
    "Posts FILE to URL and prints the status and, of a refusal, its message.\n"
    "\n"
    "  --ca FILE            trust these PEM certificates for TLS instead of the system's\n"
    "  --content-type TYPE  of FILE (application/pkcs7-signature)\n"
    "  --output FILE        store the answer in FILE\n"
    "\n"
    "Exit status: 0 the answer is 200, 1 usage, 2 network or TLS, 3 it is 401 or 403,\n"
    "4 any other, 5 local files.\n";

enum { OPT_CA = 256, OPT_CONTENT_TYPE, OPT_HELP, OPT_OUTPUT };

static const struct option post_table[] = {
    {"ca", required_argument, NULL, OPT_CA},
    {"content-type", required_argument, NULL, OPT_CONTENT_TYPE},
    {"help", no_argument, NULL, OPT_HELP},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {NULL, 0, NULL, 0}};

device_result_t command_post(apr_pool_t *p, int argc, char **argv)
{
    const char *ca_file = NULL, *type = "application/pkcs7-signature", *output = NULL, *message;
    device_http_t *http;
    device_reply_t reply;
    apr_size_t len;
    int option;

    while ((option = getopt_long(argc, argv, "", post_table, NULL)) != -1) {
        switch (option) {
        case OPT_CA:
            ca_file = optarg;
            break;
        case OPT_CONTENT_TYPE:
            type = optarg;
            break;
        case OPT_OUTPUT:
            output = optarg;
            break;
        case OPT_HELP:
            fputs(post_text, stdout);
            return device_ok();
        default:
            return command_usage(p, "");
        }
    }
    if (argc - optind != 2)
        return command_usage(p, "URL and FILE are wanted");
    const char *problem = command_url_problem(argv[optind], 1);
    if (problem != NULL)
        return command_usage(p, problem);
    device_result_t r = device_file_read(p, argv[optind + 1], MAX_MESSAGE, &message, &len);
    if (r.exit == DEVICE_OK)
        r = device_http_create(p, ca_file, &http);
    if (r.exit == DEVICE_OK)
        r = device_http_post(http, p, argv[optind], type, message, len, &reply);
    if (r.exit == DEVICE_OK && output != NULL)
        r = device_file_write(p, output, 0, reply.body, reply.len);
    if (r.exit != DEVICE_OK)
        return r;
    device_report_print(stdout, apr_psprintf(p, "%ld, %s, %" APR_SIZE_T_FMT " bytes\n",
                                             reply.status, reply.content_type, reply.len));
    return device_http_expect_ok(p, &reply);
}
