#!/usr/bin/python3
"""What a broker keeps for its clients: durable requests, leases and flags. The same cases for the library in C and for the package in
Python, threads and asyncio, while brokers and holders die."""

import os
import queue
import threading

import parts
from parts import Failed, harness

durable, singletons = parts.process_test("durable"), parts.process_test("singletons")
PAIRS = (("c", "aio"), ("sync", "c"), ("aio", "sync"))


class Durable(parts.Parts, durable.Both):
    """CLIENT submits to both brokers' service, AGENT does it."""

    def setUp(self):
        super().setUp()
        self.endpoint = f"ipc://{self.folder}/a;ipc://{self.folder}/b"
        self.leader, self.other = self.start_pair()
        self.both_level()

    def agent(self):
        self.start_echo()
        for node in ("a", "b"):
            self.wait_service(self.asker(node), "echo")

    def test_kept_on_both_disks_done_and_told(self):
        self.agent()
        asker = self.asker_of_kind()
        id, copies = asker.submit("echo.say", {"text": "later"})
        self.assertRegex(id, "^[0-9a-f]{16}-[0-9a-f]+$")
        self.assertEqual((copies, asker.result(id)["text"]), (2, "later"))

    def test_nobody_is_there_yet(self):
        asker = self.asker_of_kind()
        id, _ = asker.submit("echo.say", {"text": "when you come"})
        self.wait_durable(self.leader, lambda status: status["waiting"] == 1)
        self.agent()
        self.assertEqual(asker.result(id)["text"], "when you come")

    def test_a_dead_letter_is_named(self):
        self.agent()
        asker = self.asker_of_kind()
        id, _ = asker.submit("echo.fail", {"status": 31, "message": "no"})
        with self.assertRaises(Failed) as caught:
            asker.result(id)
        self.assertEqual(str(caught.exception), "REFUSED")
        self.assertEqual(self.ask(self.leader, "pons.durable", "list")["rows"][0]["id"], id)

    def test_who_waits_too_short_gives_nothing_else_up(self):
        asker = self.asker_of_kind()
        id, _ = asker.submit("echo.say", {"text": "x"}, deadline_s=2)
        with self.assertRaises(Failed) as caught:
            asker.result(id)
        self.assertEqual(str(caught.exception), "DEADLINE")
        self.agent()
        self.assertEqual(self.ended(self.other, {"id": id})["text"], "x")

    def test_the_leader_dies_while_it_is_waited_for(self):
        asker = self.asker_of_kind()
        ids = [asker.submit("echo.say", {"text": str(number)})[0] for number in range(3)]
        self.nodes[self.leader].kill()
        self.start_echo()
        self.assertEqual([asker.result(id)["text"] for id in ids], ["0", "1", "2"])

    def asker_of_kind(self):
        return parts.Parts.asker(self)

    def asker(self, node):
        return durable.Both.asker(self, node)


class Leases(singletons.Scenes, singletons.Holders):
    """The scenes of agents in C, where CLIENT holds the lease and AGENT wants it too."""

    CLIENT = AGENT = "c"

    def start_holder(self, name, *arguments):
        kind = self.CLIENT if name == "one" else self.AGENT
        if kind == "c":
            return super().start_holder(name, *arguments)
        self.holders[name] = self.start(parts.PYTHON, os.path.join(parts.HERE, "hold.py"), kind, self.ends, "guarded",
                                        environment={"SINGLETON_LOG": self.log})
        return self.holders[name]


class Flags(parts.Parts, singletons.Holders):
    """CLIENT writes a flag, AGENT watches it."""

    def setUp(self):
        super().setUp()
        self.endpoint = self.ends

    def made(self, kind):
        made = parts.CLIENTS[kind](self.endpoint)
        self.addCleanup(made.close)
        return made

    def asker(self, node):
        return singletons.Holders.asker(self, node)

    def test_each_version_is_heard_once_whichever_broker_dies(self):
        heard = queue.Queue()
        writer = self.made(self.CLIENT)
        self.assertEqual(writer.set_flag("color", "red"), 2)
        watcher = threading.Thread(target=self.made(self.AGENT).watch_flag, args=("color", 4, heard))
        watcher.start()
        first = heard.get(timeout=harness.DEADLINE_S)
        self.assertEqual(first[0], "red")
        self.assertEqual(writer.set_flag("color", "green"), 2)
        told = [first, heard.get(timeout=harness.DEADLINE_S)]
        self.nodes[self.leader].kill()
        self.wait_leads(self.other)
        self.assertEqual(writer.set_flag("color", "blue"), 1)
        told.append(heard.get(timeout=harness.DEADLINE_S))
        self.assertEqual(writer.unset_flag("color"), 1)
        told.append(heard.get(timeout=harness.DEADLINE_S))
        watcher.join(harness.DEADLINE_S)
        self.assertEqual([value for value, _ in told], ["red", "green", "blue", None])
        self.assertEqual([version for _, version in told], sorted({version for _, version in told}))


for case in (Durable, Leases, Flags):
    parts.for_pairs(globals(), case, PAIRS)
del case, Durable, Leases, Flags

if __name__ == "__main__":
    harness.main()
