#!/usr/bin/python3
"""The C codec beside Python's msgpack: the same random headers, in random formats of msgpack, good and damaged; both must
say the same. test_codec.py PROGRAM [SEED]; the seed is printed."""

import os
import random
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import msgpack  # noqa: E402
import pons_wire as wire  # noqa: E402

HEADERS = 20000


def number_bytes(rng, value):
    """A number in any unsigned format that holds it."""
    formats = [(0x7F, lambda: bytes([value])), (0xFF, lambda: struct.pack(">BB", 0xCC, value)),
               (0xFFFF, lambda: struct.pack(">BH", 0xCD, value)), (2**32 - 1, lambda: struct.pack(">BI", 0xCE, value)),
               (2**64 - 1, lambda: struct.pack(">BQ", 0xCF, value))]
    return rng.choice([form for largest, form in formats if value <= largest])()


def text_bytes(rng, value):
    """A text in any str format that holds it."""
    data = value.encode()
    heads = [struct.pack(">BH", 0xDA, len(data)), struct.pack(">BI", 0xDB, len(data))]
    if len(data) < 256:
        heads.append(bytes([0xD9, len(data)]))
    if len(data) < 32:
        heads.append(bytes([0xA0 | len(data)]))
    return rng.choice(heads) + data


def random_number(rng, largest):
    """Small, near a power of two, at the limit, or sometimes over it."""
    value = rng.choice([rng.randrange(4), 2 ** rng.randrange(64) - rng.randrange(2), largest, largest + 1])
    return min(value, 2**64 - 1) if rng.random() < 0.1 else min(value, largest)


def random_value(rng, depth=0):
    """Anything that msgpack can say, for annotations and for elements that are not known."""
    kind = rng.randrange(9 if depth < 3 else 7)
    if kind == 7:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 8:
        return {str(i): random_value(rng, depth + 1) for i in range(rng.randrange(4))}
    return (None, rng.random() < 0.5, rng.randrange(-2**63, 2**64), rng.random(), "x" * rng.randrange(40),
            rng.randbytes(rng.randrange(20)), msgpack.ExtType(rng.randrange(128), rng.randbytes(rng.choice([1, 2, 3, 4, 8, 16, 17]))))[kind]


def random_cell(rng, name, kind, largest):
    """The bytes of one position."""
    if rng.random() < 0.3 and name != "kind":
        return b"\xc0"
    if name == "kind":
        return number_bytes(rng, rng.choice([rng.randrange(1, 27), rng.randrange(1, 27), rng.randrange(127)]))
    if kind is int:
        return number_bytes(rng, random_number(rng, largest))
    if kind is str:
        return text_bytes(rng, "t" * rng.choice([0, 1, 31, 32, largest, largest + (rng.random() < 0.1)]))
    if kind is bytes:
        return msgpack.packb(rng.randbytes(largest - 1) + b"\1" if rng.random() < 0.98 else rng.randbytes(largest + 1))
    return msgpack.packb({f"k{i}": random_value(rng) for i in range(rng.randrange(3))})


def random_header(rng):
    cells = [random_cell(rng, *field) for field in wire.FIELDS[:rng.randrange(1, len(wire.FIELDS) + 1)]]
    if len(cells) == len(wire.FIELDS):
        cells += [msgpack.packb(random_value(rng)) for _ in range(rng.randrange(3))]
    n = len(cells)
    heads = [struct.pack(">BH", 0xDC, n), struct.pack(">BI", 0xDD, n)] + ([bytes([0x90 | n])] if n < 16 else [])
    return rng.choice(heads) + b"".join(cells)


def damaged(rng, header):
    """One byte changed, taken out or put in, or the end cut off."""
    at = rng.randrange(len(header))
    return rng.choice([header[:at], header[:at] + rng.randbytes(1) + header[at + 1:], header[:at] + header[at + 1:],
                       header[:at] + rng.randbytes(1) + header[at:]])


def expected(header):
    """Python's answer: the status, the id, and the header encoded again. None where Python is laxer: it does not tell a
    signed format from an unsigned one, nor bin 16 from bin 8, and takes a map key of any type."""
    try:
        fields = wire.decode(header)
    except wire.WireError as error:
        return error.status.name, error.request, None
    if fields.get("id", b"\1" * 16)[:8] == bytes(8):
        return "MALFORMED", None, None
    if fields["kind"] != wire.Kind.REQUEST:
        fields.pop("priority", None)
    return "OK", fields.get("id"), fields


class Codec(unittest.TestCase):
    program, seed = "header_lines", 0

    def ask(self, headers):
        lines = "".join(header.hex() + "\n" for header in headers)
        done = subprocess.run([self.program], input=lines, capture_output=True, text=True, timeout=120, check=True)
        answers = [line.split(" ") for line in done.stdout.splitlines()]
        self.assertEqual(len(answers), len(headers))
        return answers

    def test_same_as_python(self):
        rng = random.Random(self.seed)
        headers = [random_header(rng) for _ in range(HEADERS)]
        good = 0
        for header, (status, request, again) in zip(headers, self.ask(headers)):
            wanted, wanted_id, fields = expected(header)
            self.assertEqual(status, wanted, f"seed {self.seed}: {header.hex()}")
            if wanted_id:
                self.assertEqual(request, wanted_id.hex())
            if fields:
                good += 1
                # The map's own bytes travel, whichever format its values are in.
                self.assertEqual(wire.decode(bytes.fromhex(again)), wire.decode(wire.encode(**fields)), header.hex())
        self.assertGreater(good, HEADERS / 10)

    def test_damaged(self):
        """What C takes, Python takes and understands the same; no input stops the program."""
        rng = random.Random(self.seed + 1)
        headers = [damaged(rng, random_header(rng)) for _ in range(HEADERS)]
        for header, (status, _, again) in zip(headers, self.ask(headers)):
            wanted, _, fields = expected(header)
            if status == "OK" and wanted == "OK":
                self.assertEqual(wire.decode(bytes.fromhex(again)), wire.decode(wire.encode(**fields)), header.hex())
            elif status == "OK":  # Python decodes the texts and keys inside annotations, C does not
                self.assertEqual(wanted, "MALFORMED", header.hex())


if __name__ == "__main__":
    Codec.program = sys.argv[1]
    Codec.seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    print(f"seed {Codec.seed}")
    unittest.main(argv=sys.argv[:1])
