# SPDX-License-Identifier: MIT
"""What Weir has to reach, each with the figure it reached in this run."""
from . import life


# Ten seconds may hold one wake-up more than ten periods do.
IDLE_SLACK = 0.2


class Book:
    """Finds rows and collects judgements."""

    def __init__(self, rows, lives):
        self.rows = {row.key: row for row in rows}
        self.lives = lives
        self.judged = []

    def rate(self, system, what, size):
        row = self.rows.get(f"{system}/{what}/{size}")
        figure = row.rate() if row else None
        return figure[0] if figure else None

    def time(self, key):
        row = self.rows.get(key)
        figure = row.figure("p50") if row else None
        return figure[0] if figure else None

    def add(self, bar, figure, wanted, unit, at_most=False):
        passed = figure is not None and (figure <= wanted if at_most else figure >= wanted)
        self.judged.append({"bar": bar, "figure": figure, "wanted": wanted, "unit": unit,
                            "at_most": at_most, "passed": passed,
                            "measured": figure is not None})

    def life(self, bar, name, wanted, unit):
        figure = self.lives.median(name)
        self.add(bar, figure[0] if figure else None, wanted, unit, True)


def ratio(one, other):
    return one / other if one is not None and other else None


def in_process(book):
    one = book.rate("weir", "1 -> 1", 64)
    book.add("in process, 64 B, 1 -> 1", one, 5e6, "msg/s")
    book.add("in process, 64 B, 1 -> 1, of the bare queue with Weir's messages",
             ratio(one, book.rate("message", "1 -> 1", 64)), 0.5, "x")
    book.add("in process, 64 B, 1 -> 1, of the bare queue with malloc and free",
             ratio(one, book.rate("malloc", "1 -> 1", 64)), 0.5, "x")
    book.add("in process, 64 B, 1 -> 8, each sink", book.rate("weir", "1 -> 8, each", 64), 1e6,
             "msg/s")
    book.add("in process, 64 B, chain of 8", book.rate("weir", "chain of 8", 64), 1e6, "msg/s")


def out_of_process(book):
    for limit, name in (("gather", "gathered"), ("unix", "coalesced")):
        book.add(f"one way, 64 B, of the bare stream, {name}",
                 ratio(book.rate("weir", "one way", 64), book.rate(limit, "one way", 64)), 0.6, "x")
    book.add("one way, 64 B, of the rate without acknowledgement",
             ratio(book.rate("weir", "one way", 64),
                   book.rate("weir", "one way, not acknowledged", 64)), 0.9, "x")
    book.add("echo, 64 B", book.rate("weir", "echo", 64), 1e6, "msg/s")
    for what in ("one way", "echo"):
        book.add(f"{what}, 64 KiB, of the bare stream",
                 ratio(book.rate("weir", what, 65536), book.rate("unix", what, 65536)), 0.7, "x")
    echo = book.rate("weir", "echo", 65536)
    book.add("echo, 64 KiB, each way", echo and echo * 65536 / 1e9, 1.5, "GB/s")
    for size in (16, 64, 256, 4096, 65536, 1048576):
        wanted = 10 if size <= 256 else 5 if size == 4096 else 3
        for peer in ("nanomsg", "nng"):
            for what in ("one way", "echo"):
                book.add(f"{what}, {size} B, of {peer}",
                         ratio(book.rate("weir", what, size), book.rate(peer, what, size)),
                         wanted, "x")


def latency(book):
    trip = book.time("weir/echo/64/200")
    book.add("round trip at 200 msg/s, p50", trip and trip / 1e3, 60, "us", True)
    book.add("round trip at 200 msg/s, p50, of the bare stream's at 200 msg/s",
             ratio(trip, book.time("unix/echo/64/200")), 2.5, "x", True)
    book.add("round trip at 200 msg/s, p50, of the bare stream's back to back",
             ratio(trip, book.time("unix/ping-pong/64")), 2.5, "x", True)


def lives(book):
    book.life("launch to first message", "launch to first message, ms", 25, "ms")
    book.life("stop with a launched remote", "stop with a remote by launch, ms", 50, "ms")
    book.life("killed remote back in service", "killed remote back in service, ms", 200, "ms")
    book.life("messages lost by the kill", "lost by the kill, messages", 0, "messages")
    # One timer a second at most: the gateway's heartbeat, which wakes the remote, whose answer wakes
    # the gateway.
    for name, woken in (("gateway", 2), ("remote", 1)):
        book.life(f"idle {name}", f"idle {name}, % of a core", 0.05, "%")
        book.life(f"idle {name}, wake-ups", f"idle {name}, wake-ups/s", woken + IDLE_SLACK, "/s")
    book.life("memory of the gateway", "memory of gateway, KiB", 4096, "KiB")
    book.life("10000 modules: start", "10000 modules: start, ms", 1000, "ms")
    book.add("memory per idle module and link", life.memory_per_module(book.lives), 4096, "B", True)


def judge(rows, figures):
    """A list of judgements, in the order of the issue that set the bars."""
    book = Book(rows, figures)
    in_process(book)
    out_of_process(book)
    latency(book)
    lives(book)
    failed = sum(1 for row in rows if row.failures)
    book.add("rows that lost, changed or reordered a message, or failed", failed, 0, "rows", True)
    return book.judged
