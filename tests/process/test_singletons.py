#!/usr/bin/python3
"""Agents of which one serves at a time: they hold a lease, and it moves when the holder, or the broker that leads, is killed or
frozen. The holder writes a line every few milliseconds; no two holders may ever write by turns, whoever dies.

How long a move takes is printed, not judged: this machine may be busy."""

import os
import time

import harness
import test_authority
from harness import RemoteError

AGENT = os.path.join(harness.BUILD, "tests", "singleton")


class Holders(test_authority.Pair):
    """A pair of brokers, and agents that want the same lease."""

    # A frozen broker is to be noticed by who waits for it; the peers of the test say nothing for a while.
    ENVIRONMENT = {**harness.QUICK_HEARTBEATS, "PONS_BROKER_HEARTBEAT_IDLE_MS": "60000"}

    def setUp(self):
        super().setUp()
        self.log = os.path.join(self.folder, "written")
        self.leader, self.other = self.start_pair()
        self.ends = f"ipc://{self.folder}/a;ipc://{self.folder}/b"
        self.holders = {}

    def start_holder(self, name, *arguments):
        self.holders[name] = self.start(AGENT, "--endpoint", self.ends, "--name", name, *arguments, environment={"SINGLETON_LOG": self.log})
        return self.holders[name]

    def start_two(self):
        """The first of them holds the lease. Returns its name and the other's."""
        self.start_holder("one")
        self.wait_writer("one")
        self.start_holder("two")
        self.wait_moment()
        return "one", "two"

    def wait_moment(self):
        """Until the writer has written on."""
        lines = len(self.written())
        self.wait(lambda: len(self.written()) > lines + 20, "nobody writes")

    def wait(self, is_so, what):
        due = time.monotonic() + harness.DEADLINE_S
        while not is_so():
            self.assertLess(time.monotonic(), due, what)
            self.asker(self.other if self.nodes[self.other].alive else self.leader).socket.poll(5)

    def written(self):
        """Lines: time, token, pid."""
        try:
            with open(self.log, encoding="ascii") as file:
                rows = [line.split() for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [(int(row[0]), (int(row[1]), int(row[2])), int(row[3])) for row in rows]

    def wait_writer(self, name):
        """Until this one writes. Returns for how long nobody did before."""
        pid = self.holders[name].pid
        self.wait(lambda: self.written() and self.written()[-1][2] == pid, f"{name} does not write")
        rows = self.written()
        first = next(i for i, row in enumerate(rows) if row[2] == pid)
        pause_s = (rows[first][0] - rows[first - 1][0]) / 1e6 if first else 0
        return pause_s

    def check(self):
        """One writer at a time, and tokens that rise from one to the next. Returns how many there were: more than died, when the machine is so
        busy that a holder comes too late to renew."""
        spans = {}
        for at, token, pid in self.written():
            first, _, owner = spans.setdefault(token, (at, at, pid))
            self.assertEqual(owner, pid, f"two have the token {token}")
            spans[token] = (first, max(at, spans[token][1]), pid)
        rows = sorted(spans.items())
        for (token, (_, last, _)), (higher, (begin, _, _)) in zip(rows, rows[1:]):
            self.assertGreater(begin, last, f"{token} and {higher} were held at the same time")
        return len(rows)

    def tell(self, what, pause_s):
        print(f"{what}: nobody for {pause_s * 1000:.0f} ms (the vote, which is the lease, is {test_authority.VOTE_S * 1000:.0f} ms)")


class Scenes:
    """What becomes of a lease when somebody dies: beside Holders, whoever it is that holds it (tests/conformance/test_kept.py)."""

    def test_the_holder_is_killed(self):
        one, two = self.start_two()
        self.holders[one].kill()
        self.tell("killed", self.wait_writer(two))
        self.assertGreaterEqual(self.check(), 2)

    def test_the_holder_is_frozen_and_wakes(self):
        one, two = self.start_two()
        self.holders[one].freeze()
        self.tell("frozen", self.wait_writer(two))
        self.holders[one].thaw()
        self.wait(lambda: "has lost the lease" in self.holders[one].log(), "the frozen one does not notice")
        self.wait_moment()
        self.check()
        self.holders[two].kill()
        self.wait_writer(one)  # it stands by again, and is given the lease anew
        self.assertGreaterEqual(self.check(), 3)

    def test_the_holder_is_stopped_and_gives_it_back(self):
        one, two = self.start_two()
        self.holders[one].terminate()
        self.assertEqual(self.holders[one].wait(), 0)
        self.tell("stopped", self.wait_writer(two))
        self.check()
        self.assertEqual(len(self.ask(self.leader, "pons.lease", "list")["leases"]), 1)

    def test_the_leading_broker_is_killed(self):
        one, _ = self.start_two()
        self.nodes[self.leader].kill()
        self.wait_leads(self.other)
        self.wait_moment()
        self.assertIn(self.holders[one].pid, {row[2] for row in self.written()})
        self.check()
        self.start_node(self.leader)
        self.wait_moment()
        self.check()

    def test_the_leading_broker_is_frozen(self):
        self.start_two()
        self.nodes[self.leader].freeze()
        self.wait_leads(self.other)
        self.wait_moment()
        self.nodes[self.leader].thaw()
        self.wait_moment()
        self.check()

    def test_holder_and_leader_are_killed_together(self):
        one, two = self.start_two()
        self.nodes[self.leader].kill()
        self.holders[one].kill()
        self.tell("killed with the leader", self.wait_writer(two))
        self.assertGreaterEqual(self.check(), 2)

    def test_the_holder_is_killed_while_the_leading_broker_is_frozen(self):
        one, two = self.start_two()
        self.nodes[self.leader].freeze()
        self.holders[one].kill()
        self.tell("killed while the leader is frozen", self.wait_writer(two))
        self.nodes[self.leader].thaw()
        self.wait_moment()
        self.assertGreaterEqual(self.check(), 2)


class Singletons(Scenes, Holders):
    def test_only_the_holder_is_asked(self):
        one, two = self.start_two()
        for node in ("a", "b"):
            for _ in range(5):
                said = self.ask(node, "echo", "say", text="x")
                self.assertEqual(said["instance"].split(":")[0], one)
        self.holders[one].kill()
        self.wait_writer(two)
        self.assertEqual(self.ask(self.other, "echo", "say", text="x")["instance"].split(":")[0], two)

    def test_who_has_lost_the_lease_stops_what_it_does(self):
        self.start_holder("one", "--concurrency", "1")
        self.wait_writer("one")
        asker = self.asker(self.leader)
        running, queued = (asker.request("echo", "work", {"wait_ms": 20000}) for _ in range(2))
        self.wait(lambda: "begun" in self.holders["one"].log(), "it is not begun")
        self.ask(self.leader, "pons.flags", "set", name="agent.one", value="off")  # it gives the lease back
        with self.assertRaises(RemoteError) as caught:
            asker.answer(running)
        self.assertEqual(caught.exception.status.name, "REFUSED")
        with self.assertRaises(RemoteError) as caught:
            asker.answer(queued)
        self.assertIn(caught.exception.status.name, ("NO_SERVICE", "DRAINING"))
        self.assertEqual(self.ask(self.leader, "pons.lease", "list")["leases"], [])
        self.ask(self.leader, "pons.flags", "unset", name="agent.one")
        self.wait_moment()
        self.check()

    def test_any_agent_may_be_one(self):
        first = self.start("pons-agent-echo", "--endpoint", self.ends, "--name", "e1", "--singleton", "echo")
        self.wait(lambda: self.ask(self.leader, "pons.lease", "list")["leases"], "nobody has it")
        second = self.start("pons-agent-echo", "--endpoint", self.ends, "--name", "e2", environment={"PONS_AGENT_SINGLETON": "echo"})
        self.assertTrue(self.ask(self.leader, "echo", "say", text="x")["instance"].startswith("e1:"))
        self.assertTrue(second.alive)
        first.terminate()
        self.assertEqual(first.wait(), 0)
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            try:
                if self.ask(self.leader, "echo", "say", text="x")["instance"].startswith("e2:"):
                    break
            except RemoteError as error:
                self.assertEqual(error.status.name, "NO_SERVICE")
            self.assertLess(time.monotonic(), due)
        refused = self.start("pons-agent-echo", "--endpoint", self.ends, "--singleton", "no name", ready=False)
        refused.expects = (2,)
        self.assertEqual(refused.wait(), 2)
        self.assertIn("a lease is 1 to 64 of", refused.log())


class Configured(harness.Fleet):
    """`pons up` with two processes of an agent of which pons.yaml says that one serves."""

    BROKER = False

    def pons(self, *arguments):
        command = self.start("pons", "--config", self.config, *arguments, ready=False)
        self.assertEqual(command.wait(), 0, command.log())
        return command.log()

    def test_one_of_two_serves(self):
        self.config = os.path.join(self.folder, "pons.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write('broker: {listen: ["ipc://broker.sock"]}\nauthority: {node: alone, vote_ms: 600, renew_ms: 150, retry_ms: 40}\nprofile: one\n'
                       "profiles: [{name: one, agents: [echo]}]\nagents: [{name: echo, instances: 2, singleton: echo.only}]\n")
        self.pons("up", "--detach")
        self.addCleanup(self.pons, "down")
        asker = self.client("asker", endpoint=f"ipc://{self.folder}/broker.sock")
        due = time.monotonic() + harness.DEADLINE_S
        while not (leases := asker.ask("pons.lease", "list", {})["leases"]):
            self.assertLess(time.monotonic(), due)
            asker.socket.poll(5)
        self.assertEqual([row["name"] for row in leases], ["echo.only"])
        self.wait_service(asker, "echo")
        states = [row["state"] for row in asker.ask("pons", "registry", {"service": "echo"})["instances"]]
        self.assertEqual(sorted(states), ["draining", "ready"])
        self.assertEqual(asker.ask("echo", "say", {"text": "x"})["text"], "x")


class Caretaker(Holders):
    """No witness, and the other host gone: what may double moves by itself."""

    WITNESS = False

    def test_it_moves_without_a_leader(self):
        one, two = self.start_two()
        self.nodes[self.leader].freeze()
        self.holders[one].kill()
        self.tell("killed with nobody to lead", self.wait_writer(two))
        self.assertIn("PONS-AUTHORITY-CARETAKER", self.nodes[self.other].log())
        self.check()


if __name__ == "__main__":
    harness.main()
