#!/usr/bin/python3
"""The whole chain with its real programs: HTTP, gateway, coordinator, manager, executors, and providers that are mocks."""

import http.client
import json
import os
import random
import threading
import time

import harness


WORDS = "Who are you?"
LOCAL_ANSWER = "Hello, I am the local test model."
HEAVY = {"max_tokens": 4000}  # with the prompt more than coordinator.heavy_tokens
STREAMS = 200


def has_library():
    """Whether the local model can run here."""
    with open(harness.program("pons-agent-tiny_llama_service_enhanced"), "rb") as file:
        return b"libllama.v" in file.read()


class Mock:
    """A provider: tests/mock-provider, with its own port."""

    def __init__(self, case):
        self.port = harness.free_port()
        self.program = case.start(os.path.join(harness.BUILD, "tests", "mock-provider"), "--port", str(self.port), ready=False)
        case.wait_for(self._answers, "the mock listens")

    def _answers(self):
        try:
            return self.stats() is not None
        except OSError:
            return False

    def url(self, knobs=""):
        return f"http://127.0.0.1:{self.port}" + (f"/mock/{knobs}" if knobs else "") + "/v1"

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.DEADLINE_S)
        try:
            connection.request("GET", "/mock/stats")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    @property
    def requests(self):
        """Completions and embeddings that were asked for, this question not among them."""
        return sum(count for path, count in self.stats()["paths"].items() if "/v1/" in path)


class Stream:
    """A streamed answer that is being read."""

    def __init__(self, port, body):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.DEADLINE_S)
        self.connection.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": True}),
                                {"Content-Type": "application/json"})
        self.answer = self.connection.getresponse()
        self.status, self.headers = self.answer.status, self.answer.headers

    def event(self):
        """The next event's data; None when the connection ends."""
        while True:
            try:
                line = self.answer.readline()
            except (http.client.HTTPException, OSError):
                return None
            if not line:
                return None
            if line.startswith(b"data: "):
                return line[6:].strip().decode()

    def rest(self):
        events = []
        while (event := self.event()) is not None:
            events.append(event)
        return events

    def hang_up(self):
        self.answer.close()
        self.connection.close()


def text_of(events):
    return "".join(choice["delta"].get("content") or "" for event in events if event != "[DONE]"
                   for choice in json.loads(event).get("choices", []))


