# SPDX-License-Identifier: MIT
"""Mistakes in a configuration, as the programs show them. What each broken file must be answered with
stands beside it, in NAME.expected, with FILE and FOLDER for its path and its folder."""

import glob
import os

import harness
from harness import hello_world, link, logger, native

BROKEN = os.path.join(harness.HERE, "config", "broken")
GOOD = os.path.join(harness.HERE, "config", "good")


def expected_lines(path):
    text = harness.read_text(path.removesuffix(".json") + ".expected")
    return text.replace("FILE", path).replace("FOLDER", os.path.dirname(path)).splitlines()


class Files(harness.WeirTest):
    def files(self, folder, at_least):
        found = sorted(glob.glob(os.path.join(folder, "*.json")))
        self.assertGreaterEqual(len(found), at_least)
        return found

    def test_check_says_what_is_wrong_with_each_broken_file(self):
        for path in self.files(BROKEN, 45):
            with self.subTest(file=os.path.basename(path)):
                ended = self.run_to_end("weir", harness.WEIR, "check", path)
                self.assertEqual(ended.err().splitlines(), expected_lines(path))
                self.assertEqual(ended.process.returncode, 1)
                self.assertEqual(ended.out(), "")

    def test_samples_and_run_refuse_each_broken_file(self):
        for path in self.files(BROKEN, 45):
            with self.subTest(file=os.path.basename(path)):
                ended = self.run_to_end("sample", harness.PROXY_SAMPLE, path)
                self.assertEqual(ended.err().splitlines()[:-1], expected_lines(path))
                self.assertIn(path, ended.err().splitlines()[-1])
                self.assertEqual(ended.process.returncode, 1)

    def test_check_accepts_each_good_file(self):
        for path in self.files(GOOD, 5):
            with self.subTest(file=os.path.basename(path)):
                ended = self.run_to_end("weir", harness.WEIR, "check", path)
                self.assertEqual(ended.err(), "")
                self.assertEqual(ended.out(), f"{path}: ok\n")
                self.assertEqual(ended.process.returncode, 0)


class Beginning(harness.WeirTest):
    """Mistakes that show when modules are loaded and created: nothing runs, the place is named."""

    def check(self, module, *wanted, place="gateway.json:3:5: modules[0]"):
        """A gateway that begins with this module does not run, for this reason."""
        config = self.write_config([module, hello_world()], [])
        for program, command in (("weir", [harness.WEIR, "run"]),
                                 ("sample", [harness.PROXY_SAMPLE])):
            with self.subTest(program=program):
                ended = self.run_to_end(program, *command, config)
                self.assertEqual(ended.process.returncode, 1)
                problems = "\n".join(ended.problems())
                for text in (place, *wanted):
                    self.assertIn(text, problems)

    def library(self, path):
        return {"name": "broken", "loader": {"entrypoint": {"module.path": path}}}

    def test_missing_file_of_a_module(self):
        self.check(self.library("./no/such/libmodule.so"), "./no/such/libmodule.so",
                   place='gateway.json:7:26: modules[0].loader.entrypoint["module.path"]')

    def test_module_that_is_no_shared_object(self):
        self.write_script("libtext.so", "this is no library\n" * 100)
        self.check(self.library("./libtext.so"), '"broken"', "libtext.so", "invalid ELF header")

    def test_shared_object_that_is_no_module(self):
        self.check(self.library(harness.built("src", "libweir.so")), '"broken"', "libweir.so",
                   "is no Weir module")

    def test_reason_of_the_dynamic_loader(self):
        self.check(self.library(harness.MODULES["undefined"]), '"broken"',
                   "undefined symbol: function_that_exists_nowhere")

    def test_folder_instead_of_a_library(self):
        os.mkdir(self.path("folder"))
        self.check(self.library("./folder"), '"broken"', "./folder", "directory")

    def test_reason_why_a_module_cannot_be_created(self):
        os.mkdir(self.path("logger.txt"))
        self.check(logger(), '"logger"', "logger.txt", "directory")

    def test_args_that_a_module_does_not_understand(self):
        self.check(native("hello", "hello_world", {"intervall": 5}), '"hello"', '"intervall"')

    def test_what_was_created_before_the_failure_is_undone(self):
        os.mkdir(self.path("other.txt"))
        config = self.write_config([logger(), logger("other")], [])
        ended = self.run_to_end("weir", harness.WEIR, "run", config)
        self.assertEqual(ended.process.returncode, 1)
        marks = [entry["content"] for entry in harness.log_entries(self.path("logger.txt"))]
        self.assertEqual(marks, ["Log started", "Log stopped"])

    def test_launched_process_is_ended_when_a_later_module_fails(self):
        os.mkdir(self.path("other.txt"))
        config = self.write_config([hello_world(isolation="process"), logger("other")],
                                   [link("hello_world", "other")])
        ended = self.run_to_end("weir", harness.WEIR, "run", config)
        self.assertEqual(ended.process.returncode, 1)


