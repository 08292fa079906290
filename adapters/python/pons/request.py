"""Unanswered requests, pure: what was asked, where the answer is expected, what has come of it, and its one end."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import wire
from .errors import PonsError, Retry, Status
from .session import Session, error_body
from .timers import Timer
from .wire import BODY_BYTES, LIMITS, Flag, Kind, Message

if TYPE_CHECKING:
    from .core import Core

WINDOW_DEFAULT_BYTES = 262_144
RETRY_FIRST_US, RETRY_LONGEST_US = 20_000, 1_000_000
TURNED_AWAY_MAX = 2  # so often it is sent on at once: both brokers may be replaced in turn


@dataclass
class Ask:
    """One request as the caller wants it."""

    service: str  # "echo", "echo@instance", "echo@*"
    method: str
    body: bytes
    deadline_us: int
    on_end: Callable[[Answer], None]
    on_chunk: Callable[[Message], None] | None = None
    content_type: str = ""
    annotations: dict[str, Any] | None = None
    trace: bytes = b""
    priority: int = wire.NORMAL
    idempotent: bool = False
    stream: bool = False
    manual_window: bool = False  # the window opens by `consumed` alone
    window_bytes: int = WINDOW_DEFAULT_BYTES
    attempts: int = 0


@dataclass
class Answer:
    """How a request ended."""

    status: Status
    id: str = ""
    body: bytes = b""
    content_type: str = ""
    annotations: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    path: str = ""
    origin: str = ""
    code: str = ""
    http_status: int = 0
    retry_after_us: int = 0
    chunks: int = 0
    attempts: int = 0
    took_us: int = 0

    def error(self) -> PonsError:
        """The exception for a status that is not OK."""
        return PonsError.of(self.status)(
            self.message, path=self.path, code=self.code, http_status=self.http_status, origin=self.origin,
            retry_after_s=self.retry_after_us / 1e6, request=self.id, attempts=self.attempts)


def may_retry(status: Status, idempotent: bool, sent_again: bool) -> bool:
    """Whether a request may be asked again under a new id. sent_again: that it took no effect is not known any more."""
    if status.retry in (Retry.KNOWN, Retry.LATER):
        return idempotent or not sent_again
    return status.retry == Retry.UNSURE and idempotent


def retry_wait_us(number: int, retry_after_us: int, rng: random.Random) -> int:
    """Full jitter: up to 20 ms before the first retry, doubled by each further one, at most 1 s."""
    return retry_after_us + rng.randrange(min(RETRY_LONGEST_US, RETRY_FIRST_US << min(number - 1, 8)) + 1)


class State(enum.Enum):
    UNSENT, SENT, WAITING, PAUSED, ENDING, ENDED = range(6)


class Pending:
    def __init__(self, core: Core, ask: Ask) -> None:
        self.core, self.ask = core, ask
        self.id = core.next_id()
        self.state = State.UNSENT
        self.timer = Timer(self._on_due)
        self.asked_at, self.due = core.now, core.now + ask.deadline_us
        self.sent_at = 0  # first, under this id
        self.at: Session | None = None  # where the answer is expected
        self.broker_life = 0  # incarnation of the broker that it was sent to last
        self.attempt = 0  # of this id, on the wire
        self.asked, self.attempts = 1, ask.attempts or core.options.attempts
        self.turned_away = 0  # by brokers that were stopping
        self.refused: set[int] = set()  # brokers that can't take it
        self.was_lost = False  # with a session: it may have been begun
        self.next_chunk = self.pieces = 0
        self.execution = 0  # that they are of; 0: none yet, or the broker did not say
        self.parts: list[bytes] = []
        self.parts_size = 0
        self.received = self.used = 0
        self.window = min(ask.window_bytes, LIMITS["STREAM_WINDOW_BYTES"])
        self.granted = self.window
        self.end_status, self.end_message = Status.OK, ""

    @property
    def is_sent(self) -> bool:
        return self.state == State.SENT

    def check(self) -> tuple[Status, str]:
        """What is wrong with the request itself."""
        ask = self.ask
        if not 0 < ask.deadline_us <= LIMITS["DEADLINE_US"]:
            return Status.NO_DEADLINE, ""
        if len(ask.body) > LIMITS["REQUEST_BYTES"]:
            return Status.TOO_LARGE, "the body is over 16 MiB"
        if not 0 < len(ask.service.encode()) <= LIMITS["TARGET_BYTES"] or not wire.is_name(ask.method):
            return Status.BAD_NAME, "not the name of a service, or of a method"
        if (ask.annotations and wire.map_size(ask.annotations) > LIMITS["ANNOTATIONS_BYTES"]) or len(ask.content_type.encode()) > LIMITS["CONTENT_TYPE_BYTES"]:
            return Status.TOO_LARGE, "the annotations or the content type are too long"
        return Status.OK, ""

    # --- sending ---

    def expect(self, session: Session | None) -> None:
        if self.at:
            self.at.outstanding -= 1
        self.at = session
        if session:
            session.outstanding += 1

    def send(self, session: Session) -> None:
        ask, now = self.ask, self.core.now
        if self.attempt == 0:
            self.sent_at = now
        flags = (Flag.STREAM if ask.stream else 0) | (Flag.IDEMPOTENT if ask.idempotent else 0)
        if len(ask.body) > BODY_BYTES:
            flags |= Flag.MORE
        session.send(Kind.REQUEST, ask.body[:BODY_BYTES], id=self.id, attempt=self.attempt, service=ask.service, method=ask.method,
                     deadline=max(1, self.due - now), priority=ask.priority, flags=flags, trace=ask.trace,
                     content_type=ask.content_type, window=self.granted, annotations=ask.annotations,
                     age=min(now - self.sent_at, LIMITS["DEADLINE_US"]), number=self.next_chunk if self.attempt else 0,
                     execution=self.execution)
        for number, at in enumerate(range(BODY_BYTES, len(ask.body), BODY_BYTES), 1):
            session.send(Kind.CHUNK, ask.body[at:at + BODY_BYTES], id=self.id, attempt=self.attempt, number=number,
                         flags=Flag.MORE if at + BODY_BYTES < len(ask.body) else 0)
        self.state = State.SENT
        self.expect(session)
        self.broker_life = session.welcome["incarnation"]
        session.watch()

    def send_again(self, session: Session) -> None:
        """The next attempt, which goes on where the last one was, if that broker finds out where that is."""
        goes_on = session.finds_out or self.broker_life == session.welcome["incarnation"]
        if self.pieces and not goes_on:
            self.end_soon(Status.STREAM_LOST)
            return
        if not goes_on:
            self._drop_parts()
        self.attempt += 1
        self.core.stats.resent += 1
        self.send(session)

    def place(self, home: Session) -> None:
        if self.state == State.UNSENT:
            self.send(home)
        elif self.is_sent and not self.at:
            self.send_again(home)

    def orphan(self, session: Session) -> None:
        if self.at is session:
            self.expect(None)
            self.refused.clear()
            self.was_lost = True

    def _ask_again(self) -> None:
        """Under a new id."""
        self._drop_parts()
        del self.core.requests[self.id]
        self.id = self.core.next_id()
        self.core.requests[self.id] = self
        self.attempt, self.was_lost = 0, False
        self.refused.clear()
        self.asked += 1
        self.state = State.UNSENT
        self.core.stats.retried += 1
        self.core.timers.set(self.timer, self.due)
        if self.core.home:
            self.send(self.core.home)

    # --- ending ---

    def end(self, answer: Answer) -> None:
        if self.state == State.ENDED:
            return
        self.state = State.ENDED
        self.core.timers.stop(self.timer)
        self.expect(None)
        del self.core.requests[self.id]
        self.core.ended(self)
        answer.id, answer.attempts, answer.chunks = wire.id_text(self.id), self.asked, self.pieces
        answer.took_us = self.core.now - self.asked_at
        self.ask.on_end(answer)

    def end_with(self, status: Status, message: str = "") -> None:
        self.end(Answer(status, message=message or status.about))

    def end_soon(self, status: Status, message: str = "") -> None:
        """With a status of our own, but not inside the caller."""
        self.expect(None)
        self.state = State.ENDING
        self.end_status, self.end_message = status, message
        self.core.timers.stop(self.timer)
        self.core.soon.append(lambda: self.end_with(status, message))

    def cancel(self, status: Status = Status.CANCELLED, message: str = "") -> None:
        """Takes it back; the broker is told."""
        if self.at:
            self.at.send(Kind.CANCEL, id=self.id, attempt=self.attempt)
        if self.state not in (State.ENDING, State.ENDED):
            self.end_soon(status, message)

    def _await_session(self) -> None:
        """Nobody has it: it is sent when there is a session."""
        self.expect(None)
        self.state = State.UNSENT if self.attempt == 0 else State.SENT

    def _pause(self, wait_us: int) -> None:
        self.expect(None)
        self.state = State.PAUSED
        self.core.timers.set(self.timer, min(self.core.now + wait_us, self.due))

    def _resume(self, now: int) -> None:
        self._await_session()
        if now >= self.due:
            self._on_due(now)
            return
        self.core.timers.set(self.timer, self.due)
        if self.core.home:
            self.place(self.core.home)

    def _on_due(self, now: int) -> None:
        if self.state == State.WAITING:
            self._ask_again()
        elif self.state == State.PAUSED:
            self._resume(now)
        elif self.state == State.UNSENT:
            self.end_with(Status.UNAVAILABLE)
        elif not self.at and not self.ask.idempotent:
            self.end_with(Status.UNKNOWN, "the session was lost and no other was there before the deadline")
        else:
            self.end_with(Status.DEADLINE)

    # --- what comes ---

    def answer(self, session: Session, message: Message) -> bool:
        """REPLY or ERROR. A reply counts wherever it comes from if all that came before it is here; what goes wrong with an
        attempt that is not the last does not."""
        is_reply, attempt = message.kind == Kind.REPLY, message.number("attempt")
        if self.state not in (State.SENT, State.PAUSED):
            return False
        fits = is_reply and message.number("number") == self.next_chunk and self._is_of_it(message)
        is_left = attempt < self.attempt and (is_reply or attempt > 0)
        if not fits and (is_left or self.at is not session):
            return False
        status = Status.OK if is_reply else Status.of(message.number("status"))
        if self._ask_other(session, status) or self._await_next(session, status):
            return True
        self.core.count(status)
        if is_reply:
            self._end_with_reply(message)
            return True
        answer = Answer(status, **error_body(message.body, status))
        at = self.core.may_ask_again(self, answer)
        if at is not None:
            self.state = State.WAITING
            self.expect(None)
            self.core.timers.set(self.timer, at)
            return True
        self._doubt(session, answer)
        self.end(answer)
        return True

    def _ask_other(self, session: Session, status: Status) -> bool:
        """What one broker can't take now, the other may: these are the end when both have said so. An instance that one has
        lost may still be with the other, which finds out what became of the request."""
        is_lost = status is Status.WORKER_LOST and self.next_chunk == 0
        if not is_lost and status not in (Status.NO_SERVICE, Status.OVERLOADED, Status.OTHER_BROKER):
            return False
        self.refused.add(session.index)
        other = self.core.other(session)
        if not other or other.index in self.refused:
            return False
        self.was_lost = self.was_lost or is_lost
        self.send_again(other)
        return True

    def _await_next(self, session: Session, status: Status) -> bool:
        """A broker that is stopping, and was sent this before it could be known, has not begun it: whoever is there next is asked. It is
        no retry: nobody has tried. Who is turned away more often waits in between, so that brokers that come and go are not asked as
        fast as they do."""
        if status != Status.DRAINING or not session.going_away or self.pieces:
            return False
        self.turned_away += 1
        if self.turned_away > TURNED_AWAY_MAX:
            self._pause(retry_wait_us(self.turned_away - TURNED_AWAY_MAX, 0, self.core.random))
        elif other := self.core.other(session):
            self.send_again(other)
        else:
            self._await_session()
        return True

    def _doubt(self, session: Session, answer: Answer) -> None:
        """What was sent more than once may have been begun the first time, whatever a broker says that does not find out."""
        if self.was_lost and not session.finds_out and not self.ask.idempotent and answer.status.retry in (Retry.KNOWN, Retry.LATER):
            answer.status = Status.UNKNOWN
            answer.message = "the session was lost after it was asked, and now it can't be asked again"

    def _end_with_reply(self, message: Message) -> None:
        fields = message.fields
        if message.number("number") > self.next_chunk or not self._is_of_it(message):
            self.end_with(*self._missing())
        elif self.parts_size + len(message.body) > LIMITS["REPLY_BYTES"]:
            self.end_with(Status.TOO_LARGE, "the reply is over 16 MiB")
        else:
            self.end(Answer(Status.OK, body=b"".join([*self.parts, message.body]) if self.parts else message.body,
                            content_type=fields.get("content_type", ""), annotations=fields.get("annotations", {})))

    def _is_of_it(self, reply: Message) -> bool:
        """Whether a REPLY is of the execution that the chunks are of. Another may have made as many, and others."""
        execution = reply.number("execution")
        return not execution or not self.execution or execution == self.execution

    def _missing(self) -> tuple[Status, str]:
        """How a request ends of whose chunks some are missing."""
        if self.ask.stream:
            return Status.STREAM_LOST, "pieces were lost with a session"
        return Status.GONE, "parts of the reply were lost with a session"

    def _drop_parts(self) -> None:
        self.core.reply_bytes -= self.parts_size
        self.parts, self.parts_size = [], 0
        self.next_chunk, self.execution, self.received, self.used, self.granted = 0, 0, 0, 0, self.window

    def chunk(self, session: Session, message: Message) -> bool:
        if not self.is_sent or self.at is not session or message.number("attempt") < self.attempt:
            return False
        flags, number = message.number("flags"), message.number("number")
        if flags & Flag.COLLECT:
            self._tell(message)
            return True
        if not self.ask.stream and not flags & Flag.PART or number < self.next_chunk:
            return False
        if number > self.next_chunk:
            self.cancel(*self._missing())
            return True
        if number == 0:
            self.execution = message.number("execution")
        self.received += len(message.body)
        if flags & Flag.PART:
            self._take_part(message.body)
        else:
            self._tell(message)
        if self.is_sent and (not self.ask.manual_window or flags & Flag.PART):
            self.consumed(len(message.body))
        return True

    def _tell(self, message: Message) -> None:
        self.next_chunk += 1
        self.pieces += 1
        if self.ask.on_chunk:
            self.ask.on_chunk(message)

    def _take_part(self, part: bytes) -> None:
        self.next_chunk += 1
        if self.parts_size + len(part) > LIMITS["REPLY_BYTES"]:
            self.cancel(Status.TOO_LARGE, "the reply is over 16 MiB")
        elif self.core.reply_bytes + len(part) > LIMITS["REPLIES_BYTES"]:
            self.cancel(Status.TOO_LARGE, "this process has 64 MiB of replies that are not whole yet; ask for fewer at once")
        else:
            self.parts.append(part)
            self.parts_size += len(part)
            self.core.reply_bytes += len(part)

    def consumed(self, size: int) -> None:
        """So many more bytes of its stream were used up; the window opens when half of it is."""
        self.used = min(self.used + size, self.received)
        highest = self.used + self.window
        if highest - self.granted <= self.window // 2 or not self.is_sent:
            return
        self.granted = highest
        if self.at:
            self.at.send(Kind.WINDOW, id=self.id, attempt=self.attempt, number=self.next_chunk, window=highest)
