# SPDX-License-Identifier: MIT
"""Configurations of the gateways to measure."""
import os


class Topology:
    """Builds one configuration. Files are found in `build`, sockets are made in `run`'s folder."""

    def __init__(self, build, run, size=64, seconds=0.5, rate=0, stamps=False):
        self.build = build
        self.run = run
        self.size = size
        self.seconds = seconds
        self.rate = rate
        self.stamps = stamps
        self.modules = []
        self.links = []
        self.sources = []
        self.sinks = 0
        self.streams = 0

    def library(self, kind):
        return os.path.join(self.build, "bench", f"libbench_{kind}.so")

    def native(self, kind, name, args=None, process=False):
        module = {"name": name, "args": args,
                  "loader": {"name": "native",
                             "entrypoint": {"module.path": self.library(kind)}}}
        if process:
            module["isolation"] = "process"
        self.modules.append(module)

    def launched(self, kind, name, args=None, environment=None):
        launch = {"path": os.path.join(self.build, "bench", f"bench_remote_{kind}"), "args": [name]}
        if environment:
            launch["env"] = environment
        self.modules.append({
            "name": name, "args": args,
            "loader": {"name": "outprocess",
                       "entrypoint": {"activation.type": "launch", "control.id": name,
                                      "launch": launch}}})

    def add(self, kind, name, args=None, where="native"):
        if where == "launched":
            self.launched(kind, name, args)
        elif where == "not acknowledged":
            self.launched(kind, name, args, {"WEIR_NO_ACKNOWLEDGE": "1"})
        else:
            self.native(kind, name, args, where == "process")

    def source(self, name, threads=1, where="native"):
        self.add("source", name, {
            "go": self.run.path("go-" + name), "size": self.size, "seconds": self.seconds,
            "rate": self.rate, "threads": threads, "stream": self.streams, "stamps": self.stamps,
        }, where)
        self.sources.append("go-" + name)
        self.streams += threads

    def sink(self, name, streams, where="native", gaps=False):
        self.add("sink", name, {"name": name, "report": self.run.report, "streams": streams,
                                "stamps": self.stamps, "gaps": gaps}, where)
        self.sinks += 1

    def link(self, source, sink):
        self.links.append({"source": source, "sink": sink})

    def config(self):
        return {"modules": self.modules, "links": self.links}


def one_to_one(top, threads=1):
    top.source("source", threads)
    top.sink("sink", threads)
    top.link("source", "sink")


def one_to_many(top, count=8, where="native"):
    top.source("source")
    for i in range(count):
        top.sink(f"sink{i}", 1, where)
        top.link("source", f"sink{i}")


def many_to_one(top, count=8):
    for i in range(count):
        top.source(f"source{i}")
        top.link(f"source{i}", "sink")
    top.sink("sink", count)


def chain(top, count=8):
    """`count` modules between whom the message passes, the source and the sink among them."""
    top.source("source")
    before = "source"
    for i in range(count - 2):
        top.native("forward", f"forward{i}")
        top.link(before, f"forward{i}")
        before = f"forward{i}"
    top.sink("sink", 1)
    top.link(before, "sink")


def one_way(top, where="launched"):
    top.source("source")
    top.sink("sink", 1, where)
    top.link("source", "sink")


def one_way_back(top):
    """From the remote module to the gateway."""
    top.source("source", 1, "launched")
    top.sink("sink", 1)
    top.link("source", "sink")


def echo(top, where="launched"):
    top.source("source")
    top.add("forward", "echo", None, where)
    top.sink("sink", 1)
    top.link("source", "echo")
    top.link("echo", "sink")


def echoes(top, count=4):
    """Several remote modules at once, each with a source and a sink of its own."""
    for i in range(count):
        top.source(f"source{i}")
        top.launched("forward", f"echo{i}")
        top.sink(f"sink{i}", 1)
        top.link(f"source{i}", f"echo{i}")
        top.link(f"echo{i}", f"sink{i}")
