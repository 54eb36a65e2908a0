/* SPDX-License-Identifier: Apache-2.0
 * Attributes of the directory as variables of a request.
 */
#include "directory_request.h"

#include <apr_strings.h>
#include <http_log.h>

#include "directory_attributes.h"
#include "http.h"

APLOG_USE_MODULE(mdm_enroll);

mdm_result_t mdm_directory_request_check(void *context, apr_pool_t *p, const char *user,
                                         apr_table_t *attributes)
{
    const mdm_directory_request_t *request = context;
    request_rec *r = request->r;
    /* Variables outlive p. */
    apr_table_t *values = apr_table_make(r->pool, request->attributes->nelts);
    mdm_result_t result = request->directory->check(request->directory->context, p, user, values);
    int i;

    for (i = 0; i < request->attributes->nelts; i++) {
        const mdm_ldap_attribute_t *one =
            &APR_ARRAY_IDX(request->attributes, i, mdm_ldap_attribute_t);
        const char *value = apr_table_get(values, one->variable);

        mdm_http_variable(r, one->variable, value ? apr_pstrdup(r->pool, value) : NULL);
        if (attributes && value)
            apr_table_set(attributes, one->variable, value);
        if (!value && result.kind == MDM_OK)
            ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                          "directory: user %s has no %s that is text of at most %d bytes: %s is "
                          "empty",
                          mdm_result_quote_text(p, user), one->name, MDM_LDAP_MAX_BYTES,
                          one->variable);
    }
    return result;
}
