# SPDX-License-Identifier: MIT
"""The fault-injection suite: faults.py [--seed N] [--seconds S] [--only FAULT,...] [--long] SCENARIO...

Without --seed, WEIR_SEED or a random one; it is printed. README.md lists the scenarios."""

import argparse
import importlib
import os
import sys
import unittest

import stand

SCENARIOS = ("load", "kills", "hangs", "gateway", "files")


def read_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=" ".join(SCENARIOS))
    parser.add_argument("--seed", type=int, default=os.environ.get("WEIR_SEED"))
    parser.add_argument("--seconds", type=float, help="how long faults happen, in each scenario")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these faults")
    parser.add_argument("--long", action="store_true", help="the long form")
    return parser.parse_args(namespace=stand.Options)


def main():
    options = read_options()
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromModule(importlib.import_module(name))
                               for name in options.scenarios or SCENARIOS)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
