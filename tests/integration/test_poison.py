# SPDX-License-Identifier: MIT
"""Messages that a module dies of again and again: one such message is set aside, with a file of its
own, and all others arrive. A module that dies by itself loses none."""

import json
import os
import re
import signal
import sys

import harness
import sp
from harness import launched, link, logger, native, remote
from test_crashes import CrashTest, frames, messages_of

LINK = re.compile(r"^link (.*) -> (.*): accepted (\d+), delivered (\d+), dropped (\d+) \(full\) \+ "
                  r"(\d+) \(closed\) \+ (\d+) \(poison\), queued (\d+) ", re.MULTILINE)
QUICK = {"backoff.ms": [1, 1]}

# A remote that dies twice with all its messages in its hands. Given the first one alone, it stops its
# gateway, acknowledges that and is gone when the gateway goes on. The fourth one is a good one.
GONE_WHEN_IT_WAS_HEARD = f"""
import os, signal, struct, sys
sys.path.insert(0, {harness.HERE!r})
import sp

def is_stopped(pid):
    with open(f"/proc/{{pid}}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"

def stop_gateway_until_the_end():
    gateway = os.getppid()
    ended, end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        for fd in range(1, 100):
            if fd != ended:
                try:
                    os.close(fd)
                except OSError:
                    pass
        os.read(ended, 1)
        os.kill(gateway, signal.SIGCONT)
        os._exit(0)
    os.kill(gateway, signal.SIGSTOP)
    while not is_stopped(gateway):
        pass

class Session(sp.Session):
    def reply(self):
        features = (1, struct.pack(">I", 1))
        return sp.reply(sp.CREATED, sp.extension(features, (6, os.urandom(16)), (7, bytes(24))))

    def acknowledge(self, count):
        self.control.send(sp.frame(sp.control(7, struct.pack(">Q", count))))

with open("lives", "a") as file:
    file.write(".")
life = os.path.getsize("lives")
if life > 1:
    os.unlink("victim_control")
session = Session(sp.Listener("victim_control"), os.getcwd())
for _ in range((3, 3, 1, 2)[life - 1]):
    content = sp.content_of(session.messages.receive_frame())
    print("life", life, "got", content.decode(), flush=True)
if life == 3:
    stop_gateway_until_the_end()
    session.acknowledge(1)
    session.__exit__()  # first: a process that ends may do so last
if life == 4:
    session.acknowledge(3)
    session.control.wait_for_end()
os._exit(0 if life == 4 else 1)
"""


def numbered(name, count):
    return [b"%s %d" % (name.encode(), number) for number in range(count)]


def first_times(contents):
    """Without what came twice, because its process died before it could say that it was done."""
    return list(dict.fromkeys(contents))


class PoisonTest(CrashTest):
    def source(self, name, contents, **args):
        path = self.path(f"{name}.frames")
        with open(path, "wb") as file:
            file.write(frames(contents))
        return native(name, "replay", {"file": path, **args})

    def start_victim(self, contents, module="crash", how="memory", args=None, restart=None, **more):
        """A gateway: "source" gives the contents to "victim", "logger" gets what that publishes."""
        options = {key: more.pop(key) for key in ("heartbeat",) if key in more}
        victim = native("victim", module, how, isolation="process",
                        restart={**QUICK, **(restart or {})}, **options)
        return self.start_gateway([logger(), victim, self.source("source", contents, **(args or {}))],
                                  [link("source", "victim"), link("victim", "logger")], **more)

    def links(self, gateway):
        """Of each link, by source and sink: accepted, delivered, and so on, at one time."""
        start = os.path.getsize(gateway.err_path)
        gateway.process.send_signal(signal.SIGUSR1)

        def read():
            with open(gateway.err_path, "rb") as file:
                file.seek(start)
                text = file.read().decode(errors="replace")
            return LINK.findall(text) if "module victim (" in text and "link victim" in text else None
        found = {(source, sink): [int(number) for number in numbers]
                 for source, sink, *numbers in harness.wait_until(read, "the counters")}
        for ends, (accepted, *others) in found.items():
            self.assertEqual(accepted, sum(others), ends)
        return found

    def wait_for_counts(self, gateway, source, counts):
        """A message may be on its way before it is counted."""
        harness.wait_until(lambda: self.links(gateway)[(source, "victim")] == counts,
                           f"counters of {source} -> victim: {counts}")

    def folders(self, gateway):
        """Those of the messages that were set aside, in this order."""
        return re.findall(r"\[victim\] set aside a message that the module has died of \d+ times: "
                          r"(\S+);", gateway.err())

    def wait_for_arrival(self, contents):
        def arrived():
            return set(contents) <= set(harness.logged_contents(self.path("logger.txt")))
        harness.wait_until(arrived, "all other messages")
        found = first_times(harness.logged_contents(self.path("logger.txt")))
        self.assertEqual([content for content in found if content in set(contents)], contents)

    def check_set_aside(self, contents, count=1, **more):
        """All but b"crash" arrive, in order; each of these has a report of its own."""
        gateway = self.start_victim(contents, **more)
        others = [content for content in contents if content != b"crash"]
        self.wait_for_arrival(others)
        self.wait_for_counts(gateway, "source", [len(contents), len(others), 0, 0, count, 0])
        folders = self.folders(gateway)
        self.assertEqual(len(folders), count)
        for folder in folders:
            self.assertEqual(messages_of(folder), [b"crash"])
            self.assertTrue(folder.endswith("-poison"))
        self.assertNotIn("has failed", gateway.err())
        gateway.stop()
        return gateway, folders

    def check_nothing_set_aside(self, gateway):
        gateway.wait_for("the module has failed")
        for counts in self.links(gateway).values():
            self.assertEqual(counts[4], 0)
        gateway.stop()
        self.assertEqual(self.folders(gateway), [])


