#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Old clients with habits: what programs of 2017 do on nanomsg that no document asks for, against the
gateway, `weir host` and the sample.

    habits.py BUILD_FOLDER TEST      exit status as run.py's
"""

import json
import os
import signal
import sys
import time

import old_client
from old_client import CREATED, DETACHED, DESTROY, START, Pair, Remote, control, create, message
from run import (DEADLINE_S, POLL_S, SKIPPED, Failure, Place, expect_exit, logged_contents, native,
                 outprocess, require, wait_until)

ARGS = 'THIS IS "THE" ÖOP'
KIB, MIB = 1 << 10, 1 << 20


def test_module(place, name, args=None):
    """One of the modules in tests/integration."""
    path = place.built("tests", "integration", f"lib{name}.so")
    return {"name": name, "args": args,
            "loader": {"name": "native", "entrypoint": {"module.path": path}}}


def gateway(place, source=None, timeout=1000, **queue):
    """source -> an old remote -> logger."""
    source = source or native(place, "hello_world", {"interval.ms": 5})
    return place.start_gateway({
        "modules": [native(place, "logger", {"filename": "log.txt"}),
                    outprocess("old", ARGS, timeout=timeout, **{"control.id": "control"}), source],
        "links": [{"source": source["name"], "sink": "old", "queue": queue},
                  {"source": "old", "sink": "logger"}]})


def serve(remote, condition, text, pause=POLL_S):
    """Be this remote until something is so."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not within {DEADLINE_S} s: {text}")
        if not remote.poll():
            time.sleep(pause)


def serve_messages(place, remote, more=5):
    """Until so many messages more have come back."""
    before = len(logged_contents(place))
    serve(remote, lambda: len(logged_contents(place)) >= before + more, f"{more} messages come back")


def stop(place, child, remote):
    """A clean end, which asks the remote to destroy its module."""
    child.send_signal(signal.SIGTERM)
    serve(remote, lambda: child.poll() is not None, "the gateway ends")
    require(child.returncode == 0, f"weir run: exit status {child.returncode}")
    serve(remote, lambda: remote.destroyed == 1, "destroy arrives")
    remote.close()
    json.loads(place.read("log.txt"))


# ---- remotes


def plain(place):
    """Without any habit; args are what the file says, their NUL counted."""
    remote, child = Remote(place.folder), gateway(place)
    serve_messages(place, remote)
    require(json.loads(remote.args) == ARGS, f"args are {remote.args!r}")
    require(remote.creates == 1 and remote.started == 1, "one create, one start")
    stop(place, child, remote)


def trailing_bytes(place):
    """Its reply is longer than it has to be."""
    remote = Remote(place.folder, control(2, b"\0" + b"A" * 50))
    child = gateway(place)
    serve_messages(place, remote)
    stop(place, child, remote)


def answers_twice(place):
    class Twice(Remote):
        def on_create(self, image):
            super().on_create(image)
            self.control.send(CREATED)
    remote, child = Twice(place.folder), gateway(place)
    serve_messages(place, remote, 50)
    require(remote.creates == 1, f"{remote.creates} creates, expected 1")
    stop(place, child, remote)


def closes_control_after_start(place):
    """And binds it again: a new session."""
    remote, child = Remote(place.folder), gateway(place)
    for _ in range(3):
        serve_messages(place, remote)
        remote.control.close()
        remote.control = Pair().bind(place.path("control"))
    serve_messages(place, remote)
    stop(place, child, remote)


def rebinds_messages(place):
    """It closes its message channel and binds it again, while control stands."""
    remote, child = Remote(place.folder), gateway(place)
    for _ in range(3):
        serve_messages(place, remote)
        remote.unbind()
        remote.bind()
    serve_messages(place, remote)
    stop(place, child, remote)


def binds_late(place):
    """It answers first and binds the message channel a little later."""
    class Late(Remote):
        def on_create(self, image):
            self.path, self.args = old_client.taken_apart(image)
            self.unbind()
            self.control.send(CREATED)
            self.late = True

        late = False

        def poll(self):
            busy = super().poll()
            if self.late and not busy:
                self.late = False
                self.bind()
            return busy
    remote, child = Late(place.folder), gateway(place)
    serve_messages(place, remote)
    stop(place, child, remote)


def creates_slowly(place):
    """It takes longer than the gateway's timeout, and makes its module anew for every create, also one
    that was sent again: the gateway waits until it has answered them all."""
    class Slow(Remote):
        def __init__(self, folder):
            super().__init__(folder)
            self.due = []

        def on_create(self, image):
            self.due.append((time.monotonic() + 0.25, image))

        def poll(self):
            if self.due and time.monotonic() >= self.due[0][0]:
                super().on_create(self.due.pop(0)[1])
                return True
            return super().poll()
    remote, child = Slow(place.folder), gateway(place, timeout=100)
    serve_messages(place, remote, 50)
    require(remote.started == 1, f"started {remote.started} times, expected 1")
    stop(place, child, remote)


def sends_no_properties(place):
    class Bare(Remote):
        def on_message(self, image):
            self.messages.send_if_connected(message(old_client.content_of(image)))
    remote, child = Bare(place.folder), gateway(place)
    serve_messages(place, remote)
    require(b'"properties":{}' in place.read("log.txt"), "the properties are gone")
    stop(place, child, remote)


