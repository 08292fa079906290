#!/usr/bin/python3
"""RemoteApiAdapter: the real broker and agent against a provider over real HTTP that misbehaves on command."""

import hashlib
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time

import harness
import msgpack
from harness import Flag, Kind, RemoteError, method, service

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402

KEY = "sk-never-to-be-seen-0123456789"
LOCAL = service("TinyLlamaServiceEnhanced", method("generate", "idempotent", "streaming"), method("embed", "idempotent"))
SETTLER = service("ModelManagerSuite", method("settle", "idempotent"))
MESSAGES = [{"role": "user", "content": "say it"}]
WINDOW = 1 << 20

# name of the model: (knobs in its base URL, cause, status that the caller is told, HTTP status)
FAULTS = {
    "stall": ("silent", "stall", "FAILED", 504),
    "half": ("stall=2", "stall", "FAILED", 504),
    "cut": ("cut=0", "cut", "FAILED", 502),
    "halfcut": ("cut=2", "cut", "FAILED", 502),
    "malformed": ("malformed=1", "malformed", "FAILED", 502),
    "limited": ("status=429,retry_after=7", "rate_limit", "OVERLOADED", 429),
    "unpaid": ("code=insufficient_quota", "quota", "FAILED", 502),
    "locked": ("status=401", "auth", "FAILED", 502),
    "gone": ("status=404", "unavailable", "FAILED", 503),
    "broken": ("status=500", "overload", "FAILED", 503),
    "busy": ("status=503,retry_after_ms=300", "overload", "FAILED", 503),
}
GOOD = {"good": "", "slow": "tokens=1000,gap_ms=20", "flood": "tokens=100000,bytes=8192", "lazy": "tokens=3,no_usage",
        "unmarked": "tokens=3,no_done,no_usage", "long": "code=context_length_exceeded", "rude": "error_in_stream=1",
        "late": "error_in_stream=3,gap_ms=30"}


