#!/usr/bin/python3
"""What the Python package adds: an agent's life as a process, handlers of each kind, and clients that are cancelled, read slowly or
are closed."""

import asyncio
import os
import subprocess
import sys
import threading
import time

import parts
import pons
from parts import harness

HERE = os.path.abspath(__file__)
LARGE = 600_000


# --- the agent of these tests: test_agent.py agent ---


def the_agent():
    agent = pons.Agent("zoo", concurrency=3)
    seen = []

    @agent.method("zoo.raw")
    def raw(call, request):
        return pons.Raw(call.body[::-1], "text/plain")

    @agent.method("zoo.size")
    async def size(call, request):
        return {"size": len(request["data"])}

    @agent.method("zoo.large", idempotent=True)
    def large(call, request):
        return {"data": bytes(request["size"])}

    @agent.method("zoo.onward")
    def onward(call, request):
        return pons.Forward("nobody.there", "zoo@zoo.told", annotations={"by": "zoo", **call.annotations})

    @agent.method("zoo.told")
    def told(call, request):
        return {"by": call.annotations["by"], "request": request, "trace": call.trace.hex(), "priority": call.priority}

    @agent.method("zoo.through")
    def through(call, request):
        return call.ask("zoo.told", request, annotations={"by": "through"})

    @agent.method("zoo.through_aio")
    async def through_aio(call, request):
        return await call.bus.ask("zoo.told", request, annotations={"by": "through_aio"})

    @agent.method("zoo.token", idempotent=True)
    def token(call, request):
        return {"instance": call.instance, "token": call.token}

    @agent.method("zoo.breaks")
    def breaks(call, request):
        raise RuntimeError("a secret that nobody is told")

    @agent.method("zoo.unsayable")
    def unsayable(call, request):
        return {"x": object()}

    @agent.method("zoo.forever")
    async def forever(call, request):
        seen.append("begun")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("stopped")

    @agent.method("zoo.seen", idempotent=True)
    def seen_so_far(call, request):
        return seen

    @agent.method("zoo.count")
    def count(call, request):
        for number in range(request["to"]):
            yield {"number": number, "pad": bytes(1000)}
            seen[:] = [number]
        return {"counted": request["to"]}

    @agent.method("zoo.count_aio", streaming=True)
    async def count_aio(call, request):
        for number in range(request["to"]):
            await call.asend({"number": number, "pad": bytes(1000)})
        return {"counted": request["to"]}

    agent.run(sys.argv[2:])


class Zoo(parts.Parts, harness.Fleet):
    def setUp(self):
        super().setUp()
        self.agent = self.start_zoo()
        self.watcher = self.client("watcher")
        self.wait_service(self.watcher, "zoo")
        self.bus = pons.Client(self.endpoint, "visitor")
        self.addCleanup(self.bus.close)
        self.bus.wait_open()

    def start_zoo(self, *arguments, **options):
        return self.start(parts.PYTHON, HERE, "agent", "--endpoint", self.endpoint, *arguments, **options)

    def wait_seen(self, want):
        due = time.monotonic() + harness.DEADLINE_S
        while (seen := self.bus.ask("zoo.seen")) != want:
            self.assertLess(time.monotonic(), due, seen)


