/* SPDX-License-Identifier: Apache-2.0
 * The keys and certificates of a simulated device: the folder that --identity names, and the test
 * CA that make-ca puts into it. Depends on device_report and core's mdm_x509.
 */
#ifndef DEVICE_IDENTITY_H
#define DEVICE_IDENTITY_H

#include <apr_pools.h>
#include <openssl/x509.h>

#include "device_report.h"
#include "mdm_key.h"

/* Make a test device CA and a leaf such as Apple's (RSA-1024, SHA-1, expired) in dir, which is made
 * if it is not there: device-ca.pem, device-ca.key, device.pem, device.key. Nothing is overwritten:
 * DEVICE_LOCAL if one of them is there. */
device_result_t device_identity_make_ca(apr_pool_t *p, const char *dir);

/* The built-in identity of dir: device.pem, device.key, and device-ca.pem as its chain. */
device_result_t device_identity_read(apr_pool_t *p, const char *dir, mdm_signer_t **signer);

/* A fresh RSA key, owned by p. */
device_result_t device_identity_make_key(apr_pool_t *p, int bits, EVP_PKEY **key);

/* Store certificate and key as NAME.pem and NAME.key in dir, replacing older ones. */
device_result_t device_identity_save(apr_pool_t *p, const char *dir, const char *name,
                                     const mdm_signer_t *signer);

/* Write a file with mode 0600; if it is there, replace it or, with exclusive, fail. */
device_result_t device_file_write(apr_pool_t *p, const char *path, int exclusive, const char *bytes,
                                  apr_size_t len);

/* Keep a message as dir/name; nothing if dir is NULL. */
device_result_t device_file_keep(apr_pool_t *p, const char *dir, const char *name,
                                 const char *bytes, apr_size_t len);

/* Make a folder for the user alone, if it is not there. */
device_result_t device_dir_make(apr_pool_t *p, const char *dir);

/* Read a whole file of at most max bytes; NUL-terminated. */
device_result_t device_file_read(apr_pool_t *p, const char *path, apr_size_t max,
                                 const char **bytes, apr_size_t *len);

/* A random UUID in upper case. */
const char *device_uuid(apr_pool_t *p);

#endif
