"""A call from its REQUEST to its answer, pure: what an instance has in hand (docs/protocol.md, sections 7 to 9 and 17.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack

from . import wire
from .errors import PonsError, Status
from .memory import Reply
from .timers import Timer
from .wire import BODY_BYTES, LIMITS, Flag, Kind, MethodFlag, Message

if TYPE_CHECKING:
    from .instance import Instance
    from .session import Session

TEXT_BOUNDS = {"message": 1024, "path": 256, "code": 64}
RETRY_AFTER_S = 3600


def _at_most(text: str, size: int) -> str:
    """As much of a text as a field takes, without cutting a character in two."""
    return text.encode(errors="replace")[:size].decode(errors="ignore")


class Call:
    def __init__(self, instance: Instance, session: Session, message: Message, flags_of_method: int) -> None:
        fields = message.fields
        self.instance, self.core = instance, instance.core
        self.id, self.attempt, self.hop = message.id, message.number("attempt"), message.number("hop")
        self.service, self.method = fields["service"], fields["method"]
        self.flags, self.priority = message.number("flags"), fields.get("priority", wire.NORMAL)
        self.due = self.core.now + message.number("deadline")
        self.trace, self.content_type = fields.get("trace", b""), fields.get("content_type", "")
        self.annotations: dict[str, Any] = fields.get("annotations", {})
        self.body = message.body
        self.assembling = bool(self.flags & Flag.MORE)
        self.parts = [message.body]
        self.size = len(message.body)
        self.session, self.era = session, instance.at(session).era
        self.timer = Timer(lambda now: self.stop(Status.DEADLINE))
        self.cancelled: Status | None = None
        self.answered = False
        self.mute = False  # nobody is told
        self.on_change: Callable[[], None] | None = None  # the window opened, or the call was cancelled
        # What is idempotent may be done again, so nobody asks what became of it.
        self.forgettable = bool(flags_of_method & MethodFlag.IDEMPOTENT)
        self.window, self.accepted = message.number("window"), 0
        self.execution = instance.next_execution()
        self.chunks = 0  # sent
        self.waiting = bytearray()  # pieces until the end of the turn
        self.pieces: deque[tuple[int, bytes]] = deque()  # flags and bytes of those that may be wanted again
        self.pieces_first = self.before_bytes = 0
        self.out: tuple[Kind, dict[str, Any], bytes] | None = None
        self.sending = False  # its reply is on its way in parts
        self.rest = memoryview(b"")
        self.reply_size = 0

    @property
    def wants_stream(self) -> bool:
        return bool(self.flags & Flag.STREAM)

    # --- what comes ---

    def add_part(self, message: Message) -> bool:
        """A further piece of its body; True when it is whole."""
        if message.number("number") != len(self.parts):
            self.refuse(Status.MALFORMED)
        elif self.size + len(message.body) > LIMITS["REQUEST_BYTES"]:
            self.refuse(Status.TOO_LARGE)
        else:
            self.parts.append(message.body)
            self.size += len(message.body)
            if not message.number("flags") & Flag.MORE:
                self.assembling, self.body = False, b"".join(self.parts)
                self.parts = []
                return True
        return False

    def open_window(self, window: int) -> None:
        self.window = max(self.window, window)
        if self.sending:
            self._send_parts()
        elif self.on_change:
            self.on_change()

    def attach(self, session: Session, attempt: int) -> None:
        """Whoever asked last is told the answer, and whoever was is told no more: that frees the credit there."""
        if session is not self.session:
            self.session.send(Kind.NACK, id=self.id, attempt=self.attempt, hop=self.hop, status=Status.STALE)
        self.attempt = attempt
        self.instance.move(self, session)

    def stop(self, status: Status) -> None:
        """Nobody waits for it any more."""
        if self.sending:
            self.sending = False
            self.instance.reply_bytes -= self.reply_size
            self._put_error(PonsError.of(status)())
            self._finish()
        elif self.answered:
            return
        elif self.assembling or self.instance.unqueue(self):
            self.refuse(status)
        elif self.cancelled is None:
            self.cancelled = status
            if self.on_change:
                self.on_change()

    # --- pieces of a stream ---

    @property
    def has_room(self) -> bool:
        return self.accepted < self.window

    def chunk(self, data: bytes) -> None:
        """Takes a piece, when has_room. To a caller that wants no stream nothing is sent."""
        if self.answered or not self.wants_stream:
            return
        self.waiting += data
        self.accepted += len(data)
        self.instance.chunky.add(self)

    def flush_chunks(self) -> None:
        """The end of a turn: pieces that are ready travel together."""
        for at in range(0, len(self.waiting), BODY_BYTES):
            self._send_piece(0, bytes(self.waiting[at:at + BODY_BYTES]))
        self.waiting = bytearray()

    def _send_piece(self, flags: int, data: bytes) -> None:
        number = self.chunks
        self.chunks += 1
        if self.instance.keeps:
            self.pieces.append((flags, data))
        else:
            self.pieces_first += 1
            self.before_bytes += len(data)
        self._send_chunk(number, flags, data)

    def _send_chunk(self, number: int, flags: int, data: bytes) -> None:
        """The first says which execution all are of."""
        self.instance.send(self, Kind.CHUNK, data, id=self.id, attempt=self.attempt, number=number, flags=flags,
                           execution=0 if number else self.execution)

    def drop_pieces(self, wanted: int) -> None:
        while self.pieces and self.pieces_first < wanted:
            self.before_bytes += len(self.pieces.popleft()[1])
            self.pieces_first += 1

    def send_pieces_again(self) -> None:
        for number, (flags, data) in enumerate(self.pieces, self.pieces_first):
            self._send_chunk(number, flags, data)

    # --- the answer: the first one counts ---

    def reply(self, body: bytes, content_type: str = "") -> None:
        if self.answered:
            return
        if self.core.now >= self.due:
            self.error(PonsError.of(Status.DEADLINE)("the deadline came before the work was done"))
        elif len(body) > LIMITS["REPLY_BYTES"] or len(body) > BODY_BYTES and not self.window:
            self.error(PonsError.of(Status.TOO_LARGE)(
                f"the reply has {len(body)} bytes; over {BODY_BYTES} it comes in parts, for which the request needs a window, and "
                f"over {LIMITS['REPLY_BYTES']} it must be streamed"))
        else:
            self._begin_end(Kind.REPLY, {"content_type": content_type}, body)

    def error(self, error: PonsError) -> None:
        if not self.answered:
            self._put_error(error)
            assert self.out
            self._begin_end(*self.out)

    def forward(self, targets: list[tuple[str, str]], annotations: dict[str, Any] | None) -> None:
        """Hands the request on to the first of 1 to 4 targets that can begin."""
        if self.answered:
            return
        if not 1 <= len(targets) <= LIMITS["FORWARD_TARGETS"] or self.accepted:
            self.error(PonsError.of(Status.INTERNAL)("the agent forwarded to no target, to more than four, or after a piece of a stream"))
            return
        body = msgpack.packb({"targets": [{"service": service, "method": method} for service, method in targets]})
        self._begin_end(Kind.FORWARD, {"annotations": annotations}, body)

    def refuse(self, status: Status) -> None:
        """It was not begun, and is not remembered."""
        self.forgettable = True
        self.error(PonsError.of(status)())

    def _put_error(self, error: PonsError) -> None:
        body: dict[str, Any] = {name: _at_most(getattr(error, name), size) for name, size in TEXT_BOUNDS.items()
                                if getattr(error, name) or name == "message"}
        body["origin"] = self.core.options.agent
        if error.retry_after_s > 0:
            body["retry_after_us"] = int(min(error.retry_after_s, RETRY_AFTER_S) * 1e6)
        if 400 <= error.http_status <= 599:
            body["http_status"] = error.http_status
        self.out = (Kind.ERROR, {"status": error.status}, msgpack.packb(body))

    def _begin_end(self, kind: Kind, fields: dict[str, Any], body: bytes) -> None:
        self.answered = True
        self.out = (kind, fields, body)
        self.flush_chunks()
        if kind != Kind.REPLY or len(body) <= BODY_BYTES or not self.instance.has_broker:
            self._finish()
        elif self.instance.reply_bytes + len(body) > LIMITS["REPLIES_BYTES"]:
            self._put_error(PonsError.of(Status.TOO_LARGE)("the agent has 64 MiB of large replies that are not read yet; ask for fewer at once"))
            self._finish()
        else:
            self.sending, self.rest, self.reply_size = True, memoryview(body), len(body)
            self.instance.reply_bytes += self.reply_size
            self._send_parts()

    def _send_parts(self) -> None:
        while len(self.rest) > BODY_BYTES and self.has_room:
            self.accepted += BODY_BYTES
            self._send_piece(Flag.PART, bytes(self.rest[:BODY_BYTES]))
            self.rest = self.rest[BODY_BYTES:]
        if len(self.rest) > BODY_BYTES:
            return
        self.sending = False
        self.instance.reply_bytes -= self.reply_size
        assert self.out
        self.out = (self.out[0], self.out[1], bytes(self.rest))
        self._finish()

    def _finish(self) -> None:
        assert self.out
        kind, fields, body = self.out
        execution = self.execution if self.chunks else 0
        if kind == Kind.REPLY:
            fields = {**fields, "number": self.chunks, "execution": execution}
        leads_to_a_piece = self.instance.keeps and (self.chunks > 0 or kind == Kind.FORWARD)
        if not self.forgettable or (leads_to_a_piece and fields.get("status") != Status.CANCELLED):
            pieces = [(number, flags, data) for number, (flags, data) in enumerate(self.pieces, self.pieces_first)]
            reply = Reply(kind, fields, body, self.chunks, self.before_bytes, pieces, execution)
            self.instance.memory.put(self.id, self.hop, self.attempt, reply, self.core.now)
        self.instance.send(self, kind, body, id=self.id, attempt=self.attempt, **fields)
        self.instance.unlist(self)