class Handlers(Zoo):
    def test_bytes_as_they_are(self):
        answer = self.bus.request("zoo.raw", pons.Raw(b"abc", "text/plain"))
        self.assertEqual((answer.body, answer.content_type), (b"cba", "text/plain"))
        self.assertEqual(self.bus.ask("zoo.raw", pons.Raw(b"abc", "text/plain")), b"cba")

    def test_large_bodies_both_ways(self):
        self.assertEqual(self.bus.ask("zoo.size", {"data": bytes(LARGE)}), {"size": LARGE})
        self.assertEqual(self.bus.ask("zoo.large", {"size": LARGE}), {"data": bytes(LARGE)})
        with self.assertRaises(pons.TooLarge):
            self.bus.ask("zoo.large", {"size": 17_000_000})
        with self.assertRaises(pons.TooLarge):
            self.bus.ask("zoo.size", {"data": bytes(17_000_000)})

    def test_handed_on(self):
        told = self.bus.ask("zoo.onward", {"a": 1}, annotations={"more": 2}, trace=bytes(range(25)), priority=pons.INTERACTIVE)
        self.assertEqual(told, {"by": "zoo", "request": {"a": 1}, "trace": bytes(range(25)).hex(), "priority": 0})

    def test_asking_others(self):
        for how in ("through", "through_aio"):
            self.assertEqual(self.bus.ask(f"zoo.{how}", {"b": 2})["by"], how)

    def test_what_breaks_is_named_and_tells_no_more(self):
        for method in ("breaks", "unsayable"):
            with self.assertRaises(pons.Internal) as caught:
                self.bus.ask(f"zoo.{method}")
            self.assertNotIn("secret", str(caught.exception))
        self.assertIn("a secret that nobody is told", self.agent.log())

    def test_a_body_that_is_not_msgpack(self):
        request = self.watcher.request("zoo", "size", b"\xc1")
        self.ends("INVALID", self.watcher, request)

    def test_asked_and_taken_back_at_once(self):
        """What was cancelled before its handler began is answered too: more of them than the agent has places."""
        for _ in range(4):
            fields = {"id": self.watcher.next_id(), "deadline": 60_000_000, "service": "zoo", "method": "forever"}
            self.watcher.send_pack((harness.Kind.REQUEST, b"", fields), (harness.Kind.CANCEL, b"", {"id": fields["id"]}))
        due = time.monotonic() + harness.DEADLINE_S
        while self.watcher.ask("pons", "registry", {"service": "zoo"})["instances"][0]["outstanding"]:
            self.assertLess(time.monotonic(), due, "it keeps what was cancelled")
        self.assertEqual(self.bus.ask("zoo.seen"), [])

    def test_streams_wait_for_their_reader(self):
        for method in ("zoo.count", "zoo.count_aio"):
            stream = self.bus.stream(method, {"to": 2000}, window_bytes=20_000)
            numbers = [piece["number"] for piece in stream]
            self.assertEqual((numbers, stream.reply), (list(range(2000)), {"counted": 2000}))
        stream = self.bus.stream("zoo.count", {"to": 2000}, window_bytes=20_000)
        self.assertEqual([next(stream)["number"], next(stream)["number"]], [0, 1])  # behind the first it says how far it is
        for _ in range(20):
            self.assertLess(self.bus.ask("zoo.seen")[0], 100)
        stream.cancel()


