/* SPDX-License-Identifier: Apache-2.0
 * The command line of mdm-enroll-admin. Depends on admin_key, admin_rows, admin_show, core's
 * mdm_enrollment and mdm_x509.
 */
#include "admin_args.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "admin_key.h"
#include "admin_rows.h"
#include "admin_show.h"
#include "mdm_enrollment.h"
#include "mdm_x509.h"

#define MAX_DAYS 36500
#define SHOW_LIMIT 10
#define MIN_ISSUER 8

#define STORE_COMMANDS (ADMIN_LIST | ADMIN_SHOW | ADMIN_REVOKE)
#define ROW_COMMANDS (ADMIN_LIST | ADMIN_REVOKE)
#define MAKE_COMMANDS (ADMIN_MAKE_CA | ADMIN_MAKE_RA)

/* What getopt_long() returns for each option; no short options. */
enum {
    OPT_CA_CERT = 256,
    OPT_CA_KEY,
    OPT_CA_PASSPHRASE_FILE,
    OPT_CERTIFICATES,
    OPT_CONF,
    OPT_DAYS,
    OPT_DEVICE,
    OPT_DRY_RUN,
    OPT_ENCRYPT,
    OPT_ENROLLMENT,
    OPT_FINGERPRINT,
    OPT_FORCE,
    OPT_HELP,
    OPT_ISSUER,
    OPT_JSON,
    OPT_KEY,
    OPT_LIMIT,
    OPT_LIVE,
    OPT_NAME,
    OPT_ORGANIZATION,
    OPT_PASSPHRASE_FILE,
    OPT_REASON,
    OPT_REFUSED,
    OPT_RENEW,
    OPT_RUN_AS,
    OPT_SERIAL,
    OPT_SINCE,
    OPT_STATE,
    OPT_STORE,
    OPT_USER
};

