#!/usr/bin/python3
"""Servers that are no provider, or an odd one: what base_url leads to when it is wrong, heads that are no text, types in large letters,
errors with status 200. In each dialect where it is the same for all."""

import http.server
import json
import os
import threading

import harness
import msgpack
from harness import Flag, Kind, RemoteError, method, service
from test_fault_matrix import REACH, dialects

LOCAL = service("TinyLlamaServiceEnhanced", method("generate", "idempotent", "streaming"))
WINDOW = 1 << 20
SECRET = "sk-in-a-redirect-0123"
CHUNKS = "".join(f"data: {json.dumps({'choices': [{'index': 0, **choice}]})}\n\n"
                 for choice in ({"delta": {"content": "é"}}, {"delta": {}, "finish_reason": "stop"})) + "data: [DONE]\n\n"
HTML = "<!doctype html><title>nothing here</title>"
# case: (status, headers, body)
CASES = {
    "moved": (307, {"Location": f"https://user:{SECRET}@elsewhere.example:8443/v2/chat?key={SECRET}#{SECRET}"}, HTML),
    "aside": (301, {"Location": "/v1/"}, ""),
    "nopath": (404, {"Content-Type": "text/html"}, HTML),
    "nomethod": (405, {}, ""),
    "noname": (500, {"x-request-id": "a\xffb", "x-amzn-errortype": "T\xff", "Content-Type": "text/html"}, HTML),
    "wordy": (500, {"Content-Type": "application/json"}, json.dumps({"error": {"message": "x" + "é" * 600}}, ensure_ascii=False)),
    "shouting": (200, {"Content-Type": "Text/Event-Stream; Charset=UTF-8"}, CHUNKS),
    "excuse": (200, {"Content-Type": "application/json"}, json.dumps({"error": {"message": "voices are out", "code": 503}})),
}
HOARD = 15 << 20  # what "hoard" sends of an answer that never ends
EACH = ("moved", "aside", "nopath", "nomethod", "noname")  # the same in every dialect
KINDS = {"speech": ("excuse",), "transcription": ("excuse",)}


