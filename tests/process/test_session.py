#!/usr/bin/python3
"""Sessions: who is let in, with which answer others are not, and how a session ends."""

import harness
from harness import Kind, RemoteError, method, service

ECHO = service("Echo", "echo")


class Hello(harness.Fleet):
    def refused(self, status, path=None, services=(), **over):
        """A HELLO with these fields is answered by an ERROR of this status, and the connection is closed."""
        peer = self.peer()
        peer.hello(services, **over)
        error = peer.expect(Kind.ERROR, Kind.WELCOME)
        self.assertEqual((error.kind, error.status_name), (Kind.ERROR, status))
        self.assertTrue(error.data["message"])
        if path:
            self.assertEqual(error.data["path"], path)
        self.assertTrue(peer.wait_gone(), f"not hung up on after {status}")

    def test_welcome_says_what_holds(self):
        peer = self.client()
        welcome = peer.welcome
        self.assertEqual((welcome["version"], welcome["broker"], welcome["site"]), (1, "b1", "here"))
        self.assertEqual(welcome["session"], peer.session)
        self.assertEqual((welcome["ping_interval_us"], welcome["ping_timeout_us"], welcome["idle_interval_us"]),
                         (20000000, 60000000, 60000000))
        self.assertEqual((welcome["body_max_bytes"], welcome["outstanding_max"], welcome["kept_max_bytes"]), (258048, 4096, 33554432))
        self.assertEqual(welcome["mismatches"], [])

    def test_sessions_differ(self):
        self.assertNotEqual(self.client().session, self.client().session)

    def test_version_is_the_lower_of_both(self):
        self.assertEqual(self.peer().open(version=7, min_version=1).welcome["version"], 1)

    def test_version_too_new(self):
        self.refused("UNSUPPORTED_VERSION", version=9, min_version=2)

    def test_bad_agent_name(self):
        for name in ("", "a b", "x" * 65, "ä"):
            with self.subTest(name):
                self.refused("INVALID", "agent", agent=name)

    def test_bad_service_name(self):
        self.refused("INVALID", "services[0].service", services=[service("Ec ho", "echo")])

    def test_the_broker_s_own_service(self):
        self.refused("BAD_NAME", services=[service("pons", "ping")])

    def test_missing_field(self):
        self.refused("INVALID", "client", client=None)

    def test_wrong_type_with_path(self):
        self.refused("INVALID", "services[1].weight", services=[ECHO, service("Other", "m", weight="heavy")])

    def test_out_of_bounds_with_path(self):
        self.refused("INVALID", "services[0].weight", services=[service("Echo", "echo", weight=1001)])

    def test_no_choice(self):
        self.refused("INVALID", "services[0].role", services=[service("Echo", "echo", role="spare")])

    def test_body_is_no_map(self):
        peer = self.peer()
        peer.send(Kind.HELLO, b"\x01")
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "INVALID")
        self.assertTrue(peer.wait_gone())

    def test_body_is_missing(self):
        peer = self.peer()
        peer.send(Kind.HELLO)
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "INVALID")

    def test_unknown_fields_are_for_newer_peers(self):
        self.assertEqual(self.peer().open(future={"a": [1]}).welcome["version"], 1)

    def test_second_hello(self):
        peer = self.client()
        peer.hello()
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "MALFORMED")
        peer.ask("pons", "ping", {})

    def test_no_hello(self):
        peer = self.peer()
        for _ in range(5):
            peer.request("pons", "ping", {})
        self.assertEqual(peer.expect(Kind.ERROR).status_name, "NO_HELLO")
        peer.open()
        self.assertTrue(peer.none(Kind.ERROR), "NO_HELLO is said once per connection")
        self.assertEqual(self.counters(peer)["BEFORE_HELLO"], 5)


class Replaced(harness.Fleet):
    def test_stale(self):
        self.peer(client=77, incarnation=2000).open()
        with self.assertRaises(RemoteError) as caught:
            self.peer(client=77, incarnation=1999).open()
        self.assertEqual(caught.exception.status.name, "STALE")

    def test_same_client_takes_over(self):
        old = self.peer(client=77, incarnation=2000).open()
        new = self.peer(client=77, incarnation=2000).open()
        self.assertTrue(old.wait_gone())
        new.ask("pons", "ping", {})
        rows = new.ask("pons", "connections", {})["connections"]
        self.assertEqual([row["client"] for row in rows], [f"{77:016x}"])

    def test_a_living_id_is_of_one_process(self):
        """Two with one id would have one name; who is refused takes another id, as an agent does that is started again."""
        first = self.peer(client=77, site="desk").open()
        with self.assertRaises(RemoteError) as caught:
            self.peer(client=77, site="attic").open()
        self.assertEqual(caught.exception.status.name, "FOREIGN_ID")
        first.ask("pons", "ping", {})

    def test_same_name_is_another_process(self):
        first = self.worker(ECHO, agent="twin")
        second = self.worker(ECHO, agent="twin")
        client = self.client()
        requests = [client.request("Echo", "echo", n) for n in range(2)]
        first.reply(first.take())
        second.reply(second.take())
        for request in requests:
            client.answer(request)

    def test_limit_of_sessions(self):
        self.broker.terminate()
        self.broker.wait()
        self.start_broker(environment={"PONS_BROKER_LIMITS_SESSIONS": "4"})
        kept = [self.client() for _ in range(4)]
        with self.assertRaises(RemoteError) as caught:
            self.peer().open()
        self.assertEqual(caught.exception.status.name, "LIMIT")
        kept[0].bye()
        self.assertTrue(kept[0].wait_gone())
        self.client().ask("pons", "ping", {})


