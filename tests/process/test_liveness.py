#!/usr/bin/python3
"""Life signs: who waits, asks; a frozen peer is found by its silence, a dead one at once. What is asserted is the order of
things and their names, not how long they took."""

import harness
from harness import Kind, method, service

ECHO = service("Echo", method("echo", "idempotent"))
ONCE = service("Once", method("do", "once"))


class Pings(harness.Fleet):
    ENVIRONMENT = harness.QUICK_HEARTBEATS

    def test_dictated_in_welcome(self):
        welcome = self.client().welcome
        self.assertEqual((welcome["ping_interval_us"], welcome["ping_timeout_us"], welcome["idle_interval_us"]), (50000, 150000, 500000))

    def test_pong_echoes_the_number(self):
        peer = self.client()
        for number in (1, 2**63, 2**64 - 1):
            peer.send(Kind.PING, number=number)
            self.assertEqual(peer.expect(Kind.PONG).number, number)

    def test_who_executes_is_asked(self):
        worker, client = self.worker(ECHO), self.client()
        request = client.request("Echo", "echo")
        worker.answers_pings = False
        message = worker.take()
        ping = worker.expect(Kind.PING)
        worker.send(Kind.PONG, number=ping.number)
        worker.expect(Kind.PING)
        worker.reply(message, "alive")
        self.assertEqual(client.answer(request).data, "alive")

    def test_any_message_is_a_sign_of_life(self):
        """Who sends chunks need not answer PING."""
        worker, client = self.worker(service("Say", method("say", "streaming"))), self.client()
        request = client.request("Say", "say", flags=harness.Flag.STREAM, window=10000)
        message = worker.take()
        worker.answers_pings = False
        for n in range(4):
            worker.expect(Kind.PING)
            worker.chunk(message, n, b"x")
        worker.reply(message, "done")
        self.assertEqual(client.answer(request).data, "done")

    def test_silent_executor_is_lost(self):
        """PING that nothing follows: idempotent work goes elsewhere, and the silent one is hung up on."""
        silent, other = self.worker(ECHO, agent="silent"), self.worker(ECHO, agent="other", credit=0)
        client = self.client()
        request = client.request("Echo", "echo", "body")
        silent.take()
        silent.answers_pings = False
        other.credit(1)
        other.reply(other.take(), "other")
        self.assertEqual(client.answer(request).data, "other")
        self.assertTrue(silent.wait_gone())
        self.assertTrue(any(message.kind == Kind.PING for message in silent.inbox), "it was asked first")

    def test_silent_executor_of_once_work(self):
        silent, client = self.worker(ONCE), self.client()
        request = client.request("Once", "do")
        silent.take()
        silent.answers_pings = False
        self.ends("WORKER_LOST", client, request)

    def test_idle_and_silent_is_lost(self):
        """Three idle intervals and a second without a word."""
        worker = self.worker(ECHO)
        watcher = self.client("watcher")
        watcher.subscribe("pons.instance.down")
        due = False
        while not due:  # the watcher beats, the worker does not
            try:
                due = watcher.expect(Kind.EVENT, timeout_s=0.4).data["instance"] == worker.instance
            except TimeoutError:
                watcher.send(Kind.PING, number=1)
        self.assertTrue(worker.wait_gone())

    def test_idle_that_beats_is_kept(self):
        worker, client = self.worker(ECHO), self.client()
        for _ in range(12):
            worker.flush()
            client.flush()
            with self.assertRaises(TimeoutError):
                client.expect(Kind.EVENT, timeout_s=0.3)
        request = client.request("Echo", "echo")
        worker.reply(worker.take(), "here")
        self.assertEqual(client.answer(request).data, "here")

    def test_never_said_hello(self):
        """Connected and silent, or talking without HELLO: both are hung up on."""
        silent, talker = self.peer("silent"), self.peer("talker")
        talker.send(Kind.PING, number=1)
        self.assertTrue(talker.wait_gone(30))
        self.assertTrue(silent.wait_gone(30))


