/* SPDX-License-Identifier: Apache-2.0
 * A file with serial numbers of devices, one a line, read again whenever it changed. Depends on APR
 * and core's mdm_result and mdm_device.
 *
 * Blanks around a number, blank lines, and what follows a "#" do not count; neither does a byte
 * order mark, nor the case of ASCII's letters. A number is 1 to MDM_DEVICE_MAX_IDENTIFIER
 * characters of printable ASCII without blanks, commas, semicolons and quotes: a table with more
 * columns is no list, since nobody could tell which column is meant. An empty file is none, either:
 * it is what remains of one whose writer failed. A list that is to name no device has a comment.
 */
#ifndef MDM_SERIAL_FILE_H
#define MDM_SERIAL_FILE_H

#include <apr_pools.h>

#include "../core/mdm_result.h"

/* Longest file, in bytes: more than a million numbers. */
#define MDM_SERIAL_FILE_BYTES (16 * 1024 * 1024)

/* So long, in seconds, a change may take to be seen. */
#define MDM_SERIAL_FILE_SECONDS 1

typedef struct mdm_serial_file_t mdm_serial_file_t;

/* For one process, before it has threads; owned by p, usable by all threads. Nothing is read yet.
 * NULL if there is no mutex to be had. */
mdm_serial_file_t *mdm_serial_file_create(apr_pool_t *p, const char *path);

/* Is a number in the file as it is now, and how many are in it? Where the file cannot be read, or
 * is no list, that is MDM_MSG_SERIAL_LIST, whatever was in it before: nobody could tell what is
 * missing in the old list. */
mdm_result_t mdm_serial_file_find(mdm_serial_file_t *file, apr_pool_t *p, const char *serial,
                                  int *found, apr_size_t *count);

#endif
