#!/usr/bin/python3
"""What must not bring the broker down: no descriptors left, peers that don't read, rubbish, a crowd, peers that die or hang.
The random bytes come from a seed that is printed; PONS_TEST_SEED repeats it."""

import os
import random
import resource
import secrets
import select
import signal
import sys
import time
import unittest

import harness
import raw_zmtp
import zmq
from harness import Kind, method, service
from raw_zmtp import GREETING, Raw, frame, hello, message, ready, serve

SEED = int(os.environ.get("PONS_TEST_SEED", 0)) or secrets.randbits(32)
CROWD = 1000
HANDSHAKE = GREETING + ready()
SMALL_NOFILE = 64
BIG = bytes(250000)
LEAN = {"ASAN_OPTIONS": harness.SANITIZERS["ASAN_OPTIONS"] + ":quarantine_size_mb=8"}  # or memory that was freed is counted
ECHO = service("Echo", method("echo", "idempotent"))


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def cpu_s(pid):
    """CPU time of all threads of a process."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Survival(harness.Fleet):
    """A client and a worker that go on being served, whatever else happens."""

    BROKER = False

    def setUp(self):
        super().setUp()
        self.raws = []
        self.addCleanup(lambda: [raw.close() for raw in self.raws])
        self.tcp = f"tcp://127.0.0.1:{harness.free_port()}"

    def begin(self, **options):
        self.broker = self.start_broker(endpoints=[self.endpoint, self.tcp], **options)
        self.good_worker = self.worker(ECHO, credit=400)
        self.good_client = self.client()
        self.served()

    def served(self):
        request = self.good_client.request("Echo", "echo", "still there?")
        self.good_worker.reply(self.good_worker.take(), "yes")
        self.assertEqual(self.good_client.answer(request).data, "yes")
        self.assertTrue(self.broker.alive)

    def raw(self, first=b"", after=b"", endpoint=None):
        made = Raw(endpoint or self.endpoint, first, after)
        self.raws.append(made)
        return made

    def raw_session(self, *more, endpoint=None, client=None):
        """A plain connection that has said HELLO and more, and has read only WELCOME."""
        made = self.raw(HANDSHAKE, hello(client) + b"".join(more), endpoint)
        self.assertTrue(serve([made], lambda: Kind.WELCOME in made.kinds()))
        return made

    def crowd(self, n, first, after=b"", endpoint=None):
        return [self.raw(first, after() if callable(after) else after, endpoint) for _ in range(n)]

    def idle_share(self, seconds=1.0):
        """The share of one CPU that the broker uses while nobody asks it for anything."""
        before, start = cpu_s(self.broker.pid), time.monotonic()
        quiet = select.poll()
        quiet.register(self.good_client.monitor.getsockopt(zmq.FD), 0)
        quiet.poll(int(seconds * 1000))
        return (cpu_s(self.broker.pid) - before) / (time.monotonic() - start)

    def open_when_there_is_room(self):
        """A client that tries until it is let in."""
        due = time.monotonic() + harness.DEADLINE_S
        while time.monotonic() < due:
            peer = self.peer("late")
            peer.hello()
            try:
                peer.expect(Kind.WELCOME, timeout_s=2)
                return peer
            except TimeoutError:
                peer.close()
        return self.fail("not let in when others had left")


class Descriptors(Survival):
    def test_more_peers_than_descriptors(self):
        self.begin(nofile=SMALL_NOFILE)
        crowd = self.crowd(4 * SMALL_NOFILE, HANDSHAKE, hello)
        surplus = 3 * SMALL_NOFILE
        self.assertTrue(serve(crowd, lambda: sum(raw.gone for raw in crowd) >= surplus), "the surplus is not closed")
        let_in = [raw for raw in crowd if not raw.gone]
        self.assertTrue(serve(let_in, lambda: sum(Kind.WELCOME in raw.kinds() for raw in let_in) > 8), "nobody is let in")
        self.served()
        self.assertGreaterEqual(self.counters(self.good_client)["CONNECTIONS_REFUSED"], surplus)
        self.assertLess(self.idle_share(), 0.5, "the broker spins when it has no descriptors to spare")
        for raw in crowd:
            raw.close()
        self.open_when_there_is_room()
        self.served()

    def test_a_burst_that_stays(self):
        """Connections that say nothing take descriptors too, until they are hung up on."""
        self.begin(nofile=SMALL_NOFILE)
        crowd = self.crowd(4 * SMALL_NOFILE, b"")
        self.assertTrue(serve(crowd, lambda: sum(raw.gone for raw in crowd) >= 3 * SMALL_NOFILE))
        self.served()
        self.assertTrue(serve(crowd, lambda: all(raw.gone for raw in crowd)), "silent connections stay")
        self.open_when_there_is_room()


class Slow(Survival):
    def test_a_peer_that_never_reads(self):
        self.begin(environment=LEAN)
        for endpoint in (self.endpoint, self.tcp):
            with self.subTest(endpoint[:3]):
                self.never_reads(endpoint)

    def never_reads(self, endpoint):
        slow_peers = self.counters(self.good_client)["SLOW_PEERS"]
        client = secrets.randbits(62) + 1
        slow = self.raw_session(endpoint=endpoint, client=client)
        before = rss_bytes(self.broker.pid)
        for number in range(1, 400):
            asked = message(Kind.REQUEST, b"\xc0", id=raw_zmtp.wire.request_id(client, number), service="Echo", method="echo",
                            deadline=30000000)
            if not slow.push(asked):
                break
            while not self.good_worker.inbox and not slow.wait_hang_up(0):
                self.good_worker._read(0.1)
            if not self.good_worker.inbox:
                break
            request = self.good_worker.expect(Kind.REQUEST, Kind.CANCEL)
            if request.kind == Kind.REQUEST:
                self.good_worker.reply(request, BIG)
            if number % 16 == 0:
                self.good_worker.flush()
                self.good_worker.inbox.clear()
                self.served()
        self.assertTrue(slow.wait_hang_up(), "a peer that does not read is not hung up on")
        self.assertEqual(self.wait_counter(self.good_client, "SLOW_PEERS", slow_peers + 1), slow_peers + 1)
        self.assertLess(rss_bytes(self.broker.pid), before + (96 << 20))
        self.good_worker.inbox.clear()
        self.served()

    def test_pings_of_zmtp_from_a_peer_that_never_reads(self):
        """PONGs are not kept for who does not read them, with a session or without."""
        self.begin(environment=LEAN)
        pings = frame(b"\x04PING\x00\x00", raw_zmtp.COMMAND) * 300_000
        for hello_first in (True, False):
            with self.subTest(hello_first=hello_first):
                slow = self.raw_session() if hello_first else self.raw(HANDSHAKE)
                before = rss_bytes(self.broker.pid)
                slow.push(pings)
                poll = select.poll()
                poll.register(slow.socket, select.POLLOUT)
                due = time.monotonic() + harness.DEADLINE_S
                while slow.left and not slow.gone and time.monotonic() < due:
                    poll.poll(100)
                    slow.push()
                self.served()
                self.assertLess(rss_bytes(self.broker.pid), before + (16 << 20))
                slow.close()

    def test_what_waits_for_all_that_never_read_is_bounded(self):
        """256 MiB in all: of twenty that have 16 MiB each waiting some are hung up on, and no more than it takes."""
        self.begin(environment=LEAN)
        crowd = [self.raw_session(message(Kind.SUBSCRIBE, service="news.>")) for _ in range(20)]
        for sequence in range(1, 81):
            self.good_client.publish("news.today", BIG, sequence)
            if sequence % 8 == 0:
                self.good_client.flush()
        self.wait_counter(self.good_client, "SLOW_PEERS", 4)
        self.served()
        self.assertTrue(serve(crowd, lambda: sum(raw.gone for raw in crowd) >= 4))
        self.assertLess(sum(raw.gone for raw in crowd), 10)
        self.served()

    def test_events_for_a_subscriber_that_never_reads(self):
        self.begin(environment=LEAN)
        slow = self.raw_session(message(Kind.SUBSCRIBE, service="news.>"))
        before = rss_bytes(self.broker.pid)
        for sequence in range(1, 20001):
            self.good_client.publish("news.today", b"x" * 1000, sequence)
            if sequence % 1000 == 0:
                self.good_client.flush()
        self.wait_counter(self.good_client, "EVENTS_LOST", 1)
        self.assertLess(rss_bytes(self.broker.pid), before + (64 << 20))
        self.assertTrue(serve([slow], lambda: Kind.EVENT in slow.kinds() or Kind.PACK in slow.kinds()))
        self.assertFalse(slow.gone, "events that are lost are no reason to hang up")
        self.served()


class Rubbish(Survival):
    def rubbish(self):
        rng = random.Random(SEED)
        print(f"seed {SEED}", file=sys.stderr)
        command = raw_zmtp.COMMAND
        for first in (b"GET / HTTP/1.1\r\nHost: bus\r\n\r\n", b"\0" * 4096, b"\xff" * 4096, GREETING[:20],
                      GREETING.replace(b"NULL", b"ROT1"), GREETING.replace(b"NULL\0", b"CURVE"), GREETING[:10] + b"\x01\x00" + bytes(64),
                      GREETING + ready(kind=b"PUB"), GREETING + ready(kind=b"x" * 200), GREETING + frame(b"", command),
                      GREETING + frame(b"\xffREADY", command), GREETING + frame(b"\x05READY\x0bSocket-Type\xff\xff\xff\xff", command),
                      HANDSHAKE + hello()):
            yield first, b""
        for after in (frame(b"", command), frame(b"\xff", command), frame(b"\x04PING\x00", command),
                      frame(b"\x04PING\x00\x01" + b"c" * 300, command), frame(b"\x09SUBSCRIBE" + b"x" * 60, command),
                      frame(b"\x06CANCELx", command), frame(b"\x05ERROR\xff", command), ready(), b"\x02\x7f" + b"\xff" * 7,
                      b"\x02" + b"\xff" * 8, b"\xf8\x01x", frame(bytes(300000)), frame(b"", 1) * 3000 + frame(b"")):
            yield HANDSHAKE, hello() + after
        for _ in range(100):
            yield rng.choice((b"", GREETING[:rng.randrange(64)], GREETING, HANDSHAKE)) + rng.randbytes(rng.randrange(1, 400)), b""
            yield HANDSHAKE, hello() + rng.randbytes(rng.randrange(1, 400))
        for _ in range(100):
            changed = bytearray(hello() + message(Kind.PING, number=7))
            for _ in range(rng.randrange(1, 6)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            yield HANDSHAKE, bytes(changed)

    def test_bytes_that_are_no_zmtp(self):
        self.begin()
        for endpoint in (self.endpoint, self.tcp):
            junk = list(self.rubbish())
            for at in range(0, len(junk), 32):
                raws = [self.raw(first, after, endpoint) for first, after in junk[at:at + 32]]
                serve(raws, lambda raws=raws: not any((raw.left or raw.after) and not raw.gone for raw in raws), timeout_s=5)
                self.served()
                for raw in raws:
                    raw.close()
            self.served()

    def test_half_a_message_is_not_waited_for_without_end(self):
        """Who has not said HELLO in time is hung up on, also in mid-frame."""
        self.begin()
        half = ((GREETING, b""), (HANDSHAKE, b""), (HANDSHAKE, frame(bytes(100000))[:5000]), (HANDSHAKE, message(Kind.PING, number=1)),
                (HANDSHAKE, frame(b"x", 1) * 100))
        raws = [self.raw(*bytes_, endpoint) for bytes_ in half for endpoint in (self.endpoint, self.tcp)]
        self.assertTrue(serve(raws, lambda: all(raw.gone for raw in raws)), [raw.gone for raw in raws])
        self.served()


class Names(Survival):
    """What a peer calls itself on the wire means nothing, and is in nobody's way."""

    NAMES = (b"worker-1", b"alice", b"\0lice", b"\0\xff\xff\xff\xff", b"\0\x7f\xff\xff\xff", b"\0" * 5, b"n" * 255, b"\0x")

    def test_named_peers_cost_nobody_else_anything(self):
        self.begin()
        for endpoint in (self.endpoint, self.tcp):
            raws = [self.raw(GREETING + ready(name), hello(), endpoint) for name in self.NAMES * 4]
            self.assertTrue(serve(raws, lambda raws=raws: not any(raw.after or raw.left for raw in raws)))
            self.served()
            for raw in raws:
                raw.close()
            for _ in range(2 * len(raws)):
                self.client(endpoint=endpoint).close()
            self.served()

    def test_zeromq_peers_that_name_themselves(self):
        """Connections have numbers of the broker's own: who takes another's name is served beside it."""
        self.begin()
        raws = [self.raw(GREETING + ready(name), hello()) for name in (b"worker-1", b"alice", b"alice")]
        self.assertTrue(serve(raws, lambda: all(Kind.WELCOME in raw.kinds() for raw in raws)))
        self.assertFalse(any(raw.gone for raw in raws))
        self.served()


