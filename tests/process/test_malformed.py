#!/usr/bin/python3
"""What is not of the protocol gets a named ERROR or is dropped and counted, costs at most its own connection, and never
stops the broker. The random frames come from a seed that is printed; PONS_TEST_SEED repeats it."""

import os
import random
import secrets

import harness
import msgpack
import pons_wire as wire
from harness import Kind, service

SEED = int(os.environ.get("PONS_TEST_SEED", 0)) or secrets.randbits(32)
ECHO = service("Echo", "echo")


class Refused(harness.Fleet):
    def answered(self, status, header, body=b"", *more, request=None):
        """This frame is answered by an ERROR of this status, with the id if it can be read; the session goes on."""
        peer = self.client()
        peer.send_raw(header, body, *more)
        error = peer.expect(Kind.ERROR)
        self.assertEqual((error.status_name, error.id), (status, request))
        self.assertTrue(error.data["message"])
        peer.ask("pons", "ping", {})

    def counted(self, name, frame):
        """A frame that raises this counter by one."""
        peer = self.client()
        before = self.counters(peer)[name]
        peer.send_raw(frame)
        self.assertEqual(self.counters(peer)[name], before + 1)

    def test_not_msgpack(self):
        self.answered("MALFORMED", b"\xc1")

    def test_not_an_array(self):
        self.answered("MALFORMED", msgpack.packb({"kind": 4}))

    def test_empty_header(self):
        self.answered("MALFORMED", b"")

    def test_cut_header(self):
        self.answered("MALFORMED", wire.encode(Kind.PING, number=2**40)[:-1])

    def test_bytes_after_the_header(self):
        self.answered("MALFORMED", wire.encode(Kind.PING, number=7) + b"\0")

    def test_three_frames(self):
        self.answered("MALFORMED", wire.encode(Kind.PING, number=7), b"body", b"more")

    def test_many_frames(self):
        self.answered("MALFORMED", wire.encode(Kind.PING, number=7), b"body", *[b"x"] * 200)

    def test_missing_field_with_the_id(self):
        request = wire.request_id(5, 6)
        self.answered("MALFORMED", wire.encode(Kind.REQUEST, id=request, service="Echo"), request=request)

    def test_kind_of_a_broker(self):
        for kind, fields in ((Kind.WELCOME, {"session": 1}), (Kind.EVENT, {"service": "a.b"}), (Kind.GOAWAY, {}), (Kind.PROBE, {}), (Kind.WARM, {})):
            with self.subTest(kind.name):
                self.answered("MALFORMED", wire.encode(kind, **fields))

    def test_unknown_kind(self):
        self.answered("UNSUPPORTED", msgpack.packb([99]))
        self.counted("UNSUPPORTED", msgpack.packb([99]))

    def test_reserved_kinds(self):
        request = wire.request_id(5, 6)
        for kind in (Kind.LEASE, Kind.FLAGS):
            with self.subTest(kind.name):
                self.answered("UNSUPPORTED", wire.encode(kind, id=request), request=request)

    def test_field_over_its_limit(self):
        request = wire.request_id(5, 6)
        for fields in ({"service": "s" * 131}, {"method": "m" * 65}, {"deadline": 1800000001}, {"priority": 3},
                       {"annotations": {"k": "v" * 2048}}, {"content_type": "c" * 65}):
            with self.subTest(next(iter(fields))):
                whole = {"service": "Echo", "method": "echo", "deadline": 1000000, **fields}
                self.answered("TOO_LARGE", wire.encode(Kind.REQUEST, id=request, **whole), request=request)

    def test_header_over_its_limit(self):
        self.answered("TOO_LARGE", msgpack.packb([4] + [None] * 16 + [b"x" * 4096]))

    def test_body_over_its_limit(self):
        peer = self.client()
        request = peer.next_id()
        header = wire.encode(Kind.REQUEST, id=request, service="Echo", method="echo", deadline=1000000)
        peer.send_raw(header, b"b" * 258049)
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "TOO_LARGE")
        peer.ask("pons", "ping", {})

    def test_message_over_its_limit(self):
        """Over 256 KiB: refused, or the connection is closed; the broker goes on."""
        peer = self.client()
        peer.send_raw(wire.encode(Kind.PUBLISH, service="a.b"), b"b" * 8000000)
        self.assertTrue(peer.wait_gone(2) or peer.expect(Kind.ERROR).status_name == "TOO_LARGE")
        self.client().ask("pons", "ping", {})

    def test_third_malformed_ends_the_session(self):
        peer = self.client()
        for _ in range(3):
            peer.send_raw(b"\xc1")
        self.assertEqual([peer.expect(Kind.ERROR).status_name for _ in range(3)], ["MALFORMED"] * 3)
        self.assertTrue(peer.wait_gone())
        self.assertEqual(self.counters(self.client())["MALFORMED"], 3)

    def test_too_large_does_not_end_the_session(self):
        """A request over a limit is a mistake of the caller, not a sign of another protocol."""
        peer = self.client()
        for _ in range(5):
            self.ends("TOO_LARGE", peer, peer.request("Echo", "m" * 65))
        peer.ask("pons", "ping", {})

    def test_answers_to_nothing_are_dropped(self):
        worker = self.worker(ECHO)
        before = self.counters(worker)["STRAY"]
        request = wire.request_id(5, 6)
        for kind, fields in ((Kind.REPLY, {}), (Kind.ERROR, {"status": 20}), (Kind.CHUNK, {}), (Kind.NACK, {"status": 7}),
                             (Kind.FORWARD, {}), (Kind.CANCEL, {}), (Kind.WINDOW, {"window": 5})):
            worker.send(kind, msgpack.packb({"targets": [{"service": "Echo", "method": "echo"}]}), id=request, **fields)
        self.assertGreaterEqual(self.counters(worker)["STRAY"], before + 5)
        self.assertTrue(worker.none(Kind.ERROR))


