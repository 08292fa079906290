#!/usr/bin/python3
"""The mock provider's dialect of Bedrock over real sockets: test_bedrock.py PROGRAM. What it answers, what it refuses, its knobs."""

import hashlib
import hmac
import json
import struct
import sys
import time
import unittest
import urllib.parse
import zlib

sys.dont_write_bytecode = True

from mock_client import Mock  # noqa: E402

PROGRAM = ""
ID, SECRET, TOKEN = "AKIDTEST", "secret/of+the/test", "token+of/the=test"
USER = {"role": "user", "content": [{"text": "say it"}]}
WEATHER = {"toolSpec": {"name": "weather", "description": "tells the weather", "inputSchema": {"json": {
    "type": "object", "required": ["place"], "properties": {
        "place": {"type": "string"}, "days": {"type": "integer"}, "unit": {"type": "string", "enum": ["C", "F"]}}}}}}
CLOCK = {"toolSpec": {"name": "clock", "inputSchema": {"json": {"type": "object"}}}}
CALL = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "clock", "input": {}}}]}
TOLD = {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "noon"}]}}]}
PIXEL = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign(path, body, at=None, secret=SECRET, access=ID, token="", service="bedrock", names=("content-type", "host", "x-amz-date")):
    """The headers of a signed request."""
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    headers = {"content-type": "application/json", "host": "mock", "x-amz-date": date}
    if token:
        headers["x-amz-security-token"] = token
        names += ("x-amz-security-token",)
    canonical = "\n".join(["POST", urllib.parse.quote(path, safe="/-_.~"), "", *(f"{name}:{headers[name]}" for name in names), "",
                           ";".join(names), hashlib.sha256(body).hexdigest()])
    scope = f"{date[:8]}/eu-central-1/{service}/aws4_request"
    key = b"AWS4" + secret.encode()
    for step in scope.split("/"):
        key = mac(key, step)
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    proof = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={';'.join(names)}, Signature={mac(key, text).hex()}"
    return [f"X-Amz-Date: {date}", f"Authorization: {proof}"] + ([f"X-Amz-Security-Token: {token}"] if token else [])


def messages_of(data):
    """The messages of an event stream: their headers and payload."""
    found = []
    while data:
        size, headers_size, checksum = struct.unpack(">III", data[:12])
        assert checksum == zlib.crc32(data[:8]), "prelude"
        assert struct.unpack(">I", data[size - 4:size])[0] == zlib.crc32(data[:size - 4]), "message"
        headers, rest = {}, data[12:12 + headers_size]
        while rest:
            name = rest[1:1 + rest[0]].decode()
            kind, length = struct.unpack(">BH", rest[1 + rest[0]:4 + rest[0]])
            assert kind == 7
            headers[name] = rest[4 + len(name):4 + len(name) + length].decode()
            rest = rest[4 + len(name) + length:]
        found.append((headers, data[12 + headers_size:size - 4].decode()))
        data = data[size:]
    return found


class Case(unittest.TestCase):
    KEY = None

    @classmethod
    def setUpClass(cls):
        cls.mock = Mock(PROGRAM, *(("--key", cls.KEY) if cls.KEY else ()))
        cls.addClassCleanup(cls.mock.__exit__)

    def ask(self, operation, body, knobs="", model="m", headers=()):
        prefix = f"/mock/{knobs}" if knobs else ""
        return self.mock.ask("POST", f"{prefix}/model/{urllib.parse.quote(model, safe='')}/{operation}", body, headers)

    def converse(self, knobs="", **members):
        return self.ask("converse", {"messages": [USER], **members}, knobs)

    def events(self, knobs="", **members):
        """The events of a stream as (type, payload)."""
        answer = self.ask("converse-stream", {"messages": [USER], **members}, knobs)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/vnd.amazon.eventstream"), answer.body)
        events = []
        for headers, payload in messages_of(answer.body):
            self.assertEqual((headers[":message-type"], headers[":content-type"]), ("event", "application/json"))
            payload = json.loads(payload)
            payload.pop("p", None)
            events.append((headers[":event-type"], payload))
        return events

    def refused(self, answer, words, status=400, kind="ValidationException"):
        self.assertEqual((answer.status, answer.headers.get("x-amzn-errortype", "").split(":")[0]), (status, kind), answer.body)
        self.assertIn(words, answer.json()["message"])


