#!/usr/bin/python3
"""FORWARD: the broker keeps the body and takes it on; annotations, several targets, hops, and what goes wrong."""

import harness
import msgpack
from harness import Flag, Kind, RemoteError, Status, method, service

FIRST = service("First", method("do", "idempotent", "streaming"))
SECOND = service("Second", method("run", "idempotent"))
ONCE = service("Once", method("run", "once"))


class Forward(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.first = self.worker(FIRST, agent="first", credit=9)
        self.asker = self.client()

    def test_kept_body(self):
        second = self.worker(SECOND, agent="second")
        request = self.asker.request("First", "do", {"question": "why"}, content_type="text/plain", trace=b"\x01" * 25)
        self.first.forward(self.first.take(), ("Second", "run"))
        message = second.take()
        self.assertEqual((message.id, message.service, message.method, message.hop), (request, "Second", "run", 1))
        self.assertEqual(message.data, {"question": "why"})
        self.assertEqual((message.content_type, message.trace), ("text/plain", b"\x01" * 25))
        self.assertLess(message.deadline, 30000000)
        second.reply(message, "because")
        self.assertEqual(self.asker.answer(request).data, "because")
        self.assertEqual(self.asker.ask("pons", "requests", {})["requests"], [])

    def test_large_body_in_parts(self):
        """1 MiB in five parts is kept once and handed on twice."""
        second = self.worker(SECOND, agent="second")
        parts = [bytes([n]) * 209715 for n in range(5)]
        request = self.asker.request_in_parts("First", "do", parts)

        def whole(worker):
            message = worker.take(id=request)
            body, flags = message.body, message.flags
            while flags & Flag.MORE:
                part = worker.expect(Kind.CHUNK, id=request)
                body, flags = body + part.body, part.flags
            return message, body

        message, body = whole(self.first)
        self.assertEqual(body, b"".join(parts))
        self.first.forward(message, ("Second", "run"))
        message, body = whole(second)
        self.assertEqual(body, b"".join(parts))
        second.reply(message, len(body))
        self.assertEqual(self.asker.answer(request).data, 1048575)

    def test_annotations_are_replaced(self):
        second = self.worker(SECOND, agent="second", credit=9)
        for given, wanted in ((None, {"a": 1}), ({"b": 2}, {"b": 2}), ({}, {})):
            with self.subTest(given):
                self.asker.request("First", "do", annotations={"a": 1})
                self.first.forward(self.first.take(), ("Second", "run"), annotations=given)
                self.assertEqual(second.take().annotations or {}, wanted)

    def test_first_target_that_can(self):
        """Unknown services and methods are passed over."""
        second = self.worker(SECOND, agent="second")
        request = self.asker.request("First", "do", 1)
        self.first.forward(self.first.take(), ("Nobody", "run"), ("Second", "sing"), ("Second", "run"))
        second.reply(second.take(), "yes")
        self.assertEqual(self.asker.answer(request).data, "yes")

    def test_no_target_can(self):
        """The last one's reason is the answer."""
        self.worker(SECOND, agent="second")
        request = self.asker.request("First", "do", 1)
        self.first.forward(self.first.take(), ("Nobody", "run"), ("Second", "sing"))
        self.ends("NO_METHOD", self.asker, request)

    def test_nack_goes_to_the_next_target(self):
        second, third = self.worker(SECOND, agent="second"), self.worker(service("Third", "run"), agent="third")
        request = self.asker.request("First", "do", 1)
        self.first.forward(self.first.take(), ("Second", "run"), ("Third", "run"))
        second.nack(second.take(), Status.BUSY)
        third.reply(third.take(), "third")
        self.assertEqual(self.asker.answer(request).data, "third")

    def test_overloaded_goes_to_the_next_target(self):
        self.broker.terminate()
        self.broker.wait()
        self.start_broker(environment={"PONS_BROKER_LIMITS_QUEUE_PER_SERVICE": "1"})
        first = self.worker(FIRST, agent="first", credit=9)
        self.worker(SECOND, agent="second", credit=0)
        third = self.worker(service("Third", "run"), agent="third")
        asker = self.client()
        asker.request("Second", "run", "fills the queue")
        request = asker.request("First", "do", 1)
        first.forward(first.take(), ("Second", "run"), ("Third", "run"))
        third.reply(third.take(), "third")
        self.assertEqual(asker.answer(request).data, "third")

    def test_lost_idempotent_goes_to_the_next_target(self):
        second, third = self.worker(SECOND, agent="second"), self.worker(service("Third", "run"), agent="third")
        request = self.asker.request("First", "do", 1)
        self.first.forward(self.first.take(), ("Second", "run"), ("Third", "run"))
        second.take()
        second.close()
        third.reply(third.take(), "third")
        self.assertEqual(self.asker.answer(request).data, "third")

    def test_lost_once_does_not(self):
        once, third = self.worker(ONCE, agent="once"), self.worker(service("Third", "run"), agent="third")
        request = self.asker.request("First", "do", 1)
        self.first.forward(self.first.take(), ("Once", "run"), ("Third", "run"))
        once.take()
        once.close()
        self.ends("WORKER_LOST", self.asker, request)
        self.assertTrue(third.none(Kind.REQUEST))

    def test_to_an_instance(self):
        self.worker(SECOND, agent="one", credit=9)
        two = self.worker(SECOND, agent="two", credit=9)
        for _ in range(3):
            request = self.asker.request("First", "do", 1)
            self.first.forward(self.first.take(), ("Second@two", "run"))
            two.reply(two.take(), "two")
            self.asker.answer(request)

    def test_too_many_hops(self):
        """A loop of one agent ends by its name after eight hops."""
        request = self.asker.request("First", "do", 1)
        for hop in range(9):
            message = self.first.take(id=request)
            self.assertEqual(message.hop, hop)
            self.first.forward(message, ("First", "do"))
        self.ends("TOO_MANY_HOPS", self.asker, request)

    def test_forward_after_a_chunk(self):
        self.worker(SECOND, agent="second")
        request = self.asker.request("First", "do", 1, flags=Flag.STREAM, window=1000)
        message = self.first.take()
        self.first.chunk(message, 0, b"said")
        self.first.forward(message, ("Second", "run"))
        self.ends("STREAM_LOST", self.asker, request)
        self.assertEqual(self.counters(self.asker)["MALFORMED"], 1)
        self.asker.request("First", "do", 2)
        self.assertEqual(self.first.take().data, 2)

    def test_bad_bodies(self):
        """A FORWARD that can't be read ends the request by name, and its instance is told."""
        for body in (b"", b"\xc1", msgpack.packb({"targets": []}), msgpack.packb({"targets": [{"service": "Second"}]}),
                     msgpack.packb({"targets": [{"service": "Second", "method": "run"}] * 5})):
            with self.subTest(body):
                request = self.asker.request("First", "do", 1)
                self.first.take()
                self.first.send(Kind.FORWARD, body, id=request)
                with self.assertRaises(RemoteError) as caught:
                    self.asker.answer(request)
                self.assertIn(caught.exception.status.name, ("INVALID", "MALFORMED", "INTERNAL"))

    def test_the_deadline_is_of_the_whole_way(self):
        second = self.worker(SECOND, agent="second")
        request = self.asker.request("First", "do", 1, deadline_s=0.3)
        self.first.forward(self.first.take(), ("Second", "run"))
        second.take()
        self.ends("DEADLINE", self.asker, request)
        second.expect(Kind.CANCEL, id=request)

    def test_cancel_reaches_who_has_it_now(self):
        second = self.worker(SECOND, agent="second")
        request = self.asker.request("First", "do", 1)
        self.first.forward(self.first.take(), ("Second", "run"))
        second.take()
        self.asker.send(Kind.CANCEL, id=request)
        second.expect(Kind.CANCEL, id=request)
        self.assertTrue(self.first.none(Kind.CANCEL))


if __name__ == "__main__":
    harness.main()
