#!/usr/bin/python3
"""Two brokers, and one of them is killed, frozen or stopped while requests run: whoever asks and whoever answers, none is lost, none
is done twice, and each ends with a name. The same cases for the library in C and the package in Python."""

import importlib.util
import os
import threading

import parts
from parts import harness

PROCESS = os.path.join(parts.ROOT, "tests", "process", "test_two_brokers.py")
spec = importlib.util.spec_from_file_location("process_two_brokers", PROCESS)
two = importlib.util.module_from_spec(spec)
spec.loader.exec_module(two)

OUTSTANDING = 40
LEAST = 200  # requests that a broker has had before something happens to it


class Moving(parts.Parts, two.Pair):
    AGENTS = 2
    LINKED = True

    def setUp(self):
        """With a first load: an agent vouches for nothing that may be older than itself."""
        super().setUp()
        self.expect_all(self.load_result(self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=4)), 4)
        self.before = self.counters(self.askers[0])["REQUESTS"]

    def load_work(self, seconds=3):
        load = self.load(seconds=seconds, outstanding=OUTSTANDING)
        self.wait_work(0, LEAST)
        return load

    def expect_each_once(self, load):
        result = self.load_result(load)
        self.expect_all(result, LEAST)
        self.assertEqual(self.times_done(1), result["asked"])

    def test_a_broker_is_killed(self):
        load = self.load_work()
        self.kill(0)
        self.expect_each_once(load)

    def test_a_broker_freezes_and_wakes(self):
        load = self.load_work(5)
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
        self.expect_all(self.load_result(load), LEAST)

    def test_restarted_while_its_old_self_sleeps(self):
        """The new one takes the work; what the sleeper wakes up with reaches nobody."""
        self.agents[0].freeze()
        self.agents.append(self.start_echo("echo0"))
        load = self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=OUTSTANDING)
        self.wait_work(0, LEAST)
        self.agents[0].thaw()
        self.expect_all(self.load_result(load), LEAST)


class MovedStream(parts.Parts, two.Pair):
    AGENTS = 1
    LINKED = True

    def test_a_stream_moves(self):
        """No piece is missing, and none comes twice."""
        ended = []
        asker = self.asker()
        reader = threading.Thread(target=lambda: ended.append(asker.stream("echo.stream", {"text": "ab", "pieces": 200, "delay_ms": 10})))
        before = self.counters(self.askers[0])["CHUNKS"]
        reader.start()
        self.wait_counter(self.askers[0], "CHUNKS", before + 5)
        self.kill(0)
        reader.join(60)
        self.assertEqual(ended, [([{"piece": "ab"}] * 200, {"pieces": 200})])


parts.for_pairs(globals(), Moving, (("c", "sync"), ("c", "aio"), ("sync", "c"), ("aio", "c"), ("sync", "aio")))
parts.for_pairs(globals(), MovedStream, parts.PAIRS)
del Moving, MovedStream

if __name__ == "__main__":
    harness.main()
