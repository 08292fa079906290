#!/usr/bin/python3
"""The package's tables beside those of bus/wire: kinds, fields, statuses, limits, times; and an exception for each status."""

import re
import unittest

import place

import pons
from pons import errors, wire


def rows(name, macro):
    """The rows of a table, as lists of cells."""
    cell = r'\s*("(?:[^"\\]|\\.)*"|[^,"]+)(?:,|$)'
    return [[part.strip().strip('"') for part in re.findall(cell, match.group(1))]
            for match in re.finditer(rf"^{macro}\((.*)\)$", place.text("bus", "wire", name), re.M)]


class Tables(unittest.TestCase):
    def test_kinds(self):
        table = rows("msgs.def", "MSG")
        self.assertEqual({row[1]: int(row[0]) for row in table}, {kind.name: kind.value for kind in wire.Kind})
        names = {row[1]: row[2].lower() for row in rows("header.def", "FIELD")}
        for row in table:
            needs = tuple(names[name] for name in re.findall(r"HAS\((\w+)\)", row[3]))
            self.assertEqual(needs, wire.NEEDS.get(wire.Kind[row[1]], ()), row[1])

    def test_fields(self):
        for row, (name, kind, largest) in zip(rows("header.def", "FIELD"), wire.FIELDS, strict=True):
            with self.subTest(name):
                self.assertEqual(row[1].lower(), name)
                self.assertEqual(kind, {"TEXT": str, "REQUEST_ID": bytes, "TRACE": bytes, "MAP": dict}.get(row[3], int))
                limit = row[4].removeprefix("LIMIT_")
                known = {"PRIORITY_BATCH": wire.BATCH, "UINT64_MAX": 2**64 - 1}
                value = wire.LIMITS[limit] if limit in wire.LIMITS else known.get(limit)
                self.assertEqual(int(limit, 0) if value is None else value, largest)

    def test_statuses(self):
        for row, status in zip(rows("status.def", "STATUS"), pons.Status, strict=True):
            with self.subTest(status.name):
                self.assertEqual((int(row[0]), row[1], row[2], int(row[3])), (status, status.name, status.retry.name, status.http))
                self.assertEqual(row[4], status.about)

    def test_limits_and_times(self):
        limits = {row[0]: int(row[1]) for row in rows("limits.def", "LIMIT")}
        self.assertEqual(wire.LIMITS, {name: limits[name] for name in wire.LIMITS})  # those that peers or contracts need
        times = {row[0]: int(row[1]) for row in rows("times.def", "TIME")}
        self.assertEqual(wire.TIMES_US, {name: times[name] for name in wire.TIMES_US})

    def test_every_status_has_its_exception(self):
        for status in pons.Status:
            if status:
                kind = errors.PonsError.of(status)
                self.assertEqual(kind.__name__, status.name.title().replace("_", ""))
                self.assertIs(kind, getattr(pons, kind.__name__))
                self.assertEqual(str(kind()), f"{status.name}: {status.about}")

    def test_the_version_is_that_of_the_programs(self):
        self.assertIn(f"project(pons VERSION {pons.__version__} ", place.text("CMakeLists.txt"))

    def test_a_status_that_is_not_known(self):
        self.assertEqual(pons.Status.of(99), pons.Status.INTERNAL)
        self.assertEqual(pons.Status.of(0), pons.Status.INTERNAL)


class Names(unittest.TestCase):
    def test_topics(self):
        for topic in ("a", "gpu.0.load", "a-b.c_d"):
            self.assertTrue(wire.is_topic(topic), topic)
        for topic in ("", ".", "a.", "a..b", "a b", "a.*", ">", "x" * 65, ".".join("a" * 66)):
            self.assertFalse(wire.is_topic(topic), topic)
        for pattern in ("*", ">", "a.*.b", "a.>", "a"):
            self.assertTrue(wire.is_topic(pattern, pattern=True), pattern)
        for pattern in (">.a", "a.b*", ""):
            self.assertFalse(wire.is_topic(pattern, pattern=True), pattern)

    def test_matches(self):
        for pattern, topic, fits in (("a.b", "a.b", True), ("a.*", "a.b", True), ("a.*", "a", False), ("a.*", "a.b.c", False),
                                     ("a.>", "a.b.c", True), ("a.>", "a", False), (">", "a", True), ("*.b", "a.b", True),
                                     ("a.b.c", "a.b", False)):
            self.assertEqual(wire.topic_matches(pattern, topic), fits, (pattern, topic))


class Packing(unittest.TestCase):
    def test_small_ones_travel_together_in_order(self):
        out = wire.Outgoing()
        out.add(b"h1", b"one")
        out.add(b"h2", b"")
        out.add(b"h3", bytes(100000))
        out.add(b"h4", b"four")
        together, alone, last = out.take()
        self.assertEqual(wire.unpack(together[1]), [(b"h1", b"one"), (b"h2", b"")])
        self.assertEqual((alone[0], last), (b"h3", [b"h4", b"four"]))
        self.assertEqual(out.take(), [])

    def test_a_pack_is_bounded(self):
        out = wire.Outgoing()
        for _ in range(300):
            out.add(b"h", b"")
        for _ in range(20):
            out.add(b"h", bytes(8000))
        packs = out.take()
        self.assertEqual(sum(len(wire.unpack(body)) for _, body in packs), 320)
        self.assertTrue(all(len(body) <= wire.PACK_BYTES for _, body in packs))

    def test_what_cannot_be_used_is_counted(self):
        good = wire.encode(wire.Kind.PING, number=1)
        for frames, dropped in (([b""], 1), ([good, b"", b""], 1), ([b"\xc1"], 1), ([wire.encode(wire.Kind.PACK), b"\xa1x"], 1),
                                ([wire.encode(wire.Kind.PACK), bytes(70000)], 1)):
            self.assertEqual(wire.read(frames), ([], dropped), frames[0])
        messages, dropped = wire.read([wire.encode(wire.Kind.PACK), wire.pack([(good, b""), (b"\xc1", b""), (wire.encode(wire.Kind.PACK), b"")])])
        self.assertEqual(([message.kind for message in messages], dropped), ([wire.Kind.PING], 2))

    def test_what_names_a_request_is_handed_on_with_its_fault(self):
        """Annotations are the callers', and no broker looks into them: too deep, not UTF-8, with keys that are none, a broken time."""
        id = wire.request_id(1, 2)
        for inside in (b"\x81\xa1a" * 600 + b"\xc0", b"\x81\xa1a" + b"\x91" * 1500 + b"\xc0", b"\x81\xa1a\xa1\xff", b"\x81\x91\x01\x02",
                       b"\x81\xa1a\xc7\x05\xff12345"):
            for kind in (wire.Kind.REQUEST, wire.Kind.REPLY):
                header = wire.encode(kind, id=id, hop=1, service="a", method="b", annotations={"a": 1})
                header = header[:-4] + inside
                (message,), dropped = wire.read([header, b"body"])
                self.assertEqual((message.kind, message.fault, message.fields, dropped),
                                 (kind, pons.Status.MALFORMED, {"kind": kind, "id": id, "hop": 1}, 0))
        self.assertEqual(wire.read([wire.encode(wire.Kind.PONG, id=id, annotations={"a": 1})[:-4] + b"\x81\xa1a\xa1\xff"]), ([], 1))


if __name__ == "__main__":
    unittest.main()
