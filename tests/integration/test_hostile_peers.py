# SPDX-License-Identifier: MIT
"""Malformed, truncated and oversized input on every socket: that connection ends with a reason in the
log, and the program serves the next peer."""

import fcntl
import os
import socket
import struct
import time
import unittest

import harness
import sp
from harness import hello_world, link, logger, native, remote

HELLO = sp.frame(b"hello")
# What comes instead of a greeting.
BAD_GREETINGS = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(8),
    "all ones": b"\xff" * 64,
    "pub/sub": bytes.fromhex("0053500000200000"),
    "reserved": bytes.fromhex("0053500000100001"),
}
# After a good greeting, on any channel.
BAD_FRAMES = {
    "frame type": b"\x02" + struct.pack(">Q", 5) + b"hello",
    "endless length": b"\x01" + b"\xff" * 8,
    "length of 2^63": b"\x01" + struct.pack(">Q", 1 << 63),
    "length of 100 GB": b"\x01" + struct.pack(">Q", 100 << 30) + b"x" * 1000,
    "not a message": HELLO,
    "empty": sp.frame(b""),
}
BAD_CONTROL = {
    "header": sp.frame(b"\xa1\x60\x01\x02\0\0\0\x09\0"),
    "total size": sp.frame(b"\xa1\x6c\x01\x02\0\0\0\x0a\0"),
    "size of 2^32 - 1": sp.frame(b"\xa1\x6c\x01\x02\xff\xff\xff\xff\0"),
    "cut header": sp.frame(b"\xa1\x6c\x01"),
    "over 1 MiB": b"\x01" + struct.pack(">Q", (1 << 20) + 1) + bytes(1000),
}
BAD_CREATES = {
    "uri past the end": sp.frame(sp.control(sp.CREATE, b"\x01\x10" + struct.pack(">I", 1000) + b"ipc")),
    "uri of 4 GB": sp.frame(sp.control(sp.CREATE, b"\x01\x10\xff\xff\xff\xff")),
    "uri without its end": sp.frame(sp.control(
        sp.CREATE, b"\x01\x10" + struct.pack(">I", 7) + b"ipc://m" + struct.pack(">I", 5) + b"null\0")),
    "no args": sp.frame(sp.control(sp.CREATE, b"\x01\x10" + struct.pack(">I", 8) + b"ipc://m\0")),
    "no body": sp.frame(sp.control(sp.CREATE)),
}
BAD_REPLIES = {"no status": sp.frame(sp.control(sp.REPLY)),
               "block past the end": sp.frame(sp.control(sp.REPLY, b"\0WR\x01\x03\x10short"))}
BAD_MESSAGES = {
    "total size": sp.frame(b"\xa1\x60" + struct.pack(">II", 15, 0) + bytes(4)),
    "properties past the end": sp.frame(b"\xa1\x60" + struct.pack(">II", 14, 1) + bytes(4)),
    "2^32 - 1 properties": sp.frame(b"\xa1\x60" + struct.pack(">II", 14, 0xffffffff) + bytes(4)),
    "content past the end": sp.frame(b"\xa1\x60" + struct.pack(">II", 14, 0) + b"\0\0\0\x01"),
    "property without an end": sp.frame(b"\xa1\x60" + struct.pack(">II", 16, 1) + b"ab\0\0\0\0"),
    "bytes left over": sp.frame(b"\xa1\x60" + struct.pack(">II", 15, 0) + bytes(5)),
    "name twice": sp.frame(b"\xa1\x60" + struct.pack(">II", 22, 2) + b"a\0b\0a\0c\0" + bytes(4)),
}
# A peer that goes away at the wrong moment. Nobody has to say anything.
CUT = {
    "nothing": b"",
    "half a greeting": sp.GREETING[:4],
    "greeting only": sp.GREETING,
    "half a length": sp.GREETING + b"\x01\0\0\0",
    "half a frame": sp.GREETING + sp.frame(sp.create("ipc://m"))[:-3],
}


