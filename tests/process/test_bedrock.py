#!/usr/bin/python3
"""Bedrock through the whole chain: HTTP, gateway, coordinator, manager, adapter, and a provider that checks each signature."""

import http.client
import json
import os
import sys

import harness

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402

ID, SECRET, TOKEN = "AKIDOFTHETEST", "secret/never+to/be+seen", "token/never+to/be+seen=="
CLAUDE = "eu.anthropic.claude-3-7-sonnet-20250219-v1:0"
USER = {"role": "user", "content": "say it"}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "tells the weather", "parameters": {
    "type": "object", "required": ["place"], "properties": {"place": {"type": "string"}, "days": {"type": "integer"}}}}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
# name of the model: (knobs in its base URL, name at the provider)
MODELS = {"good": ("tokens=3", CLAUDE), "arn": ("tokens=3", "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/x"),
          "calls": ("tokens=1,calls=2", CLAUDE), "thinks": ("tokens=1,thoughts=2,calls=1", CLAUDE), "cached": ("tokens=1,cached=90", CLAUDE),
          "guarded": ("tokens=1,finish=guardrail_intervened", CLAUDE), "limited": ("status=429,retry_after=7", CLAUDE),
          "early": ("error_in_stream=0,status=429", CLAUDE), "late": ("tokens=5,error_in_stream=2,code=ModelStreamErrorException", CLAUDE),
          "damaged": ("tokens=5,bad_checksum=1", CLAUDE), "unfinished": ("tokens=2,no_done", CLAUDE), "long": ("code=context_length_exceeded", CLAUDE),
          # by InvokeModel, in Anthropic's words
          "own": ("tokens=3", CLAUDE), "own-calls": ("tokens=1,calls=2", CLAUDE), "own-late": ("tokens=5,error_in_stream=2", CLAUDE),
          "own-damaged": ("tokens=5,bad_checksum=1", CLAUDE)}


class Bedrock(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", f"{ID}:{SECRET}:{TOKEN}")
        self.addCleanup(self.mock.__exit__)
        self.port = harness.free_port()
        self.write_key("aws", f"[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n")
        self.write_key("wrong", f"AWS_ACCESS_KEY_ID={ID}\nAWS_SECRET_ACCESS_KEY={SECRET[::-1]}\nAWS_SESSION_TOKEN={TOKEN}\n")
        self.write_key("half", f"aws_access_key_id = {ID}\n")
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        environment = {"PONS_CONFIG": config}
        for name in ("request_coordinator", "model_manager_suite", "remote_api_adapter"):
            self.start_agent(name, environment=environment)
        self.start("pons-gateway", "--endpoint", self.endpoint, environment=environment)
        self.asker = self.client()
        for service in ("RemoteApiAdapter", "ModelManagerSuite", "RequestCoordinator"):
            self.wait_service(self.asker, service)

    def write_key(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(text)

    def configuration(self):
        providers, models = [], []

        def add(name, knobs, upstream, key="aws", more=""):
            url = self.mock.base_url + (f"/mock/{knobs}" if knobs else "")
            dialect = "bedrock_invoke" if name.startswith("own") else "bedrock"
            providers.append(f"  - {{name: p-{name}, dialect: {dialect}, region: eu-central-1, base_url: '{url}', key: {{file: {key}}}, attempts: 1}}\n")
            models.append(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}, upstream: '{upstream}', context_tokens: 200000,"
                          f" input_usd: '1', output_usd: '2', cached_usd: '0.1'{more}}}\n")

        for name, (knobs, upstream) in MODELS.items():
            add(name, knobs, upstream)
        add("badkey", "", CLAUDE, "wrong")
        add("halfkey", "", CLAUDE, "half")
        add("vectors", "", "amazon.titan-embed-text-v2:0", more=", kind: embedding")
        return (f"gateway: {{listen: ['tcp://127.0.0.1:{self.port}']}}\nproviders:\n" + "".join(providers) + "models:\n" + "".join(models))

    # --- asking ---

    def post(self, model, path="/v1/chat/completions", **members):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.DEADLINE_S)
        self.addCleanup(connection.close)
        chat = {"messages": [USER]} if path.endswith("completions") else {}
        connection.request("POST", path, json.dumps({"model": model, **chat, **members}),
                           {"Content-Type": "application/json"})
        return connection.getresponse()

    def chat(self, model, **members):
        answer = self.post(model, **members)
        body = answer.read()
        self.assertEqual(answer.status, 200, body)
        return json.loads(body)

    def stream(self, model, **members):
        """The chunks of a stream, and whether it ended as one should."""
        answer = self.post(model, stream=True, **members)
        self.assertEqual(answer.status, 200)
        try:
            text = answer.read().decode()
        except http.client.IncompleteRead as cut:
            text = cut.partial.decode()
        parts = text.split("\n\n")
        return [json.loads(part[6:]) for part in parts if part.startswith("data: {")], "data: [DONE]" in parts

    def refused(self, model, status, **members):
        answer = self.post(model, **members)
        body = json.loads(answer.read())
        self.assertEqual(answer.status, status, body)
        return answer.headers, body["error"]

    def sent(self):
        return json.loads(self.mock.stats()["last_request"]["body"])


