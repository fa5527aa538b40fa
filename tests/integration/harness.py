# SPDX-License-Identifier: MIT
"""What the integration tests share: a folder for each test, the programs that it starts there, and
waiting until something is so.

Nothing here waits for a time to pass; every wait is for a condition, with a deadline that only a
hanging program reaches. After each test it is checked that no process, socket or folder is left
and that no sanitizer complained. Only processes that the test started are ever ended.

    WEIR_BUILD_DIR    the build under test
"""

import base64
import ctypes
import glob
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

# No test may fill the disk, whatever becomes of it: children inherit this.
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))

DEADLINE_S = 60
POLL_S = 0.005
# ThreadSanitizer leaves it in TMPDIR where a program is killed while it starts.
OF_SANITIZER = "tsan.rodata."
# Of what a program printed, a failed test shows so many characters from the begin and from the end.
SHOWN_MAX = 10000
BUILD = os.path.abspath(os.environ["WEIR_BUILD_DIR"])
HERE = os.path.dirname(os.path.abspath(__file__))
REPORTS = ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "LeakSanitizer",
           "runtime error:", "Assertion `")
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


def set_process_option(option, value):
    if LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def follow_parent():
    """In a child, before exec: end with the test, even one that is killed."""
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)


# What its children leave behind becomes this process's, so that it is found.
set_process_option(PR_SET_CHILD_SUBREAPER, 1)


def wait_until(condition, text):
    """The condition's first true value. `text`, or a function that returns it, says what was
    awaited."""
    end = time.monotonic() + DEADLINE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE_S} s: {text() if callable(text) else text}")
        time.sleep(POLL_S)


def read_bytes(path):
    """The file's bytes; none where there is no file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def read_text(path):
    return read_bytes(path).decode(errors="backslashreplace")


def process_stat(pid):
    """The fields of /proc/PID/stat from the state on; None: no such process."""
    text = read_text(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() if text else None


def has_shared_memory():
    """Linux 5.14 and later have what Weir needs for it."""
    return hasattr(os, "memfd_create") and \
        tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (5, 14)


def shared(pid):
    """The inodes of the memory that the process has mapped and others can have, too."""
    lines = read_text(f"/proc/{pid}/maps").splitlines()
    return {line.split()[4] for line in lines if "/memfd:" in line}


def shorten(text):
    """Without its middle, where that would hide what else failed."""
    if len(text) <= 2 * SHOWN_MAX:
        return text
    return f"{text[:SHOWN_MAX]}\n[...]\n{text[-SHOWN_MAX:]}"


def is_alive(pid):
    """A zombie is not."""
    try:
        fields = process_stat(pid)
    except ProcessLookupError:  # between open and read
        return False
    return fields is not None and fields[0] not in "ZX"


def cpu_seconds(pid):
    fields = process_stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(parent):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = process_stat(name)
        except ProcessLookupError:
            continue
        if fields is not None and int(fields[1]) == parent:
            found.append(int(name))
    return found


def reap(pid):
    """True: the child is gone, whoever collected it."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def built(*parts):
    path = os.path.join(BUILD, *parts)
    if not os.path.exists(path):
        raise AssertionError(f"{path} is not built")
    return path


WEIR = built("weir")
PROXY_SAMPLE = built("samples", "proxy_sample", "proxy_sample")
PROXY_SAMPLE_REMOTE = built("samples", "proxy_sample", "proxy_sample_remote")
MODULES = {os.path.basename(path)[3:-3]: path
           for folder in (("modules", "*"), ("tests", "integration"))
           for path in glob.glob(os.path.join(BUILD, *folder, "lib*.so"))}


# ---- configurations


def native(name, module, args=None, **more):
    return {"name": name, "args": args,
            "loader": {"name": "native", "entrypoint": {"module.path": MODULES[module]}}, **more}


def remote(name, control_id, args=None, **entrypoint):
    return {"name": name, "args": args,
            "loader": {"name": "outprocess",
                       "entrypoint": {"control.id": control_id, **entrypoint}}}


def launched(name, path, args=(), message_id=None, **launch):
    """A remote module at the control id NAME_control."""
    more = {} if message_id is None else {"message.id": message_id}
    return remote(name, f"{name}_control", **{"activation.type": "launch",
                  "launch": {"path": path, "args": list(args), **launch}}, **more)


def logger(name="logger"):
    return native(name, "logger", {"filename": f"{name}.txt"})


def hello_world(interval_ms=10, **more):
    return native("hello_world", "hello_world", {"interval.ms": interval_ms}, **more)


def link(source, sink, **queue):
    return {"source": source, "sink": sink, "queue": queue}


# ---- what the logger wrote


def log_entries(path):
    """The file's entries; ValueError where it is no valid JSON array."""
    entries = json.loads(read_bytes(path))
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds no array")
    return entries


def is_flowing(path):
    """Is there a message in the file? It may be long, and grow fast: only its begin is read."""
    if not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        return b'"properties"' in file.read(1000)


def contents_of(entries):
    """The contents of the messages among the entries."""
    return [base64.b64decode(entry["content"], validate=True) for entry in entries
            if "properties" in entry]


def logged_contents(path):
    """Likewise, of a file that may not be there yet, or be in the middle of a write."""
    try:
        return contents_of(log_entries(path))
    except ValueError:
        return []


# ---- programs


