#!/usr/bin/python3
"""Durable requests with real brokers: what was acknowledged is done, whatever dies; what can't be done is shown, and a full or a damaged disk
is said by name. echo.work counts how often it was done."""

import glob
import json
import os
import sqlite3
import subprocess
import time

import harness
from harness import RemoteError, packed
import test_authority as authority

FAST = {"PONS_DURABLE_BACKOFF_MS": "100", "PONS_DURABLE_BACKOFF_LONGEST_MS": "200", "PONS_DURABLE_ATTEMPTS": "3"}


class Durable:
    """What both worlds are asked."""

    ENVIRONMENT = {**harness.PATIENT_HEARTBEATS, **FAST}

    def submit(self, node, target="echo.work", body=None, idempotent=True, **more):
        service, method = target.rsplit(".", 1)
        return self.ask(node, "pons.durable", "submit", service=service, method=method, body=packed(body or {}), idempotent=idempotent, **more)

    def ended(self, node, kept):
        """The reply of a durable request that is done."""
        return harness.msgpack.unpackb(self.ask(node, "pons.durable", "await", id=kept["id"])["body"])

    def wait_row(self, node, kept, fits, state="all"):
        """Asks until the request's row fits."""
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            rows = [row for row in self.ask(node, "pons.durable", "list", state=state)["rows"] if row["id"] == kept["id"]]
            if rows and fits(rows[0]):
                return rows[0]
            self.assertLess(time.monotonic(), due, rows)
            self.asker(node).socket.poll(5)

    def durable_status(self, node):
        return self.ask(node, "pons.durable", "status")

    def wait_durable(self, node, fits):
        due = time.monotonic() + harness.DEADLINE_S
        while not fits(status := self.durable_status(node)):
            self.assertLess(time.monotonic(), due, f"{node}: {status}")
        return status

    def wait_dead(self, node, kept):
        return self.wait_row(node, kept, lambda row: row["state"] == "dead")

    def pons(self, node, *words, expect=0):
        done = subprocess.run([harness.program("pons"), "--endpoint", f"ipc://{self.folder}/{node}", *words], capture_output=True, text=True,
                              timeout=harness.DEADLINE_S, cwd=self.folder,
                              env={**os.environ, **harness.SANITIZERS, "PONS_RUNTIME_DIR": self.folder})
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def done(self, node, agent="echo"):
        """How often work was done, by what the agent counts; the question counts itself."""
        return self.ask(node, f"echo@{agent}", "work")["done"] - 1


class One(Durable, authority.Pair):
    """A broker that is alone."""

    WITNESS = False

    def environment(self, node, **more):
        return {**self.ENVIRONMENT, **authority.TIMES, "PONS_STATE_DIR": self.state, "PONS_AUTHORITY_NODE": "alone", **more}

    def agent(self, name="echo"):
        return self.start("pons-agent-echo", "--endpoint", f"ipc://{self.folder}/a", "--name", name)

    def setUp(self):
        super().setUp()
        self.start_node("a")
        self.wait_leads("a")

    def tamper(self, sql):
        self.nodes["a"].kill()
        (path,) = glob.glob(f"{self.state}/durable-*.db")
        db = sqlite3.connect(path)
        db.execute(sql)
        db.commit()
        db.close()
        self.start_node("a")

    def spoil(self):
        self.nodes["a"].kill()
        (path,) = glob.glob(f"{self.state}/durable-*.db")
        with open(path, "r+b") as file:
            file.write(b"\0" * 4096)
        self.start_node("a")


