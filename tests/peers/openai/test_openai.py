#!/usr/bin/python3
"""OpenAI's official SDK for JavaScript as a client of the gateway, before the whole chain and a provider that misbehaves.
Its packages go into the build folder, by the lock file beside this test."""

import http.client
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "process"))

import harness  # noqa: E402
import npm  # noqa: E402

KEY = "sk-of-the-test"
MODELS = (("good", ""), ("slow", "gap_ms=200,tokens=200"), ("silent", "silent=1"), ("flaky", "fail_first=1,status=503,retry_after_ms=20"),
          ("thinks", "tokens=2,thoughts=5,cached=1"), ("limited", "status=429,retry_after=7"), ("cut", "cut=2,tokens=5"))
# A provider of each dialect, which calls functions: what stands behind the knobs, further keys, the model's name there.
CALLERS = {"openai": ("/v1", "", "m"), "azure": ("", "api_version: 2024-10-21, ", "m"), "anthropic": ("/v1", "", "claude-opus-5"),
           "gemini": ("/v1beta", "", "gemini-3-flash"), "bedrock": ("", "region: eu-central-1, ", "anthropic.claude-3-7-sonnet-20250219-v1:0"),
           "bedrock_invoke": ("", "region: eu-central-1, ", "anthropic.claude-3-7-sonnet-20250219-v1:0"),
           "custom": ("/v1", "", "m")}
SDK = os.path.join(harness.BUILD, "openai-sdk")


