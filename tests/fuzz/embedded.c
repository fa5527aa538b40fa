/* SPDX-License-Identifier: MIT
 *
 * The embedded gateway, see embedded.h.
 */
#include "embedded.h"

#include <string.h>

#include "ends.h"
#include "fuzz.h"

#define MODULE_JSON_SIZE 512u
#define HASTY_TIMEOUT_MS 20
#define PATIENT_TIMEOUT_MS 20000

static void check_link(void *user, const weir_link_info *info)
{
    (void)user;
    REQUIRE(info->accepted ==
            info->delivered + info->dropped_full + info->dropped_closed + info->queued);
    if (strcmp(info->sink, "other") == 0) {
        REQUIRE(info->accepted == ends_published() &&
                info->dropped_full + info->dropped_closed == 0);
    }
}

static void add_native(weir_gateway *gateway, const char *name)
{
    char json[MODULE_JSON_SIZE];
    (void)snprintf(json, sizeof(json),
                   "{\"name\":\"%s\",\"args\":\"%s\","
                   "\"loader\":{\"entrypoint\":{\"module.path\":\"" FUZZ_ENDS_PATH "\"}}}",
                   name, name);
    REQUIRE(weir_gateway_add_module(gateway, json) == WEIR_OK);
}

static void add_remote(weir_gateway *gateway, unsigned mode, const char *control_path,
                       const char *message_path)
{
    char json[MODULE_JSON_SIZE];
    (void)snprintf(json, sizeof(json),
                   "{\"name\":\"remote\",\"heartbeat\":{\"interval.ms\":%u},\"loader\":{\"name\":"
                   "\"outprocess\",\"entrypoint\":{"
                   "\"timeout\":%d,\"control.id\":\"%s\"%s%s%s}}}",
                   (mode & EMBEDDED_HASTY) != 0 ? 1u : 1000u,
                   (mode & EMBEDDED_HASTY) != 0 ? HASTY_TIMEOUT_MS : PATIENT_TIMEOUT_MS,
                   control_path, (mode & EMBEDDED_MESSAGE_ID) != 0 ? ",\"message.id\":\"" : "",
                   (mode & EMBEDDED_MESSAGE_ID) != 0 ? message_path : "",
                   (mode & EMBEDDED_MESSAGE_ID) != 0 ? "\"" : "");
    REQUIRE(weir_gateway_add_module(gateway, json) == WEIR_OK);
}

static void add_link(weir_gateway *gateway, const char *json)
{
    REQUIRE(weir_gateway_add_link(gateway, json) == WEIR_OK);
}

void embedded_check(weir_gateway *gateway)
{
    weir_gateway_links(gateway, check_link, NULL);
}

weir_gateway *embedded_open(unsigned mode, const char *control_path, const char *message_path)
{
    weir_gateway *gateway = NULL;
    ends_reset();
    REQUIRE(weir_gateway_create(NULL, &gateway) == WEIR_OK);
    add_native(gateway, "source");
    add_native(gateway, "sink");
    add_native(gateway, "other");
    add_remote(gateway, mode, control_path, message_path);
    add_link(gateway, (mode & EMBEDDED_DROP) != 0
                          ? "{\"source\":\"source\",\"sink\":\"remote\",\"queue\":{"
                            "\"limit\":50,\"when.full\":\"drop.oldest\"}}"
                          : "{\"source\":\"source\",\"sink\":\"remote\"}");
    add_link(gateway, "{\"source\":\"remote\",\"sink\":\"sink\"}");
    add_link(gateway, "{\"source\":\"source\",\"sink\":\"other\",\"queue\":{\"limit\":100000}}");
    REQUIRE(weir_gateway_start(gateway) == WEIR_OK);
    return gateway;
}
