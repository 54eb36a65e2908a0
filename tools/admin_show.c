/* SPDX-License-Identifier: Apache-2.0
 * mdm-enroll-admin show. Depends on admin_advice, admin_list, admin_rows, core's mdm_x509 and
 * mod_mdm_enroll's store_admin.
 */
#include "admin_show.h"

#include <apr_base64.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

#include "admin_advice.h"
#include "admin_list.h"
#include "admin_rows.h"
#include "mdm_x509.h"

/* Rows that are kept while others are read. */
typedef struct kept_t {
    apr_pool_t *p;
    apr_array_header_t *rows; /* pointers */
    apr_int64_t limit;        /* 0: none */
    int more;                 /* there is one more than limit */
} kept_t;

static kept_t keep(apr_pool_t *p, apr_int64_t limit)
{
    return (kept_t){p, apr_array_make(p, 8, sizeof(void *)), limit, 0};
}

static int kept_enough(kept_t *kept)
{
    kept->more = kept->limit != 0 && kept->rows->nelts >= kept->limit;
    return kept->more;
}

static int keep_enrollment(void *baton, apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    kept_t *kept = baton;

    (void)p;
    if (kept_enough(kept))
        return 0;
    APR_ARRAY_PUSH(kept->rows, void *) = admin_enrollment_copy(kept->p, row);
    return 1;
}

static int keep_certificate(void *baton, apr_pool_t *p, const mdm_admin_certificate_t *row)
{
    kept_t *kept = baton;
    mdm_admin_certificate_t *copy;

    (void)p;
    if (kept_enough(kept))
        return 0;
    copy = admin_certificate_copy(kept->p, row);
    copy->der = apr_pstrdup(kept->p, row->der);
    APR_ARRAY_PUSH(kept->rows, void *) = copy;
    return 1;
}

static int keep_challenge(void *baton, apr_pool_t *p, const mdm_admin_challenge_t *row)
{
    kept_t *kept = baton;
    mdm_admin_challenge_t *copy = apr_pmemdup(kept->p, row, sizeof(*row));

    (void)p;
    copy->purpose = apr_pstrdup(kept->p, row->purpose);
    APR_ARRAY_PUSH(kept->rows, void *) = copy;
    return 1;
}

const char *admin_hex(apr_pool_t *p, const char *text)
{
    char *hex = apr_palloc(p, strlen(text) + 2), *out = hex;

    if (strncasecmp(text, "0x", 2) == 0)
        text += 2;
    *out++ = '0'; /* in case of an odd number of digits */
    for (; *text != '\0'; text++) {
        if (*text == ':' || *text == ' ')
            continue;
        if (!apr_isxdigit(*text))
            return NULL;
        *out++ = (char)apr_tolower(*text);
    }
    *out = '\0';
    if (out - hex < 2 || out - hex > 65)
        return NULL;
    return (out - hex) % 2 == 0 ? hex : hex + 1;
}

/* --- a certificate, decoded --- */

static const char *alt_names(apr_pool_t *p, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    BIO *out = BIO_new(BIO_s_mem());
    const char *list = "";
    char *text;

    for (int i = 0; out != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        if (i > 0)
            BIO_puts(out, ", ");
        GENERAL_NAME_print(out, sk_GENERAL_NAME_value(names, i));
    }
    if (out != NULL) {
        long len = BIO_get_mem_data(out, &text);
        list = apr_pstrmemdup(p, text, (apr_size_t)len);
    }
    BIO_free(out);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return list;
}

/* NULL if it cannot be read. */
static X509 *decode(apr_pool_t *p, const mdm_admin_certificate_t *row)
{
    unsigned char *der = apr_palloc(p, (apr_size_t)apr_base64_decode_len(row->der) + 1);
    int len = apr_base64_decode_binary(der, row->der);
    X509 *cert = NULL;

    return mdm_x509_decode(p, der, (apr_size_t)len, &cert).kind == MDM_OK ? cert : NULL;
}

static json_t *certificate_json(apr_pool_t *p, const mdm_admin_certificate_t *row, apr_int64_t now)
{
    json_t *made = admin_certificate_json(p, row, now);
    X509 *cert = decode(p, row);

    if (cert == NULL)
        return made;
    json_object_set_new(made, "subject", admin_json_text(mdm_x509_subject(p, cert)));
    json_object_set_new(made, "issuer", admin_json_text(mdm_x509_issuer(p, cert)));
    json_object_set_new(made, "subject_alt_name", admin_json_text(alt_names(p, cert)));
    return made;
}

