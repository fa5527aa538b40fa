# SPDX-License-Identifier: MIT
"""A client as it was written in 2017 in a language with a binding to nanomsg: pair sockets, and the
formats taken apart by hand. It knows of no extension block. The library is Debian's, by ctypes."""

import ctypes
import ctypes.util
import struct

AF_SP, NN_PAIR, NN_DONTWAIT = 1, 16, 1
NN_MSG = ctypes.c_size_t(-1)
NN_SOL_SOCKET, NN_SNDTIMEO, NN_RCVTIMEO = 0, 4, 5
NN_STAT_CURRENT_CONNECTIONS = 201
DEADLINE_MS = 60000
CREATE, REPLY, START, DESTROY = 1, 2, 3, 4


def load():
    """The library; None where it is not installed."""
    name = ctypes.util.find_library("nanomsg")
    if name is None:
        return None
    library = ctypes.CDLL(name, use_errno=True)
    library.nn_get_statistic.restype = ctypes.c_uint64
    return library


NN = load()


class Pair:
    """A pair socket. Receiving waits for at most the deadline."""

    def __init__(self):
        self.socket = NN.nn_socket(AF_SP, NN_PAIR)
        for option in (NN_SNDTIMEO, NN_RCVTIMEO):
            value = ctypes.c_int(DEADLINE_MS)
            NN.nn_setsockopt(self.socket, NN_SOL_SOCKET, option, ctypes.byref(value),
                             ctypes.sizeof(value))

    def check(self, result, what):
        if result < 0:
            raise OSError(ctypes.get_errno(), what)
        return result

    def bind(self, path):
        self.check(NN.nn_bind(self.socket, f"ipc://{path}".encode()), f"bind {path}")
        return self

    def connect(self, path):
        self.check(NN.nn_connect(self.socket, f"ipc://{path}".encode()), f"connect {path}")
        return self

    def send(self, data):
        self.check(NN.nn_send(self.socket, data, len(data), 0), "send")

    def send_if_connected(self, data):
        """nn_send waits for the next connection where there is none."""
        while NN.nn_get_statistic(self.socket, NN_STAT_CURRENT_CONNECTIONS) > 0:
            if NN.nn_send(self.socket, data, len(data), NN_DONTWAIT) >= 0:
                return

    def receive(self, flags=0):
        """The next message; None: nothing is there, which only happens with NN_DONTWAIT."""
        place = ctypes.c_void_p()
        size = NN.nn_recv(self.socket, ctypes.byref(place), NN_MSG, flags)
        if size < 0 and flags == NN_DONTWAIT:
            return None
        data = ctypes.string_at(place, self.check(size, "receive"))
        NN.nn_freemsg(place)
        return data

    def close(self):
        NN.nn_close(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- the formats


def control(kind, body=b""):
    return b"\xa1\x6c\x01" + struct.pack(">BI", kind, 8 + len(body)) + body


CREATED, DETACHED = control(REPLY, b"\0"), control(REPLY, b"\xff")


def create(path, args):
    """With both sizes counting the NUL."""
    def sized(text):
        data = text.encode() + b"\0"
        return struct.pack(">I", len(data)) + data
    return control(CREATE, b"\x01\x10" + sized(f"ipc://{path}") + sized(args))


def taken_apart(image):
    """Path and args of a create, each with its NUL cut off; what follows args is ignored."""
    at, texts = 10, []
    for _ in range(2):
        size, = struct.unpack_from(">I", image, at)
        texts.append(image[at + 4:at + 4 + size])
        at += 4 + size
    if any(text[-1:] != b"\0" or b"\0" in text[:-1] for text in texts):
        raise ValueError(f"a text in create does not end in its only NUL: {image.hex()}")
    return texts[0][len("ipc://"):-1].decode(), texts[1][:-1].decode()


def message(content, **properties):
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in properties.items())
    return (b"\xa1\x60" + struct.pack(">II", 14 + len(body) + len(content), len(properties))
            + body + struct.pack(">I", len(content)) + content)


def content_of(image):
    at, count = 10, struct.unpack_from(">I", image, 6)[0]
    for _ in range(2 * count):
        at = image.index(b"\0", at) + 1
    size, = struct.unpack_from(">I", image, at)
    if at + 4 + size != len(image):
        raise ValueError(f"a message's sizes do not fit: {image[:80].hex()}")
    return image[at + 4:]


class Remote:
    """A remote module that answers a create as soon as it sees one. Both sockets are polled by turns,
    as a program with a loop of its own does it."""

    def __init__(self, folder, answer=CREATED):
        self.folder, self.answer = folder, answer
        self.control = Pair().bind(f"{folder}/control")
        self.messages = None
        self.path = self.args = None
        self.started = self.destroyed = 0
        self.creates = 0

    def at(self, path):
        return path if path.startswith("/") else f"{self.folder}/{path}"

    def bind(self):
        self.messages = Pair().bind(self.at(self.path))

    def unbind(self):
        if self.messages is not None:
            self.messages.close()
        self.messages = None

    def on_create(self, image):
        self.path, self.args = taken_apart(image)
        self.creates += 1
        self.unbind()
        self.bind()
        self.control.send(self.answer)

    def on_message(self, image):
        self.messages.send_if_connected(image)

    def poll(self):
        """Do what is there to be done. True: there was something."""
        image = self.control.receive(NN_DONTWAIT)
        if image is not None:
            if image[3] == CREATE:
                self.on_create(image)
            if image[3] == DESTROY:
                self.destroyed += 1
                self.unbind()
            self.started += image[3] == START
            return True
        image = None if self.messages is None else self.messages.receive(NN_DONTWAIT)
        if image is not None:
            self.on_message(image)
        return image is not None

    def close(self):
        self.unbind()
        self.control.close()