class Clients(Zoo):
    def test_a_cancelled_task_takes_its_request_back(self):
        async def run():
            async with pons.aio.Client(self.endpoint, "hasty") as bus:
                task = asyncio.create_task(bus.ask("zoo.forever", deadline_s=60))
                while await bus.ask("zoo.seen") != ["begun"]:
                    self.assertFalse(task.done())
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task

        asyncio.run(run())
        self.wait_seen(["begun", "stopped"])

    def test_a_closed_client_ends_what_waits(self):
        bus = pons.Client(self.endpoint, "closer")
        ends = []

        def ask():
            try:
                bus.ask("zoo.forever", deadline_s=60)
            except pons.Cancelled as error:
                ends.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        self.wait_counter(self.watcher, "REQUESTS", 2)
        bus.close()
        thread.join(harness.DEADLINE_S)
        self.assertEqual(len(ends), 1)
        with self.assertRaises(pons.PonsError):
            bus.ask("zoo.seen")
        bus.close()

    def test_nobody_is_there(self):
        with pons.Client(f"ipc://{self.folder}/nobody", "lonely") as bus:
            with self.assertRaises(TimeoutError):
                bus.wait_open(0.2)
            with self.assertRaises(pons.Unavailable):
                bus.ask("zoo.seen", deadline_s=0.2)

    def test_many_threads(self):
        counts = []

        def ask():
            counts.append(sum(self.bus.ask("zoo.size", {"data": b"x"})["size"] for _ in range(50)))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(counts, [50] * 8)

    def test_collected_answers_are_values_and_errors(self):
        self.start_zoo("--name", "second")
        self.wait_service(self.watcher, "zoo", 2)
        answers = self.bus.collect("zoo@*.seen")
        self.assertEqual({answer.instance.partition(":")[0] for answer in answers}, {"zoo", "second"})
        self.assertEqual([answer.error for answer in answers], [None, None])
        self.assertEqual([answer.error.status for answer in self.bus.collect("zoo@*.breaks")], [pons.Status.INTERNAL] * 2)

    def test_a_slow_subscriber_loses_the_oldest_and_is_told(self):
        events = self.bus.subscribe("news.*", waiting=10)
        for number in range(50):
            self.bus.publish("news.x", number)
        last = self.bus.subscribe("mark.*")
        self.bus.publish("mark.end", "end")
        self.assertEqual(last.next(harness.DEADLINE_S).value, "end")
        self.assertEqual([events.next(5).value for _ in range(10)], list(range(40, 50)))
        self.assertEqual(events.lost, 40)
        events.close()
        self.assertIsNone(events.next(5))

    def test_contracts_at_both_ends(self):
        self.start_echo()
        self.wait_service(self.watcher, "echo")
        echo = pons.Contracts(os.path.join(parts.ROOT, "agents", "contracts", "echo.def"))
        with pons.Client(self.endpoint, "strict", contracts=echo, calls=["echo.say"]) as bus:
            with self.assertRaises(pons.Invalid) as caught:
                bus.ask("echo.say", {"text": 1})
            self.assertEqual((caught.exception.path, caught.exception.origin), ("text", ""))  # it never left
            self.assertEqual(bus.ask("echo.say", {"text": "x"})["text"], "x")
            self.assertEqual(bus.mismatches, [])
            echo.methods["echo", "say"].reply.fields["text"].high = 0
            with self.assertRaises(pons.ContractMismatch):
                bus.ask("echo.say", {"text": "x"})

    def test_a_caller_of_another_contract_is_told(self):
        self.start_echo()
        self.wait_service(self.watcher, "echo")
        echo = pons.Contracts(os.path.join(parts.ROOT, "agents", "contracts", "echo.def"))
        echo.methods["echo", "say"].version = 2
        with pons.Client(self.endpoint, "other", contracts=echo, calls=["echo.say"]) as bus:
            bus.wait_open()
            self.assertEqual([row["method"] for row in bus.mismatches], ["say"])


class Processes(Zoo):
    def test_a_second_signal_stops_at_once(self):
        self.watcher.request("zoo", "forever", {})
        self.wait_counter(self.watcher, "REQUESTS", 1)
        self.agent.expects = (1,)
        self.agent.terminate()
        self.assertTrue(self.agent.notify.wait("STOPPING=1", self.agent.process))
        self.agent.terminate()
        self.assertEqual(self.agent.wait(), 1)

    def test_wrong_options(self):
        for words in (("--weight", "1001"), ("--tier", "fast"), ("--name", "no name"), ("--nothing",)):
            with self.subTest(words):
                wrong = self.start_zoo(*words, ready=False)
                wrong.expects = (2,)
                self.assertEqual(wrong.wait(), 2)

    def test_refused_for_good(self):
        """A service whose name begins with pons. is the broker's."""
        wrong = self.start(parts.PYTHON, "-c", f"import sys; sys.path.insert(0, {os.path.dirname(os.path.dirname(pons.__file__))!r})\n"
                           "import pons\nagent = pons.Agent('x')\nagent.method('pons.mine.do')(lambda call, request: None)\nagent.run()",
                           "--endpoint", self.endpoint, ready=False)
        wrong.expects = (3,)
        self.assertEqual(wrong.wait(), 3)
        self.assertIn("BAD_NAME", wrong.log())

    def test_the_watchdog_hears_of_it(self):
        dog = self.start_zoo("--name", "dog", environment={"WATCHDOG_USEC": "200000"})
        self.assertTrue(dog.notify.wait("WATCHDOG=1", dog.process))


