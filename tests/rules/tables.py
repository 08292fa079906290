"""A table of docs/protocol.md between <!-- NAME.def --> and <!-- end --> says what the table of bus/wire says. What the
document adds in words (the names of fields, what a value means) is its own."""

import re

from tree import Finding

WHAT = "the protocol's tables are those of the source"
DOCUMENT = "docs/protocol.md"
FOLDER = "bus/wire/"
TABLE = re.compile(r"(<!-- (\w+)\.def -->\n)(\|.*?\n\|.*?\n)(.*?)(<!-- end -->)", re.S)
FROM = {"P": "peer", "B": "broker", "PB": "both", "X": "reserved"}
TYPES = {"U8": "unsigned", "U32": "unsigned", "U64": "unsigned", "SESSION": "unsigned", "TEXT": "str", "MAP": "map",
         "REQUEST_ID": "bin, 16 bytes", "TRACE": "bin, 25 bytes"}
BITS = {2**32 - 1: "32 bits", 2**64 - 1: "64 bits"}


def lines(tree, name, macro):
    """The arguments of each macro(...) line, quotes stripped."""
    for match in re.finditer(rf"^{macro}\((.*)\)$", tree.text(f"{FOLDER}{name}.def"), re.M):
        yield [cell.strip().strip('"') for cell in re.split(r',\s*(?=(?:[^"]*"[^"]*")*[^"]*$)', match.group(1))]


def number(tree, text):
    """The value of a number, a LIMIT_ or the two names that stand in header.def."""
    names = {"PRIORITY_BATCH": 2, "UINT64_MAX": 2**64 - 1}
    if text.startswith("LIMIT_"):
        return next(int(row[1]) for row in lines(tree, "limits", "LIMIT") if row[0] == text[6:])
    return names[text] if text in names else int(text, 0)


def words(fields):
    """HAS(ID) | HAS(SERVICE) as "id, service"."""
    return ", ".join(re.findall(r"HAS\((\w+)\)", fields)).lower()


def largest(tree, kind, text):
    value = number(tree, text)
    if kind in ("REQUEST_ID", "TRACE"):
        return ""
    if value in BITS:
        return BITS[value]
    return f"{value:,} bytes" if kind in ("TEXT", "MAP") else f"{value:,}"


def header(tree, old):
    """The second column begins with the field's name; what follows it is the document's."""
    for row, had in zip(lines(tree, "header", "FIELD"), old + [[]] * 99):
        name = row[1].lower().replace("_", " ")
        own = had[1][len(name):] if len(had) > 1 and re.fullmatch(rf"{name}([:( ].*)?", had[1]) else ""
        yield [row[0], name + own, TYPES[row[3]], largest(tree, row[3], row[4])]


def msgs(tree, _):
    for row in lines(tree, "msgs", "MSG"):
        yield [row[0], row[1], FROM[row[2]], words(row[3])]


def status(tree, _):
    for row in lines(tree, "status", "STATUS"):
        yield [row[0], row[1], row[2], row[3], row[4]]


def limits(tree, _):
    for row in lines(tree, "limits", "LIMIT"):
        yield [row[0], f"{int(row[1]):,} {row[2]}", row[3]]


def times(tree, _):
    for row in lines(tree, "times", "TIME"):
        yield [row[0], f"{int(row[1]):,}", row[2]]


MAKERS = {"header": header, "msgs": msgs, "status": status, "limits": limits, "times": times}


def cells(text):
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines()]


def written(rows):
    return "".join("|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|\n" for row in rows)


def check(tree):
    text = tree.text(DOCUMENT)
    found = set()
    for match in TABLE.finditer(text):
        name, old = match.group(2), match.group(4)
        found.add(name)
        at = text.count("\n", 0, match.start(4)) + 1
        if name not in MAKERS:
            yield Finding(DOCUMENT, at, f"{name}.def is no table that this rule knows")
            continue
        new = written(MAKERS[name](tree, cells(old))).splitlines()
        had = old.splitlines()
        for i in range(max(len(new), len(had))):
            want, is_ = (rows[i] if i < len(rows) else "no line" for rows in (new, had))
            if want != is_:
                yield Finding(DOCUMENT, at + i, f"{FOLDER}{name}.def says {want}; `tests/rules/rules.py --repair tables` writes it")
    for name in MAKERS.keys() - found:
        yield Finding(DOCUMENT, 1, f"the table {name}.def is missing")


