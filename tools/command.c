/* SPDX-License-Identifier: Apache-2.0
 * What the commands of mdm-device have in common. Depends on device_report.
 */
#include "command.h"

#include <string.h>
#include <strings.h>

device_result_t command_usage(apr_pool_t *p, const char *text)
{
    return device_fail(p, DEVICE_USAGE, "%s", text);
}

const char *command_url_problem(const char *url, int plain_http)
{
    const char *authority = url;

    if (strncasecmp(url, "https://", 8) == 0)
        authority += 8;
    else if (plain_http && strncasecmp(url, "http://", 7) == 0)
        authority += 7;
    else
        return plain_http ? "URL must begin with https:// or http://"
                          : "URL must begin with https://";
    if (memchr(authority, '@', strcspn(authority, "/?#")) != NULL)
        return "credentials do not belong in the URL (enroll has --user and --password-file)";
    return NULL;
}
