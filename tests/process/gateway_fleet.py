"""A broker, a gateway, and a pyzmq peer that offers RequestCoordinator and makes every fault on command."""

import json
import os
import secrets

import harness
import http_raw
import msgpack
from harness import method, service

CHAT = {"messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True}
COORDINATOR = service("RequestCoordinator", method("chat", "idempotent", "streaming"), method("embed", "idempotent"),
                      method("explain", "idempotent"))
DONE = b"data: [DONE]\n\n"


def event(text):
    return f'data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}\n\n'.encode()


def reply(**more):
    """ChatReply, or EmbedReply with response."""
    return {"model": "m-one", "executor": "worker:1", "usage": {"input_tokens": 3, "output_tokens": 5, "estimated": False},
            "took_us": 10, "failures": [], **more}


class Gateways(harness.Fleet):
    """What all tests of the gateway have."""

    CONFIG = ""
    START = True
    CREDIT = 400

    def setUp(self):
        super().setUp()
        self.clients = []
        self.addCleanup(lambda: [one.close() for one in self.clients])
        self.port = harness.free_port()
        if self.START:
            self.gateway = self.start_gateway()

    def start_gateway(self, config=None, port=None, **options):
        path = os.path.join(self.folder, f"gateway-{secrets.token_hex(4)}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config or f"gateway:\n  listen: [\"tcp://127.0.0.1:{port or self.port}\"]\n{self.CONFIG}")
        environment = {"PONS_CONFIG": path, **options.pop("environment", {})}
        return self.start("pons-gateway", "--endpoint", self.endpoint, environment=environment, **options)

    def coordinator(self, *services, **options):
        """An instance of RequestCoordinator that the broker has seen ready."""
        worker = self.worker(COORDINATOR, *services, agent="request_coordinator", credit=self.CREDIT, **options)
        self.wait_service(self.asker(), "RequestCoordinator")
        return worker

    def asker(self):
        if not hasattr(self, "asker_"):
            self.asker_ = self.client()
        return self.asker_

    def http(self, **options):
        made = http_raw.Client(self.port, **options)
        self.clients.append(made)
        return made

    def ask(self, path, **options):
        """A GET on a connection of its own."""
        client = self.http()
        client.get(path, **options)
        response = client.response(without_body=options.get("method") == "HEAD")
        client.close()
        return response

    def refused(self, body, headers=(), path="/v1/chat/completions"):
        """The answer to a POST that never gets to the bus."""
        client = self.http()
        client.post(path, body, headers)
        return client.response()

    def piece(self, worker, request, number, events):
        worker.chunk(request, number, msgpack.packb({"events": events.decode()}))

    def chat(self, worker, client, body=None, response=None, headers=(), **more):
        """One plain chat from end to end; returns the request as the worker saw it, and the response."""
        client.post("/v1/chat/completions", body or CHAT, headers)
        request = worker.take()
        worker.reply(request, reply(response=json.dumps(response or {"id": "c1"}), **more))
        return request, client.response()

    def status(self):
        return self.asker().ask("Gateway", "status", {})

    def resident_kib(self):
        with open(f"/proc/{self.gateway.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
