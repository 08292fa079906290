#!/usr/bin/python3
"""The agent runtime, by the real echo agent: contracts at the door, streams, deadlines and cancel, memory of what was
done, concurrency, and how it stops."""

import harness
import msgpack
from harness import Flag, Kind, RemoteError, Status


class Agents(harness.Fleet):
    """A broker, an echo agent and a client."""

    OPTIONS = ()

    def setUp(self):
        super().setUp()
        self.agent = self.start_agent("echo", *self.OPTIONS)
        self.asker = self.client()

    def error(self, name, body, **fields):
        """The ERROR that a call of the echo service ends with."""
        request = self.asker.request("echo", name, body, **fields)
        return self.asker.expect(Kind.ERROR, Kind.REPLY, id=request)

    def agent_work(self):
        """How many works the agent has done."""
        return self.asker.ask("echo", "work", {})["done"]


class Calls(Agents):
    def test_ready_means_that_it_can_be_asked(self):
        """READY=1 comes after the broker knows it."""
        said = self.asker.ask("echo", "say", {"text": "hi", "repeat": 3})
        self.assertEqual(said["text"], "hihihi")
        self.assertTrue(said["instance"].startswith("echo:"))

    def test_many_at_once(self):
        requests = [self.asker.request("echo", "say", {"text": str(n)}) for n in range(2000)]
        for n, request in enumerate(requests):
            self.assertEqual(self.asker.answer(request).data["text"], str(n))

    def test_large_bodies(self):
        text = "x" * 200000
        self.assertEqual(self.asker.ask("echo", "say", {"text": text})["text"], text)

    def test_body_in_parts(self):
        body = msgpack.packb({"text": "y" * 100000})
        parts = [body[i:i + 9000] for i in range(0, len(body), 9000)]
        request = self.asker.request_in_parts("echo", "say", parts)
        self.assertEqual(self.asker.answer(request).data["text"], "y" * 100000)

    def test_to_all(self):
        self.start_agent("echo", "--name", "echo2")
        self.wait_service(self.asker, "echo", 2)
        request = self.asker.request("echo@*", "say", {"text": "all"})
        self.assertEqual(self.asker.answer(request).data, {"asked": 2, "answered": 2})

    def test_registry_has_what_it_offers(self):
        row = self.asker.ask("pons", "registry", {"service": "echo"})["instances"][0]
        methods = {method["name"]: method for method in row["methods"]}
        self.assertEqual(set(methods), {"say", "stream", "work", "fail"})
        self.assertEqual(methods["work"]["flags"], ["once"])
        self.assertEqual(sorted(methods["stream"]["flags"]), ["idempotent", "streaming"])
        self.assertTrue(all(method["hash"] for method in methods.values()))

    def test_options(self):
        self.start_agent("echo", "--name", "other", "--weight", "7", "--role", "standby", "--tier", "gpu", "--site", "there",
                         "--service-version", "2.1")
        rows = self.asker.ask("pons", "registry", {"service": "echo"})["instances"]
        row = next(row for row in rows if row["instance"].startswith("other:"))
        self.assertEqual((row["weight"], row["role"], row["tier"], row["site"], row["version"]), (7, "standby", "gpu", "there", "2.1"))

    def test_bad_options(self):
        for arguments, word in ((["--weight", "1001"], "weight"), (["--role", "boss"], "role"), (["--frob"], "frob"),
                                (["--endpoint", "pigeon://x"], "pigeon"), (["--name", "a b"], "name")):
            with self.subTest(arguments):
                bad = self.start("pons-agent-echo", "--endpoint", self.endpoint, *arguments, ready=False)
                bad.expects = (1, 2)
                self.assertIn(bad.wait(), (1, 2))
                self.assertIn(word, bad.log())

    def test_starts_before_its_broker(self):
        """It waits for the broker, and is ready when it is there."""
        endpoint = f"ipc://{self.folder}/later"
        early = self.start("pons-agent-echo", "--endpoint", endpoint, ready=False)
        self.start_broker(endpoints=[endpoint])
        self.assertTrue(early.notify.wait("READY=1", early.process))
        self.assertEqual(self.client(endpoint=endpoint).ask("echo", "say", {"text": "hi"})["text"], "hi")


