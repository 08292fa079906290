"""An instance, pure: what brokers hand to this process, how much of it they may, and what it tells them of requests that come
again (docs/protocol.md, sections 6 to 9 and 17).

Each broker is granted the whole credit, for the broker that nobody prefers has nothing to give most of the time; what comes
beyond that is returned BUSY. From the first BUSY on each is granted half, until one of them has had nothing for a second."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

from . import wire
from .call import Call
from .core import Core
from .errors import Status
from .flag import Flag as WatchedFlag
from .flag import FlagState
from .lease import Lease
from .memory import Found, Memory, Reply
from .session import Session
from .timers import Timer
from .wire import LIMITS, Flag, Kind, Message

CONTENDED_US = 1_000_000  # of one broker alone until it has the whole credit again
ORPHAN_US = 2_000_000  # a stream without a broker until it is stopped: as long as its client may need to ask again
ECHO_US = 2_000_000  # for the echo of DRAIN
PREFETCH_ONE_BROKER = 256  # what may be on its way when the credit becomes smaller


@dataclass
class Service:
    """What is offered under one name."""

    name: str
    methods: dict[str, tuple[int, int]]  # flags and hash by name
    version: str = ""
    weight: int | None = None
    tier: str = ""
    role: str = ""

    def hello(self) -> dict[str, Any]:
        row: dict[str, Any] = {"service": self.name, "methods": [{"method": name, "flags": int(flags), "hash": contract}
                                                                 for name, (flags, contract) in self.methods.items()]}
        row |= {key: value for key, value in (("version", self.version), ("tier", self.tier), ("role", self.role)) if value}
        return row if self.weight is None else {**row, "weight": self.weight}


@dataclass
class At:
    """This instance at one broker."""

    is_open: bool = False
    era: int = 0  # counts its sessions
    held: int = 0  # unanswered calls of it
    refused: bool = False  # BUSY was said: credit is 0 there until the next CREDIT
    drained: bool = False  # the echo of DRAIN is here, or will not come


class Phase(enum.IntEnum):
    SERVING, DRAINING, DRAINED, LEAVING = range(4)


class Instance:
    features = wire.FEATURE_PROBE | wire.FEATURE_CONFIRM

    def __init__(self, core: Core, services: list[Service], concurrency: int, begin: Callable[[Call], None],
                 on_ready: Callable[[], None] | None = None, singleton: str = "", may_double: bool = False) -> None:
        """begin(call) executes it; it may answer at once. on_ready: a broker may give us work. singleton: the lease that it serves
        under."""
        self.core, self._services, self.concurrency, self._begin = core, {one.name: one for one in services}, concurrency, begin
        self.on_ready = on_ready
        self.memory = Memory(core.now)
        self.calls: dict[bytes, list[Call]] = {}
        self.held = self.running = self.reply_bytes = 0
        self._executions = core.client
        self.queue: deque[Call] = deque()
        self.chunky: set[Call] = set()
        self.phase = Phase.SERVING
        self.switched_off = False  # by the flag agent.NAME
        self._at = [At() for _ in core.sessions]
        self._contended, self._contended_at = False, 0
        self._orphans = Timer(lambda now: self._stop_orphans())
        self._echo = Timer(lambda now: self._on_no_echo())
        self._on_left: Callable[[], None] = lambda: None
        core.instance = self
        self.lease = Lease(core, singleton, self._grant_all, self._on_lease_lost, may_double) if singleton else None
        self._flag = WatchedFlag(core, f"agent.{core.options.agent}", self._on_flag)

    def services(self) -> list[dict[str, Any]]:
        return [one.hello() for one in self._services.values()]

    def at(self, session: Session) -> At:
        return self._at[session.index]

    @property
    def keeps(self) -> bool:
        """Whether pieces may be wanted again: beside a second broker."""
        return len(self._at) > 1

    @property
    def has_broker(self) -> bool:
        return any(at.is_open for at in self._at)

    # --- its brokers ---

    def _is_orphan(self, call: Call) -> bool:
        at = self.at(call.session)
        return not at.is_open or at.era != call.era

    def move(self, call: Call, session: Session) -> None:
        self.at(call.session).held -= 1
        self.at(session).held += 1
        call.session, call.era = session, self.at(session).era

    def send(self, call: Call, kind: Kind, body: bytes = b"", **fields: Any) -> None:
        """To the broker of a call; to the other when that is gone."""
        if call.mute:
            return
        if self._is_orphan(call):
            other = next((session for session in self.core.sessions if session is not call.session and self.at(session).is_open), None)
            if other:
                self.move(call, other)
        if self.at(call.session).is_open:
            call.session.send(kind, body, **fields)

    def on_open(self, session: Session) -> None:
        at = self.at(session)
        at.is_open, at.refused = True, False
        at.era += 1
        self._grant(session)
        if self.on_ready:
            self.on_ready()

    def on_lost(self, session: Session, why: str) -> None:
        self.at(session).is_open = False
        for call in self._all():
            if call.session is session and call.assembling:  # its body will not come: it was not begun
                call.mute = True
                call.stop(Status.CANCELLED)
        self._end_contention()
        if self.keeps:
            self.core.timers.set(self._orphans, self.core.now + ORPHAN_US)
        else:
            self._stop_orphans()
        self._drained(session)

    def _stop_orphans(self) -> None:
        for call in self._all():
            if self._is_orphan(call) and call.chunks:
                call.stop(Status.CANCELLED)

    # --- credit ---

    def _grant(self, session: Session) -> None:
        at = self.at(session)
        if not at.is_open or self.phase != Phase.SERVING:
            return
        if self.is_off:
            session.send(Kind.DRAIN, flags=Flag.CLEAN)
            return
        credit = max(1, (self.concurrency + 1 - session.index) // 2) if self._contended else self.concurrency
        session.send(Kind.CREDIT, session=session.id, credit=min(credit, LIMITS["CREDIT"]))
        at.refused = False

    def _grant_all(self) -> None:
        for session in self.core.sessions:
            self._grant(session)

    @property
    def _is_second(self) -> bool:
        """A singleton that does not hold its lease, by the clock."""
        return self.lease is not None and self.lease.token(self.core.boot) is None

    @property
    def is_off(self) -> bool:
        """Switched off by its flag, or a singleton that does not hold its lease."""
        return self.switched_off or self._is_second

    def _is_full(self) -> bool:
        return self.held >= self.concurrency + (0 if self.keeps else PREFETCH_ONE_BROKER)

    def _refuse_more(self, session: Session) -> None:
        self.at(session).refused = True
        other = next((one for one in self.core.sessions if one is not session and self.at(one).is_open and self.at(one).held), None)
        if other is None:
            return
        self._contended_at = self.core.now
        if not self._contended:
            self._contended = True
            self._grant(other)

    def _end_contention(self) -> None:
        if self._contended:
            self._contended = False
            self._grant_all()

    def _release(self, call: Call) -> None:
        self.at(call.session).held -= 1
        if self._contended and any(at.held == 0 for at in self._at) and self.core.now >= self._contended_at + CONTENDED_US:
            self._end_contention()
        if self.held < self.concurrency:
            for session in self.core.sessions:
                if self.at(session).refused:
                    self._grant(session)

    # --- calls ---

    def next_execution(self) -> int:
        """A number that no other execution has, in whatever process."""
        self._executions = (self._executions + 1) % 2**64
        return self._executions

    def _all(self) -> list[Call]:
        return [call for calls in self.calls.values() for call in calls]

    def _find(self, id: bytes, hop: int | None = None) -> Call | None:
        """The call of this id and hop; without a hop the last one that began."""
        return next((call for call in reversed(self.calls.get(id, [])) if hop is None or call.hop == hop), None)

    def _highest(self, id: bytes) -> int:
        return max((call.attempt for call in self.calls.get(id, ())), default=0)

    def _list(self, call: Call) -> None:
        self.calls.setdefault(call.id, []).append(call)
        self.held += 1
        self.at(call.session).held += 1
        self.core.timers.set(call.timer, call.due)

    def unlist(self, call: Call) -> None:
        """It is answered."""
        same = self.calls.get(call.id, [])
        self.core.timers.stop(call.timer)
        self.chunky.discard(call)
        if call not in same:
            return
        same.remove(call)
        if not same:
            del self.calls[call.id]
        self.held -= 1
        self._release(call)
        self._check_drained()

    def unqueue(self, call: Call) -> bool:
        """Takes a call back that was not begun."""
        if call not in self.queue:
            return False
        self.queue.remove(call)
        return True

    def done(self) -> None:
        """What executed a call is free again, answered or not."""
        self.running -= 1
        self.core.soon.append(self._run)

    def _run(self) -> None:
        while self.queue and self.running < self.concurrency:
            self.running += 1
            self._begin(self.queue.popleft())

    # --- what comes ---

    def on_message(self, session: Session, message: Message) -> bool:
        kind = message.kind
        if kind == Kind.REQUEST:
            self._on_request(session, message)
        elif kind == Kind.CHUNK:
            return self._on_part(session, message)
        elif kind == Kind.CANCEL:
            call = self._find(message.id)
            if call and message.number("attempt") >= call.attempt:
                call.stop(Status.CANCELLED)
        elif kind == Kind.WINDOW:
            call = self._find(message.id)
            if call and message.number("attempt") >= call.attempt:
                call.drop_pieces(message.number("number"))
                call.open_window(message.number("window"))
        elif kind == Kind.PROBE:
            self._on_probe(session, message.body)
        elif kind == Kind.DRAIN:
            self._drained(session)
        else:
            return False
        return True

    def on_fault(self, session: Session, message: Message, status: Status) -> None:
        """A REQUEST of which the id can be read, and not all else: without an answer its credit would be lost."""
        self._say(session, Kind.ERROR, message, status)

    def _say(self, session: Session, kind: Kind, about: Message, status: Status) -> None:
        session.send(kind, id=about.id, attempt=about.number("attempt"), hop=about.number("hop"), status=status)

    def _on_request(self, session: Session, message: Message) -> None:
        attempt, hop = message.number("attempt"), message.number("hop")
        if attempt < self._highest(message.id):
            self._say(session, Kind.NACK, message, Status.STALE)
            return
        call = self._find(message.id, hop)
        if call and call.cancelled:  # it is done again when it has stopped
            self._say(session, Kind.NACK, message, Status.BUSY)
            self._refuse_more(session)
        elif call:  # it is being executed: the answer goes to whoever asked last
            call.attach(session, attempt)
            call.open_window(message.number("window"))
        elif not self._answer_again(session, message):
            self._begin_new(session, message)

    def _answer_again(self, session: Session, message: Message) -> bool:
        attempt, hop = message.number("attempt"), message.number("hop")
        found = self.memory.find(message.id, hop, attempt)
        if found == Found.UNKNOWN:
            return False
        if found == Found.STALE:
            self._say(session, Kind.NACK, message, Status.STALE)
        elif isinstance(found, Found) or not self._replay(session, message.id, attempt, hop, found, message.number("number"), False):
            self._say(session, Kind.ERROR, message, Status.GONE)
        return True

    def _begin_new(self, session: Session, message: Message) -> None:
        service = self._services.get(message.fields["service"])
        method = service.methods.get(message.fields["method"]) if service else None
        if self.phase > Phase.DRAINING or self._is_second:
            self._say(session, Kind.NACK, message, Status.DRAINING)
        elif self._is_full():
            self._say(session, Kind.NACK, message, Status.BUSY)
            self._refuse_more(session)
        elif not method:
            self._say(session, Kind.ERROR, message, Status.NO_METHOD if service else Status.NO_SERVICE)
        else:
            call = Call(self, session, message, method[0])
            self._list(call)
            if not call.assembling:
                self._enqueue(call)

    def _enqueue(self, call: Call) -> None:
        self.queue.append(call)
        self._run()

    def _on_part(self, session: Session, message: Message) -> bool:
        call = self._find(message.id)
        if not call or not call.assembling or call.session is not session:
            return False
        if call.add_part(message):
            self._enqueue(call)
        return True

    def flush(self) -> None:
        """The end of a turn."""
        chunky, self.chunky = self.chunky, set()
        for call in chunky:
            call.flush_chunks()

    # --- PROBE ---

    def _on_probe(self, session: Session, body: bytes) -> None:
        try:
            items = [(wire.sound_id(item["id"]), int(item["attempt"]), int(item.get("hop", 0)), int(item["age_us"]), int(item.get("chunk", 0)),
                      int(item.get("window_bytes", 0))) for item in msgpack.unpackb(body)["requests"]]
        except Exception:  # the broker takes no answer for "can't vouch"
            return
        for item in items[:LIMITS["PROBE_IDS"]]:
            self._answer_probe(session, *item)

    def _answer_probe(self, session: Session, id: bytes, attempt: int, hop: int, age_us: int, chunk: int, window: int) -> None:
        if attempt < self._highest(id):
            session.send(Kind.PASS, id=id, attempt=attempt, hop=hop, status=Status.STALE)
            return
        call = self._find(id, hop)
        if call and call.assembling:  # its body went with the other broker: it was not begun
            call.refuse(Status.STALE)
            call = None
        if not call:
            self._answer_from_memory(session, id, attempt, hop, age_us, chunk)
            return
        if call.cancelled:  # it is being stopped, and what it will say is no answer: see Reply.was_stopped
            self.memory.note(id, attempt, self.core.now)
            self._have(session, id, attempt, hop, "reply_gone")
            return
        call.attach(session, attempt)
        call.drop_pieces(chunk)
        self._have(session, id, attempt, hop, "queued" if call in self.queue else "running", call.pieces_first, call.before_bytes,
                   call.execution)
        call.send_pieces_again()
        if window:
            call.open_window(window)

    def _have(self, session: Session, id: bytes, attempt: int, hop: int, state: str, number: int = 0, before: int = 0,
              execution: int = 0) -> None:
        session.send(Kind.HAVE, msgpack.packb({"state": state}), id=id, attempt=attempt, hop=hop, number=number, window=before,
                     execution=execution)

    def _answer_from_memory(self, session: Session, id: bytes, attempt: int, hop: int, age_us: int, chunk: int) -> None:
        now, found = self.core.now, self.memory.find(id, hop, attempt)
        if found == Found.STALE:
            session.send(Kind.PASS, id=id, attempt=attempt, hop=hop, status=Status.STALE)
            return
        self.memory.note(id, attempt, now)
        if found == Found.UNKNOWN:
            covers = self.memory.covers(age_us, now)
            session.send(Kind.PASS, id=id, attempt=attempt, hop=hop, status=Status.OK if covers else Status.UNKNOWN)
        elif isinstance(found, Found) or not self._replay(session, id, attempt, hop, found, chunk, True):
            self._have(session, id, attempt, hop, "reply_gone")

    def _replay(self, session: Session, id: bytes, attempt: int, hop: int, reply: Reply, wanted: int, tell: bool) -> bool:
        """Says an answer again, its pieces from `wanted` on; False when not all of it is kept, or it is none. tell: after HAVE."""
        if reply.was_stopped:
            return False
        first = reply.pieces[0][0] if reply.pieces else reply.chunks
        before = reply.before_bytes + sum(len(data) for number, _, data in reply.pieces if number < wanted)
        if reply.kind == Kind.FORWARD:
            wanted = 0  # the chunks are those of where it went
        elif not first <= wanted <= reply.chunks:
            return False
        if tell:
            self._have(session, id, attempt, hop, "forwarded" if reply.kind == Kind.FORWARD else "done", wanted, before, reply.execution)
        for number, flags, data in reply.pieces:
            if number >= wanted:
                session.send(Kind.CHUNK, data, id=id, attempt=attempt, number=number, flags=flags,
                             execution=0 if number else reply.execution)
        session.send(reply.kind, reply.body, id=id, attempt=attempt, **reply.fields)
        return True

    # --- switched off and on ---

    def _on_flag(self, flag: FlagState) -> None:
        off = flag.value in ("off", "false", "0")
        if off == self.switched_off or self.phase != Phase.SERVING:
            return
        self.switched_off = off
        held = not self._is_second
        if self.lease:
            self.lease.want(not off)
        self._grant_all()
        if off and self.lease and held:
            self._stop_holding()

    def _on_lease_lost(self, why: str) -> None:
        self._grant_all()
        self._stop_holding()

    def _stop_holding(self) -> None:
        """It stops at once: what waits is given to another, and what runs is cancelled. What is done is told to the end."""
        for call in self._all():
            if call.assembling or call in self.queue:
                call.stop(Status.DRAINING)
            elif not call.answered:
                call.stop(Status.STREAM_LOST if call.chunks else Status.WORKER_LOST)

    # --- the end ---

    def drain(self, on_left: Callable[[], None]) -> None:
        """Takes nothing new, answers what it has, says BYE; then on_left."""
        if self.phase != Phase.SERVING:
            return
        self.phase, self._on_left = Phase.DRAINING, on_left
        self.core.timers.set(self._echo, self.core.now + ECHO_US)
        for session in self.core.sessions:
            self.at(session).drained = not session.send(Kind.DRAIN)
        self._look_drained()

    def _drained(self, session: Session) -> None:
        """The echo of DRAIN is here, or will not come."""
        self.at(session).drained = True
        self._look_drained()

    def _look_drained(self) -> None:
        if self.phase == Phase.DRAINING and all(at.drained for at in self._at):
            self.phase = Phase.DRAINED
            self._check_drained()

    def _on_no_echo(self) -> None:
        for at in self._at:
            at.drained = True
        self._look_drained()

    def _check_drained(self) -> None:
        if self.phase == Phase.DRAINED and not self.held:
            self.phase = Phase.LEAVING
            if self.lease:
                self.lease.want(False)
            self.core.leave(self._on_left)
