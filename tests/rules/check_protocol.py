#!/usr/bin/python3
"""Compares the tables of docs/protocol.md with the tables of the source, bus/wire/*.def.

check_protocol.py            names every line that differs and ends with 1
check_protocol.py --write    writes the tables that have nothing of their own (status, limits, times)
check_protocol.py --self-test shows that the comparison can fail

A table stands between `<!-- NAME.def -->` and `<!-- end -->`. The header's table is written by hand, because it says
more than the source does: there only positions, names, types and limits are compared."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCUMENT = os.path.join(ROOT, "docs", "protocol.md")
WIRE = os.path.join(ROOT, "bus", "wire")
SENDERS = {"P": "peer", "B": "broker", "PB": "both", "X": "reserved"}
TYPES = {"U8": "unsigned", "U32": "unsigned", "U64": "unsigned", "SESSION": "unsigned", "TEXT": "str",
         "REQUEST_ID": "bin, 16 bytes", "TRACE": "bin, 25 bytes", "MAP": "map"}


def rows_of(text, macro):
    """The arguments of each line MACRO(...) of a table, as lists of text."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = []
    for match in re.finditer(rf"^{macro}\((.*)\)\s*$", text, re.M):
        parts = re.findall(r'\s*("(?:[^"\\]|\\.)*"|[^,]+?)\s*(?:,|$)', match.group(1))
        found.append([part.strip('"') for part in parts])
    return found


def read_def(name):
    with open(os.path.join(WIRE, name + ".def"), encoding="utf-8") as file:
        return file.read()


def limits(text):
    return {"LIMIT_" + name: int(value) for name, value, _, _ in rows_of(text, "LIMIT")}


def grouped(number):
    return f"{int(number):,}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def status_table(text):
    return table(["number", "status", "retry", "HTTP", "meaning"], rows_of(text, "STATUS"))


def limits_table(text):
    return table(["limit", "value", "what it bounds"],
                 [[name, f"{grouped(value)} {unit}", about] for name, value, unit, about in rows_of(text, "LIMIT")])


def times_table(text):
    return table(["time", "µs", "what it is"],
                 [[name, grouped(value), about] for name, value, about in rows_of(text, "TIME")])


def needs(fields):
    return ", ".join(name.lower() for name in re.findall(r"HAS\((\w+)\)", fields))


def msgs_table(text):
    rows = [[number, kind, SENDERS[sender], needs(fields)] for number, kind, sender, fields in rows_of(text, "MSG")]
    return [re.sub(r"\|  \|$", "| |", line) for line in table(["number", "kind", "from", "must have"], rows)]


WRITTEN = {"status": status_table, "limits": limits_table, "times": times_table}


def document_table(document, name):
    """The lines between the marks of table name, or None."""
    match = re.search(rf"<!-- {name}\.def -->\n(.*?)<!-- end -->", document, re.S)
    return None if match is None else match.group(1).splitlines()


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def largest_of(value, values):
    """A limit of header.def as a number, or None where the type alone says it."""
    if value in values:
        return values[value]
    if value == "UINT64_MAX":
        return 2**64 - 1
    return {"PRIORITY_BATCH": 2}.get(value) if not re.match(r"\d", value) else int(value, 0)


def said(cell):
    """The number that a cell of the column "largest" says."""
    if cell == "":
        return None
    bits = re.match(r"(\d+) bits$", cell)
    return 2 ** int(bits.group(1)) - 1 if bits else int(re.match(r"[\d,]+", cell).group(0).replace(",", ""))


def header_differences(lines, text, values):
    """Each position's name, type and limit, compared with header.def."""
    rows = [cells(line) for line in lines[2:]]
    wanted = rows_of(text, "FIELD")
    if len(rows) != len(wanted):
        yield f"header.def has {len(wanted)} positions, the document {len(rows)}"
    for row, (position, name, _, kind, largest) in zip(rows, wanted):
        word = re.split(r"[:(]", row[1])[0].strip().replace(" ", "_").upper()
        limit = None if kind in ("REQUEST_ID", "TRACE") else largest_of(largest, values)
        if [row[0], word, row[2], said(row[3])] != [position, name, TYPES[kind], limit]:
            yield f"header.def: position {position} is {name}, {TYPES[kind]}, {limit}; the document says {' | '.join(row)}"


def differences(document, read):
    """Every finding as a line of text; read(name) gives the text of a .def."""
    for name, build in {**WRITTEN, "msgs": msgs_table}.items():
        lines, wanted = document_table(document, name), build(read(name))
        if lines is None:
            yield f"no table {name}.def"
            continue
        for line in wanted:
            if line not in lines:
                yield f"{name}.def: not in the document: {line}"
        for line in lines:
            if line not in wanted:
                yield f"{name}.def: in the document only: {line}"
        if sorted(lines) == sorted(wanted) and lines != wanted:
            yield f"{name}.def: the order differs"
    lines = document_table(document, "header")
    if lines is None:
        yield "no table header.def"
    else:
        yield from header_differences(lines, read("header"), limits(read("limits")))


def write(document, read):
    for name, build in WRITTEN.items():
        lines = "\n".join(build(read(name))) + "\n"
        document = re.sub(rf"(<!-- {name}\.def -->\n).*?(<!-- end -->)",
                          lambda match, lines=lines: match.group(1) + lines + match.group(2), document, flags=re.S)
    return document


def self_test(document):
    """Every number, name and limit of every table is changed once; each change must be found."""
    missed = 0
    for old, new in (("| 3 | NO_SERVICE |", "| 33 | NO_SERVICE |"), ("| BODY_BYTES | 258,048", "| BODY_BYTES | 258,049"),
                     ("| PING_INTERVAL | 50,000", "| PING_INTERVAL | 51,000"), ("| 6 | REQUEST | both | id,", "| 6 | REQUEST | both |"),
                     ("| 3 | hop |", "| 3 | hops |"), ("| 4,096 ", "| 4,097 "), ("| str | 64 bytes |", "| str | 65 bytes |"),
                     ("<!-- times.def -->", "")):
        assert old in document, old
        if not list(differences(document.replace(old, new, 1), read_def)):
            missed += 1
            print(f"not found: {old} written as {new}")
    return 1 if missed else 0


def main(arguments):
    with open(DOCUMENT, encoding="utf-8") as file:
        document = file.read()
    if arguments == ["--self-test"]:
        return self_test(document)
    if arguments == ["--write"]:
        document = write(document, read_def)
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(document)
    elif arguments:
        print(__doc__)
        return 2
    found = list(differences(document, read_def))
    for line in found:
        print(line)
    print(f"docs/protocol.md and bus/wire/*.def: {len(found)} differences; --write repairs status, limits and times")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