class Contracts(Agents):
    """What does not fit the contract is refused with the field's path before the handler runs."""

    def invalid(self, name, body, path):
        error = self.error(name, body)
        self.assertEqual((error.kind, error.status_name), (Kind.ERROR, "INVALID"), error)
        self.assertEqual(error.data.get("path", ""), path)
        self.assertTrue(error.data["message"])

    def test_wrong_type(self):
        self.invalid("say", {"text": 5}, "text")

    def test_missing_field(self):
        self.invalid("say", {}, "text")

    def test_unknown_field(self):
        self.invalid("say", {"text": "a", "volume": 11}, "volume")

    def test_out_of_bounds(self):
        self.invalid("say", {"text": "a", "repeat": 0}, "repeat")
        self.invalid("say", {"text": "a", "repeat": 1001}, "repeat")
        self.invalid("say", {"text": "a", "repeat": -1}, "repeat")

    def test_field_twice(self):
        self.invalid("say", b"\x82\xa4text\xa1a\xa4text\xa1b", "text")

    def test_not_a_map(self):
        self.invalid("say", [1, 2], "")
        self.invalid("say", b"\xc1", "")

    def test_no_body(self):
        error = self.error("say", b"")
        self.assertEqual(error.status_name, "INVALID")

    def test_not_utf8(self):
        error = self.error("say", b"\x81\xa4text\xa2\xff\xfe")
        self.assertEqual(error.status_name, "INVALID")

    def test_before_the_handler_runs(self):
        """Work that does not fit is not done."""
        before = self.agent_work()
        for body in ({"wait_ms": "long"}, {"wrong": 1}, {"wait_ms": 60001}):
            self.assertEqual(self.error("work", body).status_name, "INVALID")
        self.assertEqual(self.agent_work(), before + 1)

    def test_error_of_the_handler(self):
        error = self.error("fail", {"status": int(Status.DENIED), "message": "not for you"})
        self.assertEqual((error.status_name, error.data["message"]), ("DENIED", "not for you"))


class Streams(Agents):
    def test_pieces(self):
        request = self.asker.request("echo", "stream", {"text": "la ", "pieces": 50}, flags=Flag.STREAM, window=65536)
        pieces, message = b"", None
        while message is None or message.kind == Kind.CHUNK:
            message = self.asker.expect(Kind.CHUNK, Kind.REPLY, id=request)
            pieces += message.body if message.kind == Kind.CHUNK else b""
        self.assertEqual(message.data, {"pieces": 50})
        reader = msgpack.Unpacker()
        reader.feed(pieces)
        self.assertEqual([piece["piece"] for piece in reader], ["la "] * 50)

    def test_window_stops_it(self):
        """Without WINDOW it sends what was granted and then waits; with it, all comes."""
        size = 20000
        request = self.asker.request("echo", "stream", {"text": "x" * size, "pieces": 40}, flags=Flag.STREAM, window=5 * size)
        got, number, granted = 0, 0, 5 * size
        while True:
            message = self.asker.expect(Kind.CHUNK, Kind.REPLY, id=request)
            if message.kind == Kind.REPLY:
                break
            self.assertEqual(message.number, number)
            number, got = number + 1, got + len(message.body)
            self.assertLess(got - len(message.body), granted, "nothing is begun over the window")
            granted = got + 5 * size
            self.asker.send(Kind.WINDOW, id=request, number=number, window=granted)
        self.assertEqual(message.data, {"pieces": 40})
        self.assertGreater(got, 40 * size)

    def test_cancel(self):
        request = self.asker.request("echo", "stream", {"text": "x", "pieces": 100000, "delay_ms": 5}, flags=Flag.STREAM, window=65536)
        self.asker.expect(Kind.CHUNK, id=request)
        self.asker.send(Kind.CANCEL, id=request)
        self.wait_idle()
        self.assertTrue(self.asker.none(Kind.REPLY, Kind.ERROR))

    def wait_idle(self):
        """Waits until the agent has nothing unanswered."""
        due = harness.time.monotonic() + harness.DEADLINE_S
        while self.asker.ask("pons", "registry", {"service": "echo"})["instances"][0]["outstanding"]:
            self.assertLess(harness.time.monotonic(), due)
            self.asker.socket.poll(20)

    def test_deadline(self):
        request = self.asker.request("echo", "stream", {"text": "x", "pieces": 100000, "delay_ms": 5}, flags=Flag.STREAM,
                                     window=65536, deadline_s=0.3)
        self.ends("DEADLINE", self.asker, request)
        self.wait_idle()

    def test_client_lost(self):
        other = self.client()
        other.request("echo", "stream", {"text": "x", "pieces": 100000, "delay_ms": 5}, flags=Flag.STREAM, window=65536)
        other.expect(Kind.CHUNK)
        other.close()
        self.wait_idle()

    def test_agent_killed(self):
        request = self.asker.request("echo", "stream", {"text": "x", "pieces": 100000, "delay_ms": 5}, flags=Flag.STREAM, window=65536)
        self.asker.expect(Kind.CHUNK, id=request)
        self.agent.kill()
        self.ends("STREAM_LOST", self.asker, request)


