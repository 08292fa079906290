#!/usr/bin/python3
"""The dialects azure and custom: OpenAI's API under other paths and with other headers, against mocks that insist on them."""

import hashlib
import json

import harness
from test_adapter import KEY, Adapter


class Relatives(Adapter):
    def configuration(self):
        custom = ("dialect: custom, chat_path: '/custom/{model}/chat', embed_path: '/custom/{model}/embed', "
                  "key_header: 'X-Custom-Key: Token {key}', headers: ['X-Team: blue', 'X-More: a, b']")
        rows = {"dated": "dialect: azure, api_version: 2024-10-21", "old": "dialect: azure, api_version: 2024-06-01", "v1": "dialect: azure",
                "custom": custom, "quiet": f"{custom}, asks_usage: false", "stranger": custom.replace("blue", "red")}
        providers = "".join(f"  - {{name: p-{name}, base_url: '{self.mock.base_url}/mock/tokens=3', key: {{file: key}}, attempts: 1, {more}}}\n"
                            for name, more in rows.items())
        providers += (f"  - {{name: p-locked, base_url: '{self.mock.base_url}', key: {{file: wrong}}, attempts: 1, dialect: azure}}\n"
                      f"  - {{name: p-filtered, base_url: '{self.mock.base_url}/mock/code=content_filter', key: {{file: key}}, dialect: azure}}\n")
        models = "".join(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}, upstream: 'my-gpt/4'}}\n"
                         for name in (*rows, "locked", "filtered"))
        models += "".join(f"  - {{name: vectors-{name}, kind: embedding, executor: RemoteApiAdapter, provider: p-{name}}}\n"
                          for name in ("dated", "v1", "custom"))
        return f"providers:\n{providers}models:\n{models}"

    def last(self):
        return self.mock.stats()["last_request"]

    def test_azure(self):
        for model, path, query in (("dated", "/openai/deployments/my-gpt%2F4/chat/completions", "api-version=2024-10-21"),
                                   ("v1", "/openai/v1/chat/completions", "")):
            with self.subTest(model):
                answer = json.loads(self.chat(model)["response"])
                self.assertIn("prompt_filter_results", answer)
                seen = self.last()
                self.assertTrue(seen["path"].endswith(path), seen)
                self.assertEqual(seen["query"], query)
                self.assertEqual(seen["sha256"]["api-key"], hashlib.sha256(KEY.encode()).hexdigest())
                self.assertNotIn("authorization", seen["sha256"])
                text, reply = self.pieces(self.begin(model))
                chunks = self.chunks(text)
                self.assertTrue(all(chunk["choices"] for chunk in chunks), chunks)
                self.assertNotIn("prompt_filter_results", text)
                self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")
                self.assertEqual(reply["usage"]["output_tokens"], 3)

    def test_a_date_before_usage_in_streams(self):
        text, reply = self.pieces(self.begin("old"))
        self.assertTrue(self.chunks(text))
        self.assertNotIn("output_tokens", reply["usage"])
        self.assertNotIn("stream_options", self.last()["body"])

    def test_what_azure_refuses(self):
        self.assertEqual(self.refused("locked").body["http_status"], 502)
        error = self.refused("filtered")
        self.assertEqual((error.status.name, error.body["http_status"], error.body["code"]), ("REFUSED", 400, "content_filter"))

    def test_custom(self):
        self.chat("custom")
        seen = self.last()
        self.assertTrue(seen["path"].endswith("/custom/my-gpt%2F4/chat"), seen)
        self.assertEqual(seen["headers"]["x-team"], "blue")
        self.assertEqual(seen["headers"]["x-more"], "a, b")
        text, reply = self.pieces(self.begin("custom"))
        self.assertEqual(self.chunks(text)[-1]["choices"][0]["finish_reason"], "stop")
        self.assertEqual(reply["usage"]["output_tokens"], 3)
        self.pieces(self.begin("quiet"))
        self.assertNotIn("stream_options", self.last()["body"])

    def test_what_a_custom_server_refuses(self):
        error = self.refused("stranger")
        self.assertEqual((error.status.name, error.body["message"]), ("REFUSED", "stranger: wants the header x-team"))
        self.assertIn("temperature", self.refused("custom", temperature=9).body["message"])

    def test_embeddings(self):
        for name in ("dated", "v1", "custom"):
            with self.subTest(name):
                body = {"request": json.dumps({"model": f"vectors-{name}", "input": "two words"})}
                reply = self.client_.ask("RemoteApiAdapter", "embed", body)
                self.assertEqual((len(json.loads(reply["response"])["data"]), reply["usage"]["input_tokens"]), (1, 2))


if __name__ == "__main__":
    harness.main()
