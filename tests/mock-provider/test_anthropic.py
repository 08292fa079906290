#!/usr/bin/python3
"""The mock provider's dialect of Anthropic over real sockets: test_anthropic.py PROGRAM. What it answers, what it refuses, its
knobs."""

import json
import sys
import unittest

sys.dont_write_bytecode = True

from mock_client import Mock  # noqa: E402

PROGRAM = ""
KEY = "key-of-the-test"
USER = {"role": "user", "content": "say it"}
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {
    "place": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}}}}
CLOCK = {"name": "clock", "input_schema": {"type": "object", "properties": {}}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}
TOLD = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "noon"}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
MARK = {"cache_control": {"type": "ephemeral"}}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mock = Mock(PROGRAM, "--key", KEY, "--models", "claude-sonnet-4-5,claude-opus-5,claude-3-haiku")
        cls.addClassCleanup(cls.mock.__exit__)

    def post(self, body, knobs="", path="messages", headers=("anthropic-version: 2023-06-01", f"x-api-key: {KEY}")):
        prefix = f"/mock/{knobs}" if knobs else ""
        return self.mock.ask("POST", f"{prefix}/v1/{path}", body, list(headers))

    def create(self, knobs="", **members):
        body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [USER], **members}
        return self.post({name: value for name, value in body.items() if value is not None}, knobs)

    def events(self, answer):
        parts = answer.body.decode().split("\n\n")
        self.assertEqual(parts.pop(), "")
        events = []
        for part in parts:
            name, data = part.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            self.assertEqual(name, f"event: {events[-1]['type']}")
        return events

    def refused(self, answer, words, status=400, kind="invalid_request_error"):
        body = answer.json()
        self.assertEqual((answer.status, body["type"], body["error"]["type"]), (status, "error", kind), body)
        self.assertIn(words, body["error"]["message"])


class Answers(Case):
    def test_plain(self):
        answer = self.create(system=[{"type": "text", "text": "be brief"}])
        message = answer.json()
        self.assertEqual((message["type"], message["role"], message["stop_reason"]), ("message", "assistant", "end_turn"))
        self.assertEqual(len(message["content"][0]["text"].split()), 8)
        self.assertEqual((message["usage"]["input_tokens"], message["usage"]["output_tokens"]), (4, 8))
        self.assertIn("request-id", answer.headers)

    def test_stream(self):
        answer = self.create("tokens=3,echo", stream=True, messages=[{"role": "user", "content": 'a "b" ü'}])
        self.assertEqual(answer.headers["content-type"], "text/event-stream; charset=utf-8")
        events = self.events(answer)
        self.assertEqual([event["type"] for event in events],
                         ["message_start", "ping", "content_block_start", "content_block_delta", "content_block_delta",
                          "content_block_delta", "content_block_stop", "message_delta", "message_stop"])
        self.assertEqual("".join(event["delta"]["text"] for event in events[3:6]), 'a "b" ü')
        self.assertEqual(events[7]["usage"]["output_tokens"], 3)

    def test_thoughts_calls_cache_and_limit(self):
        knobs = "thoughts=2,tokens=3,calls=2,cached=1"
        message = self.create(knobs, tools=[WEATHER, CLOCK]).json()
        self.assertEqual([block["type"] for block in message["content"]], ["thinking", "text", "tool_use", "tool_use"])
        self.assertEqual(message["content"][2]["input"], {"place": 'a "word"', "days": 7, "unit": "C"})
        self.assertEqual((message["usage"]["input_tokens"], message["usage"]["cache_read_input_tokens"]), (1, 1))
        self.assertEqual(message["stop_reason"], "tool_use")
        events = self.events(self.create(knobs, tools=[WEATHER, CLOCK], stream=True))
        starts = [event for event in events if event["type"] == "content_block_start"]
        self.assertEqual([(e["index"], e["content_block"]["type"]) for e in starts],
                         list(enumerate(["thinking", "text", "tool_use", "tool_use"])))
        pieces = [e["delta"]["partial_json"] for e in events if e.get("delta", {}).get("type") == "input_json_delta"]
        self.assertEqual(json.loads("".join(pieces)), {"place": 'a "word"', "days": 7, "unit": "C"})
        self.assertEqual(self.create(max_tokens=3).json()["stop_reason"], "max_tokens")
        self.assertEqual(self.create("finish=refusal").json()["stop_reason"], "refusal")
        none = self.create("calls=1", tools=[CLOCK], tool_choice={"type": "none"}).json()
        self.assertEqual(none["stop_reason"], "end_turn")

    def test_count(self):
        answer = self.post({"model": "claude-opus-5", "messages": [USER]}, path="messages/count_tokens")
        self.assertEqual(answer.json(), {"input_tokens": 2})

    def test_a_conversation(self):
        thought = {"type": "thinking", "thinking": "x", "signature": "mockc2lnAA"}
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
        page = {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}
        talk = [{"role": "user", "content": [image, page, {"type": "text", "text": "what", **MARK}]},
                {"role": "assistant", "content": [thought, CALL]}, {"role": "user", "content": [TOLD, image]}]
        self.assertEqual(self.create(messages=talk, tools=[CLOCK]).status, 200)


