#!/usr/bin/python3
"""A language model on this machine: the real agent, the real libllama, and models that the build has written."""

import base64
import io
import json
import math
import os
import shutil
import struct
import time
import unittest

import harness
import msgpack
from harness import Flag, Kind, method, service

SERVICE = "TinyLlamaServiceEnhanced"
AGENT = "tiny_llama_service_enhanced"
ANSWER = "Hello, I am the local test model."
SHARE = os.path.join(harness.BUILD, "share")
CHAIN, RANDOM = (os.path.join(SHARE, name) for name in ("pons-selftest.gguf", "pons-selftest-random.gguf"))
INTENT = r'''root ::= "{\"intent\":\"" ("music" | "light") "\",\"n\":" [1-9] [0-9]? "}"'''


NO_LIBRARY = "built without libllama: run deploy/llm and build again"


def has_library():
    with open(os.path.join(harness.BIN, f"pons-agent-{AGENT}"), "rb") as file:
        return b"libllama.v" in file.read()


def words(text="Hi!"):
    return [{"role": "user", "content": text}]


def events_of(chunk):
    """The events of a CHUNK: pieces that were ready together travel as one."""
    text = "".join(piece["events"] for piece in msgpack.Unpacker(io.BytesIO(chunk.body)))
    assert text.endswith("\n\n"), text
    return [json.loads(event.removeprefix("data: ")) for event in text[:-2].split("\n\n")]


class Local(harness.Fleet):
    """One agent with one of the models."""
    MODEL = CHAIN
    OPTIONS = ""

    def setUp(self):
        super().setUp()
        self.asker = self.client()
        self.agent = self.start_local(self.MODEL, self.OPTIONS)

    def configure(self, model, options=""):
        """A pons.yaml for the agent: its path."""
        path = os.path.join(self.folder, "local.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("local_llm:\n  model: pons-selftest\n" + (f"  file: {model}\n" if model else "") + options)
        return path

    def start_local(self, model, options=""):
        return self.start_agent(AGENT, environment={"PONS_CONFIG": self.configure(model, options)})

    def status(self):
        return self.asker.ask(SERVICE, "status", {})

    def wait_status(self, state, words=""):
        """Asks for the status until it is so; the agent's answer is what is waited for each time."""
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            model = self.status()["models"][0]
            if model["state"] == state and words in model["about"]:
                return model
            self.assertLess(time.monotonic(), due, f"{model} is not {state} with {words}")
            self.asker.socket.poll(5)

    def body(self, messages=None, **members):
        return {"request": json.dumps({"messages": messages or words(), **members})}

    def ask(self, messages=None, **members):
        """The reply, with its JSON as .json."""
        reply = self.asker.ask(SERVICE, "generate", self.body(messages, **members))
        return reply, json.loads(reply["response"])

    def text(self, messages=None, **members):
        return self.ask(messages, **members)[1]["choices"][0]["message"]["content"]

    def stream(self, messages=None, **members):
        """A stream: its events, and the reply."""
        request = self.asker.request(SERVICE, "generate", self.body(messages, stream=True, **members), flags=Flag.STREAM,
                                     window=1 << 20)
        events = []
        while True:
            message = self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=request)
            if message.kind != Kind.CHUNK:
                self.assertEqual(message.kind, Kind.REPLY, message.data)
                return events, message.data
            events += events_of(message)

    def refused(self, status, messages=None, **members):
        """The body of the error that a request ends with."""
        with self.assertRaises(harness.RemoteError) as caught:
            self.asker.ask(SERVICE, "generate", self.body(messages, **members))
        self.assertEqual(caught.exception.status.name, status, caught.exception)
        return caught.exception.body


