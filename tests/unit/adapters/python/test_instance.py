#!/usr/bin/python3
"""The instance's core without a socket: credit, calls, streams, PROBE, the memory, drain."""

import unittest

import fake
import msgpack

from pons import wire
from pons.errors import PonsError, Refused, Status
from pons.memory import Found, Memory, Reply
from pons.wire import LIMITS, Flag, Kind

SECOND = 1_000_000


class Served(unittest.TestCase):
    BROKERS = 2

    def setUp(self):
        self.world = fake.World(brokers=self.BROKERS, instance=True)
        self.instance = self.world.instance
        for broker in range(self.BROKERS):
            self.world.open(broker, session=11 + broker)
            self.assertEqual(self.world.said(broker, Kind.CREDIT)[1]["session"], 11 + broker)

    def probe(self, broker, id, attempt=1, age_us=0, **more):
        self.world.hear(broker, Kind.PROBE, msgpack.packb({"requests": [{"id": id, "attempt": attempt, "age_us": age_us, **more}]}))

    def reply(self, call, body=b"r"):
        call.reply(body)
        self.instance.done()
        self.world.turn()

    def state(self, broker=1):
        have = self.world.said(broker, Kind.HAVE)
        return msgpack.unpackb(have[2])["state"], have[1].get("number", 0)


