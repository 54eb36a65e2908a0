/* SPDX-License-Identifier: Apache-2.0
 * Whether bytes are a well-formed XML property list within limits. Depends on mdm_result.
 */
#include "mdm_xml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WHITE " \t\r\n"
#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

typedef enum { NODE_PLIST, NODE_DICT, NODE_ARRAY, NODE_KEY, NODE_TEXT, NODE_EMPTY } node_kind_t;

typedef struct node_t {
    const char *name;
    node_kind_t kind;
} node_t;

static const node_t nodes[] = {
    {"plist", NODE_PLIST}, {"dict", NODE_DICT},    {"array", NODE_ARRAY}, {"key", NODE_KEY},
    {"string", NODE_TEXT}, {"integer", NODE_TEXT}, {"real", NODE_TEXT},   {"date", NODE_TEXT},
    {"data", NODE_TEXT},   {"true", NODE_EMPTY},   {"false", NODE_EMPTY},
};

/* An element that is open, and how many children it has had. */
typedef struct level_t {
    const node_t *node;
    unsigned int children;
} level_t;

typedef struct scan_t {
    const char *start;
    const char *at;
    const char *end; /* a NUL stands here: the str* functions never run past it */
    level_t *stack;
    unsigned int depth;
    unsigned int max_depth;
    mdm_xml_counts_t counts;
    mdm_message_t message;
    const char *why;
} scan_t;

static int fail(scan_t *s, const char *why)
{
    s->message = MDM_MSG_PLIST_FORMAT;
    s->why = why;
    return 0;
}

static int fail_structure(scan_t *s, const char *why)
{
    s->message = MDM_MSG_PLIST_STRUCTURE;
    s->why = why;
    return 0;
}

static int is_xml_code(unsigned long code)
{
    return code == 0x9 || code == 0xA || code == 0xD || (code >= 0x20 && code <= 0xD7FF) ||
           (code >= 0xE000 && code <= 0xFFFD) || (code >= 0x10000 && code <= 0x10FFFF);
}

