#!/usr/bin/python3
"""Durable requests whose bodies and replies are large: in parts on the bus, on disk and not in memory, fetched by the other broker piece by
piece; and what becomes of them when a disk, a row or a broker fails."""

import glob
import os
import re
import sqlite3
import sys

import harness
import test_durable as durable
from harness import packed

sys.path.insert(0, os.path.join(os.path.dirname(harness.TESTS), "adapters", "python"))
import pons  # noqa: E402

MB = 1 << 20
MOST = 16773120  # DURABLE_BYTES


class Large:
    """What both worlds do."""

    def mirror(self, node):
        self.start("/usr/bin/python3", os.path.abspath(__file__), "mirror", "--endpoint", f"ipc://{self.folder}/{node}")
        self.wait_service(self.asker(node), "mirror")

    def bus(self, *nodes):
        bus = pons.Client(";".join(f"ipc://{self.folder}/{node}" for node in nodes), "large", deadline_s=60)
        self.addCleanup(bus.close)
        return bus

    def text(self, size, seed=0):
        return "".join(chr(97 + (seed + number) % 26) for number in range(26)) * (size // 26)

    def submit_dead(self, bus, node):
        """A dead letter, which nobody reads until it is requeued."""
        kept = bus.submit("mirror.say", {"text": self.rotting()}, idempotent=True, patience_s=2)
        self.wait_dead(node, {"id": kept.id})
        return kept

    def rotting(self):
        """What goes bad stands in the middle, in pages that are not written again with other rows."""
        return self.text(MB // 2) + "rots" * 4000 + self.text(MB // 2)

    def rot(self, node, store):
        """A body goes bad on a disk whose broker runs, and has it in memory no more: others were there since."""
        bus = self.bus(node)
        for number in range(5):
            bus.submit("nobody.listens", {"text": self.text(8 * MB, number)}, idempotent=True, patience_s=0.1)
        (path,) = glob.glob(f"{self.state}/durable-{store}.db")
        with open(path, "r+b") as file:
            at = file.read().index(b"rots" * 100)
            file.seek(at)
            file.write(b"ROTS")

    def row(self, node, where):
        """Of a store, as its broker has it open: read from a copy."""
        (path,) = glob.glob(f"{self.state}/durable-{node}.db")
        db = sqlite3.connect(path)
        try:
            return db.execute(f"SELECT key, length(value) FROM rows WHERE {where} ORDER BY key").fetchall()
        finally:
            db.close()


class Alone(Large, durable.One):
    # The store's name has "alone" in it.
    def rows(self, where="key LIKE 'body/%'"):
        self.nodes["a"].kill()
        found = self.row("alone", where)
        self.start_node("a")
        self.wait_leads("a")
        return found

    def test_a_body_and_a_reply_of_many_parts(self):
        self.mirror("a")
        bus = self.bus("a")
        kept = bus.submit("mirror.say", {"text": self.text(3 * MB)}, idempotent=True)
        self.assertEqual(bus.result(kept)["text"], self.text(3 * MB))
        self.assertEqual(bus.result(kept.id)["text"], self.text(3 * MB))  # and again
        self.assertEqual(self.rows(), [])  # what is done needs no body any more
        ((key, size),) = self.row_of_replies()
        self.assertEqual(key, f"reply/{kept.id}")
        self.assertGreater(size, 3 * MB - 100)
        self.assertEqual(self.bus("a").result(kept.id)["text"], self.text(3 * MB))  # from disk, after a death

    def row_of_replies(self):
        return self.rows("key LIKE 'reply/%'")

    def test_as_large_as_they_may_be_and_no_larger(self):
        bus = self.bus("a")
        kept = bus.submit("nobody.listens", pons.Raw(bytes(MOST)), idempotent=True)
        self.assertEqual(kept.copies, 1)
        with self.assertRaises(pons.PonsError) as caught:
            bus.submit("nobody.listens", pons.Raw(bytes(MOST + 1)), idempotent=True)
        self.assertIn(caught.exception.status.name, ("INVALID", "TOO_LARGE"))
        self.assertEqual(self.rows(), [(f"body/{kept.id}", MOST)])

    def test_what_was_acknowledged_survives_kill_9_and_is_read_from_disk(self):
        bus = self.bus("a")
        kept = [bus.submit("mirror.say", {"text": self.text(MB, seed)}, idempotent=True) for seed in range(6)]
        self.nodes["a"].kill()
        self.start_node("a")
        self.mirror("a")
        for seed, one in enumerate(kept):
            self.assertEqual(bus.result(one)["text"], self.text(MB, seed))
        self.assertEqual(self.durable_status("a")["done"], 6)

    def test_bodies_are_not_in_memory(self):
        """72 MB of them cost a broker that has just read them all no more than its shelf of 32 MiB, and after a start nothing."""
        self.nodes["a"].kill()
        self.start_node("a", PONS_DURABLE_BYTES="1073741824")
        self.wait_leads("a")
        before = self.resident()
        bus = self.bus("a")
        for seed in range(9):
            bus.submit("nobody.listens", {"text": self.text(8 * MB, seed)}, idempotent=True)
        self.assertGreater(self.durable_status("a")["bytes"], 72 * MB - 1000)
        self.nodes["a"].kill()
        self.start_node("a", PONS_DURABLE_BYTES="1073741824")
        self.wait_leads("a")
        self.assertEqual(self.durable_status("a")["waiting"], 9)
        if not harness.sanitized():
            self.assertLess(self.resident(), before + 24 * MB)

    def resident(self):
        with open(f"/proc/{self.nodes['a'].pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def test_a_torn_body_is_named_and_the_others_go_on(self):
        bus = self.bus("a")
        bad, good = (bus.submit("mirror.say", {"text": self.text(MB, seed)}, idempotent=True) for seed in range(2))
        self.tamper(f"UPDATE rows SET value = substr(value, 1, 500000) || zeroblob(length(value) - 500000) WHERE key = 'body/{bad.id}'")
        self.assertIn(f"checksum does not fit at row body/{bad.id}", self.nodes["a"].log())
        rows = self.ask("a", "pons.durable", "list")["rows"]
        self.assertEqual({row["state"] for row in rows}, {"damaged"})
        self.assertIn(f"the body that row durable/{bad.id} speaks of is missing or damaged", " ".join(row["message"] for row in rows))
        self.mirror("a")
        self.assertEqual(bus.result(good)["text"], self.text(MB, 1))
        for row in rows:
            self.ask("a", "pons.durable", "drop", id=row["id"])
        self.nodes["a"].kill()
        self.start_node("a")
        self.assertEqual(self.ask("a", "pons.durable", "list")["rows"], [])

    def test_a_body_that_goes_bad_while_it_waits_is_a_dead_letter(self):
        bus = self.bus("a")
        kept = self.submit_dead(bus, "a")
        self.rot("a", "alone")
        self.mirror("a")
        self.ask("a", "pons.durable", "requeue", id=kept.id)
        with self.assertRaises(pons.Gone) as caught:
            bus.result(kept)
        self.assertEqual(caught.exception.code, "dead_letter")
        self.assertIn("its body is damaged on this disk", caught.exception.message)
        rows = self.ask("a", "pons.durable", "list")["rows"]
        self.assertIn(f"row body/{kept.id}", " ".join(row["message"] for row in rows if row["state"] == "damaged"))

    def test_a_missing_body_is_named(self):
        kept = self.bus("a").submit("mirror.say", {"text": self.text(MB)}, idempotent=True)
        self.tamper(f"DELETE FROM rows WHERE key = 'body/{kept.id}'")
        self.assertIn("rows are missing", self.nodes["a"].log())
        self.assertIn(f"the body that row durable/{kept.id} speaks of is missing or damaged", self.nodes["a"].log())

    def test_a_reply_that_is_lost_leaves_what_was_done_done(self):
        self.mirror("a")
        bus = self.bus("a")
        kept = bus.submit("mirror.say", {"text": self.text(MB)}, idempotent=True)
        bus.result(kept)
        self.tamper(f"UPDATE rows SET value = x'ff' || substr(value, 2) WHERE key = 'reply/{kept.id}'")
        with self.assertRaises(pons.Gone):
            bus.result(kept)
        self.assertEqual(self.durable_status("a")["done"], 1)

    def test_a_body_that_a_power_cut_left_alone_is_nobodys(self):
        """It is written before the row that speaks of it: who was told nothing finds nothing, and it takes no room."""
        kept = self.bus("a").submit("nobody.listens", {"text": self.text(MB)}, idempotent=True)
        self.nodes["a"].kill()
        (path,) = glob.glob(f"{self.state}/durable-*.db")
        db = sqlite3.connect(path)
        db.execute(f"DELETE FROM rows WHERE key = 'durable/{kept.id}'")
        db.commit()
        db.close()
        self.start_node("a")
        self.wait_leads("a")
        self.submit("a")  # behind what is taken out
        self.assertEqual([key for key, _ in self.rows() if kept.id in key], [])


class Pair(Large, durable.Both):
    def setUp(self):
        super().setUp()
        self.leader, self.other = self.start_pair()
        self.both_level()

    def sum_of(self, node):
        status = self.durable_status(node)
        return status["waiting"], status["uncopied"]

    def test_the_other_fetches_what_is_large(self):
        bus = self.bus(self.leader, self.other)
        kept = [bus.submit("mirror.say", {"text": self.text(size, seed)}, idempotent=True)
                for seed, size in enumerate((MB // 2, 40000, 2 * MB, 60000, 0))]
        self.wait_durable(self.leader, lambda status: status["uncopied"] == 0)
        self.nodes[self.leader].kill()
        self.wait_leads(self.other)
        self.mirror(self.other)
        for seed, (one, size) in enumerate(zip(kept, (MB // 2, 40000, 2 * MB, 60000, 0))):
            self.assertEqual(bus.result(one)["text"], self.text(size, seed))

    def test_a_returner_fetches_bodies_and_replies(self):
        bus = self.bus(self.leader, self.other)
        self.nodes[self.other].kill()
        self.mirror(self.leader)
        done = bus.submit("mirror.say", {"text": self.text(2 * MB)}, idempotent=True)
        bus.result(done)
        waits = bus.submit("nobody.listens", {"text": self.text(2 * MB, 1)}, idempotent=True)
        self.start_node(self.other)
        self.wait_durable(self.other, lambda status: status["level"] and status["done"] == 1 and status["waiting"] == 1)
        self.wait_durable(self.leader, lambda status: status["uncopied"] == 0)
        self.nodes[self.leader].kill()
        self.wait_leads(self.other)
        self.assertEqual(bus.result(done)["text"], self.text(2 * MB))
        shown = bus.ask("pons.durable.show", {"id": waits.id}, idempotent=True)
        self.assertEqual(shown["body"], packed({"text": self.text(2 * MB, 1)}))

    def test_a_body_that_goes_bad_while_it_waits_is_fetched_from_the_other(self):
        bus = self.bus(self.leader, self.other)
        kept = self.submit_dead(bus, self.leader)
        self.wait_durable(self.leader, lambda status: status["uncopied"] == 0)
        self.rot(self.leader, self.leader)
        self.mirror(self.leader)
        self.ask(self.leader, "pons.durable", "requeue", id=kept.id)
        self.assertEqual(bus.result(kept)["text"], self.rotting())
        rows = self.ask(self.leader, "pons.durable", "list")["rows"]
        self.assertIn(f"row body/{kept.id}", " ".join(row["message"] for row in rows if row["state"] == "damaged"))

    def test_a_torn_body_comes_back_from_the_other(self):
        bus = self.bus(self.leader, self.other)
        kept = bus.submit("mirror.say", {"text": self.text(MB)}, idempotent=True)
        self.wait_durable(self.leader, lambda status: status["uncopied"] == 0)
        self.nodes[self.other].kill()
        (path,) = glob.glob(f"{self.state}/durable-{self.other}.db")
        db = sqlite3.connect(path)
        db.execute("UPDATE rows SET value = x'00' || substr(value, 2) WHERE key LIKE 'body/%'")
        db.commit()
        db.close()
        self.start_node(self.other)
        self.assertTrue(re.search("checksum does not fit at row body/", self.nodes[self.other].log()))
        self.wait_durable(self.other, lambda status: status["waiting"] == 1 and status["level"])
        self.wait_durable(self.leader, lambda status: status["uncopied"] == 0)
        self.nodes[self.leader].kill()
        self.wait_leads(self.other)
        self.mirror(self.other)
        self.assertEqual(bus.result(kept)["text"], self.text(MB))


def mirror():
    """An agent that says what it is told, however long."""
    agent = pons.Agent("mirror")
    agent.method("mirror.say", idempotent=True)(lambda call, request: request)
    agent.run(sys.argv[2:])


if __name__ == "__main__":
    mirror() if sys.argv[1:2] == ["mirror"] else harness.main()
