# SPDX-License-Identifier: MIT
"""A gateway with the probe in it, run in one of the ways in which a module can be run, and what the
probe and its neighbours wrote down.

What is compared between the ways is the trace, line by line. Only this may differ, and is left out:

- "host NAME": the name of the host is the module's in the gateway's process and in `weir host` with
  "isolation": "process", and the control id where the remote does not know the module's name.
- "args": where they name the folder of this run.
- "published N": a thread that publishes until it is told to stop comes as far as it comes, and waits
  (CLOSED) or does not wait (OK) at that moment.
- what was published in create: in the gateway's process there are no links yet, so it has no sink;
  from another process it is on its way until there are.
"""

import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import harness  # noqa: E402
from harness import read_text, wait_until  # noqa: E402

NATIVE, ISOLATED, HOSTED, PROGRAM, LAUNCHED = WAYS = (
    "native", "isolated", "hosted", "program", "launched")
CONTROL_ID = "probe_control"


def library(variant):
    return harness.built("tests", "conformance", f"lib{variant}.so")


def program(variant):
    return harness.built("tests", "conformance", variant)


class Scene:
    """One gateway. The module named "probe" is the one that is run in `way`, the others are native."""

    def __init__(self, test, way, name):
        self.test, self.way = test, way
        self.name = f"{name}.{way}"
        self.folder = test.path(self.name)
        os.makedirs(self.folder)
        self.modules, self.links, self.raw_args = [], [], {}
        self.gateway = self.remote = self.remote_command = None

    # what is in the gateway

    def add(self, name, args=None, variant="probe", path=None, raw=None, module="probe"):
        """`raw`: the text of the args, as it is to stand in the file."""
        path = path or library(variant)
        if raw is None:
            raw = json.dumps({"trace": self.trace_path(name), "name": name, **(args or {})})
        entry = {"name": name, "args": self.mark(raw)}
        if name == module and self.way != NATIVE:
            entry.update(self.elsewhere(variant, path, raw))
        else:
            entry["loader"] = {"name": "native", "entrypoint": {"module.path": path}}
        self.modules.append(entry)
        return self

    def elsewhere(self, variant, path, raw):
        if self.way == ISOLATED:
            return {"isolation": "process",
                    "loader": {"name": "native", "entrypoint": {"module.path": path}}}
        entrypoint = {"control.id": CONTROL_ID}
        if self.way == LAUNCHED:
            entrypoint.update({"activation.type": "launch",
                               "launch": {"path": program(variant), "grace.period.ms": 60000}})
        more = {"loader": {"name": "outprocess", "entrypoint": entrypoint}}
        if self.way == PROGRAM:
            self.remote_command = (program(variant), CONTROL_ID)
        if self.way == HOSTED:
            self.remote_command = (harness.WEIR, "host", CONTROL_ID)
            more["args"] = self.mark(
                '{"outprocess.loader": {"name": "native", "entrypoint": {"module.path": '
                f'{json.dumps(path)}}}}}, "module.args": {raw}}}')
        return more

    def mark(self, raw):
        mark = f"@args {len(self.raw_args)}@"
        self.raw_args[json.dumps(mark)] = raw
        return mark

    def link(self, source, sink, **queue):
        self.links.append(harness.link(source, sink, **queue))
        return self

    # running it

    def write_config(self, name="gateway.json"):
        text = json.dumps({"gateway": {"grace.period.ms": 60000}, "modules": self.modules,
                           "links": self.links}, indent=2)
        for mark, raw in self.raw_args.items():
            text = text.replace(mark, raw)
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, cwd=None):
        """The gateway, and after it the probe's process, where that is not the gateway's to start."""
        cwd = cwd or self.folder
        self.gateway = self.test.start(f"{self.name}.gateway", harness.WEIR, "run",
                                       self.write_config(), cwd=cwd)
        if self.remote_command is not None:
            self.remote = self.test.start(f"{self.name}.remote", *self.remote_command, cwd=cwd)
        return self

    def stop(self):
        self.ask_to_stop()
        self.expect_end()

    def ask_to_stop(self):
        self.gateway.process.terminate()

    def expect_end(self, status=0):
        self.gateway.expect_exit(status)
        if self.remote is not None:
            self.remote.stop()

    # what was written down

    def trace_path(self, name):
        return os.path.join(self.folder, f"{name}.trace")

    def trace(self, name):
        return read_text(self.trace_path(name)).splitlines()

    def wait_for_lines(self, name, count, pattern="receive "):
        """Until so many lines match."""
        def is_so():
            return (sum(bool(re.match(pattern, line)) for line in self.trace(name)) >= count
                    or not self.gateway.lives())
        wait_until(is_so, lambda: f"{count} lines '{pattern}' in {self.trace_path(name)}, which ends "
                                  f"in {self.trace(name)[-3:]}")

    def comparable(self, name):
        """The trace without what may differ."""
        lines = [line for line in self.trace(name) if not re.match("host |receive probe create ", line)]
        lines = [line.replace(self.folder, "FOLDER") for line in lines]
        return [re.sub(r"published \d+, the last: WEIR_(OK|ERR_CLOSED)", "published N", line)
                for line in lines]

    def received(self, name, of):
        """The numbers of the messages `of` that this module received, as they came."""
        found = (re.fullmatch(f"receive {of} (\\d+)", line) for line in self.trace(name))
        return [int(match[1]) for match in found if match]

    def published(self, name):
        """How many messages each of this module's threads published."""
        found = (re.match(r"thread (\d+) published (\d+)", line) for line in self.trace(name))
        return {int(match[1]): int(match[2]) for match in found if match}


class Gate:
    """A FIFO at which a module waits until it is opened."""

    def __init__(self, scene):
        self.path = os.path.join(scene.folder, "gate")
        os.mkfifo(self.path)

    def open(self, scene, module="sink"):
        """Nobody waits at it any more: a writer that stays lets everybody through."""
        scene.wait_for_lines(module, 1, "start$")
        self.writer = os.open(self.path, os.O_RDWR)

    def close(self):
        os.close(self.writer)


class ConformanceTest(harness.WeirTest):
    def scene(self, way, name="run"):
        return Scene(self, way, name)

    def in_every_way(self, play, ways=WAYS, name="run"):
        """play(scene) runs a gateway to its end and returns what is the same in every way."""
        wanted = None
        for way in ways:
            with self.subTest(name, way=way):
                seen = play(self.scene(way, name))
                wanted = seen if wanted is None else wanted
                self.assertEqual(seen, wanted, f"{way} is not as {ways[0]}")

    def check_log(self, scene):
        """A run in which nothing goes wrong logs nothing of the kind."""
        self.assertEqual(scene.gateway.troubles(), [])
        if scene.remote is not None:
            self.assertEqual(scene.remote.troubles(), [])
