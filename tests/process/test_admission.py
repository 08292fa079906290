#!/usr/bin/python3
"""Keys and rights, with the real programs: who has none, a foreign one, a revoked one, the right one and the wrong rights."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

import harness
import zmq
from harness import Kind, RemoteError, Status
from keyed import Keyed
from raw_zmtp import GREETING, Raw, frame, serve

SEED = int(os.environ.get("PONS_SEED", random.randrange(1 << 32)))


class Admission(Keyed):
    def setUp(self):
        super().setUp()
        self.start_keyed()
        self.operator = self.client("pons", keys=self.keys("pons.here"))

    def never_in(self, keys):
        """A peer with these keys does not get in; returns when the broker has refused it."""
        before = self.counters(self.operator)["KEYS_REFUSED"]
        peer = self.peer("nobody", keys=keys)
        peer.send(Kind.PING, number=1)
        self.wait_counter(self.operator, "KEYS_REFUSED", before + 1)
        self.assertFalse(peer.socket.poll(0))

    def test_who_has_a_key_is_in(self):
        self.start_echo()
        self.assertEqual(self.operator.ask("echo", "say", {"text": "hi"})["text"], "hi")
        self.assertIn('"hi"', self.pons("call", "echo.say", '{"text": "hi"}').stdout)
        self.assertIn("b1", self.pons("--json", "call", "pons.info").stdout)

    def test_a_foreign_key(self):
        self.never_in((*zmq.curve_keypair(), self.public("broker.b1")))
        self.assertIn("PONS-KEY-REFUSED", self.broker.log())
        self.assertIn("a foreign key was refused", self.broker.log())

    def test_a_foreign_key_of_the_command(self):
        public, secret = zmq.curve_keypair()
        with open(self.secret_path("pons.here"), "wb") as file:
            file.write(secret)
        self.assertIn("does not admit the key of this process", self.pons("call", "pons.info", expect=3).stderr)
        self.wait_log(self.broker, public.decode())

    def test_no_key(self):
        before = self.counters(self.operator)["KEYS_REFUSED"]
        peer = self.peer("nobody")
        peer.send(Kind.PING, number=1)
        self.assertTrue(peer.wait_gone())
        raw = Raw(self.endpoint, GREETING)  # libzmq hangs up before it has said all
        self.wait_counter(self.operator, "KEYS_REFUSED", before + 1)
        raw.close()
        self.assertIn("somebody without a key was refused", self.broker.log())
        self.assertIn("only one of broker and this process has keys", self.pons("-e", self.endpoint, "call", "pons.info", expect=3).stderr)

    def test_another_broker_s_key(self):
        self.never_in((*self.keys("echo.here")[:2], zmq.curve_keypair()[0]))

    def test_a_broker_s_key_is_no_client_s(self):
        self.never_in(self.keys("broker.b1"))
        self.assertIn("the key broker.b1 is not for this door", self.broker.log())

    def test_a_key_that_is_revoked_while_it_is_in_use(self):
        peer = self.worker(harness.service("echo", "say"), agent="echo", keys=self.keys("echo.here"))
        keys = self.keys("echo.here")
        self.wait_service(self.operator, "echo")
        self.pons("keys", "revoke", "echo.here")
        self.assertTrue(peer.wait_gone())
        self.never_in(keys)
        self.wait_log(self.broker, "the key echo.here is revoked and was refused")
        self.operator.ask("pons", "info", {})  # nobody else has noticed
        self.assertFalse(os.path.exists(self.secret_path("echo.here")))

    def test_an_agent_whose_key_is_revoked_says_so(self):
        agent = self.start_echo()
        self.pons("keys", "revoke", "echo.here")
        agent.expects = (3,)
        self.assertEqual(agent.wait(), 3)
        self.assertIn("does not admit the key", agent.log())

    def test_a_key_that_is_added_while_it_runs(self):
        self.pons("keys", "add", "late.here", "--call", "pons.info")
        self.wait_log(self.broker, "PONS-KEYS-CHANGED")
        late = self.client("late", keys=self.keys("late.here"))
        self.assertEqual(late.ask("pons", "info", {})["broker"], "b1")

    def refusal(self, peer, ask):
        with self.assertRaises(RemoteError) as caught:
            ask()
        self.assertEqual(caught.exception.status, Status.DENIED)
        return caught.exception.body["message"]

    def test_the_right_key_and_the_wrong_rights(self):
        self.pons("keys", "add", "guest.here", "--call", "echo.say", "--subscribe", "news.*", "--publish", "news.guest")
        self.wait_log(self.broker, "PONS-KEYS-CHANGED")
        self.start_echo()
        guest = self.client("guest", keys=self.keys("guest.here"))
        self.assertEqual(guest.ask("echo", "say", {"text": "hi"})["text"], "hi")
        said = self.refusal(guest, lambda: guest.ask("echo", "fail", {"message": "x"}))
        self.assertEqual(said, "the key guest.here may not call echo.fail; `pons keys list` shows what it may")
        self.refusal(guest, lambda: guest.ask("pons", "stats", {}))
        guest.publish("news.other", b"x", 1)
        self.assertEqual(guest.expect(Kind.ERROR).status, Status.DENIED)
        guest.subscribe(">")
        self.assertEqual(guest.expect(Kind.ERROR).status, Status.DENIED)
        self.assertEqual(self.counters(self.operator)["DENIED"], 4)
        self.assertEqual(self.broker.log().count("PONS-DENIED"), 1)  # it may not fill the log

    def test_the_command_is_told_what_it_may_not_hear_or_say(self):
        path = os.path.join(self.folder, "keys", "keys.yaml")
        with open(path, encoding="utf-8") as file:
            rows = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"(name: \"?pons.here.*?publish: )[^\n]*(\n *subscribe: )[^\n]*", r'\1["news.>"]\2["news.>"]', rows, flags=re.S))
        self.wait_log(self.broker, "PONS-KEYS-CHANGED")
        self.pons("pub", "news.a", "1")
        for command in (["pub", "other.a", "1"], ["sub", ">"]):
            self.assertIn("DENIED: the key pons.here may not", self.pons(*command, expect=1).stderr)

    def test_who_offers_what_it_may_not(self):
        liar = self.peer("echo", keys=self.keys("echo.here"))
        with self.assertRaises(RemoteError) as caught:
            liar.open(harness.service("RequestCoordinator", "chat"))
        self.assertEqual(caught.exception.status, Status.DENIED)
        self.assertIn("echo.here may not serve RequestCoordinator.chat", caught.exception.body["message"])

    def test_nobody_takes_another_s_client_id(self):
        thief = self.peer("pons", client=self.operator.client, incarnation=self.operator.incarnation + 1, keys=self.keys("echo.here"))
        with self.assertRaises(RemoteError) as caught:
            thief.open()
        self.assertEqual(caught.exception.status, Status.FOREIGN_ID)
        self.operator.ask("pons", "info", {})

    def test_a_keys_yaml_that_is_no_good_changes_nothing(self):
        path = os.path.join(self.folder, "keys", "keys.yaml")
        with open(path, encoding="utf-8") as file:
            good = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write("keys: [{name: x")
        self.wait_log(self.broker, "PONS-KEYS-INVALID")
        with open(path, "w", encoding="utf-8") as file:
            file.write(good)
        self.wait_log(self.broker, "PONS-KEYS-CHANGED")
        self.broker.signal(signal.SIGHUP)
        self.client("echo", keys=self.keys("echo.here")).ask("pons", "info", {})

    def test_a_key_file_that_others_may_read(self):
        os.chmod(self.secret_path("echo.here"), 0o644)
        agent = self.start_echo(ready=False)
        agent.expects = (2,)
        self.assertEqual(agent.wait(), 2)
        self.assertIn("others may read it; chmod 600 it", agent.log())

    def test_rubbish_behind_a_key_and_before_one(self):
        """Who has proved who he is is not believed in anything else."""
        rng = random.Random(SEED)
        print(f"seed {SEED}", file=sys.stderr)
        keys = self.keys("echo.here")
        for _ in range(30):
            peer = self.peer("rubbish", keys=keys)
            if rng.random() < 0.5:
                peer.send(Kind.PING, number=1)
            for _ in range(rng.randrange(1, 6)):
                peer.socket.send_multipart([rng.randbytes(rng.randrange(0, 300)) for _ in range(rng.randrange(1, 5))])
            self.operator.ask("pons", "info", {})
            peer.close()
        hello = GREETING.replace(b"NULL\0", b"CURVE")
        raws = [Raw(self.endpoint, start + rng.randbytes(rng.randrange(300))) for _ in range(10)
                for start in (b"", hello, hello + b"\x04\xc8\x05HELLO\x01\x00", hello + frame(b"\x08INITIATE" + rng.randbytes(248), 4))]
        serve(raws, lambda: all(raw.gone or not raw.left for raw in raws), timeout_s=5)
        self.operator.ask("pons", "info", {})
        for raw in raws:
            raw.close()


class Durable(Keyed):
    def test_the_rights_of_who_submits(self):
        """The broker delivers it, but nobody gets more rights by that."""
        self.start_keyed(environment={"PONS_AUTHORITY_NODE": "alone"})
        self.pons("keys", "add", "guest.here", "--call", "pons.durable.*,echo.say")
        self.wait_log(self.broker, "PONS-KEYS-CHANGED")
        guest = self.client("guest", keys=self.keys("guest.here"))
        wish = {"service": "echo", "body": harness.packed({"text": "x"}), "idempotent": True}
        self.assertIn("id", guest.ask("pons.durable", "submit", {**wish, "method": "say"}))
        with self.assertRaises(RemoteError) as caught:
            guest.ask("pons.durable", "submit", {**wish, "method": "work"})
        self.assertEqual((caught.exception.status, caught.exception.body["code"]), (Status.DENIED, "denied"))

    def test_bodies_are_shown_to_whom_that_right_was_given(self):
        """An agent may call everything, and that is not meant."""
        self.start_keyed(environment={"PONS_AUTHORITY_NODE": "alone"})
        self.pons("keys", "add", "mail.here")
        self.pons("keys", "add", "auditor.here", "--call", "pons.durable.show")
        self.wait_log(self.broker, "PONS-KEYS-CHANGED")
        mail = self.client("mail", keys=self.keys("mail.here"))
        kept = mail.ask("pons.durable", "submit", {"service": "nobody", "method": "listens", "body": harness.packed({"text": "for your eyes"}), "idempotent": True})
        self.assertEqual([row["id"] for row in mail.ask("pons.durable", "list", {"state": "live"})["rows"]], [kept["id"]])
        with self.assertRaises(RemoteError) as caught:
            mail.ask("pons.durable", "show", {"id": kept["id"]})
        self.assertEqual(caught.exception.status, Status.DENIED)
        self.assertEqual(caught.exception.body["message"],
                         "the key mail.here may not call pons.durable.show; no * includes it: write it out under `call` in keys.yaml")
        wish = {"service": "pons.durable", "method": "show", "body": harness.packed({"id": kept["id"]}), "idempotent": True}
        with self.assertRaises(RemoteError) as caught:
            mail.ask("pons.durable", "submit", wish)  # the broker does not ask for it either
        self.assertEqual(caught.exception.status, Status.DENIED)
        auditor = self.client("auditor", keys=self.keys("auditor.here"))
        self.assertIn(b"for your eyes", auditor.ask("pons.durable", "show", {"id": kept["id"]})["body"])
        self.assertIn("for your eyes", self.pons("deadletter", "show", kept["id"]).stdout)  # who made the keys is the operator


class Secrets(Keyed):
    """Nothing that somebody may see has a secret key in it."""

    def test_secrets_are_seen_by_nobody(self):
        self.start_keyed(environment={"PONS_LOG_LEVEL": "debug"})
        agent = self.start_echo()
        names = [row["name"] for row in self.pons("--json", "keys", "list").json["keys"]]
        secrets = [self.secret(name) for name in names]
        self.assertEqual(len(secrets), self.made["made"])
        shown = [self.pons("keys", "list").stdout, self.pons("--json", "keys", "list").stdout, self.pons("config", "check", "--show").stdout,
                 self.pons("--json", "call", "pons.stats").stdout, self.pons("keys", "add", "more.here").stdout,
                 self.broker.log(), agent.log()]
        for pid in (self.broker.pid, agent.pid):
            for file in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{file}", "rb") as opened:
                    shown.append(opened.read().decode(errors="replace"))
        with open(os.path.join(self.folder, "keys", "keys.yaml"), encoding="utf-8") as file:
            shown.append(file.read())
        for secret in [*secrets, self.secret("more.here")]:
            for text in shown:
                self.assertNotIn(secret.decode(), text)
        for name in os.listdir(os.path.join(self.folder, "keys")):
            if name.endswith(".key"):
                self.assertEqual(os.stat(os.path.join(self.folder, "keys", name)).st_mode & 0o777, 0o600)


class Start(Keyed):
    """What a broker does not start with."""

    def refused(self, words, *arguments, config=None, **environment):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.config if config is None else config)
        broker = self.start("pons-broker", "--config", self.path, "--name", "b1", "--site", "here", *arguments, ready=False, environment=environment)
        broker.expects = (2,)
        self.assertEqual(broker.wait(), 2)
        self.assertIn(words, broker.log())

    def test_beyond_loopback_without_keys(self):
        port = harness.free_port()
        words = "listens beyond loopback without keys"
        self.refused(words, "--listen", f"tcp://0.0.0.0:{port}", config="site: here\n")
        self.refused(words, config=f'broker: {{listen: ["tcp://0.0.0.0:{port}"]}}\n')
        self.start_broker(endpoints=[f"tcp://0.0.0.0:{port}"], environment={"PONS_BROKER_INSECURE": "true"})

    def test_beyond_loopback_with_keys(self):
        port = harness.free_port()
        self.start_keyed(endpoints=[f"tcp://0.0.0.0:{port}"])
        self.client("pons", endpoint=f"tcp://127.0.0.1:{port}", keys=self.keys("pons.here")).ask("pons", "info", {})

    def test_keys_that_are_not_there(self):
        os.unlink(self.secret_path("broker.b1"))
        self.refused("broker.b1.key: can't be used: No such file or directory")
        os.unlink(os.path.join(self.folder, "keys", "keys.yaml"))
        self.refused("keys.yaml: there are no keys yet; `pons keys init` makes them")

    def test_a_key_that_is_not_its_own(self):
        with open(self.secret_path("broker.b1"), "wb") as file:
            file.write(zmq.curve_keypair()[1])
        self.refused("is not the key that keys.yaml has as broker.b1")

    def test_a_right_that_is_no_pattern(self):
        self.pons("keys", "add", "odd.here", "--call", "a.b*c")
        self.refused("the key odd.here has the right 'a.b*c', which is no pattern")


class Command(Keyed):
    """`pons keys`, and a fleet that it is for."""

    EXTRA = "client: {endpoints: [\"ipc://bus\"]}\n"

    def test_init_twice_changes_nothing(self):
        before = self.pons("keys", "list").stdout
        self.assertEqual(self.pons("--json", "keys", "init").json["made"], 0)
        self.assertEqual(self.pons("keys", "list").stdout, before)

    def test_what_it_refuses(self):
        self.assertIn("there is a key echo.here", self.pons("keys", "add", "echo.here", expect=1).stderr)
        self.assertIn("there is no key nobody", self.pons("keys", "revoke", "nobody", expect=1).stderr)
        self.assertIn("is no name of a key", self.pons("keys", "add", "a b", expect=2).stderr)
        self.assertIn("--role is", self.pons("keys", "add", "x", "--role", "king", expect=2).stderr)
        for arguments in (("add",), ("list", "x"), ("revoke",), ("dance",)):
            self.assertIn("usage: pons keys", self.pons("keys", *arguments, expect=2).stderr)
        self.run_environment["PONS_KEYS_DIR"] = os.path.join(self.folder, "none")
        self.assertIn("`pons keys init` makes it", self.pons("keys", "list", expect=1).stderr)

    def test_who_adds_at_the_same_time(self):
        """Nobody writes over what another has just written."""
        names = [f"guest.{number}" for number in range(8)]
        adders = [subprocess.Popen([harness.program("pons"), "keys", "add", name], env=self.run_environment, cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for name in names]
        self.assertEqual([adder.wait(harness.DEADLINE_S) for adder in adders], [0] * len(names))
        self.assertLessEqual(set(names), {row["name"] for row in self.pons("--json", "keys", "list").json["keys"]})

    def test_a_key_of_another_machine(self):
        public, _ = zmq.curve_keypair()
        row = self.pons("--json", "keys", "add", "echo.pc2", "--public", public.decode()).json
        self.assertEqual((row["public"], row["secret_here"], row["serve"]), (public.decode(), False, ["echo", "Echo"]))
        revoked = self.pons("--json", "keys", "revoke", "echo.pc2").json
        self.assertTrue(revoked["revoked"])

    def test_a_whole_fleet(self):
        self.pons("keys", "init")
        up = self.start("pons", "--config", self.path, "up", "--profile", "core", ready=False)
        self.wait_log(up, "all 2 ready")
        self.assertIn('"hi"', self.pons("call", "echo.say", '{"text": "hi"}').stdout)
        self.assertIn("echo", self.pons("status").stdout)
        self.pons("down")

    @unittest.skipUnless(harness.has("pons-gateway"), "the gateway is not built")
    def test_the_gateway(self):
        self.start_keyed()
        port = harness.free_port()
        gateway = self.start("pons-gateway", "--endpoint", self.address(), environment={
            "PONS_AGENT_KEY": self.secret_path("gateway.here"), "PONS_CONFIG": self.path, "PONS_GATEWAY_LISTEN": f"tcp://127.0.0.1:{port}"})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=harness.DEADLINE_S) as answer:
            self.assertEqual(answer.status, 200)
        operator = self.client("pons", keys=self.keys("pons.here"))
        self.wait_service(operator, "Gateway")
        self.assertTrue(gateway.alive)


class Pair(Keyed):
    """Two brokers and a witness."""

    def setUp(self):
        super().setUp()
        self.ports = {name: harness.free_port() for name in ("b1", "b2", "witness")}
        self.pons("keys", "add", "broker.b2", "--role", "broker")
        self.pons("keys", "add", "witness", "--role", "witness")

    def address_of(self, node):
        return f"tcp://127.0.0.1:{self.ports[node]}"

    def start_node(self, node, **more):
        other = {"b1": "b2", "b2": "b1"}[node]
        environment = {"PONS_AUTHORITY_NODE": "ab"[node == "b2"], "PONS_AUTHORITY_LISTEN": self.address_of(node), "PONS_AUTHORITY_PEER": self.address_of(other),
                       "PONS_AUTHORITY_WITNESS": self.address_of("witness"), **more}
        return self.start_broker(config=self.config, name=node, endpoints=[f"ipc://{self.folder}/{node}"], environment=environment)

    def asker(self, node):
        return self.client("pons", endpoint=f"ipc://{self.folder}/{node}", keys=self.keys("pons.here", f"broker.{node}"))

    def wait_status(self, asker, fits):
        due = time.monotonic() + harness.DEADLINE_S
        while not fits(status := asker.ask("pons.authority", "status", {})):
            self.assertLess(time.monotonic(), due, status)
            asker.socket.poll(5)

    def test_they_link_and_one_leads(self):
        self.start("pons-broker", "--config", self.path, "--witness", environment={"PONS_AUTHORITY_WITNESS_LISTEN": self.address_of("witness")})
        b1 = self.start_node("b1")
        self.start_node("b2")
        askers = {node: self.asker(node) for node in ("b1", "b2")}
        for asker in askers.values():
            self.wait_status(asker, lambda status: status["linked"] and status["leader"])
        b1.kill()  # the other one leads by the witness's vote, which came with keys
        self.wait_status(askers["b2"], lambda status: status["state"] == "leader")

    def test_a_peer_without_keys_is_none(self):
        self.start_node("b1")
        path = os.path.join(self.folder, "clear.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("site: there\n")
        clear = self.start_broker(name="b2", endpoints=[f"ipc://{self.folder}/b2"], environment={"PONS_CONFIG": path,
            "PONS_AUTHORITY_NODE": "b", "PONS_AUTHORITY_LISTEN": self.address_of("b2"), "PONS_AUTHORITY_PEER": self.address_of("b1")})
        self.wait_log(clear, "PONS-PEER-KEY")
        self.assertFalse(self.asker("b1").ask("pons.authority", "status", {})["linked"])

    def test_a_revoked_broker_is_none(self):
        b1 = self.start_node("b1")
        b2 = self.start_node("b2")
        asker = self.asker("b1")
        self.wait_status(asker, lambda status: status["linked"])
        self.pons("keys", "revoke", "broker.b2")
        self.wait_status(asker, lambda status: not status["linked"])
        self.wait_log(b1, "the key broker.b2 is revoked and was refused")
        self.wait_log(b2, "PONS-PEER-KEY")


if __name__ == "__main__":
    harness.main()
