/* SPDX-License-Identifier: Apache-2.0
 * A look at DER or BER before OpenSSL decodes it. Depends on APR only.
 */
#include "mdm_der.h"

#include <string.h>

#define CONSTRUCTED 0x20
#define LONG_TAG 0x1f
#define INDEFINITE 0x80
#define MAX_LENGTH_BYTES 4

/* Tag and length, taken off what is left. The content of a definite length is all there. */
static int take_header(mdm_der_t *left, unsigned char *tag, apr_size_t *len, int *indefinite)
{
    const unsigned char *at = left->bytes, *end = left->bytes + left->len;

    if (end - at < 2 || (at[0] & LONG_TAG) == LONG_TAG)
        return 0;
    *tag = *at++;
    *len = *at++;
    *indefinite = *len == INDEFINITE;
    if (*indefinite) {
        *len = 0;
        if (!(*tag & CONSTRUCTED))
            return 0;
    } else if (*len > INDEFINITE) {
        apr_size_t count = *len - INDEFINITE;
        if (count > MAX_LENGTH_BYTES || (apr_size_t)(end - at) < count)
            return 0;
        for (*len = 0; count > 0; count--)
            *len = *len << 8 | *at++;
    }
    if ((apr_size_t)(end - at) < *len)
        return 0;
    left->bytes = at;
    left->len = (apr_size_t)(end - at);
    return 1;
}

static void skip(mdm_der_t *left, apr_size_t len)
{
    left->bytes += len;
    left->len -= len;
}

/* To behind the end-of-contents octets of an indefinite length; its content ends before them. */
static int skip_indefinite(mdm_der_t *left, const unsigned char **content_end)
{
    apr_size_t depth = 1;

    while (depth > 0) {
        unsigned char tag;
        apr_size_t len;
        int indefinite;

        *content_end = left->bytes;
        if (!take_header(left, &tag, &len, &indefinite))
            return 0;
        if (indefinite)
            depth++;
        else if (tag == 0 && len == 0)
            depth--;
        else
            skip(left, len);
    }
    return 1;
}

mdm_der_t mdm_der_content(const void *bytes, apr_size_t len)
{
    return (mdm_der_t){0, bytes, len};
}

int mdm_der_next(mdm_der_t *left, mdm_der_t *element)
{
    mdm_der_t rest = *left;
    mdm_der_t found;
    const unsigned char *end;
    int indefinite;

    if (!take_header(&rest, &found.tag, &found.len, &indefinite))
        return 0;
    found.bytes = rest.bytes;
    if (indefinite) {
        if (!skip_indefinite(&rest, &end))
            return 0;
        found.len = (apr_size_t)(end - found.bytes);
    } else {
        skip(&rest, found.len);
    }
    *left = rest;
    *element = found;
    return 1;
}

int mdm_der_expect(mdm_der_t *left, unsigned char tag, mdm_der_t *element)
{
    mdm_der_t rest = *left;

    if (!mdm_der_next(&rest, element) || element->tag != tag)
        return 0;
    *left = rest;
    return 1;
}

int mdm_der_equal(const mdm_der_t *element, unsigned char tag, const void *content, apr_size_t len)
{
    return element->tag == tag && element->len == len && memcmp(element->bytes, content, len) == 0;
}

/* Whose content an element is does not matter: one follows the other, what contains others is
 * entered, what does not is skipped. */
int mdm_der_few(const void *bytes, apr_size_t len, int most)
{
    mdm_der_t left = mdm_der_content(bytes, len);

    for (int count = 0; left.len > 0; count++) {
        unsigned char tag;
        apr_size_t content;
        int indefinite;

        if (count == most || !take_header(&left, &tag, &content, &indefinite))
            return 0;
        if (!(tag & CONSTRUCTED))
            skip(&left, content);
    }
    return 1;
}
