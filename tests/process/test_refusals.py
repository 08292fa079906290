#!/usr/bin/python3
"""Requests that are refused at once, each by its name, and what does not count against whom."""

import harness
import msgpack
import pons_wire as wire
from harness import Flag, Kind, method, service

ECHO = service("Echo", "echo")


class Refusals(harness.Fleet):
    def test_no_service(self):
        client = self.client()
        self.ends("NO_SERVICE", client, client.request("Nobody", "echo"))

    def test_no_instance(self):
        self.worker(ECHO)
        client = self.client()
        self.ends("NO_SERVICE", client, client.request("Echo@nobody", "echo"))
        self.ends("NO_SERVICE", client, client.request("Nobody@*", "echo"))

    def test_no_method(self):
        self.worker(ECHO)
        client = self.client()
        self.ends("NO_METHOD", client, client.request("Echo", "sing"))
        self.ends("NO_METHOD", client, client.request("pons", "sing"))

    def test_no_deadline(self):
        self.worker(ECHO)
        client = self.client()
        self.ends("NO_DEADLINE", client, client.request("Echo", "echo", deadline=0))
        self.ends("NO_DEADLINE", client, client.request("pons", "ping", {}, deadline=0))

    def test_foreign_id(self):
        client = self.client()
        self.ends("FOREIGN_ID", client, client.request("Echo", "echo", id=wire.request_id(client.client ^ 1, 1)))

    def test_duplicate(self):
        worker, client = self.worker(ECHO, credit=5), self.client()
        request = client.request("Echo", "echo", 1)
        message = worker.take()
        client.request("Echo", "echo", 1, id=request)
        self.assertEqual(client.expect(Kind.ERROR).status_name, "DUPLICATE")
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.reply(message, "once")
        self.assertEqual(client.answer(request).data, "once")

    def test_higher_attempt_attaches(self):
        worker, client = self.worker(ECHO, credit=5), self.client()
        request = client.request("Echo", "echo", 1)
        message = worker.take()
        client.request("Echo", "echo", 1, id=request, attempt=1)
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.reply(message, "once")
        self.assertEqual(client.answer(request).data, "once")
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR))

    def test_two_clients_may_use_one_sequence(self):
        worker = self.worker(ECHO, credit=5)
        for client in (self.client(), self.client()):
            request = client.request("Echo", "echo", 1, id=wire.request_id(client.client, 1))
            worker.reply(worker.take(), "yes")
            self.assertEqual(client.answer(request).data, "yes")

    def test_an_error_says_what_to_do(self):
        client = self.client()
        request = client.request("Nobody", "echo")
        error = client.expect(Kind.ERROR, id=request)
        self.assertEqual(error.data["origin"], "b1")
        self.assertIn("agent", error.data["message"])

    def test_refusals_leave_nothing(self):
        worker, client = self.worker(ECHO), self.client()
        for target, name in (("Nobody", "echo"), ("Echo", "sing"), ("Echo@nobody", "echo")):
            client.refusal(client.request(target, name))
        client.refusal(client.request("Echo", "echo", deadline=0))
        self.assertEqual(client.ask("pons", "requests", {})["requests"], [])
        self.assertTrue(worker.none(Kind.REQUEST))

    def test_bad_targets(self):
        client = self.client()
        for target in ("@", "Echo@", "@worker", "a b", "Echo@*@*", "\0"):
            with self.subTest(target):
                self.assertIn(client.refusal(client.request(target, "echo")), ("NO_SERVICE", "BAD_NAME", "MALFORMED"))


