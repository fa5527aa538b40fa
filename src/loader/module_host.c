/* SPDX-License-Identifier: MIT
 *
 * The module host (contract in module_host.h). Its args, as the old system had them:
 *
 *   { "outprocess.loaders": [...]?,
 *     "outprocess.loader": { "name": "native", "entrypoint": { "module.path": ... } },
 *     "module.args": ...,                       ("module.arguments" is accepted, too)
 *     "module.name": ... }                      (Weir's own: the name in the configuration)
 *
 * The hosted module gets this module's own weir_host, under its name: it does not know where it
 * runs. Its args are the very text that stands here, as in the gateway's process.
 */
#include "loader/module_host.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "loader/native.h"
#include "module/host.h"
#include "json/json_text.h"

typedef struct module_host {
    wr_native_module native;
    void *self; /* the hosted module's */
    weir_host *host;
    char *name;            /* the module's; NULL: not told */
    const char *host_name; /* the host's before it took the module's; NULL: it did not */
} module_host;

static bool known_key(const char *key, const char *const *known)
{
    while (*known != NULL && strcmp(key, *known) != 0) {
        known++;
    }
    return *known != NULL;
}

static weir_err check_keys(weir_host *host, json_t *object, const char *where,
                           const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!known_key(key, known)) {
            return weir_fail(host, WEIR_ERR_CONFIG, "module host: unknown key \"%s\" in %s", key,
                             where);
        }
    }
    return WEIR_OK;
}

/* Is the loader's name one of "outprocess.loaders" with the type native, or "native" itself? */
static bool is_native_loader(json_t *args, const char *name)
{
    size_t index;
    json_t *loader;
    json_array_foreach(json_object_get(args, "outprocess.loaders"), index, loader)
    {
        const char *its_name = json_string_value(json_object_get(loader, "name"));
        const char *type = json_string_value(json_object_get(loader, "type"));
        if (its_name != NULL && type != NULL && strcmp(its_name, name) == 0) {
            return strcmp(type, "native") == 0;
        }
    }
    return strcmp(name, "native") == 0;
}

static weir_err read_path(weir_host *host, json_t *args, const char **path)
{
    static const char *const keys[] = {"name", "entrypoint", NULL};
    json_t *loader = json_object_get(args, "outprocess.loader");
    if (!json_is_object(loader)) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: args need \"outprocess.loader\": {\"name\": \"native\", "
                         "\"entrypoint\": {\"module.path\": \"...\"}}");
    }
    weir_err err = check_keys(host, loader, "outprocess.loader", keys);
    if (err != WEIR_OK) {
        return err;
    }
    json_t *name = json_object_get(loader, "name");
    const char *text = name == NULL ? "native" : json_string_value(name);
    if (text == NULL || !is_native_loader(args, text)) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: outprocess.loader.name must be a native loader, such as "
                         "\"native\"");
    }
    json_t *entrypoint = json_object_get(loader, "entrypoint");
    *path = json_string_value(json_object_get(entrypoint, "module.path"));
    if (*path == NULL) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: outprocess.loader.entrypoint[\"module.path\"] must be a "
                         "string");
    }
    return WEIR_OK;
}

static bool is_key(wr_json_text *text, const wr_json_value *member, const char *wanted)
{
    wr_json_key key = wr_json_key_get(text, member->node);
    bool same = key.size == strlen(wanted) && memcmp(key.text, wanted, key.size) == 0;
    wr_json_key_release(&key);
    return same;
}

/* The text of the args' member `key`, or "null"; the caller's to free. NULL: out of memory. */
static char *member_text(wr_json_text *text, const char *key)
{
    wr_json_value args = wr_json_root(text);
    wr_json_value member;
    bool more = wr_json_first(text, &args, &member);
    while (more && !is_key(text, &member, key)) {
        more = wr_json_next(text, &member);
    }
    return more ? wr_json_compact(text, member.node) : wr_text_copy("null");
}

/* The JSON text of the hosted module's args, the caller's to free. */
static weir_err read_args(weir_host *host, wr_json_text *text, char **out)
{
    bool given = json_object_get(text->root, "module.args") != NULL;
    if (given && json_object_get(text->root, "module.arguments") != NULL) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: \"module.args\" and \"module.arguments\" are the same key; "
                         "give one");
    }
    *out = member_text(text, given ? "module.args" : "module.arguments");
    return *out == NULL ? weir_fail(host, WEIR_ERR_MEMORY, "out of memory") : WEIR_OK;
}

