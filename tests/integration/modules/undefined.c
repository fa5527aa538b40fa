/* SPDX-License-Identifier: MIT
 *
 * A module that cannot be loaded: it calls a function that exists nowhere.
 */
#include "weir/module.h"

const weir_module_api *function_that_exists_nowhere(void);

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return function_that_exists_nowhere();
}