class TowardsRemote(harness.WeirTest):
    """We play the gateway; proxy_sample_remote is under test."""

    def setUp(self):
        super().setUp()
        self.echo = self.start_remote()
        harness.wait_until(lambda: "waiting for a gateway" in self.echo.out(), "the remote waits")

    def check_end(self):
        self.assertTrue(self.echo.lives())
        self.check_good_session()
        self.echo.press_enter()
        self.echo.expect_exit()

    def connect(self, name="control"):
        return sp.connect(self.path(name))

    def begin_session(self, control):
        control.greet()
        control.send(sp.frame(sp.create("ipc://messages", '"args"')))
        self.assertEqual(control.receive_frame()[:9], sp.reply(sp.CREATED)[:4] +
                         struct.pack(">I", 9) + b"\0")

    def check_echo(self, messages, content):
        messages.send(sp.frame(sp.message(content)))
        self.assertEqual(messages.receive_frame(), sp.message(content))

    def check_good_session(self):
        with self.connect() as control:
            self.begin_session(control)
            with self.connect("messages").greet() as messages:
                control.send(sp.frame(sp.control(sp.START)))
                self.check_echo(messages, b"are you well?")
                control.send(sp.frame(sp.control(sp.DESTROY)))
                messages.wait_for_end()

    def test_bad_bytes_on_the_control_channel(self):
        after = {**BAD_FRAMES, **BAD_CONTROL, **BAD_CREATES}
        cases = {**BAD_GREETINGS, **{name: sp.GREETING + data for name, data in after.items()}}
        for name, data in cases.items():
            with self.subTest(case=name):
                troubles = len(self.echo.troubles())
                with self.connect() as peer:
                    peer.send_to_closing(data)
                    peer.wait_for_end()
                harness.wait_until(lambda: len(self.echo.troubles()) == troubles + 1,
                                   "one line says why")
                self.assertTrue(self.echo.lives())
                self.check_good_session()
        self.check_end()

    def test_bad_bytes_on_the_message_channel(self):
        after = {**BAD_FRAMES, **BAD_MESSAGES}
        cases = {**BAD_GREETINGS, **{name: sp.GREETING + data for name, data in after.items()}}
        with self.connect() as control:
            self.begin_session(control)
            control.send(sp.frame(sp.control(sp.START)))
            for name, data in cases.items():
                with self.subTest(case=name):
                    troubles = len(self.echo.troubles())
                    with self.connect("messages") as peer:
                        peer.send_to_closing(data)
                        peer.wait_for_end()
                    harness.wait_until(lambda: len(self.echo.troubles()) == troubles + 1,
                                       "one line says why")
                    with self.connect("messages").greet() as messages:
                        self.check_echo(messages, name.encode())
        self.check_end()

    def test_peer_that_goes_away_in_the_middle(self):
        for name, data in CUT.items():
            with self.subTest(case=name):
                with self.connect() as peer:
                    peer.send(data)
                self.assertTrue(self.echo.lives())
                self.check_good_session()
        self.check_end()

    def test_unknown_control_messages_are_passed_over(self):
        with self.connect() as control:
            self.begin_session(control)
            control.send(sp.frame(sp.control(200, b"later")) + sp.frame(sp.reply(sp.CREATED)) +
                         sp.frame(b"\xa1\x6c\x02\x01\0\0\0\x08"))
            self.echo.wait_for("ignored", 3)
            control.send(sp.frame(sp.control(sp.START)))
            with self.connect("messages").greet() as messages:
                self.check_echo(messages, b"on the same connection")
        self.check_end()

    def test_second_connection_to_an_occupied_channel_is_closed_at_once(self):
        with self.connect() as control:
            self.begin_session(control)
            control.send(sp.frame(sp.control(sp.START)))
            with self.connect("messages").greet() as messages:
                for name in ("control", "messages"):
                    with self.connect(name) as second:
                        second.wait_for_end()
                    self.check_echo(messages, b"the first one stays")
        self.check_end()

    def test_input_in_single_bytes(self):
        with self.connect() as control:
            for byte in sp.GREETING + sp.frame(sp.create("ipc://messages")):
                control.send(bytes([byte]))
            self.assertEqual(control.receive(8), sp.GREETING)
            self.assertEqual(control.receive_frame()[8:], b"\0")
            control.send(sp.frame(sp.control(sp.START)))
            with self.connect("messages").greet() as messages:
                for byte in sp.frame(sp.message(b"slowly")):
                    messages.send(bytes([byte]))
                self.assertEqual(messages.receive_frame(), sp.message(b"slowly"))
        self.check_end()

    def test_random_bytes(self):
        for _ in range(50):
            for start in (b"", sp.GREETING):
                with self.connect() as peer:
                    peer.send_to_closing(start + os.urandom(2000))
                    peer.wait_for_end()
        self.check_end()


