"""A process's place on the bus, pure: (state, event, now) to actions. No socket, no clock, no thread.

Whoever drives it sets the time with `begin`, gives it what happened (`connected`, `disconnected`, `received`, a caller's
`ask`), lets timers run with `wake`, and does what `flush` returns:

    ("connect", broker, endpoint)   make a new socket
    ("send", broker, frames)        send one ZeroMQ message
    ("close", broker, linger_ms)    drop the socket

Spec: docs/protocol.md, sections 6, 7, 9, 11 and 17. The files: session.py one broker; request.py unanswered requests; events.py
subscriptions; this one what binds them together, and which of two brokers is asked."""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from . import wire
from .errors import Status
from .events import Events
from .request import Answer, Ask, Pending, may_retry, retry_wait_us
from .session import Session
from .timers import Timer, Timers
from .wire import LIMITS, TIMES_US, Kind, Message

if TYPE_CHECKING:
    from .durable import Waiting

BROKERS = 2
RETRY_TOKENS_X10 = 100  # a full budget; none is retried at half of it or less


class InstanceHooks(Protocol):
    """The instance's side of a session: instance.py."""

    features: int

    def services(self) -> list[dict[str, Any]]: ...
    def on_open(self, session: Session) -> None: ...
    def on_lost(self, session: Session, why: str) -> None: ...
    def on_message(self, session: Session, message: Message) -> bool: ...
    def on_fault(self, session: Session, message: Message, status: Status) -> None: ...
    def flush(self) -> None: ...


@dataclass
class Stats:
    """What a client has done so far."""

    asked: int = 0
    answered: int = 0
    retried: int = 0  # asked again under a new id
    resent: int = 0  # sent again under the same id, after a loss
    moves: int = 0  # from one broker to the other, returns included
    sessions: int = 0  # WELCOMEs
    dropped: int = 0  # messages that could not be used
    events_dropped: int = 0  # duplicates, and published ones that found no session for too long


@dataclass
class Options:
    endpoint: str  # lists with commas; a second broker's after a semicolon
    agent: str
    incarnation_us: int
    site: str = ""
    library: str = "pons for Python"
    pid: int = 0
    has_key: bool = False  # a secret key of its own, for brokers that have keys
    calls: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 3  # greatest number of times that one request is asked, retries included
    deadline_us: int = TIMES_US["DEADLINE_DEFAULT"]
    on_state: Callable[[bool, Status, str], None] | None = None  # whether somebody can be asked; and why
    on_refusal: Callable[[Status, str], None] | None = None  # a broker refuses what has no answer: an event, a subscription, the second session
    seed: int | None = None


