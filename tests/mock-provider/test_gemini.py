#!/usr/bin/python3
"""The mock provider's dialect of Gemini over real sockets: test_gemini.py PROGRAM. What it answers, what it refuses, its knobs."""

import json
import sys
import unittest

sys.dont_write_bytecode = True

from mock_client import Mock  # noqa: E402

PROGRAM = ""
KEY = "key-of-the-test"
USER = {"role": "user", "parts": [{"text": "say it"}]}
WEATHER = {"name": "weather", "description": "tells the weather", "parameters": {
    "type": "OBJECT", "required": ["place"], "properties": {
        "place": {"type": "STRING"}, "days": {"type": "INTEGER"}, "unit": {"type": "STRING", "enum": ["C", "F"]}}}}
CLOCK = {"name": "clock"}
CALL = {"functionCall": {"name": "clock", "args": {}}}
TOLD = {"functionResponse": {"name": "clock", "response": {"output": "noon"}}}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mock = Mock(PROGRAM, "--key", KEY)
        cls.addClassCleanup(cls.mock.__exit__)

    def ask(self, method, body, knobs="", model="m", query="", key=KEY):
        prefix = f"/mock/{knobs}" if knobs else ""
        headers = [f"x-goog-api-key: {key}"] if key else []
        return self.mock.ask("POST", f"{prefix}/v1beta/models/{model}:{method}{query}", body, headers)

    def generate(self, knobs="", model="m", **members):
        return self.ask("generateContent", {"contents": [USER], **members}, knobs, model)

    def stream(self, knobs="", model="m", **members):
        return self.ask("streamGenerateContent", {"contents": [USER], **members}, knobs, model, "?alt=sse")

    def events(self, answer):
        parts = answer.body.decode().split("\r\n\r\n")
        self.assertEqual(parts.pop(), "")
        self.assertTrue(all(part.startswith("data: ") for part in parts), answer.body)
        return [json.loads(part[6:]) for part in parts]

    def parts(self, answer):
        return answer.json()["candidates"][0]["content"]["parts"]

    def refused(self, answer, words, code=400, status="INVALID_ARGUMENT"):
        got, error = answer.error()
        self.assertEqual((got, error["code"], error["status"]), (code, code, status), error)
        self.assertIn(words, error["message"])
        return error.get("details", [])


