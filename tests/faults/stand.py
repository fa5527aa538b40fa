# SPDX-License-Identifier: MIT
"""What the scenarios share: a gateway under load, chains of modules that count, and what must be so
whatever happened."""

import collections
import json
import os
import random
import re
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))

import harness  # noqa: E402
from tally import Tally  # noqa: E402

MODULES = {name: harness.built("tests", "faults", f"lib{name}.so")
           for name in ("numbers", "counter")}
LINK = re.compile(r"^link (.*) -> (.*): accepted (\d+), delivered (\d+), dropped (\d+) \(full\) \+ "
                  r"(\d+) \(closed\) \+ (\d+) \(poison\), queued (\d+) \(.*\)$", re.MULTILINE)
MODULE = re.compile(r"^module (.*) \(.*\): .*; redelivered (\d+), ", re.MULTILINE)
# A source that has not moved so often is taken for one that waits for room.
STUCK_LOOKS = 20
# What a sanitizer does to memory says nothing of the program's.
SANITIZED = bool(re.search(r"^WEIR_SANITIZE:STRING=.+$",
                           harness.read_text(os.path.join(harness.BUILD, "CMakeCache.txt")),
                           re.MULTILINE))
# More than warmed up, a process may hold so much: caches of threads that had nothing to do before.
MEMORY_SLACK_KB = 4096
MEMORY_FACTOR = 1.25
# Shared memory, which a channel has from its first large message on.
POOL = "pool"


class Options:
    """Set by faults.py."""
    seed = None
    seconds = None
    only = None
    long = False


def native(name, module, args, **more):
    return {"name": name, "args": args, **more,
            "loader": {"name": "native", "entrypoint": {"module.path": MODULES[module]}}}


def hosted(module, args):
    return {"outprocess.loader": {"name": "native", "entrypoint": {"module.path": MODULES[module]}},
            "module.args": args}


def memory_kb(pid):
    text = harness.read_text(f"/proc/{pid}/smaps_rollup")
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE).group(1))


def anonymous_kb(pid):
    """Without files, of which a part counts that depends on who else has them mapped."""
    text = harness.read_text(f"/proc/{pid}/smaps_rollup")
    return int(re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE).group(1))


def list_descriptors(pid):
    folder = f"/proc/{pid}/fd"
    return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


def kind_of(target):
    """Of what /proc says a descriptor is for."""
    if target.startswith("/memfd:"):
        return POOL
    if target.startswith("/"):
        return "file"
    kind, _, what = target.partition(":")
    return what if kind == "anon_inode" else kind


def count_descriptors(pid):
    """How many there are of each kind."""
    folder = f"/proc/{pid}/fd"
    counts = collections.Counter()
    for name in os.listdir(folder):
        try:
            counts[kind_of(os.readlink(os.path.join(folder, name)))] += 1
        except FileNotFoundError:
            continue  # it was closed meanwhile
    return counts