class Crowd(Survival):
    def test_a_thousand_at_once(self):
        self.begin()
        for endpoint in (self.endpoint, self.tcp):
            with self.subTest(endpoint[:3]):
                crowd = self.crowd(CROWD, HANDSHAKE, hello, endpoint)
                self.assertTrue(serve(crowd, lambda crowd=crowd: all(Kind.WELCOME in raw.kinds() for raw in crowd)))
                self.served()
                total = self.good_client.ask("pons", "connections", {})["total"]
                self.assertEqual(total, CROWD + 2)
                for raw in crowd:
                    raw.close()
                due = time.monotonic() + harness.DEADLINE_S
                while self.good_client.ask("pons", "connections", {})["total"] > 2:
                    self.assertLess(time.monotonic(), due, "sessions of closed connections stay")

    def test_a_thousand_that_say_nothing(self):
        self.begin()
        for endpoint in (self.endpoint, self.tcp):
            with self.subTest(endpoint[:3]):
                crowd = self.crowd(CROWD, HANDSHAKE, endpoint=endpoint)
                serve(crowd, lambda crowd=crowd: all(raw.got for raw in crowd))
                self.served()
                self.assertTrue(serve(crowd, lambda crowd=crowd: all(raw.gone for raw in crowd)))
                self.served()


