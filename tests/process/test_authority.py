#!/usr/bin/python3
"""Who leads, leases and flags, with real brokers and a real witness: they die, freeze, hand over and come back."""

import json
import os
import shutil
import subprocess
import tempfile
import time

import harness
from cable import Cable
from harness import Kind, RemoteError

VOTE_S = 0.6  # shorter than in life, and the rest of the times with it
TIMES = {"PONS_AUTHORITY_VOTE_MS": "600", "PONS_AUTHORITY_RENEW_MS": "150", "PONS_AUTHORITY_RETRY_MS": "40"}


class Pair(harness.Fleet):
    """Brokers a and b, and a witness if the class wants one."""

    BROKER = False
    WITNESS = True

    def setUp(self):
        super().setUp()
        self.ports = {name: harness.free_port() for name in ("a", "b", "witness")}
        self.nodes, self.askers = {}, {}
        # Votes wait for the disk, and here one disk syncs for all that runs on this machine: a disk of memory, where there is one.
        self.state = tempfile.mkdtemp(prefix="pons-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else self.folder)
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)
        if self.WITNESS:
            self.start_witness()

    def environment(self, node, **more):
        other = {"a": "b", "b": "a"}[node]
        witness = {"PONS_AUTHORITY_WITNESS": self.address("witness")} if self.WITNESS else {}
        return {**self.ENVIRONMENT, **TIMES, **witness, "PONS_STATE_DIR": self.state, "PONS_AUTHORITY_NODE": node, "PONS_AUTHORITY_LISTEN": self.address(node),
                "PONS_AUTHORITY_PEER": self.address(other), **more}

    def address(self, node):
        return f"tcp://127.0.0.1:{self.ports[node]}"

    def start_witness(self):
        self.witness = self.start("pons-broker", "--witness",
                                  environment={**TIMES, "PONS_STATE_DIR": self.state, "PONS_AUTHORITY_WITNESS_LISTEN": self.address("witness")})

    def start_node(self, node, **more):
        self.nodes[node] = self.start("pons-broker", "--name", f"broker-{node}", "--site", node, "--listen", f"ipc://{self.folder}/{node}",
                                      environment=self.environment(node, **more))
        self.askers.pop(node, None)
        return self.nodes[node]

    def start_pair(self):
        """Both, of which one leads; returns its name and the other's."""
        self.start_node("a")
        self.start_node("b")
        for node in ("a", "b"):
            self.wait_status(node, lambda status: status["linked"] and status["leader"] and not status["barred_us"])
        leader = "a" if self.status("a")["state"] == "leader" else "b"
        first, _ = self.wait_acquire(leader, "first")  # it may have begun alone, and have leases of former lives to wait for
        self.ask(leader, "pons.lease", "release", name="first", epoch=first["epoch"], counter=first["counter"])
        return leader, "b" if leader == "a" else "a"

    def asker(self, node):
        """A client at a node."""
        if node not in self.askers:
            self.askers[node] = self.client(f"asker-{node}", endpoint=f"ipc://{self.folder}/{node}")
        return self.askers[node]

    def ask(self, node, target, verb, /, **body):
        return self.asker(node).ask(target, verb, body)

    def status(self, node):
        return self.ask(node, "pons.authority", "status")

    def wait_status(self, node, fits):
        """Asks until the status fits; the broker's answer is what is waited for each time."""
        due = time.monotonic() + harness.DEADLINE_S
        while not fits(status := self.status(node)):
            self.assertLess(time.monotonic(), due, f"{node}: {status}")
            self.asker(node).socket.poll(5)
        return status

    def wait_leads(self, node):
        return self.wait_status(node, lambda status: status["state"] == "leader")

    def refused(self, node, target, verb, /, **body):
        """The status and the code of the error that this ends with."""
        with self.assertRaises(RemoteError) as caught:
            self.ask(node, target, verb, **body)
        return caught.exception.status.name, caught.exception.body.get("code")

    def acquire(self, node, name="hub", duration_s=VOTE_S, **more):
        return self.ask(node, "pons.lease", "acquire", name=name, duration_us=int(duration_s * 1e6), **more)

    def wait_acquire(self, node, name="hub", **more):
        """Asks until it is given; what it was refused for until then is returned too."""
        due = time.monotonic() + harness.DEADLINE_S
        codes = set()
        while True:
            try:
                return self.acquire(node, name, **more), codes
            except RemoteError as error:
                codes.add(error.body.get("code"))
                self.assertLess(time.monotonic(), due, codes)
                self.asker(node).socket.poll(5)


def token(lease):
    return lease["epoch"], lease["counter"]