class Supervised(harness.Fleet):
    """`pons up` starts an agent in Python like any other."""

    BROKER = False
    CONFIG = """
site: here
broker: {{listen: ["ipc://bus"]}}
agents:
  - name: greeter
    program: {root}/docs/examples/agent.py
    environment: [{{name: PYTHONPATH, value: "{root}/adapters/python"}}, {{name: PYTHONDONTWRITEBYTECODE, value: "1"}}]
profiles:
  - {{name: own, agents: [greeter]}}
"""

    def pons(self, *words):
        done = subprocess.run([harness.program("pons"), "--json", *words], capture_output=True, text=True, timeout=60, check=False,
                              cwd=self.folder, env=self.environment)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def test_up_and_down(self):
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.CONFIG.format(root=parts.ROOT))
        self.environment = {**os.environ, **harness.SANITIZERS, "PONS_CONFIG": config, "PONS_RUNTIME_DIR": self.folder, "PONS_STATE_DIR": self.folder}
        self.addCleanup(subprocess.run, [harness.program("pons"), "down"], env=self.environment, cwd=self.folder, capture_output=True, timeout=60)
        self.pons("up", "--detach", "--profile", "own")
        self.assertIn("Hello, Ada.", self.pons("call", "greeter.hello", '{"name": "Ada"}'))
        self.pons("down")


class Led(Zoo):
    """With a broker that leads: it has flags and leases."""

    BROKER = False

    def setUp(self):
        super(Zoo, self).setUp()
        self.start_broker(environment=parts.LEADS)
        self.watcher = self.client("watcher")

    def wait_state(self, ready):
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            rows = self.watcher.ask("pons", "registry", {"service": "zoo"})["instances"]
            if [row["state"] == "ready" and row["credit"] > 0 for row in rows] == [ready]:
                return
            self.assertLess(time.monotonic(), due, rows)


class Switched(Led):
    def test_by_a_flag(self):
        """agent.NAME switches it off and on without a restart, as every agent."""
        with pons.Client(self.endpoint, "operator") as bus:
            self.start_zoo()
            self.wait_service(self.watcher, "zoo")
            parts.wait_leader(self, bus)
            for value, ready in (("off", False), ("on", True), ("off", False)):
                bus.ask("pons.flags.set", {"name": "agent.zoo", "value": value})
                self.wait_state(ready)
            with self.assertRaises(pons.NoService):
                bus.ask("zoo.seen", attempts=1, deadline_s=2)
            bus.ask("pons.flags.unset", {"name": "agent.zoo"})
            self.wait_state(True)


class Singletons(Led):
    def wait_holder(self, bus, but=""):
        """Who serves, and its token, as soon as that is another one."""
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            try:
                told = bus.ask("zoo.token", deadline_s=1, attempts=1)
                if not told["instance"].startswith(f"{but}:"):
                    return told["instance"].partition(":")[0], told["token"]
            except pons.PonsError as error:
                self.assertIn(error.status, (pons.Status.NO_SERVICE, pons.Status.DEADLINE, pons.Status.WORKER_LOST))
            self.assertLess(time.monotonic(), due)

    def test_one_serves_and_another_takes_over(self):
        with pons.Client(self.endpoint, "operator") as bus:
            parts.wait_leader(self, bus)
            agents = {name: self.start_zoo("--name", name, "--singleton", "zoo.only") for name in ("one", "two")}
            first, token = self.wait_holder(bus)
            self.assertEqual({answer.instance.partition(":")[0] for answer in bus.collect("zoo@*.token")}, {first})
            agents[first].kill()
            second, later = self.wait_holder(bus, but=first)
            self.assertGreater(later, token)
            agents[first] = self.start_zoo("--name", first, "--singleton", "zoo.only")
            agents[second].terminate()  # which gives it back
            self.assertEqual(agents[second].wait(), 0)
            third, last = self.wait_holder(bus, but=second)
            self.assertEqual(third, first)
            self.assertGreater(last, later)


if __name__ == "__main__":
    if sys.argv[1:2] == ["agent"]:
        the_agent()
    else:
        harness.main()