class Deaths(Survival):
    """Real agents that are killed and frozen."""

    ENVIRONMENT = {**harness.SLOW_HEARTBEATS, "PONS_BROKER_HEARTBEAT_INTERVAL_MS": "200", "PONS_BROKER_HEARTBEAT_TIMEOUT_MS": "1000"}

    def agent(self):
        return self.start("pons-agent-echo", "--endpoint", self.endpoint)

    def running(self, request):
        """Waits until an instance executes the request; returns its text."""
        due = time.monotonic() + harness.DEADLINE_S
        text = raw_zmtp.wire.id_text(request)
        while time.monotonic() < due:
            rows = self.asker.ask("pons", "requests", {})["requests"]
            found = [row for row in rows if row["id"] == text and row["state"] == "running"]
            if found:
                return found[0]["instance"]
        return self.fail("the request is not executed")

    def start_work(self):
        self.broker = self.start_broker()
        agent = self.agent()
        self.asker = self.client()
        request = self.asker.request("echo", "work", {"wait_ms": 60000}, deadline_s=600)
        self.running(request)
        return agent, request

    def test_a_killed_instance_is_noticed_by_its_socket(self):
        agent, request = self.start_work()
        start = time.monotonic()
        agent.kill()
        self.assertEqual(self.asker.refusal(request), "WORKER_LOST")
        self.assertLess(time.monotonic() - start, 15)

    def test_a_frozen_instance_is_noticed_by_its_silence(self):
        agent, request = self.start_work()
        agent.freeze()
        self.assertEqual(self.asker.refusal(request), "WORKER_LOST")
        agent.thaw()
        again = self.asker.request("echo", "say", {"text": "back"}, deadline_s=harness.DEADLINE_S)
        while self.asker.refusal(again) in ("NO_SERVICE", "WORKER_LOST"):
            again = self.asker.request("echo", "say", {"text": "back"}, deadline_s=harness.DEADLINE_S)
        agent.kill()  # it still does its work, for nobody

    def test_a_broken_off_client_is_forgotten(self):
        _, request = self.start_work()
        other = self.client()
        self.asker.close()
        due = time.monotonic() + harness.DEADLINE_S
        while other.ask("pons", "requests", {})["total"] > 1:
            self.assertLess(time.monotonic(), due, raw_zmtp.wire.id_text(request))


