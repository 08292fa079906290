"""A room includes from itself and from the rooms that bus/rooms.def allows it, and only the libraries it names there."""

import os
import re

from tree import Finding

WHAT = "includes obey bus/rooms.def"

LIBRARY_OF = [  # which library an outside header belongs to; what is not here and not C or POSIX is unknown
    (r"zmq(_utils)?\.h", "libzmq"), (r"systemd/.*", "libsystemd"), (r"libunwind(-.*)?\.h", "libunwind"),
    (r"jansson\.h", "jansson"), (r"cyaml/.*", "libcyaml"), (r"yaml\.h", "libcyaml"), (r"czmq\.h", "libczmq"),
    (r"msgpack.*", "msgpack"), (r"curl/.*", "libcurl"), (r"openssl/.*", "libcrypto"), (r"microhttpd\.h", "libmicrohttpd"), (r"sqlite3\.h", "sqlite"), (r"sodium\.h", "libsodium"), (r"(llama|ggml.*)\.h", "libllama"),
]
SYSTEM = re.compile(
    r"((sys|netinet|net|arpa|linux|bits|asm)/.*|(assert|complex|ctype|errno|fenv|float|inttypes|limits|locale|math|setjmp|"
    r"signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|threads|time|uchar|"
    r"unistd|fcntl|poll|pthread|sched|semaphore|dirent|dlfcn|ftw|fnmatch|getopt|glob|grp|ifaddrs|link|malloc|netdb|"
    r"paths|pwd|regex|spawn|syslog|termios|ucontext|utime|wait|wordexp|execinfo|elf|endian|byteswap|err|libgen|"
    r"langinfo|mqueue|search|sysexits|syscall|unwind|values|wchar|wctype)\.h)$")
FOR_ALL = ("agents/catalog.def",)  # a table of words; including it does not make a room depend on an agent
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def check_table(tree):
    """The table itself: a room may use only what stands above its line, that is below it in the house."""
    known = []
    for room in tree.rooms():
        for use in room.uses:
            if use not in known:
                yield Finding("bus/rooms.def", 1, f"room {room.name} uses {use}, which does not stand before it")
        known.append(room.name)


def outside_library(header):
    for pattern, library in LIBRARY_OF:
        if re.fullmatch(pattern, header):
            return library
    return None if SYSTEM.match(header) else "an unknown library"


def check_inside(tree, path, room, number, header):
    if header.startswith(".") or "/" not in header:
        return Finding(path, number, f'"{header}": write includes from the root of the repository')
    if not tree.has(header):
        return Finding(path, number, f'"{header}": there is no such file')
    if header.endswith(".c"):
        return Finding(path, number, f'"{header}": a .c file is not included')
    folder, own = os.path.dirname(header), os.path.dirname(path)
    if header.endswith("-internal.h") and own not in (folder, "tests/unit/" + folder):
        return Finding(path, number, f'"{header}": an -internal.h does not leave its folder')
    target = tree.room_of(header)
    if room is None or path.startswith("tests/"):
        return None
    if header.startswith(("tests/", "deploy/")):
        return Finding(path, number, f'"{header}": a room does not include from tests or deploy')
    if header not in FOR_ALL and target and target.name != room.name and target.name not in room.uses:
        return Finding(path, number, f'"{header}": room {room.name} may not use room {target.name}; it may use: '
                                     f'{" ".join(room.uses) or "none"}')
    return None


def check(tree):
    yield from check_table(tree)
    for path in tree.files(".c", ".h", ".def"):
        room = tree.room_of(path)
        for number, line in enumerate(tree.code(path, strings=False).split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if match.group(1):
                finding = check_inside(tree, path, room, number, match.group(1))
                if finding:
                    yield finding
                continue
            library = outside_library(match.group(2))
            if room and library and library not in room.libraries:
                yield Finding(path, number, f"<{match.group(2)}>: room {room.name} does not name {library} in bus/rooms.def")


ROOMS = ('ROOM(base, bus/base, "", "", "")\nROOM(loop, bus/loop, "base", "libzmq", "")\n'
         'ROOM(contracts, agents/contracts, "base", "", "")\nROOM(agents, agents, "contracts", "", "")\n')
GOOD = {"bus/rooms.def": ROOMS, "bus/base/a.h": "", "bus/base/a-internal.h": "", "agents/contracts/c.h": "",
        "bus/base/a.c": '#include "bus/base/a-internal.h"\n#include <sys/stat.h>\n',
        "bus/loop/l.c": '#include <zmq.h>\n#include "bus/base/a.h"\n/* #include "nowhere.h" */\n',
        "bus/loop/a.c": '#include "agents/catalog.def"\n', "agents/catalog.def": "",
        "agents/x.c": '#include "agents/contracts/c.h"\n',
        "tests/unit/bus/base/test_a.c": '#include <cmocka.h>\n#include "bus/base/a-internal.h"\n'}
BAD = {
    "upward": ({"bus/base/b.c": '#include "bus/loop/l.h"\n', "bus/loop/l.h": ""}, "may not use room loop"),
    "library": ({"bus/base/b.c": "#include <zmq.h>\n"}, "does not name libzmq"),
    "unknown library": ({"bus/base/b.c": "#include <glib.h>\n"}, "does not name an unknown library"),
    "relative": ({"bus/base/b.c": '#include "a.h"\n'}, "from the root"),
    "parent": ({"bus/loop/b.c": '#include "../base/a.h"\n'}, "from the root"),
    "missing": ({"bus/base/b.c": '#include "bus/base/nowhere.h"\n'}, "no such file"),
    "internal": ({"bus/loop/b.c": '#include "bus/base/a-internal.h"\n'}, "does not leave its folder"),
    "source": ({"bus/base/b.c": '#include "bus/base/a.c"\n'}, "not included"),
    "not transitive": ({"agents/y.c": '#include "bus/base/a.h"\n'}, "room agents may not use room base"),
    "tests": ({"bus/base/b.c": '#include "tests/t.h"\n', "tests/t.h": ""}, "from tests"),
    "circle": ({"bus/rooms.def": 'ROOM(base, bus/base, "loop", "", "")\n'}, "does not stand before it"),
}
