#!/usr/bin/python3
"""The gateway's plain requests: what goes to the bus and what comes back, errors, headers, keys, limits of a request."""

import json
import signal
import time

import gateway_fleet
import harness
import msgpack
from gateway_fleet import CHAT, reply
from harness import Flag, Kind, Status, service

MODEL = {"kind": "chat", "executor": "E", "size": "any", "context_tokens": 10, "state": "up", "requests": 0, "failures": 0,
         "input_tokens": 0, "output_tokens": 0, "cost_nano_usd": 0}
PART_BYTES = 30000  # of a large reply, so that one fits into the window of the gateway


class Plain(gateway_fleet.Gateways):
    def test_the_body_goes_out_and_the_answer_comes_back_as_they_were(self):
        worker, client = self.coordinator(), self.http()
        body = b'{ "messages" : [{"role":"user","content":"h\\u00e9"}], "x_unknown": 1.50 }'
        answer = {"id": "c1", "choices": [{"message": {"content": "hé"}}]}
        request, response = self.chat(worker, client, body, answer)
        self.assertEqual(msgpack.unpackb(request.body), {"request": body.decode()})
        self.assertEqual((response.status, response.json), (200, answer))
        self.assertEqual(response.headers["content-type"], "application/json")

    def test_headers_tell_who_did_it_and_what_it_cost(self):
        worker, client = self.coordinator(), self.http()
        _, response = self.chat(worker, client, provider="acme", cost_nano_usd=1234567890)
        names = ("x-pons-model", "x-pons-provider", "x-pons-executor", "x-pons-cost-usd")
        self.assertEqual([response.headers[name] for name in names], ["m-one", "acme", "worker:1", "1.234567890"])
        self.assertGreater(int(response.headers["x-pons-overhead-us"]), 0)
        _, response = self.chat(worker, client)
        self.assertNotIn("x-pons-cost-usd", response.headers)
        self.assertNotIn("x-pons-provider", response.headers)

    def test_the_request_id_is_good_for_a_trace(self):
        worker, client = self.coordinator(), self.http()
        _, response = self.chat(worker, client)
        trace = self.asker().ask("pons", "trace", {"request": response.headers["x-request-id"]})
        self.assertGreater(len(trace["steps"]), 1)

    def test_priority_deadline_and_trace_come_from_headers(self):
        worker, client = self.coordinator(), self.http()
        request, _ = self.chat(worker, client)
        self.assertEqual((request.priority, request.trace), (0, None))
        self.assertGreater(request.deadline, 500_000_000)
        trace = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01"
        request, _ = self.chat(worker, client, headers=("x-pons-priority: batch", "x-pons-deadline-ms: 9000",
                                                        f"traceparent: 00-{'-'.join(trace)}"))
        self.assertEqual(request.priority, 2)
        self.assertLessEqual(request.deadline, 9_000_000)
        self.assertEqual(request.trace, bytes.fromhex("".join(trace)))
        for header, name in (("x-pons-priority: high", "x-pons-priority"), ("x-pons-deadline-ms: soon", "x-pons-deadline-ms")):
            error = self.refused(CHAT, (header,))
            self.assertEqual((error.status, error.error["param"]), (400, name))

    def test_a_deadline_is_kept(self):
        self.coordinator()
        client = self.http()
        client.post("/v1/chat/completions", CHAT, ("x-pons-deadline-ms: 100",))
        response = client.response()
        self.assertEqual((response.status, response.error["code"]), (504, "deadline"))

    def test_embeddings(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/embeddings", {"model": "m", "input": ["a"]})
        request = worker.take()
        self.assertEqual(request.method, "embed")
        worker.reply(request, reply(response='{"object":"list","data":[]}'))
        response = client.response()
        self.assertEqual((response.status, response.json["object"]), (200, "list"))
        self.assertEqual(response.headers["x-pons-model"], "m-one")

    def test_explain(self):
        worker = self.coordinator()
        decision = {"route": {"size": "light", "tokens": 7, "candidates": [{"model": "a", "executor": "E"}]},
                    "reasons": [{"rule": "tokens", "because": "it's \"few\""}]}
        for send in (lambda c: c.get("/pons/explain?prompt=say%20%22hi%22&model=m1"), lambda c: c.post("/pons/explain", CHAT)):
            client = self.http()
            send(client)
            request = worker.take()
            self.assertEqual(request.method, "explain")
            asked = json.loads(msgpack.unpackb(request.body)["request"])
            self.assertIn(asked["messages"][0]["content"], ('say "hi"', "hello"))
            worker.reply(request, decision)
            told = client.response().json
            self.assertEqual((told["size"], told["tokens"], told["candidates"][0]["model"]), ("light", 7, "a"))
            self.assertEqual(told["reasons"], decision["reasons"])

    def test_models(self):
        worker = self.worker(service("ModelManagerSuite", "models"), agent="model_manager_suite")
        self.wait_service(self.asker(), "ModelManagerSuite")
        client = self.http()
        client.get("/v1/models")
        worker.reply(worker.take(), {"models": [{"name": "a/b:1", "provider": "acme", **MODEL}, {"name": "c", **MODEL}]})
        models = client.response().json
        self.assertEqual([(one["id"], one["owned_by"], one["object"]) for one in models["data"]],
                         [("a/b:1", "acme", "model"), ("c", "pons", "model")])
        client.get("/v1/models/a%2Fb:1")  # the table is still fresh: nobody is asked again
        self.assertEqual(client.response().json["id"], "a/b:1")
        client.get("/v1/models/nonesuch")
        missing = client.response()
        self.assertEqual((missing.status, missing.error["code"], missing.error["param"]), (404, "model_not_found", "model"))

    def test_contract_broken_by_an_agent(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", CHAT)
        worker.reply(worker.take(), {"model": 5})
        response = client.response()
        self.assertEqual((response.status, response.error["code"]), (502, "bad_reply"))


class Errors(gateway_fleet.Gateways):
    def outcome(self, status, **body):
        worker, client = getattr(self, "worker_", None) or self.coordinator(), self.http()
        self.worker_ = worker
        client.post("/v1/chat/completions", CHAT)
        worker.fail(worker.take(), status, **body)
        return client.response()

    def test_statuses_of_the_bus(self):
        for status, http, kind in ((Status.REFUSED, 400, "invalid_request_error"), (Status.DENIED, 403, "permission_error"),
                                   (Status.OVERLOADED, 429, "rate_limit_error"), (Status.INTERNAL, 500, "server_error"),
                                   (Status.FAILED, 502, "server_error"), (Status.TOO_LARGE, 413, "invalid_request_error")):
            with self.subTest(status.name):
                response = self.outcome(status, text="because")
                self.assertEqual((response.status, response.error["type"]), (http, kind))
                self.assertEqual((response.error["code"], response.error["message"]), (status.name.lower(), "because"))
                self.assertIsNone(response.error["param"])
                self.assertIn("x-request-id", response.headers)

    def test_an_error_may_say_more(self):
        response = self.outcome(Status.REFUSED, path="max_tokens", code="context_length_exceeded", http_status=422)
        self.assertEqual((response.status, response.error["param"], response.error["code"]),
                         (422, "max_tokens", "context_length_exceeded"))
        response = self.outcome(Status.FAILED, code="invalid_api_key", http_status=401)
        self.assertEqual((response.status, response.error["type"]), (401, "authentication_error"))

    def test_when_to_come_again(self):
        response = self.outcome(Status.OVERLOADED, retry_after_us=1_500_001)
        self.assertEqual((response.headers["retry-after"], response.headers["retry-after-ms"]), ("2", "1501"))
        self.assertNotIn("retry-after", self.outcome(Status.FAILED).headers)

    def test_unknown_outcome_is_not_to_be_repeated(self):
        response = self.outcome(Status.UNKNOWN, retry_after_us=5)
        self.assertEqual((response.status, response.error["code"]), (502, "outcome_unknown"))
        self.assertNotIn("retry-after", response.headers)
        self.assertEqual(response.headers["x-should-retry"], "false")

    def test_a_lost_worker(self):
        response = self.outcome(Status.WORKER_LOST)
        self.assertEqual((response.status, response.error["code"]), (503, "worker_lost"))
        self.assertEqual(response.headers["retry-after"], "1")

    def test_no_coordinator(self):
        response = self.refused(CHAT)
        self.assertEqual((response.status, response.error["code"]), (503, "no_service"))

    def test_bodies_that_are_wrong(self):
        rows = ((b'{"messages":\n  [1,}', None, "invalid_json"), (b"[]", None, "invalid_type"), (b"", None, "invalid_json"),
                (b"{}", "messages", "missing_required_parameter"), (b'{"messages":"a"}', "messages", "invalid_type"),
                (b'{"messages":[]}', "messages", "empty_array"), (b'{"messages":[{}],"model":5}', "model", "invalid_type"),
                (b'{"messages":[{}],"stream":"yes"}', "stream", "invalid_type"),
                (b'{"messages":[{}],"stream_options":1}', "stream_options", "invalid_type"))
        for body, param, code in rows:
            with self.subTest(body):
                response = self.refused(body)
                self.assertEqual((response.status, response.error["type"]), (400, "invalid_request_error"))
                self.assertEqual((response.error["param"], response.error["code"]), (param, code))
        self.assertIn("line 2, column 6 (byte 18)", self.refused(rows[0][0]).error["message"])
        for body, param in ((b"{}", "input"), (b'{"input":5}', "input")):
            self.assertEqual(self.refused(body, path="/v1/embeddings").error["param"], param)

    def test_forms_and_packed_bodies_are_refused_and_the_content_type_is_else_ignored(self):
        client = self.http()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                    b"Content-Length: 2\r\n\r\n{}")
        self.assertEqual((client.response().status), 415)
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b")
        response = client.response()
        self.assertEqual((response.status, response.error["code"]), (415, "unsupported_media_type"))
        self.assertIn("Content-Encoding", response.error["message"])
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Encoding: identity\r\n"
                    b"Content-Length: 2\r\n\r\n{}")
        self.assertEqual(client.response().error["param"], "messages")

    def test_paths_and_methods(self):
        response = self.ask("/v1/nothing")
        self.assertEqual((response.status, response.error["code"]), (404, "unknown_url"))
        for path, meant in (("/chat/completions", "/v1/chat/completions"), ("/v1/models/", "/v1/models"), ("/models//", "/v1/models")):
            self.assertIn(f"did you mean {meant}?", self.ask(path).error["message"])
        for path, instead in (("/v1/completions", "/v1/chat/completions"), ("/completions", "/v1/chat/completions"),
                              ("/api/tags", "/v1/models"), ("/health/", "/healthz")):
            response = self.ask(path)
            self.assertEqual((response.status, response.error["code"]), (404, "unknown_url"))
            self.assertRegex(response.error["message"], f"there is no {path} here, which is of .*; use {instead} instead")
        response = self.ask("/v1/chat/completions")
        self.assertEqual((response.status, response.headers["allow"]), (405, "POST, OPTIONS"))
        response = self.ask("/v1/models", method="DELETE")
        self.assertEqual((response.status, response.headers["allow"]), (405, "GET, HEAD, OPTIONS"))
        response = self.ask("/v1/models", method="OPTIONS")
        self.assertEqual((response.status, response.headers["allow"]), (204, "GET, HEAD, OPTIONS"))
        self.assertFalse([name for name in response.headers if name.startswith("access-control")])
        head, whole = self.ask("/healthz", method="HEAD"), self.ask("/healthz")
        self.assertEqual((head.status, head.body, head.headers["content-length"]),
                         (200, b"", whole.headers["content-length"]))

    def test_a_refused_request_with_a_small_body_keeps_the_connection(self):
        client = self.http()
        for _ in range(3):
            client.post("/v1/nothing", CHAT)
            self.assertEqual(client.response().status, 404)


