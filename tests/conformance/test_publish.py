# SPDX-License-Identifier: MIT
"""Publishing from threads of the module's own, into sinks that are fast, slow or stopped."""

from scene import ConformanceTest, Gate, harness

MIB = 1 << 20
SIZES = [0, 1, 2, 13, 255, 256, 4095, 4096, 16383, 16384, 16385, 65535, 65536, 100000,
         MIB - 1, MIB, MIB + 1, 3 * MIB + 7, 5 * MIB]

# A remote module has 16384 messages under way at the most.
MORE_THAN_A_WINDOW = 20000


def threads(count=1, messages=0, start="start", **more):
    return {"threads": {"from": start, "count": count, "messages": messages, **more}}


class Publish(ConformanceTest):
    def check_all_arrived(self, scene, count, start=0):
        """What each thread was told that it has published, in its order."""
        published = scene.published("probe")
        self.assertEqual(sorted(published), list(range(count)))
        for thread, number in published.items():
            self.assertEqual(scene.received("sink", f"probe {thread}"), list(range(start, number)))

    def test_threads_of_the_module_publish_each_in_its_order(self):
        def play(scene):
            scene.add("sink").add("probe", threads(4, 500)).link("probe", "sink", limit=16).start()
            scene.wait_for_lines("sink", 2000)
            scene.stop()
            self.check_log(scene)
            self.check_all_arrived(scene, 4)
            return sorted(scene.comparable("probe"))
        self.in_every_way(play)

    def test_threads_may_begin_in_create(self):
        """What they publish before there are links has no sink; after the first that arrives,
        none is missing."""
        def play(scene):
            scene.add("sink").add("probe", threads(2, 0, "create")).link("probe", "sink").start()
            for thread in range(2):
                scene.wait_for_lines("sink", 100, f"receive probe {thread} ")
            scene.stop()
            for thread, number in scene.published("probe").items():
                numbers = scene.received("sink", f"probe {thread}")
                self.assertEqual(numbers, list(range(numbers[0], number)))
            return sorted(scene.comparable("probe"))
        self.in_every_way(play)

    def test_what_was_published_when_destroy_begins_arrives(self):
        """The threads publish as fast as they can until then."""
        def play(scene):
            scene.add("sink").add("probe", threads(3)).link("probe", "sink").start()
            scene.wait_for_lines("sink", 3000)
            scene.stop()
            self.check_log(scene)
            self.check_all_arrived(scene, 3)
            return len(scene.comparable("probe"))
        self.in_every_way(play)

    def test_messages_of_all_sizes_pass_in_both_directions(self):
        def play(scene):
            count = 3 * len(SIZES)
            scene.add("source", {**threads(1, count), "sizes": SIZES}, variant="probe_source")
            scene.add("probe", {"echo": True}).add("sink")
            scene.link("source", "probe").link("probe", "sink").start()
            scene.wait_for_lines("sink", count)
            scene.stop()
            self.check_log(scene)
            lines = [line for line in scene.trace("sink") if line.startswith("receive ")]
            self.assertEqual([int(line.split()[1]) for line in lines], SIZES * 3)
            for number, line in enumerate(lines):
                self.assertTrue(line.endswith(f" number={number} größe=grün empty="), line)
            return scene.comparable("probe"), scene.comparable("sink")
        self.in_every_way(play)

    def test_try_publish_says_full_and_what_it_took_arrives(self):
        """Each thread publishes more than there is room for on the whole way."""
        def play(scene):
            gate = Gate(scene)
            scene.add("sink", {"gate": gate.path}, variant="probe_blocking")
            scene.add("probe", threads(2, MORE_THAN_A_WINDOW, **{"try": True})).link("probe", "sink", limit=8)
            scene.start()
            scene.wait_for_lines("probe", 2, "full")
            gate.open(scene)
            scene.wait_for_lines("sink", 2 * MORE_THAN_A_WINDOW)
            scene.stop()
            gate.close()
            self.check_log(scene)
            self.check_all_arrived(scene, 2)
            return sorted(scene.comparable("probe"))
        self.in_every_way(play)

    def test_try_publish_takes_everything_inside_receive(self):
        """There it would not wait, and so is never full, however full the sink is."""
        def play(scene):
            gate = Gate(scene)
            scene.add("sink", {"gate": gate.path}, variant="probe_blocking")
            scene.add("probe", {"echo": "try"})
            scene.add("source", threads(1, 200), variant="probe_source")
            scene.link("source", "probe").link("probe", "sink", limit=1).start()
            scene.wait_for_lines("probe", 2)
            gate.open(scene)
            scene.wait_for_lines("sink", 200)
            scene.stop()
            gate.close()
            self.check_log(scene)
            self.assertEqual(scene.received("sink", "source 0"), list(range(200)))
            return scene.comparable("probe")
        self.in_every_way(play)

    def test_destroy_ends_the_waiting_for_a_stopped_sink(self):
        """The threads wait in weir_publish; destroy joins them. What they published arrives."""
        def play(scene):
            gate = Gate(scene)
            scene.add("sink", {"gate": gate.path}, variant="probe_blocking")
            scene.add("probe", threads(2, **{"try": True})).link("probe", "sink", limit=8).start()
            scene.wait_for_lines("probe", 2, "full")
            scene.ask_to_stop()
            scene.wait_for_lines("probe", 1, "gone")
            gate.open(scene)
            scene.expect_end()
            gate.close()
            self.check_all_arrived(scene, 2)
            return sorted(scene.comparable("probe"))
        self.in_every_way(play)


if __name__ == "__main__":
    harness.main()
