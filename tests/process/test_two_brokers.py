"""Two brokers, agents and clients with a session at each: whatever becomes of one of them, no request is lost and none is
done twice. The load is `pons bench`, a client of the library; echo.work counts how often it was done."""

import json
import subprocess

import harness

OUTSTANDING = 1000


class Pair(harness.Fleet):
    """Broker a, which everybody prefers, broker b, and echo agents at both."""

    ENVIRONMENT = harness.PATIENT_HEARTBEATS
    BROKER = False
    AGENTS = 2
    LINKED = False  # whether the brokers tell each other of their instances
    before = 0  # requests that broker a has had before the load

    def setUp(self):
        super().setUp()
        self.ends = [f"ipc://{self.folder}/a", f"ipc://{self.folder}/b"]
        self.endpoint = ";".join(self.ends)
        self.links = [f"tcp://127.0.0.1:{harness.free_port()}" for _ in self.ends]
        self.brokers = [self.start_one(0), self.start_one(1)]
        self.agents = [self.start_echo(f"echo{i}") for i in range(self.AGENTS)]
        self.askers = [self.client(endpoint=end) for end in self.ends]
        for asker in self.askers:
            self.wait_service(asker, "echo", self.AGENTS)

    def start_one(self, number):
        link = {"PONS_AUTHORITY_NODE": "ab"[number], "PONS_AUTHORITY_LISTEN": self.links[number],
                "PONS_AUTHORITY_PEER": self.links[1 - number]}
        return self.start_broker(endpoints=[self.ends[number]], name="ab"[number], environment=link if self.LINKED else {})

    def start_echo(self, name):
        return self.start_agent("echo", "--name", name)

    def load(self, method="echo.work", body="{}", seconds=3, outstanding=OUTSTANDING):
        return self.start_load(self.endpoint, method, body, "--seconds", str(seconds), "--outstanding", str(outstanding),
                               "--timeout", "20000")

    def wait_work(self, broker, least=OUTSTANDING):
        """Waits until a broker has been given so many requests."""
        return self.wait_counter(self.askers[broker], "REQUESTS", self.before + least)

    def kill(self, number):
        self.askers[number].close()
        self.brokers[number].kill()

    def revive(self, number):
        self.brokers[number] = self.start_one(number)
        self.askers[number] = self.client(endpoint=self.ends[number])
        self.wait_service(self.askers[number], "echo", self.AGENTS)

    def times_done(self, broker):
        """How often echo.work was done, by what each agent counts; the question counts itself."""
        return sum(self.ask(broker, f"echo.work@echo{i}", "{}")["done"] - 1 for i in range(self.AGENTS))

    def ask(self, broker, target, body):
        name, _, instance = target.partition("@")
        service, method = name.split(".")
        return self.askers[broker].ask(f"{service}@{instance}" if instance else service, method, json.loads(body))

    def expect_all(self, result, asked_least=OUTSTANDING):
        self.assertEqual(result["errors"], {})
        self.assertEqual(result["ok"], result["asked"])
        self.assertGreaterEqual(result["asked"], asked_least)


class Loss(Pair):
    def setUp(self):
        """With a first load: an agent vouches for nothing that may be older than itself, and a request may be older than a
        broker knows, by a PING and its patience."""
        super().setUp()
        self.expect_all(self.load_result(self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=10)), 10)
        self.before = self.counters(self.askers[0])["REQUESTS"]

    def test_killed_under_load_once(self):
        """A once request is neither lost nor done twice, and nobody says UNKNOWN."""
        load = self.load()
        self.wait_work(0, 2 * OUTSTANDING)
        self.kill(0)
        result = self.load_result(load)
        self.expect_all(result)
        self.assertEqual(self.times_done(1), result["asked"])

    def test_killed_under_load_idempotent(self):
        load = self.load("echo.say", '{"text": "x"}')
        self.wait_work(0, 2 * OUTSTANDING)
        self.kill(0)
        self.expect_all(self.load_result(load))

    def test_frozen_under_load(self):
        """A frozen broker looks like a dead one, until it wakes; then nobody believes it."""
        load = self.load(seconds=5)
        self.wait_work(0, 2 * OUTSTANDING)
        self.brokers[0].freeze()
        self.wait_counter(self.askers[1], "REQUESTS", 1000)
        self.brokers[0].thaw()
        result = self.load_result(load)
        self.expect_all(result)
        self.assertEqual(self.times_done(1), result["asked"])

    def test_planned_stop(self):
        """SIGTERM: everybody moves at GOAWAY, and the broker ends by itself, long before its patience does."""
        load = self.load()
        self.wait_work(0, 2 * OUTSTANDING)
        self.askers[0].close()
        self.brokers[0].terminate()
        self.brokers[0].wait()
        result = self.load_result(load)
        self.expect_all(result)
        self.assertEqual(self.times_done(1), result["asked"])

    def test_two_deaths_in_a_row(self):
        """First a, then b, with a back in between."""
        load = self.load(seconds=6)
        self.wait_work(0, 2 * OUTSTANDING)
        self.kill(0)
        self.wait_counter(self.askers[1], "REQUESTS", 1000)
        self.revive(0)
        self.kill(1)
        result = self.load_result(load)
        self.assertEqual(sum(result["errors"].values()) + result["ok"], result["asked"])
        self.assertEqual(set(result["errors"]) - {"UNKNOWN"}, set())  # a has forgotten what it had begun
        self.assertLessEqual(self.times_done(0), result["asked"])

    def test_flapping(self):
        """Who returns is not trusted at once: after its first loss the load stays away from it."""
        load = self.load(seconds=4, outstanding=100)
        self.wait_work(0, 1000)
        for _ in range(2):
            self.kill(0)
            self.revive(0)
        self.expect_all(self.load_result(load), 1000)
        self.assertLess(self.counters(self.askers[0])["REQUESTS"], 200)  # our own questions

    def test_both_gone_and_back(self):
        """Nothing hangs and nothing is without a name: what nobody can know is UNKNOWN."""
        load = self.load(seconds=4)
        self.wait_work(0, 2 * OUTSTANDING)
        self.kill(0)
        self.kill(1)
        self.revive(1)
        result = self.load_result(load)
        self.assertEqual(sum(result["errors"].values()) + result["ok"], result["asked"])
        self.assertEqual(set(result["errors"]) - {"UNKNOWN", "NO_SERVICE"}, set())
        self.assertGreater(result["ok"], OUTSTANDING)


