# SPDX-License-Identifier: MIT
"""`"sandbox"`: a hostile module tries to get out of it in every way that it forbids. Each attempt must
fail, and the gateway and its other modules must go on as if nothing had happened. The same attempts
succeed without the sandbox, so that they are real ones."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import harness
import sp
from harness import hello_world, launched, link, logger, native
from users import NEEDS_ROOT, ONE, OTHER, UsersTest, as_user

MIB = 1 << 20
# What only an attacker or an administrator calls.
FORBIDDEN_CALLS = (
    "acct", "add_key", "bpf", "chroot", "fsopen", "init_module", "io_uring_setup", "kexec_load",
    "keyctl", "memfd_create", "mount", "open_by_handle_at", "perf_event_open", "pivot_root",
    "process_vm_writev", "ptrace", "reboot", "setns", "shmget", "swapon", "umount2", "unshare",
    "userfaultfd")


def landlock_version():
    version = harness.LIBC.syscall(444, None, 0, 1)
    return max(version, 0)


def is_sanitized():
    with open(os.path.join(harness.BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
        return re.search(r"^WEIR_SANITIZE:\w+=.", cache.read(), re.M) is not None


NEEDS_LANDLOCK = unittest.skipUnless(landlock_version() >= 6,
                                     f"Landlock 6 is needed, the kernel has {landlock_version()}")
NOT_SANITIZED = unittest.skipIf(is_sanitized(), "a sanitizer's own memory is over every limit")


class SandboxTest(UsersTest):
    def setUp(self):
        super().setUp()
        # Its check at the end of a process would debug it, which no sandbox allows.
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0"

    def hostile(self, *attempts, **sandbox):
        """The module in a sandbox; `other=True`: and of another user."""
        if sandbox.pop("other", False):
            sandbox = {"user": ONE, "group": ONE, **sandbox}
        if is_sanitized() and "paths" in sandbox:
            read = ["/proc", "/sys", *sandbox["paths"].get("read", [])]
            sandbox["paths"] = {**sandbox["paths"], "read": read}
        return self.module(*attempts, sandbox=sandbox)

    def module(self, *attempts, **more):
        module = native("hostile", "hostile", " ".join(attempts), isolation="process", **more)
        module["loader"]["entrypoint"]["module.path"] = self.copy_of(harness.MODULES["hostile"])
        return module

    def start_with(self, module):
        """A gateway with it, whose results go to hostile.txt, and with two modules that must go on."""
        self.environment["WEIR_HOST_PROGRAM"] = self.copy_of(harness.WEIR)
        return self.start_gateway(
            [logger(), logger("hostile_log"), hello_world(), module],
            [link("hello_world", "logger"), link("hostile", "hostile_log")])

    def results(self, gateway):
        """How each attempt went, and the others went on."""
        harness.wait_until(
            lambda: b"end" in harness.logged_contents(self.path("hostile_log.txt"))
            or not gateway.lives(), "the end of all attempts")
        self.assertTrue(gateway.lives(), "the gateway lives")
        self.wait_for_messages()
        texts = [text.decode() for text in harness.logged_contents(self.path("hostile_log.txt"))]
        return dict(text.rsplit(" ", 1) for text in texts if text != "end")

    def try_all(self, module):
        gateway = self.start_with(module)
        results = self.results(gateway)
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])
        return results

    def check(self, wanted, *attempts, **sandbox):
        """All of them fail with one of these errors."""
        results = self.try_all(self.hostile(*attempts, **sandbox))
        self.assertEqual(set(results), set(attempts))
        for attempt, result in results.items():
            self.assertIn(result, wanted, attempt)


class Limits(SandboxTest):
    @NOT_SANITIZED
    def test_memory_beyond_its_limit_is_not_to_be_had(self):
        self.check({"ENOMEM"}, "memory", "shared.memory", **{"memory.limit": 256 * MIB})

    @NOT_SANITIZED
    def test_memory_without_a_limit_is(self):
        self.assertEqual(self.try_all(self.module("memory", "shared.memory")),
                         {"memory": "done", "shared.memory": "done"})

    def test_descriptors_beyond_their_limit_are_not_to_be_had(self):
        self.check({"EMFILE"}, "files", **{"open.files": 64})

    def test_file_cannot_grow_beyond_its_limit(self):
        self.check({"EFBIG"}, f"long.file:{self.path('long')}", **{"file.limit": MIB})
        self.assertEqual(os.path.getsize(self.path("long")), MIB)

    def test_processor_time_beyond_its_limit_ends_the_process(self):
        gateway = self.start_with({**self.hostile("cpu", **{"cpu.limit.s": 1}),
                                   "restart": {"policy": "never"},
                                   "heartbeat": {"timeout.ms": 600000}})
        gateway.wait_for(f"signal {int(signal.SIGXCPU)}")
        self.wait_for_messages()
        gateway.stop()

    @NEEDS_ROOT
    def test_processes_beyond_their_limit_are_not_to_be_had(self):
        self.check({"EAGAIN"}, "processes", other=True, processes=20)

    @NEEDS_ROOT
    def test_root_is_not_held_by_a_limit_of_processes_and_the_log_says_so(self):
        gateway = self.start_with(self.hostile("read:/", processes=20))
        gateway.wait_for("does not enforce all of its sandbox. Missing: the number of processes")
        self.results(gateway)
        gateway.stop()

    @NEEDS_ROOT
    def test_what_is_required_and_cannot_be_enforced_is_an_error(self):
        config = self.write_config([self.hostile("read:/", processes=20, required=True)])
        program = self.run_to_end("weir", harness.WEIR, "run", config)
        self.assertEqual(program.process.returncode, 1)
        self.assertIn('module "hostile" cannot be created: its sandbox is "required", and this '
                      "system cannot enforce: the number of processes", program.err())


class Privileges(SandboxTest):
    def set_user_program(self):
        """A program that makes everybody root, if the file system has such."""
        path = os.path.join(self.bin, "id")
        shutil.copy("/usr/bin/id", path)
        os.chmod(path, 0o4755)
        told = subprocess.run([path, "-u"], capture_output=True, check=True, **as_user(ONE))
        if told.stdout != b"0\n":
            self.skipTest("this file system has no set-user-id programs")
        return path

    @NEEDS_ROOT
    def test_set_user_id_program_gives_nothing(self):
        self.check({"EPERM"}, f"set.user.program:{self.set_user_program()}", "become.root",
                   other=True, seccomp="off")

    @NEEDS_ROOT
    def test_root_without_capabilities_is_not_much(self):
        """Without `user` it stays root by name, but may do nothing that needs privileges."""
        private = self.path("private")
        with open(private, "w", encoding="utf-8"):
            os.chmod(private, 0o600)
            os.chown(private, ONE, ONE)
        self.check({"EPERM", "EACCES"}, "call:reboot", "call:swapon", f"read:{private}",
                   seccomp="off")

    @NEEDS_ROOT
    def test_other_processes_are_out_of_reach_of_another_user(self):
        """Its parent is the gateway. Nothing but its user keeps it from that here."""
        self.check({"EPERM", "EACCES"}, "kill", "debug", "read.memory", "copy.memory",
                   "limit.other", "pin.other", other=True, seccomp="off")

    @NEEDS_LANDLOCK
    def test_other_processes_are_out_of_reach_of_the_same_user(self):
        self.check({"EPERM", "EACCES", "ENOSYS"}, "kill", "debug", "read.memory", "copy.memory",
                   "limit.other", "pin.other")

    @NEEDS_ROOT
    def test_sockets_of_other_modules_are_out_of_reach_of_another_user(self):
        """Not even the folder that they are in can be looked into."""
        self.environment["WEIR_HOST_PROGRAM"] = self.copy_of(harness.WEIR)
        victim = self.start("victim", harness.WEIR, "host", "victim_control")
        path = self.path("victim_control")
        harness.wait_until(lambda: os.path.exists(path), "the control socket")
        self.check({"EACCES"}, f"connect:{path}", f"list:{self.private}", other=True)
        victim.stop()

    @NEEDS_ROOT
    def test_its_own_socket_is_its_users_alone(self):
        gateway = self.start_with(self.hostile("read:/", other=True))
        self.results(gateway)
        line = re.search(r"\[hostile\] attached the remote module at '(.*)'", gateway.err())
        path = line.group(1)
        for at, mode in ((path, 0o600), (os.path.dirname(path), 0o700)):
            self.assertEqual(os.stat(at).st_mode & 0o777, mode, at)
            self.assertEqual(os.stat(at).st_uid, ONE, at)
        outer = os.path.dirname(os.path.dirname(path))
        self.assertEqual(os.stat(outer).st_mode & 0o777, 0o711)
        self.assertEqual(os.stat(outer).st_uid, 0)
        gateway.stop()
        self.assertFalse(os.path.exists(outer))

    @NEEDS_ROOT
    def test_the_attempts_succeed_without_a_sandbox(self):
        """On a process that is there for it."""
        victim = self.start("victim", "/bin/sleep", "1000")
        attempts = [f"{name}:{victim.pid}" for name in
                    ("limit.other", "pin.other", "copy.memory", "read.memory", "debug", "kill")]
        attempts += ["become.root", f"set.user.program:{self.set_user_program()}"]
        results = self.try_all(self.module(*attempts))
        self.assertEqual(results.pop(f"copy.memory:{victim.pid}"), "EFAULT", "no such address")
        self.assertEqual(set(results.values()), {"done"}, results)
        victim.expect_exit(-signal.SIGKILL)


class Calls(SandboxTest):
    def test_forbidden_system_calls_fail(self):
        self.check({"EPERM"}, *(f"call:{name}" for name in FORBIDDEN_CALLS))

    def test_calls_that_a_filter_cannot_see_into_do_not_exist(self):
        self.check({"ENOSYS"}, "call:clone3")

    def test_they_exist_without_the_filter(self):
        results = self.try_all(self.hostile("call:ptrace", "call:unshare", "call:clone3",
                                            "call:memfd_create", seccomp="off", network=True))
        self.assertEqual(results, {"call:ptrace": "done", "call:unshare": "done",
                                   "call:clone3": "EINVAL", "call:memfd_create": "EFAULT"})

    def families(self):
        return [f"socket:{int(family)}" for family in
                (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET)]

    def test_there_is_no_network(self):
        self.check({"EACCES"}, *self.families())

    def test_there_is_no_network_without_the_list_of_calls_either(self):
        self.check({"EACCES"}, *self.families(), seccomp="off")

    def test_there_is_no_other_way_to_a_network_either(self):
        self.check({"EPERM"}, "call:io_uring_setup", seccomp="off")

    def test_there_is_a_network_where_it_is_allowed(self):
        for seccomp in ("default", "off"):
            results = self.try_all(self.hostile(f"socket:{int(socket.AF_INET)}", network=True,
                                                seccomp=seccomp))
            self.assertEqual(set(results.values()), {"done"})
            os.unlink(self.path("hostile_log.txt"))


@NEEDS_LANDLOCK
class Paths(SandboxTest):
    def setUp(self):
        super().setUp()
        for name in ("mine", "theirs"):
            os.mkdir(self.path(name))
            os.chmod(self.path(name), 0o777)
            with open(self.path(name, "file"), "w", encoding="utf-8") as file:
                file.write("text")
            os.chmod(self.path(name, "file"), 0o666)

    def attempts_at(self, name):
        return [f"read:{self.path(name, 'file')}", f"list:{self.path(name)}",
                f"write:{self.path(name, 'file')}", f"write:{self.path(name, 'new')}",
                f"truncate:{self.path(name, 'file')}", f"remove:{self.path(name, 'file')}"]

    def check_untouched(self, name):
        self.assertEqual(os.listdir(self.path(name)), ["file"])
        self.assertEqual(harness.read_text(self.path(name, "file")), "text")

    def test_other_files_are_out_of_reach(self):
        """A sibling, what the gateway itself uses, and what the system has."""
        self.check({"EACCES"}, *self.attempts_at("theirs"), "read:/etc/passwd",
                   f"read:{self.path('gateway.json')}", f"write:{self.path('logger.txt')}",
                   f"list:{self.path()}", "write:/dev/mem", "list:/",
                   paths={"read": [self.path("mine")], "write": [self.path("mine")]})
        self.check_untouched("theirs")

    def test_what_may_be_read_may_not_be_changed(self):
        attempts = self.attempts_at("mine")
        results = self.try_all(self.hostile(*attempts, paths={"read": [self.path("mine")]}))
        self.assertEqual([results[name] for name in attempts], ["done"] * 2 + ["EACCES"] * 4)
        self.check_untouched("mine")

    def test_what_may_be_written_may_be_changed(self):
        results = self.try_all(self.hostile(*self.attempts_at("mine"),
                                            paths={"write": [self.path("mine")]}))
        self.assertEqual(set(results.values()), {"done"})

    def test_no_way_leads_around_the_paths(self):
        os.symlink(self.path("theirs", "file"), self.path("mine", "link"))
        self.check({"EACCES"}, f"read:{self.path('mine', 'link')}",
                   f"read:{self.path('mine')}/../theirs/file",
                   f"truncate:{self.path('mine', 'link')}", paths={"write": [self.path("mine")]})

    def test_path_that_does_not_exist_is_an_error_with_a_place(self):
        config = self.write_config([self.hostile("read:/", paths={"read": ["/no/such/path"]})])
        program = self.run_to_end("weir", harness.WEIR, "run", config)
        self.assertEqual(program.process.returncode, 1)
        self.assertRegex(program.err(), r'gateway.json:3:5: modules\[0\]: module "hostile" cannot '
                         r"be created: cannot let the sandbox have '/no/such/path': No such file")

    @NEEDS_ROOT
    def test_everything_together_leaves_an_ordinary_module_at_work(self):
        """hello_world, which needs nothing of what is taken away."""
        module = hello_world(isolation="process", sandbox={
            "user": ONE, "group": ONE, "processes": 50, "open.files": 64, "cpu.limit.s": 1000,
            "file.limit": 0, "required": True,
            "paths": {"read": ["/proc", "/sys"] if is_sanitized() else [], "write": []},
            **({} if is_sanitized() else {"memory.limit": 64 * MIB})})
        module["loader"]["entrypoint"]["module.path"] = self.copy_of(harness.MODULES["hello_world"])
        self.environment["WEIR_HOST_PROGRAM"] = self.copy_of(harness.WEIR)
        gateway = self.start_gateway([logger(), module], [link("hello_world", "logger")])
        self.wait_for_messages()
        status = harness.read_text(f"/proc/{gateway.launched_pids()['hello_world']}/status")
        for line in (f"Uid:\t{ONE}\t{ONE}\t{ONE}\t{ONE}", "NoNewPrivs:\t1", "Seccomp:\t2",
                     "CapEff:\t0000000000000000"):
            self.assertIn(line, status)
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])


class Launched(SandboxTest):
    """Programs that the gateway launches, in sandboxes."""

    def echo_gateway(self, path, args, sandbox, **launch):
        self.environment["PYTHONPATH"] = harness.HERE
        module = {**launched("echo", path, args, **launch), "sandbox": sandbox}
        return self.start_gateway([logger(), module, hello_world()],
                                  [link("hello_world", "echo"), link("echo", "logger")])

    def test_remote_module_serves_from_a_sandbox(self):
        gateway = self.echo_gateway(harness.PROXY_SAMPLE_REMOTE, ["echo_control"], {})
        self.wait_for_messages()
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    @NEEDS_LANDLOCK
    @unittest.skipIf(is_sanitized(), "a sanitizer needs more files")
    def test_remote_module_serves_with_no_file_but_its_own(self):
        gateway = self.echo_gateway(harness.PROXY_SAMPLE_REMOTE, ["echo_control"], {"paths": {}})
        self.wait_for_messages()
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    @NEEDS_ROOT
    def test_remote_module_of_another_user_serves(self):
        gateway = self.echo_gateway(self.copy_of(harness.PROXY_SAMPLE_REMOTE), ["echo_control"],
                                    {"user": OTHER, "group": OTHER})
        self.wait_for_messages()
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    @NEEDS_ROOT
    def test_link_to_anothers_socket_is_not_followed_to_the_other(self):
        """A process of another user makes its socket's path lead to one of root's."""
        with sp.Listener(self.path("victim")):
            script = (f"ln -s {self.path('victim')} {self.path('echo_control')}; "
                      "echo linked; exec sleep 1000")
            gateway = self.echo_gateway("/bin/sh", ["-c", script], {"user": OTHER, "group": OTHER})
            gateway.wait_for("[echo] linked")
            gateway.wait_for("it belongs to user 0, not to its own")
            gateway.stop()

    def test_process_that_dies_comes_back_into_its_sandbox(self):
        self.crashed = True  # it cannot remove its sockets
        module = hello_world(isolation="process", restart={"backoff.ms": [1, 1]}, sandbox={})
        gateway = self.start_gateway([logger(), module], [link("hello_world", "logger")])
        self.wait_for_messages()
        os.kill(gateway.launched_pids()["hello_world"], signal.SIGKILL)
        gateway.wait_for("[hello_world] launched", 2)
        self.wait_for_messages()
        status = harness.read_text(f"/proc/{gateway.launched_pids()['hello_world']}/status")
        self.assertIn("Seccomp:\t2", status)
        gateway.stop()

    def test_interpreter_runs_under_the_filter(self):
        text = ("import socket, subprocess, sys, threading\n"
                "thread = threading.Thread(target=print, args=('a thread',)); thread.start()\n"
                "thread.join()\n"
                "print(subprocess.run(['/bin/echo', 'a child'], capture_output=True, text=True)"
                ".stdout, end='')\n"
                "try:\n"
                "    socket.socket()\n"
                "except PermissionError:\n"
                "    print('no network', flush=True)\n")
        path = self.write_script("script.py", text)
        gateway = self.start_gateway([{**launched("script", sys.executable, [path]), "sandbox": {},
                                       "restart": {"policy": "never"}}])
        for line in ("a thread", "a child", "no network"):
            gateway.wait_for(f"[script] {line}")
        gateway.wait_for("exit status 0")
        gateway.stop()

    @NEEDS_ROOT
    def test_folder_that_its_user_cannot_enter_is_named(self):
        closed = self.path("closed")
        os.mkdir(closed, 0o700)
        gateway = self.echo_gateway("/bin/sh", ["-c", "true"], {"user": ONE, "group": ONE},
                                    **{"working.dir": closed})
        gateway.wait_for(f"cannot run '/bin/sh' in the working folder '{closed}': Permission denied")
        gateway.stop()

    @NEEDS_LANDLOCK
    def test_script_without_its_interpreter_in_the_paths_is_named(self):
        path = self.write_script("script", "#!/bin/sh\necho it ran\n")
        gateway = self.echo_gateway(path, [], {"paths": {}})
        gateway.wait_for(f"cannot run '{path}': its sandbox lets it not")
        gateway.stop()
        self.assertNotIn("it ran", gateway.err())

    @NEEDS_ROOT
    def test_process_of_another_user_ends_with_its_gateway(self):
        """A change of the user ends the tie to the parent, if it is made in the wrong order."""
        self.crashed = True
        gateway = self.echo_gateway(self.copy_of(harness.PROXY_SAMPLE_REMOTE), ["echo_control"],
                                    {"user": ONE, "group": ONE})
        self.wait_for_messages()
        pid = gateway.launched_pids()["echo"]
        os.kill(pid, signal.SIGSTOP)  # so that it cannot end because its sockets do
        gateway.kill()
        harness.wait_until(lambda: harness.reap(pid), "the launched process ends")


if __name__ == "__main__":
    harness.main()