class Poison(PoisonTest):
    def test_one_among_others(self):
        contents = [*numbered("a", 20), b"crash", *numbered("b", 20)]
        gateway, (folder,) = self.check_set_aside(contents)
        self.assertIn("died of 3 times", gateway.err())
        self.assertEqual(gateway.err().count("about to crash"), 3)
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual((report["poison.deaths"], len(report["messages"])), (3, 1))
        again = self.start("again", harness.WEIR, "run", "replay.json", cwd=folder)
        again.wait_for("ended: signal 11")
        again.wait_for("is not started again")
        again.stop()

    def test_one_among_very_many(self):
        """Too many at a time to be given one by one."""
        contents = [*numbered("a", 3000), b"crash", *numbered("b", 3000)]
        gateway, _ = self.check_set_aside(contents)
        self.assertLessEqual(gateway.err().count("about to crash"), 4)

    def test_several(self):
        """More deaths than the restart policy forgives, were they the module's own."""
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5), b"crash", *numbered("c", 5),
                    b"crash", *numbered("d", 5)]
        self.check_set_aside(contents, 3)

    def test_it_is_counted_at_the_link_that_it_came_from(self):
        good = numbered("good", 200)
        bad = [*numbered("a", 20), b"crash", *numbered("b", 20)]
        victim = native("victim", "crash", "exit", isolation="process", restart=QUICK)
        modules = [logger(), victim, self.source("good", good, **{"interval.ms": 2}),
                   self.source("bad", bad, **{"interval.ms": 5})]
        gateway = self.start_gateway(
            modules, [link("good", "victim"), link("bad", "victim"), link("victim", "logger")])
        self.wait_for_arrival(good)
        self.wait_for_arrival([content for content in bad if content != b"crash"])
        self.wait_for_counts(gateway, "good", [200, 200, 0, 0, 0, 0])
        self.wait_for_counts(gateway, "bad", [41, 40, 0, 0, 1, 0])
        gateway.stop()

    def test_one_at_which_it_hangs(self):
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5)]
        self.check_set_aside(contents, how="wait",
                             heartbeat={"interval.ms": 50, "timeout.ms": 300})

    def test_it_is_alone_whoever_publishes_meanwhile(self):
        """Also by the way on which a publisher does not ask the queue."""
        victim = native("victim", "crash", "wait", isolation="process", restart=QUICK,
                        heartbeat={"interval.ms": 50, "timeout.ms": 300})
        with sp.Listener(self.path("source")) as listener:
            gateway = self.start_gateway(
                [logger(), remote("source", "source"), native("pass", "pass"), victim],
                [link("source", "pass"), link("pass", "victim"), link("victim", "logger")])
            with sp.Session(listener, self.folder) as source:
                for content in numbered("a", 3):
                    source.messages.send(sp.frame(sp.message(content)))
                    self.wait_for_arrival([content])
                source.messages.send(sp.frame(sp.message(b"crash")))
                gateway.wait_for("about to crash", 3)
                source.messages.send(sp.frame(sp.message(b"b")))
                self.wait_for_arrival([b"b"])
            self.assertEqual(gateway.err().count("about to crash"), 3)
            self.assertEqual(messages_of(*self.folders(gateway)), [b"crash"])
            gateway.wait_for("[victim] crash report: ", 3)
            reports = re.findall(r"\[victim\] crash report: (\S+)", gateway.err())
            self.assertEqual(messages_of(reports[2])[-1], b"crash")  # and b was not given
            gateway.stop()

    def test_the_last_death_that_the_restart_policy_allows(self):
        """It fails by the death that shows the message, and is not to blame for that."""
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5), b"crash", *numbered("c", 5)]
        others = [content for content in contents if content != b"crash"]
        gateway = self.start_victim(contents, how="exit", restart={"burst": 2})
        self.wait_for_arrival(others)
        self.wait_for_counts(gateway, "source", [17, 15, 0, 0, 2, 0])
        gateway.stop()
        self.assertEqual(gateway.err().count("about to crash"), 6)
        self.assertEqual(gateway.err().count("is started again when the message that it dies of is "
                                             "set aside, or when told to"), 2)

    def test_module_that_is_never_started_again_waits_for_the_order(self):
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5)]
        gateway = self.start_victim(contents, how="exit", restart={"policy": "never"})
        for life in range(1, 4):
            gateway.wait_for("it is not started again", life)
            if life < 3:
                gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("the module goes on with the next when it is started again")
        gateway.process.send_signal(signal.SIGHUP)
        self.wait_for_arrival([content for content in contents if content != b"crash"])
        gateway.stop()
        self.assertEqual(gateway.err().count("launched '"), 4)

    def test_as_often_as_it_is_told(self):
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5)]
        gateway, _ = self.check_set_aside(contents, how="exit", restart={"poison.deaths": 5})
        self.assertEqual(gateway.err().count("about to crash"), 5)

    def test_not_where_it_is_turned_off(self):
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5)]
        gateway = self.start_victim(contents, how="exit", restart={"poison.deaths": 0})
        self.check_nothing_set_aside(gateway)

    def test_not_before_it_is_in_a_file(self):
        """What cannot be written is kept, and comes again."""
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5)]
        gateway = self.start_victim(contents, how="exit", gateway={"crash.folder": "file"})
        gateway.wait_for("a message that it dies of cannot be set aside, and comes again: 'file' is "
                         "not a folder")
        self.check_nothing_set_aside(gateway)

    def test_newer_reports_do_not_push_it_out(self):
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5), b"crash", *numbered("c", 5)]
        self.check_set_aside(contents, 2, how="exit", gateway={"crash.reports": 1})
        names = os.listdir(self.path("weir-crash"))
        self.assertEqual(sum(name.endswith("-poison") for name in names), 2)
        self.assertEqual(len(names), 3)


