#!/usr/bin/python3
"""The mock provider over real sockets: test_mock.py PROGRAM. HTTP, OpenAI's dialect, every knob, what it has seen."""

import base64
import hashlib
import json
import socket
import struct
import sys
import time
import unittest

sys.dont_write_bytecode = True

from mock_client import Mock, request_text  # noqa: E402

PROGRAM = ""
USER = [{"role": "user", "content": "say it"}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}
CHAT = "/v1/chat/completions"


class Case(unittest.TestCase):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.mock = Mock(PROGRAM, *cls.OPTIONS)
        cls.addClassCleanup(cls.mock.__exit__)

    def setUp(self):
        self.mock.wait_stats(lambda stats: stats["connections"]["open"] == 1)
        self.mock.ask("POST", "/mock/reset")

    def connect(self):
        connection = self.mock.connect()
        self.addCleanup(connection.socket.close)
        return connection

    def begin(self, knobs="", **members):
        """A chat request that was sent and not read."""
        connection = self.connect()
        connection.send("POST", (f"/mock/{knobs}" if knobs else "") + CHAT, {"model": "m", "messages": USER, **members})
        return connection


class Http(Case):
    def test_keep_alive(self):
        before = self.mock.stats()["connections"]["total"]
        connection = self.connect()
        for _ in range(3):
            connection.send("POST", CHAT, {"model": "m", "messages": USER})
            self.assertEqual(connection.answer().status, 200)
        self.assertEqual(self.mock.stats()["connections"]["total"], before + 2)

    def test_pipelined(self):
        connection = self.connect()
        one = request_text("POST", CHAT, {"model": "m", "messages": USER})
        streamed = request_text("POST", CHAT, {"model": "m", "messages": USER, "stream": True})
        connection.write((one + streamed) * 20)
        for _ in range(20):
            self.assertEqual(connection.answer().json()["object"], "chat.completion")
            self.assertEqual(connection.answer().events()[-1], "[DONE]")

    def test_byte_by_byte(self):
        connection = self.connect()
        chunked = (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n")
        body = json.dumps({"model": "m", "messages": USER}).encode()
        for size in (1, 7):
            chunked += b"".join(b"%x;a=b\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size])
                                for i in range(0, len(body), size))
            chunked += b"0\r\nTrailer: x\r\n\r\n"
            for byte in chunked:
                connection.write(bytes([byte]))
            self.assertEqual(connection.answer().status, 200)
            self.assertEqual(self.mock.stats()["last_request"]["body"], body.decode())
            chunked = chunked[:chunked.index(b"\r\n\r\n") + 4]

    def test_large_body_in_chunks(self):
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 3_000_000}]}).encode()
        connection = self.connect()
        connection.write(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(body), 65536):
            connection.write(b"%X\r\n%s\r\n" % (len(body[i:i + 65536]), body[i:i + 65536]))
        connection.write("0\r\n\r\n")
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(self.mock.stats()["last_request"]["body_bytes"], len(body))

    def test_expect(self):
        body = json.dumps({"model": "m", "messages": USER})
        connection = self.connect()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: "
        connection.write(head + "100-continue\r\n\r\n")
        self.assertEqual(connection.answer().status, 100)
        connection.write(body)
        self.assertEqual(connection.answer().status, 200)
        connection.write(head + "wonders\r\n\r\n")
        self.assertEqual(connection.answer().status, 417)

    def test_head(self):
        connection = self.connect()
        connection.send("GET", "/v1/models")
        length = connection.answer().headers["content-length"]
        connection.send("HEAD", "/v1/models")
        answer = connection.answer(bodyless=True)
        self.assertEqual((answer.status, answer.headers["content-length"]), (200, length))
        connection.send("GET", "/v1/models")
        self.assertEqual(connection.answer().status, 200)

    def test_close(self):
        connection = self.connect()
        connection.send("GET", "/v1/models", headers=["Connection: close"])
        self.assertEqual(connection.answer().headers["connection"], "close")
        self.assertTrue(connection.is_closed())

    def test_http_1_0(self):
        body = json.dumps({"model": "m", "messages": USER, "stream": True})
        connection = self.connect()
        connection.write(f"POST {CHAT} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                         f"Connection: keep-alive\r\n\r\n{body}")
        answer = connection.answer()
        self.assertNotIn("transfer-encoding", answer.headers)
        self.assertEqual(answer.events()[-1], "[DONE]")

    def test_absolute_target(self):
        self.assertEqual(self.mock.ask("GET", "http://mock/v1/models").status, 200)

    def test_refused(self):
        good = "Host: x\r\n"
        for text, status in [
                ("GET\r\n\r\n", 400), ("GET /v1/models\r\n\r\n", 400), (f"GET v1 HTTP/1.1\r\n{good}\r\n", 400),
                (f"G(T /v1/models HTTP/1.1\r\n{good}\r\n", 400), (f"GET /v1/models HTTP/2.0\r\n{good}\r\n", 505),
                (f"GET /v1/models HTTX/1.1\r\n{good}\r\n", 400), ("GET /v1/models HTTP/1.1\r\n\r\n", 400),
                (f"GET /v1/models HTTP/1.1\r\n{good}{good}\r\n", 400), ("GET /v1/models HTTP/1.1\nHost: x\n\n", 400),
                (f"GET /v1/models HTTP/1.1\r\n{good}A : b\r\n\r\n", 400), (f"GET /v1/models HTTP/1.1\r\n{good} b\r\n\r\n", 400),
                (f"GET /v1/models HTTP/1.1\r\n{good}A: b\rc\r\n\r\n", 400), (f"GET / HTTP/1.1\r\n{good}A: \0\r\n\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Content-Length: 1x\r\n\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Content-Length: -1\r\n\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Content-Length: 99999999\r\n\r\n", 413),
                (f"POST / HTTP/1.1\r\n{good}Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
                (f"POST / HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\n\r\n\0\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
                (f"POST / HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
                (f"GET / HTTP/1.1\r\n{good}" + "A: b\r\n" * 64 + "\r\n", 431),
                (f"GET / HTTP/1.1\r\n{good}A: " + "b" * 70000, 431)]:
            with self.subTest(text[:70]), self.mock.connect() as connection:
                connection.write(text)
                answer = connection.answer()
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(answer.headers["connection"], "close")
                self.assertIn("message", answer.json()["error"])
                self.assertTrue(connection.is_closed())

    def test_thousands_of_connections(self):
        connections = [self.begin("delay_ms=1") if i % 2 else self.connect() for i in range(900)]
        self.assertEqual(self.mock.wait_stats(lambda s: s["connections"]["open"] == 901)["requests"], 450)
        for connection in connections[1::2]:
            self.assertEqual(connection.answer().status, 200)
        for connection in connections:
            connection.socket.close()
        self.mock.wait_stats(lambda s: s["connections"]["open"] == 1)

    def test_a_slow_reader_holds_up_nobody(self):
        slow = self.begin("tokens=600,bytes=32768", stream=True)
        self.assertEqual(self.mock.chat().status, 200)
        self.assertEqual(self.mock.stats()["streams_running"], 1)
        self.assertEqual(len(slow.answer().events()), 603)


class OpenAi(Case):
    def test_plain(self):
        answer = self.mock.chat(messages=[{"role": "system", "content": "be brief"}, *USER])
        reply = answer.json()
        self.assertRegex(reply["id"], "^chatcmpl-")
        self.assertEqual((reply["object"], reply["model"]), ("chat.completion", "m"))
        self.assertLess(abs(reply["created"] - time.time()), 60)
        choice = reply["choices"][0]
        self.assertEqual((choice["index"], choice["finish_reason"], choice["message"]["role"]), (0, "stop", "assistant"))
        self.assertEqual(len(choice["message"]["content"].split()), 8)
        usage = reply["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]), (4, 8, 12))
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertRegex(answer.headers["x-request-id"], "^req_")

    def test_ids_differ(self):
        self.assertNotEqual(self.mock.chat().json()["id"], self.mock.chat().json()["id"])

    def test_stream(self):
        answer = self.mock.chat("tokens=3,echo=1", messages=[{"role": "user", "content": 'a "b" ü'}], stream=True)
        self.assertEqual(answer.headers["content-type"], "text/event-stream; charset=utf-8")
        events = answer.events()
        self.assertEqual(events.pop(), "[DONE]")
        self.assertEqual({e["object"] for e in events}, {"chat.completion.chunk"})
        self.assertEqual(len({(e["id"], e["created"], e["model"]) for e in events}), 1)
        self.assertTrue(all("usage" not in e for e in events))
        self.assertEqual(events[0]["choices"][0]["delta"], {"role": "assistant", "content": "", "refusal": None})
        self.assertEqual([e["choices"][0]["delta"]["content"] for e in events[1:-1]], ["a", ' "b"', " ü"])
        self.assertEqual([e["choices"][0]["finish_reason"] for e in events], [None] * 4 + ["stop"])
        self.assertEqual(events[-1]["choices"][0]["delta"], {})

    def test_stream_usage(self):
        events = self.mock.chat(stream=True, stream_options={"include_usage": True}).events()
        self.assertTrue(all(e["usage"] is None for e in events[:-2]))
        self.assertEqual(events[-2]["choices"], [])
        self.assertEqual(events[-2]["usage"]["total_tokens"], 10)

    def test_limits_and_choices(self):
        reply = self.mock.chat(max_completion_tokens=3, n=2).json()
        self.assertEqual([c["finish_reason"] for c in reply["choices"]], ["length", "length"])
        self.assertEqual(reply["usage"]["completion_tokens"], 6)
        events = self.mock.chat("echo=1", max_tokens=1, n=2, stream=True).events()
        self.assertEqual([(e["choices"][0]["index"], e["choices"][0]["delta"].get("content")) for e in events[2:4]],
                         [(0, "say"), (1, "say")])
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], "length")

    def test_parts_and_tools_are_accepted(self):
        messages = [{"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "text", "text": " three"}]},
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c", "content": "4"}]
        reply = self.mock.chat("echo=1", messages=messages, tools=[TOOL], tool_choice="auto", seed=-1, temperature=None).json()
        self.assertEqual(reply["choices"][0]["message"]["content"], "one two three")
        self.assertEqual(reply["usage"]["prompt_tokens"], 4)

    def test_refused(self):
        def chat(**members):
            return {"model": "m", "messages": USER, **members}
        for body, param, code in [
                (b"{", None, None), (b"[]", None, None), (b'{"model":"\xff"}', None, None), ({"messages": USER}, None, None),
                ({"model": "", "messages": USER}, None, None), ({"model": "m"}, "messages", "missing_required_parameter"),
                (chat(messages=[]), "messages", "empty_array"), (chat(messages="x"), "messages", "invalid_type"),
                (chat(model=1), "model", "invalid_type"), (chat(messages=["x"]), "messages[0]", "invalid_type"),
                (chat(messages=USER + [{"content": "x"}]), "messages[1].role", "missing_required_parameter"),
                (chat(messages=[{"role": "robot", "content": "x"}]), "messages[0].role", "invalid_value"),
                (chat(messages=[{"role": "user"}]), "messages[0].content", "missing_required_parameter"),
                (chat(messages=[{"role": "user", "content": None}]), "messages[0].content", None),
                (chat(messages=[{"role": "user", "content": 1}]), "messages[0].content", "invalid_type"),
                (chat(messages=[{"role": "user", "content": [1]}]), "messages[0].content[0]", "invalid_type"),
                (chat(messages=[{"role": "user", "content": [{}]}]), "messages[0].content[0].type", "missing_required_parameter"),
                (chat(messages=[{"role": "tool", "content": "x"}]), "messages[0].tool_call_id", "missing_required_parameter"),
                (chat(stream="yes"), "stream", "invalid_type"), (chat(stream_options={}), "stream_options", None),
                (chat(temperature=3), "temperature", "decimal_above_max_value"), (chat(n=0), "n", "integer_below_min_value"),
                (chat(max_tokens=1, max_completion_tokens=1), "max_tokens", "invalid_parameter_combination"),
                (chat(profile="x"), "profile", "unknown_parameter")]:
            with self.subTest(body):
                status, error = self.mock.ask("POST", CHAT, body).error()
                self.assertEqual((status, error["param"], error["code"]), (400, param, code), error)
                self.assertEqual((error["type"], list(error)), ("invalid_request_error", ["message", "type", "param", "code"]))

    def test_content_type(self):
        self.assertEqual(self.mock.ask("POST", CHAT, {"model": "m", "messages": USER}, ["Content-Type: text/plain"]).status, 400)
        self.assertEqual(self.mock.ask("POST", CHAT, {"model": "m", "messages": USER},
                                       ["Content-Type: application/json; charset=utf-8"]).status, 200)

    def test_paths_and_methods(self):
        self.assertEqual(self.mock.ask("GET", CHAT).error()[0], 405)
        self.assertEqual(self.mock.ask("POST", "/v1/wonders", {}).error()[1]["code"], "unknown_url")
        self.assertEqual(self.mock.ask("GET", "/").error()[0], 404)

    def test_embeddings(self):
        reply = self.mock.ask("POST", "/v1/embeddings", {"model": "m", "input": ["a b", "c"], "dimensions": 3}).json()
        self.assertEqual([(d["index"], len(d["embedding"])) for d in reply["data"]], [(0, 3), (1, 3)])
        self.assertEqual(reply["usage"], {"prompt_tokens": 3, "total_tokens": 3})
        packed = self.mock.ask("POST", "/v1/embeddings", {"model": "m", "input": ["a b", "c"], "dimensions": 3,
                                                          "encoding_format": "base64"}).json()
        for plain, coded in zip(reply["data"], packed["data"]):
            floats = struct.unpack("<3f", base64.b64decode(coded["embedding"]))
            self.assertEqual([round(x, 6) for x in floats], [round(x, 6) for x in plain["embedding"]])
        self.assertEqual(len(self.mock.ask("POST", "/v1/embeddings", {"model": "m", "input": [1, 2]}).json()["data"]), 1)
        self.assertEqual(self.mock.ask("POST", "/v1/embeddings", {"model": "m"}).error()[1]["param"], "input")


class Tools(Case):
    TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {
        "place": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}}}}}, TOOL]

    def test_whole(self):
        choice = self.mock.chat("calls=3,tokens=0", tools=self.TOOLS).json()["choices"][0]
        calls = choice["message"]["tool_calls"]
        self.assertEqual([call["function"]["name"] for call in calls], ["weather", "f", "weather"])
        self.assertEqual(json.loads(calls[0]["function"]["arguments"]), {"place": 'a "word"', "days": 7, "unit": "C"})
        self.assertEqual((choice["finish_reason"], len({call["id"] for call in calls})), ("tool_calls", 3))

    def test_in_pieces(self):
        events = self.mock.chat("calls=2,tokens=1", stream=True, tools=self.TOOLS).events()
        deltas = [call for event in events[:-1] for call in event["choices"][0]["delta"].get("tool_calls", [])]
        self.assertEqual([(d["index"], d["function"]["name"]) for d in deltas if "id" in d], [(0, "weather"), (1, "f")])
        texts = ["".join(d["function"]["arguments"] for d in deltas if d["index"] == n) for n in (0, 1)]
        self.assertEqual([json.loads(text) for text in texts], [{"place": 'a "word"', "days": 7, "unit": "C"}, {}])
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], "tool_calls")

    def test_none_are_wanted(self):
        for members in ({}, {"tools": self.TOOLS, "tool_choice": "none"}):
            choice = self.mock.chat("calls=2", **members).json()["choices"][0]
            self.assertEqual((choice["finish_reason"], "tool_calls" in choice["message"]), ("stop", False))

    def test_ends_and_counts(self):
        reply = self.mock.chat("finish=content_filter,cached=1,thoughts=5,tokens=2").json()
        self.assertEqual(reply["choices"][0]["finish_reason"], "content_filter")
        usage = reply["usage"]
        self.assertEqual((usage["prompt_tokens_details"]["cached_tokens"], usage["completion_tokens"],
                          usage["completion_tokens_details"]["reasoning_tokens"]), (1, 7, 5))
        events = self.mock.chat("finish=length", stream=True).events()
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], "length")


