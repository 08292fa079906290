#!/usr/bin/python3
"""Every fault of a provider, whole answers and streams, in every dialect that pons.yaml knows: what the caller is told, what the
books are told, and that no broken stream ends as a success. All cells run at a time."""

import json
import os
import re
import sys

import harness
import msgpack
from harness import Flag, Kind, RemoteError, method, service

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402
from test_adapter import Tls  # noqa: E402

SETTLER = service("ModelManagerSuite", method("settle", "idempotent"))
MESSAGES = [{"role": "user", "content": "say it"}]
WINDOW = 1 << 20
SHORT_MS, FAR_MS = 400, 60000

# How each dialect gets to the mock: what follows the knobs in base_url, and its other keys.
REACH = {
    "openai": ("/v1", ""),
    "anthropic": ("/v1", ""),
    "gemini": ("/v1beta", ""),
    "bedrock": ("", "region: eu-central-1"),
    "bedrock_invoke": ("", "region: eu-central-1"),
    "azure": ("", "api_version: 2024-10-21"),
    "custom": ("", "chat_path: '/custom/{model}/chat', key_header: 'X-Custom-Key: Token {key}', headers: ['X-Team: blue']"),
}

# fault: (knobs, the limit that is short, cause of a whole answer, cause of a stream, code of both or None, retry_after_us)
FAULTS = {
    "good": ("tokens=3", None, "done", "done", None, None),
    "refused": (None, None, "transport", "transport", "connect_failed", None),
    "tls": (None, None, "transport", "transport", "tls_failed", None),
    "silent": ("silent", "headers_ms", "stall", "stall", "headers_timeout", None),
    "slowhead": ("slow_headers=2000", "headers_ms", "stall", "stall", "headers_timeout", None),
    "first": ("stall=0", "first_ms", "stall", "stall", "first_token_timeout", None),
    "cut": ("cut=0", None, "cut", "cut", "connection_cut", None),
    "malformed": ("malformed=1", None, "malformed", "malformed", None, None),
    "unmarked": ("tokens=3,no_done", None, "done", None, None, None),  # None: whole or cut, as the dialect needs its mark
    "limited": ("status=429,retry_after=7", None, "rate_limit", "rate_limit", None, 7_000_000),
    "limited0": ("status=429", None, "rate_limit", "rate_limit", None, 0),
    "locked": ("status=401", None, "auth", "auth", None, 0),
    "busy": ("status=529", None, "overload", "overload", None, 0),
    "oversized": ("tokens=1,bytes=17825792", None, "malformed", "malformed", None, None),
    "halfcut": ("tokens=5,cut=2", None, "cut", "cut", "connection_cut", None),
    "halfstall": ("tokens=5,stall=2", "idle_ms", "stall", "stall", "idle_timeout", None),
    "halferror": ("tokens=5,error_in_stream=2,status=500", None, "done", "overload", None, None),
    "halfbad": ("tokens=5,malformed=3", None, "malformed", "malformed", None, None),
}
# What is running when its client goes: fault: (knobs, no limit that is short).
GONE = {"slow": ("tokens=1000,gap_ms=20", None), "hushed": ("silent", None)}
OWN = {("bedrock", "locked"): "status=403", ("bedrock_invoke", "locked"): "status=403"}  # knobs where a dialect has another word: AWS says 403 for a key that is none
MID_STREAM = {"halfcut", "halfstall", "halferror", "halfbad"}  # pieces are out before it happens
TOLD = {"auth": ("FAILED", 502), "rate_limit": ("OVERLOADED", 429), "overload": ("FAILED", 503), "transport": ("FAILED", 502),
        "stall": ("FAILED", 504), "malformed": ("FAILED", 502), "cut": ("FAILED", 502)}


def dialects():
    """Those of the table of keys: a new one that nobody has put into REACH fails the test."""
    with open(os.path.join(os.path.dirname(harness.TESTS), "bus", "config", "keys.def"), encoding="utf-8") as file:
        return re.search(r'WORD\(ConfigProvider, dialect, "[a-z]+", "([a-z_ ]+)"', file.read()).group(1).split()


