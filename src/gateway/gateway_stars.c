/* SPDX-License-Identifier: MIT
 *
 * Links from "*" (weir/gateway.h): each stands for links from all modules, those that come later
 * included, until it is removed or its sink is. There is at most one for each sink.
 */
#include "gateway/gateway_internal.h"

#include <stdlib.h>

static star_link *find_star(const weir_gateway *gateway, const wr_instance *sink)
{
    for (size_t i = 0; i < gateway->star_count; i++) {
        if (gateway->stars[i].sink == sink) {
            return &gateway->stars[i];
        }
    }
    return NULL;
}

static weir_err link_source(weir_gateway *gateway, const star_link *star, const wr_instance *source)
{
    if (source == star->sink) {
        return WEIR_OK;
    }
    weir_err err =
        wr_broker_link_star(gateway->broker, source->node, star->sink->node, star->queue);
    return err == WEIR_ERR_EXISTS ? WEIR_OK : err; /* a link of its own goes first */
}

weir_err wr_gateway_add_star(weir_gateway *gateway, wr_instance *sink, wr_queue_config queue)
{
    if (find_star(gateway, sink) != NULL) {
        return WEIR_ERR_EXISTS;
    }
    star_link *stars = realloc(gateway->stars, (gateway->star_count + 1) * sizeof(*stars));
    if (stars == NULL) {
        return WEIR_ERR_MEMORY;
    }
    gateway->stars = stars;
    star_link *star = &stars[gateway->star_count++];
    *star = (star_link){.sink = sink, .queue = queue};
    weir_err err = WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i < gateway->count; i++) {
        err = link_source(gateway, star, gateway->instances[i]);
    }
    if (err != WEIR_OK) {
        (void)wr_gateway_remove_star(gateway, sink);
    }
    return err;
}

weir_err wr_gateway_link_stars(weir_gateway *gateway, const wr_instance *source)
{
    weir_err err = WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i < gateway->star_count; i++) {
        err = link_source(gateway, &gateway->stars[i], source);
    }
    return err;
}

weir_err wr_gateway_remove_star(weir_gateway *gateway, const wr_instance *sink)
{
    star_link *star = find_star(gateway, sink);
    if (star == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    *star = gateway->stars[--gateway->star_count];
    wr_broker_unlink_star(gateway->broker, sink->node);
    return WEIR_OK;
}
