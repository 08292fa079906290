#!/usr/bin/python3
"""What an OpenAI client sees of Anthropic: HTTP, gateway, coordinator, manager, adapter, and a provider that is as strict as the
real one."""

import http.client
import json
import os
import sys

import harness

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402

KEY = "sk-ant-never-to-be-seen-0123456789"
USER = {"role": "user", "content": "say it"}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "tells the weather", "strict": True, "parameters": {
    "type": "object", "required": ["place"], "additionalProperties": False, "properties": {"place": {"type": "string"}}}}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
PNG = "iVBORw0KGgo="
SEEN = [{"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "what is this"},
                                     {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]}]

# name of the model: (its name at the provider, knobs in the base URL)
MODELS = {
    "good": ("claude-sonnet-4-5", "tokens=3,cached=1"),
    "calls": ("claude-opus-5", "calls=2,tokens=2,thoughts=2"),
    "old-thinker": ("claude-sonnet-4-5", "calls=2,tokens=0,thoughts=2"),
    "echo": ("claude-3-haiku", "echo"),
    "unsafe": ("claude-opus-5", "finish=refusal"),
    "limited": ("claude-opus-5", "status=429,retry_after=7"),
    "busy": ("claude-opus-5", "status=529"),
    "unpaid": ("claude-opus-5", "code=insufficient_quota"),
    "long": ("claude-opus-5", "code=context_length_exceeded"),
    "filtered": ("claude-opus-5", "code=content_filter"),
    "gone": ("claude-opus-5", "code=model_not_found"),
    "rude": ("claude-opus-5", "error_in_stream=1,gap_ms=20"),
    "half": ("claude-opus-5", "cut=2,gap_ms=20"),
    "unmarked": ("claude-opus-5", "no_done,tokens=3"),
    "uncounted": ("claude-opus-5", "no_usage"),
}


class Anthropic(harness.Fleet):
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
        for name in ("request_coordinator", "model_manager_suite", "remote_api_adapter"):
            self.start_agent(name, environment=environment)
        self.start("pons-gateway", "--endpoint", self.endpoint, environment=environment)
        asker = self.client()
        for service in ("RemoteApiAdapter", "ModelManagerSuite", "RequestCoordinator"):
            self.wait_service(asker, service)

    def configuration(self):
        providers, models = [], []
        for name, (upstream, knobs) in [*MODELS.items(), ("badkey", ("m", ""))]:
            url = f"{self.mock.base_url}/mock/{knobs}/v1" if knobs else f"{self.mock.base_url}/v1"
            key = "wrong" if name == "badkey" else "key"
            providers.append(f"  - {{name: p-{name}, dialect: anthropic, base_url: '{url}', key: {{file: {key}}}, attempts: 1}}\n")
            models.append(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}, upstream: {upstream}, "
                          "context_tokens: 100000, input_usd: '1', output_usd: '2'}\n")
        return (f'gateway: {{listen: ["tcp://127.0.0.1:{self.port}"]}}\nproviders:\n{"".join(providers)}'
                f'models:\n{"".join(models)}')

    def post(self, body, path="/v1/chat/completions"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.DEADLINE_S)
        self.addCleanup(connection.close)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse()

    def chat(self, model, messages=(USER,), **members):
        response = self.post({"model": model, "messages": list(messages), **members})
        answer = json.loads(response.read())
        self.assertEqual(response.status, 200, answer)
        return answer

    def refused(self, model, **members):
        response = self.post({"model": model, "messages": [USER], **members})
        return response.status, json.loads(response.read())["error"], response

    def stream(self, model, messages=(USER,), **members):
        """The chunks, and how the stream ended: the data of its last event."""
        response = self.post({"model": model, "messages": list(messages), "stream": True, **members})
        try:
            data = response.read().decode()
        except http.client.IncompleteRead as broken:  # how a stream ends that has failed
            data = broken.partial.decode()
        self.assertEqual(response.status, 200, data)
        events = [part.removeprefix("data: ") for part in data.split("\n\n") if part.startswith("data: ")]
        return [json.loads(one) for one in events if one != "[DONE]"], events[-1]

    def sent(self):
        return json.loads(self.mock.stats()["last_request"]["body"])


