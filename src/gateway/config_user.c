/* SPDX-License-Identifier: MIT
 *
 * Users and groups in a configuration: a name, or a number. They are looked up while the file is
 * read, so that an unknown one is a mistake with its place.
 */
#include <stdio.h>

#include "gateway/config_reader.h"

/* The value as wr_user_find takes it: a name, or digits. NULL, and reported: it is neither. */
static const char *text_of(wr_config_reader *reader, const wr_json_value *value, char *digits,
                           size_t size)
{
    static const wr_option name = {.kind = WR_OPTION_TEXT, .min = 1, .max = WR_NAME_MAX};
    static const wr_option number = {.kind = WR_OPTION_NUMBER, .max = WR_USER_ID_MAX};
    if (!json_is_number(value->json) && !json_is_string(value->json)) {
        wr_config_problem(reader, value, "expected a name or a number");
        return NULL;
    }
    if (json_is_string(value->json)) {
        return wr_config_check(reader, &name, value) ? json_string_value(value->json) : NULL;
    }
    if (!wr_config_check(reader, &number, value)) {
        return NULL;
    }
    (void)snprintf(digits, size, "%llu", (unsigned long long)json_integer_value(value->json));
    return digits;
}

/* Report what a look-up said. True: it found something. */
static bool took(wr_config_reader *reader, const wr_json_value *value, weir_err err,
                 const wr_error *error)
{
    if (err == WEIR_ERR_MEMORY) {
        reader->out_of_memory = true;
    } else if (err != WEIR_OK) {
        wr_config_problem(reader, value, "%s", error->text);
    }
    return err == WEIR_OK;
}

bool wr_config_find_user(wr_config_reader *reader, const wr_json_value *value, wr_user *out)
{
    char digits[24];
    wr_error error = {.code = WEIR_OK};
    const char *text = text_of(reader, value, digits, sizeof(digits));
    return text != NULL && took(reader, value, wr_user_find(text, out, &error), &error);
}

bool wr_config_find_group(wr_config_reader *reader, const wr_json_value *value, uint32_t *out)
{
    char digits[24];
    wr_error error = {.code = WEIR_OK};
    const char *text = text_of(reader, value, digits, sizeof(digits));
    return text != NULL && took(reader, value, wr_group_find(text, out, &error), &error);
}

void wr_take_users(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                   void *target)
{
    wr_users *users = (wr_users *)(void *)((char *)target + option->offset);
    wr_json_value item;
    *users = (wr_users){.count = 0};
    for (bool more = wr_json_first(&reader->json, value, &item); more;
         more = wr_json_next(&reader->json, &item)) {
        wr_user user;
        if (wr_config_find_user(reader, &item, &user)) {
            weir_err err = wr_users_add(users, user.id);
            (void)err; /* the array has no more entries than fit */
        }
    }
}
