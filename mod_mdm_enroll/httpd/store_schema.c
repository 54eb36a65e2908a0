/* SPDX-License-Identifier: Apache-2.0
 * The tables of the store. Depends on dbd_handle.
 */
#include "store_schema.h"

#include <apr_strings.h>

/* All of it is accepted unchanged by SQLite and PostgreSQL. "user" is a keyword of PostgreSQL,
 * hence user_name. The version comes last: see dbd_handle.c. */
#define CREATE_CERTIFICATE                                                                         \
    "CREATE TABLE IF NOT EXISTS certificate ("                                                     \
    "serial VARCHAR(64) NOT NULL, "                                                                \
    "issuer VARCHAR(64) NOT NULL, "                                                                \
    "enrollment VARCHAR(32) NOT NULL, "                                                            \
    "purpose VARCHAR(16) NOT NULL, "                                                               \
    "request VARCHAR(64) NOT NULL UNIQUE, "                                                        \
    "poll VARCHAR(64) NOT NULL, "                                                                  \
    "authority VARCHAR(64) NOT NULL, "                                                             \
    "fingerprint VARCHAR(64) NOT NULL UNIQUE, "                                                    \
    "der TEXT NOT NULL, "                                                                          \
    "not_before BIGINT NOT NULL, "                                                                 \
    "not_after BIGINT NOT NULL, "                                                                  \
    "issued_at BIGINT NOT NULL, "                                                                  \
    "revoked_at BIGINT NOT NULL DEFAULT 0, "                                                       \
    "revocation_reason BIGINT NOT NULL DEFAULT 0, "                                                \
    "used_for VARCHAR(64) NOT NULL DEFAULT '', "                                                   \
    "PRIMARY KEY (serial, issuer))"
/* What is revoked is little of much: an index of all would cost each issue. */
#define INDEX_CERTIFICATE                                                                          \
    "CREATE INDEX IF NOT EXISTS certificate_enrollment ON certificate (enrollment, issued_at)",    \
        "CREATE INDEX IF NOT EXISTS certificate_poll ON certificate (poll)",                       \
        "CREATE INDEX IF NOT EXISTS certificate_revoked ON certificate (revoked_at) "              \
        "WHERE revoked_at > 0"
/* What is delivered stays for good, and its end means nothing: a sweep that passes it each time
 * would take longer with every device. */
#define INDEX_ENROLLMENT                                                                           \
    "CREATE INDEX IF NOT EXISTS enrollment_open ON enrollment (expires_at) "                       \
    "WHERE state <> 'delivered'"
/* By what an MDM server knows of a device. Only what is delivered is asked for so. */
#define INDEX_DEVICE                                                                               \
    "CREATE INDEX IF NOT EXISTS enrollment_udid ON enrollment (udid) "                             \
    "WHERE state = 'delivered'",                                                                   \
        "CREATE INDEX IF NOT EXISTS enrollment_serial ON enrollment (serial) "                     \
        "WHERE state = 'delivered'"
/* What a user has of something of which there is only so much: one row for each place taken. Two
 * cannot take the same place, so no more are ever taken than there are places. */
#define CREATE_CLAIM                                                                               \
    "CREATE TABLE IF NOT EXISTS claim ("                                                           \
    "site VARCHAR(64) NOT NULL, "                                                                  \
    "kind VARCHAR(16) NOT NULL, "                                                                  \
    "user_name TEXT NOT NULL, "                                                                    \
    "place BIGINT NOT NULL, "                                                                      \
    "holder TEXT NOT NULL, "                                                                       \
    "enrollment VARCHAR(32) NOT NULL, "                                                            \
    "taken_at BIGINT NOT NULL, "                                                                   \
    "PRIMARY KEY (site, kind, user_name, place), "                                                 \
    "UNIQUE (site, kind, user_name, holder))",                                                     \
        "CREATE INDEX IF NOT EXISTS claim_holder ON claim (site, kind, holder)",                   \
        "CREATE INDEX IF NOT EXISTS claim_enrollment ON claim (enrollment)"
/* What the site has yet to be told. */
#define CREATE_NOTIFICATION                                                                        \
    "CREATE TABLE IF NOT EXISTS notification ("                                                    \
    "id VARCHAR(32) NOT NULL PRIMARY KEY, "                                                        \
    "site VARCHAR(64) NOT NULL, "                                                                  \
    "event VARCHAR(16) NOT NULL, "                                                                 \
    "enrollment VARCHAR(32) NOT NULL, "                                                            \
    "body TEXT NOT NULL, "                                                                         \
    "created_at BIGINT NOT NULL, "                                                                 \
    "due_at BIGINT NOT NULL, "                                                                     \
    "tries BIGINT NOT NULL DEFAULT 0)",                                                            \
        "CREATE INDEX IF NOT EXISTS notification_due ON notification (site, due_at)"
