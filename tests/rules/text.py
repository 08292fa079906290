"""Only committed comments and finished work: no // in C, no sleeping, nothing unfinished, no machine's paths, no binaries."""

import re

from tree import Finding

WHAT = "text: comments, sleeping, unfinished work, paths, binaries"
MAX_BYTES = 400 * 1024
DATA = ("tests/vectors/", "tests/fuzz/corpus/")  # bytes, not text
SELF = "tests/rules/"  # names here what it forbids
BENCH = ("tests/bench/", "deploy/bench")  # a quiet window is what they measure, so they may let time pass

SLEEP_C = re.compile(r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep|zmq_sleep|zclock_sleep)\s*\(|\bpoll\s*\(\s*NULL\s*,|\bselect\s*\(\s*0\s*,")
SLEEP_PYTHON = re.compile(r"\b(time|asyncio)\.sleep\s*\(|\bfrom time import .*\bsleep\b")
SLEEP_SHELL = re.compile(r"(^|[;&|(]|\bdo|\bthen)\s*sleep\s+[0-9$.]")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|TBD)\b|\b[Ss]tub(s|bed)?\b")
MACHINE = re.compile(r"(?<![\w.])/(home|root|work|Users)/\w|(?<![\w.])/tmp/\w+/")


def is_shell(tree, path):
    return path.endswith(".sh") or bool(re.match(r"#!.*\b(ba)?sh\b", tree.text(path)[:40]))


def without_block_comments(text):
    """C text in which strings and block comments are blank; blank() would take the // away with them."""
    pattern = r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda match: re.sub(r"[^\n]", " ", match.group(0)), text, flags=re.S)


def check_c(tree, path):
    for number, line in enumerate(without_block_comments(tree.text(path)).split("\n"), 1):
        if "//" in line:
            yield Finding(path, number, "// is for what is not committed; write /* */")
        if SLEEP_C.search(line) and not path.startswith(BENCH):
            yield Finding(path, number, "nothing sleeps: wait for an event with a deadline")


def check_lines(tree, path):
    shell, python = is_shell(tree, path), path.endswith(".py")
    for number, line in enumerate(tree.text(path).split("\n"), 1):
        sleeps = python and SLEEP_PYTHON.search(line) or shell and SLEEP_SHELL.search(line)
        if sleeps and not path.startswith(BENCH):
            yield Finding(path, number, "nothing sleeps: wait for an event with a deadline")
        if UNFINISHED.search(line):
            yield Finding(path, number, f"unfinished: {UNFINISHED.search(line).group(0)}")
        if MACHINE.search(line):
            yield Finding(path, number, f"a path of one machine: {MACHINE.search(line).group(0)}...")
        if line != line.rstrip():
            yield Finding(path, number, "white space at the end of the line")


def check(tree):
    for path in tree.paths:
        data = tree.data(path)
        if len(data) > MAX_BYTES:
            yield Finding(path, 1, f"{len(data)} bytes, at most {MAX_BYTES}")
        if path.startswith(DATA) and not path.endswith((".py", ".txt", ".json")):
            continue
        if b"\0" in data:
            yield Finding(path, 1, "a binary file")
            continue
        if path.startswith(SELF):
            continue
        if data and not data.endswith(b"\n"):
            yield Finding(path, 1, "the last line has no end")
        if path.endswith((".c", ".h", ".def")):
            yield from check_c(tree, path)
        yield from check_lines(tree, path)


GOOD = {"bus/base/a.c": '/* usleep(1) sleeps */\nconst char *u = "http://x"; /* "a//b" */\nint oversleep(void);\nchar q = \'"\';\n',
        "deploy/x": "#!/bin/bash\necho sleeping\nmktemp -d /tmp/pons.XXXXXX\n", "tests/fuzz/corpus/a/1": "\0\1 FIXME",
        "tests/a.py": "stubborn = 1\n"}
BAD = {
    "line comment": ({"bus/base/b.c": "int x; // why\n"}, "write /* */"),
    "sleep": ({"bus/base/b.c": "void f(void) {\n  usleep(1);\n}\n"}, "b.c:2: nothing sleeps"),
    "poll as sleep": ({"tests/b.c": "int x = poll(NULL, 0, 5);\n"}, "nothing sleeps"),
    "python sleep": ({"tests/b.py": "time.sleep(1)\n"}, "nothing sleeps"),
    "shell sleep": ({"deploy/b": "#!/bin/sh\nwhile :; do sleep 1; done\n"}, "nothing sleeps"),
    "unfinished": ({"docs/b.md": "TO" + "DO: write\n"}, "unfinished: TODO"),
    "stub": ({"bus/base/b.c": "/* a stub */\n"}, "unfinished: stub"),
    "machine": ({"deploy/b": "cd /home/somebody\n"}, "a path of one machine"),
    "binary": ({"tests/b.o": "\x7fELF\0\n"}, "a binary file"),
    "large": ({"docs/b.txt": "x\n" * 210000}, "at most 409600"),
    "white space": ({"docs/b.md": "x \n"}, "white space"),
    "no end": ({"docs/b.md": "x"}, "no end"),
}
