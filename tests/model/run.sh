#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Check one model, or all: the model itself must hold, and every mutation that its head lists must be
# found to be wrong. usage: run.sh [NAME]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The mutations of a model: the words in capitals that begin the lines after "Mutations".
mutations() {
    sed -n '/^ \* Mutations/,/^ \*\//s/^ \*   \([A-Z_]*\) .*/\1/p' "$1"
}

# check MODEL [-DMUTATION]: prints pan's report; fails where spin or the compiler does.
check() (
    rm -rf "$work/run" && mkdir "$work/run" && cd "$work/run"
    spin -a ${2:-} "$here/$1.pml" >spin.log 2>&1 || { cat spin.log >&2; exit 2; }
    "${CC:-cc}" -O2 -w -DSAFETY -DMEMLIM=2048 -DCOLLAPSE -o pan pan.c
    ./pan -m1000000
)

# States that spin could not visit prove nothing.
holds() {
    grep -q 'errors: 0' "$work/report" &&
        ! grep -q 'Search not completed\|too small\|out of memory\|MEMLIM bound' "$work/report"
}

run_model() {
    check "$1" >"$work/report" 2>&1 || true
    if ! holds; then
        cat "$work/report"
        echo "model $1: does not hold"
        exit 1
    fi
    echo "model $1: holds, $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/report") states"
    for mutation in $(mutations "$here/$1.pml"); do
        check "$1" "-D$mutation" >"$work/report" 2>&1 || true
        if ! grep -q 'errors: [1-9]' "$work/report"; then
            cat "$work/report"
            echo "model $1: the mutation $mutation was not found"
            exit 1
        fi
        echo "model $1: $mutation is found"
    done
}

if [ $# -gt 0 ]; then
    run_model "$1"
    exit 0
fi
for file in "$here"/*.pml; do
    run_model "$(basename "$file" .pml)"
done