class LinkedLoss(Loss):
    """The same with the link between the brokers: then newcomers and what a request has confirmed count too."""

    LINKED = True


class Streams(Pair):
    AGENTS = 1

    def test_a_stream_moves(self):
        """No piece is missing, and none comes twice."""
        stream = subprocess.Popen(
            [harness.program("pons"), "--endpoint", self.endpoint, "--timeout", "30000", "stream", "echo.stream",
             '{"text": "ab\\n", "pieces": 300, "delay_ms": 5}'], stdout=subprocess.PIPE, text=True,
            env={**harness.os.environ, **harness.SANITIZERS})
        first = stream.stdout.readline()
        self.assertEqual(first, "ab\n")
        self.kill(0)
        with stream:
            rest = stream.stdout.read()  # not communicate(), which forgets what readline() has in its buffer
        self.assertEqual(stream.returncode, 0)
        self.assertEqual(first + rest, "ab\n" * 300)


class LinkedStreams(Streams):
    LINKED = True


class Events(Pair):
    """A subscriber of the library hears both brokers, and tells an event once, whichever way it came."""

    AGENTS = 0
    LINKED = True

    def test_each_comes_once_and_outlives_a_broker(self):
        heard = subprocess.Popen(
            [harness.program("pons"), "--endpoint", self.endpoint, "--timeout", "30000", "sub", "news.*", "--count", "6"],
            stdout=subprocess.PIPE, text=True, env={**harness.os.environ, **harness.SANITIZERS})
        for number, asker in enumerate(self.askers):  # kept values, so that it is known to hear both
            asker.publish(f"news.ready{number}", "yes", sequence=1, retain=True)
        ready = {heard.stdout.readline().split()[0] for _ in self.askers}
        self.assertEqual(ready, {"news.ready0", "news.ready1"})
        for number in range(1, 4):
            self.askers[1].publish("news.x", number, sequence=number)
        lines = [heard.stdout.readline() for _ in range(3)]
        self.kill(0)
        self.askers[1].publish("news.x", 4, sequence=4)
        with heard:
            lines += heard.stdout.read().splitlines()
        self.assertEqual([line.split() for line in lines], [["news.x", str(number)] for number in range(1, 5)])


class Agents(Pair):
    AGENTS = 1

    def test_an_agent_leaves_in_order(self):
        """BYE follows both echoes of DRAIN: nothing that was asked fails."""
        second = self.start_echo("spare")
        for asker in self.askers:
            self.wait_service(asker, "echo", 2)
        load = self.load(seconds=2, outstanding=100)
        self.wait_work(0, 1000)
        second.terminate()
        self.assertEqual(second.wait(), 0)
        self.expect_all(self.load_result(load), 1000)

    def test_restarted_while_its_old_self_sleeps(self):
        """The new one takes the work; what the sleeper wakes up with reaches nobody."""
        self.agents[0].freeze()
        self.agents.append(self.start_echo("echo0"))
        load = self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=50)
        self.wait_work(0, 500)
        self.agents[0].thaw()
        self.expect_all(self.load_result(load), 500)

    def test_a_broker_returns_empty(self):
        """An agent registers again with a broker that has forgotten everything."""
        self.kill(0)
        self.revive(0)
        self.assertEqual(self.ask(0, "echo.say", '{"text": "back"}')["text"], "back")

    def test_one_broker_is_enough_to_start(self):
        self.kill(0)
        late = self.start_echo("late")
        self.assertTrue(late.alive)
        self.wait_service(self.askers[1], "echo", 2)


if __name__ == "__main__":
    harness.main()