@unittest.skipUnless(has_library(), NO_LIBRARY)
class Answers(Local):
    def test_plain(self):
        reply, body = self.ask()
        self.assertEqual(body["choices"], [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}])
        self.assertEqual((body["object"], body["model"]), ("chat.completion", "pons-selftest"))
        self.assertTrue(body["id"].startswith("chatcmpl-"))
        self.assertEqual(body["usage"]["completion_tokens"], 9)
        self.assertEqual(reply["usage"], {"input_tokens": body["usage"]["prompt_tokens"], "output_tokens": 9, "estimated": False})
        self.assertEqual((reply["model"], reply["failures"]), ("pons-selftest", []))
        self.assertTrue(reply["executor"].startswith(AGENT + ":"))
        self.assertLessEqual(reply["first_us"], reply["took_us"])

    def test_streamed(self):
        events, reply = self.stream()
        self.assertEqual(events[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(event["choices"][0]["delta"].get("content", "") for event in events), ANSWER)
        self.assertEqual([event["choices"][0]["finish_reason"] for event in events], [None] * (len(events) - 1) + ["stop"])
        self.assertEqual({(event["object"], event["model"], event["id"]) for event in events},
                         {("chat.completion.chunk", "pons-selftest", events[0]["id"])})
        self.assertNotIn("response", reply)
        self.assertEqual(reply["usage"]["output_tokens"], 9)

    def test_usage_in_the_stream(self):
        events, reply = self.stream(stream_options={"include_usage": True})
        self.assertEqual(events[-1]["choices"], [])
        self.assertEqual(events[-1]["usage"]["completion_tokens"], 9)
        self.assertEqual(events[-1]["usage"]["prompt_tokens"], reply["usage"]["input_tokens"])
        self.assertTrue(all(event["usage"] is None for event in events[:-1]))

    def test_two_in_a_row_and_at_once(self):
        self.assertEqual([self.text(), self.text()], [ANSWER, ANSWER])
        requests = [self.asker.request(SERVICE, "generate", self.body()) for _ in range(8)]
        for request in requests:
            response = json.loads(self.asker.answer(request).data["response"])
            self.assertEqual(response["choices"][0]["message"]["content"], ANSWER)

    def test_stop_strings(self):
        for stop, shown in (("model", "Hello, I am the local test "), (["nothing", "l te"], "Hello, I am the loca"), (["H"], "")):
            _, body = self.ask(stop=stop)
            self.assertEqual((body["choices"][0]["message"]["content"], body["choices"][0]["finish_reason"]), (shown, "stop"))
            events, _ = self.stream(stop=stop)
            self.assertEqual("".join(event["choices"][0]["delta"].get("content", "") for event in events), shown)

    def test_max_tokens(self):
        _, body = self.ask(max_tokens=3)
        self.assertEqual(body["choices"][0], {"index": 0, "message": {"role": "assistant", "content": "Hello, I"}, "finish_reason": "length"})
        self.assertEqual(body["usage"]["completion_tokens"], 3)

    def test_marks_in_a_users_text_are_letters(self):
        """The mark for the end of a turn is one token in the template, and four letters in a user's text."""
        tokens = [self.ask(words(text))[1]["usage"]["prompt_tokens"] for text in ("abcd", "</s>")]
        self.assertEqual(tokens[0], tokens[1])

    def test_refused_by_name(self):
        for members, field in (({"tools": [{"type": "function"}]}, "tools"), ({"n": 2}, "n"), ({"temperature": 9}, "temperature"),
                               ({"response_format": {"type": "regex"}}, "response_format")):
            error = self.refused("REFUSED", **members)
            self.assertEqual((error["path"], error["http_status"]), (field, 400))
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
        self.assertEqual(self.refused("REFUSED", image)["code"], "unsupported_content")

    def test_status(self):
        model = self.wait_status("up")
        self.assertEqual((model["name"], model["about"]), ("pons-selftest", ""))


@unittest.skipUnless(has_library(), NO_LIBRARY)
class Random(Local):
    """The model whose answers have no end of their own."""
    MODEL = RANDOM

    def stuck(self):
        """A stream whose reader takes no more than its first piece: the model is in its hands until it ends."""
        request = self.asker.request(SERVICE, "generate", self.body(temperature=0, stream=True), flags=Flag.STREAM, window=1)
        self.asker.expect(Kind.CHUNK, id=request)
        return request

    def wait_running(self, count):
        due = time.monotonic() + harness.DEADLINE_S
        while (running := self.status()["running"]) != count:
            self.assertLess(time.monotonic(), due, f"{running} are running, and not {count}")

    def test_same_seed_same_answer(self):
        answers = [self.text(seed=seed, max_tokens=40) for seed in (5, 5, 6)]
        self.assertEqual(answers[0], answers[1])
        self.assertNotEqual(answers[0], answers[2])
        self.assertEqual(self.text(temperature=0, max_tokens=40), self.text(temperature=0, max_tokens=40))

    def test_grammars(self):
        for seed in range(5):
            found = json.loads(self.text(grammar=INTENT, seed=seed))
            self.assertIn(found["intent"], ("music", "light"))
            self.assertIsInstance(found["n"], int)
        # Chance alone may go on for long; what it wrote until then is the beginning of an object.
        self.assertTrue(self.text(response_format={"type": "json_object"}, seed=1, max_tokens=200).startswith("{"))
        self.assertIn("no GBNF", self.refused("REFUSED", grammar="nonsense")["message"])

    def test_schemas(self):
        """As the Python SDK sends a pydantic model: $defs, titles, null for what may be absent."""
        mood = {"enum": ["good", "bad"], "title": "Mood", "type": "string"}
        schema = {"$defs": {"Mood": mood}, "type": "object", "title": "Note", "additionalProperties": False,
                  "properties": {"mood": {"$ref": "#/$defs/Mood"}, "day": {"type": "string", "format": "date"},
                                 "stars": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 5}, {"type": "null"}]}},
                  "required": ["mood", "day", "stars"]}
        form = {"type": "json_schema", "json_schema": {"name": "note", "strict": True, "schema": schema}}
        for seed in range(5):
            found = json.loads(self.text(response_format=form, seed=seed))
            self.assertEqual(list(found), ["mood", "day", "stars"])
            self.assertIn(found["mood"], ("good", "bad"))
            self.assertIn(found["stars"], (1, 2, 3, 4, 5, None))
            self.assertRegex(found["day"], r"^\d{4}-[01]\d-[0-3]\d$")
        mood["pattern"] = "^g"
        wrong = self.refused("REFUSED", response_format=form)
        self.assertIn('json_schema.schema.$defs.Mood: "pattern" can\'t be kept to', wrong["message"])

    def test_whole_characters(self):
        """Bytes that are no UTF-8 become U+FFFD, and no event ends in the middle of a character."""
        events, _ = self.stream(seed=3, temperature=2, max_tokens=300, top_k=0)
        streamed = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
        self.assertEqual(self.text(seed=3, temperature=2, max_tokens=300, top_k=0), streamed)

    def test_the_context_is_the_limit(self):
        _, body = self.ask(temperature=0)
        self.assertEqual(body["choices"][0]["finish_reason"], "length")
        self.assertEqual(body["usage"]["total_tokens"], 2048)
        error = self.refused("REFUSED", words("x" * 3000))
        self.assertIn("and the context has 2048", error["message"])

    def test_cancel(self):
        request = self.stuck()
        self.wait_running(1)
        self.asker.send(Kind.CANCEL, id=request)
        self.wait_running(0)
        self.text(max_tokens=1)

    def test_cancelled_while_it_computes(self):
        request = self.asker.request(SERVICE, "generate", self.body(temperature=0, stream=True), flags=Flag.STREAM, window=1 << 20)
        self.asker.expect(Kind.CHUNK, id=request)
        self.asker.send(Kind.CANCEL, id=request)
        self.wait_running(0)
        self.text(max_tokens=1)

    def test_what_waits_can_be_taken_back(self):
        stuck = self.stuck()
        late = self.asker.request(SERVICE, "generate", self.body(), deadline_s=0.3)
        waiting = self.asker.request(SERVICE, "generate", self.body(max_tokens=2))
        unwanted = self.asker.request(SERVICE, "generate", self.body())
        self.ends("DEADLINE", self.asker, late)
        self.asker.send(Kind.CANCEL, id=unwanted)
        self.wait_running(2)
        self.asker.send(Kind.CANCEL, id=stuck)
        self.assertEqual(self.asker.answer(waiting).data["usage"]["output_tokens"], 2)

    def test_ends_when_what_it_has_is_answered(self):
        request = self.stuck()
        self.agent.terminate()
        self.assertTrue(self.agent.notify.wait("STOPPING=1", self.agent.process))
        self.asker.send(Kind.CANCEL, id=request)
        self.assertEqual(self.agent.wait(), 0)

    def embed(self, **members):
        reply = self.asker.ask(SERVICE, "embed", {"request": json.dumps(members)})
        return reply, json.loads(reply["response"])

    def test_embeddings(self):
        reply, one = self.embed(input="turn on the light")
        self.assertEqual((one["object"], one["model"], len(one["data"])), ("list", "pons-selftest", 1))
        values = one["data"][0]["embedding"]
        self.assertEqual(len(values), 64)
        self.assertAlmostEqual(math.sqrt(sum(value * value for value in values)), 1, places=5)
        self.assertEqual(reply["usage"]["input_tokens"], one["usage"]["prompt_tokens"])
        _, list_ = self.embed(input=["I am", "turn on the light"], encoding_format="base64")
        self.assertEqual([row["index"] for row in list_["data"]], [0, 1])
        again = struct.unpack("<64f", base64.b64decode(list_["data"][1]["embedding"]))
        for a, b in zip(values, again):
            self.assertAlmostEqual(a, b, places=6)
        with self.assertRaises(harness.RemoteError) as caught:
            self.embed(input=[1, 2])
        self.assertEqual(caught.exception.status.name, "REFUSED")


