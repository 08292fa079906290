#!/usr/bin/python3
"""Who is given a request: credit, load, site, role, weight, version, address, priority."""

import collections

import harness
from harness import Kind, Status, method, service

ECHO = service("Echo", method("echo", "idempotent"))


class Credit(harness.Fleet):
    def test_never_exceeded(self):
        worker, client = self.worker(ECHO, credit=3), self.client()
        requests = [client.request("Echo", "echo", n) for n in range(10)]
        for _ in requests:
            client.flush()
            worker.flush()
            held = [message for message in worker.inbox if message.kind == Kind.REQUEST]
            self.assertLessEqual(len(held), 3)
            worker.reply(worker.take(), "done")
        for request in requests:
            client.answer(request)

    def test_is_set_and_not_added(self):
        worker, client = self.worker(ECHO, credit=2), self.client()
        worker.credit(2)
        worker.credit(2)
        for n in range(6):
            client.request("Echo", "echo", n)
        client.flush()
        worker.flush()
        self.assertEqual(len(worker.inbox), 2)

    def test_zero_stops_and_more_goes_on(self):
        worker, client = self.worker(ECHO, credit=1), self.client()
        first, second = client.request("Echo", "echo", 1), client.request("Echo", "echo", 2)
        message = worker.take()
        worker.credit(0)
        worker.reply(message, "done")
        client.answer(first)
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.credit(5)
        worker.reply(worker.take(), "done")
        client.answer(second)

    def test_each_answer_releases_one(self):
        """REPLY, ERROR, NACK and FORWARD alike."""
        worker, other = self.worker(ECHO, credit=1), self.worker(service("Other", "do"), agent="other", credit=9)
        client = self.client()
        for n in range(4):
            client.request("Echo", "echo", n)
        worker.reply(worker.take(), "done")
        worker.fail(worker.take(), Status.INTERNAL)
        worker.forward(worker.take(), ("Other", "do"))
        worker.take()
        other.take()

    def test_order_of_one_client(self):
        worker, client = self.worker(ECHO, credit=1), self.client()
        for n in range(50):
            client.request("Echo", "echo", n)
        for n in range(50):
            message = worker.take()
            self.assertEqual(message.data, n)
            worker.reply(message, n)


class Choice(harness.Fleet):
    def spread(self, client, workers, n, target="Echo", **fields):
        """Sends n requests that nobody answers, and counts who has been given how many."""
        requests = [client.request(target, "echo", i, **fields) for i in range(n)]
        client.flush()
        counts = collections.Counter()
        for worker in workers:
            worker.flush()
            counts[worker.agent] = sum(message.kind == Kind.REQUEST and message.id in requests for message in worker.inbox)
        self.assertEqual(sum(counts.values()), n)
        return counts

    def test_least_outstanding(self):
        workers = [self.worker(ECHO, agent=f"w{i}", credit=100) for i in range(4)]
        counts = self.spread(self.client(), workers, 40)
        self.assertEqual(set(counts.values()), {10})

    def test_least_outstanding_after_answers(self):
        """Who has answered all of its own gets the next ones."""
        busy, idle = self.worker(ECHO, agent="busy", credit=100), self.worker(ECHO, agent="idle", credit=100)
        client = self.client()
        self.spread(client, [busy, idle], 20)
        for _ in range(10):
            idle.reply(idle.take(), "done")
        idle.flush()
        self.assertEqual(self.spread(client, [busy, idle], 8), {"busy": 0, "idle": 8})

    def test_weight(self):
        heavy = self.worker(service("Echo", "echo", weight=300), agent="heavy", credit=100)
        light = self.worker(service("Echo", "echo", weight=100), agent="light", credit=100)
        counts = self.spread(self.client(), [heavy, light], 40)
        self.assertEqual(counts, {"heavy": 30, "light": 10})

    def test_weight_0_takes_only_what_is_addressed_to_it(self):
        none = self.worker(service("Echo", "echo", weight=0), agent="none", credit=100)
        other = self.worker(ECHO, agent="other", credit=100)
        client = self.client()
        self.assertEqual(self.spread(client, [none, other], 10), {"none": 0, "other": 10})
        self.assertEqual(self.spread(client, [none, other], 5, "Echo@none"), {"none": 5, "other": 0})

    def test_own_site_first(self):
        near = self.worker(ECHO, agent="near", credit=5, site="here")
        far = self.worker(ECHO, agent="far", credit=100, site="there")
        counts = self.spread(self.client(), [near, far], 12)
        self.assertEqual(counts, {"near": 5, "far": 7})

    def test_standby_only_when_no_primary_has_credit(self):
        spare = self.worker(service("Echo", "echo", role="standby"), agent="spare", credit=100)
        first = self.worker(ECHO, agent="first", credit=3, site="there")
        counts = self.spread(self.client(), [spare, first], 10)
        self.assertEqual(counts, {"first": 3, "spare": 7})

    def test_more_than_16(self):
        """Two at random of many: every one gets some, none gets most."""
        workers = [self.worker(ECHO, agent=f"w{i}", credit=100) for i in range(20)]
        counts = self.spread(self.client(), workers, 200)
        self.assertTrue(all(2 <= count <= 20 for count in counts.values()), counts)


