#!/usr/bin/python3
"""What is no request. libmicrohttpd answers it by itself, before the gateway hears of it (docs/gateway.md, "Errors")."""

import gateway_fleet
import harness

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"

# What comes, the status of the page that answers it. Each is well-formed HTTP, says Connection: close, and is the last.
PAGES = (
    (b"GET /" + b"a" * 20000, 414),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 20000, 431),
    (HEALTH + b"".join(b"X-%d: %s\r\n" % (n, b"b" * 20) for n in range(1000)) + b"\r\n", 431),
    (b"GET /\r\n\r\n", 400),
    (b"GET / HTTX\r\n\r\n", 400),
    (HEALTH + b"no colon\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\n\r\n", 505),
    (b"GET / HTTP/9.9\r\n\r\n", 505),
    (CHAT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (CHAT + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 21 + b"\r\n", 413),
)

# Here libmicrohttpd 0.9.75 writes its head twice, and of its page nothing fits into the length that it announces.
TWICE = (
    (CHAT + b"Content-Length: -5\r\n\r\n", 400),
    (CHAT + b"Content-Length: " + b"9" * 26 + b"\r\n\r\n", 413),
    (HEALTH + b"Cookie: " + b"a=b;" * 2500 + b"\r\n\r\n", 431),
)

# Closed without a word: at once, or after idle_ms where more could still have come.
SILENT = (b"\0" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\r\n" * 50 + b"x",
          HEALTH + b"Transfer-Encoding: gzip\r\n\r\n",
          b"GET /healthz?" + b"a&" * 4000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


class Garbage(gateway_fleet.Gateways):
    CONFIG = "  idle_ms: 1000\n"

    def tearDown(self):
        self.assertEqual(self.ask("/healthz").status, 200)  # the others are served
        self.assertEqual(self.status()["running"], 0)
        super().tearDown()

    def answered(self, data):
        client = self.http()
        client.send(data)
        return client, client.response()

    def test_pages(self):
        for data, status in PAGES:
            with self.subTest(data[:60]):
                client, response = self.answered(data)
                self.assertEqual((response.status, response.headers["connection"]), (status, "close"))
                self.assertRegex(response.body, rb"^<html><head><title>[^<]+</title></head><body>.+</body></html>$")
                self.assertTrue(client.is_closed)

    def test_heads_that_come_twice(self):
        for data, status in TWICE:
            with self.subTest(data[:60]):
                client, response = self.answered(data)
                self.assertEqual((response.status, response.headers["connection"]), (status, "close"))
                self.assertEqual(len(response.body), int(response.headers["content-length"]))
                self.assertTrue(response.body.startswith(b"HTTP/1.1 %d " % status))
                self.assertTrue(client.rest().endswith(b"</html>"))

    def test_silence(self):
        for data in SILENT:
            with self.subTest(data[:60]):
                client = self.http()
                client.send(data)
                self.assertEqual(client.rest(), b"")


if __name__ == "__main__":
    harness.main()
