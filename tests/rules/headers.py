"""A header opens with What, Owns, May use, Threading, Spec; its public functions carry a contract; .def files say what they are."""

import re

from tree import Finding

WHAT = "headers open with the five lines and comment their functions"
FIVE = ["What:", "Owns:", "May use:", "Threading:", "Spec:"]


def check_opening(tree, path):
    text = tree.text(path)
    opening = re.match(r"/\*.*?\*/", text, re.S)
    found = re.findall(r"^(?:/\*| \*) (What:|Owns:|May use:|Threading:|Spec:) +\S", opening.group(0), re.M) if opening else []
    if found != FIVE:
        missing = [word for word in FIVE if word not in found] or ["in another order"]
        yield Finding(path, 1, f"the opening comment lacks: {' '.join(missing)}")


def check_contracts(tree, path):
    """A prototype stands under a comment or has one behind it, or it stands directly under another prototype whose comment
    speaks for both. A section's title, as in --- asking ---, speaks for what follows it until other code comes; inside a
    room and in tests every comment that stands alone is such a title."""
    title = "/*" if path.endswith("-internal.h") or path.startswith("tests/") else "/* ---"
    raw, code = tree.text(path).split("\n"), tree.code(path).split("\n")
    depth, covered, inside, section = 0, False, False, False
    for number, line in enumerate(code, 1):
        begins = depth == 0 and not inside and re.match(r"[A-Za-z_]", line) and not line.startswith(("typedef", "struct {"))
        if not line.strip():
            section = section or raw[number - 1].startswith(title)
            covered = section or bool(raw[number - 1].strip())  # a blank line ends the cover, a comment gives it
        elif begins and "(" in line and not re.match(r"(static|extern \"C\"|_Static_assert|[A-Z_]+\()", line) \
                and "{" not in line:
            if not covered and "/*" not in raw[number - 1]:
                name = re.search(r"(\w+)\s*\(", line)
                yield Finding(path, number, f"{name.group(1)} has no comment above it that says what it promises")
            inside = ";" not in line
        elif inside:
            inside = ";" not in line
        elif begins or depth > 0 or line.startswith(("}", "#")):
            covered = section = False
        depth += line.count("{") - line.count("}")


def check(tree):
    for path in tree.files(".h"):
        yield from check_opening(tree, path)
        yield from check_contracts(tree, path)
    for path in tree.files(".def"):
        if not tree.text(path).startswith("/*"):
            yield Finding(path, 1, "a table opens with a comment that says what its lines mean")


TOP = "/* What:      x\n *            more of it\n * Owns:      -\n * May use:   -\n * Threading: -\n * Spec:      - */\n"
GOOD = {"bus/base/a.h": TOP + "#define X 1\n\n/* Does a. */\nint a(void);\nint b(int x,\n      int y);\n\nstatic inline int c(void) {\n  return 1;\n}\n"
                        "\ntypedef int Callback(int x);\n\nstruct S {\n  int (*f)(void);\n};\n",
        "bus/base/s.h": TOP + "/* --- asking --- */\n\nint a(void);\n\nint b(void);\n\nstruct S;\n\nint c(void); /* c */\n",
        "bus/base/i-internal.h": TOP + "/* x.c */\n\nint a(void);\n", "bus/x.def": "/* X(a) */\n"}
BAD = {
    "no opening": ({"bus/base/b.h": "int x;\n"}, "lacks: What: Owns:"),
    "one line missing": ({"bus/base/b.h": TOP.replace(" * Owns:      -\n", "")}, "lacks: Owns:"),
    "empty line": ({"bus/base/b.h": TOP.replace("Owns:      -", "Owns:")}, "lacks: Owns:"),
    "order": ({"bus/base/b.h": "/* Owns:   -\n * What: -\n * May use: -\n * Threading: -\n * Spec: - */\n"}, "another order"),
    "bare": ({"bus/base/b.h": TOP + "\nint a(void);\n"}, "a has no comment"),
    "blank between": ({"bus/base/b.h": TOP + "\n/* Does a. */\nint a(void);\n\nint b(void);\n"}, "b has no comment"),
    "title in public": ({"bus/base/b.h": TOP + "/* x.c */\n\nint a(void);\n"}, "a has no comment"),
    "after a section": ({"bus/base/b.h": TOP + "/* --- x --- */\n\nint a(void);\n#define X\nint b(void);\n"}, "b has no comment"),
    "after a struct": ({"bus/base/b.h": TOP + "\n/* S */\nstruct S {\n  int x;\n};\nint b(void);\n"}, "b has no comment"),
    "table": ({"bus/y.def": "X(a)\n"}, "a table opens with a comment"),
}