class Address(harness.Fleet):
    def test_by_agent_name(self):
        one, two = self.worker(ECHO, agent="one", credit=9), self.worker(ECHO, agent="two", credit=9)
        client = self.client()
        for worker in (one, two, two, one):
            request = client.request(f"Echo@{worker.agent}", "echo", worker.agent)
            message = worker.take()
            self.assertEqual((message.service, message.data), ("Echo", worker.agent))
            worker.reply(message, "done")
            client.answer(request)

    def test_by_instance(self):
        """Two of one agent that have started in the same microsecond have two names."""
        one = self.worker(ECHO, agent="twin", incarnation=1111, credit=9)
        two = self.worker(ECHO, agent="twin", incarnation=1111, credit=9)
        self.assertNotEqual(one.instance, two.instance)
        client = self.client()
        for worker in (two, one, two):
            request = client.request(f"Echo@{worker.instance}", "echo")
            worker.reply(worker.take(), "done")
            client.answer(request)
        self.ends("NO_SERVICE", client, client.request(f"Echo@twin:{one.client ^ two.client:016x}", "echo"))
        rows = client.ask("pons", "registry", {})["instances"]
        self.assertEqual({(row["instance"], row["started_us"]) for row in rows}, {(one.instance, 1111), (two.instance, 1111)})

    def test_by_the_beginning_of_its_name(self):
        """Six digits or more that only one instance has."""
        one = self.worker(ECHO, agent="twin", client=0x3f9c0d5200000001, credit=9)
        two = self.worker(ECHO, agent="twin", client=0x3f9c0d5300000001, credit=9)
        client = self.client()
        for worker, short in ((one, "3f9c0d52"), (two, "3f9c0d530"), (two, "3f9c0d530000000")):
            request = client.request(f"Echo@twin:{short}", "echo")
            worker.reply(worker.take(), "done")
            client.answer(request)
        for short in ("3f9c0d5", "3f9c0", "", "3f9c0d54", "3f9c0d52000000011"):  # of two, too few, none, another's, too many
            self.ends("NO_SERVICE", client, client.request(f"Echo@twin:{short}", "echo"))
        two.bye()
        self.assertTrue(two.wait_gone())
        request = client.request("Echo@twin:3f9c0d", "echo")
        one.reply(one.take(), "done")
        client.answer(request)
        self.ends("NO_SERVICE", client, client.request("Echo@twin:3f9c0", "echo"))

    def test_waits_for_its_credit(self):
        """What is addressed to one is not given to another."""
        one, two = self.worker(ECHO, agent="one", credit=1), self.worker(ECHO, agent="two", credit=9)
        client = self.client()
        first, second = client.request("Echo@one", "echo", 1), client.request("Echo@one", "echo", 2)
        message = one.take()
        client.flush()
        self.assertTrue(two.none(Kind.REQUEST))
        one.reply(message, "done")
        one.reply(one.take(), "done")
        client.answer(first)
        client.answer(second)

    def test_all(self):
        """service@*: each answer as CHUNK with COLLECT, an ERROR too, then how many there were."""
        workers = [self.worker(ECHO, agent=f"w{i}", credit=1) for i in range(3)]
        client = self.client()
        request = client.request("Echo@*", "echo", "all")
        workers[1].fail(workers[1].take(), Status.INTERNAL)
        workers[0].reply(workers[0].take(), "zero")
        workers[2].reply(workers[2].take(), "two")
        chunks = [client.expect(Kind.CHUNK, id=request) for _ in workers]
        self.assertEqual([chunk.number for chunk in chunks], [0, 1, 2])
        self.assertTrue(all(chunk.flags & harness.Flag.COLLECT for chunk in chunks))
        by_agent = {chunk.annotations["instance"].split(":")[0]: chunk for chunk in chunks}
        self.assertEqual({agent: chunk.status for agent, chunk in by_agent.items()}, {"w0": 0, "w1": Status.INTERNAL, "w2": 0})
        self.assertEqual((by_agent["w0"].data, by_agent["w2"].data), ("zero", "two"))
        self.assertEqual(client.answer(request).data, {"asked": 3, "answered": 2})

    def test_all_but_one_is_lost(self):
        workers = [self.worker(service("Echo", "echo"), agent=f"w{i}", credit=1) for i in range(2)]
        client = self.client()
        request = client.request("Echo@*", "echo")
        workers[0].reply(workers[0].take(), "here")
        workers[1].take()
        workers[1].close()
        chunks = [client.expect(Kind.CHUNK, id=request) for _ in workers]
        self.assertEqual(sorted(chunk.status for chunk in chunks), [0, Status.WORKER_LOST])
        self.assertEqual(client.answer(request).data["asked"], 2)

    def test_all_until_the_deadline(self):
        """Who has answered by then is told, and the rest is cancelled."""
        workers = [self.worker(ECHO, agent=f"w{i}", credit=1) for i in range(2)]
        client = self.client()
        request = client.request("Echo@*", "echo", deadline_s=0.3)
        workers[0].reply(workers[0].take(), "here")
        workers[1].take()
        self.assertEqual(client.expect(Kind.CHUNK, id=request).data, "here")
        client.expect(Kind.REPLY, Kind.ERROR, Kind.CHUNK, id=request)
        workers[1].expect(Kind.CANCEL)

    def test_of_nobody(self):
        client = self.client()
        self.ends("NO_SERVICE", client, client.request("Echo@*", "echo"))


