/* SPDX-License-Identifier: Apache-2.0
 * mdm-device enroll: its command line, the password, and one walk or many. Depends on command,
 * device_walk.
 */
#include <apr_lib.h>
#include <apr_strings.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "device_identity.h"
#include "device_walk.h"
#include "mdm_plist.h"

#define PASSWORD_VARIABLE "MDM_DEVICE_PASSWORD"
#define MAX_PASSWORD 1024

static const char enroll_text[] =
    "Usage: mdm-device enroll URL --user NAME --identity DIR [option ...]\n"
    "\n"
    "Signs in at URL, the profile endpoint, walks through phases 1 to 3 and both SCEP rounds,\n"
    "says at each step what was sent, received and checked, and prints the enrollment profile.\n"
    "\n"
    "  --user NAME           sign in as NAME\n"
    "  --password-file FILE  the password is the first line of FILE (else it is taken from\n"
    "                        " PASSWORD_VARIABLE ", else asked for on the terminal)\n"
    "  --form                sign in by mod_auth_form instead of HTTP Basic\n"
    "  --ca FILE             trust these PEM certificates, for TLS and for signatures of "
    "profiles,\n"
    "                        instead of the system's\n"
    "  --identity DIR        the device's keys, as mdm-device make-ca makes them; the MDM "
    "identity\n"
    "                        is stored there\n"
    "  --shape iphone|mac    how messages are built (iphone)\n"
    "  --udid U, --serial S, --product P, --version BUILD, --os-version V\n"
    "                        what the device says of itself\n"
    "  --stop-after phase1|phase2|scep|phase3\n"
    "                        do not go on to the end\n"
    "  --save DIR            keep every message, certificate and key in DIR\n"
    "  --allow-unverified    go on where a device shows \"Not Verified\"\n"
    "  --repeat N            enroll N devices in a row with the same keys and say how long it "
    "took\n"
    "  --quiet               print nothing but the reason of a failure\n"
    "\n"
    "Exit status: 0 enrolled, 1 usage, 2 network or TLS, 3 refused by the server,\n"
    "4 the answer is not what a device accepts, 5 local files.\n";

/* --- options --- */

typedef struct enroll_options_t {
    device_walk_t walk;
    device_facts_t facts;
    const char *ca_file;
    const char *password_file;
    apr_int64_t repeat; /* 0: once, and stored */
    int quiet;
    int help;
} enroll_options_t;

static int parse_stop(const char *text, device_stop_t *stop)
{
    static const char *const names[] = {
        [DEVICE_STOP_PHASE1] = "phase1",
        [DEVICE_STOP_PHASE2] = "phase2",
        [DEVICE_STOP_SCEP] = "scep",
        [DEVICE_STOP_PHASE3] = "phase3",
    };

    for (size_t i = DEVICE_STOP_PHASE1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *stop = (device_stop_t)i;
            return 1;
        }
    }
    return 0;
}

static int parse_shape(const char *text, device_shape_t *shape)
{
    *shape = strcmp(text, "mac") == 0 ? DEVICE_SHAPE_MAC : DEVICE_SHAPE_IPHONE;
    return strcmp(text, "mac") == 0 || strcmp(text, "iphone") == 0;
}

static int parse_count(const char *text, apr_int64_t *count)
{
    char *end;

    *count = apr_strtoi64(text, &end, 10);
    return end != text && *end == '\0' && *count > 0;
}

/* What getopt_long() returns for each option; no short options. */
enum {
    OPT_ALLOW_UNVERIFIED = 256,
    OPT_CA,
    OPT_FORM,
    OPT_HELP,
    OPT_IDENTITY,
    OPT_OS_VERSION,
    OPT_PASSWORD,
    OPT_PASSWORD_FILE,
    OPT_PRODUCT,
    OPT_QUIET,
    OPT_REPEAT,
    OPT_SAVE,
    OPT_SERIAL,
    OPT_SHAPE,
    OPT_STOP_AFTER,
    OPT_UDID,
    OPT_USER,
    OPT_VERSION
};

static const struct option enroll_table[] = {
    {"allow-unverified", no_argument, NULL, OPT_ALLOW_UNVERIFIED},
    {"ca", required_argument, NULL, OPT_CA},
    {"form", no_argument, NULL, OPT_FORM},
    {"help", no_argument, NULL, OPT_HELP},
    {"identity", required_argument, NULL, OPT_IDENTITY},
    {"os-version", required_argument, NULL, OPT_OS_VERSION},
    {"password", required_argument, NULL, OPT_PASSWORD}, /* else short for the next one */
    {"password-file", required_argument, NULL, OPT_PASSWORD_FILE},
    {"product", required_argument, NULL, OPT_PRODUCT},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"repeat", required_argument, NULL, OPT_REPEAT},
    {"save", required_argument, NULL, OPT_SAVE},
    {"serial", required_argument, NULL, OPT_SERIAL},
    {"shape", required_argument, NULL, OPT_SHAPE},
    {"stop-after", required_argument, NULL, OPT_STOP_AFTER},
    {"udid", required_argument, NULL, OPT_UDID},
    {"user", required_argument, NULL, OPT_USER},
    {"version", required_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0}};

