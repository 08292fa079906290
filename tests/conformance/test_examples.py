#!/usr/bin/python3
"""The examples of docs/python.md say what the page says that they say, and the agent has at most 15 lines."""

import os
import re
import subprocess

import parts
from parts import harness

EXAMPLES = os.path.join(parts.ROOT, "docs", "examples")
AGENT_LINES = 15


class Examples(parts.Parts, harness.Fleet):
    def setUp(self):
        super().setUp()
        self.start_echo()
        self.start(parts.PYTHON, os.path.join(EXAMPLES, "agent.py"), "--endpoint", self.endpoint, environment=self.place())
        self.watcher = self.client("watcher")
        for service in ("echo", "greeter"):
            self.wait_service(self.watcher, service)

    def place(self):
        return {"PYTHONPATH": os.path.join(parts.ROOT, "adapters", "python"), "PYTHONDONTWRITEBYTECODE": "1"}

    def documented(self, name):
        """What docs/python.md shows under the example."""
        with open(os.path.join(parts.ROOT, "docs", "python.md"), encoding="utf-8") as file:
            return re.search(rf"<!-- output of {name} -->\n```\n(.*?)```", file.read(), re.S).group(1)

    def test_the_agent_is_short(self):
        with open(os.path.join(EXAMPLES, "agent.py"), encoding="utf-8") as file:
            self.assertLessEqual(len(file.read().splitlines()), AGENT_LINES)

    def test_what_the_page_shows(self):
        for name in ("talk.py", "talk_aio.py"):
            with self.subTest(name):
                done = subprocess.run([parts.PYTHON, os.path.join(EXAMPLES, name), self.endpoint], capture_output=True, text=True,
                                      timeout=60, check=False, env={**os.environ, **self.place()})
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(done.stdout, self.documented(name))

    def test_the_command_asks_it(self):
        done = subprocess.run([harness.program("pons"), "--json", "--endpoint", self.endpoint, "call", "greeter.hello", '{"name": "C"}'],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("Hello, C.", done.stdout, done.stderr)


if __name__ == "__main__":
    harness.main()
