#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# exported_names.sh NM LIBRARY...: what a library exports begins with weir_ or wr_. (Names that begin
# with two underscores are the compiler's, such as those of a sanitizer.)
set -u
nm=$1
shift
failed=0
for library in "$@"; do
    names=$("$nm" -D --defined-only --format=posix "$library" | cut -d ' ' -f 1) || exit 1
    if ! grep -q '^weir_' <<<"$names"; then
        echo "$library exports nothing that begins with weir_"
        failed=1
    fi
    strange=$(grep -Ev '^(weir_|wr_|__)' <<<"$names")
    if [ -n "$strange" ]; then
        printf '%s exports names that are not its own:\n%s\n' "$library" "$strange"
        failed=1
    fi
done
exit "$failed"
