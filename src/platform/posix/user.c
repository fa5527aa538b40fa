/* SPDX-License-Identifier: MIT
 *
 * Users and groups from the system's databases. Entries may be long (a group with many members), so
 * the buffer for them grows, up to a limit.
 */
#define _GNU_SOURCE
#include "platform/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os_error.h"

#define ENTRY_SIZE_FIRST 1024u
#define ENTRY_SIZE_MAX (1024u * 1024u)

/* What to look for: a name, or, where that is NULL, a number. */
typedef struct query {
    const char *name;
    uint32_t id;
} query;

/* One look into a database with a buffer of that size. An errno, or 0; `*found` says if. */
typedef int (*look_up)(const query *what, char *buffer, size_t size, void *out, bool *found);

static int look_up_user(const query *what, char *buffer, size_t size, void *out, bool *found)
{
    struct passwd entry;
    struct passwd *result = NULL;
    wr_user *user = out;
    int number = what->name != NULL ? getpwnam_r(what->name, &entry, buffer, size, &result)
                                    : getpwuid_r((uid_t)what->id, &entry, buffer, size, &result);
    *found = result != NULL;
    if (*found) {
        *user = (wr_user){.id = entry.pw_uid, .group = entry.pw_gid, .has_group = true};
    }
    return number;
}

static int look_up_group(const query *what, char *buffer, size_t size, void *out, bool *found)
{
    struct group entry;
    struct group *result = NULL;
    int number = getgrnam_r(what->name, &entry, buffer, size, &result);
    *found = result != NULL;
    if (*found) {
        *(uint32_t *)out = entry.gr_gid;
    }
    return number;
}

/* An errno, or 0. */
static int look_up_any(look_up look, const query *what, void *out, bool *found)
{
    int number = ERANGE;
    for (size_t size = ENTRY_SIZE_FIRST; number == ERANGE && size <= ENTRY_SIZE_MAX; size *= 2) {
        char *buffer = malloc(size);
        if (buffer == NULL) {
            return ENOMEM;
        }
        do {
            number = look(what, buffer, size, out, found);
        } while (number == EINTR);
        free(buffer);
    }
    return number;
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static weir_err parse_number(const char *text, uint32_t *out, wr_error *error)
{
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0 || value > WR_USER_ID_MAX) {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND, "the id %s is out of range (0 to %u)", text,
                            WR_USER_ID_MAX);
    }
    *out = (uint32_t)value;
    return WEIR_OK;
}

/* Some databases say "no such name" with one of these errors. */
static bool means_unknown(int number)
{
    return number == 0 || number == ENOENT || number == ESRCH;
}

static weir_err find_name(look_up look, const char *kind, const char *name, void *out,
                          wr_error *error)
{
    bool found = false;
    int number = look_up_any(look, &(query){.name = name}, out, &found);
    if (found) {
        return WEIR_OK;
    }
    if (means_unknown(number)) {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND, "there is no %s '%s'", kind, name);
    }
    return wr_os_error_set(error, number, "cannot look up the %s '%s'", kind, name);
}

uint32_t wr_user_self(void)
{
    return geteuid();
}

weir_err wr_user_find(const char *name, wr_user *out, wr_error *error)
{
    if (!is_number(name)) {
        return find_name(look_up_user, "user", name, out, error);
    }
    wr_user user = {.has_group = false};
    weir_err err = parse_number(name, &user.id, error);
    if (err != WEIR_OK) {
        return err;
    }
    bool found = false; /* it need not be, and where it is not the number is all there is */
    (void)look_up_any(look_up_user, &(query){.id = user.id}, &user, &found);
    *out = user;
    return WEIR_OK;
}

weir_err wr_group_find(const char *name, uint32_t *out, wr_error *error)
{
    return is_number(name) ? parse_number(name, out, error)
                           : find_name(look_up_group, "group", name, out, error);
}