/* From now on the host has the module's name, if that is known. */
static weir_err take_name(json_t *args, module_host *self)
{
    json_t *name = json_object_get(args, "module.name");
    if (name == NULL) {
        return WEIR_OK;
    }
    if (!json_is_string(name)) {
        return weir_fail(self->host, WEIR_ERR_CONFIG,
                         "module host: \"module.name\" must be a string");
    }
    self->name = wr_text_copy(json_string_value(name));
    if (self->name == NULL) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "out of memory");
    }
    self->host_name = self->host->name;
    self->host->name = self->name;
    return WEIR_OK;
}

static weir_err load(weir_host *host, const char *path, wr_native_module *native)
{
    wr_error error = {.code = WEIR_OK};
    char *file = NULL;
    weir_err err = wr_native_find(path, ".", &file, &error);
    if (err == WEIR_OK) {
        err = wr_native_open(file, native, &error);
    }
    free(file);
    return err == WEIR_OK ? WEIR_OK
                          : weir_fail(host, err, "module host: \"%s\": %s", path, error.text);
}

static weir_err create_hosted(weir_host *host, wr_json_text *text, module_host *self)
{
    static const char *const keys[] = {"outprocess.loaders", "outprocess.loader", "module.args",
                                       "module.arguments",   "module.name",       NULL};
    const char *path = NULL;
    char *module_args = NULL;
    weir_err err = check_keys(host, text->root, "args", keys);
    if (err == WEIR_OK) {
        err = read_path(host, text->root, &path);
    }
    if (err == WEIR_OK) {
        err = read_args(host, text, &module_args);
    }
    if (err == WEIR_OK) {
        err = load(host, path, &self->native);
    }
    if (err == WEIR_OK) {
        err = take_name(text->root, self);
    }
    if (err == WEIR_OK) {
        host->flags = self->native.api->flags;
        err = self->native.api->create(host, module_args, &self->self);
    }
    free(module_args);
    return err;
}

/* Without its module, which is destroyed or was never made. */
static void free_host(module_host *self)
{
    if (self->host_name != NULL) {
        self->host->name = self->host_name;
    }
    self->host->flags = wr_module_host_api()->flags;
    wr_native_close(&self->native);
    free(self->name);
    free(self);
}

static weir_err create_from(weir_host *host, wr_json_text *text, void **out)
{
    if (!json_is_object(text->root)) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: args must be an object with \"outprocess.loader\" and "
                         "\"module.args\"");
    }
    module_host *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    self->host = host;
    weir_err err = create_hosted(host, text, self);
    if (err != WEIR_OK) {
        free_host(self);
        return err;
    }
    *out = self;
    return WEIR_OK;
}

static weir_err host_create(weir_host *host, const char *args, void **out)
{
    wr_json_text text;
    wr_json_mistake mistake = {.offset = 0};
    weir_err err = wr_json_load(&text, args, strlen(args), &mistake);
    err = err == WEIR_OK ? create_from(host, &text, out)
                         : weir_fail(host, err, "module host: args are no JSON: %s",
                                     err == WEIR_ERR_CONFIG ? mistake.text : weir_err_text(err));
    wr_json_deinit(&text);
    return err;
}

static weir_err host_start(void *arg)
{
    module_host *self = arg;
    return self->native.api->start == NULL ? WEIR_OK : self->native.api->start(self->self);
}

static void host_receive_many(void *arg, weir_message **msgs, size_t count)
{
    module_host *self = arg;
    wr_module_receive(self->native.api, self->self, msgs, count);
}

static void host_destroy(void *arg)
{
    module_host *self = arg;
    wr_module_destroy(self->native.api, self->self);
    free_host(self);
}

const weir_module_api *wr_module_host_api(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "module_host",
        .summary = "loads a native module and runs it in this process",
        .flags = 0,
        .args_schema = "{\"type\": \"object\", \"required\": [\"outprocess.loader\"]}",
        .create = host_create,
        .start = host_start,
        .receive_many = host_receive_many,
        .destroy = host_destroy,
    };
    return &api;
}