@unittest.skipUnless(npm.there(), "there is no node or npm: install the packages of group llm")
class Sdk(harness.Fleet):
    @classmethod
    def setUpClass(cls):
        npm.fetch(HERE, SDK, "sdk.mjs")

    def setUp(self):
        super().setUp()
        self.port, self.mock_port = harness.free_port(), harness.free_port()
        self.start(os.path.join(harness.BUILD, "tests", "mock-provider"), "--port", str(self.mock_port), ready=False)
        key = os.path.join(self.folder, "key")
        with open(key, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(KEY + "\n")
        config = os.path.join(self.folder, "chain.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.config(key))
        environment = {"PONS_CONFIG": config}
        for name in ("request_coordinator", "model_manager_suite", "remote_api_adapter"):
            self.start_agent(name, environment=environment)
        self.start("pons-gateway", "--endpoint", self.endpoint, environment=environment)
        self.asker = self.client()
        self.wait_service(self.asker, "RemoteApiAdapter")
        self.wait_service(self.asker, "ModelManagerSuite")
        self.wait_service(self.asker, "RequestCoordinator")

    def config(self, key):
        base = f"http://127.0.0.1:{self.mock_port}/mock"
        lines = [f'gateway: {{listen: ["tcp://127.0.0.1:{self.port}"], keys: [{{name: sdk, secret: {{file: "{key}"}}}}]}}', "providers:"]
        lines += [f'  - {{name: p-{name}, base_url: "{base}/{knobs or "tokens=3"}/v1"}}' for name, knobs in MODELS]
        lines += [f'  - {{name: p-{dialect}, dialect: {dialect}, {more}base_url: "{base}/calls=2,tokens=1{behind}"}}'
                  for dialect, (behind, more, _) in CALLERS.items()]
        lines += ["models:"] + [f'  - {{name: calls-{dialect}, executor: RemoteApiAdapter, provider: p-{dialect}, upstream: "{upstream}"}}'
                                for dialect, (_, _, upstream) in CALLERS.items()]
        lines += [f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}}}" for name, _ in MODELS]
        lines += ["  - {name: vectors, kind: embedding, executor: RemoteApiAdapter, provider: p-good}"]
        return "\n".join(lines) + "\n"

    def sdk(self, scenario, *more):
        run = subprocess.run(["node", "sdk.mjs", scenario, f"http://127.0.0.1:{self.port}/v1", KEY, *more], cwd=SDK, text=True,
                             capture_output=True, timeout=harness.DEADLINE_S, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.mock_port, timeout=harness.DEADLINE_S)
        try:
            connection.request("GET", "/mock/stats")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def test_plain(self):
        said = self.sdk("plain")
        self.assertTrue(said["text"])
        self.assertEqual(said["usage"]["completion_tokens"], 3)
        steps = self.asker.ask("pons", "trace", {"request": said["request"]})["steps"]
        self.assertTrue(steps, "the request id of the answer is good for pons trace")

    def test_tools_before_each_dialect(self):
        """Calls come whole and out of their pieces, with why it ended and what it took; a picture goes there, and results are taken."""
        for dialect in CALLERS:
            with self.subTest(dialect):
                said = self.sdk("tools", f"calls-{dialect}")
                self.assertEqual((said["whole"]["finish"], [name for name, _ in said["whole"]["calls"]]), ("tool_calls", ["weather", "clock"]))
                arguments = said["whole"]["calls"][0][1]
                self.assertEqual((arguments["place"].replace('"', ""), arguments["days"]), ("a word", 7))
                self.assertEqual(said["streamed"], said["whole"])
                self.assertEqual((said["usage"]["prompt_tokens"] > 0, said["usage"]["completion_tokens"]), (True, 1))
                self.assertTrue(said["next"])

    def test_what_was_thought_and_what_came_from_a_cache(self):
        usage = self.sdk("counts")
        self.assertEqual((usage["completion_tokens"], usage["completion_tokens_details"]["reasoning_tokens"]), (7, 5))
        self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 1)

    def test_stream(self):
        said = self.sdk("stream")
        self.assertEqual((said["finish"], said["usage"], said["choiceless"]), (["stop"], [], 0))
        self.assertEqual(len(said["text"].split()), 3)

    def test_stream_with_usage(self):
        said = self.sdk("usage")
        self.assertEqual((said["choiceless"], said["usage"][0]["completion_tokens"]), (1, 3))

    def test_abort_in_mid_stream_reaches_the_provider(self):
        self.assertEqual(self.sdk("abort"), {"aborted": True})
        self.wait_for_cancel()

    def test_abort_before_the_first_byte_reaches_the_provider(self):
        self.assertEqual(self.sdk("abort_before")["class"], "APIUserAbortError")
        self.wait_for_cancel()

    def wait_for_cancel(self):
        """Each look at the provider's books is an answer that is waited for; the deadline is the harness's."""
        for _ in range(2000):
            if self.stats()["cancelled"]["count"] == 1:
                return
            self.asker.socket.poll(10)  # nothing comes; a turn for the others
        self.fail(f"the provider was not told: {self.stats()}")

    def test_retried(self):
        self.assertTrue(self.sdk("retried")["text"])
        self.assertEqual(sum(self.stats()["paths"].values()) - self.stats()["paths"].get("/mock/stats", 0) >= 2, True)

    def test_errors_have_their_classes(self):
        for scenario, expected, status, code in (("wrong_key", "AuthenticationError", 401, "invalid_api_key"),
                                                 ("no_model", "NotFoundError", 404, "model_not_found"),
                                                 ("bad_request", "BadRequestError", 400, None),
                                                 ("older", "NotFoundError", 404, "unknown_url"),
                                                 ("newer", "NotFoundError", 404, "unknown_url"),
                                                 ("limited", "RateLimitError", 429, None)):
            with self.subTest(scenario):
                said = self.sdk(scenario)
                self.assertEqual((said["class"], said["status"]), (expected, status), said)
                if code:
                    self.assertEqual(said["code"], code)
                self.assertTrue(said["message"])
                if code == "unknown_url":
                    self.assertIn("use /v1/chat/completions instead", said["message"])

    def test_a_broken_stream_is_an_error(self):
        said = self.sdk("broken")
        self.assertIn("class", said, "a stream that broke off was taken for whole")

    def test_models(self):
        self.assertEqual(set(self.sdk("models")["ids"]), {name for name, _ in MODELS} | {f"calls-{dialect}" for dialect in CALLERS} | {"vectors"})

    def test_embeddings(self):
        said = self.sdk("embeddings")
        self.assertEqual((said["count"], said["first"]), (2, "number"))
        self.assertGreater(said["numbers"], 0)


if __name__ == "__main__":
    harness.main()