@unittest.skipUnless(has_library(), NO_LIBRARY)
class NotThere(Local):
    """What is missing is named, with what to do; it is looked for again."""
    MODEL = None

    def unavailable(self, words):
        self.assertIn(words, self.wait_status("unavailable", words)["about"])
        error = self.refused("FAILED")
        self.assertEqual(error["code"], "unavailable")
        self.assertIn(words, error["message"])

    def test_no_file(self):
        self.unavailable("name it in local_llm.file")

    def test_a_file_that_comes_later(self):
        path = os.path.join(self.folder, "model.gguf")
        self.agent = self.replace(path)
        self.unavailable("No such file")
        shutil.copyfile(CHAIN, path)
        self.assertEqual(self.text(), ANSWER)
        self.wait_status("up")

    def test_bad_files(self):
        path = os.path.join(self.folder, "model.gguf")
        with open(path, "wb") as file:
            file.write(b"GGML, as it was of old")
        self.agent = self.replace(path)
        self.unavailable("is no GGUF file")
        with open(CHAIN, "rb") as whole, open(path, "wb") as file:
            file.write(whole.read(20000))
        self.wait_status("unavailable", "libllama can't load")
        with open(CHAIN, "rb") as whole, open(path, "wb") as file:
            file.write(whole.read().replace(b"\x05\0\0\0\0\0\0\0llama\x0c", b"\x05\0\0\0\0\0\0\0lamas\x0c", 1))
        self.wait_status("unavailable", "lamas")
        shutil.copyfile(CHAIN, path)
        self.wait_status("up")

    def put(self, source, size=None):
        """Puts a new file in the model's place, whole and at once."""
        with open(source, "rb") as whole, open(self.path + ".new", "wb") as file:
            file.write(whole.read(size))
        os.replace(self.path + ".new", self.path)

    def test_a_file_that_changes(self):
        self.path = os.path.join(self.folder, "model.gguf")
        self.put(CHAIN)
        self.agent = self.replace(self.path)
        self.assertEqual(self.text(), ANSWER)
        self.put(RANDOM)
        self.assertNotEqual(self.text(seed=1, max_tokens=8), ANSWER)
        for source, size, words_ in ((CHAIN, 20000, "libllama can't load"), (__file__, None, "is no GGUF file")):
            self.put(source, size)
            self.assertNotEqual(self.text(seed=1, max_tokens=8), ANSWER)  # by the one before
            self.assertIn("goes on: its file has changed, and", self.wait_status("up", words_)["about"])
        self.assertEqual(self.agent.log().count("PONS-LOCAL-KEPT"), 2)
        self.text(seed=1, max_tokens=8)
        os.unlink(self.path)
        self.text(seed=1, max_tokens=8)
        self.assertEqual(self.agent.log().count("PONS-LOCAL-KEPT"), 2)  # said once for each file
        self.put(CHAIN)
        self.assertEqual(self.text(), ANSWER)
        self.assertEqual(self.wait_status("up")["about"], "")

    def test_a_file_that_changes_under_a_request(self):
        """What has begun is ended by the model that began it, and what waits behind it has the new one."""
        self.path = os.path.join(self.folder, "model.gguf")
        self.put(RANDOM)
        self.agent = self.replace(self.path)
        first = self.asker.request(SERVICE, "generate", self.body(stream=True, seed=1, max_tokens=200), flags=Flag.STREAM, window=1 << 20)
        pieces = events_of(self.asker.expect(Kind.CHUNK, id=first))
        self.put(CHAIN)
        second = self.asker.request(SERVICE, "generate", self.body())
        while (message := self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=first)).kind == Kind.CHUNK:
            pieces += events_of(message)
        self.assertEqual((message.kind, message.data["usage"]["output_tokens"]), (Kind.REPLY, 200))
        self.assertEqual(pieces[-1]["choices"][0]["finish_reason"], "length")
        self.assertEqual(json.loads(self.asker.answer(second).data["response"])["choices"][0]["message"]["content"], ANSWER)

    def test_another_library(self):
        place = os.path.join(self.folder, "lib")
        os.mkdir(place)
        os.symlink("/lib/x86_64-linux-gnu/libm.so.6", os.path.join(place, "libllama.v0.5.0.so"))
        self.agent = self.replace(CHAIN, f"  library_dir: {place}\n")
        self.unavailable("this program needs exactly 0.5.0")

    def test_no_library(self):
        self.agent = self.replace(CHAIN, f"  library_dir: {self.folder}\n")
        self.unavailable("run deploy/llm")

    def test_no_gpu(self):
        """The library that the tests have is for the CPU alone: it works, and says so."""
        self.agent = self.replace(CHAIN, "  gpu_layers: 9\n")
        self.wait_status("up", "it runs on the CPU")
        self.assertEqual(self.text(), ANSWER)

    def replace(self, model, options=""):
        self.agent.terminate()
        self.assertEqual(self.agent.wait(), 0)
        return self.start_local(model, options)


