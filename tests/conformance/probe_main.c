/* SPDX-License-Identifier: MIT
 *
 * The probe as a program of its own.
 */
#include "weir/remote.h"

int main(int argc, char **argv)
{
    return weir_remote_main(weir_module(), argc, argv);
}
