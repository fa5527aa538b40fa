#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# alone.sh INCLUDE_DIR COMPILER FLAGS...: every public header compiles as the only one, and twice.
set -u
include=$1
shift
failed=0
count=0
for header in "$include"/weir/*.h; do
    name=weir/$(basename "$header")
    count=$((count + 1))
    if ! printf '#include "%s"\n#include "%s"\nint weir_not_empty;\n' "$name" "$name" |
        "$@" -Wall -Wextra -pedantic -Werror -fsyntax-only -I "$include" -; then
        echo "$name does not compile alone with: $*"
        failed=1
    fi
done
if [ "$count" -eq 0 ]; then
    echo "no headers in $include/weir"
    failed=1
fi
exit "$failed"
