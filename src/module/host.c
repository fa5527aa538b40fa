/* SPDX-License-Identifier: MIT
 *
 * Both directions across the module contract: what a module asks of its host, and how a host calls
 * a module. No state of its own, so that the gateway and the remote side treat modules the same.
 */
#include "module/host.h"

#include <stdarg.h>
#include <stddef.h>

#include "base/log.h"

/* The table of the first version, whose last field is destroy: a module built against it is taken
 * for ever. A field that comes later is read only where api->size says that it is there. */
#define API_SIZE_MIN ((uint32_t)(offsetof(weir_module_api, destroy) + sizeof(void (*)(void *))))

/* ---- from the module to its host ---- */

weir_err weir_publish(weir_host *host, weir_message *msg)
{
    if (host == NULL || msg == NULL) {
        return WEIR_ERR_INVALID;
    }
    return host->ops->publish(host, msg, true);
}

weir_err weir_try_publish(weir_host *host, weir_message *msg)
{
    if (host == NULL || msg == NULL) {
        return WEIR_ERR_INVALID;
    }
    return host->ops->publish(host, msg, false);
}

weir_err weir_fail(weir_host *host, weir_err err, const char *format, ...)
{
    if (host == NULL) {
        return err;
    }
    va_list args;
    va_start(args, format);
    wr_error_setv(&host->failure, err, format, args);
    va_end(args);
    return err;
}

void weir_log(weir_host *host, weir_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    wr_logv(weir_host_name(host), level, format, args);
    va_end(args);
}

const char *weir_host_name(const weir_host *host)
{
    return host == NULL || host->name == NULL ? "" : host->name;
}

/* ---- from the host to the module ---- */

weir_err wr_module_api_check(const weir_module_api *api, wr_error *error)
{
    if (api == NULL) {
        return wr_error_set(error, WEIR_ERR_LOAD, "there is no module table (the pointer is NULL)");
    }
    if (api->abi_version != WEIR_MODULE_ABI) {
        return wr_error_set(error, WEIR_ERR_LOAD,
                            "the module was built for module ABI %u, but this is Weir with ABI %u",
                            api->abi_version, WEIR_MODULE_ABI);
    }
    if (api->size < API_SIZE_MIN) {
        return wr_error_set(error, WEIR_ERR_LOAD,
                            "the module table has %u bytes, expected at least %u (is its field "
                            "size set to sizeof(weir_module_api)?)",
                            api->size, API_SIZE_MIN);
    }
    if (api->name == NULL || api->summary == NULL) {
        return wr_error_set(error, WEIR_ERR_LOAD, "the module table has no name or no summary");
    }
    if (api->create == NULL) {
        return wr_error_set(error, WEIR_ERR_LOAD, "the module table has no create function");
    }
    return WEIR_OK;
}

static weir_err known(weir_err err)
{
    /* A module may return any number; past this point only those of the list exist. */
    return (int)err >= 0 && err < WEIR_ERR_END_ ? err : WEIR_ERR_MODULE;
}

static weir_err explain(const weir_host *host, const char *step, weir_err err, wr_error *error)
{
    if (host->failure.text[0] != '\0') {
        return wr_error_set(error, known(err), "%s", host->failure.text);
    }
    return wr_error_set(error, known(err), "%s returned %s (%s) and gave no reason", step,
                        weir_err_name(err), weir_err_text(err));
}

static void forget_failure(weir_host *host)
{
    host->failure.code = WEIR_OK;
    host->failure.text[0] = '\0';
}

weir_err wr_module_create(const weir_module_api *api, weir_host *host, const char *args,
                          void **self, wr_error *error)
{
    forget_failure(host);
    void *made = NULL;
    weir_err err = api->create(host, args == NULL ? "null" : args, &made);
    if (err != WEIR_OK) {
        return explain(host, "create", err, error);
    }
    *self = made;
    return WEIR_OK;
}

weir_err wr_module_start(const weir_module_api *api, weir_host *host, void *self, wr_error *error)
{
    if (api->start == NULL) {
        return WEIR_OK;
    }
    forget_failure(host);
    weir_err err = api->start(self);
    return err == WEIR_OK ? WEIR_OK : explain(host, "start", err, error);
}

void wr_module_receive(const weir_module_api *api, void *self, weir_message **msgs, size_t count)
{
    if (api->receive_many != NULL) {
        api->receive_many(self, msgs, count);
        return;
    }
    if (api->receive == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        api->receive(self, msgs[i]);
    }
}

void wr_module_destroy(const weir_module_api *api, void *self)
{
    if (api->destroy != NULL) {
        api->destroy(self);
    }
}