class Tls(threading.Thread):
    """A server on 127.0.0.1 whose certificate is its own; heard is what came after a handshake that was whole."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        certificate, key = (os.path.join(folder, name) for name in ("certificate.pem", "certificate-key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(connection, server_side=True) as secure:
                    self.heard += secure.recv(65536)
            except OSError:
                connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(harness.DEADLINE_S)


class Adapter(harness.Fleet):
    LIMITS = "first_ms: 5000, idle_ms: 5000, connect_ms: 2000, total_ms: 60000"
    CONNECTIONS = 256

    def setUp(self):
        super().setUp()
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", KEY)
        self.addCleanup(self.mock.__exit__)
        self.tls = Tls(self.folder)
        self.addCleanup(self.tls.close)
        self.config = os.path.join(self.folder, "pons.yaml")
        for name, key in (("key", KEY), ("wrong", KEY[::-1])):
            with open(os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "w",
                      encoding="utf-8") as file:
                file.write(key + "\n")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.client_ = self.client()
        self.agent = self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": self.config})

    def configuration(self):
        providers, models = [], []

        def add(name, url, limits=self.LIMITS, key="key", context=8192, more=""):
            providers.append(f"  - {{name: p-{name}, base_url: '{url}', key: {{file: {key}}}, {limits}, "
                             f"connections: {self.CONNECTIONS}}}\n")
            models.append(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}, upstream: up-{name}, "
                          f"context_tokens: {context}{more}}}\n")

        def url(knobs):
            return self.mock.base_url + (f"/mock/{knobs}" if knobs else "") + "/v1"

        for name, knobs in GOOD.items():
            add(name, url(knobs), more=", input_usd: '1', output_usd: '2'")
        for name, (knobs, *_) in FAULTS.items():
            short = {"stall": "first_ms", "half": "idle_ms"}.get(name, "none")  # no limit that a busy machine could reach
            add(name, url(knobs), self.LIMITS.replace(f"{short}: 5000", f"{short}: 150"))
        add("selfsigned", f"https://127.0.0.1:{self.tls.port}/v1")
        add("refused", f"http://127.0.0.1:{harness.free_port()}/v1")
        add("nowhere", "https://nobody.invalid/v1")
        add("badkey", url(""), key="wrong")
        add("nokey", url(""), key="absent")
        add("large", url(""), context=100000)
        models += ["  - {name: local, executor: TinyLlamaServiceEnhanced, context_tokens: 2048}\n",
                   "  - {name: vectors, kind: embedding, executor: RemoteApiAdapter, provider: p-good}\n"]
        return "providers:\n" + "".join(providers) + "models:\n" + "".join(models)

    # --- asking ---

    @staticmethod
    def ask_of(model, **members):
        return {"request": json.dumps({"model": model, "messages": MESSAGES, **members})}

    @staticmethod
    def route(*models, next=0, **more):
        local = {"local": "TinyLlamaServiceEnhanced"}
        return {"candidates": [{"model": m, "executor": local.get(m, "RemoteApiAdapter")} for m in models], "next": next,
                **more}

    def chat(self, model, annotations=None, **members):
        """The ChatReply of a plain request."""
        return self.client_.ask("RemoteApiAdapter", "generate", self.ask_of(model, **members), annotations=annotations)

    def refused(self, model, annotations=None, verb="generate", **members):
        with self.assertRaises(RemoteError) as raised:
            self.client_.ask("RemoteApiAdapter", verb, self.ask_of(model, **members), annotations=annotations)
        return raised.exception

    def begin(self, model, window=WINDOW, annotations=None, client=None, **members):
        return (client or self.client_).request("RemoteApiAdapter", "generate", self.ask_of(model, stream=True, **members),
                                                flags=Flag.STREAM, window=window, annotations=annotations)

    def pieces(self, request):
        """The events of a stream as text, and its ChatReply or RemoteError."""
        text, size = "", 0
        unpacker = msgpack.Unpacker()  # where a CHUNK ends means nothing
        while True:
            message = self.client_.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=request)
            if message.kind == Kind.REPLY:
                return text, message.data
            if message.kind == Kind.ERROR:
                return text, RemoteError(harness.Status(message.status), message.data)
            size += len(message.body)
            self.client_.send(Kind.WINDOW, id=request, number=message.number + 1, window=size + WINDOW)
            unpacker.feed(message.body)
            text += "".join(piece["events"] for piece in unpacker)

    def chunks(self, text):
        parts = text.split("\n\n")
        self.assertEqual(parts.pop(), "")
        self.assertTrue(all(part.startswith("data: ") for part in parts), text)
        return [json.loads(part[6:]) for part in parts]

    def status(self):
        status = self.client_.ask("RemoteApiAdapter", "status", {})
        return status["running"], {row["name"]: row for row in status["models"]}

    def wait_idle(self):
        due = time.monotonic() + harness.DEADLINE_S
        while (running := self.status()[0]) > 0:
            self.assertLess(time.monotonic(), due, f"{running} still run")
        return self.mock.wait_stats(lambda stats: stats["streams_running"] == 0)


class Answers(Adapter):
    def test_plain(self):
        reply = self.chat("good", temperature=0.5)
        answer = json.loads(reply["response"])
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual((reply["model"], reply["provider"], reply["failures"]), ("good", "p-good", []))
        self.assertTrue(reply["executor"].startswith("remote_api_adapter:"))
        self.assertEqual((reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]), (2, 8))
        self.assertEqual(reply["cost_nano_usd"], 2 * 1000 + 8 * 2000)
        self.assertGreater(reply["took_us"], 0)
        seen = self.mock.stats()["last_request"]
        self.assertEqual(json.loads(seen["body"]), {"model": "up-good", "messages": MESSAGES, "temperature": 0.5})
        self.assertEqual(seen["path"], "/v1/chat/completions")

    def test_the_request_keeps_its_bytes(self):
        """All of it goes on as it came but for the model's name: numbers, escapes and blanks, in values and between members."""
        messages = '[{ "role":"user","content":"\\u00e9 \\ud83d\\ude00" }]'
        text = f'{{"model" :"good" , "messages": {messages}, "temperature":1.0,\n "seed":12345678901234567}}'
        self.client_.ask("RemoteApiAdapter", "generate", {"request": text})
        self.assertEqual(self.mock.stats()["last_request"]["body"],
                         f'{{"model" :"up-good" , "messages": {messages}, "temperature":1.0,\n "seed":12345678901234567}}')

    def test_stream(self):
        text, reply = self.pieces(self.begin("good"))
        chunks = self.chunks(text)
        self.assertEqual({chunk["object"] for chunk in chunks}, {"chat.completion.chunk"})
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")
        self.assertNotIn("[DONE]", text)
        self.assertTrue(all(chunk["choices"] for chunk in chunks), "the usage was not asked for")
        self.assertEqual((reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]), (2, 8))
        self.assertEqual(reply["cost_nano_usd"], 18000)
        self.assertNotIn("response", reply)
        self.assertIn("first_us", reply)
        self.assertIn('"include_usage":true', self.mock.stats()["last_request"]["body"])

    def test_usage_that_was_asked_for(self):
        chunks = self.chunks(self.pieces(self.begin("good", stream_options={"include_usage": True}))[0])
        self.assertEqual((chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]), ([], 8))

    def test_what_servers_leave_out(self):
        """No usage is an unknown cost and not 0; a finish reason and a clean end are an end mark."""
        for model in ("lazy", "unmarked"):
            with self.subTest(model):
                text, reply = self.pieces(self.begin(model))
                self.assertEqual(self.chunks(text)[-1]["choices"][0]["finish_reason"], "stop")
                self.assertNotIn("cost_nano_usd", reply)
                self.assertNotIn("output_tokens", reply["usage"])

    def test_embed(self):
        body = {"request": json.dumps({"model": "vectors", "input": "two words"})}
        reply = self.client_.ask("RemoteApiAdapter", "embed", body)
        self.assertEqual(len(json.loads(reply["response"])["data"]), 1)
        self.assertEqual((reply["model"], reply["usage"]["input_tokens"]), ("vectors", 2))
        self.assertEqual(self.mock.stats()["last_request"]["path"], "/v1/embeddings")

    def test_an_embedding_is_no_stream(self):
        asked = self.mock.stats()["requests"]
        body = {"model": "vectors", "input": "two words", "stream": True}
        with self.assertRaises(RemoteError) as raised:
            self.client_.ask("RemoteApiAdapter", "embed", {"request": json.dumps(body)})
        self.assertEqual((raised.exception.status, raised.exception.body["path"], raised.exception.body["code"]),
                         (harness.Status.REFUSED, "stream", "unsupported_value"))
        self.assertEqual(self.mock.stats()["requests"], asked)

    def test_a_large_answer(self):
        text, reply = self.pieces(self.begin("flood", max_tokens=100))
        self.assertGreater(len(text), 100 * 8192)
        self.assertEqual(reply["usage"]["output_tokens"], 100)

    def test_status_costs_nothing(self):
        running, models = self.status()
        self.assertEqual((running, models["good"]["state"]), (0, "unmeasured"))
        self.assertEqual(models["nokey"]["state"], "unavailable")
        self.assertNotIn("local", models)
        self.chat("good")
        self.refused("broken")
        requests = self.mock.stats()["requests"]
        models = self.status()[1]
        self.assertEqual((models["good"]["state"], models["broken"]["state"]), ("up", "down"))
        self.assertEqual(models["slow"]["state"], "unmeasured")
        self.assertEqual(self.mock.stats()["requests"], requests)

    def test_connections_are_used_again(self):
        for _ in range(20):
            self.chat("good")
        self.assertLessEqual(self.mock.stats()["connections"]["total"], 3)  # one of the adapter, two of this test

    def test_no_json(self):
        with self.assertRaises(RemoteError) as raised:
            self.client_.ask("RemoteApiAdapter", "generate", {"request": "[1]"})
        self.assertEqual(raised.exception.status.name, "REFUSED")


