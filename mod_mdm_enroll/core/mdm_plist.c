/* SPDX-License-Identifier: Apache-2.0
 * Property lists by libplist, with pool ownership. The only file that includes it; keeps to the
 * functions that libplist 2.2 and its successors have in common. Depends on mdm_xml, mdm_result.
 */
#include "mdm_plist.h"

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <plist/plist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mdm_xml.h"

struct mdm_plist_t {
    plist_t node;
    apr_pool_t *pool; /* wrappers of members are made in it */
    int root;         /* the pool frees the node */
};

static apr_status_t free_root(void *data)
{
    mdm_plist_t *root = data;
    plist_free(root->node);
    return APR_SUCCESS;
}

static mdm_plist_t *wrap(apr_pool_t *p, plist_t node, int root)
{
    if (!node)
        return NULL;
    mdm_plist_t *wrapper = apr_palloc(p, sizeof(*wrapper));
    *wrapper = (mdm_plist_t){node, p, root};
    if (root)
        apr_pool_cleanup_register(p, wrapper, free_root, apr_pool_cleanup_null);
    return wrapper;
}

/* The node, to be given to another one. What already belongs to another is copied: libplist would
 * leave it in both and free it twice. */
static plist_t give_up(mdm_plist_t *child)
{
    if (!child->root)
        return plist_copy(child->node);
    apr_pool_cleanup_kill(child->pool, child, free_root);
    child->root = 0;
    return child->node;
}

mdm_plist_t *mdm_plist_dict(apr_pool_t *p)
{
    return wrap(p, plist_new_dict(), 1);
}

mdm_plist_t *mdm_plist_array(apr_pool_t *p)
{
    return wrap(p, plist_new_array(), 1);
}

void mdm_plist_set_string(mdm_plist_t *dict, const char *key, const char *value)
{
    plist_dict_set_item(dict->node, key, plist_new_string(value));
}

void mdm_plist_set_integer(mdm_plist_t *dict, const char *key, apr_uint64_t value)
{
    plist_dict_set_item(dict->node, key, plist_new_uint(value));
}

void mdm_plist_set_real(mdm_plist_t *dict, const char *key, double value)
{
    plist_dict_set_item(dict->node, key, plist_new_real(value));
}

void mdm_plist_set_boolean(mdm_plist_t *dict, const char *key, int value)
{
    plist_dict_set_item(dict->node, key, plist_new_bool(value != 0));
}

/* plist_new_date() ends in 2069 and is deprecated since 2.7, its successor new in 2.7; what has
 * always worked for every year is the parser. */
void mdm_plist_set_date(mdm_plist_t *dict, const char *key, apr_int64_t seconds_since_1970_utc)
{
    static const apr_int64_t year_9999 = 253402300799;
    apr_int64_t seconds = seconds_since_1970_utc < 0 ? 0 : seconds_since_1970_utc;
    time_t when = (time_t)(seconds > year_9999 ? year_9999 : seconds);
    struct tm tm;
    char xml[80];
    plist_t date = NULL;

    gmtime_r(&when, &tm);
    size_t len = strftime(xml, sizeof(xml), "<plist><date>%Y-%m-%dT%H:%M:%SZ</date></plist>", &tm);
    plist_from_xml(xml, (uint32_t)len, &date);
    plist_dict_set_item(dict->node, key, date);
}

void mdm_plist_set_data(mdm_plist_t *dict, const char *key, const void *bytes, apr_size_t len)
{
    plist_dict_set_item(dict->node, key, plist_new_data(len ? bytes : "", len));
}

void mdm_plist_set(mdm_plist_t *dict, const char *key, mdm_plist_t *child)
{
    plist_dict_set_item(dict->node, key, give_up(child));
}

void mdm_plist_append(mdm_plist_t *array, mdm_plist_t *child)
{
    plist_array_append_item(array->node, give_up(child));
}

void mdm_plist_append_string(mdm_plist_t *array, const char *value)
{
    plist_array_append_item(array->node, plist_new_string(value));
}

void mdm_plist_wipe_string(mdm_plist_t *dict, const char *key)
{
    plist_t node = plist_dict_get_item(dict->node, key);
    uint64_t len = 0;

    if (node != NULL && plist_get_node_type(node) == PLIST_STRING)
        OPENSSL_cleanse((char *)plist_get_string_ptr(node, &len), len);
}