class Packs(harness.Fleet):
    def refused(self, body):
        peer = self.client()
        peer.send(Kind.PACK, body)
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "MALFORMED")
        peer.ask("pons", "ping", {})

    def test_taken_apart(self):
        peer = self.client()
        peer.send_pack(*[(Kind.PING, b"", {"number": n + 1}) for n in range(256)])
        self.assertEqual([peer.expect(Kind.PONG).number for n in range(256)], list(range(1, 257)))

    def test_not_pairs(self):
        self.refused(msgpack.packb(wire.encode(Kind.PING, number=1)))

    def test_not_bin(self):
        self.refused(msgpack.packb(["a", "b"]))

    def test_cut(self):
        self.refused(wire.pack([(wire.encode(Kind.PING, number=1), b"body")])[:-1])

    def test_nested(self):
        inner = wire.pack([(wire.encode(Kind.PING, number=1), b"")])
        self.refused(msgpack.packb(wire.encode(Kind.PACK)) + msgpack.packb(inner))

    def test_too_many(self):
        one = msgpack.packb(wire.encode(Kind.PONG)) + msgpack.packb(b"")
        self.refused(one * 257)

    def test_empty_is_nothing(self):
        peer = self.client()
        peer.send(Kind.PACK)
        peer.ask("pons", "ping", {})


def random_frame(rng):
    """A header with every field, of random kind, with random damage; or plain noise."""
    fields = {"id": rng.randbytes(16), "attempt": rng.randrange(3), "hop": rng.randrange(10),
              "service": rng.choice(["Echo", "pons", "Echo@*", "a.b", "*.>", "@", "Echo@worker", ""]),
              "method": rng.choice(["echo", "stats", "x", ""]), "deadline": rng.randrange(10**6), "priority": rng.randrange(3),
              "flags": rng.randrange(64), "trace": rng.randbytes(25), "credit": rng.randrange(9), "number": rng.randrange(5),
              "window": rng.randrange(10**6), "status": rng.randrange(40), "session": rng.randrange(2**63),
              "annotations": {"sticky": rng.choice(["a", 5, None])}}
    chosen = {name: value for name, value in fields.items() if rng.random() < 0.7}
    header = bytearray(wire.encode(rng.choice(list(Kind)), **chosen))
    if rng.random() < 0.5:
        header[rng.randrange(len(header))] = rng.randrange(256)
    return bytes(header) if rng.random() < 0.95 else rng.randbytes(rng.randrange(1, 200))


def random_body(rng):
    bodies = [b"", rng.randbytes(rng.randrange(1, 400)), msgpack.packb({"version": 1, "client": rng.randrange(2**64)}),
              msgpack.packb({"targets": [{"service": "Echo", "method": "echo"}]}), b"x" * rng.randrange(60000)]
    return rng.choice(bodies)


class Noise(harness.Fleet):
    FRAMES = 4000

    def throw(self, rng, opened):
        """One connection's worth of random frames; it may be hung up on at any time."""
        peer = self.peer("noise")
        if opened:
            peer.open(ECHO, credit=5)
        for _ in range(50):
            frames = [random_frame(rng), random_body(rng)] + [b"x"] * (rng.random() < 0.03)
            peer.socket.send_multipart(frames[:1] if not frames[1] and len(frames) == 2 else frames)
        peer.wait_gone(0)
        peer.close()

    def test_the_broker_goes_on(self):
        print(f"PONS_TEST_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        worker, client = self.worker(ECHO, credit=9), self.client()
        for n in range(self.FRAMES // 50):
            self.throw(rng, opened=n % 2)
            worker.pump()
        self.assertTrue(self.broker.alive)
        worker.pump()
        worker.inbox.clear()
        request = client.request("Echo@worker", "echo", "still here")
        worker.reply(worker.take(id=request), "yes")
        self.assertEqual(client.answer(request).data, "yes")
        self.assertGreater(self.counters(client)["MALFORMED"], 100)

    def test_http_and_other_protocols(self):
        """Bytes that are not even ZeroMQ's, from plain sockets."""
        tcp_port = harness.free_port()
        self.start_broker(endpoints=[f"tcp://127.0.0.1:{tcp_port}"])
        rng = random.Random(SEED)
        sayings = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + rng.randbytes(100), rng.randbytes(1000), b"",
                   b"\xff\0\0\0\0\0\0\0\x01\x7f", b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + b"\0" * 48 + rng.randbytes(60)]
        for saying in sayings * 5:
            with harness.socket.create_connection(("127.0.0.1", tcp_port), timeout=10) as plain:
                plain.sendall(saying)
        self.client(endpoint=f"tcp://127.0.0.1:{tcp_port}").ask("pons", "ping", {})


if __name__ == "__main__":
    harness.main()