class WithWitness(Pair):
    def test_one_leads_and_both_know(self):
        leader, other = self.start_pair()
        self.assertEqual(self.status(leader)["leader"], f"broker-{leader}")
        status = self.wait_status(other, lambda status: status["leader"] == f"broker-{leader}")
        self.assertEqual((status["state"], status["has_witness"], status["disk"]), ("follower", True, ""))
        self.assertGreater(self.wait_status(leader, lambda status: status["witness_heard_us"])["witness_heard_us"], 0)

    def test_a_lease_has_one_holder_whichever_broker_is_asked(self):
        leader, other = self.start_pair()
        given = self.acquire(other)
        self.assertEqual(self.refused(leader, "pons.lease", "acquire", name="hub", duration_us=10 ** 6), ("REFUSED", "lease_held"))
        self.assertEqual(self.refused(leader, "pons.lease", "release", name="hub", epoch=given["epoch"], counter=given["counter"]),
                         ("REFUSED", "lease_lost"))
        kept = self.ask(other, "pons.lease", "renew", name="hub", epoch=given["epoch"], counter=given["counter"], duration_us=10 ** 6)
        self.assertEqual(token(kept), token(given))
        self.assertLessEqual(kept["duration_us"], VOTE_S * 1e6)
        rows = self.ask(leader, "pons.lease", "list")["leases"]
        self.assertEqual([(row["name"], token(row), row["holder"]) for row in rows], [("hub", token(given), f"{self.asker(other).client:016x}")])
        self.ask(other, "pons.lease", "release", name="hub", epoch=given["epoch"], counter=given["counter"])
        self.assertGreater(token(self.acquire(leader)), token(given))

    def test_a_killed_leader_is_followed_at_once_and_its_leases_move(self):
        leader, other = self.start_pair()
        given = self.acquire(leader)
        before = time.monotonic()
        self.nodes[leader].kill()
        self.wait_leads(other)
        took = time.monotonic() - before
        after, codes = self.wait_acquire(other)
        self.assertGreater(token(after), token(given))
        self.assertLessEqual(codes, {"lease_held", "lease_waiting", "no_leader"})
        self.assertLess(took, harness.DEADLINE_S / 2)
        self.assertIn("leads in epoch", self.nodes[other].log())

    def test_a_holder_keeps_its_lease_when_the_leader_dies(self):
        """It has the token, and the new leader has the copy: no wait."""
        leader, other = self.start_pair()
        given = self.acquire(other, duration_s=VOTE_S)
        self.wait_status(other, lambda status: status["leases"] == 1)
        self.nodes[leader].kill()
        due = time.monotonic() + VOTE_S * 0.8
        while True:
            try:
                kept = self.ask(other, "pons.lease", "renew", name="hub", epoch=given["epoch"], counter=given["counter"], duration_us=10 ** 6)
                break
            except RemoteError as error:
                self.assertEqual(error.body.get("code"), "no_leader")
                if time.monotonic() > due:
                    self.skipTest("this machine was too busy to be followed within the lease")
        self.assertEqual(token(kept), token(given))

    def test_a_frozen_leader_wakes_without_authority(self):
        leader, other = self.start_pair()
        given = self.acquire(leader)
        self.nodes[leader].freeze()
        self.wait_leads(other)
        after, _ = self.wait_acquire(other)
        self.assertGreater(token(after), token(given))
        # what was asked of it before it wakes is the first that it does
        asked = self.asker(leader).request("pons.lease", "renew", {"name": "hub", "epoch": given["epoch"], "counter": given["counter"],
                                                                   "duration_us": 10 ** 6})
        self.nodes[leader].thaw()
        with self.assertRaises(RemoteError) as caught:
            self.asker(leader).answer(asked)
        self.assertIn(caught.exception.body["code"], ("no_leader", "lease_lost"))
        self.wait_status(leader, lambda status: status["state"] == "follower" and status["leader"] == f"broker-{other}")
        self.assertIn("leads no more in epoch", self.nodes[leader].log())

    def test_a_planned_handover(self):
        leader, other = self.start_pair()
        given = self.acquire(other)
        self.wait_status(other, lambda status: status["leases"] == 1)
        self.ask(other, "pons.authority", "lead")
        self.wait_leads(other)
        kept = self.ask(other, "pons.lease", "renew", name="hub", epoch=given["epoch"], counter=given["counter"], duration_us=10 ** 6)
        self.assertEqual(token(kept), token(given))
        self.assertGreater(token(self.acquire(other, "another")), token(given))  # no wait: all leases are known
        self.assertEqual(self.refused(other, "pons.authority", "lead"), ("REFUSED", "not_moved"))
        self.assertEqual(self.refused(leader, "pons.authority", "yield"), ("REFUSED", "not_moved"))
        self.ask(other, "pons.authority", "yield")
        self.wait_leads(leader)

    def test_a_leader_that_is_stopped_hands_over(self):
        leader, other = self.start_pair()
        self.acquire(other)
        self.wait_status(other, lambda status: status["leases"] == 1)
        self.nodes[leader].terminate()
        self.wait_leads(other)
        self.assertEqual(self.nodes[leader].wait(), 0)
        self.assertIn("it has handed over", self.nodes[leader].log())
        self.acquire(other, "another")  # nothing is waited for

    def test_without_the_witness_nothing_changes_until_a_second_loss(self):
        leader, other = self.start_pair()
        self.witness.kill()
        self.acquire(leader)
        self.wait_status(leader, lambda _: "PONS-WITNESS-SILENT" in self.nodes[leader].log())
        self.start_witness()
        self.wait_status(leader, lambda _: "PONS-WITNESS-HEARD" in self.nodes[leader].log())
        self.witness.kill()
        self.nodes[leader].kill()
        self.wait_status(other, lambda status: status["state"] == "candidate")
        self.assertEqual(self.refused(other, "pons.lease", "acquire", name="x", duration_us=10 ** 6), ("UNAVAILABLE", "no_leader"))
        self.assertEqual(self.refused(other, "pons.authority", "lead"), ("REFUSED", "not_moved"))
        self.start_witness()
        self.wait_leads(other)

    def test_a_restarted_broker_follows_and_says_that_it_was_behind(self):
        leader, other = self.start_pair()
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.ask(other, "pons.flags", "set", name="f", value="new")
        self.start_node(leader)
        status = self.wait_status(leader, lambda status: status["linked"] and status["behind"])
        self.assertEqual(status["state"], "follower")
        self.assertIn("was behind", self.nodes[leader].log())
        self.wait_status(leader, lambda status: status["heard"] > 0 and not status["own_behind"])
        self.wait_status(other, lambda status: status["log"] > 0 and not status["peer_behind"])
        self.nodes[leader].kill()
        self.assertEqual(self.ask(other, "pons.flags", "set", name="f", value="newer")["copies"], 1)
        status = self.wait_status(other, lambda status: not status["linked"] and status["peer_behind"])
        self.assertGreater(status["peer_behind_us"], 0)
        self.assertGreater(self.counters(self.asker(other))["NOW_PEER_BEHIND"], 0)
        self.start_node(leader)
        self.wait_status(other, lambda status: status["linked"] and not status["peer_behind"])
        self.assertGreater(self.counters(self.asker(leader))["BEHIND"], 0)
        self.wait_flag(leader, "f", "newer")

    # --- flags ---

    def wait_flag(self, node, name, value):
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            rows = {row["name"]: row["value"] for row in self.ask(node, "pons.flags", "list")["flags"]}
            if rows.get(name) == value:
                return
            self.assertLess(time.monotonic(), due, rows)
            self.asker(node).socket.poll(5)

    def test_flags_are_written_through_the_leader_and_read_everywhere(self):
        leader, other = self.start_pair()
        watcher = self.client("watcher", endpoint=f"ipc://{self.folder}/{other}")
        watcher.subscribe("pons.flags.>")
        written = self.ask(other, "pons.flags", "set", name="agent.echo", value="off")
        self.assertEqual(written["copies"], 2)
        event = watcher.expect(Kind.EVENT, service="pons.flags.agent.echo")
        self.assertEqual((event.data["value"], token(event.data)), ("off", token(written)))
        for node in (leader, other):
            self.assertEqual(self.ask(node, "pons.flags", "get", name="agent.echo")["value"], "off")
        later = self.ask(leader, "pons.flags", "set", name="agent.echo", value="on")
        self.assertGreater(token(later), token(written))
        self.assertEqual(watcher.expect(Kind.EVENT).data["value"], "on")
        self.assertEqual(self.refused(leader, "pons.flags", "get", name="never"), ("REFUSED", "flag_unknown"))
        self.assertEqual(self.refused(leader, "pons.flags", "set", name="no name", value="x")[0], "INVALID")

    def test_what_is_unset_stays_away(self):
        """Also when a broker that still has the flag was gone meanwhile, and over the death of both."""
        leader, other = self.start_pair()
        for name in ("kept", "gone"):
            self.ask(leader, "pons.flags", "set", name=name, value="on")
        watcher = self.client("watcher", endpoint=f"ipc://{self.folder}/{leader}")
        watcher.subscribe("pons.flags.gone")
        self.assertEqual(watcher.expect(Kind.EVENT).data["value"], "on")
        self.nodes[other].kill()
        written = self.ask(leader, "pons.flags", "unset", name="gone")
        self.assertEqual(written["copies"], 1)
        event = watcher.expect(Kind.EVENT).data
        self.assertEqual((event["removed"], token(event)), (True, token(written)))
        self.start_node(other)
        self.wait_status(other, lambda status: status["linked"] and status["flags"] == 1)
        self.nodes[leader].kill()
        self.nodes[other].kill()
        leader, other = self.start_pair()
        for node in (leader, other):
            self.assertEqual([row["name"] for row in self.ask(node, "pons.flags", "list")["flags"]], ["kept"])
            self.assertEqual(self.refused(node, "pons.flags", "get", name="gone"), ("REFUSED", "flag_unknown"))
        self.assertEqual(self.refused(other, "pons.flags", "unset", name="never"), ("REFUSED", "flag_unknown"))
        self.assertEqual(self.ask(other, "pons.flags", "set", name="gone", value="back")["copies"], 2)
        self.assertEqual(self.ask(leader, "pons.flags", "get", name="gone")["value"], "back")

    def test_what_is_unset_makes_room(self):
        leader, other = self.start_pair()
        for i in range(1024):
            self.ask(leader, "pons.flags", "set", name=f"f{i}", value="on")
        self.assertEqual(self.refused(leader, "pons.flags", "set", name="more", value="on"), ("LIMIT", "flags_full"))
        self.assertEqual(self.ask(leader, "pons.flags", "unset", name="f7")["copies"], 2)
        self.assertEqual(self.ask(leader, "pons.flags", "set", name="more", value="on")["copies"], 2)
        self.assertEqual(self.refused(leader, "pons.flags", "set", name="less", value="on"), ("LIMIT", "flags_full"))
        for node in (leader, other):
            self.assertEqual(self.ask(node, "pons.flags", "get", name="more")["value"], "on")
            self.assertEqual(self.status(node)["flags"], 1024)
        for node in (leader, other):
            self.nodes[node].kill()
        leader, _ = self.start_pair()
        self.assertEqual(self.ask(leader, "pons.flags", "get", name="more")["value"], "on")
        self.assertEqual(self.status(leader)["flags"], 1024)

    def test_flags_survive_both_deaths(self):
        leader, other = self.start_pair()
        for i in range(40):
            self.ask(other, "pons.flags", "set", name=f"f{i}", value=str(i))
        for node in (leader, other):
            self.nodes[node].kill()
        self.start_pair()
        for node in (leader, other):
            rows = self.ask(node, "pons.flags", "list")
            self.assertEqual((rows["total"], {row["name"]: row["value"] for row in rows["flags"]}),
                             (40, {f"f{i}": str(i) for i in range(40)}))
            self.client("late", endpoint=f"ipc://{self.folder}/{node}").subscribe("pons.flags.f7")

    def test_a_killed_leader_loses_no_acknowledged_flag(self):
        leader, other = self.start_pair()
        self.assertEqual(self.ask(leader, "pons.flags", "set", name="f", value="1")["copies"], 2)
        self.nodes[leader].kill()
        self.assertEqual(self.ask(other, "pons.flags", "get", name="f")["value"], "1")
        self.wait_leads(other)
        self.assertEqual(self.ask(other, "pons.flags", "set", name="f", value="2")["copies"], 1)

    # --- what is wrong ---

    def test_two_that_count_differently_are_not_linked(self):
        self.start_node("a")
        self.start_node("b", PONS_AUTHORITY_VOTE_MS="900")
        due = time.monotonic() + harness.DEADLINE_S
        while "make authority.witness and authority.vote_ms the same" not in self.nodes["a"].log():
            self.assertLess(time.monotonic(), due)
            self.asker("a").socket.poll(5)
        self.assertFalse(self.status("a")["linked"])

    def test_a_damaged_store_costs_the_authority_and_not_the_bus(self):
        leader, other = self.start_pair()
        self.nodes[leader].kill()
        with open(os.path.join(self.state, f"authority-{leader}.db"), "r+b") as file:
            file.seek(4096)
            file.write(b"\0" * 4096)
        self.start_node(leader)
        status = self.status(leader)
        self.assertEqual(status["state"], "mute")
        self.assertIn("damaged", status["disk"])
        self.assertIn("PONS-AUTHORITY-DISK", self.nodes[leader].log())
        self.assertEqual(self.ask(leader, "pons", "ping")["broker"], f"broker-{leader}")
        self.assertEqual(self.refused(leader, "pons.authority", "lead"), ("REFUSED", "not_moved"))
        self.wait_leads(other)
        self.wait_acquire(leader, "far")  # passed on


