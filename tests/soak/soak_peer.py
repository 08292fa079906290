"""A peer of the bus for asyncio: many requests, streams and subscriptions at once, each watched for how it ends."""

import asyncio
import collections
import itertools
import os
import secrets
import time

import msgpack
import pons_wire as wire
import zmq
import zmq.asyncio
from pons_wire import Flag, Kind, Status

MARGIN_S = 10.0  # how long after its deadline a request may end on a machine that does other things too
OPEN_S = 30.0


class Ledger:
    """How everything ended, and what must not have happened."""

    def __init__(self):
        self.ends = collections.Counter()
        self.faults = []
        self.latest_s = 0.0  # the furthest that a request ended behind its deadline
        self.done = set()

    def end(self, load, status):
        self.ends[load, status] += 1

    def fault(self, text):
        if len(self.faults) < 50:
            self.faults.append(text)

    def ratio(self, load, *statuses):
        """The share of a load's requests that ended like this."""
        every = sum(n for (name, _), n in self.ends.items() if name == load)
        return sum(self.ends[load, status] for status in statuses) / every if every else 0.0


class Asked:
    """A request that has not ended."""

    def __init__(self, on_chunk):
        self.future = asyncio.get_running_loop().create_future()
        self.on_chunk = on_chunk
        self.next_chunk = 0


class SoakPeer:
    """One connection. serve(fields, body) is called for each REQUEST that is whole, when it offers services."""

    def __init__(self, endpoint, agent, ledger, serve=None):
        self.agent, self.ledger, self.serve = agent, ledger, serve
        self.client, self.session = secrets.randbits(62) + 1, 0
        self.sequence = itertools.count(1)
        self.asked, self.cancelled = {}, set()
        self.parts = {}
        self.on_event = None
        self.welcome = None
        self.tasks = set()
        self.beats = None
        self.socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 100000)
        self.socket.connect(endpoint)
        self.reader = asyncio.create_task(self._read())

    async def open(self, services=(), credit=0):
        self.welcome = asyncio.get_running_loop().create_future()
        self.send(Kind.HELLO, msgpack.packb({
            "version": 1, "min_version": 1, "client": self.client, "agent": self.agent, "incarnation": time.time_ns() // 1000,
            "pid": os.getpid(), "services": list(services)}))
        self.session = await asyncio.wait_for(self.welcome, OPEN_S)
        if services:
            self.send(Kind.CREDIT, session=self.session, credit=credit)
        return self

    def send(self, kind, body=b"", **fields):
        header = wire.encode(kind, **fields)
        self.socket.send_multipart([header, body] if body else [header])  # at once, or later in order

    def close(self, clean):
        """Leaves; without BYE whatever is unanswered is the broker's to clean up."""
        if clean:
            self.send(Kind.BYE, flags=Flag.CLEAN)
        self.reader.cancel()
        if self.beats:
            self.beats.cancel()
        for asked in self.asked.values():
            asked.future.cancel()
        self.socket.close(200 if clean else 0)

    # --- what comes ---

    async def _read(self):
        while True:
            header, *body = await self.socket.recv_multipart()
            self._take(header, body[0] if body else b"")

    async def _beat(self, interval_s):
        """Who has nothing to say says so: the broker gives up who is silent for three intervals."""
        for number in itertools.count(1):
            await asyncio.wait([self.reader], timeout=interval_s)
            self.send(Kind.PING, number=number)

    def _take(self, header, body):
        fields = wire.decode(header)
        kind = fields["kind"]
        if kind == Kind.PACK:
            for inner in wire.unpack(body):
                self._take(*inner)
        elif kind == Kind.PING:
            self.send(Kind.PONG, number=fields.get("number", 0))
        elif kind == Kind.WELCOME:
            self.beats = asyncio.create_task(self._beat(msgpack.unpackb(body)["idle_interval_us"] / 1e6))
            self.welcome.set_result(fields["session"])
        elif kind == Kind.EVENT and self.on_event:
            self.on_event(fields, body)
        elif kind in (Kind.REPLY, Kind.ERROR):
            self._end(fields, body)
        elif kind == Kind.REQUEST:
            self._part(fields["id"], fields, body)
        elif kind == Kind.CHUNK:
            self._chunk(fields, body)

    def _end(self, fields, body):
        asked = self.asked.pop(fields.get("id"), None)
        if asked and not asked.future.done():
            asked.future.set_result((Status(fields.get("status", 0)).name, body))
        elif fields.get("id") in self.cancelled:
            self.cancelled.discard(fields["id"])
        elif not asked:
            self.ledger.fault(f"{self.agent}: ended twice, or never asked: {fields}")

    def _chunk(self, fields, body):
        request, number = fields["id"], fields.get("number", 0)
        if request in self.parts:
            self._part(request, fields, body)
            return
        asked = self.asked.get(request)
        if asked and asked.on_chunk:
            if number != asked.next_chunk:
                self.ledger.fault(f"{self.agent}: chunk {number} instead of {asked.next_chunk}")
            asked.next_chunk = number + 1
            asked.on_chunk(request, number, body)
        elif request not in self.cancelled:
            self.ledger.fault(f"{self.agent}: a chunk for nobody: {fields}")

    def _part(self, request, fields, body):
        first, parts = self.parts.setdefault(request, (fields, []))
        parts.append(body)
        if not fields.get("flags", 0) & Flag.MORE:
            del self.parts[request]
            self.serve(self, first, b"".join(parts))

    # --- what is asked ---

    def start(self, target, method, body, deadline_s, flags=0, on_chunk=None, window=0):
        """Sends a request, in parts when it is large. Returns its id and what it will end as."""
        request = wire.request_id(self.client, next(self.sequence))
        asked = self.asked[request] = Asked(on_chunk)
        parts = [body[at:at + wire.BODY_BYTES] for at in range(0, len(body), wire.BODY_BYTES)] or [b""]
        more = Flag.MORE if len(parts) > 1 else 0
        self.send(Kind.REQUEST, parts[0], id=request, service=target, method=method, deadline=int(deadline_s * 1e6),
                  flags=flags | more, window=window)
        for number, part in enumerate(parts[1:], 1):
            self.send(Kind.CHUNK, part, id=request, number=number, flags=Flag.MORE if number < len(parts) - 1 else 0)
        return request, asked

    async def finish(self, load, request, asked, deadline_s, start):
        """Waits for the end of a request and books it. Returns status and body."""
        try:
            status, body = await asyncio.wait_for(asked.future, deadline_s + MARGIN_S)
        except asyncio.TimeoutError:
            self.asked.pop(request, None)
            self.ledger.fault(f"{load}: {wire.id_text(request)} hangs {MARGIN_S} s after its deadline of {deadline_s} s")
            status, body = "HUNG", b""
        self.ledger.latest_s = max(self.ledger.latest_s, time.monotonic() - start - deadline_s)
        self.ledger.end(load, status)
        return status, body

    async def ask(self, load, target, method, body, deadline_s, **options):
        start = time.monotonic()
        request, asked = self.start(target, method, body, deadline_s, **options)
        return await self.finish(load, request, asked, deadline_s, start)

    def cancel(self, request):
        """Takes a request back; an answer may be on its way."""
        if self.asked.pop(request, None):
            self.cancelled.add(request)
            self.send(Kind.CANCEL, id=request)
