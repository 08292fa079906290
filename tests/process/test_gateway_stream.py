#!/usr/bin/python3
"""The gateway's streams: bytes as they came, honest ends, slow readers, clients that hang up, and nothing left behind."""

import os
import random
import threading
import time

import gateway_fleet
import harness
import msgpack
from gateway_fleet import CHAT, DONE, STREAM, event, reply
from harness import Kind, Status

PROMPT_MS = 100  # within which a hang-up cancels


class Streams(gateway_fleet.Gateways):
    def begin(self, worker, client, body=None):
        """A stream whose first piece has come: the request, and the head of the response."""
        client.post("/v1/chat/completions", body or STREAM)
        request = worker.take()
        self.piece(worker, request, 0, event("a"))
        return request, client.head()

    def test_events_come_as_they_were_sent(self):
        worker, client = self.coordinator(), self.http()
        request, (_, status, headers) = self.begin(worker, client)
        self.assertEqual((status, headers["content-type"], headers["cache-control"], headers["x-accel-buffering"]),
                         (200, "text/event-stream", "no-cache", "no"))
        self.assertTrue(harness.Flag.STREAM & request.flags)
        self.assertEqual(client.chunk(), event("a"))  # at once, not at the end
        odd = b'data: {"x":  1.0e5 ,"\xc3\xa9":"\\u00e9"}\n\n: a comment\n\ndata: {}\n\n'
        self.piece(worker, request, 1, odd)
        self.assertEqual(client.chunk(), odd)
        worker.reply(request, reply())
        self.assertEqual(client.chunks(), DONE)
        trace = self.asker().ask("pons", "trace", {"request": headers["x-request-id"]})
        self.assertTrue(trace["steps"])
        client.get("/healthz")  # the connection is good for more
        self.assertEqual(client.response().status, 200)

    def test_the_bus_may_have_all_at_once(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", {**STREAM, "stream_options": {"include_usage": True}})
        request = worker.take()
        for number in range(50):
            self.piece(worker, request, number, event(str(number)))
        worker.reply(request, reply())
        self.assertEqual(client.response().body, b"".join(event(str(n)) for n in range(50)) + DONE)

    def test_pieces_that_travelled_together(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM)
        request = worker.take()
        worker.chunk(request, 0, b"".join(msgpack.packb({"events": event(word).decode()}) for word in "abc"))
        worker.reply(request, reply())
        self.assertEqual(client.response().body, event("a") + event("b") + event("c") + DONE)

    def test_an_empty_stream(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM)
        worker.reply(worker.take(), reply())
        self.assertEqual(client.response().body, DONE)

    def test_an_error_before_the_first_byte_has_its_own_status(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM)
        worker.fail(worker.take(), Status.REFUSED, code="content_policy")
        response = client.response()
        self.assertEqual((response.status, response.headers["content-type"], response.error["code"]),
                         (400, "application/json", "content_policy"))

    def test_an_error_after_the_first_byte_is_no_clean_end(self):
        worker, client = self.coordinator(), self.http()
        request, _ = self.begin(worker, client)
        self.assertEqual(client.chunk(), event("a"))
        worker.fail(request, Status.FAILED, "the provider broke off")
        data = client.chunk()
        self.assertTrue(data.startswith(b'data: {"error":{"message":"the provider broke off"') and data.endswith(b"}}\n\n"), data)
        self.assertEqual(client.rest(), b"")  # no [DONE], no last chunk
        self.assertEqual(self.status()["streams_broken"], 1)

    def test_an_instance_that_dies_in_mid_stream(self):
        worker, client = self.coordinator(), self.http()
        self.begin(worker, client)
        self.assertEqual(client.chunk(), event("a"))
        worker.close()
        self.assertIn(b'"code":"stream_lost"', client.chunk())
        self.assertEqual(client.rest(), b"")

    def test_a_piece_that_does_not_fit_the_contract(self):
        worker, client = self.coordinator(), self.http()
        request, _ = self.begin(worker, client)
        client.chunk()
        worker.chunk(request, 1, msgpack.packb({"events": 5}))
        self.assertIn(b'"code":"bad_reply"', client.chunk())
        self.assertEqual(client.rest(), b"")
        worker.expect(Kind.CANCEL, id=request.id)

    def test_http_1_0_gets_no_chunks(self):
        worker, client = self.coordinator(), self.http()
        body = b'{"messages":[{}],"stream":true}'
        client.send(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        request = worker.take()
        self.piece(worker, request, 0, event("a"))
        worker.reply(request, reply())
        response = client.response()
        self.assertNotIn("transfer-encoding", response.headers)
        self.assertEqual(response.body, event("a") + DONE)

    def pour(self, worker, request, sent, number, window):
        """Sends pieces as far as the window allows, until it does not open for a second: (bytes sent, pieces, window)."""
        while True:
            while sent + 20000 <= window:
                body = msgpack.packb({"events": event("x" * 15000).decode()})
                worker.chunk(request, number, body)
                sent, number = sent + len(body), number + 1
            try:
                window = max(window, worker.expect(Kind.WINDOW, id=request.id, timeout_s=1).window)
            except TimeoutError:
                return sent, number, window

    def test_a_slow_reader_stops_the_executor(self):
        """Of an endless stream no more comes than sockets and one window have room for; and it goes on when the client does."""
        worker, client = self.coordinator(), self.http(receive_buffer=4096)
        client.post("/v1/chat/completions", STREAM)
        request = worker.take()
        self.assertLessEqual(request.window, 65536)
        sent, number, window = self.pour(worker, request, 0, 0, request.window)
        self.assertLess(sent, 8_000_000)
        self.assertGreater(number, 3)
        taken = 0
        while taken < sent // 2:
            taken += len(client.more())
            client.buffer = b""
        more, _, _ = self.pour(worker, request, sent, number, window)
        self.assertGreater(more, sent)

    def test_silence_is_filled_with_comments(self):
        worker, client = self.coordinator(), self.http()
        request, _ = self.begin(worker, client)
        client.chunk()
        began = time.monotonic()
        self.assertEqual(client.chunk(), b": \n\n")
        self.assertGreater(time.monotonic() - began, 14)
        worker.reply(request, reply())
        self.assertEqual(client.chunks(), DONE)


class LargePieces(gateway_fleet.Gateways):
    """Pieces of twice the window, sent in many chunks each by a worker that never goes over its window."""

    PIECES = 200  # 24 MB: more than sockets have room for

    def setUp(self):
        super().setUp()
        self.worker_, self.client_ = self.coordinator(), self.http(receive_buffer=4096)
        self.client_.post("/v1/chat/completions", STREAM)
        self.request = self.worker_.take()
        self.events = [event(f"{number:04}" + "x" * 120_000) for number in range(self.PIECES)]
        self.bytes = b"".join(msgpack.packb({"events": one.decode()}) for one in self.events)
        self.sent, self.number, self.window = 0, 0, self.request.window

    def go_on(self, chunk_bytes, timeout_s):
        """Sends what the window allows, and waits for it to open; false when there is nothing more to send or it stays shut."""
        while self.sent < self.window and self.sent < len(self.bytes):
            part = self.bytes[self.sent:min(self.sent + chunk_bytes, self.window)]
            self.worker_.chunk(self.request, self.number, part)
            self.sent, self.number = self.sent + len(part), self.number + 1
        if self.sent == len(self.bytes):
            return False
        try:
            self.window = max(self.window, self.worker_.expect(Kind.WINDOW, id=self.request.id, timeout_s=timeout_s).window)
        except TimeoutError:
            return False
        return True

    def test_a_client_that_stops_reading_stops_them(self):
        """A chunk that brings a two-hundredth of a piece is not used up before the piece is."""
        resident = self.resident_kib()
        while self.go_on(chunk_bytes=500, timeout_s=1):
            pass
        grown = self.resident_kib() - resident
        print(f"{self.sent} bytes went out before the window stayed shut, the gateway grew by {grown} KiB")
        self.assertLess(self.sent, 8_000_000)  # what sockets take, and not the whole stream
        if not harness.sanitized():
            self.assertLess(grown, 2048)

    def test_each_comes_whole_and_in_its_order(self):
        """Half a piece fills the window: it opens all the same, since the client has taken everything that was whole."""
        self.assertGreater(len(self.bytes) // self.PIECES, self.window)
        received = []

        def read():
            response = self.client_.response()
            received.append(response.body)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        while self.go_on(chunk_bytes=12_000, timeout_s=harness.DEADLINE_S):
            pass
        self.assertEqual(self.sent, len(self.bytes))
        self.worker_.reply(self.request, reply())
        reader.join(harness.DEADLINE_S)
        self.assertEqual(received, [b"".join(self.events) + DONE])


class HangUps(gateway_fleet.Gateways):
    """A client that goes away takes its request with it."""

    def cancelled(self, worker, request, hang_up):
        """Hangs up, and waits for the CANCEL; says how long that took."""
        began = time.monotonic()
        hang_up()
        worker.expect(Kind.CANCEL, id=request.id)
        took_ms = (time.monotonic() - began) * 1000
        print(f"cancelled after {took_ms:.1f} ms (wanted: {PROMPT_MS})")
        worker.fail(request, Status.CANCELLED)
        return took_ms

    def test_before_anything_was_sent(self):
        worker = self.coordinator()
        for body in (CHAT, STREAM):
            client = self.http()
            client.post("/v1/chat/completions", body)
            request = worker.take()
            self.assertLess(self.cancelled(worker, request, client.close), 5000)
        self.wait_empty()
        self.assertEqual(self.status()["hangups_total"], 2)

    def test_in_mid_stream(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM)
        request = worker.take()
        self.piece(worker, request, 0, event("a"))
        client.head()
        client.chunk()
        self.assertLess(self.cancelled(worker, request, client.close), 5000)
        self.wait_empty()

    def test_a_reader_that_never_read(self):
        worker, client = self.coordinator(), self.http(receive_buffer=4096)
        client.post("/v1/chat/completions", STREAM)
        request = worker.take()
        for number in range(4):
            self.piece(worker, request, number, event("x" * 15000))
        self.assertLess(self.cancelled(worker, request, client.close), 5000)
        self.wait_empty()

    def test_only_the_sending_half_is_closed(self):
        """As nginx does: the end of what the client sends is the end of the client."""
        import socket
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", CHAT)
        request = worker.take()
        self.cancelled(worker, request, lambda: client.socket.shutdown(socket.SHUT_WR))
        self.assertEqual(client.rest(), b"")

    def test_pipelined_bytes_are_no_hang_up(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM)
        request = worker.take()
        client.get("/healthz")
        self.piece(worker, request, 0, event("a"))
        client.head()
        self.assertEqual(client.chunk(), event("a"))
        client.get("/healthz")
        worker.reply(request, reply())
        self.assertEqual(client.chunks(), DONE)
        self.assertEqual([client.response().status for _ in range(2)], [200, 200])

    def wait_empty(self):
        """Until neither gateway nor broker knows of a request."""
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            # this question is itself one of the requests that the broker counts
            left = self.asker().ask("pons", "requests", {})["requests"]
            left = [row for row in left if row["service"] == "RequestCoordinator"]
            status = self.status()
            if not left and not status["running"] and not status["connections"]:
                return
            self.assertLess(time.monotonic(), due, f"{left} {status}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.gateway.pid}/fd"))

    def crowd(self, worker, chance, clients=200):
        """So many streams at a time; some clients go at once, some in the middle, some stay to the end."""
        asked = [self.http() for _ in range(clients)]
        for client in asked:
            client.post("/v1/chat/completions", STREAM)
        requests = [worker.take() for _ in asked]
        for client in asked:
            if chance.random() < 0.3:
                client.close()
        for request in requests:
            self.piece(worker, request, 0, event("one" * chance.randrange(1, 2000)))
        for client in asked:
            if client.socket.fileno() >= 0 and chance.random() < 0.5:
                client.socket.recv(100)
                client.close()
        for request in requests:
            worker.reply(request, reply())
        whole = [client for client in asked if client.socket.fileno() >= 0]
        for client in whole:
            self.assertTrue(client.response().body.endswith(DONE))
            client.close()
        self.clients.clear()
        self.wait_empty()

    def test_a_crowd_leaves_nothing(self):
        worker, chance = self.coordinator(), random.Random(7)
        self.crowd(worker, chance)
        self.crowd(worker, chance)
        descriptors, resident = self.descriptors(), self.resident_kib()
        for _ in range(5):
            self.crowd(worker, chance)
        print(f"resident after two crowds {resident} KiB, after seven {self.resident_kib()} KiB")
        self.assertEqual(self.descriptors(), descriptors)
        if not harness.sanitized():
            self.assertLess(self.resident_kib(), resident + 1024)

    def test_the_end_of_the_process_cuts_streams(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM)
        request = worker.take()
        self.piece(worker, request, 0, event("a"))
        client.head()
        self.gateway.terminate()
        self.piece(worker, request, 1, event("b"))
        worker.reply(request, reply())
        self.assertEqual(client.chunks(), event("a") + event("b") + DONE)
        self.assertEqual(self.gateway.wait(), 0)


if __name__ == "__main__":
    harness.main()