class BothRosters(Pair):
    """What the brokers tell each other of instances and events."""

    def both(self, agent, *services, **more):
        """One process with a session at each broker; it answers at both."""
        first = self.worker(*services, agent=agent, endpoint=f"ipc://{self.folder}/a", credit=8, **more)
        second = self.worker(*services, agent=agent, endpoint=f"ipc://{self.folder}/b", credit=8, client=first.client,
                             incarnation=first.incarnation, **more)
        return {"a": first, "b": second}

    def wait_takes(self, worker, node, once):
        """Asks by this broker until the worker is given what may be done once."""
        request = self.asker(node).request("Once", "do", {"n": once})
        taken = worker.take()
        worker.reply(taken, {"done": once})
        self.assertEqual(self.asker(node).answer(request).data, {"done": once})

    def test_an_instance_is_noted_at_the_other_and_given_once_work(self):
        self.start_pair()
        worker = self.both("worker", harness.service("Once", harness.method("do", "once")))
        for node in ("a", "b"):
            self.wait_takes(worker[node], node, 1)

    def test_a_broker_alone_gives_once_work_when_the_other_is_known_to_be_dead(self):
        leader, other = self.start_pair()
        self.nodes[leader].kill()
        self.wait_leads(other)
        worker = self.worker(harness.service("Once", harness.method("do", "once")), endpoint=f"ipc://{self.folder}/{other}", credit=8)
        self.wait_takes(worker, other, 1)

    def test_a_restarted_broker_is_warm_when_all_instances_have_come(self):
        leader, other = self.start_pair()
        worker = self.both("worker", harness.service("Once", harness.method("do", "once")))
        self.wait_takes(worker[other], other, 1)
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.start_node(leader)
        self.wait_status(leader, lambda status: status["linked"])
        # it does not know the instance that the other has
        self.assertEqual(self.asker(leader).refusal(self.asker(leader).request("Once", "do", {})), "OTHER_BROKER")
        again = self.worker(harness.service("Once", harness.method("do", "once")), agent="worker", endpoint=f"ipc://{self.folder}/{leader}",
                            credit=8, client=worker[other].client, incarnation=worker[other].incarnation)
        self.wait_takes(again, leader, 2)

    def test_many_instances_are_all_noted(self):
        """More than one message takes."""
        self.start_pair()
        workers = [self.both(f"w{i}", harness.service(f"S{i}", harness.method("do", "once"))) for i in range(70)]
        for i in (0, 35, 69):
            request = self.asker("b").request(f"S{i}", "do", {})
            workers[i]["b"].reply(workers[i]["b"].take(), {})
            self.assertEqual(self.asker("b").answer(request).data, {})

    def test_an_event_is_heard_at_the_other_broker(self):
        self.start_pair()
        listener = self.client("listener", endpoint=f"ipc://{self.folder}/b")
        listener.subscribe("gpu.>")
        publisher = self.client("publisher", endpoint=f"ipc://{self.folder}/a")
        publisher.publish("gpu.0.load", 93, sequence=1, retain=True)
        event = listener.expect(Kind.EVENT)
        self.assertEqual((event.service, event.data, event.id[:8]), ("gpu.0.load", 93, publisher.client.to_bytes(8, "big")))
        late = self.client("late", endpoint=f"ipc://{self.folder}/b")
        late.subscribe("gpu.0.load")
        self.assertEqual(late.expect(Kind.EVENT).data, 93)

    def start_behind_cables(self):
        """Each hears the other by a cable of its own."""
        cables = {node: Cable(self.ports[node]) for node in ("a", "b")}
        for node, other in (("a", "b"), ("b", "a")):
            self.addCleanup(cables[node].close)
            self.start_node(node, PONS_AUTHORITY_PEER=f"tcp://127.0.0.1:{cables[other].port}")
        for node in ("a", "b"):
            self.wait_status(node, lambda status: status["linked"])
        return cables.values()

    def wait_kept(self, node, topic, value):
        """Asks for the last value until it is this one; None: there is none."""
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            with harness.Peer(f"ipc://{self.folder}/{node}", "reader") as reader:
                reader.open().subscribe(topic)
                kept = [message.data for message in reader.inbox if message.kind == Kind.EVENT]
            if kept == ([] if value is None else [value]):
                return
            self.assertLess(time.monotonic(), due, kept)

    def test_last_values_are_told_when_a_cut_is_mended(self):
        cables = self.start_behind_cables()
        publishers = {node: self.client(f"publisher-{node}", endpoint=f"ipc://{self.folder}/{node}") for node in ("a", "b")}
        for topic in ("old", "gone", "mine"):
            publishers["a"].publish(f"t.{topic}", "before", sequence=1, retain=True)
        for topic in ("old", "gone", "mine"):
            self.wait_kept("b", f"t.{topic}", "before")
        for cable in cables:
            cable.cut()
        for node in ("a", "b"):
            self.wait_status(node, lambda status: not status["linked"])
        listener = self.client("listener", endpoint=f"ipc://{self.folder}/b")
        listener.subscribe("t.*")
        listener.inbox.clear()
        publishers["a"].publish("t.new", "of a", sequence=1, retain=True)
        publishers["a"].publish("t.mine", "after", sequence=2, retain=True)
        publishers["a"].publish("t.gone", b"", sequence=2, retain=True)
        publishers["a"].flush()
        publishers["b"].publish("t.old", "of b", sequence=1, retain=True)  # by another, and later
        publishers["b"].flush()
        for node in ("a", "b"):
            self.wait_kept(node, "t.old", {"a": "before", "b": "of b"}[node])
        for cable in cables:
            cable.mend()
        for node in ("a", "b"):
            for topic, value in (("new", "of a"), ("mine", "after"), ("gone", None), ("old", "of b")):
                self.wait_kept(node, f"t.{topic}", value)
        listener.flush()
        self.assertEqual({message.service: message.data for message in listener.inbox if message.kind == Kind.EVENT},
                         {"t.new": "of a", "t.mine": "after", "t.gone": None, "t.old": "of b"})

    def test_a_broker_that_comes_back_empty_is_told_all_last_values(self):
        """More than one beat takes, some of them large."""
        leader, other = self.start_pair()
        publisher = self.client("publisher", endpoint=f"ipc://{self.folder}/{leader}")
        for i in range(600):
            publisher.publish(f"t.{i}", "x" * (100000 if i % 50 == 0 else 10), sequence=1, retain=True)
        self.wait_kept(other, "t.599", "x" * 10)
        self.nodes[other].kill()
        self.start_node(other)
        self.wait_kept(other, "t.599", "x" * 10)
        self.assertEqual(self.counters(self.asker(other))["NOW_TOPICS"], 600)

    def test_welcome_says_the_epoch(self):
        leader, other = self.start_pair()
        epoch = self.status(leader)["epoch"]
        for node in (leader, other):
            self.assertEqual(self.client("late", endpoint=f"ipc://{self.folder}/{node}").welcome["epoch"], epoch)