class Bounds(harness.Fleet):
    ENVIRONMENT = {**harness.SLOW_HEARTBEATS, "PONS_BROKER_LIMITS_QUEUE_PER_SERVICE": "5",
                   "PONS_BROKER_LIMITS_REQUESTS_PER_CLIENT": "8", "PONS_BROKER_LIMITS_BYTES_PER_CLIENT": "262144"}

    def test_overloaded(self):
        """One runs, five wait, the seventh is refused at once and told when to come again; then they end in order."""
        worker, client = self.worker(ECHO), self.client()
        requests = [client.request("Echo", "echo", n) for n in range(6)]
        over = client.request("Echo", "echo", 7)
        error = client.expect(Kind.ERROR, id=over)
        self.assertEqual(error.status_name, "OVERLOADED")
        self.assertGreater(error.data["retry_after_us"], 0)
        for n, request in enumerate(requests):
            message = worker.take()
            self.assertEqual(message.data, n)
            worker.reply(message, n)
            self.assertEqual(client.answer(request).data, n)
        again = client.request("Echo", "echo", "again")
        worker.reply(worker.take(), "yes")
        self.assertEqual(client.answer(again).data, "yes")

    def test_other_services_are_not_overloaded(self):
        self.worker(ECHO)
        other = self.worker(service("Other", "do"))
        client, patient = self.client(), self.client()
        for n in range(7):
            client.request("Echo", "echo", n)
        client.expect(Kind.ERROR)
        request = patient.request("Other", "do")
        other.reply(other.take(), "yes")
        self.assertEqual(patient.answer(request).data, "yes")

    def test_quota_of_requests(self):
        """Eight unanswered for one client; the ninth is refused, another client is not."""
        worker, client = self.worker(ECHO, credit=20), self.client()
        requests = [client.request("Echo", "echo", n) for n in range(8)]
        self.ends("QUOTA", client, client.request("Echo", "echo", 9))
        self.client().ask("pons", "ping", {})
        messages = [worker.take() for _ in requests]
        worker.reply(messages[0], "done")
        client.answer(messages[0].id)
        client.flush()
        late = client.request("Echo", "echo", "late")
        worker.reply(worker.take(), "yes")
        self.assertEqual(client.answer(late).data, "yes")

    def test_quota_of_bytes(self):
        """256 KiB kept for one client, in whichever pieces."""
        worker, client = self.worker(ECHO, credit=0), self.client()
        first = client.request("Echo", "echo", b"b" * 200000)
        second = client.request("Echo", "echo", b"b" * 200000)
        self.ends("QUOTA", client, second)
        pieces = client.request_in_parts("Echo", "echo", [b"b" * 30000] * 4)
        self.ends("QUOTA", client, pieces)
        worker.credit(1)
        worker.reply(worker.take(), "done")
        self.assertEqual(client.answer(first).data, "done")
        client.flush()
        third = client.request("Echo", "echo", b"b" * 200000)
        worker.reply(worker.take(), "yes")
        self.assertEqual(client.answer(third).data, "yes")

    def test_body_over_16_mib(self):
        self.broker.terminate()
        self.broker.wait()
        self.start_broker(environment={"PONS_BROKER_LIMITS_BYTES_PER_CLIENT": "67108864"})
        self.worker(ECHO)
        client = self.client()
        request = client.request_in_parts("Echo", "echo", [b"b" * 250000] * 70)
        self.ends("TOO_LARGE", client, request)
        client.ask("pons", "ping", {})

    def test_body_with_a_part_missing(self):
        self.worker(ECHO)
        client = self.client()
        request = client.request("Echo", "echo", b"one", flags=Flag.MORE)
        client.send(Kind.CHUNK, b"three", id=request, number=2)
        self.ends("MALFORMED", client, request)
        client.ask("pons", "ping", {})

    def test_body_that_never_ends(self):
        """The deadline counts while the parts come."""
        self.worker(ECHO)
        client = self.client()
        request = client.request("Echo", "echo", b"one", flags=Flag.MORE, deadline_s=0.2)
        self.ends("DEADLINE", client, request)
        client.send(Kind.CHUNK, b"two", id=request, number=1)
        client.ask("pons", "ping", {})


class Subscriptions(harness.Fleet):
    ENVIRONMENT = {**harness.SLOW_HEARTBEATS, "PONS_BROKER_LIMITS_SUBSCRIPTIONS_PER_SESSION": "3",
                   "PONS_BROKER_LIMITS_LAST_VALUES": "2"}

    def test_too_many_patterns(self):
        peer = self.client()
        peer.subscribe("a", "b", "c", "a")
        self.assertTrue(peer.none(Kind.ERROR))
        peer.subscribe("d")
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "LIMIT")
        peer.send(Kind.UNSUBSCRIBE, service="a")
        peer.subscribe("d")
        self.assertTrue(peer.none(Kind.ERROR))

    def test_too_many_kept_values(self):
        peer = self.client()
        for n, topic in enumerate(("a", "b", "a"), 1):
            peer.publish(topic, n, sequence=n, retain=True)
        self.assertTrue(peer.none(Kind.ERROR))
        peer.publish("c", 1, sequence=1, retain=True)
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "LIMIT")
        peer.publish("a", b"", sequence=4, retain=True)
        peer.publish("c", 1, sequence=2, retain=True)
        self.assertTrue(peer.none(Kind.ERROR))

    def test_bad_topics(self):
        peer = self.client()
        for n, topic in enumerate(("pons.mine", "a..b", ".a", "a.", "a b", "a.*", ">"), 1):
            with self.subTest(topic):
                peer.publish(topic, 1, sequence=n)
                self.assertEqual(peer.expect(Kind.ERROR).status_name, "BAD_NAME")
        for pattern in ("a..b", "a.>.b", "", "a*.b"):
            with self.subTest(pattern):
                peer = self.client()
                peer.send_raw(msgpack.packb([int(Kind.SUBSCRIBE), None, None, None, pattern]))
                self.assertIn(peer.expect(Kind.ERROR).status_name, ("BAD_NAME", "MALFORMED"))


class Once(harness.Fleet):
    def test_methods_of_one_service_may_differ_by_instance(self):
        """NO_METHOD is said only when nobody has the method; else it goes to who has it."""
        self.worker(service("Echo", "old"), agent="old", credit=9)
        new = self.worker(service("Echo", "old", method("new", "idempotent")), agent="new", credit=9)
        client = self.client()
        for _ in range(4):
            request = client.request("Echo", "new")
            new.reply(new.take(), "yes")
            client.answer(request)
        self.ends("NO_METHOD", client, client.request("Echo", "newer"))


if __name__ == "__main__":
    harness.main()