static void say_certificate(apr_pool_t *p, const mdm_admin_certificate_t *row, apr_int64_t now)
{
    X509 *cert = decode(p, row);

    admin_say("  certificate  %s (%s)", row->serial, row->purpose);
    if (row->revoked_at != 0)
        admin_say("    status       revoked %s: %s", admin_time(p, row->revoked_at),
                  admin_reason_name(p, row->reason));
    else
        admin_say("    status       %s", admin_validity_text(row, now));
    admin_say("    validity     %s to %s", admin_time(p, row->not_before),
              admin_time(p, row->not_after));
    admin_say("    issued       %s", admin_time(p, row->issued_at));
    if (cert != NULL) {
        admin_say("    subject      %s", mdm_x509_subject(p, cert));
        admin_say("    issuer       %s", mdm_x509_issuer(p, cert));
        admin_say("    alt. name    %s", alt_names(p, cert));
    } else {
        admin_say("    (what is stored of it cannot be decoded)");
    }
    admin_say("    fingerprint  %s (SHA-256)", row->fingerprint);
}

/* --- an enrollment --- */

static const char *challenge_text(apr_pool_t *p, const mdm_admin_challenge_t *row, apr_int64_t now)
{
    const char *used = "not used";

    /* That of phase 2 is not marked: the state is what it was good for. */
    if (strcmp(row->purpose, "device") == 0)
        used = "of phase 2";
    if (row->used_at != 0)
        used = apr_psprintf(p, "used %s", admin_time(p, row->used_at));
    if (row->uses > 1)
        used = apr_psprintf(p, "%s, %" APR_INT64_T_FMT " times", used, row->uses);
    return apr_psprintf(p, "%s, %s %s", used, row->expires_at > now ? "ends" : "over since",
                        admin_time(p, row->expires_at));
}

static void say_refusal(apr_pool_t *p, const mdm_admin_enrollment_t *row)
{
    const admin_advice_t *advice = admin_advice_find(row->last_refusal);

    if (row->last_refusal[0] == '\0')
        return;
    admin_say("  last refused %s: %s %s", admin_time(p, row->refused_at), row->last_refusal,
              advice ? advice->name : "(not known to this version)");
    if (advice != NULL)
        admin_say("    meaning      %s", advice->meaning);
    if (advice != NULL && *advice->remedy != '\0')
        admin_say("    what to do   %s", advice->remedy);
}

static void say_enrollment(apr_pool_t *p, const mdm_admin_enrollment_t *row,
                           const apr_array_header_t *challenges,
                           const apr_array_header_t *certificates, apr_int64_t now)
{
    admin_say("enrollment     %s", row->id);
    admin_say("  state        %s", admin_state_text(p, row, now));
    if (mdm_admin_ended(row))
        admin_say("  revoked      %s, in state %s", admin_time(p, row->updated_at), row->state);
    admin_say("  user         %s", row->user);
    if (row->udid[0] != '\0') {
        admin_say("  UDID         %s", row->udid);
        admin_say("  serial no.   %s", row->serial);
        admin_say("  product      %s", row->product);
        admin_say("  OS version   %s", row->os_version);
    }
    admin_say("  created      %s", admin_time(p, row->created_at));
    admin_say("  changed      %s", admin_time(p, row->updated_at));
    if (mdm_admin_waiting(row, now))
        admin_say("  waits until  %s", admin_time(p, row->expires_at));
    say_refusal(p, row);
    for (int i = 0; i < challenges->nelts; i++) {
        const mdm_admin_challenge_t *one = APR_ARRAY_IDX(challenges, i, void *);
        admin_say("  challenge    %s: %s", one->purpose, challenge_text(p, one, now));
    }
    for (int i = 0; i < certificates->nelts; i++)
        say_certificate(p, APR_ARRAY_IDX(certificates, i, void *), now);
}

static json_t *enrollment_json(apr_pool_t *p, const mdm_admin_enrollment_t *row,
                               const apr_array_header_t *challenges,
                               const apr_array_header_t *certificates, apr_int64_t now)
{
    json_t *made = admin_enrollment_json(row, now), *array = json_array();

    json_object_set_new(made, "device_fingerprint", admin_json_text(row->device_fingerprint));
    json_object_set_new(made, "identity_fingerprint", admin_json_text(row->identity_fingerprint));
    for (int i = 0; i < challenges->nelts; i++) {
        const mdm_admin_challenge_t *one = APR_ARRAY_IDX(challenges, i, void *);
        json_t *object = json_object();
        json_object_set_new(object, "purpose", admin_json_text(one->purpose));
        json_object_set_new(object, "expires_at", admin_json_time(one->expires_at));
        json_object_set_new(object, "used_at", admin_json_time(one->used_at));
        json_object_set_new(object, "uses", json_integer(one->uses));
        json_array_append_new(array, object);
    }
    json_object_set_new(made, "challenges", array);
    array = json_array();
    for (int i = 0; i < certificates->nelts; i++)
        json_array_append_new(array,
                              certificate_json(p, APR_ARRAY_IDX(certificates, i, void *), now));
    json_object_set_new(made, "certificates", array);
    return made;
}

