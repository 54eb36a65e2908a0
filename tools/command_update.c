/* SPDX-License-Identifier: Apache-2.0
 * mdm-device update: an enrolled device comes back for its profile, with the folder that enroll
 * left. Depends on command, device_walk.
 */
#include <apr_strings.h>
#include <getopt.h>
#include <string.h>

#include "command.h"
#include "device_identity.h"
#include "device_walk.h"
#include "mdm_plist.h"

static const char update_text[] =
    "Usage: mdm-device update DIR [option ...]\n"
    "\n"
    "Comes back for the enrollment profile as it is now, as a device does months later: phase 3 "
    "again,\n"
    "signed with the identity that mdm-device enroll stored in DIR. Then a new identity for the "
    "MDM\n"
    "server is got by SCEP. The old one is kept as mdm-identity.previous.pem and .key.\n"
    "\n"
    "  --visit URL         get URL with the new identity as TLS client certificate, at the end\n"
    "  --os-version V      what the device says of its system now\n"
    "  --allow-unverified  go on where a device shows \"Not Verified\"\n"
    "  --ca FILE           trust these PEM certificates, for TLS and for the signature of the "
    "profile,\n"
    "                      instead of the system's\n"
    "  --save DIR          keep every message in DIR\n"
    "  --json              print one JSON object instead of text\n"
    "  --quiet             print nothing but the reason of a failure\n"
    "\n"
    "Exit status: 0 updated, 1 usage, 2 network or TLS, 3 refused by the server,\n"
    "4 the answer is not what a device accepts, 5 local files.\n";

enum {
    OPT_ALLOW_UNVERIFIED = 256,
    OPT_CA,
    OPT_HELP,
    OPT_JSON,
    OPT_OS_VERSION,
    OPT_QUIET,
    OPT_SAVE,
    OPT_VISIT
};

static const struct option table[] = {{"allow-unverified", no_argument, NULL, OPT_ALLOW_UNVERIFIED},
                                      {"ca", required_argument, NULL, OPT_CA},
                                      {"help", no_argument, NULL, OPT_HELP},
                                      {"json", no_argument, NULL, OPT_JSON},
                                      {"os-version", required_argument, NULL, OPT_OS_VERSION},
                                      {"quiet", no_argument, NULL, OPT_QUIET},
                                      {"save", required_argument, NULL, OPT_SAVE},
                                      {"visit", required_argument, NULL, OPT_VISIT},
                                      {NULL, 0, NULL, 0}};

typedef struct options_t {
    device_walk_t walk;
    const char *ca_file;
    const char *os_version;
    const char *visit;
    int json;
    int quiet;
    int help;
} options_t;

static void take_option(options_t *options, int option, const char *value)
{
    switch (option) {
    case OPT_ALLOW_UNVERIFIED:
        options->walk.allow_unverified = 1;
        break;
    case OPT_CA:
        options->ca_file = value;
        break;
    case OPT_HELP:
        options->help = 1;
        break;
    case OPT_JSON:
        options->json = 1;
        break;
    case OPT_OS_VERSION:
        options->os_version = value;
        break;
    case OPT_QUIET:
        options->quiet = 1;
        break;
    case OPT_SAVE:
        options->walk.save_dir = value;
        break;
    default:
        options->visit = value;
        break;
    }
}

static device_result_t parse(apr_pool_t *p, int argc, char **argv, options_t *options)
{
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == '?')
            return command_usage(p, "");
        take_option(options, option, optarg);
    }
    if (options->help)
        return device_ok();
    if (argc - optind != 1)
        return command_usage(p, "DIR is missing, or there is more than one");
    if (options->json && options->quiet)
        return command_usage(p, "--json and --quiet do not go together");
    if (options->os_version != NULL && !mdm_plist_text_ok(options->os_version))
        return command_usage(p, "a property list cannot hold one of the values given");
    const char *problem = options->visit != NULL ? command_url_problem(options->visit, 0) : NULL;
    options->walk.identity_dir = argv[optind];
    return problem != NULL ? command_usage(p, problem) : device_ok();
}

/* With the identity that the MDM server sees: so whoever asks for it there sees it in use. */
static device_result_t visit(device_walk_t *walk, apr_pool_t *p, const char *url)
{
    const char *dir = walk->identity_dir;
    device_reply_t reply;

    device_report_step(&walk->report, "TLS: the device shows its new identity");
    device_report_line(&walk->report, REPORT_SENT, "GET %s", url);
    device_http_identity(walk->http, apr_pstrcat(p, dir, "/mdm-identity.pem", NULL),
                         apr_pstrcat(p, dir, "/mdm-identity.key", NULL));
    device_result_t r = device_http_get(walk->http, p, url, &reply);
    if (r.exit != DEVICE_OK)
        return r;
    device_report_line(&walk->report, REPORT_RECEIVED, "%ld, %s, %" APR_SIZE_T_FMT " bytes",
                       reply.status, reply.content_type, reply.len);
    return device_http_expect_page(p, &reply);
}

static device_result_t run(options_t *options, apr_pool_t *p)
{
    device_walk_t *walk = &options->walk;
    device_result_t r = device_cms_anchors(p, options->ca_file, &walk->anchors);

    walk->pool = p;
    if (r.exit == DEVICE_OK && walk->save_dir != NULL)
        r = device_dir_make(p, walk->save_dir);
    if (r.exit == DEVICE_OK)
        r = device_http_create(p, options->ca_file, &walk->http);
    if (r.exit == DEVICE_OK)
        r = device_walk_update(walk, p, options->os_version);
    if (r.exit == DEVICE_OK && options->visit != NULL)
        r = visit(walk, p, options->visit);
    return r;
}

device_result_t command_update(apr_pool_t *p, int argc, char **argv)
{
    options_t options;
    memset(&options, 0, sizeof(options));
    device_result_t r = parse(p, argc, argv, &options);

    if (r.exit != DEVICE_OK)
        return r;
    if (options.help) {
        fputs(update_text, stdout);
        return r;
    }
    device_report_init(&options.walk.report, options.quiet);
    if (options.json)
        device_report_json(&options.walk.report);
    r = run(&options, p);
    device_report_end(&options.walk.report, r);
    return r;
}
