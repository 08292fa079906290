#!/usr/bin/python3
"""What an OpenAI client sees of Gemini: HTTP, gateway, coordinator, manager, adapter, and a provider that is as strict as Google."""

import base64
import hashlib
import http.client
import json
import os
import struct
import sys

import harness

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402

KEY = "AIza-never-to-be-seen-0123456789"
USER = {"role": "user", "content": "say it"}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "tells the weather", "parameters": {
    "type": "object", "required": ["place"], "additionalProperties": False, "properties": {
        "place": {"type": "string"}, "unit": {"anyOf": [{"type": "string", "enum": ["C", "F"]}, {"type": "null"}]}}}}}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
PNG = "iVBORw0KGgo="

# name of the model: (its name at the provider, knobs in the base URL)
MODELS = {
    "good": ("gemini-2.5-flash", "tokens=3,cached=1"),
    "calls": ("gemini-3-flash", "calls=3,tokens=2,thoughts=2"),
    "old-calls": ("gemini-2.5-flash", "calls=2,tokens=0"),
    "talks": ("gemini-3-flash", "tokens=2"),
    "echo": ("gemini-2.5-flash", "echo"),
    "unsafe": ("gemini-2.5-flash", "finish=SAFETY"),
    "blocked": ("gemini-2.5-flash", "block=PROHIBITED_CONTENT"),
    "limited": ("gemini-2.5-flash", "code=rate_limit_exceeded,retry_after=7"),
    "unpaid": ("gemini-2.5-flash", "code=insufficient_quota"),
    "long": ("gemini-2.5-flash", "code=context_length_exceeded"),
    "broken": ("gemini-2.5-flash", "status=500"),
    "rude": ("gemini-2.5-flash", "error_in_stream=1,status=503,gap_ms=20"),
    "endless": ("gemini-2.5-flash", "no_done,gap_ms=20"),
    "slow": ("gemini-2.5-flash", "tokens=1000,gap_ms=20"),
}


