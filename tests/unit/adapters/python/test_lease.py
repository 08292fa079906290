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
        return self.world.instance.lease.token(self.world.now)

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
        self.assertEqual(self.world.begun[0].cancelled, Status.CANCELLED)
        self.assertEqual(self.world.said(0, Kind.DRAIN)[1]["flags"], Flag.CLEAN)

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
        row = {"name": "agent.me", "value": "off", "epoch": 2, "counter": 1}
        self.world.hear(0, Kind.EVENT, msgpack.packb(row), service="pons.flags.agent.me", flags=Flag.RETAIN)
        self.asked("release")
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