class Odd(threading.Thread):
    """Answers by the first step of the path."""

    def __init__(self):
        super().__init__(daemon=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                case = self.path.split("/")[1]
                if case == "hoard":
                    self.send_response(200)
                    self.send_header("Content-Length", str(HOARD + 1))
                    self.end_headers()
                    try:
                        self.wfile.write(b" " * HOARD)
                        self.rfile.read(1)
                    except OSError:
                        pass  # the other side has gone
                    self.close_connection = True
                    return
                status, headers, body = CASES[case]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.start()

    def run(self):
        self.server.serve_forever(0.05)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.join(harness.DEADLINE_S)


class OddServers(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.odd = Odd()
        self.addCleanup(self.odd.close)
        for name, text in (("key", "sk-of-the-odd"), ("aws", "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s3cr3t\n")):
            with open(os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.asker = self.client()
        self.agent = self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": config})

    def configuration(self):
        providers, models = [], ["  - {name: local, executor: TinyLlamaServiceEnhanced, context_tokens: 2048}\n"]
        for dialect in dialects():
            behind, more = REACH[dialect]
            key = "aws" if dialect.startswith("bedrock") else "key"
            for case in [*CASES, "hoard"] if dialect == "openai" else EACH:
                name = f"{dialect}-{case}"
                url = f"http://127.0.0.1:{self.odd.server.server_address[1]}/{case}{behind}"
                providers.append(f"  - {{name: p-{name}, dialect: {dialect}, base_url: '{url}', key: {{file: {key}}}, attempts: 1, {more}}}\n")
                models.append(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}, upstream: m}}\n")
        models += [f"  - {{name: {kind}, kind: {kind}, executor: RemoteApiAdapter, provider: p-openai-{case}, upstream: m}}\n"
                   for kind, cases in KINDS.items() for case in cases]
        return "providers:\n" + "".join(providers) + "models:\n" + "".join(models)

    def begin(self, model, stream=False, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": stream}
        return self.asker.request("RemoteApiAdapter", "generate", {"request": json.dumps(body)}, flags=Flag.STREAM, window=WINDOW, **fields)

    def refused(self, request):
        with self.assertRaises(RemoteError) as raised:
            self.asker.answer(request)
        return raised.exception

    def test_where_it_leads(self):
        """Who reads the error knows what to mend, and no key that stood in the address."""
        wanted = {"moved": "status 307 and points to elsewhere.example:8443/v2/chat; redirects are not followed: correct base_url",
                  "aside": "status 301 and points to /v1/; redirects are not followed: correct base_url",
                  "nopath": "status 404 and no reason, as a server does that has no such path: correct base_url",
                  "nomethod": "status 405 and no reason, as a server does that has another thing under this path: correct base_url"}
        for dialect in dialects():
            for case, words in wanted.items():
                for stream in (False, True):
                    with self.subTest(dialect=dialect, case=case, stream=stream):
                        error = self.refused(self.begin(f"{dialect}-{case}", stream))
                        self.assertEqual((error.status.name, error.body["http_status"]), ("FAILED", 503), error.body)
                        self.assertIn(words, error.body["message"])
                        self.assertNotIn(SECRET, str(error.body))
        self.assertNotIn(SECRET, self.agent.log())

    def test_a_head_that_is_no_text(self):
        """It is told all the same, and somebody else is asked: what is no text could not travel."""
        local = self.worker(LOCAL, agent="local", credit=9)
        for dialect in dialects():
            with self.subTest(dialect):
                name = f"{dialect}-noname"
                self.assertRegex(self.refused(self.begin(name)).body["message"], "^" + name + ": .*[(]request a[?]b[)]$")
                candidates = [{"model": name, "executor": "RemoteApiAdapter"}, {"model": "local", "executor": "TinyLlamaServiceEnhanced"}]
                request = self.begin(name, annotations={"candidates": candidates, "next": 0})
                message = local.take(id=request)
                self.assertEqual([row["model"] for row in message.annotations["failures"]], [name])
                local.reply(message, {"done": name})
                self.assertEqual(self.asker.answer(request).data, {"done": name})

    def test_a_sentence_without_end(self):
        """It is cut between two characters, wherever it is told."""
        self.assertIn("xééé", self.refused(self.begin("openai-wordy")).body["message"])
        rows = {row["name"]: row for row in self.asker.ask("RemoteApiAdapter", "status", {})["models"]}
        self.assertEqual(rows["openai-wordy"]["state"], "down")
        self.assertTrue(rows["openai-wordy"]["about"].startswith("xééé"), rows["openai-wordy"])

    def test_a_type_in_large_letters(self):
        request, unpacker, text = self.begin("openai-shouting", True), msgpack.Unpacker(), ""
        while (message := self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=request)).kind == Kind.CHUNK:
            unpacker.feed(message.body)
            text += "".join(piece["events"] for piece in unpacker)
        self.assertEqual(message.kind, Kind.REPLY)
        self.assertEqual(text.count("data: "), 2)

    def test_many_large_answers_at_a_time(self):
        """Each may have 16 MiB, all of them together 128: who comes then is told so, and nobody else notices."""
        running = {self.begin("openai-hoard") for _ in range(9)}
        error = self.asker.expect(Kind.ERROR)
        self.assertEqual((harness.Status(error.status).name, error.data["http_status"]), ("FAILED", 503), error.data)
        self.assertIn("128 MiB of answers", error.data["message"])
        running.remove(error.id)
        self.assertIn("voices are out", self.refused(self.asker.request("RemoteApiAdapter", "speak", {"model": "speech", "text": "x", "voice": "v"})).body["message"])
        for request in running:
            self.asker.send(Kind.CANCEL, id=request)
        self.assertEqual(self.asker.ask("RemoteApiAdapter", "status", {})["running"], 0)

    def test_an_error_with_status_200(self):
        """It is no recording, and nothing that was said."""
        for verb, ask in (("speak", {"model": "speech", "text": "x", "voice": "v"}), ("speak_stream", {"model": "speech", "text": "x", "voice": "v"}),
                          ("transcribe", {"model": "transcription", "audio": b"x"}), ("transcribe_stream", {"model": "transcription", "audio": b"x"})):
            with self.subTest(verb):
                error = self.refused(self.asker.request("RemoteApiAdapter", verb, ask, flags=Flag.STREAM if "stream" in verb else 0, window=WINDOW))
                self.assertEqual((error.status.name, error.body["http_status"]), ("FAILED", 503), error.body)
                self.assertIn("voices are out", error.body["message"])


if __name__ == "__main__":
    harness.main()