class Keys(gateway_fleet.Gateways):
    CONFIG = "  keys:\n    - {name: first, secret: {env: KEY_A}}\n    - {name: second, secret: {env: KEY_B}}\n"
    SECRETS = {"KEY_A": "alpha-secret-0001", "KEY_B": "beta-secret-0002"}

    def start_gateway(self, *arguments, **options):
        return super().start_gateway(*arguments, **{**options, "environment": self.SECRETS})

    def test_keys(self):
        for key, status in (("alpha-secret-0001", 503), ("beta-secret-0002", 503), ("alpha-secret-0002", 401), ("", 401),
                            ("alpha-secret-00011", 401), ("alpha-secret-000", 401)):
            response = self.refused(CHAT, (f"Authorization: Bearer {key}",))
            self.assertEqual(response.status, status, key)
        self.assertEqual(response.error["type"], "authentication_error")
        self.assertEqual((response.error["code"], response.headers["www-authenticate"]), ("invalid_api_key", "Bearer"))
        self.assertEqual(self.refused(CHAT).error["code"], "missing_api_key")
        self.assertEqual(self.refused(CHAT, ("Authorization: Basic alpha-secret-0001",)).status, 401)

    def test_what_is_public(self):
        self.assertEqual([self.ask(path).status for path in ("/healthz", "/healthz/gateway", "/readyz", "/metrics")],
                         [200, 200, 503, 401])

    def test_a_key_is_nowhere_to_be_read(self):
        self.refused(CHAT, ("Authorization: Bearer alpha-secret-0001",))
        self.refused(CHAT, ("Authorization: Bearer alpha-secret-000x",))
        metrics = self.ask("/metrics", headers=("Authorization: Bearer beta-secret-0002",)).body.decode()
        with open(f"/proc/{self.gateway.pid}/cmdline", encoding="latin-1") as file:
            seen = file.read() + self.gateway.log() + metrics
        self.assertNotIn("-secret-", seen)

    def test_beyond_loopback_without_keys(self):
        wrong = super().start_gateway(config='gateway:\n  listen: ["tcp://0.0.0.0:*"]\n', ready=False)
        wrong.expects = (2,)
        self.assertEqual(wrong.wait(), 2)
        self.assertIn("gateway.keys", wrong.log())

    def test_a_port_that_is_taken(self):
        second = self.start_gateway(ready=False)
        second.expects = (2,)
        self.assertEqual(second.wait(), 2)
        self.assertIn(f"127.0.0.1:{self.port} can't be listened at: Address already in use", second.log())