class Books(Local):
    """With a ModelManagerSuite that the test plays, and a RemoteApiAdapter."""
    MODEL = RANDOM

    def setUp(self):
        super().setUp()
        self.books = self.worker(service("ModelManagerSuite", method("settle", "idempotent")), agent="books", credit=9)
        self.remote = self.worker(service("RemoteApiAdapter", method("generate", "idempotent", "streaming")), agent="remote",
                                  credit=9)

    def settled(self):
        """The next settlement; it is acknowledged."""
        message = self.books.take()
        rows = message.data["settlements"]
        self.books.reply(message, {"counted": len(rows)})
        self.assertEqual(len(rows), 1)
        return rows[0]

    def route(self, *candidates, **more):
        """Annotations with these candidates: (model, executor)."""
        return {"size": "light", "candidates": [{"model": model, "executor": executor} for model, executor in candidates], **more}

    def forwarded(self):
        """What RemoteApiAdapter is asked, and answers."""
        message = self.remote.take()
        self.remote.reply(message, {"model": "far", "executor": "remote:1", "usage": {"estimated": False}, "took_us": 1, "failures": []})
        return message


@unittest.skipUnless(has_library(), NO_LIBRARY)
class Settled(Books):
    def test_what_was_done(self):
        reply, _ = self.ask(max_tokens=5)
        row = self.settled()
        self.assertEqual((row["outcome"], row["model"], row["usage"]), ("done", "pons-selftest", reply["usage"]))
        self.assertEqual(row["hop"], 0)
        self.assertLessEqual(row["first_us"], row["took_us"])

    def test_a_cancel_ends_the_computing(self):
        """The model would go on to the end of its context; it is stopped between two tokens."""
        request = self.asker.request(SERVICE, "generate", self.body(temperature=0, stream=True), flags=Flag.STREAM, window=20000)
        self.asker.expect(Kind.CHUNK, id=request)
        self.asker.send(Kind.CANCEL, id=request)
        row = self.settled()
        self.assertEqual(row["outcome"], "cancelled")
        self.assertLess(row["usage"]["output_tokens"], 500)

    def test_the_callers_mistake(self):
        self.refused("REFUSED", n=2)
        row = self.settled()
        self.assertEqual((row["outcome"], row["cause"]), ("refused", "caller"))

    def test_ours_among_the_candidates(self):
        """One before ours was skipped by the broker: that is told."""
        route = self.route(("gone", "Elsewhere"), ("pons-selftest", SERVICE), ("far", "RemoteApiAdapter"), next=0)
        request = self.asker.request(SERVICE, "generate", self.body(model="auto", max_tokens=3), annotations=route)
        reply = self.asker.answer(request).data
        self.assertEqual((reply["model"], [row["cause"] for row in reply["failures"]]), ("pons-selftest", ["unavailable"]))

    def test_too_long_goes_to_a_larger_context_only(self):
        route = self.route(("pons-selftest", SERVICE), ("far", "RemoteApiAdapter"), next=0)
        request = self.asker.request(SERVICE, "generate", self.body(words("x" * 3000)), annotations=route)
        with self.assertRaises(harness.RemoteError) as caught:
            self.asker.answer(request)
        self.assertEqual(caught.exception.status.name, "REFUSED")
        self.assertEqual(caught.exception.body["code"], "context_length_exceeded")

    def test_a_model_that_is_not_here(self):
        error = self.refused("REFUSED", model="gpt-4")
        self.assertEqual((error["code"], error["http_status"]), ("model_not_found", 404))
        self.assertTrue(self.text(model="pons-selftest", max_tokens=1, temperature=0))
        route = self.route(("other", SERVICE), ("far", "RemoteApiAdapter"), next=0)
        request = self.asker.request(SERVICE, "generate", self.body(), annotations=route)
        message = self.forwarded()
        self.assertIn("the local model here is pons-selftest, and not other", message.annotations["failures"][0]["message"])
        self.assertEqual(self.asker.answer(request).data["model"], "far")


