/* SPDX-License-Identifier: Apache-2.0
 * Whether bytes are a well-formed XML property list within limits, judged before libplist sees one
 * of them: it stops at the end of the first value, drops what it does not expect, and reads a
 * number as octal. Depends on mdm_result.
 */
#ifndef MDM_XML_H
#define MDM_XML_H

#include <apr_pools.h>

#include "mdm_result.h"

/* What a document holds, for comparison with what a parser made of it. */
typedef struct mdm_xml_counts_t {
    unsigned int keys;   /* <key> elements */
    unsigned int values; /* all other elements but <plist> */
} mdm_xml_counts_t;

/* Most elements in a document. */
#define MDM_XML_MAX_ELEMENTS 4096

/* One code point of UTF-8 that XML 1.0 section 2.2 allows, at most len bytes long: the number of
 * its bytes, 0 if there is none. */
apr_size_t mdm_xml_char(const char *text, apr_size_t len);

/* Accepted: UTF-8; an XML declaration; a document type "plist" without declarations of its own;
 * comments between elements; one <plist> around one value; the elements of Apple's DTD, with
 * attributes on <plist> only; the predefined entities and character references. Not accepted: CDATA
 * sections, comments within a value, processing instructions, integers that are not decimal or do
 * not fit into 63 bits and a sign. text must be NUL-terminated behind its len bytes.
 * MDM_MSG_PLIST_FORMAT or _STRUCTURE otherwise; the text for the log tells the offset, never the
 * content. */
mdm_result_t mdm_xml_check(apr_pool_t *p, const char *text, apr_size_t len, unsigned int max_depth,
                           mdm_xml_counts_t *counts);

#endif