class Answers(Case):
    def test_plain(self):
        answer = self.converse(system=[{"text": "be brief"}], inferenceConfig={"temperature": 0.5})
        reply = answer.json()
        self.assertEqual(reply["output"]["message"]["role"], "assistant")
        self.assertEqual(len(reply["output"]["message"]["content"][0]["text"].split()), 8)
        self.assertEqual((reply["stopReason"], reply["metrics"]["latencyMs"]), ("end_turn", 0))
        usage = reply["usage"]
        self.assertEqual((usage["inputTokens"], usage["outputTokens"], usage["totalTokens"]), (4, 8, 12))
        self.assertRegex(answer.headers["x-amzn-requestid"], "^[0-9a-f-]{36}$")

    def test_stream(self):
        events = self.events("tokens=3,echo", messages=[{"role": "user", "content": [{"text": 'a "b" ü'}]}])
        self.assertEqual([kind for kind, _ in events],
                         ["messageStart", *["contentBlockDelta"] * 3, "contentBlockStop", "messageStop", "metadata"])
        self.assertEqual([payload["delta"]["text"] for kind, payload in events if kind == "contentBlockDelta"], ["a", ' "b"', " ü"])
        self.assertEqual((events[0][1], events[-2][1]), ({"role": "assistant"}, {"stopReason": "end_turn"}))
        self.assertEqual(events[-1][1]["usage"]["totalTokens"], 6)

    def test_limit(self):
        reply = self.converse(inferenceConfig={"maxTokens": 3}).json()
        self.assertEqual((reply["stopReason"], reply["usage"]["outputTokens"]), ("max_tokens", 3))

    def test_tools(self):
        config = {"tools": [CLOCK, WEATHER], "toolChoice": {"any": {}}}
        content = self.converse("calls=2,tokens=0", toolConfig=config).json()["output"]["message"]["content"]
        self.assertEqual([block["toolUse"]["name"] for block in content], ["clock", "weather"])
        self.assertEqual(content[1]["toolUse"]["input"], {"place": 'a "word"', "days": 7, "unit": "C"})
        events = self.events("calls=2,tokens=1", toolConfig=config)
        starts = [payload for kind, payload in events if kind == "contentBlockStart"]
        self.assertEqual([(p["contentBlockIndex"], p["start"]["toolUse"]["name"]) for p in starts], [(1, "clock"), (2, "weather")])
        inputs = {}
        for kind, payload in events:
            if "toolUse" in payload.get("delta", ()):
                inputs.setdefault(payload["contentBlockIndex"], []).append(payload["delta"]["toolUse"]["input"])
        self.assertEqual([json.loads("".join(inputs[i])) for i in (1, 2)], [{}, content[1]["toolUse"]["input"]])
        self.assertEqual(events[-2], ("messageStop", {"stopReason": "tool_use"}))
        self.assertEqual(self.converse(messages=[USER, CALL, TOLD], toolConfig=config).status, 200)

    def test_thoughts(self):
        fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        content = self.converse("thoughts=2", additionalModelRequestFields=fields).json()["output"]["message"]["content"]
        thought = content[0]["reasoningContent"]["reasoningText"]
        self.assertEqual((thought["text"], thought["signature"][:4]), ("thought1 thought2", "c2ln"))
        deltas = [payload for kind, payload in self.events("thoughts=2,tokens=1") if kind == "contentBlockDelta"]
        self.assertEqual([list(p["delta"].get("reasoningContent", p["delta"])) for p in deltas], [["text"], ["signature"], ["text"]])
        self.assertEqual([p["contentBlockIndex"] for p in deltas], [0, 0, 1])
        turn = {"role": "assistant", "content": [content[0], {"text": "so"}]}
        self.assertEqual(self.converse(messages=[USER, turn, USER]).status, 200)
        thought["signature"] = "forged"
        self.refused(self.converse(messages=[USER, turn, USER]), "Invalid `signature`")

    def test_cache(self):
        usage = self.converse("cached=100").json()["usage"]
        self.assertEqual((usage["inputTokens"], usage["cacheReadInputTokens"], usage["totalTokens"]), (2, 100, 110))

    def test_images_and_documents(self):
        document = {"document": {"format": "pdf", "name": "a b", "source": {"bytes": "JVBERi0="}}}
        self.assertEqual(self.converse(messages=[{"role": "user", "content": [PIXEL, document, {"text": "x"}]}]).status, 200)

    def test_titan(self):
        answer = self.ask("invoke", {"inputText": "one two three", "dimensions": 256}, model="amazon.titan-embed-text-v2:0")
        self.assertEqual((len(answer.json()["embedding"]), answer.json()["inputTextTokenCount"]), (256, 3))
        self.assertEqual(answer.headers["x-amzn-bedrock-input-token-count"], "3")
        for body in ({"inputText": ""}, {"inputText": "x", "dimensions": 7}, {"inputText": "x", "wonders": 1}):
            self.refused(self.ask("invoke", body, model="amazon.titan-embed-text-v2:0"), "Malformed input request")

    def test_cohere(self):
        body = {"texts": ["a b", "c"], "input_type": "search_document"}
        answer = self.ask("invoke", body, model="cohere.embed-english-v3")
        self.assertEqual((len(answer.json()["embeddings"]), answer.headers["x-amzn-bedrock-input-token-count"]), (2, "3"))
        for wrong in ({**body, "texts": []}, {"texts": ["a"]}, {**body, "wonders": 1}):
            self.refused(self.ask("invoke", wrong, model="cohere.embed-english-v3"), "Malformed input request")

    def test_an_id_with_slashes(self):
        self.assertEqual(self.ask("converse", {"messages": [USER]}, model="arn:aws:bedrock:eu:1:inference-profile/m").status, 200)


