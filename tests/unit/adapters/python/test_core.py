#!/usr/bin/python3
"""The client's core without a socket: sessions, requests, moving, streams, retries, events."""

import unittest

import fake
import msgpack

from pons import wire
from pons.errors import Status
from pons.wire import Flag, Kind

SECOND = 1_000_000


def statuses(ends):
    return [answer.status for answer in ends]


class Sessions(unittest.TestCase):
    def test_hello_and_welcome(self):
        world = fake.World()
        self.assertEqual(world.connects, [(0, "a"), (1, "b")])
        _, _, body = world.open()
        hello = msgpack.unpackb(body)
        self.assertEqual((hello["version"], hello["agent"], hello["features"], hello["client"]), (1, "me", wire.FEATURE_CONFIRM, world.core.client))
        self.assertEqual(world.states[-1][0], True)

    def test_options_that_are_none(self):
        for endpoint in ("", "a;b;c", ";a"):
            with self.assertRaises(ValueError):
                fake.Core(fake.Options(endpoint, "me", 1))
        with self.assertRaises(ValueError):
            fake.Core(fake.Options("a", "not a name", 1))

    def test_every_loss_has_a_new_socket_and_a_longer_wait(self):
        world = fake.World(brokers=1)
        for _ in range(12):
            before = len(world.connects)
            world.lose()
            self.assertNotIn(0, world.sockets)
            world.wait(SECOND)
            self.assertEqual(len(world.connects), before + 1)
        world.lose()
        world.wait(400_000)  # half of the longest at least
        self.assertNotIn(0, world.sockets)

    def test_several_endpoints_are_tried_in_turn(self):
        world = fake.World(brokers=1)
        world.core.sessions[0].endpoints.append("a2")
        world.lose()
        world.wait(SECOND)
        world.wait(600_000)
        self.assertEqual(world.connects[1][1], "a2")
        self.assertEqual(world.connects[2][1], "a")

    def test_a_refusal_is_tried_again_late(self):
        world = fake.World(brokers=1)
        world.core.connected(0)
        world.hear(0, Kind.ERROR, msgpack.packb({"message": "too old"}), status=Status.UNSUPPORTED_VERSION)
        self.assertEqual(world.states[-1], (False, Status.UNSUPPORTED_VERSION, "UNSUPPORTED_VERSION: too old"))
        world.wait(2 * SECOND)
        self.assertEqual(len(world.connects), 1)
        world.wait(5 * SECOND)
        self.assertEqual(len(world.connects), 2)

    def test_what_has_no_answer_is_told_all_the_same(self):
        told = []
        world = fake.World(on_refusal=lambda status, what: told.append((status, what.partition(":")[0])))
        world.open(0)
        world.hear(0, Kind.ERROR, msgpack.packb({"message": "no"}), status=Status.DENIED, service="news.x")
        world.hear(0, Kind.ERROR, status=Status.UNSUPPORTED)  # of a broker of an earlier version
        for _ in range(2):  # the second broker refuses this client, again and again
            world.core.connected(1)
            world.hear(1, Kind.ERROR, msgpack.packb({"message": "no"}), status=Status.DENIED)
            world.wait(6 * SECOND)
            world.hear(0, Kind.PONG)
        self.assertEqual(told, [(Status.DENIED, "an event or a subscription"), (Status.DENIED, "a session beside the one with the other broker")])

    def test_a_welcome_that_cannot_be_read(self):
        world = fake.World(brokers=1)
        world.core.connected(0)
        world.hear(0, Kind.WELCOME, b"\x80", session=3)
        self.assertEqual(world.states[-1][1], Status.MALFORMED)

    def test_who_waits_asks(self):
        world = fake.World(brokers=1)
        world.open()
        world.ask()
        world.wait(60_000)
        ping = world.said(0, Kind.PING)
        self.assertTrue(ping)
        world.hear(0, Kind.PONG, number=ping[1]["number"])
        world.wait(141_000)
        self.assertTrue(world.said(0, Kind.PING))
        world.wait(151_000)
        self.assertEqual(world.states[-1][2], "the broker does not answer PING")

    def test_an_idle_session_beats(self):
        world = fake.World(brokers=1)
        world.open()
        world.wait(4 * SECOND)
        self.assertIsNone(world.said(0, Kind.PING))
        world.wait(2 * SECOND)
        self.assertTrue(world.said(0, Kind.PING))
        world.wait(15 * SECOND)
        self.assertIn("silent", world.states[-1][2])

    def test_who_was_late_itself_judges_nobody(self):
        world = fake.World(brokers=1)
        world.open()
        world.ask()
        world.wait(60_000)
        world.said(0, Kind.PING)
        world.now += 10 * SECOND  # frozen
        world.core.wake(world.now)
        world.turn()
        self.assertTrue(world.said(0, Kind.PING))
        self.assertTrue(world.states[-1][0])

    def test_a_ping_is_answered_at_once(self):
        world = fake.World(brokers=1)
        world.open()
        world.hear(0, Kind.PING, number=5)
        self.assertEqual(world.said(0, Kind.PONG)[1]["number"], 5)

    def test_no_hello_and_bye_end_the_session(self):
        for kind, fields in ((Kind.BYE, {}), (Kind.ERROR, {"status": Status.NO_HELLO}), (Kind.ERROR, {"status": Status.STALE})):
            world = fake.World(brokers=1)
            world.open()
            world.hear(0, kind, **fields)
            self.assertFalse(world.states[-1][0])
            self.assertNotIn(0, world.sockets)

    def test_rubbish_is_counted(self):
        world = fake.World(brokers=1)
        world.open()
        world.core.received(0, [b"\xc1"])
        world.hear(0, Kind.REPLY, id=wire.request_id(1, 1))
        world.hear(0, Kind.CHUNK, id=wire.request_id(1, 1))
        world.hear(0, Kind.WELCOME, session=4)
        world.hear(0, Kind.ERROR, status=Status.MALFORMED)
        self.assertEqual(world.core.stats.dropped, 5)


