# SPDX-License-Identifier: MIT
"""Processes of other users: refused on both sides of both channels unless they are allowed."""

import os
import stat

import harness
import sp
from harness import link
from users import NEEDS_ROOT, ONE, OTHER, UsersTest, as_user, become


@NEEDS_ROOT
class Users(UsersTest):
    def start_remote_of(self, user, **environment):
        """A process of that user, which will be the module `echo`."""
        self.environment.update(environment)
        return self.start("remote", self.copy_of(harness.WEIR), "host", "control", **as_user(user))

    def echo(self, **entrypoint):
        """The module, as a gateway knows it: it publishes what it gets."""
        library = self.copy_of(harness.MODULES["pass"])
        args = {"outprocess.loader": {"entrypoint": {"module.path": library}}}
        return harness.remote("echo", "control", args, **entrypoint)

    def gateway_of(self, user, modules, links=(), name="weir"):
        config = self.write_config(modules, links)
        os.chmod(self.path(config), 0o644)
        kept = self.environment
        self.environment = self.run_folder_of(user)
        try:
            return self.start(name, self.copy_of(harness.WEIR), "run", config, **as_user(user))
        finally:
            self.environment = kept

    def test_remote_of_another_user_is_refused_with_its_number(self):
        """Also by a gateway that has said already that it waits for one."""
        gateway = self.start_gateway([self.echo()])
        gateway.wait_for("waiting for a remote module at 'control'")
        self.start_remote_of(ONE)
        gateway.wait_for(f"it belongs to user {ONE}; only this user's processes, root's")
        self.assertNotIn("attached", gateway.err())
        gateway.stop()

    def check_attached(self, **entrypoint):
        self.start_remote_of(ONE)
        gateway = self.start_gateway(
            [harness.logger(), self.echo(**entrypoint), harness.hello_world()],
            [link("hello_world", "echo"), link("echo", "logger")])
        self.wait_for_messages()
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    def test_allowed_user_is_served(self):
        self.check_attached(**{"allow.users": [OTHER, ONE]})

    def test_allowed_user_may_be_a_number_as_text(self):
        self.check_attached(**{"allow.users": [str(ONE)]})

    def test_defaults_of_the_loader_allow_users(self):
        self.start_remote_of(ONE)
        gateway = self.start_gateway(
            [self.echo()],
            loaders=[{"type": "outprocess", "name": "outprocess",
                      "configuration": {"allow.users": [ONE]}}])
        gateway.wait_for("attached the remote module")
        gateway.stop()

    def test_message_channel_of_another_user_is_refused(self):
        """The control channel is root's; who listens at the message channel is somebody else."""
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway(
                [self.echo(**{"message.id": "messages", "timeout": 3000})])
            with listener.accept() as control:
                control.greet()
                control.expect_control(sp.CREATE)
                with become(ONE, lambda: sp.Listener(self.path("messages"))):
                    control.send(sp.frame(sp.reply(sp.CREATED)))
                    gateway.wait_for(f"it belongs to user {ONE}; only this user's")
                self.assertNotIn("attached", gateway.err())
                gateway.stop()

    def test_gateway_of_another_user_cannot_even_connect(self):
        """The sockets are this user's alone (0600) as long as no other is allowed."""
        self.start_remote_of(ONE)
        harness.wait_until(lambda: os.path.exists(self.path("control")), "the control socket")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("control")).st_mode), 0o600)
        gateway = self.gateway_of(OTHER, [self.echo(**{"allow.users": [ONE]})])
        gateway.wait_for("Permission denied")
        gateway.stop()

    def test_gateway_that_the_remote_allows_is_served(self):
        self.start_remote_of(ONE, WEIR_ALLOW_USERS=f"0,{OTHER}")
        harness.wait_until(lambda: self.mode_of("control") == 0o666, "the shared control socket")
        gateway = self.gateway_of(
            OTHER, [self.copied("hello_world", {"interval.ms": 10}),
                    self.echo(**{"allow.users": [ONE], "message.id": "messages"}),
                    self.copied("logger", {"filename": "logger.txt"})],
            [link("hello_world", "echo"), link("echo", "logger")])
        self.wait_for_messages()
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    def copied(self, module, args):
        return {"name": module, "args": args,
                "loader": {"name": "native", "entrypoint": {
                    "module.path": self.copy_of(harness.MODULES[module])}}}

    def test_remote_refuses_a_user_that_it_does_not_allow(self):
        """Where it allows another one, its socket lets everybody connect; then this check counts."""
        remote = self.start_remote_of(ONE, WEIR_ALLOW_USERS=str(OTHER + 1))
        harness.wait_until(lambda: self.mode_of("control") == 0o666, "the shared control socket")
        with become(OTHER, lambda: sp.connect(self.path("control"))) as stranger:
            stranger.wait_for_end()
        remote.wait_for(f"a connection is refused: it belongs to user {OTHER}")

    def mode_of(self, name):
        try:
            return stat.S_IMODE(os.stat(self.path(name)).st_mode)
        except FileNotFoundError:
            return None


class Names(harness.WeirTest):
    def test_unknown_user_in_the_environment_ends_the_remote_with_words(self):
        self.environment["WEIR_ALLOW_USERS"] = "root,no-such-user"
        program = self.run_to_end("remote", harness.WEIR, "host", "control")
        self.assertEqual(program.process.returncode, 1)
        self.assertIn("there is no user 'no-such-user'", program.err())

    def test_unknown_users_are_mistakes_with_their_place(self):
        config = self.write_config([harness.remote("echo", "control",
                                                   **{"allow.users": ["no-such-user"]})])
        program = self.run_to_end("check", harness.WEIR, "check", config)
        self.assertEqual(program.process.returncode, 1)
        self.assertRegex(program.err() + program.out(),
                         r'gateway.json:\d+:\d+: modules\[0\]\.loader\.entrypoint'
                         r'\["allow\.users"\]\[0\]: there is no user \'no-such-user\'')


if __name__ == "__main__":
    harness.main()
