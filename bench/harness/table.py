# SPDX-License-Identifier: MIT
"""The one table, as Markdown, and the results as JSON."""
import json
import os

from .rows import NAMES


def size_text(size):
    for unit, factor in (("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size // factor} {unit}"
    return f"{size} B"


def number(value):
    """Three significant digits, with k and M."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}" if value < factor * 999 else \
                   f"{value / factor:.0f} {unit}"
    return f"{value:.3g}"


def spread(figure, text=number):
    return f"{text(figure[0])} ({text(figure[1])} - {text(figure[2])})"


def microseconds(ns):
    return f"{ns / 1e3:.0f}" if ns >= 1e5 else f"{ns / 1e3:.3g}"


def plain(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def lines(head, body):
    out = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return out + ["| " + " | ".join(row) + " |" for row in body]


def failure_text(row):
    return f"FAILED {len(row.failures)}x: {row.failures[0]}"


def ratio_text(row, rates, system):
    other = rates.get((system, row.what, row.size))
    mine = row.rate()
    return f"{mine[0] / other:.2f}" if mine and other and system != row.system else ""


def limits_text(row, rates):
    """Of the gathered and of the coalesced stream, or of the queues with Weir's messages and with
    malloc."""
    ratios = [ratio_text(row, rates, system) for system in ("gather", "unix", "message", "malloc")]
    return " / ".join(text for text in ratios if text) if row.system == "weir" else ""


def throughput(rows):
    full = [row for row in rows if not row.low and row.half is None and row.what != "ping-pong"
            and (row.runs or row.failures)]
    rates = {(row.system, row.what, row.size): row.rate()[0] for row in full if row.rate()}
    body = []
    for row in full:
        if row.failures:
            body.append([row.what, size_text(row.size), NAMES[row.system], failure_text(row)] +
                        [""] * 6)
            continue
        rate = row.rate()
        ratios = [ratio_text(row, rates, peer) if row.system == "weir" else ""
                  for peer in ("nanomsg", "nng", "zmq")]
        body.append([row.what, size_text(row.size), NAMES[row.system], spread(rate),
                     f"{rate[0] * row.size / 1e9:.2f}", number(row.figure("cpu_ns")[0]),
                     f"{row.figure('memory_kib')[2] / 1024:.1f}", limits_text(row, rates),
                     " / ".join(ratios) if any(ratios) else "", "0"])
    return lines(["what", "size", "of", "msg/s: median (min - max)", "GB/s", "CPU ns/msg",
                  "peak MiB", "x limits", "x nanomsg / NNG / ZeroMQ", "lost"], body)


def latency(rows):
    body = []
    for row in rows:
        if not (row.low or row.half or row.what == "ping-pong") or not (row.runs or row.failures):
            continue
        load = "200/s" if row.low else "half of the maximum" if row.half else "back to back"
        if row.failures:
            body.append([row.what, load, NAMES[row.system], failure_text(row), "", "", "", ""])
            continue
        p50 = row.figure("p50")
        body.append([row.what, load, NAMES[row.system], number(row.rate()[0]),
                     spread(p50, microseconds),
                     microseconds(row.figure("p99")[0]), microseconds(row.figure("p999")[0]),
                     microseconds(row.figure("max")[0])])
    return lines(["what, 64 B", "load", "of", "msg/s", "p50 us: median (min - max)", "p99 us",
                  "p99.9 us", "max us"], body)


def life(figures):
    body = [[name, spread(figures.median(name), plain)]
            for name in figures.values]
    body += [[name, f"FAILED {len(why)}x: {why[0]}"] for name, why in figures.failures.items()]
    return lines(["what", "median (min - max)"], body)


def verdict(bar):
    if not bar["measured"]:
        return "not measured"
    return "pass" if bar["passed"] else "MISS"


def bars(judged):
    body = []
    for bar in judged:
        figure = number(bar["figure"]) if bar["measured"] else "-"
        sign = "<=" if bar["at_most"] else ">="
        body.append([bar["bar"], f"{figure} {bar['unit']}",
                     f"{sign} {number(bar['wanted'])} {bar['unit']}", verdict(bar)])
    return lines(["bar", "reached", "wanted", ""], body)


def render(about, given, rows, lives, judged):
    parts = ["# Benchmarks", ""]
    parts += [f"- {name}: {value}" for name, value in about.items()]
    parts += [f"- runs: {given.runs}{', quick' if given.quick else ''}, in turns", ""]
    for title, made in (("Throughput", throughput(rows)), ("Latency", latency(rows)),
                        ("Start, stop, idle, scale", life(lives)), ("Bars", bars(judged))):
        parts += [f"## {title}", "", *made, ""]
    return "\n".join(parts)


def write(folder, text, about, rows, lives, judged):
    with open(os.path.join(folder, "results.md"), "w", encoding="utf-8") as file:
        file.write(text)
    results = {
        "machine": about,
        "rows": [{"key": row.key, "system": row.system, "what": row.what, "size": row.size,
                  "runs": row.runs, "failures": row.failures}
                 for row in rows if row.runs or row.failures],
        "life": lives.values, "life failures": lives.failures, "bars": judged,
    }
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
