"""A block of code under <!-- file PATH --> in a document is that file, word for word."""

import re

from tree import Finding

WHAT = "code in documents is the file that it names"
QUOTED = re.compile(r"(<!-- file (\S+) -->\n)(```\w*\n)(.*?)(```)", re.S)


def check(tree):
    for path in tree.files(".md"):
        text = tree.text(path)
        for match in QUOTED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if not tree.has(match.group(2)):
                yield Finding(path, line, f"there is no {match.group(2)}")
            elif tree.text(match.group(2)) != match.group(4):
                yield Finding(path, line, f"is not {match.group(2)}; `tests/rules/rules.py --repair quotes` writes it")


def repair(tree):
    def quote(match):
        mark, file, opening, text, closing = match.groups()
        return mark + opening + (tree.text(file) if tree.has(file) else text) + closing

    for path in tree.files(".md"):
        text = QUOTED.sub(quote, tree.text(path))
        if text != tree.text(path):
            tree.write(path, text)


GOOD = {"README.md": "<!-- file a.c -->\n```c\nint a;\n```\n", "a.c": "int a;\n"}
BAD = {
    "another text": ({"a.c": "int b;\n"}, "README.md:1: is not a.c"),
    "no such file": ({"README.md": "\n<!-- file b.c -->\n```c\n```\n"}, "README.md:2: there is no b.c"),
}