class HandedOn(Books):
    MODEL = None

    def test_to_the_next_candidate(self):
        route = self.route(("pons-selftest", SERVICE), ("far", "RemoteApiAdapter"), next=0)
        request = self.asker.request(SERVICE, "generate", self.body(), annotations=route)
        message = self.forwarded()
        self.assertEqual((message.annotations["next"], message.annotations["size"]), (1, "light"))
        failure = message.annotations["failures"][0]
        self.assertEqual((failure["model"], failure["cause"]), ("pons-selftest", "unavailable"))
        self.assertEqual(self.asker.answer(request).data["model"], "far")


@unittest.skipIf(has_library(), "built with libllama")
class Without(Local):
    def test_says_how_to_get_it(self):
        self.assertIn("run deploy/llm", self.wait_status("unavailable")["about"])
        self.assertEqual(self.refused("FAILED")["code"], "unavailable")


class Configuration(harness.Fleet):
    def test_a_wrong_one_is_said_and_ends_it(self):
        path = os.path.join(self.folder, "bad.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("local_llm: {template: jinja}\n")
        agent = self.start_agent(AGENT, environment={"PONS_CONFIG": path}, ready=False)
        agent.expects = (2,)
        self.assertEqual(agent.wait(), 2)
        self.assertIn("local_llm.template", agent.log())


if __name__ == "__main__":
    harness.main()
