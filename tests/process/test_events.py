#!/usr/bin/python3
"""Events: topics and wildcards, kept values, sequences, gaps, and what the broker itself publishes."""

import harness
import pons_wire as wire
from harness import Flag, Kind, method, service

ECHO = service("Echo", "echo")


class Topics(harness.Fleet):
    def hears(self, pattern, *topics):
        """Which of these topics a subscriber of the pattern is sent."""
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe(pattern)
        for n, topic in enumerate(topics, 1):
            publisher.publish(topic, topic, sequence=n)
        publisher.flush()
        subscriber.flush()
        return [message.service for message in subscriber.inbox if message.kind == Kind.EVENT]

    def test_exact(self):
        self.assertEqual(self.hears("gpu.0.load", "gpu.0.load", "gpu.0.loads", "gpu.0", "gpu.0.load.x", "load"), ["gpu.0.load"])

    def test_star_is_one_token(self):
        self.assertEqual(self.hears("gpu.*.load", "gpu.0.load", "gpu.1.load", "gpu.load", "gpu.0.1.load"), ["gpu.0.load", "gpu.1.load"])
        self.assertEqual(self.hears("*", "a", "a.b"), ["a"])

    def test_greater_is_one_or_more(self):
        self.assertEqual(self.hears("gpu.>", "gpu", "gpu.0", "gpu.0.load", "cpu.0"), ["gpu.0", "gpu.0.load"])
        self.assertEqual(self.hears(">", "a", "a.b.c"), ["a", "a.b.c"])

    def test_two_patterns_of_one_session(self):
        """One event, whichever of a session's patterns it fits."""
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe("a.*", "a.>")
        publisher.publish("a.b", 1, sequence=1)
        publisher.flush()
        subscriber.expect(Kind.EVENT)
        self.assertTrue(subscriber.none(Kind.EVENT), "one event is sent once to a session")

    def test_whole_event(self):
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe("a.b")
        publisher.send(Kind.PUBLISH, b"text", service="a.b", id=wire.request_id(publisher.client, 7), content_type="text/plain")
        event = subscriber.expect(Kind.EVENT)
        self.assertEqual((event.service, event.body, event.content_type), ("a.b", b"text", "text/plain"))
        self.assertEqual((event.id, event.flags, event.number), (wire.request_id(publisher.client, 7), 0, 0))

    def test_own_events(self):
        peer = self.client()
        peer.subscribe("a")
        peer.publish("a", 1, sequence=1)
        self.assertEqual(peer.expect(Kind.EVENT).data, 1)

    def test_unsubscribe(self):
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe("a", "b")
        subscriber.send(Kind.UNSUBSCRIBE, service="a")
        subscriber.send(Kind.UNSUBSCRIBE, service="never.subscribed")
        subscriber.flush()
        publisher.publish("a", 1, sequence=1)
        publisher.publish("b", 2, sequence=1)
        self.assertEqual(subscriber.expect(Kind.EVENT).data, 2)
        self.assertTrue(subscriber.none(Kind.EVENT, Kind.ERROR))

    def test_a_session_that_ended_is_forgotten(self):
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe("a")
        subscriber.close()
        for n in range(20):
            publisher.publish("a", n, sequence=n + 1)
        publisher.ask("pons", "ping", {})

    def test_order_and_sequence(self):
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe("a")
        publisher.send_pack(*[(Kind.PUBLISH, b"%d" % n, {"service": "a", "id": wire.request_id(publisher.client, n)}) for n in range(1, 101)])
        events = [subscriber.expect(Kind.EVENT) for _ in range(100)]
        self.assertEqual([event.id[8:] for event in events], [n.to_bytes(8, "big") for n in range(1, 101)])