class Stand(harness.WeirTest):
    """A folder with a gateway, `near`, and one for remotes behind cutters, `far`."""

    def setUp(self):
        super().setUp()
        self.seed = Options.seed if Options.seed is not None else random.randrange(1 << 32)
        print(f"seed {self.seed}", flush=True)
        self.chance = random.Random(self.seed)
        self.near = self.path("near")
        self.far = self.path("far")
        os.mkdir(self.near)
        os.mkdir(self.far)
        self.tallies = {}
        self.lives = {}
        self.addCleanup(self.show_tallies)

    def show_tallies(self):
        for name in sorted(self.tallies):
            print(f"    {self.tallies[name]}", flush=True)

    # making

    def tally(self, name):
        self.tallies[name] = Tally(self.path(name + ".tally"))
        return self.tallies[name]

    def source(self, name, rate):
        return native(name, "numbers", {"tally": self.tally(name).path, "rate": rate})

    def counter(self, name):
        return native(name, "counter", {"tally": self.tally(name).path})

    def remote_counter(self, name, control_id, **entrypoint):
        return harness.remote(name, control_id,
                              hosted("counter", {"tally": self.tally(name).path}), **entrypoint)

    def remote_source(self, name, control_id, rate, **entrypoint):
        args = {"tally": self.tally(name).path, "rate": rate}
        return harness.remote(name, control_id, hosted("numbers", args), **entrypoint)

    def launched_counter(self, name, **more):
        """`weir host`, launched by the gateway."""
        entrypoint = {"activation.type": "launch", "control.id": name,
                      "launch": {"path": harness.WEIR, "args": ["host", name]}}
        return {**self.remote_counter(name, name, **entrypoint), **more}

    def start_host(self, control_id, folder):
        """One more life of the process that waits at this control id."""
        life = self.lives[control_id] = self.lives.get(control_id, 0) + 1
        return self.start(f"{control_id}_{life}", harness.WEIR, "host", control_id, cwd=folder)

    def start_near_gateway(self, modules, links, name="weir", settings=None, **environment):
        config = {"modules": modules, "links": links, "gateway": settings or {}}
        with open(self.path("gateway.json"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
        before = self.environment
        self.environment = {**before, **environment}
        gateway = self.start(name, harness.WEIR, "run", self.path("gateway.json"), cwd=self.near)
        self.environment = before
        return gateway

    # waiting

    def wait_for_published(self, name, more):
        """Until a source has published so many more, or seems to wait for room."""
        counts = self.tallies[name]
        last = counts.published
        goal = last + more
        looks = 0

        def moved_or_stuck():
            nonlocal last, looks
            now = counts.published
            looks = looks + 1 if now == last else 0
            last = now
            return now >= goal or looks == STUCK_LOOKS
        harness.wait_until(moved_or_stuck, f"{name} publishes or is stuck")

    def wait_for_arrival(self, source, sink):
        """Until all that is published by now has arrived."""
        goal = self.tallies[source].published
        counts = self.tallies[sink]
        harness.wait_until(lambda: counts.next >= goal,
                           lambda: f"{sink} sees message {goal - 1}: {counts}")

    def end_sources(self, pairs):
        """The sources stop, and all that they published arrives, to the message. One that is told to
        stop may be at a message, which arrives, too."""
        for source, _ in pairs:
            self.tallies[source].limit = 0
        for source, sink in pairs:
            harness.wait_until(lambda: self.tallies[sink].next == self.tallies[source].published,
                               lambda: f"{sink} has all of {source}: {self.tallies[sink]}, "
                                       f"{self.tallies[source]}")

    # what must be so

    def check_counts(self, name):
        """No loss, nothing damaged, what came twice came in order and was marked."""
        counts = self.tallies[name]
        wrong = {field: getattr(counts, field) for field in ("gaps", "lost", "mixed_up", "damaged")
                 if getattr(counts, field) != 0}
        self.assertEqual(wrong, {}, str(counts))

    def check_marked(self, name):
        self.assertEqual(self.tallies[name].unmarked, 0, str(self.tallies[name]))

    def counters(self, gateway, links):
        """What the gateway counts. Of each link, by source and sink: accepted, delivered, dropped
        three times, queued, at one time. Of each module, by name: messages sent again."""
        start = os.path.getsize(gateway.err_path)
        gateway.process.send_signal(signal.SIGUSR1)

        def read():
            with open(gateway.err_path, "rb") as file:
                file.seek(start)
                text = file.read().decode(errors="replace")
            found = LINK.findall(text)
            return (found, MODULE.findall(text)) if len(found) == links else None
        found, modules = harness.wait_until(read, "the counters of each link")
        return ({(source, sink): [int(number) for number in numbers]
                 for source, sink, *numbers in found},
                {name: int(again) for name, again in modules})

    def check_links(self, gateway, links):
        """Returns the counters of links and modules."""
        counts, again = self.counters(gateway, links)
        for ends, (accepted, *others) in counts.items():
            self.assertEqual(accepted, sum(others), f"{ends}: {counts[ends]}")
        return counts, again

    def check_all_links(self, gateway, links, chains):
        """What came twice was sent again, and counted by the gateway. Everything goes on meanwhile:
        what is smaller is read first. Returns the counters of the links."""
        marked = {}
        for _, remote, sink in chains:
            repeated = self.tallies[sink].repeated
            marked[remote] = self.tallies[remote].marked + self.tallies[sink].marked
            self.assertLessEqual(repeated, marked[remote], str(self.tallies[sink]))
        counts, again = self.check_links(gateway, links)
        for remote, count in marked.items():
            self.assertLessEqual(count, again[remote], str(self.tallies[remote]))
        return counts

    def check_descriptors(self, program, counted, remotes, listeners=0):
        """Not more of any kind than were counted, when a file may have been open for a moment, and a
        connection cut. Each remote has two, and may have got its pool meanwhile."""
        allowed = counted | collections.Counter({"socket": 2 * remotes + listeners, POOL: remotes})
        harness.wait_until(lambda: count_descriptors(program.pid) <= allowed,
                           lambda: f"{program.name} may have {dict(allowed)}, and has "
                                   f"{list_descriptors(program.pid)}")

    def check_memory(self, program, warm_kb):
        now_kb = memory_kb(program.pid)
        print(f"    memory of {program.name}: {warm_kb} kB, at the end {now_kb} kB", flush=True)
        if not SANITIZED:
            self.assertLessEqual(now_kb, warm_kb * MEMORY_FACTOR + MEMORY_SLACK_KB)
