/* SPDX-License-Identifier: MIT
 *
 * What the files of the configuration reader share: its state, how mistakes are reported, and the
 * option tables that say what an object of the file may hold.
 *
 * A reader belongs to one call of wr_config_read or its like, on one thread.
 */
#ifndef WR_GATEWAY_CONFIG_READER_H
#define WR_GATEWAY_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/suggest.h"
#include "gateway/config.h"
#include "platform/user.h"
#include "json/json_text.h"

/* Limits on what a file may say, beyond those of config.h. */
#define WR_PROBLEMS_MAX 100u          /* lines reported; the others are counted */
#define WR_CONFIG_MODULES_MAX 100000u /* entries of "modules" */
#define WR_CONFIG_LINKS_MAX 1000000u  /* entries of "links" */
#define WR_CONFIG_LOADERS_MAX 1000u   /* entries of "loaders" */
#define WR_LAUNCH_LIST_MAX 1024u      /* arguments, or variables, of a launched program */
#define WR_TEXT_MAX 4095u             /* bytes of a path or an argument */
#define WR_ARGS_SENT_MAX                                                                           \
    (1024u * 1024u - 1024u) /* bytes of args that travel in a control message */
/* Likewise, where the module's path and name travel with them. */
#define WR_ARGS_HOSTED_MAX (WR_ARGS_SENT_MAX - 32u * 1024u)

/* ---- problems (config_problem.c) ---- */

typedef struct wr_problem {
    unsigned line, column;
    size_t order; /* of being found */
    char *text;
} wr_problem;

typedef struct wr_loader_entry {
    const char *name; /* borrowed from the text or a literal */
    wr_loader_type type;
    bool broken;            /* its type is unknown; reported already */
    bool from_file;         /* not built in */
    wr_json_value defaults; /* json NULL: none */
} wr_loader_entry;

typedef struct wr_config_reader {
    wr_json_text json;
    const char *file;      /* as shown in front of a problem */
    const char *root_name; /* the path of the root in problems */
    wr_config *config;     /* what is being filled */
    bool out_of_memory;

    wr_problem problems[WR_PROBLEMS_MAX];
    size_t problem_count;            /* including those over the limit */
    char *warnings[WR_PROBLEMS_MAX]; /* in the order of being found */
    size_t warning_count;            /* at most so many; the others are not even counted */

    wr_loader_entry *loaders; /* the built-in ones first */
    size_t loader_count;
    json_t *loader_index; /* name -> index in loaders */
    json_t *module_index; /* name -> index in modules; NULL: a link's names are not looked up */
    json_t *addresses;    /* path of a socket -> index of the module that uses it */
    json_t *link_pairs;   /* "source index>sink index" -> index of the link */
} wr_config_reader;

/* Report a mistake at a value, or at its key. */
void wr_config_problem(wr_config_reader *reader, const wr_json_value *value, const char *format,
                       ...) WEIR_PRINTF(3, 4);
void wr_config_key_problem(wr_config_reader *reader, const wr_json_value *value, const char *format,
                           ...) WEIR_PRINTF(3, 4);
/* What may be a mistake, at a value. It comes in the log if there are no mistakes; of those over
 * WR_PROBLEMS_MAX nothing is said. */
void wr_config_warn(wr_config_reader *reader, const wr_json_value *value, const char *format, ...)
    WEIR_PRINTF(3, 4);
/* Report a mistake of the text or the file as a whole. */
void wr_config_text_problem(wr_config_reader *reader, unsigned line, unsigned column,
                            const char *format, ...) WEIR_PRINTF(4, 5);
/* Hand all problems over in the order of the text, or log the warnings, and forget them. */
void wr_config_report(wr_config_reader *reader, weir_problem_fn on_problem, void *user);
/* Say that there was no memory to read `file`. */
void wr_config_report_memory(const char *file, weir_problem_fn on_problem, void *user);

/* A piece of the file's text for a message: in quotes, cut where it is long. */
typedef struct wr_shown {
    char text[96];
} wr_shown;
wr_shown wr_show(const char *text, size_t size);
wr_shown wr_show_text(const char *text);

/* `did you mean "x"?`, or "" */
wr_shown wr_suggestion_text(const wr_suggestion *suggestion);
/* Is it worth looking for suggestions, or would the problem only be counted? */
bool wr_config_explains(const wr_config_reader *reader);

/* ---- options (config_option.c) ---- */

typedef enum wr_option_kind {
    WR_OPTION_TEXT,
    WR_OPTION_NUMBER,
    WR_OPTION_BOOL,
    WR_OPTION_OBJECT,
    WR_OPTION_ARRAY,
    WR_OPTION_ANY
} wr_option_kind;

typedef struct wr_option wr_option;
typedef struct wr_option_table wr_option_table;

/* Take a value of the right kind into the field `offset` of `target`. */
typedef void (*wr_option_take)(wr_config_reader *reader, const wr_option *option,
                               const wr_json_value *value, void *target);

/* One key of an object. The table drives reading, checking and every hint to the user; a unit test
 * compares it with docs/config.md. */
struct wr_option {
    const char *key;
    const char *summary; /* shown where the key is missing */
    wr_option_kind kind;
    bool required;
    uint64_t min, max;        /* number: its range; text: its bytes; array, object: its entries */
    const char *const *words; /* text: all that it may be, NULL-terminated; NULL: anything */
    const char *old_key;      /* what earlier systems called it, for the hint; or NULL */
    size_t offset;
    wr_option_take take; /* NULL: the table's user looks at found[] */
};