class Failures(Adapter):
    def test_each_fault_by_itself(self):
        for model, (_, cause, status, http) in FAULTS.items():
            with self.subTest(model):
                error = self.refused(model)
                self.assertEqual((error.status.name, error.body["http_status"]), (status, http), error.body)
                self.assertTrue(error.body["message"].startswith(model + ": "), error.body)
                if model == "limited":
                    self.assertEqual(error.body["retry_after_us"], 7_000_000)
                if model == "busy":
                    self.assertEqual(error.body["retry_after_us"], 300_000)

    def test_each_fault_goes_to_another_service(self):
        """The local model does it instead, and is told why; the answer goes straight to who asked."""
        local = self.worker(LOCAL, agent="local", credit=9)
        wanted = {model: fault[1] for model, fault in FAULTS.items()}
        wanted |= {"refused": "transport", "nowhere": "transport", "badkey": "auth", "nokey": "auth"}
        for stream in (False, True):
            for model, cause in wanted.items():
                with self.subTest(model, stream=stream):
                    if stream and model.startswith("half"):
                        continue  # pieces are out before it happens
                    request = self.client_.request("RemoteApiAdapter", "generate", self.ask_of(model, stream=stream),
                                                   flags=Flag.STREAM, window=WINDOW,
                                                   annotations=self.route(model, "local", size="heavy", tokens=7))
                    message = local.take(id=request)
                    route = message.annotations
                    self.assertEqual((route["next"], route["size"], route["tokens"]), (1, "heavy", 7))
                    self.assertEqual([(row["model"], row["cause"]) for row in route["failures"]], [(model, cause)])
                    self.assertEqual(json.loads(message.data["request"])["model"], model)
                    local.reply(message, {"done": model})
                    self.assertEqual(self.client_.answer(request).data, {"done": model})

    def test_the_next_one_here(self):
        reply = self.chat("auto", annotations=self.route("broken", "refused", "good"))
        self.assertEqual(reply["model"], "good")
        self.assertEqual([(row["model"], row["cause"]) for row in reply["failures"]],
                         [("broken", "overload"), ("refused", "transport")])
        self.assertEqual(reply["failures"][0]["http_status"], 500)

    def test_the_first_cause_comes_first(self):
        error = self.refused("auto", annotations=self.route("badkey", "refused", "broken"))
        self.assertEqual((error.status.name, error.body["http_status"]), ("FAILED", 502))
        self.assertTrue(error.body["message"].startswith("badkey: "), error.body)
        self.assertIn("refused: ", error.body["message"])
        self.assertLess(error.body["message"].index("refused: "), error.body["message"].index("broken: "))

    def test_nobody_else_is_there(self):
        """The next service has no instance: the request comes back and ends with its first cause, not with NO_SERVICE."""
        error = self.refused("auto", annotations=self.route("badkey", "local"))
        self.assertEqual(error.status.name, "FAILED")
        self.assertTrue(error.body["message"].startswith("badkey: "), error.body)
        self.assertIn("local: ", error.body["message"])
        reply = self.chat("auto", annotations=self.route("badkey", "local", "good"))
        self.assertEqual([row["model"] for row in reply["failures"]], ["badkey", "local"])

    def test_what_the_broker_passed_over(self):
        reply = self.chat("auto", annotations=self.route("local", "good"))
        self.assertEqual([(row["model"], row["cause"]) for row in reply["failures"]], [("local", "unavailable")])

    def test_the_callers_mistake_ends_it(self):
        local = self.worker(LOCAL, agent="local")
        error = self.refused("auto", annotations=self.route("good", "local"), temperature=9)
        self.assertEqual((error.status.name, error.body["http_status"]), ("REFUSED", 400))
        self.assertIn("temperature", error.body["message"])
        self.assertTrue(local.none(Kind.REQUEST))
        self.assertEqual(self.mock.stats()["requests"], 1)

    def test_too_long_goes_to_a_larger_context_alone(self):
        reply = self.chat("auto", annotations=self.route("long", "local", "good", "large"))
        self.assertEqual(reply["model"], "large")
        self.assertEqual([row["cause"] for row in reply["failures"]], ["context"])
        error = self.refused("auto", annotations=self.route("long", "good"))
        self.assertEqual((error.status.name, error.body["http_status"], error.body["code"]),
                         ("REFUSED", 400, "context_length_exceeded"))

    def test_after_the_first_piece_nobody_else_begins(self):
        local = self.worker(LOCAL, agent="local")
        for model in ("halfcut", "half", "late"):
            with self.subTest(model):
                text, error = self.pieces(self.begin(model, annotations=self.route(model, "local")))
                self.assertGreater(len(self.chunks(text)), 0)
                self.assertEqual(error.status.name, "STREAM_LOST")
                self.assertTrue(error.body["message"].startswith(model + ": "), error.body)
        self.assertTrue(local.none(Kind.REQUEST))

    def test_models_that_are_not_ours(self):
        self.assertEqual(self.refused("who").body["http_status"], 503)
        self.assertIn("who", self.refused("who").body["message"])


