"""Every status of the wire and every positive error of a room is named by some test."""

import re

from tree import Finding

WHAT = "every error is named by a test"


def errors_of(tree):
    """Each status of the wire and each ROOM_E_X of a header, with where it is defined."""
    for path in tree.files("status.def", under=("bus",)):
        for match in re.finditer(r"^[A-Z_]*STATUS\w*\(\s*(?:\d+\s*,\s*)?(\w+)", tree.code(path), re.M):
            yield path, match.group(1)
    for path in tree.files(".h", under=("bus", "agents", "adapters")):
        for enum in re.finditer(r"\benum\b[^{;]*\{(.*?)\}", tree.code(path), re.S):
            for name in re.findall(r"\b([A-Z][A-Z0-9]*_E_[A-Z0-9_]+)\b\s*(?==|,|$)", enum.group(1), re.M):
                yield path, name


def check(tree):
    """In C a status is STATUS_X and an error ROOM_E_X; in Python a status is Status.X, or the string "X"."""
    tests = "\n".join(tree.text(path) for path in tree.files(".c", ".h", ".py", ".sh", ".def", under=("tests",))
                      if not path.startswith(("tests/rules/", "tests/bench/")))
    words = set(re.findall(r"\b[A-Z][A-Z0-9_]*\b", tests))
    quoted = set(re.findall(r"""["']([A-Z][A-Z0-9_]*)["']""", tests)) | set(re.findall(r"\bStatus\.([A-Z][A-Z0-9_]*)", tests))
    for path, name in errors_of(tree):
        if f"STATUS_{name}" not in words and name not in quoted and not ("_E_" in name and name in words):
            yield Finding(path, 1, f"no test under tests/ names {name}")


GOOD = {"bus/wire/status.def": "/* */\nSTATUS(4, OVERLOADED, LATER)\n", "bus/base/heap.h": "enum { BASE_E_FULL = 1 };\n",
        "tests/t.c": "assert(BASE_E_FULL, STATUS_OVERLOADED);\n"}
BAD = {
    "status": ({"bus/wire/status.def": "STATUS(3, NO_SERVICE, KNOWN)\n"}, "no test under tests/ names NO_SERVICE"),
    "longer word": ({"bus/wire/status.def": "STATUS(3, LOAD, KNOWN)\n"}, "names LOAD"),
    "bare word": ({"bus/wire/status.def": "STATUS(3, LIMIT, KNOWN)\n", "tests/u.c": "int a[LIMIT];\n"}, "names LIMIT"),
    "error": ({"bus/base/b.h": "typedef enum X {\n  BASE_E_EMPTY = 1,\n} X;\n"}, "names BASE_E_EMPTY"),
    "only in a comment here": ({"tests/t.c": "", "tests/rules/x.py": "BASE_E_FULL OVERLOADED\n"}, "names BASE_E_FULL"),
}
