# SPDX-License-Identifier: MIT
"""Use an installed Weir as a stranger would.

run.py WAY SOURCE_DIR BUILD_DIR LIBDIR CMAKE CC   (WAY: pkg_config or cmake)

Installs the build into a temporary prefix, builds the project beside this file against it, together
with the modules that docs/writing-modules.md shows, and runs the result with the installed `weir` and
with a program of its own: in one process, with isolation, and launched as a program. The test's time
limit is ctest's.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

EXPECTED = "hello world, seen by stamp\n"  # the name, or the control id


def run(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def write_shown_sources(source, project):
    """The sources in the page for authors of modules, each of which begins with its name."""
    page = (source / "docs" / "writing-modules.md").read_text()
    for text in re.findall(r"```c\n(.*?)```", page, re.DOTALL):
        name = re.match(r"/\* (\w+\.c): ", text)
        if name:
            (project / name.group(1)).write_text(text)


def write_variants(project):
    """The configuration with stamp in a process of its own, in both ways."""
    config = json.loads((project / "stranger.json").read_text())
    stamp = config["modules"][1]
    stamp["isolation"] = "process"
    (project / "isolated.json").write_text(json.dumps(config))
    del stamp["isolation"]
    stamp["loader"] = {"name": "outprocess", "entrypoint": {
        "control.id": "stamp", "activation.type": "launch",
        "launch": {"path": "./stamp-program", "args": ["stamp"]}}}
    (project / "launched.json").write_text(json.dumps(config))


def build_with_pkg_config(project, environment, compiler):
    def flags(package):
        command = ["pkg-config", "--cflags", "--libs", package]
        return subprocess.check_output(command, env=environment, text=True).split()

    strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    for name in ("stamp", "print", "every_nth"):
        run(compiler, *strict, "-fPIC", "-shared", f"{name}.c", "-o", f"lib{name}.so",
            *flags("weir"), *flags("jansson"), cwd=project)
    run(compiler, *strict, "stamp.c", "stamp_main.c", "-o", "stamp-program", *flags("weir"),
        cwd=project)
    run(compiler, *strict, "embed.c", "-o", "embed", *flags("weir-gateway"), cwd=project)


def build_with_cmake(project, prefix, cmake, compiler):
    run(cmake, "-S", project, "-B", project, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_C_COMPILER={compiler}", "-DSTAMP_SOURCE=stamp.c")
    run(cmake, "--build", project)


def expect_message(project, environment, command, stop):
    """The message arrives, and the program ends with status 0 when it is told to stop."""
    print("+", *command, flush=True)
    process = subprocess.Popen([str(word) for word in command], cwd=project, env=environment,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        while line and line != EXPECTED:
            line = process.stdout.readline()
        stop(process)
        process.stdin.close()
        status = process.wait()
    finally:
        process.kill()
    if line != EXPECTED or status != 0:
        sys.exit(f"{command[0]}: wanted {EXPECTED!r} and status 0, got {line!r} and {status}")


def main(way, source, build, libdir, cmake, compiler):
    source = pathlib.Path(source)
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(folder) / "prefix"
        run(cmake, "--install", build, "--prefix", prefix, stdout=subprocess.DEVNULL)
        libraries = prefix / libdir
        environment = dict(os.environ, PKG_CONFIG_PATH=str(libraries / "pkgconfig"),
                           WEIR_MODULE_PATH=str(libraries / "weir" / "modules"))

        project = pathlib.Path(folder) / "project"
        shutil.copytree(source / "tests" / "install" / "project", project)
        write_shown_sources(source, project)
        write_variants(project)
        if way == "cmake":
            build_with_cmake(project, prefix, cmake, compiler)
        else:
            build_with_pkg_config(project, environment, compiler)

        weir = prefix / "bin" / "weir"
        run(weir, "version")
        for config in ("stranger.json", "isolated.json"):
            run(weir, "check", config, cwd=project, env=environment)
            expect_message(project, environment, [weir, "run", config],
                           lambda process: process.send_signal(signal.SIGINT))
        # The programs were linked without a run path, as pkg-config's flags have it.
        environment["LD_LIBRARY_PATH"] = str(libraries)
        expect_message(project, environment, [weir, "run", "launched.json"],
                       lambda process: process.send_signal(signal.SIGINT))
        expect_message(project, environment, [project / "embed", "stranger.json"],
                       lambda process: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