class Streams(Adapter):
    def test_a_cancel_reaches_the_provider(self):
        """Within 100 ms of the caller's word the provider sees its connection end; the best of a few, for machines that are busy."""
        took = []
        for n in range(1, 6):
            request = self.begin("slow")
            self.client_.expect(Kind.CHUNK, id=request)
            sent = time.monotonic()
            self.client_.send(Kind.CANCEL, id=request)
            stats = self.mock.wait_stats(lambda stats, n=n: stats["cancelled"]["count"] >= n)
            took.append(time.monotonic() - stats["cancelled"]["last_ms_ago"] / 1000 - sent)
        self.assertLess(min(took), 0.1, took)
        self.assertLess(stats["cancelled"]["last_chunks"], 900)
        self.wait_idle()

    def test_the_deadline_ends_it(self):
        request = self.client_.request("RemoteApiAdapter", "generate", self.ask_of("slow", stream=True), deadline_s=0.5,
                                       flags=Flag.STREAM, window=WINDOW)
        self.ends("DEADLINE", self.client_, request)
        self.assertEqual(self.wait_idle()["cancelled"]["count"], 1)

    def test_a_lost_client_is_a_cancel(self):
        other = self.client(agent="other")
        request = self.begin("slow", client=other)
        other.expect(Kind.CHUNK, id=request)
        other.bye()
        self.mock.wait_stats(lambda stats: stats["cancelled"]["count"] == 1)

    def test_a_slow_reader_stops_the_provider(self):
        """800 MB wait at a reader that takes 64 KiB: they wait at the provider, and go on when it reads."""
        before = self.memory()
        request = self.begin("flood", window=65536)
        self.client_.expect(Kind.CHUNK, id=request)
        still, last = 0, -1
        while still < 20:
            out = self.mock.stats()["bytes"]["out"]
            still, last = still + 1 if out - last < 4096 else 0, out
            self.client_.socket.poll(20)
        self.assertLess(last, 64 << 20)
        if not harness.sanitized():
            self.assertLess(self.memory() - before, 16 << 20)
        self.client_.send(Kind.WINDOW, id=request, number=0, window=1 << 20)
        self.mock.wait_stats(lambda stats: stats["bytes"]["out"] > last + 262144)
        self.client_.send(Kind.CANCEL, id=request)
        self.wait_idle()

    def memory(self):
        with open(f"/proc/{self.agent.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.agent.pid}/fd"))

    def crowd(self, count, seed):
        """So many streams at a time; some are read to their end, some are taken back at some time."""
        chance = random.Random(seed)
        requests = [self.begin("good", max_tokens=8) if chance.random() < 0.4 else self.begin("slow")
                    for _ in range(count)]
        open_ = set(requests)
        while open_:
            message = self.client_.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR)
            if message.id not in open_:
                continue
            if message.kind != Kind.CHUNK:
                self.assertEqual(message.kind, Kind.REPLY)
                open_.remove(message.id)
            elif chance.random() < 0.3:
                self.client_.send(Kind.CANCEL, id=message.id)
                open_.remove(message.id)
        self.wait_idle()

    def test_a_crowd_leaves_nothing(self):
        descriptors = self.descriptors()
        self.crowd(200, 1)
        memory = self.memory()
        for seed in range(2, 5):
            self.crowd(200, seed)
        self.assertLessEqual(self.descriptors(), descriptors + 2 * self.CONNECTIONS)  # idle ones are kept, and bounded
        if not harness.sanitized():
            self.assertLess(self.memory() - memory, 8 << 20)
        self.assertEqual(self.status()[0], 0)