#define VERSION(number)                                                                            \
    "INSERT INTO mdm_schema (version) VALUES (" APR_STRINGIFY(number) ") ON CONFLICT DO NOTHING"

static const char *const ddl[] = {
    "CREATE TABLE IF NOT EXISTS enrollment ("
    "id VARCHAR(32) NOT NULL PRIMARY KEY, "
    "flow VARCHAR(16) NOT NULL, "
    "site VARCHAR(64) NOT NULL, "
    "rules VARCHAR(64) NOT NULL, "
    "state VARCHAR(16) NOT NULL, "
    "user_name TEXT NOT NULL, "
    "udid TEXT NOT NULL, "
    "serial TEXT NOT NULL, "
    "product TEXT NOT NULL, "
    "os_version TEXT NOT NULL, "
    "device_fingerprint VARCHAR(64) NOT NULL, "
    "identity_fingerprint VARCHAR(64) NOT NULL, "
    "created_at BIGINT NOT NULL, "
    "updated_at BIGINT NOT NULL, "
    "expires_at BIGINT NOT NULL, "
    "last_refusal VARCHAR(16) NOT NULL DEFAULT '', "
    "refused_at BIGINT NOT NULL DEFAULT 0, "
    "signed_at BIGINT NOT NULL DEFAULT 0, "
    "terms TEXT NOT NULL DEFAULT '')",
    INDEX_ENROLLMENT,
    INDEX_DEVICE,
    "CREATE INDEX IF NOT EXISTS enrollment_user ON enrollment (user_name, state, expires_at)",

    "CREATE TABLE IF NOT EXISTS challenge ("
    "hash VARCHAR(64) NOT NULL PRIMARY KEY, "
    "enrollment VARCHAR(32) NOT NULL, "
    "purpose VARCHAR(16) NOT NULL, "
    "expires_at BIGINT NOT NULL, "
    "used_at BIGINT NOT NULL, "
    "used_for VARCHAR(64) NOT NULL, "
    "uses BIGINT NOT NULL DEFAULT 0)",
    "CREATE INDEX IF NOT EXISTS challenge_enrollment ON challenge (enrollment)",
    "CREATE INDEX IF NOT EXISTS challenge_expires ON challenge (expires_at)",

    CREATE_CERTIFICATE,
    INDEX_CERTIFICATE,
    CREATE_CLAIM,
    CREATE_NOTIFICATION,

    "CREATE TABLE IF NOT EXISTS mdm_schema (version BIGINT NOT NULL PRIMARY KEY)",
    VERSION(MDM_STORE_SCHEMA_VERSION),
    NULL};

/* Serial numbers are one issuer's from here on. Whose the old ones are is not known. */
static const char *const from_1_to_2[] = {
    "ALTER TABLE challenge ADD COLUMN uses BIGINT NOT NULL DEFAULT 0",
    "UPDATE challenge SET uses = 1 WHERE used_at > 0",
    "DROP INDEX IF EXISTS enrollment_expires",
    INDEX_ENROLLMENT,
    "DROP INDEX IF EXISTS certificate_enrollment",
    "ALTER TABLE certificate RENAME TO certificate_1",
    CREATE_CERTIFICATE,
    INDEX_CERTIFICATE,
    "INSERT INTO certificate (serial, issuer, enrollment, purpose, request, poll, authority, "
    "fingerprint, der, not_before, not_after, issued_at, revoked_at) "
    "SELECT serial, '', enrollment, purpose, request, '', '', fingerprint, der, not_before, "
    "not_after, issued_at, revoked_at FROM certificate_1",
    "DROP TABLE certificate_1",
    VERSION(2),
    NULL};

/* Devices come back for updates, users have limits, and the site is told. */
static const char *const from_2_to_3[] = {
    "ALTER TABLE enrollment ADD COLUMN signed_at BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE enrollment ADD COLUMN terms TEXT NOT NULL DEFAULT ''",
    INDEX_DEVICE,
    CREATE_CLAIM,
    CREATE_NOTIFICATION,
    VERSION(3),
    NULL};

static const char *const *const upgrades[MDM_STORE_SCHEMA_VERSION] = {
    [1] = from_1_to_2, [2] = from_2_to_3};

const mdm_dbd_schema_t mdm_store_schema = {ddl, upgrades, MDM_STORE_SCHEMA_VERSION};
