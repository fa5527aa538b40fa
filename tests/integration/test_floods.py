# SPDX-License-Identifier: MIT
"""What a module or a peer may send without end: it must not fill the log, nor keep the gateway from
its other modules."""

import fcntl
import os
import signal
import struct
import sys
import termios
import threading

import harness
import sp
from harness import hello_world, launched, link, logger, remote

# What may be in the log at once, and then in each second: of a process, and about a peer.
BURST = 1001
LINES_PER_SECOND = 1000
IGNORED_PER_SECOND = 10
# Of a control message without a meaning to a gateway, and of one that has an unknown type.
MEANINGLESS = (sp.frame(sp.control(sp.START)), sp.frame(sp.control(99)))

# More than this is in a pipe (65536 bytes) into which no page goes any more.
FULL_PIPE = 60000


def waiting_bytes(pipe):
    """What was written and not read."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


class Floods(harness.WeirTest):
    def start_beside(self, module):
        """A gateway with it, and with a remote module that the same loop serves."""
        echo = launched("echo", harness.PROXY_SAMPLE_REMOTE, ["echo_control"])
        gateway = self.start_gateway([logger(), echo, hello_world(), module],
                                     [link("hello_world", "echo"), link("echo", "logger")])
        self.wait_for_messages()
        return gateway

    def test_process_that_prints_without_end_does_not_fill_the_log(self):
        module = launched("talker", "/bin/sh", ["-c", "exec yes 'a line of the talker'"])
        gateway = self.start_beside(module)
        gateway.wait_for("left out: too many", 3)
        self.wait_for_messages()
        log = gateway.err()
        seconds = log.count("left out: too many") + 1
        self.assertLessEqual(log.count("a line of the talker"), BURST + LINES_PER_SECOND * seconds)
        gateway.stop()

    def test_lines_that_are_left_out_are_counted(self):
        count = 20000
        module = {**launched("talker", sys.executable, ["-c", f"print('line\\n' * {count})"]),
                  "restart": {"policy": "never"}}
        gateway = self.start_beside(module)
        gateway.wait_for("exit status 0")
        lines, left_out = self.count_lines(gateway, "talker", "line")
        self.assertEqual(lines + left_out, count)
        self.assertGreater(left_out, 0)
        gateway.stop()

    def count_lines(self, program, name, text):
        """How many lines about `name` say the text, and how many are said to be left out."""
        lines = [line.split("] ", 1)[1] for line in program.err().splitlines()
                 if f" [{name}] " in line]
        left_out = sum(int(line.split()[0]) for line in lines if "left out: too many" in line)
        return sum(line.startswith(text) for line in lines), left_out

    def wait_for_all(self, program, name, text, count):
        """... with those that are left out, although no further line comes."""
        harness.wait_until(lambda: sum(self.count_lines(program, name, text)) == count,
                           lambda: f"{count} lines, now {self.count_lines(program, name, text)}")
        self.assertGreater(self.count_lines(program, name, text)[1], 0)

    def test_lines_about_a_remote_that_are_left_out_are_counted_when_it_falls_silent(self):
        count = 3000
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([remote("flood", "control")])
            with sp.Session(listener, self.folder) as session:
                session.control.send(sp.frame(sp.control(sp.START)) * count)
                self.wait_for_all(gateway, "flood", "ignored a control message", count)
                gateway.stop()

    def test_lines_about_a_gateway_that_are_left_out_are_counted_when_it_falls_silent(self):
        count = 3000
        host = self.start("host", harness.WEIR, "host", "control")
        polled = self.start_remote(control_id="polled")
        for program, name in ((host, "control"), (polled, "polled")):
            peer = harness.wait_until(lambda at=name: sp.connect_soon(self.path(at)), name)
            with peer.greet() as control:
                control.send(sp.frame(sp.reply(sp.CREATED)) * count)
                self.wait_for_all(program, name, "a control message from the gateway is ignored",
                                  count)
        host.stop()
        polled.press_enter()
        polled.expect_exit()

    def test_log_that_nobody_reads_holds_nobody_up(self):
        """Neither messages nor the end."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        talker = launched("talker", "/bin/sh", ["-c", "exec yes 'a line of the talker'"])
        echo = launched("echo", harness.PROXY_SAMPLE_REMOTE, ["echo_control"])
        self.write_config([logger(), echo, hello_world(), talker],
                          [link("hello_world", "echo"), link("echo", "logger")])
        gateway = self.start("weir", "/bin/sh", "-c",
                             f'exec "$0" run gateway.json 1>&{writer} 2>&{writer}', harness.WEIR,
                             pass_fds=(writer,))
        os.close(writer)
        harness.wait_until(lambda: waiting_bytes(reader) > FULL_PIPE, "the pipe is full")
        self.wait_for_messages()
        gateway.process.send_signal(signal.SIGUSR1)
        self.wait_for_messages()
        gateway.stop()

    def test_control_messages_without_end_do_not_keep_the_gateway_from_others(self):
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_beside(remote("flood", "control"))
            with sp.Session(listener, self.folder) as session:
                stop = threading.Event()
                flooder = threading.Thread(target=self.flood, args=(session, stop))
                flooder.start()
                gateway.wait_for("left out: too many", 2)
                self.wait_for_messages()
                stop.set()
                flooder.join()
            log = gateway.err()
            seconds = log.count("left out: too many") + 1
            self.assertLessEqual(log.count("ignored a control message"),
                                 BURST + IGNORED_PER_SECOND * seconds)
            gateway.stop()

    def flood(self, session, stop):
        data = b"".join(MEANINGLESS) * 2000
        while not stop.is_set():
            session.control.send(data)


if __name__ == "__main__":
    harness.main()