@harness.unittest.skipUnless(harness.has("pons-agent-echo"), "the agent echo is not built")
class Features(Pair):
    """The flag agent.NAME switches an agent without a restart."""

    WITNESS = False

    def wait_say(self, node, status):
        """Asks until echo.say ends with this status."""
        due = time.monotonic() + harness.DEADLINE_S
        while (ended := self.asker(node).refusal(self.asker(node).request("echo", "say", {"text": "x"}))) != status:
            self.assertLess(time.monotonic(), due, ended)
            self.asker(node).socket.poll(5)

    def test_off_and_on(self):
        leader, other = self.start_pair()
        echo = self.start("pons-agent-echo", "--endpoint", f"ipc://{self.folder}/a;ipc://{self.folder}/b")
        for node in ("a", "b"):
            self.wait_say(node, "OK")
        for _ in range(2):
            self.ask(other, "pons.flags", "set", name="agent.echo", value="off")
            for node in ("a", "b"):
                self.wait_say(node, "NO_SERVICE")
            self.ask(leader, "pons.flags", "set", name="agent.echo", value="on")
            for node in ("a", "b"):
                self.wait_say(node, "OK")
        self.ask(other, "pons.flags", "set", name="agent.echo", value="off")
        self.wait_say(leader, "NO_SERVICE")
        self.ask(other, "pons.flags", "unset", name="agent.echo")
        for node in ("a", "b"):
            self.wait_say(node, "OK")
        self.ask(other, "pons.flags", "set", name="agent.other", value="off")
        self.wait_say(other, "OK")
        self.assertTrue(echo.alive)

    def test_it_stays_off_over_a_restart_of_broker_and_agent(self):
        leader, other = self.start_pair()
        ends = f"ipc://{self.folder}/a;ipc://{self.folder}/b"
        echo = self.start("pons-agent-echo", "--endpoint", ends)
        self.ask(leader, "pons.flags", "set", name="agent.echo", value="off")
        self.wait_say(other, "NO_SERVICE")
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.start_node(leader)
        self.wait_status(leader, lambda status: status["linked"])
        self.wait_say(other, "NO_SERVICE")
        echo.terminate()
        self.assertEqual(echo.wait(), 0)  # switched off, it drains as ever
        self.start("pons-agent-echo", "--endpoint", ends)
        self.wait_say(other, "NO_SERVICE")
        self.ask(other, "pons.flags", "set", name="agent.echo", value="on")
        self.wait_say(other, "OK")


