/* SPDX-License-Identifier: Apache-2.0
 * Base64, strict for what we wrote and lenient for queries. Depends on APR and OpenSSL.
 */
#include "mdm_base64.h"

#include <string.h>

#include <apr_lib.h>
#include <openssl/evp.h>

const char *mdm_base64_encode(apr_pool_t *p, const void *bytes, apr_size_t len)
{
    char *text = apr_palloc(p, (len + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
    return text;
}

/* len characters without padding. EVP_DecodeBlock() itself takes "=" anywhere. */
static const unsigned char *decode_unpadded(apr_pool_t *p, const char *text, apr_size_t len,
                                            apr_size_t *decoded)
{
    apr_size_t padded = (len + 3) / 4 * 4;
    unsigned char *padded_text, *bytes;

    if (len % 4 == 1)
        return NULL;
    for (apr_size_t i = 0; i < len; i++)
        if (!apr_isalnum(text[i]) && text[i] != '+' && text[i] != '/')
            return NULL;
    padded_text = apr_palloc(p, padded + 1);
    memset(padded_text, '=', padded);
    memcpy(padded_text, text, len);
    bytes = apr_palloc(p, padded / 4 * 3 + 1);
    if (EVP_DecodeBlock(bytes, padded_text, (int)padded) < 0)
        return NULL;
    *decoded = len * 3 / 4;
    return bytes;
}

static apr_size_t without_padding(const char *text, apr_size_t len)
{
    for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
        len--;
    return len;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)apr_tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const unsigned char *mdm_base64_decode(apr_pool_t *p, const char *text, apr_size_t *len)
{
    return decode_unpadded(p, text, without_padding(text, strlen(text)), len);
}

const char *mdm_base64_decode_query(apr_pool_t *p, const char *parameter,
                                    const unsigned char **bytes, apr_size_t *len)
{
    char *text = apr_palloc(p, strlen(parameter) + 1);
    apr_size_t n = 0;

    for (const char *c = parameter; *c != '\0'; c++) {
        int one = (unsigned char)*c;
        if (one == '%') {
            int high = hex_value(c[1]);
            int low = high < 0 ? -1 : hex_value(c[2]);
            if (low < 0)
                return "a broken % escape";
            one = high << 4 | low;
            c += 2;
        }
        if (one == '\r' || one == '\n' || one == '\t')
            continue;
        /* a blank is what a form decoder on the way makes of "+" */
        text[n++] = (char)(one == ' ' || one == '-' ? '+' : one == '_' ? '/' : one);
    }
    n = without_padding(text, n);
    *bytes = n > 0 ? decode_unpadded(p, text, n, len) : NULL;
    return *bytes != NULL ? NULL : "no base64";
}