class Refusals(Case):
    def test_key_and_headers(self):
        body = {"model": "claude-opus-5", "max_tokens": 1, "messages": [USER]}
        version = "anthropic-version: 2023-06-01"
        self.refused(self.post(body, headers=[version]), "is required", 401, "authentication_error")
        self.refused(self.post(body, headers=[version, "x-api-key: no"]), "invalid x-api-key", 401, "authentication_error")
        self.refused(self.post(body, headers=[f"x-api-key: {KEY}"]), "anthropic-version")
        self.refused(self.post(body, headers=[f"x-api-key: {KEY}", "anthropic-version: 1"]), "not a valid version")
        self.assertEqual(self.post(body, headers=[version, f"Authorization: Bearer {KEY}"]).status, 200)
        self.refused(self.mock.ask("GET", "/v1/messages"), "Method", 405)
        for content_type in ("text/plain", "application/jsonlines"):
            self.refused(self.post(body, headers=[version, f"x-api-key: {KEY}", f"Content-Type: {content_type}"]), "content-type")
        self.refused(self.mock.ask("GET", "/v1/models?limit=1001", headers=[version, f"x-api-key: {KEY}"]), "limit")
        self.refused(self.post(b"{"), "not valid JSON")

    def test_members(self):
        for members, words in [
                ({"max_tokens": None}, "max_tokens: Field required"), ({"max_tokens": 0}, "max_tokens"),
                ({"bogus": 1}, "bogus: Extra inputs are not permitted"), ({"messages": []}, "at least one message"),
                ({"stream": 1}, "stream: Input should be a valid boolean"), ({"metadata": {"a": "b"}}, "metadata.a: Extra"),
                ({"temperature": 1.5}, "range"), ({"temperature": 1, "top_p": 0.5}, "cannot both be specified"),
                ({"stop_sequences": [" "]}, "non-whitespace"), ({"stop_sequences": [1]}, "stop_sequences.0"),
                ({"system": [{"type": "image"}]}, "system.0"), ({"thinking": {"type": "sometimes"}}, "thinking"),
                ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "1024"),
                ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "must be greater than"),
                ({"thinking": {"type": "adaptive"}}, "not supported on this model"),
                ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000, "temperature": 0.5}, "set to 1"),
                ({"model": "claude-opus-5", "temperature": 1}, "not supported by this model"),
                ({"model": "claude-opus-5", "thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.type.adaptive"),
                ({"output_config": {"effort": "low"}}, "effort"),
                ({"model": "claude-opus-5", "output_config": {"effort": "endless"}}, "output_config.effort"),
                ({"output_config": {"format": {"type": "json_schema"}}}, "format.schema: Field required"),
                ({"output_config": {"format": {"type": "json_schema", "schema": OPEN}}}, "'additionalProperties' must be explicitly"),
                ({"top_p": 2}, "top_p: range"), ({"top_k": -1}, "top_k"), ({"service_tier": "best"}, "service_tier"),
                ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}, "5m 1h"),
                ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "age": 1}}]}, "age: Extra")]:
            with self.subTest(words, members=members):
                self.refused(self.create(**members), words)
        self.assertEqual(self.create("lax", bogus=1).status, 200)
        self.refused(self.create(model="claude-none"), "model: claude-none", 404, "not_found_error")

    def test_tools(self):
        budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
        for members, words in [
                ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "should match pattern"),
                ({"tools": [{"name": "a", "input_schema": {}}]}, "input_schema.type: Field required"),
                ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
                ({"tools": [{**CLOCK, "parameters": {}}]}, "parameters: Extra"), ({"tools": [CLOCK, CLOCK]}, "must be unique"),
                ({"tool_choice": {"type": "auto"}}, "while providing tools"),
                ({"tools": [CLOCK], "tool_choice": {"type": "tool", "name": "x"}}, "not found in provided tools"),
                ({"tools": [CLOCK], "tool_choice": {"type": "tool"}}, "Field required"),
                ({"tools": [CLOCK], "tool_choice": {"type": "none", "disable_parallel_tool_use": True}}, "Extra"),
                ({"tools": [{"name": "a", "strict": True, "input_schema": OPEN}]}, "'additionalProperties' must be explicitly"),
                ({"tools": [CLOCK], "tool_choice": {"type": "any"}, **budget}, "forces tool use")]:
            with self.subTest(words):
                self.refused(self.create(**members), words)

    def test_calls_without_thoughts(self):
        """Who thinks by a budget has to show what was thought before the calls that are answered; adaptively one need not."""
        talk = [USER, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [TOLD]}]
        budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
        self.refused(self.create(messages=talk, tools=[CLOCK], **budget), "must start with a thinking block")
        later = [*talk, {"role": "assistant", "content": "noon"}, USER]
        self.assertEqual(self.create(messages=later, tools=[CLOCK], **budget).status, 200)
        self.assertEqual(self.create(messages=talk, tools=[CLOCK], model="claude-opus-5", thinking={"type": "adaptive"}).status, 200)

    def test_messages(self):
        def user(*blocks):
            return {"role": "user", "content": list(blocks)}

        def assistant(*blocks):
            return {"role": "assistant", "content": list(blocks)}
        text = {"type": "text", "text": "x"}
        source = {"type": "base64", "media_type": "image/tiff", "data": "AAAA"}
        for talk, words in [
                ([{"role": "system", "content": "x"}], "Unexpected role"), ([assistant(text)], "first message"),
                ([{"role": "user", "content": ""}], "non-empty"), ([user()], "non-empty"), ([user({"type": "text", "text": ""})], "non-empty"),
                ([user(CALL)], "Input should be one of"), ([USER, assistant(TOLD)], "Input should be one of"),
                ([user({"type": "image", "source": source})], "image/jpeg"),
                ([user({"type": "image", "source": {**source, "media_type": "image/png", "data": "!"}})], "Invalid base64"),
                ([user({"type": "image", "source": {"type": "url", "url": "http://a.example/b"}})], "HTTPS"),
                ([user(TOLD)], "unexpected `tool_use_id`"), ([USER, assistant(CALL), USER], "without `tool_result`"),
                ([USER, assistant(CALL), user(text)], "without `tool_result`"),
                ([USER, assistant(CALL), user(text, TOLD)], "must come first"),
                ([USER, assistant({**CALL, "id": "a.b"})], "should match pattern"),
                ([USER, assistant({"type": "thinking", "thinking": "x", "signature": "forged"})], "Invalid `signature`"),
                ([user(*[{**text, **MARK}] * 5)], "A maximum of 4"), ([{**USER, "name": "n"}], "messages.0.name: Extra")]:
            with self.subTest(words, talk=talk):
                self.refused(self.create(messages=talk), words)