/* Each with the subcommands that take it. */
static const struct {
    struct option option;
    int commands;
} table[] = {
    {{"ca-cert", required_argument, NULL, OPT_CA_CERT}, ADMIN_MAKE_RA},
    {{"ca-key", required_argument, NULL, OPT_CA_KEY}, ADMIN_MAKE_RA},
    {{"ca-passphrase-file", required_argument, NULL, OPT_CA_PASSPHRASE_FILE}, ADMIN_MAKE_RA},
    {{"certificates", no_argument, NULL, OPT_CERTIFICATES}, ADMIN_LIST},
    {{"conf", required_argument, NULL, OPT_CONF}, STORE_COMMANDS},
    {{"days", required_argument, NULL, OPT_DAYS}, MAKE_COMMANDS},
    {{"device", required_argument, NULL, OPT_DEVICE}, ROW_COMMANDS},
    {{"dry-run", no_argument, NULL, OPT_DRY_RUN}, ADMIN_REVOKE},
    {{"encrypt", no_argument, NULL, OPT_ENCRYPT}, MAKE_COMMANDS},
    {{"enrollment", required_argument, NULL, OPT_ENROLLMENT}, ROW_COMMANDS},
    {{"fingerprint", required_argument, NULL, OPT_FINGERPRINT}, ADMIN_REVOKE},
    {{"force", no_argument, NULL, OPT_FORCE}, MAKE_COMMANDS},
    {{"help", no_argument, NULL, OPT_HELP}, STORE_COMMANDS | MAKE_COMMANDS},
    {{"issuer", required_argument, NULL, OPT_ISSUER}, ADMIN_REVOKE},
    {{"json", no_argument, NULL, OPT_JSON}, STORE_COMMANDS},
    {{"key", required_argument, NULL, OPT_KEY}, ADMIN_MAKE_CA},
    {{"limit", required_argument, NULL, OPT_LIMIT}, ADMIN_LIST | ADMIN_SHOW},
    {{"live", no_argument, NULL, OPT_LIVE}, ADMIN_LIST},
    {{"name", required_argument, NULL, OPT_NAME}, MAKE_COMMANDS},
    {{"organization", required_argument, NULL, OPT_ORGANIZATION}, MAKE_COMMANDS},
    {{"passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE}, MAKE_COMMANDS},
    {{"reason", required_argument, NULL, OPT_REASON}, ADMIN_REVOKE},
    {{"refused", no_argument, NULL, OPT_REFUSED}, ADMIN_LIST},
    {{"renew", required_argument, NULL, OPT_RENEW}, ADMIN_MAKE_CA},
    {{"run-as", required_argument, NULL, OPT_RUN_AS}, STORE_COMMANDS},
    {{"serial", required_argument, NULL, OPT_SERIAL}, ADMIN_REVOKE},
    {{"since", required_argument, NULL, OPT_SINCE}, ADMIN_LIST},
    {{"state", required_argument, NULL, OPT_STATE}, ADMIN_LIST},
    {{"store", required_argument, NULL, OPT_STORE}, STORE_COMMANDS},
    {{"user", required_argument, NULL, OPT_USER}, ROW_COMMANDS},
};
#define OPTION_COUNT (sizeof(table) / sizeof(table[0]))

int admin_command_parse(const char *name, admin_command_t *command)
{
    static const struct {
        const char *name;
        admin_command_t command;
    } names[] = {{"list", ADMIN_LIST},
                 {"show", ADMIN_SHOW},
                 {"revoke", ADMIN_REVOKE},
                 {"make-ca", ADMIN_MAKE_CA},
                 {"make-ra", ADMIN_MAKE_RA}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *command = names[i].command;
            return 1;
        }
    }
    return 0;
}

/* --- values --- */

static int parse_number(const char *text, apr_int64_t most, apr_int64_t *number)
{
    char *end;

    *number = apr_strtoi64(text, &end, 10);
    return apr_isdigit(*text) && *end == '\0' && *number > 0 && *number <= most;
}

/* "7d", "12h", "30min", or a date with or without a time of day, UTC. */
static int parse_since(const char *text, apr_int64_t *since)
{
    static const struct {
        const char *name;
        int seconds;
    } units[] = {{"min", 60}, {"h", 3600}, {"d", 86400}};
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"};
    char *end;
    apr_int64_t number = apr_strtoi64(text, &end, 10);

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (apr_isdigit(*text) && strcmp(end, units[i].name) == 0 && number < 100000000) {
            *since = admin_now() - number * units[i].seconds;
            return 1;
        }
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            *since = (apr_int64_t)timegm(&tm);
            return *since > 0;
        }
    }
    return 0;
}

static int parse_state(const char *text)
{
    mdm_state_t state;

    return mdm_state_parse(text, &state) || strcmp(text, "revoked") == 0;
}

/* Numbers never begin with a byte of zeros but for their sign, which other programs show. */
static const char *parse_serial(apr_pool_t *p, const char *text)
{
    const char *hex = admin_hex(p, text);

    while (hex != NULL && strncmp(hex, "00", 2) == 0 && hex[2] != '\0')
        hex += 2;
    return hex;
}

/* The key id of a CA, or its beginning, or its certificate. */
static const char *parse_issuer(apr_pool_t *p, const char *text)
{
    STACK_OF(X509) *certs = NULL;
    char *id = apr_pstrdup(p, text);

    if (strlen(id) >= MIN_ISSUER && strlen(id) <= 64 &&
        strspn(id, "0123456789abcdefABCDEF") == strlen(id)) {
        for (char *c = id; *c != '\0'; c++)
            *c = (char)apr_tolower(*c);
        return id;
    }
    if (mdm_x509_read_certificates(p, text, &certs).kind != MDM_OK)
        return NULL;
    return mdm_x509_key_id(p, sk_X509_value(certs, 0));
}

