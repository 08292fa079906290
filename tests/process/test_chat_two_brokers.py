#!/usr/bin/python3
"""The whole chain with two brokers: who asks over HTTP does not notice that one of them dies, freezes or stops."""

import json
import os
import sys

import harness

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_chat  # noqa: E402

TOKENS = 60
STREAMS = 20


class Pair(test_chat.Chain):
    """The chain with every program at broker a, which is preferred, and at broker b."""

    ENVIRONMENT = harness.PATIENT_HEARTBEATS
    MODELS = (("a", f"tokens={TOKENS},gap_ms=20"),)
    ADAPTERS = 2

    def start_broker(self, *arguments, **options):
        self.second = f"ipc://{self.folder}/b"
        super().start_broker(endpoints=[self.second], name="b")
        return super().start_broker(*arguments, name="a", **options)

    def start(self, name, *arguments, **options):
        both = f"{self.endpoint};{self.second}"
        if "broker" not in name:
            arguments = [both if word == self.endpoint else word for word in arguments]
        return super().start(name, *arguments, **options)

    def setUp(self):
        super().setUp()
        other = self.client(endpoint=self.second)
        for service in ("RequestCoordinator", "ModelManagerSuite"):
            self.wait_service(other, service)
        self.wait_service(other, "RemoteApiAdapter", self.ADAPTERS)
        self.story = test_chat.text_of(self.stream(model="a").rest())

    def begin(self):
        """Streams of which each has had its first words."""
        streams = [self.stream(model="a") for _ in range(STREAMS)]
        return [(stream, self.first_word(stream)) for stream in streams]

    def first_word(self, stream):
        """The events up to the first one with text."""
        events = []
        self.assertEqual(stream.status, 200, None if stream.status == 200 else stream.answer.read())
        while not test_chat.text_of(events):
            events.append(stream.event())
        return events

    def expect_whole(self, begun):
        """Every stream ends as it would have, no word missing and none twice."""
        for stream, events in begun:
            events += stream.rest()
            self.assertEqual(events[-1], "[DONE]")
            text = test_chat.text_of(events)
            self.assertEqual(len(text.split()), TOKENS)
            self.assert_tells(text.split())
        self.assertEqual(self.mocks["a"].requests, STREAMS + 1)  # nothing was asked of the provider twice

    def assert_tells(self, words):
        """The mock tells the same words over and over, each answer from the next one on: one that is missing or comes twice
        breaks the order."""
        known = self.story.split()
        period = next(n for n in range(5, TOKENS) if known[n:] == known[:-n])
        start = next(n for n in range(period) if all(known[(n + i) % period] == word for i, word in enumerate(words[:period])))
        self.assertEqual(words, [known[(start + i) % period] for i in range(len(words))])

    def test_a_broker_is_killed_in_mid_stream(self):
        begun = self.begin()
        self.asker.close()
        self.broker.kill()
        self.expect_whole(begun)

    def test_a_broker_freezes_in_mid_stream(self):
        begun = self.begin()
        self.broker.freeze()
        self.expect_whole(begun)

    def test_a_broker_stops_in_mid_stream(self):
        begun = self.begin()
        self.asker.close()
        self.broker.terminate()
        self.expect_whole(begun)
        self.assertEqual(self.broker.wait(), 0)

    def test_plain_chats_meanwhile(self):
        """A chat that is under way when the broker dies is answered as any other."""
        answers = [self.in_background(lambda: self.ask(model="a")) for _ in range(10)]
        self.wait_for(lambda: self.mocks["a"].requests == 11, "all have reached the provider")
        self.asker.close()
        self.broker.kill()
        for answer in answers:
            status, _, body = answer()
            self.assertEqual(status, 200, json.dumps(body))
        self.assertEqual(self.mocks["a"].requests, 11)


if __name__ == "__main__":
    harness.main()
