#!/usr/bin/python3
"""Replies over one message, with the real agent: parts within the window of a slow reader, cancel, death, limits."""

import os
import subprocess
import unittest

import harness
from harness import Flag, Kind, msgpack

PART = 258048
MIB = 1048576


@unittest.skipUnless(harness.has("pons-agent-echo"), "the echo agent is not built")
class Large(harness.Fleet):
    TEXT = "0123456789abcdef" * 6250  # 100,000 bytes

    def setUp(self):
        super().setUp()
        self.agent = self.start_agent("echo")
        self.asker = self.client()

    def say(self, repeat=50, window=PART, **fields):
        """Asks for repeat times 100,000 bytes."""
        return self.asker.request("echo", "say", {"text": self.TEXT, "repeat": repeat}, window=window, **fields)

    def part(self, request, number):
        message = self.asker.expect(Kind.CHUNK, id=request)
        self.assertEqual((message.number, message.flags, len(message.body)), (number, Flag.PART, PART))
        return message.body

    def held(self):
        """What the broker knows to be executing."""
        return self.asker.ask("pons", "registry", {"service": "echo"})["instances"][0]["outstanding"]

    def test_five_megabytes_through_a_slow_reader(self):
        """Never more under way than the reader has asked for, and the agent answers others meanwhile."""
        request, body, number = self.say(), b"", 0
        while True:
            message = self.asker.expect(Kind.CHUNK, Kind.REPLY, id=request)
            body += message.body
            if message.kind == Kind.REPLY:
                break
            self.assertEqual((message.number, message.flags), (number, Flag.PART))
            number += 1
            if number < 19:  # the REPLY itself needs no window
                self.assertTrue(self.asker.none(Kind.CHUNK, Kind.REPLY), "more came than the window allows")
            self.assertEqual(self.asker.ask("echo", "say", {"text": "meanwhile"})["text"], "meanwhile")
            self.asker.send(Kind.WINDOW, id=request, number=number, window=len(body) + 1)
        self.assertEqual((message.number, number), (19, 19))
        self.assertEqual(msgpack.unpackb(body)["text"], self.TEXT * 50)

    def test_the_peers_join_it(self):
        self.assertEqual(self.asker.answer(self.say()).data["text"], self.TEXT * 50)

    def test_the_c_client_joins_it(self):
        run = subprocess.run([harness.program("pons"), "call", "echo.say", msgpack_json(self.TEXT, 50), "--json", "--endpoint", self.endpoint],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(self.TEXT * 50, run.stdout)

    def test_cancel_in_the_middle(self):
        request = self.say()
        self.part(request, 0)
        self.asker.send(Kind.CANCEL, id=request)
        self.assertEqual(self.asker.ask("echo", "say", {"text": "on"})["text"], "on")
        self.asker.send(Kind.WINDOW, id=request, number=1, window=9 * MIB)
        self.assertTrue(self.asker.none(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=request))
        self.wait_idle()

    def test_deadline_in_the_middle(self):
        request = self.say(deadline_s=0.5)
        self.part(request, 0)
        self.ends("DEADLINE", self.asker, request)
        self.wait_idle()

    def test_the_agent_is_killed_in_the_middle(self):
        request = self.say()
        self.part(request, 0)
        self.agent.kill()
        self.ends("WORKER_LOST", self.asker, request)

    def test_a_stream_whose_agent_is_killed(self):
        request = self.say(flags=Flag.STREAM)
        self.part(request, 0)
        self.agent.kill()
        self.ends("STREAM_LOST", self.asker, request)

    def test_the_reader_goes_away(self):
        other = self.client("other")
        request = other.request("echo", "say", {"text": self.TEXT, "repeat": 50}, window=PART)
        other.expect(Kind.CHUNK, id=request)
        other.close()
        self.wait_idle()

    def test_sixteen_mebibytes(self):
        self.assertEqual(len(self.asker.answer(self.say(repeat=167)).data["text"]), 16700000)
        text = {"text": "x" * 131072, "repeat": 128}  # 16 MiB of text alone
        self.ends("TOO_LARGE", self.asker, self.asker.request("echo", "say", text, window=MIB))

    def test_without_a_window(self):
        self.ends("TOO_LARGE", self.asker, self.say(window=0))

    def test_many_at_once_are_bounded(self):
        """64 MiB wait for their readers, the next reply is refused; then all that was promised arrives."""
        requests = [self.say(repeat=160, window=1) for _ in range(5)]
        ends = [self.asker.refusal(request) for request in requests]
        self.assertEqual(sorted(ends), ["OK"] * 4 + ["TOO_LARGE"])

    def test_drain_waits_for_the_last_part(self):
        request = self.say()
        self.part(request, 0)
        self.agent.terminate()
        self.assertTrue(self.agent.notify.wait("STOPPING=1", self.agent.process))
        self.assertTrue(self.agent.alive)
        self.asker.send(Kind.WINDOW, id=request, number=1, window=2 * PART)
        self.assertEqual(self.asker.answer(request).number, 19)
        self.assertEqual(self.agent.wait(), 0)

    def wait_idle(self):
        """Waits until the agent has let go of everything."""
        due = harness.time.monotonic() + harness.DEADLINE_S
        while self.held() > 0:
            self.assertLess(harness.time.monotonic(), due)


def msgpack_json(text, repeat):
    return '{"text": "%s", "repeat": %d}' % (text, repeat)


@unittest.skipUnless(harness.has("pons-agent-echo"), "the echo agent is not built")
class Memory(harness.Fleet):
    def test_a_reader_that_does_not_read_costs_its_window_alone(self):
        """The broker holds no more of a large reply than the window, however large it is."""
        self.start_agent("echo")
        readers = [self.client(f"r{n}", receive_queue=1) for n in range(10)]
        for reader in readers:
            reader.request("echo", "say", {"text": "x" * 100000, "repeat": 60}, window=PART)
        self.wait_counter(self.client(), "CHUNKS", 10)
        if not harness.sanitized():
            with open(f"/proc/{self.broker.pid}/statm", encoding="ascii") as file:
                resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
            self.assertLess(resident, 40 * MIB)


if __name__ == "__main__":
    harness.main()