class Priority(harness.Fleet):
    def order(self, *sent):
        """Sends (what, priority) while there is no credit, and returns in which order they are given out."""
        worker, client = self.worker(ECHO, credit=0), self.client()
        for what, priority in sent:
            client.request("Echo", "echo", what, priority=priority)
        client.flush()
        worker.credit(len(sent))
        return [worker.take().data for _ in sent]

    def test_bands(self):
        self.assertEqual(self.order(("b1", 2), ("n1", 1), ("i1", 0), ("b2", 2), ("n2", 1), ("i2", 0)),
                         ["i1", "i2", "n1", "n2", "b1", "b2"])

    def test_absent_is_normal(self):
        self.assertEqual(self.order(("batch", 2), ("absent", None), ("interactive", 0)), ["interactive", "absent", "batch"])

    def test_ageing(self):
        """A batch request that has waited long enough goes before a fresh interactive one."""
        worker, client = self.worker(ECHO, credit=0), self.client()
        client.request("Echo", "echo", "old batch", priority=2)
        marker = client.request("Nothing", "here", deadline_s=1)
        client.refusal(marker)
        marker = client.request("Echo@worker", "echo", "marker", deadline_s=1.3)
        self.ends("DEADLINE", client, marker)  # two bands of 500 ms have passed
        client.request("Echo", "echo", "new interactive", priority=0)
        client.flush()
        worker.credit(1)
        self.assertEqual(worker.take().data, "old batch")


class Methods(harness.Fleet):
    """Instances of one service that offer different methods."""

    def test_one_that_waits_does_not_hold_up_others(self):
        """Who waits for a method whose only instance is busy does not stand in the way of who asks another."""
        plain = self.worker(service("Echo", "echo"), agent="plain", credit=1)
        both = self.worker(service("Echo", "echo", "special"), agent="both", credit=0)
        waiting, client = self.client(), self.client()
        specials = [waiting.request("Echo", "special", n) for n in range(50)]
        waiting.flush()
        for n in range(5):
            request = client.request("Echo", "echo", n)
            plain.reply(plain.take(), n)
            self.assertEqual(client.answer(request).data, n)
        both.credit(50)
        self.assertEqual([both.take().data for _ in specials], list(range(50)))

    def test_a_method_that_nobody_has_any_more(self):
        """What waits for it is told when its last instance goes."""
        self.worker(service("Echo", "echo"), agent="plain")
        both = self.worker(service("Echo", "echo", "special"), agent="both", credit=0)
        client = self.client()
        request = client.request("Echo", "special")
        client.flush()
        both.close()
        self.assertIn(client.refusal(request), ("NO_SERVICE", "NO_METHOD"))