const char *mdm_plist_to_xml(apr_pool_t *p, const mdm_plist_t *node, apr_size_t *len)
{
    char *xml = NULL;
    uint32_t xml_len = 0;

    plist_to_xml(node->node, &xml, &xml_len);
    if (!xml)
        return NULL;
    const char *copy = apr_pstrmemdup(p, xml, xml_len);
    OPENSSL_cleanse(xml, xml_len);
    free(xml);
    *len = xml_len;
    return copy;
}

int mdm_plist_text_ok(const char *text)
{
    apr_size_t len = strlen(text);
    while (len > 0) {
        apr_size_t size = mdm_xml_char(text, len);
        /* libplist writes a carriage return as it is, and readers turn it into a line feed (XML 1.0
         * section 2.11) */
        if (size == 0 || *text == '\r')
            return 0;
        text += size;
        len -= size;
    }
    return 1;
}

/* What libplist made of a document. The depth was bounded before. */
static void count_nodes(plist_t node, mdm_xml_counts_t *counts)
{
    plist_dict_iter iter = NULL;
    plist_t value = NULL;

    counts->values++;
    if (plist_get_node_type(node) == PLIST_ARRAY) {
        for (uint32_t i = 0; i < plist_array_get_size(node); i++)
            count_nodes(plist_array_get_item(node, i), counts);
    } else if (plist_get_node_type(node) == PLIST_DICT) {
        plist_dict_new_iter(node, &iter);
        for (;;) {
            plist_dict_next_item(node, iter, NULL, &value);
            if (!value)
                break;
            counts->keys++;
            count_nodes(value, counts);
        }
        free(iter);
    }
}

mdm_result_t mdm_plist_parse(apr_pool_t *p, const char *data, apr_size_t len, mdm_plist_t **root)
{
    return mdm_plist_parse_up_to(p, data, len, MDM_PLIST_MAX_BYTES, root);
}

mdm_result_t mdm_plist_parse_up_to(apr_pool_t *p, const char *data, apr_size_t len,
                                   apr_size_t max_bytes, mdm_plist_t **root)
{
    mdm_xml_counts_t written;
    mdm_xml_counts_t read = {0, 0};
    plist_t node = NULL;

    if (len == 0 || len > max_bytes) {
        return mdm_result_make(p, MDM_MSG_PLIST_FORMAT,
                               "a property list of %" APR_SIZE_T_FMT
                               " bytes, wanted 1 to %" APR_SIZE_T_FMT,
                               len, max_bytes);
    }
    if (len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
        data += 3; /* libplist does not know the byte order mark */
        len -= 3;
    }
    const char *text = apr_pstrmemdup(p, data, len);
    mdm_result_t r = mdm_xml_check(p, text, len, MDM_PLIST_MAX_DEPTH, &written);
    if (r.kind != MDM_OK)
        return r;
    plist_from_xml(text, (uint32_t)len, &node);
    mdm_plist_t *parsed = wrap(p, node, 1);
    if (!parsed) {
        return mdm_result_make(p, MDM_MSG_PLIST_FORMAT,
                               "libplist does not take the content for a property list");
    }
    count_nodes(node, &read);
    if (read.keys != written.keys || read.values != written.values) {
        return mdm_result_make(p, MDM_MSG_PLIST_STRUCTURE,
                               "a key occurs twice: %u keys and %u values written, %u and %u read",
                               written.keys, written.values, read.keys, read.values);
    }
    *root = parsed;
    return mdm_result_ok();
}

mdm_plist_t *mdm_plist_reread(apr_pool_t *p, const char *xml, apr_size_t len)
{
    plist_t node = NULL;

    plist_from_xml(xml, (uint32_t)len, &node);
    return wrap(p, node, 1);
}

mdm_plist_type_t mdm_plist_type(const mdm_plist_t *node)
{
    switch (plist_get_node_type(node->node)) {
    case PLIST_STRING:
        return MDM_PLIST_STRING;
    case PLIST_UINT:
        return MDM_PLIST_INTEGER;
    case PLIST_REAL:
        return MDM_PLIST_REAL;
    case PLIST_BOOLEAN:
        return MDM_PLIST_BOOLEAN;
    case PLIST_DATE:
        return MDM_PLIST_DATE;
    case PLIST_DATA:
        return MDM_PLIST_DATA;
    case PLIST_ARRAY:
        return MDM_PLIST_ARRAY;
    case PLIST_DICT:
        return MDM_PLIST_DICT;
    default:
        return MDM_PLIST_OTHER;
    }
}

