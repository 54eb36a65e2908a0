/* SPDX-License-Identifier: Apache-2.0
 * A look at DER or BER (X.690) before OpenSSL decodes it: what is how often in it. Reads nothing
 * but tags and lengths, allocates nothing. Depends on APR only.
 */
#ifndef MDM_DER_H
#define MDM_DER_H

#include <apr.h>

/* Tags, as the first byte of an element. Those of more than one byte are not read: nothing that is
 * looked at here has any, and they would be a second way to write the others. */
#define MDM_DER_INTEGER 0x02
#define MDM_DER_BIT_STRING 0x03
#define MDM_DER_OID 0x06
#define MDM_DER_SEQUENCE 0x30
#define MDM_DER_CONTEXT_0 0xa0 /* [0] and [1], constructed */
#define MDM_DER_CONTEXT_1 0xa1

/* One element: its tag and its content, or what is left of some content. Not owned. */
typedef struct mdm_der_t {
    unsigned char tag;
    const unsigned char *bytes;
    apr_size_t len;
} mdm_der_t;

/* Bytes to read elements from. */
mdm_der_t mdm_der_content(const void *bytes, apr_size_t len);

/* Take the first element off what is left. 0, and nothing taken, if there is none that is whole.
 * Indefinite lengths pass (X.690 section 8.1.3.6); the end-of-contents octets are no part of the
 * content. Linear in the length of the element, whatever its nesting. */
int mdm_der_next(mdm_der_t *left, mdm_der_t *element);

/* The same for an element that must have that tag. */
int mdm_der_expect(mdm_der_t *left, unsigned char tag, mdm_der_t *element);

/* 1 if the element has that tag and exactly this content. */
int mdm_der_equal(const mdm_der_t *element, unsigned char tag, const void *content, apr_size_t len);

/* 1 if there are at most so many elements in these bytes, at whatever depth, and all can be read as
 * far as tags and lengths go: a bound of what decoding them costs. End-of-contents octets count.
 * Linear. */
int mdm_der_few(const void *bytes, apr_size_t len, int most);

#endif