class Ends(harness.Fleet):
    def test_bye_is_followed_by_the_end(self):
        peer = self.worker(ECHO)
        peer.bye()
        self.assertTrue(peer.wait_gone())
        client = self.client()
        self.ends("NO_SERVICE", client, client.request("Echo", "echo"))

    def test_not_ready_before_credit(self):
        """An instance without CREDIT is known, but given nothing."""
        worker = self.peer("worker")
        worker.open()
        worker.close()
        worker = self.peer("worker")
        worker.hello([ECHO])
        worker.session = worker.expect(Kind.WELCOME).session
        client = self.client()
        request = client.request("Echo", "echo", 1)
        client.flush()
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.credit(1)
        worker.reply(worker.take(), 2)
        self.assertEqual(client.answer(request).data, 2)

    def test_credit_for_another_session(self):
        worker = self.worker(ECHO, credit=0)
        client = self.client()
        request = client.request("Echo", "echo", 1)
        client.flush()
        worker.send(Kind.CREDIT, session=worker.session + 1, credit=5)
        self.assertTrue(worker.none(Kind.REQUEST))
        worker.credit(1)
        worker.reply(worker.take(), 2)
        client.answer(request)

    def test_drain(self):
        """The echo is the last thing dispatched; what was taken is still answered; the next goes to nobody."""
        worker = self.worker(ECHO, credit=10)
        client = self.client()
        taken = [client.request("Echo", "echo", n) for n in range(3)]
        client.flush()
        worker.send(Kind.DRAIN)
        worker.expect(Kind.DRAIN)
        requests = [message for message in worker.inbox if message.kind == Kind.REQUEST]
        self.assertEqual(len(requests), 3)
        late = client.request("Echo", "echo", "late", deadline_s=0.3)
        for message in requests:
            worker.reply(message, "done")
        for request in taken:
            self.assertEqual(client.answer(request).data, "done")
        self.assertIn(client.refusal(late), ("DEADLINE", "NO_SERVICE", "DRAINING"))
        self.assertTrue(worker.none(Kind.REQUEST, id=late))
        worker.bye()
        self.assertTrue(worker.wait_gone())

    def test_another_takes_what_a_draining_one_does_not(self):
        first, second = self.worker(ECHO, agent="first", credit=5), self.worker(ECHO, agent="second", credit=5)
        first.send(Kind.DRAIN)
        first.expect(Kind.DRAIN)
        client = self.client()
        for n in range(4):
            request = client.request("Echo", "echo", n)
            second.reply(second.take(), n)
            self.assertEqual(client.answer(request).data, n)
        self.assertTrue(first.none(Kind.REQUEST))

    def test_goaway(self):
        """A broker that is asked to stop answers what it has, refuses what is new, says BYE and ends with 0."""
        worker = self.worker(ECHO)
        client = self.client()
        request = client.request("Echo", "echo", 1)
        message = worker.take()
        self.broker.terminate()
        client.expect(Kind.GOAWAY)
        worker.expect(Kind.GOAWAY)
        self.ends("DRAINING", client, client.request("Echo", "echo", 2))
        self.assertEqual(client.ask("pons", "ping", {})["broker"], "b1")
        worker.reply(message, "still")
        self.assertEqual(client.answer(request).data, "still")
        client.expect(Kind.BYE)
        self.assertTrue(client.wait_gone())
        self.assertEqual(self.broker.wait(), 0)

    def test_second_sigterm_stops_at_once(self):
        worker, client = self.worker(ECHO), self.client()
        client.request("Echo", "echo", 1)
        worker.take()
        self.broker.terminate()
        client.expect(Kind.GOAWAY)
        self.broker.terminate()
        self.assertEqual(self.broker.wait(5), 0)


class Endpoints(harness.Fleet):
    BROKER = False

    def test_tcp_and_ipc_are_one_bus(self):
        tcp = f"tcp://127.0.0.1:{harness.free_port()}"
        self.start_broker(endpoints=[self.endpoint, tcp])
        worker = self.worker(service("Echo", method("echo", "idempotent")), endpoint=tcp)
        client = self.client()
        request = client.request("Echo", "echo", "over both")
        worker.reply(worker.take(), "yes")
        self.assertEqual(client.answer(request).data, "yes")

    def test_address_in_use(self):
        tcp = f"tcp://127.0.0.1:{harness.free_port()}"
        self.start_broker(endpoints=[tcp])
        second = self.start("pons-broker", "--listen", tcp, ready=False)
        second.expects = (1,)
        self.assertEqual(second.wait(), 1)
        self.assertIn(tcp, second.log())

    def test_socket_of_a_killed_broker_is_taken_over(self):
        first = self.start_broker()
        first.kill()
        self.start_broker()
        self.client().ask("pons", "ping", {})

    def test_bad_arguments(self):
        for arguments, words in ((["--listen", "carrier-pigeon://x"], "carrier-pigeon"), (["--frobnicate"], "--frobnicate"),
                                 (["--listen", self.endpoint, "--log-level", "shout"], "--log-level")):
            with self.subTest(arguments):
                bad = self.start("pons-broker", *arguments, ready=False)
                bad.expects = (1, 2)
                self.assertIn(bad.wait(), (1, 2))
                self.assertIn(words, bad.log())


if __name__ == "__main__":
    harness.main()
