#!/usr/bin/python3
"""A local model on another server: the agent's backend http against the mock provider over real HTTP."""

import json
import os
import sys

import harness
import test_local
from harness import Flag, Kind, RemoteError

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))
from mock_client import Mock  # noqa: E402


class AnotherServer(test_local.Books):
    """backend http: the model is on a server that speaks OpenAI's API."""
    MODEL = None
    KNOBS = "seed=1,tokens=20"

    def start_local(self, model, options=""):
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", "sesame", "--models", "pons-selftest")
        self.addCleanup(self.mock.__exit__)
        return self.start_at(f"{self.mock.base_url}/mock/{self.KNOBS}/v1")

    def start_at(self, url):
        options = f"  backend: http\n  base_url: {url}\n  key: {{env: MODEL_KEY}}\n"
        return self.start_agent(test_local.AGENT, environment={"PONS_CONFIG": self.configure(None, options), "MODEL_KEY": "sesame"})

    def restart_with(self, knobs):
        self.agent.terminate()
        self.assertEqual(self.agent.wait(), 0)
        self.agent = self.start_at(f"{self.mock.base_url}/mock/{knobs}/v1")

    def test_plain_and_streamed(self):
        self.assertEqual(self.status()["models"][0]["state"], "unmeasured")
        reply, body = self.ask()
        row = self.settled()
        self.assertEqual((row["outcome"], row["usage"]), ("done", reply["usage"]))
        self.assertEqual(reply["usage"]["output_tokens"], 20)
        self.wait_status("up")
        events, reply = self.stream()
        text = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
        self.assertEqual(text, body["choices"][0]["message"]["content"])
        self.assertEqual(reply["usage"]["output_tokens"], 20)
        self.assertNotIn("sesame", self.agent.log())

    def test_embeddings(self):
        reply = self.asker.ask(test_local.SERVICE, "embed", {"request": json.dumps({"input": "light"})})
        self.assertEqual(json.loads(reply["response"])["object"], "list")

    def test_embeddings_do_not_stream(self):
        with self.assertRaises(RemoteError) as raised:
            self.asker.ask(test_local.SERVICE, "embed", {"request": json.dumps({"input": "light", "stream": True})})
        body = raised.exception.body
        self.assertEqual((raised.exception.status.name, body["path"], body["code"]), ("REFUSED", "stream", "unsupported_value"))

    def test_a_request_that_streams_by_its_json_alone(self):
        _, body = self.ask(stream=True)
        self.assertEqual(body["object"], "chat.completion")

    def test_the_servers_refusal(self):
        error = self.refused("REFUSED", temperature=9)
        self.assertEqual((error["http_status"], error["path"]), (400, "temperature"))

    def test_failures_go_to_the_next(self):
        for knobs, cause in (("status=500", "overload"), ("malformed=1", "malformed"), ("cut=0", "cut")):
            self.restart_with(knobs)
            route = self.route(("pons-selftest", test_local.SERVICE), ("far", "RemoteApiAdapter"), next=0)
            request = self.asker.request(test_local.SERVICE, "generate", self.body(), annotations=route)
            self.assertEqual(self.forwarded().annotations["failures"][0]["cause"], cause)
            self.asker.answer(request)
            self.settled()

    def test_nobody_there(self):
        self.agent.terminate()
        self.assertEqual(self.agent.wait(), 0)
        self.agent = self.start_at(f"http://127.0.0.1:{harness.free_port()}/v1")
        self.assertIn("the server at http://127.0.0.1", self.refused("FAILED")["message"])
        self.wait_status("down", "the server at http://127.0.0.1")

    def test_a_stream_that_breaks_off(self):
        self.restart_with("cut=3")
        request = self.asker.request(test_local.SERVICE, "generate", self.body(stream=True), flags=Flag.STREAM, window=1 << 20)
        self.ends("STREAM_LOST", self.asker, request)

    def test_a_slow_reader_and_a_cancel(self):
        self.restart_with("tokens=20000,seed=1")
        request = self.asker.request(test_local.SERVICE, "generate", self.body(stream=True), flags=Flag.STREAM, window=1)
        self.asker.expect(Kind.CHUNK, id=request)
        self.asker.send(Kind.CANCEL, id=request)
        self.assertEqual(self.settled()["outcome"], "cancelled")
        self.mock.wait_stats(lambda stats: stats["cancelled"]["count"] >= 1)

    def test_a_slow_reader_gets_it_all(self):
        self.restart_with("tokens=5000,seed=1")
        request = self.asker.request(test_local.SERVICE, "generate", self.body(stream=True), flags=Flag.STREAM, window=2000)
        events, taken = [], 0
        while True:
            message = self.asker.expect(Kind.CHUNK, Kind.REPLY, id=request)
            if message.kind == Kind.REPLY:
                break
            events += test_local.events_of(message)
            taken += len(message.body)
            self.asker.send(Kind.WINDOW, id=request, number=message.number + 1, window=taken + 2000)
        self.assertEqual(message.data["usage"]["output_tokens"], 5000)
        self.assertEqual(sum(1 for event in events if event["choices"] and event["choices"][0]["delta"].get("content")), 5000)


if __name__ == "__main__":
    harness.main()