@harness.unittest.skipUnless(harness.has("pons"), "the pons command is not built")
class Commands(Pair):
    """What an operator types."""

    def pons(self, node, *words, expect=0):
        where = ("--endpoint", f"ipc://{self.folder}/{node}") if node else ()
        done = subprocess.run([harness.program("pons"), *where, *words], capture_output=True, text=True,
                              timeout=harness.DEADLINE_S, cwd=self.folder,
                              env={**os.environ, **harness.SANITIZERS, **TIMES, "PONS_RUNTIME_DIR": self.folder})
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def test_flags(self):
        leader, other = self.start_pair()
        self.assertIn("no flag is set", self.pons(leader, "flags", "list")[1])
        self.assertEqual(self.pons(other, "flags", "set", "agent.echo", "off"), ("", ""))
        self.assertRegex(self.pons(leader, "flags", "list")[0], r"FLAG +VALUE +VERSION\nagent\.echo +off +\d+\.1\n")
        self.assertEqual(self.pons(other, "flags", "watch", "--timeout", "300")[0], "agent.echo off\n")
        row = json.loads(self.pons(other, "--json", "flags", "list")[0])["flags"][0]
        self.assertEqual((row["name"], row["value"]), ("agent.echo", "off"))
        self.assertIn("usage: pons flags", self.pons(other, "flags", "set", "x", expect=2)[1])
        self.assertIn("usage: pons flags", self.pons(other, "flags", "unset", expect=2)[1])
        self.assertIn("INVALID", self.pons(other, "flags", "set", "no name", "x", expect=1)[1])
        self.assertEqual(self.pons(other, "flags", "unset", "agent.echo"), ("", ""))
        self.assertIn("no flag is set", self.pons(leader, "flags", "list")[1])
        self.assertEqual(self.pons(other, "flags", "watch", "--timeout", "300")[0], "agent.echo (unset)\n")
        self.assertIn("flag_unknown", self.pons(other, "--json", "flags", "unset", "never", expect=1)[0])

    def test_lead_lease_status(self):
        leader, other = self.start_pair()
        self.assertIn("no lease is held", self.pons(leader, "lease", "list")[1])
        given = self.acquire(leader)
        self.assertRegex(self.pons(other, "lease", "list")[0], rf"hub +[0-9a-f]{{16}} +{given['epoch']}\.{given['counter']} ")
        self.assertIn("not_moved", self.pons(leader, "--json", "lead", expect=1)[0])
        self.assertRegex(self.pons(other, "lead")[0], rf"broker-{other} leads in epoch \d+\n")
        status = self.pons(other, "status", expect=0)[0]
        self.assertRegex(status, rf"broker-{other} leads in epoch \d+; this broker is leader, linked")
        self.assertEqual(json.loads(self.pons(leader, "--json", "status")[0])["authority"]["leader"], f"broker-{other}")
        self.assertIn(f"broker-{leader} leads", self.pons(other, "lead", "yield")[0])
        self.assertIn("usage: pons lead", self.pons(other, "lead", "me", expect=2)[1])
        self.assertIn("usage: pons lease", self.pons(other, "lease", "take", expect=2)[1])
        self.assertNotIn("witness NOT heard", status)
        leads = self.nodes[leader]  # since it was asked to
        self.witness.kill()
        self.wait_status(leader, lambda _: "PONS-WITNESS-SILENT" in leads.log())
        self.assertIn("leader, linked, witness NOT heard", self.pons(leader, "status")[0])

    def configure(self, node, preferred):
        """The pons.yaml of a machine: its own broker, and the other's."""
        path = os.path.join(self.folder, f"{node}.yaml")
        other = {"a": "b", "b": "a"}[node]
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'broker: {{name: broker-{node}, listen: ["ipc://{self.folder}/{node}"]}}\n'
                       f'other_broker: {{name: broker-{other}, endpoints: ["ipc://{self.folder}/{other}"], preferred: {preferred}}}\n')
        return ("--config", path)

    def test_the_word_is_to_the_broker_of_this_machine(self):
        """Whichever everybody prefers; and status has what each says of itself."""
        leader, other = self.start_pair()
        here = {leader: self.configure(leader, "false"), other: self.configure(other, "true")}
        self.assertRegex(self.pons(None, *here[other], "lead")[0], rf"broker-{other} leads in epoch \d+\n")
        self.assertIn("this broker leads already", self.pons(None, *here[other], "lead", expect=1)[1])
        status = self.pons(None, *here[leader], "status")[0]
        self.assertRegex(status, rf"broker-{other} leads in epoch \d+; broker broker-{leader} is follower, linked.*\n"
                                 rf"broker-{other} leads in epoch \d+; broker broker-{other} is leader, linked")
        rows = json.loads(self.pons(None, *here[other], "--json", "status")[0])["brokers"]
        self.assertEqual([(row["name"], row["authority"]["state"]) for row in rows], [(f"broker-{leader}", "follower"), (f"broker-{other}", "leader")])
        self.assertRegex(self.pons(None, *here[other], "lead", "yield")[0], rf"broker-{leader} leads in epoch \d+\n")
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.assertIn("no broker answers at", self.pons(None, *here[leader], "lead", expect=3)[1])