class Refusals(Case):
    def test_turns(self):
        blank, assistant = {"role": "user", "content": [{"text": " "}]}, {"role": "assistant", "content": [{"text": "x"}]}
        config = {"tools": [CLOCK]}
        for messages, more, words in [
                ([assistant], {}, "must start with a user message"), ([USER, USER], {}, "must alternate"),
                ([blank], {}, "is blank"), ([USER, CALL, TOLD], {}, "toolConfig field must be defined"),
                ([USER, CALL, USER], {"toolConfig": config}, "Expected toolResult blocks at messages.2.content for the following Ids: t1"),
                ([TOLD], {"toolConfig": config}, "exceeds the number of toolUse blocks"),
                ([USER, {"role": "assistant", "content": [PIXEL]}], {}, "not allowed for the role"),
                ([{"role": "user", "content": [{"document": {"name": "x", "source": {"text": "y"}}}]}], {}, "must have a text block")]:
            with self.subTest(words):
                self.refused(self.converse(messages=messages, **more), words)

    def test_fields(self):
        spec = {"name": "a b", "inputSchema": {"json": {"type": "object"}}}
        for members, words in [
                ({"messages": []}, "'messages' failed to satisfy constraint: Member must have length greater"),
                ({"messages": None}, "'messages' failed to satisfy constraint: Member must not be null"),
                ({"messages": [{"role": "robot", "content": [{"text": "x"}]}]}, "enum value set: [user, assistant]"),
                ({"messages": [{"role": "user", "content": [{"text": "x", "image": PIXEL["image"]}]}]}, "exactly one member"),
                ({"messages": [{"role": "user", "content": [{"image": {"format": "bmp", "source": {"bytes": "AAAA"}}}]}]}, "format"),
                ({"inferenceConfig": {"temperature": 1.5}}, "'inferenceConfig.temperature' failed"),
                ({"inferenceConfig": {"maxTokens": 0}}, "'inferenceConfig.maxTokens' failed"),
                ({"inferenceConfig": {"stopSequences": [""]}}, "'inferenceConfig.stopSequences.0' failed"),
                ({"inferenceConfig": {"top_k": 1}}, "#/inferenceConfig: extraneous key [top_k]"),
                ({"wonders": 1}, "#: extraneous key [wonders]"), ({"toolConfig": {"tools": []}}, "'toolConfig.tools' failed"),
                ({"toolConfig": {"tools": [{"toolSpec": spec}]}}, "[a-zA-Z0-9_-]+"),
                ({"toolConfig": {"tools": [CLOCK], "toolChoice": {"tool": {"name": "x"}}}}, "not in toolConfig.tools"),
                ({"guardrailConfig": {"guardrailIdentifier": "g"}}, "guardrailVersion"), ({"requestMetadata": {"a": "b" * 257}}, "256"),
                ({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 5}}}, "1024"),
                ({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
                  "inferenceConfig": {"maxTokens": 2000}}, "must be greater than")]:
            with self.subTest(words):
                self.refused(self.converse(**members), words)
        self.refused(self.converse(inferenceConfig={"maxTokens": "x"}), "Unexpected field type", kind="SerializationException")
        self.assertEqual(self.converse("lax", wonders=1).status, 200)

    def test_requests(self):
        self.refused(self.mock.ask("POST", "/model/m/converse", b"{"), "JSON", kind="SerializationException")
        self.refused(self.ask("wonders", {}), "no such operation", 404, "UnknownOperationException")
        self.refused(self.mock.ask("GET", "/model/m/converse"), "no such operation", 404, "UnknownOperationException")
        with Mock(PROGRAM, "--models", "a:0,b") as mock:
            self.assertEqual(mock.ask("POST", "/model/a%3A0/converse", {"messages": [USER]}).status, 200)
            self.refused(mock.ask("POST", "/model/c/converse", {"messages": [USER]}), "model identifier is invalid")


