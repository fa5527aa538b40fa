#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Build release and run all benchmarks; the table goes to standard output and into bench/out/.
#
#     RUNS=n    of each benchmark (5)
#     QUICK=1   a short one: 3 runs, each a third as long
#     ONLY=text only the rows whose key contains text, such as weir/echo; "life": start, stop, scale
#     BUILD=dir the build folder (build-bench)
#     OUT=dir   the results' folder (bench/out)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
build=${BUILD:-$root/build-bench}
out=${OUT:-$here/out}
quick=()
runs=${RUNS:-5}
if [ -n "${QUICK:-}" ] && [ "$QUICK" != 0 ]; then
    quick=(--quick)
    runs=${RUNS:-3}
fi

cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DWEIR_TESTS=OFF -DWEIR_BENCH=ON >&2
cmake --build "$build" -j "$(nproc)" >&2
mkdir -p "$out"
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$here/run.py" --build "$build" --out "$out" \
    --runs "$runs" --only "${ONLY:-}" "${quick[@]}"
