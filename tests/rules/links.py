"""What a document or a header's Spec line points to is there: files, sections by their headings, functions by their names."""

import os
import re

from tree import Finding

WHAT = "links and Spec lines lead somewhere"
HOW_TO = ("docs/agents.md", "docs/contracts.md")  # name files that the reader makes
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def headings(tree, path):
    return {re.sub(r"^[0-9.]+\s+", "", title).strip() for title in re.findall(r"^#+\s+(.*)$", tree.text(path), re.M)}


def anchors(tree, path):
    titles = re.findall(r"^#+\s+(.*)$", tree.text(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def check_named(tree, path, words):
    """`bus/x/y.c` is a file or folder of the tree, `name()` a word of its C code, or a function of its Python."""
    for number, line in enumerate(tree.text(path).split("\n"), 1):
        for file in re.findall(r"`((?:bus|agents|deploy|tests|docs)/[\w./-]+)`", line):
            if path not in HOW_TO and not tree.has(file.rstrip("/")) and "." in os.path.basename(file):
                yield Finding(path, number, f"there is no {file}")
        for function in re.findall(r"`(\w+)\(\)`", line):
            if function not in words:
                yield Finding(path, number, f"no file has a function {function}()")


def check_markdown(tree, path):
    for number, line in enumerate(tree.text(path).split("\n"), 1):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            if not tree.has(there):
                yield Finding(path, number, f"{target}: there is no {there}")
            elif anchor and there.endswith(".md") and anchor not in anchors(tree, there):
                yield Finding(path, number, f"{target}: {there} has no such heading")


def check_spec(tree, path):
    """Spec: docs/x.md, "Section" - the file, and a heading of that name (its number may be left out)."""
    opening = re.match(r"/\*.*?\*/", tree.text(path), re.S)
    spec = re.search(r"^ \* Spec: +(.*?)(^ \*$|\*/)", opening.group(0), re.M | re.S) if opening else None
    if not spec:
        return
    document = None
    for file, section in re.findall(r'(docs/[\w./-]+\.md)|"([^"]+)"', spec.group(1)):
        if file:
            document = file
            if not tree.has(file):
                yield Finding(path, 1, f"Spec: there is no {file}")
        elif document and tree.has(document) and section not in headings(tree, document):
            yield Finding(path, 1, f'Spec: {document} has no heading "{section}"')


def check_decisions(tree):
    """ADRs are numbered without a repeat."""
    seen = {}
    for path in tree.files(".md", under=("docs/adr",)):
        number = os.path.basename(path)[:4]
        if number in seen and number.isdigit():
            yield Finding(path, 1, f"number {number} is taken by {seen[number]}")
        seen[number] = path


def check_tour(tree):
    """README's tour of the rooms has each room, or the folder that it lies in."""
    if not tree.has("README.md"):
        return
    told = set(re.findall(r"^\| `([\w/]+)` \|", tree.text("README.md"), re.M))
    for room in tree.rooms():
        if not any(room.folder == folder or room.folder.startswith(folder + "/") for folder in told):
            yield Finding("README.md", 1, f"the tour of the rooms lacks {room.folder}")


def check(tree):
    yield from check_decisions(tree)
    yield from check_tour(tree)
    words = {word for path in tree.files(".c", ".h") for word in re.findall(r"\b(\w+)\(", tree.code(path))}
    words |= {word for path in tree.files(".py") for word in re.findall(r"\bdef (\w+)\(", tree.text(path))}
    for path in tree.files(".md"):
        yield from check_markdown(tree, path)
        if path != "CHANGELOG.md":
            yield from check_named(tree, path, words)
    for path in tree.files(".h"):
        yield from check_spec(tree, path)


TOP = "/* What: x\n * Spec:      %s */\n"
GOOD = {"docs/a.md": "# 1. First part\n[b](b.md#second-part) [web](https://x.org/y) [me](#1-first-part) `bus/base/a.h` `f()` `g()` `tests/unit`\n", "adapters/g.py": "def g():\n", "bus/base/f.c": "int f(void) {\n}\n", "docs/b.md": "## Second part\n",
        "bus/base/c.h": '/* What: x\n * Spec:      docs/a.md\n *\n * An "example". */\n', "bus/base/a.h": TOP % 'docs/a.md, "First part"; sd_notify(3)', "docs/adr/0001-x.md": "", "docs/adr/0002-y.md": "",
        "bus/rooms.def": 'ROOM(base, bus/base, "", "", "x")\nROOM(openai, adapters/openai, "", "", "x")\n', "README.md": "| `bus/base` | x |\n| `adapters` | x |\n"}
BAD = {
    "named file": ({"docs/c.md": "`bus/base/gone.c`\n"}, "there is no bus/base/gone.c"),
    "named function": ({"docs/c.md": "`gone()`\n"}, "no file has a function gone()"),
    "file": ({"docs/c.md": "[x](nowhere.md)\n"}, "there is no docs/nowhere.md"),
    "heading": ({"docs/c.md": "[x](b.md#third)\n"}, "has no such heading"),
    "spec file": ({"bus/base/b.h": TOP % "docs/nowhere.md"}, "Spec: there is no docs/nowhere.md"),
    "spec heading": ({"bus/base/b.h": TOP % 'docs/b.md, "Third"'}, 'no heading "Third"'),
    "tour": ({"README.md": "| `adapters` | x |\n"}, "the tour of the rooms lacks bus/base"),
    "number": ({"docs/adr/0002-z.md": ""}, "number 0002 is taken"),
}