def never_reads(place):
    """The link's rule drops what it does not take. It gets destroy, and nothing waits for it."""
    class Deaf(Remote):
        def poll(self):
            messages, self.messages = self.messages, None
            busy = super().poll()
            if messages is not None and self.destroyed == 0:
                self.messages = messages
            return busy
    remote = Deaf(place.folder)
    child = gateway(place, test_module(place, "flood", 100000), **{"when.full": "drop.oldest",
                                                                  "limit": 16})
    serve(remote, lambda: remote.started == 1, "start arrives")
    remote.messages.send(message(b"it lives", name="value"))
    serve(remote, lambda: b"it lives" in logged_contents(place), "its message arrives")
    stop(place, child, remote)


def polls_with_pauses(place):
    """Ten milliseconds after each message: all come back, in their order."""
    count = 300

    class Slow(Remote):
        def on_message(self, image):
            super().on_message(image)
            time.sleep(0.01)
    remote, child = Slow(place.folder), gateway(place, test_module(place, "flood", count))
    serve(remote, lambda: len(logged_contents(place)) >= count, f"{count} messages", pause=0.01)
    numbers = [int(content) for content in logged_contents(place)]
    require(numbers == list(range(count)), f"the messages came back as {numbers}")
    stop(place, child, remote)


def says_goodbye_and_comes_back(place):
    remote, child = Remote(place.folder), gateway(place)
    for _ in range(2):
        serve_messages(place, remote)
        remote.control.send(DETACHED)
        creates = remote.creates
        serve(remote, lambda: remote.creates > creates, "a new create")
    serve_messages(place, remote)
    stop(place, child, remote)


def outlives_its_gateways(place):
    """nanomsg listens on: the next gateway is served by the same sockets."""
    remote = Remote(place.folder)
    for way in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        child = gateway(place)
        serve_messages(place, remote)
        child.send_signal(way)
        child.wait()
    child = gateway(place)
    serve_messages(place, remote)
    remote.destroyed = 0
    stop(place, child, remote)


def large_messages(place):
    """Of 1 MiB at the most; and what is larger is not sent, and breaks nothing."""
    sizes = [64 * KIB, MIB - 14, 0, 3]
    remote, child = Remote(place.folder), gateway(place)
    serve_messages(place, remote)
    for size in sizes:
        content = bytes(at % 251 for at in range(size))
        remote.messages.send(message(content))
        serve(remote, lambda: content in logged_contents(place), f"{size} bytes arrive")
    stop(place, child, remote)


# ---- gateways


def talk(place, args, name, count=500):
    """An old gateway's part of a session, with an echo: create, start, messages, destroy."""
    wait_until(lambda: os.path.exists(place.path("control")), "the control socket appears")
    with Pair().connect(place.path("control")) as channel, Pair() as messages:
        channel.send(create(place.path(name), args))
        require(channel.receive() == CREATED, "the reply is created, nine bytes")
        messages.connect(place.path(name))
        channel.send(control(START))
        for number in range(count):
            messages.send(message(b"%d" % number, number=number))
            require(old_client.content_of(messages.receive()) == b"%d" % number, "an echo")
        channel.send(control(DESTROY))
        wait_until(lambda: not os.path.exists(place.path(name)), "destroy takes the message channel")


def host_args(place):
    path = place.built("tests", "integration", "libpass.so")
    return json.dumps({"outprocess.loaders": [{"type": "native", "name": "native"}],
                       "outprocess.loader": {"name": "native", "entrypoint": {"module.path": path}},
                       "module.args": None})


def old_gateways(place, command, args):
    """Several, one after the other, one of which asks twice and leaves without a word."""
    remote = place.start("remote", *command)
    talk(place, args, "m1")
    with Pair().connect(place.path("control")) as channel:
        for _ in range(2):
            channel.send(create(place.path("m2"), args))
        require(channel.receive() == CREATED, "the first reply")
        require(channel.receive() == CREATED, "the second reply")
    talk(place, args, "m3")
    remote.send_signal(signal.SIGTERM)
    expect_exit(remote, 0, command[0])


def old_gateways_and_weir_host(place):
    old_gateways(place, (place.built("weir"), "host", "control"), host_args(place))


def old_gateways_and_the_sample(place):
    program = place.built("samples", "proxy_sample", "proxy_sample_remote")
    old_gateways(place, (program, "control"), '"args"')


TESTS = {test.__name__: test for test in (
    plain, trailing_bytes, answers_twice, closes_control_after_start, rebinds_messages, binds_late,
    creates_slowly, sends_no_properties, never_reads, polls_with_pauses, says_goodbye_and_comes_back,
    outlives_its_gateways, large_messages, old_gateways_and_weir_host, old_gateways_and_the_sample)}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in TESTS:
        print(f"usage: {sys.argv[0]} BUILD_FOLDER {{{'|'.join(TESTS)}}}", file=sys.stderr)
        return 2
    if old_client.NN is None:
        print("libnanomsg is not installed")
        return SKIPPED
    try:
        with Place(sys.argv[1]) as place:
            TESTS[sys.argv[2]](place)
    except (Failure, OSError) as failure:
        print(f"{sys.argv[2]}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
