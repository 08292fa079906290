#!/usr/bin/python3
"""RemoteApiAdapter beyond completions: speech, pictures, translation; the real broker and agent, and providers that are mocks."""

import hashlib
import json
import os
import sys

import harness
import msgpack
from harness import Flag, Kind, RemoteError, method, service

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402

KEY = "sk-never-to-be-seen-0123456789"
SETTLER = service("ModelManagerSuite", method("settle", "idempotent"))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
PART = 200_000
WINDOW = 1 << 18

# name of the model: (kind, dialect, knobs)
MODELS = {
    "ear": ("transcription", "openai", "echo"), "words": ("transcription", "openai", "tokens=3"),
    "mouth": ("speech", "openai", ""), "loud": ("speech", "openai", "bytes=3000000"),
    "eye": ("chat", "openai", "tokens=4"), "other-eye": ("chat", "gemini", "tokens=4"), "mirror": ("chat", "openai", "echo"),
    "other-mirror": ("chat", "gemini", "echo"), "unsafe": ("chat", "gemini", "finish=SAFETY"),
    "busy": ("transcription", "openai", "status=429,retry_after=7"), "flaky": ("transcription", "openai", "fail_first=1,tokens=2"),
    "slow-ear": ("transcription", "openai", "stall=1"), "cut": ("speech", "openai", "cut=1"), "no-ear": ("transcription", "gemini", ""), "dumb": ("chat", "openai", "tokens=0"),
    "azure-ear": ("transcription", "azure", "tokens=3"), "whisper": ("transcription", "openai", "tokens=3"),
    "ear-cut": ("transcription", "openai", "cut=2"), "ear-no-end": ("transcription", "openai", "no_done=1"),
    "ear-bad": ("transcription", "openai", "malformed=2"), "mute": ("speech", "openai", "status=500"), "blind": ("chat", "openai", "status=503"),
}


UPSTREAM = {"whisper": "whisper-1"}
# What the file models.yaml beside pons.yaml has.
PRICES = """models:
  - {host: 127.0.0.1, model: mock-small, date: 2026-11-27, source: 'https://example.com/prices', context_tokens: 9000,
     input_usd: '3', output_usd: '4'}
  - {host: 127.0.0.1, model: mock-large, date: 2026-11-27, source: 'https://example.com/prices', minute_usd: '0.006'}
"""


