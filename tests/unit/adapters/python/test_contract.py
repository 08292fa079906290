#!/usr/bin/python3
"""Contracts read from the tables of the tree: hashes as C has them (`pons contract show`, when PONS_BUILD is there), and each
kind of defect with its path."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import msgpack
import place

import pons
from pons.contract import Contracts, Fault, TableError

FAMILIES = re.findall(r'^#include "(.*)"', place.text("agents", "contracts", "families.def"), re.M)

TABLE = """/* a table
   of two lines */
MESSAGE(Inner, "inside")
  FIELD(REQUIRED, NAME, name, 1, 16, "", "a name")
END(Inner)
MESSAGE(All, "one of each")
  FLAG(OPTIONAL, flag, "true, or (false)")
  FIELD(OPTIONAL, INT, int, -5, 5, "ms", "signed")
  FIELD(OPTIONAL, UINT, uint, 0, UINT64_MAX, "", "not")
  FIELD(OPTIONAL, REAL, real, -1.5, 2, "", "with a point")
  FIELD(OPTIONAL, TEXT, text, 1, 4, "", "a text")
  CHOICE(OPTIONAL, choice, "a|b", "one of two")
  FIELD(OPTIONAL, BYTES, bytes, 0, 2, "", "bytes")
  FIELD(OPTIONAL, ANY, any, 1, 8, "", "anything")
  LIST(OPTIONAL, UINT, list, 1, 2, 0, 9, "", "numbers")
  NESTED(OPTIONAL, Inner, one, "one inside")
  NESTED_LIST(OPTIONAL, Inner, more, 0, 2, "several")
  FIELD(REQUIRED, UINT, must, 0, 1, "", "required")
END(All)
EMPTY(None_, "nothing")
METHOD("all", "do", 1, All, None_, ONCE, "does")
CALL("x", "all", "do")
"""


def read(text):
    with tempfile.NamedTemporaryFile("w", suffix=".def") as file:
        file.write(text)
        file.flush()
        return Contracts(file.name)


class Hashes(unittest.TestCase):
    def test_the_documented_one(self):
        """docs/contracts.md, "Example"."""
        method = Contracts(place.path("tests", "unit", "bus", "wire", "sample.def")).find("sample", "pour")
        self.assertEqual(f"{method.hash:#018x}", "0x76313f56d9dc6ba8")

    @unittest.skipUnless("PONS_BUILD" in os.environ, "without a build there is nothing to compare with")
    def test_all_of_the_tree(self):
        contracts = Contracts(*(place.path(family) for family in FAMILIES))
        shown = json.loads(subprocess.run([os.path.join(os.environ["PONS_BUILD"], "bin", "pons"), "--json", "contract", "list"],
                                          stdout=subprocess.PIPE, check=True).stdout)
        self.assertEqual({(row["service"], row["method"]) for row in shown}, set(contracts.methods))
        for row in shown:
            method = contracts.find(row["service"], row["method"])
            self.assertEqual(f"{method.hash:016x}", row["hash"], row)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


class Checks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.method = read(TABLE).find("all@one", "do")

    def test_sound(self):
        for value in ({"must": 1}, {"must": 0, "flag": False, "int": -5, "uint": 2**64 - 1, "real": 2, "text": "ä", "choice": "b",
                                    "bytes": b"ab", "any": [1], "list": [0, 9], "one": {"name": "n"}, "more": [{"name": "a.b"}]}):
            self.method.request.check(value)
            self.assertEqual(self.method.request.decode(msgpack.packb(value)), value)

    def test_each_defect(self):
        for more, reason, path in (({"flag": 1}, "WRONG_TYPE", "flag"), ({"int": 6}, "OUT_OF_RANGE", "int"), ({"int": True}, "WRONG_TYPE", "int"),
                                   ({"uint": -1}, "OUT_OF_RANGE", "uint"), ({"uint": 2**64}, "OUT_OF_RANGE", "uint"),
                                   ({"real": float("nan")}, "WRONG_TYPE", "real"), ({"real": 2.1}, "OUT_OF_RANGE", "real"),
                                   ({"text": ""}, "OUT_OF_RANGE", "text"), ({"text": "äöü"}, "OUT_OF_RANGE", "text"), ({"text": b"a"}, "WRONG_TYPE", "text"),
                                   ({"choice": "c"}, "OUT_OF_RANGE", "choice"), ({"bytes": "a"}, "WRONG_TYPE", "bytes"),
                                   ({"any": "x" * 9}, "OUT_OF_RANGE", "any"), ({"any": nested(33)}, "MALFORMED", "any"),
                                   ({"any": nested(600)}, "MALFORMED", "any"), ({"any": [object()]}, "WRONG_TYPE", "any"),
                                   ({"any": nested(32)}, "OUT_OF_RANGE", "any"), ({"list": []}, "OUT_OF_RANGE", "list"), ({"list": 1}, "WRONG_TYPE", "list"),
                                   ({"list": [0, 10]}, "OUT_OF_RANGE", "list[1]"), ({"one": {}}, "MISSING", "one.name"), ({"one": None}, "WRONG_TYPE", "one"),
                                   ({"more": [{"name": "a"}, {"name": "b c"}]}, "OUT_OF_RANGE", "more[1].name"),
                                   ({"other": 1}, "UNKNOWN_FIELD", "other")):
            with self.subTest(more), self.assertRaises(pons.Invalid) as caught:
                self.method.request.check({"must": 1, **more})
            self.assertEqual((caught.exception.path, caught.exception.message.partition(":")[0]), (path, reason))

    def test_bodies(self):
        for body, reason, path in ((b"", "MALFORMED", ""), (b"\x81\xa4must", "MALFORMED", ""), (b"\x80\x80", "MALFORMED", ""), (b"\x90", "WRONG_TYPE", ""),
                                   (b"\x80", "MISSING", "must"), (b"\x82\xa4must\x01\xa4must\x01", "DUPLICATE", "must"), (b"\x81\xa4must\xc0", "WRONG_TYPE", "must")):
            with self.subTest(body), self.assertRaises(Fault) as caught:
                self.method.request.decode(body)
            self.assertEqual((caught.exception.reason, caught.exception.path), (reason, path))

    def test_whose_fault_it_is(self):
        with self.assertRaises(pons.ContractMismatch):
            self.method.read_reply(msgpack.packb({"x": 1}))
        with self.assertRaises(pons.Internal):
            self.method.check_answer({"x": 1})
        with self.assertRaises(pons.Internal):
            self.method.check_answer({}, chunk=True)


class Tables(unittest.TestCase):
    def test_what_cannot_be_read_names_its_line(self):
        for text, line in (("MESSAGE(A, \"a\")\n  FIELD(REQUIRED, HUGE, x, 0, 1, \"\", \"no such type\")\nEND(A)\n", 2), ("nothing\n", 1),
                           ("FIELD(REQUIRED, UINT, x, 0, 1, \"\", \"outside\")\n", 1), ("METHOD(\"a\", \"b\", 1, A, B, ONCE, \"no such message\")\n", 1)):
            with self.assertRaisesRegex(TableError, f":{line}: "):
                read(text)


if __name__ == "__main__":
    unittest.main()