class Chain(harness.Fleet):
    """The chain; which providers and models there are is the test's."""

    MODELS = (("a", ""), ("b", ""))  # name and knobs; each has a mock of its own
    LOCAL = False
    ADAPTERS = 1

    def setUp(self):
        super().setUp()
        self.asker = self.client()
        self.mocks = {name: Mock(self) for name, _ in self.MODELS}
        self.port = harness.free_port()
        self.path = os.path.join(self.folder, "pons.yaml")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.config())
        environment = {"PONS_CONFIG": self.path}
        self.fleet = {name: self.start_agent(name, environment=environment)
                      for name in ("request_coordinator", "model_manager_suite")}
        self.adapters = [self.start_agent("remote_api_adapter", "--name", f"adapter{n}", environment=environment)
                         for n in range(self.ADAPTERS)]
        if self.LOCAL:
            self.fleet["local"] = self.start_agent("tiny_llama_service_enhanced", environment=environment)
        self.gateway = self.start("pons-gateway", "--endpoint", self.endpoint, environment=environment)

    def config(self):
        share = os.path.join(harness.BUILD, "share", "pons-selftest.gguf")
        lines = [f'gateway: {{listen: ["tcp://127.0.0.1:{self.port}"]}}', f"local_llm: {{model: pons-selftest, file: {share}}}",
                 "providers:"]
        lines += [f'  - {{name: p-{name}, base_url: "{self.mocks[name].url(knobs)}"}}' for name, knobs in self.MODELS]
        lines += ["models:"]
        if self.LOCAL:
            lines += ["  - {name: pons-selftest, executor: TinyLlamaServiceEnhanced, context_tokens: 2048}"]
        lines += [f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}, context_tokens: 128000, "
                  f'input_usd: "1", output_usd: "2"}}' for name, _ in self.MODELS]
        return "\n".join(lines) + "\n"

    # --- asking ---

    def http(self, verb, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.DEADLINE_S)
        try:
            connection.request(verb, path, body and json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, answer.headers, data
        finally:
            connection.close()

    def body(self, **members):
        return {"messages": [{"role": "user", "content": WORDS}], **members}

    def ask(self, **members):
        """Status, headers and JSON of a plain completion."""
        status, headers, data = self.http("POST", "/v1/chat/completions", self.body(**members))
        return status, headers, json.loads(data)

    def stream(self, **members):
        made = Stream(self.port, self.body(**members))
        self.addCleanup(made.hang_up)
        return made

    # --- looking ---

    def wait_for(self, is_so, what):
        due = time.monotonic() + harness.DEADLINE_S
        while not is_so():
            self.assertLess(time.monotonic(), due, f"not within {harness.DEADLINE_S} s: {what}")
            threading.Event().wait(0.02)  # somebody else's turn; what is waited for has no event of its own

    def running(self):
        return self.asker.ask("pons", "requests", {})["requests"]

    def holder(self):
        """The adapter that has the one request that runs."""
        held = []

        def is_held():
            held[:] = [row["instance"] for row in self.running() if row.get("instance", "").startswith("adapter")]
            return len(held) == 1

        self.wait_for(is_held, "one adapter has the request")
        return self.adapters[int(held[0].split(":")[0].removeprefix("adapter"))]

    def in_background(self, function):
        """Runs function; returns what gives its result."""
        result = []
        thread = threading.Thread(target=lambda: result.append(function()))
        thread.start()

        def join():
            thread.join(harness.DEADLINE_S)
            self.assertTrue(result, "there was no answer")
            return result[0]

        return join


class Answers(Chain):
    def test_plain(self):
        status, headers, body = self.ask(model="b")
        self.assertEqual((status, body["object"]), (200, "chat.completion"))
        self.assertTrue(body["choices"][0]["message"]["content"])
        self.assertIn("x-request-id", headers)
        self.assertEqual((self.mocks["a"].requests, self.mocks["b"].requests), (0, 1))

    def test_stream(self):
        stream = self.stream(model="a", stream_options={"include_usage": True})
        events = stream.rest()
        self.assertEqual((stream.status, events[-1]), (200, "[DONE]"))
        self.assertTrue(text_of(events))
        self.assertTrue(any((json.loads(event).get("usage") or {}).get("completion_tokens") for event in events[:-1]))

    def test_settled(self):
        """What was done is in the books, with the provider's own figures and the table's prices."""
        _, _, body = self.ask(model="a")
        usage = body["usage"]

        def is_settled():
            rows = {row["name"]: row for row in self.asker.ask("ModelManagerSuite", "models", {})["models"]}
            return rows["a"]["requests"] == 1 and rows["a"]["output_tokens"] == usage["completion_tokens"] and \
                rows["a"]["cost_nano_usd"] == 1000 * usage["prompt_tokens"] + 2000 * usage["completion_tokens"]

        self.wait_for(is_settled, "the settlement is counted")

    def test_unknown_model(self):
        status, _, body = self.ask(model="gpt-9")
        self.assertEqual((status, body["error"]["code"], body["error"]["param"]), (404, "model_not_found", "model"))

    def test_too_long(self):
        status, _, body = self.ask(max_tokens=200000)
        self.assertEqual((status, body["error"]["code"]), (400, "context_length_exceeded"))

    def test_fallbacks_stay_here(self):
        """A strict provider refuses members that it does not know; ours is not one of those that it sees."""
        status, _, body = self.ask(model="b", fallbacks=["a"])
        self.assertEqual(status, 200, body)

    def test_health_costs_nothing(self):
        for path in ("/healthz", "/readyz", "/healthz/RemoteApiAdapter", "/v1/models", "/metrics"):
            self.http("GET", path)
        for path in ("/pons/explain",):
            self.assertEqual(self.http("POST", path, self.body())[0], 200)
        self.asker.ask("RemoteApiAdapter", "status", {})
        self.assertEqual((self.mocks["a"].requests, self.mocks["b"].requests), (0, 0))


class LightAndHeavy(Chain):
    LOCAL = True

    def setUp(self):
        if not has_library():
            self.skipTest("built without libllama: run deploy/llm and build again")
        super().setUp()

    def test_each_goes_its_way(self):
        status, _, body = self.ask()
        self.assertEqual((status, body["choices"][0]["message"]["content"]), (200, LOCAL_ANSWER))
        self.assertEqual(self.mocks["a"].requests, 0)
        status, _, body = self.ask(**HEAVY)
        self.assertEqual((status, self.mocks["a"].requests), (200, 1))
        self.assertNotEqual(body["choices"][0]["message"]["content"], LOCAL_ANSWER)
        self.assertEqual(text_of(self.stream().rest()), LOCAL_ANSWER)
        self.assertEqual(self.mocks["a"].requests, 1)

    def test_what_it_cannot_do_goes_to_a_provider(self):
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        for members in ({"tools": [tool]}, {"n": 2}, {"logprobs": True}):
            with self.subTest(members):
                self.assertEqual(self.ask(**members)[0], 200)
        self.assertEqual(self.mocks["a"].requests, 3)

    def test_provider_dead(self):
        """Heavy work comes home when nobody else is left."""
        for mock in self.mocks.values():
            mock.program.kill()
        status, _, body = self.ask(max_tokens=1500, messages=[{"role": "user", "content": "x " * 100}])
        self.assertEqual((status, body["choices"][0]["message"]["content"]), (200, LOCAL_ANSWER))

    def test_local_dead(self):
        self.fleet["local"].kill()
        self.assertEqual(self.ask()[0], 200)
        self.assertEqual(self.mocks["a"].requests, 1)


class FirstProviderDies(Chain):
    def test_the_next_candidate_answers(self):
        self.mocks["a"].program.kill()
        status, _, body = self.ask()
        self.assertEqual((status, self.mocks["b"].requests), (200, 1), body)
        events = self.stream().rest()
        self.assertEqual((events[-1], self.mocks["b"].requests), ("[DONE]", 2))

    def test_a_named_model_is_not_replaced(self):
        self.mocks["a"].program.kill()
        status, _, body = self.ask(model="a")
        self.assertGreaterEqual(status, 500, body)
        self.assertEqual(self.mocks["b"].requests, 0)


class FirstErrorCounts(Chain):
    MODELS = (("a", "status=429,retry_after=7"), ("b", "status=500"))

    def test_it_is_not_hidden_behind_the_last(self):
        status, headers, body = self.ask()
        self.assertEqual((self.mocks["a"].requests, self.mocks["b"].requests), (1, 3))  # the last one alone is asked again
        self.assertEqual((status, headers["retry-after"]), (429, "7"), body)
        self.assertRegex(body["error"]["message"], "^a: .*tried after it: b: .")


class ExecutorDies(Chain):
    MODELS = (("slow", "silent=1,fail_first=1"), ("broken", "stall=2"))
    ADAPTERS = 2

    def test_before_the_first_chunk_another_redoes_it(self):
        self.redone(lambda: self.ask(model="slow"), lambda answer: answer[0] == 200)

    def test_and_of_a_stream(self):
        self.redone(lambda: self.stream(model="slow").rest(), lambda events: events[-1] == "[DONE]")

    def redone(self, ask, is_whole):
        join = self.in_background(ask)
        self.wait_for(lambda: self.mocks["slow"].requests == 1, "the provider has the request")
        self.holder().kill()
        answer = join()
        self.assertTrue(is_whole(answer), answer)
        self.assertEqual(self.mocks["slow"].requests, 2)

    def test_after_the_first_chunk_nobody_takes_it_for_whole(self):
        stream = self.stream(model="broken")
        self.assertTrue(stream.event())
        self.holder().kill()
        rest = stream.rest()
        self.assertNotIn("[DONE]", rest)
        self.assertIn("error", json.loads(rest[-1]), rest)
        self.assertEqual(self.mocks["broken"].requests, 1)


class UnknownSettings(harness.Fleet):
    def test_are_refused(self):
        path = os.path.join(self.folder, "pons.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("coordinator: {complexity_threshold: 0.6}\n")
        for name in ("pons-gateway", "pons-agent-request_coordinator", "pons-agent-model_manager_suite",
                     "pons-agent-remote_api_adapter", "pons-agent-tiny_llama_service_enhanced"):
            for environment, words in (({"PONS_CONFIG": path}, "unknown key 'complexity_threshold'"),
                                       ({"PONS_COORDINATOR_COMPLEXITY_THRESHOLD": "1"}, "no such setting")):
                with self.subTest(name, words=words):
                    program = self.start(name, "--endpoint", self.endpoint, environment=environment, ready=False)
                    program.expects = (2,)
                    self.assertEqual(program.wait(), 2)
                    self.assertIn(words, program.log())


class Load(Chain):
    """200 streams at a time whose clients hang up when they like: nothing is left of them anywhere."""

    MODELS = (("a", "tokens=40,gap_ms=10"),)

    def programs_of_chain(self):
        return [self.broker, self.gateway, *self.fleet.values(), *self.adapters]

    def kept(self):
        """The sockets of connections to the provider, by inode: whoever keeps some for the next request may."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in list(file)[1:]]
        return {f"socket:[{row[9]}]" for row in rows if int(row[2].rpartition(":")[2], 16) == self.mocks["a"].port}

    def fds(self):
        """What each process has open, but for the connections to the provider that it keeps."""
        kept = self.kept()
        return [sum(target not in kept for target in self.targets(one.pid)) for one in self.programs_of_chain()]

    def targets(self, pid):
        found = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                continue
        return found

    def rss_kb(self):
        sizes = []
        for one in self.programs_of_chain():
            with open(f"/proc/{one.pid}/status", encoding="ascii") as file:
                sizes += [int(line.split()[1]) for line in file if line.startswith("VmRSS:")]
        return sizes

    def one(self, chance, ends):
        try:
            stream = Stream(self.port, self.body(model="a"))
            left = chance.choice((0, 1, 5, 20, 1000))
            while left > 0 and (event := stream.event()) is not None:
                left -= 1
                if event == "[DONE]":
                    ends.append("done")
            stream.hang_up()
            ends.append("ended")
        except (OSError, http.client.HTTPException) as error:
            ends.append(repr(error))

    def round(self, seed):
        ends = []
        threads = [threading.Thread(target=self.one, args=(random.Random(seed * STREAMS + n), ends)) for n in range(STREAMS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * harness.DEADLINE_S)
        self.assertEqual(ends.count("ended"), STREAMS, set(ends))
        self.assertGreater(ends.count("done"), 0)
        self.wait_for(lambda: not self.running(), "the broker has no request")
        self.wait_for(lambda: self.mocks["a"].stats()["streams_running"] == 0, "the provider has no stream")
        self.wait_for(lambda: self.asker.ask("RemoteApiAdapter", "status", {})["running"] == 0, "the adapter has no request")

    def test_nothing_is_left(self):
        self.round(1)
        self.round(2)
        before, rss = self.fds(), self.rss_kb()
        self.round(3)
        self.wait_for(lambda: all(now <= then for now, then in zip(self.fds(), before)),
                      "descriptors are as many as before, but for kept connections")
        kept = self.kept()
        for one in self.programs_of_chain():
            held = sum(target in kept for target in self.targets(one.pid))
            self.assertLessEqual(held, STREAMS if one in self.adapters else 0, f"{one.name} keeps {held} connections to the provider")
        if not harness.sanitized():
            for one, now, then in zip(self.programs_of_chain(), self.rss_kb(), rss):
                self.assertLess(now, then + 4096, f"{one.name} has grown")


if __name__ == "__main__":
    harness.main()