class WithoutWitness(Pair):
    WITNESS = False

    def test_a_dead_process_is_followed_since_its_port_refuses(self):
        leader, other = self.start_pair()
        self.nodes[leader].kill()
        self.wait_leads(other)
        self.wait_acquire(other)

    def test_a_silent_host_moves_what_may_double_and_nothing_else(self):
        """A frozen process accepts connections: nobody can tell it from a cut cable."""
        leader, other = self.start_pair()
        self.nodes[leader].freeze()
        self.wait_status(other, lambda status: status["state"] == "caretaker")
        self.assertEqual(self.refused(other, "pons.lease", "acquire", name="solo", duration_us=10 ** 6), ("UNAVAILABLE", "no_leader"))
        given, _ = self.wait_acquire(other, "hub", may_double=True)
        self.assertEqual(self.refused(other, "pons.flags", "set", name="f", value="1"), ("UNAVAILABLE", "no_leader"))
        self.ask(other, "pons.authority", "lead")
        self.wait_leads(other)
        solo, _ = self.wait_acquire(other, "solo")
        self.assertGreaterEqual(token(solo)[0], token(given)[0])
        self.nodes[leader].thaw()
        self.wait_status(leader, lambda status: status["leader"] == f"broker-{other}")

    def test_manual_moves_nothing(self):
        self.start_node("a", PONS_AUTHORITY_TAKEOVER="manual")
        self.start_node("b", PONS_AUTHORITY_TAKEOVER="manual")
        self.wait_status("b", lambda status: status["linked"] and status["leader"])
        leader = "a" if self.status("a")["state"] == "leader" else "b"
        other = "b" if leader == "a" else "a"
        self.nodes[leader].freeze()
        self.wait_status(other, lambda status: status["state"] == "candidate")
        self.assertEqual(self.refused(other, "pons.lease", "acquire", name="hub", duration_us=10 ** 6, may_double=True),
                         ("UNAVAILABLE", "no_leader"))
        self.nodes[leader].thaw()


