/* SPDX-License-Identifier: Apache-2.0
 * A file with serial numbers. Depends on APR and core's mdm_result and mdm_device.
 */
#include "serial_file.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "../core/mdm_device.h"

/* What was written less than so long before it was read may have been written again since, with the
 * same time and size. */
#define UNSETTLED apr_time_from_sec(2)

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* The numbers of a file, in a pool of their own. */
typedef struct numbers_t {
    const char **slots; /* a hash table with open addressing, NULL where empty */
    apr_size_t mask;    /* its size, a power of two, less one */
    apr_size_t count;
} numbers_t;

struct mdm_serial_file_t {
    const char *path;
    apr_thread_mutex_t *mutex; /* of all below */
    apr_time_t looked_at;      /* 0: never */
    int settled;
    apr_finfo_t seen; /* the file that was read */
    apr_pool_t *p;    /* of numbers, or of why there are none; cleared for the next */
    numbers_t numbers;
    mdm_result_t result; /* of the last reading */
};

/* --- the table --- */

/* FNV-1a. The numbers are the administrator's, who has no reason to make them collide. */
static apr_size_t hash(const char *number)
{
    apr_uint32_t h = 2166136261u;

    for (; *number != '\0'; number++)
        h = (h ^ (unsigned char)*number) * 16777619u;
    return h;
}

/* Where it is, or would be. */
static apr_size_t slot_of(const numbers_t *numbers, const char *number)
{
    apr_size_t i = hash(number) & numbers->mask;

    while (numbers->slots[i] != NULL && strcmp(numbers->slots[i], number) != 0)
        i = (i + 1) & numbers->mask;
    return i;
}

/* At most half full, for so many numbers. */
static void make_table(apr_pool_t *p, apr_size_t most, numbers_t *numbers)
{
    apr_size_t size = 16;

    while (size < 2 * most)
        size *= 2;
    numbers->slots = apr_pcalloc(p, size * sizeof(*numbers->slots));
    numbers->mask = size - 1;
    numbers->count = 0;
}

static void add(numbers_t *numbers, const char *number)
{
    apr_size_t i = slot_of(numbers, number);

    numbers->count += numbers->slots[i] == NULL;
    numbers->slots[i] = number;
}

static void to_upper(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
}

/* --- reading --- */

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int is_number(const char *text, apr_size_t len)
{
    if (len > MDM_DEVICE_MAX_IDENTIFIER)
        return 0;
    for (apr_size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] > '~' ||
            strchr(",;\"'", text[i]) != NULL)
            return 0;
    return 1;
}

/* One line, from at on; it is taken apart in place. 0: it is no number. */
static int take_line(char *line, apr_size_t len, numbers_t *numbers)
{
    char *comment = memchr(line, '#', len);

    if (comment != NULL)
        len = (apr_size_t)(comment - line);
    while (len > 0 && is_blank(line[len - 1]))
        len--;
    for (; len > 0 && is_blank(*line); line++)
        len--;
    if (len == 0)
        return 1;
    if (!is_number(line, len))
        return 0;
    line[len] = '\0';
    to_upper(line);
    add(numbers, line);
    return 1;
}

