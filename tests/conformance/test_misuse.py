#!/usr/bin/python3
"""What a handler or a caller does wrong with the Python package, and what a peer may send: each ends by name, nothing hangs, and what is
beside it goes on."""

import asyncio
import math
import threading
import time

import bad
import parts
import pons
from bad import PLACES, nested
from parts import harness

ENDS = (("cause", "REFUSED", "the cause"), ("surrogate", "REFUSED", "?"), ("later", "OVERLOADED", "later"), ("never", "OVERLOADED", "later"),
        ("mine", "REFUSED", "a and b"), ("broken", "INTERNAL", "can't be sent"), ("exits", "INTERNAL", "SystemExit"),
        ("interrupt", "INTERNAL", "KeyboardInterrupt"), ("no_target", "INTERNAL", ""), ("no_name", "BAD_NAME", "no name"),
        ("many_targets", "INTERNAL", "ValueError"), ("long", "INTERNAL", "ValueError"), ("unsayable", "INTERNAL", "ValueError"),
        ("text", "INTERNAL", "TypeError"), ("long_type", "INTERNAL", "ValueError"), ("deep", "INTERNAL", ""), ("half", "INTERNAL", ""),
        ("exits_aio", "INTERNAL", "SystemExit"), ("stopped_itself", "INTERNAL", "CancelledError"))


class Bad(parts.Parts, harness.Fleet):
    """A client, and the agent of bad.py."""

    def setUp(self):
        super().setUp()
        self.start_bad()
        self.watcher = self.client("watcher")
        self.wait_service(self.watcher, "bad")
        self.bus = self.made("visitor")

    def start_bad(self, *arguments):
        return self.start(parts.PYTHON, bad.__file__, "--endpoint", self.endpoint, *arguments)

    def made(self, name="visitor", **how):
        bus = pons.Client(self.endpoint, name, **how)
        self.addCleanup(bus.close)
        bus.wait_open()
        return bus

    def wait_seen(self, want):
        due = time.monotonic() + harness.DEADLINE_S
        while want not in (seen := self.bus.ask("bad.seen")):
            self.assertLess(time.monotonic(), due, seen)


class Handlers(Bad):
    def test_each_is_answered_and_gives_its_place_back(self):
        for name, status, text in ENDS:
            for _ in range(PLACES + 1):
                answer = self.bus.request(f"bad.{name}", attempts=1)
                self.assertEqual((name, answer.status.name), (name, status))
                self.assertIn(text, answer.message)
        self.assertEqual(self.bus.ask("bad.raw"), b"bytes")

    def test_who_waits_in_the_loop_is_told(self):
        for what in ("ask", "submit", "send", "wait"):
            with self.assertRaisesRegex(pons.Internal, "call.bus.ask"):
                self.bus.ask("bad.waits_in_the_loop", what)

    def test_a_generator_that_nobody_reads_is_closed(self):
        with self.bus.stream("bad.pieces") as stream:
            next(stream)
        self.wait_seen("closed")

    def test_who_is_cancelled_tidies_up_and_is_not_cancelled_again(self):
        with self.bus.stream("bad.tidies") as stream:
            next(stream)
        self.wait_seen("tidied")

    def test_what_a_thread_asks_is_taken_back_with_it(self):
        request = self.watcher.request("bad", "through", {})
        self.wait_seen("begun")
        self.watcher.send(harness.Kind.CANCEL, id=request)
        self.wait_seen("taken back")
        self.wait_seen("stopped")

    def test_a_second_signal_waits_for_nobody(self):
        for method, said in (("blocks", "it blocks"), ("swallows", "it swallows")):
            with self.subTest(method):
                agent = self.start_bad("--name", method)
                self.watcher.request(f"bad@{method}", method, {})
                due = time.monotonic() + harness.DEADLINE_S
                while said not in agent.log():
                    self.assertLess(time.monotonic(), due)
                    self.watcher.socket.poll(5)
                agent.expects = (1,)
                agent.terminate()
                self.assertTrue(agent.notify.wait("STOPPING=1", agent.process))
                agent.terminate()
                self.assertEqual(agent.wait(), 1)

    def test_requests_that_cannot_be_read_cost_no_place(self):
        """Annotations are the callers', and the broker hands on what it does not look into."""
        for inside in (b"\x81\xa1a" * 600 + b"\xc0", b"\x81\xa1a" + b"\x91" * 1500 + b"\xc0", b"\x81\xa1a\xa1\xff", b"\x81\x91\x01\x02") * PLACES:
            request = self.watcher.next_id()
            header = pons.wire.encode(harness.Kind.REQUEST, id=request, service="bad", method="raw", deadline=10_000_000, annotations={"a": 1})
            self.watcher.send_raw(header[:-4] + inside)
            self.ends("MALFORMED", self.watcher, request)
        self.assertEqual(self.bus.ask("bad.raw"), b"bytes")

    def test_declared_wrongly(self):
        agent = pons.Agent("a")

        async def pieces(call, request):
            yield 1

        with self.assertRaisesRegex(TypeError, "asend"):
            agent.method("a.b")(pieces)
        for target in ("nothing", "a b.c", "a@b.c", "a.b c"):
            with self.assertRaises(pons.BadName):
                agent.method(target)
        agent.method("a.b")(lambda call, request: None)
        with self.assertRaisesRegex(ValueError, "handler already"):
            agent.method("a.b")(lambda call, request: None)
        for concurrency in (0, -1, 65536):
            with self.assertRaisesRegex(ValueError, "concurrency"):
                pons.Agent("a", concurrency=concurrency)


