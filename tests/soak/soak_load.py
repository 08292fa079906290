"""What the soak does to a bus: one coroutine per kind of load, all until stop is set. Each books how its requests end."""

import asyncio
import random
import time

import msgpack
import pons_wire as wire
from pons_wire import Flag, Kind, Status
from soak_peer import SoakPeer

# How requests may end while agents die. Whatever else comes is a fault.
FAIR = {"OK", "NO_SERVICE", "WORKER_LOST", "STREAM_LOST", "DEADLINE", "OVERLOADED", "CANCELLED"}
WINDOW = 64 * 1024
TOPICS = 16


async def until(event, timeout_s):
    """Waits for an event, or for the time to be over."""
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except asyncio.TimeoutError:
        pass


class Load:
    """The loads' common ground: where the bus is, how it ends, when to stop."""

    def __init__(self, endpoint, ledger, seed):
        self.endpoint, self.ledger = endpoint, ledger
        self.random = random.Random(seed)
        self.stop = asyncio.Event()

    async def peer(self, agent, serve=None, services=(), credit=0):
        return await SoakPeer(self.endpoint, agent, self.ledger, serve).open(services, credit)

    async def pause(self, longest_s):
        """Time to think, so that the machine is not only the load generator's."""
        await until(self.stop, self.random.random() * longest_s)

    def judge(self, load, status, *more):
        if status not in FAIR and status not in more:
            self.ledger.fault(f"{load} ended with {status}")

    # --- requests ---

    async def closed_loop(self, name):
        peer = await self.peer(name)
        while not self.stop.is_set():
            text = "x" * self.random.choice((1, 60, 1000, 10000, 150000))
            status, body = await peer.ask("say", "echo", "say", msgpack.packb({"text": text}), 10)
            self.judge("say", status)
            if status == "OK" and msgpack.unpackb(body)["text"] != text:
                self.ledger.fault("the echo says something else")
            await self.pause(0.01)
        peer.close(True)

    async def burst(self, name):
        peer = await self.peer(name)
        body = msgpack.packb({"text": "y" * 64})
        while not self.stop.is_set():
            ends = await asyncio.gather(*[peer.ask("burst", "echo", "say", body, 10) for _ in range(100)])
            for status, _ in ends:
                self.judge("burst", status)
            await self.pause(0.2)
        peer.close(True)

    async def once(self, name):
        """Work that is counted: no count of an instance may come twice."""
        peer = await self.peer(name)
        while not self.stop.is_set():
            status, body = await peer.ask("once", "echo", "work", msgpack.packb({"wait_ms": self.random.randrange(20)}), 10)
            self.judge("once", status)
            if status == "OK":
                worked = msgpack.unpackb(body)
                mark = worked["instance"], worked["done"]
                if mark in self.ledger.done:
                    self.ledger.fault(f"two replies for one work: {mark}")
                self.ledger.done.add(mark)
            await self.pause(0.05)
        peer.close(True)

    async def too_late(self, name):
        """Deadlines that are missed on purpose."""
        peer = await self.peer(name)
        body = msgpack.packb({"wait_ms": 400})
        while not self.stop.is_set():
            status, _ = await peer.ask("late", "echo", "work", body, 0.05)
            self.judge("late", status)
            await self.pause(0.3)
        peer.close(True)

    async def failing(self, name):
        peer = await self.peer(name)
        while not self.stop.is_set():
            status, _ = await peer.ask("fail", "echo", "fail", msgpack.packb({"status": int(Status.DENIED)}), 10)
            self.judge("fail", status, "DENIED")
            for target, method, expected in (("nobody", "there", "NO_SERVICE"), ("echo", "sing", "NO_METHOD")):
                status, _ = await peer.ask("refused", target, method, b"", 10)
                self.judge("refused", status, expected)
            await self.pause(0.2)
        peer.close(True)

    async def streams(self, name):
        peer = await self.peer(name)
        while not self.stop.is_set():
            await self.stream(peer, pieces=self.random.randrange(1, 400), cancel_after=self.random.choice((None, None, 1, 50)))
            await self.pause(0.05)
        peer.close(True)

    async def stream(self, peer, pieces, cancel_after):
        """One stream, read to its end or taken back; the window follows the reader."""
        got = {"bytes": 0, "granted": WINDOW}
        enough = asyncio.Event()

        def on_chunk(request, number, data):
            got["bytes"] += len(data)
            if cancel_after and number >= cancel_after:
                enough.set()
            elif got["granted"] - got["bytes"] < WINDOW // 2:
                got["granted"] = got["bytes"] + WINDOW
                peer.send(Kind.WINDOW, id=request, number=number + 1, window=got["granted"])

        body, start = msgpack.packb({"text": "z" * 1000, "pieces": pieces}), time.monotonic()
        request, asked = peer.start("echo", "stream", body, 15, Flag.STREAM, on_chunk, WINDOW)
        watch = asyncio.create_task(enough.wait())
        await asyncio.wait({watch, asked.future}, return_when=asyncio.FIRST_COMPLETED, timeout=15)
        watch.cancel()
        if enough.is_set() and not asked.future.done():
            peer.cancel(request)
            self.ledger.end("stream", "TAKEN BACK")
            return
        status, answer = await peer.finish("stream", request, asked, 15, start)
        self.judge("stream", status)
        if status == "OK" and not cancel_after and msgpack.unpackb(answer)["pieces"] != pieces:
            self.ledger.fault("a stream is shorter than it was asked for")

    async def cancels(self, name):
        peer = await self.peer(name)
        while not self.stop.is_set():
            requests = [peer.start("echo", "work", msgpack.packb({"wait_ms": 200}), 10)[0] for _ in range(5)]
            await self.pause(0.1)
            for request in requests:
                peer.cancel(request)
                self.ledger.end("cancel", "TAKEN BACK")
            await self.pause(0.3)
        peer.close(True)

    async def large(self, name):
        """Bodies of up to 1 MiB in parts, to an instance that tells how long they were, also by way of a FORWARD."""
        peer = await self.peer(name)
        while not self.stop.is_set():
            size = self.random.choice((1000, 300000, 600000, 1 << 20))
            for target in ("Size", "Relay"):
                status, body = await peer.ask("large", target, "of", bytes(size), 15)
                self.judge("large", status)
                if status == "OK" and msgpack.unpackb(body)["size"] != size:
                    self.ledger.fault(f"{size} bytes to {target} arrived as {msgpack.unpackb(body)}")
            await self.pause(0.2)
        peer.close(True)

    async def comers(self, name):
        """Clients that come, ask, and go; half of them without a word, with requests unanswered."""
        while not self.stop.is_set():
            peer = await self.peer(name)
            status, _ = await peer.ask("comer", "echo", "say", msgpack.packb({"text": "hi"}), 10)
            self.judge("comer", status)
            clean = self.random.random() < 0.5
            for _ in range(0 if clean else 3):
                peer.start("echo", "work", msgpack.packb({"wait_ms": 100}), 10)
            await self.pause(0.05)
            peer.close(clean)
            self.ledger.end("leave", "CLEAN" if clean else "BROKEN OFF")

    # --- instances in Python ---

    @staticmethod
    def _answer(peer, fields, body):
        if fields["service"] == "Relay":
            targets = msgpack.packb({"targets": [{"service": "Size", "method": "of"}]})
            peer.send(Kind.FORWARD, targets, id=fields["id"])
        else:
            peer.send(Kind.REPLY, msgpack.packb({"size": len(body)}), id=fields["id"])

    async def instances(self, name):
        methods = [{"method": "of", "flags": 1, "hash": 0}]
        services = [{"service": service, "methods": methods} for service in ("Size", "Relay")]
        peer = await self.peer(name, self._answer, services, credit=8)
        await self.stop.wait()
        return peer

    # --- events ---

    async def publisher(self, name):
        peer = await self.peer(name)
        counts = [0] * TOPICS
        while not self.stop.is_set():
            for _ in range(20):
                topic = self.random.randrange(TOPICS)
                counts[topic] += 1
                body = bytes(self.random.choice((10, 100, 5000)))
                peer.send(Kind.PUBLISH, body, service=f"soak.{topic}.tick", id=wire.request_id(peer.client, counts[topic]),
                          flags=Flag.RETAIN if topic % 2 else 0)
            await self.pause(0.05)
        peer.close(True)

    async def subscriber(self, name, pattern):
        """Sequences rise by one, unless the broker says that events were lost."""
        peer = await self.peer(name)
        last, lost = {}, 0

        def on_event(fields, _):
            nonlocal lost
            self.ledger.end("event", "RECEIVED")
            key, sequence = (fields["service"], fields["id"][:8]), int.from_bytes(fields["id"][8:], "big")
            if fields.get("flags", 0) & Flag.RETAIN:
                last[key] = max(sequence, last.get(key, 0))
                return
            if fields.get("number", 0) == lost and key in last and sequence not in (last[key], last[key] + 1):
                self.ledger.fault(f"{name}: {fields['service']} jumps from {last[key]} to {sequence}")
            lost = fields.get("number", 0)
            last[key] = sequence

        peer.on_event = on_event
        peer.send(Kind.SUBSCRIBE, service=pattern)
        await self.stop.wait()
        peer.close(True)

    def all(self):
        """Every load as a coroutine; the instances are given apart, since they end last."""
        return [*[self.closed_loop(f"loop{i}") for i in range(4)], self.burst("burst"), self.once("once1"), self.once("once2"),
                self.too_late("late"), self.failing("fail"), self.streams("stream1"), self.streams("stream2"),
                self.cancels("cancel"), self.large("large"), self.comers("comer1"), self.comers("comer2"),
                self.publisher("publisher"), self.subscriber("all", "soak.>"), self.subscriber("some", "soak.*.tick"),
                self.subscriber("one", "soak.3.tick")]