class Program:
    """One that a test started. What it prints goes to the files NAME.out and NAME.err."""

    def __init__(self, test, name, command, **options):
        self.name = name
        self.out_path = test.path(name + ".out")
        self.err_path = test.path(name + ".err")
        options.setdefault("cwd", test.folder)
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(command, env=test.environment, stdout=out, stderr=err,
                                            preexec_fn=follow_parent, **options)

    @property
    def pid(self):
        return self.process.pid

    def out(self):
        return read_text(self.out_path)

    def err(self):
        return read_text(self.err_path)

    def lives(self):
        return self.process.poll() is None

    def wait_for(self, text, times=1):
        """Until the log says so."""
        wait_until(lambda: self.err().count(text) >= times or not self.lives(),
                   lambda: f"'{text}' {times} times in the log of {self.name}")
        if self.err().count(text) < times:
            raise AssertionError(f"{self.name} ended without '{text}' {times} times in its log")

    def press_enter(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def expect_exit(self, wanted=0):
        try:
            status = self.process.wait(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end") from None
        if status != wanted:
            raise AssertionError(f"{self.name}: exit status {status}, expected {wanted}")

    def stop(self, wanted=0):
        self.process.send_signal(signal.SIGTERM)
        self.expect_exit(wanted)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def troubles(self):
        """The error and warning lines of its log."""
        return [line for line in self.err().splitlines() if re.search(r"Z (error|warn) ", line)]

    def problems(self):
        """What it said about a configuration: all on stderr that is no log line."""
        return [line for line in self.err().splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]

    def launched_pids(self):
        """By module name, the latest process of each that this gateway said it launched."""
        found = re.findall(r"\[(.*)\] launched '.*' as process (\d+)", self.err())
        return {name: int(pid) for name, pid in found}


class WeirTest(unittest.TestCase):
    """A test with a folder. A test that kills a gateway or a remote sets `crashed`: what those
    had no time to remove is then allowed to be left."""

    def run(self, result=None):
        result = self.defaultTestResult() if result is None else result
        failed_before = len(result.failures) + len(result.errors)
        self.folder = tempfile.mkdtemp(prefix="weir-test-")
        try:
            super().run(result)
            if len(result.failures) + len(result.errors) > failed_before:
                self.show_output()
        finally:
            shutil.rmtree(self.folder)

    def setUp(self):
        self.programs = []
        self.crashed = False
        self.private = self.path("run")
        os.mkdir(self.private, 0o700)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.private, "TMPDIR": self.private}
        for name in ("RUNTIME_DIRECTORY", "WEIR_CONTROL_ID", "WEIR_MODULE_PATH"):
            self.environment.pop(name, None)
        self.addCleanup(self.check_what_is_left)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def show_output(self):
        for name in sorted(os.listdir(self.folder)):
            if name.endswith((".out", ".err")):
                text = shorten(read_text(self.path(name)))
                print(f"---- {name} of {self.id()}\n{text}", file=sys.stderr)

    # starting

    def start(self, name, *command, stdin=subprocess.DEVNULL, **options):
        program = Program(self, name, command, stdin=stdin, **options)
        self.programs.append(program)
        return program

    def start_remote(self, name="remote", control_id="control", stdin=subprocess.PIPE):
        return self.start(name, PROXY_SAMPLE_REMOTE, control_id, stdin=stdin)

    def write_config(self, modules, links=(), name="gateway.json", **more):
        config = {"modules": list(modules), "links": list(links), **more}
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
        return name

    def write_script(self, name, text, mode=0o755):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def start_gateway(self, modules, links=(), name="weir", **more):
        return self.start(name, WEIR, "run", self.write_config(modules, links, **more))

    def run_to_end(self, name, *command):
        program = self.start(name, *command)
        program.process.wait(timeout=DEADLINE_S)
        return program

    # waiting

    def wait_for_messages(self, more=3, log="logger.txt"):
        """Until the log file holds so many messages more than now."""
        before = len(logged_contents(self.path(log)))
        wait_until(lambda: len(logged_contents(self.path(log))) >= before + more,
                   f"{more} messages more than {before} in {log}")

    def wait_for_content(self, content, log="logger.txt"):
        wait_until(lambda: content in logged_contents(self.path(log)), f"{content} in {log}")

    # what is left

    def check_what_is_left(self):
        left = self.end_programs()
        for program in self.programs:
            for report in REPORTS:
                if report in program.err() or report in program.out():
                    left.append(f"a sanitizer's report of {program.name}")
        if not self.crashed:
            left += [f"{path} is left" for path in self.left_files()]
        if left:
            self.fail("; ".join(left))

    def end_programs(self):
        """End what still runs. Returns complaints."""
        for program in self.programs:
            program.close()
            if program.lives():
                program.kill()
                self.crashed = True
        complaints = []
        for pid in children_of(os.getpid()):
            try:
                wait_until(lambda: reap(pid), f"process {pid} ends")
            except AssertionError as failure:
                complaints.append(str(failure))
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return complaints

    def left_files(self):
        left = [os.path.join(self.private, name) for name in os.listdir(self.private)
                if not name.startswith(OF_SANITIZER)]
        for folder, _, names in os.walk(self.folder):
            paths = [os.path.join(folder, name) for name in names]
            left += [path for path in paths if stat.S_ISSOCK(os.lstat(path).st_mode)]
        return left


def main():
    unittest.main(verbosity=2)
