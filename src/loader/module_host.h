/* SPDX-License-Identifier: MIT
 *
 * The module host: a module whose args name another, native module, which it loads and becomes.
 * `weir host` runs it as a remote module, and so any native module gets a process of its own.
 */
#ifndef WR_LOADER_MODULE_HOST_H
#define WR_LOADER_MODULE_HOST_H

#include "base/api.h"
#include "weir/module.h"

WR_SHARED const weir_module_api *wr_module_host_api(void);

#endif
