/* SPDX-License-Identifier: MIT
 *
 * Any of these modules as a program of its own.
 */
#include "weir/remote.h"

const weir_module_api *weir_module(void);

int main(int argc, char **argv)
{
    return weir_remote_main(weir_module(), argc, argv);
}