/* NULL, or what is wrong with the value: of the options that are more than a text. */
static const char *checked_option(apr_pool_t *p, admin_args_t *args, int option, const char *value)
{
    mdm_admin_filter_t *what = &args->revoke.what;

    switch (option) {
    case OPT_DAYS:
        return parse_number(value, MAX_DAYS, &args->ca.days)
                   ? NULL
                   : "--days wants a number from 1 to 36500";
    case OPT_FINGERPRINT:
        what->fingerprint = admin_hex(p, value);
        return what->fingerprint && strlen(what->fingerprint) == 64
                   ? NULL
                   : "--fingerprint wants the SHA-256 of a certificate: 64 hexadecimal digits, "
                     "colons allowed";
    case OPT_ISSUER:
        what->issuer = parse_issuer(p, value);
        return what->issuer ? NULL
                            : "--issuer wants the file of the CA's certificate, or at least 8 "
                              "digits of its key id as list --certificates --json shows it";
    case OPT_KEY:
        args->ca.kind = value;
        return admin_key_known(value) ? NULL : "--key wants " ADMIN_KEY_KINDS;
    case OPT_LIMIT:
        return parse_number(value, APR_INT64_MAX, &args->revoke.what.limit)
                   ? NULL
                   : "--limit wants a number above 0";
    case OPT_REASON:
        return admin_reason_parse(value, &args->revoke.reason) ? NULL
                                                               : "--reason wants " ADMIN_REASONS;
    case OPT_SERIAL:
        what->serial = parse_serial(p, value);
        return what->serial ? NULL
                            : "--serial wants the serial number of a certificate in hexadecimal, "
                              "colons allowed (that of a device is for --device)";
    case OPT_SINCE:
        return parse_since(value, &what->since)
                   ? NULL
                   : "--since wants a date such as 2026-11-26 or 2026-11-26T06:00Z, or a time back "
                     "from now such as 7d, 12h or 30min";
    case OPT_STATE:
        what->state = value;
        return parse_state(value)
                   ? NULL
                   : "--state wants offered, identifying, identified, delivered or revoked";
    default:
        return ""; /* getopt_long() said it */
    }
}

/* Where the value of an option goes that is a text; NULL if it is none. */
static const char **text_option(admin_args_t *args, int option)
{
    switch (option) {
    case OPT_CA_CERT:
        return &args->ca.ca_cert;
    case OPT_CA_KEY:
        return &args->ca.ca_key;
    case OPT_CA_PASSPHRASE_FILE:
        return &args->ca.ca_passphrase_file;
    case OPT_CONF:
        return &args->store.conf;
    case OPT_DEVICE:
        return &args->revoke.what.device;
    case OPT_ENROLLMENT:
        return &args->revoke.what.enrollment;
    case OPT_NAME:
        return &args->ca.name;
    case OPT_ORGANIZATION:
        return &args->ca.organization;
    case OPT_PASSPHRASE_FILE:
        return &args->ca.passphrase_file;
    case OPT_RENEW:
        return &args->ca.renew;
    case OPT_RUN_AS:
        return &args->store.run_as;
    case OPT_STORE:
        return &args->store.store;
    case OPT_USER:
        return &args->revoke.what.user;
    default:
        return NULL;
    }
}

static int *flag_option(admin_args_t *args, int option)
{
    switch (option) {
    case OPT_CERTIFICATES:
        return &args->certificates;
    case OPT_DRY_RUN:
        return &args->revoke.dry_run;
    case OPT_ENCRYPT:
        return &args->ca.encrypt;
    case OPT_FORCE:
        return &args->ca.force;
    case OPT_HELP:
        return &args->help;
    case OPT_JSON:
        return &args->revoke.json;
    case OPT_LIVE:
        return &args->revoke.what.live;
    case OPT_REFUSED:
        return &args->revoke.what.refused;
    default:
        return NULL;
    }
}

/* --- what belongs together --- */