class OneBroker(Served):
    BROKERS = 1

    def test_hello_says_what_is_offered(self):
        self.world.lose()
        self.world.wait(SECOND)
        hello = msgpack.unpackb(self.world.open()[2])
        self.assertEqual(hello["features"], 3)
        self.assertEqual(hello["services"][0]["service"], "svc")
        self.assertEqual({row["method"]: row["flags"] for row in hello["services"][0]["methods"]}, {"do": 4, "again": 1, "flow": 6})

    def test_an_answer(self):
        id = self.world.request(body=b"\x01")
        call = self.world.begun.pop()
        self.assertEqual((call.body, call.method, call.due - self.world.now), (b"\x01", "do", 10 * SECOND))
        self.reply(call)
        self.assertEqual(self.world.said(0, Kind.REPLY)[1:], ({"kind": Kind.REPLY, "id": id}, b"r"))
        self.assertEqual((self.instance.held, self.instance.running), (0, 0))

    def test_the_first_answer_counts(self):
        self.world.request()
        call = self.world.begun.pop()
        call.error(Refused("no"))
        self.reply(call)
        self.assertIsNone(self.world.said(0, Kind.REPLY))

    def test_an_error_says_all(self):
        self.world.request()
        self.world.begun.pop().error(Refused("ä" * 1000, path="p", code="c", http_status=418, retry_after_s=2))
        self.world.turn()
        _, fields, body = self.world.said(0, Kind.ERROR)
        told = msgpack.unpackb(body)
        self.assertEqual((fields["status"], told["path"], told["code"], told["http_status"], told["retry_after_us"], told["origin"]),
                         (Status.REFUSED, "p", "c", 418, 2 * SECOND, "me"))
        self.assertEqual(told["message"], "ä" * 512)

    def test_what_is_not_offered(self):
        self.world.request(method="other")
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.NO_METHOD)
        self.world.request(sequence=2, service="other")
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.NO_SERVICE)

    def test_a_request_that_cannot_be_read_is_answered(self):
        """Else its credit would be lost, and with as many of them the agent."""
        id = wire.request_id(99, 1)
        header = wire.encode(Kind.REQUEST, id=id, hop=2, service="svc", method="do", deadline=SECOND, annotations={"a": 1})[:-4] + b"\x81\xa1a\xa1\xff"
        self.world.begin()
        self.world.core.received(0, [header])
        self.world.turn()
        self.assertEqual(self.world.said(0, Kind.ERROR)[1], {"kind": Kind.ERROR, "id": id, "hop": 2, "status": Status.MALFORMED})

    def test_no_more_than_it_can_at_a_time(self):
        for sequence in range(1, 4):
            self.world.request(sequence=sequence)
        self.assertEqual(len(self.world.begun), 2)
        self.reply(self.world.begun[0])
        self.assertEqual(len(self.world.begun), 3)

    def test_a_request_in_parts(self):
        id = self.world.request(body=b"a", flags=Flag.MORE)
        self.world.hear(0, Kind.CHUNK, b"b", id=id, number=1, flags=Flag.MORE)
        self.assertEqual(self.world.begun, [])
        self.world.hear(0, Kind.CHUNK, b"c", id=id, number=2)
        self.assertEqual(self.world.begun[0].body, b"abc")

    def test_a_part_that_is_missing(self):
        id = self.world.request(body=b"a", flags=Flag.MORE)
        self.world.hear(0, Kind.CHUNK, b"c", id=id, number=2)
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.MALFORMED)

    def test_the_deadline(self):
        self.world.request(deadline=SECOND)
        running = self.world.begun.pop()
        self.world.request(sequence=2)
        self.world.request(sequence=3, deadline=SECOND)
        self.world.wait(2 * SECOND)
        self.assertEqual(running.cancelled, Status.DEADLINE)
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.DEADLINE)  # the queued one
        self.reply(running)
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.DEADLINE)

    def test_cancelled(self):
        changes = []
        id = self.world.request()
        call = self.world.begun.pop()
        call.on_change = lambda: changes.append(call.cancelled)
        self.world.hear(0, Kind.CANCEL, id=id)
        self.assertEqual(changes, [Status.CANCELLED])
        call.error(PonsError.of(Status.CANCELLED)())
        self.assertEqual(self.instance.held, 0)

    def test_a_stream_within_its_window(self):
        id = self.world.request(method="flow", flags=Flag.STREAM, window=10)
        call = self.world.begun.pop()
        call.chunk(b"0123456789ab")
        call.chunk(b"c")
        self.assertFalse(call.has_room)
        self.world.turn()
        chunk = self.world.said(0, Kind.CHUNK)
        self.assertEqual((chunk[1].get("number", 0), chunk[2]), (0, b"0123456789abc"))  # merged
        self.world.hear(0, Kind.WINDOW, id=id, number=1, window=100)
        self.assertTrue(call.has_room)
        self.reply(call)
        self.assertEqual(self.world.said(0, Kind.REPLY)[1]["number"], 1)

    def test_who_wants_no_stream_gets_none(self):
        self.world.request(method="flow")
        self.world.begun[0].chunk(b"x")
        self.world.turn()
        self.assertIsNone(self.world.said(0, Kind.CHUNK))

    def test_a_reply_in_parts(self):
        body = bytes(range(256)) * 4000
        id = self.world.request(window=300_000)
        self.reply(self.world.begun[0], body)
        first, second = self.world.said(0, Kind.CHUNK), self.world.said(0, Kind.CHUNK)
        self.assertIsNone(self.world.said(0, Kind.REPLY))
        self.world.hear(0, Kind.WINDOW, id=id, number=2, window=2_000_000)
        third, last = self.world.said(0, Kind.CHUNK), self.world.said(0, Kind.REPLY)
        self.assertEqual(first[2] + second[2] + third[2] + last[2], body)
        self.assertEqual((first[1]["flags"], last[1]["number"], self.instance.reply_bytes), (Flag.PART, 3, 0))

    def test_a_large_reply_without_a_window(self):
        self.world.request()
        self.reply(self.world.begun[0], bytes(300_000))
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.TOO_LARGE)

    def test_a_large_reply_that_is_taken_back(self):
        id = self.world.request(window=1)
        self.reply(self.world.begun[0], bytes(1_000_000))
        self.world.hear(0, Kind.CANCEL, id=id)
        self.assertEqual((self.instance.held, self.instance.reply_bytes), (0, 0))

    def test_forward(self):
        id = self.world.request()
        self.world.begun[0].forward([("a", "x"), ("b@c", "y")], {"k": 1})
        self.world.turn()
        _, fields, body = self.world.said(0, Kind.FORWARD)
        self.assertEqual((fields["id"], fields["annotations"]), (id, {"k": 1}))
        self.assertEqual(msgpack.unpackb(body), {"targets": [{"service": "a", "method": "x"}, {"service": "b@c", "method": "y"}]})

    def test_forward_to_nobody_or_too_late(self):
        self.world.request(method="flow", flags=Flag.STREAM, window=10)
        self.world.begun[0].chunk(b"x")
        self.world.begun[0].forward([("a", "x")], None)
        self.world.turn()
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.INTERNAL)

    def test_switched_off_and_on_by_a_flag(self):
        def flag(value, counter):
            self.world.hear(0, Kind.EVENT, msgpack.packb({"name": "agent.me", "value": value, "epoch": 2, "counter": counter}),
                            service="pons.flags.agent.me", flags=Flag.RETAIN)

        flag("off", 2)
        self.assertEqual(self.world.said(0, Kind.DRAIN)[1]["flags"], Flag.CLEAN)
        flag("on", 1)  # older
        self.assertIsNone(self.world.said(0, Kind.CREDIT))
        flag("on", 3)
        self.assertEqual(self.world.said(0, Kind.CREDIT)[1]["credit"], 2)

    def test_drain(self):
        left = []
        self.world.request()
        self.instance.drain(lambda: left.append(True))
        self.world.turn()
        self.assertTrue(self.world.said(0, Kind.DRAIN))
        self.world.hear(0, Kind.DRAIN)
        self.world.request(sequence=2)
        self.assertEqual(self.world.said(0, Kind.NACK)[1]["status"], Status.DRAINING)
        self.reply(self.world.begun[0])
        self.assertEqual(self.world.said(0, Kind.BYE)[1]["flags"], Flag.CLEAN)
        self.assertEqual(left, [])
        self.world.lose(0)
        self.assertEqual(left, [True])

    def test_drain_without_an_echo(self):
        left = []
        self.instance.drain(lambda: left.append(True))
        self.world.wait(3 * SECOND)
        self.assertEqual(left, [True])

    def test_a_stream_without_a_broker_is_stopped(self):
        self.world.request(method="flow", flags=Flag.STREAM, window=10)
        call = self.world.begun[0]
        call.chunk(b"x")
        self.world.turn()
        self.world.lose(0)
        self.assertEqual(call.cancelled, Status.CANCELLED)