class Signatures(Case):
    KEY = f"{ID}:{SECRET}"
    BODY = json.dumps({"messages": [USER]}).encode()
    PATH = "/mock/tokens=2/model/anthropic.claude%3A0/converse"

    def signed(self, path=PATH, body=BODY, sent=None, **how):
        return self.mock.ask("POST", sent or path, body, sign(path, body, **how))

    def test_good(self):
        self.assertEqual(self.signed(**({"token": TOKEN} if TOKEN in self.KEY else {})).status, 200)

    def test_bad(self):
        token = {"token": TOKEN} if TOKEN in self.KEY else {}
        for how, kind in [({"secret": "wrong"}, "InvalidSignatureException"), ({"access": "AKIDOTHER"}, "UnrecognizedClientException"),
                          ({"at": time.time() - 600}, "InvalidSignatureException"), ({"at": time.time() + 600}, "InvalidSignatureException"),
                          ({"service": "bedrock-runtime"}, "InvalidSignatureException"),
                          ({"names": ("content-type", "x-amz-date")}, "InvalidSignatureException"),
                          ({"sent": self.PATH.replace("%3A", ":")}, "InvalidSignatureException")]:
            with self.subTest(how):
                self.refused(self.signed(**{**token, **how}), "", 403, kind)
        headers = sign(self.PATH, self.BODY, **token)
        self.refused(self.mock.ask("POST", self.PATH, self.BODY + b" ", headers), "does not match", 403, "InvalidSignatureException")
        self.refused(self.mock.ask("POST", self.PATH, self.BODY), "Missing", 403, "MissingAuthenticationTokenException")
        self.refused(self.mock.ask("POST", self.PATH, self.BODY, ["Authorization: AWS4-HMAC-SHA256 x"]), "requires", 403,
                     "IncompleteSignatureException")

    def test_secrets_are_not_shown(self):
        self.signed(token=TOKEN)
        self.assertNotIn(TOKEN, json.dumps(self.mock.stats()))