class Versions(harness.Fleet):
    BROKER = False
    ROUTES = ("broker:\n  routes:\n    - service: Echo\n      versions:\n"
              "        - {version: '1', weight: 3}\n        - {version: '2', weight: 1}\n")

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker(config=self.ROUTES)
        self.one = self.worker(service("Echo", "echo", version="1"), agent="one", credit=1000)
        self.two = self.worker(service("Echo", "echo", version="2"), agent="two", credit=1000)
        self.asker = self.client()

    def count(self, n, **fields):
        """How many of n requests went to version 2."""
        before = len(self.two.inbox)
        for i in range(n):
            self.asker.request("Echo", "echo", i, **fields)
        self.asker.flush()
        self.two.flush()
        return len(self.two.inbox) - before

    def test_drawn_by_weight(self):
        self.assertTrue(40 < self.count(400) < 170)

    def test_sticky(self):
        """One key stays with one version; different keys spread over both."""
        seen = set()
        for key in range(40):
            got = self.count(5, annotations={"sticky": f"user {key}"})
            self.assertIn(got, (0, 5), key)
            seen.add(got)
        self.assertEqual(seen, {0, 5})

    def lose_two(self):
        self.two.close()
        self.wait_counter(self.asker, "SESSIONS_LOST", 1)

    def test_version_that_nobody_has(self):
        """It is left out of the draw."""
        self.lose_two()
        for i in range(20):
            request = self.asker.request("Echo", "echo", i)
            self.one.reply(self.one.take(), "done")
            self.asker.answer(request)

    def test_version_that_goes_while_requests_wait_for_it(self):
        """They are drawn anew, waiting ones and those that its last instance had."""
        self.two.credit(2)
        self.one.credit(0)
        self.one.flush()
        requests = [self.asker.request("Echo", "echo", i, flags=harness.Flag.IDEMPOTENT) for i in range(40)]
        self.asker.flush()
        self.lose_two()
        self.one.credit(100)
        for _ in requests:
            self.one.reply(self.one.take(), "done")
        for request in requests:
            self.asker.answer(request)

    def test_version_that_goes_while_others_have_credit(self):
        self.two.credit(0)
        self.two.flush()
        requests = [self.asker.request("Echo", "echo", i, flags=harness.Flag.IDEMPOTENT) for i in range(80)]
        self.asker.flush()
        self.lose_two()
        for _ in requests:
            self.one.reply(self.one.take(), "done")
        for request in requests:
            self.asker.answer(request)


class Nack(harness.Fleet):
    def test_busy_goes_to_another(self):
        one, two = self.worker(ECHO, agent="one", credit=5), self.worker(ECHO, agent="two", credit=0)
        client = self.client()
        request = client.request("Echo", "echo", "body")
        message = one.take()
        two.credit(5)
        one.nack(message, Status.BUSY)
        again = two.take()
        self.assertEqual((again.id, again.data), (request, "body"))
        two.reply(again, "two")
        self.assertEqual(client.answer(request).data, "two")

    def test_busy_means_credit_0_until_the_next(self):
        worker, client = self.worker(ECHO, credit=5), self.client()
        request = client.request("Echo", "echo", 1)
        worker.nack(worker.take(), Status.BUSY)
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.credit(5)
        worker.reply(worker.take(), "now")
        self.assertEqual(client.answer(request).data, "now")

    def test_draining_goes_to_another(self):
        one, two = self.worker(ECHO, agent="one", credit=5), self.worker(ECHO, agent="two", credit=0)
        client = self.client()
        request = client.request("Echo", "echo", 1)
        message = one.take()
        two.credit(5)
        one.nack(message, Status.DRAINING)
        two.reply(two.take(), "two")
        client.answer(request)
        one.credit(5)
        for n in range(4):
            client.request("Echo", "echo", n)
            two.take()
        self.assertTrue(one.none(Kind.REQUEST))

    def test_once_work_too(self):
        """NACK says that it was not begun, so it is given on even if it is `once`."""
        once = service("Once", method("do", "once"))
        one, two = self.worker(once, agent="one", credit=1), self.worker(once, agent="two", credit=0)
        client = self.client()
        request = client.request("Once", "do")
        message = one.take()
        two.credit(1)
        one.nack(message, Status.BUSY)
        two.reply(two.take(), "two")
        self.assertEqual(client.answer(request).data, "two")

    def test_keeps_its_place(self):
        """What comes back is given out before what came after it."""
        worker, client = self.worker(ECHO, credit=1), self.client()
        client.request("Echo", "echo", "first")
        client.request("Echo", "echo", "second")
        worker.nack(worker.take(), Status.BUSY)
        worker.credit(2)
        self.assertEqual([worker.take().data, worker.take().data], ["first", "second"])


if __name__ == "__main__":
    harness.main()
