# SPDX-License-Identifier: MIT
"""Peers and orders that are allowed, or harmless by themselves, and come where nobody expects them."""

import os

import harness
import sp
from harness import remote


class Args(harness.WeirTest):
    def test_large_args_arrive_whole(self):
        """They are sent from where they lie, over several writes; then the gateway works on."""
        for size in (20_000, 60_000, 1_000_000):
            with self.subTest(size=size), sp.Listener(self.path("control")) as listener:
                args = os.urandom(size // 2).hex()
                gateway = self.start_gateway([remote("remote", "control", args)])
                with sp.Session(listener, self.folder) as session:
                    self.assertEqual(session.args, f'"{args}"')
                gateway.stop()


if __name__ == "__main__":
    harness.main()
