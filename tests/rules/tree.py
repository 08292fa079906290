"""What the rules look at: the files of a tree, C text with comments and strings blanked, functions, the table of rooms."""

import os
import re
import subprocess


class Finding:
    """One breach of a rule: where and what."""

    def __init__(self, path, line, text):
        self.path, self.line, self.text = path, line, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


class Function:
    """A function defined in a C file: name, first and last line (from 1), whether it is static."""

    def __init__(self, name, first, last, static):
        self.name, self.first, self.last, self.static = name, first, last, static

    @property
    def lines(self):
        return self.last - self.first + 1


class Room:
    def __init__(self, name, folder, uses, libraries):
        self.name, self.folder, self.uses, self.libraries = name, folder, uses, libraries


def blank(text, strings=True):
    """C text of the same shape in which comments (and strings) are spaces; line numbers stay."""

    def spaces(match):
        found = match.group(0)
        if found[0] in "\"'" and not strings:
            return found
        if found[0] in "\"'":
            return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]
        return re.sub(r"[^\n]", " ", found)

    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, spaces, text, flags=re.S)


class Tree:
    """The files of a folder that belong to the project: what git knows or would add, or all where there is no git."""

    def __init__(self, root):
        self.root = root
        self._texts = {}
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "-c", "-o", "--exclude-standard"],
            capture_output=True, check=False)
        if listed.returncode == 0 and os.path.exists(os.path.join(root, ".git")):
            names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
        else:
            names = self._walk(root)
        self.paths = sorted({name for name in names if os.path.isfile(os.path.join(root, name))})

    @staticmethod
    def _walk(root):
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in ("build", ".git", ".cache", "__pycache__")]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
        return names

    def has(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def data(self, path):
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read()

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = self.data(path).decode("utf-8", "replace")
        return self._texts[path]

    def write(self, path, text):
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as file:
            file.write(text)
        self._texts[path] = text

    def code(self, path, strings=True):
        return blank(self.text(path), strings)

    def files(self, *endings, under=()):
        """Paths that end in one of endings and lie under one of the folders, or anywhere."""
        return [path for path in self.paths
                if path.endswith(endings) and (not under or path.startswith(tuple(f + "/" for f in under)))]

    def functions(self, path):
        """Functions as the house formats them: signature from column 0, body from `{` at a line's end to `}` at column 0."""
        found, lines, at = [], self.code(path).split("\n"), 0
        while at < len(lines):
            line = lines[at]
            if re.match(r"[A-Za-z_]", line) and "(" in line and not line.startswith(("typedef", "extern", "#")):
                end = at
                while end < len(lines) and not re.search(r"[;{}]\s*$", lines[end]):
                    end += 1
                head = " ".join(lines[at:end + 1])
                name = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)|_\w+_\([^)]*\)", " ", head))
                if end < len(lines) and lines[end].rstrip().endswith("{") and "=" not in head.split("(")[0] and name:
                    last = end
                    while last < len(lines) and not lines[last].startswith("}"):
                        last += 1
                    found.append(Function(name.group(1), at + 1, last + 1, bool(re.match(r"(.*\s)?static\b", head.split("(")[0]))))
                    at = last
                else:
                    at = max(at, end)
            at += 1
        return found

    def rooms(self):
        """The table bus/rooms.def as a list of Room, in its order."""
        rooms = []
        if not self.has("bus/rooms.def"):
            return rooms
        for match in re.finditer(r'^ROOM\(([a-z]+), ([a-z_/]+), "([a-z ]*)", "([a-z ]*)"', self.text("bus/rooms.def"), re.M):
            name, folder, uses, libraries = match.groups()
            rooms.append(Room(name, folder, uses.split(), libraries.split()))
        return rooms

    def room_of(self, path):
        """The room in whose folder path lies; the longest folder wins."""
        inside = [room for room in self.rooms() if path.startswith(room.folder + "/")]
        return max(inside, key=lambda room: len(room.folder), default=None)