/* array is NULL for people. */
static mdm_result_t show_one(apr_pool_t *p, mdm_dbd_handle_t *handle,
                             const mdm_admin_enrollment_t *row, apr_int64_t now,
                             admin_json_array_t *array)
{
    mdm_admin_filter_t of_row = {.enrollment = row->id, .with_der = 1};
    kept_t challenges = keep(p, 0), certificates = keep(p, 0);
    mdm_result_t r = mdm_admin_challenges(handle, p, row->id, keep_challenge, &challenges);

    if (r.kind == MDM_OK)
        r = mdm_admin_certificates(handle, p, &of_row, now, keep_certificate, &certificates);
    if (r.kind != MDM_OK)
        return r;
    if (array != NULL)
        admin_json_element(array, enrollment_json(p, row, challenges.rows, certificates.rows, now));
    else
        say_enrollment(p, row, challenges.rows, certificates.rows, now);
    return r;
}

/* --- which --- */

/* The certificate may have outlived its enrollment, if no device came back: *gone tells. */
static mdm_result_t find_by_certificate(apr_pool_t *p, mdm_dbd_handle_t *handle, const char *key,
                                        apr_int64_t now, kept_t *found, const char **gone)
{
    const char *hex = admin_hex(p, key);
    mdm_admin_filter_t by_serial = {.serial = hex}, by_fingerprint = {.fingerprint = hex};
    kept_t certificates = keep(p, 1);
    mdm_result_t r = mdm_result_ok();

    if (hex == NULL)
        return r;
    r = mdm_admin_certificates(handle, p, strlen(hex) == 64 ? &by_fingerprint : &by_serial, now,
                               keep_certificate, &certificates);
    if (r.kind == MDM_OK && certificates.rows->nelts > 0) {
        const mdm_admin_certificate_t *one = APR_ARRAY_IDX(certificates.rows, 0, void *);
        mdm_admin_filter_t owner = {.enrollment = one->enrollment};
        r = mdm_admin_enrollments(handle, p, &owner, now, keep_enrollment, found);
        if (found->rows->nelts == 0)
            *gone = one->enrollment;
    }
    return r;
}

static mdm_result_t find(apr_pool_t *p, mdm_dbd_handle_t *handle, const char *key, apr_int64_t now,
                         kept_t *found, const char **gone)
{
    const mdm_admin_filter_t ways[] = {{.enrollment = key}, {.device = key}, {.user = key}};
    mdm_result_t r = mdm_result_ok();

    for (size_t i = 0;
         i < sizeof(ways) / sizeof(ways[0]) && r.kind == MDM_OK && found->rows->nelts == 0; i++)
        r = mdm_admin_enrollments(handle, p, &ways[i], now, keep_enrollment, found);
    if (r.kind == MDM_OK && found->rows->nelts == 0)
        r = find_by_certificate(p, handle, key, now, found, gone);
    return r;
}

admin_result_t admin_show(apr_pool_t *p, mdm_dbd_handle_t *handle, const char *key,
                          apr_int64_t limit, int json)
{
    mdm_admin_filter_t by_user = {.user = key};
    admin_json_array_t array = {0};
    apr_int64_t now = admin_now();
    kept_t found = keep(p, limit);
    const char *gone = NULL;
    mdm_result_t r = find(p, handle, key, now, &found, &gone);

    for (int i = 0; i < found.rows->nelts && r.kind == MDM_OK; i++) {
        if (!json && i > 0)
            admin_say("%s", "");
        r = show_one(p, handle, APR_ARRAY_IDX(found.rows, i, void *), now, json ? &array : NULL);
    }
    if (json)
        admin_json_end(&array);
    if (r.kind != MDM_OK)
        return admin_of(p, ADMIN_DATABASE, r);
    if (gone != NULL)
        return admin_fail(p, ADMIN_NOTHING,
                          "the enrollment of that certificate is gone; what is left: list "
                          "--certificates --enrollment %s",
                          gone);
    if (found.rows->nelts == 0)
        return admin_fail(p, ADMIN_NOTHING, "%s", admin_nothing(p, handle, &by_user));
    if (found.more)
        admin_warn("mdm-enroll-admin: there are more; --limit shows them");
    return admin_ok();
}
