#!/usr/bin/python3
"""Durable requests without a socket: what a broker is asked to keep, and the wait for an end."""

import unittest

import fake
import msgpack
import place  # noqa: F401

from pons import durable, wire
from pons.contract import Contracts
from pons.errors import Status
from pons.request import Ask
from pons.wire import Flag, Kind

SECOND = 1_000_000
ID = "00000000000000aa-1"


class Wishes(unittest.TestCase):
    """Held against the contract, which the package does not need."""

    def setUp(self):
        self.wish = Contracts(*(place.path("agents", "contracts", name) for name in ("pons.def", "durable.def"))).find("pons.durable", "submit").request

    def made(self, patience_us=0, **how):
        row = durable.wish(Ask("mail", "send", b"\xc0", SECOND, lambda answer: None, **how), ID, patience_us)
        self.wish.check(row)
        return row

    def test_what_is_said(self):
        self.assertEqual(self.made(), {"id": ID, "service": "mail", "method": "send", "body": b"\xc0", "priority": "normal", "idempotent": False})

    def test_what_may_be_said(self):
        row = self.made(5, idempotent=True, content_type="text/plain", annotations={"a": 1}, priority=wire.BATCH)
        self.assertEqual((row["deadline_us"], row["content_type"], row["priority"], row["idempotent"]), (5, "text/plain", "batch", True))
        self.assertEqual(msgpack.unpackb(row["annotations"]), {"a": 1})


class Waits(unittest.TestCase):
    def setUp(self):
        self.world = fake.World(brokers=1)
        self.world.open()
        self.ends = []

    def wait_for(self, kept=True, deadline_us=5 * SECOND):
        waiting = durable.Waiting(self.world.core, ID, deadline_us, self.ends.append, kept)
        self.world.wait(0)
        return waiting

    def asked(self):
        request = self.world.said(0, Kind.REQUEST)
        self.assertEqual((request[1]["service"], request[1]["method"]), ("pons.durable", "await"))
        self.assertEqual(msgpack.unpackb(request[2]), {"id": ID})
        self.assertTrue(request[1]["flags"] & Flag.IDEMPOTENT)
        return request[1]["id"]

    def refuse(self, id, status, **body):
        self.world.hear(0, Kind.ERROR, msgpack.packb({"message": "x", **body}), id=id, status=status)

    def test_a_reply_is_what_is_in_it(self):
        self.wait_for()
        self.world.hear(0, Kind.REPLY, msgpack.packb({"body": b"done", "content_type": "text/plain"}), id=self.asked())
        self.assertEqual((self.ends[0].status, self.ends[0].body, self.ends[0].content_type), (Status.OK, b"done", "text/plain"))

    def test_an_answer_that_is_none(self):
        for body in (b"\xc1", msgpack.packb({}), msgpack.packb({"body": None})):
            self.wait_for()
            self.world.hear(0, Kind.REPLY, body, id=self.asked())
        self.assertEqual([answer.status for answer in self.ends], [Status.INTERNAL] * 3)

    def test_the_last_words(self):
        for status, code in ((Status.FAILED, "dead_letter"), (Status.REFUSED, "durable_dropped"), (Status.GONE, ""), (Status.INVALID, ""),
                             (Status.DENIED, "")):
            self.wait_for()
            self.refuse(self.asked(), status, **({"code": code} if code else {}))
            self.assertEqual((self.ends[-1].status, self.ends[-1].code), (status, code))
        self.assertEqual(len(self.ends), 5)

    def test_a_broker_that_does_not_know_it_yet_is_asked_again(self):
        self.wait_for()
        self.refuse(self.asked(), Status.REFUSED, code="durable_unknown")
        self.assertEqual(self.ends, [])
        self.world.wait(durable.AGAIN_US - 1)
        self.assertIsNone(self.world.said(0, Kind.REQUEST))
        self.world.wait(1)
        self.asked()

    def test_nor_is_it_a_word_to_who_has_not_kept_it(self):
        self.wait_for(kept=False)
        self.refuse(self.asked(), Status.REFUSED, code="durable_unknown")
        self.assertEqual((self.ends[0].status, self.ends[0].code), (Status.REFUSED, "durable_unknown"))

    def test_its_time_is_over(self):
        self.wait_for(deadline_us=300_000)
        self.refuse(self.asked(), Status.WORKER_LOST)
        self.world.wait(100_000)
        self.world.hear(0, Kind.PONG)
        self.world.wait(100_000)
        self.asked()
        self.world.hear(0, Kind.PONG)
        self.world.wait(200_000)
        self.assertEqual([answer.status for answer in self.ends], [Status.DEADLINE])
        self.assertIn("it goes on", self.ends[0].message)

    def test_without_a_broker_it_is_tried_until_then(self):
        self.wait_for(deadline_us=300_000)
        self.world.lose()
        self.world.wait(SECOND)
        self.assertEqual([answer.status for answer in self.ends], [Status.DEADLINE])

    def test_taken_back(self):
        waiting = self.wait_for()
        id = self.asked()
        waiting.cancel()
        self.world.turn()
        self.assertEqual(self.world.said(0, Kind.CANCEL)[1]["id"], id)
        self.world.wait(SECOND)
        self.assertEqual(self.ends, [])
        self.assertIsNone(self.world.said(0, Kind.REQUEST))

    def test_the_client_is_closed(self):
        self.wait_for()
        self.world.core.close()
        self.assertEqual([answer.status for answer in self.ends], [Status.CANCELLED])

    def test_the_client_is_closed_between_two_questions(self):
        self.wait_for()
        self.refuse(self.asked(), Status.WORKER_LOST)
        self.world.core.close()
        self.assertEqual([answer.status for answer in self.ends], [Status.CANCELLED])
        self.assertEqual(self.world.core.waiting, set())


if __name__ == "__main__":
    unittest.main()
