# SPDX-License-Identifier: MIT
"""A gateway under load, to which everything happens that FAULTS lists, in random order, while a hostile
peer talks to every socket."""

import glob
import os
import resource
import signal
import stat
import threading
import time

import harness
import stand
from cutter import Cutter
from harness import link
from hostile import Hostile

SHORT_SECONDS = 6
PAUSE_MAX_S = 0.2
REMOTES = 3
FULL_SUFFIX = "calm.txt"
# source, remote, sink
CHAINS = (("direct_source", "direct", "direct_sink"), ("behind_source", "behind", "behind_sink"))
# source, sink
PAIRS = (("away", "away_sink"), ("calm", "calm_sink"))
LINKS = ([link(source, remote) for source, remote, _ in CHAINS] +
         [link(remote, sink) for _, remote, sink in CHAINS] +
         [link(source, sink) for source, sink in PAIRS] +
         [link("calm", "logger", limit=100, **{"when.full": "drop.oldest"}),
          link("calm", "bait", limit=10, **{"when.full": "drop.oldest"})])


def is_socket(path):
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:  # it was removed meanwhile
        return False


class Load(stand.Stand):
    def setUp(self):
        super().setUp()
        self.full = self.path("disk.is.full")
        rate = 2000 if stand.SANITIZED else 10000
        self.gateway = self.start_near_gateway([
            self.source("direct_source", rate),
            self.remote_counter("direct", "direct"),
            self.counter("direct_sink"),
            self.source("behind_source", rate),
            self.remote_counter("behind", "behind", **{"message.id": "behind_messages"}),
            self.counter("behind_sink"),
            self.remote_source("away", "away", rate, **{"message.id": "away_messages"}),
            self.counter("away_sink"),
            self.source("calm", 1000),
            self.counter("calm_sink"),
            harness.native("logger", "logger", {"filename": FULL_SUFFIX}),
            harness.remote("bait", "bait"),
        ], LINKS, **self.full_disk())
        self.direct = self.start_host("direct", self.near)
        self.behind = self.start_host("behind", self.far)
        self.away = self.start_host("away", self.far)
        self.make_cutters()

    def full_disk(self):
        return {"LD_PRELOAD": harness.built("tests", "faults", "libfull_disk.so"),
                "WEIR_FAULTS_FULL": self.full, "WEIR_FAULTS_FILE": FULL_SUFFIX,
                "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def make_cutters(self):
        self.cutters = {}
        for name in ("behind", "behind_messages", "away", "away_messages"):
            cutter = Cutter(os.path.join(self.near, name), os.path.join(self.far, name))
            self.addCleanup(cutter.close)
            self.cutters[name] = cutter

    # faults

    def pause(self):
        """A random time in which something may go wrong. Nothing depends on its length."""
        threading.Event().wait(self.chance.uniform(0, PAUSE_MAX_S))

    def restart_direct(self):
        self.direct = self.start_host("direct", self.near)

    def kill_remote(self):
        self.direct.kill()
        self.wait_for_published("direct_source", self.chance.randrange(3000))
        self.restart_direct()

    def kill_remote_again_and_again(self):
        for _ in range(self.chance.randrange(2, 6)):
            self.direct.kill()
            self.restart_direct()
            self.wait_for_published("direct_source", self.chance.randrange(200))

    def kill_stopped_remote(self):
        self.direct.process.send_signal(signal.SIGSTOP)
        self.pause()
        self.direct.kill()
        self.restart_direct()

    def stop_and_continue(self, program):
        program.process.send_signal(signal.SIGSTOP)
        self.pause()
        program.process.send_signal(signal.SIGCONT)

    def stop_remote(self):
        self.stop_and_continue(self.chance.choice((self.direct, self.behind, self.away)))

    def stop_gateway(self):
        self.stop_and_continue(self.gateway)

    def kill_remote_of_stopped_gateway(self):
        self.gateway.process.send_signal(signal.SIGSTOP)
        self.direct.kill()
        self.restart_direct()
        self.pause()
        self.gateway.process.send_signal(signal.SIGCONT)

    def cut(self, *names):
        for name in names:
            cutter = self.cutters[name]
            living = cutter.living()
            print(f"        {name}: {cutter.cut(self.chance)}", flush=True)
            harness.wait_until(lambda: all(one.is_over() for one in living) or self.is_quiet(),
                               f"the connections of {name} end")
            cutter.cut_now()

    def is_quiet(self):
        """Nothing more comes to be cut: the other channel was cut first."""
        self.pause()
        return True

    def cut_control(self):
        self.cut(self.chance.choice(("behind", "away")))

    def cut_messages(self):
        self.cut(self.chance.choice(("behind_messages", "away_messages")))

    def cut_both(self):
        names = self.chance.choice((("behind", "behind_messages"), ("away", "away_messages")))
        self.cut(*self.chance.sample(names, 2))

    def stall(self):
        cutter = self.cutters[self.chance.choice(sorted(self.cutters))]
        cutter.stall(True)
        self.pause()
        cutter.stall(False)

    def unlink(self, folder, name):
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:  # between two connections
            pass

    def unlink_control(self):
        self.unlink(self.near, "direct")
        self.pause()
        self.kill_remote()

    def unlink_messages(self):
        for path in self.run_sockets():
            self.unlink(*os.path.split(path))
        self.pause()
        self.kill_remote()

    def unlink_and_cut_messages(self):
        self.unlink(self.far, "behind_messages")
        self.cut("behind_messages")

    def slow_reader(self):
        counts = self.tallies[self.chance.choice(("direct", "behind", "direct_sink", "away_sink"))]
        counts.delay_us = self.chance.randrange(1000, 50000)
        self.pause()
        counts.delay_us = 0

    def disk_full(self):
        with open(self.full, "wb"):
            pass
        self.pause()
        os.unlink(self.full)

    def no_descriptors(self):
        """The gateway gets none for the next connection."""
        soft, hard = resource.prlimit(self.gateway.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.gateway.pid, resource.RLIMIT_NOFILE, (1, hard))
        self.kill_remote()
        self.pause()
        resource.prlimit(self.gateway.pid, resource.RLIMIT_NOFILE, (soft, hard))

    # around them

    def run_sockets(self):
        """Message sockets in the gateway's run folder, which lies among what others keep there."""
        return [path for path in glob.glob(os.path.join(self.private, "*", "*")) if is_socket(path)]

    def targets(self):
        paths = [os.path.join(self.near, "direct"), os.path.join(self.far, "behind"),
                 os.path.join(self.far, "away_messages"), *self.run_sockets()]
        return [path for path in paths if os.path.exists(path)]

    def settle(self):
        """All that is published by now arrives, and all holds that must."""
        for source, _, sink in CHAINS:
            self.wait_for_arrival(source, sink)
        for source, sink in PAIRS:
            self.wait_for_arrival(source, sink)
        for name in ("direct", "direct_sink", "behind", "behind_sink", "away_sink", "calm_sink"):
            self.check_counts(name)
        for name in ("direct", "behind", "away_sink", "calm_sink"):
            self.check_marked(name)
        self.check_all_links(self.gateway, len(LINKS), CHAINS)
        self.assertTrue(self.gateway.lives())
        self.assertEqual(harness.children_of(self.gateway.pid), [])

    def do(self, name):
        start = time.monotonic()
        FAULTS[name](self)
        self.settle()
        print(f"    {name}: {time.monotonic() - start:.2f} s", flush=True)

    def wait_until_attached(self):
        for name in ("direct", "behind", "away"):
            self.gateway.wait_for(f"[{name}] attached the remote module")
        self.settle()

    def end_of_load(self):
        """The sources stop; what was accepted is what was published, to the message."""
        self.end_sources([(source, sink) for source, _, sink in CHAINS] + list(PAIRS))
        self.settle()

        def is_exact():
            nonlocal counted
            counted, _ = self.check_links(self.gateway, len(LINKS))
            return all(counted[source, remote][0] == counted[source, remote][1] ==
                       self.tallies[source].published for source, remote, _ in CHAINS)
        counted = {}
        harness.wait_until(is_exact, lambda: "each link to a remote has delivered what was "
                                             f"published: {counted}")

    def test_everything_happens(self):
        self.wait_until_attached()
        programs = (self.gateway, self.behind, self.away)
        first = [stand.count_descriptors(program.pid) for program in programs]
        hostile = Hostile(self.seed, self.targets, os.path.join(self.near, "bait"))
        names = sorted(FAULTS) if stand.Options.only is None else stand.Options.only
        for name in self.chance.sample(names, len(names)):
            self.do(name)
        # Some things are opened when first needed.
        descriptors = [one | stand.count_descriptors(program.pid)
                       for one, program in zip(first, programs)]
        warm = [stand.memory_kb(program.pid) for program in programs]
        end = time.monotonic() + (stand.Options.seconds or SHORT_SECONDS)
        done = 0
        while time.monotonic() < end:
            self.do(self.chance.choice(names))
            done += 1
        hostile.stop()
        print(f"    {len(names)} + {done} faults, {hostile.attacks} attacks", flush=True)
        self.end_of_load()
        for program, wanted, kb in zip(programs, descriptors, warm):
            is_gateway = program is self.gateway
            self.check_descriptors(program, wanted, *((REMOTES, 0) if is_gateway else (1, 2)))
            self.check_memory(program, kb)
        sockets = self.run_sockets()
        self.assertEqual(len(sockets), 1, sockets)
        self.stop_all()

    def stop_all(self):
        self.gateway.stop()
        for program in (self.direct, self.behind, self.away):
            program.stop()
        harness.log_entries(os.path.join(self.near, FULL_SUFFIX))


FAULTS = {fault.__name__: fault for fault in (
    Load.kill_remote, Load.kill_remote_again_and_again, Load.kill_stopped_remote, Load.stop_remote,
    Load.stop_gateway, Load.kill_remote_of_stopped_gateway, Load.cut_control, Load.cut_messages,
    Load.cut_both, Load.stall, Load.unlink_control, Load.unlink_messages,
    Load.unlink_and_cut_messages, Load.slow_reader, Load.disk_full,
    Load.no_descriptors)}