class Answers(Case):
    def test_plain(self):
        answer = self.generate(systemInstruction={"parts": [{"text": "be brief"}]})
        reply = answer.json()
        candidate = reply["candidates"][0]
        self.assertEqual((candidate["finishReason"], candidate["index"], candidate["content"]["role"]), ("STOP", 0, "model"))
        self.assertEqual(len(candidate["content"]["parts"][0]["text"].split()), 8)
        self.assertEqual(reply["usageMetadata"] | {"promptTokensDetails": []},
                         {"promptTokenCount": 2, "candidatesTokenCount": 8, "totalTokenCount": 10, "promptTokensDetails": []})
        self.assertEqual(reply["modelVersion"], "m")
        self.assertEqual(answer.headers["content-type"], "application/json; charset=UTF-8")

    def test_stream(self):
        answer = self.stream("tokens=3,echo=1", contents=[{"parts": [{"text": 'a "b" ü'}]}])
        self.assertEqual(answer.headers["content-type"], "text/event-stream")
        events = self.events(answer)
        self.assertEqual([e["candidates"][0]["content"]["parts"][0]["text"] for e in events], ["a", ' "b"', " ü", ""])
        self.assertEqual([e["candidates"][0].get("finishReason") for e in events], [None, None, None, "STOP"])
        self.assertEqual([e["usageMetadata"]["candidatesTokenCount"] for e in events], [1, 2, 3, 3])
        self.assertEqual(len({e["responseId"] for e in events}), 1)

    def test_stream_without_sse_is_one_list(self):
        answer = self.ask("streamGenerateContent", {"contents": [USER]}, "tokens=2")
        self.assertEqual(answer.headers["content-type"], "application/json; charset=UTF-8")
        self.assertEqual(len(answer.json()), 3)

    def test_limits_and_choices(self):
        reply = self.generate(generationConfig={"maxOutputTokens": 3, "candidateCount": 2}).json()
        self.assertEqual([c["finishReason"] for c in reply["candidates"]], ["MAX_TOKENS"] * 2)
        self.assertEqual(reply["usageMetadata"]["candidatesTokenCount"], 6)

    def test_both_spellings_are_taken(self):
        reply = self.generate(generation_config={"max_output_tokens": 2}).json()
        self.assertEqual(reply["usageMetadata"]["candidatesTokenCount"], 2)

    def test_calls(self):
        tools = [{"functionDeclarations": [WEATHER, CLOCK]}]
        parts = self.parts(self.generate("calls=3,tokens=0", tools=tools))
        self.assertEqual([part["functionCall"]["name"] for part in parts], ["weather", "clock", "weather"])
        self.assertEqual(parts[0]["functionCall"]["args"], {"place": "a word", "days": 7, "unit": "C"})
        self.assertNotIn("id", parts[0]["functionCall"])
        self.assertEqual(len(self.parts(self.generate("calls=1", tools=tools))), 2)
        self.assertEqual(len(self.parts(self.generate("calls=1"))), 1)
        config = {"functionCallingConfig": {"mode": "NONE"}}
        self.assertNotIn("functionCall", self.parts(self.generate("calls=1", tools=tools, toolConfig=config))[0])
        last = self.events(self.stream("calls=2", "gemini-3-pro", tools=tools))[-1]["candidates"][0]
        self.assertEqual(last["finishReason"], "STOP")
        parts = last["content"]["parts"]
        self.assertEqual(["thoughtSignature" in part for part in parts], [True, False])
        self.assertEqual(len({part["functionCall"]["id"] for part in parts}), 2)

    def test_thoughts_and_cache(self):
        reply = self.generate("thoughts=3,cached=1").json()
        self.assertEqual(reply["candidates"][0]["content"]["parts"][0], {"text": "thought thought thought", "thought": True})
        usage = reply["usageMetadata"]
        self.assertEqual((usage["thoughtsTokenCount"], usage["cachedContentTokenCount"], usage["totalTokenCount"]), (3, 1, 13))
        first = self.events(self.stream("thoughts=1"))[0]
        self.assertTrue(first["candidates"][0]["content"]["parts"][0]["thought"])

    def test_finish_and_block(self):
        self.assertEqual(self.generate("finish=SAFETY").json()["candidates"][0]["finishReason"], "SAFETY")
        self.assertEqual(self.events(self.stream("finish=RECITATION"))[-1]["candidates"][0]["finishReason"], "RECITATION")
        reply = self.generate("block=SAFETY").json()
        self.assertEqual((reply["promptFeedback"], "candidates" in reply), ({"blockReason": "SAFETY"}, False))
        events = self.events(self.stream("code=content_policy_violation"))
        self.assertEqual([e["promptFeedback"]["blockReason"] for e in events], ["PROHIBITED_CONTENT"])

    def test_embeddings(self):
        one = self.ask("embedContent", {"content": {"parts": [{"text": "a b"}]}, "outputDimensionality": 3}).json()
        self.assertEqual((len(one["embedding"]["values"]), one["usageMetadata"]["promptTokenCount"]), (3, 2))
        request = {"model": "models/m", "content": {"parts": [{"text": "a"}]}}
        two = self.ask("batchEmbedContents", {"requests": [request, request]}).json()
        self.assertEqual([len(e["values"]) for e in two["embeddings"]], [8, 8])
        self.refused(self.ask("batchEmbedContents", {"requests": [request | {"model": "models/other"}]}), "model name")
        self.refused(self.ask("batchEmbedContents", {"requests": [{"content": request["content"]}]}), "model name")
        self.refused(self.ask("batchEmbedContents", {"requests": []}), "at least 1")
        self.refused(self.ask("embedContent", {"content": {"parts": []}}), "content")
        self.refused(self.ask("embedContent", {"content": request["content"], "outputDimensionality": 4000}), "dimensionality")
        self.refused(self.ask("embedContent", {"content": request["content"], "title": "t"}), "title")

    def test_models(self):
        def get(path):
            return self.mock.ask("GET", "/v1beta/models" + path, headers=[f"x-goog-api-key: {KEY}"])
        self.assertEqual([m["name"] for m in get("").json()["models"]], ["models/mock-small", "models/mock-large"])
        self.assertEqual(get("/m").json()["name"], "models/m")