WRONG = ({"annotations": {"x": object()}}, {"annotations": 5}, {"annotations": {"x": nested(600)}}, {"annotations": {"\ud800": 1}}, {"trace": b"short"},
         {"trace": "x" * 25}, {"priority": 3}, {"attempts": -1}, {"window_bytes": 0}, {"window_bytes": -1}, {"other": 1}, {"deadline_s": "soon"})
NO_TIMES = (0, -1, math.nan, math.inf, -math.inf, 1801, 1e300)
UNSAYABLE = (object(), 2**70, "\ud800", nested(600), {1: {object(): 2}})


class Asking(Bad):
    def test_what_cannot_be_asked_is_refused_at_once(self):
        async def ask(**how):
            async with pons.aio.Client(self.endpoint, "hasty") as bus:
                await bus.ask("bad.raw", **how)

        for how in WRONG:
            with self.subTest(how):
                with self.assertRaises((ValueError, TypeError)):
                    self.bus.ask("bad.raw", **how)
                with self.assertRaises((ValueError, TypeError)):
                    asyncio.run(ask(**how))
                with self.assertRaises((ValueError, TypeError)):
                    self.bus.stream("bad.pieces", **how)
        for deadline_s in NO_TIMES:
            with self.subTest(deadline_s):
                with self.assertRaises(pons.NoDeadline):
                    self.bus.ask("bad.raw", deadline_s=deadline_s)
                with self.assertRaises(pons.NoDeadline):
                    asyncio.run(ask(deadline_s=deadline_s))
        for value in UNSAYABLE:
            with self.assertRaises(pons.Invalid):
                self.bus.ask("bad.raw", value)
            with self.assertRaises(pons.Invalid):
                self.bus.publish("news.x", value)
        for target in ("nothing", "bad.\ud800", "\ud800.x", "x" * 200 + ".y"):
            with self.assertRaises((pons.PonsError, ValueError)):
                self.bus.ask(target)
        with self.assertRaises(pons.TooLarge):
            self.bus.ask("bad.raw", annotations={"x": "y" * 3000})
        self.assertEqual(self.bus.ask("bad.raw"), b"bytes")

    def test_what_cannot_be_wanted(self):
        for waiting in (0, -1):
            with self.assertRaisesRegex(ValueError, "waiting"):
                self.bus.subscribe("news.*", waiting=waiting)
        for duration_s in (0, -1, math.nan, math.inf, 3601):
            with self.assertRaisesRegex(ValueError, "duration_s"):
                self.bus.lease("one", duration_s=duration_s)
        for name in ("no name", "\ud800", ""):
            with self.assertRaises(ValueError):
                self.bus.lease(name)
            with self.assertRaises((ValueError, pons.BadName)):
                self.bus.flag(name)
            with self.assertRaises(ValueError):
                self.bus.publish(name)
        self.assertEqual(self.bus.ask("bad.raw"), b"bytes")

    def test_an_own_kind_of_refusal_is_for_its_own_program(self):
        with self.assertRaises(pons.Refused) as caught:
            self.bus.ask("bad.mine")
        self.assertIs(type(caught.exception), pons.Refused)

    def test_answers_that_are_no_msgpack(self):
        """Of an instance that this test plays."""
        rubbish = self.worker(harness.service("rubbish", "say"), agent="rubbish", credit=10)
        self.wait_service(self.watcher, "rubbish")
        good = {}

        def answer(body, **fields):
            request = rubbish.expect(harness.Kind.REQUEST)
            rubbish.send(harness.Kind.REPLY, body, id=request.fields["id"], **fields)

        def ask(how):
            try:
                good[how] = self.bus.collect("rubbish@*.say") if how == "collect" else self.bus.ask("rubbish.say")
            except pons.PonsError as error:
                good[how] = error

        for how, body in (("ask", b"\xc1"), ("collect", b"\xc1"), ("ask", b"\x81\x91\x01\x02"), ("collect", b"\x91" * 1500)):
            thread = threading.Thread(target=ask, args=(how,))
            thread.start()
            answer(body)
            thread.join(harness.DEADLINE_S)
            error = good.pop(how)
            self.assertIsInstance(error[0].error if how == "collect" else error, pons.ContractMismatch)
        thread = threading.Thread(target=ask, args=("ask",))
        thread.start()
        request = rubbish.expect(harness.Kind.REQUEST)
        header = pons.wire.encode(harness.Kind.REPLY, id=request.fields["id"], annotations={"a": 1})
        rubbish.send_raw(header[:-4] + b"\x81\xa1a\xa1\xff")
        thread.join(harness.DEADLINE_S)
        self.assertIsInstance(good.pop("ask"), pons.Malformed)
        self.assertEqual(self.bus.ask("bad.raw"), b"bytes")

    def test_an_event_that_is_no_msgpack(self):
        events = self.bus.subscribe("news.*")
        self.watcher.publish("news.x", b"\xc1", sequence=1, retain=True)
        event = events.next(harness.DEADLINE_S)
        with self.assertRaises(pons.ContractMismatch):
            event.value
        self.assertEqual(event.body, b"\xc1")


if __name__ == "__main__":
    harness.main()
