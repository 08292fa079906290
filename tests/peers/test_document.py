#!/usr/bin/python3
"""The frames of adapters/python beside the tables of docs/protocol.md that they were written from: positions, types, limits, kinds, needs,
statuses. (tests/rules holds the document's tables against the source.)"""

import os
import re
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import pons_wire as wire  # noqa: E402

DOCUMENT = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "protocol.md")
VECTORS = os.path.join(os.path.dirname(HERE), "vectors")
TYPES = {int: "unsigned", str: "str", dict: "map"}


def table(name):
    """The rows of a table of the document, as lists of cells."""
    with open(DOCUMENT, encoding="utf-8") as file:
        block = re.search(rf"<!-- {name}\.def -->\n(.*?)<!-- end -->", file.read(), re.S).group(1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]


def largest(cell):
    """The number that a cell of the column "largest" says: 1,000, 64 bytes, 32 bits."""
    bits = re.match(r"(\d+) bits$", cell)
    return 2 ** int(bits.group(1)) - 1 if bits else int(re.match(r"[\d,]+", cell).group(0).replace(",", ""))


class Document(unittest.TestCase):
    def test_header(self):
        rows = table("header")
        self.assertEqual(len(rows), len(wire.FIELDS))
        for row, (position, (name, kind, limit)) in zip(rows, enumerate(wire.FIELDS)):
            with self.subTest(name):
                self.assertEqual(int(row[0]), position)
                self.assertEqual(re.split("[:(]", row[1])[0].strip().replace(" ", "_"), name)
                self.assertEqual(row[2], TYPES.get(kind, f"bin, {limit} bytes"))
                if row[3]:
                    self.assertEqual(largest(row[3]), limit)

    def test_kinds(self):
        rows = {row[1]: row for row in table("msgs")}
        self.assertEqual({name: int(row[0]) for name, row in rows.items()}, {kind.name: kind.value for kind in wire.Kind})
        for kind in wire.Kind:
            self.assertEqual(", ".join(wire.NEEDS.get(kind, ())), rows[kind.name][3], kind.name)

    def test_statuses(self):
        self.assertEqual({row[1]: int(row[0]) for row in table("status")}, {status.name: status.value for status in wire.Status})

    def test_limits(self):
        limits = {row[0]: largest(row[1]) for row in table("limits")}
        self.assertEqual((wire.HEADER_BYTES, wire.BODY_BYTES), (limits["HEADER_BYTES"], limits["BODY_BYTES"]))
        self.assertEqual((wire.PACK_BYTES, wire.PACK_MESSAGES), (limits["PACK_BYTES"], limits["PACK_MESSAGES"]))

    def test_each_kind(self):
        """Section 5.2 has each kind in its order, with what it must have, and only fields, limits and statuses that there are."""
        with open(DOCUMENT, encoding="utf-8") as file:
            block = re.search(r"<!-- kinds -->\n(.*?)<!-- end -->", file.read(), re.S).group(1)
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
        kinds = list(dict.fromkeys(row[0].split(" ")[0] for row in rows))
        self.assertEqual(kinds, [kind.name for kind in sorted(wire.Kind)])
        limits = {row[0] for row in table("limits") + table("times")}
        fields = {name.replace("_", " ") for name, _, _ in wire.FIELDS}
        needs = {row[1]: row for row in table("msgs")}
        for kind, has, _, states, bounds, statuses in rows:
            with self.subTest(kind):
                named = set(re.split(r", |; to an instance also ", re.sub(r"[\[\]]", "", has))) - {""}
                self.assertLessEqual(named, fields)
                must = needs[kind.split(" ")[0]]
                self.assertLessEqual(set(must[3].split(", ")) - {""}, named)
                self.assertEqual(states == "reserved", must[2] == "reserved")
                self.assertLessEqual(set(bounds.split(", ")) - {""}, limits)
                self.assertLessEqual(set(re.findall(r"[A-Z_]{3,}", statuses)), {status.name for status in wire.Status})

    def test_quoted_vectors(self):
        """Each header and body that the document quotes is that of the vector's file."""
        with open(DOCUMENT, encoding="utf-8") as file:
            block = re.search(r"<!-- vectors -->\n```\n(.*?)```\n<!-- end -->", file.read(), re.S).group(1)
        name, quoted = None, 0
        for line in block.splitlines():
            words = line.split()
            if line[0] != " ":
                name, field = words[0], "header"
            else:
                field = "body"
            with open(os.path.join(VECTORS, name + ".txt"), encoding="utf-8") as file:
                self.assertIn(f"\n{field}: {words[-1]}\n", file.read(), name)
            quoted += 1
        self.assertGreaterEqual(quoted, len(wire.Kind))


if __name__ == "__main__":
    unittest.main()