class Blocking(Agents):
    OPTIONS = ("--concurrency", "2")

    def test_cancel_wakes_a_handler(self):
        requests = [self.asker.request("echo", "work", {"wait_ms": 60000}, deadline_s=100) for _ in range(2)]
        self.wait_running(requests[0])
        for request in requests:
            self.asker.send(Kind.CANCEL, id=request)
        self.assertGreaterEqual(self.agent_work(), 1, "both of its two threads are free again")

    def test_inline_calls_pass_blocking_ones(self):
        slow = [self.asker.request("echo", "work", {"wait_ms": 3000}) for _ in range(2)]
        self.assertEqual(self.asker.ask("echo", "say", {"text": "quick"})["text"], "quick")
        for request in slow:
            self.asker.send(Kind.CANCEL, id=request)

    def test_more_than_it_can(self):
        """What is over its concurrency waits, here or at the broker, and is done."""
        requests = [self.asker.request("echo", "work", {"wait_ms": 20}) for _ in range(30)]
        done = sorted(self.asker.answer(request).data["done"] for request in requests)
        self.assertEqual(done, list(range(1, 31)))

    def test_killed_while_it_works(self):
        request = self.asker.request("echo", "work", {"wait_ms": 60000})
        self.wait_running(request)
        self.agent.kill()
        self.ends("WORKER_LOST", self.asker, request)

    def wait_running(self, request):
        due = harness.time.monotonic() + harness.DEADLINE_S
        while not any(row["state"] == "running" for row in self.asker.ask("pons", "requests", {})["requests"]):
            self.assertLess(harness.time.monotonic(), due)
            self.asker.socket.poll(20)
        self.assertTrue(request)

    def test_idempotent_is_done_by_another_when_it_is_killed(self):
        request = self.asker.request("echo", "stream", {"text": "x", "delay_ms": 1500}, flags=Flag.STREAM, window=65536)
        self.wait_running(request)
        other = self.start_agent("echo", "--name", "other")
        self.agent.kill()
        self.assertEqual(self.asker.answer(request).data, {"pieces": 1})
        self.assertTrue(other.alive)


class Stops(Agents):
    def test_sigterm_drains(self):
        """It finishes what it has, takes nothing new, says BYE and ends with 0."""
        running = self.asker.request("echo", "work", {"wait_ms": 1000})
        self.asker.flush()
        self.wait_outstanding()
        self.agent.terminate()
        self.assertTrue(self.agent.notify.wait("STOPPING=1", self.agent.process))
        self.assertEqual(self.asker.answer(running).data["done"], 1)
        self.assertEqual(self.agent.wait(), 0)
        self.ends("NO_SERVICE", self.asker, self.asker.request("echo", "say", {"text": "late"}))

    def wait_outstanding(self):
        due = harness.time.monotonic() + harness.DEADLINE_S
        while not self.asker.ask("pons", "registry", {"service": "echo"})["instances"][0]["outstanding"]:
            self.assertLess(harness.time.monotonic(), due)

    def test_nothing_is_lost_in_a_drain(self):
        """Two agents, one drains under load: every request ends well."""
        self.start_agent("echo", "--name", "other")
        requests = []
        for n in range(400):
            requests.append(self.asker.request("echo", "say", {"text": str(n)}))
            if n == 100:
                self.agent.terminate()
            if n % 20 == 0:
                self.asker.flush()
        for n, request in enumerate(requests):
            self.assertEqual(self.asker.answer(request).data["text"], str(n))
        self.assertEqual(self.agent.wait(), 0)

    def test_once_work_is_not_lost_in_a_drain(self):
        self.start_agent("echo", "--name", "other")
        requests = []
        for n in range(60):
            requests.append(self.asker.request("echo", "work", {"wait_ms": 10}))
            if n == 20:
                self.asker.flush()
                self.agent.terminate()
        for request in requests:
            self.asker.answer(request)
        self.assertEqual(self.agent.wait(), 0)

    def test_second_sigterm_stops_at_once(self):
        self.agent.expects = tuple(range(-20, 20))
        request = self.asker.request("echo", "work", {"wait_ms": 60000}, deadline_s=100)
        self.wait_outstanding()
        self.agent.terminate()
        self.assertTrue(self.agent.notify.wait("STOPPING=1", self.agent.process))
        self.agent.terminate()
        self.agent.wait(10)
        with self.assertRaises(RemoteError):
            self.asker.answer(request)

    def test_stops_without_a_broker(self):
        self.broker.kill()
        self.agent.terminate()
        self.assertEqual(self.agent.wait(15), 0)

    def test_broker_restarts_under_it(self):
        """It comes back by itself, as the same instance."""
        before = self.asker.ask("echo", "say", {"text": "x"})["instance"]
        self.broker.terminate()
        self.broker.wait()
        self.broker = self.start_broker()
        client = self.client()
        self.wait_service(client, "echo")
        self.assertEqual(client.ask("echo", "say", {"text": "x"})["instance"], before)


if __name__ == "__main__":
    harness.main()