/* NULL, or what is wrong with the value. */
static const char *enroll_option(enroll_options_t *options, int option, const char *value)
{
    switch (option) {
    case OPT_ALLOW_UNVERIFIED:
        options->walk.allow_unverified = 1;
        return NULL;
    case OPT_CA:
        options->ca_file = value;
        return NULL;
    case OPT_FORM:
        options->walk.form = 1;
        return NULL;
    case OPT_HELP:
        options->help = 1;
        return NULL;
    case OPT_IDENTITY:
        options->walk.identity_dir = value;
        return NULL;
    case OPT_OS_VERSION:
        options->facts.os_version = value;
        return NULL;
    case OPT_PASSWORD:
        return "there is no --password, which others on this machine could read: give "
               "--password-file, or set " PASSWORD_VARIABLE;
    case OPT_PASSWORD_FILE:
        options->password_file = value;
        return NULL;
    case OPT_PRODUCT:
        options->facts.product = value;
        return NULL;
    case OPT_QUIET:
        options->quiet = 1;
        return NULL;
    case OPT_REPEAT:
        return parse_count(value, &options->repeat) ? NULL : "--repeat wants a number above 0";
    case OPT_SAVE:
        options->walk.save_dir = value;
        return NULL;
    case OPT_SERIAL:
        options->facts.serial = value;
        return NULL;
    case OPT_SHAPE:
        return parse_shape(value, &options->walk.shape) ? NULL : "--shape wants iphone or mac";
    case OPT_STOP_AFTER:
        return parse_stop(value, &options->walk.stop)
                   ? NULL
                   : "--stop-after wants phase1, phase2, scep or phase3";
    case OPT_UDID:
        options->facts.udid = value;
        return NULL;
    case OPT_USER:
        options->walk.user = value;
        return NULL;
    case OPT_VERSION:
        options->facts.version = value;
        return NULL;
    default:
        return ""; /* getopt_long() said it */
    }
}

static device_result_t parse_enroll(apr_pool_t *p, int argc, char **argv, enroll_options_t *options)
{
    int option;

    while ((option = getopt_long(argc, argv, "", enroll_table, NULL)) != -1) {
        const char *wrong = enroll_option(options, option, optarg);
        if (wrong != NULL)
            return command_usage(p, wrong);
    }
    if (options->help)
        return device_ok();
    if (argc - optind != 1)
        return command_usage(p, argc == optind ? "URL is missing" : "one URL is wanted");
    options->walk.url = argv[optind];
    const char *problem = command_url_problem(options->walk.url, 0);
    if (problem != NULL)
        return command_usage(p, problem);
    if (options->walk.user == NULL || options->walk.user[0] == '\0')
        return command_usage(p, "--user is missing");
    if (options->walk.identity_dir == NULL)
        return command_usage(p, "--identity is missing (mdm-device make-ca DIR makes one)");
    if (options->repeat > 0 && options->walk.save_dir != NULL)
        return command_usage(p, "--repeat and --save do not go together");
    return device_ok();
}

/* --- the password: never on the command line, where every user of the machine can read it --- */

static device_result_t read_password(apr_pool_t *p, const char *file, const char **password)
{
    const char *from = getenv(PASSWORD_VARIABLE);
    char *buffer = apr_pcalloc(p, MAX_PASSWORD + 1);
    apr_size_t len = MAX_PASSWORD;

    if (file != NULL) {
        const char *text;
        device_result_t r = device_file_read(p, file, MAX_PASSWORD, &text, &len);
        if (r.exit != DEVICE_OK)
            return device_fail(p, r.exit, "--password-file: %s", r.reason);
        *password = apr_pstrmemdup(p, text, strcspn(text, "\r\n"));
        if (**password == '\0')
            return device_fail(p, DEVICE_LOCAL, "--password-file: the first line of %s is empty",
                               file);
        return r;
    }
    if (from != NULL) {
        *password = from;
        return device_ok();
    }
    if (!isatty(STDIN_FILENO)) {
        return command_usage(p, "no password: give --password-file, set " PASSWORD_VARIABLE
                                ", or run it on a terminal");
    }
    if (apr_password_get("Password: ", buffer, &len) != APR_SUCCESS)
        return device_fail(p, DEVICE_LOCAL, "the password cannot be read");
    *password = buffer;
    return device_ok();
}

