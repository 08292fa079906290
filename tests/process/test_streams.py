#!/usr/bin/python3
"""Streams: chunks in order, the window that lets a slow reader stop the producer, bodies in parts."""

import harness
from harness import Flag, Kind, Status, method, service

SAY = service("Say", method("say", "idempotent", "streaming"))


class Stream(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.worker_ = self.worker(SAY, credit=9)
        self.asker = self.client()

    def stream(self, window=65536, **fields):
        """A request for a stream, and its message at the instance."""
        request = self.asker.request("Say", "say", "go", flags=Flag.STREAM, window=window, **fields)
        return request, self.worker_.take(id=request)

    def test_chunks_then_reply(self):
        request, message = self.stream()
        self.assertTrue(message.flags & Flag.STREAM)
        self.assertEqual(message.window, 65536)
        for n in range(20):
            self.worker_.chunk(message, n, b"%d " % n)
        self.worker_.reply(message, {"usage": 20}, number=20)
        chunks = [self.asker.expect(Kind.CHUNK, id=request) for _ in range(20)]
        self.assertEqual([chunk.number for chunk in chunks], list(range(20)))
        self.assertEqual(b"".join(chunk.body for chunk in chunks), b"".join(b"%d " % n for n in range(20)))
        reply = self.asker.answer(request)
        self.assertEqual((reply.data, reply.number), ({"usage": 20}, 20))

    def test_error_after_chunks(self):
        request, message = self.stream()
        self.worker_.chunk(message, 0, b"so far")
        self.worker_.fail(message, Status.INTERNAL, "no further")
        self.assertEqual(self.asker.expect(Kind.CHUNK, id=request).body, b"so far")
        self.ends("INTERNAL", self.asker, request)

    def test_no_chunk_at_all(self):
        request, message = self.stream()
        self.worker_.reply(message, "short")
        self.assertEqual(self.asker.answer(request).data, "short")

    def test_without_stream_chunks_are_dropped(self):
        request = self.asker.request("Say", "say")
        message = self.worker_.take()
        self.worker_.chunk(message, 0, b"unasked")
        self.worker_.reply(message, "whole")
        self.assertEqual(self.asker.answer(request).data, "whole")
        self.assertTrue(self.asker.none(Kind.CHUNK))
        self.assertGreaterEqual(self.counters(self.asker)["STRAY"], 1)

    def test_gap_in_the_numbers(self):
        request, message = self.stream()
        self.worker_.chunk(message, 0, b"zero")
        self.worker_.chunk(message, 2, b"two")
        self.ends("STREAM_LOST", self.asker, request)
        self.worker_.expect(Kind.CANCEL, id=request)

    def test_credit_is_held_until_the_reply(self):
        self.worker_.credit(1)
        request, message = self.stream()
        self.asker.request("Say", "say", "next")
        self.worker_.chunk(message, 0, b"x")
        self.assertTrue(self.worker_.none(Kind.REQUEST))
        self.worker_.reply(message, "done")
        self.assertEqual(self.worker_.take().data, "next")
        self.asker.answer(request)

    def test_cancel_in_mid_stream(self):
        request, message = self.stream()
        self.worker_.chunk(message, 0, b"x")
        self.asker.expect(Kind.CHUNK, id=request)
        self.asker.send(Kind.CANCEL, id=request)
        self.worker_.expect(Kind.CANCEL, id=request)
        self.worker_.chunk(message, 1, b"late")
        self.worker_.reply(message, "late")
        self.worker_.flush()
        self.assertTrue(self.asker.none(Kind.CHUNK, Kind.REPLY, Kind.ERROR))

    def test_deadline_in_mid_stream(self):
        request, message = self.stream(deadline_s=0.3)
        self.worker_.chunk(message, 0, b"x")
        self.ends("DEADLINE", self.asker, request)
        self.worker_.expect(Kind.CANCEL, id=request)

    def test_packed_chunks(self):
        """What is ready together travels together, in order."""
        request, message = self.stream()
        self.worker_.send_pack(*[(Kind.CHUNK, b"%d" % n, {"id": request, "number": n}) for n in range(100)],
                               (Kind.REPLY, b"\xc0", {"id": request, "number": 100}))
        self.assertEqual([self.asker.expect(Kind.CHUNK, id=request).number for _ in range(100)], list(range(100)))
        self.assertEqual(self.asker.answer(request).number, 100)

    def test_two_streams_at_once(self):
        first, one = self.stream()
        second, two = self.stream()
        for n in range(10):
            self.worker_.chunk(one, n, b"a%d" % n)
            self.worker_.chunk(two, n, b"b%d" % n)
        self.worker_.reply(two, "b")
        self.worker_.reply(one, "a")
        self.assertEqual([self.asker.expect(Kind.CHUNK, id=first).body for _ in range(10)], [b"a%d" % n for n in range(10)])
        self.assertEqual([self.asker.expect(Kind.CHUNK, id=second).body for _ in range(10)], [b"b%d" % n for n in range(10)])


class Window(harness.Fleet):
    PIECE = 100000

    def setUp(self):
        super().setUp()
        self.worker_ = self.worker(SAY, credit=9)
        self.asker = self.client()

    def test_is_passed_on(self):
        request = self.asker.request("Say", "say", flags=Flag.STREAM, window=1000)
        message = self.worker_.take()
        self.worker_.chunk(message, 0, b"x" * 600)
        self.asker.expect(Kind.CHUNK, id=request)
        self.asker.send(Kind.WINDOW, id=request, number=1, window=1600)
        window = self.worker_.expect(Kind.WINDOW, id=request)
        self.assertEqual((window.number, window.window), (1, 1600))

    def test_never_falls(self):
        request = self.asker.request("Say", "say", flags=Flag.STREAM, window=1000)
        self.worker_.take()
        self.asker.send(Kind.WINDOW, id=request, number=0, window=500)
        self.asker.flush()
        self.assertTrue(self.worker_.none(Kind.WINDOW))

    def test_slow_reader_stops_the_producer(self):
        """A producer that keeps to its window never has more than it under way, however slow the reader is."""
        request = self.asker.request("Say", "say", flags=Flag.STREAM, window=2 * self.PIECE)
        message = self.worker_.take()
        granted, sent, n = message.window, 0, 0
        for taken in range(20):
            while sent + self.PIECE <= granted:
                self.worker_.chunk(message, n, bytes([n]) * self.PIECE)
                sent, n = sent + self.PIECE, n + 1
            self.assertLessEqual(sent, (taken + 2) * self.PIECE)
            chunk = self.asker.expect(Kind.CHUNK, id=request)
            self.assertEqual((chunk.number, chunk.body), (taken, bytes([taken]) * self.PIECE))
            self.asker.send(Kind.WINDOW, id=request, number=taken + 1, window=(taken + 3) * self.PIECE)
            granted = self.worker_.expect(Kind.WINDOW, id=request).window
        self.worker_.reply(message, n, number=n)
        while self.asker.expect(Kind.CHUNK, Kind.REPLY, id=request).kind == Kind.CHUNK:
            pass

    def test_over_the_window_loses_the_stream(self):
        request = self.asker.request("Say", "say", flags=Flag.STREAM, window=1000)
        message = self.worker_.take()
        for n in range(4):
            self.worker_.chunk(message, n, b"x" * 200000)
        self.ends("STREAM_LOST", self.asker, request)
        self.worker_.expect(Kind.CANCEL, id=request)

    def test_is_bounded_by_the_broker(self):
        """No client can make the broker promise more than 1 MiB ahead."""
        request = self.asker.request("Say", "say", flags=Flag.STREAM, window=2**63)
        message = self.worker_.take()
        self.assertLessEqual(message.window, 1048576)
        self.worker_.reply(message, "done")
        self.asker.answer(request)

    def test_of_another_client_is_dropped(self):
        request = self.asker.request("Say", "say", flags=Flag.STREAM, window=1000)
        self.worker_.take()
        other = self.client()
        other.send(Kind.WINDOW, id=request, number=0, window=5000)
        other.flush()
        self.assertTrue(self.worker_.none(Kind.WINDOW))


class Bodies(harness.Fleet):
    """Request bodies that come in parts are routed when they are whole."""

    def whole(self, worker, request):
        message = worker.take(id=request)
        body, flags, number = message.body, message.flags, 0
        while flags & Flag.MORE:
            number += 1
            part = worker.expect(Kind.CHUNK, id=request)
            self.assertEqual(part.number, number)
            body, flags = body + part.body, part.flags
        return message, body

    def test_one_mib(self):
        worker, client = self.worker(SAY), self.client()
        parts = [bytes([n]) * 174763 for n in range(6)]
        request = client.request_in_parts("Say", "say", parts)
        message, body = self.whole(worker, request)
        self.assertEqual(body, b"".join(parts))
        worker.reply(message, len(body))
        self.assertEqual(client.answer(request).data, 1048578)

    def test_many_small_parts(self):
        worker, client = self.worker(SAY), self.client()
        request = client.request_in_parts("Say", "say", [b"%d " % n for n in range(200)])
        message, body = self.whole(worker, request)
        self.assertEqual(body, b"".join(b"%d " % n for n in range(200)))
        worker.reply(message, "done")
        client.answer(request)

    def test_too_many_parts(self):
        self.worker(SAY)
        client = self.client()
        self.ends("TOO_LARGE", client, client.request_in_parts("Say", "say", [b"x"] * 300))

    def test_not_routed_before_it_is_whole(self):
        worker, client = self.worker(SAY), self.client()
        request = client.request("Say", "say", b"one ", flags=Flag.MORE)
        client.flush()
        self.assertTrue(worker.none(Kind.REQUEST))
        client.send(Kind.CHUNK, b"two", id=request, number=1)
        self.assertEqual(self.whole(worker, request)[1], b"one two")

    def test_done_again_with_the_whole_body(self):
        one, two = self.worker(SAY, agent="one"), self.worker(SAY, agent="two", credit=0)
        client = self.client()
        request = client.request_in_parts("Say", "say", [b"a" * 100000, b"b" * 100000])
        one.take()
        two.credit(1)
        one.close()
        message, body = self.whole(two, request)
        self.assertEqual(body, b"a" * 100000 + b"b" * 100000)
        two.reply(message, "two")
        self.assertEqual(client.answer(request).data, "two")

    def test_large_bodies_do_not_hold_up_small_ones(self):
        """A part is at most 256 KiB, so that another request gets through between them."""
        worker, client, other = self.worker(SAY, credit=9), self.client(), self.client()
        client.request("Say", "say", b"x" * 250000, flags=Flag.MORE)
        small = other.request("Say", "say", "small")
        worker.reply(worker.take(id=small), "quick")
        self.assertEqual(other.answer(small).data, "quick")


if __name__ == "__main__":
    harness.main()
