#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# source_rules.sh SOURCE_DIR: no banned function anywhere; no operating system's header in src/ but
# in src/platform/ (unit tests may use what they need); an SPDX line at the top of every file;
# src/README.md names only what is there.
set -u
cd "$1" || exit 1
failed=0

# report RULE LINES: say which rule the lines break, if there are any.
report()
{
    if [ -n "$2" ]; then
        printf '%s:\n%s\n' "$1" "$2"
        failed=1
    fi
}

banned='strcpy|strcat|sprintf|vsprintf|atoi|strtok|gmtime|localtime|gets'
report 'banned functions' \
    "$(grep -rnE --include='*.[ch]' "(^|[^A-Za-z0-9_])($banned) *\(" src cli modules samples include)"

# All that src/ may include in angle brackets: C11, the two libraries, and nothing else.
c11='assert|ctype|errno|float|inttypes|limits|locale|math|setjmp|stdalign|stdarg|stdatomic|stdbool'
c11="$c11|stddef|stdint|stdio|stdlib|string|time"
report 'headers that belong into src/platform/' \
    "$(grep -rnE --include='*.[ch]' '#[[:space:]]*include[[:space:]]*<' src |
        grep -vE '^src/platform/|^[^:]*_test\.[ch]:' | grep -vE "<($c11|jansson|uv)\.h>")"

without=$(find src include cli modules samples tests bench \( -name '*.[ch]' -o -name CMakeLists.txt \) \
    -exec awk 'FNR <= 2 && /SPDX-License-Identifier: MIT/ {found = 1} END {exit found}' {} \; -print)
report 'files without an SPDX line' "$without"

# The map follows the code: every file and function that it names is there.
gone=$(grep -oE '[a-z_]+(/[a-z_]+)*/[a-z_]+\.[ch]\b' src/README.md | sort -u | while read -r file; do
    [ -e "src/$file" ] || echo "$file"
done
grep -oE '`[a-z_]+`' src/README.md | tr -d '\140' | sort -u | while read -r name; do
    grep -rqwF --include='*.[ch]' "$name" src || echo "$name"
done)
report 'named in src/README.md, and not there' "$gone"
exit "$failed"