/* --- enroll --- */

/* What was not said follows from the identity: the same device says the same each time. */
static device_result_t complete_facts(apr_pool_t *p, const enroll_options_t *options,
                                      device_facts_t *facts)
{
    int mac = options->walk.shape == DEVICE_SHAPE_MAC;
    char *id = apr_pstrdup(p, mdm_x509_fingerprint(p, options->walk.builtin->cert));

    if (*id == '\0')
        return device_fail(p, DEVICE_LOCAL, "%s", mdm_sha256_failed(p).log);
    for (char *c = id; *c != '\0'; c++)
        *c = apr_toupper(*c);
    if (facts->udid == NULL && mac) {
        facts->udid =
            apr_psprintf(p, "%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
    } else if (facts->udid == NULL) {
        facts->udid = apr_psprintf(p, "00008140-%.16s", id);
    }
    if (facts->serial == NULL)
        facts->serial = apr_psprintf(p, "TEST%.8s", id + 32);
    if (facts->product == NULL)
        facts->product = mac ? "MacBookPro18,2" : "iPhone17,2";
    if (facts->version == NULL)
        facts->version = mac ? "22G120" : "22B83";
    if (facts->os_version == NULL && !mac)
        facts->os_version = "18.1"; /* a Mac of that build does not tell it */
    const char *const texts[] = {facts->udid,    facts->serial,     facts->product,
                                 facts->version, facts->os_version, options->walk.user};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i] != NULL && !mdm_plist_text_ok(texts[i]))
            return command_usage(p, "a property list cannot hold one of the values given");
    return device_ok();
}

static device_result_t prepare(apr_pool_t *p, enroll_options_t *options)
{
    device_walk_t *walk = &options->walk;
    device_result_t r = device_identity_read(p, walk->identity_dir, &walk->builtin);

    walk->pool = p;
    walk->keep_keys = options->repeat > 0;
    device_report_init(&walk->report, options->quiet || options->repeat > 0);
    if (r.exit == DEVICE_OK)
        r = complete_facts(p, options, &options->facts);
    if (r.exit == DEVICE_OK)
        r = device_cms_anchors(p, options->ca_file, &walk->anchors);
    if (r.exit == DEVICE_OK && walk->save_dir != NULL)
        r = device_dir_make(p, walk->save_dir);
    if (r.exit == DEVICE_OK)
        r = device_http_create(p, options->ca_file, &walk->http);
    if (r.exit == DEVICE_OK)
        r = read_password(p, options->password_file, &walk->password);
    return r;
}

static device_result_t enroll_many(apr_pool_t *p, enroll_options_t *options)
{
    apr_time_t begun = apr_time_now();
    apr_pool_t *each;

    apr_pool_create(&each, p);
    for (apr_int64_t i = 1; i <= options->repeat; i++) {
        device_facts_t facts = options->facts;
        facts.udid = apr_psprintf(each, "%s-%" APR_INT64_T_FMT, facts.udid, i);
        facts.serial = apr_psprintf(each, "%s-%" APR_INT64_T_FMT, facts.serial, i);
        device_result_t r = device_walk(&options->walk, each, &facts);
        if (r.exit != DEVICE_OK) {
            return device_fail(p, r.exit,
                               "enrollment %" APR_INT64_T_FMT " of %" APR_INT64_T_FMT ": %s", i,
                               options->repeat, r.reason);
        }
        apr_pool_clear(each);
    }
    double seconds = (double)(apr_time_now() - begun) / APR_USEC_PER_SEC;
    if (!options->quiet) {
        printf("%" APR_INT64_T_FMT " enrollments in %.1f s, %.1f a second\n", options->repeat,
               seconds, (double)options->repeat / seconds);
    }
    return device_ok();
}

device_result_t command_enroll(apr_pool_t *p, int argc, char **argv)
{
    enroll_options_t options;
    memset(&options, 0, sizeof(options));
    device_result_t r = parse_enroll(p, argc, argv, &options);

    if (r.exit == DEVICE_OK && options.help) {
        fputs(enroll_text, stdout);
        return r;
    }
    if (r.exit == DEVICE_OK)
        r = prepare(p, &options);
    if (r.exit == DEVICE_OK && options.repeat > 0)
        return enroll_many(p, &options);
    if (r.exit == DEVICE_OK)
        r = device_walk(&options.walk, p, &options.facts);
    if (r.exit == DEVICE_OK && !options.quiet) {
        printf("\n%s: %s, %s\n", options.walk.stop == DEVICE_STOP_NEVER ? "Enrolled" : "Stopped",
               options.facts.udid, options.facts.serial);
    }
    return r;
}
