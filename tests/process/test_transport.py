#!/usr/bin/python3
"""The way to a provider: HTTP/2 over TLS, certificates, proxies, and a limit of its own for each thing that is waited for."""

import time
import unittest

import harness
from harness import Kind
from test_adapter import KEY, WINDOW, Adapter  # noqa: F401
from tls import NGINX, Authority, Front, Proxy

KNOBS = {"good": "", "slow": "delay_ms=600000", "late": "delay_ms=300", "flood": "tokens=100000,bytes=8192", "cut": "cut=0",
         "halfcut": "cut=2"}
WRONG = {"expired": "expired", "elsewhere": "host name", "selfsigned": "self.signed", "untrusted": "issuer"}


@unittest.skipUnless(NGINX, "there is no nginx: install the packages of group test")
class Https(Adapter):
    def configuration(self):
        authority = Authority(self.folder)
        self.front = Front(self, self.mock.port, {
            "good": (*authority.sign(), True), "old": (*authority.sign(), False), "expired": (*authority.sign(days=-1), True),
            "elsewhere": (*authority.sign("DNS:elsewhere.example"), True), "selfsigned": (*authority.sign(by_itself=True), True)})
        self.proxy, self.wall = Proxy(), Proxy(refuses=True)
        self.addCleanup(self.proxy.close)
        self.addCleanup(self.wall.close)
        providers = [(name, "good", f"/mock/{knobs}" if knobs else "", "ca_file: ca.pem") for name, knobs in KNOBS.items()]
        providers += [(name, name, "", "ca_file: ca.pem") for name in ("old", "expired", "elsewhere", "selfsigned")]
        providers += [("untrusted", "good", "", ""), ("proxied", "good", "", f"ca_file: ca.pem, proxy: '{self.proxy.url}'"),
                      ("walled", "good", "", f"ca_file: ca.pem, proxy: '{self.wall.url}'")]
        lines = [f"  - {{name: p-{name}, base_url: '{self.front.url(port, path + '/v1')}', key: {{file: key}}, attempts: 1, {more}}}\n"
                 for name, port, path, more in providers]
        models = [f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}}}\n" for name, *_ in providers]
        return "providers:\n" + "".join(lines) + "models:\n" + "".join(models)

    def protocols(self, count):
        """What nginx has logged, when there are so many lines."""
        due = time.monotonic() + harness.DEADLINE_S
        while len(seen := self.front.seen()) < count:
            self.assertLess(time.monotonic(), due, seen)
            self.client_.socket.poll(10)
        return seen

    def test_many_answers_on_one_connection(self):
        requests = [self.client_.request("RemoteApiAdapter", "generate", self.ask_of("late")) for _ in range(20)]
        for request in requests:
            self.client_.expect(Kind.REPLY, id=request)
        seen = self.protocols(20)
        self.assertEqual({protocol for _, protocol, _ in seen}, {"HTTP/2.0"})
        self.assertEqual(len({connection for *_, connection in seen}), 1)

    def test_a_stream_has_a_connection_of_its_own(self):
        """libcurl would keep up to 32 MiB of each stream that is not read, were it one of HTTP/2."""
        self.chat("good")
        for _ in range(2):
            self.pieces(self.begin("good"))
        self.chat("good")
        seen = self.protocols(4)
        self.assertEqual([protocol for _, protocol, _ in seen], ["HTTP/2.0", "HTTP/1.1", "HTTP/1.1", "HTTP/2.0"])
        self.assertEqual(len({connection for *_, connection in seen}), 2)

    def test_a_server_without_http2(self):
        self.chat("old")
        self.assertEqual([protocol for _, protocol, _ in self.protocols(1)], ["HTTP/1.1"])

    def test_certificates(self):
        """Each is refused by name, before anything is said."""
        for model, words in WRONG.items():
            with self.subTest(model):
                error = self.refused(model)
                self.assertEqual((error.body["code"], error.body["http_status"]), ("tls_failed", 502), error.body)
                self.assertRegex(error.body["message"], words)
        self.assertEqual(self.mock.stats()["requests"], 0)
        self.chat("good")

    def test_a_cancel_ends_its_request_alone(self):
        """The provider sees it within 100 ms, the best of a few; the others on the same connection go on."""
        other = self.client_.request("RemoteApiAdapter", "generate", self.ask_of("slow"), deadline_s=60)
        took = []
        for n in range(1, 6):
            request = self.client_.request("RemoteApiAdapter", "generate", self.ask_of("slow"))
            self.mock.wait_stats(lambda stats, n=n: stats["requests"] == n + 1)
            sent = time.monotonic()
            self.client_.send(Kind.CANCEL, id=request)
            stats = self.mock.wait_stats(lambda stats, n=n: stats["cancelled"]["count"] >= n)
            took.append(time.monotonic() - stats["cancelled"]["last_ms_ago"] / 1000 - sent)
        self.assertLess(min(took), 0.1, took)
        self.assertEqual((self.status()[0], stats["cancelled"]["count"]), (1, 5))
        self.client_.send(Kind.CANCEL, id=other)
        self.mock.wait_stats(lambda stats: stats["cancelled"]["count"] == 6)
        self.assertEqual(len({connection for *_, connection in self.protocols(6)}), 1)

    def test_a_slow_reader_stops_nobody_else(self):
        """One stream is not read: it waits at the provider, and the others get theirs."""
        slow = self.begin("flood", window=65536)
        self.client_.expect(Kind.CHUNK, id=slow)
        still, last = 0, -1
        while still < 10:
            out = self.mock.stats()["bytes"]["out"]
            still, last = still + 1 if out - last < 4096 else 0, out
            self.client_.socket.poll(20)
        self.assertLess(last, 64 << 20)
        for _ in range(5):
            text, _ = self.pieces(self.begin("flood", max_tokens=4))
            self.assertGreater(len(text), 4 * 8192)
            self.chat("good")
        self.assertLess(self.mock.stats()["bytes"]["out"], last + (2 << 20))
        self.client_.send(Kind.CANCEL, id=slow)
        self.wait_idle()

    def test_a_stream_that_is_cut(self):
        for stream in (False, True):  # over HTTP/2, and over HTTP/1.1
            self.assertEqual(self.refused("cut", stream=stream).body["code"], "connection_cut")
        text, error = self.pieces(self.begin("halfcut"))
        self.assertEqual((error.status.name, error.body["code"]), ("STREAM_LOST", "connection_cut"))
        self.assertGreater(len(self.chunks(text)), 0)

    def test_a_proxy(self):
        """It sees where to, and no key."""
        self.chat("proxied")
        self.assertEqual(self.proxy.asked, [f"127.0.0.1:{self.front.ports['good']}"])
        self.assertNotIn(KEY.encode(), self.proxy.heard)
        error = self.refused("walled")
        self.assertEqual(error.body["code"], "proxy_failed")
        self.assertIn("403", error.body["message"])
        self.assertEqual(len(self.wall.asked), 1)
        self.assertNotIn(KEY.encode(), self.wall.heard)