class Answers(Bedrock):
    def test_plain(self):
        reply = self.chat("good", messages=[{"role": "system", "content": "be brief"}, USER], temperature=0.5, max_tokens=50, stop="END")
        choice = reply["choices"][0]
        self.assertEqual((reply["object"], reply["model"], choice["finish_reason"]), ("chat.completion", CLAUDE, "stop"))
        self.assertEqual(len(choice["message"]["content"].split()), 3)
        self.assertEqual({name: reply["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
                         {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7})
        self.assertEqual(self.sent(), {"messages": [{"role": "user", "content": [{"text": "say it"}]}], "system": [{"text": "be brief"}],
                                       "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]}})
        self.assertTrue(self.mock.stats()["last_request"]["path"].endswith("/model/eu.anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse"))
        self.assertEqual(len(self.chat("arn")["choices"]), 1)

    def test_stream(self):
        chunks, done = self.stream("good", stream_options={"include_usage": True})
        self.assertTrue(done)
        self.assertEqual({(chunk["id"], chunk["object"], chunk["model"]) for chunk in chunks},
                         {(chunks[0]["id"], "chat.completion.chunk", CLAUDE)})
        self.assertEqual(chunks[0]["choices"][0]["delta"]["role"], "assistant")
        self.assertEqual(len("".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]).split()), 3)
        self.assertEqual(chunks[-2]["choices"][0]["finish_reason"], "stop")
        self.assertEqual((chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]), ([], 5))
        chunks, done = self.stream("good")
        self.assertTrue(done and all(chunk["choices"] for chunk in chunks), "the usage was not asked for")

    def test_tools_and_an_image(self):
        """Two calls, plain and as a stream, and the results of the calls in the next turn."""
        messages = [{"role": "user", "content": [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": PIXEL}}]}]
        members = {"messages": messages, "tools": [WEATHER], "tool_choice": "auto"}
        reply = self.chat("calls", **members)
        message = reply["choices"][0]["message"]
        self.assertEqual(reply["choices"][0]["finish_reason"], "tool_calls")
        self.assertEqual([json.loads(call["function"]["arguments"])["days"] for call in message["tool_calls"]], [7, 7])
        self.assertEqual(self.sent()["messages"][0]["content"][1], {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}})
        chunks, done = self.stream("calls", **members)
        self.assertTrue(done)
        calls = {}
        for call in (call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())):
            kept = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
            kept["id"] += call.get("id", "")
            for name in ("name", "arguments"):
                kept[name] += call["function"].get(name, "")
        self.assertEqual([(call["name"], json.loads(call["arguments"])["place"]) for call in calls.values()], [("weather", 'a "word"')] * 2)
        messages += [message] + [{"role": "tool", "tool_call_id": call["id"], "content": "rain"} for call in message["tool_calls"]]
        self.chat("good", messages=messages, tools=[WEATHER])
        self.assertEqual([list(block) for block in self.sent()["messages"][2]["content"]], [["toolResult"]] * 2)

    def test_thoughts_go_back_unchanged(self):
        members = {"reasoning_effort": "low", "max_tokens": 4000, "tools": [WEATHER]}
        message = self.chat("thinks", **members)["choices"][0]["message"]
        self.assertEqual(self.sent()["additionalModelRequestFields"], {"thinking": {"type": "enabled", "budget_tokens": 2048}})
        self.assertEqual((message["reasoning_content"], message["thinking_blocks"][0]["signature"][:4]), ("thought1 thought2", "c2ln"))
        turn = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "rain"}
        self.chat("good", messages=[USER, message, turn], **members)
        self.assertEqual(list(self.sent()["messages"][1]["content"][0]), ["reasoningContent"])
        chunks, done = self.stream("thinks", **members)
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        self.assertTrue(done)
        self.assertEqual("".join(delta.get("reasoning_content", "") for delta in deltas), "thought1 thought2")
        self.assertEqual([delta["thinking_blocks"][0]["thinking"] for delta in deltas if "thinking_blocks" in delta], ["thought1 thought2"])

    def test_what_came_from_a_cache(self):
        usage = self.chat("cached")["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]), (92, 90))

    def test_embeddings(self):
        reply = self.post("vectors", "/v1/embeddings", input="a b c", dimensions=256)
        reply = json.loads(reply.read())
        self.assertEqual((len(reply["data"][0]["embedding"]), reply["usage"]["prompt_tokens"]), (256, 3))
        self.assertEqual(self.sent(), {"inputText": "a b c", "dimensions": 256})

    def test_a_guardrail(self):
        self.assertEqual(self.chat("guarded")["choices"][0]["finish_reason"], "content_filter")


class Failures(Bedrock):
    def test_refused(self):
        headers, error = self.refused("limited", 429)
        self.assertEqual((headers["Retry-After"], error["code"]), ("7", "ThrottlingException"), error)
        self.assertEqual(self.refused("long", 400)[1]["code"], "ValidationException")
        self.assertEqual(self.refused("good", 400, logit_bias={"1": 1})[1]["param"], "logit_bias")
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]
        self.assertEqual(self.refused("good", 400, messages=image)[1]["param"], "messages[0].content[0].image_url.url")

    def test_keys(self):
        self.assertIn("signature", self.refused("badkey", 502)[1]["message"])
        self.assertIn("aws_secret_access_key", self.refused("halfkey", 502)[1]["message"])
        self.assertEqual(self.mock.stats()["requests"], 1, "without a secret nothing is sent")

    def test_a_key_that_is_replaced(self):
        """All three parts of it are new at once, in the adapter that runs: it looks when the old one is refused."""
        self.assertIn("signature", self.refused("badkey", 502)[1]["message"])
        self.write_key("new", f"aws_access_key_id={ID}\naws_secret_access_key={SECRET}\naws_session_token={TOKEN}\n")
        os.replace(os.path.join(self.folder, "new"), os.path.join(self.folder, "wrong"))
        self.assertEqual(len(self.chat("badkey")["choices"]), 1)

    def test_streams(self):
        """Before the first piece it is a failure like any other; behind it a stream that never ends as a success."""
        answer = self.post("early", stream=True)
        self.assertEqual(answer.status, 429, answer.read())
        for model in ("late", "unfinished"):
            with self.subTest(model):
                chunks, done = self.stream(model)
                self.assertTrue(chunks and not done)
        self.assertIn("checksum", json.loads(self.post("damaged", stream=True).read())["error"]["message"])

    def test_no_secret_is_seen(self):
        self.chat("good")
        self.refused("badkey", 502)
        for folder, _, names in os.walk(self.folder):
            for name in set(names) - {"aws", "wrong", "half"}:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        text = file.read()
                    for secret in (SECRET, SECRET[::-1], TOKEN):
                        self.assertNotIn(secret.encode(), text, path)


class InvokeModel(Bedrock):
    """Claude in its own words; each signature is checked."""

    def test_plain_and_streamed(self):
        answer = self.chat("own", top_k=5, messages=[{"role": "user", "content": [{"type": "text", "text": "say it", "cache_control": {"type": "ephemeral"}}]}])
        self.assertEqual(len(answer["choices"][0]["message"]["content"].split()), 3)
        self.assertEqual(answer["usage"]["completion_tokens"], 3)
        request = self.mock.stats()["last_request"]
        self.assertTrue(request["path"].endswith("/invoke"), request["path"])
        body = json.loads(request["body"])
        self.assertEqual((body["anthropic_version"], body["top_k"]), ("bedrock-2023-05-31", 5))
        self.assertEqual(body["messages"][0]["content"][0]["cache_control"], {"type": "ephemeral"})
        self.assertFalse({"model", "stream"} & set(body))
        chunks, whole = self.stream("own", stream_options={"include_usage": True})
        self.assertTrue(whole)
        self.assertEqual(len("".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]).split()), 3)
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 3)
        self.assertTrue(self.mock.stats()["last_request"]["path"].endswith("/invoke-with-response-stream"))

    def test_calls(self):
        message = self.chat("own-calls", tools=[WEATHER])["choices"][0]["message"]
        self.assertEqual([call["function"]["name"] for call in message["tool_calls"]], ["weather", "weather"])

    def test_what_breaks_is_no_success(self):
        self.assertFalse(self.stream("own-late")[1])
        self.assertEqual(self.post("own-damaged", stream=True).status, 502, "before the first piece it is a plain error")

    def test_refusals(self):
        answer = self.post("own", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}])
        self.assertEqual((answer.status, json.loads(answer.read())["error"]["param"]), (400, "messages"))


if __name__ == "__main__":
    harness.main()
