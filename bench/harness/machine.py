# SPDX-License-Identifier: MIT
"""The machine on which it was measured."""
import os
import platform
import subprocess


def load():
    return " ".join(f"{part:.2f}" for part in os.getloadavg())


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown"


def memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def commit():
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def describe():
    return {"cores": os.cpu_count(), "cpu": cpu_model(), "memory, GiB": memory_gib(),
            "kernel": f"{platform.system()} {platform.release()}",
            "libc": " ".join(platform.libc_ver()), "commit": commit(),
            "load at the start": load()}
