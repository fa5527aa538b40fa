# SPDX-License-Identifier: MIT
"""The thread that reads remote modules' messages runs native sinks itself: one that stays in receive
holds up neither other remote modules nor the gateway's end."""

import os

import harness
import sp
from harness import link, logger, native, remote

COUNT = 200  # many more than the runs for which a slow sink is kept away from the reading thread


class Reading(harness.WeirTest):
    def listen(self, name):
        listener = sp.Listener(self.path(name))
        self.addCleanup(listener.__exit__)
        return listener

    def let_go(self):
        """Open and close the other end of the pipe at which the module waits."""
        with open(self.path("stay.pipe"), "wb"):
            pass

    def test_sink_that_does_not_return_holds_up_no_other_remote(self):
        os.mkfifo(self.path("stay.pipe"))
        first, second = self.listen("first"), self.listen("second")
        gateway = self.start_gateway(
            [native("stay", "stay", self.path("stay.pipe")), logger(),
             remote("one", "first"), remote("two", "second")],
            [link("one", "stay"), link("two", "logger")], gateway={"threads": 1})
        with sp.Session(first, self.folder) as one, sp.Session(second, self.folder) as two:
            one.messages.send(sp.frame(sp.message(b"stay")))
            gateway.wait_for("[stay] stays")
            for number in range(COUNT):
                content = f"past it {number}".encode()
                two.messages.send(sp.frame(sp.message(content)))
                self.wait_for_content(content)
            self.let_go()
            gateway.stop()


if __name__ == "__main__":
    harness.main()
