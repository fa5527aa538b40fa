/* SPDX-License-Identifier: MIT
 *
 * "sandbox" of a module: what its process may not do.
 */
#include <stdlib.h>

#include "gateway/config_reader.h"
#include "platform/file.h"

#define MIB (UINT64_C(1) << 20)
#define BYTES_MAX (UINT64_C(1) << 50)

enum {
    SANDBOX_MEMORY,
    SANDBOX_CPU,
    SANDBOX_FILES,
    SANDBOX_PROCESSES,
    SANDBOX_CORE,
    SANDBOX_FILE_SIZE,
    SANDBOX_USER,
    SANDBOX_GROUP,
    SANDBOX_SECCOMP,
    SANDBOX_NETWORK,
    SANDBOX_PATHS,
    SANDBOX_REQUIRED
};
enum { PATHS_READ, PATHS_WRITE };
enum { SECCOMP_DEFAULT, SECCOMP_OFF };

/* What is read of the object and is not in the result as it stands. */
typedef struct sandbox_draft {
    wr_sandbox_config config;
    wr_user user;
    bool has_user;
    bool has_group;
    unsigned seccomp;
} sandbox_draft;

static const char *const seccomp_words[] = {
    [SECCOMP_DEFAULT] = "default", [SECCOMP_OFF] = "off", NULL};

static void take_user(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                      void *target)
{
    (void)option;
    sandbox_draft *draft = target;
    draft->has_user = wr_config_find_user(reader, value, &draft->user);
}

static void take_group(wr_config_reader *reader, const wr_option *option,
                       const wr_json_value *value, void *target)
{
    (void)option;
    sandbox_draft *draft = target;
    draft->has_group = wr_config_find_group(reader, value, &draft->config.group);
}

/* Only a warning, as for a program; that the gateway does not start without them, it says then. */
static void look_for_paths(wr_config_reader *reader, const wr_json_value *list)
{
    wr_json_value path;
    bool more = json_is_array(list->json) && wr_json_first(&reader->json, list, &path);
    for (; more; more = wr_json_next(&reader->json, &path)) {
        const char *text = json_string_value(path.json);
        if (text != NULL && text[0] != '\0' && !wr_file_exists(text)) {
            wr_config_warn(
                reader, &path,
                "there is no file or folder %s now; the gateway does not start without it",
                wr_show_text(text).text);
        }
    }
}

static void take_paths(wr_config_reader *reader, const wr_option *option,
                       const wr_json_value *value, void *target)
{
    (void)option;
    sandbox_draft *draft = target;
    wr_json_value found[WR_OPTIONS_MAX];
    draft->config.confine =
        wr_config_take_object(reader, value, &wr_sandbox_paths_options, found, &draft->config);
    if (draft->config.confine) {
        look_for_paths(reader, &found[PATHS_READ]);
        look_for_paths(reader, &found[PATHS_WRITE]);
    }
}

#define LIMIT(limit) offsetof(sandbox_draft, config.limits[limit])