class Requests(unittest.TestCase):
    def setUp(self):
        self.world = fake.World()
        self.world.open(0)
        self.world.open(1)

    def test_one_end(self):
        pending, ends, _ = self.world.ask()
        self.world.hear(0, Kind.REPLY, b"y", id=pending.id)
        self.world.hear(0, Kind.REPLY, b"z", id=pending.id)
        self.assertEqual([answer.body for answer in ends], [b"y"])
        self.assertEqual(self.world.core.requests, {})

    def test_errors_say_all_that_they_say(self):
        pending, ends, _ = self.world.ask(attempts=1)
        body = {"message": "no", "path": "a.b", "origin": "o", "code": "c", "http_status": 418, "retry_after_us": 5}
        self.world.hear(0, Kind.ERROR, msgpack.packb(body), id=pending.id, status=Status.REFUSED)
        error = ends[0].error()
        self.assertEqual((error.status, error.message, error.path, error.origin, error.code, error.http_status, error.retry_after_s),
                         (Status.REFUSED, "no", "a.b", "o", "c", 418, 5e-6))
        self.assertEqual(error.request, wire.id_text(pending.id))

    def test_what_is_wrong_with_the_request_itself(self):
        for how, status in (({"deadline_us": 0}, Status.NO_DEADLINE), ({"deadline_us": 1_800_000_001}, Status.NO_DEADLINE),
                            ({"body": bytes(16 * 1024 * 1024 + 1)}, Status.TOO_LARGE), ({"annotations": {"a": "x" * 3000}}, Status.TOO_LARGE),
                            ({"content_type": "x" * 65}, Status.TOO_LARGE)):
            _, ends, _ = self.world.ask(**how)
            self.assertEqual(statuses(ends), [status])
        self.world.core.sessions[0].welcome["kept_max_bytes"] = 10
        self.assertEqual(statuses(self.world.ask(body=b"12345678901")[1]), [Status.QUOTA])
        self.world.core.sessions[0].welcome["outstanding_max"] = 1
        self.world.ask()
        self.assertEqual(statuses(self.world.ask()[1]), [Status.QUOTA])

    def test_a_body_in_parts(self):
        body = bytes(600_000)
        self.world.ask(body=body)
        first = self.world.said(0, Kind.REQUEST)
        parts = [self.world.said(0, Kind.CHUNK), self.world.said(0, Kind.CHUNK)]
        self.assertTrue(first[1]["flags"] & Flag.MORE)
        self.assertEqual([(part[1]["number"], part[1].get("flags", 0)) for part in parts], [(1, Flag.MORE), (2, 0)])
        self.assertEqual(first[2] + parts[0][2] + parts[1][2], body)

    def test_the_deadline(self):
        _, ends, _ = self.world.ask(deadline_us=SECOND)
        for _ in range(20):  # a broker that answers
            self.world.wait(60_000)
            self.world.hear(0, Kind.PONG)
        self.assertEqual(statuses(ends), [Status.DEADLINE])

    def test_cancel_carries_the_attempt(self):
        pending, ends, _ = self.world.ask()
        self.world.lose(0)
        pending.cancel()
        self.world.turn()
        self.assertEqual(self.world.said(1, Kind.CANCEL)[1]["attempt"], 1)
        self.assertEqual(statuses(ends), [Status.CANCELLED])

    def test_a_reply_that_cannot_be_read_is_the_end(self):
        pending, ends, _ = self.world.ask()
        self.world.begin()
        self.world.core.received(0, [wire.encode(Kind.REPLY, id=pending.id, annotations={"a": 1})[:-4] + b"\x81\xa1a\xa1\xff"])
        self.assertEqual(statuses(ends), [Status.MALFORMED])

    def test_close_ends_all(self):
        _, ends, _ = self.world.ask()
        self.world.core.close()
        self.assertEqual(statuses(ends), [Status.CANCELLED])


