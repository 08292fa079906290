#!/usr/bin/python3
"""Anthropic's official SDK for JavaScript beside our dialect and as a client of the mock provider. What the SDK sends is taken by
the mock, what the mock answers is understood; what our dialect sends has the SDK's types and goes through the SDK as it is. It is
the last SDK of the API's version 2023-06-01, which the dialect speaks. Its packages go into the build folder."""

import glob
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(TESTS, "mock-provider")]

import npm  # noqa: E402
from mock_client import DEADLINE_S, Mock  # noqa: E402

BUILD = os.environ.get("PONS_BUILD", os.path.join(os.path.dirname(TESTS), "build", "dev"))
SDK = os.path.join(BUILD, "anthropic-sdk")
KEY = "key-of-the-test"
STREAM = ["message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_delta",
          "content_block_stop", "message_delta", "message_stop"]


def golden():
    """What our dialect makes of OpenAI's requests: name and {path, headers, body}."""
    for path in sorted(glob.glob(os.path.join(TESTS, "golden", "anthropic", "*.upstream.json"))):
        with open(path, encoding="utf-8") as file:
            yield os.path.basename(path).split(".")[0], json.load(file)


@unittest.skipUnless(npm.there(), "there is no node or npm: install the packages of group llm")
class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        npm.fetch(HERE, SDK, "sdk.mjs")
        cls.mock = Mock(os.path.join(BUILD, "tests", "mock-provider"), "--key", KEY)
        cls.addClassCleanup(cls.mock.__exit__)

    def sdk(self, scenario, text=""):
        run = subprocess.run(["node", "sdk.mjs", scenario, self.mock.base_url, KEY], cwd=SDK, text=True, capture_output=True,
                             timeout=DEADLINE_S * 3, check=False, input=text)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def sent(self):
        return self.mock.stats()["last_request"]

    def test_plain(self):
        said = self.sdk("plain")
        self.assertEqual((len(said["content"][0]["text"].split()), said["stop_reason"]), (3, "end_turn"))
        self.assertEqual((said["usage"]["cache_read_input_tokens"], said["usage"]["output_tokens"]), (1, 3))
        sent = self.sent()
        self.assertEqual(sent["path"], "/mock/tokens=3,cached=1/v1/messages")
        self.assertIn("x-api-key", sent["sha256"])

    def test_stream(self):
        said = self.sdk("stream")
        self.assertEqual(said["events"], STREAM)
        self.assertEqual((len(said["message"]["content"][0]["text"].split()), said["message"]["usage"]["output_tokens"]), (3, 3))

    def test_tools(self):
        self.assertEqual([block["input"] for block in self.sdk("tools")["content"]], [{"place": 'a "word"'}, {}])
        said = self.sdk("tools_stream")["message"]
        self.assertEqual([block["type"] for block in said["content"]], ["thinking", "text", "tool_use", "tool_use"])
        self.assertEqual(said["content"][2]["input"], {"place": 'a "word"'})
        self.assertTrue(said["content"][0]["signature"])

    def test_more(self):
        for scenario in ("turn", "image"):
            self.assertTrue(self.sdk(scenario)["content"][0]["text"])
        self.assertEqual(self.sdk("count"), {"input_tokens": 3})

    def test_errors(self):
        for scenario, name, status, kind in [("limited", "RateLimitError", 429, "rate_limit_error"),
                                             ("overloaded", "InternalServerError", 529, "overloaded_error"),
                                             ("wrong_key", "AuthenticationError", 401, "authentication_error")]:
            said = self.sdk(scenario)
            self.assertEqual((said["class"], said["status"], said["type"]), (name, status, kind), said)
            self.assertTrue(said["id"].startswith("req_mock"), said)
        self.assertIn("Overloaded", self.sdk("broken")["message"])

    def test_ours_has_the_types_of_theirs(self):
        lines = ['import type { MessageCreateParams } from "@anthropic-ai/sdk/resources/messages";']
        lines += [f"export const {name}: MessageCreateParams = {json.dumps(ours['body'])};" for name, ours in golden()]
        self.assertGreater(len(lines), 12)
        with open(os.path.join(SDK, "ours.ts"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        run = subprocess.run(["node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext",
                              "--moduleResolution", "nodenext", "--target", "es2022", "ours.ts"], cwd=SDK, text=True,
                             capture_output=True, timeout=300, check=False)
        self.assertEqual(run.returncode, 0, run.stdout)

    def test_ours_goes_through_theirs(self):
        """Path, version and body are the same as when the SDK is given what our dialect has made; the mock takes it."""
        cases = list(golden())
        said = self.sdk("send", json.dumps([ours["body"] for _, ours in cases]))
        for (name, ours), (answer, sent) in zip(cases, said, strict=True):
            with self.subTest(name):
                self.assertEqual(answer, "message_stop" if ours["body"].get("stream") else "message")
                self.assertEqual(sent["path"], "/v1" + ours["path"])
                self.assertEqual(json.loads(sent["body"]), ours["body"])
                self.assertIn(f"anthropic-version: {sent['headers']['anthropic-version']}", ours["headers"])


if __name__ == "__main__":
    unittest.main()
