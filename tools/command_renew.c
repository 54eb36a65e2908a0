/* SPDX-License-Identifier: Apache-2.0
 * mdm-device renew, status and next-ca: what an enrolled device does later, with the folder that
 * enroll left. Depends on command, device_renew, device_status.
 */
#include <getopt.h>
#include <string.h>

#include "command.h"
#include "device_identity.h"
#include "device_renew.h"
#include "device_status.h"

#define COMMON_OPTIONS                                                                             \
    "  --ca FILE    trust these PEM certificates for TLS instead of the system's\n"                \
    "  --save DIR   keep every message in DIR\n"                                                   \
    "  --json       print one JSON object instead of text\n"                                       \
    "  --quiet      print nothing but the reason of a failure\n"                                   \
    "\n"

static const char renew_text[] =
    "Usage: mdm-device renew DIR [option ...]\n"
    "\n"
    "Renews the identity for the MDM server that mdm-device enroll stored in DIR: a new key, and "
    "a\n"
    "certificate for it by SCEP (RenewalReq), asked for with the old one. The old one is kept as\n"
    "mdm-identity.previous.pem and .key.\n"
    "\n"
    "  --force      ask a server, too, that does not say it renews\n" COMMON_OPTIONS
    "Exit status: 0 renewed, 1 usage, 2 network or TLS, 3 refused by the server,\n"
    "4 the answer is not what a device accepts, 5 local files.\n";

static const char status_text[] =
    "Usage: mdm-device status DIR [option ...]\n"
    "\n"
    "Says whether the identity in DIR is live, revoked or expired, by its dates and the "
    "revocation\n"
    "list that it names; by GetCRL, if it names none.\n"
    "\n"
    "  --scep       by GetCRL in any case\n" COMMON_OPTIONS
    "Exit status: 0 live, 1 usage, 2 network or TLS, 3 revoked, expired or refused by the server,\n"
    "4 the list is not what a device accepts, 5 local files.\n";

static const char next_ca_text[] =
    "Usage: mdm-device next-ca DIR [option ...]\n"
    "\n"
    "Asks for the CA that will follow (GetNextCACert), checks that the present one has signed the\n"
    "answer, and stores it in DIR: from then on renew accepts that CA, too.\n"
    "\n" COMMON_OPTIONS
    "Exit status: 0 stored, 1 usage, 2 network or TLS, 3 there is none, 4 the answer is not what\n"
    "a device accepts, 5 local files.\n";

enum { OPT_CA = 256, OPT_FORCE, OPT_HELP, OPT_JSON, OPT_QUIET, OPT_SAVE, OPT_SCEP };

/* The options of one command: its own first. */
static const struct option table[] = {
    {"force", no_argument, NULL, OPT_FORCE},     {"scep", no_argument, NULL, OPT_SCEP},
    {"ca", required_argument, NULL, OPT_CA},     {"help", no_argument, NULL, OPT_HELP},
    {"json", no_argument, NULL, OPT_JSON},       {"quiet", no_argument, NULL, OPT_QUIET},
    {"save", required_argument, NULL, OPT_SAVE}, {NULL, 0, NULL, 0}};

typedef struct options_t {
    device_visit_t visit;
    const char *ca_file;
    int own; /* the command's own option was given */
    int json;
    int quiet;
    int help;
} options_t;

/* own: OPT_ of the one option that is not common, or 0. */
static device_result_t parse(apr_pool_t *p, int argc, char **argv, int own, options_t *options)
{
    struct option mine[sizeof(table) / sizeof(table[0])];
    size_t count = 0;
    int option;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if ((table[i].val != OPT_FORCE && table[i].val != OPT_SCEP) || table[i].val == own)
            mine[count++] = table[i];
    while ((option = getopt_long(argc, argv, "", mine, NULL)) != -1) {
        switch (option) {
        case OPT_CA:
            options->ca_file = optarg;
            break;
        case OPT_FORCE:
        case OPT_SCEP:
            options->own = 1;
            break;
        case OPT_HELP:
            options->help = 1;
            return device_ok();
        case OPT_JSON:
            options->json = 1;
            break;
        case OPT_QUIET:
            options->quiet = 1;
            break;
        case OPT_SAVE:
            options->visit.save_dir = optarg;
            break;
        default:
            return command_usage(p, "");
        }
    }
    if (argc - optind != 1)
        return command_usage(p, "DIR is missing, or there is more than one");
    if (options->json && options->quiet)
        return command_usage(p, "--json and --quiet do not go together");
    options->visit.dir = argv[optind];
    return device_ok();
}

static device_result_t visit(apr_pool_t *p, int argc, char **argv, int own, const char *help,
                             device_result_t (*run)(device_visit_t *, apr_pool_t *, int))
{
    options_t options = {.own = 0};
    device_visit_t *visit = &options.visit;
    device_result_t r = parse(p, argc, argv, own, &options);

    if (r.exit != DEVICE_OK)
        return r;
    if (options.help) {
        fputs(help, stdout);
        return r;
    }
    device_report_init(&visit->report, options.quiet);
    if (options.json)
        device_report_json(&visit->report);
    if (visit->save_dir != NULL)
        r = device_dir_make(p, visit->save_dir);
    if (r.exit == DEVICE_OK)
        r = device_http_create(p, options.ca_file, &visit->http);
    if (r.exit == DEVICE_OK)
        r = run(visit, p, options.own);
    device_report_end(&visit->report, r);
    return r;
}

static device_result_t run_next_ca(device_visit_t *visit, apr_pool_t *p, int own)
{
    (void)own;
    return device_renew_next_ca(visit, p);
}

device_result_t command_renew(apr_pool_t *p, int argc, char **argv)
{
    return visit(p, argc, argv, OPT_FORCE, renew_text, device_renew);
}

device_result_t command_status(apr_pool_t *p, int argc, char **argv)
{
    return visit(p, argc, argv, OPT_SCEP, status_text, device_status);
}

device_result_t command_next_ca(apr_pool_t *p, int argc, char **argv)
{
    return visit(p, argc, argv, 0, next_ca_text, run_next_ca);
}
