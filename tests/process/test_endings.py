#!/usr/bin/python3
"""Every request ends exactly once: reply, error, deadline, cancel, loss of who works on it, loss of who asked."""

import harness
from harness import Flag, Kind, Status, method, service

ECHO = service("Echo", method("echo", "idempotent"))
ONCE = service("Once", method("do", "once"))


class Endings(harness.Fleet):
    def test_reply(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo", {"n": 1}, content_type="x/y", annotations={"k": "v"}, trace=b"t" * 25)
        message = worker.take()
        self.assertEqual((message.id, message.service, message.method, message.data), (request, "Echo", "echo", {"n": 1}))
        self.assertEqual((message.content_type, message.annotations, message.trace), ("x/y", {"k": "v"}, b"t" * 25))
        self.assertEqual((message.hop, message.priority), (0, 1))
        self.assertTrue(0 < message.deadline <= 30000000)
        worker.reply(message, {"n": 2}, content_type="a/b")
        reply = client.answer(request)
        self.assertEqual((reply.data, reply.content_type), ({"n": 2}, "a/b"))

    def test_error(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        worker.fail(worker.take(), Status.INVALID, "wrong", path="a[0].b", retry_after_us=5)
        error = client.expect(Kind.ERROR, id=request)
        self.assertEqual(error.status_name, "INVALID")
        self.assertEqual((error.data["message"], error.data["path"], error.data["retry_after_us"]), ("wrong", "a[0].b", 5))

    def test_second_answer_is_dropped(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        message = worker.take()
        worker.reply(message, "first")
        worker.reply(message, "second")
        worker.fail(message, Status.INTERNAL)
        worker.flush()
        self.assertEqual(client.answer(request).data, "first")
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR))
        self.assertGreaterEqual(self.counters(client)["STRAY"], 2)

    def test_answer_of_another_instance_is_dropped(self):
        worker, thief, client = self.worker(ECHO), self.worker(service("Other", "do"), agent="thief"), self.client()
        request = client.request("Echo", "echo")
        message = worker.take()
        thief.reply(message, "stolen")
        thief.flush()
        worker.reply(message, "mine")
        self.assertEqual(client.answer(request).data, "mine")

    def test_empty_bodies(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        message = worker.take()
        self.assertEqual(message.body, b"")
        worker.reply(message, b"")
        self.assertEqual(client.answer(request).body, b"")

    def test_largest_body_of_one_message(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo", b"q" * 258048)
        message = worker.take()
        self.assertEqual(message.body, b"q" * 258048)
        worker.reply(message, b"a" * 258048)
        self.assertEqual(client.answer(request).body, b"a" * 258048)


class Deadline(harness.Fleet):
    def test_while_it_runs(self):
        """ERROR to the caller, CANCEL to the instance; its late answer releases the credit and reaches nobody."""
        worker, client = self.worker(ECHO, credit=1), self.client()
        request = client.request("Echo", "echo", deadline_s=0.2)
        message = worker.take()
        self.ends("DEADLINE", client, request)
        worker.expect(Kind.CANCEL, id=request)
        after = client.request("Echo", "echo", "after")
        client.flush()
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.fail(message, Status.CANCELLED)
        worker.reply(worker.take(), "next")
        self.assertEqual(client.answer(after).data, "next")
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR))

    def test_while_it_waits(self):
        """Expired work is never handed on."""
        worker, client = self.worker(ECHO, credit=0), self.client()
        requests = [client.request("Echo", "echo", n, deadline_s=0.2) for n in range(5)]
        kept = client.request("Echo", "echo", "kept")
        for request in requests:
            self.ends("DEADLINE", client, request)
        worker.credit(10)
        self.assertEqual(worker.take().data, "kept")
        self.assertTrue(worker.none(Kind.REQUEST, Kind.CANCEL))
        self.assertEqual(self.counters(client)["EXPIRED"], 5)
        self.assertTrue(client.none(Kind.ERROR, id=kept))

    def test_it_shrinks(self):
        """What is handed on is what remains."""
        worker, client = self.worker(ECHO, credit=0), self.client()
        client.request("Echo", "echo", deadline_s=20)
        timer = client.request("Echo", "echo", deadline_s=0.3)
        self.ends("DEADLINE", client, timer)
        worker.credit(1)
        self.assertTrue(10000000 < worker.take().deadline <= 19700000)


class Cancel(harness.Fleet):
    def test_while_it_runs(self):
        worker, client = self.worker(ECHO, credit=1), self.client()
        request = client.request("Echo", "echo")
        message = worker.take()
        client.send(Kind.CANCEL, id=request)
        worker.expect(Kind.CANCEL, id=request)
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR))
        after = client.request("Echo", "echo", "after")
        self.assertTrue(worker.none(Kind.REQUEST), "its credit is held until it answers")
        worker.reply(message, "too late")
        worker.reply(worker.take(), "next")
        self.assertEqual(client.answer(after).data, "next")
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR))

    def test_while_it_waits(self):
        worker, client = self.worker(ECHO, credit=0), self.client()
        request = client.request("Echo", "echo", 1)
        client.request("Echo", "echo", 2)
        client.send(Kind.CANCEL, id=request)
        client.flush()
        worker.credit(5)
        self.assertEqual(worker.take().data, 2)
        self.assertTrue(worker.none(Kind.REQUEST, Kind.CANCEL))
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR))

    def test_while_its_body_comes(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo", b"one", flags=Flag.MORE)
        client.send(Kind.CANCEL, id=request)
        client.send(Kind.CHUNK, b"two", id=request, number=1)
        client.flush()
        self.assertTrue(worker.none(Kind.REQUEST))
        self.assertEqual(client.ask("pons", "requests", {})["requests"], [])

    def test_of_another_client_is_dropped(self):
        worker, client, other = self.worker(ECHO), self.client(), self.client()
        request = client.request("Echo", "echo")
        message = worker.take()
        other.send(Kind.CANCEL, id=request)
        other.flush()
        self.assertTrue(worker.none(Kind.CANCEL))
        worker.reply(message, "done")
        self.assertEqual(client.answer(request).data, "done")

    def test_of_all_instances(self):
        workers = [self.worker(ECHO, agent=f"w{i}") for i in range(2)]
        client = self.client()
        request = client.request("Echo@*", "echo")
        messages = [worker.take() for worker in workers]
        client.send(Kind.CANCEL, id=request)
        for worker in workers:
            worker.expect(Kind.CANCEL)
        for worker, message in zip(workers, messages):
            worker.fail(message, Status.CANCELLED)
            worker.flush()
        self.assertTrue(client.none(Kind.REPLY, Kind.ERROR, Kind.CHUNK))
        self.assertEqual(client.ask("pons", "requests", {})["requests"], [])


class InstanceLost(harness.Fleet):
    def test_idempotent_is_done_again(self):
        one, two = self.worker(ECHO, agent="one"), self.worker(ECHO, agent="two", credit=0)
        client = self.client()
        request = client.request("Echo", "echo", "body")
        one.take()
        two.credit(1)
        one.close()
        message = two.take()
        self.assertEqual((message.id, message.data), (request, "body"))
        two.reply(message, "two")
        self.assertEqual(client.answer(request).data, "two")
        self.assertEqual(self.counters(client)["REDISPATCHED"], 1)

    def test_by_the_request_s_flag(self):
        one, two = self.worker(ONCE, agent="one"), self.worker(ONCE, agent="two", credit=0)
        client = self.client()
        request = client.request("Once", "do", flags=Flag.IDEMPOTENT)
        one.take()
        two.credit(1)
        one.close()
        two.reply(two.take(), "two")
        self.assertEqual(client.answer(request).data, "two")

    def test_in_front_of_the_queue(self):
        one, two = self.worker(ECHO, agent="one"), self.worker(ECHO, agent="two", credit=0)
        client = self.client()
        client.request("Echo", "echo", "first")
        one.take()
        for n in range(3):
            client.request("Echo", "echo", n)
        client.flush()
        one.close()
        self.wait_counter(client, "SESSIONS_LOST", 1)
        two.credit(9)
        self.assertEqual([two.take().data for _ in range(4)], ["first", 0, 1, 2])

    def test_nobody_is_left(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        worker.take()
        worker.close()
        self.ends("WORKER_LOST", client, request)

    def test_once_is_not_done_again(self):
        one, two = self.worker(ONCE, agent="one"), self.worker(ONCE, agent="two", credit=0)
        client = self.client()
        request = client.request("Once", "do")
        one.take()
        two.credit(1)
        one.close()
        self.ends("WORKER_LOST", client, request)
        self.assertTrue(two.none(Kind.REQUEST))

    def test_once_that_waited_is(self):
        """What was never handed on is not lost with an instance."""
        one, two = self.worker(ONCE, agent="one"), self.worker(ONCE, agent="two", credit=0)
        client = self.client()
        client.request("Once", "do", 1)
        waiting = client.request("Once", "do", 2)
        one.take()
        one.close()
        two.credit(1)
        two.reply(two.take(), "two")
        self.assertEqual(client.answer(waiting).data, "two")

    def test_in_mid_stream(self):
        one = self.worker(service("Say", method("say", "idempotent", "streaming")), agent="one")
        self.worker(service("Say", method("say", "idempotent", "streaming")), agent="two", credit=0)
        client = self.client()
        request = client.request("Say", "say", flags=Flag.STREAM, window=1000)
        one.chunk(one.take(), 0, b"said")
        self.assertEqual(client.expect(Kind.CHUNK, id=request).body, b"said")
        one.close()
        self.ends("STREAM_LOST", client, request)

    def test_bye_counts_as_loss(self):
        worker, client = self.worker(ONCE), self.client()
        request = client.request("Once", "do")
        worker.take()
        worker.bye()
        self.ends("WORKER_LOST", client, request)

    def test_what_waits_alone_for_it(self):
        worker, client = self.worker(ECHO, credit=0), self.client()
        self.worker(ECHO, agent="other", credit=0)
        request = client.request("Echo@worker", "echo")
        client.flush()
        worker.close()
        self.assertIn(client.refusal(request), ("NO_SERVICE", "WORKER_LOST"))


class ClientLost(harness.Fleet):
    def test_its_requests_are_cancelled_after_the_grace(self):
        worker, client = self.worker(ECHO, credit=1), self.client()
        request = client.request("Echo", "echo")
        client.request("Echo", "echo", "waits")
        message = worker.take()
        client.close()
        worker.expect(Kind.CANCEL, id=request)
        worker.fail(message, Status.CANCELLED)
        self.assertTrue(worker.none(Kind.REQUEST))

    def test_bye_cancels_at_once(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        worker.take()
        client.bye()
        worker.expect(Kind.CANCEL, id=request)

    def test_it_returns_in_time(self):
        """Within the grace its requests are still running, and are answered in its new session."""
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        message = worker.take()
        client.close()
        again = self.peer("asker", client=client.client, incarnation=client.incarnation).open()
        worker.reply(message, "welcome back")
        self.assertEqual(again.answer(request).data, "welcome back")
        self.assertTrue(worker.none(Kind.CANCEL))

    def test_the_answer_waits_for_it(self):
        """An answer that comes while the client is away is given to it when it returns within the grace."""
        worker, client, watcher = self.worker(ECHO), self.client(), self.client("watcher")
        request = client.request("Echo", "echo")
        message = worker.take()
        client.close()
        self.wait_counter(watcher, "SESSIONS_LOST", 1)
        worker.reply(message, "while you were out")
        worker.flush()
        again = self.peer("asker", client=client.client, incarnation=client.incarnation).open()
        self.assertEqual(again.answer(request).data, "while you were out")

    def test_it_asks_again_when_it_returns(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo", 1)
        message = worker.take()
        client.close()
        again = self.peer("asker", client=client.client, incarnation=client.incarnation).open()
        again.request("Echo", "echo", 1, id=request, attempt=1)
        self.assertTrue(worker.none(Kind.REQUEST), "not done twice")
        worker.reply(message, "once")
        self.assertEqual(again.answer(request).data, "once")


if __name__ == "__main__":
    harness.main()
