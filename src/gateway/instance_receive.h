/* SPDX-License-Identifier: MIT
 *
 * How a native module is given its messages.
 */
#ifndef WR_GATEWAY_INSTANCE_RECEIVE_H
#define WR_GATEWAY_INSTANCE_RECEIVE_H

#include "gateway/instance.h"

/* Its `self` is the instance. A module whose node is closed is given no other message after the one
 * that it has in hand, or the several, if it takes several at once. */
extern const wr_consumer wr_native_consumer;

/* False: a pure source. */
bool wr_instance_can_receive(const weir_module_api *api);

#endif
