# SPDX-License-Identifier: MIT
"""Either order, either death: whichever side comes late or goes away, messages flow again without
anything done to the other side."""

import signal
import subprocess

import harness
from harness import hello_world, link, logger, remote


class Deaths(harness.WeirTest):
    def gateway(self, name="weir"):
        """hello_world -> remote -> logger."""
        config = self.write_config(
            [logger(), remote("remote", "control", "the args"), hello_world()],
            [link("hello_world", "remote"), link("remote", "logger")])
        return self.start(name, harness.PROXY_SAMPLE, config, stdin=subprocess.PIPE)

    def stop(self, gateway, remote_program):
        gateway.press_enter()
        gateway.expect_exit()
        remote_program.press_enter()
        remote_program.expect_exit()
        harness.log_entries(self.path("logger.txt"))

    def test_remote_first(self):
        echo = self.start_remote()
        harness.wait_until(lambda: "waiting for a gateway" in echo.out(), "the remote waits")
        gateway = self.gateway()
        self.wait_for_messages()
        self.stop(gateway, echo)

    def test_gateway_first(self):
        gateway = self.gateway()
        gateway.wait_for("waiting for a remote module at 'control'")
        echo = self.start_remote()
        self.wait_for_messages()
        self.stop(gateway, echo)

    def test_remote_stopped_and_started_again(self):
        gateway = self.gateway()
        for life in range(1, 4):
            echo = self.start_remote(f"remote_{life}")
            gateway.wait_for("attached the remote module", life)
            self.wait_for_messages()
            if life < 3:
                echo.press_enter()
                echo.expect_exit()
                gateway.wait_for("the remote module at 'control' said goodbye", life)
        self.stop(gateway, echo)

    def test_remote_killed_and_started_again(self):
        gateway = self.gateway()
        for life in range(1, 4):
            echo = self.start_remote(f"remote_{life}")
            gateway.wait_for("attached the remote module", life)
            self.wait_for_messages()
            if life < 3:
                echo.kill()
                gateway.wait_for("lost the remote module", life)
        self.stop(gateway, echo)

    def test_gateway_killed_and_started_again(self):
        self.crashed = True
        echo = self.start_remote()
        for life in range(1, 4):
            gateway = self.gateway(f"weir_{life}")
            self.wait_for_messages()
            gateway.wait_for("attached the remote module")
            if life < 3:
                gateway.kill()
        self.stop(gateway, echo)
        marks = [entry["content"] for entry in harness.log_entries(self.path("logger.txt"))
                 if "properties" not in entry]
        self.assertEqual(marks, ["Log started"] * 3 + ["Log stopped"])

    def test_gateway_stopped_and_started_again(self):
        echo = self.start_remote()
        for life in range(1, 4):
            gateway = self.gateway(f"weir_{life}")
            self.wait_for_messages()
            if life < 3:
                gateway.press_enter()
                gateway.expect_exit()
            self.assertEqual(gateway.troubles(), [])
        self.stop(gateway, echo)
        self.assertEqual(echo.troubles(), [])

    def test_a_remote_that_stops_answering_does_not_hold_up_the_stop(self):
        gateway = self.gateway()
        echo = self.start_remote()
        self.wait_for_messages()
        echo.process.send_signal(signal.SIGSTOP)
        gateway.press_enter()
        gateway.expect_exit()
        echo.process.send_signal(signal.SIGCONT)
        echo.press_enter()
        echo.expect_exit()

    def test_both_killed_and_started_again(self):
        self.crashed = True
        for life in range(1, 4):
            gateway = self.gateway(f"weir_{life}")
            echo = self.start_remote(f"remote_{life}")
            self.wait_for_messages()
            if life < 3:
                gateway.kill()
                echo.kill()
        self.stop(gateway, echo)


if __name__ == "__main__":
    harness.main()
