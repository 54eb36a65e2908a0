/* SPDX-License-Identifier: Apache-2.0
 * The administrator's view of the store: rows as they stand, by what an administrator knows of
 * them, and their end. Depends on dbd_handle and store_schema.
 *
 * An enrollment is ended by an expires_at that lies before its updated_at, which no other writer
 * makes: the row can move on no more, and updated_at says since when.
 */
#ifndef MDM_STORE_ADMIN_H
#define MDM_STORE_ADMIN_H

#include <apr_pools.h>

#include "../core/mdm_result.h"
#include "dbd_handle.h"

/* For mdm_dbd_open(): tables of this version are used as they are. Others are neither made nor
 * upgraded, since that is the module's part, which knows that no older one is running. */
extern const mdm_dbd_schema_t mdm_store_admin_schema;

/* By how much the clocks of the machines on one store may differ, in seconds: what ends now ends so
 * long ago, so that it is over for each of them. */
#define MDM_ADMIN_CLOCKS_DIFFER 3600

/* Rows. Strings are never NULL. Times are seconds since 1970, UTC; 0 is "never". */
typedef struct mdm_admin_enrollment_t {
    const char *id;
    const char *flow;
    const char *state; /* as it is stored, also a word that this program does not know */
    const char *user;
    const char *udid;
    const char *serial;
    const char *product;
    const char *os_version;
    const char *device_fingerprint;
    const char *identity_fingerprint;
    const char *last_refusal; /* message id, "" for none */
    apr_int64_t created_at;
    apr_int64_t updated_at;
    apr_int64_t expires_at;
    apr_int64_t refused_at;
    apr_int64_t live; /* certificates of it that are neither revoked nor expired */
} mdm_admin_enrollment_t;

typedef struct mdm_admin_challenge_t {
    const char *purpose; /* never the hash */
    apr_int64_t expires_at;
    apr_int64_t used_at;
    apr_int64_t uses;
    /* spent for a request whose certificate is not recorded: one is perhaps being issued just now
     */
    int pending;
} mdm_admin_challenge_t;

typedef struct mdm_admin_certificate_t {
    const char *serial;
    const char *issuer; /* key id of the CA; "": not known */
    const char *enrollment;
    const char *purpose;
    const char *fingerprint;
    const char *user; /* of its enrollment, as the next three; "" if that is swept */
    const char *udid;
    const char *device_serial;
    const char *der; /* base64; "" unless asked for */
    apr_int64_t not_before;
    apr_int64_t not_after;
    apr_int64_t issued_at;
    apr_int64_t revoked_at;
    apr_int64_t reason; /* CRLReason of RFC 5280 section 5.3.1 */
} mdm_admin_certificate_t;

/* 1 if an administrator ended it. */
int mdm_admin_ended(const mdm_admin_enrollment_t *row);

/* 1 if it still waits for a device at a time: neither delivered, nor ended, nor over. */
int mdm_admin_waiting(const mdm_admin_enrollment_t *row, apr_int64_t now);

/* What rows are wanted: all that is not NULL or 0 must hold. */
typedef struct mdm_admin_filter_t {
    const char *enrollment; /* id */
    const char *user;       /* exactly */
    const char *device;     /* UDID or serial number, in any case */
    apr_int64_t limit;      /* no more rows than this */
    apr_int64_t since;      /* the enrollment was changed, or the certificate issued, no earlier */

    const char *state; /* of enrollments: a state, or "revoked": ended by an administrator */
    int refused;       /* policy or directory refused its last attempt */

    const char *serial;      /* of certificates: lower-case hexadecimal */
    const char *fingerprint; /* lower-case hexadecimal */
    const char *issuer;      /* begin of a key id */
    int live;                /* neither revoked nor expired */
    int with_der;
} mdm_admin_filter_t;

/* Take one row; it and p live for the call only. The store may not be used meanwhile. 0: no more
 * are wanted. */
typedef int mdm_admin_enrollment_visit_t(void *baton, apr_pool_t *p,
                                         const mdm_admin_enrollment_t *row);
typedef int mdm_admin_certificate_visit_t(void *baton, apr_pool_t *p,
                                          const mdm_admin_certificate_t *row);
typedef int mdm_admin_challenge_visit_t(void *baton, apr_pool_t *p,
                                        const mdm_admin_challenge_t *row);
typedef int mdm_admin_user_visit_t(void *baton, apr_pool_t *p, const char *user);

/* Visit rows, newest first (by created_at, and by issued_at). They are read some thousand at a
 * time: memory does not grow with their number, and a row that comes in between is seen or not. now
 * decides what is live. p must live as long as the handle. MDM_MSG_STORE_UNAVAILABLE or _ROW. */
mdm_result_t mdm_admin_enrollments(mdm_dbd_handle_t *handle, apr_pool_t *p,
                                   const mdm_admin_filter_t *filter, apr_int64_t now,
                                   mdm_admin_enrollment_visit_t *visit, void *baton);
mdm_result_t mdm_admin_certificates(mdm_dbd_handle_t *handle, apr_pool_t *p,
                                    const mdm_admin_filter_t *filter, apr_int64_t now,
                                    mdm_admin_certificate_visit_t *visit, void *baton);

/* The challenges of an enrollment, oldest first. */
mdm_result_t mdm_admin_challenges(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *enrollment,
                                  mdm_admin_challenge_visit_t *visit, void *baton);

/* Users with enrollments whose name differs from user in the case of ASCII letters only. */
mdm_result_t mdm_admin_users_alike(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *user,
                                   mdm_admin_user_visit_t *visit, void *baton);

/* End an enrollment: its row, so that it cannot move on, then its challenges, so that no more are
 * spent. *changed says whether there was anything to end. What was issued is left to
 * mdm_admin_revoke(), which must come after: a request that was under way may have its certificate
 * recorded later, as long as one of mdm_admin_challenges() is pending. */
mdm_result_t mdm_admin_end(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *enrollment,
                           apr_int64_t now, int *changed);

/* Revoke a certificate unless it is revoked; *won is 1 if this call did. */
mdm_result_t mdm_admin_revoke(mdm_dbd_handle_t *handle, apr_pool_t *p, const char *fingerprint,
                              int reason, apr_int64_t now, int *won);

/* Give statements a minute instead of the seconds that httpd's requests have. */
mdm_result_t mdm_admin_be_patient(mdm_dbd_handle_t *handle, apr_pool_t *p);

#endif