struct wr_option_table {
    const char *title; /* the heading in docs/config.md */
    const wr_option *options;
    size_t count;
};

#define WR_OPTION_TABLE(title, options)                                                            \
    {                                                                                              \
        title, options, sizeof(options) / sizeof((options)[0])                                     \
    }
#define WR_OPTIONS_MAX 12u /* the longest table */

/* Find the members of an object: found[i] belongs to options[i], with json NULL where it is absent.
 * What is found replaces what `found` held. Reports unknown keys. False: it is not an object. */
bool wr_config_match(wr_config_reader *reader, const wr_json_value *object,
                     const wr_option_table *table, wr_json_value *found);
/* Check what was found, and take it into `target`. */
void wr_config_take(wr_config_reader *reader, const wr_option_table *table,
                    const wr_json_value *found, void *target);
/* Report what is required and was not found. */
void wr_config_require(wr_config_reader *reader, const wr_json_value *object,
                       const wr_option_table *table, const wr_json_value *found);
/* All three. `found` has WR_OPTIONS_MAX entries. */
bool wr_config_take_object(wr_config_reader *reader, const wr_json_value *object,
                           const wr_option_table *table, wr_json_value *found, void *target);
/* Is the value of this kind, and its size in the option's range? Reports it if not. */
bool wr_config_check(wr_config_reader *reader, const wr_option *option, const wr_json_value *value);

/* Ways to take a value. */
void wr_take_text(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target); /* char * */
void wr_take_word(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target); /* unsigned: index in words */
void wr_take_u32(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                 void *target);
void wr_take_u64(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                 void *target);
void wr_take_bool(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target);
void wr_take_list(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target);       /* char **: texts of 1 to WR_TEXT_MAX bytes and a NULL */
void wr_config_free_list(char **list); /* NULL is allowed */
/* An array for `count` texts and a NULL; NULL: out of memory, which is noted. */
char **wr_config_new_list(wr_config_reader *reader, size_t count);

/* config_user.c: users and groups by name or number. */
void wr_take_users(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                   void *target); /* wr_users */
/* False: there is none, which was reported. */
bool wr_config_find_user(wr_config_reader *reader, const wr_json_value *value, wr_user *out);
bool wr_config_find_group(wr_config_reader *reader, const wr_json_value *value, uint32_t *out);

/* Copy a text; notes when memory is out. */
char *wr_config_copy(wr_config_reader *reader, const char *text);
/* The index that `name` has in an index; false: none. */
bool wr_config_lookup(const json_t *index, const char *name, size_t *out);
/* Give `name` an index. */
void wr_config_enter(wr_config_reader *reader, json_t *index, const char *name, size_t value);
wr_config_place wr_config_place_of(const wr_config_reader *reader, const wr_json_value *value);

/* ---- the parts of a file ---- */

extern const wr_option_table wr_file_options, wr_gateway_options, wr_module_options,
    wr_loader_use_options, wr_loader_options, wr_native_options, wr_outprocess_options,
    wr_launch_options, wr_restart_options, wr_heartbeat_options, wr_link_options, wr_queue_options,
    wr_sandbox_options_table, wr_sandbox_paths_options;

/* config_loader.c */
void wr_config_add_builtin_loaders(wr_config_reader *reader);
void wr_config_read_loaders(wr_config_reader *reader, const wr_json_value *array);
/* The loader of that name; NULL, and reported, when there is none. */
const wr_loader_entry *wr_config_find_loader(wr_config_reader *reader, const wr_json_value *value,
                                             const char *name);

/* config_entrypoint.c */

/* A module while it is read: what the file says and the result does not. */
typedef struct wr_module_draft {
    wr_module_config config;
    unsigned isolation;  /* 0: thread, 1: process */
    unsigned activation; /* 0: none, 1: launch */
} wr_module_draft;

extern const wr_module_draft wr_module_draft_default;

const wr_option_table *wr_entrypoint_options(wr_loader_type type);
/* Read the entry point of a module. `use` is the value of its "loader", `entrypoint` of
 * "entrypoint" in it; json NULL: absent. */
void wr_config_read_entrypoint(wr_config_reader *reader, const wr_loader_entry *loader,
                               const wr_json_value *module, const wr_json_value *use,
                               const wr_json_value *entrypoint, wr_module_draft *draft);
void wr_outprocess_config_deinit(wr_outprocess_config *outprocess);

/* config_supervision.c: into the wr_restart_config or wr_heartbeat_config at the option's offset */
void wr_config_take_restart(wr_config_reader *reader, const wr_option *option,
                            const wr_json_value *value, void *target);
void wr_config_take_heartbeat(wr_config_reader *reader, const wr_option *option,
                              const wr_json_value *value, void *target);

/* config_sandbox.c: into a wr_sandbox_config. */
void wr_config_take_sandbox(wr_config_reader *reader, const wr_option *option,
                            const wr_json_value *value, void *target);
void wr_sandbox_config_deinit(wr_sandbox_config *sandbox);

/* config_module.c */
void wr_config_read_module(wr_config_reader *reader, const wr_json_value *value,
                           wr_module_config *out);
void wr_module_config_deinit(wr_module_config *module);

/* config_link.c */
void wr_config_read_link(wr_config_reader *reader, const wr_json_value *value, wr_link_config *out);
void wr_link_config_deinit(wr_link_config *link);

/* config_duplicate.c: report keys that come twice in one object, everywhere below `value`. */
void wr_config_find_duplicates(wr_config_reader *reader, const wr_json_value *value);

/* config_cycle.c: warn, in the log, of links that wait for each other. */
void wr_config_warn_cycles(wr_config_reader *reader);

#endif
