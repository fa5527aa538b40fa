# SPDX-License-Identifier: MIT
"""A module that fails, and says why; one that takes its process with it."""

import re

from scene import HOSTED, ISOLATED, LAUNCHED, NATIVE, PROGRAM, ConformanceTest, harness

REASON = "cannot open \"x\": kein Gerät, 100%s of it"
PROCESSES = [ISOLATED, HOSTED, PROGRAM, LAUNCHED]
ENDS = {"abort": ({"how": "abort"}, "signal 6"), "exit 3": ({"how": "exit", "status": 3}, "status 3"),
        "exit 0": ({"how": "exit", "status": 0}, "status 0")}


def others(scene):
    """Two modules that have nothing to do with the probe, and shall go on."""
    scene.add("source", {"threads": {"from": "start", "count": 1, "messages": 50}},
              variant="probe_source")
    return scene.add("other").link("source", "other")


class Failures(ConformanceTest):
    def check_native(self, call):
        """Then the gateway does not start: the reason, the place in the file, exit status 1."""
        with self.subTest(way=NATIVE):
            scene = self.scene(NATIVE, f"fail in {call}")
            others(scene).add("probe", {"fail": {"in": call, "text": REASON}})
            scene.start().gateway.expect_exit(1)
            self.assertRegex(scene.gateway.err(), re.compile(
                rf"gateway\.json:\d+:\d+: modules\[2\]: module \"probe\" cannot .*{re.escape(REASON)}"))
            return self.calls(scene)

    def check_process(self, way, call):
        """Then the others run on, and the reason is in the gateway's log under the module's name."""
        with self.subTest(way=way):
            scene = self.scene(way, f"fail in {call}")
            others(scene).add("probe", {"fail": {"in": call, "text": REASON}}).start()
            scene.gateway.wait_for("the remote module could not be created or started")
            self.assertRegex(scene.gateway.err(),
                             rf"error \[probe\] the remote module could not .*{re.escape(REASON)}")
            scene.wait_for_lines("other", 50)
            scene.stop()
            return self.calls(scene)

    def calls(self, scene):
        return [line for line in scene.comparable("probe") if not line.startswith("args ")]

    def test_failed_create_is_not_destroyed_and_its_text_reaches_the_user(self):
        self.assertEqual(self.check_native("create"), ["create"])
        for way in PROCESSES:
            self.assertEqual(self.check_process(way, "create"), ["create"])

    def test_failed_start_is_destroyed_and_its_text_reaches_the_user(self):
        wanted = ["create", "start", "started", "destroy", "gone"]
        self.assertEqual(self.check_native("start"), wanted)
        for way in PROCESSES:
            self.assertEqual(self.check_process(way, "start"), wanted)

    def check_end(self, way, call, name):
        """The process ends in the middle of a call: the gateway says so in words and goes on."""
        self.crashed = True
        how, words = ENDS[name]
        scene = self.scene(way, f"{name} in {call}")
        others(scene).add("probe", {"end": {"in": call, **how}}).link("source", "probe").start()
        scene.wait_for_lines("other", 50)
        if call == "destroy":
            scene.wait_for_lines("probe", 50)
        else:
            self.wait_for_end(scene, words)
        scene.ask_to_stop()
        scene.gateway.expect_exit(0)
        if way in (ISOLATED, LAUNCHED):
            self.assertRegex(scene.gateway.err(), rf"\[probe\] process \d+ ended: .*{words}")

    def wait_for_end(self, scene, words):
        if scene.remote is None:
            scene.gateway.wait_for(words)
        else:
            scene.remote.process.wait(timeout=harness.DEADLINE_S)

    def test_process_that_ends_in_a_call_takes_nobody_with_it(self):
        for call in ("create", "start", "receive", "destroy"):
            for name in ENDS:
                for way in PROCESSES:
                    with self.subTest(way=way, call=call, end=name):
                        self.check_end(way, call, name)


if __name__ == "__main__":
    harness.main()