/* text is len bytes, with room for one more; the numbers stay in it. */
static mdm_result_t parse(apr_pool_t *p, const char *path, char *text, apr_size_t len,
                          numbers_t *numbers)
{
    char *end = text + len;
    apr_size_t lines = 1;

    for (const char *at = text; (at = memchr(at, '\n', (apr_size_t)(end - at))) != NULL; at++)
        lines++;
    make_table(p, lines, numbers);
    if (len >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
        text += 3;
    for (int line = 1; text < end; line++) {
        char *next = memchr(text, '\n', (apr_size_t)(end - text));
        apr_size_t line_len = (apr_size_t)((next != NULL ? next : end) - text);

        if (!take_line(text, line_len, numbers))
            return mdm_result_make(p, MDM_MSG_SERIAL_LIST,
                                   "line %d of %s is \"%s\", wanted is one serial number: 1 to %d "
                                   "letters and digits, nothing else but a comment behind \"#\"",
                                   line, path, mdm_result_quote(p, text, line_len),
                                   MDM_DEVICE_MAX_IDENTIFIER);
        text += line_len + 1;
    }
    return mdm_result_ok();
}

static mdm_result_t cannot(apr_pool_t *p, const char *path, const char *what, apr_status_t rv)
{
    char reason[128];

    return mdm_result_make(p, MDM_MSG_SERIAL_LIST, "%s cannot be %s: %s", path, what,
                           apr_strerror(rv, reason, sizeof(reason)));
}

static int same_file(const apr_finfo_t *a, const apr_finfo_t *b)
{
    return a->mtime == b->mtime && a->size == b->size && a->inode == b->inode &&
           a->device == b->device;
}

#define LOOK_AT (APR_FINFO_TYPE | APR_FINFO_MTIME | APR_FINFO_SIZE | APR_FINFO_IDENT)

static mdm_result_t read_open(apr_pool_t *p, const char *path, apr_file_t *file, apr_finfo_t *seen,
                              numbers_t *numbers)
{
    apr_size_t len = 0;
    apr_finfo_t after;
    apr_status_t rv = apr_file_info_get(seen, LOOK_AT, file);
    char *text;

    if (rv != APR_SUCCESS)
        return cannot(p, path, "looked at", rv);
    if (seen->filetype != APR_REG)
        return mdm_result_make(p, MDM_MSG_SERIAL_LIST, "%s is not a file", path);
    if (seen->size == 0)
        return mdm_result_make(p, MDM_MSG_SERIAL_LIST,
                               "%s is empty; a list that is to name no device has a comment (#)",
                               path);
    if (seen->size > MDM_SERIAL_FILE_BYTES)
        return mdm_result_make(p, MDM_MSG_SERIAL_LIST,
                               "%s has %" APR_OFF_T_FMT " bytes, wanted are at most %d", path,
                               seen->size, MDM_SERIAL_FILE_BYTES);
    text = apr_palloc(p, (apr_size_t)seen->size + 1);
    rv = apr_file_read_full(file, text, (apr_size_t)seen->size, &len);
    if (rv == APR_SUCCESS)
        rv = apr_file_info_get(&after, LOOK_AT, file);
    if (rv != APR_SUCCESS && rv != APR_EOF)
        return cannot(p, path, "read", rv);
    if (rv == APR_EOF || !same_file(seen, &after))
        return mdm_result_make(p, MDM_MSG_SERIAL_LIST,
                               "%s was written to while it was read; replace it by renaming "
                               "another file (mv)",
                               path);
    return parse(p, path, text, len, numbers);
}

static mdm_result_t read_file(apr_pool_t *p, const char *path, apr_finfo_t *seen,
                              numbers_t *numbers)
{
    apr_file_t *file;
    mdm_result_t r;
    /* Not for ever in a FIFO: opened without waiting for a writer, and then refused. */
    apr_status_t rv =
        apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_NONBLOCK, APR_FPROT_OS_DEFAULT, p);

    memset(seen, 0, sizeof(*seen));
    if (rv != APR_SUCCESS)
        return cannot(p, path, "opened", rv);
    r = read_open(p, path, file, seen, numbers);
    apr_file_close(file);
    return r;
}

/* --- in use --- */

/* Under the mutex. The clock may have been set back: then it is time to look, too. */
static void look(mdm_serial_file_t *file, apr_pool_t *p)
{
    apr_time_t now = apr_time_now(), age = now - file->looked_at;
    apr_finfo_t seen;

    if (age >= 0 && age < apr_time_from_sec(MDM_SERIAL_FILE_SECONDS))
        return;
    file->looked_at = now;
    if (file->settled && apr_stat(&seen, file->path, LOOK_AT, p) == APR_SUCCESS &&
        same_file(&seen, &file->seen))
        return;
    apr_pool_clear(file->p);
    file->result = read_file(file->p, file->path, &file->seen, &file->numbers);
    file->settled = file->result.kind == MDM_OK && file->seen.mtime < now - UNSETTLED;
}

mdm_result_t mdm_serial_file_find(mdm_serial_file_t *file, apr_pool_t *p, const char *serial,
                                  int *found, apr_size_t *count)
{
    char *number = apr_pstrdup(p, serial);
    mdm_result_t r;

    to_upper(number);
    apr_thread_mutex_lock(file->mutex);
    look(file, p);
    r = file->result;
    if (r.kind == MDM_OK) {
        *found = file->numbers.slots[slot_of(&file->numbers, number)] != NULL;
        *count = file->numbers.count;
    } else {
        r.log = apr_pstrdup(p, r.log);
    }
    apr_thread_mutex_unlock(file->mutex);
    return r;
}

static apr_status_t destroy(void *numbers)
{
    apr_pool_destroy(numbers);
    return APR_SUCCESS;
}

mdm_serial_file_t *mdm_serial_file_create(apr_pool_t *p, const char *path)
{
    mdm_serial_file_t *file = apr_pcalloc(p, sizeof(*file));

    if (apr_thread_mutex_create(&file->mutex, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS)
        return NULL;
    file->path = apr_pstrdup(p, path);
    /* With an allocator of its own, which gives back what a long list took. */
    apr_pool_create_unmanaged_ex(&file->p, apr_pool_abort_get(p), NULL);
    apr_allocator_max_free_set(apr_pool_allocator_get(file->p), 1);
    apr_pool_cleanup_register(p, file->p, destroy, apr_pool_cleanup_null);
    return file;
}
