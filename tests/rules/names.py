"""Prefix = public, no prefix = this file only; types are PascalCase; one table of ports."""

import os
import re

from tree import Finding

WHAT = "prefixes, structs and ports"
PORT = re.compile(r"(?<![\w.])(71\d\d|81\d\d)(?![\w.])")
NO_PORT = "8192"  # a power of two and a size, which is why nothing listens there


def check_prefixes(tree):
    """A static function does not begin with its room's or its file's name, which is how public ones begin."""
    for path in tree.files(".c", under=("bus", "agents", "adapters")):
        room, stem = tree.room_of(path), os.path.basename(path)[:-2]
        if room is None or stem.endswith("main"):
            continue
        prefixes = {room.name + "_"}
        if tree.has(path[:-2] + ".h"):
            prefixes.add(stem.replace("-", "_") + "_")
        for function in tree.functions(path):
            if function.static and function.name.startswith(tuple(prefixes)):
                yield Finding(path, function.first, f"static {function.name} looks public: drop the prefix")


def check_ports(tree):
    """Ports 7100-7199 and 8100-8199 are written in one table, each once."""
    tables = [path for path in tree.files(".def") if os.path.basename(path) == "ports.def"]
    if len(tables) > 1:
        yield Finding(tables[1], 1, f"a second table of ports beside {tables[0]}")
    for table in tables:
        seen = {}
        for number, line in enumerate(tree.code(table, strings=False).split("\n"), 1):
            for port in PORT.findall(line):
                if port in seen:
                    yield Finding(table, number, f"port {port} stands already on line {seen[port]}")
                seen[port] = number
    for path in tree.files(".c", ".h", ".def", under=("bus", "agents", "adapters")):
        if path in tables:
            continue
        for number, line in enumerate(tree.code(path, strings=False).split("\n"), 1):
            for port in PORT.findall(line):
                if port != NO_PORT:
                    yield Finding(path, number, f"port {port} belongs into the table of ports")


def check_structs(tree):
    """Structs, unions and enums are PascalCase; clang-tidy 14 looks at typedefs and functions, but not at these in C."""
    for path in tree.files(".c", ".h", under=("bus", "agents", "adapters")):
        code = re.sub(r"^#(?:.*\\\n)*.*", lambda match: "\n" * match.group(0).count("\n"), tree.code(path), flags=re.M)
        for number, line in enumerate(code.split("\n"), 1):
            for kind, name in re.findall(r"\b(struct|union|enum)\s+(\w+)\s*\{", line):
                if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
                    yield Finding(path, number, f"{kind} {name}: types are PascalCase")


def check(tree):
    yield from check_prefixes(tree)
    yield from check_structs(tree)
    yield from check_ports(tree)


ROOMS = {"bus/rooms.def": 'ROOM(base, bus/base, "", "", "")\n'}
GOOD = {**ROOMS, "bus/base/heap.h": "typedef struct Heap {\n} Heap;\nstruct epoll_event e = {0};\n"
        "#define T(name) \\\n  struct name { \\\n  }\n", "bus/base/ports.def": "PORT(bus, 7100)\nPORT(peer, 7102)\n",
        "bus/base/heap.c": "int heap_set(void) {\n}\nstatic int set(void) {\n}\nstatic int heaped(void) {\n}\nint x = 27100 + 8192;\n",
        "tests/t.c": "int p = 7100;\n"}
BAD = {
    "room prefix": ({"bus/base/b.c": "static int base_do(void) {\n}\n"}, "static base_do looks public"),
    "file prefix": ({"bus/base/heap.c": "static int heap_grow(\n    int x) {\n}\n"}, "static heap_grow looks public"),
    "struct": ({"bus/base/b.h": "struct bad_struct {\n};\n"}, "struct bad_struct: types are PascalCase"),
    "second table": ({"bus/base/other/ports.def": "\n"}, "a second table"),
    "twice": ({"bus/base/ports.def": "PORT(a, 7100)\nPORT(b, 7100)\n"}, "stands already on line 1"),
    "stray port": ({"bus/base/b.c": 'const char *e = "tcp://127.0.0.1:7100";\n'}, "belongs into the table"),
}
