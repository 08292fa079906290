#!/usr/bin/python3
"""The gateway behind nginx, with the very lines of docs/examples/nginx.conf: TLS, streams piece by piece, hang-ups."""

import http.client
import json
import os
import re
import ssl
import unittest

import harness
from gateway_fleet import CHAT, DONE, STREAM, Gateways, event, reply
from harness import Kind
from tls import NGINX, Authority, start_nginx

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/examples/nginx.conf")


@unittest.skipUnless(NGINX, "there is no nginx: install the packages of group test")
class Behind(Gateways):
    CONFIG = '  hosts: ["ai.example"]\n'

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder)
        self.https_port = harness.free_port()
        certificate, key = self.authority.sign("DNS:ai.example")
        with open(EXAMPLE, encoding="utf-8") as file:
            server = file.read()
        for there, here in (("listen 443", f"listen 127.0.0.1:{self.https_port}"), ("127.0.0.1:7180", f"127.0.0.1:{self.port}"),
                            (r"\S+example\.pem", certificate), (r"\S+example\.key", key)):
            server, times = re.subn(there, here, server)
            self.assertEqual(times, 1, there)
        start_nginx(self, server, [self.https_port])
        self.worker_ = self.coordinator()

    def connect(self):
        """To ai.example, wherever that is: nginx is here."""
        context = ssl.create_default_context(cafile=self.authority.file)
        made = http.client.HTTPSConnection("ai.example", self.https_port, timeout=harness.DEADLINE_S, context=context)
        made._create_connection = lambda _, *more: harness.socket.create_connection(("127.0.0.1", self.https_port), *more)
        self.addCleanup(made.close)
        return made

    def post(self, body, **headers):
        connection = self.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        return connection

    def begin(self):
        connection = self.post(STREAM)
        request = self.worker_.take()
        self.piece(self.worker_, request, 0, event("a"))
        return connection, connection.getresponse(), request

    def test_plain(self):
        connection = self.post(CHAT, Origin=f"https://ai.example:{self.https_port}")  # a page of that very name
        request = self.worker_.take()
        self.worker_.reply(request, reply(response='{"id": "c1"}'))
        response = connection.getresponse()
        self.assertEqual((response.status, json.load(response)), (200, {"id": "c1"}))
        self.assertTrue(response.headers["x-request-id"])

    def test_a_page_of_another_name(self):
        response = self.post(CHAT, Origin="https://evil.example").getresponse()
        self.assertEqual((response.status, json.load(response)["error"]["code"]), (403, "origin_not_allowed"))

    def test_a_stream_comes_piece_by_piece(self):
        """The next piece is made when the last one has come through: nginx, which buffers as it does by default, may keep none."""
        _, response, request = self.begin()
        self.assertEqual(response.status, 200)
        for number in range(1, 4):
            self.assertEqual(response.readline() + response.readline(), event("a"))
            self.piece(self.worker_, request, number, event("a"))
        self.worker_.reply(request, reply())
        self.assertEqual(response.read(), event("a") + DONE)

    def test_a_hang_up_goes_through(self):
        connection, response, request = self.begin()
        response.readline()
        response.close()
        connection.close()
        self.worker_.expect(Kind.CANCEL, id=request.id)

    def test_a_stream_that_breaks_is_no_whole_one(self):
        _, response, request = self.begin()
        self.worker_.fail(request, harness.Status.FAILED, "it broke")
        with self.assertRaises(http.client.IncompleteRead) as caught:
            response.read()
        self.assertNotIn(DONE, caught.exception.partial)


if __name__ == "__main__":
    harness.main()