class Returning(harness.Fleet):
    ENVIRONMENT = harness.QUICK_HEARTBEATS

    def test_readmission_backs_off(self):
        """An instance that was lost is given work again, but not at once."""
        client = self.client()
        worker = self.worker(ECHO, agent="shaky")
        worker.close()
        self.wait_counter(client, "SESSIONS_LOST", 1)
        again = self.peer("shaky", client=worker.client, incarnation=worker.incarnation).open(ECHO, credit=1)
        request = client.request("Echo", "echo")
        again.reply(again.take(), "back")
        self.assertEqual(client.answer(request).data, "back")

    def test_after_bye_at_once(self):
        worker = self.worker(ECHO, agent="polite")
        worker.bye()
        self.assertTrue(worker.wait_gone())
        again = self.peer("polite", client=worker.client, incarnation=worker.incarnation).open(ECHO, credit=1)
        client = self.client()
        request = client.request("Echo", "echo")
        again.reply(again.take(), "back")
        client.answer(request)


class Once(harness.Fleet):
    def test_a_silent_instance_is_asked_before_it_gets_once_work(self):
        """Silent for over a second: PING first, and the request only after its PONG."""
        worker, client = self.worker(ONCE), self.client()
        timer = client.request("Once@worker", "undo", deadline_s=1)
        client.refusal(timer)
        slow = self.worker(ECHO, agent="clock", credit=0)
        timer = client.request("Echo@clock", "echo", deadline_s=1.3)
        self.ends("DEADLINE", client, timer)
        slow.close()
        worker.answers_pings = False
        request = client.request("Once", "do")
        ping = worker.expect(Kind.PING)
        client.flush()
        worker.pump()
        self.assertFalse([message for message in worker.inbox if message.kind == Kind.REQUEST])
        worker.send(Kind.PONG, number=ping.number)
        worker.reply(worker.take(), "awake")
        self.assertEqual(client.answer(request).data, "awake")


class Processes(harness.Fleet):
    """With the real agent: killed and frozen."""

    ENVIRONMENT = harness.QUICK_HEARTBEATS

    def setUp(self):
        if not harness.has("pons-agent-echo"):
            self.skipTest("pons-agent-echo is not built")
        super().setUp()

    def test_killed(self):
        agent = self.start_agent("echo")
        client = self.client()
        watcher = self.client("watcher")
        watcher.subscribe("pons.instance.down")
        client.ask("echo", "say", {"text": "hi"})
        agent.kill()
        watcher.expect(Kind.EVENT, service="pons.instance.down")
        self.ends("NO_SERVICE", client, client.request("echo", "say", {"text": "hi"}))

    def test_frozen_and_thawed(self):
        """Its work is given up by name; when it runs again it comes back by itself."""
        agent = self.start_agent("echo")
        client = self.client()
        client.ask("echo", "say", {"text": "hi"})
        agent.freeze()
        request = client.request("echo", "say", {"text": "hi"})
        self.assertIn(client.refusal(request), ("WORKER_LOST", "NO_SERVICE"))
        agent.thaw()
        self.wait_service(client, "echo")
        self.assertEqual(client.ask("echo", "say", {"text": "again"}, deadline_s=20)["text"], "again")

    def test_frozen_broker_and_thawed(self):
        """The agent gives the broker up, and is there again when it runs."""
        self.start_agent("echo")
        client = self.client()
        client.ask("echo", "say", {"text": "hi"})
        self.broker.freeze()
        with self.assertRaises(TimeoutError):
            client.expect(Kind.EVENT, timeout_s=1)
        self.broker.thaw()
        again = self.client()
        self.wait_service(again, "echo")
        self.assertEqual(again.ask("echo", "say", {"text": "again"}, deadline_s=20)["text"], "again")

    def test_broker_killed_and_restarted(self):
        self.start_agent("echo")
        self.client().ask("echo", "say", {"text": "hi"})
        self.broker.kill()
        self.broker = self.start_broker()
        client = self.client()
        self.wait_service(client, "echo")
        self.assertEqual(client.ask("echo", "say", {"text": "again"})["text"], "again")


if __name__ == "__main__":
    harness.main()
