#!/usr/bin/python3
"""API keys of a provider: several of them, replaced while it runs, and seen by nobody but the provider."""

import http.server
import json
import os
import signal
import threading
import time

import harness
from harness import RemoteError
from test_adapter import KEY, Adapter
from test_ctl import Command, is_alive

SECOND = "sk-the-second-one-987654321"


class Echo(threading.Thread):
    """A provider that repeats the key that it was shown: as its refusal, and in the middle of a stream."""

    def __init__(self):
        super().__init__(daemon=True)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer({})

            def do_POST(self):
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, body):
                outer.keys.append(self.headers["Authorization"])
                words = f"Incorrect API key provided: {self.headers['Authorization']}. It is wrong."
                error = json.dumps({"error": {"message": words, "type": "t", "param": self.headers["Authorization"],
                                              "code": outer.code or self.headers["Authorization"]}})
                chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]})
                text = f"data: {chunk}\n\ndata: {error}\n\n" if body.get("stream") else error
                self.send_response(200 if body.get("stream") else outer.status)
                self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.keys, self.status, self.code = [], 401, None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.start()

    def run(self):
        self.server.serve_forever(0.05)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.join(harness.DEADLINE_S)


def write(path, text):
    """Puts a new file in the place of the old one, as whoever replaces a key should."""
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


class Several(Adapter):
    PROVIDERS = {"both": "keys: [{file: wrong}, {file: key}]", "bad": "keys: [{file: wrong}, {file: absent}]",
                 "one": "key: {file: own}", "late": "key: {file: late}", "given": "key: {credential: given}",
                 "env": "key: {env: TEST_PROVIDER_KEY}, keys: [{file: wrong}]"}

    def setUp(self):
        self.echo = Echo()
        self.addCleanup(self.echo.close)
        super().setUp()

    def start_agent(self, name, **options):
        environment = {**options.pop("environment"), "CREDENTIALS_DIRECTORY": self.folder, "TEST_PROVIDER_KEY": KEY}
        return super().start_agent(name, environment=environment, **options)

    def configuration(self):
        write(os.path.join(self.folder, "own"), KEY[::-1])
        write(os.path.join(self.folder, "given"), KEY + "\n")
        rows = {**{name: (self.mock.base_url, keys) for name, keys in self.PROVIDERS.items()},
                "echo": (f"http://127.0.0.1:{self.echo.port}", "keys: [{file: key}, {file: second}]")}
        write(os.path.join(self.folder, "second"), SECOND)
        providers = "".join(f"  - {{name: p-{name}, base_url: '{url}/v1', attempts: 1, {keys}}}\n"
                            for name, (url, keys) in rows.items())
        models = "".join(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}}}\n" for name in rows)
        return f"providers:\n{providers}models:\n{models}"

    def test_a_dead_key_is_passed_over(self):
        """The caller doesn't notice; who runs it is told by name, once."""
        for n in range(4):
            reply = self.chat("both")
            self.assertEqual([row["cause"] for row in reply["failures"]], ["auth"] if n == 0 else [])
        self.assertEqual(self.mock.stats()["requests"], 5)
        self.assertEqual(self.agent.log().count("PONS-PROVIDER-KEY-REFUSED"), 1)
        self.assertIn("provider p-both does not take key wrong", self.agent.log())
        about = self.status()[1]["both"]
        self.assertEqual(about["state"], "up")
        self.assertRegex(about["about"], "^key wrong is passed over for [0-9]+ s: ")

    def test_none_that_is_taken(self):
        error = self.refused("bad")
        self.assertEqual((error.body["http_status"], error.body["code"]), (502, "invalid_api_key"))
        self.assertRegex(error.body["message"], "^bad: .* [(]key wrong[)]")
        self.assertIn("key absent can't be had", self.agent.log())
        self.refused("bad")  # it is never out: with nobody else it is still tried
        self.assertEqual(self.mock.stats()["requests"], 2)

    def test_replaced_while_it_runs(self):
        """A refused key is looked at again at once: the request that found it out is done with the new one."""
        self.refused("one")
        write(os.path.join(self.folder, "own"), KEY + "\n")
        reply = self.chat("one")
        self.assertLessEqual(len(reply["failures"]), 1)
        self.assertEqual(self.chat("one")["failures"], [])
        self.assertIn("key own has a new value", self.agent.log())

    def test_one_that_comes_later(self):
        self.assertEqual(self.status()[1]["late"]["state"], "unavailable")
        self.assertEqual(self.refused("late").body["http_status"], 502)
        self.assertEqual(self.mock.stats()["requests"], 0)
        write(os.path.join(self.folder, "late"), KEY)
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            try:
                self.chat("late")
                break
            except RemoteError:
                self.assertLess(time.monotonic(), due)
        self.assertEqual(self.status()[1]["late"]["state"], "up")

    def test_where_they_may_come_from(self):
        self.chat("given")
        self.chat("env")

    def test_a_provider_that_repeats_it(self):
        """No key that it was shown comes back to anybody, also not the one before the last change."""
        told = []
        for members in ({}, {"stream": True}, {}, {"stream": True}):
            told.append(str(self.refused("echo", **members).body))
        write(os.path.join(self.folder, "key"), SECOND[::-1])
        self.echo.status, self.echo.code = 400, "x"
        told.append(str(self.refused("echo").body))
        self.echo.code = None
        with self.assertRaises(RemoteError) as raised:
            self.client_.ask("RemoteApiAdapter", "models", {"provider": "p-echo"})
        told.append(str(raised.exception.body))
        self.assertIn("path", raised.exception.body)
        told.append(str(self.client_.ask("RemoteApiAdapter", "status", {})))
        self.assertEqual(set(self.echo.keys[:2]), {f"Bearer {KEY}", f"Bearer {SECOND}"})
        self.agent.terminate()
        self.agent.wait()
        for text in told + [self.agent.log(), self.broker.log()]:
            for key in (KEY, SECOND, SECOND[::-1]):
                self.assertNotIn(key, text)
        self.assertIn("Incorrect API key provided: Bearer ***", told[0])


