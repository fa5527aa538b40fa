/* SPDX-License-Identifier: MIT
 *
 * The module host (contract in module_host.h). Its args, as the old system had them:
 *
 *   { "outprocess.loaders": [...]?,
 *     "outprocess.loader": { "name": "native", "entrypoint": { "module.path": ... } },
 *     "module.args": ... }                      ("module.arguments" is accepted, too)
 *
 * The hosted module gets this module's own weir_host: it does not know where it runs.
 */
#include "loader/module_host.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "loader/native.h"
#include "module/host.h"

typedef struct module_host {
    wr_native_module native;
    void *self; /* the hosted module's */
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
    json_object_foreach (object, key, value) {
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
    json_array_foreach (json_object_get(args, "outprocess.loaders"), index, loader) {
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

/* The JSON text of the hosted module's args, the caller's to free. */
static weir_err read_args(weir_host *host, json_t *args, char **out)
{
    json_t *value = json_object_get(args, "module.args");
    json_t *other = json_object_get(args, "module.arguments");
    if (value != NULL && other != NULL) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: \"module.args\" and \"module.arguments\" are the same key; "
                         "give one");
    }
    value = value != NULL ? value : other;
    *out = value == NULL
               ? json_dumps(json_null(), JSON_ENCODE_ANY)
               : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    return *out == NULL ? weir_fail(host, WEIR_ERR_MEMORY, "out of memory") : WEIR_OK;
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

static weir_err create_hosted(weir_host *host, json_t *args, module_host *self)
{
    static const char *const keys[] = {"outprocess.loaders", "outprocess.loader", "module.args",
                                       "module.arguments", NULL};
    const char *path = NULL;
    char *module_args = NULL;
    weir_err err = check_keys(host, args, "args", keys);
    if (err == WEIR_OK) {
        err = read_path(host, args, &path);
    }
    if (err == WEIR_OK) {
        err = read_args(host, args, &module_args);
    }
    if (err == WEIR_OK) {
        err = load(host, path, &self->native);
    }
    if (err == WEIR_OK) {
        err = self->native.api->create(host, module_args, &self->self);
    }
    free(module_args);
    return err;
}

static weir_err host_create(weir_host *host, const char *text, void **out)
{
    json_error_t json_error;
    json_t *args = json_loads(text, JSON_REJECT_DUPLICATES, &json_error);
    if (!json_is_object(args)) {
        json_decref(args);
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "module host: args must be an object with \"outprocess.loader\" and "
                         "\"module.args\"");
    }
    module_host *self = calloc(1, sizeof(*self));
    weir_err err = self == NULL ? weir_fail(host, WEIR_ERR_MEMORY, "out of memory")
                                : create_hosted(host, args, self);
    json_decref(args);
    if (err != WEIR_OK) {
        if (self != NULL) {
            wr_native_close(&self->native);
        }
        free(self);
        return err;
    }
    *out = self;
    return WEIR_OK;
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
    wr_native_close(&self->native);
    free(self);
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