class SharingSession(sp.Session):
    """Of a remote with shared memory that holds nothing."""

    SIZE = 16 << 20
    SEALS = 0x2 | 0x4 | 0x10  # shrink, grow, future write

    def reply(self):
        return sp.reply(sp.CREATED, sp.extension((1, struct.pack(">I", 4))))

    def refer_to_the_end(self):
        """To an image whose last byte is the memory's."""
        fd = os.memfd_create("untouched", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(fd, self.SIZE)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, self.SEALS)
            pool = sp.frame(b"\xa1\x61" + struct.pack(">I", self.SIZE))
            socket.send_fds(self.messages.sock, [pool], [fd])
        finally:
            os.close(fd)
        size = 4096
        self.messages.send(sp.frame(b"\xa1\x62" + struct.pack(
            ">IIQII", 0, 1, self.SIZE - size, 14, size)))


class TowardsGateway(harness.WeirTest):
    """We play the remote module; `weir run` is under test."""

    def setUp(self):
        super().setUp()
        self.started = 0

    def listen(self):
        """At a place of its own for each gateway: no connection of an earlier one waits there."""
        self.started += 1
        self.control_id = f"control_{self.started}"
        self.listener = sp.Listener(self.path(self.control_id))
        self.addCleanup(self.listener.__exit__)

    def start_one(self):
        """hello_world -> we -> logger, and hello_world -> other, which must run in any case."""
        self.listen()
        return self.start_gateway(
            [logger(), logger("other"), remote("remote", self.control_id, [1]), hello_world()],
            [link("hello_world", "remote"), link("remote", "logger"), link("hello_world", "other")],
            name=f"weir_{self.started}")

    def check_end(self, gateway, reason=True):
        """It said why, lives, and takes a good remote now."""
        self.wait_for_messages(1, "other.txt")
        if reason:
            gateway.wait_for(f"could not attach the remote module at '{self.control_id}': ")
        content = f"after case {self.started}".encode()
        with sp.Session(self.listener, self.folder) as session:
            self.assertEqual(session.args, "[1]")
            session.messages.send(sp.frame(sp.message(content)))
            self.wait_for_content(content)
            self.assertIn(b"hello world", session.messages.receive_frame())
            session.control.send(sp.frame(sp.reply(sp.DETACHED)))
            session.control.wait_for_end()
        gateway.stop()

    def check_control(self, cases, before=sp.GREETING):
        for name, data in cases.items():
            with self.subTest(case=name):
                gateway = self.start_one()
                with self.listener.accept() as peer:
                    peer.send_to_closing(before + data)
                    peer.wait_for_end()
                self.check_end(gateway)

    def test_bad_greetings_on_the_control_channel(self):
        self.check_control(BAD_GREETINGS, b"")

    def test_bad_bytes_on_the_control_channel(self):
        self.check_control({**BAD_FRAMES, **BAD_CONTROL, **BAD_REPLIES})

    def check_messages(self, cases, before=sp.GREETING):
        for name, data in cases.items():
            with self.subTest(case=name):
                gateway = self.start_one()
                with self.listener.accept().greet() as control:
                    uri = sp.uri_of(control.expect_control(sp.CREATE))
                    with sp.Listener(os.path.join(self.folder, uri)) as listener:
                        control.send(sp.frame(sp.reply(sp.CREATED)))
                        with listener.accept() as peer:
                            peer.send_to_closing(before + data)
                            peer.wait_for_end()
                            control.wait_for_end()
                self.wait_for_either(gateway)
                self.check_end(gateway, reason=False)

    def wait_for_either(self, gateway):
        """It was attached already, or not yet."""
        harness.wait_until(lambda: any(
            f"{text} the remote module at '{self.control_id}': " in gateway.err()
            for text in ("could not attach", "lost")), "the reason is in the log")

    def test_bad_greetings_on_the_message_channel(self):
        self.check_messages(BAD_GREETINGS, b"")

    def test_bad_bytes_on_the_message_channel(self):
        self.check_messages({**BAD_FRAMES, **BAD_MESSAGES})

    def test_peer_that_goes_away_in_the_middle(self):
        gateway = self.start_one()
        for data in CUT.values():
            with self.listener.accept() as peer:
                peer.send_to_closing(data)  # the gateway may have given up a peer that it waited for
        self.check_end(gateway)

    def test_peer_that_never_greets(self):
        gateway = self.start_one()
        with self.listener.accept() as peer:
            peer.wait_for_end()
        gateway.wait_for("no greeting came")
        self.check_end(gateway)

    def come_and_go(self, each_time=lambda: None):
        """1, 2, 4 ... 64, 64 ms; a slow machine only makes it longer."""
        gateway = self.start_one()
        begin = time.monotonic()
        for _ in range(12):
            with sp.Session(self.listener, self.folder):
                pass
            each_time()
        self.assertGreater(time.monotonic() - begin, 0.35)
        self.check_end(gateway, reason=False)

    def test_peer_that_comes_and_goes_is_awaited_longer(self):
        self.come_and_go()

    def test_peer_that_comes_and_goes_with_its_socket_is_awaited_longer(self):
        """Its folder tells each time that it is there."""
        def listen_anew():
            self.listener.__exit__()
            self.listener = sp.Listener(self.path(self.control_id))
            self.addCleanup(self.listener.__exit__)

        self.come_and_go(listen_anew)

    @unittest.skipUnless(harness.has_shared_memory(), "this system has no memory of the kind that is shared")
    def test_peer_whose_memory_costs_much_is_awaited_longest(self):
        """It has touched none of it; a second. A slow machine only makes it longer."""
        gateway = self.start_one()
        with SharingSession(self.listener, self.folder) as session:
            begin = time.monotonic()
            session.refer_to_the_end()
            session.control.wait_for_end()
        with sp.Session(self.listener, self.folder):
            self.assertGreater(time.monotonic() - begin, 0.9)
        self.check_end(gateway, reason=False)

    def test_create_without_an_answer_is_sent_again(self):
        gateway = self.start_one()
        with self.listener.accept().greet() as control:
            first = control.expect_control(sp.CREATE)
            self.assertEqual(control.expect_control(sp.CREATE), first)
        self.check_end(gateway)

    def test_created_without_a_message_channel(self):
        gateway = self.start_one()
        with self.listener.accept().greet() as control:
            control.expect_control(sp.CREATE)
            control.send(sp.frame(sp.reply(sp.CREATED)))
            control.wait_for_end()
        self.check_end(gateway)

    def test_failed_create_is_logged_and_the_next_remote_is_welcome(self):
        for status, text in ((1, "could not open its message channel"),
                             (2, "could not be created"), (77, "status 77")):
            with self.subTest(status=status):
                gateway = self.start_one()
                with self.listener.accept().greet() as control:
                    control.expect_control(sp.CREATE)
                    control.send(sp.frame(sp.reply(status)))
                    gateway.wait_for(text)
                self.check_end(gateway, reason=False)

    def test_control_messages_of_a_gateway_are_passed_over(self):
        gateway = self.start_one()
        with self.listener.accept().greet() as control:
            control.expect_control(sp.CREATE)
            for image in (sp.create("ipc://x"), sp.control(sp.START), sp.control(sp.DESTROY),
                          sp.control(99, b"later")):
                control.send(sp.frame(image))
            gateway.wait_for("ignored", 4)
        self.check_end(gateway, reason=False)

    def test_message_over_the_limit_closes_the_connection(self):
        self.listen()
        modules = [logger(), remote("remote", self.control_id, **{"message.limit": 1000})]
        gateway = self.start_gateway(modules, [link("remote", "logger")])
        with sp.Session(self.listener, self.folder) as session:
            session.messages.send_to_closing(sp.frame(sp.message(bytes(1000))))
            session.messages.wait_for_end()
            session.control.wait_for_end()
        gateway.wait_for("lost the remote module")
        with sp.Session(self.listener, self.folder) as session:
            session.messages.send(sp.frame(sp.message(b"within the limit")))
            self.wait_for_content(b"within the limit")
            session.control.send(sp.frame(sp.reply(sp.DETACHED)))
            session.control.wait_for_end()
        gateway.stop()

    def test_largest_message_passes_both_ways(self):
        self.listen()
        content = bytes(range(256)) * (4 * 1024 * 40)
        gateway = self.start_gateway(
            [native("pass", "pass"), remote("remote", self.control_id, **{"message.limit": 64 << 20})],
            [link("remote", "pass"), link("pass", "remote")])
        with sp.Session(self.listener, self.folder) as session:
            session.messages.send(sp.frame(sp.message(content)))
            self.assertEqual(session.messages.receive_frame(), sp.message(content))
            session.control.send(sp.frame(sp.reply(sp.DETACHED)))
            session.control.wait_for_end()
        gateway.stop()


if __name__ == "__main__":
    harness.main()
