#!/usr/bin/python3
"""What every client and every agent does alike: one table of cases for the library in C and the package in Python, each asking
each."""

import parts
from parts import Failed, harness

# Method, request, how it ends: the reply's fields, or a status.
CASES = (
    ("echo.say", {"text": "hi"}, {"text": "hi"}),
    ("echo.say", {"text": "la ", "repeat": 3}, {"text": "la la la "}),
    ("echo.say", {"text": "ä€"}, {"text": "ä€"}),
    ("echo.say", {"text": ""}, {"text": ""}),
    ("echo@echo.say", {"text": "to one"}, {"text": "to one"}),
    ("echo.say", {"text": "x" * 1000, "repeat": 1000}, {"text": "x" * 1000000}),  # a reply in parts
    ("echo.say", {"text": "x" * 50000, "repeat": 1000}, "INVALID"),
    ("echo.fail", {"status": 31, "message": "no"}, "REFUSED"),
    ("echo.fail", {"status": 12}, "UNKNOWN"),
    ("echo.fail", {}, "INTERNAL"),
    ("echo@nobody.say", {"text": "x"}, "NO_SERVICE"),
)
BAD = (("echo.say", {"text": 1}), ("echo.say", {}), ("echo.say", {"text": "a", "other": 1}), ("echo.stream", {"text": "a", "pieces": 0}))


class OneBroker(parts.Parts, harness.Fleet):
    def setUp(self):
        super().setUp()
        self.agent = self.start_echo()
        self.watcher = self.client("watcher")
        self.wait_service(self.watcher, "echo")

    def test_each_case(self):
        asker = self.asker()
        for method, request, want in CASES:
            with self.subTest(method=method, request=str(request)[:60]):
                if isinstance(want, str):
                    with self.assertRaises(Failed) as caught:
                        asker.ask(method, request)
                    self.assertEqual(str(caught.exception), want)
                else:
                    got = asker.ask(method, request)
                    self.assertEqual({name: got[name] for name in want}, want)
                    self.assertRegex(got["instance"], r"^echo:[0-9a-f]{16}$")

    def test_what_does_not_fit_the_contract(self):
        """Said by the agent: the asker is one that knows no contract."""
        for method, request in BAD:
            service, name = method.split(".")
            with self.assertRaises(harness.RemoteError) as caught:
                self.watcher.ask(service, name, request)
            self.assertEqual(caught.exception.status.name, "INVALID")
            self.assertTrue(caught.exception.body["path"])
        with self.assertRaises(harness.RemoteError) as caught:
            self.watcher.ask("echo", "nothing", {})
        self.assertEqual(caught.exception.status.name, "NO_METHOD")

    def test_a_deadline_is_kept(self):
        asker = self.asker()
        with self.assertRaises(Failed) as caught:
            asker.ask("echo.work", {"wait_ms": 20000}, deadline_s=0.3)
        self.assertEqual(str(caught.exception), "DEADLINE")
        self.assertEqual(asker.ask("echo.say", {"text": "free again"})["text"], "free again")

    def test_a_stream(self):
        pieces, reply = self.asker().stream("echo.stream", {"text": "ab", "pieces": 50, "delay_ms": 1})
        self.assertEqual((pieces, reply), ([{"piece": "ab"}] * 50, {"pieces": 50}))

    def test_a_stream_of_more_than_its_window(self):
        """4 MB through windows of 256 KiB."""
        pieces, reply = self.asker().stream("echo.stream", {"text": "x" * 20000, "pieces": 200})
        self.assertEqual((len(pieces), reply), (200, {"pieces": 200}))

    def test_a_request_in_parts(self):
        """A body over BODY_BYTES that does not come whole is refused by name, and the session goes on."""
        parts_of_it = [bytes([0x81, 0xA4]) + b"text" + b"\xdb\x00\x03\x0d\x40" + b"x" * 150000, b"x" * 50000]
        request = self.watcher.request_in_parts("echo", "say", parts_of_it)
        self.assertEqual(len(self.watcher.answer(request).data["text"]), 200000)

    def test_a_drained_agent_answers_what_it_has(self):
        request = self.watcher.request("echo", "work", {"wait_ms": 500})
        self.wait_counter(self.watcher, "REQUESTS", 1)
        self.agent.terminate()
        self.assertEqual(self.watcher.answer(request).data["done"], 1)
        self.assertEqual(self.agent.wait(), 0)
        with self.assertRaises(Failed) as caught:
            self.asker().ask("echo.say", {"text": "x"}, deadline_s=2)
        self.assertEqual(str(caught.exception), "NO_SERVICE")

    def test_cancelled_work_is_stopped(self):
        request = self.watcher.request("echo", "stream", {"text": "x", "pieces": 1000, "delay_ms": 50}, flags=harness.Flag.STREAM, window=1000)
        self.watcher.expect(harness.Kind.CHUNK, id=request)
        self.watcher.send(harness.Kind.CANCEL, id=request)
        self.agent.terminate()  # which waits for what it has
        self.assertEqual(self.agent.wait(10), 0)


parts.for_pairs(globals(), OneBroker, parts.PAIRS)
del OneBroker

if __name__ == "__main__":
    harness.main()
