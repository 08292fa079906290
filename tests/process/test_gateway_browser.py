#!/usr/bin/python3
"""What a browser asks of the gateway before and while a page of another origin uses it (Fetch standard, "CORS protocol")."""

import json

import gateway_fleet
import harness
from gateway_fleet import CHAT, DONE, STREAM, event, reply

PAGE = "http://localhost:5173"
ALLOW = "access-control-allow-"


class Listed(gateway_fleet.Gateways):
    CONFIG = f"  cors_origins: [\"https://app.example\", \"{PAGE}\"]\n  body_max_bytes: 100000\n"

    def preflight(self, origin, path="/v1/chat/completions", method="POST", headers="authorization,content-type,x-stainless-os"):
        return self.ask(path, method="OPTIONS", headers=(f"Origin: {origin}", f"Access-Control-Request-Method: {method}",
                                                         f"Access-Control-Request-Headers: {headers}"))

    def readable(self, response, origin=PAGE):
        self.assertEqual((response.headers[f"{ALLOW}origin"], response.headers["vary"]), (origin, "Origin"))
        self.assertNotIn(f"{ALLOW}credentials", response.headers)

    def test_a_page_asks_first(self):
        for origin in ("https://app.example", PAGE):
            response = self.preflight(origin)
            self.assertEqual((response.status, response.body), (204, b""))
            self.readable(response, origin)
            self.assertEqual(response.headers[f"{ALLOW}methods"], "POST, OPTIONS")
            self.assertEqual(response.headers[f"{ALLOW}headers"], "authorization,content-type,x-stainless-os")
            self.assertEqual(response.headers["access-control-max-age"], "600")
        self.assertEqual(self.preflight(PAGE, "/v1/models", "GET").headers[f"{ALLOW}methods"], "GET, HEAD, OPTIONS")

    def test_others_are_not_let_in(self):
        worker = self.coordinator()
        for origin in ("http://localhost:51730", "http://localhost", "https://app.example.evil", "http://app.example", "null", "*"):
            with self.subTest(origin):
                response = self.preflight(origin)
                self.assertEqual((response.status, response.headers["vary"]), (204, "Origin"))
                self.assertFalse([name for name in response.headers if name.startswith("access-control")])
                # what a browser sends without asking
                response = self.refused(CHAT, (f"Origin: {origin}", "Content-Type: text/plain"))
                self.assertEqual((response.status, response.error["code"]), (403, "origin_not_allowed"))
                self.assertIn("gateway.cors_origins", response.error["message"])
                self.assertNotIn(f"{ALLOW}origin", response.headers)
        worker.flush()
        self.assertFalse([one for one in worker.inbox if one.kind == harness.Kind.REQUEST])

    def test_answers_are_readable(self):
        worker, client = self.coordinator(), self.http()
        _, response = self.chat(worker, client, headers=(f"Origin: {PAGE}",))
        self.assertEqual(response.status, 200)
        self.readable(response)
        exposed = response.headers["access-control-expose-headers"].lower().split(", ")
        self.assertFalse([name for name in response.headers if name.startswith("x-") and name not in exposed])
        self.assertLessEqual({"retry-after", "retry-after-ms", "x-should-retry"}, set(exposed))

    def test_errors_are_readable(self):
        self.readable(self.refused(b"{}", (f"Origin: {PAGE}",)))
        self.readable(self.ask("/v1/nothing", headers=(f"Origin: {PAGE}",)))
        self.readable(self.refused(b" " * 100001, (f"Origin: {PAGE}",)))
        client = self.http()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nOrigin: %s\r\n\r\n" % PAGE.encode())
        client.send(b"186a1\r\n" + b" " * 100001 + b"\r\n")  # too much, in the middle of the body
        response = client.response()
        self.assertEqual(response.status, 413)
        self.readable(response)

    def test_streams_are_readable(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", STREAM, (f"Origin: {PAGE}",))
        request = worker.take()
        self.piece(worker, request, 0, event("a"))
        worker.reply(request, reply())
        response = client.response()
        self.readable(response)
        self.assertEqual(response.body, event("a") + DONE)

    def test_caches_are_told_even_without_an_origin(self):
        response = self.ask("/healthz")
        self.assertEqual(response.headers["vary"], "Origin")
        self.assertNotIn(f"{ALLOW}origin", response.headers)


class Unlisted(gateway_fleet.Gateways):
    CONFIG = "  keys:\n    - {name: first, secret: {env: KEY_A}}\n"

    def start_gateway(self, *arguments, **options):
        return super().start_gateway(*arguments, **{**options, "environment": {"KEY_A": "alpha-secret-0001"}})

    def test_nothing_is_said_of_origins(self):
        for headers in ((), (f"Origin: {PAGE}",)):
            response = self.ask("/healthz", method="OPTIONS", headers=(*headers, "Access-Control-Request-Method: GET"))
            self.assertEqual(response.status, 204)
            self.assertFalse([name for name in response.headers if name.startswith("access-control") or name == "vary"])
        self.assertNotIn("vary", self.ask("/healthz").headers)

    def test_pages_are_refused_but_for_our_own(self):
        key = "Authorization: Bearer alpha-secret-0001"
        self.assertEqual(self.refused(CHAT, (f"Origin: {PAGE}", key)).status, 403)
        self.assertEqual(self.refused(CHAT, ("Origin: http://127.0.0.1", key)).error["code"], "no_service")  # our own name
        self.assertEqual(self.refused(CHAT, ("Origin: http://127.0.0.1",)).error["code"], "missing_api_key")


class Named(gateway_fleet.Gateways):
    CONFIG = "  hosts: [ai.example]\n"

    def post(self, host):
        client = self.http()
        body = json.dumps(CHAT).encode()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s" % (host, len(body), body))
        return client.response()

    def test_a_name_that_was_made_to_lead_here_is_refused(self):
        for host in (b"evil.example:7180", b"localhost.evil.example", b"127.0.0.1.evil.example", b"evil.ai.example"):
            with self.subTest(host):
                response = self.post(host)
                self.assertEqual((response.status, response.error["code"]), (403, "host_not_allowed"))
                self.assertIn("gateway.hosts", response.error["message"])

    def test_our_own_names_are_let_in(self):
        for host in (b"ai.example", b"AI.example:443", b"localhost:1", b"app.localhost", b"127.0.0.1:7180", b"[::1]:7180", b"10.1.2.3"):
            with self.subTest(host):
                self.assertEqual(self.post(host).error["code"], "no_service")


class Wrong(gateway_fleet.Gateways):
    START = False

    def test_what_is_no_origin(self):
        for origin in ("*", "null", "app.example", "https://App.example", "https://app.example/", "https://app.example:443",
                       "http://app.example:80", "https://", "https://:1", "https://a@b"):
            with self.subTest(origin):
                gateway = self.start_gateway(config=f"gateway:\n  cors_origins: [\"{origin}\"]\n", ready=False)
                gateway.expects = (2,)
                self.assertEqual(gateway.wait(), 2)
                self.assertIn("gateway.cors_origins[0]: is '" + origin + "', must be SCHEME://HOST", gateway.log())

    def test_what_is_no_host(self):
        for host in ("https://ai.example", "ai.example:80", "*", "a b", ".ai"):
            with self.subTest(host):
                gateway = self.start_gateway(config=f"gateway:\n  hosts: [\"{host}\"]\n", ready=False)
                gateway.expects = (2,)
                self.assertEqual(gateway.wait(), 2)
                self.assertIn("gateway.hosts[0]: is '" + host + "', must be the name of a host", gateway.log())


if __name__ == "__main__":
    harness.main()