static const char *check_list(admin_args_t *args, int argc, char **argv)
{
    const mdm_admin_filter_t *what = &args->revoke.what;

    if (argc == 1 && strcmp(argv[0], "certificates") == 0)
        args->certificates = 1;
    else if (argc > 0)
        return "list takes options, or the one word certificates";
    if (args->certificates && (what->state != NULL || what->refused))
        return "--state and --refused are of enrollments, not of certificates";
    if (!args->certificates && what->live)
        return "--live is of certificates: list certificates --live";
    return NULL;
}

static const char *check_revoke(const admin_args_t *args, int argc)
{
    const mdm_admin_filter_t *what = &args->revoke.what;
    int given = (what->user != NULL) + (what->device != NULL) + (what->enrollment != NULL) +
                (what->serial != NULL) + (what->fingerprint != NULL);

    if (argc > 0)
        return "revoke takes options only: --user NAME, --device UDID or serial number, "
               "--enrollment ID, --serial or --fingerprint of a certificate";
    if (given == 0)
        return "whom or what? --user NAME, --device UDID or serial number, --enrollment ID, "
               "--serial or --fingerprint of a certificate";
    if (given > 1)
        return "--user, --device, --enrollment, --serial and --fingerprint do not go together";
    if (what->issuer != NULL && what->serial == NULL)
        return "--issuer goes with --serial";
    return NULL;
}

static const char *check_make(admin_args_t *args, int argc, char **argv)
{
    if (argc != 2)
        return "two files are wanted, those to be made: CERTIFICATE KEY";
    args->ca.cert = argv[0];
    args->ca.key = argv[1];
    if (args->ca.passphrase_file != NULL)
        args->ca.encrypt = 1;
    if (args->command == ADMIN_MAKE_RA && (args->ca.ca_cert == NULL || args->ca.ca_key == NULL))
        return "who issues it? --ca-cert FILE and --ca-key FILE of the CA";
    return NULL;
}

/* An empty name would be no name: as from a script whose variable is not set. */
static const char *check_texts(const mdm_admin_filter_t *what)
{
    if ((what->user && *what->user == '\0') || (what->device && *what->device == '\0') ||
        (what->enrollment && *what->enrollment == '\0'))
        return "--user, --device and --enrollment want a value that is not empty";
    return NULL;
}

static const char *check(admin_args_t *args, int argc, char **argv)
{
    const char *wrong = check_texts(&args->revoke.what);

    if (wrong == NULL && args->store.store != NULL && args->store.conf != NULL)
        wrong = "--store and --conf do not go together";
    if (wrong != NULL)
        return wrong;
    switch (args->command) {
    case ADMIN_LIST:
        return check_list(args, argc, argv);
    case ADMIN_SHOW:
        if (args->revoke.what.limit == 0)
            args->revoke.what.limit = SHOW_LIMIT;
        if (argc != 1 || argv[0][0] == '\0')
            return "show wants one word: an enrollment's ID, a device's UDID or serial number, a "
                   "user, or a certificate's serial number";
        args->key = argv[0];
        return NULL;
    case ADMIN_REVOKE:
        return check_revoke(args, argc);
    default:
        return check_make(args, argc, argv);
    }
}

admin_result_t admin_args_parse(apr_pool_t *p, int argc, char **argv, admin_args_t *args)
{
    struct option options[OPTION_COUNT + 1] = {{0}};
    const char *wrong = NULL, **text;
    int count = 0, option, *flag;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (table[i].commands & (int)args->command)
            options[count++] = table[i].option;
    while (wrong == NULL && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if ((text = text_option(args, option)) != NULL)
            *text = optarg;
        else if ((flag = flag_option(args, option)) != NULL)
            *flag = 1;
        else
            wrong = checked_option(p, args, option, optarg);
    if (wrong == NULL && !args->help)
        wrong = check(args, argc - optind, argv + optind);
    return wrong == NULL ? admin_ok() : admin_fail(p, ADMIN_USAGE, "%s", wrong);
}
