# SPDX-License-Identifier: MIT
"""The order of calls, and what may be done in each."""


from scene import ConformanceTest, Gate, harness

SENT = 10
IN_CALLS = {"create": 2, "start": 2, "destroy": 2}


def source(scene, name="source", messages=SENT, **more):
    return scene.add(name, {"threads": {"from": "start", "count": 1, "messages": messages}, **more},
                     variant="probe_source")


class Calls(ConformanceTest):
    def play_life(self, scene, variant="probe", **args):
        """source -> probe -> sink; the probe publishes in every call and echoes."""
        scene.add("sink").add("probe", {"publish": IN_CALLS, "echo": True, **args}, variant=variant)
        source(scene).link("source", "probe").link("probe", "sink").start()
        scene.wait_for_lines("sink", 2 + SENT, "receive (probe start|source) ")
        scene.stop()
        self.check_log(scene)
        return scene.comparable("probe"), scene.comparable("sink")

    def check_life(self, traces):
        probe, sink = traces
        self.assertEqual([line for line in probe if not line.startswith("args ")],
                         ["create", "start", "started"]
                         + [f"receive source 0 {i}" for i in range(SENT)]
                         + ["destroy", "gone"])
        self.assertEqual(sink[2:], ["start", "started"] + [f"receive probe start {i}" for i in range(2)]
                         + [f"receive source 0 {i}" for i in range(SENT)]
                         + [f"receive probe destroy {i}" for i in range(2)] + ["destroy", "gone"])

    def play_checked_life(self, scene, variant="probe"):
        traces = self.play_life(scene, variant)
        self.check_life(traces)
        return traces

    def test_calls_come_in_order_and_publishing_works_in_each(self):
        self.in_every_way(self.play_checked_life)

    def test_module_with_receive_many(self):
        self.in_every_way(lambda scene: self.play_checked_life(scene, "probe_many"))

    def test_module_that_may_block(self):
        self.in_every_way(lambda scene: self.play_checked_life(scene, "probe_blocking"))

    def test_pure_source_gets_nothing_and_holds_up_nobody(self):
        def play(scene):
            scene.add("sink").add("probe", {"publish": IN_CALLS}, variant="probe_source")
            source(scene, messages=5000).link("source", "probe").link("source", "sink")
            scene.link("probe", "sink").start()
            scene.wait_for_lines("sink", 5000 + 2, "receive (source|probe start) ")
            scene.wait_for_lines("probe", 1, "start")
            scene.stop()
            self.assertEqual(scene.received("sink", "source 0"), list(range(5000)))
            self.assertEqual(scene.received("sink", "probe destroy"), [0, 1])
            return scene.comparable("probe")
        self.in_every_way(play)

    def test_receive_is_serial_and_each_link_keeps_its_order(self):
        """Three sources at once; every receive publishes, too."""
        def play(scene):
            scene.add("sink").add("probe", {"publish": {"receive": 1}})
            for name in ("a", "b", "c"):
                source(scene, name, 500).link(name, "probe")
            scene.link("probe", "sink").start()
            scene.wait_for_lines("sink", 1500, "receive probe receive ")
            scene.stop()
            trace = scene.comparable("probe")
            self.assertEqual([line for line in trace if "while another" in line], [])
            for name in ("a", "b", "c"):
                self.assertEqual(scene.received("probe", f"{name} 0"), list(range(500)))
            return [line for line in trace if not line.startswith("receive ")]
        self.in_every_way(play)

    def test_nothing_is_received_before_start(self):
        """What was published before waits; it has long reached another sink when start returns."""
        def play(scene):
            gate = Gate(scene)
            source(scene, messages=100).add("other").add("probe", {"start gate": gate.path})
            scene.link("source", "other").link("source", "probe").start()
            scene.wait_for_lines("other", 100)
            gate.open(scene, "probe")
            scene.wait_for_lines("probe", 100)
            scene.stop()
            gate.close()
            trace = scene.comparable("probe")
            self.assertEqual(trace[2:4], ["start", "started"])
            self.assertEqual(scene.received("probe", "source 0"), list(range(100)))
            return trace
        self.in_every_way(play)


if __name__ == "__main__":
    harness.main()
