# SPDX-License-Identifier: MIT
"""One run of one benchmark: start the processes, say go, collect what the sinks report.

The order is the same for Weir and for what it is compared with: the sinks report that the probes
have come, the harness reads the processor time used so far and says go, the sinks report what they
received and whether it was right, and the harness reads the time and the memory used.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

READY_S = 20
DRAIN_S = 30
STOP_S = 10


class Failed(Exception):
    """A run that lost or changed messages, or did not end."""


def process_cpu_ns(pid):
    """Processor time of a process with all its threads, also of those that ended."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def status(pid, key):
    """A number from /proc/PID/status; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def wakeups(pid):
    """How often the threads of a process have gone to sleep by themselves."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            total += status(f"{pid}/task/{task}", "voluntary_ctxt_switches")
    except OSError:
        pass
    return total


def descendants(pid):
    """The process and all that it started, itself first."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += descendants(int(child))
    except OSError:
        pass
    return found


class Run:
    """A folder with the sockets of one run, and the process in it. Use it in a with statement."""

    def __init__(self, log_path):
        self.folder = tempfile.mkdtemp(prefix="weir-bench-")
        self.report = os.path.join(self.folder, "report")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.report)
        self.log_path = log_path
        self.process = None
        self.started_ns = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, command, environment=None):
        with open(self.log_path, "ab") as log:
            log.write(("$ " + " ".join(command) + "\n").encode())
            log.flush()
            self.started_ns = time.monotonic_ns()
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})

    def events(self, kind, count, timeout_s):
        """Wait for `count` reports of this kind."""
        found = []
        deadline = time.monotonic() + timeout_s
        while len(found) < count:
            self.socket.settimeout(max(0.001, min(0.25, deadline - time.monotonic())))
            try:
                report = json.loads(self.socket.recv(65536))
            except socket.timeout:
                if self.process.poll() is not None:
                    raise Failed(f"ended early with status {self.process.returncode}") from None
                if time.monotonic() > deadline:
                    raise Failed(f"no '{kind}' within {timeout_s} s") from None
                continue
            if report["event"] == kind:
                found.append(report)
        return found

    def go(self, names):
        for name in names:
            self.socket.sendto(b"go", self.path(name))

    def pids(self):
        return descendants(self.process.pid)

    def stop(self):
        """Ask it to stop. Returns how long that took, in seconds."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"did not stop within {STOP_S} s") from None
        return time.monotonic() - begun


def check(done):
    """Raise if a sink saw anything but every message, once, in order, undamaged."""
    for report in done:
        wrong = {key: report[key] for key in ("lost", "repeated", "damaged") if report[key] != 0}
        if wrong:
            raise Failed(f"{report['name']}: {wrong} of {report['count']}")


def measure(run, sinks, sources, duration_s):
    """From ready to the end. Returns the figures of this run."""
    run.events("ready", sinks, READY_S)
    pids = run.pids()
    before = {pid: process_cpu_ns(pid) for pid in pids}
    run.go(sources)
    done = run.events("done", sinks, duration_s + DRAIN_S)
    used = sum(process_cpu_ns(pid) - before[pid] for pid in pids)
    memory = sum(status(pid, "VmHWM") for pid in pids)
    check(done)
    counts = [report["count"] for report in done]
    longest = max(report["ns"] for report in done)
    if min(counts) == 0 or longest == 0:
        raise Failed("no messages")
    figures = {
        "rate": min(counts) / longest * 1e9,  # of the slowest sink
        "total": sum(counts) / longest * 1e9,
        "cpu_ns": used / sum(counts),
        "memory_kib": memory,
        "count": sum(counts),
    }
    for key in ("p50", "p99", "p999", "max"):
        figures[key] = max(report[key] for report in done)
    return figures
