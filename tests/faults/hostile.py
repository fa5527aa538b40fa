# SPDX-License-Identifier: MIT
"""A peer that does no good: it connects to the sockets of others and waits where a remote module is
awaited, and says what it should not, until it is stopped."""

import os
import random
import socket
import struct
import threading
import time

import sp

# With a connection that nobody closes.
PATIENCE_S = 1
# All but create, start and destroy: those are commands, which any gateway of this user may give.
HARMLESS = (0, 2, 5, 6, 7, 8, 200)


def random_frames(chance):
    """A greeting and frames of random bytes, some with a good header."""
    data = sp.GREETING
    for _ in range(chance.randrange(1, 5)):
        body = chance.randbytes(chance.randrange(300))
        head = chance.choice((b"", b"\xa1\x60", b"\xa1\x6c\x01\x02", b"\xa1\x60" + struct.pack(
            ">II", len(body) + 14, chance.randrange(4))))
        data += sp.frame(head + body)
    return data


def lying_length(chance):
    return sp.GREETING + b"\x01" + struct.pack(">Q", chance.getrandbits(chance.randrange(20, 64)))


def bad_control(chance):
    kind = chance.choice(HARMLESS)
    return sp.GREETING + sp.frame(sp.control(kind, chance.randbytes(chance.randrange(40))))


def false_acknowledge(chance):
    return sp.GREETING + sp.frame(sp.reply(sp.CREATED)) + sp.frame(
        sp.control(7, struct.pack(">Q", chance.getrandbits(60))))


def noise(chance):
    return chance.randbytes(chance.randrange(1, 3000))


def silence(chance):
    return sp.GREETING[:chance.randrange(9)]


SAYINGS = (random_frames, lying_length, bad_control, false_acknowledge, noise, silence)


class Hostile:
    """`targets`: a function that returns the paths of sockets to connect to. `bait`: the path of the
    control socket where a gateway connects to us."""

    def __init__(self, seed, targets, bait):
        self.targets = targets
        self.attacks = 0
        self.stopping = threading.Event()
        self.bait = sp.Listener(bait)
        self.bait.sock.settimeout(PATIENCE_S)
        self.threads = [threading.Thread(target=work, args=(random.Random(seed + i),), daemon=True)
                        for i, work in enumerate((self.connect_often, self.wait_often))]
        for thread in self.threads:
            thread.start()

    def speak(self, sock, chance):
        sock.settimeout(PATIENCE_S)
        try:
            sock.sendall(chance.choice(SAYINGS)(chance))
            if chance.random() < 0.7:
                end = time.monotonic() + PATIENCE_S
                while sock.recv(4096) and time.monotonic() < end:
                    pass
        except OSError:  # it is closed, or nobody closes it
            pass
        sock.close()
        self.attacks += 1

    def connect_often(self, chance):
        while not self.stopping.wait(chance.uniform(0.001, 0.02)):
            paths = self.targets()
            if not paths:
                continue
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(os.path.relpath(chance.choice(paths)))
            except OSError:  # it is gone by now
                sock.close()
                continue
            self.speak(sock, chance)

    def wait_often(self, chance):
        while not self.stopping.is_set():
            try:
                sock = self.bait.sock.accept()[0]
            except TimeoutError:
                continue
            self.speak(sock, chance)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.bait.__exit__()
