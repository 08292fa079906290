#!/usr/bin/python3
"""Every fault of a provider in all work that is no completion: embeddings, speech both ways, whole and in pieces, lists of models, jobs
of fine-tuning, in each dialect that has it. All cells run at a time."""

import json

import harness
import test_fault_matrix as matrix
from harness import Flag, Kind, RemoteError

SPEECH = ("openai", "azure", "custom")
ALL = tuple(matrix.REACH)
# verb: (kind of its models, or None where a provider is named; what is asked; dialects; whether it comes in pieces)
WORK = {
    "embed": ("embedding", {"input": "a b"}, ("openai", "gemini", "bedrock", "azure", "custom"), False),
    "transcribe": ("transcription", {"audio": b"x"}, SPEECH, False), "transcribe_stream": ("transcription", {"audio": b"x"}, SPEECH, True),
    "speak": ("speech", {"text": "x", "voice": "v"}, SPEECH, False), "speak_stream": ("speech", {"text": "x", "voice": "v"}, SPEECH, True),
    "models": (None, {}, ALL, False), "fine_tune_status": (None, {"job": "ftjob-1"}, ("openai", "azure"), False),
}
REACH = {**matrix.REACH, "custom": ("/v1", "")}  # of speech there is nothing but OpenAI's own
UPSTREAM = {"bedrock": "amazon.titan-embed-text-v2:0"}
FAULTS = {name: matrix.FAULTS[name] for name in ("good", "refused", "tls", "silent", "slowhead", "first", "cut", "malformed", "limited", "limited0",
                                                 "locked", "busy", "oversized")}
NO_SUCH = {("speak", "malformed"), ("speak_stream", "malformed"),  # sound has no form
           ("speak_stream", "oversized"),  # a stream may be as long as it likes
           ("embed", "oversized"), ("models", "oversized"), ("fine_tune_status", "oversized"), ("transcribe_stream", "oversized")}


class Work(matrix.Faults):
    def configuration(self):
        providers, models = [], []
        for dialect, (behind, more) in REACH.items():
            for fault, (knobs, short, *_) in {**FAULTS, **matrix.GONE}.items():
                url = f"{self.mock.base_url}/mock/{matrix.OWN.get((dialect, fault), knobs)}{behind}"
                if fault == "refused":
                    url = f"http://127.0.0.1:{harness.free_port()}{behind}"
                if fault == "tls":
                    url = f"https://127.0.0.1:{self.tls.port}{behind}"
                limits = {**dict.fromkeys(("connect_ms", "headers_ms", "first_ms", "idle_ms", "total_ms"), matrix.FAR_MS),
                          **({short: matrix.SHORT_MS} if short else {})}
                key = "aws" if dialect.startswith("bedrock") else "key"
                providers.append(f"  - {{name: p-{dialect}-{fault}, dialect: {dialect}, base_url: '{url}', key: {{file: {key}}}, attempts: 1, "
                                 + "".join(f"{name}: {ms}, " for name, ms in limits.items()) + f"{more}}}\n")
                models += [f"  - {{name: {dialect}-{fault}-{kind}, kind: {kind}, executor: RemoteApiAdapter, provider: p-{dialect}-{fault}, "
                           f"upstream: '{UPSTREAM.get(dialect, 'm')}'}}\n" for kind in ("embedding", "transcription", "speech")]
        return "providers:\n" + "".join(providers) + "models:\n" + "".join(models)

    def begin(self, verb, dialect, fault):
        kind, ask, _, in_pieces = WORK[verb]
        ask = {**ask, "model": f"{dialect}-{fault}-{kind}"} if kind else {**ask, "provider": f"p-{dialect}-{fault}"}
        if verb == "embed":
            ask = {"request": json.dumps(ask)}
        return self.asker.request("RemoteApiAdapter", verb, ask, flags=Flag.STREAM if in_pieces else 0, window=matrix.WINDOW, deadline_s=60)

    def ends(self, cells):
        """How each request ended: (pieces, reply or RemoteError)."""
        pieces, ends = {request: 0 for request in cells}, {}
        while len(ends) < len(cells):
            try:
                message = self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR)
            except TimeoutError:
                self.fail(f"no end of {[cell for request, cell in cells.items() if request not in ends]}")
            if message.kind == Kind.CHUNK:
                pieces[message.id] += 1
            elif message.kind == Kind.ERROR:
                ends[message.id] = (pieces[message.id], RemoteError(harness.Status(message.status), message.data))
            else:
                ends[message.id] = (pieces[message.id], message.data)
        return ends

    def judge(self, verb, dialect, fault, pieces, end):
        cause, code, retry_after_us = FAULTS[fault][2], FAULTS[fault][4], FAULTS[fault][5]
        if cause == "done":
            self.assertNotIsInstance(end, RemoteError)
            self.assertTrue(pieces > 0 or not WORK[verb][3])
            return
        self.assertIsInstance(end, RemoteError)
        self.assertEqual((end.status.name, end.body["http_status"], pieces), (*matrix.TOLD[cause], 0), end.body)
        who = f"{dialect}-{fault}-{WORK[verb][0]}: " if WORK[verb][0] else f"p-{dialect}-{fault}: "
        self.assertTrue(end.body["message"].startswith(who), end.body)
        if code:
            self.assertEqual(end.body["code"], code, end.body)
        if retry_after_us is not None:
            self.assertEqual(end.body.get("retry_after_us", 0), retry_after_us, end.body)

    def test_all_cells(self):
        cells = {self.begin(verb, dialect, fault): (verb, dialect, fault)
                 for verb, (_, _, dialects, _) in WORK.items() for dialect in dialects for fault in FAULTS if (verb, fault) not in NO_SUCH}
        self.assertGreater(len(cells), 250)
        for request, end in self.ends(cells).items():
            verb, dialect, fault = cells[request]
            with self.subTest(verb=verb, dialect=dialect, fault=fault):
                self.judge(verb, dialect, fault, *end)

    def test_the_caller_goes(self):
        """Each is taken back from its provider, which waits before its head."""
        cells = {self.begin(verb, dialect, "hushed") for verb, (_, _, dialects, _) in WORK.items() for dialect in dialects}
        self.mock.wait_stats(lambda stats: stats["requests"] >= len(cells))
        for request in cells:
            self.asker.send(Kind.CANCEL, id=request)
        stats = self.mock.wait_stats(lambda stats: stats["cancelled"]["count"] >= len(cells))
        self.assertEqual((stats["requests"], stats["cancelled"]["count"]), (len(cells), len(cells)))


if __name__ == "__main__":
    harness.main()