class Gemini(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", KEY)
        self.addCleanup(self.mock.__exit__)
        self.port = harness.free_port()
        for name, key in (("key", KEY), ("wrong", KEY[::-1])):
            with open(os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(key + "\n")
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        environment = {"PONS_CONFIG": config}
        self.agents = [self.start_agent(name, environment=environment)
                       for name in ("request_coordinator", "model_manager_suite", "remote_api_adapter")]
        self.start("pons-gateway", "--endpoint", self.endpoint, environment=environment)
        asker = self.client()
        for service in ("RemoteApiAdapter", "ModelManagerSuite", "RequestCoordinator"):
            self.wait_service(asker, service)

    def configuration(self):
        text = f'gateway: {{listen: ["tcp://127.0.0.1:{self.port}"]}}\nproviders:\n'
        models = ""
        for name, (upstream, knobs) in [*MODELS.items(), ("badkey", ("m", "")), ("vectors", ("gemini-embedding-001", ""))]:
            prefix = f"/mock/{knobs}" if knobs else ""
            key = "wrong" if name == "badkey" else "key"
            text += (f"  - {{name: p-{name}, dialect: gemini, base_url: '{self.mock.base_url}{prefix}/v1beta', key: {{file: {key}}}, "
                     "attempts: 1}\n")
            kind = "embedding" if name == "vectors" else "chat"
            models += (f"  - {{name: {name}, kind: {kind}, executor: RemoteApiAdapter, provider: p-{name}, upstream: {upstream}, "
                       "context_tokens: 100000, input_usd: '1', output_usd: '2'}\n")
        return text + "models:\n" + models

    def post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.DEADLINE_S)
        self.addCleanup(connection.close)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse()

    def chat(self, model, messages=(USER,), **members):
        response = self.post("/v1/chat/completions", {"model": model, "messages": list(messages), **members})
        answer = json.loads(response.read())
        self.assertEqual(response.status, 200, answer)
        return answer, response

    def refused(self, model, **members):
        response = self.post("/v1/chat/completions", {"model": model, "messages": [USER], **members})
        answer = json.loads(response.read())
        self.assertGreaterEqual(response.status, 400, answer)
        return response.status, answer["error"], response

    def stream(self, model, messages=(USER,), **members):
        """The chunks, and whether the end mark came."""
        response = self.post("/v1/chat/completions", {"model": model, "messages": list(messages), "stream": True, **members})
        self.assertEqual(response.status, 200, response.status)
        try:
            body = response.read()
        except http.client.IncompleteRead as broken:  # an answer that is not whole doesn't look so over HTTP either
            body = broken.partial
        parts = body.decode().split("\n\n")
        data = [part[6:] for part in parts if part.startswith("data: ")]
        return [json.loads(one) for one in data if one != "[DONE]"], "[DONE]" in data

    def sent(self):
        return json.loads(self.mock.stats()["last_request"]["body"])


class Answers(Gemini):
    def test_plain(self):
        answer, response = self.chat("good", [{"role": "system", "content": "be brief"}, USER], temperature=0.5, max_tokens=100,
                                     reasoning_effort="low")
        choice = answer["choices"][0]
        self.assertEqual((answer["object"], choice["finish_reason"]), ("chat.completion", "stop"))
        self.assertEqual(len(choice["message"]["content"].split()), 3)
        self.assertEqual((answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]), (2, 3))
        self.assertEqual(answer["usage"]["prompt_tokens_details"], {"cached_tokens": 1})
        self.assertEqual(response.headers["x-pons-cost-usd"], "0.000008000")
        self.assertEqual(self.sent(), {
            "contents": [{"role": "user", "parts": [{"text": "say it"}]}], "systemInstruction": {"parts": [{"text": "be brief"}]},
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 100,
                                 "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True}}})

    def test_an_image_and_tools(self):
        content = [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
        answer, _ = self.chat("calls", [{"role": "user", "content": content}], tools=[WEATHER, CLOCK], tool_choice="auto")
        self.assertEqual(self.sent()["contents"][0]["parts"][1], {"inlineData": {"mimeType": "image/png", "data": PNG}})
        message = answer["choices"][0]["message"]
        self.assertEqual(answer["choices"][0]["finish_reason"], "tool_calls")
        self.assertEqual([call["function"]["name"] for call in message["tool_calls"]], ["weather", "clock", "weather"])
        self.assertEqual(json.loads(message["tool_calls"][0]["function"]["arguments"]), {"place": "a word", "unit": "C"})
        self.assertEqual(message["reasoning_content"], "thought thought")
        self.assertEqual(answer["usage"]["completion_tokens_details"], {"reasoning_tokens": 2})

    def go_on(self, model, then, message, swap):
        """Results for all calls of an answer, which goes back as it came; the results in another order than the calls."""
        results = [{"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"n": i})}
                   for i, call in enumerate(message["tool_calls"])]
        answer, _ = self.chat(then, [USER, message, *(results[::-1] if swap else results)], tools=[WEATHER, CLOCK])
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        turns = self.sent()["contents"]
        self.assertEqual([turn["role"] for turn in turns], ["user", "model", "user"])
        calls = [part for part in turns[1]["parts"] if "functionCall" in part]
        self.assertEqual([part["functionResponse"]["response"]["n"] for part in turns[2]["parts"]], list(range(len(calls))))
        return calls

    def test_signatures_and_ids_come_back_unchanged(self):
        """The mock refuses a call without its signature, and results that don't have the calls' names and ids."""
        message = self.chat("calls", tools=[WEATHER, CLOCK])[0]["choices"][0]["message"]
        signature = message["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
        calls = self.go_on("calls", "talks", message, swap=True)
        self.assertEqual([call.get("thoughtSignature") for call in calls], [signature, None, None])
        self.assertEqual([call["functionCall"]["id"] for call in calls], [call["id"] for call in message["tool_calls"]])

    def test_names_that_we_made_up_are_not_told(self):
        message = self.chat("old-calls", tools=[WEATHER, CLOCK])[0]["choices"][0]["message"]
        self.assertIsNone(message["content"])
        self.assertEqual(len({call["id"] for call in message["tool_calls"]}), 2)
        calls = self.go_on("old-calls", "good", message, swap=True)
        self.assertTrue(all("id" not in call["functionCall"] for call in calls))

    def test_calls_of_another_provider(self):
        call = {"id": "call_x", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        calls = self.go_on("calls", "talks", message, swap=False)
        self.assertEqual(calls[0]["thoughtSignature"], "skip_thought_signature_validator")

    def test_stream(self):
        chunks, done = self.stream("calls", tools=[WEATHER, CLOCK], stream_options={"include_usage": True})
        self.assertTrue(done)
        usage = chunks.pop()
        self.assertEqual((usage["choices"], usage["usage"]["completion_tokens"]), ([], 4))
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        self.assertEqual(deltas[0], {"role": "assistant", "reasoning_content": "thought thought"})
        self.assertEqual(len("".join(delta.get("content", "") for delta in deltas).split()), 2)
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:], [None, "tool_calls"])
        calls = {}
        for one in (call for delta in deltas for call in delta.get("tool_calls", [])):
            made = calls.setdefault(one["index"], {"function": {"name": "", "arguments": ""}})
            for name in ("name", "arguments"):
                made["function"][name] += one["function"].get(name, "")
            made.update({name: one[name] for name in ("id", "type", "extra_content") if name in one})
        message = {"role": "assistant", "content": "x", "tool_calls": list(calls.values())}
        self.assertTrue(self.go_on("calls", "talks", message, swap=False)[0]["thoughtSignature"].startswith("c2ln"))

    def test_stream_without_usage(self):
        chunks, done = self.stream("good")
        self.assertTrue(done and all(chunk["choices"] for chunk in chunks))
        stats = self.mock.stats()["last_request"]
        self.assertEqual((stats["path"].rsplit("/", 1)[1], stats["query"]), ("gemini-2.5-flash:streamGenerateContent", "alt=sse"))

    def test_structured_answers(self):
        node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["next"]}
        for schema, member in (({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, "responseSchema"),
                               ({"$ref": "#/$defs/node", "$defs": {"node": node}}, "responseJsonSchema")):
            self.chat("good", response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})
            self.assertIn(member, self.sent()["generationConfig"])

    def test_unsafe_ends(self):
        self.assertEqual(self.chat("unsafe")[0]["choices"][0]["finish_reason"], "content_filter")
        self.assertEqual(self.stream("unsafe")[0][-1]["choices"][0]["finish_reason"], "content_filter")

    def test_embeddings(self):
        def embed(**members):
            response = self.post("/v1/embeddings", {"model": "vectors", **members})
            answer = json.loads(response.read())
            self.assertEqual(response.status, 200, answer)
            return answer
        answer = embed(input=["a b", "c"], dimensions=4)
        self.assertEqual([len(one["embedding"]) for one in answer["data"]], [4, 4])
        self.assertEqual(answer["usage"], {"prompt_tokens": 3, "total_tokens": 3})
        packed = base64.b64decode(embed(input="a b", dimensions=4, encoding_format="base64")["data"][0]["embedding"])
        plain = embed(input="a b", dimensions=4)["data"][0]["embedding"]
        self.assertEqual([round(x, 5) for x in struct.unpack("<4f", packed)], [round(x, 5) for x in plain])


class Failures(Gemini):
    def test_each_fault(self):
        for model, status, code in (("blocked", 400, "content_filter"), ("limited", 429, "RESOURCE_EXHAUSTED"),
                                    ("unpaid", 502, "RESOURCE_EXHAUSTED"), ("long", 400, "context_length_exceeded"),
                                    ("broken", 503, "INTERNAL"), ("badkey", 502, "INVALID_ARGUMENT")):
            for stream in (False, True):
                with self.subTest(model, stream=stream):
                    got, error, response = self.refused(model, stream=stream)
                    self.assertEqual((got, error["code"]), (status, code), error)
                    if model == "limited":
                        self.assertEqual(response.headers["retry-after"], "7")

    def test_what_it_cannot_be_told(self):
        requests = self.mock.stats()["requests"]
        status, error, _ = self.refused("good", n=2)
        self.assertEqual((status, error["param"]), (400, "n"))
        self.assertEqual(self.mock.stats()["requests"], requests, "nothing is sent")

    def test_a_mistake_has_its_path(self):
        status, error, _ = self.refused("good", safetySettings=[{"category": "NONE"}])
        self.assertEqual((status, error["param"]), (400, "safety_settings[0].category"))

    def test_streams_that_break(self):
        for model in ("rude", "endless"):
            with self.subTest(model):
                chunks, done = self.stream(model)
                self.assertFalse(done)
                self.assertIn("error", chunks[-1])

    def test_a_client_that_leaves_is_a_cancel(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.DEADLINE_S)
        connection.request("POST", "/v1/chat/completions", json.dumps({"model": "slow", "messages": [USER], "stream": True}))
        connection.getresponse().read(1)
        connection.sock.close()
        connection.close()
        self.mock.wait_stats(lambda stats: stats["cancelled"]["count"] == 1)

    def test_the_key_is_in_one_header_and_nowhere_else(self):
        self.chat("good")
        last = self.mock.stats()["last_request"]
        self.assertEqual(last["sha256"], {"x-goog-api-key": hashlib.sha256(KEY.encode()).hexdigest()})
        self.assertEqual(last["query"], "")
        self.refused("badkey")
        for agent in self.agents:
            self.assertNotIn(KEY, agent.log())
            self.assertNotIn(KEY[::-1], agent.log())


if __name__ == "__main__":
    harness.main()