class Core:
    def __init__(self, options: Options) -> None:
        brokers = [part.partition("|") for part in options.endpoint.split(";")]
        lists = [[end for end in ends.split(",") if end] for ends, _, _ in brokers]
        if not 1 <= len(lists) <= BROKERS or not all(lists):
            raise ValueError("endpoint: one list of addresses for each of one or two brokers, with a semicolon between")
        if any(bool(bar) != options.has_key for _, bar, _ in brokers) or any(bar and len(key) != 40 for _, bar, key in brokers):
            raise ValueError("key, endpoint: where brokers have keys, this process has one, and each broker's public one stands behind a bar in endpoint")
        if not wire.is_name(options.agent) or (options.site and not wire.is_name(options.site)):
            raise ValueError(f"agent, site: {Status.BAD_NAME.about}")
        self.options = options
        self.now, self.boot, self.turn_late_us = 0, 0, 0
        self.random = random.Random(options.seed)
        self.client = secrets.randbits(64) or 1
        self.sequence = 0
        self.timers = Timers()
        self.actions: list[tuple[Any, ...]] = []
        self.stats = Stats()
        self.requests: dict[bytes, Pending] = {}
        self.waiting: set[Waiting] = set()
        self.kept_bytes = self.reply_bytes = 0
        self.retry_tokens_x10 = RETRY_TOKENS_X10
        self.events = Events(self)
        self.instance: InstanceHooks | None = None
        self.soon: deque[Callable[[], None]] = deque()  # what must not run inside a caller
        self.sessions = [Session(self, index, ends, key) for index, (ends, (_, _, key)) in enumerate(zip(lists, brokers))]
        self.home: Session | None = None  # who is asked and told
        self.was_home: Session | None = None
        self.leaving: Callable[[], None] | None = None
        self._is_open = False
        self._losses, self._up_since = 0, 0  # of the preferred broker
        self._homecoming = Timer(lambda now: self._look())

    # --- being driven ---

    def begin(self, now: int, boot: int | None = None) -> None:
        """A turn begins at this time, in microseconds. boot: the same by the clock that goes on while the machine is suspended, for what
        somebody elsewhere counts too; read not later than now."""
        self.now, self.boot = now, now if boot is None else boot

    def start(self) -> None:
        for session in self.sessions:
            session.start()

    def wake(self, now: int) -> None:
        """Runs what is due. A driver that was late itself is no judge of others."""
        due = self.timers.next()
        self.now, self.turn_late_us = now, max(0, now - due) if due is not None else 0
        self.timers.run(now)

    def next_wake(self) -> int | None:
        return self.now if self.soon else self.timers.next()

    def connected(self, index: int) -> None:
        self.sessions[index].connected()

    def disconnected(self, index: int, why: str) -> None:
        self.sessions[index].disconnected(why)

    def refused(self, index: int, why: str) -> None:
        """The broker does not admit this process: tried again, but late."""
        self.sessions[index].refused = True
        self.sessions[index].lose(Status.DENIED, why)

    def received(self, index: int, frames: list[bytes]) -> None:
        self.sessions[index].received(frames)

    def flush(self) -> list[tuple[Any, ...]]:
        """The end of a turn: what is to be done with the sockets."""
        while self.soon:
            self.soon.popleft()()
        if self.instance:
            self.instance.flush()
        for session in self.sessions:
            self.actions.extend(("send", session.index, frames) for frames in session.out.take())
        actions, self.actions = self.actions, []
        return actions

    def close(self) -> None:
        """The end, without waiting: BYE, and every unanswered request, and every wait for the end of one, ends CANCELLED."""
        for pending in list(self.requests.values()):
            pending.end_with(Status.CANCELLED, "the client was closed")
        for waiting in list(self.waiting):
            waiting.close()
        for session in self.sessions:
            session.close(self.instance is None)

    def leave(self, on_left: Callable[[], None]) -> None:
        """BYE to all; on_left when all have hung up, or have had their time."""
        self.home, self.leaving = None, on_left
        for session in self.sessions:
            session.leave()
        self.on_left(None)

    def on_left(self, session: Session | None) -> None:
        if self.leaving and all(other.state.name == "DOWN" for other in self.sessions):
            leaving, self.leaving = self.leaving, None
            self.soon.append(leaving)

    def hello(self) -> dict[str, Any]:
        options = self.options
        body: dict[str, Any] = {"version": wire.VERSION, "min_version": wire.VERSION, "client": self.client, "agent": options.agent,
                                "incarnation": options.incarnation_us, "library": options.library, "pid": options.pid,
                                "features": self.instance.features if self.instance else wire.FEATURE_CONFIRM}
        if options.site:
            body["site"] = options.site
        if self.instance:
            body["services"] = self.instance.services()
        if options.calls:
            body["calls"] = options.calls
        return body

    # --- asking ---

    @property
    def kept_max_bytes(self) -> int:
        """Bodies of unanswered requests, all together."""
        return int(self.was_home.welcome["kept_max_bytes"]) if self.was_home else LIMITS["CLIENT_BYTES"]

    def ask(self, ask: Ask) -> Pending:
        """Never tells before this has returned."""
        self.stats.asked += 1
        pending = Pending(self, ask)
        status, why = pending.check()
        if not status:
            room = (self.was_home and self.was_home.welcome["outstanding_max"]) or LIMITS["CLIENT_REQUESTS"]
            if len(self.requests) >= room or self.kept_bytes + len(ask.body) > self.kept_max_bytes:
                status = Status.QUOTA
        self.requests[pending.id] = pending
        self.kept_bytes += len(ask.body)
        if status:
            pending.end_soon(status, why)
        else:
            self.timers.set(pending.timer, pending.due)
            if self.home:
                pending.send(self.home)
        return pending

    def next_id(self) -> bytes:
        self.sequence += 1
        return wire.request_id(self.client, self.sequence)

    def waits_here(self, session: Session, ping: Message) -> bool:
        """Whether the answer to this attempt is expected from this broker."""
        pending = self.requests.get(ping.id)
        return pending is not None and pending.is_sent and pending.at is session and pending.attempt == ping.number("attempt")

    # --- what comes ---

    def on_message(self, session: Session, message: Message) -> bool:
        kind = message.kind
        if kind == Kind.EVENT:
            return self.events.receive(session, message)
        if kind in (Kind.REPLY, Kind.ERROR):
            pending = self.requests.get(message.id)
            return pending is not None and pending.answer(session, message)
        if self.instance and session.is_open and self.instance.on_message(session, message):
            return True
        if kind == Kind.CHUNK:
            pending = self.requests.get(message.id)
            return pending is not None and pending.chunk(session, message)
        return False

    def on_fault(self, session: Session, message: Message, status: Status) -> None:
        """A REQUEST or a REPLY that can't be used: it ends by name, since somebody waits for it."""
        pending = self.requests.get(message.id)
        if message.kind == Kind.REQUEST and self.instance and session.is_open:
            self.instance.on_fault(session, message, status)
        elif message.kind == Kind.REPLY and pending and pending.at is session:
            pending.end_with(status, "the header of the reply can't be read")

    def on_open(self, session: Session) -> None:
        if session.index == 0 and not session.cold:
            self._up()
        self.events.on_open(session)
        if self.home is None and not self.leaving:
            self._settle(session)
        else:
            self._look()
        if self.instance:
            self.instance.on_open(session)

    def on_warm(self, session: Session) -> None:
        if session.index == 0 and session.can_be_asked:
            self._up()
        self._look()

    def on_lost(self, session: Session, why: str) -> None:
        if self.instance:
            self.instance.on_lost(session, why)
        self._leave_broker(session, False)

    def on_goaway(self, session: Session) -> None:
        self._leave_broker(session, True)

    def tell(self, status: Status, why: str) -> None:
        """Tells whoever listens whether somebody can be asked, when that has changed, or why not."""
        is_open = self.home is not None
        if is_open and self._is_open:
            return
        self._is_open = is_open
        if self.options.on_state:
            self.options.on_state(is_open, status, why)

    def tell_refusal(self, status: Status, what: str) -> None:
        if self.options.on_refusal:
            self.options.on_refusal(status, what)

    # --- which broker is asked (section 17.8) ---

    def other(self, session: Session) -> Session | None:
        """Another that can be asked."""
        for other in self.sessions:
            if other is not session and other.can_be_asked:
                return other
        return None

    def _settle(self, home: Session | None) -> None:
        if home and self.was_home and home is not self.was_home:
            self.stats.moves += 1
        self.home = home
        if home:
            self.was_home = home
            self.events.place(home)
            self._place(home)

    def _place(self, home: Session) -> None:
        """Sends what waits for a session: what was never sent, and again what a lost session had."""
        for pending in list(self.requests.values()):
            pending.place(home)

    def _leave_broker(self, session: Session, stays: bool) -> None:
        """stays: what nobody else can be asked may still be answered there."""
        if session.index == 0:
            self._lost()
        if not stays or self.other(session):
            for pending in self.requests.values():
                pending.orphan(session)
        if self.home is session:
            self._settle(self.other(session))
        elif self.home:
            self._place(self.home)

    def _up(self) -> None:
        self._up_since = self._up_since or max(1, self.now)

    def _lost(self) -> None:
        if not self._up_since:
            return
        if self.now - self._up_since >= TIMES_US["RETURN_LONGEST"]:
            self._losses = 0
        self._losses, self._up_since = self._losses + 1, 0

    def _return_at(self) -> int | None:
        """From when on who has moved may return to the preferred broker."""
        if not self._up_since:
            return None
        if not self._losses:
            return self._up_since
        return self._up_since + min(TIMES_US["RETURN_FIRST"] << min(self._losses - 1, 16), TIMES_US["RETURN_LONGEST"])

    def _look(self) -> None:
        """Returns when that is due and nothing is outstanding, so that no request is asked twice for a return's sake."""
        at = self._return_at()
        if at is None or self.home in (None, self.sessions[0]):
            return
        if self.now < at:
            self.timers.set(self._homecoming, at)
        elif not self.requests:
            self._settle(self.sessions[0])

    # --- what requests need ---

    def ended(self, pending: Pending) -> None:
        """It is out of all tables."""
        self.stats.answered += 1
        self.kept_bytes -= len(pending.ask.body)
        self.reply_bytes -= pending.parts_size
        if not self.requests:
            self._look()

    def count(self, status: Status) -> None:
        """The retry budget: ten failures empty it, a hundred successes fill it (gRPC proposal A6)."""
        if status == Status.OK:
            self.retry_tokens_x10 = min(RETRY_TOKENS_X10, self.retry_tokens_x10 + 1)
        elif status.retry.name != "NEVER":
            self.retry_tokens_x10 = max(0, self.retry_tokens_x10 - 10)

    def may_ask_again(self, pending: Pending, answer: Answer) -> int | None:
        """When to ask again under a new id; None when not at all."""
        if (pending.asked >= pending.attempts or pending.pieces or self.retry_tokens_x10 <= RETRY_TOKENS_X10 // 2 or
                not may_retry(answer.status, pending.ask.idempotent, pending.was_lost)):
            return None
        at = self.now + retry_wait_us(pending.asked, answer.retry_after_us, self.random)
        return at if at < pending.due else None