class Answers(Anthropic):
    def test_tools_and_an_image(self):
        """The request that the provider took is Anthropic's, the answer is OpenAI's."""
        answer = self.chat("calls", SEEN, tools=[WEATHER, CLOCK], parallel_tool_calls=False, reasoning_effort="low")
        message = answer["choices"][0]["message"]
        self.assertEqual((answer["object"], answer["choices"][0]["finish_reason"]), ("chat.completion", "tool_calls"))
        self.assertEqual([call["function"]["name"] for call in message["tool_calls"]], ["weather", "clock"])
        self.assertEqual(json.loads(message["tool_calls"][0]["function"]["arguments"]), {"place": 'a "word"'})
        self.assertEqual(message["reasoning_content"], "thought thought")
        self.assertEqual(answer["usage"]["completion_tokens_details"], {"reasoning_tokens": 2})
        sent = self.sent()
        self.assertEqual(sent["system"], [{"type": "text", "text": "be brief"}])
        self.assertEqual(sent["messages"][0]["content"][1],
                         {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
        self.assertEqual(sent["tool_choice"], {"type": "auto", "disable_parallel_tool_use": True})
        self.assertEqual((sent["thinking"]["type"], sent["output_config"]), ("adaptive", {"effort": "low"}))

    def test_tools_and_an_image_streamed(self):
        chunks, end = self.stream("calls", SEEN, tools=[WEATHER, CLOCK], reasoning_effort="low",
                                  stream_options={"include_usage": True})
        self.assertEqual(end, "[DONE]")
        self.assertEqual(len({chunk["id"] for chunk in chunks}), 1)
        self.assertEqual([chunk["object"] for chunk in chunks], ["chat.completion.chunk"] * len(chunks))
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        self.assertEqual(deltas[0]["role"], "assistant")
        self.assertEqual("".join(delta.get("reasoning_content", "") for delta in deltas), "thought thought")
        self.assertEqual(len("".join(delta.get("content", "") for delta in deltas).split()), 2)
        calls = {}
        for piece in [piece for delta in deltas for piece in delta.get("tool_calls", [])]:
            call = calls.setdefault(piece["index"], {"name": "", "arguments": ""})
            for member, text in piece["function"].items():
                call[member] += text
        self.assertEqual(calls, {0: {"name": "weather", "arguments": '{"place":"a \\"word\\""}'}, 1: {"name": "clock", "arguments": "{}"}})
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1], "tool_calls")
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 4)

    def test_a_turn_goes_back(self):
        """Results of tools follow their calls, and what was thought comes back with its signature: the provider checks both."""
        for stream in (False, True):
            with self.subTest(stream=stream):
                if stream:
                    chunks, _ = self.stream("old-thinker", tools=[WEATHER, CLOCK], reasoning_effort="low")
                    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
                    ids = [piece["id"] for delta in deltas for piece in delta.get("tool_calls", []) if "id" in piece]
                    said = {"role": "assistant", "content": None,
                            "thinking_blocks": [block for delta in deltas for block in delta.get("thinking_blocks", [])],
                            "tool_calls": [{"id": one, "type": "function", "function": {"name": name, "arguments": "{}"}}
                                           for one, name in zip(ids, ("weather", "clock"))]}
                else:
                    said = self.chat("old-thinker", tools=[WEATHER, CLOCK], reasoning_effort="low")["choices"][0]["message"]
                told = [{"role": "tool", "tool_call_id": call["id"], "content": "mild"} for call in said["tool_calls"]]
                self.chat("good", [USER, said, *told, USER], tools=[WEATHER, CLOCK], reasoning_effort="low")
                messages = self.sent()["messages"]
                self.assertEqual([message["role"] for message in messages], ["user", "assistant", "user"])
                self.assertEqual([block["type"] for block in messages[1]["content"]], ["thinking", "tool_use", "tool_use"])
                self.assertEqual([block["type"] for block in messages[2]["content"]], ["tool_result", "tool_result", "text"])

    def test_a_turn_without_its_thoughts(self):
        """Most clients keep none: then nothing is thought in the next turn, which the provider would refuse."""
        said = self.chat("old-thinker", tools=[WEATHER, CLOCK], reasoning_effort="low")["choices"][0]["message"]
        del said["thinking_blocks"]
        told = [{"role": "tool", "tool_call_id": call["id"], "content": "mild"} for call in said["tool_calls"]]
        self.chat("good", [USER, said, *told], tools=[WEATHER, CLOCK], reasoning_effort="low")
        self.assertNotIn("thinking", self.sent())

    def test_the_cache_is_counted_in(self):
        answer = self.chat("good")
        self.assertEqual(answer["usage"], {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5,
                                           "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0}})

    def test_text_is_kept(self):
        text = 'a "b" \\ ü 😀 \n line'
        self.assertEqual(self.chat("echo", [{"role": "user", "content": text}])["choices"][0]["message"]["content"], text)
        chunks, _ = self.stream("echo", [{"role": "user", "content": text}])
        self.assertEqual("".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks), text)

    def test_a_schema(self):
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
        self.chat("good", response_format={"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}})
        self.assertEqual(self.sent()["output_config"], {"format": {"type": "json_schema", "schema": schema}})

    def test_ends(self):
        self.assertEqual(self.chat("good", max_tokens=2)["choices"][0]["finish_reason"], "length")
        self.assertEqual(self.chat("unsafe")["choices"][0]["finish_reason"], "content_filter")
        self.assertEqual(self.stream("unmarked")[1], "[DONE]")
        self.assertNotIn("usage", self.chat("uncounted"))


class Failures(Anthropic):
    def test_each_error(self):
        for model, status, words in [
                ("limited", 429, "rate limit"), ("busy", 503, "Overloaded"), ("unpaid", 502, "credit balance"),
                ("long", 400, "prompt is too long"), ("filtered", 400, "content filtering policy"), ("gone", 503, "model:"),
                ("badkey", 502, "invalid x-api-key")]:
            for stream in (False, True):
                with self.subTest(model, stream=stream):
                    got, error, response = self.refused(model, stream=stream)
                    self.assertEqual(got, status, error)
                    self.assertIn(words, error["message"])
                    if model == "limited":
                        self.assertEqual(response.headers["retry-after"], "7")
                    if model == "busy":
                        self.assertIn("(request req_mock", error["message"])

    def test_what_it_can_not_be_told(self):
        """Refused by name; the provider hears nothing of it."""
        before = self.mock.stats()["requests"]
        for members, param in [({"logprobs": True}, "logprobs"), ({"n": 2}, "n"), ({"bogus": 1}, "bogus"),
                               ({"response_format": {"type": "json_object"}}, "response_format"),
                               ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "messages[0].tool_call_id")]:
            with self.subTest(param):
                status, error, _ = self.refused("good", **members)
                self.assertEqual((status, error["param"]), (400, param), error)
        self.assertEqual(self.mock.stats()["requests"], before)

    def test_a_stream_breaks(self):
        for model in ("rude", "half"):
            with self.subTest(model):
                chunks, end = self.stream(model)
                self.assertTrue(chunks)
                self.assertEqual(json.loads(end)["error"]["type"], "server_error")

    def test_no_embeddings(self):
        response = self.post({"model": "good", "input": "x"}, "/v1/embeddings")
        self.assertGreaterEqual(response.status, 400)
        self.assertIn("error", json.loads(response.read()))


if __name__ == "__main__":
    harness.main()
