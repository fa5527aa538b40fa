# SPDX-License-Identifier: MIT
"""A relay between a gateway and a remote module that cuts, stalls and passes on what they say.

It listens at a path in the gateway's folder and connects to the same path in the remote's folder.
What it was given before a side closed, it passes on: it loses nothing but what it cuts."""

import os
import selectors
import socket
import threading

CHUNK = 65536
CUTS = ("close", "shutdown", "half")


def open_unix():
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


class Direction:
    """What one side says, on its way to the other. `left` bytes more, then the cut."""

    def __init__(self, source, sink):
        self.source = source
        self.sink = sink
        self.left = None

    def step(self, chunk):
        """False: it is over."""
        if self.left is not None:
            chunk = max(min(chunk, self.left), 0)
        data = self.source.recv(chunk) if chunk > 0 else b""
        if not data:
            return False
        self.sink.sendall(data)
        if self.left is None:
            return True
        self.left -= len(data)  # it may have been set while we waited for these
        return self.left > 0


class Connection:
    """Two sockets and a thread for each direction."""

    def __init__(self, near, far):
        self.sockets = (near, far)
        self.directions = (Direction(near, far), Direction(far, near))
        self.go_on = threading.Event()
        self.go_on.set()
        self.how = None
        self.threads = [threading.Thread(target=self.forward, args=(direction,), daemon=True)
                        for direction in self.directions]
        for thread in self.threads:
            thread.start()

    def forward(self, direction):
        try:
            while direction.step(CHUNK):
                self.go_on.wait()
        except OSError:  # the other side has closed, or the cut
            pass
        self.end(direction)

    def end(self, direction):
        cut = direction.left is not None
        if not cut or self.how == "half":
            shut(direction.sink, socket.SHUT_WR)
        if cut and self.how == "shutdown":
            for sock in self.sockets:
                shut(sock, socket.SHUT_RDWR)
        if cut and self.how == "close":
            self.reset()

    def reset(self):
        """With bytes unread the other side sees a reset connection, else an end."""
        for sock in self.sockets:
            shut(sock, socket.SHUT_RDWR)
            sock.close()

    def cut(self, how, direction, after):
        self.how = how
        self.directions[direction].left = after

    def is_over(self):
        return not any(thread.is_alive() for thread in self.threads)

    def close(self):
        self.go_on.set()
        self.reset()
        for thread in self.threads:
            thread.join()


def shut(sock, how):
    try:
        sock.shutdown(how)
    except OSError:
        pass


class Cutter:
    """All connections to one path, one after the other."""

    def __init__(self, near_path, far_path):
        self.near_path = os.path.relpath(near_path)
        self.far_path = os.path.relpath(far_path)
        self.connections = []
        self.lock = threading.Lock()
        self.listener = open_unix()
        self.listener.bind(self.near_path)
        self.listener.listen(16)
        self.wake, self.waker = socket.socketpair()
        self.thread = threading.Thread(target=self.accept_all, daemon=True)
        self.thread.start()

    def accept_all(self):
        with selectors.DefaultSelector() as ready:
            ready.register(self.listener, selectors.EVENT_READ)
            ready.register(self.wake, selectors.EVENT_READ)
            while all(key.fileobj is not self.wake for key, _ in ready.select()):
                self.connect(self.listener.accept()[0])

    def connect(self, near):
        far = open_unix()
        try:
            far.connect(self.far_path)
        except OSError:  # nobody is there
            far.close()
            near.close()
            return
        with self.lock:
            for old in [known for known in self.connections if known.is_over()]:
                old.close()
                self.connections.remove(old)
            self.connections.append(Connection(near, far))

    def living(self):
        with self.lock:
            return [known for known in self.connections if not known.is_over()]

    def cut(self, chance):
        """Cut what is connected now, at a random byte of one direction. Returns what it did."""
        how = chance.choice(CUTS)
        direction = chance.randrange(2)
        after = chance.choice((1, chance.randrange(1, 100), chance.randrange(1, 200000)))
        for connection in self.living():
            connection.cut(how, direction, after)
        return f"{how} after {after} bytes {'to the gateway' if direction else 'to the remote'}"

    def cut_now(self):
        for connection in self.living():
            connection.reset()

    def stall(self, stalled):
        for connection in self.living():
            if stalled:
                connection.go_on.clear()
            else:
                connection.go_on.set()

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        self.listener.close()
        for connection in self.connections:
            connection.close()
        self.wake.close()
        self.waker.close()
        os.unlink(self.near_path)