class Stop(Survival):
    def test_sigterm_lets_what_is_unanswered_end(self):
        self.begin()
        request = self.good_client.request("Echo", "echo", "last")
        work = self.good_worker.take()
        self.broker.terminate()
        for peer in (self.good_client, self.good_worker):
            peer.expect(Kind.GOAWAY)
        self.assertEqual(self.good_client.refusal(self.good_client.request("Echo", "echo", "late")), "DRAINING")
        self.good_client.ask("pons", "ping", {})
        self.good_worker.reply(work, "done")
        self.assertEqual(self.good_client.answer(request).data, "done")
        for peer in (self.good_client, self.good_worker):
            peer.expect(Kind.BYE)
        self.assertEqual(self.broker.wait(), 0)

    def test_what_waits_for_a_slow_reader_is_still_sent(self):
        """Answers that the broker holds for a client that reads slowly, up to its bound, are its to have before the end."""
        self.begin()
        client = secrets.randbits(62) + 1
        slow = self.raw_session(client=client)
        for number in range(1, 61):
            slow.push(message(Kind.REQUEST, b"\xc0", id=raw_zmtp.wire.request_id(client, number), service="Echo", method="echo",
                              deadline=30000000))
            self.good_worker.reply(self.good_worker.take(), BIG)
        self.good_worker.flush()
        self.broker.terminate()
        self.good_client.expect(Kind.GOAWAY)
        serve([slow], lambda: slow.gone)
        self.assertEqual(slow.kinds().count(Kind.REPLY), 60)
        self.assertEqual(slow.kinds()[-2:], [Kind.GOAWAY, Kind.BYE])
        self.assertEqual(self.broker.wait(), 0)

    def test_second_sigterm_stops_at_once(self):
        self.begin()
        self.good_client.request("Echo", "echo", "never answered")
        self.good_worker.take()
        self.broker.terminate()
        self.good_client.expect(Kind.GOAWAY)
        self.assertTrue(self.broker.alive)
        self.broker.terminate()
        for peer in (self.good_client, self.good_worker):
            peer.expect(Kind.BYE)
        self.assertEqual(self.broker.wait(), 0)

    def test_stop_with_a_peer_that_never_reads(self):
        self.begin()
        slow = self.raw_session(message(Kind.SUBSCRIBE, service="news.>"))
        for sequence in range(1, 101):
            self.good_client.publish("news.today", BIG, sequence)
        self.good_client.flush()
        self.broker.terminate()
        self.assertEqual(self.broker.wait(), 0)


