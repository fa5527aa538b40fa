/* SPDX-License-Identifier: MIT
 *
 * What libweir-gateway needs of libweir's inside carries WR_SHARED: exported under wr_, with no
 * installed header, so that state such as the log's sink exists once in a process. Everything else
 * is hidden (-fvisibility=hidden).
 */
#ifndef WR_BASE_API_H
#define WR_BASE_API_H

#include "weir/error.h"

#define WR_SHARED WEIR_API

#endif
