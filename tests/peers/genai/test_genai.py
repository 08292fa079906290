#!/usr/bin/python3
"""Google's official SDK for JavaScript as a client of the mock provider, which so is held against what others wrote: what the
SDK sends is taken, what the mock answers is understood. Its packages go into the build folder."""

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
SDK = os.path.join(BUILD, "genai-sdk")
KEY = "key-of-the-test"


@unittest.skipUnless(npm.there(), "there is no node or npm: install the packages of group llm")
class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        npm.fetch(HERE, SDK, "sdk.mjs")
        cls.mock = Mock(os.path.join(BUILD, "tests", "mock-provider"), "--key", KEY)
        cls.addClassCleanup(cls.mock.__exit__)

    def sdk(self, scenario):
        run = subprocess.run(["node", "sdk.mjs", scenario, self.mock.base_url, KEY], cwd=SDK, text=True, capture_output=True,
                             timeout=DEADLINE_S * 3, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def sent(self):
        return self.mock.stats()["last_request"]

    def test_plain(self):
        said = self.sdk("plain")
        self.assertEqual((len(said["text"].split()), said["finish"], said["usage"]["candidatesTokenCount"]), (3, "STOP", 3))
        sent = self.sent()
        self.assertEqual(sent["path"], "/mock/tokens=3/v1beta/models/good:generateContent")
        self.assertIn("x-goog-api-key", sent["sha256"])
        self.assertEqual(json.loads(sent["body"])["systemInstruction"]["parts"], [{"text": "be brief"}])

    def test_stream(self):
        said = self.sdk("stream")
        self.assertEqual((len(said["text"].split()), said["thoughts"], said["finish"]), (3, 1, ["STOP"]))
        self.assertEqual(said["usage"]["thoughtsTokenCount"], 2)
        self.assertEqual((self.sent()["path"].rsplit(":", 1)[1], self.sent()["query"]), ("streamGenerateContent", "alt=sse"))

    def test_image(self):
        self.assertTrue(self.sdk("image")["text"])

    def test_tools(self):
        """The calls come back with ids and a signature, and the mock takes the results with them."""
        said = self.sdk("tools")
        self.assertEqual([call["name"] for call in said["calls"]], ["weather", "weather"])
        self.assertTrue(said["text"] and said["signature"])

    def test_schema(self):
        self.assertTrue(self.sdk("schema")["text"])

    def test_blocked(self):
        self.assertEqual(self.sdk("blocked")["block"], "SAFETY")

    def test_errors(self):
        limited = self.sdk("limited")
        self.assertEqual((limited["class"], limited["status"], limited["code"]), ("ApiError", "RESOURCE_EXHAUSTED", 429))
        self.assertEqual(limited["details"][-1]["retryDelay"], "7s")
        self.assertIn("API key not valid", self.sdk("wrong_key")["message"])
        self.assertIn("overloaded", self.sdk("broken")["message"])

    def test_embeddings(self):
        self.assertEqual(self.sdk("embeddings")["sizes"], [4, 4])
        self.assertEqual(self.sent()["path"], "/v1beta/models/good:batchEmbedContents")

    def test_models(self):
        self.assertEqual(self.sdk("models")["names"], ["models/mock-small", "models/mock-large"])


if __name__ == "__main__":
    unittest.main()
