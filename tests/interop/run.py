#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Weir against programs that know nothing of Weir: clients of 2017 built on nanomsg, and the command
line tools of nanomsg and NNG as control channel peers.

    run.py BUILD_FOLDER TEST

Each test has a temporary folder of its own, waits for events with a deadline, and ends only the
processes that it started. Exit status 0: passed; 77: a tool that it needs is not installed.
"""

import base64
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

DEADLINE_S = 60
POLL_S = 0.01
SKIPPED = 77

OLD_ARGS = "THIS IS THE OOP MODULE CONFIGURATION"
MESSAGES = 2000


class Failure(Exception):
    """What was wanted and did not happen."""


def require(condition, text):
    if not condition:
        raise Failure(text)


def wait_until(condition, text):
    """Return the condition's first true value."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(POLL_S)
    raise Failure(f"not within {DEADLINE_S} s: {text}")


class Place:
    """A temporary folder, and the processes that were started in it."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.folder = tempfile.mkdtemp(prefix="weir-interop-")
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, failed, _value, _traceback):
        for name, child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
            if failed:
                self.show(name)
        shutil.rmtree(self.folder)

    def show(self, name):
        for suffix in (".out", ".err"):
            print(f"---- {name}{suffix}", file=sys.stderr)
            sys.stderr.write(self.read(name + suffix).decode(errors="backslashreplace"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def built(self, *parts):
        path = os.path.join(self.build, *parts)
        require(os.path.exists(path), f"{path} is not built")
        return path

    def read(self, name):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def start(self, name, *command):
        """Start a program; what it prints goes to the files name.out and name.err."""
        with open(self.path(name + ".out"), "wb") as out, open(self.path(name + ".err"), "wb") as err:
            child = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=err)
        self.children.append((name, child))
        return child

    def start_gateway(self, config):
        with open(self.path("gateway.json"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
        return self.start("weir", self.built("weir"), "run", "gateway.json")

    def module_path(self, name):
        return self.built("modules", name, f"lib{name}.so")


def expect_exit(child, wanted, name):
    try:
        status = child.wait(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired as timeout:
        raise Failure(f"{name} does not end") from timeout
    require(status == wanted, f"{name}: exit status {status}, expected {wanted}")


def outprocess(name, args, **entrypoint):
    return {"name": name,
            "loader": {"name": "outprocess",
                       "entrypoint": {"activation.type": "none", **entrypoint}},
            "args": args}


def native(place, name, args):
    return {"name": name,
            "loader": {"name": "native", "entrypoint": {"module.path": place.module_path(name)}},
            "args": args}


# ---- an old gateway, our remote


def old_gateway(place):
    """An old gateway's messages come back from our sample, and the sample serves it twice."""
    remote = place.start("remote", place.built("samples", "proxy_sample", "proxy_sample_remote"),
                         "control")
    wait_until(lambda: os.path.exists(place.path("control")), "the control socket appears")
    for turn in ("first", "second"):
        name = f"old_gateway_{turn}"
        gateway = place.start(name, place.built("tests", "interop", "old_gateway"), "control",
                              "messages", str(MESSAGES))
        expect_exit(gateway, 0, name)
        require(not os.path.exists(place.path("messages")), "destroy removes the message socket")
    remote.send_signal(signal.SIGTERM)
    expect_exit(remote, 0, "proxy_sample_remote")
    require(not os.path.exists(place.path("control")), "detach removes the control socket")


# ---- our gateway, an old remote


def logged_contents(place):
    """The decoded contents of the logger's file; none while it is being written."""
    try:
        entries = json.loads(place.read("log.txt"))
        return [base64.b64decode(entry["content"], validate=True) for entry in entries
                if "properties" in entry]
    except (ValueError, KeyError):
        return []


def old_remote(place):
    """hello_world -> an old remote -> logger, and back to quiet."""
    config = {
        "modules": [
            native(place, "logger", {"filename": "log.txt"}),
            outprocess("old", OLD_ARGS, **{"control.id": "control"}),
            native(place, "hello_world", None),
        ],
        "links": [{"source": "hello_world", "sink": "old"}, {"source": "old", "sink": "logger"}],
    }
    remote = place.start("old_remote", place.built("tests", "interop", "old_remote"), "control")
    gateway = place.start_gateway(config)
    wait_until(lambda: b"hello world" in logged_contents(place), "hello world is in the log file")
    gateway.send_signal(signal.SIGTERM)
    expect_exit(gateway, 0, "weir run")
    expect_exit(remote, 0, "old_remote")
    require(json.dumps(OLD_ARGS).encode() in place.read("old_remote.out"),
            "args reach the old remote as the JSON text of the file")


# ---- our gateway, a tool that prints what it receives


def expected_create(uri, args):
    """Create as the published documents have it, up to its total size and what follows args."""
    def sized(text):
        data = text.encode() + b"\0"
        return struct.pack(">I", len(data)) + data
    return b"\xa1\x6c\x01\x01", b"\x01\x10" + sized(uri) + sized(args)


def check_extension(block):
    """57 52 01, then entries: u8 type, u8 length, value."""
    require(block[:3] == b"\x57\x52\x01", f"an extension block follows args, not {block.hex()}")
    at = 3
    while at < len(block):
        require(at + 2 <= len(block), f"an entry at byte {at} has no header: {block.hex()}")
        at += 2 + block[at + 1]
    require(at == len(block), f"the last entry ends at byte {at} of {len(block)}: {block.hex()}")


def check_create(image, uri, args):
    start, body = expected_create(uri, args)
    require(image[:4] == start, f"create begins with {image[:4].hex()}, expected {start.hex()}")
    require(image[8:8 + len(body)] == body,
            f"create's body is\n{image[8:].hex()}, expected\n{body.hex()}")
    check_extension(image[8 + len(body):])


def first_frame(data):
    """The first control message of the bytes that a tool printed, or None while it is not whole."""
    if len(data) < 8:
        return None
    size = struct.unpack(">I", data[4:8])[0]
    return data[:size] if len(data) >= size else None


def create_seen_by(place, tool, *command):
    if shutil.which(command[0]) is None:
        print(f"{command[0]} is not installed")
        sys.exit(SKIPPED)
    config = {
        "modules": [
            outprocess("out of process", OLD_ARGS,
                       **{"control.id": "control", "message.id": "messages"}),
            native(place, "hello_world", None),
        ],
        "links": [{"source": "hello_world", "sink": "out of process"}],
    }
    place.start(tool, *command)
    gateway = place.start_gateway(config)
    image = wait_until(lambda: first_frame(place.read(tool + ".out")), f"{tool} prints create")
    check_create(image, "ipc://messages", json.dumps(OLD_ARGS))
    gateway.send_signal(signal.SIGTERM)
    expect_exit(gateway, 0, "weir run")


def nanocat(place):
    """The bytes of create, as nanomsg's tool receives them."""
    create_seen_by(place, "nanocat", "nanocat", "--pair", "--bind", "ipc://control", "--raw")


def nngcat(place):
    """The bytes of create, as NNG's tool receives them."""
    create_seen_by(place, "nngcat", "nngcat", "--pair0", "--listen", "ipc://control", "--raw")


TESTS = {test.__name__: test for test in (old_gateway, old_remote, nanocat, nngcat)}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in TESTS:
        print(f"usage: {sys.argv[0]} BUILD_FOLDER {{{'|'.join(TESTS)}}}", file=sys.stderr)
        return 2
    try:
        with Place(sys.argv[1]) as place:
            TESTS[sys.argv[2]](place)
    except Failure as failure:
        print(f"{sys.argv[2]}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
