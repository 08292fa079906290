"""The tables of docs/protocol.md between <!-- x.def --> and <!-- end --> say what bus/wire/x.def says.

status, limits and times are written by this rule (rules.py --repair tables); header and msgs are written by hand, since
their columns explain more, and are compared column by column as far as the .def goes. A block of code under
<!-- file PATH --> in any document is that file."""

import re

from tree import Finding

WHAT = "tables of the documents are those of the source"
DOCUMENT = "docs/protocol.md"
FROM = {"P": "peer", "B": "broker", "PB": "both", "X": "reserved"}
QUOTED = re.compile(r"(<!-- file (\S+) -->\n)(```\w*\n)(.*?)(```)", re.S)
ROW = re.compile(r'^[A-Z]+\(((?:[^()"]|"(?:\\.|[^"\\])*"|\([^()]*\))*)\)', re.M)


def fields_of(row):
    fields = re.findall(r'"(?:\\.|[^"\\])*"|[^,"]+', row)
    return [field.strip().strip('"') for field in fields if field.strip()]


def rows_of(tree, name):
    return [fields_of(match.group(1)) for match in ROW.finditer(tree.code(f"bus/wire/{name}.def", strings=False))]


def number(text):
    return f"{int(text):,}" if text.isdigit() else text


def render(name, rows):
    """The whole table in Markdown, for those that are written here."""
    if name == "status":
        head, cells = ["number", "status", "retry", "HTTP", "meaning"], rows
    elif name == "limits":
        head, cells = ["limit", "value", "what it bounds"], [[row[0], f"{number(row[1])} {row[2]}", row[3]] for row in rows]
    else:
        head, cells = ["time", "µs", "what it is"], [[row[0], number(row[1]), *row[2:]] for row in rows]
    lines = ["| " + " | ".join(line) + " |\n" for line in [head, *cells]]
    return "".join([lines[0], "|" + "---|" * len(head) + "\n", *lines[1:]])


def expected_cells(name, row):
    """What the first cells of a hand-written row must be."""
    if name == "msgs":
        needs = re.findall(r"HAS\((\w+)\)", row[3])
        return [row[0], row[1], FROM[row[2]], ", ".join(need.lower() for need in needs)]
    return [row[0], row[1].lower().replace("_", " ")]


def compare_by_hand(name, rows, text):
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.split("\n") if line.startswith("|")]
    lines = lines[2:]
    if len(lines) != len(rows):
        yield f"{name}.def has {len(rows)} rows, the document {len(lines)}"
    for row, line in zip(rows, lines):
        wanted = expected_cells(name, row)
        got = line[:len(wanted)]
        if name == "header":
            got[1] = re.split(r"[ (:]", got[1])[0] if " " not in wanted[1] else got[1]
        if got != wanted:
            yield f"{name}.def says {wanted}, the document {got}"


def tables_of(tree):
    """(name, text between the marks, where it begins) of each table of the document."""
    text = tree.text(DOCUMENT)
    for match in re.finditer(r"<!-- (\w+)\.def -->\n(.*?)<!-- end -->", text, re.S):
        yield match.group(1), match.group(2), text.count("\n", 0, match.start()) + 1


def check_quoted(tree):
    for path in tree.files(".md"):
        text = tree.text(path)
        for match in QUOTED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if not tree.has(match.group(2)):
                yield Finding(path, line, f"there is no {match.group(2)}")
            elif tree.text(match.group(2)) != match.group(4):
                yield Finding(path, line, f"is not {match.group(2)}; `tests/rules/rules.py --repair tables` writes it")


def check(tree):
    yield from check_quoted(tree)
    if not tree.has(DOCUMENT):
        return
    seen = set()
    for name, text, line in tables_of(tree):
        seen.add(name)
        rows = rows_of(tree, name)
        if name in ("header", "msgs"):
            for difference in compare_by_hand(name, rows, text):
                yield Finding(DOCUMENT, line, difference)
        elif text != render(name, rows):
            yield Finding(DOCUMENT, line, f"is not what {name}.def says; `tests/rules/rules.py --repair tables` writes it")
    for name in {"header", "msgs", "status", "limits", "times"} - seen:
        yield Finding(DOCUMENT, 1, f"no table <!-- {name}.def -->")


def repair(tree):
    for path in tree.files(".md"):
        text = QUOTED.sub(lambda match: match.group(1) + tree.text(match.group(2)).join(match.group(3, 5)), tree.text(path))
        if text != tree.text(path):
            tree.write(path, text)

    def table(match):
        name = match.group(1)
        text = match.group(2) if name in ("header", "msgs") else render(name, rows_of(tree, name))
        return f"<!-- {name}.def -->\n{text}<!-- end -->"

    tree.write(DOCUMENT, re.sub(r"<!-- (\w+)\.def -->\n(.*?)<!-- end -->", table, tree.text(DOCUMENT), flags=re.S))


DEFS = {"bus/wire/header.def": 'FIELD(0, KIND, kind, U8, 127)\n', "bus/wire/msgs.def": "MSG(6, REQUEST, PB, HAS(ID) | HAS(SERVICE))\n",
        "bus/wire/status.def": '/* STATUS(1, X) */\nSTATUS(0, OK, NEVER, 200, "done, all of it")\n',
        "bus/wire/limits.def": 'LIMIT(BODY, 4096, "bytes", "a body")\n', "bus/wire/times.def": 'TIME(PING, 50000, "a (life) sign")\n'}
HAND = ("<!-- header.def -->\n| p | f |\n|---|---|\n| 0 | kind | unsigned |\n<!-- end -->\n"
        "<!-- msgs.def -->\n| n | k | f | m |\n|---|---|---|---|\n| 6 | REQUEST | both | id, service |\n<!-- end -->\n")
MADE = ("<!-- status.def -->\n| number | status | retry | HTTP | meaning |\n|---|---|---|---|---|\n"
        "| 0 | OK | NEVER | 200 | done, all of it |\n<!-- end -->\n<!-- limits.def -->\n| limit | value | what it bounds |\n"
        "|---|---|---|\n| BODY | 4,096 bytes | a body |\n<!-- end -->\n<!-- times.def -->\n| time | µs | what it is |\n"
        "|---|---|---|\n| PING | 50,000 | a (life) sign |\n<!-- end -->\n")
GOOD = {**DEFS, DOCUMENT: HAND + MADE, "README.md": "<!-- file a.c -->\n```c\nint a;\n```\n", "a.c": "int a;\n"}
BAD = {
    "quoted file": ({"a.c": "int b;\n"}, "is not a.c"),
    "no such file": ({"README.md": "<!-- file b.c -->\n```c\n```\n"}, "there is no b.c"),
    "number": ({"bus/wire/status.def": 'STATUS(1, OK, NEVER, 200, "done, all of it")\n'}, "is not what status.def says"),
    "value": ({"bus/wire/limits.def": 'LIMIT(BODY, 4097, "bytes", "a body")\n'}, "is not what limits.def says"),
    "new row": ({"bus/wire/msgs.def": "MSG(6, REQUEST, PB, HAS(ID) | HAS(SERVICE))\nMSG(7, CHUNK, PB, HAS(ID))\n"}, "2 rows"),
    "other need": ({"bus/wire/msgs.def": "MSG(6, REQUEST, PB, HAS(ID))\n"}, "msgs.def says"),
    "other field": ({"bus/wire/header.def": "FIELD(0, SORT, kind, U8, 127)\n"}, "header.def says"),
    "no table": ({DOCUMENT: HAND}, "no table <!-- times.def -->"),
}
