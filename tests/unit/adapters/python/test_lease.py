#!/usr/bin/python3
"""A singleton's lease without a socket: asked for, renewed, lost by the clock and by a word, given back."""

import unittest

import fake
import msgpack
import place  # noqa: F401

from pons.errors import Status
from pons.wire import Flag, Kind

SECOND = 1_000_000


class Leases(unittest.TestCase):
    def setUp(self):
        self.world = fake.World(brokers=1, instance=True, singleton="one")
        self.world.open()
        self.assertEqual(self.world.said(0, Kind.DRAIN)[1]["flags"], Flag.CLEAN)  # READY, and nothing to do yet
        self.world.wait(1)

    def asked(self, method):
        request = self.world.said(0, Kind.REQUEST)
        self.assertEqual((request[1]["service"], request[1]["method"]), ("pons.lease", method))
        return request[1]["id"], msgpack.unpackb(request[2])

    def give(self, id, counter=1, duration_us=SECOND):
        self.world.hear(0, Kind.REPLY, msgpack.packb({"name": "one", "epoch": 2, "counter": counter, "duration_us": duration_us}), id=id)

    def refuse(self, id, status, **body):
        self.world.hear(0, Kind.ERROR, msgpack.packb({"message": "x", **body}), id=id, status=status)

    def hold(self):
        id, body = self.asked("acquire")
        self.assertEqual(body["name"], "one")
        self.give(id)
        self.assertEqual(self.world.said(0, Kind.CREDIT)[1]["credit"], 2)

    def pass_time(self, us):
        """With a broker that is there."""
        for _ in range(us // 40_000):
            self.world.wait(40_000)
            self.world.hear(0, Kind.PONG)

    def token(self):
        return self.world.instance.lease.token(self.world.now + self.world.slept)

    def test_it_serves_while_it_holds(self):
        self.assertIsNone(self.token())
        self.hold()
        self.assertEqual(self.token(), (2, 1))

    def test_it_is_renewed_after_a_third(self):
        self.hold()
        self.pass_time(300_000)
        self.assertIsNone(self.world.said(0, Kind.REQUEST))
        self.pass_time(80_000)
        id, body = self.asked("renew")
        self.assertEqual((body["epoch"], body["counter"]), (2, 1))
        self.give(id)
        self.pass_time(600_000)
        self.assertEqual(self.token(), (2, 1))

    def test_its_time_is_over(self):
        self.hold()
        self.world.request()
        self.pass_time(760_000)
        self.assertEqual(self.token(), (2, 1))
        self.pass_time(80_000)
        self.assertIsNone(self.token())
        self.assertEqual(self.world.begun[0].cancelled, Status.WORKER_LOST)
        self.assertEqual(self.world.said(0, Kind.DRAIN)[1]["flags"], Flag.CLEAN)

    def test_a_machine_that_was_suspended(self):
        """Its clock has stood still, the broker's has not: it holds nothing any more when it wakes, begins nothing, and says so soon."""
        self.hold()
        self.world.slept += 2 * SECOND
        self.assertIsNone(self.token())
        self.world.request()
        self.assertEqual(self.world.said(0, Kind.NACK)[1]["status"], Status.DRAINING)
        self.assertEqual(self.world.begun, [])
        self.pass_time(400_000)  # a third of the lease: it asks, and what it asks is no renewal
        self.assertEqual(self.world.said(0, Kind.DRAIN)[1]["flags"], Flag.CLEAN)
        self.give(self.asked("acquire")[0], counter=2)
        self.assertEqual(self.token(), (2, 2))

    def test_suspended_between_question_and_answer(self):
        """It counts from when it asked, by the clock that went on."""
        id, _ = self.asked("acquire")
        self.world.slept += 900_000
        self.give(id)
        self.assertIsNone(self.token())
        self.assertNotIn(Kind.CREDIT, [message[0] for message in self.world.sockets[0]])
        self.pass_time(80_000)
        self.hold()
        self.pass_time(400_000)
        id, _ = self.asked("renew")
        self.world.slept += 500_000
        self.give(id)
        self.assertIsNone(self.token())

    def test_short_sleeps_count_together(self):
        self.hold()
        for _ in range(3):
            self.world.slept += 200_000
            self.pass_time(40_000)
        self.assertEqual(self.token(), (2, 1))
        self.world.slept += 200_000
        self.assertIsNone(self.token())

    def test_what_waits_is_for_the_next_holder(self):
        self.hold()
        for sequence in (1, 2, 3):
            self.world.request(sequence=sequence)
        self.assertEqual(len(self.world.begun), 2)
        self.pass_time(840_000)
        self.assertEqual([call.cancelled for call in self.world.begun], [Status.WORKER_LOST] * 2)
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.DRAINING)

    def test_what_is_done_is_told_to_the_end(self):
        """DRAINING, or WORKER_LOST, would have it done again."""
        self.hold()
        id = self.world.request(window=1)
        self.world.begun[0].reply(bytes(600_000))
        self.world.instance.done()
        self.world.turn()
        self.pass_time(840_000)
        self.assertIsNone(self.token())
        self.assertIsNone(self.world.said(0, Kind.ERROR))
        self.world.hear(0, Kind.WINDOW, id=id, number=1, window=1_000_000)
        self.assertEqual(self.world.said(0, Kind.REPLY)[1]["number"], 2)

    def test_an_answer_that_comes_too_late(self):
        self.hold()
        self.pass_time(400_000)
        id, _ = self.asked("renew")
        self.pass_time(500_000)
        self.give(id)
        self.assertIsNone(self.token())
        self.assertNotIn(Kind.CREDIT, [message[0] for message in self.world.sockets[0]])

    def test_it_counts_from_when_it_asked(self):
        id, _ = self.asked("acquire")
        self.pass_time(600_000)
        self.give(id)
        self.pass_time(160_000)
        self.assertEqual(self.token(), (2, 1))
        self.pass_time(80_000)
        self.assertIsNone(self.token())

    def test_another_holds_it(self):
        id, _ = self.asked("acquire")
        self.refuse(id, Status.REFUSED, code="lease_held", retry_after_us=10 * SECOND)
        self.pass_time(200_000)
        self.assertIsNone(self.world.said(0, Kind.REQUEST))
        self.pass_time(80_000)  # a quarter of a second at most
        self.hold()

    def test_it_is_not_in_force_any_more(self):
        self.hold()
        self.pass_time(400_000)
        id, _ = self.asked("renew")
        self.refuse(id, Status.REFUSED, code="lease_lost")
        self.assertIsNone(self.token())
        self.world.wait(1)
        self.asked("acquire")

    def test_a_renewal_that_fails_is_tried_again(self):
        self.hold()
        self.pass_time(400_000)
        id, _ = self.asked("renew")
        self.refuse(id, Status.UNAVAILABLE, code="no_leader")
        self.assertEqual(self.token(), (2, 1))
        self.pass_time(80_000)
        self.asked("renew")

    def test_given_back_at_the_end(self):
        self.hold()
        self.world.instance.drain(lambda: None)
        self.world.turn()
        self.world.hear(0, Kind.DRAIN)
        _, body = self.asked("release")
        self.assertEqual((body["epoch"], body["counter"]), (2, 1))
        self.assertTrue(self.world.said(0, Kind.BYE))

    def test_given_back_when_it_is_switched_off(self):
        self.hold()
        for sequence in (1, 2, 3):
            self.world.request(sequence=sequence)
        row = {"name": "agent.me", "value": "off", "epoch": 2, "counter": 1}
        self.world.hear(0, Kind.EVENT, msgpack.packb(row), service="pons.flags.agent.me", flags=Flag.RETAIN)
        self.asked("release")
        self.assertEqual([call.cancelled for call in self.world.begun], [Status.WORKER_LOST] * 2)  # another may be the holder now
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.DRAINING)
        self.pass_time(400_000)
        self.assertIsNone(self.world.said(0, Kind.REQUEST))
        row.update(value="on", counter=2)
        self.world.hear(0, Kind.EVENT, msgpack.packb(row), service="pons.flags.agent.me", flags=Flag.RETAIN)
        self.world.wait(1)
        self.asked("acquire")

    def test_a_name_that_is_none(self):
        with self.assertRaises(ValueError):
            fake.World(instance=True, singleton="no name")


if __name__ == "__main__":
    unittest.main()
