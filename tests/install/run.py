# SPDX-License-Identifier: MIT
"""Use an installed Weir as a stranger would.

run.py WAY SOURCE_DIR BUILD_DIR LIBDIR CMAKE CC   (WAY: pkg_config or cmake)

Installs the build into a temporary prefix, builds the project beside this file against it, together
with the module that docs/writing-modules.md shows, and runs the result with the installed `weir` and
with a program of its own. The test's time limit is ctest's.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

EXPECTED = "hello world, seen by stamp\n"


def run(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def shown_module(source):
    """The source of the first module in the page for authors of modules."""
    page = (source / "docs" / "writing-modules.md").read_text()
    return re.search(r"```c\n(/\* stamp\.c.*?)```", page, re.DOTALL).group(1)


def build_with_pkg_config(project, environment, compiler):
    def flags(package):
        command = ["pkg-config", "--cflags", "--libs", package]
        return subprocess.check_output(command, env=environment, text=True).split()

    strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    for name in ("stamp", "print"):
        run(compiler, *strict, "-fPIC", "-shared", f"{name}.c", "-o", f"lib{name}.so",
            *flags("weir"), cwd=project)
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
        (project / "stamp.c").write_text(shown_module(source))
        if way == "cmake":
            build_with_cmake(project, prefix, cmake, compiler)
        else:
            build_with_pkg_config(project, environment, compiler)

        weir = prefix / "bin" / "weir"
        run(weir, "version")
        run(weir, "check", "stranger.json", cwd=project, env=environment)
        expect_message(project, environment, [weir, "run", "stranger.json"],
                       lambda process: process.send_signal(signal.SIGINT))
        # The program was linked without a run path, as pkg-config's flags have it.
        environment["LD_LIBRARY_PATH"] = str(libraries)
        expect_message(project, environment, [project / "embed", "stranger.json"],
                       lambda process: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
