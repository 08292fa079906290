#!/usr/bin/python3
"""Programs of the next version of the protocol beside those of this one, under load: neither side notices. The next version is a
build of the same sources that says a higher number and things that this version does not know: header positions, a kind of
message, fields of HELLO, WELCOME and the peer link, a kind on the peer link (bus/wire/next.h)."""

import os

import harness
import test_two_brokers as two
import test_upgrade

NEXT = os.path.join(harness.BUILD, "tests", "next")


class Mixed(two.Pair):
    """Two linked brokers and two agents, some of them of the next version."""

    LINKED = True
    BROKERS, AGENT_VERSIONS, LOAD = (1, 1), (1, 1), 1
    version = 1

    def start(self, name, *arguments, **options):
        path = os.path.join(NEXT, name)
        return super().start(path if self.version > 1 and os.path.exists(path) else name, *arguments, **options)

    def of(self, version, start, *arguments):
        self.version = version
        try:
            return start(*arguments)
        finally:
            self.version = 1

    def start_one(self, number):
        return self.of(self.BROKERS[number], super().start_one, number)

    def start_echo(self, name):
        return self.of(self.AGENT_VERSIONS[int(name[-1])], super().start_echo, name)

    def load(self, *arguments, **options):
        return self.of(self.LOAD, lambda: super(Mixed, self).load(*arguments, **options))

    def setUp(self):
        super().setUp()
        for asker in self.askers:
            due = harness.time.monotonic() + harness.DEADLINE_S
            while not asker.ask("pons.authority", "status", {})["linked"]:
                self.assertLess(harness.time.monotonic(), due, "the brokers are not linked")
                asker.socket.poll(5)
        self.expect_all(self.load_result(self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=10)), 10)
        self.before = self.counters(self.askers[0])["REQUESTS"]

    def look(self):
        """The broker that everybody prefers is killed under load, and nothing is lost or done twice."""
        for broker, asker in zip(self.BROKERS, self.askers):
            self.assertEqual(asker.ask("pons", "info", {})["protocol"], broker)
            self.assertEqual(asker.welcome["version"], 1)  # of a peer that speaks this one alone
        counted = [self.counters(asker)["UNSUPPORTED"] for asker in self.askers]
        for broker, count in zip(self.BROKERS, counted):
            if broker == 1 and 2 in (*self.AGENT_VERSIONS, self.LOAD):
                self.assertGreater(count, 0)  # the kind that it does not know was said to it, or this test shows nothing
        load = self.load()
        self.wait_work(0, 2 * two.OUTSTANDING)
        self.kill(0)
        result = self.load_result(load)
        self.expect_all(result)
        self.assertEqual(self.times_done(1), result["asked"])


class NextAgents(Mixed):
    AGENT_VERSIONS, LOAD = (2, 2), 2

    def test_with_brokers_of_now(self):
        self.look()


class NextBrokers(Mixed):
    BROKERS = (2, 2)

    def test_with_agents_of_now(self):
        self.look()

    def test_a_foreign_client_of_now(self):
        """pyzmq hears the kind that it does not know, and goes on."""
        asker = self.client(endpoint=self.ends[0])
        self.assertEqual(asker.ask("echo", "say", {"text": "hi"})["text"], "hi")
        self.assertEqual((asker.dropped, asker.welcome["next"]), (1, 2))


class NextAndNow(Mixed):
    """The link between a broker of the next version and one of now; agents of both at each."""

    BROKERS, AGENT_VERSIONS = (2, 1), (1, 2)

    def test_the_next_one_dies(self):
        self.look()


class NowAndNext(NextAndNow):
    BROKERS, LOAD = (1, 2), 2

    test_the_next_one_dies = None

    def test_the_one_of_now_dies(self):
        self.look()


class There(test_upgrade.TwoBrokers):
    """A running fleet goes to the next version, and back."""

    def test_and_back(self):
        self.up()
        loads = [self.load("echo.say", '{"text": "x"}', 25), self.load("echo.work", "{}", 25)]
        there = self.pons("upgrade", "--json", "--bin", NEXT).json
        self.assertEqual({row["version"].split(", ")[1] for row in there["processes"]}, {"protocol 2"})
        self.assertEqual(self.bus().ask("pons", "info", {})["protocol"], 2)
        back = self.pons("upgrade", "--json", "--bin", harness.BIN).json
        self.assertEqual({row["version"].split(", ")[1] for row in back["processes"]}, {"protocol 1"})
        for load in loads:
            self.assertTrue(load.alive, "the load ended before the upgrade did")
        for load in loads:
            self.expect_all(load)


if __name__ == "__main__":
    harness.main()