class Tokens(Signatures):
    KEY = f"{ID}:{SECRET}:{TOKEN}"

    def test_token(self):
        self.refused(self.signed(token="another"), "security token", 403, "UnrecognizedClientException")
        self.refused(self.signed(), "security token", 403, "UnrecognizedClientException")
        headers = [*sign(self.PATH, self.BODY), f"X-Amz-Security-Token: {TOKEN}"]
        self.refused(self.mock.ask("POST", self.PATH, self.BODY, headers), "SignedHeader", 403, "InvalidSignatureException")


class Bearer(Case):
    KEY = "bedrock-api-key-x"

    def test_key(self):
        body = {"messages": [USER]}
        self.assertEqual(self.mock.ask("POST", "/model/m/converse", body, [f"Authorization: Bearer {self.KEY}"]).status, 200)
        self.refused(self.mock.ask("POST", "/model/m/converse", body, ["Authorization: Bearer x"]), "API Key", 403, "AccessDeniedException")


class Knobs(Case):
    def test_errors(self):
        for knobs, status, kind in [
                ("status=429,retry_after=7", 429, "ThrottlingException"), ("status=500", 500, "InternalServerException"),
                ("status=503", 503, "ServiceUnavailableException"), ("status=424", 424, "ModelErrorException"),
                ("code=insufficient_quota", 400, "ServiceQuotaExceededException"), ("code=model_not_found", 404, "ResourceNotFoundException"),
                ("code=ModelTimeoutException", 408, "ModelTimeoutException"), ("code=rate_limit_exceeded", 429, "ThrottlingException"),
                ("status=401", 401, "ValidationException"), ("status=403", 403, "AccessDeniedException")]:
            with self.subTest(knobs):
                self.refused(self.converse(knobs), "", status, kind)
        self.assertEqual(self.converse("status=429,retry_after=7").headers["retry-after"], "7")
        self.refused(self.converse("code=context_length_exceeded"), "too long")
        self.refused(self.converse("wonders"), "no such knob")

    def stream(self, knobs):
        return self.ask("converse-stream", {"messages": [USER]}, knobs)

    def test_error_in_stream(self):
        for knobs, kind in [("", "internalServerException"), (",status=429", "throttlingException"), (",status=503", "serviceUnavailableException"),
                            (",code=ModelStreamErrorException", "modelStreamErrorException"), (",code=context_length_exceeded", "validationException")]:
            with self.subTest(knobs):
                headers, payload = messages_of(self.stream("error_in_stream=1" + knobs).body)[-1]
                self.assertEqual((headers[":message-type"], headers[":exception-type"]), ("exception", kind))
                self.assertIn("message", json.loads(payload))
        headers, payload = messages_of(self.stream("error_in_stream=1,code=Wonders").body)[-1]
        self.assertEqual((headers[":message-type"], headers[":error-code"], payload), ("error", "Wonders", ""))
        self.assertTrue(headers[":error-message"])

    def test_damage(self):
        payloads = [payload for _, payload in messages_of(self.stream("malformed=2").body)]
        self.assertRaises(json.JSONDecodeError, json.loads, payloads[2])
        with self.assertRaisesRegex(AssertionError, "message"):
            messages_of(self.stream("bad_checksum=2").body)
        self.assertRaises(json.JSONDecodeError, self.converse("malformed=1").json)

    def test_ends(self):
        self.assertEqual(self.events("no_done")[-1][0], "contentBlockStop")
        self.assertEqual(self.events("no_usage")[-1][0], "messageStop")
        self.assertNotIn("usage", self.converse("no_usage").json())
        self.assertEqual(self.converse("finish=guardrail_intervened").json()["stopReason"], "guardrail_intervened")
        self.assertEqual(self.events("finish=content_filtered")[-2][1], {"stopReason": "content_filtered"})
        self.assertFalse(self.stream("cut=2").whole)
        self.assertEqual(self.converse("seed=7").body, self.converse("seed=7").body)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