class Faults(harness.Fleet):
    """An adapter with a provider for each fault in each dialect."""

    def setUp(self):
        super().setUp()
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"))
        self.addCleanup(self.mock.__exit__)
        self.tls = Tls(self.folder)  # whose certificate nobody vouches for
        self.addCleanup(self.tls.close)
        self.dialects = dialects()
        self.assertEqual(set(self.dialects), set(REACH), "a new dialect: say in REACH how it gets to the mock provider")
        config = os.path.join(self.folder, "pons.yaml")
        for name, text in (("key", "sk-of-the-matrix"), ("aws", "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s3cr3t\n")):
            with open(os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.books = self.worker(SETTLER, agent="books", credit=64)
        self.asker = self.client()
        self.agent = self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": config})

    def configuration(self):
        providers, models = [], []
        for dialect in self.dialects:
            behind, more = REACH[dialect]
            for fault, (knobs, short, *_) in {**FAULTS, **GONE}.items():
                url = f"{self.mock.base_url}/mock/{OWN.get((dialect, fault), knobs)}{behind}"
                if fault == "refused":
                    url = f"http://127.0.0.1:{harness.free_port()}{behind}"
                if fault == "tls":
                    url = f"https://127.0.0.1:{self.tls.port}{behind}"
                limits = {**dict.fromkeys(("connect_ms", "headers_ms", "first_ms", "idle_ms", "total_ms"), FAR_MS),
                          **({short: SHORT_MS} if short else {})}
                key = "aws" if dialect.startswith("bedrock") else "key"
                providers.append(f"  - {{name: p-{dialect}-{fault}, dialect: {dialect}, base_url: '{url}', key: {{file: {key}}}, attempts: 1, "
                                 + "".join(f"{name}: {ms}, " for name, ms in limits.items()) + f"{more}}}\n")
                models.append(f"  - {{name: {dialect}-{fault}, executor: RemoteApiAdapter, provider: p-{dialect}-{fault}, "
                              "upstream: m, context_tokens: 8192}\n")
        return "providers:\n" + "".join(providers) + "models:\n" + "".join(models)


class Matrix(Faults):
    # --- asking ---

    def begin(self, dialect, fault, stream):
        body = {"model": f"{dialect}-{fault}", "messages": MESSAGES, "stream": stream}
        return self.asker.request("RemoteApiAdapter", "generate", {"request": json.dumps(body)}, flags=Flag.STREAM, window=WINDOW,
                                  deadline_s=60)

    def gather(self, cells):
        """The events and the end of each request: id: (text, reply or RemoteError)."""
        open_ = {request: [msgpack.Unpacker(max_buffer_size=64 << 20), "", 0] for request in cells}
        ends = {}
        while open_:
            try:
                message = self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR)
            except TimeoutError:
                self.fail(f"no end of {[cells[request] for request in open_]}")
            if message.id not in open_:
                continue
            unpacker, text, size = open_[message.id]
            if message.kind == Kind.CHUNK:
                unpacker.feed(message.body)
                text += "".join(piece["events"] for piece in unpacker)
                size += len(message.body)
                open_[message.id][1:] = [text, size]
                self.asker.send(Kind.WINDOW, id=message.id, number=message.number + 1, window=size + WINDOW)
                continue
            ok = message.kind == Kind.REPLY
            ends[message.id] = (text, message.data if ok else RemoteError(harness.Status(message.status), message.data))
            del open_[message.id]
        return ends

    def settled(self, count):
        """What the books were told: outcome and cause by (model, request)."""
        rows = {}
        while len(rows) < count:
            message = self.books.take(method="settle")
            for row in message.data["settlements"]:
                rows[row["model"], row["request"]] = (row["outcome"], row.get("cause"))
            self.books.reply(message, {"counted": len(message.data["settlements"])})
        return rows

    # --- judging ---

    def finish(self, text):
        """The reason why a stream's last choice says it has ended, or None."""
        reasons = [choice.get("finish_reason") for part in text.split("\n\n") if part
                   for choice in json.loads(part.removeprefix("data: ")).get("choices", [])]
        return next((reason for reason in reversed(reasons) if reason), None)

    def judge_success(self, stream, text, reply):
        if stream:
            self.assertTrue(self.finish(text), "a stream that does not say how it ended is a success")
            self.assertNotIn("[DONE]", text)
        else:
            answer = json.loads(reply["response"])
            self.assertEqual(answer["object"], "chat.completion")
            self.assertTrue(answer["choices"][0]["message"]["content"])
        self.assertEqual(reply["failures"], [])

    def judge(self, dialect, fault, stream, text, end):
        """Holds a cell against its row; returns the cause that it ended with, or "done"."""
        _, _, plain, streamed, code, retry_after_us = FAULTS[fault]
        wanted = streamed if stream else plain
        if not isinstance(end, RemoteError):
            self.assertIn(wanted, ("done", None), end)
            self.judge_success(stream, text, end)
            return "done"
        self.assertNotEqual(wanted, "done", end.body)
        cause = wanted or "cut"
        self.assertTrue(end.body["message"].startswith(f"{dialect}-{fault}: "), end.body)
        self.assertTrue(text or not stream or fault not in MID_STREAM)
        if text:
            self.assertEqual(end.status.name, "STREAM_LOST", end.body)
        else:
            self.assertEqual((end.status.name, end.body["http_status"]), TOLD[cause], end.body)
        if code:
            self.assertEqual(end.body["code"], code, end.body)
        if retry_after_us is not None:
            self.assertEqual(end.body.get("retry_after_us", 0), retry_after_us, end.body)
        self.assertFalse(stream and text and self.finish(text), "a finish reason was passed on and the stream was lost")
        return cause

    def test_no_cell_is_missing(self):
        """Each fault that a provider client must survive, by the rows that show it; those in a stream's middle besides."""
        wanted = {"refused": {"refused"}, "TLS": {"tls"}, "silent": {"silent"}, "slow headers": {"slowhead"}, "first-token stall": {"first"},
                  "cut": {"cut", "halfcut"}, "bad chunk": {"malformed", "halfbad"}, "no end mark": {"unmarked"},
                  "429 with Retry-After": {"limited"}, "429 without": {"limited0"}, "401": {"locked"}, "529": {"busy"},
                  "oversized": {"oversized"}, "client gone": set(GONE)}
        self.assertEqual(set().union(*wanted.values()), (set(FAULTS) | set(GONE)) - {"good", "halfstall", "halferror"})

    def test_all_cells(self):
        cells = {self.begin(dialect, fault, stream): (dialect, fault, stream)
                 for dialect in self.dialects for fault in FAULTS for stream in (False, True)}
        ends, books = self.gather(cells), self.settled(len(cells))
        self.assertEqual(len(cells), 2 * len(FAULTS) * len(REACH))
        for request, (dialect, fault, stream) in cells.items():
            with self.subTest(dialect=dialect, fault=fault, stream=stream):
                cause = self.judge(dialect, fault, stream, *ends[request])
                told = [end for (model, _), end in books.items() if model == f"{dialect}-{fault}"]
                self.assertEqual(len(told), 2)
                self.assertIn(("done", None) if cause == "done" else ("failed", cause), told)

    def test_the_client_goes(self):
        """Its request is taken back from each provider, whole or streamed, in its middle or before its head; nothing is left running,
        nobody else is asked, and the books say who wanted it no more."""
        cells = {self.begin(dialect, "slow", stream=True): (dialect, "slow") for dialect in self.dialects}
        for request in cells:
            self.asker.expect(Kind.CHUNK, id=request)
        cells |= {self.begin(dialect, "hushed", stream): (dialect, "hushed") for dialect in self.dialects for stream in (False, True)}
        self.mock.wait_stats(lambda stats: stats["requests"] >= len(cells))
        for request in cells:
            self.asker.send(Kind.CANCEL, id=request)
        stats = self.mock.wait_stats(lambda stats: stats["streams_running"] == 0 and stats["cancelled"]["count"] >= len(cells))
        self.assertEqual((stats["requests"], stats["cancelled"]["count"]), (len(cells), 3 * len(self.dialects)))
        books = self.settled(len(cells))
        self.assertEqual(sorted(model for model, _ in books), sorted(f"{dialect}-{fault}" for dialect, fault in cells.values()))
        self.assertEqual(set(books.values()), {("cancelled", None)})


if __name__ == "__main__":
    harness.main()