static const wr_option sandbox_options[] = {
    [SANDBOX_MEMORY] = {.key = "memory.limit",
                        .summary = "bytes of address space",
                        .kind = WR_OPTION_NUMBER,
                        .min = 16 * MIB,
                        .max = BYTES_MAX,
                        .offset = LIMIT(WR_LIMIT_MEMORY),
                        .take = wr_take_u64},
    [SANDBOX_CPU] = {.key = "cpu.limit.s",
                     .summary = "seconds of processor time",
                     .kind = WR_OPTION_NUMBER,
                     .min = 1,
                     .max = 1000000000,
                     .offset = LIMIT(WR_LIMIT_CPU),
                     .take = wr_take_u64},
    [SANDBOX_FILES] = {.key = "open.files",
                       .summary = "open descriptors",
                       .kind = WR_OPTION_NUMBER,
                       .min = 16,
                       .max = 1048576,
                       .offset = LIMIT(WR_LIMIT_FILES),
                       .take = wr_take_u64},
    [SANDBOX_PROCESSES] = {.key = "processes",
                           .summary = "processes and threads of its user",
                           .kind = WR_OPTION_NUMBER,
                           .min = 1,
                           .max = 4194304,
                           .offset = LIMIT(WR_LIMIT_PROCESSES),
                           .take = wr_take_u64},
    [SANDBOX_CORE] = {.key = "core.limit",
                      .summary = "bytes of a core file",
                      .kind = WR_OPTION_NUMBER,
                      .max = BYTES_MAX,
                      .offset = LIMIT(WR_LIMIT_CORE),
                      .take = wr_take_u64},
    [SANDBOX_FILE_SIZE] = {.key = "file.limit",
                           .summary = "bytes of a file that it writes",
                           .kind = WR_OPTION_NUMBER,
                           .max = BYTES_MAX,
                           .offset = LIMIT(WR_LIMIT_FILE_SIZE),
                           .take = wr_take_u64},
    [SANDBOX_USER] = {.key = "user",
                      .summary = "who the process becomes",
                      .kind = WR_OPTION_ANY,
                      .take = take_user},
    [SANDBOX_GROUP] = {.key = "group",
                       .summary = "its only group",
                       .kind = WR_OPTION_ANY,
                       .take = take_group},
    [SANDBOX_SECCOMP] = {.key = "seccomp",
                         .summary = "which system calls it may make",
                         .kind = WR_OPTION_TEXT,
                         .words = seccomp_words,
                         .offset = offsetof(sandbox_draft, seccomp),
                         .take = wr_take_word},
    [SANDBOX_NETWORK] = {.key = "network",
                         .summary = "may it open sockets other than local ones",
                         .kind = WR_OPTION_BOOL,
                         .offset = offsetof(sandbox_draft, config.network),
                         .take = wr_take_bool},
    [SANDBOX_PATHS] = {.key = "paths",
                       .summary = "all files that it may touch",
                       .kind = WR_OPTION_OBJECT,
                       .take = take_paths},
    [SANDBOX_REQUIRED] = {.key = "required",
                          .summary = "is it an error when this system cannot enforce all of it",
                          .kind = WR_OPTION_BOOL,
                          .offset = offsetof(sandbox_draft, config.required),
                          .take = wr_take_bool},
};

static const wr_option paths_options[] = {
    [PATHS_READ] = {.key = "read",
                    .summary = "files and folders to read and run",
                    .kind = WR_OPTION_ARRAY,
                    .max = WR_LAUNCH_LIST_MAX,
                    .offset = offsetof(wr_sandbox_config, read),
                    .take = wr_take_list},
    [PATHS_WRITE] = {.key = "write",
                     .summary = "files and folders to do anything with",
                     .kind = WR_OPTION_ARRAY,
                     .max = WR_LAUNCH_LIST_MAX,
                     .offset = offsetof(wr_sandbox_config, write),
                     .take = wr_take_list},
};

const wr_option_table wr_sandbox_options_table = WR_OPTION_TABLE("Sandbox", sandbox_options);
const wr_option_table wr_sandbox_paths_options = WR_OPTION_TABLE("Paths", paths_options);

static void check_user(wr_config_reader *reader, const wr_json_value *found, sandbox_draft *draft)
{
    if (found[SANDBOX_GROUP].json != NULL && found[SANDBOX_USER].json == NULL) {
        wr_config_key_problem(reader, &found[SANDBOX_GROUP],
                              "is not used (expected a \"user\", too)");
    }
    if (!draft->has_user) {
        return;
    }
    if (found[SANDBOX_GROUP].json == NULL && !draft->user.has_group) {
        wr_config_problem(reader, &found[SANDBOX_USER],
                          "the user %u is unknown, and so is the user's group (expected a "
                          "\"group\", too)",
                          draft->user.id);
    }
    draft->config.change_user = true;
    draft->config.user = draft->user.id;
    if (!draft->has_group) {
        draft->config.group = draft->user.group;
    }
}

void wr_config_take_sandbox(wr_config_reader *reader, const wr_option *option,
                            const wr_json_value *value, void *target)
{
    wr_sandbox_config *sandbox = (wr_sandbox_config *)(void *)((char *)target + option->offset);
    wr_json_value found[WR_OPTIONS_MAX];
    sandbox_draft draft = {.config = {.present = true}};
    for (unsigned i = 0; i < WR_LIMIT_COUNT; i++) {
        draft.config.limits[i] = WR_LIMIT_INHERITED;
    }
    draft.config.limits[WR_LIMIT_CORE] = 0; /* memory that nobody asked for on a disk */
    if (wr_config_take_object(reader, value, &wr_sandbox_options_table, found, &draft)) {
        check_user(reader, found, &draft);
    }
    draft.config.filter = draft.seccomp == SECCOMP_DEFAULT;
    *sandbox = draft.config;
}

void wr_sandbox_config_deinit(wr_sandbox_config *sandbox)
{
    wr_config_free_list(sandbox->read);
    wr_config_free_list(sandbox->write);
}
