# SPDX-License-Identifier: MIT
"""Activation "launch": the gateway starts the remote module's process, gives it what it needs and
nothing more, and ends it, whatever the process does."""

import json
import os
import signal
import sys

import harness
from harness import hello_world, launched, link, logger

# What a process can say about itself, as one line of JSON.
TELL = r"""
import json, os, sys
def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False
print(json.dumps({
    "fds": [fd for fd in range(1024) if is_open(fd)],
    "stdin": os.path.realpath("/proc/self/fd/0"),
    "end": sys.stdin.read(),
    "args": sys.argv[1:],
    "cwd": os.getcwd(),
    "env": {name: os.environ.get(name) for name in ("COLOUR", "EMPTY", "WEIR_CONTROL_ID", "HOME")},
}))
"""

# A remote module that does all it is told to do, but to end.
STUBBORN = r"""
import signal, sys, time
import sp
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with sp.Listener(sys.argv[1]) as listener, sp.Session(listener, ".") as session:
    print("stubborn and ready", flush=True)
    session.control.expect_control(sp.DESTROY)
    print("told to end", flush=True)
    while True:
        signal.pause()
"""


class Launch(harness.WeirTest):
    def setUp(self):
        super().setUp()
        self.environment["PYTHONPATH"] = harness.HERE
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"

    def python(self, name, text, *args, **launch):
        """A launched module that is a script of this interpreter."""
        return launched(name, sys.executable, [self.write_script(f"{name}.py", text), *args],
                        **launch)

    def beside_it(self, module):
        """A gateway with this module and two that must run in any case."""
        return self.start_gateway([logger(), module, hello_world()],
                                  [link("hello_world", "logger")])

    def echo_gateway(self, **launch):
        module = launched("echo", harness.PROXY_SAMPLE_REMOTE, ["echo_control"], **launch)
        return self.start_gateway([logger(), module, hello_world()],
                                  [link("hello_world", "echo"), link("echo", "logger")])

    def told(self, gateway, name):
        """What TELL printed."""
        gateway.wait_for(f"[{name}] {{")
        line = gateway.err().split(f"[{name}] ")
        return json.loads(next(text for text in line if text.startswith("{")).splitlines()[0])

    def test_launched_remote_gets_its_messages_and_is_ended(self):
        gateway = self.echo_gateway()
        self.wait_for_messages()
        pid = gateway.launched_pids()["echo"]
        gateway.stop()
        self.assertFalse(harness.is_alive(pid))
        self.assertIn("exit status 0", gateway.err())
        self.assertEqual(gateway.troubles(), [])

    def test_process_inherits_no_descriptor_but_three(self):
        """Not even one that the gateway itself inherited and knows nothing of."""
        config = self.write_config([self.python("teller", TELL)])
        strange_fd = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, strange_fd)
        gateway = self.start("weir", harness.WEIR, "run", config, pass_fds=[strange_fd])
        told = self.told(gateway, "teller")
        self.assertEqual(told["fds"], [0, 1, 2])
        self.assertEqual(told["stdin"], "/dev/null")
        self.assertEqual(told["end"], "")
        gateway.stop()

    def test_process_gets_args_environment_and_working_folder(self):
        folder = self.path("place")
        os.mkdir(folder)
        gateway = self.beside_it(self.python(
            "teller", TELL, "-v", "two words", "", "ünï",
            env={"COLOUR": "dark red", "EMPTY": ""}, **{"working.dir": folder}))
        told = self.told(gateway, "teller")
        self.assertEqual(told["args"], ["-v", "two words", "", "ünï"])
        self.assertEqual(told["cwd"], os.path.realpath(folder))
        self.assertEqual(told["env"], {"COLOUR": "dark red", "EMPTY": "",
                                       "WEIR_CONTROL_ID": "teller_control",
                                       "HOME": self.environment.get("HOME")})
        gateway.stop()

    def test_every_line_of_output_is_in_the_log_under_the_modules_name(self):
        text = ("#!/bin/sh\necho to stdout\necho to stderr >&2\n"
                "echo '2026-11-22T23:29:43.123Z warn  [inside] in the format of the log'\n"
                "printf 'a last line without an end'\n")
        gateway = self.beside_it(launched("talker", self.write_script("talker", text)))
        gateway.wait_for("a last line without an end")
        for line in ("info  [talker] to stdout", "info  [talker] to stderr",
                     "warn  [talker] in the format of the log",
                     "info  [talker] a last line without an end"):
            self.assertIn(line + "\n", gateway.err())
        gateway.stop()

    def check_failure_is_clear(self, module, *wanted):
        gateway = self.beside_it(module)
        for text in wanted:
            gateway.wait_for(text)
        self.wait_for_messages()
        troubles = [line for line in gateway.troubles() if " warn  [weir] gateway.json:" not in line]
        for line in troubles:
            self.assertIn(wanted[0], line, "one clear line for each try")
        self.assertIn(" error [child] ", troubles[0])
        gateway.stop()

    def test_child_that_ends_at_once_is_named(self):
        path = self.write_script("child", "#!/bin/sh\necho cannot go on\nexit 7\n")
        self.check_failure_is_clear(launched("child", path), "exit status 7", "cannot go on")

    def test_child_that_is_killed_is_named(self):
        path = self.write_script("child", "#!/bin/sh\nkill -SEGV $$\n")
        self.check_failure_is_clear(launched("child", path), f"signal {int(signal.SIGSEGV)}")

    def test_path_that_does_not_exist_is_named(self):
        self.check_failure_is_clear(launched("child", "./no/such/program"),
                                    "cannot launch './no/such/program': ", "No such file")

    def test_name_that_is_not_in_path_is_named(self):
        self.check_failure_is_clear(launched("child", "no-such-program-anywhere"),
                                    "cannot launch 'no-such-program-anywhere'")

    def test_file_that_is_not_executable_is_named(self):
        path = self.write_script("child", "#!/bin/sh\n", 0o644)
        self.check_failure_is_clear(launched("child", path), "not executable")

    def test_folder_is_named(self):
        self.check_failure_is_clear(launched("child", self.folder), "folder")

    def test_working_folder_that_does_not_exist_is_named(self):
        self.check_failure_is_clear(
            launched("child", "/bin/sh", **{"working.dir": "no/such/folder"}), "no/such/folder")

    def test_script_without_an_interpreter_is_named(self):
        path = self.write_script("child", "#!/no/such/interpreter\n")
        self.check_failure_is_clear(launched("child", path), "interpreter")

    def test_killed_gateway_leaves_no_child(self):
        self.crashed = True
        gateway = self.echo_gateway()
        self.wait_for_messages()
        pid = gateway.launched_pids()["echo"]
        self.assertTrue(harness.is_alive(pid))
        gateway.kill()
        harness.wait_until(lambda: harness.reap(pid), "the launched process ends")

    def test_killed_gateway_leaves_no_child_that_notices_nothing(self):
        """It neither writes to the log nor reads a socket."""
        self.crashed = True
        gateway = self.beside_it(
            launched("sleeper", "/bin/sh", ["-c", "trap '' TERM HUP; echo awake; exec sleep 1000"]))
        gateway.wait_for("[sleeper] awake")
        pid = gateway.launched_pids()["sleeper"]
        gateway.kill()
        harness.wait_until(lambda: harness.reap(pid), "the launched process ends")

    def test_child_that_ignores_destroy_and_sigterm_is_killed(self):
        self.crashed = True  # it cannot remove its sockets
        module = self.python("stubborn", STUBBORN, "stubborn_control", **{"grace.period.ms": 200})
        gateway = self.beside_it(module)
        gateway.wait_for("stubborn and ready")
        gateway.stop()
        log = gateway.err()
        steps = ["[stubborn] told to end", "did not end within its grace period of 200 ms",
                 "ignores SIGTERM; sending SIGKILL", "signal 9"]
        places = [log.find(step) for step in steps]
        self.assertNotIn(-1, places, steps)
        self.assertEqual(places, sorted(places))

    def test_children_that_must_be_killed_end_side_by_side(self):
        self.crashed = True  # they cannot remove their sockets
        names = [f"stubborn_{i}" for i in range(4)]
        modules = [self.python(name, STUBBORN, f"{name}_control", **{"grace.period.ms": 2000})
                   for name in names]
        gateway = self.start_gateway(modules, gateway={"grace.period.ms": 100})
        gateway.wait_for("stubborn and ready", len(names))
        gateway.stop()
        log = gateway.err()
        self.assertEqual(log.count("signal 9"), len(names))
        told = [log.find(f"[{name}] told to end") for name in names]
        self.assertNotIn(-1, told)
        self.assertLess(max(told), log.find("sending SIGTERM"))
        self.assertLess(log.rfind("sending SIGTERM"), log.find("sending SIGKILL"))

    def test_child_that_never_attaches_is_ended(self):
        gateway = self.beside_it(launched("sleeper", "/bin/sh", ["-c", "echo awake; exec sleep 1000"]))
        gateway.wait_for("[sleeper] awake")
        gateway.stop()
        self.assertIn("signal 15", gateway.err())

    def test_grandchildren_end_with_their_child(self):
        """What the child leaves behind in its process group."""
        module = launched("parent", "/bin/sh", ["-c", "sleep 1000 & echo grandchild $!; wait"])
        gateway = self.beside_it(module)
        gateway.wait_for("[parent] grandchild ")
        pid = int(gateway.err().split("[parent] grandchild ")[1].split()[0])
        gateway.stop()
        harness.wait_until(lambda: harness.reap(pid) or not harness.is_alive(pid),
                           "the grandchild ends")

    def test_a_remote_that_detaches_is_found_again_at_the_same_place(self):
        """The gateway launched one; that one dies; another one, started by hand, takes over."""
        gateway = self.echo_gateway()
        gateway.wait_for("attached the remote module")
        os.kill(gateway.launched_pids()["echo"], signal.SIGTERM)
        gateway.wait_for("[echo] process")
        other = self.start_remote(control_id="echo_control")
        gateway.wait_for("attached the remote module", 2)
        self.wait_for_messages()
        gateway.stop()
        other.press_enter()
        other.expect_exit()


if __name__ == "__main__":
    harness.main()