class NoPoison(PoisonTest):
    def start_doomed(self, how):
        """It processes some messages, and then dies whatever it is given."""
        contents = [*numbered("a", 3), b"doom", *numbered("b", 3)]
        return self.start_victim(contents, "doomed", how, {"interval.ms": 200})

    def test_module_that_dies_in_start(self):
        self.check_nothing_set_aside(self.start_doomed("start"))

    def test_module_that_dies_by_itself_with_a_message_in_its_hands(self):
        self.check_nothing_set_aside(self.start_doomed("later"))

    def test_module_that_dies_of_every_message_loses_one_at_most(self):
        gateway = self.start_doomed("receive")
        gateway.wait_for("has not shown that it can do with any other")
        gateway.wait_for("the module has failed")
        counts = self.links(gateway)[("source", "victim")]
        self.assertEqual(counts[4], 1)
        gateway.stop()
        self.assertEqual(messages_of(self.folders(gateway)[0]), [b"b 0"])

    def test_module_that_never_processed_a_message(self):
        gateway = self.start_victim([b"crash", *numbered("a", 5)], how="exit")
        self.check_nothing_set_aside(gateway)

    def test_module_that_was_gone_before_the_next_message_came(self):
        script = self.path("victim.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(GONE_WHEN_IT_WAS_HEARD)
        victim = launched("victim", sys.executable, [script])
        victim["restart"] = QUICK
        gateway = self.start_gateway([self.source("source", numbered("a", 3)), victim],
                                     [link("source", "victim")])
        gateway.wait_for("life 4 got a 2")
        self.assertEqual(re.findall(r"life (\d got a \d)", gateway.err())[6:],
                         ["3 got a 0", "4 got a 1", "4 got a 2"])
        gateway.stop()
        self.assertEqual(self.folders(gateway), [])

    def test_somebody_who_kills_it_proves_nothing(self):
        contents = [*numbered("a", 5), b"crash", *numbered("b", 5)]
        gateway = self.start_victim(contents, how="wait", restart={"burst": 20})
        for life in range(1, 6):
            gateway.wait_for("about to crash", life)
            os.kill(gateway.launched_pids()["victim"], signal.SIGKILL)
        gateway.wait_for("about to crash", 6)
        self.assertEqual(self.folders(gateway), [])
        gateway.stop()


if __name__ == "__main__":
    harness.main()