class Books(Adapter):
    def settled(self, peer, **fields):
        message = peer.take(method="settle", **fields)
        return message, message.data["settlements"]

    def test_each_end_is_settled_until_it_is_acknowledged(self):
        books = self.worker(SETTLER, agent="books", credit=4)
        self.chat("auto", annotations=self.route("broken", "good"))
        first, rows = self.settled(books)
        self.assertEqual([(row["model"], row["outcome"], row.get("cause")) for row in rows],
                         [("broken", "failed", "overload"), ("good", "done", None)])
        self.assertEqual(rows[1]["cost_nano_usd"], 18000)
        self.assertEqual(len({row["request"] for row in rows}), 1)
        books.fail(first, harness.Status.INTERNAL)
        again, repeated = self.settled(books)
        self.assertEqual(repeated, rows)
        third, repeated = self.settled(books)  # nobody answered the second: it comes again by itself
        self.assertNotEqual(third.id, again.id)
        self.assertEqual(repeated, rows)
        books.reply(third, {"counted": 2})
        self.refused("good", temperature=9)
        message, rows = self.settled(books)
        self.assertEqual([(row["outcome"], row["cause"]) for row in rows], [("refused", "caller")])
        books.reply(message, {"counted": 1})

    def test_what_a_broken_stream_took_is_estimated(self):
        """Cut, failed inside, taken back: the provider has not said what it took. Of one that ends well it has."""
        books = self.worker(SETTLER, agent="books", credit=4)

        def usage():
            message, rows = self.settled(books)
            books.reply(message, {"counted": len(rows)})
            self.assertEqual(len(rows), 1)
            return rows[0]["usage"], rows[0].get("cost_nano_usd")

        for model in ("halfcut", "late"):
            with self.subTest(model):
                self.assertEqual(self.pieces(self.begin(model))[1].status.name, "STREAM_LOST")
                took, cost = usage()
                self.assertTrue(took["estimated"])
                self.assertGreater(took["output_tokens"], 0)
                self.assertGreater(took["input_tokens"], 5)
                if model == "late":
                    self.assertEqual(cost, took["input_tokens"] * 1000 + took["output_tokens"] * 2000)
        request = self.begin("slow")
        self.client_.expect(Kind.CHUNK, id=request)
        self.client_.send(Kind.CANCEL, id=request)
        self.assertTrue(usage()[0]["estimated"])
        self.pieces(self.begin("good"))
        self.assertFalse(usage()[0]["estimated"])
        self.refused("stall", stream=True)  # nothing came: nothing is known, and nothing estimated
        self.assertEqual(usage()[0], {"estimated": False})

    def test_a_cancel_is_settled(self):
        books = self.worker(SETTLER, agent="books")
        request = self.begin("slow")
        self.client_.expect(Kind.CHUNK, id=request)
        self.client_.send(Kind.CANCEL, id=request)
        message, rows = self.settled(books)
        self.assertEqual([row["outcome"] for row in rows], ["cancelled"])
        books.reply(message, {"counted": 1})

    def test_a_drain_settles_first(self):
        """What nobody has taken yet is told before the process leaves."""
        self.chat("good")
        self.agent.terminate()
        books = self.worker(SETTLER, agent="books")
        message, rows = self.settled(books)
        self.assertEqual(rows[0]["model"], "good")
        books.reply(message, {"counted": 1})
        self.assertEqual(self.agent.wait(), 0)
        self.assertNotIn("were not acknowledged", self.agent.log())

    def test_a_drain_does_not_wait_for_ever(self):
        self.chat("good")
        self.agent.terminate()
        self.assertEqual(self.agent.wait(), 0)


