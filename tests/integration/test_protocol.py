# SPDX-License-Identifier: MIT
"""Peers of other protocol versions: one version in common is enough, and a refusal names both sides'
versions in both logs."""

import os
import struct

import harness
import sp
from harness import hello_world, link, logger, remote

HOSTED = ('{"outprocess.loader":{"name":"native","entrypoint":{"module.path":"%s"}}}'
          % harness.MODULES["pass"])
IN_COMMON = [(), (sp.protocol(1, 1),), (sp.protocol(1, 2),), (sp.protocol(1, 65535),)]
ACKNOWLEDGING = (1, struct.pack(">I", 1))
NEWER = sp.protocol(2, 3)
REFUSAL = "no protocol version in common: 1 to 1 are spoken here, 2 to 3 by the other side"


class Remote:
    """A remote module that says these entries in its reply, and then nothing more."""

    def __init__(self, test, *entries):
        self.listener = sp.Listener(test.path("control"))
        self.control = self.listener.accept().greet()
        self.create = self.control.expect_control(sp.CREATE)
        self.messages = sp.Listener(os.path.join(test.folder, sp.uri_of(self.create)))
        self.control.send(sp.frame(sp.reply(sp.CREATED, sp.extension(*entries))))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for part in (self.messages, self.control, self.listener):
            part.__exit__()


class TowardsGateway(harness.WeirTest):
    """The test plays the remote module."""

    def start_it(self):
        return self.start_gateway([logger(), remote("remote", "control"), hello_world()],
                                  [link("hello_world", "remote"), link("hello_world", "logger")])

    def test_the_gateway_says_which_versions_it_speaks(self):
        gateway = self.start_it()
        with Remote(self) as peer:
            block = peer.create[peer.create.rindex(b"null\0") + 5:]
            self.assertEqual(sp.entries_of(block)[8], b"\0\1\0\1")
            gateway.stop()

    def test_one_version_in_common_is_enough(self):
        for entries in IN_COMMON:
            with self.subTest(entries=entries):
                gateway = self.start_it()
                with Remote(self, *entries) as peer, peer.messages.accept() as messages:
                    messages.greet()
                    peer.control.expect_control(sp.START)
                    self.assertEqual(gateway.troubles(), [])
                    gateway.stop()

    def test_quarter_of_a_small_window_is_acknowledged_at_once(self):
        """Not all that came, together, when it is time to."""
        gateway = self.start_it()
        with Remote(self, ACKNOWLEDGING, sp.window(4)) as peer, peer.messages.accept() as messages:
            messages.greet()
            peer.control.expect_control(sp.START)
            messages.send(640 * sp.frame(sp.message(b"x")))
            told = struct.unpack(">Q", peer.control.expect_control(sp.ACKNOWLEDGE)[8:])[0]
            self.assertIn(told, range(1, 640))
            gateway.stop()

    def test_none_in_common_is_refused_and_others_run(self):
        gateway = self.start_it()
        with Remote(self, NEWER):
            gateway.wait_for(REFUSAL)
            self.wait_for_messages()
            gateway.stop()


class TowardsRemote(harness.WeirTest):
    """The test plays the gateway."""

    def ask(self, *entries):
        """What a fresh `weir host` replies to a create with these entries: the log and the reply."""
        host = self.start("host", harness.WEIR, "host", "control")
        with harness.wait_until(lambda: sp.connect_soon(self.path("control")),
                                "a listener") as control:
            control.greet()
            uri = "ipc://" + sp.short(self.path("messages"))
            control.send(sp.frame(sp.create(uri, HOSTED, sp.extension(*entries))))
            reply = control.expect_control(sp.REPLY)
        host.stop()
        return host, reply

    def test_one_version_in_common_is_enough(self):
        for entries in IN_COMMON:
            with self.subTest(entries=entries):
                _, reply = self.ask(*entries)
                self.assertEqual(reply[8], sp.CREATED)
                self.assertEqual(sp.entries_of(reply[9:])[8], b"\0\1\0\1")

    def test_none_in_common_is_refused_with_the_reason(self):
        host, reply = self.ask(NEWER)
        self.assertEqual(reply[8], 2)
        self.assertIn(REFUSAL, sp.entries_of(reply[9:])[3].decode())
        self.assertIn(REFUSAL, host.err())


if __name__ == "__main__":
    harness.main()
