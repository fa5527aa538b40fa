# SPDX-License-Identifier: MIT
"""The plots of one run of all benchmarks."""
import os

from . import life, svg, table
from .rows import NAMES

STREAMS = ["weir", "unix", "gather", "nanomsg", "nng", "zmq"]
QUEUES = ["weir", "message", "malloc", "none"]


def scaled(figure, factor):
    return [value * factor for value in figure]


def over_size(rows, what, systems, figure):
    """{name: [(size, figure)]} of the rows at full rate."""
    series = {}
    for system in systems:
        points = [(row.size, figure(row)) for row in rows
                  if row.system == system and row.what == what and not row.low and not row.half
                  and row.rate() is not None]
        series[NAMES[system]] = sorted(points)
    return series


def throughput(folder, rows):
    for name, what, systems, title in (
            ("in-process", "1 -> 1", QUEUES, "In process, one source to one sink"),
            ("one-way", "one way", STREAMS, "To another process, one way"),
            ("echo", "echo", STREAMS, "To another process and back")):
        svg.line_chart(os.path.join(folder, f"throughput-{name}.svg"), title, "message size",
                       "messages per second", over_size(rows, what, systems, lambda r: r.rate()),
                       table.size_text)
        svg.line_chart(os.path.join(folder, f"bandwidth-{name}.svg"), title, "message size",
                       "MB per second",
                       over_size(rows, what, systems, lambda r: scaled(r.rate(), r.size / 1e6)),
                       table.size_text)
        svg.line_chart(os.path.join(folder, f"cpu-{name}.svg"), title + ": processor time",
                       "message size", "ns per message, all processes",
                       over_size(rows, what, systems, lambda r: r.figure("cpu_ns")),
                       table.size_text)


def latency(folder, rows):
    for what, name in (("one way", "one-way"), ("echo", "echo")):
        for half, load in ((False, "200 messages/s"), (True, "half of the maximum rate")):
            groups = []
            for system in STREAMS:
                bars = [(label, row.figure(key)[0] / 1e3) for row in rows
                        if row.system == system and row.what == what and row.figure("p50")
                        and (row.half is not None if half else row.low)
                        for key, label in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))]
                groups.append((NAMES[system], bars))
            suffix = "half" if half else "200"
            svg.bar_chart(os.path.join(folder, f"latency-{name}-{suffix}.svg"),
                          f"Latency, {what}, 64 B, at {load}", "microseconds", groups, "us")


def scaling(folder, lives):
    series = {}
    for figure in ("start, ms", "own memory, KiB", "message, ns"):
        points = [(count, lives.median(f"{count} modules: {figure}")) for count in life.SCALES]
        series[figure] = [(count, value) for count, value in points
                          if value is not None and min(value) > 0]
    svg.line_chart(os.path.join(folder, "scaling.svg"), "Idle modules and links in one gateway",
                   "modules", "ms, KiB, ns", series, svg.short)


def write(folder, rows, lives):
    measured = [row for row in rows if row.runs and not row.failures]
    throughput(folder, measured)
    latency(folder, measured)
    scaling(folder, lives)