class Strict(Case):
    """What OpenAI refuses beyond types and ranges: parts, calls and their answers, tools, shapes, what goes with what."""

    def refused(self, param, code, path=CHAT, **members):
        body = {"model": "m", **({"messages": USER} if path == CHAT else {}), **members}
        status, error = self.mock.ask("POST", path, body).error()
        self.assertEqual((status, error["param"], error["code"]), (400, param, code), error)

    def taken(self, path=CHAT, **members):
        answer = self.mock.ask("POST", path, {"model": "m", **({"messages": USER} if path == CHAT else {}), **members})
        self.assertEqual(answer.status, 200, answer.body)

    def part(self, **part):
        return [{"role": "user", "content": [part]}]

    def test_parts(self):
        at = "messages[0].content[0]"
        self.taken(messages=[{"role": "user", "content": [
            {"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aa", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "aa", "format": "wav"}}, {"type": "file", "file": {"file_id": "file-1"}}]}])
        for param, code, part in [
                (f"{at}.type", "invalid_value", {"type": "video"}), (f"{at}.text", "missing_required_parameter", {"type": "text"}),
                (f"{at}.wonder", "unknown_parameter", {"type": "text", "text": "x", "wonder": 1}),
                (f"{at}.image_url.url", "missing_required_parameter", {"type": "image_url", "image_url": {}}),
                (f"{at}.image_url.url", "invalid_value", {"type": "image_url", "image_url": {"url": "ftp://x/a.png"}}),
                (f"{at}.image_url.url", "invalid_value", {"type": "image_url", "image_url": {"url": "data:text/plain;base64,aa"}}),
                (f"{at}.image_url.detail", "invalid_value", {"type": "image_url", "image_url": {"url": "https://x/a", "detail": "huge"}}),
                (f"{at}.image_url", "invalid_type", {"type": "image_url", "image_url": "https://x/a"}),
                (f"{at}.input_audio.format", "invalid_value", {"type": "input_audio", "input_audio": {"data": "aa", "format": "ogg"}})]:
            with self.subTest(part):
                self.refused(param, code, messages=self.part(**part))
        self.refused("messages[0].content", "empty_array", messages=[{"role": "user", "content": []}])
        self.refused("messages[0].content[0].type", "invalid_value", messages=[
            {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x/a"}}]}])

    def test_messages(self):
        self.refused("messages[0].wonder", "unknown_parameter", messages=[{"role": "user", "content": "x", "wonder": 1}])
        self.refused("messages[0].reasoning_content", "unknown_parameter",
                     messages=[{"role": "assistant", "content": "x", "reasoning_content": "y"}])

    def test_calls_and_their_answers(self):
        asked, answer = {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "4"}
        self.taken(messages=[*USER, asked, answer], tools=[TOOL])
        self.refused("messages[1].role", None, messages=[*USER, answer])
        self.refused("messages[2].role", None, messages=[*USER, asked, *USER])
        self.refused("messages[1].role", None, messages=[*USER, asked])
        self.refused("messages[2].tool_call_id", None, messages=[*USER, asked, {**answer, "tool_call_id": "d"}])
        self.refused("messages[0].tool_calls", "empty_array", messages=[{"role": "assistant", "tool_calls": []}])
        self.refused("messages[0].tool_calls[0].function.arguments", "invalid_type", messages=[
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}])

    def test_tools(self):
        closed = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

        def tool(**function):
            return [{"type": "function", "function": {"name": "f", **function}}]
        self.taken(tools=tool(parameters=closed, strict=True), tool_choice={"type": "function", "function": {"name": "f"}})
        self.refused("tools", "empty_array", tools=[])
        self.refused("tools[0].type", "invalid_value", tools=[{"type": "wonder", "function": {"name": "f"}}])
        self.refused("tools[0].function.name", "invalid_value", tools=tool(name="a b"))
        self.refused("tools[0].function.wonder", "unknown_parameter", tools=tool(wonder=1))
        self.refused("tools[0].function.parameters", "invalid_function_parameters", tools=tool(parameters={"type": "array"}))
        for schema in ({**closed, "additionalProperties": True}, {**closed, "required": []},
                       {**closed, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}):
            self.refused("tools[0].function.parameters", "invalid_json_schema", tools=tool(parameters=schema, strict=True))
        self.refused("tool_choice", None, tool_choice="auto")
        self.refused("tool_choice", "invalid_value", tools=tool(), tool_choice="some")
        self.refused("tool_choice", None, tools=tool(), tool_choice={"type": "function", "function": {"name": "g"}})
        self.refused("parallel_tool_calls", None, parallel_tool_calls=False)

    def test_shapes(self):
        schema = {"type": "object", "properties": {}, "additionalProperties": False}
        self.taken(response_format={"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}})
        self.taken(response_format={"type": "json_object"}, messages=[{"role": "user", "content": "as JSON"}])
        self.refused("messages", None, response_format={"type": "json_object"})
        self.refused("response_format.type", "invalid_value", response_format={"type": "xml"})
        self.refused("response_format.json_schema", "missing_required_parameter", response_format={"type": "json_schema"})
        self.refused("response_format.json_schema.name", "invalid_value",
                     response_format={"type": "json_schema", "json_schema": {"name": "a b", "schema": schema}})
        self.refused("response_format", "invalid_json_schema", response_format={
            "type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}})

    def test_what_goes_with_what(self):
        for param, code, members in [
                ("top_logprobs", None, {"top_logprobs": 2}), ("stop", "array_above_max_length", {"stop": list("abcde")}),
                ("logit_bias", "invalid_value", {"logit_bias": {"1": 101}}), ("metadata", "invalid_type", {"metadata": {"a": 1}}),
                ("audio", "missing_required_parameter", {"modalities": ["text", "audio"]}), ("n", "invalid_type", {"n": 1.5}),
                ("stream_options.wonder", "unknown_parameter", {"stream": True, "stream_options": {"wonder": 1}}),
                ("service_tier", "invalid_value", {"service_tier": "best"}), ("reasoning_effort", "invalid_value", {"reasoning_effort": "much"}),
                ("prediction.content", "missing_required_parameter", {"prediction": {"type": "content"}})]:
            with self.subTest(members):
                self.refused(param, code, **members)

    def test_embeddings(self):
        path = "/v1/embeddings"
        self.taken(path, input=[[1, 2], [3]])
        for wrong in ("", [], [""], ["a", 1], [[]], [{}], ["a"] * 2049):
            self.refused("input", None, path, input=wrong)

    def test_bodies_that_are_no_json(self):
        for path in ("/v1/audio/speech", "/v1/fine_tuning/jobs", "/v1/embeddings"):
            for headers in (["Content-Type: text/plain"], []):
                status, error = self.mock.ask("POST", path, b"{", headers).error()
                self.assertEqual((status, error["type"]), (400, "invalid_request_error"))

    def test_fine_tuning(self):
        path, job = "/v1/fine_tuning/jobs", {"training_file": "file-1"}
        self.taken(path, **job, validation_file="file-2", suffix="x" * 64, seed=1, method={
            "type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "auto"}}})
        for param, code, more in [
                ("training_file", "missing_required_parameter", {}), ("training_file", "invalid_value", {"training_file": "x"}),
                ("validation_file", "invalid_value", {**job, "validation_file": "x"}), ("seed", "integer_above_max_value", {**job, "seed": 1 << 31}),
                ("suffix", "string_above_max_length", {**job, "suffix": "x" * 65}), ("wonder", "unknown_parameter", {**job, "wonder": 1}),
                ("method.type", "invalid_value", {**job, "method": {"type": "magic"}}),
                ("method.supervised.hyperparameters.n_epochs", "integer_above_max_value",
                 {**job, "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 51}}}})]:
            with self.subTest(more):
                self.refused(param, code, path, **more)
        status, error = self.mock.ask("GET", f"{path}/ftjob-1/events?limit=101").error()
        self.assertEqual((status, error["param"]), (400, "limit"))


class KeyAndModels(Case):
    OPTIONS = ("--key", "sk-secret", "--models", "a,b")

    def test_key(self):
        self.assertEqual(self.mock.chat().error()[0], 401)
        for header in ("Authorization: Bearer sk-other", "Authorization: Bearer sk-secret2"):
            status, error = self.mock.chat(headers=[header]).error()
            self.assertEqual((status, error["code"]), (401, "invalid_api_key"))
        self.assertEqual(self.mock.chat(headers=["authorization: bearer sk-secret"], model="a").status, 200)

    def test_models(self):
        key = ["Authorization: Bearer sk-secret"]
        status, error = self.mock.chat(headers=key, model="c").error()
        self.assertEqual((status, error["code"]), (404, "model_not_found"))
        reply = self.mock.ask("GET", "/v1/models", headers=key).json()
        self.assertEqual((reply["object"], [m["id"] for m in reply["data"]]), ("list", ["a", "b"]))
        self.assertEqual(self.mock.ask("GET", "/v1/models/b", headers=key).json()["id"], "b")
        self.assertEqual(self.mock.ask("GET", "/v1/models/c", headers=key).status, 404)

    def test_secrets_are_not_shown(self):
        self.mock.chat(headers=["Authorization: Bearer sk-secret", "api-key: other-secret", "X-Other: shown"])
        answer = self.mock.ask("GET", "/mock/stats")
        last = answer.json()["last_request"]
        self.assertNotIn(b"-secret", answer.body)
        self.assertEqual((last["authorization"], last["headers"]["x-other"]), ("present", "shown"))
        self.assertEqual(last["sha256"], {"authorization": hashlib.sha256(b"Bearer sk-secret").hexdigest(),
                                          "api-key": hashlib.sha256(b"other-secret").hexdigest()})


class Relatives(Case):
    """Azure's paths, versions and keys, and a custom server's."""
    OPTIONS = ("--key", "sk-secret")
    BODY = {"model": "m", "messages": USER}

    def status(self, path, *headers):
        return self.mock.ask("POST", path, self.BODY, list(headers)).status

    def test_azure(self):
        dated, v1 = "/openai/deployments/m/chat/completions", "/openai/v1/chat/completions"
        key, bearer = "api-key: sk-secret", "Authorization: Bearer sk-secret"
        for version, status in (("2024-10-21", 200), ("2025-04-01-preview", 200), ("2024-10-2", 404), ("latest", 404), ("2024-10-21x", 404)):
            self.assertEqual(self.status(f"{dated}?api-version={version}", key), status, version)
        self.assertEqual(self.status(dated, key), 404)
        self.assertEqual(self.status(f"{dated}?api-version=2024-10-21", bearer), 401)
        self.assertEqual([self.status(v1, header) for header in (key, bearer, "api-key: x", "Authorization: sk-secret")], [200, 200, 401, 401])

    def test_custom(self):
        team, key = "x-team: blue", "x-custom-key: Token sk-secret"
        self.assertEqual(self.status("/custom/m/chat", key, team), 200)
        self.assertEqual(self.status("/custom/m/chat", key), 400)
        self.assertEqual(self.status("/custom/m/chat", team, "x-custom-key: sk-secret"), 401)


class Knobs(Case):
    OPTIONS = ("--tokens", "5", "--gap_ms", "1")

    def seconds(self, function):
        start = time.monotonic()
        function()
        return time.monotonic() - start

    def test_four_places(self):
        def count(target, headers=()):
            reply = self.mock.ask("POST", target, {"model": "m", "messages": USER}, headers).json()
            return reply["usage"]["completion_tokens"]
        self.assertEqual(count(CHAT), 5)
        self.assertEqual(count("/mock/tokens=6" + CHAT), 6)
        self.assertEqual(count("/mock/tokens=6" + CHAT + "?tokens=7&api-version=1"), 7)
        self.assertEqual(count("/mock/tokens=6" + CHAT + "?tokens=7", ["X-Mock-Tokens: 8"]), 8)

    def test_bad_knobs(self):
        for target in ("/mock/wonders=1" + CHAT, "/mock/tokens=x" + CHAT, "/mock/status=99" + CHAT, "/mock/tokens=1",
                       CHAT + "?malformed=0"):
            status, error = self.mock.ask("POST", target, {"model": "m", "messages": USER}).error()
            self.assertEqual((status, error["code"]), (400, "bad_knob"), target)

    def test_delays(self):
        self.assertGreaterEqual(self.seconds(lambda: self.mock.chat("delay_ms=120")), 0.12)
        self.assertGreaterEqual(self.seconds(lambda: self.mock.chat("first_ms=120", stream=True)), 0.12)
        self.assertGreaterEqual(self.seconds(lambda: self.mock.chat("gap_ms=40", stream=True)), 0.16)
        connection = self.begin("first_ms=300", stream=True)
        self.assertLess(self.seconds(connection.head), 0.3)

    def test_slow_headers(self):
        for stream in (False, True):
            connection = self.begin("slow_headers=20", stream=stream)
            connection.line()
            self.assertGreaterEqual(self.seconds(lambda c=connection: c.more() and c.more() and c.more()), 0.03)
            connection.data[:0] = b"HTTP/1.1 200 OK\r\n"
            answer = connection.answer()
            self.assertEqual((answer.status, answer.whole), (200, True))

    def test_sizes(self):
        self.assertEqual(len(self.mock.chat("bytes=1000").json()["choices"][0]["message"]["content"]), 1000)
        events = self.mock.chat("bytes=100,tokens=3", stream=True).events()
        self.assertEqual([len(e["choices"][0]["delta"]["content"]) for e in events[1:-2]], [100] * 3)

    def test_status(self):
        for knobs, status, kind, code in [
                ("status=429", 429, "requests", "rate_limit_exceeded"), ("status=503", 503, "server_error", None),
                ("code=insufficient_quota", 429, "insufficient_quota", "insufficient_quota"),
                ("code=context_length_exceeded", 400, "invalid_request_error", "context_length_exceeded"),
                ("status=418", 418, "invalid_request_error", None), ("status=502,code=odd", 502, "server_error", "odd")]:
            got, error = self.mock.chat(knobs).error()
            self.assertEqual((got, error["type"], error["code"]), (status, kind, code))

    def test_retry_after(self):
        answer = self.mock.chat("status=429,retry_after=Wed%2C 21 Oct 2015 07:28:00 GMT,retry_after_ms=1500".replace(" ", "%20"))
        self.assertEqual((answer.headers["retry-after"], answer.headers["retry-after-ms"]),
                         ("Wed, 21 Oct 2015 07:28:00 GMT", "1500"))
        self.assertNotIn("retry-after", self.mock.chat("retry_after=1").headers)

    def test_cut(self):
        for cut in (0, 2):
            answer = self.mock.chat(f"cut={cut}", stream=True)
            self.assertFalse(answer.whole)
            self.assertEqual(answer.body.count(b"data: "), cut + (cut > 0))
        plain = self.mock.chat("cut=1")
        self.assertTrue(0 < len(plain.body) < int(plain.headers["content-length"]))
        self.assertEqual(self.mock.chat("cut=0").body, b"")
        self.assertEqual(self.mock.stats()["cancelled"]["count"], 0)

    def test_stall(self):
        connection = self.begin("stall=2", stream=True)
        connection.head()
        while connection.data.count(b"data: ") < 3:
            connection.more()
        self.assertTrue(connection.is_silent())
        plain = self.begin("stall=0")
        plain.head()
        self.assertTrue(plain.is_silent())

    def test_silent(self):
        self.assertTrue(self.begin("silent").is_silent())

    def test_malformed(self):
        parts = self.mock.chat("malformed=2", stream=True).body.decode().split("\n\n")
        for i, part in enumerate(parts[:-2]):
            if i == 2:
                self.assertRaises(json.JSONDecodeError, json.loads, part[6:])
            else:
                json.loads(part[6:])
        self.assertRaises(json.JSONDecodeError, self.mock.chat("malformed=1").json)

    def test_error_in_stream(self):
        answer = self.mock.chat("error_in_stream=2,code=rate_limit_exceeded,status=429", stream=True)
        events = answer.events()
        self.assertEqual((answer.status, answer.whole, len(events)), (200, True, 4))
        self.assertEqual(events[-1]["error"]["code"], "rate_limit_exceeded")

    def test_no_done_and_no_usage(self):
        self.assertEqual(self.mock.chat("no_done", stream=True).events()[-1]["choices"][0]["finish_reason"], "stop")
        events = self.mock.chat("no_usage", stream=True, stream_options={"include_usage": True}).events()
        self.assertTrue(all("usage" not in e for e in events[:-1]))
        self.assertNotIn("usage", self.mock.chat("no_usage").json())

    def test_fail_first(self):
        self.assertEqual([self.mock.chat("fail_first=2").status for _ in range(4)], [500, 500, 200, 200])
        self.assertEqual([self.mock.chat("fail_first=1,cut=0").whole for _ in range(2)], [False, True])
        self.mock.ask("POST", "/mock/reset")
        self.assertEqual(self.mock.chat("fail_first=2").status, 500)

    def test_seed(self):
        self.assertEqual(self.mock.chat("seed=7").body, self.mock.chat("seed=7").body)
        self.assertNotEqual(self.mock.chat("seed=7").body, self.mock.chat("seed=8").body)

    def test_lax(self):
        self.assertEqual(self.mock.chat("lax", own_member=1).status, 200)


class Stats(Case):
    def test_counts(self):
        self.mock.chat()
        self.mock.ask("GET", "/v1/models?x=1")
        stats = self.mock.stats()
        self.assertEqual((stats["requests"], stats["paths"]), (2, {CHAT: 1, "/v1/models": 1}))
        last = stats["last_request"]
        self.assertEqual((last["method"], last["path"], last["query"], last["authorization"]), ("GET", "/v1/models", "x=1", "absent"))
        self.assertEqual(self.mock.ask("GET", "/mock/reset").status, 405)
        self.mock.ask("POST", "/mock/reset")
        stats = self.mock.stats()
        self.assertEqual((stats["requests"], stats["paths"], stats["last_request"]), (0, {}, None))

    def test_a_closed_stream_is_noticed(self):
        connection = self.begin("gap_ms=5,tokens=100000", stream=True)
        connection.head()
        self.assertEqual(self.mock.stats()["streams_running"], 1)
        while connection.data.count(b"data: ") < 3:
            connection.more()
        connection.socket.close()
        closed = time.monotonic()
        stats = self.mock.wait_stats(lambda s: s["cancelled"]["count"] == 1)
        self.assertEqual(stats["streams_running"], 0)
        self.assertLessEqual(stats["cancelled"]["last_ms_ago"] / 1000, time.monotonic() - closed + 0.01)
        self.assertGreaterEqual(stats["cancelled"]["last_chunks"], 2)

    def test_a_closed_waiter_is_noticed(self):
        for knobs in ("silent", "delay_ms=600000", "stall=1", "slow_headers=600000"):
            connection = self.begin(knobs)
            self.mock.wait_stats(lambda s: s["requests"] == 1)
            connection.socket.close()
            self.mock.wait_stats(lambda s: s["cancelled"]["count"] == 1)
            self.mock.ask("POST", "/mock/reset")

    def test_a_reset_is_noticed_while_too_much_is_sent(self):
        connection = self.begin("silent")
        self.mock.wait_stats(lambda s: s["requests"] == 1)
        connection.write(b"x" * 100_000)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.close()
        self.mock.wait_stats(lambda s: s["cancelled"]["count"] == 1)


class CommandLine(unittest.TestCase):
    def test_refused(self):
        for options in (["--wonders", "1"], ["--port"], ["--port", "x"], ["tokens"], ["--tokens", "x"]):
            with self.assertRaisesRegex(AssertionError, "mock-provider: "):
                Mock(PROGRAM, *options)

    def test_port_in_use(self):
        with Mock(PROGRAM) as mock, self.assertRaisesRegex(AssertionError, "in use"):
            Mock(PROGRAM, "--port", mock.port)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
