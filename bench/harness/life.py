# SPDX-License-Identifier: MIT
"""Start, stop, death, idleness and size of whole gateways."""
import os
import signal
import time

from . import case, rows, topology

IDLE_S = 10
SCALES = [10, 100, 1000, 10000]
KILL_RATE = 2000
KILL_S = 1.5
BACK_S = 5  # by then a killed remote is back and its messages are through


class Figures:
    """Named values with the runs they come from."""

    def __init__(self):
        self.values = {}
        self.failures = {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)

    def attempt(self, name, work, *args):
        try:
            work(self, *args)
        except case.Failed as error:
            self.failures.setdefault(name, []).append(str(error))

    def median(self, name):
        """[median, min, max]; None: there is none."""
        values = sorted(self.values.get(name, []))
        if not values:
            return None
        middle = len(values) // 2
        median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
        return [median, values[0], values[-1]]


def start_stop(figures, build, log):
    """From the start of the gateway to the first message in a launched process, and to the end."""
    for where, name in (("launched", "launch"), ("process", "isolation")):
        with case.Run(log) as run:
            top = topology.Topology(build, run)
            topology.one_way(top, where)
            rows.start_weir(build, run, top)
            first = run.events("ready", 1, case.READY_S)[0]
            figures.add(f"{name} to first message, ms", (first["at_ns"] - run.started_ns) / 1e6)
            figures.add(f"stop with a remote by {name}, ms", run.stop() * 1e3)


def remote_of(run):
    children = run.pids()[1:]
    if len(children) != 1:
        raise case.Failed(f"one remote process was expected, there are {len(children)}")
    return children[0]


def kill(figures, build, log):
    """Kill the remote echo in mid stream. The longest silence at the sink is the time to be back."""
    with case.Run(log) as run:
        top = topology.Topology(build, run, rate=KILL_RATE, seconds=KILL_S)
        top.source("source")
        top.launched("forward", "echo")
        top.sink("sink", 1, gaps=True)
        top.link("source", "echo")
        top.link("echo", "sink")
        rows.start_weir(build, run, top)
        run.events("ready", 1, case.READY_S)
        victim = remote_of(run)
        run.go(top.sources)
        time.sleep(KILL_S / 3)  # into the middle of the stream; nothing waits for this
        os.kill(victim, signal.SIGKILL)
        done = run.events("done", 1, KILL_S + BACK_S)[0]
        figures.add("killed remote back in service, ms", done["gap_ns"] / 1e6)
        figures.add("lost by the kill, messages", done["lost"])
        figures.add("sent again after the kill, messages", done["repeated"])
        if done["lost"] != 0 or done["damaged"] != 0:
            raise case.Failed(f"{done['lost']} lost, {done['damaged']} damaged")
        run.stop()


def idle(figures, build, log):
    """A gateway with a remote module, and nothing to do."""
    with case.Run(log) as run:
        top = topology.Topology(build, run)
        topology.echo(top)
        rows.start_weir(build, run, top)
        run.events("ready", 1, case.READY_S)
        pids = {"gateway": run.process.pid, "remote": remote_of(run)}
        time.sleep(1)  # what was set off by the start is over
        before = {name: (case.process_cpu_ns(pid), case.wakeups(pid)) for name, pid in pids.items()}
        time.sleep(IDLE_S)  # the time that is measured
        for name, pid in pids.items():
            cpu, woken = before[name]
            used = case.process_cpu_ns(pid) - cpu
            figures.add(f"idle {name}, % of a core", used / (IDLE_S * 1e9) * 100)
            figures.add(f"idle {name}, wake-ups/s", (case.wakeups(pid) - woken) / IDLE_S)
            figures.add(f"memory of {name}, KiB", case.status(pid, "VmHWM"))
            figures.add(f"memory of {name} of its own, KiB", case.status(pid, "RssAnon"))
        run.stop()


def scale(figures, build, log, count, seconds):
    """`count` idle modules in a row of links, and a source and a sink that work among them."""
    with case.Run(log) as run:
        top = topology.Topology(build, run, seconds=seconds)
        topology.one_to_one(top)
        for i in range(count):
            top.native("idle", f"idle{i}")
            if i > 0:
                top.link(f"idle{i - 1}", f"idle{i}")
        rows.start_weir(build, run, top)
        first = run.events("ready", 1, 60)[0]
        figures.add(f"{count} modules: start, ms", (first["at_ns"] - run.started_ns) / 1e6)
        figures.add(f"{count} modules: memory, KiB", case.status(run.process.pid, "VmRSS"))
        figures.add(f"{count} modules: own memory, KiB", case.status(run.process.pid, "RssAnon"))
        before = case.process_cpu_ns(run.process.pid)
        run.go(top.sources)
        done = run.events("done", 1, seconds + case.DRAIN_S)
        case.check(done)
        figures.add(f"{count} modules: message, ns", done[0]["ns"] / done[0]["count"])
        figures.add(f"{count} modules: CPU per message, ns",
                    (case.process_cpu_ns(run.process.pid) - before) / done[0]["count"])
        figures.add(f"{count} modules: stop, ms", run.stop() * 1e3)


def fan_out(figures, build, log, count, seconds):
    """One source, `count` links to sinks that do nothing, and one that counts."""
    with case.Run(log) as run:
        top = topology.Topology(build, run, seconds=seconds)
        topology.one_to_one(top)
        for i in range(count - 1):
            top.native("idle", f"idle{i}")
            top.link("source", f"idle{i}")
        rows.start_weir(build, run, top)
        run.events("ready", 1, 60)
        run.go(top.sources)
        done = run.events("done", 1, seconds + case.DRAIN_S)
        case.check(done)
        figures.add(f"{count} links: message per link, ns",
                    done[0]["ns"] / done[0]["count"] / count)
        run.stop()


def memory_per_module(figures):
    """Bytes per module (and its link), from the largest and the smallest gateway."""
    small = figures.median(f"{SCALES[0]} modules: own memory, KiB")
    large = figures.median(f"{SCALES[-1]} modules: own memory, KiB")
    if small is None or large is None:
        return None
    return (large[0] - small[0]) * 1024 / (SCALES[-1] - SCALES[0])