class Kept(harness.Fleet):
    def kept(self, pattern):
        """The last values that a new subscriber is given."""
        subscriber = self.client("subscriber")
        subscriber.subscribe(pattern)
        events = [message for message in subscriber.inbox if message.kind == Kind.EVENT]
        self.assertTrue(all(event.flags & Flag.RETAIN for event in events))
        return {event.service: event.data for event in events}

    def test_last_value(self):
        publisher = self.client("publisher")
        for n in range(3):
            publisher.publish("a.b", n, sequence=n + 1, retain=True)
        publisher.publish("a.c", "not kept", sequence=1)
        publisher.publish("a.d", "d", sequence=1, retain=True)
        publisher.flush()
        self.assertEqual(self.kept("a.*"), {"a.b": 2, "a.d": "d"})
        self.assertEqual(self.kept("a.b"), {"a.b": 2})
        self.assertEqual(self.kept("x.>"), {})

    def test_outlives_its_publisher(self):
        publisher = self.client("publisher")
        publisher.publish("a", "still here", sequence=1, retain=True)
        publisher.flush()
        publisher.bye()
        publisher.wait_gone()
        self.assertEqual(self.kept("a"), {"a": "still here"})

    def test_empty_body_forgets(self):
        publisher = self.client("publisher")
        publisher.publish("a", 1, sequence=1, retain=True)
        publisher.publish("a", b"", sequence=2, retain=True)
        publisher.flush()
        self.assertEqual(self.kept("a"), {})

    def test_subscribing_again_gives_it_again(self):
        """How a subscriber closes a gap."""
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        publisher.publish("a", 1, sequence=1, retain=True)
        publisher.flush()
        for _ in range(3):
            subscriber.subscribe("a")
            self.assertEqual(subscriber.expect(Kind.EVENT).data, 1)
        publisher.publish("a", 2, sequence=2)
        self.assertEqual(subscriber.expect(Kind.EVENT).data, 2)
        self.assertTrue(subscriber.none(Kind.EVENT), "three times subscribed is once subscribed")

    def test_keeping_is_told_while_it_is_fresh(self):
        """A value that is passed on as it comes is no kept one."""
        subscriber, publisher = self.client("subscriber"), self.client("publisher")
        subscriber.subscribe("a")
        publisher.publish("a", 1, sequence=1, retain=True)
        self.assertFalse(subscriber.expect(Kind.EVENT).flags & Flag.RETAIN)


class SlowSubscriber(harness.Fleet):
    def test_loses_the_oldest_and_is_told(self):
        """It does not read while thousands come; then it finds the newest, a hole, and how many it has lost."""
        subscriber, publisher = self.client("subscriber", receive_queue=10), self.client("publisher")
        subscriber.subscribe("a")
        total, body = 6000, b"x" * 9000
        for n in range(1, total + 1):
            publisher.publish("a", body, sequence=n)
            if n % 100 == 0:
                publisher.flush()
        lost, seen = 0, []
        while not seen or seen[-1] < total:
            event = subscriber.expect(Kind.EVENT)
            seen.append(int.from_bytes(event.id[8:], "big"))
            self.assertGreaterEqual(event.number, lost, "the count never falls")
            lost = event.number
        self.assertEqual(seen, sorted(seen))
        self.assertGreater(lost, 0)
        self.assertEqual(len(seen) + lost, total)
        self.assertEqual(self.counters(publisher)["EVENTS_LOST"], lost)

    def test_others_lose_nothing(self):
        slow, quick, publisher = self.client("slow"), self.client("quick"), self.client("publisher")
        slow.subscribe("a")
        quick.subscribe("a")
        for n in range(1, 3001):
            publisher.publish("a", b"x" * 9000, sequence=n)
            if n % 50 == 0:
                publisher.flush()
                for _ in range(50):
                    self.assertEqual(quick.expect(Kind.EVENT).number, 0)


class Broker(harness.Fleet):
    def test_instances(self):
        watcher = self.client("watcher")
        watcher.subscribe("pons.instance.*")
        worker = self.worker(ECHO, service("Other", "do"))
        up = watcher.expect(Kind.EVENT, service="pons.instance.up")
        self.assertEqual(up.data, {"instance": worker.instance, "services": ["Echo", "Other"]})
        worker.close()
        down = watcher.expect(Kind.EVENT, service="pons.instance.down")
        self.assertEqual(down.data["instance"], worker.instance)

    def test_clients_are_no_instances(self):
        watcher = self.client("watcher")
        watcher.subscribe("pons.>")
        self.client("other").close()
        self.assertTrue(watcher.none(Kind.EVENT))

    def test_contract_mismatch(self):
        watcher = self.client("watcher")
        watcher.subscribe("pons.contract.mismatch")
        self.worker(service("Echo", method("echo", contract=1)))
        self.peer("caller").open(calls=[{"service": "Echo", "method": "echo", "hash": 2}])
        rows = watcher.expect(Kind.EVENT).data
        self.assertEqual([(row["caller"], row["caller_hash"], row["callee_hash"]) for row in rows], [("caller", 2, 1)])


if __name__ == "__main__":
    harness.main()