class Service(Survival):
    """What systemd and `pons up` see."""

    def test_life_of_a_service(self):
        self.begin(environment={"WATCHDOG_USEC": "200000"})
        for _ in range(3):
            self.assertTrue(self.broker.notify.wait("WATCHDOG=1", self.broker.process), "the watchdog is not fed")
            self.broker.notify.lines.remove("WATCHDOG=1")
        self.assertTrue(any(line.startswith("STATUS=") for line in self.broker.notify.lines))
        self.assertTrue(self.broker.notify.wait("STATUS=2 connections", self.broker.process))
        self.assertNotIn("STOPPING=1", self.broker.notify.lines)
        self.broker.terminate()
        self.assertTrue(self.broker.notify.wait("STOPPING=1", self.broker.process))
        self.assertEqual(self.broker.wait(), 0)

    def unsanitized(self):
        """A broker whose crashes are its own to record: sanitizers report theirs themselves."""
        for build in (harness.BUILD, *(os.path.join(os.path.dirname(harness.BUILD), name) for name in ("release", "gcc"))):
            path = os.path.join(build, "bin", "pons-broker")
            if os.path.exists(path):
                with open(path, "rb") as file:
                    if not any(mark in file.read() for mark in (b"__asan_init", b"__tsan_init")):
                        return path
        raise unittest.SkipTest("no build without sanitizers")

    def test_crash(self):
        record = os.path.join(self.folder, "crash")
        self.broker = self.start(self.unsanitized(), "--listen", self.endpoint, "--crash-record", record, environment=self.ENVIRONMENT)
        self.broker.expects = (-signal.SIGSEGV,)
        client = self.client()
        client.ask("pons", "ping", {})
        start = time.monotonic()
        self.broker.signal(signal.SIGSEGV)
        self.assertTrue(client.wait_gone())
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(self.broker.wait(), -signal.SIGSEGV)
        with open(record, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual((lines[0], lines[-1]), ("pons-crash 1", "end"))
        self.assertIn("program pons-broker", lines)
        self.assertIn("signal 11 SIGSEGV", lines)
        self.assertTrue(any(line.startswith("note ") and "message from peer" in line for line in lines), lines)
        self.assertTrue(any(line.startswith("frame 0 ") for line in lines))
        self.assertEqual(self.broker.log().count("AddressSanitizer"), 0)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    harness.main()
