# SPDX-License-Identifier: MIT
"""What `weir run` shows on SIGUSR1: the gateway as a whole, every module, every link."""

import os
import re
import signal
import subprocess

import harness
from harness import launched, link, logger, native

COUNT = 100
WHOLE = re.compile(r"^gateway: up \d+\.\d{3} s, 3 modules, 2 links$", re.MULTILINE)
ISOLATED = re.compile(r"^module pass \(native\): running, process \d+; redelivered 0, "
                      r"unacknowledged \d+, restarts 0, hangs 0, overruns 0$", re.MULTILINE)


class Report(harness.WeirTest):
    def wait_for_report(self, gateway, text):
        def reported():
            gateway.process.send_signal(signal.SIGUSR1)
            return text in gateway.err()
        gateway.wait_for("attached the remote module")
        harness.wait_until(reported, text)

    def test_signal_shows_everything(self):
        gateway = self.start_gateway(
            [logger(), native("pass", "pass", isolation="process"),
             native("flood", "flood", COUNT)],
            [link("flood", "pass", limit=7), link("pass", "logger", **{"when.full": "drop.newest",
                                                                       "limit": 2 * COUNT})])
        self.wait_for_report(gateway, f"link pass -> logger: accepted {COUNT}, delivered {COUNT}, "
                             f"dropped 0 (full) + 0 (closed) + 0 (poison), queued 0 (limit {2 * COUNT}, drop.newest)")
        self.wait_for_report(gateway, f"accepted {2 * COUNT}, delivered {2 * COUNT}, dropped 0 (full) "
                             "+ 0 (closed) + 0 (poison), queued 0\n")
        gateway.wait_for("(limit 7, block)")
        gateway.wait_for("module flood (native): running; redelivered 0, unacknowledged 0, "
                         "restarts 0, hangs 0, overruns 0")
        said = gateway.err()
        self.assertRegex(said, WHOLE)
        self.assertRegex(said, ISOLATED)
        self.assertIn("messages of remote modules: redelivered 0, unacknowledged ", said)
        gateway.stop()

    def test_message_over_the_limit_of_the_configuration_is_not_sent(self):
        """... although the module would take it: each of these has 1 KiB and a head."""
        limited = launched("limited", harness.WEIR, ["host", "limited_control"])
        limited["loader"]["entrypoint"]["message.limit"] = 1000
        limited["args"] = {"outprocess.loader": {
            "entrypoint": {"module.path": harness.MODULES["swallow"]}}}
        gateway = self.start_gateway([limited, native("flood", "flood", COUNT)],
                                     [link("flood", "limited")])
        self.wait_for_report(gateway, f"link flood -> limited: accepted {COUNT}, delivered 0, "
                             f"dropped 0 (full) + {COUNT} (closed)")
        gateway.wait_for("is over the remote module's limit of 1000 bytes and was dropped (1 so "
                         "far); see \"message.limit\"")
        gateway.stop()

    def test_reader_of_the_log_may_go_away(self):
        config = self.write_config([harness.hello_world(), logger()], [link("hello_world", "logger")])
        reader, writer = os.pipe()
        gateway = subprocess.Popen([harness.WEIR, "run", config], cwd=self.folder, stderr=writer,
                                   stdout=writer, env=self.environment)
        os.close(writer)
        os.close(reader)
        self.wait_for_messages()
        gateway.send_signal(signal.SIGUSR1)
        self.wait_for_messages()
        gateway.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(harness.DEADLINE_S), 0)


if __name__ == "__main__":
    harness.main()