class Alone(Pair):
    WITNESS = False

    def environment(self, node, **more):
        return {**self.ENVIRONMENT, **TIMES, "PONS_STATE_DIR": self.state, "PONS_AUTHORITY_NODE": "alone", **more}

    def test_it_leads_by_itself_and_keeps_its_flags(self):
        self.start_node("a")
        self.wait_leads("a")
        given, _ = self.wait_acquire("a")
        self.assertEqual(self.ask("a", "pons.flags", "set", name="f", value="1")["copies"], 1)
        self.nodes["a"].kill()
        self.start_node("a")
        self.assertEqual(self.ask("a", "pons.flags", "get", name="f")["value"], "1")  # before it leads
        after, codes = self.wait_acquire("a")
        self.assertGreater(token(after), token(given))
        self.assertLessEqual(codes, {"no_leader", "lease_waiting"})

    def test_a_second_broker_in_the_same_folder_has_no_authority(self):
        self.start_node("a")
        self.start_node("b")
        status = self.status("b")
        self.assertEqual(status["state"], "mute")
        self.assertIn("state_dir of its own", status["disk"])

    def test_reserved_names_are_the_brokers_own(self):
        self.start_node("a")
        with self.assertRaises(RemoteError) as caught:
            self.worker(harness.service("pons.flags", "set"), endpoint=f"ipc://{self.folder}/a")
        self.assertEqual(caught.exception.status.name, "BAD_NAME")


class Configured(harness.Fleet):
    BROKER = False

    def refused(self, text):
        path = os.path.join(self.folder, "pons.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        broker = self.start("pons-broker", "--config", path, ready=False)
        broker.expects = (2,)
        self.assertEqual(broker.wait(), 2)
        return broker.log()

    def test_after_lease_with_a_witness_is_refused(self):
        self.assertIn("authority.takeover: after_lease is for a pair without a witness",
                      self.refused('authority: {node: a, peer: "tcp://127.0.0.2:7102", witness: "tcp://127.0.0.3:7103",'
                                   ' takeover: after_lease}\n'))

    def test_a_pair_needs_a_peer(self):
        self.assertIn("authority.peer: node 'a' needs the other broker's address", self.refused("authority: {node: a}\n"))


if __name__ == "__main__":
    harness.main()