class Refused(Case):
    def test_keys(self):
        self.refused(self.ask("generateContent", {}, key=None), "unregistered", 403, "PERMISSION_DENIED")
        details = self.refused(self.ask("generateContent", {}, key="wrong"), "API key not valid")
        self.assertEqual(details[0]["reason"], "API_KEY_INVALID")
        self.assertEqual(self.ask("generateContent", {"contents": [USER]}, key=None, query=f"?key={KEY}").status, 200)
        stats = self.mock.stats()["last_request"]
        self.assertEqual(stats["query"], "(hidden)")
        answer = self.mock.ask("POST", "/v1beta/models/m:generateContent", {"contents": [USER]}, [f"Authorization: Bearer {KEY}"])
        self.refused(answer, "OAuth 2", 401, "UNAUTHENTICATED")

    def test_content_type_and_query(self):
        key = f"x-goog-api-key: {KEY}"
        answer = self.mock.ask("POST", "/v1beta/models/m:generateContent", {"contents": [USER]}, [key, "Content-Type: text/plain"])
        self.refused(answer, "Invalid JSON payload")
        for method, path in (("POST", "/m:generateContent?pageSize=2"), ("GET", "?wonder=1"), ("GET", "/m?pageSize=2")):
            answer = self.mock.ask(method, "/v1beta/models" + path, {"contents": [USER]} if method == "POST" else None, [key])
            self.refused(answer, "Cannot bind query parameter")
        self.assertEqual(self.mock.ask("GET", "/v1beta/models?pageSize=2&page=1&$alt=json", headers=[key]).status, 200)

    def test_paths(self):
        with Mock(PROGRAM, "--models", "there") as mock:
            answer = mock.ask("POST", "/v1beta/models/m:generateContent", {"contents": [USER]})
            self.refused(answer, "models/m is not found", 404, "NOT_FOUND")
            self.assertEqual(mock.ask("POST", "/v1beta/models/there:generateContent", {"contents": [USER]}).status, 200)
        self.refused(self.ask("sing", {}), "not supported for sing", 404, "NOT_FOUND")
        self.refused(self.mock.ask("GET", "/v1beta/models/m:generateContent", headers=[f"x-goog-api-key: {KEY}"]), "not found",
                     404, "NOT_FOUND")

    def test_what_has_no_field(self):
        for body, words, field in [
                ({"messages": []}, 'Unknown name "messages": Cannot find field.', None),
                ({"contents": [{"parts": [{"text": "x", "wonder": 1}]}]}, "at 'contents[0].parts[0]'", "contents[0].parts[0]"),
                ({"generationConfig": {"max_tokens": 1}}, 'Unknown name "max_tokens" at \'generation_config\'', "generation_config"),
                ({"generationConfig": {"temperature": "hot"}}, "'generation_config.temperature' (TYPE_FLOAT), \"hot\"",
                 "generation_config.temperature"),
                ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object"}}]}]}, "(TYPE_ENUM)",
                 "tools[0].function_declarations[0].parameters.type"),
                ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"additionalProperties": False}}]}]},
                 "additionalProperties", "tools[0].function_declarations[0].parameters"),
                ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "not base64!"}}]}]}, "(TYPE_BYTES)",
                 "contents[0].parts[0].inline_data.data"),
                ({"contents": [{"parts": [{"functionCall": {"name": "f", "args": "{}"}}]}]}, "(TYPE_MESSAGE)",
                 "contents[0].parts[0].function_call.args")]:
            with self.subTest(words):
                violation = self.refused(self.ask("generateContent", body), words)[0]["fieldViolations"][0]
                self.assertEqual(violation.get("field"), field)
        self.assertEqual(self.generate("lax", wonder=1).status, 200)
        for body in (b"{", b"[]"):
            self.refused(self.ask("generateContent", body), "Invalid JSON payload")

    def test_contents(self):
        def turns(*contents):
            return {"contents": list(contents)}
        model, told = {"role": "model", "parts": [CALL]}, {"role": "user", "parts": [TOLD]}
        for body, words in [
                ({}, "contents is not specified"), (turns(), "contents is not specified"),
                (turns({"role": "assistant", "parts": USER["parts"]}), "valid role"), (turns({"parts": []}), "must not be empty"),
                (turns({"parts": [{}]}), "must have one initialized"), (turns({"parts": [CALL | TOLD]}), "already set"),
                (turns({"parts": [{"inlineData": {"data": "QUJD"}}]}), "inline_data.mime_type"),
                (turns({"parts": [{"fileData": {"mimeType": "image/png"}}]}), "file_uri"),
                (turns(USER, {"role": "user", "parts": [CALL]}), "immediately after a user turn"),
                (turns(USER, model, USER), "number of function response parts"),
                (turns(USER, model), "comes immediately after a function call turn"),
                (turns(USER, told), "comes immediately after a function call turn"),
                (turns(USER, {"role": "model", "parts": [CALL, CALL]}, told), "number of function response parts"),
                (turns(USER, {"role": "model", "parts": [CALL | {"functionCall": {"name": "other"}}]}, told), "names and ids"),
                (turns(USER, {"role": "model", "parts": [{"functionCall": {"name": "clock", "id": "1"}}]}, told), "names and ids"),
                (turns({"parts": [{"text": "x", "thoughtSignature": "QUJD"}]}), "Corrupted")]:
            with self.subTest(words, body=body):
                self.refused(self.ask("generateContent", body), words)
        self.assertEqual(self.generate(contents=[USER, model, told]).status, 200)

    def test_signatures(self):
        def contents(part):
            return [USER, {"role": "model", "parts": [part]}, {"role": "user", "parts": [TOLD]}]
        self.refused(self.generate(model="gemini-3-pro", contents=contents(CALL)), "missing a thought_signature")
        for signature in ("c2lnAAAA", "skip_thought_signature_validator"):
            signed = contents(CALL | {"thoughtSignature": signature})
            self.assertEqual(self.generate(model="gemini-3-pro", contents=signed).status, 200)
        before = contents(CALL) + [USER]  # an earlier turn of the user's needs none
        self.assertEqual(self.generate(model="gemini-3-pro", contents=before).status, 200)

    def test_configuration(self):
        for config, words in [
                ({"temperature": 2.5}, "[0, 2]"), ({"topP": 1.5}, "[0, 1]"), ({"candidateCount": 9}, "[1, 8]"),
                ({"maxOutputTokens": 0}, "max_output_tokens"), ({"stopSequences": ["a"] * 6}, "[0, 5]"),
                ({"stopSequences": [""]}, "stop_sequences[0]"), ({"responseMimeType": "text/html"}, "allowed mimetypes"),
                ({"responseSchema": {"type": "STRING"}}, "only allowed when"),
                ({"thinkingConfig": {"thinkingLevel": "LOW"}}, "not supported for this model"),
                ({"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}, "only one of"),
                ({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}, "non-empty for OBJECT")]:
            with self.subTest(words):
                self.refused(self.generate(generationConfig=config), words)
        self.refused(self.generate(generationConfig={"responseMimeType": "application/json"},
                                   tools=[{"functionDeclarations": [CLOCK]}]), "is unsupported")

    def test_schemas(self):
        def tool(schema, **more):
            return [{"functionDeclarations": [{"name": "f", "parameters": schema, **more}]}]
        for schema, words in [
                ({}, "type: must be specified"), ({"type": "ARRAY"}, "items: missing field"),
                ({"type": "OBJECT", "properties": {}}, "non-empty"), ({"type": "INTEGER", "enum": ["1"]}, "enum: only allowed"),
                ({"type": "STRING", "format": "uuid"}, "format: only"),
                ({"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}}, "properties[a].items"),
                ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["b"]}, "property is not defined"),
                ({"anyOf": [{"type": "ARRAY"}]}, "any_of[0].items")]:
            with self.subTest(words):
                self.refused(self.generate(tools=tool(schema)), words)
        self.refused(self.generate(tools=tool({"type": "STRING"}, parametersJsonSchema={})), "together")

    def test_tools(self):
        def declared(*names):
            return [{"functionDeclarations": [{"name": name} for name in names]}]
        self.refused(self.generate(tools=declared("a b")), "Invalid function name")
        self.refused(self.generate(tools=declared("1a")), "Invalid function name")
        self.refused(self.generate(tools=declared("a" * 65)), "Invalid function name")
        self.refused(self.generate(tools=declared("a", "b", "a")), "Duplicate function declaration found")
        config = {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["a"]}}
        self.refused(self.generate(tools=declared("a"), toolConfig=config), "allowed_function_names")
        self.refused(self.generate(toolConfig={"functionCallingConfig": {"mode": "ANY"}}), "without function_declarations")


class Faults(Case):
    def test_status_and_code(self):
        for knobs, code, status in [
                ("status=429", 429, "RESOURCE_EXHAUSTED"), ("status=503", 503, "UNAVAILABLE"), ("status=500", 500, "INTERNAL"),
                ("status=504", 504, "DEADLINE_EXCEEDED"), ("code=context_length_exceeded", 400, "INVALID_ARGUMENT"),
                ("code=model_not_found", 404, "NOT_FOUND"), ("status=418", 418, "INVALID_ARGUMENT"),
                ("status=502", 502, "INTERNAL"), ("tokens=x", 400, "INVALID_ARGUMENT")]:
            with self.subTest(knobs):
                self.refused(self.generate(knobs), "", code, status)

    def test_quota_and_retry(self):
        for code, word in (("rate_limit_exceeded", "PerMinute"), ("insufficient_quota", "PerDay")):
            answer = self.generate(f"code={code},retry_after_ms=1500")
            details = self.refused(answer, "quota", 429, "RESOURCE_EXHAUSTED")
            self.assertIn(word, details[0]["violations"][0]["quotaId"])
            self.assertEqual(details[1], {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"})
            self.assertNotIn("retry-after-ms", answer.headers)
        details = self.refused(self.generate("status=503,retry_after=7"), "overloaded", 503, "UNAVAILABLE")
        self.assertEqual(details[0]["retryDelay"], "7s")

    def test_streams(self):
        events = self.events(self.stream("error_in_stream=2,status=503"))
        self.assertEqual((len(events), events[-1]["error"]["status"]), (3, "UNAVAILABLE"))
        self.assertFalse(any("finishReason" in e["candidates"][0] for e in self.events(self.stream("no_done"))))
        self.assertFalse(any("usageMetadata" in e for e in self.events(self.stream("no_usage"))))
        self.assertFalse(self.stream("cut=2").whole)
        broken = self.stream("malformed=2").body.split(b"\r\n\r\n")[1][6:]
        self.assertRaises(json.JSONDecodeError, json.loads, broken)
        self.assertRaises(json.JSONDecodeError, self.generate("malformed=1").json)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
