"""A folder of keys for process tests, made by `pons keys`, and peers that have them."""

import json
import os
import subprocess

import harness

CONFIG = """site: here
keys: {dir: keys}
broker: {name: b1, listen: ["ipc://bus"]}
other_broker: {name: b2}
"""


class Keyed(harness.Fleet):
    """A broker b1 with keys, and whoever is given one."""

    BROKER = False
    EXTRA = ""

    def setUp(self):
        super().setUp()
        self.config = CONFIG + self.EXTRA
        self.path = os.path.join(self.folder, "pons.yaml")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.config)
        self.run_environment = {**os.environ, **harness.SANITIZERS, "PONS_CONFIG": self.path, "PONS_RUNTIME_DIR": self.folder,
                                "PONS_STATE_DIR": self.folder}
        self.made = self.pons("--json", "keys", "init").json

    def pons(self, *arguments, expect=0):
        done = subprocess.run([harness.program("pons"), *arguments], capture_output=True, text=True, env=self.run_environment,
                              cwd=self.folder, timeout=60, check=False)
        for word in harness.FINDINGS:
            self.assertNotIn(word, done.stderr)
        self.assertEqual(done.returncode, expect, done)
        done.json = json.loads(done.stdout) if "--json" in arguments and done.stdout else None
        return done

    def secret_path(self, name):
        return os.path.join(self.folder, "keys", f"{name}.key")

    def secret(self, name):
        with open(self.secret_path(name), "rb") as file:
            return file.read().strip()

    def public(self, name):
        rows = self.pons("--json", "keys", "list").json["keys"]
        return next(row["public"] for row in rows if row["name"] == name).encode()

    def keys(self, name, broker="broker.b1"):
        """What a peer needs."""
        return self.public(name), self.secret(name), self.public(broker)

    def address(self, endpoint=None, broker="broker.b1"):
        return f"{endpoint or self.endpoint}|{self.public(broker).decode()}"

    def start_keyed(self, **options):
        self.broker = self.start_broker(config=self.config, **options)
        return self.broker

    def start_echo(self, key="echo.here", **options):
        return self.start("pons-agent-echo", "--endpoint", self.address(), environment={"PONS_AGENT_KEY": self.secret_path(key)}, **options)

    def wait_log(self, program, words):
        """Waits until a program has said so."""
        due = harness.time.monotonic() + harness.DEADLINE_S
        while words not in program.log():
            self.assertLess(harness.time.monotonic(), due, f"{words} is not in: {program.log()}")
            try:
                program.process.wait(0.02)  # its end is an event, a line of its log is none
            except subprocess.TimeoutExpired:
                pass
