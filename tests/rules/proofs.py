"""A test that a document names is there: `test_x` (a file of that name, or a function), `test_x.Class.test_y` and `test_x.test_y` with
what follows the points in that file. And docs/providers.md has all themes of other gateways' users, each with such a test or with
whose they are."""

import re

from tree import Finding

WHAT = "tests that documents name are there"
NAMED = re.compile(r"`(test_\w+(?:\.(?!py`|c`)\w+)*)(?:\.py|\.c)?`")
DOCUMENT, SECTION, THEMES = "docs/providers.md", "What users of other gateways suffer from", 25
ELSEWHERE = "not the adapter's"


def sources(tree):
    """The texts of all tests by the names of their files."""
    found = {}
    for path in tree.files(".py", ".c", under=("tests",)):
        name = re.sub(r"\.(py|c)$", "", path.rsplit("/", 1)[1])
        found.setdefault(name, []).append(tree.text(path))
    return found


def is_in(word, text):
    """A class or function of Python, or a static function of C."""
    return re.search(rf"^\s*(class|def) {word}\b|^static void {word}\(", text, re.M)


def is_there(name, tests):
    file, *words = name.split(".")
    if file in tests:
        return any(all(is_in(word, text) for word in words) for text in tests[file] if file.startswith("test_"))
    return not words and any(is_in(file, text) for one, texts in tests.items() if one.startswith("test_") for text in texts)


def section(text, title):
    """Where the section begins, and its lines."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return (text.count("\n", 0, match.start(1)) + 1, match.group(1).split("\n")) if match else (1, [])


def check_themes(tree):
    first, lines = section(tree.text(DOCUMENT), SECTION)
    numbers = []
    for number, line in enumerate(lines, first):
        row = re.match(r"\| (\d+) \| (.+?) \| (.+) \|$", line)
        if not row:
            continue
        numbers.append(int(row.group(1)))
        if not NAMED.search(row.group(3)) and not row.group(3).startswith(ELSEWHERE):
            yield Finding(DOCUMENT, number, f"theme {row.group(1)} names no test, and does not say \"{ELSEWHERE}\"")
    if numbers != list(range(1, THEMES + 1)):
        yield Finding(DOCUMENT, first, f"the themes are {numbers}, and not 1 to {THEMES}")


def check(tree):
    tests = sources(tree)
    for path in tree.files(".md"):
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            for name in NAMED.findall(line):
                if not is_there(name, tests):
                    yield Finding(path, number, f"there is no {name}")
    if tree.has(DOCUMENT):
        yield from check_themes(tree)


ROWS = [f"| {n} | a theme | `test_a` |" for n in range(1, THEMES + 1)]


def document(rows):
    return "\n".join(["# Providers", "", f"## {SECTION}", "", "| # | theme | held by |", "|---|---|---|", *rows, "", "## More", ""])


GOOD = {
    "docs/providers.md": document(ROWS[:-1] + [f"| 25 | a theme | {ELSEWHERE}: it has no store |"]),
    "docs/a.md": "`test_a.Kind.test_it`, `test_a`, `test_it`, `test_b.test_kinds`, `bus/test_none`\n",
    "tests/process/test_a.py": "class Kind(Fleet):\n    def test_it(self):\n        pass\n",
    "tests/unit/test_b.c": "static void test_kinds(void **state) {\n}\n",
}
BAD = {
    "no such file": ({"docs/a.md": "`test_c`\n"}, "docs/a.md:1: there is no test_c"),
    "no such class": ({"docs/a.md": "\n`test_a.Sort.test_it`\n"}, "docs/a.md:2: there is no test_a.Sort.test_it"),
    "no such method": ({"docs/a.md": "`test_a.Kind.test_that`\n"}, "there is no test_a.Kind.test_that"),
    "no such function": ({"docs/a.md": "`test_b.test_sorts`\n"}, "there is no test_b.test_sorts"),
    "a word of no test": ({"docs/a.md": "`test_that`\n"}, "there is no test_that"),
    "a theme without a test": ({"docs/providers.md": document(ROWS[:-1] + ["| 25 | a theme | care |"])}, "theme 25 names no test"),
    "a theme that is missing": ({"docs/providers.md": document(ROWS[:-1])}, "and not 1 to 25"),
    "no themes": ({"docs/providers.md": "# Providers\n"}, "the themes are []"),
}