apr_size_t mdm_xml_char(const char *text, apr_size_t len)
{
    static const unsigned long smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)text;

    if (len == 0)
        return 0;
    apr_size_t size = u[0] < 0x80             ? 1
                      : (u[0] & 0xE0) == 0xC0 ? 2
                      : (u[0] & 0xF0) == 0xE0 ? 3
                      : (u[0] & 0xF8) == 0xF0 ? 4
                                              : 0;
    if (size == 0 || size > len)
        return 0;
    unsigned long code = size == 1 ? u[0] : u[0] & (0x7Fu >> size);
    for (apr_size_t i = 1; i < size; i++) {
        if ((u[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (u[i] & 0x3F);
    }
    return code >= smallest[size] && is_xml_code(code) ? size : 0;
}

static int looking_at(const scan_t *s, const char *text)
{
    return strncmp(s->at, text, strlen(text)) == 0;
}

static void skip_white(scan_t *s)
{
    s->at += strspn(s->at, WHITE);
}

/* Up to and with the next occurrence of text. */
static int skip_past(scan_t *s, const char *text)
{
    const char *found = strstr(s->at, text);
    if (!found)
        return fail(s, "the document ends early");
    s->at = found + strlen(text);
    return 1;
}

/* Whether [from, to) has no character of refused and closes every double quote. libplist pairs
 * double quotes only and looks for the end of markup outside of them: so there must be none that it
 * could pair differently. */
static int plain_markup(const char *from, const char *to, const char *refused)
{
    unsigned int quotes = 0;
    for (const char *c = from; c < to; c++) {
        if (strchr(refused, *c))
            return 0;
        quotes += *c == '"';
    }
    return quotes % 2 == 0;
}

/* encoding="UTF-8", or no encoding at all, in an XML declaration. */
static int encoding_ok(const char *from, const char *to)
{
    const char *at = strstr(from, "encoding");
    if (!at || at >= to)
        return 1;
    at += strlen("encoding");
    at += strspn(at, WHITE);
    if (*at++ != '=')
        return 0;
    at += strspn(at, WHITE);
    return strncasecmp(at, "\"UTF-8\"", 7) == 0 || strncasecmp(at, "'UTF-8'", 7) == 0;
}

static int scan_declaration(scan_t *s)
{
    const char *from = s->at;
    if (!looking_at(s, "<?xml"))
        return 1;
    s->at += strlen("<?xml");
    if (!strchr(WHITE, *s->at))
        return fail(s, "a processing instruction");
    if (!skip_past(s, "?>"))
        return 0;
    if (!plain_markup(from + 1, s->at, "<"))
        return fail(s, "a malformed XML declaration");
    if (!encoding_ok(from, s->at))
        return fail(s, "an encoding other than UTF-8");
    return 1;
}

static int scan_doctype(scan_t *s)
{
    s->at += strlen("<!DOCTYPE");
    const char *from = s->at;
    if (!strchr(WHITE, *s->at))
        return fail(s, "a malformed document type");
    skip_white(s);
    if (!looking_at(s, "plist") || !strchr(WHITE ">", s->at[strlen("plist")]))
        return fail(s, "a document type other than plist");
    if (!skip_past(s, ">"))
        return 0;
    if (!plain_markup(from, s->at, "[<'"))
        return fail(s, "a document type with declarations of its own");
    return 1;
}

/* Comments, and white space around them. */
static int scan_comments(scan_t *s)
{
    skip_white(s);
    while (looking_at(s, "<!--")) {
        s->at += strlen("<!--");
        if (!skip_past(s, "-->"))
            return 0;
        skip_white(s);
    }
    return 1;
}

static int scan_prolog(scan_t *s)
{
    if (strncmp(s->at, "bplist", strlen("bplist")) == 0)
        return fail(s, "a binary property list");
    skip_white(s);
    if (!scan_declaration(s) || !scan_comments(s))
        return 0;
    if (looking_at(s, "<!DOCTYPE"))
        return scan_doctype(s) && scan_comments(s);
    return 1;
}

/* A reference behind '&'. libplist takes "&ampersand;" for "&" and makes bytes that are no UTF-8 of
 * surrogates. */
static int scan_reference(scan_t *s)
{
    static const char *const predefined[] = {"amp;", "lt;", "gt;", "quot;", "apos;"};
    for (apr_size_t i = 0; i < sizeof(predefined) / sizeof(predefined[0]); i++) {
        if (looking_at(s, predefined[i])) {
            s->at += strlen(predefined[i]);
            return 1;
        }
    }
    if (*s->at == '#') {
        int hex = s->at[1] == 'x';
        const char *digits = s->at + 1 + hex;
        size_t count = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
        if (count > 0 && count <= 7 && digits[count] == ';' &&
            is_xml_code(strtoul(digits, NULL, hex ? 16 : 10))) {
            s->at = digits + count + 1;
            return 1;
        }
    }
    return fail(s, "an entity or character reference that is not accepted");
}

/* What an <integer> holds; a leading zero would be octal to libplist. */
static int integer_ok(const char *from, const char *to)
{
    from += strspn(from, WHITE);
    const char *digits = from + (*from == '-' || *from == '+');
    size_t count = strspn(digits, "0123456789");
    const char *behind = digits + count + strspn(digits + count, WHITE);
    if (count == 0 || (count > 1 && *digits == '0') || behind != to)
        return 0;
    errno = 0;
    (void)strtoll(from, NULL, 10);
    return errno == 0;
}

/* The text of a scalar up to its closing tag. */
static int scan_text(scan_t *s, const node_t *node)
{
    const char *from = s->at;
    while (*s->at != '<') {
        if (s->at == s->end)
            return fail(s, "the document ends early");
        if (*s->at++ == '&' && !scan_reference(s))
            return 0;
    }
    if (strcmp(node->name, "integer") == 0 && !integer_ok(from, s->at))
        return fail(s, "an integer that is not accepted");
    if (strcmp(node->name, "data") == 0 && strspn(from, BASE64 WHITE) != (size_t)(s->at - from))
        return fail(s, "data that is not base64");
    return 1;
}

static const node_t *scan_name(scan_t *s)
{
    size_t len = strspn(s->at, "abcdefghijklmnopqrstuvwxyz");
    for (apr_size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (strlen(nodes[i].name) == len && strncmp(s->at, nodes[i].name, len) == 0) {
            s->at += len;
            return &nodes[i];
        }
    }
    fail(s, "an element that a property list does not have");
    return NULL;
}

static int scan_close(scan_t *s)
{
    const level_t *level = &s->stack[s->depth - 1];
    s->at += strlen("</");
    const node_t *node = scan_name(s);
    if (!node)
        return 0;
    skip_white(s);
    if (node != level->node || *s->at != '>')
        return fail(s, "a closing tag that does not fit");
    if (node->kind == NODE_DICT && level->children % 2 != 0)
        return fail_structure(s, "a key without a value");
    if (node->kind == NODE_PLIST && level->children != 1)
        return fail_structure(s, "a property list of other than one value");
    s->at++;
    s->depth--;
    return 1;
}

/* Whether an element may stand where it stands: one <plist>, keys and values taking turns in a
 * <dict>. */
static int place(scan_t *s, const node_t *node)
{
    if (s->depth >= s->max_depth)
        return fail_structure(s, "elements nested too deeply");
    if (s->counts.keys + s->counts.values >= MDM_XML_MAX_ELEMENTS)
        return fail_structure(s, "too many elements");
    if ((s->depth == 0) != (node->kind == NODE_PLIST))
        return fail(s, "<plist> is not the one outermost element");
    if (s->depth > 0) {
        level_t *parent = &s->stack[s->depth - 1];
        if (parent->node->kind == NODE_EMPTY)
            return fail(s, "markup within a value");
        int key_wanted = parent->node->kind == NODE_DICT && parent->children % 2 == 0;
        if (key_wanted != (node->kind == NODE_KEY))
            return fail_structure(s, "a key without a value, or a value without a key");
        parent->children++;
        *(node->kind == NODE_KEY ? &s->counts.keys : &s->counts.values) += 1;
    }
    return 1;
}

/* An opening or empty tag, and for a scalar its text and closing tag. */
static int scan_open(scan_t *s)
{
    s->at++;
    const node_t *node = scan_name(s);
    if (!node || !place(s, node))
        return 0;
    const char *from = s->at;
    if (node->kind == NODE_PLIST) {
        s->at += strcspn(s->at, "<>");
    } else {
        skip_white(s);
        s->at += *s->at == '/';
    }
    if (*s->at != '>' || !plain_markup(from, s->at, "'"))
        return fail(s, "a malformed tag");
    int empty = s->at[-1] == '/';
    s->at++;
    if (empty) {
        int may = node->kind != NODE_PLIST && node->kind != NODE_KEY &&
                  strcmp(node->name, "integer") != 0;
        return may || fail(s, "an empty element where there must be content");
    }
    s->stack[s->depth++] = (level_t){node, 0};
    if (node->kind == NODE_KEY || node->kind == NODE_TEXT) {
        return scan_text(s, node) && (looking_at(s, "</") || fail(s, "markup within a value")) &&
               scan_close(s);
    }
    return 1;
}

static int scan_elements(scan_t *s)
{
    do {
        if (!scan_comments(s))
            return 0;
        if (s->at == s->end)
            return fail(s, "the document ends early");
        if (*s->at != '<')
            return fail(s, "text where an element was expected");
        if (s->depth > 0 && looking_at(s, "</")) {
            if (!scan_close(s))
                return 0;
        } else if (!scan_open(s)) {
            return 0;
        }
    } while (s->depth > 0);
    if (!scan_comments(s))
        return 0;
    return s->at == s->end || fail(s, "something behind the property list");
}

static int scan_characters(scan_t *s)
{
    while (s->at < s->end) {
        apr_size_t size = mdm_xml_char(s->at, (apr_size_t)(s->end - s->at));
        if (size == 0)
            return fail(s, "bytes that are not UTF-8, or a character that XML does not have");
        s->at += size;
    }
    s->at = s->start;
    return 1;
}

mdm_result_t mdm_xml_check(apr_pool_t *p, const char *text, apr_size_t len, unsigned int max_depth,
                           mdm_xml_counts_t *counts)
{
    scan_t s = {.start = text,
                .at = text,
                .end = text + len,
                .stack = apr_palloc(p, max_depth * sizeof(level_t)),
                .max_depth = max_depth};

    if (!scan_characters(&s) || !scan_prolog(&s) || !scan_elements(&s)) {
        return mdm_result_make(p, s.message, "the content is not a property list: %s at byte %lu",
                               s.why, (unsigned long)(s.at - s.start));
    }
    *counts = s.counts;
    return mdm_result_ok();
}
