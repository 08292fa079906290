"""What this process has answered within the horizon, so that a request that comes again is not done again, and so that it can
vouch for what it never began. Pure. Spec: docs/protocol.md, sections 17.2 to 17.4."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from . import wire
from .errors import Status
from .wire import LIMITS, TIMES_US, Kind

OVERHEAD_BYTES = 128  # of an answer, beside its body


@dataclass(slots=True)
class Reply:
    """An answer as it was sent, and the CHUNKs before it that its reader may still want."""

    kind: Kind
    fields: dict[str, Any]
    body: bytes
    chunks: int = 0  # of its stream, or of the reply in parts
    before_bytes: int = 0  # of the chunks before the first that is kept
    pieces: list[tuple[int, int, bytes]] = field(default_factory=list)  # number, flags, bytes
    execution: int = 0  # that the chunks are of

    @property
    def was_stopped(self) -> bool:
        """For an attempt that its client has left since: whoever asks now has not cancelled it."""
        return self.kind == Kind.ERROR and self.fields.get("status") == Status.CANCELLED

    @property
    def size(self) -> int:
        return OVERHEAD_BYTES + len(self.body) + sum(len(piece) for _, _, piece in self.pieces)


class Found(enum.Enum):
    UNKNOWN = "never begun here, as far as is remembered"
    STALE = "a higher attempt has been seen"
    GONE = "done, and the answer is no longer kept"


@dataclass(eq=False, slots=True)
class _Entry:
    id: bytes
    hop: int
    attempt: int
    noted: bool  # the attempt was only heard of
    at: int
    reply: Reply | None = None


class Memory:
    def __init__(self, now: int) -> None:
        """The process begins: what was before, nobody knows."""
        self._covers_from = now
        self._ring: deque[_Entry] = deque()
        self._of: dict[bytes, list[_Entry]] = {}
        self._kept: dict[int, deque[_Entry]] = {}  # per client, those with an answer, oldest first
        self._client_bytes: dict[int, int] = {}
        self.bytes = 0

    def _add(self, entry: _Entry) -> None:
        while self._ring and (entry.at - self._ring[0].at > TIMES_US["HORIZON"] or len(self._ring) >= LIMITS["MEMORY_IDS"]):
            self._forget_first()
        self._ring.append(entry)
        self._of.setdefault(entry.id, []).append(entry)

    def _forget_first(self) -> None:
        entry = self._ring.popleft()
        if entry.reply:
            self._drop_oldest(wire.id_parts(entry.id)[0])
        same = self._of[entry.id]
        same.remove(entry)
        if not same:
            del self._of[entry.id]
        self._covers_from = max(self._covers_from, entry.at + 1)

    def _drop_oldest(self, client: int) -> None:
        """A client's oldest answer; in the ring it stands before the client's others."""
        entry = self._kept[client].popleft()
        assert entry.reply
        self.bytes -= entry.reply.size
        self._client_bytes[client] -= entry.reply.size
        entry.reply = None
        if not self._kept[client]:
            del self._kept[client], self._client_bytes[client]

    def put(self, id: bytes, hop: int, attempt: int, reply: Reply | None, now: int) -> None:
        """(id, hop) is done. What is more than an eighth of all is remembered as gone; when room is needed, the client that
        takes most of it loses its oldest answer."""
        entry = _Entry(id, hop, attempt, False, now)
        self._add(entry)
        if reply is None or reply.size > LIMITS["MEMORY_BYTES"] // 8:
            return
        while self.bytes + reply.size > LIMITS["MEMORY_BYTES"]:
            self._drop_oldest(max(self._client_bytes, key=lambda client: self._client_bytes[client]))
        client = wire.id_parts(id)[0]
        entry.reply = reply
        self._kept.setdefault(client, deque()).append(entry)
        self._client_bytes[client] = self._client_bytes.get(client, 0) + reply.size
        self.bytes += reply.size

    def _highest(self, id: bytes) -> int:
        return max((entry.attempt for entry in self._of.get(id, ())), default=0)

    def note(self, id: bytes, attempt: int, now: int) -> None:
        """An attempt was heard of, so lower ones are refused from now on."""
        if attempt > self._highest(id):
            self._add(_Entry(id, 0, attempt, True, now))

    def find(self, id: bytes, hop: int, attempt: int) -> Reply | Found:
        if attempt < self._highest(id):
            return Found.STALE
        done = [entry for entry in self._of.get(id, ()) if not entry.noted and entry.hop == hop]
        if not done:
            return Found.UNKNOWN
        return max(done, key=lambda entry: entry.attempt).reply or Found.GONE

    def covers(self, age_us: int, now: int) -> bool:
        """Whether an id that is unknown was surely never begun here within the last age_us."""
        return now - age_us >= self._covers_from
