#!/usr/bin/python3
"""A flag that is watched, without a socket: each newer version once, whichever broker tells of it first."""

import unittest

import fake
import msgpack
import place  # noqa: F401

from pons.flag import Flag
from pons.wire import Kind
from pons.wire import Flag as Bits


class Flags(unittest.TestCase):
    def setUp(self):
        self.world = fake.World()
        self.world.open(0)
        self.world.open(1)
        self.heard = []
        self.flag = Flag(self.world.core, "color", lambda state: self.heard.append((state.value, state.version)))
        self.world.turn()

    def tell(self, broker, body):
        self.world.hear(broker, Kind.EVENT, body, service="pons.flags.color", flags=Bits.RETAIN)

    def row(self, broker, epoch, counter, value="red", **more):
        self.tell(broker, msgpack.packb({"name": "color", "value": value, "epoch": epoch, "counter": counter, **more}))

    def test_both_brokers_are_asked(self):
        for broker in (0, 1):
            self.assertEqual(self.world.said(broker, Kind.SUBSCRIBE)[1]["service"], "pons.flags.color")
        self.assertIsNone(self.flag.state.value)

    def test_each_version_once_and_none_that_is_older(self):
        self.row(0, 2, 1)
        self.row(1, 2, 1)
        self.row(1, 2, 2, "green")
        self.row(0, 2, 1)
        self.row(0, 4, 1, "blue")
        self.row(1, 2, 9)
        self.assertEqual(self.heard, [("red", (2, 1)), ("green", (2, 2)), ("blue", (4, 1))])
        self.assertEqual(self.flag.state.value, "blue")

    def test_a_removed_one_has_no_value(self):
        self.row(0, 2, 1)
        self.row(0, 2, 2, "", removed=True)
        self.assertEqual(self.heard[-1], (None, (2, 2)))
        self.row(0, 2, 3, "")
        self.assertEqual(self.heard[-1], ("", (2, 3)))

    def test_what_is_no_row_says_nothing(self):
        for body in (b"\xc1", msgpack.packb([1]), msgpack.packb({"value": "red"}), msgpack.packb({"epoch": "x", "counter": 1, "value": ""})):
            self.tell(0, body)
        self.assertEqual(self.heard, [])

    def test_closed(self):
        self.flag.close()
        self.world.turn()
        self.assertTrue(self.world.said(0, Kind.UNSUBSCRIBE))
        self.row(0, 2, 1)
        self.assertEqual(self.heard, [])


if __name__ == "__main__":
    unittest.main()