static int is_type(const mdm_plist_t *node, mdm_plist_type_t type)
{
    return node && mdm_plist_type(node) == type;
}

mdm_plist_t *mdm_plist_get(const mdm_plist_t *node, const char *key)
{
    return is_type(node, MDM_PLIST_DICT) ? wrap(node->pool, plist_dict_get_item(node->node, key), 0)
                                         : NULL;
}

apr_size_t mdm_plist_size(const mdm_plist_t *node)
{
    return !node ? 0 : plist_array_get_size(node->node) + plist_dict_get_size(node->node);
}

mdm_plist_t *mdm_plist_item(const mdm_plist_t *array, apr_size_t i)
{
    if (!is_type(array, MDM_PLIST_ARRAY) || i >= plist_array_get_size(array->node))
        return NULL;
    return wrap(array->pool, plist_array_get_item(array->node, (uint32_t)i), 0);
}

int mdm_plist_each(const mdm_plist_t *dict,
                   int (*visit)(void *ctx, const char *key, mdm_plist_t *value), void *ctx)
{
    plist_dict_iter iter = NULL;
    int done = 0;

    if (!is_type(dict, MDM_PLIST_DICT))
        return 0;
    plist_dict_new_iter(dict->node, &iter);
    while (!done) {
        char *key = NULL;
        plist_t value = NULL;
        plist_dict_next_item(dict->node, iter, &key, &value);
        if (!value)
            break;
        done = visit(ctx, key, wrap(dict->pool, value, 0));
        free(key);
    }
    free(iter);
    return done;
}

const char *mdm_plist_string(const mdm_plist_t *node)
{
    return is_type(node, MDM_PLIST_STRING) ? plist_get_string_ptr(node->node, NULL) : NULL;
}

const char *mdm_plist_data(const mdm_plist_t *node, apr_size_t *len)
{
    uint64_t data_len = 0;

    if (!is_type(node, MDM_PLIST_DATA))
        return NULL;
    const char *data = plist_get_data_ptr(node->node, &data_len);
    *len = (apr_size_t)data_len;
    return data ? data : ""; /* libplist has no buffer for an empty <data/> */
}

/* libplist 2.2 gives negative numbers as their two's complement; mdm_xml lets no other number with
 * that bit through. */
static apr_int64_t signed_integer(const mdm_plist_t *node)
{
    uint64_t bits = 0;
    plist_get_uint_val(node->node, &bits);
    return (apr_int64_t)bits;
}

int mdm_plist_integer(const mdm_plist_t *node, apr_uint64_t *value)
{
    if (!is_type(node, MDM_PLIST_INTEGER) || signed_integer(node) < 0)
        return 0;
    *value = (apr_uint64_t)signed_integer(node);
    return 1;
}

int mdm_plist_boolean(const mdm_plist_t *node, int *value)
{
    uint8_t boolean = 0;

    if (!is_type(node, MDM_PLIST_BOOLEAN))
        return 0;
    plist_get_bool_val(node->node, &boolean);
    *value = boolean != 0;
    return 1;
}

const char *mdm_plist_text(apr_pool_t *p, const mdm_plist_t *node)
{
    char number[32];
    apr_size_t len = 0;
    double real = 0;
    int boolean = 0;

    switch (node ? mdm_plist_type(node) : MDM_PLIST_OTHER) {
    case MDM_PLIST_STRING:
        return apr_pstrdup(p, mdm_plist_string(node));
    case MDM_PLIST_DATA: {
        const char *data = mdm_plist_data(node, &len);
        return memchr(data, '\0', len) ? NULL : apr_pstrmemdup(p, data, len);
    }
    case MDM_PLIST_INTEGER:
        return apr_psprintf(p, "%" APR_INT64_T_FMT, signed_integer(node));
    case MDM_PLIST_REAL:
        plist_get_real_val(node->node, &real);
        /* apr_psprintf() writes .5 */
        snprintf(number, sizeof(number), "%.15g", real);
        return apr_pstrdup(p, number);
    case MDM_PLIST_BOOLEAN:
        mdm_plist_boolean(node, &boolean);
        return boolean ? "true" : "false";
    default:
        return NULL;
    }
}
