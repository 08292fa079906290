"""A core between two brokers that the test plays: what it says is read, what it hears is made, and the clock is the test's."""

import msgpack
import place  # noqa: F401

from pons import wire
from pons.core import Core, Options
from pons.instance import Instance, Service
from pons.request import Ask
from pons.wire import Kind, MethodFlag

WELCOME = {"version": 1, "broker": "b", "site": "s", "incarnation": 7, "ping_interval_us": 50000, "ping_timeout_us": 150000,
           "idle_interval_us": 5000000, "body_max_bytes": 258048, "outstanding_max": 100, "features": 1}


class World:
    def __init__(self, brokers=2, instance=False, concurrency=2, singleton="", **options):
        self.now, self.slept = 1_000_000, 0  # and for how long the machine was suspended
        self.states = []
        self.core = Core(Options(";".join("ab"[:brokers]), "me", 5, seed=1, on_state=lambda *state: self.states.append(state), **options))
        self.begin()
        self.begun = []
        if instance:
            methods = {"do": (MethodFlag.ONCE, 0), "again": (MethodFlag.IDEMPOTENT, 0), "flow": (MethodFlag.ONCE | MethodFlag.STREAMING, 0)}
            self.instance = Instance(self.core, [Service("svc", methods)], concurrency, self.begun.append, None, singleton)
        self.sockets = {}  # broker: what was said, as (kind, fields, body)
        self.connects = []
        self.core.start()
        self.turn()

    # --- the shell ---

    def begin(self):
        self.core.begin(self.now, self.now + self.slept)

    def turn(self):
        while actions := self.core.flush():
            for action in actions:
                if action[0] == "connect":
                    self.sockets[action[1]] = []
                    self.connects.append(action[1:])
                elif action[0] == "close":
                    del self.sockets[action[1]]
                else:
                    messages, dropped = wire.read(action[2])
                    assert not dropped
                    self.sockets[action[1]] += [(message.kind, message.fields, message.body) for message in messages]

    def wait(self, us):
        """The clock goes on, and each timer runs when it is due."""
        until = self.now + us
        while (at := self.core.next_wake()) is not None and at <= until:
            self.now = max(self.now, at)
            self.begin()
            self.core.wake(self.now)
            self.turn()
        self.now = until
        self.begin()

    # --- the brokers ---

    def hear(self, broker, kind, body=b"", **fields):
        self.begin()
        self.core.received(broker, [wire.encode(kind, **fields), body] if body else [wire.encode(kind, **fields)])
        self.turn()

    def open(self, broker=0, session=11, **welcome):
        self.begin()
        self.core.connected(broker)
        self.turn()
        hello = self.said(broker, Kind.HELLO)
        self.hear(broker, Kind.WELCOME, msgpack.packb({**WELCOME, "session": session, **welcome}), session=session)
        return hello

    def lose(self, broker=0):
        self.begin()
        self.core.disconnected(broker, "gone")
        self.turn()

    def said(self, broker, *kinds):
        """The next message of these kinds that this broker was told; None when there is none."""
        for at, message in enumerate(self.sockets.get(broker, [])):
            if message[0] in kinds:
                return self.sockets[broker].pop(at)
        return None

    def request(self, broker=0, sequence=1, method="do", client=99, body=b"\xc0", **fields):
        """A REQUEST for the instance; returns its id."""
        id = wire.request_id(client, sequence)
        self.hear(broker, Kind.REQUEST, body, **{"id": id, "service": "svc", "method": method, "deadline": 10_000_000, **fields})
        return id

    # --- the caller ---

    def ask(self, deadline_us=5_000_000, body=b"x", **more):
        ends, chunks = [], []
        ask = Ask("svc", "do", body, deadline_us, ends.append, lambda message: chunks.append(message.body), **more)
        self.begin()
        pending = self.core.ask(ask)
        assert not ends, "nobody is told inside ask"
        self.turn()
        return pending, ends, chunks
