#!/usr/bin/python3
"""Clients and agents of the Python package where brokers have keys: who is let in, and what is said to who is not."""

import os

import parts
import pons
import zmq
import keyed
from parts import harness

ZOO = os.path.join(parts.HERE, "test_agent.py")
LARGE = 600_000


class WithKeys(harness.Fleet):
    """A broker that this test plays: what matters is who is let in, and what is said about who is not."""

    BROKER = False

    def setUp(self):
        super().setUp()
        self.public, secret = zmq.curve_keypair()
        mine, my_secret = zmq.curve_keypair()
        self.key = os.path.join(self.folder, "me.key")
        with open(os.open(self.key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(my_secret + b"\n")
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.curve_server, self.router.curve_secretkey = True, secret
        self.port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.addCleanup(self.context.destroy, 0)

    def endpoint_of(self, public):
        return f"tcp://127.0.0.1:{self.port}|{public.decode()}"

    def test_let_in(self):
        with pons.Client(self.endpoint_of(self.public), "me", key=self.key):
            self.assertTrue(self.router.poll(30000))
            self.assertEqual(harness.msgpack.unpackb(self.router.recv_multipart()[1])[0], harness.Kind.HELLO)

    def test_another_broker_than_meant(self):
        with pons.Client(self.endpoint_of(zmq.curve_keypair()[0]), "me", key=self.key) as bus:
            with self.assertRaises(TimeoutError):
                bus.wait_open(1)
            self.assertFalse(self.router.poll(0))

    def test_only_one_has_keys(self):
        """libzmq as the other side may hang up before it has said its mechanism, and then nothing is sure."""
        with pons.Client(f"tcp://127.0.0.1:{self.port}", "me") as bus:
            with self.assertRaisesRegex(TimeoutError, "only one of broker and this process has keys"):
                bus.wait_open(1)
        for endpoint, key in ((f"tcp://127.0.0.1:{self.port}", self.key), (self.endpoint_of(self.public), None)):
            with self.assertRaisesRegex(ValueError, "behind a bar"):
                pons.Client(endpoint, "me", key=key)

    def test_a_file_that_is_no_key(self):
        for mode, text, why in ((0o644, bytes(40), "others may read it"), (0o600, b"short", "not a key"), (0o600, b" " * 40, "not a key")):
            path = os.path.join(self.folder, "bad.key")
            with open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), "wb") as file:
                file.write(text)
            os.chmod(path, mode)
            with self.assertRaisesRegex(pons.BadKey, why):
                pons.Client(self.endpoint_of(self.public), "me", key=path)
            agent = self.start(parts.PYTHON, ZOO, "agent", "--endpoint", self.endpoint_of(self.public), "--key", path, ready=False)
            agent.expects = (2,)
            self.assertEqual(agent.wait(), 2)
            self.assertIn(why, agent.log())


class KeyedBroker(keyed.Keyed):
    """A client and an agent in Python at a broker that has keys."""

    def setUp(self):
        super().setUp()
        self.pons("keys", "add", "zoo.here", "--serve", "zoo", "--call", "*", "--subscribe", ">")
        self.pons("keys", "add", "guest.here", "--call", "zoo.size")
        self.start_keyed()
        self.zoo = self.start(parts.PYTHON, ZOO, "agent", "--endpoint", self.address(), "--key", self.secret_path("zoo.here"))

    def guest(self, **how):
        bus = pons.Client(self.address(), "guest", key=self.secret_path("guest.here"), **how)
        self.addCleanup(bus.close)
        return bus

    def test_each_may_do_what_its_key_may(self):
        bus = self.guest()
        self.assertEqual(bus.ask("zoo.size", {"data": b"abc"}, attempts=20), {"size": 3})
        self.assertEqual(bus.ask("zoo.size", {"data": bytes(LARGE)}), {"size": LARGE})
        with self.assertRaises(pons.Denied) as caught:
            bus.ask("zoo.seen")
        self.assertIn("guest.here", str(caught.exception))
        with self.assertLogs("pons", "WARNING") as logs:  # what has no answer of its own
            bus.subscribe("news.*")
            bus.ask("zoo.size", {"data": b""})
        self.assertIn("DENIED", logs.output[0])

    def test_who_is_revoked_is_out(self):
        bus = self.guest()
        bus.ask("zoo.size", {"data": b""}, attempts=20)
        self.pons("keys", "revoke", "guest.here")
        with self.assertRaises((pons.Unavailable, pons.Unknown)):
            while True:
                bus.ask("zoo.size", {"data": b""}, deadline_s=1)
        with self.assertRaisesRegex(TimeoutError, "does not admit the key"):
            bus.wait_open(2)

    def test_an_agent_that_is_revoked_ends_and_says_why(self):
        secret = self.secret("zoo.here").decode()
        self.pons("keys", "revoke", "zoo.here")
        self.zoo.expects = (3,)
        self.assertEqual(self.zoo.wait(), 3)
        self.assertIn("does not admit the key", self.zoo.log())
        self.assertNotIn(secret, self.zoo.log())

    def test_an_agent_that_may_not_serve_that(self):
        wrong = self.start(parts.PYTHON, ZOO, "agent", "--endpoint", self.address(), "--key", self.secret_path("guest.here"), ready=False)
        wrong.expects = (3,)
        self.assertEqual(wrong.wait(), 3)
        self.assertIn("DENIED", wrong.log())


if __name__ == "__main__":
    harness.main()
