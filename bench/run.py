#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""All benchmarks of Weir and of what it is compared with, in turns, RUNS times each.

Prints one table and writes it, with every single run, into a folder. See bench/README.md.
"""
import argparse
import json
import os
import sys
import time

from harness import bars, life, machine, plots, rows, table


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--out", required=True, help="where results go")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer of them")
    parser.add_argument("--only", default="", help="only rows whose key contains this")
    return parser.parse_args()


def durations(quick):
    """Seconds per run."""
    return {"full": 0.15, "half": 0.15, "low": 0.4} if quick else \
           {"full": 0.5, "half": 0.5, "low": 2.5}


def measure_lives(figures, build, log, quick, last):
    seconds = 0.2 if quick else 0.5
    figures.attempt("start and stop", life.start_stop, build, log)
    figures.attempt("kill", life.kill, build, log)
    for count in life.SCALES:
        figures.attempt(f"{count} modules", life.scale, build, log, count, seconds)
    for count in life.SCALES[:3]:
        figures.attempt(f"{count} links", life.fan_out, build, log, count, seconds)
    if last:
        figures.attempt("idle", life.idle, build, log)


def main():
    given = arguments()
    build = os.path.abspath(given.build)
    os.makedirs(given.out, exist_ok=True)
    log = os.path.join(given.out, "run.log")
    with open(log, "wb"):
        pass
    peers = [peer for peer in rows.PEERS
             if os.path.exists(os.path.join(build, "bench", "peer_" + peer))]
    full = rows.in_process(build) + rows.out_of_process(build, peers)
    everything = full + rows.latency(build, peers, full)
    chosen = [row for row in everything if given.only in row.key]
    lives = life.Figures()
    seconds = durations(given.quick)
    about = machine.describe()
    begun = time.monotonic()
    for number in range(given.runs):
        print(f"run {number + 1} of {given.runs}, {time.monotonic() - begun:.0f} s",
              file=sys.stderr, flush=True)
        for row in chosen:
            row.measure(log, seconds["low" if row.low else "half" if row.half else "full"])
        if not given.only or given.only == "life":
            measure_lives(lives, build, log, given.quick, number == given.runs - 1)
    about["load at the end"] = machine.load()
    about["seconds"] = round(time.monotonic() - begun)
    judged = bars.judge(everything, lives)
    text = table.render(about, given, everything, lives, judged)
    print(text)
    table.write(given.out, text, about, everything, lives, judged)
    plots.write(given.out, everything, lives)
    failed = [row.key for row in everything if row.failures] + list(lives.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
