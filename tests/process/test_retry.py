#!/usr/bin/python3
"""What RemoteApiAdapter does after a failure before the first piece: somebody else at once, the same one again, or the end."""

import time

import harness
from harness import Flag, Kind
from test_adapter import MESSAGES, WINDOW, Adapter  # noqa: F401

TWICE = "status=500,fail_first=2"
MODELS = {"good": "", "twice": TWICE, "broken": "status=500", "limited": "status=429,retry_after=7",
          "soon": "status=429,retry_after_ms=300,fail_first=1", "later": "status=503,retry_after_ms=1500",
          "snapped": "cut=0,fail_first=1", "halfcut": "cut=2", "stalled": "silent", "locked": "status=401",
          "rude": "error_in_stream=0,fail_first=1", "date": "status=429,retry_after=Fri%2C%2031%20Dec%202100%2023:59:59%20GMT"}


class Retry(Adapter):
    def configuration(self):
        providers = "".join(f"  - {{name: p-{name}, base_url: '{self.url(knobs)}', key: {{file: key}}, first_ms: "
                            f"{150 if name == 'stalled' else 20000}, wait_ms: 2000}}\n" for name, knobs in MODELS.items())
        models = "".join(f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}}}\n" for name in MODELS)
        return f"providers:\n{providers}models:\n{models}"

    def url(self, knobs):
        return self.mock.base_url + (f"/mock/{knobs}" if knobs else "") + "/v1"

    def asked(self):
        """How many completions the provider was asked for."""
        return sum(count for path, count in self.mock.stats()["paths"].items() if path.endswith("/completions"))


class Again(Retry):
    def test_until_it_works(self):
        """Nobody else may do it: it is asked again, and the answer says what it took."""
        reply = self.chat("twice")
        self.assertEqual([(row["model"], row["cause"], row["tries"]) for row in reply["failures"]],
                         [("twice", "overload", 2)])
        self.assertEqual((reply["model"], self.asked()), ("twice", 3))

    def test_embeddings_too(self):
        ask = {"request": '{"model": "twice", "input": "a b"}'}
        self.assertEqual(self.client_.ask("RemoteApiAdapter", "embed", ask)["failures"][0]["tries"], 2)
        reply = self.client_.ask("RemoteApiAdapter", "embed", ask, annotations=self.route("broken", "good"))
        self.assertEqual((reply["model"], [(row["model"], row["cause"]) for row in reply["failures"]]), ("good", [("broken", "overload")]))

    def test_a_stream_before_its_first_piece(self):
        for model, cause in (("twice", "overload"), ("snapped", "cut"), ("rude", "overload")):
            with self.subTest(model):
                text, reply = self.pieces(self.begin(model))
                self.assertEqual(self.chunks(text)[-1]["choices"][0]["finish_reason"], "stop")
                self.assertEqual([row["cause"] for row in reply["failures"]], [cause])

    def test_tries_have_an_end(self):
        error = self.refused("broken")
        self.assertEqual((error.status.name, self.asked()), ("FAILED", 3))
        self.assertTrue(error.body["message"].startswith("broken: "), error.body)
        self.assertTrue(error.body["message"].endswith("(3 tries)"), error.body)

    def test_what_the_provider_asks_for_is_waited(self):
        began = time.monotonic()
        self.chat("soon")
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual(self.asked(), 2)

    def test_the_budget_of_a_provider(self):
        """Ten requests more than were to be done, however many fail."""
        requests = [self.begin("broken") for _ in range(20)]
        for request in requests:
            self.client_.expect(Kind.ERROR, id=request)
        self.assertEqual(self.asked(), 30)


class NotAgain(Retry):
    def test_somebody_else_is_asked_at_once(self):
        reply = self.chat("auto", annotations=self.route("twice", "good"))
        self.assertEqual((reply["model"], self.asked()), ("good", 2))
        self.assertNotIn("tries", reply["failures"][0])

    def test_what_another_try_does_not_mend(self):
        for n, model in enumerate(("locked", "stalled", "limited", "date"), 1):
            with self.subTest(model):
                self.refused(model)
                self.assertEqual(self.asked(), n)

    def test_a_mistake_of_the_caller(self):
        self.assertEqual(self.refused("good", temperature=9).status.name, "REFUSED")
        self.assertEqual(self.asked(), 1)

    def test_after_the_first_piece(self):
        text, error = self.pieces(self.begin("halfcut"))
        self.assertEqual((error.status.name, self.asked()), ("STREAM_LOST", 1))
        self.assertGreater(len(self.chunks(text)), 0)

    def test_when_the_deadline_would_come_first(self):
        """The caller hears the cause now, and not DEADLINE later."""
        request = self.client_.request("RemoteApiAdapter", "generate", self.ask_of("later"), deadline_s=1.2)
        self.assertEqual(self.client_.expect(Kind.ERROR, id=request).status, harness.Status.FAILED)
        self.assertEqual(self.asked(), 1)

    def test_when_nobody_waits_any_more(self):
        """Taken back during the wait, the provider is left alone (a gateway that went on asking for 20 minutes was seen)."""
        request = self.client_.request("RemoteApiAdapter", "generate", self.ask_of("later"), flags=Flag.STREAM, window=WINDOW)
        self.mock.wait_stats(lambda stats: stats["requests"] >= 1)
        self.client_.send(Kind.CANCEL, id=request)
        self.wait_idle()
        self.assertEqual(self.asked(), 1)

    def test_a_drain_is_not_held_up(self):
        """What waits to be asked again is finished before the process leaves."""
        request = self.begin("later")
        self.mock.wait_stats(lambda stats: stats["requests"] >= 1)
        self.agent.terminate()
        self.client_.expect(Kind.ERROR, id=request)
        self.assertEqual(self.agent.wait(), 0)


class FirstCause(Retry):
    def test_it_keeps_its_code_and_when_to_come_again(self):
        """Handed on to a service that is not there, it comes back and ends with what the provider said."""
        error = self.refused("auto", annotations=self.route("limited", "local"))
        self.assertEqual((error.status.name, error.body["http_status"]), ("OVERLOADED", 429))
        self.assertEqual((error.body["code"], error.body["retry_after_us"]), ("rate_limit_exceeded", 7_000_000))

    def test_the_soonest_of_all(self):
        error = self.refused("auto", annotations=self.route("limited", "later"))
        self.assertEqual((error.status.name, error.body["retry_after_us"]), ("OVERLOADED", 1_500_000))

    def test_a_date_as_retry_after(self):
        error = self.refused("date")
        self.assertEqual(error.body["retry_after_us"], 3_600_000_000)  # no longer than an hour, whatever it says


if __name__ == "__main__":
    harness.main()