class TwoBrokers(Served):
    def test_busy_and_half_for_each(self):
        self.world.request(0)
        self.world.request(0, sequence=2)
        self.world.request(1, sequence=3)
        self.assertEqual(self.world.said(1, Kind.NACK)[1]["status"], Status.BUSY)
        self.assertEqual(self.world.said(0, Kind.CREDIT)[1]["credit"], 1)
        self.reply(self.world.begun[0])
        self.assertEqual(self.world.said(1, Kind.CREDIT)[1]["credit"], 1)

    def test_running_is_had(self):
        id = self.world.request(0)
        self.probe(1, id)
        self.assertEqual(self.state(), ("running", 0))
        self.assertEqual(self.world.said(0, Kind.NACK)[1]["status"], Status.STALE)
        self.reply(self.world.begun[0])
        self.assertEqual(self.world.said(1, Kind.REPLY)[1]["attempt"], 1)
        self.assertIsNone(self.world.said(0, Kind.REPLY))

    def test_queued_is_had(self):
        for sequence in (1, 2):
            self.world.request(0, sequence=sequence)
        self.instance.concurrency = 3  # room for one more, and nobody to run it
        self.instance.running = 3
        id = self.world.request(0, sequence=3)
        self.probe(1, id)
        self.assertEqual(self.state()[0], "queued")

    def test_done_is_said_again(self):
        id = self.world.request(0)
        self.reply(self.world.begun[0])
        self.probe(1, id)
        self.assertEqual(self.state(), ("done", 0))
        self.assertEqual(self.world.said(1, Kind.REPLY)[2], b"r")
        self.assertEqual(len(self.world.begun), 1)

    def test_what_is_not_kept(self):
        id = self.world.request(0, window=1_000_000)
        self.reply(self.world.begun[0], bytes(200_000))
        self.probe(1, id)
        self.assertEqual(self.state()[0], "reply_gone")

    def test_forwarded_is_said_again(self):
        id = self.world.request(0)
        self.world.begun[0].forward([("a", "x")], None)
        self.probe(1, id)
        self.assertEqual(self.state()[0], "forwarded")
        self.assertTrue(self.world.said(1, Kind.FORWARD))

    def test_never_begun(self):
        self.world.wait(SECOND)
        id = wire.request_id(99, 5)
        self.probe(1, id, age_us=SECOND // 2)
        self.assertNotIn("status", self.world.said(1, Kind.PASS)[1])
        self.probe(1, wire.request_id(99, 6), age_us=2 * SECOND)  # older than this process
        self.assertEqual(self.world.said(1, Kind.PASS)[1]["status"], Status.UNKNOWN)
        self.world.request(0, sequence=5)  # the first attempt comes late
        self.assertEqual(self.world.said(0, Kind.NACK)[1]["status"], Status.STALE)
        self.assertEqual(self.world.begun, [])

    def test_below_the_highest_attempt(self):
        id = self.world.request(0)
        self.probe(1, id, attempt=2)
        self.probe(0, id, attempt=1)
        self.assertEqual(self.world.said(0, Kind.PASS)[1]["status"], Status.STALE)
        self.world.hear(1, Kind.CANCEL, id=id, attempt=1)
        self.assertIsNone(self.world.begun[0].cancelled)

        self.world.request(0, attempt=1)
        self.assertEqual(self.world.said(0, Kind.NACK)[1]["status"], Status.STALE)

    def test_a_window_below_the_highest_attempt_is_dropped(self):
        id = self.world.request(0, method="flow", flags=Flag.STREAM, window=10)
        self.world.begun[0].chunk(b"a")
        self.world.turn()
        self.probe(1, id, attempt=2)
        self.world.hear(0, Kind.WINDOW, id=id, attempt=1, number=1, window=500)
        self.assertEqual((self.world.begun[0].window, self.world.begun[0].pieces_first), (10, 0))

    def test_pieces_that_were_never_made_are_not_kept(self):
        id = self.world.request(0, method="flow", flags=Flag.STREAM, window=1000)
        self.world.begun[0].chunk(b"a")
        self.reply(self.world.begun[0])
        self.probe(1, id, chunk=5)
        self.assertEqual(self.state()[0], "reply_gone")

    def test_a_session_that_came_back_is_another_one(self):
        """The broker has forgotten the call with it: the answer goes where it may be asked for."""
        self.world.request(0)
        self.world.lose(0)
        self.world.wait(SECOND)
        self.world.open(0)
        self.reply(self.world.begun[0])
        self.assertTrue(self.world.said(1, Kind.REPLY))

    def test_work_without_a_broker_goes_on(self):
        self.world.request(0)
        self.world.lose(0)
        for _ in range(4):
            self.world.wait(SECOND)
        self.assertIsNone(self.world.begun[0].cancelled)

    def test_idempotent_work_that_was_handed_on_is_looked_for_where_it_went(self):
        id = self.world.request(0, method="again")
        self.world.begun[0].forward([("a", "x")], None)
        self.probe(1, id)
        self.assertEqual(self.state()[0], "forwarded")

    def test_what_was_not_whole_was_not_begun(self):
        id = self.world.request(0, flags=Flag.MORE)
        self.probe(1, id)
        self.assertTrue(self.world.said(1, Kind.PASS))
        self.assertEqual(self.instance.held, 0)

    def test_a_moved_stream_goes_on(self):
        id = self.world.request(0, method="flow", flags=Flag.STREAM, window=1000)
        call = self.world.begun[0]
        for piece in (b"a", b"b", b"c"):
            call.chunk(piece)
            self.world.turn()
        self.world.lose(0)
        self.probe(1, id, chunk=1, window_bytes=500)
        self.assertEqual(self.state(), ("running", 1))
        self.assertEqual([self.world.said(1, Kind.CHUNK)[2] for _ in range(2)], [b"b", b"c"])
        self.reply(call)
        self.assertEqual(self.world.said(1, Kind.REPLY)[1]["number"], 3)

    def test_a_stream_that_ended_goes_on(self):
        id = self.world.request(0, method="flow", flags=Flag.STREAM, window=1000)
        for piece in (b"a", b"b"):
            self.world.begun[0].chunk(piece)
            self.world.turn()
        self.reply(self.world.begun[0])
        self.probe(1, id, chunk=1)
        self.assertEqual(self.state(), ("done", 1))
        self.assertEqual(self.world.said(1, Kind.CHUNK)[2], b"b")

    def test_each_execution_has_a_number_of_its_own(self):
        id = self.world.request(0, method="flow", flags=Flag.STREAM, window=1000)
        for piece in (b"a", b"b"):
            self.world.begun[0].chunk(piece)
            self.world.turn()
        first, second = (self.world.said(0, Kind.CHUNK)[1] for _ in range(2))
        execution = first["execution"]
        self.assertNotIn("execution", second)
        self.probe(1, id)
        self.assertEqual([self.world.said(1, kind)[1].get("execution") for kind in (Kind.HAVE, Kind.CHUNK, Kind.CHUNK)],
                         [execution, execution, None])
        self.reply(self.world.begun[0])
        self.assertEqual(self.world.said(1, Kind.REPLY)[1]["execution"], execution)
        self.probe(1, id, attempt=2)
        self.assertEqual([self.world.said(1, kind)[1].get("execution") for kind in (Kind.HAVE, Kind.CHUNK, Kind.CHUNK, Kind.REPLY)],
                         [execution, execution, None, execution])
        self.world.request(0, sequence=2)
        self.assertNotIn(self.world.begun[1].execution, (0, execution))
        self.reply(self.world.begun[1])
        self.assertNotIn("execution", self.world.said(0, Kind.REPLY)[1])

    def test_chunks_that_are_not_wanted_any_more_are_dropped(self):
        id = self.world.request(0, method="flow", flags=Flag.STREAM, window=1000)
        self.world.begun[0].chunk(b"a")
        self.world.turn()
        self.world.hear(0, Kind.WINDOW, id=id, number=1, window=2000)
        self.probe(1, id, chunk=0)
        self.assertEqual(self.state(), ("running", 1))  # which the broker answers with CANCEL

    def test_an_answer_that_found_its_broker_gone(self):
        id = self.world.request(0)
        self.world.lose(0)
        self.reply(self.world.begun[0])
        self.assertEqual(self.world.said(1, Kind.REPLY)[1]["id"], id)

    def test_an_orphan_stream_ends(self):
        self.world.request(0, method="flow", flags=Flag.STREAM, window=1000)
        self.world.begun[0].chunk(b"a")
        self.world.turn()
        self.world.lose(0)
        self.world.wait(SECOND)
        self.assertIsNone(self.world.begun[0].cancelled)
        self.world.wait(2 * SECOND)
        self.assertEqual(self.world.begun[0].cancelled, Status.CANCELLED)

    def test_a_request_that_comes_again(self):
        id = self.world.request(0)
        self.world.request(1, attempt=1)
        self.assertEqual(len(self.world.begun), 1)
        self.reply(self.world.begun[0])
        self.assertTrue(self.world.said(1, Kind.REPLY))
        self.world.request(1, attempt=2)
        self.assertEqual(self.world.said(1, Kind.REPLY)[1], {"kind": Kind.REPLY, "id": id, "attempt": 2})

    def test_idempotent_work_is_not_remembered(self):
        id = self.world.request(0, method="again")
        self.reply(self.world.begun[0])
        self.probe(1, id)
        self.assertTrue(self.world.said(1, Kind.PASS))

    def test_what_was_stopped_is_no_answer(self):
        """Its broker thought that nobody waits for it. Who asks for it later has not cancelled it, and does not hear that it was."""
        id = self.world.request(0)
        self.world.hear(0, Kind.CANCEL, id=id)
        call = self.world.begun[0]
        self.assertEqual(call.cancelled, Status.CANCELLED)
        self.probe(1, id)
        self.assertEqual(self.state()[0], "reply_gone")
        self.world.request(1, attempt=1)
        self.assertEqual(self.world.said(1, Kind.NACK)[1]["status"], Status.BUSY)
        call.error(PonsError.of(Status.CANCELLED)())
        self.instance.done()
        self.world.turn()
        self.assertEqual(self.world.said(0, Kind.ERROR)[1]["status"], Status.CANCELLED)
        self.probe(1, id, attempt=2)
        self.assertEqual(self.state()[0], "reply_gone")
        self.world.request(1, attempt=3)
        self.assertEqual(self.world.said(1, Kind.ERROR)[1]["status"], Status.GONE)
        self.assertEqual(len(self.world.begun), 1)

    def test_a_stopped_stream_of_idempotent_work_is_done_again(self):
        id = self.world.request(0, method="again", flags=Flag.STREAM, window=100)
        call = self.world.begun[0]
        call.chunk(b"x")
        self.world.turn()
        self.world.hear(0, Kind.CANCEL, id=id)
        call.error(PonsError.of(Status.CANCELLED)())
        self.instance.done()
        self.world.turn()
        self.probe(1, id)
        self.assertTrue(self.world.said(1, Kind.PASS))
        self.world.request(1, method="again", attempt=1)
        self.assertEqual(len(self.world.begun), 2)

    def test_it_is_told_once_that_nobody_waits(self):
        changes = []
        id = self.world.request(0, deadline=SECOND)
        self.world.begun[0].on_change = lambda: changes.append(True)
        self.world.hear(0, Kind.CANCEL, id=id)
        self.world.hear(0, Kind.CANCEL, id=id)
        self.world.wait(2 * SECOND)
        self.assertEqual((len(changes), self.world.begun[0].cancelled), (1, Status.CANCELLED))

    def test_a_probe_that_cannot_be_read(self):
        for body in (b"\x01", msgpack.packb({"requests": [{"id": 10**9, "attempt": 1, "age_us": 0}]}),
                     msgpack.packb({"requests": [{"id": b"short", "attempt": 1, "age_us": 0}]})):
            self.world.hear(1, Kind.PROBE, body)
        self.assertIsNone(self.world.said(1, Kind.PASS, Kind.HAVE))


class Remembering(unittest.TestCase):
    def put(self, memory, client, sequence, size, now=0):
        memory.put(wire.request_id(client, sequence), 0, 0, Reply(Kind.REPLY, {}, bytes(size)), now)

    def test_the_fattest_client_pays(self):
        memory = Memory(0)
        for sequence in range(10):
            self.put(memory, 1, sequence, 100_000)
        self.put(memory, 2, 0, 100)
        self.put(memory, 3, 0, 100_000)
        self.assertEqual(memory.find(wire.request_id(1, 0), 0, 0), Found.GONE)
        self.assertIsInstance(memory.find(wire.request_id(2, 0), 0, 0), Reply)
        self.assertLessEqual(memory.bytes, LIMITS["MEMORY_BYTES"])

    def test_the_horizon(self):
        memory = Memory(0)
        self.put(memory, 1, 1, 10, now=1)
        self.assertTrue(memory.covers(50 * SECOND, 50 * SECOND))
        self.put(memory, 1, 2, 10, now=61 * SECOND)
        self.assertEqual(memory.find(wire.request_id(1, 1), 0, 0), Found.UNKNOWN)
        self.assertFalse(memory.covers(61 * SECOND, 61 * SECOND))
        self.assertTrue(memory.covers(60 * SECOND, 61 * SECOND))

    def test_ids_are_bounded(self):
        memory = Memory(0)
        for sequence in range(LIMITS["MEMORY_IDS"] + 10):
            memory.put(wire.request_id(1, sequence), 0, 0, None, 5)
        self.assertEqual(memory.find(wire.request_id(1, 9), 0, 0), Found.UNKNOWN)
        self.assertEqual(memory.find(wire.request_id(1, 10), 0, 0), Found.GONE)
        self.assertFalse(memory.covers(0, 5))

    def test_hops_are_apart(self):
        memory = Memory(0)
        self.put(memory, 1, 1, 10)
        self.assertEqual(memory.find(wire.request_id(1, 1), 1, 0), Found.UNKNOWN)

    def test_attempts_that_were_noted(self):
        memory, id = Memory(0), wire.request_id(1, 1)
        memory.note(id, 2, 0)
        self.assertEqual(memory.find(id, 0, 1), Found.STALE)
        self.assertEqual(memory.find(id, 0, 2), Found.UNKNOWN)


del Served

if __name__ == "__main__":
    unittest.main()
