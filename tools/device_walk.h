/* SPDX-License-Identifier: Apache-2.0
 * The walk of one device through an enrollment: login, phases 1 to 3, both SCEP rounds. Depends on
 * everything else in tools.
 */
#ifndef DEVICE_WALK_H
#define DEVICE_WALK_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "device_cms.h"
#include "device_http.h"
#include "device_report.h"
#include "mdm_x509.h"

/* Where to stop before the end. */
typedef enum {
    DEVICE_STOP_NEVER,
    DEVICE_STOP_PHASE1, /* the Profile Service profile is there */
    DEVICE_STOP_PHASE2, /* the SCEP payload of the identity is there */
    DEVICE_STOP_SCEP,   /* the identity is there */
    DEVICE_STOP_PHASE3  /* the enrollment profile is there */
} device_stop_t;

/* What the device says of itself; NULL: it does not. */
typedef struct device_facts_t {
    const char *udid;
    const char *serial;
    const char *product;
    const char *version;
    const char *os_version;
} device_facts_t;

/* The two keys that a device makes. */
#define DEVICE_KEYS 2

/* One device and what it was told to do; lives as long as the program. */
typedef struct device_walk_t {
    const char *url;
    const char *user;
    const char *password;
    int form;             /* log in by a form, not by HTTP Basic */
    int allow_unverified; /* go on where a device shows "Not Verified" */
    device_shape_t shape;
    device_stop_t stop;
    const char *identity_dir;
    const char *save_dir; /* NULL: messages are not kept */
    int keep_keys;        /* make the keys once, in pool, and store no identity */
    apr_pool_t *pool;
    EVP_PKEY *keys[DEVICE_KEYS];
    mdm_signer_t *builtin; /* the identity that the device was born with */
    X509_STORE *anchors;
    device_http_t *http;
    device_report_t report;
} device_walk_t;

/* Enroll once. p may be cleared between walks. */
device_result_t device_walk(device_walk_t *walk, apr_pool_t *p, const device_facts_t *facts);

/* Come back for an update, with what walk->identity_dir has of an enrollment, saying os_version
 * unless it is NULL; the new identity for the MDM server is stored there, and the one before it
 * kept. Of the walk, what is about a login is not used. */
device_result_t device_walk_update(device_walk_t *walk, apr_pool_t *p, const char *os_version);

#endif