class Leaks(Command):
    """A whole fleet, in which one agent needs a key: nobody else has it, and nothing that is written has it."""

    def test_it_is_nowhere(self):
        echo = Echo()
        self.addCleanup(echo.close)
        write(os.path.join(self.folder, "key"), KEY)
        self.configure(profiles="  - {name: paid, agents: [echo, remote_api_adapter]}")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(f"providers: [{{name: p, base_url: 'http://127.0.0.1:{echo.port}/v1', key: {{file: key}}, "
                       "keys: [{env: TEST_PROVIDER_KEY}]}]\n"
                       "models: [{name: m, executor: RemoteApiAdapter, provider: p}]\n")
        self.environment["TEST_PROVIDER_KEY"] = SECOND
        seen = repr(self.pons("up", "-d", "--profile", "paid", "--verbose"))
        pids = {name: row["pid"] for name, row in self.processes().items()}
        self.assertIn(SECOND, self.read(pids["remote_api_adapter"], "environ"))
        for name, pid in pids.items():
            seen += self.read(pid, "cmdline") + (self.read(pid, "environ") if name != "remote_api_adapter" else "")
        ask = json.dumps({"request": json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]})})
        for _ in range(2):
            seen += repr(self.pons("call", "RemoteApiAdapter.generate", ask, expect=None))
        self.assertEqual(set(echo.keys), {f"Bearer {KEY}", f"Bearer {SECOND}"})
        seen += repr(self.pons("call", "RemoteApiAdapter.status", "{}"))
        seen += repr(self.pons("status")) + repr(self.pons("status", "--json")) + repr(self.pons("config", "check", "--show", "--json"))
        self.assertEqual(int(self.read(pids["remote_api_adapter"], "coredump_filter"), 16), 0)
        os.kill(pids["remote_api_adapter"], signal.SIGSEGV)
        self.wait_for("its crash", lambda rows: not is_alive(pids["remote_api_adapter"]))
        self.pons("down")
        seen += self.files()
        for key in (KEY, SECOND):
            self.assertNotIn(key, seen)
        self.assertIn("PONS-PROVIDER-KEY-REFUSED", seen)

    @staticmethod
    def read(pid, name):
        with open(f"/proc/{pid}/{name}", encoding="latin-1") as file:
            return file.read()

    def files(self):
        """Everything that is left in the fleet's folder, crash records and core dumps with it, but for the key's own file."""
        text = ""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and name != "key":
                    with open(path, encoding="latin-1") as file:
                        text += file.read()
        return text


if __name__ == "__main__":
    harness.main()
