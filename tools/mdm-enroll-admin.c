/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin, the program of a site's administrator: its help, its subcommands and its exit
 * status. Depends on everything else named admin_ in tools.
 */
#include <apr_general.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_args.h"
#include "admin_list.h"
#include "admin_show.h"

#define PROGRAM "mdm-enroll-admin"

static const char usage_text[] =
    "Usage: mdm-enroll-admin list [certificates] [option ...]\n"
    "       mdm-enroll-admin show ID|SERIAL|UDID|USER [option ...]\n"
    "       mdm-enroll-admin revoke --user NAME|--device SERIAL|... [option ...]\n"
    "       mdm-enroll-admin make-ca CERTIFICATE KEY --organization NAME [option ...]\n"
    "       mdm-enroll-admin make-ra CERTIFICATE KEY --ca-cert FILE --ca-key FILE [option ...]\n"
    "       mdm-enroll-admin COMMAND --help | --help | --version\n"
    "\n"
    "  list      enrollments or certificates, newest first\n"
    "  show      everything about one enrollment\n"
    "  revoke    end enrollments of a user or device, or one certificate\n"
    "  make-ca   make the issuing CA, or its successor\n"
    "  make-ra   make an RA, which answers SCEP in the CA's place\n";

#define STORE_TEXT                                                                                 \
    "  --store S             the database, as MDMEnrollStore names it: sqlite3:/path or\n"         \
    "                        pgsql:conninfo (else MDM_ENROLL_STORE, else httpd's files)\n"         \
    "  --conf FILE           httpd's file in which MDMEnrollStore stands, or is included\n"        \
    "  --run-as USER         become USER first (else the owner of an SQLite file)\n"
#define STATUS_TEXT                                                                                \
    "\n"                                                                                           \
    "Exit status: 0 done, 1 nothing matched, 2 usage, 3 database, 4 local files.\n"

static const char list_text[] =
    "Usage: mdm-enroll-admin list [certificates] [option ...]\n"
    "\n"
    "  --user NAME           of this user, exactly as he signed in\n"
    "  --device D            of this device: UDID or serial number, in any case\n"
    "  --enrollment ID       of this enrollment\n"
    "  --since TIME          changed or issued no earlier: 2026-11-26, 2026-11-26T06:00Z, 7d, 12h\n"
    "  --state STATE         offered, identifying, identified, delivered or revoked\n"
    "  --refused             whose last attempt policy or directory refused\n"
    "  --certificates        certificates instead of enrollments\n"
    "  --live                certificates that are neither revoked nor expired\n"
    "  --limit N             no more than N\n"
    "  --json                for programs\n" STORE_TEXT STATUS_TEXT;

static const char show_text[] = "Usage: mdm-enroll-admin show ID|SERIAL|UDID|USER [option ...]\n"
                                "\n"
                                "  --limit N             no more than N enrollments (10)\n"
                                "  --json                for programs\n" STORE_TEXT STATUS_TEXT;

static const char revoke_text[] =
    "Usage: mdm-enroll-admin revoke --user NAME|--device SERIAL|... [option ...]\n"
    "\n"
    "One of these:\n"
    "  --user NAME           all enrollments of this user, exactly as he signed in\n"
    "  --device D            all of this device: UDID or serial number, in any case\n"
    "  --enrollment ID       this enrollment\n"
    "  --serial HEX          one certificate by its serial number; the enrollment goes on\n"
    "  --fingerprint HEX     the same by its SHA-256\n"
    "\n"
    "  --issuer FILE|KEY-ID  whose serial number it is, where several CAs have it\n"
    "  --reason R            unspecified (default), keyCompromise, affiliationChanged,\n"
    "                        superseded, cessationOfOperation or privilegeWithdrawn\n"
    "  --dry-run             only say what would be done\n"
    "  --json                for programs\n" STORE_TEXT STATUS_TEXT;

static const char make_ca_text[] =
    "Usage: mdm-enroll-admin make-ca CERTIFICATE KEY --organization NAME [option ...]\n"
    "\n"
    "Makes both files; nothing is overwritten.\n"
    "\n"
    "  --organization NAME   O of the subject; the CN is then \"NAME device identities\"\n"
    "  --name NAME           CN, or a whole subject: \"O=Example Corp, CN=Example devices\"\n"
    "  --days N              validity (3650)\n"
    "  --key KIND            rsa3072 (default), rsa2048, rsa4096, p256 or p384; the last two\n"
    "                        need an RA\n"
    "  --renew CERTIFICATE   a successor: subject and kind of key as this CA's, unless said\n"
    "  --encrypt             encrypt the key by a pass phrase, which is asked for\n"
    "  --passphrase-file F   the same; it is the first line of F (-: standard input)\n"
    "  --force               replace files that are there\n" STATUS_TEXT;

