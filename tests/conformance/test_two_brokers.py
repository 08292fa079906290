#!/usr/bin/python3
"""Two brokers, and one of them is killed, frozen or stopped while requests run: whoever asks and whoever answers, none is lost, none
is done twice, and each ends with a name. The same cases for the library in C and the package in Python."""

import os
import queue
import threading
import time

import parts
from parts import harness

two = parts.process_test("two_brokers")

OUTSTANDING = 40
# Two interpreters, two brokers and a load on a machine that has more to do: who waits for its processor is not taken for dead.
PATIENT = {**harness.PATIENT_HEARTBEATS, "PONS_BROKER_HEARTBEAT_TIMEOUT_MS": "2000"}
AGE_S = 4  # of an agent, from which on it vouches: twice that patience
LEAST = 200  # requests that a broker has had before something happens to it


def read_while_killed(case, method):
    """A stream during which its broker dies: the one that its client found first."""
    ended = []
    asker = case.asker()
    reader = threading.Thread(target=lambda: ended.append(asker.stream(method, {"text": "ab", "pieces": 200, "delay_ms": 10})))
    due = time.monotonic() + harness.DEADLINE_S
    reader.start()
    while (chunks := [case.counters(one)["CHUNKS"] for one in case.askers]) and max(chunks) < 5:
        case.assertLess(time.monotonic(), due, "no stream")
    case.kill(chunks.index(max(chunks)))
    reader.join(60)
    return ended[0]


class Moving(parts.Parts, two.Pair):
    ENVIRONMENT = PATIENT
    AGENTS = 2
    LINKED = True

    def setUp(self):
        """With a first load: an agent vouches for nothing that may be older than itself, and a request may be older than a broker
        knows, by a PING and its patience."""
        super().setUp()
        self.expect_all(self.load_result(self.load("echo.say", '{"text": "x"}', seconds=AGE_S, outstanding=4)), 4)
        self.before = self.counters(self.askers[0])["REQUESTS"]

    def load_work(self, seconds=3):
        load = self.load(seconds=seconds, outstanding=OUTSTANDING)
        self.wait_work(0, LEAST)
        return load

    def expect_each_once(self, load):
        result = self.load_result(load)
        self.expect_all(result)
        self.assertEqual(self.times_done(1), result["asked"])

    def test_a_broker_is_killed(self):
        load = self.load_work()
        self.kill(0)
        self.expect_each_once(load)

    def test_a_broker_freezes_and_wakes(self):
        load = self.load_work(7)
        self.brokers[0].freeze()
        self.wait_counter(self.askers[1], "REQUESTS", LEAST)
        self.brokers[0].thaw()
        self.expect_each_once(load)

    def test_a_broker_stops_in_order(self):
        """GOAWAY: everybody moves, and the broker ends by itself."""
        load = self.load_work()
        self.askers[0].close()
        self.brokers[0].terminate()
        self.assertEqual(self.brokers[0].wait(), 0)
        self.expect_each_once(load)

    def test_an_agent_leaves_in_order(self):
        load = self.load_work()
        self.agents[0].terminate()
        self.assertEqual(self.agents[0].wait(), 0)
        self.expect_all(self.load_result(load))

    def test_restarted_while_its_old_self_sleeps(self):
        """The new one takes the work; what the sleeper wakes up with reaches nobody."""
        self.agents[0].freeze()
        self.agents.append(self.start_echo("echo0"))
        load = self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=OUTSTANDING)
        self.wait_work(0, LEAST)
        self.agents[0].thaw()
        self.expect_all(self.load_result(load))


class MovedStream(parts.Parts, two.Pair):
    ENVIRONMENT = PATIENT
    AGENTS = 1
    LINKED = True

    def test_a_stream_moves(self):
        """No piece is missing, and none comes twice."""
        pieces, reply = read_while_killed(self, "echo.stream")
        self.assertEqual((pieces, reply), ([{"piece": "ab"}] * 200, {"pieces": 200}))


class Handed(parts.Parts, two.Pair):
    """An agent in Python hands on: who is asked again says so, and the broker finds the request where it went."""

    ENVIRONMENT = PATIENT
    AGENTS = 1
    LINKED = True

    def setUp(self):
        super().setUp()
        self.start(parts.PYTHON, os.path.join(parts.HERE, "echo.py"), "relay", "--endpoint", self.endpoint)
        for asker in self.askers:
            self.wait_service(asker, "relay")

    def test_a_broker_is_killed(self):
        self.expect_all(self.load_result(self.load("relay.work", seconds=AGE_S, outstanding=4)), 4)
        before, self.before = self.times_done(0), self.counters(self.askers[0])["REQUESTS"]
        load = self.load("relay.work", seconds=3, outstanding=OUTSTANDING)
        self.wait_work(0, LEAST)
        self.kill(0)
        result = self.load_result(load)
        self.expect_all(result)
        self.assertEqual(self.times_done(1) - before - 1, result["asked"])

    def test_a_stream_moves(self):
        pieces, reply = read_while_killed(self, "relay.stream")
        self.assertEqual((pieces, reply), ([{"piece": "ab"}] * 200, {"pieces": 200}))


class Heard(parts.Parts, two.Pair):
    """A subscriber hears both brokers, and each event once, also when one of them has died."""

    AGENTS = 0
    LINKED = True

    def test_each_event_once(self):
        heard, asker = queue.SimpleQueue(), self.asker()
        for number, watcher in enumerate(self.askers):  # kept values, so that it is known to hear both
            watcher.publish(f"news.ready{number}", "yes", sequence=1, retain=True)
            watcher.flush()
        reader = threading.Thread(target=asker.listen, args=("news.*", 7, heard))
        reader.start()
        self.assertEqual({heard.get(timeout=30)[0] for _ in self.askers}, {"news.ready0", "news.ready1"})
        for number in (1, 2, 3):
            self.askers[1].publish("news.x", number, sequence=number)
        got = [heard.get(timeout=30) for _ in range(3)]
        self.kill(0)
        for number in (4, 5):
            self.askers[1].publish("news.x", number, sequence=number)
        got += [heard.get(timeout=30) for _ in range(2)]
        reader.join(60)
        self.assertEqual(got, [("news.x", number) for number in range(1, 6)])


parts.for_pairs(globals(), Moving, (("c", "sync"), ("sync", "aio"), ("aio", "c")))  # each asks and each answers
parts.for_pairs(globals(), MovedStream, parts.PAIRS)
parts.for_pairs(globals(), Handed, (("c", "c"), ("sync", "aio"), ("aio", "sync")))
parts.for_pairs(globals(), Heard, (("c", "c"), ("sync", "c"), ("aio", "c")))
del Moving, MovedStream, Handed, Heard

if __name__ == "__main__":
    harness.main()
