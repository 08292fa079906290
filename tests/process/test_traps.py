#!/usr/bin/python3
"""Traps of ZeroMQ that only peers with libzmq can set: docs/traps.md has all of them, and what else tests them."""

import os
import subprocess
import sys

import harness
import msgpack
import pons_wire as wire
import zmq
from harness import Kind

# The trap itself aborts the process that is in it, so it is set in a process of its own.
HEARTBEATS = """
import sys, time
import msgpack, zmq
sys.path.insert(0, sys.argv[2])
import pons_wire as wire
from pons_wire import Kind
bus = zmq.Context().socket(zmq.DEALER)
bus.heartbeat_ivl, bus.heartbeat_timeout, bus.heartbeat_ttl, bus.rcvhwm, bus.linger = 20, 5000, 6553500, 0, 1000
bus.rcvtimeo = 10000
bus.connect(sys.argv[1])
say = lambda kind, body=b"", **fields: bus.send_multipart([wire.encode(kind, **fields)] + ([body] if body else []))
say(Kind.HELLO, msgpack.packb({"version": 1, "client": 77, "agent": "beats", "incarnation": 1}))
heard = []
def hear(kind):
    while True:
        while heard:
            fields = wire.decode(heard.pop(0))
            if fields["kind"] == Kind.PING:
                say(Kind.PONG, number=fields.get("number", 0))
            if fields["kind"] == kind:
                return
        frames = bus.recv_multipart() + [b""]
        packed = wire.decode(frames[0])["kind"] == Kind.PACK
        heard.extend([header for header, _ in wire.unpack(frames[1])] if packed else [frames[0]])
hear(Kind.WELCOME)
say(Kind.SUBSCRIBE, service="t.>")
say(Kind.REQUEST, msgpack.packb({}), id=wire.request_id(77, 1), service="pons", method="ping", deadline=5000000)
hear(Kind.REPLY)
print("subscribed", flush=True)
sys.stdin.readline()  # it does not read meanwhile
for number in range(200):
    hear(Kind.EVENT)
say(Kind.REQUEST, msgpack.packb({}), id=wire.request_id(77, 2), service="pons", method="ping", deadline=5000000)
hear(Kind.REPLY)
print("answered", flush=True)
"""


def kinds(frames):
    """The messages of one of ZeroMQ's, by kind."""
    fields = wire.decode(frames[0])
    inner = [wire.decode(header) for header, _ in wire.unpack(frames[1])] if fields["kind"] == Kind.PACK else [fields]
    return {one["kind"]: one for one in inner}


class Traps(harness.Fleet):
    def test_a_peer_with_zmtp_heartbeats(self):
        """Also one that does not read for longer than its own patience, and whose TTL does not fit into what the wire has for it."""
        peers = os.path.dirname(wire.__file__)
        with subprocess.Popen([sys.executable, "-c", HEARTBEATS, self.endpoint, peers], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as beats:
            try:
                self.assertEqual(beats.stdout.readline(), "subscribed\n")
                publisher = self.client("publisher")
                for number in range(200):
                    publisher.publish("t.x", "y" * 1000, sequence=number + 1)
                publisher.flush()
                for _ in range(20):  # while it beats
                    publisher.ask("pons", "ping", {})
                beats.stdin.write("read\n")
                beats.stdin.flush()
                self.assertEqual(beats.stdout.readline(), "answered\n")
                self.assertEqual(beats.wait(harness.DEADLINE_S), 0)
            finally:
                beats.kill()

    def test_two_peers_with_one_routing_id(self):
        context = zmq.Context()
        sockets = []
        for number in (1, 2):
            bus = context.socket(zmq.DEALER)
            bus.routing_id, bus.linger, bus.rcvtimeo = b"the-same", 0, 10000
            bus.connect(self.endpoint)
            bus.send_multipart([wire.encode(Kind.HELLO), msgpack.packb({"version": 1, "client": number, "agent": f"p{number}", "incarnation": 1})])
            sockets.append(bus)
        for number, bus in enumerate(sockets, 1):
            self.assertIn(Kind.WELCOME, kinds(bus.recv_multipart()))
            bus.send_multipart([wire.encode(Kind.REQUEST, id=wire.request_id(number, 1), service="pons", method="ping", deadline=5000000),
                                msgpack.packb({})])
        for number, bus in enumerate(sockets, 1):
            while Kind.REPLY not in (answers := kinds(bus.recv_multipart())):
                pass  # its patience is the socket's
            self.assertEqual(answers[Kind.REPLY]["id"], wire.request_id(number, 1))
            bus.close()
        context.term()

    def test_a_second_broker_at_the_same_path(self):
        client = self.client("client")
        second = self.start("pons-broker", "--name", "thief", "--listen", self.endpoint, ready=False)
        second.expects = (1, 2)
        self.assertIn(second.wait(), (1, 2))
        self.assertIn(self.endpoint, second.log())
        self.assertEqual(client.ask("pons", "ping", {})["broker"], "b1")
        self.assertEqual(self.client("later").ask("pons", "ping", {})["broker"], "b1")  # the path still leads to the first
        self.broker.kill()
        third = self.start_broker(name="heir")
        self.assertTrue(third.alive)  # a stale path is taken


if __name__ == "__main__":
    harness.main()
