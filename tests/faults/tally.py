# SPDX-License-Identifier: MIT
"""The counters that modules/tally.h describes, seen from the test."""

import mmap
import os
import struct

FIELDS = ("limit", "delay_us", "moderate", "published", "next", "received", "repeated", "marked", "unmarked",
          "gaps", "lost", "gap_at", "mixed_up", "damaged", "refused", "lives", "pid", "first_ns")
PARTS = 32
BUCKETS = 64 * PARTS
NO_LIMIT = (1 << 64) - 1
WORD = struct.Struct("=Q")


class Tally:
    """A field is an attribute: `tally.published`, `tally.limit = 100`."""

    def __init__(self, path):
        size = WORD.size * (len(FIELDS) + BUCKETS)
        with open(path, "wb") as file:
            file.write(bytes(size))
        with open(path, "r+b") as file:
            object.__setattr__(self, "memory", mmap.mmap(file.fileno(), size))
        object.__setattr__(self, "path", path)
        self.limit = NO_LIMIT

    def __getattr__(self, name):
        if name not in FIELDS:
            raise AttributeError(name)
        return WORD.unpack_from(self.memory, WORD.size * FIELDS.index(name))[0]

    def __setattr__(self, name, value):
        WORD.pack_into(self.memory, WORD.size * FIELDS.index(name), value)

    def __str__(self):
        shown = {name: getattr(self, name) for name in FIELDS if name != "limit"}
        return f"{os.path.basename(self.path)} {shown}"

    def times(self):
        """How many messages took so long: the buckets."""
        return struct.unpack_from(f"={BUCKETS}Q", self.memory, WORD.size * len(FIELDS))


def quantile_ms(counts, part):
    """The time that this part of the messages did not exceed, of how many were in each bucket."""
    left = part * sum(counts)
    for bucket, count in enumerate(counts):
        left -= count
        if left <= 0:
            return (1 + (bucket % PARTS + 0.5) / PARTS) * 2 ** (bucket // PARTS) / 1e6
    return float("inf")