class CommandLine(harness.WeirTest):
    def check(self, wanted_status, *args):
        ended = self.run_to_end("weir", harness.WEIR, *args)
        self.assertEqual(ended.process.returncode, wanted_status, ended.err())
        return ended

    def test_file_that_does_not_exist(self):
        for command in ("check", "run"):
            ended = self.check(1, command, "no_such_file.json")
            self.assertIn("no_such_file.json", ended.err())

    def test_folder_instead_of_a_file(self):
        for command in ("check", "run"):
            self.assertIn("folder", self.check(1, command, self.folder).err())

    def test_what_is_no_file(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("loop", self.path("loop"))
        long = "x" * 300
        for path, text in (("fifo", "is a folder, device, pipe or socket (expected a file)"),
                           ("/dev/zero", "is a folder, device, pipe or socket (expected a file)"),
                           ("gateway.json/x", "there is no such file"),
                           ("loop", "symbolic links"),
                           (long, "File name too long"), ("", "there is no such file")):
            with self.subTest(path=path[:20]):
                err = self.check(1, "check", path).err()
                self.assertTrue(err.startswith(f"{path}:1:1: file: "), err)
                self.assertIn(text, err)

    def test_file_that_may_not_be_read(self):
        self.write_script("secret.json", "{}", mode=0)
        command = (harness.WEIR,)
        if os.access(self.path("secret.json"), os.R_OK):  # root may read all, unless told not to
            command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", harness.WEIR)
        ended = self.run_to_end("weir", *command, "check", "secret.json")
        self.assertEqual(ended.process.returncode, 1)
        self.assertIn("secret.json:1:1: file: cannot be read: cannot open 'secret.json': "
                      "Permission denied", ended.err())

    def test_file_of_hostile_sizes(self):
        for name, text in (("brackets.json", "[" * 100000), ("braces.json", '{"a":' * 100000),
                           ("digits.json", '{"modules": ' + "9" * 1000000 + "}"),
                           ("string.json", '{"modules": "' + "x" * 10000000 + '"}'),
                           ("mistakes.json", '{"modules": [' + "1," * 99999 + "1]}"),
                           ("keys.json", "{" + ",".join(f'"{i}":0' for i in range(100000)) + "}")):
            with self.subTest(name=name):
                self.write_script(name, text, mode=0o644)
                lines = self.check(1, "check", name).err().splitlines()
                self.assertRegex(lines[0], rf"^{name}:1:\d+: ")
                self.assertLessEqual(len(lines), 101)
                self.assertLess(max(map(len, lines)), 1000)

    def test_what_is_not_there_now_is_a_warning_with_its_place(self):
        self.write_script("there", "#!/bin/sh\n")
        self.write_script("no_program", "text", mode=0o644)
        self.write_script("g.json", """{"modules": [
  {"name": "a", "loader": {"name": "outprocess", "entrypoint": {"activation.type": "launch",
    "control.id": "a", "launch":
    {"path": "./not_there"}}},
    "sandbox": {"paths": {"read": ["/etc",
      "nowhere"], "write": [".", "/no/where"]}}},
  {"name": "b", "loader": {"name": "outprocess", "entrypoint": {"activation.type": "launch",
    "control.id": "b", "launch": {"path": "./there"}}}},
  {"name": "c", "loader": {"name": "many", "entrypoint": {"control.id": "c"}}},
  {"name": "d", "loader": {"name": "many", "entrypoint": {"control.id": "d"}}}],
  "loaders": [{"type": "outprocess", "name": "many", "configuration":
    {"activation.type": "launch", "launch": {"path": "./no_program"}}}]}
""", mode=0o644)
        lines = [line.split(" ", 2)[2].strip() for line in self.check(0, "check", "g.json").err().splitlines()]
        wanted = [
            "g.json:12:54: loaders[0].configuration.launch.path: the process cannot be started now: the program './no_program' may not",
            "g.json:4:14: modules[0].loader.entrypoint.launch.path: the process cannot be started now: there is no program './not_there'",
            'g.json:6:7: modules[0].sandbox.paths.read[1]: there is no file or folder "nowhere" now',
            'g.json:6:34: modules[0].sandbox.paths.write[1]: there is no file or folder "/no/where"']
        self.assertEqual(len(lines), len(wanted), lines)
        for text in wanted:
            self.assertTrue(any(line.startswith(f"[weir] {text}") for line in lines), (text, lines))

    def test_wrong_usage(self):
        for args in ((), ("check",), ("run",), ("run", "a", "b"), ("run", "--colour", "a"),
                     ("run", "a", "--log-level", "loud"), ("host", "a", "b"), ("nonsense",)):
            with self.subTest(args=args):
                self.assertIn("usage:" if args != ("nonsense",) else "not a command",
                              self.check(2, *args).err())

    def test_version_and_help(self):
        self.assertRegex(self.check(0, "version").out(), r"\d+\.\d+\.\d+")
        self.assertIn("run", self.check(0, "help").out())


if __name__ == "__main__":
    harness.main()
