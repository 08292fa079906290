#!/usr/bin/python3
"""AWS's official SDK for JavaScript as a client of the mock provider, which so is held against what others wrote: what the SDK
signs and sends is taken, what the mock answers is understood. Its packages go into the build folder."""

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
SDK = os.path.join(BUILD, "bedrock-sdk")
KEY = "AKIDTEST:secret/of+the/test:token/of+the=test"


@unittest.skipUnless(npm.there(), "there is no node or npm: install the packages of group llm")
class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        npm.fetch(HERE, SDK, "sdk.mjs", "sdk_cases.json")
        cls.mock = Mock(os.path.join(BUILD, "tests", "mock-provider"), "--key", KEY)
        cls.addClassCleanup(cls.mock.__exit__)

    def sdk(self, scenario, key=KEY):
        run = subprocess.run(["node", "sdk.mjs", scenario, self.mock.base_url, key], cwd=SDK, text=True, capture_output=True,
                             timeout=DEADLINE_S * 3, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_plain(self):
        said = self.sdk("plain")
        self.assertEqual((len(said["content"][0]["text"].split()), said["stop"]), (3, "end_turn"), said)
        self.assertEqual((said["usage"]["inputTokens"], said["usage"]["outputTokens"]), (4, 3))
        sent = self.mock.stats()["last_request"]
        self.assertEqual(sent["path"], "/mock/tokens=3/model/anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse")
        self.assertEqual(json.loads(sent["body"])["system"], [{"text": "be brief"}])

    def test_stream(self):
        said = self.sdk("stream")
        self.assertEqual((len(said["text"].split()), said["stop"], said["usage"]["totalTokens"]), (3, "end_turn", 5), said)
        self.assertEqual(said["events"], ["messageStart", *["contentBlockDelta"] * 3, "contentBlockStop", "messageStop", "metadata"])

    def test_more(self):
        for scenario in ("arn", "image", "results", "schema"):
            with self.subTest(scenario):
                self.assertTrue(self.sdk(scenario)["content"][0]["text"])
        self.assertEqual(self.sdk("guarded")["stop"], "guardrail_intervened")
        self.assertEqual(len(self.sdk("titan")["body"]["embedding"]), 256)

    def test_tools(self):
        said = self.sdk("tools")
        self.assertEqual((said["content"][0]["toolUse"]["name"], said["stop"]), ("weather", "tool_use"), said)
        said = self.sdk("tools_stream")
        self.assertEqual([json.loads(text)["days"] for text in said["inputs"].values()], [7, 7], said)

    def test_thoughts(self):
        said = self.sdk("thoughts")
        self.assertEqual((said["thought"], said["events"].count("contentBlockDelta")), ("thought1 thought2", 3), said)

    def test_errors(self):
        for scenario, error, status in [("throttled", "ThrottlingException", 429), ("invalid", "ValidationException", 400)]:
            said = self.sdk(scenario)
            self.assertEqual((said["error"], said["status"]), (error, status), said)
        said = self.sdk("plain", KEY.replace("secret", "Secret"))
        self.assertEqual((said["error"], said["status"]), ("InvalidSignatureException", 403), said)
        for scenario, error in [("broken_stream", "ModelStreamErrorException"), ("throttled_stream", "ThrottlingException")]:
            self.assertEqual(self.sdk(scenario).get("error"), error)
        self.assertIn("checksum", self.sdk("bad_checksum")["message"])


if __name__ == "__main__":
    unittest.main()