class Moving(unittest.TestCase):
    def setUp(self):
        self.world = fake.World()
        self.world.open(0)
        self.world.open(1)

    def test_what_was_asked_goes_to_the_other_at_once(self):
        pending, ends, _ = self.world.ask()
        self.world.wait(10_000)
        self.world.lose(0)
        again = self.world.said(1, Kind.REQUEST)[1]
        self.assertEqual((again["id"], again["attempt"], again["age"]), (pending.id, 1, 10_000))
        self.world.hear(1, Kind.ERROR, id=pending.id, status=Status.NO_METHOD, attempt=0)  # without one: of whoever does not say
        self.assertEqual(statuses(ends), [Status.NO_METHOD])

    def test_attempts_rise_to_and_fro(self):
        pending, _, _ = self.world.ask()
        self.world.lose(0)
        self.world.wait(SECOND)
        self.world.open(0)
        self.world.lose(1)
        self.assertEqual(self.world.said(0, Kind.REQUEST)[1]["attempt"], 2)
        self.assertEqual(pending.attempt, 2)

    def test_an_error_of_a_lower_attempt_does_not_count(self):
        pending, ends, _ = self.world.ask()
        self.world.lose(0)
        self.world.wait(SECOND // 2)
        self.world.open(0)
        self.world.lose(1)
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.INTERNAL, attempt=1)
        self.assertEqual(ends, [])
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.INTERNAL, attempt=2)
        self.assertEqual(statuses(ends), [Status.INTERNAL])

    def test_the_first_reply_counts_wherever_it_comes_from(self):
        pending, ends, _ = self.world.ask()
        self.world.hear(0, Kind.GOAWAY)
        self.assertTrue(self.world.said(1, Kind.REQUEST))
        self.world.hear(0, Kind.REPLY, b"early", id=pending.id)
        self.assertEqual(ends[0].body, b"early")

    def test_nobody_is_there(self):
        _, unsent, _ = self.world.ask()
        self.world.lose(0)
        self.world.lose(1)
        _, never, _ = self.world.ask(deadline_us=SECOND)
        _, idempotent, _ = self.world.ask(deadline_us=SECOND, idempotent=True)
        for broker in (0, 1):
            self.world.core.sessions[broker].endpoints = ["nowhere"]
        self.world.wait(6 * SECOND)
        self.assertEqual(statuses(unsent), [Status.UNKNOWN])
        self.assertEqual(statuses(never), [Status.UNAVAILABLE])
        self.assertEqual(statuses(idempotent), [Status.UNAVAILABLE])

    def test_no_service_is_the_end_when_both_have_said_so(self):
        pending, ends, _ = self.world.ask(attempts=1)
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.OTHER_BROKER)
        self.assertEqual(self.world.said(1, Kind.REQUEST)[1]["attempt"], 1)
        self.assertEqual(ends, [])
        self.world.hear(1, Kind.ERROR, id=pending.id, status=Status.NO_SERVICE, attempt=1)
        self.assertEqual(statuses(ends), [Status.NO_SERVICE])

    def test_an_instance_that_one_broker_has_lost_is_asked_for_at_the_other(self):
        pending, ends, _ = self.world.ask(attempts=1)
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.WORKER_LOST)
        self.assertEqual(self.world.said(1, Kind.REQUEST)[1]["attempt"], 1)
        self.world.hear(1, Kind.ERROR, id=pending.id, status=Status.WORKER_LOST, attempt=1)
        self.assertEqual(statuses(ends), [Status.WORKER_LOST])

    def test_but_not_after_a_piece(self):
        pending, ends, _ = self.world.ask(stream=True, attempts=1)
        self.world.hear(0, Kind.CHUNK, b"c", id=pending.id)
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.WORKER_LOST)
        self.assertEqual(statuses(ends), [Status.WORKER_LOST])

    def test_it_returns_when_the_preferred_has_proved_itself(self):
        self.world.lose(0)
        self.world.wait(SECOND)
        self.world.open(0)
        self.world.hear(1, Kind.PONG)
        self.world.ask()
        self.assertTrue(self.world.said(1, Kind.REQUEST))
        for pending in list(self.world.core.requests.values()):
            self.world.hear(1, Kind.REPLY, id=pending.id)
        self.assertIs(self.world.core.home, self.world.core.sessions[1])
        self.world.wait(10 * SECOND)
        self.assertIs(self.world.core.home, self.world.core.sessions[0])
        self.assertEqual(self.world.core.stats.moves, 2)

    def flap(self):
        """The preferred broker is lost and comes back; returns from when on."""
        self.world.lose(0)
        self.world.wait(SECOND)
        self.world.open(0)
        self.world.hear(1, Kind.PONG)
        return self.world.now

    def returns_after(self, since):
        """How many seconds later it asks the preferred broker again."""
        while self.world.core.home is not self.world.core.sessions[0]:
            self.world.hear(1, Kind.PONG)
            self.world.hear(0, Kind.PONG)
            self.world.wait(SECOND)
            self.assertLess(self.world.now - since, 700 * SECOND)
        return (self.world.now - since) // SECOND

    def test_each_loss_doubles_the_wait_and_a_long_session_forgets_them(self):
        self.assertEqual([self.returns_after(self.flap()) for _ in range(3)], [10, 20, 40])
        for _ in range(160):
            for broker in (0, 1):
                self.world.hear(broker, Kind.PONG)
            self.world.wait(4 * SECOND)
        self.assertEqual(self.returns_after(self.flap()), 10)

    def test_it_does_not_return_while_something_is_outstanding(self):
        self.flap()
        pending, ends, _ = self.world.ask(deadline_us=60 * SECOND)
        for _ in range(15 * 20):
            self.world.hear(1, Kind.PONG)
            self.world.wait(50_000)
        self.assertIs(self.world.core.home, self.world.core.sessions[1])
        self.world.hear(1, Kind.REPLY, id=pending.id)
        self.assertIs(self.world.core.home, self.world.core.sessions[0])
        self.assertEqual(statuses(ends), [Status.OK])

    def test_what_nobody_else_can_be_asked_is_still_answered(self):
        """GOAWAY of the only broker: it answers what it has, and nothing new goes there."""
        self.world.lose(1)
        pending, ends, _ = self.world.ask(deadline_us=SECOND // 10)
        self.world.said(0, Kind.REQUEST)
        self.world.hear(0, Kind.GOAWAY)
        self.world.ask()
        self.assertIsNone(self.world.said(0, Kind.REQUEST))
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.REFUSED)
        self.assertEqual(statuses(ends), [Status.REFUSED])

    def test_what_a_stopping_broker_did_not_take_waits_for_the_next(self):
        self.world.lose(1)
        pending, ends, _ = self.world.ask(attempts=1)
        self.world.hear(0, Kind.GOAWAY)
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.DRAINING)
        self.assertEqual((ends, self.world.core.stats.retried), ([], 0))
        self.world.wait(SECOND // 2)
        self.world.open(1)
        self.assertNotIn("attempt", self.world.said(1, Kind.REQUEST)[1])
        self.world.hear(1, Kind.ERROR, id=pending.id, status=Status.DRAINING)  # of one that stays
        self.assertEqual(statuses(ends), [Status.DRAINING])

    def test_what_a_stopping_broker_did_not_take_goes_to_the_other(self):
        pending, ends, _ = self.world.ask(attempts=1)
        self.world.core.sessions[0].going_away = True
        self.world.hear(0, Kind.ERROR, id=pending.id, status=Status.DRAINING)
        self.assertEqual(self.world.said(1, Kind.REQUEST)[1]["attempt"], 1)
        self.assertEqual(ends, [])

    def test_who_is_turned_away_again_and_again_waits_in_between(self):
        pending, ends, _ = self.world.ask(attempts=1, deadline_us=SECOND)
        first, second = self.world.core.sessions
        for number in range(3):
            asked, other = (first, second) if number % 2 == 0 else (second, first)
            self.world.said(asked.index, Kind.REQUEST)
            asked.going_away, other.going_away = True, False
            self.world.core.home = other
            self.world.hear(asked.index, Kind.ERROR, id=pending.id, status=Status.DRAINING)
        self.assertIsNone(self.world.said(1, Kind.REQUEST))  # the third time
        self.world.wait(20_000)  # the longest first pause
        self.assertEqual(self.world.said(1, Kind.REQUEST)[1]["attempt"], 3)
        second.going_away, self.world.core.home = True, None
        self.world.hear(1, Kind.ERROR, id=pending.id, status=Status.DRAINING)
        self.world.wait(SECOND)  # the deadline ends a pause, too
        self.assertEqual(statuses(ends), [Status.UNKNOWN])

    def test_a_cold_one_is_not_preferred(self):
        world = fake.World()
        world.open(1)
        world.open(0, warming=True)
        self.assertIs(world.core.home, world.core.sessions[1])
        world.hear(0, Kind.WARM)
        self.assertIs(world.core.home, world.core.sessions[0])

    def test_a_broker_asks_whether_we_still_wait(self):
        pending, _, _ = self.world.ask()
        self.world.hear(0, Kind.PING, number=3, id=pending.id)
        self.assertEqual(self.world.said(0, Kind.PONG)[1], {"kind": Kind.PONG, "number": 3, "id": pending.id})
        self.world.hear(0, Kind.PING, number=3, id=pending.id, attempt=1)
        self.assertEqual(self.world.said(0, Kind.PONG)[1]["status"], Status.STALE)
        self.world.hear(1, Kind.PING, number=4, id=pending.id)
        self.assertEqual(self.world.said(1, Kind.PONG)[1]["status"], Status.STALE)

    def test_a_broker_that_does_not_find_out(self):
        for idempotent, status in ((False, Status.UNKNOWN), (True, Status.NO_SERVICE)):
            world = fake.World(brokers=1)
            world.open(0, features=0, incarnation=1)
            pending, ends, _ = world.ask(idempotent=idempotent, attempts=1)
            world.hear(0, Kind.CHUNK, b"gone", id=pending.id, flags=Flag.PART)
            world.lose(0)
            world.wait(SECOND)
            world.open(0, features=0, incarnation=2)
            self.assertNotIn("number", world.said(0, Kind.REQUEST)[1])
            self.assertEqual((world.core.reply_bytes, pending.parts_size), (0, 0))
            world.hear(0, Kind.ERROR, id=pending.id, status=Status.NO_SERVICE, attempt=1)
            self.assertEqual(statuses(ends), [status])


class Retries(unittest.TestCase):
    def setUp(self):
        self.world = fake.World(brokers=1)
        self.world.open(0)

    def fail(self, pending, status, **body):
        self.world.hear(0, Kind.ERROR, msgpack.packb({"message": "x", **body}), id=pending.id, status=status)

    def test_under_a_new_id(self):
        pending, ends, _ = self.world.ask()
        first = pending.id
        self.fail(pending, Status.NO_SERVICE)
        self.world.wait(21_000)
        self.assertNotEqual(pending.id, first)
        self.assertEqual(self.world.core.stats.retried, 1)
        self.world.hear(0, Kind.REPLY, id=pending.id)
        self.assertEqual((ends[0].status, ends[0].attempts), (Status.OK, 2))

    def test_what_may_have_taken_effect_is_not(self):
        for status, idempotent, again in ((Status.WORKER_LOST, False, False), (Status.WORKER_LOST, True, True), (Status.UNKNOWN, True, False),
                                          (Status.INVALID, True, False), (Status.OVERLOADED, False, True)):
            pending, ends, _ = self.world.ask(idempotent=idempotent)
            self.fail(pending, status)
            self.assertEqual(ends == [], again, status)

    def test_after_what_was_asked_for(self):
        pending, ends, _ = self.world.ask()
        self.fail(pending, Status.OVERLOADED, retry_after_us=SECOND)
        for _ in range(9):
            self.world.wait(100_000)
        self.assertEqual(self.world.core.stats.retried, 0)
        self.world.wait(200_000)
        self.assertEqual(self.world.core.stats.retried, 1)

    def test_the_budget(self):
        for _ in range(6):
            pending, ends, _ = self.world.ask(attempts=1)
            self.fail(pending, Status.OVERLOADED)
        pending, ends, _ = self.world.ask()
        self.fail(pending, Status.OVERLOADED)
        self.assertEqual(statuses(ends), [Status.OVERLOADED])

    def test_not_beyond_the_deadline(self):
        pending, ends, _ = self.world.ask(deadline_us=SECOND)
        self.fail(pending, Status.OVERLOADED, retry_after_us=2 * SECOND)
        self.assertEqual(statuses(ends), [Status.OVERLOADED])


class Streams(unittest.TestCase):
    def setUp(self):
        self.world = fake.World()
        self.world.open(0)
        self.world.open(1)

    def chunk(self, pending, number, body=b"c", broker=0, **fields):
        self.world.hear(broker, Kind.CHUNK, body, id=pending.id, number=number, **fields)

    def test_in_order_and_once(self):
        pending, ends, chunks = self.world.ask(stream=True)
        for number in (0, 0, 1):
            self.chunk(pending, number, str(number).encode())
        self.assertEqual(chunks, [b"0", b"1"])
        self.world.hear(0, Kind.REPLY, b"end", id=pending.id, number=2)
        self.assertEqual((ends[0].body, ends[0].chunks), (b"end", 2))

    def test_a_hole_is_the_end(self):
        pending, ends, _ = self.world.ask(stream=True)
        self.chunk(pending, 1)
        self.assertEqual(statuses(ends), [Status.STREAM_LOST])
        self.assertTrue(self.world.said(0, Kind.CANCEL))

    def test_a_reply_that_counts_more_chunks_than_came(self):
        pending, ends, _ = self.world.ask(stream=True)
        self.world.hear(0, Kind.REPLY, id=pending.id, number=1)
        self.assertEqual(statuses(ends), [Status.STREAM_LOST])

    def test_the_window_opens_with_half_of_it_used(self):
        pending, _, _ = self.world.ask(stream=True, window_bytes=1000, manual_window=True)
        self.assertEqual(self.world.said(0, Kind.REQUEST)[1]["window"], 1000)
        self.chunk(pending, 0, bytes(800))
        pending.consumed(400)
        self.world.turn()
        self.assertIsNone(self.world.said(0, Kind.WINDOW))
        pending.consumed(400)
        self.world.turn()
        window = self.world.said(0, Kind.WINDOW)[1]
        self.assertEqual((window["number"], window["window"]), (1, 1800))

    def test_it_goes_on_where_it_was(self):
        pending, ends, chunks = self.world.ask(stream=True)
        self.chunk(pending, 0, b"0")
        self.world.lose(0)
        again = self.world.said(1, Kind.REQUEST)[1]
        self.assertEqual((again["attempt"], again["number"]), (1, 1))
        self.chunk(pending, 1, b"late", 1)  # of attempt 0
        self.chunk(pending, 1, b"1", 1, attempt=1)
        self.world.hear(1, Kind.REPLY, id=pending.id, number=2, attempt=1)
        self.assertEqual((chunks, statuses(ends)), ([b"0", b"1"], [Status.OK]))

    def test_it_names_the_execution_that_it_has_chunks_of(self):
        pending, _, _ = self.world.ask(stream=True)
        self.chunk(pending, 0, execution=7001)
        self.world.lose(0)
        self.assertEqual(self.world.said(1, Kind.REQUEST)[1]["execution"], 7001)

    def test_the_end_of_another_execution_is_none(self):
        pending, ends, _ = self.world.ask(stream=True)
        self.world.hear(0, Kind.GOAWAY)
        self.chunk(pending, 0, b"0", 1, attempt=1, execution=7001)
        self.world.hear(0, Kind.REPLY, id=pending.id, number=1, execution=7002)
        self.world.hear(1, Kind.REPLY, id=pending.id, number=2)  # of an attempt that was left
        self.assertEqual(ends, [])
        self.world.hear(0, Kind.REPLY, id=pending.id, number=1, execution=7001)
        self.assertEqual(statuses(ends), [Status.OK])

    def test_the_wrong_end_of_an_attempt_loses_it(self):
        pending, ends, _ = self.world.ask(stream=True)
        self.chunk(pending, 0, execution=7001)
        self.world.hear(0, Kind.REPLY, id=pending.id, number=1, execution=7002)
        self.assertEqual(statuses(ends), [Status.STREAM_LOST])

    def test_a_broker_that_does_not_find_out_loses_it(self):
        world = fake.World(brokers=1)
        world.open(0, features=0, incarnation=1)
        pending, ends, _ = world.ask(stream=True)
        world.hear(0, Kind.CHUNK, b"c", id=pending.id)
        world.lose(0)
        world.wait(SECOND)
        world.open(0, features=0, incarnation=2)
        self.assertEqual(statuses(ends), [Status.STREAM_LOST])

    def test_parts_of_a_reply(self):
        pending, ends, chunks = self.world.ask()
        self.chunk(pending, 0, b"a", flags=Flag.PART)
        self.chunk(pending, 1, b"b", flags=Flag.PART)
        self.world.hear(0, Kind.REPLY, b"c", id=pending.id, number=2)
        self.assertEqual((ends[0].body, chunks, self.world.core.reply_bytes), (b"abc", [], 0))

    def test_a_part_that_was_lost(self):
        pending, ends, _ = self.world.ask()
        self.chunk(pending, 1, b"b", flags=Flag.PART)
        self.assertEqual(statuses(ends), [Status.GONE])

    def test_replies_are_bounded(self):
        pending, ends, _ = self.world.ask()
        self.world.core.reply_bytes = wire.LIMITS["REPLIES_BYTES"]
        self.chunk(pending, 0, b"a", flags=Flag.PART)
        self.assertEqual(statuses(ends), [Status.TOO_LARGE])

    def test_collected_answers(self):
        pending, ends, chunks = self.world.ask()
        self.chunk(pending, 0, b"a", flags=Flag.COLLECT, annotations={"instance": "x"})
        self.world.hear(0, Kind.REPLY, b"e", id=pending.id, number=1)
        self.assertEqual((chunks, ends[0].body), ([b"a"], b"e"))


class Events(unittest.TestCase):
    def setUp(self):
        self.world = fake.World()
        self.world.open(0)
        self.world.open(1)
        self.events = []

    def event(self, broker, sequence, publisher=9, **fields):
        self.world.hear(broker, Kind.EVENT, b"\x01", service="a.b", id=wire.request_id(publisher, sequence) if publisher else None, **fields)

    def subscribe(self):
        made = self.world.core.events.subscribe("a.*", self.events.append)
        self.world.turn()
        return made

    def test_each_once_whichever_broker_says_it(self):
        self.subscribe()
        self.assertEqual([self.world.said(broker, Kind.SUBSCRIBE)[1]["service"] for broker in (0, 1)], ["a.*", "a.*"])
        self.event(0, 1)
        self.event(1, 1)
        self.event(1, 2)
        self.assertEqual([(event.sequence, event.gap) for event in self.events], [(1, False), (2, False)])

    def test_a_hole_fetches_the_last_values(self):
        self.subscribe()
        self.event(0, 1)
        self.event(0, 3)
        self.assertTrue(self.events[-1].gap)
        self.world.said(0, Kind.SUBSCRIBE)
        self.world.wait(11_000)
        self.assertTrue(self.world.said(0, Kind.SUBSCRIBE))

    def test_what_a_session_has_lost_is_told(self):
        self.subscribe()
        self.event(0, 1, number=4)
        self.assertEqual((self.events[0].lost, self.events[0].gap), (4, True))

    def test_of_a_broker_itself(self):
        self.subscribe()
        self.event(0, 0, publisher=0)
        self.event(0, 0, publisher=0)
        self.assertEqual(len(self.events), 2)

    def test_unsubscribed(self):
        first, second = self.subscribe(), self.subscribe()
        self.world.core.events.unsubscribe(first)
        self.world.turn()
        self.assertIsNone(self.world.said(0, Kind.UNSUBSCRIBE))
        self.world.core.events.unsubscribe(second)
        self.world.turn()
        self.assertTrue(self.world.said(0, Kind.UNSUBSCRIBE))
        self.event(0, 1)
        self.assertEqual(self.events, [])

    def test_after_a_loss_it_subscribes_again(self):
        self.subscribe()
        self.world.lose(0)
        self.world.wait(SECOND)
        self.world.open(0)
        self.assertTrue(self.world.said(0, Kind.SUBSCRIBE))

    def test_published_by_the_broker_that_is_asked(self):
        self.world.core.events.publish("a.b", b"x", True)
        self.world.core.events.publish("a.b", b"y", False)
        self.world.core.events.publish("a.c", b"z", False)
        self.world.turn()
        said = [self.world.said(0, Kind.PUBLISH)[1] for _ in range(3)]
        self.assertEqual([wire.id_parts(one["id"])[1] for one in said], [1, 2, 1])
        self.assertIsNone(self.world.said(1, Kind.PUBLISH))

    def test_waiting_for_a_broker_is_bounded(self):
        self.world.lose(0)
        self.world.lose(1)
        for _ in range(1100):
            self.world.core.events.publish("a.b", b"x", False)
        self.assertEqual(self.world.core.stats.events_dropped, 1100 - wire.LIMITS["OUTBOX_EVENTS"])

    def test_what_is_none(self):
        with self.assertRaises(ValueError):
            self.world.core.events.publish("a.*", b"", False)
        with self.assertRaises(ValueError):
            self.world.core.events.publish("a", bytes(258049), False)
        with self.assertRaises(ValueError):
            self.world.core.events.subscribe("a.>.b", self.events.append)
        for _ in range(wire.LIMITS["SUBSCRIPTIONS"]):
            self.world.core.events.subscribe("a", self.events.append)
        with self.assertRaises(ValueError):
            self.world.core.events.subscribe("a", self.events.append)


if __name__ == "__main__":
    unittest.main()
