# SPDX-License-Identifier: MIT
"""Programs that run as another user. Only root can start them, so tests that need one are skipped
for everybody else. The build may lie where other users cannot go: they get copies."""

import glob
import os
import shutil
import unittest

import harness

# Numbers of no user of the system.
ONE, OTHER = 61234, 61235
NEEDS_ROOT = unittest.skipUnless(os.geteuid() == 0, "only root can run programs as another user")


def as_user(number):
    """Options to start a program with."""
    return {"user": number, "group": number, "extra_groups": []}


def become(number, action):
    """What the action returns, done by this thread as that user: sockets that it connects or makes
    are that user's for ever."""
    os.setegid(number)
    os.seteuid(number)
    try:
        return action()
    finally:
        os.seteuid(0)
        os.setegid(0)


class UsersTest(harness.WeirTest):
    """A test whose folder is open to all users, with copies of the programs in it."""

    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o777)
        self.bin = self.path("bin")
        os.mkdir(self.bin, 0o755)
        for path in (harness.WEIR, harness.PROXY_SAMPLE_REMOTE, *harness.MODULES.values(),
                     *glob.glob(os.path.join(harness.BUILD, "src", "libweir*.so*"))):
            shutil.copy(path, self.bin)
        self.environment["LD_LIBRARY_PATH"] = self.bin

    def copy_of(self, path):
        return os.path.join(self.bin, os.path.basename(path))

    def run_folder_of(self, number):
        """A place for the run-time files of that user's programs."""
        path = self.path(f"run-{number}")
        os.mkdir(path, 0o700)
        os.chown(path, number, number)
        return {**self.environment, "XDG_RUNTIME_DIR": path, "TMPDIR": path}
