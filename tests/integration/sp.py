# SPDX-License-Identifier: MIT
"""The other side of Weir's sockets, from docs/wire-protocol.md alone: a peer that can play a gateway
or a remote module, well or badly."""

import os
import socket
import struct

DEADLINE_S = 60
GREETING = bytes.fromhex("0053500000100000")
CREATE, REPLY, START, DESTROY, ACKNOWLEDGE = 1, 2, 3, 4, 7
CREATED, DETACHED = 0, 0xFF


def frame(data):
    return b"\x01" + struct.pack(">Q", len(data)) + data


def control(kind, body=b""):
    return b"\xa1\x6c\x01" + bytes([kind]) + struct.pack(">I", 8 + len(body)) + body


def extension(*entries):
    """An extension block of (type, value) entries."""
    return b"WR\x01" + b"".join(bytes([kind, len(value)]) + value for kind, value in entries)


def protocol(first, last):
    """The extension entry that says which protocol versions its sender speaks."""
    return 8, struct.pack(">HH", first, last)


def window(messages):
    """The extension entry that says how many messages its sender keeps unacknowledged."""
    return 4, struct.pack(">I", messages)


def entries_of(block):
    """The entries of an extension block, as a dictionary of values by type."""
    if block[:2] != b"WR":
        raise AssertionError(f"no extension block: {block!r}")
    found = {}
    at = 3
    while at < len(block):
        found[block[at]] = block[at + 2:at + 2 + block[at + 1]]
        at += 2 + block[at + 1]
    return found


def create(uri, args="null", block=b""):
    def sized(text):
        data = text.encode() + b"\0"
        return struct.pack(">I", len(data)) + data
    return control(CREATE, b"\x01\x10" + sized(uri) + sized(args) + block)


def reply(status, block=b""):
    return control(REPLY, bytes([status]) + block)


def uri_of(image):
    """The path in a create message's uri."""
    size = struct.unpack(">I", image[10:14])[0]
    return image[14:14 + size - 1].decode().removeprefix("ipc://")


def args_of(image):
    at = 14 + struct.unpack(">I", image[10:14])[0]
    size = struct.unpack(">I", image[at:at + 4])[0]
    return image[at + 4:at + 4 + size - 1].decode()


def block_of(image):
    """The extension block of a create message."""
    args = 14 + struct.unpack(">I", image[10:14])[0]
    return image[args + 4 + struct.unpack(">I", image[args:args + 4])[0]:]


def message(content):
    """A message image without properties."""
    return (b"\xa1\x60" + struct.pack(">II", 14 + len(content), 0)
            + struct.pack(">I", len(content)) + content)


def content_of(image):
    """Of an image without properties."""
    return image[14:]


class Peer:
    """One connection. Every wait has a deadline."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def receive(self, size):
        data = bytearray()
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError(f"the connection ended after {len(data)} of {size} bytes")
            data += more
        return bytes(data)

    def greet(self):
        self.send(GREETING)
        greeting = self.receive(len(GREETING))
        if greeting != GREETING:
            raise AssertionError(f"the greeting is {greeting.hex()}")
        return self

    def receive_frame(self):
        head = self.receive(9)
        if head[0] != 1:
            raise AssertionError(f"a frame begins with {head[0]}")
        return self.receive(struct.unpack(">Q", head[1:])[0])

    def expect_control(self, kind):
        """The next control message of this kind; a create that is sent again is passed over."""
        while True:
            image = self.receive_frame()
            if image[3] == kind:
                return image
            if image[3] != CREATE:
                raise AssertionError(f"control message {image[3]}, expected {kind}")

    def wait_for_end(self):
        """Until the other side closes the connection; what it still sends is passed over."""
        try:
            while self.sock.recv(4096):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass

    def send_to_closing(self, data):
        """Send to a peer that may close the connection in the middle of it."""
        try:
            self.send(data)
        except (ConnectionResetError, BrokenPipeError):
            pass


def short(path):
    """Relative where that is shorter: a socket's path has at most 107 bytes."""
    return min(path, os.path.relpath(path), key=len)


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(short(path))
    except OSError:
        sock.close()
        raise
    return Peer(sock)


def connect_soon(path):
    """None: nobody listens there yet."""
    try:
        return connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None


class Listener:
    """Where a remote waits for the gateway."""

    def __init__(self, path):
        self.path = short(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(self.path)
        self.sock.listen(16)
        self.sock.settimeout(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        try:
            os.unlink(self.path)
        except FileNotFoundError:  # it was in the gateway's folder, which is gone
            pass

    def accept(self):
        return Peer(self.sock.accept()[0])

    def accept_greeted(self):
        """The next connection that greets: one that waited for long may have been given up."""
        while True:
            peer = self.accept()
            try:
                return peer.greet()
            except (EOFError, ConnectionResetError, BrokenPipeError):
                peer.sock.close()


class Session:
    """A good remote's part of a session, up to start. A gateway gives up a connection on which nobody
    greets it for a while, and makes another one: those that it gave up are passed over."""

    def __init__(self, control_listener, folder):
        self.control = self.messages = self.listener = None
        while not self.begin(control_listener, folder):
            self.__exit__()

    def begin(self, control_listener, folder):
        """False: the gateway has given up this connection."""
        self.control = control_listener.accept()
        try:
            self.control.greet()
            image = self.control.expect_control(CREATE)
            self.args = args_of(image)
            self.offer = entries_of(block_of(image))
            self.listener = Listener(os.path.join(folder, uri_of(image)))
            self.control.send(frame(self.reply()))
            self.messages = self.listener.accept()
            self.before_messages()
            self.messages.greet()
            self.control.expect_control(START)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            return False
        return True

    def reply(self):
        return reply(CREATED)

    def before_messages(self):
        """The message channel is connected, and nothing is said on it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for part in (self.messages, self.listener, self.control):
            if part is not None:
                part.__exit__()
        self.control = self.messages = self.listener = None