class Limits(Adapter):
    """Each is reached by itself; the others are far."""

    FAULTS = {"headers": ("silent", "headers_ms", "headers_timeout"), "trickle": ("slow_headers=60", "headers_ms", "headers_timeout"),
              "first": ("stall=0", "first_ms", "first_token_timeout"), "late": ("first_ms=60000", "first_ms", "first_token_timeout"),
              "idle": ("stall=2", "idle_ms", "idle_timeout"), "total": ("tokens=1000,gap_ms=20", "total_ms", "total_timeout")}
    FAR = {"connect_ms": 60000, "headers_ms": 60000, "first_ms": 60000, "idle_ms": 60000, "total_ms": 60000}

    def configuration(self):
        lines = []
        for name, (knobs, key, _) in self.FAULTS.items():
            limits = dict.fromkeys(self.FAR, 1000) if key == "total_ms" else {**self.FAR, key: 250}
            lines.append(f"  - {{name: p-{name}, base_url: '{self.mock.base_url}/mock/{knobs}/v1', key: {{file: key}}, attempts: 1, "
                         + ", ".join(f"{key}: {ms}" for key, ms in limits.items()) + "}\n")
        models = [f"  - {{name: {name}, executor: RemoteApiAdapter, provider: p-{name}}}\n" for name in self.FAULTS]
        return "providers:\n" + "".join(lines) + "models:\n" + "".join(models)

    def test_each_has_its_name(self):
        for model, (_, _, code) in self.FAULTS.items():
            with self.subTest(model):
                text, error = self.pieces(self.begin(model))
                self.assertEqual(error.body["code"], code, error.body)
                self.assertEqual(error.status.name, "STREAM_LOST" if text else "FAILED")
        self.assertGreaterEqual(self.wait_idle()["cancelled"]["count"], len(self.FAULTS))


if __name__ == "__main__":
    harness.main()
