#!/usr/bin/python3
"""What the pages for operators name is there: commands with their words and options, event ids, tests, statuses. The pages have no
life of their own; this is what keeps them true."""

import os
import re
import subprocess
import unittest

import harness

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ("runbook.md", "two-machines.md", "traps.md")
COMMAND = re.compile(r"(?:^    |`)pons ((?:-\S+ (?:tcp://\S+ )?)?[a-z]+(?: [^`\n]*)?)", re.M)


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def sources():
    for folder in ("bus", "agents"):
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                if name.endswith((".c", ".h", ".def")):
                    yield read(where, name)


class Pages(unittest.TestCase):
    def help(self, command):
        done = subprocess.run([harness.program("pons"), "help", *([command] if command else [])], capture_output=True, text=True,
                              env={**os.environ, **harness.SANITIZERS}, timeout=harness.DEADLINE_S, check=False)
        return done.stdout if done.returncode == 0 else ""

    def commands(self):
        for page in PAGES:
            for found in COMMAND.finditer(read("docs", page)):
                words = re.sub(r"^--endpoint \S+ ", "", found.group(1)).split()
                yield page, found.group(1), words

    def test_each_command_is_there(self):
        seen = set()
        for page, line, words in self.commands():
            with self.subTest(page, command=line):
                usage = self.help(words[0])
                self.assertIn(f"usage: pons {words[0]}", usage)
                for option in [word for word in words[1:] if re.fullmatch(r"--[a-z-]+", word)]:
                    self.assertIn(option, usage + self.help(""))
                if len(words) > 1 and re.search(r" (\w+ \||\| \w+)|[a-z]+\|", usage.split("\n")[0]) and re.fullmatch(r"[a-z]+", words[1]):
                    self.assertRegex(usage.split("\n")[0], rf"\b{words[1]}\b")
                seen.add(words[0])
        self.assertGreaterEqual(seen, {"status", "up", "down", "call", "trace", "flags", "lease", "lead", "upgrade", "drill", "deadletter"})

    def test_each_event_is_logged_somewhere(self):
        known = "\n".join(sources())
        for page in PAGES:
            for event in set(re.findall(r"\bPONS-[A-Z-]+[A-Z]", read("docs", page))):
                with self.subTest(page, event=event):
                    self.assertTrue(f'"{event}"' in known, "no such event")

    def test_each_test_is_there(self):
        found = 0
        for row in read("docs", "traps.md").split("\n"):
            file = None
            for name in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[-2] if row.count("|") > 2 else ""):
                if name.startswith("tests/"):
                    file = read(name)
                elif file is not None:
                    self.assertRegex(file, rf"\b{name}\(", f"{name} is not a test")
                    found += 1
        self.assertGreater(found, 15)

    def test_each_outcome_is_one(self):
        """What `pons` prints in the pages is in its source, but for names, numbers and addresses."""
        known = "\n".join(sources())
        for words in ("nobody leads whom", "no broker answers at", "no fleet runs in", "there is no dead letter",
                      "the other has not taken it, or there is none", "this broker leads already", "did you mean",
                      "its votes have run out", "its loop was late", "its disk failed", "another leads in a higher epoch", "has no authority",
                      "no instance offers this service", "has lost a broker", "was behind", "NOT linked", "no answer before the deadline"):
            with self.subTest(words=words):
                self.assertTrue(words in known, f"nothing says '{words}' any more")


if __name__ == "__main__":
    harness.main()