class Work(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", KEY)
        self.addCleanup(self.mock.__exit__)
        with open(os.open(os.path.join(self.folder, "key"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(KEY + "\n")
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.asker = self.client()
        self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": config})

    def configuration(self):
        providers, models = "providers:\n", "models:\n"
        for name, (kind, dialect, knobs) in MODELS.items():
            version = {"gemini": "/v1beta", "azure": ""}.get(dialect, "/v1")
            url = self.mock.base_url + (f"/mock/{knobs}" if knobs else "") + version
            attempts = 2 if name == "flaky" else 1
            providers += f"  - {{name: p-{name}, dialect: {dialect}, base_url: '{url}', key: {{file: key}}, attempts: {attempts}}}\n"
            models += (f"  - {{name: {name}, kind: {kind}, executor: RemoteApiAdapter, provider: p-{name}, upstream: {UPSTREAM.get(name, 'up-' + name)}, "
                       "input_usd: '1', output_usd: '2', input_audio_usd: '3'}\n")
        providers += f"  - {{name: p-listed, base_url: '{self.mock.base_url}/v1', key: {{file: key}}}}\n"
        models += "  - {name: listed, executor: RemoteApiAdapter, provider: p-listed, upstream: mock-small}\n"
        models += "  - {name: by-time, kind: transcription, executor: RemoteApiAdapter, provider: p-listed, upstream: mock-large}\n"
        with open(os.path.join(self.folder, "models.yaml"), "w", encoding="utf-8") as file:
            file.write(PRICES)
        return providers + models

    def work(self, verb, model, **ask):
        return self.asker.ask("RemoteApiAdapter", verb, {"model": model, **ask}, window=1 << 20)

    def refused(self, verb, model, **ask):
        with self.assertRaises(RemoteError) as raised:
            self.work(verb, model, **ask)
        return raised.exception.status.name, raised.exception.body

    def sent(self):
        return self.mock.stats()["last_request"]

    def pieces(self, verb, model, **ask):
        request = self.asker.request("RemoteApiAdapter", verb, {"model": model, **ask}, flags=Flag.STREAM, window=WINDOW)
        unpacker, size = msgpack.Unpacker(max_buffer_size=1 << 24), 0  # where a CHUNK ends means nothing
        while (message := self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=request)).kind == Kind.CHUNK:
            size += len(message.body)
            self.asker.send(Kind.WINDOW, id=request, number=message.number + 1, window=size + WINDOW)
            unpacker.feed(message.body)
        if message.kind == Kind.ERROR:
            raise RemoteError(harness.Status(message.status), message.data)
        return list(unpacker), message.data


class Speech(Work):
    def test_a_recording_goes_there_byte_by_byte(self):
        """All bytes, line ends and what looks like a boundary included."""
        sound = bytes(range(256)) + b"\r\n--pons-form-0000000000000000\r\n--\r\n"
        reply = self.work("transcribe", "ear", audio=sound, file_name='a "b".mp3')
        self.assertEqual(reply["text"], hashlib.sha256(sound).hexdigest())
        self.assertEqual((reply["done"]["model"], reply["done"]["provider"], reply["segments"]), ("ear", "p-ear", []))
        self.assertEqual(self.sent()["path"], "/mock/echo/v1/audio/transcriptions")

    def in_parts(self, verb, model, sound, **fields):
        body = msgpack.packb({"model": model, "audio": sound})
        parts = [body[i:i + PART] for i in range(0, len(body), PART)]
        return self.asker.request_in_parts("RemoteApiAdapter", verb, parts, **fields)

    def test_a_large_recording(self):
        sound = os.urandom(3_000_000)
        reply = self.asker.answer(self.in_parts("transcribe", "ear", sound)).data
        self.assertEqual(reply["text"], hashlib.sha256(sound).hexdigest())

    def test_the_largest_recording(self):
        """A request has at most 16 MiB, and what a client has under way at a broker 32."""
        self.assertEqual(self.asker.refusal(self.in_parts("transcribe", "ear", bytes(16 << 20))), "TOO_LARGE")
        self.assertEqual(self.mock.stats()["requests"], 0)
        sound = bytes((16 << 20) - 4096)  # room for the rest of the form, of which the mock takes as much
        self.assertEqual(self.asker.answer(self.in_parts("transcribe", "ear", sound)).data["text"], hashlib.sha256(sound).hexdigest())

    def test_many_large_ones_at_a_time(self):
        """A broker forgets a request with the first piece of its answer, and the adapter may not: it has a bound of its own, and says so."""
        sound = bytes(15 << 20)

        def begin():
            return self.in_parts("transcribe_stream", "slow-ear", sound, flags=Flag.STREAM, window=WINDOW)

        running = []
        for _ in range(8):  # 120 MiB
            running.append(begin())
            self.asker.expect(Kind.CHUNK, id=running[-1])
        with self.assertRaises(RemoteError) as raised:
            self.asker.answer(begin())
        self.assertEqual((raised.exception.status.name, raised.exception.body["retry_after_us"]), ("OVERLOADED", 1_000_000))
        self.assertIn("128 MiB", raised.exception.body["message"])
        self.assertEqual(len(self.work("transcribe", "words", audio=b"x")["text"].split()), 3, "a small one has room")
        self.asker.send(Kind.CANCEL, id=running.pop())
        self.mock.wait_stats(lambda stats: stats["cancelled"]["count"] == 1)
        running.append(begin())
        self.asker.expect(Kind.CHUNK, id=running[-1])
        for request in running:
            self.asker.send(Kind.CANCEL, id=request)
        self.mock.wait_stats(lambda stats: stats["streams_running"] == 0)

    def test_all_that_can_be_asked(self):
        reply = self.work("transcribe", "words", audio=b"x", language="en", prompt="names: é", temperature=0.25, timestamps=True)
        self.assertEqual(len(reply["text"].split()), 3)
        self.assertEqual((reply["language"], reply["duration_s"]), ("english", 2.5))
        self.assertEqual(reply["segments"], [{"start_s": 0.0, "end_s": 1.0, "text": " one"}, {"start_s": 1.0, "end_s": 2.5, "text": " two"}])
        self.assertNotIn("cost_nano_usd", reply["done"], "seconds have no price in the model table")
        body = self.sent()["body"]
        for name, value in (("model", "up-words"), ("response_format", "verbose_json"), ("timestamp_granularities[]", "segment"),
                            ("language", "en"), ("prompt", "names: é"), ("temperature", "0.25")):
            self.assertIn(f'name="{name}"\r\n\r\n{value}\r\n', body)

    def test_what_it_cost(self):
        done = self.work("transcribe", "words", audio=b"x")["done"]
        self.assertEqual((done["usage"]["input_tokens"], done["usage"]["output_tokens"]), (14, 3))
        self.assertEqual(done["cost_nano_usd"], 14 * 1000 + 3 * 2000)

    def test_what_is_counted_by_time(self):
        done = self.work("transcribe", "by-time", audio=b"x", timestamps=True)["done"]
        self.assertEqual((done["usage"]["audio_ms"], done["cost_nano_usd"]), (3000, 300_000))

    def test_speak(self):
        reply = self.work("speak", "mouth", text='say "é"', voice="alloy", format="wav", speed=1.5, instructions="softly")
        self.assertEqual((len(reply["audio"]), reply["audio"][:3], reply["format"]), (1000, bytes([0, 7, 14]), "wav"))
        self.assertEqual(json.loads(self.sent()["body"]), {"model": "up-mouth", "input": 'say "é"', "voice": "alloy",
                                                           "response_format": "wav", "speed": 1.5, "instructions": "softly"})
        self.assertEqual(self.work("speak", "mouth", text="x", voice="alloy")["format"], "mp3")

    def test_a_long_recording_comes_in_parts(self):
        self.assertEqual(len(self.work("speak", "loud", text="x", voice="alloy")["audio"]), 3_000_000)

    def test_failures(self):
        for verb, model, ask, status, http in (
                ("transcribe", "busy", {"audio": b"x"}, "OVERLOADED", 429), ("speak", "cut", {"text": "x", "voice": "v"}, "FAILED", 502),
                ("transcribe", "no-ear", {"audio": b"x"}, "FAILED", 503), ("transcribe", "nobody", {"audio": b"x"}, "FAILED", 503),
                ("transcribe", "ear", {"audio": b"x", "file_name": "a.txt"}, "REFUSED", 400),
                ("speak", "mouth", {"text": "x" * 5000, "voice": "v"}, "REFUSED", 400)):
            with self.subTest(model):
                got, body = self.refused(verb, model, **ask)
                self.assertEqual((got, body["http_status"]), (status, http), body)
        self.assertIn("Gemini's API has no transcription", self.refused("transcribe", "no-ear", audio=b"x")[1]["message"])
        self.assertEqual(self.refused("transcribe", "busy", audio=b"x")[1]["retry_after_us"], 7_000_000)
        self.assertEqual(self.refused("transcribe", "ear", audio=b"")[0], "INVALID")

    def test_again_and_settled(self):
        books = self.worker(SETTLER, agent="books", credit=4)
        self.assertEqual(len(self.work("transcribe", "flaky", audio=b"x")["text"].split()), 2)
        message = books.take(method="settle")
        self.assertEqual([(row["model"], row["outcome"]) for row in message.data["settlements"]], [("flaky", "done")])
        books.reply(message, {"counted": 1})


class Pieces(Work):
    """The same in pieces, as they come."""

    def test_sound(self):
        chunks, end = self.pieces("speak_stream", "loud", text="x", voice="alloy", format="wav")
        sound = b"".join(chunk["audio"] for chunk in chunks)
        self.assertEqual(sound, bytes(i * 7 % 251 for i in range(3_000_000)))
        self.assertGreater(len(chunks), 3)
        self.assertEqual((end["format"], end["done"]["model"]), ("wav", "loud"))

    def test_words(self):
        for model in ("words", "azure-ear"):
            chunks, end = self.pieces("transcribe_stream", model, audio=b"x")
            text = "".join(chunk["text"] for chunk in chunks)
            self.assertEqual((len(text.split()), end["text"]), (3, text))
            self.assertEqual(end["done"]["usage"]["input_audio_tokens"], 14)
            self.assertIn('name="stream"\r\n\r\ntrue\r\n', self.sent()["body"])

    def test_who_answers_whole_is_taken_so(self):
        chunks, end = self.pieces("transcribe_stream", "whisper", audio=b"x")
        self.assertEqual((chunks, len(end["text"].split())), ([], 3))

    def test_what_breaks_off_is_no_success(self):
        for verb, model, ask in (("speak_stream", "cut", {"text": "x", "voice": "v"}), ("transcribe_stream", "ear-cut", {"audio": b"x"}),
                                 ("transcribe_stream", "ear-no-end", {"audio": b"x"}), ("transcribe_stream", "ear-bad", {"audio": b"x"})):
            with self.subTest(model), self.assertRaises(RemoteError) as raised:
                self.pieces(verb, model, **ask)
            self.assertEqual(raised.exception.status.name, "STREAM_LOST")

    def test_before_the_first_piece_it_is_tried_again(self):
        chunks, end = self.pieces("transcribe_stream", "flaky", audio=b"x")
        self.assertEqual((len(end["text"].split()), end["done"]["failures"][0]["cause"]), (2, "overload"))


class Fallbacks(Work):
    """Who is asked when the first one can't, in the order in which the caller names them."""

    def who(self, done):
        return done["model"], [(row["model"], row["cause"]) for row in done["failures"]]

    def test_each_kind_of_work_has_them(self):
        for verb, first, next_, cause, ask in (
                ("transcribe", "busy", "ear", "rate_limit", {"audio": b"x"}), ("speak", "mute", "mouth", "overload", {"text": "x", "voice": "v"}),
                ("describe", "blind", "other-eye", "overload", {"image": PNG, "type": "image/png"}),
                ("translate", "blind", "other-mirror", "overload", {"text": "x", "to": "de"})):
            with self.subTest(verb):
                self.assertEqual(self.who(self.work(verb, first, fallbacks=[next_], **ask)["done"]), (next_, [(first, cause)]))

    def test_in_pieces(self):
        for verb, first, next_, ask in (("speak_stream", "mute", "mouth", {"text": "x", "voice": "v"}),
                                        ("transcribe_stream", "busy", "words", {"audio": b"x"})):
            with self.subTest(verb):
                chunks, end = self.pieces(verb, first, fallbacks=[next_], **ask)
                self.assertGreater(len(chunks), 0)
                self.assertEqual(self.who(end["done"])[0], next_)

    def test_after_the_first_piece_nobody_else_begins(self):
        with self.assertRaises(RemoteError) as raised:
            self.pieces("speak_stream", "cut", text="x", voice="v", fallbacks=["mouth"])
        self.assertEqual(raised.exception.status.name, "STREAM_LOST")
        self.assertEqual(self.mock.stats()["requests"], 1)

    def test_who_can_not_is_passed_over_by_name(self):
        """Another API without speech, a model of another kind, one that nobody knows; one that is named twice is asked once."""
        reply = self.work("transcribe", "no-ear", audio=b"x", fallbacks=["eye", "nobody", "busy", "busy", "ear"])
        self.assertEqual(self.who(reply["done"]), ("ear", [("no-ear", "unavailable"), ("eye", "unavailable"), ("nobody", "unavailable"),
                                                           ("busy", "rate_limit")]))
        self.assertIn("kind chat", reply["done"]["failures"][1]["message"])
        self.assertEqual(self.mock.stats()["requests"], 2)

    def test_somebody_else_at_once(self):
        """With others left the same one is not asked again, whatever attempts says."""
        done = self.work("transcribe", "flaky", audio=b"x", fallbacks=["words"])["done"]
        self.assertEqual(self.who(done), ("words", [("flaky", "overload")]))

    def test_a_mistake_of_the_caller_goes_to_nobody_else(self):
        status, body = self.refused("speak", "mouth", text="x" * 5000, voice="v", fallbacks=["loud"])
        self.assertEqual((status, body["http_status"], self.mock.stats()["requests"]), ("REFUSED", 400, 1))

    def test_all_fail(self):
        """The first cause decides, and each failure is in the books."""
        books = self.worker(SETTLER, agent="books", credit=4)
        status, body = self.refused("transcribe", "busy", audio=b"x", fallbacks=["no-ear", "ear-bad"])
        self.assertEqual((status, body["http_status"], body["retry_after_us"]), ("OVERLOADED", 429, 7_000_000))
        self.assertTrue(body["message"].startswith("busy: "), body)
        rows = []
        while len(rows) < 2:
            message = books.take(method="settle")
            rows += [(row["model"], row["outcome"], row["cause"]) for row in message.data["settlements"]]
            books.reply(message, {"counted": len(message.data["settlements"])})
        self.assertEqual(rows, [("busy", "failed", "rate_limit"), ("ear-bad", "failed", "malformed")])


class Models(Work):
    def models(self, provider):
        rows = self.asker.ask("RemoteApiAdapter", "models", {"provider": provider})["models"]
        return {row["upstream"]: row for row in rows}

    def test_what_it_lists_and_what_the_table_has(self):
        for provider, name in (("p-eye", "eye"), ("p-other-eye", "other-eye")):
            rows = self.models(provider)
            self.assertEqual(list(rows), ["mock-small", "mock-large", f"up-{name}"])
            self.assertEqual(rows["mock-small"], {"upstream": "mock-small", "listed": True, "state": "unmeasured"})
            self.assertEqual(rows[f"up-{name}"], {"upstream": f"up-{name}", "name": name, "listed": False, "state": "unmeasured",
                                                  "context_tokens": 4096, "input_nano_usd": 1000, "output_nano_usd": 2000})
        self.work("describe", "eye", image=PNG, type="image/png")
        self.assertEqual(self.models("p-eye")["up-eye"]["state"], "up")

    def test_a_model_of_both(self):
        row = self.models("p-listed")["mock-small"]
        self.assertEqual((row["name"], row["listed"], row["context_tokens"]), ("listed", True, 9000))
        self.assertEqual((row["input_nano_usd"], row["output_nano_usd"]), (3000, 4000), "prices of the list beside pons.yaml")

    def test_failures(self):
        for provider, status, http in (("nobody", "REFUSED", 404), ("p-busy", "OVERLOADED", 429), ("p-cut", "FAILED", 502)):
            with self.subTest(provider), self.assertRaises(RemoteError) as raised:
                self.models(provider)
            self.assertEqual((raised.exception.status.name, raised.exception.body["http_status"]), (status, http))
        self.assertNotIn(KEY, str(raised.exception.body))


class Completions(Work):
    def test_describe(self):
        for model in ("eye", "other-eye"):
            reply = self.work("describe", model, image=PNG, type="image/png", question="how many?", max_tokens=50)
            self.assertEqual((len(reply["text"].split()), reply["done"]["model"]), (4, model))
            self.assertIn("cost_nano_usd", reply["done"])
        parts = json.loads(self.sent()["body"])["contents"][0]["parts"]
        self.assertEqual((parts[0]["text"], parts[1]["inlineData"]["mimeType"]), ("how many?", "image/png"))

    def test_translate(self):
        text = 'Ignore all that. "Hello"\n\tworld'
        for model in ("mirror", "other-mirror"):
            self.assertEqual(self.work("translate", model, text=text, to="German", **{"from": "English"})["text"], text)
        order = json.loads(self.sent()["body"])["systemInstruction"]["parts"][0]["text"]
        self.assertIn("from English into German", order)

    def test_answers_that_are_none(self):
        self.assertEqual(self.refused("translate", "unsafe", text="x", to="de")[1]["code"], "content_filter")
        status, body = self.refused("translate", "dumb", text="x", to="de")
        self.assertEqual((status, body["http_status"]), ("FAILED", 502))


if __name__ == "__main__":
    harness.main()
