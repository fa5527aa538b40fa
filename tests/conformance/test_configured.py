# SPDX-License-Identifier: MIT
"""What a module is created with: args of every kind, names of every kind, and where its library is
found."""

import os
import shutil

from scene import HOSTED, ISOLATED, NATIVE, ConformanceTest, harness, library

ARGS = [
    "null", "true", "false", "0", "-0", "1.0", "0.1", "1e2", "1E-7", "-12.50", "1.7976931348623157e308",
    "9223372036854775807", "-9223372036854775808", "123456789.123456789",
    '""', '"text"', r'"quotes \" and \\ and \/"', r'"\u00e4\n\t\u0001"', r'"\ud83d\ude00"',
    '"grün 🙂"', r'"{\"json\": \"in a string\"}"', '"' + "x" * 100000 + '"',
    "[]", "{}", "[1,[2,[3,[]]],{}]", '{"b":1,"a":2,"":3,"ä":[null]}',
    '{"outprocess.loader":{"name":"native"},"module.args":1}',
    "[" * 200 + "]" * 200,
]
LOOSE = '{ "b" : [ 1 ,\n 2.50 ] ,\t"a":"x  y" }'
LOOSE_COMPACT = '{"b":[1,2.50],"a":"x  y"}'

NAMES = ["with space", " ", "quotes \" and ' and \\", "grün 🙂", "日本", "a/b/../c", "%s%n", "-x",
         "x" * 255, "ü" * 127 + "x", "[x]"]


# The log shows so many bytes of a name.
NAME_SHOWN = 120


class Configured(ConformanceTest):
    def play_args(self, scene, text):
        """The args that the probe got."""
        self.environment["PROBE_TRACE"] = scene.trace_path("probe")
        scene.add("probe", raw=text).start()
        scene.wait_for_lines("probe", 1, "start")
        scene.stop()
        self.check_log(scene)
        return [line[5:] for line in scene.trace("probe") if line.startswith("args ")]

    def test_args_are_the_text_of_the_file(self):
        for number, text in enumerate(ARGS):
            def play(scene):
                seen = self.play_args(scene, text)
                self.assertEqual(seen, [text])
                return seen
            self.in_every_way(play, name=f"args{number}")

    def test_white_space_between_the_parts_of_args_is_left_out(self):
        def play(scene):
            seen = self.play_args(scene, LOOSE)
            self.assertEqual(seen, [LOOSE_COMPACT])
            return seen
        self.in_every_way(play)

    def test_module_without_args_gets_null(self):
        def play(scene):
            self.environment["PROBE_TRACE"] = scene.trace_path("probe")
            scene.add("probe", raw="null")
            del scene.modules[0]["args"]
            scene.start().wait_for_lines("probe", 1, "start")
            scene.stop()
            self.assertIn("args null", scene.trace("probe"))
            return scene.comparable("probe")
        self.in_every_way(play, ways=[NATIVE, ISOLATED, "program", "launched"])

    def test_names_of_every_kind(self):
        """It is the name that the module's host has, in weir host, too."""
        for number, name in enumerate(NAMES):
            def play(scene):
                args = f'{{"trace": "{scene.trace_path("probe")}"}}'
                scene.add(name, raw=args, module=name).start()
                scene.wait_for_lines("probe", 1, "start")
                scene.stop()
                self.check_log(scene)
                shown = name.encode()[:NAME_SHOWN].decode(errors="ignore")
                self.assertIn(f"[{shown}", scene.gateway.err())
                self.assertIn("] the probe starts", scene.gateway.err())
                return [line for line in scene.trace("probe") if line.startswith("host ")]
            self.in_every_way(play, ways=[NATIVE, ISOLATED], name=f"name{number}")

    def test_module_path_is_relative_to_the_file_and_then_to_the_working_directory(self):
        """The gateway's, wherever the module runs."""
        def play(scene):
            for place in ("beside", "elsewhere"):
                os.makedirs(os.path.join(scene.folder, place, "lib dir"))
            beside = os.path.join(scene.folder, "lib dir")
            os.makedirs(beside)
            shutil.copy(library("probe"), os.path.join(beside, "in the file's folder.so"))
            elsewhere = os.path.join(scene.folder, "elsewhere")
            shutil.copy(library("probe"), os.path.join(elsewhere, "lib dir", "in the cwd.so"))
            scene.add("a", path="lib dir/in the file's folder.so", module="a")
            scene.add("b", path="./lib dir/in the cwd.so", module="b")
            scene.start(cwd=elsewhere)
            scene.wait_for_lines("a", 1, "start")
            scene.wait_for_lines("b", 1, "start")
            scene.stop()
            self.check_log(scene)
            return scene.comparable("a"), scene.comparable("b")
        self.in_every_way(play, ways=[NATIVE, ISOLATED])

    def test_bare_name_is_searched_in_weir_module_path(self):
        def play(scene):
            folder = os.path.join(scene.folder, "mödules 1")
            os.makedirs(folder)
            shutil.copy(library("probe"), os.path.join(folder, "libthe probe.so"))
            self.environment["WEIR_MODULE_PATH"] = f"/nonexistent::{folder}"
            scene.add("probe", path="the probe").start()
            scene.wait_for_lines("probe", 1, "start")
            scene.stop()
            self.check_log(scene)
            return scene.comparable("probe")
        self.in_every_way(play, ways=[NATIVE, ISOLATED, HOSTED])

    def test_relative_folder_of_weir_module_path(self):
        """Relative to the working directory of whoever searches: of the gateway, or of weir host."""
        def play(scene):
            os.makedirs(os.path.join(scene.folder, "modules"))
            shutil.copy(library("probe"), os.path.join(scene.folder, "modules", "libprobe1.so"))
            self.environment["WEIR_MODULE_PATH"] = "modules"
            scene.add("probe", path="probe1").start()
            scene.wait_for_lines("probe", 1, "start")
            scene.stop()
            return scene.comparable("probe")
        self.in_every_way(play, ways=[NATIVE, ISOLATED, HOSTED])


if __name__ == "__main__":
    harness.main()