class Sizes(gateway_fleet.Gateways):
    CONFIG = "  body_max_bytes: 100000\n  idle_ms: 2000\n"

    def test_a_body_that_says_it_is_too_large(self):
        client = self.http()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100001\r\n\r\n")  # and no body
        response = client.response()
        self.assertEqual((response.status, response.error["code"]), (413, "request_too_large"))
        self.assertTrue(client.is_closed)

    def test_a_body_that_turns_out_too_large(self):
        client = self.http()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):  # and never the last
            client.send(b"2710\r\n" + b" " * 10000 + b"\r\n")
        response = client.response()
        self.assertEqual((response.status, response.error["code"]), (413, "request_too_large"))
        self.assertTrue(client.is_closed)

    def test_two_lengths_are_none(self):
        """What a proxy may understand otherwise is refused, and its connection closed."""
        for lengths in (b"Content-Length: 2\r\nContent-Length: 40\r\n", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                        b"Transfer-Encoding: chunked\r\ncontent-length: 2\r\n"):
            with self.subTest(lengths):
                client = self.http()
                client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lengths + b"\r\n{}")
                response = client.response()
                self.assertEqual((response.status, response.error["code"]), (400, "invalid_header"))
                self.assertTrue(client.is_closed)

    def test_a_request_without_a_host(self):
        """HTTP/1.1 wants one, as nginx does; HTTP/1.0 knew none."""
        client = self.http()
        client.send(b"GET /healthz HTTP/1.1\r\n\r\n")
        response = client.response()
        self.assertEqual((response.status, response.error["code"]), (400, "invalid_header"))
        client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.assertEqual(client.response().status, 200)

    def test_a_whole_url_in_the_request_line(self):
        for url, status in ((b"http://127.0.0.1:7180/healthz", 200), (b"HTTPS://localhost/healthz?x=/", 200), (b"http://localhost", 404)):
            with self.subTest(url):
                client = self.http()
                client.send(b"GET " + url + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                self.assertEqual(client.response().status, status)

    def test_the_largest_body(self):
        worker, client = self.coordinator(), self.http()
        body = json.dumps(CHAT).encode().ljust(100000)
        request, response = self.chat(worker, client, body)
        self.assertEqual((len(msgpack.unpackb(request.body)["request"]), response.status), (100000, 200))

    def test_chunked_upload_in_single_bytes(self):
        worker, client = self.coordinator(), self.http()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in json.dumps(CHAT).encode():
            client.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        client.send(b"0\r\n\r\n")
        request = worker.take()
        self.assertEqual(json.loads(msgpack.unpackb(request.body)["request"]), CHAT)
        worker.reply(request, reply(response="{}"))
        self.assertEqual(client.response().status, 200)

    def test_many_small_writes(self):
        worker, client = self.coordinator(), self.http()
        body = json.dumps(CHAT).encode()
        whole = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for byte in whole:
            client.send(bytes([byte]))
        worker.reply(worker.take(), reply(response="{}"))
        self.assertEqual(client.response().status, 200)

    def test_expect_continue(self):
        worker, client = self.coordinator(), self.http()
        body = json.dumps(CHAT).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        client.send(head % len(body))
        self.assertEqual(client.head()[1], 100)
        client.send(body)
        worker.reply(worker.take(), reply(response="{}"))
        self.assertEqual(client.response().status, 200)
        client.send(head % 100001)
        self.assertEqual(client.response().status, 413)  # and no 100

    def test_http_1_0(self):
        worker, client = self.coordinator(), self.http()
        body = json.dumps(CHAT).encode()
        client.send(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        worker.reply(worker.take(), reply(response='{"id":"old"}'))
        response = client.response()
        self.assertEqual((response.status, response.json["id"]), (200, "old"))
        self.assertTrue(client.is_closed)

    def test_pipelined_requests_are_answered_in_order(self):
        worker, client = self.coordinator(), self.http()
        for n in range(5):
            client.post("/v1/chat/completions", {**CHAT, "n": n})
        client.get("/healthz/gateway")
        for n in range(5):
            request = worker.take()
            self.assertEqual(json.loads(msgpack.unpackb(request.body)["request"])["n"], n)
            worker.reply(request, reply(response=json.dumps({"n": n})))
            self.assertEqual(client.response().json["n"], n)
        self.assertEqual(client.response().json["name"], "gateway")

    def test_a_connection_that_says_nothing_is_closed(self):
        client = self.http()
        self.assertTrue(client.is_closed)
        client = self.http()
        client.get("/healthz")
        self.assertEqual(client.response().status, 200)
        self.assertTrue(client.is_closed)

    def test_a_body_that_stops_coming(self):
        client = self.http()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        self.assertEqual(client.rest(), b"")

    def test_a_request_line_that_drips(self):
        """One byte now and then is no sign of life."""
        client = self.http()
        client.socket.settimeout(0.2)
        with self.assertRaises(OSError):
            for _ in range(int(harness.DEADLINE_S / 0.2)):
                client.send(b"G")
                try:
                    if not client.socket.recv(1):
                        raise ConnectionResetError
                except TimeoutError:
                    continue


class Crowds(gateway_fleet.Gateways):
    """Many clients together."""

    CONFIG = "  body_max_bytes: 100000\n  held_max_bytes: 1048576\n"
    DESCRIPTORS = 128

    def start_gateway(self, *arguments, **options):
        return super().start_gateway(*arguments, nofile=self.DESCRIPTORS, **options)

    def held(self):
        text = self.ask("/metrics").body.decode()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("pons_gateway_held_bytes ")))

    def wait_held(self, wanted):
        due = time.monotonic() + harness.DEADLINE_S
        while (held := self.held()) != wanted:
            self.assertLess(time.monotonic(), due, f"{held}, and not {wanted}")

    def test_bodies_of_all_are_bounded_together(self):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
        halves = [self.http() for _ in range(10)]
        for client in halves:
            client.send(head + b" " * 99999)  # and never the last byte
        self.wait_held(999990)
        late = self.http()
        late.send(head + b" " * 99999)
        response = late.response()
        self.assertEqual((response.status, response.error["code"], response.error["type"]), (503, "overloaded", "server_error"))
        self.assertEqual((response.headers["retry-after"], response.headers["retry-after-ms"]), ("1", "1000"))
        self.assertTrue(late.is_closed)
        for client in halves:
            client.close()
        self.wait_held(0)
        self.assertEqual(self.refused(b" " * 90000).error["code"], "invalid_json")

    def test_whole_answers_count_too(self):
        worker, client = self.coordinator(), self.http(receive_buffer=4096)
        client.post("/v1/chat/completions", CHAT)
        answer = json.dumps({"text": "x" * 8_000_000})
        request, body = worker.take(), msgpack.packb(reply(response=answer))
        parts = [body[at:at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]
        granted = request.window
        for number, part in enumerate(parts[:-1]):
            while (number + 1) * PART_BYTES > granted:
                granted = worker.expect(Kind.WINDOW, id=request.id).window
            worker.chunk(request, number, part, Flag.PART)
        worker.reply(request, parts[-1], number=len(parts) - 1)
        self.wait_held(len(answer))
        self.assertEqual(self.refused(CHAT).status, 503)
        self.assertEqual(len(client.response().body), len(answer))
        self.wait_held(0)

    def test_clients_leave_a_descriptor_for_the_broker(self):
        self.broker.kill()
        crowd = [self.http() for _ in range(2 * self.DESCRIPTORS)]  # some wait to be accepted
        for client in crowd[:50]:
            client.get("/metrics")
            self.assertEqual(client.response().status, 200)
        self.broker = self.start_broker(endpoints=[self.endpoint])
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            crowd[0].get("/healthz")
            if crowd[0].response().status == 200:
                break
            self.assertLess(time.monotonic(), due, "the gateway does not find the broker again")
        self.assertIn("are enough for 64 at each address", self.gateway.log())


class Fleet(gateway_fleet.Gateways):
    def test_health(self):
        health = self.ask("/healthz")
        self.assertEqual((health.status, health.json["status"], health.json["broker"]), (200, "up", "b1"))
        self.assertEqual(self.ask("/healthz/echo").status, 503)
        self.assertEqual(self.ask("/healthz/Echo_Nobody").status, 404)
        agent = self.start_agent("echo")
        self.wait_health("/healthz/echo", 200)
        self.assertEqual(self.ask("/healthz/echo").json["instances"][0]["service"], "echo")
        agent.terminate()
        agent.wait()
        self.wait_health("/healthz/echo", 503)
        self.assertEqual(self.ask("/healthz/Gateway").json["instances"][0]["state"], "ready")

    def wait_health(self, path, status):
        """Asks until it is so; an answer may be 200 ms old."""
        client, response = self.http(), None
        for _ in range(2000):
            client.get(path)
            response = client.response()
            if response.status == status:
                return
            self.asker().ask("pons", "ping", {})
        self.fail(f"{path}: {response}")

    def ready(self, *models):
        """What /readyz says with all services but the local model's, and a model table."""
        worker, client = self.coordinator(service("ModelManagerSuite", "models"), service("RemoteApiAdapter", "status")), self.http()
        client.get("/readyz")
        worker.reply(worker.take(), {"models": models})
        return client.response()

    def test_ready(self):
        response = self.ready({**MODEL, "name": "a", "executor": "RemoteApiAdapter"})
        self.assertEqual((response.status, set(response.json.values())), (200, {True}))

    def test_not_ready(self):
        response = self.ask("/readyz")
        self.assertEqual((response.status, set(response.json.values())), (503, {False}))

    def test_without_a_model_it_is_not_ready(self):
        """One whose executor is not there, and one that is not for chats."""
        response = self.ready({**MODEL, "name": "a", "executor": "TinyLlamaServiceEnhanced"},
                              {**MODEL, "name": "b", "executor": "RemoteApiAdapter", "kind": "embedding"})
        self.assertEqual((response.status, response.json),
                         (503, {"ready": False, "RequestCoordinator": True, "ModelManagerSuite": True, "model": False}))

    def test_without_a_broker(self):
        self.broker.kill()
        self.wait_health_down()
        self.assertEqual(self.ask("/metrics").status, 200)
        response = self.refused(CHAT, ("x-pons-deadline-ms: 50",))
        self.assertEqual((response.status, response.error["code"]), (503, "unavailable"))

    def wait_health_down(self):
        client = self.http()
        for _ in range(20000):
            client.get("/healthz")
            if client.response().status == 503:
                return
        self.fail("the broker is gone and the gateway does not say so")

    def test_metrics(self):
        worker, client = self.coordinator(), self.http()
        self.chat(worker, client, cost_nano_usd=2_000_000)
        self.refused(b"{}")
        response = self.ask("/metrics")
        self.assertEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        lines = response.body.decode().splitlines()
        for line in ('pons_gateway_requests_total{route="chat",status="2xx"} 1', 'pons_gateway_requests_total{route="chat",status="4xx"} 1',
                     'pons_gateway_model_tokens_total{model="other",kind="output"} 5', 'pons_gateway_model_cost_usd_total{model="other"} 0.002000000',
                     'pons_gateway_request_seconds_count{route="chat"} 2', "# TYPE pons_gateway_request_seconds histogram"):
            self.assertIn(line, lines)
        self.assertTrue([line for line in lines if line.startswith("pons_broker_requests")], lines)
        names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
        told = {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
        told |= {f"{name}_{part}" for name in told for part in ("bucket", "sum", "count")}
        self.assertFalse(names - told)
        self.assertEqual(len([line for line in lines if line.startswith("# HELP")]), len({line for line in lines if line.startswith("# HELP")}))

    def test_labels_of_metrics_are_bounded(self):
        for n in range(50):
            self.ask(f"/nowhere/{n}")
        body = self.ask("/metrics").body.decode()
        self.assertIn('pons_gateway_requests_total{route="none",status="4xx"} 50', body)
        self.assertNotIn("/nowhere", body)

    def test_status_on_the_bus(self):
        client = self.http()
        client.get("/healthz")
        client.response()
        status = self.status()
        self.assertEqual((status["connections"], status["running"], status["draining"]), (1, 0, False))
        self.assertEqual(status["listen"], [f"http://127.0.0.1:{self.port}"])
        self.assertGreaterEqual(status["requests_total"], 1)


class Ending(gateway_fleet.Gateways):
    def test_what_runs_is_finished(self):
        worker, client, idle = self.coordinator(), self.http(), self.http()
        idle.get("/healthz")
        idle.response()
        client.post("/v1/chat/completions", CHAT)
        request = worker.take()
        self.gateway.terminate()
        self.assertTrue(idle.is_closed)
        with self.assertRaises(ConnectionRefusedError):
            self.http()
        self.assertTrue(self.gateway.alive)
        worker.reply(request, reply(response='{"id":"last"}'))
        response = client.response()
        self.assertEqual((response.json["id"], response.headers["connection"]), ("last", "close"))
        self.assertEqual(self.gateway.wait(), 0)

    def test_a_request_on_its_way_is_answered(self):
        """By an idle connection, when the end has begun: a client can't know of it before it is told."""
        client = self.http()
        client.get("/healthz")
        client.response()
        self.gateway.terminate()
        self.assertTrue(self.gateway.notify.wait("STOPPING=1", self.gateway.process))
        client.get("/healthz")
        self.assertEqual(client.response().headers["connection"], "close")
        self.assertEqual(self.gateway.wait(), 0)

    def test_the_second_signal_ends_it_at_once(self):
        worker, client = self.coordinator(), self.http()
        client.post("/v1/chat/completions", CHAT)
        worker.take()
        self.gateway.expects = (1,)
        self.gateway.terminate()
        self.assertTrue(self.gateway.notify.wait("STOPPING=1", self.gateway.process))
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(self.gateway.wait(), 1)


if __name__ == "__main__":
    harness.main()