static const char make_ra_text[] =
    "Usage: mdm-enroll-admin make-ra CERTIFICATE KEY --ca-cert FILE --ca-key FILE [option ...]\n"
    "\n"
    "Makes both files; nothing is overwritten. The key is RSA-2048.\n"
    "\n"
    "  --ca-cert FILE, --ca-key FILE\n"
    "                        the CA that issues it\n"
    "  --ca-passphrase-file F\n"
    "                        the pass phrase of the CA's key is the first line of F (else it is\n"
    "                        asked for, if there is one)\n"
    "  --name NAME           CN, or a whole subject (else that of the CA with \" RA\")\n"
    "  --organization NAME   O of the subject\n"
    "  --days N              validity (else as long as the CA's)\n"
    "  --encrypt, --passphrase-file F, --force\n"
    "                        as with make-ca\n" STATUS_TEXT;

static const char *help_of(admin_command_t command)
{
    switch (command) {
    case ADMIN_LIST:
        return list_text;
    case ADMIN_SHOW:
        return show_text;
    case ADMIN_REVOKE:
        return revoke_text;
    case ADMIN_MAKE_CA:
        return make_ca_text;
    default:
        return make_ra_text;
    }
}

static admin_result_t run_on_store(apr_pool_t *p, const admin_args_t *args)
{
    mdm_dbd_handle_t *handle;
    admin_result_t r = admin_store_open(p, &args->store, &handle);

    if (r.exit != ADMIN_OK)
        return r;
    if (args->command == ADMIN_SHOW)
        r = admin_show(p, handle, args->key, args->revoke.what.limit, args->revoke.json);
    else if (args->command == ADMIN_REVOKE)
        r = admin_revoke(p, handle, &args->revoke);
    else if (args->certificates)
        r = admin_list_certificates(p, handle, &args->revoke.what, args->revoke.json);
    else
        r = admin_list_enrollments(p, handle, &args->revoke.what, args->revoke.json);
    mdm_dbd_close(handle);
    return r;
}

static admin_result_t run(apr_pool_t *p, const admin_args_t *args)
{
    switch (args->command) {
    case ADMIN_MAKE_CA:
        return admin_make_ca(p, &args->ca);
    case ADMIN_MAKE_RA:
        return admin_make_ra(p, &args->ca);
    default:
        return run_on_store(p, args);
    }
}

static int without_command(const char *word)
{
    int help = word != NULL && strcmp(word, "--help") == 0;

    if (word != NULL && strcmp(word, "--version") == 0) {
        puts(PROGRAM " " MDM_VERSION);
        return ADMIN_OK;
    }
    if (word != NULL && !help)
        admin_warn("%s: there is no command \"%s\"", PROGRAM, word);
    fputs(usage_text, help ? stdout : stderr);
    return help ? ADMIN_OK : ADMIN_USAGE;
}

int main(int argc, char **argv)
{
    admin_args_t args = {0};
    apr_pool_t *p;
    admin_result_t r;

    /* For the widths of characters only: values are UTF-8 in any locale. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "");
    if (apr_initialize() != APR_SUCCESS)
        return ADMIN_LOCAL;
    atexit(apr_terminate);
    apr_pool_create(&p, NULL);
    if (argc < 2 || !admin_command_parse(argv[1], &args.command))
        return without_command(argv[1]);
    argv[1] = argv[0]; /* getopt_long() begins its messages with it */
    r = admin_args_parse(p, argc - 1, argv + 1, &args);
    if (r.exit == ADMIN_OK && args.help) {
        fputs(help_of(args.command), stdout);
        return ADMIN_OK;
    }
    if (r.exit == ADMIN_OK)
        r = run(p, &args);
    else
        r.reason = *r.reason ? r.reason : "see --help";
    if (r.exit != ADMIN_OK)
        admin_warn("%s: %s", PROGRAM, r.reason);
    if (!admin_output_good()) {
        admin_warn("%s: standard output cannot be written", PROGRAM);
        return ADMIN_LOCAL;
    }
    return (int)r.exit;
}
