# SPDX-License-Identifier: MIT
"""The rows of the table: what is measured, of whom, at which sizes."""
import json
import os

from . import case, topology

SIZES = [16, 64, 256, 4096, 65536, 1048576]
PEERS = ["unix", "gather", "nanomsg", "nng", "zmq"]
GATHER_MAX = 4096  # above, both bare streams send by one gathered write for each message
NAMES = {"unix": "bare stream, coalesced (limit)", "gather": "bare stream, gathered (limit)", "nanomsg": "nanomsg", "nng": "NNG", "zmq": "ZeroMQ",
         "weir": "Weir", "message": "bare queue, Weir's messages (limit)",
         "malloc": "bare queue, malloc and free (limit)", "none": "bare queue, no allocation"}
LOW_RATE = 200


class Row:
    """One line of the table. `once(run, seconds, rate, stamps)` starts what is measured in a Run
    and returns its sinks and sources."""

    def __init__(self, system, what, size, once, total=False):
        self.system = system
        self.what = what
        self.size = size
        self.once = once
        self.total = total  # the rate of all sinks together, not of the slowest
        self.low = False    # at LOW_RATE
        self.half = None    # the row at half of whose rate this one runs
        self.runs = []
        self.failures = []

    @property
    def key(self):
        load = "/200" if self.low else "/half" if self.half else ""
        return f"{self.system}/{self.what}/{self.size}{load}"

    def figure(self, name):
        """[median, min, max] of the runs; None: there is none."""
        values = sorted(run[name] for run in self.runs)
        if not values or self.failures:
            return None
        middle = len(values) // 2
        median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
        return [median, values[0], values[-1]]

    def rate(self):
        return self.figure("total" if self.total else "rate")

    def offered(self):
        """Messages per second to send; None: what it depends on has failed."""
        if self.low:
            return LOW_RATE
        if self.half is None:
            return 0
        full = self.half.rate()
        return None if full is None else int(full[0] / 2)

    def measure(self, log, seconds):
        rate = self.offered()
        if rate is None:
            self.failures.append("no full rate to take the half of")
            return
        timed = self.low or self.half is not None or self.what == "ping-pong"
        try:
            with case.Run(log) as run:
                sinks, sources = self.once(run, seconds, rate, timed)
                figures = case.measure(run, sinks, sources, seconds)
                if self.system == "weir":
                    run.stop()
            self.runs.append(figures)
        except case.Failed as error:
            self.failures.append(str(error))

    def at_low_rate(self):
        row = Row(self.system, self.what, self.size, self.once, self.total)
        row.low = True
        return row

    def at_half_rate(self):
        row = Row(self.system, self.what, self.size, self.once, self.total)
        row.half = self
        return row


def start_weir(build, run, top):
    path = run.path("gateway.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(top.config(), file, indent=1)
    run.start([os.path.join(build, "weir"), "run", path])


def weir(build, what, size, shape, total=False):
    def once(run, seconds, rate, stamps):
        top = topology.Topology(build, run, size, seconds, rate, stamps)
        shape(top)
        start_weir(build, run, top)
        return top.sinks, top.sources
    return Row("weir", what, size, once, total)


def program(build, name, mode, what, size, system):
    path = os.path.join(build, "bench", name)

    def once(run, seconds, rate, stamps):
        run.start([path, mode, str(size), str(seconds), str(rate), "1" if stamps else "0",
                   run.path("socket"), run.report, run.path("go")])
        return 1, ["go"]
    return Row(system, what, size, once)


def in_process(build):
    rows = []
    for size in SIZES:
        rows.append(weir(build, "1 -> 1", size, topology.one_to_one))
        for allocation in ("message", "malloc", "none"):
            rows.append(program(build, "queue_limit", allocation, "1 -> 1", size, allocation))
    rows.append(weir(build, "1 -> 1, 2 threads", 64, lambda top: topology.one_to_one(top, 2)))
    for size in (64, 4096):
        rows.append(weir(build, "1 -> 8, each", size, topology.one_to_many))
        rows.append(weir(build, "8 -> 1", size, topology.many_to_one))
        rows.append(weir(build, "chain of 8", size, topology.chain))
    return rows


def out_of_process(build, peers):
    rows = []
    for size in SIZES:
        for what, mode, shape in (("one way", "oneway", topology.one_way),
                                  ("echo", "echo", topology.echo)):
            rows.append(weir(build, what, size, shape))
            rows += [program(build, "peer_" + peer, mode, what, size, peer) for peer in peers
                     if peer != "gather" or size <= GATHER_MAX]
    rows.append(weir(build, "one way, not acknowledged", 64,
                     lambda top: topology.one_way(top, "not acknowledged")))
    rows.append(weir(build, "one way back", 64, topology.one_way_back))
    for size in (64, 65536):
        rows.append(weir(build, "one way, isolation", size,
                         lambda top: topology.one_way(top, "process")))
        rows.append(weir(build, "echo, isolation", size,
                         lambda top: topology.echo(top, "process")))
        rows.append(weir(build, "1 -> 4 remotes, each", size,
                         lambda top: topology.one_to_many(top, 4, "launched")))
        rows.append(weir(build, "echo, 4 remotes, sum", size, topology.echoes, True))
    return rows


def latency(build, peers, full):
    """At 200 messages/s and at half of the rate that the rows in `full` reach."""
    by_key = {row.key: row for row in full}
    rows = []
    timed = [("weir", "1 -> 1")]
    peers = [peer for peer in peers if peer != "gather"]
    for system in ["weir", *peers]:
        timed += [(system, "one way"), (system, "echo")]
    for system, what in timed:
        row = by_key[f"{system}/{what}/64"]
        # Ping-pong on one thread is the quickest that the others' echo can be.
        low = row if system == "weir" or what == "one way" else program(
            build, "peer_" + system, "pingpong", "echo", 64, system)
        rows.append(low.at_low_rate())
        rows.append(row.at_half_rate())
    rows += [program(build, "peer_" + peer, "pingpong", "ping-pong", 64, peer) for peer in peers]
    return rows