class Faults(Case):
    def test_status_and_code(self):
        for knobs, status, kind in [
                ("status=529", 529, "overloaded_error"), ("code=overloaded_error", 529, "overloaded_error"),
                ("status=429,retry_after=7", 429, "rate_limit_error"), ("code=rate_limit_exceeded", 429, "rate_limit_error"),
                ("code=insufficient_quota", 400, "invalid_request_error"), ("status=402", 402, "billing_error"),
                ("status=401", 401, "authentication_error"), ("status=500", 500, "api_error"), ("status=503", 503, "api_error"),
                ("code=context_length_exceeded", 400, "invalid_request_error"), ("tokens=x", 400, "invalid_request_error")]:
            with self.subTest(knobs):
                self.refused(self.create(knobs), "", status, kind)
        self.assertEqual(self.create("status=429,retry_after=7").headers["retry-after"], "7")

    def test_streams(self):
        events = self.events(self.create("error_in_stream=1", stream=True))
        self.assertEqual((events[-1]["type"], events[-1]["error"]["type"]), ("error", "overloaded_error"))
        self.assertEqual(self.events(self.create("no_done", stream=True))[-1]["type"], "message_delta")
        self.assertFalse(any("usage" in event for event in self.events(self.create("no_usage", stream=True))))
        self.assertFalse(self.create("cut=2", stream=True).whole)
        self.assertRaises(json.JSONDecodeError, self.events, self.create("malformed=2", stream=True))
        self.assertRaises(json.JSONDecodeError, self.create("malformed=1").json)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