class Secrets(Adapter):
    def test_the_key_is_nowhere(self):
        """It reaches the provider, and no log, no answer, no command line and no environment."""
        self.chat("good")
        self.assertEqual(self.mock.stats()["last_request"]["sha256"]["authorization"],
                         hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest())
        told = [str(self.refused(model).body) for model in ("badkey", "broken", "refused", "nokey")]
        self.agent.terminate()
        self.agent.wait()
        told += [self.agent.log(), self.broker.log()]
        for text in told:
            self.assertNotIn(KEY, text)
            self.assertNotIn(KEY[::-1], text)
        self.assertIn("PONS-PROVIDER-KEY", self.agent.log())

    def test_a_certificate_that_nobody_vouches_for(self):
        """The connection ends before the key is sent."""
        reply = self.refused("selfsigned")
        self.assertIn("selfsigned: ", reply.body["message"])
        self.assertEqual(reply.body["http_status"], 502)
        self.assertRegex(reply.body["message"], "certificate")
        self.assertEqual(self.tls.heard, b"")

    def test_process_list(self):
        self.chat("good")
        for name in ("cmdline", "environ"):
            with open(f"/proc/{self.agent.pid}/{name}", "rb") as file:
                self.assertNotIn(KEY.encode(), file.read())

    def test_a_wrong_configuration_stops_it(self):
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("gateway: {nonsense: 1}\n")
        program = self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": self.config}, ready=False)
        program.expects = (2,)
        self.assertEqual(program.wait(), 2)
        self.assertIn("nonsense", program.log())


if __name__ == "__main__":
    harness.main()