class Life(One):
    def test_it_is_done_and_its_end_is_kept(self):
        self.agent()
        kept = self.submit("a", "echo.say", {"text": "later"})
        self.assertEqual(kept["copies"], 1)
        self.assertEqual(self.ended("a", kept)["text"], "later")
        self.assertEqual(self.ended("a", kept)["text"], "later")  # and again
        self.assertEqual(self.durable_status("a")["done"], 1)
        self.assertEqual(self.submit("a", "echo.say", {"text": "later"}, id=kept["id"]), kept)  # the same one, not another
        self.assertEqual(self.durable_status("a")["rows"], 1)

    def test_what_was_acknowledged_survives_kill_9(self):
        """Nobody was there to do it; the broker is killed as soon as it has said that it keeps it."""
        kept = [self.submit("a") for _ in range(20)]
        self.nodes["a"].kill()
        self.start_node("a")
        self.assertEqual(self.durable_status("a")["waiting"], 20)
        self.agent()
        for one in kept:
            self.ended("a", one)
        self.assertEqual(self.done("a"), 20)

    def test_a_broker_killed_in_mid_work(self):
        """The instance goes on, and the new broker finds that it has it: done once, though it was delivered twice."""
        self.agent()
        kept = self.submit("a", body={"wait_ms": 1500})
        self.wait_durable("a", lambda status: status["delivering"] == 1)
        self.wait_counter(self.asker("a"), "REQUESTS", 1)
        self.nodes["a"].kill()
        self.start_node("a")
        self.assertEqual(self.ended("a", kept)["done"], 1)
        self.assertEqual(self.done("a"), 1)

    def test_once_is_not_delivered_again_when_nobody_can_know(self):
        """Its instance dies with it in hand: UNKNOWN, a dead letter, and never done again by itself."""
        first = self.agent("first")
        kept = self.submit("a", body={"wait_ms": 20000}, idempotent=False)
        self.wait_row("a", kept, lambda row: row["state"] == "begun")
        self.wait_durable("a", lambda status: status["delivering"] == 1)
        first.kill()
        row = self.wait_dead("a", kept)
        self.assertEqual(row["status"], "UNKNOWN")
        self.agent("second")
        self.assertEqual(self.refused("a", "pons.durable", "await", id=kept["id"]), ("UNKNOWN", "dead_letter"))
        self.assertEqual(self.done("a", "second"), 0)

    def test_once_that_waits_is_no_unknown(self):
        """It is on disk that it was never begun, so a restart of everything costs nothing."""
        kept = self.submit("a", idempotent=False)
        self.wait_row("a", kept, lambda row: row["state"] == "waiting" and row["status"] == "NO_SERVICE")
        self.submit("a", "nobody.listens")  # on disk behind that
        self.nodes["a"].kill()
        self.start_node("a")
        self.agent()
        self.assertEqual(self.ended("a", kept)["done"], 1)

    def test_attempts_then_a_dead_letter_and_what_a_person_does_with_it(self):
        self.agent()
        kept = self.submit("a", "echo.fail", {"status": 20, "message": "the printer is on fire"})
        row = self.wait_dead("a", kept)
        self.assertEqual((row["attempts"], row["status"], row["message"]), (3, "INTERNAL", "the printer is on fire"))
        self.assertEqual(self.ask("a", "pons.durable", "list")["total"], 1)  # without a state: dead letters
        self.assertEqual(self.refused("a", "pons.durable", "await", id=kept["id"]), ("INTERNAL", "dead_letter"))  # it is on disk, and said
        self.assertIn("is a dead letter", self.nodes["a"].log())
        self.ask("a", "pons.durable", "requeue", id=kept["id"])
        self.assertEqual(self.wait_dead("a", kept)["tries"], 6)
        shown = self.ask("a", "pons.durable", "show", id=kept["id"])
        self.assertEqual(harness.msgpack.unpackb(shown["body"])["message"], "the printer is on fire")
        self.ask("a", "pons.durable", "drop", id=kept["id"])
        self.assertEqual(self.ask("a", "pons.durable", "list")["total"], 0)
        self.assertEqual(self.refused("a", "pons.durable", "await", id=kept["id"]), ("REFUSED", "durable_dropped"))
        self.assertEqual(self.refused("a", "pons.durable", "drop", id=kept["id"]), ("REFUSED", "not_dead"))
        self.assertEqual(self.refused("a", "pons.durable", "show", id="0123456789abcdef-1"), ("REFUSED", "durable_unknown"))
        self.nodes["a"].terminate()
        self.nodes["a"].wait()
        self.start_node("a")
        self.assertEqual(self.ask("a", "pons.durable", "list")["total"], 0)

    def test_a_deadline_ends_it(self):
        kept = self.submit("a", "nobody.listens", deadline_us=300000)
        row = self.wait_dead("a", kept)
        self.assertEqual((row["status"], row["attempts"]), ("DEADLINE", 0))
        self.assertIn("NO_SERVICE", row["message"])

    def test_what_would_fail_again_fails_at_once(self):
        self.agent()
        row = self.wait_dead("a", self.submit("a", "echo.say", {"txet": "?"}))
        self.assertEqual((row["status"], row["attempts"], row["tries"]), ("INVALID", 0, 1))
        self.assertEqual(self.refused("a", "pons.durable", "submit", service="echo@*", method="say", body=b""), ("REFUSED", "durable_to_all"))
        self.assertEqual(self.refused("a", "pons.durable", "submit", service="echo", method="say", body=b"", id="xyz"), ("INVALID", "bad_id"))

    def test_too_many_are_refused_by_name(self):
        self.nodes["a"].kill()
        self.start_node("a", PONS_DURABLE_ROWS="2")
        self.submit("a"), self.submit("a")
        with self.assertRaises(RemoteError) as caught:
            self.submit("a")
        self.assertEqual((caught.exception.status.name, caught.exception.body["code"]), ("LIMIT", "durable_full"))
        self.assertEqual(self.durable_status("a")["waiting"], 2)

    def test_a_flipped_bit_is_named_and_the_others_go_on(self):
        bad, good = self.submit("a"), self.submit("a")
        self.tamper(f"UPDATE rows SET value = x'ff' || substr(value, 2) WHERE key = 'durable/{bad['id']}'")
        self.assertIn("checksum does not fit at row durable/", self.nodes["a"].log())
        rows = self.ask("a", "pons.durable", "list")["rows"]
        self.assertEqual([row["state"] for row in rows], ["damaged"])
        self.assertIn(bad["id"], rows[0]["message"])
        self.assertEqual(self.durable_status("a")["damaged"], 1)
        self.nodes["a"].kill()  # it is named until a person has dropped it
        self.start_node("a")
        (row,) = self.ask("a", "pons.durable", "list")["rows"]
        self.assertGreater(len(self.ask("a", "pons.durable", "show", id=row["id"])["body"]), 10)
        self.agent()
        self.ended("a", good)
        self.assertEqual(self.refused("a", "pons.durable", "requeue", id=row["id"]), ("REFUSED", "not_dead"))
        self.ask("a", "pons.durable", "drop", id=row["id"])
        self.nodes["a"].kill()
        self.start_node("a")
        self.assertEqual(self.ask("a", "pons.durable", "list")["rows"], [])
        self.assertNotIn("damaged", self.nodes["a"].log())

    def test_a_missing_row_is_named(self):
        gone = self.submit("a")
        self.tamper(f"DELETE FROM rows WHERE key = 'durable/{gone['id']}'")
        (row,) = self.ask("a", "pons.durable", "list")["rows"]
        self.assertEqual(row["state"], "damaged")
        self.assertIn("rows are missing", row["message"])

    @harness.unittest.skipUnless(subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0,
                                 "this machine makes no namespaces")
    def test_a_full_disk_refuses_by_name_and_goes_on_when_there_is_room(self):
        self.nodes["a"].kill()
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        self.nodes["a"] = self.start("/usr/bin/unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0" && exec "$@"', disk,
                                     harness.program("pons-broker"), "--name", "broker-a", "--site", "a", "--listen", f"ipc://{self.folder}/a",
                                     environment=self.environment("a", PONS_STATE_DIR=disk))
        self.askers.clear()
        self.wait_leads("a")
        kept = self.submit("a")
        ballast = f"/proc/{self.nodes['a'].pid}/root{disk}/ballast"
        with open(ballast, "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(bytes(4096))
        with self.assertRaises(RemoteError) as caught:
            for _ in range(20):  # what is free inside the file is used up first
                self.submit("a", "echo.say", {"text": "x" * 50000})
        self.assertEqual((caught.exception.status.name, caught.exception.body["code"]), ("FAILED", "no_disk"))
        self.assertIn("full", caught.exception.body["message"])
        self.assertIn("full", self.durable_status("a")["disk"])
        self.assertEqual(self.refused("a", "pons.durable", "submit", service="echo", method="say", body=b""), ("FAILED", "no_disk"))
        before = self.durable_status("a")["waiting"]
        os.unlink(ballast)
        self.wait_durable("a", lambda status: status["disk"] == "")
        self.assertIn("takes durable requests again", self.nodes["a"].log())
        self.agent()
        self.ended("a", kept)
        self.wait_durable("a", lambda status: status["done"] == before)  # and nothing else than what was acknowledged

    def test_a_file_that_is_none_refuses_by_name_and_costs_nothing_else(self):
        self.spoil()
        self.wait_leads("a")  # authority has a file of its own
        with self.assertRaises(RemoteError) as caught:
            self.submit("a")
        self.assertEqual((caught.exception.status.name, caught.exception.body["code"]), ("FAILED", "no_disk"))
        self.assertNotEqual(self.durable_status("a")["disk"], "")
        self.assertNotEqual(self.ask("a", "pons.durable", "list")["disk"], "")
        self.assertIn("keeps no durable requests", self.nodes["a"].log())


@harness.unittest.skipUnless(harness.has("pons"), "the pons command is not built")
class Commands(One):
    """What a person types."""

    def test_a_dead_letter(self):
        self.assertIn("there is no dead letter", self.pons("a", "deadletter", "list")[1])
        self.agent()
        kept = self.submit("a", "echo.say", {"txet": "?"})
        self.wait_dead("a", kept)
        self.assertRegex(self.pons("a", "deadletter", "list")[0], rf"ID .*METHOD.*\n{kept['id']} +dead +echo\.say +0 +\d+-.*INVALID")
        self.assertEqual(json.loads(self.pons("a", "--json", "deadletter", "list")[0])["rows"][0]["id"], kept["id"])
        self.assertRegex(self.pons("a", "deadletter", "show", kept["id"])[0], r'status +INVALID\n(.*\n)*body +\{"txet":"\?"\}\n')
        self.assertEqual(json.loads(self.pons("a", "--json", "deadletter", "show", kept["id"])[0])["body"], {"txet": "?"})
        self.assertRegex(self.pons("a", "status", expect=0)[0], "0 to be done, 1 dead letters, 0 damaged; `pons deadletter list`")
        self.assertEqual(self.pons("a", "deadletter", "requeue", kept["id"]), ("", ""))
        self.wait_row("a", kept, lambda row: row["state"] == "dead" and row["tries"] == 2)
        self.assertEqual(self.pons("a", "deadletter", "drop", kept["id"]), ("", ""))
        self.assertIn("there is no dead letter", self.pons("a", "deadletter", "list")[1])
        self.assertIn("is no dead letter", self.pons("a", "deadletter", "drop", kept["id"], expect=1)[1])
        self.assertEqual(json.loads(self.pons("a", "--json", "deadletter", "show", "0123456789abcdef-1", expect=1)[0])["error"]["code"], "durable_unknown")
        self.assertIn("usage: pons deadletter", self.pons("a", "deadletter", "burn", kept["id"], expect=2)[1])
        self.assertIn("usage: pons deadletter", self.pons("a", "deadletter", "show", expect=2)[1])
        self.assertIn("is no id", self.pons("a", "deadletter", "show", "x", expect=2)[1])

    def test_a_call_that_is_durable(self):
        out, said = self.pons("a", "call", "--durable", "--timeout", "500", "echo.say", '{"text": "later"}', expect=1)
        self.assertIn("kept on 1 disk as", said)
        self.assertIn("DEADLINE: its end did not come in time; it goes on", said)
        self.agent()
        out, said = self.pons("a", "--json", "call", "--durable", "echo.say", '{"text": "now"}')
        kept, reply = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((kept["kept"]["copies"], reply["text"]), (1, "now"))
        self.assertEqual(self.ended("a", kept["kept"])["text"], "now")
        self.assertIn("INVALID", self.pons("a", "call", "--durable", "echo.fail", '{"status": 13}', expect=1)[1])
        self.wait_durable("a", lambda status: status["done"] == 2)

    def test_damage_and_a_disk_that_takes_nothing(self):
        bad = self.submit("a")
        self.tamper(f"UPDATE rows SET value = x'ff' || substr(value, 2) WHERE key = 'durable/{bad['id']}'")
        self.assertRegex(self.pons("a", "deadletter", "list")[0], rf"damage-1 +damaged .*{bad['id']}")
        self.assertIn("state        damaged", self.pons("a", "deadletter", "show", "damage-1")[0])
        self.assertEqual(self.pons("a", "deadletter", "drop", "damage-1"), ("", ""))
        self.spoil()
        self.assertIn("takes no durable requests", self.pons("a", "deadletter", "list", expect=1)[1])
        self.assertIn("takes no durable requests", self.pons("a", "status")[0])


class Both(Durable, authority.Pair):
    """Two brokers, a witness, and no case yet: also for test_durable_large.py and tests/conformance."""

    WITNESS = True

    def agents(self):
        ends = f"ipc://{self.folder}/a;ipc://{self.folder}/b"
        self.start("pons-agent-echo", "--endpoint", ends, "--name", "echo")
        for node in ("a", "b"):
            self.wait_service(self.asker(node), "echo")

    def both_level(self):
        for node in ("a", "b"):
            self.wait_durable(node, lambda status: status["level"])

    def agents_at(self, node):
        self.start("pons-agent-echo", "--endpoint", f"ipc://{self.folder}/{node}", "--name", "echo")
        self.wait_service(self.asker(node), "echo")


class Two(Both):
    def test_both_have_it_and_either_may_be_asked(self):
        leader, other = self.start_pair()
        self.both_level()
        self.agents()
        for node, end in ((leader, other), (other, leader)):
            kept = self.submit(node, "echo.say", {"text": node})
            self.assertEqual(kept["copies"], 2)
            self.assertEqual(self.ended(end, kept)["text"], node)
            self.assertEqual(self.ended(node, kept)["text"], node)
        self.assertEqual(self.counters(self.asker(other))["DURABLE_DELIVERED"], 0)  # only the leader delivers

    def test_a_killed_leader_is_followed_and_nothing_is_done_twice(self):
        """In mid-work, and with some that were not begun."""
        leader, other = self.start_pair()
        self.both_level()
        self.agents()
        kept = [self.submit(node, body={"wait_ms": 1000}) for node in (leader, other) * 5]
        self.assertEqual({one["copies"] for one in kept}, {2})
        self.nodes[leader].kill()
        for one in kept:
            self.ended(other, one)
        self.assertEqual(self.done(other), len(kept))

    def test_a_returner_takes_the_completions_first(self):
        leader, other = self.start_pair()
        self.both_level()
        kept = [self.submit(leader) for _ in range(5)]
        self.nodes[other].kill()
        self.agents_at(leader)
        for one in kept:
            self.ended(leader, one)
        more = self.submit(leader, "echo.say", {"text": "while you were away"})
        self.ended(leader, more)
        self.start_node(other)
        status = self.wait_durable(other, lambda status: status["level"] and status["done"] == 6)
        self.assertEqual(status["waiting"], 0)
        self.assertGreater(status["behind"], 0)
        self.assertIn("was behind: it takes over", self.nodes[other].log())
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.assertEqual(self.ended(other, more)["text"], "while you were away")
        self.assertEqual(self.counters(self.asker(other))["DURABLE_DELIVERED"], 0)

    def test_a_broker_that_lost_its_file_gets_it_back(self):
        leader, other = self.start_pair()
        self.both_level()
        kept = [self.submit(other) for _ in range(3)]
        self.nodes[other].kill()
        for path in glob.glob(f"{self.state}/durable-{other}.db*"):
            os.unlink(path)
        self.start_node(other)
        self.wait_durable(other, lambda status: status["waiting"] == 3)
        self.agents()
        for one in kept:
            self.ended(other, one)
        self.assertEqual(self.done(other), 3)

    def test_alone_it_says_one_copy_and_the_other_catches_up(self):
        leader, other = self.start_pair()
        self.nodes[other].kill()
        kept = self.submit(leader)
        self.assertEqual(kept["copies"], 1)
        self.start_node(other)
        self.wait_durable(leader, lambda status: status["uncopied"] == 0 and status["level"])
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.agents_at(other)
        self.ended(other, kept)
        self.assertEqual(self.done(other), 1)

    def test_dead_letters_are_reached_at_both(self):
        leader, other = self.start_pair()
        self.both_level()
        self.agents()
        kept = self.submit(leader, "echo.fail", {"message": "no"})
        self.wait_dead(other, kept)
        self.ask(other, "pons.durable", "requeue", id=kept["id"])
        self.wait_row(leader, kept, lambda row: row["state"] == "dead" and row["tries"] == 6)
        self.wait_row(other, kept, lambda row: row["state"] == "dead" and row["tries"] == 6)
        self.ask(other, "pons.durable", "drop", id=kept["id"])
        self.wait_row(leader, kept, lambda row: row["state"] == "dropped")


if __name__ == "__main__":
    harness.main()