def repair(tree):
    def write(match):
        mark, name, head, old, end = match.groups()
        return mark + head + (written(MAKERS[name](tree, cells(old))) if name in MAKERS else old) + end

    text = tree.text(DOCUMENT)
    if TABLE.sub(write, text) != text:
        tree.write(DOCUMENT, TABLE.sub(write, text))


GOOD = {
    DOCUMENT: """
<!-- header.def -->
| position | field | type | largest |
|---|---|---|---|
| 0 | kind | unsigned | 127 |
| 4 | service (target or topic) | str | 130 bytes |
| 9 | trace: W3C | bin, 25 bytes | |
| 12 | number | unsigned | 64 bits |
<!-- end -->
<!-- msgs.def -->
| number | kind | from | must have |
|---|---|---|---|
| 6 | REQUEST | both | id, service |
| 25 | DRAIN | both | |
<!-- end -->
<!-- status.def -->
| number | status | retry | HTTP | meaning |
|---|---|---|---|---|
| 0 | OK | NEVER | 200 | done, and well |
<!-- end -->
<!-- limits.def -->
| limit | value | what it bounds |
|---|---|---|
| TARGET_BYTES | 130 bytes | a target |
| BODY_BYTES | 258,048 bytes | a body |
<!-- end -->
<!-- times.def -->
| time | µs | what it is |
|---|---|---|
| PING | 50,000 | a time |
<!-- end -->
""",
    "bus/wire/header.def": "FIELD(0, KIND, kind, U8, 127)\nFIELD(4, SERVICE, service, TEXT, LIMIT_TARGET_BYTES)\n"
                           "FIELD(9, TRACE, trace, TRACE, 25)\nFIELD(12, NUMBER, number, U64, UINT64_MAX)\n",
    "bus/wire/msgs.def": "MSG(6, REQUEST, PB, HAS(ID) | HAS(SERVICE))\nMSG(25, DRAIN, PB, 0)\n",
    "bus/wire/status.def": 'STATUS(0, OK, NEVER, 200, "done, and well")\n',
    "bus/wire/limits.def": 'LIMIT(TARGET_BYTES, 130, "bytes", "a target")\nLIMIT(BODY_BYTES, 258048, "bytes", "a body")\n',
    "bus/wire/times.def": 'TIME(PING, 50000, "a time")\n',
}


def changed(path, old, new):
    return {path: GOOD[path].replace(old, new)}


BAD = {
    "another limit": (changed(DOCUMENT, "258,048", "258,047"), "protocol.md:25: bus/wire/limits.def says | BODY_BYTES | 258,048 bytes | a body |"),
    "a time": (changed("bus/wire/times.def", "50000", "60000"), "times.def says | PING | 60,000 | a time |"),
    "a status that is missing": (changed("bus/wire/status.def", ")\n", ')\nSTATUS(1, NO, LATER, 429, "no")\n'), "says | 1 | NO | LATER | 429 | no |"),
    "a kind too many": (changed("bus/wire/msgs.def", "MSG(25, DRAIN, PB, 0)\n", ""), "msgs.def says no line"),
    "another field": (changed(DOCUMENT, "| service (", "| servant ("), "header.def says | 4 | service | str | 130 bytes |"),
    "another need": (changed("bus/wire/msgs.def", "HAS(ID) | ", ""), "says | 6 | REQUEST | both | service |"),
    "a larger number": (changed(DOCUMENT, "64 bits", "63 bits"), "says | 12 | number | unsigned | 64 bits |"),
    "no table": (changed(DOCUMENT, "<!-- times.def -->", ""), "protocol.md:1: the table times.def is missing"),
    "an unknown table": (changed(DOCUMENT, "times.def", "rhymes.def"), "rhymes.def is no table"),
}
